#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_link.h"
#include "peer/conn.h"
#include "util/alloc.h"
#include "virtual_loop.h"
#include "wire/block.h"

/* One end: a conn on a fake link, and what was heard from it. */
struct end {
    struct conn_context context;
    struct identity identity;
    struct fake_link link;
    struct conn *conn;
    unsigned established;
    unsigned messages;
    unsigned drained;
    unsigned closed;
    enum conn_close_reason reason;
    size_t bytes;
    uint8_t last_type;
    uint16_t last_channel;
    bool hold_each;
    bool close_each;
};

static struct loop *loop;
static struct conn_arrivals arrivals;
static struct conn_departures departures;
static struct conn_turn turn;
static struct end dialer;
static struct end acceptor;

static void on_established(void *arg, struct conn *conn)
{
    struct end *end = arg;
    assert_ptr_equal(end->conn, conn);
    end->established++;
}

static void on_message(void *arg, struct conn *conn, const struct message *message)
{
    struct end *end = arg;
    end->messages++;
    end->bytes += message->payload.size;
    end->last_type = message->type;
    end->last_channel = message->channel;
    if (end->hold_each) {
        conn_hold(conn);
    }
    if (end->close_each) {
        conn_close(conn, CONN_CLOSED_LOCALLY, false);
        for (size_t i = 0; i < message->payload.size; i++) {
            assert_int_equal(message->payload.data[i], 'x'); /* still readable */
        }
    }
}

static void on_drained(void *arg, struct conn *conn)
{
    (void)conn;
    ((struct end *)arg)->drained++;
}

static void on_closed(void *arg, struct conn *conn, enum conn_close_reason reason)
{
    (void)conn;
    struct end *end = arg;
    end->closed++;
    end->reason = reason;
}

static void end_open(struct end *end, bool outgoing, uint8_t secret, enum security security)
{
    static const struct conn_callbacks callbacks = {
        .on_established = on_established,
        .on_message = on_message,
        .on_drained = on_drained,
        .on_closed = on_closed,
    };
    uint8_t secret_bytes[X25519_SIZE];
    memset(end, 0, sizeof *end);
    memset(secret_bytes, secret, sizeof secret_bytes);
    assert_int_equal(identity_init(&end->identity, secret_bytes), 0);
    end->context = (struct conn_context){
        .loop = loop,
        .identity = &end->identity,
        .security = security,
        .queue_limit = 8u * 1024u * 1024u,
        .arrivals = &arrivals,
        .departures = &departures,
        .turn = &turn,
    };
    assert_int_equal(protocol_id_init(&end->context.protocol, bytes_from_string("p")), 0);
    fake_link_init(&end->link, outgoing);
    assert_int_equal(conn_new(&end->context, &end->link.link, &callbacks, end, &end->conn), 0);
}

static void run_turn(void)
{
    virtual_world_settle(virtual_loop_world(loop));
}

static void run_ms(int64_t duration_ms)
{
    struct virtual_world *world = virtual_loop_world(loop);
    virtual_world_run(world, virtual_world_now_ms(world) + duration_ms);
}

/* Carries what one has sent to the other. */
static size_t carry(struct end *from, struct end *to)
{
    run_turn();
    struct buf moved = from->link.out;
    size_t size = buf_size(&moved);
    buf_init(&from->link.out);
    fake_link_feed(&to->link, buf_view(&moved));
    buf_fini(&moved);
    run_turn();
    return size;
}

static void handshake(void)
{
    fake_link_connect(&dialer.link);
    for (int i = 0; i < 3; i++) {
        (void)carry(&dialer, &acceptor);
        (void)carry(&acceptor, &dialer);
    }
}

static int open_loop(void **state)
{
    (void)state;
    const int rc = loop_new(&loop);
    conn_arrivals_init(&arrivals, loop);
    conn_departures_init(&departures, loop);
    conn_turn_init(&turn, loop);
    return rc;
}

static int open_noise(void **state)
{
    (void)open_loop(state);
    end_open(&dialer, true, 1, SECURITY_NOISE);
    end_open(&acceptor, false, 2, SECURITY_NOISE);
    handshake();
    return dialer.established == 1 && acceptor.established == 1 ? 0 : -1;
}

