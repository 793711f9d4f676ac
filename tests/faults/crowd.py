"""A crowd of hostile local clients, a process of its own: each does one harmful thing and goes."""
import multiprocessing
import random
import socket
import time

import ratsipc

HELLO = ratsipc.encode_call(1, "hello", {"versions": [[1, 0]], "name": "hostile"})
HOLD_S = 1.2
TICK_S = 0.02


class Hostile:
    """One connection. Subclasses say what it sends; it stays until it is closed or HOLD_S is over.
    """

    reads = True

    def __init__(self, path, rng):
        self.rng = rng
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.until = time.monotonic() + HOLD_S
        try:
            self.sock.connect(path)
            self.over = False
        except (BlockingIOError, ConnectionRefusedError):
            self.over = True  # the backlog is full: no harm done
        self.left = self.script()

    def script(self):
        """What is sent first."""
        return b""

    def step(self, now):
        """Goes on for as long as the socket lets it."""
        try:
            if self.left:
                self.left = self.left[self.sock.send(self.left):]
            if self.reads and not self.sock.recv(1 << 16):
                self.over = True
        except BlockingIOError:
            pass
        except OSError:
            self.over = True
        self.over |= now >= self.until

    def close(self):
        self.sock.close()


class Silent(Hostile):
    """Never greets."""


class Garbage(Hostile):
    def script(self):
        return bytes(self.rng.getrandbits(8) for _ in range(self.rng.randint(1, 6000)))


class HalfHeader(Hostile):
    def script(self):
        return HELLO[:self.rng.randint(1, 15)]


class HalfFrame(Hostile):
    """Greets, and never ends its next frame."""

    def script(self):
        size = self.rng.choice((100, 60000, ratsipc.MAX_SIZE - 100000))
        body = b"z" * min(size, self.rng.randint(0, 30000))
        return HELLO + ratsipc.encode(ratsipc.MESSAGE, 2,
                                      ratsipc.message_head(ratsipc.EVERY_PEER, "x"), body,
                                      size=size + 37)


class NeverReads(Hostile):
    """Asks and asks, and takes no answer."""

    reads = False
    ASK = b"".join(ratsipc.encode_call(n, "protocol.describe") for n in range(10, 60))

    def script(self):
        return HELLO

    def step(self, now):
        if not self.left:
            self.left = self.ASK
        super().step(now)


class OneByte(Hostile):
    """A byte at a time, as slowly as it may."""

    def script(self):
        self.next = 0.0
        self.rest = HELLO * 2
        return b""

    def step(self, now):
        if now >= self.next and self.rest:
            self.left, self.rest, self.next = self.left + self.rest[:1], self.rest[1:], now + 0.1
        super().step(now)


class EarlyClose(Hostile):
    """Gone before its answer, at any byte."""

    def script(self):
        whole = HELLO + ratsipc.encode_call(2, "session.list")
        return whole[:self.rng.randint(0, len(whole))]

    def step(self, now):
        super().step(now)
        self.over |= not self.left


class WrongVersion(Hostile):
    def script(self):
        versions = self.rng.choice(([[9, 0]], [[0, 1]], [[2, 0], [3, 7]]))
        return ratsipc.encode_call(1, "hello", {"versions": versions})


class Request(Hostile):
    """Of another protocol."""

    def script(self):
        return b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


KINDS = (Silent, Garbage, HalfHeader, HalfFrame, NeverReads, OneByte, EarlyClose, WrongVersion,
         Request)


def gather(path, total, at_once, seed):
    """total of them, at_once at a time. The most there were."""
    rng = random.Random(seed)
    made = most = 0
    live = []
    while made < total or live:
        while made < total and len(live) < at_once:
            live.append(KINDS[made % len(KINDS)](path, rng))
            made += 1
        most = max(most, len(live))
        now = time.monotonic()
        for member in live:
            member.step(now)
        for member in [member for member in live if member.over]:
            member.close()
            live.remove(member)
        time.sleep(TICK_S)
    return most


class Crowd:
    """That, beside the test."""

    def __init__(self, path, total, at_once, seed=7):
        self.pool = multiprocessing.get_context("fork").Pool(1)
        self.result = self.pool.apply_async(gather, (path, total, at_once, seed))

    def is_there(self):
        return not self.result.ready()

    def most(self):
        """When it has gone: how many there were at once. Raises what went wrong with them."""
        try:
            return self.result.get(60)
        finally:
            self.pool.terminate()
            self.pool.join()
