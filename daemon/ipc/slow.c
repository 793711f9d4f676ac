/* What happens to a client that does not read (design, Flow): its senders are held for 2 s, then
 * its messages are dropped and counted until it has caught up, and it is told the exact count.
 * Events are never dropped; peers whose news fills its queue are held in the same way. */
#include "core/log.h"
#include "ipc/session.h"

/* Held above three quarters, so that what is on its way still fits below the limit. */
static size_t hold_mark(const struct session *session)
{
    size_t comfort = uid_account_comfort(session);
    size_t limit = session->ipc->queue_limit;
    return (comfort < limit ? comfort : limit) / 4 * 3;
}

static size_t queued_messages(const struct session *session)
{
    return session->out.queued[BACKLOG_MESSAGE];
}

static void count_lost(struct session *session, unsigned lost_as)
{
    session->lost[lost_as]++;
    session->lost_total++;
    session->ipc->values.messages_lost++;
}

/* Sessions of this instance are held as peers are, by ids that stand for them. */
void session_release_peers(struct session *session)
{
    if (session->holding.count > 0) {
        struct peer_id self = host_session_link(session->number);
        host_peer_drained(session->ipc->host, &self);
    }
    while (session->holding.count > 0) {
        struct peer_id id = session->holding.ids[0];
        (void)peer_set_remove(&session->holding, &id);
        host_release_peer(session->ipc->host, &id);
    }
    timer_stop(&session->stall);
}

static void become_lagging(struct session *session)
{
    if (!session->lagging) {
        session->lagging = true;
        log_info("clients", "session %llu (pid %d) does not read: its messages are dropped",
                 (unsigned long long)session->number, (int)session->credentials.pid);
    }
    session_release_peers(session);
    deferred_schedule(&session->flush); /* it may have nothing queued: then the count goes now */
}

/* A link is slowed once its message is here, so each gets one in above the limit: many that speak
 * up in the same turn must not cost a session that reads. */
static bool fits_queue(const struct session *session, size_t size, const struct peer_id *link)
{
    size_t queued = queued_messages(session);
    if (queued == 0 || queued + size <= session->ipc->queue_limit) {
        return true;
    }
    return session->slow == SLOW_STALL &&
           (queued <= hold_mark(session) ||
            (link != NULL && !peer_set_has(&session->holding, link)));
}

bool session_admits_message(struct session *session, unsigned lost_as, size_t size,
                            const struct peer_id *link)
{
    if (session->lagging) {
        count_lost(session, lost_as);
        return false;
    }
    if (fits_queue(session, size, link) && uid_account_admits(session, size)) {
        return true;
    }
    if (session->slow == SLOW_CLOSE) {
        session_end(session, "it did not read and asked to be closed then");
        return false;
    }
    become_lagging(session);
    count_lost(session, lost_as);
    return false;
}

void session_forget_peer(struct session *session, const struct peer_id *peer)
{
    if (peer_set_remove(&session->holding, peer) && session->holding.count == 0) {
        timer_stop(&session->stall);
    }
}

static void hold(struct session *session, const struct peer_id *link)
{
    if (session->slow != SLOW_STALL || link == NULL || session->lagging) {
        return;
    }
    if (peer_set_add(&session->holding, link)) {
        host_hold_peer(session->ipc->host, link);
    }
    if (!timer_is_running(&session->stall)) {
        session->ipc->values.stalls++;
        timer_start(&session->stall, SESSION_STALL_MS);
    }
}

void session_after_message(struct session *session, const struct peer_id *link)
{
    if (queued_messages(session) > hold_mark(session)) {
        hold(session, link);
    }
}

/* From where on the session is asked for nothing more either. */
void session_after_event(struct session *session, const struct peer_id *link)
{
    if (session_is_ready(session) && session->out.queued[BACKLOG_CONTROL] > SESSION_ANSWER_MARK) {
        hold(session, link);
    }
}

static void tell_lost(struct session *session)
{
    uint64_t channel = session->lost[PLANE_CHANNEL];
    uint64_t typed = session->lost[PLANE_TYPED];
    uint64_t topic = session->lost[PLANE_TOPIC];
    uint64_t storage = session->lost[LOST_CHANGE];
    uint64_t total = channel + typed + topic + storage;
    session->lagging = false;
    for (size_t i = 0; i < SESSION_PLANES; i++) {
        session->lost[i] = 0;
    }
    session_send_event(session, EV_LOST,
                       json_pack("{s:I, s:I, s:I, s:I, s:I}", "channel", (json_int_t)channel,
                                 "typed", (json_int_t)typed, "topic", (json_int_t)topic, "storage",
                                 (json_int_t)storage, "total", (json_int_t)total));
}

void session_after_flush(struct session *session)
{
    size_t queued = queued_messages(session);
    if (session->lagging && queued <= session->ipc->queue_limit / 4 &&
        session->out.queued[BACKLOG_CONTROL] <= SESSION_ANSWER_MARK) {
        tell_lost(session);
    } else if (session->holding.count > 0 && queued <= session->ipc->queue_limit / 4 &&
               session->out.queued[BACKLOG_CONTROL] <= SESSION_ANSWER_MARK / 4) {
        session_release_peers(session);
    }
}

static void on_stall(void *arg)
{
    become_lagging(arg);
}

void session_stall_init(struct session *session)
{
    timer_init(&session->stall, session->ipc->loop, on_stall, session);
}
