#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/gossip_seen.h"

static const uint64_t seed[2] = {7, 9};
static const struct peer_id origin = {{1}};

static const uint8_t *id_of(uint64_t number)
{
    static uint8_t id[GOSSIP_ID_SIZE];
    gossip_make_id(&origin, number, id);
    return id;
}

static void an_id_is_new_once(void **state)
{
    (void)state;
    struct gossip_seen *seen = gossip_seen_new(8192, seed);
    assert_false(gossip_seen_has(seen, id_of(1)));
    assert_true(gossip_seen_add(seen, id_of(1)));
    assert_false(gossip_seen_add(seen, id_of(1)));
    assert_true(gossip_seen_has(seen, id_of(1)));
    assert_false(gossip_seen_has(seen, id_of(2)));
    assert_int_equal(gossip_seen_count(seen), 1);
    gossip_seen_free(seen);
}

static void the_last_8192_are_remembered_and_no_more(void **state)
{
    (void)state;
    struct gossip_seen *seen = gossip_seen_new(8192, seed);
    for (uint64_t i = 0; i < 30000; i++) {
        assert_true(gossip_seen_add(seen, id_of(i)));
        assert_int_equal(gossip_seen_count(seen), i < 8192 ? i + 1 : 8192);
    }
    for (uint64_t i = 0; i < 30000; i++) {
        assert_int_equal(gossip_seen_has(seen, id_of(i)), i >= 30000 - 8192);
    }
    gossip_seen_free(seen);
}

static void a_limit_that_is_no_power_of_two_holds(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 600; limit += 37) {
        struct gossip_seen *seen = gossip_seen_new(limit, seed);
        for (uint64_t i = 0; i < 2000; i++) {
            assert_true(gossip_seen_add(seen, id_of(i)));
        }
        assert_int_equal(gossip_seen_count(seen), limit);
        assert_true(gossip_seen_has(seen, id_of(2000 - limit)));
        assert_false(gossip_seen_has(seen, id_of(2000 - limit - 1)));
        gossip_seen_free(seen);
    }
}

/* The simplest thing that could be right, beside it. */
static void it_agrees_with_a_plain_list(void **state)
{
    (void)state;
    enum { LIMIT = 300, KINDS = 700 };
    uint64_t last_added[KINDS] = {0};
    uint64_t added = 0;
    uint64_t random = 1;
    struct gossip_seen *seen = gossip_seen_new(LIMIT, seed);
    for (int i = 0; i < 20000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1;
        size_t kind = (size_t)(random >> 33) % KINDS;
        bool expected = last_added[kind] == 0 || added - last_added[kind] >= LIMIT;
        assert_int_equal(gossip_seen_add(seen, id_of(kind)), expected);
        if (expected) {
            last_added[kind] = ++added;
        }
    }
    gossip_seen_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_new_once),
        cmocka_unit_test(the_last_8192_are_remembered_and_no_more),
        cmocka_unit_test(a_limit_that_is_no_power_of_two_holds),
        cmocka_unit_test(it_agrees_with_a_plain_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
