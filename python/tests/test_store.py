"""The replicated store through ``RatsClient``: two daemons, linked, and clients at both."""

import os
import subprocess
import sys
from typing import Any, Callable, Iterator, List, Tuple

import pytest
from support import Pair, event, frame, wait_until

from librats_py import (
    ErrorCode,
    RatsError,
    RatsInvalidParameterError,
    RatsJsonParseError,
    RatsNotRunningError,
)
from librats_py.dispatch import Dispatcher
from librats_py.pytest_plugin import Ratsd

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "examples")


@pytest.fixture
def pair(ratsd_factory: Callable[..., Ratsd]) -> Iterator[Pair]:
    made = Pair(ratsd_factory)
    made.link()
    yield made
    made.close()


VALUES = [
    b"",
    b"\0\xff",
    "",
    "grüße",
    0,
    -(2**63),
    2**63 - 1,
    0.1,
    float("inf"),
    None,
    True,
    {"a": [1, None]},
    [],
]


@pytest.mark.integration
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was(pair: Pair, value: Any) -> None:
    pair.a.storage_put("key", value)
    for client in (pair.a, pair.b):
        wait_until(lambda: client.storage_keys() == ["key"])
        found = client.storage_get("key", "nothing")
        assert found == value and type(found) is type(value)


@pytest.mark.integration
def test_keys_are_listed_and_removed(pair: Pair) -> None:
    for i in range(1005):
        pair.a.storage_put("k/{:04}".format(i), i)
    assert pair.a.storage_keys("k/") == ["k/{:04}".format(i) for i in range(1005)]
    assert pair.a.storage_keys("k/100") == ["k/1000", "k/1001", "k/1002", "k/1003", "k/1004"]
    assert pair.a.storage_remove("k/0000") is True
    assert pair.a.storage_remove("k/0000") is False
    assert pair.a.storage_get("k/0000") is None
    assert pair.a.storage_get("k/0000", 7) == 7
    statistics = pair.a.storage_statistics()
    assert (statistics["keys"], statistics["tombstones"]) == (1004, 1)
    pair.a.storage_sync()


@pytest.mark.integration
def test_changes_are_told_by_prefix(pair: Pair) -> None:
    told: List[Tuple[Any, ...]] = []
    every: List[str] = []
    pair.b.set_storage_callback("a/", lambda *change: told.append(change))
    pair.b.set_storage_callback("", lambda key, *_: every.append(key))
    peer = pair.a.get_our_peer_id()
    pair.a.storage_put("b", b"")
    pair.a.storage_put("a/number", -5)
    pair.a.storage_put("a/json", {"x": 1})
    wait_until(lambda: len(told) == 2)
    pair.b.storage_remove("a/number")
    wait_until(lambda: len(told) == 3)
    assert told == [
        ("a/number", -5, False, peer, True),
        ("a/json", {"x": 1}, False, peer, True),
        ("a/number", None, True, pair.b.get_our_peer_id(), False),
    ]
    assert every == ["b", "a/number", "a/json", "a/number"]
    pair.b.set_storage_callback("a/", None)
    pair.a.storage_put("a/last", 1)
    wait_until(lambda: every[-1] == "a/last")
    assert len(told) == 3


@pytest.mark.integration
def test_prefixes_survive_a_restart_of_the_daemon(ratsd_factory: Callable[..., Ratsd]) -> None:
    daemon = ratsd_factory()
    told: List[str] = []
    attached: List[bool] = []
    with daemon.client() as client:
        client.set_storage_callback("k", lambda key, *_: told.append(key))
        client.set_daemon_callback(attached.append)
        client.start()
        client.storage_put("k1", "kept")
        wait_until(lambda: told == ["k1"])
        daemon.stop()
        daemon.start()
        wait_until(lambda: attached == [False, True])
        assert client.storage_get("k1") == "kept"
        client.storage_put("k2", 1)
        wait_until(lambda: told == ["k1", "k2"])


@pytest.mark.integration
def test_what_cannot_be_stored_says_why(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        with pytest.raises(RatsInvalidParameterError):
            client.storage_put("", 1)
        with pytest.raises(RatsInvalidParameterError):
            client.storage_put("k", 2**63)
        with pytest.raises(TypeError):
            client.storage_put("k", object())
        with pytest.raises(RatsJsonParseError):
            client.storage_put("k", [float("nan")])
        with pytest.raises(RatsError) as large:
            client.storage_put("k" * 2000, 1)
        assert large.value.code == ErrorCode.TOO_LARGE and "max_key" in large.value.detail
        with pytest.raises(RatsError) as larger:
            client.storage_put("k", bytes(5 << 20))
        assert larger.value.code == ErrorCode.TOO_LARGE and "max_value" in larger.value.detail
        client.storage_put("k", memoryview(b"view"))
        assert client.storage_get("k") == b"view"
    with pytest.raises(RatsNotRunningError):
        client.storage_get("k")


def test_a_value_that_is_not_what_its_type_says_comes_as_bytes() -> None:
    told: List[Tuple[Any, ...]] = []
    dispatcher = Dispatcher()
    dispatcher.start()
    dispatcher.set_watch(b"", lambda *change: told.append(change))
    for kind, body in (("json", b"{"), ("int64", b"123"), ("later", b"x"), ("string", b"\xff")):
        head = event("storage.changed", {"key": "k", "type": kind})[16:]
        dispatcher.process(frame(4, head, body))
    values = [change[1] for change in told]
    assert values == [b"{", b"123", b"x", "\ufffd"]


@pytest.mark.integration
def test_the_example_shares_state(pair: Pair) -> None:
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.path.join(EXAMPLE, os.pardir)
    programs = []
    for name, daemon in (("ann", pair.here), ("bob", pair.there)):
        programs.append(
            subprocess.Popen(
                [sys.executable, os.path.join(EXAMPLE, "shared_state.py"), name],
                env=dict(environment, RATS_SOCKET=daemon.socket_path),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                universal_newlines=True,
            )
        )
    ann, bob = programs
    assert ann.stdout is not None and bob.stdout is not None
    assert ann.stdin is not None and bob.stdin is not None
    assert ann.stdout.readline().startswith("ready")
    assert bob.stdout.readline().startswith("ready")
    ann.stdin.write("tea green\n")
    ann.stdin.flush()
    line = bob.stdout.readline()
    assert line.startswith("tea = ") and "green" in line and "a peer" in line
    assert "this machine" in ann.stdout.readline()
    bob.stdin.write("tea\n")
    bob.stdin.flush()
    assert ann.stdout.readline().startswith("tea removed (by a peer)")
    for program in programs:
        program.communicate(timeout=30)
        assert program.returncode == 0
