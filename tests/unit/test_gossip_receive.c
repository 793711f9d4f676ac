/* What peers say, honest and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gossip_diary.h"

static struct diary d;
static struct peer_id a;
static struct peer_id b;

static const struct gossip_counts *counts(void)
{
    return gossip_counts(d.gossip);
}

static int set_up(void **state)
{
    (void)state;
    diary_open(&d, NULL);
    a = diary_peer(1);
    b = diary_peer(2);
    assert_int_equal(gossip_subscribe(d.gossip, bytes_from_string("news"), d.now_ms), 0);
    assert_int_equal(gossip_peer_up(d.gossip, &a), 0);
    assert_int_equal(gossip_peer_up(d.gossip, &b), 0);
    diary_receive(&d, &a, GOSSIP_SUBSCRIBE, "news");
    diary_receive(&d, &b, GOSSIP_SUBSCRIBE, "news");
    diary_clear(&d);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    diary_close(&d);
    return 0;
}

/* An IHAVE or IWANT with ids of one origin from first to first + count - 1. */
static void receive_ids(const struct peer_id *from, enum gossip_op op, const struct peer_id *origin,
                        uint64_t first, size_t count)
{
    uint8_t *ids = test_calloc(count + 1, GOSSIP_ID_SIZE);
    uint8_t *payload = test_calloc(1, 64 + count * GOSSIP_ID_SIZE);
    struct writer writer;
    for (size_t i = 0; i < count; i++) {
        gossip_make_id(origin, first + i, ids + i * GOSSIP_ID_SIZE);
    }
    writer_init(&writer, payload, 64 + count * GOSSIP_ID_SIZE);
    if (op == GOSSIP_IHAVE) {
        gossip_write_ihave(&writer, bytes_from_string("news"),
                           bytes_make(ids, count * GOSSIP_ID_SIZE));
    } else {
        gossip_write_iwant(&writer, bytes_make(ids, count * GOSSIP_ID_SIZE));
    }
    gossip_receive(d.gossip, from, writer_view(&writer), d.now_ms);
    test_free(ids);
    test_free(payload);
}

static void publisher_and_forwarder_are_told_apart(void **state)
{
    (void)state;
    struct peer_id far = diary_peer(77);
    diary_receive_publish(&d, &a, &far, 1, "news", "hello");
    assert_int_equal(d.delivered, 1);
    assert_true(peer_id_equal(&d.origin, &far));
    assert_true(peer_id_equal(&d.from, &a));
    assert_int_equal(diary_count(&d, GOSSIP_PUBLISH, &b), 1);
    assert_int_equal(diary_count(&d, GOSSIP_PUBLISH, &a), 0);
}

static void our_own_id_in_somebody_elses_frame_is_refused(void **state)
{
    (void)state;
    size_t peers = 0;
    diary_receive_publish(&d, &a, &diary_self, 1, "news", "as if from us");
    assert_int_equal(d.delivered, 0);
    assert_int_equal(d.sent_count, 0);
    assert_int_equal(counts()->forged, 1);
    receive_ids(&a, GOSSIP_IHAVE, &diary_self, 5, 3);
    assert_int_equal(d.sent_count, 0); /* nor asked for */
    assert_int_equal(gossip_publish(d.gossip, bytes_from_string("news"), bytes_from_string("x"),
                                    d.now_ms, &peers),
                     0);
    gossip_receive(d.gossip, &b, bytes_make(d.sent[0].payload, d.sent[0].size), d.now_ms);
    assert_int_equal(counts()->duplicates, 1); /* our own message came back */
    assert_int_equal(d.delivered, 0);
}

static void what_somebody_else_published_first_under_an_id_does_not_hide_the_message(void **state)
{
    (void)state;
    diary_receive_publish(&d, &b, &a, 7, "news", "poison");
    diary_receive_publish(&d, &a, &a, 7, "news", "the message");
    assert_int_equal(d.delivered, 2);
    assert_string_equal(d.data, "the message");
    assert_int_equal(counts()->corrected, 1);
    diary_receive_publish(&d, &a, &a, 7, "news", "another message");
    diary_receive_publish(&d, &b, &a, 7, "news", "poison");
    assert_int_equal(d.delivered, 2);
    diary_receive_publish(&d, &b, &a, 8, "news", "honest");
    diary_receive_publish(&d, &a, &a, 8, "news", "honest");
    assert_int_equal(d.delivered, 3);
}

