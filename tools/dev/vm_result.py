# SPDX-License-Identifier: BSD-2-Clause
"""What the guest of ./dev test vm found: vm_result.py OUT_DIR [--count unit|netns]

Reads OUT_DIR/unit-journal (outcome count name seconds reason) and OUT_DIR/journal (outcome, seconds,
name, reason, with tabs); the last line about a test counts, it may have run again.
"""

import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

OUTCOMES = ("passed", "failed", "skipped")


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def unit(out):
    """[(outcome, count, name, seconds, reason)]"""
    rows = []
    for f in (l.split(" ", 4) for l in lines(out / "unit-journal")):
        rows.append((f[0], int(f[1]), f[2], float(f[3]), f[4] if len(f) > 4 else ""))
    return rows


def netns(out):
    last = {}
    for l in lines(out / "journal"):
        if l.count("\t") != 3:
            continue  # the guest ended in the middle of it
        outcome, seconds, name, reason = l.split("\t")
        last[name] = (outcome, 1, name, float(seconds), reason)
    return list(last.values())


def count(rows):
    n = Counter()
    for outcome, k, *_ in rows:
        n[outcome] += k
    return [n[o] for o in OUTCOMES]


def table(title, groups):
    print(f"{title:<20} {'passed':>7} {'failed':>7} {'skipped':>8} {'s':>7}")
    for name, rows in groups.items():
        n = count(rows)
        print(f"{name:<20} {n[0]:7} {n[1]:7} {n[2]:8} {sum(r[3] for r in rows):7.0f}")


def report(out):
    groups = {"unit": unit(out)}
    for row in netns(out):
        groups.setdefault(re.sub(r".*/|\.py::.*", "", row[2]), []).append(row)
    table("suite", groups)
    rows = [r for g in groups.values() for r in g]
    for r in rows:
        if r[0] == "failed":
            print(f"failed: {r[2]}: {r[4]}")
    reasons = defaultdict(list)
    for r in rows:
        if r[0] == "skipped":
            reasons[r[4]].append(r[2])
    for reason, names in reasons.items():
        print(f"skipped, {len(names)}: {reason} ({names[0]}{', ...' if names[1:] else ''})")


out = Path(sys.argv[1])
if sys.argv[2:3] == ["--count"]:
    print(*count({"unit": unit, "netns": netns}[sys.argv[3]](out)))
else:
    report(out)
