"""rats-ipc(7), MESSAGE frames: two daemons, a link, and the bytes that must arrive."""
import hashlib
import os

import pytest
import ratsipc
from daemons import wait_until


@pytest.fixture
def ends(shared_pair):
    """A session on each of two linked daemons."""
    first, second = shared_pair
    a, b = first.client(), second.client()
    yield a, b
    a.close()
    b.close()


def test_a_channel_both_ways(ends):
    a, b = ends
    a.listen("talk")
    b.listen("talk")
    a.send_message(b.info["peer_id"], "talk", b"to b")
    assert b.wait_message() == (a.info["peer_id"], "talk", b"to b", 1, 0)
    b.send_message(a.info["peer_id"], "talk", b"to a")
    assert a.wait_message() == (b.info["peer_id"], "talk", b"to a", 1, 0)


@pytest.mark.parametrize("name", ["rats.string", "rats.binary", "rats.json", "", "ü",
                                  "n" * 255])
@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 3000000])
def test_names_and_sizes(ends, name, size):
    a, b = ends
    a.call("session.start")
    b.listen(name)
    body = os.urandom(size)
    assert a.send_asked(b.info["peer_id"], name, body) == 1
    message = b.wait_message()
    assert message.name == name
    assert hashlib.sha256(message.body).digest() == hashlib.sha256(body).digest()


def test_the_largest_message_and_one_byte_more(ends):
    a, b = ends
    a.call("session.start")
    b.listen("big")
    body = os.urandom(1 << 20) * 64
    body = body[:ratsipc.MAX_PAYLOAD]
    a.send_message(b.info["peer_id"], "big", body)
    message = b.wait_message(timeout=60)
    assert hashlib.sha256(message.body).digest() == hashlib.sha256(body).digest()
    with pytest.raises(ratsipc.Failed) as failed:
        a.send_asked(b.info["peer_id"], "big", body + b"x", timeout=60)
    assert failed.value.error in ("too_large", "invalid_parameter")
    assert a.is_alive() and b.is_alive()


def test_order_is_kept(ends):
    a, b = ends
    a.call("session.start")
    b.listen("order")
    count = 5000
    a.send(b"".join(ratsipc.encode_message(b.info["peer_id"], "order", b"%d" % i)
                    for i in range(count)))
    assert [int(b.wait_message().body) for _ in range(count)] == list(range(count))


def test_to_every_peer(ends):
    a, b = ends
    a.call("session.start")
    b.listen("all")
    assert a.send_asked(ratsipc.EVERY_PEER, "all", b"x") == 1
    assert b.wait_message().body == b"x"


def test_to_a_peer_that_is_not_connected(ends):
    a, _ = ends
    a.call("session.start")
    with pytest.raises(ratsipc.Failed) as failed:
        a.send_asked("ab" * 32, "x", b"x")
    assert failed.value.error == "peer_not_found"
    a.send_message("ab" * 32, "x", b"x")  # never answered
    assert a.is_alive()


def test_to_nobody(daemon):
    client = daemon().client()
    client.call("session.start")
    assert client.send_asked(ratsipc.EVERY_PEER, "x", b"x") == 0


def test_only_what_was_asked_for_arrives(ends):
    a, b = ends
    a.call("session.start")
    b.listen("wanted")
    b.call("channel.on", {"channel": "not any more"})
    b.call("channel.off", {"channel": "not any more"})
    for name in ("unwanted", "not any more", "wanted"):
        a.send_message(b.info["peer_id"], name, name.encode())
    assert b.wait_message().body == b"wanted"
    assert b.is_alive() and not b.messages


def test_nothing_arrives_unless_the_session_is_started(ends):
    a, b = ends
    a.call("session.start")
    b.call("channel.on", {"channel": "later"})
    assert a.send_asked(b.info["peer_id"], "later", b"early") == 1
    b.listen()
    assert a.send_asked(b.info["peer_id"], "later", b"now") == 1
    # Whether "early" came before the start is the network's affair; it never comes after "now".
    bodies = [b.wait_message().body]
    if bodies == [b"early"]:
        bodies.append(b.wait_message().body)
    assert bodies[-1] == b"now"
    b.call("session.stop")
    assert a.send_asked(b.info["peer_id"], "later", b"stopped") == 1
    other = a.listen("echo")
    assert other.is_alive() and b.is_alive() and not b.messages


def test_every_session_that_asked_gets_its_copy(shared_pair):
    first, second = shared_pair
    sender = first.client()
    sender.call("session.start")
    receivers = [second.client().listen("copies") for _ in range(4)]
    sender.send_message(receivers[0].info["peer_id"], "copies", b"one for each")
    for receiver in receivers:
        assert receiver.wait_message().body == b"one for each"
        assert not receiver.messages


