/* Measurements of the store, and of the disk under it.
 *
 *     store put    SOCKET WRITERS COUNT SIZE   COUNT puts of each of WRITERS threads, each waiting
 *     store commit DIRECTORY COUNT SIZE        the same rows in SQLite, one commit each
 *     store sync   DIRECTORY COUNT SIZE        appended to a file, one fdatasync each
 *
 * Each prints {"operations": N, "seconds": S}. SQLite is set up as the store's file is: a
 * write-ahead log and synchronous=FULL. */
#include <fcntl.h>
#include <librats.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

#define MOST_WRITERS 64
#define MOST_SIZE    (1 << 20)
#define USAGE        "usage: store put|commit|sync ...\n"

struct writer {
    pthread_t thread;
    rats_client_t client;
    unsigned number;
    unsigned long count;
    size_t size;
    int failed;
};

static char value[MOST_SIZE];

static void *write_all(void *arg)
{
    struct writer *writer = arg;
    char key[64];
    for (unsigned long i = 0; i < writer->count && !writer->failed; i++) {
        (void)snprintf(key, sizeof key, "bench/%u/%lu", writer->number, i);
        writer->failed = rats_storage_put(writer->client, key, RATS_STORAGE_BINARY, value,
                                          writer->size) != RATS_SUCCESS;
    }
    return NULL;
}

static int print_result(unsigned long operations, double begun)
{
    (void)printf("{\"operations\": %lu, \"seconds\": %.6f}\n", operations, now() - begun);
    return 0;
}

static int put(const char *socket, unsigned writers, unsigned long count, size_t size)
{
    static struct writer all[MOST_WRITERS];
    int failed = 0;
    for (unsigned i = 0; i < writers; i++) { /* a session each, as programs have */
        all[i] = (struct writer){
            .client = rats_create_at(socket), .number = i, .count = count, .size = size};
        if (all[i].client == NULL) {
            return fail(NULL, "attach");
        }
    }
    const double begun = now();
    for (unsigned i = 0; i < writers; i++) {
        failed |= pthread_create(&all[i].thread, NULL, write_all, &all[i]);
    }
    for (unsigned i = 0; i < writers; i++) {
        (void)pthread_join(all[i].thread, NULL);
        failed |= all[i].failed;
    }
    if (failed) {
        return fail(all[0].client, "put");
    }
    (void)print_result(writers * count, begun);
    for (unsigned i = 0; i < writers; i++) {
        rats_destroy(all[i].client);
    }
    return 0;
}

static int commit(const char *directory, unsigned long count, size_t size)
{
    char path[4096];
    sqlite3 *db = NULL;
    sqlite3_stmt *insert = NULL;
    (void)snprintf(path, sizeof path, "%s/bench.db", directory);
    (void)unlink(path);
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                     "CREATE TABLE entry (key TEXT PRIMARY KEY, data BLOB)",
                     NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "INSERT INTO entry VALUES (?, ?)", -1, &insert, NULL) != SQLITE_OK) {
        (void)fprintf(stderr, "%s\n", sqlite3_errmsg(db));
        return 1;
    }
    const double begun = now();
    for (unsigned long i = 0; i < count; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "bench/0/%lu", i);
        (void)sqlite3_bind_text(insert, 1, key, -1, SQLITE_STATIC);
        (void)sqlite3_bind_blob64(insert, 2, value, size, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) {
            (void)fprintf(stderr, "%s\n", sqlite3_errmsg(db));
            return 1;
        }
        (void)sqlite3_reset(insert);
    }
    (void)print_result(count, begun);
    (void)sqlite3_finalize(insert);
    (void)sqlite3_close(db);
    return 0;
}

static int sync_each(const char *directory, unsigned long count, size_t size)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/bench.sync", directory);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        perror(path);
        return 1;
    }
    const double begun = now();
    for (unsigned long i = 0; i < count; i++) {
        if (write(fd, value, size) < 0 || fdatasync(fd) < 0) {
            perror(path);
            return 1;
        }
    }
    (void)print_result(count, begun);
    return close(fd);
}

static unsigned long number(const char *text)
{
    return strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    const unsigned long size = argc > 1 ? number(argv[argc - 1]) : 0;
    if (size > MOST_SIZE) {
        (void)fprintf(stderr, "at most %d bytes\n", MOST_SIZE);
        return 2;
    }
    if (argc == 6 && strcmp(argv[1], "put") == 0 && number(argv[3]) <= MOST_WRITERS) {
        return put(argv[2], (unsigned)number(argv[3]), number(argv[4]), size);
    }
    if (argc == 5 && strcmp(argv[1], "commit") == 0) {
        return commit(argv[2], number(argv[3]), size);
    }
    if (argc == 5 && strcmp(argv[1], "sync") == 0) {
        return sync_each(argv[2], number(argv[3]), size);
    }
    (void)fprintf(stderr, USAGE);
    return 2;
}
