#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store_node.h"
#include "vectors.h"
#include "wire/entry.h"

#define MOST 64

static const char *directory;
static struct sim_net *net;
static struct store_node store;

/* A peer that only records what it is sent. */
struct other {
    struct sim_mesh mesh;
    struct {
        uint8_t bytes[256];
        size_t size;
    } messages[MOST];
    size_t count;
    size_t bytes;
};
static struct other b; /* the numbers are those of their addresses */
static struct other c;

static void record(void *arg, struct peer *from, const struct message *message)
{
    struct other *other = arg;
    (void)from;
    size_t size = message->payload.size;
    assert_true(other->count < MOST);
    memcpy(other->messages[other->count].bytes, message->payload.data, size < 256 ? size : 256);
    other->messages[other->count++].size = size;
    other->bytes += size;
}

static void start_other(struct other *other, const char *address, uint8_t seed)
{
    memset(other, 0, sizeof *other);
    sim_mesh_init(&other->mesh, sim_node_new(net, address), seed, NULL);
    mesh_claim(other->mesh.mesh, WIRE_STORAGE, record, other);
}

static int begin(void **state)
{
    (void)state;
    net = sim_net_new(1);
    store_node_init(&store, net, 1, NULL);
    start_other(&b, "10.0.0.2", 2);
    start_other(&c, "10.0.0.3", 3);
    return 0;
}

static int end(void **state)
{
    (void)state;
    store_node_fini(&store);
    sim_mesh_fini(&b.mesh);
    sim_mesh_fini(&c.mesh);
    sim_net_free(net);
    return 0;
}

static void connect(struct other *other)
{
    struct sim_dial dial;
    sim_mesh_dial(&other->mesh, &dial, "10.0.0.1", 4000, NULL);
    sim_net_run(net, 2000);
    assert_true(dial.done && dial.result == 0);
}

static void send_bytes(struct other *other, struct bytes payload)
{
    sim_node_enter(other->mesh.node);
    assert_true(
        mesh_send(other->mesh.mesh, service_node_id(&store.node), WIRE_STORAGE, 0, payload) >= 0);
    sim_net_run(net, 1000);
}

static void send_entry(struct other *other, uint8_t opcode, const char *key, const char *value,
                       uint64_t timestamp_ms)
{
    uint8_t out[512];
    struct writer writer;
    struct entry entry = {.key = bytes_from_string(key),
                          .type = ENTRY_STRING,
                          .timestamp_ms = timestamp_ms,
                          .data = bytes_from_string(value)};
    writer_init(&writer, out, sizeof out);
    writer_u8(&writer, opcode);
    if (opcode == STORE_SYNC_RESPONSE) {
        writer_u32(&writer, 1);
    }
    entry_encode(&entry, &writer);
    send_bytes(other, writer_view(&writer));
}

static struct bytes last(const struct other *other)
{
    assert_true(other->count > 0);
    return bytes_make(other->messages[other->count - 1].bytes,
                      other->messages[other->count - 1].size);
}

/* Whether the last message is the entry, and the only one since count. */
static void expect_entry(const struct other *other, size_t count, const char *key, bool deleted)
{
    struct entry entry;
    struct reader reader;
    assert_int_equal(other->count, count);
    reader_init(&reader, last(other));
    assert_int_equal(reader_u8(&reader), STORE_ENTRY);
    assert_int_equal(entry_decode(&reader, &entry), 0);
    assert_true(bytes_equal(entry.key, bytes_from_string(key)));
    assert_int_equal(entry.deleted, deleted);
}

/* storage.json, the steps that do not depend on the clock: what upstream sends, byte for byte. */
static void a_peer_is_asked_when_it_connects_and_an_empty_store_answers(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "storage.json");
    json_t *steps = vectors_array(vectors_root(vectors), "steps");
    json_t *asked = json_array_get(vectors_array(json_array_get(steps, 0), "sent"), 0);
    json_t *answered = json_array_get(vectors_array(json_array_get(steps, 1), "sent"), 0);
    connect(&b);
    assert_int_equal(b.count, 1);
    assert_true(bytes_equal(last(&b), vectors_hex(vectors, asked, "payload")));
    send_bytes(&b, vectors_hex(vectors, json_array_get(steps, 1), "input"));
    assert_int_equal(b.count, 2);
    assert_true(bytes_equal(last(&b), vectors_hex(vectors, answered, "payload")));
    vectors_close(vectors);
}

