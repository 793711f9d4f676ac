/* The frames of rats-ipc: a 16-byte header, a head, a body (rats-ipc(7), Frame).
 *
 * Integers are little-endian. Decoding never copies: head and body point into the input. This and
 * message_head.h are the only readers of the local socket's bytes; both are bounds-checked and
 * fuzzed. proto/ is linked by both sides and includes nothing of the daemon. */
#ifndef RATS_PROTO_FRAME_H
#define RATS_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_SIZE 16u
#define FRAME_MAX_SIZE    (64u * 1024u * 1024u + 64u * 1024u) /* head + body */
#define FRAME_MAX_HEAD    65535u
#define FRAME_MAX_FDS     16u

enum frame_kind {
    FRAME_CALL = 1,
    FRAME_REPLY = 2,
    FRAME_FAIL = 3,
    FRAME_EVENT = 4,
    FRAME_MESSAGE = 5,
    FRAME_CANCEL = 6,
};

struct frame {
    enum frame_kind kind;
    uint8_t fds;
    uint64_t id;
    const uint8_t *head;
    size_t head_size;
    const uint8_t *body;
    size_t body_size;
};

/* What frame_decode() says of bytes that are not one whole frame. */
enum frame_status {
    FRAME_OK = 1,
    FRAME_INCOMPLETE = 0, /* *ret_size is the total size once the header is there, else 0 */
    FRAME_TOO_LARGE = -1, /* size above FRAME_MAX_SIZE */
    FRAME_BAD_HEAD = -2,  /* head_size larger than size, or a CANCEL with a head or body */
    FRAME_BAD_KIND = -3,
    FRAME_BAD_FDS = -4, /* more than FRAME_MAX_FDS */
};

/* Looks at the front of data for one frame. On FRAME_OK *ret_size is what it took in all.
 * Errors are reported as soon as the header's bytes are there. */
enum frame_status frame_decode(const uint8_t *data, size_t size, struct frame *ret_frame,
                               size_t *ret_size);
/* One sentence for each negative status. */
const char *frame_status_text(enum frame_status status);

void frame_encode_header(uint8_t out[FRAME_HEADER_SIZE], enum frame_kind kind, uint8_t fds,
                         uint64_t id, size_t head_size, size_t body_size);

#endif
