"""Programs and peers that break off, flood or speak nonsense; nothing else suffers."""
import os
import random
import signal
import socket
import subprocess
import sys
import time

import pytest
import ratsipc
from daemons import (DEADLINE_S, RATSCTL, ROOT, environment, librats_path, link, plain_ratsd,
                     wait_until)

LONG = bool(os.environ.get("RATS_LONG"))
PYTHON_PATH = os.path.join(ROOT, "python")
EXIT_UNREACHABLE, EXIT_DENIED = 3, 4
DRIFT_KIB = 512  # what a heap may still settle by after a warm-up


def python(text, socket_path, **options):
    """A Python program over librats_py, started and not waited for."""
    env = environment("/tmp", RATS_SOCKET=str(socket_path), PYTHONPATH=PYTHON_PATH,
                      LIBRATS_LIBRARY=librats_path())
    return subprocess.Popen([sys.executable, "-c", text], env=env, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            universal_newlines=True, **options)


def output_of(program):
    out, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    return out


# --- no daemon, no permission ---

def test_ratsctl_without_a_daemon(tmp_path):
    done = subprocess.run([RATSCTL, "status"], env=environment(str(tmp_path)), check=False,
                          timeout=DEADLINE_S, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    assert done.returncode == EXIT_UNREACHABLE
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert os.path.join(str(tmp_path), "run", "ratsd", "default.sock") in done.stderr
    assert "ratsd" in done.stderr


def test_a_program_without_a_daemon(tmp_path):
    missing = str(tmp_path / "nobody.sock")
    said = output_of(python(
        "from librats_py import RatsClient, RatsDaemonError\n"
        "try:\n    RatsClient()\nexcept RatsDaemonError as e:\n    print(e.error_code.name, e.detail)\n",
        missing))
    assert said.startswith("NO_DAEMON") and missing in said


def test_a_socket_nobody_listens_on_any_more(daemon):
    node = daemon()
    node.kill()
    done = node.ctl("status")
    assert done.returncode == EXIT_UNREACHABLE and node.socket in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_socket_that_may_not_be_opened(daemon):
    node = daemon()
    os.chmod(node.directory, 0o711)
    try:
        done = node.ctl("status", user=65534, group=65534, extra_groups=[])
    except PermissionError:
        pytest.skip("the build directory is closed to other users")
    assert done.returncode == EXIT_DENIED, done.stderr
    assert node.socket in done.stderr and "group" in done.stderr


# --- a client breaks off ---

def test_a_client_killed_in_the_middle_of_a_frame(pair):
    first, second = pair
    honest = first.client()
    receiver = second.client().listen("x")
    honest.call("session.start")
    rss = first.rss_kib()
    for end in (1, 15, 16, 40, 100000, 8 << 20):
        program = (
            "import sys, time; sys.path.insert(0, %r)\n"
            "import ratsipc\n"
            "c = ratsipc.Client(%r); c.hello(); c.call('session.start')\n"
            "frame = ratsipc.encode(ratsipc.MESSAGE, 0, ratsipc.message_head(%r, 'x'), bytes(16 << 20))\n"
            "c.send(frame[:%d]); print('sent', flush=True); time.sleep(60)\n"
            % (os.path.join(ROOT, "tests", "support"), first.socket, receiver.info["peer_id"], end))
        client = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert client.stdout.readline() == b"sent\n"
        client.kill()
        client.wait()
        client.stdout.close()
        honest.send_message(receiver.info["peer_id"], "x", b"%d" % end)
        assert receiver.wait_message().body == b"%d" % end
    wait_until(lambda: len(honest.call("session.list")["sessions"]) == 1, "their sessions are gone")
    assert first.rss_kib() - rss < 40 * 1024


def test_1000_clients_come_and_go(daemon):
    node = daemon(program=plain_ratsd())
    steady = node.client()

    def cycle(count):
        for i in range(count):
            with ratsipc.Client(node.socket) as client:
                client.hello()
                client.listen("c%d" % (i % 7), "rats.string")
        wait_until(lambda: len(steady.call("session.list")["sessions"]) == 1, "all are gone")

    cycle(300)
    descriptors, rss = node.descriptors(), node.rss_kib()
    cycle(10000 if LONG else 1000)
    assert node.descriptors() <= descriptors
    assert node.rss_kib() - rss < DRIFT_KIB
    assert steady.is_alive()


def test_1000_links_come_and_go(daemon):
    first, second = (daemon(name=name, program=plain_ratsd()) for name in "ab")
    client, other = first.client(), second.client()
    target = {"host": "127.0.0.1", "port": second.port}
    peer = other.info["peer_id"]

    def connect():
        """More than 200 newcomers a second from one address are turned away: try again then."""
        try:
            return client.call("peer.connect", target) == {"peer": peer, "already": False}
        except ratsipc.Failed as failed:
            assert failed.error == "connect_failed"
            return False

    def cycle(count):
        for _ in range(count):
            wait_until(connect, "the link is up")
            assert client.call("peer.disconnect", {"peer": peer})["disconnected"]
            wait_until(lambda: not other.call("peer.list")["peers"], "the other side knows")
            client.events.clear()
            other.events.clear()

    cycle(100)
    before = [(node.descriptors(), node.rss_kib()) for node in (first, second)]
    cycle(10000 if LONG else 1000)
    for node, (descriptors, rss) in zip((first, second), before):
        assert node.descriptors() <= descriptors + 1  # a socket of the last link may still close
        assert node.rss_kib() - rss < DRIFT_KIB


def test_garbage_on_the_local_socket(daemon):
    node = daemon()
    honest = node.client()
    base = node.descriptors()
    dice = random.Random(1)
    hello = ratsipc.encode_call(1, "hello", {"versions": [[1, 0]]})
    call = ratsipc.encode_call(2, "peer.list") + ratsipc.encode_message("0" * 64, "x", b"y", 3)
    for i in range(5000 if LONG else 500):
        with ratsipc.Client(node.socket) as client:
            data = bytearray(hello + call * dice.randrange(4))
            for _ in range(dice.randrange(1, 6)):
                data[dice.randrange(len(data))] = dice.randrange(256)
            if i % 5 == 0:
                data = bytearray(dice.getrandbits(8) for _ in range(dice.randrange(1, 3000)))
            try:
                client.send(bytes(data))
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert honest.is_alive()
    wait_until(lambda: node.descriptors() <= base, "descriptors back to %d" % base)
    node.assert_idle()


# --- the network side ---

def connects(dialer, target):
    try:
        link(dialer, target)
        return True
    except ratsipc.Failed as failed:
        assert failed.error == "connect_failed"
        return False


def test_garbage_and_half_frames_on_the_network_port(daemon):
    node, friend = daemon(name="a"), daemon(name="b")
    port = node.port
    dice = random.Random(2)
    base = node.descriptors()
    openings = [b"", b"\0", b"\0\0\0", b"\0\0\0\0", b"\xff" * 4, b"\0\0\0\x20" + b"x" * 31,
                b"\0\0\0\x20" + b"x" * 32, b"\0\0\0\x20" + bytes(32), b"\x20\0\0\0" + b"x" * 32,
                b"\0\0\x08\0" + b"x" * 2048, b"GET / HTTP/1.1\r\n\r\n", b"\x13BitTorrent protocol",
                b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"]
    for i in range(1000 if LONG else 100):
        data = openings[i] if i < len(openings) else bytes(
            dice.getrandbits(8) for _ in range(dice.randrange(1, 2000)))
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            try:
                stranger.sendall(data)
                if i % 2:
                    stranger.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it was closed before all was said
    wait_until(lambda: node.descriptors() <= base, "descriptors back to %d" % base, 30)
    wait_until(lambda: connects(friend, node), "a friend gets in once the crowd has gone")
    node.assert_idle()


def test_strangers_that_say_nothing_are_closed_after_15_seconds(daemon):
    node = daemon()
    with socket.create_connection(("127.0.0.1", node.port)) as stranger:
        stranger.settimeout(25)
        begun = time.monotonic()
        assert stranger.recv(4096) == b""
        assert 10 < time.monotonic() - begun < 20


def test_a_peer_that_is_killed(pair):
    first, second = pair
    a = first.client()
    a.call("session.start")
    peer = second.peer_id
    second.kill()
    assert a.wait_event("peer.disconnected")["peer"] == peer
    with pytest.raises(ratsipc.Failed) as failed:
        a.send_asked(peer, "x", b"x")
    assert failed.value.error == "peer_not_found"
    second.start()
    link(first, second)
    assert a.wait_event("peer.connected")["peer"] == peer


def test_a_peer_that_stops_in_the_middle_of_a_message(pair):
    """The rest of a 30 MB message never comes; others go on."""
    first, second = pair
    third = ratsipc.Client(second.socket)
    third.hello()
    sender = first.client()
    sender.call("session.start")
    receiver = second.client().listen("big")
    second.process.send_signal(signal.SIGSTOP)
    try:
        sender.send_message(receiver.info["peer_id"], "big", bytes(30 << 20))
        assert first.client().is_alive()
    finally:
        first.kill()
        second.process.send_signal(signal.SIGCONT)
    assert receiver.wait_event("peer.disconnected")["peer"] == sender.info["peer_id"]
    assert not receiver.messages and third.is_alive()
    third.close()


def test_many_sessions_and_a_broadcast(pair):
    first, second = pair
    receivers = [second.client().listen("news") for _ in range(50)]
    sender = first.client()
    sender.call("session.start")
    for i in range(20):
        assert sender.send_asked(ratsipc.EVERY_PEER, "news", b"%d" % i) == 1
    for receiver in receivers:
        assert [receiver.wait_message().body for _ in range(20)] == [b"%d" % i for i in range(20)]


# --- the daemon breaks off ---

WAITING = """
import sys, time
from librats_py import RatsClient, RatsError
client = RatsClient()
attached = []
client.set_daemon_callback(attached.append)
got = []
client.set_string_callback(lambda peer, text: got.append(text))
client.start()
print("started", flush=True)
try:
    client.connect("127.0.0.1", int(sys.stdin.readline()))
    print("connected", flush=True)
except RatsError as error:
    print("failed", error.error_code.name, flush=True)
deadline = time.monotonic() + 20
while not client.is_attached() and time.monotonic() < deadline:
    time.sleep(0.02)
print("attached", client.is_attached(), flush=True)
client.connect("127.0.0.1", int(sys.stdin.readline()))
while not got and time.monotonic() < deadline:
    time.sleep(0.02)
print("got", got, flush=True)
client.close()
"""


def test_a_daemon_killed_in_the_middle_of_a_call(daemon):
    """The call fails at once; the program finds the new daemon, and its callbacks still run."""
    node, friend = daemon(name="a"), daemon(name="b")
    program = python(WAITING, node.socket)
    assert program.stdout.readline() == "started\n"
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(1)
        program.stdin.write("%d\n" % hole.getsockname()[1])
        program.stdin.flush()
        watcher = node.client()
        wait_until(lambda: any(s["calls"] for s in watcher.call("session.list")["sessions"]
                               if s["session"] != watcher.info["session"]), "the call is under way")
        node.kill()
        begun = time.monotonic()
        assert program.stdout.readline().startswith("failed")
        assert time.monotonic() - begun < 5
    node.start()
    assert program.stdout.readline() == "attached True\n"
    other = friend.client()
    other.call("session.start")
    program.stdin.write("%d\n" % friend.port)
    program.stdin.flush()
    peer = other.wait_event("peer.connected")["peer"]
    other.send_message(peer, "rats.string", b"welcome back")
    assert program.stdout.readline() == "got ['welcome back']\n"
    _, err = program.communicate(timeout=DEADLINE_S)
    assert program.returncode == 0, err


def test_ratsctl_when_the_daemon_dies_under_it(daemon):
    node = daemon()
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(1)
        env = environment(node.directory, RATS_SOCKET=node.socket)
        ctl = subprocess.Popen([RATSCTL, "connect", "127.0.0.1:%d" % hole.getsockname()[1]],
                               env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               universal_newlines=True)
        watcher = node.client()
        wait_until(lambda: any(s["calls"] for s in watcher.call("session.list")["sessions"]
                               if s["session"] != watcher.info["session"]), "the call is under way")
        node.kill()
        out, err = ctl.communicate(timeout=DEADLINE_S)
    assert ctl.returncode in (1, EXIT_UNREACHABLE)
    assert out == "" and len(err.splitlines()) == 1


# --- large messages and collisions, through the library ---

def test_the_largest_message_between_programs(pair):
    first, second = pair
    size = ratsipc.MAX_PAYLOAD
    receiver = python(
        "import hashlib, queue\nfrom librats_py import RatsClient\n"
        "q = queue.Queue()\nwith RatsClient() as c:\n"
        "    c.set_binary_callback(lambda p, d: q.put(hashlib.sha256(d).hexdigest()))\n"
        "    c.start(); print('ready', flush=True); print(q.get(timeout=60), flush=True)\n",
        second.socket)
    assert receiver.stdout.readline() == "ready\n"
    said = output_of(python(
        "import hashlib, os\nfrom librats_py import RatsClient, RatsInvalidParameterError\n"
        "data = os.urandom(1 << 20) * 64\n"
        "with RatsClient() as c:\n    c.start(); peer = c.get_peer_ids()[0]\n"
        "    c.send_binary(peer, data[:%d])\n"
        "    try:\n        c.send_binary(peer, data[:%d])\n"
        "    except RatsInvalidParameterError: print(hashlib.sha256(data[:%d]).hexdigest())\n"
        % (size, size + 1, size), first.socket))
    assert output_of(receiver) == said and len(said) == 65


def test_two_programs_with_colliding_channels(daemon):
    node = daemon()
    holder = node.client().listen("ch117")
    said = output_of(python(
        "from librats_py import RatsClient, RatsError\n"
        "with RatsClient() as c:\n    c.start(); c.on_channel('ch117', print)\n"
        "    try:\n        c.on_channel('ch187', print)\n"
        "    except RatsError as e: print(e.error_code.name, e.detail)\n", node.socket))
    assert said.startswith("BUSY") and "ch117" in said
    assert holder.is_alive()