def test_asking_twice_gives_one_copy(ends):
    a, b = ends
    a.call("session.start")
    b.call("channel.on", {"channel": "twice"})
    b.listen("twice")
    a.send_message(b.info["peer_id"], "twice", b"1")
    a.send_message(b.info["peer_id"], "twice", b"2")
    assert [b.wait_message().body, b.wait_message().body] == [b"1", b"2"]


def test_a_channel_that_was_never_asked_for_cannot_be_given_back(ends):
    a, _ = ends
    with pytest.raises(ratsipc.Failed) as failed:
        a.call("channel.off", {"channel": "never"})
    assert failed.value.error == "not_found"


def test_two_names_with_one_number(shared_pair):
    """ch117 and ch187 hash to one 16-bit id: the second is refused, whoever asks."""
    first, _ = shared_pair
    one, two = first.client(), first.client()
    number = one.call("channel.on", {"channel": "ch117"})["id"]
    for client in (one, two):
        with pytest.raises(ratsipc.Failed) as failed:
            client.call("channel.on", {"channel": "ch187"})
        assert failed.value.error == "busy"
    assert two.call("channel.on", {"channel": "ch117"})["id"] == number
    one.call("channel.off", {"channel": "ch117"})
    with pytest.raises(ratsipc.Failed):
        one.call("channel.on", {"channel": "ch187"})
    two.close()
    wait_until(lambda: taken(one, "ch187"), "the name is free once its last session is gone")
    assert one.call("channel.on", {"channel": "ch187"})["id"] == number


def taken(client, channel):
    try:
        client.call("channel.on", {"channel": channel})
        return True
    except ratsipc.Failed:
        return False


def test_a_peer_comes_and_goes(daemon):
    first, second = daemon(name="a"), daemon(name="b")
    a = first.client()
    port = second.port
    answer = a.call("peer.connect", {"host": "localhost", "port": port})
    assert answer == {"peer": second.peer_id, "already": False}
    connected = a.wait_event("peer.connected")
    assert connected["peer"] == answer["peer"]
    assert connected["encrypted"] and connected["outgoing"] and connected["transport"] == "tcp"
    assert a.call("peer.connect", {"host": "127.0.0.1", "port": port})["already"]
    listed = a.call("peer.list")["peers"]
    assert [p["peer"] for p in listed] == [answer["peer"]]
    assert a.call("peer.get", {"peer": answer["peer"]})["peer"] == answer["peer"]
    assert a.call("peer.disconnect", {"peer": answer["peer"]}) == {"disconnected": True}
    assert a.wait_event("peer.disconnected")["peer"] == answer["peer"]
    assert a.call("peer.disconnect", {"peer": answer["peer"]}) == {"disconnected": False}
    with pytest.raises(ratsipc.Failed) as failed:
        a.call("peer.get", {"peer": answer["peer"]})
    assert failed.value.error == "peer_not_found"


def test_an_unexpected_peer_is_refused(daemon):
    first, second = daemon(name="a"), daemon(name="b")
    a = first.client()
    with pytest.raises(ratsipc.Failed):
        a.call("peer.connect", {"host": "127.0.0.1", "port": second.port, "peer": "ab" * 32})
    assert a.call("peer.list")["peers"] == []
    answer = a.call("peer.connect", {"host": "127.0.0.1", "port": second.port,
                                     "peer": second.peer_id})
    assert answer["peer"] == second.peer_id


def test_our_own_address_is_refused(daemon):
    node = daemon()
    client = node.client()
    with pytest.raises(ratsipc.Failed):
        client.call("peer.connect", {"host": "127.0.0.1", "port": node.port})
    assert client.call("peer.list")["peers"] == []


def test_a_type_both_ways(ends):
    a, b = ends
    a.listen_types("talk", "")
    b.listen_types("talk")
    b.listen("talk")  # another plane
    a.send_message(b.info["peer_id"], "talk", b"[1]", plane=ratsipc.TYPED)
    assert b.wait_message() == (a.info["peer_id"], "talk", b"[1]", ratsipc.TYPED, 0)
    assert b.send_asked(a.info["peer_id"], "", b"[2]", plane=ratsipc.TYPED) == 1
    assert a.wait_message() == (b.info["peer_id"], "", b"[2]", ratsipc.TYPED, 0)
    b.call("typed.off", {"type": "talk"})
    a.send_message(b.info["peer_id"], "talk", b"[3]", plane=ratsipc.TYPED)
    a.send_message(b.info["peer_id"], "talk", b"[4]")
    assert b.wait_message().body == b"[4]"
