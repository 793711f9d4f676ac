/* Whose turn it is. Each user's sessions share so much of a turn of the loop and no more, however
 * many they are and whatever they send; what is left over waits in line for the next turn. So a
 * user who floods costs the others, and the links, a bounded delay. */
#include <stdlib.h>

#include "ipc/session.h"
#include "util/alloc.h"

#define USER_TURN_US 1000

static int64_t used_us(const struct ipc *ipc, const struct uid_account *account)
{
    return account->turn == ipc->turn ? account->used_us : 0;
}

/* A session by itself takes at most what it reads at once, or SESSION_TURN_US. */
static void charge(struct ipc *ipc, struct uid_account *account, int64_t us)
{
    account->used_us = used_us(ipc, account) + us;
    account->turn = ipc->turn;
    deferred_schedule(&ipc->turns);
}

void session_line_up(struct session *session)
{
    if (!list_is_linked(&session->in_line)) {
        list_append(&session->account->line, &session->in_line);
        deferred_schedule(&session->ipc->turns);
    }
}

static void serve(struct ipc *ipc, struct session *session, void (*work)(struct session *session))
{
    struct uid_account *account = session->account;
    int64_t begun_us = loop_clock_us(ipc->loop);
    work(session); /* it is not freed before the end of the turn, nor is its account */
    charge(ipc, account, loop_clock_us(ipc->loop) - begun_us);
}

bool session_take_turn(struct session *session, void (*work)(struct session *session))
{
    struct ipc *ipc = session->ipc;
    const struct uid_account *account = session->account;
    if (!list_is_empty(&account->line) || used_us(ipc, account) >= USER_TURN_US) {
        session_line_up(session);
        return false;
    }
    serve(ipc, session, work);
    return true;
}

static void serve_line(struct ipc *ipc, struct uid_account *account)
{
    struct list *last = account->line.prev; /* who lines up again meanwhile waits for the next */
    while (!list_is_empty(&account->line) && used_us(ipc, account) < USER_TURN_US) {
        struct list *first = list_first(&account->line);
        list_remove(first);
        serve(ipc, CONTAINER_OF(first, struct session, in_line), session_resume);
        if (first == last) {
            break;
        }
    }
}

/* Users begin in turn: the first to fill a link leaves nothing of it to the last. */
static void on_turns(void *arg)
{
    struct ipc *ipc = arg;
    size_t waiting = 0;
    LIST_EACH(&ipc->users, node)
    {
        serve_line(ipc, CONTAINER_OF(node, struct uid_account, node));
    }
    LIST_EACH(&ipc->users, node)
    {
        waiting += !list_is_empty(&CONTAINER_OF(node, struct uid_account, node)->line);
    }
    struct list *first = list_first(&ipc->users);
    if (first != NULL) {
        list_remove(first);
        list_append(&ipc->users, first);
    }
    ipc->turn++;
    if (waiting > 0) {
        deferred_schedule(&ipc->turns);
    }
}

void session_turns_init(struct ipc *ipc)
{
    list_init(&ipc->users);
    deferred_init(&ipc->turns, ipc->loop, on_turns, ipc);
    ipc->turn = 1;
}

/* Waiting for a peer ------------------------------------------------------------------------- */

void session_wait_for(struct session *session, const struct peer_id *peer)
{
    if (session->wait_ticket == 0) {
        session->wait_ticket = ++session->ipc->last_wait_ticket;
    }
    peer_set_append(&session->waiting, peer); /* whom one message waits for is named once */
}

static int compare_tickets(const void *a, const void *b)
{
    const struct session *const *left = a;
    const struct session *const *right = b;
    return ((*left)->wait_ticket > (*right)->wait_ticket) -
           ((*left)->wait_ticket < (*right)->wait_ticket);
}

/* A message to one peer goes once that has room, one to all to each as it has: who does not read
 * keeps it from nobody else. */
static bool waits_no_longer(struct session *session, const struct peer_id *peer)
{
    if (!peer_set_remove(&session->waiting, peer)) {
        return false;
    }
    if (session->broadcast.begun) {
        peer_set_fini(&session->waiting);
    }
    return session->waiting.count == 0;
}

/* Who has waited longest goes first, and keeps that place when the link fills up again before it
 * comes to him: otherwise the same few would fill it each time. */
void sessions_stop_waiting(struct ipc *ipc, const struct peer_id *peer)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the size of a pointer is meant */
    struct session **free_again = xalloc((ipc->session_count + 1) * sizeof(*free_again));
    size_t count = 0;
    LIST_EACH(&ipc->sessions, node)
    {
        struct session *session = CONTAINER_OF(node, struct session, node);
        if (waits_no_longer(session, peer)) {
            free_again[count++] = session;
        }
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression) */
    qsort(free_again, count, sizeof(*free_again), compare_tickets);
    for (size_t i = 0; i < count; i++) {
        session_line_up(free_again[i]);
    }
    free(free_again);
}
