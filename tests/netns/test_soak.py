# SPDX-License-Identifier: BSD-2-Clause
"""
Programs that are hostile, hang, die and come back at random, under real traffic.

VIADUCT_SOAK: seconds of each test, about 6 without it; 60 before a release. VIADUCT_SEED repeats a run.
"""

import os
import random
import signal
import subprocess
import threading
import time

import pytest

import lab as L
from puppet import pool, rings, settled
from test_netmap import NMPASS, lost

SECONDS = float(os.environ.get("VIADUCT_SOAK", "6"))
SEED = int(os.environ.get("VIADUCT_SEED", time.time_ns() % 1000000))
pytestmark = pytest.mark.timeout(max(180, SECONDS * 4 + 120))


@pytest.fixture
def nets(lab, daemon):
    """Two bridges with two hosts each; the pool is full again at the end, by the same daemon."""
    a, b, c, d = lab.add_hosts(4)
    for name, pair in (("br0", (a, b)), ("br1", (c, d))):
        daemon.bridge(*pair, name=name, driver="packet")
        daemon.cli("intercept", name, "stall-ms", "100")
        assert lost(pair[0].ping(pair[1].addr)) == 0
    before, pid = pool(daemon), daemon.pid
    yield lab, daemon, (a, b), (c, d)
    reap([p for p in lab.procs if p.poll() is None])
    settled(daemon, before)
    assert daemon.pid == pid
    assert "malformed" not in daemon.log_text()


