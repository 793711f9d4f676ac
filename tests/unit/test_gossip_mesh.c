/* The heartbeat. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gossip_diary.h"

static struct diary d;
static const struct bytes news = {(const uint8_t *)"news", 4};

static int set_up(void **state)
{
    (void)state;
    diary_open(&d, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    diary_close(&d);
    return 0;
}

static void come_up(unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        struct peer_id id = diary_peer(i);
        assert_int_equal(gossip_peer_up(d.gossip, &id), 0);
        diary_receive(&d, &id, GOSSIP_SUBSCRIBE, "news");
    }
}

static struct gossip_topic_facts facts(void)
{
    struct gossip_topic_facts found = {0};
    (void)gossip_find_topic(d.gossip, news, &found);
    return found;
}

static void publish(void)
{
    size_t peers = 0;
    assert_int_equal(gossip_publish(d.gossip, news, bytes_from_string("x"), d.now_ms, &peers), 0);
}

static void the_mesh_is_filled_to_six_at_random(void **state)
{
    (void)state;
    come_up(0, 30);
    assert_int_equal(gossip_subscribe(d.gossip, news, d.now_ms), 0);
    assert_int_equal(facts().mesh, 6);
    assert_int_equal(diary_count(&d, GOSSIP_GRAFT, NULL), 6);
    diary_beat(&d);
    assert_int_equal(facts().mesh, 6);
    struct peer_id grafted[6];
    assert_int_equal(gossip_topic_peers(d.gossip, news, GOSSIP_IN_MESH, grafted, 6), 6);
    unsigned far = 0;
    for (size_t i = 0; i < 6; i++) {
        far += grafted[i].bytes[1] >= 6;
    }
    assert_true(far > 0); /* not simply the first six */
}

static void lost_members_are_replaced_when_fewer_than_four_are_left(void **state)
{
    (void)state;
    come_up(0, 30);
    assert_int_equal(gossip_subscribe(d.gossip, news, d.now_ms), 0);
    struct peer_id mesh[6];
    assert_int_equal(gossip_topic_peers(d.gossip, news, GOSSIP_IN_MESH, mesh, 6), 6);
    gossip_peer_down(d.gossip, &mesh[0]);
    diary_receive(&d, &mesh[1], GOSSIP_UNSUBSCRIBE, "news");
    diary_beat(&d);
    assert_int_equal(facts().mesh, 4);
    diary_receive(&d, &mesh[2], GOSSIP_PRUNE, "news");
    assert_int_equal(facts().mesh, 3);
    diary_beat(&d);
    assert_int_equal(facts().mesh, 6);
}

static void a_peer_that_prunes_is_left_alone_for_a_minute(void **state)
{
    (void)state;
    struct peer_id id = diary_peer(0);
    assert_int_equal(gossip_subscribe(d.gossip, news, d.now_ms), 0);
    come_up(0, 1);
    diary_receive(&d, &id, GOSSIP_PRUNE, "news");
    diary_clear(&d);
    for (int i = 0; i < 59; i++) {
        diary_beat(&d);
        diary_receive(&d, &id, GOSSIP_SUBSCRIBE, "news");
        diary_receive(&d, &id, GOSSIP_UNSUBSCRIBE, "news"); /* does not wash it off */
        diary_receive(&d, &id, GOSSIP_SUBSCRIBE, "news");
    }
    assert_int_equal(diary_count(&d, GOSSIP_GRAFT, NULL), 0);
    diary_beat(&d);
    assert_int_equal(diary_count(&d, GOSSIP_GRAFT, &id), 1);
    diary_beat(&d);
    assert_int_equal(diary_count(&d, GOSSIP_GRAFT, &id), 1);
}

static void its_own_graft_is_taken_meanwhile(void **state)
{
    (void)state;
    struct peer_id id = diary_peer(0);
    assert_int_equal(gossip_subscribe(d.gossip, news, d.now_ms), 0);
    come_up(0, 1);
    diary_receive(&d, &id, GOSSIP_PRUNE, "news");
    assert_int_equal(facts().mesh, 0);
    diary_receive(&d, &id, GOSSIP_GRAFT, "news");
    assert_int_equal(facts().mesh, 1);
}

static void the_fanout_is_forgotten_a_minute_after_its_last_use(void **state)
{
    (void)state;
    come_up(0, 10);
    publish();
    assert_int_equal(facts().fanout, 6);
    for (int i = 0; i < 30; i++) {
        diary_beat(&d);
    }
    publish();
    for (int i = 0; i < 59; i++) {
        diary_beat(&d);
        assert_int_equal(facts().fanout, 6);
        assert_false(gossip_is_idle(d.gossip));
    }
    diary_beat(&d);
    assert_int_equal(facts().fanout, 0);
    assert_true(gossip_is_idle(d.gossip));
}

static void the_fanout_becomes_mesh_on_subscribing_and_the_other_way_round(void **state)
{
    (void)state;
    come_up(0, 10);
    publish();
    assert_int_equal(gossip_subscribe(d.gossip, news, d.now_ms), 0);
    assert_int_equal(facts().fanout, 0);
    assert_int_equal(facts().mesh, 6);
    assert_int_equal(gossip_unsubscribe(d.gossip, news), 0);
    assert_int_equal(facts().mesh, 0);
    assert_int_equal(diary_count(&d, GOSSIP_PRUNE, NULL), 6);
}

