/* What every function of the public API does with NULL (api.md 2.2), and the error functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "librats.h"
#include "librats_c.h"
#include "proto/errors.h"

static void handle_alone_or_with_integers_is_an_invalid_handle(void **state)
{
    (void)state;
    assert_int_equal(rats_start(NULL), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_set_max_peers(NULL, 5), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_set_max_peers(NULL, 0), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_send_string(NULL, "x", "x"), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_send_string(NULL, NULL, NULL), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_load_configuration(NULL), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_save_configuration(NULL), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_INVALID_HANDLE);
}

static void functions_for_files_are_no_exception(void **state)
{
    (void)state;
    assert_null(rats_send_file(NULL, "x", "x", NULL));
    assert_null(rats_send_directory(NULL, "x", "x", NULL, 1));
    assert_null(rats_request_file(NULL, "x", "x", "x"));
    assert_null(rats_request_directory(NULL, "x", "x", "x", 1));
    assert_int_equal(rats_accept_file_transfer(NULL, "x", "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_accept_directory_transfer(NULL, "x", "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_reject_file_transfer(NULL, "x", NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_reject_directory_transfer(NULL, "x", NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_cancel_file_transfer(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_pause_file_transfer(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_resume_file_transfer(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_add_share_root(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_remove_share_root(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_null(rats_get_file_transfer_progress_json(NULL, "x"));
    assert_null(rats_get_file_transfers_json(NULL));
    assert_null(rats_get_file_transfer_statistics_json(NULL));
    rats_set_file_request_callback(NULL, NULL, NULL);
    rats_set_directory_request_callback(NULL, NULL, NULL);
    rats_set_file_progress_callback(NULL, NULL, NULL);
    rats_set_directory_progress_callback(NULL, NULL, NULL);
}

static void handle_with_pointers_is_an_invalid_parameter(void **state)
{
    (void)state;
    assert_int_equal(rats_connect_with_strategy(NULL, "x", 1, RATS_STRATEGY_DIRECT_ONLY),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_disconnect_peer_by_id(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_connect_with(NULL, "x", 1, 0, 0), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_wait_for_peer(NULL, NULL, 0), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_add_reconnect(NULL, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_remove_reconnect(NULL, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_binary(NULL, "x", "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_json(NULL, "x", "1"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_protocol_name(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_protocol_version(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_data_directory(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_encryption_enabled(NULL, 1), RATS_ERROR_INVALID_HANDLE);
    assert_int_equal(rats_is_encryption_enabled(NULL), 0);
    assert_null(rats_get_data_directory(NULL));
    assert_null(rats_get_encryption_key(NULL));
    assert_null(rats_generate_encryption_key(NULL));
    assert_int_equal(rats_set_encryption_key(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_channel_send(NULL, "x", "x", "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_channel_broadcast(NULL, "x", "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_channel_on(NULL, "x", NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_channel_off(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_on_message(NULL, "x", NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_once_message(NULL, "x", NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_off_message(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_message(NULL, "x", "x", "1"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_broadcast_message(NULL, "x", "1"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_ping_peer(NULL, "x", 1, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_request_peers(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_ban_peer(NULL, "x", 0, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_ban_address(NULL, "x", 0, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_unban(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_peer_limits(NULL, "x", 0, 0), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_clear_peer_limits(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_subscribe_to_topic(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_unsubscribe_from_topic(NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_publish_to_topic(NULL, "x", "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_publish_json_to_topic(NULL, "x", "1"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_publish_binary_to_topic(NULL, "x", "x", 1, 0),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_storage_put(NULL, "k", 1, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_storage_remove(NULL, "k"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_storage_sync(NULL), RATS_ERROR_INVALID_HANDLE);
    assert_null(rats_storage_get(NULL, "k", NULL, NULL));
    assert_null(rats_storage_statistics_json(NULL));
    rats_set_storage_callback(NULL, "", NULL, NULL);
    int keys = 7;
    assert_null(rats_storage_keys(NULL, "", &keys));
    assert_int_equal(keys, 0);
    char unwritten = 'x';
    char *result = &unwritten;
    assert_int_equal(rats_call(NULL, "x", NULL, 0, &result), RATS_ERROR_INVALID_PARAMETER);
    assert_null(result);
}

static void counts_and_getters_give_nothing(void **state)
{
    (void)state;
    assert_int_equal(rats_connect(NULL, "x", 1), 0);
    assert_int_equal(rats_broadcast_string(NULL, "x"), 0);
    assert_int_equal(rats_broadcast_binary(NULL, "x", 1), 0);
    assert_int_equal(rats_broadcast_json(NULL, "1"), 0);
    assert_int_equal(rats_get_listen_port(NULL), 0);
    assert_int_equal(rats_get_transports(NULL), 0);
    assert_int_equal(rats_get_peer_transport(NULL, "x"), 0);
    assert_int_equal(rats_get_peer_transports(NULL, "x"), 0);
    assert_int_equal(rats_load_and_reconnect_peers(NULL), 0);
    assert_int_equal(rats_load_historical_peers(NULL), 0);
    assert_int_equal(rats_save_historical_peers(NULL), 0);
    assert_null(rats_get_reconnect_json(NULL));
    assert_int_equal(rats_get_peer_count(NULL), 0);
    assert_int_equal(rats_get_max_peers(NULL), 0);
    assert_int_equal(rats_is_peer_limit_reached(NULL), 0);
    assert_int_equal(rats_is_attached(NULL), 0);
    assert_int_equal(rats_is_log_colors_enabled(NULL), 0);
    assert_int_equal(rats_is_log_timestamps_enabled(NULL), 0);
    assert_null(rats_get_our_peer_id(NULL));
    assert_null(rats_get_public_key(NULL));
    assert_null(rats_get_socket_path(NULL));
    assert_null(rats_get_instance_json(NULL));
    assert_null(rats_get_connection_statistics_json(NULL));
    assert_null(rats_get_peer_info_json(NULL, "x"));
    assert_int_equal(rats_get_peer_rtt_us(NULL, "x"), -1);
    assert_null(rats_get_bans_json(NULL));
    assert_null(rats_get_limits_json(NULL));
    assert_null(rats_get_protocol_name(NULL));
    assert_null(rats_get_protocol_version(NULL));
    assert_null(rats_get_log_file_path(NULL));
    int count = 7;
    assert_null(rats_get_peer_ids(NULL, &count));
    assert_int_equal(count, 0);
    count = 7;
    assert_null(rats_get_validated_peer_ids(NULL, &count));
    assert_int_equal(count, 0);
    count = 7;
    assert_null(rats_get_historical_peer_ids(NULL, &count));
    assert_int_equal(count, 0);
    count = 7;
    assert_null(rats_get_subscribed_topics(NULL, &count));
    assert_int_equal(count, 0);
    count = 7;
    assert_null(rats_get_topic_peers(NULL, "x", &count));
    assert_int_equal(count, 0);
    count = 7;
    assert_null(rats_get_topic_mesh_peers(NULL, "x", &count));
    assert_int_equal(count, 0);
    assert_null(rats_get_gossipsub_statistics_json(NULL));
    assert_int_equal(rats_is_gossipsub_available(NULL), 0);
    assert_int_equal(rats_is_gossipsub_running(NULL), 0);
    assert_int_equal(rats_is_subscribed_to_topic(NULL, "x"), 0);
    size_t size = 7;
    assert_null(rats_take_batch(NULL, 0, &size));
    assert_int_equal(size, 0);
    assert_int_equal(rats_batch_fd(NULL), -1);
    rats_end_wait(NULL);
}

static void functions_without_a_result_do_nothing(void **state)
{
    (void)state;
    rats_stop(NULL);
    rats_destroy(NULL);
    rats_clear_historical_peers(NULL);
    rats_string_free(NULL);
    rats_free_array(NULL, 3);
    rats_release_batch(NULL, "x");
    rats_set_connection_callback(NULL, NULL, NULL);
    rats_set_disconnect_callback(NULL, NULL, NULL);
    rats_set_string_callback(NULL, NULL, NULL);
    rats_set_binary_callback(NULL, NULL, NULL);
    rats_set_json_callback(NULL, NULL, NULL);
    rats_set_daemon_callback(NULL, NULL, NULL);
    rats_set_overflow_callback(NULL, NULL, NULL);
    rats_set_event_callback(NULL, NULL, NULL);
    rats_set_topic_message_callback(NULL, "x", NULL, NULL);
    rats_set_topic_json_message_callback(NULL, "x", NULL, NULL);
    rats_set_topic_binary_callback(NULL, "x", NULL, NULL);
    rats_set_topic_forwarded_callback(NULL, "x", NULL, NULL);
    rats_set_topic_peer_joined_callback(NULL, "x", NULL, NULL);
    rats_set_topic_peer_left_callback(NULL, "x", NULL, NULL);
    rats_clear_topic_callbacks(NULL, "x");
    rats_set_log_file_path(NULL, "/nonexistent/x");
    rats_set_log_colors_enabled(NULL, 0);
    rats_set_log_timestamps_enabled(NULL, 0);
    rats_set_log_rotation_size(NULL, 1);
    rats_set_log_retention_count(NULL, 1);
    rats_clear_log_file(NULL);
    rats_set_log_level(NULL);
    rats_get_version(NULL, NULL, NULL, NULL);
}

static void null_pointers_on_a_handle_are_refused_by_family(void **state)
{
    (void)state;
    const rats_client_t none = rats_create(-1);
    assert_non_null(none);
    assert_int_equal(rats_send_string(none, NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_string(none, "x", NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_binary(none, NULL, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_binary(none, "x", NULL, 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_binary(none, "x", "x", 0), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_json(none, NULL, "1"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_json(none, "x", NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_broadcast_string(none, NULL), 0);
    assert_int_equal(rats_last_error(none), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_broadcast_binary(none, NULL, 1), 0);
    assert_int_equal(rats_broadcast_binary(none, "x", 0), 0);
    assert_int_equal(rats_last_error(none), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_broadcast_json(none, NULL), 0);
    assert_int_equal(rats_connect(none, NULL, 1), 0);
    assert_int_equal(rats_connect_with_strategy(none, NULL, 1, RATS_STRATEGY_DIRECT_ONLY),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_disconnect_peer_by_id(none, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_protocol_name(none, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_protocol_version(none, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_encryption_key(none, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_channel_send(none, NULL, "x", "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_channel_send(none, "x", NULL, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_channel_send(none, "x", "x", NULL, 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_channel_broadcast(none, NULL, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_channel_on(none, NULL, NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_channel_off(none, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_on_message(none, NULL, NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_on_message(none, "x", NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_once_message(none, "x", NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_off_message(none, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_message(none, NULL, "x", "1"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_message(none, "x", NULL, "1"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_message(none, "x", "x", NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_broadcast_message(none, NULL, "1"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_broadcast_message(none, "x", NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_publish_to_topic(none, "x", NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_publish_json_to_topic(none, "x", NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_publish_binary_to_topic(none, "x", NULL, 1, 0),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_null(rats_get_subscribed_topics(none, NULL));
    assert_null(rats_get_topic_peers(none, "x", NULL));
    rats_clear_topic_callbacks(none, NULL);
    assert_int_equal(rats_last_error(none), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_call(none, NULL, NULL, 0, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_ping_peer(none, NULL, 1, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_request_peers(none, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_ban_peer(none, NULL, 0, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_ban_address(none, NULL, 0, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_unban(none, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_peer_limits(none, NULL, 0, 0), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_clear_peer_limits(none, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_get_peer_rtt_us(none, NULL), -1);
    assert_null(rats_get_peer_info_json(none, NULL));
    assert_null(rats_get_historical_peer_ids(none, NULL));
    assert_int_equal(rats_get_peer_transport(none, NULL), 0);
    assert_int_equal(rats_last_error(none), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_get_peer_transports(none, NULL), 0);
    assert_int_equal(rats_connect_with(none, NULL, 1, 0, 0), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_connect_with(none, "x", 1, 4, 0), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_wait_for_peer(none, "x", 0), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_wait_for_peer(none, NULL, 0), RATS_ERROR_NOT_RUNNING);
    assert_int_equal(rats_add_reconnect(none, NULL, 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_remove_reconnect(none, "x", 0), RATS_ERROR_INVALID_PARAMETER);
    assert_null(rats_get_peer_ids(none, NULL));
    assert_null(rats_take_batch(none, 0, NULL));
    assert_int_equal(rats_batch_fd(none), -1); /* has callbacks */
    rats_set_log_file_path(none, NULL);
    assert_int_equal(rats_last_error(none), RATS_ERROR_INVALID_PARAMETER);
    rats_destroy(none);
}

