"""Exceptions of the package and the mapping from result codes to them.

Where a built-in exception says the same, the class derives from it too, so ``except
ConnectionError`` and ``except TimeoutError`` work without knowing this package.
"""

from typing import Dict, Optional, Tuple, Type

from .enums import RatsError as ErrorCode

__all__ = [
    "RatsConnectionError",
    "RatsDaemonError",
    "RatsError",
    "RatsInvalidParameterError",
    "RatsJsonParseError",
    "RatsNotRunningError",
    "RatsNotSupportedError",
    "RatsPeerNotFoundError",
    "RatsPermissionError",
    "RatsTimeoutError",
    "check_error",
]


class RatsError(Exception):
    """Base of every error of this package.

    Attributes:
        message: what failed, e.g. ``"Send binary failed"``
        error_code: the result code as ``ErrorCode``
        operation: the operation that failed, or ``""``
        peer_id: the peer concerned, when known
        detail: the library's sentence about the cause, or ``""``
    """

    def __init__(
        self,
        message: str,
        error_code: int = ErrorCode.OPERATION_FAILED,
        *,
        operation: str = "",
        peer_id: Optional[str] = None,
        detail: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = ErrorCode(error_code)
        self.operation = operation
        self.peer_id = peer_id
        self.detail = detail

    @property
    def code(self) -> int:
        """The result code as a plain number."""
        return int(self.error_code)

    @property
    def name(self) -> str:
        """The name of the result code, e.g. ``"PEER_NOT_FOUND"``."""
        return self.error_code.name

    def __str__(self) -> str:
        return "{} (error code: {})".format(self.message, self.name)


class _FixedCodeError(RatsError):
    """A class that stands for one code; its constructor takes the message only."""

    _code = ErrorCode.OPERATION_FAILED
    _default = "Operation failed"

    def __init__(
        self,
        message: Optional[str] = None,
        *,
        operation: str = "",
        peer_id: Optional[str] = None,
        detail: str = ""
    ) -> None:
        super().__init__(
            self._default if message is None else message,
            self._code,
            operation=operation,
            peer_id=peer_id,
            detail=detail,
        )


class RatsConnectionError(_FixedCodeError, ConnectionError):
    """A connection to a peer could not be made."""

    _default = "Connection failed"


class RatsInvalidParameterError(_FixedCodeError, ValueError):
    """An argument is outside what the function allows."""

    _code = ErrorCode.INVALID_PARAMETER
    _default = "Invalid parameter"


class RatsNotRunningError(_FixedCodeError):
    """The client is not started, is closed, or has lost its daemon."""

    _code = ErrorCode.NOT_RUNNING
    _default = "Client is not running"


class RatsPeerNotFoundError(_FixedCodeError, LookupError):
    """No such peer is connected."""

    _code = ErrorCode.PEER_NOT_FOUND
    _default = "Peer not found"


class RatsJsonParseError(_FixedCodeError, ValueError):
    """The value or text is not JSON."""

    _code = ErrorCode.JSON_PARSE
    _default = "JSON parsing failed"


class RatsPermissionError(_FixedCodeError, PermissionError):
    """The daemon does not allow this to the calling user."""

    _code = ErrorCode.NOT_PERMITTED
    _default = "Not permitted"


class RatsNotSupportedError(_FixedCodeError):
    """The daemon or the peer does not offer this."""

    _code = ErrorCode.NOT_SUPPORTED
    _default = "Not supported"


class RatsTimeoutError(_FixedCodeError, TimeoutError):
    """No answer came in time."""

    _code = ErrorCode.TIMEOUT
    _default = "Timed out"


class RatsDaemonError(_FixedCodeError, ConnectionError):
    """No daemon can be reached, or the client belongs to the parent of this forked process."""

    _code = ErrorCode.NO_DAEMON
    _default = "No daemon"


_CLASSES: Dict[int, Type[_FixedCodeError]] = {
    int(cls._code): cls
    for cls in (
        RatsInvalidParameterError,
        RatsNotRunningError,
        RatsPeerNotFoundError,
        RatsJsonParseError,
        RatsPermissionError,
        RatsNotSupportedError,
        RatsTimeoutError,
        RatsDaemonError,
    )
}


# Errors of the local protocol by name: (code, class). A test compares them with proto/errors.c.
PROTOCOL_ERRORS: Dict[str, Tuple[int, Type[RatsError]]] = {
    "invalid_parameter": (-2, RatsInvalidParameterError),
    "malformed": (-4, RatsError),
    "unknown_method": (-9, RatsNotSupportedError),
    "version": (-9, RatsDaemonError),
    "not_permitted": (-8, RatsPermissionError),
    "not_running": (-3, RatsNotRunningError),
    "not_supported": (-9, RatsNotSupportedError),
    "peer_not_found": (-5, RatsPeerNotFoundError),
    "not_found": (-14, RatsError),
    "busy": (-13, RatsError),
    "limit": (-13, RatsError),
    "too_large": (-12, RatsError),
    "timeout": (-10, RatsTimeoutError),
    "cancelled": (-4, RatsError),
    "connect_failed": (-4, RatsConnectionError),
    "out_of_memory": (-6, RatsError),
    "operation_failed": (-4, RatsError),
}


def error_for(
    error_code: int, operation: str, *, peer_id: Optional[str] = None, detail: str = ""
) -> RatsError:
    """The exception that ``check_error`` raises for a code that is not 0."""
    message = "{} failed".format(operation)
    cls = _CLASSES.get(int(error_code))
    if cls is not None:
        return cls(message, operation=operation, peer_id=peer_id, detail=detail)
    return RatsError(message, error_code, operation=operation, peer_id=peer_id, detail=detail)


def error_for_name(name: str, error_code: int, operation: str, *, detail: str = "") -> RatsError:
    """The exception for an error of the local protocol; by its code when the name is new."""
    cls = PROTOCOL_ERRORS.get(name, (0, RatsError))[1]
    if issubclass(cls, _FixedCodeError):
        return cls("{} failed".format(operation), operation=operation, detail=detail)
    return error_for(error_code, operation, detail=detail)


def check_error(
    error_code: int,
    operation: str = "Operation",
    *,
    peer_id: Optional[str] = None,
    detail: str = ""
) -> None:
    """Raise the exception that stands for ``error_code``; return for 0.

    Args:
        error_code: result of a C function
        operation: what was tried; the message becomes ``"<operation> failed"``
        peer_id: the peer concerned, kept as attribute
        detail: sentence of the library, kept as attribute

    Raises:
        RatsError: or the subclass of the code
    """
    if error_code != ErrorCode.SUCCESS:
        raise error_for(error_code, operation, peer_id=peer_id, detail=detail)
