# SPDX-License-Identifier: BSD-2-Clause
"""Counts test cases: prints "PASSED FAILED SKIPPED".

    count.py meson LOG.json     Meson's log, one JSON object per test program and line
    count.py pytest REPORT.xml  pytest's JUnit report

A program that reports its cases (cmocka's own output, or TAP) counts with all of them, any other
as one. No log means that nothing ran: 0 0 0.
"""

import json
import re
import sys
import xml.etree.ElementTree as ET

CMOCKA = re.compile(r"^\[\s*(PASSED|FAILED|SKIPPED)\s*\]\s+(\d+) test\(s\)", re.M)
TAP = re.compile(r"^(not )?ok \d+\b[^#\n]*(# *skip)?", re.M | re.I)


def cases(output):
    """Counts [passed, failed, skipped] that a program printed, [0, 0, 0] if it printed none."""
    n = [0, 0, 0]
    found = CMOCKA.findall(output)
    if found:
        for what, count in found:
            n[("PASSED", "FAILED", "SKIPPED").index(what)] += int(count)
        return n
    for m in TAP.finditer(output):
        n[2 if m.group(2) else 1 if m.group(1) else 0] += 1
    return n


def meson(path):
    total = [0, 0, 0]
    with open(path, encoding="utf-8") as f:
        for line in f:
            t = json.loads(line)
            n = cases(t.get("stdout", "") + "\n" + t.get("stderr", ""))
            if t["result"] in ("OK", "EXPECTEDFAIL"):
                if not any(n):
                    # cmocka prints "0 test(s) run": a program without cases proves nothing
                    n = [0, 1, 0] if " 0 test(s) run" in t.get("stdout", "") else [1, 0, 0]
            elif t["result"] == "SKIP":
                n = [0, 0, max(1, n[2])]
            elif not n[1]:
                n[1] = 1
            total = [a + b for a, b in zip(total, n)]
    return total


def pytest(path):
    total = [0, 0, 0]
    for suite in ET.parse(path).getroot().iter("testsuite"):
        tests = int(suite.get("tests", 0))
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        total = [a + b for a, b in zip(total, (max(0, tests - failed - skipped), failed, skipped))]
    return total


if __name__ == "__main__":
    try:
        print(*{"meson": meson, "pytest": pytest}[sys.argv[1]](sys.argv[2]))
    except FileNotFoundError:
        print(0, 0, 0)
