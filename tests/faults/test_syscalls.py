"""System calls that fail (reliability R5): EINTR, short reads and writes, no room, no descriptors.

Two ways: a whole life of a daemon with one call failing somewhere in it, and one daemon whose calls
are made to fail again and again while it serves. The ordinary run takes some indices of each call,
RATS_LONG=1 all of them.
"""
import os
from errno import (EACCES, EADDRINUSE, EAGAIN, ECONNABORTED, ECONNREFUSED, ECONNRESET, EDQUOT,
                   EINTR, EINVAL, EIO, EMFILE, ENETUNREACH, ENFILE, ENOBUFS, ENOENT, ENOMEM,
                   ENOSPC, ENOTCONN, EPERM, EPIPE, EPROTO, EROFS, ETIMEDOUT)

import pytest

import daemons
import faultshim
import parallel
import story
from faultshim import SHORT

LONG = os.environ.get("RATS_LONG")
DISK = (EIO, ENOSPC, EDQUOT, EROFS, EACCES, EINTR)
ROOM = (EMFILE, ENFILE, ENOMEM, ENOBUFS)
ERRORS = {
    "recv": (EINTR, EAGAIN, ENOMEM, ECONNRESET, SHORT),
    "recvmsg": (EINTR, EAGAIN, ENOMEM, ENOBUFS, ECONNRESET, SHORT),
    "send": (EINTR, EAGAIN, ENOBUFS, EPIPE, SHORT),
    "sendmsg": (EINTR, EAGAIN, ENOBUFS, ENOMEM, EPIPE, SHORT),
    "read": (EINTR, EAGAIN, EIO, SHORT),
    "write": (EINTR, EAGAIN, EIO, ENOSPC, EPIPE, SHORT),
    "pread": (EINTR, EIO, SHORT),
    "socket": ROOM + (EACCES,),
    "socketpair": ROOM,
    "bind": (EADDRINUSE, EACCES, ENOMEM, ENOSPC),
    "listen": (EADDRINUSE, ENOMEM),
    "accept4": ROOM + (EINTR, EAGAIN, ECONNABORTED, EPROTO, EPERM),
    "connect": (EINTR, EAGAIN, ECONNREFUSED, ENETUNREACH, ETIMEDOUT, ENOBUFS),
    "getsockname": (ENOBUFS,),
    "getpeername": (ENOTCONN, ENOBUFS),
    "getsockopt": (ENOMEM, EINVAL),
    "setsockopt": (ENOMEM, EINVAL),
    "shutdown": (ENOTCONN,),
    "epoll_create1": ROOM,
    "epoll_ctl": (ENOMEM, ENOSPC),
    "epoll_wait": (EINTR,),
    "eventfd": ROOM,
    "signalfd": ROOM,
    "timerfd_create": ROOM,
    "timerfd_settime": (EINVAL,),
    "pipe2": ROOM,
    "poll": (EINTR, ENOMEM),
    "open": ROOM + DISK,
    "openat": ROOM + DISK,
    "fopen": ROOM + DISK,
    "fstat": (EIO, ENOMEM),
    "lstat": (EIO, ENOMEM, ENOENT),
    "ftruncate": DISK,
    "access": (EIO, EACCES),
    "fsync": (EIO, ENOSPC, EDQUOT, EINTR),
    "fchmod": DISK,
    "chmod": DISK,
    "mkdir": DISK,
    "mkdirat": DISK,
    "fchmodat": DISK,
    "renameat": DISK,
    "linkat": DISK,
    "unlinkat": DISK,
    "unlink": DISK,
    "flock": (EINTR, ENOMEM),
    "close": (EINTR, EIO, ENOSPC),
    "getrandom": (EINTR, EAGAIN),
    "getifaddrs": (ENOMEM, EMFILE),
    "pthread_create": (EAGAIN, ENOMEM),
}
HELPING = ("close", "access", "getrandom")  # many calls, little behind them: fewer indices


