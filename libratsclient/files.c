#include "files.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "clock.h"
#include "proto/json_head.h"
#include "shares.h"

#define STARVED_MS 50 /* until descriptors are looked for again */

void files_init(struct files *files, const uint64_t seed[2])
{
    *files = (struct files){0};
    list_init(&files->jobs);
    list_init(&files->lost.link);
    files->lost.kind = JOB_LOST;
    list_init(&files->roots);
    transfers_init(&files->transfers, seed);
}

static void free_job(struct files *files, struct job *job)
{
    list_remove(&job->link);
    json_decref(job->fields);
    if (job != &files->lost) {
        free(job);
    }
}

void files_fini(struct files *files)
{
    LIST_EACH(&files->jobs, node)
    {
        free_job(files, CONTAINER_OF(node, struct job, link));
    }
    shares_fini(files);
    transfers_fini(&files->transfers);
}

/* The thread -------------------------------------------------------------------------------- */

/* (locked, but not while it works) */
static void do_job(struct client *client, struct job *job)
{
    struct job copy = *job;
    job->fields = NULL;
    free_job(&client->files, job);
    client_unlock(client);
    files_work(client, &copy);
    json_decref(copy.fields);
    client_lock(client);
}

static void *files_main(void *arg)
{
    struct client *client = arg;
    struct files *files = &client->files;
    client_lock(client);
    while (!client->closing) {
        struct list *node = list_first(&files->jobs);
        if (node != NULL) {
            do_job(client, CONTAINER_OF(node, struct job, link));
        } else if (!files->starved) {
            (void)condition_wait(&files->work, &client->lock, CLOCK_FOR_EVER);
        } else if (condition_wait(&files->work, &client->lock, clock_deadline(STARVED_MS)) < 0) {
            client_unlock(client);
            files_try_starved(client);
            client_lock(client);
        }
    }
    client_unlock(client);
    return NULL;
}

int files_start(struct client *client)
{
    struct files *files = &client->files;
    if (client->closing) {
        return error_set(RATS_ERROR_NOT_RUNNING, "the handle is being destroyed");
    }
    if (files->running) {
        return RATS_SUCCESS;
    }
    int rc = condition_init(&files->work);
    if (rc == 0) {
        sigset_t all;
        sigset_t before;
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        rc = -pthread_create(&files->thread, NULL, files_main, client);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc < 0) {
            (void)pthread_cond_destroy(&files->work);
        }
    }
    if (rc < 0) {
        return error_set(RATS_ERROR_OPERATION_FAILED, "no thread can be started");
    }
    (void)pthread_setname_np(files->thread, "rats-files");
    files->running = true;
    return RATS_SUCCESS;
}

void files_wake(struct client *client)
{
    if (client->files.running) {
        (void)pthread_cond_signal(&client->files.work);
    }
}

void files_join(struct client *client)
{
    client_lock(client);
    const bool running = client->files.running;
    client_unlock(client);
    if (running) {
        (void)pthread_join(client->files.thread, NULL);
        (void)pthread_cond_destroy(&client->files.work);
    }
}

/* Jobs -------------------------------------------------------------------------------------- */

/* (locked) */
static void add_job(struct client *client, struct job *job)
{
    job->connection = client->files.connection;
    list_append(&client->files.jobs, &job->link);
    files_wake(client);
}

/* (locked) NULL without memory. */
static struct job *new_job(enum job_kind kind, const char *id)
{
    struct job *job = calloc(1, sizeof *job);
    if (job != NULL) {
        job->kind = kind;
        list_init(&job->link);
        memcpy(job->id, id, strlen(id) + 1);
    }
    return job;
}

int files_take_event(struct client *client, enum event_id event, json_t *fields)
{
    struct job *job = client->files.running ? new_job(JOB_EVENT, "") : NULL;
    if (job == NULL) {
        json_decref(fields);
        return client->files.running ? -ENOMEM : 0;
    }
    job->event = event;
    job->fields = fields;
    add_job(client, job);
    return 0;
}

void files_lose_daemon(struct client *client)
{
    struct files *files = &client->files;
    list_remove(&files->lost.link); /* of a connection before, if it still waits */
    add_job(client, &files->lost);
    files->connection++;
}

/* (locked) The transfer that a grant is for, in the table; NULL when there is none. */
static struct transfer *granted(struct client *client, struct grant *grant, const json_t *answer,
                                int *ret_rc)
{
    struct transfers *transfers = &client->files.transfers;
    if (grant->transfer == NULL) {
        return transfers_find(transfers, grant->id);
    }
    *ret_rc = transfers_add(transfers, grant->transfer,
                            json_string_value(json_object_get(answer, "transfer")));
    return *ret_rc < 0 ? NULL : grant->transfer;
}

int files_grant(struct client *client, struct grant *grant, struct bytes answer)
{
    char problem[128];
    json_t *head = NULL;
    struct job *job = new_job(JOB_NEW, "");
    int rc = job == NULL ? -ENOMEM
                         : json_head_read(answer.data, answer.size, &head, problem, sizeof problem);
    struct transfer *transfer = rc < 0 ? NULL : granted(client, grant, head, &rc);
    if (transfer != NULL && transfer->ended_ms == 0 && transfer->holding == NULL) {
        transfer->connection = client->files.connection;
        rc = grant->holding == NULL ? 0 : transfer_hold(transfer, grant->holding);
        grant->taken = rc == 0;
    }
    json_decref(head);
    if (grant->taken && grant->transfer != NULL) {
        memcpy(job->id, transfer->id, sizeof job->id);
        add_job(client, job);
    } else {
        free(job);
    }
    return rc == -ENOMEM ? rc : 0;
}
