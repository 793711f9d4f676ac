/* The transfer service: what each method does, and what it refuses. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "files_node.h"
#include "service/transfer_disk.h"

#define MB (UINT64_C(1024) * 1024)

static struct sim_net *net;
static struct files_node a; /* sends, mostly */
static struct files_node b;
static size_t descriptors;

static void start(const char *const *options)
{
    files_node_init(&a, net, 1, options);
    files_node_init(&b, net, 2, options);
    files_link(&a, &b);
}

static int begin(void **state)
{
    (void)state;
    descriptors = files_descriptors();
    net = sim_net_new(1);
    return 0;
}

/* Every descriptor is closed by then, whatever happened. */
static int end(void **state)
{
    (void)state;
    files_node_fini(&a);
    files_node_fini(&b);
    sim_net_free(net);
    assert_int_equal(files_descriptors(), descriptors);
    return 0;
}

static enum proto_error call(struct files_node *node, enum method_id method, json_t *params)
{
    return files_call(node, 1, method, params, bytes_make(NULL, 0), -1);
}

static const char *id_of(const struct files_node *node)
{
    static char text[PEER_ID_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%s", peer_id_format(service_node_id(&node->node)).text);
    return text;
}

static json_t *send_params(const char *peer, const char *kind)
{
    return json_pack("{s:s, s:s, s:s}", "peer", peer, "kind", kind, "name", "n");
}

static uint64_t statistic(struct files_node *node, const char *name)
{
    assert_int_equal(call(node, M_TRANSFER_STATISTICS, json_object()), PROTO_ERROR_COUNT);
    return (uint64_t)json_integer_value(json_object_get(node->call.result, name));
}

/* ---- what arrives ---- */

static void a_file_arrives_and_completes_once_it_is_in_place(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 3 * MB + 5);
    const char *offered = files_offered(&b, 1);
    b.places_nothing = true;
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    files_run(net, 2000);
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_VERIFIED), 1);
    assert_string_equal(files_state(&a, 1, key), "running"); /* not before it is in place */
    b.places_nothing = false;
    files_run(net, 200);
    assert_string_equal(files_state(&a, 1, key), "completed");
    assert_string_equal(files_state(&b, 1, offered), "completed");
    assert_int_equal(files_ends(&a, 1, key), 1);
    assert_int_equal(files_ends(&b, 1, offered), 1);
    files_assert_target(&b, offered, 0, 3 * MB + 5);
    assert_int_equal(statistic(&a, "sent_bytes"), 3 * MB + 5);
    assert_int_equal(statistic(&b, "received_files"), 1);
    assert_int_equal(statistic(&b, "completed"), 1);
    assert_int_equal(statistic(&b, "active"), 0);
    assert_true(statistic(&b, "receiving_ms") >= 2000);
}

static void an_empty_file_arrives(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 0);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    files_run(net, 500);
    assert_string_equal(files_state(&a, 1, key), "completed");
    files_assert_target(&b, offered, 0, 0);
}

static void a_tree_arrives_with_few_descriptors_open(void **state)
{
    (void)state;
    size_t sizes[200];
    for (size_t i = 0; i < 200; i++) {
        sizes[i] = i * 97 % 5000;
    }
    sizes[77] = 600000;
    start(NULL);
    const char *key = files_send_tree(&a, &b, 200, sizes);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    for (int i = 0; i < 600 && strcmp(files_state(&a, 1, key), "completed") != 0; i++) {
        files_run(net, 10);
        /* ours to look at afterwards, and at most 32 on each side */
        assert_true(files_descriptors() <= descriptors + 200 + 2 * TRANSFER_AHEAD_FILES + 8);
    }
    assert_string_equal(files_state(&a, 1, key), "completed");
    assert_string_equal(files_state(&b, 1, offered), "completed");
    for (uint32_t i = 0; i < 200; i++) {
        files_assert_target(&b, offered, i, sizes[i]);
    }
    assert_int_equal(statistic(&a, "sent_files"), 200);
}

static void an_empty_tree_is_complete_once_accepted(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send_tree(&a, &b, 0, NULL);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    files_run(net, 500);
    assert_string_equal(files_state(&a, 1, key), "completed");
    assert_string_equal(files_state(&b, 1, offered), "completed");
}

