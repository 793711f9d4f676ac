"""Between Python values and what C functions take; everything is checked before it crosses."""

import json
import os
import sys
from typing import Any, Dict, Optional, TypeVar

from .exceptions import RatsInvalidParameterError, RatsJsonParseError

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
