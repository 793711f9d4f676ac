"""Messages and identify between ratsd and a Python peer (wire-core 5, 6, 13)."""
import contextlib
import ctypes
import os
import subprocess
import threading

import pytest
import ratsipc
from daemons import wait_until
from peering import AT_ONCE_S, events, peer_ids, wire

NAMES = ["chat", "rats.string", "rats.binary", "rats.json", "a", "café", "n29134",
         "a-much-longer-channel-name/with/slashes.and.dots", "x" * 255]
PAYLOADS = [b"", b"\x00", b"hello", b'{"a":[1,2.0,null]}', bytes(range(256)), b"\xff\xfe not text"]


# --- application messages ---

@pytest.mark.parametrize("name", NAMES)
def test_messages_on_a_channel_both_ways(linked, name):
    client, node, link = linked
    client.listen(name)
    for payload in PAYLOADS:
        link.send_app(name, payload)
        assert client.wait_message() == (node.id, name, payload, ratsipc.CHANNEL, 0)
        assert client.send_asked(node.id, name, payload) == 1
        assert link.wait(wire.APP) == (wire.APP, 0, wire.channel_id(name), payload)


def test_messages_over_a_dialed_link(shared_daemon, peers):
    client = shared_daemon.client().listen("x")
    node = peers.node()
    link, _ = peers.call(client, node)
    link.send_app("x", b"to the dialer")
    assert client.wait_message().body == b"to the dialer"
    client.send_message(node.id, "x", b"from the dialer")
    assert link.wait(wire.APP).payload == b"from the dialer"


def test_order_is_kept(linked):
    client, node, link = linked
    channels = ["one", "two", "three"]
    client.listen(*channels)
    blocks, count = [], 2000
    for number in range(count):
        channel = wire.channel_id(channels[number % 3])
        blocks.append(link.seal(wire.encode_message(wire.APP, b"%d" % number * (1 + number % 7),
                                                    channel)))
    link.send(b"".join(blocks))
    for number in range(count):
        message = client.wait_message()
        assert message.name == channels[number % 3]
        assert message.body == b"%d" % number * (1 + number % 7)
    frames = [ratsipc.encode_message(node.id, channels[number % 3], b"%d" % number)
              for number in range(count)]
    client.send(b"".join(frames))
    for number in range(count):
        message = link.wait(wire.APP)
        assert message.channel == wire.channel_id(channels[number % 3])
        assert message.payload == b"%d" % number


def test_a_broadcast_reaches_every_peer(daemon, peers):
    server = daemon()
    client = server.client()
    links = [peers.dial(server) for _ in range(5)] + [peers.call(client)[0] for _ in range(3)]
    for link in links:
        link.wait(wire.CONTROL)
    wait_until(lambda: len(peer_ids(client)) == 8, "eight peers")
    assert client.send_asked(ratsipc.EVERY_PEER, "all", b"everybody") == 8
    for link in links:
        assert link.wait(wire.APP).payload == b"everybody"


def test_channels_that_share_a_number(linked):
    """A name is not on the wire: the receiver takes it for the one that is registered."""
    client, _, link = linked
    client.listen("ch117")
    link.send_app("ch187", b"?")
    assert client.wait_message().name == "ch117"


def test_what_nobody_asked_for_is_dropped(linked):
    client, node, link = linked
    client.listen("wanted")
    link.send_app("unwanted", b"1")
    for kind in [0] + list(range(wire.GOSSIP, 256)):
        for payload in (b"", b"\x00", os.urandom(40)):
            link.send_message(kind, payload, kind * 257, kind)
    for recorded in ("0000000100046e657773", "00000001000020", "00000002", "00000000067472"):
        for kind in range(wire.GOSSIP, wire.PUNCH + 1):
            link.send_message(kind, bytes.fromhex(recorded))
    link.send_app("wanted", b"2")
    assert client.wait_message().body == b"2"
    assert events(client) == [] and node.id in peer_ids(client)


