#include "files_node.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "service/transfers.h"
#include "util/alloc.h"

#define STEP_MS    5
#define CONNECT_MS 2000
#define ANSWERS    1000

/* An event a program was told. */
struct told {
    struct list node;
    uint64_t session;
    enum event_id event;
    json_t *fields;
    bool answered;
};

/* A transfer that a program sends, or receives into files; a file of it that came. */
struct source {
    struct list node;
    char key[TRANSFER_KEY_SIZE];
};

struct target {
    struct list node;
    char key[TRANSFER_KEY_SIZE];
    uint32_t file;
    int fd;
    bool placed;
};

static struct files_node *nodes[FILES_NODE_MAX];
static size_t node_count;

/* ---- files ---- */

static uint8_t byte_at(uint32_t file, uint64_t offset)
{
    return (uint8_t)(file * 29 + offset * 3 + (offset >> 9) + (offset >> 17));
}

int files_empty(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/ratsd-file-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    (void)unlink(path);
    return fd;
}

static void fill(uint8_t *data, size_t size, uint32_t file, uint64_t offset)
{
    for (size_t i = 0; i < size; i++) {
        data[i] = byte_at(file, offset + i);
    }
}

int files_source(uint32_t file, size_t size)
{
    uint8_t data[4096];
    int fd = files_empty();
    for (size_t done = 0; done < size;) {
        size_t part = size - done < sizeof data ? size - done : sizeof data;
        fill(data, part, file, done);
        assert_int_equal(write(fd, data, part), (ssize_t)part);
        done += part;
    }
    return fd;
}

static void assert_content(int fd, uint32_t file, size_t size)
{
    uint8_t data[4096];
    uint8_t expected[4096];
    assert_int_equal(lseek(fd, 0, SEEK_END), (off_t)size);
    for (size_t done = 0; done < size;) {
        size_t part = size - done < sizeof data ? size - done : sizeof data;
        fill(expected, part, file, done);
        assert_int_equal(pread(fd, data, part, (off_t)done), (ssize_t)part);
        assert_memory_equal(data, expected, part);
        done += part;
    }
}

size_t files_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory);
    return count;
}

/* ---- calls ---- */

enum proto_error files_call(struct files_node *self, uint64_t session, enum method_id method,
                            json_t *params, struct bytes body, int fd)
{
    service_call_fini(&self->call);
    self->call = (struct service_call){.session = session,
                                       .body = body,
                                       .may_not_control = true,
                                       .fds = {fd},
                                       .fd_count = fd < 0 ? 0 : 1};
    sim_node_enter(self->node.mesh.node);
    service_node_call_with(&self->node, method, params, &self->call);
    for (int i = 0; i < ANSWERS && !self->call.done; i++) {
        sim_net_run(self->net, 1);
    }
    assert_true(self->call.done);
    return self->call.error;
}

enum proto_error files_do(struct files_node *self, uint64_t session, enum method_id method,
                          const char *key)
{
    return files_call(self, session, method, json_pack("{s:s}", "transfer", key),
                      bytes_make(NULL, 0), -1);
}

/* ---- programs ---- */

static const char *key_of(const json_t *fields)
{
    return json_string_value(json_object_get(fields, "transfer"));
}

static uint32_t number_of(const json_t *fields, const char *name)
{
    return (uint32_t)json_integer_value(json_object_get(fields, name));
}

static struct source *add_source(struct files_node *self, const char *key)
{
    struct source *source = xalloc(sizeof *source);
    (void)snprintf(source->key, sizeof source->key, "%s", key);
    list_append(&self->sources, &source->node);
    return source;
}

static bool is_source(const struct files_node *self, const char *key)
{
    LIST_EACH(&self->sources, node)
    {
        if (strcmp(CONTAINER_OF(node, struct source, node)->key, key) == 0) {
            return true;
        }
    }
    return false;
}

static struct target *find_target(const struct files_node *self, const char *key, uint32_t file)
{
    LIST_EACH(&self->targets, node)
    {
        struct target *target = CONTAINER_OF(node, struct target, node);
        if (strcmp(target->key, key) == 0 && target->file == file) {
            return target;
        }
    }
    return NULL;
}

