/* ratsd: builds everything in order, runs, tears down in reverse. */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "check_config.h"
#include "core/by_port.h"
#include "core/config.h"
#include "core/database.h"
#include "core/launch.h"
#include "core/listen_fds.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/netwatch.h"
#include "core/notify.h"
#include "core/resolver.h"
#include "core/worker.h"
#include "crypto/library.h"
#include "ipc/ipc.h"
#include "metrics/metrics.h"
#include "options.h"
#include "paths.h"
#include "peer/mesh.h"
#include "proto/json_head.h"
#include "service/life.h"
#include "services.h"
#include "state.h"
#include "util/alloc.h"

#define ERROR_SIZE     (2 * PATH_MAX + 512) /* a sentence that names two paths */
#define DRAIN_MS       2000                 /* SIGTERM: how long queued bytes may take to leave */
#define DRAIN_CHECK_MS 20
#define ATTACH_MS      10000 /* a private instance waits that long for its first session */
#define MAX_SECTIONS   64
#define STATUS_SIZE    64
#define WORKER_THREADS 4
#define HOT_MEMORY     (16 * 1024 * 1024)
#define WORKER_JOBS    256

/* Exit codes of ratsd(8). */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_OWNED = 3, EXIT_DAMAGED = 4 };

struct ratsd {
    struct options options;
    struct paths paths;
    struct listen_fds inherited;
    struct config_section sections[MAX_SECTIONS];
    size_t section_count;
    struct config *config;
    struct state state;
    struct metrics *metrics;
    struct loop *loop;
    struct worker *worker;
    struct resolver *resolver;
    struct netwatch *netwatch;
    struct mesh *mesh;
    struct instance_facts facts;
    struct host *host;
    struct ipc *ipc;
    struct timer heartbeat; /* feeds the service manager's watchdog */
    struct life *life;
    struct by_port by_port;
    struct timer drain;
    int64_t drain_until_ms;
    bool stopping;
    char error[ERROR_SIZE];
};

static const struct config_item log_config_items[] = {
    {.key = "level",
     .type = CONFIG_CHOICE,
     .default_text = "info",
     .choices = "error|warn|info|debug",
     .reloadable = true,
     .summary = "How much is logged."},
    {0},
};

static void collect_sections(struct ratsd *ratsd)
{
    ratsd->sections[ratsd->section_count++] = (struct config_section){"log", log_config_items};
    ratsd->sections[ratsd->section_count++] = (struct config_section){"network", mesh_config_items};
    ratsd->sections[ratsd->section_count++] = (struct config_section){"clients", ipc_config_items};
    for (size_t i = 0; i < service_count; i++) {
        if (services[i]->config != NULL) {
            ratsd->sections[ratsd->section_count++] =
                (struct config_section){services[i]->name, services[i]->config};
        }
    }
}

/* The instance's own file may be absent; one that was named may not. */
static int read_config(struct ratsd *ratsd, struct config **ret_config)
{
    struct config *config = NULL;
    const char *path = ratsd->paths.config;
    if (ratsd->options.config == NULL &&
        (path[0] == '\0' || (access(path, F_OK) < 0 && errno == ENOENT))) {
        path = NULL;
    }
    int result = config_load(ratsd->sections, ratsd->section_count, path, &config, ratsd->error,
                             sizeof(ratsd->error));
    if (result == 0) {
        result = options_apply(&ratsd->options, config, ratsd->error, sizeof(ratsd->error));
    }
    if (result < 0) {
        config_free(config);
        return result;
    }
    *ret_config = config;
    return 0;
}

static void apply_log_level(const struct config *config)
{
    enum log_level level = LOG_LEVEL_INFO;
    (void)log_level_parse(config_text(config, "log", "level"), &level);
    log_set_level(level);
}

static int fail(struct ratsd *ratsd, int code)
{
    launch_failed(&ratsd->options.ready_fd, code, ratsd->error);
    log_error("ratsd", "%s", ratsd->error);
    return code;
}

