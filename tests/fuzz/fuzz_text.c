/* text_escape() over arbitrary bytes: one line of valid UTF-8, nothing a terminal obeys, never
 * longer than it may be. The first byte chooses the capacity. */
#include <stdlib.h>

#include "util/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_safe(struct bytes text)
{
    require(text_is_utf8(text));
    for (size_t i = 0; i < text.size; i++) {
        require(text.data[i] >= 0x20 && text.data[i] != 0x7f);
        require(text.data[i] != 0xc2 || text.data[i + 1] >= 0xa0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t capacity = 8u + data[0];
    char *text = malloc(capacity);
    if (text == NULL) {
        abort();
    }
    struct bytes from = bytes_make(data + 1, size - 1);
    require(text_escape(from, text, capacity) == text);
    struct bytes escaped = bytes_from_string(text);
    require(escaped.size < capacity);
    check_safe(escaped);
    require(from.size == 0 || escaped.size > 0);
    free(text);
    return 0;
}
