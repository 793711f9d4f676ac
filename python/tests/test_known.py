"""Transports, waiting for peers, targets and known peers."""

import threading
import time
from typing import Callable, List, Tuple

import pytest
from support import wait_until

from librats_py import (
    ErrorCode,
    RatsClient,
    RatsError,
    RatsInvalidParameterError,
    RatsNotRunningError,
    RatsNotSupportedError,
    RatsTimeoutError,
    Transport,
)
from librats_py.pytest_plugin import Ratsd

pytestmark = pytest.mark.integration

NOBODY = "ab" * 32


@pytest.fixture
def two(ratsd_factory: Callable[[], Ratsd]) -> Tuple[Ratsd, Ratsd]:
    return ratsd_factory(), ratsd_factory()


def test_transports(two: Tuple[Ratsd, Ratsd]) -> None:
    first, second = two
    with first.client() as client:
        client.start()
        assert "tcp" in client.get_transports()
        client.connect_with("127.0.0.1", second.port, Transport.TCP, timeout=10)
        peer = client.get_peer_ids()[0]
        assert client.get_peer_transport(peer) == "tcp"
        wait_until(lambda: client.get_peer_transports(peer) != [])
        assert "tcp" in client.get_peer_transports(peer)
        assert client.get_peer_transport(NOBODY) is None
        assert client.get_peer_transports(NOBODY) == []
        with pytest.raises(RatsInvalidParameterError):
            client.connect_with("127.0.0.1", second.port, 8)
        if client.get_transports() == ["tcp"]:
            with pytest.raises(RatsNotSupportedError) as refused:
                client.connect_with("127.0.0.1", second.port, Transport.UDP)
            assert "transports" in str(refused.value.detail)
        with pytest.raises(RatsError):
            client.connect_with("127.0.0.1", 9, timeout=5)


def test_waiting_for_a_peer(two: Tuple[Ratsd, Ratsd]) -> None:
    first, second = two
    with first.client() as client, second.client() as other:
        with pytest.raises(RatsNotRunningError):
            client.wait_for_peer(timeout=0)
        client.start()
        other.start()
        with pytest.raises(RatsTimeoutError):
            client.wait_for_peer(timeout=0)
        with pytest.raises(RatsTimeoutError) as caught:
            client.wait_for_peer(NOBODY, timeout=0.6)
        assert caught.value.peer_id == NOBODY
        with pytest.raises(RatsInvalidParameterError):
            client.wait_for_peer("nobody", timeout=1)
        done: List[str] = []

        def wait() -> None:
            client.wait_for_peer(other.get_our_peer_id(), timeout=20)
            done.append("here")

        thread = threading.Thread(target=wait)
        thread.start()
        other.connect("127.0.0.1", first.port)
        thread.join(20)
        assert done == ["here"]
        client.wait_for_peer()
        client.wait_for_peer(other.get_our_peer_id().upper(), timeout=0)


def test_closing_ends_a_wait(ratsd: Ratsd) -> None:
    client = ratsd.client()
    client.start()
    errors: List[RatsError] = []

    def wait() -> None:
        try:
            client.wait_for_peer()
        except RatsError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)  # whether it waits already or not, it must end
    client.close()
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(errors[0], RatsNotRunningError)


def test_targets(two: Tuple[Ratsd, Ratsd]) -> None:
    first, second = two
    with first.client() as client:
        client.start()
        assert client.get_reconnect_list() == []
        client.add_reconnect("127.0.0.1", second.port)
        client.wait_for_peer(timeout=20)
        row = client.get_reconnect_list()[0]
        assert row["address"] == "127.0.0.1:{}".format(second.port)
        assert row["origin"] == "added" and row["attempts"] == row["next_attempt_seconds"] == 0
        wait_until(lambda: client.get_reconnect_list()[0]["connected"])
        client.remove_reconnect("127.0.0.1", second.port)
        assert client.get_reconnect_list() == []
        with pytest.raises(RatsError) as caught:
            client.remove_reconnect("127.0.0.1", second.port)
        assert caught.value.error_code == ErrorCode.NOT_FOUND
        with pytest.raises(RatsInvalidParameterError):
            client.add_reconnect("127.0.0.1", 0)
        with pytest.raises(RatsInvalidParameterError):
            client.add_reconnect("", 1)


def test_known_peers(two: Tuple[Ratsd, Ratsd]) -> None:
    first, second = two
    with first.client() as client:
        assert client.load_and_reconnect_peers() == 0
        assert client.last_error()[0] == ErrorCode.NOT_RUNNING
        client.start()
        assert client.get_historical_peer_ids() == []
        client.connect("127.0.0.1", second.port)
        peer = client.get_peer_ids()[0]
        assert client.get_historical_peer_ids() == [peer]
        assert client.save_historical_peers() == client.load_historical_peers() == 1
        client.load_configuration()
        client.save_configuration()
        assert client.load_and_reconnect_peers() == 0  # connected
        client.disconnect_peer(peer)
        wait_until(lambda: client.get_peer_count() == 0)
        assert client.load_and_reconnect_peers() == 1
        client.wait_for_peer(peer, timeout=20)
        client.clear_historical_peers()
        assert client.get_historical_peer_ids() == []


def test_a_restart_of_both_daemons(two: Tuple[Ratsd, Ratsd]) -> None:
    first, second = two
    with first.client() as client, second.client() as other:
        client.start()
        other.start()
        client.connect("127.0.0.1", second.port)
        client.save_configuration()
        first.kill()
        first.start()
        wait_until(client.is_attached)
        client.wait_for_peer(other.get_our_peer_id(), timeout=60)


def test_without_a_daemon(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        client.start()
        ratsd.stop()
        wait_until(lambda: not client.is_attached())
        assert client.get_reconnect_list() == []
        assert client.get_historical_peer_ids() == []
        assert client.save_historical_peers() == 0
        assert client.get_transports() == []
        for call in (client.save_configuration, client.clear_historical_peers):
            with pytest.raises(RatsNotRunningError):
                call()
        with pytest.raises(RatsNotRunningError):
            client.add_reconnect("127.0.0.1", 1)


def test_a_closed_client(ratsd: Ratsd) -> None:
    client: RatsClient = ratsd.client()
    client.close()
    calls: List[Callable[[], object]] = [
        client.get_transports,
        client.get_historical_peer_ids,
        client.wait_for_peer,
        client.clear_historical_peers,
        client.get_reconnect_list,
    ]
    for call in calls:
        with pytest.raises(RatsNotRunningError):
            call()
