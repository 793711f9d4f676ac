/* libratsclient/mirror and calls: what hello and events leave behind; answers to their waiters. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "calls.h"
#include "mirror.h"

#define A "00000000000000000000000000000000000000000000000000000000000000aa"
#define B "00000000000000000000000000000000000000000000000000000000000000bb"

static struct mirror mirror;

static int set_up(void **state)
{
    (void)state;
    mirror_init(&mirror);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mirror_fini(&mirror);
    return 0;
}

static int put(const char *text, int64_t now_ms)
{
    json_t *row = json_loads(text, 0, NULL);
    assert_non_null(row);
    const int rc = mirror_put_peer(&mirror, row, now_ms);
    json_decref(row);
    return rc;
}

static struct mirror_peer *find(const char *text)
{
    struct peer_id id;
    assert_int_equal(peer_id_parse(text, &id), 0);
    return mirror_find(&mirror, &id);
}

static void hello_replaces_everything(void **state)
{
    (void)state;
    assert_int_equal(put("{\"peer\":\"" B "\"}", 0), 0);
    json_t *hello = json_loads("{\"peer_id\":\"" A "\",\"public_key\":\"" B "\",\"protocol\":"
                               "\"chat/2\",\"daemon\":\"1.2.3\",\"security\":\"plaintext\","
                               "\"listen_port\":7,\"max_peers\":0,\"peers\":[{\"peer\":\"" A
                               "\",\"connected_ms_ago\":500}]}",
                               0, NULL);
    assert_int_equal(mirror_set_hello(&mirror, hello, 1000), 0);
    json_decref(hello);
    assert_true(mirror.known);
    assert_false(mirror.encrypted);
    assert_int_equal(mirror.listen_port, 7);
    assert_string_equal(mirror.peer_id.text, A);
    assert_string_equal(mirror.protocol, "chat/2");
    assert_int_equal(mirror_peer_count(&mirror), 1);
    assert_null(find(B));
    assert_int_equal(find(A)->connected_at_ms, 500);
}

static void a_hello_without_a_peer_id_is_refused(void **state)
{
    (void)state;
    json_t *hello = json_loads("{\"peer_id\":\"zz\"}", 0, NULL);
    assert_int_equal(mirror_set_hello(&mirror, hello, 0), -EBADMSG);
    json_decref(hello);
    assert_false(mirror.known);
}

static void peers_come_change_and_go(void **state)
{
    (void)state;
    assert_int_equal(put("{\"peer\":\"" A "\",\"ip\":\"10.0.0.1\",\"port\":5}", 0), 0);
    assert_true(mirror_has_address(&mirror, "10.0.0.1", 5));
    assert_int_equal(put("{\"peer\":\"" A "\",\"ip\":\"10.0.0.2\",\"port\":5}", 0), 0);
    assert_int_equal(mirror_peer_count(&mirror), 1);
    assert_false(mirror_has_address(&mirror, "10.0.0.1", 5));
    assert_true(mirror_has_address(&mirror, "10.0.0.2", 5));
    assert_false(mirror_has_address(&mirror, "10.0.0.2", 6));
    assert_int_equal(put("{\"peer\":\"short\"}", 0), -EBADMSG);
    assert_int_equal(put("{}", 0), -EBADMSG);
    struct peer_id id;
    assert_int_equal(peer_id_parse(A, &id), 0);
    mirror_remove_peer(&mirror, &id);
    mirror_remove_peer(&mirror, &id);
    assert_int_equal(mirror_peer_count(&mirror), 0);
}

static void limits_change_only_where_told(void **state)
{
    (void)state;
    json_t *fields = json_loads("{\"listen_port\":9,\"max_peers\":3}", 0, NULL);
    mirror_set_instance(&mirror, fields);
    json_decref(fields);
    fields = json_loads("{\"max_peers\":\"x\"}", 0, NULL);
    mirror_set_instance(&mirror, fields);
    json_decref(fields);
    assert_int_equal(mirror.listen_port, 9);
    assert_int_equal(mirror.max_peers, 3);
}

static struct call *attended(struct calls *calls)
{
    struct call *call = calloc(1, sizeof *call);
    assert_non_null(call);
    assert_int_equal(pthread_cond_init(&call->answered, NULL), 0);
    calls_add(calls, call);
    return call;
}

static void release(struct call *call)
{
    (void)pthread_cond_destroy(&call->answered);
    free(call->text);
    free(call);
}

static void an_answer_goes_to_its_call_whatever_the_order(void **state)
{
    (void)state;
    struct calls calls;
    calls_init(&calls);
    struct call *first = attended(&calls);
    struct call *second = attended(&calls);
    assert_int_not_equal(first->id, 0);
    assert_int_not_equal(first->id, second->id);
    assert_int_equal(calls.waiting, 2);
    assert_ptr_equal(calls_find(&calls, second->id), second);
    calls_finish(&calls, second, true, bytes_from_string("{}"), bytes_make(NULL, 0));
    assert_true(second->done && second->failed && !second->lost);
    assert_string_equal(second->text, "{}");
    assert_null(calls_find(&calls, second->id));
    assert_false(first->done);
    calls_lose_all(&calls);
    assert_true(first->done && first->lost);
    assert_int_equal(calls.waiting, 0);
    release(first);
    release(second);
}

static void calls_that_nobody_waits_for_are_freed(void **state)
{
    (void)state;
    struct calls calls;
    calls_init(&calls);
    for (int i = 0; i < 2; i++) {
        struct call *call = calloc(1, sizeof *call);
        assert_non_null(call);
        call->unattended = true;
        calls_add(&calls, call);
        assert_int_equal(calls.waiting, 0);
        if (i == 0) {
            calls_finish(&calls, call, false, bytes_from_string("{}"), bytes_make(NULL, 0));
        }
    }
    calls_wake_all(&calls);
    calls_lose_all(&calls);
    assert_true(list_is_empty(&calls.pending));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello_replaces_everything),
        TEST(a_hello_without_a_peer_id_is_refused),
        TEST(peers_come_change_and_go),
        TEST(limits_change_only_where_told),
        cmocka_unit_test(an_answer_goes_to_its_call_whatever_the_order),
        cmocka_unit_test(calls_that_nobody_waits_for_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
