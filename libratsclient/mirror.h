/* What the library knows of the instance and its peers without asking: filled by hello, kept up to
 * date from events, read by the getters. Everything under the handle's lock. */
#ifndef LIBRATS_MIRROR_H
#define LIBRATS_MIRROR_H

#include <jansson.h>

#include "util/map.h"
#include "util/peer_id.h"

struct mirror_peer {
    struct peer_id id;
    json_t *row; /* the PEER object of rats-ipc(7) */
    int64_t connected_at_ms;
};

struct mirror {
    bool known; /* hello was answered at least once */
    struct peer_id_text peer_id;
    struct peer_id_text public_key;
    char protocol[256];
    char daemon[64]; /* its version */
    bool encrypted;
    bool is_private; /* it ends with its last session, and nobody starts it again */
    bool on_demand;  /* who misses it starts it again */
    int listen_port;
    int64_t max_peers;
    struct map peers;         /* struct mirror_peer by id */
    pthread_cond_t peer_came; /* broadcast whenever a peer is put */
};

/* 0 or a negative errno. */
int mirror_init(struct mirror *mirror);
void mirror_fini(struct mirror *mirror);

/* The result of hello; replaces everything. 0; -EBADMSG when something required is missing;
 * -ENOMEM. */
int mirror_set_hello(struct mirror *mirror, const json_t *hello, int64_t now_ms);
/* A PEER object arrived: peer.connected, peer.updated. The row is borrowed. 0, -EBADMSG, -ENOMEM.
 */
int mirror_put_peer(struct mirror *mirror, json_t *row, int64_t now_ms);
void mirror_remove_peer(struct mirror *mirror, const struct peer_id *id);
void mirror_clear_peers(struct mirror *mirror);
/* instance.changed. */
void mirror_set_instance(struct mirror *mirror, const json_t *fields);

struct mirror_peer *mirror_find(const struct mirror *mirror, const struct peer_id *id);
static inline size_t mirror_peer_count(const struct mirror *mirror)
{
    return map_count(&mirror->peers);
}
/* Whether the link to some peer goes to that address. */
bool mirror_has_address(const struct mirror *mirror, const char *host, int port);

#endif