static void what_the_validator_refuses_goes_nowhere(void **state)
{
    (void)state;
    d.rejects = true;
    diary_receive_publish(&d, &a, &a, 7, "news", "bad");
    d.rejects = false;
    diary_receive_publish(&d, &b, &a, 7, "news", "bad");
    receive_ids(&b, GOSSIP_IWANT, &a, 7, 1);
    assert_int_equal(d.delivered, 0);
    assert_int_equal(d.sent_count, 0);
    assert_int_equal(counts()->rejected, 1);
}

static void messages_of_topics_we_do_not_subscribe_to_cost_nothing(void **state)
{
    (void)state;
    diary_receive_publish(&d, &a, &a, 1, "other", "x");
    diary_receive_publish(&d, &a, &a, 2, "", "x");
    assert_int_equal(d.delivered, 0);
    assert_int_equal(counts()->topics, 1);
    assert_int_equal(counts()->cached_bytes, 0);
}

static void a_missed_message_is_asked_for_and_counted(void **state)
{
    (void)state;
    diary_receive_publish(&d, &a, &a, 1, "news", "one");
    diary_clear(&d);
    receive_ids(&b, GOSSIP_IHAVE, &a, 1, 3);
    assert_int_equal(d.sent_count, 1);
    assert_int_equal(d.sent[0].size, 3 + 2 * GOSSIP_ID_SIZE);
    diary_receive_publish(&d, &b, &a, 2, "news", "two");
    assert_int_equal(d.delivered, 2);
    assert_int_equal(counts()->recovered, 1);
    receive_ids(&b, GOSSIP_IHAVE, &a, 1, 2);
    assert_int_equal(diary_count(&d, GOSSIP_IWANT, NULL), 1); /* nothing is missing */
}

static void ids_of_a_topic_that_is_not_ours_are_not_asked_for(void **state)
{
    (void)state;
    assert_int_equal(gossip_unsubscribe(d.gossip, bytes_from_string("news")), 0);
    diary_clear(&d);
    receive_ids(&b, GOSSIP_IHAVE, &a, 1, 3);
    assert_int_equal(d.sent_count, 0);
}

static void asking_again_and_again_is_answered_up_to_a_bound(void **state)
{
    (void)state;
    uint8_t payload[1 << 16] = {0};
    uint8_t id[GOSSIP_ID_SIZE];
    struct writer writer;
    for (uint64_t i = 0; i < 20; i++) { /* 1.3 MB in the cache */
        writer_init(&writer, payload, sizeof payload);
        gossip_make_id(&a, i, id);
        gossip_write_publish(&writer, id, bytes_from_string("news"), bytes_make(&d, 65000));
        gossip_receive(d.gossip, &a, writer_view(&writer), d.now_ms);
    }
    diary_clear(&d);
    for (int i = 0; i < 200; i++) {
        receive_ids(&b, GOSSIP_IWANT, &a, 0, 20);
    }
    assert_in_range(d.sent_bytes, (3u << 20), (4u << 20));
    assert_true(counts()->refused > 0);
    diary_clear(&d);
    d.now_ms += 1000; /* next second, next budget */
    receive_ids(&b, GOSSIP_IWANT, &a, 0, 20);
    assert_int_equal(diary_count(&d, GOSSIP_PUBLISH, &b), 20);
}

static void the_largest_iwant_and_ihave_are_read_up_to_a_bound(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        receive_ids(&a, GOSSIP_IWANT, &b, 0, GOSSIP_MAX_IDS);
    }
    assert_int_equal(d.sent_count, 0);
    assert_true(counts()->refused >= 2);
    d.now_ms += 1000;
    for (int i = 0; i < 3; i++) {
        receive_ids(&a, GOSSIP_IHAVE, &b, 0, GOSSIP_MAX_IDS);
    }
    assert_true(d.sent_bytes <= 3 + 4096 * GOSSIP_ID_SIZE);
    assert_int_equal(counts()->asked, 4096);
}

