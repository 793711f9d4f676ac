"""Settings that make an instance what it is, and what becomes of a handle that wants others (api.md
1.4, 3.5, 3.9, 3.10, D3, D11, D16)."""
import os
import subprocess

import pytest
from daemons import RATSCTL, free_port, wait_until

# --- the divergence rule ---

def test_a_private_instance_takes_other_settings(place):
    port = free_port()
    place.run("""
        a = RatsClient(%d)
        got = []
        a.set_string_callback(lambda peer, text: got.append(text))
        kept = a.get_our_peer_id()
        a.set_protocol_name("game"); a.set_protocol_version("7")
        assert (a.get_protocol_name(), a.get_protocol_version()) == ("game", "7")
        a.set_encryption_enabled(False)
        assert not a.is_encryption_enabled()
        assert a.get_our_peer_id() == kept and a.get_listen_port() == %d
        info = a.get_instance_info()
        assert info["protocol"] == "game/7" and info["security"] == "plaintext", info
        data = %r
        a.set_data_directory(data + "//")
        assert a.get_data_directory() == data and a.get_our_peer_id() != kept
        a.set_data_directory(data)
        a.start()
        assert a.get_listen_port() == %d
        with RatsClient(private=True, protocol="game/7", security="plaintext") as b:
            b.start()
            b.connect("127.0.0.1", %d)
            b.broadcast_string("hello")
            wait(lambda: got == ["hello"])
        a.set_protocol_name("game")
        for call in (lambda: a.set_protocol_name("other"), lambda: a.set_data_directory("/tmp")):
            try:
                call()
                sys.exit("was taken")
            except RatsError:
                pass
        a.close()
        """ % (port, port, os.path.join(place.directory, "deep", "data"), port, port))
    place.gone()


def test_a_shared_instance_is_left(place):
    place.run("""
        a, b = RatsClient(), RatsClient()
        shared = a.get_our_peer_id()
        a.set_protocol_name("game")
        assert a.get_our_peer_id() != shared == b.get_our_peer_id()
        assert b.get_protocol_name() == "rats"
        a.start(); b.start()
        assert a.get_listen_port() not in (0, b.get_listen_port())
        assert not a.get_instance_info()["shared"] and b.get_instance_info()["shared"]
        a.close()
        assert b.is_attached()
        b.close()
        """)
    wait_until(lambda: len(place.daemons()) == 1, "the private one is gone")


def test_a_private_instance_that_others_use_is_left(place):
    place.run("""
        a, b = RatsClient(%d), RatsClient(%d)
        a.set_protocol_name("game")
        assert b.is_attached() and b.get_protocol_name() == "rats"
        assert a.get_socket_path() != b.get_socket_path()
        a.close(); b.close()
        """ % ((free_port(),) * 2))
    place.gone()


def test_a_setting_that_cannot_be_had_changes_nothing(place):
    place.run("""
        a, b = RatsClient(%d), RatsClient(%d)
        kept = a.get_our_peer_id()
        try:
            a.set_data_directory(b.get_data_directory())
            sys.exit("was taken")
        except RatsError:
            print(a.last_error())
        assert a.is_attached() and a.get_our_peer_id() == kept
        a.start(); a.close(); b.close()
        """ % (free_port(), free_port()))
    place.gone()


def test_a_named_socket_is_never_left(place, daemon):
    node = daemon()
    place.run("""
        a = RatsClient(socket_path=%r)
        a.set_protocol_name("librats"); a.set_encryption_enabled(True)
        try:
            a.set_protocol_name("game")
            sys.exit("was taken")
        except RatsError:
            pass
        a.close()
        """ % node.socket)
    assert not place.daemons()


# --- another protocol, which somebody has already ---

def game(place, daemon, **options):
    """A shared instance with the protocol game/1.0 that is found through by-port/ only."""
    os.makedirs(place.runtime, 0o700, exist_ok=True)
    words = ["--runtime-dir", place.runtime, "--set", "network.protocol=game/1.0"]
    return daemon(name="game", options=words + options.get("more", []))


def test_a_running_instance_with_the_protocol_is_joined(place, daemon):
    node = game(place, daemon)
    place.run("""
        a, b = RatsClient(), RatsClient()
        shared = a.get_our_peer_id()
        a.set_string_callback(lambda peer, text: None)
        a.set_protocol_name("game")
        assert a.get_our_peer_id() == %r != shared
        a.start()
        assert a.get_instance_info()["shared"]
        try:
            a.set_protocol_name("other")
            sys.exit("was taken")
        except RatsError as error:
            assert "started" in error.detail, error.detail
        a.stop()
        a.set_protocol_version("2.0")     # nobody has that: a private one
        assert not a.get_instance_info()["shared"]
        a.set_protocol_version("1.0")     # and back
        assert a.get_our_peer_id() == %r
        a.set_protocol_name("rats")
        assert a.get_our_peer_id() == shared == b.get_our_peer_id()
        a.close(); b.close()
        """ % (node.peer_id, node.peer_id))
    wait_until(lambda: len(place.daemons()) == 1, "the private one is gone")


