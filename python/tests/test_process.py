"""Signals, forks and the end of the interpreter: each in a process of its own."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import pytest

import librats_py
from librats_py.pytest_plugin import Ratsd

pytestmark = pytest.mark.integration

PYTHON = str(Path(librats_py.__file__).resolve().parents[1])

PRELUDE = """
import os, signal, socket, sys, threading, time
sys.path.insert(0, {path!r})
from librats_py import *
client = RatsClient(socket_path={socket!r})
"""


def script(ratsd: Ratsd, text: str) -> List[str]:
    prelude = PRELUDE.format(path=PYTHON, socket=ratsd.socket_path)
    # Newer interpreters warn of any fork beside threads, which is what is tested here.
    return [sys.executable, "-W", "ignore::DeprecationWarning", "-c", prelude + text]


def run(ratsd: Ratsd, text: str) -> str:
    done = subprocess.run(
        script(ratsd, text),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        universal_newlines=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


SILENT_PORT = """
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(5)
port = server.getsockname()[1]
"""


@pytest.mark.parametrize(
    "blocking",
    [
        "client.connect('127.0.0.1', port)",
        "client.call('peer.connect', {'host': '127.0.0.1', 'port': port}, timeout=None)",
    ],
)
def test_ctrl_c_interrupts_a_blocking_call(ratsd: Ratsd, blocking: str) -> None:
    text = SILENT_PORT + (
        "client.start()\n"
        "print('waiting', flush=True)\n"
        "try:\n"
        "    {}\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', client.get_peer_count(), flush=True)\n"
        "os._exit(0)\n"
    ).format(blocking)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        script(ratsd, text), stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=lambda: make_controlling(slave),
    )
    os.close(slave)
    try:
        read_until(master, b"waiting")
        time.sleep(0.1)  # into the call; earlier is an interrupt of print and proves nothing
        began = time.monotonic()
        os.write(master, b"\x03")
        read_until(master, b"interrupted 0")
        assert time.monotonic() - began < 2, "0.2 s on an idle machine"
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


def make_controlling(terminal: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def read_until(master: int, text: bytes) -> None:
    got = b""
    deadline = time.monotonic() + 20
    while text not in got:
        ready, _, _ = select.select([master], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, got
        got += os.read(master, 4096)


def test_after_fork_the_child_gets_a_clear_error(ratsd: Ratsd) -> None:
    text = """
client.on_channel("c", lambda peer, data: None)
client.start()
child = os.fork()
if child == 0:
    status = 1
    try:
        client.broadcast_string("x")
    except RatsDaemonError as error:
        assert "fork" in str(error)
        status = 2
        try:
            client.call("peer.list")
        except RatsDaemonError:
            status = 3
            client.close()
            with RatsClient(socket_path=SOCKET) as own:
                own.start()
                own.call("peer.list")
            status = 42
    finally:
        os._exit(status)
assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 42
client.broadcast_string("x")
assert client.call("peer.list") == {"peers": []}
client.close()
print("parent unaffected")
"""
    socket_line = "SOCKET = {!r}\n".format(ratsd.socket_path)
    assert run(ratsd, socket_line + text) == "parent unaffected\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(ratsd: Ratsd, tmp_path: Path, method: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "sys.path.insert(0, {path!r})\n"
        "from librats_py import RatsClient\n"
        "def work(number):\n"
        "    with RatsClient(socket_path={socket!r}) as client:\n"
        "        client.start()\n"
        "        return len(client.get_our_peer_id())\n"
        "if __name__ == '__main__':\n"
        "    with RatsClient(socket_path={socket!r}) as client:\n"
        "        client.start()\n"
        "        with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "            print(pool.map(work, range(4)))\n".format(
            path=PYTHON, socket=ratsd.socket_path, method=method
        )
    )
    done = subprocess.run(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        universal_newlines=True,
    )
    assert (done.returncode, done.stdout) == (0, "[64, 64, 64, 64]\n")


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "sys.exit(0)",
        "del client",
        "threading.Thread(target=client.close).start()",
        "import atexit; atexit.register(client.stop)",
        "client.set_event_callback(lambda *a: time.sleep(0.01)); client.call('session.watch', "
        "{'events': ['session.attached']}); [RatsClient(socket_path=client.get_socket_path())"
        " for _ in range(20)]",
    ],
)
def test_the_interpreter_ends_cleanly_with_an_open_client(ratsd: Ratsd, ending: str) -> None:
    began = time.monotonic()
    assert run(ratsd, "client.start()\n" + ending) == ""
    assert time.monotonic() - began < 15


def test_the_daemon_forgets_a_program_that_was_killed(ratsd: Ratsd) -> None:
    process = subprocess.Popen(
        script(ratsd, "client.start()\nprint('up', flush=True)\ntime.sleep(60)"),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    with ratsd.client() as client:
        assert len(client.call("session.list")["sessions"]) == 2
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        deadline = time.monotonic() + 10
        while len(client.call("session.list")["sessions"]) != 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
