"""``AsyncRatsClient``: the same client on an event loop."""

import asyncio
import inspect
import threading
from pathlib import Path
from typing import Any, Awaitable, Callable, List, Tuple

import pytest

from librats_py import AsyncRatsClient, FileTransferStatus, RatsClient, RatsError
from librats_py.pytest_plugin import Ratsd


def run(coroutine: Awaitable[Any]) -> Any:
    return asyncio.get_event_loop_policy().new_event_loop().run_until_complete(
        asyncio.wait_for(coroutine, 60)
    )


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
