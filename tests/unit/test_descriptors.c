#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/descriptors.h"

static struct descriptors waiting;
static int sockets[2];
static uint64_t place;

static int begin(void **state)
{
    (void)state;
    memset(&waiting, 0, sizeof waiting);
    place = 0;
    return socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
}

static int end(void **state)
{
    (void)state;
    descriptors_close(&waiting);
    (void)close(sockets[0]);
    (void)close(sockets[1]);
    return 0;
}

static void send_bytes(size_t size, size_t fds)
{
    uint8_t data[256] = {0};
    union {
        char bytes[CMSG_SPACE(DESCRIPTORS_ROOM * sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fds > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(fds * sizeof(int));
        struct cmsghdr *first = CMSG_FIRSTHDR(&header);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(fds * sizeof(int));
        for (size_t i = 0; i < fds; i++) {
            memcpy(CMSG_DATA(first) + i * sizeof(int), &sockets[0], sizeof(int));
        }
    }
    assert_int_equal(sendmsg(sockets[0], &header, 0), (ssize_t)size);
}

/* One read, of as much as the kernel gives. */
static bool receive(size_t *ret_size)
{
    uint8_t data[1024];
    union {
        char bytes[CMSG_SPACE(DESCRIPTORS_ROOM * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = data, .iov_len = sizeof data};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    ssize_t size = recvmsg(sockets[1], &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    assert_true(size > 0);
    uint64_t from = place;
    place += (uint64_t)size;
    *ret_size = (size_t)size;
    return descriptors_receive(&waiting, &header, from, place);
}

/* Takes and closes them; the number of the next free descriptor tells whether any was left. */
static int take(uint64_t from, uint64_t to, size_t count)
{
    int fds[FRAME_MAX_FDS];
    int rc = descriptors_take(&waiting, from, to, count, fds);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
    return rc;
}

static void they_belong_to_the_frame_whose_first_byte_brought_them(void **state)
{
    (void)state;
    size_t size = 0;
    send_bytes(20, 0); /* two frames before, read together with it */
    send_bytes(30, 0);
    send_bytes(40, 3);
    send_bytes(50, 0);
    assert_true(receive(&size));
    assert_int_equal(size, 90);
    assert_int_equal(take(0, 20, 0), 0);
    assert_int_equal(take(20, 50, 0), 0);
    assert_int_equal(take(50, 90, 3), 0);
    assert_true(receive(&size));
    assert_int_equal(take(90, 140, 0), 0);
}

static void a_frame_read_in_pieces_keeps_those_of_its_first_byte(void **state)
{
    (void)state;
    size_t size = 0;
    send_bytes(10, 2);
    assert_true(receive(&size));
    send_bytes(30, 0);
    send_bytes(40, 1);
    assert_true(receive(&size));
    assert_int_equal(size, 70);
    assert_int_equal(take(0, 40, 2), 0);
    assert_int_equal(take(40, 80, 1), 0);
}

static void a_frame_without_any_does_not_swallow_them(void **state)
{
    (void)state;
    size_t size = 0;
    send_bytes(20, 1);
    assert_true(receive(&size));
    assert_int_equal(take(0, 20, 0), -EBADMSG);
}

static void a_wrong_number_or_none_is_refused(void **state)
{
    (void)state;
    size_t size = 0;
    assert_int_equal(take(0, 20, 1), -EBADMSG);
    send_bytes(20, 2);
    assert_true(receive(&size));
    assert_int_equal(take(0, 20, 1), -EBADMSG);
    assert_int_equal(take(0, 20, 3), -EBADMSG);
}

static void those_in_the_middle_of_a_frame_are_refused(void **state)
{
    (void)state;
    size_t size = 0;
    send_bytes(10, 0);
    assert_true(receive(&size));
    send_bytes(10, 1);
    assert_true(receive(&size));
    assert_int_equal(take(0, 20, 1), -EBADMSG);
    assert_int_equal(take(0, 20, 0), -EBADMSG);
}

static void more_than_can_belong_to_frames_are_closed(void **state)
{
    (void)state;
    size_t size = 0;
    int before = dup(sockets[0]);
    assert_int_equal(close(before), 0);
    send_bytes(1, 17);
    assert_false(receive(&size));
    send_bytes(1, 253);
    assert_false(receive(&size));
    for (int i = 0; i < 2; i++) {
        send_bytes(1, 16);
        assert_true(receive(&size));
    }
    send_bytes(1, 16);
    assert_false(receive(&size));
    descriptors_close(&waiting);
    int after = dup(sockets[0]);
    assert_int_equal(close(after), 0);
    assert_int_equal(before, after);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(they_belong_to_the_frame_whose_first_byte_brought_them),
        TEST(a_frame_read_in_pieces_keeps_those_of_its_first_byte),
        TEST(a_frame_without_any_does_not_swallow_them),
        TEST(a_wrong_number_or_none_is_refused),
        TEST(those_in_the_middle_of_a_frame_are_refused),
        TEST(more_than_can_belong_to_frames_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
