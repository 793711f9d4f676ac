#include "virtual_loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "core/loans.h"
#include "core/turn.h"
#include "util/alloc.h"
#include "util/intake.h"

#define SIGNALS 65
#define MAX_IOS 64 /* in one virtual_loop_poll() */

/* What io->event points to: an io that is wanted, or was. */
struct watched {
    struct list node;
    struct io *io;
};

struct virtual_world {
    struct list loops;
    int64_t now_ms;
    int64_t worked_us;
    int64_t set_by_ms; /* the wall clock */
};

struct loop {
    struct list node;
    struct virtual_world *world;
    struct intake_scratch *scratch;
    struct turn turn;
    struct loans loans;
    struct list ios;
    struct {
        void (*on_signal)(void *arg, int number);
        void *arg;
    } signals[SIGNALS];
    int64_t set_by_ms; /* the wall clock of this loop, besides the world's */
    bool owns_world;
    bool in_turn;
    bool quit;
};

struct virtual_world *virtual_world_new(void)
{
    struct virtual_world *world = xalloc(sizeof *world);
    list_init(&world->loops);
    world->now_ms = VIRTUAL_EPOCH_MS;
    return world;
}

void virtual_world_free(struct virtual_world *world)
{
    assert(world == NULL || list_is_empty(&world->loops));
    free(world);
}

int64_t virtual_world_now_ms(const struct virtual_world *world)
{
    return world->now_ms;
}

struct loop *virtual_loop_new(struct virtual_world *world)
{
    struct loop *loop = xalloc(sizeof *loop);
    loop->world = world;
    loop->scratch = xalloc(sizeof *loop->scratch);
    loans_init(&loop->loans);
    turn_init(&loop->turn);
    list_init(&loop->ios);
    list_append(&world->loops, &loop->node);
    return loop;
}

struct virtual_world *virtual_loop_world(struct loop *loop)
{
    return loop->world;
}

static void run_turn(struct loop *loop)
{
    loop->in_turn = true;
    turn_run(&loop->turn, loop->world->now_ms);
    loop->in_turn = false;
}

/* When the loop next has something to do by itself; INT64_MAX = never. */
static int64_t next_ms(const struct loop *loop)
{
    if (turn_has_work(&loop->turn, loop->world->now_ms)) {
        return loop->world->now_ms;
    }
    const struct timer *first = timer_heap_first(&loop->turn.heap);
    return first == NULL ? INT64_MAX : first->due_ms;
}

/* One turn of the first loop that has work no later than until_ms; false when there is none. */
static bool step_until(struct virtual_world *world, int64_t until_ms)
{
    struct loop *chosen = NULL;
    int64_t chosen_ms = INT64_MAX;
    LIST_EACH(&world->loops, node)
    {
        struct loop *loop = CONTAINER_OF(node, struct loop, node);
        int64_t at_ms = next_ms(loop);
        if (at_ms < chosen_ms) {
            chosen = loop;
            chosen_ms = at_ms;
        }
    }
    if (chosen == NULL || chosen_ms > until_ms) {
        return false;
    }
    if (world->now_ms < chosen_ms) {
        world->now_ms = chosen_ms;
    }
    run_turn(chosen);
    return true;
}

void virtual_world_work(struct virtual_world *world, int64_t us)
{
    world->worked_us += us;
}

bool virtual_world_step(struct virtual_world *world)
{
    return step_until(world, INT64_MAX);
}

void virtual_world_run(struct virtual_world *world, int64_t until_ms)
{
    while (step_until(world, until_ms)) {
    }
    if (world->now_ms < until_ms) {
        world->now_ms = until_ms;
    }
}

void virtual_world_settle(struct virtual_world *world)
{
    virtual_world_run(world, world->now_ms);
}

bool virtual_io_ready(struct io *io, unsigned what)
{
    struct loop *loop = io->loop;
    unsigned ready = what & io->wanted;
    if (ready == 0) {
        return false;
    }
    bool is_nested = loop->in_turn;
    loop->in_turn = true;
    io->on_ready(io->arg, ready);
    if (!is_nested) {
        run_turn(loop);
    }
    return true;
}

/* True when io is still watched: an earlier callback may have ended it. */
static bool is_watched(const struct loop *loop, const struct io *io)
{
    LIST_EACH(&loop->ios, node)
    {
        if (CONTAINER_OF(node, struct watched, node)->io == io) {
            return true;
        }
    }
    return false;
}

static nfds_t collect(const struct loop *loop, struct pollfd *fds, struct io **ios)
{
    nfds_t count = 0;
    LIST_EACH(&loop->ios, node)
    {
        struct io *io = CONTAINER_OF(node, struct watched, node)->io;
        if (io->wanted != 0) {
            assert(count < MAX_IOS);
            int events = ((io->wanted & IO_READ) != 0 ? POLLIN : 0) |
                         ((io->wanted & IO_WRITE) != 0 ? POLLOUT : 0);
            fds[count] = (struct pollfd){.fd = io->fd, .events = (short)events};
            ios[count++] = io;
        }
    }
    return count;
}

