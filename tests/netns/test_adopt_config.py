# SPDX-License-Identifier: BSD-2-Clause
"""Bridges of the kernel that viaduct.yaml adopts, and who adopts by opening."""

import os
import re

import pytest

import lab as L
from test_adopt import Pass, kernel_bridge
from test_adopt_lazy import adopted, attached, state_of, until_free
from test_netmap import lost, may_open

CLOSED = "adopt:\n  br0:\n    intercept:\n      fail: closed\n      exempt: icmp or arp or ip6\n"


def intercept(d, name="br0"):
    return next(r for r in d.json("intercept", name) if r["ifname"] == name)


@pytest.fixture
def conf(lab):
    return lab.dir / "v.yaml"


def test_adopted_at_start(lab, conf):
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    conf.write_text("adopt:\n  br0:\n    intercept:\n      stall-ms: 250\n      exempt: arp\n")
    d = lab.daemon("-c", conf)
    assert adopted(d) and attached(lab.switch) == {}
    row = intercept(d)
    assert (row["stall_ms"], row["exempt"], row["fail"]) == (250, "arp", "open"), row
    p = Pass(lab, d)
    assert lost(a.ping(b.addr, 5)) == 0 and p.side()["taken"] >= 10
    p.end()
    assert adopted(d)


def test_closed_at_start(lab, conf):
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    conf.write_text(CLOSED)
    d = lab.daemon("-c", conf)
    assert attached(lab.switch)[a.port, "egress"] == 1
    assert lost(a.ping(b.addr, 3)) == 0  # exempt
    with pytest.raises(TimeoutError):
        L.udp_transfer(a.ns, b.ns, b.addr, count=1, deadline=1)
    d.cli("release", "br0")
    L.udp_transfer(a.ns, b.ns, b.addr, count=1)


def test_adopted_when_it_appears(lab, conf):
    """A bridge and a device that come after the daemon; and the bridge once more."""
    a, b, c = lab.add_hosts(3)
    conf.write_text(CLOSED + "  late0:\n")
    d = lab.daemon("-c", conf)
    assert "br0: not there yet" in d.log_text() and "late0: not there yet" in d.log_text()
    assert d.json("show") == []
    kernel_bridge(lab, a, b)
    L.wait_for(lambda: adopted(d) and (b.port, "egress") in attached(lab.switch), "adopted, with its settings")
    assert intercept(d)["fail"] == "closed"
    lab.switch.ip("link", "add", "late0", "type", "veth", "peer", "name", "late1")
    L.wait_for(lambda: adopted(d, "late0"), "the device is adopted, too")
    assert intercept(d, "late0")["mode"] == "all" and state_of(d, "late0") == "idle"
    lab.switch.ip("link", "del", "br0")
    L.wait_for(lambda: state_of(d) == "away", "it is away")
    kernel_bridge(lab, a, b)
    L.wait_for(lambda: state_of(d) == "attached", "it is back")
    d.cli("release", "br0")
    assert attached(lab.switch) == {}
    lab.switch.ip("link", "set", a.port, "nomaster")  # events of it do not bring it back ...
    lab.switch.ip("link", "set", a.port, "master", "br0")
    assert not adopted(d)
    lab.switch.ip("link", "del", "br0")  # ... a new one of its name does
    kernel_bridge(lab, a, b)
    L.wait_for(lambda: adopted(d) and state_of(d) == "attached", "adopted again")


def test_reload(lab, conf):
    """The difference, all or nothing."""
    a, b, c = lab.add_hosts(3)
    kernel_bridge(lab, a, b)
    d = lab.daemon()
    conf.write_text("adopt:\n  br0:\n    intercept: {stall-ms: 250}\n")
    assert d.cli("reload", conf).stdout == "adopt br0\nintercept br0: stall_ms 250\n"
    assert d.cli("reload", conf).stdout == "nothing to change\n"
    p = Pass(lab, d)
    conf.write_text(f"adopt:\n  br0:\n  {c.port}:\n    intercept: {{fail: closed}}\n")
    out = d.cli("reload", conf).stdout
    assert out == f'intercept br0: stall_ms 1000\nadopt {c.port}\nintercept {c.port}: fail "closed"\n', out
    assert p.rings() and lost(a.ping(b.addr)) == 0, "what did not change was not touched"
    p.end()

    # A step fails: back to what was.
    conf.write_text("adopt:\n  br0:\n    intercept: {stall-ms: 77}\nbridges:\n  br1:\n    ports:\n"
                    f"      - name: {c.port}\n      - name: {a.port}\n")
    assert f"{conf}:8: port {a.port}: already a member of br0" in d.fails("reload", conf)
    assert intercept(d)["stall_ms"] == 1000 and state_of(d, c.port) == "attached"
    assert intercept(d, c.port)["fail"] == "closed" and "br1" not in {r["ifname"] for r in d.json("show")}

    # From an adopted device to a port of ours, and back.
    conf.write_text(f"bridges:\n  br1:\n    ports:\n      - name: {c.port}\n")
    out = d.cli("reload", conf).stdout.splitlines()
    assert set(out) == {f"release {c.port}", "release br0", "addbr br1", f"addif br1 {c.port}"}, out
    assert not [k for k in attached(lab.switch) if "vdt-" in k or k[0] in ("br0", a.port)]
    conf.write_text(f"adopt:\n  {c.port}:\n")
    out = d.cli("reload", conf).stdout.splitlines()
    assert set(out) == {f"delif br1 {c.port}", f"adopt {c.port}", "delbr br1"}, out
    assert adopted(d, c.port) and intercept(d, c.port)["mode"] == "all"


