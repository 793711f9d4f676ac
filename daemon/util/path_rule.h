/* What a peer may call a file that we are to create below a folder (wire-services 3, Path rule;
 * reliability V10).
 *
 * Upstream's rule: not empty, no leading slash of either kind, no colon as second character, no
 * component (between slashes of either kind) that is empty, "." or "..". Ours refuses more: what is
 * not UTF-8, control characters and NUL, the invisible ones that turn text around, a colon or a
 * backslash anywhere, look-alikes of slashes, components of dots alone, names of devices,
 * components that end in a space or a dot or begin with a space, and what is too long. Pure.
 *
 * A path that passes is still only text: whoever opens it does so beneath the folder and follows no
 * link. */
#ifndef RATSD_UTIL_PATH_RULE_H
#define RATSD_UTIL_PATH_RULE_H

#include "util/bytes.h"

#define PATH_RULE_MAX_SIZE      4096u
#define PATH_RULE_MAX_COMPONENT 255u
#define PATH_RULE_MAX_DEPTH     128u

/* NULL when the path may be used, else why not: half a sentence, "has an empty component". */
const char *path_rule_check(struct bytes path);
/* Upstream's rule alone. */
bool path_rule_is_safe(struct bytes path);
/* The same for a path that is offered: what a receiver takes is the receiver's to say, so nothing
 * is refused here but what none takes, and what cannot be said to a client. */
const char *path_rule_check_offered(struct bytes path);

#endif
