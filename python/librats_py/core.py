"""``RatsClient``: one session at the peer-to-peer daemon of this machine."""

import weakref
from ctypes import byref, c_void_p, sizeof
from types import TracebackType
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, Type, Union

from .callbacks import (
    ConnectionCallback,
    DaemonCallback,
    DisconnectCallback,
    ErrorCallback,
    EventCallback,
    OverflowCallback,
)
from .convert import (
    checked,
    encode,
    encode_json,
    encode_optional,
    int32,
    milliseconds,
    parse_object,
    program_name,
)
from .ctypes_wrapper import DISPATCH_BATCHES, LibratsCtypes, RatsOptions, get_librats
from .enums import ConnectionStrategy
from .enums import RatsError as ErrorCode
from .exceptions import (
    RatsConnectionError,
    RatsDaemonError,
    RatsError,
    RatsInvalidParameterError,
    RatsNotRunningError,
    error_for,
    error_for_name,
)
from .files import FileMethods
from .guard import GuardMethods
from .known import KnownMethods
from .messages import MessageMethods
from .process import ProcessMethods
from .session import interruptible
from .topics import TopicMethods
from .store import StoreMethods
from .typed import TypedMethods

__all__ = ["RatsClient"]

_DEFAULT_CALL_SECONDS = 30.0
_SECURITIES: Mapping[Optional[str], int] = {None: -1, "plaintext": 0, "noise": 1}
_TRANSPORTS: Mapping[Optional[str], int] = {"tcp": 1, "udp": 2}


