#include "ratsctl/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ratsctl/search.h"

#define CLIENT_NAME "ratsctl"
#define TEXT_SIZE   1024

void session_set_timeout(struct ctl *ctl, bool streaming)
{
    int timeout_ms = ctl->options->timeout_ms;
    if (timeout_ms < 0 || (streaming && timeout_ms > CALL_TIMEOUT_MS)) {
        timeout_ms = CALL_TIMEOUT_MS;
    } else if (streaming && timeout_ms < CALL_TIMEOUT_MIN_MS) {
        timeout_ms = CALL_TIMEOUT_MIN_MS;
    }
    ctl->call_timeout_ms = timeout_ms;
}

static enum exit_code find_sockets(const struct ctl *ctl, struct search *search)
{
    if (search_sockets(ctl->options->socket_path, ctl->options->instance, search) != 0) {
        return report(EXIT_USAGE,
                      "no socket can be found by that name; an instance is called by letters, "
                      "digits, '_', '-' and '.', a socket by its path");
    }
    return EXIT_DONE;
}

/* One attempt at one socket. EXIT_NO_DAEMON is not reported: there may be another place. */
static enum exit_code attach(struct ctl *ctl, const char *path, bool batches)
{
    const rats_options_t options = {
        .struct_size = sizeof options,
        .socket_path = path,
        .name = CLIENT_NAME,
        .security = -1,
        .instance = 1,
        .timeout_ms = ctl->call_timeout_ms > 0 ? ctl->call_timeout_ms : 1,
        .dispatch = batches ? RATS_DISPATCH_BATCHES : RATS_DISPATCH_CALLBACKS,
    };
    ctl->client = rats_create_with(&options);
    if (ctl->client != NULL) {
        return EXIT_DONE;
    }
    switch (rats_last_error(NULL)) {
    case RATS_ERROR_NOT_SUPPORTED:
        return report(EXIT_VERSION, "%s: %s; update the older of the two", path,
                      rats_last_error_message(NULL));
    case RATS_ERROR_TIMEOUT:
        return report(EXIT_TIMEOUT, "%s: %s; is the daemon stopped or overloaded?", path,
                      rats_last_error_message(NULL));
    default:
        return EXIT_NO_DAEMON;
    }
}

static enum exit_code attach_somewhere(struct ctl *ctl, const struct search *search, bool batches)
{
    enum exit_code code = EXIT_NO_DAEMON;
    for (size_t i = 0; i < search->count && code == EXIT_NO_DAEMON; i++) {
        code = attach(ctl, search->paths[i], batches);
    }
    return code;
}

/* Says for each place what was found there, and what to do about it (C4). */
static enum exit_code explain(const struct ctl *ctl, const struct search *search)
{
    char places[TEXT_SIZE] = "";
    size_t used = 0;
    for (size_t i = 0; i < search->count; i++) {
        bool denied = false;
        char group[64];
        const char *finding = search_diagnose(search->paths[i], &denied, group, sizeof group);
        if (denied && *group != '\0') {
            return report(EXIT_DENIED,
                          "%s: permission denied; become a member of its group: sudo usermod -aG "
                          "%s $USER, then log in again",
                          search->paths[i], group);
        }
        if (denied) {
            return report(EXIT_DENIED,
                          "%s: permission denied; run ratsctl as root or as the daemon's user, or "
                          "have the socket given to a group of yours (socket_group, ratsd.conf(5))",
                          search->paths[i]);
        }
        int size = snprintf(places + used, sizeof places - used, "%s%s (%s)", i == 0 ? "" : " or ",
                            search->paths[i], finding);
        used += size > 0 && used + (size_t)size < sizeof places ? (size_t)size : 0;
    }
    const char *instance = ctl->options->instance;
    if (search->given) {
        return report(EXIT_NO_DAEMON, "no daemon at %s; start it with ratsd --socket=%s", places,
                      search->paths[0]);
    }
    if (instance != NULL) {
        return report(EXIT_NO_DAEMON, "no daemon at %s; start it with ratsd --instance=%s", places,
                      instance);
    }
    return report(EXIT_NO_DAEMON,
                  "no daemon at %s; start one with ratsd, or with systemctl start ratsd", places);
}

enum exit_code session_try(struct ctl *ctl, bool batches)
{
    struct search search;
    enum exit_code code = find_sockets(ctl, &search);
    return code == EXIT_DONE ? attach_somewhere(ctl, &search, batches) : code;
}

enum exit_code session_open(struct ctl *ctl, bool batches)
{
    struct search search;
    enum exit_code code = find_sockets(ctl, &search);
    if (code != EXIT_DONE) {
        return code;
    }
    code = attach_somewhere(ctl, &search, batches);
    return code == EXIT_NO_DAEMON ? explain(ctl, &search) : code;
}

void session_close(struct ctl *ctl)
{
    if (ctl->client != NULL) {
        rats_destroy(ctl->client);
        ctl->client = NULL;
    }
}

/* Prints "what: text; remedy". Lost daemons are told apart from sessions that are not started. */
static enum exit_code report_error(struct ctl *ctl, const char *what, enum proto_error error,
                                   const char *text)
{
    if (error == E_NOT_RUNNING && !rats_is_attached(ctl->client)) {
        return report(EXIT_NO_DAEMON, "%s: the daemon went away; see its log", what);
    }
    const char *remedy = remedy_of_error(error);
    return report(exit_from_error(error), "%s: %s%s%s", what,
                  text == NULL || *text == '\0' ? proto_errors[error].meaning : text,
                  remedy == NULL ? "" : "; ", remedy == NULL ? "" : remedy);
}

