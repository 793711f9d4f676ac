/* One of several programs on one daemon, whose share is measured; fairness.py drives them.
 *
 *     fairness echo     SOCKET                          answers round trips, until killed
 *     fairness source   SOCKET PEER COUNT RATE          numbered messages of 1 KiB, RATE a second
 *     fairness member   SOCKET PEER NAME COUNT BEFORE AFTER
 *                                                       receives those, and makes round trips of
 *                                                       its own until all have come; times of
 *                                                       those that ended before the moment BEFORE
 *                                                       and of those that began after AFTER; none
 *                                                       where NAME is "-"
 *     fairness requests SOCKET PEER NAME RATE BEGIN END round trips (calls where PEER is "-"),
 *                                                       RATE a second between two moments
 *
 * Moments are seconds of CLOCK_MONOTONIC. */
#include <librats.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FLOW        "flow"
#define PING        "ping"
#define BODY        1024
#define PINGS       100.0
#define MAX_SAMPLES 100000

struct samples {
    double us[MAX_SAMPLES];
    size_t count;
};

struct ping {
    char answer_to[56]; /* channel */
    double sent;
};

struct program {
    rats_client_t client;
    const char *peer; /* NULL: requests are calls */
    struct ping ping;
    sem_t answered;
    struct samples *samples; /* of answers that came before `end`, where nobody waits for each */
    double end;
    atomic_ullong received;
    atomic_ullong lost;
    atomic_ullong gaps;
    uint64_t next; /* number of the flow's next message; the dispatcher's */
};

