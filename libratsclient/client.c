/* The life of a handle: finding its daemon, its two threads, start, stop, and the end. */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "attach.h"
#include "clock.h"
#include "proto/json_head.h"
#include "search.h"
#include "util/text.h"

#define ATTACH_TIMEOUT_MS 5000
#define NAME_MAX_BYTES    128u
#define HOW_TO_START      "start one with 'systemctl start ratsd' or 'ratsd'"

/* The process -----------------------------------------------------------------------------------
 */

/* Counts the forks between the first process and this one; only ever changed in a new child. */
static unsigned generation;

/* All handles, for flush_at_exit(). */
static struct {
    pthread_mutex_t lock;
    struct list handles;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER, .handles = {&registry.handles, &registry.handles}};

static void before_fork(void)
{
    (void)pthread_mutex_lock(&registry.lock);
    log_before_fork();
}

static void after_fork_in_parent(void)
{
    log_after_fork();
    (void)pthread_mutex_unlock(&registry.lock);
}

static void after_fork_in_child(void)
{
    generation++;
    list_init(&registry.handles); /* the parent's; nobody here may use them */
    after_fork_in_parent();
}

static void init_once(void)
{
    json_head_init();
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* What was accepted is sent although the program ends without rats_destroy(). */
__attribute__((destructor)) static void flush_at_exit(void)
{
    const int64_t deadline_ms = clock_deadline(STOP_TIMEOUT_MS);
    (void)pthread_mutex_lock(&registry.lock);
    LIST_EACH(&registry.handles, node)
    {
        struct client *client = CONTAINER_OF(node, struct client, node);
        client_lock(client);
        (void)outbox_flush(&client->outbox, deadline_ms);
        client_unlock(client);
    }
    (void)pthread_mutex_unlock(&registry.lock);
}

static void enlist(struct client *client)
{
    (void)pthread_mutex_lock(&registry.lock);
    list_append(&registry.handles, &client->node);
    (void)pthread_mutex_unlock(&registry.lock);
}

static void delist(struct client *client)
{
    (void)pthread_mutex_lock(&registry.lock);
    list_remove(&client->node);
    (void)pthread_mutex_unlock(&registry.lock);
}

struct client *client_enter(rats_client_t handle, int null_code)
{
    struct client *client = handle;
    if (client == NULL) {
        (void)error_set(null_code, "the handle is NULL");
        return NULL;
    }
    if (client->generation != generation) {
        (void)error_set(RATS_ERROR_NOT_RUNNING,
                        "the handle belongs to the parent process; create one after fork()");
        return NULL;
    }
    error_clear();
    return client;
}

void client_lock(struct client *client)
{
    (void)pthread_mutex_lock(&client->lock);
}

void client_unlock(struct client *client)
{
    (void)pthread_mutex_unlock(&client->lock);
}

void client_wake(const struct client *client)
{
    const uint64_t one = 1;
    if (write(client->wake_fd, &one, sizeof one) < 0) {
        return; /* it is awake already */
    }
}

static void on_left(void *arg)
{
    client_wake(arg);
}

bool client_in_callback(const struct client *client)
{
    return client->has_dispatcher && pthread_equal(pthread_self(), client->dispatcher) != 0;
}

void client_wait_quiet(struct client *client)
{
    const uint64_t count = client->callback_count;
    client->waiters++;
    while (client->callback_running && client->callback_count == count) {
        (void)condition_wait(&client->quiet, &client->lock, CLOCK_FOR_EVER);
    }
    client_leave(client);
}

void client_leave(struct client *client)
{
    client->waiters--;
    if (client->closing) {
        (void)pthread_cond_broadcast(&client->quiet);
    }
}

void client_release_slice(struct client *client, struct slice *slice)
{
    inbox_release(&client->inbox, slice);
    if (client->reader_paused && client->inbox.bytes <= INBOX_MARK / 2) {
        client->reader_paused = false;
        client_wake(client);
    }
}

/* Making ----------------------------------------------------------------------------------------
 */

/* A name for session.list: valid UTF-8 of at most 128 bytes. */
static char *make_name(const char *given)
{
    const char *name = given == NULL ? program_invocation_short_name : given;
    char escaped[NAME_MAX_BYTES + 1];
    return strdup(text_escape(bytes_from_string(name), escaped, sizeof escaped));
}

static void client_free(struct client *client)
{
    delist(client);
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
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_once);
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        (void)out_of_memory();
        return NULL;
    }
    client->generation = generation;
    client->batches = options->dispatch == RATS_DISPATCH_BATCHES;
    client->requested_port = options->listen_port;
    client->fd = -1;
    client->pins = 1;
    if (pthread_mutex_init(&client->lock, NULL) != 0 || init_parts(client) < 0) {
        free(client);
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "no descriptors or locks are left");
        return NULL;
    }
    enlist(client);
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

