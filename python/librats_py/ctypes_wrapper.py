"""The C library as ctypes sees it: where it is found, and the type of every function.

``SIGNATURES`` is the one table of ``librats.h`` in Python; a test compares the two. Results of
type ``char *`` are owned by the caller and therefore ``c_void_p`` here (``take_text`` copies and
frees them); ``const char *`` results are static or borrowed and are ``c_char_p``.
"""

import ctypes
import glob
import logging
import os
import threading
from ctypes import (
    POINTER,
    Structure,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_ssize_t,
    c_uint,
    c_uint32,
    c_void_p,
)
from typing import Any, Dict, List, Optional, Tuple, Type

from .callbacks import (
    BinaryCallbackType,
    ChannelCallbackType,
    ConnectionCallbackType,
    DaemonCallbackType,
    DirectoryProgressCallbackType,
    DirectoryRequestCallbackType,
    DisconnectCallbackType,
    EventCallbackType,
    FileProgressCallbackType,
    FileRequestCallbackType,
    JsonCallbackType,
    MessageCallbackType,
    OverflowCallbackType,
    StorageCallbackType,
    StringCallbackType,
    TopicBinaryCallbackType,
    TopicForwardedCallbackType,
    TopicJsonMessageCallbackType,
    TopicMessageCallbackType,
    TopicPeerJoinedCallbackType,
    TopicPeerLeftCallbackType,
)

__all__ = [
    "LibratsCtypes",
    "LibratsNotFoundError",
    "RatsOptions",
    "SIGNATURES",
    "find_librats_library",
    "get_librats",
    "library_candidates",
]

_log = logging.getLogger("librats_py")

DISPATCH_CALLBACKS = 0
DISPATCH_BATCHES = 1

