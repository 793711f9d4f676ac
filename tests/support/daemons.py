"""Real daemons for tests: each in a directory of its own, on loopback, ended and looked over."""
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import ratsipc

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
REPORTS = re.compile(r"(ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer).*")
DATABASE = re.compile(r"/[a-z]+\.db(-wal|-shm)?( \(deleted\))?$")
DEADLINE_S = 20


def build_directory():
    """RATS_BUILD_DIR, or the first build that is there."""
    named = os.environ.get("RATS_BUILD_DIR")
    if named:
        return os.path.join(ROOT, named)
    for name in ("build-check/asan", "build"):
        if os.path.exists(os.path.join(ROOT, name, "daemon", "ratsd")):
            return os.path.join(ROOT, name)
    return os.path.join(ROOT, "build")


BUILD = build_directory()
RATSD = os.environ.get("RATSD_BIN") or os.path.join(BUILD, "daemon", "ratsd")
RATSCTL = os.environ.get("RATSCTL_BIN") or os.path.join(BUILD, "libratsclient", "ratsctl",
                                                        "ratsctl")


def plain_ratsd():
    """One built without a sanitizer, whose memory can be measured; else the one there is."""
    named = os.environ.get("RATSD_PLAIN_BIN")
    for path in (named, os.path.join(ROOT, "build-check/gcc/daemon/ratsd"),
                 os.path.join(ROOT, "build/daemon/ratsd")):
        if path and os.path.exists(path):
            return path
    return RATSD


def librats_path():
    """A library that Python can load: not one built with a sanitizer."""
    named = os.environ.get("LIBRATS_LIBRARY")
    if named:
        return named
    for name in ("build-check/gcc", "build"):
        path = os.path.join(ROOT, name, "libratsclient", "librats.so.1")
        if os.path.exists(path):
            return path
    return os.path.join(BUILD, "libratsclient", "librats.so.1")


def wait_until(condition, what, timeout=DEADLINE_S):
    """Waits until condition() is true; its value. Fails with what, never by sleeping too short."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "waited %d s in vain: %s" % (timeout, what)
        time.sleep(0.01)


def environment(directory, **more):
    """The caller's, with every directory of the user pointing into one directory; nothing is started
    that a test has not started itself."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("RATS_SOCKET")}
    env.update(RATS_CREATE="shared", HOME=directory, XDG_RUNTIME_DIR=os.path.join(directory, "run"),
               XDG_STATE_HOME=os.path.join(directory, "state-home"),
               XDG_CONFIG_HOME=os.path.join(directory, "config-home"))
    env.update(more)
    return env


