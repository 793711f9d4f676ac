import logging
import random
import threading
from ctypes import addressof, create_string_buffer
from typing import Any, List, Tuple

import pytest
from support import ALICE, BOB, event, frame, message, message_head

from librats_py.dispatch import Dispatcher

Calls = List[Tuple[Any, ...]]


@pytest.fixture
def dispatcher() -> Dispatcher:
    made = Dispatcher()
    made.start()
    return made


@pytest.fixture
def calls() -> Calls:
    return []


def test_a_batch_calls_each_function_in_order(dispatcher: Dispatcher, calls: Calls) -> None:
    dispatcher.connection = lambda peer: calls.append(("connection", peer))
    dispatcher.disconnect = lambda peer: calls.append(("disconnect", peer))
    dispatcher.set_string(lambda peer, text: calls.append(("string", peer, text)))
    dispatcher.set_binary(lambda peer, data: calls.append(("binary", peer, data)))
    dispatcher.set_json(lambda peer, value: calls.append(("json", peer, value)))
    dispatcher.set_channel(b"c", lambda peer, data: calls.append(("channel", peer, data)))
    alice, bob = ALICE.hex(), BOB.hex()
    dispatcher.process(
        event("peer.connected", {"peer": alice, "ip": "192.0.2.1"})
        + message(b"rats.string", "hé".encode())
        + message(b"rats.binary", b"\0\xff")
        + message(b"rats.json", b'{"a": [1, null]}')
        + message(b"c", b"one")
        + message(b"c", b"two", BOB)
        + message(b"c", b"")
        + event("peer.disconnected", {"peer": alice, "reason": "closed"})
    )
    assert calls == [
        ("connection", alice),
        ("string", alice, "hé"),
        ("binary", alice, b"\0\xff"),
        ("json", alice, {"a": [1, None]}),
        ("channel", alice, b"one"),
        ("channel", bob, b"two"),
        ("channel", alice, b""),
        ("disconnect", alice),
    ]


def test_empty_strings_arrive(dispatcher: Dispatcher, calls: Calls) -> None:
    dispatcher.set_string(lambda peer, text: calls.append((text,)))
    dispatcher.process(message(b"rats.string", b""))
    assert calls == [("",)]


def test_text_is_cut_at_a_nul_byte_and_repaired(dispatcher: Dispatcher, calls: Calls) -> None:
    dispatcher.set_string(lambda peer, text: calls.append((text,)))
    dispatcher.process(message(b"rats.string", b"a\0b") + message(b"rats.string", b"\xff!"))
    assert calls == [("a",), ("\ufffd!",)]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"nan", b"NaN", b"-Infinity", b"\xff", b"[" * 100000, b'{"a":1} x']
)
def test_what_is_not_json_is_dropped(dispatcher: Dispatcher, calls: Calls, text: bytes) -> None:
    dispatcher.set_json(lambda peer, value: calls.append((value,)))
    dispatcher.process(message(b"rats.json", text) + message(b"rats.json", b" 7 "))
    assert calls == [(7,)]


def test_string_callback_and_channel_callback_both_run(
    dispatcher: Dispatcher, calls: Calls
) -> None:
    def fails(peer: str, text: str) -> None:
        calls.append(("string", text))
        raise ValueError("first")

    dispatcher.set_string(fails)
    dispatcher.set_channel(b"rats.string", lambda peer, data: calls.append(("channel", data)))
    dispatcher.process(message(b"rats.string", b"x"))
    assert calls == [("string", "x"), ("channel", b"x")]


