"""``AsyncRatsClient``: the same client for programs that run on asyncio."""

import asyncio
import functools
import inspect
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, AsyncIterator, Awaitable, Callable, Dict, Optional, Type

from .core import RatsClient
from .transfers import ENDED

__all__ = ["AsyncRatsClient"]

_THREADS = 8


class AsyncRatsClient:
    """A ``RatsClient`` whose methods are coroutines and whose callbacks run on the event loop.

    ::

        async with AsyncRatsClient() as client:
            await client.set_string_callback(lambda peer_id, text: print(peer_id, text))
            await client.start()
            transfer_id = await client.send_file(peer_id, "report.pdf")
            async for progress in client.transfer_progress(transfer_id):
                print(progress["completion_percentage"])

    Every method of ``RatsClient`` is there under its name, with its arguments, and raises the same
    exceptions; it waits on one of a few threads, never on the loop. Functions given as callbacks
    are called on the loop, in the order of the events; what a coroutine function returns becomes a
    task. A call whose task is cancelled is finished by its thread and its result dropped.

    The client is made on entering ``async with`` and closed on leaving it; the arguments are those
    of ``RatsClient``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._make = functools.partial(RatsClient, *arguments, **options)
        self._client: Optional[RatsClient] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._threads: Optional[ThreadPoolExecutor] = None

    async def __aenter__(self) -> "AsyncRatsClient":
        self._loop = asyncio.get_event_loop()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="librats-async")
        try:
            self._client = await self._run(self._make)
        except BaseException:
            self._threads.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        assert self._client is not None and self._threads is not None
        try:
            await self._run(self._client.__exit__, kind, error, trace)
        finally:
            self._threads.shutdown(wait=False)

    async def _run(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        if self._loop is None:
            raise RuntimeError("AsyncRatsClient is used outside of 'async with'")
        call = functools.partial(function, *arguments, **options)
        return await self._loop.run_in_executor(self._threads, call)

    def _on_loop(self, callback: Callable[..., Any]) -> Callable[..., None]:
        """The callback, to be called from the dispatch thread."""
        loop = self._loop
        assert loop is not None

        def call(*arguments: Any) -> None:
            result = callback(*arguments)
            if inspect.isawaitable(result):
                asyncio.ensure_future(result)

        def post(*arguments: Any) -> None:
            try:
                loop.call_soon_threadsafe(call, *arguments)
            except RuntimeError:
                pass  # the loop was closed first: there is nowhere to call it

        return post

    async def transfer_progress(self, transfer_id: str) -> AsyncIterator[Dict[str, Any]]:
        """Follow a transfer, as ``RatsClient.transfer_progress`` does it.

        Raises:
            RatsError: there is no such transfer
            RatsNotRunningError: the client was stopped
        """
        client = self._client
        if client is None:
            raise RuntimeError("AsyncRatsClient is used outside of 'async with'")
        news = asyncio.Event()
        watch = client._watch(transfer_id, self._on_loop(news.set))
        try:
            while True:
                news.clear()
                progress = await self._run(client._progress, transfer_id)
                yield progress
                if progress["status"] in ENDED:
                    return
                await news.wait()
        finally:
            client._dispatcher.transfers.remove(watch)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]: ...


def _coroutine(method: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def call(self: AsyncRatsClient, *arguments: Any, **options: Any) -> Any:
        client = self._client
        if client is None:
            raise RuntimeError("AsyncRatsClient is used outside of 'async with'")
        posted = [self._on_loop(a) if callable(a) else a for a in arguments]
        named = {n: self._on_loop(a) if callable(a) else a for n, a in options.items()}
        return await self._run(method.__get__(client), *posted, **named)

    return call


for _name in dir(RatsClient):
    _method = inspect.getattr_static(RatsClient, _name)
    if _name.startswith("_") or hasattr(AsyncRatsClient, _name):
        continue
    if isinstance(_method, staticmethod):
        setattr(AsyncRatsClient, _name, _method)
    elif inspect.isfunction(_method):
        setattr(AsyncRatsClient, _name, _coroutine(_method))
