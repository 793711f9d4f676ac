#include "service/instance.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "service/life.h"
#include "util/alloc.h"
#include "util/hex.h"

struct instance {
    struct host *host;
    int64_t started_ms;
};

static int instance_open(struct host *host, void **ret_self)
{
    struct instance *instance = xalloc(sizeof(*instance));
    instance->host = host;
    instance->started_ms = loop_now_ms(host_loop(host));
    *ret_self = instance;
    return 0;
}

/* Members that hello and instance.get share. */
static void add_identity(const struct instance *instance, json_t *object)
{
    const struct mesh *mesh = host_mesh(instance->host);
    const struct identity *identity = mesh_identity(mesh);
    char public_key[65];
    hex_format(bytes_make(identity->public_key, sizeof(identity->public_key)), public_key);
    json_t *members = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:I}", "peer_id", peer_id_format(&identity->id).text,
        "public_key", public_key, "protocol", mesh_protocol(mesh), "security",
        mesh_is_encrypted(mesh) ? "noise" : "plaintext", "listen_port",
        (int)life_port(host_life(instance->host)), "max_peers", (json_int_t)mesh_max_peers(mesh));
    (void)json_object_update(object, members);
    json_decref(members);
}

static void instance_on_hello(void *self, json_t *reply)
{
    struct instance *instance = self;
    (void)json_object_set_new(reply, "instance", json_string(host_facts(instance->host)->name));
    (void)json_object_set_new(reply, "shared",
                              json_boolean(life_is_shared(host_life(instance->host))));
    (void)json_object_set_new(reply, "on_demand",
                              json_boolean(life_is_on_demand(host_life(instance->host))));
    add_identity(instance, reply);
}

static void add_counter(void *arg, const struct metric_row *row, uint64_t value)
{
    (void)json_object_set_new(arg, row->name, json_integer((json_int_t)value));
}

static void on_get(void *self, struct request *request)
{
    struct instance *instance = self;
    const struct instance_facts *facts = host_facts(instance->host);
    json_t *counters = json_object();
    metrics_each(host_metrics(instance->host), add_counter, counters);
    int64_t uptime_ms = loop_now_ms(host_loop(instance->host)) - instance->started_ms;
    json_t *result = json_pack(
        "{s:s, s:s, s:I, s:s, s:b, s:[s], s:I, s:I, s:I, s:o}", "name", facts->name, "version",
        RATS_VERSION, "pid", (json_int_t)getpid(), "socket", facts->socket_path, "shared",
        (int)life_is_shared(host_life(instance->host)), "transports", "tcp", "peers",
        (json_int_t)mesh_peer_count(host_mesh(instance->host)), "sessions",
        (json_int_t)host_session_count(instance->host), "uptime_seconds",
        (json_int_t)(uptime_ms / 1000), "counters", counters);
    add_identity(instance, result);
    if (request_may_control(request)) {
        (void)json_object_set_new(result, "data_directory", json_string(facts->data_directory));
    }
    request_reply(request, result);
}

static void on_get_key(void *self, struct request *request)
{
    struct instance *instance = self;
    if (life_is_shared(host_life(instance->host))) {
        request_fail(request, E_NOT_PERMITTED,
                     "the private key of a shared instance is handed to nobody; "
                     "rats_get_public_key() gives the public one to everybody");
        return;
    }
    const struct identity *identity = mesh_identity(host_mesh(instance->host));
    char key[2 * X25519_SIZE + 1];
    hex_format(bytes_make(identity->secret, X25519_SIZE), key);
    request_reply(request, json_pack("{s:s}", "key", key));
    explicit_bzero(key, sizeof(key));
}

static void on_set_security(void *self, struct request *request)
{
    struct instance *instance = self;
    struct host *host = instance->host;
    const char *word = json_string_value(json_object_get(request_params(request), "security"));
    const bool encrypted = strcmp(word, "noise") == 0;
    if (life_is_shared(host_life(host))) {
        request_fail(request, E_NOT_PERMITTED,
                     "the security of a shared instance is the administrator's: set it in "
                     "ratsd.conf(5)");
        return;
    }
    if (host_session_count(host) > 1) {
        request_fail(request, E_BUSY, "other programs use this instance");
        return;
    }
    if (mesh_is_encrypted(host_mesh(host)) != encrypted) {
        mesh_set_encrypted(host_mesh(host), encrypted);
        log_info("instance", "new links are %s from now on", encrypted ? "encrypted" : "plaintext");
        host_instance_changed(host);
    }
    request_reply(request, NULL);
}

static void reply_level(struct request *request)
{
    request_reply(request, json_pack("{s:s}", "level", log_level_name(log_get_level())));
}

static void on_get_level(void *self, struct request *request)
{
    (void)self;
    reply_level(request);
}

static void on_set_level(void *self, struct request *request)
{
    (void)self;
    enum log_level level = log_get_level();
    (void)log_level_parse(json_string_value(json_object_get(request_params(request), "level")),
                          &level);
    log_set_level(level);
    log_info("log", "level is now %s", log_level_name(level));
    reply_level(request);
}

static void instance_close(void *self)
{
    free(self);
}

static const struct method_handler instance_methods[] = {
    {M_INSTANCE_GET, on_get},
    {M_INSTANCE_GET_KEY, on_get_key},
    {M_INSTANCE_SET_SECURITY, on_set_security},
    {M_LOG_GET_LEVEL, on_get_level},
    {M_LOG_SET_LEVEL, on_set_level},
    {0},
};

const struct service instance_service = {
    .name = "instance",
    .methods = instance_methods,
    .open = instance_open,
    .on_hello = instance_on_hello,
    .close = instance_close,
};
