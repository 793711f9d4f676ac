/* What the sessions of one user share: memory for what is queued to them, and for large frames that
 * arrive from them. Small frames are bounded by the number of sessions. */
#include <stdlib.h>

#include "ipc/session.h"
#include "util/alloc.h"

/* The largest frame is a little larger than the limit's default. */
#define FRAME_SLACK ((size_t)128 * 1024)

struct uid_account *uid_account_get(struct ipc *ipc, uid_t uid)
{
    struct uid_account *account = map_find(&ipc->accounts, bytes_make(&uid, sizeof(uid)));
    if (account == NULL) {
        account = xalloc(sizeof(*account));
        account->uid = uid;
        list_init(&account->line);
        if (map_insert(&ipc->accounts, bytes_make(&account->uid, sizeof(uid_t)), account) < 0) {
            free(account);
            return NULL;
        }
        list_append(&ipc->users, &account->node);
    }
    return account;
}

void uid_account_settle(struct ipc *ipc, struct uid_account *account)
{
    if (account != NULL && account->sessions == 0) {
        (void)map_remove(&ipc->accounts, bytes_make(&account->uid, sizeof(uid_t)));
        list_remove(&account->node);
        free(account);
    }
}

/* Towards the clients ------------------------------------------------------------------------ */

/* A quarter of the limit is divided evenly, so that sessions that do not read cannot take from
 * those that do; the rest goes to whoever needs it. */
static size_t fair_share(const struct session *session)
{
    return session->ipc->uid_queue_limit / 4 / session->account->sessions;
}

static size_t common_limit(const struct session *session)
{
    return session->ipc->uid_queue_limit / 4 * 3;
}

bool uid_account_admits(const struct session *session, size_t size)
{
    size_t queued = session->out.queued[BACKLOG_MESSAGE] + session->out.queued[BACKLOG_BODY];
    size_t all = session->account->queued_bytes;
    if (queued + size <= fair_share(session) || all + size <= common_limit(session)) {
        return true;
    }
    /* One that is larger is let in as long as the limit is not reached. */
    return queued == 0 && all <= session->ipc->uid_queue_limit + FRAME_SLACK;
}

size_t uid_account_comfort(const struct session *session)
{
    bool plenty = session->account->queued_bytes <= common_limit(session) / 2;
    return plenty ? session->ipc->uid_queue_limit : fair_share(session);
}

/* From the clients --------------------------------------------------------------------------- */

static bool has_room(const struct ipc *ipc, const struct uid_account *account, size_t size)
{
    return account->taking_bytes == 0 || account->taking_bytes + size <= ipc->uid_queue_limit;
}

static void grant(struct session *session, size_t size)
{
    session->taking = size;
    session->account->taking_bytes += size;
    timer_start(&session->deadline, SESSION_HALF_MS);
}

static void leave_queue(struct session *session)
{
    if (session->room_ticket != 0) {
        session->room_ticket = 0;
        session->account->waiters--;
    }
}

bool uid_account_reserve(struct session *session, size_t size)
{
    struct uid_account *account = session->account;
    if (session->taking != 0) {
        return true;
    }
    if (account->waiters == 0 && has_room(session->ipc, account, size)) {
        grant(session, size);
        return true;
    }
    session->room_ticket = ++account->last_ticket;
    session->room_wanted = size;
    account->waiters++;
    return false;
}

static struct session *first_waiter(const struct ipc *ipc, const struct uid_account *account)
{
    struct session *first = NULL;
    LIST_EACH(&ipc->sessions, node)
    {
        struct session *session = CONTAINER_OF(node, struct session, node);
        if (session->account == account && session->room_ticket != 0 &&
            (first == NULL || session->room_ticket < first->room_ticket)) {
            first = session;
        }
    }
    return first;
}

void uid_account_release(struct session *session)
{
    struct uid_account *account = session->account;
    if (session->taking == 0 && session->room_ticket == 0) {
        return;
    }
    leave_queue(session);
    account->taking_bytes -= session->taking;
    session->taking = 0;
    if (session->state == SESSION_READY) {
        timer_stop(&session->deadline);
    }
    while (account->waiters > 0) {
        struct session *next = first_waiter(session->ipc, account);
        if (!has_room(session->ipc, account, next->room_wanted)) {
            break;
        }
        leave_queue(next);
        grant(next, next->room_wanted);
        session_line_up(next);
    }
}