static void arguments_are_checked_before_the_state(void **state)
{
    (void)state;
    const rats_client_t none = rats_create(-1);
    assert_int_equal(rats_send_json(none, "x", "{"), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_connect_with_strategy(none, "x", 70000, RATS_STRATEGY_DIRECT_ONLY),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_max_peers(none, -1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_send_string(none, "x", "x"), RATS_ERROR_NOT_RUNNING);
    rats_destroy(none);
}

static void options_are_checked(void **state)
{
    (void)state;
    assert_null(rats_create_at(NULL));
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_null(rats_create_with(NULL));
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_INVALID_PARAMETER);
    rats_options_t options = {.listen_port = -1, .security = -1};
    assert_null(rats_create_with(&options)); /* struct_size is not set */
    options.struct_size = sizeof options;
    options.slow = "faint";
    assert_null(rats_create_with(&options));
    options.slow = "drop";
    options.dispatch = 2;
    assert_null(rats_create_with(&options));
    options.dispatch = RATS_DISPATCH_BATCHES;
    options.security = 2;
    assert_null(rats_create_with(&options));
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_INVALID_PARAMETER);
    options.security = -1;
    options.instance = 3;
    assert_null(rats_create_with(&options));
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_INVALID_PARAMETER);
    options.instance = 1;
    const rats_client_t none = rats_create_with(&options);
    assert_non_null(none);
    assert_true(rats_batch_fd(none) >= 0);
    rats_destroy(none);
}

