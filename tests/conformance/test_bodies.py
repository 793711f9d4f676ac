"""Calls, answers and events with a body: the store's (rats-ipc(7), storage.*)."""
import pytest
import ratsipc


def test_values_go_and_come_as_bodies(shared_daemon):
    client = shared_daemon.client()
    for body in (b"", b"{}", bytes(range(256)), bytes(70000), b'{"e":"not_found"}'):
        assert client.call("storage.put", {"key": "k"}, body=body)["timestamp_ms"] > 0
        head, found = client.call_body("storage.get", {"key": "k"})
        assert (head["type"], found) == ("binary", body)
    client.call("storage.remove", {"key": "k"})
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("storage.get", {"key": "k"})
    assert failed.value.error == "not_found"


def test_a_change_is_an_event_with_a_body(shared_daemon):
    client = shared_daemon.client().listen()
    client.call("storage.watch", {"prefix": "c"})
    client.call("storage.put", {"key": "c", "type": "json"}, body=b"[1]")
    fields = client.wait_event("storage.changed")
    assert (fields["key"], fields["type"], fields["deleted"], fields["remote"]) == \
        ("c", "json", False, False)
    client.call("storage.put", {"key": "c"}, body=bytes(100000))
    while not client.events:
        client.take()
    assert client.events.popleft()["body"] == bytes(100000)
    client.call("storage.unwatch", {"prefix": "c"})
    client.call("storage.remove", {"key": "c"})
    assert not client.events


def test_changes_are_only_told_to_started_sessions(shared_daemon):
    client = shared_daemon.client()
    client.call("storage.watch", {"prefix": ""})
    client.call("storage.put", {"key": "s"}, body=b"1")
    client.call("session.start")
    client.call("storage.put", {"key": "s"}, body=b"2")
    while not client.events:
        client.take()
    assert client.events.popleft()["body"] == b"2"


def test_a_body_that_nobody_asked_for_is_passed_over(shared_daemon):
    client = shared_daemon.client()
    assert "level" in client.call("log.get_level", body=bytes(1000))
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("no.such", body=bytes(1000))
    assert failed.value.error == "unknown_method"


def test_the_rest_of_the_store_answers(shared_daemon):
    client = shared_daemon.client()
    client.call("storage.put", {"key": "rest"}, body=b"1")
    assert client.call("storage.keys", {"prefix": "rest"}) == {"keys": ["rest"], "more": False}
    assert client.call("storage.sync") == {"peers": 0}
    assert client.call("storage.statistics")["keys"] >= 1


def test_a_body_may_come_byte_by_byte_and_cut_anywhere(shared_daemon):
    client = shared_daemon.client()
    body = bytes(range(40))
    frame_id = client.new_id("storage.put")
    data = ratsipc.encode_call(frame_id, "storage.put", {"key": "cut"}, body)
    for byte in data:
        client.send(bytes([byte]))
    client.finish(frame_id)
    assert client.call_body("storage.get", {"key": "cut"})[1] == body
