# SPDX-License-Identifier: BSD-2-Clause
"""Namespaces, hosts, raw sockets and a daemon for the network tests.

A Lab owns one namespace called the switch, in which viaductd runs, and any number of hosts, each a
namespace of its own with an `eth0` whose other end (p1, p2, ...) lies in the switch. Everything has a
unique name, so test processes run side by side; close() removes all of it, also after a failure.
"""

import contextlib
import ctypes
import ipaddress
import itertools
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("VIADUCT_BUILD", Path(__file__).resolve().parents[2] / "build"))
VIADUCT = BUILD / "viaduct"
VIADUCTD = BUILD / "viaductd"
# Options of every daemon: LeakSanitizer has to trace its own process, which seccomp refuses.
VIADUCTD_ARGS = os.environ.get("VIADUCTD_ARGS", "").split()
# A sanitized or emulated daemon is slower; deadlines are for hangs, not for speed.
DEADLINE = float(os.environ.get("VIADUCT_TEST_DEADLINE", "10"))
NO_XDP = "XDP on a veth needs Linux 6.8: before, it would lose VLAN tags"
KERNEL = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))

_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count(1)

SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
ETH_P_ALL = 3
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6


def sh(*argv, check=True, **kw):
    """Runs a command; returns its standard output. A failure shows what the command said."""
    p = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **kw)
    if check and p.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))}: exit {p.returncode}\n{p.stdout}{p.stderr}")
    return p.stdout


def wait_for(condition, what, timeout=None):
    """Waits until condition() is true and returns its value; exceptions inside count as not yet."""
    end = time.monotonic() + (timeout or DEADLINE)
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (AssertionError, KeyError, IndexError, OSError) as e:
            last = e
        if time.monotonic() > end:
            raise AssertionError(f"still not true after {timeout or DEADLINE} s: {what}; last: {last!r}")
        time.sleep(0.02)


