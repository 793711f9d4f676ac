/* libratsclient/outbox over a socket pair: order, group commit, a full socket, the time limit,
 * descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "outbox.h"
#include "proto/frame.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct outbox outbox;
static int ours;
static int theirs;
static int left_calls;

static void on_left(void *arg)
{
    (void)arg;
    left_calls++;
}

static int set_up(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ours = pair[0];
    theirs = pair[1];
    left_calls = 0;
    assert_int_equal(outbox_init(&outbox, &lock, on_left, NULL), 0);
    outbox.timeout_ms = 30;
    pthread_mutex_lock(&lock);
    outbox_attach(&outbox, ours);
    pthread_mutex_unlock(&lock);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pthread_mutex_lock(&lock);
    outbox_detach(&outbox);
    pthread_mutex_unlock(&lock);
    outbox_fini(&outbox);
    (void)close(ours);
    if (theirs >= 0) {
        (void)close(theirs);
    }
    return 0;
}

static int send_frame(const char *head, const void *payload, size_t size)
{
    pthread_mutex_lock(&lock);
    const int rc = outbox_send(&outbox, bytes_from_string(head), bytes_make(payload, size));
    pthread_mutex_unlock(&lock);
    return rc;
}

/* What the other side has got; free(). */
static char *received(size_t *ret_size)
{
    size_t size = 0;
    char *data = NULL;
    ssize_t got;
    do {
        data = realloc(data, size + 65536);
        assert_non_null(data);
        got = recv(theirs, data + size, 65535, MSG_DONTWAIT);
        size += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    data[size] = '\0';
    *ret_size = size;
    return data;
}

static void expect(const char *text)
{
    size_t size;
    char *data = received(&size);
    assert_string_equal(data, text);
    free(data);
}

static char *big(size_t size, char c)
{
    char *data = malloc(size + 1);
    assert_non_null(data);
    memset(data, c, size);
    data[size] = '\0';
    return data;
}

static void frames_go_out_in_order(void **state)
{
    (void)state;
    assert_int_equal(send_frame("<a", "1>", 2), 0);
    assert_int_equal(send_frame("<b>", NULL, 0), 0);
    expect("<a1><b>");
    assert_false(outbox_has_left(&outbox));
    assert_int_equal(outbox.accepted, outbox.written);
}

static void large_payloads_go_out_uncopied_behind_their_head(void **state)
{
    (void)state;
    char *data = big(OUTBOX_DIRECT + 1, 'x');
    assert_int_equal(send_frame("<", data, OUTBOX_DIRECT + 1), 0);
    assert_int_equal(send_frame(">", NULL, 0), 0);
    size_t size;
    char *all = received(&size);
    assert_int_equal(size, OUTBOX_DIRECT + 3);
    assert_int_equal(all[0], '<');
    assert_int_equal(all[size - 1], '>');
    assert_memory_equal(all + 1, data, OUTBOX_DIRECT + 1);
    free(all);
    free(data);
}

/* As if the frame before had been sent just now. */
static int send_in_a_hurry(const char *head, const void *payload, size_t size)
{
    outbox.last_send_ns = INT64_MAX;
    return send_frame(head, payload, size);
}

static void a_burst_gathers_for_the_reader_which_is_told_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < OUTBOX_BURST; i++) {
        assert_int_equal(send_in_a_hurry("<a>", NULL, 0), 0);
    }
    size_t size;
    free(received(&size));
    assert_int_equal(size, 3 * OUTBOX_BURST); /* each at once */
    assert_int_equal(left_calls, 0);
    assert_int_equal(send_in_a_hurry("<b", "1>", 2), 0);
    assert_int_equal(send_in_a_hurry("<b", "2>", 2), 0);
    expect("");
    assert_int_equal(left_calls, 1);
    pthread_mutex_lock(&lock);
    outbox_continue(&outbox);
    pthread_mutex_unlock(&lock);
    expect("<b1><b2>");
    assert_int_equal(send_in_a_hurry("<b", "3>", 2), 0);
    assert_int_equal(left_calls, 2);
    outbox.last_send_ns = 0; /* a pause: at once again, and what waits goes before */
    assert_int_equal(send_frame("<c>", NULL, 0), 0);
    expect("<b3><c>");
}

static void what_is_queued_is_written_by_others_in_its_order(void **state)
{
    (void)state;
    pthread_mutex_lock(&lock);
    assert_int_equal(outbox_queue(&outbox, bytes_from_string("<a>")), 0);
    assert_int_equal(outbox_queue(&outbox, bytes_from_string("<b>")), 0);
    assert_true(outbox_has_left(&outbox));
    pthread_mutex_unlock(&lock);
    assert_int_equal(left_calls, 1);
    expect("");
    assert_int_equal(send_frame("<c>", NULL, 0), 0);
    expect("<a><b><c>");
    pthread_mutex_lock(&lock);
    assert_int_equal(outbox_queue(&outbox, bytes_from_string("<d>")), 0);
    assert_int_equal(left_calls, 2);
    outbox_continue(&outbox); /* the reader thread does */
    assert_false(outbox_has_left(&outbox));
    outbox_detach(&outbox);
    assert_int_equal(outbox_queue(&outbox, bytes_from_string("<e>")), -ENOTCONN);
    pthread_mutex_unlock(&lock);
    expect("<d>");
}

