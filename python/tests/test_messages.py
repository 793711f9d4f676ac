"""Two daemons, linked, and clients at both."""

import threading
from typing import Any, Callable, Iterator, List, Tuple

import pytest
from support import Pair, wait_until

from librats_py import (
    RatsClient,
    RatsConnectionError,
    RatsError,
    RatsInvalidParameterError,
    RatsJsonParseError,
    RatsNotRunningError,
    RatsPeerNotFoundError,
)
from librats_py.pytest_plugin import Ratsd

pytestmark = pytest.mark.integration


@pytest.fixture
def pair(ratsd_factory: Callable[..., Ratsd]) -> Iterator[Pair]:
    made = Pair(ratsd_factory)
    yield made
    made.close()


def test_peers_are_announced_and_described(pair: Pair) -> None:
    seen: List[Tuple[str, str]] = []
    pair.b.set_connection_callback(lambda peer: seen.append(("connected", peer)))
    pair.b.set_disconnect_callback(lambda peer: seen.append(("gone", peer)))
    pair.link()
    assert pair.a.get_peer_ids() == [pair.b_id]
    assert pair.a.get_peer_count() == 1
    info = pair.a.get_peer_info(pair.b_id)
    assert info["peer_id"] == pair.b_id
    assert (info["ip"], info["port"]) == ("127.0.0.1", pair.b.get_listen_port())
    assert info["is_outgoing"] is True
    assert info["encryption_enabled"] is True
    assert pair.a.get_peer_info(pair.b_id.upper())["peer_id"] == pair.b_id
    wait_until(lambda: seen == [("connected", pair.a_id)])
    pair.a.disconnect_peer(pair.b_id)
    wait_until(lambda: seen == [("connected", pair.a_id), ("gone", pair.a_id)])
    wait_until(lambda: pair.a.get_peer_count() == 0)
    pair.a.disconnect_peer(pair.b_id)


def test_connecting_twice_succeeds(pair: Pair) -> None:
    pair.link()
    pair.a.connect("127.0.0.1", pair.b.get_listen_port())
    assert pair.a.get_peer_count() == 1
    with pytest.raises(RatsConnectionError):
        pair.a.connect("127.0.0.1", 1)


def test_every_kind_of_message_arrives(pair: Pair) -> None:
    got: List[Tuple[Any, ...]] = []
    pair.b.set_string_callback(lambda peer, text: got.append(("string", peer, text)))
    pair.b.set_binary_callback(lambda peer, data: got.append(("binary", peer, data)))
    pair.b.set_json_callback(lambda peer, value: got.append(("json", peer, value)))
    pair.b.on_channel("chat", lambda peer, data: got.append(("chat", peer, data)))
    pair.link()
    a, b_id = pair.a, pair.b_id
    a.send_string(b_id, "héllo")
    a.send_string(b_id, "")
    a.send_binary(b_id, b"\0\x01")
    a.send_json(b_id, {"k": [1, 2.5, None, "ü"]})
    a.send_json(b_id, 7)
    a.send_channel(b_id, "chat", b"one")
    a.send_channel(b_id, "chat", b"")
    assert a.broadcast_string("to all") == 1
    assert a.broadcast_binary(b"all") == 1
    assert a.broadcast_json([]) == 1
    assert a.broadcast_channel("chat", b"all") == 1
    expected = [
        ("string", "héllo"),
        ("string", ""),
        ("binary", b"\0\x01"),
        ("json", {"k": [1, 2.5, None, "ü"]}),
        ("json", 7),
        ("chat", b"one"),
        ("chat", b""),
        ("string", "to all"),
        ("binary", b"all"),
        ("json", []),
        ("chat", b"all"),
    ]
    wait_until(lambda: len(got) == len(expected))
    assert got == [(kind, pair.a_id, value) for kind, value in expected]


def test_bytes_like_objects_are_sent_as_they_are(pair: Pair) -> None:
    got: List[bytes] = []
    pair.b.on_channel("c", lambda peer, data: got.append(data))
    pair.b.set_binary_callback(lambda peer, data: got.append(data))
    pair.link()
    block = bytes(range(256))
    payloads: List[Any] = [
        block,
        bytearray(block),
        memoryview(block),
        memoryview(bytearray(block))[10:20],
        memoryview(block)[::2],
    ]
    for payload in payloads:
        pair.a.send_channel(pair.b_id, "c", payload)
        pair.a.send_binary(pair.b_id, payload)
        pair.a.broadcast_channel("c", payload)
        pair.a.broadcast_binary(payload)
    expected = [bytes(payload) for payload in payloads for _ in range(4)]
    wait_until(lambda: len(got) == len(expected))
    assert got == expected
    growable = bytearray(b"x")
    pair.a.send_channel(pair.b_id, "c", growable)
    growable.append(1)


