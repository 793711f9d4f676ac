"""Blocks cut anywhere, the largest ones, and those that must end a connection (wire-core 3, 5)."""
import hashlib
import os
import socket
import struct
import threading

import pytest
from daemons import plain_ratsd, wait_until
from peering import AT_ONCE_S, peer_ids, wire


@pytest.fixture
def linked(shared_daemon, peers):
    """A client that listens on x, a node, and a link that the node dialed."""
    client = shared_daemon.client().listen("x")
    node = peers.node()
    link = peers.dial(shared_daemon, node)
    client.wait_event("peer.connected", where=lambda fields: fields["peer"] == node.id)
    link.wait(wire.CONTROL)
    return client, node, link


def gone(client, node, reason):
    fields = client.wait_event("peer.disconnected", where=lambda fields: fields["peer"] == node.id)
    assert fields["reason"] == reason


def ends(linked, data, count=1):
    """These bytes end the link at once, with nothing delivered."""
    client, node, link = linked
    for _ in range(count):
        link.send(data)
    link.wait_closed(AT_ONCE_S)
    gone(client, node, "protocol error")
    assert not client.messages


def app(payload):
    return wire.encode_message(wire.APP, payload, wire.channel_id("x"))


# --- cut and joined ---

def test_one_byte_per_segment(shared_daemon, peers):
    client = shared_daemon.client().listen("x")
    node, stream = peers.node(), peers.stream(shared_daemon)
    noise = node.noise(True)

    def dribble(data):
        for at in range(len(data)):
            stream.send(data[at:at + 1])

    dribble(wire.encode_block(noise.write()))
    noise.read(stream.read_block())
    dribble(wire.encode_block(noise.write()))
    link = wire.Link(stream, "", noise.split())
    dribble(b"".join(link.seal(app(b"%d" % n * n)) for n in range(12)))
    for number in range(12):
        assert client.wait_message() == (node.id, "x", b"%d" % number * number, 1, 0)


def test_transport_blocks_in_the_segment_of_message_3(shared_daemon, peers):
    client = shared_daemon.client().listen("x")
    node, stream = peers.node(), peers.stream(shared_daemon)
    noise = node.noise(True)
    stream.send_block(noise.write())
    noise.read(stream.read_block())
    third = wire.encode_block(noise.write())
    link = wire.Link(stream, "", noise.split())
    stream.send(third + b"".join(link.seal(app(b"%d" % n)) for n in range(50)))
    assert [client.wait_message().body for _ in range(50)] == [b"%d" % n for n in range(50)]


def test_blocks_cut_at_every_place(linked):
    client, node, link = linked
    for cut in range(1, 4 + 16 + 4 + 10):
        block = link.seal(app(b"%010d" % cut))
        link.send(block[:cut])
        link.send(block[cut:] + link.seal(app(b"next")))
        assert client.wait_message().body == b"%010d" % cut
        assert client.wait_message() == (node.id, "x", b"next", 1, 0)


# --- large ---

def test_the_largest_message_is_received_whole(linked):
    client, node, link = linked
    payload = os.urandom(1 << 20) * 64
    payload = payload[:wire.MAX_PAYLOAD]
    link.send(link.seal(app(payload)))
    message = client.wait_message(30)
    assert len(message.body) == wire.MAX_PAYLOAD
    assert hashlib.sha256(message.body).digest() == hashlib.sha256(payload).digest()
    link.send_app("x", b"after it")
    assert client.wait_message() == (node.id, "x", b"after it", 1, 0)


def test_the_largest_message_is_sent_whole(linked):
    client, node, link = linked
    payload = os.urandom(1 << 20) * 64
    payload = payload[:wire.MAX_PAYLOAD]
    sender = threading.Thread(target=client.send_message, args=(node.id, "x", payload))
    sender.start()
    message = link.wait(wire.APP, 30)
    sender.join(30)
    assert len(message.payload) == wire.MAX_PAYLOAD
    assert hashlib.sha256(message.payload).digest() == hashlib.sha256(payload).digest()
    client.send_message(node.id, "x", b"after it")
    assert link.wait(wire.APP).payload == b"after it"


