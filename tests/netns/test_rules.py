# SPDX-License-Identifier: BSD-2-Clause
"""Rules of hooks: what they do to frames, how they are changed, and what is refused."""

import json
import threading
import time

import pytest

import lab as L
from puppet import BROADCAST, Puppet, Scene

HOOKS = ["pre_routing", "local_in", "forward", "local_out", "post_routing"]
TESTED = "ether proto 0x88b5"  # what tests send; marks have another type


@pytest.fixture
def scene(lab, daemon):
    s = Scene(lab, daemon)
    for n in "abc":
        s.learn(n)
    s.heard()
    return s


def rule(d, *words, bridge="br0"):
    return d.cli("rule", "add", bridge, *words)


def hits(d, hook, name):
    return next(r["packets"] for r in d.json("rule", "show", "br0", hook) if r["name"] == name)


def counts(d, name="every"):
    """How often the rule of that name matched, hook by hook."""
    rows = {r["hook"]: r["packets"] for r in d.json("rule", "show", "br0") if r["name"] == name}
    return [rows[h] for h in HOOKS]


def frame(s, dst, src="a", payload=None, **kw):
    return L.frame(s.mac.get(dst, dst), s.mac[src], payload or s.fresh(), **kw)


def test_drop_by_hook_port_and_filter(scene):
    s, d = scene, scene.d
    a, b = s.hosts["a"].port, s.hosts["b"].port
    rule(d, "forward", "drop", "in", a, "out", b, "name", "a-to-b", "filter", f"{TESTED} and ether[14] = 0x58")
    f = frame(s, "b", payload=b"X out")
    with s.drops(rule=1):
        s.send(f)
        assert s.heard() == {}
    assert d.drop("rule", a) == 1
    for other in (frame(s, "b"), frame(s, "c", payload=b"X to c")):
        s.send(other)
        assert list(s.heard().values()) == [[other]]
    s.send(g := frame(s, "a", "b", b"X back"), "b")
    assert s.heard("b") == {"a": [g]}
    # Of a flood only that copy.
    with s.drops(rule=1):
        s.send(f := frame(s, BROADCAST, payload=b"X all"))
        assert s.heard() == {"c": [f], "host": [f]}
    row = d.json("rule", "show", "br0", "forward")[0]
    assert (row["packets"], row["bytes"], row["absent"]) == (2, 120, [])
    text = d.cli("rule", "show").stdout
    assert "a-to-b" in text and f"in {a} out {b}" in text and "drop" in text


def test_order_names_and_counters(scene):
    s, d = scene, scene.d
    assert rule(d, "pre_routing", "drop", "filter", f"{TESTED} and len > 100").stdout == "r1\n"
    rule(d, "pre_routing", "accept", "filter", f"{TESTED} and len > 200", "pos", "1", "name", "long")
    assert rule(d, "pre_routing", "accept", "filter", TESTED).stdout == "r2\n"
    assert [r["name"] for r in d.json("rule", "show", "br0")] == ["long", "r1", "r2"]
    for size, heard in ((150, False), (250, True), (60, True)):
        f = frame(s, "b", payload=s.fresh().ljust(size - 14, b"."))
        s.send(f)
        assert s.heard() == ({"b": [f]} if heard else {})
    assert [r["packets"] for r in d.json("rule", "show", "br0")] == [1, 1, 1]
    d.cli("rule", "del", "br0", "pre_routing", "long")
    assert [r["packets"] for r in d.json("rule", "show", "br0")] == [1, 1]
    assert "none of that name" in d.fails("rule", "del", "br0", "pre_routing", "long")
    assert "another of that name" in d.fails("rule", "add", "br0", "pre_routing", "drop", "name", "r1")
    d.cli("rule", "del", "br0", "pre_routing", "all")
    assert d.cli("rule", "show").stdout == "no rules\n"


def test_marks_and_vlans(scene):
    s, d = scene, scene.d
    rule(d, "pre_routing", "mark", "set", "7", "vlan", "20")
    rule(d, "post_routing", "drop", "mark", "7", "out", s.hosts["b"].port)
    rule(d, "pre_routing", "drop", "filter", f"{TESTED} and ether[14] = 0x58")
    tagged = frame(s, BROADCAST, tags=[(0x8100, 20)])
    with s.drops(rule=1):
        s.send(tagged)
        assert set(s.heard()) == {"c", "host"}
    other = frame(s, BROADCAST, tags=[(0x8100, 21)])
    s.send(other)
    assert set(s.heard()) == {"b", "c", "host"}
    # An expression sees the tag, as in a capture: this one is not of that type.
    s.send(frame(s, "b", payload=b"X tagged", tags=[(0x8100, 21)]))
    assert set(s.heard()) == {"b"}
    with s.drops(rule=1):
        s.send(frame(s, "b", payload=b"X plain"))
        assert s.heard() == {}


