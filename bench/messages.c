/* One end of a measurement through librats: a program that sends, receives, echoes or asks.
 *
 *     messages sink   SOCKET COUNT            waits for COUNT messages, prints rate as JSON
 *     messages source SOCKET PEER SIZE COUNT  sends them
 *     messages echo   SOCKET                  sends every message back, until killed
 *     messages ping   SOCKET PEER SIZE COUNT  round trips one after another, prints percentiles
 *     messages calls  SOCKET COUNT            calls one after another, prints rate
 *     messages links  SOCKET PEER PORT COUNT  connects to and parts from the peer on loopback, one
 *                                             link after another, prints rate */
#include <librats.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#define CHANNEL "bench"
#define USAGE   "usage: messages sink|source|echo|ping|calls|links SOCKET ...\n"

struct counter {
    rats_client_t client;
    sem_t done;
    unsigned long wanted;
    unsigned long messages;
    unsigned long bytes;
    double first;
    double last;
};

static void on_counted(void *arg, const char *peer, const char *channel, const void *data,
                       size_t size)
{
    struct counter *counter = arg;
    (void)peer;
    (void)channel;
    (void)data;
    if (counter->messages++ == 0) {
        counter->first = now();
    }
    counter->bytes += size;
    if (counter->messages == counter->wanted) {
        counter->last = now();
        (void)sem_post(&counter->done);
    }
}

static int run_sink(rats_client_t client, unsigned long count)
{
    struct counter counter = {.wanted = count};
    (void)sem_init(&counter.done, 0, 0);
    if (rats_channel_on(client, CHANNEL, on_counted, &counter) != RATS_SUCCESS) {
        return fail(client, "channel_on");
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    (void)sem_wait(&counter.done);
    (void)printf("{\"messages\": %lu, \"bytes\": %lu, \"seconds\": %.6f}\n", counter.messages,
                 counter.bytes, counter.last - counter.first);
    return 0;
}

static int run_source(rats_client_t client, const char *peer, size_t size, unsigned long count)
{
    void *payload = calloc(1, size);
    for (unsigned long i = 0; i < count; i++) {
        if (rats_channel_send(client, peer, CHANNEL, payload, size) != RATS_SUCCESS) {
            free(payload);
            return fail(client, "channel_send");
        }
    }
    free(payload);
    return 0;
}

static void on_echo(void *arg, const char *peer, const char *channel, const void *data, size_t size)
{
    (void)rats_channel_send(arg, peer, channel, data, size);
}

static int run_echo(rats_client_t client)
{
    if (rats_channel_on(client, CHANNEL, on_echo, client) != RATS_SUCCESS) {
        return fail(client, "channel_on");
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    (void)pause();
    return 0;
}

/* Round trips one after another, each begun by the answer to the one before. */
struct pinger {
    rats_client_t client;
    const char *peer;
    const void *payload;
    size_t size;
    double *took_us;
    unsigned long done;
    unsigned long count;
    double start;
    sem_t finished;
};

static void send_ping(struct pinger *pinger)
{
    pinger->start = now();
    if (rats_channel_send(pinger->client, pinger->peer, CHANNEL, pinger->payload, pinger->size) !=
        RATS_SUCCESS) {
        pinger->count = 0;
        (void)sem_post(&pinger->finished);
    }
}

static void on_answer(void *arg, const char *peer, const char *channel, const void *data,
                      size_t size)
{
    struct pinger *pinger = arg;
    (void)peer;
    (void)channel;
    (void)data;
    (void)size;
    pinger->took_us[pinger->done++] = (now() - pinger->start) * 1e6;
    if (pinger->done < pinger->count) {
        send_ping(pinger);
    } else {
        (void)sem_post(&pinger->finished);
    }
}

static int run_ping(rats_client_t client, const char *peer, size_t size, unsigned long count)
{
    struct pinger pinger = {.client = client,
                            .peer = peer,
                            .payload = calloc(1, size),
                            .size = size,
                            .took_us = calloc(count, sizeof(double)),
                            .count = count};
    int result = 1;
    (void)sem_init(&pinger.finished, 0, 0);
    if (pinger.payload == NULL || pinger.took_us == NULL ||
        rats_channel_on(client, CHANNEL, on_answer, &pinger) != RATS_SUCCESS) {
        (void)fail(client, "channel_on");
    } else {
        send_ping(&pinger);
        (void)sem_wait(&pinger.finished);
        result = pinger.count == 0 ? fail(client, "channel_send") : 0;
    }
    if (result == 0) {
        print_percentiles(pinger.took_us, count);
    }
    return result;
}

static int run_calls(rats_client_t client, unsigned long count)
{
    double start = now();
    for (unsigned long i = 0; i < count; i++) {
        char *result = NULL;
        if (rats_call(client, "log.get_level", NULL, 5000, &result) != RATS_SUCCESS) {
            rats_string_free(result);
            return fail(client, "call");
        }
        rats_string_free(result);
    }
    (void)printf("{\"calls\": %lu, \"seconds\": %.6f}\n", count, now() - start);
    return 0;
}

/* Whole links: TCP, Noise in both daemons, events to the programs, and the end. */
static int run_links(rats_client_t client, const char *peer, int port, unsigned long count)
{
    double start = now();
    for (unsigned long i = 0; i < count; i++) {
        if (rats_connect(client, "127.0.0.1", port) != 1 ||
            rats_disconnect_peer_by_id(client, peer) != RATS_SUCCESS) {
            return fail(client, "connect");
        }
    }
    (void)printf("{\"links\": %lu, \"seconds\": %.6f}\n", count, now() - start);
    return 0;
}

static int run(rats_client_t client, int argc, char **argv)
{
    const char *role = argv[1];
    if (strcmp(role, "echo") == 0) {
        return run_echo(client);
    }
    if (strcmp(role, "sink") == 0 && argc == 4) {
        return run_sink(client, strtoul(argv[3], NULL, 10));
    }
    if (strcmp(role, "calls") == 0 && argc == 4) {
        return run_calls(client, strtoul(argv[3], NULL, 10));
    }
    if (argc == 6) {
        size_t size = strtoul(argv[4], NULL, 10);
        unsigned long count = strtoul(argv[5], NULL, 10);
        if (strcmp(role, "links") == 0) {
            return run_links(client, argv[3], (int)size, count);
        }
        return strcmp(role, "ping") == 0 ? run_ping(client, argv[3], size, count)
                                         : run_source(client, argv[3], size, count);
    }
    (void)fprintf(stderr, USAGE);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, USAGE);
        return 2;
    }
    rats_client_t client = rats_create_at(argv[2]);
    if (client == NULL || rats_start(client) != RATS_SUCCESS) {
        return fail(client, "attach");
    }
    int result = run(client, argc, argv);
    rats_destroy(client);
    return result;
}
