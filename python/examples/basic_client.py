"""A chat: connect HOST PORT, send PEER TEXT, broadcast TEXT, peers, stats, quit."""

import json
import sys

from librats_py import RatsClient, RatsError


def run(client: RatsClient, command: str, *words: str) -> str:
    if command == "connect":
        client.connect(words[0], int(words[1]))
    elif command == "send":
        client.send_string(words[0], " ".join(words[1:]))
    elif command == "broadcast":
        return "sent to {} peers".format(client.broadcast_string(" ".join(words)))
    elif command == "peers":
        return "\n".join(client.get_peer_ids()) or "no peers"
    elif command == "stats":
        return json.dumps(client.get_connection_statistics(), indent=2)
    return "done" if command in ("connect", "send") else str(__doc__)


def main() -> None:
    with RatsClient(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as client:
        client.set_connection_callback(lambda peer: print("connected", peer, flush=True))
        client.set_disconnect_callback(lambda peer: print("gone", peer, flush=True))
        client.set_string_callback(lambda peer, text: print(peer[:8], text, flush=True))
        client.start()
        for words in (line.split() or ["help"] for line in sys.stdin):
            if words[0] == "quit":
                break
            try:
                print(run(client, *words), flush=True)
            except (RatsError, LookupError, ValueError) as error:
                print("failed:", error, flush=True)


if __name__ == "__main__":
    main()
