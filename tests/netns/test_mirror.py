# SPDX-License-Identifier: BSD-2-Clause
"""Mirrors: to a port, to a TAP; who, how often, how much; and what is refused."""

import signal
import subprocess
import time

import pytest

import lab as L
from puppet import BROADCAST, Puppet, Scene, pool, rings

TESTED = "ether proto 0x88b5"


@pytest.fixture
def scene(lab, daemon):
    """Hosts a, b, c as ever, and a fourth one that only listens: the analyser."""
    s = Scene(lab, daemon)
    for n in "abc":
        s.learn(n)
    s.heard()
    s.ids = lab.host().silent()
    daemon.addif("br0", s.ids.port, "packet")
    L.wait_for(lambda: daemon.port(s.ids.port)["state"] == "forwarding", "the fourth port is up")
    s.ear = s.ids.raw
    s.free = pool(daemon)
    yield s
    for p in lab.procs:
        p.kill()
    L.wait_for(lambda: pool(daemon) == s.free, f"all buffers are back: {s.free}, now {pool(daemon)}")


def mirror(s, *words, name="ids", to=None):
    return s.d.cli("mirror", "add", "br0", name, "to", to or s.ids.port, *words, "filter", TESTED)


def copied(s, name="ids"):
    return next(m for m in s.d.json("mirror", "show", "br0") if m["name"] == name)


def frame(s, dst, src="a", payload=None, **kw):
    return L.frame(s.mac.get(dst, dst), s.mac[src], payload or s.fresh(), **kw)


def seen(s, ear, *frames):
    """The analyser got these, each once, and nothing else of ours."""
    want, got = sorted(frames), []
    while len(got) < len(want):
        f = ear.recv(L.DEADLINE)
        assert f is not None, f"{len(got)} of {len(want)} frames"
        got += [f] if b"frame " in f or f in want else []
    while (f := ear.recv(0.1)) is not None:
        got += [f] if b"frame " in f else []
    assert sorted(got) == want, [f.hex() for f in got]


@pytest.mark.parametrize("dirs,a_to_b,b_to_a", [("rx", 1, 0), ("tx", 0, 1), ("both", 1, 1)])
def test_directions(scene, dirs, a_to_b, b_to_a):
    s = scene
    mirror(s, dirs, s.hosts["a"].port)
    s.send(f := frame(s, "b"))
    assert s.heard() == {"b": [f]}
    assert copied(s)["packets"] == a_to_b
    s.send(g := frame(s, "a", "b"), "b")
    assert s.heard("b") == {"a": [g]}
    assert copied(s)["packets"] == a_to_b + b_to_a
    seen(s, s.ear, *([f] if a_to_b else []), *([g] if b_to_a else []))


@pytest.mark.parametrize("mode,how", [(m, h) for m in ("none", "all", "local", "copy") for h in ("swap", "copy")])
def test_once_however_intercepted(scene, mode, how):
    """Received and sent by mirrored ports, flooded to several, with a program in between."""
    s = scene
    s.d.cli("intercept", "br0", "mode", mode)
    mirror(s, "both", f"{s.hosts['a'].port},{s.hosts['b'].port}", "tx", "br0")
    mirror(s, "both", s.hosts["a"].port, "rx", f"br0", name="again")
    p = Puppet(s.lab, s.d, "both")
    frames = []
    with p.auto(how):
        for dst, src in (("b", "a"), (BROADCAST, "a"), (BROADCAST, "c"), ("host", "a"), (BROADCAST, "host")):
            s.send(f := frame(s, dst, src), src)
            s.heard(src)
            frames.append(f)
        seen(s, s.ear, *frames)  # while the program deals with what the marks have overtaken
    assert copied(s)["packets"] + copied(s, "again")["packets"] == len(frames)
    p.end()


