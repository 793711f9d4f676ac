"""Methods of ``RatsClient`` about round trips, peer exchange, bans and limits."""

from ctypes import byref, c_int64
from typing import Any, Dict, List, Optional

from .base import ClientBase
from .convert import encode, encode_optional, int64, milliseconds


class GuardMethods(ClientBase):
    """What is known of peers' links, and what is done about peers."""

    # --- round trips and exchange -----------------------------------------------------------

    def ping(self, peer_id: str, timeout: float = 5.0) -> float:
        """Ping a peer and wait for its answer.

        Args:
            peer_id: a connected peer
            timeout: seconds, up to 600

        Returns:
            float: length of the round trip in milliseconds

        Raises:
            RatsTimeoutError: no answer in time; the peer may lack the service
            RatsPeerNotFoundError: that peer is not connected
            RatsNotRunningError: the daemon is gone
        """
        rtt_us = c_int64()
        self._session.call_checked(
            "Ping",
            "rats_ping_peer",
            encode(peer_id, "peer_id"),
            milliseconds(timeout),
            byref(rtt_us),
            peer_id=peer_id,
        )
        return rtt_us.value / 1000.0

    def get_peer_rtt(self, peer_id: str) -> Optional[float]:
        """Length of the latest round trip to a peer in milliseconds, as the daemon measures it.

        Returns:
            float or None: None when it is not known, or the peer is not connected
        """
        rtt_us = self._session.call("rats_get_peer_rtt_us", encode(peer_id, "peer_id"))
        return rtt_us / 1000.0 if rtt_us >= 0 else None

    def request_peers(self, peer_id: str) -> None:
        """Ask a peer for others; whoever is reached comes with the connection callback.

        Raises:
            RatsPeerNotFoundError: that peer is not connected
            RatsNotSupportedError: peer exchange is switched off
            RatsNotRunningError: the daemon is gone
        """
        self._session.call_checked(
            "Request peers", "rats_request_peers", encode(peer_id, "peer_id"), peer_id=peer_id
        )

    # --- bans and limits --------------------------------------------------------------------

    def ban_peer(self, peer_id: str, seconds: int = 0, reason: Optional[str] = None) -> None:
        """Keep a peer out: it is disconnected, refused when it comes back, and not dialed.

        Args:
            peer_id: connected or not
            seconds: how long; 0 is until it is lifted
            reason: for those who see the list

        Raises:
            RatsInvalidParameterError: not an id, or the instance's own
            RatsPermissionError: this user may not
            RatsNotRunningError: the daemon is gone
        """
        self._session.call_checked(
            "Ban peer",
            "rats_ban_peer",
            encode(peer_id, "peer_id"),
            int64(seconds, "seconds"),
            encode_optional(reason, "reason"),
        )

    def ban_address(self, address: str, seconds: int = 0, reason: Optional[str] = None) -> None:
        """Keep out whoever comes from an address, or from a network as in ``"192.0.2.0/24"``.

        Args:
            address: IPv4 or IPv6 literal, with or without a prefix length
            seconds: how long; 0 is until it is lifted
            reason: for those who see the list

        Raises:
            RatsInvalidParameterError: not an address
            RatsPermissionError: this user may not
            RatsNotRunningError: the daemon is gone
        """
        self._session.call_checked(
            "Ban address",
            "rats_ban_address",
            encode(address, "address"),
            int64(seconds, "seconds"),
            encode_optional(reason, "reason"),
        )

    def unban(self, subject: str) -> None:
        """Lift the ban of a peer id or an address.

        Raises:
            RatsError: there is no ban of exactly that subject
            RatsInvalidParameterError: neither id nor address
            RatsPermissionError: this user may not
            RatsNotRunningError: the daemon is gone
        """
        self._session.call_checked("Unban", "rats_unban", encode(subject, "subject"))

    def get_bans(self) -> List[Dict[str, Any]]:
        """Who is banned: ``subject``, ``kind``, ``reason``, ``added_unix_s``, ``left_seconds``."""
        bans: List[Dict[str, Any]] = self._document("rats_get_bans_json").get("bans", [])
        return bans

    def set_peer_limits(
        self, peer_id: str, messages_per_second: int = 0, bytes_per_second: int = 0
    ) -> None:
        """Set what one peer may send in a second; above it the peer is slowed down.

        Args:
            peer_id: connected or not
            messages_per_second: 0 is any number
            bytes_per_second: at least 16384; 0 is any number

        Raises:
            RatsInvalidParameterError: not an id, or out of range
            RatsPermissionError: this user may not
            RatsNotRunningError: the daemon is gone
        """
        self._session.call_checked(
            "Set peer limits",
            "rats_set_peer_limits",
            encode(peer_id, "peer_id"),
            int64(messages_per_second, "messages_per_second"),
            int64(bytes_per_second, "bytes_per_second"),
        )

    def clear_peer_limits(self, peer_id: str) -> None:
        """Let hold for a peer again what is configured for all.

        Raises:
            RatsError: it has no limits of its own
            RatsInvalidParameterError: not an id
            RatsPermissionError: this user may not
            RatsNotRunningError: the daemon is gone
        """
        self._session.call_checked(
            "Clear peer limits", "rats_clear_peer_limits", encode(peer_id, "peer_id")
        )

    def get_limits(self) -> Dict[str, Any]:
        """What peers may send: as configured, and ``limits`` of peers with their own."""
        return self._document("rats_get_limits_json")
