# SPDX-License-Identifier: BSD-2-Clause
"""Programs that name buffers of another program: refused, and the other does not notice."""

import ctypes
import os
import signal
import socket
import subprocess

import pytest

import lab as L
from puppet import BROADCAST, Puppet, Scene, pool, rings, settled
from test_netmap import NMPASS, Program, lost, register, request, sock
from test_soak import Load

PIDFD_GETFD = 438
ATTACH_STATE = 0xFFFF


@pytest.fixture
def scene(lab, daemon):
    """br0 with hosts and a program on it; br1, with one host, is for another program."""
    s = Scene(lab, daemon)
    s.other = lab.add_hosts(1)[0].silent()
    daemon.bridge(s.other, name="br1", driver="packet")
    daemon.ns.ip("link", "set", "br1", "arp", "off")
    daemon.cli("intercept", "br1", "stall-ms", "100", "overflow", "pass")
    before = pool(daemon)
    s.good = Puppet(lab, daemon)
    s.learn("b")
    s.heard()
    yield s
    s.good.end()
    for p in [p for p in lab.procs if p.poll() is None]:
        p.kill()
        p.wait(L.DEADLINE)
    settled(daemon, before)


def ring(d, ifname, name, direction):
    return next(r for r in rings(d) if (r["ifname"], r["ring"], r["dir"]) == (ifname, name, direction))


def domains(d):
    return {name: {r["domain"] for r in rings(d) if r["ifname"] == name} for name in ("br0", "br1")}


def shown(s):
    """A frame that the good program was shown, and the number of its buffer."""
    f = L.frame(s.mac["b"], s.mac["a"], s.fresh())
    s.send(f)
    s.good.take(f)
    return f, int(s.good.do("index", "nic", "rx"))


def undisturbed(s, f):
    """It passes its frame on, which is what it was, and the next ones."""
    s.good.take(f)
    s.good.pass_on()
    assert s.heard(until=["b"]) == {"b": [f]}
    for _ in range(3):
        f, _ = shown(s)
        s.good.pass_on()
        assert s.heard(until=["b"]) == {"b": [f]}
    assert s.good.do("poll", "nic") == s.good.do("poll", "host") == "ok"
    assert not any(r["bad"] or r["stalls"] for r in rings(s.d) if r["ifname"] == "br0")


@pytest.mark.parametrize("side", ["nic", "host"])
@pytest.mark.parametrize("which", ["shown", "free"])
def test_sent(scene, side, which):
    """In a TX slot: a frame that the other was shown, and a buffer that it would fill next."""
    s = scene
    bad = Puppet(s.lab, s.d, bridge="br1")
    f, index = shown(s)
    if which == "free":
        index = int(s.good.do("index", "host", "tx"))
    own = int(bad.do("index", side, "tx"))
    bad.do("name", side, "tx", index)
    L.wait_for(lambda: ring(s.d, "br1", side + "0", "tx")["bad"] == 1, "it is refused")
    assert bad.do("poll", side) == "err"
    assert ring(s.d, "br1", side + "0", "tx")["frames"] == 0
    # One of its own, which it has in no slot now, is all right.
    bad.do("name", side, "tx", own)
    L.wait_for(lambda: ring(s.d, "br1", side + "0", "tx")["frames"] == 1, "it is taken")
    assert ring(s.d, "br1", side + "0", "tx")["bad"] == 1
    undisturbed(s, f)
    bad.end()


@pytest.mark.parametrize("side", ["nic", "host"])
def test_to_be_filled(scene, side):
    """In an RX slot: its own ring gets nothing any more until it is put right."""
    s = scene
    bad = Puppet(s.lab, s.d, bridge="br1")
    f, index = shown(s)
    host = L.Raw(s.d.ns, "br1", promisc=False)
    sender, hears = (s.other.raw, host) if side == "nic" else (host, s.other.raw)
    one, two = (L.frame(BROADCAST, "02:00:00:00:ee:01", s.fresh()) for _ in range(2))
    own = int(bad.do("index", side, "rx"))
    bad.do("name", side, "rx", index)
    sender.send(one)
    assert hears.recv(L.DEADLINE) == one, "it goes round the program"
    L.wait_for(lambda: ring(s.d, "br1", side + "0", "rx")["state"] == "stalled", "the ring stopped")
    assert ring(s.d, "br1", side + "0", "rx")["frames"] == 0
    assert bad.do("poll", side) == "err"
    undisturbed(s, f)
    bad.do("name", side, "rx", own)
    L.wait_for(lambda: ring(s.d, "br1", side + "0", "rx")["state"] == "live", "it is back")
    sender.send(two)
    bad.take(two, side)
    assert hears.recv(0.1) is None
    bad.end()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_listed(scene, sig):
    """As a list of extra buffers, which is freed when the program ends."""
    s = scene
    bad = Puppet(s.lab, s.d, bridge="br1")
    f, index = shown(s)
    bad.do("list", "nic", index)
    bad.end(sig)
    undisturbed(s, f)
    assert "left a buffer that is not its own in the list of extra buffers" in s.d.log_text()