/* A descriptor for the service; ours is kept to look at. */
static int add_target(struct files_node *self, const char *key, uint32_t file)
{
    struct target *target = find_target(self, key, file);
    if (target == NULL) {
        target = xalloc(sizeof *target);
        (void)snprintf(target->key, sizeof target->key, "%s", key);
        target->file = file;
        target->fd = files_empty();
        list_append(&self->targets, &target->node);
    }
    return dup(target->fd);
}

static void answer_open(struct files_node *self, uint64_t session, const json_t *fields)
{
    const char *key = key_of(fields);
    const json_t *files = json_object_get(fields, "files");
    struct service_call call = {.session = session, .may_not_control = true};
    for (size_t i = 0; i < json_array_size(files); i++) {
        uint32_t file = number_of(fields, "first") + (uint32_t)i;
        size_t size = number_of(json_array_get(files, i), "size_bytes");
        call.fds[call.fd_count++] =
            is_source(self, key) ? files_source(file, size) : add_target(self, key, file);
    }
    sim_node_enter(self->node.mesh.node);
    service_node_call_with(
        &self->node, M_TRANSFER_PROVIDE,
        json_pack("{s:s, s:i}", "transfer", key, "first", (int)number_of(fields, "first")), &call);
    assert_true(call.done && (call.error == PROTO_ERROR_COUNT || call.error == E_NOT_FOUND));
    service_call_fini(&call);
}

static void answer_verified(struct files_node *self, uint64_t session, const json_t *fields)
{
    struct service_call call = {.session = session, .may_not_control = true};
    uint32_t count = number_of(fields, "count");
    for (uint32_t i = 0; i < count; i++) {
        struct target *target = find_target(self, key_of(fields), number_of(fields, "first") + i);
        assert_true(target != NULL && !target->placed);
        target->placed = true;
    }
    sim_node_enter(self->node.mesh.node);
    service_node_call_with(&self->node, M_TRANSFER_PLACED,
                           json_pack("{s:s, s:i}", "transfer", key_of(fields), "count", (int)count),
                           &call);
    assert_true(call.done && (call.error == PROTO_ERROR_COUNT || call.error == E_NOT_FOUND));
    service_call_fini(&call);
}

static void answer_all(struct files_node *self)
{
    LIST_EACH(&self->told, node)
    {
        struct told *told = CONTAINER_OF(node, struct told, node);
        if (told->answered) {
            continue;
        }
        if (told->event == EV_TRANSFER_OPEN && !self->opens_nothing) {
            told->answered = true;
            answer_open(self, told->session, told->fields);
        } else if (told->event == EV_TRANSFER_VERIFIED && !self->places_nothing) {
            told->answered = true;
            answer_verified(self, told->session, told->fields);
        }
    }
}

void files_run(struct sim_net *net, int64_t duration_ms)
{
    for (int64_t past_ms = 0; past_ms < duration_ms; past_ms += STEP_MS) {
        sim_net_run(net, STEP_MS);
        for (size_t i = 0; i < node_count; i++) {
            answer_all(nodes[i]);
        }
    }
}

static void on_told(struct service_node *node, uint64_t session, enum event_id event,
                    const json_t *fields)
{
    struct files_node *self = node->own;
    struct told *told = xalloc(sizeof *told);
    told->session = session;
    told->event = event;
    told->fields = json_deep_copy(fields);
    list_append(&self->told, &told->node);
}

/* ---- life ---- */

