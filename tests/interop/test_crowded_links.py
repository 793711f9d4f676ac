"""What waits for peers that do not read is bounded for all of them together, and nothing of it is lost
(reliability.md V2)."""
import concurrent.futures
import socket
import time

import gossip
import pytest
from daemons import plain_ratsd, wait_until
from peering import flood, peer_ids, wire
from ratsipc import EVERY_PEER, TOPIC, encode_message

MIB = 1 << 20
LARGE = 60 * MIB


def read_until(link, size):
    while len(link.wait(wire.APP, 60).payload) != size:
        pass


def published(link):
    """The next message of a topic."""
    payload = b""
    while payload[:1] != bytes([gossip.PUBLISH]):
        payload = link.wait(wire.GOSSIP, 20).payload
    return payload


def stands_still(daemon):
    """Its memory, once that has not grown for a while."""
    grown, seen = time.monotonic(), 0
    while time.monotonic() - grown < 1:
        if daemon.rss_kib() > seen + 1024:
            grown, seen = time.monotonic(), daemon.rss_kib()
        time.sleep(0.05)
    return seen


def test_a_large_message_to_many_goes_out_in_parts_and_to_each_once(daemon, peers):
    server = daemon(program=plain_ratsd())
    client, sender = server.client(), server.client()
    links = [peers.dial(server) for _ in range(10)]
    wait_until(lambda: len(peer_ids(client)) == 10, "ten peers")
    before = server.rss_kib()
    payload = b"the same for all" + bytes(LARGE)
    call = sender.begin_message(EVERY_PEER, "x", payload)
    # Four of the largest wait for links, and one is in the hands of the session.
    assert stands_still(server) - before < 5 * 64 * 1024 + 16 * 1024
    assert client.call("log.get_level") is not None  # nobody else waits
    with concurrent.futures.ThreadPoolExecutor(len(links)) as pool:  # who has it first is nobody's to know
        for message in pool.map(lambda link: link.wait(wire.APP, 60), links):
            assert message.payload == payload
    assert sender.finish(call, 60)["peers"] == 10
    assert sender.send_asked(EVERY_PEER, "x", b"the next") == 10
    for link in links:
        assert link.wait(wire.APP).payload == b"the next"


@pytest.mark.parametrize("size", [100, 40 * MIB], ids=["small", "large"])
def test_who_does_not_read_keeps_a_message_to_all_from_nobody(daemon, peers, size):
    server = daemon(program=plain_ratsd())
    client, sender = server.client(), server.client()
    deaf, nodes = [peers.node() for _ in range(3)], [peers.node() for _ in range(6)]
    links = {node.id: peers.dial(server, node) for node in deaf + nodes}
    wait_until(lambda: len(peer_ids(client)) == len(links), "all peers")
    for node in deaf:
        flood(server.client(), node.id)
    call = sender.begin_message(EVERY_PEER, "x", bytes(size))
    with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
        for message in pool.map(lambda node: links[node.id].wait(wire.APP, 20), nodes):
            assert len(message.payload) == size
    client.call("peer.disconnect", {"peer": deaf[0].id})
    with concurrent.futures.ThreadPoolExecutor(len(deaf)) as pool:
        list(pool.map(lambda node: read_until(links[node.id], size), deaf[1:]))
    assert sender.finish(call, 60)["peers"] == len(nodes) + len(deaf) - 1


def test_a_large_message_of_a_topic_reaches_every_subscriber_that_reads(daemon, peers):
    server = daemon(program=plain_ratsd())
    client = server.client()
    links = [peers.dial(server) for _ in range(7)]
    for link in links:
        link.send_message(wire.GOSSIP, gossip.control(gossip.SUBSCRIBE, b"news"))
    wait_until(lambda: len(client.call("topic.peers", {"topic": "news"})["peers"]) == 7, "subscribers")
    payload = b"the same for all" + bytes(LARGE)
    call = client.begin_message(EVERY_PEER, "news", payload, plane=TOPIC)
    with concurrent.futures.ThreadPoolExecutor(len(links)) as pool:
        for message in pool.map(lambda link: published(link), links):
            assert message.endswith(payload)
    assert client.finish(call, 60)["peers"] == 7


def test_a_crowd_that_reads_nothing_shares_what_there_is(daemon, peers):
    server = daemon(program=plain_ratsd())
    client, sender = server.client(), server.client()
    for _ in range(150):
        peers.dial(server)
    wait_until(lambda: len(peer_ids(client)) == 150, "a crowd", 30)
    before = server.rss_kib()
    frame = encode_message(EVERY_PEER, "x", bytes(200 * 1024))
    sender.sock.settimeout(2)
    try:
        for _ in range(100):
            sender.sock.sendall(frame)
        raise AssertionError("nothing holds the sender")
    except socket.timeout:
        pass
    assert stands_still(server) - before < 200 * 1024
    node = peers.node()
    reader = peers.dial(server, node)
    wait_until(lambda: node.id in peer_ids(client), "one that reads")
    for number in range(20):
        assert client.send_asked(node.id, "x", b"%d" % number + bytes(100000)) == 1
        assert reader.wait(wire.APP).payload[:2].rstrip(b"\0") == b"%d" % number
