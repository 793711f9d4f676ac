"""Programs that come and go by the thousand, through the library: memory and descriptors of both
sides stay (reliability.md V7, R16). test_troubles.py does the same with bare sockets."""
import os
import subprocess

from daemons import plain_ratsd, wait_until

LONG = bool(os.environ.get("RATS_LONG"))
COUNT = 20000 if LONG else 2000
DRIFT_KIB = 512  # what a heap may still settle by after a warm-up


def test_handles_of_the_library_come_and_go(daemon):
    node = daemon(program=plain_ratsd())
    program = os.path.join(os.path.dirname(node.program), "..", "tests", "stress", "stress_librats")
    steady = node.client()

    def churn(count):
        done = subprocess.run([program, "churn", node.socket, str(count)], check=False, timeout=110,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True)
        assert done.returncode == 0, done.stdout
        wait_until(lambda: len(steady.call("session.list")["sessions"]) == 1, "all are gone")

    churn(200)
    descriptors, rss = node.descriptors(), node.rss_kib()
    churn(COUNT)
    assert node.descriptors() <= descriptors
    assert node.rss_kib() - rss < DRIFT_KIB
    assert steady.is_alive()
