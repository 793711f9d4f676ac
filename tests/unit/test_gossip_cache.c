#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/gossip_cache.h"

#define PAYLOAD 100u
#define CHARGE  (PAYLOAD + GOSSIP_CACHE_OVERHEAD)

static const uint64_t seed[2] = {7, 9};
static const struct peer_id origin = {{1}};
static struct gossip_cache cache;
static struct list topic;
static struct list other;

static int set_up(void **state)
{
    (void)state;
    list_init(&topic);
    list_init(&other);
    gossip_cache_init(&cache, (size_t)10 * CHARGE, seed);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gossip_cache_fini(&cache);
    assert_true(list_is_empty(&topic) && list_is_empty(&other));
    return 0;
}

static const uint8_t *id_of(uint64_t number)
{
    static uint8_t id[GOSSIP_ID_SIZE];
    gossip_make_id(&origin, number, id);
    return id;
}

static struct gossip_cached *add(struct list *to, uint64_t number, size_t size, uint64_t beat)
{
    static uint8_t payload[16 * CHARGE];
    memset(payload, (int)number, size);
    return gossip_cache_add(&cache, to, id_of(number), bytes_make(payload, size), beat);
}

static void a_payload_is_found_whole_by_its_id(void **state)
{
    (void)state;
    assert_non_null(add(&topic, 3, PAYLOAD, 0));
    const struct gossip_cached *entry = gossip_cache_find(&cache, id_of(3));
    assert_int_equal(gossip_cached_payload(entry).size, PAYLOAD);
    assert_int_equal(gossip_cached_payload(entry).data[PAYLOAD - 1], 3);
    assert_null(gossip_cache_find(&cache, id_of(4)));
    assert_null(add(&topic, 3, 5, 0)); /* it is there already */
    assert_int_equal(cache.bytes, CHARGE);
}

static void the_oldest_of_any_topic_makes_room(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 25; i++) {
        assert_non_null(add(i % 2 == 0 ? &topic : &other, i, PAYLOAD, 0));
        assert_true(cache.bytes <= cache.limit);
    }
    for (uint64_t i = 0; i < 25; i++) {
        assert_int_equal(gossip_cache_find(&cache, id_of(i)) != NULL, i >= 15);
    }
    assert_non_null(add(&topic, 99, 9 * CHARGE, 0)); /* one large one costs many small ones */
    assert_int_equal(map_count(&cache.by_id), 1);
}

static void what_is_larger_than_the_bound_is_not_kept(void **state)
{
    (void)state;
    assert_non_null(add(&topic, 1, PAYLOAD, 0));
    assert_null(add(&topic, 2, 10 * CHARGE, 0));
    assert_non_null(gossip_cache_find(&cache, id_of(1)));
}

static void old_ones_expire_by_heartbeat(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 8; i++) {
        assert_non_null(add(&topic, i, PAYLOAD, i));
    }
    gossip_cache_expire(&cache, 5);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(gossip_cache_find(&cache, id_of(i)) != NULL, i >= 5);
    }
    gossip_cache_remove(&cache, gossip_cache_find(&cache, id_of(6)));
    assert_int_equal(cache.bytes, 2 * CHARGE);
    gossip_cache_expire(&cache, 100);
    assert_int_equal(cache.bytes, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_payload_is_found_whole_by_its_id),
        CASE(the_oldest_of_any_topic_makes_room),
        CASE(what_is_larger_than_the_bound_is_not_kept),
        CASE(old_ones_expire_by_heartbeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
