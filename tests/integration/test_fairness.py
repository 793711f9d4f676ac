"""Programs beside one that stopped, and beside a user who floods (reliability.md R10, R11): what can be said
without a clock. bench/run --only fairness measures the rest."""
import os
import subprocess
import sys
import threading

import pytest
from daemons import ROOT, link
from flow import KIB, Frozen, Reader, Sender, checked, held_up_at

NINE = 9
OTHER_UID = 65534

FLOOD = """
import os, select, sys
sys.path.insert(0, %r)
import ratsipc
if os.getuid() == 0:
    os.setgid(%d)
    os.setuid(%d)
c = ratsipc.Client(%r)
c.hello()
c.call("session.start")
head = ratsipc.message_head(%r, "flood")
calls = b"".join(ratsipc.encode_call(i, "session.list") for i in range(10, 90))
messages = b"".join(ratsipc.encode(ratsipc.MESSAGE, 0, head, bytes(64)) for _ in range(500))
batch = {"calls": calls, "messages": messages}[%r]
c.sock.setblocking(False)
print("flooding", flush=True)
waiting = batch
while True:
    ready, room, _ = select.select([c.sock], [c.sock], [])
    if ready and not c.sock.recv(1 << 20):
        break
    if room:
        waiting = waiting[c.sock.send(waiting):] or batch
"""


@pytest.fixture
def flood():
    """Starts programs of another user (of the same one where we are not root) that send all they can."""
    started = []

    def start(node, peer, kind):
        os.chmod(node.directory, 0o711)
        program = FLOOD % (os.path.join(ROOT, "tests", "support"), OTHER_UID, OTHER_UID, node.socket, peer, kind)
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"flooding\n"
        return process
    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_nine_readers_lose_nothing_beside_one_that_stopped(pair):
    count = 12000  # of 1 KiB: three times the queue of a session
    sending, receiving = pair
    stopped = Reader(receiving.client().listen("flow"))
    nine = [Reader(receiving.client().listen("flow")) for _ in range(NINE)]
    threads = [reader.in_thread(count) for reader in nine]
    client = sending.client()
    client.call("session.start")
    sender = Sender(client, receiving.peer_id, "flow", [checked(0, i, 900) for i in range(count)])
    sender.start()
    sender.finish()
    for thread in threads:
        thread.join(60)
    assert [(reader.count, reader.lost, reader.gaps) for reader in nine] == [(count, 0, 0)] * NINE
    stopped.until(count)
    assert stopped.lost > 0


def make_requests(client, peer, number, count, done):
    """Calls and messages one after another: each has its answer before the next."""
    for i in range(count):
        assert "level" in client.call("log.get_level")
        assert client.send_asked(peer, "flow", checked(number, i, 100)) == 1
    done.append(number)


def test_nine_programs_get_every_answer_while_another_user_floods(daemon, flood):
    first = daemon(name="a", config="[clients]\nsocket_mode = 0666\n")
    second = daemon(name="b")
    link(first, second)
    peer, count = second.peer_id, 50
    floods = [flood(first, peer, kind) for kind in ("calls", "messages") for _ in range(3)]
    reader = Reader(second.client().listen("flow"))
    done = []
    threads = []
    for number in range(NINE):
        client = first.client()
        client.call("session.start")
        threads.append(threading.Thread(target=make_requests, args=(client, peer, number, count, done), daemon=True))
    for thread in threads:
        thread.start()
    reader.until(NINE * count)
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(NINE))
    assert (reader.lost, reader.gaps) == (0, 0)
    assert all(process.poll() is None for process in floods), "a flooding session was ended"


def test_who_floods_a_peer_that_stopped_is_the_only_one_held(daemon, flood):
    first = daemon(name="a", config="[clients]\nsocket_mode = 0666\n")
    stopped, lively = daemon(name="s"), daemon(name="l")
    link(first, stopped)
    link(first, lively)
    peer = stopped.peer_id
    reader = Reader(lively.client().listen("flow"))
    client = first.client()
    client.call("session.start")
    count = 4000
    with Frozen(stopped):
        held = Sender(client, peer, "flow", (bytes(KIB) for _ in range(40000)))
        held.start()
        held_up_at(held)
        flood(first, peer, "messages")
        free = first.client()
        free.call("session.start")
        sender = Sender(free, lively.peer_id, "flow", [checked(0, i, KIB) for i in range(count)])
        sender.start()
        reader.until(count)
        sender.finish()
        assert held.is_alive()
    held.finish()
    assert (reader.lost, reader.gaps) == (0, 0)
