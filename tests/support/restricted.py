"""Daemons in the restrictions of the shipped unit (reliability R24): services of the systemd this
runs under, with the interface of subprocess.Popen.

RATS_UNIT names the unit file whose restrictions daemons.py shall apply. RATS_UNIT_FACTS names a file
that gets one line of JSON for every daemon that has ended: how, and the most memory it had. A system
call that the unit forbids ends the daemon here (SIGSYS), where the unit lets it fail.
"""
import itertools
import json
import os
import re
import select
import signal
import subprocess
import time

# What says how the service is started, not what it may do, or names directories: the tests have theirs.
NOT_A_RESTRICTION = re.compile(
    "Type|Exec.*|User|Group|DynamicUser|WatchdogSec|Restart.*|Timeout.*|RuntimeDirectory.*|"
    "StateDirectory.*|ConfigurationDirectory.*|SystemCallErrorNumber")
NUMBERS = itertools.count()


def restrictions(unit):
    """The lines of the unit's [Service] section that restrict."""
    with open(unit, encoding="utf-8") as file:
        section = re.search(r"(?ms)^\[Service\]$(.*?)(?=^\[|\Z)", file.read()).group(1)
    lines = re.findall(r"(?m)^([A-Za-z]+)=(.*)$", section)
    return ["%s=%s" % line for line in lines if not NOT_A_RESTRICTION.fullmatch(line[0])]


class Service:
    """One running command."""

    def __init__(self, command, log_path, env):
        self.unit = "ratsd-test-%d-%d.service" % (os.getpid(), next(NUMBERS))
        self.returncode = None
        self.peak_kib = 0
        properties = restrictions(os.environ["RATS_UNIT"]) + [
            "RemainAfterExit=yes", "StandardOutput=append:" + log_path,
            "StandardError=append:" + log_path, "ReadWritePaths=" + os.environ["TMPDIR"]]
        words = ["systemd-run", "--quiet", "--unit=" + self.unit, "--service-type=simple"]
        words += ["--property=" + line for line in properties]
        words += ["--setenv=%s=%s" % item for item in env.items() if "\n" not in item[1]]
        subprocess.run(words + ["--"] + command, check=True)
        self.pid = int(self.show("ExecMainPID"))
        try:
            self.handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self.handle = None

    def show(self, name):
        return subprocess.run(["systemctl", "show", "--value", "--property=" + name, self.unit],
                              stdout=subprocess.PIPE, universal_newlines=True,
                              check=True).stdout.strip()

    def note_memory(self):
        try:
            with open("/proc/%d/status" % self.pid, encoding="ascii") as file:
                found = re.search(r"VmHWM:\s+(\d+)", file.read())
        except OSError:
            return
        if found:
            self.peak_kib = max(self.peak_kib, int(found.group(1)))

    def has_exited(self, timeout_s):
        if self.handle is None:
            return True
        ended = select.poll()
        ended.register(self.handle, select.POLLIN)
        return bool(ended.poll(timeout_s * 1000))

    def poll(self):
        if self.returncode is None:
            self.note_memory()
            if self.has_exited(0):
                self.collect()
        return self.returncode

    def wait(self, timeout=None):
        deadline = time.monotonic() + (timeout or 3600)
        while self.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(self.unit, timeout)
            self.has_exited(min(0.05, left))
        return self.returncode

    def collect(self):
        """What the manager has seen, as soon as it has."""
        while self.show("ExecMainCode") == "0":
            time.sleep(0.005)
        status = int(self.show("ExecMainStatus"))
        self.returncode = status if self.show("ExecMainCode") == "1" else -status
        if self.handle is not None:
            os.close(self.handle)
        for verb in ("stop", "reset-failed"):
            subprocess.run(["systemctl", verb, self.unit], stderr=subprocess.DEVNULL, check=False)
        with open(os.environ["RATS_UNIT_FACTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps({"peak_kib": self.peak_kib, "ended": self.returncode}) + "\n")

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)
