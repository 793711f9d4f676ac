"""Files: connect HOST PORT, send PEER PATH, transfers, peers, stats, quit."""

import os
import sys

from librats_py import RatsClient, RatsError


def run(client: RatsClient, command: str, *words: str) -> object:
    if command == "connect":
        return client.connect(words[0], int(words[1]))
    if command == "send":
        return client.send_file(words[0], words[1])
    if command == "peers":
        return client.get_peer_ids()
    transfers, stats = client.get_file_transfers, client.get_file_transfer_statistics
    return transfers() if command == "transfers" else stats() if command == "stats" else __doc__


def main() -> None:
    with RatsClient(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as client:
        def on_request(peer_id: str, transfer_id: str, wanted: str, name: str) -> None:
            name = os.path.basename(name).lstrip(".") or transfer_id  # a stranger chose it
            if not wanted:
                client.accept_file_transfer(transfer_id, os.path.join("received", name))

        client.set_file_request_callback(on_request)
        client.set_file_progress_callback(lambda *news: print(*news, flush=True))
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
