/* Bytes from a local client into a whole session: framing, hello, calls, MESSAGE frames. The first
 * byte decides whether hello was said already. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "fake_host.h"
#include "ipc/session.h"
#include "virtual_loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct session *make_session(struct host *host, int fd)
{
    struct credentials credentials = {.pid = 1, .uid = 1};
    session_new(host->ipc, fd, &credentials, uid_account_get(host->ipc, credentials.uid));
    return CONTAINER_OF(list_first(&host->ipc->sessions), struct session, node);
}

static void put(int fd, struct host *host, struct session *session, const void *data, size_t size)
{
    (void)send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (session_find(host->ipc, 1) != NULL) {
        (void)virtual_io_ready(&session->io, IO_READ | IO_WRITE);
    }
    virtual_world_settle(virtual_loop_world(host->loop));
}

static void greet(int fd, struct host *host, struct session *session)
{
    static const char head[] = "{\"m\":\"hello\",\"p\":{\"versions\":[[1,0]]}}";
    uint8_t frame[FRAME_HEADER_SIZE + sizeof head];
    frame_encode_header(frame, FRAME_CALL, 0, 1, sizeof head - 1, 0);
    memcpy(frame + FRAME_HEADER_SIZE, head, sizeof head - 1);
    put(fd, host, session, frame, sizeof frame - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    log_set_level(LOG_LEVEL_ERROR);
    if (size == 0 || size > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0) {
        return 0;
    }
    struct loop *loop = NULL;
    (void)loop_new(&loop);
    struct host *host = fake_host_new(loop, "64K", "1M");
    struct session *session = make_session(host, fds[1]);
    if ((data[0] & 1) != 0) {
        greet(fds[0], host, session);
    }
    size_t half = size / 2;
    put(fds[0], host, session, data + 1, half > 0 ? half - 1 : 0);
    put(fds[0], host, session, data + (half > 0 ? half : 1), size - (half > 0 ? half : 1));
    (void)close(fds[0]);
    if (session_find(host->ipc, 1) != NULL) {
        (void)virtual_io_ready(&session->io, IO_READ | IO_WRITE);
    }
    fake_host_free(host);
    loop_free(loop);
    return 0;
}
