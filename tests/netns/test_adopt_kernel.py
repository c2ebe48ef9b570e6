# SPDX-License-Identifier: BSD-2-Clause
"""Adopted bridges beside the rest of the kernel: members that join, failures, filter rules, trouble."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import lab as L
from test_adopt import Pass, kernel_bridge, net  # noqa: F401 (net is a fixture)
from test_netmap import Program, lost

BROADCAST = "ff:ff:ff:ff:ff:ff"


class Connection:
    """A TCP connection that says a number every 10 ms and wants it echoed, like somebody who types into ssh; bulk:
    instead as many bytes as go. It notes when something came, so that the longest silence can be told."""

    def __init__(self, a, b, addr, port=2222, bulk=False):
        self.bulk, self.times, self.error, self.stop = bulk, [], None, False
        self.received = 0
        server = b.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((addr, port))
        server.listen(1)
        self.client = a.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.client.settimeout(60)
        self.client.connect((addr, port))
        self.peer, _ = server.accept()
        server.close()
        self.threads = [threading.Thread(target=self.guard, args=(f,), daemon=True)
                        for f in ((self.pour, self.swallow) if bulk else (self.type, self.echo))]
        for t in self.threads:
            t.start()

    def guard(self, f):
        try:
            f()
        except OSError as e:
            if not self.stop:
                self.error = e

    def echo(self):
        while data := self.peer.recv(4096):
            self.peer.sendall(data)

    def type(self):
        n = 0
        while not self.stop:
            self.client.sendall(struct.pack("!Q", n))
            got = b""
            while len(got) < 8:
                more = self.client.recv(8 - len(got))
                if not more:
                    raise OSError("closed")
                got += more
            assert struct.unpack("!Q", got)[0] == n
            n += 1
            self.times.append(time.monotonic())
            time.sleep(0.01)

    def pour(self):
        while not self.stop:
            self.client.sendall(bytes(1 << 16))

    def swallow(self):
        while data := self.peer.recv(1 << 18):
            self.received += len(data)
            self.times.append(time.monotonic())

    def alive(self):
        """It moves: something comes from now on."""
        before = len(self.times)
        L.wait_for(lambda: self.error or len(self.times) > before + 3, "the connection moves", timeout=L.DEADLINE * 3)
        assert self.error is None, self.error

    def silence(self, since):
        """Seconds of the longest silence that ended after this moment."""
        times = list(self.times)
        gaps = [(t - s, t) for s, t in zip(times, times[1:])]
        return max((g for g, t in gaps if t > since), default=0)

    def resumed(self, since):
        """Seconds until something came again after the longest silence."""
        times = list(self.times)
        gaps = [(t - s, t) for s, t in zip(times, times[1:]) if t > since]
        return max(gaps)[1] - since if gaps else 0

    def close(self):
        self.stop = True
        for s in (self.client, self.peer):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
        for t in self.threads:
            t.join(5)


class WithPins:
    """A namespace for the daemon with a bpf file system in it, where gates are pinned."""

    def __init__(self, lab):
        self.ns = lab.switch
        self.holder = lab.background(self.ns, "unshare", "-m", "sh", "-c",
                                     "mount -t bpf bpf /sys/fs/bpf && echo ready && exec sleep 1000",
                                     stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == "ready\n"

    def __getattr__(self, name):
        return getattr(self.ns, name)

    def argv(self, *argv):
        return self.ns.argv("nsenter", "-t", self.holder.pid, "-m", *argv)


def adopted(d, name="br0"):
    return next((r.get("adopted") for r in d.json("show") if r["ifname"] == name), None)


def wake(lab):
    """Everything that was stopped in the switch's namespace goes on."""
    for pid in L.sh("ip", "netns", "pids", lab.switch.name).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGCONT)


# ---- a member that joins ----

class Ticker:
    """Frames with numbers, one a millisecond, and when each was sent."""

    def __init__(self, host):
        self.host, self.stop, self.sent = host, False, []
        host.raw
        self.t = threading.Thread(target=self.run, daemon=True)
        self.t.start()

    def run(self):
        while not self.stop:
            n = len(self.sent)
            self.sent.append(time.monotonic())
            self.host.raw.send(L.frame(BROADCAST, self.host.mac, b"tick" + struct.pack("!I", n)))
            time.sleep(0.001)

    def end(self):
        self.stop = True
        self.t.join()


