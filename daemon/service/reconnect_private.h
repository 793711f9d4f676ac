/* What the files of the reconnect service share: reconnect.c dials, reconnect_file.c keeps what it
 * knows on disk, reconnect_methods.c answers clients. */
#ifndef RATSD_SERVICE_RECONNECT_PRIVATE_H
#define RATSD_SERVICE_RECONNECT_PRIVATE_H

#include "core/log.h"
#include "service/book.h"
#include "service/book_file.h"
#include "service/service.h"
#include "service/targets.h"

#define RECONNECT_TOPIC "reconnect"

/* Read by the registry as they are. */
struct reconnect_metrics {
    uint64_t targets;
    uint64_t known;
    uint64_t dials;
    uint64_t dials_failed;
    uint64_t postponed;
    uint64_t writes;
    uint64_t writes_failed;
};

struct reconnect {
    struct host *host;
    struct book *book;
    struct targets *targets;
    struct book_file *file;
    struct timer dial_timer;
    struct timer write_timer;
    bool learn;
    size_t at_start;
    bool is_open;       /* the network is */
    int64_t wall_ms;    /* wall clock minus loop time, when last looked at */
    struct list writes; /* struct pending_write, the first maybe under way */
    bool targets_dirty; /* the file lacks the added targets: all are written */
    bool write_failed;  /* said once, until it works again */
    struct reconnect_metrics counts;
};

/* Changes that a client waits for until they are on disk. */
struct pending_write {
    struct list node;
    struct reconnect *reconnect;
    struct request *request; /* NULL: the client has given up */
    json_t *reply;           /* what it is answered then */
    bool under_way;
    bool has_target;
    struct book_file_target target;
};

/* reconnect.c */
int64_t reconnect_now_ms(const struct reconnect *reconnect);
/* Unix seconds; what was stored moves along when the clock was set. */
int64_t reconnect_now_s(struct reconnect *reconnect);
/* Dials what is due, and waits for the next. */
void reconnect_dial(struct reconnect *reconnect);
/* Makes targets of the best known addresses that are not connected, due now. How many. */
size_t reconnect_dial_known(struct reconnect *reconnect, size_t max);
/* Ends its dial and removes it. */
void reconnect_drop(struct reconnect *reconnect, struct target *target);
/* The learned ones whose address the book no longer has. */
void reconnect_drop_unknown(struct reconnect *reconnect);

/* reconnect_file.c */
/* Opens the file and reads it; without one it goes on, and says so. */
void reconnect_file_open(struct reconnect *reconnect);
/* Something changed: it is written soon. */
void reconnect_changed(struct reconnect *reconnect);
/* Writes now; the request is answered when it is on disk. reply is taken; target may be NULL. */
void reconnect_write(struct reconnect *reconnect, struct request *request, json_t *reply,
                     const struct book_file_target *target);
/* Writes what is left and answers who waits; then no more is written. */
void reconnect_file_stop(struct reconnect *reconnect);
void reconnect_on_write_timer(void *arg);

/* reconnect_methods.c */
extern const struct method_handler reconnect_methods[];
/* Takes a target of the configuration or of a client into the list. What targets_add() says. */
int reconnect_add(struct reconnect *reconnect, const struct target_spec *spec);

#endif