def test_name_and_version_one_after_the_other_lead_to_the_instance_that_has_both(place, daemon):
    words = ["--set", "network.protocol=game/7"]
    node = game(place, daemon, more=words)
    place.run("""
        a = RatsClient()
        a.set_protocol_name("game"); a.set_protocol_version("7")
        assert a.get_our_peer_id() == %r
        a.close()
        """ % node.peer_id)
    wait_until(lambda: len(place.daemons()) == 1, "the private one is gone")


def test_who_differs_in_more_than_the_protocol_joins_nobody(place, daemon):
    """Nor does anybody join a private instance, or one of another security mode."""
    node = game(place, daemon, more=["--set", "network.security=plaintext"])
    place.run("""
        first = RatsClient(private=True, protocol="game/1.0")
        a = RatsClient()
        a.set_protocol_name("game")
        assert not a.get_instance_info()["shared"]
        assert a.get_our_peer_id() not in (%r, first.get_our_peer_id())
        b = RatsClient()
        b.set_encryption_enabled(False)
        b.set_protocol_name("game")
        assert not b.get_instance_info()["shared"] and b.get_our_peer_id() != %r
        for client in (first, a, b):
            client.close()
        """ % (node.peer_id, node.peer_id))


def test_an_instance_of_its_own_is_no_way_to_a_shared_one(place, daemon):
    node = game(place, daemon)
    place.run("""
        for options in ({"private": True}, {"listen_port": %d}):
            with RatsClient(**options) as a:
                a.set_protocol_name("game")
                assert not a.get_instance_info()["shared"] and a.get_our_peer_id() != %r
        """ % (free_port(), node.peer_id))
    wait_until(lambda: not place.daemons(), "the private ones are gone")


def test_where_nothing_may_be_started_an_instance_can_be_joined(place, daemon):
    node = game(place, daemon)
    other = daemon(options=["--runtime-dir", place.runtime])
    place.run("""
        a = RatsClient(%d)
        assert a.get_our_peer_id() == %r
        for _ in range(2):
            a.set_protocol_name("game")
            assert a.get_our_peer_id() == %r
            try:
                a.set_protocol_name("chess")
                sys.exit("was taken")
            except RatsError as error:
                assert "chess" in error.detail, error.detail
            assert a.get_protocol_name() == "game"
            for call in (lambda: a.set_encryption_enabled(False), lambda: a.set_data_directory("/tmp/x")):
                try:
                    call()
                    sys.exit("was taken")
                except RatsError as error:
                    assert error.code == -4, error.code
            a.set_protocol_name("rats")
            assert a.get_our_peer_id() == %r
        a.start()
        a.close()
        """ % (other.port, other.peer_id, node.peer_id, other.peer_id), RATS_CREATE="shared")
    assert not place.daemons()


# --- encryption of an instance that is started ---

def test_encryption_is_switched_while_started(place):
    """Links that are there stay as they are; those made afterwards are of the new kind."""
    place.run("""
        a = RatsClient(private=True)
        plain = RatsClient(private=True, security="plaintext")
        sealed, other = RatsClient(private=True), RatsClient(private=True)
        got, events = [], []
        a.set_string_callback(lambda peer, text: got.append(text))
        a.set_event_callback(lambda event, fields, sequence: events.append((event, fields)))
        for client in (a, plain, sealed, other):
            client.start()
        ident = a.get_our_peer_id()
        a.connect("127.0.0.1", sealed.get_listen_port())
        a.set_encryption_enabled(False)
        assert not a.is_encryption_enabled()
        assert ("noise", "plaintext") == tuple(c.get_instance_info()["security"] for c in (other, a))
        wait(lambda: "plaintext" in [fields["security"] for event, fields in events
                                     if event == "instance.changed"])
        plain.connect("127.0.0.1", a.get_listen_port())
        try:
            other.connect("127.0.0.1", a.get_listen_port())
            sys.exit("connected")
        except RatsConnectionError:
            pass
        assert a.get_our_peer_id() == ident
        wait(lambda: a.get_peer_count() == 2)
        assert a.get_peer_info(sealed.get_our_peer_id())["encryption_enabled"]
        assert not a.get_peer_info(plain.get_our_peer_id())["encryption_enabled"]
        wait(lambda: sealed.get_peer_count() == plain.get_peer_count() == 1)
        sealed.broadcast_string("sealed"); plain.broadcast_string("plain")
        wait(lambda: sorted(got) == ["plain", "sealed"])
        a.set_encryption_enabled(True)
        other.connect("127.0.0.1", a.get_listen_port())
        wait(lambda: a.get_peer_count() == 3)
        for client in (a, plain, sealed, other):
            client.close()
        """)
    place.gone()


