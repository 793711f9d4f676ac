"""The Noise handshake in both roles, and everything it must refuse (wire-core 3, 4, 16, 17)."""
import os
import random
import struct

import pytest
from peering import AT_ONCE_S, events, peer_ids, wait_descriptors, wait_no_peers, wire

ROUNDS = 1000 if os.environ.get("RATS_LONG") else 100

# Points that leave only one shared secret: orders 1, 2, 4 and 8, in all their encodings.
LOW_ORDER = [bytes.fromhex(text) for text in (
    "00" * 32, "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec" + "ff" * 30 + "7f", "ed" + "ff" * 30 + "7f", "ee" + "ff" * 30 + "7f")]


class Impostor(wire.Node):
    """Sends a public key that is not its own; computes with the secret a low-order point gives."""

    def __init__(self, key, point):
        super().__init__()
        self.key, self.point = key, point

    def noise(self, initiator):
        noise = super().noise(initiator)
        noise.public[self.key] = self.point
        if self.point in LOW_ORDER:
            honest, false = noise.agree, noise.private[self.key]
            noise.agree = lambda private, public: (
                bytes(32) if private == false else honest(private, public))
        return noise


def begin_call(client, node):
    """The daemon dials a node: its connection, and the call that waits."""
    address = node.listen()
    call = client.begin("peer.connect", {"host": address[0], "port": address[1]})
    return node.accept(), call


def call_fails(client, call, *words):
    with pytest.raises(Exception) as caught:
        client.finish(call, AT_ONCE_S)
    assert getattr(caught.value, "error", None) == "connect_failed", caught.value
    for word in words:
        assert word in caught.value.text


def refused(stream):
    """Closed at once and without a word."""
    assert stream.wait_closed(AT_ONCE_S) == 0
    stream.close()


@pytest.fixture
def quiet(shared_daemon):
    """A client of the module's daemon; at the end no peer has been connected and nothing leaks."""
    client = shared_daemon.client()
    wait_no_peers(client)
    events(client)
    descriptors = shared_daemon.descriptors()
    yield client
    assert events(client) == [] and peer_ids(client) == []
    wait_descriptors(shared_daemon, descriptors)


# --- that work ---

def test_a_hundred_handshakes_from_a_python_node(shared_daemon, peers):
    client = shared_daemon.client()
    for _ in range(ROUNDS):
        node = peers.node()
        link = peers.dial(shared_daemon, node)
        assert link.remote_id == client.info["peer_id"]
        seen = client.wait_event("peer.connected")
        assert seen["peer"] == node.id and seen["public_key"] == node.public.hex()
        assert not seen["outgoing"] and seen["encrypted"] and seen["transport"] == "tcp"
        link.wait(wire.CONTROL)
        link.close()
        assert client.wait_event("peer.disconnected") == {"peer": node.id,
                                                          "reason": "closed by the peer"}


def test_a_hundred_handshakes_to_a_python_node(shared_daemon, peers):
    client = shared_daemon.client()
    for _ in range(ROUNDS):
        node = peers.node()
        link, reply = peers.call(client, node)
        assert reply == {"peer": node.id, "already": False}
        assert link.remote_id == client.info["peer_id"]
        seen = client.wait_event("peer.connected")
        assert seen["peer"] == node.id and seen["public_key"] == node.public.hex()
        assert seen["outgoing"] and seen["encrypted"] and seen["transport"] == "tcp"
        assert [seen["ip"], seen["port"]] == list(node.listen())
        link.close()
        client.wait_event("peer.disconnected", where=lambda fields: fields["peer"] == node.id)
        node.close()


def test_the_messages_have_their_sizes(shared_daemon, peers):
    stream, noise = peers.stream(shared_daemon), wire.Node().noise(True)
    stream.send_block(noise.write())
    second = stream.read_block()
    assert len(second) == 96 and noise.read(second) == b""
    stream, call = begin_call(shared_daemon.client(), peers.node())
    first = peers.keep(stream).read_block()
    noise = wire.Node().noise(False)
    assert len(first) == 32 and noise.read(first) == b""
    stream.send_block(noise.write())
    third = stream.read_block()
    assert len(third) == 64 and noise.read(third) == b"" and call


