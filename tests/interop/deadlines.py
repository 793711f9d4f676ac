"""The stories that take real time: 15 s for a handshake, 30 s for a peer that does not read.

They are begun before the first test and run beside all others, each on a thread with a daemon of
its own, so that the suite waits for them once and not one after the other.
"""
import concurrent.futures
import time

import ratsipc
from daemons import Daemon
from peering import Peers, events, flood, honest_peer_gets_in, peer_ids, wire

HANDSHAKE_S, STALL_S, DISTURBED_S = 15, 30, 15  # DISTURBED_S: a busy machine is late


class Stories:
    """Runs every story; result(name) waits for one and raises what went wrong in it."""

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor()
        told = {"unfinished": unfinished_handshakes, "dialed": dialed_handshakes,
                "stalled": stalled_peer}
        self.running = {name: self.pool.submit(run, story) for name, story in told.items()}

    def result(self, name):
        return self.running[name].result(STALL_S + 60)

    def close(self):
        self.pool.shutdown()


def run(story):
    """A story with its daemon and its peers, both ended and looked over."""
    daemon, peers = Daemon(), Peers()
    try:
        daemon.start()
        story(daemon, peers)
    finally:
        peers.close()
        daemon.stop()


def wait_ends(streams, begun, limit_s):
    """Each connection is closed when its time is over: not earlier, and not because of what was
    said on it."""
    ended = {}
    with concurrent.futures.ThreadPoolExecutor(len(streams)) as pool:
        waits = {pool.submit(stream.wait_closed, limit_s + DISTURBED_S): name
                 for name, stream in streams.items()}
        for wait in concurrent.futures.as_completed(waits):
            wait.result()
            ended[waits[wait]] = time.monotonic() - begun
    for name, after in ended.items():
        assert limit_s - 1 < after < limit_s + DISTURBED_S, "%s: %.1f s" % (name, after)


def unfinished_handshakes(daemon, peers):
    """However much of the handshake is there, and however slowly more of it comes."""
    client = daemon.client()
    begun = time.monotonic()
    streams = {name: peers.stream(daemon) for name in (
        "silent", "one byte", "half a prefix", "half of message 1", "message 1",
        "half of message 3", "a byte every second", "a promise of 1 KiB")}
    whole = {name: wire.encode_block(wire.Node().noise(True).write()) for name in streams}
    streams["one byte"].send(b"\x00")
    streams["half a prefix"].send(b"\x00\x00")
    streams["half of message 1"].send(whole["half of message 1"][:20])
    streams["a promise of 1 KiB"].send(b"\x00\x00\x04\x00")
    for name in ("message 1", "half of message 3"):
        noise = wire.Node().noise(True)
        streams[name].send_block(noise.write())
        noise.read(streams[name].read_block())
    streams["half of message 3"].send(wire.encode_block(noise.write())[:30])
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(dribble, streams["a byte every second"], whole["a byte every second"])
        wait_ends(streams, begun, HANDSHAKE_S)
    assert events(client) == []
    honest_peer_gets_in(daemon)


def dribble(stream, data):
    try:
        for byte in data:
            stream.send(bytes([byte]))
            time.sleep(1)
    except (wire.Closed, OSError):
        pass


def dialed_handshakes(daemon, peers):
    """The same where the daemon dialed; whoever asked for it is told."""
    client = daemon.client()
    begun = time.monotonic()
    streams, calls = {}, {}
    for name in ("silent", "half of message 2", "a promise of 1 KiB"):
        node = peers.node()
        address = node.listen()
        calls[name] = client.begin("peer.connect", {"host": address[0], "port": address[1],
                                                    "timeout_ms": 60000})
        streams[name] = peers.keep(node.accept())
        if name == "half of message 2":
            noise = node.noise(False)
            noise.read(streams[name].read_block())
            streams[name].send(wire.encode_block(noise.write())[:50])
    streams["a promise of 1 KiB"].send(b"\x00\x00\x04\x00")
    wait_ends(streams, begun, HANDSHAKE_S)
    for name, call in calls.items():
        try:
            client.finish(call)
            raise AssertionError("%s: the dial succeeded" % name)
        except ratsipc.Failed as failed:
            assert failed.error == "timeout" and "did not answer within 15 s" in failed.text
    assert events(client) == []


def stalled_peer(daemon, peers):
    """It takes nothing for 30 s: the link ends with a reason, and whoever waited goes on."""
    client, sender = daemon.client().listen("x"), daemon.client()
    deaf_node, other_node = peers.node(), peers.node()
    deaf, other = peers.dial(daemon, deaf_node), peers.dial(daemon, other_node)
    for _ in range(2):
        client.wait_event("peer.connected")
    _, rest = flood(sender, deaf_node.id)
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(push, sender, rest)
        number = 0
        while deaf_node.id in peer_ids(client):
            after = time.monotonic() - begun
            assert after < STALL_S + DISTURBED_S, "the link is still there"
            if after < STALL_S / 2:  # that it still speaks does not help
                deaf.send_app("x", b"I am here")
                assert client.wait_message().peer == deaf_node.id
            number += 1
            assert client.send_asked(other_node.id, "x", b"%d" % number) == 1
            assert other.wait(wire.APP).payload == b"%d" % number
            time.sleep(0.5)
        assert client.wait_event("peer.disconnected") == {"peer": deaf_node.id,
                                                          "reason": "peer stopped reading"}
        assert time.monotonic() - begun > STALL_S - 2
        pushing.result()
    assert sender.send_asked(other_node.id, "x", b"released") == 1
    assert other.wait(wire.APP).payload == b"released"


def push(session, rest):
    session.sock.settimeout(STALL_S + DISTURBED_S)
    session.sock.sendall(rest)
