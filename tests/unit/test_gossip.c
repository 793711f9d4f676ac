#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/gossip.h"

static const char *directory;

/* Encodes what was decoded. */
static struct bytes encode_again(const struct gossip_frame *frame, uint8_t *out, size_t room)
{
    struct writer writer;
    writer_init(&writer, out, room);
    switch (frame->op) {
    case GOSSIP_PUBLISH:
        gossip_write_publish(&writer, frame->id.data, frame->topic, frame->data);
        break;
    case GOSSIP_IHAVE:
        gossip_write_ihave(&writer, frame->topic, frame->ids);
        break;
    case GOSSIP_IWANT:
        gossip_write_iwant(&writer, frame->ids);
        break;
    case GOSSIP_SUBSCRIBE:
    case GOSSIP_UNSUBSCRIBE:
    case GOSSIP_GRAFT:
    case GOSSIP_PRUNE:
        gossip_write_topic(&writer, frame->op, frame->topic);
        break;
    }
    assert_true(writer_ok(&writer));
    return writer_view(&writer);
}

static void payloads_of_upstream_are_read_and_written_alike(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "pubsub.json");
    unsigned seen[7] = {0};
    size_t i;
    json_t *step;
    json_array_foreach(vectors_array(vectors_root(vectors), "steps"), i, step)
    {
        size_t j;
        json_t *sent;
        json_array_foreach(json_object_get(step, "sent"), j, sent)
        {
            struct bytes payload = vectors_hex(vectors, sent, "payload");
            struct gossip_frame frame;
            uint8_t out[1024];
            assert_int_equal(gossip_decode(payload, &frame), 0);
            assert_true(bytes_equal(encode_again(&frame, out, sizeof out), payload));
            seen[frame.op]++;
        }
    }
    for (size_t op = 0; op < 7; op++) {
        assert_true(seen[op] > 0);
    }
    vectors_close(vectors);
}

/* Each op, with nothing to spare. */
static const struct {
    const char *bytes;
    size_t size;
    size_t least; /* how much of it is needed */
} whole[] = {
    {"\0"
     "oooooooooooooooooooooooooooooooo"
     "nnnnnnnn"
     "\0\2ab"
     "data",
     49, 45},
    {"\1\0\2ab", 5, 5},
    {"\2\0\2ab", 5, 5},
    {"\3\0\2ab", 5, 5},
    {"\4\0\2ab", 5, 5},
    {"\5\0\2ab\0\1"
     "oooooooooooooooooooooooooooooooo"
     "nnnnnnnn",
     47, 47},
    {"\6\0\1"
     "oooooooooooooooooooooooooooooooo"
     "nnnnnnnn",
     43, 43},
};

static void a_frame_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        for (size_t size = 0; size <= whole[i].size; size++) {
            struct gossip_frame frame = {.op = GOSSIP_IWANT};
            int expected = size >= whole[i].least ? 0 : -EPROTO;
            assert_int_equal(gossip_decode(bytes_make(whole[i].bytes, size), &frame), expected);
            assert_int_equal(frame.op, expected == 0 ? (int)i : GOSSIP_IWANT);
        }
    }
}

static void bytes_after_a_control_message_are_ignored(void **state)
{
    (void)state;
    struct gossip_frame frame;
    assert_int_equal(gossip_decode(bytes_make("\4\0\2ab\xff\xff\xff\xff", 9), &frame), 0);
    assert_true(bytes_equal(frame.topic, bytes_from_string("ab")));
    assert_int_equal(gossip_decode(bytes_make("\6\0\0zz", 5), &frame), 0);
    assert_int_equal(frame.ids.size, 0);
}

static void an_empty_topic_is_only_known_to_publish(void **state)
{
    (void)state;
    uint8_t payload[64] = {0};
    struct gossip_frame frame;
    assert_int_equal(gossip_decode(bytes_make(payload, GOSSIP_PUBLISH_MIN), &frame), 0);
    assert_int_equal(frame.topic.size, 0);
    for (uint8_t op = 1; op < 6; op++) {
        payload[0] = op;
        assert_int_equal(gossip_decode(bytes_make(payload, sizeof payload), &frame), -EPROTO);
    }
}

static void unknown_ops_are_refused(void **state)
{
    (void)state;
    struct gossip_frame frame;
    uint8_t payload[64] = {0, 0, 1, 'x'};
    for (unsigned op = 7; op < 256; op++) {
        payload[0] = (uint8_t)op;
        assert_int_equal(gossip_decode(bytes_make(payload, sizeof payload), &frame), -EPROTO);
    }
}

static void an_id_is_its_origin_and_a_big_endian_number(void **state)
{
    (void)state;
    struct peer_id origin = {{1, 2, 3}};
    uint8_t id[GOSSIP_ID_SIZE];
    gossip_make_id(&origin, UINT64_C(0x0102030405060708), id);
    assert_memory_equal(id, origin.bytes, PEER_ID_SIZE);
    assert_memory_equal(id + PEER_ID_SIZE, "\1\2\3\4\5\6\7\10", 8);
    struct peer_id read = gossip_origin(bytes_make(id, sizeof id));
    assert_true(peer_id_equal(&read, &origin));
}

static void the_longest_topic_and_most_ids_fit(void **state)
{
    (void)state;
    size_t room = 5 + GOSSIP_MAX_TOPIC + (size_t)GOSSIP_MAX_IDS * GOSSIP_ID_SIZE;
    uint8_t *out = test_calloc(1, room);
    uint8_t *ids = test_calloc(GOSSIP_MAX_IDS, GOSSIP_ID_SIZE);
    struct bytes topic = bytes_make(ids, GOSSIP_MAX_TOPIC);
    struct writer writer;
    struct gossip_frame frame;
    writer_init(&writer, out, room);
    gossip_write_ihave(&writer, topic, bytes_make(ids, (size_t)GOSSIP_MAX_IDS * GOSSIP_ID_SIZE));
    assert_true(writer_ok(&writer));
    assert_int_equal(writer.size, room);
    assert_int_equal(gossip_decode(writer_view(&writer), &frame), 0);
    assert_int_equal(frame.topic.size, GOSSIP_MAX_TOPIC);
    assert_int_equal(frame.ids.size, (size_t)GOSSIP_MAX_IDS * GOSSIP_ID_SIZE);
    test_free(ids);
    test_free(out);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_of_upstream_are_read_and_written_alike),
        cmocka_unit_test(a_frame_cut_short_anywhere_is_refused),
        cmocka_unit_test(bytes_after_a_control_message_are_ignored),
        cmocka_unit_test(an_empty_topic_is_only_known_to_publish),
        cmocka_unit_test(unknown_ops_are_refused),
        cmocka_unit_test(an_id_is_its_origin_and_a_big_endian_number),
        cmocka_unit_test(the_longest_topic_and_most_ids_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
