"""A daemon that is stopped, killed and started again under load: clients resume by themselves, with
all that they had asked for (api.md 1.5, reliability.md R20)."""
import os
import socket
import subprocess
import sys
import time

import pytest
import ratsipc
from daemons import DEADLINE_S, ROOT, environment, librats_path, link, wait_until

RESTARTS = 500 if os.environ.get("RATS_LONG") else 50
CLIENTS = 20
RESUME_S = 2.0  # R20

# CLIENTS sessions in one process. For "go" on its input it waits until every one of them has its
# daemon, is started, knows the peer and gets messages again, and says how long that took.
PROGRAM = """
import sys, threading, time
from librats_py import *
socket_path, count, peer_socket = sys.argv[1], int(sys.argv[2]), sys.argv[3]
class One:
    def __init__(self):
        self.peers, self.heard, self.gap, self.order = set(), 0, [], []
        self.client = RatsClient(socket_path=socket_path)
        self.client.set_connection_callback(self.up)
        self.client.set_disconnect_callback(self.down)
        self.client.set_daemon_callback(self.daemon)
        self.client.on_channel("load", self.message)
        self.client.start()
    def up(self, peer):
        self.peers.add(peer); self.order.append("up")
    def down(self, peer):
        self.peers.remove(peer); self.order.append("down")
    def daemon(self, attached):
        self.gap.append(bool(attached)); self.order.append("attached" if attached else "detached")
    def message(self, peer, data):
        self.heard += 1
ones = [One() for _ in range(count)]
other = RatsClient(socket_path=peer_socket); other.start()
errors, stop = [], False
def load(one):
    while not stop:
        for call in (one.client.get_instance_info, lambda: one.client.broadcast_string("x" * 100)):
            before = time.monotonic()
            try:
                call()
            except RatsNotRunningError:
                pass
            except Exception as error:
                errors.append(repr(error))
            if time.monotonic() - before > 9:
                errors.append("a call took %f s" % (time.monotonic() - before))
        time.sleep(0.01)
def peer_load():
    while not stop:
        try:
            other.broadcast_channel("load", b"x" * 500)
        except RatsError as error:
            errors.append("peer: " + repr(error))
        time.sleep(0.005)
threads = [threading.Thread(target=load, args=(one,)) for one in ones] + [threading.Thread(target=peer_load)]
for thread in threads: thread.start()
def whole(one, gaps):
    return one.gap == [False, True] * gaps and one.client.is_attached() and one.peers
print("up", flush=True)
gaps = 0
for line in sys.stdin:
    if line == "heard\\n":
        counts = [one.heard for one in ones]
        deadline = time.monotonic() + 20
        while not all(one.heard > count for one, count in zip(ones, counts)):
            if time.monotonic() > deadline: errors.append("not all hear again"); break
            time.sleep(0.002)
        print("heard" if not errors else errors[:3], flush=True)
    elif line == "gap\\n":
        gaps += 1
        since = time.monotonic()
        deadline = since + 20
        while not all(len(one.gap) >= 2 * gaps and one.client.is_attached() for one in ones):
            if time.monotonic() > deadline: errors.append("not all are attached"); break
            time.sleep(0.002)
        print("attached" if not errors else errors[:3], flush=True)
stop = True
for thread in threads: thread.join()
for one in ones:
    assert one.gap == [False, True] * gaps, one.gap
    one.client.close()
other.close()
assert not errors, errors[:3]
print([one.order for one in ones][0], flush=True)
"""


def ask(program, word):
    program.stdin.write(word + "\n")
    program.stdin.flush()
    return program.stdout.readline().strip()


@pytest.mark.timeout(1800 if os.environ.get("RATS_LONG") else 240)
def test_twenty_clients_resume_after_every_restart(daemon):
    node, other = daemon(name="a"), daemon(name="b")
    link(node, other)
    node.listen = "127.0.0.1:%d" % node.port
    env = environment(node.directory, LIBRATS_LIBRARY=librats_path(),
                      PYTHONPATH=os.path.join(ROOT, "python"))
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, node.socket, str(CLIENTS),
                                other.socket], env=env, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, universal_newlines=True)
    try:
        assert program.stdout.readline() == "up\n"
        assert ask(program, "heard") == "heard"
        slowest = 0
        for i in range(RESTARTS):
            if i % 2:
                node.kill()
            else:
                node.terminate()
            node.start()
            before = time.monotonic()
            assert ask(program, "gap") == "attached"
            slowest = max(slowest, time.monotonic() - before)
            if i % 10 == 9:
                link(node, other)
                assert ask(program, "heard") == "heard"
        out, _ = program.communicate(timeout=DEADLINE_S)
        assert program.returncode == 0, out
        print("slowest: %.3f s" % slowest)
        assert slowest < RESUME_S
    finally:
        if program.poll() is None:
            program.kill()
            program.communicate()


ORDER = """
import sys, time
from librats_py import *
order = []
a = RatsClient(socket_path=sys.argv[1])
a.set_connection_callback(lambda peer: order.append("up"))
a.set_disconnect_callback(lambda peer: order.append("down"))
a.set_daemon_callback(lambda attached: order.append("attached" if attached else "detached"))
a.set_string_callback(lambda peer, text: order.append(text))
a.set_max_peers(700)
a.start()
print("up", flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 20
while a.is_attached() and time.monotonic() < deadline: time.sleep(0.001)
for call in (lambda: a.connect("127.0.0.1", 1), lambda: a.broadcast_string("x"),
             lambda: a.set_max_peers(10)):
    try:
        result = call()
        assert not result, result
    except RatsNotRunningError:
        pass
assert a.get_peer_ids() == [] and a.get_instance_info() == {}
print("gone", flush=True)
sys.stdin.readline()
while "hello" not in order and time.monotonic() < deadline: time.sleep(0.001)
assert a.get_instance_info()["max_peers"] == 700
print(" ".join(order), flush=True)
a.close()
"""


