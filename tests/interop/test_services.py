"""Ping and peer exchange between ratsd and Python peers, in both roles (wire-services 4 and 5)."""
import os
import struct
import time

import pytest
import ratsipc
from daemons import wait_until
from peering import peer_ids, wire

QUIET = "[ping]\ninterval = 0\n"
LOCAL = "[pex]\nloopback = yes\n"


def ping(token):
    return b"\x00" + token


def pong(token):
    return b"\x01" + token


def counter(client, name):
    return client.call("instance.get")["counters"][name]


def fails(client, method, params):
    """The name of the error the call ends with."""
    with pytest.raises(ratsipc.Failed) as caught:
        client.call(method, params)
    return caught.value.error


def row_of(client, peer):
    return client.call("peer.get", {"peer": peer})


# --- ping ---

def test_a_ping_is_answered_with_its_token(shared_daemon, peers):
    for link in (peers.dial(shared_daemon), peers.call(shared_daemon.client())[0]):
        for token in (b"\x00" * 8, b"\xff" * 8, os.urandom(8)):
            link.send_message(wire.PING, ping(token))
            while True:
                payload = link.wait(wire.PING).payload
                if payload[0] == 1:
                    break  # ours to answer came in between
            assert payload == pong(token)


def test_we_are_pinged_and_our_answer_is_measured(shared_daemon, peers):
    client, node = shared_daemon.client(), peers.node()
    link = peers.dial(shared_daemon, node)
    payload = link.wait(wire.PING).payload
    assert len(payload) == 9 and payload[0] == 0
    assert "rtt_ms" not in row_of(client, node.id)
    assert client.call("ping.rtt", {"peer": node.id}) == {}
    time.sleep(0.05)
    link.send_message(wire.PING, pong(payload[1:]))
    wait_until(lambda: "rtt_ms" in row_of(client, node.id), "the round trip is known")
    assert row_of(client, node.id)["rtt_ms"] >= 50
    assert client.call("ping.rtt", {"peer": node.id})["rtt_us"] >= 50000


def test_a_pong_with_another_token_is_no_answer(shared_daemon, peers):
    client, node = shared_daemon.client(), peers.node()
    link = peers.dial(shared_daemon, node)
    token = bytes(link.wait(wire.PING).payload[1:])
    before = counter(client, "ping_unmatched")
    for wrong in (b"\x00" * 8, token[::-1], bytes(b ^ 1 for b in token)):
        link.send_message(wire.PING, pong(wrong))
    wait_until(lambda: counter(client, "ping_unmatched") >= before + 3, "all were looked at")
    assert "rtt_ms" not in row_of(client, node.id)


def test_what_is_no_ping_is_ignored(shared_daemon, peers):
    client = shared_daemon.client()
    link = peers.dial(shared_daemon)
    for payload in [b"", b"\x00", ping(b"1234567"), ping(b"123456789"), b"\x02" + b"x" * 8,
                    b"\xff" * 9, os.urandom(70000)]:
        link.send_message(wire.PING, payload)
    link.send_message(wire.PING, ping(b"the last"))
    while link.wait(wire.PING).payload != pong(b"the last"):
        pass
    assert link.remote_id == client.info["peer_id"] and link.is_open()


def test_a_flood_of_pings_gets_bounded_answers(daemon, peers):
    server = daemon(config=QUIET)
    client, link = server.client(), None
    link = peers.dial(server)
    block = b"".join(link.seal(wire.encode_message(wire.PING, ping(b"%08d" % n)))
                     for n in range(5000))
    begun = time.monotonic()
    link.send(block)
    wait_until(lambda: counter(client, "ping_answered") + counter(client, "ping_refused") >= 5000,
               "all pings were looked at")
    took = time.monotonic() - begun
    assert counter(client, "ping_answered") <= 50 + 10 * (took + 1)
    assert link.is_open()


