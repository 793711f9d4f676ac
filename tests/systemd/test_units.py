"""The units under a real systemd: start, reload, watchdog, crash, activation, instances, users
(reliability.md R21 to R23)."""
import json
import os
import subprocess

import pytest
from daemons import wait_until

LONG = bool(os.environ.get("RATS_LONG"))
UNITS = "/usr/local/lib/systemd"
SOCKET = "/run/ratsd/default.sock"
TWO = "/run/ratsd/two.sock"
EXIT_DAMAGED = "4"


def status(box, user="alice", socket=SOCKET, **options):
    """ratsctl status as JSON: that also starts what waits for a client."""
    return json.loads(box.out("ratsctl", "--json", "--socket=" + socket, "status", user=user,
                              **options))


def peer_id(box, **options):
    return status(box, **options)["peer_id"]


# --- the files ---

def test_verify_says_nothing(box):
    names = ["ratsd.service", "ratsd.socket", "ratsd@.service", "ratsd@.socket"]
    done = box.run("systemd-analyze", "verify", "--man=no",
                   *("%s/system/%s" % (UNITS, name) for name in names))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = box.run("systemd-analyze", "verify", "--user", "--man=no",
                   *("%s/user/%s" % (UNITS, name) for name in names[:2]),
                   env={"XDG_RUNTIME_DIR": "/tmp", "HOME": "/root"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", ["ratsd.service", "ratsd@two.service"])
def test_exposure(box, unit):
    """R23: at most 1.5."""
    done = box.run("systemd-analyze", "security", "--no-pager", "--threshold=15", unit)
    assert done.returncode == 0, done.stdout[-300:]


def test_the_boot_makes_user_group_and_directories(box):
    assert box.out("stat", "--format=%U:%G %a", "/run/ratsd") == "ratsd:ratsd 755"
    assert box.out("stat", "--format=%U:%G %a", "/var/lib/ratsd") == "ratsd:ratsd 700"
    assert box.out("stat", "--format=%U:%G", "/etc/ratsd") == "root:root"


def test_enabling(box):
    box.out("systemctl", "enable", "ratsd.service", "ratsd.socket", "ratsd@two.service",
            "ratsd@two.socket")
    for unit in ("ratsd.service", "ratsd.socket", "ratsd@two.service", "ratsd@two.socket"):
        assert box.out("systemctl", "is-enabled", unit) == "enabled"
        box.out("systemctl", "disable", unit)


# --- who may do what ---

def test_started_it_serves_who_is_in_the_group(box):
    box.out("systemctl", "start", "ratsd")
    assert box.show("ratsd", "ActiveState") == "active"
    assert box.show("ratsd", "StatusText") in ("0 peers, 0 clients", "0 peers, 1 client")
    facts = status(box)
    record = box.out("cat", "/var/lib/ratsd/default/identity.pub")
    assert record.split()[1] == facts["peer_id"]
    assert box.out("stat", "--format=%U:%G %a", SOCKET) == "ratsd:ratsd 660"


def test_programs_of_the_group_talk_through_librats_py(box):
    box.out("systemctl", "start", "ratsd", "ratsd@two")
    ids = json.loads(box.out("/usr/bin/python3", "/opt/ratsd-tests/talk.py", SOCKET, TWO,
                             user="alice"))
    assert ids == [peer_id(box), peer_id(box, socket=TWO)]


def test_programs_of_the_group_find_an_instance_by_its_port(box):
    """The unit's UMask= keeps the daemon's files to itself, but not where it can be looked for."""
    box.out("systemctl", "start", "ratsd", "ratsd@two")
    assert box.out("stat", "--format=%U:%G %a", "/run/ratsd/by-port") == "ratsd:ratsd 755"
    port = status(box, socket=TWO)["listen_port"]
    assert box.out("readlink", "/run/ratsd/by-port/%d" % port, user="alice") == TWO
    program = ("from librats_py import RatsClient\n"
               "with RatsClient(%d) as client: print(client.get_our_peer_id())" % port)
    found = box.out("/usr/bin/python3", "-c", program, user="alice", env={"RATS_CREATE": "shared"})
    assert found == peer_id(box, socket=TWO)


def test_the_daemon_sees_who_calls(box):
    """R23: in the unit's restrictions a client's uid is its own, not 65534; and only root, not
    alice, may change the instance."""
    box.out("systemctl", "start", "ratsd")
    clients = json.loads(box.out("ratsctl", "--json", "clients", user="alice"))
    uid = int(box.out("id", "--user", "alice"))
    assert [client["uid"] for client in clients["clients"]] == [uid]
    refused = box.run("ratsctl", "log-level", "debug", user="alice")
    assert refused.returncode != 0 and "control" in refused.stderr
    box.out("ratsctl", "log-level", "debug")


def test_who_is_not_in_the_group_is_told_how_to_get_there(box):
    box.out("systemctl", "start", "ratsd")
    refused = box.run("ratsctl", "--socket=" + SOCKET, "status", user="mallory")
    assert refused.returncode != 0
    assert SOCKET in refused.stderr and "permission denied" in refused.stderr
    assert "usermod -aG ratsd" in refused.stderr
    program = "from librats_py import RatsClient; RatsClient(socket_path='%s')" % SOCKET
    refused = box.run("/usr/bin/python3", "-c", program, user="mallory")
    assert refused.returncode != 0
    assert "RatsPermissionError" in refused.stderr and "usermod -aG ratsd" in refused.stderr


# --- reload, watchdog, crash ---

def test_reload_takes_over_the_configuration(box):
    box.out("systemctl", "start", "ratsd")
    assert box.out("ratsctl", "log-level", user="alice") == "info"
    box.out("sh", "-c", "printf '[log]\\nlevel = debug\\n' >/etc/ratsd/default.conf")
    main_pid = box.show("ratsd", "MainPID")
    box.out("systemctl", "reload", "ratsd")
    wait_until(lambda: box.out("ratsctl", "log-level", user="alice") == "debug", "it has reloaded")
    box.wait_show("ratsd", "ActiveState", "active")
    assert box.show("ratsd", "MainPID") == main_pid


def test_a_daemon_that_hangs_is_restarted(box):
    """R22: the event loop stands still, so the watchdog bites."""
    box.drop_in("ratsd.service", "[Service]\nWatchdogSec=1s\n")
    box.out("systemctl", "start", "ratsd")
    before = peer_id(box)
    assert box.show("ratsd", "WatchdogUSec") == "1s"
    box.out("systemctl", "kill", "--signal=STOP", "ratsd")
    box.wait_show("ratsd", "NRestarts", "1")
    box.wait_show("ratsd", "ActiveState", "active")
    assert peer_id(box) == before
    assert "Watchdog timeout" in box.journal("ratsd")


def test_a_daemon_that_is_fed_is_left_alone(box):
    """Four times the watchdog's period, idle."""
    box.drop_in("ratsd.service", "[Service]\nWatchdogSec=500ms\n")
    box.out("systemctl", "start", "ratsd")
    main_pid = box.show("ratsd", "MainPID")
    box.out("sleep", "2")
    assert box.show("ratsd", "MainPID") == main_pid
    assert box.show("ratsd", "NRestarts") == "0"


def test_a_killed_daemon_is_restarted_as_the_same_peer(box):
    box.out("systemctl", "start", "ratsd")
    before = peer_id(box)
    for count in range(1, 4):
        box.out("systemctl", "kill", "--signal=KILL", "ratsd")
        box.wait_show("ratsd", "NRestarts", str(count))
        assert peer_id(box) == before  # its socket stayed open: the call waited for the next one


def test_a_damaged_key_is_not_tried_again(box):
    box.out("systemctl", "start", "ratsd")
    box.out("systemctl", "stop", "ratsd.socket", "ratsd.service")
    box.out("sh", "-c", "echo damaged >/var/lib/ratsd/default/identity.key")
    assert box.run("systemctl", "start", "ratsd").returncode != 0
    box.wait_show("ratsd", "ActiveState", "failed")
    assert box.show("ratsd", "ExecMainStatus") == EXIT_DAMAGED
    assert box.show("ratsd", "NRestarts") == "0"
    assert "identity.key is damaged" in box.journal("ratsd")


# --- sockets that outlive the daemon ---

def test_the_first_client_starts_the_daemon(box):
    box.out("systemctl", "start", "ratsd.socket")
    assert box.show("ratsd", "ActiveState") == "inactive"
    assert status(box)["socket"] == SOCKET
    assert box.show("ratsd", "ActiveState") == "active"


def test_a_stopped_daemon_leaves_its_socket_and_a_stopped_socket_does_not(box):
    box.out("systemctl", "start", "ratsd")
    before = peer_id(box)
    box.out("systemctl", "stop", "ratsd")
    assert box.show("ratsd", "ActiveState") == "inactive"
    assert peer_id(box) == before
    box.out("systemctl", "stop", "ratsd.socket", "ratsd.service")
    assert box.run("test", "-e", SOCKET).returncode != 0
    gone = box.run("ratsctl", "status", user="alice")
    assert gone.returncode != 0 and "Traceback" not in gone.stderr


def test_connect_is_never_refused_during_restarts(box):
    box.out("systemctl", "start", "ratsd")
    before = peer_id(box)
    with box.popen("/usr/bin/python3", "/opt/ratsd-tests/knock.py", SOCKET, user="alice",
                   stdin=subprocess.PIPE, stdout=subprocess.PIPE) as knocking:
        for i in range(100 if LONG else 10):
            if i % 2:
                main_pid = box.show("ratsd", "MainPID")
                box.out("systemctl", "kill", "--signal=KILL", "ratsd")
                wait_until(lambda: box.show("ratsd", "MainPID") not in (main_pid, "0"),
                           "another process")
            else:
                box.out("systemctl", "restart", "ratsd")
        said = json.loads(knocking.communicate(timeout=60)[0])
    assert said["tries"] > 100 and said["refused"] == []
    assert peer_id(box) == before


def test_peers_find_a_port_that_systemd_holds(box):
    """A socket unit of the administrator's own, as ratsd(8) shows it."""
    box.out("sh", "-c", "printf '[Socket]\\nListenStream=127.0.0.1:7777\\n"
            "FileDescriptorName=peer\\nService=ratsd.service\\n' "
            ">/run/systemd/system/ratsd-peers.socket")
    box.drop_in("ratsd.service", "[Unit]\nWants=ratsd-peers.socket\n"
                "[Service]\nSockets=ratsd.socket ratsd-peers.socket\n")
    box.out("systemctl", "start", "ratsd", "ratsd@two")
    assert status(box)["listen_port"] == 7777
    for _ in range(2):
        box.out("ratsctl", "--socket=" + TWO, "connect", "127.0.0.1:7777", user="alice")
        box.out("systemctl", "restart", "ratsd")
    box.out("systemctl", "stop", "ratsd-peers.socket", "ratsd.socket", "ratsd.service")


# --- more than one ---

def test_instances_are_strangers_to_each_other(box):
    box.out("systemctl", "start", "ratsd", "ratsd@two")
    first, second = status(box), status(box, socket=TWO)
    assert first["peer_id"] != second["peer_id"]
    assert first["listen_port"] != second["listen_port"]
    assert (first["name"], second["name"]) == ("default", "two")
    box.out("systemctl", "stop", "ratsd.socket", "ratsd.service")
    assert status(box, socket=TWO)["peer_id"] == second["peer_id"]
    assert box.show("ratsd@two", "NRestarts") == "0"
    box.out("systemctl", "restart", "ratsd@two")
    assert status(box, socket=TWO)["peer_id"] == second["peer_id"]


def test_a_user_has_a_daemon_of_his_own(box):
    """By the user's manager: started by the first client, with its own identity."""
    uid = box.out("id", "--user", "mallory")
    runtime = "/run/user/" + uid
    own = {"XDG_RUNTIME_DIR": runtime, "DBUS_SESSION_BUS_ADDRESS": "unix:path=%s/bus" % runtime}
    box.out("systemctl", "start", "user@%s.service" % uid)
    try:
        box.out("systemctl", "--user", "start", "ratsd.socket", user="mallory", env=own)
        facts = json.loads(box.out("ratsctl", "--json", user="mallory", env=own))
        assert facts["socket"] == runtime + "/ratsd/default.sock"
        assert box.out("systemctl", "--user", "is-active", "ratsd.service", user="mallory",
                       env=own) == "active"
        box.out("systemctl", "--user", "restart", "ratsd.service", user="mallory", env=own)
        again = json.loads(box.out("ratsctl", "--json", user="mallory", env=own))
        assert again["peer_id"] == facts["peer_id"]
        assert box.out("stat", "--format=%a", facts["socket"]) == "600"
        box.out("systemctl", "start", "ratsd")
        assert peer_id(box) != facts["peer_id"]
    finally:
        box.out("systemctl", "stop", "user@%s.service" % uid)
