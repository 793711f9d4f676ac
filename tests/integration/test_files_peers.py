"""Peers that break the rules of file transfers (wire-services 3, known weaknesses; reliability.md V10), and what they
must not be able to hold up."""
import hashlib
import json
import os
from typing import NamedTuple

import pytest
from daemons import DEADLINE_S, ROOT, link, plain_ratsd, wait_until
from filing import (CANCELLED, COMPLETED, FAILED, GIB, KIB, MIB, contents, digest, is_empty, pattern, slow_down, speed_up,
                    write_file, write_tree)

librats_node = pytest.importorskip("librats_node")

import filewire as wire  # noqa: E402  (only with the node it is for)

with open(os.path.join(ROOT, "tests", "vectors", "hostile_names.json"), encoding="ascii") as names_file:
    HOSTILE = [bytes.fromhex(row["hex"]) for row in json.load(names_file)["names"]]


def offer(number, files, name="thing", is_directory=True, **lies):
    """Names as text or bytes."""
    names = [(os.fsencode(path), size) for path, size in files]
    lies.setdefault("total", sum(size for _, size in files) % (1 << 64))
    return wire.offer(number, names, is_directory, os.fsencode(name), **lies)


class Frame(NamedTuple):
    op: int
    id: int
    rest: bytes
    payload: bytes

    def chunk(self):
        """(file, offset, data)"""
        assert self.op == wire.CHUNK
        return int.from_bytes(self.rest[:4], "big"), int.from_bytes(self.rest[4:12], "big"), self.rest[12:]


class Peer:
    """A node in Python with one link to a daemon; it says what it is told to."""

    def __init__(self, node):
        self.node = librats_node.Node()
        self.id = self.node.id
        self.link = self.node.dial(("127.0.0.1", node.port))
        self.link.send_identify()
        self.others = []  # messages of other services that came meanwhile

    def say(self, payload):
        self.link.send_message(librats_node.FILE_CHUNK, payload)

    def hear(self, *ops):
        """The next frame of a transfer, or the next of these."""
        while True:
            message = self.link.receive()
            if message.type != librats_node.FILE_CHUNK:
                self.others.append(message)
                continue
            frame = Frame(*wire.decode(message.payload), message.payload)
            if not ops or frame.op in ops:
                return frame

    def answer(self, number):
        """Whether the offer of that number was accepted."""
        frame = self.hear(wire.RESPONSE)
        assert frame.id == number
        return frame.rest[0] == 1

    def send_file(self, number, file, content, step=64 * KIB):
        for offset in range(0, len(content), step):
            self.say(wire.chunk(number, file, offset, content[offset:offset + step]))
        self.say(wire.file_end(number, file, content))

    def close(self):
        self.link.close()


@pytest.fixture
def peers():
    made = []

    def make(node):
        made.append(Peer(node))
        return made[-1]
    yield make
    for peer in made:
        peer.close()


@pytest.fixture
def receiver(shared_daemon, programs, target):
    return programs(shared_daemon, folder=target)


def outside(path):
    """Everything around the target, to be the same afterwards."""
    return contents(os.path.dirname(path))


# --- names ---

def test_hostile_names_in_a_tree(shared_daemon, peers, receiver, target):
    """Each alone, and each behind a harmless one: refused before any program sees it, and nothing is made."""
    assert len(HOSTILE) >= 500
    peer, before = peers(shared_daemon), outside(target)
    number = 0
    for name in HOSTILE:
        for files in ([(name, 1)], [("harmless", 1), (name, 1)]):
            number += 1
            peer.say(offer(number, files))
            assert not peer.answer(number), name
    assert receiver.asked == [] and outside(target) == before and is_empty(target)
    number += 1
    peer.say(offer(number, [("harmless", 1)]))  # it goes by the names, not by the peer
    assert peer.answer(number)
    peer.send_file(number, 0, b"x")
    assert peer.hear(wire.COMPLETE).rest == b"\x01"
    assert set(contents(target)) == {"thing/harmless"}


