/* What the files of the transfer service share.
 *
 * A transfer has one owner here, its errand: which sessions it is shown to, the descriptors on
 * their way, the disk. An errand lives as long as the facts of its transfer; what costs anything
 * (disk, descriptors) goes when the transfer ends. */
#ifndef RATSD_SERVICE_TRANSFERS_PRIVATE_H
#define RATSD_SERVICE_TRANSFERS_PRIVATE_H

#include "core/log.h"
#include "service/peer_json.h"
#include "service/transfer_disk.h"
#include "service/transfer_engine.h"
#include "service/transfers.h"
#include "util/buf.h"
#include "util/map.h"

#define TRANSFER_SECTION    "transfer"
#define TRANSFER_OPEN_FILES 16u /* of one transfer.open, and of one transfer.provide */
#define TRANSFER_OPEN_BYTES ((size_t)48 * 1024)  /* of its paths, as JSON */
#define TRANSFER_LONG_LIST  ((size_t)128 * 1024) /* bytes of a list that is not for the loop */

/* How long something was going on, however many of it there were at once. */
struct span {
    size_t running;
    int64_t since_ms;
    int64_t total_ms;
};

/* One session that has, or had, to do with transfers. */
struct transfer_client {
    uint64_t session;
    bool watches_files;
    bool watches_directories;
    size_t active;
    size_t checking;     /* bytes of its lists of files that a worker looks at */
    uint64_t sent_bytes; /* of transfers that have ended */
    uint64_t received_bytes;
    uint64_t sent_files;
    uint64_t received_files;
    uint64_t completed;
    uint64_t failed;
    struct span sending;
    struct span receiving;
};

/* What another ratsd says it can. */
#define CAP_PULL   1u
#define CAP_RESUME 2u

/* One connected peer. */
struct transfer_peer {
    struct peer_id id;
    unsigned caps;
    struct list ready;      /* errands that may have something to send; the first is next */
    struct list unsent;     /* control frames that its full link did not take */
    struct long_list *list; /* of an offer that a worker looks at; it is not read meanwhile */
    uint64_t unwanted;      /* id of an offer that answers a request which is over; 0 = none */
    size_t waiting;         /* memory of what came and is not on disk; */
    bool held;              /* too many: it is not read, */
    int64_t held_ms;        /* since then */
};

/* A session that was shown an offer or a request. */
struct shown {
    uint64_t session;
    bool is_out; /* rejected it, or was too late */
};

struct errand {
    struct transfers *transfers;
    struct transfer *transfer;
    struct list ready; /* in its peer's */
    struct shown *shown;
    size_t shown_count;
    struct check *check; /* a session is about to take it */
    int fd;              /* of a single file, until the disk has it; -1 */
    size_t descriptors;  /* open or on their way, as counted for all */
    struct transfer_disk *disk;
    /* A directory: files whose descriptors the client was asked for, and gave. */
    uint32_t asked;
    uint32_t provided;
    int64_t provided_ms;             /* the last time */
    uint32_t overtaken;              /* asked for before the sender went back; they still come */
    uint32_t verified;               /* receiver: told to the client, */
    uint32_t placed;                 /* and in place */
    char pull_id[TRANSFER_KEY_SIZE]; /* the peer's id of its request; "" none */
    char *path;                      /* and what it asked for */
    bool answered;                   /* the peer knows that its request, or ours, is over */
    bool unasked;                    /* our request waits until the peer has decided others */
    bool is_deep;                    /* it asks for all below a directory */
    size_t waiting;                  /* memory of what came and is not on disk */
    bool rewound;                    /* receiver whose link was lost: what is there is known */
    uint32_t rewound_file;
    uint64_t rewound_offset;
    int64_t alive_told_ms; /* the peer was told that it is hashed again */
    struct span *span;     /* it runs, and is counted there */
};

struct transfers {
    struct host *host;
    struct transfer_engine *engine;
    struct timer timer;
    struct map clients; /* struct transfer_client by session */
    struct map peers;   /* struct transfer_peer by id */
    struct transfer_ahead ahead;
    size_t chunk_size;
    size_t active_per_session;
    size_t max_files;
    size_t list_bytes;
    size_t descriptors;     /* of all errands, open or on their way; */
    size_t max_descriptors; /* of the process, for everything */
    bool enabled;
    bool stopping;
    uint64_t seed[2];
    struct log_limit log;
};

/* transfers.c */
int64_t transfers_now_ms(const struct transfers *transfers);
/* Something happened in the engine: its timer may have to run. */
void transfers_wake(struct transfers *transfers);
struct transfer_peer *transfers_peer(const struct transfers *transfers, const struct peer_id *id);
/* The peer made something happen that clients are told of and that is never dropped. */
void transfers_news(struct transfers *transfers, const struct peer_id *id);
struct errand *errand_new(struct transfers *transfers, struct transfer *transfer);
/* The session's record; made when there is none; NULL when out of memory. */
struct transfer_client *transfers_client(struct transfers *transfers, uint64_t session);
struct transfer_client *transfers_find_client(const struct transfers *transfers, uint64_t session);
/* The session, which has a record, has the transfer from now on. */
void errand_give(struct errand *errand, uint64_t session);

static inline struct errand *errand_of(const struct transfer *transfer)
{
    return transfer->owner;
}

/* transfers_json.c */
/* As that session is to see it; 0: as it is. */
json_t *transfers_json(const struct transfer *transfer, uint64_t viewer, int64_t now_ms);
/* What is asked for or offered. */
json_t *transfers_offered_json(const struct transfer *transfer);
json_t *transfers_requested_json(const struct transfer *transfer, const char *path, bool is_deep);
/* At most TRANSFER_OPEN_FILES files and as many as fit; how many. */
json_t *transfers_open_json(const struct transfer *transfer, uint32_t first, size_t most,
                            uint32_t *ret_count);

