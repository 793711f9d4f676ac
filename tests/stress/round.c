#include "round.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_MS 250

/* One handle and what its callbacks saw. */
struct round {
    const struct far_end *far;
    rats_client_t client;
    uint64_t seed;
    bool restarts;            /* threads stop and start the session */
    atomic_bool over;         /* threads end */
    atomic_bool destroy_next; /* the next callback destroys the handle */
    atomic_bool destroyed;
    atomic_int inside; /* callbacks running */
    atomic_uint calls;
    atomic_uint echoes;
    atomic_uint threads;
    bool connected;
};

static void call_something(struct round *round, uint64_t *random, bool in_callback);

static void enter(struct round *round)
{
    if (atomic_fetch_add(&round->inside, 1) != 0) {
        fail("two callbacks of one handle at once");
    }
}

static void leave(struct round *round)
{
    uint64_t random = round->seed + atomic_fetch_add(&round->calls, 1) * 2654435761u + 1;
    if (atomic_exchange(&round->destroy_next, false)) {
        rats_destroy(round->client);
        (void)atomic_fetch_sub(&round->inside, 1);
        atomic_store(&round->destroyed, true);
        return;
    }
    if (!atomic_load(&round->over) && next_random(&random) % 4 == 0) {
        call_something(round, &random, true);
    }
    (void)atomic_fetch_sub(&round->inside, 1);
}

static void on_connection(void *user_data, const char *peer_id)
{
    struct round *round = user_data;
    (void)peer_id;
    enter(round);
    if (round->connected && !round->restarts && !atomic_load(&round->over)) {
        fail("the peer connected twice");
    }
    round->connected = true;
    leave(round);
}

static void on_disconnect(void *user_data, const char *peer_id)
{
    struct round *round = user_data;
    (void)peer_id;
    enter(round);
    if (!round->connected) {
        fail("a peer that was not there has gone");
    }
    round->connected = false;
    leave(round);
}

static void on_string(void *user_data, const char *peer_id, const char *message)
{
    struct round *round = user_data;
    (void)peer_id;
    enter(round);
    if (strcmp(message, "are you there?") == 0) {
        (void)atomic_fetch_add(&round->echoes, 1);
    }
    leave(round);
}

static void on_bytes(void *user_data, const char *peer_id, const char *channel, const void *data,
                     size_t size)
{
    (void)peer_id;
    (void)channel;
    (void)data;
    (void)size;
    enter(user_data);
    leave(user_data);
}

static void on_event(void *user_data, const char *event, const char *json, uint64_t sequence)
{
    (void)event;
    (void)json;
    (void)sequence;
    enter(user_data);
    leave(user_data);
}

static void on_daemon(void *user_data, int attached)
{
    (void)attached;
    enter(user_data);
    leave(user_data);
}

static void send_something(const struct round *round, uint64_t *random)
{
    uint8_t data[LARGEST];
    const size_t size = 1 + next_random(random) % (next_random(random) % 8 == 0 ? LARGEST : 300);
    const char *peer = round->far->peer_id;
    memset(data, (int)size, size);
    switch (next_random(random) % 5) {
    case 0:
        (void)rats_send_string(round->client, peer, "some words");
        break;
    case 1:
        (void)rats_send_binary(round->client, peer, data, size);
        break;
    case 2:
        (void)rats_send_json(round->client, peer, "{\"a\":[1,2,3]}");
        break;
    case 3:
        (void)rats_broadcast_string(round->client, "words to all");
        break;
    default:
        (void)rats_channel_send(round->client, peer, "c1", data, size);
        break;
    }
}

static void ask_something(const struct round *round, uint64_t *random)
{
    char *text = NULL;
    char **ids;
    int count = 0;
    switch (next_random(random) % 6) {
    case 0:
        ids = rats_get_peer_ids(round->client, &count);
        rats_free_array(ids, count);
        return;
    case 1:
        text = rats_get_peer_info_json(round->client, round->far->peer_id);
        break;
    case 2:
        text = rats_get_instance_json(round->client);
        break;
    case 3:
        text = rats_get_our_peer_id(round->client);
        break;
    case 4: /* a call that is given up at once as often as not */
        (void)rats_call(round->client, "protocol.describe", NULL, (int)(next_random(random) % 3),
                        &text);
        break;
    default:
        (void)rats_call(round->client, "session.list", "{}", 5000, &text);
        break;
    }
    rats_string_free(text);
}