class Load:
    """TCP and flood pings between two hosts until stopped; counts what went through."""

    def __init__(self, a, b):
        self.a, self.b, self.stop, self.bytes, self.errors = a, b, threading.Event(), 0, []
        self.server = b.ns.socket()
        self.server.setsockopt(1, 2, 1)  # SO_REUSEADDR
        self.server.bind((b.addr, 5001))
        self.server.listen()
        self.client = a.ns.socket()
        self.client.settimeout(L.DEADLINE)
        self.client.connect((b.addr, 5001))
        self.conn, _ = self.server.accept()
        self.conn.settimeout(0.2)
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self.send, self.receive)]
        for t in self.threads:
            t.start()
        self.ping = a.ns.popen("ping", "-n", "-q", "-i", "0.002", "-s", "1000", b.addr, stdout=subprocess.PIPE)

    def send(self):
        data = bytes(range(256)) * 256
        self.client.settimeout(None)
        while not self.stop.is_set():
            try:
                self.client.sendall(data)
            except OSError as e:
                if not self.stop.is_set():
                    self.errors.append(e)
                return

    def receive(self):
        at = 0
        while not self.stop.is_set():
            try:
                got = self.conn.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                assert self.stop.is_set()  # closed
                return
            if got != (bytes(range(256)) * (len(got) // 256 + 2))[at:at + len(got)]:
                self.errors.append("bytes differ")
                return
            at = (at + len(got)) % 256
            self.bytes += len(got)

    def flows(self, timeout=None):
        """Something comes through from now on."""
        before = self.bytes
        L.wait_for(lambda: self.bytes > before + 100000 or self.errors, "TCP goes on", timeout)
        assert not self.errors, self.errors

    def end(self):
        self.stop.set()
        self.ping.send_signal(signal.SIGINT)
        out = self.ping.communicate(timeout=L.DEADLINE)[0]
        for s in (self.client, self.conn, self.server):
            try:
                s.shutdown(2)
            except OSError:
                pass
            s.close()
        for t in self.threads:
            t.join(L.DEADLINE)
        return lost(out)


def until(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield end - time.monotonic()


def reap(procs):
    for p in procs:
        if p.poll() is None:
            p.kill()
        p.communicate(timeout=L.DEADLINE)


def test_hostile_memory(nets):
    """
    It writes at random into head, cur, slots and shadow rings of br0. The daemon answers all the
    time, br0 bridges without it at once. It shares a region with the program on br1 and names
    buffers of that, which is refused: br1's traffic goes on, and its program loses no buffer.
    """
    lab, d, (a, b), (c, e) = nets
    d.cli("intercept", "br1", "overflow", "pass")
    inline = lab.background(d.ns, NMPASS, d.run_dir / "netmap.sock", "br1", stdout=subprocess.PIPE)
    assert inline.stdout.readline() == "ready\n"
    good = Load(c, e)
    rng, n = random.Random(SEED), 0
    print("seed", SEED)
    for _ in until(SECONDS):
        env = dict(os.environ, VIADUCT_SEED=str(rng.randrange(1, 1 << 31)))
        wild = lab.background(d.ns, NMPASS, d.run_dir / "netmap.sock", "br0", "scribble", env=env,
                              stdout=subprocess.PIPE)
        assert wild.stdout.readline() == "ready\n"
        ping = a.ns.popen("ping", "-n", "-q", "-f", "-s", str(rng.choice((20, 1400))), "-w", "1", b.addr,
                          stdout=subprocess.DEVNULL)
        ping.wait(L.DEADLINE)
        assert d.answers()
        good.flows()
        reap([wild])
        L.wait_for(lambda: not any(r["ifname"] == "br0" for r in rings(d)), "its rings are gone")
        assert lost(a.ping(b.addr)) == 0, "bridging goes on without it"
        n += 1
    left = good.end()
    assert not any(r["bad"] for r in rings(d))
    print(n, "programs;", left, "pings of the other bridge lost")
    reap([inline])
    assert n > 0 and lost(c.ping(e.addr, 20)) == 0


def test_random_ends(nets):
    """Inline programs and readers are stopped, continued, killed and started; traffic goes on."""
    lab, d, (a, b), (c, e) = nets
    env = dict(os.environ, VIADUCT_RUN_DIR=str(d.run_dir))
    sock, rng = d.run_dir / "netmap.sock", random.Random(SEED)
    print("seed", SEED)
    kinds = {  # on which bridge, and what
        "inline": [[L.BUILD / "examples/pass", "br0"], [L.BUILD / "examples/pass", "--copy", "br0"],
                   [NMPASS, sock, "br0"], [NMPASS, sock, "br0", "copy"]],
        "reader": [[NMPASS, sock, "br1", "read"]],
        "sender": [[L.BUILD / "examples/gen", "-f", "tx", "-i", "netmap:br1", "-n", "100000000", "-R", "2000"]],
    }
    running, done = dict.fromkeys(kinds), {}
    loads = [Load(a, b), Load(c, e)]
    for _ in until(SECONDS):
        kind = rng.choice(list(kinds))
        p = running[kind]
        if p is None:
            deed = "start"
            running[kind] = lab.background(d.ns, *rng.choice(kinds[kind]), env=env, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL)
            L.wait_for(lambda: any(r["pid"] == running[kind].pid for r in rings(d)), f"{kind} is attached")
        else:
            assert p.poll() is None, f"{kind} ended by itself: {p.args} {p.returncode}"
            deed = rng.choice([signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM, signal.SIGKILL])
            if deed in (signal.SIGTERM, signal.SIGKILL):
                # Before, not after: a sanitized program that was ending already once hung at it.
                p.send_signal(signal.SIGCONT)
            p.send_signal(deed)
            if deed in (signal.SIGTERM, signal.SIGKILL):
                if kind != "inline" or "pass" not in str(p.args):
                    p.kill()
                p.wait(L.DEADLINE)
                running[kind] = None
        done[deed] = done.get(deed, 0) + 1
        for load in loads:
            load.flows()
    print(done)
    reap([p for p in running.values() if p])
    L.wait_for(lambda: not d.json("rings"), "all are gone")
    for load in loads:
        load.flows()
        load.end()
    assert lost(a.ping(b.addr)) == 0 and lost(c.ping(e.addr)) == 0
    assert len(done) > 1 and not any(r == "origin-gone" for _, r in d.drops())
