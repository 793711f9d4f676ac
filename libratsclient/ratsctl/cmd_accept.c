/* ratsctl share and accept: what peers may get from here, and where they may put what they send. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/events.h"
#include "ratsctl/commands.h"
#include "ratsctl/interrupt.h"
#include "ratsctl/stream.h"
#include "ratsctl/transfer.h"
#include "util/alloc.h"
#include "util/path_rule.h"

#define MOST_NUMBERS 1000 /* "photos (1000)" is tried, and then no more */
#define NUMBER_SIZE  16

/* Made by the library of what a peer offers or asks for (rats_take_batch()); part of no table. */
#define SHOWN "transfer.shown"

struct keeper {
    struct ctl *ctl;
    char **directories; /* to share, or the one to accept into */
    int directory_count;
    char peer[PEER_DIGITS + 1]; /* whose offers are taken; "": everybody's */
    uint64_t left;              /* transfers to complete; 0: no end */
    struct transfer_notes notes;
};

static int on_gap(void *self, uint64_t missing)
{
    (void)self;
    (void)missing;
    return STREAM_GO_ON; /* messages': of transfers nothing is dropped */
}

static int on_changed(struct keeper *keeper, json_t *transfer)
{
    transfer_notes_tell(&keeper->notes, &keeper->ctl->output, transfer);
    if (keeper->left == 0 || !transfer_is_completed(transfer)) {
        return STREAM_GO_ON;
    }
    return --keeper->left == 0 ? EXIT_DONE : STREAM_GO_ON;
}

static enum exit_code keep(struct keeper *keeper, const struct stream_handler *handler)
{
    struct ctl *ctl = keeper->ctl;
    enum exit_code code = EXIT_DONE;
    keeper->left = ctl->options->count;
    if (ctl->options->peer != NULL) {
        code = session_find_peer(ctl, ctl->options->peer, keeper->peer);
    }
    if (code == EXIT_DONE) {
        interrupt_catch();
        code = stream_run(ctl, handler, ctl->options->timeout_ms);
    }
    transfer_notes_fini(&keeper->notes);
    if (code == EXIT_TIMEOUT && keeper->left == 0) {
        return EXIT_DONE; /* no number was asked for: that time was all that was asked for */
    }
    if (code == EXIT_TIMEOUT) {
        return report(code, "%llu of %llu transfers were not completed in time",
                      (unsigned long long)keeper->left, (unsigned long long)ctl->options->count);
    }
    return code;
}

/* share ---------------------------------------------------------------------------------------- */

/* Before the session is started: from then on peers find what they may. */
static enum exit_code share_all(struct keeper *keeper)
{
    for (int i = 0; i < keeper->directory_count; i++) {
        if (rats_add_share_root(keeper->ctl->client, keeper->directories[i]) != RATS_SUCCESS) {
            return session_report(keeper->ctl, keeper->directories[i]);
        }
    }
    return EXIT_DONE;
}

static int on_shared(void *self, uint64_t sequence, const char *event, json_t *fields)
{
    (void)sequence;
    return strcmp(event, proto_events[EV_TRANSFER_CHANGED].name) == 0 ? on_changed(self, fields)
                                                                      : STREAM_GO_ON;
}

enum exit_code run_share(struct ctl *ctl, char **arguments, int count)
{
    struct keeper keeper = {.ctl = ctl, .directories = arguments, .directory_count = count};
    const struct stream_handler handler = {
        .self = &keeper, .on_event = on_shared, .on_gap = on_gap};
    session_set_timeout(ctl, true);
    enum exit_code code = session_open(ctl, true);
    code = code == EXIT_DONE ? share_all(&keeper) : code;
    return code == EXIT_DONE ? keep(&keeper, &handler) : code;
}

/* accept --------------------------------------------------------------------------------------- */

/* "DIRECTORY/name", or "DIRECTORY/name (2)", "DIRECTORY/a (2).jpg": what is not there yet. NULL
 * when there is no end to it. */
static char *make_path(const struct keeper *keeper, const char *name, bool file)
{
    const char *directory = keeper->directories[0];
    const char *ending = file ? strrchr(name, '.') : NULL;
    if (ending == NULL || ending == name) {
        ending = name + strlen(name);
    }
    const size_t size = strlen(directory) + 1 + strlen(name) + NUMBER_SIZE;
    char *path = xalloc(size);
    for (int number = 1; number <= MOST_NUMBERS; number++) {
        char infix[NUMBER_SIZE] = "";
        struct stat status;
        if (number > 1) {
            (void)snprintf(infix, sizeof infix, " (%d)", number);
        }
        (void)snprintf(path, size, "%s/%.*s%s%s", directory, (int)(ending - name), name, infix,
                       ending);
        if (lstat(path, &status) != 0 && !transfer_notes_have_path(&keeper->notes, path)) {
            return path;
        }
    }
    free(path);
    return NULL;
}

