# SPDX-License-Identifier: BSD-2-Clause
"""Bridges and devices of the kernel whose members are taken by XDP: `adopt BR via xdp`.

Nothing is to differ from `via tc` but where a frame is taken, so tests of that run here, too: with
the fixtures of this module they find br0 adopted that way.
"""

import os
import signal
import socket
import struct
import subprocess
import time

import pytest

import lab as L
import test_adopt_frames as F
import test_adopt_kernel as K
from test_adopt import HOW, Pass, differences, kernel_bridge, settled, state
from test_adopt import (  # noqa: F401
    test_a_reader_alone_gets_copies, test_bridge_made_again, test_closed, test_closed_keeps_new_members_out,
    test_copies_that_come_back_go_nowhere, test_daemon_stopped, test_exempt_never_leaves_the_kernel,
    test_members_come_and_go, test_program_killed, test_program_stopped)
from test_adopt_frames import (  # noqa: F401
    BROADCAST, Tap, received, test_first_frame_of_new_hosts, test_full_size_with_tags, test_learning_off, test_moved,
    test_order_and_no_duplicates, test_same_frame_from_two_members, test_table, test_table_member_not_forwarding,
    test_table_reserved)
from test_adopt_kernel import (  # noqa: F401
    test_connection_outlives_everything, test_failure_under_traffic, test_iptables_decide_once)
from test_netmap import Program, lost

pytestmark = pytest.mark.skipif(L.KERNEL < (6, 8), reason=L.NO_XDP)

FOREIGN = L.BUILD / "src/bpf/xsk.bpf.o"  # passes everything while it has no socket


@pytest.fixture(autouse=True)
def always_by_xdp(monkeypatch):
    """`adopt` in the tests of other modules, too."""
    cli = L.Daemon.cli

    def with_via(self, *args, **kwargs):
        if args[:1] == ("adopt",) and "via" not in args:
            args += ("via", "xdp")
        return cli(self, *args, **kwargs)

    monkeypatch.setattr(L.Daemon, "cli", with_via)


def rows(d, bridge="br0"):
    return next(r for r in d.status()["bridges"] if r["ifname"] == bridge).get("attached", [])


def taken(d, dev, bridge="br0"):
    """Frames that XDP took at a device, None: it takes none there."""
    return next((r["taken"] for r in rows(d, bridge) if r["ifname"] == dev and r["how"].startswith("xdp ")), None)


def why_not(d, dev, bridge="br0"):
    return next((r["no_xdp"] for r in rows(d, bridge) if r["ifname"] == dev and "no_xdp" in r), None)


def release(d):
    if d.proc.poll() is None:
        d.cli("release", "br0", check=False)
        L.wait_for(lambda: not d.json("rings"), "no program is left")


@pytest.fixture
def net(lab, daemon):
    """Two hosts on a bridge of the kernel's, which has an address and is adopted. No buffer is missing at the end."""
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", "br0")
    assert lost(a.ping(b.addr)) == 0
    before = daemon.pool()
    daemon.cli("adopt", "br0", "via", "xdp")
    assert taken(daemon, a.port) == taken(daemon, b.port) == 0, rows(daemon)
    yield lab, daemon, a, b
    if daemon.proc.poll() is None:
        release(daemon)
        L.wait_for(lambda: daemon.pool() == before, f"all buffers are back: {before}, now {daemon.pool()}")


@pytest.fixture
def hosts(lab, daemon, request):
    """Three silent hosts, known to the kernel, on a bridge that is adopted."""
    lab.switch.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    for proto in ("arp", "ip", "ip6"):
        lab.switch.sysctl(f"net/bridge/bridge-nf-call-{proto}tables", 0)
    hs = [h.silent() for h in lab.add_hosts(3)]
    kernel_bridge(lab, *hs, mcast_snooping=0)
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", "br0")
    for h in hs:
        F.learn(h)
    L.wait_for(lambda: all(F.members(lab).get(h.mac) == h.port for h in hs), "the kernel knows the hosts")
    before = daemon.pool()
    daemon.cli("adopt", "br0", "via", "xdp")
    assert all(taken(daemon, h.port) == 0 for h in hs), rows(daemon)
    for h in hs:
        h.raw.drain()
    yield lab, daemon, *hs
    release(daemon)
    L.wait_for(lambda: daemon.pool() == before, f"all buffers are back: {before}, now {daemon.pool()}")


