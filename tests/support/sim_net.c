#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/net.h"
#include "core/random.h"
#include "sim_net_private.h"
#include "transport/tcp.h"
#include "util/alloc.h"
#include "util/buf.h"

#define DEFAULT_WINDOW (256u * 1024u)

static struct sim_net *the_net;

/* ---- core/random.h: splitmix64, seeded ---- */

uint64_t random_u64(void)
{
    uint64_t z = the_net->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void random_bytes(void *out, size_t size)
{
    uint8_t *at = out;
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)random_u64();
    }
}

/* ---- the network and its nodes ---- */

struct sim_net *sim_net_new(uint64_t seed)
{
    assert(the_net == NULL);
    the_net = xalloc(sizeof *the_net);
    the_net->random = seed;
    the_net->world = virtual_world_new();
    the_net->kind = TRANSPORT_TCP;
    the_net->window = DEFAULT_WINDOW;
    sim_net_set_latency(the_net, 10, 10);
    list_init(&the_net->nodes);
    list_init(&the_net->pipes);
    return the_net;
}

static void event_free(struct event *event)
{
    list_remove(&event->node);
    buf_fini(&event->data);
    free(event);
}

static void half_fini(struct half *half)
{
    timer_stop(&half->arrival);
    deferred_cancel(&half->ready);
    for (struct list *node; (node = list_first(&half->events)) != NULL;) {
        event_free(CONTAINER_OF(node, struct event, node));
    }
    buf_fini(&half->readable);
}

void sim_net_free(struct sim_net *net)
{
    LIST_EACH(&net->pipes, pipe_node)
    {
        struct pipe *pipe = CONTAINER_OF(pipe_node, struct pipe, node);
        half_fini(&pipe->ends[0]);
        half_fini(&pipe->ends[1]);
        free(pipe);
    }
    LIST_EACH(&net->nodes, sim_node)
    {
        struct sim_node *node = CONTAINER_OF(sim_node, struct sim_node, node);
        assert(list_is_empty(&node->listeners));
        loop_free(node->loop);
        free(node);
    }
    virtual_world_free(net->world);
    free(net);
    the_net = NULL;
}

struct virtual_world *sim_net_world(const struct sim_net *net)
{
    return net->world;
}

void sim_net_run(struct sim_net *net, int64_t duration_ms)
{
    virtual_world_run(net->world, virtual_world_now_ms(net->world) + duration_ms);
}

struct sim_node *sim_node_new(struct sim_net *net, const char *address)
{
    struct sim_node *node = xalloc(sizeof *node);
    node->net = net;
    node->loop = virtual_loop_new(net->world);
    node->next_port = 40000;
    list_init(&node->listeners);
    list_append(&net->nodes, &node->node);
    sim_node_add_address(node, address);
    return node;
}

void sim_node_add_address(struct sim_node *node, const char *address)
{
    assert(node->address_count < MAX_ADDRESSES);
    int rc = endpoint_parse_ip(address, 0, &node->addresses[node->address_count++]);
    assert(rc == 0);
    (void)rc;
}

void sim_node_drop_addresses(struct sim_node *node)
{
    node->address_count = 0;
}

struct loop *sim_node_loop(const struct sim_node *node)
{
    return node->loop;
}

void sim_node_enter(struct sim_node *node)
{
    node->net->current = node;
}

void sim_net_set_latency(struct sim_net *net, int64_t out_ms, int64_t back_ms)
{
    net->out_ms = out_ms;
    net->back_ms = back_ms;
}

void sim_net_set_kind(struct sim_net *net, enum transport_kind kind)
{
    net->kind = kind;
}

void sim_net_set_segments(struct sim_net *net, size_t max)
{
    net->segment_max = max;
}

void sim_net_set_window(struct sim_net *net, size_t window)
{
    net->window = window;
}

void sim_node_set_down(struct sim_node *node, bool down)
{
    node->down = down;
}

