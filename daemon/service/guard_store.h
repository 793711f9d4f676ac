/* Bans and limits on disk: guard.db in the data directory.
 *
 * Writing waits for the disk, so it happens on a worker's thread: what comes while a transaction is
 * under way goes into the next one together. Easy to break: the loop touches the database only
 * while no job has it. */
#ifndef RATSD_SERVICE_GUARD_STORE_H
#define RATSD_SERVICE_GUARD_STORE_H

#include "core/loop.h"
#include "core/worker.h"
#include "util/ban_list.h"
#include "util/list.h"

enum guard_kind { GUARD_BAN, GUARD_LIMIT };

/* A row, or that there is none any more. */
struct guard_write {
    enum guard_kind kind;
    bool remove;
    char subject[BAN_SUBJECT_TEXT_SIZE]; /* of a limit: the peer's id */
    int64_t added_unix_s;
    int64_t until_unix_s; /* 0 = for ever */
    char reason[BAN_REASON_MAX + 1];
    uint64_t messages_per_s;
    uint64_t bytes_per_s;
};

struct guard_store;

/* Opens the database, if there is one; the first change makes it. 0, or a negative errno and a
 * sentence with a remedy. loop and worker are borrowed. */
int guard_store_open(struct loop *loop, struct worker *worker, const char *directory,
                     struct guard_store **ret_store, char *error, size_t error_size);
/* Transactions under way end by themselves; nobody hears of them. */
void guard_store_close(struct guard_store *store);
/* Every row, bans that have ended by now_unix_s excepted. 0 or a negative errno. Before any
 * guard_store_save(). */
int guard_store_load(struct guard_store *store, int64_t now_unix_s,
                     void (*on_row)(void *arg, const struct guard_write *row), void *arg);
/* write is copied. on_saved is called once it is on disk (0) or not (a negative errno), never
 * inside this function; not at all after guard_store_close(). */
void guard_store_save(struct guard_store *store, const struct guard_write *write,
                      void (*on_saved)(void *arg, int result), void *arg);

#endif