static int open_plaintext(void **state)
{
    (void)open_loop(state);
    end_open(&dialer, true, 1, SECURITY_PLAINTEXT);
    end_open(&acceptor, false, 2, SECURITY_PLAINTEXT);
    handshake();
    return dialer.established == 1 && acceptor.established == 1 ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    struct end *ends[] = {&dialer, &acceptor};
    for (int i = 0; i < 2; i++) {
        if (ends[i]->conn != NULL && ends[i]->closed == 0) {
            conn_close(ends[i]->conn, CONN_CLOSED_STOPPING, false);
        }
        fake_link_fini(&ends[i]->link);
        memset(ends[i], 0, sizeof *ends[i]);
    }
    conn_arrivals_fini(&arrivals);
    conn_departures_fini(&departures);
    conn_turn_fini(&turn);
    loop_free(loop);
    return 0;
}

static void send_text(struct end *from, const char *text)
{
    assert_int_equal(conn_send(from->conn, WIRE_APP, 7, bytes_from_string(text)), 0);
}

/* ---- handshake ---- */

static void noise_proves_both_ids_in_three_blocks(void **state)
{
    (void)state;
    end_open(&dialer, true, 1, SECURITY_NOISE);
    end_open(&acceptor, false, 2, SECURITY_NOISE);
    fake_link_connect(&dialer.link);
    assert_int_equal(carry(&dialer, &acceptor), 36);
    assert_int_equal(carry(&acceptor, &dialer), 100);
    assert_true(conn_is_established(dialer.conn));
    assert_false(conn_is_established(acceptor.conn));
    assert_int_equal(conn_send(acceptor.conn, WIRE_APP, 0, bytes_make(NULL, 0)), -ENOTCONN);
    assert_int_equal(carry(&dialer, &acceptor), 68);
    assert_true(conn_is_established(acceptor.conn));
    assert_true(peer_id_equal(conn_peer_id(dialer.conn), &acceptor.identity.id));
    assert_true(peer_id_equal(conn_peer_id(acceptor.conn), &dialer.identity.id));
    assert_memory_equal(conn_public_key(acceptor.conn), dialer.identity.public_key, X25519_SIZE);
}

static void plaintext_exchanges_ids_in_two_blocks(void **state)
{
    (void)state;
    end_open(&dialer, true, 1, SECURITY_PLAINTEXT);
    end_open(&acceptor, false, 2, SECURITY_PLAINTEXT);
    fake_link_connect(&dialer.link);
    assert_int_equal(carry(&dialer, &acceptor), 4 + 2 + 15 + 32);
    assert_true(conn_is_established(acceptor.conn));
    assert_int_equal(carry(&acceptor, &dialer), 4 + 2 + 15 + 32);
    assert_true(peer_id_equal(conn_peer_id(dialer.conn), &acceptor.identity.id));
    assert_true(peer_id_equal(conn_peer_id(acceptor.conn), &dialer.identity.id));
    assert_null(conn_public_key(dialer.conn));
}

static void a_message_may_share_a_segment_with_the_last_handshake_block(void **state)
{
    (void)state;
    end_open(&dialer, true, 1, SECURITY_NOISE);
    end_open(&acceptor, false, 2, SECURITY_NOISE);
    fake_link_connect(&dialer.link);
    (void)carry(&dialer, &acceptor);
    run_turn();
    struct buf reply = acceptor.link.out;
    buf_init(&acceptor.link.out);
    fake_link_feed(&dialer.link, buf_view(&reply));
    buf_fini(&reply);
    send_text(&dialer, "early");
    assert_int_equal(carry(&dialer, &acceptor), 68 + 4 + 4 + 5 + 16);
    assert_int_equal(acceptor.messages, 1);
    assert_int_equal(dialer.link.writes, 2); /* one for each turn */
}

static void one_byte_at_a_time_works(void **state)
{
    (void)state;
    end_open(&dialer, true, 1, SECURITY_NOISE);
    end_open(&acceptor, false, 2, SECURITY_NOISE);
    dialer.link.read_limit = 1;
    acceptor.link.read_limit = 1;
    handshake();
    send_text(&dialer, "hello");
    (void)carry(&dialer, &acceptor);
    assert_int_equal(acceptor.messages, 1);
    assert_int_equal(acceptor.bytes, 5);
}

