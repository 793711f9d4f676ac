"""What all groups of methods of ``RatsClient`` share."""

import threading
from ctypes import byref, c_int
from typing import Any, Callable, Dict, List, Optional, TypeVar

from .callbacks import ChannelCallbackType
from .convert import checked, encode, parse_object
from .ctypes_wrapper import LibratsCtypes
from .dispatch import Dispatcher
from .session import Session, interruptible

_Callback = TypeVar("_Callback")

_MAX_ENCODED = 4096
# In this mode the library never calls back; a registration needs no function.
_NO_CALLBACK = ChannelCallbackType(0)


class ClientBase:
    """The session, the dispatcher and the ways to call C functions."""

    def __init__(self, library: LibratsCtypes, handle: int) -> None:
        self._library = library
        self._dispatcher = Dispatcher()
        self._session = Session(library, handle, self._dispatcher)
        self._registration = threading.RLock()
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
        channel: bytes,
        setter: Callable[[Optional[_Callback]], None],
        callback: Optional[_Callback],
    ) -> None:
        """Set a callback of a channel; registers it at the daemon with its first, releases it
        with its last."""
        self._check_open()
        checked(callback)
        with self._registration:
            wanted = self._dispatcher.wants(channel)
            setter(callback)
            wants = self._dispatcher.wants(channel)
            if wants and not wanted:
                try:
                    self._session.call_checked(
                        "Set callback", "rats_channel_on", channel, _NO_CALLBACK, None
                    )
                except BaseException:
                    setter(None)
                    raise
            elif wanted and not wants:
                self._session.call_checked("Clear callback", "rats_channel_off", channel)
