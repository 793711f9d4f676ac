"""reliability.md R13: a session guesses at what belongs to another: its calls, its registrations, its answers. Of
100,000 guesses none succeeds, and it hears nothing that is not its own."""
import random

import pytest
import ratsipc
from daemons import link, without_names

CANCELS, OFFS = 60000, 20000  # the second twice: channels and types
ANSWERS = 20                  # each ends its session
BATCH = 400


@pytest.fixture
def node(daemon):
    """One whose dials by name never end."""
    made = daemon.make(name="a")
    made.variables = without_names()
    return made.start()


def told(client):
    """Everything the daemon said of its own accord, but what a ping finds out about a link."""
    return [head for head in client.events if head["v"] != "peer.updated"] + list(client.messages)


class Victim:
    """A session with calls in progress, and with registrations."""

    def __init__(self, node):
        self.client = node.client(name="victim").listen("diary", "letters")
        self.client.call("typed.on", {"type": "secret"})
        self.calls = [self.client.begin("peer.connect", {"host": "name%d.example" % i, "port": 4000,
                                                         "timeout_ms": 600000}) for i in range(8)]
        self.watcher = node.client(name="watcher")
        self.whole = self.row()
        assert self.whole["calls"] == len(self.calls) and self.whole["channels"] == 2

    def row(self):
        rows = self.watcher.call("session.list")["sessions"]
        row = [r for r in rows if r["session"] == self.client.info["session"]][0]
        return {key: value for key, value in row.items() if key not in ("age_seconds", "queued_bytes")}

    def is_unharmed(self):
        """Nothing of it changed, and it was told nothing."""
        assert self.row() == self.whole
        assert self.client.is_alive()
        assert not self.client.answers and not told(self.client)


def ids_of(random_, calls):
    """The true ones among those around them, and any others."""
    near = calls + list(range(1, 2000)) + [1 << bit for bit in range(64)] + [2 ** 64 - 1]
    return near + [random_.getrandbits(64) or 1 for _ in range(CANCELS - len(near))]


def test_calls_of_another_session_cannot_be_cancelled(node):
    victim = Victim(node)
    thief = node.client(name="thief")
    ids = ids_of(random.Random(13), victim.calls)
    for start in range(0, len(ids), BATCH):
        thief.send(b"".join(ratsipc.encode(ratsipc.CANCEL, i) for i in ids[start:start + BATCH]))
    assert thief.is_alive()
    assert not thief.answers and not told(thief)
    victim.is_unharmed()
    for call in victim.calls:  # whose they are can
        victim.client.cancel(call)
        with pytest.raises(ratsipc.Failed) as failed:
            victim.client.finish(call)
        assert failed.value.error == "cancelled"


def guess_names(thief, method, field, names):
    """Every guess fails in the same way, whether the name is registered or not."""
    said = set()
    for start in range(0, len(names), BATCH):
        batch = names[start:start + BATCH]
        thief.send(b"".join(ratsipc.encode_call(i + 1000, method, {field: name}) for i, name in enumerate(batch)))
        for i, name in enumerate(batch):
            frame = thief.read_frame()
            assert (frame.kind, frame.id) == (ratsipc.FAIL, i + 1000), frame
            head = frame.json()
            said.add((head["e"], head["text"].replace(name, "NAME")))
    assert len(said) == 1 and next(iter(said))[0] == "not_found", said


def test_registrations_of_another_session_cannot_be_ended(node, daemon):
    other = daemon(name="b")
    link(other, node)
    victim = Victim(node)
    thief = node.client(name="thief")
    thief.call("session.start")
    names = ["guess %d" % i for i in range(OFFS)]
    guess_names(thief, "channel.off", "channel", names[:-200] + ["diary", "letters"] * 100)
    guess_names(thief, "typed.off", "type", names[:-200] + ["secret"] * 200)
    guess_names(thief, "topic.unsubscribe", "topic", names)
    victim.is_unharmed()
    sender = other.client()
    sender.call("session.start")
    for i in range(100):
        sender.send_message(victim.client.info["peer_id"], "diary", b"%d" % i)
    assert [victim.client.wait_message().body for _ in range(100)] == [b"%d" % i for i in range(100)]
    assert thief.is_alive()
    assert not told(thief)


def test_calls_of_another_session_cannot_be_answered(node):
    """Nor its events forged: such frames only travel to a client."""
    victim = Victim(node)
    kinds = (ratsipc.REPLY, ratsipc.FAIL, ratsipc.EVENT)
    for number in range(ANSWERS):
        thief = node.client(name="thief")
        call = victim.calls[number % len(victim.calls)]
        thief.send(ratsipc.encode(kinds[number % len(kinds)], call, {"peer": "0" * 64, "already": True}))
        frames = thief.read_until_closed()
        assert [frame.json()["e"] for frame in frames] == ["malformed"]
    victim.is_unharmed()
