"""rats-ipc(7), Frame: what is malformed, and what it costs whom."""
import json
import os
import struct

import pytest
import ratsipc
from daemons import wait_until
from ratsipc import CALL, CANCEL, EVENT, FAIL, MESSAGE, REPLY, encode, encode_call

GOOD_HEAD = json.dumps({"m": "log.get_level"}).encode()


def told_and_closed(client, must_tell=True):
    """The connection ends; before that at most one frame came: FAIL with id 0."""
    frames = [f for f in client.read_until_closed(3) if f.kind != EVENT]
    assert len(frames) <= 1
    if must_tell:
        assert frames, "closed without a word"
    for frame in frames:
        assert (frame.kind, frame.id) == (FAIL, 0)
        head = frame.json()
        assert head["e"] in ("malformed", "too_large", "limit", "not_supported")
        assert head["text"]
        return head
    return None


@pytest.mark.parametrize("data", [
    encode(CALL, 1, GOOD_HEAD, size=ratsipc.MAX_SIZE + 1),
    encode(CALL, 1, GOOD_HEAD, size=0xffffffff),
    encode(CALL, 1, GOOD_HEAD, size=10, head_size=11),
    encode(CANCEL, 1, size=0, head_size=1),
], ids=["size over the limit", "size of all ones", "head longer than the frame", "head in no frame"])
def test_sizes_that_cannot_be(shared_daemon, data):
    client = shared_daemon.client()
    client.send(data)
    told_and_closed(client, must_tell=False)
    assert shared_daemon.client().is_alive()


@pytest.mark.parametrize("kind", [0, 7, 8, 100, 255, REPLY, FAIL, EVENT])
def test_kinds_a_client_does_not_send(shared_daemon, kind):
    client = shared_daemon.client()
    client.send(encode(kind, 5, b"{}"))
    told_and_closed(client)


def test_a_call_without_an_id(shared_daemon):
    client = shared_daemon.client()
    client.send(encode_call(0, "peer.list"))
    told_and_closed(client)


def test_an_id_in_use(pair):
    node, other = pair
    client = node.client()
    port = silent_port(other)
    call = encode_call(9, "peer.connect", {"host": "127.0.0.1", "port": port.getsockname()[1]})
    client.send(call)
    client.send(call)
    told_and_closed(client)
    port.close()


def silent_port(_):
    """A listener that accepts and says nothing, so that a dial to it goes on."""
    import socket
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)
    return listener


def test_an_id_may_be_used_again_once_answered(shared_daemon):
    client = shared_daemon.client()
    for _ in range(3):
        client.calls[77] = "log.get_level"
        client.send(encode_call(77, "log.get_level"))
        client.finish(77)


@pytest.mark.parametrize("frame_id", [1 << 32, (1 << 63) + 5, (1 << 64) - 1])
def test_ids_have_64_bits(shared_daemon, frame_id):
    client = shared_daemon.client()
    client.calls[frame_id] = "log.get_level"
    client.send(encode_call(frame_id, "log.get_level"))
    assert client.finish(frame_id)["level"]


def test_a_cancel_with_a_head(shared_daemon):
    client = shared_daemon.client()
    client.send(encode(CANCEL, 3, b"{}"))
    told_and_closed(client)


def test_a_cancel_with_a_body(shared_daemon):
    client = shared_daemon.client()
    client.send(encode(CANCEL, 3, b"", b"x"))
    told_and_closed(client)


def test_an_empty_frame_of_each_kind_harms_nobody(shared_daemon):
    """reliability.md V18."""
    for kind in range(256):
        client = shared_daemon.client()
        client.send(encode(kind, 1))
        if kind == CANCEL:
            assert client.is_alive()
        else:
            client.sock.settimeout(3)
            frames = []
            if kind == CALL:
                frames.append(client.read_frame(3))
                assert frames[0].kind == FAIL
            else:
                told_and_closed(client, must_tell=False)
        client.close()
    assert shared_daemon.client().is_alive()


# --- descriptors ---

def test_a_descriptor_nobody_asked_for(shared_daemon):
    client = shared_daemon.client()
    client.send(encode(CALL, 1, GOOD_HEAD, fds=1), [client.sock.fileno()])
    told_and_closed(client)


def test_a_descriptor_the_header_does_not_tell_of(shared_daemon):
    client = shared_daemon.client()
    client.send(encode(CALL, 1, GOOD_HEAD), [client.sock.fileno()])
    told_and_closed(client)


def test_a_descriptor_that_is_told_of_and_does_not_come(shared_daemon):
    client = shared_daemon.client()
    client.send(encode(CALL, 1, GOOD_HEAD, fds=1))
    told_and_closed(client)


@pytest.mark.parametrize("fds", [17, 255])
def test_more_descriptors_than_a_frame_may_carry(shared_daemon, fds):
    client = shared_daemon.client()
    client.send(encode(CALL, 1, GOOD_HEAD, fds=fds))
    told_and_closed(client)