/* The entries of the vectors, which are years old: forwarded, refused and answered as upstream
 * does, but for the one from the future. */
static void entries_are_forwarded_and_answered_as_upstream_does(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "storage.json");
    size_t i;
    json_t *step;
    connect(&b);
    connect(&c);
    json_array_foreach(vectors_array(vectors_root(vectors), "steps"), i, step)
    {
        const char *name = vectors_text(step, "step");
        if (i < 2 || !vectors_has(step, "input")) {
            continue;
        }
        size_t before = c.count;
        bool future = strstr(name, "future") != NULL;
        bool request = strstr(name, "SYNC_REQUEST") != NULL;
        json_t *sent = json_object_get(step, "sent"); /* may be empty */
        send_bytes(&b, vectors_hex(vectors, step, "input"));
        bool expected = json_array_size(sent) > 0 && !future && !request;
        assert_int_equal(c.count - before, expected ? 1 : 0);
        if (expected || request) {
            struct bytes payload = vectors_hex(vectors, json_array_get(sent, 0), "payload");
            assert_true(bytes_equal(last(request ? &b : &c), payload));
        }
    }
    assert_int_equal(store_statistic(&store, "refused"), 1);
    vectors_close(vectors);
}

static void a_local_change_goes_to_every_peer(void **state)
{
    (void)state;
    connect(&b);
    connect(&c);
    assert_int_equal(store_put(&store, "k", "v"), PROTO_ERROR_COUNT);
    sim_net_run(net, 1000);
    expect_entry(&b, 2, "k", false);
    expect_entry(&c, 2, "k", false);
    assert_int_equal(store_remove(&store, "k"), PROTO_ERROR_COUNT);
    sim_net_run(net, 1000);
    expect_entry(&b, 3, "k", true);
}

static void what_comes_in_a_response_is_merged_and_not_forwarded(void **state)
{
    (void)state;
    connect(&b);
    connect(&c);
    send_entry(&b, STORE_SYNC_RESPONSE, "k", "v", 1000);
    assert_string_equal(store_get(&store, "k"), "v");
    assert_int_equal(c.count, 1);
    send_entry(&b, STORE_ENTRY, "l", "w", 1000);
    expect_entry(&c, 2, "l", false); /* what comes next is told as ever */
    assert_int_equal(b.count, 1);
}

static void a_request_is_answered_with_everything_in_several_messages(void **state)
{
    (void)state;
    static char value[400001];
    memset(value, 'x', sizeof value - 1);
    for (int i = 0; i < 10; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(store_put(&store, key, value), PROTO_ERROR_COUNT);
    }
    connect(&b);
    send_bytes(&b, bytes_make("\2", 1));
    sim_net_run(net, 5000);
    assert_int_equal(b.count, 1 + 5); /* two to a message of at most 1 MiB */
    assert_true(b.bytes > 10 * 400000);
    for (size_t i = 1; i < b.count; i++) {
        assert_int_equal(b.messages[i].bytes[0], STORE_SYNC_RESPONSE);
        assert_int_equal(b.messages[i].bytes[4], 2);
    }
}

static void a_peer_that_asks_all_the_time_is_answered_now_and_then(void **state)
{
    (void)state;
    assert_int_equal(store_put(&store, "k", "v"), PROTO_ERROR_COUNT);
    connect(&b);
    for (int i = 0; i < 50; i++) {
        sim_node_enter(b.mesh.node);
        (void)mesh_send(b.mesh.mesh, service_node_id(&store.node), WIRE_STORAGE, 0,
                        bytes_make("\2", 1));
        sim_net_run(net, 100);
    }
    sim_net_run(net, 5000);
    assert_true(b.count >= 3 && b.count <= 6); /* one in two seconds, and the last one's */
}

