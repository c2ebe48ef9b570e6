# SPDX-License-Identifier: BSD-2-Clause
"""Frames followed through a bridge of the kernel: `viaduct trace`, and viaduct-ktrace behind it."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

import lab as L
from test_adopt import Pass, kernel_bridge, net  # noqa: F401 (net is a fixture)
from test_netmap import lost

KTRACE = L.BUILD / "viaduct-ktrace"
FILTERED = "--no-seccomp" not in L.VIADUCTD_ARGS
BROADCAST = "ff:ff:ff:ff:ff:ff"
MARK = "ether proto 0x88b5"  # frames that the tests make themselves
STATES = {"disabled": 0, "listening": 1, "learning": 2}

pytestmark = pytest.mark.skipif(not Path("/sys/kernel/btf/vmlinux").exists(), reason="this kernel has no BTF")


class Ktrace:
    """viaduct-ktrace on a bridge, which is followed when this returns."""

    def __init__(self, lab, *args, bridge="br0", ns=None, seconds=20):
        self.ns = ns or lab.switch
        args = [*args, *([] if FILTERED else ["--no-seccomp"])]
        self.proc = lab.background(self.ns, KTRACE, "--bridge", bridge, "--seconds", seconds, *args,
                                   stdout=subprocess.PIPE)
        self.buffer = ""
        self.first = self.line()
        if self.first.get("error", {}).get("name") == "E_PRIVILEGE":
            pytest.skip(self.first["error"]["text"])
        assert self.first.get("ready"), self.first

    @property
    def pid(self):
        return self.proc.pid  # ip netns exec becomes what it runs

    def line(self, timeout=None):
        """The next line's object; None at the end."""
        end = time.monotonic() + (timeout or L.DEADLINE * 3)
        fd = self.proc.stdout.fileno()
        while "\n" not in self.buffer:
            left = end - time.monotonic()
            assert left > 0 and select.select([fd], [], [], left)[0], "it says nothing"
            data = os.read(fd, 65536)
            if not data:
                return None
            self.buffer += data.decode()
        line, self.buffer = self.buffer.split("\n", 1)
        return json.loads(line)

    def journeys(self, n=None):
        """n of them, or all to the end, when `end` has the totals."""
        got = []
        while n is None or len(got) < n:
            o = self.line()
            assert o is not None, "it ended without a word"
            if "end" in o and "steps" not in o:
                self.end = o["end"]
                assert n is None, f"only {len(got)} of {n}: {self.end}"
                return got
            got.append(o)
        return got

    def finish(self):
        """Tells it to end; what it still had to say."""
        self.proc.send_signal(signal.SIGTERM)
        return self.journeys()


@pytest.fixture
def pair(lab):
    """Two silent hosts on a bridge of the kernel's."""
    a, b = lab.add_hosts(2)
    for h in (a, b):
        h.silent()
        h.raw
    kernel_bridge(lab, a, b)
    no_netfilter(lab)
    L.wait_for(lambda: all(forwards(lab, h) for h in (a, b)), "the ports forward")
    return lab, a, b


def forwards(lab, host):
    return lab.switch.link(host.port)["linkinfo"]["info_slave_data"]["state"] == "forwarding"


def no_netfilter(lab):
    for n in ("arp", "ip", "ip6"):
        with contextlib.suppress(AssertionError):
            lab.switch.sysctl(f"net/bridge/bridge-nf-call-{n}tables", 0)


def learn(a, b):
    """The bridge knows where b is."""
    a.raw
    b.raw.send(L.frame(BROADCAST, b.mac, b"here I am"))
    a.raw.expect(lambda f: b"here I am" in f)


def steps(journey):
    return [(s["step"], s["ifname"]) for s in journey["steps"]]