enum exit_code session_report(struct ctl *ctl, const char *what)
{
    const int code = rats_last_error(ctl->client);
    return report_error(ctl, what, error_from_code(code), rats_last_error_message(ctl->client));
}

/* The JSON text of params, or NULL when there are none. Takes params. */
static char *take_params(json_t *params)
{
    char *text = params == NULL ? NULL : json_dumps(params, JSON_COMPACT);
    json_decref(params);
    return text;
}

/* What the daemon answered as an object; NULL when it answered nothing. Takes text. */
static json_t *take_answer(char *text)
{
    json_t *answer = text == NULL ? NULL : json_loads(text, JSON_ALLOW_NUL, NULL);
    rats_string_free(text);
    return answer;
}

enum exit_code session_call_named(struct ctl *ctl, const char *method, json_t *params,
                                  int timeout_ms, json_t **ret_result)
{
    char *text = take_params(params);
    char *answer_text = NULL;
    const int code = rats_call(ctl->client, method, text, timeout_ms, &answer_text);
    free(text);
    json_t *answer = take_answer(answer_text);
    if (code == RATS_SUCCESS && json_is_object(answer)) {
        *ret_result = answer;
        return EXIT_DONE;
    }
    const char *name = json_string_value(json_object_get(answer, "e"));
    const enum proto_error error =
        name != NULL ? proto_error_from_name(name) : error_from_code(code);
    const char *sentence = json_string_value(json_object_get(answer, "text"));
    if (error == E_UNKNOWN_METHOD && method_find(method, strlen(method)) == METHOD_COUNT) {
        json_decref(answer);
        return report(EXIT_NOT_FOUND, "there is no method '%s'; ratsctl protocol list names them",
                      method);
    }
    const enum exit_code exit_code = report_error(
        ctl, method, error, sentence != NULL ? sentence : rats_last_error_message(ctl->client));
    json_decref(answer);
    return exit_code;
}

enum exit_code session_call(struct ctl *ctl, enum method_id method, json_t *params,
                            json_t **ret_result)
{
    return session_call_named(ctl, proto_methods[method].name, params, ctl->call_timeout_ms,
                              ret_result);
}

json_t *session_ask(struct ctl *ctl, enum method_id method, json_t *params)
{
    char *text = take_params(params);
    char *answer_text = NULL;
    const int code = rats_call(ctl->client, proto_methods[method].name, text, ctl->call_timeout_ms,
                               &answer_text);
    free(text);
    json_t *answer = take_answer(answer_text);
    if (code != RATS_SUCCESS) {
        json_decref(answer);
        return NULL;
    }
    return answer;
}

enum exit_code session_find_peer(struct ctl *ctl, const char *text, char ret_id[PEER_DIGITS + 1])
{
    char prefix[PEER_DIGITS + 1];
    if (peer_prefix_parse(text, prefix) != 0) {
        return report(EXIT_USAGE,
                      "'%s' is no peer id; it has 64 hexadecimal digits, of which the first %d or "
                      "more may stand for all",
                      text, PEER_PREFIX_MIN);
    }
    if (strlen(prefix) == PEER_DIGITS) {
        memcpy(ret_id, prefix, PEER_DIGITS + 1);
        return EXIT_DONE;
    }
    json_t *result = NULL;
    enum exit_code code = session_call(ctl, M_PEER_LIST, NULL, &result);
    if (code != EXIT_DONE) {
        return code;
    }
    const size_t matches = member_count_prefixed(json_object_get(result, "peers"), "peer", prefix,
                                                 ret_id, PEER_DIGITS + 1);
    json_decref(result);
    if (matches == 0) {
        return report(EXIT_NOT_FOUND, "no connected peer's id begins with %s; %s", prefix,
                      remedy_of_error(E_PEER_NOT_FOUND));
    }
    if (matches > 1) {
        return report(EXIT_USAGE, "%zu connected peers' ids begin with %s; give more digits",
                      matches, prefix);
    }
    return EXIT_DONE;
}

enum exit_code session_address_params(const char *command, const char *address, const char *peer,
                                      json_t **ret_params)
{
    char host[ADDRESS_HOST_SIZE];
    char id[PEER_DIGITS + 1];
    uint16_t port = 0;
    if (address_parse(address, host, &port) != 0) {
        return report(EXIT_USAGE, "'%s' is no address; write HOST:PORT, or [IPV6]:PORT", address);
    }
    if (peer != NULL && (peer_prefix_parse(peer, id) != 0 || strlen(id) != PEER_DIGITS)) {
        return report(EXIT_USAGE, "--peer is '%s'; %s takes a whole id of %d digits", peer, command,
                      PEER_DIGITS);
    }
    *ret_params = json_pack("{s:s, s:i, s:s*}", "host", host, "port", (int)port, "peer",
                            peer == NULL ? NULL : id);
    if (*ret_params == NULL) {
        return report(EXIT_USAGE, "'%s' is no address: it is not UTF-8", address);
    }
    return EXIT_DONE;
}

enum exit_code session_call_peer(struct ctl *ctl, enum method_id method, const char *text,
                                 char ret_id[PEER_DIGITS + 1], json_t **ret_result)
{
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = session_find_peer(ctl, text, ret_id);
    }
    if (code == EXIT_DONE) {
        code = session_call(ctl, method, json_pack("{s:s}", "peer", ret_id), ret_result);
    }
    return code;
}
