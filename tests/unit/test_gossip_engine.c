#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gossip_diary.h"
#include "util/hex.h"
#include "vectors.h"
#include "wire/wire.h"

static const char *directory;
static struct diary d;

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

static int subscribe(const char *topic)
{
    return gossip_subscribe(d.gossip, bytes_from_string(topic), d.now_ms);
}

static size_t publish(const char *topic, const char *data)
{
    size_t peers = 99;
    assert_int_equal(gossip_publish(d.gossip, bytes_from_string(topic), bytes_from_string(data),
                                    d.now_ms, &peers),
                     0);
    return peers;
}

/* ---- the recorded upstream node ---- */

/* What we sent is what upstream sent, in any order; '*' is everybody connected. */
static void check_sent(struct vectors *vectors, json_t *step, size_t connected)
{
    size_t i;
    json_t *sent;
    size_t expected = 0;
    json_array_foreach(json_object_get(step, "sent"), i, sent)
    {
        struct bytes payload = vectors_hex(vectors, sent, "payload");
        const char *to = vectors_text(sent, "to");
        size_t found = 0;
        for (size_t j = 0; j < d.sent_count; j++) {
            char text[9];
            hex_format(bytes_make(d.sent[j].to.bytes, 4), text);
            found += (*to == '*' || strcmp(text, to) == 0) &&
                     bytes_equal(bytes_make(d.sent[j].payload, d.sent[j].size), payload);
        }
        size_t times = *to == '*' ? connected : 1;
        assert_int_equal(found, times);
        expected += times;
    }
    assert_int_equal(d.sent_count, expected);
    diary_clear(&d);
}

static void it_answers_as_the_recorded_upstream_node_does(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "pubsub.json");
    json_t *steps = vectors_array(vectors_root(vectors), "steps");
    json_t *ids = json_object_get(vectors_root(vectors), "peer_ids");
    struct peer_id b;
    struct peer_id c;
    struct peer_id peer_d;
    assert_int_equal(peer_id_parse(vectors_text(ids, "B"), &b), 0);
    assert_int_equal(peer_id_parse(vectors_text(ids, "C"), &c), 0);
    assert_int_equal(peer_id_parse(vectors_text(ids, "D"), &peer_d), 0);
    size_t at = 0;
#define STEP(connected) check_sent(vectors, json_array_get(steps, at++), connected)
#define INPUT           vectors_hex(vectors, json_array_get(steps, at), "input_from_B")
    assert_int_equal(subscribe("news"), 0);
    STEP(0);
    assert_int_equal(gossip_peer_up(d.gossip, &b), 0);
    STEP(1);
    diary_receive(&d, &b, GOSSIP_SUBSCRIBE, "news");
    STEP(1);
    assert_int_equal(publish("news", "hello"), 1);
    STEP(1);
    assert_int_equal(gossip_peer_up(d.gossip, &c), 0);
    diary_clear(&d); /* not recorded: our SUBSCRIBE to C */
    diary_receive(&d, &c, GOSSIP_GRAFT, "news");
    STEP(2);
    gossip_receive(d.gossip, &b, INPUT, d.now_ms);
    assert_int_equal(d.delivered, 1);
    assert_true(peer_id_equal(&d.origin, &peer_d) && peer_id_equal(&d.from, &b));
    assert_string_equal(d.data, "X!");
    STEP(2);
    diary_receive_publish(&d, &c, &peer_d, 9, "news", "X!");
    assert_int_equal(d.delivered, 1);
    STEP(2);
    diary_receive(&d, &b, GOSSIP_GRAFT, "xxxxx");
    STEP(2);
    gossip_receive(d.gossip, &b, INPUT, d.now_ms);
    STEP(2);
    gossip_receive(d.gossip, &b, INPUT, d.now_ms);
    STEP(2);
    assert_int_equal(gossip_peer_up(d.gossip, &peer_d), 0);
    diary_clear(&d);
    diary_receive(&d, &peer_d, GOSSIP_SUBSCRIBE, "news");
    STEP(3);
    diary_receive(&d, &peer_d, GOSSIP_PRUNE, "news");
    STEP(3);
    diary_beat(&d);
    STEP(3);
    assert_int_equal(publish("nobody", "x"), 0);
    STEP(3);
    diary_receive(&d, &b, GOSSIP_SUBSCRIBE, "other");
    assert_int_equal(publish("other", "y"), 1);
    STEP(3);
    assert_int_equal(gossip_unsubscribe(d.gossip, bytes_from_string("news")), 0);
    STEP(3);
    gossip_receive(d.gossip, &b, bytes_make("\1\0\0", 3), d.now_ms);
    STEP(3);
    gossip_receive(d.gossip, &b, bytes_make("\7\0\1x", 4), d.now_ms);
    STEP(3);
    gossip_receive(d.gossip, &b, bytes_make("", 0), d.now_ms);
    STEP(3);
    gossip_receive(d.gossip, &b, bytes_make("\1\0\4xx", 5), d.now_ms);
    STEP(3);
    assert_int_equal(at, json_array_size(steps));
    assert_int_equal(gossip_counts(d.gossip)->malformed, 4);
    vectors_close(vectors);
}

