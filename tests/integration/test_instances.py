"""Which instance a handle gets, and how it is started and ended (api.md 1.2-1.4, D1-D3)."""
import os
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest
from daemons import DEADLINE_S, RATSD, ROOT, free_port, wait_until

# --- two clients, nothing configured ---

def test_two_clients_of_one_process_talk(place):
    first, second = free_port(), free_port()
    out = place.run("""
        got = []
        with RatsClient(%d) as a, RatsClient(%d) as b:
            b.set_string_callback(lambda peer, text: got.append((peer, text)))
            a.start(); b.start()
            assert a.get_our_peer_id() != b.get_our_peer_id()
            a.connect("127.0.0.1", %d)
            a.send_string(b.get_our_peer_id(), "hello")
            wait(lambda: got)
            assert got == [(a.get_our_peer_id(), "hello")]
            print(a.get_listen_port(), b.get_listen_port(), sorted(os.listdir(%r)))
        """ % (first, second, second, place.path("by-port")))
    assert out.split()[:2] == [str(first), str(second)]
    assert str(sorted([str(first), str(second)])) in out
    place.gone()


def test_the_example_in_two_terminals(place):
    ports = [free_port(), free_port()]
    example = os.path.join(ROOT, "python", "examples", "basic_client.py")
    programs = []
    for port in ports:
        programs.append(subprocess.Popen(
            [sys.executable, example, str(port)], env=place.environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            universal_newlines=True, bufsize=1))
        place.programs.append(programs[-1])
        programs[-1].stdin.write("peers\n")
        assert programs[-1].stdout.readline() == "no peers\n"
    programs[0].stdin.write("connect 127.0.0.1 %d\n" % ports[1])
    assert programs[1].stdout.readline().startswith("connected ")
    programs[1].stdin.write("broadcast hello\n")
    heard = ""
    while "hello" not in heard:
        heard += programs[0].stdout.readline()
        assert "failed" not in heard
    for program in programs:
        place.finish(program)
    place.gone()


# --- private instances ---

def test_private_clients_are_peers_of_their_own(place):
    place.run("""
        a, b = RatsClient(), RatsClient()
        assert a.get_our_peer_id() != b.get_our_peer_id()
        assert a.get_listen_port() == 0
        a.start(); b.start()
        assert a.get_listen_port() not in (0, b.get_listen_port())
        a.connect("127.0.0.1", b.get_listen_port())
        wait(lambda: b.get_peer_ids() == [a.get_our_peer_id()])
        assert not a.get_instance_info()["shared"]
        a.close(); b.close()
        """, RATS_CREATE="private")
    place.gone()


def test_the_identity_of_a_port_is_kept(place):
    code = """
        with RatsClient(%d) as a:
            print(a.get_our_peer_id())
        """ % free_port()
    assert place.run(code) == place.run(code)


def test_an_idle_private_instance_has_no_network(place):
    port = free_port()
    place.run("""
        import socket
        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", %d)) == 0
        a = RatsClient(%d)
        assert not listens() and a.get_listen_port() == %d
        for _ in range(3):
            a.start()
            assert listens()
            a.stop()
            assert not listens()
        a.close()
        """ % (port, port, port))
    place.gone()


def test_destroy_waits_for_port_and_state(place):
    place.run("""
        ids = set()
        for _ in range(20):
            a = RatsClient(%d)
            a.start()
            ids.add(a.get_our_peer_id())
            a.close()
        assert len(ids) == 1
        """ % free_port(), RATS_CREATE="private")
    place.gone()


def test_a_busy_port_is_told_by_start(place):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen(1)
        out = place.run("""
            a = RatsClient(%d)
            try:
                a.start()
            except RatsError as error:
                assert error.code == -4 and str(error).startswith("Start failed")
                assert a.last_error() == (error.code, error.detail)
                print(error.detail)
            a.close()
            """ % taken.getsockname()[1])
        port = taken.getsockname()[1]
    assert "in use" in out and str(port) in out and "ratsd" in out, out
    place.gone()


