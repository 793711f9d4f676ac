/* Stories of topics: many gossip engines on one virtual clock, over links with delay, loss and
 * ends. What is on a link arrives in order unless the link breaks; messages, and only they, are
 * also lost on the way or refused by a full link. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "service/gossip_engine.h"
#include "util/buf.h"

#define MAX_NODES    64u
#define MAX_MESSAGES 512u
#define SECOND       1000

static const struct bytes topic = {(const uint8_t *)"news", 4};

struct node {
    struct gossip *gossip;
    struct peer_id id;
    int64_t next_beat_ms;
    bool subscribed;
    bool away;
    int64_t away_from_ms; /* the last time */
    int64_t back_ms;
    unsigned got[MAX_MESSAGES];
};

/* A frame on its way. */
struct flight {
    int64_t due_ms;
    uint64_t order;
    unsigned from;
    unsigned to;
    unsigned epoch; /* of the link when it was sent */
    uint8_t *payload;
    size_t size;
};

static struct world {
    uint64_t random;
    int64_t now_ms;
    unsigned count;
    struct node nodes[MAX_NODES];
    bool linked[MAX_NODES][MAX_NODES];
    unsigned epoch[MAX_NODES][MAX_NODES];
    int64_t last_due_ms[MAX_NODES][MAX_NODES];
    struct flight *heap;
    size_t flights;
    size_t room;
    uint64_t order;
    unsigned loss_percent;
    unsigned refused_percent;
    int64_t delay_ms; /* at most */
    int64_t published_ms[MAX_MESSAGES];
    unsigned published;
    struct buf log;
} w;

static uint64_t draw(uint64_t below)
{
    uint64_t z = w.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

static void record(const char *what, unsigned a, unsigned b, unsigned more)
{
    char line[96];
    (void)snprintf(line, sizeof line, "%lld %s %u %u %u\n", (long long)w.now_ms, what, a, b, more);
    assert_int_equal(buf_append(&w.log, bytes_from_string(line)), 0);
}

/* ---- frames on their way: a heap by time, then by order ---- */

static bool is_before(const struct flight *a, const struct flight *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void swap_flights(size_t a, size_t b)
{
    struct flight kept = w.heap[a];
    w.heap[a] = w.heap[b];
    w.heap[b] = kept;
}

static void take_off(struct flight flight)
{
    if (w.flights == w.room) {
        w.room = w.room == 0 ? 1024 : w.room * 2;
        w.heap = realloc(w.heap, w.room * sizeof *w.heap);
        assert_non_null(w.heap);
    }
    size_t at = w.flights++;
    w.heap[at] = flight;
    for (; at > 0 && is_before(&w.heap[at], &w.heap[(at - 1) / 2]); at = (at - 1) / 2) {
        swap_flights(at, (at - 1) / 2);
    }
}

static struct flight land(void)
{
    struct flight first = w.heap[0];
    w.heap[0] = w.heap[--w.flights];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < w.flights; child++) {
            least = is_before(&w.heap[child], &w.heap[least]) ? child : least;
        }
        if (least == at) {
            return first;
        }
        swap_flights(at, least);
        at = least;
    }
}

/* ---- nodes ---- */

static unsigned number_of(const struct peer_id *id)
{
    return id->bytes[0];
}

static int on_send(void *arg, const struct peer_id *to_id, struct bytes payload, bool is_message)
{
    unsigned from = (unsigned)((struct node *)arg - w.nodes);
    unsigned to = number_of(to_id);
    assert_true(w.linked[from][to]);
    if (is_message && draw(100) < w.refused_percent) {
        return -ENOBUFS;
    }
    if (is_message && draw(100) < w.loss_percent) {
        return 0;
    }
    int64_t due_ms = w.now_ms + 1 + (int64_t)draw((uint64_t)w.delay_ms);
    due_ms = due_ms < w.last_due_ms[from][to] ? w.last_due_ms[from][to] : due_ms;
    w.last_due_ms[from][to] = due_ms;
    struct flight flight = {.due_ms = due_ms,
                            .order = w.order++,
                            .from = from,
                            .to = to,
                            .epoch = w.epoch[from][to],
                            .payload = malloc(payload.size),
                            .size = payload.size};
    memcpy(flight.payload, payload.data, payload.size);
    take_off(flight);
    return 0;
}

