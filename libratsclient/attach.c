#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "proto/frame.h"
#include "proto/json_head.h"
#include "proto/methods.h"

#define HELLO_ID   1u
#define MOST_HELLO ((size_t)4 * 1024 * 1024) /* a hello with thousands of peers */

int call_frame(uint64_t id, const char *method, const char *params, uint8_t fds, size_t body_size,
               uint8_t **ret_frame, size_t *ret_size)
{
    const size_t most = strlen(method) + strlen(params) + 16;
    if (most > FRAME_MAX_HEAD) {
        return -E2BIG;
    }
    uint8_t *frame = malloc(FRAME_HEADER_SIZE + most);
    if (frame == NULL) {
        return -ENOMEM;
    }
    const int size = snprintf((char *)frame + FRAME_HEADER_SIZE, most, "{\"m\":\"%s\",\"p\":%s}",
                              method, params);
    frame_encode_header(frame, FRAME_CALL, fds, id, (size_t)size, body_size);
    *ret_frame = frame;
    *ret_size = FRAME_HEADER_SIZE + (size_t)size;
    return 0;
}

/* Why connect() was refused for lack of rights, and what to do about it. */
static int explain_permission(const char *path, char error[ERROR_TEXT_SIZE])
{
    char buffer[1024];
    struct group entry;
    struct group *found = NULL;
    struct stat info;
    if (stat(path, &info) != 0) {
        /* The directory keeps us out: its group is the one that counts. */
        char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
        snprintf(directory, sizeof directory, "%s", path);
        char *slash = strrchr(directory, '/');
        if (slash == NULL || slash == directory) {
            return error_note(error, RATS_ERROR_NOT_PERMITTED, "no permission to open %s", path);
        }
        *slash = '\0';
        if (stat(directory, &info) != 0) {
            return error_note(error, RATS_ERROR_NOT_PERMITTED, "no permission to open %s", path);
        }
    }
    if (getgrgid_r(info.st_gid, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL) {
        return error_note(
            error, RATS_ERROR_NOT_PERMITTED,
            "no permission to open %s: it belongs to group %lu; ask an administrator to add "
            "you to that group, then log in again",
            path, (unsigned long)info.st_gid);
    }
    return error_note(
        error, RATS_ERROR_NOT_PERMITTED,
        "no permission to open %s: it belongs to group '%s'; join with 'sudo usermod -aG %s "
        "\"$USER\"', then log in again",
        path, found->gr_name, found->gr_name);
}

static int connect_socket(const char *path, int64_t deadline_ms, int *ret_fd,
                          char error[ERROR_TEXT_SIZE])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof address.sun_path) {
        return error_note(error, RATS_ERROR_INVALID_PARAMETER,
                          "the path of a socket has 1 to %zu bytes", sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return error_note(error, RATS_ERROR_OPERATION_FAILED, "no socket: %s", strerror(errno));
    }
    /* A full queue of connections makes connect() wait that long. */
    const int left = clock_left_ms(deadline_ms);
    const struct timeval limit = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 + 1};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        const int problem = errno;
        (void)close(fd);
        switch (problem) {
        case EACCES:
        case EPERM:
            return explain_permission(path, error);
        case ENOENT:
        case ENOTDIR:
            return error_note(error, RATS_ERROR_NO_DAEMON, "%s does not exist", path);
        case ECONNREFUSED:
            return error_note(error, RATS_ERROR_NO_DAEMON, "nobody listens at %s", path);
        case EAGAIN:
            return error_note(error, RATS_ERROR_TIMEOUT, "the daemon at %s does not answer", path);
        default:
            return error_note(error, RATS_ERROR_NO_DAEMON, "cannot connect to %s: %s", path,
                              strerror(problem));
        }
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    *ret_fd = fd;
    return RATS_SUCCESS;
}

/* 0; -ETIMEDOUT; -ECANCELED when wake_fd said so. */
static int wait_for(int fd, short events, const struct attach_options *options)
{
    struct pollfd items[2] = {{.fd = fd, .events = events},
                              {.fd = options->wake_fd, .events = POLLIN}};
    const int ready = poll(items, 2, clock_left_ms(options->deadline_ms));
    if (ready == 0) {
        return -ETIMEDOUT;
    }
    return ready > 0 && items[1].revents != 0 ? -ECANCELED : 0;
}

