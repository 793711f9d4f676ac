/* Text that strangers chose, made safe for a terminal or a log (usability C6, reliability V9).
 *
 * C0, DEL, C1, the bidirectional controls, line separators and bytes that are not UTF-8 come out
 * as \xNN or \u{NNNN}; the backslash as \\. The result is always valid UTF-8 on one line. */
#ifndef RATSD_UTIL_TEXT_H
#define RATSD_UTIL_TEXT_H

#include "util/bytes.h"
#include "util/reader.h"

/* Writes at most capacity bytes with the NUL, cut at a whole character with "..." when too long.
 * Returns ret_text. capacity must be at least 8. */
char *text_escape(struct bytes from, char *ret_text, size_t capacity);
/* True when from is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool text_is_utf8(struct bytes from);
/* One character of well-formed UTF-8 (RFC 3629, section 3). Returns its size in bytes and moves the
 * reader past it; 0, and the reader stays, when what follows is not one. */
size_t text_take(struct reader *reader, uint32_t *ret_code);

#endif