def test_a_hostile_name_of_the_whole_is_only_shown(shared_daemon, peers, programs, target):
    """A single file's name is not used as a path: where it goes is for the program to say."""
    receiver, peer = programs(shared_daemon), peers(shared_daemon)
    names = [name for name in HOSTILE if len(name) <= 4096 and b"\0" not in name][::11]
    for number, name in enumerate(names, 1):
        peer.say(offer(number, [(name, 3)], name, False))
        offered = receiver.wait_asked(number)
        receiver.accept(offered, os.path.join(target, "file"))
        assert peer.answer(number)
        peer.send_file(number, 0, b"%03d" % number)
        assert peer.hear(wire.COMPLETE).rest == b"\x01"
        with open(os.path.join(target, "file"), "rb") as file:
            assert file.read() == b"%03d" % number
    assert set(contents(target)) == {"file"}


@pytest.mark.parametrize("where", ["link/x", "a/link/x", "link", "a/link"])
@pytest.mark.parametrize("dangling", [False, True], ids=["to something", "to nothing"])
def test_links_in_the_target_are_not_followed(shared_daemon, peers, receiver, target, tmp_path, where, dangling):
    folder = os.path.join(target, "thing")
    os.makedirs(os.path.join(folder, "a"))
    beyond = str(tmp_path / "beyond")
    if not dangling:
        os.mkdir(beyond)
    for link_path in (os.path.join(folder, "link"), os.path.join(folder, "a", "link")):
        os.symlink(beyond, link_path)
    peer = peers(shared_daemon)
    peer.say(offer(1, [(where, 1)]))
    assert peer.answer(1)
    peer.send_file(1, 0, b"x")
    done = peer.hear(wire.COMPLETE).rest == b"\x01"
    assert os.path.isdir(beyond) != dangling and (dangling or os.listdir(beyond) == [])
    # A link in the last place may be replaced by the file, as rename(2) does; on the way it stops everything.
    assert done == where.endswith("link")
    if done:
        assert not os.path.islink(os.path.join(folder, where))


def test_a_directory_becomes_a_link_on_the_way(shared_daemon, peers, receiver, target, tmp_path):
    peer, beyond = peers(shared_daemon), str(tmp_path / "beyond")
    os.mkdir(beyond)
    peer.say(offer(1, [("d/first", 1), ("d/second", 1)]))
    assert peer.answer(1)
    peer.send_file(1, 0, b"1")
    folder = os.path.join(target, "thing", "d")
    wait_until(lambda: os.path.exists(os.path.join(folder, "first")), "the first file is in place")
    os.rename(folder, folder + ".away")
    os.symlink(beyond, folder)
    peer.send_file(1, 1, b"2")
    peer.hear(wire.COMPLETE)
    assert os.listdir(beyond) == []


# --- sizes ---

@pytest.mark.parametrize("payload", [
    offer(1, [("a", 1 << 63), ("b", 1 << 63)]), offer(1, [("a", (1 << 64) - 1)]),
    offer(1, [("a", (1 << 63) - 1)]), offer(1, [("a", 1)], count=2), offer(1, [("a", 1)], count=1 << 31),
    offer(1, [("a", 1)], count=(1 << 32) - 1), offer(1, [("a", 1)], count=0),
    offer(1, [("a", 1), ("a", 1)]), offer(1, [("a", 1), ("a/b", 1)]), offer(1, [("a", 1)])[:-1],
    offer(1, [], is_directory=False), offer(1, [("a", 1), ("b", 1)], is_directory=False),
], ids=lambda payload: "%d bytes" % len(payload))
def test_offers_that_do_not_add_up(shared_daemon, peers, receiver, target, payload):
    """They are refused or passed over; never is there more than a whole file in its place."""
    peer = peers(shared_daemon)
    peer.say(payload)
    peer.say(offer(2, [("good", 4)]))  # the link goes on
    seen = {}
    while 2 not in seen:
        frame = peer.hear(wire.RESPONSE, wire.COMPLETE)
        seen[frame.id] = frame.rest[0]
    assert seen[2] == 1
    peer.send_file(2, 0, b"good")
    while True:
        frame = peer.hear(wire.COMPLETE)
        if frame.id == 2:
            break
    assert frame.rest == b"\x01" and "thing/good" in contents(target)
    assert not any(".part" in name for name in contents(target))


