#include "proto/json_head.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "proto/frame.h"

#define MAX_MEMBERS 1024u

void json_head_init(void)
{
    size_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        seed = 0; /* jansson then looks for a seed itself */
    }
    json_object_seed(seed);
}

/* Looks at brackets, commas and quotes only; the parser checks the rest. 0, or -1 with error. */
static int scan_shape(const uint8_t *data, size_t size, char *error, size_t error_size)
{
    unsigned members[JSON_HEAD_MAX_DEPTH];
    bool in_object[JSON_HEAD_MAX_DEPTH];
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        const uint8_t c = data[i];
        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (depth == JSON_HEAD_MAX_DEPTH) {
                snprintf(error, error_size, "the head is nested more than %d levels deep",
                         JSON_HEAD_MAX_DEPTH);
                return -1;
            }
            in_object[depth] = c == '{';
            members[depth++] = 1;
        } else if (c == '}' || c == ']') {
            if (depth == 0) {
                break; /* the parser has the sentence for this */
            }
            depth--;
        } else if (c == ',' && depth > 0 && in_object[depth - 1] &&
                   ++members[depth - 1] > MAX_MEMBERS) {
            snprintf(error, error_size, "an object in the head has more than %u members",
                     MAX_MEMBERS);
            return -1;
        }
    }
    return 0;
}

static int read_text(const uint8_t *data, size_t size, json_t **ret_head, char *error,
                     size_t error_size)
{
    json_t *value = NULL;
    const int result = json_read((const char *)data, size, &value);
    if (result < 0) {
        snprintf(error, error_size, "the head %s",
                 result == -EEXIST   ? "has a key twice"
                 : result == -ENOMEM ? "does not fit in memory"
                                     : "is not valid JSON");
        return result;
    }
    if (!json_is_object(value)) {
        json_decref(value);
        snprintf(error, error_size, "the head is not a JSON object");
        return -EINVAL;
    }
    *ret_head = value;
    return 0;
}

int json_head_read(const uint8_t *data, size_t size, json_t **ret_head, char *error,
                   size_t error_size)
{
    if (size > FRAME_MAX_HEAD) {
        snprintf(error, error_size, "the head is larger than 64 KiB");
        return -EINVAL;
    }
    if (size == 0) {
        snprintf(error, error_size, "the head is empty; it must be a JSON object");
        return -EINVAL;
    }
    if (memchr(data, '\0', size) != NULL) {
        snprintf(error, error_size, "the head contains a NUL byte");
        return -EINVAL;
    }
    if (scan_shape(data, size, error, error_size) < 0) {
        return -EINVAL;
    }
    return read_text(data, size, ret_head, error, error_size);
}

json_t *json_head_parse(const uint8_t *data, size_t size, char *error, size_t error_size)
{
    json_t *head = NULL;
    return json_head_read(data, size, &head, error, error_size) == 0 ? head : NULL;
}