static void paths_of_an_event_fit_into_a_head(void **state)
{
    (void)state;
    uint8_t body[32 * (10 + 4000)];
    size_t size = 0;
    start(NULL);
    for (int i = 0; i < 32; i++) { /* long, and each byte twice as long in JSON */
        memset(body + size, 0, 10);
        body[size + 8] = 4000 & 0xff;
        body[size + 9] = 4000 >> 8;
        memset(body + size + 10, '"', 4000);
        for (int at = 200; at < 4000; at += 200) {
            body[size + 10 + (size_t)at] = '/';
        }
        body[size + 10] = (uint8_t)('a' + i / 10);
        body[size + 11] = (uint8_t)('a' + i % 10);
        size += 10 + 4000;
    }
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, send_params(id_of(&b), "directory"),
                                bytes_make(body, size), -1),
                     PROTO_ERROR_COUNT);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    files_run(net, 10);
    assert_true(files_count(&b, 1, EV_TRANSFER_OPEN) > 0);
    LIST_EACH(&b.told, node)
    {
        const json_t *fields = files_last(&b, 1, EV_TRANSFER_OPEN);
        char *text = json_dumps(fields, JSON_COMPACT);
        assert_true(strlen(text) < 60000);
        free(text);
    }
}

/* ---- lists too long for the loop ---- */

#define MANY 12000

static void a_long_list_is_offered_and_what_follows_finds_it(void **state)
{
    (void)state;
    size_t *sizes = calloc(MANY, sizeof *sizes);
    assert_non_null(sizes);
    start(NULL);
    const char *key = files_send_tree(&a, &b, MANY, sizes);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_CANCEL, key), PROTO_ERROR_COUNT);
    const char *offered = files_offered(&b, 1);
    assert_string_equal(files_state(&b, 1, offered), "cancelled"); /* in the order it was said */
    key = files_send_tree(&a, &b, MANY, sizes);
    offered = files_offered(&b, 1);
    const json_t *fields = files_last(&b, 1, EV_TRANSFER_OFFERED);
    assert_int_equal(json_integer_value(json_object_get(fields, "total_files")), MANY);
    assert_false(peer_is_held(mesh_find(b.node.mesh.mesh, service_node_id(&a.node))));
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    files_run(net, 100);
    assert_string_equal(files_state(&a, 1, key), "running");
    free(sizes);
}

static void a_long_list_is_gone_with_its_link(void **state)
{
    (void)state;
    size_t *sizes = calloc(MANY, sizeof *sizes);
    assert_non_null(sizes);
    start(NULL);
    sim_net_set_segments(net, 0);
    (void)files_send_tree(&a, &b, MANY, sizes);
    sim_node_break(a.node.mesh.node);
    files_run(net, 100);
    assert_false(files_is_linked(&a, &b));
    files_link(&a, &b);
    const char *key = files_send(&a, &b, 5);
    (void)files_offered(&b, 1);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_CANCEL, key), PROTO_ERROR_COUNT);
    free(sizes);
}

/* Whoever puts it into place may have done so: what it is told must not say otherwise. */
static void what_has_arrived_is_not_cancelled(void **state)
{
    (void)state;
    start(NULL);
    b.places_nothing = true;
    const char *key = files_send(&a, &b, 5000);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    files_run(net, 500);
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_VERIFIED), 1);
    assert_int_equal(files_do(&b, 1, M_TRANSFER_CANCEL, offered), E_OPERATION_FAILED);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_CANCEL, key), PROTO_ERROR_COUNT);
    files_run(net, 100);
    assert_string_equal(files_state(&b, 1, offered), "running");
    sim_node_break(a.node.mesh.node);
    files_run(net, 100);
    assert_string_equal(files_state(&b, 1, offered), "running");
    b.places_nothing = false;
    files_run(net, 100);
    assert_string_equal(files_state(&b, 1, offered), "completed");
    assert_int_equal(files_ends(&b, 1, offered), 1);
}