def test_the_total_of_an_offer_is_not_believed(shared_daemon, peers, receiver, target):
    peer = peers(shared_daemon)
    peer.say(offer(1, [("a", 3), ("b", 4)], total=10 * GIB))
    assert peer.answer(1)
    assert receiver.progress(receiver.asked[0].transfer)["total_bytes"] == 7


def under_way(peer, receiver, files, name="thing"):
    """An accepted offer of a tree with those (path, size); the receiver's transfer."""
    peer.say(offer(7, files, name))
    offered = receiver.wait_asked()
    assert peer.answer(7)
    return offered.transfer


BREACHES = {
    "a chunk of another file": [wire.chunk(7, 1, 0, b"x")],
    "a chunk of no file": [wire.chunk(7, 99, 0, b"x")],
    "a gap": [wire.chunk(7, 0, 1, b"x")],
    "twice the same": [wire.chunk(7, 0, 0, b"x"), wire.chunk(7, 0, 0, b"x")],
    "an offset that overflows": [wire.chunk(7, 0, (1 << 64) - 1, b"xx")],
    "past the end": [wire.chunk(7, 0, 0, b"12345")],
    "past the end, later": [wire.chunk(7, 0, 0, b"1234"), wire.chunk(7, 0, 4, b"5")],
    "an end too early": [wire.chunk(7, 0, 0, b"123"), wire.file_end(7, 0, b"123")],
    "an end of another file": [wire.file_end(7, 1, b"")],
    "a wrong hash": [wire.chunk(7, 0, 0, b"1234"), wire.file_end(7, 0, b"1235")],
    "two ends": [wire.chunk(7, 0, 0, b"1234"), wire.file_end(7, 0, b"1234"), wire.file_end(7, 0, b"1234")],
    "a success that is none": [wire.chunk(7, 0, 0, b"1234"), wire.complete(7, 1), wire.complete(7, 0)],
    "a failure": [wire.chunk(7, 0, 0, b"1234"), wire.complete(7, 0)],
    "a cancel": [wire.chunk(7, 0, 0, b"1234"), wire.control(wire.CANCEL, 7)],
}


@pytest.mark.parametrize("breach", sorted(BREACHES))
def test_a_sender_that_breaks_the_order(shared_daemon, peers, receiver, target, breach):
    peer = peers(shared_daemon)
    transfer = under_way(peer, receiver, [("first", 4), ("second", 4)])
    for frame in BREACHES[breach]:
        peer.say(frame)
    assert receiver.wait_end(transfer) in (FAILED, CANCELLED)
    peer.say(wire.chunk(7, 1, 0, b"late"))  # and what comes too late is nothing
    peer.say(wire.file_end(7, 1, b"late"))
    assert shared_daemon.client().is_alive()
    wait_until(lambda: set(contents(target)) <= {"thing/first"}, "nothing is left but a whole file")
    assert all(content == hashlib.sha256(b"1234").hexdigest() for content in contents(target).values())


def test_a_sender_that_ignores_the_window(daemon, peers):
    """The program gives no descriptors, so nothing can be written, and the peer floods: it is stopped at one window,
    and the daemon holds no more than that."""
    node = daemon(program=plain_ratsd())
    client, peer = node.client(), peers(node)
    client.call("transfer.watch", {"kinds": ["directory"]})
    client.call("session.start")
    peer.say(offer(7, [("a", 64 * MIB)]))
    transfer = client.wait_event("transfer.offered")["transfer"]
    client.call("transfer.accept", {"transfer": transfer})
    assert peer.answer(7)
    before = node.rss_kib()
    for offset in range(0, 64 * MIB, 64 * KIB):
        peer.say(wire.chunk(7, 0, offset, bytes(64 * KIB)))
    end = client.wait_event("transfer.changed", where=lambda fields: fields["state"] in ("failed", "cancelled"))
    assert end["transfer"] == transfer and end["error"]
    assert node.rss_kib() - before < 16 * KIB


