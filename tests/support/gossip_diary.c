#include "gossip_diary.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

const struct peer_id diary_self = {{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                    11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                    22, 23, 24, 25, 26, 27, 28, 29, 30, 31}};

static int on_send(void *arg, const struct peer_id *to, struct bytes payload, bool is_message)
{
    struct diary *diary = arg;
    assert_int_equal(is_message, payload.data[0] == GOSSIP_PUBLISH);
    if (peer_id_equal(to, &diary->refuses)) {
        return -ENOBUFS;
    }
    diary->sent_bytes += payload.size;
    if (diary->sent_count < DIARY_MAX) {
        struct diary_frame *frame = &diary->sent[diary->sent_count];
        frame->to = *to;
        frame->size = payload.size;
        frame->payload = malloc(payload.size);
        memcpy(frame->payload, payload.data, payload.size);
    }
    diary->sent_count++;
    return 0;
}

static void put_text(char *to, size_t room, struct bytes from)
{
    (void)snprintf(to, room, "%.*s", (int)from.size, (const char *)from.data);
}

static void on_deliver(void *arg, const struct gossip_delivery *delivery)
{
    struct diary *diary = arg;
    diary->delivered++;
    diary->origin = delivery->origin;
    diary->from = *delivery->from;
    put_text(diary->topic, sizeof diary->topic, delivery->topic);
    put_text(diary->data, sizeof diary->data, delivery->data);
}

static void on_member(void *arg, struct bytes topic, const struct peer_id *peer, bool joined)
{
    struct diary *diary = arg;
    (void)topic;
    (void)peer;
    if (joined) {
        diary->joined++;
    } else {
        diary->left++;
    }
}

static bool validate(void *arg, const struct gossip_delivery *delivery)
{
    (void)delivery;
    return !((const struct diary *)arg)->rejects;
}

struct gossip_options diary_options(void)
{
    return (struct gossip_options){
        .self = diary_self,
        .first_number = UINT64_C(0x0102030405060708),
        .seed = {1, 2},
        .flood = 64,
        .cache_bytes = (size_t)16 << 20,
        .seen_ids = 131072,
        .topics = 16384,
        .topics_per_peer = 1024,
        .resend_bytes = (size_t)4 << 20,
    };
}

void diary_open(struct diary *diary, const struct gossip_options *options)
{
    static const struct gossip_callbacks callbacks = {
        .send = on_send,
        .deliver = on_deliver,
        .on_member = on_member,
        .validate = validate,
    };
    struct gossip_options ordinary = diary_options();
    memset(diary, 0, sizeof *diary);
    diary->now_ms = 5000;
    assert_int_equal(
        gossip_new(options == NULL ? &ordinary : options, &callbacks, diary, &diary->gossip), 0);
}

void diary_clear(struct diary *diary)
{
    for (size_t i = 0; i < diary->sent_count && i < DIARY_MAX; i++) {
        free(diary->sent[i].payload);
    }
    diary->sent_count = 0;
    diary->sent_bytes = 0;
}

void diary_close(struct diary *diary)
{
    diary_clear(diary);
    gossip_free(diary->gossip);
}

struct peer_id diary_peer(unsigned number)
{
    struct peer_id id = {{(uint8_t)(0x80u | number >> 8), (uint8_t)number, 0xff}};
    return id;
}

void diary_receive(struct diary *diary, const struct peer_id *from, enum gossip_op op,
                   const char *topic)
{
    uint8_t payload[256];
    struct writer writer;
    writer_init(&writer, payload, sizeof payload);
    gossip_write_topic(&writer, op, bytes_from_string(topic));
    gossip_receive(diary->gossip, from, writer_view(&writer), diary->now_ms);
}

void diary_receive_publish(struct diary *diary, const struct peer_id *from,
                           const struct peer_id *origin, uint64_t number, const char *topic,
                           const char *data)
{
    uint8_t payload[512];
    uint8_t id[GOSSIP_ID_SIZE];
    struct writer writer;
    writer_init(&writer, payload, sizeof payload);
    gossip_make_id(origin, number, id);
    gossip_write_publish(&writer, id, bytes_from_string(topic), bytes_from_string(data));
    gossip_receive(diary->gossip, from, writer_view(&writer), diary->now_ms);
}

void diary_beat(struct diary *diary)
{
    diary->now_ms += GOSSIP_HEARTBEAT_MS;
    gossip_heartbeat(diary->gossip, diary->now_ms);
}

size_t diary_count(const struct diary *diary, enum gossip_op op, const struct peer_id *to)
{
    size_t count = 0;
    assert_true(diary->sent_count <= DIARY_MAX);
    for (size_t i = 0; i < diary->sent_count; i++) {
        count += diary->sent[i].payload[0] == (uint8_t)op &&
                 (to == NULL || peer_id_equal(to, &diary->sent[i].to));
    }
    return count;
}
