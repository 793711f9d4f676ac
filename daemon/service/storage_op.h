/* One thing the store is to do: what is asked, and what came of it (service/storage_file.h).
 *
 * The loop's thread fills the first part, a worker's thread the second; whoever has it in hand owns
 * all of it. Views in the second part point into the first or into `value`, so they live as long as
 * the operation. */
#ifndef RATSD_SERVICE_STORAGE_OP_H
#define RATSD_SERVICE_STORAGE_OP_H

#include "service/lww.h"
#include "util/buf.h"
#include "util/list.h"
#include "util/peer_id.h"

#define STORAGE_PAGE_SIZE ((size_t)1024 * 1024)      /* of a SYNC_RESPONSE, if no entry is larger */
#define STORAGE_STEP      1024u                      /* entries of a list merged in one batch */
#define STORAGE_READ_MOST ((size_t)16 * 1024 * 1024) /* values that one batch reads */
#define STORAGE_KEYS_SIZE ((size_t)512 * 1024)       /* bytes of keys listed at once */

struct request;
struct storage_op;

/* Lives in the loop's thread; frees the operation or hands it on. */
typedef void (*storage_done_fn)(void *arg, struct storage_op *op);

enum storage_op_kind {
    STORAGE_PUT,     /* key, type, data -> changes */
    STORAGE_REMOVE,  /* key -> changes; -ENOENT */
    STORAGE_MERGE,   /* payload -> changes, refused */
    STORAGE_GET,     /* key -> found, value; -ENOENT; -EAGAIN: in another batch */
    STORAGE_KEYS,    /* key is the prefix; after, limit -> value: texts, each with its NUL */
    STORAGE_PAGE,    /* after_seq -> value: a SYNC_RESPONSE; seq, more */
    STORAGE_LOOK,    /* nothing: the batch tells how the store is */
    STORAGE_COLLECT, /* forgets old tombstones; count */
};

/* An entry that is stored now and was not before. */
struct storage_change {
    uint64_t seq;
    struct entry entry; /* views into the operation */
};

struct storage_op {
    struct list node;
    enum storage_op_kind kind;

    /* Who is to hear of it; nothing that a worker looks at. */
    storage_done_fn on_done;
    void *arg;
    struct request *request; /* NULL: nobody waits any more */
    uint64_t session;
    struct peer_id peer;  /* MERGE, PAGE */
    uint64_t peer_serial; /* PAGE: which reading of that peer's it belongs to */
    bool forward;         /* MERGE: what wins goes on to the other peers */

    /* What is asked; the operation owns it. */
    struct buf key;
    struct buf data; /* the value, or the message with its entries */
    enum entry_type type;
    struct buf after;   /* KEYS: only those behind this one */
    size_t limit;       /* KEYS */
    uint64_t after_seq; /* PAGE */
    size_t offset;      /* MERGE: of the next entry within data */
    uint32_t count;     /* MERGE: entries left; a batch may leave some for the next */

    /* What came of it. */
    int result; /* 0 or a negative errno; of a disk that failed also -EIO, -ENOSPC ... */
    enum lww_verdict verdict; /* PUT: why there was no room, with result -EDQUOT or -EMSGSIZE */
    struct storage_change *changes;
    size_t change_count;
    unsigned refused[LWW_VERDICT_COUNT];     /* MERGE: how many for which reason */
    unsigned malformed;                      /* MERGE: entries that are none, or damaged */
    struct entry found;                      /* GET: all but the key; data is a view of value */
    uint8_t found_origin[ENTRY_ORIGIN_SIZE]; /* what origins of found and changes may view */
    struct buf value;
    uint64_t seq; /* PAGE: everything up to here has been seen */
    bool more;    /* KEYS, PAGE: there are others behind these */
};

struct storage_op *storage_op_new(enum storage_op_kind kind);
void storage_op_free(struct storage_op *op);
/* Bytes it holds. */
size_t storage_op_held(const struct storage_op *op);
/* Whether it changes what is stored. */
bool storage_op_writes(const struct storage_op *op);

#endif