size_t net_interfaces(struct endpoint *ret_addresses, size_t max)
{
    const struct sim_node *node = the_net->current;
    size_t count = 0;
    for (uint8_t ip_size = 4; ip_size <= 16; ip_size = (uint8_t)(ip_size + 12)) {
        for (size_t i = 0; i < node->address_count && count < max; i++) {
            if (node->addresses[i].ip_size == ip_size) {
                ret_addresses[count++] = node->addresses[i];
            }
        }
    }
    return count;
}

static struct sim_node *node_of_loop(const struct loop *loop)
{
    LIST_EACH(&the_net->nodes, list_node)
    {
        struct sim_node *node = CONTAINER_OF(list_node, struct sim_node, node);
        if (node->loop == loop) {
            return node;
        }
    }
    assert(false);
    return NULL;
}

/* ---- streams ---- */

static struct half *half_of(struct link *link)
{
    return CONTAINER_OF(link, struct half, link);
}

static int64_t now_ms(void)
{
    return virtual_world_now_ms(the_net->world);
}

static void arm(struct half *half)
{
    struct list *first = list_first(&half->events);
    if (first != NULL) {
        int64_t wait_ms = CONTAINER_OF(first, struct event, node)->due_ms - now_ms();
        timer_start(&half->arrival, wait_ms > 0 ? wait_ms : 0);
    }
}

/* Sends something to the other end; nothing overtakes what was sent before. */
static struct event *post(struct half *from, enum event_kind kind, int error)
{
    struct half *to = from->other;
    struct event *event = xalloc(sizeof *event);
    event->kind = kind;
    event->error = error;
    event->due_ms = now_ms() + from->latency_ms;
    list_init(&event->node);
    bool is_first = list_is_empty(&to->events);
    list_append(&to->events, &event->node);
    if (is_first) {
        arm(to);
    }
    return event;
}

static void on_ready(void *arg)
{
    struct half *half = arg;
    half->node->net->current = half->node;
    if (!half->open || half->link.callbacks.on_readable == NULL) {
        return;
    }
    bool has_news = buf_size(&half->readable) > 0 || half->finished || half->error != 0;
    if (half->want_read && has_news) {
        deferred_schedule(&half->ready);
        half->link.callbacks.on_readable(half->link.arg);
    }
}

static void accept_or_refuse(struct half *half)
{
    const struct endpoint *to = &half->other->link.remote;
    LIST_EACH(&half->node->listeners, node)
    {
        struct tcp_listener *listener = CONTAINER_OF(node, struct tcp_listener, node);
        if (listener->bind_to.port == to->port) {
            half->open = true;
            (void)post(half, EVENT_CONNECTED, 0);
            listener->on_accept(listener->arg, &half->link);
            return;
        }
    }
    (void)post(half, EVENT_RESET, -ECONNREFUSED);
}

static void arrive(struct half *half, struct event *event)
{
    if (event->kind == EVENT_SYN) {
        accept_or_refuse(half);
    } else if (!half->open) {
        if (event->kind == EVENT_DATA && half->other->open) {
            (void)post(half, EVENT_RESET, -ECONNRESET);
        }
    } else if (event->kind == EVENT_CONNECTED) {
        half->link.callbacks.on_connected(half->link.arg);
    } else if (event->kind == EVENT_DATA) {
        (void)buf_append(&half->readable, buf_view(&event->data));
    } else if (event->kind == EVENT_WINDOW) {
        if (half->want_write) {
            half->want_write = false;
            half->link.callbacks.on_writable(half->link.arg);
        }
    } else if (event->kind == EVENT_FIN) {
        half->finished = true;
    } else if (event->error == -ECONNREFUSED) {
        half->link.callbacks.on_closed(half->link.arg, event->error);
    } else {
        half->error = event->error;
    }
}

