"""Peers that make news without end, which programs are told of and none of which may be dropped: no
program here is ended for it, nor does anybody else wait long (design, Flow)."""
import threading

import pytest
import ratsipc
from daemons import wait_until
from gossip import SUBSCRIBE, UNSUBSCRIBE, control
from peering import peer_ids, wire

COUNT = 20000


def identifies():
    """Each says something else than the one before."""
    return [(wire.CONTROL, wire.encode_identify(wire.Identify(0, [], None, transports)))
            for transports in (wire.TCP, wire.TCP | wire.UDP)]


def memberships():
    return [(wire.GOSSIP, control(op, b"news")) for op in (SUBSCRIBE, UNSUBSCRIBE)]


class Restless(threading.Thread):
    """A peer that says two things in turn, COUNT times, as fast as it is read."""

    def __init__(self, link, said):
        super().__init__(daemon=True)
        self.link = link
        self.done = threading.Event()
        sealed = [link.seal(wire.encode_message(*said[number % 2])) for number in range(COUNT)]
        self.chunks = [b"".join(sealed[at:at + 20000]) for at in range(0, COUNT, 20000)]
        self.start()

    def run(self):
        self.link.sock.settimeout(None)
        try:
            for chunk in self.chunks:
                self.link.sock.sendall(chunk)
        except OSError:
            pass  # the test is over
        self.done.set()


@pytest.mark.parametrize("said", [identifies, memberships], ids=["identify", "topics"])
@pytest.mark.parametrize("slow", ["stall", "drop"])
def test_a_peer_that_makes_news_all_the_time_ends_no_session(daemon, peers, said, slow):
    server = daemon()
    client = server.client(slow=slow)
    client.call("session.start")
    client.call("topic.subscribe", {"topic": "news"})
    node = peers.node()
    link = peers.dial(server, node)
    wait_until(lambda: node.id in peer_ids(client), "the peer is known")
    restless = Restless(link, said())
    for _ in range(100):  # it is served meanwhile, and so is who comes now
        assert client.is_alive()
        with server.client() as other:
            assert other.is_alive()
        client.events.clear()
    restless.link.sock.close()
