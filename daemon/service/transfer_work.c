/* The worker's side of a transfer's files. Nothing here knows the loop. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "service/transfer_disk_private.h"

#define REHASH_BUFFER ((size_t)128 * 1024)

static void fail(struct disk_work *work, const char *what, int error)
{
    work->failed = true;
    (void)snprintf(work->error, sizeof work->error, "%s%s%s", what, error == 0 ? "" : ": ",
                   error == 0 ? "" : strerror(error));
}

void disk_items_free(struct list *items)
{
    LIST_EACH(items, node)
    {
        list_remove(node);
        free(CONTAINER_OF(node, struct disk_item, node));
    }
}

void disk_work_leave(struct disk_work *work)
{
    struct disk_file *file = &work->files[0];
    work->begun = false;
    work->done = 0;
    if (file->keep) {
        return;
    }
    (void)close(file->fd);
    work->file_count--;
    work->closed++;
    memmove(file, file + 1, work->file_count * sizeof *file);
}

void disk_work_free(void *data)
{
    struct disk_work *work = data;
    for (size_t i = 0; i < work->file_count; i++) {
        (void)close(work->files[i].fd);
    }
    sha256_fini(&work->hash);
    disk_items_free(&work->items);
    free(work->batch);
    free(work);
}

/* ---- both ---- */

static ssize_t read_at(int fd, uint8_t *data, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t part = pread(fd, data + done, size - done, (off_t)(offset + done));
        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part < 0) {
            return -errno;
        }
        if (part == 0) {
            break;
        }
        done += (size_t)part;
    }
    return (ssize_t)done;
}

/* Files of the kernel (/proc) say that they are empty and are not: what is sent must be all of it.
 * 0 or a negative errno, -ENODATA for such a file. */
static int check_size(int fd, uint64_t size)
{
    uint8_t byte;
    ssize_t got = size == 0 ? read_at(fd, &byte, 1, 0) : 0;
    return got > 0 ? -ENODATA : (int)got;
}

#define NOT_SIZED "the file has more in it than its size says; send a copy of it"

/* ---- what a descriptor is good for ---- */

/* File systems that do not know how large they are (ramfs, a tmpfs without a limit) have no blocks
 * at all, which is not to say that they are full. */
static bool has_room(struct transfer_check *check)
{
    struct statvfs space;
    if (fstatvfs(check->fd, &space) < 0 || space.f_blocks == 0 || space.f_frsize == 0) {
        return true;
    }
    check->room = space.f_bavail > UINT64_MAX / space.f_frsize
                      ? UINT64_MAX
                      : (uint64_t)space.f_bavail * space.f_frsize;
    return check->need <= check->room;
}

static bool is_open_for(const struct transfer_check *check, int flags)
{
    int mode = flags & O_ACCMODE;
    return (flags & O_PATH) == 0 && (check->sending ? mode != O_WRONLY : mode == O_RDWR);
}

void transfer_check_run(struct transfer_check *check)
{
    struct stat info;
    int flags = fcntl(check->fd, F_GETFL);
    if (flags < 0 || fstat(check->fd, &info) < 0) {
        check->result = -errno;
        return;
    }
    check->result = 0;
    check->size = (uint64_t)info.st_size;
    if (check->directory ? !S_ISDIR(info.st_mode) : !S_ISREG(info.st_mode)) {
        check->result = -EINVAL;
    } else if (!check->directory && !is_open_for(check, flags)) {
        check->result = -EACCES;
    } else if (!check->directory && !check->sending && info.st_size != 0) {
        check->result = -ENOTEMPTY;
    } else if (check->sending) {
        check->result = check_size(check->fd, check->size);
    } else if (!has_room(check)) {
        check->result = -ENOSPC;
    }
}

static const char *check_problem(const struct transfer_check *check)
{
    switch (check->result) {
    case -EINVAL:
        return check->directory ? "the descriptor is not that of a directory"
                                : "the descriptor is not that of a regular file";
    case -EACCES:
        return "the descriptor is not open for what is needed: a file to be sent for reading, a "
               "target for reading and writing";
    case -ENODATA:
        return NOT_SIZED;
    case -ENOTEMPTY:
        return "the target is not an empty file";
    default:
        return "the file cannot be used";
    }
}

