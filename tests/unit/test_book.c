/* The address book: what is learned, kept, given up, ranked and expired (reliability V22). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "service/book.h"
#include "vectors.h"

#define NOW INT64_C(1700000000)
#define DAY INT64_C(86400)

static const char *vector_directory;
static struct book *book;

static int begin(void **state)
{
    static const uint64_t seed[2] = {1, 2};
    (void)state;
    book = book_new(seed);
    return 0;
}

static int end(void **state)
{
    (void)state;
    book_free(book);
    return 0;
}

static struct endpoint at(const char *ip, uint16_t port)
{
    struct endpoint endpoint;
    assert_int_equal(endpoint_parse_ip(ip, port, &endpoint), 0);
    return endpoint;
}

static struct peer_id id_of(uint8_t number)
{
    struct peer_id id = {{number}};
    return id;
}

static void connected(const char *ip, uint16_t port, uint8_t number, int64_t now_s)
{
    struct endpoint endpoint = at(ip, port);
    struct peer_id id = id_of(number);
    book_connected(book, &endpoint, &id, now_s);
}

static const struct book_record *record_of(const char *ip, uint16_t port)
{
    struct endpoint endpoint = at(ip, port);
    return book_find(book, &endpoint);
}

static void failed(const char *ip, uint16_t port)
{
    struct endpoint endpoint = at(ip, port);
    book_failed(book, &endpoint);
}

static void a_dial_that_reached_a_peer_is_learned(void **state)
{
    (void)state;
    connected("192.0.2.1", 4000, 7, NOW);
    failed("192.0.2.1", 4000);
    failed("192.0.2.1", 4000);
    assert_int_equal(record_of("192.0.2.1", 4000)->fail_streak, 2);
    connected("192.0.2.1", 4000, 7, NOW + 5);
    const struct book_record *record = record_of("192.0.2.1", 4000);
    assert_true(record->has_id);
    assert_int_equal(record->id.bytes[0], 7);
    assert_int_equal(record->first_seen_s, NOW);
    assert_int_equal(record->last_connected_s, NOW + 5);
    assert_int_equal(record->connect_count, 2);
    assert_int_equal(record->fail_streak, 0);
    assert_int_equal(book_count(book), 1);
}

static void what_is_not_known_is_not_learned_from_a_failure(void **state)
{
    (void)state;
    struct endpoint endpoint = at("192.0.2.1", 4000);
    failed("192.0.2.1", 4000);
    book_seen(book, &endpoint, NOW);
    assert_int_equal(book_count(book), 0);
    assert_false(book_is_changed(book));
}

static void an_address_nobody_can_be_dialed_at_is_refused(void **state)
{
    (void)state;
    struct book_record record = {.endpoint = at("192.0.2.1", 4000)};
    record.endpoint.port = 0;
    assert_int_equal(book_put(book, &record, NOW), -EINVAL);
    record.endpoint = at("0.0.0.0", 1);
    assert_int_equal(book_put(book, &record, NOW), -EINVAL);
    record.endpoint.ip_size = 0;
    assert_int_equal(book_put(book, &record, NOW), -EINVAL);
    assert_int_equal(book_count(book), 0);
}

static void assert_best(const uint16_t *ports, size_t count)
{
    const struct book_record *best[16];
    assert_int_equal(book_best(book, best, 16), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(best[i]->endpoint.port, ports[i]);
    }
}

static void put(uint16_t port, int64_t last_connected_s, uint32_t connects, uint32_t failures,
                int64_t last_seen_s)
{
    struct book_record record = {
        .endpoint = at("192.0.2.1", port),
        .last_seen_s = last_seen_s,
        .last_connected_s = last_connected_s,
        .connect_count = connects,
        .fail_streak = failures,
    };
    assert_int_equal(book_put(book, &record, NOW), 0);
}

static void the_best_are_ranked_as_written(void **state)
{
    (void)state;
    put(6, 0, 0, 0, NOW);                /* never connected */
    put(5, NOW - 900, 1, 1, NOW - 100);  /* seen longer ago than 4 */
    put(4, NOW - 900, 1, 1, NOW - 50);   /* one failure more than 3 */
    put(3, NOW - 900, 1, 0, NOW - 100);  /* fewer connections than 2 */
    put(2, NOW - 900, 9, 90, NOW - 100); /* connected earlier than 1 */
    put(1, NOW - 100, 1, 99, NOW - 100);
    assert_best((const uint16_t[]){1, 2, 3, 4, 5, 6}, 6);
    const struct book_record *best[2];
    assert_int_equal(book_best(book, best, 2), 2);
    assert_int_equal(best[1]->endpoint.port, 2);
    assert_int_equal(book_best(book, best, 0), 0);
}

