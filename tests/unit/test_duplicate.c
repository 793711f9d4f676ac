#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "peer/duplicate.h"

static const struct peer_id small = {{0x01, 0xff}};
static const struct peer_id large = {{0x02, 0x00}};

static bool new_wins(const struct peer_id *self, bool current_out, enum transport_kind current_kind,
                     bool new_out, enum transport_kind new_kind)
{
    return duplicate_new_wins(self, self == &small ? &large : &small,
                              (struct duplicate_side){current_out, current_kind},
                              (struct duplicate_side){new_out, new_kind});
}

static void of_a_cross_connect_the_smaller_ids_dial_survives(void **state)
{
    (void)state;
    for (int kinds = 0; kinds < 4; kinds++) {
        enum transport_kind one = (kinds & 1) != 0 ? TRANSPORT_UDP : TRANSPORT_TCP;
        enum transport_kind other = (kinds & 2) != 0 ? TRANSPORT_UDP : TRANSPORT_TCP;
        assert_true(new_wins(&small, false, one, true, other));
        assert_false(new_wins(&small, true, one, false, other));
        assert_true(new_wins(&large, true, one, false, other));
        assert_false(new_wins(&large, false, one, true, other));
    }
}

static void of_a_dial_race_the_udp_one_survives(void **state)
{
    (void)state;
    for (int out = 0; out < 2; out++) {
        assert_true(new_wins(&small, out != 0, TRANSPORT_TCP, out != 0, TRANSPORT_UDP));
        assert_false(new_wins(&small, out != 0, TRANSPORT_UDP, out != 0, TRANSPORT_TCP));
        assert_true(new_wins(&large, out != 0, TRANSPORT_TCP, out != 0, TRANSPORT_UDP));
        assert_false(new_wins(&large, out != 0, TRANSPORT_UDP, out != 0, TRANSPORT_TCP));
    }
}

static void of_a_reconnect_the_newer_survives(void **state)
{
    (void)state;
    for (int out = 0; out < 2; out++) {
        assert_true(new_wins(&small, out != 0, TRANSPORT_TCP, out != 0, TRANSPORT_TCP));
        assert_true(new_wins(&large, out != 0, TRANSPORT_UDP, out != 0, TRANSPORT_UDP));
    }
}

static void ids_compare_as_big_endian_numbers(void **state)
{
    (void)state;
    struct peer_id low = {{0x00, 0xff, 0xff}};
    struct peer_id high = {{0x80}};
    struct duplicate_side in = {false, TRANSPORT_TCP};
    struct duplicate_side out = {true, TRANSPORT_TCP};
    assert_true(duplicate_new_wins(&low, &high, in, out));
    assert_false(duplicate_new_wins(&high, &low, in, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_cross_connect_the_smaller_ids_dial_survives),
        cmocka_unit_test(of_a_dial_race_the_udp_one_survives),
        cmocka_unit_test(of_a_reconnect_the_newer_survives),
        cmocka_unit_test(ids_compare_as_big_endian_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