def test_before_the_program_and_the_rules(scene):
    s = scene
    s.d.cli("intercept", "br0", "mode", "all")
    s.d.cli("rule", "add", "br0", "pre_routing", "drop", "filter", TESTED)
    mirror(s, "rx", s.hosts["a"].port)
    p = Puppet(s.lab, s.d, "both")
    s.send(f := frame(s, "b"))
    p.take(f)
    seen(s, s.ear, f)
    p.free()
    s.send(g := frame(s, "b"))
    p.take(g)
    with s.drops(rule=1):
        p.pass_on("swap")
        assert s.heard() == {}
    seen(s, s.ear, g)
    p.end()


def test_a_span_port_only_listens(scene):
    s = scene
    mirror(s, "rx", s.hosts["a"].port)
    row = s.d.port(s.ids.port)
    assert row["state"] == "disabled" and row["linkinfo"]["info_slave_data"]["span"] is True
    s.send(f := frame(s, BROADCAST, "b"), "b")
    assert set(s.heard("b")) == {"a", "c", "host"}
    with s.drops(span=1):
        s.ear.send(L.frame(BROADCAST, s.ids.mac, s.fresh()))
        L.wait_for(lambda: s.d.drop("span") == 1, "what it sends is dropped")
    assert s.heard() == {}
    seen(s, s.ear)
    s.d.cli("mirror", "del", "br0", "ids")
    assert s.d.port(s.ids.port)["state"] == "forwarding"
    s.send(f := frame(s, BROADCAST, "b"), "b")
    s.ear.expect(f)


def test_tap_filter_vlan_and_snap(scene):
    s = scene
    s.d.ns.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    s.d.cli("mirror", "add", "br0", "v", "to", "tap:mon0", "vlan", "20", "snap", "64", "filter", "vlan and ether[18] = 0x58")
    assert copied(s, "v")["state"] == "down"
    s.d.ns.ip("link", "set", "mon0", "up")
    L.wait_for(lambda: copied(s, "v")["state"] == "up", "the TAP is up")
    ear = L.Raw(s.d.ns, "mon0")
    body = b"X" + s.fresh().ljust(300, b".")
    long = frame(s, "b", payload=body, tags=[(0x8100, 20)])
    for f in (long, frame(s, "b", payload=body, tags=[(0x8100, 21)]), frame(s, "b", payload=body),
              frame(s, "b", payload=b"no", tags=[(0x8100, 20)])):
        s.send(f)
        assert set(s.heard()) == {"b"}
    seen(s, ear, long[:64])
    row = copied(s, "v")
    assert (row["packets"], row["cut"], row["lost"]) == (1, 1, 0)
    ear.close()
    s.d.cli("mirror", "del", "br0", "v")
    assert "mon0" not in s.d.ns.links()


def test_chosen_by_a_rule(scene):
    s = scene
    s.d.cli("mirror", "add", "br0", "ids", "to", s.ids.port)
    s.d.cli("rule", "add", "br0", "forward", "mirror", "to", "ids", "name", "odd", "filter",
            f"{TESTED} and ether[14] = 0x58")
    s.send(f := frame(s, BROADCAST, payload=b"X"))
    assert set(s.heard()) == {"b", "c", "host"}
    s.send(frame(s, "b"))
    s.heard()
    seen(s, s.ear, f)
    err = s.d.fails("mirror", "del", "br0", "ids")
    assert "rule odd of br0 forward copies to it" in err and "viaduct rule del br0 forward odd" in err


