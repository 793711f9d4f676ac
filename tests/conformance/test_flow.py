"""design.md, Flow: a session that does not read. Its sender is slowed, then it is lagging, its
messages are dropped and counted exactly; nobody else loses anything."""
import select
import time

import pytest
import ratsipc
from daemons import plain_ratsd
from flow import Reader, Sender, check, checked, held_up_at

BODY = 1024
ENOUGH = 40000  # 40 MB: more than every queue and socket buffer on the way together


def send_many(sender, receiver):
    """Numbered messages, as fast as they are taken, from a thread of its own."""
    sender.call("session.start")
    worker = Sender(sender, receiver.info["peer_id"], "flow",
                    (checked(0, i, BODY) for i in range(ENOUGH)))
    worker.start()
    return worker


def test_a_session_that_reads_loses_nothing(pair):
    sender, receiver = pair[0].client(), pair[1].client().listen("flow")
    worker = send_many(sender, receiver)
    received = Reader(receiver)
    received.until(ENOUGH)
    worker.finish()
    assert received.lost == 0


def test_a_short_pause_slows_the_sender_and_loses_nothing(pair):
    sender, receiver = pair[0].client(), pair[1].client().listen("flow")
    worker = send_many(sender, receiver)
    assert held_up_at(worker) < ENOUGH  # as by TCP
    received = Reader(receiver)
    received.until(ENOUGH)
    worker.finish()
    assert received.lost == 0


def test_a_session_that_stopped_reading_is_told_exactly_what_it_lost(pair):
    """reliability.md R10."""
    sender = pair[0].client()
    stopped, other = pair[1].client().listen("flow"), pair[1].client().listen("flow")
    unrelated = pair[1].client()
    other_received = Reader(other)
    other_thread = other_received.in_thread(ENOUGH)
    worker = send_many(sender, stopped)
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
    received = Reader(stopped)
    received.until(ENOUGH)
    assert received.lost > 0 and received.count > 0
    assert stopped.is_alive() and not stopped.messages
    # It goes on as if nothing had been.
    sender.send_message(stopped.info["peer_id"], "flow", checked(0, ENOUGH, 0))
    assert check(stopped.wait_message().body) == (0, ENOUGH)


def test_control_events_are_never_dropped(pair):
    sender = pair[0].client()
    stopped, witness = pair[1].client().listen("flow"), pair[1].client().listen("flow")
    worker = send_many(sender, stopped)
    Reader(witness).until(ENOUGH)  # then all of it has crossed the link
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
    stopped = pair[1].client(slow="drop").listen("flow")
    begun = time.monotonic()
    worker = send_many(sender, stopped)
    worker.finish()
    taken = time.monotonic() - begun
    received = Reader(stopped)
    received.until(ENOUGH)
    assert received.lost > 0
    assert taken < 60


def test_a_session_may_ask_to_be_closed(pair):
    sender = pair[0].client()
    stopped = pair[1].client(slow="close").listen("flow")
    worker = send_many(sender, stopped)
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
