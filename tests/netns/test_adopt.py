# SPDX-License-Identifier: BSD-2-Clause
"""Bridges and devices that stay the kernel's, with netmap programs on them."""

import json
import os
import signal
import socket
import struct
import subprocess

import pytest

import lab as L
from test_netmap import Program, lost

PASS = L.BUILD / "examples/pass"
GEN = L.BUILD / "examples/gen"
HOW = pytest.mark.parametrize("how", [[], ["--copy"]], ids=["swap", "copy"])


class Pass(Program):
    """examples/pass between an interface of the kernel and its host rings."""

    def __init__(self, lab, daemon, name="br0", *args, wait=True):
        self.daemon, self.name = daemon, name
        env = dict(os.environ, VIADUCT_RUN_DIR=str(daemon.run_dir))
        self.proc = lab.background(daemon.ns, PASS, *args, name, env=env, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        if not wait:
            return
        L.wait_for(lambda: len(self.rings()) == 4 and all(r["state"] == "live" for r in self.rings()),
                   f"it reads {name}")
        self.pid = self.rings()[0]["pid"]

    def rings(self):
        return [r for r in super().rings() if r["ifname"] == self.name]

    def end(self, sig=signal.SIGINT):
        self.kill(sig)
        self.proc.communicate(timeout=L.DEADLINE)
        L.wait_for(lambda: not self.rings(), "its rings are gone")


def kernel_bridge(lab, *hosts, name="br0", **options):
    """A bridge of the kernel; options are those of ip-link(8)."""
    words = [w for k, v in options.items() for w in (k, str(v))]
    lab.switch.ip("link", "add", name, "type", "bridge", *words)
    for h in hosts:
        lab.switch.ip("link", "set", h.port, "master", name)
    lab.switch.ip("link", "set", name, "up")
    return name


def without(value, *names):
    """The JSON value without members of these names, at any depth."""
    if isinstance(value, dict):
        return {k: without(v, *names) for k, v in value.items() if k not in names}
    return [without(v, *names) for v in value] if isinstance(value, list) else value


def state(ns):
    """What an administrator can see of the namespace, without ages, counters and timers."""
    devs = sorted(ns.links())
    volatile = ("stats64", "stats", "gc_timer", "hello_timer", "tcn_timer", "topology_change_timer", "used", "updated",
                "hold_timer", "message_age_timer", "forward_delay_timer", "qlen")
    r = {
        "link": without(json.loads(ns.ip("-d", "-j", "link", "show")), *volatile),
        "addr": without(json.loads(ns.ip("-j", "addr", "show")), *volatile, "preferred_life_time", "valid_life_time"),
        "brlink": without(json.loads(ns.run("bridge", "-d", "-j", "link", "show")), *volatile),
        "fdb": sorted(map(json.dumps, without(json.loads(ns.run("bridge", "-j", "fdb", "show")), *volatile))),
        "vlan": ns.run("bridge", "-j", "vlan", "show", check=False),
    }
    for dev in devs:
        r["ethtool " + dev] = ns.run("ethtool", "-k", dev, check=False)
        r["tc " + dev] = ns.run("tc", "qdisc", "show", "dev", dev) + "".join(
            ns.run("tc", "filter", "show", "dev", dev, way, check=False) for way in ("ingress", "egress"))
        r["sysctl " + dev] = ns.run("sh", "-c", f"cd /proc/sys/net && grep -rs . ipv4/conf/{dev} ipv6/conf/{dev} "
                                    "| grep -v stable_secret", check=False)
    return r


def settled(ns):
    """state(), once IPv6 has looked for duplicates of its addresses."""
    L.wait_for(lambda: "tentative" not in ns.ip("addr", "show"), "addresses are settled")
    return state(ns)


def differences(before, after):
    return {k: (before.get(k), after.get(k)) for k in before.keys() | after.keys() if before.get(k) != after.get(k)}


@pytest.fixture
def net(lab, daemon):
    """Two hosts on a bridge of the kernel's, which has an address. No buffer is missing at the end."""
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", "br0")
    assert lost(a.ping(b.addr)) == 0
    before = daemon.pool()
    yield lab, daemon, a, b
    if daemon.proc.poll() is None:
        L.wait_for(lambda: not daemon.json("rings"), "no program is left")
        L.wait_for(lambda: daemon.pool() == before, f"all buffers are back: {before}, now {daemon.pool()}")


# ---- a program opens it ----

@HOW
def test_passes_everything(net, how):
    """Between members, to the host and from it, with default offloads; GSO frames stay whole."""
    lab, d, a, b = net
    p = Pass(lab, d, "br0", *how)
    assert lost(a.ping(b.addr, 50, "-i", "0.01")) == 0
    assert lost(a.ping("10.77.9.9", 20, "-i", "0.01")) == 0
    assert "0% packet loss" in lab.switch.run("ping", "-c", 5, "-i", "0.05", b.addr)
    L.tcp_transfer(a.ns, b.ns, b.addr)
    L.tcp_transfer(b.ns, a.ns, a.addr6, family=socket.AF_INET6)
    L.tcp_transfer(a.ns, lab.switch, "10.77.9.9")
    L.tcp_transfer(lab.switch, a.ns, a.addr)
    L.udp_transfer(a.ns, b.ns, b.addr, size=4000)
    L.udp_transfer(a.ns, b.ns, b.addr, size=48000, segment=1200, count=20)
    nic, host = p.side("nic"), p.side("host")
    assert nic["taken"] > 100 and host["taken"] > 10 and nic["copied"] == 0
    assert nic["origins"]["unknown"] == 0 and nic["gso"]["whole"] > 0, nic
    assert L.checksum_errors(a.ns) == L.checksum_errors(b.ns) == L.checksum_errors(lab.switch) == 0
    p.end()
    assert lost(a.ping(b.addr)) == 0


def test_goes_with_the_last_program(net):
    """Opening adopts, closing releases, and nothing is left of it."""
    lab, d, a, b = net
    before = settled(lab.switch)
    p = Pass(lab, d)
    assert next(r for r in d.json("show") if r["ifname"] == "br0")["adopted"]
    p.end()
    L.wait_for(lambda: not next(r for r in d.json("show") if r["ifname"] == "br0")["adopted"], "released")
    assert differences(before, state(lab.switch)) == {}


@pytest.mark.parametrize("end", ["release", "shutdown", "kill"])
def test_nothing_changes(net, end):
    """adopt, run, release: the system is what it was, also after kill -9 of the daemon."""
    lab, d, a, b = net
    before = settled(lab.switch)
    d.cli("adopt", "br0")
    p = Pass(lab, d)
    assert lost(a.ping(b.addr)) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=1 << 20)
    if end == "release":
        p.end()
        d.cli("release", "br0")
    elif end == "shutdown":
        d.stop()
    else:
        d.kill()
    L.wait_for(lambda: differences(before, state(lab.switch)) == {}, "everything as before", timeout=3)
    assert lost(a.ping(b.addr)) == 0
    if end != "release":
        p.proc.kill()