void files_node_init(struct files_node *self, struct sim_net *net, uint8_t number,
                     const char *const *options)
{
    static const struct service *const services[] = {&transfer_service, NULL};
    const char *full[32] = {NULL};
    size_t count = 0;
    memset(self, 0, sizeof *self);
    log_set_level(LOG_LEVEL_ERROR);
    self->net = net;
    self->last_source = -1;
    list_init(&self->told);
    list_init(&self->sources);
    list_init(&self->targets);
    (void)snprintf(self->address, sizeof self->address, "10.0.0.%u", number);
    for (; options != NULL && options[0] != NULL; options += 2) {
        full[count++] = "transfer";
        full[count++] = options[0];
        full[count++] = options[1];
    }
    service_node_init(&self->node, sim_node_new(net, self->address), number, NULL, services, NULL,
                      full);
    self->node.own = self;
    self->node.on_told = on_told;
    nodes[node_count++] = self;
    for (uint64_t session = 1; session <= 2; session++) {
        (void)files_call(self, session, M_TRANSFER_WATCH,
                         json_pack("{s:[ss]}", "kinds", "file", "directory"), bytes_make(NULL, 0),
                         -1);
    }
}

void files_node_fini(struct files_node *self)
{
    service_call_fini(&self->call);
    service_node_fini(&self->node);
    sim_net_run(self->net, 1); /* what was to be freed at the end of a turn */
    LIST_EACH(&self->told, node)
    {
        struct told *told = CONTAINER_OF(node, struct told, node);
        json_decref(told->fields);
        free(told);
    }
    LIST_EACH(&self->sources, node)
    {
        free(CONTAINER_OF(node, struct source, node));
    }
    LIST_EACH(&self->targets, node)
    {
        struct target *target = CONTAINER_OF(node, struct target, node);
        (void)close(target->fd);
        free(target);
    }
    if (self->last_source >= 0) {
        (void)close(self->last_source);
    }
    node_count = 0; /* all of them end with the case */
}

bool files_is_linked(const struct files_node *self, const struct files_node *other)
{
    return mesh_find(self->node.mesh.mesh, service_node_id(&other->node)) != NULL &&
           mesh_find(other->node.mesh.mesh, service_node_id(&self->node)) != NULL;
}

void files_link(struct files_node *self, const struct files_node *to)
{
    struct sim_dial dial;
    sim_node_enter(self->node.mesh.node);
    sim_mesh_dial(&self->node.mesh, &dial, to->address, 4000, NULL);
    sim_net_run(self->net, CONNECT_MS);
    assert_true(dial.done && dial.result == 0);
}

/* ---- sending and receiving ---- */

static const char *sent(struct files_node *self)
{
    const char *key = key_of(self->call.result);
    return add_source(self, key)->key;
}

static const char *id_text(const struct files_node *node)
{
    static char text[PEER_ID_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%s", peer_id_format(service_node_id(&node->node)).text);
    return text;
}

const char *files_send(struct files_node *self, const struct files_node *to, size_t size)
{
    int fd = files_source(0, size);
    if (self->last_source >= 0) {
        (void)close(self->last_source);
    }
    self->last_source = dup(fd);
    assert_int_equal(files_call(self, 1, M_TRANSFER_SEND,
                                json_pack("{s:s, s:s, s:s}", "peer", id_text(to), "kind", "file",
                                          "name", "a file"),
                                bytes_make(NULL, 0), fd),
                     PROTO_ERROR_COUNT);
    return sent(self);
}

const char *files_send_tree(struct files_node *self, const struct files_node *to, uint32_t count,
                            const size_t *sizes)
{
    struct buf body;
    buf_init(&body);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t head[10];
        char path[24];
        size_t length = (size_t)snprintf(path, sizeof path, "d%u/f%u", i % 3, i);
        for (size_t at = 0; at < 8; at++) {
            head[at] = (uint8_t)((uint64_t)sizes[i] >> (8 * at));
        }
        head[8] = (uint8_t)length;
        head[9] = 0;
        assert_int_equal(buf_append(&body, bytes_make(head, sizeof head)), 0);
        assert_int_equal(buf_append(&body, bytes_make(path, length)), 0);
    }
    assert_int_equal(files_call(self, 1, M_TRANSFER_SEND,
                                json_pack("{s:s, s:s, s:s}", "peer", id_text(to), "kind",
                                          "directory", "name", "a tree"),
                                buf_view(&body), -1),
                     PROTO_ERROR_COUNT);
    buf_fini(&body);
    return sent(self);
}