def test_ephemeral_keys_are_fresh(shared_daemon, peers):
    seen = set()
    for _ in range(20):
        stream, noise = peers.stream(shared_daemon), wire.Node().noise(True)
        stream.send_block(noise.write())
        seen.add(stream.read_block()[:32])
        stream.close()
    assert len(seen) == 20


@pytest.mark.parametrize("size", [1, 16, 255, 256])
def test_a_payload_of_up_to_256_bytes_is_ignored(shared_daemon, peers, size):
    client = shared_daemon.client()
    for number in (1, 3):
        node = peers.node()
        link = node.prove(peers.stream(shared_daemon), True, os.urandom(size), at=[number])
        link.wait(wire.CONTROL)
        assert node.id in peer_ids(client)
    node = peers.node()
    stream, call = begin_call(client, node)
    link = node.prove(peers.keep(stream), False, os.urandom(size))
    link.wait(wire.CONTROL)
    assert client.finish(call)["peer"] == node.id


@pytest.mark.parametrize("protocol", ["", "myapp/2.3", "café/1", "x" * 180])
def test_other_protocols(daemon, peers, protocol):
    server = daemon(config="[network]\nprotocol = %s\n" % protocol)
    client = server.client()
    node = peers.node(protocol=protocol)
    peers.dial(server, node)
    assert client.wait_event("peer.connected")["peer"] == node.id
    other = peers.node(protocol=protocol)
    peers.call(client, other)
    assert client.wait_event("peer.connected")["peer"] == other.id
    with pytest.raises(wire.Refused):
        peers.dial(server, peers.node(protocol=protocol + "x"))


# --- that do not ---

def test_a_payload_of_257_bytes_is_refused(shared_daemon, peers, quiet):
    for number in (1, 3):
        stream = peers.stream(shared_daemon)
        with pytest.raises((wire.Closed, TimeoutError)):
            link = peers.node().prove(stream, True, bytes(257), at=[number])
            refused(link)
            raise wire.Closed
    node = peers.node()
    stream, call = begin_call(quiet, node)
    noise = node.noise(False)
    noise.read(stream.read_block())
    stream.send_block(noise.write(bytes(257)))
    refused(stream)
    call_fails(quiet, call)


@pytest.mark.parametrize("size", [0, 1, 4, 31, 32 + 257, 1024])
def test_a_first_message_of_a_wrong_size(shared_daemon, peers, quiet, size):
    stream = peers.stream(shared_daemon)
    stream.send_block(os.urandom(size))
    refused(stream)


@pytest.mark.parametrize("size", [0, 1, 15, 32, 63, 64 + 257, 1024])
def test_a_third_message_of_a_wrong_size(shared_daemon, peers, quiet, size):
    stream, noise = peers.stream(shared_daemon), wire.Node().noise(True)
    stream.send_block(noise.write())
    noise.read(stream.read_block())
    stream.send_block((noise.write() + bytes(1024))[:size])
    refused(stream)


@pytest.mark.parametrize("size", [0, 1, 31, 80, 95, 96 + 257, 1024])
def test_a_second_message_of_a_wrong_size(peers, quiet, size):
    node = peers.node()
    stream, call = begin_call(quiet, node)
    noise = node.noise(False)
    noise.read(stream.read_block())
    stream.send_block((noise.write() + bytes(1024))[:size])
    refused(stream)
    call_fails(quiet, call, "handshake")


@pytest.mark.parametrize("size", [1025, 65536, 1 << 26, 1 << 31, (1 << 32) - 1])
def test_a_large_handshake_block_is_refused_by_its_length(shared_daemon, peers, quiet, size):
    stream = peers.stream(shared_daemon)
    stream.send(struct.pack(">I", size))
    refused(stream)
    stream, call = begin_call(quiet, peers.node())
    stream.read_block()
    stream.send(struct.pack(">I", size))
    refused(stream)
    call_fails(quiet, call, "handshake")


