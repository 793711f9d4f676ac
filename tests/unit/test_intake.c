#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "util/intake.h"
#include "util/reader.h"

/* Units of the tests: u32 size, then that many bytes. */
#define PREFIX 4

struct fixture {
    struct intake intake;
    struct intake_scratch *scratch;
    struct bytes stream;
    size_t fed;
    size_t checked; /* of the stream, by units taken */
    size_t units;
    size_t reads;
};

/* A stream of units with the given body sizes; freed by close_fixture(). */
static void open_fixture(struct fixture *f, const size_t *sizes, size_t count)
{
    *f = (struct fixture){.scratch = malloc(sizeof *f->scratch)};
    assert_non_null(f->scratch);
    intake_init(&f->intake);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += PREFIX + sizes[i];
    }
    uint8_t *data = malloc(total + 1);
    assert_non_null(data);
    f->stream = bytes_make(data, total);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < PREFIX; j++) {
            data[at++] = (uint8_t)(sizes[i] >> (24 - 8 * j));
        }
        for (size_t j = 0; j < sizes[i]; j++, at++) {
            data[at] = (uint8_t)(at * 31 + at / 256);
        }
    }
}

static void close_fixture(struct fixture *f)
{
    intake_fini(&f->intake);
    free(f->scratch);
    union {
        const uint8_t *shared;
        uint8_t *own;
    } data = {.shared = f->stream.data};
    free(data.own);
}

/* One read of at most limit bytes and all units it completes, as a connection does it. Other
 * connections use the scratch before the next one, so it is spoilt at the end. */
static void read_once(struct fixture *f, size_t limit)
{
    size_t space = 0;
    uint8_t *room = intake_room(&f->intake, f->scratch, &space);
    assert_non_null(room);
    assert_in_range(space, 1, INTAKE_SCRATCH_SIZE);
    size_t size = f->stream.size - f->fed;
    size = size < limit ? size : limit;
    size = size < space ? size : space;
    memcpy(room, f->stream.data + f->fed, size);
    intake_filled(&f->intake, size);
    f->fed += size;
    f->reads++;
    for (;;) {
        struct reader reader;
        reader_init(&reader, bytes_make(intake_data(&f->intake), intake_size(&f->intake)));
        size_t body = reader_u32(&reader);
        if (!reader_ok(&reader)) {
            break;
        }
        if (reader_left(&reader) < body) {
            intake_expect(&f->intake, PREFIX + body);
            break;
        }
        uint8_t *unit = intake_data(&f->intake);
        assert_memory_equal(unit, f->stream.data + f->checked, PREFIX + body);
        memset(unit, 0xdd, PREFIX + body); /* ciphers write here */
        f->checked += PREFIX + body;
        f->units++;
        intake_consume(&f->intake, PREFIX + body);
    }
    assert_int_equal(intake_settle(&f->intake), 0);
    memset(f->scratch, 0xee, sizeof *f->scratch);
    assert_int_equal(intake_size(&f->intake), f->fed - f->checked);
}

static void read_all(struct fixture *f, size_t limit)
{
    while (f->fed < f->stream.size) {
        read_once(f, limit);
    }
    assert_int_equal(f->checked, f->stream.size);
}

static void an_idle_connection_holds_no_memory(void **state)
{
    (void)state;
    struct fixture f;
    static const size_t sizes[] = {10, 0, 5000, 3};
    open_fixture(&f, sizes, 4);
    assert_int_equal(intake_held(&f.intake), 0);
    read_all(&f, SIZE_MAX);
    assert_int_equal(f.units, 4);
    assert_int_equal(f.reads, 1);
    assert_int_equal(intake_held(&f.intake), 0);
    close_fixture(&f);
}

static void bytes_arriving_one_by_one_make_the_same_units(void **state)
{
    (void)state;
    struct fixture f;
    static const size_t sizes[] = {0, 1, 100, 0, 4092, 4093, 9000, 7};
    open_fixture(&f, sizes, 8);
    read_all(&f, 1);
    assert_int_equal(f.units, 8);
    assert_int_equal(intake_held(&f.intake), 0);
    close_fixture(&f);
}

static void every_way_of_cutting_gives_the_same_units(void **state)
{
    (void)state;
    static const size_t sizes[] = {3, 70000, 0, 1200, 1200, 5000, 300000, 12, 262140, 262141, 1};
    static const size_t limits[] = {7, 1000, 4095, 4096, 4097, 65536, 262144, SIZE_MAX};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct fixture f;
        open_fixture(&f, sizes, sizeof sizes / sizeof *sizes);
        read_all(&f, limits[i]);
        assert_int_equal(f.units, sizeof sizes / sizeof *sizes);
        assert_int_equal(intake_held(&f.intake), 0);
        close_fixture(&f);
    }
}

