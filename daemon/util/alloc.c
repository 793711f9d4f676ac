#include "util/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void (*on_failure)(size_t size);

void alloc_set_failure_handler(void (*handler)(size_t size))
{
    on_failure = handler;
}

static _Noreturn void give_up(size_t size)
{
    if (on_failure != NULL) {
        on_failure(size);
    }
    _exit(1);
}

/* malloc(0) may answer NULL; one byte keeps NULL meaning "none left". */
static size_t at_least_one(size_t size)
{
    return size == 0 ? 1 : size;
}

void *try_alloc(size_t size)
{
    return calloc(1, at_least_one(size));
}

void *xalloc(size_t size)
{
    void *memory = try_alloc(size);
    if (memory == NULL) {
        give_up(size);
    }
    return memory;
}

void *xmalloc(size_t size)
{
    void *memory = malloc(at_least_one(size));
    if (memory == NULL) {
        give_up(size);
    }
    return memory;
}

void *xrealloc(void *old, size_t size)
{
    void *memory = realloc(old, at_least_one(size));
    if (memory == NULL) {
        give_up(size);
    }
    return memory;
}

char *xstrdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = xalloc(size);
    memcpy(copy, text, size);
    return copy;
}
