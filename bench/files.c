/* One end of a measurement of file transfers through librats.
 *
 *     files sink   SOCKET DIRECTORY        takes what is offered into DIRECTORY, until killed
 *     files source SOCKET PEER PATH COUNT  sends a file or a directory, COUNT times one after
 *                                          another, prints time and processor time as JSON */
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

#define PATH_SIZE 4096

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

struct sink {
    rats_client_t client;
    const char *directory;
    double cpu_before;
};

/* The offered name is ours: this is a measurement. A program that meets strangers checks it. */
static void accept_offer(struct sink *sink, const char *transfer, const char *name,
                         rats_error_t (*accept)(rats_client_t, const char *, const char *))
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", sink->directory, name);
    sink->cpu_before = cpu_seconds();
    if (accept(sink->client, transfer, path) != RATS_SUCCESS) {
        exit(fail(sink->client, "accept"));
    }
}

static void on_file(void *arg, const char *peer, const char *transfer, const char *path,
                    const char *name)
{
    (void)peer;
    (void)path;
    accept_offer(arg, transfer, name, rats_accept_file_transfer);
}

static void on_directory(void *arg, const char *peer, const char *transfer, const char *path,
                         const char *name)
{
    (void)peer;
    (void)path;
    accept_offer(arg, transfer, name, rats_accept_directory_transfer);
}

static void on_received(void *arg, const char *transfer, int percent, const char *status)
{
    const struct sink *sink = arg;
    (void)transfer;
    (void)percent;
    if (strcmp(status, "COMPLETED") == 0) {
        (void)printf("{\"cpu\": %.6f}\n", cpu_seconds() - sink->cpu_before);
        (void)fflush(stdout);
    }
}

static int run_sink(rats_client_t client, const char *directory)
{
    struct sink sink = {.client = client, .directory = directory};
    rats_set_file_request_callback(client, on_file, &sink);
    rats_set_directory_request_callback(client, on_directory, &sink);
    rats_set_file_progress_callback(client, on_received, &sink);
    if (rats_start(client) != RATS_SUCCESS) {
        return fail(client, "start");
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    (void)pause();
    return 0;
}

struct source {
    sem_t ended;
    atomic_bool completed;
};

static void on_sent(void *arg, const char *transfer, int percent, const char *status)
{
    struct source *source = arg;
    (void)transfer;
    (void)percent;
    const int completed = strcmp(status, "COMPLETED") == 0;
    if (completed || strcmp(status, "FAILED") == 0 || strcmp(status, "CANCELLED") == 0) {
        atomic_store(&source->completed, completed);
        (void)sem_post(&source->ended);
    }
}

static int send_once(rats_client_t client, struct source *source, const char *peer,
                     const char *path)
{
    struct stat status;
    const int directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    char *id = directory ? rats_send_directory(client, peer, path, NULL, 1)
                         : rats_send_file(client, peer, path, NULL);
    if (id == NULL) {
        return fail(client, path);
    }
    while (sem_wait(&source->ended) != 0) {
    }
    if (!atomic_load(&source->completed)) {
        char *progress = rats_get_file_transfer_progress_json(client, id);
        (void)fprintf(stderr, "%s: not completed: %s\n", path, progress);
        rats_string_free(progress);
        rats_string_free(id);
        return 1;
    }
    rats_string_free(id);
    return 0;
}

static int run_source(rats_client_t client, const char *peer, const char *path, unsigned long count)
{
    struct source source = {.completed = 0};
    (void)sem_init(&source.ended, 0, 0);
    rats_set_file_progress_callback(client, on_sent, &source);
    if (rats_start(client) != RATS_SUCCESS) {
        return fail(client, "start");
    }
    const double start = now();
    const double cpu_before = cpu_seconds();
    for (unsigned long i = 0; i < count; i++) {
        if (send_once(client, &source, peer, path) != 0) {
            return 1;
        }
    }
    (void)printf("{\"seconds\": %.6f, \"cpu\": %.6f}\n", now() - start, cpu_seconds() - cpu_before);
    return 0;
}

int main(int argc, char **argv)
{
    const int sink = argc == 4 && strcmp(argv[1], "sink") == 0;
    const int source = argc == 6 && strcmp(argv[1], "source") == 0;
    if (!sink && !source) {
        (void)fprintf(stderr,
                      "usage: files sink SOCKET DIRECTORY | source SOCKET PEER PATH COUNT\n");
        return 2;
    }
    rats_client_t client = rats_create_at(argv[2]);
    if (client == NULL) {
        return fail(NULL, argv[2]);
    }
    const int code = sink ? run_sink(client, argv[3])
                          : run_source(client, argv[3], argv[4], strtoul(argv[5], NULL, 10));
    rats_destroy(client);
    return code;
}
