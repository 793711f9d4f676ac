/* Last writer wins: what the store decides about an entry (wire-services 7).
 *
 * Pure: what is known of the key, the limits and the time are arguments, a verdict comes out. Every
 * node decides the same from the same entries in whatever order they come, which is why all of them
 * end up alike: the later timestamp wins, and of equal ones the larger origin. Beyond the wire's
 * own rules an entry from the future is refused (it would freeze its key), and a local change is
 * stamped after whatever it replaces. Tombstones are kept for a time and then forgotten; one that
 * comes back after that is not taken up again. */
#ifndef RATSD_SERVICE_LWW_H
#define RATSD_SERVICE_LWW_H

#include "wire/entry.h"

struct lww_limits {
    size_t max_key;        /* bytes */
    size_t max_value;      /* bytes */
    uint64_t max_keys;     /* entries, tombstones included */
    uint64_t max_total;    /* bytes of all keys and values */
    uint64_t ahead_ms;     /* how far a peer's clock may be ahead */
    uint64_t tombstone_ms; /* how long a tombstone is kept */
};

/* What the store holds; kept by whoever stores. */
struct lww_totals {
    uint64_t keys; /* live ones */
    uint64_t tombstones;
    uint64_t bytes; /* of keys and values */
};

/* The entry that a key has now. */
struct lww_known {
    uint64_t timestamp_ms;
    struct bytes origin;
    bool deleted;
    size_t size; /* of key and value */
};

enum lww_verdict {
    LWW_WINS,
    LWW_LOSES,      /* the known one is newer, or the same */
    LWW_AHEAD,      /* of our clock, too far */
    LWW_KEY_SIZE,   /* over max_key */
    LWW_VALUE_SIZE, /* over max_value */
    LWW_FULL_KEYS,  /* no room for another key */
    LWW_FULL_BYTES, /* no room for so many bytes */
    LWW_VERDICT_COUNT,
};

/* One word or two, for logs and counters. */
const char *lww_verdict_name(enum lww_verdict verdict);

/* Positive when entry wins over what is known, 0 when they are the same, else negative. */
int lww_compare(const struct entry *entry, const struct lww_known *known);
/* An entry from a peer. known is NULL when there is none. */
enum lww_verdict lww_judge(const struct lww_limits *limits, const struct lww_totals *totals,
                           const struct entry *entry, const struct lww_known *known,
                           uint64_t now_ms);
/* A change made here: whether there is room for it. It always wins, since it is stamped to. */
enum lww_verdict lww_judge_local(const struct lww_limits *limits, const struct lww_totals *totals,
                                 const struct entry *entry, const struct lww_known *known);
/* The timestamp of a change made here. */
uint64_t lww_stamp(const struct lww_known *known, uint64_t now_ms);
/* Entry takes the place of what is known. */
void lww_account(struct lww_totals *totals, const struct entry *entry,
                 const struct lww_known *known);
/* Tombstones older than this are forgotten. */
uint64_t lww_forget_before(const struct lww_limits *limits, uint64_t now_ms);

#endif
