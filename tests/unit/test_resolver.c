#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/resolver.h"
#include "guard.h"

#define GUARD_MS    60000
#define MAX_LOOKUPS 64

struct fixture {
    struct loop *loop;
    struct worker *worker;
    struct resolver *resolver;
    struct timer guard;
    struct timer quit;
    struct endpoint found[RESOLVER_MAX_ADDRESSES];
    size_t count;
    char error[128];
    int answers;
};

static void on_quit(void *arg)
{
    struct fixture *fixture = arg;
    loop_quit(fixture->loop);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(loop_new(&fixture->loop), 0);
    assert_int_equal(worker_new(fixture->loop, 2, MAX_LOOKUPS * 2, &fixture->worker), 0);
    assert_int_equal(resolver_new(fixture->loop, fixture->worker, &fixture->resolver), 0);
    guard_init(&fixture->guard, fixture->loop);
    timer_init(&fixture->quit, fixture->loop, on_quit, fixture);
    timer_start(&fixture->guard, GUARD_MS);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    resolver_free(fixture->resolver);
    worker_free(fixture->worker);
    timer_stop(&fixture->guard);
    timer_stop(&fixture->quit);
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static void on_found(void *arg, const struct endpoint *endpoints, size_t count, const char *error)
{
    struct fixture *fixture = arg;
    fixture->answers++;
    fixture->count = count;
    memcpy(fixture->found, endpoints, count * sizeof *endpoints);
    strncpy(fixture->error, error == NULL ? "" : error, sizeof fixture->error - 1);
    loop_quit(fixture->loop);
}

static void ask(struct fixture *fixture, const char *host)
{
    assert_non_null(resolver_find(fixture->resolver, host, 8080, on_found, fixture));
    assert_int_equal(fixture->answers, 0); /* never inside the call */
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_int_equal(fixture->answers, 1);
}

static void a_literal_address_is_answered_without_a_worker(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "2001:db8::7");
    assert_int_equal(fixture->count, 1);
    assert_string_equal(endpoint_format(&fixture->found[0]).text, "[2001:db8::7]:8080");
    assert_string_equal(fixture->error, "");
}

static void any_number_of_literals_may_be_asked_at_once(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 1000; i++) {
        assert_non_null(resolver_find(fixture->resolver, "192.0.2.1", 1, on_found, fixture));
    }
    while (fixture->answers < 1000) {
        assert_int_equal(loop_run(fixture->loop), 0);
    }
}

static void a_mapped_literal_becomes_ipv4(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "::ffff:192.0.2.1");
    assert_string_equal(endpoint_format(&fixture->found[0]).text, "192.0.2.1:8080");
}

static void localhost_is_the_loopback_with_ipv6_first(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "localhost");
    assert_true(fixture->count > 0);
    bool seen_ipv4 = false;
    for (size_t i = 0; i < fixture->count; i++) {
        const struct endpoint *endpoint = &fixture->found[i];
        assert_true(endpoint_is_loopback(endpoint));
        assert_int_equal(endpoint->port, 8080);
        assert_false(seen_ipv4 && endpoint->ip_size == 16);
        seen_ipv4 = endpoint->ip_size == 4;
        for (size_t j = 0; j < i; j++) {
            assert_false(endpoint_equal(endpoint, &fixture->found[j]));
        }
    }
}

/* RFC 6761: .invalid never exists. Without any name server the reason differs, but there is one. */
static void a_name_that_does_not_exist_says_why(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "no-such-host.invalid");
    assert_int_equal(fixture->count, 0);
    assert_true(strlen(fixture->error) > 0);
}

static void what_cannot_be_a_name_is_refused_with_a_reason(void **state)
{
    struct fixture *fixture = *state;
    char host[400];
    memset(host, 'a', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    ask(fixture, host);
    assert_int_equal(fixture->count, 0);
    assert_string_equal(fixture->error, "not a host name");
    fixture->answers = 0;
    ask(fixture, "");
    assert_string_equal(fixture->error, "not a host name");
}

static void a_cancelled_lookup_is_never_answered(void **state)
{
    struct fixture *fixture = *state;
    lookup_cancel(resolver_find(fixture->resolver, "192.0.2.1", 1, on_found, fixture));
    lookup_cancel(resolver_find(fixture->resolver, "localhost", 1, on_found, fixture));
    worker_free(fixture->worker); /* waits for the job */
    fixture->worker = NULL;
    timer_start(&fixture->quit, 0);
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_int_equal(fixture->answers, 0);
}

static void there_is_a_limit_to_names_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct lookup *lookups[MAX_LOOKUPS];
    for (size_t i = 0; i < MAX_LOOKUPS; i++) {
        lookups[i] = resolver_find(fixture->resolver, "localhost", 1, on_found, fixture);
        assert_non_null(lookups[i]);
    }
    assert_null(resolver_find(fixture->resolver, "localhost", 1, on_found, fixture));
    lookup_cancel(lookups[0]);
    assert_non_null(resolver_find(fixture->resolver, "localhost", 1, on_found, fixture));
}

static void freeing_the_resolver_ends_its_lookups(void **state)
{
    struct fixture *fixture = *state;
    assert_non_null(resolver_find(fixture->resolver, "192.0.2.1", 1, on_found, fixture));
    assert_non_null(resolver_find(fixture->resolver, "localhost", 1, on_found, fixture));
    resolver_free(fixture->resolver);
    fixture->resolver = NULL;
    worker_free(fixture->worker);
    fixture->worker = NULL;
    timer_start(&fixture->quit, 0);
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_int_equal(fixture->answers, 0);
    resolver_free(NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_literal_address_is_answered_without_a_worker),
        CASE(any_number_of_literals_may_be_asked_at_once),
        CASE(a_mapped_literal_becomes_ipv4),
        CASE(localhost_is_the_loopback_with_ipv6_first),
        CASE(a_name_that_does_not_exist_says_why),
        CASE(what_cannot_be_a_name_is_refused_with_a_reason),
        CASE(a_cancelled_lookup_is_never_answered),
        CASE(there_is_a_limit_to_names_at_once),
        CASE(freeing_the_resolver_ends_its_lookups),
    };
    return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
