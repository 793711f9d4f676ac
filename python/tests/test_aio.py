"""``AsyncRatsClient``: the same client on an event loop."""

import asyncio
import inspect
import socket
import threading
from pathlib import Path
from typing import Any, Awaitable, Callable, List, Tuple

import pytest

from librats_py import (
    AsyncRatsClient,
    FileTransferStatus,
    Message,
    PeerChange,
    RatsClient,
    RatsError,
    RatsInvalidParameterError,
    RatsJsonParseError,
    RatsNotRunningError,
    StorageChange,
)
from librats_py.dispatch import PLANE_TOPIC
from librats_py.pytest_plugin import Ratsd


def run(coroutine: Awaitable[Any]) -> Any:
    async def story() -> Any:
        return await asyncio.wait_for(coroutine, 60)

    return asyncio.run(story())


def test_every_method_is_there() -> None:
    for name, method in inspect.getmembers(RatsClient, inspect.isfunction):
        if name.startswith("_") or isinstance(inspect.getattr_static(RatsClient, name), staticmethod):
            continue
        its = getattr(AsyncRatsClient, name)
        assert inspect.iscoroutinefunction(its) or inspect.isasyncgenfunction(its), name
    assert AsyncRatsClient.get_version_string is not None


def test_a_client_that_was_not_entered_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        run(AsyncRatsClient().get_peer_count())


@pytest.mark.integration
def test_a_client_that_was_left_says_so(ratsd: Ratsd) -> None:
    async def story() -> None:
        async with AsyncRatsClient(socket_path=ratsd.socket_path) as client:
            pass
        for step in (
            client.get_peer_count(),
            client.send_file("a" * 64, "f"),
            client.messages().__anext__(),
            client.peers().__anext__(),
            client.storage_changes().__anext__(),
        ):
            with pytest.raises(RatsNotRunningError):
                await step

    run(story())


@pytest.mark.integration
def test_messages_and_files_between_two_loops(
    ratsd_factory: Callable[..., Ratsd], tmp_path: Path
) -> None:
    here, there = ratsd_factory(), ratsd_factory()
    (tmp_path / "f").write_bytes(b"x" * 1000)
    heard: List[Tuple[str, str, bool]] = []

    async def story() -> List[Any]:
        on_loop = threading.current_thread()
        async with AsyncRatsClient(socket_path=here.socket_path) as a:
            async with AsyncRatsClient(socket_path=there.socket_path) as b:
                arrived = asyncio.Event()

                def on_string(peer_id: str, text: str) -> None:
                    heard.append((peer_id, text, threading.current_thread() is on_loop))
                    arrived.set()

                async def on_file(peer_id: str, transfer_id: str, path: str, name: str) -> None:
                    await b.accept_file_transfer(transfer_id, tmp_path / "in" / name)

                await b.set_string_callback(on_string)
                await b.set_file_request_callback(on_file)
                await a.start()
                await b.start()
                await a.connect("127.0.0.1", await b.get_listen_port())
                peer = await b.get_our_peer_id()
                await a.send_string(peer, "hello")
                await arrived.wait()
                with pytest.raises(RatsError):
                    await a.send_file(peer, tmp_path / "absent")
                transfer_id = await a.send_file(peer, tmp_path / "f")
                return [progress async for progress in a.transfer_progress(transfer_id)]

    steps = run(story())
    assert steps[-1]["status"] == FileTransferStatus.COMPLETED
    assert (tmp_path / "in" / "f").read_bytes() == b"x" * 1000
    assert [(text, on_loop) for _, text, on_loop in heard] == [("hello", True)]


