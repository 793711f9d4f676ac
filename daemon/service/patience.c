#include "service/patience.h"

#include <stdlib.h>

#include "util/alloc.h"

struct patience_peer {
    struct peer_id id;
    int64_t since_ms; /* when somebody began to wait */
    bool over;
    int64_t again_ms; /* over: wait again from then on */
};

static struct bytes key_of(const struct peer_id *id)
{
    return bytes_make(id->bytes, sizeof id->bytes);
}

static struct patience_peer *find(const struct patience *patience, const struct peer_id *id)
{
    return patience_is_empty(patience) ? NULL : map_find(&patience->peers, key_of(id));
}

static void drop(struct patience *patience, struct patience_peer *peer)
{
    (void)map_remove(&patience->peers, key_of(&peer->id));
    free(peer);
}

void patience_init(struct patience *patience, const uint64_t seed[2])
{
    map_init(&patience->peers, seed);
}

void patience_fini(struct patience *patience)
{
    size_t cursor = 0;
    for (void *peer; (peer = map_next(&patience->peers, &cursor)) != NULL;) {
        free(peer);
    }
    map_fini(&patience->peers);
}

bool patience_waits(struct patience *patience, const struct peer_id *id, int64_t now_ms)
{
    struct patience_peer *peer = find(patience, id);
    if (peer == NULL) {
        peer = xalloc(sizeof *peer);
        peer->id = *id;
        peer->since_ms = now_ms;
        if (map_insert(&patience->peers, key_of(&peer->id), peer) != 0) {
            free(peer);
            return false;
        }
    } else if (peer->over && now_ms >= peer->again_ms) {
        peer->over = false;
        peer->since_ms = now_ms;
    }
    return !peer->over;
}

bool patience_is_over(const struct patience *patience, const struct peer_id *id, int64_t now_ms)
{
    const struct patience_peer *peer = find(patience, id);
    return peer != NULL && peer->over && now_ms < peer->again_ms;
}

void patience_settle(struct patience *patience, const struct peer_id *id, int64_t now_ms, bool gone)
{
    struct patience_peer *peer = find(patience, id);
    if (peer != NULL && (gone || !peer->over || now_ms >= peer->again_ms)) {
        drop(patience, peer);
    }
}

int64_t patience_expire(struct patience *patience, int64_t now_ms,
                        void (*on_over)(void *arg, const struct peer_id *id), void *arg)
{
    int64_t next_ms = -1;
    size_t cursor = 0;
    for (struct patience_peer *peer; (peer = map_next(&patience->peers, &cursor)) != NULL;) {
        if (peer->over && now_ms >= peer->again_ms) {
            drop(patience, peer);
        } else if (!peer->over && now_ms - peer->since_ms >= PATIENCE_MS) {
            peer->over = true;
            peer->again_ms = now_ms + PATIENCE_PAUSE_MS;
            on_over(arg, &peer->id);
        } else if (!peer->over && (next_ms < 0 || peer->since_ms + PATIENCE_MS < next_ms)) {
            next_ms = peer->since_ms + PATIENCE_MS;
        }
    }
    return next_ms;
}
