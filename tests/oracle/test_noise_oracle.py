"""ratsd against a Noise implementation that is not ours (noise_oracle.go), in both roles.

./check --long builds the program and names it in NOISE_ORACLE.
"""
import os
import subprocess
import threading

import pytest

import ratsipc

ORACLE = os.environ.get("NOISE_ORACLE")
COUNT = 100
CHANNEL = "oracle"

pytestmark = pytest.mark.skipif(not ORACLE, reason="NOISE_ORACLE names no program")


class Echo(threading.Thread):
    """A program that sends every message back."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client = client.listen(CHANNEL)
        self.seen = []
        self.ending = False

    def run(self):
        while not self.ending:
            try:
                message = self.client.wait_message(0.2)
            except TimeoutError:
                continue
            except ratsipc.Closed:
                return
            self.client.send_message(message.peer, CHANNEL, message.body)

    def end(self):
        self.ending = True
        self.join()


@pytest.fixture
def echoing(daemon):
    """A daemon whose program sends every message back."""
    node = daemon()
    echo = Echo(node.client())
    echo.start()
    yield node
    echo.end()


def start(*words):
    return subprocess.Popen([ORACLE] + [str(word) for word in words], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, universal_newlines=True)


def finish(oracle, node, count):
    """It has done all; every handshake proved the daemon's key and one of its own."""
    said = oracle.communicate(timeout=100)[0].split("\n")
    assert oracle.returncode == 0 and "done" in said, said[-5:]
    peers = [line.split()[1:] for line in said if line.startswith("peer ")]
    assert len(peers) == count
    assert {theirs for _, theirs in peers} == {node.peer_id}
    assert len({ours for ours, _ in peers}) == count
    return [ours for ours, _ in peers]


def test_it_dials_us(echoing):
    finish(start("dial", "127.0.0.1:%d" % echoing.port, COUNT), echoing, COUNT)


def test_we_dial_it(echoing):
    oracle = start("listen", COUNT)
    port = int(oracle.stdout.readline().split()[1])
    client = echoing.client()
    connected = []
    for _ in range(COUNT):
        connected.append(client.call("peer.connect", {"host": "127.0.0.1", "port": port})["peer"])
        client.wait_event("peer.disconnected")  # an address with a peer is not dialed again
    assert finish(oracle, echoing, COUNT) == connected


def test_another_protocol_is_another_prologue(echoing):
    oracle = start("dial", "127.0.0.1:%d" % echoing.port, 1, "other/1.0")
    assert "failed: round 0" in oracle.communicate(timeout=60)[0]
    assert oracle.returncode == 1
    oracle = start("listen", 1, "other/1.0")
    port = int(oracle.stdout.readline().split()[1])
    with pytest.raises(ratsipc.Failed) as failure:
        echoing.client().call("peer.connect", {"host": "127.0.0.1", "port": port})
    assert failure.value.error == "connect_failed"
    assert oracle.communicate(timeout=60)[0].startswith("failed: round 0")
