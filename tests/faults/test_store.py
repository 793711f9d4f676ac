"""A disk that fails under the store: what was acknowledged is there, what was not is told, and the
daemon goes on (reliability R5, R7)."""
import errno
import random

import pytest

import daemons
import faultshim
import ratsipc

SITES = ("pwrite", "fdatasync", "fsync", "ftruncate", "open")
FAULTS = [("pwrite", errno.ENOSPC), ("pwrite", errno.EIO), ("fdatasync", errno.EIO),
          ("fdatasync", errno.ENOSPC), ("fsync", errno.EIO), ("ftruncate", errno.EIO),
          ("open", errno.EMFILE)]


@pytest.fixture
def faults(tmp_path):
    made = faultshim.Faults(tmp_path / "faults", SITES)
    yield made
    made.close()


def test_what_was_acknowledged_survives_a_failing_disk(daemon, faults):
    node = daemon.make(program=daemons.plain_ratsd())
    node.variables.update(faults.environment())
    client = node.start().client()
    client.call("storage.put", {"key": "at first"}, body=b"1")  # it is opened beside the start
    dice = random.Random(3)
    stored, hits, told = {}, {}, 0
    for turn in range(210):
        name, error = FAULTS[turn % len(FAULTS)]
        faults.arm_next(name, error, skip=dice.randrange(3), count=dice.choice((1, 2, None)))
        for _ in range(4):
            key, value = "k%d" % dice.randrange(30), b"%d" % dice.randrange(1 << 40)
            try:
                client.call("storage.put", {"key": key}, body=value * dice.randrange(1, 500))
                stored[key] = None  # of which size does not matter here
                client.call("storage.put", {"key": key}, body=value)
                stored[key] = value
            except ratsipc.Failed as failed:
                assert failed.error == "operation_failed" and "disk" in failed.text
                stored.pop(key, None)
                told += 1
        hits[name] = hits.get(name, 0) + faults.hits(name)
        faults.disarm(name)
        if turn % 15 == 14:
            node.kill()
            node.close_clients()
            client = node.start().client()
            for key, value in stored.items():
                found = client.call_body("storage.get", {"key": key})[1]
                assert value is None or found == value, key
    assert told > 20 and min(hits[name] for name in ("pwrite", "fdatasync")) > 0
    client.call("storage.put", {"key": "at last"}, body=b"1")