def ticks(raw):
    """Numbers that wait at a raw socket, in order, again if seen again."""
    got = []
    while (f := raw.recv(0.3)) is not None:
        if f[14:18] == b"tick":
            got.append(struct.unpack_from("!I", f, 18)[0])
    return got


def join(lab, d, host, hears):
    """Joins under traffic. Numbers: inspected (seen twice at the member), and heard by somebody else."""
    member = L.Raw(lab.switch, host.port)
    hears.raw.drain()
    ticker = Ticker(host)
    L.wait_for(lambda: len(ticker.sent) > 20, "it sends")
    start = time.monotonic()
    lab.switch.ip("link", "set", host.port, "master", "br0")
    joined = time.monotonic()
    L.wait_for(lambda: host.port in d.cli("show", "br0").stdout, "the new member is inspected")
    time.sleep(0.1)
    ticker.end()
    at_member, heard = ticks(member), ticks(hears.raw)
    member.close()
    inspected = sorted(n for n in set(at_member) if at_member.count(n) == 2)
    assert inspected, "none was inspected"
    return ticker, start, joined, inspected, heard


def test_joins_within_100_ms(net, capsys):
    """From the moment when the command that joins it has returned to the first frame that was inspected."""
    lab, d, a, b = net
    p = Pass(lab, d)
    c = lab.host().silent()
    took = []
    for i in range(3):
        ticker, start, joined, inspected, heard = join(lab, d, c, b)
        took.append(ticker.sent[inspected[0]] - joined)
        assert heard == sorted(set(heard)), "twice, or out of order"
        lab.switch.ip("link", "set", c.port, "nomaster")
        L.wait_for(lambda: c.port not in d.cli("show", "br0").stdout, "it left")
    with capsys.disabled():
        print(f"\nfirst inspected frame after joining: {', '.join(f'{t * 1e3:.1f}' for t in took)} ms", end=" ")
    assert min(took) < 0.1 and max(took) < 1, took
    p.end()


def test_joins_closed_bridge(net):
    """fail closed: not one frame passes that was not inspected, however soon it comes."""
    lab, d, a, b = net
    d.cli("adopt", "br0", "fail", "closed")
    p = Pass(lab, d)
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "inspected traffic passes")
    c = lab.host().silent()
    for i in range(3):
        ticker, start, joined, inspected, heard = join(lab, d, c, b)
        passed = set(heard) - set(inspected)
        assert heard and not passed, f"{len(passed)} of {len(heard)} passed uninspected: {sorted(passed)[:5]}"
        lab.switch.ip("link", "set", c.port, "nomaster")
        L.wait_for(lambda: c.port not in d.cli("show", "br0").stdout, "it left")
    p.end()
    d.cli("release", "br0")


# ---- crashes and hangs ----

