#include "ipc/session.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/net.h"
#include "service/life.h"
#include "util/alloc.h"

#define CLOSING_MS 1000 /* how long a rejected client may take to read why */

void session_bury(struct session *session)
{
    struct ipc *ipc = session->ipc;
    session_release_peers(session);
    peer_set_fini(&session->waiting);
    peer_set_fini(&session->broadcast.owed);
    io_fini(&session->io);
    timer_stop(&session->deadline);
    timer_stop(&session->stall);
    deferred_cancel(&session->flush);
    loan_cancel(&session->loan);
    list_remove(&session->in_line);
    deferred_cancel(&session->burial);
    (void)close(session->fd);
    descriptors_close(&session->descriptors);
    intake_fini(&session->intake);
    backlog_fini(&session->out);
    session_recharge(session);
    session->account->sessions--;
    uid_account_settle(ipc, session->account);
    list_remove(&session->node);
    ipc->session_count--;
    ipc->values.sessions = ipc->session_count;
    free(session);
}

static json_t *session_facts(const struct session *session)
{
    return json_pack("{s:I, s:I, s:I, s:s}", "session", (json_int_t)session->number, "pid",
                     (json_int_t)session->credentials.pid, "uid",
                     (json_int_t)session->credentials.uid, "name", session->name);
}

/* What the session owned goes, others hear of it, and then it is freed. */
static void on_burial(void *arg)
{
    struct session *session = arg;
    struct ipc *ipc = session->ipc;
    session_cancel_calls(session);
    host_session_ended(ipc->host, session->number);
    if (session->started) {
        life_end(host_life(ipc->host), NULL);
    }
    if (session->attached) {
        life_left(host_life(ipc->host), session->fd);
    }
    if (session->announced) {
        host_emit(ipc->host, EV_SESSION_ENDED, session_facts(session), NULL);
    }
    if (session->peers_demand > 0) {
        (void)ipc_apply_demand(ipc);
    }
    session_bury(session);
}

struct session *session_find(const struct ipc *ipc, uint64_t number)
{
    struct session *session = ipc->slots[number % ipc->slot_count];
    return session != NULL && session->number == number ? session : NULL;
}

void session_end(struct session *session, const char *why)
{
    if (session->state == SESSION_ENDED) {
        return;
    }
    struct ipc *ipc = session->ipc;
    log_debug("clients", "session %llu (pid %d) ended: %s", (unsigned long long)session->number,
              (int)session->credentials.pid, why);
    if (session->state == SESSION_GREETING) {
        ipc->greeting_count--;
    }
    session->state = SESSION_ENDED;
    ipc->slots[session->number % ipc->slot_count] = NULL;
    (void)io_want(&session->io, 0);
    timer_stop(&session->deadline);
    uid_account_release(session);
    deferred_schedule(&session->burial);
}

void session_recharge(struct session *session)
{
    size_t held = session->out.bytes.capacity;
    session->account->queued_bytes += held - session->charged;
    session->charged = held;
}

/* Whether the client has left no more answers unread than it may, which is less when all clients of
 * its user have left much. */
static bool reads_answers(const struct session *session)
{
    size_t unread = session->out.queued[BACKLOG_CONTROL] + session->out.queued[BACKLOG_BODY];
    return unread <= SESSION_ANSWER_MARK && unread <= uid_account_comfort(session);
}

/* Whether the next frame may be taken: no peer, no room and no reading of answers is waited for. */
static bool may_take(const struct session *session)
{
    return session->waiting.count == 0 && session->room_ticket == 0 && reads_answers(session);
}

void session_update_reading(struct session *session)
{
    if (session->state == SESSION_ENDED) {
        return;
    }
    bool may_read = session->state != SESSION_CLOSING && !session->input_ended &&
                    !session->pending && may_take(session);
    bool must_write = !session->output_dead && backlog_size(&session->out) > 0 &&
                      (session->io.wanted & IO_WRITE) != 0;
    (void)io_want(&session->io, (may_read ? IO_READ : 0u) | (must_write ? IO_WRITE : 0u));
}

