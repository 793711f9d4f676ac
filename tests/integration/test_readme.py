"""The examples in README.md are run as they stand there."""
import os
import re
import subprocess
import sys

import daemons
import pytest

with open(os.path.join(daemons.ROOT, "README.md"), encoding="utf-8") as file:
    README = file.read()


def example(language):
    """The one block of this language."""
    (block,) = re.findall(r"```%s\n(.*?)```" % language, README, re.DOTALL)
    return block


def run(words, daemon, **more):
    env = daemons.environment(daemon.directory, RATS_SOCKET=daemon.socket,
                              LIBRATS_LIBRARY=daemons.librats_path(),
                              PYTHONPATH=os.path.join(daemons.ROOT, "python"), **more)
    done = subprocess.run(words, env=env, timeout=60, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def listening(pair):
    """The first of two linked daemons, and a client of the second that hears strings and chat."""
    first, second = pair
    client = second.client()
    for name in ("rats.string", "chat"):
        client.call("channel.on", {"channel": name})
    client.call("session.start")
    return first, client


def heard(client, count):
    return sorted((message.name, message.body) for message in
                  (client.wait_message() for _ in range(count)))


def test_the_python_example_is_ten_lines_and_talks(listening):
    daemon, client = listening
    text = example("python")
    assert len(text.strip().splitlines()) <= 10
    output = run([sys.executable, "-c", text], daemon)
    assert "I am %s on port %d" % (daemon.peer_id, daemon.port) in output
    assert "told 1 peers" in output
    assert heard(client, 2) == [("chat", b"hello from Python"), ("rats.string", b"hello, everybody")]


def test_the_c_example_is_short_and_talks(listening, tmp_path):
    daemon, client = listening
    text = example("c")
    assert len([line for line in text.splitlines() if line.strip(" {}")]) <= 10
    source = tmp_path / "chat.c"
    source.write_text(text)
    library = daemons.librats_path()
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-I", os.path.join(daemons.ROOT, "include"), str(source),
                    library, "-Wl,-rpath," + os.path.dirname(library), "-o", str(tmp_path / "chat")],
                   check=True)
    assert run([str(tmp_path / "chat")], daemon) == "told 1 peers\n"
    assert heard(client, 1) == [("rats.string", b"hello from C")]


def test_every_file_the_readme_links_is_there():
    for path in re.findall(r"\]\(([^)]+)\)", README):
        assert os.path.exists(os.path.join(daemons.ROOT, path)), path


def test_every_room_of_the_map_is_there():
    (tree,) = re.findall(r"## The map\n\n```\n(.*?)```", README, re.DOTALL)
    places = {"": ""}
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        names = line.split("  ")[indent // 2] if indent else re.split(r"\s{2,}", line)[0]
        for name in re.split(r"\s+", names.strip()):
            base = places.get("inside", "") if indent else ""
            assert os.path.exists(os.path.join(daemons.ROOT, base, name)), base + name
        if not indent and line.split()[0].endswith("/"):
            places["inside"] = line.split()[0]
