/* peers.db: what was written is there after a restart, a crash, damage and a full disk. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "guard.h"
#include "scratch.h"
#include "service/book_file.h"
#include "vectors.h"

#define NOW      INT64_C(1700001000)
#define GUARD_MS 20000
#define PAIRS    100 /* twice as many fit into a group of the book */

static const char *vector_directory;

struct fixture {
    char directory[SCRATCH_SIZE];
    char path[96];
    struct loop *loop;
    struct worker *worker;
    struct timer guard;
    struct book *book;
    struct targets *targets;
    struct book_file *file;
    int result;
    unsigned done;
};

static void begin_life(struct fixture *fixture)
{
    static const uint64_t seed[2] = {1, 2};
    fixture->book = book_new(seed);
    fixture->targets = targets_new(100, 0);
    fixture->file = book_file_new(fixture->worker, fixture->directory);
}

static void end_life(struct fixture *fixture)
{
    book_file_free(fixture->file);
    targets_free(fixture->targets);
    book_free(fixture->book);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_true(scratch_make("ratsd-bookfile", fixture->directory));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/" BOOK_FILE_NAME, fixture->directory);
    assert_int_equal(loop_new(&fixture->loop), 0);
    assert_int_equal(worker_new(fixture->loop, 1, 4, &fixture->worker), 0);
    guard_init(&fixture->guard, fixture->loop);
    begin_life(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[128];
    end_life(fixture);
    worker_free(fixture->worker);
    timer_stop(&fixture->guard);
    loop_free(fixture->loop);
    (void)snprintf(command, sizeof command, "rm -rf %s", fixture->directory);
    assert_int_equal(system(command), 0);
    free(fixture);
    return 0;
}

static int open_file(struct fixture *fixture)
{
    char error[512] = "";
    int result =
        book_file_open(fixture->file, fixture->book, fixture->targets, NOW, 0, error, sizeof error);
    assert_true(result == 0 || error[0] != '\0');
    return result;
}

static void restart(struct fixture *fixture)
{
    end_life(fixture);
    begin_life(fixture);
    assert_int_equal(open_file(fixture), 0);
}

static struct endpoint at(uint16_t port)
{
    struct endpoint endpoint;
    assert_int_equal(endpoint_parse_ip("192.0.2.1", port, &endpoint), 0);
    return endpoint;
}

static void learn(struct fixture *fixture, uint16_t port)
{
    static const struct peer_id id = {{9}};
    struct endpoint endpoint = at(port);
    book_connected(fixture->book, &endpoint, &id, NOW - port);
}

static struct book_batch batch_of(struct fixture *fixture)
{
    struct book_batch batch = {0};
    book_take_changes(fixture->book, &batch.changes);
    return batch;
}

static void with_target(struct book_batch *batch, const char *host, bool removed)
{
    batch->targets = calloc(1, sizeof *batch->targets);
    assert_non_null(batch->targets);
    batch->target_count = 1;
    (void)snprintf(batch->targets[0].host, sizeof batch->targets[0].host, "%s", host);
    batch->targets[0].port = 80;
    batch->targets[0].removed = removed;
    batch->targets[0].has_expected = true;
    batch->targets[0].expected = (struct peer_id){{5}};
}

static int write_now(struct fixture *fixture, struct book_batch *batch)
{
    char error[256];
    int result = book_file_write_now(fixture->file, batch, error, sizeof error);
    assert_true(result == 0 || error[0] != '\0');
    return result;
}

static void on_done(void *arg, int result, const char *error)
{
    struct fixture *fixture = arg;
    assert_true(result == 0 || error[0] != '\0');
    fixture->result = result;
    fixture->done++;
    loop_quit(fixture->loop);
}

static void what_is_written_is_there_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    assert_false(book_file_exists(fixture->file));
    assert_int_equal(open_file(fixture), 0);
    assert_true(book_file_exists(fixture->file));
    for (uint16_t port = 1; port <= 100; port++) {
        learn(fixture, port);
    }
    struct book_batch batch = batch_of(fixture);
    with_target(&batch, "example.org", false);
    timer_start(&fixture->guard, GUARD_MS);
    assert_int_equal(book_file_write(fixture->file, &batch, on_done, fixture), 0);
    assert_true(book_file_is_busy(fixture->file));
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_int_equal(fixture->done, 1);
    assert_int_equal(fixture->result, 0);
    assert_false(book_file_is_busy(fixture->file));
    restart(fixture);
    assert_int_equal(book_count(fixture->book), 100);
    assert_false(book_is_changed(fixture->book));
    struct endpoint endpoint = at(7);
    const struct book_record *record = book_find(fixture->book, &endpoint);
    assert_int_equal(record->last_connected_s, NOW - 7);
    assert_int_equal(record->id.bytes[0], 9);
    assert_int_equal(record->connect_count, 1);
    const struct target *target = targets_find(fixture->targets, "example.org", 80);
    assert_int_equal(target->origin, TARGET_ADDED);
    assert_int_equal(target->expected.bytes[0], 5);
}

