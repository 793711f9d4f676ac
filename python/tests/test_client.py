"""One client and one daemon."""

import gc
import json
import logging
import os
import socket
import threading
from typing import Any, Callable, List

import pytest
from support import wait_until

from librats_py import (
    ErrorCode,
    LogLevel,
    RatsClient,
    RatsConnectionError,
    RatsDaemonError,
    RatsError,
    RatsInvalidParameterError,
    RatsNotRunningError,
    RatsNotSupportedError,
    RatsPeerNotFoundError,
    RatsTimeoutError,
    VersionInfo,
)
from librats_py.pytest_plugin import Ratsd

pytestmark = pytest.mark.integration

NOBODY = "ab" * 32


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_client_knows_its_instance(ratsd: Ratsd) -> None:
    with ratsd.client(name="test") as client:
        info = client.get_instance_info()
        assert info["peer_id"] == client.get_our_peer_id()
        assert len(client.get_our_peer_id()) == 64
        assert info["public_key"] == client.get_public_key()
        assert info["pid"] == ratsd.pid
        assert info["listen_port"] == client.get_listen_port() > 0
        assert client.get_socket_path() == ratsd.socket_path
        assert client.is_attached()
        assert client.get_protocol_name() == "rats"
        assert client.get_protocol_version() == "1.0"
        assert client.get_peer_count() == 0
        assert client.get_peer_ids() == client.get_validated_peer_ids() == []
        sessions = client.call("session.list")["sessions"]
        assert [row["name"] for row in sessions] == ["test"]


