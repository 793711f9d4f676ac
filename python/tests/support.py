"""What several test files need: frames as the daemon writes them, linked daemons, and waiting."""

import json
import struct
import time
from typing import Any, Callable, Dict, Optional

from librats_py.pytest_plugin import Ratsd

ALICE = bytes(range(32))
BOB = bytes(range(32, 64))
DEADLINE_SECONDS = 10.0


def frame(kind: int, head: bytes, body: bytes = b"", sequence: int = 1) -> bytes:
    return struct.pack("<IHBBQ", len(head) + len(body), len(head), kind, 0, sequence) + head + body


def event(name: str, fields: Optional[Dict[str, Any]] = None, sequence: int = 1) -> bytes:
    return frame(4, json.dumps({"v": name, "p": fields or {}}).encode(), b"", sequence)


def message_head(name: bytes, peer: bytes = ALICE, plane: int = 1) -> bytes:
    return struct.pack("<BBH32s", plane, 0, len(name), peer) + name


def message(name: bytes, body: bytes, peer: bytes = ALICE) -> bytes:
    return frame(5, message_head(name, peer), body)


def wait_until(condition: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
    """Return when the condition holds; fail after a deadline that only broken code reaches."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.002)


class Pair:
    """Two daemons and a client of each; started and linked by ``link``."""

    def __init__(self, make: Callable[..., Ratsd]) -> None:
        self.here, self.there = make(), make()
        self.a, self.b = self.here.client(name="a"), self.there.client(name="b")
        self.a_id, self.b_id = self.a.get_our_peer_id(), self.b.get_our_peer_id()

    def link(self) -> None:
        self.a.start()
        self.b.start()
        self.a.connect("127.0.0.1", self.b.get_listen_port())
        wait_until(lambda: self.b.get_peer_ids() == [self.a_id])

    def close(self) -> None:
        self.a.close()
        self.b.close()
