/* What the machine allows: the same shapes over a bare Unix socket pair and over bare loopback TCP,
 * one message per write, two processes.
 *
 *     bounds unix|tcp stream SIZE COUNT    rate as JSON
 *     bounds unix|tcp ping   SIZE COUNT    percentiles of round trips */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "local_tcp.h"

#define READ_SIZE (256 * 1024)

static double now(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
        die("listen");
    }
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (fds[0] < 0 || connect(fds[0], (struct sockaddr *)&address, sizeof address) < 0) {
        die("connect");
    }
    fds[1] = accept(listener, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        (void)setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        use_reno(fds[i]);
    }
    (void)close(listener);
}

static void put(int fd, const char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t part = write(fd, data + done, size - done);
        if (part <= 0) {
            die("write");
        }
        done += (size_t)part;
    }
}

static void get(int fd, char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t part = read(fd, data + done, size - done);
        if (part <= 0) {
            die("read");
        }
        done += (size_t)part;
    }
}

static void stream(int fds[2], size_t size, unsigned long count)
{
    char *data = calloc(1, size > READ_SIZE ? size : READ_SIZE);
    if (fork() == 0) {
        for (unsigned long i = 0; i < count; i++) {
            put(fds[0], data, size);
        }
        _exit(0);
    }
    double start = now();
    for (size_t left = size * count; left > 0;) {
        ssize_t part = read(fds[1], data, left < READ_SIZE ? left : READ_SIZE);
        if (part <= 0) {
            die("read");
        }
        left -= (size_t)part;
    }
    (void)printf("{\"messages\": %lu, \"bytes\": %zu, \"seconds\": %.6f}\n", count, size * count,
                 now() - start);
    free(data);
}

static int compare(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;
    return (*left > *right) - (*left < *right);
}

static void ping(int fds[2], size_t size, unsigned long count)
{
    char *data = calloc(1, size);
    double *took = calloc(count, sizeof *took);
    if (fork() == 0) {
        for (unsigned long i = 0; i < count; i++) {
            get(fds[0], data, size);
            put(fds[0], data, size);
        }
        _exit(0);
    }
    for (unsigned long i = 0; i < count; i++) {
        double start = now();
        put(fds[1], data, size);
        get(fds[1], data, size);
        took[i] = (now() - start) * 1e6;
    }
    qsort(took, count, sizeof *took, compare);
    (void)printf("{\"p50_us\": %.1f, \"p99_us\": %.1f}\n", took[count / 2], took[count * 99 / 100]);
    free(took);
    free(data);
}

int main(int argc, char **argv)
{
    int fds[2];
    if (argc != 5) {
        (void)fprintf(stderr, "usage: bounds unix|tcp stream|ping SIZE COUNT\n");
        return 2;
    }
    size_t size = strtoul(argv[3], NULL, 10);
    unsigned long count = strtoul(argv[4], NULL, 10);
    if (strcmp(argv[1], "tcp") == 0) {
        tcp_pair(fds);
    } else if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) {
        die("socketpair");
    }
    if (strcmp(argv[2], "ping") == 0) {
        ping(fds, size, count);
    } else {
        stream(fds, size, count);
    }
    (void)wait(NULL);
    return 0;
}
