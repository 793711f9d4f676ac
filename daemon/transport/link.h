/* A link: an ordered byte stream to one peer. Two makers stand behind it: tcp.c, and the stream
 * over UDP of a later release; everything above treats them alike.
 *
 * A link pulls nothing and buffers nothing of its own on the way in: it says when it can be read
 * or written and the connection does so. Callbacks are never run from inside a link_* call.
 * on_closed runs at most once and only for an end the owner did not ask for; after it only
 * link_close() may be called. */
#ifndef RATSD_TRANSPORT_LINK_H
#define RATSD_TRANSPORT_LINK_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/endpoint.h"

enum transport_kind { TRANSPORT_TCP = 1, TRANSPORT_UDP = 2 }; /* bits of wire-core 6 */

struct link;

struct link_callbacks {
    void (*on_connected)(void *arg);          /* dialed links only, once */
    void (*on_readable)(void *arg);           /* level-triggered while reading is wanted */
    void (*on_writable)(void *arg);           /* once after link_write() was short */
    void (*on_closed)(void *arg, int reason); /* negative errno: dial failed, stream died */
};

struct link_ops {
    ssize_t (*read)(struct link *link, void *out, size_t size);
    ssize_t (*write)(struct link *link, const struct iovec *parts, int count);
    void (*set_reading)(struct link *link, bool wanted);
    size_t (*unsent)(struct link *link); /* NULL: none ever */
    void (*close)(struct link *link, bool graceful);
};

/* The common head of every maker's own struct. */
struct link {
    const struct link_ops *ops;
    enum transport_kind kind;
    bool outgoing; /* we dialed */
    struct endpoint remote;
    struct link_callbacks callbacks;
    void *arg;
};

/* Who hears of it from now on; before this nothing is reported. */
static inline void link_attach(struct link *link, const struct link_callbacks *callbacks, void *arg)
{
    link->callbacks = *callbacks;
    link->arg = arg;
}

/* Bytes; 0 = the peer closed; -EAGAIN = nothing now; other negative errno = dead. */
static inline ssize_t link_read(struct link *link, void *out, size_t size)
{
    return link->ops->read(link, out, size);
}

/* Bytes taken (maybe fewer: on_writable follows); other negative errno = dead. Never -EAGAIN:
 * a full link takes 0. */
static inline ssize_t link_write(struct link *link, const struct iovec *parts, int count)
{
    return link->ops->write(link, parts, count);
}

/* Reading is off until asked for: back-pressure is not reading. */
static inline void link_set_reading(struct link *link, bool wanted)
{
    link->ops->set_reading(link, wanted);
}

/* Bytes taken by link_write() that the other end has not acknowledged: lost if it says anything to
 * a link that is closed. */
static inline size_t link_unsent(struct link *link)
{
    return link->ops->unsent == NULL ? 0 : link->ops->unsent(link);
}

/* Ends and frees the link; no callback follows. graceful: bytes the kernel has taken are still
 * delivered (TCP FIN; UDP Fin); otherwise the peer may see a reset (wire-core 7.2). */
static inline void link_close(struct link *link, bool graceful)
{
    link->ops->close(link, graceful);
}

#endif