def test_large_messages_arrive_whole(pair: Pair) -> None:
    got: List[bytes] = []
    pair.b.on_channel("big", lambda peer, data: got.append(data))
    pair.link()
    sizes = [1, 300_000, 5, 4_000_000, 0, 20_000_000]
    payloads = [bytes([i + 1]) * size for i, size in enumerate(sizes)]
    for payload in payloads:
        pair.a.send_channel(pair.b_id, "big", payload)
    wait_until(lambda: len(got) == len(payloads), 60)
    assert got == payloads


def test_many_messages_arrive_in_order(pair: Pair) -> None:
    count = 20000
    got: List[int] = []
    pair.b.on_channel("n", lambda peer, data: got.append(int(data)))
    pair.link()
    for number in range(count):
        pair.a.send_channel(pair.b_id, "n", b"%d" % number)
    wait_until(lambda: len(got) == count, 30)
    assert got == list(range(count))


def test_callbacks_may_call_everything(pair: Pair) -> None:
    count = 1000
    got: List[str] = []

    def answer(peer: str, text: str) -> None:
        pair.b.send_string(peer, text)
        pair.b.broadcast_channel("side", b"x")
        pair.b.on_channel("other", lambda peer, data: None)
        pair.b.off_channel("other")
        assert pair.b.get_peer_ids()

    pair.b.set_string_callback(answer)
    pair.a.set_string_callback(lambda peer, text: got.append(text))
    pair.link()
    for number in range(count):
        pair.a.send_string(pair.b_id, str(number))
    wait_until(lambda: len(got) == count, 30)
    assert got == [str(number) for number in range(count)]


def test_two_programs_share_one_peer(pair: Pair) -> None:
    got: List[Tuple[str, bytes]] = []
    pair.link()
    with pair.there.client(name="second") as second:
        present: List[str] = []
        second.set_connection_callback(present.append)
        second.on_channel("c", lambda peer, data: got.append(("second", data)))
        pair.b.on_channel("c", lambda peer, data: got.append(("first", data)))
        second.start()
        wait_until(lambda: present == [pair.a_id])
        pair.a.send_channel(pair.b_id, "c", b"x")
        wait_until(lambda: len(got) == 2)
    assert sorted(got) == [("first", b"x"), ("second", b"x")]
    pair.a.send_channel(pair.b_id, "c", b"y")
    wait_until(lambda: ("first", b"y") in got)


def test_nothing_arrives_between_stop_and_start(pair: Pair) -> None:
    got: List[bytes] = []
    connected: List[str] = []
    pair.b.set_connection_callback(connected.append)
    pair.b.on_channel("c", lambda peer, data: got.append(data))
    pair.link()
    wait_until(lambda: len(connected) == 1)
    pair.b.stop()
    with pair.there.client() as other:
        seen = threading.Event()
        other.on_channel("c", lambda peer, data: seen.set())
        other.start()
        pair.a.send_channel(pair.b_id, "c", b"unseen")
        assert seen.wait(10)
    pair.b.start()
    wait_until(lambda: len(connected) == 2)
    pair.a.send_channel(pair.b_id, "c", b"seen")
    wait_until(lambda: got == [b"seen"])


def test_peers_are_restored_when_the_daemon_comes_back(pair: Pair) -> None:
    seen: List[Tuple[str, Any]] = []
    got: List[bytes] = []
    pair.link()
    wait_until(lambda: pair.a.get_peer_count() == 1)
    pair.b.on_channel("c", lambda peer, data: got.append(data))
    pair.b.set_daemon_callback(lambda attached: seen.append(("daemon", attached)))
    pair.b.set_disconnect_callback(lambda peer: seen.append(("gone", peer)))
    pair.b.set_connection_callback(lambda peer: seen.append(("connected", peer)))
    pair.there.kill()
    wait_until(lambda: seen == [("gone", pair.a_id), ("daemon", False)])
    pair.there.start()
    wait_until(lambda: pair.b.is_attached())
    wait_until(lambda: ("daemon", True) in seen)
    wait_until(lambda: pair.a.get_peer_count() == 0)
    pair.a.connect("127.0.0.1", pair.there.port)
    wait_until(lambda: ("connected", pair.a_id) in seen)
    pair.a.send_channel(pair.b_id, "c", b"again")
    wait_until(lambda: got == [b"again"])


@pytest.mark.slow
def test_closing_in_a_callback_never_hangs(ratsd_factory: Callable[..., Ratsd]) -> None:
    here, there = ratsd_factory(), ratsd_factory()
    with here.client() as a:
        a.start()
        a.connect("127.0.0.1", there.port)
        for _ in range(1000):
            closed = threading.Event()
            client = there.client()

            def close(peer: str, client: RatsClient = client) -> None:
                client.close()
                closed.set()

            client.set_connection_callback(close)
            try:
                client.start()
            except RatsNotRunningError:
                pass  # the callback was faster than the end of start()
            assert closed.wait(5)
            client.close()


