#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "service/transfer_disk.h"

#define CHUNK 4096u

/* What a disk told. */
struct told {
    unsigned pieces;
    size_t taken;
    uint64_t wrote;
    unsigned whole;
    uint32_t verified;
    unsigned rooms;
    unsigned rewinds;
    unsigned signs;
    uint32_t rewound_file;
    uint64_t rewound_offset;
    uint32_t failed_file;
    char error[256];
};

static struct loop *loop;
static struct worker *worker;
static struct transfer_ahead ahead;
static struct told reading;
static struct told writing;

static void on_pieces(void *arg)
{
    ((struct told *)arg)->pieces++;
    loop_quit(loop);
}

static void on_taken(void *arg, size_t size)
{
    ((struct told *)arg)->taken += size;
}

static void on_wrote(void *arg, uint64_t size, bool file_is_whole)
{
    struct told *told = arg;
    told->wrote += size;
    told->whole += file_is_whole;
    loop_quit(loop);
}

static void on_verified(void *arg, uint32_t first, uint32_t count)
{
    struct told *told = arg;
    assert_int_equal(first, told->verified);
    told->verified += count;
    loop_quit(loop);
}

static void on_room(void *arg)
{
    ((struct told *)arg)->rooms++;
    loop_quit(loop);
}

static void on_rewound(void *arg, uint32_t file, uint64_t offset)
{
    struct told *told = arg;
    told->rewinds++;
    told->rewound_file = file;
    told->rewound_offset = offset;
    loop_quit(loop);
}

static void on_rehashing(void *arg)
{
    ((struct told *)arg)->signs++;
}

static void on_failed(void *arg, uint32_t file, const char *why)
{
    struct told *told = arg;
    told->failed_file = file;
    (void)snprintf(told->error, sizeof told->error, "%s", why);
    loop_quit(loop);
}

static const struct transfer_disk_callbacks callbacks = {
    on_pieces, on_taken, on_wrote, on_verified, on_room, on_rewound, on_rehashing, on_failed,
};

static struct transfer_disk *disk_new(bool sending, struct told *told)
{
    struct transfer_disk_options options = {.loop = loop,
                                            .worker = worker,
                                            .sending = sending,
                                            .ahead = &ahead,
                                            .id = 77,
                                            .chunk_size = CHUNK};
    struct transfer_disk *disk = NULL;
    memset(told, 0, sizeof *told);
    assert_int_equal(transfer_disk_new(&options, &callbacks, told, &disk), 0);
    return disk;
}

static int begin(void **state)
{
    (void)state;
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(worker_new(loop, 2, 16, &worker), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    worker_free(worker);
    loop_free(loop);
    return 0;
}

static int unnamed(void)
{
    char path[] = "/tmp/test_transfer_disk.XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    (void)unlink(path);
    return fd;
}

static uint8_t byte_at(uint32_t file, uint64_t offset)
{
    return (uint8_t)(file * 13 + offset + (offset >> 8) * 5);
}

static int source(uint32_t file, size_t size)
{
    int fd = unnamed();
    uint8_t *data = malloc(size + 1);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        data[i] = byte_at(file, i);
    }
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    free(data);
    return fd;
}

/* Waits for the next thing a disk says. */
static void wait_for(bool (*is_so)(void))
{
    while (!is_so()) {
        assert_int_equal(loop_run(loop), 0);
    }
}

/* Hands frames from one disk to the other, until there are no more or stop bytes have gone. */
static uint64_t pump(struct transfer_disk *from, struct transfer_disk *to, uint64_t stop)
{
    const struct transfer_piece *piece;
    uint64_t moved = 0;
    while (moved < stop && (piece = transfer_disk_piece(from)) != NULL) {
        struct transfer_frame frame;
        assert_int_equal(transfer_frame_decode(piece->frame, &frame), 0);
        assert_int_equal(frame.id, 77);
        if (piece->is_end) {
            assert_int_equal(frame.op, TRANSFER_FILE_END);
            assert_int_equal(transfer_disk_end(to, frame.file, frame.data.data), 0);
        } else {
            assert_int_equal(frame.data.size, piece->data_size);
            assert_int_equal(transfer_disk_write(to, frame.file, frame.offset, frame.data), 0);
        }
        moved += piece->data_size;
        transfer_disk_consume(from);
    }
    return moved;
}

