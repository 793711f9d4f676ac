"""Topics through librats, its Python bindings and ratsctl, with one, two and three real daemons."""
import json
import os
import subprocess
import sys

import pytest
import ratsipc
from daemons import DEADLINE_S, RATSCTL, ROOT, environment, librats_path, link, wait_until

os.environ.setdefault("LIBRATS_LIBRARY", librats_path())
sys.path.insert(0, os.path.join(ROOT, "python"))

from librats_py import RatsClient, RatsError, RatsNotRunningError  # noqa: E402

TOPIC = "news"


class Member:
    """A client that notes what its callbacks say of one topic."""

    def __init__(self, node, name="member", topic=TOPIC, socket=None):
        self.client = RatsClient(socket_path=socket or node.socket, name=name)
        self.id = self.client.get_our_peer_id()
        self.topic, self.texts, self.joined, self.left = topic, [], [], []
        self.client.set_topic_message_callback(topic, lambda *what: self.texts.append(what))
        self.client.set_topic_peer_joined_callback(topic, lambda peer, _: self.joined.append(peer))
        self.client.set_topic_peer_left_callback(topic, lambda peer, _: self.left.append(peer))

    def up(self):
        self.client.start()
        self.client.subscribe_to_topic(self.topic)
        return self

    def wait_texts(self, *expected):
        wait_until(lambda: len(self.texts) >= len(expected), "%d messages" % len(expected))
        assert self.texts == list(expected)


@pytest.fixture
def members():
    made = []

    def make(node, **options):
        made.append(Member(node, **options))
        return made[-1]
    yield make
    for member in made:
        member.client.close()


def subscribers(member):
    return sorted(member.client.get_topic_peers(TOPIC))


def wait_subscribers(member, *others):
    wait_until(lambda: subscribers(member) == sorted(other.id for other in others),
               "the subscribers are known")


def test_peers_are_told_who_joins_and_leaves(pair, members):
    a, b = members(pair[0]).up(), members(pair[1])
    b.client.start()
    assert subscribers(a) == []
    b.client.subscribe_to_topic(TOPIC)
    wait_until(lambda: a.joined == [b.id], "b joined")
    wait_subscribers(b, a)
    wait_until(lambda: b.joined == [a.id], "a was there before")
    b.client.unsubscribe_from_topic(TOPIC)
    wait_until(lambda: a.left == [b.id], "b left")
    b.client.subscribe_to_topic(TOPIC)
    wait_until(lambda: a.joined == [b.id] * 2, "b joined again")
    pair[1].kill()
    wait_until(lambda: a.left == [b.id] * 2, "b is gone")
    assert subscribers(a) == []
    pair[1].start()
    link(*pair)
    wait_until(lambda: a.joined == [b.id] * 3, "b is back")


def test_messages_of_every_kind_arrive_once_and_in_order(pair, members):
    a, b = members(pair[0]).up(), members(pair[1]).up()
    values, data = [], []
    b.client.set_topic_json_message_callback(TOPIC, lambda peer, topic, v: values.append(v))
    b.client.set_topic_binary_callback(TOPIC, lambda peer, topic, d: data.append(d))
    wait_subscribers(a, b)
    a.client.publish_to_topic(TOPIC, "grüße")
    a.client.publish_to_topic(TOPIC, "")
    a.client.publish_json_to_topic(TOPIC, {"k": [1, None]})
    a.client.publish_binary_to_topic(TOPIC, b"x\0\xff")
    a.client.publish_binary_to_topic(TOPIC, memoryview(b"0123"))
    a.client.publish_to_topic("other", "not subscribed")
    for number in range(500):
        a.client.publish_to_topic(TOPIC, "n%d" % number)
    wait_until(lambda: len(data) == 505, "all messages")
    assert data[:5] == ["grüße".encode(), b"", b'{"k": [1, null]}', b"x\0\xff", b"0123"]
    assert data[5:] == [b"n%d" % number for number in range(500)]
    assert values == [{"k": [1, None]}]
    assert b.texts[:4] == [(a.id, TOPIC, text) for text in ("grüße", "", '{"k": [1, null]}', "x")]
    assert a.texts == []


