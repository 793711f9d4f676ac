"""The replicated store: calls of programs, two daemons, restarts, a full disk, kills (api.md 6.6)."""
import os
import random
import subprocess
import threading

import daemons
import pytest
import ratsipc
from daemons import wait_until

LONG = bool(os.environ.get("RATS_LONG"))


def put(client, key, value, kind="binary"):
    return client.call("storage.put", {"key": key, "type": kind}, body=value)


def get(client, key):
    """(value, type); None when the key has none."""
    try:
        head, body = client.call_body("storage.get", {"key": key})
    except ratsipc.Failed as failed:
        assert failed.error == "not_found"
        return None
    return body, head["type"]


def keys(client, prefix="", limit=1000):
    """All keys, however many parts they come in."""
    found, more = [], True
    while more:
        part = client.call("storage.keys", {"prefix": prefix, "limit": limit,
                                            "after": found[-1] if found else ""})
        found += part["keys"]
        more = part["more"]
        assert part["keys"] or not more
    return found


def change(client, where=lambda fields: True):
    """The next storage.changed: (key, deleted, remote, value)."""
    while True:
        while client.events:
            head = client.events.popleft()
            if head["v"] == "storage.changed" and where(head["p"]):
                fields = head["p"]
                return fields["key"], fields["deleted"], fields["remote"], head.get("body", b"")
        client.take()


def has(client, key, value):
    return lambda: (get(client, key) or (None,))[0] == value


# --- one daemon ---

def test_what_is_put_is_got(shared_daemon):
    client = shared_daemon.client()
    for kind, value in (("binary", b"\0\xff"), ("string", b"text"), ("int64", b"\xff" * 8),
                        ("double", bytes(8)), ("json", b'{"a":1}'), ("binary", b"")):
        put(client, "got", value, kind)
        assert get(client, "got") == (value, kind)
    head, _ = client.call_body("storage.get", {"key": "got"})
    assert head["origin"] == client.info["peer_id"]
    client.call("storage.remove", {"key": "got"})
    assert get(client, "got") is None
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("storage.remove", {"key": "got"})
    assert failed.value.error == "not_found"


def test_keys_come_in_order_and_in_parts(shared_daemon):
    client = shared_daemon.client()
    names = ["list/%03d" % i for i in range(25)] + ["list/\u00e9"]
    for name in reversed(names):
        put(client, name, b"x")
    assert keys(client, "list/") == names
    assert keys(client, "list/", limit=7) == names
    assert keys(client, "list/01") == names[10:20]
    assert keys(client, "nothing") == []


def test_values_of_four_mebibytes(shared_daemon):
    client = shared_daemon.client()
    value = random.Random(7).randbytes(4 << 20)
    put(client, "large", value)
    assert get(client, "large") == (value, "binary")


def test_every_limit_names_its_field_and_a_remedy(daemon):
    node = daemon(config="[storage]\nmax_key = 10\nmax_value = 1K\nmax_keys = 3\nmax_total = 2K\n")
    client = node.client()

    def refused(key, value, kind="binary"):
        with pytest.raises(ratsipc.Failed) as failed:
            put(client, key, value, kind)
        return failed.value

    assert refused("k" * 11, b"").error == "too_large"
    fault = refused("k" * 11, b"")
    assert fault.details == {"field": "key"} and "max_key" in fault.text and "10" in fault.text
    fault = refused("k", bytes(1025))
    assert fault.error == "too_large" and fault.details == {"field": "body"}
    assert "max_value" in fault.text and "1025" in fault.text
    fault = refused("k", b"1234567", "int64")
    assert fault.error == "invalid_parameter" and "8 bytes" in fault.text
    put(client, "a", bytes(1000))
    put(client, "b", bytes(1000))
    fault = refused("c", bytes(100))
    assert fault.error == "limit" and "max_total" in fault.text
    put(client, "c", b"")
    fault = refused("d", b"")
    assert fault.error == "limit" and "max_keys" in fault.text
    put(client, "c", b"still")
    statistics = client.call("storage.statistics")
    assert (statistics["keys"], statistics["total_bytes"]) == (3, 2008)
    assert (statistics["max_keys"], statistics["max_total_bytes"]) == (3, 2048)


