# SPDX-License-Identifier: BSD-2-Clause
"""Netmap programs on a bridge: what they see, what becomes of traffic when they fail."""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import lab as L

NMPASS = L.BUILD / "tests/netns/nmpass"
MAGIC = 0x766E6D31


class Program:
    """nmpass on a bridge."""

    def __init__(self, lab, daemon, *args, bridge="br0", wait=True):
        self.daemon = daemon
        self.proc = lab.background(daemon.ns, NMPASS, daemon.run_dir / "netmap.sock", bridge, *args,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.proc.stdout.readline()
        assert line == "ready\n", self.proc.stderr.read()
        if wait:
            L.wait_for(lambda: all(r["state"] == "live" for r in self.rings()), "all rings are read")
        self.pid = self.rings()[0]["pid"]

    def rings(self):
        return [r for r in self.daemon.json("rings") if r["kind"] == "ring"]

    def ring(self, name, direction="rx"):
        return next(r for r in self.rings() if (r["ring"], r["dir"]) == (name, direction))

    def side(self, name="nic"):
        return next(r for r in self.daemon.json("rings") if r["kind"] == "side" and r["side"] == name)

    def kill(self, sig):
        os.kill(self.pid, sig)

    def end(self, sig=signal.SIGTERM):
        """Ends it; returns how many frames it saw."""
        self.kill(sig)
        out, err = self.proc.communicate(timeout=L.DEADLINE)
        assert sig == signal.SIGKILL or not err, err
        L.wait_for(lambda: not self.rings(), "its rings are gone")
        return int(out) if out else None


class Example(Program):
    """examples/pass, a real netmap program, on a bridge."""

    def __init__(self, lab, daemon, *args):
        self.daemon = daemon
        env = dict(os.environ, VIADUCT_RUN_DIR=str(daemon.run_dir))
        self.proc = lab.background(daemon.ns, L.BUILD / "examples/pass", *args, "br0", env=env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        L.wait_for(lambda: len(self.rings()) == 4 and all(r["state"] == "live" for r in self.rings()), "it reads")
        self.pid = self.rings()[0]["pid"]


class User(Program):
    """nmuse on a bridge: what is rarely used of the API."""

    def __init__(self, lab, daemon, what, bridge="br0"):
        self.daemon = daemon
        env = dict(os.environ, VIADUCT_RUN_DIR=str(daemon.run_dir))
        self.proc = lab.background(daemon.ns, L.BUILD / "tests/netns/nmuse", what, bridge, env=env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.proc.stdout.readline()
        assert line == "ready\n", self.proc.stderr.read()
        L.wait_for(lambda: all(r["state"] == "live" for r in self.rings()), "all rings are read")
        self.pid = self.rings()[0]["pid"]


def lost(ping_output):
    """Echoes without an answer. With a deadline ping sends until it has its count of answers: what is behind the
    last of them was on its way."""
    m = re.search(r"(\d+) packets transmitted, (\d+) received", ping_output)
    assert "DUP" not in ping_output, ping_output
    answered = {int(n) for n in re.findall(r"icmp_seq=(\d+) ttl", ping_output)}
    return max(answered) - len(answered) if answered else int(m[1])


@pytest.fixture
def net(lab, daemon):
    """Two hosts on br0 by the packet driver; the pool is full again at the end."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b, driver="packet")
    assert lost(a.ping(b.addr)) == 0
    before = daemon.pool()
    yield lab, daemon, a, b
    L.wait_for(lambda: not daemon.json("rings"), "no program is left")
    L.wait_for(lambda: daemon.pool() == before, f"all buffers are back: {before}, now {daemon.pool()}")


@pytest.mark.parametrize("how", ["swap", "copy"])
def test_passes_everything(net, how):
    lab, d, a, b = net
    p = Program(lab, d, *([] if how == "swap" else ["copy"]))
    assert lost(a.ping(b.addr, 50, "-i", "0.01")) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=4 << 20)
    L.tcp_transfer(b.ns, a.ns, a.addr6, size=4 << 20, family=socket.AF_INET6)
    nic = p.side()
    assert nic["taken"] > 100 and nic["copied"] == 0
    assert nic["origins"]["buffer" if how == "swap" else "digest"] > 100, nic
    assert nic["origins"]["unknown"] == 0 and nic["gso"]["whole"] > 0, nic
    if how == "swap":
        assert nic["origins"]["digest"] == 0
        assert p.ring("nic0")["copied"] <= p.ring("nic0")["segments"] + nic["taken"]
    assert p.end() > 100
    assert L.checksum_errors(a.ns) == L.checksum_errors(b.ns) == 0
    assert d.drop("copy-return") == d.drop("stale-return") == 0
    assert lost(a.ping(b.addr)) == 0


@pytest.mark.parametrize("args", [[], ["--copy"]], ids=["swap", "copy"])
def test_example(net, args):
    """The shipped inline filter: passes all, is killed, hangs and comes back."""
    lab, d, a, b = net
    d.cli("intercept", "br0", "stall-ms", "200")
    p = Example(lab, d, *args)
    assert lost(a.ping(b.addr, 50, "-i", "0.01")) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=16 << 20)
    assert p.side()["origins"]["unknown"] == 0 and p.side()["gso"]["whole"] > 0
    p.kill(signal.SIGSTOP)
    a.ping(b.addr, 10, check=False)
    L.wait_for(lambda: p.ring("nic0")["state"] == "stalled", "the bridge goes round it")
    assert lost(a.ping(b.addr, 20)) == 0
    p.kill(signal.SIGCONT)
    a.ping(b.addr)
    L.wait_for(lambda: p.ring("nic0")["state"] == "live", "it is back")
    assert lost(a.ping(b.addr, 20)) == 0
    p.kill(signal.SIGKILL)
    assert lost(a.ping(b.addr, 20)) <= 1
    p.proc.wait(L.DEADLINE)


def check_inline(lab, d, a, b, p):
    """Everything passes it, but long ICMP; frames are known by their buffers, GSO frames stay whole."""
    lab.switch.ip("addr", "add", "10.77.0.100/16", "dev", "br0")
    assert lost(a.ping(b.addr, 50, "-i", "0.01")) == 0
    assert lost(a.ping("10.77.0.100", 20, "-i", "0.01")) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=4 << 20)
    L.tcp_transfer(lab.switch, a.ns, a.addr, size=4 << 20)
    nic, host = p.side(), p.side("host")
    assert nic["taken"] > 100 and nic["copied"] == 0 and host["taken"] > 20
    assert nic["origins"]["unknown"] == host["origins"]["unknown"] == 0
    assert nic["gso"]["whole"] > 0
    assert lost(a.ping(b.addr, 3, "-s", "1200", "-w", "1", check=False)) >= 3
    assert lost(a.ping(b.addr)) == 0
    assert d.drop("copy-return") == d.drop("stale-return") == 0
    assert p.end() > 100
    assert L.checksum_errors(a.ns) == L.checksum_errors(b.ns) == 0


def test_offsets(net):
    """Frames lie in their buffers where the program wants them, and are sent from where it put them."""
    lab, d, a, b = net
    p = User(lab, d, "offsets")
    check_inline(lab, d, a, b, p)
    assert lost(a.ping(b.addr, 3, "-s", "1200")) == 0


@pytest.mark.parametrize("bridge", ["br0", "br0/R"], ids=["all", "rx-only"])
def test_forward(net, bridge):
    """Frames that it marks go to the other side, by NR_FORWARD; it needs no TX rings for that."""
    lab, d, a, b = net
    p = User(lab, d, "forward", bridge)
    assert len(p.rings()) == (2 if "/" in bridge else 4)
    check_inline(lab, d, a, b, p)


def test_host_is_inspected(net):
    """What the host of the bridge itself sends and receives."""
    lab, d, a, b = net
    lab.switch.ip("addr", "add", "10.77.0.100/16", "dev", "br0")
    p = Program(lab, d)
    assert lost(a.ping("10.77.0.100", 20)) == 0
    L.tcp_transfer(a.ns, lab.switch, "10.77.0.100", size=2 << 20)
    L.tcp_transfer(lab.switch, a.ns, a.addr, size=2 << 20)
    assert p.side("host")["taken"] > 20 and p.side("host")["returned"] > 20
    assert p.side("host")["origins"]["unknown"] == 0
    p.end()


def test_reader_takes_copies(net):
    """Nobody is cut off by a program that cannot give frames back."""
    lab, d, a, b = net
    p = Program(lab, d, "read")
    assert lost(a.ping(b.addr, 20)) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=2 << 20)
    nic = p.side()
    assert nic["taken"] == 0 and nic["copied"] >= 40
    assert p.end() >= 40


def test_killed(net):
    lab, d, a, b = net
    for _ in range(5):
        p = Program(lab, d)
        ping = b.ns.popen("ping", "-n", "-i", "0.002", "-c", "500", a.addr, stdout=subprocess.PIPE)
        time.sleep(0.3)
        p.end(signal.SIGKILL)
        assert lost(ping.communicate(timeout=L.DEADLINE)[0]) <= 2  # those it had in its hands
    assert lost(a.ping(b.addr)) == 0
    assert "released program=nmpass" in d.log_text()


def test_stopped_and_continued(net):
    lab, d, a, b = net
    d.cli("intercept", "br0", "stall-ms", "200")
    p = Program(lab, d)
    assert lost(a.ping(b.addr)) == 0
    p.kill(signal.SIGSTOP)
    a.ns.popen("ping", "-n", "-i", "0.05", "-c", "10", "-W", "5", b.addr, stdout=subprocess.DEVNULL).wait(L.DEADLINE)
    L.wait_for(lambda: p.ring("nic0")["state"] == "stalled", "the bridge goes round it")
    assert lost(a.ping(b.addr, 20)) == 0
    assert p.side()["uninspected"] >= 40
    assert "traffic goes round it" in d.log_text()
    before = p.ring("nic0")["frames"]
    p.kill(signal.SIGCONT)
    a.ping(b.addr)  # the worker looks when it is awake
    L.wait_for(lambda: p.ring("nic0")["state"] == "live", "it is back")
    assert lost(a.ping(b.addr, 20)) == 0
    assert p.ring("nic0")["frames"] >= before + 40
    assert p.ring("nic0")["stalls"] == 1
    p.end()


class Numbered:
    """Numbered frames from one host to another, about 3,000 a second, while something happens to a program."""

    def __init__(self, daemon, a, b):
        self.d, self.a, self.b = daemon, a, b
        self.stop, self.sent, self.got = False, 0, []
        self.tx, self.rx = a.raw, b.raw

    def __enter__(self):
        self.rx.drain()
        self.before = sum(self.d.drops().values())
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self.receive, self.send)]
        for t in self.threads:
            t.start()
        return self

    def send(self):
        while not self.stop:
            for _ in range(15):
                self.tx.send(L.frame(self.b.mac, self.a.mac, struct.pack("!II", 0x5e90feed, self.sent)))
                self.sent += 1
            time.sleep(0.005)

    def receive(self):
        while (f := self.rx.recv(1 if self.stop else 60)) is not None:
            if f[12:18] == bytes.fromhex("88b55e90feed"):
                self.got.append(struct.unpack("!I", f[18:22])[0])

    def __exit__(self, *exc):
        self.stop = True
        self.tx.send(L.frame(self.b.mac, self.a.mac))  # wakes the receiver
        for t in self.threads:
            t.join(L.DEADLINE)
        self.twice = len(self.got) - len(set(self.got))
        self.lost = self.sent - len(set(self.got))
        self.dropped = sum(self.d.drops().values()) - self.before


@pytest.mark.parametrize("how", ["swap", "copy"])
def test_stopped_while_busy(net, how):
    """Nothing goes out twice, and what is lost has a drop reason."""
    lab, d, a, b = net
    a.silent(), b.silent()
    d.cli("intercept", "br0", "stall-ms", "100")
    p = Program(lab, d, *([] if how == "swap" else ["copy"]))
    with Numbered(d, a, b) as n:
        for pause in (0.02, 0.3, 0.05, 0.5, 0.01, 0.2):
            time.sleep(0.1)
            p.kill(signal.SIGSTOP)
            time.sleep(pause)
            p.kill(signal.SIGCONT)
        L.wait_for(lambda: p.ring("nic0")["state"] == "live", "it is back")
        time.sleep(0.1)
    assert p.ring("nic0")["stalls"] >= 2 and p.side()["taken"] > 500
    assert n.twice == 0, (n.twice, n.sent)
    assert n.lost == n.dropped == d.drop("ring-full"), (n.lost, d.drops())
    p.end()


@pytest.mark.parametrize("how", ["swap", "copy"])
def test_killed_while_busy(net, how):
    """With frames in all its rings: nothing goes out twice, and nothing is lost but what it had in its hands."""
    lab, d, a, b = net
    a.silent(), b.silent()
    rounds = 10
    taken = 0
    with Numbered(d, a, b) as n:
        for i in range(rounds):
            p = Program(lab, d, "slow", how)
            time.sleep(0.05)
            taken += p.side()["taken"]
            p.kill(signal.SIGSTOP)
            time.sleep(0.05)  # some 150 frames wait for it
            p.kill(signal.SIGCONT)
            time.sleep(0.001 + i * 0.001)  # in the middle of them, or behind
            p.end(signal.SIGKILL)
    assert taken > 500
    assert n.twice == 0, (n.twice, n.sent)
    assert n.lost <= rounds + n.dropped, (n.lost, n.sent, d.drops())


def test_stopped_fails_closed(net):
    lab, d, a, b = net
    d.cli("intercept", "br0", "stall-ms", "200", "fail", "closed")
    p = Program(lab, d)
    assert lost(a.ping(b.addr)) == 0
    p.kill(signal.SIGSTOP)
    assert lost(a.ping(b.addr, 20, "-w", "2", check=False)) > 10
    L.wait_for(lambda: d.drop("not-inspected") > 0, "frames are dropped with their reason")
    p.end(signal.SIGKILL)
    assert lost(a.ping(b.addr, 3, "-w", "1", check=False)) > 0  # nobody inspects
    d.cli("intercept", "br0", "fail", "open")
    assert lost(a.ping(b.addr)) == 0


def test_settings(net):
    lab, d, a, b = net
    d.cli("intercept", "br0", "mode", "all", "filter", "icmp", "exempt", "host 10.99.9.9")
    row = d.json("intercept", "br0")[0]
    assert (row["mode"], row["filter"], row["exempt"]) == ("all", "icmp", "host 10.99.9.9")
    p = Program(lab, d, "swallow")
    assert lost(a.ping(b.addr, 3, "-w", "1", check=False)) > 0  # it gets ICMP and keeps it
    L.tcp_transfer(a.ns, b.ns, b.addr, size=1 << 20)  # and nothing else
    assert p.side()["exempted"] > 10
    d.cli("intercept", "br0", "exempt", "icmp")
    assert lost(a.ping(b.addr)) == 0
    d.cli("intercept", "br0", "mode", "none", "filter", "none", "exempt", "none")
    assert lost(a.ping(b.addr)) == 0
    p.end()
    assert "some" in d.fails("intercept", "br0", "mode", "some", code=2)
    assert "filter" in d.fails("intercept", "br0", "filter", "no such ( thing")


def test_settings_from_the_file(lab):
    """What `viaduct intercept` knows, in viaduct.yaml; a reload is all or nothing."""
    d = lab.daemon()
    conf = lab.dir / "v.yaml"
    default = {"mode": "auto", "fail": "open", "overflow": "drop", "stall_ms": 1000, "reserved": "hide",
               "reserved_tx": False, "oversize": "pass", "rings": 1, "filter": "", "exempt": ""}

    def settings(bridge="br0"):
        return d.json("intercept", bridge)[0]

    def write(*lines):
        conf.write_text("bridges:\n  br0:\n    intercept:\n" + "".join(f"      {x}\n" for x in lines))

    def matches(**want):
        assert settings().items() >= (default | want).items()

    write("mode: copy", "fail: closed", "overflow: pass", "stall-ms: 250", "reserved: take", "reserved-tx: on",
          "oversize: multislot", "rings: 2", "filter: tcp port 80", "exempt: udp")
    d.cli("check", conf)
    d.cli("reload", conf)
    matches(mode="copy", fail="closed", overflow="pass", stall_ms=250, reserved="take", reserved_tx=True,
            oversize="multislot", rings=2, filter="tcp port 80", exempt="udp")
    assert d.cli("reload", conf).stdout == "nothing to change\n"
    write("mode: copy", "filter: icmp")
    assert 'filter "icmp"' in d.cli("reload", conf).stdout
    matches(mode="copy", filter="icmp")  # what the file does not say any more has its default
    d.cli("intercept", "br0", "fail", "closed")
    d.cli("reload", conf)
    matches(mode="copy", filter="icmp", fail="closed")  # what it never said is left alone

    for lines, where, what in ((["mode: all", "filter: tcp prt 80"], ":5: ", "filter: column 5: syntax error at \"prt\""),
                               (["filter: icmp", "exempt: 'host ('"], ":5: ", "exempt: column 7: syntax error, it ends too soon"),
                               (["mode: al"], ":4: ", "mode al: not one of auto, all"),
                               (["stal-ms: 4"], ":4: ", 'did you mean "stall-ms"?')):
        write(*lines)
        for command in ("check", "reload"):
            text = d.fails(command, conf)
            assert f"{conf}{where}" in text and what in text and text.count("\n") == 1, text
    write("mode: all", "filter: udp")
    conf.write_text(conf.read_text() + "    ports:\n      - name: tap:t0\n      - name: lo0\n        driver: warp\n")
    d.fails("reload", conf)
    write("mode: all", "filter: udp")
    conf.write_text(conf.read_text() + "    fdb:\n      - mac: 'ff:00:00:00:00:01'\n        kind: local\n")
    d.fails("reload", conf)
    matches(mode="copy", filter="icmp", fail="closed")


def test_rings_change_when_the_programs_are_gone(net):
    lab, d, a, b = net
    p = Program(lab, d)
    conf = lab.dir / "v.yaml"
    conf.write_text("bridges:\n  br0:\n    intercept:\n      rings: 2\n")
    text = d.cli("reload", conf).stdout
    assert "it gets 2 rings when the programs that have it open with 1 let go of it" in text and str(p.pid) in text
    text = d.cli("intercept", "br0", "rings", "3").stderr
    assert "it gets 3 rings" in text and "nmpass" in text, text
    assert len(p.rings()) == 4
    p.end()
    p = Program(lab, d)
    assert len(p.rings()) == 12
    assert d.cli("intercept", "br0", "rings", "3").stderr == ""
    p.end()


def test_rings(net):
    """Two rings: both directions of a flow in one, flows in both."""
    lab, d, a, b = net
    d.cli("intercept", "br0", "rings", "4")
    p = Program(lab, d)
    assert len(p.rings()) == 16
    assert lost(a.ping(b.addr)) == 0
    for port in range(5001, 5009):
        L.tcp_transfer(a.ns, b.ns, b.addr, size=1 << 20, port=port)
    used = [r["ring"] for r in p.rings() if r["dir"] == "rx" and r["ring"].startswith("nic") and r["frames"] > 0]
    assert len(used) > 1, used
    p.end()


def test_rings_in_words(net):
    lab, d, a, b = net
    assert d.cli("rings").stdout == "no netmap program\n"
    p = Program(lab, d)
    assert lost(a.ping(b.addr)) == 0
    text = d.cli("rings").stdout
    assert re.search(rf"br0 +nic0 rx +nmpass +{p.pid} +live +0 +\d+s ago +[1-9]\d* +0 +0 +0 +0\n", text), text
    assert "What became of frames that ports received (nic) and that the host sent (host)" in text
    assert re.search(r"br0 +nic +[1-9]\d* +0 +[1-9]\d* +[1-9]\d* ", text), text
    p.end()


def test_bridge_removed(net):
    """The program's rings stop; its descriptors are its own."""
    lab, d, a, b = net
    p = Program(lab, d)
    d.cli("delbr", "br0")
    out, err = p.proc.communicate(timeout=L.DEADLINE)
    assert "sync: 4" in err
    L.wait_for(lambda: not d.json("rings"), "nothing is left of it")
    d.bridge(a, b, driver="packet")
    assert lost(a.ping(b.addr)) == 0


def sock(daemon):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(str(daemon.run_dir / "netmap.sock"))
    return s


def request(daemon, s, reqtype, body=b"", name=b"br0", options=b"", netns=0, version=14):
    """One request; (error, body) of its answer."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    h = struct.pack("<IHHIIQ16s64s", MAGIC, version, reqtype, len(body), len(options), netns, b"py", name)
    socket.send_fds(s, [h + body + options], [there.fileno()])
    there.close()
    here.settimeout(L.DEADLINE)
    data, fds, _, _ = socket.recv_fds(here, 65536, 4)
    for fd in fds:
        os.close(fd)
    here.close()
    magic, error, size = struct.unpack_from("<IiI", data)
    assert magic == MAGIC
    return error, data[48:48 + size], data[48 + size:]


def register(mode, ringid=0, flags=0, mem_id=0, extra=0, host=(0, 0)):
    return struct.pack("<QQIIHHHHHHIIxxxxQ", 0, 0, 0, 0, 0, 0, *host, mem_id, ringid, mode, extra, flags)


def ring_counts(body):
    """(tx, rx, host tx, host rx) of an answer to REGISTER."""
    return struct.unpack_from("<HHHH", body, 24)


def test_requests(net):
    """Errors are netmap's, and nothing is left behind by them."""
    lab, d, a, b = net
    ENXIO, EBUSY, EINVAL, EOPNOTSUPP = 6, 16, 22, 95
    s = sock(d)
    assert request(d, s, 1, register(1), b"nobr")[0] == ENXIO
    assert request(d, s, 1, register(0))[0] == EINVAL
    assert request(d, s, 1, register(5))[0] == EINVAL
    assert request(d, s, 1, register(4, ringid=1))[0] == EINVAL
    assert request(d, s, 1, register(1, mem_id=7))[0] == EINVAL
    assert request(d, s, 1, register(1), b"vale0:1")[0] == EOPNOTSUPP
    assert request(d, s, 1, register(1), b"br0{1")[0] == EOPNOTSUPP
    assert request(d, s, 1, register(1, flags=0x200))[0] == EOPNOTSUPP
    assert request(d, s, 1, register(1)[:-8])[0] == EINVAL
    assert request(d, s, 77, register(1))[0] == EINVAL
    assert request(d, s, 0)[0] == EINVAL
    assert request(d, s, 1, register(1), netns=1)[0] == ENXIO
    assert "network namespace" in d.log_text()
    option = struct.pack("<IIII", 77, 0, 32, 0) + bytes(32)
    error, _, rest = request(d, s, 1, register(1), options=option)
    assert error == EOPNOTSUPP and struct.unpack_from("<II", rest)[1] == EOPNOTSUPP
    error, _, rest = request(d, s, 1, register(1), options=option * 2)
    assert error == EINVAL and struct.unpack_from("<II", rest)[1] == EINVAL
    assert request(d, s, 6, struct.pack("<II", 12, 0))[0] == ENXIO
    assert request(d, s, 6, struct.pack("<II", 11, 0))[0] == EINVAL
    error, info, _ = request(d, s, 2, bytes(32))
    assert error == 0
    assert struct.unpack("<QIIHHHHH6x", info) == (343019520, 1024, 1024, 1, 1, 1, 1, 1)
    error, info, _ = request(d, s, 12, bytes(64))
    assert error == 0 and struct.unpack_from("<II", info, 56) == (163840, 2048)
    assert not d.json("rings")
    assert request(d, s, 0xFFFF)[0] == ENXIO

    error, body, _ = request(d, s, 1, register(1, extra=10))
    assert error == 0
    assert struct.unpack_from("<QQ", body)[1] == 343019520 and struct.unpack_from("<I", body, 40)[0] == 10
    assert request(d, s, 0xFFFF)[1] == body
    assert request(d, s, 1, register(1))[0] == EBUSY
    t = sock(d)
    assert request(d, t, 1, register(1, flags=0x800))[0] == EBUSY  # exclusive, in use
    assert request(d, t, 1, register(2, flags=0x800))[0] == 0
    u = sock(d)
    assert request(d, u, 1, register(3))[0] == EBUSY  # host rings are taken
    assert request(d, u, 1, register(1))[0] == 0
    for x in (s, t, u):
        x.close()
    L.wait_for(lambda: not d.json("rings"), "all are gone")


def offsets(biggest, initial=0, bits=0, gap=0):
    """OPT_OFFSETS."""
    return struct.pack("<IIIIQQIIQ", 5, 0, 32, 0, biggest, initial, bits, 0, gap)


def test_offset_requests(net):
    """What may be asked for, and what programs that share a ring may ask for."""
    lab, d, a, b = net
    EBUSY, EINVAL, ENXIO, EOPNOTSUPP = 16, 22, 6, 95

    def refused(option, error, status, name=b"br0", mode=1):
        s = sock(d)
        got, body, rest = request(d, s, 1, register(mode, mem_id=mode == 7), name, options=option)
        s.close()
        assert (got, body) == (error, b"") and struct.unpack_from("<II", rest)[1] == status
        return rest

    for bad in (offsets(2049), offsets(64, initial=65), offsets(256, bits=8), offsets(0, bits=65),
                offsets(2000, gap=49), offsets(1 << 40), offsets(0, gap=1 << 63)):
        refused(bad, EINVAL, EINVAL)
    refused(offsets(64)[:-8].replace(struct.pack("<I", 32), struct.pack("<I", 24), 1), EINVAL, EINVAL)
    refused(offsets(64), ENXIO, EOPNOTSUPP, b"nobr")  # not looked at
    refused(offsets(64), EINVAL, EOPNOTSUPP, mode=0)
    unknown = struct.pack("<IIII", 77, 0, 0, 0)
    rest = refused(offsets(64) + unknown, EOPNOTSUPP, 0)
    assert struct.unpack_from("<II", rest, 48) == (77, EOPNOTSUPP)
    assert not d.json("rings")

    def opened(option, name=b"br0", mode=1):
        s = sock(d)
        error, body, rest = request(d, s, 1, register(mode, mem_id=mode == 7), name, options=option)
        assert error == 0 and len(body) == 56 and struct.unpack_from("<II", rest) == (5, 0)
        return s, struct.unpack_from("<QQIIQ", rest, 16)

    n, _ = opened(offsets(64), b"", 7)
    plain = sock(d)
    assert request(d, plain, 1, register(1))[0] == 0
    s, (biggest, initial, bits, align, gap) = opened(offsets(128, 64))  # others have the ring already
    assert (biggest, initial, bits, align, gap) == (128, 64, 0, 0, 0)
    refused(offsets(129), EBUSY, EBUSY)
    t, (biggest, *_) = opened(offsets(100, bits=8))  # gets what there is
    assert biggest == 128
    for x in (s, t, n, plain):
        x.close()
    L.wait_for(lambda: not d.json("rings"), "all are gone")
    s, _ = opened(offsets(2048, 2048, bits=64))
    s.close()


def test_host_rings(net):
    """The first descriptor says how many there are; later ones are not heard; forgotten at the last close."""
    lab, d, a, b = net
    EINVAL, ENOMEM = 22, 12
    d.cli("intercept", "br0", "rings", "2")
    s, t, u = sock(d), sock(d), sock(d)
    assert request(d, s, 1, register(8, ringid=5, host=(5, 5)))[0] == EINVAL
    assert request(d, s, 1, register(1, host=(65, 1)))[0] == ENOMEM
    assert request(d, s, 1, register(3, host=(64, 64)))[0] == ENOMEM  # more than an interface has room for
    error, body, rest = request(d, s, 1, register(4, host=(5, 3)))
    assert error == 0 and ring_counts(body) == (2, 2, 5, 3)
    assert len(rest) == 2 * 24
    assert struct.unpack_from("<HHHH", request(d, t, 2, bytes(32))[1], 16) == (2, 2, 5, 3)
    error, body, _ = request(d, t, 1, register(8, ringid=4, host=(9, 9)))  # host TX 4, host RX 0
    assert error == 0 and ring_counts(body) == (2, 2, 5, 3)
    assert {(r["ring"], r["dir"]) for r in d.json("rings") if r["kind"] == "ring" and r["ring"].startswith("host")} \
        == {("host4", "tx"), ("host0", "rx")}
    assert request(d, u, 1, register(8, ringid=5, host=(9, 9)))[0] == EINVAL
    error, body, rest = request(d, u, 1, register(3))
    assert error == 0 and ring_counts(body) == (2, 2, 5, 3)
    ids = [struct.unpack_from("<HBB", rest, 16 + 24 * i) for i in range(12)]  # ring id, TX, host
    assert sorted(i for i, tx, host in ids if tx) == [*range(7)] and sorted(i for i, tx, _ in ids if not tx) == [*range(5)]
    for x in (s, t, u):
        x.close()
    L.wait_for(lambda: not d.json("rings"), "all are gone")
    v = sock(d)
    error, body, _ = request(d, v, 1, register(1))
    assert error == 0 and ring_counts(body) == (2, 2, 2, 2)
    v.close()


def test_host_frames_spread(net):
    """One NIC ring, four host rings: flows of the host in all of them, and the answers come through."""
    lab, d, a, b = net
    lab.switch.ip("addr", "add", "10.77.0.100/16", "dev", "br0")
    p = Program(lab, d, "host-rings=4")
    assert len([r for r in p.rings() if r["ring"].startswith("host")]) == 8
    for port in range(5001, 5017):
        L.tcp_transfer(a.ns, lab.switch, "10.77.0.100", size=1 << 20, port=port)
    used = [r["ring"] for r in p.rings() if r["dir"] == "rx" and r["ring"].startswith("host") and r["frames"] > 0]
    assert len(used) >= 3, used
    assert p.side("host")["origins"]["unknown"] == 0
    p.end()


def test_garbage(net):
    """Whatever is sent costs the sender its descriptor and nobody else anything."""
    lab, d, a, b = net
    p = Program(lab, d)
    for data in (b"x", b"D", b"D" * 100, bytes(200), os.urandom(4000), os.urandom(104), b"D" * 4300):
        s = sock(d)
        with contextlib.suppress(OSError):
            s.send(data)
        with contextlib.suppress(OSError):
            socket.send_fds(s, [data], [0, 1, 2])
        s.close()
    registered = sock(d)
    assert request(d, registered, 1, register(1))[0] == 0
    registered.send(b"D")
    registered.send(os.urandom(300))
    registered.settimeout(L.DEADLINE)
    while registered.recv(100):
        pass  # doorbells, then its end
    registered.close()
    assert lost(a.ping(b.addr, 10)) == 0
    p.end()


@pytest.mark.parametrize("mode", ["auto", "copy"])
def test_scribbled(net, mode):
    """A program that writes at random into all it can reach, while frames flow."""
    lab, d, a, b = net
    d.cli("intercept", "br0", "mode", mode, "stall-ms", "100")
    p = Program(lab, d, "scribble", wait=False)
    for _ in range(3):
        a.ping(b.addr, 200, "-i", "0.002", check=False)
        a.ns.run("ping", "-n", "-f", "-c", "2000", "-w", "2", "-s", "1400", b.addr, check=False)
    assert d.answers()
    p.kill(signal.SIGKILL)
    p.proc.wait(L.DEADLINE)
    L.wait_for(lambda: not p.rings(), "its rings are gone")
    assert lost(a.ping(b.addr, 10)) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=1 << 20)


def test_bad_requests_in_words(net):
    """Versions, names, modes, ring numbers, exclusive: errno for the program, a sentence in the log."""
    lab, d, a, b = net
    s, t = sock(d), sock(d)
    for version in (0, 10, 16, 0xFFFF):
        assert request(d, s, 1, register(1), version=version)[0] == 22
    for name in (b"", b"no/such", b"x" * 63, b"\xff\x01br0", b"br0 "):
        assert request(d, s, 1, register(1), name)[0] == 6
    assert request(d, s, 1, register(4, ringid=30))[0] == 22
    assert request(d, t, 1, register(1, flags=0x800))[0] == 0
    assert "cannot open no/such: there is no such bridge or interface" in d.log_text()
    L.wait_for(lambda: request(d, s, 1, register(1))[0] == 16 and
               "cannot open br0: it is in use" in d.log_text(), "a line when the log has room again")
    t.close()
    L.wait_for(lambda: request(d, s, 1, register(1, flags=0x800))[0] == 0, "it is free again")
    s.close()
    assert d.answers()


def test_half_messages(net):
    """The beginning of a request, at every length, and a request without the socket for its answer."""
    lab, d, a, b = net
    whole = struct.pack("<IHHIIQ16s64s", MAGIC, 14, 1, 64, 0, 0, b"py", b"br0") + register(1)
    for n in list(range(2, len(whole), 7)) + [len(whole) - 1]:
        s = sock(d)
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with here, there, s:
            socket.send_fds(s, [whole[:n]], [there.fileno()])
            s.settimeout(L.DEADLINE)
            assert s.recv(10) == b"", n  # it costs the descriptor
    with sock(d) as s:
        s.send(whole)
        s.settimeout(L.DEADLINE)
        assert s.recv(10) == b""
    assert d.answers() and not d.json("rings")
    assert "sent what is no request, closed" in d.log_text()
    p = Program(lab, d)
    assert lost(a.ping(b.addr)) == 0
    p.end()


def test_many_clients(net):
    """200 that say nothing, and one that works."""
    lab, d, a, b = net
    idle = [sock(d) for _ in range(200)]
    assert d.answers()
    p = Program(lab, d)
    assert lost(a.ping(b.addr)) == 0
    for s in idle:
        s.close()
    assert lost(a.ping(b.addr)) == 0
    p.end()


def test_memory_runs_out(net):
    """ENOMEM, and what was taken on the way is given back."""
    lab, d, a, b = net
    d.cli("addbr", "br1")
    for br in ("br0", "br1"):
        d.cli("intercept", br, "rings", "30")
    s, t = sock(d), sock(d)
    assert request(d, s, 1, register(3), b"br1")[0] == 0  # 120 of 200 rings
    assert request(d, t, 1, register(3))[0] == 12
    assert request(d, t, 1, register(4, ringid=29))[0] == 0
    assert lost(a.ping(b.addr)) == 0
    s.close()
    t.close()
    L.wait_for(lambda: not d.json("rings"), "all are gone")
    d.cli("delbr", "br1")


def test_buffers_run_out(net):
    """Programs that ask for all buffers there are get a part; ports and other programs go on."""
    lab, d, a, b = net
    p = Program(lab, d)
    greedy, got = [], []
    for _ in range(20):
        s = sock(d)
        error, body, _ = request(d, s, 1, register(0x1, extra=(1 << 32) - 1))
        greedy.append(s)
        if error:
            assert error == 12  # ENOMEM
            break
        got.append(struct.unpack_from("<I", body, 40)[0])
    assert len(got) > 3 and sum(got) > 140000, got
    assert sum(d.pool()) > 0
    assert lost(a.ping(b.addr, 50, "-i", "0.01")) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=4 << 20)
    assert p.side()["gso"]["whole"] > 0
    for s in greedy:
        s.close()
    p.end()


class Monitor:
    """viaduct monitor link, connected."""

    def __init__(self, lab, d, *options):
        self.proc = lab.background(d.ns, L.VIADUCT, "--run-dir", d.run_dir, *options, "monitor", "link",
                                   stdout=subprocess.PIPE)
        L.wait_for(lambda: d.status()["clients"] > 1, "the monitor is connected")
        time.sleep(0.1)

    def until(self, kind):
        """Events up to the first of that kind, which is the last."""
        events = [{}]
        while events[-1].get("kind") != kind:
            events.append(json.loads(self.proc.stdout.readline()))
        return events[1:]


@pytest.mark.parametrize("fail, stalled, gone", [
    ("open", "traffic goes round it", "traffic goes on without it"),
    ("closed", "traffic is dropped", "traffic is dropped")])
def test_monitor_tells(net, fail, stalled, gone):
    """Who, with which ring, why, and what it means."""
    lab, d, a, b = net
    d.cli("intercept", "br0", "fail", fail, "stall-ms", "200")
    m = Monitor(lab, d, "-j")
    p = Program(lab, d)
    who = {"program": "nmpass", "pid": p.pid, "uid": 0, "bridge": "br0"}

    def has(event, **more):
        assert event.items() >= (who | more).items(), event

    first, second, inspect = m.until("inspect")[-3:]
    assert {first["ring"], second["ring"]} == {"nic0", "host0"}  # it has a descriptor for each
    has(first, kind="attach")
    has(inspect, effect="it gets the traffic")
    assert inspect["ring"] in ("nic0", "host0")
    assert lost(a.ping(b.addr)) == 0
    p.kill(signal.SIGSTOP)
    a.ping(b.addr, 20, "-i", "0.05", "-W", "1", check=False)
    stall = m.until("stall")[-1]
    has(stall, ring="nic0", effect=stalled, fail=fail, reason=f"took no frame for {stall['ms']} ms")
    assert 200 <= stall["ms"] < 5000
    p.kill(signal.SIGCONT)
    a.ping(b.addr, 3, "-W", "1", check=False)
    back = m.until("return")[-1]
    has(back, ring="nic0", effect="it gets the traffic")
    assert back["ms"] >= stall["ms"]
    p.end(signal.SIGKILL)
    rings = {m.until("detach")[-1]["ring"]}
    detach = m.until("detach")[-1]
    has(detach, effect=gone, fail=fail)
    assert rings | {detach["ring"]} == {"nic0", "host0"}
    assert detach["cause"] in ("killed", "ended") and re.search("killed|ended", detach["reason"])

    s = sock(d)
    assert request(d, s, 1, register(4))[0] == 0
    s.close()
    detach = m.until("detach")[-1]
    assert (detach["cause"], detach["program"], detach["pid"]) == ("closed", "py", os.getpid())
    assert detach["ring"] == "nic0" and detach["reason"] == "closed by the program"
    d.cli("intercept", "br0", "fail", "open")
    text = d.log_text()
    assert f"took no frame for {stall['ms']} ms, {stalled} ring=nic0 pid={p.pid}" in text
    assert "closed by the program" in text


def test_monitor_in_words(net):
    lab, d, a, b = net
    m = Monitor(lab, d)
    s, t = sock(d), sock(d)
    d.cli("intercept", "br0", "rings", "3")
    assert request(d, s, 1, register(3))[0] == 0
    assert request(d, t, 1, register(2))[0] == 0
    t.close()
    lines = [m.proc.stdout.readline().split("link", 1)[1].split() for _ in range(3)]
    pid = str(os.getpid())
    assert [" ".join(x) for x in lines] == [
        f"br0 attach py pid {pid} ring nic0-2,host0-2", f"br0 attach py pid {pid} ring host0-2",
        f"br0 detach py pid {pid} ring host0-2: closed by the program; traffic goes on without it"]
    s.close()


def as_user(uid, groups, do):
    """The errno that do() ends with, or what it returns, in a process of that user."""
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            os.setgroups(groups)
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            status = do()
        except OSError as e:
            status = e.errno
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def may_open(d, uid, *groups, bridge=b"br0"):
    """errno of a REGISTER; 0: it is let in."""
    return as_user(uid, groups, lambda: request(d, sock(d), 1, register(1), bridge)[0])


def socket_mode(d):
    return os.stat(d.run_dir / "netmap.sock").st_mode & 0o777


EACCES = 13


def test_who_may_connect(lab):
    """Root only, unless a group is configured."""
    mode = {}
    for args in ([], ["--group", "daemon"]):
        st = os.stat(lab.daemon(*args).run_dir / "netmap.sock")
        mode[len(args)] = (st.st_mode & 0o777, st.st_gid)
    assert mode[0] == (0o600, 0)
    assert mode[2][0] == 0o660 and mode[2][1] != 0


def test_access(net):
    """A list per bridge: who is not on it gets EACCES, and the operator one line."""
    lab, d, a, b = net
    os.chmod(lab.dir, 0o755)
    d.cli("addbr", "br1")
    assert may_open(d, 4001) == EACCES
    d.cli("intercept", "br0", "access", "4001,@5001")
    assert d.json("intercept", "br0")[0]["access"] == "4001,@5001"
    assert "access 4001,@5001" in d.cli("intercept", "br0").stdout
    row = next(r for r in d.json("-d", "link", "show") if r["ifname"] == "br0")
    assert row["linkinfo"]["info_data"]["intercept"]["access"] == "4001,@5001"
    assert may_open(d, 4001) == may_open(d, 4002, 5001) == may_open(d, 5001) == may_open(d, 0) == 0
    assert may_open(d, 4002, 5002) == EACCES
    assert re.search(r"bridge br0: program py pid=\d+ uid=4002 may not open it: "
                     r"`viaduct intercept br0 access 4001,@5001,4002` would let it", d.log_text())
    assert may_open(d, 4001, bridge=b"br1") == EACCES
    # what is mirrored is for whom the bridge is
    d.cli("mirror", "add", "br0", "m", "to", "netmap:m0", "rx", a.port)
    d.cli("mirror", "add", "br1", "m", "to", "netmap:m1")
    assert may_open(d, 4001, bridge=b"m0") == may_open(d, 4002, 5001, bridge=b"m0") == 0
    assert may_open(d, 4002, bridge=b"m0") == may_open(d, 4001, bridge=b"m1") == EACCES
    d.cli("mirror", "del", "br0", "m")
    assert may_open(d, 4001, bridge=b"nobr") == may_open(d, 4001, bridge=b"m0") == 6
    assert may_open(d, 4003, bridge=b"nobr") == EACCES
    memory = register(0, mem_id=1)  # no rings, but everybody's buffers
    assert as_user(4003, [], lambda: request(d, sock(d), 1, memory, b"x")[0]) == EACCES
    for reqtype, size in ((2, 32), (12, 64)):
        assert as_user(4003, [], lambda: request(d, sock(d), reqtype, bytes(size))[0]) == EACCES
    d.cli("intercept", "br0", "access", "none")
    assert may_open(d, 4001) == EACCES and socket_mode(d) == 0o600
    d.cli("intercept", "br1", "access", "root")
    assert socket_mode(d) == 0o666 and may_open(d, 0, bridge=b"br1") == 0
    d.cli("delbr", "br1")
    assert socket_mode(d) == 0o600
    for text, why in (("nosuchuser", 'no user "nosuchuser"'), ("1,@nosuchgroup", 'no group "nosuchgroup"'),
                      ("1,,2", 'no user ""')):
        assert f"bridge br0: access: {why}" in d.fails("intercept", "br0", "access", text, "mode", "copy")
    assert d.json("intercept", "br0")[0]["mode"] == "auto"
    assert not d.json("rings") and lost(a.ping(b.addr)) == 0


def test_access_and_the_group(lab):
    """The daemon's group may open what has no list; a list takes its place."""
    import grp
    d = lab.daemon("--group", grp.getgrgid(65534).gr_name)
    os.chmod(lab.dir, 0o755)
    d.cli("addbr", "br0")
    assert may_open(d, 4001, 65534) == 0 and may_open(d, 4001) == EACCES
    d.cli("intercept", "br0", "access", "4002")
    assert may_open(d, 4001, 65534) == EACCES and may_open(d, 4002) == 0


def test_access_and_limits_from_the_file(lab):
    d = lab.daemon()
    os.chmod(lab.dir, 0o755)
    conf = lab.dir / "v.yaml"

    def write(daemon, users):
        conf.write_text(f"daemon: {daemon}\nbridges:\n  br0:\n    access:\n      users: {users}\n"
                        "      groups: [5001]\n  br1:\n    access: {users: [4001]}\n")

    write("{}", "[4001, daemon]")
    d.cli("check", conf)
    d.cli("reload", conf)
    assert d.json("intercept", "br0")[0]["access"] == "4001,daemon,@5001"
    assert may_open(d, 4001) == may_open(d, 1) == may_open(d, 4002, 5001) == 0
    assert d.cli("reload", conf).stdout == "nothing to change\n"

    def two_bridges():
        s, t = sock(d), sock(d)
        assert request(d, s, 1, register(1))[0] == 0
        return request(d, t, 1, register(1), b"br1")[0]

    def buffers():
        s, t = sock(d), sock(d)
        got = [struct.unpack_from("<I", request(d, x, 1, register(1, extra=60))[1], 40)[0] for x in (s, t)]
        return sum(got)

    def descriptors():
        """How many of 20 answer."""
        n, socks = 0, []
        for _ in range(20):
            socks.append(sock(d))
            with contextlib.suppress(OSError, struct.error):
                request(d, socks[-1], 0)
                n += 1
        return n

    assert as_user(4001, [], two_bridges) == 0
    assert as_user(4001, [], buffers) == 120
    assert as_user(4001, [], descriptors) == 20
    write("{uid-ports: 1, uid-extra-buffers: 100, uid-descriptors: 5}", "[4001]")
    assert "takes effect with the next start" not in d.cli("reload", conf).stdout
    L.wait_for(lambda: not d.json("rings"), "all are gone")
    assert may_open(d, 1) == EACCES
    assert as_user(4001, [], two_bridges) == 24  # EMFILE
    assert "uid-ports" in d.log_text()
    assert as_user(4001, [], buffers) == 100
    assert as_user(4001, [], descriptors) == 5
    assert as_user(4009, [], descriptors) == 16  # told that it may not, up to a limit
    assert "uid-descriptors" in d.log_text()
    assert as_user(0, [], two_bridges) == 0 and as_user(0, [], descriptors) == 20

    write("{}", "[nosuchuser]")
    for command in ("check", "reload"):
        assert f'{conf}:4: bridge br0: access: no user "nosuchuser"' in d.fails(command, conf)
    conf.write_text("bridges:\n  br0:\n    access: {user: [4001]}\n")
    assert 'did you mean "users"' in d.fails("check", conf)
    conf.write_text("bridges:\n  br0:\n    intercept: {access: a}\n")
    assert f"{conf}:3: unknown key" in d.fails("check", conf)


def test_silent_clients_are_closed(lab):
    """Those that ask for nothing go after a while, the others stay."""
    d = lab.daemon()
    conf = lab.dir / "v.yaml"
    conf.write_text("daemon: {silent-s: 1}\nbridges: {br0: }\n")
    d.cli("reload", conf)
    busy, asked = sock(d), sock(d)
    assert request(d, busy, 1, register(1))[0] == 0
    assert request(d, asked, 0)[0] == 22
    idle = [sock(d) for _ in range(50)]
    bell = sock(d)
    bell.send(b"D")  # says nothing either
    for s in idle + [bell]:
        s.settimeout(L.DEADLINE)
        assert s.recv(10) == b""
    assert "asked for nothing in 1 s, closed" in d.log_text()
    assert request(d, asked, 0)[0] == 22
    assert len([r for r in d.json("rings") if r["kind"] == "ring"]) == 2
    late = sock(d)
    late.settimeout(L.DEADLINE)
    assert late.recv(10) == b""  # the timer starts again
