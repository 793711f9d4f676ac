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
EACH_KIB = 4
DEADLINE_S = 15


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
            count += bool(sock.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def pending(node):
    with ratsipc.Client(node.socket) as client:
        client.hello()
        return client.call("instance.get")["counters"]["peer_pending"]


@pytest.mark.timeout(300)
def test_half_open_peers_cost_little_and_keep_nobody_out(daemon, record_property):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < TOTAL + 500:
        pytest.skip("needs %d descriptors (ulimit -n)" % (TOTAL + 500))
    node = daemon(name="crowded", program=daemons.plain_ratsd(),
                  config="[network]\nmax_pending = 100000\n")
    honest = daemon(name="honest")
    port = node.port
    daemons.link(honest, node)  # what is made once is made
    warm = [half_open(port, number) for number in range(PER_SOURCE * 4)]
    daemons.wait_until(lambda: pending(node) == len(warm), "all have come")
    for sock in warm:
        sock.close()
    daemons.wait_until(lambda: pending(node) == 0, "all have gone")
    client = honest.client()
    client.call("peer.disconnect", {"peer": node.peer_id})
    base, before = node.descriptors(), node.rss_kib()

    began = time.monotonic()
    crowd = [half_open(port, number) for number in range(TOTAL)]
    daemons.wait_until(lambda: pending(node) == TOTAL, "all have come")
    each = (node.rss_kib() - before) / TOTAL
    asked = time.monotonic()
    client.call("peer.connect", {"host": "127.0.0.1", "port": port})
    took = time.monotonic() - asked
    if time.monotonic() < began + DEADLINE_S - 1:
        assert open_count(crowd) == TOTAL
    record_property("KiB each", each)
    record_property("honest handshake s", took)
    print("%.2f KiB each, an honest handshake took %.3f s" % (each, took))
    assert each <= EACH_KIB
    if LONG:  # they are all closed when their time is over
        daemons.wait_until(lambda: pending(node) == 0, "their deadline", DEADLINE_S + 10)
        assert open_count(crowd) == 0
    for sock in crowd:
        sock.close()
    client.call("peer.disconnect", {"peer": node.peer_id})
    daemons.wait_until(lambda: node.descriptors() <= base, "every descriptor is closed")
    node.assert_idle()
