/* What a peer may say on the channel of two ratsd, to a daemon that has something of everything: a
 * request of its own, one of the peer, transfers both ways, and one whose link was lost. The input
 * is a list of messages: u8 size and so many bytes of JSON; {k} stands for the key of our request,
 * {o} for the wire id of our offer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files_node.h"
#include "service/ctl.h"
#include "service/transfers_private.h"
#include "util/buf.h"

#define MAX_MESSAGES 64

static struct files_node peer;
static struct files_node self;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *id_of(const struct files_node *node)
{
    static char text[PEER_ID_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%s", peer_id_format(service_node_id(&node->node)).text);
    return text;
}

static void set_up(struct sim_net *net, char key[TRANSFER_KEY_SIZE])
{
    files_node_init(&peer, net, 1, NULL);
    files_node_init(&self, net, 2, NULL);
    files_link(&peer, &self);
    (void)files_send(&self, &peer, 300000);
    (void)files_call(
        &self, 1, M_TRANSFER_REQUEST,
        json_pack("{s:s, s:s, s:s}", "peer", id_of(&peer), "kind", "file", "path", "x"),
        bytes_make(NULL, 0), -1);
    const char *made = json_string_value(json_object_get(self.call.result, "transfer"));
    (void)snprintf(key, TRANSFER_KEY_SIZE, "%s", made == NULL ? "" : made);
    (void)files_send(&peer, &self, 300000);
    (void)files_accept(&self, 1, files_offered(&self, 1));
    (void)files_accept(&peer, 1, files_offered(&peer, 1));
    sim_node_break(peer.node.mesh.node);
    files_run(net, 20);
    files_link(&peer, &self);
}

/* The message with its placeholders filled in. */
static void fill(struct buf *out, struct bytes text, const char *key, const char *offer)
{
    for (size_t at = 0; at < text.size; at++) {
        bool is_place = at + 2 < text.size && text.data[at] == '{' && text.data[at + 2] == '}';
        if (is_place && (text.data[at + 1] == 'k' || text.data[at + 1] == 'o')) {
            (void)buf_append(out, bytes_from_string(text.data[at + 1] == 'k' ? key : offer));
            at += 2;
        } else {
            (void)buf_append(out, bytes_make(&text.data[at], 1));
        }
    }
}

/* The wire id of the oldest transfer that we send, as text. */
static void find_offer(char *ret_text, size_t size)
{
    const struct transfers *transfers = self.node.selves[0];
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (transfer->sending) {
            (void)snprintf(ret_text, size, "%llu", (unsigned long long)transfer->id);
            return;
        }
    }
}

static void say(struct bytes text, const char *key)
{
    struct buf message;
    char offer[24] = "";
    find_offer(offer, sizeof offer);
    buf_init(&message);
    (void)buf_append(&message, bytes_from_string("RDC1"));
    fill(&message, text, key, offer);
    sim_node_enter(peer.node.mesh.node);
    (void)mesh_send(peer.node.mesh.mesh, service_node_id(&self.node), WIRE_APP, CTL_CHANNEL_ID,
                    buf_view(&message));
    buf_fini(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_net *net = sim_net_new(1);
    struct reader reader;
    char key[TRANSFER_KEY_SIZE];
    set_up(net, key);
    reader_init(&reader, bytes_make(data, size));
    for (int i = 0; i < MAX_MESSAGES && reader_left(&reader) > 0; i++) {
        size_t length = reader_u8(&reader);
        struct bytes text = reader_bytes(&reader, length);
        if (reader_ok(&reader)) {
            say(text, key);
            files_run(net, 10);
        }
    }
    if (!files_is_linked(&peer, &self)) {
        abort(); /* no message of these is worth the link */
    }
    files_run(net, 500 * 1000 / 100);
    files_node_fini(&peer);
    files_node_fini(&self);
    sim_net_free(net);
    return 0;
}
