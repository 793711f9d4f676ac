"""rats-ipc(7), calls: each row of the table, cancelling, limits, roles, isolation."""
import os
import socket
import stat
import time

import pytest
import ratsipc
from daemons import wait_until


@pytest.fixture
def black_hole():
    """Addresses that take a connection and never say a word: dials to them stay in progress."""
    listener = socket.socket()
    listener.bind(("0.0.0.0", 0))
    listener.listen(1024)
    port = listener.getsockname()[1]

    def address(number):
        return {"host": "127.%d.%d.1" % (1 + number // 200, number % 200), "port": port,
                "timeout_ms": 60000}

    yield address
    listener.close()


def refused(client, frame_id):
    """The error's name of a call that must fail."""
    with pytest.raises(ratsipc.Failed) as failed:
        client.finish(frame_id)
    return failed.value.error


def test_an_unknown_method_fails_that_call_only(shared_daemon):
    client = shared_daemon.client()
    for name in ("no.such", "", "peer", "peer.list ", "PEER.LIST", "x" * 5000):
        with pytest.raises(ratsipc.Failed) as failed:
            client.call(name)
        assert failed.value.error == "unknown_method"
    assert client.is_alive()


def test_every_row_of_the_table_has_a_handler(shared_daemon):
    """With parameters of wrong types each method that has any is refused by the validator, which
    runs before a handler; the others answer, or are for private instances only. None is unknown."""
    client = shared_daemon.client()
    for name, row in client.tables.methods.items():
        if name == "hello":
            continue
        wrong = {field["name"]: {"no": "such"} for field in row["params"]}
        try:
            client.call(name, wrong)
            assert not wrong, "%s took nonsense" % name
        except ratsipc.Failed as failed:
            if not wrong:
                assert failed.error == "not_permitted", "%s: %s" % (name, failed)
                continue
            assert failed.error == "invalid_parameter", "%s: %s" % (name, failed)
            assert any(field in failed.text for field in wrong), failed.text


WRONG = {
    "uint": [-1, 1.5, "7", True, None, [], 1 << 62],
    "int": ["7", None], "real": ["x"], "bool": [1, "true", None],
    "text": [7, None, ["a"], {"a": 1}, True],
    "peer_id": ["", "0" * 63, "0" * 65, "g" * 64, 7, None],
    "choice": ["no such word", "", 7, None],
    "words": ["info", [7], [["a"]], ["no such word"], {"a": 1}, None],
    "array": [{}, "x", 7, None],
    "object": [[], "x", 7, None],
}
RIGHT = {"peer": "ab" * 32, "host": "127.0.0.1", "port": 9, "channel": "c", "level": "info",
         "events": [], "max_peers": 0, "type": "t", "security": "noise", "subject": "192.0.2.1",
         "messages_per_second": 1, "bytes_per_second": 0, "topic": "t",
         "key": "k", "prefix": "p", "transfer": "0" * 32, "kind": "file", "kinds": [], "name": "n",
         "path": "p", "first": 0, "count": 1, "error": "e"}


def test_each_parameter_of_each_method_is_checked(shared_daemon):
    client = shared_daemon.client()
    tried = 0
    for name, row in client.tables.methods.items():
        required = {f["name"]: RIGHT[f["name"]] for f in row["params"] if f["required"] and name != "hello"}
        for field in row["params"] if name != "hello" else []:
            values = list(WRONG[field["type"]])
            if field["type"] in ("uint", "int"):
                values += [field[k] + d for k, d in (("min", -1), ("max", 1)) if k in field]
            if field["type"] == "text" and "max" in field:
                values.append("x" * (field["max"] + 1))
            if field["type"] == "text" and field.get("min"):
                values.append("x" * (field["min"] - 1))
            for value in values:
                if value == 1 << 62 and "max" not in field:
                    continue
                with pytest.raises(ratsipc.Failed) as failed:
                    client.call(name, dict(required, **{field["name"]: value}))
                assert failed.value.error == "invalid_parameter", (name, field["name"], value)
                assert field["name"] in failed.value.text
                tried += 1
        for missing in required:
            with pytest.raises(ratsipc.Failed) as failed:
                client.call(name, {k: v for k, v in required.items() if k != missing})
            assert failed.value.error == "invalid_parameter" and missing in failed.value.text
            tried += 1
    assert tried > 40


def test_unknown_members_are_ignored(shared_daemon):
    client = shared_daemon.client()
    assert client.call("peer.list", {"of a newer": {"client": [1]}})["peers"] == []
    assert client.call("channel.on", {"channel": "u", "priority": 3})["id"] > 0


def test_describe_of_one_method_is_a_part_of_the_whole(shared_daemon):
    client = shared_daemon.client()
    for name, row in client.tables.methods.items():
        assert client.call("protocol.describe", {"method": name})["methods"] == [row]
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("protocol.describe", {"method": "no.such"})
    assert failed.value.error == "not_found"


def test_128_calls_in_progress_and_the_next_is_refused(daemon, black_hole):
    client = daemon().client()
    running = []
    for i in range(128):
        running.append(client.begin("peer.connect", black_hole(i)))
        if i % 32 == 31 and i < 127:
            assert client.is_alive()  # not all in one breath: looking addresses up has a limit too
    assert refused(client, client.begin("peer.connect", black_hole(128))) == "limit"
    assert refused(client, client.begin("log.get_level")) == "limit"
    client.cancel(running[5])
    assert refused(client, running.pop(5)) == "cancelled"
    assert client.is_alive()
    for frame_id in running:
        client.cancel(frame_id)
    for frame_id in running:
        assert refused(client, frame_id) == "cancelled"
    assert client.is_alive()


def test_a_cancelled_call_gets_exactly_one_answer(daemon, black_hole):
    client = daemon().client()
    frame_id = client.begin("peer.connect", black_hole(1))
    for _ in range(3):
        client.cancel(frame_id)
    assert refused(client, frame_id) == "cancelled"
    assert client.is_alive()  # a second answer would have failed in ratsipc


def test_cancelling_what_is_over_or_never_was_does_nothing(shared_daemon):
    client = shared_daemon.client()
    frame_id = client.begin("log.get_level")
    client.finish(frame_id)
    client.cancel(frame_id)
    client.cancel(1 << 60)
    client.cancel(0)
    assert client.is_alive()


def test_a_session_cannot_cancel_what_is_anothers(daemon, black_hole):
    """reliability.md R13."""
    node = daemon()
    victim, other = node.client(), node.client()
    frame_id = victim.begin("peer.connect", black_hole(2))
    for guess in range(1, 200):
        other.cancel(guess)
    assert other.is_alive()
    rows = other.call("session.list")["sessions"]
    assert [r["calls"] for r in rows if r["session"] == victim.info["session"]] == [1]
    victim.cancel(frame_id)
    assert refused(victim, frame_id) == "cancelled"


def test_answers_come_in_the_order_their_work_ends(daemon, black_hole):
    client = daemon().client()
    slow = client.begin("peer.connect", black_hole(3))
    quick = client.begin("log.get_level")
    assert client.finish(quick)["level"]
    assert slow not in client.answers
    client.cancel(slow)
    assert refused(client, slow) == "cancelled"


def test_a_call_in_progress_ends_with_its_session(daemon, black_hole):
    node = daemon()
    client = node.client()
    client.begin("peer.connect", black_hole(4))
    client.close()
    watcher = node.client()
    wait_until(lambda: len(watcher.call("session.list")["sessions"]) == 1, "the session is gone")


def test_a_dial_that_is_refused_says_so(shared_daemon):
    client = shared_daemon.client()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        with pytest.raises(ratsipc.Failed) as failed:
            client.call("peer.connect", {"host": "127.0.0.1", "port": taken.getsockname()[1]})
    assert failed.value.error == "connect_failed"


def test_a_dial_ends_in_time(daemon, black_hole):
    client = daemon().client()
    begun = time.monotonic()
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("peer.connect", dict(black_hole(6), timeout_ms=500))
    assert failed.value.error == "timeout"
    assert time.monotonic() - begun >= 0.45


def test_a_dial_keeps_to_the_transports_it_was_given(shared_daemon, black_hole):
    """There is nothing but TCP yet: a call that rules it out is refused, and says why."""
    client = shared_daemon.client()
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("peer.connect", dict(black_hole(7), transports=["udp"]))
    assert failed.value.error == "not_supported"
    assert "transports" in failed.value.text
    for words in (["tcp"], ["udp", "tcp"], []):
        with pytest.raises(ratsipc.Failed) as failed:
            client.call("peer.connect", dict(black_hole(7), transports=words, timeout_ms=200))
        assert failed.value.error == "timeout"
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("peer.connect", dict(black_hole(7), transports=["pigeon"]))
    assert failed.value.error == "invalid_parameter"


def test_the_log_level_can_be_read_and_set(shared_daemon):
    client = shared_daemon.client()
    before = client.call("log.get_level")["level"]
    for level in ("debug", "error", "warn", "info", before):
        assert client.call("log.set_level", {"level": level})["level"] == level
        assert client.call("log.get_level")["level"] == level


def test_watched_events_come_only_to_those_who_asked(shared_daemon):
    watcher, other = shared_daemon.client(), shared_daemon.client()
    watcher.call("session.watch", {"events": ["session.attached", "session.ended"]})
    visitor = shared_daemon.client(name="visitor")
    number = visitor.info["session"]
    fields = watcher.wait_event("session.attached", where=lambda f: f["session"] == number)
    assert fields["name"] == "visitor" and fields["pid"] == os.getpid()
    visitor.close()
    watcher.wait_event("session.ended", where=lambda f: f["session"] == number)
    watcher.call("session.watch", {"events": []})
    shared_daemon.client().close()
    assert watcher.is_alive() and other.is_alive()
    assert not [e for e in other.events if e["v"].startswith("session.")]
    assert not [e for e in watcher.events if e["v"].startswith("session.")]


def test_a_demand_for_peers_raises_the_limit_while_it_lasts(daemon):
    node = daemon()
    other, asker, greedy = node.client(), node.client(), node.client()
    limit = other.info["max_peers"]
    assert asker.call("session.demand_peers", {"max_peers": limit + 50})["max_peers"] == limit + 50
    assert other.wait_event("instance.changed")["max_peers"] == limit + 50
    assert greedy.call("session.demand_peers", {"max_peers": 1})["max_peers"] == limit + 50
    asker.close()
    assert other.wait_event("instance.changed")["max_peers"] == limit
    most = greedy.call("session.demand_peers", {"max_peers": 1000000})["max_peers"]
    assert limit < most < 1000000
    assert other.wait_event("instance.changed")["max_peers"] == most
    assert greedy.call("session.demand_peers", {"max_peers": 0})["max_peers"] == limit


def test_one_byte_at_a_time_for_a_hundred_calls(shared_daemon):
    client = shared_daemon.client()
    for _ in range(100):
        frame_id = client.new_id("log.get_level")
        for byte in ratsipc.encode_call(frame_id, "log.get_level"):
            client.send(bytes([byte]))
        client.finish(frame_id)


# --- private instances ---

def private_client(node):
    """The first session of a private instance: it ends with its last one, so nobody may look first."""
    node.spawn()
    clients = []

    def attached():
        try:
            clients.append(node.client(name="owner"))
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        return clients
    return wait_until(attached, "the private instance answers")[0]


def test_a_private_instance_shows_its_key_and_switches_its_security(daemon):
    node = daemon.make(options=["--private"])
    client = private_client(node)
    assert client.info["shared"] is False and client.info["on_demand"] is False
    with open(os.path.join(node.state, "identity.key"), "rb") as file:
        assert client.call("instance.get_key") == {"key": file.read().hex()}
    other = node.client()
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("instance.set_security", {"security": "plaintext"})
    assert failed.value.error == "busy"
    other.close()
    wait_until(lambda: client.call("instance.get")["sessions"] == 1, "the other has left")
    client.call("session.start")
    client.call("instance.set_security", {"security": "plaintext"})
    assert client.wait_event("instance.changed", where=lambda f: f["security"] == "plaintext")
    assert client.call("instance.get")["security"] == "plaintext"
    client.close()
    node.process.wait(20)


def test_a_shared_instance_keeps_its_key_and_its_security_to_itself(shared_daemon):
    client = shared_daemon.client()
    for method, params in (("instance.get_key", {}), ("instance.set_security", {"security": "noise"})):
        with pytest.raises(ratsipc.Failed) as failed:
            client.call(method, params)
        assert failed.value.error == "not_permitted" and "shared" in failed.value.text


# --- roles ---

def in_another_user(work):
    """Runs work() in a child process of uid and gid 65534; what it printed must be 'ok'."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            work()
            os.write(sink, b"ok")
        except BaseException as fault:  # pylint: disable=broad-except
            os.write(sink, repr(fault).encode()[:2000])
        finally:
            os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as file:
        said = file.read().decode()
    os.waitpid(child, 0)
    assert said == "ok", said


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@needs_root
def test_another_user_may_use_and_not_control(daemon):
    node = daemon()
    os.chmod(node.directory, 0o711)
    os.chmod(node.socket, 0o666)

    def work():
        with ratsipc.Client(node.socket) as client:
            assert client.hello()["role"] == "use"
            for name, row in client.tables.methods.items():
                if row["permission"] == "control":
                    required = {f["name"]: RIGHT[f["name"]] for f in row["params"] if f["required"]}
                    try:
                        client.call(name, required)
                        raise AssertionError("%s was allowed" % name)
                    except ratsipc.Failed as failed:
                        assert failed.error == "not_permitted", failed
            assert "data_directory" not in client.call("instance.get")
            client.call("channel.on", {"channel": "mine"})
            client.call("session.start")
            rows = client.call("session.list")["sessions"]
            mine = [r for r in rows if r["session"] == client.info["session"]]
            assert [(r["uid"], r["gid"], r["role"]) for r in mine] == [(65534, 65534, "use")]

    in_another_user(work)


@needs_root
def test_another_user_cannot_open_the_socket_of_a_private_directory(daemon):
    node = daemon()

    def work():
        try:
            ratsipc.Client(node.socket)
        except PermissionError:
            return
        raise AssertionError("the socket could be opened")

    in_another_user(work)


def test_the_socket_is_closed_to_other_users(daemon):
    node = daemon()
    assert stat.S_IMODE(os.stat(node.socket).st_mode) & 0o007 == 0


def test_control_permission_sees_the_data_directory(shared_daemon):
    client = shared_daemon.client()
    assert client.call("instance.get")["data_directory"] == shared_daemon.state


# --- fairness ---

def test_a_flood_of_calls_does_not_starve_another_session(daemon):
    """reliability.md R11, in small: the flood is never empty while the polite one works."""
    node = daemon()
    flooder, polite = node.client(), node.client()
    flooder.sock.setblocking(False)
    flood = b"".join(ratsipc.encode_call(i, "log.get_level") for i in range(1, 101))
    worst = 0.0
    answered = 0
    for _ in range(100):
        try:
            flooder.sock.send(flood)
        except BlockingIOError:
            pass
        try:
            answered += len(flooder.sock.recv(1 << 20))
        except BlockingIOError:
            pass
        begun = time.monotonic()
        assert polite.is_alive()
        worst = max(worst, time.monotonic() - begun)
    assert answered > 0
    assert worst < 2
