"""What waits for an iterator, without a client."""

from typing import Any, List

import pytest

from librats_py.exceptions import RatsJsonParseError
from librats_py.streams import ItemStream, Message, PeerStream, StorageStream


def taken(stream: Any) -> List[Any]:
    items = []
    while True:
        item = stream.take()
        if item is None:
            return items
        items.append(item)


def peers_of(*events: str) -> PeerStream:
    """``"+a"`` has come, ``"-a"`` has gone, ``"=ab"`` are known to have been there."""
    stream = PeerStream(lambda: None, None)
    for mark, *names in events:
        if mark == "=":
            stream.begin(names)
        else:
            event = "peer.connected" if mark == "+" else "peer.disconnected"
            stream.hear(event, {"peer": names[0]}, b"")
    return stream


@pytest.mark.parametrize(
    "events, told",
    [
        (["="], []),
        (["=ab"], ["+a", "+b"]),
        (["=", "+a", "+b"], ["+a", "+b"]),
        (["+a", "=a"], ["+a"]),
        (["=a", "+a"], ["+a"]),
        (["-a", "=a"], []),
        (["-a", "=a", "+a"], ["+a"]),
        (["=", "+a", "-a"], []),
        (["=", "-a"], []),
    ],
)
def test_each_peer_is_told_of_once(events: List[str], told: List[str]) -> None:
    items = taken(peers_of(*events))
    assert ["+-"[not item.connected] + item.peer_id for item in items] == told


def test_one_that_is_back_is_told_of_and_keeps_no_more_than_that() -> None:
    stream = peers_of("=a")
    assert len(taken(stream)) == 1
    for _ in range(1000):
        stream.hear("peer.disconnected", {"peer": "a"}, b"")
        stream.hear("peer.connected", {"peer": "a"}, b"")
    assert taken(stream) == [("a", False), ("a", True)]


def test_other_topics_are_other_topics() -> None:
    stream = PeerStream(lambda: None, "news")
    stream.hear("topic.joined", {"peer": "a", "topic": "olds"}, b"")
    stream.hear("peer.connected", {"peer": "b"}, b"")
    stream.hear("topic.joined", {"peer": "c", "topic": "news"}, b"")
    assert taken(stream) == [("c", True)]


def test_one_that_is_larger_than_the_limit_is_let_in_alone() -> None:
    stream = ItemStream(lambda: None, 10, lambda lost: None)
    stream.offer("x", 1000)
    assert taken(stream) == ["x"]


def test_whoever_waits_is_woken_once() -> None:
    woken: List[None] = []
    stream = ItemStream(lambda: woken.append(None), 10000, lambda lost: None)
    stream.offer("1", 1)
    assert woken == [] and taken(stream) == ["1"]
    stream.offer("2", 1)
    stream.offer("3", 1)
    assert len(woken) == 1 and taken(stream) == ["2", "3"]
    stream.end()
    assert len(woken) == 2


def test_what_comes_after_the_end_is_neither_taken_nor_lost() -> None:
    stream = ItemStream(lambda: None, 10, lambda lost: None)
    stream.offer("1", 1)
    stream.end()
    stream.offer("2", 1)
    assert taken(stream) == ["1"] and stream.lost == 0


def test_changes_are_those_of_the_prefix() -> None:
    stream = StorageStream(lambda: None, 10000, lambda lost: None, "k/")
    for fields in ({"key": "k"}, {"key": "k/1", "type": "string"}, {}):
        stream.hear("storage.changed", fields, b"x")
    stream.hear("transfer.files", {"key": "k/2"}, b"")
    assert taken(stream) == [("k/1", "x", False, "", False)]


@pytest.mark.parametrize("data", [b"", b"\xff", b"[", b"[" * 5000])
def test_what_is_not_json_says_so(data: bytes) -> None:
    with pytest.raises(RatsJsonParseError):
        Message("a", "topic", "t", data, "").json()
