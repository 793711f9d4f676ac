"""What topics cost: one publisher and many subscribers, behind daemons of their own and on one daemon, and two
programs on one daemon. bench/run drives this."""

import json
import os
import subprocess

SUBSCRIBERS = [(10, 20000), (50, 4000)]
SIZE = 1024
LOCAL_STREAMS = [(64, 300000), (1024, 200000), (16384, 40000), (1048576, 1000)]
PINGS = 5000


def cpu_seconds(daemons):
    ticks = 0
    for daemon in daemons:
        with open("/proc/%d/stat" % daemon.process.pid) as file:
            ticks += sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


class Topics:
    def __init__(self, build, near):
        self.program = os.path.join(build, "bench", "topics")
        self.zeromq = os.path.join(build, "bench", "zeromq")
        self.near = near
        self.measured = 0

    def deliver(self, daemons, size, count, peers):
        """Messages delivered per second, and CPU microseconds of all for each of them."""
        self.measured += 1
        topic = "bench-%d" % self.measured
        sinks = subprocess.Popen([self.program, "sinks", topic, str(count)] + [daemon.socket for daemon in daemons],
                                 stdout=subprocess.PIPE, text=True)
        assert sinks.stdout.readline() == "ready\n"
        involved = {daemon.process.pid: daemon for daemon in daemons + [self.near]}.values()
        before = cpu_seconds(involved)
        source = subprocess.run([self.program, "source", topic, self.near.socket, str(size), str(count), str(peers)],
                                stdout=subprocess.PIPE, check=True)
        heard = json.loads(sinks.stdout.readline())
        spent = heard["cpu"] + json.loads(source.stdout)["cpu"] + cpu_seconds(involved) - before
        sinks.wait()
        return {"rate": heard["messages"] / heard["seconds"], "cpu_us": spent / heard["messages"] * 1e6,
                "missing": heard["expected"] - heard["messages"]}

    def zeromq_fanout(self, subscribers, count):
        done = subprocess.run([self.zeromq, str(SIZE), str(count), str(subscribers)], stdout=subprocess.PIPE,
                              check=True)
        result = json.loads(done.stdout)
        return {"rate": result["messages"] / result["seconds"], "cpu_us": result["cpu"] / result["messages"] * 1e6}

    def local_ping(self):
        echo = subprocess.Popen([self.program, "echo", self.near.socket], stdout=subprocess.PIPE, text=True)
        assert echo.stdout.readline() == "ready\n"
        done = subprocess.run([self.program, "ping", self.near.socket, "64", str(PINGS)], stdout=subprocess.PIPE,
                              check=True)
        echo.terminate()
        echo.wait()
        return json.loads(done.stdout)


FANOUT_ROWS = [("%s", "messages/s", "rate"), ("  CPU for each", "us", "cpu_us"), ("  missing", "messages", "missing")]


def measure(table, build, near, new_daemon):
    """new_daemon(number) starts one and links it with near."""
    topics = Topics(build, near)
    others = []
    for subscribers, count in SUBSCRIBERS:
        while len(others) < subscribers:
            others.append(new_daemon(len(others)))
        beside = {}
        if os.path.exists(topics.zeromq):
            beside["zeromq"] = lambda: topics.zeromq_fanout(subscribers, count)
        table.add_parts("topic, 1 KiB, to %d daemons" % subscribers, FANOUT_ROWS,
                        lambda: topics.deliver(others, SIZE, count, subscribers), **beside)
        table.add_parts("topic, 1 KiB, to %d sessions" % subscribers, FANOUT_ROWS,
                        lambda: topics.deliver([near] * subscribers, SIZE, count, 0), **beside)
    for daemon in others:
        daemon.stop()
    for size, count in LOCAL_STREAMS:
        table.add_parts("own daemon, one way, %d B" % size, FANOUT_ROWS,
                        lambda: topics.deliver([near], size, count, 0))
    table.add_parts("own daemon, round trip, 64 B", [("%s, p50", "us", "p50_us"), ("  p99", "us", "p99_us")],
                    topics.local_ping)