/* 60 subscribers, 6 of them in the mesh: the other 54 hear of each message in three turns of 18. */
static void everybody_outside_the_mesh_hears_of_each_message(void **state)
{
    (void)state;
    come_up(0, 60);
    assert_int_equal(gossip_subscribe(d.gossip, news, d.now_ms), 0);
    struct peer_id far = diary_peer(500);
    struct peer_id near = diary_peer(3);
    diary_receive_publish(&d, &near, &far, 1, "news", "x");
    diary_clear(&d);
    for (size_t i = 1; i <= 3; i++) {
        diary_beat(&d);
        assert_int_equal(diary_count(&d, GOSSIP_IHAVE, NULL), 18 * i);
    }
    struct peer_id mesh[6];
    assert_int_equal(gossip_topic_peers(d.gossip, news, GOSSIP_IN_MESH, mesh, 6), 6);
    for (unsigned i = 0; i < 60; i++) {
        struct peer_id id = diary_peer(i);
        size_t direct = 0;
        for (size_t j = 0; j < 6; j++) {
            direct += peer_id_equal(&id, &mesh[j]);
        }
        assert_int_equal(diary_count(&d, GOSSIP_IHAVE, &id), 1 - direct);
    }
    diary_clear(&d);
    diary_beat(&d);
    assert_int_equal(d.sent_count, 0); /* three heartbeats old: told to nobody any more */
}

static void a_message_is_kept_for_five_heartbeats(void **state)
{
    (void)state;
    come_up(0, 1);
    assert_int_equal(gossip_subscribe(d.gossip, news, d.now_ms), 0);
    publish();
    for (int i = 0; i < 4; i++) {
        diary_beat(&d);
        assert_true(gossip_counts(d.gossip)->cached_bytes > 0);
    }
    diary_beat(&d);
    assert_int_equal(gossip_counts(d.gossip)->cached_bytes, 0);
}

static void kept_messages_are_bounded_in_bytes(void **state)
{
    (void)state;
    static uint8_t data[100000];
    size_t peers = 0;
    diary_close(&d);
    struct gossip_options options = diary_options();
    options.cache_bytes = 1 << 20;
    diary_open(&d, &options);
    assert_int_equal(gossip_subscribe(d.gossip, news, d.now_ms), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(
            gossip_publish(d.gossip, news, bytes_make(data, sizeof data), d.now_ms, &peers), 0);
        assert_true(gossip_counts(d.gossip)->cached_bytes <= 1 << 20);
    }
    assert_true(gossip_counts(d.gossip)->cached_bytes > 900000);
}

static void no_peer_is_told_of_more_than_1024_ids_at_once(void **state)
{
    (void)state;
    come_up(0, 10);
    assert_int_equal(gossip_subscribe(d.gossip, news, d.now_ms), 0);
    struct peer_id near = diary_peer(3);
    struct peer_id far = diary_peer(500);
    for (uint64_t i = 0; i < 20000; i++) {
        diary_receive_publish(&d, &near, &far, i, "news", "x");
    }
    diary_clear(&d);
    diary_beat(&d);
    assert_int_equal(diary_count(&d, GOSSIP_IHAVE, NULL), 4);
    for (size_t i = 0; i < d.sent_count; i++) {
        assert_int_equal(d.sent[i].size, 5 + 4 + 1024 * GOSSIP_ID_SIZE);
    }
    assert_memory_not_equal(d.sent[0].payload + 9, d.sent[1].payload + 9, GOSSIP_ID_SIZE);
}

static void there_is_nothing_to_do_without_peers_or_topics(void **state)
{
    (void)state;
    assert_true(gossip_is_idle(d.gossip));
    come_up(0, 3); /* they subscribe, we do not */
    assert_true(gossip_is_idle(d.gossip));
    assert_int_equal(gossip_subscribe(d.gossip, news, d.now_ms), 0);
    assert_false(gossip_is_idle(d.gossip));
    assert_int_equal(gossip_unsubscribe(d.gossip, news), 0);
    diary_beat(&d);
    assert_true(gossip_is_idle(d.gossip));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_mesh_is_filled_to_six_at_random),
        CASE(lost_members_are_replaced_when_fewer_than_four_are_left),
        CASE(a_peer_that_prunes_is_left_alone_for_a_minute),
        CASE(its_own_graft_is_taken_meanwhile),
        CASE(the_fanout_is_forgotten_a_minute_after_its_last_use),
        CASE(the_fanout_becomes_mesh_on_subscribing_and_the_other_way_round),
        CASE(everybody_outside_the_mesh_hears_of_each_message),
        CASE(a_message_is_kept_for_five_heartbeats),
        CASE(kept_messages_are_bounded_in_bytes),
        CASE(no_peer_is_told_of_more_than_1024_ids_at_once),
        CASE(there_is_nothing_to_do_without_peers_or_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
