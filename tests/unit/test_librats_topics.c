/* Topics: subscriptions, what is delivered while they last, publishing, and what is known of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "librats_fixture.h"
#include "proto/message_head.h"

#define NOBODY "0000000000000000000000000000000000000000000000000000000000000000"

static char news[] = "news";
static char sport[] = "sport";

static void on_text(void *user_data, const char *peer_id, const char *topic, const char *message)
{
    (void)user_data;
    note("text %s %s '%s'\n", who(peer_id), topic, message);
}

static void on_topic_json(void *user_data, const char *peer_id, const char *topic, const char *json)
{
    (void)user_data;
    note("json %s %s %s\n", who(peer_id), topic, json);
}

static void on_bytes(void *user_data, const char *peer_id, const char *topic, const void *data,
                     size_t size)
{
    (void)user_data;
    assert_non_null(data);
    note("bytes %s %s %zu\n", who(peer_id), topic, size);
}

static void on_forwarded(void *user_data, const char *peer_id, const char *forwarder_id,
                         const char *topic, const void *data, size_t size)
{
    (void)user_data;
    assert_non_null(data);
    note("from %s ", who(peer_id));
    note("through %s %s %zu\n", who(forwarder_id), topic, size);
}

static void on_joined(void *user_data, const char *peer_id, const char *topic)
{
    (void)user_data;
    note("joined %s %s\n", who(peer_id), topic);
}

static void on_left(void *user_data, const char *peer_id, const char *topic)
{
    (void)user_data;
    note("left %s %s\n", who(peer_id), topic);
}

static void hear(const char *topic)
{
    rats_set_topic_message_callback(client, topic, on_text, NULL);
    rats_set_topic_json_message_callback(client, topic, on_topic_json, NULL);
    rats_set_topic_binary_callback(client, topic, on_bytes, NULL);
    rats_set_topic_peer_joined_callback(client, topic, on_joined, NULL);
    rats_set_topic_peer_left_callback(client, topic, on_left, NULL);
}

static intptr_t subscribe(void *topic)
{
    return rats_subscribe_to_topic(client, topic);
}

static intptr_t unsubscribe(void *topic)
{
    return rats_unsubscribe_from_topic(client, topic);
}

static intptr_t stop(void *arg)
{
    (void)arg;
    rats_stop(client);
    return 0;
}

/* Runs what makes one call, with that granted. */
static intptr_t granted(intptr_t (*function)(void *arg), char *topic, const char *method)
{
    struct fake_task *task = fake_run(function, topic);
    json_t *params = NULL;
    const uint64_t id = fake_expect_call(&daemon_side, method, &params);
    assert_string_equal(json_string_value(json_object_get(params, "topic")), topic);
    json_decref(params);
    fake_reply(&daemon_side, id, "{\"already\":false,\"peers\":0}");
    return fake_join(task);
}

/* Bob has published, Eve has passed it on. */
static void published(const char *topic, const char *text)
{
    fake_message_on(&daemon_side, PLANE_TOPIC, 0, FAKE_BOB, FAKE_EVE, topic, text, strlen(text));
}

static void peer_event(const char *event, const char *peer, const char *topic)
{
    char fields[256];
    (void)snprintf(fields, sizeof fields, "{\"peer\":\"%s\",\"topic\":\"%s\"}", peer, topic);
    fake_event(&daemon_side, event, fields);
}

static void expect_names(char **names, int count, const char *expected)
{
    char text[256] = "";
    for (int i = 0; i < count; i++) {
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", names[i]);
    }
    assert_string_equal(text, expected);
    assert_true((names == NULL) == (count == 0));
    rats_free_array(names, count);
}

static void expect_subscribed(const char *expected)
{
    int count = -1;
    char **names = rats_get_subscribed_topics(client, &count);
    expect_names(names, count, expected);
}

