"""pytest fixtures that give a test its own daemon: private, on loopback, with temporary state.

Installed with the package, so a program's own tests can write::

    def test_hello(ratsd_factory):
        alice, bob = ratsd_factory(), ratsd_factory()
        with alice.client() as a, bob.client() as b:
            ...

The daemon is the program that the environment variable ``RATSD_BIN`` names; without it the test
is skipped.
"""

import os
import shutil
import subprocess
import tempfile
import time
from typing import Any, Callable, Iterator, List, Optional

import pytest

from .core import RatsClient
from .exceptions import RatsError

__all__ = ["Ratsd", "ratsd", "ratsd_binary", "ratsd_factory"]

_READY_SECONDS = 10.0
_STOP_SECONDS = 10.0


class Ratsd:
    """One running daemon.

    Attributes:
        socket_path: its control socket
        directory: its state and its log, removed at the end of the test
    """

    def __init__(self, binary: str, *arguments: str) -> None:
        # A socket's path has room for 107 bytes; pytest's own directories can be longer.
        self.directory = tempfile.mkdtemp(prefix="ratsd-")
        self.socket_path = os.path.join(self.directory, "ratsd.sock")
        self._log_path = os.path.join(self.directory, "log")
        self._command = [
            binary,
            "--instance",
            os.path.basename(self.directory),
            "--socket",
            self.socket_path,
            "--state-dir",
            os.path.join(self.directory, "state"),
            "--listen",
            "127.0.0.1:0",
        ] + list(arguments)
        self._process: Optional["subprocess.Popen[bytes]"] = None

    def start(self) -> None:
        """Start the daemon and wait until it answers.

        Raises:
            RuntimeError: it ended or did not answer; the message carries its log
        """
        with open(self._log_path, "ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                RatsClient(socket_path=self.socket_path, name="pytest").close()
                return
            except RatsError as error:
                if self._process.poll() is not None:
                    raise RuntimeError(
                        "ratsd ended with {}:\n{}".format(self._process.returncode, self.log())
                    ) from None
                if time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(
                        "ratsd does not answer: {}\n{}".format(error, self.log())
                    ) from None
            time.sleep(0.01)

    def stop(self) -> int:
        """End the daemon as a service manager does; its exit status."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.terminate()
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError("ratsd did not end:\n{}".format(self.log())) from None

    def kill(self) -> None:
        """End the daemon as a crash does."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()

    def client(self, **arguments: Any) -> RatsClient:
        """A new client of this daemon; arguments as for ``RatsClient``."""
        return RatsClient(socket_path=self.socket_path, **arguments)

    @property
    def port(self) -> int:
        """The port other daemons reach it on, at 127.0.0.1."""
        with self.client(name="pytest") as client:
            return client.get_listen_port()

    @property
    def pid(self) -> int:
        """Process id of the daemon; 0 when it is not running."""
        return self._process.pid if self._process is not None else 0

    def log(self) -> str:
        """What the daemon has logged so far."""
        with open(self._log_path, "rb") as log:
            return log.read().decode("utf-8", "replace")

    def remove(self) -> None:
        """End the daemon and delete its files."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def ratsd_binary() -> str:
    """Path of the daemon program; skips the test where there is none."""
    binary = os.environ.get("RATSD_BIN", "")
    if not binary:
        pytest.skip("RATSD_BIN does not name the ratsd program")
    return os.path.abspath(binary)


@pytest.fixture
def ratsd_factory(ratsd_binary: str) -> Iterator[Callable[..., Ratsd]]:
    """``make(*arguments)`` starts another daemon; all end with the test."""
    daemons: List[Ratsd] = []

    def make(*arguments: str) -> Ratsd:
        daemon = Ratsd(ratsd_binary, *arguments)
        daemons.append(daemon)
        daemon.start()
        return daemon

    yield make
    for daemon in daemons:
        daemon.remove()


@pytest.fixture
def ratsd(ratsd_factory: Callable[..., Ratsd]) -> Ratsd:
    """One running daemon."""
    return ratsd_factory()