static void a_burst_that_gathered_much_is_written_by_its_sender(void **state)
{
    (void)state;
    char *data = big(1000, '.');
    outbox.burst = OUTBOX_BURST;
    for (size_t i = 0; i < OUTBOX_DIRECT / 1000; i++) {
        assert_int_equal(send_in_a_hurry("", data, 1000), 0);
    }
    expect("");
    assert_int_equal(send_in_a_hurry("", data, 1000), 0);
    size_t size;
    free(received(&size));
    assert_int_equal(size, (OUTBOX_DIRECT / 1000 + 1) * 1000);
    free(data);
}

static void nothing_is_sent_without_a_connection(void **state)
{
    (void)state;
    pthread_mutex_lock(&lock);
    outbox_detach(&outbox);
    pthread_mutex_unlock(&lock);
    assert_int_equal(send_frame("<a>", NULL, 0), -ENOTCONN);
    pthread_mutex_lock(&lock);
    assert_int_equal(outbox_post(&outbox, bytes_from_string("<a>")), -ENOTCONN);
    assert_int_equal(outbox_flush(&outbox, 0), -ENOTCONN);
    pthread_mutex_unlock(&lock);
}

static void a_closed_peer_breaks_the_connection_without_a_signal(void **state)
{
    (void)state;
    (void)close(theirs);
    theirs = -1;
    assert_int_equal(send_frame("<a>", NULL, 0), -ENOTCONN);
    assert_int_equal(send_frame("<a>", NULL, 0), -ENOTCONN);
}

/* Fills the socket with whole frames of 1000 bytes until one is refused. Returns how many went. */
static size_t fill_socket(void)
{
    char *data = big(999, '.');
    size_t count = 0;
    int rc;
    while ((rc = send_frame("<", data, 999)) == 0) {
        count++;
        assert_true(count < 100000);
    }
    free(data);
    assert_int_equal(rc, -ETIMEDOUT);
    return count;
}

/* Reads all, with what the outbox still holds, and checks that only whole frames came. */
static void expect_frames(size_t frames, size_t frame_size)
{
    size_t total = 0;
    for (;;) {
        size_t size;
        char *data = received(&size);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(data[i] == '<', (total + i) % frame_size == 0);
        }
        free(data);
        total += size;
        pthread_mutex_lock(&lock);
        const bool left = outbox_has_left(&outbox);
        outbox_continue(&outbox);
        pthread_mutex_unlock(&lock);
        if (size == 0 && !left) {
            break;
        }
    }
    assert_int_equal(total, frames * frame_size);
}

static void a_full_socket_refuses_after_the_limit_and_keeps_frames_whole(void **state)
{
    (void)state;
    const size_t count = fill_socket();
    assert_true(count > 10);
    expect_frames(count, 1000);
    assert_int_equal(outbox.accepted, outbox.written);
    assert_int_equal(send_frame("<a>", NULL, 0), 0);
    expect("<a>");
}

static void a_refused_frame_is_taken_back_from_between_others(void **state)
{
    (void)state;
    const size_t count = fill_socket();
    /* Calls are accepted whatever the socket says; a send between two of them is not. */
    pthread_mutex_lock(&lock);
    char *frame = big(1000, '.');
    frame[0] = '<';
    assert_int_equal(outbox_post(&outbox, bytes_make(frame, 1000)), 0);
    pthread_mutex_unlock(&lock);
    assert_int_equal(send_frame("<", "refused", 7), -ETIMEDOUT);
    pthread_mutex_lock(&lock);
    assert_int_equal(outbox_post(&outbox, bytes_make(frame, 1000)), 0);
    assert_true(outbox_has_left(&outbox));
    pthread_mutex_unlock(&lock);
    free(frame);
    assert_true(left_calls > 0);
    expect_frames(count + 2, 1000);
}

static void a_large_frame_that_has_begun_counts_as_sent_and_is_finished(void **state)
{
    (void)state;
    const size_t size = (size_t)4 * 1024 * 1024;
    char *data = big(size - 1, '.');
    assert_int_equal(send_frame("<", data, size - 1), 0); /* stuck halfway for the limit */
    free(data);
    assert_true(outbox_has_left(&outbox));
    assert_true(left_calls > 0);
    expect_frames(1, size);
}

