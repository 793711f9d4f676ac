/* Rows that describe the members of a JSON object: what is allowed, in what unit, and in one
 * sentence what it means. The validator, protocol.describe and the manual all read these. */
#ifndef RATS_PROTO_FIELDS_H
#define RATS_PROTO_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

enum field_type {
    T_END = 0,
    T_BOOL,
    T_UINT,    /* integer >= 0, within min..max */
    T_INT,     /* integer within min..max as signed */
    T_REAL,    /* number */
    T_TEXT,    /* UTF-8 text without NUL; bytes within min..max */
    T_PEER_ID, /* 64 hexadecimal digits */
    T_CHOICE,  /* one of the words in choices, "tcp|udp" */
    T_WORDS,   /* array of such words, of any words when choices is NULL */
    T_OBJECT,  /* members described by fields, or free when fields is NULL */
    T_ARRAY,   /* of objects described by fields, or of anything when fields is NULL */
};

#define FIELD_REQUIRED 1u
#define FIELD_NULLABLE 2u
#define FIELD_SECRET   4u /* shown by ratsctl only when asked for */

struct field {
    const char *name;
    enum field_type type;
    unsigned flags;
    const char *summary; /* one sentence with the unit; absent-when for results */
    int64_t min;         /* of the number, or of the text's bytes / the array's items */
    int64_t max;         /* 0 with min 0: the type's own limit */
    const char *choices;
    const char *default_text;   /* for the manual: what absence means */
    const struct field *fields; /* ends with T_END */
};

#define FIELDS(...) ((const struct field[]){__VA_ARGS__, {.type = T_END}})
#define NO_FIELDS   ((const struct field[]){{.type = T_END}})

#endif
