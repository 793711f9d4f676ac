/* Whose transfers are: offers to several programs (D19), requests (D20), and ends of sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "files_node.h"
#include "service/ctl.h"

#define MB (UINT64_C(1024) * 1024)

static struct sim_net *net;
static struct files_node a;
static struct files_node b;
static size_t descriptors;

static int begin(void **state)
{
    (void)state;
    descriptors = files_descriptors();
    net = sim_net_new(1);
    files_node_init(&a, net, 1, NULL);
    files_node_init(&b, net, 2, NULL);
    files_link(&a, &b);
    return 0;
}

static int end(void **state)
{
    (void)state;
    files_node_fini(&a);
    files_node_fini(&b);
    sim_net_free(net);
    assert_int_equal(files_descriptors(), descriptors);
    return 0;
}

static enum proto_error call(struct files_node *node, uint64_t session, enum method_id method,
                             json_t *params)
{
    return files_call(node, session, method, params, bytes_make(NULL, 0), -1);
}

static enum proto_error reject(uint64_t session, const char *key, const char *reason)
{
    return call(&b, session, M_TRANSFER_REJECT,
                json_pack("{s:s, s:s}", "transfer", key, "reason", reason));
}

static enum proto_error watch(struct files_node *node, uint64_t session, const char *kind)
{
    return call(node, session, M_TRANSFER_WATCH,
                kind == NULL ? json_pack("{s:[]}", "kinds") : json_pack("{s:[s]}", "kinds", kind));
}

static void end_session(struct files_node *node, uint64_t session)
{
    sim_node_enter(node->node.mesh.node);
    node->node.services[0]->on_session_end(node->node.selves[0], session);
    files_run(net, 100);
}

/* ---- offers to several programs ---- */

static void the_first_to_accept_has_it(void **state)
{
    (void)state;
    const char *key = files_send(&a, &b, 100);
    const char *offered = files_offered(&b, 1);
    assert_string_equal(files_offered(&b, 2), offered);
    assert_int_equal(files_accept(&b, 2, offered), PROTO_ERROR_COUNT);
    assert_int_equal(files_accept(&b, 1, offered), E_NOT_FOUND);
    files_run(net, 500);
    assert_string_equal(files_state(&b, 1, offered), "cancelled");
    assert_string_equal(files_state(&b, 2, offered), "completed");
    assert_int_equal(files_ends(&b, 1, offered), 1);
    assert_string_equal(files_state(&a, 1, key), "completed");
    assert_int_equal(call(&b, 1, M_TRANSFER_GET, json_pack("{s:s}", "transfer", offered)),
                     PROTO_ERROR_COUNT); /* it was shown to it */
    assert_string_equal(json_string_value(json_object_get(b.call.result, "state")), "cancelled");
    assert_null(json_object_get(b.call.result, "session"));
}

static void two_accepts_at_once_are_one(void **state)
{
    (void)state;
    (void)files_send(&a, &b, 100);
    const char *offered = files_offered(&b, 1);
    struct service_call first = {.session = 1, .fds = {files_empty()}, .fd_count = 1};
    struct service_call second = {.session = 2, .fds = {files_empty()}, .fd_count = 1};
    sim_node_enter(b.node.mesh.node);
    service_node_call_with(&b.node, M_TRANSFER_ACCEPT, json_pack("{s:s}", "transfer", offered),
                           &first);
    service_node_call_with(&b.node, M_TRANSFER_ACCEPT, json_pack("{s:s}", "transfer", offered),
                           &second);
    assert_true(second.done && second.error == E_NOT_FOUND && !first.done);
    sim_net_run(net, 10);
    assert_true(first.done && first.error == PROTO_ERROR_COUNT);
    service_call_fini(&first);
    service_call_fini(&second);
}

static void an_accept_that_is_given_up_leaves_the_offer_to_others(void **state)
{
    (void)state;
    (void)files_send(&a, &b, 100);
    const char *offered = files_offered(&b, 1);
    struct service_call first = {.session = 1, .fds = {files_empty()}, .fd_count = 1};
    sim_node_enter(b.node.mesh.node);
    service_node_call_with(&b.node, M_TRANSFER_ACCEPT, json_pack("{s:s}", "transfer", offered),
                           &first);
    service_call_cancel(&first);
    assert_int_equal(files_accept(&b, 2, offered), PROTO_ERROR_COUNT);
    files_run(net, 500);
    assert_string_equal(files_state(&b, 2, offered), "completed");
}