def test_exceptions_are_logged_reported_and_stop_nothing(
    dispatcher: Dispatcher, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(peer: str, data: bytes) -> None:
        raise KeyError("user's bug")

    def exits(peer: str) -> None:
        raise SystemExit(3)

    def reports(kind: str, error: BaseException) -> None:
        calls.append((kind, type(error)))
        raise RuntimeError("in the hook")

    dispatcher.set_channel(b"bad", fails)
    dispatcher.connection = exits
    dispatcher.set_channel(b"good", lambda peer, data: calls.append((data,)))
    dispatcher.error = reports
    with caplog.at_level(logging.ERROR, logger="librats_py"):
        dispatcher.process(
            message(b"bad", b"") + event("peer.connected", {"peer": "ab"}) + message(b"good", b"1")
        )
    assert calls == [("channel", KeyError), ("connection", SystemExit), (b"1",)]
    assert caplog.records[0].name == "librats_py"
    assert "Error in channel callback" in caplog.text
    assert "Traceback" in caplog.text and "user's bug" in caplog.text
    assert "Error in error callback: in the hook" in caplog.text


def test_none_clears_and_a_new_function_replaces_within_a_batch(
    dispatcher: Dispatcher, calls: Calls
) -> None:
    def first(peer: str, data: bytes) -> None:
        calls.append(("first", data))
        dispatcher.set_channel(b"c", second)

    def second(peer: str, data: bytes) -> None:
        calls.append(("second", data))
        dispatcher.set_channel(b"c", None)

    dispatcher.set_channel(b"c", first)
    dispatcher.process(message(b"c", b"1") + message(b"c", b"2") + message(b"c", b"3"))
    assert calls == [("first", b"1"), ("second", b"2")]
    assert not dispatcher.wants(b"c")


def test_nothing_is_delivered_unless_started(calls: Calls) -> None:
    dispatcher = Dispatcher()
    dispatcher.set_binary(lambda peer, data: calls.append((data,)))
    dispatcher.connection = lambda peer: calls.append((peer,))
    dispatcher.event = lambda name, fields, sequence: calls.append((name, fields, sequence))
    dispatcher.process(message(b"rats.binary", b"1") + event("peer.connected", {"peer": "ab"}, 9))
    assert calls == [("peer.connected", {"peer": "ab"}, 9)]


def test_stop_inside_a_callback_makes_it_the_last(dispatcher: Dispatcher, calls: Calls) -> None:
    def on_data(peer: str, data: bytes) -> None:
        calls.append((data,))
        dispatcher.stop()
        dispatcher.start()

    dispatcher.set_binary(on_data)
    batch = message(b"rats.binary", b"1") + message(b"rats.binary", b"2")
    dispatcher.process(batch)
    assert calls == [(b"1",)], "the rest of the batch is from before the stop"
    dispatcher.process(message(b"rats.binary", b"3"))
    assert calls == [(b"1",), (b"3",)]


def test_daemon_overflow_and_event_callbacks(dispatcher: Dispatcher, calls: Calls) -> None:
    dispatcher.daemon = lambda attached: calls.append(("daemon", attached))
    dispatcher.overflow = lambda lost: calls.append(("overflow", lost))
    dispatcher.event = lambda name, fields, sequence: calls.append((name, sequence))
    dispatcher.process(
        event("lost", {"channel": 3, "typed": 0, "topic": 0, "total": 3}, 7)
        + event("daemon.detached", sequence=0)
        + event("daemon.attached", sequence=0)
        + event("something.newer", {"x": 1}, 8)
    )
    assert calls == [
        ("overflow", 3),
        ("lost", 7),
        ("daemon", False),
        ("daemon.detached", 0),
        ("daemon", True),
        ("daemon.attached", 0),
        ("something.newer", 8),
    ]


def test_other_kinds_and_planes_are_skipped(dispatcher: Dispatcher, calls: Calls) -> None:
    dispatcher.set_channel(b"c", lambda peer, data: calls.append((data,)))
    dispatcher.process(
        frame(2, b'{"peers": 1}')
        + frame(3, b"{}")
        + frame(6, b"")
        + frame(77, b"x" * 100, b"y")
        + frame(5, message_head(b"c", plane=2), b"typed")
        + frame(5, message_head(b"c", plane=3) + bytes(32), b"topic")
        + message(b"c", b"1")
    )
    assert calls == [(b"1",)]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x01",
        b"GET / HTTP/1.1\r\n\r\n",
        message(b"c", b"x")[:-1],
        message(b"c", b"x")[:20],
        frame(5, b"")[:4] + b"\xff\xff" + frame(5, b"")[6:],  # a head larger than the frame
        b"\xff\xff\xff\xff" + frame(4, b"{}")[4:],
    ],
)
def test_bytes_that_are_no_frames_end_the_batch(
    dispatcher: Dispatcher, calls: Calls, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    dispatcher.set_channel(b"c", lambda peer, data: calls.append((data,)))
    dispatcher.process(message(b"c", b"1") + garbage)
    assert calls == [(b"1",)]
    assert "malformed batch" in caplog.text


@pytest.mark.parametrize(
    "bad",
    [
        frame(5, b""),
        frame(5, b"\x01" * 35),
        frame(5, message_head(b"name")[:-1]),
        frame(4, b""),
        frame(4, b"[]"),
        frame(4, b'{"p": {}}'),
        frame(4, b'{"v": 7}'),
        frame(4, b"\xff"),
        frame(4, b"[" * 60000),
        event("peer.connected", {}),
        event("peer.connected", {"peer": 7}),
    ],
)
def test_a_malformed_head_costs_one_frame(
    dispatcher: Dispatcher, calls: Calls, caplog: pytest.LogCaptureFixture, bad: bytes
) -> None:
    dispatcher.set_channel(b"c", lambda peer, data: calls.append((data,)))
    dispatcher.connection = lambda peer: calls.append((peer,))
    dispatcher.process(bad + message(b"c", b"1"))
    assert calls == [(b"1",)]
    assert caplog.records


def test_random_bytes_never_raise(dispatcher: Dispatcher) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    whole = (
        event("peer.connected", {"peer": "ab"}) + message(b"rats.json", b"{}") + message(b"c", b"x")
    )
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            dispatcher.process(bytes(data[: chance.randrange(len(data) + 1)]))
        except BaseException:
            raise AssertionError("seed {}".format(seed))


def test_a_large_batch_is_taken_frame_by_frame(dispatcher: Dispatcher, calls: Calls) -> None:
    sizes: List[int] = []
    dispatcher.set_channel(b"c", lambda peer, data: sizes.append(len(data)))
    dispatcher.connection = lambda peer: calls.append((peer,))
    batch = (
        message(b"c", b"x" * 300000)
        + event("peer.connected", {"peer": "ab"})
        + frame(2, b"{}")
        + message(b"c", b"")
        + message(b"c", b"y" * 1000)
    )
    memory = create_string_buffer(batch, len(batch))
    dispatcher.process_memory(addressof(memory), len(batch))
    assert sizes == [300000, 0, 1000]
    assert calls == [("ab",)]
    dispatcher.process_memory(addressof(memory), len(batch) - 1)
    assert sizes == [300000, 0, 1000, 300000, 0]


def test_many_senders_and_channels_do_not_grow_the_tables(dispatcher: Dispatcher) -> None:
    seen = set()
    dispatcher.set_channel(b"c", lambda peer, data: seen.add(peer))
    count = 20000
    for start in range(0, count, 1000):
        dispatcher.process(
            b"".join(message(b"c", b"", i.to_bytes(32, "big")) for i in range(start, start + 1000))
        )
    assert len(seen) == count
    assert len(dispatcher._routes) <= 8192


def test_setters_of_other_threads_are_safe(dispatcher: Dispatcher) -> None:
    batch = message(b"c", b"x") * 200
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            dispatcher.set_channel(b"c", lambda peer, data: None)
            dispatcher.set_channel(b"c", None)

    thread = threading.Thread(target=change)
    thread.start()
    for _ in range(200):
        dispatcher.process(batch)
    stop.set()
    thread.join()
    dispatcher.set_channel(b"c", None)
    assert not dispatcher._routes


def typed(name: bytes, body: bytes) -> bytes:
    return frame(5, message_head(name, plane=2), body)


def test_typed_messages_are_json_text(dispatcher: Dispatcher, calls: Calls) -> None:
    dispatcher.set_type(b"t", lambda peer, text: calls.append((peer, text)))
    dispatcher.set_channel(b"t", lambda peer, data: calls.append(("channel", data)))
    good = [b'{"a":1}', b" 1 ", b"\xef\xbb\xbf[]", b'"\\ud83d\\ude00\\u0000"', b"1e999", b"9" * 5000,
            b"[" * 1000 + b"]" * 1000, b'{"a":[' * 499 + b'"\\ud83d\\ude00"' + b"]}" * 499]
    bad = [b"", b"x", b"1x", b"NaN", b"[1,]", b'"\xff"', b'"\0"', b'"\\ud800"', b'{"\\uDC00":1}',
           b"[" * 100000, b"[" * 1001 + b"]" * 1001, b"[" * 1000 + b'"\\ud83d"' + b"]" * 1000,
           b"[" * 1000 + b"1," + b"]" * 1000]
    dispatcher.process(b"".join(typed(b"t", body) for body in bad + good) + typed(b"u", b"1"))
    assert calls == [(ALICE.hex(), body.decode("utf-8-sig")) for body in good]


def test_once_is_for_one_message(dispatcher: Dispatcher, calls: Calls) -> None:
    unused: List[bytes] = []
    dispatcher.on_type_unused = unused.append
    dispatcher.add_once(b"t", lambda peer, text: calls.append(("a", text)))
    dispatcher.add_once(b"t", lambda peer, text: calls.append(("b", text)))
    dispatcher.process(typed(b"t", b"no JSON") + typed(b"t", b"1") + typed(b"t", b"2"))
    assert calls == [("a", "1"), ("b", "1")] and unused == [b"t"]
    assert not dispatcher.wants_type(b"t")
    dispatcher.set_type(b"t", lambda peer, text: calls.append(("on", text)))
    dispatcher.add_once(b"t", lambda peer, text: calls.append(("once", text)))
    dispatcher.process(typed(b"t", b"3") + typed(b"t", b"4"))
    assert calls[2:] == [("on", "3"), ("once", "3"), ("on", "4")] and unused == [b"t"]


def test_once_inside_once_is_for_the_next_message(dispatcher: Dispatcher, calls: Calls) -> None:
    unused: List[bytes] = []
    dispatcher.on_type_unused = lambda name: (
        None if dispatcher.wants_type(name) else unused.append(name)
    )

    def again(peer: str, text: str) -> None:
        calls.append((text,))
        if text != "3":
            dispatcher.add_once(b"t", again)

    dispatcher.add_once(b"t", again)
    dispatcher.process(b"".join(typed(b"t", b"%d" % number) for number in range(1, 6)))
    assert calls == [("1",), ("2",), ("3",)] and unused == [b"t"]


def test_a_failing_function_stops_no_other(dispatcher: Dispatcher, calls: Calls) -> None:
    def fails(peer: str, text: str) -> None:
        raise KeyError(text)

    dispatcher.error = lambda kind, error: calls.append((kind, type(error)))
    dispatcher.set_type(b"t", fails)
    dispatcher.add_once(b"t", fails)
    dispatcher.add_once(b"t", lambda peer, text: calls.append((text,)))
    dispatcher.process(typed(b"t", b"1"))
    assert calls == [("message", KeyError), ("message", KeyError), ("1",)]
    dispatcher.clear_type(b"t")
    assert not dispatcher.wants_type(b"t")


def of_topic(name: bytes, body: bytes, forwarder: bytes = BOB) -> bytes:
    return frame(5, message_head(name, plane=3) + forwarder, body)


def hear_topic(dispatcher: Dispatcher, calls: Calls) -> None:
    for kind in ("message", "json", "binary"):
        dispatcher.set_topic(kind, b"t", lambda *rest, kind=kind: calls.append((kind, *rest)))
    for kind in ("joined", "left"):
        dispatcher.set_topic(kind, b"t", lambda *rest, kind=kind: calls.append((kind, *rest)))


def test_the_forwarder_is_told_beside_the_publisher(dispatcher: Dispatcher, calls: Calls) -> None:
    dispatcher.set_topic("forwarded", b"t", lambda *what: calls.append(what))
    dispatcher.set_subscribed(b"t", True)
    dispatcher.process(of_topic(b"t", b"1", BOB) + of_topic(b"t", b"", ALICE))
    alice, bob = ALICE.hex(), BOB.hex()
    assert calls == [(alice, bob, "t", b"1"), (alice, alice, "t", b"")]


def test_topic_messages_reach_three_callbacks(dispatcher: Dispatcher, calls: Calls) -> None:
    hear_topic(dispatcher, calls)
    dispatcher.process(of_topic(b"t", b"1"))
    assert calls == []
    assert not dispatcher.set_subscribed(b"t", True)
    dispatcher.process(
        of_topic(b"t", b"[1]", BOB) + of_topic(b"t", b"x\0y\xff", ALICE) + of_topic(b"u", b"1")
    )
    alice = ALICE.hex()
    assert calls == [
        ("message", alice, "t", "[1]"),
        ("json", alice, "t", [1]),
        ("binary", alice, "t", b"[1]"),
        ("message", alice, "t", "x"),
        ("binary", alice, "t", b"x\0y\xff"),
    ]
    dispatcher.set_topic("message", b"t", None)
    dispatcher.set_topic("json", b"t", None)
    dispatcher.process(of_topic(b"t", b"2"))
    assert calls[5:] == [("binary", alice, "t", b"2")]
    dispatcher.end()
    dispatcher.process(of_topic(b"t", b"3"))
    assert dispatcher.set_subscribed(b"t", True) is False
    dispatcher.clear_topic(b"t")
    dispatcher.process(of_topic(b"t", b"4"))
    assert len(calls) == 6


def test_clearing_a_topic_leaves_others_alone(dispatcher: Dispatcher, calls: Calls) -> None:
    for name in (b"b", b"a_b"):
        dispatcher.set_subscribed(name, True)
        dispatcher.set_topic("message", name, lambda *rest: calls.append(rest))
    dispatcher.clear_topic(b"b")
    dispatcher.process(of_topic(b"b", b"1") + of_topic(b"a_b", b"2"))
    assert calls == [(ALICE.hex(), "a_b", "2")]


def test_peers_of_topics_join_and_leave(dispatcher: Dispatcher, calls: Calls) -> None:
    hear_topic(dispatcher, calls)
    fields = {"peer": "ab", "topic": "t"}
    dispatcher.process(event("topic.joined", fields))
    dispatcher.set_subscribed(b"t", True)
    dispatcher.process(
        event("topic.joined", fields)
        + event("topic.joined", {"peer": "ab", "topic": "u"})
        + event("topic.joined", {"peer": "ab"})
        + event("topic.left", fields)
    )
    assert calls == [("joined", "ab", "t"), ("left", "ab", "t")]


def test_stop_in_a_topic_callback_makes_it_the_last(dispatcher: Dispatcher, calls: Calls) -> None:
    hear_topic(dispatcher, calls)
    dispatcher.set_subscribed(b"t", True)
    dispatcher.set_topic("message", b"t", lambda *rest: dispatcher.stop())
    dispatcher.process(of_topic(b"t", b"1") + of_topic(b"t", b"2"))
    assert calls == []
