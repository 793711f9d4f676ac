/* One client: its socket, its frames in, its frames out, and what is charged to it.
 *
 * Private to ipc/. Life: greeting (5 s to say hello), ready, ending. A session is never freed
 * inside its own callbacks: session_end() marks it, and the end of the turn buries it. After that
 * its number means nobody. The pieces live in files of their own: session.c reads and writes,
 * calls.c answers, slow.c holds and drops, turns.c says whose turn it is, uid_account.c charges. */
#ifndef RATSD_IPC_SESSION_H
#define RATSD_IPC_SESSION_H

#include "core/loans.h"
#include "ipc/backlog.h"
#include "ipc/credentials.h"
#include "ipc/descriptors.h"
#include "ipc/ipc.h"
#include "proto/frame.h"
#include "util/intake.h"
#include "util/map.h"

#define SESSION_HELLO_MS     5000
#define SESSION_HELLO_BYTES  4096u
#define SESSION_MAX_GREETING 64u
#define SESSION_FAIR_MS      20 /* what a program surely has to say hello, however many come */
#define SESSION_MAX_CALLS    128u
#define SESSION_TURN_CALLS   64u  /* calls answered before others get their turn, */
#define SESSION_TURN_US      1000 /* and for how long */
#define SESSION_TURN_LOOK    32u  /* messages between two looks at the clock, */
#define SESSION_MESSAGES_US  4000 /* and for how long; to one peer each, a whole read takes less */
#define SESSION_MAX_CONTROL  ((size_t)1024 * 1024)     /* unread control bytes; more closes it */
#define SESSION_ANSWER_MARK  (SESSION_MAX_CONTROL / 2) /* beyond which no more calls are taken */
#define SESSION_READ_BUDGET  INTAKE_SCRATCH_SIZE
#define SESSION_STALL_MS     2000
#define SESSION_HALF_MS      30000 /* a large frame that grows no more while others wait for room */
#define SESSION_NAME_SIZE    129
#define SESSION_PLANES       4 /* index by enum message_plane, and */
#define LOST_CHANGE          0 /* storage.changed, which no plane carries */

enum session_state { SESSION_GREETING, SESSION_READY, SESSION_CLOSING, SESSION_ENDED };
enum slow_policy { SLOW_STALL, SLOW_DROP, SLOW_CLOSE };

/* What all sessions of one user make the daemon hold. Each direction has the limit for itself: a
 * program that sends must not cost its neighbour what that is about to receive. */
struct uid_account {
    uid_t uid;
    size_t sessions;
    size_t queued_bytes; /* memory of what waits for them to read */
    size_t taking_bytes; /* large frames of theirs that are arriving, in full */
    size_t waiters;      /* sessions whose large frame has to wait for room */
    uint64_t last_ticket;
    struct list node; /* of all users */
    struct list line; /* sessions that wait for their turn */
    uint64_t turn;    /* the last they had, */
    int64_t used_us;  /* and how long it was */
};

struct ipc_values {
    uint64_t sessions;
    uint64_t sessions_total;
    uint64_t calls;
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t messages_lost;
    uint64_t stalls;
    uint64_t refused;
};

struct ipc {
    struct host *host;
    struct loop *loop;
    int listen_fd;
    struct io listen_io;
    struct timer accept_pause;
    char *path; /* of the socket, when we made it; else NULL */
    gid_t control_group;
    struct list sessions; /* all, oldest first */
    size_t session_count;
    size_t greeting_count;
    struct session **slots; /* by number % max_slots */
    size_t slot_count;
    uint64_t serial;
    struct map accounts; /* by uid */
    struct list users;   /* the same; who is first in a turn comes last in the next */
    struct deferred turns;
    uint64_t turn;
    uint64_t last_wait_ticket;
    struct ipc_values values;
    char *description; /* of the protocol; made when it is first asked for */
    size_t max_sessions;
    size_t max_sessions_per_uid;
    size_t queue_limit;
    size_t uid_queue_limit;
};

struct session {
    struct list node;
    struct ipc *ipc;
    uint64_t number;
    int fd;
    struct io io;
    enum session_state state;
    struct timer deadline; /* hello, a large frame, or the last flush of a closing session */
    struct deferred flush;
    struct deferred burial;
    struct credentials credentials;
    struct uid_account *account;
    struct list in_line;  /* of account->line */
    bool readable;        /* and there is something to read then */
    size_t charged;       /* of account->queued_bytes */
    size_t taking;        /* of account->taking_bytes */
    uint64_t room_ticket; /* place among those that wait for room; 0 = not waiting */
    size_t room_wanted;
    int64_t attached_ms;
    char name[SESSION_NAME_SIZE];
    char agent[SESSION_NAME_SIZE];
    bool announced; /* others were told that it attached */
    bool attached;  /* has said hello; counted by the instance's life */
    bool started;
    uint32_t watched; /* bit per enum event_id */
    size_t peers_demand;

    struct intake intake;
    uint64_t received;              /* bytes of the stream so far */
    struct descriptors descriptors; /* that came, of frames not taken yet */
    bool pending;                   /* whole frames are left for the next turn */
    bool input_ended;               /* end of stream was read */
    bool output_dead;               /* the client no longer reads: keep reading what it sent */
    unsigned unheard_calls;         /* made since then: each costs us, and tells nobody anything */
    struct broadcast broadcast;     /* how far the message at the front is, if it goes to all */
    struct peer_set waiting;        /* congested peers; no reading while there is one */
    uint64_t wait_ticket;           /* place among those who wait for peers; 0 = not waiting */

