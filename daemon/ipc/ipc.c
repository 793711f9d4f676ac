#include "ipc/ipc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/random.h"
#include "ipc/session.h"
#include "util/alloc.h"

#define ACCEPT_PAUSE_MS  100
#define ACCEPTS_PER_TURN 64
#define SECTION          "clients"
#define MAX_SESSIONS     8192

const struct config_item ipc_config_items[] = {
    {.key = "socket_mode",
     .type = CONFIG_TEXT,
     .default_text = "0660",
     .summary = "Permissions of the socket in octal; whoever may open it may use the daemon."},
    {.key = "socket_group",
     .type = CONFIG_TEXT,
     .default_text = "",
     .summary = "Group that owns the socket; empty leaves the daemon's own."},
    {.key = "control_group",
     .type = CONFIG_TEXT,
     .default_text = "",
     .summary =
         "Members of this group may change the instance, as root and the daemon's user may."},
    {.key = "max_sessions",
     .type = CONFIG_UINT,
     .default_text = "1024",
     .min = 1,
     .max = MAX_SESSIONS,
     .reloadable = true,
     .summary = "Clients attached at once."},
    {.key = "max_sessions_per_uid",
     .type = CONFIG_UINT,
     .default_text = "128",
     .min = 1,
     .max = MAX_SESSIONS,
     .reloadable = true,
     .summary = "Clients of one user attached at once; and at most half of what others have left "
                "of max_sessions, unless they control the instance."},
    {.key = "queue",
     .type = CONFIG_SIZE,
     .default_text = "4M",
     .min = 64ULL * 1024,
     .max = 1024ULL * 1024 * 1024,
     .reloadable = true,
     .summary = "Bytes of messages queued to one client before its senders are held up."},
    {.key = "queue_per_uid",
     .type = CONFIG_SIZE,
     .default_text = "64M",
     .min = 64ULL * 1024,
     .max = 16ULL * 1024 * 1024 * 1024,
     .reloadable = true,
     .summary = "Bytes held for all clients of one user, in each direction."},
    {0},
};

static const struct metric_row ipc_metrics[] = {
    {"client_sessions", METRIC_GAUGE, offsetof(struct ipc_values, sessions), "attached clients"},
    {"client_sessions_total", METRIC_COUNTER, offsetof(struct ipc_values, sessions_total),
     "clients that ever connected"},
    {"client_calls", METRIC_COUNTER, offsetof(struct ipc_values, calls), "calls received"},
    {"client_frames_in", METRIC_COUNTER, offsetof(struct ipc_values, frames_in),
     "frames received from clients"},
    {"client_frames_out", METRIC_COUNTER, offsetof(struct ipc_values, frames_out),
     "frames queued to clients"},
    {"client_messages_lost", METRIC_COUNTER, offsetof(struct ipc_values, messages_lost),
     "messages dropped because a client did not read"},
    {"client_stalls", METRIC_COUNTER, offsetof(struct ipc_values, stalls),
     "times a slow client held its senders up"},
    {"client_refused", METRIC_COUNTER, offsetof(struct ipc_values, refused),
     "clients turned away by a limit"},
    {0},
};

static void read_limits(struct ipc *ipc)
{
    const struct config *config = host_config(ipc->host);
    ipc->max_sessions = config_size(config, SECTION, "max_sessions");
    ipc->max_sessions_per_uid = config_size(config, SECTION, "max_sessions_per_uid");
    ipc->queue_limit = config_size(config, SECTION, "queue");
    ipc->uid_queue_limit = config_size(config, SECTION, "queue_per_uid");
}

void ipc_reload(struct ipc *ipc)
{
    read_limits(ipc);
}

size_t ipc_apply_demand(struct ipc *ipc)
{
    size_t demand = 0;
    LIST_EACH(&ipc->sessions, node)
    {
        const struct session *session = CONTAINER_OF(node, struct session, node);
        if (session_is_ready(session) && session->peers_demand > demand) {
            demand = session->peers_demand;
        }
    }
    return host_demand_peers(ipc->host, demand);
}

static struct session *oldest_greeting(struct ipc *ipc)
{
    LIST_EACH(&ipc->sessions, node)
    {
        struct session *session = CONTAINER_OF(node, struct session, node);
        if (session->state == SESSION_GREETING) {
            return session;
        }
    }
    return NULL;
}

/* A newcomer takes the place of the oldest that is silent. One whose hello is there is not: it has
 * only not had its turn. Nor is one that has hardly come: when many come at once, the next wait in
 * the backlog of the socket. 0, or in how many milliseconds there may be a place. */
static int64_t make_place(struct ipc *ipc)
{
    while (ipc->greeting_count >= SESSION_MAX_GREETING) {
        struct session *session = oldest_greeting(ipc);
        session_hear(session);
        int64_t age_ms = loop_now_ms(ipc->loop) - session->attached_ms;
        if (session->state == SESSION_GREETING && age_ms < SESSION_FAIR_MS) {
            return SESSION_FAIR_MS - age_ms;
        }
        if (session->state == SESSION_GREETING) {
            session_end(session, "a newcomer took the place of the oldest silent client");
        }
    }
    return 0;
}

/* Of the places that others have left nobody takes more than half, so that there is always one for
 * somebody else; but those who control the instance may have them all. */
