#include "proto/runtime_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int runtime_dir_of_user(char *ret_path, size_t size)
{
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    const int written = runtime != NULL && runtime[0] == '/' /* a relative one counts as none */
                            ? snprintf(ret_path, size, "%s/ratsd", runtime)
                            : snprintf(ret_path, size, "/tmp/ratsd-%lu", (unsigned long)geteuid());
    return written > 0 && (size_t)written < size ? 0 : -ENAMETOOLONG;
}

bool runtime_dir_is_safe(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        return true; /* so there is nothing to be opened either */
    }
    return S_ISDIR(info.st_mode) && (info.st_uid == 0 || info.st_uid == geteuid()) &&
           (info.st_mode & 022) == 0;
}
