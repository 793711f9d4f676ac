"""From batches of frames to calls of Python functions.

The library hands out many frames at once (rats-ipc(7)); here a whole batch is taken apart and its
callbacks run, without another crossing into C. A message costs one unpack, two slices and one
dictionary lookup: the head of a MESSAGE frame (plane, flags, sender, name) is the same bytes for
every message of one sender on one channel, so the head itself is the key of the route to the
function. The first message of each head takes the slow path, ``_resolve``, where everything is
checked; whatever changes the meaning of a head empties the table of routes.

One thread runs ``process``; the setters may be called from any thread.
"""

import json
import logging
import struct
import threading
from ctypes import string_at
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from .callbacks import (
    BinaryCallback,
    ChannelCallback,
    ConnectionCallback,
    DaemonCallback,
    DisconnectCallback,
    ErrorCallback,
    EventCallback,
    JsonCallback,
    MessageCallback,
    OverflowCallback,
    StorageCallback,
    StringCallback,
)
from .convert import decode_text, decode_value_of_event
from .json_text import is_json, parse_json
from .taps import Tap, Taps
from .transfers import TransferEvents

__all__ = [
    "CHANNEL_BINARY",
    "CHANNEL_JSON",
    "CHANNEL_STRING",
    "Dispatcher",
    "PLANE_CHANNEL",
    "PLANE_TOPIC",
    "PLANE_TYPED",
    "PLANE_WATCH",
]

_log = logging.getLogger("librats_py")

CHANNEL_STRING = b"rats.string"
CHANNEL_BINARY = b"rats.binary"
CHANNEL_JSON = b"rats.json"

_HEADER_SIZE = 16
_KIND_EVENT = 4
_KIND_MESSAGE = 5
PLANE_CHANNEL = 1
PLANE_TYPED = 2
PLANE_TOPIC = 3
PLANE_WATCH = 0  # no message has it: prefixes of the store that a listener wants
_HEAD_FIXED = 36
_MAX_ROUTES = 8192
_MAX_PEERS = 65536
# Bigger batches hold big bodies; these are copied one by one instead of twice.
_COPY_WHOLE = 256 * 1024

_frame_header = struct.Struct("<IHB").unpack_from  # size, head_size, kind
_sequence = struct.Struct("<8xQ").unpack_from
_message_head = struct.Struct("<BBH32s").unpack_from  # plane, flags, name_size, peer

_Deliver = Callable[[str, bytes], None]
# What to call, the sender, and the kind of callback for error reports.
_Route = Tuple[_Deliver, str, str]


def _ignore(name: bytes) -> None:
    pass