def one_drop(journey):
    """Dropped, and the only drop on its way; the text of its end."""
    assert journey["end"]["what"] == "dropped", journey
    assert [s["step"] for s in journey["steps"]].count("drop") == 1, journey
    drop = next(s for s in journey["steps"] if s["step"] == "drop")
    assert drop["where"] == "kernel" and drop["reason"] == journey["end"]["reason"]
    assert re.match(r"[a-z_]\w+(\.\w+)*\+0x[0-9a-f]+", drop["location"]), drop
    return journey["end"]["text"]


# ---- what becomes of frames ----

def test_sent(pair):
    lab, a, b = pair
    learn(a, b)
    t = Ktrace(lab, "--count", "1", "--filter", MARK)
    f = L.frame(b.mac, a.mac, b"one")
    before = time.time()
    a.raw.send(f)
    b.raw.expect(f)
    j, = t.journeys(1)
    assert j["bridge"] == "br0" and j["ifname"] == a.port and j["id"] == 1
    assert abs(j["time"] - before) < 5
    assert j["frame"]["len"] == 60 and j["frame"]["src"] == a.mac and j["frame"]["dst"] == b.mac
    assert j["frame"]["ethertype"] == "0x88b5" and a.mac in j["frame"]["summary"]
    assert steps(j) == [("receive", a.port), ("transmit", b.port)]
    assert [s["depth"] for s in j["steps"]] == [0, 1]
    assert j["steps"][1]["at_ns"] == j["steps"][1]["ns"] > 0
    assert j["end"]["what"] == "sent" and j["end"]["ifnames"] == [b.port]
    assert t.journeys() == [] and t.end["why"] == "count" and t.end["matched"] == 1
    assert t.proc.wait(L.DEADLINE) == 0


def test_flooded(lab):
    """Clones are one journey: to the other ports and up to the host."""
    hosts = lab.add_hosts(4)
    for h in hosts:
        h.silent()
    kernel_bridge(lab, *hosts)
    no_netfilter(lab)
    a = hosts[0]
    t = Ktrace(lab, "--count", "1", "--filter", MARK)
    a.raw.send(L.frame(BROADCAST, a.mac, b"to all"))
    j, = t.journeys(1)
    assert j["end"]["what"] == "sent" and sorted(j["end"]["ifnames"]) == sorted(h.port for h in hosts[1:]), j
    assert ("receive", "br0") in steps(j) and "up to the host" in j["end"]["text"]


def test_to_and_from_the_host(lab):
    """A ping of br0 itself: up to the host; its answer comes from there."""
    a, = lab.add_hosts(1)
    kernel_bridge(lab, a)
    no_netfilter(lab)
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", "br0")
    assert lost(a.ping("10.77.9.9")) == 0
    t = Ktrace(lab, "--count", "2", "--filter", "icmp")
    a.ping("10.77.9.9", 1)
    request, reply = t.journeys(2)
    assert steps(request)[:2] == [("receive", a.port), ("receive", "br0")], request
    assert request["end"]["what"] == "delivered" and request["end"]["ifnames"] == ["br0"]
    assert reply["ifname"] == "br0" and steps(reply) == [("receive", "br0"), ("transmit", a.port)]
    assert reply["end"]["what"] == "sent" and reply["end"]["ifnames"] == [a.port]


def test_dropped_by_the_host(lab):
    """Up to the host, where nobody wants it: that is no fault of the bridge, and is said so."""
    a, = lab.add_hosts(1)
    kernel_bridge(lab, a)
    no_netfilter(lab)
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", "br0")
    assert lost(a.ping("10.77.9.9")) == 0
    t = Ktrace(lab, "--count", "1", "--filter", "udp port 7009")
    with a.ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"hello?", ("10.77.9.9", 7009))
    text = one_drop(t.journeys(1)[0])
    assert text.startswith("dropped by the host: NO_SOCKET in ")


