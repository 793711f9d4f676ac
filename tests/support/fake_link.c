#include "fake_link.h"

#include <errno.h>
#include <string.h>

static struct fake_link *fake_of(struct link *link)
{
    return CONTAINER_OF(link, struct fake_link, link);
}

static ssize_t fake_read(struct link *link, void *out, size_t size)
{
    struct fake_link *fake = fake_of(link);
    struct bytes waiting = buf_view(&fake->in);
    if (waiting.size == 0) {
        return fake->error != 0 ? fake->error : fake->finished ? 0 : -EAGAIN;
    }
    size = fake->read_limit != 0 && size > fake->read_limit ? fake->read_limit : size;
    size = size < waiting.size ? size : waiting.size;
    memcpy(out, waiting.data, size);
    buf_consume(&fake->in, size);
    return (ssize_t)size;
}

static ssize_t fake_write(struct link *link, const struct iovec *parts, int count)
{
    struct fake_link *fake = fake_of(link);
    size_t written = 0;
    if (fake->error != 0) {
        return fake->error;
    }
    fake->writes++;
    for (int i = 0; i < count; i++) {
        size_t size = parts[i].iov_len < fake->write_limit ? parts[i].iov_len : fake->write_limit;
        (void)buf_append(&fake->out, bytes_make(parts[i].iov_base, size));
        fake->write_limit -= size;
        written += size;
        if (size < parts[i].iov_len) {
            fake->blocked = true;
            break;
        }
    }
    return (ssize_t)written;
}

static void fake_set_reading(struct link *link, bool wanted)
{
    fake_of(link)->reading = wanted;
}

static void fake_close(struct link *link, bool graceful)
{
    struct fake_link *fake = fake_of(link);
    fake->closed = true;
    fake->graceful = graceful;
    fake->reading = false;
    fake->blocked = false;
}

static const struct link_ops fake_ops = {
    .read = fake_read,
    .write = fake_write,
    .set_reading = fake_set_reading,
    .close = fake_close,
};

void fake_link_init(struct fake_link *fake, bool outgoing)
{
    *fake = (struct fake_link){
        .link = {.ops = &fake_ops, .kind = TRANSPORT_TCP, .outgoing = outgoing},
        .write_limit = SIZE_MAX,
    };
    buf_init(&fake->in);
    buf_init(&fake->out);
}

void fake_link_fini(struct fake_link *fake)
{
    buf_fini(&fake->in);
    buf_fini(&fake->out);
}

void fake_link_poll(struct fake_link *fake)
{
    while (!fake->closed && fake->reading &&
           (buf_size(&fake->in) > 0 || fake->finished || fake->error != 0)) {
        fake->link.callbacks.on_readable(fake->link.arg);
    }
}

void fake_link_feed(struct fake_link *fake, struct bytes bytes)
{
    (void)buf_append(&fake->in, bytes);
    fake_link_poll(fake);
}

void fake_link_finish(struct fake_link *fake)
{
    fake->finished = true;
    fake_link_poll(fake);
}

void fake_link_connect(struct fake_link *fake)
{
    fake->link.callbacks.on_connected(fake->link.arg);
}

void fake_link_open(struct fake_link *fake, size_t limit)
{
    fake->write_limit = limit;
    if (fake->blocked) {
        fake->blocked = false;
        fake->link.callbacks.on_writable(fake->link.arg);
    }
}