static void on_deliver(void *arg, const struct gossip_delivery *delivery)
{
    struct node *node = arg;
    unsigned message = (unsigned)delivery->data.data[0] << 8 | delivery->data.data[1];
    assert_int_equal(delivery->data.size, 100);
    node->got[message]++;
    record("deliver", (unsigned)(node - w.nodes), number_of(delivery->from), message);
}

static void on_member(void *arg, struct bytes name, const struct peer_id *peer, bool joined)
{
    (void)name;
    record(joined ? "joined" : "left", (unsigned)((struct node *)arg - w.nodes), number_of(peer),
           0);
}

static void begin(unsigned count, uint64_t seed)
{
    static const struct gossip_callbacks callbacks = {
        .send = on_send,
        .deliver = on_deliver,
        .on_member = on_member,
    };
    print_message("# seed %llu\n", (unsigned long long)seed);
    memset(&w, 0, sizeof w);
    w.random = seed;
    w.count = count;
    w.delay_ms = 40;
    for (unsigned i = 0; i < count; i++) {
        struct node *node = &w.nodes[i];
        node->id = (struct peer_id){{(uint8_t)i, 1}};
        node->next_beat_ms = (int64_t)draw(SECOND);
        node->back_ms = INT64_MIN / 2;
        node->away_from_ms = INT64_MIN / 2;
        struct gossip_options options = {
            .self = node->id,
            .first_number = draw(UINT64_MAX),
            .seed = {draw(UINT64_MAX), draw(UINT64_MAX)},
            .flood = 64,
            .cache_bytes = (size_t)16 << 20,
            .seen_ids = 8192,
            .topics = 1000,
            .topics_per_peer = 100,
            .resend_bytes = (size_t)4 << 20,
        };
        assert_int_equal(gossip_new(&options, &callbacks, node, &node->gossip), 0);
    }
}

static void end(void)
{
    for (unsigned i = 0; i < w.count; i++) {
        gossip_free(w.nodes[i].gossip);
    }
    while (w.flights > 0) {
        free(w.heap[--w.flights].payload);
    }
    free(w.heap);
    buf_fini(&w.log);
}

static void set_link(unsigned a, unsigned b, bool up)
{
    if (a == b || w.linked[a][b] == up) {
        return;
    }
    w.linked[a][b] = up;
    w.linked[b][a] = up;
    w.epoch[a][b]++;
    w.epoch[b][a]++;
    record(up ? "link" : "break", a, b, 0);
    if (up) {
        assert_int_equal(gossip_peer_up(w.nodes[a].gossip, &w.nodes[b].id), 0);
        assert_int_equal(gossip_peer_up(w.nodes[b].gossip, &w.nodes[a].id), 0);
    } else {
        gossip_peer_down(w.nodes[a].gossip, &w.nodes[b].id);
        gossip_peer_down(w.nodes[b].gossip, &w.nodes[a].id);
    }
}

static void subscribe(unsigned number)
{
    w.nodes[number].subscribed = true;
    assert_int_equal(gossip_subscribe(w.nodes[number].gossip, topic, w.now_ms), 0);
}

static struct gossip_topic_facts facts_of(unsigned number)
{
    struct gossip_topic_facts facts = {0};
    (void)gossip_find_topic(w.nodes[number].gossip, topic, &facts);
    return facts;
}

static void beat(unsigned number)
{
    struct node *node = &w.nodes[number];
    node->next_beat_ms += SECOND;
    gossip_heartbeat(node->gossip, w.now_ms);
    assert_true(facts_of(number).mesh <= GOSSIP_MESH_HIGH);
}

static void arrive(void)
{
    struct flight flight = land();
    if (w.linked[flight.from][flight.to] && w.epoch[flight.from][flight.to] == flight.epoch) {
        gossip_receive(w.nodes[flight.to].gossip, &w.nodes[flight.from].id,
                       bytes_make(flight.payload, flight.size), w.now_ms);
        assert_true(facts_of(flight.to).mesh <= GOSSIP_MESH_MAX);
    }
    free(flight.payload);
}