def test_same_ring(scene):
    """Who binds the same rings shares what is in them; who was there first may end first."""
    s = scene
    third = Puppet(s.lab, s.d, "nic", bridge="br1")
    first, s.good = s.good, Puppet(s.lab, s.d)
    two = domains(s.d)
    assert len(two["br0"]) == len(two["br1"]) == 1 and two["br0"] != two["br1"]
    assert ring(s.d, "br0", "host0", "rx")["users"] == 2
    first.end()
    assert ring(s.d, "br0", "host0", "rx")["users"] == 1
    f, _ = shown(s)
    undisturbed(s, f)
    assert domains(s.d) == two
    third.end()


def descriptor_of(pid):
    """A copy of a netmap descriptor that the process has."""
    pidfd = os.pidfd_open(pid)
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"):
            continue
        got = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, int(fd), 0)
        assert got >= 0, os.strerror(ctypes.get_errno())
        s = socket.socket(fileno=got)
        if s.family == socket.AF_UNIX and str(s.getpeername()).endswith("/netmap.sock"):
            return s
    raise AssertionError(f"process {pid} has none")


def in_child(do):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            do()
            status = 0
        finally:
            os._exit(status)
    return pid


def test_merged_under_traffic(lab):
    """Processes that have a ring each come to share a descriptor of a busy one; two workers have their rings."""
    d = lab.daemon("--workers", "2")
    a, b, c = lab.add_hosts(3)
    d.bridge(a, b, driver="packet")
    d.bridge(c, name="br1", driver="packet")
    d.cli("intercept", "br0", "stall-ms", "60000")
    assert lost(a.ping(b.addr)) == 0
    assert all(f"made worker={i}" in d.log_text() for i in (0, 1))
    before = pool(d)
    p = Program(lab, d)
    load = Load(a, b)

    def stranger(extra, ending):
        s = sock(d)
        assert request(d, s, 1, register(1, extra=extra), b"br1")[0] == 0
        mine = domains(d)
        assert mine["br0"] and mine["br1"] and mine["br0"] != mine["br1"]
        error, body, _ = request(d, descriptor_of(p.pid), ATTACH_STATE, name=b"")
        assert error == 0 and len(body) > 0
        assert len(set.union(*domains(d).values())) == 1
        if ending == "killed":
            os.kill(os.getpid(), signal.SIGKILL)

    for i in range(12):
        # The smaller domain's buffers change hands: the stranger's, or those that are in use.
        extra = 20000 if i % 4 < 2 else 0
        _, status = os.waitpid(in_child(lambda: stranger(extra, ["ends", "killed"][i % 2])), 0)
        assert os.waitstatus_to_exitcode(status) == [0, -signal.SIGKILL][i % 2]
        load.flows()
        L.wait_for(lambda: not domains(d)["br1"], "it is gone")
    assert d.log_text().count("shares a descriptor of program nmpass") == 12
    assert not any(r["bad"] or r["stalls"] for r in rings(d))
    load.end()
    p.end()
    settled(d, before)


def nmpass(lab, d, bridge):
    p = lab.background(d.ns, NMPASS, d.run_dir / "netmap.sock", bridge, stdout=subprocess.PIPE)
    assert p.stdout.readline() == "ready\n"
    return p


def test_child(lab, daemon):
    """A program without libnetmap, whose parent has a descriptor, or had one."""
    for name in ("br0", "br1"):
        daemon.bridge(name=name, up=False)
    before = pool(daemon)
    for held in (True, False):
        s = sock(daemon)
        assert request(daemon, s, 1, register(1), b"br1")[0] == 0
        if not held:
            s.close()
            s = sock(daemon)
        p = nmpass(lab, daemon, "br0")
        assert request(daemon, s, 1, register(1), b"br1")[0] == (16 if held else 0)
        assert (domains(daemon)["br0"] == domains(daemon)["br1"]) is held
        s.close()
        p.terminate()
        p.wait(L.DEADLINE)
        settled(daemon, before)


def test_daemon_in_a_pid_namespace(lab):
    """It cannot see who they are: programs of one user are one."""
    d = lab.daemon(prefix=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
    a, b = lab.add_hosts(2)
    d.bridge(a, b, driver="packet")
    d.bridge(name="br1", up=False)
    before = pool(d)
    programs = [nmpass(lab, d, name) for name in ("br0", "br1")]
    assert len(set.union(*domains(d).values())) == 1
    assert lost(a.ping(b.addr)) == 0
    for p in programs:
        p.terminate()
        p.wait(L.DEADLINE)
    settled(d, before)
    d.proc.kill()  # unshare(1) hears nothing else
    d.proc.wait(L.DEADLINE)
