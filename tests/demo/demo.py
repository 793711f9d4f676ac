#!/usr/bin/python3
"""The main job, shown and checked: ./run demo

Two daemons on loopback. Two Python programs and one C program share the first and its peer
identity; one Python program uses the second. Strings, bytes, JSON and a named channel go both
ways, one program is killed, the others go on. Every payload is compared with what was sent.
"""
import argparse
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
DEADLINE_S = 15
STARTED = time.monotonic()


class Fault(Exception):
    """The demo did not go as it must."""


def tell(text):
    print("%6.2f s  %s" % (time.monotonic() - STARTED, text), flush=True)


def short(peer_id):
    return peer_id[:8]


def show(data):
    """A payload as a line can hold it."""
    if len(data) > 60:
        return "%d bytes" % len(data)
    text = data.decode("utf-8", "replace")
    return text if text.isprintable() else data.hex()


class Program:
    """A process whose output is read line by line."""

    def __init__(self, name, command, env):
        self.name = name
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, universal_newlines=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.split())
        self.lines.put(None)

    def next(self, what):
        """The next line as words."""
        try:
            words = self.lines.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise Fault("%s: waited %d s for: %s" % (self.name, DEADLINE_S, what)) from None
        if words is None:
            raise Fault("%s ended while it was waited for: %s" % (self.name, what))
        if words[0] == "failed":
            raise Fault("%s: %s failed: %s" % (self.name, what, " ".join(words[1:])))
        return words

    def expect(self, *wanted):
        """The next line must be this; lines about connections may stand before it."""
        while True:
            words = self.next(" ".join(wanted)[:80])
            if words == list(wanted):
                return
            if words[0] not in ("connected", "disconnected") or wanted[0] == words[0]:
                raise Fault("%s said %r, not %r" % (self.name, " ".join(words)[:200],
                                                    " ".join(wanted)[:200]))

    def order(self, kind, peer_id, data):
        self.process.stdin.write("%s %s %s\n" % (kind, peer_id, data.hex()))
        self.process.stdin.flush()

    def send(self, kind, peer_id, data):
        self.order(kind, peer_id, data)
        self.expect("sent")

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.write("quit\n")
            self.process.stdin.close()
        status = self.process.wait(DEADLINE_S)
        if status != 0:
            raise Fault("%s ended with status %d" % (self.name, status))


