#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/siphash.h"

/* From another implementation: hash() of these bytes in CPython 3.11 (SipHash-1-3) with
 * PYTHONHASHSEED=0, which is a key of zeros. */
static void hashes_agree_with_another_implementation(void **state)
{
    (void)state;
    static const uint64_t key[2] = {0, 0};
    static const struct {
        const char *text;
        uint64_t hash;
    } cases[] = {
        {"a", UINT64_C(0x407448d2b89b1813)},
        {"hello", UINT64_C(0xe2e77b41cb4e1f9e)},
        {"12345678", UINT64_C(0x3489982430560a87)},
        {"0123456789abcdef0", UINT64_C(0xf738bb4f30801228)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(siphash13(key, bytes_from_string(cases[i].text)) == cases[i].hash);
    }
}

static void both_halves_of_the_key_and_the_length_matter(void **state)
{
    (void)state;
    static const uint64_t keys[3][2] = {{0, 0}, {1, 0}, {0, 1}};
    static const uint8_t zeros[9];
    uint64_t seen[3 * 10];
    for (size_t i = 0; i < 30; i++) {
        seen[i] = siphash13(keys[i % 3], bytes_make(zeros, i / 3));
        for (size_t j = 0; j < i; j++) {
            assert_true(seen[j] != seen[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_agree_with_another_implementation),
        cmocka_unit_test(both_halves_of_the_key_and_the_length_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
