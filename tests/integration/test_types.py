"""Typed JSON messages through librats and ratsctl, with real daemons."""
import json
import os
import subprocess
import sys

import pytest
from daemons import DEADLINE_S, RATSCTL, ROOT, environment, librats_path, link, wait_until

PROGRAM = """
import sys, time
from librats_py import *
heard = []
a = RatsClient(socket_path=sys.argv[1])
a.on_message("load", lambda peer, text: heard.append(text))
a.once_message("once", lambda peer, text: heard.append("once " + text))
a.start()
print("up", flush=True)
for line in sys.stdin:
    count = int(line)
    deadline = time.monotonic() + 20
    while len(heard) < count and time.monotonic() < deadline: time.sleep(0.002)
    print(heard, flush=True)
a.close()
"""


@pytest.fixture
def program(daemon):
    node, other = daemon(name="a"), daemon(name="b")
    link(node, other)
    env = environment(node.directory, LIBRATS_LIBRARY=librats_path(),
                      PYTHONPATH=os.path.join(ROOT, "python"))
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, node.socket], env=env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               universal_newlines=True)
    assert process.stdout.readline() == "up\n"
    yield process, node, other
    process.kill()
    process.communicate()


def heard(process, count):
    process.stdin.write("%d\n" % count)
    process.stdin.flush()
    return process.stdout.readline().strip()


def send(sender, target, name, text):
    done = sender.ctl("send", target.peer_id, text, "--type", name, "--json")
    assert done.returncode == 0, done.stderr


def test_types_are_heard_again_after_a_restart_of_the_daemon(program):
    process, node, other = program
    send(other, node, "load", "1")
    assert heard(process, 1) == "['1']"
    node.kill()
    node.start()
    link(node, other)
    wait_until(lambda: [row["started"] and row["types"] == 2 for row in
                        node.client().call("session.list")["sessions"]
                        if row["pid"] == process.pid] == [True], "it is back")
    send(other, node, "load", "two")
    send(other, node, "once", "[3]")
    send(other, node, "once", "[4]")
    send(other, node, "load", "5")
    assert heard(process, 4) == "['1', '\"two\"', 'once [3]', '5']"


def test_recv_and_send_of_ratsctl(shared_pair):
    first, second = shared_pair
    env = environment(second.directory, RATS_SOCKET=second.socket)
    process = subprocess.Popen([RATSCTL, "recv", "--type=t", "--channel=c", "--count=2", "--json"],
                               env=env, stdout=subprocess.PIPE, universal_newlines=True)
    wait_until(lambda: any(row["types"] and row["started"] for row in
                           second.client().call("session.list")["sessions"]), "it listens")
    done = first.ctl("send", "all", '{"a": 1}', "--type=t")
    assert (done.returncode, done.stdout) == (0, "sent 8 bytes on t to 1 peer\n")
    assert first.ctl("send", "all", "on a channel", "--channel=c").returncode == 0
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    typed, plain = [json.loads(row) for row in output.splitlines()]
    assert (typed["type"], typed["text"]) == ("t", '{"a": 1}') and "channel" not in typed
    assert (plain["channel"], plain["text"]) == ("c", "on a channel") and "type" not in plain
    for mistake in (["--type=t", "--channel=c"], ["--type=t", "--type=u"], ["--type=t", "--as=json"]):
        assert first.ctl("send", "all", "x", *mistake).returncode == 2
