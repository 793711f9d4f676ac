"""Transfers that go wrong: full disks, files that change, programs, daemons and links that break off. Whoever is left
is told, and nothing of it is left in the target (issue 5, failures; reliability.md)."""
import os
import random
import resource
import signal
import socket
import stat
import time

import pytest
from ctl import DONE, running
from daemons import link, wait_until
from filing import (CANCELLED, COMPLETED, ENDS, FAILED, KIB, MIB, RatsError, contents, digest, is_empty, pattern,
                    slow_down, speed_up, write_file, write_tree)

LONG = bool(os.environ.get("RATS_LONG"))
SLOW = 4 * MIB  # bytes in a second


def nothing_is_left(path, but=()):
    """However the file system is asked: no file, also no hidden one, besides those."""
    wait_until(lambda: set(contents(path)) <= set(but), "nothing is left in %s: %s" % (path, contents(path)))


def room(path):
    facts = os.statvfs(path)
    return facts.f_bavail * facts.f_frsize


@pytest.fixture
def ends(pair, programs, target):
    """A program that sends, and one on the other daemon that takes everything into target."""
    first, second = pair
    return programs(first), programs(second, folder=target)


def send_slowly(pair, ends, path, speed=SLOW):
    """A transfer that takes long, once some bytes are there: its ids on both sides."""
    sender, receiver = ends
    slow_down(pair[1], sender.id, speed)
    sent = sender.send(receiver, path)
    sender.wait_bytes(sent)
    return sent, receiver.wait_asked().transfer


# --- the receiver's disk ---

@pytest.mark.parametrize("kind", ["file", "tree"])
def test_no_room_from_the_start(ends, small_disk, tmp_path, kind):
    """Accepting fails before a byte has moved, with what is needed and what is there, and the program can say no, or
    take it elsewhere."""
    sender, receiver = ends
    disk, receiver.folder = small_disk("1m"), None
    path = (write_file(str(tmp_path / "thing"), bytes(2000 * KIB)) if kind == "file"
            else write_tree(str(tmp_path / "thing"), {str(i): bytes(500 * KIB) for i in range(4)}))
    sent = sender.send(receiver, path)
    offered = receiver.wait_asked()
    with pytest.raises(RatsError) as refused:
        receiver.accept(offered, os.path.join(disk, "thing"))
    for figure in ("space", str(2000 * KIB), str(room(disk))):
        assert figure in refused.value.detail, refused.value.detail
    assert os.listdir(disk) == []
    receiver.reject(offered, "the disk is full")
    assert sender.wait_end(sent) in (FAILED, CANCELLED) and "the disk is full" in sender.error(sent)
    assert "IN_PROGRESS" not in receiver.statuses(offered.transfer)


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_no_room_for_what_was_asked_for(ends, small_disk, tmp_path, kind):
    sender, receiver = ends
    disk = small_disk("1m")
    write_tree(str(tmp_path / "shared"), {"tree/%d" % i: bytes(1000 * KIB) for i in range(2)})
    write_file(str(tmp_path / "shared" / "file"), bytes(2000 * KIB))
    sender.client.add_share_root(str(tmp_path / "shared"))
    got = receiver.fetch(sender, kind, "file" if kind == "file" else "tree", os.path.join(disk, "thing"))
    assert receiver.wait_end(got) == FAILED
    for figure in ("space", str(2000 * KIB)):
        assert figure in receiver.error(got), receiver.error(got)
    assert "IN_PROGRESS" not in receiver.statuses(got)
    wait_until(lambda: os.listdir(disk) == [], "nothing is left")


def test_a_disk_without_a_size_takes_everything(ends, small_disk, tmp_path):
    """Such a file system says that it has no blocks at all: it is not full."""
    sender, receiver = ends
    disk = receiver.folder = small_disk("0", 0)
    sent = sender.send(receiver, write_tree(str(tmp_path / "tree"), {"a": pattern(KIB), "b/c": pattern(MIB)}))
    assert sender.wait_end(sent) == COMPLETED, sender.error(sent)
    assert contents(os.path.join(disk, "tree")) == contents(str(tmp_path / "tree"))