static double now(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void sleep_until(double moment)
{
    struct timespec at = {.tv_sec = (time_t)moment};
    at.tv_nsec = (long)((moment - (double)at.tv_sec) * 1e9);
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int fail(const struct program *program, const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", what, rats_last_error_message(program->client));
    return 1;
}

static void ready(void)
{
    (void)printf("ready\n");
    (void)fflush(stdout);
}

/* Requests ----------------------------------------------------------------------------------- */

static void add_sample(struct samples *samples, double us)
{
    if (samples->count < MAX_SAMPLES) {
        samples->us[samples->count++] = us;
    }
}

static void on_pong(void *arg, const char *peer, const char *channel, const void *data, size_t size)
{
    struct program *program = arg;
    struct ping ping;
    (void)peer;
    (void)channel;
    memcpy(&ping, data, size < sizeof ping ? size : sizeof ping);
    if (program->samples != NULL && now() < program->end) {
        add_sample(program->samples, (now() - ping.sent) * 1e6);
    }
    (void)sem_post(&program->answered);
}

static int compare(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;
    return (*left > *right) - (*left < *right);
}

static double percentile(struct samples *samples, size_t percent)
{
    qsort(samples->us, samples->count, sizeof samples->us[0], compare);
    return samples->count == 0 ? 0 : samples->us[samples->count * percent / 100];
}

static bool open_pings(struct program *program, const char *name)
{
    (void)snprintf(program->ping.answer_to, sizeof program->ping.answer_to, "pong-%s", name);
    (void)sem_init(&program->answered, 0, 0);
    return rats_channel_on(program->client, program->ping.answer_to, on_pong, program) ==
           RATS_SUCCESS;
}

static bool send_ping(struct program *program)
{
    program->ping.sent = now();
    return rats_channel_send(program->client, program->peer, PING, &program->ping,
                             sizeof program->ping) == RATS_SUCCESS;
}

/* Calls wait for their answer: one that is late is made at once, and so a delay is caught up with
 * unless it is longer than the time between two. Messages do not wait. */
static int run_requests(struct program *program, const char *name, double rate, double begin,
                        double end)
{
    static struct samples samples;
    program->end = end;
    program->samples = &samples;
    if (!open_pings(program, name)) {
        return fail(program, "channel_on");
    }
    ready();
    for (double due = begin; due < end && now() < end; due += 1 / rate) {
        sleep_until(due);
        double sent = now();
        if (program->peer != NULL
                ? !send_ping(program)
                : rats_call(program->client, "log.get_level", NULL, 10000, NULL) != RATS_SUCCESS) {
            return fail(program, "request");
        }
        if (program->peer == NULL && now() < end) {
            add_sample(&samples, (now() - sent) * 1e6);
        }
    }
    sleep_until(end);
    rats_stop(program->client); /* no more samples */
    double p99_us = percentile(&samples, 99);
    (void)printf("{\"done\": %zu, \"p99_us\": %.1f}\n", samples.count, p99_us);
    return 0;
}

/* The flow ----------------------------------------------------------------------------------- */

static void on_flow(void *arg, const char *peer, const char *channel, const void *data, size_t size)
{
    struct program *program = arg;
    uint64_t number = 0;
    (void)peer;
    (void)channel;
    memcpy(&number, data, size < sizeof number ? size : sizeof number);
    (void)atomic_fetch_add(&program->gaps, number - program->next);
    program->next = number + 1;
    (void)atomic_fetch_add(&program->received, 1);
}

static void on_overflow(void *arg, uint64_t lost)
{
    struct program *program = arg;
    (void)atomic_fetch_add(&program->lost, lost);
}

static int run_member(struct program *program, const char *name, uint64_t count, double before,
                      double after)
{
    static struct samples early;
    static struct samples late;
    rats_set_overflow_callback(program->client, on_overflow, program);
    if (!open_pings(program, name) ||
        rats_channel_on(program->client, FLOW, on_flow, program) != RATS_SUCCESS) {
        return fail(program, "channel_on");
    }
    ready();
    const bool asks = strcmp(name, "-") != 0; /* an answer that is lost would be waited for */
    for (double due = now();
         atomic_load(&program->received) + atomic_load(&program->lost) < count;) {
        double sent = now();
        if (asks && !send_ping(program)) {
            return fail(program, "channel_send");
        }
        if (asks) {
            (void)sem_wait(&program->answered);
        }
        double done = now();
        if (done < before) {
            add_sample(&early, (done - sent) * 1e6);
        } else if (sent > after) {
            add_sample(&late, (done - sent) * 1e6);
        }
        due = due + 1 / PINGS > done ? due + 1 / PINGS : done;
        sleep_until(due);
    }
    (void)printf("{\"received\": %llu, \"lost\": %llu, \"gaps\": %llu, \"before\": [",
                 atomic_load(&program->received), atomic_load(&program->lost),
                 atomic_load(&program->gaps));
    for (size_t i = 0; i < early.count; i++) {
        (void)printf("%s%.1f", i == 0 ? "" : ", ", early.us[i]);
    }
    (void)printf("], \"after\": [");
    for (size_t i = 0; i < late.count; i++) {
        (void)printf("%s%.1f", i == 0 ? "" : ", ", late.us[i]);
    }
    (void)printf("]}\n");
    return 0;
}

/* What it could not send while it was held up it does not catch up with. */
static int run_source(const struct program *program, uint64_t count, double rate)
{
    uint8_t body[BODY] = {0};
    double due = now();
    for (uint64_t number = 0; number < count; number++) {
        memcpy(body, &number, sizeof number);
        if (rats_channel_send(program->client, program->peer, FLOW, body, sizeof body) !=
            RATS_SUCCESS) {
            return fail(program, "channel_send");
        }
        due += 1 / rate;
        if (due > now()) {
            sleep_until(due);
        } else if (due < now() - 0.1) {
            due = now();
        }
    }
    return 0;
}

static void on_ping(void *arg, const char *peer, const char *channel, const void *data, size_t size)
{
    const struct program *program = arg;
    struct ping ping;
    (void)channel;
    if (size == sizeof ping) {
        memcpy(&ping, data, size);
        ping.answer_to[sizeof ping.answer_to - 1] = '\0';
        (void)rats_channel_send(program->client, peer, ping.answer_to, data, size);
    }
}

static int run_echo(struct program *program)
{
    if (rats_channel_on(program->client, PING, on_ping, program) != RATS_SUCCESS) {
        return fail(program, "channel_on");
    }
    ready();
    (void)pause();
    return 0;
}

static int run(struct program *program, int argc, char **argv)
{
    const char *role = argv[1];
    if (strcmp(role, "echo") == 0) {
        return run_echo(program);
    }
    program->peer = argc > 3 && strcmp(argv[3], "-") != 0 ? argv[3] : NULL;
    if (strcmp(role, "source") == 0 && argc == 6) {
        return run_source(program, strtoull(argv[4], NULL, 10), strtod(argv[5], NULL));
    }
    if (strcmp(role, "member") == 0 && argc == 8) {
        return run_member(program, argv[4], strtoull(argv[5], NULL, 10), strtod(argv[6], NULL),
                          strtod(argv[7], NULL));
    }
    if (strcmp(role, "requests") == 0 && argc == 8) {
        return run_requests(program, argv[4], strtod(argv[5], NULL), strtod(argv[6], NULL),
                            strtod(argv[7], NULL));
    }
    (void)fprintf(stderr, "see the head of fairness.c\n");
    return 2;
}

int main(int argc, char **argv)
{
    static struct program program;
    if (argc < 3) {
        (void)fprintf(stderr, "usage: fairness echo|source|member|requests SOCKET ...\n");
        return 2;
    }
    program.client = rats_create_at(argv[2]);
    if (program.client == NULL || rats_start(program.client) != RATS_SUCCESS) {
        return fail(&program, "attach");
    }
    int result = run(&program, argc, argv);
    rats_destroy(program.client);
    return result;
}
