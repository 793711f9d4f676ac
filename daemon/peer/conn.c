#include "peer/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/loans.h"
#include "peer/conn_private.h"
#include "util/alloc.h"
#include "wire/block.h"

/* Kept of the send buffer between messages: enough for small talk without an allocation. */
#define OUT_KEEP ((size_t)2 * 1024)

static const char *const reason_names[CONN_CLOSE_REASON_COUNT] = {
    [CONN_CLOSED_LOCALLY] = "closed here",
    [CONN_CLOSED_BY_PEER] = "closed by the peer",
    [CONN_CLOSED_DIAL] = "could not connect",
    [CONN_CLOSED_HANDSHAKE] = "handshake failed",
    [CONN_CLOSED_DEADLINE] = "handshake timed out",
    [CONN_CLOSED_PROTOCOL] = "protocol error",
    [CONN_CLOSED_LINK] = "connection lost",
    [CONN_CLOSED_STALLED] = "peer stopped reading",
    [CONN_CLOSED_HALF] = "half a message kept others waiting",
    [CONN_CLOSED_DUPLICATE] = "duplicate connection",
    [CONN_CLOSED_SELF] = "connection to ourselves",
    [CONN_CLOSED_UNEXPECTED_PEER] = "unexpected peer",
    [CONN_CLOSED_LIMIT] = "peer limit reached",
    [CONN_CLOSED_STOPPING] = "shutting down",
    [CONN_CLOSED_MEMORY] = "out of memory",
    [CONN_CLOSED_SILENT] = "answers no pings",
    [CONN_CLOSED_BANNED] = "banned",
};

const char *conn_close_reason_name(enum conn_close_reason reason)
{
    return reason_names[reason];
}

static void destroy(void *p)
{
    struct conn *conn = p;
    conn_handshake_fini(conn);
    aead_fini(&conn->send);
    aead_fini(&conn->receive);
    intake_fini(&conn->in);
    buf_fini(&conn->out);
    free(conn);
}

/* The buffers stay until the end of the turn: a view into them may be in somebody's hands. */
void conn_close(struct conn *conn, enum conn_close_reason reason, bool graceful)
{
    if (conn->state == CONN_CLOSED) {
        return;
    }
    if (graceful && !conn->blocked && !conn->broken && buf_size(&conn->out) > 0) {
        struct bytes rest = buf_view(&conn->out);
        struct iovec part = {.iov_len = rest.size, .iov_base = conn->out.data + conn->out.start};
        (void)link_write(conn->link, &part, 1);
    }
    conn->state = CONN_CLOSED;
    conn_arrival_end(conn);
    conn_departure_end(conn);
    timer_stop(&conn->timer);
    deferred_cancel(&conn->flush);
    deferred_cancel(&conn->resume);
    link_close(conn->link, graceful);
    conn->link = NULL;
    loop_free_later(conn->context->loop, destroy, conn);
    conn->callbacks.on_closed(conn->arg, conn, reason);
}

/* The error of a step of ours as a reason: what is not the peer's doing is our lack of memory. */
static enum conn_close_reason reason_of(int rc, enum conn_close_reason otherwise)
{
    return rc == -ENOMEM || rc == -EIO ? CONN_CLOSED_MEMORY : otherwise;
}

/* ---- sending ---- */

static void tell_drained(struct conn *conn)
{
    if (!conn->congested && conn->callbacks.on_drained != NULL && conn->state == CONN_ESTABLISHED) {
        conn->callbacks.on_drained(conn->arg, conn);
    }
}

void conn_has_room(struct conn *conn)
{
    tell_drained(conn);
}

size_t conn_bulk_room(const struct conn *conn)
{
    return conn_departure_mark(conn) / CONN_LOW_PART;
}

static void on_drained_below(struct conn *conn)
{
    if (conn->congested && buf_size(&conn->out) < conn_bulk_room(conn)) {
        conn->congested = false;
        tell_drained(conn);
    }
}

static void on_room_below(struct conn *conn)
{
    if (conn->room_mark > 0 && buf_size(&conn->out) < conn->room_mark &&
        conn->state == CONN_ESTABLISHED) {
        conn->room_mark = 0;
        conn->callbacks.on_room(conn->arg, conn);
    }
}

static void watch_for_stall(struct conn *conn)
{
    conn->taken = 0;
    timer_start(&conn->timer, CONN_STALL_MS);
}

/* A byte now and then is not progress: whoever waits for the queue would wait for hours. */
static void watch_progress(struct conn *conn, size_t written)
{
    if (conn->state != CONN_ESTABLISHED) { /* the deadline runs on this timer */
        return;
    }
    conn->taken += written;
    if (!conn->blocked) {
        timer_stop(&conn->timer);
    } else if (!timer_is_running(&conn->timer) || conn->taken >= CONN_STALL_BYTES) {
        watch_for_stall(conn);
    }
}

