#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/entry.h"

static const char *directory;
static const char origin[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

static struct entry entry_of(struct vectors *vectors, json_t *row)
{
    return (struct entry){
        .key = vectors_text_bytes(row, "key"),
        .type = (enum entry_type)vectors_uint(row, "type"),
        .deleted = vectors_bool(row, "deleted"),
        .timestamp_ms = vectors_uint(row, "timestamp_ms"),
        .origin = vectors_text_bytes(row, "origin"),
        .data = vectors_hex(vectors, row, "data"),
    };
}

static size_t encode(const struct entry *entry, uint8_t *out, size_t room)
{
    struct writer writer;
    writer_init(&writer, out, room);
    entry_encode(entry, &writer);
    assert_true(writer_ok(&writer));
    assert_int_equal(writer.size, entry_size(entry));
    return writer.size;
}

static int decode(const uint8_t *data, size_t size, struct entry *ret_entry, size_t *ret_left)
{
    struct reader reader;
    reader_init(&reader, bytes_make(data, size));
    int rc = entry_decode(&reader, ret_entry);
    *ret_left = reader_left(&reader);
    return rc;
}

static void check_same(const struct entry *a, const struct entry *b)
{
    assert_true(bytes_equal(a->key, b->key) && bytes_equal(a->origin, b->origin) &&
                bytes_equal(a->data, b->data));
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->deleted, b->deleted);
    assert_int_equal(a->timestamp_ms, b->timestamp_ms);
}

static void entries_are_encoded_as_upstream_does(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "storage.json");
    size_t i;
    json_t *row;
    json_array_foreach(vectors_array(vectors_root(vectors), "entries"), i, row)
    {
        uint8_t out[256];
        size_t left = 1;
        struct entry decoded;
        struct entry entry = entry_of(vectors, row);
        struct bytes expected = vectors_hex(vectors, row, "entry");
        size_t size = encode(&entry, out, sizeof out);
        assert_true(bytes_equal(bytes_make(out, size), expected));
        assert_int_equal(decode(out, size, &decoded, &left), 0);
        assert_int_equal(left, 0);
        check_same(&decoded, &entry);
    }
    assert_true(i >= 7);
    vectors_close(vectors);
}

/* Messages as they crossed between upstream nodes. */
static void messages_of_upstream_are_taken_apart(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "storage.json");
    size_t i;
    json_t *step;
    unsigned entries = 0;
    json_array_foreach(vectors_array(vectors_root(vectors), "steps"), i, step)
    {
        if (!vectors_has(step, "input")) {
            continue;
        }
        struct store_message message;
        struct bytes payload = vectors_hex(vectors, step, "input");
        bool bad = strstr(vectors_text(step, "step"), "bad CRC") != NULL;
        assert_int_equal(store_message_decode(payload, &message), 0);
        assert_true(message.opcode == STORE_ENTRY || message.opcode == STORE_SYNC_REQUEST);
        if (message.opcode == STORE_ENTRY) {
            struct entry entry;
            size_t left;
            assert_int_equal(message.count, 1);
            assert_int_equal(
                decode(payload.data + message.offset, payload.size - message.offset, &entry, &left),
                bad ? -EBADMSG : 0);
            assert_int_equal(left, 0);
            entries++;
        }
    }
    assert_true(entries >= 5);
    vectors_close(vectors);
}

static struct entry sample(void)
{
    return (struct entry){
        .key = bytes_from_string("key"),
        .type = ENTRY_STRING,
        .timestamp_ms = 1700000000000,
        .origin = bytes_from_string(origin),
        .data = bytes_from_string("value"),
    };
}

static void every_shorter_entry_is_none(void **state)
{
    (void)state;
    uint8_t out[256];
    struct entry decoded = {.timestamp_ms = 7};
    struct entry entry = sample();
    size_t left;
    size_t size = encode(&entry, out, sizeof out);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(decode(out, i, &decoded, &left), -EPROTO);
        assert_int_equal(decoded.timestamp_ms, 7);
    }
}

