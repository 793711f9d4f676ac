#include "ratsctl/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ratsctl/bar.h"
#include "util/alloc.h"

static bool state_is(const json_t *transfer, const char *state)
{
    return strcmp(member_text(transfer, "state"), state) == 0;
}

bool transfer_is_completed(const json_t *transfer)
{
    return state_is(transfer, "completed");
}

bool transfer_has_ended(const json_t *transfer)
{
    return transfer_is_completed(transfer) || state_is(transfer, "failed") ||
           state_is(transfer, "cancelled");
}

bool transfer_is_unanswered(const json_t *transfer)
{
    return state_is(transfer, "pending") || state_is(transfer, "starting");
}

bool transfer_is_under_way(const json_t *transfer)
{
    return !transfer_is_unanswered(transfer) && !transfer_has_ended(transfer);
}

/* Why nothing moves; NULL when something should. */
static const char *note_of(const json_t *transfer)
{
    if (member_true(transfer, "waiting")) {
        return "waiting for the peer to come back";
    }
    if (transfer_is_unanswered(transfer)) {
        return "waiting for an answer";
    }
    return state_is(transfer, "paused") ? "paused" : NULL;
}

void transfer_show(const json_t *transfer, const char *name)
{
    const uint64_t files = (uint64_t)member_number(transfer, "total_files");
    const struct progress progress = {
        .name = name,
        .done_bytes = (uint64_t)member_number(transfer, "done_bytes"),
        .total_bytes = (uint64_t)member_number(transfer, "total_bytes"),
        .done_files = (uint64_t)member_number(transfer, "done_files"),
        .total_files =
            files == 0 && transfer_is_unanswered(transfer) ? 1 : files, /* not known yet */
        .rate = (uint64_t)member_number(transfer, "rate"),
        .note = note_of(transfer),
    };
    bar_show(&progress);
}

void transfer_print_json(json_t *transfer, const char *path)
{
    json_t *line = json_copy(transfer);
    if (path != NULL) {
        (void)json_object_set_new(line, "local_path", text_value(path, strlen(path)));
    }
    output_line(line);
}

void transfer_print(const json_t *transfer, const char *path)
{
    const char *name = path != NULL ? path : member_text(transfer, "name");
    const char *error = member_text(transfer, "error");
    char *shown = escape_new(name, strlen(name));
    char *why = escape_new(error, strlen(error));
    (void)printf("%.*s %s %s%s%s\n", PEER_SHORT, member_text(transfer, "peer"),
                 member_text(transfer, "state"), shown, *why == '\0' ? "" : ": ", why);
    free(why);
    free(shown);
}

enum exit_code transfer_report(const json_t *transfer, const char *command, const char *name)
{
    if (transfer_is_completed(transfer)) {
        return EXIT_DONE;
    }
    const char *error = member_text(transfer, "error");
    if (*error == '\0') {
        error = state_is(transfer, "cancelled") ? "it was cancelled" : "it failed";
    }
    return report(EXIT_FAILED, "%s %s: %s", command, name, error);
}

/* Of several ----------------------------------------------------------------------------------- */

void transfer_notes_fini(struct transfer_notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        free(notes->notes[i].path);
    }
    free(notes->notes);
    *notes = (struct transfer_notes){.notes = NULL};
}

void transfer_notes_add(struct transfer_notes *notes, const char *id, char *path)
{
    notes->notes = xrealloc(notes->notes, (notes->count + 1) * sizeof *notes->notes);
    struct transfer_note *note = &notes->notes[notes->count++];
    *note = (struct transfer_note){.path = path};
    (void)snprintf(note->id, sizeof note->id, "%s", id);
}

static struct transfer_note *find(struct transfer_notes *notes, const char *id)
{
    for (size_t i = 0; i < notes->count; i++) {
        if (strcmp(notes->notes[i].id, id) == 0) {
            return &notes->notes[i];
        }
    }
    return NULL;
}

static void forget(struct transfer_notes *notes, struct transfer_note *note)
{
    free(note->path);
    *note = notes->notes[--notes->count];
}

bool transfer_notes_have_path(const struct transfer_notes *notes, const char *path)
{
    for (size_t i = 0; i < notes->count; i++) {
        if (notes->notes[i].path != NULL && strcmp(notes->notes[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

void transfer_notes_tell(struct transfer_notes *notes, const struct output *output,
                         json_t *transfer)
{
    const char *id = member_text(transfer, "transfer");
    const char *state = member_text(transfer, "state");
    struct transfer_note *note = find(notes, id);
    if (note == NULL) {
        transfer_notes_add(notes, id, NULL);
        note = &notes->notes[notes->count - 1];
    }
    if (output->json != JSON_NONE) {
        transfer_print_json(transfer, note->path);
    } else if (strcmp(note->state, state) != 0) {
        transfer_print(transfer, note->path);
    }
    (void)snprintf(note->state, sizeof note->state, "%s", state);
    if (transfer_has_ended(transfer)) {
        forget(notes, note);
    }
}
