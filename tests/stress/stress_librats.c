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
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "round.h"

#define ORDER_COUNT 400

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

/* mix and ends -------------------------------------------------------------------------------- */

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

static void on_nothing(void *user_data, const char *peer_id, const char *channel, const void *data,
                       size_t size)
{
    (void)user_data;
    (void)peer_id;
    (void)channel;
    (void)data;
    (void)size;
}

static void come_and_go(const struct node *node, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        rats_client_t client = attach(node);
        if (i % 2 == 0) {
            (void)rats_channel_on(client, "churn", on_nothing, NULL);
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
        mix(argv[2], argc > 3 ? strtod(argv[3], NULL) : 10, mode[0] == 'm' ? play_round : play_end);
    } else if (strcmp(mode, "churn") == 0) {
        churn(argv[2], argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 2000);
    } else {
        (void)fprintf(stderr, "usage: %s order|mix|ends|churn RATSD|SOCKET [NUMBER]\n", argv[0]);
        return 2;
    }
    return 0;
}
