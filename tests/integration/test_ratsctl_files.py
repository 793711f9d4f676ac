"""ratsctl put, get, share, accept, transfers and transfer (usability.md C1 to C6, C16)."""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest
from ctl import (DENIED, DONE, FAILED, INTERRUPTED, NOT_FOUND, TIMEOUT, USAGE, check_document, fails, is_clean, json_of,
                 lines_of, read_line, running, wait_started)
from daemons import DEADLINE_S, RATSCTL, environment, wait_until
from filing import KIB, MIB, contents, digest, is_empty, pattern, slow_down, write_file, write_tree


@pytest.fixture
def sharing(shared_pair, tmp_path):
    """ratsctl share on the second daemon; its root."""
    root = write_tree(str(tmp_path / "root"), {"notes.txt": b"text", "photos/a": b"", "photos/b/c": pattern(100 * KIB)})
    with running(shared_pair[1], "share", root) as process:
        wait_started(shared_pair[1])
        yield root, process


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory of the ratsctl that a test runs."""
    os.mkdir(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return str(tmp_path / "here")


def transfers(node):
    return json_of(node.ctl("transfers", "--all", "--json"))["transfers"]


# --- put and accept ---

@pytest.mark.parametrize("kind", ["file", "tree"])
def test_put_into_a_directory_that_accepts(shared_pair, target, tmp_path, kind):
    first, second = shared_pair
    path = (write_file(str(tmp_path / "thing"), pattern(MIB)) if kind == "file"
            else write_tree(str(tmp_path / "thing"), {"a": b"", "b/c": pattern(100 * KIB)}))
    with running(second, "accept", target, "--count=1") as process:
        wait_started(second)
        done = first.ctl("put", second.peer_id[:6], path)
        assert (done.returncode, done.stdout, done.stderr) == (DONE, "", "")  # quiet in a pipe
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (DONE, b"")
    lines = output.decode("ascii").splitlines()
    assert lines[-1] == "%s completed %s" % (first.peer_id[:12], os.path.join(target, "thing"))
    got = os.path.join(target, "thing")
    assert (digest(got) == digest(path)) if kind == "file" else (contents(got) == contents(path))


def test_what_is_there_is_not_replaced(shared_pair, target, tmp_path):
    first, second = shared_pair
    path = write_file(str(tmp_path / "notes.txt"), b"new")
    write_file(os.path.join(target, "notes.txt"), b"old")
    os.symlink("nowhere", os.path.join(target, "notes (2).txt"))
    with running(second, "accept", target, "--count=3") as process:
        wait_started(second)
        for words in ([path], [path], [path, "--name=notes"]):
            assert first.ctl("put", second.peer_id, *words).returncode == DONE
        assert process.wait(DEADLINE_S) == DONE
    assert set(contents(target)) == {"notes.txt", "notes (2).txt", "notes (3).txt", "notes (4).txt", "notes"}
    with open(os.path.join(target, "notes.txt"), "rb") as file:
        assert file.read() == b"old"


def test_the_working_directory_has_a_name(shared_pair, target, here):
    first, second = shared_pair
    write_file("a/b", b"1")
    with running(second, "accept", target, "--count=2") as process:
        wait_started(second)
        for path in (".", "a/.."):
            assert first.ctl("put", second.peer_id, path).returncode == DONE
        assert process.wait(DEADLINE_S) == DONE
    assert set(contents(target)) == {"here/a/b", "here (2)/a/b"} and set(contents(here)) == {"a/b"}


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ".bashrc", "NUL", "a\nb", "\x1b[2J", "C:x", "x ", "\u202etxt.exe"])
def test_a_name_that_is_no_name_is_refused(shared_pair, target, tmp_path, name):
    first, second = shared_pair
    path = write_file(str(tmp_path / "file"), b"1")
    with running(second, "accept", target) as process:
        wait_started(second)
        done = first.ctl("put", second.peer_id, path, "--name", name)
        fails(done, FAILED, "name")
        assert is_clean(done.stderr)
        line = read_line(process)
        assert is_clean(line) and " cancelled " in line
    assert is_empty(target) and set(os.listdir(str(tmp_path))) == {"file", "target"}


def test_only_one_peer_is_accepted_from(daemon, target, tmp_path):
    nodes = [daemon(name=name) for name in "abc"]
    for node in nodes[:2]:
        assert node.ctl("connect", "127.0.0.1:%d" % nodes[2].port).returncode == DONE
    path = write_file(str(tmp_path / "file"), b"1")
    with running(nodes[2], "accept", target, "--count=1", "--peer", nodes[1].peer_id[:8]) as process:
        wait_started(nodes[2])
        assert nodes[0].ctl("put", nodes[2].peer_id, path).returncode == FAILED
        assert is_empty(target)
        assert nodes[1].ctl("put", nodes[2].peer_id, path).returncode == DONE
        assert process.wait(DEADLINE_S) == DONE
    assert set(contents(target)) == {"file"}


# --- get and share ---

@pytest.mark.parametrize("words,place", [
    (["notes.txt"], "notes.txt"), (["notes.txt", "other"], "other"), (["notes.txt", "new/deep/"], "new/deep/notes.txt"),
    (["photos/b/c", "."], "c"), (["photos"], "photos"), (["photos/"], "photos"), (["photos/b/", "x"], "x"),
], ids=str)
def test_get(shared_pair, sharing, here, words, place):
    root, process = sharing
    done = shared_pair[0].ctl("get", shared_pair[1].peer_id[:8], *words)
    assert (done.returncode, done.stdout, done.stderr) == (DONE, "", "")
    there, got = os.path.join(root, words[0].rstrip("/")), os.path.join(here, place)
    assert (contents(got) == contents(there)) if os.path.isdir(there) else (digest(got) == digest(there))
    assert {name.split("/")[0] for name in contents(here)} == {place.split("/")[0]}
    lines = [read_line(process)]
    while " completed " not in lines[-1]:
        lines.append(read_line(process))
    assert all(line.startswith(shared_pair[0].peer_id[:12] + " ") for line in lines)


def test_get_by_the_whole_path(shared_pair, sharing, here):
    root, _ = sharing
    assert shared_pair[0].ctl("get", shared_pair[1].peer_id, os.path.join(root, "notes.txt")).returncode == DONE
    assert set(contents(here)) == {"notes.txt"}


def test_get_what_is_not_there(shared_pair, sharing, here):
    for path in ("nothing", "nothing/", "../here", "/etc/passwd", "photos/../../here"):
        done = shared_pair[0].ctl("get", shared_pair[1].peer_id, path)
        fails(done, FAILED, "get " + path)
    for path in ("..", "/", ".", "photos/.."):
        fails(shared_pair[0].ctl("get", shared_pair[1].peer_id, path), USAGE, path)
    assert is_empty(here)


# --- exit codes and remedies ---

def test_what_cannot_be_sent(shared_pair, target, tmp_path):
    first, second = shared_pair
    path = write_file(str(tmp_path / "file"), b"1")
    fails(first.ctl("put", second.peer_id, str(tmp_path / "missing")), NOT_FOUND, "missing")
    fails(first.ctl("put", "ab" * 32, path), NOT_FOUND, "ratsctl peers")
    fails(first.ctl("put", second.peer_id, path), FAILED, "put " + path)  # nobody accepts
    fails(first.ctl("put", second.peer_id), USAGE, "FILE")
    fails(first.ctl("put", second.peer_id, path, "--name="), USAGE, "name")
    fails(first.ctl("accept", str(tmp_path / "missing")), NOT_FOUND, "missing")
    fails(first.ctl("accept", path), NOT_FOUND, "directory")
    fails(first.ctl("share", str(tmp_path / "missing")), NOT_FOUND, "missing")
    fails(first.ctl("share", path), USAGE, path)
    fails(first.ctl("get", "ab" * 32, "x"), NOT_FOUND, "ratsctl peers")


def test_it_is_not_done_in_time(pair, programs, tmp_path):
    first, second = pair
    receiver = programs(second)
    fails(first.ctl("put", second.peer_id, write_file(str(tmp_path / "file"), b"1"), "--timeout=0.5"), TIMEOUT,
          "--timeout")
    offered = receiver.wait_asked()
    assert receiver.wait_end(offered.transfer) == "CANCELLED"
    fails(first.ctl("accept", str(tmp_path), "--count=1", "--timeout=0.2"), TIMEOUT)
    done = first.ctl("share", str(tmp_path), "--timeout=0.2")  # no number asked for: that is its end
    assert (done.returncode, done.stdout, done.stderr) == (DONE, "", "")


@pytest.mark.parametrize("side", ["put", "accept"])
def test_an_interrupt_cancels(pair, programs, target, tmp_path, side):
    first, second = pair
    path = write_file(str(tmp_path / "file"), pattern(64 * MIB))
    slow_down(second, first.peer_id, 4 * MIB)
    if side == "put":
        other = programs(second, folder=target)
        context = running(first, "put", second.peer_id, path)
    else:
        other = programs(first)
        context = running(second, "accept", target)
    with context as process:
        if side == "put":
            transfer = other.wait_asked().transfer
        else:
            wait_started(second)
            transfer = other.client.send_file(second.peer_id, path)
        other.wait_bytes(transfer)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (INTERRUPTED, b"")
    assert other.wait_end(transfer) in ("CANCELLED", "FAILED")
    wait_until(lambda: is_empty(target), "nothing is left of it")


# --- transfers and transfer ---

@pytest.fixture
def slow(pair, target, tmp_path):
    """ratsctl put of 64 MiB that takes long; it and its transfer, as the sender's daemon lists it."""
    first, second = pair
    path = write_file(str(tmp_path / "evil\x1b[2J\u202e"), pattern(64 * MIB))
    slow_down(second, first.peer_id, 4 * MIB)
    with running(second, "accept", target) as accepting:
        wait_started(second)
        with running(first, "put", second.peer_id, path, "--name=plain") as putting:
            def moving():
                found = transfers(first)
                return found and found[0]["done_bytes"] > 0 and found[0]
            yield putting, accepting, wait_until(moving, "it moves")