static void messages_that_are_none_are_counted_and_the_link_stays(void **state)
{
    (void)state;
    static const char *const noise[] = {"\1", "\1\0\0", "\3\0", "\4", "\xff\xff"};
    connect(&b);
    for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++) {
        send_bytes(&b, bytes_from_string(noise[i]));
    }
    send_bytes(&b, bytes_make(NULL, 0));
    send_bytes(&b, bytes_make("\3\xff\xff\xff\xff", 5));
    send_entry(&b, STORE_ENTRY, "k", "v", 1000);
    assert_string_equal(store_get(&store, "k"), "v");
    assert_true(service_node_metric(&store.node, "storage_malformed") >= 5);
}

static void a_link_that_is_replaced_is_told_everything_again(void **state)
{
    (void)state;
    connect(&b);
    assert_int_equal(store_put(&store, "k", "v"), PROTO_ERROR_COUNT);
    sim_net_run(net, 5000);
    size_t before = b.count;
    struct sim_dial dial;
    sim_node_enter(store.node.mesh.node);
    sim_mesh_dial(&store.node.mesh, &dial, "10.0.0.2", 4000, NULL);
    sim_net_run(net, 10000);
    if (store.node.mesh.replaced > 0) { /* the duplicate rule decides which of the two stays */
        assert_true(b.count >= before + 2);
        assert_int_equal(last(&b).data[0], STORE_SYNC_RESPONSE);
    }
    assert_int_equal(store_statistic(&store, "peers_behind"), 0);
}

static void one_peer_is_asked_again_from_time_to_time(void **state)
{
    (void)state;
    connect(&b);
    connect(&c);
    size_t before = b.count + c.count;
    sim_net_run(net, (int64_t)31 * 60 * 1000);
    size_t asked = b.count + c.count - before;
    assert_true(asked >= 2 && asked <= 4);
    service_node_reload(&store.node, "storage", "resync_interval", "0");
    assert_int_equal(store_put(&store, "k", "v"), PROTO_ERROR_COUNT);
    sim_net_run(net, 1000);
    before = b.count + c.count;
    sim_net_run(net, (int64_t)60 * 60 * 1000);
    assert_int_equal(b.count + c.count, before);
}

static void a_flood_is_held_and_nothing_of_it_is_lost(void **state)
{
    (void)state;
    static uint8_t payload[1 << 20];
    struct writer writer;
    uint32_t count = 0;
    uint64_t stored = 0;
    static char value[1001];
    memset(value, 'x', sizeof value - 1);
    connect(&b);
    for (int message = 0; message < 20; message++) {
        writer_init(&writer, payload, sizeof payload);
        writer_u8(&writer, STORE_SYNC_RESPONSE);
        writer_u32(&writer, 900);
        for (int i = 0; i < 900; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "k%u", count++);
            struct entry entry = {.key = bytes_from_string(key),
                                  .type = ENTRY_STRING,
                                  .timestamp_ms = 1000,
                                  .data = bytes_from_string(value)};
            entry_encode(&entry, &writer);
        }
        assert_true(writer_ok(&writer));
        sim_node_enter(b.mesh.node);
        while (mesh_send(b.mesh.mesh, service_node_id(&store.node), WIRE_STORAGE, 0,
                         writer_view(&writer)) < 0) {
            sim_net_run(net, 100);
        }
        assert_true(store_statistic(&store, "queued_bytes") < (uint64_t)16 << 20);
    }
    for (int i = 0; i < 600 && stored < count; i++) {
        sim_net_run(net, 100);
        stored = store_statistic(&store, "keys");
    }
    assert_int_equal(stored, count);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        CASE(a_peer_is_asked_when_it_connects_and_an_empty_store_answers),
        CASE(entries_are_forwarded_and_answered_as_upstream_does),
        CASE(a_local_change_goes_to_every_peer),
        CASE(what_comes_in_a_response_is_merged_and_not_forwarded),
        CASE(a_request_is_answered_with_everything_in_several_messages),
        CASE(a_peer_that_asks_all_the_time_is_answered_now_and_then),
        CASE(messages_that_are_none_are_counted_and_the_link_stays),
        CASE(a_link_that_is_replaced_is_told_everything_again),
        CASE(one_peer_is_asked_again_from_time_to_time),
        CASE(a_flood_is_held_and_nothing_of_it_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