static void change_something(struct round *round, uint64_t *random)
{
    char channel[8];
    (void)snprintf(channel, sizeof channel, "c%u", next_random(random) % 4);
    switch (next_random(random) % 7) {
    case 0:
        (void)rats_channel_on(round->client, channel, on_bytes, round);
        break;
    case 1:
        (void)rats_channel_off(round->client, channel);
        break;
    case 2:
        rats_set_string_callback(round->client, next_random(random) % 2 ? on_string : NULL, round);
        break;
    case 3:
        rats_set_event_callback(round->client, next_random(random) % 2 ? on_event : NULL, round);
        break;
    case 4:
        (void)rats_set_max_peers(round->client, (int)(1 + next_random(random) % 300));
        break;
    case 5:
        (void)rats_disconnect_peer_by_id(round->client, round->far->peer_id);
        break;
    default:
        (void)rats_connect(round->client, "127.0.0.1", round->far->port);
        break;
    }
}

static void on_topic(void *user_data, const char *peer_id, const char *topic, const char *message)
{
    (void)topic;
    (void)message;
    on_bytes(user_data, peer_id, NULL, NULL, 0);
}

static void on_topic_peer(void *user_data, const char *peer_id, const char *topic)
{
    on_bytes(user_data, peer_id, topic, NULL, 0);
}

static void on_message(void *user_data, const char *peer_id, const char *text)
{
    (void)text;
    on_bytes(user_data, peer_id, NULL, NULL, 0);
}

static void on_change(void *user_data, const char *key, int type, const void *data, size_t size,
                      int deleted, const char *origin, int is_remote)
{
    (void)type;
    (void)deleted;
    (void)is_remote;
    on_bytes(user_data, origin, key, data, size);
}

static void hear_of_topic(struct round *round, bool wanted)
{
    rats_set_topic_message_callback(round->client, STRESS_TOPIC, wanted ? on_topic : NULL, round);
    rats_set_topic_peer_joined_callback(round->client, STRESS_TOPIC, wanted ? on_topic_peer : NULL,
                                        round);
    rats_set_topic_peer_left_callback(round->client, STRESS_TOPIC, wanted ? on_topic_peer : NULL,
                                      round);
}

static void use_a_service(struct round *round, uint64_t *random)
{
    rats_client_t client = round->client;
    const bool wanted = next_random(random) % 2 == 0;
    switch (next_random(random) % 8) {
    case 0:
        (void)(wanted ? rats_subscribe_to_topic(client, STRESS_TOPIC)
                      : rats_unsubscribe_from_topic(client, STRESS_TOPIC));
        break;
    case 1:
        hear_of_topic(round, wanted);
        break;
    case 2:
        (void)rats_publish_binary_to_topic(client, STRESS_TOPIC, "heard", 5, wanted);
        break;
    case 3:
        (void)(wanted ? rats_on_message(client, "stress", on_message, round)
                      : rats_off_message(client, "stress"));
        break;
    case 4:
        (void)rats_send_message(client, round->far->peer_id, "stress", "[1]");
        break;
    case 5:
        rats_set_storage_callback(client, "stress/", wanted ? on_change : NULL, round);
        break;
    case 6:
        if (wanted) {
            (void)rats_storage_put(client, "stress/key", RATS_STORAGE_STRING, "value", 5);
        } else {
            free(rats_storage_get(client, "stress/key", NULL, NULL));
        }
        break;
    default:
        (void)rats_ping_peer(client, round->far->peer_id, 50, NULL);
        break;
    }
}

static void on_request(void *user_data, const char *peer_id, const char *transfer_id,
                       const char *remote_path, const char *filename)
{
    (void)peer_id;
    (void)transfer_id;
    (void)remote_path;
    (void)filename;
    enter(user_data);
    leave(user_data);
}

static void on_progress(void *user_data, const char *transfer_id, int percent, const char *status)
{
    (void)transfer_id;
    (void)percent;
    (void)status;
    enter(user_data);
    leave(user_data);
}