class Ns:
    """A network namespace."""

    def __init__(self, name):
        self.name = f"vt-{os.getpid()}-{next(_serial)}-{name}"
        sh("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def argv(self, *argv):
        return ["ip", "netns", "exec", self.name, *map(str, argv)]

    def run(self, *argv, **kw):
        return sh(*self.argv(*argv), **kw)

    def popen(self, *argv, **kw):
        return subprocess.Popen(self.argv(*argv), text=True, **kw)

    def ip(self, *argv, **kw):
        return sh("ip", "-n", self.name, *argv, **kw)

    def link(self, dev):
        return json.loads(self.ip("-d", "-j", "link", "show", "dev", dev))[0]

    def links(self):
        return {l["ifname"]: l for l in json.loads(self.ip("-d", "-j", "link", "show"))}

    def sysctl(self, name, value=None):
        path = "/proc/sys/" + name.replace("~", "/")
        if value is None:
            return self.run("cat", path).strip()
        return self.run("sh", "-c", f"echo {value} > {path}")

    @contextlib.contextmanager
    def enter(self):
        """The calling thread is in the namespace inside the with block: for making sockets."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            if _libc.setns(there.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                if _libc.setns(home.fileno(), 0x40000000):
                    os._exit(3)  # a test process in the wrong namespace must not go on

    def socket(self, *args):
        with self.enter():
            return socket.socket(*args)

    def snmp(self, file="snmp"):
        """Counters of /proc/net/snmp or netstat as {"Tcp.InCsumErrors": n}."""
        lines = [l.split() for l in self.run("cat", f"/proc/net/{file}").splitlines()]
        out = {}
        for keys, values in zip(lines[::2], lines[1::2]):
            out.update({keys[0][:-1] + "." + k: int(v) for k, v in zip(keys[1:], values[1:])})
        return out

    def close(self):
        pids = sh("ip", "netns", "pids", self.name, check=False).split()
        for pid in pids:  # only what runs inside a namespace that this object made
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        sh("ip", "netns", "del", self.name, check=False)


class Raw:
    """Raw frames on one device, tags where they were on the wire."""

    def __init__(self, ns, dev, promisc=True):
        self.s = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        with ns.enter():
            self.s.bind((dev, ETH_P_ALL))
            if not promisc:
                return
            # PACKET_ADD_MEMBERSHIP, promiscuous: goes with the socket
            self.s.setsockopt(SOL_PACKET, 1, struct.pack("iHH8s", socket.if_nametoindex(dev), 1, 0, b""))

    def send(self, frame):
        self.s.send(bytes(frame))

    def recv(self, timeout):
        """The next frame, or None."""
        self.s.settimeout(max(timeout, 0.001))
        try:
            data, anc, _, _ = self.s.recvmsg(70000, 256)
        except (TimeoutError, BlockingIOError):
            return None
        for level, kind, value in anc:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", value[:20])
                if status & TP_STATUS_VLAN_VALID:
                    tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
                    data = data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
        return data

    def drain(self):
        while self.recv(0.001) is not None:
            pass

    def expect(self, want, what="frame", timeout=None):
        """Waits for one frame that equals want (bytes) or satisfies want (function)."""
        match = want if callable(want) else lambda f: f == want
        end = time.monotonic() + (timeout or DEADLINE)
        seen = []
        while time.monotonic() < end:
            f = self.recv(end - time.monotonic())
            if f is not None and match(f):
                return f
            if f is not None:
                seen.append(f.hex()[:60])
        raise AssertionError(f"{what} did not arrive; arrived: {seen[-5:]}")

    def count(self, want, settle=0.3):
        """How many matching frames arrive until none came for `settle` seconds."""
        match = want if callable(want) else lambda f: f == want
        n = 0
        while (f := self.recv(settle)) is not None:
            n += match(f)
        return n

    def close(self):
        self.s.close()


class Host:
    """A namespace with one interface, eth0, whose other end `port` lies in the switch."""

    def __init__(self, lab, number, mac=None, mtu=1500, ip=None):
        self.lab, self.number, self.port = lab, number, f"p{number}"
        self.mac = mac or f"02:00:00:00:00:{number:02x}"
        self.ns = Ns(f"h{number}")
        sh("ip", "link", "add", self.port, "netns", lab.switch.name, "mtu", mtu, "type", "veth",
           "peer", "name", "eth0", "netns", self.ns.name, "mtu", mtu)
        self.ns.ip("link", "set", "eth0", "address", self.mac, "up")
        lab.switch.ip("link", "set", self.port, "up")
        self.addr = ip or f"10.77.0.{number}"
        self.ns.ip("addr", "add", f"{self.addr}/16", "dev", "eth0")
        self.addr6 = f"fd77::{number:x}"
        self.ns.ip("addr", "add", f"{self.addr6}/64", "dev", "eth0", "nodad")
        self._raw = None

    @property
    def raw(self):
        if not self._raw:
            self._raw = Raw(self.ns, "eth0")
        return self._raw

    def silent(self):
        """No traffic of its own: for tests that count frames."""
        self.ns.sysctl("net/ipv6/conf/eth0/disable_ipv6", 1)
        self.ns.ip("addr", "flush", "dev", "eth0")
        self.ns.ip("link", "set", "eth0", "arp", "off")
        return self

    def ping(self, addr, count=3, *args, check=True):
        """check: that many answers must come in the end; else that many requests are sent."""
        wait = ("-w", int(DEADLINE)) if check else ("-W", 1)
        return self.ns.run("ping", "-n", "-i", "0.05", "-c", count, *wait, *args, addr, check=check)

    def close(self):
        if self._raw:
            self._raw.close()
        self.ns.close()


class Daemon:
    """viaductd in a namespace with a run directory of its own, and the CLI that talks to it."""

    def __init__(self, ns, run_dir, args=(), prefix=()):
        self.ns, self.run_dir, self.args, self.prefix = ns, Path(run_dir), list(args), list(prefix)
        self.log = self.run_dir / "test-log"
        self.proc = None

    def start(self, *args):
        self.run_dir.mkdir(parents=True, exist_ok=True)
        with open(self.log, "a") as log:
            self.proc = subprocess.Popen(
                self.ns.argv(*self.prefix, VIADUCTD, "--run-dir", self.run_dir, *VIADUCTD_ARGS, *self.args, *args),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(self.answers, "the daemon answers")
        return self

    def answers(self):
        if self.proc.poll() is not None:
            raise RuntimeError(f"viaductd ended: {self.proc.returncode}\n{self.log_text()}")
        return self.cli("status", check=False).returncode == 0

    def log_text(self):
        return self.log.read_text() if self.log.exists() else ""

    @property
    def pid(self):
        return self.status()["pid"]

    def cli(self, *args, check=True, text=None):
        """Runs viaduct; returns the completed process."""
        p = subprocess.run(self.ns.argv(VIADUCT, "--run-dir", self.run_dir, *args), input=text,
                           capture_output=True, text=True)
        if check and p.returncode:
            raise AssertionError(f"viaduct {' '.join(map(str, args))}: exit {p.returncode}\n"
                                 f"{p.stdout}{p.stderr}\n{self.log_text()}")
        return p

    def fails(self, *args, code=1):
        """Runs viaduct, which must refuse; returns the sentence."""
        p = self.cli(*args, check=False)
        assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
        return p.stderr

    def json(self, *args):
        return json.loads(self.cli("-j", *args).stdout)

    def status(self):
        return self.json("status")

    def fdb(self, bridge="br0"):
        """{(mac, vlan): row}"""
        return {(r["mac"], r.get("vlan", 0)): r for r in self.json("fdb", "show", "br", bridge)}

    def drops(self, *args):
        """{(port, reason): count}"""
        return {(r["port"], r["reason"]): r["count"] for r in self.json("drops", *args)}

    def drop(self, reason, port=None):
        return sum(n for (p, r), n in self.drops().items() if r == reason and port in (None, p))

    def stats(self, port):
        return next(r for r in self.json("stats") if r["ifname"] == port)

    def pool(self):
        """Free buffers, those in stock included: (small, large)."""
        text = self.cli("debug", "objects").stdout
        one = {k: sum(map(int, re.findall(rf"\b{k}=(\d+)", text))) for k in ("free", "stock", "big_free", "stock_big")}
        return one["free"] + one["stock"], one["big_free"] + one["stock_big"]

    def port(self, name):
        return next(r for r in self.json("-d", "link", "show", name) if r["ifname"] == name)

    def addif(self, bridge, port, driver=None):
        """Adds a port. Skips the test where this kernel or this user cannot have XDP on a veth."""
        p = self.cli("addif", bridge, port, *(["driver", driver] if driver else []), check=False)
        if driver == "xdp" and KERNEL < (6, 8) and "kernel 6.8 can tell them" in p.stderr:
            pytest.skip(NO_XDP)
        if driver == "xdp" and "needs CAP_BPF" in p.stderr:
            pytest.skip("XDP needs CAP_BPF")
        assert p.returncode == 0, f"addif {bridge} {port}: {p.stderr}\n{self.log_text()}"

    def bridge(self, *hosts, name="br0", driver=None, up=True):
        """A bridge with the hosts' ports."""
        self.cli("addbr", name)
        for h in hosts:
            port = h.port if isinstance(h, Host) else h
            self.addif(name, port, driver)
        if up:
            self.ns.ip("link", "set", name, "up")
            wait_for(lambda: self.host_up(name), f"{name} is up")
        return name

    def host_up(self, name):
        return next(r for r in self.json("link", "show", name))["operstate"] == "UP"

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.terminate()
            self.proc.wait(DEADLINE)
        return self.proc.returncode if self.proc else None

    def kill(self):
        """kill -9, by the pid that the daemon itself reports."""
        os.kill(self.pid, signal.SIGKILL)
        self.proc.wait(DEADLINE)

    def close(self):
        if self.proc and self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()


class Lab:
    def __init__(self, keep=False):
        self.dir = Path(tempfile.mkdtemp(prefix="vt-"))
        self.keep = keep
        self.hosts, self.daemons, self.spaces, self.procs = [], [], [], []
        self.switch = self.space("sw")
        # A host that sends while frames are counted makes tests flake.
        self.switch.sysctl("net/ipv6/conf/default/disable_ipv6", 0)

    def space(self, name):
        ns = Ns(name)
        self.spaces.append(ns)
        return ns

    def host(self, **kw):
        h = Host(self, len(self.hosts) + 1, **kw)
        self.hosts.append(h)
        return h

    def add_hosts(self, n, **kw):
        return [self.host(**kw) for _ in range(n)]

    def daemon(self, *args, ns=None, prefix=()):
        """prefix: a command that becomes the daemon."""
        d = Daemon(ns or self.switch, self.dir / f"run{len(self.daemons)}", args, prefix)
        self.daemons.append(d)
        return d.start()

    def background(self, ns, *argv, **kw):
        p = ns.popen(*argv, **kw)
        self.procs.append(p)
        return p

    def failed(self):
        """Leaves what is needed to understand a failure and says where."""
        where = self.dir.with_name(self.dir.name + "-failed")
        shutil.copytree(self.dir, where, ignore=lambda d, names: [n for n in names if n.endswith(".sock")])
        for i, d in enumerate(self.daemons):
            for what in (["status"], ["-d", "link", "show"], ["stats"], ["drops"], ["rings"]):
                with contextlib.suppress(Exception):
                    out = d.cli("-j", "-p", *what, check=False)
                    (where / f"daemon{i}-{what[-1]}").write_text(out.stdout + out.stderr)
        (where / "links").write_text(self.switch.ip("-d", "link", "show", check=False))
        return where

    def close(self):
        for p in self.procs:
            if p.poll() is None:
                p.kill()
            p.wait()
        for d in self.daemons:
            d.close()
        for x in [*self.hosts, *self.spaces]:
            x.close()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)


