"""Under a service manager: readiness, watchdog, status, and sockets that somebody else holds
(reliability.md R21, R22)."""
import os
import signal
import socket
import stat
import subprocess
import threading
import time

import daemons
import pytest
import ratsipc
from supervisor import SupervisedDaemon, Supervisor

LONG = bool(os.environ.get("RATS_LONG"))


@pytest.fixture
def supervisor(tmp_path):
    made = Supervisor(str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def supervised(daemon, supervisor):
    """Makes daemons under the supervisor; they end with the test."""
    def make(**options):
        node = SupervisedDaemon(supervisor, **options)
        daemon.made.append(node)
        return node
    return make


# --- readiness, status, watchdog ---

def test_ready_means_that_a_client_can_connect(supervised):
    """100 starts: the first knock after READY=1 is answered."""
    node = supervised()
    peer_ids = set()
    for _ in range(100):
        node.start()
        with ratsipc.Client(node.socket) as client:
            peer_ids.add(client.hello()["peer_id"])
        node.terminate()
    assert len(peer_ids) == 1


def test_the_manager_is_told_of_reloads_and_the_end(supervised, supervisor):
    node = supervised().start()
    node.process.send_signal(signal.SIGHUP)
    assert int(supervisor.wait_for("RELOADING")["MONOTONIC_USEC"]) <= time.monotonic() * 1e6
    assert supervisor.wait_for("READY")["READY"] == "1"
    node.terminate()
    assert supervisor.wait_for("STOPPING")["STOPPING"] == "1"


def test_the_watchdog_is_fed_by_the_loop(supervised, supervisor):
    supervisor.watchdog_us = 200000
    node = supervised().start()
    for _ in range(3):
        assert supervisor.wait_for("WATCHDOG")["STATUS"] == "0 peers, 0 clients"
    with ratsipc.Client(node.socket) as client:
        client.hello()
        while supervisor.wait_for("WATCHDOG")["STATUS"] != "0 peers, 1 client":
            pass
    node.process.send_signal(signal.SIGSTOP)
    while supervisor.messages(timeout=1) is not None:  # what was on its way
        pass
    node.process.send_signal(signal.SIGCONT)
    supervisor.wait_for("WATCHDOG")


def test_without_a_watchdog_nothing_is_said_while_idle(supervised, supervisor):
    supervised().start()
    assert supervisor.messages(timeout=1) is None


# --- the control socket ---

def test_an_inherited_control_socket_is_served_and_left_as_it_is(supervised, supervisor, tmp_path):
    path = str(tmp_path / "held.sock")
    supervisor.hold_control(path, mode=0o640)
    node = supervised(config="[clients]\nsocket_mode = 0666\n")
    node.start()
    with ratsipc.Client(path) as client:
        client.hello()
        assert client.call("instance.get")["socket"] == path
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert not os.path.exists(node.socket), "it made a socket of its own besides"
    node.terminate()
    assert stat.S_ISSOCK(os.stat(path).st_mode)


def test_who_connects_between_two_daemons_is_served_by_the_second(supervised, supervisor,
                                                                  tmp_path):
    path = str(tmp_path / "held.sock")
    supervisor.hold_control(path)
    node = supervised().start()
    node.terminate()
    with ratsipc.Client(path) as waiting:
        node.start()
        waiting.hello()
        assert waiting.info["peer_id"]


class Knocker(threading.Thread):
    """Connects without a pause and counts how often that is refused."""

    def __init__(self, family, address):
        super().__init__(daemon=True)
        self.family = family
        self.address = address
        self.done = threading.Event()
        self.tries = 0
        self.refused = []

    def run(self):
        while not self.done.is_set():
            with socket.socket(self.family, socket.SOCK_STREAM) as knocking:
                self.tries += 1
                try:
                    knocking.connect(self.address)
                except ConnectionResetError:
                    pass  # it was accepted, and then that daemon ended
                except OSError as error:
                    self.refused.append(error)
            time.sleep(0.0005)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()


def test_connect_is_never_refused_while_daemons_are_replaced(supervised, supervisor, tmp_path):
    """R21: by a stop and by kill -9 in turn, and with peers' connections as with clients'."""
    path = str(tmp_path / "held.sock")
    supervisor.hold_control(path)
    port = supervisor.hold_peer().getsockname()[1]
    node = supervised()
    node.start()
    with Knocker(socket.AF_UNIX, path) as clients, \
            Knocker(socket.AF_INET, ("127.0.0.1", port)) as peers:
        for i in range(100 if LONG else 20):
            if i % 2:
                node.kill()
            else:
                node.terminate()
            node.start()
    assert clients.tries > 20 and clients.refused == []
    assert peers.tries > 20 and peers.refused == []


# --- the peers' sockets ---

def test_peers_reach_an_inherited_socket(supervised, supervisor, daemon, tmp_path):
    """Whatever the configuration says of the port; the socket is open again in the next daemon."""
    supervisor.hold_control(str(tmp_path / "default.sock"))
    ports = [supervisor.hold_peer().getsockname()[1] for _ in range(2)]
    node = supervised(listen=None, config="[network]\nlisten = none\n")
    other = daemon(name="other")
    for _ in range(2):
        node.start()
        assert node.port == ports[0]
        client = other.client()
        for port in ports:
            reply = client.call("peer.connect", {"host": "127.0.0.1", "port": port})
            assert reply["peer"] == node.peer_id
        node.terminate()
        daemons.wait_until(lambda: not client.call("peer.list")["peers"], "the link is gone")


# --- what cannot be used ---

@pytest.mark.parametrize("name,make,hint", [
    ("control", lambda: socket.create_server(("127.0.0.1", 0)), "another kind"),
    ("peer", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "no listening"),
    ("control", lambda: socket.socketpair()[0], "no listening"),
], ids=["a kind that is not the name's", "datagrams", "a connection"])
def test_a_descriptor_that_is_of_no_use_stops_the_start(supervised, supervisor, name, make, hint):
    supervisor.held.append((name, make()))
    node = supervised()
    ended, said = node.run()
    assert ended == 2, said
    assert "descriptor 3 (\"%s\")" % name in said and hint in said


def test_descriptors_meant_for_the_parent_are_not_touched(daemon, tmp_path):
    node = daemon.make()
    words = node.command()
    with open(node.log_path, "ab") as log:
        node.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=daemons.environment(node.directory, LISTEN_PID=str(os.getpid()), LISTEN_FDS="1"))
    daemons.wait_until(node.answers, "ratsd greets")