static void no_establishment_within_15_s_is_the_end(void **state)
{
    (void)state;
    end_open(&dialer, true, 1, SECURITY_NOISE);
    end_open(&acceptor, false, 2, SECURITY_NOISE);
    run_ms(CONN_DEADLINE_MS - 1);
    assert_int_equal(dialer.closed + acceptor.closed, 0);
    run_ms(1);
    assert_int_equal(dialer.reason, CONN_CLOSED_DEADLINE);
    assert_int_equal(acceptor.reason, CONN_CLOSED_DEADLINE);
    assert_true(dialer.link.closed && acceptor.link.closed);
}

static void a_failed_dial_keeps_its_errno(void **state)
{
    (void)state;
    end_open(&dialer, true, 1, SECURITY_NOISE);
    dialer.link.link.callbacks.on_closed(dialer.link.link.arg, -ECONNREFUSED);
    assert_int_equal(dialer.reason, CONN_CLOSED_DIAL);
    assert_int_equal(conn_error(dialer.conn), -ECONNREFUSED);
}

static void handshake_prefixes_over_1_kib_are_refused_unread(void **state)
{
    (void)state;
    uint8_t prefix[BLOCK_PREFIX_SIZE];
    end_open(&acceptor, false, 2, SECURITY_NOISE);
    block_encode_prefix(BLOCK_MAX_HANDSHAKE + 1, prefix);
    fake_link_feed(&acceptor.link, bytes_make(prefix, sizeof prefix));
    assert_int_equal(acceptor.reason, CONN_CLOSED_HANDSHAKE);
}

static void every_wrong_first_block_size_is_fatal(void **state)
{
    (void)state;
    uint8_t block[BLOCK_PREFIX_SIZE + BLOCK_MAX_HANDSHAKE] = {[BLOCK_PREFIX_SIZE] = 9};
    for (size_t size = 0; size <= 300; size++) {
        end_open(&acceptor, false, 2, SECURITY_NOISE);
        block_encode_prefix(size, block);
        fake_link_feed(&acceptor.link, bytes_make(block, BLOCK_PREFIX_SIZE + size));
        run_turn();
        bool is_good = size >= 32 && size <= 32 + 256;
        assert_int_equal(acceptor.closed, is_good ? 0 : 1);
        assert_int_equal(buf_size(&acceptor.link.out), is_good ? 100 : 0);
        if (is_good) {
            conn_close(acceptor.conn, CONN_CLOSED_LOCALLY, false);
        }
        fake_link_fini(&acceptor.link);
        run_turn();
    }
    memset(&acceptor, 0, sizeof acceptor);
}

/* ---- messages ---- */

static void messages_of_one_turn_leave_in_one_write(void **state)
{
    (void)state;
    unsigned before = dialer.link.writes;
    for (int i = 0; i < 100; i++) {
        send_text(&dialer, "0123456789");
    }
    assert_int_equal(dialer.link.writes, before);
    assert_int_equal(carry(&dialer, &acceptor), 100 * (4 + 4 + 10 + 16));
    assert_int_equal(dialer.link.writes, before + 1);
    assert_int_equal(acceptor.messages, 100);
    assert_int_equal(acceptor.last_type, WIRE_APP);
    assert_int_equal(acceptor.last_channel, 7);
}

static void plaintext_messages_carry_no_tag(void **state)
{
    (void)state;
    send_text(&dialer, "0123456789");
    assert_int_equal(carry(&dialer, &acceptor), 4 + 4 + 10);
    assert_int_equal(acceptor.bytes, 10);
}

static void a_changed_byte_anywhere_ends_the_connection(void **state)
{
    for (size_t i = 0; i < 4 + 5 + 16; i++) {
        if (i > 0) {
            assert_int_equal(open_noise(state), 0);
        }
        send_text(&dialer, "hello");
        run_turn();
        dialer.link.out.data[dialer.link.out.start + BLOCK_PREFIX_SIZE + i] ^= 1;
        (void)carry(&dialer, &acceptor);
        assert_int_equal(acceptor.messages, 0);
        assert_int_equal(acceptor.reason, CONN_CLOSED_PROTOCOL);
        assert_int_equal(close_all(state), 0);
    }
    assert_int_equal(open_noise(state), 0);
}

static void a_repeated_block_ends_the_connection(void **state)
{
    (void)state;
    send_text(&dialer, "hello");
    run_turn();
    uint8_t copy[29];
    memcpy(copy, buf_view(&dialer.link.out).data, sizeof copy);
    (void)carry(&dialer, &acceptor);
    fake_link_feed(&acceptor.link, bytes_make(copy, sizeof copy));
    assert_int_equal(acceptor.messages, 1);
    assert_int_equal(acceptor.reason, CONN_CLOSED_PROTOCOL);
}