static struct transfer_disk *reader;
static struct transfer_disk *writer;
static uint32_t wanted;
static uint64_t wanted_bytes;

static bool all_is_verified(void)
{
    (void)pump(reader, writer, UINT64_MAX);
    return writing.verified == wanted;
}

static bool enough_is_written(void)
{
    if (reader != NULL && writing.wrote < wanted_bytes) {
        (void)pump(reader, writer, CHUNK);
    }
    return writing.wrote >= wanted_bytes;
}

static bool is_rewound(void)
{
    return writing.rewinds > 0;
}

static bool reader_failed(void)
{
    (void)pump(reader, writer, UINT64_MAX);
    return reading.error[0] != '\0';
}

static bool writer_failed(void)
{
    if (reader != NULL) {
        (void)pump(reader, writer, UINT64_MAX);
    }
    return writing.error[0] != '\0';
}

static void open_both(void)
{
    reader = disk_new(true, &reading);
    writer = disk_new(false, &writing);
}

static void close_both(void)
{
    transfer_disk_free(reader);
    transfer_disk_free(writer);
    reader = NULL;
    writer = NULL;
}

static void check_target(int fd, uint32_t file, size_t size)
{
    struct stat info;
    uint8_t byte = 0;
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(info.st_size, (off_t)size);
    for (size_t i = 0; i<size; i += size> 1000 ? 997 : 1) {
        assert_int_equal(pread(fd, &byte, 1, (off_t)i), 1);
        assert_int_equal(byte, byte_at(file, i));
    }
}

static void files_of_all_sizes_arrive_and_are_verified(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, CHUNK, CHUNK + 1, 300000, 0, 2};
    int copies[7];
    open_both();
    wanted = 7;
    for (uint32_t i = 0; i < 7; i++) {
        int target = unnamed();
        copies[i] = dup(target);
        transfer_disk_add(reader, i, source(i, sizes[i]), sizes[i], false);
        transfer_disk_add(writer, i, target, sizes[i], false);
    }
    assert_int_equal(transfer_disk_room(reader), TRANSFER_AHEAD_FILES - 7);
    wait_for(all_is_verified);
    assert_int_equal(writing.wrote, 300000 + 2 * CHUNK + 4);
    const size_t chunks = 1 + 1 + 2 + (300000 / CHUNK + 1) + 1;
    assert_int_equal(writing.taken, writing.wrote + (chunks + 7) * TRANSFER_ITEM_COST);
    assert_string_equal(reading.error, "");
    assert_int_equal(transfer_disk_room(writer), TRANSFER_AHEAD_FILES);
    for (uint32_t i = 0; i < 7; i++) {
        check_target(copies[i], i, sizes[i]);
        (void)close(copies[i]);
    }
    close_both();
}

static void nothing(void *data)
{
    (void)data;
}

static void has_run(void *arg, void *data)
{
    (void)data;
    *(bool *)arg = true;
    loop_quit(loop);
}

/* Until the one thread has done all that was wanted of it before. */
static void wait_for_thread(void)
{
    bool done = false;
    assert_non_null(worker_submit(worker, "test", nothing, has_run, &done, NULL, NULL));
    while (!done) {
        assert_int_equal(loop_run(loop), 0);
    }
}

/* Bytes that are read before any of them are taken, beside so many other senders. */
static uint64_t read_ahead_beside(size_t others)
{
    const size_t size = (size_t)8 * 1024 * 1024;
    unsigned before;
    ahead.senders = others;
    open_both();
    transfer_disk_add(reader, 0, source(0, size), size, false);
    do {
        before = reading.pieces;
        wait_for_thread();
        wait_for_thread(); /* a job that the end of the last one led to */
    } while (reading.pieces > before);
    uint64_t bytes = pump(reader, writer, UINT64_MAX);
    close_both();
    assert_int_equal(ahead.senders, others);
    ahead.senders = 0;
    return bytes;
}

