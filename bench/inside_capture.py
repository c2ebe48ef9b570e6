#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `viaduct capture` of everything costs a bridge, and how much of it the file gets.

    bench/inside_capture.py [--json] [--rounds N] [--seconds S] [--dir DIR] [KIND...]

Two hosts on a bridge by the packet driver, as in bench/e2e.py, measured in turn: nobody captures
("off"), every frame received goes whole into a file ("whole"), 96 bytes of it ("snap96"), received
and sent ("in+out"), only drops are asked for ("drops"), and a filter that matches nothing ("filter").
Files lie in DIR (default: /dev/shm, so that the disk is not what is measured).
"""

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import e2e

L = e2e.L
KINDS = {
    "off": None,
    "whole": [],
    "snap96": ["snaplen", "96"],
    "in+out": ["point", "in", "point", "out"],
    "drops": ["point", "drop"],
    "filter": ["filter", "ether proto 0x1234"],
}


class Capture:
    """The command beside a measurement; lost(): share of the frames that the file did not get."""

    def __init__(self, daemon, words, file):
        self.file = Path(file)
        n = daemon.log_text().count("capture for pid=")
        self.p = daemon.ns.popen(L.VIADUCT, "--run-dir", daemon.run_dir, "capture", "br0", "-w", file, *words,
                                 stderr=subprocess.PIPE)
        L.wait_for(lambda: daemon.log_text().count("capture for pid=") > n, "the capture runs")

    def lost(self):
        self.p.send_signal(signal.SIGINT)
        _, err = self.p.communicate(timeout=60)
        n, lost = (int(x.replace(",", "")) for x in re.search(r"([\d,]+) frames?, (\d+) lost", err).groups())
        self.file.unlink()
        return lost / max(n + lost, 1)


def measure_one(kind, seconds, directory):
    """One kind: {metric: value}."""
    c = e2e.Contender("packet")
    r = {}
    try:
        for metric, fn in (("tcp_gbit", lambda: c.tcp(seconds)), ("frames_m", lambda: c.frames(min(seconds, 0.3)))):
            words = KINDS[kind]
            with tempfile.NamedTemporaryFile(dir=directory, suffix=".pcapng", delete=False) as f:
                capture = None if words is None else Capture(c.daemon, words, f.name)
            r[metric] = fn()
            if capture:
                r[metric.split("_")[0] + "_lost"] = capture.lost()
            else:
                Path(f.name).unlink()
    finally:
        c.close()
    return r


def measure(kinds=tuple(KINDS), rounds=3, seconds=2, directory="/dev/shm"):
    """Medians per kind, and ratios to "off": {"capture": …, "ratio_to_off": …}."""
    raw = {k: {} for k in kinds}
    for i in range(rounds):
        for kind in kinds if i % 2 == 0 else reversed(kinds):
            for m, v in measure_one(kind, seconds, directory).items():
                raw[kind].setdefault(m, []).append(v)
            print(f"round {i + 1} of {rounds}: {kind}: "
                  f"{ {m: round(v[-1], 3) for m, v in raw[kind].items()} }", file=sys.stderr)
    median = {k: {m: statistics.median(v) for m, v in r.items()} for k, r in raw.items()}
    ratio = {k: {m: round(v / median["off"][m], 3) for m, v in r.items() if m in median.get("off", {})}
             for k, r in median.items()}
    return {"capture": median, "ratio_to_off": ratio, "rounds": raw}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--json", action="store_true")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=2)
    p.add_argument("--dir", default="/dev/shm")
    p.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    a = p.parse_args()
    kinds = a.kinds or list(KINDS)
    if unknown := set(kinds) - set(KINDS):
        p.error(f"{', '.join(unknown)}: no such kind")
    r = {"machine": {**e2e.machine(), "rounds": a.rounds}, **measure(kinds, a.rounds, a.seconds, a.dir)}
    if a.json:
        print(json.dumps(r))
        return
    m = r["machine"]
    print(f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, load {m['load']:.1f}; medians of {a.rounds} rounds")
    columns = ["tcp_gbit", "tcp_lost", "frames_m", "frames_lost"]
    print(f"{'':10}" + "".join(f"{c:>20}" for c in columns))
    for k in kinds:
        cells = []
        for c in columns:
            v, ratio = r["capture"][k].get(c), r["ratio_to_off"][k].get(c)
            cells.append("-" if v is None else f"{v:.3f}" + (f" (x{ratio:.2f})" if ratio else ""))
        print(f"{k:10}" + "".join(f"{c:>20}" for c in cells))


if __name__ == "__main__":
    main()
