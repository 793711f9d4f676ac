/* ratsctl ping and request-peers: what is asked of one peer's own services. */
#include <stdio.h>
#include <time.h>

#include "ratsctl/commands.h"

#define PING_MS        5000
#define MAX_PING_MS    600000
#define BETWEEN_S      1
#define CALL_MARGIN_MS 2000

/* One ping. EXIT_TIMEOUT when there was no answer, which is reported. */
static enum exit_code ping_once(struct ctl *ctl, const char *id, int timeout_ms,
                                json_int_t *ret_rtt_us)
{
    json_t *result = NULL;
    enum exit_code code =
        session_call_named(ctl, proto_methods[M_PING_SEND].name,
                           json_pack("{s:s, s:i}", "peer", id, "timeout_ms", timeout_ms),
                           timeout_ms + CALL_MARGIN_MS, &result);
    if (code == EXIT_DONE) {
        *ret_rtt_us = member_number(result, "rtt_us");
        json_decref(result);
    }
    return code;
}

/* Pings count times, a second apart. The first failure that is no silence ends it. */
static enum exit_code ping_all(struct ctl *ctl, const char *id, int timeout_ms, uint64_t count,
                               json_t *rtts)
{
    const struct timespec pause = {.tv_sec = BETWEEN_S};
    for (uint64_t i = 0; i < count; i++) {
        json_int_t rtt_us = 0;
        enum exit_code code = ping_once(ctl, id, timeout_ms, &rtt_us);
        if (code == EXIT_DONE) {
            (void)json_array_append_new(rtts, json_integer(rtt_us));
            if (ctl->output.json == JSON_NONE) {
                (void)printf("%.*s answered in %.3f ms\n", PEER_SHORT, id, (double)rtt_us / 1000.0);
                (void)fflush(stdout);
            }
        } else if (code != EXIT_TIMEOUT) {
            return code;
        }
        if (i + 1 < count) {
            (void)nanosleep(&pause, NULL);
        }
    }
    return json_array_size(rtts) > 0 ? EXIT_DONE : EXIT_TIMEOUT;
}

enum exit_code run_ping(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    const uint64_t wanted = options_have(ctl->options, OPT_COUNT) ? ctl->options->count : 1;
    char id[PEER_DIGITS + 1];
    int timeout_ms = ctl->options->timeout_ms >= 0 ? ctl->options->timeout_ms : PING_MS;
    timeout_ms = timeout_ms < 1 ? 1 : timeout_ms > MAX_PING_MS ? MAX_PING_MS : timeout_ms;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = session_find_peer(ctl, arguments[0], id);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    json_t *rtts = json_array();
    code = ping_all(ctl, id, timeout_ms, wanted, rtts);
    if (code == EXIT_DONE && ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, json_pack("{s:s, s:I, s:O}", "peer", id, "sent",
                                              (json_int_t)wanted, "rtt_us", rtts));
    }
    json_decref(rtts);
    return code;
}

enum exit_code run_request_peers(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    char id[PEER_DIGITS + 1];
    json_t *result = NULL;
    const enum exit_code code = session_call_peer(ctl, M_PEX_REQUEST, arguments[0], id, &result);
    if (code != EXIT_DONE) {
        return code;
    }
    json_decref(result);
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, json_pack("{s:s}", "peer", id));
    } else {
        (void)printf("asked %s for its peers\n", id);
    }
    return EXIT_DONE;
}
