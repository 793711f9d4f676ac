"""Files: program -> daemon -> daemon -> program on loopback, one big file and a tree of small ones, beside what the
machine could at most (pipeline.c), what the same work takes without a daemon (bare_file.c), and what rsync and ncat do
with the same files. bench/run drives this.

What the machine could at most, and the work without a daemon, take one core for each side, so the big file is sent once
with each daemon on a core of its own, beside them, and once wherever the kernel puts the daemons' threads.

Everything lies in memory (/dev/shm) where there is room, so that no disk is measured. CPU seconds are those of user
and system time; the memory of a daemon is the most it had above what it had before the first transfer.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

BIG_MIB = 1024
SMALL_FILES, SMALL_SIZE, SMALL_FOLDERS = 10000, 4096, 100
CHUNK = 65536
PINGS = 2000
MEMORY = "/dev/shm"
USED_MIB = 5 * BIG_MIB
SETTLE_S = 5
MIB = 1 << 20
ROOM = 3 * BIG_MIB * MIB


def place(directory):
    """A new directory in memory; in the given one where there is not enough."""
    in_memory = os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free >= ROOM
    if not in_memory:
        print("files are on a disk: %s has no room for %d MiB" % (MEMORY, ROOM // MIB), file=sys.stderr)
    return tempfile.mkdtemp(prefix="ratsd-bench-", dir=MEMORY if in_memory else directory)


def make_big(path):
    part = os.urandom(MIB)
    with open(path, "wb") as file:
        for number in range(BIG_MIB):
            file.write(number.to_bytes(8, "little") + part[8:])


def make_tree(path):
    part = os.urandom(SMALL_SIZE)
    for folder in range(SMALL_FOLDERS):
        os.makedirs(os.path.join(path, "folder%02d" % folder))
        for number in range(SMALL_FILES // SMALL_FOLDERS):
            with open(os.path.join(path, "folder%02d" % folder, "file%04d" % number), "wb") as file:
                file.write(number.to_bytes(8, "little") + part[8:])


class Watch:
    """What a daemon spends from here on, and how much memory it has at most."""

    def __init__(self, daemon, idle_kib):
        self.pid = daemon.process.pid
        self.idle_kib = idle_kib
        with open("/proc/%d/clear_refs" % self.pid, "w") as file:
            file.write("5")  # the peak starts again at what it has now
        self.cpu = self.cpu_seconds()

    def status(self, name):
        with open("/proc/%d/status" % self.pid) as file:
            return int(next(line for line in file if line.startswith(name)).split()[1])

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def spent(self):
        return self.cpu_seconds() - self.cpu

    def peak_mib(self):
        return (self.status("VmHWM") - self.idle_kib) / 1024


def bind(daemon, cores):
    """All its threads, and so those it starts later."""
    for thread in os.listdir("/proc/%d/task" % daemon.process.pid):
        os.sched_setaffinity(int(thread), cores)


@contextlib.contextmanager
def on_cores_of_their_own(bench):
    """Only with two cores or more."""
    cores = sorted(os.sched_getaffinity(0))
    bind(bench.near, {cores[0]})
    bind(bench.far, {cores[1]})
    try:
        yield
    finally:
        bind(bench.near, cores)
        bind(bench.far, cores)


class Files:
    def __init__(self, bench, directory):
        self.program = os.path.join(bench.build, "bench", "files")
        self.bench = bench
        self.idle_kib = bench.near.memory_kib(), bench.far.memory_kib()
        self.big = os.path.join(directory, "big")
        self.tree = os.path.join(directory, "tree")
        self.target = os.path.join(directory, "target")
        self.used = os.path.join(directory, "used")
        make_big(self.big)
        make_tree(self.tree)

    def empty_target(self):
        """Memory that a virtual machine gave back to its host costs the next writer more, up to half of the rate,
        whoever that is. So much of it is used here, and freed at the last moment by begin(): much, as the kernel does
        not begin with what was freed last."""
        shutil.rmtree(self.target, ignore_errors=True)
        os.mkdir(self.target)
        with open(self.used, "wb") as file:
            for _ in range(min(USED_MIB, shutil.disk_usage(self.target).free // MIB // 2)):
                file.write(bytes(MIB))

    def begin(self):
        """The time at which the measured program starts."""
        os.unlink(self.used)
        return time.monotonic()

    def sink(self):
        process = subprocess.Popen([self.program, "sink", self.bench.far.socket, self.target], stdout=subprocess.PIPE,
                                   text=True)
        if process.stdout.readline() != "ready\n":
            raise SystemExit("the sink did not get ready")
        return process

    def source(self, path, count=1):
        return [self.program, "source", self.bench.near.socket, self.bench.peer, path, str(count)]

    def send(self, path):
        """One transfer; what it took, and on which side."""
        self.empty_target()
        sink = self.sink()
        near, far = Watch(self.bench.near, self.idle_kib[0]), Watch(self.bench.far, self.idle_kib[1])
        self.begin()
        done = subprocess.run(self.source(path), stdout=subprocess.PIPE, check=True)
        source = json.loads(done.stdout)
        received = json.loads(sink.stdout.readline())
        result = {"seconds": source["seconds"], "near": near.spent(), "far": far.spent(), "source": source["cpu"],
                  "sink": received["cpu"], "near_mib": near.peak_mib(), "far_mib": far.peak_mib()}
        sink.kill()
        sink.wait()
        self.check(path)
        return result

    def check(self, path):
        got = os.path.join(self.target, os.path.basename(path))
        command = ["diff", "-rq", path, got] if os.path.isdir(path) else ["cmp", path, got]
        if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
            raise SystemExit("what was received is not what was sent")

    def big_file(self):
        result = self.send(self.big)
        result["rate"] = BIG_MIB * MIB / 1e6 / result["seconds"]
        for side in ("near", "far", "source", "sink"):
            result[side] *= 1024 / BIG_MIB  # CPU seconds per GiB
        return result

    def big_file_on_own_cores(self):
        with on_cores_of_their_own(self.bench):
            return self.big_file()

    def small_files(self):
        result = self.send(self.tree)
        result["rate"] = SMALL_FILES / result["seconds"]
        return result

    def ping_beside(self):
        """Round trips while the big file is sent again and again."""
        self.empty_target()
        sink = self.sink()
        self.begin()
        source = subprocess.Popen(self.source(self.big, 1000), stdout=subprocess.DEVNULL)
        moving = os.path.join(self.target, os.path.basename(self.big))
        while not os.path.exists(moving):  # the first one is done, so they run
            if source.poll() is not None:
                raise SystemExit("the source ended")
            time.sleep(0.01)
        result = self.bench.ping(count=PINGS)
        if source.poll() is not None:
            raise SystemExit("the transfers ended before the pings did")
        for process in (source, sink):
            process.kill()
            process.wait()
        return result

    def bound(self):
        """Bytes per second that hashing and encrypting alone allow; pipeline.c says how. Not while the kernel is busy
        with memory that others freed."""
        time.sleep(SETTLE_S)
        program = os.path.join(self.bench.build, "bench", "pipeline")
        done = subprocess.run([program, str(CHUNK), str(BIG_MIB)], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)["bytes_per_s"] / 1e6

    def bare(self):
        """Megabytes per second of the same work without a daemon; bare_file.c says how. In pieces as large as the daemon's jobs."""
        self.empty_target()
        program = os.path.join(self.bench.build, "bench", "bare_file")
        got = os.path.join(self.target, os.path.basename(self.big))
        self.begin()
        done = subprocess.run([program, self.big, got, str(MIB)], stdout=subprocess.PIPE, check=True)
        self.check(self.big)
        return json.loads(done.stdout)["bytes_per_s"] / 1e6

    def rsync(self, path):
        """Seconds that rsync takes over loopback, its daemon at the other end, neither encrypted nor hashed as ours
        is: the whole files, not differences."""
        self.empty_target()
        port = free_port()
        config = self.target + ".rsyncd"
        with open(config, "w", encoding="ascii") as file:
            file.write("use chroot = no\nuid = %d\ngid = %d\n[target]\npath = %s\nread only = no\n"
                       % (os.getuid(), os.getgid(), self.target))
        server = subprocess.Popen(["rsync", "--daemon", "--no-detach", "--config", config, "--address=127.0.0.1",
                                   "--port=%d" % port], stderr=subprocess.DEVNULL)
        try:
            wait_listening(port, server)
            begun = self.begin()
            subprocess.run(["rsync", "--archive", "--whole-file", path, "rsync://127.0.0.1:%d/target/" % port],
                           check=True)
            took = time.monotonic() - begun
        finally:
            server.terminate()
            server.wait()
        self.check(path)
        return took

    def ncat(self):
        """Seconds for the bytes alone: cat | ncat, no encryption, no hash, no name."""
        self.empty_target()
        port = free_port()
        with open(os.path.join(self.target, os.path.basename(self.big)), "wb") as out:
            server = subprocess.Popen(["ncat", "--listen", "--recv-only", "127.0.0.1", str(port)], stdout=out)
            try:
                wait_listening(port, server, connect=False)
                begun = self.begin()
                with subprocess.Popen(["cat", self.big], stdout=subprocess.PIPE) as cat:
                    subprocess.run(["ncat", "--send-only", "127.0.0.1", str(port)], stdin=cat.stdout, check=True)
                server.wait(60)
                took = time.monotonic() - begun
            finally:
                server.kill()
                server.wait()
        self.check(self.big)
        return took


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_listening(port, server, connect=True):
    """Until the port is listened to; without connecting it is looked up, for servers that serve one and end."""
    wanted = ":%04X" % port
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and server.poll() is None:
        if connect:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
        else:
            with open("/proc/net/tcp", encoding="ascii") as table:
                if any(line.split()[1].endswith(wanted) and line.split()[3] == "0A" for line in list(table)[1:]):
                    return
        time.sleep(0.01)
    raise SystemExit("%s does not listen" % server.args[0])


