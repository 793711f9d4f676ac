#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/pex_frame.h"

static const char *directory;

static void everything_upstream_sends_is_read_and_written_back(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "pex.json");
    size_t i;
    json_t *step;
    unsigned count = 0;
    json_array_foreach(vectors_array(vectors_root(vectors), "steps"), i, step)
    {
        json_t *sent = json_array_get(json_object_get(step, "sent"), 0);
        if (sent == NULL) {
            continue;
        }
        struct pex_frame frame;
        uint8_t out[PEX_MAX_SIZE];
        struct bytes payload = vectors_hex(vectors, sent, "payload");
        assert_int_equal(pex_frame_decode(payload, &frame), 0);
        assert_true(bytes_equal(bytes_make(out, pex_frame_encode(&frame, out)), payload));
        count++;
    }
    assert_int_equal(count, 3);
    vectors_close(vectors);
}

/* Of the endpoints upstream dialed each is an entry of what it was given. */
static void responses_name_what_upstream_dialed(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "pex.json");
    size_t i;
    json_t *step;
    unsigned found = 0;
    json_array_foreach(vectors_array(vectors_root(vectors), "steps"), i, step)
    {
        const char *dialed = json_string_value(json_array_get(json_object_get(step, "dials"), 0));
        struct pex_frame frame;
        if (dialed == NULL) {
            continue;
        }
        assert_int_equal(pex_frame_decode(vectors_hex(vectors, step, "input"), &frame), 0);
        assert_int_equal(frame.op, PEX_RESPONSE);
        for (size_t at = 0; at < frame.entry_count; at++) {
            found += strcmp(endpoint_format(&frame.entries[at].address).text, dialed) == 0;
        }
    }
    assert_int_equal(found, 2);
    vectors_close(vectors);
}

static void requests_say_how_many(void **state)
{
    (void)state;
    static const uint8_t request[] = {1, 0, 0x12, 0x34, 99};
    struct pex_frame frame;
    assert_int_equal(pex_frame_decode(bytes_make(request, 4), &frame), 0);
    assert_int_equal(frame.op, PEX_REQUEST);
    assert_int_equal(frame.max, 0x1234);
    assert_int_equal(pex_frame_decode(bytes_make(request, 5), &frame), 0);
    assert_int_equal(pex_frame_decode(bytes_make(request, 3), &frame), -EPROTO);
}

static void other_versions_and_operations_are_ignored(void **state)
{
    (void)state;
    struct pex_frame frame;
    for (unsigned value = 0; value < 256; value++) {
        const uint8_t version[] = {(uint8_t)value, 0, 0, 1};
        const uint8_t operation[] = {1, (uint8_t)value, 0, 0};
        assert_int_equal(pex_frame_decode(bytes_make(version, 4), &frame),
                         value == 1 ? 0 : -EPROTO);
        assert_int_equal(pex_frame_decode(bytes_make(operation, 4), &frame),
                         value < 2 ? 0 : -EPROTO);
    }
}

static struct pex_frame full_response(void)
{
    struct pex_frame frame = {.op = PEX_RESPONSE, .entry_count = PEX_MAX_ENTRIES};
    for (size_t i = 0; i < PEX_MAX_ENTRIES; i++) {
        const uint8_t ip[16] = {0x20, 1, [15] = (uint8_t)i};
        frame.entries[i].address.port = (uint16_t)(1000 + i);
        assert_int_equal(
            endpoint_set_ip(&frame.entries[i].address, bytes_make(ip, i % 2 == 0 ? 16 : 4)), 0);
        frame.entries[i].id.bytes[0] = (uint8_t)i;
    }
    return frame;
}

static void a_response_ends_where_an_entry_is_cut_or_malformed(void **state)
{
    (void)state;
    uint8_t out[PEX_MAX_SIZE];
    struct pex_frame sent = full_response();
    struct pex_frame frame;
    size_t size = pex_frame_encode(&sent, out);
    size_t before = 0;
    for (size_t cut = 4; cut <= size; cut++) {
        assert_int_equal(pex_frame_decode(bytes_make(out, cut), &frame), 0);
        assert_in_range(frame.entry_count, before, before + 1);
        before = frame.entry_count;
    }
    assert_int_equal(before, PEX_MAX_ENTRIES);
    out[4 + 51] = 5; /* the second entry's ip_len */
    assert_int_equal(pex_frame_decode(bytes_make(out, size), &frame), 0);
    assert_int_equal(frame.entry_count, 1);
}

static void no_more_than_32_entries_are_read(void **state)
{
    (void)state;
    uint8_t out[PEX_MAX_SIZE + 100] = {0};
    struct pex_frame sent = full_response();
    struct pex_frame frame;
    size_t size = pex_frame_encode(&sent, out);
    out[2] = 0xff;
    out[3] = 0xff;
    memcpy(out + size, out + 4, 51);
    assert_int_equal(pex_frame_decode(bytes_make(out, size + 51), &frame), 0);
    assert_int_equal(frame.entry_count, PEX_MAX_ENTRIES);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : "tests/vectors";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_upstream_sends_is_read_and_written_back),
        cmocka_unit_test(responses_name_what_upstream_dialed),
        cmocka_unit_test(requests_say_how_many),
        cmocka_unit_test(other_versions_and_operations_are_ignored),
        cmocka_unit_test(a_response_ends_where_an_entry_is_cut_or_malformed),
        cmocka_unit_test(no_more_than_32_entries_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
