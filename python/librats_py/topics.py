"""Methods of ``RatsClient`` for topics."""

from ctypes import byref, c_int
from typing import Any, Dict, List, Optional

from .base import ClientBase
from .callbacks import (
    TopicBinaryCallback,
    TopicForwardedCallback,
    TopicJsonMessageCallback,
    TopicMessageCallback,
    TopicPeerJoinedCallback,
    TopicPeerLeftCallback,
)
from .convert import checked, encode, encode_json
from .ctypes_wrapper import Borrowed, LibratsCtypes
from .dispatch import PLANE_TOPIC
from .exceptions import RatsError
from .messages import BytesLike
from .session import interruptible

__all__ = ["TopicMethods"]


class TopicMethods(ClientBase):
    """Publish and subscribe.

    The ``peer_id`` of a message is who it says has published it; nothing proves that. A message of
    another program on this machine comes with the peer id of the instance.
    """

    def __init__(self, library: LibratsCtypes, handle: int) -> None:
        super().__init__(library, handle)
        self._publish_binary = library.lib.rats_publish_binary_to_topic

    def is_gossipsub_available(self) -> bool:
        """Always true."""
        return bool(self._session.call("rats_is_gossipsub_available"))

    def is_gossipsub_running(self) -> bool:
        """Whether the client is started."""
        return bool(self._session.call("rats_is_gossipsub_running"))

    def subscribe_to_topic(self, topic: str) -> None:
        """Get the messages of a topic from now on, while the client is started.

        Allowed before ``start``; ``stop`` ends all subscriptions.

        Raises:
            RatsInvalidParameterError: empty, or over 4096 bytes
            RatsError: subscribed to it already, or to 512 topics
        """
        name = encode(topic, "topic")
        with self._registration:
            tapped = self._dispatcher.is_tapped(PLANE_TOPIC, name)
            before = self._dispatcher.set_subscribed(name, True)
            if tapped and not before:
                return
            try:
                self._topics.tell(self._session, name, True)
            except BaseException:
                self._dispatcher.set_subscribed(name, before)
                raise

    def unsubscribe_from_topic(self, topic: str) -> None:
        """End a subscription; the callbacks stay for a later one.

        Raises:
            RatsError: not subscribed to it
        """
        name = encode(topic, "topic")
        with self._registration:
            before = self._dispatcher.set_subscribed(name, False)
            if not self._dispatcher.is_tapped(PLANE_TOPIC, name):
                self._topics.tell(self._session, name, False)
            elif not before:
                raise RatsError(
                    "Unsubscribe from topic failed", detail="only an iterator subscribes to it"
                )

    def is_subscribed_to_topic(self, topic: str) -> bool:
        """Whether this client subscribes to a topic."""
        name = encode(topic, "topic")
        return bool(self._session.call("rats_is_subscribed_to_topic", name))

    def get_subscribed_topics(self) -> List[str]:
        """The topics this client subscribes to, sorted."""
        return self._ids("rats_get_subscribed_topics")

    def publish_to_topic(self, topic: str, message: str) -> None:
        """Publish text to all subscribers but this client itself; returns when the daemon has it.

        Raises:
            TypeError: ``message`` is not ``str``
            RatsInvalidParameterError: topic empty, text too long or with a NUL character
            RatsNotRunningError: not started, or the daemon is gone
        """
        self._publish("rats_publish_to_topic", topic, encode(message, "message"))

    def publish_json_to_topic(self, topic: str, data: Any) -> None:
        """Publish a value as JSON, as ``publish_to_topic`` does text.

        Raises:
            TypeError: the value has a type JSON does not know
            RatsJsonParseError: the value cannot be written as JSON (NaN, a cycle)
            RatsInvalidParameterError: topic empty, or text too long
            RatsNotRunningError: not started, or the daemon is gone
        """
        self._publish("rats_publish_json_to_topic", topic, encode_json(data))

    def publish_binary_to_topic(self, topic: str, data: BytesLike, echo: bool = False) -> None:
        """Publish bytes (also none), as ``publish_to_topic`` does text.

        Args:
            topic: name of the topic
            data: the bytes
            echo: whether this client gets the message as well, if it subscribes to the topic

        Raises:
            TypeError: ``data`` is not bytes-like
            RatsInvalidParameterError: topic empty
            RatsError: too long
            RatsNotRunningError: not started, or the daemon is gone
        """
        name = self._encoded.get(topic) or self._encode_once(topic, "topic")
        session = self._session
        handle = session.handle()
        if type(data) is bytes:
            code = self._publish_binary(handle, name, data, len(data), echo)
        else:
            with Borrowed(data) as view:
                code = self._publish_binary(handle, name, view.address, view.size, echo)
        if code:
            raise session.failed(code, "Publish binary to topic")

    def get_topic_peers(self, topic: str) -> List[str]:
        """Ids of the connected peers that subscribe to a topic."""
        return interruptible(self._topic_peers, "rats_get_topic_peers", encode(topic, "topic"))

    def get_topic_mesh_peers(self, topic: str) -> List[str]:
        """Ids of the peers that messages of a topic are forwarded to."""
        return interruptible(self._topic_peers, "rats_get_topic_mesh_peers", encode(topic, "topic"))

    def get_gossipsub_statistics(self) -> Dict[str, Any]:
        """How topics are doing; empty while the daemon is gone."""
        return self._document("rats_get_gossipsub_statistics_json")

    # --- callbacks ------------------------------------------------------------------------

    def set_topic_message_callback(
        self, topic: str, callback: Optional[TopicMessageCallback]
    ) -> None:
        """``callback(peer_id, topic, message)`` for each message; bytes that are not UTF-8 become
        U+FFFD."""
        self._set_topic("message", topic, callback)

    def set_topic_json_message_callback(
        self, topic: str, callback: Optional[TopicJsonMessageCallback]
    ) -> None:
        """``callback(peer_id, topic, value)`` for each message that is JSON, parsed."""
        self._set_topic("json", topic, callback)

    def set_topic_binary_callback(
        self, topic: str, callback: Optional[TopicBinaryCallback]
    ) -> None:
        """``callback(peer_id, topic, data)`` for each message, besides the other callbacks."""
        self._set_topic("binary", topic, callback)

    def set_topic_forwarded_callback(
        self, topic: str, callback: Optional[TopicForwardedCallback]
    ) -> None:
        """``callback(peer_id, forwarder_id, topic, data)`` for each message, besides the others.

        ``peer_id`` is who the message says has published it; only ``forwarder_id``, the peer that
        passed it on to this instance, is authenticated.
        """
        self._set_topic("forwarded", topic, callback)

    def set_topic_peer_joined_callback(
        self, topic: str, callback: Optional[TopicPeerJoinedCallback]
    ) -> None:
        """``callback(peer_id, topic)`` once for each peer in a topic this client subscribes to:
        those that are there already, and those that come later."""
        self._set_topic("joined", topic, callback)

    def set_topic_peer_left_callback(
        self, topic: str, callback: Optional[TopicPeerLeftCallback]
    ) -> None:
        """``callback(peer_id, topic)`` when a peer no longer subscribes, or is gone."""
        self._set_topic("left", topic, callback)

    def clear_topic_callbacks(self, topic: str) -> None:
        """Clear all callbacks of a topic; a subscription stays."""
        self._check_open()
        # In batch mode the library has no callbacks: rats_clear_topic_callbacks is not needed.
        self._dispatcher.clear_topic(encode(topic, "topic"))

    # --- inside ---------------------------------------------------------------------------

    def _set_topic(self, kind: str, topic: str, callback: Any) -> None:
        self._check_open()
        self._dispatcher.set_topic(kind, encode(topic, "topic"), checked(callback))

    def _publish(self, function: str, topic: str, text: bytes) -> None:
        name = self._encoded.get(topic) or self._encode_once(topic, "topic")
        session = self._session
        handle = session.handle()
        code = getattr(session.lib, function)(handle, name, text)
        if code:
            raise session.failed(code, "Publish to topic")

    def _topic_peers(self, function: str, topic: bytes) -> List[str]:
        count = c_int()
        array = self._session.call(function, topic, byref(count))
        return self._library.take_texts(array, count.value)
