# SPDX-License-Identifier: BSD-2-Clause
"""
Many flows of numbered frames through an inline program: none missing below capacity, none twice, each
flow in order; also around the moment when the program is stopped, continued or killed under load.
"""

import contextlib
import os
import signal
import struct
import subprocess
import threading

import pytest
from scapy.all import IP, UDP, Ether

import lab as L
from puppet import pool, settled, side
from test_netmap import Program

FLOWS, WINDOW = 64, 256


class Numbers:
    """a sends frames of FLOWS flows to b, at most WINDOW of them on the way; what arrives is noted."""

    def __init__(self, a, b):
        self.a, self.b = a, b
        self.heads = [bytes(Ether(src=a.mac, dst=b.mac) / IP(src=f"10.1.0.{1 + i % 200}", dst="10.2.0.1") /
                            UDP(sport=1000 + 7 * i, dport=53, len=72, chksum=0)) for i in range(FLOWS)]
        self.heads = [h[:16] + struct.pack("!H", 92) + h[18:] for h in self.heads]
        self.sent = [0] * FLOWS
        self.got = [[] for _ in range(FLOWS)]
        self.n_sent = self.n_got = 0
        self.credit = threading.Semaphore(WINDOW)
        self.ended = threading.Event()
        b.raw
        a.raw
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        while not self.ended.is_set():
            f = self.b.raw.recv(0.1)
            if f and len(f) == 106 and f[:12] == self.heads[0][:12]:
                flow, number = struct.unpack("!II", f[42:50])
                self.got[flow].append(number)
                self.n_got += 1
                self.credit.release()

    def send(self, n, wait=True):
        """n more frames. wait=False: frames that do not arrive do not hold up the rest for long."""
        for _ in range(n):
            if not self.credit.acquire(timeout=L.DEADLINE if wait else 0.002):
                assert not wait, f"{self.n_got} of {self.n_sent} frames arrived"
            flow = self.n_sent // 4 * 2654435761 % 2**32 % FLOWS  # a few in a row can change places
            self.a.raw.send(self.heads[flow] + struct.pack("!II", flow, self.sent[flow]) + bytes(56))
            self.sent[flow] += 1
            self.n_sent += 1

    @contextlib.contextmanager
    def load(self):
        """Sends all the time, at most WINDOW frames ahead; one each 2 ms when nothing arrives."""
        over = threading.Event()

        def go():
            while not over.is_set():
                self.send(1, False)

        thread = threading.Thread(target=go)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def flows(self, n=200):
        before = self.n_got
        L.wait_for(lambda: self.n_got >= before + n, "frames arrive")

    def end(self):
        self.ended.set()
        self.thread.join(L.DEADLINE)

    def all_arrived(self):
        L.wait_for(lambda: self.n_got >= self.n_sent, f"all of {self.n_sent} frames arrive")

    def twice(self):
        return sum(len(g) - len(set(g)) for g in self.got)

    def late(self):
        """Frames that came after a later one of their flow."""
        n = 0
        for g in self.got:
            highest = -1
            for x in g:
                n += x < highest
                highest = max(highest, x)
        return n

    def missing(self):
        return self.n_sent - sum(len(set(g)) for g in self.got)


@pytest.fixture
def net(lab, daemon):
    daemon.ns.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    a, b = (h.silent() for h in lab.add_hosts(2))
    daemon.bridge(a, b, driver="packet")
    b.raw.send(L.frame(a.mac, b.mac))
    L.wait_for(lambda: (b.mac, 0) in daemon.fdb(), "b is known")
    before = pool(daemon)
    yield lab, daemon, Numbers(a, b)
    for p in lab.procs:
        p.kill()
        p.communicate(timeout=L.DEADLINE)
    settled(daemon, before)


class Pass(Program):
    """examples/pass with any number of rings."""

    def __init__(self, lab, daemon, n_rings, *args):
        self.daemon = daemon
        self.proc = lab.background(daemon.ns, L.BUILD / "examples/pass", *args, "br0",
                                   env=dict(os.environ, VIADUCT_RUN_DIR=str(daemon.run_dir)),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        L.wait_for(lambda: len(self.rings()) == 4 * n_rings and all(r["state"] == "live" for r in self.rings()),
                   "it reads")
        self.pid = self.proc.pid


HOW = pytest.mark.parametrize("args", [[], ["--copy"]], ids=["swap", "copy"])


@HOW
@pytest.mark.parametrize("n_rings", [1, 4])
def test_order(net, args, n_rings):
    lab, d, t = net
    d.cli("intercept", "br0", "rings", n_rings)
    p = Pass(lab, d, n_rings, *args)
    t.send(6000)
    t.all_arrived()
    t.end()
    assert (t.twice(), t.late(), t.missing()) == (0, 0, 0)
    used = [r["frames"] for r in p.rings() if r["dir"] == "rx" and r["ring"].startswith("nic")]
    assert min(used) > 0 and sum(used) == 6000, used
    origins = side(d)["origins"]
    assert origins["digest" if args else "buffer"] == 6000, origins
    assert not d.drops()


@HOW
@pytest.mark.parametrize("n_rings", [1, 4])
def test_killed_under_load(net, args, n_rings):
    """Frames in its hands may be lost, nothing else happens: none twice, none out of order."""
    lab, d, t = net
    d.cli("intercept", "br0", "rings", n_rings)
    with t.load():
        for _ in range(5):
            p = Pass(lab, d, n_rings, *args)
            t.flows()
            p.kill(signal.SIGKILL)
            L.wait_for(lambda: not p.rings(), "its rings are gone")
            t.flows()
    t.end()
    print("missing", t.missing(), "of", t.n_sent)
    assert (t.twice(), t.late()) == (0, 0)
    assert t.missing() <= 6 * WINDOW, t.missing()


@HOW
def test_stopped_and_continued_under_load(net, args):
    """
    The bridge goes round it after stall-ms, and it is back when it takes frames. None twice; a
    frame that it had seen when it was stopped comes late or never, all others in order.
    """
    lab, d, t = net
    d.cli("intercept", "br0", "stall-ms", "200")
    p = Pass(lab, d, 1, *args)
    with t.load():
        for _ in range(3):
            t.flows()
            p.kill(signal.SIGSTOP)
            L.wait_for(lambda: p.ring("nic0")["state"] == "stalled", "the bridge goes round it")
            t.flows()
            p.kill(signal.SIGCONT)
            L.wait_for(lambda: p.ring("nic0")["state"] == "live", "it is back")
            seen = p.ring("nic0")["frames"]
            L.wait_for(lambda: p.ring("nic0")["frames"] > seen + 200, "it is in the path")
    t.end()
    print("late", t.late(), "missing", t.missing(), "of", t.n_sent)
    assert t.twice() == 0
    assert t.late() <= 3 * WINDOW and t.missing() <= 6 * WINDOW
    assert p.ring("nic0")["stalls"] == 3
