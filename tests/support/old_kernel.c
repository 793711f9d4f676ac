#include "old_kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

bool without_openat2;
bool without_tmpfile;
atomic_int unnamed_left = -1;

/* Names of the linker's --wrap. NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c) */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
int __real_openat64(int dir_fd, const char *path, int flags, ...);
int __wrap_openat64(int dir_fd, const char *path, int flags, ...);

long __wrap_syscall(long number, ...)
{
    long words[6];
    va_list arguments;
    va_start(arguments, number);
    for (size_t i = 0; i < 6; i++) {
        words[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    if (number == SYS_openat2 && without_openat2) {
        errno = ENOSYS;
        return -1;
    }
    return __real_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

int __wrap_openat64(int dir_fd, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const bool unnamed = (flags & O_TMPFILE) == O_TMPFILE; /* O_DIRECTORY is part of it */
    const bool has_mode = unnamed || (flags & O_CREAT) != 0;
    const mode_t mode = has_mode ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (unnamed && without_tmpfile) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (unnamed && atomic_load(&unnamed_left) >= 0 && atomic_fetch_sub(&unnamed_left, 1) <= 0) {
        atomic_store(&unnamed_left, 0);
        errno = EMFILE;
        return -1;
    }
    return __real_openat64(dir_fd, path, flags, mode);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c) */

static char directory[64];

const char *scratch_make(void)
{
    (void)snprintf(directory, sizeof directory, "%s/rats-test-XXXXXX",
                   getenv("TMPDIR") == NULL ? P_tmpdir : getenv("TMPDIR"));
    assert_non_null(mkdtemp(directory));
    return directory;
}

/* By names and not by whole paths, which may be too long for the kernel. */
void scratch_remove(void)
{
    char *const roots[] = {directory, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL, NULL);
    assert_non_null(walk);
    for (FTSENT *entry = fts_read(walk); entry != NULL; entry = fts_read(walk)) {
        if (entry->fts_info != FTS_D) {
            (void)remove(entry->fts_accpath);
        }
    }
    assert_int_equal(fts_close(walk), 0);
}

const char *scratch_path(const char *name)
{
    static char paths[4][8192];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

void scratch_write(const char *name, const char *text)
{
    FILE *file = fopen(scratch_path(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

const char *scratch_read(const char *name)
{
    static char text[256];
    FILE *file = fopen(scratch_path(name), "r");
    if (file == NULL) {
        return "(none)";
    }
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

int scratch_count(const char *name)
{
    DIR *dir = opendir(scratch_path(name));
    assert_non_null(dir);
    int count = -2;
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count;
}
