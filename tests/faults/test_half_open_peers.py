"""Peers that never finish their handshake (reliability R14, V5): what each costs, and that honest
ones are still let in. 1,000 of them in the ordinary run, 10,000 with RATS_LONG=1."""
import os
import resource
import socket
import struct
import time

import pytest

import daemons
import ratsipc

LONG = os.environ.get("RATS_LONG")
TOTAL = 10000 if LONG else 1000
PER_SOURCE = 32
BATCH = 200
EACH_KIB = 4
DEADLINE_S = 15
HONEST_S = 2


def message_1():
    """A first handshake message: any 32 bytes are a public key."""
    return struct.pack(">I", 32) + os.urandom(32)


SAID = [b"", b"\x00\x00", message_1()[:20], None]  # None: the whole of a fresh message 1


def half_open(port, number):
    """One more connection, from the next source."""
    source = number // PER_SOURCE
    sock = socket.socket()
    sock.bind(("127.2.%d.%d" % (source // 250, source % 250 + 1), 0))
    sock.connect(("127.0.0.1", port))
    said = SAID[number % len(SAID)]
    sock.sendall(message_1() if said is None else said)
    return sock


def open_count(socks):
    """Those the daemon has not closed."""
    count = 0
    for sock in socks:
        sock.setblocking(False)
        try:
            while sock.recv(1 << 12):
                pass
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def counter(node, name):
    with ratsipc.Client(node.socket) as client:
        client.hello()
        return client.call("instance.get")["counters"]["peer_" + name]


def pending(node):
    return counter(node, "pending")


def gather(node, count):
    """So many, no faster than they are accepted: one that finds the backlog full waits a second."""
    port, crowd = node.port, []
    first = counter(node, "accepted")
    while len(crowd) < count:
        crowd += [half_open(port, number)
                  for number in range(len(crowd), min(len(crowd) + BATCH, count))]
        daemons.wait_until(lambda: counter(node, "accepted") - first >= len(crowd), "all have come")
    return crowd


@pytest.mark.timeout(300)
def test_half_open_peers_cost_little_and_keep_nobody_out(daemon, record_property):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < TOTAL + 500:
        pytest.skip("needs %d descriptors (ulimit -n)" % (TOTAL + 500))
    node = daemon(name="crowded", program=daemons.plain_ratsd(),
                  config="[network]\nmax_pending = 100000\n")
    honest = daemon(name="honest")
    daemons.link(honest, node)  # what is made once is made
    warm = gather(node, PER_SOURCE * 4)
    for sock in warm:
        sock.close()
    daemons.wait_until(lambda: pending(node) == 0, "all have gone")
    client = honest.client()
    client.call("peer.disconnect", {"peer": node.peer_id})
    base, before = node.descriptors(), node.rss_kib()

    began = time.monotonic()
    crowd = gather(node, TOTAL)
    gathered = time.monotonic() - began
    held = pending(node)  # on a slow machine the time of the first is over before the last comes
    each = (node.rss_kib() - before) / held
    assert held >= TOTAL // 2
    asked = time.monotonic()
    client.call("peer.connect", {"host": "127.0.0.1", "port": node.port})
    took = time.monotonic() - asked
    assert open_count(crowd) >= pending(node) > 0
    record_property("held, after s", "%d %.1f" % (held, gathered))
    record_property("KiB each", each)
    record_property("honest handshake s", took)
    print("%d held after %.1f s, %.2f KiB each, an honest handshake took %.3f s"
          % (held, gathered, each, took))
    assert each <= EACH_KIB
    assert took <= HONEST_S or not LONG
    if LONG:  # they are all closed when their time is over
        daemons.wait_until(lambda: pending(node) == 0, "their deadline", DEADLINE_S + 10)
        assert open_count(crowd) == 0
    for sock in crowd:
        sock.close()
    client.call("peer.disconnect", {"peer": node.peer_id})
    daemons.wait_until(lambda: node.descriptors() <= base, "every descriptor is closed")
    node.assert_idle()
