/* The service around the gossip engine: sessions, local delivery, waiting for slow links. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake_request.h"
#include "service/gossip_engine.h"
#include "service/topics.h"
#include "virtual_loop.h"

static struct identity identity = {.id = {{0xee, 1}}};
static struct loop *loop;
static struct config *config;
static struct metrics *metrics;
static void *topics;
static struct peer *a;
static struct peer *b;
static bool session_held;
static unsigned emitted[EVENT_COUNT];
static size_t emitted_to;
static unsigned waits;
static unsigned drained;

/* ---- the daemon around it ---- */

struct loop *host_loop(const struct host *host)
{
    (void)host;
    return loop;
}

struct mesh *host_mesh(const struct host *host)
{
    (void)host;
    return NULL;
}

struct metrics *host_metrics(const struct host *host)
{
    (void)host;
    return metrics;
}

const struct config *host_config(const struct host *host)
{
    (void)host;
    return config;
}

const struct identity *mesh_identity(const struct mesh *mesh)
{
    (void)mesh;
    return &identity;
}

void host_emit_to(struct host *host, const uint64_t *sessions, size_t count, enum event_id event,
                  json_t *fields, const struct peer_id *link)
{
    (void)host;
    (void)sessions;
    assert_non_null(link);
    assert_string_equal(json_string_value(json_object_get(fields, "topic")), "news");
    emitted[event]++;
    emitted_to = count;
    json_decref(fields);
}

struct peer_id host_session_link(uint64_t session)
{
    return (struct peer_id){{(uint8_t)session}};
}

bool host_session_held(struct host *host, uint64_t session, const uint64_t *sessions, size_t count)
{
    (void)host;
    (void)session;
    (void)sessions;
    (void)count;
    return session_held;
}

void host_session_wait(struct host *host, uint64_t session, const struct peer_id *peer)
{
    (void)host;
    (void)session;
    (void)peer;
    waits++;
}

void host_peer_drained(struct host *host, const struct peer_id *peer)
{
    (void)host;
    (void)peer;
    drained++;
}

static int set_up(void **state)
{
    (void)state;
    char error[256];
    static struct config_section section; /* the configuration borrows it */
    section = (struct config_section){topics_service.name, topics_service.config};
    fake_reset();
    session_held = false;
    memset(emitted, 0, sizeof emitted);
    waits = 0;
    drained = 0;
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(config_load(&section, 1, NULL, &config, error, sizeof error), 0);
    metrics = metrics_new();
    assert_int_equal(topics_service.open(NULL, &topics), 0);
    a = fake_peer(&(struct peer_id){{0xa}});
    b = fake_peer(&(struct peer_id){{0xb}});
    topics_service.on_peer(topics, a, PEER_UP);
    topics_service.on_peer(topics, b, PEER_UP);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    topics_service.stop(topics);
    topics_service.close(topics);
    metrics_free(metrics);
    config_free(config);
    loop_free(loop);
    fake_reset();
    return 0;
}

static const struct fake_answer *call(enum method_id method, uint64_t session, const char *topic)
{
    return fake_call(&topics_service, topics, method, session, json_pack("{s:s}", "topic", topic));
}

static void subscribe(uint64_t session)
{
    assert_int_equal(call(M_TOPIC_SUBSCRIBE, session, "news")->error, PROTO_ERROR_COUNT);
}

static void receive(struct peer *from, enum gossip_op op, const char *data, uint64_t number)
{
    uint8_t payload[256];
    uint8_t id[GOSSIP_ID_SIZE];
    struct writer writer;
    writer_init(&writer, payload, sizeof payload);
    if (op == GOSSIP_PUBLISH) {
        gossip_make_id(&(struct peer_id){{0xf}}, number, id);
        gossip_write_publish(&writer, id, bytes_from_string("news"), bytes_from_string(data));
    } else {
        gossip_write_topic(&writer, op, bytes_from_string("news"));
    }
    struct message message = {.type = WIRE_GOSSIP, .payload = writer_view(&writer)};
    topics_service.on_message(topics, from, &message);
}