static void a_large_unit_is_read_in_place_and_not_beyond(void **state)
{
    (void)state;
    struct fixture f;
    static const size_t sizes[] = {3000000, 50};
    open_fixture(&f, sizes, 2);
    read_once(&f, 10000);
    while (f.units == 0) {
        size_t space = 0;
        uint8_t *room = intake_room(&f.intake, f.scratch, &space);
        assert_non_null(room);
        /* behind what is kept, never in the scratch */
        assert_ptr_equal(room, intake_data(&f.intake) + intake_size(&f.intake));
        assert_true(f.fed + space <= PREFIX + sizes[0]);
        read_once(&f, SIZE_MAX);
    }
    assert_int_equal(f.fed, PREFIX + sizes[0]);
    assert_int_equal(intake_held(&f.intake), 0);
    read_all(&f, SIZE_MAX);
    assert_int_equal(f.units, 2);
    close_fixture(&f);
}

static void an_announcement_alone_takes_no_memory(void **state)
{
    (void)state;
    struct fixture f;
    static const size_t sizes[] = {4000000};
    open_fixture(&f, sizes, 1);
    read_once(&f, 20000);
    size_t space = 0;
    assert_non_null(intake_room(&f.intake, f.scratch, &space));
    assert_true(intake_held(&f.intake) <= 20000 + INTAKE_SCRATCH_SIZE);
    close_fixture(&f);
}

static void memory_held_stays_near_what_has_arrived(void **state)
{
    (void)state;
    struct fixture f;
    static const size_t sizes[] = {4000000};
    open_fixture(&f, sizes, 1);
    while (f.units == 0) {
        read_once(&f, 100000);
        assert_true(intake_held(&f.intake) <= 2 * f.fed + INTAKE_SCRATCH_SIZE);
    }
    close_fixture(&f);
}

static void a_small_tail_is_taken_along_with_the_next_read(void **state)
{
    (void)state;
    struct fixture f;
    size_t sizes[200];
    for (size_t i = 0; i < 200; i++) {
        sizes[i] = 996;
    }
    open_fixture(&f, sizes, 200);
    read_once(&f, 2500);
    assert_int_equal(f.units, 2);
    assert_true(intake_held(&f.intake) > 0);
    read_once(&f, SIZE_MAX);
    assert_int_equal(f.units, 200);
    close_fixture(&f);
}

static void a_second_read_before_settling_keeps_the_content(void **state)
{
    (void)state;
    struct fixture f;
    static const size_t sizes[] = {100};
    open_fixture(&f, sizes, 1);
    for (size_t i = 0; i < 2; i++) {
        size_t space = 0;
        uint8_t *room = intake_room(&f.intake, f.scratch, &space);
        assert_non_null(room);
        memcpy(room, f.stream.data + 52 * i, 52);
        intake_filled(&f.intake, 52);
    }
    assert_int_equal(intake_size(&f.intake), 104);
    assert_memory_equal(intake_data(&f.intake), f.stream.data, 104);
    assert_int_equal(intake_settle(&f.intake), 0);
    assert_memory_equal(intake_data(&f.intake), f.stream.data, 104);
    close_fixture(&f);
}

static void a_whole_unit_left_unconsumed_still_leaves_room(void **state)
{
    (void)state;
    struct fixture f;
    static const size_t sizes[] = {20000, 10};
    open_fixture(&f, sizes, 2);
    size_t space = 0;
    uint8_t *room = intake_room(&f.intake, f.scratch, &space);
    memcpy(room, f.stream.data, PREFIX + sizes[0]);
    intake_filled(&f.intake, PREFIX + sizes[0]);
    intake_expect(&f.intake, PREFIX + sizes[0]);
    assert_int_equal(intake_settle(&f.intake), 0);
    f.fed = PREFIX + sizes[0];
    read_all(&f, SIZE_MAX);
    assert_int_equal(f.units, 2);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_holds_no_memory),
        cmocka_unit_test(bytes_arriving_one_by_one_make_the_same_units),
        cmocka_unit_test(every_way_of_cutting_gives_the_same_units),
        cmocka_unit_test(a_large_unit_is_read_in_place_and_not_beyond),
        cmocka_unit_test(an_announcement_alone_takes_no_memory),
        cmocka_unit_test(memory_held_stays_near_what_has_arrived),
        cmocka_unit_test(a_small_tail_is_taken_along_with_the_next_read),
        cmocka_unit_test(a_second_read_before_settling_keeps_the_content),
        cmocka_unit_test(a_whole_unit_left_unconsumed_still_leaves_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