# ---- unchanged ----

@HOW
def test_passes_everything(net, how):
    """Between members, to the host and from it, with default offloads and in tunnels; XDP took it all."""
    lab, d, a, b = net
    tunnels = F.tunnel(a, b)
    p = Pass(lab, d, "br0", *how)
    assert lost(a.ping(b.addr, 50, "-i", "0.01")) == 0
    assert lost(a.ping("10.77.9.9", 20, "-i", "0.01")) == 0
    assert "0% packet loss" in lab.switch.run("ping", "-c", 5, "-i", "0.05", b.addr)
    for x, y in ((a, b), (b, a)):
        L.tcp_transfer(x.ns, y.ns, y.addr)
        L.tcp_transfer(x.ns, y.ns, y.addr6, family=socket.AF_INET6)
        L.udp_transfer(x.ns, y.ns, y.addr, size=9000, count=50)
        L.udp_transfer(x.ns, y.ns, y.addr6, size=24000, segment=1200, count=20, family=socket.AF_INET6)
    L.tcp_transfer(a.ns, lab.switch, "10.77.9.9")
    L.tcp_transfer(lab.switch, a.ns, a.addr)
    for addr in tunnels:
        L.tcp_transfer(a.ns, b.ns, addr, size=4 << 20)
    nic, host = p.side("nic"), p.side("host")
    assert nic["origins"]["unknown"] == nic["uninspected"] == nic["copied"] == 0, nic
    assert host["taken"] > 10 and nic["taken"] > 10000
    L.wait_for(lambda: p.side("nic")["taken"] == taken(d, a.port) + taken(d, b.port), "XDP took each of them")
    assert L.checksum_errors(a.ns) == L.checksum_errors(b.ns) == L.checksum_errors(lab.switch) == 0
    p.end()
    assert lost(a.ping(b.addr)) == 0


@HOW
def test_all_kinds_unchanged(hosts, how):
    """A long row of all kinds of frames arrives as the same row; SCTP, which tc takes, apart from it."""
    lab, d, a, b, c = hosts
    p = Pass(lab, d, "br0", *how)
    frames = F.pieces(a, b)
    for f in frames.values():
        a.raw.send(f)
    got = received(b, len(frames))
    sctp = [f for name, f in frames.items() if name.startswith("sctp")]
    assert [f for f in got if f not in sctp] == [f for f in frames.values() if f not in sctp]
    assert [f for f in got if f in sctp] == sctp
    assert p.side()["taken"] == len(frames) and taken(d, a.port) == len(frames) - len(sctp)
    p.end()


def test_nothing_twice(hosts):
    """A frame that XDP takes never reaches the kernel by itself: seen once at its member, and nowhere while dropped."""
    lab, d, a, b, c = hosts
    at_a, at_br0 = L.Raw(lab.switch, a.port), L.Raw(lab.switch, "br0")
    r = Program(lab, d, "read", "br0")  # a reader alone has copies: those tc makes
    a.raw.send(L.frame(BROADCAST, a.mac, b"copied"))
    b.raw.expect(lambda f: b"copied" in f)
    r.end()
    assert taken(d, a.port) == 0
    p = Pass(lab, d)
    n = 200
    for i in range(n):
        a.raw.send(L.frame(BROADCAST, a.mac, b"once" + struct.pack("!I", i)))
        time.sleep(0.001)
    for h in (b, c):
        assert [struct.unpack_from("!I", f, 18)[0] for f in received(h, n) if f[14:18] == b"once"] == list(range(n))
    assert taken(d, a.port) == n
    for s in (at_a, at_br0):
        assert s.count(lambda f: f[14:18] == b"once", F.AGAIN) == n
        s.close()
    p.end()


# ---- what was there is there again ----

