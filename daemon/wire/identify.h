/* Identify: where the sender can be dialed and how it sees us (wire-core 6). */
#ifndef RATSD_WIRE_IDENTIFY_H
#define RATSD_WIRE_IDENTIFY_H

#include "util/endpoint.h"
#include "wire/wire.h"

#define IDENTIFY_MAX_ADDRESSES 32
#define IDENTIFY_MAX_SIZE      (4 + IDENTIFY_MAX_ADDRESSES * 19 + 19 + 1)

struct identify {
    uint16_t listen_port; /* 0: not listening */
    size_t address_count;
    struct endpoint addresses[IDENTIFY_MAX_ADDRESSES];
    struct endpoint observed; /* ip_size 0: absent; port 0: IP only */
    uint8_t transports;       /* WIRE_TRANSPORT_*; 0: did not say */
};

/* Addresses with port 0 are left out. out has IDENTIFY_MAX_SIZE bytes; returns the size. */
size_t identify_encode(const struct identify *identify, uint8_t *out);
/* 0, or -EPROTO: ignore the message whole, keep the link. */
int identify_decode(struct bytes from, struct identify *ret_identify);

#endif
