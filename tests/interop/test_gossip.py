"""Topics between ratsd and Python peers (wire-services 1), in both roles of every exchange."""
import json
import os
import random
import time

import gossip
import pytest
from daemons import ROOT, wait_until
from peering import peer_ids, wire

with open(os.path.join(ROOT, "tests", "vectors", "pubsub.json"), encoding="utf-8") as file:
    VECTORS = json.load(file)

NEWS = b"news"
FAR = "ab" * 32  # a publisher nobody is connected to


def say(link, payload):
    link.send_message(wire.GOSSIP, payload)


def hear(link, op=None, timeout=wire.TIMEOUT_S):
    """The next frame about topics, or the next with that op."""
    deadline = time.monotonic() + timeout
    while True:
        frame = gossip.decode(link.wait(wire.GOSSIP, deadline - time.monotonic()).payload)
        if op is None or frame.op == op:
            return frame


def hears_nothing_more(link):
    """What the daemon said up to now, by asking for a message that tells it from what comes later."""
    say(link, gossip.control(gossip.GRAFT, b"the end of it"))
    heard = []
    while not heard or heard[-1] != gossip.Frame(gossip.PRUNE, b"the end of it"):
        heard.append(hear(link))
    return heard[:-1]


def statistics(client):
    return client.call("topic.statistics")


@pytest.fixture
def subscribed(linked):
    """As linked, and both subscribe to news; the daemon has grafted the node."""
    client, node, link = linked
    client.subscribe("news")
    assert hear(link) == gossip.Frame(gossip.SUBSCRIBE, NEWS)
    say(link, gossip.control(gossip.SUBSCRIBE, NEWS))
    assert hear(link) == gossip.Frame(gossip.GRAFT, NEWS)
    assert client.wait_event("topic.joined") == {"peer": node.id, "topic": "news"}
    return client, node, link


def join(daemon, peers, client, topic=NEWS):
    """Another node that subscribes, and its link, once the daemon knows; the daemon may have grafted it."""
    node = peers.node()
    link = peers.dial(daemon, node)
    say(link, gossip.control(gossip.SUBSCRIBE, topic))
    wait_until(lambda: node.id in client.call("topic.peers", {"topic": topic.decode()})["peers"],
               "the daemon knows the subscriber")
    return node, link


def test_messages_both_ways(subscribed):
    client, node, link = subscribed
    for number, data in enumerate((b"", b"hello", bytes(range(256)), b"\xff" * 300000)):
        say(link, gossip.publish(node.id, number, NEWS, data))
        assert client.wait_message() == (node.id, "news", data, node.id, 0)
        assert client.publish("news", data) == 1
        frame = hear(link, gossip.PUBLISH)
        assert (frame.topic, frame.data) == (NEWS, data)
        assert frame.ids[0][:32].hex() == client.info["peer_id"]
    assert client.call("topic.mesh", {"topic": "news"})["peers"] == [node.id]


def test_numbers_go_up_by_one(subscribed):
    client, _, link = subscribed
    numbers = []
    for _ in range(3):
        client.publish("news", b"x")
        client.publish("nobody", b"x")
        numbers.append(int.from_bytes(hear(link, gossip.PUBLISH).ids[0][32:], "big"))
    assert [(n - numbers[0]) % 2**64 for n in numbers] == [0, 2, 4]


def test_what_upstream_sent_is_heard_as_recorded(subscribed):
    client, _, link = subscribed
    step = next(s for s in VECTORS["steps"] if "input_from_B" in s and "delivered" in s)
    say(link, bytes.fromhex(step["input_from_B"]))
    message = client.wait_message()
    assert (message.peer, message.body) == (VECTORS["peer_ids"]["D"], b"X!")


def test_a_message_is_forwarded_unchanged_and_once(shared_daemon, peers, subscribed):
    client, node, link = subscribed
    other, away = join(shared_daemon, peers, client)
    assert hear(away, gossip.GRAFT).topic == NEWS
    payload = gossip.publish(FAR, 5, NEWS, b"of somebody else")
    say(link, payload)
    while True:
        message = away.wait(wire.GOSSIP)
        if message.payload[0] == gossip.PUBLISH:
            break
    assert message.payload == payload
    say(away, payload)
    assert client.wait_message() == (FAR, "news", b"of somebody else", node.id, 0)
    assert gossip.PUBLISH not in [frame.op for frame in hears_nothing_more(link)]
    client.call("log.get_level")
    assert not client.messages
    assert statistics(client)["duplicates"] > 0
    away.close()
    wait_until(lambda: other.id not in peer_ids(client), "the peer is gone")


