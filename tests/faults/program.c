/* A program that uses much of librats.h, for test_allocations.py to take memory away from:
 *
 *   program SOCKET OTHER_SOCKET
 *
 * It attaches to two daemons and talks to itself through them, from the beginning to the end,
 * twice. A call may fail, then that pass ends early; it must end, and with a code librats.h knows.
 * Exit status: 0 when a pass went through, 3 when none did, 4 when a code or a value cannot be.
 * What went wrong is on standard error. */
#include <librats.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHANNEL     "faults.program"
#define WAIT_S      2
#define BIG         100000
#define LOWEST_CODE RATS_ERROR_NOT_FOUND

enum kind { CONNECTED, STRING, BINARY, JSON, NAMED, FILED, DISCONNECTED, KINDS };

/* What has been heard on the second handle; one of each is enough. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static bool heard[KINDS];
static bool is_wrong;

struct pass {
    rats_client_t near_end;
    rats_client_t far_end;
    char *near_id;
    char *far_id;
    char *big;
    const char *other_socket;
    char directory[32]; /* of what is received */
    char copy[40];
};

static void hear(enum kind kind)
{
    (void)pthread_mutex_lock(&lock);
    heard[kind] = true;
    (void)pthread_cond_broadcast(&news);
    (void)pthread_mutex_unlock(&lock);
}

static bool wait_for(enum kind kind)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    (void)pthread_mutex_lock(&lock);
    while (!heard[kind] && pthread_cond_timedwait(&news, &lock, &until) == 0) {
    }
    bool result = heard[kind];
    (void)pthread_mutex_unlock(&lock);
    return result;
}

static void on_connected(void *user_data, const char *peer_id)
{
    (void)user_data;
    (void)peer_id;
    hear(CONNECTED);
}

static void on_disconnected(void *user_data, const char *peer_id)
{
    (void)user_data;
    (void)peer_id;
    hear(DISCONNECTED);
}

static void on_string(void *user_data, const char *peer_id, const char *text)
{
    (void)user_data;
    (void)peer_id;
    is_wrong |= strcmp(text, "a string") != 0;
    hear(STRING);
}

static void on_binary(void *user_data, const char *peer_id, const void *data, size_t size)
{
    (void)user_data;
    (void)peer_id;
    is_wrong |= size != BIG || memchr(data, 1, size) != NULL;
    hear(BINARY);
}

static void on_json(void *user_data, const char *peer_id, const char *text)
{
    (void)user_data;
    (void)peer_id;
    is_wrong |= strstr(text, "42") == NULL;
    hear(JSON);
}

static void on_named(void *user_data, const char *peer_id, const char *channel, const void *data,
                     size_t size)
{
    is_wrong |= strcmp(channel, CHANNEL) != 0 || size != 5 || memcmp(data, "named", 5) != 0;
    /* From inside a callback, too. */
    free(rats_get_peer_info_json(user_data, peer_id));
    hear(NAMED);
}

static void on_event(void *user_data, const char *name, const char *json, uint64_t sequence)
{
    (void)user_data;
    (void)name;
    (void)json;
    (void)sequence;
}

static void on_file(void *user_data, const char *peer_id, const char *transfer_id,
                    const char *remote_path, const char *filename)
{
    const struct pass *pass = user_data;
    (void)peer_id;
    is_wrong |= *remote_path != '\0' || strcmp(filename, "a file") != 0;
    (void)rats_accept_file_transfer(pass->far_end, transfer_id, pass->copy);
}

static void on_progress(void *user_data, const char *transfer_id, int percent, const char *status)
{
    (void)user_data;
    (void)transfer_id;
    if (strcmp(status, "COMPLETED") == 0) {
        is_wrong |= percent != 100;
        hear(FILED);
    }
}

/* Whether a step that answers with a code went well. */
static bool went(const char *step, int code)
{
    if (code == RATS_SUCCESS) {
        return true;
    }
    if (code > 0 || code < LOWEST_CODE) {
        (void)dprintf(STDERR_FILENO, "%s answered %d\n", step, code);
        is_wrong = true;
    }
    (void)dprintf(STDERR_FILENO, "%s: %s\n", step, rats_last_error_message(NULL));
    return false;
}

/* One that answers with a pointer. */
static bool got(const char *step, const void *pointer)
{
    if (pointer != NULL) {
        return true;
    }
    (void)went(step, rats_last_error(NULL));
    if (rats_last_error(NULL) == RATS_SUCCESS) {
        (void)dprintf(STDERR_FILENO, "%s failed without an error\n", step);
        is_wrong = true;
    }
    return false;
}

static bool came(enum kind kind)
{
    if (!wait_for(kind)) {
        (void)dprintf(STDERR_FILENO, "waited in vain for %d\n", (int)kind);
        return false;
    }
    return true;
}

static bool attach(struct pass *pass, const char *socket)
{
    pass->near_end = rats_create_at(socket);
    if (!got("create", pass->near_end)) {
        return false;
    }
    rats_options_t options = {
        .struct_size = sizeof options,
        .socket_path = pass->other_socket,
        .name = "far end",
        .security = -1,
    };
    pass->far_end = rats_create_with(&options);
    return got("create_with", pass->far_end);
}

