"""A Python program that takes part in the demo; it obeys the lines demo_member.c describes."""
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "python"))

from librats_py import RatsClient, RatsError  # noqa: E402  (found through the line above)

CHANNEL = "demo.chat"
PRINTING = threading.Lock()


def say(*words):
    with PRINTING:
        print(*words, flush=True)


def got(kind, peer_id, data):
    say("got", kind, peer_id, data.hex())


def send(client, kind, peer_id, data):
    if kind == "string":
        client.send_string(peer_id, data.decode())
    elif kind == "binary":
        client.send_binary(peer_id, data)
    elif kind == "json":
        client.send_json(peer_id, json.loads(data.decode()))
    elif kind == "channel":
        client.send_channel(peer_id, CHANNEL, data)
    elif kind == "connect":
        host, port = data.decode().split()
        client.connect(host, int(port))


def main():
    with RatsClient() as client:
        client.set_connection_callback(lambda peer: say("connected", peer))
        client.set_disconnect_callback(lambda peer: say("disconnected", peer))
        client.set_string_callback(lambda peer, text: got("string", peer, text.encode()))
        client.set_binary_callback(lambda peer, data: got("binary", peer, bytes(data)))
        client.set_json_callback(lambda peer, value: got("json", peer, json.dumps(value).encode()))
        client.on_channel(CHANNEL, lambda peer, data: got("channel", peer, bytes(data)))
        client.start()
        say("ready", client.get_our_peer_id())
        for line in sys.stdin:
            words = line.split()
            if words == ["quit"]:
                break
            try:
                send(client, words[0], words[1], bytes.fromhex(words[2] if words[2:] else ""))
                say("sent")
            except RatsError as error:
                say("failed", error.error_code, error.detail or error)


if __name__ == "__main__":
    main()