static size_t share_of(const struct ipc *ipc, const struct uid_account *account, bool control)
{
    size_t others = ipc->session_count - account->sessions;
    size_t left = ipc->max_sessions > others ? ipc->max_sessions - others : 0;
    return control ? left : (left + 1) / 2;
}

/* Why a newcomer cannot stay, or NULL. */
static const char *refusal(const struct ipc *ipc, const struct uid_account *account, bool control)
{
    if (account == NULL) {
        return "out of memory";
    }
    if (ipc->session_count >= ipc->max_sessions) {
        return "max_sessions is reached";
    }
    if (account->sessions >= share_of(ipc, account, control)) {
        return "its user has half of what others have left of max_sessions";
    }
    return account->sessions >= ipc->max_sessions_per_uid ? "max_sessions_per_uid is reached"
                                                          : NULL;
}

static void admit(struct ipc *ipc, int fd)
{
    static struct log_limit limit;
    struct credentials credentials;
    if (credentials_read(fd, ipc->control_group, &credentials) < 0) {
        (void)close(fd);
        return;
    }
    struct uid_account *account = uid_account_get(ipc, credentials.uid);
    const char *why = refusal(ipc, account, credentials.control);
    if (why != NULL) {
        ipc->values.refused++;
        log_limited(&limit, loop_now_ms(ipc->loop), LOG_LEVEL_WARN, "clients",
                    "refused pid %d of uid %d: %s", (int)credentials.pid, (int)credentials.uid,
                    why);
        (void)close(fd);
        uid_account_settle(ipc, account);
        return;
    }
    session_new(ipc, fd, &credentials, account);
}

static void on_accept_again(void *arg)
{
    struct ipc *ipc = arg;
    if (ipc->listen_fd >= 0) {
        (void)io_want(&ipc->listen_io, IO_READ);
    }
}

static void pause_accepting(struct ipc *ipc, int64_t pause_ms)
{
    (void)io_want(&ipc->listen_io, 0);
    timer_start(&ipc->accept_pause, pause_ms);
}

static void on_incoming(void *arg, unsigned ready)
{
    (void)ready;
    struct ipc *ipc = arg;
    int64_t pause_ms = make_place(ipc); /* one is waiting; whether another is, we learn next turn */
    if (pause_ms > 0) {
        pause_accepting(ipc, pause_ms);
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_TURN && ipc->greeting_count < SESSION_MAX_GREETING; i++) {
        int fd = accept4(ipc->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(ipc, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warn("clients", "cannot accept: %s; trying again shortly", strerror(errno));
            pause_accepting(ipc, ACCEPT_PAUSE_MS);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

void ipc_watch_listener(struct ipc *ipc, int fd)
{
    ipc->listen_fd = fd;
    io_init(&ipc->listen_io, ipc->loop, fd, on_incoming, ipc);
    (void)io_want(&ipc->listen_io, IO_READ);
}

int ipc_new(struct host *host, struct ipc **ret_ipc, char *error, size_t error_size)
{
    struct ipc *ipc = xalloc(sizeof(*ipc));
    const char *group = config_text(host_config(host), SECTION, "control_group");
    uint64_t seed[2] = {random_u64(), random_u64()};
    ipc->host = host;
    ipc->loop = host_loop(host);
    ipc->listen_fd = -1;
    list_init(&ipc->sessions);
    map_init(&ipc->accounts, seed);
    session_turns_init(ipc);
    ipc->slot_count = MAX_SESSIONS;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the size of a pointer is meant */
    ipc->slots = xalloc(ipc->slot_count * sizeof(*ipc->slots));
    timer_init(&ipc->accept_pause, ipc->loop, on_accept_again, ipc);
    read_limits(ipc);
    metrics_add(host_metrics(host), ipc_metrics, &ipc->values);
    if (credentials_find_group(group, &ipc->control_group) < 0) {
        (void)snprintf(error, error_size,
                       "[clients] control_group = %s: there is no such group; create it or name "
                       "another",
                       group);
        ipc_free(ipc);
        return -ENOENT;
    }
    *ret_ipc = ipc;
    return 0;
}

void ipc_free(struct ipc *ipc)
{
    if (ipc == NULL) {
        return;
    }
    ipc_stop_listening(ipc);
    LIST_EACH(&ipc->sessions, node)
    {
        session_bury(CONTAINER_OF(node, struct session, node));
    }
    timer_stop(&ipc->accept_pause);
    deferred_cancel(&ipc->turns);
    metrics_remove(host_metrics(ipc->host), &ipc->values);
    map_fini(&ipc->accounts);
    free(ipc->slots);
    free(ipc->description);
    free(ipc);
}

size_t ipc_session_count(const struct ipc *ipc)
{
    return ipc->session_count;
}

/* Something a client wrote that we have not read. */
static bool has_input(const struct session *session)
{
    int unread = 0;
    return session->pending || (ioctl(session->fd, FIONREAD, &unread) == 0 && unread > 0);
}

bool ipc_is_busy(const struct ipc *ipc)
{
    LIST_EACH(&ipc->sessions, node)
    {
        const struct session *session = CONTAINER_OF(node, struct session, node);
        if (session->state != SESSION_ENDED &&
            (backlog_size(&session->out) > 0 || session->waiting.count > 0 || has_input(session))) {
            return true;
        }
    }
    return false;
}
