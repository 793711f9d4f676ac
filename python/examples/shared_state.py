"""State that all programs and all peers share: shared_state.py NAME [HOST PORT].

Run it twice on one machine, or on several whose daemons are connected: what one sets the others
print. A line KEY VALUE sets a key, KEY alone removes it. Whoever changes a key last, wins.
"""

import sys
from typing import Any

from librats_py import RatsClient

PREFIX = "demo/"


def on_change(key: str, value: Any, deleted: bool, origin: str, is_remote: bool) -> None:
    where = "a peer" if is_remote else "this machine"
    what = "removed" if deleted else "= {!r}".format(value)
    print("{} {} (by {})".format(key[len(PREFIX) :], what, where), flush=True)


def main(name: str, *peer: str) -> None:
    with RatsClient() as client:
        client.set_storage_callback(PREFIX, on_change)
        client.start()
        if peer:
            client.connect(peer[0], int(peer[1]))
        for key in client.storage_keys(PREFIX):
            print("{} is {!r}".format(key[len(PREFIX) :], client.storage_get(key)), flush=True)
        print("ready", flush=True)
        for line in sys.stdin:
            key, _, value = line.strip().partition(" ")
            if value:
                client.storage_put(PREFIX + key, {"by": name, "value": value})
            elif not client.storage_remove(PREFIX + key):
                print("{!r} is not set".format(key), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
