# SPDX-License-Identifier: BSD-2-Clause
"""A netmap program that a test pulls by strings (nmpuppet.c), and what tests of interception share."""

import contextlib
import os
import re
import signal
import subprocess

import lab as L

PUPPET = L.BUILD / "tests/netns/nmpuppet"
BROADCAST = "ff:ff:ff:ff:ff:ff"
MARK = 0x88b6  # frames of this type are exempt from interception: they mark a moment


class Puppet:
    """nmpuppet on a bridge; sides "nic" and "host"."""

    def __init__(self, lab, daemon, sides="both", bridge="br0"):
        self.daemon = daemon
        env = dict(os.environ, VIADUCT_RUN_DIR=str(daemon.run_dir))
        self.proc = lab.background(daemon.ns, PUPPET, bridge, sides, env=env, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.proc.stdout.readline()
        assert line == "ready\n", self.proc.stderr.read()
        L.wait_for(lambda: any(r["pid"] == self.proc.pid for r in rings(daemon)) and
                   all(r["state"] == "live" for r in rings(daemon) if r["dir"] == "rx"), "all rings are read")

    def do(self, *words):
        self.proc.stdin.write(" ".join(map(str, words)) + "\n")
        self.proc.stdin.flush()
        line = self.proc.stdout.readline().strip()
        assert line, f"{words}: {self.proc.stderr.read()}"
        return line

    def recv(self, side="nic", timeout=None):
        """The next frame (bytes; a list of bytes if it took several slots), or None."""
        line = self.do("recv", side, int(1000 * (L.DEADLINE if timeout is None else timeout)))
        parts = [bytes.fromhex(x) for x in line.split("+")] if line != "-" else [None]
        return parts[0] if len(parts) == 1 else parts

    def take(self, want, side="nic"):
        got = self.recv(side)
        assert got == want, f"in the ring: {got and got.hex()}, not {want.hex()}"

    def pass_on(self, how="swap", side="nic"):
        assert self.do("pass", side, how) == "ok"

    def free(self, side="nic"):
        assert self.do("free", side) == "ok"

    def send(self, frame, side="host"):
        assert self.do("send", side, bytes(frame).hex()) == "ok"

    def edit(self, offset, data, side="nic"):
        assert self.do("edit", side, offset, data.hex()) == "ok"

    @contextlib.contextmanager
    def auto(self, how="swap"):
        """Deals so with everything inside the with block."""
        self.do("auto", how)
        yield
        self.proc.stdin.write("recv nic 0\n")
        self.proc.stdin.flush()
        self.dealt = int(self.proc.stdout.readline())
        self.proc.stdout.readline()

    def end(self, sig=signal.SIGKILL):
        self.proc.send_signal(sig)
        self.proc.wait(L.DEADLINE)
        L.wait_for(lambda: not any(r["pid"] == self.proc.pid for r in rings(self.daemon)), "its rings are gone")


def rings(daemon):
    return [r for r in daemon.json("rings") if r["kind"] == "ring"]


def side(daemon, name="nic"):
    return next(r for r in daemon.json("rings") if r["kind"] == "side" and r["side"] == name)


def pool(daemon):
    """Free buffers, those in stock included: (small, large)."""
    text = daemon.cli("debug", "objects").stdout
    one = {k: sum(map(int, re.findall(rf"\b{k}=(\d+)", text))) for k in ("free", "stock", "big_free", "stock_big")}
    return one["free"] + one["stock"], one["big_free"] + one["stock_big"]


def marks(frame):
    return frame[12:14] == MARK.to_bytes(2, "big")


def settled(daemon, before):
    """Every program is gone and every buffer is back."""
    L.wait_for(lambda: not daemon.json("rings"), "no program is left")
    L.wait_for(lambda: pool(daemon) == before, f"all buffers are back: {before}, now {pool(daemon)}")


class Scene:
    """Silent hosts a, b, c on br0 and the host itself ("host"); who got which frame is exact."""

    def __init__(self, lab, daemon, **kw):
        self.lab, self.d = lab, daemon
        daemon.ns.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        self.hosts = dict(zip("abc", (h.silent() for h in lab.add_hosts(3, **kw))))
        daemon.bridge(*self.hosts.values(), driver="packet")
        daemon.ns.ip("link", "set", "br0", "arp", "off")
        daemon.cli("intercept", "br0", "stall-ms", "60000", "exempt", f"ether proto {MARK:#x}")
        self.mac = {n: h.mac for n, h in self.hosts.items()}
        self.mac["host"] = daemon.ns.link("br0")["address"]
        self.mac.update({f"port {n}": daemon.ns.link(h.port)["address"] for n, h in self.hosts.items()})
        self.ears = {n: h.raw for n, h in self.hosts.items()}
        self.ears["host"] = L.Raw(daemon.ns, "br0", promisc=False)
        self.n = 0
        L.wait_for(lambda: self.heard("a") == {}, "the bridge forwards")  # marks teach it a, b and the host
        self.heard("b")

    def fresh(self):
        """Payload that no other frame has."""
        self.n += 1
        return b"frame %6d" % self.n

    def send(self, frame, src="a"):
        self.ears[src].send(frame)

    def heard(self, src="a", until=()):
        """
        Who got what since the last time: {name: [frames]} without the empty ones. Marks from src
        and from a second host close it: what was sent before them has arrived. `until`: names, one
        for each frame that must come first.
        """
        got = {n: [] for n in self.ears}
        left = list(until)
        for name in set(left):
            while name in left:
                f = self.ears[name].recv(L.DEADLINE)
                assert f is not None, f"{name} got nothing; still missing: {left}"
                if not marks(f):
                    got[name].append(f)
                    left.remove(name)
        for sender in [src, "b" if src == "a" else "a"]:
            mark = L.frame(BROADCAST, "02:00:00:00:ee:" + {"a": "0a", "b": "0b", "c": "0c", "host": "0d"}[sender],
                           self.fresh(), MARK)
            self.send(mark, sender)
            for name, ear in self.ears.items():
                while name != sender:
                    f = ear.recv(L.DEADLINE)
                    assert f is not None, f"no mark from {sender} at {name}"
                    if f == mark:
                        break
                    if not marks(f):
                        got[name].append(f)
        return {n: g for n, g in got.items() if g}

    def learn(self, name, mac=None, dst="02:00:00:00:ff:02"):
        """The bridge knows the address behind the port, by an exempt frame."""
        mac = mac or self.mac[name]
        self.send(L.frame(dst, mac, b"hello", MARK), name)
        L.wait_for(lambda: self.d.fdb()[(mac, 0)]["ifname"] == self.hosts[name].port, f"{mac} is behind {name}")

    @contextlib.contextmanager
    def drops(self, **want):
        """Inside the with block exactly these were dropped: same_port=1."""
        def now():
            count = {}
            for (_, reason), n in self.d.drops().items():
                count[reason] = count.get(reason, 0) + n
            return {r.replace("-", "_"): n - self.before.get(r, 0) for r, n in count.items() if n != self.before.get(r, 0)}

        self.before = {}
        self.before = {r.replace("_", "-"): n for r, n in now().items()}
        yield
        L.wait_for(lambda: sum(now().values()) >= sum(want.values()), f"drops {want}, now {now()}")
        assert now() == want, f"drops {now()}, not {want}"