static void blocks_too_short_for_tag_and_header_end_the_connection(void **state)
{
    for (size_t size = 0; size < WIRE_TAG_SIZE + MESSAGE_HEADER_SIZE; size++) {
        uint8_t block[64] = {0};
        if (size > 0) {
            assert_int_equal(open_noise(state), 0);
        }
        block_encode_prefix(size, block);
        fake_link_feed(&acceptor.link, bytes_make(block, BLOCK_PREFIX_SIZE + size));
        assert_int_equal(acceptor.reason, CONN_CLOSED_PROTOCOL);
        assert_int_equal(close_all(state), 0);
    }
    assert_int_equal(open_noise(state), 0);
}

static void an_announced_block_over_64_mib_ends_the_connection(void **state)
{
    (void)state;
    uint8_t prefix[BLOCK_PREFIX_SIZE] = {4, 0, 0, 1};
    fake_link_feed(&acceptor.link, bytes_make(prefix, sizeof prefix));
    assert_int_equal(acceptor.reason, CONN_CLOSED_PROTOCOL);
}

static void an_announced_block_of_64_mib_takes_no_memory_until_it_comes(void **state)
{
    (void)state;
    uint8_t prefix[BLOCK_PREFIX_SIZE + 1] = {4, 0, 0, 0, 1};
    fake_link_feed(&acceptor.link, bytes_make(prefix, sizeof prefix));
    assert_int_equal(acceptor.closed, 0);
}

static void the_end_of_the_stream_comes_after_its_messages(void **state)
{
    (void)state;
    send_text(&dialer, "last");
    run_turn();
    acceptor.link.finished = true;
    (void)carry(&dialer, &acceptor);
    assert_int_equal(acceptor.messages, 1);
    assert_int_equal(acceptor.reason, CONN_CLOSED_BY_PEER);
}

static void a_read_error_is_the_end(void **state)
{
    (void)state;
    acceptor.link.error = -ECONNRESET;
    fake_link_poll(&acceptor.link);
    assert_int_equal(acceptor.reason, CONN_CLOSED_LINK);
    assert_int_equal(conn_error(acceptor.conn), -ECONNRESET);
}

static void closing_inside_a_message_is_safe(void **state)
{
    (void)state;
    acceptor.close_each = true;
    send_text(&dialer, "xxx");
    send_text(&dialer, "xxx");
    (void)carry(&dialer, &acceptor);
    assert_int_equal(acceptor.messages, 1);
    assert_int_equal(acceptor.closed, 1);
}

static void closing_inside_a_large_message_is_safe(void **state)
{
    (void)state;
    size_t size = (size_t)3 * 1024 * 1024;
    uint8_t *payload = xalloc(size);
    memset(payload, 'x', size);
    acceptor.close_each = true;
    assert_int_equal(conn_send(dialer.conn, WIRE_APP, 0, bytes_make(payload, size)), 0);
    (void)carry(&dialer, &acceptor);
    free(payload);
    assert_int_equal(acceptor.bytes, size);
    assert_int_equal(acceptor.closed, 1);
}

/* ---- back-pressure ---- */

static void holds_are_counted_and_leftovers_come_first(void **state)
{
    (void)state;
    acceptor.hold_each = true;
    for (int i = 0; i < 3; i++) {
        send_text(&dialer, "x");
    }
    (void)carry(&dialer, &acceptor);
    assert_int_equal(acceptor.messages, 1);
    assert_false(acceptor.link.reading);
    conn_hold(acceptor.conn);
    conn_release(acceptor.conn);
    run_turn();
    assert_int_equal(acceptor.messages, 1);
    conn_release(acceptor.conn);
    run_turn(); /* no event from the link: what was received is enough */
    assert_int_equal(acceptor.messages, 2);
    acceptor.hold_each = false;
    conn_release(acceptor.conn);
    run_turn();
    assert_int_equal(acceptor.messages, 3);
    assert_true(acceptor.link.reading);
}