static void run_until(int64_t end_ms)
{
    while (true) {
        unsigned next = 0;
        for (unsigned i = 1; i < w.count; i++) {
            next = w.nodes[i].next_beat_ms < w.nodes[next].next_beat_ms ? i : next;
        }
        int64_t beat_ms = w.nodes[next].next_beat_ms;
        bool frame_first = w.flights > 0 && w.heap[0].due_ms <= beat_ms;
        int64_t due_ms = frame_first ? w.heap[0].due_ms : beat_ms;
        if (due_ms > end_ms) {
            break;
        }
        w.now_ms = due_ms;
        if (frame_first) {
            arrive();
        } else {
            beat(next);
        }
    }
    w.now_ms = end_ms;
}

static void publish(unsigned number)
{
    uint8_t data[100] = {(uint8_t)(w.published >> 8), (uint8_t)w.published};
    size_t peers = 0;
    w.published_ms[w.published] = w.now_ms;
    w.nodes[number].got[w.published++]++; /* it hears itself, in the daemon */
    assert_int_equal(gossip_publish(w.nodes[number].gossip, topic, bytes_make(data, sizeof data),
                                    w.now_ms, &peers),
                     0);
    record("publish", number, (unsigned)peers, w.published - 1);
}

/* Everybody who was there got everything, and nobody anything twice. */
static void check_all_arrived(void)
{
    unsigned missing = 0;
    for (unsigned i = 0; i < w.count; i++) {
        const struct node *node = &w.nodes[i];
        for (unsigned m = 0; m < w.published; m++) {
            bool was_away = w.published_ms[m] >= node->away_from_ms - SECOND &&
                            w.published_ms[m] < node->back_ms + SECOND;
            assert_true(node->got[m] <= 1);
            if (node->subscribed && !was_away && node->got[m] == 0) {
                print_message("# node %u misses message %u\n", i, m);
                missing++;
            }
        }
    }
    assert_int_equal(missing, 0);
}

static uint64_t sum(size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < w.count; i++) {
        const struct gossip_counts *counts = gossip_counts(w.nodes[i].gossip);
        total += *(const uint64_t *)(const void *)((const char *)counts + offset);
    }
    return total;
}

/* ---- fifty nodes ---- */

#define FIFTY 50u

static void connect_at_random(unsigned each)
{
    for (unsigned i = 0; i < w.count; i++) {
        set_link(i, (i + 1) % w.count, true); /* nobody is left out */
        for (unsigned j = 1; j < each; j++) {
            set_link(i, (unsigned)draw(w.count), true);
        }
    }
}

struct broken {
    unsigned a;
    unsigned b;
    int64_t until_ms;
};

/* Links break and come back; a node goes away with all its links and comes back with others. */
static void stir(struct broken *broken, size_t count)
{
    struct broken *slot = &broken[draw(count)];
    if (w.now_ms >= slot->until_ms) {
        if (slot->a != slot->b && !w.nodes[slot->a].away && !w.nodes[slot->b].away) {
            set_link(slot->a, slot->b, true);
        }
        slot->a = (unsigned)draw(w.count);
        slot->b = (slot->a + 1 + (unsigned)draw(w.count - 1)) % w.count;
        slot->until_ms = w.now_ms + 500 + (int64_t)draw(2500);
        set_link(slot->a, slot->b, false);
    }
}

static void leave(unsigned number)
{
    w.nodes[number].away = true;
    w.nodes[number].away_from_ms = w.now_ms;
    w.nodes[number].back_ms = INT64_MAX - SECOND;
    for (unsigned i = 0; i < w.count; i++) {
        set_link(number, i, false);
    }
}

static void come_back(unsigned number)
{
    w.nodes[number].away = false;
    w.nodes[number].back_ms = w.now_ms;
    for (unsigned i = 0; i < 8; i++) {
        unsigned other = (unsigned)draw(w.count);
        if (!w.nodes[other].away) {
            set_link(number, other, true);
        }
    }
}

static void run_fifty(uint64_t seed)
{
    struct broken broken[8] = {{0}};
    begin(FIFTY, seed);
    w.loss_percent = 5;
    w.refused_percent = 5;
    connect_at_random(7);
    for (unsigned i = 0; i < FIFTY; i++) {
        subscribe(i);
    }
    run_until(3 * SECOND);
    for (unsigned step = 0; step < 300; step++) {
        unsigned publisher = (unsigned)draw(FIFTY);
        bool leaves = step % 50 == 10 && publisher == step / 50; /* before its message does */
        if (!w.nodes[publisher].away && !leaves) {
            publish(publisher);
        }
        stir(broken, sizeof broken / sizeof broken[0]);
        if (step % 50 == 10) {
            leave(step / 50);
        } else if (step % 50 == 40) {
            come_back(step / 50);
        }
        run_until(w.now_ms + 100);
    }
    run_until(w.now_ms + 6 * SECOND);
}