static void the_librarys_constants_may_be_freed(void **state)
{
    (void)state;
    rats_string_free(rats_get_version_string());
    rats_string_free(rats_get_git_describe());
    assert_string_equal(rats_get_version_string(), RATS_VERSION ".0");
    assert_true(strlen(rats_get_git_describe()) > 0);
    int major = -1;
    int minor = -1;
    int patch = -1;
    int build = -1;
    rats_get_version(&major, &minor, &patch, &build);
    assert_int_equal(build, 0);
    assert_int_equal(rats_get_abi(), major << 16 | minor << 8 | patch);
    assert_int_not_equal(rats_get_abi(), 0);
}

static void every_code_has_a_sentence_and_success_clears_the_last(void **state)
{
    (void)state;
    for (int code = 0; code >= -14; code--) {
        assert_string_not_equal(rats_error_string(code), "unknown error");
    }
    assert_string_equal(rats_error_string(-15), "unknown error");
    assert_string_equal(rats_error_string(1), "unknown error");
    for (size_t i = 0; i < PROTO_ERROR_COUNT; i++) {
        assert_string_not_equal(rats_error_string(proto_errors[i].code), "unknown error");
    }
    assert_int_equal(rats_start(NULL), RATS_ERROR_INVALID_HANDLE);
    assert_true(strlen(rats_last_error_message(NULL)) > 0);
    const rats_client_t none = rats_create(-1);
    assert_int_equal(rats_last_error(none), RATS_SUCCESS);
    assert_string_equal(rats_last_error_message(none), "");
    rats_destroy(none);
}

int main(void)
{
    (void)unsetenv("RATS_SOCKET");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handle_alone_or_with_integers_is_an_invalid_handle),
        cmocka_unit_test(functions_for_files_are_no_exception),
        cmocka_unit_test(handle_with_pointers_is_an_invalid_parameter),
        cmocka_unit_test(counts_and_getters_give_nothing),
        cmocka_unit_test(functions_without_a_result_do_nothing),
        cmocka_unit_test(null_pointers_on_a_handle_are_refused_by_family),
        cmocka_unit_test(arguments_are_checked_before_the_state),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(the_librarys_constants_may_be_freed),
        cmocka_unit_test(every_code_has_a_sentence_and_success_clears_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
