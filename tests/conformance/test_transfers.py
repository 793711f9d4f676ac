"""Files between two daemons, seen at the local socket: what each method does, and what it refuses."""
import hashlib
import os

import pytest
from carrier import Carrier, manifest, tree_of
from daemons import Daemon, link


@pytest.fixture(name="pair")
def two_linked_daemons():
    left, right = Daemon("left"), Daemon("right")
    try:
        left.start()
        right.start()
        link(left, right)
        yield left, right
    finally:
        left.stop()
        right.stop()


@pytest.fixture(name="two")
def a_sender_and_a_receiver(pair):
    with Carrier(pair[0].socket) as ours, Carrier(pair[1].socket) as theirs:
        yield ours, theirs


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def make_file(path, size):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(os.urandom(min(size, 1 << 20)) * (size // (1 << 20) + 1))
        file.truncate(size)
    return str(path)


def make_tree(directory, files):
    for name, size in files:
        make_file(os.path.join(directory, name), size)
    return str(directory)


@pytest.mark.parametrize("size", [0, 1, 65536, 5 << 20])
def test_a_file_arrives_whole(two, tmp_path, size):
    ours, theirs = two
    source = make_file(str(tmp_path / "source.bin"), size)
    target = str(tmp_path / "target.bin")
    key = ours.send_file(theirs.info["peer_id"], source, "named")
    offer = theirs.wait_offer()
    assert offer["name"] == "named" and offer["kind"] == "file" and not offer["request"]
    assert offer["total_bytes"] == size and offer["total_files"] == 1
    theirs.accept(offer["transfer"], target)
    end = ours.wait_end(key, others=[theirs])
    assert end["state"] == "completed" and end["done_bytes"] == size and end["done_files"] == 1
    assert theirs.wait_end(offer["transfer"])["state"] == "completed"
    assert digest(target) == digest(source)


def test_a_tree_arrives_whole(two, tmp_path):
    ours, theirs = two
    files = [("deep/%s/f%d" % ("x" * (i % 7), i), i * 37) for i in range(100)] + [("big", 3 << 20)]
    source = make_tree(str(tmp_path / "source"), files)
    target = str(tmp_path / "target")
    key = ours.send_tree(theirs.info["peer_id"], source)
    offer = theirs.wait_offer()
    assert offer["kind"] == "directory" and offer["total_files"] == 101
    theirs.accept(offer["transfer"], target, "directory")
    assert ours.wait_end(key, others=[theirs])["state"] == "completed"
    assert theirs.wait_end(offer["transfer"])["done_files"] == 101
    assert tree_of(target) == tree_of(source)
    for path, _ in tree_of(source):
        assert digest(os.path.join(source, path)) == digest(os.path.join(target, path))
