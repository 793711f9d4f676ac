"""What the interop tests share: Python peers around a real ratsd."""
import itertools
import time

import daemons
import pytest
import ratsipc

wire = pytest.importorskip("librats_node", reason="needs the package python3-cryptography")

AT_ONCE_S = 6.0  # far below the 15 s that an unfinished handshake may take

NUMBERS = itertools.count()


def new_source():
    """Every connection comes from another address of the loopback network, so that no test runs
    into the limits per source unless it means to."""
    high, low = divmod(next(NUMBERS), 250)
    return "127.1.%d.%d" % (high, low + 1)


def door(daemon):
    """Where a daemon listens. It is asked once: that is a connection of its own."""
    if not hasattr(daemon, "door"):
        daemon.door = ("127.0.0.1", daemon.port)
    return daemon.door


class Peers:
    """Python peers of one test."""

    def __init__(self):
        self.ends = []

    def close(self):
        for end in self.ends:
            end.close()

    def node(self, **options):
        made = wire.Node(**options)
        self.ends.append(made)
        return made

    def keep(self, stream):
        self.ends.append(stream)
        return stream

    def stream(self, daemon, source=None):
        """A connection to a daemon on which nothing has been said."""
        return self.keep(wire.Node().connect(door(daemon), source or new_source()))

    def dial(self, daemon, node=None, source=None, identify=True):
        """A node, a new one if none is given, dials a daemon."""
        link = self.keep((node or self.node()).dial(door(daemon), source or new_source()))
        if identify:
            link.send_identify()
        return link

    def call(self, client, node=None, host=None, identify=True):
        """The daemon dials a node because a client asks: the link, and what the client is told."""
        node = node or self.node()
        address = node.listen(host or "127.0.0.1")
        call = client.begin("peer.connect", {"host": host or address[0], "port": address[1]})
        link = self.keep(node.answer())
        if identify:
            link.send_identify()
        return link, client.finish(call)


def events(client):
    """All events so far: names and peers, oldest first; they are taken."""
    client.call("log.get_level")
    seen = [(head["v"], head["p"].get("peer")) for head in client.events]
    client.events.clear()
    return seen


def peer_ids(client):
    return [peer["peer"] for peer in client.call("peer.list")["peers"]]


def wait_no_peers(client):
    daemons.wait_until(lambda: not peer_ids(client), "every peer is gone")


def wait_descriptors(daemon, count):
    daemons.wait_until(lambda: daemon.descriptors() <= count,
                       "descriptors are back at %d" % count)


def honest_peer_gets_in(daemon, within=2.0):
    """A stranger connects and is answered within seconds (R14)."""
    peers = Peers()
    try:
        begun = time.monotonic()
        link = peers.dial(daemon)
        link.wait(wire.CONTROL, within)
        assert time.monotonic() - begun < within
    finally:
        peers.close()


def flood(session, peer):
    """A session sends to one peer until the daemon holds it: how many messages were begun, and the
    bytes of the last that are still to be sent."""
    session.sock.setblocking(False)
    begun, rest, stuck_since = 0, b"", None
    while stuck_since is None or time.monotonic() - stuck_since < 0.5:
        if not rest:
            rest = ratsipc.encode_message(peer, "x", b"%08d" % begun + bytes(60000))
            begun += 1
            assert begun < 2000, "nothing holds the sender"
        try:
            rest = rest[session.sock.send(rest):]
            stuck_since = None
        except BlockingIOError:
            stuck_since = stuck_since or time.monotonic()
            time.sleep(0.01)
    session.sock.settimeout(session.timeout)
    return begun, rest