/* Sockets that a supervisor holds for us. The file of the control socket is where it says. */
static int take_sockets(struct ratsd *ratsd)
{
    int result = listen_fds_take(&ratsd->inherited, ratsd->error, sizeof(ratsd->error));
    if (result < 0) {
        return fail(ratsd, EXIT_USAGE);
    }
    if (ratsd->inherited.control_path[0] != '\0') {
        (void)snprintf(ratsd->paths.socket, sizeof(ratsd->paths.socket), "%s",
                       ratsd->inherited.control_path);
    }
    return EXIT_OK;
}

static int open_state(struct ratsd *ratsd)
{
    int result = state_open(&ratsd->state, &ratsd->paths, ratsd->error, sizeof(ratsd->error));
    if (result < 0) {
        return fail(ratsd, result == -EBUSY ? EXIT_OWNED : EXIT_FAILED);
    }
    result =
        state_load_identity(&ratsd->state, &ratsd->options, ratsd->error, sizeof(ratsd->error));
    if (result < 0) {
        return fail(ratsd, result == -EINVAL ? EXIT_DAMAGED : EXIT_FAILED);
    }
    return EXIT_OK;
}

static void on_network_change(void *arg)
{
    struct ratsd *ratsd = arg;
    mesh_network_changed(ratsd->mesh);
    host_network_changed(ratsd->host);
}

static const char *describe(const struct ratsd *ratsd, char out[STATUS_SIZE])
{
    size_t peers = mesh_peer_count(ratsd->mesh);
    size_t clients = ipc_session_count(ratsd->ipc);
    (void)snprintf(out, STATUS_SIZE, "%zu peer%s, %zu client%s", peers, peers == 1 ? "" : "s",
                   clients, clients == 1 ? "" : "s");
    return out;
}

/* sd_watchdog_enabled(3) recommends half the time. It is the loop that must not hang, so the loop
 * feeds the watchdog; and only then the status is renewed, to wake up for nothing else. */
static void on_heartbeat(void *arg)
{
    struct ratsd *ratsd = arg;
    char status[STATUS_SIZE];
    notify_alive(describe(ratsd, status));
    timer_start(&ratsd->heartbeat, notify_watchdog_ms() / 2);
}

/* Stopping: no newcomers, what is queued may leave, then the loop ends. */
static void on_drain(void *arg)
{
    struct ratsd *ratsd = arg;
    bool busy = ipc_is_busy(ratsd->ipc) || mesh_queued_bytes(ratsd->mesh) > 0;
    if (!busy || loop_now_ms(ratsd->loop) >= ratsd->drain_until_ms) {
        loop_quit(ratsd->loop);
        return;
    }
    timer_start(&ratsd->drain, DRAIN_CHECK_MS);
}

static void begin_stopping(struct ratsd *ratsd)
{
    ratsd->stopping = true;
    notify_stopping();
    ipc_stop_listening(ratsd->ipc);
    ratsd->drain_until_ms = loop_now_ms(ratsd->loop) + DRAIN_MS;
    timer_start(&ratsd->drain, 0);
}

static void on_stop_signal(void *arg, int signal_number)
{
    struct ratsd *ratsd = arg;
    if (ratsd->stopping) {
        loop_quit(ratsd->loop); /* asked twice: at once */
        return;
    }
    log_info("ratsd", "%s: stopping", signal_number == SIGINT ? "interrupted" : "terminated");
    begin_stopping(ratsd);
}

static void on_life_end(void *arg)
{
    struct ratsd *ratsd = arg;
    if (!ratsd->stopping) {
        begin_stopping(ratsd);
    }
}

/* A private instance keeps the link while it is idle: it is found by the port it is going to have.
 */
static void on_life_network(void *arg, uint16_t port)
{
    struct ratsd *ratsd = arg;
    by_port_publish(&ratsd->by_port, port);
}

