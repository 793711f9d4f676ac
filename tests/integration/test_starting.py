"""Starts that must fail, each with a sentence, a remedy and its exit code; and ends that must be
clean (reliability.md R8, R27, V29)."""
import os
import re
import signal
import socket
import stat
import subprocess

import pytest
import ratsipc
from daemons import DEADLINE_S, RATSD, environment, free_port, link, wait_until

EXIT_FAILED, EXIT_USAGE, EXIT_OWNED, EXIT_DAMAGED = 1, 2, 3, 4

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a file system")


def fails_with(node, status, *words):
    """It ends with that status and a last line that holds the words; the whole of what it said."""
    before = len(node.log())
    ended, _ = node.run()
    said = node.log()[before:]
    assert ended == status, "exit %d\n%s" % (ended, said)
    for word in words:
        assert str(word) in said, "%r is not in:\n%s" % (word, said)
    return said


def key_of(node):
    """Path of the identity key: the only file of exactly 32 bytes."""
    path = os.path.join(node.state, "identity.key")
    assert os.path.getsize(path) == 32
    return path


# --- usage and configuration ---

@pytest.mark.parametrize("words,hint", [
    (["--no-such-option"], "--no-such-option"), (["extra"], "extra"), (["--instance"], "--instance"),
    (["--instance", "a/b"], "a/b"), (["--instance", ""], "--instance"),
    (["--listen", "127.0.0.1:99999"], "99999"), (["--listen", "nonsense:1"], "nonsense"),
    (["--config", "/nonexistent/ratsd.conf"], "/nonexistent/ratsd.conf"),
], ids=" ".join)
def test_a_wrong_command_line(tmp_path, words, hint):
    done = subprocess.run([RATSD] + words, env=environment(str(tmp_path)), timeout=DEADLINE_S,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          universal_newlines=True)
    assert done.returncode == EXIT_USAGE, done.stdout
    assert hint in done.stdout


@pytest.mark.parametrize("text,hint", [
    ("[log]\nlevel = loud\n", "loud"), ("[log]\nlevle = info\n", "levle"),
    ("[lgo]\nlevel = info\n", "lgo"), ("[log]\nlevel = info\nlevel = warn\n", "level"),
    ("[clients]\nmax_sessions = many\n", "many"), ("[clients]\nmax_sessions = 0\n", "max_sessions"),
    ("[clients]\nqueue = 1T\n", "queue"), ("level = info\n", "level"), ("[log\n", ":1"),
], ids=repr)
def test_a_wrong_configuration_names_file_and_line(daemon, text, hint):
    node = daemon.make(config=text)
    said = fails_with(node, EXIT_USAGE, node.config_path, hint)
    assert re.search(re.escape(node.config_path) + r":\d+: ", said)
    checked = subprocess.run(node.command() + ["--check-config"], check=False, timeout=DEADLINE_S,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             universal_newlines=True, env=environment(node.directory))
    assert checked.returncode == EXIT_USAGE and hint in checked.stdout


def test_check_config_starts_nothing(daemon):
    node = daemon.make(config="[log]\nlevel = debug\n", options=["--check-config"])
    assert node.run()[0] == 0
    assert not os.path.exists(node.socket) and not os.path.exists(node.state)


def check(node, *words):
    return subprocess.run(node.command() + ["--check-config", *words], check=False, timeout=DEADLINE_S,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                          env=environment(node.directory))


def test_check_config_says_that_a_port_is_taken_and_by_nobody_of_ours(daemon):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        config = "[network]\nlisten = 127.0.0.1\nport = %d\nport_attempts = 1\n" % port
        node = daemon.make(listen=None, config=config)
        checked = check(node)
        assert checked.returncode == EXIT_FAILED, checked.stdout
        assert "port %d is in use" % port in checked.stdout and "network.port" in checked.stdout
    checked = check(node)
    assert checked.returncode == 0, checked.stdout
    assert not os.path.exists(node.state)


@pytest.mark.parametrize("listen,status,hints", [
    ("nonsense", EXIT_USAGE, ("network.listen", "nonsense")),
    ("192.0.2.1", EXIT_FAILED, ("192.0.2.1", "no interface", "network.listen")),
    ("none", 0, ()), ("::", 0, ()),
])
def test_check_config_tries_the_address(daemon, listen, status, hints):
    node = daemon.make(listen=None, config="[network]\nlisten = %s\nport = 0\n" % listen)
    checked = check(node)
    assert checked.returncode == status, checked.stdout
    assert all(hint in checked.stdout for hint in hints), checked.stdout