static void every_subscriber_gets_every_message_despite_loss_and_churn(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run_fifty(seed);
        check_all_arrived();
        assert_true(sum(offsetof(struct gossip_counts, dropped)) > 0);
        assert_true(sum(offsetof(struct gossip_counts, recovered)) > 0);
        assert_int_equal(sum(offsetof(struct gossip_counts, refused)), 0);
        /* Left alone, every mesh finds its size once the back-offs are over. */
        run_until(w.now_ms + 70 * SECOND);
        for (unsigned i = 0; i < FIFTY; i++) {
            assert_in_range(facts_of(i).mesh, GOSSIP_MESH_LOW, GOSSIP_MESH_HIGH);
        }
        assert_int_equal(sum(offsetof(struct gossip_counts, cached_bytes)), 0);
        end();
    }
}

static void two_runs_with_one_seed_are_the_same(void **state)
{
    (void)state;
    run_fifty(4711);
    struct buf first = w.log;
    buf_init(&w.log);
    end();
    run_fifty(4711);
    assert_true(buf_size(&first) > 100000);
    assert_true(bytes_equal(buf_view(&first), buf_view(&w.log)));
    end();
    run_fifty(4712);
    assert_false(bytes_equal(buf_view(&first), buf_view(&w.log)));
    end();
    buf_fini(&first);
}

/* ---- stars ---- */

static void run_star(unsigned leaves, bool centre_subscribes, unsigned publisher)
{
    begin(leaves + 1, leaves);
    for (unsigned i = 1; i <= leaves; i++) {
        subscribe(i);
        set_link(0, i, true);
    }
    if (centre_subscribes) {
        subscribe(0);
    }
    run_until(3 * SECOND);
    for (int i = 0; i < 50; i++) {
        publish(publisher);
        run_until(w.now_ms + 100);
    }
}

static void subscribers_that_only_know_the_publisher_get_everything_at_once(void **state)
{
    (void)state;
    static const unsigned sizes[] = {10, 50};
    for (size_t i = 0; i < 2; i++) {
        for (int subscribes = 0; subscribes < 2; subscribes++) {
            run_star(sizes[i], subscribes == 1, 0);
            check_all_arrived(); /* without waiting for any heartbeat */
            assert_int_equal(sum(offsetof(struct gossip_counts, recovered)), 0);
            end();
        }
    }
}

static void subscribers_that_share_one_neighbour_get_everything_of_each_other(void **state)
{
    (void)state;
    run_star(50, true, 7);
    run_until(w.now_ms + 5 * SECOND);
    check_all_arrived();
    assert_true(facts_of(0).mesh <= GOSSIP_MESH_HIGH);
    end();
}

/* What was on its way when another connection took over is made good. */
static void a_link_that_is_replaced_costs_nothing(void **state)
{
    (void)state;
    begin(2, 5);
    subscribe(0);
    subscribe(1);
    set_link(0, 1, true);
    run_until(3 * SECOND);
    for (int i = 0; i < 100; i++) {
        publish((unsigned)i % 2);
        run_until(w.now_ms + 5); /* less than it takes to arrive */
        if (i % 7 == 3) {
            w.epoch[0][1]++; /* all on its way is lost, and both are told it was replaced */
            w.epoch[1][0]++;
            gossip_peer_replaced(w.nodes[0].gossip, &w.nodes[1].id);
            gossip_peer_replaced(w.nodes[1].gossip, &w.nodes[0].id);
        }
        run_until(w.now_ms + 95);
    }
    assert_true(sum(offsetof(struct gossip_counts, recovered)) > 0);
    run_until(w.now_ms + 5 * SECOND);
    check_all_arrived();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_subscriber_gets_every_message_despite_loss_and_churn),
        cmocka_unit_test(two_runs_with_one_seed_are_the_same),
        cmocka_unit_test(subscribers_that_only_know_the_publisher_get_everything_at_once),
        cmocka_unit_test(subscribers_that_share_one_neighbour_get_everything_of_each_other),
        cmocka_unit_test(a_link_that_is_replaced_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
