/* Peer exchange: a request for addresses of peers and the response (wire-services 5).
 *
 *     request:  01 00 u16 max
 *     response: 01 01 u16 count, count x { u8 ip_len, ip, u16 port, peer_id 32 }
 *
 * What a response says is a claim of who sent it: nothing in here is proved. */
#ifndef RATSD_WIRE_PEX_FRAME_H
#define RATSD_WIRE_PEX_FRAME_H

#include "util/endpoint.h"
#include "util/peer_id.h"

#define PEX_MAX_ENTRIES  32u
#define PEX_REQUEST_SIZE 4u
#define PEX_MAX_SIZE     (4u + PEX_MAX_ENTRIES * (1u + 16u + 2u + PEER_ID_SIZE))

enum pex_op { PEX_REQUEST = 0, PEX_RESPONSE = 1 };

struct pex_entry {
    struct endpoint address;
    struct peer_id id;
};

struct pex_frame {
    enum pex_op op;
    uint16_t max;       /* of a request */
    size_t entry_count; /* of a response */
    struct pex_entry entries[PEX_MAX_ENTRIES];
};

/* Only the members of its op are read. out has PEX_MAX_SIZE bytes; returns the size. */
size_t pex_frame_encode(const struct pex_frame *frame, uint8_t *out);
/* 0, or -EPROTO: ignore the message, keep the link. A short or malformed entry ends a response,
 * those before it stand, whatever the count says; bytes behind a request are ignored. */
int pex_frame_decode(struct bytes from, struct pex_frame *ret_frame);

#endif