@pytest.mark.parametrize("fail", ["open", "closed"])
@pytest.mark.parametrize("sig", ["KILL", "STOP"])
@pytest.mark.parametrize("who", ["program", "daemon"])
def test_failure_under_traffic(lab, capsys, who, sig, fail):
    """A transfer and somebody who types: both resume without help (open), or stop until all is well again (closed)."""
    d = lab.daemon(ns=WithPins(lab))
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    d.cli("adopt", "br0", "fail", fail)
    d.cli("intercept", "br0", "stall-ms", "300", "mode", "all")
    p = Pass(lab, d)
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "inspected traffic passes")
    bulk, typed = Connection(a.ns, b.ns, b.addr, 2223, bulk=True), Connection(a.ns, b.ns, b.addr)
    for c in (bulk, typed):
        c.alive()
    daemon_pid = d.pid
    since = time.monotonic()
    os.kill(p.pid if who == "program" else daemon_pid, getattr(signal, "SIG" + sig))
    if fail == "open":
        for c in (bulk, typed):
            c.alive()
        time.sleep(2.5)  # what hangs is found out after a second; a retransmission may come later still
        for c in (bulk, typed):
            c.alive()
        with capsys.disabled():
            print(f"\n{sig} of the {who}: the transfer was silent for {bulk.silence(since):.2f} s, resumed after "
                  f"{bulk.resumed(since):.2f}; typing {typed.silence(since):.2f}", end=" ")
        assert bulk.silence(since) < 8 and typed.silence(since) < 8
    else:
        time.sleep(1.5)  # frames that had been passed on already
        before = bulk.received, len(typed.times)
        time.sleep(1)
        assert (bulk.received, len(typed.times)) == before, "something passes"
    if sig == "STOP":
        wake(lab)
        L.wait_for(lambda: p.ring("nic0")["state"] == "live", "it is back")
    else:
        p.proc.kill()
        p.proc.wait()
        if who == "daemon":
            d.proc.wait()
            d.start()
            d.cli("adopt", "br0", "fail", fail)
            d.cli("intercept", "br0", "mode", "all")
        p = Pass(lab, d)
    for c in (bulk, typed):
        c.alive()
    before = p.side()["taken"]
    L.wait_for(lambda: p.side()["taken"] > before + 10, "it is inspected again")
    for c in (bulk, typed):
        c.close()
    p.end()
    d.cli("release", "br0")


def test_connection_outlives_everything(net, capsys):
    """Adopt, programs that come, crash and go, a lone reader, kill -9 of the daemon, release: one connection."""
    lab, d, a, b = net
    c = Connection(a.ns, b.ns, b.addr)
    start = time.monotonic()

    def step(what):
        c.alive()
        assert c.error is None, f"{what}: {c.error}"

    step("before")
    d.cli("adopt", "br0", "confirm", "60")
    step("adopted")
    r = Program(lab, d, "read")
    step("a lone reader")
    r.end()
    step("the reader left")
    p = Pass(lab, d)
    step("a program")
    p.end(signal.SIGKILL)
    step("it crashed")
    p = Pass(lab, d, "br0", "--copy")
    step("another")
    d.kill()
    p.proc.kill()
    step("the daemon crashed")
    d.start()
    step("it is back")
    p = Pass(lab, d)
    step("opened again")
    d.cli("adopt", "br0")
    p.end()
    d.cli("release", "br0")
    step("released")
    with capsys.disabled():
        print(f"\nlongest silence of the connection: {c.silence(start):.2f} s", end=" ")
    assert c.silence(start) < 5
    c.close()


# ---- filter rules ----

def datagrams(a, b, port, n=20):
    """Sends n datagrams; returns how many arrive."""
    rx = b.ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
    rx.bind((b.addr, port))
    tx = a.ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
    got = 0
    with rx, tx:
        for i in range(n):
            tx.sendto(struct.pack("!I", i) + bytes(100), (b.addr, port))
            time.sleep(0.002)
        rx.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                rx.recv(2000)
                got += 1
    return got


@pytest.mark.parametrize("how", [["swap"], ["--copy"], ["local"]], ids=["swap", "copy", "local"])
def test_iptables_decide_once(net, how):
    """br_netfilter: rules of iptables see each bridged frame once, and what they drop is dropped."""
    lab, d, a, b = net
    lab.switch.sysctl("net/bridge/bridge-nf-call-iptables", 1)
    if subprocess.run(lab.switch.argv("iptables", "-A", "FORWARD", "-p", "udp", "--dport", "7001", "-j", "DROP"),
                      capture_output=True).returncode:
        pytest.skip("no iptables here")
    lab.switch.run("iptables", "-A", "FORWARD", "-p", "udp", "--dport", "7002", "-j", "ACCEPT")
    physdev = subprocess.run(lab.switch.argv("iptables", "-A", "FORWARD", "-m", "physdev", "--physdev-in", a.port,
                                             "-p", "udp", "--dport", "7003"), capture_output=True).returncode == 0
    d.cli("adopt", "br0")
    if how == ["local"]:
        d.cli("intercept", "br0", "mode", "local")
    p = Pass(lab, d, "br0", *[w for w in how if w == "--copy"])
    assert datagrams(a, b, 7001) == 0
    assert datagrams(a, b, 7002) == 20
    assert datagrams(a, b, 7003) == 20
    rules = lab.switch.run("iptables", "-nvxL", "FORWARD").splitlines()
    counts = {l.split("dpt:")[1].strip(): int(l.split()[0]) for l in rules if "dpt:" in l}
    assert counts == dict.fromkeys(["7001", "7002", *(["7003"] if physdev else [])], 20), rules
    if how != ["local"]:
        assert p.side()["taken"] >= 60
    p.end()
    d.cli("release", "br0")