def test_a_second_private_client_on_one_port_fails_to_start(place):
    place.run("""
        a, b = RatsClient(%d), RatsClient(%d)
        a.start()
        assert a.get_our_peer_id() != b.get_our_peer_id()   # the state is in use: a temporary one
        try:
            b.start()
            sys.exit("started")
        except RatsError:
            pass
        a.stop()
        b.start()
        a.close(); b.close()
        """ % ((free_port(),) * 2), RATS_CREATE="private")
    place.gone()


def test_sessions_of_one_port_share_the_instance(place):
    port = free_port()
    place.run("""
        a, b = RatsClient(%d), RatsClient(%d)
        assert a.get_socket_path() == b.get_socket_path()
        a.start(); b.start()
        a.close()
        assert b.is_attached() and b.get_listen_port() == %d
        b.close()
        """ % (port, port, port))
    place.gone()


def test_a_killed_program_leaves_nothing(place):
    program = place.spawn("""
        a = RatsClient(%d); b = RatsClient(%d)
        a.start(); b.start()
        print("up", flush=True)
        time.sleep(60)
        """ % (free_port(), free_port()))
    assert program.stdout.readline() == "up\n"
    assert len(place.daemons()) == 2
    program.kill()
    place.gone()


def test_what_was_sent_before_the_end_arrives(place):
    first, second = free_port(), free_port()
    place.run("""
        got = []
        b = RatsClient(%d)
        b.set_binary_callback(lambda peer, data: got.append(len(data)))
        b.start()
        for _ in range(5):
            got.clear()
            a = RatsClient(%d)
            a.start()
            a.connect("127.0.0.1", %d)
            for _ in range(20):
                a.send_binary(b.get_our_peer_id(), bytes(100000))
            a.close()
            wait(lambda: len(got) == 20)
        b.close()
        """ % (second, first, second))
    place.gone()


def test_the_log_of_a_private_instance_comes_through_the_library(place):
    program = place.spawn("""
        from librats_py.ctypes_wrapper import get_librats
        get_librats().lib.rats_set_log_level(b"INFO")
        with RatsClient(%d) as a:
            a.start()
        """ % free_port())
    _, said = program.communicate(timeout=30)
    assert program.returncode == 0, said
    assert "ratsd: mesh: listening on port" in said or "listening on port" in said


def test_python_describes_a_private_instance(place):
    place.run("""
        data = %r
        with RatsClient(private=True, data_dir=data, protocol="game/7", security="plaintext",
                        bind="127.0.0.1", transports=["tcp"]) as a:
            a.start()
            info = a.get_instance_info()
            assert info["protocol"] == "game/7" and info["security"] == "plaintext", info
            assert info["data_directory"] == data and not info["shared"], info
            first = a.get_our_peer_id()
        with RatsClient(private=True, data_dir=data) as a:
            assert a.get_our_peer_id() == first
        with RatsClient(protocol="game/7") as a:      # nobody there: a private one
            assert a.get_instance_info()["protocol"] == "game/7"
            assert not a.get_instance_info()["shared"]
        for wrong in ({"security": "none"}, {"transports": ["pigeon"]}):
            try:
                RatsClient(private=True, **wrong)
                sys.exit("was taken")
            except RatsInvalidParameterError:
                pass
        try:
            RatsClient(private=False)
            sys.exit("was started")
        except RatsDaemonError:
            pass
        """ % os.path.join(place.directory, "data"))
    place.gone()


# --- the default instance ---

def test_the_default_instance_is_started_once_by_twenty(place):
    go = os.path.join(place.directory, "go")
    programs = [place.spawn("""
        wait(lambda: os.path.exists(%r))
        a = RatsClient()
        a.start()
        print(a.get_our_peer_id(), a.get_socket_path(), flush=True)
        sys.stdin.read()
        a.close()
        """ % go) for _ in range(20)]
    time.sleep(0.5)
    open(go, "w").close()
    said = {program.stdout.readline() for program in programs}
    assert len(said) == 1, said
    assert place.path("default.sock") in said.pop()
    assert len(place.daemons()) == 1
    for program in programs:
        place.finish(program)
    assert len(place.daemons()) == 1  # it waits for the next