static void times_are_put_in_order(void **state)
{
    (void)state;
    put(1, NOW + 10 * 365 * DAY, 1, 0, -5);
    const struct book_record *record = record_of("192.0.2.1", 1);
    assert_int_equal(record->last_connected_s, NOW);
    assert_int_equal(record->last_seen_s, NOW);
    assert_in_range(record->first_seen_s, 0, NOW);
}

static void what_nobody_saw_for_30_days_goes(void **state)
{
    (void)state;
    connected("192.0.2.1", 1, 1, NOW);
    connected("192.0.2.2", 2, 2, NOW + DAY);
    assert_int_equal(book_expire(book, NOW + 30 * DAY), 0);
    assert_int_equal(book_expire(book, NOW + 30 * DAY + 1), 1);
    assert_null(record_of("192.0.2.1", 1));
    assert_non_null(record_of("192.0.2.2", 2));
}

/* Reliability R19. */
static void setting_the_clock_makes_nothing_older(void **state)
{
    (void)state;
    const int64_t ten_years = 3652 * DAY;
    connected("192.0.2.1", 1, 1, NOW);
    connected("192.0.2.2", 2, 2, NOW + 60);
    book_shift(book, ten_years, NOW + 61 + ten_years);
    assert_int_equal(book_expire(book, NOW + 61 + ten_years), 0);
    assert_int_equal(record_of("192.0.2.1", 1)->last_connected_s, NOW + ten_years);
    book_shift(book, -2 * ten_years, NOW + 61 - ten_years);
    assert_int_equal(book_expire(book, NOW + 61 - ten_years), 0);
    assert_best((const uint16_t[]){2, 1}, 2);
    book_shift(book, -100 * ten_years, 0); /* a clock before 1970 */
    assert_int_equal(book_expire(book, 0), 0);
    assert_true(record_of("192.0.2.1", 1)->last_connected_s > 0);
}

static void fill_group(unsigned group, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof ip, "10.%u.%u.%u", group, i / 250, i % 250 + 1);
        connected(ip, 4000, 1, NOW + i);
    }
}

static void a_full_group_gives_up_its_own_worst(void **state)
{
    (void)state;
    connected("192.0.2.1", 1, 1, NOW - 5 * DAY); /* worse than all, of another group */
    fill_group(1, BOOK_MAX_GROUP);
    connected("10.1.200.1", 4000, 1, NOW + 5000);
    assert_int_equal(book_count(book), BOOK_MAX_GROUP + 1);
    assert_null(record_of("10.1.0.1", 4000));
    assert_non_null(record_of("10.1.0.2", 4000));
    assert_non_null(record_of("192.0.2.1", 1));
    struct book_record worst = {.endpoint = at("10.1.200.2", 1), .last_seen_s = 1};
    assert_int_equal(book_put(book, &worst, NOW), -ENOBUFS);
}

static void ipv6_groups_are_of_32_bits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BOOK_MAX_GROUP + 10; i++) {
        char ip[64];
        (void)snprintf(ip, sizeof ip, "2001:db8:%x::1", i + 1);
        connected(ip, 4000, 1, NOW + i);
    }
    assert_int_equal(book_count(book), BOOK_MAX_GROUP);
    connected("2001:db9::1", 4000, 1, NOW);
    assert_int_equal(book_count(book), BOOK_MAX_GROUP + 1);
}

static void a_full_book_gives_up_the_worst_of_its_largest_group(void **state)
{
    (void)state;
    fill_group(200, 10); /* the oldest of all, but few */
    for (unsigned group = 1; book_count(book) < BOOK_MAX_RECORDS; group++) {
        fill_group(group, BOOK_MAX_GROUP - 1);
    }
    assert_int_equal(book_count(book), BOOK_MAX_RECORDS);
    for (unsigned i = 0; i < 100; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof ip, "172.%u.0.1", i + 1);
        connected(ip, 4000, 1, NOW);
    }
    assert_int_equal(book_count(book), BOOK_MAX_RECORDS);
    for (unsigned i = 1; i <= 10; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof ip, "10.200.0.%u", i);
        assert_non_null(record_of(ip, 4000));
    }
}

static void changes_are_told_once(void **state)
{
    (void)state;
    struct book_changes changes;
    connected("192.0.2.1", 1, 1, NOW);
    connected("192.0.2.2", 2, 2, NOW);
    book_take_changes(book, &changes);
    assert_int_equal(changes.record_count, 2);
    assert_int_equal(changes.removed_count, 0);
    assert_false(changes.all);
    book_changes_fini(&changes);
    assert_false(book_is_changed(book));
    failed("192.0.2.2", 2);
    (void)book_expire(book, NOW + 31 * DAY);
    book_take_changes(book, &changes);
    assert_int_equal(changes.record_count, 0);
    assert_int_equal(changes.removed_count, 2);
    book_changes_fini(&changes);
}

