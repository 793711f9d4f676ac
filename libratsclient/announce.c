/* Events that the library makes itself and that stand in the stream as if the daemon had sent them:
 * the peers that are there when a session starts, and that nobody is there any more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "proto/frame.h"

void announce_event(struct client *client, const char *event, json_t *params)
{
    /* While nothing is delivered, only an event callback may want to hear. */
    const unsigned epoch = client->started ? client->epoch : 0;
    if (epoch == 0 && (client->callbacks.event == NULL || client->batches)) {
        json_decref(params);
        return;
    }
    json_t *head = json_pack("{s:s, s:o}", "v", event, "p", params);
    char *text = head == NULL ? NULL : json_dumps(head, JSON_COMPACT);
    json_decref(head);
    const size_t size = text == NULL ? 0 : strlen(text);
    struct buf frame;
    buf_init(&frame);
    uint8_t *room = NULL;
    int rc = text == NULL ? -ENOMEM : buf_reserve(&frame, FRAME_HEADER_SIZE + size, &room);
    if (rc == 0) {
        frame_encode_header(room, FRAME_EVENT, 0, 0, size, 0);
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a frame's head ends by its size */
        memcpy(room + FRAME_HEADER_SIZE, text, size);
        buf_commit(&frame, FRAME_HEADER_SIZE + size);
        rc = inbox_push_copy(&client->inbox, buf_view(&frame), epoch);
    }
    if (rc < 0) {
        log_write(LOG_ERROR, "out of memory; an event '%s' is missing", event);
    }
    buf_fini(&frame);
    free(text);
}

void announce_peers(struct client *client)
{
    size_t cursor = 0;
    for (const struct mirror_peer *peer = map_next(&client->mirror.peers, &cursor); peer != NULL;
         peer = map_next(&client->mirror.peers, &cursor)) {
        announce_event(client, proto_events[EV_PEER_CONNECTED].name, json_incref(peer->row));
    }
}

void announce_no_peers(struct client *client)
{
    if (client->started && client->stream_epoch == 0) {
        return;
    }
    size_t cursor = 0;
    for (const struct mirror_peer *peer = map_next(&client->mirror.peers, &cursor); peer != NULL;
         peer = map_next(&client->mirror.peers, &cursor)) {
        announce_event(client, proto_events[EV_PEER_DISCONNECTED].name,
                       json_pack("{s:s, s:s}", "peer", peer_id_format(&peer->id).text, "reason",
                                 "the daemon is gone"));
    }
}
