"""Files between two daemons, seen at the local socket: what each method does, and what it refuses."""
import hashlib
import os
import random
import socket

import pytest
import ratsipc
from carrier import Carrier, manifest, tree_of
from daemons import link, wait_until


@pytest.fixture(name="two")
def a_sender_and_a_receiver(shared_pair):
    with Carrier(shared_pair[0].socket) as ours, Carrier(shared_pair[1].socket) as theirs:
        yield ours, theirs


@pytest.fixture(name="calm")
def two_daemons_whose_descriptors_are_counted(shared_pair):
    """Whatever the test did, they come back to what they were."""
    before = [node.descriptors() for node in shared_pair]
    yield shared_pair
    for node, count in zip(shared_pair, before):
        wait_until(lambda node=node, count=count: node.descriptors() <= count, "descriptors are closed")


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


# --- descriptors ---

def refused(client, method, params, descriptors, error="operation_failed"):
    with pytest.raises(ratsipc.Failed) as failed:
        client.call(method, params, descriptors=descriptors)
    assert failed.value.error == error
    return failed.value.text


def test_what_cannot_be_sent_is_refused(calm, two, tmp_path):
    ours, theirs = two
    params = {"peer": theirs.info["peer_id"], "kind": "file", "name": "x"}
    path = make_file(str(tmp_path / "file"), 10)
    left, right = socket.socketpair()
    opened = [os.open("/dev/null", os.O_RDONLY), os.open(str(tmp_path), os.O_RDONLY), os.open(path, os.O_WRONLY),
              os.open(path, os.O_PATH), os.dup(left.fileno())]
    for fd in opened:
        assert refused(ours, "transfer.send", params, [fd])
        os.close(fd)
    left.close()
    right.close()
    assert "descriptor" in refused(ours, "transfer.send", params, [])
    fd = os.open(path, os.O_RDONLY)
    refused(ours, "transfer.send", dict(params, kind="directory"), [fd])
    os.close(fd)
    assert ours.is_alive() and not theirs.offers


def test_what_cannot_be_written_is_refused_and_the_offer_stays(calm, two, tmp_path):
    ours, theirs = two
    source = make_file(str(tmp_path / "source"), 1000)
    key = ours.send_file(theirs.info["peer_id"], source)
    offer = theirs.wait_offer()["transfer"]
    full = make_file(str(tmp_path / "full"), 10)
    empty = make_file(str(tmp_path / "empty"), 0)
    for path, flags in ((full, os.O_RDWR), (empty, os.O_RDONLY), (empty, os.O_WRONLY), ("/dev/null", os.O_RDWR)):
        fd = os.open(path, flags)
        assert refused(theirs, "transfer.accept", {"transfer": offer}, [fd])
        os.close(fd)
    theirs.accept(offer, str(tmp_path / "target"))
    assert ours.wait_end(key, others=[theirs])["state"] == "completed"
    theirs.wait_end(offer)


def test_there_must_be_room_for_all_of_it(calm, two, tmp_path):
    ours, theirs = two
    source = str(tmp_path / "sparse")
    with open(source, "wb") as file:
        file.truncate(8 << 40)
    ours.send_file(theirs.info["peer_id"], source)
    offer = theirs.wait_offer()["transfer"]
    with pytest.raises(ratsipc.Failed) as failed:
        theirs.accept(offer, str(tmp_path / "target"))
    assert failed.value.error == "operation_failed" and "space" in failed.value.text
    theirs.call("transfer.reject", {"transfer": offer, "reason": "no room"})
    ours.serve(lambda: any(fields.get("error") == "no room" for fields in ours.last.values()), "the reason")