static void flush(struct conn *conn)
{
    if (conn->broken) {
        conn_close(conn, CONN_CLOSED_MEMORY, false);
        return;
    }
    size_t size = buf_size(&conn->out);
    if (conn->blocked || size == 0) {
        return;
    }
    struct iovec part = {.iov_base = conn->out.data + conn->out.start, .iov_len = size};
    ssize_t written = link_write(conn->link, &part, 1);
    if (written < 0) {
        conn->error = (int)written;
        conn_close(conn, CONN_CLOSED_LINK, false);
        return;
    }
    buf_consume(&conn->out, (size_t)written);
    conn->burst = size;
    conn->blocked = (size_t)written < size;
    watch_progress(conn, (size_t)written);
    if (!conn->blocked && conn->out.capacity > OUT_KEEP) {
        /* Freed, not shrunk: shrinking a large block costs system calls, and malloc, which hands
         * the same block to the next busy turn, learns nothing from it. */
        buf_fini(&conn->out);
    }
    conn_departure_settle(conn, (size_t)written);
    on_drained_below(conn);
    on_room_below(conn);
}

static void on_flush(void *arg)
{
    flush(arg);
}

static void on_writable(void *arg)
{
    struct conn *conn = arg;
    conn->blocked = false;
    flush(conn);
}

/* Room for one block. A turn's first message takes what the last busy turn needed, so that a
 * stream of messages grows the buffer once a turn and not step by step. */
static int reserve_block(struct conn *conn, size_t size, uint8_t **ret_room)
{
    if (buf_size(&conn->out) == 0 && conn->burst > conn->out.capacity && conn->burst > size &&
        conn->burst <= CONN_HIGH_MARK && buf_reserve(&conn->out, conn->burst, ret_room) == 0) {
        return 0;
    }
    return buf_reserve(&conn->out, size, ret_room);
}

int conn_queue_block(struct conn *conn, struct bytes body)
{
    uint8_t *room = NULL;
    int rc = reserve_block(conn, BLOCK_PREFIX_SIZE + body.size, &room);
    if (rc != 0) {
        return rc;
    }
    block_encode_prefix(body.size, room);
    memcpy(room + BLOCK_PREFIX_SIZE, body.data, body.size);
    buf_commit(&conn->out, BLOCK_PREFIX_SIZE + body.size);
    conn_departure_settle(conn, 0);
    deferred_schedule(&conn->flush);
    return 0;
}

int conn_send(struct conn *conn, uint8_t type, uint16_t channel, struct bytes payload)
{
    if (conn->state != CONN_ESTABLISHED || conn->broken) {
        return -ENOTCONN;
    }
    if (payload.size > WIRE_MAX_PAYLOAD) {
        return -EMSGSIZE;
    }
    bool sealed = conn->security == SECURITY_NOISE;
    size_t body_size = MESSAGE_HEADER_SIZE + payload.size + (sealed ? WIRE_TAG_SIZE : 0);
    if (buf_size(&conn->out) >= conn_departure_limit(conn)) {
        conn->congested = true;
        return -ENOBUFS;
    }
    if (!conn_departure_fits(conn, payload.size)) {
        conn_departure_wait(conn, payload.size);
        return -ENOBUFS;
    }
    uint8_t *room = NULL;
    int rc = reserve_block(conn, BLOCK_PREFIX_SIZE + body_size, &room);
    if (rc != 0) {
        return rc;
    }
    uint8_t *body = room + BLOCK_PREFIX_SIZE;
    block_encode_prefix(body_size, room);
    if (sealed) {
        uint8_t header[MESSAGE_HEADER_SIZE];
        message_encode_header(type, channel, header);
        rc = aead_seal(&conn->send, bytes_make(header, sizeof header), payload, body);
        if (rc != 0) { /* the counter is used up or libcrypto failed: nothing can follow */
            conn->broken = true;
            deferred_schedule(&conn->flush);
            return -ENOTCONN;
        }
    } else {
        message_encode_header(type, channel, body);
        if (payload.size > 0) {
            memcpy(body + MESSAGE_HEADER_SIZE, payload.data, payload.size);
        }
    }
    buf_commit(&conn->out, BLOCK_PREFIX_SIZE + body_size);
    conn_departure_begin(conn, payload.size);
    if (buf_size(&conn->out) >= conn_departure_mark(conn)) {
        conn->congested = true;
    }
    deferred_schedule(&conn->flush);
    return 0;
}