static void a_wrong_length_ends_the_list_and_a_wrong_checksum_skips_one(void **state)
{
    (void)state;
    uint8_t out[512];
    struct entry decoded;
    struct entry entry = sample();
    size_t left;
    size_t size = encode(&entry, out, sizeof out);
    assert_int_equal(encode(&entry, out + size, sizeof out - size), size);
    out[size - 1] ^= 1;
    assert_int_equal(decode(out, 2 * size, &decoded, &left), -EBADMSG);
    assert_int_equal(left, size);
    assert_int_equal(decode(out + size, size, &decoded, &left), 0);
    out[3]++;
    assert_int_equal(decode(out, 2 * size, &decoded, &left), -EPROTO);
    memset(out + 4, 0xff, 4); /* a key of 4 GiB */
    assert_int_equal(decode(out, 2 * size, &decoded, &left), -EPROTO);
}

static void check_refused(const struct entry *entry)
{
    uint8_t out[512];
    struct entry decoded;
    size_t left;
    size_t size = encode(entry, out, sizeof out);
    assert_int_equal(decode(out, size, &decoded, &left), -EINVAL);
    assert_int_equal(left, 0);
}

static void what_no_node_writes_is_refused(void **state)
{
    (void)state;
    struct entry entry = sample();
    entry.type = (enum entry_type)0;
    check_refused(&entry);
    entry.type = (enum entry_type)6;
    check_refused(&entry);
    entry.type = ENTRY_INT64; /* of five bytes */
    check_refused(&entry);
    entry = sample();
    entry.deleted = true; /* with a value */
    check_refused(&entry);
    entry = sample();
    entry.key = bytes_make("a\0b", 3);
    check_refused(&entry);
    entry.key = bytes_make("\xff", 1);
    check_refused(&entry);
    entry.key = bytes_make(NULL, 0);
    check_refused(&entry);
    entry = sample();
    entry.origin = bytes_make(origin, 63);
    check_refused(&entry);
    entry.origin =
        bytes_from_string("A00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    check_refused(&entry);
}

static void a_flag_that_is_neither_yes_nor_no_is_refused(void **state)
{
    (void)state;
    uint8_t out[256];
    struct entry decoded;
    struct entry entry = sample();
    size_t left;
    size_t size = encode(&entry, out, sizeof out);
    out[4 + 4 + 3 + 1] = 2;
    assert_int_equal(decode(out, size, &decoded, &left), -EINVAL);
    assert_int_equal(left, 0);
}

static void only_three_opcodes_are_messages(void **state)
{
    (void)state;
    struct store_message message;
    for (unsigned op = 0; op < 256; op++) {
        uint8_t payload[5] = {(uint8_t)op, 0, 0, 0, 9};
        bool known = op >= STORE_ENTRY && op <= STORE_SYNC_RESPONSE;
        assert_int_equal(store_message_decode(bytes_make(payload, 5), &message),
                         known ? 0 : -EPROTO);
    }
    assert_int_equal(store_message_decode(bytes_make("\3\0\0\0", 4), &message), -EPROTO);
    assert_int_equal(store_message_decode(bytes_make("\3\0\0\1\0", 5), &message), 0);
    assert_int_equal(message.count, 256);
    assert_int_equal(message.offset, STORE_LIST_HEADER);
    assert_int_equal(store_message_decode(bytes_make(NULL, 0), &message), -EPROTO);
}

static void numbers_have_eight_bytes_and_other_values_any_size(void **state)
{
    (void)state;
    assert_true(entry_fits_type(ENTRY_INT64, 8) && entry_fits_type(ENTRY_DOUBLE, 8));
    assert_false(entry_fits_type(ENTRY_INT64, 7) || entry_fits_type(ENTRY_DOUBLE, 0));
    assert_true(entry_fits_type(ENTRY_BINARY, 0) && entry_fits_type(ENTRY_JSON, 1000));
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_encoded_as_upstream_does),
        cmocka_unit_test(messages_of_upstream_are_taken_apart),
        cmocka_unit_test(every_shorter_entry_is_none),
        cmocka_unit_test(a_wrong_length_ends_the_list_and_a_wrong_checksum_skips_one),
        cmocka_unit_test(what_no_node_writes_is_refused),
        cmocka_unit_test(a_flag_that_is_neither_yes_nor_no_is_refused),
        cmocka_unit_test(only_three_opcodes_are_messages),
        cmocka_unit_test(numbers_have_eight_bytes_and_other_values_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
