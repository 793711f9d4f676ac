"""Who is let in, hostile crowds, and what is left when they have gone (reliability.md R14, R16,
V5, V17, V18, V21; wire-core 7, 17.5, 17.14)."""
import concurrent.futures
import contextlib
import os
import random
import struct

import pytest
from daemons import plain_ratsd, wait_until
from peering import (AT_ONCE_S, Peers, events, flood, honest_peer_gets_in, new_source,
                     peer_ids, wait_descriptors, wait_no_peers, wire)

LONG = bool(os.environ.get("RATS_LONG"))


def open_count(streams):
    return sum(stream.is_open() for stream in streams)


def is_settled(streams, count):
    """Waits until so many are still open; the others have been closed."""
    wait_until(lambda: open_count(streams) <= count, "the others are closed", AT_ONCE_S)
    assert open_count(streams) == count


def crowd(peers, daemon, count, per_source=20):
    """Connections that say nothing, from many addresses."""
    streams = []
    for number in range(count):
        if number % per_source == 0:
            source = new_source()
        streams.append(peers.stream(daemon, source))
    return streams


# --- limits ---

def test_the_third_of_two_is_closed(daemon, peers):
    server = daemon(config="[network]\nmax_peers = 2\nreserved_peers = 0\n")
    client = server.client()
    links = [peers.dial(server) for _ in range(2)]
    wait_until(lambda: len(peer_ids(client)) == 2, "two peers")
    events(client)
    for _ in range(3):
        stream = peers.stream(server)
        assert stream.wait_closed(AT_ONCE_S) == 0  # before any handshake
    node = peers.node()
    address = node.listen()
    with pytest.raises(Exception, match="limit of 2 peers"):
        client.call("peer.connect", {"host": address[0], "port": address[1]})
    assert events(client) == [] and all(link.is_open() for link in links)
    links[0].close()
    wait_until(lambda: len(peer_ids(client)) == 1, "a place is free")
    peers.dial(server).wait(wire.CONTROL)


def test_a_known_peer_has_a_reserved_place(daemon, peers):
    server = daemon(config="[network]\nmax_peers = 2\nreserved_peers = 1\n")
    client = server.client()
    known = peers.node()
    link = peers.dial(server, known)
    link.wait(wire.CONTROL)
    link.close()
    wait_no_peers(client)
    strangers = [peers.dial(server) for _ in range(2)]
    wait_until(lambda: len(peer_ids(client)) == 2, "two peers")
    refused = peers.dial(server, identify=False)
    refused.wait_closed(AT_ONCE_S)  # after the handshake: only then it is known for a stranger
    assert len(peer_ids(client)) == 2
    peers.dial(server, known).wait(wire.CONTROL)
    assert known.id in peer_ids(client) and len(peer_ids(client)) == 3
    assert peers.stream(server).wait_closed(AT_ONCE_S) == 0
    assert all(stranger.is_open() for stranger in strangers)


def test_half_open_connections_of_one_source_are_capped(daemon, peers):
    server = daemon()
    source = new_source()
    streams = [peers.stream(server, source) for _ in range(40)]
    is_settled(streams, 32)
    assert all(stream.is_open() for stream in streams[:32])  # the newcomers went
    honest_peer_gets_in(server)
    for stream in streams[:8]:
        stream.close()
    streams = streams[8:32]

    def is_full():
        streams[:] = [stream for stream in streams if stream.is_open()]
        if len(streams) < 32:
            streams.append(peers.stream(server, source))
            return False
        return True

    wait_until(is_full, "as many as have gone have come")
    is_settled(streams + [peers.stream(server, source)], 32)


def test_half_open_connections_are_capped_overall(daemon, peers):
    server = daemon(config="[network]\nmax_pending = 50\n")
    streams = crowd(peers, server, 80)
    is_settled(streams, 50)
    honest_peer_gets_in(server)  # somebody has to make room
    assert open_count(streams) == 49
    alone = peers.stream(server)
    crowd(peers, server, 60)
    honest_peer_gets_in(server)
    assert alone.is_open()  # who has most of the places gives one up first


def test_an_honest_peer_among_two_hundred_half_open_connections(daemon, peers):
    server = daemon()
    streams = crowd(peers, server, 200)
    for number, stream in enumerate(streams):  # some say nothing, some a little, some message 1
        if number % 4 == 1:
            stream.send(b"\x00\x00")
        elif number % 4 == 2:
            stream.send(wire.encode_block(bytes(32))[:20])
        elif number % 4 == 3:
            stream.send_block(wire.Node().noise(True).write())
    for _ in range(5):
        honest_peer_gets_in(server)
    assert open_count(streams) == 200


