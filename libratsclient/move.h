/* Settings that make an instance what it is: protocol, security, key, data directory (api.md 1.4).
 *
 * They are given to an instance when it starts and, but for security, never change in it. A handle
 * that wants others moves to a private instance that is started with them; where it was alone in a
 * private one, that one ends first and the new one has its port. Who wants but another protocol
 * joins a shared instance that has it, and comes back to such a one. The caller waits; the reader
 * thread moves, since the connection is its own. */
#ifndef LIBRATS_MOVE_H
#define LIBRATS_MOVE_H

#include "error.h"
#include "instance.h"
#include "starter.h"

struct client;

/* Which instance a handle was made for. Texts are owned; NULL = as it comes. */
struct origin {
    bool named; /* by its socket: nothing is ever started for it */
    int port;
    enum instance_policy policy;
    char *data_dir;
    char *protocol;
    char *bind_address;
    int security;
    bool strayed; /* from a shared instance, to a private one, for another protocol and no more */
    bool has_key;
    uint8_t key[KEY_SIZE]; /* wiped with the handle */
};

struct move {
    struct instance_wish wish;
    bool may_join; /* a shared instance that is like that is better than one of our own */
    bool may_start;
    bool joined;               /* it was joined */
    bool leave_first;          /* the port and the directory of the present instance are wanted */
    struct instance_wish back; /* then: what to return to when the wish fails */
    bool done;
    int code;
    char error[ERROR_TEXT_SIZE];
};

/* What is to differ; NULL and -1 for what is to stay. */
struct change {
    const char *protocol;
    int security;
    const char *data_dir; /* absolute; the identity in it replaces a key that was set before */
    const uint8_t *key;   /* KEY_SIZE bytes */
};

/* 0 or -ENOMEM. */
int origin_set(struct origin *origin, const struct instance_wish *wish);
void origin_fini(struct origin *origin);
/* (locked, but not throughout) The handle gets an instance like that. RATS_SUCCESS, or a code with
 * the last error set and nothing changed. */
int client_diverge(struct client *client, const struct change *change);

#endif