def test_nft_bridge_rules_decide_once(net):
    lab, d, a, b = net
    rules = lab.dir / "rules"
    rules.write_text("""table bridge t {
        chain vpre { type filter hook prerouting priority -200; udp dport 7002 counter comment "pre"; }
        chain vfwd { type filter hook forward priority -10; udp dport 7001 counter drop comment "drop";
                     udp dport 7002 counter comment "fwd"; }
        chain vpost { type filter hook postrouting priority 0; udp dport 7002 counter comment "post"; }
    }
""")
    if subprocess.run(lab.switch.argv("nft", "-f", rules), capture_output=True).returncode:
        pytest.skip("no nftables for bridges here")
    p = Pass(lab, d)
    assert datagrams(a, b, 7001) == 0
    assert datagrams(a, b, 7002) == 20
    ruleset = json.loads(lab.switch.run("nft", "-j", "list", "ruleset"))["nftables"]
    counts = {r["rule"]["comment"]: next(e["counter"]["packets"] for e in r["rule"]["expr"] if "counter" in e)
              for r in ruleset if "rule" in r}
    assert counts == {"pre": 20, "fwd": 20, "drop": 20, "post": 20}
    assert p.side()["taken"] >= 40
    p.end()


# ---- trouble ----


@pytest.mark.parametrize("ours_first", [False, True], ids=["theirs-first", "ours-first"])
def test_foreign_tc_filter(net, ours_first):
    """Somebody else's filter on a member stays, and decides once about each frame."""
    lab, d, a, b = net
    p = Pass(lab, d) if ours_first else None
    if "clsact" not in lab.switch.run("tc", "qdisc", "show", "dev", a.port):  # ours, without tcx
        lab.switch.run("tc", "qdisc", "add", "dev", a.port, "clsact")
    # Classic BPF: frames of type 0x88b6 are dropped (2), others go on (-1)
    lab.switch.run("tc", "filter", "add", "dev", a.port, "ingress", "prio", "1", "bpf", "da", "bytecode",
                   "4,40 0 0 12,21 0 1 34998,6 0 0 2,6 0 0 4294967295")

    def theirs():
        out = lab.switch.run("tc", "filter", "show", "dev", a.port, "ingress")
        return [line for line in out.splitlines() if "handle" in line and "vd_" not in line]

    filters = theirs()
    p = p or Pass(lab, d)
    a.silent()
    b.raw.drain()
    before = p.side()["taken"]
    for i in range(30):
        a.raw.send(L.frame(BROADCAST, a.mac, struct.pack("!I", i), ethertype=0x88b6))
        a.raw.send(L.frame(BROADCAST, a.mac, struct.pack("!I", i)))
    # At least: the other host and the bridge itself have IPv6 and may say something meanwhile
    # Before tcx whose filter comes first is a matter of priorities, so frames may not come to ours.
    n = 60 if L.KERNEL >= (6, 6) else 30
    L.wait_for(lambda: p.side()["taken"] >= before + n, "taken")
    types = []
    while (f := b.raw.recv(0.5)) is not None:
        types += [f[12:14].hex()] if L.sent_by(a)(f) else []
    assert types == ["88b5"] * 30
    drops = json.loads(lab.switch.run("tc", "-s", "-j", "qdisc", "show", "dev", a.port))
    assert next(q["drops"] for q in drops if q["kind"] == "clsact") == 30
    p.end()
    assert filters and filters == theirs()
    a.raw.send(L.frame(BROADCAST, a.mac, b"still", ethertype=0x88b6))
    assert b.raw.count(L.sent_by(a)) == 0


