"""Topics as one session sees them: rows, local delivery, limits (rats-ipc(7))."""
import pytest
import ratsipc
from daemons import wait_until

NOBODY = "0" * 64


def ids_of(client, method, topic):
    return client.call(method, {"topic": topic})["peers"]


def test_sessions_of_one_instance_hear_each_other(shared_daemon):
    ours = shared_daemon.peer_id
    one, two, three = (shared_daemon.client().subscribe("news") for _ in range(3))
    assert one.publish("news", b"hello") == 0
    for client in (two, three):
        assert client.wait_message() == (ours, "news", b"hello", ours, ratsipc.LOCAL)
    one.call("log.get_level")
    assert not one.messages
    assert one.publish("news", b"echo", echo=True) == 0
    for client in (one, two, three):
        assert client.wait_message().body == b"echo"


def test_only_while_subscribed_and_started(shared_daemon):
    sender = shared_daemon.client()
    client = shared_daemon.client()
    client.call("topic.subscribe", {"topic": "news"})
    sender.publish("news", b"before the start")
    client.call("session.start")
    sender.publish("news", b"1")
    sender.publish("other", b"2")
    assert client.wait_message().body == b"1"
    client.call("topic.unsubscribe", {"topic": "news"})
    sender.publish("news", b"3")
    client.call("log.get_level")
    assert not client.messages


def test_the_order_of_one_publisher_is_kept(shared_daemon):
    client, sender = shared_daemon.client().subscribe("n"), shared_daemon.client()
    for number in range(3000):
        sender.send_message(NOBODY, "n", b"%d" % number, plane=ratsipc.TOPIC)
    for number in range(3000):
        assert client.wait_message().body == b"%d" % number


def test_a_subscriber_here_that_reads_late_loses_nothing(shared_daemon):
    """40 MB to a session that reads only when the sender is held (queue limit 4 MiB)."""
    client, sender = shared_daemon.client().subscribe("n"), shared_daemon.client()
    sender.sock.setblocking(False)
    count, body = 400, bytes(100000)
    received, begun, rest = 0, 0, b""
    while received < count:
        try:
            while begun < count or rest:
                if not rest:
                    rest = ratsipc.encode_message(NOBODY, "n", b"%06d" % begun + body, 0, ratsipc.TOPIC)
                    begun += 1
                rest = rest[sender.sock.send(rest):]
        except BlockingIOError:
            pass
        assert client.wait_message().body[:6] == b"%06d" % received
        received += 1
    client.call("log.get_level")
    assert not client.events  # nothing lost


def test_subscriptions_are_counted_and_listed(shared_daemon):
    client = shared_daemon.client()
    assert client.call("topic.subscribe", {"topic": "b"}) == {
        "already": False, "peers": 0, "topic": "b", "members": []}
    assert client.call("topic.subscribe", {"topic": "b"})["already"] is True
    client.call("topic.subscribe", {"topic": "a"})
    shared_daemon.client().subscribe("c")
    assert client.call("topic.list") == {"topics": ["a", "b"]}
    row = next(r for r in client.call("session.list")["sessions"]
               if r["session"] == client.info["session"])
    assert row["topics"] == 2
    known = {r["topic"]: r["sessions"] for r in client.call("topic.all")["topics"]}
    assert known["a"] == known["b"] == known["c"] == 1
    for topic in ("c", "d"):
        with pytest.raises(ratsipc.Failed) as failed:
            client.call("topic.unsubscribe", {"topic": topic})
        assert failed.value.error == "not_found" and topic in failed.value.text


@pytest.mark.parametrize("topic", ["", "x" * 4097, 7])
def test_bad_names_are_refused(shared_daemon, topic):
    client = shared_daemon.client()
    for method in ("topic.subscribe", "topic.unsubscribe", "topic.peers", "topic.mesh"):
        with pytest.raises(ratsipc.Failed) as failed:
            client.call(method, {"topic": topic})
        assert failed.value.error == "invalid_parameter"
        assert failed.value.details == {"field": "topic"}