@pytest.mark.parametrize("end", ["release", "shutdown", "kill"])
def test_nothing_changes(lab, daemon, end):
    """adopt, run, release: the system is what it was, also after kill -9 of the daemon."""
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", "br0")
    assert lost(a.ping(b.addr)) == 0
    before, peer = settled(lab.switch), settled(a.ns)
    daemon.cli("adopt", "br0", "via", "xdp")
    assert "xdp" in lab.switch.ip("link", "show", a.port)
    p = Pass(lab, daemon)
    assert lost(a.ping(b.addr)) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=1 << 20)
    if end == "release":
        p.end()
        daemon.cli("release", "br0")
    elif end == "shutdown":
        daemon.stop()
    else:
        daemon.kill()
    L.wait_for(lambda: differences(before, state(lab.switch)) == {}, "everything as before", timeout=3)
    L.wait_for(lambda: differences(peer, state(a.ns)) == {}, "at the other end of the veth, too", timeout=3)
    assert lost(a.ping(b.addr)) == 0
    if end != "release":
        p.proc.kill()


def test_one_device(lab, daemon):
    """netmap:p1 and its host rings: between the wire and the host."""
    a = lab.host()
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", a.port)
    before = settled(lab.switch)
    daemon.cli("adopt", a.port, "via", "xdp")
    p = Pass(lab, daemon, a.port)
    assert lost(a.ping("10.77.9.9", 20, "-i", "0.01")) == 0
    L.tcp_transfer(a.ns, lab.switch, "10.77.9.9")
    L.tcp_transfer(lab.switch, a.ns, a.addr)
    assert p.side("nic")["taken"] == taken(daemon, a.port, a.port) > 40 and p.side("host")["taken"] > 40
    p.end()
    assert lost(a.ping("10.77.9.9")) == 0
    daemon.cli("release", a.port)
    L.wait_for(lambda: differences(before, state(lab.switch)) == {}, "everything as before")


# ---- to and fro ----

class Datagrams:
    """Numbered datagrams from one host to another."""

    def __init__(self, a, b):
        self.b, self.n, self.got = b, 0, []
        self.rx = b.ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rx.bind((b.addr, 4000))
        self.tx = a.ns.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, n):
        for _ in range(n):
            self.tx.sendto(struct.pack("!I", self.n), (self.b.addr, 4000))
            self.n += 1
            time.sleep(0.001)

    def receive(self, seconds):
        """Until none came for so long; the socket's buffer has room for some 250."""
        self.rx.settimeout(seconds)
        try:
            while True:
                self.got.append(struct.unpack("!I", self.rx.recv(100))[0])
        except TimeoutError:
            return self.got

    def close(self):
        self.rx.close()
        self.tx.close()


def test_changed_under_traffic(net):
    """`adopt` with another `via` changes it: nothing is seen twice, and nothing lost but by veth, when its rings go."""
    lab, d, a, b = net
    p = Pass(lab, d)
    x = Datagrams(a, b)
    for via in ("tc", "xdp") * 3:
        x.send(100)
        d.cli("adopt", "br0", "via", via)
        assert (taken(d, a.port) is None) == (via == "tc")
        x.receive(0.1)
    x.send(100)
    got = x.receive(F.AGAIN)
    x.close()
    assert got == sorted(set(got)) and len(got) >= x.n - 5, f"{x.n} sent, {len(set(got))} of {len(got)} arrived"
    d.cli("adopt", "br0", "confirm", "600")
    assert p.side()["taken"] >= len(got) and (taken(d, a.port) or 0) >= 100
    p.end()


def test_a_member_that_joins(net):
    """It is taken by XDP as well, and when it leaves nothing of ours is left on it."""
    lab, d, a, b = net
    c = lab.host()
    before = lab.switch.link(c.port)
    p = Pass(lab, d)
    lab.switch.ip("link", "set", c.port, "master", "br0")
    L.wait_for(lambda: taken(d, c.port) is not None, "the new member is taken by XDP")
    assert lost(c.ping(b.addr, 10, "-i", "0.01")) == 0
    assert taken(d, c.port) >= 10
    lab.switch.ip("link", "set", c.port, "nomaster")
    L.wait_for(lambda: "xdp" not in lab.switch.ip("link", "show", c.port), "it left")
    after = lab.switch.link(c.port)
    assert {k: v for k, v in after.items() if k not in ("stats64", "stats")} == {
        k: v for k, v in before.items() if k not in ("stats64", "stats")}
    p.end()


# ---- where it cannot be ----

