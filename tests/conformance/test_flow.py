"""design.md, Flow: a session that does not read. Its sender is slowed, then it is lagging, its
messages are dropped and counted exactly; nobody else loses anything."""
import select
import threading
import time

import pytest
import ratsipc
from daemons import plain_ratsd

BODY = 1024
ENOUGH = 40000  # 40 MB: more than every queue and socket buffer on the way together


class Sender(threading.Thread):
    """Sends numbered messages as fast as they are taken, from a thread of its own."""

    def __init__(self, client, peer, channel, count):
        super().__init__(daemon=True)
        self.client, self.peer, self.channel, self.count = client, peer, channel, count
        self.sent = 0
        self.fault = None
        client.sock.settimeout(60)

    def run(self):
        filler = b"." * (BODY - 8)
        head = ratsipc.message_head(self.peer, self.channel)
        try:
            while self.sent < self.count:
                batch = range(self.sent, min(self.sent + 64, self.count))
                self.client.send(b"".join(
                    ratsipc.encode(ratsipc.MESSAGE, 0, head, i.to_bytes(8, "big") + filler)
                    for i in batch))
                self.sent = batch[-1] + 1
        except Exception as fault:  # pylint: disable=broad-except
            self.fault = fault

    def finish(self):
        self.join(60)
        assert not self.is_alive(), "the sender is still held up after %d messages" % self.sent
        assert self.fault is None, self.fault


def number(message):
    return int.from_bytes(message.body[:8], "big")


class Received:
    """Counts what a session gets: messages in order, and what it was told it lost."""

    def __init__(self, client):
        self.client = client
        self.count = self.lost = 0
        self.last = -1

    def take(self, timeout):
        self.client.take(timeout)
        while self.client.messages:
            this = number(self.client.messages.popleft())
            assert this > self.last, "%d after %d" % (this, self.last)
            self.last = this
            self.count += 1
        while self.client.events:
            event = self.client.events.popleft()
            if event["v"] == "lost":
                assert event["p"]["total"] == sum(event["p"][k] for k in ("channel", "typed", "topic"))
                self.lost += event["p"]["total"]

    def until(self, total, timeout=60):
        """Reads until received and lost make total."""
        deadline = time.monotonic() + timeout
        while self.count + self.lost < total:
            try:
                self.take(deadline - time.monotonic())
            except TimeoutError:
                raise AssertionError("received %d, lost %d, expected %d together"
                                     % (self.count, self.lost, total)) from None
        assert self.count + self.lost == total


def read_in_thread(client, total):
    received = Received(client)
    thread = threading.Thread(target=received.until, args=(total,), daemon=True)
    thread.start()
    return received, thread


def test_a_session_that_reads_loses_nothing(pair):
    sender, receiver = pair[0].client(), pair[1].client().listen("flow")
    sender.call("session.start")
    worker = Sender(sender, receiver.info["peer_id"], "flow", ENOUGH)
    worker.start()
    received = Received(receiver)
    received.until(ENOUGH)
    worker.finish()
    assert received.lost == 0


def test_a_short_pause_slows_the_sender_and_loses_nothing(pair):
    sender, receiver = pair[0].client(), pair[1].client().listen("flow")
    sender.call("session.start")
    worker = Sender(sender, receiver.info["peer_id"], "flow", ENOUGH)
    worker.start()
    # Wait until the sender no longer moves: it is held up, as by TCP.
    held_up_at = -1
    deadline = time.monotonic() + 1.2
    while time.monotonic() < deadline and worker.sent != held_up_at:
        held_up_at = worker.sent
        time.sleep(0.2)
    assert worker.sent < ENOUGH, "nothing held the sender up"
    received = Received(receiver)
    received.until(ENOUGH)
    worker.finish()
    assert received.lost == 0


