"""Which connection is the peer's: ourselves, the wrong peer, duplicates (wire-core 7, 8, 17.8)."""
import contextlib
import time

import pytest
import ratsipc
from daemons import free_port, wait_until
from peering import AT_ONCE_S, events, peer_ids, wait_descriptors, wait_no_peers, wire


@pytest.fixture
def client(shared_daemon):
    """A client of the module's daemon, listening on x, that has no peer now."""
    made = shared_daemon.client().listen("x")
    wait_no_peers(made)
    events(made)
    return made


def connect_fails(client, *words, **params):
    with pytest.raises(ratsipc.Failed) as caught:
        client.call("peer.connect", params, AT_ONCE_S)
    assert caught.value.error == "connect_failed"
    for word in words:
        assert word in caught.value.text, caught.value.text


def carries(client, node, link):
    """This is the link: messages go over it both ways."""
    mark = b"%.9f" % time.monotonic()
    client.send_message(node.id, "x", mark)
    while link.wait(wire.APP).payload != mark:
        pass
    link.send_app("x", mark)
    while client.wait_message().body != mark:
        pass


def node_with_id(peers, smaller, than):
    while True:
        node = wire.Node()
        if (node.id < than) == smaller:
            peers.keep(node).listen()
            return node


# --- dials that must fail ---

def test_dialing_ourselves(shared_daemon, client):
    descriptors = shared_daemon.descriptors()
    for _ in range(5):
        connect_fails(client, "itself", host="127.0.0.1", port=shared_daemon.port)
    assert events(client) == [] and peer_ids(client) == []
    wait_descriptors(shared_daemon, descriptors)


def test_our_own_key_from_elsewhere(shared_daemon, peers, client):
    """A copy of our identity on another machine is not a peer either."""
    with open(shared_daemon.state + "/identity.key", "rb") as file:
        twin = wire.Node(file.read())
    link = twin.dial(("127.0.0.1", shared_daemon.port))
    peers.keep(link).wait_closed(AT_ONCE_S)
    address = peers.keep(twin).listen()
    call = client.begin("peer.connect", {"host": address[0], "port": address[1]})
    with contextlib.suppress(wire.Closed):
        twin.answer().wait_closed(AT_ONCE_S)
    with pytest.raises(ratsipc.Failed, match="itself"):
        client.finish(call)
    assert events(client) == [] and peer_ids(client) == []


def test_two_daemons_and_an_unexpected_peer(daemon):
    first, second = daemon(name="a"), daemon(name="b")
    ours, theirs = first.client(), second.client()
    wrong = "ab" * 32
    connect_fails(ours, "expected", theirs.info["peer_id"], host="127.0.0.1", port=second.port,
                  peer=wrong)
    assert events(ours) == [] and events(theirs) == []
    assert peer_ids(ours) == [] and peer_ids(theirs) == []
    reply = ours.call("peer.connect", {"host": "127.0.0.1", "port": second.port,
                                       "peer": theirs.info["peer_id"]})
    assert reply == {"peer": theirs.info["peer_id"], "already": False}
    connect_fails(ours, "expected", host="127.0.0.1", port=second.port, peer=wrong)
    assert peer_ids(ours) == [theirs.info["peer_id"]]  # the link they have is not touched
    assert ("peer.disconnected", theirs.info["peer_id"]) not in events(ours)


def test_an_unexpected_python_peer_learns_nothing(peers, client):
    node = peers.node()
    address = node.listen()
    call = client.begin("peer.connect", {"host": address[0], "port": address[1],
                                         "peer": "cd" * 32})
    with pytest.raises(wire.Closed):
        node.answer()  # it is found out at message 2: ours, which proves who we are, is not sent
    with pytest.raises(ratsipc.Failed, match="expected"):
        client.finish(call)
    assert events(client) == []


def test_nobody_listens(client):
    connect_fails(client, "refused", host="127.0.0.1", port=free_port())


def test_a_peer_that_closes_at_once(peers, client):
    node = peers.node()
    address = node.listen()
    for after in (0, 36):
        call = client.begin("peer.connect", {"host": address[0], "port": address[1]})
        stream = node.accept()
        stream.read(after)
        stream.close()
        with pytest.raises(ratsipc.Failed) as caught:
            client.finish(call, AT_ONCE_S)
        assert caught.value.error == "connect_failed"
    assert events(client) == []