def test_an_honest_peer_while_a_crowd_keeps_coming(daemon, peers):
    """More than may wait at a time, from many addresses, and those turned away come back."""
    server = daemon(program=plain_ratsd())
    count = 10000 if LONG else 600
    streams, held = [], 1000 if LONG else 600
    honest_peer_gets_in(server)  # with the first of all peers the store is opened
    wait_until(lambda: os.path.exists(os.path.join(server.state, "storage.db")), "there is a store")
    before = server.rss_kib()
    for number in range(count):
        streams.append(peers.stream(server, new_source()))
        if len(streams) > held:
            streams.pop(0).close()
        if number % (count // 6) == count // 6 - 1:
            honest_peer_gets_in(server)
    assert server.rss_kib() - before <= 256 * 4  # places, and KiB for each (R14)
    honest_peer_gets_in(server)


# --- nonsense on the peer port ---

NONSENSE = [
    b"", b"\x00", b"\x00\x00\x00", bytes(4), bytes(8), bytes(64), b"\xff" * 64, b"\x80" + bytes(63),
    b"\x7f\xff\xff\xff" + bytes(60), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60), b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x13BitTorrent protocol" + bytes(48), struct.pack(">I", 32) + bytes(10),
    struct.pack(">I", 32) + bytes(32), struct.pack(">I", 1024) + bytes(1023),
    struct.pack(">I", 1024) + bytes(1024), wire.Node(plaintext=True).hello(), os.urandom(4096)]


def test_garbage_and_half_frames(daemon, peers):
    server = daemon()
    client = server.client()
    honest = peers.dial(server)
    honest.wait(wire.CONTROL)
    events(client)
    descriptors = server.descriptors()
    dice = random.Random(3)
    for number in range(2000 if LONG else 300):
        data = NONSENSE[number] if number < len(NONSENSE) else dice.randbytes(dice.randrange(200))
        if dice.random() < 0.5:  # a good start, then nonsense
            data = wire.encode_block(wire.Node().noise(True).write()) + data
        stream = peers.stream(server)
        with contextlib.suppress(wire.Closed):
            cut = dice.randrange(len(data) + 1)
            stream.send(data[:cut])
            stream.send(data[cut:])
        stream.close()
    wait_descriptors(server, descriptors)
    server.assert_idle()
    assert honest.is_open() and events(client) == []
    honest_peer_gets_in(server)


def test_closing_at_every_byte_of_a_connection(daemon, peers):
    server = daemon()
    client = server.client()
    descriptors = server.descriptors()
    whole = 36 + 68 + 4 + 16 + 4 + 5
    for cut in range(0, whole + 1, 1 if LONG else 2):
        stream, node = peers.stream(server), wire.Node()
        noise = node.noise(True)
        first = wire.encode_block(noise.write())
        stream.send(first[:cut])
        if cut >= len(first):
            noise.read(stream.read_block())
            rest = wire.encode_block(noise.write())
            link = wire.Link(stream, "", noise.split())
            rest += link.seal(wire.encode_message(wire.APP, b"hello", 1))
            stream.send(rest[:cut - len(first)])
        stream.close()
    wait_no_peers(client)
    wait_descriptors(server, descriptors)
    seen = events(client)
    ups = sorted(peer for name, peer in seen if name == "peer.connected")
    downs = sorted(peer for name, peer in seen if name == "peer.disconnected")
    assert ups == downs
    server.assert_idle()


# --- coming and going ---

def come_and_go(server, client, count):
    """So many peers, both ways, a message from each, and all gone again."""
    for number in range(count):
        peers = Peers()
        try:
            node = peers.node()
            if number % 4 == 3:
                link, _ = peers.call(client, node)
            else:
                link = peers.dial(server, node)
            link.send_app("x", node.id.encode())
            assert client.wait_message().body == node.id.encode()
        finally:
            peers.close()
        client.events.clear()
    wait_no_peers(client)
    client.events.clear()


@pytest.mark.timeout(900 if LONG else 300)
def test_a_thousand_peers_come_and_go(daemon):
    server = daemon(program=plain_ratsd())
    client = server.client().listen("x")
    # The allocator finds its size; the last 4096 who were here and 1024 sources are remembered.
    come_and_go(server, client, 5000 if LONG else 300)
    client.call("known.save")  # or the database may be opened in between
    descriptors, rss = server.descriptors(), server.rss_kib()
    come_and_go(server, client, 10000 if LONG else 1000)
    wait_descriptors(server, descriptors)
    assert server.rss_kib() - rss < 512


def test_back_pressure_loses_nothing(daemon, peers):
    """A peer stops reading for a while: who sends to it waits, nobody else, and all arrives."""
    server = daemon()
    client, sender = server.client().listen("x"), server.client()
    slow_node, quick_node = peers.node(), peers.node()
    slow, quick = peers.dial(server, slow_node), peers.dial(server, quick_node)
    wait_until(lambda: len(peer_ids(client)) == 2, "two peers")
    begun, rest = flood(sender, slow_node.id)
    assert client.send_asked(quick_node.id, "x", b"not held") == 1
    assert quick.wait(wire.APP).payload == b"not held"
    for link in (quick, slow):  # and from both we still hear
        link.send_app("x", b"heard")
        assert client.wait_message().body == b"heard"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        finish = pool.submit(sender.sock.sendall, rest)
        for number in range(begun):
            payload = slow.wait(wire.APP).payload
            assert len(payload) == 60008 and int(payload[:8]) == number
        finish.result()
    assert sender.send_asked(slow_node.id, "x", b"as before") == 1
    assert slow.wait(wire.APP).payload == b"as before"
