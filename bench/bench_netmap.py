#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a netmap program costs: its calls, and an inline filter beside the kernel's ways.

    bench/bench_netmap.py [--json] [--rounds N] [--seconds S] [--only calls,intercept,frames,tcp,ping] [KIND...]

Kinds, each between two hosts on veths: the kernel's bridge without br_netfilter ("kernel"), viaduct's
without a program ("packet"), with `pass` and with `pass --copy`, and the kernel's bridge with a program
that accepts all from NFQUEUE, one verdict a packet ("nfqueue") or one for up to 32 ("nfqueue-batch").
"bare-twice" is what two processes in a row can do at all (bench/bare.c).
Measured as in bench/e2e.py: in turn, medians over the rounds; frames are 60 bytes of UDP over IPv4,
because br_netfilter shows nothing else to NFQUEUE. A rate counts when one of three trials lost at most
0.1 %.
"""

import argparse
import json
import statistics
import subprocess
import sys

import e2e

L = e2e.L
BASE = {"kernel": "kernel", "packet": "packet", "pass": "packet", "pass-copy": "packet", "nfqueue": "kernel",
        "nfqueue-batch": "kernel", "bare-twice": "bare-twice"}


class Contender(e2e.Contender):
    paced_args = ("udp",)
    steps = 8
    tries = 3  # other work on the machine is no loss of the bridge's

    def __init__(self, kind):
        super().__init__(BASE[kind])
        try:
            self.name = kind
            if kind.startswith("pass"):
                self.start_pass()
            elif kind.startswith("nfqueue"):
                self.start_nfqueue("32" if kind == "nfqueue-batch" else "0")
        except BaseException:
            self.close()
            raise

    def start_pass(self):
        d = self.daemon
        copy = ["--copy"] if self.name == "pass-copy" else []
        self.lab.background(d.ns, L.VIADUCT, "--run-dir", d.run_dir, "exec", L.BUILD / "examples/pass", *copy, "br0",
                            stdout=subprocess.DEVNULL)
        L.wait_for(lambda: [r["state"] for r in self.rows("ring")] == ["live"] * 4, "pass reads its rings")

    def start_nfqueue(self, batch):
        sw = self.lab.switch
        sw.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
        sw.run("iptables-legacy", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", "0")
        p = self.lab.background(sw, L.BUILD / "bench/nfpass", batch, stdout=subprocess.PIPE)
        assert p.stdout.readline() == "ready\n", "nfpass did not start"
        self.a.ping(self.b.addr, 1)

    def rows(self, kind):
        return [r for r in self.daemon.json("rings") if r["kind"] == kind]

    def counts(self):
        """What the program really saw: a fast bridge that went round it would be no result."""
        if self.name.startswith("nfqueue"):
            rule = self.lab.switch.run("iptables-legacy", "-vnxL", "FORWARD").splitlines()[2].split()
            assert int(rule[0]) > 1000, rule
            return {"inspected": int(rule[0])}
        if not self.name.startswith("pass"):
            return {}
        side = next(r for r in self.rows("side") if r["side"] == "nic")
        segments = sum(r["frames"] for r in self.rows("ring") if r["dir"] == "rx")
        assert segments > 1000 and side["copied"] == 0, side
        how = "digest" if self.name == "pass-copy" else "buffer"
        assert side["origins"][how] > 1000, side
        return {"inspected": segments, "uninspected": side["uninspected"]}


def calls():
    """Nanoseconds of the calls of a program; frames wait in its ring, they are ours."""
    c = Contender("packet")
    try:
        d = c.daemon
        for ns in (d.ns, c.a.ns, c.b.ns):  # nothing of their own
            ns.sysctl("net/ipv6/conf/all/disable_ipv6", 1)
        d.cli("intercept", "br0", "stall-ms", "10000")
        p = c.lab.background(d.ns, L.VIADUCT, "--run-dir", d.run_dir, "exec", L.BUILD / "bench/nmcalls", "netmap:br0",
                             stdout=subprocess.PIPE)
        assert p.stdout.readline() == "ready\n", "nmcalls did not start"
        c.a.ping(c.b.addr, 3, check=False)
        return json.loads(p.stdout.readline())
    finally:
        c.close()


def intercept():
    """Nanoseconds a frame of the forward path in memory, without and with interception."""
    out = L.sh(L.BUILD / "bench/bench_intercept", "--json", "--runs", "5")
    return {k: v for k, v in json.loads(out)["intercept"].items() if k != "addresses"}


def measure(kinds, only, rounds, seconds):
    raw = {k: {} for k in kinds}

    def note(kind, **figures):
        for name, value in figures.items():
            raw[kind].setdefault(name, []).append(value)

    for i in range(rounds):
        for kind in kinds if i % 2 == 0 else reversed(kinds):
            c = Contender(kind)
            try:
                if "ping" in only:
                    m, p99 = c.ping()
                    note(kind, ping_ms=m, ping_p99_ms=p99)
                if "tcp" in only:
                    note(kind, tcp_gbit=c.tcp(seconds))
                if "frames" in only:
                    note(kind, frames_m=c.frames(min(seconds, 0.3)))
                    note(kind, **c.counts())
            finally:
                c.close()
            last = {m: round(v[-1], 3) for m, v in raw[kind].items()}
            print(f"round {i + 1} of {rounds}: {kind}: {last}", file=sys.stderr)
    return {k: {m: statistics.median(v) for m, v in r.items()} for k, r in raw.items()}, raw


def ratios(median, base):
    if base not in median:
        return {}
    of = median[base]
    return {k: {m: round(v / of[m], 3) for m, v in r.items() if of.get(m) and "inspected" not in m}
            for k, r in median.items()}


def goals(r):
    """What was aimed at, and what it is: (text, value, reached)."""
    out = []

    def goal(text, value, reached):
        if value is not None:
            out.append({"goal": text, "value": value, "reached": reached(value)})

    c, i = r.get("calls", {}), r.get("intercept", {})
    goal("NIOCRXSYNC with nothing to do <= 20 ns", c.get("rxsync_ns"), lambda v: v <= 20)
    goal("NIOCTXSYNC with nothing to do <= 20 ns", c.get("txsync_ns"), lambda v: v <= 20)
    goal("poll with frames waiting <= 100 ns", c.get("poll_frames_ns"), lambda v: v <= 100)
    for kind in i:
        if kind in ("swap", "copy"):  # "pass" there: rings that nobody reads
            goal(f"interception, {kind}: <= 40 ns a frame", round(i[kind] - i["off"], 1), lambda v: v <= 40)
    for kind in ("pass", "pass-copy"):
        k, q = (r[f"ratio_to_{b}"].get(kind, {}) for b in ("kernel", "nfqueue"))
        goal(f"{kind}: frames >= 3 x NFQUEUE", q.get("frames_m"), lambda v: v >= 3)
        goal(f"{kind}: TCP >= 0.6 x kernel bridge", k.get("tcp_gbit"), lambda v: v >= 0.6)
        goal(f"{kind}: ping median <= 2 x kernel bridge", k.get("ping_ms"), lambda v: v <= 2)
    return out


def show(r, kinds):
    m = r["machine"]
    print(f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, load {m['load']:.1f}; medians of {m['rounds']} rounds")
    for what in ("calls", "intercept"):
        if what in r:
            print(f"{what}, ns: " + ", ".join(f"{k.removesuffix('_ns')} {v:.1f}" for k, v in r[what].items()))
    columns = ["tcp_gbit", "frames_m", "ping_ms", "ping_p99_ms"]
    columns = [c for c in columns if any(c in r["inline"][k] for k in kinds)]
    if columns:
        print(f"{'x kernel bridge, x NFQUEUE':28}" + "".join(f"{c:>26}" for c in columns))
        for k in kinds:
            print(f"{k:28}" + "".join(f"{cell(r, k, c):>26}" for c in columns))
    for g in r["goals"]:
        print(f"{'reached' if g['reached'] else 'MISSED':8} {g['goal']}: {g['value']}")
    print(f"The ceiling here: {m['cores']} cores carry sender, bridge, program and receiver.")
    for kind, what in (("packet", "viaduct without a program"), ("bare-twice", "two processes that only receive and send"),
                       ("nfqueue-batch", "NFQUEUE at its best")):
        if kind in kinds and columns:
            print(f"  {what}: " + ", ".join(f"{c} {cell(r, kind, c)}" for c in columns[:3]))


def cell(r, kind, column):
    v = r["inline"][kind].get(column)
    both = [r[f"ratio_to_{b}"].get(kind, {}).get(column) for b in ("kernel", "nfqueue")]
    return "-" if v is None else f"{v:.3f} (" + ", ".join("-" if x is None else f"x{x:.2f}" for x in both) + ")"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--json", action="store_true")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=2)
    p.add_argument("--only", default="calls,intercept,frames,tcp,ping")
    p.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(BASE))
    a = p.parse_args()
    kinds = a.kinds or list(BASE)
    if unknown := set(kinds) - set(BASE):
        p.error(f"{', '.join(unknown)}: no such kind")
    only = a.only.split(",")
    if not (L.BUILD / "bench/nfpass").exists() and any(k.startswith("nfqueue") for k in kinds):
        p.error("bench/nfpass is not built: libnetfilter-queue-dev is missing")
    r = {}
    if "calls" in only:
        r["calls"] = calls()
    if "intercept" in only:
        r["intercept"] = intercept()
    r["machine"] = {**e2e.machine(), "rounds": a.rounds}
    inline = set(only) & {"frames", "tcp", "ping"}
    r["inline"], r["rounds"] = measure(kinds, inline, a.rounds, a.seconds) if inline else ({k: {} for k in kinds}, {})
    for base in ("kernel", "nfqueue"):
        r[f"ratio_to_{base}"] = ratios(r["inline"], base)
    r["goals"] = goals(r)
    if a.json:
        print(json.dumps(r))
    else:
        show(r, kinds)


if __name__ == "__main__":
    main()
