"""Hostile local clients beside honest ones (reliability R9, V2, V13, V17, V26).

A tenth of the size in the ordinary run, all of it with RATS_LONG=1.
"""
import os
import time

import pytest

import crowd
import daemons
import ratsipc

LONG = os.environ.get("RATS_LONG")
TOTAL = 10000 if LONG else 1000
AT_ONCE = 1000 if LONG else 150
GROWTH_KIB = 64 * 1024
# As many as come, so that it is the memory of each that keeps the daemon small.
ROOMY = "[clients]\nmax_sessions = 4096\nmax_sessions_per_uid = 4096\n"


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


class Honest:
    """Calls, one after the other, and now and then a program that attaches anew."""

    def __init__(self, node):
        self.node = node
        self.client = node.client()
        self.trips = []
        self.attached = self.turned_away = 0

    def go_on(self):
        """A few round trips; an answer that does not come within the client's 20 s is a fault."""
        for _ in range(20):
            before = time.monotonic()
            self.client.call("log.get_level")
            self.trips.append(time.monotonic() - before)
        try:
            with ratsipc.Client(self.node.socket) as newcomer:
                newcomer.hello()
            self.attached += 1
        except (ratsipc.Closed, BrokenPipeError):
            self.turned_away += 1


@pytest.mark.timeout(1800 if LONG else 120)
@pytest.mark.parametrize("program", [daemons.RATSD, daemons.plain_ratsd()],
                         ids=["under-test", "plain"])
@pytest.mark.parametrize("config", [ROOMY, ""], ids=["roomy", "default"])
def test_honest_clients_beside_a_hostile_crowd(daemon, program, config, record_property):
    node = daemon(program=program, config=config)
    is_plain = program == daemons.plain_ratsd()
    honest = Honest(node)
    honest.go_on()
    before = list(honest.trips)
    base, rss = node.descriptors(), node.rss_kib()
    hostile = crowd.Crowd(node.socket, TOTAL, AT_ONCE)
    growth = 0
    while hostile.is_there():
        honest.go_on()
        growth = max(growth, node.rss_kib() - rss)
    assert hostile.most() >= AT_ONCE
    unloaded, loaded = percentile(before, 0.99), percentile(honest.trips, 0.99)
    for name, value in (("unloaded p99 ms", unloaded * 1000), ("loaded p99 ms", loaded * 1000),
                        ("round trips", len(honest.trips)), ("attached", honest.attached),
                        ("turned away", honest.turned_away), ("growth KiB", growth)):
        record_property(name, value)
        print("%s: %s" % (name, value))
    # Nobody honest is kept out: the crowd has room of its own, or may fill what one user has.
    assert config == "" or honest.turned_away == 0
    assert honest.attached > 0
    if is_plain:
        assert growth <= GROWTH_KIB
        assert loaded <= 2 * unloaded + 0.005 or not LONG
    daemons.wait_until(lambda: node.descriptors() <= base, "every descriptor is closed")
    node.assert_idle()


DRIBBLERS = 1000 if LONG else 100
DRIBBLE_S = 10 if LONG else 3


@pytest.mark.timeout(180)
def test_clients_that_send_a_byte_now_and_then_cost_little(daemon, record_property):
    """V13: one byte every 100 ms, of a frame that never ends."""
    node = daemon(program=daemons.plain_ratsd(), config=ROOMY)
    frame = ratsipc.encode_message(ratsipc.EVERY_PEER, "x", b"z" * 65536)
    clients = [node.client() for _ in range(DRIBBLERS)]
    for client in clients:
        client.send(frame[:64])
    node.assert_idle()
    ticks, started = node.cpu_ticks(), time.monotonic()
    rounds = 0
    while time.monotonic() < started + DRIBBLE_S:
        rounds += 1
        for client in clients:
            client.send(b"z")
        time.sleep(max(0, started + rounds * 0.1 - time.monotonic()))
    node.clients[-1].close()
    share = (node.cpu_ticks() - ticks) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - started)
    record_property("share of a core", share)
    print("share of a core: %.3f" % share)
    assert share < 0.05 * (1 + 1000 / DRIBBLERS)
    assert node.client().is_alive()
