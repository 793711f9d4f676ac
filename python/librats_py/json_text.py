"""What is JSON, as the C library and other nodes say it.

Python's own reader takes NaN and half surrogate pairs, gives up on numbers of many digits and, deep
in a call, on texts nested some hundred levels deep.
"""

import json
import re
from typing import Any, List, NoReturn

MAX_DEPTH = 1000  # what other nodes read

_TOKEN = re.compile(
    r"""[ \t\n\r]*(?:
        (?P<string>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")
      | (?P<scalar>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)
      | (?P<mark>[\[\]{},:])
      | (?P<end>$(?!\n))
    )""",
    re.VERBOSE,
)
_SURROGATE = re.compile(
    r"\\(?:[^u]|u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|"
    r"(?P<half>[dD][89a-fA-F][0-9a-fA-F]{2})|[0-9a-fA-F]{4}))"
)

# What may come next.
_VALUE, _VALUE_OR_CLOSE, _KEY, _KEY_OR_CLOSE, _COLON, _AFTER = range(6)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError("{} is not JSON".format(text))


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode
# The same for texts whose value nobody needs: a number may have as many digits as it likes.
_skim = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=len, parse_float=len).decode


def parse_json(text: str) -> Any:
    """The value; ValueError when it is not JSON, RecursionError when Python cannot build it."""
    if _may_be_too_deep(text) and not walk_json(text):
        raise ValueError("it is not JSON, or nested deeper than {} levels".format(MAX_DEPTH))
    return _refuse_half_pairs(_decode(text), text)


def is_json(text: str) -> bool:
    """Whether it is one JSON value, nested at most ``MAX_DEPTH`` levels."""
    if _may_be_too_deep(text):
        return walk_json(text)
    try:
        _refuse_half_pairs(_skim(text), text)
    except ValueError:
        return False
    except RecursionError:
        return walk_json(text)
    return True


def _may_be_too_deep(text: str) -> bool:
    """Some versions of Python read deeper than others."""
    return text.count("[") + text.count("{") > MAX_DEPTH


def _refuse_half_pairs(value: Any, text: str) -> Any:
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def walk_json(text: str) -> bool:
    """The same however deep it is: slower, and without building anything."""
    open_marks: List[str] = []
    state = _VALUE
    at = 0
    while True:
        token = _TOKEN.match(text, at)
        if token is None:
            return False
        at = token.end()
        kind = token.lastgroup
        if kind == "end":
            return state == _AFTER and not open_marks
        if kind == "string" and _has_half_pair(token.group("string")):
            return False
        found = token.group("mark") or ""
        if state in (_KEY, _KEY_OR_CLOSE) and kind == "string":
            state = _COLON
        elif state == _COLON and found == ":":
            state = _VALUE
        elif state in (_VALUE, _VALUE_OR_CLOSE) and kind in ("string", "scalar"):
            state = _AFTER
        elif state in (_VALUE, _VALUE_OR_CLOSE) and found in ("[", "{"):
            if len(open_marks) == MAX_DEPTH:
                return False
            open_marks.append(found)
            state = _VALUE_OR_CLOSE if found == "[" else _KEY_OR_CLOSE
        elif state == _AFTER and open_marks and found == ",":
            state = _VALUE if open_marks[-1] == "[" else _KEY
        elif _closes(state, found, open_marks):
            open_marks.pop()
            state = _AFTER
        else:
            return False


def _closes(state: int, found: str, open_marks: List[str]) -> bool:
    if found == "]":
        return state in (_AFTER, _VALUE_OR_CLOSE) and open_marks[-1:] == ["["]
    if found == "}":
        return state in (_AFTER, _KEY_OR_CLOSE) and open_marks[-1:] == ["{"]
    return False


def _has_half_pair(string: str) -> bool:
    return any(escape.group("half") for escape in _SURROGATE.finditer(string))
