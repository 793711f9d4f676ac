"""A user of one's own, in whose directories programs start daemons by themselves."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap

from daemons import RATSD, REPORTS, ROOT, environment, librats_path, wait_until

PROLOGUE = """
import os, sys, time
from librats_py import *
from ctypes import *
def wait(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)
"""


class Place:
    """A user of one's own: runtime directory, home, and every daemon started there."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="ratsd-")
        self.runtime = os.path.join(self.directory, "run", "ratsd")
        os.mkdir(os.path.join(self.directory, "run"), 0o700)
        self.programs = []

    def environment(self, **more):
        env = environment(self.directory, RATSD=RATSD, LIBRATS_LIBRARY=librats_path(),
                          PYTHONPATH=os.path.join(ROOT, "python"))
        del env["RATS_CREATE"]
        env.update(more)
        return env

    def spawn(self, code, **more):
        """A Python program; its output is text."""
        text = PROLOGUE + textwrap.dedent(code)
        program = subprocess.Popen([sys.executable, "-c", text], env=self.environment(**more),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, universal_newlines=True)
        self.programs.append(program)
        return program

    def run(self, code, **more):
        """Runs it to its end and returns what it printed."""
        return self.finish(self.spawn(code, **more))

    @staticmethod
    def finish(program):
        out, err = program.communicate(timeout=30)
        assert program.returncode == 0, "exit %d\n%s\n%s" % (program.returncode, out, err)
        assert not REPORTS.search(out + (err or "")), err
        return out

    def path(self, *parts):
        return os.path.join(self.runtime, *parts)

    def daemons(self):
        """Processes whose command line names our directory."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open("/proc/%s/cmdline" % entry, "rb") as file:
                        words = file.read().split(b"\0")
                except OSError:
                    continue
                if b"--ready-fd" in words and self.directory.encode() in b" ".join(words):
                    found.append(int(entry))
        return found

    def signal(self, number):
        """To every daemon that is there."""
        for pid in self.daemons():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # it was ending

    def sockets(self):
        private = self.path("private")
        return sorted(os.listdir(private)) if os.path.exists(private) else []

    def links(self):
        by_port = self.path("by-port")
        return sorted(os.listdir(by_port)) if os.path.exists(by_port) else []

    def gone(self):
        wait_until(lambda: not self.daemons(), "all daemons are gone")
        assert self.sockets() == [] and self.links() == []

    def close(self):
        for program in self.programs:
            if program.poll() is None:
                program.kill()
            program.communicate()
        self.signal(signal.SIGTERM)
        wait_until(lambda: not self.daemons(), "all daemons are gone")
        log = self.path("default.log")
        if os.path.exists(log):
            with open(log, encoding="utf-8") as file:
                text = file.read()
            assert not REPORTS.search(text), text
        shutil.rmtree(self.directory, ignore_errors=True)
