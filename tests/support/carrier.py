"""A program that sends and receives files, in plain Python: what a client of the transfer methods has to
do, on the frames of ratsipc.py. Everything is answered as it comes; nothing is hurried."""
import os
import stat
import struct
import time

import ratsipc

ENDS = ("completed", "failed", "cancelled")


def manifest(files):
    """The body of transfer.send for a directory: (path, size) of each file."""
    parts = []
    for path, size in files:
        path = path.encode("utf-8") if isinstance(path, str) else path
        parts.append(struct.pack("<QH", size, len(path)) + path)
    return b"".join(parts)


def tree_of(directory):
    """(path, size) of every regular file below it, sorted."""
    found = []
    for base, _, names in os.walk(directory):
        for name in names:
            full = os.path.join(base, name)
            info = os.lstat(full)
            if stat.S_ISREG(info.st_mode):
                found.append((os.path.relpath(full, directory), info.st_size))
    return sorted(found)


class Carrier(ratsipc.Client):
    """A started session that watches both kinds. Its transfers are served while it waits."""

    def __init__(self, path, watch=("file", "directory"), **options):
        super().__init__(path, **options)
        self.sources = {}  # transfer: the directory its files are read from
        self.targets = {}  # transfer: the path of the file, or directory, that it is to become
        self.parts = {}  # transfer: {number of the file: (path, where it is until it is verified)}
        self.last = {}  # transfer: the last transfer.changed
        self.changes = {}  # transfer: the states it was told, in order
        self.offers = []
        self.requests = []
        self.is_stubborn = False  # answers no transfer.open
        self.places = True  # answers transfer.verified
        self.hello()
        self.call("transfer.watch", {"kinds": list(watch)})
        self.call("session.start")

    # --- asking ---

    def send_file(self, peer, path, name=None):
        fd = os.open(path, os.O_RDONLY)
        try:
            return self.call("transfer.send", {"peer": peer, "kind": "file",
                                               "name": name or os.path.basename(path)},
                             descriptors=[fd])["transfer"]
        finally:
            os.close(fd)

    def send_tree(self, peer, directory, name=None):
        files = tree_of(directory)
        key = self.call("transfer.send", {"peer": peer, "kind": "directory",
                                          "name": name or os.path.basename(directory)},
                        body=manifest(files))["transfer"]
        self.sources[key] = directory
        return key

    def accept(self, key, target, kind="file"):
        self.targets[key] = target
        self.parts[key] = {}
        if kind == "directory":
            os.makedirs(target, exist_ok=True)
            self.call("transfer.accept", {"transfer": key})
            return
        part = target + ".part"
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self.parts[key][0] = (part, target)
        try:
            self.call("transfer.accept", {"transfer": key}, descriptors=[fd])
        finally:
            os.close(fd)

    # --- answering ---

    def open_file(self, key, number, path):
        if key in self.sources:
            return os.open(os.path.join(self.sources[key], path), os.O_RDONLY)
        target = os.path.join(self.targets[key], path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        self.parts[key][number] = (target + ".part", target)
        return os.open(target + ".part", os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def on_open(self, fields):
        key, first = fields["transfer"], fields["first"]
        assert len(fields["files"]) <= 16
        if self.is_stubborn:
            return
        fds = [self.open_file(key, first + at, file["path"])
               for at, file in enumerate(fields["files"])]
        try:
            self.begin("transfer.provide", {"transfer": key, "first": first}, descriptors=fds)
        finally:
            for fd in fds:
                os.close(fd)

    def on_verified(self, fields):
        key, first, count = fields["transfer"], fields["first"], fields["count"]
        if not self.places:
            return
        for number in range(first, first + count):
            part, target = self.parts[key].pop(number)
            os.rename(part, target)
        self.begin("transfer.placed", {"transfer": key, "count": count})

    def on_changed(self, fields):
        key = fields["transfer"]
        states = self.changes.setdefault(key, [])
        assert not states or states[-1] not in ENDS, "%s after its end" % fields["state"]
        if not states or states[-1] != fields["state"]:
            states.append(fields["state"])
        self.last[key] = fields

    def take(self, timeout=None):
        frame = super().take(timeout)
        if frame.kind == ratsipc.EVENT:
            event = self.events[-1]
            answer = {"transfer.open": self.on_open, "transfer.verified": self.on_verified,
                      "transfer.changed": self.on_changed, "transfer.offered": self.offers.append,
                      "transfer.requested": self.requests.append}.get(event["v"])
            if answer:
                answer(event["p"])
        return frame

    def serve(self, condition, what, timeout=None, others=()):
        """Answers what comes, here and at others, until the condition holds."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while not condition():
            assert time.monotonic() < deadline, "waited in vain: %s" % what
            for client in (self,) + tuple(others):
                try:
                    client.take(0.005)
                except TimeoutError:
                    pass
        return self

    def wait_offer(self, others=(), timeout=None):
        self.serve(lambda: self.offers, "an offer", timeout, others)
        return self.offers.pop(0)

    def wait_end(self, key, others=(), timeout=None):
        """The last news of the transfer."""
        self.serve(lambda: key in self.last and self.last[key]["state"] in ENDS,
                   "the end of %s" % key, timeout, others)
        return self.last[key]

    def state(self, key):
        return self.last[key]["state"] if key in self.last else None