static void an_offer_taken_back_while_it_is_accepted_is_gone(void **state)
{
    (void)state;
    const char *key = files_send(&a, &b, 100);
    const char *offered = files_offered(&b, 1);
    struct service_call accept = {.session = 1, .fds = {files_empty()}, .fd_count = 1};
    sim_node_enter(b.node.mesh.node);
    service_node_call_with(&b.node, M_TRANSFER_ACCEPT, json_pack("{s:s}", "transfer", offered),
                           &accept);
    struct peer *from = mesh_find(b.node.mesh.mesh, service_node_id(&a.node));
    assert_non_null(from);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_CANCEL, key), PROTO_ERROR_COUNT);
    sim_net_run(net, 50);
    assert_true(accept.done);
    service_call_fini(&accept);
    files_run(net, 100);
    assert_string_equal(files_state(&b, 1, offered), "cancelled");
    assert_string_equal(files_state(&a, 1, key), "cancelled");
}

static void it_is_refused_when_all_rejected_it(void **state)
{
    (void)state;
    const char *key = files_send(&a, &b, 100);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(reject(1, offered, "not now"), PROTO_ERROR_COUNT);
    assert_int_equal(reject(1, offered, "not now"), E_NOT_FOUND);
    files_run(net, 100);
    assert_int_equal(files_ends(&a, 1, key), 0);
    assert_int_equal(reject(2, offered, "never, \xc3\xbc"), PROTO_ERROR_COUNT);
    files_run(net, 100);
    assert_string_equal(files_state(&a, 1, key), "cancelled");
    assert_string_equal(files_error(&a, 1, key), "never, \xc3\xbc");
    assert_int_equal(files_ends(&b, 1, offered), 1);
    assert_int_equal(files_ends(&b, 2, offered), 1);
}

static void it_is_refused_at_once_when_nobody_watches(void **state)
{
    (void)state;
    assert_int_equal(watch(&b, 1, NULL), PROTO_ERROR_COUNT);
    assert_int_equal(watch(&b, 2, "directory"), PROTO_ERROR_COUNT);
    const char *key = files_send(&a, &b, 100);
    files_run(net, 100);
    assert_string_equal(files_state(&a, 1, key), "cancelled");
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_OFFERED), 0);
    static const size_t size = 1;
    (void)files_send_tree(&a, &b, 1, &size);
    files_run(net, 100);
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_OFFERED), 0);
    assert_int_equal(files_count(&b, 2, EV_TRANSFER_OFFERED), 1);
}

static void a_session_that_is_not_started_is_shown_nothing(void **state)
{
    (void)state;
    b.node.stopped = 1U << 1;
    (void)files_send(&a, &b, 100);
    files_run(net, 100);
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_OFFERED), 0);
    assert_int_equal(files_count(&b, 2, EV_TRANSFER_OFFERED), 1);
}

/* ---- sessions end ---- */

static void an_offer_is_refused_when_the_last_that_might_take_it_ends(void **state)
{
    (void)state;
    const char *key = files_send(&a, &b, 100);
    (void)files_offered(&b, 1);
    end_session(&b, 1);
    assert_int_equal(files_ends(&a, 1, key), 0);
    end_session(&b, 2);
    assert_string_equal(files_state(&a, 1, key), "cancelled");
}

static void a_transfer_ends_with_the_session_that_receives(void **state)
{
    (void)state;
    const char *key = files_send(&a, &b, 50 * MB);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    sim_net_run(net, 2);
    end_session(&b, 1);
    assert_string_equal(files_state(&a, 1, key), "cancelled");
    assert_int_equal(call(&b, 2, M_TRANSFER_STATISTICS, json_object()), PROTO_ERROR_COUNT);
    assert_int_equal(json_integer_value(json_object_get(b.call.result, "failed")), 0);
}

static void a_transfer_ends_with_the_session_that_sends(void **state)
{
    (void)state;
    static const size_t sizes[] = {100000, 100000, 7};
    (void)files_send_tree(&a, &b, 3, sizes);
    const char *offered = files_offered(&b, 1);
    a.opens_nothing = true;
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    files_run(net, 100);
    end_session(&a, 1);
    assert_string_equal(files_state(&b, 1, offered), "cancelled");
}

static void a_session_that_stops_keeps_nothing_running(void **state)
{
    (void)state;
    const char *key = files_send(&a, &b, 50 * MB);
    sim_node_enter(a.node.mesh.node);
    a.node.services[0]->on_session_stop(a.node.selves[0], 1);
    files_run(net, 100);
    assert_string_equal(files_state(&a, 1, key), "cancelled");
    const char *offered = files_offered(&b, 1);
    assert_string_equal(files_state(&b, 1, offered), "cancelled");
}

