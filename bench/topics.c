/* Measurements of topics through librats: one publisher and any number of subscribers.
 *
 *     topics sinks TOPIC COUNT SOCKET...            a subscriber at each socket; ends when each
 *                                                   has COUNT messages, or none come any more
 *     topics source TOPIC SOCKET SIZE COUNT PEERS   waits for PEERS subscribing peers, publishes
 *     topics echo SOCKET                            publishes every message back, until killed
 *     topics ping SOCKET SIZE COUNT                 round trips one after another, percentiles
 *
 * A topic of its own for each measurement: who subscribes is offered what was published in the
 * seconds before, and would count it. Results are JSON: moments are those of the monotonic clock,
 * which all processes share, and CPU time is that of the program itself. */
#include <librats.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#define QUESTION "bench.question"
#define ANSWER   "bench.answer"
#define QUIET_S  5 /* then no more messages are expected */
#define USAGE    "usage: topics sinks|source|echo|ping ...\n"

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static rats_client_t attach(const char *socket)
{
    rats_client_t client = rats_create_at(socket);
    if (client == NULL || rats_start(client) != RATS_SUCCESS) {
        (void)fail(client, "attach");
        exit(1);
    }
    return client;
}

static void say_ready(void)
{
    (void)printf("ready\n");
    (void)fflush(stdout);
}

/* Subscribers ------------------------------------------------------------------------------- */

struct sink {
    rats_client_t client;
    sem_t *done;
    unsigned long wanted;
    volatile unsigned long messages; /* written by one dispatcher, read by main for progress */
    double first;
    double last;
};

static void on_message(void *arg, const char *peer, const char *topic, const void *data,
                       size_t size)
{
    struct sink *sink = arg;
    (void)peer;
    (void)topic;
    (void)data;
    (void)size;
    if (sink->messages++ == 0) {
        sink->first = now();
    }
    sink->last = now();
    if (sink->messages == sink->wanted) {
        (void)sem_post(sink->done);
    }
}

static unsigned long count_messages(const struct sink *sinks, int count)
{
    unsigned long messages = 0;
    for (int i = 0; i < count; i++) {
        messages += sinks[i].messages;
    }
    return messages;
}

/* Until every sink has posted, or none has heard anything for QUIET_S. */
static void wait_for_all(const struct sink *sinks, int count, sem_t *done)
{
    unsigned long before = 0;
    for (int left = count; left > 0;) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += QUIET_S;
        if (sem_timedwait(done, &until) == 0) {
            left--;
            continue;
        }
        const unsigned long messages = count_messages(sinks, count);
        if (messages > 0 && messages == before) {
            return;
        }
        before = messages;
    }
}

static int run_sinks(const char *topic, int count, char **sockets, unsigned long wanted)
{
    struct sink *sinks = calloc((size_t)count, sizeof *sinks);
    sem_t done;
    (void)sem_init(&done, 0, 0);
    for (int i = 0; i < count; i++) {
        sinks[i] = (struct sink){.client = attach(sockets[i]), .done = &done, .wanted = wanted};
        rats_set_topic_binary_callback(sinks[i].client, topic, on_message, &sinks[i]);
        if (rats_subscribe_to_topic(sinks[i].client, topic) != RATS_SUCCESS) {
            return fail(sinks[i].client, "subscribe");
        }
    }
    say_ready();
    wait_for_all(sinks, count, &done);
    double first = 1e300;
    double last = 0;
    for (int i = 0; i < count; i++) {
        if (sinks[i].messages > 0) {
            first = sinks[i].first < first ? sinks[i].first : first;
            last = sinks[i].last > last ? sinks[i].last : last;
        }
    }
    (void)printf("{\"messages\": %lu, \"expected\": %lu, \"seconds\": %.6f, \"cpu\": %.6f}\n",
                 count_messages(sinks, count), wanted * (unsigned long)count, last - first,
                 cpu_seconds());
    for (int i = 0; i < count; i++) {
        rats_destroy(sinks[i].client);
    }
    free(sinks);
    return 0;
}

/* The publisher ----------------------------------------------------------------------------- */