@pytest.mark.parametrize("kind", ["file", "tree"])
def test_the_disk_fills_up_meanwhile(pair, ends, small_disk, tmp_path, kind):
    sender, receiver = ends
    disk = receiver.folder = small_disk("24m")
    content = pattern(16 * MIB)
    path = (write_file(str(tmp_path / "file"), content) if kind == "file"
            else write_tree(str(tmp_path / "tree"), {"%02d" % i: content[:MIB] for i in range(16)}))
    sent, got = send_slowly(pair, ends, path)
    with open(os.path.join(disk, "ballast"), "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(64 * KIB))
        except OSError:
            pass
    speed_up(pair[1], sender.id)
    assert receiver.wait_end(got) == FAILED and "space" in receiver.error(got).lower() + " disk"
    assert sender.wait_end(sent) in (FAILED, CANCELLED)
    whole = {name: there for name, there in contents(disk).items() if name != "ballast"}
    assert whole.items() <= {"tree/" + name: there for name, there in contents(path).items()}.items()
    assert kind == "tree" or not whole


@pytest.mark.parametrize("inodes", range(2, 12))
def test_no_room_for_another_file_at_any_point(ends, small_disk, tmp_path, inodes):
    sender, receiver = ends
    disk = receiver.folder = small_disk("8m", inodes)
    path = write_tree(str(tmp_path / "tree"), {"a": b"1", "b": b"", "c/d": pattern(100 * KIB), "e/f/g": b"2"})
    sent = sender.send(receiver, path)
    ended = sender.wait_end(sent)
    there = {os.path.relpath(name, "tree"): content for name, content in contents(disk).items()}
    assert there.items() <= contents(path).items()  # whole files, no others
    assert (ended == COMPLETED) == (len(there) == 4)
    if ended == COMPLETED:
        assert inodes > 8
    # What is not needed any more is given back: as many files as before fit again.
    receiver.wait_end(receiver.wait_asked().transfer)
    again = inodes - 1 - sum(1 + len(folders) for _, folders, _ in os.walk(disk)) - len(there) + 1

    def all_fit():
        try:
            for number in range(again):
                write_file(os.path.join(disk, "again%d" % number), b"")
        except OSError:
            return False
        return True
    wait_until(all_fit, "%d more files fit" % again)


def test_a_target_that_cannot_be_written(ends, target, tmp_path):
    sender, receiver = ends
    receiver.folder = None
    sent = sender.send(receiver, write_file(str(tmp_path / "file"), b"1"))
    offered = receiver.wait_asked()
    write_file(os.path.join(target, "no directory"), b"")
    for path in (os.path.join(target, "no directory", "x"), target, "/proc/nothing/here"):
        with pytest.raises(RatsError):
            receiver.accept(offered, path)
    receiver.accept(offered, os.path.join(target, "made", "on", "the", "way"))  # it was not used up
    assert sender.wait_end(sent) == COMPLETED
    assert set(contents(target)) == {"no directory", "made/on/the/way"}


@pytest.mark.parametrize("what", ["a pipe", "a socket", "a device"])
def test_only_files_and_links_are_replaced(ends, target, tmp_path, what):
    """As root it would be easy to do without /dev/null."""
    sender, receiver = ends
    special = os.path.join(target, "tree", "special")
    os.mkdir(os.path.dirname(special))
    if what == "a pipe":
        os.mkfifo(special)
    elif what == "a socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(special)
    elif os.geteuid() != 0:
        pytest.skip("needs root to make a device")
    else:
        os.mknod(special, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    before = os.lstat(special)
    receiver.folder = None
    sent = sender.send(receiver, write_file(str(tmp_path / "file"), b"1"))
    with pytest.raises(RatsError) as refused:
        receiver.accept(receiver.wait_asked(), special)
    assert "exists" in refused.value.detail
    sender.client.cancel_file_transfer(sent)
    receiver.folder = target
    sent = sender.send(receiver, write_tree(str(tmp_path / "tree"), {"special": b"1"}))
    assert sender.wait_end(sent) == FAILED
    got = receiver.wait_asked(2).transfer
    assert receiver.wait_end(got) == FAILED and "special" in receiver.error(got)
    assert os.lstat(special).st_ino == before.st_ino
    assert os.listdir(os.path.dirname(special)) == ["special"]


# --- the sender's files ---

def test_a_file_is_cut_while_it_is_sent(pair, ends, target, tmp_path):
    path = write_file(str(tmp_path / "file"), pattern(32 * MIB))
    sent, got = send_slowly(pair, ends, path)
    os.truncate(path, 100)
    speed_up(pair[1], ends[0].id)
    assert ends[0].wait_end(sent) == FAILED and ends[0].error(sent)
    assert ends[1].wait_end(got) in (FAILED, CANCELLED)
    nothing_is_left(target)


@pytest.mark.parametrize("kind", ["file", "tree"])
def test_a_file_of_the_kernel_is_not_sent_as_an_empty_one(ends, target, tmp_path, kind):
    """Those of /proc say that their size is 0."""
    sender, receiver = ends
    if kind == "file":
        with pytest.raises(RatsError) as refused:
            sender.send(receiver, "/proc/version")
        assert "size" in refused.value.detail
    else:
        sent = sender.send(receiver, "/proc/self/net")
        assert sender.wait_end(sent) == FAILED and "size" in sender.error(sent), sender.error(sent)
        assert receiver.wait_end(receiver.wait_asked().transfer) in (FAILED, CANCELLED)
    nothing_is_left(target)


def test_a_file_is_changed_while_it_is_sent(pair, ends, target, tmp_path):
    """What arrives as a success is what the file was, or what it is: never a mixture of both."""
    path = write_file(str(tmp_path / "file"), pattern(32 * MIB))
    before = digest(path)
    sent, got = send_slowly(pair, ends, path)
    with open(path, "r+b") as file:
        file.write(pattern(MIB, seed=1))
        file.seek(31 * MIB)
        file.write(pattern(MIB, seed=2))
    speed_up(pair[1], ends[0].id)
    status = ends[0].wait_end(sent)
    assert (ends[1].wait_end(got) == COMPLETED) == (status == COMPLETED)
    if status == COMPLETED:
        assert digest(os.path.join(target, "file")) in (before, digest(path))
    else:
        assert ends[0].error(sent)
        nothing_is_left(target)


def test_a_file_that_grows_is_sent_as_it_was_or_fails(pair, ends, target, tmp_path):
    path = write_file(str(tmp_path / "log"), pattern(16 * MIB))
    before = digest(path)
    sent, _ = send_slowly(pair, ends, path)
    with open(path, "ab") as file:
        file.write(b"another line\n")
    speed_up(pair[1], ends[0].id)
    if ends[0].wait_end(sent) == COMPLETED:
        assert digest(os.path.join(target, "log")) == before
    else:
        assert ends[0].error(sent)
        nothing_is_left(target)


@pytest.mark.parametrize("what", ["removed", "shorter", "longer", "a directory", "a link", "a pipe"])
def test_a_file_of_a_tree_is_another_when_its_turn_comes(pair, ends, target, tmp_path, what):
    path = write_tree(str(tmp_path / "tree"), {"%03d" % i: pattern(512 * KIB, i) for i in range(100)})
    kept = contents(path)
    sent, got = send_slowly(pair, ends, path)
    last = os.path.join(path, "099")
    os.unlink(last)
    if what == "a directory":
        os.mkdir(last)
    elif what == "a link":
        os.symlink("098", last)
    elif what == "a pipe":
        os.mkfifo(last)
    elif what != "removed":
        write_file(last, pattern(100 if what == "shorter" else MIB))
    speed_up(pair[1], ends[0].id)
    assert ends[0].wait_end(sent) == FAILED
    assert "099" in ends[0].error(sent)
    assert what not in ("shorter", "longer") or "size" in ends[0].error(sent)
    assert ends[1].wait_end(got) in (FAILED, CANCELLED)
    there = {os.path.relpath(name, "tree"): content for name, content in contents(target).items()}
    assert there.items() <= kept.items() and "099" not in there


def test_a_file_of_a_tree_that_may_no_longer_be_read(pair, ends, target, tmp_path):
    """The program runs as another user, who loses the permission: root would not."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    first, second = pair
    path = write_tree(str(tmp_path / "tree"), {"%03d" % i: pattern(512 * KIB, i) for i in range(100)})
    for folder in (first.directory, str(tmp_path), os.path.dirname(str(tmp_path)), path):
        os.chmod(folder, 0o755)
    os.chmod(os.path.dirname(os.path.dirname(str(tmp_path))), 0o755)
    os.chmod(first.socket, 0o666)
    slow_down(second, ends[0].id, SLOW)
    try:
        with running(first, "put", ends[1].id, path, user=65534, group=65534, extra_groups=[]) as process:
            got = ends[1].wait_asked().transfer
            ends[1].wait_bytes(got)
            os.chmod(os.path.join(path, "099"), 0o600)
            speed_up(second, ends[0].id)
            _, errors = process.communicate(timeout=60)
    except PermissionError:
        pytest.skip("the build directory is closed to other users")
    assert process.returncode == 1 and b"099" in errors, errors
    assert ends[1].wait_end(got) in (FAILED, CANCELLED)
    assert "tree/099" not in contents(target)


# --- somebody is killed ---

@pytest.mark.parametrize("side", ["sender", "receiver"])
@pytest.mark.parametrize("kind", ["file", "tree"])
def test_a_program_is_killed(pair, programs, target, tmp_path, side, kind):
    first, second = pair
    path = (write_file(str(tmp_path / "thing"), pattern(32 * MIB)) if kind == "file"
            else write_tree(str(tmp_path / "thing"), {"%02d" % i: pattern(2 * MIB, i) for i in range(16)}))
    sent_digests = contents(path)
    slow_down(second, first.peer_id, SLOW)
    killed = running(first, "put", second.peer_id, path) if side == "sender" else running(second, "accept", target)
    other = programs(second, folder=target) if side == "sender" else programs(first)
    with killed as process:
        if side == "sender":
            transfer = other.wait_asked().transfer
        else:
            wait_until(lambda: "ratsctl" in [row["name"] for row in second.client().call("session.list")["sessions"]
                                             if row["started"]], "it takes offers")
            transfer = other.client.send_file(second.peer_id, path) if kind == "file" else (
                other.client.send_directory(second.peer_id, path, "thing"))
        other.wait_bytes(transfer, 3 * MIB)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert other.wait_end(transfer) in (FAILED, CANCELLED)
    whole = {os.path.relpath(name, "thing"): there for name, there in contents(target).items()}
    assert whole.items() <= sent_digests.items() and (kind == "tree" or not whole)


@pytest.mark.parametrize("side", ["sender", "receiver"])
@pytest.mark.parametrize("how", ["stop", "close"])
def test_a_program_ends_where_it_is_told_of_progress(pair, ends, target, tmp_path, side, how):
    """It stops, or closes, in its own callback: it is told no more, the other side hears of it, and after a stop it
    can go on."""
    sender, receiver = ends
    ended, other = ends if side == "sender" else ends[::-1]
    path = write_tree(str(tmp_path / "tree"), {"%d/%d" % (i % 7, i): pattern(256 * KIB, i) for i in range(100)})
    steps = []

    def on_step(transfer, percent, status):
        steps.append(status)
        if percent > 3 and steps.count("the end") == 0:
            steps.append("the end")
            getattr(ended.client, how)()
    ended.on_step = on_step
    slow_down(pair[1], sender.id, SLOW)
    sent, got = sender.send(receiver, path), receiver.wait_asked().transfer
    mine, theirs = (sent, got) if side == "sender" else (got, sent)
    assert other.wait_end(theirs) == CANCELLED and steps[-1] == "the end"
    if how == "stop":
        assert ended.progress(mine)["status"] == 6 and mine != theirs  # cancelled, though nobody was called
        ended.client.start()
        speed_up(pair[1], sender.id)
        again = sender.send(receiver, path, "again")
        assert sender.wait_end(again) == COMPLETED and steps.count("CANCELLED") == 0
        assert contents(os.path.join(target, "again")) == contents(path)


@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_the_own_daemon_is_killed(pair, ends, target, tmp_path, side):
    path = write_file(str(tmp_path / "file"), pattern(32 * MIB))
    sent, got = send_slowly(pair, ends, path)
    pair[0 if side == "sender" else 1].kill()
    mine, transfer = (ends[0], sent) if side == "sender" else (ends[1], got)
    assert mine.wait_end(transfer) in (FAILED, CANCELLED)
    if side == "receiver":
        nothing_is_left(target)


@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_the_other_daemon_is_killed_and_does_not_come_back(daemon, programs, target, tmp_path, side):
    """The transfer waits as long as it is told to, and fails then."""
    config = "[transfer]\nresume_time = 1s\n"
    pair = daemon(name="a", config=config), daemon(name="b", config=config)
    link(*pair)
    ends = programs(pair[0]), programs(pair[1], folder=target)
    path = write_file(str(tmp_path / "file"), pattern(32 * MIB))
    sent, got = send_slowly(pair, ends, path)
    pair[1 if side == "sender" else 0].kill()
    mine, transfer = (ends[0], sent) if side == "sender" else (ends[1], got)
    assert mine.wait_end(transfer) == FAILED and mine.error(transfer)
    nothing_is_left(target)


# --- links ---

class Flapping:
    """A link that its dialer cuts and makes again; the other end may still be reading what came before."""

    def __init__(self, dialer, target):
        self.dialer, self.target = dialer, target
        self.client, self.peer = dialer.client(), target.peer_id

    def is_up(self):
        return any(peer["peer"] == self.peer for peer in self.client.call("peer.list")["peers"])

    def flap(self):
        self.client.call("peer.disconnect", {"peer": self.peer})
        link(self.dialer, self.target)

    def keep_up(self):
        """Of two links at once the other end may have kept the one that is dead."""
        if not self.is_up():
            link(self.dialer, self.target)


@pytest.mark.parametrize("kind", ["file", "tree"])
def test_a_link_that_flaps(pair, ends, target, tmp_path, kind):
    """Cut again and again at moments nobody chose; in the end everything is there, and right."""
    first, second = pair
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    content = pattern(24 * MIB)
    path = (write_file(str(tmp_path / "thing"), content) if kind == "file"
            else write_tree(str(tmp_path / "thing"), {"%03d" % i: content[i:i + chance.choice((0, 1, 999, 64 * KIB,
                                                                                               300 * KIB))]
                                                      for i in range(400)}))
    sender, receiver = ends
    slow_down(second, sender.id, SLOW)
    sent = sender.send(receiver, path)
    flapping, total, flaps = Flapping(first, second), sender.progress(sent)["total_bytes"], 0

    def done():
        flapping.keep_up()
        return sender.progress(sent)["bytes_transferred"]

    while flaps < (40 if LONG else 5):
        mark = done() + chance.randrange(1, total // 10)
        if mark > total * 9 // 10:
            break
        wait_until(lambda: done() >= mark or sender.status(sent) in ENDS, "it goes on")
        assert sender.status(sent) not in ENDS, sender.error(sent)
        flapping.flap()
        flaps += 1
    speed_up(second, sender.id)
    assert flaps > 0
    wait_until(lambda: done() == total, "all of it is there")
    assert sender.wait_end(sent) == COMPLETED, sender.error(sent)
    assert receiver.wait_end(receiver.asked[0].transfer) == COMPLETED and len(receiver.asked) == 1
    got = os.path.join(target, "thing")
    assert (digest(got) == digest(path)) if kind == "file" else (contents(got) == contents(path))
    assert os.listdir(target) == ["thing"]


def test_what_arrived_before_the_link_broke_is_not_sent_again(pair, ends, target, tmp_path):
    first, second = pair
    path = write_file(str(tmp_path / "file"), pattern(32 * MIB))
    sent, got = send_slowly(pair, ends, path, 8 * MIB)
    ends[0].wait_bytes(sent, 16 * MIB)
    first.client().call("peer.disconnect", {"peer": ends[1].id})
    link(first, second)
    before = in_bytes(second)
    speed_up(second, ends[0].id)
    assert ends[0].wait_end(sent) == COMPLETED and digest(os.path.join(target, "file")) == digest(path)
    assert in_bytes(second) - before < 20 * MIB  # of 32 MiB, 16 were there
    assert ends[1].wait_end(got) == COMPLETED


def in_bytes(node):
    """What the daemon has received from the network so far."""
    return node.client().call("instance.get")["counters"]["peer_bytes_in"]


@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_cancel_while_it_waits_for_the_peer(pair, ends, target, tmp_path, side):
    first, second = pair
    path = write_file(str(tmp_path / "file"), pattern(32 * MIB))
    sent, got = send_slowly(pair, ends, path)
    first.client().call("peer.disconnect", {"peer": ends[1].id})
    actor, transfer = (ends[0], sent) if side == "sender" else (ends[1], got)
    other, its = (ends[1], got) if side == "sender" else (ends[0], sent)
    wait_until(lambda: ends[0].id not in ends[1].client.get_peer_ids(), "the link is gone")
    actor.client.cancel_file_transfer(transfer)
    assert actor.wait_end(transfer) == CANCELLED
    link(first, second)
    assert other.wait_end(its) in (FAILED, CANCELLED)
    nothing_is_left(target)


def test_a_peer_that_is_no_ratsd_breaks_off(daemon, programs, target):
    """It knows of no resuming: the transfer fails at once, and its parts are gone."""
    librats_node = pytest.importorskip("librats_node")
    import filewire
    node = daemon()
    receiver = programs(node, folder=target)
    peer = librats_node.Node()
    wire = peer.dial(("127.0.0.1", node.port))
    wire.send_message(librats_node.FILE_CHUNK, filewire.offer(1, [(b"file", MIB)], False))
    transfer = receiver.wait_asked().transfer
    wire.wait(librats_node.FILE_CHUNK)
    wire.send_message(librats_node.FILE_CHUNK, filewire.chunk(1, 0, 0, bytes(400 * KIB)))
    receiver.wait_bytes(transfer)
    wire.close()
    assert receiver.wait_end(transfer) == FAILED and receiver.error(transfer)
    nothing_is_left(target)


# --- many at once ---

def test_64_at_once(pair, programs, target, tmp_path):
    first, second = pair
    there, back = os.path.join(target, "there"), os.path.join(target, "back")
    os.mkdir(there)
    os.mkdir(back)
    ends = programs(first, folder=back), programs(second, folder=there)
    for number in range(32):
        write_file(str(tmp_path / ("file%d" % number)), pattern(number * 77777, number))
        write_tree(str(tmp_path / ("tree%d" % number)), {"a/%d" % i: pattern(i * 1000, number) for i in range(20)})
    for number in range(32):
        sender, other = (ends[0], ends[1]) if number % 2 else (ends[1], ends[0])
        sender.send(other, str(tmp_path / ("file%d" % number)))
        sender.send(other, str(tmp_path / ("tree%d" % number)))
    for program in ends:
        assert set(program.wait_any_end(64, 120).values()) == {COMPLETED}
    got = dict(contents(there), **contents(back))
    expected = {name: content for name, content in contents(str(tmp_path)).items() if not name.startswith("target")}
    assert got == expected


def test_64_are_fetched_at_once(pair, programs, target, tmp_path):
    first, second = pair
    files = {"file%d" % number: pattern(number * 7777, number) for number in range(64)}
    server, asker = programs(first, silent=True), programs(second, silent=True)
    server.client.add_share_root(write_tree(str(tmp_path / "root"), files))
    for name in files:
        asker.fetch(server, "file", name, os.path.join(target, name))
    assert set(asker.wait_any_end(64, 120).values()) == {COMPLETED}
    assert contents(target) == contents(str(tmp_path / "root"))


@pytest.fixture
def limited():
    """What is started meanwhile may open as many files as a shell of Debian lets it, whatever there is room for here;
    half of that what has this as its preexec_fn."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_64_trees_with_the_descriptors_that_a_user_has(limited, daemon, programs, target, tmp_path):
    """On a slow link the first files of all are open at once: there must be some for everybody, all the time."""
    pair = daemon(name="a"), daemon(name="b")
    link(*pair)
    sender = programs(pair[0])
    slow_down(pair[1], sender.id, 16 * MIB)
    kept = {}
    for number in range(64):
        path = write_tree(str(tmp_path / ("tree%d" % number)), {"a/%d" % i: pattern(20000, number) for i in range(60)})
        kept.update({"tree%d/%s" % (number, name): there for name, there in contents(path).items()})
    with running(pair[1], "accept", target, preexec_fn=limited) as process:
        wait_until(lambda: "ratsctl" in [row["name"] for row in pair[1].client().call("session.list")["sessions"]
                                         if row["started"]], "it takes offers")
        for number in range(64):
            sender.client.send_directory(pair[1].peer_id, str(tmp_path / ("tree%d" % number)), "tree%d" % number)
        wait_until(lambda: sum("IN_PROGRESS" in sender.statuses(sent) for sent in list(sender.steps)) == 64, "all run")
        speed_up(pair[1], sender.id)
        ends = sender.wait_any_end(64, 100)
        assert set(ends.values()) == {COMPLETED}, {sender.error(sent) for sent in ends}
        process.send_signal(signal.SIGINT)
        process.wait()
    assert contents(target) == kept


@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_a_file_is_there_exactly_when_it_is_complete(pair, programs, target, tmp_path, side):
    """Cancelled at any moment, from either side: the receiver is told what is so."""
    first, second = pair
    sender, receiver = programs(first), programs(second)
    file, chance, ends = write_file(str(tmp_path / "file"), pattern(200 * KIB)), random.Random(7), set()
    for number in range(100):
        path = os.path.join(target, str(number))
        sent, asked = sender.send(receiver, file), receiver.wait_asked(number + 1)
        receiver.accept(asked, path)
        time.sleep(chance.random() / 250)
        try:
            if side == "sender":
                sender.client.cancel_file_transfer(sent)
            else:
                receiver.client.cancel_file_transfer(asked.transfer)
        except RatsError:
            pass  # too late
        sender.wait_end(sent)
        ends.add(receiver.wait_end(asked.transfer))
        assert os.path.exists(path) == (receiver.status(asked.transfer) == COMPLETED)
    assert CANCELLED in ends


def test_a_tree_while_others_come_and_go(pair, programs, target, tmp_path):
    """Cancelled and refused ones beside it do not disturb it."""
    first, second = pair
    sender, receiver = programs(first), programs(second)
    tree = write_tree(str(tmp_path / "tree"), {"%03d" % i: pattern(100 * KIB, i) for i in range(200)})
    file = write_file(str(tmp_path / "file"), pattern(24 * MIB))
    slow_down(second, sender.id, 16 * MIB)
    steady = sender.send(receiver, tree)
    receiver.accept(receiver.wait_asked(), os.path.join(target, "tree"))
    for number in range(12):
        other = sender.send(receiver, file)
        offered = receiver.wait_asked(number + 2)
        if number % 3 == 0:
            receiver.reject(offered, "no")
        else:
            receiver.accept(offered, os.path.join(target, "other"))
            (sender if number % 3 == 1 else receiver).client.cancel_file_transfer(
                other if number % 3 == 1 else offered.transfer)
        assert sender.wait_end(other) in (CANCELLED, FAILED)
    speed_up(second, sender.id)
    assert sender.wait_end(steady) == COMPLETED
    assert contents(os.path.join(target, "tree")) == contents(tree)
    nothing_is_left(target, {"tree/" + name for name in contents(tree)})