def test_sessions_of_one_daemon_hear_each_other(pair, members):
    first, second, silent = members(pair[0]).up(), members(pair[0]).up(), members(pair[0])
    silent.client.start()
    remote = members(pair[1]).up()
    wait_subscribers(first, remote)
    first.client.publish_to_topic(TOPIC, "1")
    first.client.publish_binary_to_topic(TOPIC, b"2", echo=True)
    silent.client.publish_to_topic(TOPIC, "3")
    remote.client.publish_to_topic(TOPIC, "4")
    told = [(first.id, TOPIC, text) for text in "123"]
    remote.wait_texts(*told)
    second.wait_texts(*told, (remote.id, TOPIC, "4"))
    first.wait_texts(told[1], told[2], (remote.id, TOPIC, "4"))
    assert silent.texts == [] and first.joined == second.joined


def test_subscribing_before_start(pair, members):
    a, b = members(pair[0]).up(), members(pair[1])
    b.client.subscribe_to_topic(TOPIC)
    wait_subscribers(a, b)  # the instance subscribes already
    a.client.publish_to_topic(TOPIC, "too early")
    a.client.publish_to_topic("flush", "x")
    with pytest.raises(RatsNotRunningError):
        b.client.publish_to_topic(TOPIC, "x")
    with pytest.raises(RatsError):
        b.client.subscribe_to_topic(TOPIC)
    b.client.start()
    a.client.publish_to_topic(TOPIC, "heard")
    wait_until(lambda: b.texts and b.texts[-1] == (a.id, TOPIC, "heard"), "the message")
    assert b.texts[:-1] in ([], [(a.id, TOPIC, "too early")])


def test_stopping_ends_all_subscriptions(pair, members):
    a, b, other = members(pair[0]).up(), members(pair[1]).up(), members(pair[1], topic="more").up()
    b.client.subscribe_to_topic("more")
    wait_until(lambda: a.joined == [b.id] or subscribers(a) == [b.id], "b is there")
    assert b.client.get_subscribed_topics() == ["more", TOPIC]
    b.client.stop()
    assert b.client.get_subscribed_topics() == [] and not b.client.is_gossipsub_running()
    wait_until(lambda: a.left == [b.id], "b left")
    assert a.client.get_topic_peers("more") == [b.id]  # the other session still subscribes
    b.client.start()
    a.client.publish_to_topic(TOPIC, "nobody hears")
    b.client.subscribe_to_topic(TOPIC)  # callbacks have stayed
    wait_subscribers(a, b)
    a.client.publish_to_topic(TOPIC, "heard")
    b.wait_texts((a.id, TOPIC, "heard"))
    assert other.texts == []


def test_sessions_that_end_leave(pair, members):
    a = members(pair[0]).up()
    b, c = members(pair[1]).up(), members(pair[1]).up()
    wait_until(lambda: subscribers(a) == [b.id], "they are there")
    b.client.close()
    a.client.publish_to_topic(TOPIC, "1")
    c.wait_texts((a.id, TOPIC, "1"))
    assert a.left == []
    c.client.close()
    wait_until(lambda: a.left == [b.id], "the last has left")


def test_three_in_a_row_pass_messages_on(daemon, members):
    nodes = [daemon(name=name) for name in "abc"]
    link(nodes[0], nodes[1])
    link(nodes[1], nodes[2])
    a, b, c = (members(node).up() for node in nodes)
    wait_subscribers(b, a, c)
    wait_subscribers(c, b)
    for end in (a, c):
        wait_until(lambda: end.client.get_topic_mesh_peers(TOPIC) == [b.id], "the mesh is there")
    passed_on = []
    c.client.set_topic_forwarded_callback(TOPIC, lambda *what: passed_on.append(what))
    a.client.publish_to_topic(TOPIC, "from one end")
    c.wait_texts((a.id, TOPIC, "from one end"))
    wait_until(lambda: passed_on == [(a.id, b.id, TOPIC, b"from one end")], "who passed it on")
    c.client.publish_to_topic(TOPIC, "from the other")
    a.wait_texts((c.id, TOPIC, "from the other"))
    b.wait_texts((a.id, TOPIC, "from one end"), (c.id, TOPIC, "from the other"))


