#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "util/map.h"

#define COUNT 10000

static const uint64_t seed[2] = {0x0123456789abcdef, 0xfedcba9876543210};

struct value {
    char key[24];
    bool present;
    bool seen;
};

static struct bytes key_of(const struct value *value)
{
    return bytes_from_string(value->key);
}

static struct value *new_values(void)
{
    struct value *values = calloc(COUNT, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(values[i].key, sizeof values[i].key, "key %zu", i);
    }
    return values;
}

static void check_against_model(const struct map *map, struct value *values)
{
    size_t present = 0;
    size_t walked = 0;
    for (size_t i = 0; i < COUNT; i++) {
        assert_ptr_equal(map_find(map, key_of(&values[i])), values[i].present ? &values[i] : NULL);
        present += values[i].present;
        values[i].seen = false;
    }
    assert_int_equal(map_count(map), present);
    size_t cursor = 0;
    for (struct value *value; (value = map_next(map, &cursor)) != NULL; walked++) {
        assert_true(value->present);
        assert_false(value->seen);
        value->seen = true;
    }
    assert_int_equal(walked, present);
}

static void random_inserts_and_removes_agree_with_a_model(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, seed);
    struct value *values = new_values();
    uint32_t random = 12345;
    /* phases that mostly fill, then mostly empty, so that it grows and gathers tombstones */
    for (unsigned step = 0; step < 200000; step++) {
        random = random * 1664525 + 1013904223;
        struct value *value = &values[(random >> 8) % COUNT];
        random = random * 1664525 + 1013904223;
        bool insert = (random >> 16) % 10 < (step / 40000 % 2 == 0 ? 8u : 2u);
        if (insert) {
            assert_int_equal(map_insert(&map, key_of(value), value), value->present ? -EEXIST : 0);
            value->present = true;
        } else {
            assert_ptr_equal(map_remove(&map, key_of(value)), value->present ? value : NULL);
            value->present = false;
        }
        if (step % 20000 == 19999) {
            check_against_model(&map, values);
        }
    }
    map_fini(&map);
    free(values);
}

static void everything_may_be_removed_while_walking(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, seed);
    struct value *values = new_values();
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(map_insert(&map, key_of(&values[i]), &values[i]), 0);
    }
    size_t cursor = 0;
    size_t removed = 0;
    for (struct value *value; (value = map_next(&map, &cursor)) != NULL; removed++) {
        assert_ptr_equal(map_remove(&map, key_of(value)), value);
    }
    assert_int_equal(removed, COUNT);
    assert_int_equal(map_count(&map), 0);
    check_against_model(&map, values);
    map_fini(&map);
    free(values);
}

static void coming_and_going_does_not_grow_the_table(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, seed);
    struct value *values = new_values();
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(map_insert(&map, key_of(&values[i]), &values[i]), 0);
        if (i >= 5) {
            assert_ptr_equal(map_remove(&map, key_of(&values[i - 5])), &values[i - 5]);
        }
    }
    assert_int_equal(map_count(&map), 5);
    assert_true(map.capacity <= 32);
    map_fini(&map);
    free(values);
}

static void an_empty_map_has_nothing(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, seed);
    size_t cursor = 0;
    assert_null(map_find(&map, bytes_from_string("x")));
    assert_null(map_remove(&map, bytes_from_string("x")));
    assert_null(map_next(&map, &cursor));
    map_fini(&map);
    map_fini(NULL);
}

static void keys_are_bytes_of_any_length(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, seed);
    int values[3];
    assert_int_equal(map_insert(&map, bytes_make(NULL, 0), &values[0]), 0);
    assert_int_equal(map_insert(&map, bytes_make("\0", 1), &values[1]), 0);
    assert_int_equal(map_insert(&map, bytes_make("\0\0", 2), &values[2]), 0);
    assert_int_equal(map_insert(&map, bytes_make("", 0), &values[1]), -EEXIST);
    assert_ptr_equal(map_find(&map, bytes_make("", 0)), &values[0]);
    assert_ptr_equal(map_find(&map, bytes_make("\0", 1)), &values[1]);
    assert_ptr_equal(map_find(&map, bytes_make("\0\0", 2)), &values[2]);
    map_fini(&map);
    assert_int_equal(map_insert(&map, bytes_make("\0", 1), &values[1]), 0);
    map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_inserts_and_removes_agree_with_a_model),
        cmocka_unit_test(everything_may_be_removed_while_walking),
        cmocka_unit_test(coming_and_going_does_not_grow_the_table),
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(keys_are_bytes_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
