/* Which instance a handle gets (api.md 1.2): the one that was named, the one that has the port, the
 * default one, or one that is started here. */
#ifndef LIBRATS_INSTANCE_H
#define LIBRATS_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "search.h"

enum instance_policy {
    POLICY_AUTO,    /* attach, else start one */
    POLICY_SHARED,  /* never start anything */
    POLICY_PRIVATE, /* always start a private one */
};

/* What is asked for. Texts are borrowed for the call; NULL = as it comes. */
struct instance_wish {
    const char *socket_path; /* this one and no other */
    int port;                /* 0 = the default instance */
    enum instance_policy policy;
    const char *client_name;
    const char *slow;
    /* Of an instance that is started for it. */
    const char *data_dir;
    const char *protocol;
    const char *bind_address;
    int security;       /* -1 as is, 0 plaintext, 1 Noise */
    const uint8_t *key; /* of its identity, KEY_SIZE bytes; NULL: what its directory holds */
    int64_t deadline_ms;
};

/* An instance that has answered hello. Whoever gets it owns fd, hello and log_fd. */
struct instance_found {
    char path[SOCKET_PATH_SIZE];
    int fd;
    json_t *hello;
    int log_fd; /* its log, when it was started here as a private one; else -1 */
};

/* RATS_CREATE. RATS_SUCCESS, or RATS_ERROR_INVALID_PARAMETER with the last error set. */
int instance_policy_from_environment(enum instance_policy *ret_policy);
/* A running shared instance that has the wish's protocol and security, both of them given; nothing
 * is started. RATS_SUCCESS, or RATS_ERROR_NO_DAEMON with the last error set. */
int instance_find_alike(const struct instance_wish *wish, struct instance_found *ret_found);
/* The user's default instance at that path is gone: whoever comes first starts it again, the others
 * find it. RATS_SUCCESS, or a code with the last error set. */
int instance_restart(const struct instance_wish *wish, const char *path,
                     struct instance_found *ret_found);
/* RATS_SUCCESS, or a code with the last error set. */
int instance_find(const struct instance_wish *wish, struct instance_found *ret_found);

#endif
