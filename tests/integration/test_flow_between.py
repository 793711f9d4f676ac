"""design.md, Flow, over whole daemons: who is slowed by a slow one, who is not, and that nothing is
lost or held without a bound (reliability.md V1, V2, V14, R10, R11)."""
import os
import random
import re
import select
import signal
import subprocess
import sys
import time

import pytest
import ratsipc
from daemons import ROOT, link, plain_ratsd, wait_until
from factory import Factory
from flow import Frozen, Reader, Sender, checked, held_up_at

STALL_S = 30  # a link that takes nothing for so long is closed
KIB, MIB = 1024, 1024 * 1024


def peak_kib(node):
    with open("/proc/%d/status" % node.process.pid, encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1))


# --- a link that takes nothing for 30 s, in the background of the other tests ---

class Stalled:
    """A session that sends to a peer whose daemon has stopped."""

    def __init__(self, first, second):
        self.first, self.second = first, second
        link(first, second)
        self.watcher = first.client()
        self.client = first.client()
        self.client.call("session.start")
        self.peer = second.peer_id
        second.process.send_signal(signal.SIGSTOP)
        self.begun = time.monotonic()
        bodies = (bytes(MIB) for _ in range(40))
        self.sender = Sender(self.client, self.peer, "x", bodies)
        self.sender.start()


@pytest.fixture(scope="module", autouse=True)
def stalled():
    factory = Factory()
    story = Stalled(*(factory(name=name) for name in "ab"))
    yield story
    story.second.process.send_signal(signal.SIGCONT)
    factory.close()


# --- slow clients ---

def test_of_three_readers_only_those_that_stop_lose_and_know_exactly_what(daemon):
    """Two daemons send; one reader stops and stalls, one stops and drops, one reads."""
    receiving = daemon(name="r")
    senders = []
    for number, name in enumerate("ab"):
        node = daemon(name=name)
        link(node, receiving)
        client = node.client()
        client.call("session.start")
        bodies = [checked(number, i, 900) for i in range(15000)]
        senders.append(Sender(client, receiving.peer_id, "flow", bodies))
    total = sum(len(sender.bodies) for sender in senders)
    stalls = Reader(receiving.client().listen("flow"))
    drops = Reader(receiving.client(slow="drop").listen("flow"))
    reads = Reader(receiving.client().listen("flow"))
    thread = reads.in_thread(total)
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.finish()
    thread.join(60)
    assert (reads.count, reads.lost, reads.gaps) == (total, 0, 0)
    for stopped in (stalls, drops):
        stopped.until(total)
        assert stopped.lost > 0 and stopped.count > 0
        assert stopped.lost >= stopped.gaps  # what is missing behind the last one has no gap


def test_a_burst_from_many_peers_is_not_lost_by_who_reads(daemon):
    """Eight links bring 1 MiB messages at the same moment: twice the queue of a session."""
    receiving = daemon(name="r", program=plain_ratsd())
    reader = Reader(receiving.client().listen("flow"))
    senders = []
    for number in range(8):
        node = daemon(name="s%d" % number, program=plain_ratsd())
        link(node, receiving)
        client = node.client()
        client.call("session.start")
        bodies = [checked(number, i, MIB) for i in range(3)]
        senders.append(Sender(client, receiving.peer_id, "flow", bodies))
    with Frozen(receiving):
        for sender in senders:
            sender.start()
        for sender in senders:
            wait_until(lambda s=sender: s.sent > 0, "each has a message on the way")
    reader.until(8 * 3)
    assert (reader.lost, reader.gaps) == (0, 0)
    for sender in senders:
        sender.finish()


def test_a_sender_that_leaves_a_stalled_reader_costs_the_next_one_nothing(daemon):
    receiving, leaving, staying = (daemon(name=name) for name in "rab")
    link(leaving, receiving)
    link(staying, receiving)
    reader = Reader(receiving.client().listen("flow"))
    client = leaving.client()
    client.call("session.start")
    sender = Sender(client, receiving.peer_id, "flow", (checked(0, i, 8000) for i in range(5000)))
    sender.start()
    watcher = receiving.client()

    def queued():
        rows = watcher.call("session.list")["sessions"]
        return [r["queued_bytes"] for r in rows if r["session"] == reader.client.info["session"]][0]
    wait_until(lambda: queued() >= 3 * MIB, "the reader's queue is full")
    leaving.kill()
    while queued() > 0:
        reader.take(10)
    wait_until(lambda: len(watcher.call("peer.list")["peers"]) == 1, "the peer is gone")
    time.sleep(2.5)  # longer than a session may stall
    client = staying.client()
    client.call("session.start")
    client.send_message(receiving.peer_id, "flow", checked(1, 0, 10))
    wait_until(lambda: reader.take(10) or 1 in reader.last, "the message of the other peer")
    assert reader.lost == 0


