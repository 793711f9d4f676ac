"""Files between ratsd and a Python peer, both roles (wire-services 3). The peer is a plain librats 2.x one: it
knows nothing of what two ratsd say to each other, unless a test says so."""
import hashlib
import json
import os
import time

import pytest
import ratsipc
from carrier import Carrier
from daemons import ROOT, wait_until
from filewire import (CANCEL, CHUNK, COMPLETE, FILE_END, PAUSE, PROGRESS, RESPONSE, RESUME, WINDOW, chunk,
                      complete, control, decode, decode_offer, file_end, offer, progress, response)
from peering import flood, wire

KIB = 1024


@pytest.fixture(name="carrier")
def a_program(shared_daemon):
    with Carrier(shared_daemon.socket) as client:
        yield client


@pytest.fixture(name="linked", params=["dialed by the peer", "dialed by the daemon"])
def a_program_and_a_peer(request, shared_daemon, carrier, peers):
    node = peers.node()
    link = (peers.dial(shared_daemon, node) if "by the peer" in request.param
            else peers.call(carrier, node)[0])
    carrier.wait_event("peer.connected", where=lambda fields: fields["peer"] == node.id)
    yield carrier, node, link
    link.close()


def send(link, payload):
    link.send_message(wire.FILE_CHUNK, payload)


def receive(link, timeout=wire.TIMEOUT_S):
    return link.wait(wire.FILE_CHUNK, timeout).payload


def wait_op(link, op, timeout=wire.TIMEOUT_S):
    """What follows the id in the next frame of that kind; others are dropped."""
    while True:
        found, number, rest = decode(receive(link, timeout))
        if found == op:
            return number, rest


