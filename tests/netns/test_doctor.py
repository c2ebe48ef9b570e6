# SPDX-License-Identifier: BSD-2-Clause
"""viaduct doctor: each surprise provoked once, on a bridge of the kernel and on one of ours."""

import ctypes
import errno
import json
import os
import socket
import struct
import subprocess
import threading
import time

import pytest

import lab as L
from puppet import Puppet

NONE = "/nonexistent"  # a run directory without a daemon


class Doctor:
    """Asks, and remembers what was said last."""

    def __init__(self, ns, run_dir=NONE):
        self.ns, self.run_dir = ns, run_dir

    def run(self, *args):
        return subprocess.run(self.ns.argv(L.VIADUCT, "--run-dir", self.run_dir, *args),
                              capture_output=True, text=True)

    def ask(self, bridge="br0", seconds=0):
        p = self.run("-j", "doctor", *([bridge] if bridge else []), "for", seconds)
        answer = json.loads(p.stdout)
        assert answer["exit"] == p.returncode, p.stderr
        return answer

    def find(self, check, severity, object_=None, bridge="br0", seconds=0):
        """The one finding of a check; the exit code must say at least as much."""
        answer = self.ask(bridge, seconds)
        found = [f for f in answer["findings"] if f["check"] == check and object_ in (None, f["object"])]
        assert len(found) == 1, answer
        assert found[0]["severity"] == severity, answer
        assert found[0]["text"].startswith(found[0]["object"] + ": ")
        assert found[0]["hints"], "a finding without a cure"
        ranks = {"ok": 0, "warning": 1, "problem": 2, "unknown": 3}
        assert severity == "ok" or answer["exit"] != 0
        if answer["status"] == severity:
            assert answer["exit"] == ranks[severity]
        return found[0]

    def fine(self, bridge="br0", seconds=0):
        answer = self.ask(bridge, seconds)
        assert answer == {"status": "ok", "exit": 0, "bridges": [bridge], "findings": []}

    def cure(self, hint):
        """Types the hint as it stands."""
        self.ns.run("sh", "-c", hint)


def kernel_bridge(lab, n=2, name="br0", **kw):
    hosts = lab.add_hosts(n, **kw)
    lab.switch.ip("link", "add", name, "type", "bridge")
    for h in hosts:
        lab.switch.ip("link", "set", h.port, "master", name)
    lab.switch.ip("link", "set", name, "up")
    L.wait_for(lambda: lab.switch.link(name)["operstate"] == "UP", "the bridge is up")
    return hosts


@pytest.fixture
def kernel(lab):
    """A bridge of the kernel without any daemon."""
    return kernel_bridge(lab), Doctor(lab.switch)


@pytest.fixture
def own(lab, daemon):
    hosts = lab.add_hosts(2)
    daemon.bridge(*hosts)
    return hosts, Doctor(lab.switch, daemon.run_dir)


@pytest.fixture(params=["kernel", "own"])
def any_bridge(request):
    return request.getfixturevalue(request.param)


def lost(a, b):
    return a.ns.run("ping", "-n", "-c", 1, "-W", 1, b.addr, check=False).find(" 0% packet loss") < 0


# ---- all is well ----

def test_nothing_found(any_bridge):
    (a, b), doctor = any_bridge
    a.ping(b.addr)
    doctor.fine(seconds=1)
    p = doctor.run("doctor", "br0", "for", 0)
    assert p.returncode == 0 and "2 ports: nothing found" in p.stdout


def test_traffic_is_no_finding(any_bridge):
    (a, b), doctor = any_bridge
    flood = a.ns.popen("ping", "-n", "-q", "-i", "0.005", b.addr, stdout=subprocess.DEVNULL)
    try:
        doctor.fine(seconds=1)
    finally:
        flood.kill()
        flood.wait()


# ---- netfilter ----

IPTABLES = ["iptables-legacy", "iptables-nft"]


@pytest.fixture
def handed(lab, kernel):
    """A bridge of the kernel whose frames br_netfilter hands over, as it does unless told otherwise."""
    if lab.switch.run("ls", "/proc/sys/net", check=False).find("bridge") < 0:
        pytest.skip("br_netfilter is not loaded")
    assert lab.switch.sysctl("net/bridge/bridge-nf-call-iptables") == "1"
    return kernel


