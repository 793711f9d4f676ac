/* The transfers of one node: what is offered, how far it is, who may say what (wire-services 3).
 *
 * Pure: frames, the time and what the disk and the clients did come in; frames and news go out
 * through callbacks. It neither opens nor reads a file: a sender's chunks are made elsewhere and
 * only counted here, what a receiver is to write is handed out in order.
 *
 * Every frame counts only for a transfer with the peer it came from. Each transfer ends once:
 * on_end, after which its state never changes again and only its facts are kept for a while.
 * Callbacks may call any function here for any transfer, except engine_free(); a transfer lives at
 * least until the next transfer_engine_tick(), unless nobody was told of it. */
#ifndef RATSD_SERVICE_TRANSFER_ENGINE_H
#define RATSD_SERVICE_TRANSFER_ENGINE_H

#include "service/transfer_manifest.h"
#include "util/list.h"
#include "util/peer_id.h"

#define TRANSFER_WINDOW       (UINT64_C(4) * 1024 * 1024)
#define TRANSFER_ACK_BYTES    (UINT64_C(256) * 1024)
#define TRANSFER_PROGRESS_MS  100
#define TRANSFER_TICK_MS      2000
#define TRANSFER_KEEP_MS      600000               /* the facts of one that has ended, */
#define TRANSFER_KEEP_COUNT   1024u                /* and of how many at most */
#define TRANSFER_CHUNK_MOST   ((size_t)240 * 1024) /* a message with it is not a large one yet */
#define TRANSFER_KEY_SIZE     33u                  /* 32 digits and NUL */
#define TRANSFER_ERROR_SIZE   513u
#define TRANSFER_FIRST_ID_MIN (UINT64_C(1) << 32) /* api.md 7.4 */

/* Numbers as in api.md 4.3. */
enum transfer_state {
    TRANSFER_PENDING,  /* we have not answered an offer, or a request */
    TRANSFER_STARTING, /* the peer has not */
    TRANSFER_RUNNING,
    TRANSFER_PAUSED,
    TRANSFER_COMPLETED,
    TRANSFER_FAILED,
    TRANSFER_CANCELLED,
    TRANSFER_RESUMING, /* told once between paused and running */
};

/* Who said last whether it is to be paused: what decides when the two disagree after a lost link,
 * the higher the better. */
enum transfer_word {
    TRANSFER_WORD_PEER,  /* the peer, or nobody */
    TRANSFER_WORD_OURS,  /* we, and the peer may have heard it */
    TRANSFER_WORD_LATER, /* we, when the link was gone */
};

struct transfer_engine;

struct transfer {
    struct list node; /* of all, oldest first */
    uint64_t id;      /* on the wire; of the sender's choice */
    struct peer_id peer;
    uint8_t map_key[PEER_ID_SIZE + 9];
    char key[TRANSFER_KEY_SIZE]; /* what clients call it */
    bool sending;
    bool directory;
    bool pulled;  /* the receiver had asked */
    bool offered; /* an OFFER was sent, or came: until then it is no matter of this protocol */
    bool on_wire; /* it has its id */
    enum transfer_state state;
    bool paused;
    enum transfer_word word; /* of that */
    bool lost;               /* its link went; it waits for the peer */
    bool resumed;            /* has been lost before: data of the old link may come */
    bool landed;             /* receiver: all of it is verified, and being put into place */
    struct transfer_manifest manifest; /* without files once it has ended */
    char *name;                        /* NUL-terminated UTF-8, made safe to show */
    uint32_t file;                     /* next to be sent or taken, */
    uint64_t offset;                   /* and the byte within it */
    uint64_t moved;                    /* bytes sent or taken, over all files */
    uint64_t acked;                    /* of those on the receiver's disk, as PROGRESS said */
    uint64_t written;                  /* receiver: on disk */
    uint32_t files_done;               /* receiver: in place; sender: those PROGRESS covers, */
    uint64_t covered;                  /* and their bytes */
    int64_t created_ms;
    int64_t started_ms; /* when it began to run; 0 = never */
    int64_t ended_ms;
    int64_t active_ms;
    int64_t lost_ms;
    int64_t told_ms; /* last on_change */
    bool untold;
    int64_t rate_ms; /* when rate was taken, */
    uint64_t rate_bytes;
    uint64_t rate; /* bytes per second */
    char error[TRANSFER_ERROR_SIZE];
    bool unseen; /* nobody was told of it: set in on_offer, it is gone once that has ended it */
    uint64_t session; /* the client's that has it; 0 = nobody's */
    void *owner;      /* whatever the owner of the engine keeps for it */
};

struct transfer_options {
    uint64_t first_id; /* random, at least TRANSFER_FIRST_ID_MIN */
    uint64_t seed[2];  /* random, secret */
};

