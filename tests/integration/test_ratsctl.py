"""ratsctl against real daemons, and against a scripted one for what a real one does not do: the
rules C1 to C9 and C16 of usability.md."""
import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
import ratsipc
from daemons import DEADLINE_S, RATSCTL, environment, wait_until

HERE = os.path.dirname(os.path.realpath(__file__))
DONE, FAILED, USAGE, NO_DAEMON, DENIED, TIMEOUT, NOT_FOUND, VERSION = range(8)
INTERRUPTED = 130

# Texts that strangers may choose (C6).
HOSTILE = [bytes([byte]) * 3 for byte in list(range(1, 0x20)) + list(range(0x7f, 0x100))] + [
    text.encode("utf-8", "surrogatepass") for text in (
        "\x1b[2J", "\x1b]0;title\x07", "\u202eevil", "\u2066a\u2069", "\u061c", "\u200e\u200f",
        "\u2028\u2029", "\u0085", "\u009b31m", "a\tb\nc\rd", "\\x1b", "\ud800", "\U000e0001",
        "\ufeff", "\x00", "a\x00b", "%s%n%d", "\"'`$(id)", "\x7f\x7f", "\u200b", "-", "",
    )] + [b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80", b"\xff\xfe\x00", b"\xed\xa0\x80\xed\xb0\x80",
          b"\xf0\x9f\x98", b"\x1b" * 1000, b"\xe2\x80\xae" * 300]
DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture(autouse=True)
def program():
    if not os.path.exists(RATSCTL):
        pytest.skip("there is no ratsctl at %s" % RATSCTL)


def is_clean(text):
    """No control character but the line feed, nothing that reorders text."""
    return not DANGEROUS.search(text)


def without_tabs(text, per_line):
    """The text; the tabs that stand between the columns of --format=tab are taken away."""
    if "\t" in text:
        assert {line.count("\t") for line in text.splitlines()} == {per_line}
    return text.replace("\t", " ")


def json_of(done):
    assert done.returncode == DONE, done.stderr
    return json.loads(done.stdout)


def lines_of(done):
    assert done.returncode == DONE, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def running(node, *words, **options):
    """ratsctl in the background, with pipes; killed if it is still there at the end."""
    process = subprocess.Popen(
        [RATSCTL] + list(words), env=environment(node.directory, RATS_SOCKET=node.socket),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_line(process, timeout=DEADLINE_S):
    """The next line ratsctl prints; it is killed when none comes in time."""
    watchdog = threading.Timer(timeout, process.kill)
    watchdog.start()
    line = process.stdout.readline().decode("utf-8")
    watchdog.cancel()
    assert line.endswith("\n"), "ratsctl printed no more lines"
    return line[:-1]


def names_of(node):
    with ratsipc.Client(node.socket) as client:
        client.hello()
        return [row["name"] for row in client.call("session.list")["sessions"] if row["started"]]


def wait_started(node, name="ratsctl"):
    wait_until(lambda: name in names_of(node), "%s has started its session" % name)


# --- C1: JSON everywhere ---

with open(os.path.join(HERE, "ratsctl-schema.json"), encoding="utf-8") as schema_file:
    SCHEMA = json.load(schema_file)

KINDS = {
    "text": lambda value: isinstance(value, str),
    "uint": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    "bool": lambda value: isinstance(value, bool),
    "real": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "id": lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value),
}


def check(value, schema, where):
    while isinstance(schema, str) and schema in SCHEMA:
        schema = SCHEMA[schema]
    if isinstance(schema, str):
        assert KINDS[schema](value), "%s is %r, not %s" % (where, value, schema)
    elif isinstance(schema, list):
        assert isinstance(value, list), where
        for item in value:
            check(item, schema[0], where + "[]")
    else:
        expected = {name.rstrip("?") for name in schema}
        required = {name for name in schema if not name.endswith("?")}
        assert required <= set(value) <= expected, "%s has %s" % (where, sorted(value))
        for name, kind in schema.items():
            if name.rstrip("?") in value:
                check(value[name.rstrip("?")], kind, "%s.%s" % (where, name))


def check_document(document, schema, where):
    assert document.pop("schema") == 1, where
    check(document, schema, where)


@pytest.fixture(scope="module")
def command_table():
    done = subprocess.run([RATSCTL, "--help", "--json"], stdout=subprocess.PIPE, check=True)
    return {row["name"]: row for row in json.loads(done.stdout)["commands"]}