static void wait_for_peers(rats_client_t client, const char *topic, int wanted)
{
    int count = 0;
    while (count < wanted) {
        const struct timespec pause = {.tv_nsec = 10000000};
        rats_free_array(rats_get_topic_peers(client, topic, &count), count);
        (void)nanosleep(&pause, NULL);
    }
}

static int run_source(const char *topic, const char *socket, size_t size, unsigned long count,
                      int peers)
{
    rats_client_t client = attach(socket);
    wait_for_peers(client, topic, peers);
    void *payload = calloc(1, size);
    const double before = cpu_seconds();
    int result = 0;
    for (unsigned long i = 0; i < count && result == 0; i++) {
        if (rats_publish_binary_to_topic(client, topic, payload, size, 0) != RATS_SUCCESS) {
            result = fail(client, "publish");
        }
    }
    rats_stop(client); /* all of it has reached the daemon */
    (void)printf("{\"cpu\": %.6f}\n", cpu_seconds() - before);
    free(payload);
    rats_destroy(client);
    return result;
}

/* Round trips ------------------------------------------------------------------------------- */

static void on_question(void *arg, const char *peer, const char *topic, const void *data,
                        size_t size)
{
    (void)peer;
    (void)topic;
    (void)rats_publish_binary_to_topic(arg, ANSWER, data, size, 0);
}

static int run_echo(const char *socket)
{
    rats_client_t client = attach(socket);
    rats_set_topic_binary_callback(client, QUESTION, on_question, client);
    if (rats_subscribe_to_topic(client, QUESTION) != RATS_SUCCESS) {
        return fail(client, "subscribe");
    }
    say_ready();
    (void)pause();
    return 0;
}

/* Each question is asked by the answer to the one before. */
struct pinger {
    rats_client_t client;
    const void *payload;
    size_t size;
    double *took_us;
    unsigned long done;
    unsigned long count;
    double start;
    sem_t finished;
};

static void ask(struct pinger *pinger)
{
    pinger->start = now();
    (void)rats_publish_binary_to_topic(pinger->client, QUESTION, pinger->payload, pinger->size, 0);
}

static void on_answer(void *arg, const char *peer, const char *topic, const void *data, size_t size)
{
    struct pinger *pinger = arg;
    (void)peer;
    (void)topic;
    (void)data;
    (void)size;
    pinger->took_us[pinger->done++] = (now() - pinger->start) * 1e6;
    if (pinger->done < pinger->count) {
        ask(pinger);
    } else {
        (void)sem_post(&pinger->finished);
    }
}

static int run_ping(const char *socket, size_t size, unsigned long count)
{
    struct pinger pinger = {.client = attach(socket),
                            .payload = calloc(1, size),
                            .size = size,
                            .took_us = calloc(count, sizeof(double)),
                            .count = count};
    (void)sem_init(&pinger.finished, 0, 0);
    rats_set_topic_binary_callback(pinger.client, ANSWER, on_answer, &pinger);
    if (rats_subscribe_to_topic(pinger.client, ANSWER) != RATS_SUCCESS) {
        return fail(pinger.client, "subscribe");
    }
    ask(&pinger);
    (void)sem_wait(&pinger.finished);
    print_percentiles(pinger.took_us, count);
    rats_destroy(pinger.client);
    return 0;
}

static unsigned long number(const char *text)
{
    return strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    const char *role = argc > 1 ? argv[1] : "";
    if (strcmp(role, "sinks") == 0 && argc > 4) {
        return run_sinks(argv[2], argc - 4, argv + 4, number(argv[3]));
    }
    if (strcmp(role, "source") == 0 && argc == 7) {
        return run_source(argv[2], argv[3], number(argv[4]), number(argv[5]), (int)number(argv[6]));
    }
    if (strcmp(role, "echo") == 0 && argc == 3) {
        return run_echo(argv[2]);
    }
    if (strcmp(role, "ping") == 0 && argc == 5) {
        return run_ping(argv[2], number(argv[3]), number(argv[4]));
    }
    (void)fprintf(stderr, USAGE);
    return 2;
}
