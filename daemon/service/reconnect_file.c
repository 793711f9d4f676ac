/* The reconnect service's file: batches, and clients that wait for theirs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/reconnect_private.h"
#include "util/alloc.h"

#define WRITE_MS      5000  /* changes are gathered for so long */
#define RETRY_MS      60000 /* and after a failure for so long */
#define OFF_MAX_S     (INT64_C(7) * 24 * 3600)
#define SENTENCE_SIZE 512

/* Time in which no daemon ran counts as 7 days at most: a clock that is wrong when we start, or a
 * machine that was off for long, must not empty the book. */
static void forgive_absence(struct reconnect *reconnect, int64_t now_s)
{
    const struct book_record *best[BOOK_MAX_RECORDS];
    size_t count = book_best(reconnect->book, best, BOOK_MAX_RECORDS);
    int64_t latest_s = 0;
    for (size_t i = 0; i < count; i++) {
        latest_s = best[i]->last_seen_s > latest_s ? best[i]->last_seen_s : latest_s;
    }
    if (count > 0 && now_s - latest_s > OFF_MAX_S) {
        book_shift(reconnect->book, now_s - latest_s - OFF_MAX_S, now_s);
    }
}

static int open_file(struct reconnect *reconnect)
{
    char error[SENTENCE_SIZE] = "";
    int64_t now_s = reconnect_now_s(reconnect);
    int result = book_file_open(reconnect->file, reconnect->book, reconnect->targets, now_s,
                                reconnect_now_ms(reconnect), error, sizeof(error));
    if (result != 0) {
        if (!reconnect->write_failed) {
            log_warn(RECONNECT_TOPIC, "known peers are not kept: %s", error);
        }
        reconnect->write_failed = true;
        return result;
    }
    forgive_absence(reconnect, now_s);
    (void)book_expire(reconnect->book, now_s);
    return 0;
}

void reconnect_file_open(struct reconnect *reconnect)
{
    if (book_file_exists(reconnect->file)) { /* else it is made when there is something to write */
        (void)open_file(reconnect);
    }
    reconnect_changed(reconnect);
}

void reconnect_changed(struct reconnect *reconnect)
{
    if (!timer_is_running(&reconnect->write_timer) && book_is_changed(reconnect->book)) {
        timer_start(&reconnect->write_timer, reconnect->write_failed ? RETRY_MS : WRITE_MS);
    }
}

/* ---- batches ---- */

static struct book_file_target file_target(const struct target *target)
{
    struct book_file_target row = {
        .port = target->port,
        .has_expected = target->has_expected,
        .expected = target->expected,
    };
    (void)snprintf(row.host, sizeof(row.host), "%s", target->host);
    return row;
}

/* Every added target, for a file that has none. */
static void gather_targets(const struct reconnect *reconnect, struct book_batch *batch)
{
    struct list *cursor = NULL;
    size_t room = targets_count(reconnect->targets) + 1;
    batch->all_targets = true;
    batch->targets = xalloc(room * sizeof(*batch->targets));
    for (const struct target *target;
         (target = targets_next(reconnect->targets, &cursor)) != NULL;) {
        if (target->origin == TARGET_ADDED) {
            batch->targets[batch->target_count++] = file_target(target);
        }
    }
}

static struct pending_write *first_write(const struct reconnect *reconnect)
{
    struct list *node = list_first(&reconnect->writes);
    return node == NULL ? NULL : CONTAINER_OF(node, struct pending_write, node);
}

static void make_batch(struct reconnect *reconnect, const struct pending_write *pending,
                       struct book_batch *ret_batch)
{
    struct book_batch batch = {0};
    (void)book_expire(reconnect->book, reconnect_now_s(reconnect));
    reconnect_drop_unknown(reconnect);
    book_take_changes(reconnect->book, &batch.changes);
    if (reconnect->targets_dirty) {
        gather_targets(reconnect, &batch);
    } else {
        batch.targets = xalloc(sizeof(*batch.targets));
    }
    if (pending != NULL && pending->has_target) {
        batch.targets[batch.target_count++] = pending->target;
    }
    *ret_batch = batch;
}

/* ---- results ---- */

/* What is asked for is in force once it is on disk. */
static void apply_target(struct reconnect *reconnect, const struct book_file_target *row)
{
    struct target *target = targets_find(reconnect->targets, row->host, row->port);
    if (!row->removed) {
        struct target_spec spec = {
            .host = row->host,
            .port = row->port,
            .origin = TARGET_ADDED,
            .has_expected = row->has_expected,
            .expected = row->expected,
        };
        (void)reconnect_add(reconnect, &spec);
    } else if (target != NULL) {
        reconnect_drop(reconnect, target);
    }
    reconnect_dial(reconnect);
}

static void answer(struct pending_write *pending, int result, const char *error)
{
    struct request *request = pending->request;
    list_remove(&pending->node);
    if (request == NULL) {
        json_decref(pending->reply);
    } else if (result == 0) {
        request_reply(request, pending->reply);
    } else {
        json_decref(pending->reply);
        request_fail(request, result == -ESHUTDOWN ? E_NOT_RUNNING : E_OPERATION_FAILED, "%s",
                     error);
    }
    free(pending);
}

