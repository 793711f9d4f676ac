"""Those who take what comes besides the callbacks: the iterators of ``AsyncRatsClient``.

A tap gets the messages of one name; a listener gets all events while the client is started, and is
told when that is over. Callbacks have one slot for each thing, taps and listeners any number, and
neither takes anything from the other. Both are called on the dispatch thread and may hold it.
"""

import threading
from typing import Any, Callable, Dict, Set, Tuple

__all__ = ["Listener", "Tap", "Taps"]

Tap = Callable[[str, bytes, str], None]  # peer_id, data, forwarder_id ("" but for topics)


class Listener:
    """Hears of everything that is not a message."""

    def hear(self, event: str, fields: Dict[str, Any], body: bytes) -> None:
        """One event."""

    def end(self) -> None:
        """The client takes no part any more; may be called from any thread."""


class Taps:
    """The tables. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._taps: Dict[Tuple[int, bytes], Tuple[Tap, ...]] = {}
        self._listeners: Set[Listener] = set()

    def add(self, plane: int, name: bytes, tap: Tap) -> None:
        with self._lock:
            self._taps[plane, name] = self.of(plane, name) + (tap,)

    def drop(self, plane: int, name: bytes, tap: Tap) -> None:
        with self._lock:
            left = tuple(other for other in self.of(plane, name) if other is not tap)
            self._taps.pop((plane, name), None)
            if left:
                self._taps[plane, name] = left

    def drop_plane(self, plane: int) -> None:
        with self._lock:
            for key in [key for key in self._taps if key[0] == plane]:
                del self._taps[key]

    def of(self, plane: int, name: bytes) -> Tuple[Tap, ...]:
        return self._taps.get((plane, name), ())

    def listen(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.add(listener)

    def unlisten(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)

    def hear(self, event: str, fields: Dict[str, Any], body: bytes) -> None:
        for listener in self._snapshot():
            listener.hear(event, fields, body)

    def end(self) -> None:
        for listener in self._snapshot():
            listener.end()

    def _snapshot(self) -> Set[Listener]:
        if not self._listeners:
            return self._listeners
        with self._lock:
            return set(self._listeners)