@pytest.mark.parametrize("state", STATES)
def test_port_does_not_forward(pair, state):
    lab, a, b = pair
    learn(a, b)
    t = Ktrace(lab, "--count", "1", "--filter", MARK)
    lab.switch.run("bridge", "link", "set", "dev", a.port, "state", STATES[state])  # the kernel may go on from there
    a.raw.send(L.frame(b.mac, a.mac, b"not yet"))
    assert f"port {a.port} does not forward: its state is {state}" in one_drop(t.journeys(1)[0])


def test_state_changes(pair):
    """What is said of a port is what it is now."""
    lab, a, b = pair
    learn(a, b)
    t = Ktrace(lab, "--count", "3", "--filter", MARK)
    a.raw.send(L.frame(b.mac, a.mac, b"first"))
    j, = t.journeys(1)
    assert j["end"]["what"] == "sent"
    lab.switch.run("bridge", "link", "set", "dev", a.port, "state", STATES["listening"])
    a.raw.send(L.frame(b.mac, a.mac, b"second"))
    assert f"port {a.port} does not forward: its state is listening" in one_drop(t.journeys(1)[0])
    lab.switch.run("bridge", "link", "set", "dev", a.port, "state", 3)
    for h in (a, b):
        lab.switch.run("bridge", "link", "set", "dev", h.port, "isolated", "on")
    a.raw.send(L.frame(b.mac, a.mac, b"third"))
    assert f"port {a.port} is isolated" in one_drop(t.journeys(1)[0])


@pytest.mark.parametrize("known", [True, False])
def test_isolated(pair, known):
    lab, a, b = pair
    if known:
        learn(a, b)
    for h in (a, b):
        lab.switch.run("bridge", "link", "set", "dev", h.port, "isolated", "on")
    t = Ktrace(lab, "--count", "1", "--filter", MARK)
    a.raw.send(L.frame(b.mac, a.mac, b"apart"))
    j, = t.journeys(1)
    if not known and j["end"]["what"] == "delivered":  # what is flooded goes up, too, if br0 is promiscuous
        pytest.fail(j["end"]["text"])
    assert f"port {a.port} is isolated" in one_drop(j)


def test_too_long(lab):
    a, b = lab.host(mtu=9000), lab.host(mtu=1500)
    for h in (a, b):
        h.silent()
    kernel_bridge(lab, a, b)
    no_netfilter(lab)
    learn(a, b)
    t = Ktrace(lab, "--count", "2", "--filter", MARK)
    a.raw.send(L.frame(b.mac, a.mac, bytes(1500)))
    a.raw.send(L.frame(b.mac, a.mac, bytes(4000)))
    short, long = t.journeys(2)
    assert short["end"]["what"] == "sent"
    assert f"its 4000 bytes behind the header are more than the MTU of {b.port}, 1500" in one_drop(long)
    assert long["frame"]["len"] == 4014


def test_wrong_vlan(lab):
    """VLAN filtering drops it; the tag is told, wherever the kernel keeps it."""
    a, b = lab.add_hosts(2)
    for h in (a, b):
        h.silent()
    try:
        kernel_bridge(lab, a, b, vlan_filtering=1)
    except AssertionError as e:
        pytest.skip(f"no VLAN filtering here: {str(e).splitlines()[-1]}")
    no_netfilter(lab)
    t = Ktrace(lab, "--count", "1", "--filter", "vlan 7")
    a.raw.send(L.frame(BROADCAST, a.mac, b"tagged", tags=[(0x8100, 7)]))
    j, = t.journeys(1)
    assert j["frame"]["vlan"] == 7 and j["frame"]["ethertype"] == "0x88b5" and j["frame"]["len"] == 60
    assert f"its VLAN may not come in on {a.port}" in one_drop(j)


def test_tagged(pair):
    lab, a, b = pair
    t = Ktrace(lab, "--count", "1", "--filter", "vlan 7")
    a.raw.send(L.frame(BROADCAST, a.mac, b"tagged", tags=[(0x8100, 7)]))
    j, = t.journeys(1)
    assert j["frame"]["vlan"] == 7 and j["frame"]["ethertype"] == "0x88b5" and j["frame"]["len"] == 60
    assert "vlan 7" in j["frame"]["summary"]
    assert j["end"]["ifnames"] == [b.port]