def test_trunk_deleted_by_hand(net):
    """Somebody deletes vdt-N: the bridge goes on, the daemon says so once and inspects again or lets go."""
    lab, d, a, b = net
    d.cli("adopt", "br0")
    p = Pass(lab, d)
    trunk = next(n for n in lab.switch.links() if n.startswith("vdt-"))
    lab.switch.ip("link", "del", trunk)
    L.wait_for(lambda: lost(a.ping(b.addr, 3, "-w", "2", check=False)) == 0, "the bridge goes on")
    assert d.cli("status", check=False).returncode == 0
    log = d.log_text()
    assert trunk in log or "helper device" in log, log
    before = p.side()["taken"]
    assert lost(a.ping(b.addr, 5)) == 0
    L.wait_for(lambda: p.side()["taken"] >= before + 5, "it is inspected again")
    p.end()
    d.cli("release", "br0")


def test_trunk_deleted_while_closed(lab):
    """Not one frame passes uninspected meanwhile."""
    d = lab.daemon(ns=WithPins(lab))
    a, b = (h.silent() for h in lab.add_hosts(2))
    kernel_bridge(lab, a, b)
    d.cli("adopt", "br0", "fail", "closed")
    p = Pass(lab, d)
    member = L.Raw(lab.switch, a.port)
    b.raw.drain()
    ticker = Ticker(a)
    for _ in range(5):
        taken = p.side()["taken"]
        L.wait_for(lambda: p.side()["taken"] > taken + 50, "inspected")
        lab.switch.ip("link", "del", next(n for n in lab.switch.links() if n.startswith("vdt-")))
    taken = p.side()["taken"]
    L.wait_for(lambda: p.side()["taken"] > taken + 50, "inspected again")
    ticker.end()
    at_member, heard = ticks(member), ticks(b.raw)
    member.close()
    passed = [n for n in heard if at_member.count(n) != 2]
    assert len(heard) > 100 and not passed, f"{len(passed)} of {len(heard)} passed uninspected: {passed[:9]}"
    assert heard == sorted(set(heard))
    p.end()
    d.cli("release", "br0")


@pytest.mark.parametrize("state", ["down", "mtu"])
def test_trunk_changed_by_hand(net, state):
    """Somebody sets vdt-N down, or its MTU to something small."""
    lab, d, a, b = net
    p = Pass(lab, d)
    trunk = next(n for n in lab.switch.links() if n.startswith("vdt-"))
    lab.switch.ip("link", "set", trunk, *(["down"] if state == "down" else ["mtu", "1000"]))
    L.wait_for(lambda: lost(a.ping(b.addr, 3, "-s", "1400", "-w", "2", check=False)) == 0, "the bridge goes on")
    p.end()


def test_members_of_different_mtu(lab, daemon):
    """What the kernel drops for being too long it drops still; what fits passes."""
    a, b = lab.host(mtu=9000), lab.host(mtu=1500)
    c = lab.host(mtu=9000)
    for h in (a, b, c):
        h.silent()
    kernel_bridge(lab, a, b, c)
    for n in ("arp", "ip", "ip6"):
        lab.switch.sysctl(f"net/bridge/bridge-nf-call-{n}tables", 0)
    p = Pass(lab, daemon)
    b.raw, c.raw
    for size in (1500, 1501, 4000, 9000):
        f = L.frame(BROADCAST, a.mac, os.urandom(size))
        a.raw.send(f)
        c.raw.expect(f)
        # the kernel's rule allows for a VLAN tag
        assert b.raw.count(f) == (size <= 1504), size
    p.end()


def test_program_in_another_namespace(net):
    """br0 there is not br0 here: refused, and the daemon's log says why in one sentence."""
    lab, d, a, b = net
    env = dict(os.environ, VIADUCT_RUN_DIR=str(d.run_dir))
    p = subprocess.run(lab.space("other").argv(L.BUILD / "examples/pass", "br0"), env=env, capture_output=True,
                       text=True, timeout=L.DEADLINE)
    assert p.returncode and "br0" in p.stderr, p
    lines = [l for l in d.log_text().splitlines() if "network namespace" in l]
    assert lines and "pass" in lines[0] and "br0" in lines[0] and "the daemon is in" in lines[0], d.log_text()
    assert not adopted(d)
    assert lost(a.ping(b.addr)) == 0


