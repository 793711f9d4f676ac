"""Bans and limits of real daemons: what outlives kill -9, a reload, and a flood from a peer."""
import json
import os
import random
import signal
import time

import pytest
import ratsipc
from daemons import link, wait_until

COUNT = 100  # a session may have 128 calls in progress


def bans(node):
    with ratsipc.Client(node.socket) as client:
        client.hello()
        return {row["subject"] for row in client.call("ban.list")["bans"]}


def test_every_ban_that_was_answered_for_outlives_kill_9(daemon):
    """The daemon dies at some moment of a burst of changes; what it said is done is done."""
    dice = random.Random(4711)
    node = daemon()
    kept = set()
    for _ in range(5):
        client = node.client()
        waiting = {}
        for number in range(COUNT):
            subject = "10.%d.%d.0/24" % (dice.randrange(256), number % 256)
            waiting[client.begin("ban.add", {"subject": subject})] = subject
        answered = dice.randrange(1, COUNT // 4)
        while answered:
            for frame_id in list(waiting):
                if frame_id in client.answers:
                    kept.add(client.finish(frame_id)["subject"])
                    del waiting[frame_id]
                    answered = max(0, answered - 1)
            if answered:
                client.take()
        node.kill()
        node.close_clients()
        node.start()
        assert kept <= bans(node)
        kept = bans(node)


def test_there_is_a_database_once_there_is_something_for_it(daemon):
    node = daemon()
    bans(node)
    assert not [name for name in os.listdir(node.state) if ".db" in name]
    node.client().call("ban.add", {"subject": "192.0.2.0/24"})
    assert os.path.exists(os.path.join(node.state, "guard.db"))


def test_bans_and_limits_outlive_a_restart(pair):
    first, second = pair
    client = first.client()
    limit = {"peer": second.peer_id, "messages_per_second": 50, "bytes_per_second": 0}
    client.call("limit.set", limit)
    client.call("ban.add", {"subject": "192.0.2.0/24", "reason": "noise"})
    client.call("ban.add", {"subject": "198.51.100.1", "seconds": 3600})
    first.close_clients()
    first.terminate()
    first.start()
    client = first.client()
    assert client.call("limit.list")["limits"] == [limit]
    rows = {row["subject"]: row for row in client.call("ban.list")["bans"]}
    assert set(rows) == {"192.0.2.0/24", "198.51.100.1"}
    assert rows["192.0.2.0/24"]["reason"] == "noise"
    assert 3500 < rows["198.51.100.1"]["left_seconds"] <= 3600
    link(first, second)
    assert client.call("peer.get", {"peer": second.peer_id})["messages_per_second"] == 50


@pytest.mark.parametrize("cut", [None, 0, 1, 100, 4096])
def test_a_damaged_list_of_bans_stops_the_start(daemon, cut):
    """Who was kept out must not come in because a file is damaged, or empty after a power cut."""
    node = daemon()
    node.client().call("ban.add", {"subject": "192.0.2.0/24"})
    node.close_clients()
    node.terminate()
    path = os.path.join(node.state, "guard.db")
    if cut is None:
        with open(path, "r+b") as file:
            file.write(b"nonsense" * 64)
    else:
        os.truncate(path, cut)
    code, said = node.run()
    assert code == 4 and "guard.db" in said and "damaged" in said, said
    assert "move it away" in said
    os.remove(path)
    node.start()
    assert bans(node) == set()


def test_a_peer_above_its_limit_is_slowed_and_loses_nothing(pair):
    first, second = pair
    receiver, sender = first.client().listen("x"), second.client()
    receiver.call("limit.set", {"peer": second.peer_id, "messages_per_second": 100,
                                "bytes_per_second": 0})
    begun = time.monotonic()
    for number in range(350):
        sender.send_message(first.peer_id, "x", b"%d" % number)
    for number in range(350):
        assert receiver.wait_message().body == b"%d" % number
    assert time.monotonic() - begun > 1.5  # 100 at once, the rest at 100 a second
    row = receiver.call("peer.get", {"peer": second.peer_id})
    assert row["throttled"] > 0
    assert receiver.call("instance.get")["counters"]["peer_throttled"] >= row["throttled"]


def test_a_reload_sets_the_limits_of_all(daemon):
    first, second = daemon(name="a", config="[network]\n"), daemon(name="b")
    link(first, second)
    client = first.client()
    first.configure("[network]\npeer_messages_per_second = 77\npeer_bytes_per_second = 1M\n")
    first.process.send_signal(signal.SIGHUP)
    event = client.wait_event("peer.updated",
                              where=lambda fields: fields["messages_per_second"] == 77)
    assert event["bytes_per_second"] == 1 << 20
    assert client.call("limit.list")["messages_per_second"] == 77


def test_bans_by_ratsctl(pair):
    first, second = pair
    assert "round trip" in first.ctl("peer", second.peer_id[:8]).stdout
    done = first.ctl("ban", second.peer_id[:8], "--for=2h", "--reason=too loud")
    assert done.stdout == "banned %s, disconnected 1 peer\n" % second.peer_id
    assert first.ctl("bans").stdout.splitlines()[1].split(None, 1)[0] == second.peer_id
    row = first.ctl("bans", "--format=tab").stdout.rstrip("\n").split("\t")
    assert row[0] == second.peer_id and 7100 < int(row[1]) <= 7200 and row[3] == "too loud"
    assert first.ctl("unban", second.peer_id[:6]).stdout == "lifted the ban of %s\n" % second.peer_id
    assert first.ctl("unban", second.peer_id).returncode == 6
    assert first.ctl("ban", "10.0.0.0/33").returncode == 2
    assert first.ctl("ban", "10.0.0.0/8", "--for=soon").returncode == 2
    assert first.ctl("unban", "zz").returncode == 2


def test_limits_and_pings_by_ratsctl(pair):
    first, second = pair
    short = second.peer_id[:8]
    done = first.ctl("limit", short, "--messages=5", "--bytes=64K")
    assert done.stdout.split() == [second.peer_id, "5", "65536"]
    assert first.ctl("limit").stdout.splitlines()[2].split() == [second.peer_id, "5", "65536"]
    assert json.loads(first.ctl("limit", "--json").stdout)["limits"][0]["messages_per_second"] == 5
    assert first.ctl("limit", short).stdout.split() == [second.peer_id, "5", "65536"]
    assert json.loads(first.ctl("limit", short, "--json").stdout)["own"] is True
    assert first.ctl("limit", short, "--clear").returncode == 0
    assert first.ctl("limit", short).stdout.split() == [second.peer_id, "any", "any"]
    assert json.loads(first.ctl("limit", short, "--json").stdout)["own"] is False
    assert first.ctl("limit", short, "--clear").returncode == 6
    for words in (["limit", "--clear"], ["limit", short, "--bytes=x"],
                  ["limit", short, "--bytes=1K"], ["limit", short, "--messages=1", "--clear"]):
        assert first.ctl(*words).returncode == 2, words
    done = first.ctl("ping", short, "--count=2")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 2
    assert "answered in" in done.stdout
    assert len(json.loads(first.ctl("ping", short, "--json").stdout)["rtt_us"]) == 1
    assert first.ctl("ping", "ab" * 32).returncode == 6
    second.process.send_signal(signal.SIGSTOP)
    try:
        assert first.ctl("ping", short, "--timeout=0.2").returncode == 5
    finally:
        second.process.send_signal(signal.SIGCONT)


def test_peers_of_a_hub_find_each_other(daemon):
    local = "[pex]\nloopback = yes\n"
    hub, one, two = (daemon(name=name, config=local) for name in ("hub", "one", "two"))
    link(one, hub)
    link(two, hub)
    client = two.client()
    wait_until(lambda: one.peer_id in [row["peer"] for row in client.call("peer.list")["peers"]],
               "the second of the hub's peers has found the first")


def test_peers_of_a_hub_on_loopback_are_not_named_by_default(daemon):
    hub, one, two = daemon(name="hub"), daemon(name="one"), daemon(name="two")
    link(one, hub)
    link(two, hub)
    client = two.client()
    client.call("pex.request", {"peer": hub.peer_id})
    with ratsipc.Client(hub.socket) as asked:
        asked.hello()
        wait_until(lambda: asked.call("instance.get")["counters"]["pex_requests"] >= 3,
                   "the hub was asked")
        assert asked.call("instance.get")["counters"]["pex_answered"] == 0
    assert len(client.call("peer.list")["peers"]) == 1
