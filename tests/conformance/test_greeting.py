"""rats-ipc(7), Connection and Hello: what happens before a session exists."""
import os
import signal
import socket
import time

import pytest
import ratsipc
from daemons import wait_until

GREET_SECONDS = 5


def closed_silently(client, timeout=3):
    assert client.read_until_closed(timeout) == []


def test_hello_tells_what_the_instance_is(shared_daemon):
    info = shared_daemon.client(name="someone").info
    assert info["version"] == [1, 0]
    assert info["instance"] == shared_daemon.name
    assert info["listen_port"] > 0
    assert info["role"] == "control"
    assert info["limits"]["message_bytes"] == ratsipc.MAX_PAYLOAD
    assert info["limits"]["queue_bytes"] == 4 * 1024 * 1024
    assert info["limits"]["calls"] == 128
    assert info["peers"] == []


def test_name_and_agent_are_shown_to_others(shared_daemon):
    client = shared_daemon.client(name="näme", agent="some agent/2")
    rows = client.call("session.list")["sessions"]
    mine = [row for row in rows if row["session"] == client.info["session"]]
    assert [(row["name"], row["agent"], row["pid"]) for row in mine] == [
        ("näme", "some agent/2", os.getpid())]


def test_session_numbers_are_never_used_twice(shared_daemon):
    seen = [shared_daemon.client().info["session"] for _ in range(5)]
    assert sorted(set(seen)) == seen


@pytest.mark.parametrize("versions", [[[1, 0]], [[2, 0], [1, 0]], [[1, 7]], [[0, 3], [1, 2], [9, 9]]])
def test_the_highest_common_version_is_chosen(shared_daemon, versions):
    assert shared_daemon.client(versions=versions).info["version"] == [1, 0]


@pytest.mark.parametrize("versions", [[[2, 0]], [[0, 9]], [[2, 0], [3, 4]]])
def test_no_common_version_names_both_ranges(shared_daemon, versions):
    client = shared_daemon.connect()
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("hello", {"versions": versions, "agent": "x", "name": "y"})
    assert failed.value.error == "version"
    assert "1.0" in failed.value.text
    for major, minor in (versions[0], versions[-1]):
        assert "%d.%d" % (major, minor) in failed.value.text.replace(",", ".")
    closed_silently(client)


@pytest.mark.parametrize("params", [
    {}, {"versions": []}, {"versions": 1}, {"versions": [[1]]},
    {"versions": [["1", "0"]]}, {"versions": [[-1, 0]]}, {"versions": [[1, 0]], "slow": "never"},
    {"versions": [[1, 0]], "name": 7}, {"versions": [[1, 0]], "name": "n" * 5000},
    {"versions": [[1, 1 << 70]]}, {"versions": [[1.0, 0]]}, {"versions": [[1, 0]] * 17},
])
def test_a_bad_hello_is_refused_with_a_sentence(shared_daemon, params):
    client = shared_daemon.connect()
    try:
        with pytest.raises(ratsipc.Failed) as failed:
            client.call("hello", params)
        assert failed.value.error in ("invalid_parameter", "malformed", "version")
    except ratsipc.Closed:
        pass  # no JSON as we speak it, or more of it than a stranger may send: no answer
    assert shared_daemon.client().is_alive()


def test_a_call_before_hello_is_refused_and_ends_the_connection(shared_daemon):
    client = shared_daemon.connect()
    with pytest.raises(ratsipc.Failed):
        client.call("peer.list")
    closed_silently(client)


def test_one_reply_is_all_a_stranger_gets(shared_daemon):
    client = shared_daemon.connect()
    client.send(b"".join(ratsipc.encode_call(i, "peer.list") for i in range(1, 20)))
    assert len(client.read_until_closed(3)) <= 1


@pytest.mark.parametrize("kind", [ratsipc.MESSAGE, ratsipc.CANCEL, ratsipc.REPLY, ratsipc.EVENT])
def test_other_frames_before_hello_end_the_connection(shared_daemon, kind):
    client = shared_daemon.connect()
    head = ratsipc.message_head(ratsipc.EVERY_PEER, "x") if kind == ratsipc.MESSAGE else b""
    client.send(ratsipc.encode(kind, 1, head))
    assert len(client.read_until_closed(3)) <= 1


def test_a_second_hello_is_refused(shared_daemon):
    client = shared_daemon.client()
    with pytest.raises(ratsipc.Failed):
        client.call("hello", {"versions": [[1, 0]]})
    assert shared_daemon.client().is_alive()


@pytest.mark.parametrize("what", ["nothing", "half a header", "half a hello", "a byte now and then"])
def test_five_seconds_to_say_hello(shared_daemon, what):
    client = shared_daemon.connect()
    begun = time.monotonic()
    hello = ratsipc.encode_call(1, "hello", {"versions": [[1, 0]]})
    if what == "half a header":
        client.send(hello[:7])
    elif what == "half a hello":
        client.send(hello[:-3])
    ended = False
    sent = 0
    while not ended and time.monotonic() < begun + GREET_SECONDS + 5:
        try:
            if what == "a byte now and then":
                client.send(hello[sent:sent + 1])
                sent += 1
            client.read_frame(0.25)
        except TimeoutError:
            continue
        except (ratsipc.Closed, BrokenPipeError, ConnectionResetError):
            ended = True
    assert ended, "still open after %d s" % (GREET_SECONDS + 5)
    assert time.monotonic() - begun > GREET_SECONDS - 1


def test_a_greeted_session_may_stay_silent(shared_daemon):
    client = shared_daemon.client()
    with pytest.raises(TimeoutError):
        client.read_frame(GREET_SECONDS + 1.5)
    assert client.is_alive()


