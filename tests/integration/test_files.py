"""Files and directories, pushed and pulled, by programs on two daemons (api.md 3.12, 7.4, 7.5)."""
import os
import time

import pytest
from daemons import wait_until
from filing import (CANCELLED, COMPLETED, FAILED, GIB, KIB, MIB, RatsError, contents, digest, is_empty, pattern,
                    slow_down, speed_up, write_file, write_tree)

LONG = bool(os.environ.get("RATS_LONG"))


@pytest.fixture
def ends(shared_pair, programs, target):
    """A program that sends, and one on the other daemon that takes everything into target."""
    first, second = shared_pair
    return programs(first), programs(second, folder=target)


def send_and_compare(ends, target, path):
    """Sends it; both sides say COMPLETED once, and what is there is what was sent."""
    sender, receiver = ends
    transfer = sender.send(receiver, path)
    assert sender.wait_end(transfer) == COMPLETED, sender.error(transfer)
    (there, status), = receiver.wait_any_end().items()
    assert status == COMPLETED and there != ""
    got = os.path.join(target, os.path.basename(path))
    if os.path.isdir(path):
        assert os.path.isdir(got) and contents(got) == contents(path)
    else:
        assert digest(got) == digest(path)
    assert os.listdir(target) == [os.path.basename(path)]
    return transfer, there


# --- push ---

@pytest.mark.parametrize("size", [0, 1, 16 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 4 * MIB, 9 * MIB + 17])
def test_a_file_is_sent(ends, target, tmp_path, size):
    path = write_file(str(tmp_path / "file"), pattern(size))
    transfer, there = send_and_compare(ends, target, path)
    for program, one, direction in zip(ends, (transfer, there), (0, 1)):
        facts = program.progress(one)
        assert facts["bytes_transferred"] == facts["total_bytes"] == size
        assert facts["completion_percentage"] == 100.0 and facts["direction"] == direction
        assert facts["kind"] == "file" and facts["filename"] == "file" and not facts["request"]
        assert facts["files_completed"] == facts["total_files"] == 1 and facts["error"] == ""
        assert facts["peer_id"] == ends[1 - direction].id


def test_the_peer_is_shown_the_name_that_was_given(ends, target, tmp_path):
    sender, receiver = ends
    path = write_file(str(tmp_path / "a.txt"), b"content")
    assert sender.wait_end(sender.send(receiver, path, "gr\u00fc\u00dfe.txt")) == COMPLETED
    assert contents(target) == {"gr\u00fc\u00dfe.txt": digest(path)}


TREES = {
    "empty": {},
    "one empty file": {"empty": b""},
    "only empty files": {"a": b"", "b/c": b"", "b/d/e": b""},
    "mixed": {"empty": b"", "a/b": b"1", "a/c": pattern(200 * KIB), "\u4e2d\u6587/\u00fc": b"x", "a b/c d": b"y",
              ".hidden": b"z", "a/.b/c": b"", "end": pattern(64 * KIB)},
    "deep": {"/".join(["d%d" % i for i in range(100)]) + "/file": b"deep"},
    "long names": {"n" * 255: b"1", "/".join(["p" * 250] * 12): b"2"},
}


@pytest.mark.parametrize("name", sorted(TREES))
def test_a_tree_is_sent(ends, target, tmp_path, name):
    send_and_compare(ends, target, write_tree(str(tmp_path / "tree"), TREES[name]))


