/* Making a handle: options, the search for a daemon, hello, and the two threads. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "attach.h"
#include "client.h"
#include "clock.h"
#include "process.h"
#include "search.h"
#include "util/text.h"

#define ATTACH_TIMEOUT_MS 5000
#define NAME_MAX_BYTES    128u
#define HOW_TO_START      "start one with 'systemctl start ratsd' or 'ratsd'"

/* The reader is woken for what a sender has left in the outbox. */
static void on_left(void *arg)
{
    client_wake(arg);
}

/* Making ------------------------------------------------------------------------------------ */

/* A name for session.list: valid UTF-8 of at most 128 bytes. */
static char *make_name(const char *given)
{
    const char *name = given == NULL ? program_invocation_short_name : given;
    char escaped[NAME_MAX_BYTES + 1];
    return strdup(text_escape(bytes_from_string(name), escaped, sizeof escaped));
}

void client_free(struct client *client)
{
    process_delist(client);
    channels_fini(client);
    mirror_fini(&client->mirror);
    inbox_fini(&client->inbox);
    outbox_fini(&client->outbox);
    (void)pthread_cond_destroy(&client->quiet);
    (void)pthread_mutex_destroy(&client->lock);
    if (client->wake_fd >= 0) {
        (void)close(client->wake_fd);
    }
    free(client->watched);
    free(client->socket_path);
    free(client->name);
    free(client->slow);
    free(client);
}

static int out_of_memory(void)
{
    return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
}

/* The parts that need undoing one by one when a later one fails. 0 or a negative errno. */
static int init_parts(struct client *client)
{
    int rc = condition_init(&client->quiet);
    if (rc < 0) {
        return rc;
    }
    rc = outbox_init(&client->outbox, &client->lock, on_left, client);
    if (rc < 0) {
        (void)pthread_cond_destroy(&client->quiet);
        return rc;
    }
    rc = inbox_init(&client->inbox, client->batches);
    if (rc < 0) {
        outbox_fini(&client->outbox);
        (void)pthread_cond_destroy(&client->quiet);
    }
    return rc;
}

/* A handle without a connection. NULL, with the last error set, when resources are out. */
static struct client *client_new(const rats_options_t *options)
{
    process_init();
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        (void)out_of_memory();
        return NULL;
    }
    client->generation = process_generation();
    client->batches = options->dispatch == RATS_DISPATCH_BATCHES;
    client->requested_port = options->listen_port;
    client->fd = -1;
    client->pins = 1;
    if (pthread_mutex_init(&client->lock, NULL) != 0 || init_parts(client) < 0) {
        free(client);
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "no descriptors or locks are left");
        return NULL;
    }
    process_enlist(client);
    calls_init(&client->calls);
    mirror_init(&client->mirror);
    map_init(&client->channels, client->mirror.peers.seed);
    client->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    client->name = make_name(options->name);
    client->slow = strdup(options->slow == NULL ? "stall" : options->slow);
    if (client->wake_fd < 0 || client->name == NULL || client->slow == NULL) {
        client_free(client);
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "no memory or descriptors are left");
        return NULL;
    }
    return client;
}

