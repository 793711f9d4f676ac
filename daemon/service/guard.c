#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/random.h"
#include "service/guard_private.h"
#include "util/alloc.h"

static const struct config_item guard_config[] = {
    {
        .key = "max_bans",
        .type = CONFIG_UINT,
        .default_text = "4096",
        .max = 65536,
        .reloadable = true,
        .summary = "Bans at a time; those that have ended do not count.",
    },
    {
        .key = "max_limits",
        .type = CONFIG_UINT,
        .default_text = "4096",
        .max = 65536,
        .reloadable = true,
        .summary = "Peers with limits of their own.",
    },
    {.key = NULL},
};

/* A call that waits for the disk. */
struct answer {
    struct list node;
    struct request *request; /* NULL: the client gave up */
    json_t *result;
};

static void answer_free(struct answer *answer)
{
    list_remove(&answer->node);
    json_decref(answer->result);
    free(answer);
}

static void on_saved(void *arg, int result)
{
    struct answer *answer = arg;
    if (result != 0) {
        log_error(GUARD_TOPIC, "a change of bans or limits is not kept: %s", strerror(-result));
    }
    if (answer->request != NULL && result == 0) {
        request_reply(answer->request, json_incref(answer->result));
    } else if (answer->request != NULL) {
        request_fail(answer->request, E_OPERATION_FAILED,
                     "it is in force until the daemon ends, but could not be kept: %s; check the "
                     "data directory and repeat it",
                     strerror(-result));
    }
    answer_free(answer);
}

static void on_cancel(void *arg)
{
    struct answer *answer = arg;
    answer->request = NULL;
}

void guard_save(struct guard *guard, const struct guard_write *write, struct request *request,
                json_t *result)
{
    struct answer *answer = xalloc(sizeof(*answer));
    answer->request = request;
    answer->result = result;
    list_init(&answer->node);
    list_append(&guard->answers, &answer->node);
    guard_store_save(guard->store, write, on_saved, answer);
    request_defer(request, on_cancel, answer);
}

/* ---- life ---- */

static void guard_on_reload(void *self)
{
    struct guard *guard = self;
    const struct config *config = host_config(guard->host);
    guard->max_bans = config_size(config, "guard", "max_bans");
    guard->max_limits = config_size(config, "guard", "max_limits");
}

static void on_row(void *arg, const struct guard_write *row)
{
    if (row->kind == GUARD_BAN) {
        bans_restore(arg, row);
    } else {
        limits_restore(arg, row);
    }
}

static void guard_close(void *self)
{
    struct guard *guard = self;
    guard_store_close(guard->store);
    LIST_EACH(&guard->answers, node)
    {
        answer_free(CONTAINER_OF(node, struct answer, node));
    }
    limits_fini(guard);
    free(guard);
}

static int guard_open(struct host *host, void **ret_self)
{
    struct guard *guard = xalloc(sizeof(*guard));
    const uint64_t seed[2] = {random_u64(), random_u64()};
    char error[512] = "";
    guard->host = host;
    map_init(&guard->limits, seed);
    list_init(&guard->answers);
    guard_on_reload(guard);
    int result =
        guard_store_open(host_loop(host), host_worker(host), host_facts(host)->data_directory,
                         &guard->store, error, sizeof(error));
    if (result == 0) {
        result =
            guard_store_load(guard->store, loop_unix_ms(host_loop(host)) / 1000, on_row, guard);
    }
    if (result != 0) {
        log_error(GUARD_TOPIC, "bans and limits cannot be read: %s",
                  error[0] != '\0' ? error : strerror(-result));
        guard_close(guard);
        return result;
    }
    *ret_self = guard;
    return 0;
}

static void guard_on_peer(void *self, struct peer *peer, enum peer_event event)
{
    if (event == PEER_UP) {
        limits_on_peer_up(self, peer);
    }
}

static void guard_stop(void *self)
{
    struct guard *guard = self;
    LIST_EACH(&guard->answers, node)
    {
        struct answer *answer = CONTAINER_OF(node, struct answer, node);
        struct request *request = answer->request;
        answer->request = NULL;
        if (request != NULL) {
            request_fail(request, E_NOT_RUNNING, "the daemon is stopping");
        }
    }
}

static const struct method_handler guard_methods[] = {
    {M_BAN_ADD, bans_on_add},
    {M_BAN_REMOVE, bans_on_remove},
    {M_BAN_LIST, bans_on_list},
    {M_LIMIT_SET, limits_on_set},
    {M_LIMIT_CLEAR, limits_on_clear},
    {M_LIMIT_LIST, limits_on_list},
    {0},
};

const struct service guard_service = {
    .name = "guard",
    .config = guard_config,
    .methods = guard_methods,
    .open = guard_open,
    .on_peer = guard_on_peer,
    .on_reload = guard_on_reload,
    .stop = guard_stop,
    .close = guard_close,
};