def test_253_descriptors_at_once_are_all_closed(daemon):
    """reliability.md V27: none is kept, from a stranger or a session."""
    node = daemon()
    with ratsipc.Client(node.socket) as client:
        client.hello()
    base = node.descriptors()
    source, sink = os.pipe()
    rounds = 200 if os.environ.get("RATS_LONG") else 20
    for i in range(rounds):
        with ratsipc.Client(node.socket) as client:
            if i % 2:
                client.hello()
            try:
                client.send(encode(CALL, 50, GOOD_HEAD, fds=i % 16), [source] * 253)
                client.read_until_closed(3)
            except (BrokenPipeError, ConnectionResetError):
                pass
    wait_until(lambda: node.descriptors() <= base, "descriptors back to %d" % base)
    os.close(source)
    # Were one copy of it left over there, the pipe would not say that nobody reads.
    with pytest.raises(BrokenPipeError):
        os.write(sink, b"x")
    os.close(sink)


# --- JSON heads ---

def nested(depth, opening="[", closing="]"):
    return b'{"m":"log.get_level","p":{"x":' + (opening * depth + closing * depth).encode() + b"}}"


@pytest.mark.parametrize("head", [
    b"", b"null", b"[]", b"1", b'"text"', b"{", b'{"m":"log.get_level"', b"{} {}",
    b'{"m":"log.get_level"}x', b'{"m":"log.get_level","m":"peer.list"}',
    b'{"m":"log.get_level","p":{"a":1,"a":2}}', b'{"m":"log.get_level","p":{"a":"\xff\xfe"}}',
    b'{"m":"log.get_level","p":{"a":"\xed\xa0\x80"}}',
    b'{"m":"log.get_level","p":{"a":99999999999999999999}}',
    b'{"m":"log.get_level","p":{"a":1e999}}', b'{"m":"log.get_level","p":{"a":NaN}}',
    nested(31), nested(20000), b'{"m":' + b"[" * 65000, b'{"p":{}}', b'{"m":7}',
    b'{"m":null}', b'{"m":"log.get_level","p":[]}', b'{"m":"log.get_level","p":7}',
    b'\xef\xbb\xbf{"m":"log.get_level"}', b'{"m":"log.get_level","p":{"a":"\\ud800"}}',
    b'\x00' * 30,
], ids=str)
def test_heads_that_are_not_json_as_we_speak_it(shared_daemon, head):
    client = shared_daemon.client()
    client.calls[5] = "?"
    client.send(encode(CALL, 5, head))
    frame = client.read_frame(3)
    assert frame.kind == FAIL and frame.id in (0, 5)
    assert frame.json()["e"] in ("malformed", "invalid_parameter")
    assert frame.json()["text"]
    if frame.id == 0:
        assert client.read_until_closed(3) == []
    else:
        assert client.is_alive()
    assert shared_daemon.client().is_alive()


@pytest.mark.parametrize("head", [
    b' \n{ "m" : "log.get_level" }\t', nested(29), nested(14, '{"a":[', "]}").replace(b"[]", b"[0]"),
    b'{"p":{},"m":"log.get_level"}', b'{"m":"log.get_level","p":{"a":9223372036854775807}}',
    b'{"m":"log\\u002eget_level"}', b'{"m":"log.get_level","new":{"member":[1,2]},"p":{"newer":true}}',
    b'{"m":"log.get_level","p":{"x":"' + b"y" * 65400 + b'"}}',
], ids=lambda head: str(head[:60]))
def test_heads_that_look_odd_and_are_well(shared_daemon, head):
    client = shared_daemon.client()
    client.calls[5] = "log.get_level"
    client.send(encode(CALL, 5, head))
    assert client.finish(5)["level"]


def test_a_body_where_none_is_asked_for_is_ignored_or_refused(shared_daemon):
    client = shared_daemon.client()
    client.calls[5] = "?"
    client.send(encode(CALL, 5, GOOD_HEAD, b"body" * 100))
    assert client.read_frame(3).id in (0, 5)
    assert shared_daemon.client().is_alive()


# --- MESSAGE heads ---

def raw_message(head, frame_id=0, body=b"x"):
    return encode(MESSAGE, frame_id, head, body)


@pytest.mark.parametrize("head", [
    b"", b"\x01", struct.pack("<BBH", 1, 0, 3), struct.pack("<BBH", 1, 0, 0) + b"\0" * 31,
    struct.pack("<BBH", 1, 0, 9) + b"\0" * 32 + b"short", struct.pack("<BBH", 0, 0, 1) + b"\0" * 32 + b"x",
    struct.pack("<BBH", 9, 0, 1) + b"\0" * 32 + b"x", struct.pack("<BBH", 1, 0, 65535) + b"\0" * 32 + b"x",
], ids=["empty", "one byte", "four bytes", "short peer", "short name", "plane 0", "plane 9", "long name"])
def test_message_heads_that_cannot_be(shared_daemon, head):
    client = shared_daemon.client()
    client.call("session.start")
    client.send(raw_message(head))
    told_and_closed(client)
    assert shared_daemon.client().is_alive()


def test_half_a_frame_and_silence_disturbs_nobody(shared_daemon):
    halves = []
    for end in (1, 8, 15, 16, 20):
        client = shared_daemon.client()
        client.send(encode(CALL, 3, GOOD_HEAD)[:end])
        halves.append(client)
    big = shared_daemon.client()
    big.send(encode(MESSAGE, 0, ratsipc.message_head(ratsipc.EVERY_PEER, "x"), size=60 << 20))
    assert shared_daemon.client().is_alive()
    for client in halves + [big]:
        client.close()
    assert shared_daemon.client().is_alive()
