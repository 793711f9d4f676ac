"""Who is slowed by whom: a program that stopped beside nine that work (R10), and a user who floods beside nine
programs of another (R11). bench/run makes rows of them; run alone it is the flood:

    fairness.py flood SOCKET calls|messages PEER
"""
import json
import os
import select
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "tests", "support"))

import ratsipc  # noqa: E402  (found through the line above)

PROGRAMS = 10
FLOW_COUNT, FLOW_RATE = 100000, 8000
BEFORE_S = 4     # what a round trip takes while all ten read
SETTLED_S = 4    # 2 s of stall, and time to take what waited meanwhile
REQUEST_RATE, REQUEST_S = 100, 5
OTHER_UID = 65534
FLOODS = 2  # programs of the flooding user for calls, and as many for messages


def flood(path, kind, peer):
    """As much as the socket takes, for ever."""
    client = ratsipc.Client(path)
    client.hello()
    client.call("session.start")
    head = ratsipc.message_head(peer, "flood")
    one = {"calls": lambda i: ratsipc.encode_call(i + 10, "session.list"),
           "messages": lambda i: ratsipc.encode(ratsipc.MESSAGE, 0, head, bytes(64))}[kind]
    batch = b"".join(one(i) for i in range(100 if kind == "calls" else 2000))
    client.sock.setblocking(False)
    print("ready", flush=True)
    waiting = memoryview(batch)
    while True:
        ready, room, _ = select.select([client.sock], [client.sock], [])
        if ready and not client.sock.recv(1 << 20):
            raise SystemExit("the daemon closed the connection")
        if room:
            waiting = waiting[client.sock.send(waiting):] or memoryview(batch)


class Programs:
    """The processes of one measurement; none is left behind."""

    def __init__(self, build):
        self.program = os.path.join(build, "bench", "fairness")
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            process.kill()
            process.wait()

    def start(self, *words):
        return self.spawn([self.program] + [str(word) for word in words])

    def spawn(self, command, **options):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
        self.started.append(process)
        return process

    def ready(self, *words, **options):
        return self.wait_ready(self.start(*words, **options))

    @staticmethod
    def wait_ready(process):
        if process.stdout.readline().strip() != "ready":
            raise SystemExit("%s did not get ready" % process.args)
        return process


def result_of(process):
    return json.loads(process.stdout.readline())


def percentile(values, percent):
    return sorted(values)[len(values) * percent // 100]


def stopped_program(build, near, far):
    """Ten programs on far receive what one on near sends, one of them stops. What the nine got and lost, their
    round trips before and after, and whether the tenth was told what it lost."""
    with Programs(build) as programs:
        programs.ready("echo", near.socket)
        begin = time.monotonic() + 1
        members = [programs.start("member", far.socket, near.status["peer_id"], name, FLOW_COUNT, begin + BEFORE_S,
                                  begin + BEFORE_S + SETTLED_S) for name in ["-", *range(1, PROGRAMS)]]
        for member in members:
            programs.wait_ready(member)
        source = programs.start("source", near.socket, far.status["peer_id"], FLOW_COUNT, FLOW_RATE)
        time.sleep(max(0, begin + BEFORE_S - time.monotonic()))
        members[0].send_signal(signal.SIGSTOP)
        nine = [result_of(member) for member in members[1:]]
        if source.wait() != 0:
            raise SystemExit("the source failed")
        members[0].send_signal(signal.SIGCONT)
        stopped = result_of(members[0])
    before = [us for member in nine for us in member["before"]]
    after = [us for member in nine for us in member["after"]]
    return {"nine_lost": sum(FLOW_COUNT - member["received"] + member["gaps"] for member in nine),
            "before_us": percentile(before, 99), "after_us": percentile(after, 99),
            "stopped_lost": stopped["lost"],
            "miscounted": FLOW_COUNT - stopped["received"] - stopped["lost"]}


def flooded_requests(build, near, far, kind, floods=FLOODS):
    """Nine programs make requests while another user floods: the part of their rate they keep, and how long the
    slowest of a hundred takes."""
    with Programs(build) as programs:
        programs.ready("echo", far.socket)
        other = {"user": OTHER_UID, "group": OTHER_UID, "extra_groups": []} if os.getuid() == 0 else {}
        for what in ("calls", "messages"):
            for _ in range(floods):
                programs.wait_ready(programs.spawn(
                    [sys.executable, os.path.abspath(__file__), "flood", near.socket, what, far.status["peer_id"]],
                    **other))
        begin = time.monotonic() + 1
        peer = far.status["peer_id"] if kind == "round trips" else "-"
        members = [programs.start("requests", near.socket, peer, i, REQUEST_RATE, begin, begin + REQUEST_S)
                   for i in range(PROGRAMS - 1)]
        for member in members:
            programs.wait_ready(member)
        results = [result_of(member) for member in members]
    kept = [result["done"] / (REQUEST_RATE * REQUEST_S) * 100 for result in results]
    return {"kept_percent": min(kept), "p99_us": max(result["p99_us"] for result in results)}


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[1] != "flood":
        sys.exit(__doc__)
    flood(*sys.argv[2:])
