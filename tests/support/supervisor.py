"""A service manager in a few lines: hands over listening sockets (LISTEN_FDS), hears what the daemon
notifies (NOTIFY_SOCKET) and asks for signs of life (WATCHDOG_USEC)."""
import fcntl
import os
import select
import socket
import time

import daemons

FIRST_PASSED = 60  # the shell below moves them to 3 and on


class Supervisor:
    """One manager with the sockets it holds. Starts any number of daemons, one after another."""

    def __init__(self, directory):
        self.directory = directory
        self.held = []  # (name, socket)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(os.path.join(directory, "notify"))
        self.watchdog_us = None

    def hold_control(self, path, mode=0o600):
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        held.bind(path)
        os.chmod(path, mode)
        return self.hold("control", held)

    def hold_peer(self):
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.bind(("127.0.0.1", 0))
        return self.hold("peer", held)

    def hold(self, name, held):
        held.listen(128)
        self.held.append((name, held))
        return held

    def close(self):
        for _, held in self.held:
            held.close()
        self.notified.close()

    def messages(self, timeout=daemons.DEADLINE_S):
        """The next notification as a dictionary; None when none comes in time."""
        if not select.select([self.notified], [], [], timeout)[0]:
            return None
        text = self.notified.recv(4096).decode("utf-8")
        return dict(line.split("=", 1) for line in text.splitlines())

    def wait_for(self, key, timeout=daemons.DEADLINE_S):
        """Notifications until one has that key; the one."""
        deadline = time.monotonic() + timeout
        while True:
            said = self.messages(max(0.0, deadline - time.monotonic()))
            assert said is not None, "the daemon did not say %s" % key
            if key in said:
                return said


class SupervisedDaemon(daemons.Daemon):
    """A daemon started the way a service manager does."""

    def __init__(self, supervisor, **options):
        super().__init__(directory=supervisor.directory, **options)
        self.supervisor = supervisor

    def command(self):
        held = self.supervisor.held
        script = ["export NOTIFY_SOCKET='%s/notify'" % self.supervisor.directory]
        if held:
            script.append("export LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s"
                          % (len(held), ":".join(name for name, _ in held)))
        if self.supervisor.watchdog_us:
            script.append("export WATCHDOG_USEC=%d WATCHDOG_PID=$$" % self.supervisor.watchdog_us)
        moves = " ".join("%d<&%d %d<&-" % (3 + i, FIRST_PASSED + i, FIRST_PASSED + i)
                         for i in range(len(held)))
        script.append('exec "$@" ' + moves)
        return ["bash", "-c", "\n".join(script), "bash"] + super().command()

    def spawn(self, **options):
        passed = []
        for i, (_, held) in enumerate(self.supervisor.held):
            passed.append(fcntl.fcntl(held.fileno(), fcntl.F_DUPFD, FIRST_PASSED + i))
            assert passed[-1] == FIRST_PASSED + i
        try:
            return super().spawn(pass_fds=passed, **options)
        finally:
            for descriptor in passed:
                os.close(descriptor)

    def start(self, **options):
        """Starts it and waits until it says that it is ready, without knocking."""
        self.spawn(**options)
        self.supervisor.wait_for("READY")
        return self
