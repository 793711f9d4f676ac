"""Bans, limits, pings and peer exchange as a client sees them, answer by answer."""
import pytest
import ratsipc
from daemons import link, wait_until

STRANGER = "ab" * 32


def fails(client, method, params):
    with pytest.raises(ratsipc.Failed) as caught:
        client.call(method, params)
    return caught.value.error


def bans(client):
    return [row["subject"] for row in client.call("ban.list")["bans"]]


def test_a_ping_is_answered_and_the_round_trip_known(shared_pair):
    first, second = shared_pair
    client = first.client()
    assert client.call("ping.send", {"peer": second.peer_id})["rtt_us"] > 0
    rtt_us = client.call("ping.rtt", {"peer": second.peer_id})["rtt_us"]
    row = client.call("peer.get", {"peer": second.peer_id})
    assert abs(row["rtt_ms"] * 1000 - rtt_us) < 1
    for method in ("ping.send", "ping.rtt", "pex.request"):
        assert fails(client, method, {"peer": STRANGER}) == "peer_not_found"
    assert client.call("pex.request", {"peer": second.peer_id}) == {}


def test_bans_come_and_go(shared_daemon):
    client = shared_daemon.client()
    for given, subject in ((STRANGER.upper(), STRANGER), ("192.0.2.99/24", "192.0.2.0/24"),
                           ("2001:DB8::1", "2001:db8::1")):
        answer = client.call("ban.add", {"subject": given, "seconds": 60, "reason": "grüße"})
        assert answer == {"subject": subject, "disconnected": 0}
        row = client.call("ban.list")["bans"][-1]
        assert (row["subject"], row["reason"]) == (subject, "grüße")
        assert row["kind"] == ("peer" if subject == STRANGER else "address")
        assert 0 < row["left_seconds"] <= 60
        assert client.call("ban.remove", {"subject": given}) == {"subject": subject, "removed": True}
        assert client.call("ban.remove", {"subject": given})["removed"] is False
    client.call("ban.add", {"subject": STRANGER})
    assert "left_seconds" not in client.call("ban.list")["bans"][-1]
    client.call("ban.remove", {"subject": STRANGER})
    for wrong in ("x", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "::/129", "example.org",
                  shared_daemon.peer_id):
        assert fails(client, "ban.add", {"subject": wrong}) == "invalid_parameter"
    assert bans(client) == []


def test_a_banned_peer_goes_and_cannot_come_back(pair):
    first, second = pair
    client, other = first.client(), second.client()
    assert client.call("ban.add", {"subject": second.peer_id})["disconnected"] == 1
    event = client.wait_event("peer.disconnected")
    assert (event["peer"], event["reason"]) == (second.peer_id, "banned")
    wait_until(lambda: not other.call("peer.list")["peers"], "the other end knows")
    door = {"host": "127.0.0.1", "port": second.port}
    assert fails(client, "peer.connect", door) == "connect_failed"
    assert fails(client, "peer.connect", dict(door, peer=second.peer_id)) == "connect_failed"
    try:  # it is established there for a moment
        other.call("peer.connect", {"host": "127.0.0.1", "port": first.port})
    except ratsipc.Failed:
        pass
    wait_until(lambda: not other.call("peer.list")["peers"], "it does not stay")
    client.call("ban.remove", {"subject": second.peer_id})
    client.call("ban.add", {"subject": "127.0.0.0/8"})
    assert fails(other, "peer.connect", {"host": "127.0.0.1", "port": first.port}) == "connect_failed"
    client.call("ban.remove", {"subject": "127.0.0.0/8"})
    link(first, second)


def test_limits_come_and_go(shared_pair):
    first, second = shared_pair
    client = first.client()
    limit = {"peer": second.peer_id, "messages_per_second": 1000, "bytes_per_second": 1 << 20}
    assert client.call("limit.set", limit) == limit
    event = client.wait_event("peer.updated")
    assert {name: event[name] for name in limit} == limit
    assert client.call("limit.list") == {"limits": [limit], "messages_per_second": 0,
                                         "bytes_per_second": 0}
    cleared = {"peer": second.peer_id, "cleared": True}
    assert client.call("limit.clear", {"peer": second.peer_id}) == cleared
    assert client.call("limit.clear", {"peer": second.peer_id}) == dict(cleared, cleared=False)
    assert client.call("peer.get", {"peer": second.peer_id})["messages_per_second"] == 0
    assert fails(client, "limit.set", dict(limit, bytes_per_second=16383)) == "invalid_parameter"
    assert client.call("limit.list")["limits"] == []