bool conn_is_congested(const struct conn *conn)
{
    return conn->congested;
}

bool conn_may_send(struct conn *conn, size_t size)
{
    /* The mark may have sunk since the last message. */
    if (conn->congested || buf_size(&conn->out) >= conn_departure_mark(conn)) {
        conn->congested = true;
        return false;
    }
    if (!conn_departure_may_begin(conn, size)) {
        conn_departure_wait(conn, size);
        return false;
    }
    return true;
}

void conn_ask_room(struct conn *conn, size_t mark)
{
    conn->room_mark = mark;
}

size_t conn_queued(const struct conn *conn)
{
    return buf_size(&conn->out);
}

size_t conn_unsent(const struct conn *conn)
{
    return buf_size(&conn->out) + (conn->link == NULL ? 0 : link_unsent(conn->link));
}

/* ---- receiving ---- */

static void handle_handshake(struct conn *conn, struct bytes block)
{
    int rc = conn_handshake_block(conn, block);
    if (rc < 0) {
        conn_close(conn, reason_of(rc, CONN_CLOSED_HANDSHAKE), false);
        return;
    }
    if (rc == 0) {
        return;
    }
    conn->state = CONN_ESTABLISHED;
    conn->established_ms = loop_now_ms(conn->context->loop);
    timer_stop(&conn->timer);
    if (conn->blocked) {
        watch_for_stall(conn);
    }
    conn->callbacks.on_established(conn->arg, conn);
}

static void handle_message(struct conn *conn, uint8_t *body, size_t size)
{
    if (conn->security == SECURITY_NOISE) {
        if (size < WIRE_TAG_SIZE + MESSAGE_HEADER_SIZE ||
            aead_open(&conn->receive, body, size) != 0) {
            conn_close(conn, CONN_CLOSED_PROTOCOL, false);
            return;
        }
        size -= WIRE_TAG_SIZE;
    }
    struct message message;
    if (message_decode(bytes_make(body, size), &message) != 0) {
        conn_close(conn, CONN_CLOSED_PROTOCOL, false);
        return;
    }
    conn->callbacks.on_message(conn->arg, conn, &message);
}

/* Handles complete blocks until there is none, somebody holds, or the connection is closed. */
static void take_blocks(struct conn *conn)
{
    while (conn->state != CONN_CLOSED && conn->holds == 0) {
        bool established = conn->state == CONN_ESTABLISHED;
        struct bytes body;
        size_t needed = 0;
        uint8_t *front = intake_data(&conn->in);
        int rc = block_take(bytes_make(front, intake_size(&conn->in)),
                            established ? BLOCK_MAX_BODY : BLOCK_MAX_HANDSHAKE, &body, &needed);
        if (rc < 0) {
            conn_close(conn, established ? CONN_CLOSED_PROTOCOL : CONN_CLOSED_HANDSHAKE, false);
            return;
        }
        if (rc == 0) {
            intake_expect(&conn->in, needed);
            conn_arrival_begin(conn, needed);
            return;
        }
        if (established) {
            handle_message(conn, front + BLOCK_PREFIX_SIZE, body.size);
        } else {
            handle_handshake(conn, body);
        }
        if (conn->state != CONN_CLOSED) {
            intake_consume(&conn->in, BLOCK_PREFIX_SIZE + body.size);
            conn_arrival_end(conn);
        }
    }
}

static void handle_blocks(struct conn *conn)
{
    struct loans *loans = loop_loans(conn->context->loop);
    loans_begin(loans, bytes_make(intake_data(&conn->in), intake_size(&conn->in)));
    take_blocks(conn);
    loans_end(loans);
}

static void settle(struct conn *conn)
{
    if (conn->state != CONN_CLOSED && intake_settle(&conn->in) != 0) {
        conn_close(conn, CONN_CLOSED_MEMORY, false);
    }
}

static void handle_leftover(struct conn *conn)
{
    conn->has_leftover = false;
    deferred_cancel(&conn->resume);
    handle_blocks(conn);
    settle(conn);
}

static void on_resume(void *arg)
{
    handle_leftover(arg);
}

/* One read of at most so many bytes, and what it completes. How much was read; *ret_more: there may
 * be more at this moment. */
