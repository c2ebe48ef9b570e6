# SPDX-License-Identifier: BSD-2-Clause
"""The truth table of interception, frame class by frame class: who gets a frame, and how often."""

import pytest

import lab as L
from puppet import BROADCAST, Puppet, Scene, pool, settled, side

UNKNOWN = "02:00:00:00:ff:01"
MULTICAST = "01:00:5e:01:02:03"
PAUSE, BPDU, LLDP = (f"01:80:c2:00:00:{x:02x}" for x in (1, 0, 0x0e))
BEHIND_A = "02:00:00:00:aa:aa"  # a second address behind port a

# A class of frames that a sends: destination, who gets it from a bridge alone, why it is dropped.
WIRE = {
    "to the bridge": ("host", ["host"], None),
    "to the port it came by": ("port a", ["host"], None),
    "to another port": ("port c", ["host"], None),
    "known": ("b", ["b"], None),
    "same port": (BEHIND_A, [], "same_port"),
    "unknown": (UNKNOWN, ["b", "c"], None),
    "broadcast": (BROADCAST, ["b", "c", "host"], None),
    "multicast": (MULTICAST, ["b", "c", "host"], None),
    "bpdu": (BPDU, ["b", "c", "host"], None),  # spanning tree is off: a group address like others
    "lldp": (LLDP, ["host"], None),
    "pause": (PAUSE, [], "pause"),
}
FROM_HOST = {
    "known": ("b", ["b"], None),
    "unknown": (UNKNOWN, ["a", "b", "c"], None),
    "broadcast": (BROADCAST, ["a", "b", "c"], None),
    "multicast": (MULTICAST, ["a", "b", "c"], None),
}
# mode: (setting, sides that the program opens)
MODES = {
    "all": ("all", "both"), "local": ("local", "both"), "copy": ("copy", "both"), "none": ("none", "both"),
    "auto-inline": ("auto", "both"), "auto-reader": ("auto", "nic"), "auto-host-reader": ("auto", "host"),
    "all-reader": ("all", "nic"),
}


def plan(mode, name, base):
    """What mode does with a class: "take", "copy", "share" (the host's share is taken) or nothing."""
    if not base or name == "lldp" and mode not in ("copy", "auto-reader"):
        return None  # `reserved hide`
    if mode == "local":
        return "take" if base == ["host"] else "share" if "host" in base else None
    return {"all": "take", "all-reader": "take", "auto-inline": "take", "copy": "copy", "auto-reader": "copy"}.get(mode)


@pytest.fixture
def scene(lab, daemon):
    s = Scene(lab, daemon)
    for n in "abc":
        s.learn(n)
    s.learn("a", BEHIND_A)
    s.heard()
    before = pool(daemon)
    yield s
    for p in lab.procs:
        p.kill()
    settled(daemon, before)


def heard_as(got, frame, names):
    assert got == {n: [frame] for n in names}, {n: [f.hex()[:60] for f in g] for n, g in got.items()}


def walk(s, p, how, frame, src, base, deed, ring, drops):
    """One frame through bridge and program: where it is before and after the program gave it back."""
    with s.drops(**drops):
        s.send(frame, src)
        first = {"take": [], "share": [n for n in base if n != "host"]}.get(deed, base)
        heard_as(s.heard(src), frame, first)
    if deed:
        p.take(frame, ring)
    assert p.recv(ring, 0.01 if not deed else 0) in ((None,) if not deed else (frame,))
    if not deed:
        return
    if how == "free":
        p.free(ring)
        heard_as(s.heard(src), frame, [])
        return
    rest = [n for n in base if n not in first]
    with s.drops(**({"copy_return": 1} if deed == "copy" else {})):
        p.pass_on(how, ring)
        heard_as(s.heard(src, rest), frame, rest)


@pytest.mark.parametrize("mode,how", [(m, h) for m in MODES for h in
                                      (["free"] if "reader" in m else ["swap"] if m == "none" else ["swap", "copy"])])
