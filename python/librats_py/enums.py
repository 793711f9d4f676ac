"""Numbers of the C interface as enumerations.

All are ``IntEnum`` classes. A number a newer library or daemon may send and that has no name here
does not raise: ``ErrorCode(-99)`` is a member whose name is ``UNKNOWN(-99)``.
"""

from enum import IntEnum
from typing import Any, NamedTuple, Optional, Tuple

__all__ = [
    "ConnectionStrategy",
    "FileTransferStatus",
    "LogLevel",
    "MessageDataType",
    "NatType",
    "RatsError",
    "Transport",
    "VersionInfo",
]


class _OpenEnum(IntEnum):
    """An ``IntEnum`` that accepts integers it has no name for."""

    @classmethod
    def _missing_(cls, value: object) -> Optional["_OpenEnum"]:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = "UNKNOWN({})".format(value)
        member._value_ = value
        return member

    def __reduce_ex__(self, protocol: Any) -> Tuple[Any, ...]:
        # By number: by name, as newer interpreters do it, an unknown member would be lost.
        return type(self), (int(self),)


class RatsError(_OpenEnum):
    """Result codes (``RATS_SUCCESS``, ``RATS_ERROR_...``); exported as ``librats_py.ErrorCode``."""

    SUCCESS = 0
    INVALID_HANDLE = -1
    INVALID_PARAMETER = -2
    NOT_RUNNING = -3
    OPERATION_FAILED = -4
    PEER_NOT_FOUND = -5
    MEMORY_ALLOCATION = -6
    JSON_PARSE = -7
    NOT_PERMITTED = -8
    NOT_SUPPORTED = -9
    TIMEOUT = -10
    NO_DAEMON = -11
    TOO_LARGE = -12
    BUSY = -13
    NOT_FOUND = -14


class ConnectionStrategy(_OpenEnum):
    """How ``RatsClient.connect`` reaches an address (``RATS_STRATEGY_...``)."""

    DIRECT_ONLY = 0
    STUN_ASSISTED = 1
    ICE_FULL = 2
    TURN_RELAY = 3
    AUTO_ADAPTIVE = 4


class MessageDataType(_OpenEnum):
    """Kind of the payload of an untyped message."""

    BINARY = 1
    STRING = 2
    JSON = 3


class FileTransferStatus(_OpenEnum):
    """State of a file transfer."""

    PENDING = 0
    STARTING = 1
    IN_PROGRESS = 2
    PAUSED = 3
    COMPLETED = 4
    FAILED = 5
    CANCELLED = 6
    RESUMING = 7


class LogLevel(_OpenEnum):
    """Level of the C library's own log in this process."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3


class NatType(_OpenEnum):
    """Kind of address translation between this machine and the internet."""

    UNKNOWN = 0
    OPEN_INTERNET = 1
    FULL_CONE = 2
    RESTRICTED_CONE = 3
    PORT_RESTRICTED_CONE = 4
    SYMMETRIC = 5
    UDP_BLOCKED = 6


class Transport(_OpenEnum):
    """What may carry a link; the numbers are bits."""

    TCP = 1
    UDP = 2


class VersionInfo(NamedTuple):
    """Version of the C library; ``str()`` gives ``1.2.3.4``."""

    major: int
    minor: int
    patch: int
    build: int

    def __str__(self) -> str:
        return "{}.{}.{}.{}".format(self.major, self.minor, self.patch, self.build)