class Dispatcher:
    """The callbacks of one client and the parser that feeds them."""

    def __init__(self) -> None:
        # Of everything below. Re-entrant, since a collection may run stop() anywhere.
        self._lock = threading.RLock()
        self._routes: Dict[bytes, _Route] = {}
        self._peers: Dict[bytes, str] = {}
        self._started = False
        self._generation = 0
        self._channels: Dict[bytes, ChannelCallback] = {}
        self._types: Dict[bytes, MessageCallback] = {}
        self._once: Dict[bytes, List[MessageCallback]] = {}
        self._topics: Dict[bytes, Dict[str, Callable[..., None]]] = {}
        self._subscribed: Set[bytes] = set()
        # Told, without the lock, when the last function of a type was for one message only.
        self.on_type_unused: Callable[[bytes], None] = _ignore
        self._string: Optional[StringCallback] = None
        self._binary: Optional[BinaryCallback] = None
        self._json: Optional[JsonCallback] = None
        self._watches: Dict[bytes, StorageCallback] = {}
        self.transfers = TransferEvents()
        self.taps = Taps()
        self.connection: Optional[ConnectionCallback] = None
        self.disconnect: Optional[DisconnectCallback] = None
        self.daemon: Optional[DaemonCallback] = None
        self.overflow: Optional[OverflowCallback] = None
        self.event: Optional[EventCallback] = None
        self.error: Optional[ErrorCallback] = None

    # --- what is called -------------------------------------------------------------------
    # In batch mode the library calls nothing, so its setters are not used: these take the place
    # of rats_set_connection_callback, rats_set_disconnect_callback, rats_set_string_callback,
    # rats_set_binary_callback, rats_set_json_callback, rats_set_daemon_callback,
    # rats_set_overflow_callback, rats_set_event_callback and rats_set_storage_callback.

    def set_channel(self, channel: bytes, callback: Optional[ChannelCallback]) -> None:
        with self._lock:
            if callback is None:
                self._channels.pop(channel, None)
            else:
                self._channels[channel] = callback
            self._routes.clear()

    def get_channel(self, channel: bytes) -> Optional[ChannelCallback]:
        with self._lock:
            return self._channels.get(channel)

    def set_type(self, name: bytes, callback: Optional[MessageCallback]) -> None:
        with self._lock:
            if callback is None:
                self._types.pop(name, None)
            else:
                self._types[name] = callback
            self._routes.clear()

    def add_once(self, name: bytes, callback: MessageCallback) -> None:
        with self._lock:
            self._once.setdefault(name, []).append(callback)
            self._routes.clear()

    def drop_once(self, name: bytes, callback: MessageCallback) -> None:
        with self._lock:
            left = [other for other in self._once.pop(name, []) if other is not callback]
            if left:
                self._once[name] = left
            self._routes.clear()

    def clear_type(self, name: bytes) -> None:
        with self._lock:
            self._types.pop(name, None)
            self._once.pop(name, None)
            self._routes.clear()

    def wants_type(self, name: bytes) -> bool:
        """Whether any function is there for messages of this type."""
        with self._lock:
            return name in self._types or name in self._once or self.is_tapped(PLANE_TYPED, name)

    def set_topic(self, kind: str, name: bytes, callback: Optional[Callable[..., None]]) -> None:
        """kind is "message", "json", "binary", "forwarded", "joined" or "left"."""
        with self._lock:
            callbacks = self._topics.setdefault(name, {})
            if callback is None:
                callbacks.pop(kind, None)
            else:
                callbacks[kind] = callback
            if not callbacks:
                del self._topics[name]
            self._routes.clear()

    def clear_topic(self, name: bytes) -> None:
        with self._lock:
            self._topics.pop(name, None)
            self._routes.clear()

    def set_subscribed(self, name: bytes, subscribed: bool) -> bool:
        """Deliver the messages of a topic, or no longer; returns whether it did before."""
        with self._lock:
            before = name in self._subscribed
            if subscribed:
                self._subscribed.add(name)
            else:
                self._subscribed.discard(name)
            self._routes.clear()
            return before

    def end(self) -> None:
        """The client takes no part any more: its subscriptions are over, and so is iterating."""
        with self._lock:
            self._subscribed.clear()
            self.taps.drop_plane(PLANE_TOPIC)
            self._routes.clear()
        self.taps.end()

    def set_watch(self, prefix: bytes, callback: Optional[StorageCallback]) -> None:
        with self._lock:
            watches = dict(self._watches)  # the dispatch thread may be going through the old one
            if callback is None:
                watches.pop(prefix, None)
            else:
                watches[prefix] = callback
            self._watches = watches

    def set_string(self, callback: Optional[StringCallback]) -> None:
        with self._lock:
            self._string = callback
            self._routes.clear()

    def set_binary(self, callback: Optional[BinaryCallback]) -> None:
        with self._lock:
            self._binary = callback
            self._routes.clear()

    def set_json(self, callback: Optional[JsonCallback]) -> None:
        with self._lock:
            self._json = callback
            self._routes.clear()

    def wants(self, channel: bytes) -> bool:
        """Whether any callback is there for messages of this channel."""
        with self._lock:
            return self._find(channel) is not None or self.is_tapped(PLANE_CHANNEL, channel)

    def wants_topic(self, name: bytes) -> bool:
        """Whether anybody here subscribes to the topic."""
        with self._lock:
            return name in self._subscribed or self.is_tapped(PLANE_TOPIC, name)

    def wants_watch(self, prefix: bytes) -> bool:
        """Whether anybody here watches keys of the store with this prefix."""
        return prefix in self._watches or self.is_tapped(PLANE_WATCH, prefix)

    def is_tapped(self, plane: int, name: bytes) -> bool:
        return bool(self.taps.of(plane, name))

    def set_tap(self, plane: int, name: bytes, tap: Tap, wanted: bool) -> None:
        with self._lock:
            (self.taps.add if wanted else self.taps.drop)(plane, name, tap)
            self._routes.clear()

    # --- started or not -------------------------------------------------------------------

    def start(self) -> bool:
        """Deliver from now on; returns whether it did already."""
        with self._lock:
            before, self._started = self._started, True
            return before

    def stop(self) -> None:
        """Deliver nothing more, not even the rest of the batch that is being processed."""
        with self._lock:
            self._started = False
            self._generation += 1
            self._routes.clear()
        self.transfers.wake_all()

    def is_started(self) -> bool:
        return self._started

    # --- batches --------------------------------------------------------------------------

    def process_memory(self, address: int, size: int) -> None:
        """Process the batch at this address, which is valid until the call returns."""
        if size <= _COPY_WHOLE:
            self.process(string_at(address, size))
            return
        generation = self._generation
        at = 0
        while at < size:
            left = size - at
            header = string_at(address + at, min(left, _HEADER_SIZE))
            try:
                frame_size, head_size, kind = _frame_header(header)
                sequence = _sequence(header)[0]
            except struct.error:
                return self._malformed(at, size)
            head_at = at + _HEADER_SIZE
            body_at = head_at + head_size
            at = head_at + frame_size
            if body_at > at or at > size:
                return self._malformed(head_at - _HEADER_SIZE, size)
            head = string_at(address + head_at, head_size)
            if kind == _KIND_MESSAGE:
                route = self._routes.get(head) or self._resolve(head, generation)
                if route is not None:
                    try:
                        route[0](route[1], string_at(address + body_at, at - body_at))
                    except BaseException as error:
                        self._failed(route[2], error)
            elif kind == _KIND_EVENT:
                self._deliver_event(
                    head, string_at(address + body_at, at - body_at), sequence, generation
                )

    def process(self, data: bytes) -> None:
        """Process a batch: whole EVENT and MESSAGE frames; frames of other kinds are skipped.

        Never raises. Bytes that are not frames are logged and end the batch.
        """
        generation = self._generation
        find_route = self._routes.get
        header = _frame_header
        end = len(data)
        at = 0
        while at < end:
            try:
                frame_size, head_size, kind = header(data, at)
            except struct.error:
                return self._malformed(at, end)
            head_at = at + 16
            body_at = head_at + head_size
            at = head_at + frame_size
            if body_at > at or at > end:
                return self._malformed(head_at - 16, end)
            head = data[head_at:body_at]
            if kind == 5:
                route = find_route(head)
                if route is None:
                    route = self._resolve(head, generation)
                    if route is None:
                        continue
                try:
                    route[0](route[1], data[body_at:at])
                # Also SystemExit: one callback must not end the thread that runs all of them.
                except BaseException as error:
                    self._failed(route[2], error)
            elif kind == 4:
                sequence = _sequence(data, head_at - 16)[0]
                self._deliver_event(head, data[body_at:at], sequence, generation)

    def _malformed(self, at: int, size: int) -> None:
        _log.error("malformed batch from the library: no frame at byte %d of %d", at, size)

    # --- messages -------------------------------------------------------------------------

    def _resolve(self, head: bytes, generation: int) -> Optional[_Route]:
        """Check a head and make its route; None when its messages go nowhere."""
        if len(head) < _HEAD_FIXED:
            _log.error("malformed message head of %d bytes from the library", len(head))
            return None
        plane, _flags, name_size, peer = _message_head(head)
        name = head[_HEAD_FIXED : _HEAD_FIXED + name_size]
        if len(name) != name_size:
            _log.error("malformed message head from the library: name of %d bytes", name_size)
            return None
        with self._lock:
            if not self._started or generation != self._generation:
                return None
            found: Optional[Tuple[_Deliver, str]] = None
            if plane == PLANE_CHANNEL:
                found = self._find(name)
            elif plane == PLANE_TYPED and (name in self._types or name in self._once):
                found = self._typed_deliverer(name, self._types.get(name)), "message"
            elif plane == PLANE_TOPIC and name in self._subscribed and name in self._topics:
                forwarder = head[_HEAD_FIXED + name_size :].hex()
                callbacks = dict(self._topics[name])
                found = self._topic_deliverer(name, callbacks, forwarder), "topic message"
            taps = self.taps.of(plane, name)
            if taps:
                found = self._tapped(taps, found, head[_HEAD_FIXED + name_size :].hex())
            if found is None:
                return None
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
            if len(self._peers) >= _MAX_PEERS:
                self._peers.clear()
            peer_id = self._peers.setdefault(peer, peer.hex())
            route = (found[0], peer_id, found[1])
            self._routes[head] = route
            return route

    def _find(self, name: bytes) -> Optional[Tuple[_Deliver, str]]:
        """The function for a channel, and the kind of callback it is; called with the lock."""
        special: Optional[Tuple[_Deliver, str]] = None
        if name == CHANNEL_STRING and self._string is not None:
            special = self._string_deliverer(self._string), "string"
        elif name == CHANNEL_BINARY and self._binary is not None:
            special = self._binary, "binary"
        elif name == CHANNEL_JSON and self._json is not None:
            special = self._json_deliverer(self._json), "json"
        channel = self._channels.get(name)
        if channel is None:
            return special
        if special is None:
            return channel, "channel"
        return self._both(special, (channel, "channel")), "channel"

    def _both(self, first: Tuple[_Deliver, str], second: Tuple[_Deliver, str]) -> _Deliver:
        def deliver(peer_id: str, data: bytes) -> None:
            try:
                first[0](peer_id, data)
            except BaseException as error:
                self._failed(first[1], error)
            second[0](peer_id, data)

        return deliver

    def _tapped(
        self, taps: Tuple[Tap, ...], found: Optional[Tuple[_Deliver, str]], forwarder: str
    ) -> Tuple[_Deliver, str]:
        def deliver(peer_id: str, data: bytes) -> None:
            for tap in taps:
                tap(peer_id, data, forwarder)

        second = deliver, "tap"
        return second if found is None else (self._both(found, second), "tap")

    @staticmethod
    def _string_deliverer(callback: StringCallback) -> _Deliver:
        def deliver(peer_id: str, data: bytes) -> None:
            callback(peer_id, decode_text(data))

        return deliver

    @staticmethod
    def _json_deliverer(callback: JsonCallback) -> _Deliver:
        def deliver(peer_id: str, data: bytes) -> None:
            try:
                value = parse_json(data.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                _log.debug("json message of %d bytes dropped: %s", len(data), error)
                return
            callback(peer_id, value)

        return deliver

    def _typed_deliverer(self, name: bytes, callback: Optional[MessageCallback]) -> _Deliver:
        """Made anew whenever a function of the type changes, so ``callback`` is the present one."""
        waiting = name in self._once

        def deliver(peer_id: str, data: bytes) -> None:
            try:
                text = data.decode("utf-8-sig")
            except ValueError as error:
                _log.debug("message of type %r dropped: %s", name, error)
                return
            if not is_json(text):
                _log.debug("message of type %r dropped: %d bytes, not JSON", name, len(data))
                return
            if callback is not None:
                self._guarded("message", callback, peer_id, text)
            if waiting and self._started:
                self._deliver_once(name, peer_id, text)

        return deliver

    def _deliver_once(self, name: bytes, peer_id: str, text: str) -> None:
        with self._lock:
            callbacks = self._once.pop(name, [])
            self._routes.clear()
            unused = callbacks and name not in self._types
        for callback in callbacks:
            if self._started:
                self._guarded("message", callback, peer_id, text)
        if unused:
            self.on_type_unused(name)

    def _topic_deliverer(
        self, name: bytes, callbacks: Dict[str, Callable[..., None]], forwarder: str
    ) -> _Deliver:
        """Made anew whenever a callback of the topic changes."""
        topic = name.decode("utf-8", "replace")
        on_text, on_json = callbacks.get("message"), callbacks.get("json")
        on_bytes, on_forwarded = callbacks.get("binary"), callbacks.get("forwarded")

        def deliver(peer_id: str, data: bytes) -> None:
            generation = self._generation
            if on_text is not None:
                self._guarded("topic message", on_text, peer_id, topic, decode_text(data))
            if on_json is not None and generation == self._generation:
                try:
                    value = parse_json(data.decode("utf-8"))
                except (ValueError, RecursionError):
                    pass  # text topics and JSON topics are the same
                else:
                    self._guarded("topic JSON message", on_json, peer_id, topic, value)
            if on_bytes is not None and generation == self._generation:
                self._guarded("topic binary", on_bytes, peer_id, topic, data)
            if on_forwarded is not None and generation == self._generation:
                self._guarded("topic forwarded", on_forwarded, peer_id, forwarder, topic, data)

        return deliver

    # --- events ---------------------------------------------------------------------------

    def _deliver_event(self, head: bytes, body: bytes, sequence: int, generation: int) -> None:
        try:
            document = json.loads(head.decode("utf-8"))
            event = document["v"]
            fields = document.get("p")
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            _log.error("malformed event of %d bytes from the library", len(head))
            return
        if not isinstance(event, str):
            _log.error("malformed event of %d bytes from the library", len(head))
            return
        if not isinstance(fields, dict):
            fields = {}
        if self._started and generation == self._generation:
            self.taps.hear(event, fields, body)
            if event == "storage.changed":
                self._deliver_change(fields, body, generation)
            elif event.startswith("transfer."):
                self.transfers.deliver(
                    event,
                    fields,
                    self._guarded,
                    lambda: self._started and generation == self._generation,
                )
            else:
                self._deliver_specific(event, fields)
        callback = self.event
        if callback is not None:
            self._guarded("event", callback, event, fields, sequence)

    def _deliver_specific(self, event: str, fields: Dict[str, Any]) -> None:
        if event == "peer.connected" or event == "peer.disconnected":
            peer_id = fields.get("peer")
            if not isinstance(peer_id, str):
                _log.error("event %s without a peer", event)
            elif event == "peer.connected":
                self._guarded("connection", self.connection, peer_id)
            else:
                self._guarded("disconnect", self.disconnect, peer_id)
        elif event in ("topic.joined", "topic.left"):
            self._deliver_topic_peer(event[6:], fields.get("peer"), fields.get("topic"))
        elif event == "daemon.detached":
            self._guarded("daemon", self.daemon, False)
        elif event == "daemon.attached":
            self._guarded("daemon", self.daemon, True)
        elif event == "lost":
            total = fields.get("total")
            if isinstance(total, int):
                self._guarded("overflow", self.overflow, total)

    def _deliver_topic_peer(self, kind: str, peer_id: Any, topic: Any) -> None:
        if not isinstance(peer_id, str) or not isinstance(topic, str):
            _log.error("event topic.%s without a peer or topic", kind)
            return
        name = topic.encode("utf-8", "surrogatepass")
        with self._lock:
            subscribed = name in self._subscribed
            callback = self._topics.get(name, {}).get(kind)
        if subscribed:
            self._guarded("topic " + kind, callback, peer_id, topic)

    def _deliver_change(self, fields: Dict[str, Any], body: bytes, generation: int) -> None:
        key = fields.get("key")
        if not isinstance(key, str):
            _log.error("event storage.changed without a key")
            return
        encoded = key.encode("utf-8")
        deleted = fields.get("deleted") is True
        for prefix, callback in self._watches.items():
            if not encoded.startswith(prefix) or not self._started:
                continue
            if generation != self._generation or prefix not in self._watches:
                continue
            value = None if deleted else decode_value_of_event(fields.get("type"), body)
            origin = fields.get("origin", "")
            self._guarded(
                "storage", callback, key, value, deleted, origin, fields.get("remote") is True
            )

    # --- errors in callbacks --------------------------------------------------------------

    def tell_lost(self, count: int) -> None:
        """Messages were dropped here, as the daemon does it when this program is slow."""
        self._guarded("overflow", self.overflow, count)

    def _guarded(self, kind: str, callback: Optional[Callable[..., None]], *arguments: Any) -> None:
        if callback is None:
            return
        try:
            callback(*arguments)
        except BaseException as error:
            self._failed(kind, error)

    def _failed(self, kind: str, error: BaseException) -> None:
        _log.error("Error in %s callback: %s", kind, error, exc_info=error)
        hook = self.error
        if hook is not None:
            try:
                hook(kind, error)
            except BaseException as second:
                _log.error("Error in error callback: %s", second, exc_info=second)
