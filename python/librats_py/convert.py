"""Between Python values and what C functions take; everything is checked before it crosses."""

import json
import logging
import os
import struct
import sys
from typing import Any, Dict, List, Optional, Tuple, TypeVar

from .exceptions import RatsError, RatsInvalidParameterError, RatsJsonParseError

_log = logging.getLogger("librats_py")

_Callback = TypeVar("_Callback")

_MAX_MILLISECONDS = 2**31 - 1
_MAX_NAME = 32


def encode(text: str, what: str) -> bytes:
    """UTF-8 for a C string, refusing what a C string cannot carry."""
    if not isinstance(text, str):
        raise TypeError("{} must be str, not {}".format(what, type(text).__name__))
    encoded = text.encode("utf-8")
    if b"\0" in encoded:
        raise RatsInvalidParameterError("{} contains a NUL character".format(what))
    return encoded


def encode_optional(text: Optional[str], what: str) -> Optional[bytes]:
    return None if text is None else encode(text, what)


def encode_path(path: Any, what: str) -> bytes:
    """A path as the system has it: any bytes but NUL."""
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise RatsInvalidParameterError("{} contains a NUL character".format(what))
    return encoded


def int32(number: int, what: str) -> int:
    """ctypes would cut a larger number to its low 32 bits without a word."""
    if not -(2**31) <= number < 2**31:
        raise RatsInvalidParameterError("{} is {}, which is out of range".format(what, number))
    return int(number)


def int64(number: int, what: str) -> int:
    if not -(2**63) <= number < 2**63:
        raise RatsInvalidParameterError("{} is {}, which is out of range".format(what, number))
    return int(number)


def encode_json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except ValueError as error:
        raise RatsJsonParseError("Value cannot be written as JSON: {}".format(error)) from error


# Values of the store: their types in C, and the names events give them.
VALUE_TYPES = {"binary": 1, "string": 2, "int64": 3, "double": 4, "json": 5}


def encode_value(value: Any) -> Tuple[int, Any]:
    """Type and bytes of a value for the store; numbers as C has them."""
    if isinstance(value, str):
        return 2, value.encode("utf-8")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return 1, value
    if isinstance(value, int) and not isinstance(value, bool):
        if not -(2**63) <= value < 2**63:
            raise RatsInvalidParameterError("the value does not fit into 64 bits")
        return 3, struct.pack("=q", value)
    if isinstance(value, float):
        return 4, struct.pack("=d", value)
    return 5, encode_json(value)


def decode_value(kind: int, data: bytes, order: str) -> Any:
    """The value again; order is that of numbers, as struct writes it. What is of a type this
    package does not know comes as bytes."""
    if kind == 2:
        return data.decode("utf-8", "replace")
    if kind in (3, 4) and len(data) == 8:
        return struct.unpack(order + ("q" if kind == 3 else "d"), data)[0]
    if kind == 5:
        try:
            return json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise RatsJsonParseError("the value is not JSON: {}".format(error)) from error
    return data


def decode_value_of_event(kind: Any, data: bytes) -> Any:
    """A value of the store as an event carries it; bytes when it is not what its type says."""
    try:
        return decode_value(VALUE_TYPES.get(kind, 0), data, ">")
    except RatsError as error:
        _log.debug("value of %d bytes: %s", len(data), error)
        return data


def decode_text(data: bytes) -> str:
    """A message as text: up to its first NUL, as C has it."""
    if b"\0" in data:
        _log.debug("string message of %d bytes cut at its first NUL byte", len(data))
        data = data[: data.index(b"\0")]
    return data.decode("utf-8", "replace")


def milliseconds(timeout: Optional[float]) -> int:
    if timeout is None:
        return -1
    if timeout != timeout or timeout < 0:
        raise RatsInvalidParameterError("timeout must be a number of seconds >= 0, or None")
    return int(min(timeout * 1000.0, _MAX_MILLISECONDS))


def program_name() -> Optional[str]:
    """The script's name; the library would only see the interpreter's."""
    arguments = getattr(sys, "argv", None) or [""]
    name = os.path.basename(arguments[0])
    return name[:_MAX_NAME] if name and name not in ("-c", "-m") else None


def checked(callback: Optional[_Callback]) -> Optional[_Callback]:
    if not (callback is None or callable(callback)):
        raise TypeError("callback must be callable or None")
    return callback  # type: ignore[return-value]


def parse_object(text: Optional[str]) -> Dict[str, Any]:
    """A JSON object of the library; ``{}`` for NULL and for anything else."""
    value = json.loads(text) if text else {}
    return value if isinstance(value, dict) else {}


def parse_list(text: Optional[str]) -> List[Dict[str, Any]]:
    """The same for a JSON array of objects."""
    value = json.loads(text) if text else []
    return value if isinstance(value, list) else []
