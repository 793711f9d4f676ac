#include "service/peer_json.h"

#include "util/hex.h"

#define US_PER_MS 1000.0

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

static void add_limits(json_t *object, const struct peer *peer)
{
    struct peer_limit limit = peer_get_limit(peer);
    (void)json_object_set_new(object, "messages_per_second",
                              json_integer((json_int_t)limit.messages_per_s));
    (void)json_object_set_new(object, "bytes_per_second",
                              json_integer((json_int_t)limit.bytes_per_s));
    (void)json_object_set_new(object, "throttled", json_integer((json_int_t)peer_throttled(peer)));
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
    if (peer_rtt_us(peer) >= 0) {
        (void)json_object_set_new(object, "rtt_ms",
                                  json_real((double)peer_rtt_us(peer) / US_PER_MS));
    }
    add_limits(object, peer);
    if (public_key != NULL) {
        char text[65];
        hex_format(bytes_make(public_key, 32), text);
        (void)json_object_set_new(object, "public_key", json_string(text));
    }
    return object;
}

struct peer_id peer_param(const struct request *request)
{
    struct peer_id id = {{0}};
    const char *text = json_string_value(json_object_get(request_params(request), "peer"));
    if (text != NULL) {
        (void)peer_id_parse(text, &id);
    }
    return id;
}

void fail_not_connected(struct request *request, const struct peer_id *id)
{
    request_fail(request, E_PEER_NOT_FOUND, "peer %s is not connected; 'peer.list' shows who is",
                 peer_id_format(id).text);
}