def test_a_private_instance_is_started_once_by_many(place):
    port = free_port()
    go = os.path.join(place.directory, "go")
    programs = [place.spawn("""
        wait(lambda: os.path.exists(%r))
        a = RatsClient(%d)
        a.start()
        print(a.get_our_peer_id(), flush=True)
        sys.stdin.read()
        a.close()
        """ % (go, port)) for _ in range(8)]
    time.sleep(0.5)
    open(go, "w").close()
    assert len({program.stdout.readline() for program in programs}) == 1
    assert len(place.daemons()) == 1
    for program in programs:
        place.finish(program)
    place.gone()


def test_an_instance_on_demand_ends_when_nobody_is_attached(place):
    sock = os.path.join(place.directory, "x.sock")
    process = subprocess.Popen(
        [RATSD, "--exit-idle", "1", "--socket", sock, "--set", "network.port=0", "--state-dir",
         os.path.join(place.directory, "state")], env=place.environment(),
        stderr=subprocess.PIPE, universal_newlines=True)
    place.programs.append(process)
    wait_until(lambda: os.path.exists(sock), "it is up")
    place.run("""
        a = RatsClient(socket_path=%r)
        time.sleep(1.5)
        assert a.is_attached()
        a.close()
        """ % sock)
    assert process.wait(DEADLINE_S) == 0
    assert not os.path.exists(sock)


def test_starting_takes_no_time(place):
    """From rats_create to attached below 100 ms; the best of several, for the machine is busy."""
    out = place.run("""
        from librats_py.ctypes_wrapper import get_librats
        get_librats()
        best = 1e9
        for _ in range(10):
            before = time.monotonic()
            a = RatsClient()
            best = min(best, time.monotonic() - before)
            a.close()
        print(best)
        """, RATS_CREATE="private")
    sanitized = "asan" in RATSD
    assert float(out) < (1.0 if sanitized else 0.1)


# --- what is found, what is not started ---

def test_an_instance_is_found_by_its_port(place, daemon):
    os.makedirs(place.runtime, 0o700)
    node = daemon(options=["--runtime-dir", place.runtime])
    assert place.links() == [str(node.port)]
    out = place.run("""
        with RatsClient(%d) as a:
            print(a.get_our_peer_id())
        """ % node.port, RATS_CREATE="shared")
    assert out.strip() == node.peer_id
    node.terminate()
    assert place.links() == []


def test_a_stale_link_is_replaced(place, daemon):
    os.makedirs(place.path("by-port"), 0o700)
    port = free_port()
    os.symlink(place.path("nobody.sock"), place.path("by-port", str(port)))
    place.run("""
        with RatsClient(%d) as a:
            a.start()
        """ % port)
    place.gone()


def test_a_link_to_another_port_is_not_believed(place, daemon):
    os.makedirs(place.path("by-port"), 0o700)
    node = daemon()
    port = free_port()
    os.symlink(node.socket, place.path("by-port", str(port)))
    place.run("""
        with RatsClient(%d) as a:
            assert a.get_our_peer_id() != %r and a.get_listen_port() == %d
        """ % (port, node.peer_id, port))


@pytest.mark.parametrize("words", [{"RATS_CREATE": "shared"}, {"RATS_SOCKET": "/nowhere/x.sock"}])
def test_nothing_is_started_when_it_must_not(place, words):
    out = place.run("""
        try:
            RatsClient(%d)
        except RatsDaemonError as error:
            print(error)
        """ % free_port(), **words)
    assert "no ratsd" in out
    assert not place.daemons()


def test_a_policy_that_is_not_one(place):
    out = place.run("""
        try:
            RatsClient()
        except RatsInvalidParameterError as error:
            print(error)
        """, RATS_CREATE="sometimes")
    assert "sometimes" in out


def test_a_program_that_is_no_daemon(place):
    for program, said in (("/bin/true", "ended before it was ready"),
                          ("/nowhere/ratsd", "no ratsd program")):
        out = place.run("""
            try:
                RatsClient()
            except RatsError as error:
                print(error)
            """, RATSD=program)
        assert said in out


def test_a_runtime_directory_of_somebody_else_is_refused(place):
    os.mkdir(place.runtime, 0o700)
    os.chmod(place.runtime, 0o777)
    out = place.run("""
        try:
            RatsClient()
        except RatsError as error:
            print(error)
        """)
    assert place.runtime in out
    assert not place.daemons()


