#include "peer/mesh_private.h"

/* Release is looked at no more often: who may send thousands a second gets them in handfuls. */
#define STEP_MS 10
/* What an honest peer never needs for long: it comes with a thousand topics at most. */
#define NEWS_BURST 2048
#define NEWS_PER_S 256

static int64_t wait_ms(struct peer *peer, int64_t now_ms)
{
    int64_t wait = bucket_wait_ms(&peer->news, now_ms);
    if (peer->limit.messages_per_s > 0) {
        int64_t other = bucket_wait_ms(&peer->messages, now_ms);
        wait = other > wait ? other : wait;
    }
    if (peer->limit.bytes_per_s > 0) {
        int64_t other = bucket_wait_ms(&peer->bytes, now_ms);
        wait = other > wait ? other : wait;
    }
    return wait;
}

/* The one timer of all peers that wait. */
static void wake_within(struct mesh *mesh, int64_t delay_ms)
{
    delay_ms = delay_ms < STEP_MS ? STEP_MS : delay_ms;
    if (!timer_is_running(&mesh->throttle_timer) ||
        mesh->throttle_timer.due_ms > loop_now_ms(mesh->loop) + delay_ms) {
        timer_start(&mesh->throttle_timer, delay_ms);
    }
}

static void on_timer(void *arg)
{
    struct mesh *mesh = arg;
    int64_t now_ms = loop_now_ms(mesh->loop);
    LIST_EACH(&mesh->throttled, node)
    {
        struct peer *peer = CONTAINER_OF(node, struct peer, throttle_node);
        int64_t wait = wait_ms(peer, now_ms);
        if (wait > 0) {
            wake_within(mesh, wait);
        } else {
            list_remove(&peer->throttle_node);
            peer_release(peer);
        }
    }
}

static void check(struct peer *peer)
{
    struct mesh *mesh = peer->mesh;
    int64_t wait = wait_ms(peer, loop_now_ms(mesh->loop));
    if (wait == 0 || list_is_linked(&peer->throttle_node) || peer->down) {
        return;
    }
    peer->throttled++;
    mesh->counts.throttled++;
    list_append(&mesh->throttled, &peer->throttle_node);
    peer_hold(peer);
    wake_within(mesh, wait);
}

void throttle_message(struct peer *peer)
{
    peer->messages_in++;
    if (peer->limit.messages_per_s > 0) {
        bucket_spend(&peer->messages, 1, loop_now_ms(peer->mesh->loop));
        check(peer);
    }
}

void throttle_bytes(struct peer *peer, size_t size)
{
    if (peer->limit.bytes_per_s > 0) {
        bucket_spend(&peer->bytes, (int64_t)size, loop_now_ms(peer->mesh->loop));
        check(peer);
    }
}

void peer_made_news(struct peer *peer, unsigned cost)
{
    bucket_spend(&peer->news, cost, loop_now_ms(peer->mesh->loop));
    check(peer);
}

/* ---- setting limits ---- */

static void apply(struct peer *peer, const struct peer_limit *limit)
{
    struct mesh *mesh = peer->mesh;
    int64_t now_ms = loop_now_ms(mesh->loop);
    peer->limit = *limit;
    bucket_init(&peer->messages, (int64_t)limit->messages_per_s, (int64_t)limit->messages_per_s,
                now_ms);
    bucket_init(&peer->bytes, (int64_t)limit->bytes_per_s, (int64_t)limit->bytes_per_s, now_ms);
    if (list_is_linked(&peer->throttle_node)) {
        wake_within(mesh, 0);
    }
}

/* Bytes below the least that works are taken for it: both ends would lose the link otherwise. */
static struct peer_limit sensible(const struct peer_limit *limit)
{
    struct peer_limit result = *limit;
    if (result.bytes_per_s > 0 && result.bytes_per_s < PEER_LIMIT_MIN_BYTES) {
        result.bytes_per_s = PEER_LIMIT_MIN_BYTES;
    }
    return result;
}

void peer_set_limit(struct peer *peer, const struct peer_limit *own)
{
    struct peer_limit limit = own == NULL ? peer->mesh->limit : sensible(own);
    peer->own_limit = own != NULL;
    apply(peer, &limit);
}

struct peer_limit peer_get_limit(const struct peer *peer)
{
    return peer->limit;
}

struct peer_limit mesh_limit(const struct mesh *mesh)
{
    return mesh->limit;
}

uint64_t peer_throttled(const struct peer *peer)
{
    return peer->throttled;
}

void throttle_set_default(struct mesh *mesh, const struct peer_limit *limit)
{
    const struct peer_limit before = mesh->limit;
    size_t cursor = 0;
    mesh->limit = sensible(limit);
    if (before.messages_per_s == mesh->limit.messages_per_s &&
        before.bytes_per_s == mesh->limit.bytes_per_s) {
        return;
    }
    for (struct peer *peer; (peer = mesh_next(mesh, &cursor)) != NULL;) {
        if (!peer->own_limit) {
            apply(peer, &mesh->limit);
            peer_notify(peer, PEER_UPDATED);
        }
    }
}

/* ---- life ---- */

void throttle_init(struct mesh *mesh)
{
    list_init(&mesh->throttled);
    timer_init(&mesh->throttle_timer, mesh->loop, on_timer, mesh);
}

void throttle_begin(struct peer *peer)
{
    list_init(&peer->throttle_node);
    bucket_init(&peer->news, NEWS_PER_S, NEWS_BURST, loop_now_ms(peer->mesh->loop));
    apply(peer, &peer->mesh->limit);
}

void throttle_end(struct peer *peer)
{
    list_remove(&peer->throttle_node);
    if (list_is_empty(&peer->mesh->throttled)) {
        timer_stop(&peer->mesh->throttle_timer);
    }
}