char *transfer_check_text(const struct transfer_check *check,
                          char ret_text[TRANSFER_CHECK_TEXT_SIZE])
{
    if (check->result == -ENOSPC) {
        (void)snprintf(ret_text, TRANSFER_CHECK_TEXT_SIZE,
                       "there is not enough space where it would be written: it needs %" PRIu64
                       " bytes, and %" PRIu64 " are free",
                       check->need, check->room);
    } else {
        (void)snprintf(ret_text, TRANSFER_CHECK_TEXT_SIZE, "%s", check_problem(check));
    }
    return ret_text;
}

/* ---- sending ---- */

static bool is_unchanged(const struct stat *before, const struct stat *after)
{
    return before->st_size == after->st_size && before->st_mtim.tv_sec == after->st_mtim.tv_sec &&
           before->st_mtim.tv_nsec == after->st_mtim.tv_nsec;
}

static void begin_source(struct disk_work *work)
{
    const struct disk_file *file = &work->files[0];
    int rc;
    if (fstat(file->fd, &work->before) < 0) {
        fail(work, "the file cannot be examined", errno);
    } else if (!S_ISREG(work->before.st_mode)) {
        fail(work, "it is not a regular file", 0);
    } else if ((uint64_t)work->before.st_size != file->size) {
        fail(work, "the file has another size than was offered", 0);
    } else if ((rc = check_size(file->fd, file->size)) < 0) {
        fail(work, rc == -ENODATA ? NOT_SIZED : "the file cannot be read",
             rc == -ENODATA ? 0 : -rc);
    } else if (sha256_begin(&work->hash) < 0) {
        fail(work, "out of memory", 0);
    }
    work->begun = !work->failed;
    work->done = 0;
}

/* Hashes again what is there already, a step a job. True once done. */
static bool rehash(struct disk_work *work)
{
    if (work->rehash == UINT64_MAX) {
        return true;
    }
    if (work->file_count == 0) {
        return false; /* its descriptor is on its way */
    }
    if (work->sending && !work->begun) {
        begin_source(work);
    }
    uint8_t *buffer = malloc(REHASH_BUFFER);
    uint64_t step = 0;
    if (buffer == NULL || (work->rehashed == 0 && sha256_begin(&work->hash) < 0)) {
        fail(work, "out of memory", 0);
    }
    while (!work->failed && work->rehashed < work->rehash && step < DISK_REHASH_STEP) {
        uint64_t left = work->rehash - work->rehashed;
        size_t size = left < REHASH_BUFFER ? (size_t)left : REHASH_BUFFER;
        ssize_t got = read_at(work->files[0].fd, buffer, size, work->rehashed);
        if (got != (ssize_t)size) {
            fail(work, "what was there already cannot be read again", got < 0 ? (int)-got : 0);
        } else {
            (void)sha256_add(&work->hash, bytes_make(buffer, size));
            work->rehashed += size;
            step += size;
        }
    }
    free(buffer);
    if (work->failed || work->rehashed < work->rehash) {
        return false;
    }
    work->done = work->rehash;
    work->rehash = UINT64_MAX;
    work->rehashed = 0;
    return true;
}

static uint8_t *add_piece(struct disk_batch *batch, size_t size, size_t data_size, bool is_end)
{
    uint8_t *at = batch->data + batch->size;
    batch->pieces[batch->count++] = (struct transfer_piece){
        .frame = bytes_make(at, size), .data_size = data_size, .is_end = is_end};
    batch->size += size;
    return at;
}

static void encode(const struct transfer_frame *frame, uint8_t *out, size_t size)
{
    struct writer writer;
    writer_init(&writer, out, size);
    transfer_frame_encode(frame, &writer);
}

static void make_end(struct disk_work *work)
{
    uint8_t hash[SHA256_SIZE];
    struct stat after;
    if (fstat(work->files[0].fd, &after) < 0 || !is_unchanged(&work->before, &after)) {
        fail(work, "the file was changed while it was sent", 0);
        return;
    }
    if (sha256_end(&work->hash, hash) < 0) {
        fail(work, "out of memory", 0);
        return;
    }
    struct transfer_frame frame = {.op = TRANSFER_FILE_END,
                                   .id = work->id,
                                   .file = work->files[0].index,
                                   .data = bytes_make(hash, sizeof hash)};
    encode(&frame, add_piece(work->batch, TRANSFER_END_SIZE, 0, true), TRANSFER_END_SIZE);
    bool kept = work->files[0].keep;
    disk_work_leave(work);
    if (kept) {
        work->done = UINT64_MAX; /* it has nothing more to give */
    }
}

/* Of the present file's next chunk; 0 when only its end is left. */
static size_t next_size(const struct disk_work *work)
{
    uint64_t left = work->files[0].size - work->done;
    return left < work->chunk_size ? (size_t)left : work->chunk_size;
}

