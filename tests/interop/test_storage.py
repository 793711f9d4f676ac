"""The store between ratsd and a Python peer, both roles (wire-services 7)."""
import random
import struct
import time

import pytest
import ratsipc
import storewire
from daemons import wait_until
from peering import wire
from storewire import ENTRY, SYNC_REQUEST, Entry, encode, entries_of, response

DAY_MS = 24 * 3600 * 1000


def now_ms():
    return int(time.time() * 1000)


def get(client, key):
    try:
        return client.call_body("storage.get", {"key": key})[1]
    except ratsipc.Failed as failed:
        assert failed.error == "not_found"
        return None


def wait_value(client, key, value):
    wait_until(lambda: get(client, key) == value, "%s is %r" % (key, value))


def receive(link, timeout=wire.TIMEOUT_S):
    """The payload of the next message of the store."""
    return link.wait(wire.STORAGE, timeout).payload


def send(link, payload):
    link.send_message(wire.STORAGE, payload)


def settle(link):
    """What was sent before has been dealt with: answers come in turn. Returns entries that came."""
    came = []
    send(link, SYNC_REQUEST)
    while True:
        payload = receive(link)
        if payload[:1] == storewire.SYNC_RESPONSE:
            return came
        came += entries_of(payload)


def pass_by(client, link):
    """What was sent before has been dealt with: entries are taken in turn."""
    pass_by.number += 1
    value = b"%d" % pass_by.number
    send(link, ENTRY + encode(Entry(b"passed by", value, now_ms() + pass_by.number)))
    wait_value(client, "passed by", value)


pass_by.number = 0


@pytest.fixture(params=["dialed by the peer", "dialed by the daemon"])
def linked(request, daemon, peers):
    """A client of a daemon, a node, and a link between them that was made either way."""
    server = daemon()
    client = server.client()
    node = peers.node()
    link = peers.dial(server, node) if "by the peer" in request.param else peers.call(client, node)[0]
    assert receive(link) == SYNC_REQUEST  # at once, as upstream does
    return client, node, link


def test_an_empty_store_answers_with_nothing(linked):
    _, _, link = linked
    send(link, SYNC_REQUEST)
    assert receive(link) == bytes.fromhex("0300000000")


def test_changes_of_the_daemon_arrive(linked):
    client, _, link = linked
    before = now_ms()
    number = struct.pack(">q", -2)
    for key, kind, value in (("s", "string", b"text"), ("n", "int64", number), ("b", "binary", b""),
                             ("d", "double", bytes(8)), ("j", "json", b"[]")):
        client.call("storage.put", {"key": key, "type": kind}, body=value)
        entry, = entries_of(receive(link))
        names = ["binary", "string", "int64", "double", "json"]
        assert entry[:2] == (key.encode(), value) and entry.type == 1 + names.index(kind)
        assert entry.origin == client.info["peer_id"] and not entry.deleted
        assert before <= entry.timestamp_ms <= now_ms()
    client.call("storage.remove", {"key": "s"})
    tombstone, = entries_of(receive(link))
    assert (tombstone.key, tombstone.data, tombstone.deleted) == (b"s", b"", True)
    assert tombstone.type == storewire.STRING  # that of the value


def test_entries_of_a_peer_are_kept_and_found_again(linked):
    client, node, link = linked
    send(link, ENTRY + encode(Entry(b"k", b"1", now_ms(), node.id)))
    wait_value(client, "k", b"1")
    assert client.call_body("storage.get", {"key": "k"})[0]["origin"] == node.id
    send(link, ENTRY + encode(Entry(b"old", b"2", 1000)))  # written before it had an id
    wait_value(client, "old", b"2")
    assert "origin" not in client.call_body("storage.get", {"key": "old"})[0]
    send(link, SYNC_REQUEST)
    assert {entry.key: entry.data for entry in entries_of(receive(link))} == {b"k": b"1",
                                                                              b"old": b"2"}


def test_the_later_wins_then_the_larger_origin(linked):
    client, node, link = linked
    stamp = now_ms() - DAY_MS
    for value, time_ms, origin, kept in (
            (b"1", stamp, "b" * 64, b"1"), (b"2", stamp - 1, "f" * 64, b"1"),
            (b"3", stamp, "a" * 64, b"1"), (b"4", stamp, "b" * 64, b"1"),
            (b"5", stamp, "c" * 64, b"5"), (b"6", stamp + 1, "", b"6")):
        send(link, ENTRY + encode(Entry(b"k", value, time_ms, origin)))
        pass_by(client, link)
        assert get(client, "k") == kept
    send(link, ENTRY + encode(Entry(b"k", b"", stamp + 2, node.id, deleted=True)))
    pass_by(client, link)
    assert get(client, "k") is None


def test_a_clock_that_is_ahead_freezes_nothing(linked):
    client, _, link = linked
    send(link, ENTRY + encode(Entry(b"k", b"future", 99999999999999)))
    send(link, ENTRY + encode(Entry(b"l", b"soon", now_ms() + 60000)))
    settle(link)
    assert get(client, "k") is None and get(client, "l") == b"soon"
    client.call("storage.put", {"key": "l"}, body=b"now")
    entry, = entries_of(receive(link))
    assert entry.timestamp_ms > now_ms() + 30000  # behind what it replaces
    assert get(client, "l") == b"now"
    client.call("storage.remove", {"key": "l"})
    assert entries_of(receive(link))[0].timestamp_ms > entry.timestamp_ms