def test_many_small_files_are_sent(ends, target, tmp_path):
    count = 100000 if LONG else 1000
    path = str(tmp_path / "tree")
    for folder in range(count // 100):
        write_tree(os.path.join(path, "%04d" % folder),
                   {"%02d" % number: b"%d/%d " % (folder, number) * (number % 7) for number in range(100)})
    transfer, there = send_and_compare(ends, target, path)
    for program, one in zip(ends, (transfer, there)):
        told = program.files[one]
        assert [done for done, _, _ in told] == list(range(1, count + 1))
        assert {total for _, total, _ in told} == {count}
        assert {name for _, _, name in told} == set(contents(path))


def test_only_the_top_level_when_not_recursive(ends, target, tmp_path):
    sender, receiver = ends
    path = write_tree(str(tmp_path / "tree"), {"a": b"1", "below/b": b"2"})
    transfer = sender.client.send_directory(receiver.id, path, "tree", recursive=False)
    assert sender.wait_end(transfer) == COMPLETED
    assert set(contents(target)) == {"tree/a"}


def test_what_is_no_file_is_left_out_and_links_are_not_followed(ends, target, tmp_path):
    sender, receiver = ends
    path = write_tree(str(tmp_path / "tree"), {"a": b"1", "b/c": b"2"})
    write_file(str(tmp_path / "secret"), b"secret")
    os.symlink(str(tmp_path / "secret"), os.path.join(path, "link"))
    os.symlink("b", os.path.join(path, "folder"))
    os.mkfifo(os.path.join(path, "pipe"))
    os.mkdir(os.path.join(path, "nothing"))
    assert sender.wait_end(sender.send(receiver, path)) == COMPLETED
    assert set(contents(target)) == {"tree/a", "tree/b/c"}


def test_a_sparse_file_is_sent(ends, target, tmp_path):
    path = str(tmp_path / "sparse")
    with open(path, "wb") as file:
        file.write(b"begin")
        file.seek((5 * GIB if LONG else 48 * MIB) + 4097)
        file.write(b"end")
    send_and_compare(ends, target, path)


def test_a_file_replaces_what_is_there_at_once(ends, target, tmp_path):
    sender, receiver = ends
    old = write_file(os.path.join(target, "file"), b"old")
    path = write_file(str(tmp_path / "file"), pattern(300 * KIB))
    with open(old, "rb") as reader:
        assert sender.wait_end(sender.send(receiver, path)) == COMPLETED
        assert reader.read() == b"old"
    assert contents(target) == {"file": digest(path)}


# --- pull ---

@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_lies_below_a_share_root_can_be_fetched(shared_pair, programs, target, tmp_path, kind):
    first, second = shared_pair
    root = write_tree(str(tmp_path / "root"), {"sub/file": pattern(MIB), "sub/tree/a": b"", "sub/tree/b/c": b"2"})
    server, asker = programs(first, silent=True), programs(second, silent=True)
    server.client.add_share_root(root)
    remote = "sub/file" if kind == "file" else "sub/tree"
    for number, name in enumerate((remote, os.path.join(root, remote))):  # below it, and in full
        path = os.path.join(target, str(number))
        transfer = asker.fetch(server, kind, name, path)
        assert asker.wait_end(transfer) == COMPLETED, asker.error(transfer)
        facts = asker.progress(transfer)
        assert facts["request"] and facts["direction"] == 1 and facts["kind"] == kind
        here = os.path.join(root, remote)
        assert (digest(path) == digest(here)) if kind == "file" else (contents(path) == contents(here))
    server.client.remove_share_root(root)
    transfer = asker.fetch(server, kind, remote, os.path.join(target, "late"))
    assert asker.wait_end(transfer) in (FAILED, CANCELLED) and not os.path.exists(os.path.join(target, "late"))


@pytest.mark.parametrize("remote", ["../secret", "sub/../../secret", "/etc/passwd", "out/secret", "link", "..", "/",
                                    "sub/", "missing", "pipe"])
def test_nothing_outside_a_share_root_can_be_fetched(shared_pair, programs, target, tmp_path, remote):
    first, second = shared_pair
    write_file(str(tmp_path / "secret"), b"secret")
    root = write_tree(str(tmp_path / "root"), {"sub/file": b"1"})
    os.symlink(str(tmp_path), os.path.join(root, "out"))
    os.symlink("../secret", os.path.join(root, "link"))
    os.mkfifo(os.path.join(root, "pipe"))
    server, asker = programs(first, silent=True), programs(second, silent=True)
    server.client.add_share_root(root)
    transfer = asker.fetch(server, "file", remote, os.path.join(target, "file"))
    assert asker.wait_end(transfer) in (FAILED, CANCELLED) and asker.error(transfer)
    assert is_empty(target)


def test_a_program_answers_what_is_asked_for(shared_pair, programs, target, tmp_path):
    first, second = shared_pair
    server, asker = programs(first), programs(second)
    path = write_file(str(tmp_path / "other name"), b"content")
    transfer = asker.fetch(server, "file", "the report", os.path.join(target, "report"))
    asked = server.wait_asked()
    assert (asked.kind, asked.peer, asked.remote_path, asked.name) == ("file", asker.id, "the report", "")
    server.accept(asked, path)
    assert asker.wait_end(transfer) == COMPLETED and server.wait_end(asked.transfer) == COMPLETED
    assert contents(target) == {"report": digest(path)}

    transfer = asker.fetch(server, "directory", "the tree", os.path.join(target, "tree"))
    server.reject(server.wait_asked(2), "not today")
    assert asker.wait_end(transfer) in (FAILED, CANCELLED) and "not today" in asker.error(transfer)
    assert set(contents(target)) == {"report"}


def test_nobody_answers_what_is_asked_for(shared_pair, programs, target):
    first, second = shared_pair
    server, asker = programs(first, silent=True), programs(second)
    transfer = asker.fetch(server, "file", "x", os.path.join(target, "x"))
    assert asker.wait_end(transfer) in (FAILED, CANCELLED) and is_empty(target)


def test_a_peer_that_is_no_ratsd_cannot_be_asked(daemon, programs, target):
    librats_node = pytest.importorskip("librats_node")
    node = daemon()
    peer = librats_node.Node()
    link = peer.dial(("127.0.0.1", node.port))
    link.send_identify()
    asker = programs(node)
    wait_until(lambda: peer.id in asker.client.get_peer_ids(), "the peer is known")
    with pytest.raises(RatsError) as refused:
        asker.client.request_file(peer.id, "x", os.path.join(target, "x"))
    assert refused.value.error_code.name == "NOT_SUPPORTED" and is_empty(target)
    link.close()


# --- answers ---

def test_a_refusal_has_its_reason(shared_pair, programs, tmp_path):
    first, second = shared_pair
    sender, receiver = programs(first), programs(second)
    for number, (kind, path) in enumerate((("file", write_file(str(tmp_path / "file"), b"1")),
                                           ("directory", write_tree(str(tmp_path / "tree"), {"a": b""})))):
        transfer = sender.send(receiver, path)
        offered = receiver.wait_asked(number + 1)
        assert (offered.kind, offered.remote_path, offered.name) == (kind, "", os.path.basename(path))
        assert receiver.progress(offered.transfer)["status"] == 0  # pending
        receiver.reject(offered, "no room for gr\u00fc\u00dfe")
        assert sender.wait_end(transfer) in (FAILED, CANCELLED)
        assert "no room for gr\u00fc\u00dfe" in sender.error(transfer)


def test_an_offer_that_nobody_wants_is_refused(shared_pair, programs, tmp_path):
    first, second = shared_pair
    sender, receiver = programs(first), programs(second, silent=True)
    transfer = sender.send(receiver, write_file(str(tmp_path / "file"), b"1"))
    assert sender.wait_end(transfer) in (FAILED, CANCELLED)


def test_the_first_of_several_programs_that_accepts_has_it(shared_pair, programs, target, tmp_path):
    first, second = shared_pair
    sender = programs(first)
    receivers = [programs(second) for _ in range(4)]
    path = write_file(str(tmp_path / "file"), pattern(100 * KIB))
    transfer = sender.send(receivers[0], path)
    offers = [receiver.wait_asked() for receiver in receivers]
    assert len({offer.transfer for offer in offers}) == 1
    receivers[3].reject(offers[3], "not me")
    assert receivers[3].wait_end(offers[3].transfer) == CANCELLED
    receivers[1].accept(offers[1], os.path.join(target, "file"))
    assert sender.wait_end(transfer) == COMPLETED
    assert receivers[1].wait_end(offers[1].transfer) == COMPLETED
    for late in (receivers[0], receivers[2]):
        assert late.wait_end(offers[0].transfer) == CANCELLED
        with pytest.raises(RatsError):
            late.accept(offers[0], os.path.join(target, "late"))
    assert contents(target) == {"file": digest(path)}


def test_only_when_all_programs_refuse_the_peer_is_told(shared_pair, programs, tmp_path):
    first, second = shared_pair
    sender, receivers = programs(first), [programs(second) for _ in range(2)]
    transfer = sender.send(receivers[0], write_file(str(tmp_path / "file"), b"1"))
    for number, receiver in enumerate(receivers):
        offered = receiver.wait_asked()
        assert "FAILED" not in sender.statuses(transfer) and "CANCELLED" not in sender.statuses(transfer)
        receiver.reject(offered, "reason %d" % number)
    assert sender.wait_end(transfer) in (FAILED, CANCELLED) and "reason" in sender.error(transfer)


# --- pause, resume, cancel ---

@pytest.fixture
def slow(pair, programs, target, tmp_path):
    """A file that takes long: sender, receiver, transfer at each, once some bytes are there."""
    first, second = pair
    sender, receiver = programs(first), programs(second, folder=target)
    slow_down(second, sender.id, 4 * MIB)
    path = write_file(str(tmp_path / "file"), pattern(64 * MIB))
    transfer = sender.send(receiver, path)
    sender.wait_bytes(transfer)
    return sender, receiver, transfer, receiver.wait_asked().transfer


@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_pause_and_resume(slow, pair, target, tmp_path, side):
    sender, receiver, sent, got = slow
    actor, mine = (sender, sent) if side == "sender" else (receiver, got)
    actor.client.pause_file_transfer(mine)
    for program, transfer in ((sender, sent), (receiver, got)):
        program.wait_status(transfer, "PAUSED")

    def stands():
        before = receiver.progress(got)["bytes_transferred"]
        time.sleep(0.3)
        return receiver.progress(got)["bytes_transferred"] == before
    wait_until(stands, "what was on its way has arrived, and no more comes")
    with pytest.raises(RatsError):
        actor.client.pause_file_transfer(mine)
    speed_up(pair[1], sender.id)
    actor.client.resume_file_transfer(mine)
    assert sender.wait_end(sent) == COMPLETED and receiver.wait_end(got) == COMPLETED
    for program, transfer in ((sender, sent), (receiver, got)):
        seen = program.statuses(transfer)
        assert seen[seen.index("PAUSED"):] == ["PAUSED", "RESUMING", "IN_PROGRESS", COMPLETED], seen
        assert [status for _, status in program.steps[transfer]].count("RESUMING") == 1
    assert digest(os.path.join(target, "file")) == digest(str(tmp_path / "file"))


@pytest.mark.parametrize("side", ["sender", "receiver"])
@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_cancel(slow, target, side, paused):
    sender, receiver, sent, got = slow
    actor, mine = (sender, sent) if side == "sender" else (receiver, got)
    if paused:
        actor.client.pause_file_transfer(mine)
        receiver.wait_status(got, "PAUSED")
    actor.client.cancel_file_transfer(mine)
    assert actor.wait_end(mine) == CANCELLED
    assert sender.wait_end(sent) in (CANCELLED, FAILED) and receiver.wait_end(got) in (CANCELLED, FAILED)
    wait_until(lambda: is_empty(target), "nothing is left of it")
    with pytest.raises(RatsError):
        actor.client.cancel_file_transfer(mine)


@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_cancel_before_it_is_answered(shared_pair, programs, tmp_path, side):
    first, second = shared_pair
    sender, receiver = programs(first), programs(second)
    sent = sender.send(receiver, write_file(str(tmp_path / "file"), b"1"))
    got = receiver.wait_asked().transfer
    if side == "sender":
        sender.client.cancel_file_transfer(sent)
    else:
        receiver.client.cancel_file_transfer(got)
    assert sender.wait_end(sent) in (CANCELLED, FAILED) and receiver.wait_end(got) == CANCELLED
    with pytest.raises(RatsError):
        receiver.client.accept_file_transfer(got, str(tmp_path / "late"))
    assert not os.path.exists(str(tmp_path / "late"))


@pytest.mark.parametrize("side", ["server", "asker"])
def test_cancel_a_request_before_it_is_answered(shared_pair, programs, target, side):
    first, second = shared_pair
    server, asker = programs(first), programs(second)
    transfer = asker.fetch(server, "file", "x", os.path.join(target, "x"))
    asked = server.wait_asked()
    (asker.client.cancel_file_transfer(transfer) if side == "asker"
     else server.client.cancel_file_transfer(asked.transfer))
    assert asker.wait_end(transfer) in (CANCELLED, FAILED) and server.wait_end(asked.transfer) == CANCELLED
    assert is_empty(target)


# --- what belongs to a session ends with it ---

@pytest.mark.parametrize("side", ["sender", "receiver"])
@pytest.mark.parametrize("how", ["close", "stop"])
def test_a_transfer_ends_with_its_session(slow, target, side, how):
    sender, receiver, sent, got = slow
    (goes, stays, transfer) = (sender, receiver, got) if side == "sender" else (receiver, sender, sent)
    goes.client.close() if how == "close" else goes.client.stop()
    assert stays.wait_end(transfer) in (CANCELLED, FAILED)
    wait_until(lambda: is_empty(target), "nothing is left of it")


def test_a_program_knows_its_own_transfers_only(slow, pair, programs):
    sender, receiver, sent, got = slow
    for node, transfer in zip(pair, (sent, got)):
        stranger = programs(node)
        for act in ("cancel", "pause", "resume"):
            with pytest.raises(RatsError):
                getattr(stranger.client, act + "_file_transfer")(transfer)
        assert stranger.client.get_file_transfer_progress(transfer) == {}
    assert sender.status(sent) == "IN_PROGRESS"


# --- what is told ---

def test_progress_is_told_in_order_and_not_too_often(slow, pair):
    sender, receiver, sent, got = slow
    begun = time.monotonic()
    sender.wait_bytes(sent, 24 * MIB)
    took_s = time.monotonic() - begun
    speed_up(pair[1], sender.id)
    sender.wait_end(sent)
    receiver.wait_end(got)
    for program, transfer in ((sender, sent), (receiver, got)):
        steps = list(program.steps[transfer])
        percents = [percent for percent, _ in steps]
        assert percents == sorted(percents) and steps[-1] == (100, COMPLETED)
        assert 3 < len(steps) < 60 + 10 * (took_s + 20)


def test_statistics_count_what_was_moved(shared_pair, programs, target, tmp_path):
    first, second = shared_pair
    sender, receiver = programs(first), programs(second)
    tree = write_tree(str(tmp_path / "tree"), {"a": pattern(100 * KIB), "b/c": b"", "d": b"1234567"})
    total = 100 * KIB + 7
    for number in range(3):
        transfer = sender.send(receiver, tree)
        offered = receiver.wait_asked(number + 1)
        if number == 1:
            receiver.reject(offered)
        else:
            receiver.accept(offered, os.path.join(target, str(number)))
        sender.wait_end(transfer)
        receiver.wait_end(offered.transfer)
    sums = sender.client.get_file_transfer_statistics()
    assert (sums["total_bytes_sent"], sums["total_files_sent"]) == (2 * total, 6)
    assert (sums["total_bytes_received"], sums["total_files_received"]) == (0, 0)
    assert (sums["active_transfers"], sums["completed_transfers"]) == (0, 3)
    assert sums["success_rate"] == pytest.approx(2 / 3, abs=0.001) and sums["average_send_rate_bps"] > 0
    sums = receiver.client.get_file_transfer_statistics()
    assert (sums["total_bytes_received"], sums["total_files_received"]) == (2 * total, 6)


def test_what_cannot_be_sent_is_said_at_once(shared_pair, programs, tmp_path):
    first, second = shared_pair
    sender, receiver = programs(first), programs(second)
    os.mkfifo(str(tmp_path / "pipe"))
    path = write_file(str(tmp_path / "file"), b"1")
    for peer, what in ((receiver.id, str(tmp_path / "missing")), (receiver.id, str(tmp_path)),
                       (receiver.id, str(tmp_path / "pipe")), ("ab" * 32, path)):
        with pytest.raises(RatsError):
            sender.client.send_file(peer, what)
    with pytest.raises(RatsError):
        sender.client.send_directory(receiver.id, path, "x")
    assert not receiver.asked