class RatsClient(
    KnownMethods,
    MessageMethods,
    TypedMethods,
    TopicMethods,
    StoreMethods,
    FileMethods,
    GuardMethods,
    ProcessMethods,
):
    """One session at an instance of the daemon.

    Callbacks run on one thread of their own, one after another, in the order of the events. Any
    method may be called from any thread and inside callbacks.

    Args:
        listen_port: 0 for the default instance, else the instance that listens on this port; one
            is started where there is none (the environment variable ``RATS_CREATE`` may forbid it)
        socket_path: control socket of the instance; then ``listen_port`` is only a wish
        name: shown to the administrator; the script's name by default
        slow: what the daemon does when this program does not keep up: ``"stall"`` (slow the
            senders down, then drop and count), ``"drop"`` or ``"close"``
        private: ``True`` starts an instance of this client's own, which ends with it; ``False``
            starts nothing; ``None`` does as ``RATS_CREATE`` says
        data_dir: directory of a private instance's identity; made if it is missing
        protocol: ``"name/version"`` that peers of a private instance must share
        security: of a private instance, ``"noise"`` or ``"plaintext"``
        bind: address a private instance listens on; all by default
        transports: of a private instance: ``"tcp"``, ``"udp"``; all by default

    Where none of them exists and one is started, an instance that any of the last five describes is
    a private one; what exists is taken as it is.

    Raises:
        LibratsNotFoundError: the C library is not installed
        RatsDaemonError: no daemon answers there
        RatsPermissionError: this user may not open the socket
        RatsInvalidParameterError: an argument is malformed
        RatsError: any other failure
    """

    def __init__(
        self,
        listen_port: int = 0,
        *,
        socket_path: Optional[str] = None,
        name: Optional[str] = None,
        slow: Optional[str] = None,
        private: Optional[bool] = None,
        data_dir: Optional[str] = None,
        protocol: Optional[str] = None,
        security: Optional[str] = None,
        bind: Optional[str] = None,
        transports: Iterable[str] = ()
    ) -> None:
        library = get_librats()
        if slow not in (None, "stall", "drop", "close"):
            raise RatsInvalidParameterError("slow must be 'stall', 'drop' or 'close'")
        options = RatsOptions()
        options.struct_size = sizeof(options)
        options.listen_port = int32(listen_port, "listen_port")
        options.socket_path = encode_optional(socket_path, "socket_path")
        options.name = encode_optional(program_name() if name is None else name, "name")
        options.instance = 0 if private is None else 2 if private else 1
        options.data_dir = encode_optional(data_dir, "data_dir")
        options.protocol = encode_optional(protocol, "protocol")
        options.security = _choice(security, _SECURITIES, "security")
        options.bind_address = encode_optional(bind, "bind")
        for transport in transports:
            options.transports |= _choice(transport, _TRANSPORTS, "transports")
        options.dispatch = DISPATCH_BATCHES
        options.slow = encode_optional(slow, "slow")
        handle = interruptible(_create, library, options, discard=library.lib.rats_destroy)
        super().__init__(library, handle)
        self._running = False
        # Collected without close(): the dispatch thread destroys the handle, nobody waits.
        weakref.finalize(self, self._session.close, False).atexit = False

    # --- life -----------------------------------------------------------------------------

    def __enter__(self) -> "RatsClient":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            self.stop()
        except RatsNotRunningError:
            pass  # closed already
        finally:
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self._session.closed else "started" if self._running else "stopped"
        return "<RatsClient {}>".format(state)

    def start(self) -> None:
        """Take part: callbacks fire and sending works from now on.

        Peers that are connected already are announced by connection callbacks first.

        Raises:
            RatsNotRunningError: the daemon is gone, or the client is closed
            RatsError: started already
        """
        started_before = self._dispatcher.start()
        try:
            self._session.call_checked("Start", "rats_start")
        except RatsError:
            if not started_before:
                self._dispatcher.stop()
            raise
        self._running = True

    def stop(self) -> None:
        """Take no part any more; ``start`` may follow. Subscriptions to topics end, callbacks stay.

        When this returns on another thread no callback is running and none will start. Inside a
        callback it returns at once and that callback is the last.

        Raises:
            RatsNotRunningError: the client is closed
        """
        self._dispatcher.stop()
        self._running = False
        self._dispatcher.end()
        self._session.call_blocking("rats_stop")
        self._session.wait_for_callbacks()

    def is_running(self) -> bool:
        """Whether ``start`` was called and ``stop`` was not."""
        return self._running

    def close(self) -> None:
        """Leave the daemon and release everything; later calls raise ``RatsNotRunningError``.

        What was sent before is still delivered. May be called repeatedly and inside callbacks.
        """
        self._running = False
        self._session.close()

    def is_attached(self) -> bool:
        """Whether the daemon is there; the library reconnects by itself when it comes back."""
        return bool(self._session.call("rats_is_attached"))

    def get_instance_info(self) -> Dict[str, Any]:
        """What the instance says of itself: name, version, peer id, port, counters and so on.

        Returns:
            dict: empty when the daemon is gone
        """
        return self._document("rats_get_instance_json")

    def get_socket_path(self) -> str:
        """Path of the control socket this client uses; ``""`` when it never had one."""
        return self._session.text("rats_get_socket_path")

    def last_error(self) -> Tuple[ErrorCode, str]:
        """Code and sentence of this thread's last failed call of this client.

        Also tells why a call that does not raise gave ``0``, ``""`` or ``{}``.

        Returns:
            tuple: ``(ErrorCode.SUCCESS, "")`` when nothing failed yet
        """
        return self._session.remembered()

    # --- connections ----------------------------------------------------------------------

    def connect(
        self,
        host: str,
        port: int,
        strategy: int = ConnectionStrategy.AUTO_ADAPTIVE,
    ) -> None:
        """Connect the instance to a peer; returns when the peer is usable.

        Args:
            host: address or name; the daemon resolves it
            port: 1 to 65535
            strategy: a ``ConnectionStrategy``

        Raises:
            RatsConnectionError: not reachable, refused, or not usable within 15 s
            RatsInvalidParameterError: bad port or strategy
            RatsNotRunningError: not started, or the daemon is gone
        """
        try:
            self._session.call_checked(
                "Connect",
                "rats_connect_with_strategy",
                encode(host, "host"),
                int32(port, "port"),
                int32(strategy, "strategy"),
            )
        except (
            RatsConnectionError,
            RatsDaemonError,
            RatsInvalidParameterError,
            RatsNotRunningError,
        ):
            raise
        except RatsError as error:
            raise RatsConnectionError(
                error.message, operation=error.operation, detail=error.detail
            ) from error

    def disconnect_peer(self, peer_id: str) -> None:
        """Close the link to a peer, for all programs that share the instance.

        Raises:
            RatsPermissionError: this user may not
            RatsNotRunningError: not started, or the daemon is gone
        """
        self._session.call_checked(
            "Disconnect peer",
            "rats_disconnect_peer_by_id",
            encode(peer_id, "peer_id"),
            peer_id=peer_id,
        )

    # --- information ----------------------------------------------------------------------

    def get_peer_count(self) -> int:
        """Number of connected peers."""
        return int(self._session.call("rats_get_peer_count"))

    def get_listen_port(self) -> int:
        """Port the instance listens on; before its network is up the requested one."""
        return int(self._session.call("rats_get_listen_port"))

    def get_our_peer_id(self) -> str:
        """Peer id of the instance: 64 hexadecimal digits."""
        return self._session.text("rats_get_our_peer_id")

    def get_public_key(self) -> str:
        """Public key of the instance: 64 hexadecimal digits."""
        return self._session.text("rats_get_public_key")

    def get_connection_statistics(self) -> Dict[str, Any]:
        """Figures and peers of the instance."""
        return self._document("rats_get_connection_statistics_json")

    def get_validated_peer_ids(self) -> List[str]:
        """Ids of the connected peers."""
        return self._ids("rats_get_validated_peer_ids")

    def get_peer_ids(self) -> List[str]:
        """Ids of the connected peers; the same as ``get_validated_peer_ids``."""
        return self._ids("rats_get_peer_ids")

    def get_peer_info(self, peer_id: str) -> Dict[str, Any]:
        """What is known of a connected peer.

        Returns:
            dict: empty when that peer is not connected
        """
        peer = encode(peer_id, "peer_id")
        return parse_object(self._session.text("rats_get_peer_info_json", peer))

    # --- limits ---------------------------------------------------------------------------

    def set_max_peers(self, max_peers: int) -> None:
        """The peer limit of a private instance; of a shared one it is raised where it is lower.

        Raises:
            RatsInvalidParameterError: not positive
        """
        self._session.call_checked(
            "Set max peers", "rats_set_max_peers", int32(max_peers, "max_peers")
        )

    def get_max_peers(self) -> int:
        """What this client set, else the limit of the instance; 0 is unlimited."""
        return int(self._session.call("rats_get_max_peers"))

    def is_peer_limit_reached(self) -> bool:
        """Whether there are as many peers as ``get_max_peers`` says."""
        return bool(self._session.call("rats_is_peer_limit_reached"))

    # --- protocol -------------------------------------------------------------------------

    def set_protocol_name(self, protocol_name: str) -> None:
        """Ask for a protocol; where the instance has another, this client moves to a private one.

        Raises:
            RatsError: the client is started, or may have no instance of its own
            RatsInvalidParameterError: empty
        """
        self._session.call_checked(
            "Set protocol name", "rats_set_protocol_name", encode(protocol_name, "protocol_name")
        )

    def set_protocol_version(self, protocol_version: str) -> None:
        """Ask for a version of the protocol, as ``set_protocol_name`` does for the name.

        Raises:
            RatsError: the client is started, or may have no instance of its own
            RatsInvalidParameterError: contains a slash
        """
        self._session.call_checked(
            "Set protocol version",
            "rats_set_protocol_version",
            encode(protocol_version, "protocol_version"),
        )

    def set_encryption_enabled(self, enabled: bool) -> None:
        """Noise or plaintext, for links made from now on.

        A private instance that nobody else uses is switched at once, also while it is started;
        a shared one is left, as ``set_protocol_name`` does it.

        Raises:
            RatsError: the instance is shared and the client is started, or may have no instance
                of its own
        """
        self._session.call_checked(
            "Set encryption enabled", "rats_set_encryption_enabled", int(bool(enabled))
        )

    def is_encryption_enabled(self) -> bool:
        """Whether links are encrypted."""
        return bool(self._session.call("rats_is_encryption_enabled"))

    def get_encryption_key(self) -> str:
        """Private key of the instance: 64 hexadecimal digits.

        Returns:
            str: ``""`` when the instance is shared or another user's; ``last_error`` says why
        """
        return self._session.text("rats_get_encryption_key")

    def set_encryption_key(self, key_hex: str) -> None:
        """Be the peer of this private key, as ``set_protocol_name`` does for the protocol.

        Args:
            key_hex: 64 hexadecimal digits, not all zero

        Raises:
            RatsError: the client is started, or may have no instance of its own
            RatsInvalidParameterError: not a key
        """
        self._session.call_checked(
            "Set encryption key", "rats_set_encryption_key", encode(key_hex, "key_hex")
        )

    def generate_encryption_key(self) -> str:
        """Make a private key and be its peer, as ``set_encryption_key`` does.

        Returns:
            str: the key; ``""`` where ``set_encryption_key`` would raise, and ``last_error`` says
            why
        """
        key, error = interruptible(self._generate_key)
        if error is not None:
            self._session.remember(*error)
        return key

    def _generate_key(self) -> Tuple[str, Optional[Tuple[ErrorCode, str]]]:
        key = self._session.text("rats_generate_encryption_key")
        return key, None if key else self._session.remembered()

    def set_data_directory(self, directory_path: str) -> None:
        """Keep the identity there, as ``set_protocol_name`` does for the protocol.

        Raises:
            RatsError: the client is started, may have no instance of its own, or the directory is
                in use or cannot be written
            RatsInvalidParameterError: empty
        """
        self._session.call_checked(
            "Set data directory",
            "rats_set_data_directory",
            encode(directory_path, "directory_path"),
        )

    def get_data_directory(self) -> str:
        """Where the instance keeps its state; ``""`` when that is not shown to this user."""
        return self._session.text("rats_get_data_directory")

    def get_protocol_name(self) -> str:
        """Name part of the instance's protocol."""
        return self._session.text("rats_get_protocol_name")

    def get_protocol_version(self) -> str:
        """Version part of the instance's protocol."""
        return self._session.text("rats_get_protocol_version")

    # --- the protocol itself --------------------------------------------------------------

    def call(
        self,
        method: str,
        params: Optional[Mapping[str, Any]] = None,
        timeout: Optional[float] = _DEFAULT_CALL_SECONDS,
    ) -> Dict[str, Any]:
        """Call any method of the local protocol (rats-ipc(7)).

        Args:
            method: ``"<service>.<verb>"``, e.g. ``"peer.list"``
            params: its parameters
            timeout: seconds; None waits for ever. The daemon is told when time is up

        Returns:
            dict: the result

        Raises:
            RatsTimeoutError: no answer in time
            RatsNotSupportedError: the daemon has no such method
            RatsNotRunningError: the daemon is gone, or the client is closed
            RatsError: or the subclass of the daemon's error; ``detail`` is its sentence
        """
        answer = interruptible(
            self._call,
            encode(method, "method"),
            encode_json(dict(params)) if params else None,
            milliseconds(timeout),
        )
        if isinstance(answer, RatsError):
            self._session.remember(answer.code, answer.detail)
            raise answer
        return answer

    def _call(
        self, method: bytes, params: Optional[bytes], timeout_ms: int
    ) -> Union[Dict[str, Any], RatsError]:
        session = self._session
        operation = method.decode("utf-8")
        result = c_void_p()
        handle = session.handle()
        code = session.lib.rats_call(handle, method, params, timeout_ms, byref(result))
        error = session.error(code, operation) if code else None
        text = self._library.take_text(result.value)
        document = parse_object(text)
        if error is None:
            return document
        name, detail = document.get("e"), document.get("text")
        if isinstance(name, str):
            return error_for_name(name, code, operation, detail=str(detail or error.detail))
        return error

    # --- callbacks ------------------------------------------------------------------------

    def set_connection_callback(self, callback: Optional[ConnectionCallback]) -> None:
        """``callback(peer_id)`` when a peer is usable; also for those present at ``start``."""
        self._check_open()
        self._dispatcher.connection = checked(callback)

    def set_disconnect_callback(self, callback: Optional[DisconnectCallback]) -> None:
        """``callback(peer_id)`` when a peer is gone, once for each connection callback."""
        self._check_open()
        self._dispatcher.disconnect = checked(callback)

    def set_daemon_callback(self, callback: Optional[DaemonCallback]) -> None:
        """``callback(attached)`` when the daemon is gone or back."""
        self._check_open()
        self._dispatcher.daemon = checked(callback)

    def set_overflow_callback(self, callback: Optional[OverflowCallback]) -> None:
        """``callback(lost)`` with the exact number of messages this program was too slow for."""
        self._check_open()
        self._dispatcher.overflow = checked(callback)

    def set_event_callback(self, callback: Optional[EventCallback]) -> None:
        """``callback(event, fields, sequence)`` for every event, after its own callback.

        Events come between ``start`` and ``stop``; ``call("session.watch", ...)`` asks for more
        of them. The sequence number is 0 for those the library made.
        """
        self._check_open()
        self._dispatcher.event = checked(callback)

    def set_error_callback(self, callback: Optional[ErrorCallback]) -> None:
        """``callback(kind, exception)`` for what other callbacks raise; it is logged as well."""
        self._check_open()
        self._dispatcher.error = checked(callback)


def _choice(word: Optional[str], choices: Mapping[Optional[str], int], what: str) -> int:
    if word not in choices:
        names = " or ".join(repr(name) for name in choices if name)
        raise RatsInvalidParameterError("{} must be {}".format(what, names))
    return choices[word]


def _create(library: LibratsCtypes, options: RatsOptions) -> int:
    handle: Optional[int] = library.lib.rats_create_with(byref(options))
    if handle:
        return handle
    detail = (library.lib.rats_last_error_message(None) or b"").decode("utf-8", "replace")
    code = library.lib.rats_last_error(None)
    error = error_for(code, "Create client", detail=detail)
    if detail:
        error.message = "Create client failed: {}".format(detail)
    raise error
