#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "transport/tcp.h"
#include "util/alloc.h"

#define PATIENCE_MS 10000 /* a test that waits longer has failed */

/* One end of a connection and what it was told. */
struct end {
    struct link *link;
    unsigned connected;
    unsigned closed;
    int reason;
    bool finished;
    size_t received;
    size_t writable;
    bool quit_on_data;
    bool close_on_data;
    bool close_on_writable;
};

static struct loop *loop;
static struct tcp_listener *listener;
static struct timer patience;
static struct end client;
static struct end server;
static unsigned accepted;
static unsigned wanted_accepts;

static void on_connected(void *arg)
{
    struct end *end = arg;
    end->connected++;
    loop_quit(loop);
}

static void on_readable(void *arg)
{
    struct end *end = arg;
    static uint8_t sink[65536];
    ssize_t got = link_read(end->link, sink, sizeof sink);
    if (got > 0) {
        end->received += (size_t)got;
        if (end->close_on_data) {
            link_close(end->link, true);
            end->link = NULL;
        }
        if (end->quit_on_data) {
            loop_quit(loop);
        }
    } else if (got != -EAGAIN) {
        end->finished = true;
        end->reason = (int)got;
        link_set_reading(end->link, false);
        loop_quit(loop);
    }
}

static void on_writable(void *arg)
{
    struct end *end = arg;
    end->writable++;
    if (end->close_on_writable) {
        link_close(end->link, true);
        end->link = NULL;
    }
    loop_quit(loop);
}

static void on_closed(void *arg, int reason)
{
    struct end *end = arg;
    end->closed++;
    end->reason = reason;
    loop_quit(loop);
}