# --- slow peers ---

def test_a_stopped_daemon_holds_only_those_who_send_to_it(daemon):
    first, stopped, lively = (daemon(name=name, program=plain_ratsd()) for name in "asl")
    link(first, stopped)
    link(first, lively)
    slow_reader = Reader(stopped.client().listen("flow"))
    fast_reader = Reader(lively.client().listen("flow"))
    clients = [first.client() for _ in range(3)]
    for client in clients:
        client.call("session.start")
    count = 30000
    held = Sender(clients[0], stopped.peer_id, "flow", [checked(0, i, KIB) for i in range(count)])
    free = Sender(clients[1], lively.peer_id, "flow", [checked(1, i, KIB) for i in range(count)])
    before = first.rss_kib()
    with Frozen(stopped):
        held.start()
        held_up_at(held)
        free.start()
        fast_reader.until(count)
        free.finish()
        assert held.is_alive()
        assert clients[2].is_alive()
        assert first.rss_kib() - before < 24 * KIB
    slow_reader.until(count)
    held.finish()
    assert (slow_reader.lost, slow_reader.gaps) == (0, 0)
    assert (fast_reader.lost, fast_reader.gaps) == (0, 0)


def test_a_client_that_dies_while_it_waits_costs_no_time(daemon):
    """Its socket is always ready from then on: nothing may be wanted of it (V14)."""
    first, second = daemon(name="a"), daemon(name="b")
    link(first, second)
    client = first.client().listen("flow")
    peer = second.peer_id
    other = second.client()
    other.call("session.start")
    back = Sender(other, first.peer_id, "flow", (bytes(KIB) for _ in range(20000)))
    back.start()
    back.finish()  # the client does not read: something waits for it all the time
    with Frozen(second):
        sender = Sender(client, peer, "flow", (bytes(64 * KIB) for _ in range(400)))
        sender.start()
        held_up_at(sender)
        client.sock.shutdown(2)
        client.close()
        first.assert_idle()
    assert first.client().is_alive()


# --- order ---

def test_ten_senders_lose_and_reorder_nothing(pair):
    first, second = pair
    reader = Reader(second.client().listen("flow"))
    random_ = random.Random(1)
    senders = []
    for number in range(10):
        client = first.client()
        client.call("session.start")
        bodies = [checked(number, i, random_.choice((0, 1, 100, 1000, 5000, 70000)))
                  for i in range(300)]
        senders.append(Sender(client, second.peer_id, "flow", bodies))
    for sender in senders:
        sender.start()
    reader.until(10 * 300)
    for sender in senders:
        sender.finish()
    assert (reader.lost, reader.gaps) == (0, 0)
    assert reader.last == {number: 299 for number in range(10)}


def test_messages_answered_and_not_answered_keep_one_order(pair):
    first, second = pair
    client = first.client()
    client.call("session.start")
    receiver = second.client().listen("flow")
    asked = []
    for i in range(200):
        body = b"%d" % i
        if i % 3 == 0:
            asked.append(client.new_id(ratsipc.A_MESSAGE))
            client.send(ratsipc.encode_message(second.peer_id, "flow", body, asked[-1]))
        else:
            client.send_message(second.peer_id, "flow", body)
    assert [client.finish(frame_id)["peers"] for frame_id in asked] == [1] * len(asked)
    assert [receiver.wait_message().body for _ in range(200)] == [b"%d" % i for i in range(200)]


# --- large messages ---