def test_winners_are_forwarded_and_responses_are_not(daemon, peers):
    server = daemon()
    client = server.client()
    links = [peers.dial(server) for _ in range(3)]
    for link in links:
        assert receive(link) == SYNC_REQUEST
    wait_until(lambda: len(client.call("peer.list")["peers"]) == 3, "three peers")
    stamp = now_ms()
    winner = ENTRY + encode(Entry(b"k", b"v", stamp, "b" * 64, storewire.JSON))
    send(links[0], winner)
    for link in links[1:]:
        assert receive(link) == winner  # byte for byte
    send(links[1], winner)  # the same again, and an older one: neither goes on
    send(links[1], ENTRY + encode(Entry(b"k", b"w", stamp - 1, "c" * 64)))
    send(links[1], response(Entry(b"merged", b"1", stamp)))
    assert settle(links[1]) == []
    wait_value(client, "merged", b"1")
    send(links[1], ENTRY + encode(Entry(b"last", b"", stamp)))
    for link in (links[0], links[2]):
        entry, = entries_of(receive(link))
        assert entry.key == b"last"
    assert settle(links[0]) == [] and settle(links[1]) == []


def test_damaged_entries_are_passed_over(linked):
    client, _, link = linked
    stamp = now_ms()
    good = [Entry(b"%d" % i, b"v", stamp) for i in range(6)]
    parts = [encode(entry) for entry in good]
    parts[1] = parts[1][:-1] + bytes([parts[1][-1] ^ 1])  # its checksum
    parts[3] = encode(good[3]._replace(type=9))  # no such type
    parts[4] = bytes([0, 0, 0, 255]) + parts[4][4:]  # a length that is not its own
    send(link, b"\x03" + struct.pack(">I", 6) + b"".join(parts))
    wait_value(client, "2", b"v")
    assert client.call("storage.keys")["keys"] == ["0", "2"]
    for noise in (b"", b"\x00", b"\x01", b"\x03\x00", b"\x04", b"\xff" * 40, b"\x01" + b"\xff" * 60,
                  b"\x03" + b"\xff" * 4, ENTRY + encode(Entry(b"", b"", stamp)),
                  ENTRY + encode(Entry(b"\xff", b"", stamp)),
                  ENTRY + encode(Entry(b"x", b"1", stamp, "Z" * 64)),
                  ENTRY + encode(Entry(b"x", b"1", stamp, deleted=True)),
                  ENTRY + encode(Entry(b"x", b"1", stamp, type=storewire.INT64))):
        send(link, noise)
    settle(link)
    assert client.call("storage.keys")["keys"] == ["0", "2"]


def test_a_large_store_comes_in_several_messages(linked):
    client, _, link = linked
    value = random.Random(3).randbytes(300000)
    for i in range(12):
        client.call("storage.put", {"key": "k%02d" % i}, body=value)
        receive(link)
    client.call("storage.put", {"key": "huge"}, body=value * 10)
    receive(link)
    send(link, SYNC_REQUEST)
    found, messages = {}, 0
    while len(found) < 13:
        payload = receive(link)
        assert len(payload) <= 1 << 20 or len(entries_of(payload)) == 1
        found.update({entry.key: entry.data for entry in entries_of(payload)})
        messages += 1
    assert messages >= 5 and found[b"k07"] == value and found[b"huge"] == value * 10


def test_one_response_of_twenty_megabytes_is_taken(linked):
    """What upstream sends for a store of that size."""
    client, _, link = linked
    value = random.Random(4).randbytes(100000)
    send(link, response(*[Entry(b"%03d" % i, value, 1000 + i) for i in range(200)]))
    wait_until(lambda: client.call("storage.statistics")["keys"] == 200, "all are there", 60)
    assert get(client, "199") == value


def test_values_beyond_the_limit_are_refused(linked):
    client, _, link = linked
    send(link, ENTRY + encode(Entry(b"large", bytes((4 << 20) + 1), now_ms())))
    send(link, ENTRY + encode(Entry(b"k" * 1025, b"", now_ms())))
    send(link, ENTRY + encode(Entry(b"fits", bytes(4 << 20), now_ms())))
    settle(link)
    assert client.call("storage.keys")["keys"] == ["fits"]
    assert client.call("storage.statistics")["refused"] == 2


def test_a_peer_that_never_reads_delays_nobody(daemon, peers):
    server = daemon()
    client = server.client()
    deaf, other = peers.dial(server), peers.dial(server)
    assert receive(other) == SYNC_REQUEST
    for i in range(24):
        client.call("storage.put", {"key": "k%d" % (i % 4)}, body=bytes(1 << 20))
    for i in range(4):
        client.call("storage.put", {"key": "k%d" % i}, body=b"last")
    last = set()
    while len(last) < 4:
        last |= {entry.key for entry in entries_of(receive(other)) if entry.data == b"last"}
    assert get(client, "k3") == b"last"
    assert deaf.is_open()