static void above_the_mark_senders_wait_and_calls_do_not(void **state)
{
    (void)state;
    (void)fill_socket();
    char *data = big(OUTBOX_MARK, '.');
    pthread_mutex_lock(&lock);
    assert_int_equal(outbox_post(&outbox, bytes_make(data, OUTBOX_MARK)), 0);
    assert_int_equal(outbox_post(&outbox, bytes_make(data, 1)), 0);
    pthread_mutex_unlock(&lock);
    free(data);
    assert_int_equal(send_frame("<a>", NULL, 0), -ETIMEDOUT);
    pthread_mutex_lock(&lock);
    assert_int_equal(outbox_flush(&outbox, clock_deadline(10)), -ETIMEDOUT);
    pthread_mutex_unlock(&lock);
}

/* Many senders, one reader ------------------------------------------------------------------ */

#define SENDERS 4
#define EACH    5000

static void *send_many(void *arg)
{
    const char name = *(const char *)arg;
    for (unsigned i = 0; i < EACH; i++) {
        char head[2] = {name, '\0'};
        const uint32_t number = i;
        char *payload = big(i % 40 == 0 ? 20000 : 8, name);
        memcpy(payload, &number, sizeof number);
        const size_t size = i % 40 == 0 ? 20000 : 8;
        assert_int_equal(send_frame(head, payload, size), 0);
        free(payload);
    }
    return NULL;
}

static void *keep_writing(void *arg)
{
    /* The reader thread's part: what nobody else writes. */
    volatile bool *stop = arg;
    for (;;) {
        struct pollfd item = {.fd = ours, .events = POLLOUT};
        (void)poll(&item, 1, 1);
        pthread_mutex_lock(&lock);
        outbox_continue(&outbox);
        const bool done = *stop && !outbox_has_left(&outbox) && !outbox.writing;
        pthread_mutex_unlock(&lock);
        if (done) {
            return NULL;
        }
    }
}

static void read_fully(void *to, size_t size)
{
    uint8_t *at = to;
    while (size > 0) {
        struct pollfd item = {.fd = theirs, .events = POLLIN};
        assert_int_equal(poll(&item, 1, 20000), 1);
        const ssize_t got = recv(theirs, at, size, 0);
        assert_true(got > 0);
        at += got;
        size -= (size_t)got;
    }
}

static void frames_of_many_senders_stay_whole_and_in_the_order_of_each(void **state)
{
    (void)state;
    outbox.timeout_ms = 20000;
    pthread_t threads[SENDERS];
    pthread_t writer;
    bool stop = false;
    static const char names[SENDERS] = {'a', 'b', 'c', 'd'};
    assert_int_equal(pthread_create(&writer, NULL, keep_writing, &stop), 0);
    for (size_t i = 0; i < SENDERS; i++) {
        union {
            const char *in;
            void *out;
        } cast = {.in = &names[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, cast.out), 0);
    }
    uint32_t next[SENDERS] = {0};
    for (unsigned i = 0; i < SENDERS * EACH; i++) {
        char name;
        read_fully(&name, 1);
        assert_in_range(name, 'a', 'd');
        const size_t sender = (size_t)(name - 'a');
        uint32_t number;
        read_fully(&number, sizeof number);
        assert_int_equal(number, next[sender]++);
        char rest[20000];
        const size_t size = (number % 40 == 0 ? 20000 : 8) - sizeof number;
        read_fully(rest, size);
        assert_int_equal(rest[0], name);
        assert_int_equal(rest[size - 1], name);
    }
    for (size_t i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    pthread_mutex_lock(&lock);
    stop = true;
    pthread_mutex_unlock(&lock);
    assert_int_equal(pthread_join(writer, NULL), 0);
}

/* NULL unless it was refused for the time it took. */
static void *send_refused(void *arg)
{
    (void)arg;
    static int refused;
    return send_frame("<refused>", NULL, 0) == -ETIMEDOUT ? &refused : NULL;
}

/* Descriptors ------------------------------------------------------------------------------- */

/* One end of a new pipe, whose other end says when this one is closed everywhere. */
static int make_parcel(int *ret_watch)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    *ret_watch = ends[0];
    return ends[1];
}

static bool is_closed(int watch)
{
    struct pollfd item = {.fd = watch, .events = POLLIN};
    return poll(&item, 1, 0) == 1 && (item.revents & POLLHUP) != 0;
}

static int post_with(const char *frame, int *fds, size_t count)
{
    pthread_mutex_lock(&lock);
    const int rc = outbox_post_with(&outbox, bytes_from_string(frame), fds, count);
    pthread_mutex_unlock(&lock);
    return rc;
}

