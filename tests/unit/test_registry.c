#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "service/registry.h"

static struct registry registry;
static size_t gone_count;
static char last_gone[64];

static void on_gone(void *arg, struct registration *gone)
{
    assert_ptr_equal(arg, &registry);
    gone_count++;
    (void)snprintf(last_gone, sizeof last_gone, "%s", gone->name);
}

static int set_up(void **state)
{
    (void)state;
    gone_count = 0;
    registry_init(&registry, (const uint64_t[2]){1, 2}, on_gone, &registry);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    registry_fini(&registry);
    return 0;
}

static int add(const char *name, uint64_t session)
{
    struct registration *registration = NULL;
    int result = registry_add(&registry, bytes_from_string(name), session, &registration);
    assert_true(result < 0 || registration == registry_find(&registry, bytes_from_string(name)));
    return result;
}

static struct registration *find(const char *name)
{
    return registry_find(&registry, bytes_from_string(name));
}

static void sessions_stand_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    for (uint64_t session = 9; session > 3; session--) {
        assert_int_equal(add("a", session), 0);
    }
    assert_true(registry_remove(&registry, bytes_from_string("a"), 7));
    const uint64_t expected[] = {9, 8, 6, 5, 4};
    assert_int_equal(find("a")->count, 5);
    assert_memory_equal(find("a")->sessions, expected, sizeof expected);
    assert_false(registration_has(find("a"), 7));
    assert_true(registration_has(find("a"), 4));
}

static void twice_is_once(void **state)
{
    (void)state;
    assert_int_equal(add("a", 1), 0);
    assert_int_equal(add("a", 1), 0);
    assert_int_equal(find("a")->count, 1);
    assert_int_equal(registry_count(&registry, 1), 1);
}

static void a_name_goes_with_its_last_session_and_somebody_is_told(void **state)
{
    (void)state;
    assert_int_equal(add("a", 1), 0);
    assert_int_equal(add("a", 2), 0);
    assert_true(registry_remove(&registry, bytes_from_string("a"), 1));
    assert_int_equal(gone_count, 0);
    assert_false(registry_remove(&registry, bytes_from_string("a"), 1));
    assert_true(registry_remove(&registry, bytes_from_string("a"), 2));
    assert_int_equal(gone_count, 1);
    assert_string_equal(last_gone, "a");
    assert_null(find("a"));
    assert_false(registration_has(NULL, 2));
    assert_false(registry_remove(&registry, bytes_from_string("a"), 2));
}

static void the_empty_name_is_one(void **state)
{
    (void)state;
    struct registration *registration = NULL;
    assert_int_equal(registry_add(&registry, bytes_make(NULL, 0), 1, &registration), 0);
    assert_int_equal(registration_name(registration).size, 0);
    assert_ptr_equal(find(""), registration);
}

static void a_session_that_ends_takes_all_its_names(void **state)
{
    (void)state;
    assert_int_equal(add("a", 1), 0);
    assert_int_equal(add("b", 1), 0);
    assert_int_equal(add("b", 2), 0);
    registry_drop_session(&registry, 1);
    registry_drop_session(&registry, 3);
    assert_null(find("a"));
    assert_int_equal(find("b")->count, 1);
    assert_int_equal(registry_count(&registry, 1), 0);
    assert_int_equal(registry_count(&registry, 2), 1);
}

static void names_of_one_session_are_bounded_in_number(void **state)
{
    (void)state;
    char name[16];
    for (unsigned i = 0; i < REGISTRY_MAX_NAMES; i++) {
        (void)snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(add(name, 1), 0);
    }
    assert_int_equal(add("one too many", 1), -EDQUOT);
    assert_null(find("one too many"));
    assert_int_equal(add("n7", 1), 0); /* has it already */
    assert_int_equal(add("one too many", 2), 0);
    assert_true(registry_remove(&registry, bytes_from_string("n7"), 1));
    assert_int_equal(add("one too many", 1), 0);
}

static void names_of_one_session_are_bounded_in_bytes(void **state)
{
    (void)state;
    char *name = calloc(1, REGISTRY_MAX_BYTES);
    memset(name, 'n', REGISTRY_MAX_BYTES - 1);
    assert_int_equal(add(name, 1), 0);
    assert_int_equal(add("ab", 1), -EDQUOT);
    assert_int_equal(add("a", 1), 0);
    assert_true(registry_remove(&registry, bytes_from_string(name), 1));
    assert_int_equal(add("ab", 1), 0);
    assert_int_equal(add(name, 3), 0);
    assert_int_equal(registry_count(&registry, 3), 1);
    free(name);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(sessions_stand_in_the_order_in_which_they_came),
        CASE(twice_is_once),
        CASE(a_name_goes_with_its_last_session_and_somebody_is_told),
        CASE(the_empty_name_is_one),
        CASE(a_session_that_ends_takes_all_its_names),
        CASE(names_of_one_session_are_bounded_in_number),
        CASE(names_of_one_session_are_bounded_in_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