static void a_full_link_congests_and_drains(void **state)
{
    (void)state;
    static const uint8_t payload[300 * 1024];
    dialer.link.write_limit = 1000;
    for (int i = 0; i < 7; i++) {
        assert_int_equal(conn_send(dialer.conn, WIRE_APP, 0, bytes_make(payload, sizeof payload)),
                         0);
    }
    assert_true(conn_is_congested(dialer.conn));
    run_turn();
    assert_true(dialer.link.blocked);
    fake_link_open(&dialer.link, (size_t)1400 * 1024);
    assert_int_equal(dialer.drained, 0); /* below high, not yet low */
    assert_true(conn_is_congested(dialer.conn));
    fake_link_open(&dialer.link, SIZE_MAX);
    assert_int_equal(dialer.drained, 1);
    assert_false(conn_is_congested(dialer.conn));
    assert_int_equal(conn_queued(dialer.conn), 0);
    (void)carry(&dialer, &acceptor);
    assert_int_equal(acceptor.messages, 7);
}

static void the_queue_limit_lets_one_large_message_in(void **state)
{
    (void)state;
    size_t size = (size_t)9 * 1024 * 1024;
    uint8_t *payload = xalloc(size);
    dialer.link.write_limit = 0;
    assert_int_equal(conn_send(dialer.conn, WIRE_APP, 0, bytes_make(payload, size)), 0);
    assert_int_equal(conn_send(dialer.conn, WIRE_APP, 0, bytes_make(payload, 0)), -ENOBUFS);
    fake_link_open(&dialer.link, 0);
    run_turn();
    fake_link_open(&dialer.link, SIZE_MAX);
    (void)carry(&dialer, &acceptor);
    assert_int_equal(acceptor.bytes, size);
    assert_int_equal(conn_send(dialer.conn, WIRE_APP, 0, bytes_make(payload, 0)), 0);
    assert_int_equal(
        conn_send(dialer.conn, WIRE_APP, 0, bytes_make(payload, (size_t)WIRE_MAX_PAYLOAD + 1)),
        -EMSGSIZE);
    free(payload);
}

static void a_small_queue_limit_makes_senders_wait_and_loses_nothing(void **state)
{
    (void)state;
    static const uint8_t payload[1000];
    dialer.context.queue_limit = 64u * 1024u;
    dialer.link.write_limit = 0;
    size_t sent = 0;
    while (!conn_is_congested(dialer.conn)) {
        assert_int_equal(conn_send(dialer.conn, WIRE_APP, 0, bytes_make(payload, 1000)), 0);
        sent++;
    }
    assert_true(sent <= 65);
    fake_link_open(&dialer.link, SIZE_MAX);
    run_turn();
    assert_int_equal(dialer.drained, 1);
    (void)carry(&dialer, &acceptor);
    assert_int_equal(acceptor.messages, sent);
}

static void a_peer_that_takes_nothing_for_30_s_is_closed(void **state)
{
    (void)state;
    dialer.link.write_limit = 10;
    send_text(&dialer, "a message that does not fit");
    run_ms(CONN_STALL_MS - 1);
    assert_int_equal(dialer.closed, 0);
    run_ms(1);
    assert_int_equal(dialer.reason, CONN_CLOSED_STALLED);
}

static void fill_queue(struct end *end, size_t size)
{
    uint8_t *payload = calloc(1, size);
    assert_int_equal(conn_send(end->conn, WIRE_APP, 1, bytes_make(payload, size)), 0);
    free(payload);
    run_ms(0);
}

static void a_byte_now_and_then_does_not_keep_a_link_alive(void **state)
{
    (void)state;
    dialer.link.write_limit = 10;
    fill_queue(&dialer, 100);
    run_ms(CONN_STALL_MS - 1000);
    fake_link_open(&dialer.link, 1);
    run_ms(999);
    assert_int_equal(dialer.closed, 0);
    run_ms(1);
    assert_int_equal(dialer.reason, CONN_CLOSED_STALLED);
}

static void a_slow_link_that_keeps_taking_stays(void **state)
{
    (void)state;
    dialer.link.write_limit = 10;
    fill_queue(&dialer, 4 * CONN_STALL_BYTES);
    for (int i = 0; i < 6; i++) {
        run_ms(CONN_STALL_MS / 2 - 1);
        fake_link_open(&dialer.link, CONN_STALL_BYTES / 2);
        assert_int_equal(dialer.closed, 0);
    }
    run_ms(CONN_STALL_MS);
    assert_int_equal(dialer.reason, CONN_CLOSED_STALLED);
}