def test_a_reader_alone_gets_copies(net):
    lab, d, a, b = net
    p = Program(lab, d, "read")
    assert lost(a.ping(b.addr, 50, "-i", "0.01")) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=4 << 20)
    assert p.side()["copied"] >= 100 and p.side()["taken"] == 0
    assert p.end() >= 100


def test_copies_that_come_back_go_nowhere(net):
    lab, d, a, b = net
    d.cli("adopt", "br0")
    d.cli("intercept", "br0", "mode", "copy")
    p = Pass(lab, d)
    assert lost(a.ping(b.addr, 20, "-i", "0.01")) == 0
    L.wait_for(lambda: d.drop("copy-return") >= 40, "returned copies are swallowed")
    p.end()
    d.cli("release", "br0")


def test_exempt_never_leaves_the_kernel(net):
    """What the expression matches passes a daemon that does not even run."""
    lab, d, a, b = net
    d.cli("adopt", "br0", "fail", "closed", "exempt", "icmp or arp")
    os.kill(d.pid, signal.SIGSTOP)
    try:
        assert lost(a.ping(b.addr, 20, "-i", "0.01")) == 0
    finally:
        L.sh("kill", "-CONT", *L.sh("ip", "netns", "pids", lab.switch.name).split())
    d.cli("intercept", "br0", "exempt", "none")
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    d.cli("release", "br0")