/* One read: its bytes as text and how many descriptors came, which are closed. */
static size_t read_once(char text[64])
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * FRAME_MAX_FDS)];
    } control;
    struct iovec part = {.iov_base = text, .iov_len = 63};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    const ssize_t got = recvmsg(theirs, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    text[got < 0 ? 0 : got] = '\0';
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (got < 0 || header == NULL) {
        return 0;
    }
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int fds[FRAME_MAX_FDS];
    memcpy(fds, CMSG_DATA(header), count * sizeof *fds);
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
    return count;
}

static void descriptors_go_with_the_first_byte_of_their_frame(void **state)
{
    (void)state;
    int watches[3];
    int fds[3];
    for (size_t i = 0; i < 3; i++) {
        fds[i] = make_parcel(&watches[i]);
    }
    pthread_mutex_lock(&lock);
    outbox.writing = true; /* somebody is: everything is gathered */
    pthread_mutex_unlock(&lock);
    assert_int_equal(post_with("<a>", NULL, 0), 0);
    assert_int_equal(post_with("<b>", fds, 2), 0);
    assert_int_equal(post_with("<c>", &fds[2], 1), 0);
    assert_int_equal(post_with("<d>", NULL, 0), 0);
    pthread_mutex_lock(&lock);
    outbox.writing = false;
    outbox_continue(&outbox);
    pthread_mutex_unlock(&lock);
    /* A read ends with the bytes that bring descriptors, so no frame gets another's. */
    char text[64];
    assert_int_equal(read_once(text), 2);
    assert_string_equal(text, "<a><b>");
    assert_int_equal(read_once(text), 1);
    assert_string_equal(text, "<c><d>");
    for (size_t i = 0; i < 3; i++) {
        assert_true(is_closed(watches[i])); /* here as well */
        (void)close(watches[i]);
    }
}

static void descriptors_that_cannot_be_sent_are_closed(void **state)
{
    (void)state;
    int watches[2];
    int fds[2];
    (void)fill_socket();
    fds[0] = make_parcel(&watches[0]);
    fds[1] = make_parcel(&watches[1]);
    assert_int_equal(post_with("<late>", &fds[0], 1), 0);
    assert_false(is_closed(watches[0]));
    pthread_mutex_lock(&lock);
    outbox_detach(&outbox);
    pthread_mutex_unlock(&lock);
    assert_true(is_closed(watches[0]));
    assert_int_equal(post_with("<never>", &fds[1], 1), -ENOTCONN);
    assert_true(is_closed(watches[1]));
    (void)close(watches[0]);
    (void)close(watches[1]);
}

static void a_frame_taken_back_moves_the_descriptors_behind_it(void **state)
{
    (void)state;
    int watch;
    int fd = make_parcel(&watch);
    const size_t count = fill_socket();
    pthread_mutex_lock(&lock);
    const uint64_t start = outbox.accepted;
    assert_int_equal(outbox_post(&outbox, bytes_from_string("<a>")), 0);
    pthread_mutex_unlock(&lock);
    outbox.timeout_ms = 200;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_refused, NULL), 0);
    bool appended = false;
    while (!appended) { /* until the other waits for room behind <a> */
        pthread_mutex_lock(&lock);
        appended = outbox.accepted > start + 3;
        pthread_mutex_unlock(&lock);
    }
    assert_int_equal(post_with("<b>", &fd, 1), 0);
    void *refused = NULL;
    assert_int_equal(pthread_join(thread, &refused), 0);
    assert_non_null(refused);
    size_t left = count * 1000;
    while (left > 0) {
        char waste[1000];
        const ssize_t got = recv(theirs, waste, left < 1000 ? left : 1000, 0);
        left -= got > 0 ? (size_t)got : 0;
        pthread_mutex_lock(&lock);
        outbox_continue(&outbox);
        pthread_mutex_unlock(&lock);
    }
    char text[64];
    assert_int_equal(read_once(text), 1);
    assert_string_equal(text, "<a><b>");
    (void)close(watch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_go_out_in_order),
        TEST(large_payloads_go_out_uncopied_behind_their_head),
        TEST(a_burst_gathers_for_the_reader_which_is_told_once),
        TEST(what_is_queued_is_written_by_others_in_its_order),
        TEST(a_burst_that_gathered_much_is_written_by_its_sender),
        TEST(nothing_is_sent_without_a_connection),
        TEST(a_closed_peer_breaks_the_connection_without_a_signal),
        TEST(a_full_socket_refuses_after_the_limit_and_keeps_frames_whole),
        TEST(a_refused_frame_is_taken_back_from_between_others),
        TEST(a_large_frame_that_has_begun_counts_as_sent_and_is_finished),
        TEST(above_the_mark_senders_wait_and_calls_do_not),
        TEST(frames_of_many_senders_stay_whole_and_in_the_order_of_each),
        TEST(descriptors_go_with_the_first_byte_of_their_frame),
        TEST(descriptors_that_cannot_be_sent_are_closed),
        TEST(a_frame_taken_back_moves_the_descriptors_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