/* Writing ----------------------------------------------------------------------------------- */

static void on_output_dead(struct session *session, int error)
{
    if (error != EPIPE && error != ECONNRESET) {
        session_end(session, strerror(error));
        return;
    }
    /* The client has closed its reading end or died. What it had sent before is still taken. If it
     * reads all the same, it sees the end. */
    (void)shutdown(session->fd, SHUT_WR);
    session->output_dead = true;
    backlog_consume(&session->out, backlog_size(&session->out));
    session_recharge(session);
    session_release_peers(session);
    /* Nothing is wanted of the socket while it only says that its other end is gone. */
    session_update_reading(session);
    session_line_up(session);
    if (session->state == SESSION_CLOSING || session->input_ended) {
        session_end(session, "client is gone");
    }
}

static void on_flush(void *arg)
{
    struct session *session = arg;
    if (session->state == SESSION_ENDED || session->output_dead) {
        return;
    }
    if (backlog_size(&session->out) == 0) {
        session_after_flush(session);
        return;
    }
    struct iovec parts[BACKLOG_MAX_PARTS];
    size_t count = backlog_parts(&session->out, parts);
    ssize_t written = net_write(session->fd, parts, (int)count);
    if (written < 0 && written != -EAGAIN) {
        on_output_dead(session, (int)-written);
        return;
    }
    if (written > 0) {
        backlog_consume(&session->out, (size_t)written);
    }
    bool all = backlog_size(&session->out) == 0;
    unsigned wanted = session->io.wanted & IO_READ;
    (void)io_want(&session->io, all ? wanted : wanted | IO_WRITE);
    session_recharge(session);
    session_after_flush(session);
    if ((session->io.wanted & IO_READ) == 0 && may_take(session)) {
        session_line_up(session);
    }
    if (all && session->state == SESSION_CLOSING) {
        session_end(session, "rejected");
    }
}

/* The bytes that were only borrowed are about to go. */
static void on_loan_end(void *arg)
{
    struct session *session = arg;
    deferred_cancel(&session->flush);
    on_flush(session);
    if (session->state == SESSION_ENDED) {
        backlog_consume(&session->out, backlog_size(&session->out));
    } else if (backlog_keep(&session->out) < 0) {
        backlog_consume(&session->out, backlog_size(&session->out));
        session_end(session, "out of memory");
    }
    session_recharge(session);
}

int session_lend(struct session *session, size_t head_size, struct bytes payload,
                 uint8_t **ret_head)
{
    int result = backlog_lend(&session->out, BACKLOG_MESSAGE, head_size, payload, ret_head);
    if (result == 0) {
        loan_take(loop_loans(session->ipc->loop), &session->loan);
    }
    return result;
}

void session_send_json(struct session *session, enum frame_kind kind, uint64_t id, json_t *head)
{
    if (session->state == SESSION_ENDED || session->output_dead) {
        json_decref(head);
        return;
    }
    char *text = json_dumps(head, JSON_COMPACT);
    json_decref(head);
    if (text == NULL) {
        session_end(session, "out of memory");
        return;
    }
    session_send_text(session, kind, id, bytes_from_string(text));
    free(text);
}

void session_send_text(struct session *session, enum frame_kind kind, uint64_t id,
                       struct bytes text)
{
    if (session->state == SESSION_ENDED || session->output_dead) {
        return;
    }
    uint8_t *room = NULL;
    /* A head carries 64 KiB; what is longer (a list of very many peers) travels as body. */
    bool as_body = text.size > FRAME_MAX_HEAD;
    if (backlog_add(&session->out, BACKLOG_CONTROL, FRAME_HEADER_SIZE + text.size, &room) < 0) {
        session_end(session, "out of memory");
        return;
    }
    frame_encode_header(room, kind, 0, id, as_body ? 0 : text.size, as_body ? text.size : 0);
    memcpy(room + FRAME_HEADER_SIZE, text.data, text.size);
    session->ipc->values.frames_out++;
    session_recharge(session);
    if (session->out.queued[BACKLOG_CONTROL] > SESSION_MAX_CONTROL + text.size) {
        session_end(session, "too many control frames unread");
        return;
    }
    deferred_schedule(&session->flush);
}

