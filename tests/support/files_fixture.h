/* What the tests of file transfers share: a session that bob is connected to, callbacks that note,
 * what the daemon says of the transfer ID, and the functions that may block, for fake_run(). */
#ifndef TESTS_SUPPORT_FILES_FIXTURE_H
#define TESTS_SUPPORT_FILES_FIXTURE_H

#include "librats_fixture.h"
#include "old_kernel.h"

#define ID      "0123456789abcdef0123456789abcdef"
#define ID_JSON "{\"transfer\":\"" ID "\"}"

/* For cmocka: the fixture of librats and a scratch directory. */
int begin(void **state);
int end(void **state);

/* Of a function that begins a transfer with bob, and what came of it. */
struct arguments {
    const char *path;
    const char *name;
    char *id;
    int error;
};

/* Sets both request callbacks; for fake_run(). */
intptr_t hear_files(void *arg);
/* A started session that bob is connected to, with the progress callbacks and perhaps those. */
void be_started(bool hear);

/* Events of the transfer ID with bob: 8 bytes in 3 files. */
void changed(const char *kind, const char *way, const char *state, int bytes, int files);
void offered(const char *kind, bool request);
void requested(const char *kind, const char *path);
void open_files(int first, const char *paths_json);
void verified(int first, int count);
/* The next frame is a call of that method with these parameters; it is answered with reply unless
 * that is NULL. */
struct fake_frame expect_call(const char *method, const char *params, const char *reply);
/* The same without descriptors, answered with an empty result. */
void expect_plain(const char *method, const char *params);
/* The next frame is transfer.fail with an error that has this in it. */
void expect_failure(const char *part);
/* Everything the daemon has said is done with: a request that is no file of ours is refused behind
 * it. The id is another. */
void settle(void);

void expect_content(int fd, const char *text);
/* A member of the document of api.md 4.3, as JSON. */
void expect_progress(const char *member, const char *value);

/* For fake_run(): with struct arguments, */
intptr_t send_file(void *arg);
intptr_t send_directory(void *arg);
intptr_t request_file(void *arg);
intptr_t request_directory(void *arg);
/* or a text, about the transfer ID or a directory. */
intptr_t accept_file(void *path);
intptr_t accept_directory(void *path);
intptr_t reject_file(void *reason);
intptr_t cancel(void *id);
intptr_t share(void *directory);
intptr_t share_no_more(void *directory);
/* scratch_path() for as long as the test runs. */
char *keep(const char *name);
/* fake_run() and fake_join() for those with arguments; what began has the ID. */
struct fake_task *run_begun(intptr_t (*function)(void *arg), struct arguments *arguments);
void expect_begun(struct fake_task *task, struct arguments *arguments);

#endif