static void on_reload_signal(void *arg, int signal_number)
{
    (void)signal_number;
    struct ratsd *ratsd = arg;
    struct config *config = NULL;
    char status[STATUS_SIZE];
    notify_reloading();
    if (read_config(ratsd, &config) < 0) {
        log_error("ratsd", "configuration not reloaded: %s", ratsd->error);
    } else {
        size_t max_peers = mesh_max_peers(ratsd->mesh);
        host_set_config(ratsd->host, config);
        mesh_reload(ratsd->mesh, config);
        if (mesh_max_peers(ratsd->mesh) != max_peers) {
            host_instance_changed(ratsd->host);
        }
        ipc_reload(ratsd->ipc);
        apply_log_level(config);
        config_free(ratsd->config);
        ratsd->config = config;
        log_info("ratsd", "configuration reloaded: log level and limits");
    }
    notify_ready(describe(ratsd, status));
}

static int build_core(struct ratsd *ratsd)
{
    int result = loop_new(&ratsd->loop);
    if (result == 0) {
        result = worker_new(ratsd->loop, WORKER_THREADS, WORKER_JOBS, &ratsd->worker);
    }
    if (result == 0) {
        result = resolver_new(ratsd->loop, ratsd->worker, &ratsd->resolver);
    }
    if (result == 0) {
        ratsd->metrics = metrics_new();
        timer_init(&ratsd->heartbeat, ratsd->loop, on_heartbeat, ratsd);
        timer_init(&ratsd->drain, ratsd->loop, on_drain, ratsd);
        result = loop_on_signal(ratsd->loop, SIGTERM, on_stop_signal, ratsd);
    }
    if (result == 0) {
        result = loop_on_signal(ratsd->loop, SIGINT, on_stop_signal, ratsd);
    }
    if (result == 0) {
        result = loop_on_signal(ratsd->loop, SIGHUP, on_reload_signal, ratsd);
    }
    if (result < 0) {
        (void)snprintf(ratsd->error, sizeof(ratsd->error), "cannot start: %s", strerror(-result));
        return fail(ratsd, EXIT_FAILED);
    }
    return EXIT_OK;
}

static int build_node(struct ratsd *ratsd)
{
    ratsd->facts = (struct instance_facts){
        .name = ratsd->options.instance,
        .socket_path = ratsd->paths.socket,
        .data_directory = ratsd->paths.state,
    };
    int result = mesh_new(ratsd->loop, ratsd->resolver, ratsd->metrics, &ratsd->state.identity,
                          ratsd->config, &ratsd->mesh);
    if (result == 0) {
        result = host_new(ratsd->loop, ratsd->mesh, ratsd->metrics, ratsd->config, &ratsd->facts,
                          services, service_count, &ratsd->host);
    }
    if (result < 0) {
        (void)snprintf(ratsd->error, sizeof(ratsd->error), "cannot start: %s", strerror(-result));
        return fail(ratsd, EXIT_FAILED);
    }
    host_set_worker(ratsd->host, ratsd->worker);
    if (ipc_new(ratsd->host, &ratsd->ipc, ratsd->error, sizeof(ratsd->error)) < 0) {
        return fail(ratsd, EXIT_USAGE);
    }
    host_set_ipc(ratsd->host, ratsd->ipc);
    const bool is_private = ratsd->options.is_private;
    const bool on_demand = ratsd->options.exit_idle_ms > 0;
    ratsd->life =
        life_new(ratsd->host, &(struct life_options){
                                  .kind = is_private  ? LIFE_PRIVATE
                                          : on_demand ? LIFE_ON_DEMAND
                                                      : LIFE_SHARED,
                                  .idle_ms = on_demand ? ratsd->options.exit_idle_ms : ATTACH_MS,
                                  .on_network = on_life_network,
                                  .on_end = on_life_end,
                                  .arg = ratsd,
                              });
    host_set_life(ratsd->host, ratsd->life);
    ratsd->by_port.runtime = ""; /* until there is one */
    return EXIT_OK;
}

