"""A name service that never answers keeps nobody from ending the daemon."""
import os

from daemons import wait_until, without_names


def lookups(node):
    """Threads of the daemon that look a name up."""
    tasks = "/proc/%d/task" % node.process.pid
    names = []
    for task in os.listdir(tasks):
        with open(os.path.join(tasks, task, "comm"), encoding="ascii") as file:
            names.append(file.read().strip())
    return names.count("resolve")


def test_a_lookup_that_hangs_does_not_hold_up_the_end(daemon):
    node = daemon.make()
    node.variables = without_names()
    node.start()
    client = node.client()
    client.call("session.start")
    for number in range(6):  # more than there are threads
        client.begin("peer.connect", {"host": "name%d.example" % number, "port": 4000})
    wait_until(lambda: lookups(node) == 4, "every thread hangs in a lookup")
    assert client.is_alive()
    node.terminate()  # for ever, without an end to its lookups