/* Why an offer of that name cannot be taken; NULL when it can. Where it lies is for us to say: the
 * name is one part of a path, and none that programs read without being told to (.bashrc). */
static const char *check_name(const char *name)
{
    if (strchr(name, '/') != NULL) {
        return "has more than one part";
    }
    return *name == '.' ? "begins with a dot" : path_rule_check(bytes_from_string(name));
}

static bool is_file(const json_t *shown)
{
    return strcmp(member_text(shown, "kind"), "file") == 0;
}

static void refuse(struct keeper *keeper, const json_t *shown, const char *what, const char *why)
{
    char reason[256];
    const char *id = member_text(shown, "transfer_id");
    (void)snprintf(reason, sizeof reason, "%s%s", what, why);
    (void)(is_file(shown) ? rats_reject_file_transfer(keeper->ctl->client, id, reason)
                          : rats_reject_directory_transfer(keeper->ctl->client, id, reason));
}

static void take(struct keeper *keeper, const json_t *offer, char *path)
{
    rats_client_t client = keeper->ctl->client;
    const char *id = member_text(offer, "transfer_id");
    /* Noted first: it can have ended before the call returns, and is told of only then. */
    transfer_notes_add(&keeper->notes, id, path);
    const rats_error_t result = is_file(offer) ? rats_accept_file_transfer(client, id, path)
                                               : rats_accept_directory_transfer(client, id, path);
    if (result != RATS_SUCCESS) {
        (void)session_report(keeper->ctl, member_text(offer, "name"));
        refuse(keeper, offer, "it cannot be put into place", "");
    }
}

static int on_shown(struct keeper *keeper, const json_t *shown)
{
    const char *name = member_text(shown, "name");
    const char *peer = member_text(shown, "peer_id");
    if (*member_text(shown, "remote_path") != '\0') {
        refuse(keeper, shown, "not shared", "");
        return STREAM_GO_ON;
    }
    if (keeper->peer[0] != '\0' && strcmp(peer, keeper->peer) != 0) {
        refuse(keeper, shown, "files of others are taken here", "");
        return STREAM_GO_ON;
    }
    const char *fault = check_name(name);
    char *path = fault == NULL ? make_path(keeper, name, is_file(shown)) : NULL;
    if (path != NULL) {
        take(keeper, shown, path);
    } else {
        refuse(keeper, shown, "its name ", fault != NULL ? fault : "is taken many times over");
    }
    return STREAM_GO_ON;
}

static int on_offered(void *self, uint64_t sequence, const char *event, json_t *fields)
{
    return strcmp(event, SHOWN) == 0 ? on_shown(self, fields)
                                     : on_shared(self, sequence, event, fields);
}

/* Says that offers are wanted; they come as events, and this never runs. */
static void on_request(void *self, const char *peer, const char *transfer, const char *path,
                       const char *name)
{
    (void)self;
    (void)peer;
    (void)transfer;
    (void)path;
    (void)name;
}

/* Before the session is started, too. */
static enum exit_code accept_all(const struct keeper *keeper)
{
    rats_client_t client = keeper->ctl->client;
    rats_set_file_request_callback(client, on_request, NULL);
    if (rats_last_error(client) == RATS_SUCCESS) {
        rats_set_directory_request_callback(client, on_request, NULL);
    }
    return rats_last_error(client) == RATS_SUCCESS ? EXIT_DONE
                                                   : session_report(keeper->ctl, "accept");
}

enum exit_code run_accept(struct ctl *ctl, char **arguments, int count)
{
    struct keeper keeper = {.ctl = ctl, .directories = arguments, .directory_count = count};
    const struct stream_handler handler = {
        .self = &keeper, .on_event = on_offered, .on_gap = on_gap};
    struct stat status;
    if (stat(arguments[0], &status) != 0 || !S_ISDIR(status.st_mode)) {
        return report(EXIT_NOT_FOUND, "%s is no directory; make it first", arguments[0]);
    }
    session_set_timeout(ctl, true);
    enum exit_code code = session_open(ctl, true);
    code = code == EXIT_DONE ? accept_all(&keeper) : code;
    return code == EXIT_DONE ? keep(&keeper, &handler) : code;
}