def test_the_ssh_connection_is_exempt(net):
    lab, d, a, b = net
    argv = ["env", f"SSH_CONNECTION={a.addr} 40022 {b.addr} 22", L.VIADUCT, "--run-dir", d.run_dir, "adopt", "br0"]
    lab.switch.run(*argv)
    exempt = next(r for r in d.json("intercept", "br0") if r["ifname"] == "br0")["exempt"]
    assert exempt == f"tcp and host {a.addr} and host {b.addr} and port 40022 and port 22"
    lab.switch.run(*argv, "exempt", "none")
    assert not next(r for r in d.json("intercept", "br0") if r["ifname"] == "br0")["exempt"]
    d.cli("release", "br0")


# ---- following the kernel ----

def test_members_come_and_go(net):
    lab, d, a, b = net
    c = lab.host()
    p = Pass(lab, d)
    lab.switch.ip("link", "set", c.port, "master", "br0")
    L.wait_for(lambda: c.port in d.cli("show", "br0").stdout, "the new member is inspected")
    before = p.side()["taken"]
    assert lost(c.ping(b.addr, 10, "-i", "0.01")) == 0
    assert p.side()["taken"] >= before + 20
    lab.switch.ip("link", "set", c.port, "name", "renamed", check=False)
    if c.port in lab.switch.links():
        for words in (["down"], ["name", "renamed"]):  # kernels before 6.4 rename no device that is up
            lab.switch.ip("link", "set", c.port, *words)
        lab.switch.ip("link", "set", "renamed", "up")
    L.wait_for(lambda: "renamed" in d.cli("show", "br0").stdout, "its new name is known")
    lab.switch.ip("link", "set", "renamed", "nomaster")
    L.wait_for(lambda: "renamed" not in d.cli("show", "br0").stdout, "it left")
    lab.switch.ip("link", "set", "renamed", "master", "br0")
    L.wait_for(lambda: "renamed" in d.cli("show", "br0").stdout, "it is back")
    lab.switch.ip("link", "del", "renamed")
    L.wait_for(lambda: "renamed" not in d.cli("show", "br0").stdout, "it vanished")
    assert lost(a.ping(b.addr)) == 0
    p.end()


def test_bridge_made_again(net):
    """The program keeps its descriptors while the bridge is away."""
    lab, d, a, b = net
    p = Pass(lab, d)
    lab.switch.ip("link", "del", "br0")
    L.wait_for(lambda: "vdt-" not in lab.switch.ip("link", "show"), "nothing is attached any more")
    kernel_bridge(lab, a, b)
    L.wait_for(lambda: a.port in d.cli("show", "br0").stdout, "adopted again")
    L.wait_for(lambda: lost(a.ping(b.addr, 2)) == 0, "it bridges")
    before = p.side()["taken"]
    assert lost(a.ping(b.addr, 10, "-i", "0.01")) == 0
    assert p.side()["taken"] >= before + 20
    p.end()


# ---- failure ----

def test_program_killed(net):
    lab, d, a, b = net
    p = Pass(lab, d)
    ping = lab.background(a.ns, "ping", "-n", "-i", "0.01", "-c", "200", b.addr, stdout=subprocess.PIPE)
    L.wait_for(lambda: p.side()["taken"] > 50, "traffic flows")
    p.end(signal.SIGKILL)
    out, _ = ping.communicate(timeout=L.DEADLINE * 3)
    assert lost(out) <= 2, out


def test_program_stopped(net):
    lab, d, a, b = net
    d.cli("adopt", "br0")
    d.cli("intercept", "br0", "stall-ms", "200")
    p = Pass(lab, d)
    assert lost(a.ping(b.addr)) == 0
    p.kill(signal.SIGSTOP)
    L.wait_for(lambda: lost(a.ping(b.addr, 1, "-W", "1", check=False)) == 0, "traffic goes round it")
    assert lost(a.ping(b.addr, 10, "-i", "0.01")) == 0
    p.kill(signal.SIGCONT)
    L.wait_for(lambda: p.ring("nic0")["state"] == "live", "it is back")
    before = p.side()["taken"]
    assert lost(a.ping(b.addr, 10, "-i", "0.01")) == 0
    assert p.side()["taken"] >= before + 20
    p.end()
    d.cli("release", "br0")


