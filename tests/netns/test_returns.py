# SPDX-License-Identifier: BSD-2-Clause
"""
A frame that comes back goes on from the port that it came from, and is not lost, whatever became of
addresses meanwhile; each test is a way in which a bridge that guesses the port by the source loses it.
"""

import socket

import pytest

import lab as L
from puppet import BROADCAST, Puppet, Scene, pool, rings, settled, side

UNKNOWN = "02:00:00:00:ff:01"
SOURCE = "02:00:00:00:55:55"
HOW = ["swap", "copy"]


@pytest.fixture
def scene(lab, daemon, request):
    s = Scene(lab, daemon, **getattr(request, "param", {}))
    for n in "abc":
        s.learn(n)
    before = pool(daemon)
    yield s
    for p in lab.procs:
        p.kill()
    settled(daemon, before)


def flushed(s):
    L.wait_for(lambda: (SOURCE, 0) in s.d.fdb(), "learned before the program had it")
    s.d.cli("fdb", "flush", "br", "br0")
    assert (SOURCE, 0) not in s.d.fdb()


def aged(s):
    s.d.cli("setageing", "br0", "1")
    L.wait_for(lambda: (SOURCE, 0) not in s.d.fdb(), "aged out")


def moved(s):
    s.learn("c", SOURCE)


def link_lost(s):
    s.hosts["a"].ns.ip("link", "set", "eth0", "down")
    L.wait_for(lambda: s.d.port(s.hosts["a"].port)["operstate"] == "DOWN", "no link")
    s.hosts["a"].ns.ip("link", "set", "eth0", "up")
    L.wait_for(lambda: s.d.port(s.hosts["a"].port)["operstate"] == "UP", "link")
    s.ears["a"].s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # ENETDOWN, once


# What happens before the frame is sent, and while the program has it.
CASES = {
    "nothing": (None, None),
    "learning off": (lambda s: s.d.cli("link", "set", s.hosts["a"].port, "learning", "off"), None),
    "fdb full": (lambda s: s.d.cli("link", "set", "br0", "type", "bridge", "fdb_max_learned", "1"), None),
    "port full": (lambda s: s.d.cli("link", "set", s.hosts["a"].port, "fdb_max_learned", "1"), None),
    "learns nothing": (lambda s: s.d.cli("setageing", "br0", "0"), None),
    "flushed": (None, flushed),
    "aged": (None, aged),
    "moved": (None, moved),
    "link lost": (None, link_lost),
}
UNLEARNED = ("learning off", "fdb full", "port full", "learns nothing")


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("case", CASES)
def test_source(scene, case, how):
    """Flooded to all but its true port; to a known address if that still is one."""
    s = scene
    before, meanwhile = CASES[case]
    if before:
        before(s)
    p = Puppet(s.lab, s.d)
    for dst, names in ((UNKNOWN, ["b", "c"]), (BROADCAST, ["b", "c", "host"]), (s.mac["host"], ["host"])):
        f = L.frame(dst, SOURCE, s.fresh())
        with s.drops():
            s.send(f)
            p.take(f)
            if case in UNLEARNED:
                assert (SOURCE, 0) not in s.d.fdb(), "the case is not what it says"
            if meanwhile:
                meanwhile(s)
                meanwhile = None
            p.pass_on(how)
            got = s.heard("b", names)
        assert got == {n: [f] for n in names}, (dst, got)
    origins = side(s.d)["origins"]
    assert origins["buffer" if how == "swap" else "digest"] >= 3 and origins["unknown"] == 0, origins


@pytest.mark.parametrize("how", HOW)
def test_moved_does_not_go_back_to_its_port(scene, how):
    """The destination is behind the true ingress port by now: dropped, not reflected. And the other way round."""
    s = scene
    p = Puppet(s.lab, s.d)
    f = L.frame(s.mac["b"], SOURCE, s.fresh())
    s.send(f)
    p.take(f)
    s.send(L.frame(UNKNOWN, s.mac["b"], s.fresh(), 0x88b6), "a")  # b moves behind a
    L.wait_for(lambda: s.d.fdb()[(s.mac["b"], 0)]["ifname"] == s.hosts["a"].port, "b moved")
    with s.drops(same_port=1):
        p.pass_on(how)
    g = L.frame(s.mac["c"], SOURCE, s.fresh())
    s.send(g)
    p.take(g)
    s.learn("c", SOURCE)  # the sender moves to the destination's port
    p.pass_on(how)
    assert s.heard("a", ["c"]) == {"c": [g]}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("new", ["a new one", "b", "host", "port b", "00:00:00:00:00:00", "01:00:5e:00:00:09"])
