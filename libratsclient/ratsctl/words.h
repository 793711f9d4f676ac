/* The short texts people type at ratsctl and read from it: addresses, peer id prefixes, patterns,
 * numbers, ages. Pure. */
#ifndef RATSCTL_WORDS_H
#define RATSCTL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_HOST_SIZE 256 /* 255 bytes and the NUL */
#define PEER_DIGITS       64
#define PEER_PREFIX_MIN   4
#define PEER_SHORT        12 /* digits shown to people */
#define AGE_SIZE          32
#define SIZE_SIZE         16

/* "host:port", "1.2.3.4:port" or "[v6]:port". 0 or -EINVAL. */
int address_parse(const char *text, char ret_host[ADDRESS_HOST_SIZE], uint16_t *ret_port);

/* Copies 4 to 64 hexadecimal digits in lower case, with a NUL. 0 or -EINVAL. */
int peer_prefix_parse(const char *text, char ret_prefix[PEER_DIGITS + 1]);

/* Whether text is what pattern says: '*' stands for any run of characters, '?' for one. Linear in
 * space, at most quadratic in time, without recursion (reliability V19). */
bool pattern_matches(const char *pattern, const char *text);

/* Decimal digits only, min..max. 0 or -EINVAL. */
int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number);
/* Seconds with at most three decimals ("2", "0.25") as milliseconds, up to 1,000,000 s.
 * 0 or -EINVAL. */
int seconds_parse(const char *text, int *ret_milliseconds);

/* "90", "45s", "30m", "2h", "7d": whole seconds, from 1 to a hundred years. 0 or -EINVAL. */
int duration_parse(const char *text, uint64_t *ret_seconds);
/* "4096", "64K", "2M", "1G": bytes, in powers of 1024. 0 or -EINVAL. */
int size_parse(const char *text, uint64_t *ret_bytes);

/* "312 B", "4.0 KiB", "98.3 MiB", "1.2 GiB": three digits, in powers of 1024. Returns ret_text. */
char *size_format(uint64_t bytes, char ret_text[SIZE_SIZE]);

/* "42 s", "3 min 5 s", "2 h 10 min", "8 d 4 h". Returns ret_text. */
char *age_format(uint64_t seconds, char ret_text[AGE_SIZE]);

#endif