@pytest.mark.parametrize("iptables", IPTABLES)
@pytest.mark.parametrize("cure", [0, 1])
def test_lost_ping(lab, handed, iptables, cure):
    """The FORWARD policy that was meant for routing, and both cures as they are printed."""
    (a, b), doctor = handed
    a.ping(b.addr)
    lab.switch.run(iptables, "-P", "FORWARD", "DROP")
    assert lost(a, b)
    f = doctor.find("netfilter", "problem")
    assert "net.bridge.bridge-nf-call-iptables is 1" in f["text"]
    assert "chain FORWARD of table filter" in f["text"] and "policy DROP" in f["text"]
    assert "IPv4 frames" in f["text"]
    assert len(f["hints"]) == 2 and f["hints"][0] == "sysctl -w net.bridge.bridge-nf-call-iptables=0"
    assert f["hints"][1].endswith("-I FORWARD -m physdev --physdev-is-bridged -j ACCEPT")
    doctor.cure(f["hints"][cure])
    doctor.fine()
    a.ping(b.addr)


def test_lost_ping_ipv6(lab, handed):
    (a, b), doctor = handed
    lab.switch.run("ip6tables", "-A", "FORWARD", "-j", "REJECT")
    f = doctor.find("netfilter", "problem")
    assert "IPv6 frames" in f["text"] and "rule -A FORWARD -j REJECT" in f["text"]
    doctor.cure(f["hints"][1])
    doctor.fine()
    a.ping(b.addr6)


def test_lost_ping_nft(lab, handed):
    (a, b), doctor = handed
    lab.switch.run("nft", "add table inet f; add chain inet f c { type filter hook forward priority 0; "
                          "policy drop; }; add rule inet f c ct state established accept")
    answer = doctor.ask()
    assert answer["exit"] == 1 and [f["severity"] for f in answer["findings"]] == ["warning"] * 2
    assert "that no rule before accepts" in answer["findings"][0]["text"]
    assert lost(a, b)
    doctor.cure(answer["findings"][0]["hints"][1])
    doctor.fine()
    a.ping(b.addr)


def test_option_of_the_bridge(lab, handed):
    (a, b), doctor = handed
    lab.switch.sysctl("net/bridge/bridge-nf-call-iptables", 0)
    lab.switch.run("iptables", "-P", "FORWARD", "DROP")
    doctor.fine()
    a.ping(b.addr)
    lab.switch.ip("link", "set", "br0", "type", "bridge", "nf_call_iptables", 1)
    assert lost(a, b)
    f = doctor.find("netfilter", "problem")
    assert "nf_call_iptables of the bridge is 1" in f["text"]
    doctor.cure(f["hints"][0])
    doctor.fine()
    a.ping(b.addr)


def test_a_rule_that_drops_some(lab, handed):
    """What a packet filter is for: told, but nothing to be alarmed about."""
    (a, b), doctor = handed
    lab.switch.run("iptables", "-A", "FORWARD", "-p", "icmp", "-j", "DROP")
    assert lost(a, b)
    f = doctor.find("netfilter", "ok")
    assert "drops some: rule -A FORWARD -p icmp -j DROP" in f["text"]
    assert doctor.ask()["exit"] == 0


def test_tables_for_bridges(lab, kernel):
    (a, b), doctor = kernel
    lab.switch.run("nft", "add table bridge b; add chain bridge b c { type filter hook forward priority 0; }; "
                          "add rule bridge b c counter drop")
    assert lost(a, b)
    f = doctor.find("netfilter", "problem")
    assert "hook forward for bridges" in f["text"] and "chain c of table bridge b" in f["text"]
    doctor.cure(f["hints"][0])
    doctor.fine()
    a.ping(b.addr)


def test_own_bridge_has_no_iptables(lab, own):
    (a, b), doctor = own
    lab.switch.run("iptables", "-P", "FORWARD", "DROP")
    a.ping(b.addr)
    doctor.fine()


def test_rules_that_cannot_be_read(lab, handed):
    """Without any tool that lists rules: unknown, and it says so."""
    _, doctor = handed
    hide = "mount -t tmpfs none /usr/sbin && exec \"$@\""
    p = subprocess.run(["unshare", "-m", *doctor.ns.argv("unshare", "-m", "sh", "-c", hide, "sh", L.VIADUCT,
                        "--run-dir", NONE, "-j", "doctor", "br0", "for", "0")], capture_output=True, text=True)
    assert p.returncode == 3, (p.stdout, p.stderr)
    answer = json.loads(p.stdout)
    assert answer["status"] == "unknown"
    assert "neither nft nor iptables-save is installed" in answer["findings"][0]["text"]


# ---- devices ----

def test_bridge_down(lab, any_bridge):
    _, doctor = any_bridge
    lab.switch.ip("link", "set", "br0", "down")
    f = doctor.find("up", "problem" if doctor.run_dir == NONE else "warning")
    assert f["object"] == "br0"
    doctor.cure(f["hints"][0])
    L.wait_for(lambda: doctor.ask()["exit"] == 0, "cured")
    doctor.fine()