def test_closed(net):
    """Without a program nothing passes; with one, all does."""
    lab, d, a, b = net
    d.cli("adopt", "br0", "fail", "closed")
    d.cli("intercept", "br0", "mode", "all")
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    p = Pass(lab, d)
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "inspected traffic passes")
    p.end()
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    d.cli("intercept", "br0", "fail", "open")
    assert lost(a.ping(b.addr)) == 0
    d.cli("release", "br0")
    assert lost(a.ping(b.addr)) == 0


def hears(host, word, seconds=1):
    """Does a frame with these bytes reach the host within the time?"""
    return host.raw.count(lambda f: word in f, seconds)


def test_closed_and_local(net):
    """What is for the host is inspected or dropped; what goes from member to member is not asked for."""
    lab, d, a, b = net
    d.cli("adopt", "br0", "fail", "closed")
    d.cli("intercept", "br0", "mode", "local")
    p = Pass(lab, d)
    assert lost(a.ping("10.77.9.9", 10, "-i", "0.01")) == lost(a.ping(b.addr, 10, "-i", "0.01")) == 0
    assert 20 <= p.side()["taken"] + p.side("host")["taken"] < 100
    p.end()
    assert " 0 received" in a.ping("10.77.9.9", 3, "-w", "1", check=False)
    assert lost(a.ping(b.addr)) == 0
    d.cli("release", "br0")
    assert lost(a.ping("10.77.9.9")) == 0


def test_closed_keeps_new_members_out(net):
    """A member that forwards before the daemon has heard of it: the gates drop what it sends."""
    lab, d, a, b = net
    c = lab.host().silent()
    d.cli("adopt", "br0", "fail", "closed")
    p = Pass(lab, d)
    assert lost(a.ping(b.addr, 5)) == 0
    os.kill(d.pid, signal.SIGSTOP)  # it hears of nothing
    lab.switch.ip("link", "set", c.port, "master", "br0")
    for _ in range(20):
        c.raw.send(L.frame("ff:ff:ff:ff:ff:ff", c.mac, b"uninspected"))
    assert hears(b, b"uninspected") == 0
    L.sh("kill", "-CONT", *L.sh("ip", "netns", "pids", lab.switch.name).split())
    L.wait_for(lambda: c.port in d.cli("show", "br0").stdout, "the new member is inspected")
    before = p.side()["taken"]
    b.raw.drain()
    c.raw.send(L.frame("ff:ff:ff:ff:ff:ff", c.mac, b"inspected"))
    b.raw.expect(lambda f: b"inspected" in f)
    assert p.side()["taken"] > before
    p.end()
    d.cli("release", "br0")
    assert lost(a.ping(b.addr)) == 0


def test_closed_outlives_the_daemon(lab):
    """The kernel keeps the gates when the daemon is killed; release opens them."""
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    # `ip netns exec` has a /sys of its own, without a bpf file system: where pins would be.
    holder = lab.background(lab.switch, "unshare", "-m", "sh", "-c",
                            "mount -t bpf bpf /sys/fs/bpf && echo ready && exec sleep 1000", stdout=subprocess.PIPE)
    assert holder.stdout.readline() == "ready\n"
    d = lab.daemon(prefix=["nsenter", "-t", holder.pid, "-m"])
    assert lost(a.ping(b.addr)) == 0  # the kernel knows both
    before = settled(lab.switch)
    d.cli("adopt", "br0", "fail", "closed")
    p = Pass(lab, d)
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "inspected traffic passes")
    d.kill()
    p.proc.kill()
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    d.start()
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    d.cli("release", "br0")
    assert lost(a.ping(b.addr)) == 0
    # Before tcx the kernel keeps filters in a qdisc, and that may stay behind a gate that outlived its daemon.
    clsact = "qdisc clsact ffff: parent ffff:fff1 \n"
    left = differences(before, state(lab.switch))
    assert {k: v for k, v in left.items() if not k.startswith("tc ") or v[0] + clsact != v[1]} == {}, left


def test_daemon_stopped(net):
    """The kernel goes round a daemon that does not drain the trunk."""
    lab, d, a, b = net
    p = Pass(lab, d)
    os.kill(d.pid, signal.SIGSTOP)
    try:
        L.wait_for(lambda: lost(a.ping(b.addr, 1, "-W", "1", check=False)) == 0, "traffic goes round it")
        assert lost(a.ping(b.addr, 10, "-i", "0.01")) == 0
    finally:
        os.kill(d.proc.pid, signal.SIGCONT)
        L.sh("kill", "-CONT", *L.sh("ip", "netns", "pids", lab.switch.name).split())
    L.wait_for(lambda: d.cli("status", check=False).returncode == 0, "the daemon answers")
    before = p.side()["taken"]
    assert lost(a.ping(b.addr, 10, "-i", "0.01")) == 0
    L.wait_for(lambda: p.side()["taken"] >= before + 20, "it is inspected again")
    p.end()


