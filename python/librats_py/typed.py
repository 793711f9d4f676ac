"""Methods of ``RatsClient`` for typed JSON messages."""

from typing import Any, Optional

from .base import ClientBase
from .callbacks import MessageCallback
from .convert import encode, encode_json

_MISSING = "callback must be callable"


class TypedMethods(ClientBase):
    """JSON messages told apart by a type; the sender is the authenticated peer."""

    def on_message(self, message_type: str, callback: Optional[MessageCallback]) -> None:
        """Get the messages of a type: ``callback(peer_id, text)`` with the JSON text.

        One function per type; a second call replaces it, None ends it. When this returns the
        daemon knows of it, so no message that is sent from then on is missed.

        Raises:
            RatsInvalidParameterError: type over 4096 bytes
            RatsError: the session has 512 types already
        """
        name = encode(message_type, "message_type")
        self._set_callback(
            self._types, name, lambda cb: self._dispatcher.set_type(name, cb), callback
        )

    def once_message(self, message_type: str, callback: MessageCallback) -> None:
        """Get the next message of a type, besides what ``on_message`` has set.

        Several functions may wait for the same message; ``off_message`` ends the wait.

        Raises:
            RatsInvalidParameterError: type over 4096 bytes
            RatsError: the session has 512 types already
        """
        if not callable(callback):
            raise TypeError(_MISSING)
        name = encode(message_type, "message_type")

        def setter(wanted: Optional[MessageCallback]) -> None:
            if wanted is None:
                self._dispatcher.drop_once(name, callback)
            else:
                self._dispatcher.add_once(name, callback)

        self._set_callback(self._types, name, setter, callback)

    def off_message(self, message_type: str) -> None:
        """End all functions of a type; nothing happens when it has none."""
        name = encode(message_type, "message_type")

        def clear(_: Optional[MessageCallback]) -> None:
            self._dispatcher.clear_type(name)

        self._set_callback(self._types, name, clear, None)

    def send_message(self, peer_id: str, message_type: str, data: str) -> None:
        """Send a JSON text to one peer; text that is not JSON is sent as a JSON string.

        Raises:
            TypeError: ``data`` is not ``str``
            RatsPeerNotFoundError: that peer is not connected
            RatsInvalidParameterError: type or text too long, or with a NUL character
            RatsJsonParseError: JSON nested deeper than 1000 levels
            RatsNotRunningError: not started, or the daemon is gone
        """
        self._send_typed(peer_id, message_type, encode(data, "data"))

    def send_message_json(self, peer_id: str, message_type: str, value: Any) -> None:
        """Send a value as JSON to one peer.

        Raises:
            TypeError: the value has a type JSON does not know
            RatsJsonParseError: the value cannot be written as JSON (NaN, a cycle)
            RatsPeerNotFoundError: that peer is not connected
            RatsNotRunningError: not started, or the daemon is gone
        """
        self._send_typed(peer_id, message_type, encode_json(value))

    def broadcast_message(self, message_type: str, data: str) -> None:
        """Send a JSON text to every connected peer, as ``send_message`` does to one.

        Raises:
            TypeError: ``data`` is not ``str``
            RatsInvalidParameterError: type or text too long, or with a NUL character
            RatsJsonParseError: JSON nested deeper than 1000 levels
            RatsNotRunningError: not started, or the daemon is gone
        """
        text = encode(data, "data")
        name = self._encoded.get(message_type) or self._encode_once(message_type, "message_type")
        session = self._session
        handle = session.handle()
        code = session.lib.rats_broadcast_message(handle, name, text)
        if code:
            raise session.failed(code, "Broadcast message")

    def _send_typed(self, peer_id: str, message_type: str, text: bytes) -> None:
        encoded = self._encoded
        name = encoded.get(message_type) or self._encode_once(message_type, "message_type")
        peer = encoded.get(peer_id) or self._encode_once(peer_id, "peer_id")
        session = self._session
        handle = session.handle()
        code = session.lib.rats_send_message(handle, peer, name, text)
        if code:
            raise session.failed(code, "Send message", peer_id)