static void what_is_removed_is_gone_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(open_file(fixture), 0);
    learn(fixture, 1);
    learn(fixture, 2);
    struct book_batch batch = batch_of(fixture);
    with_target(&batch, "example.org", false);
    assert_int_equal(write_now(fixture, &batch), 0);
    struct book_record old = {.endpoint = at(1), .last_seen_s = 1};
    assert_int_equal(book_put(fixture->book, &old, NOW), 0);
    assert_int_equal(book_expire(fixture->book, NOW), 1);
    batch = batch_of(fixture);
    with_target(&batch, "example.org", true);
    assert_int_equal(write_now(fixture, &batch), 0);
    restart(fixture);
    assert_int_equal(book_count(fixture->book), 1);
    assert_int_equal(targets_count(fixture->targets), 0);
}

static size_t count_in_file(const char *path, const char *what, size_t size)
{
    static char content[1 << 20];
    size_t found = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, content, sizeof content);
    for (ssize_t i = 0; i + (ssize_t)size <= got; i++) {
        found += memcmp(content + i, what, size) == 0 ? 1u : 0u;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return found;
}

static void what_is_cleared_cannot_be_read_from_the_disk(void **state)
{
    struct fixture *fixture = *state;
    char wal[128];
    (void)snprintf(wal, sizeof wal, "%s-wal", fixture->path);
    assert_int_equal(open_file(fixture), 0);
    struct peer_id id;
    memset(id.bytes, 'Q', sizeof id.bytes);
    for (uint16_t port = 1; port <= 50; port++) {
        struct endpoint endpoint = at(port);
        book_connected(fixture->book, &endpoint, &id, NOW);
    }
    struct book_batch batch = batch_of(fixture);
    assert_int_equal(write_now(fixture, &batch), 0);
    assert_true(count_in_file(wal, "QQQQQQQQQQQQQQQQ", 16) > 0);
    book_clear(fixture->book);
    batch = batch_of(fixture);
    assert_int_equal(write_now(fixture, &batch), 0);
    assert_int_equal(count_in_file(wal, "QQQQQQQQQQQQQQQQ", 16), 0);
    assert_int_equal(count_in_file(fixture->path, "QQQQQQQQQQQQQQQQ", 16), 0);
    restart(fixture);
    assert_int_equal(book_count(fixture->book), 0);
}

static void the_file_of_librats_2_is_taken_over_once(void **state)
{
    struct fixture *fixture = *state;
    struct vectors *vectors = vectors_open(vector_directory, "peer_book.json");
    struct bytes text = vectors_text_bytes(vectors_root(vectors), "peers_json_text");
    char path[128];
    (void)snprintf(path, sizeof path, "%s/" BOOK_IMPORT_NAME, fixture->directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text.data, text.size), text.size);
    (void)close(fd);
    vectors_close(vectors);
    assert_true(book_file_exists(fixture->file));
    assert_int_equal(open_file(fixture), 0);
    assert_int_equal(book_count(fixture->book), 2);
    book_clear(fixture->book);
    struct book_batch batch = batch_of(fixture);
    assert_int_equal(write_now(fixture, &batch), 0);
    restart(fixture);
    assert_int_equal(book_count(fixture->book), 0);
}

/* A process that is killed while it writes, again and again. */
static void write_until_killed(struct fixture *fixture)
{
    for (uint16_t port = 1;; port = (uint16_t)(port % PAIRS + 1)) {
        char error[256];
        learn(fixture, port);
        learn(fixture, (uint16_t)(port + PAIRS)); /* both or neither */
        struct book_batch batch = batch_of(fixture);
        (void)book_file_write_now(fixture->file, &batch, error, sizeof error);
    }
}

static void a_kill_leaves_whole_batches(void **state)
{
    struct fixture *fixture = *state;
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            if (open_file(fixture) == 0) {
                write_until_killed(fixture);
            }
            _exit(1);
        }
        struct timespec pause = {.tv_nsec = 3000000 + round * 1000000};
        (void)nanosleep(&pause, NULL);
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        restart(fixture);
        for (uint16_t port = 1; port <= PAIRS; port++) {
            struct endpoint first = at(port);
            struct endpoint second = at((uint16_t)(port + PAIRS));
            const struct book_record *a = book_find(fixture->book, &first);
            const struct book_record *b = book_find(fixture->book, &second);
            assert_true((a == NULL) == (b == NULL));
            assert_true(a == NULL || a->connect_count == b->connect_count);
        }
        end_life(fixture); /* the next child has the file for itself */
        begin_life(fixture);
    }
}