/* ---- requests ---- */

static const char *ask(const char *kind, const char *path)
{
    static char key[TRANSFER_KEY_SIZE];
    assert_int_equal(
        call(&a, 1, M_TRANSFER_REQUEST,
             json_pack("{s:s, s:s, s:s}", "peer", peer_id_format(service_node_id(&b.node)).text,
                       "kind", kind, "path", path)),
        PROTO_ERROR_COUNT);
    (void)snprintf(key, sizeof key, "%s",
                   json_string_value(json_object_get(a.call.result, "transfer")));
    return key;
}

static const char *asked(uint64_t session)
{
    files_run(net, 100);
    const json_t *fields = files_last(&b, session, EV_TRANSFER_REQUESTED);
    assert_non_null(fields);
    return json_string_value(json_object_get(fields, "transfer"));
}

static enum proto_error serve(uint64_t session, const char *key, size_t size)
{
    return files_call(&b, session, M_TRANSFER_ACCEPT, json_pack("{s:s}", "transfer", key),
                      bytes_make(NULL, 0), files_source(0, size));
}

static void what_was_asked_for_comes_under_the_id_of_the_request(void **state)
{
    (void)state;
    const char *key = ask("file", "some/where/a \"name\"\n");
    const char *request = asked(1);
    const json_t *fields = files_last(&b, 2, EV_TRANSFER_REQUESTED);
    assert_string_equal(json_string_value(json_object_get(fields, "path")),
                        "some/where/a \"name\"\n");
    assert_string_equal(json_string_value(json_object_get(fields, "kind")), "file");
    assert_int_equal(serve(2, request, 3 * MB), PROTO_ERROR_COUNT);
    assert_int_equal(serve(1, request, 3 * MB), E_NOT_FOUND);
    assert_string_equal(files_offered(&a, 1), key);
    const json_t *offer = files_last(&a, 1, EV_TRANSFER_OFFERED);
    assert_true(json_is_true(json_object_get(offer, "request")));
    assert_int_equal(files_count(&a, 2, EV_TRANSFER_OFFERED), 0);
    assert_int_equal(files_accept(&a, 2, key), E_NOT_FOUND);
    assert_int_equal(files_accept(&a, 1, key), PROTO_ERROR_COUNT);
    files_run(net, 2000);
    assert_string_equal(files_state(&a, 1, key), "completed");
    assert_string_equal(files_state(&b, 2, request), "completed");
    assert_string_equal(files_state(&b, 1, request), "cancelled");
    files_assert_target(&a, key, 0, 3 * MB);
}

static void a_directory_is_asked_for(void **state)
{
    (void)state;
    static const uint8_t list[] = "\3\0\0\0\0\0\0\0\2\0f0";
    const char *key = ask("directory", "photos/2026/");
    b.opens_nothing = true;
    const char *request = asked(1);
    const json_t *fields = files_last(&b, 1, EV_TRANSFER_REQUESTED);
    assert_string_equal(json_string_value(json_object_get(fields, "depth")), "tree");
    assert_int_equal(files_call(&b, 1, M_TRANSFER_ACCEPT, json_pack("{s:s}", "transfer", request),
                                bytes_make(list, sizeof list - 1), -1),
                     PROTO_ERROR_COUNT);
    (void)files_offered(&a, 1);
    const json_t *offer = files_last(&a, 1, EV_TRANSFER_OFFERED);
    assert_string_equal(json_string_value(json_object_get(offer, "name")), "2026/");
    assert_int_equal(files_accept(&a, 1, key), PROTO_ERROR_COUNT);
    files_run(net, 100);
    assert_string_equal(files_state(&a, 1, key), "running");
}

static void a_refused_request_says_why(void **state)
{
    (void)state;
    const char *key = ask("file", "x");
    const char *request = asked(1);
    assert_int_equal(reject(1, request, "a"), PROTO_ERROR_COUNT);
    assert_int_equal(reject(2, request, "not for you"), PROTO_ERROR_COUNT);
    files_run(net, 100);
    assert_string_equal(files_state(&a, 1, key), "failed");
    assert_string_equal(files_error(&a, 1, key), "not for you");
    assert_int_equal(files_ends(&a, 1, key), 1);
}

static void a_request_nobody_answers_ends(void **state)
{
    (void)state;
    const char *key = ask("file", "x");
    const char *request = asked(1);
    files_run(net, 61 * 1000);
    assert_string_equal(files_state(&a, 1, key), "failed");
    assert_string_equal(files_state(&b, 1, request), "cancelled");
    assert_int_equal(serve(1, request, 1), E_NOT_FOUND);
}

