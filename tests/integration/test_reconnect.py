"""Daemons that come back to each other, and what they keep of it on disk: restarts of both sides,
kill -9, damage, a full disk, clearing."""
import os
import random
import resource
import signal
import sqlite3
import stat

import daemons
import pytest
import ratsipc
from daemons import link, wait_until

BOOK = "peers.db"
COME_BACK_S = 60  # pauses are a minute at most


def book_path(node):
    return os.path.join(node.state, BOOK)


def is_linked(node, peer_id):
    with ratsipc.Client(node.socket) as client:
        client.hello()
        return any(row["peer"] == peer_id for row in client.call("peer.list")["peers"])


def wait_linked(node, peer_id):
    wait_until(lambda: is_linked(node, peer_id), "they are together", COME_BACK_S)


def targets(client):
    return {row["address"]: row for row in client.call("reconnect.list")["targets"]}


def at_fixed_port(daemon, name):
    """One that has the same address after a restart."""
    return daemon(name=name, listen="127.0.0.1:%d" % daemons.free_port())


def add(client, port, host="127.0.0.1"):
    return client.call("reconnect.add", {"host": host, "port": port})


def test_whoever_restarts_they_find_each_other_again(daemon):
    first, second = at_fixed_port(daemon, "a"), at_fixed_port(daemon, "b")
    peer_id, port = second.peer_id, second.port
    link(first, second)
    second.terminate()
    wait_until(lambda: not is_linked(first, peer_id), "it is lost")
    second.start()
    wait_linked(first, peer_id)
    first.terminate()
    first.start()
    wait_linked(first, peer_id)
    row = first.client().call("known.list")["peers"][0]
    assert (row["peer"], row["address"], row["connected"]) == (peer_id, "127.0.0.1:%d" % port, True)
    assert row["connect_count"] >= 3


def test_who_is_killed_knows_whom_it_knew(daemon):
    first, second = at_fixed_port(daemon, "a"), at_fixed_port(daemon, "b")
    peer_id = second.peer_id
    link(first, second)
    client = first.client()
    client.call("known.save")
    add(client, 9)
    for node in (first, second):
        node.kill()
    second.start()
    first.start()
    wait_linked(first, peer_id)
    assert targets(first.client())["127.0.0.1:9"]["origin"] == "added"


def test_targets_are_kept_until_they_are_removed(daemon):
    first, second = at_fixed_port(daemon, "a"), at_fixed_port(daemon, "b")
    client = first.client()
    assert add(client, second.port) == {"already": False}
    assert add(client, second.port) == {"already": True}
    wait_linked(first, second.peer_id)
    first.terminate()
    first.start()
    wait_linked(first, second.peer_id)
    client = first.client()
    address = "127.0.0.1:%d" % second.port
    row = targets(client)[address]
    assert row["origin"] == "added" and row["connected"] and row["peer"] == second.peer_id
    client.call("reconnect.remove", {"host": "127.0.0.1", "port": second.port})
    assert address not in targets(client)
    assert is_linked(first, second.peer_id)  # the link stays
    with pytest.raises(ratsipc.Failed) as caught:
        client.call("reconnect.remove", {"host": "127.0.0.1", "port": second.port})
    assert caught.value.error == "not_found"


def test_the_configuration_names_targets(daemon):
    second = at_fixed_port(daemon, "b")
    other = at_fixed_port(daemon, "c")
    config = "[reconnect]\ntargets = localhost:%d %s@127.0.0.1:%d\nlearn = no\n" % (
        second.port, "ab" * 32, other.port)
    first = daemon(name="a", config=config)
    wait_linked(first, second.peer_id)
    client = first.client()
    expected = "127.0.0.1:%d" % other.port
    wait_until(lambda: "another peer" in targets(client)[expected].get("error", ""), "it is refused")
    assert not is_linked(first, other.peer_id)
    assert targets(client)[expected]["origin"] == "configured"
    with pytest.raises(ratsipc.Failed) as caught:
        client.call("reconnect.remove", {"host": "127.0.0.1", "port": other.port})
    assert caught.value.error == "busy"
    assert client.call("known.list")["peers"] == []
    assert not os.path.exists(book_path(first))


def test_a_target_that_is_no_address_stops_the_start(daemon):
    node = daemon.make(config="[reconnect]\ntargets = example.org\n")
    ended, said = node.run()
    assert ended == 1
    assert "[reconnect] targets: 'example.org' is no address; write host:port" in said


