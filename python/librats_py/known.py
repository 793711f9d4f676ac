"""Methods of ``RatsClient`` about staying connected: transports, waiting, targets, known peers."""

import json
import time
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar

from .base import ClientBase
from .convert import encode, encode_optional, int32, milliseconds
from .enums import RatsError as ErrorCode
from .enums import Transport
from .exceptions import RatsTimeoutError
from .session import interruptible

_T = TypeVar("_T")

# A wait is made of short ones, so that close() in another thread ends it.
_SLICE_MS = 500


def _names(bits: int) -> List[str]:
    return [transport.name.lower() for transport in Transport if bits & transport]


class KnownMethods(ClientBase):
    """What the instance has, whom it knows and whom it comes back to."""

    def _told(self, function: Callable[[str], _T], name: str) -> _T:
        """A result of a C function that may wait, its error kept for ``last_error``."""

        def ask() -> Tuple[_T, int, str]:
            result = function(name)
            detail, code = self._session.last_error()
            return result, code, detail

        result, code, detail = interruptible(ask)
        if code != ErrorCode.SUCCESS:
            self._session.remember(code, detail)
        return result

    def _number(self, name: str) -> int:
        return int(self._told(self._session.call, name))

    # --- transports -----------------------------------------------------------------------

    def get_transports(self) -> List[str]:
        """Transports of the instance: ``"tcp"``, ``"udp"``."""
        return _names(self._session.call_blocking("rats_get_transports"))

    def get_peer_transport(self, peer_id: str) -> Optional[str]:
        """What carries the link to a peer: ``"tcp"``, ``"udp"``, or ``None``: not connected."""
        names = _names(self._session.call("rats_get_peer_transport", encode(peer_id, "peer_id")))
        return names[0] if names else None

    def get_peer_transports(self, peer_id: str) -> List[str]:
        """Transports a connected peer says it listens on; empty when it has not said."""
        return _names(self._session.call("rats_get_peer_transports", encode(peer_id, "peer_id")))

    def connect_with(
        self, host: str, port: int, transports: int = 0, timeout: Optional[float] = 15.0
    ) -> None:
        """Connect the instance to a peer over some of its transports.

        Args:
            host: address or name; the daemon resolves it
            port: 1 to 65535
            transports: ``Transport`` bits; 0 is any
            timeout: seconds to try; ``None`` is 15

        Raises:
            RatsError: not reachable, or refused
            RatsTimeoutError: no answer in that time
            RatsNotSupportedError: the daemon can dial over none of these transports
            RatsInvalidParameterError: a bad argument
            RatsNotRunningError: not started, or the daemon is gone
        """
        limit = milliseconds(timeout)
        self._session.call_checked(
            "Connect",
            "rats_connect_with",
            encode(host, "host"),
            int32(port, "port"),
            int32(transports, "transports"),
            1 if limit == 0 else limit,
        )

    def wait_for_peer(
        self, peer_id: Optional[str] = None, timeout: Optional[float] = None
    ) -> None:
        """Return once that peer, or any, is connected.

        Args:
            peer_id: ``None``: any peer
            timeout: seconds; ``None`` waits for ever

        Raises:
            RatsTimeoutError: not connected in that time
            RatsNotRunningError: not started, stopped or closed meanwhile
            RatsInvalidParameterError: no peer id
        """
        peer = encode_optional(peer_id, "peer_id")
        limit = milliseconds(timeout)
        end = None if limit < 0 else time.monotonic() + limit / 1000.0
        while True:
            left = _SLICE_MS if end is None else int((end - time.monotonic()) * 1000.0)
            try:
                self._session.call_checked(
                    "Wait for peer",
                    "rats_wait_for_peer",
                    peer,
                    max(0, min(left, _SLICE_MS)),
                    peer_id=peer_id,
                )
                return
            except RatsTimeoutError:
                if end is not None and time.monotonic() >= end:
                    raise

    # --- targets --------------------------------------------------------------------------

    def add_reconnect(self, host: str, port: int) -> None:
        """Stay connected to an address, for every program and across restarts of the daemon.

        Raises:
            RatsPermissionError: this user may not
            RatsInvalidParameterError: a bad argument
            RatsError: there are too many, or it could not be written
            RatsNotRunningError: the daemon is gone
        """
        self._session.call_checked(
            "Add reconnect", "rats_add_reconnect", encode(host, "host"), int32(port, "port")
        )

    def remove_reconnect(self, host: str, port: int) -> None:
        """No longer dial an address by itself; a link to it stays.

        Raises:
            RatsPermissionError: this user may not
            RatsError: it is no such address, or the configuration names it
            RatsNotRunningError: the daemon is gone
        """
        self._session.call_checked(
            "Remove reconnect", "rats_remove_reconnect", encode(host, "host"), int32(port, "port")
        )

    def get_reconnect_list(self) -> List[Dict[str, Any]]:
        """The addresses the instance stays connected to, and how that goes."""
        text: str = self._told(self._session.text, "rats_get_reconnect_json")
        rows: List[Dict[str, Any]] = json.loads(text) if text else []
        return rows

    # --- known peers and state ------------------------------------------------------------

    def load_and_reconnect_peers(self) -> int:
        """Dial the best known addresses whose peers are not connected; how many."""
        return self._number("rats_load_and_reconnect_peers")

    def load_historical_peers(self) -> int:
        """1; 0 when the address book cannot be read or written."""
        return self._number("rats_load_historical_peers")

    def save_historical_peers(self) -> int:
        """Have the address book on disk as it is now: 1, or 0 when it cannot be written."""
        return self._number("rats_save_historical_peers")

    def clear_historical_peers(self) -> None:
        """Empty the address book of the instance.

        Raises:
            RatsPermissionError: this user may not
            RatsNotRunningError: the daemon is gone
            RatsError: it could not be written
        """
        error = interruptible(self._clear)
        if error is not None:
            self._session.remember(error.code, error.detail)
            raise error

    def _clear(self) -> Any:
        session = self._session
        handle = session.handle()
        session.lib.rats_clear_historical_peers(handle)
        code = session.last_error()[1]
        if code == ErrorCode.SUCCESS:
            return None
        return session.error(code, "Clear historical peers")

    def get_historical_peer_ids(self) -> List[str]:
        """Ids of the peers in the address book, best first."""
        ids: List[str] = self._told(self._ids, "rats_get_historical_peer_ids")
        return ids

    def load_configuration(self) -> None:
        """The daemon has its state loaded; this only says whether it can be kept.

        Raises:
            RatsNotRunningError: the daemon is gone
            RatsError: it cannot be read or written
        """
        self._session.call_checked("Load configuration", "rats_load_configuration")

    def save_configuration(self) -> None:
        """Have the instance's state on disk as it is now.

        Raises:
            RatsNotRunningError: the daemon is gone
            RatsError: it cannot be written
        """
        self._session.call_checked("Save configuration", "rats_save_configuration")
