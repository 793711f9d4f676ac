"""Methods of ``RatsClient`` that send and receive untyped messages and named channels."""

from typing import Any, Optional, Union

from .base import ClientBase
from .callbacks import BinaryCallback, ChannelCallback, JsonCallback, StringCallback
from .convert import encode, encode_json
from .ctypes_wrapper import Borrowed, LibratsCtypes, get_librats
from .dispatch import CHANNEL_BINARY, CHANNEL_JSON, CHANNEL_STRING

BytesLike = Union[bytes, bytearray, memoryview]


class MessageMethods(ClientBase):
    """Strings, bytes, JSON and channels.

    The methods that send to one peer are written out in full: a call of another Python function
    for each message would cost a good part of what sending costs.
    """

    def __init__(self, library: LibratsCtypes, handle: int) -> None:
        super().__init__(library, handle)
        self._send_string = library.lib.rats_send_string
        self._send_binary = library.lib.rats_send_binary
        self._send_channel = library.lib.rats_channel_send

    # --- untyped messages -----------------------------------------------------------------

    def send_string(self, peer_id: str, message: str) -> None:
        """Send text to one peer; returns when the daemon has taken it over, not: received.

        Raises:
            TypeError: ``message`` is not ``str``
            RatsPeerNotFoundError: that peer is not connected
            RatsInvalidParameterError: too long, or contains a NUL character
            RatsNotRunningError: not started, or the daemon is gone
        """
        text = encode(message, "message")
        peer = self._encoded.get(peer_id) or self._encode_once(peer_id, "peer_id")
        session = self._session
        handle = session.handle()
        code = self._send_string(handle, peer, text)
        if code:
            raise session.failed(code, "Send string", peer_id)

    def send_binary(self, peer_id: str, data: BytesLike) -> None:
        """Send bytes to one peer; returns when the daemon has taken them over.

        Raises:
            TypeError: ``data`` is not bytes-like
            RatsPeerNotFoundError: that peer is not connected
            RatsInvalidParameterError: empty or too long
            RatsNotRunningError: not started, or the daemon is gone
        """
        peer = self._encoded.get(peer_id) or self._encode_once(peer_id, "peer_id")
        session = self._session
        handle = session.handle()
        if type(data) is bytes:
            code = self._send_binary(handle, peer, data, len(data))
        else:
            with Borrowed(data) as view:
                code = self._send_binary(handle, peer, view.address, view.size)
        if code:
            raise session.failed(code, "Send binary", peer_id)

    def send_json(self, peer_id: str, data: Any) -> None:
        """Send a value as JSON to one peer.

        Raises:
            TypeError: the value has a type JSON does not know
            RatsJsonParseError: the value cannot be written as JSON (NaN, a cycle)
            RatsPeerNotFoundError: that peer is not connected
            RatsNotRunningError: not started, or the daemon is gone
        """
        text = encode_json(data)
        peer = self._encoded.get(peer_id) or self._encode_once(peer_id, "peer_id")
        session = self._session
        handle = session.handle()
        code = session.lib.rats_send_json(handle, peer, text)
        if code:
            raise session.failed(code, "Send JSON", peer_id)

    def broadcast_string(self, message: str) -> int:
        """Send text to every connected peer.

        Returns:
            int: number of peers; 0 also on failure, see ``last_error``

        Raises:
            TypeError: ``message`` is not ``str``
        """
        return self._count("rats_broadcast_string", encode(message, "message"))

    def broadcast_binary(self, data: BytesLike) -> int:
        """Send bytes to every connected peer.

        Returns:
            int: number of peers; 0 also on failure, see ``last_error``

        Raises:
            TypeError: ``data`` is not bytes-like
        """
        with Borrowed(data) as view:
            return self._count("rats_broadcast_binary", view.address, view.size)

    def broadcast_json(self, data: Any) -> int:
        """Send a value as JSON to every connected peer.

        Returns:
            int: number of peers; 0 also on failure, see ``last_error``

        Raises:
            TypeError: the value has a type JSON does not know
            RatsJsonParseError: the value cannot be written as JSON
        """
        return self._count("rats_broadcast_json", encode_json(data))

    def set_string_callback(self, callback: Optional[StringCallback]) -> None:
        """``callback(peer_id, message)`` for text; bytes that are not UTF-8 become U+FFFD."""
        self._set_callback(self._channels, CHANNEL_STRING, self._dispatcher.set_string, callback)

    def set_binary_callback(self, callback: Optional[BinaryCallback]) -> None:
        """``callback(peer_id, data)`` for bytes."""
        self._set_callback(self._channels, CHANNEL_BINARY, self._dispatcher.set_binary, callback)

    def set_json_callback(self, callback: Optional[JsonCallback]) -> None:
        """``callback(peer_id, value)`` for JSON, parsed; what does not parse is dropped."""
        self._set_callback(self._channels, CHANNEL_JSON, self._dispatcher.set_json, callback)

    # --- channels -------------------------------------------------------------------------

    def on_channel(self, channel: str, callback: Optional[ChannelCallback]) -> None:
        """Get the messages of a named channel: ``callback(peer_id, data)``.

        One callback per channel; a second call replaces it, None ends it. When this returns the
        daemon knows of it, so no message that is sent from then on is missed.

        Raises:
            RatsError: ``BUSY`` when the instance uses another name with the same 16-bit id
            RatsPermissionError: the channel is the daemon's own
            RatsInvalidParameterError: name over 255 bytes
        """
        name = encode(channel, "channel")
        self._set_callback(
            self._channels, name, lambda cb: self._dispatcher.set_channel(name, cb), callback
        )

    def off_channel(self, channel: str) -> None:
        """End the callback of a channel; nothing happens when it has none."""
        self.on_channel(channel, None)

    def send_channel(self, peer_id: str, channel: str, data: BytesLike) -> None:
        """Send bytes (also none) to one peer on a named channel.

        Raises:
            TypeError: ``data`` is not bytes-like
            RatsPeerNotFoundError: that peer is not connected
            RatsInvalidParameterError: too long
            RatsNotRunningError: not started, or the daemon is gone
        """
        encoded = self._encoded
        name = encoded.get(channel) or self._encode_once(channel, "channel")
        peer = encoded.get(peer_id) or self._encode_once(peer_id, "peer_id")
        session = self._session
        handle = session.handle()
        if type(data) is bytes:
            code = self._send_channel(handle, peer, name, data, len(data))
        else:
            with Borrowed(data) as view:
                code = self._send_channel(handle, peer, name, view.address, view.size)
        if code:
            raise session.failed(code, "Send channel", peer_id)

    def broadcast_channel(self, channel: str, data: BytesLike) -> int:
        """Send bytes (also none) to every connected peer on a named channel.

        Returns:
            int: number of peers

        Raises:
            TypeError: ``data`` is not bytes-like
            RatsInvalidParameterError: too long
            RatsNotRunningError: not started, or the daemon is gone
        """
        name = encode(channel, "channel")
        with Borrowed(data) as view:
            return self._count("rats_channel_broadcast", name, view.address, view.size)

    @staticmethod
    def get_channel_id(channel: str) -> int:
        """The 16-bit number of a channel name on the wire."""
        number: int = get_librats().lib.rats_channel_id(encode(channel, "channel"))
        return number

    # --- inside ---------------------------------------------------------------------------

    def _count(self, name: str, *arguments: Any) -> int:
        """A broadcast: the number of peers; a negative code raises."""
        session = self._session
        handle = session.handle()
        count: int = getattr(session.lib, name)(handle, *arguments)
        if count > 0:
            return count
        if count < 0:
            raise session.failed(count, "Broadcast")
        session.remember_library()
        return 0
