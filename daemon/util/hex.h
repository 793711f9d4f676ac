/* Hexadecimal text. Written in lower case, read in either. */
#ifndef RATSD_UTIL_HEX_H
#define RATSD_UTIL_HEX_H

#include "util/bytes.h"

/* Writes 2 * from.size digits and a NUL. */
void hex_format(struct bytes from, char *ret_text);
/* Exactly 2 * size digits, then NUL. 0 or -EINVAL; nothing is written on failure. */
int hex_parse(const char *text, uint8_t *ret_data, size_t size);

#endif