def test_what_is_made_is_for_the_user_alone(place):
    place.run("""
        a = RatsClient(%d); a.start()
        for name in ("", "private", "by-port"):
            path = os.path.join(%r, name)
            assert os.stat(path).st_mode & 0o077 == 0, path
        a.close()
        """ % (free_port(), place.runtime))
    assert stat.S_IMODE(os.stat(place.runtime).st_mode) == 0o700


def test_no_descriptor_and_no_child_is_left(place):
    place.run("""
        import subprocess, signal
        def descriptors(): return len(os.listdir("/proc/self/fd"))
        RatsClient(%d).close()
        before = descriptors()
        for _ in range(5):
            a = RatsClient(%d); a.start(); a.close()
        assert descriptors() == before
        try:
            os.waitpid(-1, os.WNOHANG)
            sys.exit("there is a child")
        except ChildProcessError:
            pass
        """ % ((free_port(),) * 2))
    place.gone()


# --- an instance that was killed ---

WATCHER = """
    handles = [RatsClient() for _ in range(%d)]
    for handle in handles:
        handle.start()
    pid = handles[0].get_instance_info()["pid"]
    print(handles[0].get_our_peer_id(), flush=True)
    for _ in range(%d):
        sys.stdin.readline()
        wait(lambda: all(h.is_attached() and h.get_instance_info().get("pid") not in (pid, None)
                         for h in handles))
        pid = handles[0].get_instance_info()["pid"]
        print(pid, handles[0].get_our_peer_id(), flush=True)
    sys.stdin.readline()
    for handle in handles:
        handle.close()
    """


def test_a_default_instance_that_was_killed_is_started_again_once(place):
    """Its clients miss it all at once; one of them starts it, all of them find it."""
    rounds = 3
    programs = [place.spawn(WATCHER % (3, rounds)) for _ in range(4)]
    ids = {program.stdout.readline().strip() for program in programs}
    assert len(ids) == 1
    for number in [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]:
        old = place.daemons()
        assert len(old) == 1
        os.kill(old[0], number)
        for program in programs:
            program.stdin.write("killed\n")
            program.stdin.flush()
        found = {tuple(program.stdout.readline().split()) for program in programs}
        assert len(found) == 1, found
        pid, ident = found.pop()
        assert ident in ids
        assert place.daemons() == [int(pid)]
    for program in programs:
        program.stdin.write("end\n")
        program.stdin.flush()
        place.finish(program)


def lonely(place, code, kill, **more):
    """A handle whose daemon is gone: what it says a while later. code makes the handle a."""
    program = place.spawn("""
        %s
        a.start()
        print(a.get_socket_path(), flush=True)
        sys.stdin.readline()
        wait(lambda: not a.is_attached())
        deadline = time.monotonic() + 1      # longer than the first waits of a reconnect
        while time.monotonic() < deadline:
            assert not a.is_attached()
            time.sleep(0.01)
        a.close()
        """ % code, **more)
    program.stdout.readline()
    kill()
    program.stdin.write("killed\n")
    program.stdin.flush()
    place.finish(program)
    assert not place.daemons()


def test_a_private_instance_that_was_killed_stays_away(place):
    lonely(place, "a = RatsClient(%d)" % free_port(), lambda: place.signal(signal.SIGKILL))


def test_a_named_socket_is_never_started(place):
    """Be it the one of a default instance that a program had started."""
    starter = place.spawn("""
        a = RatsClient()
        print(a.get_socket_path(), flush=True)
        sys.stdin.readline()
        """)
    sock = starter.stdout.readline().strip()
    starter.communicate("end\n", timeout=30)
    for code, variables in (("a = RatsClient(socket_path=%r)" % sock, {}),
                            ("a = RatsClient()", {"RATS_SOCKET": sock}),
                            ("a = RatsClient()", {"RATS_CREATE": "shared"})):
        lonely(place, code, lambda: place.signal(signal.SIGKILL), **variables)
        place.run("RatsClient().close()")


def test_an_instance_that_nobody_started_on_demand_is_waited_for(place, daemon):
    """It is somebody else's to start: a supervisor would find its place taken."""
    os.makedirs(place.runtime, 0o700)
    node = daemon.make(options=["--runtime-dir", place.runtime])
    node.socket = place.path("default.sock")
    node.start()
    lonely(place, "a = RatsClient()", node.kill)
