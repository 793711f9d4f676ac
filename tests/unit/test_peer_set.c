#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/peer_set.h"

static void a_peer_is_in_the_set_once(void **state)
{
    (void)state;
    struct peer_set set = {0};
    struct peer_id id = {{1}};
    assert_true(peer_set_add(&set, &id));
    assert_false(peer_set_add(&set, &id));
    assert_int_equal(set.count, 1);
    assert_true(peer_set_remove(&set, &id));
    assert_false(peer_set_remove(&set, &id));
    assert_null(set.ids);
}

static void removing_one_leaves_the_others(void **state)
{
    (void)state;
    struct peer_set set = {0};
    for (uint8_t i = 0; i < 100; i++) {
        struct peer_id id = {{i}};
        assert_true(peer_set_add(&set, &id));
    }
    for (uint8_t i = 0; i < 100; i += 2) {
        struct peer_id id = {{i}};
        assert_true(peer_set_remove(&set, &id));
    }
    for (uint8_t i = 0; i < 100; i++) {
        struct peer_id id = {{i}};
        assert_int_equal(peer_set_remove(&set, &id), i % 2 == 1);
    }
    peer_set_fini(&set);
}

static void the_last_takes_the_place_of_one_removed(void **state)
{
    (void)state;
    struct peer_set set = {0};
    for (uint8_t i = 0; i < 3; i++) {
        struct peer_id id = {{i}};
        peer_set_append(&set, &id);
    }
    peer_set_remove_at(&set, 0);
    assert_int_equal(set.ids[0].bytes[0], 2);
    peer_set_remove_at(&set, 1);
    peer_set_remove_at(&set, 0);
    assert_null(set.ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_in_the_set_once),
        cmocka_unit_test(removing_one_leaves_the_others),
        cmocka_unit_test(the_last_takes_the_place_of_one_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
