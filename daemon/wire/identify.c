#include "wire/identify.h"

#include <assert.h>
#include <errno.h>

#include "util/reader.h"
#include "util/writer.h"

#define VERSION 1

static void write_endpoint(struct writer *writer, const struct endpoint *endpoint)
{
    writer_u8(writer, endpoint->ip_size);
    writer_bytes(writer, bytes_make(endpoint->ip, endpoint->ip_size));
    writer_u16(writer, endpoint->port);
}

static bool is_listed(const struct endpoint *endpoint)
{
    return endpoint->ip_size != 0 && endpoint->port != 0;
}

size_t identify_encode(const struct identify *identify, uint8_t *out)
{
    assert(identify->address_count <= IDENTIFY_MAX_ADDRESSES);
    uint8_t count = 0;
    for (size_t i = 0; i < identify->address_count; i++) {
        count = (uint8_t)(count + is_listed(&identify->addresses[i]));
    }
    struct writer writer;
    writer_init(&writer, out, IDENTIFY_MAX_SIZE);
    writer_u8(&writer, VERSION);
    writer_u16(&writer, identify->listen_port);
    writer_u8(&writer, count);
    for (size_t i = 0; i < identify->address_count; i++) {
        if (is_listed(&identify->addresses[i])) {
            write_endpoint(&writer, &identify->addresses[i]);
        }
    }
    if (identify->observed.ip_size == 0) {
        writer_u8(&writer, 0);
    } else {
        write_endpoint(&writer, &identify->observed);
    }
    writer_u8(&writer, identify->transports);
    assert(writer_ok(&writer));
    return writer.size;
}

/* The rest of an endpoint whose ip_len has been read. */
static int read_endpoint(struct reader *reader, uint8_t ip_size, struct endpoint *ret_endpoint)
{
    struct endpoint endpoint = {0};
    int rc = endpoint_set_ip(&endpoint, reader_bytes(reader, ip_size));
    endpoint.port = reader_u16(reader);
    if (rc != 0 || !reader_ok(reader)) {
        return -EPROTO;
    }
    *ret_endpoint = endpoint;
    return 0;
}

int identify_decode(struct bytes from, struct identify *ret_identify)
{
    struct reader reader;
    reader_init(&reader, from);
    struct identify identify = {0};
    uint8_t version = reader_u8(&reader);
    identify.listen_port = reader_u16(&reader);
    identify.address_count = reader_u8(&reader);
    if (!reader_ok(&reader) || version != VERSION ||
        identify.address_count > IDENTIFY_MAX_ADDRESSES) {
        return -EPROTO;
    }
    for (size_t i = 0; i < identify.address_count; i++) {
        int rc = read_endpoint(&reader, reader_u8(&reader), &identify.addresses[i]);
        if (rc != 0) {
            return rc;
        }
    }
    uint8_t observed_size = reader_u8(&reader);
    if (!reader_ok(&reader)) {
        return -EPROTO;
    }
    if (observed_size != 0) {
        int rc = read_endpoint(&reader, observed_size, &identify.observed);
        if (rc != 0) {
            return rc;
        }
    }
    if (reader_left(&reader) > 0) { /* older senders stop before it; newer may go on after it */
        identify.transports = reader_u8(&reader);
    }
    *ret_identify = identify;
    return 0;
}