_NAMES = ("librats.so", "librats.so.1")
_SONAME = "librats.so.1"
_SYSTEM_DIRECTORIES = (
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/*-linux-gnu*",
)
_WORKING_DIRECTORIES = (".", "../build", "../../build", "../../../build")
# Only our library exports this; upstream's library of the same name does not.
_MARKER = "rats_create_at"


class LibratsNotFoundError(ImportError):
    """The shared library was not found; the message lists every place that was tried."""


class RatsOptions(Structure):
    """``rats_options_t``."""

    _fields_ = [
        ("struct_size", c_size_t),
        ("listen_port", c_int),
        ("socket_path", c_char_p),
        ("name", c_char_p),
        ("data_dir", c_char_p),
        ("protocol", c_char_p),
        ("bind_address", c_char_p),
        ("security", c_int),
        ("transports", c_uint),
        ("instance", c_int),
        ("timeout_ms", c_int),
        ("dispatch", c_int),
        ("slow", c_char_p),
    ]


_handle = c_void_p
_strings = POINTER(c_char_p)
_int_out = POINTER(c_int)

# name: (result, arguments), in the order of librats.h.
SIGNATURES: Dict[str, Tuple[Any, Tuple[Any, ...]]] = {
    # memory and version
    "rats_string_free": (None, (c_void_p,)),
    "rats_free_array": (None, (_strings, c_int)),
    "rats_get_version_string": (c_char_p, ()),
    "rats_get_version": (None, (_int_out, _int_out, _int_out, _int_out)),
    "rats_get_git_describe": (c_char_p, ()),
    "rats_get_abi": (c_uint32, ()),
    # life cycle
    "rats_create": (_handle, (c_int,)),
    "rats_create_at": (_handle, (c_char_p,)),
    "rats_create_with": (_handle, (POINTER(RatsOptions),)),
    "rats_destroy": (None, (_handle,)),
    "rats_start": (c_int, (_handle,)),
    "rats_stop": (None, (_handle,)),
    # errors and session
    "rats_last_error": (c_int, (_handle,)),
    "rats_last_error_message": (c_char_p, (_handle,)),
    "rats_error_string": (c_char_p, (c_int,)),
    "rats_is_attached": (c_int, (_handle,)),
    "rats_get_socket_path": (c_void_p, (_handle,)),
    "rats_get_instance_json": (c_void_p, (_handle,)),
    "rats_get_public_key": (c_void_p, (_handle,)),
    "rats_call": (c_int, (_handle, c_char_p, c_char_p, c_int, POINTER(c_void_p))),
    # connections and peers
    "rats_connect": (c_int, (_handle, c_char_p, c_int)),
    "rats_connect_with_strategy": (c_int, (_handle, c_char_p, c_int, c_int)),
    "rats_disconnect_peer_by_id": (c_int, (_handle, c_char_p)),
    "rats_get_listen_port": (c_int, (_handle,)),
    "rats_get_peer_count": (c_int, (_handle,)),
    "rats_get_our_peer_id": (c_void_p, (_handle,)),
    "rats_get_connection_statistics_json": (c_void_p, (_handle,)),
    "rats_get_validated_peer_ids": (_strings, (_handle, _int_out)),
    "rats_get_peer_ids": (_strings, (_handle, _int_out)),
    "rats_get_peer_info_json": (c_void_p, (_handle, c_char_p)),
    "rats_set_max_peers": (c_int, (_handle, c_int)),
    "rats_get_max_peers": (c_int, (_handle,)),
    "rats_is_peer_limit_reached": (c_int, (_handle,)),
    "rats_connect_with": (c_int, (_handle, c_char_p, c_int, c_uint, c_int)),
    "rats_wait_for_peer": (c_int, (_handle, c_char_p, c_int)),
    "rats_get_transports": (c_uint, (_handle,)),
    "rats_get_peer_transport": (c_int, (_handle, c_char_p)),
    "rats_get_peer_transports": (c_uint, (_handle, c_char_p)),
    "rats_add_reconnect": (c_int, (_handle, c_char_p, c_int)),
    "rats_remove_reconnect": (c_int, (_handle, c_char_p, c_int)),
    "rats_get_reconnect_json": (c_void_p, (_handle,)),
    # known peers and state
    "rats_load_and_reconnect_peers": (c_int, (_handle,)),
    "rats_load_historical_peers": (c_int, (_handle,)),
    "rats_save_historical_peers": (c_int, (_handle,)),
    "rats_clear_historical_peers": (None, (_handle,)),
    "rats_get_historical_peer_ids": (_strings, (_handle, _int_out)),
    "rats_load_configuration": (c_int, (_handle,)),
    "rats_save_configuration": (c_int, (_handle,)),
    # round trips and exchange
    "rats_ping_peer": (c_int, (_handle, c_char_p, c_int, POINTER(c_int64))),
    "rats_get_peer_rtt_us": (c_int64, (_handle, c_char_p)),
    "rats_request_peers": (c_int, (_handle, c_char_p)),
    # bans and limits
    "rats_ban_peer": (c_int, (_handle, c_char_p, c_int64, c_char_p)),
    "rats_ban_address": (c_int, (_handle, c_char_p, c_int64, c_char_p)),
    "rats_unban": (c_int, (_handle, c_char_p)),
    "rats_get_bans_json": (c_void_p, (_handle,)),
    "rats_set_peer_limits": (c_int, (_handle, c_char_p, c_int64, c_int64)),
    "rats_clear_peer_limits": (c_int, (_handle, c_char_p)),
    "rats_get_limits_json": (c_void_p, (_handle,)),
    # protocol
    "rats_set_protocol_name": (c_int, (_handle, c_char_p)),
    "rats_set_protocol_version": (c_int, (_handle, c_char_p)),
    "rats_get_protocol_name": (c_void_p, (_handle,)),
    "rats_get_protocol_version": (c_void_p, (_handle,)),
    # security and data
    "rats_set_encryption_enabled": (c_int, (_handle, c_int)),
    "rats_is_encryption_enabled": (c_int, (_handle,)),
    "rats_get_encryption_key": (c_void_p, (_handle,)),
    "rats_set_encryption_key": (c_int, (_handle, c_char_p)),
    "rats_generate_encryption_key": (c_void_p, (_handle,)),
    "rats_set_data_directory": (c_int, (_handle, c_char_p)),
    "rats_get_data_directory": (c_void_p, (_handle,)),
    # untyped messages
    "rats_send_string": (c_int, (_handle, c_char_p, c_char_p)),
    "rats_broadcast_string": (c_int, (_handle, c_char_p)),
    "rats_send_binary": (c_int, (_handle, c_char_p, c_void_p, c_size_t)),
    "rats_broadcast_binary": (c_int, (_handle, c_void_p, c_size_t)),
    "rats_send_json": (c_int, (_handle, c_char_p, c_char_p)),
    "rats_broadcast_json": (c_int, (_handle, c_char_p)),
    # channels
    "rats_channel_send": (c_int, (_handle, c_char_p, c_char_p, c_void_p, c_size_t)),
    "rats_channel_broadcast": (c_int, (_handle, c_char_p, c_void_p, c_size_t)),
    "rats_channel_on": (c_int, (_handle, c_char_p, ChannelCallbackType, c_void_p)),
    "rats_channel_off": (c_int, (_handle, c_char_p)),
    "rats_channel_id": (c_uint, (c_char_p,)),
    # typed messages
    "rats_on_message": (c_int, (_handle, c_char_p, MessageCallbackType, c_void_p)),
    "rats_once_message": (c_int, (_handle, c_char_p, MessageCallbackType, c_void_p)),
    "rats_off_message": (c_int, (_handle, c_char_p)),
    "rats_send_message": (c_int, (_handle, c_char_p, c_char_p, c_char_p)),
    "rats_broadcast_message": (c_int, (_handle, c_char_p, c_char_p)),
    # topics
    "rats_is_gossipsub_available": (c_int, (_handle,)),
    "rats_is_gossipsub_running": (c_int, (_handle,)),
    "rats_subscribe_to_topic": (c_int, (_handle, c_char_p)),
    "rats_unsubscribe_from_topic": (c_int, (_handle, c_char_p)),
    "rats_is_subscribed_to_topic": (c_int, (_handle, c_char_p)),
    "rats_get_subscribed_topics": (_strings, (_handle, _int_out)),
    "rats_publish_to_topic": (c_int, (_handle, c_char_p, c_char_p)),
    "rats_publish_json_to_topic": (c_int, (_handle, c_char_p, c_char_p)),
    "rats_publish_binary_to_topic": (c_int, (_handle, c_char_p, c_void_p, c_size_t, c_int)),
    "rats_get_topic_peers": (_strings, (_handle, c_char_p, _int_out)),
    "rats_get_topic_mesh_peers": (_strings, (_handle, c_char_p, _int_out)),
    "rats_get_gossipsub_statistics_json": (c_void_p, (_handle,)),
    "rats_set_topic_message_callback": (
        None,
        (_handle, c_char_p, TopicMessageCallbackType, c_void_p),
    ),
    "rats_set_topic_json_message_callback": (
        None,
        (_handle, c_char_p, TopicJsonMessageCallbackType, c_void_p),
    ),
    "rats_set_topic_binary_callback": (
        None,
        (_handle, c_char_p, TopicBinaryCallbackType, c_void_p),
    ),
    "rats_set_topic_forwarded_callback": (
        None,
        (_handle, c_char_p, TopicForwardedCallbackType, c_void_p),
    ),
    "rats_set_topic_peer_joined_callback": (
        None,
        (_handle, c_char_p, TopicPeerJoinedCallbackType, c_void_p),
    ),
    "rats_set_topic_peer_left_callback": (
        None,
        (_handle, c_char_p, TopicPeerLeftCallbackType, c_void_p),
    ),
    "rats_clear_topic_callbacks": (None, (_handle, c_char_p)),
    # store
    "rats_storage_put": (c_int, (_handle, c_char_p, c_int, c_void_p, c_size_t)),
    "rats_storage_get": (c_void_p, (_handle, c_char_p, _int_out, POINTER(c_size_t))),
    "rats_storage_remove": (c_int, (_handle, c_char_p)),
    "rats_storage_keys": (_strings, (_handle, c_char_p, _int_out)),
    "rats_storage_sync": (c_int, (_handle,)),
    "rats_storage_statistics_json": (c_void_p, (_handle,)),
    "rats_set_storage_callback": (None, (_handle, c_char_p, StorageCallbackType, c_void_p)),
    # files
    "rats_send_file": (c_void_p, (_handle, c_char_p, c_char_p, c_char_p)),
    "rats_send_directory": (c_void_p, (_handle, c_char_p, c_char_p, c_char_p, c_int)),
    "rats_request_file": (c_void_p, (_handle, c_char_p, c_char_p, c_char_p)),
    "rats_request_directory": (c_void_p, (_handle, c_char_p, c_char_p, c_char_p, c_int)),
    "rats_accept_file_transfer": (c_int, (_handle, c_char_p, c_char_p)),
    "rats_accept_directory_transfer": (c_int, (_handle, c_char_p, c_char_p)),
    "rats_reject_file_transfer": (c_int, (_handle, c_char_p, c_char_p)),
    "rats_reject_directory_transfer": (c_int, (_handle, c_char_p, c_char_p)),
    "rats_cancel_file_transfer": (c_int, (_handle, c_char_p)),
    "rats_pause_file_transfer": (c_int, (_handle, c_char_p)),
    "rats_resume_file_transfer": (c_int, (_handle, c_char_p)),
    "rats_get_file_transfer_progress_json": (c_void_p, (_handle, c_char_p)),
    "rats_get_file_transfers_json": (c_void_p, (_handle,)),
    "rats_get_file_transfer_statistics_json": (c_void_p, (_handle,)),
    "rats_add_share_root": (c_int, (_handle, c_char_p)),
    "rats_remove_share_root": (c_int, (_handle, c_char_p)),
    "rats_set_file_request_callback": (None, (_handle, FileRequestCallbackType, c_void_p)),
    "rats_set_directory_request_callback": (
        None,
        (_handle, DirectoryRequestCallbackType, c_void_p),
    ),
    "rats_set_file_progress_callback": (None, (_handle, FileProgressCallbackType, c_void_p)),
    "rats_set_directory_progress_callback": (
        None,
        (_handle, DirectoryProgressCallbackType, c_void_p),
    ),
    # callbacks
    "rats_set_connection_callback": (None, (_handle, ConnectionCallbackType, c_void_p)),
    "rats_set_disconnect_callback": (None, (_handle, DisconnectCallbackType, c_void_p)),
    "rats_set_string_callback": (None, (_handle, StringCallbackType, c_void_p)),
    "rats_set_binary_callback": (None, (_handle, BinaryCallbackType, c_void_p)),
    "rats_set_json_callback": (None, (_handle, JsonCallbackType, c_void_p)),
    "rats_set_daemon_callback": (None, (_handle, DaemonCallbackType, c_void_p)),
    "rats_set_overflow_callback": (None, (_handle, OverflowCallbackType, c_void_p)),
    "rats_set_event_callback": (None, (_handle, EventCallbackType, c_void_p)),
    # batches
    "rats_take_batch": (c_void_p, (_handle, c_int, POINTER(c_size_t))),
    "rats_release_batch": (None, (_handle, c_void_p)),
    "rats_batch_fd": (c_int, (_handle,)),
    "rats_end_wait": (None, (_handle,)),
    # the library's log in this process
    "rats_set_logging_enabled": (None, (c_int,)),
    "rats_set_log_level": (None, (c_char_p,)),
    "rats_set_log_file_path": (None, (_handle, c_char_p)),
    "rats_get_log_file_path": (c_void_p, (_handle,)),
    "rats_set_log_colors_enabled": (None, (_handle, c_int)),
    "rats_is_log_colors_enabled": (c_int, (_handle,)),
    "rats_set_log_timestamps_enabled": (None, (_handle, c_int)),
    "rats_is_log_timestamps_enabled": (c_int, (_handle,)),
    "rats_set_log_rotation_size": (None, (_handle, c_size_t)),
    "rats_set_log_retention_count": (None, (_handle, c_int)),
    "rats_clear_log_file": (None, (_handle,)),
}


def library_candidates() -> List[str]:
    """Paths where the library may be, in the order they are tried.

    ``LIBRATS_LIBRARY``, the package directory, ``build*`` directories of a source checkout,
    ``LD_LIBRARY_PATH``, the name ``librats.so.1`` for the loader, the system directories, and
    last the working directory and its relatives. An entry without a slash is left to the loader.
    """
    explicit = os.environ.get("LIBRATS_LIBRARY")
    found: List[str] = []
    if explicit:
        # A name without a directory would be searched by the loader instead of opened.
        found.append(explicit if os.sep in explicit else os.path.join(os.curdir, explicit))
    package = os.path.dirname(os.path.abspath(__file__))
    directories = [package]
    for parent in (os.path.dirname(package), os.path.dirname(os.path.dirname(package))):
        for build in sorted(glob.glob(os.path.join(glob.escape(parent), "build*"))):
            directories += [build, os.path.join(build, "libratsclient")]
    search_path = os.environ.get("LD_LIBRARY_PATH", "")
    directories += [entry for entry in search_path.split(":") if entry]
    found += _in_directories(directories)
    found.append(_SONAME)
    system: List[str] = []
    for pattern in _SYSTEM_DIRECTORIES:
        system += sorted(glob.glob(pattern)) if "*" in pattern else [pattern]
    found += _in_directories(system + list(_WORKING_DIRECTORIES))
    return list(dict.fromkeys(found))


def _in_directories(directories: List[str]) -> List[str]:
    return [os.path.join(directory, name) for directory in directories for name in _NAMES]


def _open(path: str) -> Tuple[Optional[ctypes.CDLL], str]:
    """The opened library, or None and why not."""
    if os.sep in path and not os.path.exists(path):
        return None, "no such file"
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        return None, str(error)
    if not hasattr(library, _MARKER):
        return None, "does not export {}, so it is another library of this name".format(_MARKER)
    return library, ""


def _search() -> Tuple[str, ctypes.CDLL]:
    tried: List[str] = []
    for path in library_candidates():
        library, reason = _open(path)
        if library is not None:
            if tried and os.environ.get("LIBRATS_LIBRARY"):
                _log.warning("LIBRATS_LIBRARY could not be used, loaded %s instead", path)
            return path, library
        tried.append("  {}: {}".format(path, reason))
    raise LibratsNotFoundError(
        "the librats library was not found; set LIBRATS_LIBRARY to its path. Tried:\n"
        + "\n".join(tried)
    )


def find_librats_library() -> str:
    """The path (or loader name) of the library that would be loaded.

    Returns:
        str: an entry of ``library_candidates()``

    Raises:
        LibratsNotFoundError: nothing fits; the message lists the places tried and why each failed
    """
    return _search()[0]


class LibratsCtypes:
    """The loaded library with types declared; ``lib`` is the ``ctypes.CDLL``.

    Raises:
        LibratsNotFoundError: no library, or one older than this package
    """

    def __init__(self, path: Optional[str] = None) -> None:
        if path is None:
            self.path, self.lib = _search()
        else:
            library, reason = _open(path)
            if library is None:
                raise LibratsNotFoundError("{}: {}".format(path, reason))
            self.path, self.lib = path, library
        for name, (result, arguments) in SIGNATURES.items():
            try:
                function = getattr(self.lib, name)
            except AttributeError:
                raise LibratsNotFoundError(
                    "{} does not export {}; it is older than this package".format(self.path, name)
                ) from None
            function.restype = result
            function.argtypes = arguments

    def take_text(self, address: Optional[int]) -> Optional[str]:
        """Copy a ``char *`` result as text and free it; None for NULL."""
        if not address:
            return None
        try:
            return ctypes.string_at(address).decode("utf-8", "replace")
        finally:
            self.lib.rats_string_free(address)

    def take_texts(self, array: Any, count: int) -> List[str]:
        """Copy a ``char **`` result as a list and free it; empty for NULL."""
        if not array:
            return []
        try:
            return [array[i].decode("utf-8", "replace") for i in range(count)]
        finally:
            self.lib.rats_free_array(array, count)


class _PyBuffer(Structure):
    """``Py_buffer`` of the buffer protocol, the same in all supported interpreters."""

    _fields_ = [
        ("buf", c_void_p),
        ("obj", c_void_p),
        ("len", c_ssize_t),
        ("itemsize", c_ssize_t),
        ("readonly", c_int),
        ("ndim", c_int),
        ("format", c_char_p),
        ("shape", c_void_p),
        ("strides", c_void_p),
        ("suboffsets", c_void_p),
        ("internal", c_void_p),
    ]


_PyBUF_SIMPLE = 0
_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, POINTER(_PyBuffer), c_int)
_get_buffer.restype = c_int
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (POINTER(_PyBuffer),)
_release_buffer.restype = None


class Borrowed:
    """Address and size of a bytes-like object for the length of a ``with`` block, not copied.

    Memory that is not contiguous (a stepped ``memoryview``) is copied once.

    Raises:
        TypeError: the object is not bytes-like; ``str`` is not
    """

    __slots__ = ("_view", "address", "size")

    def __init__(self, data: Any) -> None:
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        self._view = _PyBuffer()
        try:
            _get_buffer(data, self._view, _PyBUF_SIMPLE)
        except BufferError:
            data = bytes(data)
            _get_buffer(data, self._view, _PyBUF_SIMPLE)
        self.address: Optional[int] = self._view.buf
        self.size: int = self._view.len

    def __enter__(self) -> "Borrowed":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Any
    ) -> None:
        _release_buffer(self._view)


_librats: Optional[LibratsCtypes] = None
_librats_lock = threading.Lock()


def get_librats() -> LibratsCtypes:
    """The library of this process, loaded at the first call.

    Returns:
        LibratsCtypes: the same object every time

    Raises:
        LibratsNotFoundError: see ``find_librats_library``
    """
    global _librats
    with _librats_lock:
        if _librats is None:
            _librats = LibratsCtypes()
        return _librats