static const struct link_callbacks callbacks = {
    .on_connected = on_connected,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

static void on_accept(void *arg, struct link *link)
{
    struct end *end = arg;
    accepted++;
    if (end->link != NULL) {
        link_close(end->link, false);
    }
    end->link = link;
    link_attach(link, &callbacks, end);
    if (accepted >= wanted_accepts) {
        loop_quit(loop);
    }
}

static void on_impatient(void *arg)
{
    (void)arg;
    fail_msg("waited too long");
}

static struct endpoint loopback(uint16_t port)
{
    struct endpoint to;
    assert_int_equal(endpoint_parse_ip("127.0.0.1", port, &to), 0);
    return to;
}

static void run(void)
{
    assert_int_equal(loop_run(loop), 0);
}

static int begin(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    memset(&client, 0, sizeof client);
    memset(&server, 0, sizeof server);
    accepted = 0;
    wanted_accepts = 1;
    struct endpoint any = loopback(0);
    if (loop_new(&loop) != 0 || tcp_listen(loop, &any, on_accept, &server, &listener) != 0) {
        return -1;
    }
    timer_init(&patience, loop, on_impatient, NULL);
    timer_start(&patience, PATIENCE_MS);
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (client.link != NULL) {
        link_close(client.link, false);
    }
    if (server.link != NULL) {
        link_close(server.link, false);
    }
    tcp_listener_close(listener);
    timer_stop(&patience);
    loop_free(loop);
    return 0;
}

static void connect_both(void)
{
    struct endpoint to = loopback(tcp_listener_port(listener));
    assert_int_equal(tcp_dial(loop, &to, &client.link), 0);
    link_attach(client.link, &callbacks, &client);
    while (client.connected == 0 || server.link == NULL) {
        run();
    }
}

static ssize_t write_some(struct link *link, size_t size)
{
    uint8_t *data = xalloc(size);
    struct iovec parts[2] = {
        {.iov_base = data, .iov_len = size / 2},
        {.iov_base = data + size / 2, .iov_len = size - size / 2},
    };
    ssize_t written = link_write(link, parts, 2);
    free(data);
    return written;
}

static void two_ends_connect_and_know_each_other(void **state)
{
    (void)state;
    connect_both();
    assert_true(client.link->outgoing);
    assert_false(server.link->outgoing);
    assert_int_equal(client.link->kind, TRANSPORT_TCP);
    assert_int_equal(client.link->remote.port, tcp_listener_port(listener));
    assert_string_equal(endpoint_format_ip(&server.link->remote).text, "127.0.0.1");
}

static void bytes_wait_until_reading_is_wanted(void **state)
{
    (void)state;
    connect_both();
    assert_int_equal(write_some(client.link, 100), 100);
    client.quit_on_data = true;
    link_set_reading(client.link, true);
    assert_int_equal(write_some(server.link, 10), 10);
    while (client.received < 10) {
        run(); /* turns in which the server's bytes could have been announced */
    }
    assert_int_equal(server.received, 0);
    server.quit_on_data = true;
    link_set_reading(server.link, true);
    while (server.received < 100) {
        run();
    }
    assert_int_equal(server.received, 100);
}

static void on_tick(void *arg)
{
    (void)arg;
    loop_quit(loop);
}

/* Until it stays full: of what waits unsent some goes while the other end's kernel has room. */
static void fill_link(void)
{
    struct timer tick;
    timer_init(&tick, loop, on_tick, NULL);
    for (int refused = 0; refused < 20;) {
        refused = write_some(client.link, (size_t)1024 * 1024) > 0 ? 0 : refused + 1;
        timer_start(&tick, 1);
        run();
    }
    timer_stop(&tick);
    client.writable = 0;
}

static void a_full_link_takes_a_part_and_says_when_it_can_take_more(void **state)
{
    (void)state;
    connect_both();
    size_t size = (size_t)64 * 1024 * 1024;
    ssize_t written = write_some(client.link, size);
    assert_true(written > 0 && (size_t)written < size);
    fill_link();
    assert_int_equal(write_some(client.link, 1000), 0); /* not -EAGAIN */
    link_set_reading(server.link, true);
    while (client.writable == 0) {
        run();
    }
    assert_int_equal(client.writable, 1);
    assert_true(write_some(client.link, 1000) > 0);
}

static void what_the_other_end_has_not_acknowledged_is_counted(void **state)
{
    (void)state;
    connect_both();
    assert_int_equal(link_unsent(client.link), 0);
    ssize_t written = write_some(client.link, (size_t)64 * 1024 * 1024); /* nobody reads */
    assert_true(written > 0);
    assert_true(link_unsent(client.link) > 0);
    assert_true(link_unsent(client.link) <= (size_t)written);
    link_set_reading(server.link, true);
    struct timer tick;
    timer_init(&tick, loop, on_tick, NULL);
    while (server.received < (size_t)written || link_unsent(client.link) > 0) {
        timer_start(&tick, 1); /* an acknowledgement wakes nobody */
        run();
    }
    timer_stop(&tick);
}

static void a_link_that_cannot_tell_has_nothing_unsent(void **state)
{
    (void)state;
    static const struct link_ops ops = {.unsent = NULL};
    struct link link = {.ops = &ops};
    assert_int_equal(link_unsent(&link), 0);
}

static void the_peers_close_is_the_end_of_the_stream(void **state)
{
    (void)state;
    connect_both();
    assert_int_equal(write_some(client.link, 5), 5);
    link_close(client.link, true);
    client.link = NULL;
    link_set_reading(server.link, true);
    while (!server.finished) {
        run();
    }
    assert_int_equal(server.received, 5);
    assert_int_equal(server.reason, 0);
}

static void a_refused_dial_says_so(void **state)
{
    (void)state;
    struct endpoint to = loopback(tcp_listener_port(listener));
    tcp_listener_close(listener);
    listener = NULL;
    assert_int_equal(tcp_dial(loop, &to, &client.link), 0);
    link_attach(client.link, &callbacks, &client);
    while (client.closed == 0) {
        run();
    }
    assert_int_equal(client.connected, 0);
    assert_int_equal(client.reason, -ECONNREFUSED);
}

static void a_link_may_be_closed_in_its_callbacks(void **state)
{
    (void)state;
    connect_both();
    server.close_on_data = true;
    server.quit_on_data = true;
    link_set_reading(server.link, true);
    assert_int_equal(write_some(client.link, 5), 5);
    while (server.link != NULL) {
        run();
    }
    client.close_on_writable = true;
    (void)write_some(client.link, (size_t)64 * 1024 * 1024); /* the peer is gone */
    link_close(client.link, false);
    client.link = NULL;
    assert_int_equal(client.closed + server.closed, 0);
}

static void closing_a_dial_under_way_is_silent(void **state)
{
    (void)state;
    struct endpoint to = loopback(tcp_listener_port(listener));
    assert_int_equal(tcp_dial(loop, &to, &client.link), 0);
    link_attach(client.link, &callbacks, &client);
    link_close(client.link, false);
    client.link = NULL;
    while (server.link == NULL) {
        run();
    }
    assert_int_equal(client.connected + client.closed, 0);
}

static void a_port_in_use_is_eaddrinuse(void **state)
{
    (void)state;
    struct endpoint taken = loopback(tcp_listener_port(listener));
    struct tcp_listener *second = NULL;
    assert_int_equal(tcp_listen(loop, &taken, on_accept, &server, &second), -EADDRINUSE);
    assert_null(second);
}

static void listening_everywhere_takes_ipv4(void **state)
{
    (void)state;
    tcp_listener_close(listener);
    struct endpoint any = {0};
    assert_int_equal(tcp_listen(loop, &any, on_accept, &server, &listener), 0);
    connect_both();
    assert_int_equal(server.link->remote.ip_size, 4); /* not the mapped form */
}

static void without_descriptors_accepting_pauses_and_resumes(void **state)
{
    (void)state;
    struct rlimit before;
    struct endpoint to = loopback(tcp_listener_port(listener));
    assert_int_equal(tcp_dial(loop, &to, &client.link), 0);
    link_attach(client.link, &callbacks, &client);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(0);
    assert_true(lowest >= 0);
    (void)close(lowest);
    struct rlimit none = {.rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    while (client.connected == 0) {
        run();
    }
    struct timer pause;
    timer_init(&pause, loop, on_connected, &client);
    timer_start(&pause, 50); /* the listener has found no descriptor by then */
    run();
    assert_int_equal(accepted, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    while (server.link == NULL) {
        run();
    }
    assert_int_equal(accepted, 1);
}

static void many_connections_leave_no_descriptor_behind(void **state)
{
    (void)state;
    int before = dup(0);
    (void)close(before);
    for (unsigned i = 0; i < 200; i++) {
        connect_both();
        link_close(client.link, true);
        link_close(server.link, true);
        memset(&client, 0, sizeof client);
        memset(&server, 0, sizeof server);
    }
    int after = dup(0);
    (void)close(after);
    assert_int_equal(before, after);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(two_ends_connect_and_know_each_other),
        CASE(bytes_wait_until_reading_is_wanted),
        CASE(a_full_link_takes_a_part_and_says_when_it_can_take_more),
        CASE(what_the_other_end_has_not_acknowledged_is_counted),
        CASE(a_link_that_cannot_tell_has_nothing_unsent),
        CASE(the_peers_close_is_the_end_of_the_stream),
        CASE(a_refused_dial_says_so),
        CASE(a_link_may_be_closed_in_its_callbacks),
        CASE(closing_a_dial_under_way_is_silent),
        CASE(a_port_in_use_is_eaddrinuse),
        CASE(listening_everywhere_takes_ipv4),
        CASE(without_descriptors_accepting_pauses_and_resumes),
        CASE(many_connections_leave_no_descriptor_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
