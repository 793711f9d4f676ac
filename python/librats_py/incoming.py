"""What ``AsyncRatsClient`` iterates over: each of these fills a stream while somebody holds it.

The rule that is easy to break: nothing that the dispatcher holds may refer to the iterator, or one
that was left with ``break`` would never be given back.
"""

import asyncio
import logging
from types import TracebackType
from typing import TYPE_CHECKING, Any, AsyncIterator, List, Mapping, Optional, Tuple, Type, TypeVar

from .base import Names
from .convert import encode
from .core import RatsClient
from .dispatch import CHANNEL_BINARY, CHANNEL_JSON, CHANNEL_STRING
from .exceptions import RatsError
from .json_text import is_json
from .streams import (
    ItemStream,
    Message,
    PeerChange,
    PeerStream,
    StorageChange,
    StorageStream,
    Stream,
)
from .taps import Tap

if TYPE_CHECKING:
    from .aio import AsyncRatsClient

__all__ = ["Messages", "Peers", "StorageChanges"]

_log = logging.getLogger("librats_py")

_Item = TypeVar("_Item")
_Self = TypeVar("_Self", bound="_Incoming[Any]")

_UNTYPED = {"string": CHANNEL_STRING, "binary": CHANNEL_BINARY, "json": CHANNEL_JSON}
# Items taken in a row before other tasks get their turn.
_IN_A_ROW = 64


class _Source:
    """A stream and what fills it."""

    def __init__(self, client: RatsClient, stream: Stream) -> None:
        self.client = client
        self.stream = stream
        self.taps: List[Tuple[Names, bytes, Tap]] = []

    def open(self) -> None:
        """From here on the stream is filled."""
        self.client._dispatcher.taps.listen(self.stream)
        try:
            for names, name, tap in self.taps:
                self.client._set_tap(names, name, tap, True)
            if isinstance(self.stream, PeerStream):
                topic = self.stream.topic
                client = self.client
                self.stream.begin(
                    client.get_peer_ids() if topic is None else client.get_topic_peers(topic)
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """No longer; what nobody else wants the daemon is told."""
        self.client._dispatcher.taps.unlisten(self.stream)
        for names, name, tap in self.taps:
            try:
                self.client._set_tap(names, name, tap, False)
            except RatsError:
                pass  # closed, or stopped, and given back by that


class _Incoming(AsyncIterator[_Item]):
    """An iterator that begins with its first step, or before that with ``async with``."""

    _opening: Optional["asyncio.Future[None]"] = None
    _closing: Optional["asyncio.Future[None]"] = None

    def __init__(self, owner: "AsyncRatsClient", news: asyncio.Event, source: _Source) -> None:
        self._owner = owner
        self._news = news
        self._source = source
        self._stream = source.stream
        self._taken = 0

    def __aiter__(self: _Self) -> _Self:
        return self

    async def __anext__(self) -> _Item:
        await self._open()
        self._taken += 1
        if self._taken % _IN_A_ROW == 0:
            await asyncio.sleep(0)
        while True:
            self._news.clear()
            ended = self._stream.ended
            item: Optional[_Item] = self._stream.take()
            if item is not None:
                return item
            if ended:
                await self.aclose()
                raise StopAsyncIteration
            await self._news.wait()

    async def __aenter__(self: _Self) -> _Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.aclose()

    async def _open(self) -> None:
        if self._closing is None:
            if self._opening is None:
                self._opening = asyncio.ensure_future(self._owner._run(self._source.open))
            # A step that is cancelled leaves it to the next.
            await asyncio.shield(self._opening)

    async def aclose(self) -> None:
        """Give it back; what has come already may still be taken."""
        self._stream.end()
        if self._closing is None:
            self._closing = asyncio.ensure_future(
                _give_back(self._owner, self._opening, self._source)
            )
        await asyncio.shield(self._closing)

    def __del__(self) -> None:
        if self._opening is None or self._closing is not None:
            return
        self._stream.end()
        owner, opening, source = self._owner, self._opening, self._source
        assert owner._loop is not None
        try:
            # Not here: a collection may run this on any thread, in the middle of anything.
            owner._loop.call_soon_threadsafe(
                lambda: asyncio.ensure_future(_give_back(owner, opening, source))
            )
        except RuntimeError:
            pass  # the loop was closed: the client ends with it


async def _give_back(
    owner: "AsyncRatsClient", opening: Optional["asyncio.Future[None]"], source: _Source
) -> None:
    if opening is None:
        return
    try:
        await opening
        await owner._run(source.close)
    except RatsError:
        pass  # never opened, or the client is closed


class _Bounded(_Incoming[_Item]):
    """One whose items are dropped when they are not taken."""

    @property
    def lost(self) -> int:
        """How many items were dropped since it began."""
        assert isinstance(self._stream, ItemStream)
        return self._stream.lost


class Messages(_Bounded[Message]):
    """See ``AsyncRatsClient.messages``."""

    def __init__(self, owner: "AsyncRatsClient", wanted: Mapping[str, str], limit: int) -> None:
        client, news = owner._entered(), asyncio.Event()
        stream = ItemStream(owner._waker(news), limit, client._dispatcher.tell_lost)
        source = _Source(client, stream)
        kinds = {"channel": client._channels, "message": client._types, "topic": client._topics}
        for kind, name in wanted.items():
            encoded = _UNTYPED.get(kind) or encode(name, kind)
            names = kinds.get(kind, client._channels)
            source.taps.append((names, encoded, _offerer(stream, kind, name)))
        super().__init__(owner, news, source)


def _offerer(stream: ItemStream, kind: str, name: str) -> Tap:
    def offer(peer_id: str, data: bytes, forwarder_id: str) -> None:
        if kind in ("json", "message") and not _is_json(data):
            _log.debug("message of kind %s dropped: %d bytes, not JSON", kind, len(data))
            return
        stream.offer(Message(peer_id, kind, name, data, forwarder_id), len(data))

    return offer


def _ignorer() -> Tap:
    """A tap that only says that its name is wanted; each is another one."""
    return lambda peer_id, data, forwarder_id: None


def _is_json(data: bytes) -> bool:
    try:
        return is_json(data.decode("utf-8-sig"))
    except ValueError:
        return False


class StorageChanges(_Bounded[StorageChange]):
    """See ``AsyncRatsClient.storage_changes``."""

    def __init__(self, owner: "AsyncRatsClient", prefix: str, limit: int) -> None:
        client, news = owner._entered(), asyncio.Event()
        encoded = encode(prefix, "prefix")
        lost = client._dispatcher.tell_lost
        source = _Source(client, StorageStream(owner._waker(news), limit, lost, prefix))
        source.taps.append((client._watches, encoded, _ignorer()))
        super().__init__(owner, news, source)


class Peers(_Incoming[PeerChange]):
    """See ``AsyncRatsClient.peers``."""

    def __init__(self, owner: "AsyncRatsClient", topic: Optional[str]) -> None:
        client, news = owner._entered(), asyncio.Event()
        source = _Source(client, PeerStream(owner._waker(news), topic))
        if topic is not None:  # only who subscribes is told of its peers
            source.taps.append((client._topics, encode(topic, "topic"), _ignorer()))
        super().__init__(owner, news, source)