static int publish(uint64_t session, uint8_t flags, size_t *ret_peers)
{
    char error[256] = "";
    struct broadcast broadcast = {0};
    struct client_message message = {.session = session,
                                     .broadcast = &broadcast,
                                     .plane = PLANE_TOPIC,
                                     .flags = flags,
                                     .name = bytes_from_string("news"),
                                     .payload = bytes_from_string("hello")};
    return topics_service.on_client_message(topics, &message, ret_peers, error, sizeof error);
}

static void run(int64_t ms)
{
    struct virtual_world *world = virtual_loop_world(loop);
    virtual_world_run(world, virtual_world_now_ms(world) + ms);
}

/* ---- sessions ---- */

static void peers_learn_of_the_first_and_the_last_session(void **state)
{
    (void)state;
    subscribe(1);
    assert_int_equal(a->frames, 1);
    assert_int_equal(a->last_op, GOSSIP_SUBSCRIBE);
    subscribe(2);
    subscribe(2);
    assert_int_equal(a->frames, 1);
    assert_int_equal(call(M_TOPIC_UNSUBSCRIBE, 1, "news")->error, PROTO_ERROR_COUNT);
    assert_int_equal(call(M_TOPIC_UNSUBSCRIBE, 1, "news")->error, E_NOT_FOUND);
    assert_int_equal(a->frames, 1);
    topics_service.on_session_end(topics, 2);
    assert_int_equal(a->frames, 2);
    assert_int_equal(a->last_op, GOSSIP_UNSUBSCRIBE);
}

static void the_answer_says_who_is_there_already(void **state)
{
    (void)state;
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    const json_t *result = call(M_TOPIC_SUBSCRIBE, 1, "news")->result;
    assert_int_equal(json_integer_value(json_object_get(result, "peers")), 1);
    assert_string_equal(json_string_value(json_object_get(result, "topic")), "news");
    const json_t *members = json_object_get(result, "members");
    assert_int_equal(json_array_size(members), 1);
    assert_string_equal(json_string_value(json_array_get(members, 0)), peer_id_format(&a->id).text);
    assert_false(json_is_true(json_object_get(result, "already")));
    result = call(M_TOPIC_SUBSCRIBE, 1, "news")->result;
    assert_true(json_is_true(json_object_get(result, "already")));
    assert_int_equal(emitted[EV_TOPIC_JOINED], 0);
}

static void a_session_may_subscribe_512_topics(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 512; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(call(M_TOPIC_SUBSCRIBE, 1, name)->error, PROTO_ERROR_COUNT);
    }
    assert_int_equal(call(M_TOPIC_SUBSCRIBE, 1, "more")->error, E_LIMIT);
    json_t *row = json_object();
    topics_service.on_describe_session(topics, 1, row);
    assert_int_equal(json_integer_value(json_object_get(row, "topics")), 512);
    json_decref(row);
}

static void messages_of_peers_reach_every_session_that_subscribes(void **state)
{
    (void)state;
    subscribe(1);
    subscribe(2);
    receive(a, GOSSIP_PUBLISH, "hello", 1);
    receive(b, GOSSIP_PUBLISH, "hello", 1);
    assert_int_equal(fake_delivered.count, 1);
    assert_int_equal(fake_delivered.session_count, 2);
    assert_string_equal(fake_delivered.name, "news");
    assert_memory_equal(fake_delivered.payload, "hello", 5);
    assert_int_equal(fake_delivered.sender.bytes[0], 0xf);
    assert_int_equal(fake_delivered.forwarder.bytes[0], 0xa);
    assert_int_equal(fake_delivered.flags, 0);
}

