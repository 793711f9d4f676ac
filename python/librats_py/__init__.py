"""Python bindings of librats, the client library of the peer-to-peer daemon ratsd.

::

    from librats_py import RatsClient

    with RatsClient() as client:
        client.set_string_callback(lambda peer_id, text: print(peer_id, text))
        client.start()
        client.connect("192.0.2.1", 8080)
        client.broadcast_string("hello")

The C library is loaded when the first ``RatsClient`` is made, so importing always works.
"""

import logging

from .aio import AsyncRatsClient
from .callbacks import (
    BinaryCallback,
    BinaryCallbackType,
    ChannelCallback,
    ChannelCallbackType,
    ConnectionCallback,
    ConnectionCallbackType,
    DaemonCallback,
    DaemonCallbackType,
    DirectoryProgressCallback,
    DirectoryProgressCallbackType,
    DirectoryRequestCallback,
    DirectoryRequestCallbackType,
    DisconnectCallback,
    DisconnectCallbackType,
    ErrorCallback,
    EventCallback,
    EventCallbackType,
    FileProgressCallback,
    FileProgressCallbackType,
    FileRequestCallback,
    FileRequestCallbackType,
    JsonCallback,
    JsonCallbackType,
    MessageCallback,
    MessageCallbackType,
    OverflowCallback,
    OverflowCallbackType,
    PeerDiscoveredCallback,
    PeerDiscoveredCallbackType,
    StorageCallback,
    StorageCallbackType,
    StringCallback,
    StringCallbackType,
    TopicBinaryCallback,
    TopicBinaryCallbackType,
    TopicForwardedCallback,
    TopicForwardedCallbackType,
    TopicJsonMessageCallback,
    TopicJsonMessageCallbackType,
    TopicMessageCallback,
    TopicMessageCallbackType,
    TopicPeerJoinedCallback,
    TopicPeerJoinedCallbackType,
    TopicPeerLeftCallback,
    TopicPeerLeftCallbackType,
)
from .core import RatsClient
from .ctypes_wrapper import LibratsNotFoundError
from .enums import (
    ConnectionStrategy,
    FileTransferStatus,
    LogLevel,
    MessageDataType,
    NatType,
    Transport,
    VersionInfo,
)
from .enums import RatsError as ErrorCode
from .exceptions import (
    RatsConnectionError,
    RatsDaemonError,
    RatsError,
    RatsInvalidParameterError,
    RatsJsonParseError,
    RatsNotRunningError,
    RatsNotSupportedError,
    RatsPeerNotFoundError,
    RatsPermissionError,
    RatsTimeoutError,
    check_error,
)
from .incoming import Messages, Peers, StorageChanges
from .streams import Message, PeerChange, StorageChange

__version__ = "1.0.0"
__author__ = "the ratsd authors"
__license__ = "MIT"

logging.getLogger("librats_py").addHandler(logging.NullHandler())

__all__ = [
    "AsyncRatsClient",
    "BinaryCallback",
    "BinaryCallbackType",
    "ChannelCallback",
    "ChannelCallbackType",
    "ConnectionCallback",
    "ConnectionCallbackType",
    "ConnectionStrategy",
    "DaemonCallback",
    "DaemonCallbackType",
    "DirectoryProgressCallback",
    "DirectoryProgressCallbackType",
    "DirectoryRequestCallback",
    "DirectoryRequestCallbackType",
    "DisconnectCallback",
    "DisconnectCallbackType",
    "ErrorCallback",
    "ErrorCode",
    "EventCallback",
    "EventCallbackType",
    "FileProgressCallback",
    "FileProgressCallbackType",
    "FileRequestCallback",
    "FileRequestCallbackType",
    "FileTransferStatus",
    "JsonCallback",
    "JsonCallbackType",
    "LibratsNotFoundError",
    "LogLevel",
    "Message",
    "MessageCallback",
    "MessageCallbackType",
    "MessageDataType",
    "Messages",
    "NatType",
    "OverflowCallback",
    "OverflowCallbackType",
    "PeerChange",
    "PeerDiscoveredCallback",
    "PeerDiscoveredCallbackType",
    "Peers",
    "RatsClient",
    "RatsConnectionError",
    "RatsDaemonError",
    "RatsError",
    "RatsInvalidParameterError",
    "RatsJsonParseError",
    "RatsNotRunningError",
    "RatsNotSupportedError",
    "RatsPeerNotFoundError",
    "RatsPermissionError",
    "RatsTimeoutError",
    "StorageCallback",
    "StorageCallbackType",
    "StorageChange",
    "StorageChanges",
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
    "Transport",
    "VersionInfo",
    "__author__",
    "__license__",
    "__version__",
    "check_error",
]