def test_ping_send(daemon, peers):
    server = daemon(config=QUIET)
    client, node = server.client(), peers.node()
    link = peers.dial(server, node)
    link.wait(wire.CONTROL)
    call = client.begin("ping.send", {"peer": node.id})
    link.send_message(wire.PING, pong(link.wait(wire.PING).payload[1:]))
    rtt_us = client.finish(call)["rtt_us"]
    assert rtt_us > 0 and client.call("ping.rtt", {"peer": node.id}) == {"rtt_us": rtt_us}
    for words, error in (({"peer": node.id, "timeout_ms": 50}, "timeout"),
                         ({"peer": "ab" * 32}, "peer_not_found")):
        assert fails(client, "ping.send", words) == error
    call = client.begin("ping.send", {"peer": node.id, "timeout_ms": 60000})
    link.wait(wire.PING)
    link.close()
    with pytest.raises(ratsipc.Failed) as caught:
        client.finish(call)
    assert caught.value.error == "peer_not_found"


def test_liveness_ends_who_never_answers(daemon, peers):
    server = daemon(config="[ping]\ninterval = 1\nliveness = yes\nmissed = 2\n")
    client = server.client()
    silent, answering = peers.node(), peers.node()
    quiet = peers.dial(server, silent)
    link = peers.dial(server, answering)
    deadline = time.monotonic() + 20
    while silent.id in peer_ids(client) and time.monotonic() < deadline:
        link.send_message(wire.PING, pong(link.wait(wire.PING).payload[1:]))
    event = client.wait_event("peer.disconnected")
    assert event["peer"] == silent.id and event["reason"] == "answers no pings"
    quiet.wait_closed()
    assert peer_ids(client) == [answering.id]


# --- peer exchange ---

def request(most):
    return struct.pack(">BBH", 1, 0, most)


def response(*entries):
    return struct.pack(">BBH", 1, 1, len(entries)) + b"".join(
        wire.encode_address(address) + bytes.fromhex(peer) for address, peer in entries)


def wait_response(link, timeout=wire.TIMEOUT_S):
    while True:
        payload = link.wait(wire.PEX, timeout).payload
        if payload[1] == 1:
            return payload


def test_we_are_asked_when_we_connect(shared_daemon, peers):
    assert peers.dial(shared_daemon).wait(wire.PEX).payload == request(32)
    link, _ = peers.call(shared_daemon.client())
    assert link.wait(wire.PEX).payload == request(32)


def test_loopback_addresses_are_not_handed_out(shared_daemon, peers):
    peers.call(shared_daemon.client())
    link = peers.dial(shared_daemon)
    link.send_message(wire.PEX, request(32))
    link.send_message(wire.PING, ping(b"a marker"))
    seen = []
    while not (seen and seen[-1] == (wire.PING, pong(b"a marker"))):
        message = link.receive()
        seen.append((message.type, message.payload))
    assert [payload for kind, payload in seen if kind == wire.PEX] == [request(32)]


def test_whom_we_listen_for_is_named_to_others(daemon, peers):
    server = daemon(config=LOCAL)
    known = peers.node()
    peers.call(server.client(), known)
    link = peers.dial(server)
    link.send_message(wire.PEX, request(32))
    assert wait_response(link) == response((known.listen(), known.id))
    link.send_message(wire.PEX, request(0))
    link.send_message(wire.PEX, b"\x02\x00\x00\x20")
    link.send_message(wire.PEX, b"\x01\x02\x00\x20")
    link.send_message(wire.PEX, b"\x01")
    with pytest.raises(TimeoutError):
        wait_response(link, 0.3)


def test_whom_we_name_is_dialed_and_must_be_who_we_said(daemon, peers):
    server = daemon(config=LOCAL)
    client = server.client()
    honest, impostor = peers.node(), peers.node()
    teller = peers.dial(server)
    teller.send_message(wire.PEX, response((impostor.listen(), "ab" * 32),
                                           (honest.listen(), honest.id)))
    peers.keep(honest.answer())
    client.wait_event("peer.connected", where=lambda fields: fields["peer"] == honest.id)
    stream = peers.keep(impostor.accept())
    try:
        impostor.prove(stream, False).wait_closed()
    except (wire.Closed, wire.Refused):
        pass
    wait_until(lambda: counter(client, "pex_wrong_peer") == 1, "the other peer was noticed")
    assert impostor.id not in peer_ids(client)


