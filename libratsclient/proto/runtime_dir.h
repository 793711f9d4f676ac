/* Where the sockets of instances are: the directory of a user's own, and the system's (api.md 1.2).
 *
 * The daemon, the library and ratsctl look in the same place by asking here. Easy to break: without
 * a directory of the session the user's is in /tmp, where anybody may have made it: whoever uses it
 * asks runtime_dir_is_safe() first. */
#ifndef RATS_PROTO_RUNTIME_DIR_H
#define RATS_PROTO_RUNTIME_DIR_H

#include <stdbool.h>
#include <stddef.h>

#define RUNTIME_DIR_SYSTEM "/run/ratsd"

/* XDG_RUNTIME_DIR/ratsd, or /tmp/ratsd-UID without such a variable. A program with more rights than
 * its caller does not let the caller choose. 0, or -ENAMETOOLONG. */
int runtime_dir_of_user(char *ret_path, size_t size);
/* Whether nobody but root and this user can have put anything there; true when there is nothing. A
 * link is not followed: it could lead anywhere. */
bool runtime_dir_is_safe(const char *path);

#endif