def test_local_in_and_out(scene):
    s, d = scene, scene.d
    rule(d, "local_in", "drop", "filter", f"{TESTED} and broadcast")
    rule(d, "local_out", "drop", "out", s.hosts["c"].port, "filter", TESTED)
    s.send(f := frame(s, BROADCAST))
    assert s.heard() == {"b": [f], "c": [f]}
    s.send(f := frame(s, "host"))
    assert s.heard() == {"host": [f]}
    s.send(f := frame(s, BROADCAST, "host"), "host")
    assert s.heard("host") == {"a": [f], "b": [f]}


@pytest.mark.parametrize("mode,how", [(m, h) for m in ("none", "all", "local", "copy") for h in ("swap", "copy")])
def test_each_frame_meets_each_hook_once(scene, mode, how):
    """However it is intercepted, by a program that swaps buffers or copies."""
    s, d = scene, scene.d
    d.cli("intercept", "br0", "mode", mode)
    for h in HOOKS:
        rule(d, h, "accept", "name", "every", "filter", TESTED)
    p = Puppet(s.lab, d, "both")
    want = [0] * 5
    with p.auto(how):
        for dst, src, adds in (("b", "a", [1, 0, 1, 0, 1]), ("host", "a", [1, 1, 0, 0, 0]),
                               (BROADCAST, "a", [1, 1, 2, 0, 2]), ("b", "host", [0, 0, 0, 1, 1]),
                               (BROADCAST, "host", [0, 0, 0, 3, 3])):
            s.send(frame(s, dst, src), src)
            want = [x + y for x, y in zip(want, adds)]
            L.wait_for(lambda: sum(counts(d)) >= sum(want), f"{dst}: {want}, now {counts(d)}")
            s.heard(src)
            assert counts(d) == want, (dst, src)
    p.end()


def test_a_program_comes_before_the_rules(scene):
    s, d = scene, scene.d
    d.cli("intercept", "br0", "mode", "all")
    rule(d, "pre_routing", "drop", "name", "x", "filter", f"{TESTED} and ether[14] = 0x58")
    p = Puppet(s.lab, d, "both")
    f = frame(s, "b", payload=b"X dropped after inspection")
    s.send(f)
    p.take(f)
    assert hits(d, "pre_routing", "x") == 0
    with s.drops(rule=1):
        p.pass_on("swap")
        assert s.heard() == {}
    # What the program makes of it is what the rule sees.
    s.send(f := frame(s, "b", payload=b"X, then O"))
    p.take(f)
    p.edit(14, b"O")
    p.pass_on("swap")
    got = s.heard(until=["b"])
    assert got == {"b": [f[:14] + b"O" + f[15:]]}
    p.end()


def test_replace_is_atomic(scene):
    """While rules are replaced all the time, no frame gets past both versions."""
    s, d = scene, scene.d
    a = s.hosts["a"]
    sets = [f"# {i}\ndrop name keep filter '{TESTED} and ether[14] = 0x58'\n"
            f"{'accept' if i else 'mark set 1'} name n{i} filter 'tcp port {i + 1}'\n" for i in range(2)]
    done = threading.Event()

    def send():
        while not done.is_set():
            a.raw.send(frame(s, "b", payload=b"X never"))
            time.sleep(0.0002)

    d.cli("rule", "replace", "br0", "forward", "-", text=sets[0])
    t = threading.Thread(target=send)
    t.start()
    try:
        for i in range(1, 30):
            d.cli("rule", "replace", "br0", "forward", "-", text=sets[i % 2])
    finally:
        done.set()
        t.join()
    rows = d.json("rule", "show", "br0", "forward")
    assert [r["name"] for r in rows] == ["keep", "n1"]
    assert rows[0]["packets"] > 50, "frames came while rules changed"
    L.wait_for(lambda: d.drop("rule") == hits(d, "forward", "keep"), "kept its counter, and every frame was dropped")
    assert s.heard() == {}
    # One wrong line, and nothing has changed.
    bad = "accept name other\n\ndrop filter 'tcp prt 80'\n"
    p = d.cli("rule", "replace", "br0", "forward", "-", text=bad, check=False)
    assert p.returncode == 1 and 'column 5: syntax error at "prt"' in p.stderr, p.stderr
    p = d.cli("rule", "replace", "br0", "forward", "-", text="accept\nreject\n", check=False)
    assert p.returncode == 2 and "stdin:2: " in p.stderr, p.stderr
    assert [r["name"] for r in d.json("rule", "show", "br0", "forward")] == ["keep", "n1"]


