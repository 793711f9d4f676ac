"""``AsyncRatsClient``: the same client for programs that run on asyncio."""

import asyncio
import functools
import inspect
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, AsyncIterator, Awaitable, Callable, Dict, Optional, Type

from .core import RatsClient
from .exceptions import RatsError, RatsNotRunningError
from .incoming import Messages, Peers, StorageChanges
from .streams import Window
from .transfers import ENDED

__all__ = ["AsyncRatsClient"]

# Calls in progress; some wait for a peer, and others should not wait for those.
_THREADS = 64
# Callbacks that the loop has not run yet.
_CALLBACKS = 1024
_LIMIT_BYTES = 4 * 1024 * 1024
# What begins a transfer: without its id nobody can end it.
_BEGINNERS = ("send_file", "send_directory", "request_file", "request_directory")


class AsyncRatsClient:
    """A ``RatsClient`` whose methods are coroutines and whose callbacks run on the event loop.

    ::

        async with AsyncRatsClient() as client:
            await client.start()
            transfer_id = await client.send_file(peer_id, "report.pdf")
            async for progress in client.transfer_progress(transfer_id):
                print(progress["completion_percentage"])
            async for message in client.messages(topic="news"):
                print(message.peer_id, message.text)

    Every method of ``RatsClient`` is there under its name, with its arguments, and raises the same
    exceptions; it waits on a thread, never on the loop. A call whose task is cancelled goes on
    there: what it sends is sent, a transfer that it begins is cancelled, any other result is
    dropped. Leaving ``async with`` ends it.

    Functions given as callbacks are called on the loop, in the order of the events; a loop that
    does not keep up slows the senders down. What a coroutine function returns becomes a task, and
    nothing bounds how many there are: take what may come fast from ``messages``.

    The client is made on entering ``async with`` and closed on leaving it; the arguments are those
    of ``RatsClient``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._make = functools.partial(RatsClient, *arguments, **options)
        self._client: Optional[RatsClient] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._threads: Optional[ThreadPoolExecutor] = None
        self._posted = Window(_CALLBACKS)

    async def __aenter__(self) -> "AsyncRatsClient":
        self._loop = asyncio.get_event_loop()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="librats-async")
        try:
            client = await self._run(self._make)
        except BaseException:
            self._threads.shutdown(wait=False)
            raise
        client._dispatcher.taps.listen(self._posted)
        self._client = client
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        assert self._loop is not None
        # Calls in progress may have all threads: closing ends them, on a thread of its own.
        closer = ThreadPoolExecutor(1, thread_name_prefix="librats-async")
        try:
            await self._loop.run_in_executor(closer, self._close)
        finally:
            closer.shutdown(wait=False)

    def _close(self) -> None:
        assert self._client is not None and self._threads is not None
        try:
            self._client.__exit__(None, None, None)
        finally:
            self._threads.shutdown()

    def _entered(self) -> RatsClient:
        if self._client is None:
            raise RuntimeError("AsyncRatsClient is used outside of 'async with'")
        return self._client

    def _submit(
        self, function: Callable[..., Any], *arguments: Any, **options: Any
    ) -> "Future[Any]":
        assert self._threads is not None
        try:
            return self._threads.submit(function, *arguments, **options)
        except RuntimeError:  # they have ended
            raise RatsNotRunningError("Client is closed") from None

    async def _run(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return await asyncio.wrap_future(self._submit(function, *arguments, **options))

    async def _begin(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """``_run`` for what begins a transfer."""
        client = self._entered()
        begun = self._submit(function, *arguments, **options)

        def give_up() -> None:
            try:
                client.cancel_file_transfer(begun.result())
            except (RatsError, CancelledError):
                pass  # never begun, or ended meanwhile

        try:
            return await asyncio.wrap_future(begun)
        except asyncio.CancelledError:
            try:
                self._submit(give_up)
            except RatsNotRunningError:
                pass  # its transfers have ended with the client
            raise

    def _on_loop(self, callback: Callable[..., Any]) -> Callable[..., None]:
        """The callback, to be called from the dispatch thread. It must not refer to this client,
        which could then never be collected."""
        loop, posted, session = self._loop, self._posted, self._entered()._session
        assert loop is not None

        def call(*arguments: Any) -> None:
            posted.leave()
            result = callback(*arguments)
            if inspect.isawaitable(result):
                asyncio.ensure_future(result)

        def post(*arguments: Any) -> None:
            posted.enter(session.on_dispatch_thread())
            try:
                loop.call_soon_threadsafe(call, *arguments)
            except RuntimeError:
                posted.leave()  # the loop was closed first: there is nowhere to call it

        return post

    def _waker(self, event: asyncio.Event) -> Callable[[], None]:
        """What sets the event, from any thread."""
        loop = self._loop
        assert loop is not None

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:
                pass  # the loop was closed first: nobody waits

        return wake

    # --- iterating ------------------------------------------------------------------------

    def messages(
        self,
        *,
        channel: Optional[str] = None,
        message_type: Optional[str] = None,
        topic: Optional[str] = None,
        limit_bytes: int = _LIMIT_BYTES
    ) -> Messages:
        """The messages of a channel, of a type or of a topic, or else all strings, bytes and JSON.

        ::

            async with client.messages(channel="sensors") as messages:
                async for message in messages:
                    print(message.peer_id, message.data)

        Each is a ``Message``. They come from the first step on, or from ``async with`` on, which
        returns when the daemon knows of it. There may be any number of iterators, and callbacks
        as well: each gets everything. A topic is subscribed to for as long.

        At most ``limit_bytes`` of messages wait here, each counted with 256 bytes more. When they
        are full the client takes nothing from the daemon, which slows the senders down, and calls
        go on; after 2 s the messages of this iterator are dropped until three quarters are taken.
        ``lost`` counts them, and the overflow callback is told.

        It ends when the client is stopped or closed, after what had come; a restart of the daemon
        does not end it. It is given back by leaving ``async with``, by ``aclose`` or when nobody
        holds it any more (not even a task that was cancelled in it). A step may be cancelled, by
        ``asyncio.wait_for`` say, and another follow: no message is lost by that.

        Raises, in the first step or on entering:
            as ``on_channel``, ``on_message`` and ``subscribe_to_topic``
        """
        names = {"channel": channel, "message": message_type, "topic": topic}
        given = {kind: name for kind, name in names.items() if name is not None}
        if len(given) > 1:
            raise ValueError("at most one of channel, message_type and topic may be given")
        return Messages(self, given or dict.fromkeys(("string", "binary", "json"), ""), limit_bytes)

    def peers(self, *, topic: Optional[str] = None) -> Peers:
        """The peers that are connected and those that come and go, or those of a topic.

        Each is a ``PeerChange``. One that came and went before it was taken is not told of.
        It begins, ends and is given back as ``messages`` is.
        """
        return Peers(self, topic)

    def storage_changes(
        self, prefix: str = "", *, limit_bytes: int = _LIMIT_BYTES
    ) -> StorageChanges:
        """The changes of keys that begin with ``prefix``; each is a ``StorageChange``.

        It begins, ends, drops and is given back as ``messages`` is.

        Raises, in the first step or on entering:
            as ``set_storage_callback``
        """
        return StorageChanges(self, prefix, limit_bytes)

    async def transfer_progress(self, transfer_id: str) -> AsyncIterator[Dict[str, Any]]:
        """Follow a transfer, as ``RatsClient.transfer_progress`` does it.

        Raises:
            RatsError: there is no such transfer
            RatsNotRunningError: the client was stopped
        """
        client = self._entered()
        news = asyncio.Event()
        watch = client._watch(transfer_id, self._waker(news))
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
    begins = method.__name__ in _BEGINNERS

    @functools.wraps(method)
    async def call(self: AsyncRatsClient, *arguments: Any, **options: Any) -> Any:
        client = self._entered()
        posted = [self._on_loop(a) if callable(a) else a for a in arguments]
        named = {n: self._on_loop(a) if callable(a) else a for n, a in options.items()}
        run = self._begin if begins else self._run
        return await run(method.__get__(client), *posted, **named)

    return call


for _name in dir(RatsClient):
    _method = inspect.getattr_static(RatsClient, _name)
    if _name.startswith("_") or hasattr(AsyncRatsClient, _name):
        continue
    if isinstance(_method, staticmethod):
        setattr(AsyncRatsClient, _name, _method)
    elif inspect.isfunction(_method):
        setattr(AsyncRatsClient, _name, _coroutine(_method))