static void messages_come_while_the_session_subscribes(void **state)
{
    (void)state;
    attach("");
    hear("news");
    assert_int_equal(rats_is_subscribed_to_topic(client, "news"), 0);
    assert_int_equal(granted(subscribe, news, "topic.subscribe"), RATS_SUCCESS); /* not started */
    assert_int_equal(rats_subscribe_to_topic(client, "news"), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_is_subscribed_to_topic(client, "news"), 1);
    fake_start(&daemon_side, client);
    published("news", "hello");
    published("sport", "hello");
    published("news", "[1]");
    published("news", "");
    expect_seen(7, "text bob news 'hello'\nbytes bob news 5\n"
                   "text bob news '[1]'\njson bob news [1]\nbytes bob news 3\n"
                   "text bob news ''\nbytes bob news 0\n");
    assert_int_equal(granted(unsubscribe, news, "topic.unsubscribe"), RATS_SUCCESS);
    assert_int_equal(rats_unsubscribe_from_topic(client, "news"), RATS_ERROR_OPERATION_FAILED);
    published("news", "late");
    fake_event(&daemon_side, "lost", "{\"total\":1}");
    expect_seen(1, "lost 1\n"); /* so "late" has been passed over */
    assert_int_equal(granted(subscribe, news, "topic.subscribe"), RATS_SUCCESS);
    published("news", "again");
    expect_seen(2, "text bob news 'again'\nbytes bob news 5\n");
}

/* To news, with all callbacks, not started. */
static void be_subscribed(void)
{
    attach("");
    hear("news");
    assert_int_equal(granted(subscribe, news, "topic.subscribe"), RATS_SUCCESS);
}

static void text_ends_at_a_nul_and_bytes_do_not(void **state)
{
    (void)state;
    be_subscribed();
    fake_start(&daemon_side, client);
    fake_message_on(&daemon_side, PLANE_TOPIC, MESSAGE_FLAG_LOCAL, FAKE_BOB, FAKE_BOB, "news",
                    "a\0b", 3);
    expect_seen(2, "text bob news 'a'\nbytes bob news 3\n");
}

static void each_callback_is_independent_and_null_clears(void **state)
{
    (void)state;
    be_subscribed();
    assert_int_equal(granted(subscribe, sport, "topic.subscribe"), RATS_SUCCESS);
    fake_start(&daemon_side, client);
    rats_set_topic_message_callback(client, "news", NULL, NULL);
    published("news", "[1]");
    expect_seen(2, "json bob news [1]\nbytes bob news 3\n");
    rats_set_topic_json_message_callback(client, "news", NULL, NULL);
    published("news", "[2]");
    expect_seen(1, "bytes bob news 3\n");
    hear("news");
    rats_clear_topic_callbacks(client, "news");
    published("news", "[3]");
    peer_event("topic.joined", FAKE_BOB, "news");
    hear("sport");
    published("sport", "end"); /* what came before this has been dispatched */
    expect_seen(2, "text bob sport 'end'\nbytes bob sport 3\n");
    rats_set_topic_json_message_callback(client, "news", on_topic_json, NULL);
    assert_int_equal(rats_is_subscribed_to_topic(client, "news"), 1);
    published("news", "[4]");
    expect_seen(1, "json bob news [4]\n");
}

static void the_peer_that_passed_it_on_is_told_beside_the_publisher(void **state)
{
    (void)state;
    attach("");
    rats_set_topic_forwarded_callback(client, "news", on_forwarded, NULL);
    assert_int_equal(granted(subscribe, news, "topic.subscribe"), RATS_SUCCESS);
    fake_start(&daemon_side, client);
    published("news", "x");
    published("news", "");
    expect_seen(4, "from bob through eve news 1\nfrom bob through eve news 0\n");
    fake_message_on(&daemon_side, PLANE_TOPIC, 0, FAKE_BOB, NULL, "news", "?", 1); /* of whom? */
    published("news", "x"); /* by then the one before has been dealt with */
    expect_seen(2, "from bob through eve news 1\n");
    rats_set_topic_forwarded_callback(client, "news", NULL, NULL);
    rats_set_topic_binary_callback(client, "news", on_bytes, NULL);
    published("news", "y");
    expect_seen(1, "bytes bob news 1\n");
}

static void on_text_and_unsubscribe(void *user_data, const char *peer_id, const char *topic,
                                    const char *message)
{
    on_text(user_data, peer_id, topic, message);
    note("unsubscribed %d\n", (int)rats_unsubscribe_from_topic(client, topic));
    rats_clear_topic_callbacks(client, topic);
    note("subscribed %d\n", (int)rats_subscribe_to_topic(client, "sport"));
}

