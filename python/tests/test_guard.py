"""Round trips, peer exchange, bans and limits."""

from typing import Callable

import pytest
from support import wait_until

from librats_py import (
    RatsClient,
    RatsError,
    RatsInvalidParameterError,
    RatsPeerNotFoundError,
)
from librats_py.pytest_plugin import Ratsd

pytestmark = pytest.mark.integration

NOBODY = "ab" * 32


def connect(client: RatsClient, other: Ratsd) -> str:
    client.start()
    with other.client() as there:
        client.connect("127.0.0.1", there.get_listen_port())
        return there.get_our_peer_id()


def test_a_peer_is_pinged(ratsd: Ratsd, ratsd_factory: Callable[..., Ratsd]) -> None:
    with ratsd.client() as client:
        peer = connect(client, ratsd_factory())
        assert 0 < client.ping(peer) < 60000
        wait_until(lambda: client.get_peer_rtt(peer) is not None)
        assert client.get_peer_info(peer)["rtt_ms"] == pytest.approx(client.get_peer_rtt(peer))
        client.request_peers(peer)


def test_nobody_is_not_found(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        for nobody in (NOBODY, "no id"):
            with pytest.raises(RatsPeerNotFoundError) as caught:
                client.ping(nobody)
            assert caught.value.peer_id == nobody
            with pytest.raises(RatsPeerNotFoundError):
                client.request_peers(nobody)
            assert client.get_peer_rtt(nobody) is None
        for timeout in (0, 10**6):
            with pytest.raises(RatsInvalidParameterError):
                client.ping(NOBODY, timeout)


def test_bans(ratsd: Ratsd, ratsd_factory: Callable[..., Ratsd]) -> None:
    with ratsd.client() as client:
        peer = connect(client, ratsd_factory())
        client.ban_peer(peer, seconds=60, reason="zu laut: ü")
        wait_until(lambda: client.get_peer_count() == 0)
        client.ban_address("192.0.2.77/24")
        first, second = client.get_bans()
        assert (first["subject"], first["kind"], first["reason"]) == (peer, "peer", "zu laut: ü")
        assert 0 < first["left_seconds"] <= 60
        assert second["subject"] == "192.0.2.0/24" and "left_seconds" not in second
        client.unban(peer)
        client.unban("192.0.2.0/24")
        assert client.get_bans() == []
        with pytest.raises(RatsError):
            client.unban(peer)
        for wrong in (lambda: client.ban_peer("x"), lambda: client.ban_address("x"),
                      lambda: client.ban_address(NOBODY), lambda: client.ban_peer(NOBODY, -1),
                      lambda: client.ban_peer(client.get_our_peer_id()),
                      lambda: client.ban_peer(NOBODY, 2**70),
                      lambda: client.ban_peer(NOBODY, reason="x" * 201)):
            with pytest.raises(RatsInvalidParameterError):
                wrong()


def test_limits(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        client.set_peer_limits(NOBODY, messages_per_second=10)
        client.set_peer_limits(NOBODY, 20, 1 << 20)
        limits = client.get_limits()
        assert limits["limits"] == [
            {"peer": NOBODY, "messages_per_second": 20, "bytes_per_second": 1 << 20}
        ]
        assert (limits["messages_per_second"], limits["bytes_per_second"]) == (0, 0)
        client.clear_peer_limits(NOBODY)
        assert client.get_limits()["limits"] == []
        with pytest.raises(RatsError):
            client.clear_peer_limits(NOBODY)
        for messages, size in ((-1, 0), (0, 5), (2**41, 0), (0, 2**70)):
            with pytest.raises(RatsInvalidParameterError):
                client.set_peer_limits(NOBODY, messages, size)
        with pytest.raises(RatsInvalidParameterError):
            client.set_peer_limits("x")
