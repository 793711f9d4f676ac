"""ratsctl for the integration tests: it in the background, on a terminal, its exit codes and its output."""
import contextlib
import json
import os
import pty
import re
import subprocess
import threading

import ratsipc
from daemons import DEADLINE_S, RATSCTL, ROOT, environment, wait_until

DONE, FAILED, USAGE, NO_DAEMON, DENIED, TIMEOUT, NOT_FOUND, VERSION = range(8)
INTERRUPTED = 130

DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


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


def fails(done, code, *words):
    """One line on standard error, nothing on standard output."""
    assert done.returncode == code, "exit %d: %s%s" % (done.returncode, done.stdout, done.stderr)
    assert done.stdout == "" and re.fullmatch(r"ratsctl: [^\n]+\n", done.stderr), done.stderr
    for word in words:
        assert word in done.stderr, "%r is not in: %s" % (word, done.stderr)


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


# --- what stands in its JSON ---

with open(os.path.join(ROOT, "tests", "integration", "ratsctl-schema.json"), encoding="utf-8") as schema_file:
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