# --- who may say what ---

def test_a_third_peer_has_no_say_in_an_offer(daemon, peers, programs, target, tmp_path):
    """RESPONSE, PROGRESS, COMPLETE, CANCEL, PAUSE by somebody who is not the peer of that transfer."""
    node = daemon()
    sender, rightful, third = programs(node), peers(node), peers(node)
    for peer in (rightful, third):
        wait_until(lambda: peer.id in sender.client.get_peer_ids(), "the peer is known")
    path = write_file(str(tmp_path / "file"), pattern(300 * KIB))
    transfer = sender.client.send_file(rightful.id, path)
    said = wire.decode_offer(rightful.hear(wire.OFFER).payload)
    assert said.id >= 1 << 32 and said.name == b"file" and said.files == [(b"file", 300 * KIB)]

    def meddle():
        for frame in (wire.response(said.id, 1), wire.progress(said.id, 1 << 40), wire.complete(said.id, 1),
                      wire.control(wire.CANCEL, said.id), wire.control(wire.PAUSE, said.id),
                      wire.response(said.id, 0), wire.complete(said.id, 0)):
            third.say(frame)
        third.say(offer(1, [("x", 1)]))  # its answer says that all before was read
        sender.reject(sender.wait_asked(len(sender.asked) + 1))
        assert third.hear(wire.CHUNK, wire.RESPONSE, wire.FILE_END).op == wire.RESPONSE

    meddle()
    assert sender.status(transfer) == "STARTING"
    rightful.say(wire.response(said.id, 1))
    got = b""
    while len(got) < 300 * KIB:
        file, offset, data = rightful.hear(wire.CHUNK).chunk()
        assert (file, offset) == (0, len(got))
        got += data
        rightful.say(wire.progress(said.id, len(got)))
    end = rightful.hear(wire.FILE_END)
    assert got == pattern(300 * KIB) and end.rest[4:].hex() == digest(path)
    rightful.say(wire.complete(said.id, 1))
    assert sender.wait_end(transfer) == COMPLETED


def begin_sending(node, programs, peers, tmp_path, size):
    """A program sends a file to a peer of ours, who has taken the offer."""
    sender, peer = programs(node), peers(node)
    wait_until(lambda: peer.id in sender.client.get_peer_ids(), "the peer is known")
    transfer = sender.client.send_file(peer.id, write_file(str(tmp_path / "file"), pattern(size)))
    said = wire.decode_offer(peer.hear(wire.OFFER).payload)
    peer.say(wire.response(said.id, 1))
    return sender, peer, transfer, said


def test_progress_past_the_end_stalls_nobody(daemon, peers, programs, tmp_path):
    sender, peer, transfer, said = begin_sending(daemon(), programs, peers, tmp_path, 12 * MIB)
    for lie in ((1 << 64) - 1, 1 << 40, 0, 5):
        peer.say(wire.progress(said.id, lie))
    got = 0
    while got < 12 * MIB:
        _, offset, data = peer.hear(wire.CHUNK).chunk()
        assert offset == got
        got += len(data)
        peer.say(wire.progress(said.id, got))
    peer.hear(wire.FILE_END)
    assert sender.progress(transfer)["bytes_transferred"] <= 12 * MIB
    peer.say(wire.complete(said.id, 1))
    assert sender.wait_end(transfer) == COMPLETED


def test_a_success_before_everything_was_sent_is_none(daemon, peers, programs, tmp_path):
    sender, peer, transfer, said = begin_sending(daemon(), programs, peers, tmp_path, 32 * MIB)
    peer.hear(wire.CHUNK)
    peer.say(wire.complete(said.id, 1))
    assert sender.wait_end(transfer) == FAILED