/* ---- peers ---- */

static void subscribed_peers(unsigned count, const char *topic)
{
    for (unsigned i = 0; i < count; i++) {
        struct peer_id id = diary_peer(i);
        assert_int_equal(gossip_peer_up(d.gossip, &id), 0);
        diary_receive(&d, &id, GOSSIP_SUBSCRIBE, topic);
    }
}

static void an_own_message_goes_to_every_subscriber(void **state)
{
    (void)state;
    assert_int_equal(subscribe("news"), 0);
    subscribed_peers(50, "news");
    diary_clear(&d);
    assert_int_equal(publish("news", "hello"), 50);
    for (unsigned i = 0; i < 50; i++) {
        struct peer_id id = diary_peer(i);
        assert_int_equal(diary_count(&d, GOSSIP_PUBLISH, &id), 1);
    }
}

static void beyond_the_bound_others_take_turns(void **state)
{
    (void)state;
    const struct peer_id *const *targets = NULL;
    subscribed_peers(100, "news");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(gossip_targets(d.gossip, bytes_from_string("news"), d.now_ms, &targets),
                         64);
        assert_int_equal(publish("news", "hello"), 64);
    }
    for (unsigned i = 0; i < 100; i++) {
        struct peer_id id = diary_peer(i);
        assert_true(diary_count(&d, GOSSIP_PUBLISH, &id) >= 2);
    }
}

static void the_targets_told_are_the_targets_sent_to(void **state)
{
    (void)state;
    const struct peer_id *const *targets = NULL;
    subscribed_peers(100, "news");
    for (int i = 0; i < 3; i++) {
        size_t count = gossip_targets(d.gossip, bytes_from_string("news"), d.now_ms, &targets);
        struct peer_id told[64];
        for (size_t j = 0; j < count; j++) {
            told[j] = *targets[j];
        }
        diary_clear(&d);
        assert_int_equal(publish("news", "x"), count);
        for (size_t j = 0; j < count; j++) {
            assert_int_equal(diary_count(&d, GOSSIP_PUBLISH, &told[j]), 1);
        }
    }
    assert_int_equal(gossip_targets(d.gossip, bytes_from_string("?"), d.now_ms, &targets), 0);
}

static void without_flooding_only_mesh_or_fanout_get_it(void **state)
{
    (void)state;
    diary_close(&d);
    struct gossip_options options = diary_options();
    options.flood = 0;
    diary_open(&d, &options);
    subscribed_peers(20, "news");
    assert_int_equal(publish("news", "x"), 6);
    assert_int_equal(subscribe("news"), 0);
    assert_int_equal(publish("news", "x"), 6);
}

static void a_replaced_link_is_told_everything_again(void **state)
{
    (void)state;
    struct peer_id peer = diary_peer(1);
    struct peer_id stranger = diary_peer(2);
    assert_int_equal(subscribe("a"), 0);
    assert_int_equal(subscribe("b"), 0);
    assert_int_equal(gossip_peer_up(d.gossip, &peer), 0);
    assert_int_equal(diary_count(&d, GOSSIP_SUBSCRIBE, &peer), 2);
    diary_receive(&d, &peer, GOSSIP_SUBSCRIBE, "a");
    diary_receive(&d, &peer, GOSSIP_SUBSCRIBE, "c");
    diary_clear(&d);
    gossip_peer_replaced(d.gossip, &peer);
    gossip_peer_replaced(d.gossip, &stranger);
    assert_int_equal(diary_count(&d, GOSSIP_SUBSCRIBE, &peer), 2);
    assert_int_equal(diary_count(&d, GOSSIP_GRAFT, &peer), 1);
    assert_int_equal(diary_count(&d, GOSSIP_UNSUBSCRIBE, &peer), 1);
    assert_int_equal(d.sent_count, 4);
    assert_int_equal(gossip_peer_up(d.gossip, &peer), 0); /* it is up */
    assert_int_equal(d.sent_count, 4);
}