/* What may change while it runs. */
struct transfer_limits {
    size_t pending_per_peer; /* undecided offers of one peer */
    size_t asked_per_peer;   /* undecided requests of one peer */
    size_t wanted_per_peer;  /* requests to one peer without an offer */
    size_t active_per_peer;  /* transfers with one peer, both ways */
    size_t max_files;
    size_t list_bytes; /* of the lists of peers' offers that have not ended; of one peer a quarter;
                          one alone is always let in */
    int64_t offer_ms;  /* an offer waits for an answer, here and there; a request here */
    int64_t wanted_ms; /* a request to a peer waits for its offer */
    int64_t idle_ms;   /* without activity it fails */
    int64_t resume_ms; /* one that lost its link waits for the peer; 0: it fails at once */
};

struct transfer_callbacks {
    /* 0 or a negative errno; a peer that is gone is found out about otherwise. */
    int (*send)(void *arg, const struct peer_id *to, struct bytes frame);
    /* A peer offers; answer with transfer_accept() or transfer_refuse(), now or later. */
    void (*on_offer)(void *arg, struct transfer *transfer);
    /* The peer accepted ours: send. */
    void (*on_start)(void *arg, struct transfer *transfer);
    /* The peer has more of it: what the window forbade may be sent. */
    void (*on_window)(void *arg, struct transfer *transfer);
    /* To be written, in order; the view is valid until it returns. */
    void (*on_data)(void *arg, struct transfer *transfer, uint32_t file, uint64_t offset,
                    struct bytes data);
    void (*on_file_end)(void *arg, struct transfer *transfer, uint32_t file,
                        const uint8_t hash[TRANSFER_HASH_SIZE]);
    /* The state changed, or there is progress; the latter at most every TRANSFER_PROGRESS_MS. */
    void (*on_change)(void *arg, struct transfer *transfer);
    void (*on_end)(void *arg, struct transfer *transfer);
    /* Its facts go: free owner. */
    void (*on_forget)(void *arg, struct transfer *transfer);
};

struct transfer_counts {
    uint64_t offered; /* by us */
    uint64_t offers;  /* by peers */
    uint64_t refused; /* offers of peers refused without asking anybody */
    uint64_t completed;
    uint64_t failed;
    uint64_t cancelled;
    uint64_t resumed;   /* went on after their link was lost */
    uint64_t strangers; /* frames about transfers that are not the peer's */
    uint64_t malformed;
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t active;
};

/* Options and limits are copied, callbacks borrowed. */
int transfer_engine_new(const struct transfer_options *options,
                        const struct transfer_limits *limits,
                        const struct transfer_callbacks *callbacks, void *arg,
                        struct transfer_engine **ret_engine);
/* Tells of nothing but on_forget. */
void transfer_engine_free(struct transfer_engine *engine);
void transfer_engine_set_limits(struct transfer_engine *engine,
                                const struct transfer_limits *limits);
const struct transfer_counts *transfer_engine_counts(const struct transfer_engine *engine);
/* Timeouts and progress that has not been told yet. When to call it next: a time, or INT64_MAX. */
int64_t transfer_engine_tick(struct transfer_engine *engine, int64_t now_ms);
void transfer_engine_receive(struct transfer_engine *engine, const struct peer_id *from,
                             struct bytes payload, int64_t now_ms);
/* The same with an offer whose list was looked at elsewhere, because it is long: rc, manifest and
 * fault are what transfer_manifest_from_offer() gave. The manifest is taken. */
void transfer_engine_receive_offer(struct transfer_engine *engine, const struct peer_id *from,
                                   const struct transfer_frame *frame, int rc,
                                   struct transfer_manifest *manifest, const char *fault,
                                   int64_t now_ms);
/* The link is gone, or another took its place: what was on it may be lost. With can_resume those
 * that run wait for transfer_go_on(); the others fail. */
void transfer_engine_lost(struct transfer_engine *engine, const struct peer_id *peer,
                          bool can_resume, int64_t now_ms);
/* NULL when there is none, or not any more. */
struct transfer *transfer_engine_find(const struct transfer_engine *engine, const char *key);
struct transfer *transfer_engine_find_wire(const struct transfer_engine *engine,
                                           const struct peer_id *peer, uint64_t id, bool sending);
/* All, oldest first: CONTAINER_OF(node, struct transfer, node). */
const struct list *transfer_engine_all(const struct transfer_engine *engine);
size_t transfer_engine_active(const struct transfer_engine *engine, const struct peer_id *peer);

struct transfer_offer {
    struct peer_id peer;
    uint64_t session;
    struct bytes name; /* copied; at most 4096 bytes */
    bool directory;
    bool pulled;
};

