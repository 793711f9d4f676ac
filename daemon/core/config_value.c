#include "core/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    char letter;
    uint64_t factor;
};

static const struct unit no_units[] = {{'\0', 1}};
static const struct unit size_units[] = {{'G', 1 << 30}, {'M', 1 << 20}, {'K', 1 << 10}, {'\0', 1}};
static const struct unit time_units[] = {{'h', 3600}, {'m', 60}, {'s', 1}, {'\0', 1}};

static const struct unit *units_of(enum config_type type)
{
    switch (type) {
    case CONFIG_SIZE:
        return size_units;
    case CONFIG_SECONDS:
        return time_units;
    default:
        return no_units;
    }
}

static int parse_bool(const char *text, uint64_t *ret_number)
{
    static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        for (uint64_t value = 0; value < 2; value++) {
            if (strcmp(text, words[i][value]) == 0) {
                *ret_number = value;
                return 0;
            }
        }
    }
    return -EINVAL;
}

/* Digits and at most one unit letter. -ERANGE when it is a number, but too large for 64 bits. */
static int parse_number(enum config_type type, const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    bool too_large = false;
    if (*text < '0' || *text > '9') {
        return -EINVAL;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        too_large = too_large || __builtin_mul_overflow(number, 10, &number) ||
                    __builtin_add_overflow(number, digit, &number);
    }
    const struct unit *unit = units_of(type);
    while (unit->letter != '\0' && unit->letter != *text) {
        unit++;
    }
    if (unit->letter != '\0') {
        text++;
    }
    if (*text != '\0') {
        return -EINVAL;
    }
    if (too_large || __builtin_mul_overflow(number, unit->factor, &number)) {
        return -ERANGE;
    }
    *ret_number = number;
    return 0;
}

/* A limit as one would write it: the largest unit that leaves a whole number. */
static void format_number(enum config_type type, uint64_t number, char *out, size_t size)
{
    const struct unit *unit = units_of(type);
    while (unit->letter != '\0' && (number == 0 || number % unit->factor != 0)) {
        unit++;
    }
    if (unit->letter == '\0') {
        (void)snprintf(out, size, "%" PRIu64, number);
    } else {
        (void)snprintf(out, size, "%" PRIu64 "%c", number / unit->factor, unit->letter);
    }
}

static void refuse_number(const struct config_item *item, bool is_number, char *error, size_t size)
{
    const char *what = "";
    char min[32];
    char max[32];
    if (!is_number && item->type == CONFIG_UINT) {
        what = "not a whole number; ";
    } else if (!is_number && item->type == CONFIG_SIZE) {
        what = "not a size (bytes, or a number with K, M or G); ";
    } else if (!is_number) {
        what = "not a time (seconds, or a number with s, m or h); ";
    }
    format_number(item->type, item->min, min, sizeof min);
    format_number(item->type, item->max, max, sizeof max);
    (void)snprintf(error, size, "%smust be %s to %s", what, min, max);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        size_t size = strcspn(choices, "|");
        if (size == length && memcmp(choices, text, length) == 0) {
            return true;
        }
        if (choices[size] == '\0') {
            break;
        }
        choices += size + 1;
    }
    return false;
}

/* "a, b or c" */
static void format_choices(const char *choices, char *out, size_t size)
{
    size_t used = 0;
    *out = '\0';
    while (used < size) {
        size_t length = strcspn(choices, "|");
        bool is_last = choices[length] == '\0';
        bool before_last = !is_last && strchr(choices + length + 1, '|') == NULL;
        const char *after = is_last ? "" : before_last ? " or " : ", ";
        int put = snprintf(out + used, size - used, "%.*s%s", (int)length, choices, after);
        used += put < 0 ? 0 : (size_t)put;
        if (is_last) {
            break;
        }
        choices += length + 1;
    }
}

int config_value_parse(const struct config_item *item, const char *text, uint64_t *ret_number,
                       char *error, size_t error_size)
{
    uint64_t number = 0;
    int result = 0;
    char choices[256];
    switch (item->type) {
    case CONFIG_BOOL:
        result = parse_bool(text, &number);
        if (result != 0) {
            (void)snprintf(error, error_size, "must be yes or no");
        }
        break;
    case CONFIG_UINT:
    case CONFIG_SIZE:
    case CONFIG_SECONDS:
        result = parse_number(item->type, text, &number);
        if (result != 0 || number < item->min || number > item->max) {
            refuse_number(item, result != -EINVAL, error, error_size);
            result = -EINVAL;
        }
        break;
    case CONFIG_CHOICE:
        if (!is_choice(item->choices, text)) {
            format_choices(item->choices, choices, sizeof choices);
            (void)snprintf(error, error_size, "must be %s", choices);
            result = -EINVAL;
        }
        break;
    case CONFIG_TEXT:
        break;
    }
    if (result == 0) {
        *ret_number = number;
    }
    return result;
}