static int listen_for_clients(struct ratsd *ratsd)
{
    if (ratsd->inherited.control >= 0) {
        ipc_adopt(ratsd->ipc, ratsd->inherited.control);
        ratsd->inherited.control = -1;
        return 0;
    }
    return ipc_listen(ratsd->ipc, ratsd->paths.socket, ratsd->error, sizeof(ratsd->error));
}

static void register_port(struct ratsd *ratsd)
{
    ratsd->by_port.runtime = ratsd->paths.runtime;
    ratsd->by_port.socket = ratsd->paths.socket;
    if (life_is_shared(ratsd->life)) {
        by_port_publish(&ratsd->by_port, life_port(ratsd->life));
    } else {
        by_port_claim(&ratsd->by_port, life_port(ratsd->life));
    }
}

/* Services first, then the network, then the socket: a client that gets in can be served. */
static int start_node(struct ratsd *ratsd)
{
    int result = host_start(ratsd->host);
    if (result < 0) {
        const bool damaged = result == -EUCLEAN; /* starting again cannot help */
        (void)snprintf(ratsd->error, sizeof(ratsd->error), "a service did not start: %s",
                       damaged ? "a file in its state directory is damaged; its log says which"
                               : strerror(-result));
        return fail(ratsd, damaged ? EXIT_DAMAGED : EXIT_FAILED);
    }
    mesh_inherit(ratsd->mesh, ratsd->inherited.peers, ratsd->inherited.peer_count);
    ratsd->inherited.peer_count = 0;
    result = life_open(ratsd->life, ratsd->error, sizeof(ratsd->error));
    if (result == -EINVAL) { /* not an address: the configuration is wrong, not the machine */
        return fail(ratsd, EXIT_USAGE);
    }
    if (result < 0 || paths_make_runtime(&ratsd->paths, ratsd->error, sizeof(ratsd->error)) < 0) {
        return fail(ratsd, EXIT_FAILED);
    }
    result = listen_for_clients(ratsd);
    if (result < 0) {
        return fail(ratsd, result == -EADDRINUSE ? EXIT_OWNED : EXIT_FAILED);
    }
    register_port(ratsd);
    if (netwatch_new(ratsd->loop, on_network_change, ratsd, &ratsd->netwatch) < 0) {
        log_warn("ratsd", "changes of the machine's addresses will not be noticed");
    }
    return EXIT_OK;
}

/* Send buffers are freed whenever they run empty, which under load is every turn. Giving them back
 * to the kernel each time costs more than everything else on the path of a 16 KiB message (page
 * faults), so the allocator keeps this much; the rest goes back. Only from here on: what the start
 * leaves goes back, and the large tables it made have pages of their own, which cost nothing until
 * they are used. */
static void settle_memory(void)
{
    (void)malloc_trim(0);
    (void)mallopt(M_MMAP_THRESHOLD, HOT_MEMORY);
    (void)mallopt(M_TRIM_THRESHOLD, HOT_MEMORY);
}

static int run(struct ratsd *ratsd)
{
    char status[STATUS_SIZE];
    log_info("ratsd", "instance %s, peer %s, port %u, socket %s", ratsd->options.instance,
             peer_id_format(&ratsd->state.identity.id).text, life_port(ratsd->life),
             ratsd->paths.socket);
    launch_ready(&ratsd->options.ready_fd, ratsd->paths.socket);
    notify_ready(describe(ratsd, status));
    if (notify_watchdog_ms() > 0) {
        on_heartbeat(ratsd);
    }
    settle_memory();
    int result = loop_run(ratsd->loop);
    if (result < 0) {
        (void)snprintf(ratsd->error, sizeof(ratsd->error), "the event loop failed: %s",
                       strerror(-result));
        return fail(ratsd, EXIT_FAILED);
    }
    log_info("ratsd", "stopped");
    return EXIT_OK;
}

