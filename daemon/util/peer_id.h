/* A PeerId: SHA-256 of a node's X25519 public key (wire-core 1). 32 bytes, compared as a
 * big-endian number; 64 hexadecimal digits as text, lower case when written, either when read. */
#ifndef RATSD_UTIL_PEER_ID_H
#define RATSD_UTIL_PEER_ID_H

#include "util/bytes.h"

#define PEER_ID_SIZE      32
#define PEER_ID_TEXT_SIZE 65 /* with the NUL */
#define PEER_ID_SHORT     8  /* digits shown in logs */

struct peer_id {
    uint8_t bytes[PEER_ID_SIZE];
};

struct peer_id_text {
    char text[PEER_ID_TEXT_SIZE];
};

static inline int peer_id_compare(const struct peer_id *a, const struct peer_id *b)
{
    return memcmp(a->bytes, b->bytes, PEER_ID_SIZE);
}

static inline bool peer_id_equal(const struct peer_id *a, const struct peer_id *b)
{
    return peer_id_compare(a, b) == 0;
}

static inline bool peer_id_is_zero(const struct peer_id *id)
{
    static const struct peer_id zero;
    return peer_id_equal(id, &zero);
}

/* The full text, by value: printf("%s", peer_id_format(&id).text). */
struct peer_id_text peer_id_format(const struct peer_id *id);
/* Only the first 8 digits, for logs. */
struct peer_id_text peer_id_format_short(const struct peer_id *id);
/* 0, or -EINVAL unless text is exactly 64 hexadecimal digits. */
int peer_id_parse(const char *text, struct peer_id *ret_id);

#endif
