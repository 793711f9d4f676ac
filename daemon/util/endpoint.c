#include "util/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int endpoint_set_ip(struct endpoint *endpoint, struct bytes ip)
{
    if (ip.size != 4 && ip.size != 16) {
        return -EINVAL;
    }
    if (ip.size == 16 && memcmp(ip.data, mapped_prefix, sizeof mapped_prefix) == 0) {
        ip = bytes_make(ip.data + sizeof mapped_prefix, 4);
    }
    uint8_t padded[16] = {0}; /* ip may be a view into the endpoint itself */
    memcpy(padded, ip.data, ip.size);
    memcpy(endpoint->ip, padded, sizeof padded);
    endpoint->ip_size = (uint8_t)ip.size;
    if (ip.size == 4) {
        endpoint->scope = 0;
    }
    return 0;
}

struct endpoint_text endpoint_format_ip(const struct endpoint *endpoint)
{
    struct endpoint_text text = {.text = "-"};
    if (endpoint->ip_size == 0) {
        return text;
    }
    int family = endpoint->ip_size == 4 ? AF_INET : AF_INET6;
    (void)inet_ntop(family, endpoint->ip, text.text, sizeof text.text);
    if (endpoint->scope != 0) {
        size_t used = strlen(text.text);
        (void)snprintf(text.text + used, sizeof text.text - used, "%%%u", endpoint->scope);
    }
    return text;
}

struct endpoint_text endpoint_format(const struct endpoint *endpoint)
{
    struct endpoint_text ip = endpoint_format_ip(endpoint);
    struct endpoint_text text;
    bool brackets = endpoint->ip_size == 16;
    /* 39 for the longest address, 11 for the scope: what the precision allows always fits. */
    (void)snprintf(text.text, sizeof text.text, "%s%.53s%s:%u", brackets ? "[" : "", ip.text,
                   brackets ? "]" : "", (unsigned)endpoint->port);
    return text;
}

/* A decimal interface index after the '%'. */
static int parse_scope(const char *text, uint32_t *ret_scope)
{
    uint64_t scope = 0;
    if (*text == '\0') {
        return -EINVAL;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return -EINVAL;
        }
        scope = scope * 10 + (uint64_t)(*text - '0');
        if (scope > UINT32_MAX) {
            return -EINVAL;
        }
    }
    *ret_scope = (uint32_t)scope;
    return 0;
}

int endpoint_parse_ip(const char *text, uint16_t port, struct endpoint *ret_endpoint)
{
    struct endpoint parsed = {.port = port};
    uint8_t ip[16];
    if (inet_pton(AF_INET, text, ip) == 1) {
        (void)endpoint_set_ip(&parsed, bytes_make(ip, 4));
        *ret_endpoint = parsed;
        return 0;
    }
    const char *scope = strchr(text, '%');
    size_t length = scope == NULL ? strlen(text) : (size_t)(scope - text);
    char address[INET6_ADDRSTRLEN];
    if (length >= sizeof address) {
        return -EINVAL;
    }
    memcpy(address, text, length);
    address[length] = '\0';
    if (inet_pton(AF_INET6, address, ip) != 1) {
        return -EINVAL;
    }
    if (scope != NULL && parse_scope(scope + 1, &parsed.scope) != 0) {
        return -EINVAL;
    }
    (void)endpoint_set_ip(&parsed, bytes_make(ip, 16));
    *ret_endpoint = parsed;
    return 0;
}

bool endpoint_same_ip(const struct endpoint *a, const struct endpoint *b)
{
    return a->ip_size == b->ip_size && memcmp(a->ip, b->ip, a->ip_size) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && endpoint_same_ip(a, b);
}

bool endpoint_is_unspecified(const struct endpoint *endpoint)
{
    static const uint8_t zero[16];
    return memcmp(endpoint->ip, zero, endpoint->ip_size) == 0;
}

bool endpoint_is_loopback(const struct endpoint *endpoint)
{
    static const uint8_t one[16] = {[15] = 1};
    if (endpoint->ip_size == 4) {
        return endpoint->ip[0] == 127;
    }
    return endpoint->ip_size == 16 && memcmp(endpoint->ip, one, sizeof one) == 0;
}

bool endpoint_is_link_local(const struct endpoint *endpoint)
{
    if (endpoint->ip_size == 4) {
        return endpoint->ip[0] == 169 && endpoint->ip[1] == 254;
    }
    return endpoint->ip_size == 16 && endpoint->ip[0] == 0xfe && (endpoint->ip[1] & 0xc0) == 0x80;
}

/* One row a network: the first bits of an address say its realm. */
struct realm_row {
    uint8_t ip_size;
    uint8_t bits;
    uint8_t ip[2]; /* the rest of the prefix is zero */
    enum endpoint_realm realm;
};

static const struct realm_row realm_rows[] = {
    {4, 8, {0}, REALM_NOWHERE},
    {4, 8, {127}, REALM_LOOPBACK},
    {4, 16, {169, 254}, REALM_LINK_LOCAL},
    {4, 8, {10}, REALM_PRIVATE_10},
    {4, 12, {172, 16}, REALM_PRIVATE_172},
    {4, 16, {192, 168}, REALM_PRIVATE_192},
    {4, 10, {100, 64}, REALM_PRIVATE_CARRIER},
    {4, 3, {224}, REALM_NOWHERE}, /* multicast, reserved, broadcast */
    {16, 10, {0xfe, 0x80}, REALM_LINK_LOCAL},
    {16, 7, {0xfc}, REALM_PRIVATE_UNIQUE},
    {16, 8, {0xff}, REALM_NOWHERE},
};

static bool is_in(const struct endpoint *endpoint, const struct realm_row *row)
{
    for (unsigned i = 0; i < 2; i++) {
        unsigned bits = row->bits > 8 * i ? row->bits - 8 * i : 0;
        unsigned mask = bits >= 8 ? 0xffu : (0xff00u >> bits) & 0xffu;
        if ((endpoint->ip[i] & mask) != row->ip[i]) {
            return false;
        }
    }
    return endpoint->ip_size == row->ip_size;
}

enum endpoint_realm endpoint_realm(const struct endpoint *endpoint)
{
    if (endpoint->ip_size == 0 || endpoint_is_unspecified(endpoint)) {
        return REALM_NOWHERE;
    }
    if (endpoint_is_loopback(endpoint)) {
        return REALM_LOOPBACK;
    }
    for (size_t i = 0; i < sizeof realm_rows / sizeof realm_rows[0]; i++) {
        if (is_in(endpoint, &realm_rows[i])) {
            return realm_rows[i].realm;
        }
    }
    return REALM_PUBLIC;
}