def test_transfers_are_listed(pair, slow):
    first, second = pair
    _, _, transfer = slow
    row, = first.ctl("transfers", "--format=tab").stdout.splitlines()
    cells = row.split("\t")
    assert cells[:6] == [transfer["transfer"], second.peer_id, "sending", "file", "running", "no"]
    assert cells[7:10] == [str(64 * MIB), "0", "1"] and cells[12].isdigit() and cells[13:] == ["-", "plain"]
    assert all(cell.isdigit() for cell in cells[6:12])
    row, = second.ctl("transfers", "--format=tab").stdout.splitlines()
    assert row.split("\t")[2] == "receiving"
    check_document(json_of(first.ctl("transfers", "--json")), "transfers", "transfers")
    listed, = lines_of(first.ctl("transfers", "--json=lines"))
    check_document(listed, "TRANSFER", "transfers")
    check_document(json_of(first.ctl("transfer", transfer["transfer"], "--json")), "transfer", "transfer")
    heading, line = first.ctl("transfers").stdout.splitlines()
    assert heading.split()[0] == "TRANSFER" and line.split()[0] == transfer["transfer"][:8] and "64.0 MiB" in line


def test_one_transfer_is_steered(pair, slow):
    first, second = pair
    putting, accepting, transfer = slow
    name = transfer["transfer"]
    shown = first.ctl("transfer", name[:6]).stdout
    assert name in shown and second.peer_id in shown and "running" in shown

    def state(node=first):
        found, = transfers(node)
        return found["state"]
    assert first.ctl("transfer", name[:6], "pause").returncode == DONE
    wait_until(lambda: state() == state(second) == "paused", "both know of the pause")
    fails(first.ctl("transfer", name, "pause"), FAILED)
    other, = transfers(second)
    fails(second.ctl("transfer", name), NOT_FOUND)  # ids are each daemon's own
    assert first.ctl("transfer", name, "resume").returncode == DONE
    wait_until(lambda: state() == state(second) == "running", "both go on")
    done = json_of(second.ctl("transfer", other["transfer"], "cancel", "--json"))
    check_document(done, "transfer pause", "transfer cancel")
    output, errors = putting.communicate(timeout=DEADLINE_S)
    assert putting.returncode == FAILED and output == b"" and is_clean(errors.decode())
    assert first.ctl("transfers").stdout.count("\n") == 1 and len(transfers(first)) == 1  # the heading; it ended
    fails(first.ctl("transfer", name, "cancel"), NOT_FOUND)
    for words, code in ((["ab"], USAGE), (["xyz1"], USAGE), (["0" * 33], USAGE), (["0" * 32], NOT_FOUND),
                        ([name, "explode"], USAGE)):
        fails(first.ctl("transfer", *words), code)