def test_subscriptions_outlive_the_daemon(pair, members):
    a, b = members(pair[0]).up(), members(pair[1]).up()
    wait_subscribers(a, b)
    for kill in (True, False):
        a.texts.clear()
        b.texts.clear()
        joined, left = len(b.joined), len(b.left)
        pair[1].kill() if kill else pair[1].terminate()
        wait_until(lambda: not b.client.is_attached(), "b's daemon is gone")
        assert b.client.get_subscribed_topics() == [TOPIC]
        assert b.client.get_topic_peers(TOPIC) == [] and b.client.get_gossipsub_statistics() == {}
        b.client.subscribe_to_topic("while it is gone")
        pair[1].start()
        with ratsipc.Client(pair[1].socket) as watcher:
            watcher.hello()
            wait_until(lambda: any(row["topics"] == 2 and row["started"] for row in
                                   watcher.call("session.list")["sessions"]), "b has said it again")
        link(*pair)
        wait_subscribers(a, b)
        wait_until(lambda: len(b.joined) == joined + 1, "a joins anew")
        assert b.left == [a.id] * (left + 1)
        wait_until(lambda: b.id in a.client.get_topic_peers("while it is gone"), "said late")
        a.client.publish_to_topic(TOPIC, "hello again")
        b.wait_texts((a.id, TOPIC, "hello again"))
        b.client.publish_to_topic(TOPIC, "to you too")
        a.wait_texts((b.id, TOPIC, "to you too"))
        b.client.unsubscribe_from_topic("while it is gone")


def test_who_is_back_before_the_program_joins_again(pair, members, tmp_path):
    """The restarted daemon has its peers back, and they have said what they subscribe to, before the
    program is attached to it."""
    door = str(tmp_path / "door")
    os.symlink(pair[1].socket, door)
    a, b = members(pair[0]).up(), members(pair[1], socket=door).up()
    wait_until(lambda: b.joined == [a.id], "a is there")
    order = []
    b.client.set_connection_callback(lambda peer: order.append("connected"))
    b.client.set_topic_peer_joined_callback(TOPIC, lambda peer, _: order.append("joined"))
    b.client.set_topic_peer_left_callback(TOPIC, lambda peer, _: order.append("left"))
    os.remove(door)
    pair[1].kill()
    wait_until(lambda: order == ["left"], "everybody is gone")
    pair[1].start()
    link(*pair)
    wait_until(lambda: json_of(pair[1].ctl("topics", "--json"))["topics"], "a subscribes")
    assert order == ["left"]
    os.symlink(pair[1].socket, door)
    wait_until(lambda: "joined" in order, "a joined")
    wait_subscribers(a, b)
    a.client.publish_to_topic(TOPIC, "still one of us")
    b.wait_texts((a.id, TOPIC, "still one of us"))
    assert order == ["left", "connected", "joined"]


V1_KEYS = {"available", "running", "subscribed_topics_count", "total_topics_count", "topics",
           "peers_count"}


def test_statistics_have_the_keys_of_v1(pair, members):
    a, b = members(pair[0]), members(pair[1])
    empty = a.client.get_gossipsub_statistics()
    assert V1_KEYS <= set(empty) and empty["running"] is False and empty["topics"] == {}
    a.up(), b.up()
    wait_subscribers(a, b)
    a.client.publish_to_topic(TOPIC, "1")
    b.wait_texts((a.id, TOPIC, "1"))
    said = a.client.get_gossipsub_statistics()
    assert said["available"] is True and said["running"] is True and said["peers_count"] == 1
    assert said["subscribed_topics_count"] == said["total_topics_count"] == 1
    assert said["topics"] == {TOPIC: {"subscribers_count": 1, "mesh_peers_count": 1,
                                      "fanout_peers_count": 0, "is_subscribed": True}}
    assert [said[key] for key in ("average_peer_score", "min_peer_score", "max_peer_score")] == [0.0] * 3
    assert said["published"] == 1 and b.client.get_gossipsub_statistics()["delivered"] >= 1


def test_many_topics_have_their_own_messages(pair, members):
    a, b = members(pair[0]).up(), members(pair[1]).up()
    heard = []
    for number in range(200):
        topic = "t%d" % number
        b.client.set_topic_message_callback(topic, lambda peer, t, text: heard.append((t, text)))
        b.client.subscribe_to_topic(topic)
    wait_until(lambda: a.client.get_topic_peers("t199") == [b.id], "all topics are known")
    for number in range(0, 200, 2):
        a.client.publish_to_topic("t%d" % number, str(number))
    wait_until(lambda: len(heard) == 100, "all messages")
    assert heard == [("t%d" % number, str(number)) for number in range(0, 200, 2)]