def test_a_sender_waits_for_acknowledgements(daemon, peers, programs, tmp_path):
    """One window and not a chunk more, as long as nothing is acknowledged; a pause holds, a cancel ends."""
    sender, peer, transfer, said = begin_sending(daemon(), programs, peers, tmp_path, 32 * MIB)
    got = 0
    while got < wire.WINDOW:
        got += len(peer.hear(wire.CHUNK).chunk()[2])
    assert got <= wire.WINDOW + 64 * KIB
    with pytest.raises(TimeoutError):
        peer.link.receive(timeout=0.5)
    peer.say(wire.control(wire.PAUSE, said.id))
    sender.wait_status(transfer, "PAUSED")
    peer.say(wire.progress(said.id, got))
    with pytest.raises(TimeoutError):
        peer.link.receive(timeout=0.5)
    peer.say(wire.control(wire.RESUME, said.id))
    assert peer.hear(wire.CHUNK).chunk()[1] == got
    peer.say(wire.control(wire.CANCEL, said.id))
    assert sender.wait_end(transfer) == CANCELLED


def test_offers_without_end_are_capped(daemon, peers, programs):
    """Nobody answers: after some the rest is refused, and the daemon does not grow."""
    node = daemon(program=plain_ratsd())
    receiver, peer = programs(node), peers(node)
    files = [("%d" % number + "n" * 200, 1) for number in range(200)]
    count, refused = 300, 0
    before = node.rss_kib()
    for number in range(1, count + 1):
        peer.say(offer(number, files))
    while refused == 0 or len(receiver.asked) + refused < count:
        frame = peer.hear(wire.RESPONSE)
        assert frame.rest[0] == 0
        refused += 1
    assert len(receiver.asked) < 100 and node.rss_kib() - before < 32 * KIB


# --- what is offered to them ---

def test_a_name_that_only_some_take(pair, peers, programs, target, tmp_path):
    """What a receiver refuses is for the receiver to say: another takes it."""
    names = ["12:30 photo", "con", "two\nlines", "sub/what\\ever"]
    tree = write_tree(str(tmp_path / "tree"), {name: name.encode() for name in names})
    node, other = pair
    sender, receiver, peer = programs(node), programs(other, folder=target), peers(node)
    wait_until(lambda: peer.id in sender.client.get_peer_ids(), "the peer is known")
    transfer = sender.client.send_directory(peer.id, tree, "tree")
    said = wire.decode_offer(peer.hear(wire.OFFER).payload)
    assert sorted(name for name, _ in said.files) == sorted(os.fsencode(name) for name in names)
    peer.say(wire.response(said.id, 1))
    for number, (name, _) in enumerate(said.files):
        assert peer.hear(wire.CHUNK).chunk() == (number, 0, name)
    peer.say(wire.progress(said.id, sum(size for _, size in said.files)))
    peer.say(wire.complete(said.id, 1))
    assert sender.wait_end(transfer) == COMPLETED
    refused = sender.send(receiver, tree)
    assert sender.wait_end(refused) == CANCELLED and "a path in it" in sender.error(refused)
    assert not receiver.asked and is_empty(target)


# --- messages beside files ---

def test_a_message_is_not_behind_a_file(daemon, peers, programs, tmp_path):
    """The peer reads slowly, and a message is sent when there is more of the file to send than the link takes: before
    it comes what was on its way, a window and what is confirmed until the daemon has it, and never the rest."""
    size = 64 * MIB
    sender, peer, transfer, said = begin_sending(daemon(), programs, peers, tmp_path, size)
    got, behind = 0, []  # bytes of the file between the sending of a message and its arrival
    for number in range(10):
        for _ in range(8):
            got += len(peer.hear(wire.CHUNK).chunk()[2])
            peer.say(wire.progress(said.id, got))
        sender.client.send_binary(peer.id, b"message %d" % number)
        start = got
        while not any(message.payload == b"message %d" % number for message in peer.others):
            message = peer.link.receive()
            if message.type == librats_node.FILE_CHUNK:
                got += len(Frame(*wire.decode(message.payload), b"").chunk()[2])
                peer.say(wire.progress(said.id, got))
            else:
                peer.others.append(message)
        behind.append(got - start)
    assert got < size and max(behind) <= 2 * wire.WINDOW, behind
    sender.client.cancel_file_transfer(transfer)
    assert sender.wait_end(transfer) == CANCELLED


