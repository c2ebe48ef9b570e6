# SPDX-License-Identifier: BSD-2-Clause
"""Adopted bridges that no program has open: known, and untouched. What happens when one comes and goes."""

import ctypes
import os
import signal
import struct
import time

import pytest

import lab as L
from test_adopt import Pass, differences, hears, kernel_bridge, net, settled, state  # noqa: F401 (net is a fixture)
from test_adopt_kernel import Ticker, ticks
from test_netmap import Program, lost

BPF_PROG_QUERY, BPF_TCX_INGRESS, BPF_TCX_EGRESS = 16, 46, 47
SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine)


def tcx_count(ns, dev, way):
    """tcx programs on a device, as the kernel counts them: tc(8) does not list them."""
    attr = ctypes.create_string_buffer(128)
    with ns.enter():
        struct.pack_into("=II", attr, 0, L.socket.if_nametoindex(dev), way)
        r = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, BPF_PROG_QUERY, attr, len(attr))
    return struct.unpack_from("=I", attr, 24)[0] if r == 0 else 0


def attached(ns):
    """{(device, way): programs}, helper devices too."""
    r = {}
    for dev in ns.links():
        if dev.startswith("vdt-"):
            r[dev] = 1
            continue
        for way, name in ((BPF_TCX_INGRESS, "ingress"), (BPF_TCX_EGRESS, "egress")):
            filters = ns.run("tc", "filter", "show", "dev", dev, name, check=False)
            n = tcx_count(ns, dev, way) + filters.count(" handle ")
            if n:
                r[dev, name] = n
    return r


def until_free(ns):
    """Seconds until nothing is attached in the namespace."""
    start = time.monotonic()
    L.wait_for(lambda: not attached(ns), "nothing is attached")
    return time.monotonic() - start


def adopted(d, name="br0"):
    return next(r for r in d.json("show") if r["ifname"] == name)["adopted"]


def state_of(d, name="br0"):
    return next(r for r in d.status()["bridges"] if r["ifname"] == name)["state"]


@pytest.fixture
def idle(net):
    """br0 is adopted by command, and no program has it open."""
    lab, d, a, b = net
    d.cli("adopt", "br0")
    yield net
    if d.proc.poll() is None:
        d.cli("release", "br0", check=False)
        assert not attached(lab.switch)


def test_nothing_is_attached_without_a_program(net):
    lab, d, a, b = net
    before = settled(lab.switch)
    d.cli("adopt", "br0")
    assert differences(before, state(lab.switch)) == {} and attached(lab.switch) == {}
    assert adopted(d) and state_of(d) == "idle"
    assert a.port in d.cli("show", "br0").stdout and b.port in d.cli("show", "br0").stdout
    out = d.cli("status").stdout
    assert "br0, 2 ports, adopted" in out and "nothing attached: no program has it open" in out, out
    p = Pass(lab, d)
    at = attached(lab.switch)
    assert {(a.port, "ingress"), (b.port, "ingress"), ("br0", "ingress"), ("br0", "egress")} <= at.keys(), at
    assert any(k.startswith("vdt-") for k in at if isinstance(k, str)), at
    assert state_of(d) == "attached" and "nothing attached" not in d.cli("status").stdout
    assert lost(a.ping(b.addr, 10, "-i", "0.01")) == 0 and p.side()["taken"] >= 20
    p.end()
    until_free(lab.switch)
    assert adopted(d) and differences(before, state(lab.switch)) == {}
    d.cli("release", "br0")
    assert differences(before, state(lab.switch)) == {}


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL], ids=["ends", "killed"])
def test_taken_away_at_once(idle, capsys, sig):
    """With the last program, however it ends; one that is still there keeps it."""
    lab, d, a, b = idle
    first = Program(lab, d, "read")
    assert lost(a.ping(b.addr)) == 0
    p = Pass(lab, d, "br0", wait=False)
    L.wait_for(lambda: len({r["pid"] for r in Program.rings(first)}) == 2, "both have it open")
    first.kill(signal.SIGKILL)
    L.wait_for(lambda: len({r["pid"] for r in Program.rings(first)}) == 1, "one is gone")
    assert attached(lab.switch)
    start = time.monotonic()
    p.proc.send_signal(sig)
    L.wait_for(lambda: not [n for n in lab.switch.links() if n.startswith("vdt-")], "the helper device is gone")
    took = time.monotonic() - start
    assert attached(lab.switch) == {} and adopted(d)
    with capsys.disabled():
        print(f"\nprograms in the kernel gone after {took * 1e3:.0f} ms", end=" ")
    assert took < 3  # 0.13 s on an idle machine, most of it waiting for the kernel's RCU
    assert lost(a.ping(b.addr)) == 0