def test_start_and_stop(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        assert not client.is_running()
        client.start()
        assert client.is_running()
        with pytest.raises(RatsError) as caught:
            client.start()
        assert caught.value.error_code == ErrorCode.OPERATION_FAILED
        assert client.is_running()
        client.stop()
        assert not client.is_running()
        client.start()
        assert client.get_connection_statistics()["running"] is True
    assert not client.is_running()


def test_statistics_and_limits(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        statistics = client.get_connection_statistics()
        assert statistics["total_peers"] == 0
        assert statistics["our_peer_id"] == client.get_our_peer_id()
        client.set_max_peers(20)
        assert client.get_max_peers() == 20
        assert not client.is_peer_limit_reached()
        with pytest.raises(RatsInvalidParameterError):
            client.set_max_peers(0)
        with pytest.raises(RatsInvalidParameterError):
            client.set_max_peers(2**32 + 5)


def test_protocol_of_the_instance_is_accepted_and_no_other(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        client.set_protocol_name("rats")
        client.set_protocol_version("1.0")
        with pytest.raises(RatsError) as caught:
            client.set_protocol_name("other")
        assert caught.value.detail
        with pytest.raises(RatsInvalidParameterError):
            client.set_protocol_name("")


def test_sending_needs_a_started_client_and_a_peer(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        sends: List[Callable[[], None]] = [
            lambda: client.send_string(NOBODY, "x"),
            lambda: client.send_binary(NOBODY, b"x"),
            lambda: client.send_json(NOBODY, {}),
            lambda: client.send_channel(NOBODY, "c", b"x"),
        ]
        for send in sends:
            with pytest.raises(RatsNotRunningError):
                send()
        with pytest.raises(RatsNotRunningError):
            client.broadcast_channel("c", b"x")
        assert client.broadcast_string("x") == 0
        assert client.last_error()[0] == ErrorCode.NOT_RUNNING
        client.start()
        for send in sends:
            with pytest.raises(RatsPeerNotFoundError) as caught:
                send()
            assert caught.value.peer_id == NOBODY
        assert client.broadcast_channel("c", b"x") == 0
        assert client.get_peer_info(NOBODY) == {}
        assert client.last_error()[0] == ErrorCode.PEER_NOT_FOUND


def test_text_and_bytes_are_told_apart(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        client.start()
        wrong: Any = b"bytes"
        with pytest.raises(TypeError):
            client.send_string(NOBODY, wrong)
        with pytest.raises(TypeError):
            client.broadcast_string(wrong)
        with pytest.raises(TypeError):
            client.on_channel(wrong, None)
        text: Any = "text"
        with pytest.raises(TypeError):
            client.send_binary(NOBODY, text)
        with pytest.raises(TypeError):
            client.broadcast_binary(text)
        with pytest.raises(TypeError):
            client.send_channel(NOBODY, "c", text)
        with pytest.raises(RatsInvalidParameterError):
            client.send_string(NOBODY, "a\0b")
        with pytest.raises(RatsInvalidParameterError):
            client.send_string(NOBODY + "\0x", "a")
        with pytest.raises(RatsInvalidParameterError):
            client.send_binary(NOBODY, b"")
        with pytest.raises(ValueError):
            client.send_json(NOBODY, float("nan"))
        with pytest.raises(TypeError):
            client.send_json(NOBODY, object())


def test_connect_raises_a_connection_error(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        with pytest.raises(RatsNotRunningError):
            client.connect("127.0.0.1", 1)
        client.start()
        with pytest.raises(ConnectionError) as caught:
            client.connect("127.0.0.1", 1)
        assert isinstance(caught.value, RatsConnectionError)
        assert caught.value.detail
        for port in (0, -1, 65536, 2**32 + 80):
            with pytest.raises(RatsInvalidParameterError):
                client.connect("127.0.0.1", port)
        with pytest.raises(RatsInvalidParameterError):
            client.connect("127.0.0.1", 80, 77)
        with pytest.raises(RatsConnectionError):
            client.connect("127.0.0.1", client.get_listen_port())


def test_call_reaches_every_method(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        assert client.call("peer.list") == {"peers": []}
        assert client.call("session.demand_peers", {"max_peers": 50})["max_peers"] >= 50
        assert "methods" in client.call("protocol.describe", timeout=None)
        with pytest.raises(RatsNotSupportedError) as unsupported:
            client.call("no.such_method")
        assert unsupported.value.operation == "no.such_method"
        with pytest.raises(RatsInvalidParameterError) as invalid:
            client.call("peer.get", {"peer": 7})
        assert "peer" in invalid.value.detail
        with pytest.raises(RatsPeerNotFoundError):
            client.call("peer.get", {"peer": NOBODY})
        with pytest.raises(RatsConnectionError):
            client.call("peer.connect", {"host": "127.0.0.1", "port": 1})
        with pytest.raises(RatsInvalidParameterError):
            client.call("peer.list", timeout=-1)


def test_a_call_that_takes_too_long_is_a_timeout_error(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        client.start()
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(1)
            where = {"host": "127.0.0.1", "port": silent.getsockname()[1]}
            with pytest.raises(TimeoutError) as caught:
                client.call("peer.connect", where, timeout=0.05)
            assert isinstance(caught.value, RatsTimeoutError)
        assert client.call("peer.list") == {"peers": []}


def test_callbacks_can_be_set_and_cleared(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        setters: List[Callable[[Any], None]] = [
            client.set_connection_callback,
            client.set_disconnect_callback,
            client.set_string_callback,
            client.set_binary_callback,
            client.set_json_callback,
            client.set_daemon_callback,
            client.set_overflow_callback,
            client.set_event_callback,
            client.set_error_callback,
        ]
        for setter in setters:
            setter(lambda *arguments: None)
            setter(None)
            setter(None)
            wrong: Any = "no function"
            with pytest.raises(TypeError):
                setter(wrong)


def channels_of(client: RatsClient) -> int:
    rows = client.call("session.list")["sessions"]
    return int(rows[0]["channels"])


def test_channels_are_registered_while_somebody_wants_them(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        client.set_string_callback(lambda peer, text: None)
        client.on_channel("rats.string", lambda peer, data: None)
        assert channels_of(client) == 1
        client.set_string_callback(None)
        assert channels_of(client) == 1
        client.off_channel("rats.string")
        assert channels_of(client) == 0
        client.off_channel("never set")
        client.on_channel("a", lambda peer, data: None)
        client.on_channel("a", lambda peer, data: None)
        assert channels_of(client) == 1
        with pytest.raises(RatsInvalidParameterError):
            client.on_channel("x" * 256, lambda peer, data: None)
        with pytest.raises(PermissionError):
            client.on_channel("ratsd.ctl", lambda peer, data: None)
        assert channels_of(client) == 1
    assert RatsClient.get_channel_id("rats.string") == 0xAA69


def test_no_daemon_is_told_clearly(ratsd: Ratsd, tmp_path: Any) -> None:
    path = str(tmp_path / "none.sock")
    with pytest.raises(RatsDaemonError) as caught:
        RatsClient(socket_path=path)
    assert path in str(caught.value)
    with pytest.raises(ConnectionError):
        RatsClient(socket_path=path)
    with pytest.raises(RatsInvalidParameterError):
        RatsClient(socket_path="x" * 300)
    with pytest.raises(RatsInvalidParameterError):
        RatsClient(socket_path=ratsd.socket_path, slow="sometimes")


def test_a_bad_port_shows_at_start_as_in_v1(ratsd: Ratsd) -> None:
    for port in (-1, 70000):
        client = RatsClient(port)
        with pytest.raises(RatsError) as caught:
            client.start()
        assert caught.value.error_code == ErrorCode.OPERATION_FAILED
        client.close()


def test_the_environment_names_the_socket(
    ratsd: Ratsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATS_SOCKET", ratsd.socket_path)
    with RatsClient() as client:
        assert client.get_socket_path() == ratsd.socket_path


@pytest.mark.parametrize("slow", ["stall", "drop", "close"])
def test_every_slow_rule_is_understood(ratsd: Ratsd, slow: str) -> None:
    with ratsd.client(slow=slow) as client:
        client.start()


def test_a_closed_client_says_so(ratsd: Ratsd) -> None:
    client = ratsd.client()
    client.start()
    client.close()
    client.close()
    assert repr(client) == "<RatsClient closed>"
    uses: List[Callable[[], Any]] = [
        client.start,
        client.stop,
        client.get_peer_count,
        client.get_instance_info,
        lambda: client.broadcast_string("x"),
        lambda: client.send_binary(NOBODY, b"x"),
        lambda: client.set_string_callback(None),
        lambda: client.set_connection_callback(None),
        lambda: client.call("peer.list"),
    ]
    for use in uses:
        with pytest.raises(RatsNotRunningError):
            use()


def test_leaving_the_block_closes_also_after_an_exception(ratsd: Ratsd) -> None:
    with pytest.raises(KeyError):
        with ratsd.client() as client:
            client.start()
            raise KeyError
    with pytest.raises(RatsNotRunningError):
        client.get_peer_count()


@pytest.mark.slow
def test_a_thousand_clients_leave_nothing_behind(ratsd: Ratsd) -> None:
    with ratsd.client() as client:
        client.start()
    files, threads = descriptors(), threading.active_count()
    for _ in range(1000):
        with ratsd.client() as client:
            client.start()
    wait_until(lambda: (descriptors(), threading.active_count()) == (files, threads))


def test_a_forgotten_client_is_released(ratsd: Ratsd) -> None:
    files, threads = descriptors(), threading.active_count()
    for _ in range(20):
        client = ratsd.client()
        client.set_string_callback(lambda peer, text: None)
        client.start()
        del client
    gc.collect()
    wait_until(lambda: (descriptors(), threading.active_count()) == (files, threads))


def test_other_threads_may_call_while_one_closes(ratsd: Ratsd) -> None:
    for _ in range(30):
        client = ratsd.client()
        client.start()
        unexpected: List[BaseException] = []

        def use(client: RatsClient = client) -> None:
            try:
                while True:
                    client.broadcast_string("x")
                    client.get_peer_ids()
            except RatsNotRunningError:
                pass
            except BaseException as error:
                unexpected.append(error)

        threads = [threading.Thread(target=use) for _ in range(3)]
        for thread in threads:
            thread.start()
        client.close()
        for thread in threads:
            thread.join(10)
        assert not unexpected


def test_closing_ends_the_calls_of_other_threads(ratsd: Ratsd) -> None:
    caught: List[BaseException] = []
    with socket.socket() as silent, ratsd.client() as client:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client.start()

        def connect() -> None:
            try:
                client.connect(*silent.getsockname())
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=connect)
        thread.start()
        dialed, _ = silent.accept()
        client.close()
        thread.join(10)
        dialed.close()
    assert [type(error) for error in caught] == [RatsNotRunningError]


def test_events_come_raw(ratsd: Ratsd) -> None:
    events: List[Any] = []
    with ratsd.client() as watcher:
        watcher.set_event_callback(lambda *arguments: events.append(arguments))
        watcher.start()
        watcher.call("session.watch", {"events": ["session.attached", "session.ended"]})
        with ratsd.client(name="other"):
            pass
        wait_until(lambda: len(events) >= 2)
    assert [name for name, _, _ in events[:2]] == ["session.attached", "session.ended"]
    assert events[0][1]["name"] == "other"
    assert events[1][2] == events[0][2] + 1


def test_the_daemon_may_go_and_come_back(ratsd: Ratsd) -> None:
    changes: List[bool] = []
    with ratsd.client() as client:
        client.set_daemon_callback(changes.append)
        client.start()
        ratsd.kill()
        wait_until(lambda: changes == [False])
        assert not client.is_attached()
        with pytest.raises(RatsNotRunningError):
            client.call("peer.list")
        assert client.get_instance_info() == {}
        ratsd.start()
        wait_until(lambda: changes == [False, True])
        assert client.call("peer.list") == {"peers": []}


def test_the_library_tells_its_version(ratsd_binary: str) -> None:
    version = RatsClient.get_version()
    assert isinstance(version, VersionInfo)
    assert RatsClient.get_version_string() == str(version)
    assert RatsClient.get_abi() == version.major << 16 | version.minor << 8 | version.patch
    for _ in range(100):
        assert RatsClient.get_git_describe()


def test_the_log_of_the_library_goes_to_a_file(ratsd: Ratsd, tmp_path: Any) -> None:
    path = str(tmp_path / "new" / "rats.log")
    with ratsd.client() as client:
        RatsClient.set_log_level(LogLevel.DEBUG)
        RatsClient.set_logging_enabled(True)
        try:
            assert client.get_log_file_path() == ""
            client.set_log_file_path(path)
            assert client.get_log_file_path() == path
            for value in (False, True):
                client.set_log_colors_enabled(value)
                assert client.is_log_colors_enabled() is value
                client.set_log_timestamps_enabled(value)
                assert client.is_log_timestamps_enabled() is value
            client.set_log_rotation_size(1 << 20)
            client.set_log_retention_count(3)
            client.clear_log_file()
            assert os.path.getsize(path) == 0
            with pytest.raises(RatsInvalidParameterError):
                client.set_log_rotation_size(-1)
        finally:
            client.set_log_file_path("")
            RatsClient.set_logging_enabled(False)
            RatsClient.set_log_level("WARN")


def test_statistics_are_plain_json(ratsd: Ratsd, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="librats_py"), ratsd.client() as client:
        json.dumps(client.get_connection_statistics())
        json.dumps(client.get_instance_info())
    assert not caplog.records
