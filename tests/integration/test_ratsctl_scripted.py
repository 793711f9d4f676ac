"""ratsctl against a daemon that follows a script: what a real one does not do."""
import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest
import ratsipc
from ctl import DONE, NOT_FOUND, TIMEOUT, USAGE, VERSION, fails, is_clean, json_of, without_tabs
from daemons import DEADLINE_S, RATSCTL, environment


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