def test_publishing_and_subscribing_in_a_callback(pair, members):
    a, b = members(pair[0]).up(), members(pair[1]).up()
    wait_subscribers(a, b)
    done = []

    def answer(peer, topic, text):
        b.client.publish_to_topic(TOPIC, "answer to " + text)
        b.client.subscribe_to_topic("in a callback")
        b.client.unsubscribe_from_topic("in a callback")
        done.append(b.client.get_topic_peers(TOPIC))
    b.client.set_topic_message_callback(TOPIC, answer)
    a.client.publish_to_topic(TOPIC, "q")
    a.wait_texts((b.id, TOPIC, "answer to q"))
    wait_until(lambda: done == [[a.id]], "the callback has ended")


# --- ratsctl ---

def lines_of(process):
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    return output.decode("utf-8").splitlines()


def in_background(node, *words):
    return subprocess.Popen([RATSCTL] + list(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=environment(node.directory, RATS_SOCKET=node.socket))


def json_of(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ratsctl_publishes_and_subscribes(pair):
    first, second = pair
    process = in_background(second, "sub", TOPIC, "more", "--count=3", "--json")
    wait_until(lambda: json_of(first.ctl("subs", "more", "--json"))["peers"], "it subscribes")
    said = json_of(first.ctl("pub", TOPIC, "hällo", "--json"))
    assert (said["topic"], said["bytes"], said["subscribers"]) == (TOPIC, 6, 1)
    assert first.ctl("pub", "more", "{1", "--as=json").returncode == 2
    assert first.ctl("pub", "more", "[1]", "--as=json").stdout == \
        "published 3 bytes on more; 1 peer subscribes\n"
    assert second.ctl("pub", TOPIC, "from here").returncode == 0
    rows = [json.loads(line) for line in lines_of(process)]
    assert [(row["topic"], row["text"]) for row in rows] == [
        (TOPIC, "hällo"), ("more", "[1]"), (TOPIC, "from here")]
    assert [row["peer"] for row in rows] == [first.peer_id, first.peer_id, second.peer_id]
    assert rows[0]["forwarder"] == first.peer_id
    assert [row["local"] for row in rows] == [False, False, True]
    assert first.ctl("pub", "", "x").returncode == 2 or first.ctl("pub", "", "x").returncode == 1


def test_ratsctl_shows_topics(pair, members):
    first, second = pair
    members(first).up(), members(second).up()
    other = members(second)
    other.client.subscribe_to_topic("there only")
    wait_until(lambda: len(json_of(first.ctl("topics", "--json"))["topics"]) == 2, "both topics")
    rows = {row["topic"]: row for row in json_of(first.ctl("topics", "--json"))["topics"]}
    assert rows[TOPIC] == {"topic": TOPIC, "sessions": 1, "subscribers": 1, "mesh": 1, "fanout": 0}
    assert rows["there only"]["sessions"] == 0 and rows["there only"]["subscribers"] == 1
    assert [row["topic"] for row in json_of(first.ctl("subs", "--json"))["topics"]] == [TOPIC]
    assert json_of(first.ctl("subs", TOPIC, "--json"))["peers"] == [
        {"peer": second.peer_id, "mesh": True}]
    assert first.ctl("subs", TOPIC, "--format=tab").stdout == second.peer_id + "\tyes\n"
    assert "there only\t0\t1\t0\t0\n" in first.ctl("topics", "--format=tab").stdout
    assert json_of(first.ctl("subs", "nobody's", "--json"))["peers"] == []


# --- the example ---

def test_the_chat_example(pair):
    first, second = pair
    chat = os.path.join(ROOT, "python", "examples", "gossipsub_chat.py")
    processes = []
    for node, name in ((first, "ann"), (second, "ben")):
        env = environment(node.directory, RATS_SOCKET=node.socket, LIBRATS_LIBRARY=librats_path(),
                          PYTHONPATH=os.path.join(ROOT, "python"))
        processes.append(subprocess.Popen(
            [sys.executable, chat, "0", name], env=env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True))
    ann, ben = processes
    try:
        for process in processes:
            process.stdin.write("join room\n")
            process.stdin.flush()
        for node in pair:
            wait_until(lambda: json_of(node.ctl("subs", "room", "--json"))["peers"], "both joined")
        ann.stdin.write("hello ben\n")
        ann.stdin.flush()
        while True:
            line = ben.stdout.readline()
            assert line, ben.stderr.read()
            if line == "[room] ann: hello ben\n":
                break
        ben.stdin.write("leave room\nquit\n")
        ben.stdin.flush()
        ann.stdin.write("quit\n")
        ann.stdin.flush()
        for process in processes:
            output, errors = process.communicate(timeout=DEADLINE_S)
            assert process.returncode == 0 and not errors, errors
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