def test_more_than_4_kib_before_hello_ends_the_connection(shared_daemon):
    client = shared_daemon.connect()
    begun = time.monotonic()
    try:
        client.send(ratsipc.encode_call(1, "hello", {"versions": [[1, 0]], "name": "n" * 6000})[:5000])
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert len(client.read_until_closed(3)) <= 1
    assert time.monotonic() - begun < GREET_SECONDS - 1


def test_the_oldest_of_65_strangers_is_closed(daemon):
    node = daemon()
    strangers = []
    for _ in range(64):
        strangers.append(node.connect())
    with pytest.raises(TimeoutError):
        strangers[0].read_frame(0.3)
    newcomer = node.connect()
    closed_silently(strangers[0])
    newcomer.hello()
    for stranger in strangers[1:]:
        stranger.hello()


@pytest.mark.parametrize("burst", [64, 100, 120])
def test_a_hello_that_is_there_is_heard_before_its_sender_makes_way(daemon, burst):
    """However many come in the same moment."""
    node = daemon()
    node.process.send_signal(signal.SIGSTOP)
    early = node.connect()
    call = early.begin("hello", {"versions": [[1, 0]], "name": "early"})
    for _ in range(burst):
        node.connect()
    node.process.send_signal(signal.SIGCONT)
    assert early.finish(call)["session"] > 0


def test_a_program_has_a_moment_for_its_hello(daemon):
    """Though as many strangers come right after it as there are places."""
    node = daemon()
    node.process.send_signal(signal.SIGSTOP)
    early = node.connect()
    for _ in range(100):
        node.connect()
    node.process.send_signal(signal.SIGCONT)
    early.hello()


def test_greeted_sessions_do_not_count_as_strangers(daemon):
    node = daemon()
    greeted = [node.client() for _ in range(40)]
    waiting = [node.connect() for _ in range(64)]
    assert all(client.is_alive() for client in greeted)
    for client in waiting:
        client.hello()


@pytest.mark.parametrize("request_bytes", [
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /rpc HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 32,
    b"\x00" * 16,
    b"\xff" * 64,
    b"{\"jsonrpc\": \"2.0\", \"method\": \"peer.list\", \"id\": 1}\n",
])
def test_bytes_of_another_protocol_get_no_answer(shared_daemon, request_bytes):
    client = shared_daemon.connect()
    client.send(request_bytes)
    if request_bytes == b"\x00" * 16:  # a frame of kind 0: it may be told why
        assert len(client.read_until_closed(3)) <= 1
    else:
        closed_silently(client)


def test_hello_may_come_a_byte_at_a_time(shared_daemon):
    client = shared_daemon.connect()
    client.calls = {1: "hello", 2: "peer.list"}
    client.next_id = 3
    data = ratsipc.encode_call(1, "hello", {"versions": [[1, 0]]}) + ratsipc.encode_call(2, "peer.list")
    for i in range(len(data)):
        client.send(data[i:i + 1])
    assert client.finish(1)["version"] == [1, 0]
    assert client.finish(2)["peers"] == []


def test_hello_and_calls_may_come_in_one_piece(shared_daemon):
    client = shared_daemon.connect()
    client.calls = {1: "hello"}
    client.calls.update({i: "log.get_level" for i in range(2, 60)})
    client.send(ratsipc.encode_call(1, "hello", {"versions": [[1, 0]]}) +
                b"".join(ratsipc.encode_call(i, "log.get_level") for i in range(2, 60)))
    for i in range(1, 60):
        client.finish(i)


def attach_as(node, uid):
    """A greeted client of that user, or None when it was turned away."""
    os.seteuid(uid)
    try:
        client = ratsipc.Client(node.socket)
    finally:
        os.seteuid(0)
    try:
        client.hello()
    except (ratsipc.Closed, BrokenPipeError):
        client.close()
        return None
    node.clients.append(client)
    return client


def places(node, uid):
    """How many clients of that user get in."""
    count = 0
    while attach_as(node, uid) is not None:
        count += 1
    return count


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be several users")
def test_nobody_takes_more_than_half_of_the_places_that_others_have_left(daemon):
    """reliability.md, default limits; whoever controls the instance gets in as long as there is one."""
    node = daemon(config="[clients]\nsocket_mode = 0666\nmax_sessions = 16\n")
    os.chmod(node.directory, 0o711)
    assert [places(node, uid) for uid in (65534, 65533, 65532, 65531)] == [8, 4, 2, 1]
    assert places(node, 0) == 1
    assert places(node, 65530) == 0


def settled_descriptors(node):
    """How many it holds with no session, once closing is through."""
    counts = []

    def settled():
        counts.append(node.descriptors())
        return len(counts) > 20 and len(set(counts[-20:])) == 1
    wait_until(settled, "the number of descriptors settles")
    return counts[-1]


def test_ending_at_every_byte_leaves_nothing_behind(daemon):
    """reliability.md V14."""
    node = daemon()
    node.client().close()
    base = settled_descriptors(node)
    data = ratsipc.encode_call(1, "hello", {"versions": [[1, 0]]})
    data += ratsipc.encode_call(2, "peer.list")
    for end in range(len(data) + 1):
        client = ratsipc.Client(node.socket)
        client.send(data[:end])
        if end % 2:
            client.sock.shutdown(socket.SHUT_WR)
        client.close()
    wait_until(lambda: node.descriptors() <= base, "descriptors back to %d" % base)
    node.assert_idle()
    assert node.client().is_alive()