def test_the_disk_of_a_directory_is_looked_at_when_it_is_shown(calm, two, tmp_path):
    ours, theirs = two
    os.mkdir(tmp_path / "large")
    for name in ("a", "b"):
        with open(tmp_path / "large" / name, "wb") as file:
            file.truncate(4 << 40)
    ours.send_tree(theirs.info["peer_id"], str(tmp_path / "large"))
    offer = theirs.wait_offer()["transfer"]
    directory = os.open(str(tmp_path), os.O_PATH)
    text = refused(theirs, "transfer.accept", {"transfer": offer}, [directory])
    assert "space" in text and str(8 << 40) in text
    file = os.open(make_file(str(tmp_path / "file"), 1), os.O_RDWR)
    assert "directory" in refused(theirs, "transfer.accept", {"transfer": offer}, [file])
    os.close(file)
    theirs.call("transfer.reject", {"transfer": offer})
    os.mkdir(tmp_path / "small")
    make_file(str(tmp_path / "small" / "x"), 100)
    key = ours.send_tree(theirs.info["peer_id"], str(tmp_path / "small"))
    offer = theirs.wait_offer()["transfer"]
    theirs.targets[offer], theirs.parts[offer] = str(tmp_path / "target"), {}
    theirs.call("transfer.accept", {"transfer": offer}, descriptors=[directory])
    os.close(directory)
    assert ours.wait_end(key, others=[theirs])["state"] == "completed"
    assert tree_of(str(tmp_path / "target")) == [("x", 100)]


@pytest.mark.parametrize("method", ["transfer.watch", "transfer.pause", "transfer.placed", "transfer.list"])
def test_descriptors_where_none_are_asked_for_end_the_session(calm, method, tmp_path):
    with Carrier(calm[0].socket) as client:
        fd = os.open(make_file(str(tmp_path / "x"), 1), os.O_RDONLY)
        client.send(ratsipc.encode_call(99, method, {}, fds=1), [fd])
        os.close(fd)
        assert client.read_until_closed()[-1].kind == ratsipc.FAIL


def test_more_descriptors_than_a_method_takes_end_the_session(calm, two, tmp_path):
    with Carrier(calm[0].socket) as client:
        fds = [os.open(make_file(str(tmp_path / "x"), 1), os.O_RDONLY) for _ in range(2)]
        params = {"peer": two[1].info["peer_id"], "kind": "file", "name": "x"}
        client.send(ratsipc.encode_call(99, "transfer.send", params, fds=2), fds)
        for fd in fds:
            os.close(fd)
        assert client.read_until_closed()[-1].kind == ratsipc.FAIL


# --- whose it is ---

def test_the_first_to_accept_has_it_and_the_others_hear_so(two, shared_pair, tmp_path):
    ours, theirs = two
    with Carrier(shared_pair[1].socket, watch=("file",)) as another:
        key = ours.send_file(theirs.info["peer_id"], make_file(str(tmp_path / "s"), 100))
        offer = theirs.wait_offer()["transfer"]
        assert another.wait_offer()["transfer"] == offer
        another.accept(offer, str(tmp_path / "target"))
        theirs.serve(lambda: theirs.state(offer) == "cancelled", "it is gone", others=[another])
        assert ours.wait_end(key, others=[another])["state"] == "completed"
        assert refused(theirs, "transfer.reject", {"transfer": offer}, [], "not_found")
        assert theirs.call("transfer.get", {"transfer": offer})["state"] == "cancelled"


def test_ids_cannot_be_guessed(two, shared_pair):
    """R13: what belongs to another is as if it were not there; and its ids tell nothing about others."""
    ours, theirs = two
    dice = random.Random(5)
    key = ours.call("transfer.send", {"peer": theirs.info["peer_id"], "kind": "directory", "name": "x"},
                    body=manifest([("a", 1)]))["transfer"]
    more = ours.call("transfer.send", {"peer": theirs.info["peer_id"], "kind": "directory", "name": "x"},
                     body=manifest([("a", 1)]))["transfer"]
    assert len(key) == 32 and int(key, 16) >= 0 and sum(a == b for a, b in zip(key, more)) < 12
    guesses = ["%032x" % dice.getrandbits(128) for _ in range(2000)]
    guesses += ["%032x" % (int(key, 16) ^ (1 << bit)) for bit in range(128)]
    with Carrier(shared_pair[0].socket) as thief:
        for start in range(0, len(guesses), 100):
            for guess in guesses[start:start + 100]:
                thief.begin("transfer.cancel", {"transfer": guess})
            for frame_id in list(thief.calls):
                with pytest.raises(ratsipc.Failed) as failed:
                    thief.finish(frame_id)
                assert failed.value.error == "not_found"
    for name in (key, more):
        ours.call("transfer.cancel", {"transfer": name})


