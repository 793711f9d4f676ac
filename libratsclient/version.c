/* The library's version, and release of memory it handed out. */
#include <stdlib.h>
#include <string.h>

#include "librats.h"

static const char version_text[] = RATS_VERSION ".0";
static const char revision_text[] = RATS_REVISION;

/* RATS_VERSION is "major.minor.patch", from meson.build. */
static int part(int index)
{
    const char *at = version_text;
    for (; index > 0; index--) {
        at = strchr(at, '.') + 1;
    }
    return (int)strtol(at, NULL, 10);
}

void rats_string_free(const char *string)
{
    /* Wrappers of librats 0.3 release these two as well (api.md D5). */
    if (string == version_text || string == revision_text) {
        return;
    }
    union {
        const char *in;
        char *out;
    } cast = {.in = string};
    free(cast.out);
}

void rats_free_array(char **array, int count)
{
    for (int i = 0; array != NULL && i < count; i++) {
        free(array[i]);
    }
    free(array);
}

const char *rats_get_version_string(void)
{
    return version_text;
}

void rats_get_version(int *major, int *minor, int *patch, int *build)
{
    int *const outputs[] = {major, minor, patch};
    for (int i = 0; i < 3; i++) {
        if (outputs[i] != NULL) {
            *outputs[i] = part(i);
        }
    }
    if (build != NULL) {
        *build = 0;
    }
}

const char *rats_get_git_describe(void)
{
    return revision_text;
}

uint32_t rats_get_abi(void)
{
    return (uint32_t)part(0) << 16 | (uint32_t)part(1) << 8 | (uint32_t)part(2);
}