static void sessions_here_get_it_but_not_the_one_that_published(void **state)
{
    (void)state;
    size_t peers = 9;
    for (uint64_t session = 1; session <= 3; session++) {
        subscribe(session);
    }
    assert_int_equal(publish(2, 0, &peers), 0);
    assert_int_equal(peers, 0);
    assert_int_equal(fake_delivered.of_session[1], 1);
    assert_int_equal(fake_delivered.of_session[2], 0);
    assert_int_equal(fake_delivered.of_session[3], 1);
    assert_int_equal(fake_delivered.flags, MESSAGE_FLAG_LOCAL);
    assert_true(peer_id_equal(&fake_delivered.sender, &identity.id));
    assert_true(peer_id_equal(&fake_delivered.forwarder, &identity.id));
    assert_int_equal(publish(2, MESSAGE_FLAG_ECHO, &peers), 0);
    assert_int_equal(fake_delivered.of_session[2], 1);
    assert_int_equal(publish(7, 0, &peers), 0); /* it does not subscribe itself */
    assert_int_equal(fake_delivered.of_session[1], 3);
}

static void a_message_goes_to_every_peer_that_subscribes(void **state)
{
    (void)state;
    size_t peers = 0;
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    receive(b, GOSSIP_SUBSCRIBE, NULL, 0);
    assert_int_equal(publish(1, 0, &peers), 0);
    assert_int_equal(peers, 2);
    assert_int_equal(fake_delivered.count, 0);
    assert_int_equal(a->last_op, GOSSIP_PUBLISH);
}

static void coming_and_going_is_told_to_those_who_subscribe(void **state)
{
    (void)state;
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    subscribe(1);
    subscribe(2);
    receive(b, GOSSIP_SUBSCRIBE, NULL, 0);
    assert_int_equal(emitted[EV_TOPIC_JOINED], 1);
    assert_int_equal(emitted_to, 2);
    a->gone = true;
    topics_service.on_peer(topics, a, PEER_DOWN);
    run(2000);
    receive(b, GOSSIP_UNSUBSCRIBE, NULL, 0);
    assert_int_equal(emitted[EV_TOPIC_LEFT], 2);
    assert_int_equal(a->news, 0); /* before anybody here cared */
    assert_int_equal(b->news, 2);
}

/* ---- slow ones ---- */

static void a_full_link_is_waited_for_two_seconds_and_then_loses(void **state)
{
    (void)state;
    size_t peers = 0;
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    receive(b, GOSSIP_SUBSCRIBE, NULL, 0);
    a->congested = true;
    assert_int_equal(publish(1, 0, &peers), -EAGAIN);
    assert_int_equal(waits, 1);
    assert_int_equal(b->frames, 0); /* nothing was done: the same message comes again */
    run(1999);
    assert_int_equal(drained, 0);
    run(1);
    assert_int_equal(drained, 1); /* the session goes on */
    assert_int_equal(publish(1, 0, &peers), 0);
    assert_int_equal(peers, 1);
    assert_int_equal(a->frames, 0);
    a->congested = false;
    assert_int_equal(publish(1, 0, &peers), 0);
    assert_int_equal(peers, 2);
    a->congested = true; /* again, within the minute */
    assert_int_equal(publish(1, 0, &peers), 0);
    assert_int_equal(waits, 1);
    run(60000);
    assert_int_equal(publish(1, 0, &peers), -EAGAIN);
}

static void a_link_that_drains_in_time_loses_nothing(void **state)
{
    (void)state;
    size_t peers = 0;
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    for (int i = 0; i < 10; i++) {
        a->congested = true;
        assert_int_equal(publish(1, 0, &peers), -EAGAIN);
        run(500);
        a->congested = false;
        assert_int_equal(publish(1, 0, &peers), 0);
        assert_int_equal(peers, 1);
    }
    assert_int_equal(drained, 0);
}

