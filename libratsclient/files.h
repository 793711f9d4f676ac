/* The files thread of a handle: what waits for a disk because a peer or the daemon asked for it.
 *
 * It takes the transfer.* events in the order of the stream, opens what the daemon wants, puts in
 * place what arrived, answers for the share roots, and tells the application how far its transfers
 * are, by events of the library's own in the inbox. So neither the reader nor a callback ever waits
 * for a disk, and no callback holds a transfer up.
 *
 * It is started by the first function that makes a transfer possible and ends with the handle. It
 * never runs the application's code, and never has the handle's lock while it touches a disk. */
#ifndef LIBRATS_FILES_H
#define LIBRATS_FILES_H

#include <pthread.h>
#include <stdbool.h>

#include "proto/events.h"
#include "transfers.h"

struct client;

/* Events the library makes of transfers (librats.h, rats_take_batch()). */
#define EVENT_TRANSFER_SHOWN      "transfer.shown"
#define EVENT_TRANSFER_PROGRESSED "transfer.progressed"
#define EVENT_TRANSFER_FILES      "transfer.files"

enum job_kind {
    JOB_EVENT, /* of the daemon */
    JOB_NEW,   /* a transfer of this session began */
    JOB_LOST,  /* the connection ended, and every transfer of it */
};

struct job {
    struct list link;
    enum job_kind kind;
    unsigned connection;
    enum event_id event;
    json_t *fields;                /* of the event */
    char id[TRANSFER_ID_SIZE + 1]; /* of the transfer otherwise */
};

/* Under the handle's lock. */
struct files {
    bool running; /* the thread was started, and `work` initialised */
    pthread_t thread;
    pthread_cond_t work;
    struct list jobs;
    struct job lost; /* there is always memory for this one */
    struct transfers transfers;
    struct list roots; /* shares.h */
    uint64_t root_serial;
    unsigned connection; /* counts the daemon's */
    unsigned watched;    /* kinds the daemon was asked to show, as bits */
    size_t open_targets; /* the thread's: files of trees that are received, until they are whole */
    bool starved;        /* the thread's: files are wanted that no descriptor was left for */
};

/* What a transfer gets once the daemon has agreed: the reader sees to it before it looks at
 * anything that stands behind that answer in the stream. */
struct grant {
    const char *id;            /* of a transfer that is known; NULL: the answer says it */
    struct transfer *transfer; /* a new one; NULL. Taken when `taken` is set */
    struct holding *holding;   /* the same */
    bool taken;
};

void files_init(struct files *files, const uint64_t seed[2]);
/* The thread has ended. */
void files_fini(struct files *files);
/* (locked) RATS_SUCCESS, or a code with the last error set. */
int files_start(struct client *client);
/* (locked) The handle is closing. */
void files_wake(struct client *client);
/* Waits for the thread to end. */
void files_join(struct client *client);

/* (locked) For the reader: an event, its fields taken; the end of the connection; the answer to a
 * call with a grant. 0 or -ENOMEM. */
int files_take_event(struct client *client, enum event_id event, json_t *fields);
void files_lose_daemon(struct client *client);
int files_grant(struct client *client, struct grant *grant, struct bytes answer);

/* What the thread does, without the lock.
 *
 * files_work.c: one job. */
void files_work(struct client *client, struct job *job);
/* The daemon ends the transfer, and says so in transfer.changed. */
void files_fail(struct client *client, const char *id, const char *problem);

/* files_open.c: opens the files that are wanted of a directory, as far as there are descriptors;
 * and when it is time to look for more. */
void files_provide(struct client *client, struct transfer *transfer);
void files_try_starved(struct client *client);

#endif
