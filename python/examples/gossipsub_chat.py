"""A chat: join TOPIC, leave TOPIC, connect HOST PORT, quit; any other line is said in the topic.

usage: gossipsub_chat.py PORT NAME"""

import sys
import time

from librats_py import RatsClient, RatsError


def show(peer_id: str, topic: str, value: object) -> None:
    if isinstance(value, dict) and value.get("type") == "chat":
        print("[{}] {}: {}".format(topic, value.get("username"), value.get("content")), flush=True)


def main(port: int, username: str) -> None:
    topic = ""
    with RatsClient(port) as client:
        client.start()
        for words in (line.split() or [""] for line in sys.stdin):
            try:
                if words[0] == "quit":
                    break
                if words[0] == "connect":
                    client.connect(words[1], int(words[2]))
                elif words[0] == "join":
                    topic = words[1]
                    client.set_topic_json_message_callback(topic, show)
                    client.subscribe_to_topic(topic)
                elif words[0] == "leave":
                    client.unsubscribe_from_topic(words[1])
                else:
                    chat = dict(type="chat", username=username, content=" ".join(words))
                    client.publish_json_to_topic(topic, dict(chat, timestamp=time.time()))
            except (RatsError, LookupError, ValueError) as error:
                print("failed:", error, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