def test_flags_are_ignored(linked):
    client, _, link = linked
    client.listen("x")
    for flags in (1, 128, 255):
        link.send_message(wire.APP, b"%d" % flags, wire.channel_id("x"), flags)
        assert client.wait_message().body == b"%d" % flags


# --- identify ---

def addresses_of(client, node):
    """What the daemon knows, as (ip, port)."""
    pairs = (text.rsplit(":", 1)
             for text in client.call("peer.get", {"peer": node.id})["addresses"])
    return [(host.strip("[]"), int(port)) for host, port in pairs]


def identified(client, node, link, said, channel=0, flags=0):
    """Sends identify and something after it that shows it has been dealt with."""
    client.listen("after")
    link.send_message(wire.CONTROL, said if isinstance(said, bytes) else wire.encode_identify(said),
                      channel, flags)
    link.send_app("after", b"")
    client.wait_message()
    return addresses_of(client, node)


def test_identify_says_where_we_are(shared_daemon, peers):
    client = shared_daemon.client()
    for link in (peers.dial(shared_daemon), peers.call(client)[0]):
        first = link.receive()
        assert (first.type, first.flags, first.channel) == (wire.CONTROL, 0, 0)
        assert first.payload[0] == 1
        said = wire.decode_identify(first.payload)
        assert said.listen_port == shared_daemon.port and said.transports == wire.TCP
        assert said.observed == (link.sock.getsockname()[0], 0)
        assert said.addresses and all(port == said.listen_port for _, port in said.addresses)
        assert ("127.0.0.1", said.listen_port) in said.addresses  # we are on loopback too
        assert first.payload == wire.encode_identify(said)  # and nothing after it
        link.send_app("x", b"")
        with pytest.raises(TimeoutError):
            link.wait(wire.CONTROL, 0.2)  # services have their own to say


def test_a_node_that_does_not_listen_says_so(daemon, peers):
    quiet = daemon(listen=None, config="[network]\nlisten = none\n")
    link, _ = peers.call(quiet.client())
    said = wire.decode_identify(link.wait(wire.CONTROL).payload)
    assert said == wire.Identify(0, [], ("127.0.0.1", 0), 0)


def test_what_a_peer_tells_of_itself(linked):
    client, node, link = linked
    seen = link.sock.getsockname()[0]
    events(client)
    told = identified(client, node, link, wire.Identify(
        4001, [("10.1.2.3", 4001), ("2001:db8::20", 4001), (seen, 4001), ("0.0.0.0", 9)],
        ("203.0.113.9", 0), wire.TCP | wire.UDP), channel=77, flags=255)
    assert told == [(seen, 4001), ("10.1.2.3", 4001), ("2001:db8::20", 4001)]
    row = client.call("peer.get", {"peer": node.id})
    assert sorted(row["transports"]) == ["tcp", "udp"] and row["transport"] == "tcp"
    assert ("peer.updated", node.id) in events(client)


def test_a_later_identify_is_merged(linked):
    client, node, link = linked
    seen = link.sock.getsockname()[0]
    assert identified(client, node, link, wire.Identify(4001, [("10.0.0.1", 1)])) == [
        (seen, 4001), ("10.0.0.1", 1)]
    assert identified(client, node, link, wire.Identify(4002, [("10.0.0.2", 2), ("10.0.0.1", 1)])) \
        == [(seen, 4001), ("10.0.0.1", 1), (seen, 4002), ("10.0.0.2", 2)]
    more = [("10.1.0.%d" % n, 7) for n in range(1, 34)]
    told = identified(client, node, link, wire.Identify(4001, more[:32]))
    assert len(told) == 32 and told[4:] == more[:28]
    assert identified(client, node, link, wire.Identify(4001, more[32:])) == told


@pytest.mark.parametrize("payload", [
    "", "00", "01", "0000", "000fa1000003", "020fa1000003", "010fa121", "010fa1ff", "010fa100",
    "010fa101050102030405000100", "010fa101000001000003", "010fa101047f0000", "010fa1000301020304",
    "010fa1000401020304", "010fa10010" + "20" * 16 + "00", "ff" * 1500])
