/* A transfer as the daemon tells of it (shape_transfer), in the words of the commands that follow
 * one: how far it is, whether it ended, and what that means for whoever waits for it. What a peer
 * called it is only ever printed, and escaped. */
#ifndef RATSCTL_TRANSFER_H
#define RATSCTL_TRANSFER_H

#include "proto/shapes.h"
#include "ratsctl/session.h"

/* Completed, failed or cancelled. */
bool transfer_has_ended(const json_t *transfer);
bool transfer_is_completed(const json_t *transfer);
/* Nobody has agreed yet. */
bool transfer_is_unanswered(const json_t *transfer);
/* The peer has agreed: bytes move, or did. */
bool transfer_is_under_way(const json_t *transfer);

/* Shows it on the bar, under that name. */
void transfer_show(const json_t *transfer, const char *name);

/* One JSON line, with path as local_path unless it is NULL. Borrows transfer. */
void transfer_print_json(json_t *transfer, const char *path);
/* One line for people: the peer, the state, path or else the peer's name for it, and why it ended.
 */
void transfer_print(const json_t *transfer, const char *path);

/* The exit code of a transfer that ended. What is not completed is reported: "put photos: it was
 * cancelled". */
enum exit_code transfer_report(const json_t *transfer, const char *command, const char *name);

/* What share and accept remember of the transfers that have not ended. */
struct transfer_note {
    char id[TRANSFER_ID_SIZE + 1];
    char state[16]; /* the last that was printed; "": none */
    char *path;     /* where it is put; NULL: it is sent */
};

struct transfer_notes {
    struct transfer_note *notes;
    size_t count;
};

void transfer_notes_fini(struct transfer_notes *notes);
/* Takes path (from malloc, or NULL). */
void transfer_notes_add(struct transfer_notes *notes, const char *id, char *path);
/* Whether one of them will be put there. */
bool transfer_notes_have_path(const struct transfer_notes *notes, const char *path);
/* Prints what changed, as JSON or for people, and forgets it when it has ended. */
void transfer_notes_tell(struct transfer_notes *notes, const struct output *output,
                         json_t *transfer);

#endif
