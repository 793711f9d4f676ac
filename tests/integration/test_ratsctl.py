"""ratsctl against real daemons: the rules C2 to C9 and C16 of usability.md."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
import ratsipc
from ctl import (DENIED, DONE, FAILED, INTERRUPTED, NO_DAEMON, NOT_FOUND, TIMEOUT, USAGE, fails, is_clean, json_of,
                 on_a_terminal, read_line, running, wait_started, without_tabs)
from daemons import DEADLINE_S, RATSCTL, environment, wait_until

# Texts that strangers may choose (C6).
HOSTILE = [bytes([byte]) * 3 for byte in list(range(1, 0x20)) + list(range(0x7f, 0x100))] + [
    text.encode("utf-8", "surrogatepass") for text in (
        "\x1b[2J", "\x1b]0;title\x07", "\u202eevil", "\u2066a\u2069", "\u061c", "\u200e\u200f",
        "\u2028\u2029", "\u0085", "\u009b31m", "a\tb\nc\rd", "\\x1b", "\ud800", "\U000e0001",
        "\ufeff", "\x00", "a\x00b", "%s%n%d", "\"'`$(id)", "\x7f\x7f", "\u200b", "-", "",
    )] + [b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80", b"\xff\xfe\x00", b"\xed\xa0\x80\xed\xb0\x80",
          b"\xf0\x9f\x98", b"\x1b" * 1000, b"\xe2\x80\xae" * 300]


# --- C2: frozen columns ---

def test_the_columns_of_peers(shared_pair):
    first, second = shared_pair
    done = first.ctl("peers", "--format=tab")
    assert done.returncode == DONE, done.stderr
    row, = done.stdout.splitlines()
    peer, address, direction, transport, encrypted, seconds, round_trip = row.split("\t")
    assert (peer, direction, transport, encrypted) == (second.peer_id, "out", "tcp", "yes")
    assert address == "127.0.0.1:%d" % second.port and seconds.isdigit()
    assert round_trip == "-" or float(round_trip) > 0
    assert second.ctl("peers", "--format=tab").stdout.split("\t")[2] == "in"


def test_the_columns_of_clients(shared_daemon):
    shared_daemon.client(name="", agent="")
    done = shared_daemon.ctl("clients", "--format=tab")
    assert done.returncode == DONE, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert all(len(row) == 13 for row in rows)
    nameless, = [row for row in rows if row[12] == "-"]
    assert nameless[0].isdigit() and nameless[1] == str(os.getpid())
    assert nameless[2:4] == [str(os.getuid()), str(os.getgid())]
    assert nameless[4:6] == ["control", "no"] and nameless[6].isdigit()
    assert nameless[7:11] == ["0", "0", "0", "0"]
    assert [row[11] for row in rows if row is not nameless] == ["ratsctl"]


def test_no_peers_are_no_lines(shared_daemon):
    done = shared_daemon.ctl("peers", "--format=tab")
    assert (done.returncode, done.stdout, done.stderr) == (DONE, "", "")


# --- C3 and C4: exit codes, and one line with a remedy ---

USAGE_MISTAKES = [
    (["frobnicate"], "ratsctl --help"), (["peer"], "peer takes ID"), (["status", "extra"], "--help"),
    (["status", "--count=1"], "--count"), (["--no-such"], "--no-such"), (["recv", "--count=0"], "1"),
    (["peers", "--format=csv"], "tab"), (["connect", "nowhere"], "HOST:PORT"),
    (["connect", "::1:80"], "[IPV6]"), (["connect", "a:1", "--peer=abcd"], "64"),
    (["peer", "xyz"], "64 hexadecimal"), (["wait", "--peer=12"], "4"), (["call", "x", "{"], "JSON"),
    (["call", "x", "[]"], "object"), (["protocol", "draw"], "describe"),
    (["send", "abcd", "text", "--as=json"], "--as=string"), (["--timeout=x"], "seconds"),
    (["log-level", "loud"], "warn"), (["--instance=a/b"], "instance"),
    (["call", "peer.get", '{"peer": "ab"}'], "peer"),
]


@pytest.mark.parametrize("words,hint", USAGE_MISTAKES, ids=lambda value: str(value)[:40])
def test_wrong_usage(shared_daemon, words, hint):
    fails(shared_daemon.ctl(*words), USAGE, hint)


def test_no_daemon(tmp_path):
    path = str(tmp_path / "x.sock")

    def ctl(*words, **more):
        return subprocess.run([RATSCTL] + list(words), env=environment(str(tmp_path), **more),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=DEADLINE_S, universal_newlines=True)
    fails(ctl("status", RATS_SOCKET=path), NO_DAEMON, path, "no such socket", "ratsd --socket")
    fails(ctl("peers", "--socket", path), NO_DAEMON, path)
    user = str(tmp_path / "run" / "ratsd" / "lab.sock")
    fails(ctl("--instance", "lab"), NO_DAEMON, user, "/run/ratsd/lab.sock", "ratsd --instance=lab")
    assert json_of(ctl("version", "--json", RATS_SOCKET=path))["ratsd"] is None


def test_nobody_listens_any_more(daemon):
    node = daemon()
    node.kill()
    fails(node.ctl(), NO_DAEMON, node.socket, "nobody listens there")


def test_control_needs_permission(daemon):
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    node = daemon(config="[clients]\nsocket_mode = 0666\n")
    os.chmod(node.directory, 0o711)
    try:
        done = node.ctl("log-level", "debug", user=65534, group=65534, extra_groups=[])
    except PermissionError:
        pytest.skip("the build directory is closed to other users")
    fails(done, DENIED, "control permission", "group")


def test_a_peer_that_is_not_there(shared_daemon):
    fails(shared_daemon.ctl("peer", "ab" * 32), NOT_FOUND, "ratsctl peers")
    fails(shared_daemon.ctl("peer", "abcd"), NOT_FOUND, "ratsctl peers")
    fails(shared_daemon.ctl("disconnect", "ab" * 32), NOT_FOUND, "not connected")
    fails(shared_daemon.ctl("send", "ab" * 32, "text"), NOT_FOUND, "ratsctl peers")
    fails(shared_daemon.ctl("send", "all", "text"), NOT_FOUND, "ratsctl connect")


def test_a_method_that_is_not_there(shared_daemon):
    fails(shared_daemon.ctl("call", "no.such"), NOT_FOUND, "ratsctl protocol list")
    fails(shared_daemon.ctl("protocol", "describe", "no.such"), NOT_FOUND)


def test_a_connection_that_fails(shared_daemon):
    with socket.socket() as probe:  # bound, but nobody listens: refused
        probe.bind(("127.0.0.1", 0))
        fails(shared_daemon.ctl("connect", "127.0.0.1:%d" % probe.getsockname()[1]), FAILED,
              "peer.connect")


def test_a_connection_that_takes_too_long(shared_daemon):
    with socket.socket() as silent:  # takes the connection and never speaks
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        fails(shared_daemon.ctl("connect", "127.0.0.1:%d" % silent.getsockname()[1],
                                "--timeout=0.3"), TIMEOUT, "--timeout")


def test_waiting_in_vain(shared_daemon):
    fails(shared_daemon.ctl("wait", "--peers=1", "--timeout=0.2"), TIMEOUT, "--timeout")
    fails(shared_daemon.ctl("recv", "--count=1", "--timeout=0.2"), TIMEOUT)
    fails(shared_daemon.ctl("monitor", "--until=lost", "--timeout=0.2"), TIMEOUT)
    done = shared_daemon.ctl("recv", "--timeout=0.2")  # no number asked for: that is its end
    assert (done.returncode, done.stdout, done.stderr) == (DONE, "", "")


@pytest.mark.parametrize("words", [["monitor", "lost"], ["recv"], ["wait", "--peers=9"]], ids=" ".join)
def test_interrupted(shared_daemon, words):
    with running(shared_daemon, *words) as process:
        wait_started(shared_daemon)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, output, errors) == (INTERRUPTED, b"", b"")


def test_the_daemon_goes_away(daemon):
    node = daemon()
    with running(node, "monitor") as process:
        wait_started(node)
        node.terminate()
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == NO_DAEMON
    assert b"daemon.detached" in output and b"went away" in errors


def test_a_full_disk_is_said(shared_daemon):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([RATSCTL, "protocol", "list"], stdout=full, stderr=subprocess.PIPE,
                              env=environment(shared_daemon.directory), check=False)
    assert done.returncode == FAILED and b"cannot write" in done.stderr


# --- C5: colours ---

def test_colours_are_for_terminals(shared_daemon):
    assert b"\x1b[" in on_a_terminal(shared_daemon, "clients")
    assert b"\x1b[" not in on_a_terminal(shared_daemon, "clients", NO_COLOR="1")
    assert b"\x1b[" in on_a_terminal(shared_daemon, "clients", NO_COLOR="")
    assert b"\x1b[" not in on_a_terminal(shared_daemon, "clients", "--color=never")
    assert b"\x1b[" in on_a_terminal(shared_daemon, "clients", "--color=always", NO_COLOR="1")
    assert "\x1b" not in shared_daemon.ctl("clients").stdout
    assert "\x1b[" in shared_daemon.ctl("clients", "--color=always").stdout
    assert "\x1b" not in shared_daemon.ctl("clients", "--json", "--color=always").stdout


# --- C6: nothing a stranger chose reaches the terminal ---

@pytest.mark.parametrize("mode", [[], ["--json"]], ids=["text", "json"])
def test_hostile_messages(shared_pair, mode):
    first, second = shared_pair
    assert len(HOSTILE) >= 150
    with running(second, "recv", "--channel=c\x1b[1m", "--count=%d" % len(HOSTILE), *mode) as process:
        wait_started(second)
        sender = first.client()
        sender.call("session.start")
        for payload in HOSTILE:
            sender.send_message(second.peer_id, "c\x1b[1m", payload)
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == DONE, errors
    assert is_clean(output.decode("utf-8")) and output.count(b"\n") == len(HOSTILE)
    if mode:
        for payload, line in zip(HOSTILE, output.splitlines()):
            document = json.loads(line)
            got = (document["text"].encode("utf-8") if "text" in document
                   else bytes.fromhex(document["hex"]))
            assert got == payload


def test_hostile_names(shared_daemon):
    texts = [payload.decode("utf-8")[:64] for payload in HOSTILE
             if b"\0" not in payload and payload.decode("utf-8", "ignore").encode() == payload]
    assert len(texts) > 40
    with running(shared_daemon, "monitor", "session.attached") as process:
        wait_started(shared_daemon)
        for text in texts[:40]:
            shared_daemon.client(name=text, agent=text)
        for options in ([], ["--format=tab"], ["--json"], ["--color=always", "--json=lines"]):
            done = shared_daemon.ctl("clients", *options)
            assert done.returncode == DONE and is_clean(without_tabs(done.stdout, 12)), options
        for _ in texts[:40]:
            assert is_clean(read_line(process))


def test_hostile_arguments_in_errors(shared_daemon):
    for text in ("\x1b[2J", "\u202e", "a\nb", "\x7f"):
        for words in ([text], ["peer", text], ["call", text], ["connect", text + ":x"],
                      ["--" + text], ["wait", "--peer", text], ["log-level", text]):
            done = shared_daemon.ctl(*words)
            assert done.returncode in (USAGE, NOT_FOUND), words
            assert is_clean(done.stderr) and done.stderr.count("\n") == 1, words


# --- send and recv ---

def test_send_and_recv(shared_pair):
    first, second = shared_pair
    with running(second, "recv", "--count=4") as process:
        wait_started(second)
        done = first.ctl("send", second.peer_id[:4], "hello")
        assert (done.returncode, done.stdout) == (DONE, "sent 5 bytes on rats.string to 1 peer\n")
        assert first.ctl("send", second.peer_id, '{"a": 1}', "--as=json").returncode == DONE
        assert first.ctl("send", "all", "--as=binary", "--", "--data").returncode == DONE
        with open(os.path.join(first.directory, "input"), "w+b") as file:
            file.write(b"from a file")
            file.seek(0)
            assert first.ctl("send", "all", "-", stdin=file).returncode == DONE
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (DONE, b"")
    sender = first.peer_id[:12]
    assert output.decode("ascii").splitlines() == [
        "%s rats.string hello" % sender, '%s rats.json {"a": 1}' % sender,
        "%s rats.binary --data" % sender, "%s rats.string from a file" % sender]


def test_a_named_channel_and_no_other(shared_pair):
    first, second = shared_pair
    with running(second, "recv", "--channel=a", "--channel=b", "--count=2") as process:
        wait_started(second)
        for channel in ("a", "other", "b"):
            assert first.ctl("send", second.peer_id, channel, "--channel", channel).returncode == DONE
        output, _ = process.communicate(timeout=DEADLINE_S)
    assert [line.split(" ", 1)[1] for line in output.decode().splitlines()] == ["a a", "b b"]


def test_a_message_that_is_too_long(shared_daemon):
    with open("/dev/zero", "rb") as endless:
        fails(shared_daemon.ctl("send", "all", "-", stdin=endless), FAILED, "67108844")


# --- kv ---

def test_kv_keeps_values_of_every_kind(shared_pair):
    first, second = shared_pair
    for kind, given, shown in (("string", "a b", "a b"), ("int64", "-9", "-9"), ("json", "[1]", "[1]"),
                               ("double", "0.1", "0.10000000000000001"), ("binary", "", "")):
        done = first.ctl("kv", "put", "--as=" + kind, "--", "kind", given)
        assert (done.returncode, done.stdout, done.stderr) == (DONE, "", "")
        assert first.ctl("kv", "get", "kind").stdout == shown + "\n"
        assert json_of(first.ctl("kv", "get", "kind", "--json"))["type"] == kind
    wait_until(lambda: second.ctl("kv", "get", "kind").returncode == DONE, "the peer has it")
    assert first.ctl("kv", "keys", "ki").stdout == "kind\n"
    assert first.ctl("kv", "rm", "kind").returncode == DONE
    assert first.ctl("kv", "rm", "kind").returncode == NOT_FOUND
    done = first.ctl("kv", "get", "kind")
    assert done.returncode == NOT_FOUND and "kind" in done.stderr
    for words in (["kv", "put", "k", "x", "--as=int64"], ["kv", "put", "k", "[", "--as=json"],
                  ["kv", "put", "k"], ["kv", "get"], ["kv", "burn", "k"], ["kv"],
                  ["send", "all", "1", "--as=int64"]):
        assert first.ctl(*words).returncode == USAGE, words


# --- monitor ---

def test_monitor_shows_who_is_there_and_who_comes(daemon):
    first, second, third = daemon(name="a"), daemon(name="b"), daemon(name="c")
    assert first.ctl("connect", "127.0.0.1:%d" % second.port).returncode == DONE
    with running(first, "monitor", "peer.*", "--until=peer.disconnected", "--json") as process:
        present = json.loads(read_line(process))
        assert (present["sequence"], present["event"]) == (0, "peer.connected")
        assert present["fields"]["peer"] == second.peer_id
        assert first.ctl("connect", "127.0.0.1:%d" % third.port).returncode == DONE
        seen = []
        assert first.ctl("disconnect", third.peer_id).returncode == DONE
        while not seen or seen[-1]["event"] != "peer.disconnected":
            seen.append(json.loads(read_line(process)))
        assert process.wait(DEADLINE_S) == DONE
    assert seen[0]["event"] == "peer.connected" and seen[0]["fields"]["peer"] == third.peer_id
    assert seen[-1]["fields"]["peer"] == third.peer_id
    numbers = [event["sequence"] for event in seen]
    assert numbers == sorted(set(numbers)) and numbers[0] > 0


def test_monitor_counts_and_filters(shared_daemon):
    def comes_and_goes():
        with ratsipc.Client(shared_daemon.socket) as client:
            client.hello(name="visitor")
        return process.poll() is not None

    # Every visit is two events, so one visit after the monitor began is enough: when it began need not be known.
    with running(shared_daemon, "monitor", "session.*ed", "--count=2") as process:
        wait_until(comes_and_goes, "monitor has counted to two")
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (DONE, b"")
    lines = output.decode().splitlines()
    assert len(lines) == 2
    assert all(re.match(r"\d+ session\.(attached|ended) session=\d+ pid=\d+ uid=\d+ name=", line)
               for line in lines)


# --- C9: wait ---

def test_wait_for_peers(daemon):
    first, second = daemon(name="a"), daemon(name="b")
    delays = []
    client = first.client()
    for words in (["--peers=1"], ["--peer", second.peer_id[:6]]) * 5:
        with running(first, "wait", *words) as process:
            wait_started(first)
            client.call("peer.connect", {"host": "127.0.0.1", "port": second.port})
            before = time.monotonic()
            assert process.wait(DEADLINE_S) == DONE
            delays.append(time.monotonic() - before)
        assert first.ctl("wait", *words, "--timeout=0").returncode == DONE  # it is so already
        client.call("peer.disconnect", {"peer": second.peer_id})
        wait_until(lambda: not client.call("peer.list")["peers"], "the link is gone")
    # The figure is 100 ms; what is above it must be this machine's load, not a rule.
    assert min(delays) < 0.1, delays


def test_wait_for_a_daemon_that_is_not_there_yet(daemon):
    node = daemon.make()
    with running(node, "wait", "--timeout=%d" % DEADLINE_S, "--json") as process:
        assert process.poll() is None
        node.start()
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == DONE, errors
    assert json.loads(output)["peer_id"] == node.peer_id


def test_wait_goes_on_when_the_daemon_restarts(daemon):
    first, second = daemon(name="a"), daemon(name="b")
    with running(first, "wait", "--peers=1") as process:
        wait_started(first)
        first.terminate()
        first.start()
        with ratsipc.Client(first.socket) as client:
            client.hello()
            client.call("peer.connect", {"host": "127.0.0.1", "port": second.port})
            assert process.wait(DEADLINE_S) == DONE


# --- C8: what was lost is said ---

def test_a_slow_reader_is_told_what_it_lost(daemon):
    """recv writes into a pipe nobody reads: after the stall of 2 s messages are dropped, and in the
    end what it printed and what it says was lost are together what was sent."""
    count, size = 3000, 16384
    first, second = daemon(name="a"), daemon(name="b", config="[clients]\nqueue = 256K\n")
    sender = first.client()
    sender.call("peer.connect", {"host": "127.0.0.1", "port": second.port})
    target = second.peer_id
    with running(second, "recv", "--channel=c", "--json") as process:
        wait_started(second)
        sender.call("session.start")
        for _ in range(count):
            sender.send_message(target, "c", b"x" * size)
        watcher = second.client()
        wait_until(lambda: any(row["lost"] > 0 for row in watcher.call("session.list")["sessions"]),
                   "messages are dropped")
        received = lost = 0
        while received + lost < count:
            line = json.loads(read_line(process))
            lost += line.get("lost", 0)
            received += "text" in line
    assert received + lost == count and lost > 0 and received > 0


# --- C16: quiet in pipes ---

def test_nobody_reads_on(shared_daemon):
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = subprocess.Popen([RATSCTL, "protocol", "describe"], stdout=write_end,
                               stderr=subprocess.PIPE, env=environment(shared_daemon.directory))
    os.close(write_end)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (-signal.SIGPIPE, b"")


def test_monitor_ends_when_nobody_reads_on(shared_daemon):
    with running(shared_daemon, "monitor") as process:
        wait_started(shared_daemon)
        process.stdout.close()
        with ratsipc.Client(shared_daemon.socket) as client:
            client.hello()
        assert process.wait(DEADLINE_S) == -signal.SIGPIPE
        assert process.stderr.read() == b""
        process.stdout = None