int session_send_body(struct session *session, uint64_t id, json_t *head, struct bytes body)
{
    size_t queued = session->out.queued[BACKLOG_BODY];
    char *text = json_dumps(head, JSON_COMPACT);
    json_decref(head);
    size_t head_size = text == NULL ? 0 : strlen(text);
    size_t size = FRAME_HEADER_SIZE + head_size + body.size;
    uint8_t *room = NULL;
    int result = 0;
    assert(head_size <= FRAME_MAX_HEAD);
    if (session->state == SESSION_ENDED || session->output_dead) {
        result = 0; /* nobody hears it */
    } else if ((queued > 0 && queued + size > session->ipc->queue_limit) ||
               !uid_account_admits(session, size)) {
        result = -EAGAIN;
    } else if (text == NULL || backlog_add(&session->out, BACKLOG_BODY, size, &room) < 0) {
        session_end(session, "out of memory");
    } else {
        frame_encode_header(room, FRAME_REPLY, 0, id, head_size, body.size);
        memcpy(room + FRAME_HEADER_SIZE, text, head_size);
        if (body.size > 0) {
            memcpy(room + FRAME_HEADER_SIZE + head_size, body.data, body.size);
        }
        session->ipc->values.frames_out++;
        session_recharge(session);
        deferred_schedule(&session->flush);
    }
    free(text);
    return result;
}

void session_reject(struct session *session, enum proto_error error, const char *text)
{
    if (session->state == SESSION_GREETING) {
        /* Whoever has not said hello may not be speaking this protocol at all: no answer. */
        session_end(session, text);
        return;
    }
    if (session->state != SESSION_READY) {
        return;
    }
    log_info("clients", "session %llu (pid %d) rejected: %s", (unsigned long long)session->number,
             (int)session->credentials.pid, text);
    session_send_json(session, FRAME_FAIL, 0, fail_head(error, text, NULL));
    if (session->state == SESSION_READY) {
        session->state = SESSION_CLOSING;
        session_update_reading(session);
        timer_start(&session->deadline, CLOSING_MS);
    }
}

/* Reading ----------------------------------------------------------------------------------- */

/* 0, or -EAGAIN when the frame has to wait. */
static int take_frame(struct session *session, const struct frame *frame, const int *fds)
{
    session->ipc->values.frames_in++;
    switch (frame->kind) {
    case FRAME_CALL:
        if (session->output_dead && ++session->unheard_calls > SESSION_MAX_CALLS) {
            for (size_t i = 0; i < frame->fds; i++) {
                (void)close(fds[i]);
            }
            session_end(session, "made more calls than it could wait for, and is gone");
            return 0;
        }
        session_on_call(session, frame, fds);
        return 0;
    case FRAME_MESSAGE:
        return session_on_message(session, frame);
    case FRAME_CANCEL:
        session_on_cancel(session, frame);
        return 0;
    case FRAME_REPLY:
    case FRAME_FAIL:
    case FRAME_EVENT:
    default:
        session_reject(session, E_MALFORMED, "frames of this kind only travel to the client");
        return 0;
    }
}

