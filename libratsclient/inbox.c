#include "inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"

#define MOST_JOINED   ((size_t)64 * 1024)       /* larger pieces are not moved by a byte */
#define LARGEST_SPARE ((size_t)2 * 1024 * 1024) /* chunks for one huge message are not kept */

int inbox_init(struct inbox *inbox)
{
    *inbox = (struct inbox){.event_fd = -1};
    list_init(&inbox->waiting);
    list_init(&inbox->held);
    return condition_init(&inbox->arrived);
}

int inbox_event_fd(struct inbox *inbox)
{
    if (inbox->event_fd < 0) {
        inbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (inbox->event_fd < 0) {
            return -errno;
        }
        if (!list_is_empty(&inbox->waiting)) {
            inbox_alarm(inbox);
        }
    }
    return inbox->event_fd;
}

void inbox_fini(struct inbox *inbox)
{
    inbox_purge(inbox);
    for (size_t i = 0; i < inbox->spare_count; i++) {
        free(inbox->spares[i]);
    }
    if (inbox->event_fd >= 0) {
        (void)close(inbox->event_fd);
    }
    (void)pthread_cond_destroy(&inbox->arrived);
}

struct chunk *inbox_get_chunk(struct inbox *inbox, size_t capacity)
{
    for (size_t i = 0; i < inbox->spare_count; i++) {
        struct chunk *chunk = inbox->spares[i];
        /* Not one that is far too large: a few small messages would hold it. */
        if (chunk->capacity >= capacity && chunk->capacity / 4 <= capacity) {
            inbox->spares[i] = inbox->spares[--inbox->spare_count];
            chunk->references = 1;
            return chunk;
        }
    }
    struct chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk != NULL) {
        chunk->references = 1;
        chunk->capacity = capacity;
    }
    return chunk;
}

void inbox_put_chunk(struct inbox *inbox, struct chunk *chunk)
{
    if (chunk == NULL || --chunk->references > 0) {
        return;
    }
    if (inbox->spare_count < INBOX_SPARES && chunk->capacity <= LARGEST_SPARE) {
        inbox->spares[inbox->spare_count++] = chunk;
    } else {
        free(chunk);
    }
}

void inbox_alarm(struct inbox *inbox)
{
    const uint64_t one = 1;
    if (inbox->event_fd >= 0 && write(inbox->event_fd, &one, sizeof one) < 0) {
        return; /* only when it is readable already */
    }
}

static void silence_alarm(struct inbox *inbox)
{
    uint64_t count;
    if (inbox->event_fd >= 0 && read(inbox->event_fd, &count, sizeof count) < 0) {
        return; /* it was not readable */
    }
}

static bool join(struct inbox *inbox, struct chunk *chunk, size_t offset, size_t size,
                 unsigned epoch)
{
    if (list_is_empty(&inbox->waiting) || size > MOST_JOINED) {
        return false;
    }
    struct slice *last = CONTAINER_OF(inbox->waiting.prev, struct slice, link);
    if (last->chunk != chunk || last->epoch != epoch || last->offset + last->size + 1 != offset) {
        return false;
    }
    memmove(chunk->data + offset - 1, chunk->data + offset, size);
    last->size += size;
    return true;
}

int inbox_push(struct inbox *inbox, struct chunk *chunk, size_t offset, size_t size, unsigned epoch,
               bool *ret_joined)
{
    const bool joined = join(inbox, chunk, offset, size, epoch);
    if (!joined) {
        struct slice *slice = malloc(sizeof *slice);
        if (slice == NULL) {
            return -ENOMEM;
        }
        *slice = (struct slice){.chunk = chunk, .offset = offset, .size = size, .epoch = epoch};
        chunk->references++;
        const bool first = list_is_empty(&inbox->waiting);
        list_append(&inbox->waiting, &slice->link);
        (void)pthread_cond_signal(&inbox->arrived);
        if (first) {
            inbox_alarm(inbox);
        }
    }
    inbox->bytes += size;
    *ret_joined = joined;
    return 0;
}

int inbox_push_copy(struct inbox *inbox, struct bytes from, unsigned epoch)
{
    struct chunk *chunk = inbox_get_chunk(inbox, from.size + 1);
    if (chunk == NULL) {
        return -ENOMEM;
    }
    memcpy(chunk->data, from.data, from.size);
    bool joined;
    const int rc = inbox_push(inbox, chunk, 0, from.size, epoch, &joined);
    inbox_put_chunk(inbox, chunk);
    return rc;
}

struct slice *inbox_take(struct inbox *inbox)
{
    struct list *node = list_first(&inbox->waiting);
    if (node == NULL) {
        return NULL;
    }
    list_remove(node);
    list_append(&inbox->held, node);
    if (list_is_empty(&inbox->waiting)) {
        silence_alarm(inbox);
    }
    return CONTAINER_OF(node, struct slice, link);
}

void inbox_release(struct inbox *inbox, struct slice *slice)
{
    list_remove(&slice->link);
    inbox->bytes -= slice->size;
    inbox_put_chunk(inbox, slice->chunk);
    free(slice);
}

struct slice *inbox_find_held(struct inbox *inbox, const void *data)
{
    LIST_EACH(&inbox->held, node)
    {
        struct slice *slice = CONTAINER_OF(node, struct slice, link);
        if (slice_data(slice) == data) {
            return slice;
        }
    }
    return NULL;
}

void inbox_purge(struct inbox *inbox)
{
    LIST_EACH(&inbox->waiting, node)
    {
        inbox_release(inbox, CONTAINER_OF(node, struct slice, link));
    }
    silence_alarm(inbox);
}