def recipes(first, second):
    """{schema name: arguments} for every command whose output ends by itself."""
    return {
        "status": ["status"], "peers": ["peers"], "peer": ["peer", second.peer_id[:8]],
        "connect": ["connect", "127.0.0.1:%d" % second.port], "send": ["send", "all", "text"],
        "ping": ["ping", second.peer_id], "request-peers": ["request-peers", second.peer_id],
        "ban": ["ban", "192.0.2.0/24", "--for=1h", "--reason=a test"], "bans": ["bans"],
        "unban": ["unban", "192.0.2.0/24"], "limit": ["limit"],
        "topics": ["topics"], "subs": ["subs"], "subs of topic": ["subs", "news"],
        "pub": ["pub", "news", "text"], "clients": ["clients"], "wait": ["wait", "--peers=1", "--timeout=10"],
        "protocol list": ["protocol", "list"], "protocol describe": ["protocol", "describe"],
        "call": ["call", "peer.list"], "log-level": ["log-level"], "version": ["version"],
        "monitor": ["monitor", "--count=1", "--timeout=10"],
        "known list": ["known"], "known connect": ["known", "connect"],
        "known save": ["known", "save"],
        "reconnect add": ["reconnect", "add", "127.0.0.1:%d" % second.port],
        "reconnect list": ["reconnect", "list"], "known clear": ["known", "clear"],
        "reconnect remove": ["reconnect", "remove", "127.0.0.1:%d" % second.port],
        "kv put": ["kv", "put", "k", "7", "--as=int64"], "kv get": ["kv", "get", "k"],
        "kv keys": ["kv", "keys"], "kv sync": ["kv", "sync"], "kv stats": ["kv", "stats"],
        "kv rm": ["kv", "rm", "k"],
        "disconnect": ["disconnect", second.peer_id],
    }


ONCE = ("reconnect remove", "kv rm", "disconnect")  # what cannot be done twice


def test_every_command_speaks_json(pair, command_table):
    first, second = pair
    recipe = recipes(first, second)
    endless = {"recv", "sub"}
    assert {name.split()[0] for name in recipe} | endless == set(command_table)
    assert {name for name in SCHEMA if name.islower()} == set(recipe) | endless | {"kv watch"}
    lists = {"peers": "PEER", "clients": "CLIENT", "topics": "TOPIC", "subs": "TOPIC",
             "subs of topic": "SUBSCRIBER", "known list": "KNOWN",
             "reconnect list": "TARGET", "bans": "BAN", "kv keys": "KEY"}
    for node in pair:
        node.client().call("topic.subscribe", {"topic": "news"})
    wait_until(lambda: json_of(first.ctl("subs", "news", "--json"))["peers"], "it is known")
    for name, words in recipe.items():
        if name in ONCE:
            continue
        check_document(json_of(first.ctl(*words, "--json")), name, name)
        if name == "unban":
            json_of(first.ctl(*recipe["ban"], "--json"))
        printed = lines_of(first.ctl("--json=lines", *words))
        assert printed, name
        for line in printed:
            check_document(line, lists.get(name, name), name)
    for name in ONCE:
        check_document(json_of(first.ctl("--json", *recipe[name])), name, name)


@pytest.mark.parametrize("mode", ["--json", "--json=lines"])
def test_recv_prints_one_object_per_line(shared_pair, mode):
    first, second = shared_pair
    with running(second, "recv", "--channel=c", "--count=2", mode) as process:
        wait_started(second)
        sender = first.client()
        sender.call("session.start")
        sender.send_message(second.peer_id, "c", "grüße".encode("utf-8"))
        sender.send_message(second.peer_id, "c", b"\xff\x00")
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (DONE, b"")
    text, data = [json.loads(line) for line in output.decode("ascii").splitlines()]
    assert text["text"] == "grüße" and data["hex"] == "ff00" and "text" not in data
    assert data["sequence"] == text["sequence"] + 1
    for document in (text, data):
        assert document["peer"] == first.peer_id and document["channel"] == "c"
        check_document(document, "recv", "recv")