def test_from_the_wire(scene, mode, how):
    s = scene
    setting, sides = MODES[mode]
    s.d.cli("intercept", "br0", "mode", setting)
    p = Puppet(s.lab, s.d, sides)
    for name, (dst, base, why) in WIRE.items():
        f = L.frame(s.mac.get(dst, dst), s.mac["a"], name.encode() + s.fresh())
        deed = plan(mode, name, base)
        try:
            if mode == "auto-host-reader":
                with s.drops(**({why: 1} if why else {})):
                    s.send(f)
                    heard_as(s.heard(), f, base)
                continue
            walk(s, p, how, f, "a", base, deed, "nic", {why: 1} if why else {})
        except AssertionError as e:
            raise AssertionError(f"{mode}, {how}, {name}: {e}") from e
    if mode != "auto-host-reader":
        row = side(s.d)
        deeds = [plan(mode, n, b) for n, (_, b, _) in WIRE.items()]
        assert (row["taken"], row["copied"]) == (len(deeds) - deeds.count("copy") - deeds.count(None),
                                                 deeds.count("copy")), row


@pytest.mark.parametrize("mode,how", [(m, h) for m in ("all", "local", "copy", "none", "auto-inline",
                                                       "auto-host-reader") for h in ("swap", "copy")])
def test_from_the_host(scene, mode, how):
    """What the host sends: diverted by `local`, too."""
    s = scene
    setting, sides = MODES[mode]
    s.d.cli("intercept", "br0", "mode", setting)
    p = Puppet(s.lab, s.d, sides)
    for name, (dst, base, why) in FROM_HOST.items():
        f = L.frame(s.mac.get(dst, dst), s.mac["host"], name.encode() + s.fresh())
        deed = {"none": None, "copy": "copy", "auto-host-reader": "copy"}.get(mode, "take")
        try:
            walk(s, p, "free" if "reader" in mode else how, f, "host", base, deed, "host", {})
        except AssertionError as e:
            raise AssertionError(f"{mode}, {how}, {name}: {e}") from e


@pytest.mark.parametrize("mode", ["all", "local", "copy", "none", "auto"])
def test_from_the_program(scene, mode):
    """Frames of its own: as the host's by the NIC ring, as from nowhere by the host's ring."""
    s = scene
    s.d.cli("intercept", "br0", "mode", mode)
    p = Puppet(s.lab, s.d)
    ours = "02:00:00:00:77:77"
    classes = {  # by the NIC ring, by the host's ring
        "host": (None, ["host"]),
        "b": (["b"], ["b"]),
        UNKNOWN: (["a", "b", "c"], ["a", "b", "c", "host"]),
        BROADCAST: (["a", "b", "c"], ["a", "b", "c", "host"]),
        MULTICAST: (["a", "b", "c"], ["a", "b", "c", "host"]),
    }
    for dst, goes in classes.items():
        for ring, names in zip(("nic", "host"), goes):
            if names is None:
                continue
            f = L.frame(s.mac.get(dst, dst), ours, dst.encode() + s.fresh())
            try:
                with s.drops():
                    p.send(f, ring)
                    heard_as(s.heard("a", names), f, names)
                assert p.recv("nic", 0) is p.recv("host", 0) is None, "its own frame was shown to it"
            except AssertionError as e:
                raise AssertionError(f"{mode}, {dst} by {ring}: {e}") from e
    assert (ours, 0) not in s.d.fdb(), "a program's frames teach the bridge nothing"


