"""The reader without values agrees with Python's own wherever that one can go."""

import json
import random
from typing import List

import pytest

from librats_py.json_text import is_json, walk_json

GOOD = [
    "0", "-0", "1.5e+7", " \t\n\r1 ", "true", "null", '""', '"\\u0000\\"\\\\\\/"', "[]", "{}",
    "[1, [2], {}]", '{"a": {"b": []}, "a": 1}', '"\\ud83d\\ude00"', '"\\\\ud83d"', "9" * 10000,
]
BAD = [
    "", " ", "01", "1.", ".5", "+1", "1e", "NaN", "Infinity", "tru", "nulls", "'a'", '"', '"\\x"',
    '"\x01"', '"\n"', "[", "]", "[1", "[1,]", "[,1]", "[1 2]", "{1:2}", '{"a"}', '{"a":}',
    '{"a":1,}', "[}", "{]", "1 2", '"\\ud83d"', '"\\ude00\\ud83d"', '"\\ud83dx\\ude00"', "\ufeff1",
    "1\n\x0b", "[1]]",
]


@pytest.mark.parametrize("text", GOOD)
def test_json(text: str) -> None:
    assert is_json(text) and walk_json(text)


@pytest.mark.parametrize("text", BAD)
def test_what_is_not_json(text: str) -> None:
    assert not is_json(text) and not walk_json(text)


def test_a_thousand_levels_and_one_more() -> None:
    assert is_json("[" * 1000 + "]" * 1000)
    assert not is_json("[" * 1001 + "]" * 1001)
    assert is_json('{"a":' * 1000 + "1" + "}" * 1000)
    assert not is_json("[" * 1000000)


def test_it_agrees_with_the_reader_of_python() -> None:
    dice = random.Random(7)
    alphabet: List[str] = ["[", "]", "{", "}", ",", ":", '"a"', "1", " ", "-", "e", "true", "."]
    for _ in range(20000):
        text = "".join(dice.choice(alphabet) for _ in range(dice.randrange(1, 8)))
        try:
            json.loads(text)
            expected = True
        except ValueError:
            expected = False
        assert walk_json(text) is is_json(text) is expected, text
