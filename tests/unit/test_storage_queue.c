#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/storage_queue.h"
#include "virtual_loop.h"

static struct virtual_world *world;
static struct loop *loop;
static struct worker *worker;
static struct storage_queue *queue;
static char directory[] = "/tmp/ratsd-queue-XXXXXX";
static unsigned batches;
static unsigned idles;
static char order[256];
static unsigned most_in_batch;

static void prepare(void *arg, struct storage_batch *batch)
{
    (void)arg;
    unsigned count = 0;
    batch->limits = (struct lww_limits){.max_key = 1000,
                                        .max_value = (size_t)64 << 20,
                                        .max_keys = 1000000,
                                        .max_total = UINT64_MAX,
                                        .ahead_ms = 1000,
                                        .tombstone_ms = 1000};
    batch->now_ms = 1000;
    memset(batch->origin, 'a', ENTRY_ORIGIN_SIZE);
    LIST_EACH(&batch->operations, node)
    {
        count++;
    }
    most_in_batch = count > most_in_batch ? count : most_in_batch;
    batches++;
}

static void on_batch(void *arg, const struct storage_batch *batch, const char *problem)
{
    (void)arg;
    assert_string_equal(problem, "");
    assert_true(batch->head >= batch->head_before);
}

static void on_idle(void *arg)
{
    (void)arg;
    idles++;
}

static int begin(void **state)
{
    (void)state;
    batches = idles = most_in_batch = 0;
    order[0] = '\0';
    strcpy(directory + strlen(directory) - 6, "XXXXXX");
    assert_non_null(mkdtemp(directory));
    world = virtual_world_new();
    loop = virtual_loop_new(world);
    assert_int_equal(worker_new(loop, 1, 4, &worker), 0);
    queue = storage_queue_new(loop, worker, directory,
                              &(struct storage_queue_callbacks){
                                  .prepare = prepare, .on_batch = on_batch, .on_idle = on_idle});
    return 0;
}

static int end(void **state)
{
    (void)state;
    char command[64];
    storage_queue_free(queue);
    worker_free(worker);
    loop_free(loop);
    virtual_world_free(world);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void on_done(void *arg, struct storage_op *op)
{
    assert_int_equal(op->result, 0);
    size_t at = strlen(order);
    (void)snprintf(order + at, sizeof order - at, "%s", (const char *)arg);
    storage_op_free(op);
}

static struct storage_op *new_put(const char *name, size_t size)
{
    struct storage_op *op = storage_op_new(STORAGE_PUT);
    uint8_t *room = NULL;
    op->type = ENTRY_BINARY;
    op->session = 1;
    op->on_done = on_done;
    union {
        const char *in;
        void *out;
    } cast = {.in = name};
    op->arg = cast.out;
    assert_int_equal(buf_append(&op->key, bytes_from_string(name)), 0);
    assert_int_equal(buf_reserve(&op->data, size, &room), 0);
    memset(room, 0, size);
    buf_commit(&op->data, size);
    return op;
}

static void what_comes_in_one_turn_shares_a_batch(void **state)
{
    (void)state;
    storage_queue_add(queue, STORAGE_LOCAL, new_put("a", 10));
    storage_queue_add(queue, STORAGE_LOCAL, new_put("b", 10));
    storage_queue_add(queue, STORAGE_LOCAL, new_put("c", 10));
    assert_int_equal(batches, 0);
    virtual_world_settle(world);
    assert_int_equal(batches, 1);
    assert_int_equal(idles, 1);
    assert_string_equal(order, "abc");
    assert_int_equal(storage_queue_held(queue, STORAGE_LOCAL), 0);
}

static void programs_come_before_peers(void **state)
{
    (void)state;
    storage_queue_add(queue, STORAGE_REMOTE, new_put("r", 10));
    storage_queue_add(queue, STORAGE_LOCAL, new_put("l", 10));
    virtual_world_settle(world);
    assert_string_equal(order, "lr");
}

static void more_comes_before_the_rest_of_its_lane(void **state)
{
    (void)state;
    storage_queue_add(queue, STORAGE_REMOTE, new_put("1", 10));
    storage_queue_add(queue, STORAGE_REMOTE, new_put("2", 10));
    storage_queue_add_first(queue, STORAGE_REMOTE, new_put("0", 10));
    virtual_world_settle(world);
    assert_string_equal(order, "012");
}

static void a_batch_is_bounded_in_bytes_but_never_empty(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        storage_queue_add(queue, STORAGE_LOCAL, new_put("x", (size_t)10 << 20));
    }
    storage_queue_add(queue, STORAGE_LOCAL, new_put("y", (size_t)40 << 20));
    assert_true(storage_queue_held(queue, STORAGE_LOCAL) >= (size_t)70 << 20);
    virtual_world_settle(world);
    assert_int_equal(batches, 4);
    assert_string_equal(order, "xxxy");
    assert_int_equal(storage_queue_held(queue, STORAGE_LOCAL), 0);
}

static void a_lane_of_peers_is_bounded_in_steps(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct storage_op *op = storage_op_new(STORAGE_PAGE);
        static char name[] = "p";
        op->on_done = on_done;
        op->arg = name;
        storage_queue_add(queue, STORAGE_REMOTE, op);
    }
    virtual_world_settle(world);
    assert_string_equal(order, "pppppppppp");
    assert_true(most_in_batch <= 4 && batches >= 3);
}

static void one_session_cannot_take_all_the_room(void **state)
{
    (void)state;
    const size_t piece = STORAGE_LOCAL_SHARE / 2;
    assert_true(storage_queue_admits(queue, 1, STORAGE_LOCAL_COMFORT));
    for (size_t held = 0; held < STORAGE_LOCAL_COMFORT; held += piece) {
        storage_queue_add(queue, STORAGE_LOCAL, new_put("x", piece));
    }
    assert_false(storage_queue_admits(queue, 1, piece));
    assert_true(storage_queue_admits(queue, 2, piece));
    assert_false(storage_queue_admits(queue, 2, STORAGE_LOCAL_MOST));
}

static void what_has_not_begun_goes_with_the_queue(void **state)
{
    (void)state;
    storage_queue_add(queue, STORAGE_LOCAL, new_put("never", 10));
    storage_queue_add(queue, STORAGE_REMOTE, new_put("never", 10));
    assert_string_equal(order, ""); /* and nobody is called: tear-down frees them */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_comes_in_one_turn_shares_a_batch),
        CASE(programs_come_before_peers),
        CASE(more_comes_before_the_rest_of_its_lane),
        CASE(a_batch_is_bounded_in_bytes_but_never_empty),
        CASE(a_lane_of_peers_is_bounded_in_steps),
        CASE(one_session_cannot_take_all_the_room),
        CASE(what_has_not_begun_goes_with_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