static void note_result(struct reconnect *reconnect, int result, const char *error)
{
    if (result == 0) {
        reconnect->counts.writes++;
        reconnect->targets_dirty = false;
        if (reconnect->write_failed) {
            log_info(RECONNECT_TOPIC, "known peers are kept again");
        }
        reconnect->write_failed = false;
        return;
    }
    reconnect->counts.writes_failed++;
    book_renounce_changes(reconnect->book);
    reconnect->targets_dirty = reconnect->targets_dirty || result == -EUCLEAN;
    if (!reconnect->write_failed) {
        log_warn(RECONNECT_TOPIC, "cannot write " BOOK_FILE_NAME ": %s; tried again later", error);
    }
    reconnect->write_failed = true;
}

static void write_next(struct reconnect *reconnect);

static void on_written(void *arg, int result, const char *error)
{
    struct reconnect *reconnect = arg;
    struct pending_write *pending = first_write(reconnect);
    char sentence[SENTENCE_SIZE];
    note_result(reconnect, result, error);
    if (pending != NULL && pending->under_way) {
        if (result == 0 && pending->has_target) {
            apply_target(reconnect, &pending->target);
        }
        (void)snprintf(sentence, sizeof(sentence),
                       "cannot write " BOOK_FILE_NAME ": %s; see that the state directory has room",
                       error);
        answer(pending, result, sentence);
    }
    write_next(reconnect);
}

/* Fails the client that is first in line. */
static void fail_first(struct reconnect *reconnect, int result, const char *sentence)
{
    struct pending_write *pending = first_write(reconnect);
    if (pending != NULL) {
        answer(pending, result, sentence);
    }
}

/* One batch at a time; then the next client's, if one waits. */
static void write_next(struct reconnect *reconnect)
{
    struct pending_write *pending;
    while ((pending = first_write(reconnect)) != NULL && !book_file_is_busy(reconnect->file)) {
        if (!book_file_is_open(reconnect->file) && open_file(reconnect) != 0) {
            fail_first(reconnect, -EIO,
                       BOOK_FILE_NAME " cannot be opened; the log of ratsd says why");
            continue;
        }
        struct book_batch batch;
        make_batch(reconnect, pending, &batch);
        pending->under_way = true;
        if (book_file_write(reconnect->file, &batch, on_written, reconnect) != 0) {
            book_batch_fini(&batch);
            book_renounce_changes(reconnect->book);
            fail_first(reconnect, -EAGAIN, "no thread to write with; try again");
        }
    }
    reconnect_changed(reconnect);
}

void reconnect_on_write_timer(void *arg)
{
    struct reconnect *reconnect = arg;
    struct book_batch batch;
    if (book_file_is_busy(reconnect->file) || !list_is_empty(&reconnect->writes)) {
        reconnect_changed(reconnect);
        return;
    }
    if (!book_file_is_open(reconnect->file) && open_file(reconnect) != 0) {
        reconnect_changed(reconnect);
        return;
    }
    make_batch(reconnect, NULL, &batch);
    if (book_file_write(reconnect->file, &batch, on_written, reconnect) != 0) {
        book_batch_fini(&batch);
        book_renounce_changes(reconnect->book);
        reconnect_changed(reconnect);
    }
}

/* ---- clients ---- */

static void on_cancel(void *arg)
{
    struct pending_write *pending = arg;
    pending->request = NULL; /* what is under way goes on */
    if (!pending->under_way) {
        list_remove(&pending->node);
        json_decref(pending->reply);
        free(pending);
    }
}

void reconnect_write(struct reconnect *reconnect, struct request *request, json_t *reply,
                     const struct book_file_target *target)
{
    struct pending_write *pending = xalloc(sizeof(*pending));
    pending->reconnect = reconnect;
    pending->request = request;
    pending->reply = reply;
    if (target != NULL) {
        pending->has_target = true;
        pending->target = *target;
    }
    list_append(&reconnect->writes, &pending->node);
    request_defer(request, on_cancel, pending);
    write_next(reconnect);
}

void reconnect_file_stop(struct reconnect *reconnect)
{
    char error[SENTENCE_SIZE] = "";
    struct book_batch batch;
    timer_stop(&reconnect->write_timer);
    LIST_EACH(&reconnect->writes, node)
    {
        answer(CONTAINER_OF(node, struct pending_write, node), -ESHUTDOWN,
               "the daemon is stopping");
    }
    const bool is_changed = book_is_changed(reconnect->book) || reconnect->targets_dirty;
    if (is_changed && (book_file_is_open(reconnect->file) || open_file(reconnect) == 0)) {
        make_batch(reconnect, NULL, &batch);
        int result = book_file_write_now(reconnect->file, &batch, error, sizeof(error));
        note_result(reconnect, result, error);
    }
}
