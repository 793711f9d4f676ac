/* The address book: where peers were reached before, best first (wire-services 8).
 *
 * Pure: the time is an argument, Unix seconds. Only addresses that a dial of ours proved are
 * learned, never those a peer names or comes from. It is bounded, and bucketed by network group
 * (IPv4 /16, IPv6 /32), so that nobody with many addresses in one network pushes the others out
 * (reliability V22): a full group gives up its own worst, a full book the worst of its largest
 * group. Easy to break: a record is owned by the book and valid until the next call that may add or
 * remove one; whatever changes is noted for the file until book_take_changes(). */
#ifndef RATSD_SERVICE_BOOK_H
#define RATSD_SERVICE_BOOK_H

#include <jansson.h>

#include "util/endpoint.h"
#include "util/peer_id.h"

#define BOOK_MAX_RECORDS 4096
#define BOOK_MAX_GROUP   256
#define BOOK_KEEP_S      (INT64_C(30) * 24 * 3600)

struct book;

struct book_record {
    struct endpoint endpoint;
    bool has_id; /* false: never connected */
    struct peer_id id;
    int64_t first_seen_s;
    int64_t last_seen_s;
    int64_t last_connected_s; /* 0 = never */
    uint32_t connect_count;
    uint32_t fail_streak; /* failed dials since the last that succeeded */
};

/* What the file lacks. With `all` it has to be written anew: records holds every one. */
struct book_changes {
    bool all;
    struct book_record *records;
    size_t record_count;
    struct endpoint *removed;
    size_t removed_count;
};

struct book *book_new(const uint64_t seed[2]);
void book_free(struct book *book);
size_t book_count(const struct book *book);

/* Adds a record read from somewhere, or replaces the one of that endpoint. Times are made to lie
 * between 0 and now, in their order. 0; -EINVAL no address anybody could be dialed at; -ENOBUFS
 * worse than all others of its full group. */
int book_put(struct book *book, const struct book_record *record, int64_t now_s);
/* The same for what the file has already: it is no change. */
int book_load(struct book *book, const struct book_record *record, int64_t now_s);
/* A dial to endpoint reached this peer. */
void book_connected(struct book *book, const struct endpoint *endpoint, const struct peer_id *id,
                    int64_t now_s);
/* The peer there was connected until now. */
void book_seen(struct book *book, const struct endpoint *endpoint, int64_t now_s);
/* A dial to endpoint reached nobody, or somebody else. */
void book_failed(struct book *book, const struct endpoint *endpoint);
/* Removes what nobody has seen for 30 days. How many. */
size_t book_expire(struct book *book, int64_t now_s);
/* The clock was set: every time moves with it, so that nothing gets older or younger. */
void book_shift(struct book *book, int64_t seconds, int64_t now_s);
void book_clear(struct book *book);

/* NULL when unknown. */
const struct book_record *book_find(const struct book *book, const struct endpoint *endpoint);
/* The at most max best, best first: ever connected, latest connection, most connections, fewest
 * failures, latest seen. Returns how many. */
size_t book_best(const struct book *book, const struct book_record **ret_records, size_t max);

bool book_is_changed(const struct book *book);
/* What changed since the last call: the caller's, for book_changes_fini(). */
void book_take_changes(struct book *book, struct book_changes *ret_changes);
/* They could not be written: all has to be written the next time. */
void book_renounce_changes(struct book *book);
void book_changes_fini(struct book_changes *changes);

/* The file of librats 2 (peers.json), as far as it makes sense. A malformed one counts as empty.
 * How many records were put. */
size_t book_import(struct book *book, struct bytes json, int64_t now_s);

#endif