class Daemon:
    """One ratsd. stop() must see exit 0 and no word of a sanitizer."""

    def __init__(self, name="default", options=(), config=None, directory=None,
                 listen="127.0.0.1:0", program=RATSD):
        self.name = name
        self.program = program
        self.own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="ratsd-")
        self.socket = os.path.join(self.directory, name + ".sock")
        self.state = os.path.join(self.directory, "state-" + name)
        self.log_path = os.path.join(self.directory, name + ".log")
        self.options = list(options)
        self.variables = {}  # of its environment, besides ours
        self.listen = listen
        self.config_path = os.path.join(self.directory, name + ".conf")
        if config is not None:
            self.configure(config)
        self.process = None
        self.clients = []

    def configure(self, text):
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def command(self):
        words = [self.program, "--instance", self.name, "--socket", self.socket, "--state-dir", self.state]
        if self.listen:
            words += ["--listen", self.listen]
        if os.path.exists(self.config_path):
            words += ["--config", self.config_path]
        return words + self.options

    def spawn(self, **options):
        """Starts it and does not wait."""
        os.makedirs(os.path.join(self.directory, "run"), mode=0o700, exist_ok=True)
        env = environment(self.directory, **self.variables)
        if "RATS_UNIT" in os.environ:
            import restricted
            self.process = restricted.Service(self.command(), self.log_path, env, **options)
            return self
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=env, **options)
        return self

    def start(self, **options):
        """Starts it and waits until it greets."""
        self.spawn(**options)
        wait_until(self.answers, "ratsd greets on %s" % self.socket)
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("ratsd ended with %d:\n%s" % (self.process.returncode, self.log()))
        try:
            with ratsipc.Client(self.socket) as client:
                client.hello(name="is it up?")
            return True
        except (FileNotFoundError, ConnectionRefusedError, ratsipc.Closed):
            return False

    def run(self, timeout=DEADLINE_S):
        """Runs it to its end, for starts that must fail: (exit status, what it said)."""
        self.spawn()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.check_log()
        return self.process.returncode, self.log()

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def check_log(self):
        report = REPORTS.search(self.log())
        assert not report, "%s\n%s" % (report.group(0), self.log()[-6000:])

    # --- its end ---

    def running(self):
        return self.process is not None and self.process.poll() is None

    def terminate(self):
        """SIGTERM: it drains and exits 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise AssertionError("ratsd did not end within %d s of SIGTERM:\n%s"
                                 % (DEADLINE_S, self.log()[-4000:])) from None
        assert self.process.returncode == 0, "exit %d\n%s" % (self.process.returncode,
                                                              self.log()[-6000:])
        self.check_log()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close_clients(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    def stop(self):
        self.close_clients()
        try:
            if self.running():
                self.terminate()
            self.check_log()
        finally:
            if self.running():
                self.kill()
            if self.own_directory:
                shutil.rmtree(self.directory, ignore_errors=True)

    # --- speaking to it ---

    def connect(self):
        """A connection that has not said hello."""
        client = ratsipc.Client(self.socket)
        self.clients.append(client)
        return client

    def client(self, **hello):
        client = self.connect()
        client.hello(**hello)
        return client

    def info(self):
        with ratsipc.Client(self.socket) as client:
            return client.hello()

    @property
    def peer_id(self):
        return self.info()["peer_id"]

    @property
    def port(self):
        return self.info()["listen_port"]

    def ctl(self, *words, timeout=30, **options):
        """Runs ratsctl against it: the finished process with text output."""
        env = environment(self.directory, RATS_SOCKET=self.socket)
        return subprocess.run([RATSCTL] + list(words), env=env, timeout=timeout,
                              stdin=options.pop("stdin", subprocess.DEVNULL),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True, check=False, **options)

    # --- what the kernel knows of it ---

    def descriptors(self):
        """How many it has open, databases aside: those are opened with the first change and stay."""
        directory = "/proc/%d/fd" % self.process.pid
        count = 0
        for name in os.listdir(directory):
            try:
                count += not DATABASE.search(os.readlink(os.path.join(directory, name)))
            except FileNotFoundError:
                pass  # closed meanwhile
        return count

    def rss_kib(self):
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def cpu_ticks(self):
        with open("/proc/%d/stat" % self.process.pid, encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def assert_idle(self):
        """Within 5 s there is a stretch of 200 ms in which it uses no more than 20 ms of a core."""
        def quiet():
            before = self.cpu_ticks()
            time.sleep(0.2)
            return self.cpu_ticks() - before <= 2
        wait_until(quiet, "ratsd is idle", 5)


def link(dialer, target):
    """Connects two daemons and waits until both know it."""
    with ratsipc.Client(dialer.socket) as ours, ratsipc.Client(target.socket) as theirs:
        ours.hello()
        theirs.hello()
        ours.call("peer.connect", {"host": "127.0.0.1", "port": theirs.info["listen_port"]})
        wait_until(lambda: any(p["peer"] == ours.info["peer_id"]
                               for p in theirs.call("peer.list")["peers"]), "both know the link")


def without_names():
    """Variables for a daemon whose name service never answers: a dial by name stays in progress."""
    return {"LD_PRELOAD": os.path.join(BUILD, "tests", "support", "libhanging_names.so"),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


def free_port():
    """A TCP port nobody has at the moment, below those the kernel gives to outgoing connections: however many
    of these come and go meanwhile, the port stays free for a daemon that insists on it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as limits:
        first_outgoing = int(limits.read().split()[0])
    while True:
        port = random.randrange(10000, max(first_outgoing, 20000))
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
