/* A network in memory: transport/tcp.h, core/resolver.h, core/random.h and net_interfaces() on
 * virtual time (virtual_loop.h), so that whole nodes run in one process and a run is fixed by its
 * seed.
 *
 * A connection is a pair of streams. Each takes its latency from sim_net_set_latency() when it is
 * dialed, keeps order, arrives in segments of random size, and holds a window's worth of unread
 * bytes at most. Closing sends a FIN (a reset when bytes were left unread, or not graceful on
 * "UDP"); a word to a closed end comes back as a reset. One network at a time. */
#ifndef RATSD_TESTS_SIM_NET_H
#define RATSD_TESTS_SIM_NET_H

#include "core/resolver.h"
#include "transport/link.h"
#include "virtual_loop.h"

struct sim_net;
struct sim_node;

struct sim_net *sim_net_new(uint64_t seed);
/* After the loops' users are gone; ends the nodes and their loops. */
void sim_net_free(struct sim_net *net);
struct virtual_world *sim_net_world(const struct sim_net *net);
/* Lets the given time pass. */
void sim_net_run(struct sim_net *net, int64_t duration_ms);

struct sim_node *sim_node_new(struct sim_net *net, const char *address);
void sim_node_add_address(struct sim_node *node, const char *address);
void sim_node_drop_addresses(struct sim_node *node);
struct loop *sim_node_loop(const struct sim_node *node);
/* Whose interfaces net_interfaces() lists, until another node's event: before a direct call. */
void sim_node_enter(struct sim_node *node);

/* One-way latencies for connections dialed from now on, out and back. */
void sim_net_set_latency(struct sim_net *net, int64_t out_ms, int64_t back_ms);
/* What kind of link the next dials make: the wire of the duplicate rule. */
void sim_net_set_kind(struct sim_net *net, enum transport_kind kind);
/* Segments of 1 to max bytes; 0 = whole. */
void sim_net_set_segments(struct sim_net *net, size_t max);
/* Unread bytes a stream holds. */
void sim_net_set_window(struct sim_net *net, size_t window);
/* A host name; several calls for one name give it several addresses. */
void sim_net_add_name(struct sim_net *net, const char *name, const char *address);
size_t sim_net_find_name(const char *name, uint16_t port, struct endpoint *ret_found, size_t max);

/* Nothing to or from this node arrives while it is down; dials to it hang. */
void sim_node_set_down(struct sim_node *node, bool down);
/* What was open on this node is forgotten without a word, as when the power fails. */
void sim_node_forget(struct sim_node *node);
/* Every stream of this node breaks with a reset, on both ends, now. */
void sim_node_break(struct sim_node *node);
/* How often somebody tried to connect to this node, answered or not. */
unsigned sim_node_dials(const struct sim_node *node);
/* Streams open on this node. */
size_t sim_node_links(const struct sim_node *node);

/* A bare connection without a mesh behind it: bytes in, bytes out. */
struct sim_raw;
struct sim_raw *sim_raw_dial(struct sim_node *from, const char *address, uint16_t port);
void sim_raw_send(struct sim_raw *raw, struct bytes bytes);
size_t sim_raw_received(const struct sim_raw *raw); /* bytes so far */
bool sim_raw_is_closed(const struct sim_raw *raw);  /* by the other end */
void sim_raw_close(struct sim_raw *raw);            /* frees it */

#endif