def test_a_malformed_identify_changes_nothing(linked, payload):
    client, node, link = linked
    before = identified(client, node, link, wire.Identify(4001, [("10.0.0.1", 1)], None, wire.TCP))
    events(client)
    assert identified(client, node, link, bytes.fromhex(payload)) == before
    assert client.call("peer.get", {"peer": node.id})["transports"] == ["tcp"]
    assert events(client) == []


def test_identify_may_be_longer_than_we_know(linked):
    client, node, link = linked
    payload = wire.encode_identify(wire.Identify(4001, [], None, wire.TCP)) + b"\xde\xad" * 100
    assert identified(client, node, link, payload) == [(link.sock.getsockname()[0], 4001)]
    payload = wire.encode_identify(wire.Identify(4002, [], None, 0))[:-1]
    assert len(identified(client, node, link, payload)) == 2  # without a transports byte
    assert client.call("peer.get", {"peer": node.id})["transports"] == ["tcp"]


def test_nothing_waits_for_identify(shared_daemon, peers):
    client = shared_daemon.client().listen("x")
    node = peers.node()
    link = peers.dial(shared_daemon, node, identify=False)
    link.send_app("x", b"first")
    assert client.wait_message().body == b"first"
    assert addresses_of(client, node) == []


# --- what a stranger is told: in network namespaces ---

def run_ip(*words):
    subprocess.run(["ip"] + list(words), check=True, timeout=20, stdout=subprocess.PIPE,
                   stderr=subprocess.PIPE)


def enter(name):
    """Moves this thread (or a child before it becomes a program) into a namespace."""
    with open("/run/netns/" + name, "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def in_namespace(name, work):
    """The result of work(), done by a thread inside a namespace; sockets made there stay there."""
    result = []

    def run():
        enter(name)
        result.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    return result[0]


@pytest.fixture
def wires():
    """Two namespaces with a cable between them: 10.77.0.1 and 10.77.0.2."""
    names = ["rats-%d-%s" % (os.getpid(), side) for side in "ab"]
    with contextlib.ExitStack() as stack:
        try:
            for name in names:
                run_ip("netns", "add", name)
                stack.callback(run_ip, "netns", "del", name)
            run_ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name",
                   "cable", "netns", names[1])
            for number, name in enumerate(names, 1):
                run_ip("-n", name, "addr", "add", "10.77.0.%d/24" % number, "dev", "cable")
                run_ip("-n", name, "link", "set", "cable", "up")
                run_ip("-n", name, "link", "set", "lo", "up")
            run_ip("-n", names[0], "addr", "add", "169.254.7.7/16", "dev", "cable")
        except (OSError, subprocess.SubprocessError) as fault:
            pytest.skip("network namespaces cannot be made here: %s" % fault)
        yield names


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make network namespaces")
def test_strangers_are_not_told_of_loopback_and_link_local(daemon, peers, wires):
    ours, theirs = wires
    server = daemon.make(listen="0.0.0.0:0").start(preexec_fn=lambda: enter(ours))
    port = server.port
    stranger = peers.keep(in_namespace(theirs, lambda: wire.Node().dial(("10.77.0.1", port))))
    said = wire.decode_identify(stranger.wait(wire.CONTROL, AT_ONCE_S).payload)
    assert said == wire.Identify(port, [("10.77.0.1", port)], ("10.77.0.2", 0), wire.TCP)
    local = peers.keep(in_namespace(ours, lambda: wire.Node().dial(("127.0.0.1", port))))
    said = wire.decode_identify(local.wait(wire.CONTROL, AT_ONCE_S).payload)
    assert {("127.0.0.1", port), ("10.77.0.1", port)} <= set(said.addresses)
    assert said.observed == ("127.0.0.1", 0)
    run_ip("-n", ours, "addr", "add", "10.77.0.9/24", "dev", "cable")
    said = wire.decode_identify(stranger.wait(wire.CONTROL).payload)  # sent again on a change
    assert sorted(said.addresses) == [("10.77.0.1", port), ("10.77.0.9", port)]