    struct backlog out;
    struct loan loan; /* what stands in `out` without having been copied */
    uint64_t sequence;
    struct list calls; /* deferred requests */
    size_t call_count;

    enum slow_policy slow;
    struct peer_set holding; /* peers whose links we stopped */
    struct timer stall;
    bool lagging;
    uint64_t lost[SESSION_PLANES]; /* since the last lost event */
    uint64_t lost_total;
};

/* ipc.c, listen.c */
void ipc_watch_listener(struct ipc *ipc, int fd);
/* The largest demand for peers of all sessions goes to the mesh; the limit in effect. */
size_t ipc_apply_demand(struct ipc *ipc);

/* uid_account.c */
/* NULL when out of memory. */
struct uid_account *uid_account_get(struct ipc *ipc, uid_t uid);
/* Forgets an account that has no session. */
void uid_account_settle(struct ipc *ipc, struct uid_account *account);
/* Room for a frame of that size. False: the session is not read until there is, and resumes then.
 * In the order of asking; one that is larger than the limit gets it when it is alone. */
bool uid_account_reserve(struct session *session, size_t size);
/* The frame has been taken, or will never be. */
void uid_account_release(struct session *session);
/* Whether that much more may be queued to the session, as far as its user is concerned. */
bool uid_account_admits(const struct session *session, size_t size);
/* Bytes queued that a session of this user is sure of when others have taken the rest; the whole
 * limit while there is plenty. */
size_t uid_account_comfort(const struct session *session);

/* turns.c */
void session_turns_init(struct ipc *ipc);
/* Does the work now, or lines up for session_resume() because the user has had enough of this turn;
 * whether it was done. */
bool session_take_turn(struct session *session, void (*work)(struct session *session));
/* session_resume() is called when it comes to it. */
void session_line_up(struct session *session);
void session_wait_for(struct session *session, const struct peer_id *peer);
/* The peer takes messages again, or is gone. */
void sessions_stop_waiting(struct ipc *ipc, const struct peer_id *peer);

/* session.c */
void session_new(struct ipc *ipc, int fd, const struct credentials *credentials,
                 struct uid_account *account);
struct session *session_find(const struct ipc *ipc, uint64_t number);
/* Frees it now: only for the end of its turn and of the ipc. */
void session_bury(struct session *session);
/* Ends it: nothing more is read or written, its number means nobody. What it owned goes, and others
 * hear of it, at the end of the turn, so that whoever ends it may be walking over its things. */
void session_end(struct session *session, const char *why);
/* Reads what is there already, before its turn. */
void session_hear(struct session *session);
/* Sends a FAIL with id 0, flushes for a moment, then ends. */
void session_reject(struct session *session, enum proto_error error, const char *text);
/* Reading resumes, unless something else forbids it. */
void session_update_reading(struct session *session);
/* In its turn: takes the frames that were kept, or reads. */
void session_resume(struct session *session);
/* Queues one control frame with a JSON head (taken). */
void session_send_json(struct session *session, enum frame_kind kind, uint64_t id, json_t *head);
/* The same with its text (copied). */
void session_send_text(struct session *session, enum frame_kind kind, uint64_t id,
                       struct bytes text);
/* Queues a REPLY with a head (taken) and a body (copied). 0, also when nobody hears it any more;
 * -EAGAIN when too much is unread. */
int session_send_body(struct session *session, uint64_t id, json_t *head, struct bytes body);
/* A message whose payload lies in what is lent: written from there. 0 or -ENOMEM. */
int session_lend(struct session *session, size_t head_size, struct bytes payload,
                 uint8_t **ret_head);
/* Charges the account for what is queued to the session now. */
void session_recharge(struct session *session);
static inline bool session_is_ready(const struct session *session)
{
    return session->state == SESSION_READY;
}

/* calls.c */
/* fds: those of the frame, taken. */
void session_on_call(struct session *session, const struct frame *frame, const int *fds);
void session_on_cancel(struct session *session, const struct frame *frame);
/* request_reply() with a result that is text already (copied). */
void request_reply_text(struct request *request, struct bytes text);
/* The head of a FAIL frame; details may be NULL and are taken. */
json_t *fail_head(enum proto_error error, const char *text, json_t *details);
/* -EAGAIN: offer the frame again later. */
int session_on_message(struct session *session, const struct frame *frame);
void session_cancel_calls(struct session *session);

/* session_methods.c: hello, session.*, protocol.* */
typedef void (*session_method_fn)(struct session *session, struct request *request);
session_method_fn session_method_find(enum method_id method);

/* slow.c */
/* Whether a message frame of size bytes may be queued now. When not it has been counted as lost
 * (or the session closed), as that plane's or a LOST_CHANGE. link: the peer to slow when it fills
 * up, or NULL. */
bool session_admits_message(struct session *session, unsigned lost_as, size_t size,
                            const struct peer_id *link);
void session_after_message(struct session *session, const struct peer_id *link);
/* The same for an event that came by that link. */
void session_after_event(struct session *session, const struct peer_id *link);
void session_after_flush(struct session *session);
void session_stall_init(struct session *session);
void session_release_peers(struct session *session);
/* The peer has gone, and its hold with it. */
void session_forget_peer(struct session *session, const struct peer_id *peer);

/* fanout.c */
void session_send_event(struct session *session, enum event_id event, json_t *fields);

#endif
