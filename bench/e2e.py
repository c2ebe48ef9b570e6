#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""veth - bridge - veth between two namespaces: the kernel's bridge and viaduct side by side.

    bench/e2e.py [--json] [--rounds N] [--seconds S] [--only tcp,frames,ping,idle] [KIND[/SPIN-US] ...]

Each round measures every contender once, in turn, so that a noisy neighbour disturbs all alike; figures
are medians over the rounds. Frame rates are the highest rate of a paced sender (bench/paced.c) at which
at most 0.1 % of the frames were lost, found by bisection. br_netfilter is off for the kernel's bridge.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("VIADUCT_BUILD", str(ROOT / "build-bench"))
sys.path.insert(0, str(ROOT / "tests/netns"))

import lab as L  # noqa: E402

PACED = L.BUILD / "bench" / "paced"
LOSS = 0.001


class Contender:
    """Two hosts joined by a bridge of one kind; "bare" is bench/bare.c, the floor for user space,
    "bare-twice" two of them with a veth between: the floor where two processes see each frame;
    "trunk" is the kernel's bridge with bench/trunk.c, which takes each frame out and puts it back.

    A kind may carry the daemon's spin in microseconds: "packet/100".
    """

    paced_args = ()  # more words for paced
    steps = 7  # of the bisection
    tries = 1  # at a rate, before it counts as too high

    def __init__(self, kind):
        kind, _, spin = kind.partition("/")
        self.kind = kind
        self.args = ["--spin-us", spin] if spin else []
        self.lab = L.Lab()
        self.a, self.b = self.lab.add_hosts(2)
        self.daemon = None
        sw = self.lab.switch
        if kind in ("kernel", "trunk"):
            sw.ip("link", "add", "br0", "type", "bridge")
            for h in self.lab.hosts:
                sw.ip("link", "set", h.port, "master", "br0")
            for t in ("iptables", "ip6tables", "arptables"):
                sw.run("sysctl", "-qw", f"net.bridge.bridge-nf-call-{t}=0", check=False)
            sw.ip("link", "set", "br0", "up")
            if kind == "trunk":
                self.lab.background(sw, L.BUILD / "bench" / "trunk", *(h.port for h in self.lab.hosts))
                L.wait_for(lambda: "vdt-" in sw.ip("link"), "the trunk's device")
        elif kind == "bare":
            self.lab.background(sw, L.BUILD / "bench" / "bare", *(h.port for h in self.lab.hosts))
        elif kind == "bare-twice":
            sw.ip("link", "add", "mid0", "type", "veth", "peer", "name", "mid1")
            for dev, h in zip(("mid0", "mid1"), self.lab.hosts):
                sw.ip("link", "set", dev, "up")
                self.lab.background(sw, L.BUILD / "bench" / "bare", dev, h.port)
        elif kind == "tap":
            self.tap_ends()
        else:
            self.daemon = self.lab.daemon(*self.args)
            self.daemon.bridge(*self.lab.hosts, driver=kind)
        L.wait_for(lambda: " 1 received" in self.a.ping(self.b.addr, 1, "-W", "1", check=False), f"{kind}: ping", 20)

    def tap_ends(self):
        """Both hosts sit behind taps instead of veths."""
        self.daemon = d = self.lab.daemon(*self.args)
        d.cli("addbr", "br0")
        d.ns.ip("link", "set", "br0", "up")
        for h in self.lab.hosts:
            h.ns.ip("link", "del", "eth0")
            d.cli("addif", "br0", f"tap:vt{h.number}")
            d.ns.ip("link", "set", f"vt{h.number}", "netns", h.ns.name)
            h.ns.ip("link", "set", f"vt{h.number}", "name", "eth0")
            h.ns.ip("addr", "add", f"{h.addr}/16", "dev", "eth0")
            h.ns.ip("link", "set", "eth0", "up")

    def rx_packets(self):
        return int(self.b.ns.run("cat", "/sys/class/net/eth0/statistics/rx_packets"))

    def trial(self, rate, seconds):
        """Offers a rate; returns (rate that was really sent, share lost)."""
        mac = self.b.ns.link("eth0")["address"]
        before = self.rx_packets()
        sent, ns = map(int, self.a.ns.run(PACED, "eth0", mac, 60, int(rate), seconds,
                                        *self.paced_args).split())
        time.sleep(0.05)
        lost = max(0, sent - (self.rx_packets() - before))
        return sent / ns * 1e9, lost / max(sent, 1)

    def frames(self, seconds):
        """Million frames a second at no more than 0.1 % loss."""
        self.b.ping(self.a.addr, 1)  # both addresses are known
        top, loss = self.trial(0, seconds)
        if loss <= LOSS:
            return top / 1e6
        low, high, best = 0.0, top, 0.0
        for _ in range(self.steps):
            rate = (low + high) / 2
            for _ in range(self.tries):
                got, loss = self.trial(rate, seconds)
                if loss <= LOSS:
                    break
            if loss <= LOSS:
                low, best = rate, max(best, got)
            else:
                high = rate
        return best / 1e6

    def tcp(self, seconds):
        """Gbit/s of one stream."""
        server = self.b.ns.popen("iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
        try:
            L.wait_for(lambda: ":5201" in self.b.ns.run("ss", "-Hltn"), "iperf3 listens")
            out = json.loads(self.a.ns.run("iperf3", "-c", self.b.addr, "-t", seconds, "-J"))
        finally:
            server.kill()
            server.wait()
        return out["end"]["sum_received"]["bits_per_second"] / 1e9

    def ping(self, count=400):
        """(median, 99th percentile) in milliseconds."""
        out = self.a.ns.run("ping", "-n", "-i", "0.005", "-c", count, self.b.addr)
        times = sorted(float(t) for t in re.findall(r"time=([\d.]+)", out))
        return statistics.median(times), times[int(len(times) * 0.99)]

    def idle(self, seconds=5):
        """Percent of a CPU with four ports and no traffic; None for the kernel."""
        if not self.daemon:
            return None
        for h in (self.lab.host(), self.lab.host()):
            self.daemon.cli("addif", "br0", h.port)
        time.sleep(3)  # neighbour discovery settles
        pid = self.daemon.pid

        def ticks():
            f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            return int(f[11]) + int(f[12])

        before = ticks()
        time.sleep(seconds)
        return (ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds * 100

    def close(self):
        self.lab.close()


def machine():
    model = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}


def measure(kinds, only, rounds, seconds):
    raw = {k: {} for k in kinds}
    for _ in range(rounds):
        for kind in kinds:
            c = Contender(kind)
            try:
                if "tcp" in only:
                    raw[kind].setdefault("tcp_gbit", []).append(c.tcp(seconds))
                if "frames" in only:
                    raw[kind].setdefault("frames_m", []).append(c.frames(min(seconds, 1)))
                if "ping" in only:
                    m, p99 = c.ping()
                    raw[kind].setdefault("ping_ms", []).append(m)
                    raw[kind].setdefault("ping_p99_ms", []).append(p99)
                if "idle" in only and len(raw[kind].get("idle_cpu", [])) < 1 and c.daemon:
                    raw[kind].setdefault("idle_cpu", []).append(c.idle())
            finally:
                c.close()
    return {k: {m: statistics.median(v) for m, v in r.items()} for k, r in raw.items()}, raw


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--json", action="store_true")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=2)
    p.add_argument("--only", default="tcp,frames,ping,idle")
    p.add_argument("drivers", nargs="*", default=["packet", "xdp", "tap", "bare"])
    a = p.parse_args()
    kinds = ["kernel", *a.drivers]
    median, raw = measure(kinds, a.only.split(","), a.rounds, a.seconds)
    base = median["kernel"]
    ratios = {k: {m: round(v / base[m], 3) for m, v in r.items() if base.get(m)} for k, r in median.items()}
    result = {"e2e": median, "ratio_to_kernel": ratios, "rounds": raw, "machine": machine()}
    if a.json:
        print(json.dumps(result))
        return
    m = result["machine"]
    print(f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, load {m['load']:.1f}; medians of {a.rounds} rounds")
    columns = ["tcp_gbit", "frames_m", "ping_ms", "ping_p99_ms", "idle_cpu"]
    print(f"{'':12}" + "".join(f"{c:>20}" for c in columns))
    for k in kinds:
        cells = []
        for c in columns:
            v = median[k].get(c)
            r = ratios[k].get(c)
            cells.append("-" if v is None else f"{v:.3f}" + (f" (x{r:.2f})" if r else ""))
        print(f"{k:12}" + "".join(f"{c:>20}" for c in cells))


if __name__ == "__main__":
    main()
