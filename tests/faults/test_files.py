"""A disk that fails under file transfers, at every stage and on either side: both ends hear that it failed, and
why; what is not whole is not delivered; nothing stays open, and the next transfer works."""
import errno
import hashlib
import os
import random

import pytest
from carrier import Carrier, tree_of

import daemons
import faultshim

SITES = ("pwrite", "pread", "fstat", "alloc")
WRITING = [("pwrite", errno.ENOSPC), ("pwrite", errno.EIO), ("pwrite", errno.EDQUOT)]
READING = [("pread", errno.EIO), ("pread", errno.ESTALE)]


@pytest.fixture
def faults(tmp_path):
    made = faultshim.Faults(tmp_path / "faults", SITES)
    yield made
    made.close()


def make_source(directory, dice):
    os.makedirs(directory)
    for at in range(30):
        with open(os.path.join(directory, "f%d" % at), "wb") as file:
            file.write(os.urandom(dice.choice((0, 1, 5000, 70000, 600000))))
    return str(directory)


def digests(directory):
    return {path: hashlib.sha256(open(os.path.join(directory, path), "rb").read()).digest()
            for path, _ in tree_of(directory) if not path.endswith(".part")}


def run(ours, theirs, source, target):
    """One transfer to its end: what both were told last."""
    key = ours.send_tree(theirs.info["peer_id"], source)
    offer = theirs.wait_offer(others=[ours])["transfer"]
    theirs.accept(offer, target, "directory")
    return ours.wait_end(key, others=[theirs]), theirs.wait_end(offer, others=[ours])


@pytest.mark.parametrize("side", ["receiver", "sender"])
def test_a_failing_disk_fails_the_transfer_and_no_more(daemon, faults, tmp_path, side):
    nodes = [daemon.make(name=name, program=daemons.plain_ratsd()) for name in ("sender", "receiver")]
    nodes[side == "receiver"].variables.update(faults.environment())
    for node in nodes:
        node.start()
    daemons.link(*nodes)
    dice = random.Random(11)
    source = make_source(tmp_path / "source", dice)
    wanted = digests(source)
    failures = 0
    with Carrier(nodes[0].socket) as ours, Carrier(nodes[1].socket) as theirs:
        ends = run(ours, theirs, source, str(tmp_path / "first"))
        assert [end["state"] for end in ends] == ["completed", "completed"]
        descriptors = [node.descriptors() for node in nodes]
        for turn in range(24):
            name, error = dice.choice(WRITING if side == "receiver" else READING)
            faults.arm_next(name, error, skip=dice.randrange(40), count=1)
            target = str(tmp_path / ("target%d" % turn))
            ends = run(ours, theirs, source, target)
            hit = faults.hits(name) > 0
            faults.disarm(name)
            faults.reset()
            assert {end["state"] for end in ends} == ({"failed"} if hit else {"completed"}), ends
            if hit:
                failures += 1
                assert ends[side == "receiver"]["error"], ends
            got = digests(target)  # whatever was put into place is whole
            assert all(wanted[path] == digest for path, digest in got.items())
            assert hit or got == wanted
        assert failures > 10
        for node, count in zip(nodes, descriptors):
            daemons.wait_until(lambda node=node, count=count: node.descriptors() <= count, "all are closed")
        ends = run(ours, theirs, source, str(tmp_path / "last"))
        assert [end["state"] for end in ends] == ["completed", "completed"]


def test_a_full_disk_says_so(daemon, faults, tmp_path):
    nodes = [daemon.make(name=name, program=daemons.plain_ratsd()) for name in ("sender", "receiver")]
    nodes[1].variables.update(faults.environment())
    for node in nodes:
        node.start()
    daemons.link(*nodes)
    source = str(tmp_path / "source")
    with open(source, "wb") as file:
        file.write(os.urandom(20 << 20))
    with Carrier(nodes[0].socket) as ours, Carrier(nodes[1].socket) as theirs:
        for skip in (0, 1, 100, 10 ** 6):
            faults.arm_next("pwrite", errno.ENOSPC, skip=skip, count=None)
            key = ours.send_file(theirs.info["peer_id"], source)
            offer = theirs.wait_offer()["transfer"]
            target = str(tmp_path / ("target%d" % skip))
            theirs.accept(offer, target)
            end, other = theirs.wait_end(offer, others=[ours]), ours.wait_end(key, others=[theirs])
            faults.disarm("pwrite")
            if skip < 10 ** 6:
                assert end["state"] == "failed" and os.strerror(errno.ENOSPC) in end["error"]
                assert other["state"] == "failed" and not os.path.exists(target)
            else:
                assert end["state"] == other["state"] == "completed"
