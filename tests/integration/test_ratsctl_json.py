"""ratsctl --json: every command, held against ratsctl-schema.json (usability.md C1)."""
import json
import subprocess

import pytest
from ctl import DONE, SCHEMA, check_document, json_of, lines_of, running, wait_started
from daemons import DEADLINE_S, RATSCTL, wait_until


@pytest.fixture(scope="module")
def command_table():
    done = subprocess.run([RATSCTL, "--help", "--json"], stdout=subprocess.PIPE, check=True)
    return {row["name"]: row for row in json.loads(done.stdout)["commands"]}


def recipes(first, second):
    """{schema name: arguments} for every command whose output ends by itself."""
    return {
        "status": ["status"], "peers": ["peers"], "peer": ["peer", second.peer_id[:8]],
        "connect": ["connect", "127.0.0.1:%d" % second.port], "send": ["send", "all", "text"],
        "ping": ["ping", second.peer_id], "request-peers": ["request-peers", second.peer_id],
        "ban": ["ban", "192.0.2.0/24", "--for=1h", "--reason=a test"], "bans": ["bans"],
        "unban": ["unban", "192.0.2.0/24"], "limit": ["limit"],
        "topics": ["topics"], "subs": ["subs"], "subs of topic": ["subs", "news"],
        "pub": ["pub", "news", "text"], "clients": ["clients"], "wait": ["wait", "--peers=1", "--timeout=10"],
        "protocol list": ["protocol", "list"], "protocol describe": ["protocol", "describe"],
        "call": ["call", "peer.list"], "log-level": ["log-level"], "version": ["version"],
        "monitor": ["monitor", "--count=1", "--timeout=10"],
        "known list": ["known"], "known connect": ["known", "connect"],
        "known save": ["known", "save"],
        "reconnect add": ["reconnect", "add", "127.0.0.1:%d" % second.port],
        "reconnect list": ["reconnect", "list"], "known clear": ["known", "clear"],
        "reconnect remove": ["reconnect", "remove", "127.0.0.1:%d" % second.port],
        "kv put": ["kv", "put", "k", "7", "--as=int64"], "kv get": ["kv", "get", "k"],
        "kv keys": ["kv", "keys"], "kv sync": ["kv", "sync"], "kv stats": ["kv", "stats"],
        "kv rm": ["kv", "rm", "k"],
        "disconnect": ["disconnect", second.peer_id],
    }


ONCE = ("reconnect remove", "kv rm", "disconnect")  # what cannot be done twice


def test_every_command_speaks_json(pair, command_table):
    first, second = pair
    recipe = recipes(first, second)
    elsewhere = {"recv", "sub", "put", "get", "share", "accept", "transfers", "transfer"}
    assert {name.split()[0] for name in recipe} | elsewhere == set(command_table)
    assert {name for name in SCHEMA if name.islower()} == set(recipe) | elsewhere | {"kv watch", "transfer pause"}
    lists = {"peers": "PEER", "clients": "CLIENT", "topics": "TOPIC", "subs": "TOPIC",
             "subs of topic": "SUBSCRIBER", "known list": "KNOWN",
             "reconnect list": "TARGET", "bans": "BAN", "kv keys": "KEY"}
    for node in pair:
        node.client().call("topic.subscribe", {"topic": "news"})
    wait_until(lambda: json_of(first.ctl("subs", "news", "--json"))["peers"], "it is known")
    for name, words in recipe.items():
        if name in ONCE:
            continue
        check_document(json_of(first.ctl(*words, "--json")), name, name)
        if name == "unban":
            json_of(first.ctl(*recipe["ban"], "--json"))
        printed = lines_of(first.ctl("--json=lines", *words))
        assert printed, name
        for line in printed:
            check_document(line, lists.get(name, name), name)
    for name in ONCE:
        check_document(json_of(first.ctl("--json", *recipe[name])), name, name)


@pytest.mark.parametrize("mode", ["--json", "--json=lines"])
def test_recv_prints_one_object_per_line(shared_pair, mode):
    first, second = shared_pair
    with running(second, "recv", "--channel=c", "--count=2", mode) as process:
        wait_started(second)
        sender = first.client()
        sender.call("session.start")
        sender.send_message(second.peer_id, "c", "grüße".encode("utf-8"))
        sender.send_message(second.peer_id, "c", b"\xff\x00")
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (DONE, b"")
    text, data = [json.loads(line) for line in output.decode("ascii").splitlines()]
    assert text["text"] == "grüße" and data["hex"] == "ff00" and "text" not in data
    assert data["sequence"] == text["sequence"] + 1
    for document in (text, data):
        assert document["peer"] == first.peer_id and document["channel"] == "c"
        check_document(document, "recv", "recv")


def test_sub_prints_one_object_per_line(shared_pair):
    first, second = shared_pair
    with running(second, "sub", "news", "--count=2", "--json") as process:
        wait_started(second)
        wait_until(lambda: json_of(first.ctl("subs", "news", "--json"))["peers"], "it is known")
        for node in (first, second):
            assert node.ctl("pub", "news", "text").returncode == DONE
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (DONE, b"")
    for line in output.decode("ascii").splitlines():
        document = json.loads(line)
        assert document["local"] is (document["peer"] == second.peer_id)
        check_document(document, "sub", "sub")


@pytest.mark.parametrize("mode", ["--json", "--json=lines"])
def test_kv_watch_prints_one_object_per_change(shared_pair, mode):
    first, second = shared_pair
    with running(second, "kv", "watch", "w/", "--count=3", mode) as process:
        wait_started(second)
        writer = first.client()
        writer.call("storage.put", {"key": "other"}, body=b"x")
        writer.call("storage.put", {"key": "w/1", "type": "int64"}, body=b"\xff" * 8)
        writer.call("storage.put", {"key": "w/2"}, body=b"\xff\x00")
        writer.call("storage.remove", {"key": "w/1"})
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (DONE, b"")
    number, data, removed = [json.loads(line) for line in output.decode("ascii").splitlines()]
    assert (number["key"], number["type"], number["text"]) == ("w/1", "int64", "-1")
    assert (data["key"], data["hex"]) == ("w/2", "ff00")
    assert (removed["key"], removed["deleted"], removed["bytes"]) == ("w/1", True, 0)
    for document in (number, data, removed):
        assert document["remote"] is True and document["origin"] == first.peer_id
        check_document(document, "kv watch", "kv watch")
