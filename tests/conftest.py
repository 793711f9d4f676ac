"""Fixtures of the suites that run real programs: contract, conformance, integration."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "support"))

import daemons  # noqa: E402  (found through the line above)
from factory import Factory  # noqa: E402
from place import Place  # noqa: E402


@pytest.fixture
def daemon():
    """Makes daemons: daemon() one that greets, daemon.make() one not started. All end with the
    test: by SIGTERM, with exit status 0 and nothing said by a sanitizer."""
    factory = Factory()
    yield factory
    factory.close()


@pytest.fixture
def pair(daemon):
    """Two daemons with one link between them: the first dialed."""
    first, second = daemon(name="a"), daemon(name="b")
    daemons.link(first, second)
    return first, second


@pytest.fixture
def place():
    """A user of one's own, in whose directories programs start daemons by themselves."""
    made = Place()
    yield made
    made.close()


@pytest.fixture(scope="module")
def module_daemon():
    """One daemon for the tests of a module that leave nothing behind in it."""
    factory = Factory()
    yield factory()
    factory.close()


@pytest.fixture
def shared_daemon(module_daemon):
    """The module's daemon; connections made through it end with the test."""
    yield module_daemon
    module_daemon.close_clients()


@pytest.fixture(scope="module")
def module_pair():
    """Two linked daemons for the tests of a module that leave nothing behind in them."""
    factory = Factory()
    first, second = factory(name="a"), factory(name="b")
    daemons.link(first, second)
    yield first, second
    factory.close()


@pytest.fixture
def shared_pair(module_pair):
    """The module's two linked daemons; connections made through them end with the test."""
    yield module_pair
    for node in module_pair:
        node.close_clients()