static void the_lists_of_one_program_are_limited(void **state)
{
    (void)state;
    static const char *const options[] = {"max_list_bytes", "100K", NULL};
    static const uint8_t small[] = "\0\0\0\0\0\0\0\0\1\0f";
    size_t *sizes = calloc(MANY, sizeof *sizes);
    assert_non_null(sizes);
    start(options);
    const char *key = files_send_tree(&a, &b, MANY, sizes); /* one alone */
    json_t *params =
        json_pack("{s:s, s:s, s:s}", "peer", peer_id_format(service_node_id(&b.node)).text, "kind",
                  "directory", "name", "small");
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, json_incref(params),
                                bytes_make(small, sizeof small - 1), -1),
                     E_LIMIT);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_CANCEL, key), PROTO_ERROR_COUNT);
    assert_int_equal(
        files_call(&a, 1, M_TRANSFER_SEND, params, bytes_make(small, sizeof small - 1), -1),
        PROTO_ERROR_COUNT);
    free(sizes);
}

static void a_long_list_with_a_fault_is_refused(void **state)
{
    (void)state;
    size_t size = (size_t)MANY * 16;
    uint8_t *body = calloc(1, size);
    assert_non_null(body);
    for (size_t i = 0; i < MANY; i++) {
        char path[8];
        (void)snprintf(path, sizeof path, "f%05u", (unsigned)i % (MANY - 1)); /* the last twice */
        body[i * 16 + 8] = 6;
        memcpy(body + i * 16 + 10, path, 6);
    }
    start(NULL);
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, send_params(id_of(&b), "directory"),
                                bytes_make(body, size), -1),
                     E_INVALID_PARAMETER);
    assert_non_null(strstr(a.call.text, "twice"));
    free(body);
}

/* ---- what goes wrong ---- */

static void sending_needs_a_peer_and_a_descriptor(void **state)
{
    (void)state;
    static const char nobody[] = "0000000000000000000000000000000000000000000000000000000000000001";
    int pipes[2];
    start(NULL);
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, send_params(nobody, "file"),
                                bytes_make(NULL, 0), files_source(0, 1)),
                     E_PEER_NOT_FOUND);
    assert_int_equal(call(&a, M_TRANSFER_SEND, send_params(id_of(&b), "file")), E_OPERATION_FAILED);
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, send_params(id_of(&b), "directory"),
                                bytes_make(NULL, 0), files_source(0, 1)),
                     E_OPERATION_FAILED);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, send_params(id_of(&b), "file"),
                                bytes_make(NULL, 0), pipes[0]),
                     E_OPERATION_FAILED);
    assert_non_null(strstr(a.call.text, "regular file"));
    (void)close(pipes[1]);
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_OFFERED), 0);
}

static void a_list_with_a_hostile_path_is_refused_here_already(void **state)
{
    (void)state;
    static const uint8_t up[] = "\0\0\0\0\0\0\0\0\6\0../etc";
    static const uint8_t cut[] = "\0\0\0\0\0\0\0\0\6";
    start(NULL);
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, send_params(id_of(&b), "directory"),
                                bytes_make(up, sizeof up - 1), -1),
                     E_INVALID_PARAMETER);
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, send_params(id_of(&b), "directory"),
                                bytes_make(cut, sizeof cut - 1), -1),
                     E_INVALID_PARAMETER);
}

static void more_files_than_allowed_are_too_large(void **state)
{
    (void)state;
    static const char *const options[] = {"max_files", "2", NULL};
    static const uint8_t three[] = "\0\0\0\0\0\0\0\0\1\0a"
                                   "\0\0\0\0\0\0\0\0\1\0b"
                                   "\0\0\0\0\0\0\0\0\1\0c";
    start(options);
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, send_params(id_of(&b), "directory"),
                                bytes_make(three, sizeof three - 1), -1),
                     E_TOO_LARGE);
    service_node_reload(&a.node, "transfer", "max_files", "3");
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, send_params(id_of(&b), "directory"),
                                bytes_make(three, sizeof three - 1), -1),
                     PROTO_ERROR_COUNT);
    files_run(net, 100);
    assert_string_equal(
        files_state(&a, 1, json_string_value(json_object_get(a.call.result, "transfer"))),
        "cancelled");
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_OFFERED), 0); /* b still takes two */
}