static void one_message_larger_than_the_budget_is_still_sent_again(void **state)
{
    (void)state;
    diary_close(&d);
    struct gossip_options options = diary_options();
    options.resend_bytes = 10;
    diary_open(&d, &options);
    assert_int_equal(gossip_subscribe(d.gossip, bytes_from_string("news"), d.now_ms), 0);
    assert_int_equal(gossip_peer_up(d.gossip, &a), 0);
    diary_receive_publish(&d, &a, &b, 1, "news", "longer than ten bytes");
    receive_ids(&a, GOSSIP_IWANT, &b, 1, 1);
    receive_ids(&a, GOSSIP_IWANT, &b, 1, 1);
    assert_int_equal(diary_count(&d, GOSSIP_PUBLISH, &a), 1);
}

static void ten_thousand_topics_of_one_peer_are_not_kept(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof name, "topic %d", i);
        diary_receive(&d, &a, GOSSIP_SUBSCRIBE, name);
    }
    assert_int_equal(counts()->topics, 1024);
    assert_int_equal(counts()->refused, 10000 - 1023);
    diary_receive(&d, &b, GOSSIP_SUBSCRIBE, "topic 9999"); /* others have their own room */
    assert_int_equal(counts()->topics, 1025);
    assert_int_equal(gossip_subscribe(d.gossip, bytes_from_string("shared"), d.now_ms), 0);
    diary_receive(&d, &a, GOSSIP_SUBSCRIBE, "shared"); /* and what we share with it is let in */
    struct gossip_topic_facts facts;
    assert_true(gossip_find_topic(d.gossip, bytes_from_string("shared"), &facts));
    assert_int_equal(facts.subscribers, 1);
    gossip_peer_down(d.gossip, &a);
    assert_int_equal(counts()->topics, 3);
}

static void long_names_of_one_peer_are_bounded_in_bytes(void **state)
{
    (void)state;
    static uint8_t payload[3 + GOSSIP_MAX_TOPIC];
    struct writer writer;
    for (uint8_t i = 0; i < 100; i++) {
        payload[100] = i;
        writer_init(&writer, payload, sizeof payload);
        writer_u8(&writer, GOSSIP_SUBSCRIBE);
        writer_u16(&writer, GOSSIP_MAX_TOPIC);
        gossip_receive(d.gossip, &a, bytes_make(payload, sizeof payload), d.now_ms);
    }
    assert_int_equal(counts()->topics, 1 + GOSSIP_MAX_NAMES / GOSSIP_MAX_TOPIC);
}

static void strangers_topics_are_bounded_in_all(void **state)
{
    (void)state;
    diary_close(&d);
    struct gossip_options options = diary_options();
    options.topics = 100;
    diary_open(&d, &options);
    for (unsigned i = 0; i < 50; i++) {
        struct peer_id id = diary_peer(i);
        assert_int_equal(gossip_peer_up(d.gossip, &id), 0);
        for (unsigned j = 0; j < 10; j++) {
            char name[32];
            (void)snprintf(name, sizeof name, "%u %u", i, j);
            diary_receive(&d, &id, GOSSIP_SUBSCRIBE, name);
        }
    }
    assert_int_equal(counts()->topics, 100);
    assert_int_equal(gossip_subscribe(d.gossip, bytes_from_string("ours"), d.now_ms), 0);
    assert_int_equal(counts()->topics, 101);
}

static void a_storm_of_grafts_is_answered_up_to_a_bound(void **state)
{
    (void)state;
    for (int i = 0; i < 10000; i++) {
        diary_receive(&d, &a, GOSSIP_GRAFT, "nobody's");
        diary_receive(&d, &a, GOSSIP_GRAFT, "news");
        diary_receive(&d, &a, GOSSIP_PRUNE, "news");
    }
    assert_int_equal(diary_count(&d, GOSSIP_PRUNE, &a), 256);
    assert_int_equal(d.sent_count, 256);
    assert_int_equal(counts()->topics, 1);
}