def test_bpdu(lab):
    """The kernel's spanning tree frees what it has read as if it had dropped it."""
    a, = lab.add_hosts(1)
    a.silent()
    kernel_bridge(lab, a, stp_state=1)
    t = Ktrace(lab, "--count", "1", "--from", a.port, "--filter", "ether dst 01:80:c2:00:00:00")
    bpdu = bytes.fromhex("0180c2000000" + a.mac.replace(":", "") + "0026" "424203" "0000000000"
                         "8000020000000001" "00000000" "8000020000000001" "8001" "0000" "1400" "0200" "0f00")
    a.raw.send(bpdu.ljust(60, b"\0"))
    j, = t.journeys(1)
    assert j["end"]["what"] == "consumed" and "spanning tree" in j["end"]["text"], j
    assert ("stp", a.port) in steps(j)


def test_full_queue(pair):
    """A frame that waits in a queue, and one that finds it full."""
    lab, a, b = pair
    learn(a, b)
    try:
        lab.switch.run("tc", "qdisc", "add", "dev", b.port, "root", "tbf", "rate", "2kbit", "burst", "1600", "limit",
                       "2000")
    except AssertionError as e:
        pytest.skip(f"no tbf here: {str(e).splitlines()[-1]}")
    t = Ktrace(lab, "--count", "6", "--filter", MARK)
    for _ in range(6):
        a.raw.send(L.frame(b.mac, a.mac, bytes(1000)))
    ends = [j["end"] for j in t.journeys(6)]
    assert [e["what"] for e in ends].count("dropped") >= 2, ends
    assert {e["reason"] for e in ends if e["what"] == "dropped"} <= {"QDISC_DROP", "QDISC_OVERLIMIT"}, ends
    assert any(e["what"] == "lost-sight" and "waits in a queue" in e["text"] for e in ends), ends


def test_listeners_are_no_drops(pair):
    """Copies for a packet socket that nobody reads, and that is closed, are not the frame."""
    lab, a, b = pair
    learn(a, b)
    t = Ktrace(lab, "--filter", MARK)
    listener = lab.switch.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(L.ETH_P_ALL))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for i in range(50):
        a.raw.send(L.frame(b.mac, a.mac, b"n%d" % i))
    b.raw.expect(lambda f: f[14:17] == b"n49")
    listener.close()
    got = t.finish()
    assert [j["end"]["what"] for j in got] == ["sent"] * 50, [j for j in got if j["end"]["what"] != "sent"]


def test_adopted(net):
    """While a program has the bridge open: frames are taken out, come back, and go on through the kernel."""
    lab, d, a, b = net
    no_netfilter(lab)
    p = Pass(lab, d)
    t = Ktrace(lab, "--from", a.port, "--count", "2", "--filter", "icmp")
    assert lost(a.ping(b.addr, 1)) == 0
    out, back = t.journeys(2)
    assert out["end"]["what"] == "with-program", out
    assert back["end"]["what"] == "sent" and back["end"]["ifnames"] == [b.port], back
    lab.switch.run("bridge", "link", "set", "dev", b.port, "isolated", "on")
    lab.switch.run("bridge", "link", "set", "dev", a.port, "isolated", "on")
    t = Ktrace(lab, "--from", a.port, "--count", "2", "--filter", "icmp")
    a.ping(b.addr, 1, "-W", "0.2", check=False)
    out, back = t.journeys(2)
    assert f"port {a.port} is isolated" in one_drop(back)
    p.end()


# ---- which frames ----

def test_from(pair):
    lab, a, b = pair
    t = Ktrace(lab, "--from", b.port, "--filter", MARK)
    a.raw.send(L.frame(BROADCAST, a.mac, b"of a"))
    b.raw.send(L.frame(BROADCAST, b.mac, b"of b"))
    b.raw.expect(lambda f: b"of a" in f)
    a.raw.expect(lambda f: b"of b" in f)
    j, = t.finish()
    assert j["ifname"] == b.port and t.end["why"] == "signal" and t.end["seen"] >= 2