def test_daemon_in_another_namespace(lab):
    """The bridge is not where the daemon is: one sentence."""
    a = lab.host()
    kernel_bridge(lab, a)
    d = lab.daemon(ns=lab.space("other"))
    assert "br0: no such device" in d.fails("adopt", "br0")


@pytest.mark.parametrize("cap", ["net_admin", "bpf", "net_raw"])
def test_no_privileges(lab, cap):
    """One sentence that names the capability; nothing is left behind."""
    if not L.sh("which", "setpriv", check=False):
        pytest.skip("no setpriv")
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)

    drop = f"-{cap}" + (",-sys_admin" if cap == "bpf" else "")
    run = lab.dir / "run"
    run.mkdir()
    p = subprocess.run(lab.switch.argv("setpriv", "--bounding-set", drop, "--inh-caps", drop, "--", L.VIADUCTD,
                                       "--run-dir", run), capture_output=True, text=True, timeout=L.DEADLINE)
    assert p.returncode == 1 and f"needs CAP_{cap.upper()}" in p.stderr and p.stderr.count("\n") == 1, p
    assert not [n for n in lab.switch.links() if n.startswith("vd")]
    assert lost(a.ping(b.addr)) == 0


def test_what_is_not_ethernet(net):
    lab, d, a, b = net
    lab.switch.ip("tuntap", "add", "dev", "tun9", "mode", "tun")
    assert "not an Ethernet device" in d.fails("adopt", "tun9")
    env = dict(os.environ, VIADUCT_RUN_DIR=str(d.run_dir))
    p = subprocess.run(lab.switch.argv(L.BUILD / "examples/pass", "tun9"), env=env, capture_output=True, text=True,
                       timeout=L.DEADLINE)
    assert p.returncode and "tun9" in p.stderr, p


def test_member_of_another_adopted_bridge(net):
    """It moves from one adopted bridge to another, and is inspected there."""
    lab, d, a, b = net
    c = lab.host()
    kernel_bridge(lab, c, name="br1")
    p, q = Pass(lab, d), Pass(lab, d, "br1")
    assert "member of br1" in d.fails("adopt", c.port)
    lab.switch.ip("link", "set", b.port, "master", "br1")
    L.wait_for(lambda: b.port in d.cli("show", "br1").stdout, "it is the other's")
    assert lost(c.ping(b.addr, 10, "-i", "0.01")) == 0
    rows = d.json("rings")
    taken = {r["ifname"]: r["taken"] for r in rows if r["kind"] == "side" and r["side"] == "nic"}
    assert taken["br1"] >= 20
    p.end()
    q.end()


def test_bridge_deleted_under_traffic(net):
    lab, d, a, b = net
    p = Pass(lab, d)
    c = Connection(a.ns, b.ns, b.addr, bulk=True)
    c.alive()
    lab.switch.ip("link", "del", "br0")
    L.wait_for(lambda: "vdt-" not in lab.switch.ip("link", "show"), "nothing is attached any more")
    kernel_bridge(lab, a, b)
    c.alive()
    before = p.side()["taken"]
    L.wait_for(lambda: p.side()["taken"] > before + 10, "inspected again")
    c.close()
    p.end()


def test_member_moved_to_another_namespace(net):
    lab, d, a, b = net
    p = Pass(lab, d)
    other = lab.space("other")
    c = Connection(a.ns, b.ns, b.addr, bulk=True)
    c.alive()
    lab.switch.ip("link", "set", b.port, "netns", other.name)
    L.wait_for(lambda: b.port not in d.cli("show", "br0").stdout, "it left")
    other.ip("link", "set", b.port, "netns", lab.switch.name)
    lab.switch.ip("link", "set", b.port, "master", "br0", "up")
    L.wait_for(lambda: b.port in d.cli("show", "br0").stdout, "it is back")
    c.alive()
    assert lost(a.ping(b.addr)) == 0
    c.close()
    p.end()