def frame(dst, src, payload=b"", ethertype=0x88b5, tags=()):
    """An Ethernet frame (local experimental EtherType) of at least 60 bytes."""
    def mac(m):
        return bytes.fromhex(m.replace(":", ""))
    f = mac(dst) + mac(src)
    for tpid, tci in tags:
        f += struct.pack("!HH", tpid, tci)
    return (f + struct.pack("!H", ethertype) + payload).ljust(60, b"\0")


def sent_by(host):
    """For Raw.count(): frames with the host's address as source. Others talk, too: MLD of br0."""
    return lambda f: f[6:12] == bytes.fromhex(host.mac.replace(":", ""))


def checksum_errors(ns):
    """Everything the namespace's stack counted as a bad checksum."""
    s = ns.snmp()
    e = {k: v for k, v in s.items() if "CsumErrors" in k}
    udp6 = dict(l.split() for l in ns.run("cat", "/proc/net/snmp6").splitlines())
    return sum(e.values()) + int(udp6.get("Udp6InCsumErrors", 0))


def tcp_transfer(a, b, addr, size=8 << 20, family=socket.AF_INET, port=5001):
    """Sends size random bytes from namespace a to addr in b and compares them at the end."""
    data = os.urandom(1 << 20) * (size >> 20)
    server = b.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((addr, port))
    server.listen(1)
    server.settimeout(DEADLINE * 3)
    got = bytearray()

    def receive():
        c, _ = server.accept()
        c.settimeout(DEADLINE * 3)
        with c:
            while chunk := c.recv(1 << 18):
                got.extend(chunk)

    t = threading.Thread(target=receive, daemon=True)
    t.start()
    client = a.socket(family, socket.SOCK_STREAM)
    client.settimeout(DEADLINE * 3)
    with client, server:
        client.connect((addr, port))
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        t.join(DEADLINE * 3)
    assert len(got) == len(data), f"{len(got)} of {len(data)} bytes arrived"
    assert got == data, "bytes differ"


def udp_transfer(a, b, addr, count=200, size=1200, family=socket.AF_INET, port=5002, segment=0, deadline=DEADLINE):
    """Sends datagrams (segment > 0: by UDP segmentation, so many bytes each) and compares them."""
    rx = b.socket(family, socket.SOCK_DGRAM)
    rx.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
    rx.bind((addr, port))
    rx.settimeout(deadline)
    tx = a.socket(family, socket.SOCK_DGRAM)
    if segment:
        tx.setsockopt(socket.SOL_UDP if hasattr(socket, "SOL_UDP") else 17, 103, segment)  # UDP_SEGMENT
    step = segment or size
    with rx, tx:
        for n in range(count):
            data = struct.pack("!I", n) + os.urandom(size - 4)
            tx.sendto(data, (addr, port))
            for i in range(0, size, step):
                got = rx.recv(70000)
                assert got == data[i:i + step], f"datagram {n} at {i} differs"


def addresses(network, n):
    return [str(a) for a in itertools.islice(ipaddress.ip_network(network).hosts(), n)]
