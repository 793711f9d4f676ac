/* What the simulated network is made of, for its own files. */
#ifndef RATSD_TESTS_SIM_NET_PRIVATE_H
#define RATSD_TESTS_SIM_NET_PRIVATE_H

#include "sim_net.h"
#include "util/buf.h"

#define MAX_ADDRESSES 64
#define MAX_NAMES     16

enum event_kind { EVENT_SYN, EVENT_CONNECTED, EVENT_DATA, EVENT_WINDOW, EVENT_FIN, EVENT_RESET };

/* Something on its way to one end of a connection. */
struct event {
    struct list node;
    enum event_kind kind;
    int64_t due_ms;
    int error;
    struct buf data;
};

struct pipe;

/* One end. Its events arrive on its node's loop, in the order they were sent. */
struct half {
    struct link link;
    struct pipe *pipe;
    struct half *other;
    struct sim_node *node;
    struct list events;
    struct timer arrival;
    struct deferred ready; /* level-triggered: schedules itself while there is something */
    int64_t latency_ms;    /* of what this end sends */
    struct buf readable;
    size_t unread; /* bytes sent to this end, under way or not read yet */
    bool open;
    bool forgotten; /* this end was lost without a word */
    bool want_read;
    bool want_write;
    bool finished; /* a FIN has arrived */
    int error;     /* a reset has arrived */
    bool told;
};

struct pipe {
    struct list node;
    struct half ends[2];
};

struct tcp_listener {
    struct list node;
    struct sim_node *owner;
    struct endpoint bind_to;
    void (*on_accept)(void *arg, struct link *link);
    void *arg;
};

struct sim_node {
    struct list node;
    struct sim_net *net;
    struct loop *loop;
    struct list listeners;
    struct endpoint addresses[MAX_ADDRESSES];
    size_t address_count;
    uint16_t next_port;
    unsigned dials;
    bool down;
};

struct name {
    const char *name;
    struct endpoint address;
};

struct sim_net {
    struct virtual_world *world;
    struct list nodes;
    struct list pipes;
    struct sim_node *current;
    int64_t out_ms;
    int64_t back_ms;
    enum transport_kind kind;
    size_t segment_max;
    size_t window;
    struct name names[MAX_NAMES];
    size_t name_count;
    uint64_t random;
};

#endif
