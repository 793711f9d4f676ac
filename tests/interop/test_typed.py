"""Typed JSON messages between ratsd and a Python peer (wire-services 2)."""
import json
import os
import struct

import pytest
import ratsipc
from daemons import ROOT
from peering import wire

with open(os.path.join(ROOT, "tests", "vectors", "typed_json.json"), encoding="utf-8") as file:
    VECTORS = json.load(file)


def typed(name, text):
    name = name.encode("utf-8")
    return struct.pack(">H", len(name)) + name + text


@pytest.mark.parametrize("name", ["chat", "", "café", "x" * 4096, "rats.json"],
                         ids=lambda name: name[:8])
def test_messages_of_a_type_both_ways(linked, name):
    client, node, link = linked
    client.listen_types(name)
    for text in (b"", b"1", b'{"a":[1,2.0,null]}', b"\xff not JSON", bytes(100000)):
        link.send_message(wire.TYPED, typed(name, text))
        assert client.wait_message() == (node.id, name, text, ratsipc.TYPED, 0)
        assert client.send_asked(node.id, name, text, plane=ratsipc.TYPED) == 1
        assert link.wait(wire.TYPED) == (wire.TYPED, 0, 0, typed(name, text))


def test_what_upstream_sent_is_heard_as_recorded(linked):
    client, node, link = linked
    client.listen_types(*{row["type"] for row in VECTORS["encode"]}, "t")
    for row in VECTORS["encode"]:
        link.send_message(wire.TYPED, bytes.fromhex(row["payload"]))
        message = client.wait_message()
        assert (message.name, message.body.decode("utf-8")) == (row["type"], row["json_text"])
        client.send_message(node.id, row["type"], row["json_text"].encode("utf-8"),
                            plane=ratsipc.TYPED)
        assert link.wait(wire.TYPED).payload == bytes.fromhex(row["payload"])


def test_malformed_and_unknown_messages_are_dropped(linked):
    client, _, link = linked
    client.listen_types("t", "")
    client.call("channel.on", {"channel": "t"})
    for payload in (b"", b"\0", b"\0\x09t", b"\0\x01", b"\xff\xff" + b"t" * 65534, typed("u", b"1"),
                    b"\0\x01\xff1", b"\0\x02t\x001", typed("t" * 5000, b"1")):
        link.send_message(wire.TYPED, payload)
    link.send_message(wire.TYPED, typed("t", b"last"), channel=77, flags=255)
    assert client.wait_message().body == b"last"


def test_every_session_that_asked_hears_and_the_sender_is_the_peer(shared_daemon, peers, linked):
    client, node, link = linked
    other = shared_daemon.client().listen_types("t")
    client.listen_types("t")
    stranger = peers.node()
    away = peers.dial(shared_daemon, stranger)
    link.send_message(wire.TYPED, typed("t", b"1"))
    assert {c.wait_message().peer for c in (client, other)} == {node.id}
    away.send_message(wire.TYPED, typed("t", b"2"))
    assert {c.wait_message().peer for c in (client, other)} == {stranger.id}
    other.call("typed.off", {"type": "t"})
    link.send_message(wire.TYPED, typed("t", b"3"))
    assert client.wait_message().body == b"3"
    other.call("log.get_level")
    assert not other.messages
    away.close()


def test_a_broadcast_reaches_every_peer(daemon, peers):
    server = daemon()
    client = server.client()
    links = [peers.dial(server) for _ in range(3)]
    for link in links:
        link.wait(wire.CONTROL)
        client.wait_event("peer.connected")
    client.call("session.start")
    assert client.send_asked(ratsipc.EVERY_PEER, "t", b"[]", plane=ratsipc.TYPED) == 3
    assert [link.wait(wire.TYPED).payload for link in links] == [typed("t", b"[]")] * 3


def test_the_largest_message_and_one_byte_more(linked):
    client, node, link = linked
    text = b"1" * (wire.MAX_PAYLOAD - 3)
    client.send_message(node.id, "t", text, plane=ratsipc.TYPED)
    assert link.wait(wire.TYPED, 60).payload == typed("t", text)
    with pytest.raises(ratsipc.Failed) as failed:
        client.send_asked(node.id, "t", text + b"1", timeout=60, plane=ratsipc.TYPED)
    assert failed.value.error == "too_large"


def test_a_session_has_512_types_and_256_kib_of_them(shared_daemon):
    client = shared_daemon.client()
    for number in range(64):
        client.call("typed.on", {"type": "%04d" % number + "x" * 4092})
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("typed.on", {"type": "t"})
    assert failed.value.error == "limit"
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("typed.on", {"type": "x" * 4097})
    assert failed.value.error == "invalid_parameter"
    client.call("typed.off", {"type": "0000" + "x" * 4092})
    client.call("typed.on", {"type": "t"})
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("typed.off", {"type": "u"})
    assert failed.value.error == "not_found"