static void the_more_send_the_less_each_reads_ahead(void **state)
{
    (void)state;
    worker_free(worker);
    assert_int_equal(worker_new(loop, 1, 16, &worker), 0);
    assert_int_equal(read_ahead_beside(0), 7 * 512 * 1024);
    assert_int_equal(read_ahead_beside(6), 3 * 512 * 1024);
    assert_int_equal(read_ahead_beside(100000), 2 * 256 * 1024);
}

static bool reader_has_piece(void)
{
    return transfer_disk_piece(reader) != NULL;
}

/* What is read already stays as it is; a chunk larger than a batch makes the batch larger. */
static void chunks_may_change_their_size_on_the_way(void **state)
{
    (void)state;
    static const size_t sizes[] = {2 * CHUNK, (size_t)1024 * 1024, CHUNK};
    const size_t size = (size_t)32 * 1024 * 1024;
    int target = unnamed();
    int copy = dup(target);
    size_t next = 0;
    open_both();
    wanted = 1;
    transfer_disk_add(reader, 0, source(0, size), size, false);
    transfer_disk_add(writer, 0, target, size, false);
    while (next < 3) {
        transfer_disk_set_chunk(reader, sizes[next]);
        wait_for(reader_has_piece);
        next += transfer_disk_piece(reader)->data_size == sizes[next];
        assert_false(transfer_disk_piece(reader)->is_end);
        (void)pump(reader, writer, 1);
    }
    wait_for(all_is_verified);
    check_target(copy, 0, size);
    (void)close(copy);
    close_both();
}

static void data_waits_for_the_descriptor_of_its_file(void **state)
{
    (void)state;
    int target = unnamed();
    open_both();
    wanted = 1;
    transfer_disk_add(reader, 0, source(0, 10000), 10000, false);
    while (transfer_disk_piece(reader) == NULL) {
        assert_int_equal(loop_run(loop), 0);
    }
    (void)pump(reader, writer, UINT64_MAX);
    transfer_disk_add(writer, 0, target, 10000, false);
    wait_for(all_is_verified);
    close_both();
}

static void a_source_of_another_size_is_not_sent(void **state)
{
    (void)state;
    open_both();
    transfer_disk_add(reader, 0, source(0, 5000), 6000, false);
    wait_for(reader_failed);
    assert_non_null(strstr(reading.error, "another size"));
    close_both();
}

static void it_is_said_which_file_failed(void **state)
{
    (void)state;
    open_both();
    transfer_disk_add(reader, 7, source(0, 100), 100, false);
    transfer_disk_add(reader, 8, source(1, 5000), 6000, false);
    wait_for(reader_failed);
    assert_int_equal(reading.failed_file, 8);
    close_both();
}

static void a_source_that_changes_is_found_out(void **state)
{
    (void)state;
    const size_t size = (size_t)16 * 1024 * 1024; /* more than is read ahead */
    int fd = source(0, size);
    int other = dup(fd);
    open_both();
    transfer_disk_add(reader, 0, fd, size, true);
    while (transfer_disk_piece(reader) == NULL) {
        assert_int_equal(loop_run(loop), 0);
    }
    assert_int_equal(ftruncate(other, (off_t)(size / 2)), 0);
    wait_for(reader_failed);
    assert_non_null(strstr(reading.error, "shorter"));
    (void)close(other);
    close_both();
}

static void a_file_is_whole_whatever_follows_it(void **state)
{
    (void)state;
    uint8_t hash[TRANSFER_HASH_SIZE];
    const struct bytes text = bytes_from_string("abc");
    assert_int_equal(sha256(text, hash), 0);
    reader = NULL;
    writer = disk_new(false, &writing);
    assert_int_equal(transfer_disk_write(writer, 0, 0, text), 0);
    assert_int_equal(transfer_disk_end(writer, 0, hash), 0);
    assert_int_equal(transfer_disk_write(writer, 1, 0, text), 0); /* by the same job */
    transfer_disk_add(writer, 0, unnamed(), 3, false);
    transfer_disk_add(writer, 1, unnamed(), 6, false);
    wanted_bytes = 6;
    wait_for(enough_is_written);
    assert_int_equal(writing.whole, 1);
    close_both();
}