static void a_callback_may_change_everything(void **state)
{
    (void)state;
    attach("");
    hear("news");
    hear("sport");
    rats_set_topic_message_callback(client, "news", on_text_and_unsubscribe, NULL);
    assert_int_equal(granted(subscribe, news, "topic.subscribe"), RATS_SUCCESS);
    fake_start(&daemon_side, client);
    published("news", "[1]");
    published("news", "[2]");
    fake_grant(&daemon_side, "topic.unsubscribe");
    fake_grant(&daemon_side, "topic.subscribe");
    published("sport", "3");
    expect_seen(6, "text bob news '[1]'\nunsubscribed 0\nsubscribed 0\n"
                   "text bob sport '3'\njson bob sport 3\nbytes bob sport 1\n");
}

static void peers_join_and_leave(void **state)
{
    (void)state;
    be_subscribed();
    fake_start(&daemon_side, client);
    peer_event("topic.joined", FAKE_BOB, "news");
    peer_event("topic.joined", FAKE_EVE, "news");
    peer_event("topic.joined", FAKE_BOB, "sport");
    peer_event("topic.left", FAKE_EVE, "news");
    expect_seen(3, "joined bob news\njoined eve news\nleft eve news\n");
    fake_hang_up(&daemon_side); /* the daemon takes them all along */
    expect_seen(2, "left bob news\ndaemon 0\n");
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, "");
    fake_grant(&daemon_side, "topic.subscribe");
    fake_grant(&daemon_side, "session.start");
    expect_seen(1, "daemon 1\n");
    peer_event("topic.joined", FAKE_BOB, "news");
    published("news", "x");
    expect_seen(3, "joined bob news\ntext bob news 'x'\nbytes bob news 1\n");
}

/* The daemon says who is in the topic when it takes the subscription. */
static void grant_with_members(const char *topic, const char *members)
{
    char result[512];
    (void)snprintf(result, sizeof result,
                   "{\"already\":false,\"peers\":0,\"topic\":\"%s\",\"members\":[%s]}", topic,
                   members);
    fake_reply(&daemon_side, fake_expect_call(&daemon_side, "topic.subscribe", NULL), result);
}

/* The same, and Bob was there before. */
static void be_subscribed_with_bob(void)
{
    attach("");
    hear("news");
    struct fake_task *task = fake_run(subscribe, news);
    grant_with_members("news", "\"" FAKE_BOB "\"");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
}

static void those_who_are_there_already_join_once(void **state)
{
    (void)state;
    be_subscribed_with_bob();
    peer_event("topic.joined", FAKE_EVE, "news"); /* nothing is said before the start */
    fake_start(&daemon_side, client);
    expect_seen(2, "joined bob news\njoined eve news\n");
    peer_event("topic.left", FAKE_BOB, "news");
    fake_hang_up(&daemon_side);
    expect_seen(3, "left bob news\nleft eve news\ndaemon 0\n");
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, "");
    grant_with_members("news", "\"" FAKE_BOB "\"");
    const uint64_t start = fake_expect_call(&daemon_side, "session.start", NULL);
    peer_event("topic.joined", FAKE_EVE, "news"); /* the session is not started yet */
    fake_reply(&daemon_side, start, "{}");
    expect_seen(3, "daemon 1\njoined bob news\njoined eve news\n");
    struct fake_task *task = fake_run(unsubscribe, news);
    fake_grant(&daemon_side, "topic.unsubscribe");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    task = fake_run(subscribe, news);
    grant_with_members("news", "\"" FAKE_EVE "\",\"nobody\",7");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    expect_seen(1, "joined eve news\n");
}

static void a_daemon_that_goes_before_the_session_is_started_again_takes_nobody_along(void **state)
{
    (void)state;
    be_subscribed_with_bob();
    fake_start(&daemon_side, client);
    expect_seen(1, "joined bob news\n");
    fake_hang_up(&daemon_side);
    expect_seen(2, "left bob news\ndaemon 0\n");
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, "");
    grant_with_members("news", "\"" FAKE_BOB "\"");
    (void)fake_expect_call(&daemon_side, "session.start", NULL);
    fake_hang_up(&daemon_side); /* nobody was told that Bob is back */
    expect_seen(2, "daemon 1\ndaemon 0\n");
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, "");
    grant_with_members("news", "\"" FAKE_BOB "\"");
    fake_grant(&daemon_side, "session.start");
    expect_seen(2, "daemon 1\njoined bob news\n");
}