static void whoever_asked_may_lose_interest(void **state)
{
    (void)state;
    const char *key = ask("file", "x");
    const char *request = asked(1);
    assert_int_equal(files_do(&a, 1, M_TRANSFER_CANCEL, key), PROTO_ERROR_COUNT);
    files_run(net, 100);
    assert_string_equal(files_state(&b, 1, request), "cancelled");
    assert_int_equal(files_ends(&b, 1, request), 1);
    key = ask("file", "y");
    request = asked(1);
    end_session(&a, 1);
    assert_string_equal(files_state(&b, 1, request), "cancelled");
}

static void sixteen_requests_wait_for_a_peer_and_the_next_for_them(void **state)
{
    (void)state;
    for (int i = 0; i < 17; i++) {
        (void)ask("file", "x");
    }
    files_run(net, 100);
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_REQUESTED), 16);
    files_run(net, 110 * 1000); /* nobody decides: the first are over, and the last begins */
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_REQUESTED), 17);
}

static void one_peer_is_asked_for_sixty_four_things_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) {
        (void)ask("file", "x");
    }
    assert_int_equal(
        call(&a, 1, M_TRANSFER_REQUEST,
             json_pack("{s:s, s:s, s:s}", "peer", peer_id_format(service_node_id(&b.node)).text,
                       "kind", "file", "path", "x")),
        E_LIMIT);
}

/* ---- a peer that says what it likes ---- */

/* As if a had said it. */
static void say(json_t *message)
{
    sim_node_enter(a.node.mesh.node);
    assert_true(ctl_send(a.node.mesh.mesh, service_node_id(&b.node), message) >= 0);
    files_run(net, 50);
}

static void an_offer_of_another_kind_is_no_answer(void **state)
{
    (void)state;
    assert_int_equal(watch(&a, 1, NULL), PROTO_ERROR_COUNT);
    assert_int_equal(
        call(&b, 1, M_TRANSFER_REQUEST,
             json_pack("{s:s, s:s, s:s}", "peer", peer_id_format(service_node_id(&a.node)).text,
                       "kind", "directory", "path", "x")),
        PROTO_ERROR_COUNT);
    char wanted[TRANSFER_KEY_SIZE];
    (void)snprintf(wanted, sizeof wanted, "%s",
                   json_string_value(json_object_get(b.call.result, "transfer")));
    sim_net_run(net, 50);
    const json_t *request = files_last(&a, 2, EV_TRANSFER_REQUESTED);
    assert_non_null(request);
    assert_int_equal(
        files_call(&a, 2, M_TRANSFER_ACCEPT,
                   json_pack("{s:O}", "transfer", json_object_get(request, "transfer")),
                   bytes_make(NULL, 0), files_source(0, 1)),
        E_OPERATION_FAILED); /* our own daemon does not */
    /* as one that is none of ours might */
    say(json_pack("{s:s, s:s, s:s}", "op", "pull_ok", "id", wanted, "offer", "77"));
    uint8_t frame[64];
    struct writer writer;
    struct transfer_frame offer = {.op = TRANSFER_OFFER,
                                   .id = 77,
                                   .name = bytes_from_string("f"),
                                   .total = 1,
                                   .file_count = 1};
    writer_init(&writer, frame, sizeof frame);
    transfer_frame_encode(&offer, &writer);
    transfer_file_encode(&(struct transfer_file){.path = bytes_from_string("f"), .size = 1},
                         &writer);
    sim_node_enter(a.node.mesh.node);
    assert_int_equal(mesh_send(a.node.mesh.mesh, service_node_id(&b.node), WIRE_FILE_CHUNK, 0,
                               writer_view(&writer)),
                     0);
    files_run(net, 100);
    assert_string_equal(files_state(&b, 1, wanted), "failed");
    assert_non_null(strstr(files_error(&b, 1, wanted), "kind"));
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_OFFERED), 0);
}

static void a_peer_that_asks_for_more_than_sixteen_things_is_refused(void **state)
{
    (void)state;
    char id[33];
    for (int i = 0; i < 17; i++) {
        (void)snprintf(id, sizeof id, "%032x", (unsigned)i);
        say(json_pack("{s:s, s:s, s:s, s:s, s:b}", "op", "pull", "id", id, "kind", "file", "path",
                      "x", "recursive", 1));
    }
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_REQUESTED), 16);
}

