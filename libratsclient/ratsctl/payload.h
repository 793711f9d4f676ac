/* What is sent from the command line: an argument, or standard input, and whether it is JSON. */
#ifndef RATSCTL_PAYLOAD_H
#define RATSCTL_PAYLOAD_H

#include <stddef.h>

#include <jansson.h>

#include "ratsctl/options.h"
#include "ratsctl/report.h"
#include "util/bytes.h"

/* The text of the argument, or with "-" all of standard input, as far as one message may be long.
 * With --as=json it is JSON. EXIT_DONE and *ret_data, NUL-terminated, to be freed; else said so. */
enum exit_code payload_get(const struct options *options, const char *argument, char **ret_data,
                           size_t *ret_size);

/* Adds "text" when the bytes are that, else "hex", since JSON has no bytes. 0 or -1. */
int payload_put(json_t *object, struct bytes body);

#endif