@pytest.mark.integration
def test_following_may_be_cancelled(ratsd_factory: Callable[..., Ratsd], tmp_path: Path) -> None:
    here, there = ratsd_factory(), ratsd_factory()
    (tmp_path / "f").write_bytes(b"x")

    async def story() -> None:
        async with AsyncRatsClient(socket_path=here.socket_path) as a:
            async with AsyncRatsClient(socket_path=there.socket_path) as b:
                await b.set_file_request_callback(lambda *request: None)
                await a.start()
                await b.start()
                await a.connect("127.0.0.1", await b.get_listen_port())
                transfer_id = await a.send_file(await b.get_our_peer_id(), tmp_path / "f")
                seen = asyncio.Event()

                async def follow() -> None:
                    async for _ in a.transfer_progress(transfer_id):
                        seen.set()

                task = asyncio.ensure_future(follow())
                await seen.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await a.cancel_file_transfer(transfer_id)
                steps = [progress async for progress in a.transfer_progress(transfer_id)]
                assert steps[-1]["status"] == FileTransferStatus.CANCELLED

    run(story())


# --- what comes, by iterating ---------------------------------------------------------------------


class Linked:
    """``async with``: clients of two daemons, started and linked, each knowing the other's id."""

    def __init__(self, make: Callable[..., Ratsd]) -> None:
        self.here, self.there = make(), make()
        self.a = AsyncRatsClient(socket_path=self.here.socket_path)
        self.b = AsyncRatsClient(socket_path=self.there.socket_path)

    async def __aenter__(self) -> "Linked":
        await self.a.__aenter__()
        await self.b.__aenter__()
        self.a_id, self.b_id = await self.a.get_our_peer_id(), await self.b.get_our_peer_id()
        await self.a.start()
        await self.b.start()
        await self.link()
        return self

    async def link(self) -> None:
        await self.a.connect("127.0.0.1", await self.b.get_listen_port())
        await until(lambda: self.b.get_peer_count(), lambda count: count == 1)

    async def __aexit__(self, *error: Any) -> None:
        await self.a.__aexit__(None, None, None)
        await self.b.__aexit__(None, None, None)


async def until(ask: Callable[[], Awaitable[Any]], good: Callable[[Any], bool]) -> Any:
    while True:
        answer = await ask()
        if good(answer):
            return answer
        await asyncio.sleep(0.005)


@pytest.mark.integration
def test_every_kind_of_message_is_iterated_over(ratsd_factory: Callable[..., Ratsd]) -> None:
    async def story() -> None:
        async with Linked(ratsd_factory) as pair:
            a, b, a_id, b_id = pair.a, pair.b, pair.a_id, pair.b_id
            untyped, channel = b.messages(), b.messages(channel="c")
            typed, topic = b.messages(message_type="order"), b.messages(topic="news")
            async with untyped, channel, typed, topic:
                await a.send_string(b_id, "grüße")
                await a.send_binary(b_id, b"\0\xff")
                await a.send_json(b_id, {"n": 1})
                await a.send_channel(b_id, "c", b"")
                await a.send_message_json(b_id, "order", [7])
                await until(lambda: a.get_topic_peers("news"), lambda peers: peers == [b_id])
                await a.publish_to_topic("news", "text")
                string, binary, json = [await untyped.__anext__() for _ in range(3)]
                assert string == Message(a_id, "string", "", "grüße".encode(), "")
                assert string.text == "grüße"
                assert binary == Message(a_id, "binary", "", b"\0\xff", "")
                assert (json.kind, json.json()) == ("json", {"n": 1})
                assert await channel.__anext__() == Message(a_id, "channel", "c", b"", "")
                order, news = await typed.__anext__(), await topic.__anext__()
                assert (order.kind, order.name, order.json()) == ("message", "order", [7])
                assert news == Message(a_id, "topic", "news", b"text", a_id)
                with pytest.raises(RatsJsonParseError):
                    news.json()

    run(story())


@pytest.mark.integration
def test_what_an_iterator_cannot_be_is_said_at_once(ratsd: Ratsd) -> None:
    async def story() -> None:
        async with AsyncRatsClient(socket_path=ratsd.socket_path) as client:
            with pytest.raises(ValueError, match="at most one"):
                client.messages(channel="c", topic="t")
            with pytest.raises(ValueError, match="limit_bytes"):
                client.messages(limit_bytes=-1)
            with pytest.raises(ValueError, match="limit_bytes"):
                client.storage_changes(limit_bytes=-1)
            with pytest.raises(RatsInvalidParameterError):
                await client.messages(topic="").__anext__()

    run(story())