static int send_all(int fd, const uint8_t *data, size_t size, const struct attach_options *options)
{
    while (size > 0) {
        const ssize_t written = send(fd, data, size, MSG_NOSIGNAL);
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        } else if (written < 0 && errno == EAGAIN) {
            const int rc = wait_for(fd, POLLOUT, options);
            if (rc < 0) {
                return rc;
            }
        } else if (written < 0 && errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

static int receive_all(int fd, uint8_t *data, size_t size, const struct attach_options *options)
{
    while (size > 0) {
        const ssize_t got = recv(fd, data, size, 0);
        if (got > 0) {
            data += got;
            size -= (size_t)got;
        } else if (got == 0) {
            return -ECONNRESET;
        } else if (errno == EAGAIN) {
            const int rc = wait_for(fd, POLLIN, options);
            if (rc < 0) {
                return rc;
            }
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

/* Exactly one frame, so that the reader thread begins at a frame. */
static int receive_frame(int fd, const struct attach_options *options, uint8_t **ret_data,
                         struct frame *ret_frame)
{
    uint8_t header[FRAME_HEADER_SIZE];
    int rc = receive_all(fd, header, sizeof header, options);
    if (rc < 0) {
        return rc;
    }
    size_t size = 0;
    const enum frame_status status = frame_decode(header, sizeof header, ret_frame, &size);
    if (status < 0 || size > MOST_HELLO) {
        return -EBADMSG;
    }
    uint8_t *data = malloc(size);
    if (data == NULL) {
        return -ENOMEM;
    }
    memcpy(data, header, sizeof header);
    rc = receive_all(fd, data + sizeof header, size - sizeof header, options);
    if (rc == 0 && frame_decode(data, size, ret_frame, &size) != FRAME_OK) {
        rc = -EBADMSG;
    }
    if (rc < 0) {
        free(data);
        return rc;
    }
    *ret_data = data;
    return 0;
}

static char *hello_params(const struct attach_options *options)
{
    json_t *params =
        json_pack("{s:[[i,i]], s:s, s:s, s:s}", "versions", PROTO_MAJOR, PROTO_MINOR, "agent",
                  "librats/" RATS_VERSION, "name", options->name, "slow", options->slow);
    char *text = params == NULL ? NULL : json_dumps(params, JSON_COMPACT);
    json_decref(params);
    return text;
}

static int say_hello(int fd, const struct attach_options *options, uint8_t **ret_data,
                     struct frame *ret_frame)
{
    char *params = hello_params(options);
    uint8_t *frame = NULL;
    size_t size = 0;
    int rc = params == NULL ? -ENOMEM : call_frame(HELLO_ID, "hello", params, 0, 0, &frame, &size);
    free(params);
    if (rc == 0) {
        rc = send_all(fd, frame, size, options);
    }
    free(frame);
    /* Whatever send() said, the daemon may have said why before it closed. */
    if (rc == 0 || rc == -EPIPE || rc == -ECONNRESET) {
        rc = receive_frame(fd, options, ret_data, ret_frame);
    }
    return rc;
}

/* The daemon's highest version, from the details of a FAIL `version`, compared with ours. */
static const char *older_side(const json_t *details)
{
    const json_t *versions = json_object_get(details, "versions");
    if (json_array_size(versions) == 0) {
        return "update the older of the two";
    }
    json_int_t highest = 0;
    for (size_t i = 0; i < json_array_size(versions); i++) {
        const json_int_t major = json_integer_value(json_array_get(json_array_get(versions, i), 0));
        highest = major > highest ? major : highest;
    }
    return highest < PROTO_MAJOR ? "the daemon is older: update ratsd"
                                 : "this program's librats is older: update librats";
}

static int explain_refusal(const char *path, const json_t *head, char error[ERROR_TEXT_SIZE])
{
    const char *name = json_string_value(json_object_get(head, "e"));
    const char *text = json_string_value(json_object_get(head, "text"));
    const enum proto_error problem = proto_error_from_name(name == NULL ? "" : name);
    if (problem == E_VERSION) {
        return error_note(
            error, RATS_ERROR_NOT_SUPPORTED,
            "no common protocol version with the daemon at %s (%s); librats " RATS_VERSION
            " speaks %d.%d; %s",
            path, text == NULL ? "" : text, PROTO_MAJOR, PROTO_MINOR,
            older_side(json_object_get(head, "d")));
    }
    return error_note(error, proto_errors[problem].code, "the daemon at %s refused: %s", path,
                      text == NULL ? proto_errors[problem].meaning : text);
}

static int explain_errno(const char *path, int rc, char error[ERROR_TEXT_SIZE])
{
    switch (rc) {
    case -ETIMEDOUT:
        return error_note(error, RATS_ERROR_TIMEOUT, "the daemon at %s does not answer", path);
    case -ENOMEM:
        return error_note(error, RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    case -ECONNRESET:
    case -EPIPE:
        return error_note(
            error, RATS_ERROR_OPERATION_FAILED,
            "the daemon at %s closed the connection before it answered; its log says why "
            "('journalctl -u ratsd')",
            path);
    case -EBADMSG:
        return error_note(error, RATS_ERROR_NOT_SUPPORTED,
                          "who listens at %s does not speak rats-ipc", path);
    default:
        return error_note(error, RATS_ERROR_OPERATION_FAILED, "the daemon at %s: %s", path,
                          strerror(-rc));
    }
}

static int read_answer(const struct attach_options *options, const struct frame *frame,
                       json_t **ret_hello, char error[ERROR_TEXT_SIZE])
{
    char problem[128];
    json_t *head = NULL;
    if (frame->head_size > 0) {
        head = json_head_parse(frame->head, frame->head_size, problem, sizeof problem);
    } else { /* a long result travels as body */
        (void)json_read((const char *)frame->body, frame->body_size, &head);
    }
    if (!json_is_object(head)) {
        json_decref(head);
        return explain_errno(options->path, -EBADMSG, error);
    }
    if (frame->kind == FRAME_REPLY && frame->id == HELLO_ID) {
        *ret_hello = head;
        return RATS_SUCCESS;
    }
    const int code = frame->kind == FRAME_FAIL ? explain_refusal(options->path, head, error)
                                               : explain_errno(options->path, -EBADMSG, error);
    json_decref(head);
    return code;
}

int attach_open(const struct attach_options *options, int *ret_fd, json_t **ret_hello,
                char error[ERROR_TEXT_SIZE])
{
    int fd = -1;
    int code = connect_socket(options->path, options->deadline_ms, &fd, error);
    if (code != RATS_SUCCESS) {
        return code;
    }
    uint8_t *data = NULL;
    struct frame frame;
    const int rc = say_hello(fd, options, &data, &frame);
    code = rc < 0 ? explain_errno(options->path, rc, error)
                  : read_answer(options, &frame, ret_hello, error);
    free(data);
    if (code != RATS_SUCCESS) {
        (void)close(fd);
        return code;
    }
    *ret_fd = fd;
    return RATS_SUCCESS;
}
