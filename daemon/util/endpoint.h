/* An IP address and a port, without sockets: what the wire carries and the address book keeps.
 *
 * IPv4-mapped IPv6 never appears here: endpoint_set_ip() unwraps it to 4 bytes, so one address has
 * one form (wire-core 6). */
#ifndef RATSD_UTIL_ENDPOINT_H
#define RATSD_UTIL_ENDPOINT_H

#include "util/bytes.h"

#define ENDPOINT_TEXT_SIZE 64 /* "[v6%scope]:port" with the NUL */

struct endpoint {
    uint8_t ip[16];
    uint8_t ip_size; /* 4, 16, or 0 for none */
    uint16_t port;   /* host order */
    uint32_t scope;  /* IPv6 scope id, only for link-local; else 0 */
};

struct endpoint_text {
    char text[ENDPOINT_TEXT_SIZE];
};

/* Takes 4 or 16 bytes; mapped addresses become 4. 0, or -EINVAL for another size. */
int endpoint_set_ip(struct endpoint *endpoint, struct bytes ip);
/* "1.2.3.4:80", "[::1]:80". */
struct endpoint_text endpoint_format(const struct endpoint *endpoint);
/* Only the address: "1.2.3.4", "::1". */
struct endpoint_text endpoint_format_ip(const struct endpoint *endpoint);
/* Parses a literal address: no name, brackets or port; a scope as a number. 0 or -EINVAL. */
int endpoint_parse_ip(const char *text, uint16_t port, struct endpoint *ret_endpoint);

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b); /* ip and port */
bool endpoint_same_ip(const struct endpoint *a, const struct endpoint *b);
bool endpoint_is_unspecified(const struct endpoint *endpoint);
bool endpoint_is_loopback(const struct endpoint *endpoint);
bool endpoint_is_link_local(const struct endpoint *endpoint);

/* Where an address means something. Two addresses of one private realm may be of one network; which
 * of them really are, nobody can see from outside. */
enum endpoint_realm {
    REALM_NOWHERE, /* nobody can be dialed there: none, 0/8, multicast, broadcast, reserved */
    REALM_LOOPBACK,
    REALM_LINK_LOCAL,
    REALM_PRIVATE_10,      /* RFC 1918 */
    REALM_PRIVATE_172,     /* RFC 1918 */
    REALM_PRIVATE_192,     /* RFC 1918 */
    REALM_PRIVATE_CARRIER, /* 100.64/10, RFC 6598 */
    REALM_PRIVATE_UNIQUE,  /* fc00::/7, RFC 4193 */
    REALM_PUBLIC,
};

enum endpoint_realm endpoint_realm(const struct endpoint *endpoint);

#endif