/* Attaching ---------------------------------------------------------------------------------------
 */

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

/* Start and stop ---------------------------------------------------------------------------- */

/* (locked) */
static int check_startable(const struct client *client)
{
    if (client->socket_path == NULL) {
        return error_set(RATS_ERROR_OPERATION_FAILED,
                         "port %d is not one; allowed are 0 (any) to 65535",
                         client->requested_port);
    }
    if (client->started || client->starting) {
        return error_set(RATS_ERROR_OPERATION_FAILED, "the session is started already");
    }
    return RATS_SUCCESS;
}

int rats_start(rats_client_t handle)
{
    struct client *client = client_enter(handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return error_v1(error_code());
    }
    client_lock(client);
    int code = check_startable(client);
    if (code == RATS_SUCCESS) {
        const unsigned ticket = client->start_ticket;
        struct call call = {.purpose = CALL_START, .ticket = ticket};
        client->starting = true;
        code = request_begin(client, &call, M_SESSION_START, NULL);
        if (code == RATS_SUCCESS) {
            code = request_end(client, &call, CALL_TIMEOUT_MS, NULL);
        }
        if (client->start_ticket == ticket) {
            client->starting = false;
        } else if (code == RATS_SUCCESS) {
            code = error_set(RATS_ERROR_NOT_RUNNING, "the session was stopped meanwhile");
        }
    }
    client_unlock(client);
    return error_v1(code);
}

/* (locked) Tells the daemon, after everything that was accepted before. */
static void say_stop(struct client *client)
{
    if (client_in_callback(client)) {
        request_post(client, M_SESSION_STOP, NULL, CALL_PLAIN);
        return;
    }
    const int64_t deadline_ms = clock_deadline(STOP_TIMEOUT_MS);
    client->waiters++;
    (void)outbox_flush(&client->outbox, deadline_ms);
    struct call call = {0};
    if (request_begin(client, &call, M_SESSION_STOP, NULL) == RATS_SUCCESS) {
        (void)request_end(client, &call, clock_left_ms(deadline_ms), NULL);
    }
    client_leave(client);
    error_clear();
}

/* (locked) */
static void stop(struct client *client)
{
    const bool was_started = client->started || client->starting;
    client->start_ticket++;
    client->stops++;
    client->starting = false;
    client->started = false;
    client->epoch = 0;
    client->stream_epoch = 0;
    (void)pthread_cond_broadcast(&client->inbox.arrived);
    if (client->batches) {
        inbox_purge(&client->inbox);
    }
    if (was_started && client->attached) {
        say_stop(client);
    }
    if (!client_in_callback(client)) {
        client_wait_quiet(client);
    }
}

void rats_stop(rats_client_t handle)
{
    struct client *client = client_enter(handle, RATS_ERROR_INVALID_HANDLE);
    if (client != NULL) {
        client_lock(client);
        stop(client);
        client_unlock(client);
    }
}

/* The end ----------------------------------------------------------------------------------- */

void client_unpin(struct client *client)
{
    const bool last = --client->pins == 0;
    client_unlock(client);
    if (last) {
        client_free(client);
    }
}

void client_finish(struct client *client)
{
    if (client->socket_path != NULL) {
        (void)pthread_join(client->reader, NULL);
    }
    client_lock(client);
    while (client->waiters > 0) {
        (void)condition_wait(&client->quiet, &client->lock, CLOCK_FOR_EVER);
    }
    client_unpin(client);
}

static void destroy_in_child(struct client *client)
{
    /* Its threads do not exist here and its lock may be held for ever. */
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
}

void rats_destroy(rats_client_t handle)
{
    struct client *client = handle;
    if (client != NULL && client->generation != generation) {
        destroy_in_child(client);
        return;
    }
    client = client_enter(handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return;
    }
    const bool in_callback = client_in_callback(client);
    client_lock(client);
    stop(client);
    client->closing = true;
    client->release_deferred = in_callback;
    calls_wake_all(&client->calls);
    (void)pthread_cond_broadcast(&client->inbox.arrived);
    inbox_alarm(&client->inbox);
    client_unlock(client);
    client_wake(client);
    if (in_callback) {
        return;
    }
    if (client->has_dispatcher) {
        (void)pthread_join(client->dispatcher, NULL);
    }
    client_finish(client);
}
