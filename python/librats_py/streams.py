"""What waits to be taken by an iterator: filled on the dispatch thread, emptied on another.

The rule that is easy to break: nothing here waits but ``offer`` and ``Window.enter``, and both only
on the dispatch thread. Holding that thread is how a slow program slows its senders: the library
stops reading, the daemon's queue fills, and the daemon stops reading the links (rats-ipc(7)). What
the program waits for meanwhile may be further behind in the same queue, so after as long as the
daemon is patient itself the messages of a full stream are dropped instead, and counted.
"""

import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterable, NamedTuple, Optional, Set, Tuple

from .convert import decode_text, decode_value_of_event
from .exceptions import RatsJsonParseError
from .json_text import parse_json
from .taps import Listener

__all__ = ["ItemStream", "Message", "PeerChange", "PeerStream", "StorageChange", "Window"]

_HOLD_SECONDS = 2.0
# What an item costs besides its bytes.
_ITEM_BYTES = 256


class Message(NamedTuple):
    """What a peer has sent, or published on a topic.

    Attributes:
        peer_id: the sender; of a topic's message, who it says has published it
        kind: ``"string"``, ``"binary"``, ``"json"``, ``"channel"``, ``"message"`` (one with a
            type) or ``"topic"``
        name: the channel, the type or the topic; ``""`` for the first three kinds
        data: the bytes, as they came
        forwarder_id: of a topic's message, the peer that passed it on, or ``""``
    """

    peer_id: str
    kind: str
    name: str
    data: bytes
    forwarder_id: str

    @property
    def text(self) -> str:
        """``data`` as text up to its first NUL; bytes that are not UTF-8 become U+FFFD."""
        return decode_text(self.data)

    def json(self) -> Any:
        """``data`` as JSON. Those of kind ``"json"`` and ``"message"`` always are.

        Raises:
            RatsJsonParseError: it is not JSON
        """
        try:
            return parse_json(self.data.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise RatsJsonParseError("Message is not JSON", detail=str(error)) from None


class PeerChange(NamedTuple):
    """A peer that has come (``connected``) or gone."""

    peer_id: str
    connected: bool


class StorageChange(NamedTuple):
    """A change of the store, with what ``set_storage_callback`` gives."""

    key: str
    value: Any
    deleted: bool
    origin_peer_id: str
    is_remote: bool


class Stream(Listener):
    """Items in order. ``wake`` is called, from any thread, when there is something to look at and
    the last ``take`` found nothing."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._condition = threading.Condition()  # re-entrant: a collection may run end() anywhere
        self._items: Deque[Any] = deque()
        self._wake = wake
        self._awaited = False
        self.ended = False

    def _put(self, item: Any) -> None:
        self._items.append(item)
        self._call_taker()

    def _call_taker(self) -> None:
        if self._awaited:
            self._awaited = False
            self._wake()

    def take(self) -> Any:
        """The next item; None when there is none yet, or no more."""
        with self._condition:
            if self._items:
                return self._items.popleft()
            self._awaited = True
            return None

    def end(self) -> None:
        """No more comes; what is there may still be taken."""
        with self._condition:
            self.ended = True
            self._condition.notify_all()
            self._call_taker()


class ItemStream(Stream):
    """Items of different sizes, at most ``limit_bytes`` of them, or a single one that is larger.

    ``on_lost`` is told, from the thread that takes, how many were dropped since it last was.
    """

    def __init__(
        self, wake: Callable[[], None], limit_bytes: int, on_lost: Callable[[int], None]
    ) -> None:
        super().__init__(wake)
        if limit_bytes < 0:
            raise ValueError("limit_bytes must not be negative: 0 keeps one item at a time")
        self._limit_bytes = limit_bytes
        self._on_lost = on_lost
        self._bytes = 0
        self._lagging = False
        self._told = 0
        self.lost = 0

    def offer(self, item: Any, size: int) -> None:
        """On the dispatch thread: take it, after a while if need be, or count it as lost."""
        size += _ITEM_BYTES
        with self._condition:
            if self._wait_for_room(size):
                self._bytes += size
                self._put((item, size))
            elif not self.ended:
                self.lost += 1

    def _wait_for_room(self, size: int) -> bool:
        def may_go_on() -> bool:
            return self.ended or not self._items or self._bytes + size <= self._limit_bytes

        if not self._lagging:
            self._lagging = not self._condition.wait_for(may_go_on, _HOLD_SECONDS)
        return not self._lagging and not self.ended

    def take(self) -> Any:
        told = self._told
        with self._condition:
            found: Optional[Tuple[Any, int]] = super().take()
            if found is None:
                return None
            self._bytes -= found[1]
            self._condition.notify_all()
            if self._lagging and self._bytes <= self._limit_bytes // 4:
                self._lagging = False
                self._told = self.lost
            lost = self._told - told
        if lost:
            self._on_lost(lost)
        return found[0]


class StorageStream(ItemStream):
    """The changes of keys that begin with a prefix."""

    def __init__(
        self,
        wake: Callable[[], None],
        limit_bytes: int,
        on_lost: Callable[[int], None],
        prefix: str,
    ) -> None:
        super().__init__(wake, limit_bytes, on_lost)
        self._prefix = prefix.encode("utf-8")

    def hear(self, event: str, fields: Dict[str, Any], body: bytes) -> None:
        key = fields.get("key")
        if event != "storage.changed" or not isinstance(key, str):
            return
        if key.encode("utf-8").startswith(self._prefix):
            self.offer((fields, body), len(key) + len(body))

    def take(self) -> Any:
        found = super().take()
        if found is None:
            return None
        fields, body = found
        deleted = fields.get("deleted") is True
        value = None if deleted else decode_value_of_event(fields.get("type"), body)
        remote = fields.get("remote") is True
        return StorageChange(fields["key"], value, deleted, fields.get("origin", ""), remote)


class PeerStream(Stream):
    """Peers that come and go, of the instance or of a topic, beginning with those that are there.

    One that came and went before it was looked at is not told of. So each peer waits here once as
    gone and once as come at most, nothing is lost, and nobody has to be held.
    """

    def __init__(self, wake: Callable[[], None], topic: Optional[str]) -> None:
        super().__init__(wake)
        self.topic = topic
        self._came = "peer.connected" if topic is None else "topic.joined"
        self._went = "peer.disconnected" if topic is None else "topic.left"
        self._there: Set[str] = set()
        self._heard_of: Optional[Set[str]] = set()  # until those are known that were there before

    def hear(self, event: str, fields: Dict[str, Any], body: bytes) -> None:
        peer_id = fields.get("peer")
        if event not in (self._came, self._went) or not isinstance(peer_id, str):
            return
        if self.topic is not None and fields.get("topic") != self.topic:
            return
        with self._condition:
            if self._heard_of is not None:
                self._heard_of.add(peer_id)
            self._note(peer_id, event == self._came)

    def begin(self, peer_ids: Iterable[str]) -> None:
        """These are there, but where later news has come already."""
        with self._condition:
            for peer_id in peer_ids:
                if self._heard_of is not None and peer_id not in self._heard_of:
                    self._note(peer_id, True)
            self._heard_of = None

    def _note(self, peer_id: str, connected: bool) -> None:
        if connected == (peer_id in self._there):
            return
        if connected:
            self._there.add(peer_id)
            self._put(PeerChange(peer_id, True))
            return
        self._there.discard(peer_id)
        try:
            self._items.remove(PeerChange(peer_id, True))
        except ValueError:
            self._put(PeerChange(peer_id, False))


class Window(Listener):
    """At most ``size`` things under way between the dispatch thread and another."""

    def __init__(self, size: int) -> None:
        self._condition = threading.Condition()
        self._size = size
        self._count = 0
        self._ends = 0

    def enter(self, hold: bool) -> None:
        """One more; with ``hold`` when there is room, or the client takes no part any more."""
        with self._condition:
            ends = self._ends
            if hold:
                self._condition.wait_for(lambda: self._count < self._size or self._ends != ends)
            self._count += 1

    def leave(self) -> None:
        with self._condition:
            self._count -= 1
            self._condition.notify_all()

    def end(self) -> None:
        with self._condition:
            self._ends += 1
            self._condition.notify_all()