def test_a_missed_message_is_offered_and_sent_again(shared_daemon, peers, subscribed):
    client, _, link = subscribed
    other, away = join(shared_daemon, peers, client)
    hear(away, gossip.GRAFT)
    say(away, gossip.control(gossip.PRUNE, NEWS))
    wait_until(lambda: other.id not in client.call("topic.mesh", {"topic": "news"})["peers"],
               "it has left the mesh")
    payload = gossip.publish(FAR, 7, NEWS, b"missed")
    say(link, payload)
    missed = gossip.message_id(FAR, 7)
    while missed not in hear(away, gossip.IHAVE).ids:  # of earlier messages, maybe
        pass
    say(away, gossip.iwant([gossip.message_id(FAR, 99), missed]))
    assert hear(away, gossip.PUBLISH).data == b"missed"
    away.close()
    wait_until(lambda: other.id not in peer_ids(client), "the peer is gone")


def test_a_message_it_missed_is_asked_for(subscribed):
    client, node, link = subscribed
    known, missed = gossip.message_id(FAR, 11), gossip.message_id(FAR, 12)
    say(link, gossip.publish(FAR, 11, NEWS, b"known"))
    assert client.wait_message().body == b"known"
    before = statistics(client)["recovered"]
    say(link, gossip.ihave(NEWS, [known, missed]))
    assert hear(link, gossip.IWANT).ids == (missed,)
    say(link, gossip.publish(FAR, 12, NEWS, b"missed"))
    assert client.wait_message() == (FAR, "news", b"missed", node.id, 0)
    assert statistics(client)["recovered"] == before + 1


def test_a_graft_is_taken_and_a_prune_left_alone(linked):
    client, node, link = linked
    client.subscribe("news")
    hear(link, gossip.SUBSCRIBE)
    say(link, gossip.control(gossip.GRAFT, NEWS))  # without SUBSCRIBE
    assert client.wait_event("topic.joined")["peer"] == node.id
    assert client.call("topic.mesh", {"topic": "news"})["peers"] == [node.id]
    say(link, gossip.control(gossip.PRUNE, NEWS))
    say(link, gossip.control(gossip.GRAFT, b"another"))
    assert hear(link) == gossip.Frame(gossip.PRUNE, b"another")
    deadline = time.monotonic() + 3.5
    with pytest.raises(TimeoutError):  # upstream would be grafted again at each heartbeat
        hear(link, gossip.GRAFT, deadline - time.monotonic())
    assert client.call("topic.mesh", {"topic": "news"})["peers"] == []
    assert client.call("topic.peers", {"topic": "news"})["peers"] == [node.id]


def test_unsubscribing_is_told_and_leaves_the_mesh(subscribed):
    client, node, link = subscribed
    client.call("topic.unsubscribe", {"topic": "news"})
    assert hear(link) == gossip.Frame(gossip.UNSUBSCRIBE, NEWS)
    assert hear(link) == gossip.Frame(gossip.PRUNE, NEWS)
    say(link, gossip.publish(node.id, 1, NEWS, b"too late"))
    assert hears_nothing_more(link) == []
    client.call("log.get_level")
    assert not client.messages


def test_subscriptions_are_told_to_whoever_connects(shared_daemon, peers):
    client = shared_daemon.client().subscribe("one", "two")
    link = peers.dial(shared_daemon)
    assert {hear(link), hear(link)} == {gossip.Frame(gossip.SUBSCRIBE, b"one"),
                                        gossip.Frame(gossip.SUBSCRIBE, b"two")}
    link.close()
    client.close()


def test_a_peer_that_leaves_is_told_of(subscribed):
    client, node, link = subscribed
    link.close()
    assert client.wait_event("topic.left") == {"peer": node.id, "topic": "news"}


def test_fanout_and_flooding_reach_fifty_subscribers(daemon, peers):
    """They know only the publisher, which does not subscribe, and then does."""
    server = daemon()
    client = server.client()
    links = [join(server, peers, client)[1] for _ in range(50)]
    client.call("session.start")
    assert client.publish("news", b"fanout") == 50
    client.subscribe("news")
    assert client.publish("news", b"mesh") == 50
    for link in links:
        assert [hear(link, gossip.PUBLISH).data for _ in range(2)] == [b"fanout", b"mesh"]
    row = client.call("topic.all")["topics"][0]
    assert (row["topic"], row["subscribers"], row["sessions"]) == ("news", 50, 1)
    assert 4 <= row["mesh"] <= 12


# --- hostile ones ---

def test_our_own_id_cannot_be_claimed(subscribed):
    client, node, link = subscribed
    say(link, gossip.publish(client.info["peer_id"], 1, NEWS, b"as if from us"))
    say(link, gossip.ihave(NEWS, [gossip.message_id(client.info["peer_id"], 2)]))
    say(link, gossip.publish(node.id, 1, NEWS, b"honest"))
    assert client.wait_message().body == b"honest"
    assert gossip.IWANT not in [frame.op for frame in hears_nothing_more(link)]