/* 0 or a negative errno. The threads take no signals: those are the application's. */
static int start_threads(struct client *client)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = 0;
    if (!client->batches) {
        /* Under the lock, so that the thread finds itself in client->dispatcher. */
        client_lock(client);
        rc = -pthread_create(&client->dispatcher, NULL, dispatch_main, client);
        client->has_dispatcher = rc == 0;
        client_unlock(client);
    }
    if (rc == 0) {
        rc = -pthread_create(&client->reader, NULL, reader_main, client);
        if (rc == 0) {
            (void)pthread_setname_np(client->reader, "rats-reader");
        } else if (client->has_dispatcher) {
            client_lock(client);
            client->closing = true;
            (void)pthread_cond_broadcast(&client->inbox.arrived);
            client_unlock(client);
            (void)pthread_join(client->dispatcher, NULL);
        }
    }
    if (rc == 0 && client->has_dispatcher) {
        (void)pthread_setname_np(client->dispatcher, "rats-callbacks");
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* Attaching --------------------------------------------------------------------------------- */

/* The daemon's answer and the socket become the handle's. Both are taken. */
static int adopt(struct client *client, const char *path, int fd, json_t *hello)
{
    const int rc = mirror_set_hello(&client->mirror, hello, clock_now_ms());
    json_decref(hello);
    client->socket_path = strdup(path);
    if (rc < 0 || client->socket_path == NULL) {
        (void)close(fd);
        return rc == -EBADMSG ? error_set(RATS_ERROR_NOT_SUPPORTED,
                                          "the answer of the daemon at %s is not understood", path)
                              : out_of_memory();
    }
    client->fd = fd;
    client->attached = true;
    outbox_attach(&client->outbox, fd);
    if (start_threads(client) < 0) {
        (void)close(fd);
        client->fd = -1;
        return error_set(RATS_ERROR_OPERATION_FAILED, "no thread can be started");
    }
    return RATS_SUCCESS;
}

/* Tries one socket. port: 0, or what the instance must listen on (else NO_DAEMON). */
static int try_socket(struct client *client, const char *path, int port, int64_t deadline_ms,
                      char error[ERROR_TEXT_SIZE])
{
    const struct attach_options options = {
        .path = path,
        .name = client->name,
        .slow = client->slow,
        .deadline_ms = deadline_ms,
        .wake_fd = -1,
    };
    int fd = -1;
    json_t *hello = NULL;
    int code = attach_open(&options, &fd, &hello, error);
    if (code != RATS_SUCCESS) {
        return code;
    }
    const int listens = (int)json_integer_value(json_object_get(hello, "listen_port"));
    if (port != 0 && listens != port) {
        snprintf(error, ERROR_TEXT_SIZE, "the daemon at %s listens on port %d", path, listens);
        json_decref(hello);
        (void)close(fd);
        return RATS_ERROR_NO_DAEMON;
    }
    code = adopt(client, path, fd, hello);
    if (code != RATS_SUCCESS) {
        snprintf(error, ERROR_TEXT_SIZE, "%s", rats_last_error_message(NULL));
    }
    return code;
}

/* A socket that was named: any failure is the answer. */
static int attach_named(struct client *client, const char *path, int64_t deadline_ms)
{
    char error[ERROR_TEXT_SIZE];
    const int code = try_socket(client, path, 0, deadline_ms, error);
    if (code == RATS_ERROR_NO_DAEMON) {
        return error_set(code, "no ratsd: %s; " HOW_TO_START, error);
    }
    return code == RATS_SUCCESS ? code : error_set(code, "%s", error);
}

/* The usual places, user before system. */
static int attach_found(struct client *client, int port, int64_t deadline_ms)
{
    struct search_place places[SEARCH_PLACES];
    const size_t count = search_places(places);
    char tried[ERROR_TEXT_SIZE] = "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        char error[ERROR_TEXT_SIZE];
        int code = RATS_ERROR_NO_DAEMON;
        if (places[i].safe) {
            code = try_socket(client, places[i].path, port, deadline_ms, error);
        } else {
            snprintf(error, sizeof error, "%s is in somebody else's directory and was not used",
                     places[i].path);
        }
        if (code == RATS_SUCCESS) {
            return code;
        }
        if (code != RATS_ERROR_NO_DAEMON && code != RATS_ERROR_NOT_PERMITTED) {
            return error_set(code, "%s", error);
        }
        const int more =
            snprintf(tried + used, sizeof tried - used, "%s%s", i == 0 ? "" : "; ", error);
        used += more < 0 ? 0 : (size_t)more;
        used = used < sizeof tried ? used : sizeof tried - 1;
    }
    if (port != 0) {
        return error_set(RATS_ERROR_NO_DAEMON,
                         "no ratsd that listens on port %d: %s; " HOW_TO_START
                         " with '--listen %d'",
                         port, tried, port);
    }
    return error_set(RATS_ERROR_NO_DAEMON, "no ratsd: %s; " HOW_TO_START, tried);
}

static int attach(struct client *client, const rats_options_t *options)
{
    const int64_t deadline_ms =
        clock_deadline(options->timeout_ms <= 0 ? ATTACH_TIMEOUT_MS : options->timeout_ms);
    const char *named = options->socket_path;
    if (named == NULL) {
        named = secure_getenv("RATS_SOCKET");
        named = named != NULL && named[0] == '\0' ? NULL : named;
    }
    if (named != NULL) {
        return attach_named(client, named, deadline_ms);
    }
    if (options->listen_port < 0 || options->listen_port > 65535) {
        return RATS_SUCCESS; /* rats_start() will tell */
    }
    return attach_found(client, options->listen_port, deadline_ms);
}

static int check_options(const rats_options_t *options)
{
    static const char *const policies[] = {"stall", "drop", "close"};
    bool known = options->slow == NULL;
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        known = known || strcmp(options->slow, policies[i]) == 0;
    }
    if (!known) {
        return error_set(RATS_ERROR_INVALID_PARAMETER,
                         "option 'slow' is none of \"stall\", \"drop\", \"close\"");
    }
    if (options->dispatch != RATS_DISPATCH_CALLBACKS &&
        options->dispatch != RATS_DISPATCH_BATCHES) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "option 'dispatch' is neither 0 nor 1");
    }
    if (options->security < -1 || options->security > 1 || options->instance < 0 ||
        options->instance > 2) {
        return error_set(RATS_ERROR_INVALID_PARAMETER,
                         "option 'security' is -1 to 1 and 'instance' 0 to 2");
    }
    if (options->instance == 2) {
        return error_set(RATS_ERROR_NOT_SUPPORTED,
                         "this version of librats starts no private instances");
    }
    return RATS_SUCCESS;
}

static rats_client_t create(const rats_options_t *options)
{
    error_clear();
    struct client *client = client_new(options);
    if (client == NULL) {
        return NULL;
    }
    if (attach(client, options) != RATS_SUCCESS) {
        client_free(client);
        return NULL;
    }
    error_clear();
    return client;
}

rats_client_t rats_create(int listen_port)
{
    const rats_options_t options = {.struct_size = sizeof options, .listen_port = listen_port};
    return create(&options);
}

rats_client_t rats_create_at(const char *socket_path)
{
    const rats_options_t options = {.struct_size = sizeof options, .socket_path = socket_path};
    if (socket_path == NULL) {
        (void)error_set(RATS_ERROR_INVALID_PARAMETER, "the path of the socket is NULL");
        return NULL;
    }
    return create(&options);
}

rats_client_t rats_create_with(const rats_options_t *options)
{
    /* An older program's struct is a prefix of ours. Its first version ended with `slow`. */
    rats_options_t known = {.security = -1};
    if (options == NULL || options->struct_size < sizeof known) {
        (void)error_set(RATS_ERROR_INVALID_PARAMETER,
                        "the options are NULL or their struct_size is not set");
        return NULL;
    }
    memcpy(&known, options, sizeof known);
    return check_options(&known) == RATS_SUCCESS ? create(&known) : NULL;
}