def test_control_permission_is_needed_for_what_is_others(daemon):
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    node = daemon(config="[clients]\nsocket_mode = 0666\n")
    os.chmod(node.directory, 0o711)
    try:
        done = node.ctl("transfers", user=65534, group=65534, extra_groups=[])
    except PermissionError:
        pytest.skip("the build directory is closed to other users")
    fails(done, DENIED, "control permission")


# --- JSON ---

def test_every_change_is_an_object(shared_pair, target, tmp_path):
    first, second = shared_pair
    path = write_tree(str(tmp_path / "tree"), {"a": pattern(MIB), "b": b""})
    with running(second, "accept", target, "--count=1", "--json") as process:
        wait_started(second)
        put = lines_of(first.ctl("put", second.peer_id, path, "--json=lines"))
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (DONE, b"")
    accepted = [json.loads(line) for line in output.splitlines()]
    with running(second, "share", path, "--count=1", "--json") as process:
        wait_started(second)
        get = lines_of(first.ctl("get", second.peer_id, "a", os.path.join(target, "got"), "--json"))
        shared = [json.loads(line) for line in process.communicate(timeout=DEADLINE_S)[0].splitlines()]
    for command, documents, where in (("put", put, None), ("accept", accepted, os.path.join(target, "tree")),
                                      ("get", get, os.path.join(target, "got")), ("share", shared, None)):
        for document in documents:
            check_document(document, command, command)
            assert document.get("local_path") == where
        assert documents[-1]["state"] == "completed", command
        assert [document["state"] for document in documents].count("completed") == 1
        assert documents[-1]["done_bytes"] == documents[-1]["total_bytes"] > 0