def test_somebody_elses_bytes_do_not_hide_a_message(shared_daemon, peers, subscribed):
    client, node, link = subscribed
    other, away = join(shared_daemon, peers, client)
    say(away, gossip.publish(node.id, 21, NEWS, b"poison"))
    assert client.wait_message() == (node.id, "news", b"poison", other.id, 0)
    say(link, gossip.publish(node.id, 21, NEWS, b"the message"))
    assert client.wait_message() == (node.id, "news", b"the message", node.id, 0)
    away.close()
    wait_until(lambda: other.id not in peer_ids(client), "the peer is gone")


def hostile_frames():
    """Every op, whole, cut, with lies about sizes, and noise."""
    source = random.Random(4711)
    whole = [gossip.publish(FAR, 1, NEWS, b"data"), gossip.ihave(NEWS, [bytes(40)] * 3),
             gossip.iwant([bytes(40)] * 3)]
    whole += [gossip.control(op, NEWS) for op in range(1, 5)]
    frames = [frame[:size] for frame in whole for size in range(len(frame) + 1)]
    frames += [bytes([op]) + b"\xff\xff" + tail for op in range(8)
               for tail in (b"", b"x", b"x" * 65535, b"x" * 70000)]
    frames += [bytes([op]) + b"\0\0" for op in range(256)]
    frames += [gossip.iwant([bytes(40)])[:3] + bytes(40), b"\6\xff\xff" + bytes(65535 * 40)]
    for _ in range(2000):
        frame = bytearray(source.choice(whole))
        for _ in range(source.randrange(1, 6)):
            frame[source.randrange(len(frame))] = source.randrange(256)
        frames.append(bytes(frame))
    return frames


def test_hostile_frames_of_every_op_are_survived(subscribed):
    client, node, link = subscribed
    for frame in hostile_frames():
        say(link, frame)
    say(link, gossip.control(gossip.SUBSCRIBE, NEWS))
    say(link, gossip.publish(node.id, 4711, NEWS, b"still there"))
    while client.wait_message().body != b"still there":
        pass
    assert node.id in peer_ids(client)
    assert client.publish("news", b"x") == 1


def test_ten_thousand_topics_of_one_peer(daemon, peers):
    server = daemon()
    client = server.client()
    client.call("log.get_level")
    before = server.rss_kib()
    link = peers.dial(server)
    for number in range(10000):
        say(link, gossip.control(gossip.SUBSCRIBE, b"topic %d" % number))
    hears_nothing_more(link)
    answer = client.call("topic.all", {"limit": 10000})
    assert answer["known"] == len(answer["topics"]) == 1024
    assert server.rss_kib() - before < 65536
    client.subscribe("ours")  # there is always room for what is shared
    say(link, gossip.control(gossip.SUBSCRIBE, b"ours"))
    assert client.wait_event("topic.joined")["topic"] == "ours"
    link.close()
    wait_until(lambda: client.call("topic.all")["known"] == 1, "the strangers' topics are gone")


def test_a_storm_of_grafts_and_of_joining(subscribed):
    client, _, link = subscribed
    block = b"".join(link.seal(wire.encode_message(wire.GOSSIP, gossip.control(op, NEWS)))
                     for op in (gossip.PRUNE, gossip.GRAFT, gossip.UNSUBSCRIBE, gossip.SUBSCRIBE) * 50)
    link.send(block)
    for _ in range(20):
        link.send(b"".join(link.seal(wire.encode_message(
            wire.GOSSIP, gossip.control(gossip.GRAFT, b"nobody's")))for _ in range(200)))
    client.call("log.get_level")
    told = [head for head in client.events if head["v"].startswith("topic.")]
    assert len(told) <= 10
    assert client.publish("news", b"x") <= 1


def test_asking_for_much_is_answered_little(subscribed):
    """IWANT as an amplifier: 43 bytes ask for 100,000, a thousand times over."""
    client, node, link = subscribed
    for number in range(3):
        say(link, gossip.publish(node.id, 50 + number, NEWS, bytes(100000)))
        client.wait_message()
    wanted = gossip.iwant([gossip.message_id(node.id, 50 + n) for n in range(3)])
    for _ in range(1000):
        say(link, wanted)
    frames = hears_nothing_more(link)
    sent = sum(len(frame.data) for frame in frames if frame.op == gossip.PUBLISH)
    assert 0 < sent <= 6 * 4 * 1024 * 1024  # 4 MiB a second while they are kept, of 300 MB asked for
    assert client.publish("news", b"x") == 1


def test_a_subscriber_that_does_not_read_stops_nobody(daemon, peers):
    server = daemon()
    client = server.client().subscribe("news")
    _, reader = join(server, peers, client)
    _, stuck = join(server, peers, client)
    count, size = 400, 100000
    for number in range(count):
        client.send_message("0" * 64, "news", b"%06d" % number + bytes(size), plane=3)
        if number % 10 == 9:  # the reader keeps up
            for back in range(9, -1, -1):
                assert hear(reader, gossip.PUBLISH).data[:6] == b"%06d" % (number - back)
    assert statistics(client)["dropped"] > 0
    assert stuck.is_open()