def test_port_down(lab, any_bridge):
    (a, b), doctor = any_bridge
    lab.switch.ip("link", "set", b.port, "down")
    f = doctor.find("up", "warning", b.port)
    assert f["hints"] == [f"ip link set {b.port} up"]
    doctor.cure(f["hints"][0])
    L.wait_for(lambda: not doctor.ask()["findings"], "cured")


def test_no_carrier(lab, any_bridge):
    (a, b), doctor = any_bridge
    b.ns.ip("link", "set", "eth0", "down")
    f = doctor.find("carrier", "warning", b.port)
    assert "the other end of the veth pair is down" in f["text"]
    b.ns.ip("link", "set", "eth0", "up")
    L.wait_for(lambda: not doctor.ask()["findings"], "cured")


def test_mtu(lab, any_bridge):
    (a, b), doctor = any_bridge
    lab.switch.ip("link", "set", a.port, "mtu", 9000)
    a.ns.ip("link", "set", "eth0", "mtu", 9000)
    L.wait_for(lambda: lab.switch.link("br0")["mtu"] == 1500, "the bridge has the smallest")
    f = doctor.find("mtu", "warning", b.port)
    assert "its MTU is 1500" in f["text"] and "9000" in f["text"]
    doctor.cure(f["hints"][0])
    L.wait_for(lambda: lab.switch.link("br0")["mtu"] == 9000, "the bridge follows")
    doctor.fine()


def test_mtu_of_the_bridge(lab, any_bridge):
    _, doctor = any_bridge
    if doctor.run_dir == NONE:
        lab.switch.ip("link", "set", "br0", "mtu", 1400)
    else:
        doctor.run("link", "set", "br0", "mtu", "1400")
    L.wait_for(lambda: lab.switch.link("br0")["mtu"] == 1400, "the MTU")
    assert "its own MTU is 1400" in doctor.find("mtu", "warning", "br0")["text"]


def test_big_tcp(lab, own):
    """Larger than any buffer of ours; the kernel's bridge has no trouble with it."""
    (a, b), doctor = own
    lab.switch.ip("link", "set", a.port, "gro_max_size", 130000)
    f = doctor.find("offloads", "warning", a.port)
    assert "130000 bytes" in f["text"]
    lab.switch.ip("link", "set", a.port, "gro_max_size", 65536)
    doctor.fine()


def bpf(cmd, attr):
    """bpf(2); skips the test where it is refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall({"x86_64": 321}.get(os.uname().machine, 280), cmd, attr, len(attr))
    if fd < 0 and ctypes.get_errno() == errno.EPERM:
        pytest.skip("needs CAP_BPF")
    if fd < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return fd


def load_program():
    """r0 = -1 (the next program); exit. Of the kind for tc."""
    code = ctypes.create_string_buffer(struct.pack("<BBhi", 0xb7, 0, 0, -1) + struct.pack("<BBhi", 0x95, 0, 0, 0))
    lic = ctypes.create_string_buffer(b"GPL")
    return bpf(5, struct.pack("<IIQQIIQII16s", 3, 2, ctypes.addressof(code), ctypes.addressof(lic), 0, 0, 0, 0, 0,
                              b"foreign"))


@pytest.fixture
def program(tmp_path):
    """An object file with a program of others for tc and one for XDP, which let all pass."""
    os.close(load_program())
    c = tmp_path / "other.c"
    c.write_text("""
        #define SEC(x) __attribute__((section(x), used))
        SEC("tc") int other_tc(void *ctx) { return -1; }
        SEC("xdp") int other_xdp(void *ctx) { return 2; }
        char other_license[] SEC("license") = "GPL";
    """)
    L.sh("clang", "-O2", "-target", "bpf", "-c", c, "-o", tmp_path / "other.o")
    return tmp_path / "other.o"


def test_programs_of_others(lab, any_bridge, program):
    (a, b), doctor = any_bridge
    lab.switch.run("tc", "qdisc", "replace", "dev", a.port, "clsact")
    lab.switch.run("tc", "filter", "add", "dev", a.port, "ingress", "pref", 77, "bpf", "da", "obj", program, "sec", "tc")
    f = doctor.find("programs", "warning", a.port)
    assert "a tc program of others (bpf, other_tc" in f["text"] and "at ingress" in f["text"]
    assert f["hints"] == [f"tc filter del dev {a.port} ingress pref 77"]
    doctor.cure(f["hints"][0])
    doctor.fine()


def test_xdp_of_others(lab, any_bridge, program):
    (a, b), doctor = any_bridge
    lab.switch.ip("link", "set", b.port, "xdpgeneric", "obj", program, "sec", "xdp")
    f = doctor.find("programs", "warning", b.port)
    assert "an XDP program of others (other_xdp, id" in f["text"]
    lab.switch.ip("link", "set", b.port, "xdpgeneric", "off")
    doctor.fine()


class Tcx:
    """A program of others in tcx, which Debian 12's tools cannot attach: bpf(2) by hand."""

    def __init__(self, ns, dev):
        with ns.enter():
            self.fds = [load_program()]
            link = struct.pack("<IIII16x", self.fds[0], socket.if_nametoindex(dev), 46, 0)
            try:
                self.fds.append(bpf(28, link))
            except OSError:
                self.close()
                pytest.skip("this kernel has no tcx")

    def close(self):
        for fd in self.fds:
            os.close(fd)