def test_a_connected_peer_is_not_dialed_again(peers, client):
    node = peers.node()
    link, _ = peers.call(client, node)
    address = node.listen()
    again = client.call("peer.connect", {"host": address[0], "port": address[1]})
    assert again == {"peer": node.id, "already": True}
    again = client.call("peer.connect", {"host": "127.0.0.1", "port": 1, "peer": node.id})
    assert again == {"peer": node.id, "already": True}
    carries(client, node, link)


# --- two connections to one peer ---

@pytest.mark.parametrize("prompt", [False, True], ids=["lazy", "prompt"])
@pytest.mark.parametrize("dialed_first", [False, True], ids=["in-out", "out-in"])
@pytest.mark.parametrize("smaller", [False, True], ids=["larger", "smaller"])
def test_cross_connect_keeps_what_the_smaller_id_dialed(shared_daemon, peers, client, smaller,
                                                        dialed_first, prompt):
    """Whichever came first, and whether or not the other end closes the loser itself as upstream
    does."""
    node = node_with_id(peers, smaller, client.info["peer_id"])
    if dialed_first:
        dialed, _ = peers.call(client, node)
        accepted = peers.dial(shared_daemon, node)
    else:
        accepted = peers.dial(shared_daemon, node)
        client.wait_event("peer.connected")
        dialed, reply = peers.call(client, node)
        assert reply == {"peer": node.id, "already": True}
    survivor, loser = (accepted, dialed) if smaller else (dialed, accepted)
    if prompt:
        with contextlib.suppress(wire.Closed):
            loser.wait(wire.CONTROL, 0.05)
        loser.close()
    else:
        loser.wait_closed(AT_ONCE_S)
    wait_until(lambda: client.call("peer.get", {"peer": node.id})["outgoing"] == (not smaller),
               "the right link is the peer's")
    carries(client, node, survivor)
    assert survivor.is_open() and peer_ids(client) == [node.id]
    changes = [name for name, peer in events(client) if peer == node.id]
    assert "peer.disconnected" not in changes
    assert changes.count("peer.connected") == (1 if dialed_first else 0)
    survivor.close()
    client.wait_event("peer.disconnected")
    assert events(client) == []


@pytest.mark.parametrize("smaller", [False, True], ids=["larger", "smaller"])
def test_a_cross_connect_at_the_same_moment(shared_daemon, peers, client, smaller):
    """Both handshakes under way at once, finished in either order."""
    for dialed_first in (True, False):
        node = node_with_id(peers, smaller, client.info["peer_id"])
        address = node.listen()
        call = client.begin("peer.connect", {"host": address[0], "port": address[1]})
        theirs, ours = peers.keep(node.accept()), peers.stream(shared_daemon)
        noise = node.noise(True)
        ours.send_block(noise.write())
        noise.read(ours.read_block())
        if dialed_first:
            dialed = node.prove(theirs, False)
        ours.send_block(noise.write())
        accepted = wire.Link(ours, client.info["peer_id"], noise.split())
        if not dialed_first:
            dialed = node.prove(theirs, False)
        assert client.finish(call)["peer"] == node.id
        survivor, loser = (accepted, dialed) if smaller else (dialed, accepted)
        survivor.send_identify()
        loser.wait_closed(AT_ONCE_S)
        carries(client, node, survivor)
        survivor.close()
        client.wait_event("peer.disconnected")
        assert events(client) == []


def test_a_newer_connection_from_the_peer_replaces_the_old(shared_daemon, peers, client):
    node = peers.node()
    links = [peers.dial(shared_daemon, node)]
    client.wait_event("peer.connected")
    for prompt in (True, False, True, False):
        links.append(peers.dial(shared_daemon, node))
        port = links[-1].sock.getsockname()[1]
        wait_until(lambda port=port: client.call("peer.get", {"peer": node.id})["port"] == port,
                   "the new link is the peer's")
        if prompt:
            links[-2].close()
        else:
            links[-2].wait_closed(AT_ONCE_S)
        carries(client, node, links[-1])
        assert peer_ids(client) == [node.id]
    assert {name for name, _ in events(client)} <= {"peer.updated"}
    links[-1].close()
    client.wait_event("peer.disconnected")