/* The id the next offer will have. */
uint64_t transfer_engine_next_id(const struct transfer_engine *engine);
/* Offers to a peer. The manifest is taken on success. 0; -EDQUOT too many with that peer; -EMSGSIZE
 * the list does not fit in a message; -ENOMEM; or what send gave. */
int transfer_offer(struct transfer_engine *engine, const struct transfer_offer *offer,
                   struct transfer_manifest *manifest, int64_t now_ms,
                   struct transfer **ret_transfer);

/* Pulling (api.md 7.5). How both sides tell each other is not of this protocol, and not done here:
 * as long as a transfer is not offered nothing of it is sent.
 *
 * A client wants something of a peer: STARTING until the peer's offer makes it PENDING, which
 * on_offer tells. -EDQUOT, -ENOMEM. */
int transfer_want(struct transfer_engine *engine, const struct transfer_offer *wish, int64_t now_ms,
                  struct transfer **ret_transfer);
/* The peer's next offer with this id answers it. -EINVAL it is answered; -EEXIST the id is in use;
 * -ENOMEM. */
int transfer_expect(struct transfer_engine *engine, struct transfer *transfer, uint64_t id);
/* A peer wants something: PENDING until transfer_serve() or transfer_refuse(). -EDQUOT, -ENOMEM. */
int transfer_asked(struct transfer_engine *engine, const struct transfer_offer *wish,
                   int64_t now_ms, struct transfer **ret_transfer);
/* Offers what was wanted; the id is transfer_engine_next_id(). As transfer_offer(). */
int transfer_serve(struct transfer_engine *engine, struct transfer *transfer, struct bytes name,
                   struct transfer_manifest *manifest, int64_t now_ms);

static inline bool transfer_has_ended(const struct transfer *transfer)
{
    return transfer->state >= TRANSFER_COMPLETED && transfer->state <= TRANSFER_CANCELLED;
}

static inline bool transfer_is_open(const struct transfer *transfer) /* answered, not ended */
{
    return transfer->state == TRANSFER_RUNNING || transfer->state == TRANSFER_PAUSED ||
           transfer->state == TRANSFER_RESUMING;
}

/* Answers to a peer's offer, the second also to a request; anything else than a pending one is left
 * alone. An empty manifest is complete with its acceptance. */
void transfer_accept(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms);
void transfer_refuse(struct transfer_engine *engine, struct transfer *transfer, const char *reason,
                     int64_t now_ms);
/* Ends it in any state; the peer is told. why may be empty. */
void transfer_cancel(struct transfer_engine *engine, struct transfer *transfer, const char *why,
                     int64_t now_ms);
void transfer_fail(struct transfer_engine *engine, struct transfer *transfer, const char *why,
                   int64_t now_ms);
/* -EINVAL unless it runs, or is paused. */
int transfer_pause(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms);
int transfer_resume(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms);

/* Sender: whether a chunk may go now, and that one went, or the end of the present file. */
bool transfer_may_send(const struct transfer *transfer);
void transfer_sent(struct transfer_engine *engine, struct transfer *transfer, size_t size,
                   int64_t now_ms);
void transfer_sent_end(struct transfer *transfer, int64_t now_ms);
/* How large chunks are to be: large ones cost less, but what is urgent waits behind them. So they
 * are what moves in a millisecond, within least and, when that is less, TRANSFER_CHUNK_MOST. */
size_t transfer_chunk_size(const struct transfer *transfer, size_t least);

/* Receiver: every file is verified, and whoever puts them into place may have done it: nothing a
 * peer says or its link suffers makes that undone. */
void transfer_landed(struct transfer *transfer);
/* Receiver: so many more bytes are on disk, and whether that made a file's data whole; files are
 * verified and in place. */
void transfer_wrote(struct transfer_engine *engine, struct transfer *transfer, uint64_t size,
                    bool file_is_whole, int64_t now_ms);
void transfer_placed(struct transfer_engine *engine, struct transfer *transfer, uint32_t count,
                     int64_t now_ms);

/* Something shows that it is still worked on, here or at the peer, though no byte moves: it has all
 * its time again. */
void transfer_touch(struct transfer *transfer, int64_t now_ms);

/* Sender: what the receiver of a lost transfer says of pausing it. Of two words of one weight it is
 * the one to pause. */
void transfer_hear_word(struct transfer *transfer, bool paused, enum transfer_word word);

/* A lost transfer goes on from there; -EINVAL when that is no place in it. For a receiver: what is
 * on disk and hashed again. For a sender, who must have nothing at hand that is not to be sent
 * again: what the receiver asked for; the receiver hears whether it is paused. */
bool transfer_may_go_on(const struct transfer *transfer, uint32_t file, uint64_t offset);
int transfer_go_on(struct transfer_engine *engine, struct transfer *transfer, uint32_t file,
                   uint64_t offset, int64_t now_ms);

#endif
