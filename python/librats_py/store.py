"""Methods of ``RatsClient`` for the replicated store."""

from ctypes import byref, c_int, c_size_t, string_at
from typing import Any, Dict, List, Optional, Tuple

from .base import ClientBase
from .callbacks import StorageCallback
from .convert import decode_value, encode, encode_value
from .ctypes_wrapper import Borrowed
from .enums import RatsError as ErrorCode
from .exceptions import RatsError
from .session import interruptible

class StoreMethods(ClientBase):
    """Values of keys, shared by all programs of the instance and by its peers."""

    def storage_put(self, key: str, value: Any) -> None:
        """Give a key a value, here and at every peer; returns when it is on the daemon's disk.

        Bytes, ``str``, ``int`` and ``float`` come back as they are; everything else (also ``bool``
        and ``None``) is stored as JSON. Who changes a key last, wins.

        Raises:
            TypeError: the value has a type JSON does not know
            RatsInvalidParameterError: the key is empty, or an ``int`` has more than 64 bits
            RatsJsonParseError: the value cannot be written as JSON
            RatsError: ``TOO_LARGE``, ``BUSY`` when the store is full, ``OPERATION_FAILED`` when
                the disk is; the message says which limit and what to do
            RatsPermissionError: this user may not write
            RatsNotSupportedError: the instance has no store
            RatsNotRunningError: the daemon is gone
        """
        kind, data = encode_value(value)
        with Borrowed(data) as view:
            self._session.call_checked(
                "Store", "rats_storage_put", encode(key, "key"), kind, view.address, view.size
            )

    def storage_get(self, key: str, default: Any = None) -> Any:
        """The value of a key, of the type it was stored with.

        Returns:
            ``default`` when the key has none

        Raises:
            RatsJsonParseError: it was stored as JSON and is none
            RatsNotSupportedError: the instance has no store
            RatsNotRunningError: the daemon is gone
        """
        found, error = interruptible(self._get, encode(key, "key"))
        if found is not None:
            return decode_value(found[0], found[1], "=")
        if error is not None and error.code != ErrorCode.NOT_FOUND:
            self._session.remember(error.code, error.detail)
            raise error
        return default

    def _get(self, key: bytes) -> Tuple[Optional[Tuple[int, bytes]], Optional[RatsError]]:
        kind, size = c_int(), c_size_t()
        session = self._session
        handle = session.handle()
        address = session.lib.rats_storage_get(handle, key, byref(kind), byref(size))
        if not address:
            return None, session.error(session.last_error()[1], "Read from the store")
        try:
            return (kind.value, string_at(address, size.value)), None
        finally:
            session.lib.rats_string_free(address)

    def storage_remove(self, key: str) -> bool:
        """Remove a key, here and at every peer; returns when that is on the daemon's disk.

        Returns:
            bool: whether it had a value

        Raises:
            as ``storage_put``
        """
        try:
            self._session.call_checked(
                "Remove from the store", "rats_storage_remove", encode(key, "key")
            )
        except RatsError as error:
            if error.code != ErrorCode.NOT_FOUND:
                raise
            return False
        return True

    def storage_keys(self, prefix: str = "") -> List[str]:
        """The keys that have a value and begin so, in the order of their bytes.

        Raises:
            RatsNotSupportedError: the instance has no store
            RatsNotRunningError: the daemon is gone
        """
        keys, error = interruptible(self._keys, encode(prefix, "prefix"))
        if error is not None:
            self._session.remember(error.code, error.detail)
            raise error
        return keys

    def _keys(self, prefix: bytes) -> Tuple[List[str], Optional[RatsError]]:
        count = c_int()
        session = self._session
        handle = session.handle()
        array = session.lib.rats_storage_keys(handle, prefix, byref(count))
        code = session.last_error()[1]
        if not array and code != ErrorCode.SUCCESS:
            return [], session.error(code, "List the store")
        return self._library.take_texts(array, count.value), None

    def storage_sync(self) -> None:
        """Ask every connected peer for everything it has; that also happens when one connects.

        Raises:
            RatsNotSupportedError: the instance has no store
            RatsNotRunningError: the daemon is gone
        """
        self._session.call_checked("Synchronise the store", "rats_storage_sync")

    def storage_statistics(self) -> Dict[str, Any]:
        """How much is stored, what is allowed, and what peers have sent.

        Returns:
            dict: ``keys``, ``total_bytes``, limits and counters; empty on failure, see
            ``last_error``
        """
        return self._document("rats_storage_statistics_json")

    def set_storage_callback(self, prefix: str, callback: Optional[StorageCallback]) -> None:
        """``callback(key, value, deleted, origin_peer_id, is_remote)`` for changes of keys that
        begin with ``prefix``; None ends it.

        ``value`` is None when the key was removed; a value that is not what its type says comes
        as bytes. ``origin_peer_id`` is ``""`` when the writer did not say. One callback per
        prefix; where several fit each is called.

        Raises:
            RatsNotSupportedError: the instance has no store
            RatsError: ``BUSY``, too many prefixes
        """
        name = encode(prefix, "prefix")
        self._set_callback(
            self._watches, name, lambda cb: self._dispatcher.set_watch(name, cb), callback
        )
