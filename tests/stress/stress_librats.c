/* librats under many threads at once, with real daemons behind it.
 *
 *     stress_librats order RATSD           sixteen senders on one handle, nothing lost or reordered
 *     stress_librats mix RATSD [SECONDS]   random calls from sixteen threads and from callbacks,
 *                                          started, stopped, destroyed and cut off at random
 *     stress_librats ends RATSD [SECONDS]  the same, with handles destroyed under those who call
 *     stress_librats churn SOCKET [COUNT]  handles come and go; memory and descriptors stay
 *
 * Built with a sanitizer it is the sanitizer that judges; without one it still checks what the
 * application is promised: callbacks of a handle never overlap, connection and disconnection
 * alternate, a handle that went through all that still works, and nothing hangs. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "librats.h"
#include "node.h"

#define THREADS     16
#define ROUND_MS    250
#define PATIENCE_S  60 /* nothing here may take longer */
#define ORDER_COUNT 400
#define LARGEST     ((size_t)40 * 1024)

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void nap_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static unsigned next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (unsigned)(*state >> 32);
}

static void wait_for(const char *what, bool (*holds)(void *arg), void *arg)
{
    const double deadline = now_s() + PATIENCE_S;
    while (!holds(arg)) {
        if (now_s() > deadline) {
            fail("waited %d s in vain: %s", PATIENCE_S, what);
        }
        nap_ms(5);
    }
}

static rats_client_t attach(const struct node *node)
{
    rats_client_t client = rats_create_at(node->socket);
    if (client == NULL) {
        fail("cannot attach: %s", rats_last_error_message(NULL));
    }
    return client;
}

/* The far end: answers each string with the same ---------------------------------------------- */

struct far_end {
    struct node node;
    rats_client_t client;
    char *peer_id;
    int port;
};

static void on_far_string(void *user_data, const char *peer_id, const char *message)
{
    const struct far_end *far = user_data;
    (void)rats_send_string(far->client, peer_id, message);
}

static void far_open(struct far_end *far, const char *program)
{
    node_open(&far->node, program);
    far->client = attach(&far->node);
    far->peer_id = rats_get_our_peer_id(far->client);
    far->port = rats_get_listen_port(far->client);
    rats_set_string_callback(far->client, on_far_string, far);
    if (rats_start(far->client) != 0) {
        fail("the far end does not start: %s", rats_last_error_message(NULL));
    }
}

static void far_close(struct far_end *far)
{
    rats_destroy(far->client);
    rats_string_free(far->peer_id);
    node_close(&far->node);
}

/* order --------------------------------------------------------------------------------------- */

struct order {
    struct far_end far;
    rats_client_t client;
    unsigned next[THREADS];
    atomic_uint received;
    atomic_uint threads;
};

struct numbered {
    unsigned thread;
    unsigned number;
    uint32_t sum; /* of what follows */
};

static uint32_t sum_of(const uint8_t *data, size_t size)
{
    uint32_t sum = 2166136261u;
    for (size_t i = 0; i < size; i++) {
        sum = (sum ^ data[i]) * 16777619u;
    }
    return sum;
}

static void on_numbered(void *user_data, const char *peer_id, const char *channel, const void *data,
                        size_t size)
{
    struct order *order = user_data;
    struct numbered head;
    (void)peer_id;
    (void)channel;
    if (size < sizeof head) {
        fail("a message of %zu bytes", size);
    }
    memcpy(&head, data, sizeof head);
    if (head.thread >= THREADS || head.number != order->next[head.thread]) {
        fail("message %u of thread %u came instead of %u", head.number, head.thread,
             head.thread < THREADS ? order->next[head.thread] : 0);
    }
    if (head.sum != sum_of((const uint8_t *)data + sizeof head, size - sizeof head)) {
        fail("message %u of thread %u is damaged", head.number, head.thread);
    }
    order->next[head.thread]++;
    (void)atomic_fetch_add(&order->received, 1);
}

static void *send_numbered(void *arg)
{
    struct order *order = arg;
    uint8_t body[sizeof(struct numbered) + LARGEST];
    struct numbered head = {.thread = atomic_fetch_add(&order->threads, 1)};
    uint64_t random = 88172645463325252u + head.thread;
    for (head.number = 0; head.number < ORDER_COUNT; head.number++) {
        const size_t size = next_random(&random) % 8 == 0 ? next_random(&random) % LARGEST
                                                          : next_random(&random) % 200;
        memset(body + sizeof head, (int)head.number, size);
        head.sum = sum_of(body + sizeof head, size);
        memcpy(body, &head, sizeof head);
        if (rats_channel_send(order->client, order->far.peer_id, "order", body,
                              sizeof head + size) != RATS_SUCCESS) {
            fail("message %u of thread %u was refused: %s", head.number, head.thread,
                 rats_last_error_message(order->client));
        }
    }
    return NULL;
}