def test_rewritten_source(scene, new, how):
    """A program that is a NAT: by its buffer the frame's port is known; a copy is from nowhere."""
    s = scene
    p = Puppet(s.lab, s.d)
    if new == "b":  # the program has seen a frame of b
        s.send(L.frame(s.mac["a"], s.mac["b"], s.fresh()), "b")
        p.recv()
        p.pass_on(how)
        s.heard("b", ["a"])
    mac = s.mac.get(new, "02:00:00:00:44:44" if new == "a new one" else new)
    f = L.frame(UNKNOWN, s.mac["a"], s.fresh())
    s.send(f)
    p.take(f)
    p.edit(6, bytes.fromhex(mac.replace(":", "")))
    g = L.frame(UNKNOWN, mac, f[14:])
    assert len(g) == len(f)
    # A copy is recognised by its bytes, and those are new. An address of b is taken for b's frame.
    names = ["b", "c"] if how == "swap" else ["a", "c"] if new == "b" else ["a", "b", "c", "host"]
    with s.drops():
        p.pass_on(how)
        got = s.heard("a", names)
    assert got == {n: [g] for n in names}, {n: [x.hex() for x in fs] for n, fs in got.items()}
    assert s.d.fdb()[(s.mac["b"], 0)]["ifname"] == s.hosts["b"].port


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("source", ["host", "port a", "port b"])
def test_own_address_as_source(scene, source, how):
    """Whatever the bridge makes of it without a program, it makes of it with one."""
    s = scene
    f = L.frame(UNKNOWN, s.mac[source], s.fresh())
    s.send(f)
    alone = {n: len(x) for n, x in s.heard().items()}
    p = Puppet(s.lab, s.d)
    f = L.frame(UNKNOWN, s.mac[source], s.fresh())
    with s.drops():
        s.send(f)
        if alone:
            p.take(f)
            p.pass_on(how)
        got = s.heard("a", list(alone))
    assert {n: len(x) for n, x in got.items()} == alone


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("tags", [[(0x8100, 10)], [(0x8100, 0x6000)], [(0x88a8, 20), (0x8100, 10)], [(0x88a8, 5)]],
                         ids=["vlan", "priority", "qinq", "stag"])
def test_tagged(scene, tags, how):
    """Tags are in the frame, and it comes back with them, of full size too."""
    s = scene
    p = Puppet(s.lab, s.d)
    for dst, names in ((UNKNOWN, ["b", "c"]), (s.mac["b"], ["b"]), (BROADCAST, ["b", "c", "host"])):
        for size in (10, 1480):
            f = L.frame(dst, SOURCE, s.fresh().ljust(size, b"x"), tags=tags)
            with s.drops():
                s.send(f)
                p.take(f)
                p.pass_on(how)
                got = s.heard("a", names)
            assert got == {n: [f] for n in names}, (dst, size, got)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("leaves", ["its port", "another"])
def test_port_leaves_meanwhile(scene, leaves, how):
    s = scene
    p = Puppet(s.lab, s.d)
    f = L.frame(UNKNOWN, SOURCE, s.fresh())
    s.send(f)
    p.take(f)
    gone = s.hosts["a" if leaves == "its port" else "c"]
    s.d.cli("delif", "br0", gone.port)
    with s.drops(**({"origin_gone": 1} if leaves == "its port" else {})):
        p.pass_on(how)
        if leaves != "its port":
            s.hosts["b"].raw.expect(f)
    s.d.cli("addif", "br0", gone.port, "driver", "packet")


@pytest.mark.parametrize("how", HOW)
def test_a_copy_returned_goes_nowhere(scene, how):
    """Mode `copy`: frames that went on already are counted when they come back, and only that."""
    s = scene
    s.d.cli("intercept", "br0", "mode", "copy")
    p = Puppet(s.lab, s.d)
    with s.drops(copy_return=20), p.auto(how):
        sent = [L.frame(s.mac["b"], s.mac["a"], s.fresh()) for _ in range(20)]
        for f in sent:
            s.send(f)
        L.wait_for(lambda: s.d.drop("copy-return") == 20, "all came back")
        assert s.heard("a", ["b"] * 20) == {"b": sent}


# ---- frames longer than a slot ----

JUMBO = pytest.mark.parametrize("scene", [{"mtu": 9000}], indirect=True)


