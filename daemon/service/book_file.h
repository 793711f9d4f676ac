/* peers.db: the address book and the targets that programs added, on disk (wire-services 8).
 *
 * Written in batches, each one transaction on a worker thread, one at a time; so a crash loses the
 * latest batch at most and never leaves half of one. It is a cache: a damaged file is set aside and
 * a new one begun (core/database.h). Easy to break: while a batch is being written the database
 * belongs to the thread that writes it; nothing else here touches it then. */
#ifndef RATSD_SERVICE_BOOK_FILE_H
#define RATSD_SERVICE_BOOK_FILE_H

#include "core/worker.h"
#include "service/book.h"
#include "service/targets.h"

#define BOOK_FILE_NAME   "peers.db"
#define BOOK_IMPORT_NAME "peers.json" /* of librats 2 */

struct book_file;

struct book_file_target {
    char host[TARGETS_HOST_MAX + 1];
    uint16_t port;
    bool has_expected;
    struct peer_id expected;
    bool removed;
};

/* What one transaction writes. */
struct book_batch {
    struct book_changes changes;
    bool all_targets; /* those given are all there are */
    struct book_file_target *targets;
    size_t target_count;
};

/* Both borrowed for its life. */
struct book_file *book_file_new(struct worker *worker, const char *directory);
/* Opens it and reads into book what book does not know, and into targets (as added ones) what is
 * not there. The first time ever it also reads peers.json. 0, or a negative errno and a sentence.
 * Blocks, for a moment: the file is small. Not while it is busy. */
int book_file_open(struct book_file *file, struct book *book, struct targets *targets,
                   int64_t now_s, int64_t now_ms, char *error, size_t error_size);
/* Whether there is anything to read: a start without costs nothing then. */
bool book_file_exists(const struct book_file *file);
bool book_file_is_open(const struct book_file *file);
bool book_file_is_busy(const struct book_file *file);

/* Writes a batch (its content is taken) and calls on_done in the loop: 0, or a negative errno and a
 * sentence; -EUCLEAN: it is damaged, and closed. 0; -EAGAIN when there is no thread (the batch is
 * still the caller's). Only while it is open and not busy. */
int book_file_write(struct book_file *file, struct book_batch *batch,
                    void (*on_done)(void *arg, int result, const char *error), void *arg);
/* The same at once. on_done of a batch under way is not called. */
int book_file_write_now(struct book_file *file, struct book_batch *batch, char *error,
                        size_t error_size);
/* Waits for the batch under way. */
void book_file_free(struct book_file *file);

void book_batch_fini(struct book_batch *batch);

#endif
