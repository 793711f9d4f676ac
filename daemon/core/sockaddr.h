/* struct sockaddr to struct endpoint and back, for the files that make socket calls. */
#ifndef RATSD_CORE_SOCKADDR_H
#define RATSD_CORE_SOCKADDR_H

#include <sys/socket.h>

#include "util/endpoint.h"

/* 0, or -EAFNOSUPPORT when it is neither IPv4 nor IPv6. Mapped IPv4 comes out as IPv4. */
int sockaddr_to_endpoint(const struct sockaddr *address, struct endpoint *ret_endpoint);
/* Fills storage and returns its length; an endpoint without an address becomes the IPv6 "any". */
socklen_t sockaddr_from_endpoint(const struct endpoint *endpoint,
                                 struct sockaddr_storage *ret_storage);

#endif
