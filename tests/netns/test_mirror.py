# SPDX-License-Identifier: BSD-2-Clause
"""Mirrors: to a port, to a TAP; who, how often, how much; and what is refused."""

import pytest

import lab as L
from puppet import BROADCAST, Puppet, Scene, pool

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
    seen(s, s.ear, *frames)
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
