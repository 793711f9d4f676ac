"""Types of callbacks: what a Python function gets, and the C function types behind it.

``...Callback`` are type hints. ``...CallbackType`` are the ctypes function types of the same
callbacks in ``librats.h``, for programs that call the C library themselves; ``RatsClient`` takes
whole batches from the library and needs none of them.
"""

from ctypes import CFUNCTYPE, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from typing import Any, Callable, Dict

# --- what Python functions get --------------------------------------------------------------

ConnectionCallback = Callable[[str], None]  # peer_id
StringCallback = Callable[[str, str], None]  # peer_id, message
BinaryCallback = Callable[[str, bytes], None]  # peer_id, data
JsonCallback = Callable[[str, Any], None]  # peer_id, parsed value
DisconnectCallback = Callable[[str], None]  # peer_id
PeerDiscoveredCallback = Callable[[str, int, str], None]  # host, port, service_name
MessageCallback = Callable[[str, str], None]  # peer_id, JSON text
FileProgressCallback = Callable[[str, int, str], None]  # transfer_id, percent, status name
FileRequestCallback = Callable[[str, str, str, str], None]  # peer, transfer, remote path, name
DirectoryRequestCallback = Callable[[str, str, str, str], None]  # the same for a directory
DirectoryProgressCallback = Callable[[str, int, int, str], None]  # transfer, done, total, file
TopicMessageCallback = Callable[[str, str, str], None]  # peer_id, topic, message
TopicJsonMessageCallback = Callable[[str, str, Any], None]  # peer_id, topic, parsed value
TopicPeerJoinedCallback = Callable[[str, str], None]  # peer_id, topic
TopicPeerLeftCallback = Callable[[str, str], None]  # peer_id, topic

TopicBinaryCallback = Callable[[str, str, bytes], None]  # peer_id, topic, data
# peer_id, forwarder_id, topic, data
TopicForwardedCallback = Callable[[str, str, str, bytes], None]
ChannelCallback = Callable[[str, bytes], None]  # peer_id, data
# key, value (None: removed), deleted, origin_peer_id, is_remote
StorageCallback = Callable[[str, Any, bool, str, bool], None]
DaemonCallback = Callable[[bool], None]  # attached
OverflowCallback = Callable[[int], None]  # messages lost
EventCallback = Callable[[str, Dict[str, Any], int], None]  # event, fields, sequence
ErrorCallback = Callable[[str, BaseException], None]  # kind of callback, what it raised

# --- the C function types; the first argument is user_data ------------------------------------

ConnectionCallbackType = CFUNCTYPE(None, c_void_p, c_char_p)
StringCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)
BinaryCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_void_p, c_size_t)
JsonCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)
DisconnectCallbackType = CFUNCTYPE(None, c_void_p, c_char_p)
PeerDiscoveredCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_int, c_char_p)
MessageCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)
FileProgressCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_int, c_char_p)
FileRequestCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_char_p, c_char_p)
DirectoryRequestCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_char_p, c_char_p)
DirectoryProgressCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_int, c_int, c_char_p)
TopicMessageCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_char_p)
TopicJsonMessageCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_char_p)
TopicPeerJoinedCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)
TopicPeerLeftCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)

TopicBinaryCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_void_p, c_size_t)
TopicForwardedCallbackType = CFUNCTYPE(
    None, c_void_p, c_char_p, c_char_p, c_char_p, c_void_p, c_size_t
)
ChannelCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_void_p, c_size_t)
StorageCallbackType = CFUNCTYPE(
    None, c_void_p, c_char_p, c_int, c_void_p, c_size_t, c_int, c_char_p, c_int
)
DaemonCallbackType = CFUNCTYPE(None, c_void_p, c_int)
OverflowCallbackType = CFUNCTYPE(None, c_void_p, c_uint64)
EventCallbackType = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_uint64)

__all__ = [
    "BinaryCallback",
    "BinaryCallbackType",
    "ChannelCallback",
    "ChannelCallbackType",
    "ConnectionCallback",
    "ConnectionCallbackType",
    "DaemonCallback",
    "DaemonCallbackType",
    "DirectoryProgressCallback",
    "DirectoryProgressCallbackType",
    "DirectoryRequestCallback",
    "DirectoryRequestCallbackType",
    "DisconnectCallback",
    "DisconnectCallbackType",
    "ErrorCallback",
    "EventCallback",
    "EventCallbackType",
    "FileProgressCallback",
    "FileProgressCallbackType",
    "FileRequestCallback",
    "FileRequestCallbackType",
    "JsonCallback",
    "JsonCallbackType",
    "MessageCallback",
    "MessageCallbackType",
    "OverflowCallback",
    "OverflowCallbackType",
    "PeerDiscoveredCallback",
    "PeerDiscoveredCallbackType",
    "StorageCallback",
    "StorageCallbackType",
    "StringCallback",
    "StringCallbackType",
    "TopicBinaryCallback",
    "TopicBinaryCallbackType",
    "TopicForwardedCallback",
    "TopicForwardedCallbackType",
    "TopicJsonMessageCallback",
    "TopicJsonMessageCallbackType",
    "TopicMessageCallback",
    "TopicMessageCallbackType",
    "TopicPeerJoinedCallback",
    "TopicPeerJoinedCallbackType",
    "TopicPeerLeftCallback",
    "TopicPeerLeftCallbackType",
]