def test_tcx_of_others(lab, any_bridge):
    (a, b), doctor = any_bridge
    other = Tcx(lab.switch, a.port)
    try:
        f = doctor.find("programs", "warning", a.port)
    finally:
        other.close()
    assert "a tc program of others (tcx, foreign, id " in f["text"] and "at ingress" in f["text"]
    doctor.fine()


def test_our_own_xdp(lab, daemon):
    """The driver's program is no surprise."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b, driver="xdp")
    doctor = Doctor(lab.switch, daemon.run_dir)
    a.ping(b.addr)
    doctor.fine(seconds=1)


def test_filter_of_others(lab, kernel):
    (a, b), doctor = kernel
    lab.switch.run("tc", "qdisc", "add", "dev", a.port, "clsact")
    lab.switch.run("tc", "filter", "add", "dev", a.port, "egress", "pref", 5, "protocol", "all",
                   "u32", "match", "u32", 0, 0, "classid", "1:1")
    f = doctor.find("programs", "warning", a.port)
    assert "a tc filter of others (u32) sees its frames at egress" in f["text"]
    doctor.cure(f["hints"][0])
    doctor.fine()


# ---- namespaces ----

@pytest.fixture
def alone(lab, own):
    """A port whose name no other namespace has; tests run side by side."""
    _, doctor = own
    name = f"vt{os.getpid()}"
    lab.switch.ip("link", "add", name, "type", "veth", "peer", "name", "peer")
    for dev in (name, "peer"):
        lab.switch.ip("link", "set", dev, "up")
    assert doctor.run("addif", "br0", name).returncode == 0
    doctor.fine()
    return doctor, name


def test_port_in_another_namespace(lab, alone):
    doctor, name = alone
    other = lab.space("other")
    lab.switch.ip("link", "set", name, "netns", other.name)
    L.wait_for(lambda: any(f["check"] == "namespace" for f in doctor.ask()["findings"]), "it is missed")
    f = doctor.find("namespace", "problem", name)
    assert f"one of that name in network namespace {other.name}" in f["text"]
    doctor.cure(f["hints"][0])
    lab.switch.ip("link", "set", name, "up")
    L.wait_for(lambda: doctor.ask()["exit"] == 0, "it is back")


def test_port_that_is_gone(lab, alone):
    doctor, name = alone
    lab.switch.ip("link", "del", name)
    L.wait_for(lambda: any(f["check"] == "namespace" for f in doctor.ask()["findings"]), "it is missed")
    f = doctor.find("namespace", "problem", name)
    assert "has vanished" in f["text"]
    doctor.cure(f["hints"][0].replace("viaduct", str(L.VIADUCT), 1))
    doctor.fine()


def test_daemon_of_another_namespace(lab, own):
    """The socket answers, but its bridges are not here."""
    _, doctor = own
    other = Doctor(lab.space("other"), doctor.run_dir)
    answer = other.ask("")
    assert answer["exit"] == 1
    f = answer["findings"][0]
    assert f["object"] == "viaductd" and lab.switch.name in f["text"]
    assert f["hints"] == [f"viaduct -n {lab.switch.name} doctor"]
    p = other.run("doctor", "br0")
    assert p.returncode == 3
    assert f"not in this network namespace, but there is such a device in {lab.switch.name}" in p.stderr
    assert f"hint: viaduct -n {lab.switch.name} doctor br0" in p.stderr
    assert other.run("-n", lab.switch.name, "doctor", "br0").returncode == 0
    # A bridge of the kernel is fine whatever the daemon does elsewhere.
    other.ns.ip("link", "add", "k0", "type", "bridge")
    other.ns.ip("link", "set", "k0", "up")
    other.fine("k0")


def test_commands_for_the_namespace(lab, kernel):
    """With -n they begin with what makes them act there."""
    (a, b), doctor = kernel
    lab.switch.ip("link", "set", b.port, "down")
    p = subprocess.run([L.VIADUCT, "--run-dir", NONE, "-n", lab.switch.name, "-j", "doctor", "br0", "for", "0"],
                       capture_output=True, text=True)
    assert p.returncode == 1, p.stderr
    hint = json.loads(p.stdout)["findings"][0]["hints"][0]
    assert hint == f"ip netns exec {lab.switch.name} ip link set {b.port} up"
    L.sh("sh", "-c", hint)
    L.wait_for(lambda: not doctor.ask()["findings"], "cured")


def test_no_such_bridge(lab, any_bridge):
    (a, b), doctor = any_bridge
    p = doctor.run("doctor", "br9")
    assert p.returncode == 3 and "bridge br9: no such bridge" in p.stderr
    p = doctor.run("doctor", a.port)
    assert p.returncode == 3 and f"{a.port}: no bridge, but a port of br0" in p.stderr
    assert "doctor br0" in p.stderr


def test_nothing_to_look_at(lab):
    p = Doctor(lab.switch).run("doctor")
    assert p.returncode == 3 and "there is none in this network namespace" in p.stdout


# ---- spanning tree, VLANs ----

def test_stp_waits(lab, kernel):
    (a, b), doctor = kernel
    lab.switch.ip("link", "set", "br0", "type", "bridge", "stp_state", 1)
    lab.switch.ip("link", "set", b.port, "nomaster")
    lab.switch.ip("link", "set", b.port, "master", "br0")
    f = doctor.find("stp", "warning", b.port)
    assert "listening: it forwards after the forward delay" in f["text"]


def test_stp_blocks(lab, kernel):
    """A loop that the tree has cut: as it should be, so no alarm."""
    _, doctor = kernel
    lab.switch.ip("link", "set", "br0", "type", "bridge", "stp_state", 1, "forward_delay", 200)
    lab.switch.ip("link", "add", "l0", "type", "veth", "peer", "name", "l1")
    for dev in ("l0", "l1"):
        lab.switch.ip("link", "set", dev, "master", "br0", "up")

    def blocked():
        return [f for f in doctor.ask()["findings"] if f["check"] == "stp" and f["severity"] == "ok"]
    f = L.wait_for(blocked, "one end is blocked", 15)[0]
    assert f["object"] in ("l0", "l1") and "there is another way to the root" in f["text"]
    L.wait_for(lambda: doctor.ask()["exit"] == 0, "the rest forwards", 15)


def test_stp_waits_and_blocks_own(lab, own):
    _, doctor = own
    assert doctor.run("stp", "br0", "on").returncode == 0
    lab.switch.ip("link", "add", "l0", "type", "veth", "peer", "name", "l1")
    for dev in ("l0", "l1"):
        lab.switch.ip("link", "set", dev, "up")
        assert doctor.run("addif", "br0", dev).returncode == 0

    def of(severity):
        return [f for f in doctor.ask()["findings"] if f["check"] == "stp" and f["severity"] == severity]
    assert "edge on" in L.wait_for(lambda: of("warning"), "ports wait")[0]["hints"][0]
    f = L.wait_for(lambda: [f for f in of("ok") if f["object"] in ("l0", "l1")], "one end is blocked")[0]
    assert "there is another way to the root" in f["text"]


def test_bpdu_guard(lab, own):
    (a, b), doctor = own
    assert doctor.run("stp", "br0", "on").returncode == 0
    assert doctor.run("link", "set", b.port, "guard", "on").returncode == 0
    bpdu = bytes.fromhex("0180c2000000" "020000000bad" "0027" "424203" "0000020200"
                         "1000020000000bad" "00000000" "1000020000000bad" "8001" "0000" "1400" "0200" "0f00" "00")
    L.wait_for(lambda: b.raw.send(bpdu.ljust(60, b"\0")) or
               any("BPDU guard" in f["text"] for f in doctor.ask()["findings"]), "the guard")
    f = doctor.find("stp", "problem", b.port)
    assert f["hints"][0].endswith(f"link set {b.port} guard on")


def vlan_filtering(lab, doctor):
    if doctor.run_dir == NONE:
        p = subprocess.run(["ip", "-n", lab.switch.name, "link", "set", "br0", "type", "bridge", "vlan_filtering", "1"])
        if p.returncode:
            pytest.skip("this kernel's bridge cannot filter VLANs")
    else:
        assert doctor.run("link", "set", "br0", "vlan_filtering", "on").returncode == 0


def vlan(lab, doctor, *args):
    if doctor.run_dir == NONE:
        lab.switch.run("bridge", "vlan", *args)
    else:
        assert doctor.run("vlan", *map(str, args)).returncode == 0


def test_vlans(lab, any_bridge):
    (a, b), doctor = any_bridge
    vlan_filtering(lab, doctor)
    doctor.fine()
    vlan(lab, doctor, "del", "dev", a.port, "vid", 1)
    vlan(lab, doctor, "del", "dev", b.port, "vid", 1)
    vlan(lab, doctor, "add", "dev", b.port, "vid", 20)
    f = doctor.find("vlan", "warning", a.port)
    assert "is in none: nothing passes it" in f["text"]
    g = doctor.find("vlan", "ok", b.port)
    assert "has no PVID" in g["text"]
    for x in (f, g):
        doctor.cure(x["hints"][0].replace("viaduct", str(L.VIADUCT), 1))
    doctor.fine()


# ---- addresses ----

def many_sources(host, n, start=0):
    for i in range(start, start + n):
        host.raw.send(L.frame("ff:ff:ff:ff:ff:ff", f"02:00:00:01:{i >> 8:02x}:{i & 255:02x}"))


def test_fdb_limit_kernel(lab, kernel):
    (a, b), doctor = kernel
    if L.KERNEL < (6, 7):
        pytest.skip("bridges have no limit of learned addresses before Linux 6.7")
    set_fdb_max(lab.switch, "br0", 5)
    many_sources(a, 10)
    f = L.wait_for(lambda: [f for f in doctor.ask()["findings"] if f["check"] == "fdb"], "the limit")[0]
    assert f["object"] == "br0" and "5 learned addresses, as many as fdb_max_learned allows" in f["text"]


def set_fdb_max(ns, bridge, n):
    """IFLA_BR_FDB_MAX_LEARNED, which Debian 12's ip does not know."""
    with ns.enter():
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        index = socket.if_nametoindex(bridge)
    data = struct.pack("HHI", 8, 49, n)
    kind = struct.pack("HH", 4 + 7, 1) + b"bridge\0" + b"\0"
    info = kind + struct.pack("HH", 4 + len(data), 2) + data
    body = struct.pack("BBHiII", 0, 0, 0, index, 0, 0) + struct.pack("HH", 4 + len(info), 18) + info
    s.send(struct.pack("IHHII", 16 + len(body), 16, 5, 1, 0) + body)
    assert struct.unpack("i", s.recv(4096)[16:20])[0] == 0
    s.close()