def test_only_this_bridge(lab):
    """Neither another bridge beside it, nor one in another namespace whose devices have the same numbers."""
    a, b = lab.add_hosts(2)
    for h in (a, b):
        h.silent()
    kernel_bridge(lab, a, b)
    no_netfilter(lab)
    b.raw
    twin = lab.space("twin")
    twin.ip("link", "add", "br0", "index", lab.switch.link("br0")["ifindex"], "type", "bridge")
    inner = lab.space("inner")
    for i, h in enumerate((a, b)):
        index = lab.switch.link(h.port)["ifindex"]
        twin.ip("link", "add", f"t{i}", "index", index, "type", "veth", "peer", "name", f"i{i}", "netns", inner.name)
        twin.ip("link", "set", f"t{i}", "master", "br0", "up")
        inner.ip("link", "set", f"i{i}", "up")
        assert twin.link(f"t{i}")["ifindex"] == index
    twin.ip("link", "set", "br0", "up")
    t = Ktrace(lab, "--filter", MARK)
    other = L.Raw(inner, "i0")
    heard = L.Raw(inner, "i1")
    for _ in range(5):
        other.send(L.frame(BROADCAST, "02:00:00:00:00:77", b"elsewhere"))
    heard.expect(lambda f: b"elsewhere" in f)
    a.raw.send(L.frame(BROADCAST, a.mac, b"here"))
    b.raw.expect(lambda f: b"here" in f)
    j, = t.finish()
    assert j["frame"]["src"] == a.mac and t.end["matched"] == 1, (j, t.end)
    other.close()
    heard.close()


def test_start_under_traffic(pair):
    """It follows nothing before it can follow it to the end."""
    lab, a, b = pair
    learn(a, b)
    stop = threading.Event()

    def send():
        while not stop.is_set():
            a.raw.send(L.frame(b.mac, a.mac, os.urandom(16)))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        for _ in range(5):
            t = Ktrace(lab, "--count", "5", "--from", a.port, "--filter", MARK)
            got = t.journeys()
            assert [j["end"]["what"] for j in got] == ["sent"] * 5, got
    finally:
        stop.set()
        sender.join()


def test_two_at_once(pair):
    lab, a, b = pair
    learn(a, b)
    first, second = Ktrace(lab, "--filter", MARK), Ktrace(lab, "--count", "3", "--filter", MARK)
    for i in range(5):
        a.raw.send(L.frame(b.mac, a.mac, b"n%d" % i))
    b.raw.expect(lambda f: f[14:16] == b"n4")
    assert len(second.journeys()) == 3 and second.end["why"] == "count"
    assert len(first.finish()) == 5


# ---- how it runs and ends ----

def status_of(pid):
    return dict(l.split(":\t", 1) for l in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in l)


def test_no_privileges(pair):
    """Once it follows frames it can do nothing else."""
    lab, a, b = pair
    t = Ktrace(lab)
    s = status_of(t.pid)
    for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
        assert int(s[f"Cap{kind}"], 16) == 0, s
    assert s["NoNewPrivs"] == "1" and s["Seccomp"] == ("2" if FILTERED else "0")
    assert set(s["Uid"].split()) == {"65534"} and set(s["Gid"].split()) == {"65534"} and not s["Groups"].split()
    t.finish()


def programs():
    """Ids of the tracing programs that the kernel has now."""
    out = L.sh("bpftool", "-j", "prog", "show")
    return {p["id"] for p in json.loads(out) if p["type"] == "tracing" and p.get("name", "").startswith("vd_")}


