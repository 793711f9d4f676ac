#include "ratsctl/words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_SECONDS  1000000u
#define MAX_DURATION UINT64_C(3153600000) /* a hundred years */

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (*text == '\0') {
        return -EINVAL;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return -EINVAL;
        }
        uint64_t digit = (uint64_t)(*text - '0');
        if (number > (UINT64_MAX - digit) / 10) {
            return -EINVAL;
        }
        number = number * 10 + digit;
    }
    if (number < min || number > max) {
        return -EINVAL;
    }
    *ret_number = number;
    return 0;
}

int seconds_parse(const char *text, int *ret_milliseconds)
{
    char whole[16];
    size_t size = strcspn(text, ".");
    uint64_t seconds = 0;
    if (size >= sizeof whole) {
        return -EINVAL;
    }
    memcpy(whole, text, size);
    whole[size] = '\0';
    if (number_parse(whole, 0, MAX_SECONDS, &seconds) != 0) {
        return -EINVAL;
    }
    uint64_t milliseconds = seconds * 1000;
    if (text[size] == '.') {
        const char *decimals = text + size + 1;
        uint64_t fraction = 0;
        if (strlen(decimals) > 3 || number_parse(decimals, 0, 999, &fraction) != 0) {
            return -EINVAL;
        }
        for (size_t i = strlen(decimals); i < 3; i++) {
            fraction *= 10;
        }
        milliseconds += fraction;
    }
    *ret_milliseconds = (int)milliseconds;
    return 0;
}

struct unit {
    char letter;
    uint64_t factor;
};

/* Digits, then one of the units' letters or nothing. */
static int scaled_parse(const char *text, const struct unit *units, uint64_t min, uint64_t max,
                        uint64_t *ret_number)
{
    char digits[24];
    uint64_t factor = 1;
    uint64_t number = 0;
    size_t size = strlen(text);
    for (; size > 0 && units->letter != '\0'; units++) {
        if (text[size - 1] == units->letter) {
            factor = units->factor;
            size--;
            break;
        }
    }
    if (size >= sizeof digits) {
        return -EINVAL;
    }
    memcpy(digits, text, size);
    digits[size] = '\0';
    if (number_parse(digits, 0, max / factor, &number) != 0 || number * factor < min) {
        return -EINVAL;
    }
    *ret_number = number * factor;
    return 0;
}

int duration_parse(const char *text, uint64_t *ret_seconds)
{
    static const struct unit units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'\0', 0}};
    return scaled_parse(text, units, 1, MAX_DURATION, ret_seconds);
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {'K', UINT64_C(1) << 10}, {'M', UINT64_C(1) << 20}, {'G', UINT64_C(1) << 30}, {'\0', 0}};
    return scaled_parse(text, units, 0, INT64_MAX, ret_bytes);
}

int address_parse(const char *text, char ret_host[ADDRESS_HOST_SIZE], uint16_t *ret_port)
{
    const char *host = text;
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        return -EINVAL;
    }
    size_t size = (size_t)(colon - text);
    if (*text == '[') {
        if (size < 2 || text[size - 1] != ']') {
            return -EINVAL;
        }
        host++;
        size -= 2;
    } else if (memchr(text, ':', size) != NULL) {
        return -EINVAL; /* an IPv6 address without brackets: where would its port begin? */
    }
    uint64_t port = 0;
    if (size == 0 || size >= ADDRESS_HOST_SIZE ||
        number_parse(colon + 1, 1, UINT16_MAX, &port) != 0) {
        return -EINVAL;
    }
    memcpy(ret_host, host, size);
    ret_host[size] = '\0';
    *ret_port = (uint16_t)port;
    return 0;
}

int peer_prefix_parse(const char *text, char ret_prefix[PEER_DIGITS + 1])
{
    char prefix[PEER_DIGITS + 1] = "";
    size_t size = strlen(text);
    if (size < PEER_PREFIX_MIN || size > PEER_DIGITS) {
        return -EINVAL;
    }
    for (size_t i = 0; i < size; i++) {
        char digit = text[i];
        if (digit >= 'A' && digit <= 'F') {
            digit = (char)(digit - 'A' + 'a');
        }
        if (!((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f'))) {
            return -EINVAL;
        }
        prefix[i] = digit;
    }
    memcpy(ret_prefix, prefix, sizeof prefix);
    return 0;
}

bool pattern_matches(const char *pattern, const char *text)
{
    const char *star = NULL;   /* behind the last '*' */
    const char *resume = NULL; /* where that star's run would end if it took one more */
    while (*text != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern == *text || *pattern == '?') {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

char *size_format(uint64_t bytes, char ret_text[SIZE_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double number = (double)bytes;
    size_t unit = 0;
    while (number >= 999.5) { /* "1000" would be a fourth digit */
        number /= 1024;
        unit++;
    }
    (void)snprintf(ret_text, SIZE_SIZE, unit == 0 || number >= 99.95 ? "%.0f %s" : "%.1f %s",
                   number, units[unit]);
    return ret_text;
}

char *age_format(uint64_t seconds, char ret_text[AGE_SIZE])
{
    const uint64_t minutes = seconds / 60;
    const uint64_t hours = minutes / 60;
    if (minutes == 0) {
        (void)snprintf(ret_text, AGE_SIZE, "%" PRIu64 " s", seconds);
    } else if (hours == 0) {
        (void)snprintf(ret_text, AGE_SIZE, "%" PRIu64 " min %" PRIu64 " s", minutes, seconds % 60);
    } else if (hours < 24) {
        (void)snprintf(ret_text, AGE_SIZE, "%" PRIu64 " h %" PRIu64 " min", hours, minutes % 60);
    } else {
        (void)snprintf(ret_text, AGE_SIZE, "%" PRIu64 " d %" PRIu64 " h", hours / 24, hours % 24);
    }
    return ret_text;
}
