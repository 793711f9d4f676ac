/* Making a handle: options, the search for a daemon, hello, and the two threads. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client.h"
#include "clock.h"
#include "connection.h"
#include "instance.h"
#include "process.h"
#include "util/text.h"

#define ATTACH_TIMEOUT_MS 5000
#define NAME_MAX_BYTES    128u

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
    typed_fini(client);
    topics_fini(client);
    storage_fini(client);
    files_fini(&client->files);
    mirror_fini(&client->mirror);
    inbox_fini(&client->inbox);
    outbox_fini(&client->outbox);
    (void)pthread_cond_destroy(&client->quiet);
    (void)pthread_mutex_destroy(&client->lock);
    daemon_log_close(&client->daemon_log);
    reading_fini(&client->reading);
    (void)close(client->wake_fd);
    origin_fini(&client->origin);
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
    rc = inbox_init(&client->inbox);
    if (rc == 0) {
        rc = mirror_init(&client->mirror);
        if (rc < 0) {
            inbox_fini(&client->inbox);
        }
    }
    if (rc < 0) {
        outbox_fini(&client->outbox);
        (void)pthread_cond_destroy(&client->quiet);
        return rc;
    }
    client->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    rc = client->wake_fd < 0 ? -errno : reading_init(&client->reading, client->wake_fd);
    if (rc < 0) {
        if (client->wake_fd >= 0) {
            (void)close(client->wake_fd);
        }
        mirror_fini(&client->mirror);
        inbox_fini(&client->inbox);
        outbox_fini(&client->outbox);
        (void)pthread_cond_destroy(&client->quiet);
    }
    return rc;
}

/* The lock is held for a microsecond or so at a time: whoever finds it taken does better to spin
 * that long than to sleep and be woken. 0 or a negative errno. */
static int init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;
    int rc = pthread_mutexattr_init(&attributes);
    if (rc == 0) {
        (void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
        rc = pthread_mutex_init(lock, &attributes);
        (void)pthread_mutexattr_destroy(&attributes);
    }
    return -rc;
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
    client->daemon_log.fd = -1;
    if (init_lock(&client->lock) < 0 || init_parts(client) < 0) {
        free(client);
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "no descriptors or locks are left");
        return NULL;
    }
    process_enlist(client);
    calls_init(&client->calls);
    map_init(&client->channels, client->mirror.peers.seed);
    map_init(&client->types, client->mirror.peers.seed);
    map_init(&client->topics, client->mirror.peers.seed);
    list_init(&client->watches);
    files_init(&client->files, client->mirror.peers.seed);
    receiver_init(&client->receiver);
    client->name = make_name(options->name);
    client->slow = strdup(options->slow == NULL ? "stall" : options->slow);
    if (client->name != NULL && client->slow != NULL) {
        client->handle = handle_new(client);
    }
    if (client->handle == NULL) {
        client_free(client);
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "no memory is left");
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
            reading_interrupt(client);
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

/* The instance becomes the handle's. What was found is taken. */
static int adopt(struct client *client, struct instance_found *found)
{
    int rc = mirror_set_hello(&client->mirror, found->hello, clock_now_ms());
    json_decref(found->hello);
    client_take_log(client, found->log_fd); /* closed with the handle */
    client->socket_path = strdup(found->path);
    rc = rc == 0 ? connection_adopt(client, found->fd) : rc;
    if (rc < 0 || client->socket_path == NULL) {
        (void)close(found->fd);
        return rc == -EBADMSG
                   ? error_set(RATS_ERROR_NOT_SUPPORTED,
                               "the answer of the daemon at %s is not understood", found->path)
                   : out_of_memory();
    }
    if (start_threads(client) < 0) {
        (void)close(found->fd);
        client->fd = -1;
        return error_set(RATS_ERROR_OPERATION_FAILED, "no thread can be started");
    }
    return RATS_SUCCESS;
}

static const char *named_socket(const rats_options_t *options)
{
    const char *named = options->socket_path;
    if (named == NULL) {
        named = secure_getenv("RATS_SOCKET");
    }
    return named != options->socket_path && named != NULL && named[0] == '\0' ? NULL : named;
}

static int attach(struct client *client, const rats_options_t *options)
{
    struct instance_found found = {.fd = -1, .log_fd = -1};
    struct instance_wish wish = {
        .socket_path = named_socket(options),
        .port = options->listen_port,
        .policy = options->instance == 1 ? POLICY_SHARED : POLICY_PRIVATE,
        .client_name = client->name,
        .slow = client->slow,
        .data_dir = options->data_dir,
        .protocol = options->protocol,
        .bind_address = options->bind_address,
        .security = options->security,
        .deadline_ms =
            clock_deadline(options->timeout_ms <= 0 ? ATTACH_TIMEOUT_MS : options->timeout_ms),
    };
    if (wish.socket_path == NULL && (wish.port < 0 || wish.port > 65535)) {
        return RATS_SUCCESS; /* rats_start() will tell */
    }
    int code = RATS_SUCCESS;
    if (options->instance == 0) {
        code = instance_policy_from_environment(&wish.policy);
    }
    if (code == RATS_SUCCESS) {
        code =
            origin_set(&client->origin, &wish) < 0 ? out_of_memory() : instance_find(&wish, &found);
    }
    return code == RATS_SUCCESS ? adopt(client, &found) : code;
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
    if (options->transports != 0 && (options->transports & RATS_TRANSPORT_TCP) == 0) {
        return error_set(RATS_ERROR_NOT_SUPPORTED, "this version of ratsd has TCP only");
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
        (void)handle_retire(client->handle);
        handle_release(client->handle);
        return NULL;
    }
    error_clear();
    return client->handle;
}

rats_client_t rats_create(int listen_port)
{
    const rats_options_t options = {
        .struct_size = sizeof options, .listen_port = listen_port, .security = -1};
    return create(&options);
}

rats_client_t rats_create_at(const char *socket_path)
{
    const rats_options_t options = {
        .struct_size = sizeof options, .socket_path = socket_path, .security = -1};
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
