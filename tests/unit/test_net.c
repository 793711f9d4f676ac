#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/net.h"
#include "skip.h"

#define GUARD_MS 20000

static struct endpoint endpoint_of(const char *ip, uint16_t port)
{
    struct endpoint endpoint;
    assert_int_equal(endpoint_parse_ip(ip, port, &endpoint), 0);
    return endpoint;
}

static void wait_for(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    assert_int_equal(poll(&poll_fd, 1, GUARD_MS), 1);
}

static void assert_flags(int fd)
{
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static uint16_t port_of(int fd)
{
    struct endpoint local;
    assert_int_equal(net_local(fd, &local), 0);
    assert_true(local.port != 0);
    return local.port;
}

static bool has_ipv6(void)
{
    struct endpoint loopback = endpoint_of("::1", 0);
    int fd;
    if (net_listen_tcp(&loopback, 1, &fd) != 0) {
        return false;
    }
    (void)close(fd);
    return true;
}

/* Both ends of a connection to ip; the listener is closed. */
static void connect_pair(const char *ip, int listen_fd, int fds[2], struct endpoint *ret_peer)
{
    struct endpoint to = endpoint_of(ip, port_of(listen_fd));
    assert_int_equal(net_connect_tcp(&to, &fds[0]), 0);
    wait_for(listen_fd, POLLIN);
    assert_int_equal(net_accept(listen_fd, &fds[1], ret_peer), 1);
    wait_for(fds[0], POLLOUT);
    assert_int_equal(net_socket_error(fds[0]), 0);
    assert_flags(fds[0]);
    assert_flags(fds[1]);
}

static void close_both(const int fds[2])
{
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void listening_everywhere_takes_ipv4_and_ipv6(void **state)
{
    (void)state;
    struct endpoint any = {.ip_size = 0};
    struct endpoint peer;
    int listen_fd;
    int fds[2];
    assert_int_equal(net_listen_tcp(&any, 16, &listen_fd), 0);
    assert_flags(listen_fd);
    assert_int_equal(net_accept(listen_fd, &fds[1], &peer), 0);
    connect_pair("127.0.0.1", listen_fd, fds, &peer);
    assert_string_equal(endpoint_format_ip(&peer).text, "127.0.0.1"); /* not ::ffff:127.0.0.1 */
    struct endpoint local;
    assert_int_equal(net_local(fds[0], &local), 0);
    assert_true(endpoint_equal(&local, &peer));
    assert_int_equal(net_peer(fds[0], &peer), 0);
    assert_int_equal(peer.port, port_of(listen_fd));
    close_both(fds);
    if (has_ipv6()) {
        connect_pair("::1", listen_fd, fds, &peer);
        assert_string_equal(endpoint_format_ip(&peer).text, "::1");
        close_both(fds);
    }
    (void)close(listen_fd);
}

static void an_ipv6_literal_listens_to_ipv6_only(void **state)
{
    (void)state;
    if (!has_ipv6()) {
        SKIP_BECAUSE("this machine has no IPv6");
    }
    struct endpoint all = endpoint_of("::", 0);
    int v6;
    assert_int_equal(net_listen_tcp(&all, 16, &v6), 0);
    struct endpoint v4 = endpoint_of("127.0.0.1", port_of(v6));
    int fd;
    int result = net_connect_tcp(&v4, &fd);
    if (result == 0) {
        wait_for(fd, POLLOUT);
        result = net_socket_error(fd);
        (void)close(fd);
    }
    assert_int_equal(result, -ECONNREFUSED);
    (void)close(v6);
}

static void a_busy_port_is_an_error(void **state)
{
    (void)state;
    struct endpoint any = {.ip_size = 0};
    int first;
    int second = -1;
    assert_int_equal(net_listen_tcp(&any, 16, &first), 0);
    any.port = port_of(first);
    assert_int_equal(net_listen_tcp(&any, 16, &second), -EADDRINUSE);
    assert_int_equal(second, -1);
    (void)close(first);
    assert_int_equal(net_listen_tcp(&any, 16, &second), 0); /* and free at once when closed */
    (void)close(second);
}

static void trying_to_bind_says_what_listening_would_and_leaves_no_trace(void **state)
{
    (void)state;
    struct endpoint any = {.ip_size = 0};
    int fd;
    assert_int_equal(net_listen_tcp(&any, 16, &fd), 0);
    any.port = port_of(fd);
    assert_int_equal(net_try_bind_tcp(&any), -EADDRINUSE);
    struct endpoint client = endpoint_of("127.0.0.1", any.port);
    int to_it = -1;
    assert_int_equal(net_connect_tcp(&client, &to_it), 0); /* it listens as before */
    wait_for(to_it, POLLOUT);
    assert_int_equal(net_socket_error(to_it), 0);
    (void)close(to_it);
    (void)close(fd);
    assert_int_equal(net_try_bind_tcp(&any), 0);
    assert_int_equal(net_try_bind_tcp(&any), 0);
    struct endpoint elsewhere = endpoint_of("192.0.2.1", 0); /* RFC 5737: nobody has it */
    assert_int_equal(net_try_bind_tcp(&elsewhere), -EADDRNOTAVAIL);
}

static void bytes_go_both_ways_and_the_end_is_zero(void **state)
{
    (void)state;
    struct endpoint loopback = endpoint_of("127.0.0.1", 0);
    struct endpoint peer;
    int listen_fd;
    int fds[2];
    char in[16];
    assert_int_equal(net_listen_tcp(&loopback, 16, &listen_fd), 0);
    connect_pair("127.0.0.1", listen_fd, fds, &peer);
    char one[] = "ab";
    char two[] = "cde";
    const struct iovec parts[] = {{one, 2}, {two, 3}};
    assert_int_equal(net_read(fds[1], in, sizeof in), -EAGAIN);
    assert_int_equal(net_write(fds[0], parts, 2), 5);
    wait_for(fds[1], POLLIN);
    assert_int_equal(net_read(fds[1], in, sizeof in), 5);
    assert_memory_equal(in, "abcde", 5);
    (void)close(fds[0]);
    wait_for(fds[1], POLLIN);
    assert_int_equal(net_read(fds[1], in, sizeof in), 0);
    /* The first write is answered with a reset, a later one fails; neither kills us. */
    ssize_t written = net_write(fds[1], parts, 2);
    while (written >= 0) {
        wait_for(fds[1], POLLOUT);
        written = net_write(fds[1], parts, 2);
    }
    assert_true(written == -EPIPE || written == -ECONNRESET);
    (void)close(fds[1]);
    (void)close(listen_fd);
}

static void a_full_socket_writes_short_and_then_not_at_all(void **state)
{
    (void)state;
    struct endpoint loopback = endpoint_of("127.0.0.1", 0);
    struct endpoint peer;
    int listen_fd;
    int fds[2];
    assert_int_equal(net_listen_tcp(&loopback, 16, &listen_fd), 0);
    connect_pair("127.0.0.1", listen_fd, fds, &peer);
    size_t size = (size_t)1 << 20;
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    struct iovec parts[1100]; /* more than IOV_MAX */
    for (size_t i = 0; i < 1100; i++) {
        parts[i] = (struct iovec){bytes, size};
    }
    ssize_t written;
    do {
        written = net_write(fds[0], parts, 1100);
    } while (written > 0);
    assert_int_equal(written, -EAGAIN);
    free(bytes);
    close_both(fds);
    (void)close(listen_fd);
}

static void a_refused_connection_shows_in_the_socket_error(void **state)
{
    (void)state;
    struct endpoint loopback = endpoint_of("127.0.0.1", 0);
    int fd;
    assert_int_equal(net_listen_tcp(&loopback, 1, &fd), 0);
    loopback.port = port_of(fd);
    (void)close(fd);
    int result = net_connect_tcp(&loopback, &fd);
    if (result == 0) {
        wait_for(fd, POLLOUT);
        result = net_socket_error(fd);
        (void)close(fd);
    }
    assert_int_equal(result, -ECONNREFUSED);
    struct endpoint nowhere = {.port = 1};
    assert_int_equal(net_connect_tcp(&nowhere, &fd), -EDESTADDRREQ);
}

static void accepting_without_descriptors_says_so_and_recovers(void **state)
{
    (void)state;
    struct endpoint loopback = endpoint_of("127.0.0.1", 0);
    struct endpoint peer;
    int listen_fd;
    int client;
    int accepted = -1;
    assert_int_equal(net_listen_tcp(&loopback, 16, &listen_fd), 0);
    loopback.port = port_of(listen_fd);
    assert_int_equal(net_connect_tcp(&loopback, &client), 0);
    wait_for(listen_fd, POLLIN);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int result = net_accept(listen_fd, &accepted, &peer);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(result, -EMFILE);
    assert_int_equal(net_accept(listen_fd, &accepted, &peer), 1);
    (void)close(accepted);
    (void)close(client);
    assert_int_equal(net_accept(client, &accepted, &peer), -EBADF);
    (void)close(listen_fd);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
    return value;
}

static void tuning_sets_what_the_wire_document_says(void **state)
{
    (void)state;
    struct endpoint loopback = endpoint_of("127.0.0.1", 0);
    int fd;
    assert_int_equal(net_listen_tcp(&loopback, 1, &fd), 0);
    net_tune_tcp(fd, &loopback);
    assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_true(option_of(fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 120000);
    (void)close(fd);
    net_tune_tcp(-1, &loopback);
}

#define CONGESTION_SIZE 16 /* TCP_CA_NAME_MAX of the kernel */

static void congestion_of(int fd, char ret_name[CONGESTION_SIZE])
{
    socklen_t size = CONGESTION_SIZE;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, ret_name, &size), 0);
}

static void only_a_connection_within_this_machine_leaves_its_congestion_control(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        const char *remote;
        bool here;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", true},  {"127.0.0.1", "127.3.2.1", true},
        {"127.0.0.1", "192.0.2.1", false}, {"0.0.0.0", "10.1.2.3", false},
        {"0.0.0.0", "0.0.0.0", true}, /* an address of our own: what the socket is bound to */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint listen = endpoint_of(cases[i].listen, 0);
        struct endpoint remote = endpoint_of(cases[i].remote, 7);
        char before[CONGESTION_SIZE] = {0};
        char after[CONGESTION_SIZE] = {0};
        int fd;
        assert_int_equal(net_listen_tcp(&listen, 1, &fd), 0);
        congestion_of(fd, before);
        net_tune_tcp(fd, &remote);
        congestion_of(fd, after);
        assert_string_equal(after, cases[i].here ? "reno" : before);
        (void)close(fd);
    }
}

