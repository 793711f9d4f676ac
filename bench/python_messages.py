"""One end of a measurement through librats_py.

    python_messages.py sink   SOCKET COUNT [busy]    waits for COUNT messages; busy: the main thread computes meanwhile
    python_messages.py source SOCKET PEER SIZE COUNT
    python_messages.py echo   SOCKET
    python_messages.py ping   SOCKET PEER SIZE COUNT
"""
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "python"))

from librats_py import RatsClient  # noqa: E402  (found through the line above)

CHANNEL = "bench"


def sink(client, count, busy):
    done = threading.Event()
    state = {"messages": 0, "bytes": 0, "first": 0.0}

    def on_message(_peer, data):
        if state["messages"] == 0:
            state["first"] = time.monotonic()
        state["messages"] += 1
        state["bytes"] += len(data)
        if state["messages"] == count:
            state["seconds"] = time.monotonic() - state["first"]
            done.set()

    client.on_channel(CHANNEL, on_message)
    print("ready", flush=True)
    while busy and not done.is_set():
        sum(range(1000))
    done.wait()
    print(json.dumps({key: state[key] for key in ("messages", "bytes", "seconds")}), flush=True)


def source(client, peer, size, count):
    data = bytes(size)
    send = client.send_channel
    for _ in range(count):
        send(peer, CHANNEL, data)


def echo(client):
    client.on_channel(CHANNEL, lambda peer, data: client.send_channel(peer, CHANNEL, data))
    print("ready", flush=True)
    threading.Event().wait()


def ping(client, peer, size, count):
    answered = threading.Semaphore(0)
    client.on_channel(CHANNEL, lambda _peer, _data: answered.release())
    data, took = bytes(size), []
    for _ in range(count):
        start = time.monotonic()
        client.send_channel(peer, CHANNEL, data)
        answered.acquire()
        took.append((time.monotonic() - start) * 1e6)
    took.sort()
    print(json.dumps({"p50_us": took[count // 2], "p99_us": took[count * 99 // 100]}), flush=True)


def main():
    role, path, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    with RatsClient(socket_path=path) as client:
        client.start()
        if role == "sink":
            sink(client, int(rest[0]), rest[1:] == ["busy"])
        elif role == "source":
            source(client, rest[0], int(rest[1]), int(rest[2]))
        elif role == "echo":
            echo(client)
        else:
            ping(client, rest[0], int(rest[1]), int(rest[2]))


if __name__ == "__main__":
    main()