def test_two_empty_blocks_do_not_draw_a_second_message(shared_daemon, peers, quiet):
    """Upstream answers them, and shows its static key to whoever watches (wire-core 17.2)."""
    stream = peers.stream(shared_daemon)
    stream.send(bytes(8))
    refused(stream)


def is_refused_when_called(quiet, node):
    """The daemon dials it, and hears in its second message what it must not accept."""
    stream, call = begin_call(quiet, node)
    noise = node.noise(False)
    noise.read(stream.read_block())
    stream.send_block(noise.write())
    refused(stream)
    call_fails(quiet, call)


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex()[:8])
def test_low_order_ephemeral_keys_are_refused(shared_daemon, peers, quiet, point):
    stream = peers.stream(shared_daemon)
    stream.send_block(point)
    refused(stream)
    node = peers.keep(Impostor("e", point))
    is_refused_when_called(quiet, node)


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex()[:8])
def test_low_order_static_keys_are_refused(shared_daemon, peers, quiet, point):
    link = Impostor("s", point).prove(peers.stream(shared_daemon), True)
    refused(link)
    node = peers.keep(Impostor("s", point))
    is_refused_when_called(quiet, node)


def test_somebody_elses_key_cannot_be_claimed(shared_daemon, peers, quiet):
    """With his public key, and even with the daemon's own secret in hand (V8, V30)."""
    victim = peers.node()
    refused(Impostor("s", victim.public).prove(peers.stream(shared_daemon), True))
    with open(os.path.join(shared_daemon.state, "identity.key"), "rb") as file:
        stolen = file.read()
    thief = Impostor("s", victim.public)
    thief.private = stolen
    refused(thief.prove(peers.stream(shared_daemon), True))
    node = peers.keep(Impostor("s", victim.public))
    is_refused_when_called(quiet, node)


def test_a_replayed_handshake_is_refused(shared_daemon, peers, quiet):
    node, stream = wire.Node(), peers.stream(shared_daemon)
    noise = node.noise(True)
    first = noise.write()
    stream.send_block(first)
    noise.read(stream.read_block())
    third = noise.write()
    stream.close()
    again = peers.stream(shared_daemon)
    again.send_block(first)
    again.read_block()
    again.send_block(third)
    refused(again)


def test_a_flipped_bit_anywhere_in_the_first_message(shared_daemon, peers, quiet):
    """The answer is bound to what arrived, so whoever sent the original cannot go on."""
    for at in range(32):
        stream, noise = peers.stream(shared_daemon), wire.Node().noise(True)
        first = bytearray(noise.write())
        first[at] ^= 1 << (at % 8)
        stream.send_block(first)
        with pytest.raises(wire.Refused):
            noise.read(stream.read_block())
        stream.send_block(os.urandom(64))
        refused(stream)


def test_a_flipped_bit_anywhere_in_the_second_message(peers, quiet):
    for at in range(32 + 96):
        node = peers.node()
        stream, call = begin_call(quiet, node)
        noise = node.noise(False)
        first = bytearray(stream.read_block())
        if at < 32:  # what the daemon sent was changed under way
            first[at] ^= 1 << (at % 8)
        noise.read(bytes(first))
        second = bytearray(noise.write())
        if at >= 32:
            second[at - 32] ^= 1 << (at % 8)
        stream.send_block(second)
        refused(stream)
        call_fails(quiet, call, "handshake")
        node.close()


def test_a_flipped_bit_anywhere_in_the_third_message(shared_daemon, peers, quiet):
    for at in range(64):
        stream, noise = peers.stream(shared_daemon), wire.Node().noise(True)
        stream.send_block(noise.write())
        noise.read(stream.read_block())
        third = bytearray(noise.write())
        third[at] ^= 1 << (at % 8)
        stream.send_block(third)
        refused(stream)