TURNS = 4
# Without tcx a clsact qdisc comes and goes, for which the kernel stops the device for a moment.
AT_MOST = 0 if L.KERNEL >= (6, 6) else 2 * TURNS


def come_and_go(lab, d):
    for i in range(TURNS):
        p = Pass(lab, d)
        taken = p.side()["taken"]
        L.wait_for(lambda: p.side()["taken"] > taken + 20, "it inspects")
        p.end()
        until_free(lab.switch)


def test_no_ping_is_lost_when_programs_come_and_go(idle):
    lab, d, a, b = idle
    with open(lab.dir / "ping", "w+") as out:  # nobody empties a pipe meanwhile
        ping = lab.background(a.ns, "ping", "-n", "-i", "0.01", b.addr, stdout=out)
        come_and_go(lab, d)
        ping.send_signal(signal.SIGINT)
        ping.wait(L.DEADLINE)
        out.seek(0)
        text = out.read()
    assert lost(text) <= AT_MOST, text


def test_no_frame_is_lost_or_doubled_when_programs_come_and_go(idle):
    """A frame a millisecond."""
    lab, d, a, b = idle
    a.silent(), b.silent()
    b.raw.drain()
    ticker = Ticker(a)
    come_and_go(lab, d)
    ticker.end()
    heard = ticks(b.raw)
    missing = sorted(set(range(len(ticker.sent))) - set(heard))
    assert len(missing) <= AT_MOST and len(heard) == len(set(heard)), (len(heard), len(ticker.sent), missing[:9])


def test_closed_needs_the_gates(idle):
    """Gates stand without a program; they come and go with the setting."""
    lab, d, a, b = idle
    d.cli("intercept", "br0", "fail", "closed", "mode", "all")
    at = attached(lab.switch)
    assert at[a.port, "egress"] == at[b.port, "egress"] == 1 and at["br0", "ingress"] == 2, at
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    p = Pass(lab, d)
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "inspected traffic passes")
    p.end()
    assert attached(lab.switch) == at and state_of(d) == "attached"
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    d.cli("intercept", "br0", "fail", "open")
    assert attached(lab.switch) == {} and state_of(d) == "idle"
    assert lost(a.ping(b.addr)) == 0
    for word in ("closed", "open", "closed"):
        d.cli("intercept", "br0", "fail", word)
        assert bool(attached(lab.switch)) == (word == "closed")
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    p = Pass(lab, d)
    d.cli("intercept", "br0", "fail", "open")
    assert lost(a.ping(b.addr, 5)) == 0
    p.end()
    until_free(lab.switch)


def test_a_refused_setting_attaches_nothing(idle):
    lab, d, a, b = idle
    assert "exempt" in d.fails("intercept", "br0", "fail", "closed", "exempt", "no such word")
    assert attached(lab.switch) == {}
    assert lost(a.ping(b.addr)) == 0