def test_encryption_of_others_is_not_switched(place):
    """Who shares an instance, and be it a private one, gets another; not while it is started."""
    place.run("""
        port = %d
        for a, b in ((RatsClient(), RatsClient()), (RatsClient(port), RatsClient(port))):
            a.start()
            try:
                a.set_encryption_enabled(False)
                sys.exit("was taken")
            except RatsError as error:
                assert error.code == -4 and "started" in error.detail, error.detail
            assert a.is_encryption_enabled()
            a.stop()
            a.set_encryption_enabled(False)
            assert not a.is_encryption_enabled() and b.is_encryption_enabled()
            assert a.get_socket_path() != b.get_socket_path()
            a.close(); b.close()
        """ % free_port())


def test_a_private_instance_is_switched_without_being_started_again(place):
    place.run("""
        with RatsClient(private=True) as a:
            kept = a.get_our_peer_id(), a.get_socket_path()
            a.set_encryption_enabled(False)
            assert (a.get_our_peer_id(), a.get_socket_path()) == kept
            a.set_protocol_name("game")
            assert not a.is_encryption_enabled()
        """)
    place.gone()


# --- the private key ---

KEY = "5a" * 32


@pytest.mark.parametrize("policy", ["auto", "private"])
def test_a_key_set_before_start_is_read_back(place, policy):
    """What upstream's own tests do on a handle that is not started, and what comes of it."""
    place.run("""
        client = RatsClient(0)
        assert client.is_encryption_enabled()
        client.set_encryption_enabled(True)
        key = %r
        client.set_encryption_key(key)
        assert client.get_encryption_key() == key
        made = client.generate_encryption_key()
        assert len(made) == 64 and made != key and client.get_encryption_key() == made
        client.set_encryption_key(key.upper())
        assert client.get_encryption_key() == key
        ident = client.get_our_peer_id()
        client.set_protocol_name("game")              # what was set before stays
        client.set_encryption_enabled(False)
        assert client.get_encryption_key() == key and client.get_our_peer_id() == ident
        client.start()
        assert client.get_our_peer_id() == ident
        client.close()
        """ % KEY, RATS_CREATE=policy)


def test_the_key_of_a_shared_instance_stays_its_own(place):
    place.run("""
        a, b = RatsClient(), RatsClient()
        shared = b.get_our_peer_id()
        assert a.get_encryption_key() == ""
        assert a.last_error()[0] == -8 and "shared" in a.last_error()[1], a.last_error()
        a.set_encryption_key(%r)
        assert a.get_our_peer_id() != shared
        a.start(); b.start()
        assert a.get_our_peer_id() != shared == b.get_our_peer_id()
        assert b.is_attached() and b.get_encryption_key() == ""
        a.close()
        with RatsClient() as c:
            assert c.get_our_peer_id() == shared
        b.close()
        """ % KEY)


def test_a_key_is_kept_where_the_port_keeps_its_state(place):
    port = free_port()
    code = """
        with RatsClient(%d) as a:
            print(a.get_our_peer_id(), a.get_data_directory())
        """ % port
    first, state = place.run(code).split()
    place.run("""
        with RatsClient(%d) as a:
            a.set_encryption_key(%r)
            a.set_encryption_key(%r)      # the same again is no change
            assert a.get_listen_port() == %d
        """ % (port, KEY, KEY, port))
    second, _ = place.run(code).split()
    assert first != second
    with open(os.path.join(state, "identity.key"), "rb") as file:
        assert file.read() == bytes.fromhex(KEY)
    assert sorted(name for name in os.listdir(state) if ".db" not in name) == [
        "identity.key", "identity.key.old", "identity.pub", "identity.pub.old", "lock"]
    for name in os.listdir(state):
        assert os.stat(os.path.join(state, name)).st_mode & 0o077 == 0, name
    place.gone()


def test_a_started_handle_keeps_its_key(place):
    place.run("""
        a = RatsClient(%d)
        a.set_encryption_key(%r)
        a.start()
        a.set_encryption_key(%r)
        try:
            a.set_encryption_key("22" * 32)
            sys.exit("was taken")
        except RatsError as error:
            assert error.code == -4 and "started" in error.detail, error.detail
        assert a.generate_encryption_key() == "" and a.last_error()[0] == -4
        assert a.get_encryption_key() == %r
        a.stop()
        assert a.generate_encryption_key() == a.get_encryption_key() != %r
        a.close()
        """ % (free_port(), KEY, KEY, KEY, KEY))
    place.gone()


