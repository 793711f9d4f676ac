"""What all groups of methods of ``RatsClient`` share."""

import threading
from ctypes import byref, c_int
from typing import Any, Callable, Dict, List, NamedTuple, Optional, TypeVar

from .callbacks import ChannelCallbackType, MessageCallbackType, StorageCallbackType
from .convert import checked, encode, parse_object
from .ctypes_wrapper import LibratsCtypes
from .dispatch import PLANE_CHANNEL, PLANE_TOPIC, PLANE_TYPED, PLANE_WATCH, Dispatcher
from .enums import RatsError as ErrorCode
from .exceptions import RatsError
from .session import Session, interruptible
from .taps import Tap

_Callback = TypeVar("_Callback")

_MAX_ENCODED = 4096

# In batch mode the library calls nothing; of the store it only notes that a prefix is wanted.
_NO_CHANNEL = ChannelCallbackType(0)
_NO_MESSAGE = MessageCallbackType(0)
_NO_WATCH = StorageCallbackType(lambda *arguments: None)


class Names(NamedTuple):
    """How names of one kind are registered at the daemon."""

    plane: int
    wants: Callable[[bytes], bool]
    tell: Callable[[Session, bytes, bool], None]  # not bound to a client, or none is collected


def _tell_channel(session: Session, name: bytes, wanted: bool) -> None:
    if wanted:
        session.call_checked("Set callback", "rats_channel_on", name, _NO_CHANNEL, None)
    else:
        session.call_checked("Clear callback", "rats_channel_off", name)


def _tell_type(session: Session, name: bytes, wanted: bool) -> None:
    if wanted:
        session.call_checked("Set callback", "rats_on_message", name, _NO_MESSAGE, None)
    else:
        session.call_checked("Clear callback", "rats_off_message", name)


def _tell_topic(session: Session, name: bytes, wanted: bool) -> None:
    if wanted:
        session.call_checked("Subscribe to topic", "rats_subscribe_to_topic", name)
    else:
        session.call_checked("Unsubscribe from topic", "rats_unsubscribe_from_topic", name)


def _tell_watch(session: Session, prefix: bytes, wanted: bool) -> None:
    def tell() -> Optional[RatsError]:
        nothing = _NO_WATCH if wanted else StorageCallbackType(0)
        session.lib.rats_set_storage_callback(session.handle(), prefix, nothing, None)
        code = session.last_error()[1]
        return None if code == ErrorCode.SUCCESS else session.error(code, "Watch the store")

    error = interruptible(tell)
    if error is not None:
        session.remember(error.code, error.detail)
        raise error


class ClientBase:
    """The session, the dispatcher and the ways to call C functions."""

    def __init__(self, library: LibratsCtypes, handle: int) -> None:
        self._library = library
        self._dispatcher = Dispatcher()
        self._session = Session(library, handle, self._dispatcher)
        self._registration = threading.RLock()
        wants = self._dispatcher
        self._channels = Names(PLANE_CHANNEL, wants.wants, _tell_channel)
        self._types = Names(PLANE_TYPED, wants.wants_type, _tell_type)
        self._topics = Names(PLANE_TOPIC, wants.wants_topic, _tell_topic)
        self._watches = Names(PLANE_WATCH, wants.wants_watch, _tell_watch)
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
        """Set a callback of a name; registers the name at the daemon with its first, releases it
        with its last."""
        self._check_open()
        checked(callback)
        with self._registration:
            wanted = names.wants(name)
            setter(callback)
            wants = names.wants(name)
            if wants == wanted:
                return
            try:
                names.tell(self._session, name, wants)
            except BaseException:
                setter(None)
                raise

    def _set_tap(self, names: Names, name: bytes, tap: Tap, wanted: bool) -> None:
        """The same for one who takes messages besides the callbacks."""

        def setter(wanted_tap: Optional[Tap]) -> None:
            self._dispatcher.set_tap(names.plane, name, tap, wanted_tap is not None)

        self._set_callback(names, name, setter, tap if wanted else None)


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