def test_tcp_goes_on_and_is_seen(lab, daemon):
    """Real TCP with offloads: mirrored GSO frames leave the bytes and checksums of others alone."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    daemon.cli("mirror", "add", "br0", "ids", "to", "tap:mon0", "both", f"{a.port},{b.port}")
    daemon.ns.ip("link", "set", "mon0", "up")
    errors = L.checksum_errors(a.ns), L.checksum_errors(b.ns)
    L.tcp_transfer(a.ns, b.ns, b.addr, size=4 << 20)
    assert (L.checksum_errors(a.ns), L.checksum_errors(b.ns)) == errors
    row = daemon.json("mirror", "show")[0]
    assert row["bytes"] > 4 << 20, row
    a.ping(b.addr)


@pytest.mark.parametrize("driver", ["packet"])
def test_a_destination_without_offloads(lab, daemon, driver):
    """Unfinished checksums are finished in a copy for the span port alone."""
    a, b, c = lab.add_hosts(3)
    daemon.bridge(a, b)
    daemon.addif("br0", c.port, driver)
    daemon.cli("mirror", "add", "br0", "ids", "to", c.port, "rx", a.port)
    L.udp_transfer(a.ns, b.ns, b.addr, size=1200, count=50)
    assert daemon.json("mirror", "show")[0]["packets"] >= 50


def test_a_destination_that_goes_and_returns(scene):
    s = scene
    mirror(s, "rx", s.hosts["a"].port)
    s.d.cli("delif", "br0", s.ids.port)
    assert (copied(s)["state"], copied(s)["absent"]) == ("away", [s.ids.port])
    s.send(frame(s, "b"))
    s.heard()
    assert copied(s)["lost"] == 1
    s.d.addif("br0", s.ids.port, "packet")
    assert s.d.port(s.ids.port)["state"] == "disabled"
    s.send(f := frame(s, "b"))
    s.heard()
    seen(s, s.ear, f)
    assert copied(s)["lost"] == 1


def test_loops_are_refused(scene):
    s = scene
    a, b, m = s.hosts["a"].port, s.hosts["b"].port, s.ids.port
    d = s.d
    assert f"to {a}: it is a source as well" in d.fails("mirror", "add", "br0", "x", "to", a, "both", f"{b},{a}")
    assert "the bridge itself cannot be" in d.fails("mirror", "add", "br0", "x", "to", "br0", "rx", a)
    mirror(s, "rx", a)
    assert f"to {a}: it is a source of mirror ids" in d.fails("mirror", "add", "br0", "x", "to", a, "rx", b)
    assert f"{m} cannot be a source: it is the destination of mirror ids" in d.fails(
        "mirror", "add", "br0", "x", "to", "tap:t0", "rx", m)
    assert "br0 has one of that name" in d.fails("mirror", "add", "br0", "ids", "to", "tap:t0", "rx", b)
    assert "none of that name" in d.fails("mirror", "del", "br0", "x")
    assert "column 5" in d.fails("mirror", "add", "br0", "x", "to", "tap:t0", "filter", "tcp prt 8")
    assert "vlan 5000: not a number from 1 to 4094" in d.fails("mirror", "add", "br0", "x", "to", "tap:t0", "vlan", "1,5000")
    assert [x["name"] for x in d.json("mirror", "show")] == ["ids"]
    assert "t0" not in d.ns.links(), "what was refused left no TAP"
    mirror(s, "rx", b, name="two")  # the same destination
    s.send(f := frame(s, "c", "b"), "b")
    s.heard("b")
    seen(s, s.ear, f)


# ---- to a netmap endpoint ----

class Reader:
    """A program on netmap:ids; what it gets is what the analyser of seen() hears."""

    def __init__(self, s, sides="nic", name="ids"):
        self.puppet = Puppet(s.lab, s.d, sides, bridge=name)

    def recv(self, timeout):
        f = self.puppet.recv(timeout=timeout)
        if f is not None:
            self.puppet.free()
        return f


def netmap_mirror(s, *words, name="ids", **kw):
    return mirror(s, *words, name=name, to="netmap:ids", **kw)


def test_netmap_endpoint(scene):
    """Nobody has it open: nothing is copied, nothing lost. Then a program gets each frame once, and may only read."""
    s = scene
    a, b = s.hosts["a"].port, s.hosts["b"].port
    netmap_mirror(s, "both", f"{a},{b}")
    row = s.d.port("ids")
    assert (row["driver"], row["operstate"], row["state"]) == ("ring", "DOWN", "disabled")
    assert row["linkinfo"]["info_slave_data"]["span"] is True
    s.send(frame(s, "b"))
    assert set(s.heard()) == {"b"}
    assert [copied(s)[k] for k in ("state", "packets", "lost", "absent")] == ["down", 0, 0, []]
    ear = Reader(s, "both")
    L.wait_for(lambda: copied(s)["state"] == "up", "the endpoint is open")
    for dst, src in (("b", "a"), ("a", "b"), (BROADCAST, "a"), (BROADCAST, "c")):
        s.send(f := frame(s, dst, src), src)
        assert s.heard(src)
        seen(s, ear, f)
    assert copied(s)["packets"] == 4 and copied(s)["lost"] == 0
    with s.drops(span=3):
        for side in ("nic", "host"):
            ear.puppet.send(frame(s, "b"), side)
        s.send(f := frame(s, "b"))
        assert s.heard() == {"b": [f]}
        ear.puppet.take(f)
        ear.puppet.pass_on("swap")
        L.wait_for(lambda: s.d.drop("span") == 3, "what the program sends is refused")
    assert s.heard() == {}
    ear.puppet.end()
    L.wait_for(lambda: copied(s)["state"] == "down", "the endpoint is closed")
    s.send(frame(s, "b"))
    s.heard()
    assert copied(s)["packets"] == 5 and copied(s)["lost"] == 0


@pytest.mark.parametrize("how", ["swap", "copy"])
def test_netmap_endpoint_beside_a_program_inline(scene, how):
    s = scene
    s.d.cli("intercept", "br0", "mode", "all")
    netmap_mirror(s, "both", f"{s.hosts['a'].port},{s.hosts['b'].port}", "tx", "br0")
    inline = Puppet(s.lab, s.d, "both")
    ear = Reader(s)
    frames = []
    with inline.auto(how):
        for dst, src in (("b", "a"), (BROADCAST, "a"), (BROADCAST, "c"), ("host", "a"), (BROADCAST, "host")):
            s.send(f := frame(s, dst, src), src)
            s.heard(src)
            frames.append(f)
        seen(s, ear, *frames)  # while the program deals with what the marks have overtaken
    assert copied(s)["packets"] == len(frames)
    ear.puppet.end()
    inline.end()


def test_netmap_endpoint_ring_full(scene):
    """A reader that takes nothing costs itself frames, each counted, and nobody else; what has room waits for it."""
    s = scene
    netmap_mirror(s, "rx", s.hosts["a"].port)
    ear = Reader(s)
    ear.puppet.proc.send_signal(signal.SIGSTOP)
    frames = [frame(s, "b") for _ in range(1100)]
    for n, f in enumerate(frames):
        s.send(f)
        if n % 50 == 49:  # no faster than the sockets take it
            assert len(s.heard()["b"]) == 50
    assert s.d.drops()[("ids", "ring-full")] == 1100 - 1023 and copied(s)["lost"] == 0
    before = s.d.status()["workers"][0]["rounds"]
    time.sleep(1.2)  # a program that takes traffic would be seen to hang by now
    rounds = s.d.status()["workers"][0]["rounds"] - before
    assert rounds < 500, f"the worker sleeps while frames wait: {rounds} rounds"
    assert {r["state"] for r in rings(s.d)} == {"live"}
    ear.puppet.proc.send_signal(signal.SIGCONT)
    seen(s, ear, *frames[:1023])
    s.send(f := frame(s, "b"))
    s.heard()
    seen(s, ear, f)
    ear.puppet.end()


class Pass:
    """nmpass, which only reads all rings of the endpoint."""

    def __init__(self, lab, daemon):
        self.proc = lab.background(daemon.ns, L.BUILD / "tests/netns/nmpass", daemon.run_dir / "netmap.sock", "ids", "read",
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.proc.stdout.readline() == "ready\n", self.proc.stderr.read()
        L.wait_for(lambda: rings(daemon) and all(r["state"] == "live" for r in rings(daemon) if r["dir"] == "rx"),
                   "all rings are read")


def test_netmap_endpoint_has_as_many_rings_as_the_bridge(scene):
    s = scene
    s.d.cli("intercept", "br0", "rings", "2")
    netmap_mirror(s, "rx", s.hosts["a"].port)
    p = Pass(s.lab, s.d)
    assert {r["ring"] for r in rings(s.d)} == {"nic0", "nic1"}
    assert {r["ifname"] for r in s.d.json("rings", "ids")} == {"ids"}
    for n in range(64):  # flows, of which some go to each ring
        s.send(frame(s, f"02:00:00:00:cc:{n:02x}"))
    s.heard()
    got = [r["frames"] for r in rings(s.d) if r["dir"] == "rx"]
    assert sum(got) == 64 and min(got) > 0, got
    p.proc.terminate()
    L.wait_for(lambda: not rings(s.d), "nobody has it")


def test_netmap_endpoint_snap_and_two_mirrors(scene):
    """A destination of two mirrors has each frame once; cut copies; it goes with the last mirror."""
    s = scene
    netmap_mirror(s, "rx", s.hosts["a"].port, "snap", "64")
    netmap_mirror(s, "tx", s.hosts["b"].port, name="more")
    ear = Reader(s)
    s.send(f := frame(s, "b", payload=s.fresh().ljust(400, b".")))
    assert s.heard() == {"b": [f]}
    seen(s, ear, f[:64])
    assert (copied(s)["packets"], copied(s)["cut"], copied(s, "more")["packets"]) == (1, 1, 0)
    s.d.cli("mirror", "del", "br0", "ids")
    s.send(f := frame(s, "b"))
    s.heard()
    seen(s, ear, f)
    s.d.cli("mirror", "del", "br0", "more")
    assert not any(p["ifname"] == "ids" for p in s.d.json("link", "show"))
    ear.puppet.proc.stdin.write("recv nic 60000\n")
    ear.puppet.proc.stdin.flush()
    assert ear.puppet.proc.wait(L.DEADLINE) != 0, "the program is told that its port is gone"
    L.wait_for(lambda: not rings(s.d), "nobody has it")


def test_netmap_endpoint_names(scene):
    s = scene
    a, d = s.hosts["a"].port, s.d
    other = s.lab.host().port
    for name, why in (("a-b", "letters, digits"), ("vale0", 'begin with "vale"'), ("x{1", "letters, digits"),
                      ("n" * 16, "at most 15 are possible"), (other, f"netmap:{other}: there is a device of that name"),
                      (s.ids.port, "is another port of br0"), ("br0", "the bridge itself"), (a, "it is a source as well")):
        assert why in d.fails("mirror", "add", "br0", "x", "to", f"netmap:{name}", "rx", a), name
    assert d.json("mirror", "show") == []
    netmap_mirror(s, "rx", a)
    assert "ids is another port of br0" in d.fails("mirror", "add", "br0", "x", "to", "tap:ids", "rx", a)
    assert '"ring" is none of' in d.fails("addif", "br0", "y", "driver", "ring", code=2)
    assert d.ns.link("br0")["mtu"] == 1500, "the endpoint's length is nobody's"


def test_netmap_endpoint_gets_segments(lab, daemon):
    """Real TCP with offloads: the program reads segments with good checksums, hosts notice nothing."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    daemon.cli("mirror", "add", "br0", "ids", "to", "netmap:ids", "rx", f"{a.port},{b.port}", "filter", "tcp")
    p = Pass(lab, daemon)
    errors = L.checksum_errors(a.ns), L.checksum_errors(b.ns)
    L.tcp_transfer(a.ns, b.ns, b.addr, size=4 << 20)
    assert (L.checksum_errors(a.ns), L.checksum_errors(b.ns)) == errors
    ring = next(r for r in rings(daemon) if r["dir"] == "rx")
    full = daemon.drops().get(("ids", "ring-full"), 0)
    assert ring["segments"] > 0, ring
    row = daemon.json("mirror", "show")[0]
    assert row["lost"] == 0 and row["bytes"] > 4 << 20, row
    assert ring["frames"] + full >= row["packets"], (ring, full, row)
    p.proc.terminate()
