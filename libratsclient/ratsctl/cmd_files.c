/* ratsctl put and get: one file or directory, sent to a peer or fetched from one (api.md 3.12). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/events.h"
#include "ratsctl/bar.h"
#include "ratsctl/commands.h"
#include "ratsctl/interrupt.h"
#include "ratsctl/stream.h"
#include "ratsctl/transfer.h"
#include "util/alloc.h"

struct mover {
    struct ctl *ctl;
    const char *command; /* "put" */
    char peer[PEER_DIGITS + 1];
    const char *path; /* of ours to put, of the peer's to get */
    char *name;       /* what it is called */
    char *target;     /* where to get it to */
    bool directory;
    bool guessed; /* what the peer has there may also be a directory */
    bool under_way;
    int64_t begun_ms;
    char *id;
};

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* What is said of it --------------------------------------------------------------------------- */

/* "sent photos: 120 files, 3.4 GiB in 35 s, 98.3 MiB/s" */
static void print_summary(const struct mover *mover, const json_t *transfer)
{
    char size[SIZE_SIZE];
    char rate[SIZE_SIZE];
    char age[AGE_SIZE];
    const int64_t took_ms = stream_now_ms() - mover->begun_ms + 1;
    const uint64_t bytes = (uint64_t)member_number(transfer, "done_bytes");
    const long long files = (long long)member_number(transfer, "done_files");
    char *shown = escape_new(mover->name, strlen(mover->name));
    (void)printf("%s %s: %lld %s, %s in %s, %s/s\n", mover->target == NULL ? "sent" : "got", shown,
                 files, files == 1 ? "file" : "files", size_format(bytes, size),
                 age_format((uint64_t)took_ms / 1000, age),
                 size_format((uint64_t)((double)bytes * 1000 / (double)took_ms), rate));
    free(shown);
}

/* On a terminal the bar and a summary, in JSON every change, else nothing (C16). */
static void tell(const struct mover *mover, json_t *transfer)
{
    if (mover->ctl->output.json != JSON_NONE) {
        transfer_print_json(transfer, mover->target);
    } else if (!transfer_has_ended(transfer)) {
        transfer_show(transfer, mover->name);
    } else {
        bar_clear();
        if (bar_is_on() && transfer_is_completed(transfer)) {
            print_summary(mover, transfer);
        }
    }
}

/* The first change is told when the peer has answered, which may take its time. */
static void tell_begun(struct mover *mover)
{
    json_t *transfer =
        session_ask(mover->ctl, M_TRANSFER_GET, json_pack("{s:s}", "transfer", mover->id));
    if (transfer != NULL && transfer_is_unanswered(transfer)) {
        tell(mover, transfer);
        (void)output_finish();
    }
    json_decref(transfer);
}

/* Its course ----------------------------------------------------------------------------------- */

static enum exit_code begin(struct mover *mover)
{
    rats_client_t client = mover->ctl->client;
    rats_string_free(mover->id);
    if (mover->target == NULL) {
        mover->id = mover->directory
                        ? rats_send_directory(client, mover->peer, mover->path, mover->name, 1)
                        : rats_send_file(client, mover->peer, mover->path, mover->name);
    } else {
        mover->id = mover->directory
                        ? rats_request_directory(client, mover->peer, mover->path, mover->target, 1)
                        : rats_request_file(client, mover->peer, mover->path, mover->target);
    }
    if (mover->id == NULL) {
        return session_report(mover->ctl, mover->command);
    }
    tell_begun(mover);
    return EXIT_DONE;
}

static enum exit_code on_start(void *self)
{
    return begin(self);
}

static int on_event(void *self, uint64_t sequence, const char *event, json_t *transfer)
{
    struct mover *mover = self;
    (void)sequence;
    if (strcmp(event, proto_events[EV_TRANSFER_CHANGED].name) != 0 ||
        strcmp(member_text(transfer, "transfer"), mover->id) != 0) {
        return STREAM_GO_ON;
    }
    mover->under_way = mover->under_way || transfer_is_under_way(transfer);
    const bool ended = transfer_has_ended(transfer);
    if (ended && mover->guessed && !mover->under_way && !transfer_is_completed(transfer)) {
        mover->guessed = false; /* it has no file there: a directory, then */
        mover->directory = true;
        const enum exit_code code = begin(mover);
        return code == EXIT_DONE ? STREAM_GO_ON : (int)code;
    }
    tell(mover, transfer);
    return ended ? (int)transfer_report(transfer, mover->command, mover->path) : STREAM_GO_ON;
}

