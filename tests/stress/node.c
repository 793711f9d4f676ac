#include "node.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "librats.h"

#define MOST_NODES  4
#define START_TRIES 2000 /* of 10 ms */

static const struct node *nodes[MOST_NODES]; /* for fail() */

static void replace(const struct node *old, const struct node *new)
{
    for (size_t i = 0; i < MOST_NODES; i++) {
        if (nodes[i] == old) {
            nodes[i] = new;
            return;
        }
    }
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    for (size_t i = 0; i < MOST_NODES; i++) {
        if (nodes[i] != NULL && nodes[i]->pid > 0) {
            (void)kill(nodes[i]->pid, SIGKILL);
        }
    }
    _exit(1);
}

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
}

/* What the daemon said last goes to standard error. */
static noreturn void fail_with_log(const struct node *node, int status)
{
    char text[16 * 1024];
    FILE *log = fopen(node->log, "re");
    if (log != NULL) {
        (void)fseek(log, -(long)sizeof text, SEEK_END);
        const size_t size = fread(text, 1, sizeof text, log);
        (void)fwrite(text, 1, size, stderr);
        (void)fclose(log);
    }
    fail("%s ended with status %d", node->program, status);
}

/* The thread sanitizer dies of what libevent does at the end of a turn: it takes out of epoll a
 * descriptor that was closed in that turn, whose number may be a file of another thread by then.
 * The store alone opens files in a thread, so with that sanitizer there is none. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STORE "no"
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define STORE "no"
#endif
#ifndef STORE
#define STORE "yes"
#endif

static void write_config(const struct node *node)
{
    FILE *file = fopen(node->config, "we");
    if (file == NULL || fputs("[storage]\nenabled = " STORE "\n", file) < 0 || fclose(file) != 0) {
        fail("%s cannot be written", node->config);
    }
}

/* By posix_spawn(): other threads may hold locks, malloc()'s for one, which a child of fork() would
 * wait for. 0 or an errno. */
static int spawn(struct node *node)
{
    char home[sizeof node->directory + 8];
    size_t count = 0;
    posix_spawn_file_actions_t files;
    while (environ[count] != NULL) {
        count++;
    }
    const char **variables = calloc(count + 2, sizeof *variables);
    (void)snprintf(home, sizeof home, "HOME=%s", node->directory);
    size_t kept = 0;
    variables[kept++] = home;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "HOME=", 5) != 0) {
            variables[kept++] = environ[i];
        }
    }
    const char *words[] = {node->program, "--socket",   node->socket, "--state-dir", node->state,
                           "--config",    node->config, "--listen",   "127.0.0.1:0", NULL};
    union {
        const char **in;
        char *const *out;
    } arguments = {.in = words}, environment = {.in = variables};
    int rc = posix_spawn_file_actions_init(&files);
    if (rc == 0) {
        (void)posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, node->log,
                                               O_WRONLY | O_CREAT | O_APPEND, 0600);
        (void)posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
        rc = posix_spawn(&node->pid, node->program, &files, NULL, arguments.out, environment.out);
        (void)posix_spawn_file_actions_destroy(&files);
    }
    free(variables);
    return rc;
}

void node_start(struct node *node)
{
    if (spawn(node) != 0) {
        fail("%s cannot be started", node->program);
    }
    for (int i = 0; i < START_TRIES; i++) {
        rats_client_t client = rats_create_at(node->socket);
        rats_destroy(client);
        if (client != NULL) {
            return;
        }
        int status;
        if (waitpid(node->pid, &status, WNOHANG) == node->pid) {
            fail_with_log(node, status);
        }
        nap();
    }
    fail("%s does not answer: %s", node->program, rats_last_error_message(NULL));
}

void node_open(struct node *node, const char *program)
{
    *node = (struct node){.program = program, .directory = "/tmp/rats-stress-XXXXXX"};
    if (mkdtemp(node->directory) == NULL) {
        fail("no directory can be made in /tmp");
    }
    replace(NULL, node);
    (void)snprintf(node->socket, sizeof node->socket, "%s/sock", node->directory);
    (void)snprintf(node->state, sizeof node->state, "%s/state", node->directory);
    (void)snprintf(node->log, sizeof node->log, "%s/log", node->directory);
    (void)snprintf(node->config, sizeof node->config, "%s/conf", node->directory);
    write_config(node);
    node_start(node);
}

void node_kill(struct node *node)
{
    (void)kill(node->pid, SIGKILL);
    (void)waitpid(node->pid, NULL, 0);
}

static void remove_directory(const char *path)
{
    char entry_path[512];
    DIR *directory = opendir(path);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(entry_path, sizeof entry_path, "%s/%s", path, entry->d_name);
            (void)unlink(entry_path);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    (void)rmdir(path);
}

void node_close(struct node *node)
{
    int status = -1;
    (void)kill(node->pid, SIGTERM);
    (void)waitpid(node->pid, &status, 0);
    if (status != 0) {
        fail_with_log(node, status);
    }
    replace(node, NULL);
    remove_directory(node->state);
    remove_directory(node->directory);
}