def others(files, path, rate):
    """What else is measured with that path: {name: function}, of what is installed."""
    found = {}
    if shutil.which("rsync"):
        found["rsync"] = lambda: {"rate": rate / files.rsync(path)}
    if shutil.which("ncat") and path == files.big:
        found["ncat"] = lambda: {"rate": rate / files.ncat()}
    for program in ("rsync", "ncat"):
        if not shutil.which(program):
            print("not measured: %s (not installed)" % program, file=sys.stderr)
    return found


def measure(table, bench, directory):
    where = place(directory)
    try:
        files = Files(bench, where)
        parts = [("%s, CPU of the sending daemon", "s/GiB", "near"), ("%s, of the receiving daemon", "s/GiB", "far"),
                 ("%s, of the sending program", "s/GiB", "source"), ("%s, of the receiving program", "s/GiB", "sink"),
                 ("%s, memory, sending daemon", "MiB", "near_mib"), ("%s, memory, receiving", "MiB", "far_mib")]
        megabytes = BIG_MIB * MIB / 1e6
        if len(os.sched_getaffinity(0)) > 1:
            table.add_parts("file of 1 GiB, daemons on a core each", [("%s", "MB/s", "rate")],
                            files.big_file_on_own_cores, bound=lambda: {"rate": files.bound()},
                            bare=lambda: {"rate": files.bare()})
        else:
            print("not measured: daemons on a core each (there is one)", file=sys.stderr)
        table.add_parts("file of 1 GiB", [("%s", "MB/s", "rate")] + parts, files.big_file,
                        bound=lambda: {"rate": files.bound()}, **others(files, files.big, megabytes))
        small = [(name, "s" if unit == "s/GiB" else unit, key) for name, unit, key in parts]
        table.add_parts("10,000 files of 4 KiB", [("%s", "files/s", "rate")] + small, files.small_files,
                        **others(files, files.tree, SMALL_FILES))
        percentiles = [("%s, p50", "us", "p50_us"), ("%s, p99", "us", "p99_us")]
        table.add_parts("round trip beside a file", percentiles, files.ping_beside,
                        idle=lambda: bench.ping(count=PINGS))
    finally:
        shutil.rmtree(where, ignore_errors=True)