def test_a_peer_that_connects_all_the_time_holds_few_connections(shared_daemon, peers, client):
    """Each newcomer wins, and the losers live on for a while: never more than a handful."""
    descriptors = shared_daemon.descriptors()
    node = peers.node()
    links = [peers.dial(shared_daemon, node) for _ in range(100)]
    links[-1].wait(wire.CONTROL)
    assert shared_daemon.descriptors() - descriptors <= 10
    carries(client, node, links[-1])
    assert peer_ids(client) == [node.id]


def test_identify_is_sent_on_a_replacing_connection(shared_daemon, peers, client):
    node = peers.node()
    old = peers.dial(shared_daemon, node)
    old.wait(wire.CONTROL)
    new = peers.dial(shared_daemon, node, identify=False)
    assert wire.decode_identify(new.wait(wire.CONTROL).payload).listen_port == shared_daemon.port
    assert client.call("peer.get", {"peer": node.id})["addresses"] == []  # facts start afresh


def test_a_peer_that_restarts_is_found_again(shared_daemon, peers, client):
    """Its old connection never ended for us: nobody closed it (wire-core 17.9)."""
    node = peers.node()
    peers.dial(shared_daemon, node)
    client.wait_event("peer.connected")
    again = peers.dial(shared_daemon, wire.Node(node.private))
    carries(client, node, again)
    assert "peer.disconnected" not in [name for name, _ in events(client)]


def test_a_newer_connection_to_the_peer_replaces_the_old(peers, client):
    """Reached at two addresses: both dialed by us, the second wins."""
    node = peers.node()
    first, _ = peers.call(client, node)
    second_door = peers.keep(wire.Node(node.private))
    second, reply = peers.call(client, second_door, host="127.0.0.2")
    assert reply == {"peer": node.id, "already": True}
    wait_until(lambda: client.call("peer.get", {"peer": node.id})["ip"] == "127.0.0.2",
               "the new link is the peer's")
    carries(client, node, second)
    first.close()  # as the other end of the rule does
    carries(client, node, second)
    assert {name for name, _ in events(client)} <= {"peer.connected", "peer.updated"}
    second.close()
    client.wait_event("peer.disconnected")


def test_a_disconnected_peer_is_gone_on_every_connection(shared_daemon, peers, client):
    node = peers.node()
    links = [peers.dial(shared_daemon, node) for _ in range(3)]
    wait_until(lambda: peer_ids(client) == [node.id], "the peer is there")
    assert client.call("peer.disconnect", {"peer": node.id}) == {"disconnected": True}
    for link in links:
        link.wait_closed(AT_ONCE_S)
    assert client.wait_event("peer.disconnected") == {"peer": node.id, "reason": "closed here"}
    assert client.call("peer.disconnect", {"peer": node.id}) == {"disconnected": False}
    assert events(client) == []


def test_two_daemons_that_dial_each_other(daemon):
    """At the same moment, again and again: one link, dialed by the smaller id, seen by both."""
    nodes = [daemon(name="a"), daemon(name="b")]
    clients = [node.client() for node in nodes]
    ids = [client.info["peer_id"] for client in clients]
    for _ in range(10):
        calls = [client.begin("peer.connect", {"host": "127.0.0.1", "port": nodes[1 - i].port})
                 for i, client in enumerate(clients)]
        for i, client in enumerate(clients):
            assert client.finish(calls[i])["peer"] == ids[1 - i]

        def settled():
            return all([peer["outgoing"] == (ids[i] < ids[1 - i])
                        for peer in client.call("peer.list")["peers"]] == [True]
                       for i, client in enumerate(clients))
        wait_until(settled, "one link, the right one")
        changes = [events(client) for client in clients]
        assert all(("peer.disconnected", ids[1 - i]) not in seen for i, seen in enumerate(changes))
        clients[0].call("peer.disconnect", {"peer": ids[1]})
        for client in clients:
            client.wait_event("peer.disconnected")
            wait_no_peers(client)
            events(client)