/* transfers_sums.c */
/* Counts the time in which something of the session's runs, one way: its state may have changed. */
void sums_measure(struct errand *errand);
/* It has ended: what it moved stays with its session. */
void sums_settle(const struct errand *errand);
json_t *transfers_statistics_json(const struct transfers *transfers,
                                  const struct transfer_client *client, int64_t age_ms,
                                  int64_t now_ms);

/* transfers_shown.c: who may answer what a peer offers or asks for (api.md D19) */
/* Whether any started session watches such things. */
bool shown_is_watched(const struct transfers *transfers, bool directory);
/* Shows it to whoever watches such things; false when nobody does. */
bool shown_begin(struct errand *errand, enum event_id event, json_t *fields);
bool shown_has(const struct errand *errand, uint64_t session);
/* It may still answer. */
bool shown_is_open(const struct errand *errand, uint64_t session);
/* The session does not want it: whether nobody is left that might. */
bool shown_leave(struct errand *errand, uint64_t session);
/* The session takes it: the others are told that it is gone. */
void shown_settle(struct errand *errand, uint64_t session);
/* Tells all that still might answer. */
void shown_tell(const struct errand *errand);

/* transfers_calls.c, transfers_take.c */
extern const struct method_handler transfers_methods[];
/* The transfer that a request names, if this session has to do with it; else the request has
 * failed. */
struct transfer *transfers_own(struct transfers *transfers, struct request *request);
/* The same for one that the session may still answer. */
struct transfer *transfers_answerable(struct transfers *transfers, struct request *request);
void transfers_on_send(void *self, struct request *request);
void transfers_on_accept(void *self, struct request *request);
/* Whether the session has its share; the request has failed then. */
bool transfers_is_crowded(const struct transfers *transfers, struct request *request);
/* Fails the request: why nothing was offered to a peer, or asked of it. */
void transfers_fail_offer(struct request *request, const struct peer_id *peer, int rc);
/* The errand goes: whoever is about to take it is told. */
void check_drop(struct check *check);

/* transfers_files.c: descriptors from the client to the disk, news from the disk to the client */
/* 0 or -ENOMEM. */
int files_begin(struct errand *errand);
void files_end(struct errand *errand);
/* What the errand has open, or asked for, may be another number. */
void files_recount(struct errand *errand);
/* Whether a call may bring a descriptor; the request has failed then. */
bool files_has_room(const struct transfers *transfers, struct request *request);
/* Asks the client for descriptors of further files of a directory, as far as there is room. */
void files_ask(struct errand *errand);
/* Sender: from there on. -EBADF when the files are not at hand any more. */
int files_go_back(struct errand *errand, uint32_t file, uint64_t offset);
void transfers_on_provide(void *self, struct request *request);
void transfers_on_placed(void *self, struct request *request);

/* transfers_flow.c: bytes between the link and the disk */
void flow_add(struct errand *errand, size_t size);
void flow_sub(struct errand *errand, size_t size);
void flow_forget(struct errand *errand);
/* When to call it next; INT64_MAX: when something changes. */
int64_t flow_tick(struct transfers *transfers);

/* transfers_lists.c */
/* Whether the frame is an offer with so long a list that a worker looks at it first. */
bool lists_take(struct transfers *transfers, struct transfer_peer *peer, struct bytes payload);
/* The link is gone, and the offer with it. */
void lists_drop(struct transfers *transfers, struct transfer_peer *peer);

/* transfers_pump.c: frames onto links */
/* 0 or a negative errno; what a full link does not take follows later. */
int pump_control(struct transfers *transfers, const struct peer_id *to, struct bytes frame);
/* It may have something to send. */
void pump_now(struct errand *errand);
void pump_run(struct transfers *transfers, struct transfer_peer *peer);
void pump_on_room(void *arg, const struct peer_id *peer);
/* pump_on_room() follows, also for what is not of pump_*(). */
void pump_ask_room(struct transfers *transfers, const struct transfer_peer *peer);
void pump_drop(struct transfer_peer *peer);

/* transfers_ctl.c: other ratsd */
#define CTL_OFFER_SIZE 21 /* of the id of a transfer as text */
void ctl_greet(struct transfers *transfers, const struct peer_id *to);
void transfers_on_control(void *self, struct peer *from, const json_t *message);
/* message is taken; a link that is full does not take it. */
void ctl_say(const struct transfers *transfers, const struct peer_id *to, json_t *message);
/* "offer", a number of 64 bits in decimal and no more; false when it is none. */
bool ctl_parse_offer(const json_t *message, uint64_t *ret_id);
/* Receiver: the peer is there and what we have is known: go on. */
void ctl_resume(struct errand *errand);
/* What is there is hashed again, which may take longer than the peer and we wait for each other. */
void ctl_tell_rehashing(struct errand *errand);

/* transfers_pull.c: requests, ours and a peer's */
void transfers_on_request(void *self, struct request *request);
void pull_on_control(struct transfers *transfers, const struct peer_id *from, const char *op,
                     const char *id, const json_t *message);
/* False for an offer that answers a request of ours that is over. */
bool pull_may_be_shown(const struct transfers *transfers, const struct transfer *transfer);
/* The peer has decided a request of ours, or one is over: others may be waiting. */
void pull_ask_next(struct transfers *transfers, const struct peer_id *id);
/* The session ends: its requests that wait do. */
void pull_drop_unasked(struct transfers *transfers, uint64_t session);
/* It ended before there was an offer: the peer that asked, or is asked, is told. */
void pull_tell_end(const struct errand *errand);
/* Our offer with that id answers what the peer asked for. */
int pull_tell_offer(const struct errand *errand, uint64_t id);

#endif