def test_messages_are_answered_while_files_move(pair, programs, target, tmp_path):
    """Two files as fast as they go, and messages to and fro: many are answered before the files are there."""
    first, second = pair
    here, there = programs(first), programs(second, folder=target)
    answers, sent = [], []
    there.client.set_binary_callback(lambda peer, data: there.client.send_binary(peer, b"re: " + data))
    here.client.set_binary_callback(lambda peer, data: answers.append(data))
    for number in range(2):
        path = write_file(str(tmp_path / ("file%d" % number)), b"")
        os.truncate(path, GIB)
        sent.append(here.send(there, path))
    for transfer in sent:
        here.wait_bytes(transfer)
    for number in range(20):
        here.client.send_binary(there.id, b"%d" % number)
        wait_until(lambda: len(answers) > number, "an answer", DEADLINE_S)
    assert answers == [b"re: %d" % number for number in range(20)]
    assert [here.status(transfer) for transfer in sent] == ["IN_PROGRESS"] * 2
    for transfer in sent:
        here.client.cancel_file_transfer(transfer)
        assert here.wait_end(transfer) == CANCELLED
    wait_until(lambda: is_empty(target), "nothing is left of them")


def test_transfers_share_a_link(pair, programs, target, tmp_path):
    """A small file behind a big one does not wait for it, and of two big ones none starves."""
    first, second = pair
    sender, receiver = programs(first), programs(second, folder=target)
    slow_down(second, sender.id, 8 * MIB)
    big = [sender.send(receiver, write_file(str(tmp_path / ("big%d" % number)), pattern(64 * MIB, number)))
           for number in range(2)]
    for transfer in big:
        sender.wait_bytes(transfer)
    small = sender.send(receiver, write_tree(str(tmp_path / "small"), {"a": b"1", "b": pattern(100 * KIB)}))
    assert sender.wait_end(small) == COMPLETED
    before = [sender.progress(transfer)["bytes_transferred"] for transfer in big]
    assert all(0 < count < 40 * MIB for count in before)
    sender.wait_bytes(big[0], before[0] + 16 * MIB)
    assert sender.progress(big[1])["bytes_transferred"] - before[1] > 8 * MIB
    for transfer in big:
        sender.client.cancel_file_transfer(transfer)


# --- a daemon that may open nothing ---

@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("kind", ["file", "tree"])
def test_a_daemon_that_cannot_open_any_of_it(daemon, programs, tmp_path, kind):
    """As under ProtectHome=yes: the daemons are another user, whose the paths are closed to."""
    nodes = []
    for name in ("a", "b"):
        node = daemon.make(name=name, config="[clients]\nsocket_mode = 0666\n")
        os.makedirs(node.directory, exist_ok=True)
        os.makedirs(os.path.join(node.directory, "run"), exist_ok=True)
        os.chown(node.directory, 65534, 65534)
        os.chmod(node.directory, 0o711)
        for folder in os.listdir(node.directory):
            os.chown(os.path.join(node.directory, folder), 65534, 65534)
        try:
            node.start(user=65534, group=65534, extra_groups=[])
        except PermissionError:
            pytest.skip("the build directory is closed to other users")
        nodes.append(node)
    link(*nodes)
    home = str(tmp_path / "home")
    os.mkdir(home, 0o700)
    path = (write_file(os.path.join(home, "thing"), pattern(MIB)) if kind == "file"
            else write_tree(os.path.join(home, "thing"), {"a": b"", "b/c": pattern(300 * KIB)}))
    got = os.path.join(home, "got")
    os.mkdir(got, 0o700)
    os.chmod(path, 0o600 if kind == "file" else 0o700)
    sender, receiver = programs(nodes[0]), programs(nodes[1], folder=got)
    sent = sender.send(receiver, path)
    assert sender.wait_end(sent) == COMPLETED, sender.error(sent)
    whole = os.path.join(got, "thing")
    assert (digest(whole) == digest(path)) if kind == "file" else (contents(whole) == contents(path))
    assert os.listdir(got) == ["thing"] and os.stat(whole).st_uid == os.getuid()