static void a_session_has_its_share_of_transfers(void **state)
{
    (void)state;
    static const char *const options[] = {"max_active_per_session", "2", NULL};
    start(options);
    (void)files_send(&a, &b, 1);
    const char *second = files_send(&a, &b, 1);
    assert_int_equal(files_call(&a, 1, M_TRANSFER_SEND, send_params(id_of(&b), "file"),
                                bytes_make(NULL, 0), files_source(0, 1)),
                     E_LIMIT);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_CANCEL, second), PROTO_ERROR_COUNT);
    (void)files_send(&a, &b, 1);
}

static void a_peer_has_its_share_of_offers(void **state)
{
    (void)state;
    static const char *const options[] = {"max_pending_per_peer", "3", NULL};
    const char *keys[4];
    start(options);
    for (int i = 0; i < 4; i++) {
        keys[i] = files_send(&a, &b, 1);
    }
    files_run(net, 100);
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_OFFERED), 3);
    assert_string_equal(files_state(&a, 1, keys[3]), "cancelled");
    assert_string_equal(files_error(&a, 1, keys[3]), "too many offers at once");
}

static void switched_off_nothing_is_taken_or_sent(void **state)
{
    (void)state;
    start(NULL);
    service_node_reload(&b.node, "transfer", "enabled", "no");
    const char *key = files_send(&a, &b, 1);
    files_run(net, 100);
    assert_string_equal(files_state(&a, 1, key), "cancelled");
    assert_int_equal(call(&b, M_TRANSFER_WATCH, json_pack("{s:[s]}", "kinds", "file")),
                     E_NOT_SUPPORTED);
    assert_int_equal(call(&b, M_TRANSFER_SEND, send_params(id_of(&a), "file")), E_NOT_SUPPORTED);
    assert_int_equal(
        call(&b, M_TRANSFER_REQUEST,
             json_pack("{s:s, s:s, s:s}", "peer", id_of(&a), "kind", "file", "path", "x")),
        E_NOT_SUPPORTED);
}

static void a_target_that_cannot_be_used_leaves_the_offer_open(void **state)
{
    (void)state;
    start(NULL);
    (void)files_send(&a, &b, 100);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_call(&b, 1, M_TRANSFER_ACCEPT, json_pack("{s:s}", "transfer", offered),
                                bytes_make(NULL, 0), files_source(0, 7)),
                     E_OPERATION_FAILED);
    assert_non_null(strstr(b.call.text, "not an empty file"));
    assert_int_equal(files_do(&b, 1, M_TRANSFER_ACCEPT, offered), E_OPERATION_FAILED);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    files_run(net, 500);
    assert_string_equal(files_state(&b, 1, offered), "completed");
}

static void a_source_that_shrinks_fails_both(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 20 * MB);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    assert_int_equal(ftruncate(a.last_source, (off_t)MB), 0);
    files_run(net, 3000);
    assert_string_equal(files_state(&a, 1, key), "failed");
    assert_string_equal(files_state(&b, 1, offered), "failed");
    assert_true(strlen(files_error(&a, 1, key)) > 0);
    assert_int_equal(files_placed(&b, offered), 0);
}

static void a_source_that_is_changed_fails_both(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 8 * MB);
    const char *offered = files_offered(&b, 1);
    b.places_nothing = true;
    assert_int_equal(files_do(&a, 1, M_TRANSFER_PAUSE, key), E_OPERATION_FAILED); /* not yet */
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    while (strcmp(files_state(&a, 1, key), "running") != 0) {
        sim_net_run(net, 1);
    }
    assert_int_equal(pwrite(a.last_source, "changed", 7, (off_t)(8 * MB - 7)), 7);
    static const struct timespec later[2] = {{.tv_sec = 2000000000}, {.tv_sec = 2000000000}};
    assert_int_equal(futimens(a.last_source, later), 0); /* clocks of file systems are coarse */
    files_run(net, 3000);
    assert_string_equal(files_state(&a, 1, key), "failed");
    assert_non_null(strstr(files_error(&a, 1, key), "changed"));
    assert_string_equal(files_state(&b, 1, offered), "failed");
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_VERIFIED), 0);
}

static void a_program_may_give_up(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 8 * MB);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    assert_int_equal(call(&b, M_TRANSFER_FAIL,
                          json_pack("{s:s, s:s}", "transfer", offered, "error", "no more room")),
                     PROTO_ERROR_COUNT);
    files_run(net, 100);
    assert_string_equal(files_state(&b, 1, offered), "failed");
    assert_string_equal(files_error(&b, 1, offered), "no more room");
    assert_string_equal(files_state(&a, 1, key), "failed");
    assert_int_equal(files_do(&b, 1, M_TRANSFER_FAIL, offered), E_NOT_FOUND);
}

