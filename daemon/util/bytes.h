/* A view of bytes somebody else owns: a pointer and a length, never one without the other.
 *
 * Views are passed by value and never freed. A view is valid as long as its owner says so; most
 * views in the daemon die when the callback that received them returns. data may be NULL only when
 * size is 0. */
#ifndef RATSD_UTIL_BYTES_H
#define RATSD_UTIL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data;
    size_t size;
};

static inline struct bytes bytes_make(const void *data, size_t size)
{
    return (struct bytes){.data = data, .size = size};
}

static inline struct bytes bytes_from_string(const char *text)
{
    return bytes_make(text, strlen(text));
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool bytes_begin_with(struct bytes text, struct bytes prefix)
{
    return prefix.data == NULL || prefix.size == 0 ||
           (text.size >= prefix.size && memcmp(text.data, prefix.data, prefix.size) == 0);
}

#endif