/* False after the session was rejected: only calls of methods that ask for descriptors have any. */
static bool claim_descriptors(struct session *session, const struct frame *frame, size_t size,
                              int fds[FRAME_MAX_FDS])
{
    uint64_t from = session->received - intake_size(&session->intake);
    if (frame->fds > 0 && frame->kind != FRAME_CALL) {
        session_reject(session, E_MALFORMED, "descriptors came with a frame that takes none");
        return false;
    }
    if (descriptors_take(&session->descriptors, from, from + size, frame->fds, fds) < 0) {
        session_reject(session, E_MALFORMED,
                       frame->fds == 0 ? "descriptors came with a frame that takes none"
                                       : "a frame tells of descriptors that did not come with it");
        return false;
    }
    return true;
}

/* What one session has had of a turn. Messages are cheap, but not those for every peer: the clock
 * is looked at now and then. */
struct allowance {
    unsigned calls;
    unsigned messages;
    int64_t begun_us;
};

static bool is_used_up(struct allowance *used, const struct loop *loop, const struct frame *frame)
{
    bool asks = frame->kind == FRAME_CALL || frame->id != 0;
    bool is_first = used->calls == 0 && used->messages == 0;
    used->calls += asks ? 1 : 0;
    if (!asks && used->messages++ % SESSION_TURN_LOOK != 0) {
        return false;
    }
    int64_t now_us = loop_clock_us(loop);
    if (is_first) {
        used->begun_us = now_us;
    }
    return used->calls > SESSION_TURN_CALLS ||
           now_us - used->begun_us >= (asks ? SESSION_TURN_US : SESSION_MESSAGES_US);
}

static void take_whole_frames(struct session *session)
{
    struct intake *intake = &session->intake;
    struct allowance used = {0};
    session->pending = false;
    while (may_take(session) &&
           (session->state == SESSION_READY || session->state == SESSION_GREETING)) {
        struct frame frame;
        size_t size = 0;
        enum frame_status status =
            frame_decode(intake_data(intake), intake_size(intake), &frame, &size);
        if (status < 0) {
            session_reject(session, E_MALFORMED, frame_status_text(status));
            return;
        }
        if (session->state == SESSION_GREETING &&
            (size > SESSION_HELLO_BYTES || intake_size(intake) > SESSION_HELLO_BYTES)) {
            session_end(session, "sent more than 4 KiB before hello");
            return;
        }
        if (status == FRAME_INCOMPLETE) {
            intake_expect(intake, size);
            if (size > SESSION_READ_BUDGET) {
                (void)uid_account_reserve(session, size);
            }
            return;
        }
        if (is_used_up(&used, session->ipc->loop, &frame)) {
            session->pending = true;
            session_line_up(session);
            return;
        }
        int fds[FRAME_MAX_FDS];
        if (!claim_descriptors(session, &frame, size, fds)) {
            return;
        }
        if (take_frame(session, &frame, fds) == -EAGAIN) {
            return;
        }
        intake_consume(intake, size);
        uid_account_release(session);
    }
}

static void take_frames(struct session *session)
{
    struct loans *loans = loop_loans(session->ipc->loop);
    loans_begin(loans, bytes_make(intake_data(&session->intake), intake_size(&session->intake)));
    take_whole_frames(session);
    loans_end(loans);
}

/* Everything that was sent has been taken: the client's end is ours. */
static void end_if_drained(struct session *session)
{
    if (session->input_ended && !session->pending && may_take(session) &&
        session->state == SESSION_READY) {
        session_end(session, "client closed");
    } else if (session->input_ended && session->state == SESSION_GREETING) {
        session_end(session, "client closed before hello");
    }
}