static void answers_nobody_asked_for_are_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {5, 5, 5};
    start(NULL);
    b.opens_nothing = true;
    (void)files_send_tree(&a, &b, 3, sizes);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_call(&b, 1, M_TRANSFER_PROVIDE,
                                json_pack("{s:s, s:i}", "transfer", offered, "first", 0),
                                bytes_make(NULL, 0), files_empty()),
                     E_NOT_FOUND); /* it is nobody's yet */
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    assert_int_equal(files_call(&b, 1, M_TRANSFER_PROVIDE,
                                json_pack("{s:s, s:i}", "transfer", offered, "first", 1),
                                bytes_make(NULL, 0), files_empty()),
                     E_OPERATION_FAILED);
    assert_int_equal(files_call(&b, 1, M_TRANSFER_PROVIDE,
                                json_pack("{s:s, s:i}", "transfer", offered, "first", 0),
                                bytes_make(NULL, 0), -1),
                     E_OPERATION_FAILED);
    assert_int_equal(files_call(&b, 2, M_TRANSFER_PROVIDE,
                                json_pack("{s:s, s:i}", "transfer", offered, "first", 0),
                                bytes_make(NULL, 0), files_empty()),
                     E_NOT_FOUND);
    assert_int_equal(
        call(&b, M_TRANSFER_PLACED, json_pack("{s:s, s:i}", "transfer", offered, "count", 1)),
        E_OPERATION_FAILED);
    b.opens_nothing = false;
    files_run(net, 500);
    assert_string_equal(files_state(&b, 1, offered), "completed");
}

/* ---- steering ---- */

static void either_side_pauses_and_goes_on(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 30 * MB);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    assert_int_equal(files_do(&b, 1, M_TRANSFER_PAUSE, offered), PROTO_ERROR_COUNT);
    files_run(net, 1000);
    assert_string_equal(files_state(&a, 1, key), "paused");
    assert_string_equal(files_state(&b, 1, offered), "paused");
    files_run(net, 100 * 1000); /* longer than it may be idle */
    assert_string_equal(files_state(&a, 1, key), "paused");
    assert_int_equal(files_do(&a, 1, M_TRANSFER_RESUME, key), PROTO_ERROR_COUNT);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_RESUME, key), E_OPERATION_FAILED);
    files_run(net, 5000);
    assert_string_equal(files_state(&a, 1, key), "completed");
    assert_string_equal(files_state(&b, 1, offered), "completed");
    assert_true(files_was(&a, 1, key, "resuming") && files_was(&b, 1, offered, "resuming"));
}

static void a_transfer_is_cancelled_from_either_side_in_any_state(void **state)
{
    (void)state;
    start(NULL);
    for (int stage = 0; stage < 4; stage++) {
        for (int side = 0; side < 2; side++) {
            const char *key = files_send(&a, &b, 8 * MB);
            const char *offered = files_offered(&b, 1);
            if (stage > 0) {
                assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
            }
            if (stage > 1) {
                sim_net_run(net, 2);
            }
            if (stage > 2) {
                assert_int_equal(files_do(&b, 1, M_TRANSFER_PAUSE, offered), PROTO_ERROR_COUNT);
            }
            struct files_node *who = side == 0 ? &a : &b;
            assert_int_equal(files_do(who, 1, M_TRANSFER_CANCEL, side == 0 ? key : offered),
                             PROTO_ERROR_COUNT);
            files_run(net, 100);
            if (stage == 0 && side == 1) { /* the other program might still take it */
                assert_int_equal(files_do(&b, 2, M_TRANSFER_REJECT, offered), PROTO_ERROR_COUNT);
                files_run(net, 100);
            }
            assert_string_equal(files_state(&a, 1, key), "cancelled");
            assert_string_equal(files_state(&b, 1, offered), "cancelled");
            assert_int_equal(files_ends(&a, 1, key), 1);
            assert_int_equal(files_ends(&b, 1, offered), 1);
        }
    }
}