static void what_a_full_link_lost_is_said_again(void **state)
{
    (void)state;
    struct peer_id peer = diary_peer(1);
    assert_int_equal(gossip_peer_up(d.gossip, &peer), 0);
    diary_receive(&d, &peer, GOSSIP_SUBSCRIBE, "news");
    d.refuses = peer;
    assert_int_equal(subscribe("news"), 0);
    diary_beat(&d);
    assert_int_equal(d.sent_count, 0);
    d.refuses = (struct peer_id){{0}};
    diary_beat(&d);
    assert_int_equal(diary_count(&d, GOSSIP_SUBSCRIBE, &peer), 1);
    assert_int_equal(diary_count(&d, GOSSIP_GRAFT, &peer), 1);
    diary_beat(&d);
    assert_int_equal(d.sent_count, 2);
}

static void a_message_that_was_lost_is_offered_to_whoever_lost_it(void **state)
{
    (void)state;
    struct peer_id peer = diary_peer(1);
    assert_int_equal(subscribe("news"), 0);
    subscribed_peers(3, "news"); /* all in the mesh, so none would hear of it */
    d.refuses = peer;
    assert_int_equal(publish("news", "lost"), 2);
    assert_int_equal(gossip_counts(d.gossip)->dropped, 1);
    d.refuses = (struct peer_id){{0}};
    diary_beat(&d);
    assert_int_equal(diary_count(&d, GOSSIP_IHAVE, NULL), 1);
    assert_int_equal(diary_count(&d, GOSSIP_IHAVE, &peer), 1);
    diary_clear(&d);
    for (int i = 0; i < 5; i++) {
        diary_beat(&d);
    }
    assert_int_equal(diary_count(&d, GOSSIP_IHAVE, NULL), 2);
}

static void a_peer_that_goes_leaves_nothing_behind(void **state)
{
    (void)state;
    subscribed_peers(5, "news");
    assert_int_equal(subscribe("mine"), 0);
    assert_int_equal(gossip_counts(d.gossip)->topics, 2);
    for (unsigned i = 0; i < 5; i++) {
        struct peer_id id = diary_peer(i);
        gossip_peer_down(d.gossip, &id);
        gossip_peer_down(d.gossip, &id);
    }
    assert_int_equal(gossip_counts(d.gossip)->topics, 1);
    assert_int_equal(gossip_counts(d.gossip)->peers, 0);
    assert_true(gossip_is_idle(d.gossip));
    assert_int_equal(gossip_unsubscribe(d.gossip, bytes_from_string("mine")), 0);
    assert_int_equal(gossip_counts(d.gossip)->topics, 0);
    assert_int_equal(gossip_counts(d.gossip)->subscribed, 0);
}

/* ---- our own doing ---- */

static void names_that_the_wire_cannot_carry_are_refused(void **state)
{
    (void)state;
    static const uint8_t name[GOSSIP_MAX_TOPIC + 1] = {'x'};
    size_t peers = 0;
    struct bytes longest = bytes_make(name, GOSSIP_MAX_TOPIC);
    struct bytes longer = bytes_make(name, GOSSIP_MAX_TOPIC + 1);
    struct bytes empty = bytes_make(name, 0);
    assert_int_equal(gossip_subscribe(d.gossip, longest, 0), 0);
    assert_int_equal(gossip_subscribe(d.gossip, longer, 0), -EINVAL);
    assert_int_equal(gossip_subscribe(d.gossip, empty, 0), -EINVAL);
    assert_int_equal(gossip_unsubscribe(d.gossip, longer), -EINVAL);
    assert_int_equal(gossip_publish(d.gossip, longer, empty, 0, &peers), -EINVAL);
    assert_int_equal(gossip_publish(d.gossip, empty, empty, 0, &peers), -EINVAL);
    assert_int_equal(gossip_publish(d.gossip, longest, empty, 0, &peers), 0);
}