def test_what_is_no_key_is_refused(place):
    place.run("""
        with RatsClient(%d) as a:
            kept = a.get_our_peer_id()
            for wrong in ("", "0" * 64, "1g" * 32, "11" * 31, "11" * 33, " " + "11" * 31 + "1"):
                try:
                    a.set_encryption_key(wrong)
                    sys.exit("was taken")
                except RatsInvalidParameterError:
                    pass
            assert a.get_our_peer_id() == kept
        """ % free_port())
    place.gone()


def test_nobody_can_read_a_key_that_was_set(place):
    """Neither in a command line, nor in an environment, nor in a log, nor in what ratsctl prints."""
    program = place.spawn("""
        from librats_py.ctypes_wrapper import get_librats
        get_librats().lib.rats_set_log_level(b"DEBUG")
        a = RatsClient(%d)
        a.set_encryption_key(%r)
        a.start()
        print(a.get_socket_path(), flush=True)
        sys.stdin.read()
        a.close()
        """ % (free_port(), KEY))
    sock = program.stdout.readline().strip()
    assert place.daemons()
    for pid in place.daemons():
        for name in ("cmdline", "environ"):
            with open("/proc/%d/%s" % (pid, name), "rb") as file:
                shown = file.read()
            assert KEY.encode() not in shown and bytes.fromhex(KEY) not in shown
        # Every descriptor but its own is closed: the pipe the key came through, too.
        pipes = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in ("3", "4")
                 if os.path.exists("/proc/%d/fd/%s" % (pid, fd))]
        assert not [pipe for pipe in pipes if pipe.startswith("pipe:")], pipes
    call = [RATSCTL, "--socket", sock, "call", "instance.get_key"]
    for words, visible in (([], False), (["--json"], False), (["--show-secrets"], True)):
        printed = subprocess.run(call + words, env=place.environment(), check=True,
                                 stdout=subprocess.PIPE, universal_newlines=True).stdout
        assert (KEY in printed) == visible, printed
    _, said = program.communicate("", timeout=30)
    assert program.returncode == 0, said
    assert "identity" in said and KEY not in said
    place.gone()


def test_a_key_that_cannot_be_had_changes_nothing(place, daemon):
    node = daemon()
    place.run("""
        with RatsClient(socket_path=%r) as a:
            kept = a.get_our_peer_id()
            try:
                a.set_encryption_key(%r)
                sys.exit("was taken")
            except RatsError as error:
                assert error.code == -4, error.code
            assert a.generate_encryption_key() == "" and a.last_error()[0] == -4
            assert a.get_our_peer_id() == kept and a.is_attached()
        """ % (node.socket, KEY))
    assert not place.daemons()


# --- the peer limit ---

def test_a_private_instance_takes_the_limit_it_is_given(place):
    place.run("""
        a, b, c, d = (RatsClient(private=True) for _ in range(4))
        a.set_max_peers(1)
        assert a.get_max_peers() == a.get_instance_info()["max_peers"] == 1
        for client in (a, b, c, d):
            client.start()
        there = "127.0.0.1", a.get_listen_port()
        b.connect(*there)
        wait(a.is_peer_limit_reached)
        try:
            a.connect("127.0.0.1", d.get_listen_port())
            sys.exit("there was room")
        except RatsConnectionError:
            pass
        try:
            c.connect(*there)
        except RatsConnectionError:
            pass                  # else the refusal comes behind the handshake
        wait(lambda: c.get_peer_count() == 0)
        assert a.get_peer_ids() == [b.get_our_peer_id()]
        a.set_max_peers(3)
        c.connect(*there); d.connect(*there)
        wait(lambda: a.get_peer_count() == 3)
        a.set_max_peers(2)                      # who is there stays
        assert a.get_peer_count() == 3 and a.is_peer_limit_reached()
        a.set_max_peers(300)                    # more than configured
        assert a.get_instance_info()["max_peers"] == 300
        a.stop()
        a.set_max_peers(7); a.set_protocol_name("game")       # goes along to another instance
        assert a.get_instance_info()["max_peers"] == 7
        for client in (a, b, c, d):
            client.close()
        """)
    place.gone()


def test_the_limit_of_a_shared_instance_is_only_raised(place):
    place.run("""
        a, b = RatsClient(), RatsClient()
        limit = b.get_max_peers()
        a.set_max_peers(1)
        assert a.get_max_peers() == 1 and b.get_max_peers() == limit
        assert b.get_instance_info()["max_peers"] == limit
        a.set_max_peers(limit + 10)
        wait(lambda: b.get_max_peers() == limit + 10)
        a.close()
        wait(lambda: b.get_max_peers() == limit)
        b.close()
        """)