@pytest.mark.integration
def test_iterators_and_a_callback_each_get_everything(ratsd_factory: Callable[..., Ratsd]) -> None:
    async def story() -> None:
        called: List[str] = []
        async with Linked(ratsd_factory) as pair:
            first, second = pair.b.messages(), pair.b.messages()
            await pair.b.set_string_callback(lambda peer_id, text: called.append(text))
            async with second:
                async with first:
                    await pair.a.send_string(pair.b_id, "1")
                    assert (await first.__anext__()).text == "1"
                await pair.b.set_string_callback(None)
                await pair.a.send_string(pair.b_id, "2")
                assert [(await second.__anext__()).text for _ in range(2)] == ["1", "2"]
        assert called == ["1"]

    run(story())


@pytest.mark.integration
def test_iterating_ends_with_the_client_after_what_had_come(
    ratsd_factory: Callable[..., Ratsd]
) -> None:
    async def story() -> List[str]:
        async with Linked(ratsd_factory) as pair:
            messages = pair.b.messages()
            async with messages:
                seen = pair.b.messages(channel="last")
                async with seen:
                    await pair.a.send_string(pair.b_id, "1")
                    await pair.a.send_string(pair.b_id, "2")
                    await pair.a.send_channel(pair.b_id, "last", b"")
                    await seen.__anext__()
                await pair.b.stop()
                return [message.text async for message in messages]

    assert run(story()) == ["1", "2"]


@pytest.mark.integration
def test_one_that_waits_ends_when_the_client_is_closed(ratsd: Ratsd) -> None:
    async def story() -> None:
        async def follow(messages: Any) -> int:
            return len([message async for message in messages])

        async with AsyncRatsClient(socket_path=ratsd.socket_path) as client:
            await client.start()
            tasks = []
            for iterator in (client.messages(), client.peers(), client.storage_changes()):
                await iterator.__aenter__()
                tasks.append(asyncio.ensure_future(follow(iterator)))
            await asyncio.sleep(0)
        assert [await task for task in tasks] == [0, 0, 0]

    run(story())


@pytest.mark.integration
def test_a_restart_of_the_daemon_does_not_end_it(ratsd_factory: Callable[..., Ratsd]) -> None:
    async def story() -> None:
        async with Linked(ratsd_factory) as pair:
            messages, peers = pair.b.messages(topic="news"), pair.b.peers()
            async with messages, peers:
                assert await peers.__anext__() == PeerChange(pair.a_id, True)
                loop = asyncio.get_event_loop()
                await loop.run_in_executor(None, pair.there.kill)
                assert await peers.__anext__() == PeerChange(pair.a_id, False)
                await loop.run_in_executor(None, pair.there.start)
                await until(pair.b.is_attached, bool)
                await pair.link()
                assert await peers.__anext__() == PeerChange(pair.a_id, True)
                await until(lambda: pair.a.get_topic_peers("news"), bool)
                await pair.a.publish_to_topic("news", "again")
                assert (await messages.__anext__()).text == "again"

    run(story())


@pytest.mark.integration
def test_a_step_that_was_cancelled_loses_nothing(ratsd_factory: Callable[..., Ratsd]) -> None:
    async def story() -> None:
        async with Linked(ratsd_factory) as pair:
            async with pair.b.messages() as messages:
                for text in ("1", "2"):
                    step = asyncio.ensure_future(messages.__anext__())
                    await asyncio.sleep(0)
                    step.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await step
                    await pair.a.send_string(pair.b_id, text)
                    assert (await messages.__anext__()).text == text

    run(story())


