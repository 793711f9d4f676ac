"""Connections that come and go for ever leave nothing behind (reliability R16, V7, V26).

20,000 local ones and 2,000 of peers in the ordinary run, 1,000,000 and 100,000 with RATS_LONG=1.
"""
import os
import socket

import pytest

import daemons
import ratsipc

LONG = os.environ.get("RATS_LONG")
LOCAL = 1000000 if LONG else 20000
PEERS = 100000 if LONG else 2000
DRIFT = 0.01
HELLO = ratsipc.encode_call(1, "hello", {"versions": [[1, 0]], "name": "churn"})
LIST = ratsipc.encode_call(2, "session.list")
ON = ratsipc.encode_call(3, "channel.on", {"channel": "churn"})


def come_and_go(path, count):
    """Programs of every politeness."""
    for number in range(count):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            kind = number % 8
            if kind < 5:
                sock.sendall(HELLO + LIST + ON)
                sock.recv(1 << 16)
            elif kind < 7:
                sock.sendall(HELLO if kind == 5 else HELLO[:20])


def same_size(node, before):
    """Within the drift allowed, after what is under way."""
    return node.rss_kib() - before <= before * DRIFT


@pytest.mark.timeout(3600 if LONG else 120)
def test_programs_that_come_and_go_leave_nothing(daemon, record_property):
    node = daemon(program=daemons.plain_ratsd())
    come_and_go(node.socket, LOCAL // 5)
    node.assert_idle()
    base, before = node.descriptors(), node.rss_kib()
    come_and_go(node.socket, LOCAL)
    daemons.wait_until(lambda: node.descriptors() == base, "every descriptor is closed")
    record_property("KiB before and after", "%d %d" % (before, node.rss_kib()))
    print("%d KiB before, %d after" % (before, node.rss_kib()))
    assert same_size(node, before)
    node.assert_idle()


def link_and_unlink(ends, count):
    """The two dial each other in turn. One source may come 200 times a second: the rest wait."""
    ids = [end.info["peer_id"] for end in ends]
    ports = [end.info["listen_port"] for end in ends]
    for number in range(count):
        dialer, other = number % 2, 1 - number % 2

        def linked():
            try:
                ends[dialer].call("peer.connect", {"host": "127.0.0.1", "port": ports[other]})
                return True
            except ratsipc.Failed:
                return False
        daemons.wait_until(linked, "a link")
        ends[dialer].call("peer.disconnect", {"peer": ids[other]})
        ends[other].wait_event("peer.disconnected")
        for end in ends:
            end.events.clear()


@pytest.mark.timeout(7200 if LONG else 180)
def test_peers_that_come_and_go_leave_nothing(daemon, record_property):
    nodes = [daemon(name=name, program=daemons.plain_ratsd()) for name in "ab"]
    ends = [node.client() for node in nodes]
    link_and_unlink(ends, PEERS // 4)
    for end in ends:
        end.call("known.save")  # what the first write of the address book takes is taken
    before = [node.rss_kib() for node in nodes]
    base = [node.descriptors() for node in nodes]
    link_and_unlink(ends, PEERS)
    daemons.wait_until(lambda: [node.descriptors() for node in nodes] == base,
                       "every descriptor is closed")
    after = [node.rss_kib() for node in nodes]
    record_property("KiB before and after", "%s %s" % (before, after))
    print("%s KiB before, %s after" % (before, after))
    for node, size in zip(nodes, before):
        assert same_size(node, size)