def test_settings_made_while_idle(idle):
    """They hold from the program's first frame on."""
    lab, d, a, b = idle
    d.cli("intercept", "br0", "exempt", "icmp or arp or ip6", "mode", "all")
    p = Pass(lab, d)
    assert lost(a.ping(b.addr, 5)) == 0
    assert p.side()["taken"] == 0
    L.udp_transfer(a.ns, b.ns, b.addr, count=5)
    taken = p.side()["taken"]
    assert taken >= 5
    p.end()
    d.cli("intercept", "br0", "exempt", "none", "mode", "copy")
    p = Pass(lab, d)
    assert lost(a.ping(b.addr, 5)) == 0
    assert p.side()["copied"] >= 10 and p.side()["taken"] == taken
    p.end()


def test_members_change_while_idle(idle):
    lab, d, a, b = idle
    c = lab.host()
    lab.switch.ip("link", "set", c.port, "master", "br0")
    L.wait_for(lambda: c.port in d.cli("show", "br0").stdout, "the new member is known")
    lab.switch.ip("link", "set", b.port, "nomaster")
    L.wait_for(lambda: b.port not in d.cli("show", "br0").stdout, "one left")
    assert attached(lab.switch) == {}
    p = Pass(lab, d)
    assert (c.port, "ingress") in attached(lab.switch) and (b.port, "ingress") not in attached(lab.switch)
    assert lost(a.ping(c.addr, 10, "-i", "0.01")) == 0 and p.side()["taken"] >= 20
    p.end()
    until_free(lab.switch)
    lab.switch.ip("link", "set", c.port, "down")
    lab.switch.ip("link", "set", c.port, "name", "other", "up")
    lab.switch.ip("link", "set", b.port, "master", "br0")
    L.wait_for(lambda: "other" in d.cli("show", "br0").stdout and b.port in d.cli("show", "br0").stdout, "as it is now")
    p = Pass(lab, d)
    L.wait_for(lambda: lost(c.ping(b.addr, 2, check=False)) == 0, "the bridge forwards")
    before = p.side()["taken"]
    assert lost(c.ping(b.addr, 5)) == 0 and p.side()["taken"] >= before + 10
    p.end()


def test_state_of_a_member_while_idle(idle):
    """What spanning tree closed meanwhile is left to the kernel from the start."""
    lab, d, a, b = idle
    lab.switch.run("bridge", "link", "set", "dev", a.port, "state", "0")
    L.wait_for(lambda: d.port(a.port)["state"] != "forwarding", "its state is known")
    p = Pass(lab, d)
    assert d.port(a.port)["state"] != "forwarding"
    assert d.port(b.port)["state"] == "forwarding"
    a.raw.send(L.frame(b.mac, a.mac, b"left to the kernel"))
    lab.switch.run("bridge", "link", "set", "dev", a.port, "state", "3")
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "it forwards again")
    p.end()


def test_bridge_made_again_while_idle(idle):
    lab, d, a, b = idle
    lab.switch.ip("link", "del", "br0")
    L.wait_for(lambda: state_of(d) == "away", "it is away")
    assert "there is no such device now" in d.cli("status").stdout
    kernel_bridge(lab, a, b)
    L.wait_for(lambda: state_of(d) == "idle" and a.port in d.cli("show", "br0").stdout, "it is back")
    assert attached(lab.switch) == {}
    p = Pass(lab, d)
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "the bridge forwards")
    before = p.side()["taken"]
    assert lost(a.ping(b.addr, 5)) == 0 and p.side()["taken"] >= before + 10
    p.end()


def test_opened_while_the_bridge_is_away(idle):
    """The program waits; the kernel's devices get their programs with the bridge."""
    lab, d, a, b = idle
    lab.switch.ip("link", "del", "br0")
    L.wait_for(lambda: state_of(d) == "away", "it is away")
    p = Pass(lab, d)
    assert state_of(d) == "away" and attached(lab.switch) == {}
    kernel_bridge(lab, a, b)
    L.wait_for(lambda: state_of(d) == "attached", "it is back")
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "the bridge forwards")
    before = p.side()["taken"]
    assert lost(a.ping(b.addr, 5)) == 0 and p.side()["taken"] >= before + 10
    lab.switch.ip("link", "del", "br0")
    L.wait_for(lambda: state_of(d) == "away", "it is away again")
    p.end()
    kernel_bridge(lab, a, b)
    L.wait_for(lambda: state_of(d) == "idle", "nobody waits for it")
    assert attached(lab.switch) == {}