@pytest.mark.integration
@pytest.mark.parametrize("way", ["break", "cancelled", "aclose"])
def test_what_nobody_iterates_over_is_given_back(
    ratsd_factory: Callable[..., Ratsd], way: str
) -> None:
    async def story() -> None:
        async with Linked(ratsd_factory) as pair:

            async def follow() -> None:
                messages = pair.b.messages(topic="news")
                async for _ in messages:
                    if way == "aclose":
                        await messages.aclose()
                    if way != "cancelled":
                        break

            task = asyncio.ensure_future(follow())
            await until(lambda: pair.a.get_topic_peers("news"), bool)
            await pair.a.publish_to_topic("news", "x")
            if way == "cancelled":
                task.cancel()
            await asyncio.wait([task])
            del task  # one that was cancelled holds where it was
            await until(pair.b.get_subscribed_topics, lambda topics: topics == [])
            assert not pair.b._entered()._dispatcher.is_tapped(PLANE_TOPIC, b"news")
            assert not pair.b._entered()._dispatcher.taps._listeners - {pair.b._posted}

    run(story())


@pytest.mark.integration
def test_an_iterator_and_the_program_share_a_subscription(ratsd: Ratsd) -> None:
    async def story() -> None:
        async with AsyncRatsClient(socket_path=ratsd.socket_path) as client:
            await client.start()
            async with client.messages(topic="news"):
                with pytest.raises(RatsError):
                    await client.unsubscribe_from_topic("news")
                await client.subscribe_to_topic("news")
                with pytest.raises(RatsError):
                    await client.subscribe_to_topic("news")
            assert await client.get_subscribed_topics() == ["news"]
            async with client.messages(topic="news"):
                await client.unsubscribe_from_topic("news")
                assert await client.get_subscribed_topics() == ["news"]
            assert await client.get_subscribed_topics() == []

    run(story())


@pytest.mark.integration
def test_a_full_iterator_slows_its_sender_and_holds_no_call(
    ratsd_factory: Callable[..., Ratsd]
) -> None:
    async def story() -> None:
        async with Linked(ratsd_factory) as pair:
            async with pair.b.messages(channel="c", limit_bytes=4096) as messages:

                async def send() -> None:
                    for i in range(1000):
                        await pair.a.send_channel(pair.b_id, "c", b"%1744d" % i)

                sending = asyncio.ensure_future(send())
                for i in range(1000):
                    assert int((await messages.__anext__()).data) == i
                    assert len(messages._stream._items) <= 2
                    if i % 100 == 0:
                        assert await pair.b.get_peer_count() == 1
                await sending
                assert messages.lost == 0

    run(story())


@pytest.mark.integration
def test_one_that_nobody_takes_from_lets_others_have_theirs_and_counts(
    ratsd_factory: Callable[..., Ratsd]
) -> None:
    async def story() -> None:
        told: List[int] = []
        async with Linked(ratsd_factory) as pair:
            await pair.b.set_overflow_callback(told.append)
            full, other = pair.b.messages(channel="full", limit_bytes=3000), pair.b.messages()
            async with full, other:
                for i in range(10):
                    await pair.a.send_channel(pair.b_id, "full", b"%744d" % i)
                await pair.a.send_string(pair.b_id, "behind them")
                assert (await other.__anext__()).text == "behind them"
                assert full.lost == 7
                assert [int((await full.__anext__()).data) for _ in range(3)] == [0, 1, 2]
                await pair.a.send_channel(pair.b_id, "full", b"11")
                assert int((await full.__anext__()).data) == 11
            assert told == [7]

    run(story())


@pytest.mark.integration
def test_a_full_iterator_does_not_hold_stop(ratsd_factory: Callable[..., Ratsd]) -> None:
    async def story() -> int:
        async with Linked(ratsd_factory) as pair:
            async with pair.b.messages(channel="c", limit_bytes=1000) as messages:
                for _ in range(10):
                    await pair.a.send_channel(pair.b_id, "c", b"x" * 900)
                await messages.__anext__()
                await pair.b.stop()
                return len([message async for message in messages])

    assert run(story()) <= 2


