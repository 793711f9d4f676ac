/* The files of one transfer: read, hashed and made into frames, or written and compared, by jobs on
 * a worker thread; never on the loop.
 *
 * Works on descriptors it is given and owns from then on. At most one job of a transfer runs at a
 * time and has all of its state; the loop keeps what came meanwhile. Reading stays a few chunks
 * ahead; what waits to be written is bounded by the engine's window. Callbacks come from the loop,
 * never from within a call made here; after on_failed nothing but transfer_disk_free() makes sense.
 */
#ifndef RATSD_SERVICE_TRANSFER_DISK_H
#define RATSD_SERVICE_TRANSFER_DISK_H

#include "core/worker.h"
#include "wire/transfer.h"

#define TRANSFER_AHEAD_FILES 32u  /* descriptors a transfer has at most */
#define TRANSFER_ITEM_COST   128u /* of a chunk or an end that waits, whatever its size */

struct transfer_disk;

struct transfer_disk_callbacks {
    /* Sender: transfer_disk_piece() may have something. */
    void (*on_pieces)(void *arg);
    /* Receiver: what takes that much memory waits no more: for each write its size, for each write
     * and end TRANSFER_ITEM_COST. */
    void (*on_taken)(void *arg, size_t size);
    /* Receiver: so many more bytes are written, and whether they made a file's data whole. */
    void (*on_wrote)(void *arg, uint64_t size, bool file_is_whole);
    /* Receiver: these files have the hash that was said. */
    void (*on_verified)(void *arg, uint32_t first, uint32_t count);
    /* There is room for descriptors of further files. */
    void (*on_room)(void *arg);
    /* After transfer_disk_rewind(): what is on disk was hashed again up to here. */
    void (*on_rewound)(void *arg, uint32_t file, uint64_t offset);
    /* What is there already is being hashed again, and is not done with: a sign of life. */
    void (*on_rehashing)(void *arg);
    /* What became of that file, which is the first that it became of. */
    void (*on_failed)(void *arg, uint32_t file, const char *why);
};

/* What the senders of one node read ahead, together: the fewer there are the more has each. */
struct transfer_ahead {
    size_t senders;
};

struct transfer_disk_options {
    struct loop *loop;
    struct worker *worker;
    bool sending;
    struct transfer_ahead *ahead; /* of a sender; outlives it */
    uint64_t id;                  /* of the transfer, for frames */
    size_t chunk_size;            /* of a sender, at first */
    uint64_t need;                /* of a receiver: bytes that must fit where the first file is */
};

/* A frame to be sent: its data, or the end of its file. */
struct transfer_piece {
    struct bytes frame;
    size_t data_size;
    bool is_end;
};

/* What a descriptor is good for, found out on a worker. */
struct transfer_check {
    int fd; /* stays the caller's */
    bool sending;
    bool directory; /* that what is received goes to; otherwise a file */
    uint64_t need;  /* bytes that must fit there */
    int result;     /* 0 or a negative errno: -EINVAL no regular file, or no directory, -EACCES not
                       open for what is needed, -ENODATA more to be read than its size says,
                       -ENOTEMPTY the target has content, -ENOSPC */
    uint64_t size;
    uint64_t room; /* bytes that are free there, after -ENOSPC */
};

#define TRANSFER_CHECK_TEXT_SIZE 160

/* Runs on any thread. */
void transfer_check_run(struct transfer_check *check);
/* A sentence for its result. Returns ret_text. */
char *transfer_check_text(const struct transfer_check *check,
                          char ret_text[TRANSFER_CHECK_TEXT_SIZE]);

/* Options are copied, callbacks borrowed. */
int transfer_disk_new(const struct transfer_disk_options *options,
                      const struct transfer_disk_callbacks *callbacks, void *arg,
                      struct transfer_disk **ret_disk);
/* Closes every descriptor, at the latest when the job that runs has ended. */
void transfer_disk_free(struct transfer_disk *disk);

/* How many more descriptors it takes now. */
size_t transfer_disk_room(const struct transfer_disk *disk);
/* The next file in order. fd is taken. A file that is kept stays open after its end, so that the
 * transfer can go back into it. */
void transfer_disk_add(struct transfer_disk *disk, uint32_t file, int fd, uint64_t size, bool keep);

/* Sender. NULL when nothing is ready; consume it once it was sent. */
const struct transfer_piece *transfer_disk_piece(const struct transfer_disk *disk);
void transfer_disk_consume(struct transfer_disk *disk);
/* Sender: of what is read from now on. */
void transfer_disk_set_chunk(struct transfer_disk *disk, size_t size);
/* Sender: goes on from that byte of a file, which is not past what was made. Unless its only file
 * is kept, that file and those behind it must be added again. */
void transfer_disk_seek(struct transfer_disk *disk, uint64_t offset);

/* Receiver: in order. 0 or -ENOMEM. */
int transfer_disk_write(struct transfer_disk *disk, uint32_t file, uint64_t offset,
                        struct bytes data);
int transfer_disk_end(struct transfer_disk *disk, uint32_t file,
                      const uint8_t hash[TRANSFER_HASH_SIZE]);
/* Receiver: what is not written is dropped, what is written is hashed again; on_rewound. */
void transfer_disk_rewind(struct transfer_disk *disk);

#endif
