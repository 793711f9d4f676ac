#include "service/transfer_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/transfer_disk_private.h"
#include "util/alloc.h"

/* What senders read ahead. Batches wait to be sent while a job makes one more: the larger they are
 * the less often threads wake each other, and the more there are the less often they wait. */
#define AHEAD_BYTES   ((size_t)16 * 1024 * 1024) /* of all senders, about, */
#define BATCH_LEAST   ((size_t)256 * 1024)       /* but each has batches that large, */
#define BATCHES_LEAST 2u                         /* and so many beside the one that is made, */
#define BATCH_MOST    ((size_t)512 * 1024)       /* and never larger ones, */
#define BATCHES_MOST  7u                         /* and never more: 4 MiB in all, a window */
#define RETRY_MS      50                         /* when no thread is to be had */

struct transfer_disk {
    struct transfer_disk_options options;
    const struct transfer_disk_callbacks *callbacks;
    void *arg;
    struct job *job; /* NULL: work is ours */
    struct disk_work *work;
    struct disk_file incoming[TRANSFER_AHEAD_FILES];
    size_t incoming_count;
    size_t held;         /* descriptors, here and in work */
    struct list batches; /* sender: made and not sent */
    size_t batch_count;
    struct list items; /* receiver: came while a job ran */
    bool seeking;      /* sender: seek_offset waits for the job */
    uint64_t seek_offset;
    bool rewinding; /* receiver */
    bool turned;    /* and the work knows */
    bool finished;  /* a job has, and nobody was told */
    bool dead;
    bool failed;
    struct deferred begin;
    struct timer retry;
};

static void begin(void *arg);

int transfer_disk_new(const struct transfer_disk_options *options,
                      const struct transfer_disk_callbacks *callbacks, void *arg,
                      struct transfer_disk **ret_disk)
{
    struct transfer_disk *disk = try_alloc(sizeof *disk);
    struct disk_work *work = try_alloc(sizeof *work);
    if (disk == NULL || work == NULL) {
        free(disk);
        free(work);
        return -ENOMEM;
    }
    work->ours = true;
    work->sending = options->sending;
    work->id = options->id;
    work->need = options->need;
    work->rehash = UINT64_MAX;
    list_init(&work->items);
    disk->options = *options;
    disk->callbacks = callbacks;
    disk->arg = arg;
    disk->work = work;
    if (options->sending) {
        options->ahead->senders++;
    }
    list_init(&disk->batches);
    list_init(&disk->items);
    deferred_init(&disk->begin, options->loop, begin, disk);
    timer_init(&disk->retry, options->loop, begin, disk);
    *ret_disk = disk;
    return 0;
}

static void drop_batches(struct transfer_disk *disk)
{
    LIST_EACH(&disk->batches, node)
    {
        list_remove(node);
        free(CONTAINER_OF(node, struct disk_batch, node));
    }
    disk->batch_count = 0;
}

static void close_incoming(struct transfer_disk *disk)
{
    for (size_t i = 0; i < disk->incoming_count; i++) {
        (void)close(disk->incoming[i].fd);
    }
    disk->held -= disk->incoming_count;
    disk->incoming_count = 0;
}

void transfer_disk_free(struct transfer_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    if (disk->options.sending) {
        disk->options.ahead->senders--;
    }
    deferred_cancel(&disk->begin);
    timer_stop(&disk->retry);
    close_incoming(disk);
    drop_batches(disk);
    disk_items_free(&disk->items);
    if (disk->job != NULL) {
        job_cancel(disk->job); /* which frees what it works on */
    } else {
        loop_free_later(disk->options.loop, disk_work_free, disk->work);
    }
    disk->dead = true;
    loop_free_later(disk->options.loop, free, disk);
}

/* ---- jobs ---- */

/* The part of a seek or rewind that touches what jobs work on. */
static void turn_back(struct transfer_disk *disk)
{
    struct disk_work *work = disk->work;
    if (disk->seeking) {
        disk->seeking = false;
        drop_batches(disk);
        free(work->batch);
        work->batch = NULL;
        while (work->file_count > 0 && !work->files[0].keep) {
            disk_work_leave(work);
            disk->held--;
        }
        work->closed = 0;
        work->begun = false;
        work->done = 0;
        work->rehash = disk->seek_offset;
        work->rehashed = 0;
    }
    if (disk->rewinding && !disk->turned) {
        disk->turned = true;
        disk_items_free(&work->items);
        work->rehash = work->begun ? work->done : 0;
        work->rehashed = 0;
        if (work->rehash == 0 && !work->begun) {
            work->rehash = UINT64_MAX; /* nothing of the next file is there */
        }
    }
}