static void a_peer_that_goes_is_not_waited_for(void **state)
{
    (void)state;
    size_t peers = 9;
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    a->congested = true;
    assert_int_equal(publish(1, 0, &peers), -EAGAIN);
    topics_service.on_peer(topics, a, PEER_DOWN);
    a->gone = true;
    assert_int_equal(publish(1, 0, &peers), 0);
    assert_int_equal(peers, 0);
    run(5000);
    assert_int_equal(drained, 0);
}

static void a_slow_session_here_holds_the_one_that_publishes(void **state)
{
    (void)state;
    size_t peers = 0;
    subscribe(1);
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    unsigned before = a->frames;
    session_held = true;
    assert_int_equal(publish(2, 0, &peers), -EAGAIN);
    assert_int_equal(a->frames, before);
    session_held = false;
    assert_int_equal(publish(2, 0, &peers), 0);
    assert_int_equal(fake_delivered.of_session[1], 1);
}

static void what_cannot_be_published_is_refused_with_a_sentence(void **state)
{
    (void)state;
    char error[256] = "";
    size_t peers = 0;
    struct broadcast broadcast = {0};
    struct client_message message = {.session = 1, .plane = PLANE_TOPIC, .broadcast = &broadcast};
    assert_int_equal(
        topics_service.on_client_message(topics, &message, &peers, error, sizeof error), -EINVAL);
    assert_non_null(strstr(error, "1 to 65535"));
    message.name = bytes_from_string("news");
    message.payload = bytes_make(error, WIRE_MAX_PAYLOAD - 10);
    assert_int_equal(
        topics_service.on_client_message(topics, &message, &peers, error, sizeof error), -EMSGSIZE);
    assert_non_null(strstr(error, "at most"));
}

/* ---- questions ---- */

static void topics_of_a_session_are_listed_in_order(void **state)
{
    (void)state;
    assert_int_equal(call(M_TOPIC_SUBSCRIBE, 1, "b")->error, PROTO_ERROR_COUNT);
    assert_int_equal(call(M_TOPIC_SUBSCRIBE, 1, "ab")->error, PROTO_ERROR_COUNT);
    assert_int_equal(call(M_TOPIC_SUBSCRIBE, 2, "c")->error, PROTO_ERROR_COUNT);
    assert_int_equal(call(M_TOPIC_SUBSCRIBE, 1, "a")->error, PROTO_ERROR_COUNT);
    const json_t *names = json_object_get(call(M_TOPIC_LIST, 1, "")->result, "topics");
    assert_int_equal(json_array_size(names), 3);
    assert_string_equal(json_string_value(json_array_get(names, 0)), "a");
    assert_string_equal(json_string_value(json_array_get(names, 1)), "ab");
    assert_string_equal(json_string_value(json_array_get(names, 2)), "b");
}

static size_t peers_of(enum method_id method)
{
    return json_array_size(json_object_get(call(method, 1, "news")->result, "peers"));
}

static void peers_and_mesh_of_a_topic_can_be_asked_for(void **state)
{
    (void)state;
    assert_int_equal(peers_of(M_TOPIC_PEERS), 0);
    receive(b, GOSSIP_SUBSCRIBE, NULL, 0);
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    assert_int_equal(peers_of(M_TOPIC_PEERS), 2);
    const json_t *ids = json_object_get(call(M_TOPIC_PEERS, 1, "news")->result, "peers");
    assert_string_equal(json_string_value(json_array_get(ids, 0)), peer_id_format(&a->id).text);
    assert_int_equal(peers_of(M_TOPIC_MESH), 0);
    subscribe(1);
    assert_int_equal(peers_of(M_TOPIC_MESH), 2);
}

