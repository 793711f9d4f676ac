"""What a program hears through librats of a Python peer's topics, and the peer of it (wire-services 1)."""
import os
import struct
import sys

import pytest
from daemons import ROOT, librats_path, wait_until
from peering import wire

os.environ.setdefault("LIBRATS_LIBRARY", librats_path())
sys.path.insert(0, os.path.join(ROOT, "python"))

from librats_py import RatsClient  # noqa: E402

PUBLISH, SUBSCRIBE, UNSUBSCRIBE, GRAFT, PRUNE = range(5)


def named(op, topic):
    return struct.pack(">BH", op, len(topic)) + topic


def published(origin, number, topic, data):
    return (bytes([PUBLISH]) + bytes.fromhex(origin) + struct.pack(">QH", number, len(topic)) +
            topic + data)


def decode_published(payload):
    """(origin, topic, data)"""
    (size,) = struct.unpack_from(">H", payload, 41)
    return payload[1:33].hex(), payload[43:43 + size], payload[43 + size:]


def wait_op(link, op):
    while True:
        payload = link.wait(wire.GOSSIP).payload
        if payload[0] == op:
            return payload


@pytest.fixture
def heard(shared_daemon, peers):
    """A client that notes what its callbacks for the topic news say, a node, and its link."""
    notes = []
    node = peers.node()
    link = peers.dial(shared_daemon, node)
    with RatsClient(socket_path=shared_daemon.socket) as client:
        def note(kind):
            return lambda *what: notes.append((kind,) + what)
        client.set_topic_message_callback("news", note("text"))
        client.set_topic_json_message_callback("news", note("json"))
        client.set_topic_binary_callback("news", note("bytes"))
        client.set_topic_peer_joined_callback("news", note("joined"))
        client.set_topic_peer_left_callback("news", note("left"))
        client.start()
        client.subscribe_to_topic("news")
        wait_until(lambda: node.id in client.get_peer_ids(), "the peer is known")
        yield client, notes, node, link
    link.close()


def expect(notes, *expected):
    wait_until(lambda: len(notes) >= len(expected), "%d callbacks" % len(expected))
    assert notes == list(expected)
    notes.clear()


def test_a_peer_joins_publishes_and_leaves(heard, peers):
    _, notes, node, link = heard
    assert wait_op(link, SUBSCRIBE) == named(SUBSCRIBE, b"news")
    link.send_message(wire.GOSSIP, named(SUBSCRIBE, b"news"))
    link.send_message(wire.GOSSIP, named(SUBSCRIBE, b"other"))
    expect(notes, ("joined", node.id, "news"))
    link.send_message(wire.GOSSIP, published(node.id, 1, b"news", b"hello"))
    link.send_message(wire.GOSSIP, published(node.id, 2, b"other", b"not for us"))
    link.send_message(wire.GOSSIP, published(node.id, 1, b"news", b"hello"))  # again
    stranger = peers.node().id  # whose word this peer passes on
    link.send_message(wire.GOSSIP, published(stranger, 1, b"news", b"[1]"))
    expect(notes, ("text", node.id, "news", "hello"), ("bytes", node.id, "news", b"hello"),
           ("text", stranger, "news", "[1]"), ("json", stranger, "news", [1]),
           ("bytes", stranger, "news", b"[1]"))
    link.send_message(wire.GOSSIP, named(UNSUBSCRIBE, b"news"))
    expect(notes, ("left", node.id, "news"))
    link.send_message(wire.GOSSIP, named(SUBSCRIBE, b"news"))
    expect(notes, ("joined", node.id, "news"))
    link.close()
    expect(notes, ("left", node.id, "news"))


def test_a_peer_is_told_and_gets_what_is_published(heard, shared_daemon):
    client, notes, node, link = heard
    link.send_message(wire.GOSSIP, named(SUBSCRIBE, b"news"))
    expect(notes, ("joined", node.id, "news"))
    assert wait_op(link, GRAFT) == named(GRAFT, b"news")
    assert client.get_topic_peers("news") == client.get_topic_mesh_peers("news") == [node.id]
    for data in (b"", "grüße".encode("utf-8"), bytes(100000)):
        client.publish_binary_to_topic("news", data)
        assert decode_published(wait_op(link, PUBLISH)) == (shared_daemon.peer_id, b"news", data)
    client.publish_json_to_topic("news", {"a": 1})
    assert decode_published(wait_op(link, PUBLISH))[2] == b'{"a": 1}'
    assert notes == []
    client.stop()
    assert wait_op(link, UNSUBSCRIBE) == named(UNSUBSCRIBE, b"news")
    client.start()
    client.subscribe_to_topic("news")
    assert wait_op(link, SUBSCRIBE) == named(SUBSCRIBE, b"news")


def test_the_longest_topic_and_the_largest_message(heard, shared_daemon):
    client, notes, node, link = heard
    topic = "t" * 4096
    link.send_message(wire.GOSSIP, named(SUBSCRIBE, topic.encode()))
    wait_until(lambda: client.get_topic_peers(topic) == [node.id], "the topic is known")
    data = b"x" * (wire.MAX_PAYLOAD - 43 - 4096)
    client.publish_binary_to_topic(topic, data)
    while True:
        message = link.wait(wire.GOSSIP, 60)
        if message.payload[0] == PUBLISH:
            break
    assert decode_published(message.payload) == (shared_daemon.peer_id, topic.encode(), data)
