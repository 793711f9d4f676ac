/* ratsctl wait: returns once something is so. It asks, and asks again at every event; without a
 * daemon it tries again and again, so that a script can wait for one to come up. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ratsctl/commands.h"
#include "ratsctl/stream.h"

#define RETRY_MS 50    /* while there is no daemon to tell us anything (C9: 100 ms at most) */
#define IDLE_MS  30000 /* nothing is missed by waiting: it only bounds one call */

struct goal {
    bool online;
    uint64_t peers;               /* 0: not asked for */
    char prefix[PEER_DIGITS + 1]; /* "": not asked for */
};

static enum exit_code read_goal(const struct options *options, struct goal *ret_goal)
{
    struct goal goal = {.online = options_have(options, OPT_ONLINE), .peers = options->peers};
    if (options->peer != NULL && peer_prefix_parse(options->peer, goal.prefix) != 0) {
        return report(EXIT_USAGE,
                      "--peer is '%s'; it takes a peer id or its first digits, at "
                      "least %d",
                      options->peer, PEER_PREFIX_MIN);
    }
    if (goal.peers == 0 && goal.prefix[0] == '\0') {
        goal.online = true;
    }
    *ret_goal = goal;
    return EXIT_DONE;
}

static bool has_peer(const json_t *peers, const char *prefix)
{
    size_t index = 0;
    json_t *peer = NULL;
    json_array_foreach(peers, index, peer)
    {
        if (strncmp(member_text(peer, "peer"), prefix, strlen(prefix)) == 0) {
            return true;
        }
    }
    return false;
}

/* What holds now, when it is what was waited for; NULL when it is not, or cannot be known yet. */
static json_t *reach(struct ctl *ctl, const struct goal *goal)
{
    json_t *instance = session_ask(ctl, M_INSTANCE_GET, NULL);
    json_t *list = session_ask(ctl, M_PEER_LIST, NULL);
    const json_t *peers = json_object_get(list, "peers");
    const bool reached = instance != NULL && list != NULL &&
                         (!goal->online || member_number(instance, "listen_port") != 0) &&
                         (goal->peers == 0 || json_array_size(peers) >= goal->peers) &&
                         (goal->prefix[0] == '\0' || has_peer(peers, goal->prefix));
    json_t *result = reached ? json_pack("{s:b, s:I, s:s}", "online",
                                         member_number(instance, "listen_port") != 0, "peers",
                                         (json_int_t)json_array_size(peers), "peer_id",
                                         member_text(instance, "peer_id"))
                             : NULL;
    json_decref(instance);
    json_decref(list);
    return result;
}

/* Milliseconds of this step: at most cap, never past the deadline (negative: there is none). */
static int step(int64_t deadline, int cap)
{
    if (deadline < 0) {
        return cap;
    }
    const int64_t left = deadline - stream_now_ms();
    return left <= 0 ? 0 : left < cap ? (int)left : cap;
}

static void pause_ms(int milliseconds)
{
    const struct timespec time = {.tv_sec = milliseconds / 1000,
                                  .tv_nsec = (milliseconds % 1000) * 1000000L};
    (void)nanosleep(&time, NULL);
}

static bool is_over(int64_t deadline)
{
    return deadline >= 0 && stream_now_ms() >= deadline;
}

/* Attaches, however long the daemon takes to appear. */
static enum exit_code attach(struct ctl *ctl, int64_t deadline)
{
    enum exit_code code = session_try(ctl, true);
    while (code == EXIT_NO_DAEMON && !is_over(deadline)) {
        pause_ms(step(deadline, RETRY_MS));
        code = session_try(ctl, true);
    }
    if (code == EXIT_DONE && rats_start(ctl->client) != RATS_SUCCESS) {
        code = session_report(ctl, "start of the session");
    }
    return code;
}

static json_t *await(struct ctl *ctl, const struct goal *goal, int64_t deadline)
{
    json_t *result = reach(ctl, goal);
    while (result == NULL && !is_over(deadline)) {
        size_t size = 0;
        const int cap = rats_is_attached(ctl->client) ? IDLE_MS : RETRY_MS;
        const void *batch = rats_take_batch(ctl->client, step(deadline, cap), &size);
        if (batch != NULL) {
            rats_release_batch(ctl->client, batch);
        }
        result = reach(ctl, goal);
    }
    return result;
}

enum exit_code run_wait(struct ctl *ctl, char **arguments, int count)
{
    (void)arguments;
    (void)count;
    struct goal goal = {0};
    enum exit_code code = read_goal(ctl->options, &goal);
    if (code != EXIT_DONE) {
        return code;
    }
    const int timeout_ms = ctl->options->timeout_ms;
    session_set_timeout(ctl, true);
    const int64_t deadline = timeout_ms < 0 ? -1 : stream_now_ms() + timeout_ms;
    code = attach(ctl, deadline);
    json_t *result = code == EXIT_DONE ? await(ctl, &goal, deadline) : NULL;
    if (result == NULL && (code == EXIT_DONE || code == EXIT_NO_DAEMON)) {
        return report(EXIT_TIMEOUT, "wait: it did not happen within the time given by --timeout%s",
                      code == EXIT_NO_DAEMON ? "; no daemon answered" : "");
    }
    if (result != NULL && ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, result);
        return EXIT_DONE;
    }
    json_decref(result);
    return code;
}
