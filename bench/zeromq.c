/* The same one-way shape over ZeroMQ with CURVE on loopback TCP: what people would use instead.
 *
 *     zeromq SIZE COUNT    rate as JSON, receiver and sender in two processes */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void send_all(const char *endpoint, const struct keys *server, size_t size,
                     unsigned long count)
{
    struct keys own;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PUSH);
    char *payload = calloc(1, size);
    if (zmq_curve_keypair(own.public_key, own.secret_key) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server->public_key, KEY_SIZE) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own.public_key, KEY_SIZE) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own.secret_key, KEY_SIZE) != 0 ||
        zmq_connect(socket, endpoint) != 0) {
        die("connect");
    }
    for (unsigned long i = 0; i < count; i++) {
        if (zmq_send(socket, payload, size, 0) < 0) {
            die("send");
        }
    }
    free(payload);
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context); /* waits until all is out */
}

static void receive_all(void *socket, size_t size, unsigned long count)
{
    char *payload = malloc(size);
    double first = 0;
    for (unsigned long i = 0; i < count; i++) {
        if (zmq_recv(socket, payload, size, 0) < 0) {
            die("receive");
        }
        if (i == 0) {
            first = now();
        }
    }
    (void)printf("{\"messages\": %lu, \"bytes\": %zu, \"seconds\": %.6f}\n", count, size * count,
                 now() - first);
    free(payload);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: zeromq SIZE COUNT\n");
        return 2;
    }
    size_t size = strtoul(argv[1], NULL, 10);
    unsigned long count = strtoul(argv[2], NULL, 10);
    struct keys server;
    char endpoint[64];
    int ends[2];
    if (zmq_curve_keypair(server.public_key, server.secret_key) != 0 || pipe(ends) != 0) {
        die("keys");
    }
    pid_t sender = fork(); /* before any ZeroMQ thread exists */
    if (sender == 0) {
        if (read(ends[0], endpoint, sizeof endpoint) <= 0) {
            _exit(1);
        }
        send_all(endpoint, &server, size, count);
        _exit(0);
    }
    const int on = 1;
    size_t length = sizeof endpoint;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PULL);
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof on) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, server.secret_key, KEY_SIZE) != 0 ||
        zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &length) != 0 ||
        write(ends[1], endpoint, sizeof endpoint) < 0) {
        die("bind");
    }
    receive_all(socket, size, count);
    (void)waitpid(sender, NULL, 0);
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context);
    return 0;
}