def test_foreign_program_stays(lab, daemon):
    """Somebody's XDP program is not replaced: that member is taken by tc, and `status` says why."""
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    lab.switch.ip("link", "set", "dev", a.port, "xdp", "obj", FOREIGN, "sec", "xdp")
    before = lab.switch.link(a.port)["xdp"]
    out = daemon.cli("adopt", "br0", "via", "xdp", "dry-run").stdout
    assert "no XDP program: another XDP program" in out and "XDP program in front" in out, out
    daemon.cli("adopt", "br0", "via", "xdp")
    assert taken(daemon, a.port) is None and taken(daemon, b.port) == 0
    assert "another XDP program" in why_not(daemon, a.port)
    assert f"{a.port} ingress: tcx; no XDP: another XDP program" in daemon.cli("status").stdout
    p = Pass(lab, daemon)
    assert lost(a.ping(b.addr, 20, "-i", "0.01")) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=4 << 20)
    assert taken(daemon, b.port) >= 20
    p.end()
    daemon.cli("release", "br0")
    assert lab.switch.link(a.port)["xdp"] == before
    # And the other way round: ours is not replaced either.
    lab.switch.ip("link", "set", "dev", a.port, "xdp", "off")
    daemon.cli("adopt", "br0", "via", "xdp")
    assert taken(daemon, a.port) == 0
    with pytest.raises(Exception):
        lab.switch.ip("link", "set", "dev", a.port, "xdp", "obj", FOREIGN, "sec", "xdp")
    assert taken(daemon, a.port) == 0
    daemon.cli("release", "br0")


def test_kinds_that_stay_with_tc(lab, daemon):
    """Devices whose frames XDP cannot take as they are."""
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    lab.switch.ip("tuntap", "add", "tap7", "mode", "tap")
    lab.switch.ip("link", "set", "tap7", "master", "br0", "up")
    daemon.cli("adopt", "br0", "via", "xdp")
    assert "TAP" in why_not(daemon, "tap7") and taken(daemon, "tap7") is None
    assert taken(daemon, a.port) == 0
    kinds = {"dummy": "native XDP", "vxlan id 9 dstport 4799": "native XDP", "bond": "bond",
             "veth peer name y7 numrxqueues 64": "buffers"}
    for kind, why in kinds.items():
        many = ["numrxqueues", "64"] if "veth" in kind else []
        lab.switch.ip("link", "add", "x7", *many, "type", *kind.split(), check=False)
        if "x7" not in lab.switch.links():  # this kernel has none
            continue
        lab.switch.ip("link", "set", "x7", "master", "br0", "up")
        L.wait_for(lambda: any(r["ifname"] == "x7" for r in rows(daemon)), "it is inspected")
        assert taken(daemon, "x7") is None and why in why_not(daemon, "x7"), rows(daemon)
        lab.switch.ip("link", "del", "x7")
    p = Pass(lab, daemon)
    assert lost(a.ping(b.addr, 5)) == 0
    p.end()
    daemon.cli("release", "br0")


def test_mtu(net):
    """While frames may be longer than a buffer tc takes them: in order, and whole."""
    lab, d, a, b = net
    p = Pass(lab, d)
    for h in (a, b):
        h.ns.ip("link", "set", "eth0", "mtu", "9000")
        lab.switch.ip("link", "set", h.port, "mtu", "9000")
    L.wait_for(lambda: taken(d, a.port) is None and "MTU" in (why_not(d, a.port) or ""), "tc takes them")
    assert lost(a.ping(b.addr, 10, "-i", "0.01", "-s", "8000")) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr)
    for h in (a, b):
        lab.switch.ip("link", "set", h.port, "mtu", "1500")
        h.ns.ip("link", "set", "eth0", "mtu", "1500")
    L.wait_for(lambda: taken(d, a.port) is not None and taken(d, b.port) is not None, "XDP takes them again")
    assert lost(a.ping(b.addr, 10, "-i", "0.01")) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr)
    assert taken(d, a.port) >= 10
    p.end()


# ---- what is not taken ----