@pytest.mark.parametrize("how", ["reader", "SIGTERM", "SIGINT", "SIGKILL"])
def test_ends(pair, how):
    """Its reader is gone, or a signal: it ends at once, and nothing stays in the kernel."""
    lab, a, b = pair
    before = programs()
    t = Ktrace(lab)
    mine = programs() - before
    assert len(mine) >= 6
    if how == "reader":
        t.proc.stdout.close()
    else:
        t.proc.send_signal(getattr(signal, how))
    assert t.proc.wait(L.DEADLINE) == (-signal.SIGKILL if how == "SIGKILL" else 0)
    L.wait_for(lambda: not programs() & mine, "its programs are gone")


def test_killed_command(pair):
    """viaduct is killed: what it started goes, too."""
    lab, a, b = pair
    before = programs()
    p = lab.background(lab.switch, L.VIADUCT, "-j", "trace", "br0", "for", "60", stdout=subprocess.DEVNULL)
    L.wait_for(lambda: len(programs() - before) >= 6, "it follows frames", timeout=L.DEADLINE * 3)
    mine = programs() - before
    helper = int(Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split()[0])
    p.kill()
    p.wait()
    L.wait_for(lambda: not Path(f"/proc/{helper}").exists(), "the helper is gone")
    L.wait_for(lambda: not programs() & mine, "its programs are gone")


def test_stopped_helper(pair):
    """It hangs: the command does not."""
    lab, a, b = pair
    p = lab.background(lab.switch, L.VIADUCT, "trace", "br0", "for", "1", stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)
    assert "following" in p.stderr.readline()
    helper = int(Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split()[0])
    os.kill(helper, signal.SIGSTOP)
    assert p.wait(3 * L.DEADLINE) == 1
    assert "does not answer" in p.stderr.read()
    assert not Path(f"/proc/{helper}").exists()


def test_slow_reader(pair):
    """Nobody reads for a while: what there is no room for is lost and counted, and the time is kept."""
    lab, a, b = pair
    learn(a, b)
    t = Ktrace(lab, "--filter", MARK, seconds=4)
    start = time.monotonic()
    n, resident = 3000, 0
    for i in range(n):
        a.raw.send(L.frame(b.mac, a.mac, b"n%d" % i))
        if i % 100 == 0:
            resident = max(resident, int(status_of(t.pid).get("VmRSS", "0").split()[0]))  # none: it has ended
            time.sleep(0.01)
    got = t.journeys()
    assert t.end["why"] == "time" and time.monotonic() - start < 4 + L.DEADLINE
    assert 0 < len(got) < n and t.end["unread"] > 0
    assert t.end["matched"] <= n and len(got) + t.end["unread"] == t.end["matched"]
    assert resident < (60_000 if FILTERED else 300_000), f"{resident} KiB"  # sanitizers need more
    assert t.proc.wait(L.DEADLINE) == 0


def trace(lab, *args, check=True, **kw):
    """A whole run of `viaduct trace`."""
    p = subprocess.run(lab.switch.argv(L.VIADUCT, *args), capture_output=True, text=True, timeout=L.DEADLINE * 6, **kw)
    assert not check or p.returncode == 0, p.stdout + p.stderr
    return p


def test_nothing_matches(pair):
    lab, a, b = pair
    learn(a, b)
    start = time.monotonic()
    p = trace(lab, "trace", "br0", "for", "1", "filter", "udp port 7", check=False)
    assert p.returncode == 1
    assert 1 <= time.monotonic() - start < 1 + L.DEADLINE
    assert p.stdout == "" and re.search(r"bridge br0: nothing matched in 1 s, of \d+ frames", p.stderr), p.stderr