/* Numbers that are missing were messages': of transfers nothing is dropped. */
static int on_gap(void *self, uint64_t missing)
{
    (void)self;
    (void)missing;
    return STREAM_GO_ON;
}

static enum exit_code move(struct mover *mover, const char *peer)
{
    struct ctl *ctl = mover->ctl;
    const struct stream_handler handler = {
        .self = mover, .on_start = on_start, .on_event = on_event, .on_gap = on_gap};
    session_set_timeout(ctl, true);
    bar_init(&ctl->output);
    enum exit_code code = session_open(ctl, true);
    if (code == EXIT_DONE) {
        code = session_find_peer(ctl, peer, mover->peer);
    }
    if (code == EXIT_DONE) {
        interrupt_catch();
        mover->begun_ms = stream_now_ms();
        code = stream_run(ctl, &handler, ctl->options->timeout_ms);
    }
    bar_clear();
    if (mover->id != NULL && (code == EXIT_INTERRUPTED || code == EXIT_TIMEOUT)) {
        (void)rats_cancel_file_transfer(ctl->client, mover->id);
    }
    if (mover->id != NULL && code == EXIT_TIMEOUT) {
        (void)report(code, "%s %s: it was not done in time; --timeout gives it longer",
                     mover->command, mover->path);
    }
    rats_string_free(mover->id);
    return code;
}

/* "c" of "/a/b/c/". Release with free(). */
static char *last_part(const char *path)
{
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    char *part = xalloc(end - start + 1);
    memcpy(part, path + start, end - start);
    part[end - start] = '\0';
    return part;
}

static bool is_name(const char *part)
{
    return *part != '\0' && strcmp(part, ".") != 0 && strcmp(part, "..") != 0;
}

/* What a path of ours is called; of "." and the like, what stands there. Release with free(). */
static char *own_name(const char *path)
{
    char *name = last_part(path);
    char *real = is_name(name) ? NULL : realpath(path, NULL);
    if (real != NULL) {
        free(name);
        name = last_part(real);
        free(real);
    }
    return name;
}

enum exit_code run_put(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    struct mover mover = {
        .ctl = ctl,
        .command = "put",
        .path = arguments[1],
        .name = ctl->options->name != NULL ? xstrdup(ctl->options->name) : own_name(arguments[1]),
        .directory = is_directory(arguments[1]),
    };
    const enum exit_code code = move(&mover, arguments[0]);
    free(mover.name);
    return code;
}

/* Where it goes: TARGET, or under its own name into TARGET when that is a directory, or into the
 * working directory. NULL when it has no name of its own. Release with free(). */
static char *make_target(const char *name, const char *given)
{
    const char *folder = given == NULL ? "." : given;
    const size_t size = strlen(folder);
    const bool into = given == NULL || is_directory(given) || (size > 0 && given[size - 1] == '/');
    if (!into) {
        return xstrdup(given);
    }
    if (!is_name(name)) {
        return NULL;
    }
    char *target = xalloc(size + 1 + strlen(name) + 1);
    (void)stpcpy(stpcpy(stpcpy(target, folder), "/"), name);
    return target;
}

enum exit_code run_get(struct ctl *ctl, char **arguments, int count)
{
    const char *path = arguments[1];
    const size_t size = strlen(path);
    struct mover mover = {
        .ctl = ctl,
        .command = "get",
        .path = path,
        .name = last_part(path),
        .directory = size > 0 && path[size - 1] == '/',
    };
    mover.guessed = !mover.directory;
    mover.target = make_target(mover.name, count > 2 ? arguments[2] : NULL);
    const enum exit_code code =
        mover.target != NULL
            ? move(&mover, arguments[0])
            : report(EXIT_USAGE, "'%s' has no name of its own; say what it is to be called", path);
    free(mover.target);
    free(mover.name);
    return code;
}
