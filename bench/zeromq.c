/* The same shapes over ZeroMQ with CURVE on loopback TCP: what people would use instead.
 *
 *     zeromq SIZE COUNT        rate as JSON, receiver and sender in two processes
 *     zeromq SIZE COUNT SUBS   one publisher and SUBS subscribers, each a process: rate of what is
 *                              delivered, and CPU time of all, as JSON */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define KEY_SIZE 41

struct keys {
    char public_key[KEY_SIZE];
    char secret_key[KEY_SIZE];
};

static double now(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

/* Makes the socket one that proves who it is to a server. */
static void set_client_keys(void *socket, const struct keys *server)
{
    struct keys own;
    if (zmq_curve_keypair(own.public_key, own.secret_key) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server->public_key, KEY_SIZE) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own.public_key, KEY_SIZE) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own.secret_key, KEY_SIZE) != 0) {
        die("keys");
    }
}

/* Binds a server's socket and finds out where that is. */
static void bind_server(void *socket, const struct keys *server, char *endpoint, size_t length)
{
    const int on = 1;
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof on) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, server->secret_key, KEY_SIZE) != 0 ||
        zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &length) != 0) {
        die("bind");
    }
}

static void publish(void *socket, size_t size, unsigned long count)
{
    char *payload = calloc(1, size);
    for (unsigned long i = 0; i < count; i++) {
        if (zmq_send(socket, payload, size, 0) < 0) {
            die("send");
        }
    }
    free(payload);
}

static void send_all(const char *endpoint, const struct keys *server, size_t size,
                     unsigned long count)
{
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PUSH);
    set_client_keys(socket, server);
    if (zmq_connect(socket, endpoint) != 0) {
        die("connect");
    }
    publish(socket, size, count);
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context); /* waits until all is out */
}

/* When the first message came and the last. */
struct span {
    double first;
    double last;
};

static struct span receive_all(void *socket, size_t size, unsigned long count)
{
    struct span span = {0};
    char *payload = malloc(size);
    for (unsigned long i = 0; i < count; i++) {
        if (zmq_recv(socket, payload, size, 0) < 0) {
            die("receive");
        }
        if (i == 0) {
            span.first = now();
        }
    }
    free(payload);
    span.last = now();
    return span;
}

static int run_stream(const struct keys *server, size_t size, unsigned long count)
{
    char endpoint[64];
    int ends[2];
    if (pipe(ends) != 0) {
        die("pipe");
    }
    pid_t sender = fork(); /* before any ZeroMQ thread exists */
    if (sender == 0) {
        if (read(ends[0], endpoint, sizeof endpoint) <= 0) {
            _exit(1);
        }
        send_all(endpoint, server, size, count);
        _exit(0);
    }
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PULL);
    bind_server(socket, server, endpoint, sizeof endpoint);
    if (write(ends[1], endpoint, sizeof endpoint) < 0) {
        die("write");
    }
    const struct span span = receive_all(socket, size, count);
    (void)printf("{\"messages\": %lu, \"bytes\": %zu, \"seconds\": %.6f}\n", count, size * count,
                 span.last - span.first);
    (void)waitpid(sender, NULL, 0);
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context);
    return 0;
}

/* One subscriber: where to connect comes through a pipe, what it saw goes back through another. */
static void subscribe(int in, int out, const struct keys *server, size_t size, unsigned long count)
{
    char endpoint[64];
    if (read(in, endpoint, sizeof endpoint) <= 0) {
        _exit(1);
    }
    const int no_limit = 0;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_SUB);
    set_client_keys(socket, server);
    if (zmq_setsockopt(socket, ZMQ_RCVHWM, &no_limit, sizeof no_limit) != 0 ||
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) != 0 || zmq_connect(socket, endpoint) != 0) {
        die("subscribe");
    }
    const struct span span = receive_all(socket, size, count);
    _exit(write(out, &span, sizeof span) == (ssize_t)sizeof span ? 0 : 1);
}

static double cpu_seconds(int whose)
{
    struct rusage usage;
    (void)getrusage(whose, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Publishes without dropping once all have subscribed. */
static void publish_to_all(void *socket, size_t size, unsigned long count,
                           unsigned long subscribers)
{
    char word[64];
    for (unsigned long i = 0; i < subscribers; i++) {
        if (zmq_recv(socket, word, sizeof word, 0) < 0) {
            die("subscriptions");
        }
    }
    publish(socket, size, count);
}

static int run_fanout(const struct keys *server, size_t size, unsigned long count,
                      unsigned long subscribers)
{
    char endpoint[64] = "";
    int to[2];
    int back[2];
    if (pipe(to) != 0 || pipe(back) != 0) {
        die("pipe");
    }
    for (unsigned long i = 0; i < subscribers; i++) {
        if (fork() == 0) {
            subscribe(to[0], back[1], server, size, count);
        }
    }
    const int on = 1;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_XPUB);
    if (zmq_setsockopt(socket, ZMQ_XPUB_NODROP, &on, sizeof on) != 0 ||
        zmq_setsockopt(socket, ZMQ_XPUB_VERBOSE, &on, sizeof on) != 0) {
        die("options");
    }
    bind_server(socket, server, endpoint, sizeof endpoint);
    for (unsigned long i = 0; i < subscribers; i++) {
        if (write(to[1], endpoint, sizeof endpoint) < 0) {
            die("write");
        }
    }
    publish_to_all(socket, size, count, subscribers);
    struct span all = {.first = 1e300};
    for (unsigned long i = 0; i < subscribers; i++) {
        struct span span;
        if (read(back[0], &span, sizeof span) != (ssize_t)sizeof span) {
            die("read");
        }
        all.first = span.first < all.first ? span.first : all.first;
        all.last = span.last > all.last ? span.last : all.last;
    }
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context);
    while (wait(NULL) > 0) {
    }
    (void)printf("{\"messages\": %lu, \"seconds\": %.6f, \"cpu\": %.6f}\n", count * subscribers,
                 all.last - all.first, cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN));
    return 0;
}

int main(int argc, char **argv)
{
    struct keys server;
    if (argc != 3 && argc != 4) {
        (void)fprintf(stderr, "usage: zeromq SIZE COUNT [SUBSCRIBERS]\n");
        return 2;
    }
    size_t size = strtoul(argv[1], NULL, 10);
    unsigned long count = strtoul(argv[2], NULL, 10);
    if (zmq_curve_keypair(server.public_key, server.secret_key) != 0) {
        die("keys");
    }
    return argc == 3 ? run_stream(&server, size, count)
                     : run_fanout(&server, size, count, strtoul(argv[3], NULL, 10));
}
