#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

/* What leaves a backlog, as bytes. */
static size_t written(const struct backlog *backlog, uint8_t *room)
{
    struct iovec parts[BACKLOG_MAX_PARTS];
    size_t count = backlog_parts(backlog, parts);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(room + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    assert_int_equal(size, backlog_size(backlog));
    return size;
}

static void lent_bodies_leave_in_their_place_whether_written_or_kept(void **state)
{
    (void)state;
    static uint8_t source[2000];
    static uint8_t model[100000];
    static uint8_t out[sizeof(model)];
    srandom(11);
    for (size_t i = 0; i < sizeof(source); i++) {
        source[i] = (uint8_t)random();
    }
    for (int round = 0; round < 2000; round++) {
        struct backlog backlog;
        size_t size = 0;
        backlog_init(&backlog);
        for (long frames = random() % 80; frames > 0; frames--) {
            size_t head = (size_t)(random() % 20) + 1;
            size_t body = random() % 2 == 0 ? 0 : (size_t)(random() % 1000) + 1;
            struct bytes view = bytes_make(source + random() % 1000, body);
            uint8_t *room = NULL;
            if (body == 0) {
                add(&backlog, BACKLOG_CONTROL, head, 'c');
                memset(model + size, 'c', head);
            } else {
                assert_int_equal(backlog_lend(&backlog, BACKLOG_MESSAGE, head, view, &room), 0);
                memset(room, 'h', head);
                memset(model + size, 'h', head);
                memcpy(model + size + head, view.data, body);
            }
            size += head + body;
        }
        size_t gone = 0;
        while (gone < size) {
            assert_int_equal(written(&backlog, out), size - gone);
            assert_memory_equal(out, model + gone, size - gone);
            size_t part = (size_t)random() % (size - gone) + 1;
            backlog_consume(&backlog, part);
            gone += part;
            if (random() % 8 == 0) {
                assert_int_equal(backlog_keep(&backlog), 0);
                assert_int_equal(backlog.lent, 0);
            }
        }
        assert_int_equal(backlog.queued[BACKLOG_CONTROL] + backlog.queued[BACKLOG_MESSAGE], 0);
        backlog_fini(&backlog);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_leave_in_the_order_they_came),
        cmocka_unit_test(each_kind_is_counted_as_a_model_counts_it),
        cmocka_unit_test(lent_bodies_leave_in_their_place_whether_written_or_kept),
        cmocka_unit_test(an_empty_backlog_keeps_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
