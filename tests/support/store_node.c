#include "store_node.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/storage.h"
#include "service/storage_file.h"

#define ANSWER_MS  10
#define CONNECT_MS 2000

void store_node_init(struct store_node *self, struct sim_net *net, uint8_t number,
                     const char *const *options)
{
    static const struct service *const services[] = {&storage_service, NULL};
    const char *full[32] = {NULL};
    size_t count = 0;
    memset(self, 0, sizeof *self);
    self->net = net;
    assert_true(scratch_make("ratsd-store", self->directory));
    (void)snprintf(self->address, sizeof self->address, "10.0.0.%u", number);
    for (; options != NULL && options[0] != NULL; options += 2) {
        full[count++] = "storage";
        full[count++] = options[0];
        full[count++] = options[1];
    }
    service_node_init(&self->node, sim_node_new(net, self->address), number, self->directory,
                      services, NULL, full);
}

void store_node_fini(struct store_node *self)
{
    char command[128];
    service_call_fini(&self->call);
    service_node_fini(&self->node);
    (void)snprintf(command, sizeof command, "rm -rf %s", self->directory);
    assert_int_equal(system(command), 0);
}

static enum proto_error finish(struct store_node *self)
{
    for (int i = 0; i < 100 && !self->call.done; i++) {
        sim_net_run(self->net, ANSWER_MS);
    }
    assert_true(self->call.done);
    return self->call.error;
}

static void begin(struct store_node *self, enum method_id method, json_t *params)
{
    sim_node_enter(self->node.mesh.node);
    service_node_call_with(&self->node, method, params, &self->call);
}

enum proto_error store_call(struct store_node *self, enum method_id method, json_t *params)
{
    service_call_fini(&self->call);
    self->call = (struct service_call){0};
    begin(self, method, params);
    return finish(self);
}

enum proto_error store_put(struct store_node *self, const char *key, const char *value)
{
    service_call_fini(&self->call);
    self->call = (struct service_call){.body = bytes_from_string(value)};
    begin(self, M_STORAGE_PUT, json_pack("{s:s, s:s}", "key", key, "type", "string"));
    return finish(self);
}

enum proto_error store_remove(struct store_node *self, const char *key)
{
    return store_call(self, M_STORAGE_REMOVE, json_pack("{s:s}", "key", key));
}

const char *store_get(struct store_node *self, const char *key)
{
    static char text[256];
    if (store_call(self, M_STORAGE_GET, json_pack("{s:s}", "key", key)) != PROTO_ERROR_COUNT) {
        assert_int_equal(self->call.error, E_NOT_FOUND);
        return NULL;
    }
    struct bytes value = buf_view(&self->call.reply_body);
    (void)snprintf(text, sizeof text, "%.*s", (int)value.size,
                   value.size == 0 ? "" : (const char *)value.data);
    return text;
}

uint64_t store_statistic(struct store_node *self, const char *name)
{
    assert_int_equal(store_call(self, M_STORAGE_STATISTICS, json_object()), PROTO_ERROR_COUNT);
    return (uint64_t)json_integer_value(json_object_get(self->call.result, name));
}

bool store_is_linked(const struct store_node *self, const struct store_node *other)
{
    return mesh_find(self->node.mesh.mesh, service_node_id(&other->node)) != NULL &&
           mesh_find(other->node.mesh.mesh, service_node_id(&self->node)) != NULL;
}

void store_link(struct store_node *self, const struct store_node *to)
{
    struct sim_dial dial;
    sim_node_enter(self->node.mesh.node);
    sim_mesh_dial(&self->node.mesh, &dial, to->address, 4000, NULL);
    sim_net_run(self->net, CONNECT_MS);
    assert_true(dial.done && dial.result == 0);
}

void store_unlink(struct store_node *self, const struct store_node *other)
{
    sim_node_enter(self->node.mesh.node);
    assert_int_equal(mesh_disconnect(self->node.mesh.mesh, service_node_id(&other->node)), 0);
}

/* FNV-1a of 64 bits. */
static uint64_t add(uint64_t hash, const void *data, int size)
{
    for (int i = 0; i < size; i++) {
        hash = (hash ^ ((const uint8_t *)data)[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

uint64_t store_digest(const struct store_node *self)
{
    char path[128];
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    uint64_t hash = UINT64_C(14695981039346656037);
    (void)snprintf(path, sizeof path, "%s/" STORAGE_FILE_NAME, self->directory);
    if (!storage_file_exists(self->directory)) {
        return hash;
    }
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT key, type, deleted, stamp, origin, data FROM entry "
                                        "ORDER BY key",
                                        -1, &rows, NULL),
                     SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        for (int column = 0; column < 6; column++) {
            const void *data = sqlite3_column_text(rows, column); /* numbers as text */
            hash = add(hash, data, sqlite3_column_bytes(rows, column));
            hash = add(hash, "|", 1);
        }
    }
    (void)sqlite3_finalize(rows);
    (void)sqlite3_close(db);
    return hash;
}