static void another_hash_is_a_failure(void **state)
{
    (void)state;
    static const uint8_t hash[TRANSFER_HASH_SIZE];
    reader = NULL;
    writer = disk_new(false, &writing);
    transfer_disk_add(writer, 0, unnamed(), 3, false);
    assert_int_equal(transfer_disk_write(writer, 0, 0, bytes_from_string("abc")), 0);
    assert_int_equal(transfer_disk_end(writer, 0, hash), 0);
    wait_for(writer_failed);
    assert_non_null(strstr(writing.error, "hash"));
    assert_int_equal(writing.verified, 0);
    close_both();
}

/* A full disk, as far as a process without privileges can have one: files may not grow. */
static void a_disk_that_takes_no_more_is_a_failure(void **state)
{
    (void)state;
    struct rlimit before;
    static const uint8_t data[8192];
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 5000, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    reader = NULL;
    writer = disk_new(false, &writing);
    transfer_disk_add(writer, 0, unnamed(), sizeof data, false);
    assert_int_equal(transfer_disk_write(writer, 0, 0, bytes_make(data, sizeof data)), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    wait_for(writer_failed);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_non_null(strstr(writing.error, "cannot be written"));
    close_both();
}

static void both_go_on_where_the_receiver_was(void **state)
{
    (void)state;
    int target = unnamed();
    int copy = dup(target);
    open_both();
    wanted = 1;
    wanted_bytes = 40000;
    transfer_disk_add(reader, 0, source(0, 500000), 500000, true);
    transfer_disk_add(writer, 0, target, 500000, false);
    wait_for(enough_is_written);
    transfer_disk_rewind(writer);
    wait_for(is_rewound);
    assert_int_equal(writing.rewound_file, 0);
    assert_true(writing.rewound_offset >= 40000 && writing.rewound_offset < 500000);
    transfer_disk_seek(reader, writing.rewound_offset);
    assert_null(transfer_disk_piece(reader));
    wait_for(all_is_verified);
    check_target(copy, 0, 500000);
    (void)close(copy);
    close_both();
}

/* What lies on the disk is read again: if somebody changed it, the hash says so. */
static void what_was_written_is_not_trusted(void **state)
{
    (void)state;
    int target = unnamed();
    int copy = dup(target);
    open_both();
    wanted_bytes = 40000;
    transfer_disk_add(reader, 0, source(0, 200000), 200000, true);
    transfer_disk_add(writer, 0, target, 200000, false);
    wait_for(enough_is_written);
    transfer_disk_rewind(writer);
    assert_int_equal(pwrite(copy, "changed", 7, 100), 7);
    wait_for(is_rewound);
    transfer_disk_seek(reader, writing.rewound_offset);
    wait_for(writer_failed);
    assert_non_null(strstr(writing.error, "hash"));
    (void)close(copy);
    close_both();
}

static void nothing_written_yet_rewinds_at_once(void **state)
{
    (void)state;
    reader = NULL;
    writer = disk_new(false, &writing);
    transfer_disk_rewind(writer);
    wait_for(is_rewound);
    assert_int_equal(writing.rewound_file, 0);
    assert_int_equal(writing.rewound_offset, 0);
    close_both();
}

static bool has_all_room(void)
{
    return reading.rooms > 0 && transfer_disk_room(reader) == TRANSFER_AHEAD_FILES;
}

static void going_back_makes_room_however_busy_it_was(void **state)
{
    (void)state;
    writer = NULL;
    for (int turns = 0; turns < 3; turns++) {
        reader = disk_new(true, &reading);
        for (uint32_t i = 0; i < TRANSFER_AHEAD_FILES; i++) {
            transfer_disk_add(reader, i, source(i, 500000), 500000, false);
        }
        for (int i = 0; i < turns; i++) { /* before, while, after a job has the descriptors */
            assert_int_equal(loop_run(loop), 0);
        }
        reading.rooms = 0;
        transfer_disk_seek(reader, 0);
        if (transfer_disk_room(reader) < TRANSFER_AHEAD_FILES) {
            wait_for(has_all_room);
        }
        close_both();
    }
}

static void descriptors_are_closed_whenever_it_ends(void **state)
{
    (void)state;
    int before = unnamed();
    assert_int_equal(close(before), 0);
    for (int turns = 0; turns < 3; turns++) {
        reader = disk_new(true, &reading);
        writer = NULL;
        for (uint32_t i = 0; i < TRANSFER_AHEAD_FILES; i++) {
            transfer_disk_add(reader, i, source(i, 100000), 100000, false);
        }
        while (turns > 0 && transfer_disk_piece(reader) == NULL) {
            assert_int_equal(loop_run(loop), 0);
        }
        transfer_disk_free(reader);
    }
    worker_free(worker);
    loop_free(loop);
    int after = unnamed();
    assert_int_equal(close(after), 0);
    assert_true(after <= before);
    assert_int_equal(begin(NULL), 0);
}

static void the_check_tells_what_a_descriptor_is(void **state)
{
    (void)state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    int empty = unnamed();
    int full = source(0, 10);
    struct transfer_check check = {.fd = full, .sending = true};
    transfer_check_run(&check);
    assert_int_equal(check.result, 0);
    assert_int_equal(check.size, 10);
    check = (struct transfer_check){.fd = full};
    transfer_check_run(&check);
    assert_int_equal(check.result, -ENOTEMPTY);
    check = (struct transfer_check){.fd = pipes[0], .sending = true};
    transfer_check_run(&check);
    assert_int_equal(check.result, -EINVAL);
    check = (struct transfer_check){.fd = empty, .need = INT64_MAX};
    transfer_check_run(&check);
    assert_int_equal(check.result, -ENOSPC);
    char text[TRANSFER_CHECK_TEXT_SIZE];
    char numbers[80];
    (void)snprintf(numbers, sizeof numbers, "needs %lld bytes, and %llu are free",
                   (long long)INT64_MAX, (unsigned long long)check.room);
    assert_true(check.room > 0);
    assert_non_null(strstr(transfer_check_text(&check, text), numbers));
    check = (struct transfer_check){.fd = empty, .need = 1};
    transfer_check_run(&check);
    assert_int_equal(check.result, 0);
    (void)close(empty);
    (void)close(full);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

static void the_check_of_a_directory_asks_for_its_disk_only(void **state)
{
    (void)state;
    int directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int file = source(0, 10);
    struct transfer_check check = {.fd = directory, .directory = true, .need = 1};
    transfer_check_run(&check);
    assert_int_equal(check.result, 0);
    check = (struct transfer_check){.fd = directory, .directory = true, .need = INT64_MAX};
    transfer_check_run(&check);
    assert_int_equal(check.result, -ENOSPC);
    check = (struct transfer_check){.fd = file, .directory = true};
    transfer_check_run(&check);
    assert_int_equal(check.result, -EINVAL);
    (void)close(directory);
    (void)close(file);
}

/* The kernel's own file systems are of no size that they know. */
static void a_disk_of_unknown_size_is_not_called_full(void **state)
{
    (void)state;
    int directory = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct transfer_check check = {.fd = directory, .directory = true, .need = INT64_MAX};
    assert_true(directory >= 0);
    transfer_check_run(&check);
    assert_int_equal(check.result, 0);
    (void)close(directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_of_all_sizes_arrive_and_are_verified),
        TEST(the_more_send_the_less_each_reads_ahead),
        TEST(chunks_may_change_their_size_on_the_way),
        TEST(data_waits_for_the_descriptor_of_its_file),
        TEST(a_source_of_another_size_is_not_sent),
        TEST(it_is_said_which_file_failed),
        TEST(a_source_that_changes_is_found_out),
        TEST(a_file_is_whole_whatever_follows_it),
        TEST(another_hash_is_a_failure),
        TEST(a_disk_that_takes_no_more_is_a_failure),
        TEST(both_go_on_where_the_receiver_was),
        TEST(what_was_written_is_not_trusted),
        TEST(nothing_written_yet_rewinds_at_once),
        TEST(going_back_makes_room_however_busy_it_was),
        TEST(descriptors_are_closed_whenever_it_ends),
        TEST(the_check_tells_what_a_descriptor_is),
        TEST(the_check_of_a_directory_asks_for_its_disk_only),
        TEST(a_disk_of_unknown_size_is_not_called_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