def test_check_config_beside_the_running_daemon_does_not_disturb_it(daemon):
    port = free_port()
    config = "[network]\nlisten = 127.0.0.1\nport = %d\nport_attempts = 1\n" % port
    node = daemon.make(listen=None, config=config)
    node.options = ["--runtime-dir", os.path.join(node.directory, "run")]
    node.start()
    other = daemon()
    client = node.client()
    client.call("session.start")
    checked = check(node)
    assert checked.returncode == 0, checked.stdout
    assert node.port == port and client.is_alive()
    link(other, node)


# --- port, socket, second daemon ---

def test_a_busy_port(daemon):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        node = daemon.make(listen="127.0.0.1:%d" % port, config="[network]\nport_attempts = 1\n")
        fails_with(node, EXIT_FAILED, port, "in use", "network.port")
    node.start()
    assert node.port == port


def test_a_busy_port_gives_way_to_the_next(daemon):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        node = daemon(listen="127.0.0.1:%d" % port)
        assert port < node.port <= port + 4
        assert "port %d is busy, listening on %d" % (port, node.port) in node.log()


def test_a_second_daemon_on_the_same_state(daemon):
    first = daemon(name="one")
    second = daemon.make(name="two")
    second.state = first.state
    fails_with(second, EXIT_OWNED, first.process.pid, first.state)
    assert first.client().is_alive()


def test_a_second_daemon_on_the_same_socket(daemon):
    first = daemon(name="one")
    second = daemon.make(name="two")
    second.socket = first.socket
    fails_with(second, EXIT_OWNED, first.process.pid)
    assert first.client().is_alive()


def test_a_stale_socket_is_replaced(daemon):
    node = daemon()
    node.kill()
    assert os.path.exists(node.socket)
    node.start()
    assert node.client().is_alive()


@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_is_no_socket_is_not_replaced(daemon, what):
    node = daemon.make()
    if what == "file":
        with open(node.socket, "w", encoding="utf-8") as file:
            file.write("precious")
    else:
        os.mkdir(node.socket)
    fails_with(node, EXIT_FAILED, node.socket)
    assert os.path.exists(node.socket)
    if what == "file":
        with open(node.socket, encoding="utf-8") as file:
            assert file.read() == "precious"


def test_a_socket_path_that_is_too_long(daemon):
    node = daemon.make()
    node.socket = os.path.join(node.directory, "s" * 120)
    ended, said = node.run()
    assert ended in (EXIT_FAILED, EXIT_USAGE)
    assert "107" in said


# --- the key ---

def test_the_key_is_kept_and_private(daemon):
    node = daemon.make()
    node.start(preexec_fn=lambda: os.umask(0))
    assert stat.S_IMODE(os.stat(key_of(node)).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(node.state).st_mode) & 0o077 == 0
    peer_id = node.peer_id
    node.terminate()
    node.start()
    assert node.peer_id == peer_id


def test_a_damaged_key_stops_the_start_at_every_length(daemon):
    """It is never replaced: what is there afterwards is what was there before."""
    node = daemon()
    with open(key_of(node), "rb") as file:
        key = file.read()
    peer_id = node.peer_id
    node.terminate()
    path = os.path.join(node.state, "identity.key")
    for damaged in [key[:size] for size in range(len(key))] + [key + b"\0", key * 2, key * 1000]:
        with open(path, "wb") as file:
            file.write(damaged)
        said = fails_with(node, EXIT_DAMAGED, path)
        assert "backup" in said or "restore" in said or "move" in said, "no remedy in: %s" % said
        with open(path, "rb") as file:
            assert file.read() == damaged
    with open(path, "wb") as file:
        file.write(key)
    node.start()
    assert node.peer_id == peer_id


def test_a_directory_in_the_place_of_the_key(daemon):
    node = daemon.make()
    path = os.path.join(node.state, "identity.key")
    os.makedirs(path)
    ended, said = node.run()
    assert ended in (EXIT_FAILED, EXIT_DAMAGED) and path in said


def test_a_key_that_others_may_read_is_closed_to_them(daemon):
    node = daemon()
    path = key_of(node)
    peer_id = node.peer_id
    node.terminate()
    os.chmod(path, 0o644)
    node.start()
    assert node.peer_id == peer_id
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert "readable" in node.log()


# --- the state directory ---

