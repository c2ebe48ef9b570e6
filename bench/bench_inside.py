#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What looking inside costs.

    ./dev bench inside [--json] [--rounds N] [--seconds S] [--dir DIR] [--only engine,worker,net] [KIND...]

engine: what a frame costs more in the forwarding benchmark when a trace is there and chooses nothing, one
frame in a thousand, or all (bench_features). The rest is about `viaduct capture` of everything, and how much
of it the file gets: two hosts on a bridge by the packet driver, as in bench/e2e.py, measured in turn: nobody captures
("off"), every frame received goes whole into a file ("whole"), 96 bytes of it ("snap96"), received
and sent ("in+out"), only drops are asked for ("drops"), and a filter that matches nothing ("filter").
Files lie in DIR (default: /dev/shm, so that the disk is not what is measured).
"""

import argparse
import json
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
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
    """The command beside a measurement; end(): (frames in the file, share of all that it did not get)."""

    def __init__(self, daemon, words, file):
        self.file = Path(file)
        n = daemon.log_text().count("capture for pid=")
        self.p = daemon.ns.popen(L.VIADUCT, "--run-dir", daemon.run_dir, "capture", "br0", "-w", file, *words,
                                 stderr=subprocess.PIPE)
        L.wait_for(lambda: daemon.log_text().count("capture for pid=") > n, "the capture runs")

    def end(self):
        self.p.send_signal(signal.SIGINT)
        _, err = self.p.communicate(timeout=60)
        n, lost = (int(x.replace(",", "")) for x in re.search(r"([\d,]+) frames?, (\d+) lost", err).groups())
        self.file.unlink()
        return n, lost / max(n + lost, 1)


def replay_file(path, src, dst):
    """A capture of 64 small frames from src to dst."""
    frame = L.frame(dst, src)
    record = struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame
    path.write_bytes(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) + record * 64)


def worker_time(pid):
    """Nanoseconds that the worker was on a processor."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith("worker-"):
            return int((task / "schedstat").read_text().split()[0])
    raise RuntimeError("no worker")


def worker(kind, seconds, directory):
    """(the worker's nanoseconds a frame, million frames a second in the file, share that it did not get)"""
    lab = L.Lab()
    try:
        d = lab.daemon()
        d.cli("addbr", "br0")
        for name, (src, dst) in {"x": (1, 2), "y": (2, 1)}.items():
            replay_file(lab.dir / name, f"02:00:00:00:00:0{src}", f"02:00:00:00:00:0{dst}")
            d.cli("addif", "br0", f"pcap:{lab.dir / name}")
        words = KINDS[kind]
        capture = None if words is None else Capture(d, words, f"{directory}/inside-{d.pid}.pcapng")

        def look():
            return worker_time(d.pid), sum(d.stats(p)["stats64"]["rx"]["packets"] for p in ("x", "y"))

        start, before = time.monotonic(), look()
        time.sleep(seconds)
        after = look()
        n, lost = capture.end() if capture else (0, None)
        return (after[0] - before[0]) / (after[1] - before[1]), n / (time.monotonic() - start) / 1e6, lost
    finally:
        lab.close()


def measure_one(kind, seconds, directory, only):
    """One kind: {metric: value}."""
    r = {}
    if "worker" in only:
        r["worker_ns"], written, lost = worker(kind, min(seconds, 1), directory)
        if lost is not None:
            r["written_m"], r["worker_lost"] = written, lost
    if "net" in only:
        r.update(network(kind, seconds, directory))
    return r


def network(kind, seconds, directory):
    c = e2e.Contender("packet")
    r = {}
    try:
        for metric, fn in (("tcp_gbit", lambda: c.tcp(seconds)), ("frames_m", lambda: c.frames(min(seconds, 0.3)))):
            words = KINDS[kind]
            with tempfile.NamedTemporaryFile(dir=directory, suffix=".pcapng", delete=False) as f:
                capture = None if words is None else Capture(c.daemon, words, f.name)
            r[metric] = fn()
            if capture:
                r[metric.split("_")[0] + "_lost"] = capture.end()[1]
            else:
                Path(f.name).unlink()
    finally:
        c.close()
    return r


def measure(kinds=tuple(KINDS), rounds=3, seconds=2, directory="/dev/shm", only=("worker", "net")):
    """Medians per kind, and ratios to "off": {"capture": …, "ratio_to_off": …}."""
    raw = {k: {} for k in kinds}
    for i in range(rounds):
        for kind in kinds if i % 2 == 0 else reversed(kinds):
            for m, v in measure_one(kind, seconds, directory, only).items():
                raw[kind].setdefault(m, []).append(v)
            print(f"round {i + 1} of {rounds}: {kind}: "
                  f"{ {m: round(v[-1], 3) for m, v in raw[kind].items()} }", file=sys.stderr)
    median = {k: {m: statistics.median(v) for m, v in r.items()} for k, r in raw.items()}
    ratio = {k: {m: round(v / median["off"][m], 3) for m, v in r.items() if m in median.get("off", {})}
             for k, r in median.items()}
    return {"capture": median, "ratio_to_off": ratio, "rounds": raw}


def engine():
    """Rows of bench_features: nanoseconds a frame, and how many more than without."""
    out = subprocess.run([L.BUILD / "bench" / "bench_features", "plain", "again", "trace_none", "trace_1000",
                          "trace_all", "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out)["features"]


def print_engine(rows):
    plain = rows["plain"]["ns"]
    print(f"{'engine':12}{'ns a frame':>12}{'more':>8}{'%':>8}")
    for k, r in rows.items():
        print(f"{k:12}{r['ns']:12.2f}{r['more']:8.2f}{100 * r['more'] / plain:8.1f}")
    print()


def print_capture(r, kinds):
    columns = ["worker_ns", "worker_lost", "written_m", "tcp_gbit", "tcp_lost", "frames_m", "frames_lost"]
    print(f"{'capture':10}" + "".join(f"{c:>18}" for c in columns))
    for k in kinds:
        cells = []
        for c in columns:
            v, ratio = r["capture"][k].get(c), r["ratio_to_off"][k].get(c)
            cells.append("-" if v is None else f"{v:.3f}" + (f" (x{ratio:.2f})" if ratio else ""))
        print(f"{k:10}" + "".join(f"{c:>18}" for c in cells))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--json", action="store_true")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=2)
    p.add_argument("--dir", default="/dev/shm")
    p.add_argument("--only", default="engine,worker,net")
    p.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    a = p.parse_args()
    kinds, only = a.kinds or list(KINDS), a.only.split(",")
    if unknown := set(kinds) - set(KINDS):
        p.error(f"{', '.join(unknown)}: no such kind")
    r = {"machine": {**e2e.machine(), "rounds": a.rounds}}
    if "engine" in only:
        r["engine"] = engine()
    if only != ["engine"]:
        r |= measure(kinds, a.rounds, a.seconds, a.dir, only)
    if a.json:
        print(json.dumps({"inside": r}))
        return
    m = r["machine"]
    print(f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, load {m['load']:.1f}; medians of {a.rounds} rounds")
    if "engine" in r:
        print_engine(r["engine"])
    if "capture" in r:
        print_capture(r, kinds)


if __name__ == "__main__":
    main()