def test_one_that_stops_has_no_transfers_and_is_shown_none(two, shared_pair, tmp_path):
    ours, theirs = two
    source = make_file(str(tmp_path / "s"), 100)
    with Carrier(shared_pair[0].socket) as sender:
        sender.send_file(theirs.info["peer_id"], source)
        offer = theirs.wait_offer()["transfer"]
        sender.call("session.stop")
        assert theirs.wait_end(offer)["state"] == "cancelled"
    theirs.call("session.stop")
    key = ours.send_file(theirs.info["peer_id"], source)
    assert ours.wait_end(key)["state"] == "cancelled" and not theirs.offers


@pytest.mark.parametrize("who", ["sender", "receiver"])
def test_a_program_that_dies_leaves_nothing_open(calm, tmp_path, who):
    source = make_tree(str(tmp_path / "source"), [("f%d" % at, 200000) for at in range(64)])
    with Carrier(calm[0].socket) as ours, Carrier(calm[1].socket) as theirs:
        key = ours.send_tree(theirs.info["peer_id"], source)
        offer = theirs.wait_offer()["transfer"]
        theirs.accept(offer, str(tmp_path / "target"), "directory")
        ours.serve(lambda: ours.state(key) == "running", "it runs", others=[theirs])
        dies, other, name = (ours, theirs, offer) if who == "sender" else (theirs, ours, key)
        dies.close()
        assert other.wait_end(name)["state"] == "cancelled"


# --- steering, over and over ---

def test_pausing_and_cancelling_from_both_sides(two, tmp_path):
    ours, theirs = two
    source = make_file(str(tmp_path / "s"), 64 << 20)
    for pauser, canceller in ((ours, theirs), (theirs, ours)):
        key = ours.send_file(theirs.info["peer_id"], source)
        offer = theirs.wait_offer()["transfer"]
        names = {ours: key, theirs: offer}
        theirs.accept(offer, str(tmp_path / "target"))
        pauser.serve(lambda: pauser.state(names[pauser]) == "running", "it runs")
        pauser.call("transfer.pause", {"transfer": names[pauser]})
        canceller.serve(lambda: canceller.state(names[canceller]) == "paused", "it is paused", others=[pauser])
        rate = canceller.call("transfer.get", {"transfer": names[canceller]})["rate"]
        assert rate == 0
        canceller.call("transfer.resume", {"transfer": names[canceller]})
        pauser.serve(lambda: pauser.state(names[pauser]) == "running", "it goes on", others=[canceller])
        assert "resuming" in pauser.changes[names[pauser]]
        canceller.call("transfer.cancel", {"transfer": names[canceller]})
        assert ours.wait_end(key, others=[theirs])["state"] == "cancelled"
        assert theirs.wait_end(offer)["state"] == "cancelled"
        assert refused(canceller, "transfer.resume", {"transfer": names[canceller]}, [], "not_found")
        os.unlink(str(tmp_path / "target.part"))


def test_statistics_sum_what_the_session_had(two, tmp_path):
    ours, theirs = two
    before = ours.call("transfer.statistics")
    key = ours.send_file(theirs.info["peer_id"], make_file(str(tmp_path / "s"), 1 << 20))
    theirs.accept(theirs.wait_offer()["transfer"], str(tmp_path / "target"))
    ours.wait_end(key, others=[theirs])
    after = ours.call("transfer.statistics")
    assert after["sent_bytes"] - before["sent_bytes"] == 1 << 20
    assert after["sent_files"] - before["sent_files"] == 1
    assert after["completed"] - before["completed"] == 1 and after["active"] == 0
    listed = ours.call("transfer.list")["transfers"]
    assert [row["state"] for row in listed if row["transfer"] == key] == ["completed"]


