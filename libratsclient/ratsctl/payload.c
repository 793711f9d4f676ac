#include "ratsctl/payload.h"

#include <inttypes.h>
#include <librats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_head.h"
#include "util/alloc.h"
#include "util/hex.h"
#include "util/text.h"

#define FROM_STDIN "-"
#define READ_STEP  65536u

/* Everything on standard input, as far as one message may be long. */
static enum exit_code read_input(char **ret_data, size_t *ret_size)
{
    char *data = NULL;
    size_t size = 0;
    size_t capacity = 0;
    for (;;) {
        if (size + 1 >= capacity) {
            capacity = capacity == 0 ? READ_STEP : capacity * 2;
            data = xrealloc(data, capacity);
        }
        const size_t got = fread(data + size, 1, capacity - size - 1, stdin);
        size += got;
        if (size > RATS_MAX_PAYLOAD || got == 0) {
            break;
        }
    }
    if (size > RATS_MAX_PAYLOAD) {
        free(data);
        return report(EXIT_FAILED, "the message is too long; at most %" PRIu64 " bytes are allowed",
                      (uint64_t)RATS_MAX_PAYLOAD);
    }
    if (ferror(stdin)) {
        free(data);
        return report(EXIT_FAILED, "cannot read standard input");
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    return EXIT_DONE;
}

enum exit_code payload_get(const struct options *options, const char *text, char **ret_data,
                           size_t *ret_size)
{
    char *data = NULL;
    size_t size = 0;
    if (strcmp(text, FROM_STDIN) != 0) {
        data = xstrdup(text);
        size = strlen(text);
    } else {
        const enum exit_code code = read_input(&data, &size);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    if (options->as != NULL && strcmp(options->as, "json") == 0 &&
        json_text_check(data, size) != 0) {
        free(data);
        return report(EXIT_USAGE, "the message is no JSON text; --as=string sends it as it is");
    }
    *ret_data = data;
    *ret_size = size;
    return EXIT_DONE;
}

int payload_put(json_t *object, struct bytes body)
{
    if (text_is_utf8(body)) {
        return json_object_set_new(object, "text",
                                   json_stringn((const char *)body.data, body.size));
    }
    char *hex = xalloc(body.size * 2 + 1);
    hex_format(body, hex);
    const int result = json_object_set_new(object, "hex", json_stringn(hex, body.size * 2));
    free(hex);
    return result;
}
