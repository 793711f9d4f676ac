"""The run that the fault suites disturb: start, connect, send, stop; and what is asked of it.

Whatever fails once, a daemon goes on, so that the same story told again ends well; or it ends with
an exit status of ratsd(8) and says why. It never ends by a signal, never leaves a call without an
answer, never keeps a core busy. And it starts again in the state it left behind.
"""
import os
import signal
import socket
import subprocess
import tempfile
import time

import daemons
import faultshim
import ratsipc

CHANNEL = "story"
CALL_S = 15  # without an answer for so long, a call is lost
MESSAGE_S = 1.5  # a message may be lost with its link; then the story is told again
ATTEMPTS = 4
BROKEN = (OSError, EOFError, ratsipc.Closed, ratsipc.Failed)


class Unlucky(Exception):
    """A step failed in a way that may happen: the story has to be told again."""


class Partner:
    """The daemon at the other end, never disturbed, and a program of its that answers."""

    def __init__(self):
        self.node = daemons.Daemon(name="partner").start()
        self.port = self.node.port
        self.client = self.node.client().listen(CHANNEL)

    def peer_id(self):
        return self.client.info["peer_id"]

    def answer(self):
        """Sends the next message back to where it came from."""
        message = self.client.wait_message(MESSAGE_S)
        self.client.send_message(message.peer, CHANNEL, b"echo " + message.body)

    def forget(self, peer):
        """Leaves no link and no message of the last story."""
        try:
            self.client.call("peer.disconnect", {"peer": peer})
        except ratsipc.Failed:
            pass
        self.client.messages.clear()
        self.client.events.clear()

    def stop(self):
        self.node.stop()


class Subject(daemons.Daemon):
    """The daemon that is disturbed."""

    def __init__(self, faults, **options):
        super().__init__(name="subject", **options)
        self.faults = faults

    def spawn(self, disturbed=True, **options):
        self.variables = self.faults.environment() if disturbed else {}
        return super().spawn(**options)

    def wait_ready(self):
        """True when one can connect to it, false when it has ended."""
        def settled():
            if not self.running():
                return "ended"
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(self.socket) == 0 and "ready"
        return daemons.wait_until(settled, "ratsd comes up or ends\n" + self.log()) == "ready"

    def end(self):
        """SIGTERM, and the exit status."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(daemons.DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise AssertionError("it did not end:\n" + self.log()[-3000:]) from None


def call(client, method, params=None):
    """Only a lost answer is a fault; a refusal or a closed connection may happen."""
    try:
        return client.call(method, params, CALL_S)
    except TimeoutError:
        raise AssertionError("no answer to %s" % method) from None


def tell(subject, partner):
    """Once through: attach, connect, send, hear the answer. Raises Unlucky."""
    step = "attach"
    peer = None
    try:
        with ratsipc.Client(subject.socket, CALL_S) as client:
            try:
                client.hello()
                peer = client.info["peer_id"]
                step = "listen"
                client.listen(CHANNEL)
                step = "connect"
                call(client, "peer.connect", {"host": "127.0.0.1", "port": partner.port})
                step = "send"
                client.send_asked(partner.peer_id(), CHANNEL, b"x" * 3000)
                step = "hear"
                try:
                    partner.answer()
                    got = client.wait_message(MESSAGE_S)
                except TimeoutError:
                    raise Unlucky("%s: nothing came" % step) from None
                assert got.body == b"echo " + b"x" * 3000
                call(client, "peer.list")
                step = "disconnect"
                call(client, "peer.disconnect", {"peer": partner.peer_id()})
            except TimeoutError:
                raise AssertionError("no answer to step %s" % step) from None
    except BROKEN as error:
        raise Unlucky("%s: %r" % (step, error)) from error
    finally:
        if peer:
            partner.forget(peer)


def judge_end(subject, status):
    """An end that was not asked for: a status of ratsd(8), and a sentence."""
    log = subject.log()
    subject.check_log()
    assert status in (1, 2, 3, 4), "ended with status %d\n%s" % (status, log[-3000:])
    assert " error " in log, "status %d without a word\n%s" % (status, log[-3000:])


def tell_until_well(subject, partner):
    """The story, again while it is unlucky. False when the daemon has ended meanwhile."""
    said = []
    for _ in range(ATTEMPTS):
        try:
            tell(subject, partner)
            return True
        except Unlucky as unlucky:
            said.append(str(unlucky))
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline and subject.running():
            time.sleep(0.01)
        if not subject.running():
            return False
    raise AssertionError("it does not recover: %s\n%s" % (said, subject.log()[-3000:]))


def live(subject, partner):
    """A whole life under whatever faults are armed; how it ended: 0 or a status."""
    if os.path.exists(subject.log_path):
        os.unlink(subject.log_path)
    subject.spawn()
    well = subject.wait_ready() and tell_until_well(subject, partner)
    status = subject.end()
    if status != 0 or not well:
        judge_end(subject, status)
    subject.check_log()
    return status


def live_undisturbed(subject, partner):
    """What every story must leave possible."""
    if os.path.exists(subject.log_path):
        os.unlink(subject.log_path)
    subject.spawn(disturbed=False)
    assert subject.wait_ready(), "it does not start again:\n" + subject.log()
    assert tell_until_well(subject, partner)
    assert subject.end() == 0, subject.log()
    subject.check_log()


class Stage:
    """A subject, its faults and its partner, for a row of stories."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="faults-")
        self.faults = faultshim.Faults(os.path.join(self.directory.name, "slots"))
        self.subject = Subject(self.faults, directory=self.directory.name)
        self.partner = Partner()

    def fresh(self):
        """No fault is armed, nothing is counted, no state is there."""
        self.faults.reset()
        for name in os.listdir(self.directory.name):
            if name.startswith("state-"):
                subprocess.run(["rm", "-rf", os.path.join(self.directory.name, name)], check=True)

    def close(self):
        if self.subject.running():
            self.subject.kill()
        try:
            self.partner.stop()
        finally:
            self.faults.close()
            self.directory.cleanup()
