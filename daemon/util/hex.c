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

/* What a character stands for, with one added; 0: no digit, which the terminating NUL is not. */
static const uint8_t value_and_one[UINT8_MAX + 1] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

int hex_parse(const char *text, uint8_t *ret_data, size_t size)
{
    const uint8_t *digits = (const uint8_t *)text;
    for (size_t i = 0; i < 2 * size; i++) {
        if (value_and_one[digits[i]] == 0) {
            return -EINVAL;
        }
    }
    if (digits[2 * size] != '\0') {
        return -EINVAL;
    }
    for (size_t i = 0; i < size; i++) {
        unsigned high = value_and_one[digits[2 * i]] - 1u;
        ret_data[i] = (uint8_t)(high << 4 | (value_and_one[digits[2 * i + 1]] - 1u));
    }
    return 0;
}
