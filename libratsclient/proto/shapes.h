/* Short forms for rows of fields, and the objects that several rows of the tables share. Only
 * methods.c and events.c include this. */
#ifndef RATS_PROTO_SHAPES_H
#define RATS_PROTO_SHAPES_H

#include "proto/fields.h"

#define F_END                                                                                      \
    {                                                                                              \
        .type = T_END                                                                              \
    }
#define F_BOOL(n, f, s)                                                                            \
    {                                                                                              \
        .name = (n), .type = T_BOOL, .flags = (f), .summary = (s)                                  \
    }
#define F_UINT(n, f, s, low, high)                                                                 \
    {                                                                                              \
        .name = (n), .type = T_UINT, .flags = (f), .summary = (s), .min = (low), .max = (high)     \
    }
#define F_REAL(n, f, s)                                                                            \
    {                                                                                              \
        .name = (n), .type = T_REAL, .flags = (f), .summary = (s)                                  \
    }
#define F_UINT_DEFAULT(n, s, low, high, d)                                                         \
    {                                                                                              \
        .name = (n), .type = T_UINT, .summary = (s), .min = (low), .max = (high),                  \
        .default_text = (d)                                                                        \
    }
#define F_TEXT(n, f, s, low, high)                                                                 \
    {                                                                                              \
        .name = (n), .type = T_TEXT, .flags = (f), .summary = (s), .min = (low), .max = (high)     \
    }
#define F_TEXT_DEFAULT(n, s, low, high, d)                                                         \
    {                                                                                              \
        .name = (n), .type = T_TEXT, .summary = (s), .min = (low), .max = (high),                  \
        .default_text = (d)                                                                        \
    }
#define F_PEER(n, f, s)                                                                            \
    {                                                                                              \
        .name = (n), .type = T_PEER_ID, .flags = (f), .summary = (s)                               \
    }
#define F_CHOICE(n, f, s, c)                                                                       \
    {                                                                                              \
        .name = (n), .type = T_CHOICE, .flags = (f), .summary = (s), .choices = (c)                \
    }
#define F_CHOICE_DEFAULT(n, s, c, d)                                                               \
    {                                                                                              \
        .name = (n), .type = T_CHOICE, .summary = (s), .choices = (c), .default_text = (d)         \
    }
#define F_WORDS(n, f, s, c)                                                                        \
    {                                                                                              \
        .name = (n), .type = T_WORDS, .flags = (f), .summary = (s), .choices = (c)                 \
    }
#define F_OBJECT(n, f, s, inner)                                                                   \
    {                                                                                              \
        .name = (n), .type = T_OBJECT, .flags = (f), .summary = (s), .fields = (inner)             \
    }
#define F_ARRAY(n, f, s, low, high, inner)                                                         \
    {                                                                                              \
        .name = (n), .type = T_ARRAY, .flags = (f), .summary = (s), .min = (low), .max = (high),   \
        .fields = (inner)                                                                          \
    }

/* One connected peer, as peer.list, peer.get, hello, peer.connected and peer.updated give it. */
extern const struct field shape_peer[];
/* One transfer, as transfer.get, transfer.list and transfer.changed give it. */
extern const struct field shape_transfer[];

#define TRANSFER_KINDS   "file|directory"
#define TRANSFER_ID_SIZE 32 /* hexadecimal digits */
#define F_TRANSFER                                                                                 \
    F_TEXT("transfer", FIELD_REQUIRED, "id of the transfer, 32 hexadecimal digits",                \
           TRANSFER_ID_SIZE, TRANSFER_ID_SIZE)

#endif