@JUMBO
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("oversize", ["pass", "multislot", "drop"])
def test_jumbo(scene, oversize, how):
    s = scene
    s.d.cli("intercept", "br0", "oversize", oversize)
    p = Puppet(s.lab, s.d)
    room = 1792
    for size in (room, room + 1, 2 * room, 2 * room + 1, 8999 + 14):
        f = L.frame(s.mac["b"], s.mac["a"], bytes(i * 7 & 255 for i in range(size - 14)))
        small = size <= room
        with s.drops(**({"ring_oversize": 1} if oversize == "drop" and not small else {})):
            s.send(f)
            if small or oversize == "multislot":
                got = p.recv()
                parts = got if isinstance(got, list) else [got]
                assert b"".join(parts) == f and len(parts) == (size + room - 1) // room
                p.pass_on(how)
            if oversize != "drop" or small:
                assert s.heard("a", ["b"]) == {"b": [f]}
            else:
                L.wait_for(lambda: s.d.drop("ring-oversize") > 0, "dropped")
        assert p.recv("nic", 0.01) is None
    row = side(s.d)
    assert row["oversize"] == (4 if oversize == "pass" else 0)
    assert row["origins"]["unknown"] == 0
    g = L.frame(s.mac["b"], "02:00:00:00:77:77", bytes(5000))  # of its own
    p.send(g)
    assert s.heard("a", ["b"]) == {"b": [g]}


# ---- stalls and ends, frame by frame ----

@pytest.mark.parametrize("fail", ["open", "closed"])
@pytest.mark.parametrize("end", ["stall", "kill"])
def test_frames_in_its_rings(scene, end, fail):
    """
    It has seen two frames and the bridge put three more into the ring. A hang takes back what it
    has not seen; an end takes back all. Each goes on once, in order, or is dropped once.
    """
    s = scene
    s.d.cli("intercept", "br0", "stall-ms", "100" if end == "stall" else "60000", "fail", fail)
    p = Puppet(s.lab, s.d)
    frames = [L.frame(s.mac["b"], s.mac["a"], s.fresh()) for _ in range(5)]
    back = frames[2:] if end == "stall" else frames
    with s.drops(**({"not_inspected": len(back)} if fail == "closed" else {})):
        for f in frames[:2]:
            s.send(f)
        p.take(frames[0])
        L.wait_for(lambda: p.recv("nic", 0) and waiting(s.d) == 2, "two are there")
        p.take(frames[0])  # a sync: both are seen
        for f in frames[2:]:
            s.send(f)
        if end == "kill":
            L.wait_for(lambda: waiting(s.d) == 5, "five are there")
            p.end()
        else:
            L.wait_for(lambda: state(s.d) == "stalled", "the bridge goes round it")
        assert s.heard("a", ["b"] * len(back) if fail == "open" else []) == ({"b": back} if fail == "open" else {})
    if end == "kill":
        return
    p.pass_on()
    p.pass_on()
    assert s.heard("a", ["b"] * 2) == {"b": frames[:2]}, "what it had seen remains its own"
    L.wait_for(lambda: state(s.d) == "live", "it is back")
    g = L.frame(s.mac["b"], s.mac["a"], s.fresh())
    s.send(g)
    p.take(g)
    p.pass_on()
    assert s.heard("a", ["b"]) == {"b": [g]}


def state(d):
    return next(r for r in rings(d) if (r["ring"], r["dir"]) == ("nic0", "rx"))["state"]


def waiting(d):
    return next(r for r in rings(d) if (r["ring"], r["dir"]) == ("nic0", "rx"))["lag"]


@pytest.mark.parametrize("overflow", ["drop", "pass"])
def test_ring_full(scene, overflow):
    """1,023 fit. The rest is dropped with its reason or goes on; nothing else happens to it."""
    s = scene
    s.d.cli("intercept", "br0", "overflow", overflow)
    p = Puppet(s.lab, s.d)
    n, room = 1100, 1023
    sent = [L.frame(s.mac["b"], s.mac["a"], s.fresh()) for _ in range(n)]
    with s.drops(**({"ring_full": n - room} if overflow == "drop" else {})):
        for i, f in enumerate(sent):
            s.send(f)
            if i % 100 == 99:
                L.wait_for(lambda: waiting(s.d) == min(i + 1, room), "what was sent is in the ring")
        late = sent[room:] if overflow == "pass" else []
        got = s.heard("a", [])
        L.wait_for(lambda: waiting(s.d) == room, "the ring is full")
        assert [f[14:30] for f in got.get("b", [])] == [f[14:30] for f in late] and set(got) <= {"b"}
        with p.auto():
            assert s.heard("c", ["b"] * room) == {"b": sent[:room]}