@pytest.mark.parametrize("ring", ["nic", "host"])
@pytest.mark.parametrize("dst,why", [(PAUSE, "pause"), (BPDU, "reserved_sent"), (LLDP, "reserved_sent")])
def test_forged_reserved(scene, ring, dst, why):
    """A program cannot send to reserved addresses; also not by a frame that it was lent."""
    s = scene
    p = Puppet(s.lab, s.d)
    with s.drops(**{why: 1}):
        p.send(L.frame(dst, s.mac["a"], s.fresh()), ring)
        assert s.heard() == {}
    s.send(L.frame(s.mac["b"], s.mac["a"], s.fresh()))
    p.recv()
    with s.drops(**{why: 1}):
        p.edit(0, bytes.fromhex(dst.replace(":", "")))
        p.pass_on()
        assert s.heard() == {}
    s.d.cli("intercept", "br0", "reserved-tx", "on")
    f = L.frame(dst, "02:00:00:00:77:78", s.fresh())
    names = [] if dst == PAUSE else ["a", "b", "c"] if ring == "nic" else ["host"] if dst == LLDP else \
        ["a", "b", "c", "host"]
    with s.drops(**({"pause": 1} if dst == PAUSE else {})):
        p.send(f, ring)
        heard_as(s.heard("a", names), f, names)


@pytest.mark.parametrize("reserved", ["hide", "copy", "take"])
@pytest.mark.parametrize("mode", ["all", "copy"])
def test_reserved(scene, mode, reserved):
    """LLDP: who sees it is a setting; it goes to the host and no further, and once."""
    s = scene
    s.d.cli("intercept", "br0", "mode", mode, "reserved", reserved)
    p = Puppet(s.lab, s.d)
    f = L.frame(LLDP, s.mac["a"], s.fresh(), 0x88cc)
    deed = "copy" if mode == "copy" else {"hide": None, "copy": "copy", "take": "take"}[reserved]
    walk(s, p, "swap", f, "a", ["host"], deed, "nic", {})


def test_blocked(scene):
    """What the bridge refuses is dropped by its reason and never shown."""
    s = scene
    p = Puppet(s.lab, s.d)
    for src in ("00:00:00:00:00:00", MULTICAST):
        with s.drops(invalid_source=1):
            s.send(L.frame(s.mac["b"], src, s.fresh()))
            assert s.heard() == {}
    for n in "ab":
        s.d.cli("link", "set", s.hosts[n].port, "isolated", "on")
    with s.drops(isolated=1):
        s.send(L.frame(s.mac["b"], s.mac["a"], s.fresh()))
        L.wait_for(lambda: s.d.drop("isolated") > 0, "counted")
    assert p.recv("nic", 0.01) is None
    for n in "ab":
        s.d.cli("link", "set", s.hosts[n].port, "isolated", "off")
    s.d.cli("link", "set", "br0", "type", "bridge", "monitor", "on")
    with s.drops(monitor=1):
        s.send(L.frame(s.mac["b"], s.mac["a"], s.fresh()))
        L.wait_for(lambda: s.d.drop("monitor") > 0, "counted")
    assert p.recv("nic", 0.01) is None
    s.d.cli("link", "set", "br0", "type", "bridge", "monitor", "off")


def test_a_port_that_joins_is_inspected_at_once(scene):
    """A tap and a veth that come while the program runs: their first frame is in its ring."""
    s = scene
    p = Puppet(s.lab, s.d)
    late = s.lab.host().silent()
    s.d.ns.ip("tuntap", "add", "tap9", "mode", "tap")
    tap = open_tap(s.d.ns, "tap9")
    s.d.ns.ip("link", "set", "tap9", "up")
    for name, send in ((late.port, late.raw.send), ("tap9", lambda f: tap.write(f))):
        s.d.cli("addif", "br0", name)
        L.wait_for(lambda n=name: s.d.port(n)["operstate"] == "UP", f"{name} is up")
        f = L.frame(s.mac["b"], "02:00:00:00:99:99", s.fresh())
        send(f)
        p.take(f)
        p.pass_on()
        got = s.heard("a", ["b"])
        assert got == {"b": [f]}, got
    tap.close()


def open_tap(ns, name):
    """The far end of a TAP."""
    import fcntl
    import struct
    with ns.enter():
        t = open("/dev/net/tun", "r+b", buffering=0)
        fcntl.ioctl(t, 0x400454ca, struct.pack("16sH22x", name.encode(), 0x1002))  # TUNSETIFF: TAP, no header
    return t
