/* The messages of file transfers (wire-services 3, message type 4).
 *
 *     01 OFFER     u64 id, u8 is_dir, u64 total, u16 name_len, name, u32 count,
 *                  count x { u16 path_len, path, u64 size }
 *     02 RESPONSE  u64 id, u8 accept, our own: up to 512 bytes of reason (api.md 7.4)
 *     03 CHUNK     u64 id, u32 file, u64 offset, data
 *     04 FILE_END  u64 id, u32 file, sha256 32
 *     05 PROGRESS  u64 id, u64 received
 *     06 COMPLETE  u64 id, u8 ok
 *     07 CANCEL, 08 PAUSE, 09 RESUME  u64 id
 *
 * Views of a decoded frame point into the message. Names, paths, sizes and the total are claims of
 * whoever sent them: nothing in here is checked beyond being there. */
#ifndef RATSD_WIRE_TRANSFER_H
#define RATSD_WIRE_TRANSFER_H

#include "util/reader.h"
#include "util/writer.h"

#define TRANSFER_HASH_SIZE    32u
#define TRANSFER_CHUNK_HEADER 21u /* of a CHUNK, before its data */
#define TRANSFER_END_SIZE     (1u + 8u + 4u + TRANSFER_HASH_SIZE)
#define TRANSFER_FILE_FIXED   10u /* of a file in an OFFER, with an empty path */
#define TRANSFER_MAX_REASON   512u
#define TRANSFER_MAX_CONTROL  (1u + 8u + 1u + TRANSFER_MAX_REASON) /* all but OFFER and CHUNK */

enum transfer_op {
    TRANSFER_OFFER = 1,
    TRANSFER_RESPONSE = 2,
    TRANSFER_CHUNK = 3,
    TRANSFER_FILE_END = 4,
    TRANSFER_PROGRESS = 5,
    TRANSFER_COMPLETE = 6,
    TRANSFER_CANCEL = 7,
    TRANSFER_PAUSE = 8,
    TRANSFER_RESUME = 9,
};

struct transfer_frame {
    enum transfer_op op;
    uint64_t id;
    bool is_directory;   /* OFFER */
    uint64_t total;      /* OFFER; informational */
    struct bytes name;   /* OFFER */
    uint32_t file_count; /* OFFER */
    struct bytes files;  /* OFFER: the list, whole; transfer_file_decode() takes it apart */
    bool ok;             /* RESPONSE, COMPLETE */
    struct bytes reason; /* RESPONSE */
    uint32_t file;       /* CHUNK, FILE_END */
    uint64_t offset;     /* CHUNK */
    struct bytes data;   /* CHUNK; the hash of FILE_END */
    uint64_t received;   /* PROGRESS */
};

struct transfer_file {
    struct bytes path;
    uint64_t size;
};

/* 0, or -EPROTO: ignore it. Bytes behind a frame that has an end of its own are ignored. */
int transfer_frame_decode(struct bytes from, struct transfer_frame *ret_frame);
/* The next file of an OFFER's list; of a frame that was decoded there are file_count. */
void transfer_file_decode(struct reader *reader, struct transfer_file *ret_file);

/* All but the data of a CHUNK and the files of an OFFER, which follow: append them. A reason is cut
 * to TRANSFER_MAX_REASON, at a whole character. */
void transfer_frame_encode(const struct transfer_frame *frame, struct writer *writer);
/* The path has at most 65535 bytes. */
void transfer_file_encode(const struct transfer_file *file, struct writer *writer);
/* Bytes of an OFFER without its files. */
size_t transfer_offer_size(struct bytes name);

#endif
