#include "service/peer_json.h"

#include "util/hex.h"

static json_t *transports_json(uint8_t transports)
{
    json_t *words = json_array();
    if (transports & WIRE_TRANSPORT_TCP) {
        (void)json_array_append_new(words, json_string("tcp"));
    }
    if (transports & WIRE_TRANSPORT_UDP) {
        (void)json_array_append_new(words, json_string("udp"));
    }
    return words;
}

json_t *peer_json(const struct peer *peer, int64_t now_ms)
{
    const struct endpoint *seen = peer_endpoint(peer);
    const struct endpoint *addresses = NULL;
    size_t count = peer_addresses(peer, &addresses);
    const uint8_t *public_key = peer_public_key(peer);

    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_string(endpoint_format(&addresses[i]).text));
    }
    json_t *object = json_pack(
        "{s:s, s:s, s:i, s:b, s:s, s:o, s:o, s:I, s:b}", "peer",
        peer_id_format(peer_id_of(peer)).text, "ip", endpoint_format_ip(seen).text, "port",
        (int)seen->port, "outgoing", (int)peer_is_outgoing(peer), "transport",
        peer_transport(peer) == WIRE_TRANSPORT_TCP ? "tcp" : "udp", "transports",
        transports_json(peer_transports(peer)), "addresses", list, "connected_ms_ago",
        (json_int_t)(now_ms - peer_connected_ms(peer)), "encrypted", (int)(public_key != NULL));
    if (public_key != NULL) {
        char text[65];
        hex_format(bytes_make(public_key, 32), text);
        (void)json_object_set_new(object, "public_key", json_string(text));
    }
    return object;
}