def test_whoever_may_not_write_reads(daemon):
    """The test's own user has control permission; the daemon is told otherwise by its option."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    node = daemon(config="[storage]\nwrite = control\n[clients]\nsocket_mode = 0666\n")
    client = node.client()
    put(client, "k", b"1")
    os.chmod(node.directory, 0o755)
    program = ("import sys; sys.path.insert(0, %r)\nimport ratsipc\nc = ratsipc.Client(%r)\n"
               "c.hello()\nprint(c.call_body('storage.get', {'key': 'k'})[1])\n"
               "try:\n    c.call('storage.put', {'key': 'k'}, body=b'2')\n"
               "except ratsipc.Failed as f:\n    print(f.error, f.text)\n"
               % (os.path.join(daemons.ROOT, "tests", "support"), node.socket))
    done = subprocess.run(["/usr/bin/python3", "-c", program], stdout=subprocess.PIPE, check=True,
                          universal_newlines=True, user=65534, group=65534, extra_groups=[])
    assert done.stdout.splitlines()[0] == "b'1'"
    assert done.stdout.splitlines()[1].startswith("not_permitted") and "[storage]" in done.stdout
    assert get(client, "k")[0] == b"1"


def test_without_a_store_every_call_says_so(daemon):
    client = daemon(config="[storage]\nenabled = no\n").client()
    for method, params in (("put", {"key": "k"}), ("get", {"key": "k"}), ("remove", {"key": "k"}),
                           ("keys", {}), ("sync", {}), ("statistics", {}),
                           ("watch", {"prefix": ""}), ("unwatch", {"prefix": ""})):
        with pytest.raises(ratsipc.Failed) as failed:
            client.call("storage." + method, params)
        assert failed.value.error == "not_supported" and failed.value.code == -9
        assert "enabled" in failed.value.text


def test_watchers_hear_of_their_prefixes_once(shared_daemon):
    writer = shared_daemon.client()
    watcher = shared_daemon.client().listen()
    for prefix in ("w/", "w/a", "v"):
        watcher.call("storage.watch", {"prefix": prefix})
    put(writer, "w/a1", b"1", "string")
    put(writer, "x", b"2")
    writer.call("storage.remove", {"key": "w/a1"})
    put(writer, "v", b"3")
    assert change(watcher) == ("w/a1", False, False, b"1")
    assert change(watcher) == ("w/a1", True, False, b"")
    assert change(watcher) == ("v", False, False, b"3")
    watcher.call("storage.unwatch", {"prefix": "v"})
    put(writer, "v", b"4")
    put(writer, "w/b", b"5")
    assert change(watcher)[0] == "w/b"
    with pytest.raises(ratsipc.Failed) as failed:
        watcher.call("storage.unwatch", {"prefix": "v"})
    assert failed.value.error == "not_found"


def test_many_calls_at_once_are_all_answered(shared_daemon):
    client = shared_daemon.client()
    ids = [client.begin("storage.put", {"key": "many/%d" % (i % 10)}, b"%d" % i)
           for i in range(120)]
    stamps = [client.finish(i)["timestamp_ms"] for i in ids]
    for name in range(10):
        assert get(client, "many/%d" % name)[0] == b"%d" % (110 + name)
        mine = stamps[name::10]
        assert mine == sorted(mine) and len(set(mine)) == len(mine)


def test_a_client_that_does_not_read_its_values_holds_little(daemon):
    node = daemon(program=daemons.plain_ratsd(), config="[clients]\nqueue = 1M\n")
    writer, reader = node.client(), node.client()
    value = bytes(1 << 20)
    put(writer, "v", value)
    before = node.rss_kib()
    ids = [reader.begin("storage.get", {"key": "v"}) for _ in range(60)]
    for i in range(20):  # others are served meanwhile
        put(writer, "other", b"%d" % i)
    assert node.rss_kib() - before < 48 * 1024
    for i in ids:
        assert reader.finish_body(i)[1] == value


# --- two daemons ---

def test_changes_reach_the_other_daemon(pair):
    first, second = pair[0].client(), pair[1].client().listen()
    second.call("storage.watch", {"prefix": ""})
    put(first, "k", b"1", "json")
    assert change(second) == ("k", False, True, b"1")
    assert get(second, "k") == (b"1", "json")
    assert second.call_body("storage.get", {"key": "k"})[0]["origin"] == first.info["peer_id"]
    put(second, "k", b"2")
    wait_until(has(first, "k", b"2"), "the change comes back")
    first.call("storage.remove", {"key": "k"})
    assert change(second)[:3] == ("k", False, False)
    assert change(second) == ("k", True, True, b"")


def test_what_was_there_before_comes_with_the_link(daemon):
    nodes = daemon(name="a"), daemon(name="b")
    first, second = (node.client() for node in nodes)
    value = random.Random(5).randbytes(3 << 20)
    for i in range(300):
        put(first, "a/%03d" % i, b"%d" % i)
        put(second, "b/%03d" % i, b"%d" % i)
    older = put(first, "both", b"older")["timestamp_ms"]
    wait_until(lambda: put(second, "both", b"newer")["timestamp_ms"] > older,
               "a later millisecond: in one and the same the larger id would win")
    for i in range(4):
        put(first, "large/%d" % i, value)
    daemons.link(*nodes)
    wait_until(lambda: first.call("storage.statistics")["keys"] == 605 and
               second.call("storage.statistics")["keys"] == 605, "both have everything", 60)
    wait_until(lambda: get(first, "both")[0] == get(second, "both")[0] == b"newer",
               "both have the newer of the two")  # which adds no key
    for i in range(4):
        assert get(second, "large/%d" % i)[0] == value
    assert keys(first) == keys(second)


def test_sync_asks_every_peer(pair):
    client = pair[0].client()
    assert client.call("storage.sync") == {"peers": 1}


# --- restarts, kills, a full disk ---

def test_everything_is_there_after_a_restart(daemon):
    node = daemon()
    client = node.client()
    for i in range(50):
        put(client, "k%d" % i, b"%d" % i)
    client.call("storage.remove", {"key": "k7"})
    node.terminate()
    client = node.start().client()
    assert len(keys(client)) == 49 and get(client, "k8")[0] == b"8" and get(client, "k7") is None


def test_a_restart_in_the_middle_of_a_sync_is_made_up_for(daemon):
    nodes = daemon(name="a"), daemon(name="b")
    first, second = (node.client() for node in nodes)
    value = random.Random(6).randbytes(200000)
    for i in range(100):
        put(first, "k%03d" % i, value)
    daemons.link(*nodes)
    wait_until(lambda: second.call("storage.statistics")["keys"] > 3, "a part has come")
    nodes[1].kill()
    nodes[1].start()
    second = nodes[1].client()
    assert second.call("storage.statistics")["keys"] >= 3
    daemons.link(*nodes)
    wait_until(lambda: second.call("storage.statistics")["keys"] == 100, "all have come", 60)
    assert get(second, "k099")[0] == value


class Writer(threading.Thread):
    """Puts numbers until the daemon is gone; knows what was acknowledged."""

    def __init__(self, node, name):
        super().__init__()
        self.client = node.client()
        self.name = name
        self.acknowledged = -1

    def run(self):
        try:
            while True:
                number = self.acknowledged + 1
                put(self.client, "%s/%d" % (self.name, number % 20), b"%d" % number)
                self.acknowledged = number
        except (ratsipc.Closed, OSError):
            pass


@pytest.mark.timeout(3600 if LONG else 600)
def test_a_kill_loses_nothing_that_was_acknowledged(daemon):
    node = daemon.make(program=daemons.plain_ratsd())
    dice = random.Random(11)
    for turn in range(500 if LONG else 50):
        node.start()
        writers = [Writer(node, "%d.%d" % (turn, i)) for i in range(3)]
        for writer in writers:
            writer.start()
        wait_until(lambda: max(w.acknowledged for w in writers) >= dice.randrange(40),
                   "something is acknowledged")
        node.kill()
        for writer in writers:
            writer.join()
        client = node.start().client()
        for writer in writers:
            for number in range(max(0, writer.acknowledged - 19), writer.acknowledged + 1):
                found = int(get(client, "%s/%d" % (writer.name, number % 20))[0])
                # One more may have been stored and not answered.
                assert number <= found <= writer.acknowledged + 1 and (found - number) % 20 == 0
        node.kill()
        node.close_clients()
    node.start()


def test_a_full_disk_is_told_and_costs_nothing_stored_before(daemon, small_disk):
    node, disk = daemon.make(), small_disk()
    node.state = os.path.join(disk, "state")
    client = node.start().client()
    put(client, "before", b"1")
    ballast = os.path.join(disk, "ballast")
    with open(ballast, "wb") as file:
        file.write(bytes(6 << 20))
    with pytest.raises(ratsipc.Failed) as failed:
        for i in range(40):
            put(client, "k%d" % i, bytes(100000))
    assert failed.value.error == "operation_failed" and "disk is full" in failed.value.text
    stored = keys(client)
    assert get(client, "before")[0] == b"1" and len(stored) == i + 1
    os.unlink(ballast)
    put(client, "after", b"2")
    node.terminate()
    client = node.start().client()
    assert keys(client) == sorted(stored + ["after"])
    assert get(client, "before")[0] == b"1"
    node.terminate()


def test_a_hundred_thousand_keys(daemon):
    nodes = [daemon(name=name, program=daemons.plain_ratsd()) for name in "ab"]
    first, second = (node.client() for node in nodes)
    count, window = 100000, 100
    ids = []
    for i in range(count):
        ids.append(first.begin("storage.put", {"key": "key/%06d" % i}, b"value %d" % i))
        if len(ids) == window:
            first.finish(ids.pop(0))
    for waiting in ids:
        first.finish(waiting)
    before = nodes[1].rss_kib()
    daemons.link(*nodes)
    wait_until(lambda: second.call("storage.statistics")["keys"] == count, "all have come", 120)
    assert nodes[1].rss_kib() - before < 64 * 1024
    assert get(second, "key/099999")[0] == b"value 99999"
    assert len(keys(second, limit=10000)) == count