def test_exempt_and_the_rest(hosts):
    """What the expression matches never leaves the kernel; XDP takes the rest; a tag beside a frame changes nothing."""
    lab, d, a, b, c = hosts
    d.cli("intercept", "br0", "exempt", "ether proto 0x88b6")
    p = Pass(lab, d)
    for i in range(50):
        a.raw.send(L.frame(b.mac, a.mac, b"exempt" + bytes([i]), ethertype=0x88b6))
        a.raw.send(L.frame(b.mac, a.mac, b"not" + bytes([i])))
    a.raw.send(L.frame(b.mac, a.mac, b"tagged", ethertype=0x88b6, tags=[(0x8100, 5)]))
    got = received(b, 101)
    assert [f[20] for f in got if b"exempt" in f] == list(range(50))
    assert [f[17] for f in got if f[14:17] == b"not"] == list(range(50))
    assert sum(b"tagged" in f for f in got) == 1
    by_xdp = 51 if L.KERNEL >= (6, 18) else 0  # older ones may leave all to tc meanwhile
    assert p.side()["taken"] == 51 and taken(d, a.port) >= by_xdp, (p.side(), rows(d))
    d.cli("intercept", "br0", "exempt", "none")
    a.raw.send(L.frame(b.mac, a.mac, b"exempt no more", ethertype=0x88b6))
    b.raw.expect(lambda f: b"no more" in f)
    assert p.side()["taken"] == 52 and taken(d, a.port) >= by_xdp + 1
    p.end()


def test_daemon_stopped_closed(net):
    """A hung worker: what XDP passes then is dropped behind it."""
    lab, d, a, b = net
    d.cli("adopt", "br0", "fail", "closed")
    d.cli("intercept", "br0", "mode", "all")
    p = Pass(lab, d)
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "inspected traffic passes")
    os.kill(d.pid, signal.SIGSTOP)
    try:
        assert " 0 received" in a.ping(b.addr, 40, "-i", "0.05", "-w", "3", check=False)
    finally:
        K.wake(lab)
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "inspected traffic passes again")
    p.end()
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    d.cli("release", "br0")
    assert lost(a.ping(b.addr)) == 0


def test_trunk_deleted_while_closed(lab):
    """Its helper device is gone and made again: not one frame passes uninspected meanwhile."""
    d = lab.daemon(ns=K.WithPins(lab))
    a, b = (h.silent() for h in lab.add_hosts(2))
    kernel_bridge(lab, a, b)
    d.cli("adopt", "br0", "fail", "closed")
    p = Pass(lab, d)
    b.raw.drain()
    ticker = K.Ticker(a)
    for _ in range(3):
        n = p.side()["taken"]
        L.wait_for(lambda: p.side()["taken"] > n + 50, "inspected")
        lab.switch.ip("link", "del", next(x for x in lab.switch.links() if x.startswith("vdt-")))
    n = p.side()["taken"]
    L.wait_for(lambda: p.side()["taken"] > n + 50 and taken(d, a.port), "inspected again, by XDP")
    ticker.end()
    heard = K.ticks(b.raw)
    assert heard == sorted(set(heard)) and 100 < len(heard) <= p.side()["taken"], (len(heard), p.side())
    p.end()
    d.cli("release", "br0")


# ---- words ----

def test_sentences(net):
    lab, d, a, b = net
    assert "via" in d.fails("adopt", "br0", "via", "smoke", code=2)
    assert f"{a.port} ingress: xdp native, took 0" in d.cli("status").stdout
    d.cli("adopt", "br0", "via", "tc")
    assert "xdp" not in d.cli("status").stdout
    assert "XDP" not in d.cli("status").stdout


def test_by_configuration(lab, daemon):
    """`via` in the file, changed and taken out by a reload; an error elsewhere leaves it as it was."""
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    conf = lab.dir / "v.yaml"
    conf.write_text("adopt:\n  br0:\n    via: xdp\n")
    daemon.cli("reload", conf)
    assert taken(daemon, a.port) == taken(daemon, b.port) == 0, rows(daemon)
    conf.write_text("adopt:\n  br0:\n    via: tc\nbridges:\n  br1:\n    ports: [{name: nosuchdev, driver: warp}]\n")
    daemon.fails("reload", conf)
    assert taken(daemon, a.port) == 0
    conf.write_text("adopt:\n  br0:\n")
    daemon.cli("reload", conf)
    assert rows(daemon) == [], "nothing is attached, for no program has it open"
    p = Pass(lab, daemon)
    assert taken(daemon, a.port) is None and lost(a.ping(b.addr)) == 0
    p.end()