def test_a_session_that_stopped_reading_is_told_exactly_what_it_lost(pair):
    """reliability.md R10."""
    sender = pair[0].client()
    sender.call("session.start")
    stopped, other = pair[1].client().listen("flow"), pair[1].client().listen("flow")
    unrelated = pair[1].client()
    other_received, other_thread = read_in_thread(other, ENOUGH)
    worker = Sender(sender, stopped.info["peer_id"], "flow", ENOUGH)
    worker.start()
    while worker.is_alive():
        begun = time.monotonic()
        assert unrelated.is_alive()
        assert time.monotonic() - begun < 2
        time.sleep(0.05)
    worker.finish()
    other_thread.join(60)
    assert (other_received.count, other_received.lost) == (ENOUGH, 0)
    rows = unrelated.call("session.list")["sessions"]
    row = [r for r in rows if r["session"] == stopped.info["session"]][0]
    assert row["queued_bytes"] <= 5 * 1024 * 1024
    assert row["lost"] > 0
    received = Received(stopped)
    received.until(ENOUGH)
    assert received.lost > 0 and received.count > 0
    assert stopped.is_alive() and not stopped.messages
    # It goes on as if nothing had been.
    sender.send_message(stopped.info["peer_id"], "flow", ENOUGH.to_bytes(8, "big"))
    assert number(stopped.wait_message()) == ENOUGH


def test_control_events_are_never_dropped(pair):
    sender = pair[0].client()
    sender.call("session.start")
    stopped, witness = pair[1].client().listen("flow"), pair[1].client().listen("flow")
    worker = Sender(sender, stopped.info["peer_id"], "flow", ENOUGH)
    worker.start()
    Received(witness).until(ENOUGH)  # then all of it has crossed the link
    worker.finish()
    pair[1].client().call("peer.disconnect", {"peer": sender.info["peer_id"]})
    names = []
    total = 0
    while "peer.disconnected" not in names:
        stopped.take(20)
        total += len(stopped.messages)
        stopped.messages.clear()
        while stopped.events:
            event = stopped.events.popleft()
            names.append(event["v"])
            if event["v"] == "lost":
                total += event["p"]["total"]
    while total < ENOUGH:  # the count may follow the event
        stopped.take(20)
        while stopped.events:
            event = stopped.events.popleft()
            total += event["p"].get("total", 0)
    assert total == ENOUGH


def test_a_session_may_ask_to_drop_at_once(pair):
    sender = pair[0].client()
    sender.call("session.start")
    stopped = pair[1].client(slow="drop").listen("flow")
    begun = time.monotonic()
    worker = Sender(sender, stopped.info["peer_id"], "flow", ENOUGH)
    worker.start()
    worker.finish()
    taken = time.monotonic() - begun
    received = Received(stopped)
    received.until(ENOUGH)
    assert received.lost > 0
    assert taken < 60


def test_a_session_may_ask_to_be_closed(pair):
    sender = pair[0].client()
    sender.call("session.start")
    stopped = pair[1].client(slow="close").listen("flow")
    worker = Sender(sender, stopped.info["peer_id"], "flow", ENOUGH)
    worker.start()
    worker.finish()
    poll = select.poll()
    poll.register(stopped.sock, select.POLLHUP | select.POLLRDHUP)
    assert poll.poll(20000), "the session was not closed"
    watcher = pair[1].client()
    numbers = [r["session"] for r in watcher.call("session.list")["sessions"]]
    assert stopped.info["session"] not in numbers


def test_one_message_larger_than_the_queue_is_let_in_when_it_is_empty(pair):
    sender, receiver = pair[0].client(), pair[1].client().listen("flow")
    sender.call("session.start")
    body = bytes(8) + b"x" * (20 << 20)
    sender.send_message(receiver.info["peer_id"], "flow", body)
    assert receiver.wait_message(timeout=60).body == body


@pytest.mark.parametrize("kind", ["answers", "errors"])
def test_a_client_that_asks_and_never_reads_is_bounded(daemon, kind):
    """reliability.md V2: its answers pile up to a bound, then it is not read or is closed."""
    node = daemon(program=plain_ratsd())
    client = node.client()
    watcher = node.client()
    before = node.rss_kib()
    method = "protocol.describe" if kind == "answers" else "no.such"
    data = b"".join(ratsipc.encode_call(i, method) for i in range(10, 110))
    client.sock.setblocking(False)
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        try:
            client.sock.send(data)
        except BlockingIOError:
            select.select([], [client.sock], [], 0.1)
        except (BrokenPipeError, ConnectionResetError):
            break
    assert node.rss_kib() - before < 16 * 1024
    assert watcher.is_alive()
