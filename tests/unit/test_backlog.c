#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ipc/backlog.h"

static void add(struct backlog *backlog, enum backlog_kind kind, size_t size, uint8_t fill)
{
    uint8_t *room = NULL;
    assert_int_equal(backlog_add(backlog, kind, size, &room), 0);
    memset(room, fill, size);
}

static void bytes_leave_in_the_order_they_came(void **state)
{
    (void)state;
    struct backlog backlog;
    backlog_init(&backlog);
    add(&backlog, BACKLOG_CONTROL, 3, 'a');
    add(&backlog, BACKLOG_MESSAGE, 2, 'b');
    assert_memory_equal(buf_view(&backlog.bytes).data, "aaabb", 5);
    backlog_consume(&backlog, 4);
    assert_memory_equal(buf_view(&backlog.bytes).data, "b", 1);
    backlog_fini(&backlog);
}

static void each_kind_is_counted_as_a_model_counts_it(void **state)
{
    (void)state;
    struct backlog backlog;
    enum backlog_kind *model = malloc(1000000);
    size_t head = 0;
    size_t tail = 0;
    backlog_init(&backlog);
    srandom(7);
    for (int round = 0; round < 5000; round++) {
        enum backlog_kind kind = random() % 3 == 0 ? BACKLOG_CONTROL : BACKLOG_MESSAGE;
        size_t size = (size_t)(random() % 20) + 1;
        add(&backlog, kind, size, 0);
        for (size_t i = 0; i < size; i++) {
            model[tail++] = kind;
        }
        size_t part = (size_t)random() % (tail - head + 1);
        backlog_consume(&backlog, part);
        head += part;
        size_t expected[BACKLOG_KIND_COUNT] = {0};
        for (size_t i = head; i < tail; i++) {
            expected[model[i]]++;
        }
        assert_int_equal(backlog.queued[BACKLOG_CONTROL], expected[BACKLOG_CONTROL]);
        assert_int_equal(backlog.queued[BACKLOG_MESSAGE], expected[BACKLOG_MESSAGE]);
        assert_int_equal(backlog_size(&backlog), tail - head);
    }
    free(model);
    backlog_fini(&backlog);
}

static void an_empty_backlog_keeps_little_memory(void **state)
{
    (void)state;
    struct backlog backlog;
    backlog_init(&backlog);
    add(&backlog, BACKLOG_MESSAGE, 1000000, 1);
    backlog_consume(&backlog, 1000000);
    assert_true(backlog.bytes.capacity <= 8192);
    assert_null(backlog.runs);
    backlog_fini(&backlog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_leave_in_the_order_they_came),
        cmocka_unit_test(each_kind_is_counted_as_a_model_counts_it),
        cmocka_unit_test(an_empty_backlog_keeps_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