def test_the_largest_messages_of_several_sessions_take_turns(daemon):
    """64 MiB from one user at a time, whatever its sessions want; all arrive (V1)."""
    first, second = (daemon(name=name, program=plain_ratsd()) for name in "ab")
    link(first, second)
    receiver = second.client(name="reader").listen("flow")
    body = os.urandom(MIB) * 64
    body = body[:ratsipc.MAX_PAYLOAD]
    senders = []
    for number in range(4):
        client = first.client()
        client.call("session.start")
        senders.append(Sender(client, second.peer_id, "flow", [b"%04d" % number + body[4:]]))
    for sender in senders:
        sender.start()
    seen = set()
    for _ in senders:
        got = receiver.wait_message(60).body
        assert got[4:] == body[4:]
        seen.add(got[:4])
    assert len(seen) == 4
    for sender in senders:
        sender.finish()
    assert peak_kib(first) < 220 * KIB  # one that arrives, one that leaves


def test_half_a_large_frame_leaves_others_their_messages(pair):
    first, second = pair
    receiver = second.client().listen("flow")
    peer = second.peer_id
    head = ratsipc.message_head(peer, "flow")
    for _ in range(3):
        hog = first.client()
        hog.send(ratsipc.encode(ratsipc.MESSAGE, 0, head, bytes(50 * KIB), size=60 * MIB))
    client = first.client()
    client.call("session.start")
    for i in range(100):
        client.send_message(peer, "flow", b"%03d" % i + bytes(100 * KIB))
        assert receiver.wait_message().body[:3] == b"%03d" % i


# --- fairness ---

FLOOD = """
import sys; sys.path.insert(0, %r)
import select
import ratsipc
c = ratsipc.Client(%r); c.hello()
calls = b"".join(ratsipc.encode_call(i, %r) for i in range(10, 90))
c.sock.setblocking(False)
print("flooding", flush=True)
waiting = calls
while True:
    ready, room, _ = select.select([c.sock], [c.sock] if waiting else [], [])
    if ready and not c.sock.recv(1 << 20):
        break
    if room:
        waiting = waiting[c.sock.send(waiting):] or calls
"""


@pytest.mark.parametrize("method", ["protocol.describe", "session.list"])
def test_a_flood_of_calls_leaves_five_callers_their_turn(daemon, method):
    """R11: each gets on, and none is left behind the others."""
    node = daemon()
    program = FLOOD % (os.path.join(ROOT, "tests", "support"), node.socket, method)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as flood:
        try:
            assert flood.stdout.readline() == b"flooding\n"
            callers = {client.fileno(): client for client in (node.client() for _ in range(5))}
            done = dict.fromkeys(callers, 0)
            for client in callers.values():
                client.begin("log.get_level")
            deadline = time.monotonic() + 60
            while min(done.values()) < 50:
                assert time.monotonic() < deadline, done
                for fd in select.select(list(callers), [], [], 1)[0]:
                    callers[fd].take(20)
                    if callers[fd].answers:
                        callers[fd].answers.clear()
                        done[fd] += 1
                        callers[fd].begin("log.get_level")
            assert max(done.values()) <= 4 * min(done.values()), done
            assert flood.poll() is None, "the flooding session was ended"
        finally:
            flood.kill()


# --- the end, and rest ---

def test_what_clients_had_written_before_sigterm_is_sent(pair):
    first, second = pair
    receiver = second.client().listen("flow")
    peer = second.peer_id
    clients = [first.client() for _ in range(4)]
    for client in clients:
        client.call("session.start")
    with Frozen(first):
        for number, client in enumerate(clients):
            client.send(b"".join(  # all of it fits the socket
                ratsipc.encode_message(peer, "flow", checked(number, i, 500)) for i in range(100)))
        first.process.send_signal(signal.SIGTERM)
    reader = Reader(receiver)
    reader.until(400)
    assert reader.gaps == 0
    assert first.process.wait(20) == 0


def test_a_daemon_with_nothing_to_do_sleeps(pair):
    first, second = pair
    client = first.client().listen("flow")

    def switches():
        with open("/proc/%d/status" % first.process.pid, encoding="ascii") as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))

    def rests():
        before = switches()
        time.sleep(1)
        return switches() == before
    wait_until(rests, "a second without a wake-up")
    assert client.is_alive() and second.running()


# --- last, for it has been running all the while ---

def test_a_link_that_takes_nothing_for_30_seconds_is_closed(stalled):
    reason = stalled.watcher.wait_event(
        "peer.disconnected", timeout=STALL_S + 20, where=lambda p: p["peer"] == stalled.peer)["reason"]
    assert reason == "peer stopped reading"
    stalled.sender.finish()  # nobody is held any more
    assert stalled.client.is_alive()
