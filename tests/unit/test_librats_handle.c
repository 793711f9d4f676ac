#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "librats_fixture.h"

static void destroy(void)
{
    fake_destroy(&daemon_side, client);
}

static void a_destroyed_handle_is_refused(void **state)
{
    (void)state;
    attach("");
    rats_client_t late = client;
    destroy();
    client = NULL;
    size_t size = 7;
    assert_int_equal(rats_start(late), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_send_string(late, FAKE_BOB, "late"), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_call(late, "x", NULL, 1000, NULL), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_last_error(late), RATS_ERROR_INVALID_HANDLE);
    assert_non_null(strstr(rats_last_error_message(late), "destroyed"));
    assert_int_equal(rats_get_peer_count(late), 0);
    assert_null(rats_get_our_peer_id(late));
    assert_null(rats_take_batch(late, 1000, &size));
    assert_int_equal(size, 0);
    rats_release_batch(late, "no batch");
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_INVALID_HANDLE);
    rats_set_string_callback(late, on_string, NULL);
    rats_stop(late);
    rats_destroy(late);
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_INVALID_HANDLE);
}

static void what_was_never_a_handle_is_refused(void **state)
{
    (void)state;
    attach("");
    const uintptr_t number = (uintptr_t)client;
    const uintptr_t wrong[] = {1,
                               2,
                               0x1000,
                               number + 1,
                               number - 1,
                               number ^ (number << 20),
                               (uintptr_t)&wrong,
                               UINTPTR_MAX,
                               UINTPTR_MAX - 1};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        rats_client_t handle;
        memcpy(&handle, &wrong[i], sizeof handle);
        assert_null(handle_hold(handle));
        assert_null(handle_hold_retired(handle));
        assert_int_equal(rats_start(handle), RATS_ERROR_INVALID_HANDLE);
    }
    assert_null(handle_hold(NULL));
    assert_null(handle_hold_retired(NULL));
}

static void a_number_is_not_used_again_soon(void **state)
{
    (void)state;
    rats_client_t earlier[100];
    for (size_t i = 0; i < 100; i++) {
        attach("");
        for (size_t j = 0; j < i; j++) {
            assert_ptr_not_equal(client, earlier[j]);
            assert_null(handle_hold(earlier[j]));
        }
        earlier[i] = client;
        destroy();
    }
    client = NULL;
}

static void who_is_inside_keeps_the_client(void **state)
{
    (void)state;
    attach("");
    struct client *inside = handle_hold(client);
    assert_non_null(inside);
    destroy();
    assert_null(handle_hold(client)); /* nobody comes in any more */
    assert_ptr_equal(handle_hold_retired(client), inside);
    handle_release(client);
    client_lock(inside); /* it is there as before */
    assert_true(inside->closing);
    client_unlock(inside);
    handle_release(client); /* frees it */
    assert_null(handle_hold_retired(client));
    client = NULL;
}

static void only_one_of_two_destroys_it(void **state)
{
    (void)state;
    attach("");
    assert_non_null(handle_hold(client));
    assert_true(handle_retire(client));
    assert_false(handle_retire(client));
    rats_destroy(client);
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_INVALID_HANDLE);
    struct client *inside = handle_hold_retired(client); /* and now what the one has to do */
    client_lock(inside);
    inside->closing = true;
    reading_interrupt(inside);
    client_unlock(inside);
    client_wake(inside);
    (void)pthread_join(inside->dispatcher, NULL);
    client_finish(inside);
    handle_release(client);
    handle_release(client);
    client = NULL;
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORY(a_destroyed_handle_is_refused),   STORY(what_was_never_a_handle_is_refused),
        STORY(a_number_is_not_used_again_soon), STORY(who_is_inside_keeps_the_client),
        STORY(only_one_of_two_destroys_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