def test_what_is_refused(scene):
    s, d = scene, scene.d
    for words, code, text in (
            (["forward", "drop", "filter", "tcp prt 80"], 1,
             'bridge br0: forward: rule r1: filter: column 5: syntax error at "prt"'),
            (["forward", "drop", "filter", "host 1.2.3.400"], 1, "column 6: invalid IPv4 address"),
            (["forward", "drop", "filter", "ip protochain 6"], 1, "column 4: protochain needs a loop"),
            (["forward", "mirror", "to", "ids"], 1, "to ids: no such mirror"),
            (["forward", "mirror"], 1, "mirror needs a mirror"),
            (["forward", "mark"], 1, "mark needs a number"),
            (["forward", "drop", "set", "1"], 1, "only mark sets one"),
            (["pre_routing", "drop", "out", "eth0"], 1, "does not know yet where"),
            (["forward", "drop", "vlan", "4095"], 1, "vlan 4095 is out of range 0 to 4094"),
            (["forward", "drop", "in", "a/b"], 1, "a name may not have"),
            (["forward", "drop", "name", "all"], 1, "name \"all\""),
            (["forward", "reject"], 2, "none of accept|drop|mirror|mark"),
            (["input", "drop"], 2, "none of pre_routing")):
        err = d.fails("rule", "add", "br0", *words, code=code)
        assert text in err and len(err.strip().splitlines()) <= 3, err
    assert d.json("rule", "show") == []
    p = d.cli("rule", "add", "br0", "forward", "drop", "in", "nosuch0")
    assert "nosuch0 is no port of br0 now" in p.stderr
    assert d.json("rule", "show")[0]["absent"] == ["nosuch0"]


def test_rules_follow_ports(scene):
    """A rule is for the port that has the name now."""
    s, d = scene, scene.d
    a = s.hosts["a"].port
    rule(d, "pre_routing", "drop", "in", a, "filter", TESTED)
    d.cli("delif", "br0", a)
    assert d.json("rule", "show")[0]["absent"] == [a]
    d.addif("br0", a, "packet")
    with s.drops(rule=1):
        s.send(frame(s, "b"))
        L.wait_for(lambda: d.drop("rule") >= 1, "the rule is back in force")
    assert s.heard() == {}


def test_not_on_adopted_bridges(lab, daemon):
    h = lab.host()
    lab.switch.ip("link", "add", "k0", "type", "bridge")
    lab.switch.ip("link", "set", h.port, "master", "k0")
    lab.switch.ip("link", "set", "k0", "up")
    daemon.cli("adopt", "k0")
    err = daemon.fails("rule", "add", "k0", "forward", "drop")
    assert "k0: adopted: it stays the kernel's to configure" in err
    daemon.fails("mirror", "add", "k0", "m", "to", h.port)
    daemon.cli("release", "k0")


CONFIG = """
bridges:
  br0:
    rules:
      forward:
        - {name: x, verdict: drop, in: %s, filter: "ether proto 0x88b5 and ether[14] = 0x58"}
        - {verdict: mirror, to: ids, filter: arp}
    mirrors:
      - {name: ids, to: "tap:mon0", rx: "%s"%s}
"""


def test_configuration(scene):
    """Round trip: file, reload, changes, back to nothing; all or nothing."""
    s, d = scene, scene.d
    a = s.hosts["a"].port
    conf = s.lab.dir / "v.yaml"

    def put(text, ok=True):
        conf.write_text(text)
        return d.cli("reload", conf).stdout if ok else d.fails("reload", conf)

    put(CONFIG % (a, a, ""))
    assert [(r["hook"], r["name"], r["verdict"]) for r in d.json("rule", "show")] == [
        ("forward", "x", "drop"), ("forward", "r1", "mirror")]
    assert [(m["name"], m["to"], m["rx"]) for m in d.json("mirror", "show")] == [("ids", "tap:mon0", a)]
    assert d.cli("reload", conf).stdout == "nothing to change\n"
    with s.drops(rule=1):
        s.send(frame(s, "b", payload=b"X"))
        assert s.heard() == {}
    # A mirror that a rule uses may change; counters of rules that stay go on.
    assert put(CONFIG % (a, a, ", snap: 64")) == "mirror replace br0 ids\n"
    assert d.json("mirror", "show")[0]["snap"] == 64
    assert hits(d, "forward", "x") == 1
    # Wrong: line, column, and nothing has changed.
    for text, what in (
            (CONFIG.replace("filter: arp", "filter: tcp prt 5") % (a, a, ""),
             f'{conf}:7: bridge br0: forward: rule r1: filter: column 5: syntax error at "prt"'),
            (CONFIG.replace("to: ids", "to: idz") % (a, a, ""), f"{conf}:7: bridge br0: forward: rule r1: to idz: no such"),
            (CONFIG.replace("verdict: drop", "verdit: drop") % (a, a, ""), 'unknown key "verdit", did you mean "verdict"?'),
            (CONFIG.replace("forward", "forwards") % (a, a, ""), f"{conf}:5: hook forwards: not one of pre_routing"),
            (CONFIG.replace("tap:mon0", a) % (a, a, ""), f"{conf}:9: mirror ids: to {a}: it is a source as well")):
        assert what in put(text, ok=False)
        assert what in d.fails("check", conf)
    bad = CONFIG.replace("name: x,", "name: y,") % (a, a, ", snap: 65")
    bad += "    fdb:\n      - mac: 'ff:00:00:00:00:01'\n        kind: local\n"
    put(bad, ok=False)
    assert d.json("mirror", "show")[0]["snap"] == 64 and hits(d, "forward", "x") == 1
    # What the text does not say any more is gone; what was made by hand stays.
    rule(d, "local_in", "accept")
    put("bridges:\n  br0:\n")
    assert [r["hook"] for r in d.json("rule", "show")] == ["local_in"] and d.json("mirror", "show") == []
    assert "mon0" not in d.ns.links()