def test_fdb_limits_own(lab, own):
    (a, b), doctor = own
    assert doctor.run("link", "set", "br0", "type", "bridge", "fdb_max_learned", "5").returncode == 0
    many_sources(a, 10)
    f = L.wait_for(lambda: [f for f in doctor.ask()["findings"] if f["check"] == "fdb"], "the limit")[0]
    assert f["object"] == "br0" and "as many as fdb_max_learned allows" in f["text"]
    doctor.cure(f["hints"][0].replace("viaduct", str(L.VIADUCT), 1))
    assert doctor.run("link", "set", a.port, "fdb_max_learned", "5").returncode == 0
    many_sources(a, 10)
    f = L.wait_for(lambda: [f for f in doctor.ask()["findings"] if f["object"] == a.port], "the port's limit")[0]
    assert f["check"] == "fdb" and f["severity"] == "warning"


def test_fdb_full(lab, daemon):
    a, b = lab.add_hosts(2)
    daemon.cli("link", "add", "br0", "type", "bridge", "fdb_size", 64)
    for h in (a, b):
        daemon.addif("br0", h.port)
    lab.switch.ip("link", "set", "br0", "up")
    doctor = Doctor(lab.switch, daemon.run_dir)
    L.wait_for(lambda: doctor.ask()["exit"] == 0, "it is up")
    many_sources(a, 400)
    L.wait_for(lambda: any(f["check"] == "fdb" for f in doctor.ask()["findings"]), "it is full")
    f = doctor.find("fdb", "warning", "br0")
    assert "is full" in f["text"] and "fdb flush" in f["hints"][0]