# --- the bar ---

class Terminal:
    """ratsctl on a terminal of some width, and what it showed."""

    def __init__(self, node, *words, columns=80, term="xterm"):
        self.main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [RATSCTL] + list(words), stdin=subprocess.DEVNULL, stdout=side, stderr=side,
            env=environment(node.directory, RATS_SOCKET=node.socket, TERM=term, NO_COLOR="1"))
        os.close(side)
        self.shown = b""

    def read(self):
        """What comes next; False at the end."""
        try:
            data = os.read(self.main, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.shown += data
        return bool(data)

    def wait(self, text):
        while text not in self.shown:
            assert self.read(), self.shown
        return self

    def finish(self):
        while self.read():
            pass
        os.close(self.main)
        return self.process.wait(DEADLINE_S)

    def lines(self):
        """What stood on each line of the screen at any time."""
        return [part for part in re.split(r"\r\x1b\[K|\r?\n", self.shown.decode("utf-8")) if part]


@pytest.mark.parametrize("columns", [200, 80, 40, 20, 5])
def test_a_bar_on_a_terminal(pair, target, tmp_path, columns):
    first, second = pair
    path = write_tree(str(tmp_path / "photos"), {"%d" % i: pattern(2 * MIB) for i in range(8)})
    slow_down(second, first.peer_id, 8 * MIB)
    with running(second, "accept", target):
        wait_started(second)
        terminal = Terminal(first, "put", second.peer_id, path, columns=columns)
        wait_until(lambda: transfers(first) and transfers(first)[0]["done_files"] > 1, "some files are there")
        assert terminal.finish() == DONE
    bars = [line for line in terminal.lines() if "%" in line]
    assert len(bars) > 3 and all(len(line) < columns for line in bars)
    if columns >= 80:
        assert any(re.search(r"photos  \[=+> +\] +\d+%.* [\d.]+ [KM]iB/s +\d:\d\d left  \d of 8 files", line)
                   for line in bars), bars
    percents = [int(re.search(r"(\d+)%", line).group(1)) for line in bars]
    assert percents == sorted(percents) and len(set(percents)) > 3
    assert re.fullmatch(r"sent photos: 8 files, 16\.0 MiB in \d+ s, .*/s", terminal.lines()[-1])


def test_the_bar_is_gone_after_an_interrupt(pair, target, tmp_path):
    first, second = pair
    path = write_file(str(tmp_path / "file"), pattern(64 * MIB))
    slow_down(second, first.peer_id, 4 * MIB)
    with running(second, "accept", target):
        wait_started(second)
        terminal = Terminal(first, "put", second.peer_id, path).wait(b"MiB/s")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() == INTERRUPTED
    assert terminal.shown.endswith(b"\r\x1b[K")
    wait_until(lambda: is_empty(target), "nothing is left of it")


def test_a_failure_stands_alone_on_its_line(pair, programs, tmp_path):
    first, second = pair
    receiver = programs(second)
    terminal = Terminal(first, "put", second.peer_id, write_file(str(tmp_path / "file"), b"1"))
    terminal.wait(b"waiting for an answer")
    receiver.reject(receiver.wait_asked(), "no\x1b[2J\u202e")
    assert terminal.finish() == FAILED
    last = terminal.lines()[-1]
    assert last.startswith("ratsctl: put ") and is_clean(last) and terminal.shown.endswith(b"\n")


@pytest.mark.parametrize("options", [["--json"], []], ids=["JSON", "a dumb terminal"])
def test_no_bar_where_nobody_looks(shared_pair, target, tmp_path, options):
    first, second = shared_pair
    path = write_file(str(tmp_path / "file"), pattern(8 * MIB))
    with running(second, "accept", target):
        wait_started(second)
        terminal = Terminal(first, "put", second.peer_id, path, *options, term="xterm" if options else "dumb")
        assert terminal.finish() == DONE
    assert b"\x1b" not in terminal.shown and b"[=" not in terminal.shown
    assert (terminal.shown == b"") == (not options)


def test_hostile_names_do_not_reach_the_terminal(pair, programs, target, tmp_path):
    first, second = pair
    sender = programs(first)
    path = write_file(str(tmp_path / "file"), b"1")
    names = ["\x1b[2J", "\u202eevil", "a\nb", "\x7f", "\u0085", "\u2066x\u2069"]
    with running(second, "accept", target) as process:
        wait_started(second)
        for name in names:
            sender.wait_end(sender.client.send_file(second.peer_id, path, name))
            assert is_clean(read_line(process))
        for words in (["transfers", "--all"], ["transfers", "--all", "--json"], ["transfers", "--all", "--format=tab"]):
            for node in pair:
                done = node.ctl(*words)
                assert done.returncode == DONE and is_clean(done.stdout.replace("\t", " ")), words
    assert is_empty(target)
