"""Drives shim.c: the file of slots that a program with the preloaded library shares with a test."""
import errno
import mmap
import os
import struct

import daemons

SLOT = struct.Struct("=32sQQQQiI")
CALLS, HITS, FIRST, LAST, ERROR, LIMIT = range(1, 7)
FOREVER = (1 << 64) - 1
SHORT = 0  # instead of an error: one byte passes

# What the daemon and the library call that may fail.
MOVES = ("recv", "send", "read", "write", "recvmsg", "sendmsg")
SITES = MOVES + (
    "socket", "socketpair", "bind", "listen", "accept4", "connect", "getsockname", "getpeername",
    "getsockopt", "setsockopt", "shutdown", "epoll_create1", "epoll_ctl", "epoll_wait", "eventfd",
    "signalfd", "timerfd_create", "timerfd_settime", "pipe2", "poll", "open", "openat", "fopen",
    "fstat",
    "lstat", "ftruncate", "pread", "access", "fsync", "fchmod", "chmod", "mkdir", "mkdirat",
    "fchmodat", "renameat", "linkat", "unlinkat", "unlink", "flock", "close", "getrandom",
    "getifaddrs", "pthread_create")


def library():
    """The shim of the build under test, or of any build: it is the same in all of them."""
    paths = [os.path.join(build, "tests", "faults", "libfaultshim.so")
             for build in (daemons.BUILD, os.path.join(daemons.ROOT, "build-check/gcc"),
                           os.path.join(daemons.ROOT, "build"))]
    for path in paths:
        if os.path.exists(path):
            return path
    raise FileNotFoundError("the shim is not built: " + paths[0])


class Faults:
    """A file of slots. Give environment() to the program, arm() before or while it runs."""

    def __init__(self, path, names=("alloc",) + SITES):
        self.path = str(path)
        self.at = {name: SLOT.size * index for index, name in enumerate(names)}
        with open(self.path, "wb") as file:
            file.write(b"".join(SLOT.pack(name.encode("ascii"), 0, 0, 0, 0, 0, 0)
                                for name in names))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def close(self):
        self.map.close()

    def environment(self):
        # The shim comes before the sanitizer's library on purpose, and calls on to it.
        options = os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": library(), "FAULTS_FILE": self.path,
                "ASAN_OPTIONS": options + ":verify_asan_link_order=0"}

    def _read(self, name):
        return SLOT.unpack_from(self.map, self.at[name])

    def calls(self, name):
        return self._read(name)[CALLS]

    def counts(self):
        return {name: self.calls(name) for name in self.at}

    def hits(self, name):
        return self._read(name)[HITS]

    def _write(self, name, first, last, error):
        # Only the plan: the counters before it belong to the program.
        struct.pack_into("=QQiI", self.map, self.at[name] + 48, first, last, error, 1)

    def arm(self, name, first, error, count=1):
        """Calls first, first+1, ... fail, count of them; error SHORT lets one byte pass."""
        last = FOREVER if count is None else first + count - 1
        self._write(name, first, last, error)

    def arm_next(self, name, error, skip=0, count=1):
        """The same for the calls that come after skip more."""
        self.arm(name, self.calls(name) + 1 + skip, error, count)

    def disarm(self, name):
        self._write(name, 0, 0, 0)

    def reset(self):
        """As new, for the next program."""
        for name, at in self.at.items():
            SLOT.pack_into(self.map, at, name.encode("ascii"), 0, 0, 0, 0, 0, 0)


def error_name(error):
    return "short" if error == SHORT else errno.errorcode[error]