static void tear_down(struct ratsd *ratsd)
{
    int witness = life_take_witness(ratsd->life);
    by_port_withdraw(&ratsd->by_port);
    netwatch_free(ratsd->netwatch);
    if (ratsd->ipc != NULL) {
        ipc_stop_listening(ratsd->ipc);
        host_stop(ratsd->host);
        mesh_stop(ratsd->mesh);
    }
    ipc_free(ratsd->ipc);
    life_free(ratsd->life);
    host_free(ratsd->host);
    mesh_free(ratsd->mesh);
    resolver_free(ratsd->resolver);
    worker_free(ratsd->worker);
    metrics_free(ratsd->metrics);
    loop_free(ratsd->loop);
    listen_fds_close(&ratsd->inherited);
    config_free(ratsd->config);
    state_close(&ratsd->state);
    if (witness >= 0) { /* whoever waits on it finds port and state directory free */
        (void)close(witness);
    }
}

static int serve(struct ratsd *ratsd)
{
    int (*const steps[])(struct ratsd *) = {take_sockets, open_state, build_core,
                                            build_node,   start_node, run};
    int code = EXIT_OK;
    apply_log_level(ratsd->config);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && code == EXIT_OK; i++) {
        code = steps[i](ratsd);
    }
    return code;
}

static int act(struct ratsd *ratsd)
{
    switch (ratsd->options.action) {
    case ACTION_HELP:
        options_print_help();
        return EXIT_OK;
    case ACTION_VERSION:
        (void)printf("ratsd " RATS_VERSION "\n");
        return EXIT_OK;
    case ACTION_LIST_CONFIG:
        config_print(ratsd->sections, ratsd->section_count);
        return EXIT_OK;
    case ACTION_CHECK_CONFIG:
    case ACTION_RUN:
        break;
    }
    if (paths_find(&ratsd->options, &ratsd->paths, ratsd->error, sizeof(ratsd->error)) < 0 ||
        read_config(ratsd, &ratsd->config) < 0) {
        return fail(ratsd, EXIT_USAGE);
    }
    if (ratsd->options.action == ACTION_CHECK_CONFIG) {
        int result = check_config(&ratsd->paths, ratsd->config, ratsd->error, sizeof(ratsd->error));
        if (result < 0) {
            return fail(ratsd, result == -EINVAL ? EXIT_USAGE : EXIT_FAILED);
        }
        bool there = access(ratsd->paths.config, F_OK) == 0;
        (void)printf("%s: %s\n", ratsd->paths.config, there ? "ok" : "absent, defaults apply");
        return EXIT_OK;
    }
    int result = ratsd->options.background ? launch_background() : 0;
    if (result < 0) {
        (void)snprintf(ratsd->error, sizeof(ratsd->error), "cannot go to the background: %s",
                       strerror(-result));
        return fail(ratsd, EXIT_FAILED);
    }
    return serve(ratsd);
}

static void on_no_memory(size_t size)
{
    log_error("ratsd", "out of memory: %zu bytes", size);
}

int main(int argc, char **argv)
{
    struct ratsd ratsd = {.inherited.control = -1, .state = STATE_NONE};
    alloc_set_failure_handler(on_no_memory);
    (void)signal(SIGPIPE, SIG_IGN);
    crypto_library_init();
    database_library_init();
    json_set_alloc_funcs(xmalloc, free);
    json_head_init();
    collect_sections(&ratsd);
    if (options_parse(argc, argv, &ratsd.options, ratsd.error, sizeof(ratsd.error)) < 0) {
        return fail(&ratsd, EXIT_USAGE);
    }
    int code = act(&ratsd);
    tear_down(&ratsd);
    return code;
}