/* What came, or a negative errno. -EBADMSG: more descriptors than can belong to it. */
static ssize_t receive(struct session *session, uint8_t *room, size_t space)
{
    union {
        char bytes[CMSG_SPACE(DESCRIPTORS_ROOM * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = room, .iov_len = space};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t size = recvmsg(session->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0) {
        return -errno;
    }
    uint64_t from = session->received;
    session->received += (uint64_t)size;
    bool in_order = header.msg_controllen == 0 ||
                    descriptors_receive(&session->descriptors, &header, from, session->received);
    return in_order ? size : -EBADMSG;
}

/* One read of at most SESSION_READ_BUDGET bytes a turn, so that no session starves another. */
static void read_session(struct session *session)
{
    size_t space = 0;
    uint8_t *room = intake_room(&session->intake, loop_scratch(session->ipc->loop), &space);
    if (room == NULL) {
        session_end(session, "out of memory");
        return;
    }
    ssize_t size = receive(session, room, space);
    if (size > 0 && session->state == SESSION_GREETING && session->descriptors.count > 0) {
        session_end(session, "sent descriptors before hello");
    } else if (size > 0) {
        intake_filled(&session->intake, (size_t)size);
        if (session->taking > 0) {
            timer_start(&session->deadline, SESSION_HALF_MS);
        }
        take_frames(session);
    } else if (size == -EBADMSG) {
        session_reject(session, E_MALFORMED, "more descriptors came than a frame may carry");
    } else if (size != -EAGAIN && size != -EINTR) {
        session->input_ended = true;
    }
    if (intake_settle(&session->intake) < 0) {
        session_end(session, "out of memory");
        return;
    }
    session_update_reading(session);
    end_if_drained(session);
}

void session_hear(struct session *session)
{
    read_session(session);
}

static void on_ready(void *arg, unsigned ready)
{
    struct session *session = arg;
    if ((ready & IO_WRITE) != 0) {
        on_flush(session);
    }
    if ((ready & IO_READ) != 0 && session->state != SESSION_ENDED) {
        session->readable = !session_take_turn(session, read_session);
    }
}

/* Frames that were kept while the session waited come first, before the socket is read again. */
void session_resume(struct session *session)
{
    bool readable = session->readable;
    session->readable = false;
    if (session->state == SESSION_ENDED) {
        return;
    }
    if (readable && (session->io.wanted & IO_READ) != 0) {
        read_session(session);
        return;
    }
    take_frames(session);
    (void)intake_settle(
        &session->intake); /* nothing is in the scratch: it only gives memory back */
    session_update_reading(session);
    end_if_drained(session);
}

static void on_deadline(void *arg)
{
    struct session *session = arg;
    if (session->state == SESSION_READY) {
        if (session->account->waiters > 0 && session->waiting.count == 0) {
            session_end(session, "half a frame kept others waiting");
        } else {
            timer_start(&session->deadline, SESSION_HALF_MS);
        }
        return;
    }
    session_end(session, session->state == SESSION_GREETING ? "no hello within 5 s"
                                                            : "rejected and not reading");
}

void session_new(struct ipc *ipc, int fd, const struct credentials *credentials,
                 struct uid_account *account)
{
    struct session *session = xalloc(sizeof(*session));
    session->ipc = ipc;
    session->fd = fd;
    session->credentials = *credentials;
    session->account = account;
    session->attached_ms = loop_now_ms(ipc->loop);
    list_init(&session->node);
    list_init(&session->calls);
    list_init(&session->in_line);
    intake_init(&session->intake);
    backlog_init(&session->out);
    io_init(&session->io, ipc->loop, fd, on_ready, session);
    timer_init(&session->deadline, ipc->loop, on_deadline, session);
    loan_init(&session->loan, on_loan_end, session);
    deferred_init(&session->flush, ipc->loop, on_flush, session);
    deferred_init(&session->burial, ipc->loop, on_burial, session);
    session_stall_init(session);
    do {
        session->number = ++ipc->serial;
    } while (ipc->slots[session->number % ipc->slot_count] != NULL);
    ipc->slots[session->number % ipc->slot_count] = session;
    list_append(&ipc->sessions, &session->node);
    ipc->session_count++;
    ipc->greeting_count++;
    account->sessions++;
    ipc->values.sessions = ipc->session_count;
    ipc->values.sessions_total++;
    timer_start(&session->deadline, SESSION_HELLO_MS);
    session_update_reading(session);
}