def test_whoever_is_disconnected_is_held(pair):
    first, second = pair
    client = first.client()
    address = "127.0.0.1:%d" % second.port
    client.call("peer.disconnect", {"peer": second.peer_id})
    wait_until(lambda: targets(client)[address]["state"] == "held", "it is held")
    assert 0 < targets(client)[address]["next_attempt_seconds"] <= 60
    assert client.call("known.connect") == {"dials": 1}  # asked for
    wait_linked(first, second.peer_id)
    assert client.call("known.connect") == {"dials": 0}


def test_clearing_leaves_nothing_on_disk(pair):
    first, second = pair
    client = first.client()
    client.call("known.save")
    needle = bytes.fromhex(second.peer_id)
    files = [book_path(first), book_path(first) + "-wal"]

    def found():
        return sum(open(path, "rb").read().count(needle) for path in files if os.path.exists(path))

    assert found() > 0
    assert client.call("known.clear") == {"removed": 1}
    assert found() == 0
    assert client.call("known.list") == {"count": 0, "peers": []}
    assert targets(client) == {}
    assert is_linked(first, second.peer_id)
    first.terminate()
    first.start()
    assert first.client().call("known.list")["count"] == 0


def test_the_book_is_private_whatever_the_umask(daemon):
    nodes = [daemon.make(name=name) for name in "ab"]
    for node in nodes:
        node.start(preexec_fn=lambda: os.umask(0))
    link(*nodes)
    nodes[0].client().call("known.save")
    for name in os.listdir(nodes[0].state):
        mode = stat.S_IMODE(os.stat(os.path.join(nodes[0].state, name)).st_mode)
        assert mode == 0o600, name


def test_a_damaged_book_is_set_aside_with_a_warning(pair):
    first, second = pair
    first.client().call("known.save")
    first.terminate()
    with open(book_path(first), "r+b") as file:
        file.write(os.urandom(100))
    first.start()
    assert "%s is damaged" % book_path(first) in first.log()
    assert "set aside as %s.damaged" % book_path(first) in first.log()
    assert os.path.exists(book_path(first) + ".damaged")
    link(first, second)
    client = first.client()
    client.call("known.save")
    assert client.call("known.list")["count"] == 1


def test_wherever_the_book_is_damaged_it_starts(pair):
    """Reliability R8, with the real program: some of what the unit test does exhaustively."""
    first, second = pair
    peer_id = first.peer_id
    client = first.client()
    client.call("known.save")
    add(client, 9)
    first.terminate()
    with open(book_path(first), "rb") as file:
        good = file.read()
    dice = random.Random(8)
    print("seed 8")
    for number in range(12):
        bad = bytearray(good)
        if number % 2:
            bad = bad[:dice.randrange(len(bad))]
        else:
            for _ in range(20):
                bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
        with open(book_path(first), "wb") as file:
            file.write(bad)
        first.start()
        client = first.client()
        assert first.peer_id == peer_id
        assert client.call("known.list")["count"] <= 1
        add(client, 10)
        first.terminate()
    assert second.running()


def limited():
    """No file of it may grow beyond 96 KiB; writing more is an error and no signal."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (96 * 1024, resource.RLIM_INFINITY))


def test_without_room_it_says_so_and_loses_nothing(daemon):
    node = daemon.make().start(preexec_fn=limited)
    client = node.client()
    added = []
    with pytest.raises(ratsipc.Failed) as caught:
        for port in range(1, 500):
            add(client, port)
            added.append(port)
    assert caught.value.error == "operation_failed"
    assert "cannot write peers.db" in caught.value.text and "room" in caught.value.text
    assert added
    assert sorted(row["port"] for row in targets(client).values()) == added  # it was not promised
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    add(client, 1000)
    client.call("known.save")
    node.terminate()
    node.start()
    kept = sorted(row["port"] for row in targets(node.client()).values())
    assert kept == added + [1000]


def test_a_directory_that_cannot_be_written_is_told(daemon):
    """The book is a cache: without it everything else works."""
    node = daemon()
    os.mkdir(book_path(node))
    client = node.client()
    with pytest.raises(ratsipc.Failed) as caught:
        add(client, 9)
    assert caught.value.error == "operation_failed"
    assert "known peers are not kept: cannot open %s" % book_path(node) in node.log()
    assert targets(client) == {}
    os.rmdir(book_path(node))
    add(client, 9)
    assert "127.0.0.1:9" in targets(client)
    assert "known peers are kept again" in node.log()


def test_the_file_is_a_database_anybody_can_read(pair):
    first, second = pair
    first.client().call("known.save")
    first.terminate()
    with sqlite3.connect(book_path(first)) as database:
        assert database.execute("PRAGMA application_id").fetchone()[0] == 0x52507262
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        rows = database.execute("SELECT ip, port, id FROM known").fetchall()
    assert rows == [(bytes([127, 0, 0, 1]), second.port, bytes.fromhex(second.peer_id))]