static void on_arrival(void *arg)
{
    struct half *half = arg;
    half->node->net->current = half->node;
    struct list *first;
    while ((first = list_first(&half->events)) != NULL) {
        struct event *event = CONTAINER_OF(first, struct event, node);
        if (event->due_ms > now_ms()) {
            break;
        }
        list_remove(&event->node);
        if (!half->node->down && !half->other->node->down) {
            arrive(half, event);
        }
        event_free(event);
    }
    arm(half);
    if (half->open) {
        deferred_schedule(&half->ready);
    }
}

static ssize_t sim_read(struct link *link, void *out, size_t size)
{
    struct half *half = half_of(link);
    size_t available = buf_size(&half->readable);
    if (available == 0) {
        return half->error != 0 ? half->error : half->finished ? 0 : -EAGAIN;
    }
    size_t taken = available < size ? available : size;
    memcpy(out, buf_view(&half->readable).data, taken);
    buf_consume(&half->readable, taken);
    half->unread -= taken;
    if (half->other->want_write) {
        (void)post(half, EVENT_WINDOW, 0);
    }
    return (ssize_t)taken;
}

static void send_segments(struct half *half, const uint8_t *at, size_t size)
{
    size_t max = half->node->net->segment_max;
    while (size > 0) {
        size_t segment = max == 0 ? size : 1 + (size_t)(random_u64() % max);
        segment = segment < size ? segment : size;
        struct event *event = post(half, EVENT_DATA, 0);
        (void)buf_append(&event->data, bytes_make(at, segment));
        at += segment;
        size -= segment;
    }
}

static ssize_t sim_write(struct link *link, const struct iovec *parts, int count)
{
    struct half *half = half_of(link);
    size_t written = 0;
    if (half->error != 0) {
        return half->error;
    }
    for (int i = 0; i < count; i++) {
        size_t room = half->node->net->window - half->other->unread;
        size_t size = parts[i].iov_len < room ? parts[i].iov_len : room;
        send_segments(half, parts[i].iov_base, size);
        half->other->unread += size;
        written += size;
        if (size < parts[i].iov_len) {
            half->want_write = true;
            break;
        }
    }
    return (ssize_t)written;
}

static void sim_set_reading(struct link *link, bool wanted)
{
    struct half *half = half_of(link);
    half->want_read = wanted;
    if (wanted) {
        deferred_schedule(&half->ready);
    }
}

static void sim_close(struct link *link, bool graceful)
{
    struct half *half = half_of(link);
    bool resets = buf_size(&half->readable) > 0 || (link->kind == TRANSPORT_UDP && !graceful);
    half->open = false;
    deferred_cancel(&half->ready);
    buf_fini(&half->readable);
    if (!half->forgotten) {
        (void)post(half, resets ? EVENT_RESET : EVENT_FIN, resets ? -ECONNRESET : 0);
    }
}

static const struct link_ops sim_ops = {
    .read = sim_read,
    .write = sim_write,
    .set_reading = sim_set_reading,
    .close = sim_close,
};

static void half_init(struct pipe *pipe, int side, struct sim_node *node, int64_t latency_ms)
{
    struct half *half = &pipe->ends[side];
    half->pipe = pipe;
    half->other = &pipe->ends[1 - side];
    half->node = node;
    half->latency_ms = latency_ms;
    half->link.ops = &sim_ops;
    half->link.kind = node->net->kind;
    list_init(&half->events);
    timer_init(&half->arrival, node->loop, on_arrival, half);
    deferred_init(&half->ready, node->loop, on_ready, half);
}

/* ---- transport/tcp.h ---- */

static struct sim_node *find_node(struct sim_node *from, const struct endpoint *to)
{
    if (endpoint_is_loopback(to)) {
        return from;
    }
    LIST_EACH(&from->net->nodes, list_node)
    {
        struct sim_node *node = CONTAINER_OF(list_node, struct sim_node, node);
        for (size_t i = 0; i < node->address_count; i++) {
            if (endpoint_same_ip(&node->addresses[i], to)) {
                return node;
            }
        }
    }
    return NULL;
}

