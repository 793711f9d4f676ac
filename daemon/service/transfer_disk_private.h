/* What the loop's and the worker's side of a transfer's files share. */
#ifndef RATSD_SERVICE_TRANSFER_DISK_PRIVATE_H
#define RATSD_SERVICE_TRANSFER_DISK_PRIVATE_H

#include <sys/stat.h>

#include "crypto/hash.h"
#include "service/transfer_disk.h"
#include "util/list.h"

#define DISK_MAX_PIECES  256u
#define DISK_REHASH_STEP (UINT64_C(32) * 1024 * 1024) /* in one job */
#define DISK_ERROR_SIZE  200u

struct disk_file {
    uint32_t index;
    int fd;
    uint64_t size;
    bool keep;
};

/* Frames made by one job. */
struct disk_batch {
    struct list node;
    size_t count;
    size_t next; /* to be sent */
    struct transfer_piece pieces[DISK_MAX_PIECES];
    size_t size;
    size_t capacity;
    uint8_t data[];
};

/* To be written, or the end of a file. */
struct disk_item {
    struct list node;
    uint32_t file;
    bool is_end;
    uint64_t offset;
    size_t size;
    uint8_t data[]; /* or the hash */
};

/* All that a job works on; the loop touches it only between jobs. */
struct disk_work {
    bool ours; /* the loop has it: the end of a job does not free it */
    bool sending;
    uint64_t id;
    size_t chunk_size;
    uint64_t need;                                /* 0 once checked */
    struct disk_file files[TRANSFER_AHEAD_FILES]; /* in order; the first is the present one */
    size_t file_count;
    bool begun; /* the first is open, hashed up to done */
    struct stat before;
    struct sha256_stream hash;
    uint64_t done;            /* of the present file */
    uint64_t rehash;          /* bytes to hash again before anything else; UINT64_MAX: none */
    uint64_t rehashed;        /* of those */
    struct disk_batch *batch; /* sender: to be filled */
    struct list items;        /* receiver: to be written */
    bool failed;
    char error[DISK_ERROR_SIZE];
    /* What one job did. */
    size_t taken;
    uint64_t wrote;
    bool whole;
    uint32_t next_file; /* receiver: the first that is not verified */
    uint32_t verified_first;
    uint32_t verified;
    size_t closed;
};

/* On a worker's thread. */
void disk_work_run(void *data);
void disk_work_free(void *data);
/* Closes the present file, or goes back to its beginning when it is kept. */
void disk_work_leave(struct disk_work *work);
void disk_items_free(struct list *items);

#endif