class Pump:
    """Calls something again and again beside the test."""

    def __init__(self, fn):
        import threading
        self.end = threading.Event()

        def loop():
            while not self.end.is_set():
                fn()
                time.sleep(0.01)
        self.thread = threading.Thread(target=loop, daemon=True)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


def test_moves(any_bridge):
    (a, b), doctor = any_bridge
    a.silent(), b.silent()
    twin = L.frame("ff:ff:ff:ff:ff:ff", "02:00:00:00:77:77")
    with Pump(lambda: (a.raw.send(twin), time.sleep(0.02), b.raw.send(twin))):
        f = doctor.find("moves", "warning", "br0", seconds=1)
    assert "addresses moved between its ports" in f["text"]
    assert "monitor fdb" in f["hints"][0]
    doctor.fine(seconds=1)


def test_own_address_comes_in(lab, own):
    (a, b), doctor = own
    mac = lab.switch.link("br0")["address"]
    with Pump(lambda: a.raw.send(L.frame("ff:ff:ff:ff:ff:ff", mac))):
        f = doctor.find("moves", "problem", "br0", seconds=1)
    assert "came in with an address of the bridge itself" in f["text"]
    f = doctor.find("moves", "ok", "br0", seconds=1)
    assert "none of them now" in f["text"]


# ---- drops ----