@pytest.mark.parametrize("words, code, text", [
    (["br0", "filter", "tcp prt 80"], 230, "filter 'tcp prt 80': column 5: syntax error at \"prt\""),
    (["br0", "filter", "tcp and"], 230, "filter 'tcp and': column 8: syntax error, it ends too soon"),
    (["nosuch"], 200, "bridge nosuch: no such bridge"),
    (["{a.port}"], 200, "bridge {a.port}: this device is no bridge of the kernel"),
    (["br0", "from", "lo"], 210, "port lo: not a port of this bridge"),
    (["br0", "from", "nosuch"], 210, "port nosuch: no such device"),
])
def test_errors(pair, words, code, text):
    lab, a, b = pair
    p = trace(lab, "-j", "trace", *(w.format(a=a) for w in words), check=False)
    e = json.loads(p.stdout)["error"]
    assert p.returncode == 1 and e["code"] == code and e["text"] == text.format(a=a)


def test_without_privileges(pair):
    lab, a, b = pair
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv here")
    p = subprocess.run(lab.switch.argv("setpriv", "--bounding-set", "-all", "--inh-caps", "-all", L.VIADUCT, "-j", "trace", "br0"),
                       capture_output=True, text=True, timeout=L.DEADLINE * 6)
    e = json.loads(p.stdout)["error"]
    assert p.returncode == 1 and e["name"] == "E_PRIVILEGE"
    assert "CAP_BPF and CAP_PERFMON" in e["text"] and e["hint"] == "sudo viaduct trace br0"


# ---- the lost ping ----

class Pings:
    """Echo requests, ten a second, until it is told to stop."""

    def __init__(self, host, addr):
        self.stop = threading.Event()
        self.t = threading.Thread(target=self.run, args=(host, addr), daemon=True)
        self.t.start()

    def run(self, host, addr):
        while not self.stop.wait(0.1):
            host.ns.run("ping", "-n", "-c", 1, "-W", "0.2", addr, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop.set()
        self.t.join()


@pytest.mark.parametrize("cure", [0, 1])
@pytest.mark.parametrize("tool", ["iptables-legacy", "iptables"])
def test_lost_ping(lab, tool, cure):
    """br_netfilter and a policy DROP: tcpdump sees the ping come in, and it never leaves. trace names the hook and the
    rule; each of the two cures that it prints, typed as it is, lets the ping through."""
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    no_netfilter(lab)
    assert lost(a.ping(b.addr)) == 0
    lab.switch.sysctl("net/bridge/bridge-nf-call-iptables", 1)
    try:
        lab.switch.run(tool, "-P", "FORWARD", "DROP")
    except (AssertionError, FileNotFoundError):
        pytest.skip(f"no {tool} here")
    assert "0 received" in a.ping(b.addr, 1, "-W", "0.2", check=False)
    with Pings(a, b.addr):
        p = trace(lab, "-j", "trace", "br0", "from", a.port, "count", "1", "filter", "icmp")
        people = trace(lab, "trace", "br0", "from", a.port, "count", "1", "filter", "icmp")
    j = json.loads(p.stdout.splitlines()[0])
    assert steps(j) == [("receive", a.port), ("drop", b.port)]
    # newer kernels drop where nftables decides, older ones where its verdict arrives
    where = re.match(r"(nf_hook_slow|nft_do_chain)\+0x", j["end"]["location"])
    assert j["end"]["reason"] == "NETFILTER_DROP" and where, j["end"]
    assert tool == "iptables" or where[1] == "nf_hook_slow"
    assert j["steps"][1]["text"].startswith(f"NETFILTER_DROP in {where[1]}: ")
    assert j["end"]["text"] == (
        "dropped by netfilter: br_netfilter hands bridged IPv4 frames to iptables "
        f"(net.bridge.bridge-nf-call-iptables = 1), chain FORWARD of table filter ({tool}): policy DROP")
    assert j["end"]["text"] in people.stdout and "ICMP echo request" in people.stdout
    lab.switch.run("sh", "-c", j["end"]["cures"][cure])
    assert lost(a.ping(b.addr)) == 0
    with Pings(a, b.addr):
        p = trace(lab, "-j", "trace", "br0", "from", a.port, "count", "1", "filter", "icmp")
    j = json.loads(p.stdout.splitlines()[0])
    assert j["end"]["what"] == "sent" and j["end"]["ifnames"] == [b.port]
