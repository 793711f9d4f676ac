/* The descriptors that the files thread opens for a directory: no more than this process can spare,
 * and when there are none, again later. */
#include <errno.h>
#include <sys/resource.h>

#include "client.h"
#include "clock.h"
#include "holding.h"
#include "proto/frame.h"

#define STARVED_MOST_MS 10000

/* Whether something is open whose end will give descriptors back. */
static bool has_open_targets(struct client *client)
{
    bool found = false;
    client_lock(client);
    LIST_EACH(&client->files.transfers.all, node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, link);
        const struct holding *holding = transfer->holding;
        found = found || (holding != NULL &&
                          (holding->role == TARGET_FILE ||
                           (holding->role == TARGET_TREE && holding_first(holding) != NULL)));
    }
    client_unlock(client);
    return found;
}

/* Whether to try again later: for as long as something of ours will be closed, or else for a while,
 * since others of this process may close theirs. */
static bool may_wait(struct client *client, struct transfer *transfer)
{
    const int64_t now_ms = clock_now_ms();
    if (transfer->starved_ms == 0) {
        transfer->starved_ms = now_ms;
    }
    return has_open_targets(client) || now_ms - transfer->starved_ms < STARVED_MOST_MS;
}

/* How many files of a tree may be opened at once. What is received stays open until it is whole: a
 * third of this process's descriptors is for that, the others are the application's, and for what
 * is accepted next. Beyond it each tree makes do with one. */
static size_t most_to_open(const struct client *client, const struct holding *holding)
{
    struct rlimit most;
    if (holding->role != TARGET_TREE || getrlimit(RLIMIT_NOFILE, &most) < 0 ||
        client->files.open_targets < most.rlim_cur / 3) {
        return FRAME_MAX_FDS;
    }
    return holding_first(holding) == NULL ? 1 : 0;
}

/* As holding_open_wanted(). */
static int open_wanted(struct client *client, struct holding *holding, int fds[FRAME_MAX_FDS],
                       uint32_t *ret_first, char problem[HOLDING_PROBLEM_SIZE])
{
    const size_t most = most_to_open(client, holding);
    if (most == 0) {
        return holding_is_wanted(holding) ? -EMFILE : 0;
    }
    const int count = holding_open_wanted(holding, most, fds, ret_first, problem);
    if (count > 0 && holding->role == TARGET_TREE) {
        client->files.open_targets += (size_t)count;
    }
    return count;
}

/* Opens the files that are wanted of a directory, as far as there are descriptors. */
void files_provide(struct client *client, struct transfer *transfer)
{
    char problem[HOLDING_PROBLEM_SIZE] = "no descriptor is left";
    int fds[FRAME_MAX_FDS];
    uint32_t first = 0;
    int count = open_wanted(client, transfer->holding, fds, &first, problem);
    while (count > 0) {
        transfer->starved_ms = 0;
        client_lock(client);
        request_post_with(
            client, M_TRANSFER_PROVIDE,
            json_pack("{s:s, s:I}", "transfer", transfer->id, "first", (json_int_t)first),
            CALL_STEP, fds, (size_t)count);
        client_unlock(client);
        count = open_wanted(client, transfer->holding, fds, &first, problem);
    }
    if (count == -EMFILE && may_wait(client, transfer)) {
        client->files.starved = true;
    } else if (count < 0) {
        holding_want_nothing(transfer->holding);
        files_fail(client, transfer->id, problem);
    }
}

/* The next one of which files are wanted that were not opened, behind `after` or from the first on;
 * NULL. */
static struct transfer *next_wanting(struct client *client, const struct transfer *after)
{
    const struct list *all = &client->files.transfers.all;
    struct transfer *found = NULL;
    client_lock(client);
    struct list *node = after == NULL ? all->next : after->link.next;
    for (; found == NULL && node != all; node = node->next) {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, link);
        if (transfer->holding != NULL && holding_is_wanted(transfer->holding)) {
            found = transfer;
        }
    }
    client_unlock(client);
    return found;
}

void files_try_starved(struct client *client)
{
    client->files.starved = false;
    for (struct transfer *transfer = next_wanting(client, NULL); transfer != NULL;
         transfer = next_wanting(client, transfer)) {
        files_provide(client, transfer);
    }
}
