"""Fixtures for a real ratsd among Python peers (peering.py)."""
# pylint: disable=import-outside-toplevel  # what is missing must skip tests, not fail here
import pytest


@pytest.fixture
def peers():
    """Makes Python peers and connections, and ends them."""
    from peering import Peers
    made = Peers()
    yield made
    made.close()


@pytest.fixture
def linked(shared_daemon, peers):
    """A client of the module's daemon, a node, and a link that the node dialed."""
    from daemons import wait_until
    from peering import peer_ids, wire
    client = shared_daemon.client()
    node = peers.node()
    link = peers.dial(shared_daemon, node)
    client.wait_event("peer.connected", where=lambda fields: fields["peer"] == node.id)
    link.wait(wire.CONTROL)
    yield client, node, link
    link.close()
    wait_until(lambda: node.id not in peer_ids(client), "the peer is gone")


@pytest.fixture(scope="session")
def stories():
    """What takes its time: begun before the first test, told by those of test_deadlines.py."""
    from deadlines import Stories
    told = Stories()
    yield told
    told.close()


@pytest.fixture(scope="session", autouse=True)
def begin_early(request):
    if any("stories" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("stories")


def pytest_collection_modifyitems(items):
    """The stories are waited for last, when they have run beside everything else."""
    items.sort(key=lambda item: "stories" in getattr(item, "fixturenames", ()))
