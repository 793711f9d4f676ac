"""What all groups of methods of ``RatsClient`` share."""

import threading
from ctypes import byref, c_int
from typing import Any, Callable, Dict, List, NamedTuple, Optional, TypeVar

from .callbacks import ChannelCallbackType, MessageCallbackType
from .convert import checked, encode, parse_object
from .ctypes_wrapper import LibratsCtypes
from .dispatch import Dispatcher
from .exceptions import RatsError
from .session import Session, interruptible

_Callback = TypeVar("_Callback")

_MAX_ENCODED = 4096


class Names(NamedTuple):
    """How names of one kind are registered at the daemon."""

    on: str
    off: str
    no_callback: Any  # in this mode the library never calls back
    wants: Callable[[bytes], bool]


class ClientBase:
    """The session, the dispatcher and the ways to call C functions."""

    def __init__(self, library: LibratsCtypes, handle: int) -> None:
        self._library = library
        self._dispatcher = Dispatcher()
        self._session = Session(library, handle, self._dispatcher)
        self._registration = threading.RLock()
        self._channels = Names(
            "rats_channel_on", "rats_channel_off", ChannelCallbackType(0), self._dispatcher.wants
        )
        self._types = Names(
            "rats_on_message",
            "rats_off_message",
            MessageCallbackType(0),
            self._dispatcher.wants_type,
        )
        self._dispatcher.on_type_unused = _releaser(
            self._session, self._registration, self._dispatcher
        )
        self._encoded: Dict[str, bytes] = {}

    def _encode_once(self, text: str, what: str) -> bytes:
        """``_encode``, remembered: a program uses few peer ids and channels, but often."""
        encoded = encode(text, what)
        if len(self._encoded) >= _MAX_ENCODED:
            self._encoded.clear()
        self._encoded[text] = encoded
        return encoded

    def _document(self, name: str, *arguments: Any) -> Dict[str, Any]:
        return parse_object(interruptible(self._session.text, name, *arguments))

    def _ids(self, name: str) -> List[str]:
        count = c_int()
        array = self._session.call(name, byref(count))
        return self._library.take_texts(array, count.value)

    def _check_open(self) -> None:
        if self._session.closed:
            raise self._session.unusable()

    def _set_callback(
        self,
        names: Names,
        name: bytes,
        setter: Callable[[Optional[_Callback]], None],
        callback: Optional[_Callback],
    ) -> None:
        """Set a callback of a channel or type; registers it at the daemon with its first, releases
        it with its last."""
        self._check_open()
        checked(callback)
        with self._registration:
            wanted = names.wants(name)
            setter(callback)
            wants = names.wants(name)
            if wants and not wanted:
                try:
                    self._session.call_checked(
                        "Set callback", names.on, name, names.no_callback, None
                    )
                except BaseException:
                    setter(None)
                    raise
            elif wanted and not wants:
                self._session.call_checked("Clear callback", names.off, name)


def _releaser(session: Session, lock: Any, dispatcher: Dispatcher) -> Callable[[bytes], None]:
    """What releases a type at the daemon when its last function was for one message only. It must
    not refer to the client, which could then never be collected."""

    def release(name: bytes) -> None:
        with lock:
            if not dispatcher.wants_type(name):
                try:
                    session.call("rats_off_message", name)
                except RatsError:
                    pass  # closed meanwhile: nothing is registered any more

    return release