static int find_source(struct sim_node *from, const struct endpoint *to, struct endpoint *ret)
{
    if (endpoint_is_loopback(to)) {
        *ret = *to;
        ret->port = from->next_port++;
        return 0;
    }
    for (size_t i = 0; i < from->address_count; i++) {
        if (from->addresses[i].ip_size == to->ip_size &&
            endpoint_is_link_local(&from->addresses[i]) == endpoint_is_link_local(to) &&
            !endpoint_is_loopback(&from->addresses[i])) {
            *ret = from->addresses[i];
            ret->port = from->next_port++;
            return 0;
        }
    }
    return -ENETUNREACH;
}

int tcp_dial(struct loop *loop, const struct endpoint *to, struct link **ret_link)
{
    struct sim_node *from = node_of_loop(loop);
    struct sim_node *target = find_node(from, to);
    struct endpoint source;
    if (target == NULL || find_source(from, to, &source) != 0) {
        return -ENETUNREACH;
    }
    struct sim_net *net = from->net;
    struct pipe *pipe = xalloc(sizeof *pipe);
    target->dials++;
    half_init(pipe, 0, from, net->out_ms);
    half_init(pipe, 1, target, net->back_ms);
    list_append(&net->pipes, &pipe->node);
    pipe->ends[0].link.outgoing = true;
    pipe->ends[0].link.remote = *to;
    pipe->ends[0].open = true;
    pipe->ends[1].link.remote = source;
    (void)post(&pipe->ends[0], EVENT_SYN, 0);
    *ret_link = &pipe->ends[0].link;
    return 0;
}

static bool port_is_taken(const struct sim_node *node, uint16_t port)
{
    LIST_EACH(&node->listeners, list_node)
    {
        if (CONTAINER_OF(list_node, struct tcp_listener, node)->bind_to.port == port) {
            return true;
        }
    }
    return false;
}

int tcp_listen(struct loop *loop, const struct endpoint *bind_to,
               void (*on_accept)(void *arg, struct link *link), void *arg,
               struct tcp_listener **ret_listener)
{
    struct sim_node *node = node_of_loop(loop);
    if (bind_to->port != 0 && port_is_taken(node, bind_to->port)) {
        return -EADDRINUSE;
    }
    struct tcp_listener *listener = xalloc(sizeof *listener);
    listener->owner = node;
    listener->bind_to = *bind_to;
    listener->on_accept = on_accept;
    listener->arg = arg;
    if (bind_to->port == 0) {
        listener->bind_to.port = node->next_port++;
    }
    list_append(&node->listeners, &listener->node);
    *ret_listener = listener;
    return 0;
}

/* The nodes of the simulator have no descriptors, so nobody hands them any. */
int tcp_adopt(struct loop *loop, int fd, void (*on_accept)(void *arg, struct link *link), void *arg,
              struct tcp_listener **ret_listener)
{
    (void)loop;
    (void)fd;
    (void)on_accept;
    (void)arg;
    (void)ret_listener;
    return -ENOTSOCK;
}

uint16_t tcp_listener_port(const struct tcp_listener *listener)
{
    return listener->bind_to.port;
}

void tcp_listener_close(struct tcp_listener *listener)
{
    if (listener != NULL) {
        list_remove(&listener->node);
        free(listener);
    }
}

/* ---- names ---- */

void sim_net_add_name(struct sim_net *net, const char *name, const char *address)
{
    assert(net->name_count < MAX_NAMES);
    struct name *entry = &net->names[net->name_count++];
    entry->name = name;
    int rc = endpoint_parse_ip(address, 0, &entry->address);
    assert(rc == 0);
    (void)rc;
}

size_t sim_net_find_name(const char *name, uint16_t port, struct endpoint *ret_found, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < the_net->name_count && count < max; i++) {
        if (strcmp(the_net->names[i].name, name) == 0) {
            ret_found[count] = the_net->names[i].address;
            ret_found[count++].port = port;
        }
    }
    return count;
}