static void only_control_permission_reaches_what_others_have(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 8 * MB);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    static const enum method_id methods[] = {M_TRANSFER_PAUSE, M_TRANSFER_RESUME, M_TRANSFER_CANCEL,
                                             M_TRANSFER_GET};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(files_do(&a, 2, methods[i], key), E_NOT_FOUND);
    }
    assert_int_equal(files_call(&a, 2, M_TRANSFER_LIST, json_pack("{s:s}", "whose", "all"),
                                bytes_make(NULL, 0), -1),
                     E_NOT_PERMITTED);
    struct service_call as_control = {.session = 2};
    sim_node_enter(a.node.mesh.node);
    service_node_call_with(&a.node, M_TRANSFER_CANCEL, json_pack("{s:s}", "transfer", key),
                           &as_control);
    assert_true(as_control.done && as_control.error == PROTO_ERROR_COUNT);
    service_call_fini(&as_control);
    files_run(net, 100);
    assert_string_equal(files_state(&a, 1, key), "cancelled");
    as_control = (struct service_call){.session = 2};
    service_node_call_with(&a.node, M_TRANSFER_LIST, json_pack("{s:s}", "whose", "all"),
                           &as_control);
    assert_int_equal(json_array_size(json_object_get(as_control.result, "transfers")), 1);
    service_call_fini(&as_control);
}

static void what_ended_can_be_looked_at_for_ten_minutes(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 10);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    files_run(net, 1000);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_GET, key), PROTO_ERROR_COUNT);
    assert_string_equal(json_string_value(json_object_get(a.call.result, "state")), "completed");
    assert_int_equal(json_integer_value(json_object_get(a.call.result, "done_bytes")), 10);
    sim_net_run(net, 590 * 1000);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_GET, key), PROTO_ERROR_COUNT);
    sim_net_run(net, 20 * 1000);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_GET, key), E_NOT_FOUND);
    assert_int_equal(call(&a, M_TRANSFER_LIST, json_object()), PROTO_ERROR_COUNT);
    assert_int_equal(json_array_size(json_object_get(a.call.result, "transfers")), 0);
}

static void an_offer_that_nobody_answers_ends(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 10);
    const char *offered = files_offered(&b, 1);
    files_run(net, 59 * 1000);
    assert_int_equal(files_ends(&a, 1, key), 0);
    files_run(net, 2 * 1000);
    assert_int_equal(files_ends(&a, 1, key), 1);
    assert_string_equal(files_state(&b, 1, offered), "cancelled");
    assert_string_equal(files_state(&b, 2, offered), "cancelled");
    assert_int_equal(files_do(&b, 1, M_TRANSFER_REJECT, offered), E_NOT_FOUND);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_file_arrives_and_completes_once_it_is_in_place),
        CASE(an_empty_file_arrives),
        CASE(a_tree_arrives_with_few_descriptors_open),
        CASE(an_empty_tree_is_complete_once_accepted),
        CASE(paths_of_an_event_fit_into_a_head),
        CASE(a_long_list_is_offered_and_what_follows_finds_it),
        CASE(a_long_list_is_gone_with_its_link),
        CASE(what_has_arrived_is_not_cancelled),
        CASE(the_lists_of_one_program_are_limited),
        CASE(a_long_list_with_a_fault_is_refused),
        CASE(sending_needs_a_peer_and_a_descriptor),
        CASE(a_list_with_a_hostile_path_is_refused_here_already),
        CASE(more_files_than_allowed_are_too_large),
        CASE(a_session_has_its_share_of_transfers),
        CASE(a_peer_has_its_share_of_offers),
        CASE(switched_off_nothing_is_taken_or_sent),
        CASE(a_target_that_cannot_be_used_leaves_the_offer_open),
        CASE(a_source_that_shrinks_fails_both),
        CASE(a_source_that_is_changed_fails_both),
        CASE(a_program_may_give_up),
        CASE(answers_nobody_asked_for_are_refused),
        CASE(either_side_pauses_and_goes_on),
        CASE(a_transfer_is_cancelled_from_either_side_in_any_state),
        CASE(only_control_permission_reaches_what_others_have),
        CASE(what_ended_can_be_looked_at_for_ten_minutes),
        CASE(an_offer_that_nobody_answers_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
