#include "service/life.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "service/host.h"
#include "service/request.h"
#include "util/alloc.h"

#define DRAIN_MS       1500 /* session.stop: how long queued bytes may take to leave */
#define DRAIN_CHECK_MS 5

struct life {
    struct host *host;
    struct life_options options;
    size_t attached;
    size_t started;
    bool open; /* the network is */
    bool ended;
    struct timer idle;
    struct timer drain; /* runs while the network goes down */
    int64_t drain_until_ms;
    struct request *stopping; /* answered when it is down; NULL */
    int witness;
};

static void end(struct life *life)
{
    if (!life->ended) {
        life->ended = true;
        life->options.on_end(life->options.arg);
    }
}

static void on_idle(void *arg)
{
    struct life *life = arg;
    log_info("ratsd", "nobody is attached; ending");
    end(life);
}

static void announce_network(struct life *life)
{
    life->options.on_network(life->options.arg, mesh_port(host_mesh(life->host)));
    host_instance_changed(life->host);
}

/* Nobody waits for the network to go down any more. */
static void answer_stop(struct life *life)
{
    struct request *request = life->stopping;
    life->stopping = NULL;
    if (request != NULL) {
        request_reply(request, NULL);
    }
}

static void on_stop_cancelled(void *arg)
{
    struct life *life = arg;
    life->stopping = NULL;
}

static void on_drain(void *arg)
{
    struct life *life = arg;
    struct mesh *mesh = host_mesh(life->host);
    if (mesh_queued_bytes(mesh) > 0 && loop_now_ms(host_loop(life->host)) < life->drain_until_ms) {
        timer_start(&life->drain, DRAIN_CHECK_MS);
        return;
    }
    life->open = false;
    host_network_opened(life->host, false);
    mesh_stop(mesh);
    announce_network(life);
    answer_stop(life);
}

struct life *life_new(struct host *host, const struct life_options *options)
{
    struct life *life = xalloc(sizeof(*life));
    life->host = host;
    life->options = *options;
    life->witness = -1;
    timer_init(&life->idle, host_loop(host), on_idle, life);
    timer_init(&life->drain, host_loop(host), on_drain, life);
    return life;
}

void life_free(struct life *life)
{
    if (life == NULL) {
        return;
    }
    timer_stop(&life->idle);
    timer_stop(&life->drain);
    if (life->witness >= 0) {
        (void)close(life->witness);
    }
    free(life);
}

static int open_network(struct life *life, char *error, size_t error_size)
{
    int result = mesh_start(host_mesh(life->host), error, error_size);
    if (result == 0) {
        life->open = true;
        host_network_opened(life->host, true);
        announce_network(life);
    }
    return result;
}

int life_open(struct life *life, char *error, size_t error_size)
{
    if (life->options.kind != LIFE_SHARED) {
        timer_start(&life->idle, life->options.idle_ms);
    }
    return life->options.kind == LIFE_PRIVATE ? 0 : open_network(life, error, error_size);
}

uint16_t life_port(const struct life *life)
{
    const struct config *config = host_config(life->host);
    uint16_t port = mesh_port(host_mesh(life->host));
    if (life->options.kind != LIFE_PRIVATE || life->open ||
        strcmp(config_text(config, "network", "listen"), "none") == 0) {
        return port;
    }
    return (uint16_t)config_uint(config, "network", "port");
}

bool life_is_shared(const struct life *life)
{
    return life->options.kind != LIFE_PRIVATE;
}

bool life_is_on_demand(const struct life *life)
{
    return life->options.kind == LIFE_ON_DEMAND;
}

int life_take_witness(struct life *life)
{
    int fd = life == NULL ? -1 : life->witness;
    if (fd >= 0) {
        life->witness = -1;
    }
    return fd;
}

void life_attached(struct life *life)
{
    life->attached++;
    timer_stop(&life->idle);
}

void life_left(struct life *life, int fd)
{
    life->attached--;
    if (life->attached > 0 || life->ended) {
        return;
    }
    if (life->options.kind == LIFE_ON_DEMAND) {
        timer_start(&life->idle, life->options.idle_ms);
    } else if (life->options.kind == LIFE_PRIVATE) {
        life->witness = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        log_info("ratsd", "the last session has left; ending");
        end(life);
    }
}

int life_begin(struct life *life, char *error, size_t error_size)
{
    bool is_idle = life->options.kind == LIFE_PRIVATE && !life->open;
    int result = is_idle ? open_network(life, error, error_size) : 0;
    if (result == 0) {
        life->started++;
        timer_stop(&life->drain); /* it was about to go down: it stays */
        answer_stop(life);
    }
    return result;
}

void life_end(struct life *life, struct request *request)
{
    life->started--;
    if (life->started > 0 || life->options.kind != LIFE_PRIVATE || life->ended) {
        if (request != NULL) {
            request_reply(request, NULL);
        }
        return;
    }
    life->stopping = request;
    if (request != NULL) {
        request_defer(request, on_stop_cancelled, life);
    }
    life->drain_until_ms = loop_now_ms(host_loop(life->host)) + DRAIN_MS;
    on_drain(life);
}