class Node:
    """A daemon in a directory of its own."""

    def __init__(self, name, build, base):
        self.name = name
        self.directory = os.path.join(base, name)
        self.socket = os.path.join(self.directory, "ratsd.sock")
        os.mkdir(self.directory, 0o700)
        self.env = dict(os.environ, HOME=self.directory, XDG_CONFIG_HOME=self.directory,
                        XDG_STATE_HOME=self.directory, XDG_RUNTIME_DIR=self.directory,
                        RATS_SOCKET=self.socket)
        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.process = subprocess.Popen(
                [os.path.join(build, "daemon", "ratsd"), "--instance", name, "--socket",
                 self.socket, "--state-dir", os.path.join(self.directory, "state"), "--listen",
                 "127.0.0.1:0"], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.peer_id = self.port = None

    def greet(self):
        """Waits until it answers a program, and notes who it is."""
        program = (
            "import json, sys; sys.path.insert(0, %r)\n"
            "from librats_py import RatsClient\n"
            "with RatsClient() as client: print(json.dumps(client.get_instance_info()))\n"
            % os.path.join(HERE, "..", "..", "python"))
        deadline = time.monotonic() + DEADLINE_S
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Fault("%s did not start:\n%s" % (self.name, self.log()))
            time.sleep(0.01)
        answer = subprocess.run([sys.executable, "-c", program], env=self.env, timeout=DEADLINE_S,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                universal_newlines=True, check=False)
        if answer.returncode != 0:
            raise Fault("%s does not answer: %s\n%s" % (self.name, answer.stderr, self.log()))
        info = json.loads(answer.stdout)
        self.peer_id, self.port = info["peer_id"], info["listen_port"]

    def log(self):
        with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(DEADLINE_S)
        if status != 0:
            raise Fault("%s ended with status %d:\n%s" % (self.name, status, self.log()))


class Demo:
    """Everything that runs, so that everything is cleaned up."""

    def __init__(self, build):
        self.build = build
        self.base = tempfile.mkdtemp(prefix="rats-demo-")
        self.nodes = []
        self.programs = []

    def node(self, name):
        node = Node(name, self.build, self.base)
        self.nodes.append(node)
        node.greet()
        tell("%-5s  ratsd listens on port %d, peer id %s..." % (name, node.port, short(node.peer_id)))
        return node

    def program(self, name, node, language):
        command = [sys.executable, os.path.join(HERE, "member.py")]
        if language == "C":
            command = [os.path.join(self.build, "tests", "demo", "demo_member")]
        program = Program(name, command, node.env)
        self.programs.append(program)
        program.expect("ready", node.peer_id)
        tell("%-5s  a %s program attached to %s" % (name, language, node.name))
        return program

    def clean_up(self):
        for program in self.programs:
            if program.process.poll() is None:
                program.process.kill()
                program.process.wait()
        for node in self.nodes:
            if node.process.poll() is None:
                node.process.kill()
                node.process.wait()
        shutil.rmtree(self.base, ignore_errors=True)


def payloads(who):
    """One of each kind, told apart by who sends it."""
    return [
        ("string", ("Hello from %s: grüße, 你好" % who).encode()),
        ("binary", bytes(range(256)) * 1024 + who.encode()),
        ("json", json.dumps({"from": who, "list": [1, 2.5, None, True], "text": "ü"}).encode()),
        ("channel", b"\x00\x01 a line on demo.chat by " + who.encode()),
    ]


def same(kind, sent, received):
    if kind == "json":
        return json.loads(sent.decode()) == json.loads(received.decode())
    return sent == received


def exchange(sender, receivers, to_peer, from_peer, kind, data):
    """Sends and checks that each receiver gets exactly that, from that peer."""
    sender.send(kind, to_peer, data)
    for receiver in receivers:
        words = receiver.next("%s from %s" % (kind, sender.name))
        while words[0] == "connected":
            words = receiver.next("%s from %s" % (kind, sender.name))
        received = bytes.fromhex(words[3] if words[3:] else "")
        if words[:3] != ["got", kind, from_peer] or not same(kind, data, received):
            raise Fault("%s sent %s %r; %s got %s" % (sender.name, kind, data[:60], receiver.name,
                                                      " ".join(words)[:200]))
    tell("%-5s  sent %-7s to %s: %s" % (sender.name, kind,
                                       " and ".join(r.name for r in receivers), show(data)))


def both_ways(near, far, first, second):
    """Every kind from each program of the first node to the far one, and back to all of them."""
    for program in near:
        for kind, data in payloads(program.name):
            exchange(program, [far], second.peer_id, first.peer_id, kind, data)
    for kind, data in payloads(far.name):
        exchange(far, near, first.peer_id, second.peer_id, kind, data)


def play(demo):
    first, second = demo.node("left"), demo.node("right")
    alice = demo.program("alice", first, "Python")
    bob = demo.program("bob", first, "Python")
    carol = demo.program("carol", first, "C")
    dave = demo.program("dave", second, "Python")
    near = [alice, bob, carol]
    tell("alice, bob and carol are one peer to the network: %s..." % short(first.peer_id))

    alice.order("connect", second.peer_id, ("127.0.0.1 %d" % second.port).encode())
    said = sorted([alice.next("its link"), alice.next("its link")])
    if said != [["connected", second.peer_id], ["sent"]]:
        raise Fault("alice said %r of its link" % said)
    for program in (bob, carol):
        program.expect("connected", second.peer_id)
    dave.expect("connected", first.peer_id)
    tell("alice connected left to right; every program was told")
    both_ways(near, dave, first, second)

    bob.process.kill()
    bob.process.wait()
    tell("bob    killed with SIGKILL")
    both_ways([alice, carol], dave, first, second)
    tell("alice, carol and dave went on and noticed nothing")

    for program in (alice, carol, dave):
        program.end()
    for node in (first, second):
        node.end()
    tell("all programs and both daemons ended with status 0")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="Meson's build directory")
    demo = Demo(os.path.realpath(parser.parse_args().build))
    try:
        play(demo)
    except (Fault, subprocess.TimeoutExpired, OSError) as fault:
        print("The demo failed: %s" % fault, flush=True)
        for node in demo.nodes:
            print("--- log of %s\n%s" % (node.name, node.log()[-2000:]), flush=True)
        return 1
    finally:
        demo.clean_up()
    print("Everything arrived as it was sent.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