static void a_message_larger_than_the_wire_carries_is_refused(void **state)
{
    (void)state;
    size_t peers = 0;
    struct bytes name = bytes_from_string("t");
    struct bytes data = bytes_make(&d, WIRE_MAX_PAYLOAD - GOSSIP_PUBLISH_MIN);
    assert_int_equal(gossip_publish(d.gossip, name, data, 0, &peers), -EMSGSIZE);
    data.size = SIZE_MAX;
    assert_int_equal(gossip_publish(d.gossip, name, data, 0, &peers), -EMSGSIZE);
}

static void numbers_go_up_by_one_whatever_the_topic_and_wrap(void **state)
{
    (void)state;
    diary_close(&d);
    struct gossip_options options = diary_options();
    options.first_number = UINT64_MAX - 1;
    diary_open(&d, &options);
    subscribed_peers(1, "a");
    (void)publish("a", "1");
    (void)publish("nobody", "2");
    (void)publish("a", "3");
    assert_memory_equal(d.sent[0].payload + 33, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
    assert_memory_equal(d.sent[1].payload + 33, "\0\0\0\0\0\0\0\0", 8);
}

static void subscribing_twice_says_it_once(void **state)
{
    (void)state;
    struct peer_id peer = diary_peer(1);
    assert_int_equal(gossip_peer_up(d.gossip, &peer), 0);
    assert_int_equal(subscribe("a"), 0);
    assert_int_equal(subscribe("a"), 0);
    assert_int_equal(d.sent_count, 1);
    assert_int_equal(gossip_unsubscribe(d.gossip, bytes_from_string("a")), 0);
    assert_int_equal(gossip_unsubscribe(d.gossip, bytes_from_string("a")), 0);
    assert_int_equal(d.sent_count, 2);
}

static void topics_can_be_asked_about(void **state)
{
    (void)state;
    struct gossip_topic_facts facts;
    struct peer_id ids[64];
    struct bytes news = bytes_from_string("news");
    assert_int_equal(subscribe("news"), 0);
    subscribed_peers(20, "news");
    subscribed_peers(3, "other");
    assert_true(gossip_find_topic(d.gossip, news, &facts));
    assert_true(facts.subscribed);
    assert_int_equal(facts.subscribers, 20);
    assert_int_equal(facts.mesh, 4);
    assert_int_equal(facts.fanout, 0);
    assert_int_equal(gossip_topic_peers(d.gossip, news, GOSSIP_SUBSCRIBERS, ids, 64), 20);
    assert_int_equal(gossip_topic_peers(d.gossip, news, GOSSIP_IN_MESH, ids, 64), 4);
    assert_int_equal(gossip_topic_peers(d.gossip, news, GOSSIP_SUBSCRIBERS, ids, 7), 7);
    (void)publish("other", "x");
    assert_true(gossip_find_topic(d.gossip, bytes_from_string("other"), &facts));
    assert_int_equal(facts.fanout, 3);
    assert_int_equal(gossip_topic_peers(d.gossip, facts.name, GOSSIP_IN_MESH, ids, 64), 0);
    assert_false(gossip_find_topic(d.gossip, bytes_from_string("none"), &facts));
    size_t cursor = 0;
    size_t topics = 0;
    while (gossip_next_topic(d.gossip, &cursor, &facts)) {
        topics++;
    }
    assert_int_equal(topics, 2);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(it_answers_as_the_recorded_upstream_node_does),
        CASE(an_own_message_goes_to_every_subscriber),
        CASE(beyond_the_bound_others_take_turns),
        CASE(the_targets_told_are_the_targets_sent_to),
        CASE(without_flooding_only_mesh_or_fanout_get_it),
        CASE(a_replaced_link_is_told_everything_again),
        CASE(what_a_full_link_lost_is_said_again),
        CASE(a_message_that_was_lost_is_offered_to_whoever_lost_it),
        CASE(a_peer_that_goes_leaves_nothing_behind),
        CASE(names_that_the_wire_cannot_carry_are_refused),
        CASE(a_message_larger_than_the_wire_carries_is_refused),
        CASE(numbers_go_up_by_one_whatever_the_topic_and_wrap),
        CASE(subscribing_twice_says_it_once),
        CASE(topics_can_be_asked_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