bool virtual_loop_poll(struct loop *loop, int timeout_ms)
{
    struct pollfd fds[MAX_IOS];
    struct io *ios[MAX_IOS];
    nfds_t count = collect(loop, fds, ios);
    if (poll(fds, count, timeout_ms) <= 0) {
        return false;
    }
    bool reported = false;
    for (nfds_t i = 0; i < count; i++) {
        int seen = fds[i].revents;
        unsigned ready = ((seen & (POLLIN | POLLHUP | POLLERR)) != 0 ? IO_READ : 0) |
                         ((seen & (POLLOUT | POLLHUP | POLLERR)) != 0 ? IO_WRITE : 0);
        if (ready != 0 && is_watched(loop, ios[i])) {
            reported = virtual_io_ready(ios[i], ready) || reported;
        }
    }
    return reported;
}

bool virtual_signal(struct loop *loop, int signal_number)
{
    if (loop->signals[signal_number].on_signal == NULL) {
        return false;
    }
    loop->in_turn = true;
    loop->signals[signal_number].on_signal(loop->signals[signal_number].arg, signal_number);
    run_turn(loop);
    return true;
}

int loop_new(struct loop **ret_loop)
{
    *ret_loop = virtual_loop_new(virtual_world_new());
    (*ret_loop)->owns_world = true;
    return 0;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    turn_fini(&loop->turn);
    list_remove(&loop->node);
    if (loop->owns_world) {
        virtual_world_free(loop->world);
    }
    free(loop->scratch);
    free(loop);
}

/* The whole world runs, since others may be what this loop waits for. */
int loop_run(struct loop *loop)
{
    while (!loop->quit) {
        if (!virtual_world_step(loop->world)) {
            return -EDEADLK; /* nothing can ever happen again */
        }
    }
    loop->quit = false;
    return 0;
}

void loop_quit(struct loop *loop)
{
    loop->quit = true;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return loop->world->now_ms;
}

int64_t loop_clock_us(const struct loop *loop)
{
    return loop->world->now_ms * 1000 + loop->world->worked_us;
}

int64_t loop_unix_ms(const struct loop *loop)
{
    return VIRTUAL_EPOCH_UNIX_MS - VIRTUAL_EPOCH_MS + loop->world->now_ms + loop->world->set_by_ms +
           loop->set_by_ms;
}

void virtual_loop_set_clock(struct loop *loop, int64_t by_ms)
{
    loop->set_by_ms += by_ms;
}

void virtual_world_set_clock(struct virtual_world *world, int64_t by_ms)
{
    world->set_by_ms += by_ms;
}

struct intake_scratch *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

struct loans *loop_loans(struct loop *loop)
{
    return &loop->loans;
}

void io_init(struct io *io, struct loop *loop, int fd, void (*on_ready)(void *, unsigned),
             void *arg)
{
    *io = (struct io){.loop = loop, .fd = fd, .on_ready = on_ready, .arg = arg};
}

int io_want(struct io *io, unsigned wanted)
{
    if (io->event == NULL && wanted != 0) {
        struct watched *watched = xalloc(sizeof *watched);
        watched->io = io;
        list_append(&io->loop->ios, &watched->node);
        io->event = watched;
    }
    io->wanted = wanted;
    return 0;
}

void io_fini(struct io *io)
{
    struct watched *watched = io->event;
    if (watched != NULL) {
        list_remove(&watched->node);
        free(watched);
    }
    io->event = NULL;
    io->wanted = 0;
    io->fd = -1;
}

void timer_init(struct timer *timer, struct loop *loop, void (*on_due)(void *), void *arg)
{
    *timer = (struct timer){.loop = loop, .on_due = on_due, .arg = arg};
}

void timer_start(struct timer *timer, int64_t delay_ms)
{
    timer->due_ms = timer->loop->world->now_ms + (delay_ms > 0 ? delay_ms : 0);
    timer_heap_put(&timer->loop->turn.heap, timer);
}

void timer_stop(struct timer *timer)
{
    if (timer->place != 0) {
        timer_heap_remove(&timer->loop->turn.heap, timer);
    }
}

void deferred_init(struct deferred *deferred, struct loop *loop, void (*on_run)(void *), void *arg)
{
    *deferred = (struct deferred){.loop = loop, .on_run = on_run, .arg = arg};
    list_init(&deferred->node);
}

void deferred_schedule(struct deferred *deferred)
{
    turn_schedule(&deferred->loop->turn, deferred);
}

void deferred_cancel(struct deferred *deferred)
{
    if (deferred->node.next != NULL) {
        list_remove(&deferred->node);
    }
}

void loop_free_later(struct loop *loop, void (*free_it)(void *), void *p)
{
    turn_free_later(&loop->turn, free_it, p);
}

int loop_on_signal(struct loop *loop, int signal_number, void (*on_signal)(void *, int), void *arg)
{
    if (signal_number <= 0 || signal_number >= SIGNALS) {
        return -EINVAL;
    }
    loop->signals[signal_number].on_signal = on_signal;
    loop->signals[signal_number].arg = arg;
    return 0;
}