def test_publishing_without_a_name_is_refused(shared_daemon):
    client = shared_daemon.client()
    with pytest.raises(ratsipc.Failed) as failed:
        client.publish("", b"x")
    assert failed.value.error == "invalid_parameter" and "1 to 65535" in failed.value.text
    with pytest.raises(ratsipc.Failed) as failed:
        client.publish("t", bytes(ratsipc.MAX_PAYLOAD - 40))
    assert failed.value.error == "too_large"
    assert client.is_alive()


def test_512_topics_a_session(shared_daemon):
    client = shared_daemon.client()
    for number in range(512):
        client.call("topic.subscribe", {"topic": "t%d" % number})
    with pytest.raises(ratsipc.Failed) as failed:
        client.call("topic.subscribe", {"topic": "one too many"})
    assert failed.value.error == "limit" and "512" in failed.value.text
    client.call("topic.subscribe", {"topic": "t0"})
    client.close()
    other = shared_daemon.client()
    wait_until(lambda: "t0" not in [r["topic"] for r in other.call("topic.all")["topics"]],
               "what the session had is gone")


def test_two_instances(shared_pair):
    first, second = shared_pair
    one, two = first.client().subscribe("news"), second.client().subscribe("news")
    wait_until(lambda: ids_of(one, "topic.peers", "news") == [second.peer_id], "they know")
    wait_until(lambda: ids_of(two, "topic.mesh", "news") == [first.peer_id], "they are a mesh")
    late = second.client()
    assert late.call("topic.subscribe", {"topic": "news"})["members"] == [first.peer_id]
    late.call("topic.unsubscribe", {"topic": "news"})
    assert one.publish("news", b"hello") == 1
    assert two.wait_message() == (first.peer_id, "news", b"hello", first.peer_id, 0)
    third = second.client()
    assert third.publish("news", b"there") == 1
    assert one.wait_message().body == b"there"
    assert two.wait_message() == (second.peer_id, "news", b"there", second.peer_id, ratsipc.LOCAL)
    two.call("topic.unsubscribe", {"topic": "news"})
    assert one.wait_event("topic.left") == {"peer": second.peer_id, "topic": "news"}
    two.call("topic.subscribe", {"topic": "news"})
    assert one.wait_event("topic.joined") == {"peer": second.peer_id, "topic": "news"}


def test_three_instances_in_a_row(daemon):
    """The first and the last are not connected; the one between them subscribes too."""
    nodes = [daemon(name=name) for name in "abc"]
    clients = [node.client().subscribe("news") for node in nodes]
    for client, node in zip(clients, nodes[1:]):
        client.call("peer.connect", {"host": "127.0.0.1", "port": node.port})
    wait_until(lambda: len(ids_of(clients[1], "topic.mesh", "news")) == 2, "the middle has a mesh")
    clients[0].publish("news", b"to the far end")
    message = clients[2].wait_message()
    assert message == (nodes[0].peer_id, "news", b"to the far end", nodes[1].peer_id, 0)


def test_statistics_add_up(daemon):
    node = daemon()
    one, two = (node.client().subscribe("news") for _ in range(2))
    for _ in range(3):
        one.publish("news", b"x")
    for _ in range(3):
        two.wait_message()
    told = one.call("topic.statistics")
    assert (told["subscribed"], told["known"], told["published"], told["delivered"]) == (1, 1, 3, 3)
    assert told["topics"] == [{"topic": "news", "sessions": 2, "subscribers": 0, "mesh": 0,
                               "fanout": 0}]
    counters = one.call("instance.get")["counters"]
    assert counters["topic_published"] == 3 and counters["topic_delivered"] == 3


def test_options_are_read(daemon):
    node = daemon(config="[topic]\nflood = 0\ncache = 0\nseen = 8192\n")
    client = node.client().subscribe("news")
    client.publish("news", b"x")
    assert client.call("topic.statistics")["cached_bytes"] == 0