static void what_could_not_be_written_is_written_whole(void **state)
{
    (void)state;
    struct book_changes changes;
    connected("192.0.2.1", 1, 1, NOW);
    connected("192.0.2.2", 2, 2, NOW);
    book_take_changes(book, &changes);
    book_changes_fini(&changes);
    book_renounce_changes(book);
    assert_true(book_is_changed(book));
    book_take_changes(book, &changes);
    assert_true(changes.all);
    assert_int_equal(changes.record_count, 2);
    book_changes_fini(&changes);
    book_clear(book);
    book_take_changes(book, &changes);
    assert_true(changes.all);
    assert_int_equal(changes.record_count, 0);
    book_changes_fini(&changes);
}

static void many_removals_at_once_mean_a_new_file(void **state)
{
    (void)state;
    struct book_changes changes;
    for (unsigned group = 1; group <= 6; group++) {
        fill_group(group, 250);
    }
    book_take_changes(book, &changes);
    book_changes_fini(&changes);
    assert_int_equal(book_expire(book, NOW + 40 * DAY), 1500);
    book_take_changes(book, &changes);
    assert_true(changes.all);
    assert_int_equal(changes.record_count, 0);
    book_changes_fini(&changes);
}

static void what_was_read_is_no_change(void **state)
{
    (void)state;
    struct book_record record = {.endpoint = at("192.0.2.1", 1), .last_seen_s = NOW};
    assert_int_equal(book_load(book, &record, NOW), 0);
    assert_int_equal(book_count(book), 1);
    assert_false(book_is_changed(book));
}

static void the_file_of_librats_2_is_understood(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(vector_directory, "peer_book.json");
    struct bytes text = vectors_text_bytes(vectors_root(vectors), "peers_json_text");
    assert_int_equal(book_import(book, text, NOW + 1000), 2);
    const struct book_record *never = record_of("2001:db8::7", 4002);
    assert_false(never->has_id);
    assert_int_equal(never->first_seen_s, 1700000100);
    assert_int_equal(never->last_connected_s, 0);
    const struct book_record *known = record_of("192.0.2.2", 4001);
    assert_true(known->has_id);
    assert_string_equal(peer_id_format(&known->id).text,
                        "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f");
    assert_int_equal(known->last_connected_s, 1700000000);
    assert_int_equal(known->connect_count, 1);
    assert_best((const uint16_t[]){4001, 4002}, 2);
    assert_true(book_is_changed(book));
    vectors_close(vectors);
}

static void rows_that_make_no_sense_are_passed_over(void **state)
{
    (void)state;
    static const char text[] =
        "[{\"ip\":\"name.example\",\"port\":1},{\"ip\":\"192.0.2.1\",\"port\":0},"
        "{\"ip\":\"192.0.2.1\",\"port\":70000},{\"port\":5},7,null,[],"
        "{\"ip\":\"192.0.2.9\",\"port\":9,\"id\":\"xyz\",\"connect_count\":-4,"
        "\"fail_streak\":99999999999,\"last_seen\":\"soon\"}]";
    assert_int_equal(book_import(book, bytes_from_string(text), NOW), 1);
    const struct book_record *record = record_of("192.0.2.9", 9);
    assert_false(record->has_id);
    assert_int_equal(record->connect_count, 0);
    assert_int_equal(record->fail_streak, UINT32_MAX);
    static const char *const malformed[] = {"", "{}", "[", "[{\"ip\":", "null", "7"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        assert_int_equal(book_import(book, bytes_from_string(malformed[i]), NOW), 0);
    }
    assert_int_equal(book_count(book), 1);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(a_dial_that_reached_a_peer_is_learned),
        CASE(what_is_not_known_is_not_learned_from_a_failure),
        CASE(an_address_nobody_can_be_dialed_at_is_refused),
        CASE(the_best_are_ranked_as_written),
        CASE(times_are_put_in_order),
        CASE(what_nobody_saw_for_30_days_goes),
        CASE(setting_the_clock_makes_nothing_older),
        CASE(a_full_group_gives_up_its_own_worst),
        CASE(ipv6_groups_are_of_32_bits),
        CASE(a_full_book_gives_up_the_worst_of_its_largest_group),
        CASE(changes_are_told_once),
        CASE(what_could_not_be_written_is_written_whole),
        CASE(many_removals_at_once_mean_a_new_file),
        CASE(what_was_read_is_no_change),
        CASE(the_file_of_librats_2_is_understood),
        CASE(rows_that_make_no_sense_are_passed_over),
    };
    vector_directory = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