# --- between two daemons ---

def test_what_was_asked_for_comes(two, tmp_path):
    ours, theirs = two
    source = make_tree(str(tmp_path / "source"), [("a/b", 70000), ("c", 0)])
    key = ours.call("transfer.request", {"peer": theirs.info["peer_id"], "kind": "directory",
                                         "path": "shared/things"})["transfer"]
    theirs.serve(lambda: theirs.requests, "the request")
    request = theirs.requests.pop()
    assert request["path"] == "shared/things" and request["depth"] == "tree"
    theirs.sources[request["transfer"]] = source
    theirs.call("transfer.accept", {"transfer": request["transfer"]}, body=manifest(tree_of(source)))
    offer = ours.wait_offer()
    assert offer["transfer"] == key and offer["request"] and offer["name"] == "things"
    ours.accept(key, str(tmp_path / "target"), "directory")
    assert ours.wait_end(key, others=[theirs])["state"] == "completed"
    assert tree_of(str(tmp_path / "target")) == tree_of(source)


def test_a_transfer_outlasts_its_link(daemon, tmp_path):
    left, right = daemon(name="left"), daemon(name="right")
    link(left, right)
    size = 200 << 20
    source = make_file(str(tmp_path / "s"), size)
    with Carrier(left.socket) as ours, Carrier(right.socket) as theirs:
        key = ours.send_file(theirs.info["peer_id"], source)
        offer = theirs.wait_offer()["transfer"]
        theirs.accept(offer, str(tmp_path / "target"))
        for part in (1, 2):
            ours.serve(lambda part=part: ours.last.get(key, {}).get("done_bytes", 0) > size // 4 * part
                       and not ours.last[key]["waiting"], "some came", others=[theirs])
            ours.call("peer.disconnect", {"peer": theirs.info["peer_id"]})
            for client, name in ((ours, key), (theirs, offer)):
                client.serve(lambda client=client, name=name: client.last[name]["waiting"], "it waits")
            link(left, right)
        assert ours.wait_end(key, others=[theirs], timeout=60)["state"] == "completed"
        assert theirs.wait_end(offer)["state"] == "completed"
        assert ours.changes[key].count("resuming") == 2
    assert digest(str(tmp_path / "target")) == digest(source)


def test_a_program_that_cannot_go_on_says_why(two, tmp_path):
    ours, theirs = two
    source = make_tree(str(tmp_path / "source"), [("f", 100)])
    key = ours.send_tree(theirs.info["peer_id"], source)
    offer = theirs.wait_offer()["transfer"]
    theirs.is_stubborn = True
    theirs.accept(offer, str(tmp_path / "target"), "directory")
    theirs.call("transfer.fail", {"transfer": offer, "error": "the folder is gone"})
    end = theirs.wait_end(offer)
    assert end["state"] == "failed" and end["error"] == "the folder is gone"
    assert ours.wait_end(key)["state"] == "failed"


def test_a_source_that_becomes_shorter_is_not_delivered(two, tmp_path):
    ours, theirs = two
    source = make_file(str(tmp_path / "s"), 64 << 20)
    key = ours.send_file(theirs.info["peer_id"], source)
    offer = theirs.wait_offer()["transfer"]
    theirs.accept(offer, str(tmp_path / "target"))
    theirs.serve(lambda: theirs.state(offer) == "running", "it runs")
    theirs.call("transfer.pause", {"transfer": offer})
    ours.serve(lambda: ours.state(key) == "paused", "it is paused")
    os.truncate(source, 1000)
    theirs.begin("transfer.resume", {"transfer": offer})  # unless reading ahead has found out already
    end = ours.wait_end(key, others=[theirs])
    assert end["state"] == "failed" and "file" in end["error"]
    assert theirs.wait_end(offer)["state"] == "failed"
    assert not os.path.exists(str(tmp_path / "target"))
