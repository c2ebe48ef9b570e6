#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A bridge of the kernel, alone and with a netmap program on it.

    bench/bench_adopt.py [--json] [--rounds N] [--seconds S] [--only tcp,tcp4,frames,ping] [KIND...]

Kinds, each two hosts on veths of a bridge of the kernel: alone ("kernel"), adopted without a program
("adopted"), with `pass` and `pass --copy`, the trunk with a loop that sends back what it reads, no
program ("trunk", the ceiling), and NFQUEUE, one verdict a packet ("nfqueue") or one for up to 32
("nfqueue-batch"). Measured as in bench/bench_netmap.py: in turn, medians over the rounds.
"""

import argparse
import json
import subprocess
import sys

import bench_netmap as N
import e2e

L = e2e.L
KINDS = ["kernel", "adopted", "pass", "pass-copy", "pass-xdp", "trunk", "nfqueue", "nfqueue-batch"]
METRICS = ["tcp_gbit", "tcp4_gbit", "frames_m", "ping_ms", "ping_p99_ms"]


class Contender(N.Contender):
    def __init__(self, kind):
        e2e.Contender.__init__(self, "trunk" if kind == "trunk" else "kernel")
        self.name = kind
        try:
            if kind in ("adopted", "pass", "pass-copy", "pass-xdp"):
                self.daemon = self.lab.daemon()
                self.daemon.cli("adopt", "br0", "via", "xdp" if kind == "pass-xdp" else "tc")
            if kind.startswith("pass"):
                self.start_pass()
            elif kind.startswith("nfqueue"):
                self.start_nfqueue("32" if kind == "nfqueue-batch" else "0")
        except BaseException:
            self.close()
            raise

    def tcp4(self, seconds):
        """Gbit/s of four streams together."""
        server = self.b.ns.popen("iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
        try:
            L.wait_for(lambda: ":5201" in self.b.ns.run("ss", "-Hltn"), "iperf3 listens")
            out = json.loads(self.a.ns.run("iperf3", "-c", self.b.addr, "-t", seconds, "-P", "4", "-J"))
        finally:
            server.kill()
            server.wait()
        return out["end"]["sum_received"]["bits_per_second"] / 1e9

    def counts(self):
        return {} if self.name in ("adopted", "trunk") else super().counts()


def measure_one(c, only, seconds):
    r = {}
    if "ping" in only:
        r["ping_ms"], r["ping_p99_ms"] = c.ping()
    if "tcp" in only:
        r["tcp_gbit"] = c.tcp(seconds)
    if "tcp4" in only:
        r["tcp4_gbit"] = c.tcp4(seconds)
    if "frames" in only:
        r["frames_m"] = c.frames(min(seconds, 0.3))
        r.update(c.counts())
    return r


def measure(kinds, only, rounds, seconds):
    raw = {k: {} for k in kinds}
    for i in range(rounds):
        for kind in kinds if i % 2 == 0 else reversed(kinds):
            c = Contender(kind)
            try:
                r = measure_one(c, only, seconds)
            finally:
                c.close()
            for m, v in r.items():
                raw[kind].setdefault(m, []).append(v)
            print(f"round {i + 1} of {rounds}: {kind}: { {m: round(v, 3) for m, v in r.items()} }", file=sys.stderr)
    return {k: {m: e2e.statistics.median(v) for m, v in r.items()} for k, r in raw.items()}, raw


def goals(r):
    out = []

    def goal(text, base, kind, metric, reached):
        v = r[f"ratio_to_{base}"].get(kind, {}).get(metric)
        if v is not None:
            out.append({"goal": text, "value": v, "reached": reached(v)})

    for metric in ("tcp_gbit", "tcp4_gbit", "frames_m"):
        goal(f"adopted, no program: {metric} 1.0 x kernel bridge", "kernel", "adopted", metric, lambda v: v >= 0.9)
    goal("pass: TCP >= 0.6 x kernel bridge", "kernel", "pass", "tcp_gbit", lambda v: v >= 0.6)
    goal("pass: frames >= 2 x NFQUEUE", "nfqueue", "pass", "frames_m", lambda v: v >= 2)
    goal("pass: ping median <= 2.5 x kernel bridge", "kernel", "pass", "ping_ms", lambda v: v <= 2.5)
    return out


def show(r, kinds):
    m = r["machine"]
    print(f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, load {m['load']:.1f}; medians of {m['rounds']} rounds")
    columns = [c for c in METRICS if any(c in r["inline"][k] for k in kinds)]
    print(f"{'x kernel bridge, x NFQUEUE':28}" + "".join(f"{c:>26}" for c in columns))
    for k in kinds:
        print(f"{k:28}" + "".join(f"{N.cell(r, k, c):>26}" for c in columns))
    for g in r["goals"]:
        print(f"{'reached' if g['reached'] else 'MISSED':8} {g['goal']}: {g['value']}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--json", action="store_true")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=2)
    p.add_argument("--only", default="tcp,tcp4,frames,ping")
    p.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    a = p.parse_args()
    kinds = a.kinds or [k for k in KINDS if k != "trunk" or (L.BUILD / "bench/trunk").exists()]
    if unknown := set(kinds) - set(KINDS):
        p.error(f"{', '.join(unknown)}: no such kind")
    r = {"machine": {**e2e.machine(), "rounds": a.rounds}}
    r["inline"], r["rounds"] = measure(kinds, set(a.only.split(",")), a.rounds, a.seconds)
    for base in ("kernel", "nfqueue"):
        r[f"ratio_to_{base}"] = N.ratios(r["inline"], base)
    r["goals"] = goals(r)
    print(json.dumps(r)) if a.json else show(r, kinds)


if __name__ == "__main__":
    main()