/* In a process of its own: the limit would hold for the whole program. */
static int write_without_room(struct fixture *fixture)
{
    const struct rlimit limit = {.rlim_cur = 64 * 1024, .rlim_max = RLIM_INFINITY};
    const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    struct rlimit before;
    (void)getrlimit(RLIMIT_FSIZE, &before);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (open_file(fixture) != 0) {
        return 1;
    }
    learn(fixture, 1);
    struct book_batch batch = batch_of(fixture);
    if (write_now(fixture, &batch) != 0 || setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 2;
    }
    for (uint16_t port = 2; port < 3000; port++) {
        learn(fixture, port);
    }
    for (unsigned group = 1; group < 12; group++) {
        for (unsigned i = 1; i < 250; i++) {
            char ip[32];
            struct endpoint endpoint;
            (void)snprintf(ip, sizeof ip, "10.%u.0.%u", group, i);
            (void)endpoint_parse_ip(ip, 1, &endpoint);
            book_connected(fixture->book, &endpoint, &(struct peer_id){{1}}, NOW);
        }
    }
    batch = batch_of(fixture);
    if (write_now(fixture, &batch) == 0) {
        return 3;
    }
    book_renounce_changes(fixture->book);
    if (setrlimit(RLIMIT_FSIZE, &none) != 0) {
        return 4;
    }
    batch = batch_of(fixture);
    return write_now(fixture, &batch) == 0 ? 0 : 5;
}

static void without_room_nothing_is_lost_and_it_goes_on_later(void **state)
{
    struct fixture *fixture = *state;
    pid_t child = fork();
    if (child == 0) {
        _exit(write_without_room(fixture));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(open_file(fixture), 0);
    assert_int_equal(book_count(fixture->book), BOOK_MAX_GROUP + 11 * 249);
}

/* Reliability R8. */
static void wherever_it_is_cut_or_flipped_it_opens(void **state)
{
    struct fixture *fixture = *state;
    static char good[1 << 17];
    static char bad[sizeof good];
    unsigned seed = 1;
    assert_int_equal(open_file(fixture), 0);
    for (uint16_t port = 1; port <= 100; port++) {
        learn(fixture, port);
    }
    struct book_batch batch = batch_of(fixture);
    with_target(&batch, "example.org", false);
    assert_int_equal(write_now(fixture, &batch), 0);
    end_life(fixture);
    begin_life(fixture);
    int fd = open(fixture->path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, good, sizeof good);
    (void)close(fd);
    assert_in_range(size, 8192, sizeof good - 1);
    log_set_level(LOG_LEVEL_ERROR);
    for (unsigned i = 0; i <= 256 + 1000; i++) {
        memcpy(bad, good, (size_t)size);
        if (i > 256) {
            bad[rand_r(&seed) % size] ^= (char)(1 << (rand_r(&seed) % 8));
        }
        fd = open(fixture->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        size_t length = i <= 256 ? i : (size_t)size;
        assert_int_equal(write(fd, bad, length), length);
        (void)close(fd);
        restart(fixture);
        learn(fixture, 4000);
        batch = batch_of(fixture);
        int result = write_now(fixture, &batch);
        assert_true(result == 0 || result == -EUCLEAN);
        if (result == -EUCLEAN) { /* found late: looked at when it is opened again */
            assert_false(book_file_is_open(fixture->file));
            assert_int_equal(open_file(fixture), 0);
        }
        end_life(fixture);
        begin_life(fixture);
    }
    log_set_level(LOG_LEVEL_INFO);
}

static void a_batch_under_way_is_finished_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(open_file(fixture), 0);
    learn(fixture, 1);
    struct book_batch batch = batch_of(fixture);
    assert_int_equal(book_file_write(fixture->file, &batch, on_done, fixture), 0);
    learn(fixture, 2);
    batch = batch_of(fixture);
    assert_int_equal(write_now(fixture, &batch), 0);
    learn(fixture, 3);
    batch = batch_of(fixture);
    assert_int_equal(book_file_write(fixture->file, &batch, on_done, fixture), 0);
    restart(fixture);
    assert_int_equal(book_count(fixture->book), 3);
    assert_int_equal(fixture->done, 0);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_there_after_a_restart),
        CASE(what_is_removed_is_gone_after_a_restart),
        CASE(what_is_cleared_cannot_be_read_from_the_disk),
        CASE(the_file_of_librats_2_is_taken_over_once),
        CASE(a_kill_leaves_whole_batches),
        CASE(without_room_nothing_is_lost_and_it_goes_on_later),
        CASE(wherever_it_is_cut_or_flipped_it_opens),
        CASE(a_batch_under_way_is_finished_at_the_end),
    };
    vector_directory = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