static bool fits(const struct disk_batch *batch, size_t chunk_size)
{
    size_t need = chunk_size == 0 ? TRANSFER_END_SIZE : TRANSFER_CHUNK_HEADER + chunk_size;
    return batch->count < DISK_MAX_PIECES && need <= batch->capacity - batch->size;
}

static void make_chunk(struct disk_work *work, size_t size)
{
    const struct disk_file *file = &work->files[0];
    struct transfer_frame frame = {
        .op = TRANSFER_CHUNK, .id = work->id, .file = file->index, .offset = work->done};
    uint8_t *at = work->batch->data + work->batch->size;
    ssize_t got = read_at(file->fd, at + TRANSFER_CHUNK_HEADER, size, work->done);
    if (got != (ssize_t)size) {
        fail(work,
             got < 0 ? "the file cannot be read" : "the file became shorter while it was sent",
             got < 0 ? (int)-got : 0);
        return;
    }
    encode(&frame, at, TRANSFER_CHUNK_HEADER);
    (void)add_piece(work->batch, TRANSFER_CHUNK_HEADER + size, size, false);
    (void)sha256_add(&work->hash, bytes_make(at + TRANSFER_CHUNK_HEADER, size));
    work->done += size;
}

static void run_sender(struct disk_work *work)
{
    while (!work->failed && work->file_count > 0 && work->done != UINT64_MAX) {
        if (!work->begun) {
            begin_source(work);
            continue;
        }
        size_t size = next_size(work);
        if (!fits(work->batch, size)) {
            return;
        }
        if (size == 0) {
            make_end(work);
        } else {
            make_chunk(work, size);
        }
    }
}

/* ---- receiving ---- */

static int write_at(int fd, const uint8_t *data, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t part = pwrite(fd, data + done, size - done, (off_t)(offset + done));
        if (part < 0 && errno != EINTR) {
            return -errno;
        }
        done += part > 0 ? (size_t)part : 0;
    }
    return 0;
}

static void write_item(struct disk_work *work, const struct disk_item *item)
{
    const struct disk_file *file = &work->files[0];
    int rc = write_at(file->fd, item->data, item->size, item->offset);
    if (rc < 0) {
        fail(work, "the file cannot be written", -rc);
        return;
    }
    (void)sha256_add(&work->hash, bytes_make(item->data, item->size));
    work->done += item->size;
    work->wrote += item->size;
    work->whole = work->whole || work->done == file->size;
}

static void end_item(struct disk_work *work, const struct disk_item *item)
{
    uint8_t hash[SHA256_SIZE];
    if (sha256_end(&work->hash, hash) < 0) {
        fail(work, "out of memory", 0);
    } else if (memcmp(hash, item->data, sizeof hash) != 0) {
        fail(work, "what arrived has another hash than the sender says", 0);
    } else {
        work->verified_first = work->verified == 0 ? item->file : work->verified_first;
        work->verified++;
        disk_work_leave(work);
        work->next_file = item->file + 1;
    }
}

/* Whether the item's file is here, opened. */
static bool is_at_hand(struct disk_work *work, const struct disk_item *item)
{
    if (work->file_count == 0 || work->files[0].index != item->file) {
        return false;
    }
    if (!work->begun) {
        struct transfer_check check = {.fd = work->files[0].fd, .need = work->need};
        transfer_check_run(&check);
        if (check.result < 0) {
            char problem[TRANSFER_CHECK_TEXT_SIZE];
            fail(work, transfer_check_text(&check, problem), 0);
        } else if (sha256_begin(&work->hash) < 0) {
            fail(work, "out of memory", 0);
        }
        work->need = 0;
        work->begun = true;
        work->done = 0;
    }
    return !work->failed;
}

static void run_receiver(struct disk_work *work)
{
    LIST_EACH(&work->items, node)
    {
        struct disk_item *item = CONTAINER_OF(node, struct disk_item, node);
        if (work->failed || !is_at_hand(work, item)) {
            return;
        }
        if (item->is_end) {
            end_item(work, item);
        } else {
            write_item(work, item);
        }
        work->taken += TRANSFER_ITEM_COST + (item->is_end ? 0 : item->size);
        list_remove(node);
        free(item);
    }
}

void disk_work_run(void *data)
{
    struct disk_work *work = data;
    if (!rehash(work)) {
        return;
    }
    if (work->sending) {
        run_sender(work);
    } else {
        run_receiver(work);
    }
}
