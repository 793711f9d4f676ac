"""Sends lines on a named channel to every peer and shows what peers send on it.

usage: channel_chat.py CHANNEL [HOST PORT]
"""

import sys

from librats_py import RatsClient


def main() -> None:
    if len(sys.argv) not in (2, 4):
        sys.exit(__doc__)
    channel = sys.argv[1]
    with RatsClient() as client:
        # Registered before start(): nothing that arrives from then on is missed.
        client.on_channel(channel, lambda peer_id, data: print(peer_id[:8], data, flush=True))
        client.start()
        if len(sys.argv) == 4:
            client.connect(sys.argv[2], int(sys.argv[3]))
        for line in sys.stdin.buffer:
            count = client.broadcast_channel(channel, line.rstrip(b"\n"))
            print("sent to", count, "peers", flush=True)


if __name__ == "__main__":
    main()