static void stopping_ends_all_subscriptions_and_keeps_callbacks(void **state)
{
    (void)state;
    attach("");
    hear("news");
    assert_int_equal(granted(subscribe, sport, "topic.subscribe"), RATS_SUCCESS);
    assert_int_equal(granted(subscribe, news, "topic.subscribe"), RATS_SUCCESS);
    expect_subscribed("news sport ");
    assert_int_equal(rats_is_gossipsub_running(client), 0);
    fake_start(&daemon_side, client);
    assert_int_equal(rats_is_gossipsub_running(client), 1);
    assert_int_equal(rats_is_gossipsub_available(client), 1);
    struct fake_task *task = fake_run(stop, NULL);
    fake_grant(&daemon_side, "topic.unsubscribe");
    fake_grant(&daemon_side, "topic.unsubscribe");
    fake_grant(&daemon_side, "session.stop");
    (void)fake_join(task);
    expect_subscribed("");
    fake_start(&daemon_side, client);
    assert_int_equal(granted(subscribe, news, "topic.subscribe"), RATS_SUCCESS);
    published("news", "x");
    expect_seen(2, "text bob news 'x'\nbytes bob news 1\n");
}

static void a_refused_subscription_is_none(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(subscribe, news);
    fake_fail(&daemon_side, fake_expect_call(&daemon_side, "topic.subscribe", NULL), "limit", -13,
              "512 topics");
    assert_int_equal(fake_join(task), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_is_subscribed_to_topic(client, "news"), 0);
    expect_subscribed("");
}

static void what_is_published_reaches_the_daemon_without_any_peer(void **state)
{
    (void)state;
    attach("");
    assert_int_equal(rats_publish_to_topic(client, "news", "x"), RATS_ERROR_NOT_RUNNING);
    fake_start(&daemon_side, client);
    assert_int_equal(rats_publish_to_topic(client, "news", "one"), RATS_SUCCESS);
    assert_int_equal(rats_publish_to_topic(client, "news", ""), RATS_SUCCESS);
    assert_int_equal(rats_publish_json_to_topic(client, "news", " [3]"), RATS_SUCCESS);
    assert_int_equal(rats_publish_binary_to_topic(client, "news", "four", 4, 0), RATS_SUCCESS);
    assert_int_equal(rats_publish_binary_to_topic(client, "news", NULL, 0, 7), RATS_SUCCESS);
    expect_on_plane(PLANE_TOPIC, 0, NOBODY, "news", "one");
    expect_on_plane(PLANE_TOPIC, 0, NOBODY, "news", "");
    expect_on_plane(PLANE_TOPIC, 0, NOBODY, "news", " [3]");
    expect_on_plane(PLANE_TOPIC, 0, NOBODY, "news", "four");
    expect_on_plane(PLANE_TOPIC, MESSAGE_FLAG_ECHO, NOBODY, "news", "");
}

static void what_cannot_work_is_refused_at_once(void **state)
{
    (void)state;
    attach("");
    fake_start(&daemon_side, client);
    char name[4098];
    memset(name, 'n', sizeof name);
    name[4097] = '\0';
    const char *const bad[] = {"", name, "\xff", NULL};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(rats_subscribe_to_topic(client, bad[i]), RATS_ERROR_INVALID_PARAMETER);
        assert_int_equal(rats_unsubscribe_from_topic(client, bad[i]), RATS_ERROR_INVALID_PARAMETER);
        assert_int_equal(rats_publish_to_topic(client, bad[i], "x"), RATS_ERROR_INVALID_PARAMETER);
        assert_int_equal(rats_is_subscribed_to_topic(client, bad[i]), 0);
        rats_set_topic_message_callback(client, bad[i], on_text, NULL);
        assert_int_equal(rats_last_error(client), RATS_ERROR_INVALID_PARAMETER);
        int count = 7;
        assert_null(rats_get_topic_peers(client, bad[i], &count));
        assert_int_equal(count, 0);
    }
    assert_int_equal(rats_publish_json_to_topic(client, "news", "{"), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_publish_binary_to_topic(client, "news", "x", RATS_MAX_PAYLOAD - 46, 0),
                     RATS_ERROR_TOO_LARGE);
    assert_int_equal(rats_last_error(client), RATS_ERROR_TOO_LARGE);
    assert_true(fake_is_silent(&daemon_side, 0));
}