def make_file(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return str(path)


def offered_file(carrier, node, link, tmp_path, content):
    """A program offers a file: its transfer, and the id on the wire."""
    path = make_file(str(tmp_path / "source"), content)
    key = carrier.send_file(node.id, path, "shown")
    said = decode_offer(receive(link))
    assert said == (said.id, False, len(content), b"shown", [(b"shown", len(content))])
    assert said.id >= 1 << 32  # ids of upstream start at 1, in one space for both directions
    return key, said.id


def take_all(link, number, files, acknowledge=True):
    """Receives as upstream does: the content of each file, with its hash compared."""
    contents, received = [], 0
    for at, size in enumerate(files):
        content = b""
        while True:
            op, found, rest = decode(receive(link))
            assert found == number and op in (CHUNK, FILE_END)
            assert int.from_bytes(rest[:4], "big") == at
            if op == FILE_END:
                assert len(content) == size and rest[4:] == hashlib.sha256(content).digest()
                break
            assert int.from_bytes(rest[4:12], "big") == len(content)
            content += rest[12:]
            received += len(rest) - 12
            if acknowledge:
                send(link, progress(number, received))
        contents.append(content)
    return contents


# --- the daemon sends ---

@pytest.mark.parametrize("size", [0, 1, 70000, 5 * KIB * KIB])
def test_a_file_is_sent(linked, tmp_path, size):
    carrier, node, link = linked
    content = os.urandom(size)
    key, number = offered_file(carrier, node, link, tmp_path, content)
    send(link, response(number, True))
    assert take_all(link, number, [size]) == [content]
    assert carrier.serve(lambda: carrier.state(key) == "running", "it runs")
    send(link, complete(number, True))
    end = carrier.wait_end(key)
    assert end["state"] == "completed" and end["done_bytes"] == size and not end["waiting"]


def test_a_tree_is_sent(linked, tmp_path):
    carrier, node, link = linked
    contents = {"a/%03d" % at: os.urandom(at * 11) for at in range(70)}
    for path, content in contents.items():
        make_file(str(tmp_path / "tree" / path), content)
    key = carrier.send_tree(node.id, str(tmp_path / "tree"))
    said = decode_offer(receive(link))
    assert said.is_directory and said.name == b"tree" and len(said.files) == 70
    assert said.total == sum(len(content) for content in contents.values())
    send(link, response(said.id, True))
    got = []
    for at, (path, size) in enumerate(said.files):  # descriptors are asked for as it goes on
        content = b""
        while True:
            carrier.serve(lambda: link.wait_readable(0), "a frame")
            op, _, rest = decode(receive(link))
            assert int.from_bytes(rest[:4], "big") == at
            if op == FILE_END:
                assert rest[4:] == hashlib.sha256(content).digest() and len(content) == size
                break
            content += rest[12:]
        assert contents[path.decode()] == content
        got.append(path)
    assert len(got) == 70
    send(link, complete(said.id, True))
    assert carrier.wait_end(key)["done_files"] == 70


def test_a_peer_that_acknowledges_nothing_gets_one_window(linked, tmp_path):
    carrier, node, link = linked
    content = os.urandom(6 * KIB * KIB)
    _, number = offered_file(carrier, node, link, tmp_path, content)
    send(link, response(number, True))
    received = 0
    with pytest.raises(TimeoutError):
        while True:
            received += len(decode(receive(link, 0.5))[2]) - 12
    assert WINDOW <= received < WINDOW + 64 * KIB
    send(link, progress(number, 1 << 62))  # more than was sent counts as what was sent
    more = 0
    with pytest.raises(TimeoutError):
        while True:
            op, _, rest = decode(receive(link, 0.5))
            more += len(rest) - 12 if op == CHUNK else 0
    assert received + more == len(content)
    send(link, control(CANCEL, number))


def test_a_pause_of_the_peer_holds_it(linked, tmp_path):
    carrier, node, link = linked
    content = os.urandom(8 * KIB * KIB)
    key, number = offered_file(carrier, node, link, tmp_path, content)
    send(link, response(number, True))
    wait_op(link, CHUNK)
    send(link, control(PAUSE, number))
    carrier.serve(lambda: carrier.state(key) == "paused", "it is paused")
    taken = b""
    with pytest.raises(TimeoutError):
        while True:
            taken += receive(link, 0.5)
    send(link, progress(number, WINDOW // 2))  # which opens the window, and changes nothing
    with pytest.raises(TimeoutError):
        receive(link, 0.3)
    send(link, control(RESUME, number))
    wait_op(link, CHUNK)
    assert "resuming" in carrier.serve(lambda: carrier.state(key) == "running", "on").changes[key]
    carrier.call("transfer.cancel", {"transfer": key})
    assert wait_op(link, CANCEL) == (number, b"")


def test_a_refusal_ends_it(linked, tmp_path):
    carrier, node, link = linked
    key, number = offered_file(carrier, node, link, tmp_path, b"x")
    send(link, response(number, False))
    assert carrier.wait_end(key)["state"] == "cancelled"
    key, number = offered_file(carrier, node, link, tmp_path, b"x")
    send(link, response(number, False) + "nicht ü".encode("utf-8"))  # as another ratsd says it
    assert carrier.wait_end(key)["error"] == "nicht ü"


def test_success_before_the_end_is_none(linked, tmp_path):
    carrier, node, link = linked
    key, number = offered_file(carrier, node, link, tmp_path, os.urandom(8 * KIB * KIB))
    send(link, response(number, True))
    wait_op(link, CHUNK)
    send(link, complete(number, True))
    assert carrier.wait_end(key)["state"] == "failed"
    assert wait_op(link, COMPLETE) == (number, b"\0")


@pytest.mark.parametrize("queue", ["96K", "512K", "8M"])
def test_messages_pass_a_file_on_a_slow_link_whose_queue_is_small(daemon, peers, tmp_path, queue):
    server = daemon(config="[network]\nlink_queue = %s\n" % queue)
    node, flooding, asking = peers.node(), server.client(), server.client()
    with Carrier(server.socket) as program:
        link = peers.dial(server, node)
        program.wait_event("peer.connected")
        size = 96 * KIB * KIB
        _, number = offered_file(program, node, link, tmp_path, bytes(size))
        send(link, response(number, True))
        flood(flooding, node.id)
        asking.begin_message(node.id, "x", b"at last")
        taken = 0
        while taken < size // 2:
            message = link.receive()
            if message.payload == b"at last":
                return
            if message.type == wire.FILE_CHUNK:
                taken += 64 * KIB
                send(link, progress(number, taken))
                time.sleep(0.001)  # what fills the link is quicker
        raise AssertionError("the file leaves no room for messages")


def test_a_third_peer_has_no_say(shared_daemon, carrier, peers, tmp_path):
    """Ids are small numbers with others: whoever knows one could answer for somebody else."""
    node, thief = peers.node(), peers.node()
    link, other = peers.dial(shared_daemon, node), peers.dial(shared_daemon, thief)
    carrier.wait_event("peer.connected", where=lambda fields: fields["peer"] == thief.id)
    key, number = offered_file(carrier, node, link, tmp_path, os.urandom(6 * KIB * KIB))
    send(other, response(number, True))
    with pytest.raises(TimeoutError):
        receive(other, 0.3)  # the peer that had not agreed got what was offered to another
    send(link, response(number, True))
    wait_op(link, CHUNK)
    for frame in (progress(number, 1 << 40), complete(number, True), control(PAUSE, number), control(CANCEL, number)):
        send(other, frame)
    other.send_app("x", b"")
    sent = 1
    with pytest.raises(TimeoutError):
        while True:
            sent += decode(receive(link, 0.5))[0] == CHUNK
    assert sent == WINDOW // (64 * KIB)  # neither stalled nor let go on
    assert carrier.serve(lambda: carrier.state(key) == "running", "it runs")
    link.close()
    assert carrier.wait_end(key)["state"] == "failed"
    other.close()


# --- the daemon receives ---

@pytest.mark.parametrize("piece", [64 * KIB, 40000, 1])
def test_a_file_is_received(linked, tmp_path, piece):
    carrier, node, link = linked
    content = os.urandom(300000 if piece > 1 else 300)
    send(link, offer(1, [(b"name", len(content))], False))
    key = carrier.wait_offer()["transfer"]
    carrier.accept(key, str(tmp_path / "target"))
    assert receive(link) == response(1, True)
    for at in range(0, len(content), piece):
        send(link, chunk(1, 0, at, content[at:at + piece]))
    assert wait_op(link, PROGRESS)[0] == 1
    send(link, file_end(1, 0, content))
    assert carrier.wait_end(key)["state"] == "completed"
    while True:
        op, _, rest = decode(receive(link))
        if op == COMPLETE:
            assert rest == b"\1"
            break
        assert op == PROGRESS
    assert (tmp_path / "target").read_bytes() == content
    assert not os.path.exists(str(tmp_path / "target.part"))


def test_a_tree_is_received(linked, tmp_path):
    carrier, node, link = linked
    contents = [(b"d%d/e/f%d" % (at % 3, at), os.urandom(at * 700)) for at in range(50)]
    send(link, offer(5, [(path, len(content)) for path, content in contents], True))
    key = carrier.wait_offer()["transfer"]
    carrier.accept(key, str(tmp_path / "out"), "directory")
    for at, (_, content) in enumerate(contents):
        if content:
            send(link, chunk(5, at, 0, content))
        send(link, file_end(5, at, content))
    assert carrier.wait_end(key)["state"] == "completed"
    assert wait_op(link, COMPLETE) == (5, b"\1")
    for path, content in contents:
        assert (tmp_path / "out" / path.decode()).read_bytes() == content


def test_an_empty_tree_is_complete_at_once(linked, tmp_path):
    carrier, _, link = linked
    send(link, offer(6, [], True))
    key = carrier.wait_offer()["transfer"]
    carrier.accept(key, str(tmp_path / "out"), "directory")
    assert receive(link) == response(6, True)
    assert receive(link) == complete(6, True)
    assert carrier.wait_end(key)["state"] == "completed"


def test_a_reason_follows_the_refusal(linked):
    carrier, _, link = linked
    send(link, offer(2, [(b"name", 5)], False))
    key = carrier.wait_offer()["transfer"]
    carrier.call("transfer.reject", {"transfer": key, "reason": "no time"})
    assert receive(link) == response(2, False) + b"no time"


def test_without_a_program_that_watches_it_is_refused_at_once(shared_daemon, peers):
    link = peers.dial(shared_daemon)
    send(link, offer(2, [(b"name", 5)], False))
    assert receive(link)[:10] == response(2, False)


@pytest.mark.parametrize("wrong", ["hash", "gap", "file", "too much", "early end"])
def test_a_sender_that_breaks_the_rules_is_dropped(linked, tmp_path, wrong):
    carrier, _, link = linked
    content = os.urandom(100000)
    send(link, offer(3, [(b"name", len(content))], False))
    key = carrier.wait_offer()["transfer"]
    carrier.accept(key, str(tmp_path / "target"))
    assert receive(link) == response(3, True)
    send(link, chunk(3, 0, 0, content[:50000]))
    if wrong == "hash":
        send(link, chunk(3, 0, 50000, content[50000:]))
        send(link, file_end(3, 0, content + b"!"))
    elif wrong == "gap":
        send(link, chunk(3, 0, 60000, content[60000:]))
    elif wrong == "file":
        send(link, chunk(3, 1, 50000, content[50000:]))
    elif wrong == "too much":
        send(link, chunk(3, 0, 50000, content[50000:] + b"!"))
    else:
        send(link, file_end(3, 0, content[:50000]))
    assert wait_op(link, COMPLETE) == (3, b"\0")
    end = carrier.wait_end(key)
    assert end["state"] == "failed" and end["error"]
    assert not os.path.exists(str(tmp_path / "target"))  # whatever came, nothing is delivered


def test_a_sender_that_ignores_the_window_is_dropped(linked, tmp_path):
    """Nothing is written without a descriptor, so nothing is acknowledged."""
    carrier, _, link = linked
    carrier.is_stubborn = True
    send(link, offer(4, [(b"f", 64 * KIB * KIB)], True))
    key = carrier.wait_offer()["transfer"]
    carrier.accept(key, str(tmp_path / "out"), "directory")
    assert receive(link) == response(4, True)
    for at in range(0, WINDOW + 256 * KIB, 64 * KIB):
        send(link, chunk(4, 0, at, bytes(64 * KIB)))
    assert wait_op(link, COMPLETE) == (4, b"\0")
    assert "window" in carrier.wait_end(key)["error"]


def test_a_second_offer_with_a_live_id_is_ignored(linked):
    carrier, _, link = linked
    send(link, offer(9, [(b"first", 5)], False, b"first"))
    send(link, offer(9, [(b"second", 5)], False, b"second"))
    send(link, offer(10, [(b"third", 5)], False, b"third"))
    assert carrier.wait_offer()["name"] == "first"
    assert carrier.wait_offer()["name"] == "third"
    send(link, control(CANCEL, 9))
    send(link, control(CANCEL, 10))
    carrier.serve(lambda: sum(states[-1] == "cancelled" for states in carrier.changes.values()) == 2, "both end")


def test_an_offer_that_no_message_could_hold_is_ignored(linked):
    carrier, _, link = linked
    truth = offer(11, [(b"x", 5)], True)
    send(link, truth.replace(b"\0\0\0\1\0\1x", b"\xff\xff\xff\xff\0\1x"))
    send(link, offer(12, [(b"x", 5)], False))
    assert carrier.wait_offer()["total_bytes"] == 5
    send(link, control(CANCEL, 12))


def test_sizes_are_summed_and_not_believed(linked):
    carrier, _, link = linked
    send(link, offer(13, [(b"x", 1 << 63), (b"y", 1 << 63)], True, total=3))
    assert receive(link)[:10] == response(13, False)
    send(link, offer(14, [(b"x", 7), (b"y", 8)], True, total=1))
    assert carrier.wait_offer()["total_bytes"] == 15
    send(link, control(CANCEL, 14))


def test_there_must_be_room_before_anything_is_accepted(linked, tmp_path):
    carrier, _, link = linked
    send(link, offer(15, [(b"x", 1 << 60)], False))
    key = carrier.wait_offer()["transfer"]
    with pytest.raises(ratsipc.Failed) as failed:
        carrier.accept(key, str(tmp_path / "target"))
    assert failed.value.error == "operation_failed" and "space" in failed.value.text
    with pytest.raises(TimeoutError):
        receive(link, 0.3)
    carrier.call("transfer.reject", {"transfer": key})
    assert receive(link)[:10] == response(15, False)


def hostile_names():
    with open(os.path.join(ROOT, "tests", "vectors", "hostile_names.json"), encoding="utf-8") as file:
        return [bytes.fromhex(row["hex"]) for row in json.load(file)["names"]]


def test_hostile_names_are_refused_without_asking(shared_daemon, carrier, peers):
    link = peers.dial(shared_daemon)
    names = [name for name in hostile_names() if len(name) < 65536]
    assert len(names) >= 500
    for number, name in enumerate(names):
        send(link, offer(100 + number, [(b"good", 1), (name, 1)], True))
    for number in range(len(names)):
        assert receive(link)[:10] == response(100 + number, False)
    send(link, offer(5000, [(b"last", 1)], True, b"last"))
    assert carrier.wait_offer()["name"] == "last"  # and nothing of those before
    link.close()


def test_the_name_of_an_offer_is_made_safe_to_show(linked):
    carrier, _, link = linked
    send(link, offer(16, [(b"x", 1)], False, b"\x1b[2J../../etc\xff"))
    name = carrier.wait_offer()["name"]
    assert "\x1b" not in name and "\\x1b" in name
    send(link, control(CANCEL, 16))


def test_a_plain_peer_that_goes_fails_its_transfers(shared_daemon, carrier, peers, tmp_path):
    node = peers.node()
    link = peers.dial(shared_daemon, node)
    carrier.wait_event("peer.connected", where=lambda fields: fields["peer"] == node.id)
    sent, number = offered_file(carrier, node, link, tmp_path, os.urandom(8 * KIB * KIB))
    send(link, response(number, True))
    send(link, offer(1, [(b"x", 100)], False))
    received = carrier.wait_offer()["transfer"]
    carrier.accept(received, str(tmp_path / "target"))
    wait_op(link, CHUNK)
    link.close()
    for key in (sent, received):
        end = carrier.wait_end(key)
        assert end["state"] == "failed" and not end["waiting"]


# --- what two ratsd say ---

def say(link, message):
    link.send_app("ratsd.ctl", b"RDC1" + json.dumps(message).encode())


def hear(link, op):
    while True:
        payload = link.wait(wire.APP, channel=wire.RATSD_ONLY).payload
        assert payload[:4] == b"RDC1" and len(payload) <= 16 * KIB
        message = json.loads(payload[4:])
        if message["op"] == op:
            return message


def test_we_say_what_we_can_once(linked):
    _, _, link = linked
    said = hear(link, "hello")
    assert said["v"] == 1 and said["agent"].startswith("ratsd/")
    assert set(said["caps"]) >= {"pull", "reason"}
    with pytest.raises(TimeoutError):
        link.wait(wire.APP, 0.3, channel=wire.RATSD_ONLY)


def test_a_peer_that_does_not_say_so_is_not_asked(linked):
    carrier, node, _ = linked
    with pytest.raises(ratsipc.Failed) as failed:
        carrier.call("transfer.request", {"peer": node.id, "kind": "file", "path": "x"})
    assert failed.value.error == "not_supported"


def ask(carrier, node, link, **params):
    """A program asks a peer that understands it: the id of the transfer."""
    say(link, {"op": "hello", "v": 1, "caps": ["pull"], "more": None})

    def asked():
        try:
            return carrier.call("transfer.request", dict({"peer": node.id, "kind": "file", "path": "a/b"}, **params))
        except ratsipc.Failed as failed:
            assert failed.error == "not_supported"
            return None
    return wait_until(asked, "the hello was heard")["transfer"]


def test_what_was_asked_for_is_taken_from_the_offer_named(linked, tmp_path):
    carrier, node, link = linked
    key = ask(carrier, node, link)
    assert hear(link, "pull") == {"op": "pull", "id": key, "kind": "file", "path": "a/b", "recursive": True}
    say(link, {"op": "pull_ok", "id": key, "offer": "17"})
    send(link, offer(17, [(b"b", 3)], False, b"b"))
    said = carrier.wait_offer()
    assert said["transfer"] == key and said["request"]
    carrier.accept(key, str(tmp_path / "target"))
    send(link, chunk(17, 0, 0, b"abc"))
    send(link, file_end(17, 0, b"abc"))
    assert carrier.wait_end(key)["state"] == "completed"


def test_a_peer_that_refuses_says_why(linked):
    carrier, node, link = linked
    key = ask(carrier, node, link, kind="directory", depth="flat")
    assert hear(link, "pull")["recursive"] is False
    say(link, {"op": "pull_no", "id": key, "reason": "not here"})
    end = carrier.wait_end(key)
    assert end["state"] == "failed" and end["error"] == "not here"


def test_a_peer_has_16_requests_to_decide_and_the_others_wait_their_turn(linked):
    carrier, node, link = linked
    keys = [ask(carrier, node, link)]
    keys += [carrier.call("transfer.request", {"peer": node.id, "kind": "file", "path": "f%d" % number})["transfer"]
             for number in range(39)]
    heard = [hear(link, "pull")["id"] for _ in range(16)]
    with pytest.raises(TimeoutError):
        link.wait(wire.APP, 0.3, channel=wire.RATSD_ONLY)
    carrier.call("transfer.cancel", {"transfer": keys[20]})  # the peer never heard of it
    carrier.call("transfer.cancel", {"transfer": keys[3]})
    assert hear(link, "pull_cancel")["id"] == keys[3]
    for number in range(22):
        heard.append(hear(link, "pull")["id"])
        if number % 2 == 0:
            say(link, {"op": "pull_no", "id": heard[-1], "reason": "no"})
        else:  # decided, though the offer has no answer
            say(link, {"op": "pull_ok", "id": heard[-1], "offer": str(1000 + number)})
            send(link, offer(1000 + number, [(b"x", 3)], False, b"x"))
    del keys[20]
    assert heard == keys[:39 - 1]
    say(link, {"op": "pull_no", "id": heard[0], "reason": "no"})
    assert hear(link, "pull")["id"] == keys[-1]


def test_a_program_that_ends_with_requests_that_wait_asks_for_none_of_them(linked):
    carrier, node, link = linked
    keys = [ask(carrier, node, link)]
    keys += [carrier.call("transfer.request", {"peer": node.id, "kind": "file", "path": "f%d" % number})["transfer"]
             for number in range(39)]
    assert [hear(link, "pull")["id"] for _ in range(16)] == keys[:16]
    carrier.close()
    said = [json.loads(link.wait(wire.APP, channel=wire.RATSD_ONLY).payload[4:]) for _ in range(16)]
    assert [(message["op"], message["id"]) for message in said] == [("pull_cancel", key) for key in keys[:16]]
    with pytest.raises(TimeoutError):
        link.wait(wire.APP, 0.3, channel=wire.RATSD_ONLY)


def test_requests_wait_while_the_link_is_full(linked):
    carrier, node, link = linked
    first = ask(carrier, node, link)
    assert hear(link, "pull")["id"] == first
    carrier.send_message(node.id, "x", bytes(40 << 20))
    keys = [carrier.call("transfer.request", {"peer": node.id, "kind": "file", "path": "f%d" % number})["transfer"]
            for number in range(3)]
    assert len(link.wait(wire.APP, 60, channel=wire.channel_id("x")).payload) == 40 << 20
    assert [hear(link, "pull")["id"] for _ in range(3)] == keys


def test_a_request_that_is_cancelled_tells_the_peer(linked):
    carrier, node, link = linked
    key = ask(carrier, node, link)
    carrier.call("transfer.cancel", {"transfer": key})
    assert hear(link, "pull_cancel")["id"] == key
    assert carrier.wait_end(key)["state"] == "cancelled"


@pytest.mark.parametrize("announced", [False, True], ids=["altogether", "with its offer"])
def test_an_answer_that_crosses_the_cancel_is_shown_to_nobody(linked, announced):
    """Also when the answer was heard, and only the offer, which may be long, was still on its way."""
    carrier, node, link = linked
    key = ask(carrier, node, link)
    if announced:
        say(link, {"op": "pull_ok", "id": key, "offer": "17"})
        say(link, {"op": "waits", "offer": "124"})
        wait_op(link, CANCEL)
    carrier.call("transfer.cancel", {"transfer": key})
    assert hear(link, "pull_cancel")["id"] == key
    if not announced:
        say(link, {"op": "pull_ok", "id": key, "offer": "17"})
    send(link, offer(17, [(b"b", 3)], False, b"b"))
    number, rest = wait_op(link, RESPONSE)
    assert number == 17 and rest[0] == 0
    send(link, offer(18, [(b"b", 3)], False, b"b"))  # another is an offer like any other
    assert carrier.wait_offer()["transfer"] != key and not carrier.offers


def test_a_peer_that_asks_is_served_by_a_program(linked, tmp_path):
    carrier, _, link = linked
    number = "%032x" % 77
    say(link, {"op": "pull", "id": number, "kind": "file", "path": "../x/name", "recursive": False})
    carrier.serve(lambda: carrier.requests, "the request")
    request = carrier.requests.pop()
    assert request["path"] == "../x/name" and request["depth"] == "flat"
    fd = os.open(make_file(str(tmp_path / "served"), b"content"), os.O_RDONLY)
    carrier.call("transfer.accept", {"transfer": request["transfer"]}, descriptors=[fd])
    os.close(fd)
    answer = hear(link, "pull_ok")
    said = decode_offer(receive(link))
    assert answer["id"] == number and int(answer["offer"]) == said.id and said.name == b"name"
    send(link, response(said.id, True))
    assert take_all(link, said.id, [7]) == [b"content"]
    send(link, complete(said.id, True))
    assert carrier.wait_end(request["transfer"])["state"] == "completed"


def test_a_peer_whose_request_is_refused_hears_why(linked):
    carrier, _, link = linked
    number = "%032x" % 78
    say(link, {"op": "pull", "id": number, "kind": "dir", "path": "x", "recursive": True})
    carrier.serve(lambda: carrier.requests, "the request")
    carrier.call("transfer.reject", {"transfer": carrier.requests.pop()["transfer"], "reason": "no"})
    assert hear(link, "pull_no") == {"op": "pull_no", "id": number, "reason": "no"}


def test_a_transfer_unknown_to_the_other_end_is_given_up(linked):
    _, _, link = linked
    say(link, {"op": "resume", "offer": "123", "file": 0, "offset": 0})
    assert wait_op(link, COMPLETE) == (123, b"\0")
    say(link, {"op": "waits", "offer": "124"})
    assert wait_op(link, CANCEL) == (124, b"")