/* What is offered, nobody takes. */
static void transfer_something(struct round *round, uint64_t *random)
{
    char *id = NULL;
    switch (next_random(random) % 7) {
    case 0:
        id = rats_send_file(round->client, round->far->peer_id, "/proc/self/exe", NULL);
        break;
    case 1:
        id = rats_send_directory(round->client, round->far->peer_id, "/etc", "etc", 0);
        break;
    case 2:
        rats_set_file_request_callback(round->client, next_random(random) % 2 ? on_request : NULL,
                                       round);
        break;
    case 3:
        rats_set_file_progress_callback(round->client, next_random(random) % 2 ? on_progress : NULL,
                                        round);
        break;
    case 4:
        (void)rats_add_share_root(round->client, "/");
        break;
    case 5:
        (void)rats_remove_share_root(round->client, "/");
        break;
    default:
        rats_string_free(rats_get_file_transfers_json(round->client));
        break;
    }
    if (id != NULL && next_random(random) % 2 == 0) {
        (void)rats_cancel_file_transfer(round->client, id);
    }
    rats_string_free(id);
}

static void call_something(struct round *round, uint64_t *random, bool in_callback)
{
    const unsigned kind = next_random(random) % 19;
    if (kind == 0 && round->restarts) {
        rats_stop(round->client);
    } else if (kind <= 2 && round->restarts) {
        (void)rats_start(round->client);
    } else if (kind <= 5) {
        ask_something(round, random);
    } else if (kind <= 7 && (!in_callback || next_random(random) % 8 == 0)) {
        change_something(round, random);
    } else if (kind == 8) {
        transfer_something(round, random);
    } else if (kind >= 16) {
        use_a_service(round, random);
    } else {
        send_something(round, random);
    }
}

static void *call_at_random(void *arg)
{
    struct round *round = arg;
    uint64_t random = round->seed * 31 + atomic_fetch_add(&round->threads, 1) * 7919u + 17;
    while (!atomic_load(&round->over)) {
        call_something(round, &random, false);
    }
    return NULL;
}

static void *end_round(void *arg)
{
    struct round *round = arg;
    nap_ms(ROUND_MS);
    atomic_store(&round->over, true);
    return NULL;
}

/* Kills the daemon under the handles and starts it again. */
static void *cut_off(void *arg)
{
    struct node *node = arg;
    nap_ms(ROUND_MS / 3);
    node_kill(node);
    node_start(node);
    return NULL;
}

static bool has_answer(void *arg)
{
    struct round *round = arg;
    if (rats_get_peer_count(round->client) == 0) {
        (void)rats_connect(round->client, "127.0.0.1", round->far->port);
    }
    (void)rats_send_string(round->client, round->far->peer_id, "are you there?");
    return atomic_load(&round->echoes) > 0;
}

static bool is_attached(void *arg)
{
    struct round *round = arg;
    return rats_is_attached(round->client) != 0;
}

/* A daemon that was just killed may be found to be gone only by this. */
static bool starts(void *arg)
{
    struct round *round = arg;
    return rats_start(round->client) == 0;
}

static bool is_destroyed(void *arg)
{
    struct round *round = arg;
    return atomic_load(&round->destroyed);
}

/* After all that the handle is as good as new. */
static void check_handle(struct round *round)
{
    wait_for("the library finds its daemon", is_attached, round);
    rats_set_event_callback(round->client, NULL, NULL); /* that one runs while stopped, too */
    rats_stop(round->client);
    rats_set_string_callback(round->client, NULL, NULL);
    rats_set_storage_callback(round->client, "stress/", NULL, NULL);
    const unsigned calls = atomic_load(&round->calls);
    (void)rats_call(round->client, "log.get_level", NULL, 5000, NULL);
    if (atomic_load(&round->inside) != 0 || atomic_load(&round->calls) != calls) {
        fail("a callback ran after rats_stop()");
    }
    rats_set_string_callback(round->client, on_string, round);
    atomic_store(&round->echoes, 0);
    wait_for("the library starts again", starts, round);
    wait_for("an answer from the far end", has_answer, round);
}

struct last_words {
    struct round *round;
    char *peer_id;
};

/* What the far end says brings a callback. Only that may touch the handle from then on. */
static bool is_destroyed_by_a_word(void *arg)
{
    const struct last_words *words = arg;
    if (is_destroyed(words->round)) {
        return true;
    }
    (void)rats_send_string(words->round->far->client, words->peer_id, "the last word");
    return false;
}