def test_sub_prints_one_object_per_line(shared_pair):
    first, second = shared_pair
    with running(second, "sub", "news", "--count=2", "--json") as process:
        wait_started(second)
        wait_until(lambda: json_of(first.ctl("subs", "news", "--json"))["peers"], "it is known")
        for node in (first, second):
            assert node.ctl("pub", "news", "text").returncode == DONE
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (DONE, b"")
    for line in output.decode("ascii").splitlines():
        document = json.loads(line)
        assert document["local"] is (document["peer"] == second.peer_id)
        check_document(document, "sub", "sub")
@pytest.mark.parametrize("mode", ["--json", "--json=lines"])
def test_kv_watch_prints_one_object_per_change(shared_pair, mode):
    first, second = shared_pair
    with running(second, "kv", "watch", "w/", "--count=3", mode) as process:
        wait_started(second)
        writer = first.client()
        writer.call("storage.put", {"key": "other"}, body=b"x")
        writer.call("storage.put", {"key": "w/1", "type": "int64"}, body=b"\xff" * 8)
        writer.call("storage.put", {"key": "w/2"}, body=b"\xff\x00")
        writer.call("storage.remove", {"key": "w/1"})
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (DONE, b"")
    number, data, removed = [json.loads(line) for line in output.decode("ascii").splitlines()]
    assert (number["key"], number["type"], number["text"]) == ("w/1", "int64", "-1")
    assert (data["key"], data["hex"]) == ("w/2", "ff00")
    assert (removed["key"], removed["deleted"], removed["bytes"]) == ("w/1", True, 0)
    for document in (number, data, removed):
        assert document["remote"] is True and document["origin"] == first.peer_id
        check_document(document, "kv watch", "kv watch")


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

def fails(done, code, *words):
    """One line on standard error, nothing on standard output."""
    assert done.returncode == code, "exit %d: %s%s" % (done.returncode, done.stdout, done.stderr)
    assert done.stdout == "" and re.fullmatch(r"ratsctl: [^\n]+\n", done.stderr), done.stderr
    for word in words:
        assert word in done.stderr, "%r is not in: %s" % (word, done.stderr)


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

def on_a_terminal(node, *words, **more):
    """What ratsctl prints when standard output is a terminal."""
    main, side = pty.openpty()
    env = environment(node.directory, RATS_SOCKET=node.socket, TERM="xterm", **more)
    if "NO_COLOR" not in more:
        env.pop("NO_COLOR", None)
    process = subprocess.Popen([RATSCTL] + list(words), env=env, stdin=subprocess.DEVNULL,
                               stdout=side, stderr=subprocess.PIPE)
    os.close(side)
    output = b""
    with contextlib.suppress(OSError):  # EIO: the other side is closed
        while True:
            data = os.read(main, 65536)
            if not data:
                break
            output += data
    os.close(main)
    process.communicate(timeout=DEADLINE_S)
    return output


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


# --- a daemon that follows a script ---

class ScriptedDaemon:
    """Greets, answers session.start, and calls with what a test gives it; then sends events."""

    HELLO = {
        "version": [1, 0], "daemon": "1.0.0", "instance": "fake", "peer_id": "00" * 32,
        "public_key": "11" * 32, "protocol": "librats/1.0", "security": "noise", "listen_port": 1,
        "role": "control", "session": 1, "max_peers": 0,
        "limits": {"message_bytes": 1, "queue_bytes": 1, "calls": 128}, "services": [], "peers": [],
    }

    def __init__(self, directory, answers=(), on_start=()):
        self.directory = str(directory)
        self.socket = os.path.join(self.directory, "fake.sock")
        self.answers = {"hello": self.HELLO, "session.start": {}, "session.stop": {},
                        "session.watch": {}, "channel.on": {"id": 7}}
        self.answers.update(answers)
        self.on_start = list(on_start)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket)
        self.listener.listen()
        self.connections = []
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.close()
        for connection in self.connections:
            connection.close()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self.speak, args=(connection,), daemon=True).start()

    def speak(self, connection):
        with contextlib.suppress(OSError, ValueError), connection.makefile("rwb") as stream:
            header = stream.read(ratsipc.HEADER_SIZE)
            while len(header) == ratsipc.HEADER_SIZE:
                size, head_size, kind, _, frame_id = ratsipc.HEADER.unpack(header)
                head = stream.read(size)[:head_size]
                if kind == ratsipc.CALL:
                    self.answer(stream, frame_id, json.loads(head)["m"])
                stream.flush()
                header = stream.read(ratsipc.HEADER_SIZE)
        connection.close()

    def answer(self, stream, frame_id, method):
        answer = self.answers.get(method, {"e": "unknown_method", "code": -9, "text": "what?"})
        if answer is None:
            return  # never answered
        stream.write(ratsipc.encode(ratsipc.FAIL if "e" in answer else ratsipc.REPLY, frame_id, answer))
        if method == "session.start":
            stream.flush()
            for frame in self.on_start:
                stream.write(frame)

    def ctl(self, *words):
        return subprocess.run(
            [RATSCTL] + list(words), env=environment(self.directory, RATS_SOCKET=self.socket),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
            timeout=DEADLINE_S, universal_newlines=True)


