"""What the store does: puts that are on disk when they return, beside what the disk under it does in the same rounds,
and how long a fresh node takes to have everything. bench/run drives this."""

import json
import os
import subprocess
import time

PUTS = 2000
SIZE = 100
WRITERS = [1, 8]
KEYS = 10000


class Store:
    def __init__(self, build, directory):
        self.program = os.path.join(build, "bench", "store")
        self.directory = directory

    def rate(self, *words):
        done = subprocess.run([self.program] + [str(word) for word in words], stdout=subprocess.PIPE, check=True)
        result = json.loads(done.stdout)
        return result["operations"] / result["seconds"]


def converge(near, far):
    """Seconds from the link to the moment the other has every key."""
    wanted = near.call("storage.statistics", "{}")["keys"]
    address = {"host": "127.0.0.1", "port": near.status["listen_port"]}
    begun = time.monotonic()
    far.call("peer.connect", json.dumps(address))
    while far.call("storage.statistics", "{}")["keys"] < wanted:
        if time.monotonic() - begun > 120:
            raise SystemExit("the fresh node has not everything after two minutes")
    return time.monotonic() - begun


def measure(table, build, directory, new_daemon):
    """new_daemon(name) starts one that nobody is linked with."""
    store = Store(build, directory)
    for writers in WRITERS:
        daemon = new_daemon("store%d" % writers)
        table.add("store, puts of %d B, %d writers" % (SIZE, writers), "puts/s",
                  lambda: store.rate("put", daemon.socket, writers, PUTS // writers, SIZE),
                  sqlite=lambda: store.rate("commit", directory, PUTS, SIZE),
                  sync=lambda: store.rate("sync", directory, PUTS, SIZE))
        daemon.stop()
    full = new_daemon("full")
    store.rate("put", full.socket, 8, KEYS // 8, SIZE)
    fresh = []

    def one():
        fresh.append(new_daemon("fresh%d" % len(fresh)))
        return converge(full, fresh[-1])

    table.add("store, %d keys to a fresh node" % KEYS, "s", one)
    for daemon in fresh + [full]:
        daemon.stop()