static bool prepare(struct pass *pass)
{
    rats_client_t far_end = pass->far_end;
    rats_set_connection_callback(far_end, on_connected, NULL);
    rats_set_disconnect_callback(far_end, on_disconnected, NULL);
    rats_set_string_callback(far_end, on_string, NULL);
    rats_set_binary_callback(far_end, on_binary, NULL);
    rats_set_json_callback(far_end, on_json, NULL);
    rats_set_event_callback(far_end, on_event, NULL);
    rats_set_file_request_callback(far_end, on_file, pass);
    rats_set_file_progress_callback(pass->near_end, on_progress, NULL);
    pass->near_id = rats_get_our_peer_id(pass->near_end);
    pass->far_id = rats_get_our_peer_id(far_end);
    pass->big = calloc(1, BIG);
    return pass->big != NULL && got("our id", pass->near_id) && got("its id", pass->far_id) &&
           went("channel_on", rats_channel_on(far_end, CHANNEL, on_named, far_end)) &&
           went("start near", rats_start(pass->near_end)) && went("start far", rats_start(far_end));
}

static bool send_everything(struct pass *pass)
{
    rats_client_t from = pass->near_end;
    return went("connect", rats_connect(from, "127.0.0.1", rats_get_listen_port(pass->far_end)) == 1
                               ? RATS_SUCCESS
                               : rats_last_error(NULL)) &&
           came(CONNECTED) && went("string", rats_send_string(from, pass->far_id, "a string")) &&
           went("binary", rats_send_binary(from, pass->far_id, pass->big, BIG)) &&
           went("json", rats_send_json(from, pass->far_id, "{\"n\":42}")) &&
           went("named", rats_channel_send(from, pass->far_id, CHANNEL, "named", 5)) &&
           came(STRING) && came(BINARY) && came(JSON) && came(NAMED);
}

/* A getter's text, looked at and released. */
static bool text(const char *step, char *value)
{
    bool result = got(step, value);
    is_wrong |= result && *value == '\0';
    rats_string_free(value);
    return result;
}

static bool ask_everything(struct pass *pass)
{
    rats_client_t client = pass->near_end;
    int count = 0;
    char **ids = rats_get_peer_ids(client, &count);
    bool result = ids != NULL; /* none while the daemon is gone, and that is no error */
    is_wrong |= result && count < 1;
    rats_free_array(ids, count);
    char *answer = NULL;
    result = result && went("call", rats_call(client, "session.list", NULL, 5000, &answer));
    rats_string_free(answer);
    return result && text("info", rats_get_peer_info_json(client, pass->far_id)) &&
           text("instance", rats_get_instance_json(client)) &&
           text("key", rats_get_public_key(client)) &&
           text("statistics", rats_get_connection_statistics_json(client)) &&
           text("socket", rats_get_socket_path(client)) &&
           text("protocol", rats_get_protocol_name(client)) &&
           went("same protocol", rats_set_protocol_version(client, "1.0")) &&
           went("demand", rats_set_max_peers(client, 10)) &&
           went("channel_off", rats_channel_off(pass->far_end, CHANNEL));
}

static bool send_file(const struct pass *pass)
{
    char *id = rats_send_file(pass->near_end, pass->far_id, "/proc/self/exe", "a file");
    bool result = got("send_file", id) && came(FILED);
    if (result) {
        is_wrong |= access(pass->copy, R_OK) != 0;
        result = text("progress", rats_get_file_transfer_progress_json(pass->near_end, id)) &&
                 text("transfers", rats_get_file_transfers_json(pass->near_end)) &&
                 text("sums", rats_get_file_transfer_statistics_json(pass->near_end)) &&
                 went("share", rats_add_share_root(pass->near_end, pass->directory));
    }
    rats_string_free(id);
    return result;
}

/* The same without callbacks. */
static bool take_batches(const struct pass *pass)
{
    rats_options_t options = {
        .struct_size = sizeof options,
        .socket_path = pass->other_socket,
        .security = -1,
        .dispatch = RATS_DISPATCH_BATCHES,
    };
    rats_client_t client = rats_create_with(&options);
    size_t size = 0;
    bool result = got("create batches", client) && went("start batches", rats_start(client)) &&
                  went("for a batch", rats_send_string(pass->near_end, pass->far_id, "a string"));
    if (result) {
        const void *batch = rats_take_batch(client, WAIT_S * 1000, &size);
        result = got("batch", batch);
        rats_release_batch(client, batch);
    }
    rats_destroy(client);
    return result;
}

static bool run(struct pass *pass, const char *socket)
{
    memset(heard, 0, sizeof heard);
    bool result = attach(pass, socket) && prepare(pass) && send_everything(pass) &&
                  ask_everything(pass) && send_file(pass) && take_batches(pass) &&
                  went("disconnect", rats_disconnect_peer_by_id(pass->near_end, pass->far_id)) &&
                  came(DISCONNECTED);
    rats_stop(pass->far_end);
    rats_destroy(pass->near_end);
    rats_destroy(pass->far_end);
    rats_string_free(pass->near_id);
    rats_string_free(pass->far_id);
    free(pass->big);
    return result;
}

int main(int argc, char **argv)
{
    int successes = 0;
    if (argc != 3) {
        (void)dprintf(STDERR_FILENO, "usage: program SOCKET OTHER_SOCKET\n");
        return 2;
    }
    for (int i = 0; i < 2; i++) {
        struct pass pass = {.other_socket = argv[2], .directory = P_tmpdir "/rats-program-XXXXXX"};
        if (mkdtemp(pass.directory) == NULL) {
            return 2;
        }
        (void)snprintf(pass.copy, sizeof pass.copy, "%s/copy", pass.directory);
        successes += run(&pass, argv[1]);
        (void)unlink(pass.copy);
        /* Nothing else was left in it. */
        is_wrong |= rmdir(pass.directory) != 0;
    }
    if (is_wrong) {
        return 4;
    }
    return successes > 0 ? 0 : 3;
}
