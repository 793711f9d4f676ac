"""Counts the tests of JUnit files, subtest by subtest: tally.py FILE...

Prints "PASSED FAILED SKIPPED", then one line for each failure and each skip with its reason.
Meson's files need care: a TAP program that crashes, or that a sanitizer ends, has no failed case.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree


class Tally:
    """What was counted, and the lines that explain what did not pass."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.lines = []

    def fail(self, name, reason="", count=1):
        self.failed += count
        self.lines.append("FAILED  %s%s" % (name, ": " + reason if reason else ""))

    def skip(self, name, reason):
        self.skipped += 1
        self.lines.append("skipped %s: %s" % (name, reason or "no reason given"))


def first_line(text):
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[0][:200] if lines else ""


def count_case(tally, case, suite):
    name = case.get("name", "?")
    name = "%s: %s" % (suite, name) if suite else name
    fault = case.find("failure")
    if fault is None:
        fault = case.find("error")
    skipped = case.find("skipped")
    if fault is not None:
        tally.fail(name, first_line(fault.get("message")))
    elif skipped is not None:
        tally.skip(name, first_line(skipped.get("message") or skipped.text))
    else:
        tally.passed += 1


def count_suite(tally, suite):
    name = suite.get("name", "").split(" / ")[-1]
    before = tally.failed
    cases = suite.findall("testcase")
    for case in cases:
        count_case(tally, case, name if name not in ("pytest", "ratsd") else "")
    for case, reason in re.findall(r"^# skipped (\w+): (.*)$", suite.findtext("system-out") or "",
                                   re.M):
        tally.passed -= 1  # tests/support/skip.h
        tally.skip("%s: %s" % (name, case), reason)
    plan = re.match(r"\s*1\.\.(\d+)", suite.findtext("system-out") or "")
    missing = int(plan.group(1)) - len(cases) if plan else 0
    if missing > 0:
        tally.fail(name, "the program ended before %d of its cases" % missing, missing)
    ended = re.search(r"\(test program exited with status code ([^)]*)\)",
                      suite.findtext("system-err") or "")
    if ended and tally.failed == before:
        tally.fail(name, "every case passed, but it exited with %s" % ended.group(1))


def main(paths):
    tally = Tally()
    for path in paths:
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            count_suite(tally, suite)
    print(tally.passed, tally.failed, tally.skipped)
    print("\n".join(tally.lines))


if __name__ == "__main__":
    main(sys.argv[1:])
