#include "util/hex.h"

#include <errno.h>

void hex_format(struct bytes from, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < from.size; i++) {
        ret_text[2 * i] = digits[from.data[i] >> 4];
        ret_text[2 * i + 1] = digits[from.data[i] & 15];
    }
    ret_text[2 * from.size] = '\0';
}

/* What a character stands for; 16 when it is no digit, the terminating NUL included. */
static unsigned digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return (unsigned)(digit - '0');
    }
    if (digit >= 'a' && digit <= 'f') {
        return (unsigned)(digit - 'a') + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return (unsigned)(digit - 'A') + 10;
    }
    return 16;
}

int hex_parse(const char *text, uint8_t *ret_data, size_t size)
{
    for (size_t i = 0; i < 2 * size; i++) {
        if (digit_value(text[i]) > 15) {
            return -EINVAL;
        }
    }
    if (text[2 * size] != '\0') {
        return -EINVAL;
    }
    for (size_t i = 0; i < size; i++) {
        ret_data[i] = (uint8_t)(digit_value(text[2 * i]) << 4 | digit_value(text[2 * i + 1]));
    }
    return 0;
}