def test_reload_takes_over_what_a_program_adopted(lab, conf):
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    d = lab.daemon()
    p = Pass(lab, d)
    conf.write_text("adopt:\n  br0:\n")
    assert d.cli("reload", conf).stdout == "adopt br0\n"
    p.end()
    until_free(lab.switch)
    assert adopted(d)
    conf.write_text("")
    assert d.cli("reload", conf).stdout == "release br0\n"
    assert not adopted(d)


def test_patterns_leave_it_alone(lab, conf):
    """A pattern of a bridge of ours matches what is to be adopted: that wins, also when it appears later."""
    a, b = lab.add_hosts(2)
    conf.write_text(f"bridges:\n  br1:\n    ports:\n      - match: \"p*\"\nadopt:\n  {a.port}:\n  plate0:\n")
    d = lab.daemon("-c", conf)
    ports = {r["ifname"]: r.get("master") for r in d.json("link", "show")}
    assert ports[b.port] == "br1" and adopted(d, a.port), ports
    lab.switch.ip("link", "add", "plate0", "type", "veth", "peer", "name", "plate1")
    L.wait_for(lambda: adopted(d, "plate0"), "adopted")
    L.wait_for(lambda: {r["ifname"]: r.get("master") for r in d.json("link", "show")}.get("plate1") == "br1", "joined")


@pytest.mark.parametrize("text, sentence", [
    ("adopt:\n  lo:\n", ":2: adopt lo: that name has another meaning"),
    ("adopt:\n  br0:\n    intercept: {exempt: no such word}\n", ":3: bridge br0: exempt: "),
    ("adopt:\n  tun9:\n", ":2: tun9: not an Ethernet device"),
    ("adopt:\n  br0:\n  p1:\n", ":3: p1: a member of br0, which is adopted: open that instead"),
], ids=["name", "exempt", "kind", "member"])
def test_errors(lab, conf, text, sentence):
    a = lab.host()
    kernel_bridge(lab, a)
    lab.switch.ip("tuntap", "add", "dev", "tun9", "mode", "tun")
    d = lab.daemon()
    conf.write_text(text)
    assert f"{conf}{sentence}" in d.fails("reload", conf)
    assert not adopted(d), "all or nothing"


# ---- by opening ----

EPERM, MEMBER = 1, 1  # gid of the group "daemon"


def test_who_adopts_by_opening(lab, conf):
    a = lab.host()
    kernel_bridge(lab, a)
    os.chmod(lab.dir, 0o755)
    d = lab.daemon("--group", "daemon")
    d.cli("addbr", "own0")
    d.cli("intercept", "own0", "access", "4003")

    def opens(uid, *groups):
        r = may_open(d, uid, *groups)
        L.wait_for(lambda: not adopted(d), "released with it")
        return r

    def sentence(uid, who):
        said = (rf"netmap: br0: program py pid=\d+ uid={uid} may not adopt it by opening, {who} \(adopt-on-open in "
                r"viaduct\.yaml\): `viaduct adopt br0` before")
        # the log is limited to a few lines a second
        return L.wait_for(lambda: re.search(said, d.log_text()) or may_open(d, uid) * 0, f"the log says why: {said}")

    assert opens(0) == 0 and opens(4001, MEMBER) == opens(4003) == EPERM
    sentence(4003, "only programs of root do")
    conf.write_text("daemon:\n  adopt-on-open: group\nbridges:\n  own0:\n")
    d.cli("reload", conf)
    assert opens(0) == opens(4001, MEMBER) == 0
    assert opens(4003) == EPERM, "who may open one bridge may not take another from the kernel"
    sentence(4003, "only programs of root and the daemon's group do")
    conf.write_text("daemon:\n  adopt-on-open: no\nbridges:\n  own0:\n")
    assert d.cli("reload", conf).stdout == "daemon adopt-on-open\n"
    assert opens(0) == opens(4001, MEMBER) == EPERM
    sentence(0, "no program does")
    d.cli("adopt", "br0")
    assert may_open(d, 0) == may_open(d, 4001, MEMBER) == 0
    assert adopted(d)
    d.cli("release", "br0")
    conf.write_text("bridges:\n  own0:\n")
    d.cli("reload", conf)
    assert opens(0) == 0 and opens(4001, MEMBER) == EPERM