@pytest.fixture
def scripted(tmp_path):
    made = []

    def make(**script):
        made.append(ScriptedDaemon(tmp_path, **script))
        return made[-1]
    yield make
    for one in made:
        one.close()


def event(number, name, **fields):
    return ratsipc.encode(ratsipc.EVENT, number, {"v": name, "p": fields})


def test_no_common_version(scripted):
    node = scripted(answers={"hello": {"e": "version", "code": -9,
                                       "text": "the daemon speaks 2.0, the client 1.0"}})
    fails(node.ctl("status"), VERSION, node.socket, "2.0", "older")


def test_a_method_an_older_daemon_does_not_know(scripted):
    fails(scripted().ctl("clients"), VERSION, "older", "update")


def test_a_daemon_that_does_not_answer(scripted):
    node = scripted(answers={"peer.list": None})
    fails(node.ctl("peers", "--timeout=0.3"), TIMEOUT, "peer.list")


def test_a_prefix_that_two_peers_share(scripted):
    peers = [{"peer": "abcd" + digit * 60, "ip": "::1", "port": 1} for digit in "01"]
    node = scripted(answers={"peer.list": {"peers": peers}, "peer.get": peers[1]})
    fails(node.ctl("peer", "ABCD"), USAGE, "2 connected peers", "more digits")
    done = node.ctl("peer", "abcd1")
    assert done.returncode == DONE and "[::1]:1" in done.stdout


def test_fields_of_a_newer_daemon_are_passed_on(scripted):
    node = scripted(answers={"instance.get": {"name": "fake", "version": "9.9", "brand_new": [1]}})
    assert json_of(node.ctl("--json"))["brand_new"] == [1]
    assert "9.9" in node.ctl().stdout


def test_hostile_fields_of_a_daemon(scripted):
    evil = "\x1b[2J\u202e\n"
    node = scripted(
        answers={"instance.get": dict.fromkeys(
            ("name", "version", "socket", "peer_id", "protocol", "security", "data_directory"), evil),
            "peer.list": {"peers": [{"peer": evil, "ip": evil, "transport": evil}]},
            "log.get_level": {"level": evil},
            "peer.get": {"e": "peer_not_found", "code": -5, "text": evil}},
        on_start=[event(1, "peer." + evil, **{evil: evil, "list": [evil]})])
    for words in (["status"], ["peers"], ["peers", "--format=tab"], ["status", "--json"],
                  ["log-level"], ["peer", "ab" * 32], ["call", "log.get_level"],
                  ["monitor", "--count=1"], ["monitor", "--count=1", "--json"]):
        done = node.ctl(*words)
        assert done.returncode in (DONE, NOT_FOUND), done.stderr
        assert is_clean(without_tabs(done.stdout, 6) + done.stderr), words


def test_a_gap_in_the_numbers_is_said(scripted):
    node = scripted(on_start=[
        event(3, "instance.changed", listen_port=1, max_peers=2),
        event(10, "instance.changed", listen_port=2, max_peers=2),
        event(11, "lost", channel=5, typed=0, topic=0, total=5),
        event(12, "instance.changed", listen_port=3, max_peers=2)])
    done = node.ctl("monitor", "--count=4")
    assert [line.split(" ")[:3] for line in done.stdout.splitlines()] == [
        ["3", "instance.changed", "listen_port=1"], ["0", "lost", "6"],
        ["10", "instance.changed", "listen_port=2"], ["11", "lost", "5"],
        ["12", "instance.changed", "listen_port=3"]]
    done = node.ctl("monitor", "--since=10", "--count=2", "--json")
    assert [json.loads(line)["sequence"] for line in done.stdout.splitlines()] == [0, 11, 12]
    done = node.ctl("monitor", "instance.*", "--until=lo?t")
    assert done.stdout.splitlines()[-1].startswith("11 lost 5 ")