def test_what_callbacks_say_of_the_gap(daemon):
    node, other = daemon(name="a"), daemon(name="b")
    link(node, other)
    env = environment(node.directory, LIBRATS_LIBRARY=librats_path(),
                      PYTHONPATH=os.path.join(ROOT, "python"))
    program = subprocess.Popen([sys.executable, "-c", ORDER, node.socket], env=env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               universal_newlines=True)
    try:
        assert program.stdout.readline() == "up\n"
        node.kill()
        assert ask(program, "") == "gone"
        node.start()
        link(node, other)
        sender = other.client()
        wait_until(lambda: any(s["started"] for s in
                               node.client().call("session.list")["sessions"]), "it is started")
        sender.send_message(node.peer_id, "rats.string", b"hello")
        said = ask(program, "")
        assert said == "up down detached attached up hello"
    finally:
        program.kill()
        program.wait()


EVERYTHING = """
import sys, time
from librats_py import *
heard = []
def note(kind): return lambda *what: heard.append(kind)
a = RatsClient(socket_path=sys.argv[1])
a.set_string_callback(note("string"))
a.set_binary_callback(note("binary"))
a.set_json_callback(note("json"))
a.on_channel("chat", note("channel"))
a.on_message("load", note("typed"))
a.set_topic_binary_callback("news", note("topic"))
a.set_storage_callback("conf/", note("stored"))
a.set_max_peers(700)
a.call("session.watch", {"events": ["session.attached"]})
a.set_event_callback(lambda event, fields, sequence: heard.append(event))
a.start()
a.subscribe_to_topic("news")
print("up", flush=True)
for line in sys.stdin:
    wanted = set(line.split())
    deadline = time.monotonic() + 20
    while not wanted <= set(heard) and time.monotonic() < deadline: time.sleep(0.002)
    assert a.get_instance_info()["max_peers"] == 700
    missing = sorted(wanted - set(heard))
    heard.clear()
    print(" ".join(missing), flush=True)
a.close()
"""


def say_everything(node, other):
    """One of each kind of what a program may hear, from the other daemon and from this one."""
    sender, peer = other.client(), node.peer_id
    sender.call("session.start")
    for channel in ("rats.string", "rats.binary", "chat"):
        sender.send_message(peer, channel, b"x")
    sender.send_message(peer, "rats.json", b"{}")
    sender.send_message(peer, "load", b"{}", plane=ratsipc.TYPED)
    wait_until(lambda: peer in sender.call("topic.peers", {"topic": "news"})["peers"],
               "it is subscribed")
    sender.send_message(ratsipc.EVERY_PEER, "news", b"x", plane=ratsipc.TOPIC)
    sender.call("storage.put", {"key": "conf/%d" % time.monotonic_ns(), "type": "string"},
                body=b"x")
    node.client()


def test_everything_asked_for_is_asked_for_again(daemon):
    node, other = daemon(name="a"), daemon(name="b")
    env = environment(node.directory, LIBRATS_LIBRARY=librats_path(),
                      PYTHONPATH=os.path.join(ROOT, "python"))
    program = subprocess.Popen([sys.executable, "-c", EVERYTHING, node.socket], env=env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               universal_newlines=True)
    kinds = "string binary json channel typed topic stored session.attached"
    try:
        assert program.stdout.readline() == "up\n"
        for end in (node.kill, node.terminate, None):
            link(node, other)
            say_everything(node, other)
            assert ask(program, kinds) == ""
            if end is not None:
                end()
                node.start()
                wait_until(lambda: any(s["pid"] == program.pid and s["started"] for s in
                                       node.client().call("session.list")["sessions"]), "it is back")
    finally:
        program.kill()
        program.communicate()


CALL = """
import sys, time
from librats_py import *
a = RatsClient(socket_path=sys.argv[1]); a.start()
print("up", flush=True)
try:
    a.connect("127.0.0.1", int(sys.argv[2]))    # who never says a word
except RatsNotRunningError:
    print("not running", flush=True)
except RatsError as error:
    print(repr(error), a.last_error(), flush=True)
a.close()
"""


def test_calls_in_progress_end_with_the_daemon(daemon):
    node = daemon()
    env = environment(node.directory, LIBRATS_LIBRARY=librats_path(),
                      PYTHONPATH=os.path.join(ROOT, "python"))
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(1)
    program = subprocess.Popen([sys.executable, "-c", CALL, node.socket,
                                str(silent.getsockname()[1])], env=env,
                               stdout=subprocess.PIPE, universal_newlines=True)
    try:
        assert program.stdout.readline() == "up\n"
        watcher = node.client()
        wait_until(lambda: any(s["calls"] for s in watcher.call("session.list")["sessions"]
                               if s["pid"] == program.pid), "it dials")
        node.kill()
        out, _ = program.communicate(timeout=DEADLINE_S)
        assert "not running" in out or "NOT_RUNNING" in out
        node.start()
    finally:
        program.kill()
        program.wait()
        silent.close()