def test_another_protocol(shared_daemon, peers, quiet):
    with pytest.raises(wire.Refused):
        peers.dial(shared_daemon, peers.node(protocol="librats/1.1"))
    node = peers.node(protocol="librats/1.1")
    stream, call = begin_call(quiet, node)
    with pytest.raises(wire.Closed):
        node.prove(stream, False)
    call_fails(quiet, call, "librats/1.0", "protocol")
    stream.close()


def test_random_handshake_bytes(shared_daemon, peers, quiet):
    dice = random.Random(7)
    for _ in range(30):
        stream = peers.stream(shared_daemon)
        try:
            for size in (dice.choice((32, 32, 48, 96)), 64, 64):
                stream.send_block(dice.randbytes(size))
            stream.wait_closed(AT_ONCE_S)
        except wire.Closed:
            pass
        stream.close()


# --- plaintext ---

PLAINTEXT = "[network]\nsecurity = plaintext\n"


def test_plaintext_mode(daemon, peers):
    server = daemon(config=PLAINTEXT)
    client = server.client().listen("x")
    for extra in (b"", b"!", bytes(512)):  # bytes after the PeerId are ignored
        inbound, outbound = (peers.node(plaintext=True) for _ in range(2))
        for node in (inbound, outbound):
            node.hello = lambda node=node: type(node).hello(node) + extra
        link = peers.dial(server, inbound)
        seen = client.wait_event("peer.connected", where=lambda p, n=inbound: p["peer"] == n.id)
        assert not seen["encrypted"] and "public_key" not in seen
        other, reply = peers.call(client, outbound)
        assert reply["peer"] == outbound.id
        for node, end in ((inbound, link), (outbound, other)):
            assert end.remote_id == client.info["peer_id"]
            assert wire.decode_identify(end.wait(wire.CONTROL).payload).listen_port == server.port
            end.send_app("x", b"in the clear" + extra)
            message = client.wait_message()
            assert (message.peer, message.body) == (node.id, b"in the clear" + extra)
            client.send_message(node.id, "y", b"back")
            assert end.wait(wire.APP).payload == b"back"
            end.send_block(b"\x01\x00\x00")  # shorter than the header of a message
            end.wait_closed(AT_ONCE_S)


def test_plaintext_handshakes_that_are_refused(daemon, peers):
    server = daemon(config=PLAINTEXT)
    good = wire.Node(plaintext=True).hello()
    size = len(good)
    for bad in (b"", b"\x00", good[:2], good[:-1], good[:27], bytes(size),
                good[:2] + b"L" + good[3:], b"\xff\xff" + good[2:], b"\x00\x00" + good[2:],
                b"\x00\x18" + good[2:],
                wire.Node(protocol="librats/1.1", plaintext=True).hello(),
                wire.Node(protocol="", plaintext=True).hello()):
        stream = peers.stream(server)
        stream.send_block(bad)
        refused(stream)
    client = server.client()
    assert events(client) == [] and peer_ids(client) == []


def test_noise_and_plaintext_do_not_mix(daemon, peers):
    noisy, plain = daemon(name="noisy"), daemon(name="plain", config=PLAINTEXT)
    with pytest.raises(wire.Closed):
        peers.dial(plain, peers.node())
    with pytest.raises(wire.Refused):
        peers.dial(noisy, peers.node(plaintext=True))
    client = noisy.client()
    node = peers.node(plaintext=True)
    stream, call = begin_call(client, node)
    stream.read_block()
    stream.send_block(node.hello())
    refused(stream)
    call_fails(client, call, "security mode")
    other = plain.client()
    node = peers.node()
    stream, call = begin_call(other, node)
    noise = node.noise(False)
    noise.read(stream.read_block())
    stream.send_block(noise.write())
    refused(stream)
    call_fails(other, call, "security mode")
    for dialer, target in ((client, plain), (other, noisy)):
        call = dialer.begin("peer.connect", {"host": "127.0.0.1", "port": target.port})
        call_fails(dialer, call, "security mode")
    for end in (client, other):
        assert events(end) == [] and peer_ids(end) == []
