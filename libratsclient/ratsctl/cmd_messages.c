/* ratsctl send and recv: messages on channels, the untyped kinds among them (api.md 7.1), and typed
 * ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ratsctl/commands.h"
#include "ratsctl/payload.h"
#include "ratsctl/receive.h"
#include "util/text.h"

#define EVERYBODY "all"

static const struct {
    const char *kind; /* of --as */
    const char *channel;
} untyped[] = {
    {"string", "rats.string"},
    {"binary", "rats.binary"},
    {"json", "rats.json"},
};

#define UNTYPED_COUNT (sizeof untyped / sizeof untyped[0])

static const char *channel_of(const struct options *options)
{
    if (options->channel_count > 0) {
        return options->channels[0];
    }
    for (size_t i = 0; options->as != NULL && i < UNTYPED_COUNT; i++) {
        if (strcmp(options->as, untyped[i].kind) == 0) {
            return untyped[i].channel;
        }
    }
    return untyped[0].channel;
}

static bool is_untyped(const char *kind)
{
    for (size_t i = 0; i < UNTYPED_COUNT; i++) {
        if (strcmp(kind, untyped[i].kind) == 0) {
            return true;
        }
    }
    return false;
}

/* The message's name and what kind of name that is, for output. */
static const char *name_of(const struct options *options)
{
    return options->type_count > 0 ? options->types[0] : channel_of(options);
}

static rats_error_t send_to_peer(const struct ctl *ctl, const char *id, const char *data,
                                 size_t size)
{
    return ctl->options->type_count > 0
               ? rats_send_message(ctl->client, id, ctl->options->types[0], data)
               : rats_channel_send(ctl->client, id, channel_of(ctl->options), data, size);
}

/* How many peers it went to, or a negative code. */
static int send_to_all(const struct ctl *ctl, const char *data, size_t size)
{
    if (ctl->options->type_count == 0) {
        return rats_channel_broadcast(ctl->client, channel_of(ctl->options), data, size);
    }
    const int peers = rats_get_peer_count(ctl->client);
    const rats_error_t code = rats_broadcast_message(ctl->client, ctl->options->types[0], data);
    return code < 0 ? (int)code : peers;
}

/* ret_peers: how many it went to. */
static enum exit_code send_payload(struct ctl *ctl, const char *whom, const char *data, size_t size,
                                   int *ret_peers)
{
    char id[PEER_DIGITS + 1];
    if (strcmp(whom, EVERYBODY) == 0) {
        const int peers = send_to_all(ctl, data, size);
        if (peers < 0) {
            return session_report(ctl, "send");
        }
        if (peers == 0) {
            return report(EXIT_NOT_FOUND, "no peer is connected; ratsctl connect HOST:PORT dials "
                                          "one");
        }
        *ret_peers = peers;
        return EXIT_DONE;
    }
    const enum exit_code code = session_find_peer(ctl, whom, id);
    if (code != EXIT_DONE) {
        return code;
    }
    if (send_to_peer(ctl, id, data, size) != RATS_SUCCESS) {
        return session_report(ctl, "send");
    }
    *ret_peers = 1;
    return EXIT_DONE;
}

static void print_sent(const struct ctl *ctl, size_t size, int peers)
{
    const char *name = name_of(ctl->options);
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, json_pack("{s:o, s:I, s:i}",
                                              ctl->options->type_count > 0 ? "type" : "channel",
                                              text_value(name, strlen(name)), "bytes",
                                              (json_int_t)size, "peers", peers));
        return;
    }
    char *shown = escape_new(name, strlen(name));
    (void)printf("sent %zu bytes on %s to %d %s\n", size, shown, peers,
                 peers == 1 ? "peer" : "peers");
    free(shown);
}

static enum exit_code check_send(const struct options *options)
{
    if (options->channel_count > 1 || options->type_count > 1) {
        return report(EXIT_USAGE, "send takes one --channel or one --type");
    }
    if (options->type_count > 0 && (options->channel_count > 0 || options->as != NULL)) {
        return report(EXIT_USAGE, "--type excludes --channel and --as: a typed message is JSON");
    }
    if (options->as != NULL && options->channel_count == 0 && options->type_count == 0 &&
        !is_untyped(options->as)) {
        return report(EXIT_USAGE, "--as=%s is for kv; a message is a string, binary or json",
                      options->as);
    }
    return EXIT_DONE;
}

enum exit_code run_send(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    char *data = NULL;
    size_t size = 0;
    int peers = 0;
    enum exit_code code = check_send(ctl->options);
    if (code == EXIT_DONE) {
        code = payload_get(ctl->options, arguments[1], &data, &size);
    }
    if (code == EXIT_DONE && ctl->options->type_count > 0 && strlen(data) != size) {
        code = report(EXIT_USAGE, "the message has a NUL byte, which JSON has not");
    }
    if (code == EXIT_DONE) {
        code = session_open(ctl, false);
    }
    if (code == EXIT_DONE && rats_start(ctl->client) != RATS_SUCCESS) {
        code = session_report(ctl, "start of the session");
    }
    if (code == EXIT_DONE) {
        code = send_payload(ctl, arguments[0], data, size, &peers);
    }
    if (code == EXIT_DONE) {
        print_sent(ctl, size, peers);
    }
    free(data);
    return code;
}

/* One --channel or --type. */
static enum exit_code hear(struct ctl *ctl, const char *channel, const char *type)
{
    const rats_error_t code = type != NULL ? rats_on_message(ctl->client, type, NULL, NULL)
                                           : rats_channel_on(ctl->client, channel, NULL, NULL);
    return code == RATS_SUCCESS ? EXIT_DONE : session_report(ctl, type != NULL ? type : channel);
}

enum exit_code run_recv(struct ctl *ctl, char **arguments, int count)
{
    (void)arguments;
    (void)count;
    const struct options *options = ctl->options;
    session_set_timeout(ctl, true);
    enum exit_code code = session_open(ctl, true);
    for (size_t i = 0; code == EXIT_DONE && i < options->channel_count; i++) {
        code = hear(ctl, options->channels[i], NULL);
    }
    for (size_t i = 0; code == EXIT_DONE && i < options->type_count; i++) {
        code = hear(ctl, NULL, options->types[i]);
    }
    const bool nothing_named = options->channel_count + options->type_count == 0;
    for (size_t i = 0; code == EXIT_DONE && nothing_named && i < UNTYPED_COUNT; i++) {
        code = hear(ctl, untyped[i].channel, NULL);
    }
    return code == EXIT_DONE ? receive_run(ctl, "recv") : code;
}