static void end_handle(struct round *round, bool inside_callback)
{
    if (!inside_callback) {
        rats_destroy(round->client);
        return;
    }
    struct last_words words = {round, rats_get_our_peer_id(round->client)};
    atomic_store(&round->destroy_next, true);
    wait_for("a callback to destroy the handle in", is_destroyed_by_a_word, &words);
    rats_string_free(words.peer_id);
}

void play_round(const struct far_end *far, struct node *node, uint64_t seed)
{
    struct round *round = calloc(1, sizeof *round);
    const bool is_cut_off = seed % 4 == 3;
    pthread_t end;
    pthread_t cut;
    round->far = far;
    round->seed = seed;
    round->restarts = seed % 2 == 0;
    round->client = attach(node);
    rats_set_connection_callback(round->client, on_connection, round);
    rats_set_disconnect_callback(round->client, on_disconnect, round);
    rats_set_string_callback(round->client, on_string, round);
    rats_set_daemon_callback(round->client, on_daemon, round);
    (void)rats_start(round->client);
    (void)rats_connect(round->client, "127.0.0.1", far->port);
    if (pthread_create(&end, NULL, end_round, round) != 0 ||
        (is_cut_off && pthread_create(&cut, NULL, cut_off, node) != 0)) {
        fail("no thread is left");
    }
    run_threads(call_at_random, round);
    (void)pthread_join(end, NULL);
    if (is_cut_off) {
        (void)pthread_join(cut, NULL);
    }
    check_handle(round);
    const bool inside_callback = seed % 3 == 1;
    end_handle(round, inside_callback);
    if (inside_callback) {
        nap_ms(20); /* its dispatcher lets go of the handle, not of this */
    }
    free(round);
}

/* ends ---------------------------------------------------------------------------------------- */

/* Whoever still has the handle is told so, whatever he asks. */
static void check_destroyed(const struct round *round)
{
    size_t size = 0;
    if (rats_start(round->client) == 0 || rats_get_peer_count(round->client) != 0 ||
        rats_get_our_peer_id(round->client) != NULL || rats_is_attached(round->client) != 0 ||
        rats_take_batch(round->client, 1000, &size) != NULL ||
        rats_send_string(round->client, round->far->peer_id, "too late") !=
            RATS_ERROR_INVALID_HANDLE ||
        rats_channel_send(round->client, round->far->peer_id, "c1", "too late", 8) !=
            RATS_ERROR_INVALID_HANDLE ||
        rats_call(round->client, "session.list", NULL, 1000, NULL) != RATS_ERROR_INVALID_HANDLE) {
        fail("a destroyed handle is good for something");
    }
    rats_destroy(round->client);
    if (rats_last_error(NULL) != RATS_ERROR_INVALID_HANDLE) {
        fail("a handle was destroyed twice");
    }
}

static void *destroy_at_random(void *arg)
{
    struct round *round = arg;
    uint64_t random = round->seed * 131 + 7;
    nap_ms((long)(next_random(&random) % 60));
    if (round->seed % 3 == 1) { /* inside a callback, if one comes */
        atomic_store(&round->destroy_next, true);
        for (int i = 0; i < 100 && !is_destroyed(round); i++) {
            nap_ms(2);
        }
    }
    if (round->seed % 3 != 1 || atomic_exchange(&round->destroy_next, false)) {
        rats_destroy(round->client);
        if (atomic_load(&round->inside) != 0) {
            fail("a callback runs after rats_destroy()");
        }
    } else {
        wait_for("the callback that destroys the handle", is_destroyed, round);
    }
    check_destroyed(round);
    nap_ms((long)(next_random(&random) % 10)); /* the others go on with what is left of it */
    atomic_store(&round->over, true);
    return NULL;
}

void play_end(const struct far_end *far, struct node *node, uint64_t seed)
{
    struct round *round = calloc(1, sizeof *round);
    pthread_t end;
    round->far = far;
    round->seed = seed;
    round->restarts = true;
    round->client = attach(node);
    rats_set_connection_callback(round->client, on_connection, round);
    rats_set_disconnect_callback(round->client, on_disconnect, round);
    rats_set_string_callback(round->client, on_string, round);
    (void)rats_start(round->client);
    (void)rats_connect(round->client, "127.0.0.1", far->port);
    if (pthread_create(&end, NULL, destroy_at_random, round) != 0) {
        fail("no thread is left");
    }
    run_threads(call_at_random, round);
    (void)pthread_join(end, NULL);
    check_destroyed(round);
    free(round);
}