def test_closed_while_the_bridge_is_away(idle):
    lab, d, a, b = idle
    lab.switch.ip("link", "del", "br0")
    L.wait_for(lambda: state_of(d) == "away", "it is away")
    d.cli("intercept", "br0", "fail", "closed")
    kernel_bridge(lab, a, b)
    L.wait_for(lambda: (a.port, "egress") in attached(lab.switch), "gates stand")
    b.silent(), a.silent()
    a.raw.send(L.frame(b.mac, a.mac, b"uninspected"))
    assert hears(b, b"uninspected") == 0


def test_closed_bridge_made_again_unseen(idle):
    """Gone and back with its members before the daemon hears of any of it."""
    lab, d, a, b = idle
    d.cli("intercept", "br0", "fail", "closed")
    before = lab.switch.link("br0")["ifindex"]
    os.kill(d.pid, signal.SIGSTOP)
    lab.switch.ip("link", "del", "br0")
    kernel_bridge(lab, a, b)
    L.sh("kill", "-CONT", *L.sh("ip", "netns", "pids", lab.switch.name).split())
    assert lab.switch.link("br0")["ifindex"] != before
    L.wait_for(lambda: a.port in d.cli("show", "br0").stdout and b.port in d.cli("show", "br0").stdout, "it is back")
    assert state_of(d) == "attached"
    at = attached(lab.switch)
    assert at[a.port, "egress"] == at[b.port, "egress"] == 1 and at["br0", "ingress"] == 2, at
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    d.cli("intercept", "br0", "fail", "open")
    assert attached(lab.switch) == {}
    assert lost(a.ping(b.addr)) == 0


def test_confirm_with_a_program(net):
    """Released under the program's hands."""
    lab, d, a, b = net
    d.cli("adopt", "br0", "confirm", "2")
    p = Pass(lab, d)
    assert attached(lab.switch)
    L.wait_for(lambda: not adopted(d), "it releases itself")
    assert attached(lab.switch) == {} and lost(a.ping(b.addr)) == 0
    p.proc.kill()
    L.wait_for(lambda: not d.json("rings"), "the program is gone")


def test_adopted_under_a_program(net):
    """Opened by a program first, and adopted by command while it runs: stays when it ends."""
    lab, d, a, b = net
    p = Pass(lab, d)
    d.cli("adopt", "br0")
    p.end()
    until_free(lab.switch)
    assert adopted(d) and state_of(d) == "idle"
    d.cli("release", "br0")


def test_a_device(lab, daemon):
    a = lab.host()
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", a.port)
    before = settled(lab.switch)
    daemon.cli("adopt", a.port)
    assert attached(lab.switch) == {}
    p = Pass(lab, daemon, a.port)
    assert attached(lab.switch)[a.port, "ingress"] == attached(lab.switch)[a.port, "egress"] == 1
    assert lost(a.ping("10.77.9.9", 20, "-i", "0.01")) == 0
    p.end()
    until_free(lab.switch)
    assert lost(a.ping("10.77.9.9")) == 0
    daemon.cli("intercept", a.port, "fail", "closed")
    assert attached(lab.switch) and " 0 received" in a.ping("10.77.9.9", 3, "-w", "1", check=False)
    daemon.cli("release", a.port)
    L.wait_for(lambda: differences(before, state(lab.switch)) == {}, "everything as before")


def test_drops_stay_on_record(idle):
    """What a place dropped is told after it is gone."""
    lab, d, a, b = idle
    d.cli("intercept", "br0", "fail", "closed", "mode", "all")
    assert " 0 received" in a.ping(b.addr, 3, "-w", "1", check=False)
    n = d.drop("not-inspected", a.port)
    assert n > 0
    d.cli("intercept", "br0", "fail", "open")
    assert attached(lab.switch) == {} and d.drop("not-inspected", a.port) >= n