const char *files_offered(struct files_node *self, uint64_t session)
{
    files_run(self->net, 100);
    const json_t *fields = files_last(self, session, EV_TRANSFER_OFFERED);
    assert_non_null(fields);
    return key_of(fields);
}

enum proto_error files_accept(struct files_node *self, uint64_t session, const char *key)
{
    const json_t *offer = files_last(self, session, EV_TRANSFER_OFFERED);
    const char *kind = json_string_value(json_object_get(offer, "kind"));
    int fd = kind != NULL && strcmp(kind, "file") == 0 ? add_target(self, key, 0) : -1;
    return files_call(self, session, M_TRANSFER_ACCEPT, json_pack("{s:s}", "transfer", key),
                      bytes_make(NULL, 0), fd);
}

/* ---- what programs were told ---- */

static bool is_told(const struct told *told, uint64_t session, enum event_id event)
{
    return told->session == session && told->event == event;
}

const json_t *files_last(const struct files_node *self, uint64_t session, enum event_id event)
{
    const json_t *last = NULL;
    LIST_EACH(&self->told, node)
    {
        const struct told *told = CONTAINER_OF(node, struct told, node);
        last = is_told(told, session, event) ? told->fields : last;
    }
    return last;
}

size_t files_count(const struct files_node *self, uint64_t session, enum event_id event)
{
    size_t count = 0;
    LIST_EACH(&self->told, node)
    {
        count += is_told(CONTAINER_OF(node, struct told, node), session, event);
    }
    return count;
}

/* The next transfer.changed of the transfer that the session was told, from a place in the list. */
static const json_t *next_change(const struct files_node *self, struct list **at, uint64_t session,
                                 const char *key)
{
    for (; *at != &self->told; *at = (*at)->next) {
        const struct told *told = CONTAINER_OF(*at, struct told, node);
        if (is_told(told, session, EV_TRANSFER_CHANGED) && strcmp(key_of(told->fields), key) == 0) {
            *at = (*at)->next;
            return told->fields;
        }
    }
    return NULL;
}

static const json_t *last_change(const struct files_node *self, uint64_t session, const char *key)
{
    const json_t *last = NULL;
    const json_t *fields;
    struct list *at = self->told.next;
    while ((fields = next_change(self, &at, session, key)) != NULL) {
        last = fields;
    }
    return last;
}

static const char *state_of(const json_t *fields)
{
    const char *state = json_string_value(json_object_get(fields, "state"));
    return state == NULL ? "" : state;
}

const char *files_state(const struct files_node *self, uint64_t session, const char *key)
{
    return state_of(last_change(self, session, key));
}

const char *files_error(const struct files_node *self, uint64_t session, const char *key)
{
    const json_t *error = json_object_get(last_change(self, session, key), "error");
    return error == NULL ? "" : json_string_value(error);
}

size_t files_ends(const struct files_node *self, uint64_t session, const char *key)
{
    size_t count = 0;
    const json_t *fields;
    struct list *at = self->told.next;
    while ((fields = next_change(self, &at, session, key)) != NULL) {
        const char *state = state_of(fields);
        count += strcmp(state, "completed") == 0 || strcmp(state, "failed") == 0 ||
                 strcmp(state, "cancelled") == 0;
    }
    return count;
}

bool files_was(const struct files_node *self, uint64_t session, const char *key, const char *state)
{
    const json_t *fields;
    struct list *at = self->told.next;
    while ((fields = next_change(self, &at, session, key)) != NULL) {
        if (strcmp(state_of(fields), state) == 0) {
            return true;
        }
    }
    return false;
}

void files_assert_target(const struct files_node *self, const char *key, uint32_t file, size_t size)
{
    const struct target *target = find_target(self, key, file);
    assert_true(target != NULL && target->placed);
    assert_content(target->fd, file, size);
}

size_t files_placed(const struct files_node *self, const char *key)
{
    size_t count = 0;
    LIST_EACH(&self->targets, node)
    {
        const struct target *target = CONTAINER_OF(node, struct target, node);
        count += target->placed && strcmp(target->key, key) == 0;
    }
    return count;
}
