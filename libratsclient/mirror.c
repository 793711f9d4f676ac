#include "mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "clock.h"

int mirror_init(struct mirror *mirror)
{
    uint64_t seed[2] = {0x243f6a8885a308d3u, 0x13198a2e03707344u};
    /* Peer ids are hashes; should the kernel have no randomness yet, a fixed seed does. */
    (void)!getrandom(seed, sizeof seed, GRND_NONBLOCK);
    *mirror = (struct mirror){0};
    map_init(&mirror->peers, seed);
    return condition_init(&mirror->peer_came);
}

static void free_peer(struct mirror_peer *peer)
{
    json_decref(peer->row);
    free(peer);
}

void mirror_clear_peers(struct mirror *mirror)
{
    size_t cursor = 0;
    for (struct mirror_peer *peer = map_next(&mirror->peers, &cursor); peer != NULL;
         peer = map_next(&mirror->peers, &cursor)) {
        (void)map_remove(&mirror->peers, bytes_make(peer->id.bytes, PEER_ID_SIZE));
        free_peer(peer);
    }
}

void mirror_fini(struct mirror *mirror)
{
    mirror_clear_peers(mirror);
    map_fini(&mirror->peers);
    (void)pthread_cond_destroy(&mirror->peer_came);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static void set_changeable(struct mirror *mirror, const json_t *fields)
{
    const json_t *port = json_object_get(fields, "listen_port");
    const json_t *most = json_object_get(fields, "max_peers");
    if (json_is_integer(port)) {
        mirror->listen_port = (int)json_integer_value(port);
    }
    if (json_is_integer(most)) {
        mirror->max_peers = json_integer_value(most);
    }
    if (json_is_string(json_object_get(fields, "security"))) {
        mirror->encrypted = strcmp(text_of(fields, "security"), "plaintext") != 0;
    }
}

int mirror_set_hello(struct mirror *mirror, const json_t *hello, int64_t now_ms)
{
    struct peer_id id;
    if (peer_id_parse(text_of(hello, "peer_id"), &id) < 0) {
        return -EBADMSG;
    }
    mirror->peer_id = peer_id_format(&id);
    snprintf(mirror->public_key.text, sizeof mirror->public_key.text, "%s",
             text_of(hello, "public_key"));
    snprintf(mirror->protocol, sizeof mirror->protocol, "%s", text_of(hello, "protocol"));
    snprintf(mirror->daemon, sizeof mirror->daemon, "%s", text_of(hello, "daemon"));
    mirror->encrypted = true; /* unless it says otherwise */
    mirror->on_demand = json_is_true(json_object_get(hello, "on_demand"));
    mirror->is_private = json_is_false(json_object_get(hello, "shared"));
    set_changeable(mirror, hello);
    mirror_clear_peers(mirror);
    const json_t *rows = json_object_get(hello, "peers");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const int rc = mirror_put_peer(mirror, json_array_get(rows, i), now_ms);
        if (rc < 0) {
            return rc;
        }
    }
    mirror->known = true;
    return 0;
}

void mirror_set_instance(struct mirror *mirror, const json_t *fields)
{
    set_changeable(mirror, fields);
}

int mirror_put_peer(struct mirror *mirror, json_t *row, int64_t now_ms)
{
    struct peer_id id;
    if (peer_id_parse(text_of(row, "peer"), &id) < 0) {
        return -EBADMSG;
    }
    struct mirror_peer *peer = mirror_find(mirror, &id);
    if (peer == NULL) {
        peer = calloc(1, sizeof *peer);
        if (peer == NULL) {
            return -ENOMEM;
        }
        peer->id = id;
        const int rc = map_insert(&mirror->peers, bytes_make(peer->id.bytes, PEER_ID_SIZE), peer);
        if (rc < 0) {
            free(peer);
            return rc;
        }
    }
    json_decref(peer->row);
    peer->row = json_incref(row);
    peer->connected_at_ms = now_ms - json_integer_value(json_object_get(row, "connected_ms_ago"));
    (void)pthread_cond_broadcast(&mirror->peer_came);
    return 0;
}

void mirror_remove_peer(struct mirror *mirror, const struct peer_id *id)
{
    struct mirror_peer *peer = map_remove(&mirror->peers, bytes_make(id->bytes, PEER_ID_SIZE));
    if (peer != NULL) {
        free_peer(peer);
    }
}

struct mirror_peer *mirror_find(const struct mirror *mirror, const struct peer_id *id)
{
    return map_find(&mirror->peers, bytes_make(id->bytes, PEER_ID_SIZE));
}

bool mirror_has_address(const struct mirror *mirror, const char *host, int port)
{
    size_t cursor = 0;
    for (const struct mirror_peer *peer = map_next(&mirror->peers, &cursor); peer != NULL;
         peer = map_next(&mirror->peers, &cursor)) {
        if (strcmp(text_of(peer->row, "ip"), host) == 0 &&
            json_integer_value(json_object_get(peer->row, "port")) == port) {
            return true;
        }
    }
    return false;
}