static void grafts_of_many_do_not_make_the_mesh_larger_than_its_bound(void **state)
{
    (void)state;
    struct gossip_topic_facts facts;
    for (unsigned i = 100; i < 200; i++) {
        struct peer_id id = diary_peer(i);
        assert_int_equal(gossip_peer_up(d.gossip, &id), 0);
        diary_receive(&d, &id, GOSSIP_GRAFT, "news");
    }
    assert_true(gossip_find_topic(d.gossip, bytes_from_string("news"), &facts));
    assert_int_equal(facts.mesh, GOSSIP_MESH_MAX);
    assert_int_equal(facts.subscribers, 102);
    assert_int_equal(diary_count(&d, GOSSIP_PRUNE, NULL), 102 - GOSSIP_MESH_MAX);
    diary_clear(&d);
    diary_beat(&d);
    assert_true(gossip_find_topic(d.gossip, bytes_from_string("news"), &facts));
    assert_int_equal(facts.mesh, GOSSIP_MESH_WANTED);
    assert_int_equal(diary_count(&d, GOSSIP_PRUNE, NULL), GOSSIP_MESH_MAX - GOSSIP_MESH_WANTED);
}

static void coming_and_going_is_told_once_a_second_at_most(void **state)
{
    (void)state;
    assert_int_equal(d.joined, 2);
    for (int i = 0; i < 1000; i++) {
        diary_receive(&d, &a, GOSSIP_UNSUBSCRIBE, "news");
        diary_receive(&d, &a, GOSSIP_SUBSCRIBE, "news");
    }
    diary_receive(&d, &a, GOSSIP_UNSUBSCRIBE, "news");
    assert_int_equal(d.joined, 2);
    assert_int_equal(d.left, 0);
    struct peer_id ids[4];
    struct bytes news = bytes_from_string("news");
    assert_int_equal(gossip_topic_peers(d.gossip, news, GOSSIP_SUBSCRIBERS, ids, 4), 1);
    assert_int_equal(gossip_topic_peers(d.gossip, news, GOSSIP_JOINED, ids, 4), 2);
    diary_beat(&d);
    assert_int_equal(gossip_topic_peers(d.gossip, news, GOSSIP_JOINED, ids, 4), 1);
    assert_int_equal(d.joined, 2);
    assert_int_equal(d.left, 1); /* as it stands now */
    diary_receive(&d, &a, GOSSIP_SUBSCRIBE, "news");
    diary_receive(&d, &a, GOSSIP_UNSUBSCRIBE, "news");
    diary_beat(&d);
    diary_beat(&d);
    assert_int_equal(d.joined, 2);
    assert_int_equal(d.left, 1);
    gossip_peer_down(d.gossip, &b);
    gossip_peer_down(d.gossip, &a);
    assert_int_equal(d.left, 2);
}

static void a_frame_of_a_peer_that_is_not_up_is_ignored(void **state)
{
    (void)state;
    struct peer_id stranger = diary_peer(9);
    diary_receive(&d, &stranger, GOSSIP_GRAFT, "news");
    diary_receive_publish(&d, &stranger, &stranger, 1, "news", "x");
    assert_int_equal(d.sent_count, 0);
    assert_int_equal(d.delivered, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(publisher_and_forwarder_are_told_apart),
        CASE(our_own_id_in_somebody_elses_frame_is_refused),
        CASE(what_somebody_else_published_first_under_an_id_does_not_hide_the_message),
        CASE(what_the_validator_refuses_goes_nowhere),
        CASE(messages_of_topics_we_do_not_subscribe_to_cost_nothing),
        CASE(a_missed_message_is_asked_for_and_counted),
        CASE(ids_of_a_topic_that_is_not_ours_are_not_asked_for),
        CASE(asking_again_and_again_is_answered_up_to_a_bound),
        CASE(the_largest_iwant_and_ihave_are_read_up_to_a_bound),
        CASE(one_message_larger_than_the_budget_is_still_sent_again),
        CASE(ten_thousand_topics_of_one_peer_are_not_kept),
        CASE(long_names_of_one_peer_are_bounded_in_bytes),
        CASE(strangers_topics_are_bounded_in_all),
        CASE(a_storm_of_grafts_is_answered_up_to_a_bound),
        CASE(grafts_of_many_do_not_make_the_mesh_larger_than_its_bound),
        CASE(coming_and_going_is_told_once_a_second_at_most),
        CASE(a_frame_of_a_peer_that_is_not_up_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
