/* Numbers of the librats 2.x wire that several files need (wire-core 5). */
#ifndef RATSD_WIRE_WIRE_H
#define RATSD_WIRE_WIRE_H

#include <stddef.h>
#include <stdint.h>

/* Inner message types (wire-core 5.2). */
enum wire_type {
    WIRE_NONE = 0, /* claimed by nobody; never sent */
    WIRE_APP = 1,
    WIRE_CONTROL = 2,
    WIRE_GOSSIP = 3,
    WIRE_FILE_CHUNK = 4,
    WIRE_PING = 5,
    WIRE_STORAGE = 6,
    WIRE_TYPED = 7,
    WIRE_PEX = 8,
    WIRE_PUNCH = 9,
    WIRE_TYPE_COUNT = 256, /* the field is one byte */
};

#define WIRE_TRANSPORT_TCP 1u
#define WIRE_TRANSPORT_UDP 2u

#define BLOCK_PREFIX_SIZE   4u
#define BLOCK_MAX_BODY      67108864u /* 64 MiB */
#define BLOCK_MAX_HANDSHAKE 1024u     /* our own cap before the peer is known (wire-core 17.1) */
#define MESSAGE_HEADER_SIZE 4u
#define WIRE_TAG_SIZE       16u
/* The largest payload of one message in Noise mode: 64 MiB - 20 (wire-core 5.2). Used as the
 * limit in plaintext mode too, so that a program never depends on the mode. */
#define WIRE_MAX_PAYLOAD (BLOCK_MAX_BODY - WIRE_TAG_SIZE - MESSAGE_HEADER_SIZE)

#endif