static void a_queue_that_was_emptied_starts_afresh(void **state)
{
    (void)state;
    dialer.link.write_limit = 10;
    fill_queue(&dialer, 100);
    run_ms(CONN_STALL_MS - 1);
    fake_link_open(&dialer.link, 200);
    assert_int_equal(conn_queued(dialer.conn), 0);
    run_ms(10 * CONN_STALL_MS);
    dialer.link.write_limit = 10;
    fill_queue(&dialer, 100);
    run_ms(CONN_STALL_MS - 1);
    assert_int_equal(dialer.closed, 0);
    run_ms(1);
    assert_int_equal(dialer.reason, CONN_CLOSED_STALLED);
}

static void an_idle_connection_runs_no_timer(void **state)
{
    (void)state;
    send_text(&dialer, "hello");
    (void)carry(&dialer, &acceptor);
    (void)carry(&acceptor, &dialer);
    assert_false(virtual_world_step(virtual_loop_world(loop)));
}

static void a_write_error_is_the_end_but_not_inside_send(void **state)
{
    (void)state;
    dialer.link.error = -EPIPE;
    send_text(&dialer, "hello");
    assert_int_equal(dialer.closed, 0);
    run_turn();
    assert_int_equal(dialer.reason, CONN_CLOSED_LINK);
}

static void a_graceful_close_offers_what_is_queued(void **state)
{
    (void)state;
    send_text(&dialer, "bye");
    conn_close(dialer.conn, CONN_CLOSED_LOCALLY, true);
    conn_close(dialer.conn, CONN_CLOSED_LOCALLY, true); /* again in that turn: nothing */
    assert_int_equal(dialer.closed, 1);
    assert_true(dialer.link.graceful);
    (void)carry(&dialer, &acceptor);
    assert_int_equal(acceptor.messages, 1);
}

static void every_reason_has_a_name(void **state)
{
    (void)state;
    for (int reason = 0; reason < CONN_CLOSE_REASON_COUNT; reason++) {
        assert_non_null(conn_close_reason_name((enum conn_close_reason)reason));
    }
}

#define FRESH(name)     cmocka_unit_test_setup_teardown(name, open_loop, close_all)
#define NOISE(name)     cmocka_unit_test_setup_teardown(name, open_noise, close_all)
#define PLAINTEXT(name) cmocka_unit_test_setup_teardown(name, open_plaintext, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(noise_proves_both_ids_in_three_blocks),
        FRESH(plaintext_exchanges_ids_in_two_blocks),
        FRESH(a_message_may_share_a_segment_with_the_last_handshake_block),
        FRESH(one_byte_at_a_time_works),
        FRESH(no_establishment_within_15_s_is_the_end),
        FRESH(a_failed_dial_keeps_its_errno),
        FRESH(handshake_prefixes_over_1_kib_are_refused_unread),
        FRESH(every_wrong_first_block_size_is_fatal),
        NOISE(messages_of_one_turn_leave_in_one_write),
        PLAINTEXT(plaintext_messages_carry_no_tag),
        NOISE(a_changed_byte_anywhere_ends_the_connection),
        NOISE(a_repeated_block_ends_the_connection),
        NOISE(blocks_too_short_for_tag_and_header_end_the_connection),
        NOISE(an_announced_block_over_64_mib_ends_the_connection),
        NOISE(an_announced_block_of_64_mib_takes_no_memory_until_it_comes),
        NOISE(the_end_of_the_stream_comes_after_its_messages),
        NOISE(a_read_error_is_the_end),
        NOISE(closing_inside_a_message_is_safe),
        NOISE(closing_inside_a_large_message_is_safe),
        NOISE(holds_are_counted_and_leftovers_come_first),
        NOISE(a_full_link_congests_and_drains),
        NOISE(the_queue_limit_lets_one_large_message_in),
        NOISE(a_small_queue_limit_makes_senders_wait_and_loses_nothing),
        NOISE(a_peer_that_takes_nothing_for_30_s_is_closed),
        NOISE(a_byte_now_and_then_does_not_keep_a_link_alive),
        NOISE(a_slow_link_that_keeps_taking_stays),
        NOISE(a_queue_that_was_emptied_starts_afresh),
        NOISE(an_idle_connection_runs_no_timer),
        NOISE(a_write_error_is_the_end_but_not_inside_send),
        NOISE(a_graceful_close_offers_what_is_queued),
        FRESH(every_reason_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