# ---- one device ----

def test_one_device(lab, daemon):
    """netmap:p1 and its host rings: between the wire and the host."""
    a = lab.host()
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", a.port)
    before = settled(lab.switch)
    p = Pass(lab, daemon, a.port)
    assert lost(a.ping("10.77.9.9", 20, "-i", "0.01")) == 0
    L.tcp_transfer(a.ns, lab.switch, "10.77.9.9")
    L.tcp_transfer(lab.switch, a.ns, a.addr)
    assert p.side("nic")["taken"] > 40 and p.side("host")["taken"] > 40
    p.end()
    assert lost(a.ping("10.77.9.9")) == 0
    L.wait_for(lambda: differences(before, state(lab.switch)) == {}, "everything as before")


def test_opening_a_device_takes_all(lab, daemon):
    """netmap's own rule: the host does not see what a reader takes."""
    a = lab.host()
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", a.port)
    p = Program(lab, daemon, "read", bridge=a.port)
    assert " 0 received" in a.ping("10.77.9.9", 3, "-w", "1", check=False)
    assert p.end() > 0
    L.wait_for(lambda: lost(a.ping("10.77.9.9", 2, check=False)) == 0, "the host has it again")


def test_generator_on_a_device(lab, daemon):
    a = lab.host()
    env = dict(os.environ, VIADUCT_RUN_DIR=str(daemon.run_dir))
    before = a.ns.link("eth0")
    p = lab.background(daemon.ns, GEN, "-f", "tx", "-i", f"netmap:{a.port}", "-n", "2000", "-R", "20000", env=env,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = p.communicate(timeout=L.DEADLINE)
    assert p.returncode == 0 and "2000 frames" in out, out
    got = int(a.ns.run("cat", "/sys/class/net/eth0/statistics/rx_packets"))
    assert got >= 2000, (before, got)


# ---- bad input ----

def test_sentences(net):
    lab, d, a, b = net
    assert "no such device" in d.fails("adopt", "nosuch")
    assert "not an Ethernet device" in d.fails("adopt", "lo")
    assert "not adopted" in d.fails("release", "br0")
    d.cli("adopt", "br0")
    assert "member of br0" in d.fails("adopt", a.port)
    for words in (["delbr", "br0"], ["addif", "br0", a.port], ["link", "set", a.port, "learning", "off"],
                  ["fdb", "flush", "br", "br0"]):
        assert "adopted" in d.fails(*words), words
    d.cli("release", "br0")
    own = d.bridge(name="own0")
    assert "own" in d.fails("adopt", own)
    d.cli("delbr", own)


def test_dry_run(net):
    lab, d, a, b = net
    before = settled(lab.switch)
    out = d.cli("adopt", "br0", "dry-run").stdout
    for dev in (a.port, b.port, "br0"):
        assert f"{dev} " in out and "tc program" in out, out
    assert differences(before, state(lab.switch)) == {}
    assert not next(r for r in d.json("show") if r["ifname"] == "br0")["adopted"]


def test_status_lists_what_is_attached(net):
    lab, d, a, b = net
    d.cli("adopt", "br0", "fail", "closed")
    out = d.cli("status").stdout
    for line in ("br0 ingress", "br0 egress", f"{a.port} ingress", f"{b.port} egress"):
        assert line in out, out
    assert "of others" not in out and "gate" in out
    br = next(r for r in d.status()["bridges"] if r["ifname"] == "br0")
    assert br["adopted"] and len(br["attached"]) == 6
    d.cli("release", "br0")


def test_confirm(net):
    lab, d, a, b = net
    d.cli("adopt", "br0", "confirm", "1")
    L.wait_for(lambda: not next(r for r in d.json("show") if r["ifname"] == "br0")["adopted"], "it releases itself")
    d.cli("adopt", "br0", "confirm", "600")
    d.cli("adopt", "br0")
    d.cli("release", "br0")