def test_exit_in_a_callback_ends_nothing_else(pair: Pair) -> None:
    got: List[str] = []

    def leave(peer: str, text: str) -> None:
        got.append(text)
        raise SystemExit(1)

    pair.b.set_string_callback(leave)
    pair.link()
    pair.a.send_string(pair.b_id, "1")
    pair.a.send_string(pair.b_id, "2")
    wait_until(lambda: got == ["1", "2"])


def test_typed_messages_arrive_as_text(pair: Pair) -> None:
    got: List[Tuple[Any, ...]] = []
    pair.b.on_message("chat", lambda peer, text: got.append(("on", peer, text)))
    pair.b.once_message("chat", lambda peer, text: got.append(("once", peer, text)))
    pair.link()
    pair.a.send_message(pair.b_id, "chat", '{"b":2,"a":1}')
    pair.a.send_message(pair.b_id, "chat", "no JSON")
    pair.a.send_message_json(pair.b_id, "chat", {"k": ["ü", None, 2**64 - 1]})
    pair.a.broadcast_message("chat", "[]")
    pair.a.broadcast_message("other", "1")
    expected = [
        ("on", '{"b":2,"a":1}'),
        ("once", '{"b":2,"a":1}'),
        ("on", '"no JSON"'),
        ("on", '{"k": ["ü", null, 18446744073709551615]}'),
        ("on", "[]"),
    ]
    wait_until(lambda: len(got) == len(expected))
    assert got == [(kind, pair.a_id, text) for kind, text in expected]
    with pytest.raises(RatsPeerNotFoundError):
        pair.a.send_message("0" * 64, "chat", "1")
    with pytest.raises(RatsJsonParseError):
        pair.a.send_message(pair.b_id, "chat", "[" * 1001 + "]" * 1001)
    with pytest.raises(RatsInvalidParameterError):
        pair.a.send_message(pair.b_id, "x" * 4097, "1")


def types_of(client: RatsClient) -> int:
    rows = client.call("session.list")["sessions"]
    return int([row for row in rows if row["name"] == "b"][0]["types"])


def test_a_type_is_registered_while_somebody_wants_it(pair: Pair) -> None:
    got: List[str] = []
    pair.link()
    pair.b.once_message("t", lambda peer, text: got.append(text))
    assert types_of(pair.b) == 1
    pair.a.send_message(pair.b_id, "t", "1")
    wait_until(lambda: types_of(pair.b) == 0)
    assert got == ["1"]
    pair.b.on_message("t", lambda peer, text: got.append(text))
    pair.b.once_message("t", lambda peer, text: got.append(text))
    pair.b.on_message("t", None)
    assert types_of(pair.b) == 1
    pair.b.off_message("t")
    pair.b.off_message("t")
    assert types_of(pair.b) == 0
    with pytest.raises(TypeError):
        pair.b.once_message("t", None)  # type: ignore[arg-type]


def test_topics_reach_subscribers_of_both_daemons(pair: Pair) -> None:
    got: List[Tuple[Any, ...]] = []
    joined: List[str] = []
    other = pair.here.client(name="other")
    pair.b.set_topic_message_callback("news", lambda *what: got.append(("b",) + what))
    pair.b.set_topic_json_message_callback("news", lambda *what: got.append(("b json",) + what))
    other.set_topic_binary_callback("news", lambda *what: got.append(("other",) + what))
    pair.a.set_topic_peer_joined_callback("news", lambda peer, topic: joined.append(peer))
    pair.link()
    other.start()
    for client in (pair.a, other, pair.b):
        client.subscribe_to_topic("news")
    wait_until(lambda: joined == [pair.b_id])
    pair.a.publish_to_topic("news", "grüße")
    wait_until(lambda: len(got) == 2)
    pair.a.publish_json_to_topic("news", [1])
    wait_until(lambda: len(got) == 5)
    assert [what for what in got if what[0] == "other"] == [
        ("other", pair.a_id, "news", "grüße".encode()),
        ("other", pair.a_id, "news", b"[1]"),
    ]
    assert [what for what in got if what[0] != "other"] == [
        ("b", pair.a_id, "news", "grüße"),
        ("b", pair.a_id, "news", "[1]"),
        ("b json", pair.a_id, "news", [1]),
    ]
    assert pair.a.get_topic_peers("news") == [pair.b_id]
    assert pair.b.get_subscribed_topics() == ["news"]
    pair.b.unsubscribe_from_topic("news")
    with pytest.raises(RatsError):
        pair.b.unsubscribe_from_topic("news")
    with pytest.raises(RatsInvalidParameterError):
        pair.b.subscribe_to_topic("")
    pair.b.clear_topic_callbacks("news")
    other.close()
