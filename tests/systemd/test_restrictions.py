"""The suites of real daemons once more, with each daemon in the restrictions of the shipped unit
(reliability R24): no system call that it forbids, and at most half of the memory it allows."""
import json
import os
import re

import daemons
import pytest

LONG = bool(os.environ.get("RATS_LONG"))
TREE = "/opt/ratsd-tests/tree"
SCRATCH = "/opt/ratsd-tests/scratch"
FACTS = SCRATCH + "/facts"
UNIT = "/usr/local/lib/systemd/system/ratsd.service"
SIGSYS = 31
# Not those whose daemons somebody else starts: a program, a manager of the test's own, a shell that
# mounts something or enters a namespace, strace; nor what measures starts, which take longer here.
LEFT_OUT = ["--ignore=%s/tests/integration/test_%s.py" % (TREE, name)
            for name in ("churn", "instances", "readme", "starting", "supervisor")]
LEFT_OUT += ["-k", "not power and not kill_9 and not loopback_and_link_local"]
ENVIRONMENT = {
    "RATS_UNIT": UNIT, "RATS_UNIT_FACTS": FACTS, "TMPDIR": SCRATCH,
    "RATSD_BIN": "/usr/local/bin/ratsd", "RATSD_PLAIN_BIN": "/usr/local/bin/ratsd",
    "RATSCTL_BIN": "/usr/local/bin/ratsctl", "LIBRATS_LIBRARY": "librats.so.1",
    "RATS_BUILD_DIR": TREE + "/build", "PYTHONPATH": TREE + "/tests/support",
    "PYTHONDONTWRITEBYTECODE": "1"}
FORBIDDEN = """
import os, restricted
words = ["/usr/bin/python3", "-c", "import os; os.sched_setaffinity(0, [0])"]
print(restricted.Service(words, os.environ["TMPDIR"] + "/log", {}).wait(20))
"""

pytestmark = pytest.mark.skipif(not LONG, reason="takes minutes; RATS_LONG=1")


@pytest.fixture(scope="module")
def tree(booted):
    """The tests themselves: the box may not see where they are."""
    source = os.path.join(daemons.ROOT, "tests")
    names = ["conftest.py", "support", "conformance", "interop", "integration", "vectors"]
    booted.put(names, source, TREE + "/tests")
    booted.put(["python"], daemons.ROOT, TREE)
    support = os.path.join(booted.build, "tests", "support")  # what is preloaded into daemons
    booted.put([name for name in os.listdir(support) if name.endswith(".so")], support,
               TREE + "/build/tests/support")
    return booted


@pytest.fixture(autouse=True)
def scratch(tree):
    tree.out("rm", "-rf", SCRATCH)
    tree.out("mkdir", "-p", SCRATCH)


def test_what_is_forbidden_does_not_go_unseen(tree):
    assert tree.out("/usr/bin/python3", "-c", FORBIDDEN, env=ENVIRONMENT) == str(-SIGSYS)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("suite", ["conformance", "interop", "integration"])
def test_nothing_forbidden_and_half_of_the_memory_suffice(tree, suite, record_property):
    done = tree.run("/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs",
                    "--timeout=120", *LEFT_OUT, TREE + "/tests/" + suite, env=ENVIRONMENT, timeout=3000)
    print(done.stdout[-6000:], done.stderr[-2000:])
    facts = [json.loads(line) for line in tree.out("cat", FACTS).splitlines()]
    allowed_kib = int(tree.show("ratsd.service", "MemoryMax")) // 1024
    peak_kib = max(fact["peak_kib"] for fact in facts)
    record_property("daemons", len(facts))
    record_property("peak KiB of", "%d %d" % (peak_kib, allowed_kib))
    print("%d daemons, at most %d KiB of %d" % (len(facts), peak_kib, allowed_kib))
    assert [fact for fact in facts if fact["ended"] == -SIGSYS] == []
    assert done.returncode == 0, re.findall("(?m)^FAILED.*", done.stdout)
    assert peak_kib <= allowed_kib / 2