@pytest.mark.integration
def test_peers_come_and_go_each_told_once(ratsd_factory: Callable[..., Ratsd]) -> None:
    async def story() -> None:
        async with Linked(ratsd_factory) as pair:
            everybody, members = pair.b.peers(), pair.b.peers(topic="news")
            async with everybody, members:
                assert await everybody.__anext__() == PeerChange(pair.a_id, True)
                await pair.a.subscribe_to_topic("news")
                assert await members.__anext__() == PeerChange(pair.a_id, True)
                async with pair.b.peers(topic="news") as late:
                    assert await late.__anext__() == PeerChange(pair.a_id, True)
                await pair.a.unsubscribe_from_topic("news")
                assert await members.__anext__() == PeerChange(pair.a_id, False)
                await pair.a.disconnect_peer(pair.b_id)
                assert await everybody.__anext__() == PeerChange(pair.a_id, False)

    run(story())


@pytest.mark.integration
def test_changes_of_the_store_are_iterated_over(ratsd_factory: Callable[..., Ratsd]) -> None:
    async def story() -> None:
        async with Linked(ratsd_factory) as pair:
            async with pair.b.storage_changes("k/") as changes:
                await pair.a.storage_put("other", 1)
                await pair.a.storage_put("k/1", [True])
                await pair.a.storage_remove("k/1")
                a_id = pair.a_id
                assert await changes.__anext__() == StorageChange("k/1", [True], False, a_id, True)
                assert await changes.__anext__() == StorageChange("k/1", None, True, a_id, True)

    run(story())


# --- calls that nobody waits for ------------------------------------------------------------------


@pytest.mark.integration
def test_leaving_ends_the_calls_in_progress(ratsd: Ratsd) -> None:
    async def story(silent: socket.socket) -> None:
        async with AsyncRatsClient(socket_path=ratsd.socket_path) as client:
            await client.start()
            connect = asyncio.ensure_future(client.connect(*silent.getsockname()))
            given_up = asyncio.ensure_future(client.connect(*silent.getsockname()))
            dialed = await asyncio.get_event_loop().run_in_executor(None, silent.accept)
            given_up.cancel()
        with pytest.raises(RatsNotRunningError):
            await connect
        dialed[0].close()
        while any(thread.name.startswith("librats") for thread in threading.enumerate()):
            await asyncio.sleep(0.005)

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        run(story(silent))


@pytest.mark.integration
def test_long_calls_do_not_hold_others(ratsd: Ratsd) -> None:
    async def story(silent: socket.socket) -> None:
        async with AsyncRatsClient(socket_path=ratsd.socket_path) as client:
            await client.start()
            calls = [
                asyncio.ensure_future(client.connect(*silent.getsockname())) for _ in range(16)
            ]
            await asyncio.sleep(0)
            assert await client.get_peer_count() == 0
            assert not any(call.done() for call in calls)
        await asyncio.wait(calls)
        assert all(isinstance(call.exception(), RatsError) for call in calls)

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(32)
        run(story(silent))


@pytest.mark.integration
def test_a_transfer_whose_beginning_was_cancelled_is_cancelled(
    ratsd_factory: Callable[..., Ratsd], tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"x")

    async def story() -> None:
        async with Linked(ratsd_factory) as pair:
            await pair.b.set_file_request_callback(lambda *request: None)
            task = asyncio.ensure_future(pair.a.send_file(pair.b_id, tmp_path / "f"))
            await asyncio.sleep(0)
            while not pair.a._entered().get_file_transfers():
                pass  # on its thread it goes on, but the loop does not
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(
                pair.a.get_file_transfers,
                lambda found: [one["status"] for one in found] == [FileTransferStatus.CANCELLED],
            )

    run(story())


@pytest.mark.integration
def test_a_loop_that_does_not_keep_up_slows_the_sender(ratsd_factory: Callable[..., Ratsd]) -> None:
    async def story() -> None:
        async with Linked(ratsd_factory) as pair:
            heard: List[bytes] = []
            done = asyncio.Event()

            def on_channel(peer_id: str, data: bytes) -> None:
                heard.append(data)
                if len(heard) == 5000:
                    done.set()

            await pair.b.on_channel("c", on_channel)
            sender = pair.here.client()
            sender.start()
            for i in range(5000):
                sender.send_channel(pair.b_id, "c", b"%d" % i)  # the loop stands still
            assert pair.b._posted._count <= 1024
            await done.wait()
            assert heard == [b"%d" % i for i in range(5000)]
            sender.close()

    run(story())