static bool all_received(void *arg)
{
    struct order *order = arg;
    return atomic_load(&order->received) == THREADS * ORDER_COUNT;
}

static void run_threads(void *(*function)(void *), void *arg)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, function, arg) != 0) {
            fail("no thread is left");
        }
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

static void keep_order(const char *program)
{
    static struct order order;
    struct node node;
    node_open(&node, program);
    far_open(&order.far, program);
    order.client = attach(&node);
    if (rats_channel_on(order.far.client, "order", on_numbered, &order) != RATS_SUCCESS ||
        rats_start(order.client) != 0 ||
        rats_connect(order.client, "127.0.0.1", order.far.port) != 1) {
        fail("no way to the far end: %s", rats_last_error_message(NULL));
    }
    run_threads(send_numbered, &order);
    wait_for("every message arrives", all_received, &order);
    rats_destroy(order.client);
    far_close(&order.far);
    node_close(&node);
}

/* mix ----------------------------------------------------------------------------------------- */

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

static void call_something(struct round *round, uint64_t *random, bool in_callback)
{
    const unsigned kind = next_random(random) % 16;
    if (kind == 0 && round->restarts) {
        rats_stop(round->client);
    } else if (kind <= 2 && round->restarts) {
        (void)rats_start(round->client);
    } else if (kind <= 5) {
        ask_something(round, random);
    } else if (kind <= 7 && (!in_callback || next_random(random) % 8 == 0)) {
        change_something(round, random);
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
    const unsigned calls = atomic_load(&round->calls);
    (void)rats_call(round->client, "log.get_level", NULL, 5000, NULL);
    if (atomic_load(&round->inside) != 0 || atomic_load(&round->calls) != calls) {
        fail("a callback ran after rats_stop()");
    }
    rats_set_string_callback(round->client, on_string, round);
    atomic_store(&round->echoes, 0);
    if (rats_start(round->client) != 0) {
        fail("cannot start again: %s", rats_last_error_message(NULL));
    }
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

static void play_round(const struct far_end *far, struct node *node, uint64_t seed)
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

static void play_end(const struct far_end *far, struct node *node, uint64_t seed)
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

static size_t descriptors(void)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory);
    return count;
}

static bool are_descriptors(void *arg)
{
    return descriptors() <= *(size_t *)arg;
}

static void mix(const char *program, double seconds,
                void (*play)(const struct far_end *far, struct node *node, uint64_t seed))
{
    static struct far_end far;
    struct node node;
    node_open(&node, program);
    far_open(&far, program);
    size_t before = descriptors();
    const double deadline = now_s() + seconds;
    uint64_t seed = 0;
    do {
        play(&far, &node, ++seed);
    } while (now_s() < deadline || seed < 4);
    wait_for("every descriptor is closed", are_descriptors, &before);
    (void)printf("%llu rounds\n", (unsigned long long)seed);
    far_close(&far);
    node_close(&node);
}

/* churn --------------------------------------------------------------------------------------- */

static long rss_kib(void)
{
    char line[128];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "VmRSS: %ld", &value);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return value;
}

static void come_and_go(const struct node *node, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        rats_client_t client = attach(node);
        if (i % 2 == 0) {
            (void)rats_channel_on(client, "churn", on_bytes, NULL);
            (void)rats_start(client);
        }
        rats_destroy(client);
    }
}

static void churn(const char *socket, unsigned count)
{
    struct node node = {.pid = 0};
    (void)snprintf(node.socket, sizeof node.socket, "%s", socket);
    come_and_go(&node, count / 10);
    const size_t before = descriptors();
    const long rss = rss_kib();
    come_and_go(&node, count);
    if (descriptors() != before) {
        fail("%zu descriptors, %zu before", descriptors(), before);
    }
    if (rss_kib() - rss > 1024) {
        fail("%ld KiB of memory, %ld before", rss_kib(), rss);
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[1] : "";
    (void)signal(SIGPIPE, SIG_IGN);
    rats_set_log_level(getenv("RATS_LOG") ? getenv("RATS_LOG") : "ERROR");
    if (strcmp(mode, "order") == 0) {
        keep_order(argv[2]);
    } else if (strcmp(mode, "mix") == 0 || strcmp(mode, "ends") == 0) {
        mix(argv[2], argc > 3 ? strtod(argv[3], NULL) : 5, mode[0] == 'm' ? play_round : play_end);
    } else if (strcmp(mode, "churn") == 0) {
        churn(argv[2], argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 2000);
    } else {
        (void)fprintf(stderr, "usage: %s order|mix|ends|churn RATSD|SOCKET [NUMBER]\n", argv[0]);
        return 2;
    }
    return 0;
}