@pytest.mark.parametrize("size", [(1 << 26) + 1, 1 << 27, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
def test_a_length_above_64_mib_closes_at_once(linked, size):
    ends(linked, struct.pack(">I", size))


def test_the_length_of_64_mib_is_waited_for(linked):
    client, node, link = linked
    link.send(struct.pack(">I", 1 << 26))
    with pytest.raises(TimeoutError):
        link.wait_closed(0.3)
    link.close()
    wait_until(lambda: node.id not in peer_ids(client), "the peer is gone")


# --- bad blocks ---

def test_a_replayed_block(linked):
    client, node, link = linked
    block = link.seal(app(b"once"))
    link.send(block)
    assert client.wait_message().body == b"once"
    ends((client, node, link), block)


def test_a_skipped_block(linked):
    link = linked[2]
    link.seal(app(b"lost"))
    ends(linked, link.seal(app(b"too early")))


def test_blocks_in_the_wrong_order(linked):
    link = linked[2]
    first, second = link.seal(app(b"1")), link.seal(app(b"2"))
    ends(linked, second + first)


def test_a_reflected_block(linked):
    """What the daemon sent, sent back: the two directions have keys of their own."""
    client, node, link = linked
    client.send_message(node.id, "x", b"mirror")
    ends((client, node, link), wire.encode_block(link.read_block()))


@pytest.mark.parametrize("size", [0, 1, 3, 4, 15, 16, 19])
def test_a_short_block(linked, size):
    ends(linked, wire.encode_block(os.urandom(size)))


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_a_block_that_decrypts_to_less_than_a_header(linked, size):
    link = linked[2]
    ends(linked, link.seal(bytes(size)))


def test_flipped_bits_in_a_block(shared_daemon, peers):
    client = shared_daemon.client().listen("x")
    for at in range(4, 4 + 4 + 3 + 16):
        node = peers.node()
        link = peers.dial(shared_daemon, node)
        block = bytearray(link.seal(app(b"abc")))
        block[at] ^= 1 << (at % 8)
        link.send(block)
        link.wait_closed(AT_ONCE_S)
        gone(client, node, "protocol error")
    assert not client.messages


def test_a_plain_message_on_an_encrypted_link(linked):
    ends(linked, wire.encode_block(app(b"in the clear, and long enough to be a block")))


def test_an_end_in_the_middle_of_a_block(linked):
    client, node, link = linked
    link.send(link.seal(app(b"whole")) + link.seal(app(b"half"))[:9])
    link.close()
    assert client.wait_message().body == b"whole"
    gone(client, node, "closed by the peer")
    assert not client.messages


# --- the largest, begun and not finished ---

def is_taken(link, data):
    """False when the other end reads no more of it: no byte goes for a second."""
    view = memoryview(data)
    link.sock.settimeout(1)
    try:
        while view:
            view = view[link.sock.send(view[:1 << 20]):]
    except socket.timeout:
        return False
    return True


def test_half_messages_of_many_peers_cost_no_more_than_those_of_four(daemon, peers):
    """A message grows as it comes; ten times nearly 64 MiB is more than a daemon may have."""
    server = daemon(program=plain_ratsd())
    client = server.client().listen("x")
    begun, part = 10, 40 * 1024 * 1024
    links = [peers.dial(server) for _ in range(begun)]
    for link in links:
        link.wait(wire.CONTROL)
    before = server.rss_kib()
    data = struct.pack(">I", wire.MAX_BODY) + bytes(part)
    assert [is_taken(link, data) for link in links].count(True) == 4
    assert server.rss_kib() - before < 5 * part // 1024
    honest = peers.dial(server)
    honest.send_app("x", b"small ones come as ever")
    assert client.wait_message().body == b"small ones come as ever"
    for link in links:
        link.sock.close()
    whole = os.urandom(16 * 1024 * 1024)
    honest.send_app("x", whole)
    assert client.wait_message().body == whole
