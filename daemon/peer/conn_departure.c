/* Messages on their way out: what the send buffers of all links together may take of memory.
 *
 * Each link has a mark of its own, but links are many, and peers that do not read are no rarity:
 * the more memory is taken the lower lie the marks, so that a crowd of them shares what one would
 * get. Large messages have an account of their own, or they and the small ones would starve each
 * other; who finds no room for one waits, in the order of asking. */
#include "peer/conn_private.h"
#include "wire/block.h"

#define LEAST_MARK  ((size_t)96 * 1024) /* a link that is read always works, and carries files */
#define PART        4                   /* the mark is that part of the limit */
#define LARGE_BYTES (CONN_DEPARTURES_LARGEST * (size_t)BLOCK_MAX_BODY)
#define TURN_BYTES  ((size_t)BLOCK_MAX_BODY) /* of large messages begun in one turn */

static struct conn *waiting_of(struct list *node)
{
    return CONTAINER_OF(node, struct conn, departure_wait);
}

static bool is_large(size_t size)
{
    return size > CONN_DEPARTURE_SMALL;
}

/* A large message of this conn waits for room: small ones pass it, other large ones do not. */
static bool waits(const struct conn *conn)
{
    return list_is_linked(&conn->departure_wait);
}

static bool has_room(const struct conn_departures *departures, size_t size)
{
    return departures->large == 0 || departures->large + size <= LARGE_BYTES;
}

static bool has_turn(const struct conn_departures *departures, size_t size)
{
    return departures->turn == 0 || departures->turn + size <= TURN_BYTES;
}

/* In the next turn. */
static void look_again(struct conn_departures *departures)
{
    timer_start(&departures->tell, 0);
}

/* One in each turn: whoever is told may find that what there was is gone, or may want nothing any
 * more; then it is the turn of the next all the same. */
static void on_tell(void *arg)
{
    struct conn_departures *departures = arg;
    struct list *node = list_first(&departures->waiting);
    departures->turn = 0;
    if (node == NULL) {
        timer_stop(&departures->watch);
    } else if (has_room(departures, waiting_of(node)->departure_wanted)) {
        list_remove(node);
        look_again(departures);
        waiting_of(node)->departure_next = true;
        conn_has_room(waiting_of(node));
    }
}

/* Took too little since it was last looked at. */
static bool stands_still(struct conn *conn)
{
    bool looked_at = conn->departure_looked_at && conn->departure_moved < CONN_LARGE_STEP;
    conn->departure_looked_at = true;
    conn->departure_moved = 0;
    return looked_at;
}

static void on_watch(void *arg)
{
    struct conn_departures *departures = arg;
    struct list found;
    list_init(&found);
    LIST_EACH(&departures->holding, node)
    {
        if (stands_still(CONTAINER_OF(node, struct conn, departure))) {
            list_remove(node);
            list_append(&found, node);
        }
    }
    /* One after another from the front: who hears of an end may end others. */
    for (struct list *node; (node = list_first(&found)) != NULL;) {
        conn_close(CONTAINER_OF(node, struct conn, departure), CONN_CLOSED_STALLED, false);
    }
    if (!list_is_empty(&departures->waiting)) {
        timer_start(&departures->watch, CONN_STALL_MS);
    }
}

void conn_departures_init(struct conn_departures *departures, struct loop *loop)
{
    *departures = (struct conn_departures){0};
    list_init(&departures->holding);
    list_init(&departures->waiting);
    timer_init(&departures->tell, loop, on_tell, departures);
    timer_init(&departures->watch, loop, on_watch, departures);
}

void conn_departures_fini(struct conn_departures *departures)
{
    timer_stop(&departures->tell);
    timer_stop(&departures->watch);
}

size_t conn_departure_limit(const struct conn *conn)
{
    size_t taken = conn->context->departures->small;
    size_t left = taken < CONN_DEPARTURES_SMALL ? CONN_DEPARTURES_SMALL - taken : 0;
    left = left < PART * LEAST_MARK ? PART * LEAST_MARK : left;
    return left < conn->context->queue_limit ? left : conn->context->queue_limit;
}

size_t conn_departure_mark(const struct conn *conn)
{
    size_t limit = conn_departure_limit(conn);
    size_t part = limit / PART;
    part = part < LEAST_MARK ? LEAST_MARK : part;
    part = part < CONN_HIGH_MARK ? part : CONN_HIGH_MARK;
    return part < limit ? part : limit;
}

bool conn_departure_fits(const struct conn *conn, size_t size)
{
    return !is_large(size) || has_room(conn->context->departures, size);
}

bool conn_departure_may_begin(const struct conn *conn, size_t size)
{
    const struct conn_departures *departures = conn->context->departures;
    bool is_its_turn = conn->departure_next || list_is_empty(&departures->waiting);
    return !is_large(size) || (is_its_turn && !waits(conn) && has_room(departures, size) &&
                               has_turn(departures, size));
}

void conn_departure_wait(struct conn *conn, size_t size)
{
    struct conn_departures *departures = conn->context->departures;
    if (!waits(conn)) {
        /* Who was told and came too late is the first again. */
        struct list *before =
            conn->departure_next ? departures->waiting.next : &departures->waiting;
        conn->departure_wanted = size;
        list_append(before, &conn->departure_wait);
        look_again(departures); /* it may wait for its turn only */
    }
    if (!timer_is_running(&departures->watch)) {
        timer_start(&departures->watch, CONN_STALL_MS);
    }
}

/* Takes what the conn has out of its account. */
static void leave(struct conn *conn)
{
    struct conn_departures *departures = conn->context->departures;
    *(list_is_linked(&conn->departure) ? &departures->large : &departures->small) -=
        conn->departing;
    conn->departing = 0;
}

void conn_departure_settle(struct conn *conn, size_t left)
{
    struct conn_departures *departures = conn->context->departures;
    leave(conn);
    conn->departure_moved += left;
    /* The end of a large message is none: behind it there may always be another small one. */
    if (list_is_linked(&conn->departure) && !is_large(buf_size(&conn->out))) {
        buf_trim(&conn->out, 0);
        list_remove(&conn->departure);
        look_again(departures);
    }
    conn->departing = conn->out.capacity;
    *(list_is_linked(&conn->departure) ? &departures->large : &departures->small) +=
        conn->departing;
}

static void hold(struct conn *conn)
{
    if (!list_is_linked(&conn->departure)) {
        leave(conn);
        list_append(&conn->context->departures->holding, &conn->departure);
        conn->departure_looked_at = false;
        conn->departure_moved = 0;
    }
}

void conn_departure_begin(struct conn *conn, size_t size)
{
    if (is_large(size)) {
        hold(conn);
        conn->departure_next = false;
        conn->context->departures->turn += size;
        look_again(conn->context->departures);
    }
    conn_departure_settle(conn, 0);
}

void conn_departure_end(struct conn *conn)
{
    leave(conn);
    list_remove(&conn->departure);
    list_remove(&conn->departure_wait);
    look_again(conn->context->departures);
}
