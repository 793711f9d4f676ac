"""The address book and the targets as a client sees them, answer by answer; with real restarts they are in
tests/integration/test_reconnect.py."""
import pytest
import ratsipc
from daemons import wait_until


def fails(client, method, params):
    with pytest.raises(ratsipc.Failed) as caught:
        client.call(method, params)
    return caught.value.error


def targets(client):
    return {row["address"]: row for row in client.call("reconnect.list")["targets"]}


def test_a_target_is_added_once_and_removed_once(shared_daemon):
    client = shared_daemon.client()
    there = {"host": "127.0.0.1", "port": 9}
    assert client.call("reconnect.add", there) == {"already": False}
    assert client.call("reconnect.add", there) == {"already": True}
    assert targets(client)["127.0.0.1:9"]["origin"] == "added"
    assert client.call("reconnect.remove", there) == {}
    assert "127.0.0.1:9" not in targets(client)
    assert fails(client, "reconnect.remove", there) == "not_found"


def test_an_address_that_a_dial_reached_is_known_until_it_is_cleared(pair):
    first, second = pair
    client = first.client()
    here = "127.0.0.1:%d" % second.port
    wait_until(lambda: client.call("known.list")["count"] == 1, "the address is in the book")
    row, = client.call("known.list", {"limit": 10})["peers"]
    assert (row["address"], row["peer"]) == (here, second.peer_id)
    assert client.call("known.save") == {}
    assert client.call("known.connect") == {"dials": 0}  # it is connected
    assert client.call("known.clear") == {"removed": 1}
    assert client.call("known.list") == {"count": 0, "peers": []}