static void take_incoming(struct transfer_disk *disk)
{
    struct disk_work *work = disk->work;
    size_t count = disk->incoming_count;
    memcpy(&work->files[work->file_count], disk->incoming, count * sizeof(struct disk_file));
    work->file_count += count;
    disk->incoming_count = 0;
    LIST_EACH(&disk->items, node)
    {
        list_remove(node);
        list_append(&work->items, node);
    }
}

static size_t clamp(size_t value, size_t least, size_t most)
{
    return value < least ? least : value > most ? most : value;
}

static size_t share(const struct transfer_disk *disk)
{
    return AHEAD_BYTES / disk->options.ahead->senders;
}

static size_t batch_bytes(const struct transfer_disk *disk)
{
    return clamp(share(disk) / (BATCHES_LEAST + 1), BATCH_LEAST, BATCH_MOST);
}

static size_t batches_ahead(const struct transfer_disk *disk)
{
    return clamp(share(disk) / batch_bytes(disk), BATCHES_LEAST + 1, BATCHES_MOST + 1) - 1;
}

static bool has_work(const struct transfer_disk *disk)
{
    struct disk_work *work = disk->work;
    if (disk->failed || work->file_count == 0) {
        return false;
    }
    if (work->rehash != UINT64_MAX) {
        return true;
    }
    if (disk->options.sending) {
        return disk->batch_count < batches_ahead(disk) && work->done != UINT64_MAX;
    }
    struct list *first = list_first(&work->items);
    return first != NULL &&
           CONTAINER_OF(first, struct disk_item, node)->file == work->files[0].index;
}

/* What is told may end the transfer: nothing is told after that. */
static void report(struct transfer_disk *disk)
{
    const struct transfer_disk_callbacks *callbacks = disk->callbacks;
    const struct disk_work *work = disk->work;
    struct disk_work did = {.taken = work->taken,
                            .wrote = work->wrote,
                            .whole = work->whole,
                            .verified_first = work->verified_first,
                            .verified = work->verified,
                            .closed = work->closed,
                            .next_file = work->next_file,
                            .done = work->begun ? work->done : 0};
    bool rehashing = work->rehash != UINT64_MAX;
    bool rewound = disk->rewinding && disk->turned && work->rehash == UINT64_MAX;
    disk->rewinding = disk->rewinding && !rewound;
    disk->turned = disk->turned && !rewound;
    if (did.taken > 0) {
        callbacks->on_taken(disk->arg, did.taken);
    }
    if (did.wrote > 0 && !disk->dead) {
        callbacks->on_wrote(disk->arg, did.wrote, did.whole);
    }
    if (did.verified > 0 && !disk->dead) {
        callbacks->on_verified(disk->arg, did.verified_first, did.verified);
    }
    if (rewound && !disk->dead) {
        callbacks->on_rewound(disk->arg, did.next_file, did.done);
    }
    if (rehashing && !disk->dead) {
        callbacks->on_rehashing(disk->arg);
    }
    if (did.closed > 0 && !disk->dead) {
        callbacks->on_room(disk->arg);
    }
}

static void on_done(void *arg, void *data)
{
    struct transfer_disk *disk = arg;
    struct disk_work *work = data;
    work->ours = true;
    disk->job = NULL;
    disk->finished = true;
    disk->held -= work->closed;
    if (work->batch != NULL && work->batch->count > 0) {
        list_append(&disk->batches, &work->batch->node);
        disk->batch_count++;
        work->batch = NULL;
    }
    deferred_schedule(&disk->begin);
}

/* Tells what the last job did, and forgets it. */
static void finish(struct transfer_disk *disk)
{
    struct disk_work *work = disk->work;
    disk->finished = false;
    if (work->failed) {
        disk->failed = true;
        disk->callbacks->on_failed(disk->arg, work->files[0].index, work->error);
    } else {
        report(disk);
    }
    if (!disk->dead) {
        work->taken = 0;
        work->wrote = 0;
        work->whole = false;
        work->verified = 0;
        work->closed = 0;
    }
}

/* The job's data is freed by it only when the job was cancelled: then nobody else has it. */
static void free_if_cancelled(void *data)
{
    struct disk_work *work = data;
    if (!work->ours) {
        disk_work_free(work);
    }
}

static bool make_batch(const struct transfer_disk *disk)
{
    struct disk_work *work = disk->work;
    size_t chunk = disk->options.chunk_size;
    size_t chunks = batch_bytes(disk) / chunk;
    size_t capacity = (chunks == 0 ? 1 : chunks) * (TRANSFER_CHUNK_HEADER + chunk);
    struct disk_batch *batch = malloc(sizeof *batch + capacity);
    if (batch != NULL) {
        list_init(&batch->node);
        batch->count = 0;
        batch->next = 0;
        batch->size = 0;
        batch->capacity = capacity;
    }
    work->chunk_size = chunk;
    work->batch = batch;
    return batch != NULL;
}