struct list_arguments {
    char **(*function)(rats_client_t handle, const char *topic, int *ret_count);
    int count;
    char **names;
};

static intptr_t list_peers(void *arg)
{
    struct list_arguments *arguments = arg;
    arguments->names = arguments->function(client, "news", &arguments->count);
    return 0;
}

static void the_daemon_is_asked_for_peers(void **state)
{
    (void)state;
    attach("");
    struct list_arguments arguments = {.function = rats_get_topic_peers, .count = -1};
    struct fake_task *task = fake_run(list_peers, &arguments);
    fake_reply(&daemon_side, fake_expect_call(&daemon_side, "topic.peers", NULL),
               "{\"peers\":[\"" FAKE_BOB "\",\"" FAKE_EVE "\"]}");
    (void)fake_join(task);
    expect_names(arguments.names, arguments.count, FAKE_BOB " " FAKE_EVE " ");
    arguments.function = rats_get_topic_mesh_peers;
    task = fake_run(list_peers, &arguments);
    fake_reply(&daemon_side, fake_expect_call(&daemon_side, "topic.mesh", NULL), "{\"peers\":[]}");
    (void)fake_join(task);
    expect_names(arguments.names, arguments.count, "");
}

static char *statistics_text;

static intptr_t statistics(void *arg)
{
    (void)arg;
    statistics_text = rats_get_gossipsub_statistics_json(client);
    return 0;
}

static void expect_statistics(const char *reply, const char *expected)
{
    struct fake_task *task = fake_run(statistics, NULL);
    fake_reply(&daemon_side, fake_expect_call(&daemon_side, "topic.statistics", NULL), reply);
    (void)fake_join(task);
    assert_string_equal(statistics_text, expected);
    rats_string_free(statistics_text);
}

static void statistics_have_all_keys(void **state)
{
    (void)state;
    attach("");
    assert_int_equal(granted(subscribe, news, "topic.subscribe"), RATS_SUCCESS);
    expect_statistics("{\"known\":0,\"peers\":0,\"topics\":[]}",
                      "{\"available\":true,\"delivered\":0,\"peers_count\":0,\"published\":0,"
                      "\"running\":false,\"subscribed_topics_count\":1,\"topics\":{},"
                      "\"total_topics_count\":0}");
    fake_start(&daemon_side, client);
    expect_statistics(
        "{\"known\":2,\"peers\":3,\"published\":4,\"delivered\":5,\"topics\":["
        "{\"topic\":\"news\",\"sessions\":1,\"subscribers\":6,\"mesh\":7,\"fanout\":0},"
        "{\"topic\":\"sport\",\"sessions\":1,\"subscribers\":0,\"mesh\":0,\"fanout\":8}]}",
        "{\"available\":true,\"average_peer_score\":0.0,\"delivered\":5,\"max_peer_score\":0.0,"
        "\"min_peer_score\":0.0,\"peers_count\":3,\"published\":4,\"running\":true,"
        "\"subscribed_topics_count\":1,\"topics\":{"
        "\"news\":{\"fanout_peers_count\":0,\"is_subscribed\":true,\"mesh_peers_count\":7,"
        "\"subscribers_count\":6},"
        "\"sport\":{\"fanout_peers_count\":8,\"is_subscribed\":false,\"mesh_peers_count\":0,"
        "\"subscribers_count\":0}},\"total_topics_count\":2}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    (void)unsetenv("RATS_SOCKET");
    const struct CMUnitTest tests[] = {
        TEST(messages_come_while_the_session_subscribes),
        TEST(text_ends_at_a_nul_and_bytes_do_not),
        TEST(each_callback_is_independent_and_null_clears),
        TEST(the_peer_that_passed_it_on_is_told_beside_the_publisher),
        TEST(a_callback_may_change_everything),
        TEST(peers_join_and_leave),
        TEST(those_who_are_there_already_join_once),
        TEST(a_daemon_that_goes_before_the_session_is_started_again_takes_nobody_along),
        TEST(stopping_ends_all_subscriptions_and_keeps_callbacks),
        TEST(a_refused_subscription_is_none),
        TEST(what_is_published_reaches_the_daemon_without_any_peer),
        TEST(what_cannot_work_is_refused_at_once),
        TEST(the_daemon_is_asked_for_peers),
        TEST(statistics_have_all_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