class Mounted:
    """A small file system of its own for the state directory of one daemon, in a mount namespace
    that ends with it."""

    def __init__(self, node, options, before="true"):
        self.node = node
        script = ('mount -t tmpfs -o size=64k,mode=0700 none "$1" && cd "$1" && { %s; } && '
                  'mount -o remount,%s none "$1" && cd / && shift && echo mounted && exec "$@"'
                  % (before, options))
        self.words = ["unshare", "-m", "sh", "-c", script, "sh", node.state]

    def run(self):
        os.makedirs(self.node.state, mode=0o700, exist_ok=True)
        done = subprocess.run(self.words + self.node.command(), check=False, timeout=DEADLINE_S,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, env=environment(self.node.directory))
        if not done.stdout.startswith("mounted\n"):
            pytest.skip("this machine does not let us mount: %s" % done.stdout.strip())
        return done.returncode, done.stdout


@as_root
def test_a_read_only_state_directory(daemon):
    node = daemon.make()
    ended, said = Mounted(node, "ro").run()
    assert ended == EXIT_FAILED, said
    assert node.state in said and "ead-only" in said


@as_root
def test_a_full_state_directory(daemon):
    node = daemon.make()
    fill = "cat /dev/zero >filler 2>/dev/null; for i in 1 2 3 4 5 6 7 8 9; do : >more$i; done; true"
    ended, said = Mounted(node, "size=64k", fill).run()
    assert ended == EXIT_FAILED, said
    assert node.state in said and "space" in said


def test_a_state_directory_that_may_not_be_written(daemon):
    if os.getuid() == 0:
        pytest.skip("root may write everywhere; the read-only mount covers it")
    node = daemon.make()
    os.makedirs(node.state)
    os.chmod(node.state, 0o500)
    fails_with(node, EXIT_FAILED, node.state)
    os.chmod(node.state, 0o700)


def test_a_state_directory_that_is_a_file(daemon):
    node = daemon.make()
    with open(node.state, "w", encoding="utf-8") as file:
        file.write("x")
    fails_with(node, EXIT_FAILED, node.state)


# --- ends and reloads ---

def test_sigterm_sends_what_was_accepted_and_exits_0(pair):
    first, second = pair
    sender, receiver = first.client(), second.client().listen("last words")
    sender.call("session.start")
    count = 300
    for i in range(count):
        sender.send_message(receiver.info["peer_id"], "last words", b"%d" % i + b"." * 4096)
    assert sender.is_alive()  # all of it has been taken
    first.process.send_signal(signal.SIGTERM)
    for i in range(count):
        assert receiver.wait_message().body.startswith(b"%d." % i)
    assert receiver.wait_event("peer.disconnected")["peer"] == sender.info["peer_id"]
    assert first.process.wait(DEADLINE_S) == 0
    assert not os.path.exists(first.socket)
    with pytest.raises(ratsipc.Closed):
        while True:
            sender.take(5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_clients_are_attached(daemon, number):
    node = daemon()
    _ = [node.client() for _ in range(10)]
    node.connect()
    node.process.send_signal(number)
    assert node.process.wait(DEADLINE_S) == 0


def test_sighup_reloads_the_log_level_and_limits(daemon):
    node = daemon(config="[log]\nlevel = info\n[network]\nmax_peers = 10\n")
    client = node.client()
    assert client.call("log.get_level")["level"] == "info"
    assert client.info["max_peers"] == 10
    node.configure("[log]\nlevel = debug\n[network]\nmax_peers = 20\n[clients]\nmax_sessions = 3\n")
    node.process.send_signal(signal.SIGHUP)
    wait_until(lambda: client.call("log.get_level")["level"] == "debug", "the level was reloaded")
    assert client.wait_event("instance.changed")["max_peers"] == 20
    assert client.call("instance.get")["max_peers"] == 20
    node.client()
    node.client()
    with pytest.raises((ratsipc.Closed, BrokenPipeError, ConnectionResetError)):
        node.client()
    assert client.is_alive()


def test_sighup_with_a_wrong_file_changes_nothing(daemon):
    node = daemon(config="[log]\nlevel = warn\n")
    client = node.client()
    node.configure("[log]\nlevel = deafening\n")
    node.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "deafening" in node.log(), "it says what is wrong")
    assert client.call("log.get_level")["level"] == "warn"


def test_a_given_port_is_kept_over_a_restart(daemon):
    port = free_port()
    node = daemon(listen="127.0.0.1:%d" % port)
    assert node.port == port
    node.terminate()
    node.start()
    assert node.port == port