static size_t receive_some(struct conn *conn, size_t most, bool *ret_more)
{
    size_t space = 0;
    uint8_t *room = intake_room(&conn->in, loop_scratch(conn->context->loop), &space);
    *ret_more = false;
    if (room == NULL) {
        conn_close(conn, CONN_CLOSED_MEMORY, false);
        return 0;
    }
    space = space < most ? space : most;
    ssize_t got = link_read(conn->link, room, space);
    if (got > 0) {
        intake_filled(&conn->in, (size_t)got);
        handle_blocks(conn);
    }
    settle(conn);
    if (conn->state == CONN_CLOSED || got == -EAGAIN) {
        return got > 0 ? (size_t)got : 0;
    }
    if (got > 0 && conn->callbacks.on_received != NULL) {
        conn->callbacks.on_received(conn->arg, conn, (size_t)got);
    }
    if (got <= 0) {
        conn->error = (int)got;
        conn_close(conn, got == 0 ? CONN_CLOSED_BY_PEER : CONN_CLOSED_LINK, false);
        return 0;
    }
    *ret_more = (size_t)got == space;
    return (size_t)got;
}

static void on_readable(void *arg)
{
    struct conn *conn = arg;
    struct conn_turn *turn = conn->context->turn;
    if (conn->has_leftover) {
        handle_leftover(conn);
    }
    size_t left = conn_turn_budget(turn);
    size_t total = 0;
    bool more = true;
    while (more && conn->state != CONN_CLOSED && conn->holds == 0 && left > 0) {
        size_t got = receive_some(conn, left, &more);
        total += got;
        left -= got;
    }
    conn_turn_spend(turn, total);
}

void conn_hold(struct conn *conn)
{
    if (conn->holds++ == 0 && conn->state != CONN_CLOSED) {
        link_set_reading(conn->link, false);
    }
}

void conn_release(struct conn *conn)
{
    assert(conn->holds > 0);
    if (--conn->holds == 0 && conn->state != CONN_CLOSED) {
        link_set_reading(conn->link, true);
        conn->has_leftover = true;
        deferred_schedule(&conn->resume);
    }
}

/* ---- life ---- */

static void begin_handshake(struct conn *conn)
{
    conn->state = CONN_HANDSHAKING;
    link_set_reading(conn->link, true);
    int rc = conn_handshake_begin(conn);
    if (rc != 0) {
        conn_close(conn, reason_of(rc, CONN_CLOSED_HANDSHAKE), false);
    }
}

static void on_connected(void *arg)
{
    begin_handshake(arg);
}

static void on_link_closed(void *arg, int reason)
{
    struct conn *conn = arg;
    conn->error = reason;
    conn_close(conn, conn->state == CONN_CONNECTING ? CONN_CLOSED_DIAL : CONN_CLOSED_LINK, false);
}

static void on_timer(void *arg)
{
    struct conn *conn = arg;
    conn->error = -ETIMEDOUT;
    conn_close(conn, conn->state == CONN_ESTABLISHED ? CONN_CLOSED_STALLED : CONN_CLOSED_DEADLINE,
               false);
}

int conn_new(const struct conn_context *context, struct link *link,
             const struct conn_callbacks *callbacks, void *arg, struct conn **ret_conn)
{
    static const struct link_callbacks link_callbacks = {
        .on_connected = on_connected,
        .on_readable = on_readable,
        .on_writable = on_writable,
        .on_closed = on_link_closed,
    };
    struct conn *conn = try_alloc(sizeof *conn);
    if (conn == NULL) {
        link_close(link, false);
        return -ENOMEM;
    }
    *conn = (struct conn){
        .context = context,
        .link = link,
        .callbacks = *callbacks,
        .arg = arg,
        .security = context->security,
        .state = CONN_CONNECTING,
    };
    list_init(&conn->arrival);
    list_init(&conn->departure);
    list_init(&conn->departure_wait);
    intake_init(&conn->in);
    buf_init(&conn->out);
    timer_init(&conn->timer, context->loop, on_timer, conn);
    deferred_init(&conn->flush, context->loop, on_flush, conn);
    deferred_init(&conn->resume, context->loop, on_resume, conn);
    link_attach(link, &link_callbacks, conn);
    timer_start(&conn->timer, CONN_DEADLINE_MS);
    if (!link->outgoing) {
        begin_handshake(conn); /* a responder writes nothing yet, so this cannot fail */
    }
    *ret_conn = conn;
    return 0;
}

bool conn_is_established(const struct conn *conn)
{
    return conn->state == CONN_ESTABLISHED;
}

const struct peer_id *conn_peer_id(const struct conn *conn)
{
    return &conn->peer_id;
}

const uint8_t *conn_public_key(const struct conn *conn)
{
    return conn->security == SECURITY_NOISE ? conn->public_key : NULL;
}

const struct link *conn_link(const struct conn *conn)
{
    return conn->link;
}

int64_t conn_established_ms(const struct conn *conn)
{
    return conn->established_ms;
}

int conn_error(const struct conn *conn)
{
    return conn->error;
}
