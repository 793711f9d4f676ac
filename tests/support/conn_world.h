/* What conns of one node share, for tests: a loop on virtual time, an identity, and the accounts.
 * Plaintext, so that a test can be the peer by hand. */
#ifndef RATSD_TESTS_CONN_WORLD_H
#define RATSD_TESTS_CONN_WORLD_H

#include "peer/conn.h"

struct conn_world {
    struct loop *loop;
    struct identity identity;
    struct conn_arrivals arrivals;
    struct conn_departures departures;
    struct conn_turn turn;
    struct conn_context context;
};

static inline void conn_world_open(struct conn_world *world)
{
    static const uint8_t secret[X25519_SIZE] = {1};
    assert_int_equal(loop_new(&world->loop), 0);
    assert_int_equal(identity_init(&world->identity, secret), 0);
    conn_arrivals_init(&world->arrivals, world->loop);
    conn_departures_init(&world->departures, world->loop);
    conn_turn_init(&world->turn, world->loop);
    world->context = (struct conn_context){.loop = world->loop,
                                           .identity = &world->identity,
                                           .security = SECURITY_PLAINTEXT,
                                           .queue_limit = (size_t)8 * 1024 * 1024,
                                           .arrivals = &world->arrivals,
                                           .departures = &world->departures,
                                           .turn = &world->turn};
    assert_int_equal(protocol_id_init(&world->context.protocol, bytes_from_string("p")), 0);
}

/* Every conn is closed: nothing may be left in an account. */
static inline void conn_world_close(struct conn_world *world)
{
    assert_int_equal(world->arrivals.bytes, 0);
    assert_int_equal(world->departures.small, 0);
    assert_int_equal(world->departures.large, 0);
    assert_true(list_is_empty(&world->departures.waiting));
    conn_arrivals_fini(&world->arrivals);
    conn_departures_fini(&world->departures);
    conn_turn_fini(&world->turn);
    loop_free(world->loop);
}

#endif