def test_one_victim_is_dialed_four_times_whoever_names_it(daemon, peers):
    server = daemon(config=LOCAL)
    client = server.client()
    victim = peers.node()
    host, port = victim.listen("127.77.0.1")
    for number in range(10):
        teller = peers.dial(server)
        teller.send_message(wire.PEX, response(*(
            ((host, port + at % 3), "%02x" % (1 + number) * 32) for at in range(32))))
    wait_until(lambda: counter(client, "pex_named") == 320, "all were heard")
    assert counter(client, "pex_dialed") <= 4
    assert counter(client, "peer_dials_refused") >= 300


def test_we_ourselves_and_nowhere_are_not_dialed(daemon, peers):
    server = daemon(config=LOCAL)
    client = server.client()
    teller = peers.dial(server)
    bad = [(("127.0.0.1", server.port), "ab" * 32), (("127.0.0.2", server.port), "ab" * 32),
           (("127.0.0.9", 9), server.peer_id), (("0.0.0.0", 9), "ab" * 32),
           (("255.255.255.255", 9), "ab" * 32), (("224.0.0.251", 5353), "ab" * 32),
           (("10.0.0.1", 9), "ab" * 32), (("192.168.1.1", 9), "ab" * 32), (("::", 9), "ab" * 32),
           (("fe80::1", 9), "ab" * 32), (("ff02::1", 9), "ab" * 32), (("127.0.0.9", 0), "ab" * 32)]
    teller.send_message(wire.PEX, response(*bad))
    wait_until(lambda: counter(client, "pex_named") == len(bad), "all were heard")
    assert counter(client, "pex_dialed") == 0
    assert counter(client, "peer_self_connections") == 0


def test_frames_of_every_shape_leave_the_link_alone(shared_daemon, peers):
    link = peers.dial(shared_daemon)
    whole = response(*((("198.51.100.%d" % n, 0), "ab" * 32) for n in range(3)))
    for cut in range(len(whole)):
        link.send_message(wire.PEX, whole[:cut])
    for payload in (b"\x01\x01\xff\xff" + b"\x05" * 500, b"\x01\x01\xff\xff", os.urandom(5000),
                    b"\x01\x00", b"\x01\x00\xff\xff" + b"x" * 1000):
        link.send_message(wire.PEX, payload)
    link.send_message(wire.PING, ping(b"the last"))
    while link.wait(wire.PING).payload != pong(b"the last"):
        pass


def test_requests_are_answered_within_bounds(daemon, peers):
    server = daemon(config=LOCAL)
    client = server.client()
    peers.call(client)
    link = peers.dial(server)
    for _ in range(500):
        link.send_message(wire.PEX, request(32))
    begun = time.monotonic()
    wait_until(lambda: counter(client, "pex_requests") == 500, "all were heard")
    assert counter(client, "pex_answered") <= 6 + 1 + (time.monotonic() - begun) / 10


def test_pex_request(daemon, peers):
    server = daemon()
    client, node = server.client(), peers.node()
    link = peers.dial(server, node)
    assert link.wait(wire.PEX).payload == request(32)
    assert client.call("pex.request", {"peer": node.id}) == {}
    assert link.wait(wire.PEX).payload == request(32)
    assert fails(client, "pex.request", {"peer": "ab" * 32}) == "peer_not_found"
    deaf = daemon(name="deaf", config="[pex]\nenabled = no\n")
    peers.dial(deaf, node)
    wait_until(lambda: node.id in peer_ids(deaf.client()), "the link is up")
    assert fails(deaf.client(), "pex.request", {"peer": node.id}) == "not_supported"