def indices(name, count):
    """Which of count calls shall fail."""
    if LONG:
        return list(range(1, count + 1))
    if name in HELPING:
        return sorted({1, count})
    return sorted({1, 2, count // 2, count - 1, count} & set(range(1, count + 1)))


def counts_of_a_life():
    """How often a life calls what; with the making of the identity, and the story told."""
    stage = story.Stage()
    try:
        stage.fresh()
        assert story.live(stage.subject, stage.partner) == 0
        return stage.faults.counts()
    finally:
        stage.close()


def one_life(stage, case):
    name, error, index, again = case
    stage.fresh()
    stage.faults.arm(name, index, error)
    story.live(stage.subject, stage.partner)
    if again:
        story.live_undisturbed(stage.subject, stage.partner)


@pytest.mark.timeout(7200 if LONG else 300)
def test_a_life_with_one_failing_call_ends_well_or_with_a_reason():
    counts = counts_of_a_life()
    cases = []
    for name, errors in ERRORS.items():
        for place, error in enumerate(errors):
            for index in indices(name, counts[name]):
                # Everything that touches the state is followed by a start without faults.
                again = name in ("openat", "fsync", "write", "linkat", "renameat", "fchmod")
                if LONG or again or (index + place) % 2 == 0 or index == 1:
                    cases.append((name, error, index, again))
    called = {name for name in ERRORS if counts[name]}
    assert len(called) >= 20, "only these are called: %s" % sorted(called)
    parallel.each(cases, story.Stage, one_life)


class Serving:
    """A daemon that serves all the time, and what a story calls in it."""

    def __init__(self):
        self.stage = story.Stage()
        self.start()
        before = self.stage.faults.counts()
        story.tell(self.stage.subject, self.stage.partner)
        after = self.stage.faults.counts()
        self.called = {name: after[name] - before[name] for name in ERRORS}
        self.base = self.settled_descriptors()

    def start(self):
        self.stage.fresh()
        self.stage.subject.spawn()
        assert self.stage.subject.wait_ready()
        story.tell(self.stage.subject, self.stage.partner)  # the first has more to do

    def settled_descriptors(self):
        seen = [None, None]

        def settled():
            seen.append(self.stage.subject.descriptors())
            return seen[-1] == seen[-2] == seen[-3]
        daemons.wait_until(settled, "descriptors settle")
        return seen[-1]

    def disturb(self, name, error, skip, count):
        """One story with calls failing; the next one, without, must go well."""
        stage = self.stage
        stage.faults.arm_next(name, error, skip, count)
        try:
            story.tell(stage.subject, stage.partner)
        except story.Unlucky:
            pass
        stage.faults.disarm(name)
        if not story.tell_until_well(stage.subject, stage.partner):
            story.judge_end(stage.subject, stage.subject.process.wait())
            self.start()

    def look_over(self):
        """Quiet, and nothing left open."""
        self.stage.subject.assert_idle()
        daemons.wait_until(lambda: self.stage.subject.descriptors() <= self.base,
                           "no descriptor is left, %d at first and now %d"
                           % (self.base, self.stage.subject.descriptors()))
        self.stage.subject.check_log()

    def close(self):
        try:
            if self.stage.subject.running():
                status = self.stage.subject.end()
                assert status == 0, self.stage.subject.log()[-3000:]
                self.stage.subject.check_log()
        finally:
            self.stage.close()


def serve(serving, name):
    """Every error of one call."""
    if not serving.called[name]:
        return
    for error in ERRORS[name]:
        for index in indices(name, serving.called[name]):
            serving.disturb(name, error, index - 1, 1)
        if error in (EINTR, SHORT) or name == "accept4":
            serving.disturb(name, error, 0, 40)  # a row of them
    if SHORT in ERRORS[name]:
        serving.disturb(name, SHORT, 0, None)
    serving.look_over()


@pytest.mark.timeout(7200 if LONG else 300)
def test_a_serving_daemon_goes_on_after_failing_calls():
    parallel.each(list(ERRORS), Serving, serve)
