#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/identify.h"

static const char *directory;

/* "1.2.3.4:80" or "[::1]:80" of a vector. */
static struct endpoint endpoint_of(const char *text)
{
    char ip[ENDPOINT_TEXT_SIZE];
    const char *colon = strrchr(text, ':');
    assert_non_null(colon);
    const char *start = *text == '[' ? text + 1 : text;
    const char *end = *text == '[' ? colon - 1 : colon;
    (void)snprintf(ip, sizeof ip, "%.*s", (int)(end - start), start);
    struct endpoint endpoint;
    uint16_t port = (uint16_t)strtoul(colon + 1, NULL, 10);
    assert_int_equal(endpoint_parse_ip(ip, port, &endpoint), 0);
    return endpoint;
}

static struct identify fields_of(json_t *entry)
{
    struct identify identify = {0};
    identify.listen_port = (uint16_t)vectors_uint(entry, "listen_port");
    identify.transports = (uint8_t)vectors_uint(entry, "transports");
    if (vectors_has(entry, "observed")) {
        identify.observed = endpoint_of(vectors_text(entry, "observed"));
    }
    size_t i;
    json_t *address;
    json_array_foreach(json_object_get(entry, "addresses"), i, address)
    {
        identify.addresses[identify.address_count++] = endpoint_of(json_string_value(address));
    }
    return identify;
}

/* What comes back is what was sent, without the addresses that have no port. */
static void check_same(const struct identify *decoded, const struct identify *sent)
{
    size_t next = 0;
    assert_int_equal(decoded->listen_port, sent->listen_port);
    assert_int_equal(decoded->transports, sent->transports);
    assert_true(endpoint_equal(&decoded->observed, &sent->observed));
    for (size_t i = 0; i < sent->address_count; i++) {
        if (sent->addresses[i].port != 0) {
            assert_true(next < decoded->address_count);
            assert_true(endpoint_equal(&decoded->addresses[next++], &sent->addresses[i]));
        }
    }
    assert_int_equal(decoded->address_count, next);
}

static void payloads_are_encoded_as_upstream_does(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "identify.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "encode"), i, entry)
    {
        if (vectors_has(entry, "addresses_in")) {
            continue; /* the next test */
        }
        struct identify identify = fields_of(entry);
        struct identify decoded;
        uint8_t out[IDENTIFY_MAX_SIZE];
        struct bytes encoded = bytes_make(out, identify_encode(&identify, out));
        assert_true(bytes_equal(encoded, vectors_hex(vectors, entry, "payload")));
        assert_int_equal(identify_decode(encoded, &decoded), 0);
        check_same(&decoded, &identify);
    }
    vectors_close(vectors);
}

/* The vector gave upstream 40 addresses, 10.0.0.1:1 onwards, of which it sent 32. Ours cannot hold
 * more than that. */
static void at_most_32_addresses_are_sent(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "identify.json");
    size_t i;
    unsigned found = 0;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "encode"), i, entry)
    {
        if (!vectors_has(entry, "addresses_in")) {
            continue;
        }
        struct identify decoded;
        struct bytes payload = vectors_hex(vectors, entry, "payload");
        uint8_t out[IDENTIFY_MAX_SIZE];
        assert_int_equal(identify_decode(payload, &decoded), 0);
        assert_int_equal(decoded.address_count, vectors_uint(entry, "addresses_out"));
        assert_int_equal(decoded.address_count, IDENTIFY_MAX_ADDRESSES);
        assert_string_equal(endpoint_format(&decoded.addresses[31]).text, "10.0.0.32:1");
        assert_true(bytes_equal(bytes_make(out, identify_encode(&decoded, out)), payload));
        found++;
    }
    assert_int_equal(found, 1);
    vectors_close(vectors);
}

static void payloads_are_accepted_and_refused_as_upstream_does(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "identify.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "decode"), i, entry)
    {
        struct identify decoded = {.listen_port = 7};
        int rc = identify_decode(vectors_hex(vectors, entry, "payload"), &decoded);
        if (!vectors_bool(entry, "accepted")) {
            assert_int_equal(rc, -EPROTO);
            assert_int_equal(decoded.listen_port, 7);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(decoded.listen_port, vectors_uint(entry, "listen_port"));
        assert_int_equal(decoded.address_count, vectors_uint(entry, "n_addresses"));
        assert_int_equal(decoded.transports, vectors_uint(entry, "transports"));
        if (vectors_has(entry, "observed")) {
            assert_string_equal(endpoint_format(&decoded.observed).text,
                                vectors_text(entry, "observed"));
        } else {
            assert_int_equal(decoded.observed.ip_size, 0);
        }
    }
    vectors_close(vectors);
}

static void the_largest_payload_fits_and_every_shorter_one_is_refused(void **state)
{
    (void)state;
    struct identify identify = {.listen_port = 1, .transports = 3};
    struct identify decoded;
    uint8_t out[IDENTIFY_MAX_SIZE];
    assert_int_equal(endpoint_parse_ip("2001:db8::9", 9, &identify.observed), 0);
    for (; identify.address_count < IDENTIFY_MAX_ADDRESSES; identify.address_count++) {
        identify.addresses[identify.address_count] = identify.observed;
    }
    size_t size = identify_encode(&identify, out);
    assert_int_equal(size, IDENTIFY_MAX_SIZE);
    for (size_t i = 0; i <= size; i++) {
        bool whole = i >= size - 1; /* transports may be absent */
        assert_int_equal(identify_decode(bytes_make(out, i), &decoded), whole ? 0 : -EPROTO);
    }
    check_same(&decoded, &identify);
}

static void mapped_addresses_come_out_as_four_bytes(void **state)
{
    (void)state;
    static const uint8_t payload[] = {1, 0, 9,    1,    16, 0, 0, 0, 0, 0, 0, 0, 0,
                                      0, 0, 0xff, 0xff, 10, 0, 0, 1, 0, 5, 0, 1};
    struct identify decoded;
    assert_int_equal(identify_decode(bytes_make(payload, sizeof payload), &decoded), 0);
    assert_string_equal(endpoint_format(&decoded.addresses[0]).text, "10.0.0.1:5");
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_are_encoded_as_upstream_does),
        cmocka_unit_test(at_most_32_addresses_are_sent),
        cmocka_unit_test(payloads_are_accepted_and_refused_as_upstream_does),
        cmocka_unit_test(the_largest_payload_fits_and_every_shorter_one_is_refused),
        cmocka_unit_test(mapped_addresses_come_out_as_four_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
