"""Messages by the thousand: who sends them, who gets them, and what became of each."""
import hashlib
import signal
import threading
import time

import ratsipc
from daemons import wait_until

KIB = 1024


class Sender(threading.Thread):
    """Sends bodies to one peer on one channel, as fast as they are taken."""

    def __init__(self, client, peer, channel, bodies):
        super().__init__(daemon=True)
        self.client, self.head, self.bodies = client, ratsipc.message_head(peer, channel), bodies
        self.sent = 0
        self.fault = None
        client.sock.settimeout(60)

    def run(self):
        try:
            batch, size = [], 0
            for body in self.bodies:
                batch.append(ratsipc.encode(ratsipc.MESSAGE, 0, self.head, body))
                size += len(body)
                if size >= 64 * KIB:
                    self.flush(batch)
                    batch, size = [], 0
            self.flush(batch)
        except Exception as fault:  # pylint: disable=broad-except
            self.fault = fault

    def flush(self, batch):
        self.client.send(b"".join(batch))
        self.sent += len(batch)

    def finish(self, timeout=60):
        self.join(timeout)
        assert not self.is_alive(), "the sender is still held up after %d messages" % self.sent
        assert self.fault is None, self.fault


def checked(sender, number, size):
    """A body that says whose it is, which one, and whether it is whole."""
    start = b"%04d %08d " % (sender, number)
    filler = (start * (size // len(start) + 1))[:max(size, 0)]
    return start + hashlib.md5(filler).hexdigest().encode() + filler


def check(body):
    """(sender, number) of a body made by checked()."""
    assert hashlib.md5(body[46:]).hexdigest().encode() == body[14:46], "a damaged message"
    return int(body[:4]), int(body[5:13])


class Reader:
    """What one session gets from several senders: each in order, and what it was told it lost."""

    def __init__(self, client):
        self.client = client
        self.last = {}
        self.count = self.lost = 0
        self.gaps = 0

    def take(self, timeout):
        self.client.take(timeout)
        while self.client.messages:
            sender, number = check(self.client.messages.popleft().body)
            expected = self.last.get(sender, -1) + 1
            assert number >= expected, "%d of sender %d came after %d" % (number, sender, expected)
            self.gaps += number - expected
            self.last[sender] = number
            self.count += 1
        while self.client.events:
            event = self.client.events.popleft()
            if event["v"] == "lost":
                said = event["p"]
                assert said["total"] == sum(said[k] for k in ("channel", "typed", "topic"))
                self.lost += said["total"]

    def until(self, total, timeout=60):
        deadline = time.monotonic() + timeout
        while self.count + self.lost < total:
            try:
                self.take(deadline - time.monotonic())
            except TimeoutError:
                raise AssertionError("received %d, lost %d, expected %d together"
                                     % (self.count, self.lost, total)) from None
        assert self.count + self.lost == total

    def in_thread(self, total):
        thread = threading.Thread(target=self.until, args=(total,), daemon=True)
        thread.start()
        return thread


class Frozen:
    """A daemon that is stopped for as long as this is entered."""

    def __init__(self, node):
        self.node = node

    def __enter__(self):
        self.node.process.send_signal(signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        self.node.process.send_signal(signal.SIGCONT)


def held_up_at(sender):
    """Waits until the sender does not move for half a second; how far it came."""
    seen = [-1, 0.0]

    def stands():
        if sender.sent != seen[0]:
            seen[:] = [sender.sent, time.monotonic()]
        return time.monotonic() - seen[1] > 0.5
    wait_until(stands, "the sender is held up")
    assert sender.is_alive(), "nothing held the sender up: it sent %d messages" % sender.sent
    return seen[0]