def test_drops_that_grow(lab, own):
    (a, b), doctor = own
    with Pump(lambda: a.raw.send(L.frame("ff:ff:ff:ff:ff:ff", "01:00:00:00:00:01"))):
        f = doctor.find("drops", "warning", a.port, seconds=1)
    assert "(invalid-source): the source address is zero or a group address" in f["text"]
    assert f["hints"][-1].endswith("drops br0")
    doctor.fine(seconds=1)


def test_what_a_tap_ignores_is_no_loss(lab, own):
    """Frames of a protocol that nobody speaks go to the host by a TAP."""
    (a, b), doctor = own
    assert doctor.run("addif", "br0", "tap:t0").returncode == 0
    lab.switch.ip("link", "set", "t0", "up")
    L.wait_for(lambda: doctor.ask()["exit"] == 0, "it is up")
    with Pump(lambda: a.raw.send(L.frame("ff:ff:ff:ff:ff:ff", a.mac))):
        doctor.fine(seconds=1)


def test_losses_of_the_kernel(lab, kernel):
    """The other end of the cable has a smaller MTU than the port."""
    (a, b), doctor = kernel
    a.silent(), b.silent()
    b.ns.ip("link", "set", "eth0", "mtu", 1000)
    with Pump(lambda: a.raw.send(L.frame("ff:ff:ff:ff:ff:ff", a.mac, bytes(1400)))):
        f = doctor.find("drops", "warning", b.port, seconds=1)
    assert "(tx_dropped)" in f["text"]
    doctor.fine(seconds=1)


# ---- netmap programs ----

def test_closed_without_program(own):
    (a, b), doctor = own
    assert doctor.run("intercept", "br0", "fail", "closed").returncode == 0
    assert lost(a, b)
    f = doctor.find("inspection", "problem", "br0")
    assert "fails closed, and no netmap program has it open" in f["text"]
    doctor.cure(f["hints"][1].replace("viaduct", str(L.VIADUCT), 1))
    a.ping(b.addr)
    doctor.fine()


def puppet_on(lab, daemon):
    """A program that takes no frame by itself, and does not count as hanging for that."""
    daemon.cli("intercept", "br0", "stall-ms", "60000")
    return Puppet(lab, daemon)


def test_stalled_program(lab, daemon, own):
    (a, b), doctor = own
    puppet = puppet_on(lab, daemon)
    doctor.fine()
    assert doctor.run("intercept", "br0", "stall-ms", "100").returncode == 0
    with Pump(lambda: a.raw.send(L.frame("ff:ff:ff:ff:ff:ff", a.mac))):
        def stalled():  # the host ring may be first
            answer = doctor.ask()
            return [(answer, f) for f in answer["findings"] if "ring nic0" in f["text"]]

        answer, f = L.wait_for(stalled, "it stalls")[0]
        assert f["severity"] == "warning" and answer["exit"] == 1
        assert f"(pid {puppet.proc.pid}) takes no frames from ring nic0" in f["text"]
        assert "traffic goes round it uninspected" in f["text"] and f"kill {puppet.proc.pid}" in f["hints"][0]
        assert doctor.run("intercept", "br0", "fail", "closed").returncode == 0
        answer = doctor.ask()
        assert answer["exit"] == 2 and any("fails closed" in f["text"] for f in answer["findings"])
    puppet.end()
    assert "no netmap program has it open" in doctor.find("inspection", "problem", "br0")["text"]