static void all_topics_are_listed_ours_first(void **state)
{
    (void)state;
    static const char hostile[] = "\1\0\5a\0\xff\n\\";
    struct message message = {.type = WIRE_GOSSIP, .payload = bytes_make(hostile, 8)};
    topics_service.on_message(topics, a, &message);
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    assert_int_equal(call(M_TOPIC_SUBSCRIBE, 1, "zebra")->error, PROTO_ERROR_COUNT);
    const json_t *result = call(M_TOPIC_ALL, 1, "")->result;
    const json_t *rows = json_object_get(result, "topics");
    assert_int_equal(json_integer_value(json_object_get(result, "known")), 3);
    assert_int_equal(json_array_size(rows), 3);
    const json_t *first = json_array_get(rows, 0);
    assert_string_equal(json_string_value(json_object_get(first, "topic")), "zebra");
    assert_int_equal(json_integer_value(json_object_get(first, "sessions")), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "topic")),
                        "a\\x00\\xff\\x0a\\\\");
    result =
        fake_call(&topics_service, topics, M_TOPIC_ALL, 1, json_pack("{s:i}", "limit", 2))->result;
    assert_int_equal(json_array_size(json_object_get(result, "topics")), 2);
    assert_int_equal(json_integer_value(json_object_get(result, "known")), 3);
}

static uint64_t metric(const char *name)
{
    const json_t *result = call(M_TOPIC_STATISTICS, 1, "")->result;
    assert_non_null(json_object_get(result, name));
    return (uint64_t)json_integer_value(json_object_get(result, name));
}

static void statistics_count_what_happened(void **state)
{
    (void)state;
    size_t peers = 0;
    subscribe(1);
    subscribe(2);
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    receive(b, GOSSIP_PUBLISH, "x", 1);
    receive(a, GOSSIP_PUBLISH, "x", 1);
    assert_int_equal(publish(1, 0, &peers), 0);
    assert_int_equal(metric("subscribed"), 1);
    assert_int_equal(metric("known"), 1);
    assert_int_equal(metric("peers"), 2);
    assert_int_equal(metric("published"), 1);
    assert_int_equal(metric("received"), 1);
    assert_int_equal(metric("delivered"), 3);
    assert_int_equal(metric("forwarded"), 1);
    assert_int_equal(metric("duplicates"), 1);
    assert_int_equal(metric("dropped"), 0);
    assert_true(metric("cached_bytes") > 0);
    run(10000);
    assert_int_equal(metric("cached_bytes"), 0);
}

static void without_anything_to_do_no_timer_runs(void **state)
{
    (void)state;
    size_t peers = 0;
    receive(a, GOSSIP_SUBSCRIBE, NULL, 0);
    run(10000);
    assert_false(virtual_world_step(virtual_loop_world(loop)));
    subscribe(1);
    assert_int_equal(publish(1, 0, &peers), 0);
    assert_int_equal(call(M_TOPIC_UNSUBSCRIBE, 1, "news")->error, PROTO_ERROR_COUNT);
    run(70000);
    assert_false(virtual_world_step(virtual_loop_world(loop)));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(peers_learn_of_the_first_and_the_last_session),
        CASE(the_answer_says_who_is_there_already),
        CASE(a_session_may_subscribe_512_topics),
        CASE(messages_of_peers_reach_every_session_that_subscribes),
        CASE(sessions_here_get_it_but_not_the_one_that_published),
        CASE(a_message_goes_to_every_peer_that_subscribes),
        CASE(coming_and_going_is_told_to_those_who_subscribe),
        CASE(a_full_link_is_waited_for_two_seconds_and_then_loses),
        CASE(a_link_that_drains_in_time_loses_nothing),
        CASE(a_peer_that_goes_is_not_waited_for),
        CASE(a_slow_session_here_holds_the_one_that_publishes),
        CASE(what_cannot_be_published_is_refused_with_a_sentence),
        CASE(topics_of_a_session_are_listed_in_order),
        CASE(peers_and_mesh_of_a_topic_can_be_asked_for),
        CASE(all_topics_are_listed_ours_first),
        CASE(statistics_count_what_happened),
        CASE(without_anything_to_do_no_timer_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