static void nonsense_on_the_reserved_channel_changes_nothing(void **state)
{
    (void)state;
    static const char id[] = "0123456789abcdef0123456789abcdef";
    say(json_pack("{s:s}", "op", "pull"));
    say(json_pack("{s:s, s:s}", "op", "pull", "id", id));
    say(json_pack("{s:s, s:s, s:s, s:i}", "op", "pull", "id", id, "kind", "file", "path", 7));
    say(json_pack("{s:s, s:s, s:s, s:s}", "op", "pull", "id", id, "kind", "door", "path", "x"));
    say(json_pack("{s:s, s:s, s:s, s:s}", "op", "pull", "id", "short", "kind", "file", "path",
                  "x"));
    say(json_pack("{s:s, s:s, s:s}", "op", "pull_ok", "id", id, "offer", "1"));
    say(json_pack("{s:s, s:s}", "op", "pull_no", "id", id));
    say(json_pack("{s:s, s:s}", "op", "pull_cancel", "id", id));
    say(json_pack("{s:s, s:s, s:i, s:i}", "op", "resume", "offer", "99999999999999999999999",
                  "file", 0, "offset", 0));
    say(json_pack("{s:s, s:s, s:i, s:i}", "op", "resume", "offer", "5", "file", -1, "offset", 0));
    say(json_pack("{s:s, s:s, s:i, s:i}", "op", "resume", "offer", "5", "file", 0, "offset", 0));
    say(json_pack("{s:s, s:s}", "op", "waits", "offer", "x"));
    say(json_pack("{s:s, s:s}", "op", "alive", "offer", "5"));
    say(json_pack("{s:s, s:i}", "op", "alive", "offer", 5));
    say(json_pack("{s:s, s:s}", "op", "hello", "caps", "pull"));
    say(json_pack("{s:s, s:[i, s]}", "op", "hello", "caps", 1, "fly"));
    say(json_pack("{s:s, s:s}", "op", "dance", "id", id));
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_REQUESTED), 0);
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_CHANGED), 0);
    assert_true(files_is_linked(&a, &b));
    say(json_pack("{s:s, s:s, s:s, s:s}", "op", "pull", "id", id, "kind", "dir", "path", "x"));
    say(json_pack("{s:s, s:s, s:s, s:s}", "op", "pull", "id", id, "kind", "dir", "path", "x"));
    assert_int_equal(files_count(&b, 1, EV_TRANSFER_REQUESTED), 1); /* the same once */
}

static void a_peer_that_is_no_ratsd_is_not_asked(void **state)
{
    (void)state;
    struct sim_node *other = sim_node_new(net, "10.0.0.9");
    struct sim_mesh plain;
    struct sim_dial dial;
    sim_mesh_init(&plain, other, 9, NULL);
    sim_mesh_dial(&plain, &dial, a.address, 4000, NULL);
    sim_net_run(net, 2000);
    assert_true(dial.done && dial.result == 0);
    assert_int_equal(
        call(&a, 1, M_TRANSFER_REQUEST,
             json_pack("{s:s, s:s, s:s}", "peer", peer_id_format(&plain.identity.id).text, "kind",
                       "file", "path", "x")),
        E_NOT_SUPPORTED);
    mesh_stop(plain.mesh);
    sim_net_run(net, 100);
    sim_mesh_fini(&plain);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_first_to_accept_has_it),
        CASE(two_accepts_at_once_are_one),
        CASE(an_accept_that_is_given_up_leaves_the_offer_to_others),
        CASE(an_offer_taken_back_while_it_is_accepted_is_gone),
        CASE(it_is_refused_when_all_rejected_it),
        CASE(it_is_refused_at_once_when_nobody_watches),
        CASE(a_session_that_is_not_started_is_shown_nothing),
        CASE(an_offer_is_refused_when_the_last_that_might_take_it_ends),
        CASE(a_transfer_ends_with_the_session_that_receives),
        CASE(a_transfer_ends_with_the_session_that_sends),
        CASE(a_session_that_stops_keeps_nothing_running),
        CASE(what_was_asked_for_comes_under_the_id_of_the_request),
        CASE(a_directory_is_asked_for),
        CASE(a_refused_request_says_why),
        CASE(a_request_nobody_answers_ends),
        CASE(whoever_asked_may_lose_interest),
        CASE(sixteen_requests_wait_for_a_peer_and_the_next_for_them),
        CASE(one_peer_is_asked_for_sixty_four_things_at_once),
        CASE(an_offer_of_another_kind_is_no_answer),
        CASE(a_peer_that_asks_for_more_than_sixteen_things_is_refused),
        CASE(nonsense_on_the_reserved_channel_changes_nothing),
        CASE(a_peer_that_is_no_ratsd_is_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