def test_frames_longer_than_a_slot(lab, daemon, own):
    (a, b), doctor = own
    for h in (a, b):
        lab.switch.ip("link", "set", h.port, "mtu", 9000)
    L.wait_for(lambda: lab.switch.link("br0")["mtu"] == 9000, "the bridge follows")
    doctor.fine()  # nobody looks at frames
    puppet_on(lab, daemon)
    f = doctor.find("slots", "warning", "br0")
    assert "9014 bytes (MTU 9000)" in f["text"] and "holds 1792" in f["text"] and "go on uninspected" in f["text"]
    assert f["hints"][1].startswith("buf-size: 16384 ")
    assert doctor.run("intercept", "br0", "oversize", "drop").returncode == 0
    assert "longer ones are dropped" in doctor.find("slots", "warning", "br0")["text"]
    assert doctor.run("intercept", "br0", "oversize", "multislot").returncode == 0
    doctor.fine()


# ---- flags ----

def test_isolated_ports(lab, any_bridge):
    """On purpose, so no alarm; but it explains why they do not hear each other."""
    hosts, doctor = any_bridge
    for h in hosts:
        if doctor.run_dir == NONE:
            lab.switch.run("bridge", "link", "set", "dev", h.port, "isolated", "on")
        else:
            assert doctor.run("link", "set", h.port, "isolated", "on").returncode == 0
    f = doctor.find("flags", "ok", hosts[0].port)
    assert "does not reach other isolated ones" in f["text"]
    assert doctor.ask()["exit"] == 0
    doctor.cure(f["hints"][0].replace("viaduct", str(L.VIADUCT), 1))
    doctor.fine()


# ---- adopted ----

def test_adopted(lab, daemon):
    """The kernel's checks and those of programs, too."""
    a, b = kernel_bridge(lab)
    doctor = Doctor(lab.switch, daemon.run_dir)
    daemon.cli("adopt", "br0")
    a.ping(b.addr)
    doctor.fine(seconds=1)
    assert "bridge of the kernel, adopted, 2 ports" in doctor.run("doctor", "br0", "for", "0").stdout
    puppet = puppet_on(lab, daemon)
    doctor.fine()  # what is attached is ours
    lab.switch.run("iptables", "-P", "FORWARD", "DROP")
    f = doctor.find("netfilter", "problem")
    assert "policy DROP" in f["text"]
    doctor.cure(f["hints"][1])
    puppet.end()
    daemon.cli("intercept", "br0", "fail", "closed")
    assert "no netmap program has it open" in doctor.find("inspection", "problem", "br0")["text"]
    daemon.cli("intercept", "br0", "fail", "open")
    lab.switch.ip("link", "set", b.port, "down")
    assert doctor.find("up", "warning", b.port)
    lab.switch.ip("link", "set", b.port, "up")
    daemon.cli("release", "br0")
    L.wait_for(lambda: not doctor.ask()["findings"], "all is as before")


def test_adopted_and_away(lab, daemon):
    kernel_bridge(lab)
    doctor = Doctor(lab.switch, daemon.run_dir)
    daemon.cli("adopt", "br0")
    lab.switch.ip("link", "del", "br0")
    L.wait_for(lambda: doctor.ask()["findings"], "it is missed")
    f = doctor.find("up", "problem", "br0")
    assert "there is no such device now" in f["text"]
    doctor.cure(f["hints"][0].replace("viaduct", str(L.VIADUCT), 1))
    assert doctor.run("doctor", "br0").returncode == 3


def test_adopted_device(lab, daemon):
    a, = lab.add_hosts(1)
    doctor = Doctor(lab.switch, daemon.run_dir)
    daemon.cli("adopt", a.port)
    doctor.fine(a.port)
    lab.switch.ip("link", "set", a.port, "down")
    assert doctor.find("up", "problem", a.port, bridge=a.port)


def test_all_bridges(lab, own):
    """Those of the daemon and of the kernel, with findings that say whose they are."""
    _, doctor = own
    lab.switch.ip("link", "add", "k0", "type", "bridge")
    answer = doctor.ask("")
    assert answer["bridges"] == ["br0", "k0"]
    assert [(f["bridge"], f["check"]) for f in answer["findings"]] == [("k0", "up")]
    assert answer["exit"] == 1
    text = doctor.run("-d", "doctor", "for", "0").stdout
    assert "br0, bridge of viaduct, 2 ports: nothing found" in text
    assert "k0, bridge of the kernel, 0 ports:\n  warning  k0: is down, so it forwards nothing\n" in text
    assert "hint: ip link set k0 up" in text and "looked at: up carrier" in text


def test_completion_knows_the_kernels(kernel):
    _, doctor = kernel
    assert doctor.ns.run(L.VIADUCT, "complete", "--run-dir", NONE, "doctor", "b") == "br0\n"
