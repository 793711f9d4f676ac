"""Allocation failure at every index (reliability R4): of a daemon's life, of a program's life.

The ordinary run takes every so-many-th index, another selection each day; RATS_LONG=1 takes all.
"""
import datetime
import errno
import os
import subprocess
import tempfile

import pytest

import daemons
import faultshim
import parallel
import story

LONG = os.environ.get("RATS_LONG")
SAMPLES = 250
ONCE, FROM_THEN_ON = 1, None


def sample(count):
    """Indices from 1 to count."""
    if LONG:
        return range(1, count + 1)
    step = max(1, count // SAMPLES)
    return range(1 + datetime.date.today().toordinal() % step, count + 1, step)


def count_of_a_life():
    stage = story.Stage()
    try:
        stage.fresh()
        assert story.live(stage.subject, stage.partner) == 0
        return stage.faults.calls("alloc")
    finally:
        stage.close()


def one_life(stage, index, count):
    stage.fresh()
    stage.faults.arm("alloc", index, errno.ENOMEM, count)
    story.live(stage.subject, stage.partner)
    if index % 5 == 0:
        story.live_undisturbed(stage.subject, stage.partner)


@pytest.mark.timeout(7200 if LONG else 300)
@pytest.mark.parametrize("count", [ONCE, FROM_THEN_ON], ids=["once", "from-then-on"])
def test_a_daemon_bears_a_failed_allocation_or_says_why_it_ends(count):
    total = count_of_a_life()
    indices = sample(total)
    if count is FROM_THEN_ON:
        indices = indices[::4]
    assert len(indices) > 20
    parallel.each(indices, story.Stage, lambda stage, index: one_life(stage, index, count))


class Program:
    """program.c between two daemons of its own."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="faults-")
        self.faults = faultshim.Faults(os.path.join(self.directory.name, "slots"))
        self.near, self.far = daemons.Daemon(name="near").start(), daemons.Daemon(name="far").start()

    def run(self):
        """Its exit status and what it said."""
        command = [os.path.join(daemons.BUILD, "tests", "faults", "fault_program"),
                   self.near.socket, self.far.socket]
        environment = daemons.environment(self.directory.name, **self.faults.environment())
        finished = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  universal_newlines=True, timeout=90, check=False)
        assert not daemons.REPORTS.search(finished.stdout), finished.stdout
        return finished.returncode, finished.stdout

    def close(self):
        try:
            self.near.stop()
            self.far.stop()
        finally:
            self.faults.close()
            self.directory.cleanup()


def one_program(program, index, count):
    program.faults.reset()
    program.faults.arm("alloc", index, errno.ENOMEM, count)
    status, said = program.run()
    accepted = (0,) if count is ONCE else (0, 3)
    assert status in accepted, "status %d: %s" % (status, said)
    for daemon in (program.near, program.far):
        assert daemon.running(), daemon.log()


def count_of_a_program():
    program = Program()
    try:
        status, said = program.run()
        assert status == 0 and not said, "status %d: %s" % (status, said)
        return program.faults.calls("alloc")
    finally:
        program.close()


@pytest.mark.timeout(7200 if LONG else 300)
@pytest.mark.parametrize("count", [ONCE, FROM_THEN_ON], ids=["once", "from-then-on"])
def test_a_program_is_told_of_a_failed_allocation(count):
    # Two passes, so that one of them is not disturbed; the first half is the first.
    indices = sample(count_of_a_program())
    if count is FROM_THEN_ON:
        indices = indices[::4]
    assert len(indices) > 20
    parallel.each(indices, Program, lambda program, index: one_program(program, index, count))