static void start_job(struct transfer_disk *disk)
{
    struct disk_work *work = disk->work;
    bool closed = disk->seeking;
    turn_back(disk);
    take_incoming(disk);
    if (closed) {
        disk->callbacks->on_room(disk->arg);
    }
    if (!disk->dead && disk->rewinding && work->rehash == UINT64_MAX) {
        report(disk);
    }
    if (disk->dead || !has_work(disk)) {
        return;
    }
    if (disk->options.sending && work->batch == NULL && !make_batch(disk)) {
        timer_start(&disk->retry, RETRY_MS);
        return;
    }
    work->ours = false;
    disk->job = worker_submit(disk->options.worker, "transfer", disk_work_run, on_done, disk, work,
                              free_if_cancelled);
    if (disk->job == NULL) {
        work->ours = true;
        timer_start(&disk->retry, RETRY_MS);
    }
}

/* The next job starts before what the last one made is sent: the thread reads on while the loop
 * encrypts. */
static void begin(void *arg)
{
    struct transfer_disk *disk = arg;
    bool finished = disk->finished;
    if (finished) {
        finish(disk);
    }
    if (disk->dead || disk->job != NULL || disk->failed) {
        return;
    }
    start_job(disk);
    if (finished && !disk->dead && !disk->seeking && disk->batch_count > 0) {
        disk->callbacks->on_pieces(disk->arg);
    }
}

/* ---- descriptors ---- */

size_t transfer_disk_room(const struct transfer_disk *disk)
{
    return TRANSFER_AHEAD_FILES - disk->held;
}

void transfer_disk_add(struct transfer_disk *disk, uint32_t file, int fd, uint64_t size, bool keep)
{
    assert(disk->held < TRANSFER_AHEAD_FILES);
    disk->held++;
    disk->incoming[disk->incoming_count++] =
        (struct disk_file){.index = file, .fd = fd, .size = size, .keep = keep};
    deferred_schedule(&disk->begin);
}

/* ---- sending ---- */

static struct disk_batch *first_batch(const struct transfer_disk *disk)
{
    struct list *node = list_first(&disk->batches);
    return node == NULL || disk->seeking ? NULL : CONTAINER_OF(node, struct disk_batch, node);
}

const struct transfer_piece *transfer_disk_piece(const struct transfer_disk *disk)
{
    const struct disk_batch *batch = first_batch(disk);
    return batch == NULL ? NULL : &batch->pieces[batch->next];
}

void transfer_disk_consume(struct transfer_disk *disk)
{
    struct disk_batch *batch = first_batch(disk);
    if (++batch->next == batch->count) {
        list_remove(&batch->node);
        free(batch);
        disk->batch_count--;
        deferred_schedule(&disk->begin);
    }
}

void transfer_disk_set_chunk(struct transfer_disk *disk, size_t size)
{
    disk->options.chunk_size = size;
}

void transfer_disk_seek(struct transfer_disk *disk, uint64_t offset)
{
    if (disk->incoming_count > 0 && !disk->incoming[0].keep) {
        close_incoming(disk);
    }
    disk->seeking = true;
    disk->seek_offset = offset;
    if (disk->job == NULL) {
        turn_back(disk);
    }
    deferred_schedule(&disk->begin);
}

/* ---- receiving ---- */

static int add_item(struct transfer_disk *disk, const struct disk_item *like, const uint8_t *data)
{
    struct disk_item *item = malloc(sizeof *item + like->size);
    if (item == NULL) {
        return -ENOMEM;
    }
    *item = *like;
    memcpy(item->data, data, like->size);
    list_append(&disk->items, &item->node);
    deferred_schedule(&disk->begin);
    return 0;
}

int transfer_disk_write(struct transfer_disk *disk, uint32_t file, uint64_t offset,
                        struct bytes data)
{
    struct disk_item like = {.file = file, .offset = offset, .size = data.size};
    return add_item(disk, &like, data.data);
}

int transfer_disk_end(struct transfer_disk *disk, uint32_t file,
                      const uint8_t hash[TRANSFER_HASH_SIZE])
{
    struct disk_item like = {.file = file, .is_end = true, .size = TRANSFER_HASH_SIZE};
    return add_item(disk, &like, hash);
}

void transfer_disk_rewind(struct transfer_disk *disk)
{
    disk_items_free(&disk->items);
    disk->rewinding = true;
    deferred_schedule(&disk->begin);
}
