/* The transfers a handle knows: its own, those it was shown, and what of them ended lately.
 *
 * What a transfer is doing is the row of rats-ipc(7) that the daemon sent last, kept as it is, and
 * what api.md 4.3 makes of it. A state that is an end is taken once; whatever comes later changes
 * nothing.
 *
 * Everything under the handle's lock, but for what a transfer holds open: that is the files
 * thread's alone, which also is the only one to end and remove transfers. So a pointer it found
 * stays good until it removes the transfer itself. */
#ifndef LIBRATS_TRANSFERS_H
#define LIBRATS_TRANSFERS_H

#include <jansson.h>

#include "librats.h"
#include "proto/shapes.h"
#include "util/list.h"
#include "util/map.h"

#define TRANSFERS_KEEP_MS    600000
#define TRANSFERS_KEEP_COUNT 4096u

struct holding;

struct transfer {
    struct list link; /* oldest first */
    char id[TRANSFER_ID_SIZE + 1];
    json_t *row;
    rats_transfer_status_t status;
    unsigned connection;     /* of the daemon, to which it belongs */
    bool flat;               /* a peer asks for a directory's own files only */
    bool answering;          /* a thread is about to accept it */
    struct holding *holding; /* NULL until the daemon agreed */
    char *local_path;        /* copied from it; NULL */
    int64_t starved_ms;      /* since when no file could be opened, for want of descriptors; 0 */
    int64_t ended_ms;        /* 0 = it has not */
};

struct transfers {
    struct map by_id;
    struct list all;
    size_t ended;
};

void transfers_init(struct transfers *transfers, const uint64_t seed[2]);
/* Frees all; no holding is left open. */
void transfers_fini(struct transfers *transfers);

/* A row without an id and with nothing moved yet; NULL without memory. `kind`: as in
 * shape_transfer.
 */
json_t *transfer_row(const char *peer, const char *kind, bool sending, bool request,
                     const char *name);
/* Not in the table. The row is taken; NULL, also for a NULL row, without memory. */
struct transfer *transfer_new(json_t *row);
/* Accepts NULL. */
void transfer_free(struct transfer *transfer);

/* 0: it belongs to the table. -EEXIST, -EINVAL when the id is none, -ENOMEM. */
int transfers_add(struct transfers *transfers, struct transfer *transfer, const char *id);
struct transfer *transfers_find(const struct transfers *transfers, const char *id);
/* What holding it takes leaves the transfer only with its end: sets local_path as well. 0, -ENOMEM.
 */
int transfer_hold(struct transfer *transfer, struct holding *holding);
/* The row is borrowed. Whether the status, or how far it is, is another now. */
bool transfer_update(struct transfers *transfers, struct transfer *transfer, json_t *row,
                     int64_t now_ms);
/* The same for an end that the daemon does not tell. */
bool transfer_end(struct transfers *transfers, struct transfer *transfer,
                  rats_transfer_status_t status, const char *error, int64_t now_ms);
/* The oldest that ended too long ago, or is one too many, no longer in the table; NULL. */
struct transfer *transfers_take_stale(struct transfers *transfers, int64_t now_ms);

bool transfer_is_directory(const struct transfer *transfer);
bool transfer_is_sending(const struct transfer *transfer);
/* Names of rats_transfer_status_t. */
const char *transfer_status_name(int status);
/* The object of api.md 4.3; NULL without memory. */
json_t *transfer_document(const struct transfer *transfer);

#endif