static void interfaces_include_the_loopback_and_ipv4_comes_first(void **state)
{
    (void)state;
    struct endpoint found[64];
    size_t count = net_interfaces(found, 64);
    bool seen_loopback = false;
    bool seen_ipv6 = false;
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_false(seen_ipv6 && found[i].ip_size == 4);
        seen_ipv6 = found[i].ip_size == 16;
        seen_loopback = seen_loopback || endpoint_is_loopback(&found[i]);
        assert_int_equal(found[i].port, 0);
    }
    assert_true(seen_loopback);
    assert_int_equal(net_interfaces(found, 1), 1);
    assert_int_equal(net_interfaces(found, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listening_everywhere_takes_ipv4_and_ipv6),
        cmocka_unit_test(an_ipv6_literal_listens_to_ipv6_only),
        cmocka_unit_test(a_busy_port_is_an_error),
        cmocka_unit_test(trying_to_bind_says_what_listening_would_and_leaves_no_trace),
        cmocka_unit_test(bytes_go_both_ways_and_the_end_is_zero),
        cmocka_unit_test(a_full_socket_writes_short_and_then_not_at_all),
        cmocka_unit_test(a_refused_connection_shows_in_the_socket_error),
        cmocka_unit_test(accepting_without_descriptors_says_so_and_recovers),
        cmocka_unit_test(tuning_sets_what_the_wire_document_says),
        cmocka_unit_test(only_a_connection_within_this_machine_leaves_its_congestion_control),
        cmocka_unit_test(interfaces_include_the_loopback_and_ipv4_comes_first),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
