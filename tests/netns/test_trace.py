# SPDX-License-Identifier: BSD-2-Clause
"""trace and explain: every kind of step, what became of frames, bounds, and that looking changes nothing."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import lab as L
from puppet import BROADCAST, Puppet, Scene, pool

# A sanitizer keeps what is freed for a while.
SANITIZED = "libasan" in subprocess.run(["ldd", L.VIADUCTD], capture_output=True, text=True).stdout
TESTED = "ether proto 0x88b5 or (vlan and ether proto 0x88b5)"


@pytest.fixture
def scene(lab, daemon):
    s = Scene(lab, daemon)
    for n in "abc":
        s.learn(n)
    s.heard()
    s.free = pool(daemon)
    yield s
    for p in lab.procs:
        p.kill()
    L.wait_for(lambda: traces(daemon) == 0, "no trace is left")
    L.wait_for(lambda: pool(daemon) == s.free, f"all buffers are back: {s.free}, now {pool(daemon)}")


def frame(s, dst, src="a", payload=None, **kw):
    return L.frame(s.mac.get(dst, dst), s.mac.get(src, src), payload or s.fresh(), **kw)


def traces(d):
    return sum(map(int, re.findall(r"traces=(\d+)", d.cli("debug", "objects").stdout)))


class Trace:
    """viaduct -j trace in the background, from when the daemon has it."""

    def __init__(self, d, *words, bridge="br0", filter=TESTED, form="-j"):
        before = traces(d)
        words = [*words, *(["filter", filter] if filter else [])]
        self.d = d
        self.proc = d.ns.popen(L.VIADUCT, *([form] if form else []), "--run-dir", d.run_dir, "trace", bridge, *words,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        L.wait_for(lambda: traces(d) > before or self.proc.poll() is not None, "the trace runs")

    def text(self, code=0):
        out, self.err = self.proc.communicate(timeout=L.DEADLINE + 10)
        assert self.proc.returncode == code, (self.proc.returncode, out, self.err)
        return out

    def journeys(self, code=0):
        return [json.loads(l) for l in self.text(code).splitlines()]

    def one(self):
        got = self.journeys()
        assert len(got) == 1, got
        return got[0]


def names(j):
    return [s["step"] for s in j["steps"]]


def step(j, name, n=0):
    return [s for s in j["steps"] if s["step"] == name][n]


def follow(s, f, src="a", *words):
    """The journey of that frame."""
    t = Trace(s.d, "count", "1", *words)
    s.send(f, src)
    return t.one()


INGRESS = ["rx", "parse", "state", "learn", "lookup"]


def test_from_port_to_port(scene):
    s = scene
    a, b = s.hosts["a"].port, s.hosts["b"].port
    f = frame(s, "b")
    j = follow(s, f)
    assert names(j) == [*INGRESS, "egress", "tx"]
    assert (j["bridge"], j["ifname"]) == ("br0", a) and abs(j["time"] - time.time()) < 60
    assert j["frame"]["len"] == len(f) and j["frame"]["dst"] == s.mac["b"] and j["frame"]["src"] == s.mac["a"]
    assert j["frame"]["ethertype"] == "0x88b5" and s.mac["b"] in j["frame"]["summary"]
    assert (step(j, "learn")["result"], step(j, "learn")["ifname"]) == ("known", a)
    assert (step(j, "lookup")["result"], step(j, "lookup")["ifname"]) == ("dynamic", b)
    assert step(j, "tx")["ifname"] == b and step(j, "tx")["len"] == len(f)
    assert j["end"]["what"] == "sent" and j["end"]["ifnames"] == [b]
    assert re.fullmatch(rf"sent on {b}, [\d.]+ [un]s after it came in", j["end"]["text"])
    # Times go forward, and steps add up.
    at = [x["at_ns"] for x in j["steps"]]
    assert at == sorted(at) and sum(x["ns"] for x in j["steps"]) == at[-1] > 0


def test_flood_host_and_same_port(scene):
    s = scene
    a, b, c = (s.hosts[n].port for n in "abc")
    j = follow(s, frame(s, BROADCAST))
    assert names(j) == [*INGRESS, *["egress"] * 3, *["tx"] * 3] and step(j, "lookup")["result"] == "group"
    assert j["end"]["what"] == "sent" and sorted(j["end"]["ifnames"]) == [b, c] and j["end"]["host"]
    assert step(follow(s, frame(s, "02:00:00:00:77:77")), "lookup")["result"] == "unknown"
    j = follow(s, frame(s, "host"))
    assert step(j, "lookup")["result"] == "local" and j["end"]["what"] == "delivered"
    j = follow(s, frame(s, "a"))
    assert names(j)[-1] == "drop" and j["end"]["what"] == "dropped" and j["end"]["reason"] == "same-port"
    # What the host sends; it is not learned.
    j = follow(s, frame(s, "b", "host"), "host", "from", "br0")
    assert "learn" not in names(j) and j["ifname"] == "br0" and j["end"]["ifnames"] == [b]
    assert step(follow(s, frame(s, "b", "02:00:00:00:77:01")), "learn")["result"] == "new"
    j = follow(s, frame(s, "b", "02:00:00:00:77:01"), "c")
    assert (step(j, "learn")["result"], step(j, "learn")["old_ifname"]) == ("moved", a)


def test_vlans(scene):
    s, d = scene, scene.d
    a, b = s.hosts["a"].port, s.hosts["b"].port
    d.cli("link", "set", "br0", "vlan_filtering", "on")
    d.cli("vlan", "add", "dev", a, "vid", "10", "pvid", "untagged")
    d.cli("vlan", "add", "dev", b, "vid", "10")
    j = follow(s, frame(s, BROADCAST))
    assert names(j)[:6] == ["rx", "parse", "state", "vlan", "learn", "lookup"]
    assert step(j, "vlan")["vlan"] == 10
    assert (step(j, "tag")["edit"], step(j, "tag")["ifname"]) == ("push", b)
    assert j["end"]["ifnames"] == [b]
    j = follow(s, frame(s, BROADCAST, tags=[(0x8100, 99)]))
    assert step(j, "parse")["vlan"] == 99 and j["end"]["reason"] == "vlan-ingress"
    assert j["frame"]["vlan"] == 99


def test_rules_and_mirrors(scene):
    s, d = scene, scene.d
    b, c = s.hosts["b"].port, s.hosts["c"].port
    d.cli("mirror", "add", "br0", "ids", "to", c, "rx", s.hosts["a"].port, "filter", "ether proto 0x88b5")
    d.cli("rule", "add", "br0", "pre_routing", "mark", "set", "7", "name", "seven")
    d.cli("rule", "add", "br0", "forward", "drop", "name", "no-x", "filter", "ether[14] = 0x58")
    j = follow(s, frame(s, "b"))
    assert names(j) == ["rx", "parse", "mirror", "state", "learn", "lookup", "hook", "hook", "hook", "egress", "tx"]
    assert (step(j, "mirror")["mirror"], step(j, "mirror")["ifname"]) == ("ids", c)
    hooks = [(h["hook"], h.get("rule"), h["verdict"]) for h in j["steps"] if h["step"] == "hook"]
    assert hooks == [("pre_routing", "seven", "mark"), ("pre_routing", None, "accept"), ("forward", None, "accept")]
    j = follow(s, frame(s, "b", payload=b"X"))
    h = step(j, "hook", 2)
    assert (h["hook"], h["rule"], h["pos"], h["verdict"], h["ifname"]) == ("forward", "no-x", 1, "drop", b)
    assert j["end"]["reason"] == "rule" and "'no-x'" in j["end"]["text"] and "FORWARD" in j["end"]["text"]


@pytest.mark.parametrize("how,known", [("swap", "buffer"), ("copy", "digest")])
def test_a_program(scene, how, known):
    s, d = scene, scene.d
    d.cli("intercept", "br0", "mode", "all")
    p = Puppet(s.lab, d, "both")
    t = Trace(d, "count", "1")
    s.send(f := frame(s, "b"))
    p.take(f)
    time.sleep(0.05)
    p.pass_on(how)
    j = t.one()
    assert names(j) == [*INGRESS, "intercept", "ring", "return", "parse", "state", "lookup", "egress", "tx"]
    r, back = step(j, "ring"), step(j, "return")
    assert r["ring"] == "nic0" and r["slot"] == 0 and f"[{p.proc.pid}]" in r["program"] and not r["copy"]
    assert f"into ring 0 slot 0 of the program nmpuppet[{p.proc.pid}]" == r["text"]
    assert back["how"] == known and 50e6 < back["program_ns"] < 10e9 and " ms, known by its " in back["text"]
    assert [x["depth"] for x in j["steps"]][5:8] == [1, 2, 2]
    assert j["end"]["what"] == "sent"
    p.end()


def test_copies_and_nobody(scene):
    s, d = scene, scene.d
    d.cli("intercept", "br0", "mode", "copy")
    p = Puppet(s.lab, d, "nic")
    t = Trace(d, "count", "1")
    s.send(f := frame(s, "b"))
    p.take(f)
    j = t.one()
    assert step(j, "intercept")["result"] == "copied" and step(j, "ring")["copy"]
    assert j["end"]["ifnames"] == [s.hosts["b"].port]
    d.cli("intercept", "br0", "mode", "all", "exempt", "ether proto 0x88b5")
    assert step(follow(s, frame(s, "b")), "intercept")["result"] == "exempt"
    p.end()


def test_a_program_that_hangs(scene):
    """It is told after a while that the program has it; that comes to nothing when the trace is over, either."""
    s, d = scene, scene.d
    d.cli("intercept", "br0", "mode", "all")
    p = Puppet(s.lab, d, "both")
    begin = time.monotonic()
    j = follow(s, f := frame(s, "b"), "a", "for", "9")
    assert 1 < time.monotonic() - begin < 8
    assert names(j)[-1] == "ring" and j["end"]["what"] == "with-program"
    assert follow(s, g := frame(s, "b"), "a", "for", "1")["end"]["what"] == "with-program"
    # The late ones go on as ever, and are not taken for one of this trace.
    t = Trace(d, "count", "1")
    s.send(h := frame(s, "c"))
    for late in (f, g, h):
        p.take(late)
        p.pass_on()
    assert s.heard(until=["b", "b", "c"]) == {"b": [f, g], "c": [h]}
    j = t.one()
    assert j["end"]["ifnames"] == [s.hosts["c"].port] and step(j, "ring")["slot"] == 2
    p.end()


def test_withdrawn(scene):
    """A program that ends: what it had goes on."""
    s, d = scene, scene.d
    d.cli("intercept", "br0", "mode", "all")
    p = Puppet(s.lab, d, "both")
    t = Trace(d, "count", "1")
    s.send(f := frame(s, "b"))
    time.sleep(0.1)
    p.end()
    j = t.one()
    assert step(j, "return")["how"] == "withdrawn" and step(j, "intercept", 1)["result"] == "withdrawn"
    assert j["end"]["what"] == "sent" and s.heard() == {"b": [f]}


def test_spanning_tree(scene):
    s, d = scene, scene.d
    d.cli("stp", "br0", "on")
    t = Trace(d, "count", "1", filter="ether dst 01:80:c2:00:00:00")
    s.send(bytes.fromhex("0180c2000000" + s.mac["a"].replace(":", "") + "0027424203000002020f8000020000000001"
                         "00000000800002000000000180010000140002000f0000"))
    j = t.one()
    assert names(j)[-1] == "stp" and j["end"]["what"] == "consumed"
    d.cli("stp", "br0", "off")


def test_checksums(lab, daemon):
    """What the kernel left unfinished is finished for a port that cannot express it."""
    a, b = lab.add_hosts(2)
    daemon.cli("addbr", "br0")
    daemon.addif("br0", a.port, "packet")
    daemon.addif("br0", b.port, "xdp")
    a.ping(b.addr)
    t = Trace(daemon, "count", "1", "from", a.port, filter="udp port 7777")
    udp = a.ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.sendto(b"hello", (b.addr, 7777))
    udp.close()
    j = t.one()
    assert names(j)[-3:] == ["egress", "offload", "tx"] and step(j, "offload")["what"] == "csum"
    assert [x["depth"] for x in j["steps"]][-3:] == [1, 2, 2]


def test_segments(lab, daemon):
    """A GSO frame is one frame, and is cut for a port that sends no such."""
    a, b = lab.add_hosts(2)
    daemon.cli("addbr", "br0")
    daemon.addif("br0", a.port, "packet")
    daemon.addif("br0", b.port, "xdp")
    a.ping(b.addr)
    t = Trace(daemon, "count", "1", "from", a.port, filter="tcp and greater 4000")
    server = b.ns.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind((b.addr, 7777))
    server.listen()
    client = a.ns.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(L.DEADLINE)
    client.connect((b.addr, 7777))
    client.sendall(bytes(100000))
    j = t.one()
    client.close()
    server.close()
    n = step(j, "offload")["segments"]
    assert step(j, "offload")["what"] == "segment" and n == -(-(j["frame"]["len"] - 66) // 1448)
    assert j["end"]["ifnames"] == [b.port]


# ---- which frames ----


def test_choice(scene):
    s, d = scene, scene.d
    t = Trace(d, "from", s.hosts["b"].port, "count", "1")
    s.send(frame(s, "b"))
    s.send(frame(s, "a", "b"), "b")
    assert t.one()["frame"]["src"] == s.mac["b"]
    t = Trace(d, "count", "5", "every", "10")
    sent = [frame(s, "b", payload=b"%4d" % i) for i in range(100)]
    for f in sent:
        s.send(f)
    got = t.journeys()
    assert len(got) == 5 and [j["id"] for j in got] == list(range(got[0]["id"], got[0]["id"] + 5))
    t = Trace(d, "for", "1", filter=None)
    s.send(frame(s, "b"))
    assert len(t.journeys()) >= 1


def test_nothing_matches(scene):
    s, d = scene, scene.d
    begin = time.monotonic()
    t = Trace(d, "for", "1", filter="tcp port 7", form=None)
    s.send(frame(s, "b"))
    assert t.text(1) == "" and 1 <= time.monotonic() - begin < 5
    assert "br0: nothing matched in 1 s; try it without the filter" in t.err
    t = Trace(d, "for", "1", "from", s.hosts["c"].port, form=None, filter=None)
    assert t.text(1) == "" and f"`viaduct stats {s.hosts['c'].port}`" in t.err


def test_what_is_refused(scene):
    s, d = scene, scene.d
    for words, code, text in (
            (["br0", "filter", "tcp prt 80"], 1, 'bridge br0: trace: filter: column 5: syntax error at "prt"'),
            (["br0", "from", "nosuch0"], 1, "port nosuch0: not a port of br0"),
            (["br9"], 1, "bridge br9: no such bridge"),
            (["br0", "count", "0"], 1, "count 0 is out of range"),
            (["br0", "for", "x"], 2, '"x" is not a whole number')):
        assert text in d.fails("trace", *words, code=code)
    port = s.hosts["a"].port
    for words, code, text in (
            (["0x12"], 2, 'FRAME: column 2: "x" is no hexadecimal digit'),
            (["ffffff0"], 2, "half a byte"),
            ([""], 2, "it has no bytes"),
            (["pcap", "/nonexistent"], 2, "No such file"),
            (["src", "ff:ff"], 2, "no MAC address")):
        assert text in d.fails("explain", "br0", "from", port, *words, code=code)
    # The daemon itself believes no client, either.
    for hexa, text in (("zz", "column 1: not a hexadecimal digit"), ("", "it has no bytes"), ("abc", "half a byte"),
                       ("ab" * 65550, "65550 bytes, more than the 65549")):
        reply = ask(d, {"id": 1, "cmd": "explain.run", "args": {"bridge": "br0", "port": port, "frame": hexa}})
        assert reply["error"]["name"] == "E_FRAME" and text in reply["error"]["text"]


# ---- clients ----


class Client:
    """A connection to the control socket."""

    def __init__(self, d, **request):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(L.DEADLINE)
        self.s.connect(str(d.run_dir / "control.sock"))
        self.f = self.s.makefile("r")
        self.f.readline()
        if request:
            self.send(**request)

    def send(self, **request):
        self.s.send(json.dumps(request).encode() + b"\n")

    def read(self):
        return json.loads(self.f.readline())

    def close(self):
        self.f.close()
        self.s.close()


def ask(d, request):
    c = Client(d, **request)
    with contextlib.closing(c):
        return c.read()


def start(d, **args):
    before = traces(d)
    c = Client(d, id=7, cmd="trace.start", args={"bridge": "br0", "filter": TESTED, **args})
    L.wait_for(lambda: traces(d) > before, "the trace runs")
    return c


def test_stream(scene):
    """Events, then a result; the next request waits for it, or ends it."""
    s, d = scene, scene.d
    c = start(d, count=1)
    s.send(frame(s, "b"))
    m = c.read()
    assert m["id"] == 7 and m["event"]["end"]["what"] == "sent"
    assert c.read() == {"id": 7, "result": {"matched": 1, "missed": 0, "lost": 0}}
    c.send(id=8, cmd="trace.start", args={"bridge": "br0", "seconds": 3600})
    L.wait_for(lambda: traces(d) == 1, "the trace runs")
    c.send(id=9, cmd="bridge.show", args={"bridge": "br0"})
    while (m := c.read()).get("id") == 8:
        assert "event" in m or m["result"]["lost"] == 0
    assert m["id"] == 9 and m["row"]["ifname"] == "br0"
    c.close()


def test_nobody_reads(scene):
    """Memory is bounded, the bridge goes on, and what was lost is told."""
    s, d = scene, scene.d

    def rss():
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{d.pid}/status").read())[1])

    c = start(d, count=1000000, seconds=3600)
    f = frame(s, "b")
    s.send(f)
    L.wait_for(lambda: s.heard(), "warm")
    before = rss()
    for i in range(20000):
        s.send(f)
        if i % 50 == 0:
            s.ears["b"].drain()
    L.wait_for(lambda: d.stats(s.hosts["a"].port)["stats64"]["rx"]["packets"] > 20000, "all came in")
    assert SANITIZED or rss() - before < 12 * 1024, "at most the queue, the answers that wait, and change"
    s.ears["b"].drain()
    s.send(g := frame(s, "b"))
    s.ears["b"].expect(g)
    c.send(id=9, cmd="status")
    n = 0
    while "event" in (m := c.read()):
        n += 1
    r = m["result"]
    assert r["lost"] > 0 and n > 100 and r["matched"] == r["missed"] + r["lost"] + n, (r, n)
    assert c.read()["id"] == 9
    c.close()


def test_many_and_gone(scene):
    s, d = scene, scene.d
    some = [start(d, seconds=3600) for _ in range(8)]
    assert traces(d) == 8
    err = d.fails("trace", "br0")
    assert "8 traces run already" in err
    s.send(frame(s, "b"))
    assert len({json.dumps(c.read()["event"]) for c in some}) == 1
    for c in some[:7]:
        c.close()
    L.wait_for(lambda: traces(d) == 1, "who leaves takes its trace along")
    d.cli("delbr", "br0")
    assert some[7].read()["result"]["matched"] == 1
    d.cli("addbr", "br0")
    for h in s.hosts.values():
        d.addif("br0", h.port, "packet")
    some[7].close()


def test_a_thousand_watchers(scene):
    """More than there may be: they are refused, and nothing is left of it."""
    s, d = scene, scene.d
    some = []
    for _ in range(100):
        some.append(Client(d, id=1, cmd="trace.start", args={"bridge": "br0", "seconds": 3600}))
    refused = [m for c in some[8:] if (m := c.read()).get("error", {}).get("name") == "E_TRACE_BUSY"]
    assert len(refused) == 92 and traces(d) == 8
    for c in some:
        c.close()


def test_a_flood(scene):
    """More journeys than anybody can read: the time is over in time, and others are answered."""
    s, d = scene, scene.d
    from scapy.utils import wrpcap
    path = s.lab.dir / "flood.pcap"
    wrpcap(str(path), [frame(s, "02:00:00:00:77:77", "02:00:00:00:77:77")], linktype=1)  # same-port: nothing is sent
    begin = time.monotonic()
    t = Trace(d, "for", "2", "count", "1000000", filter=None)
    d.cli("addif", "br0", f"pcap:{path}")
    for _ in range(5):
        asked = time.monotonic()
        d.json("show", "br0")
        assert time.monotonic() - asked < 2
    assert len(t.journeys()) > 100 and time.monotonic() - begin < 10
    d.cli("delif", "br0", "flood")
    for ear in s.ears.values():
        ear.drain()


def test_a_port_that_leaves(scene):
    """With it the trace of what it receives: another may get its number."""
    s, d = scene, scene.d
    port = s.hosts["b"].port
    t = Trace(d, "for", "3600", "from", port)
    d.cli("delif", "br0", port)
    t.text(1)
    d.addif("br0", port, "packet")
    L.wait_for(lambda: d.port(port)["state"] == "forwarding", "it is back")


def test_interrupted(scene):
    s, d = scene, scene.d
    t = Trace(d, "for", "3600", "count", "100")
    s.send(frame(s, "b"))
    json.loads(t.proc.stdout.readline())
    for pid in children(t.proc.pid):
        os.kill(pid, signal.SIGINT)
    assert t.text() == "" and t.err == ""
    L.wait_for(lambda: traces(d) == 0, "it is gone")
    # Nobody reads its output any more.
    t = Trace(d, "for", "3600", "count", "100")
    t.proc.stdout.close()
    L.wait_for(lambda: s.send(frame(s, "b")) or t.proc.poll() is not None, "it ends")
    L.wait_for(lambda: traces(d) == 0, "it is gone")
    t.proc.stderr.close()


def children(pid):
    """The command itself; `ip netns exec` may have become it."""
    kids = open(f"/proc/{pid}/task/{pid}/children").read().split()
    return [int(k) for k in kids] or [pid]


def test_picture(scene):
    s, d = scene, scene.d
    b = s.hosts["b"].port
    t = Trace(d, "count", "1", form=None)
    s.send(frame(s, "b"))
    text = t.text()
    lines = text.splitlines()
    assert lines[0].startswith("br0 #") and lines[0].endswith(f"from {s.hosts['a'].port}")
    assert all(len(l) <= 120 for l in lines), text
    assert re.search(r" ns \| rx +came in on \S+, 60 bytes \{", text)
    assert re.search(rf"\|   egress +for {b} \{{\n.*\|     tx +sent on {b}, 60 bytes\n *\|   \}}\n *\| \}}\n", text), text
    assert re.search(rf"^ +(\x1b\[\d*m)*= .*sent on {b}, ", text, re.M)
    assert text.count("{") == text.count("}")


# ---- explain ----


def bare(j):
    """Of a journey what an explanation has, too."""
    drop = ("ns", "at_ns", "slot", "text", "program_ns", "how", "age")
    steps = [{k: v for k, v in x.items() if k not in drop} for x in j["steps"] if x["step"] not in ("tx", "offload")]
    return j["ifname"], j["frame"], steps, {k: v for k, v in j["end"].items() if k != "text"}


def explain(s, f, src="a"):
    port = s.hosts[src].port if src in s.hosts else "br0"
    return s.d.json("explain", "br0", "from", port, bytes(f).hex())


def agree(s, f, src="a"):
    """Explained first, then sent and followed: the same."""
    said = explain(s, f, src)
    did = follow(s, f, src)
    assert bare(said) == bare(did)
    assert said["end"]["text"].startswith(("would be", "only", "no ")) and "id" not in said
    return said


def test_explain_agrees(scene):
    s, d = scene, scene.d
    a, b = s.hosts["a"].port, s.hosts["b"].port
    for dst, src in (("b", "a"), (BROADCAST, "a"), ("host", "a"), ("a", "a"), ("b", "host"), ("02:00:00:00:77:77", "a")):
        agree(s, frame(s, dst, src), src)
    agree(s, frame(s, "b", "02:00:00:00:88:88"))
    agree(s, frame(s, "b", "01:00:00:00:88:88"))
    d.cli("rule", "add", "br0", "forward", "drop", "name", "no-x", "filter", "ether[14] = 0x58")
    d.cli("rule", "add", "br0", "forward", "mark", "set", "9", "filter", "ether proto 0x88b5")
    assert agree(s, frame(s, "b", payload=b"X"))["end"]["reason"] == "rule"
    agree(s, frame(s, BROADCAST))
    d.cli("mirror", "add", "br0", "m", "to", s.hosts["c"].port, "rx", a)
    agree(s, frame(s, "b"))
    d.cli("mirror", "del", "br0", "m")
    d.cli("link", "set", "br0", "vlan_filtering", "on")
    d.cli("vlan", "add", "dev", b, "vid", "10")
    for tags in ([], [(0x8100, 10)], [(0x8100, 1)]):
        agree(s, frame(s, BROADCAST, tags=tags))
        agree(s, frame(s, "b", tags=tags))


@pytest.mark.parametrize("mode", ["all", "local", "copy"])
def test_explain_agrees_with_a_program(scene, mode):
    s, d = scene, scene.d
    d.cli("intercept", "br0", "mode", mode)
    p = Puppet(s.lab, d, "both")
    with p.auto("swap"):
        for dst, src in (("b", "a"), (BROADCAST, "a"), ("host", "a"), ("b", "host")):
            agree(s, frame(s, dst, src), src)
    p.end()


def test_explain_changes_nothing(scene):
    s, d = scene, scene.d
    d.cli("rule", "add", "br0", "forward", "accept", "name", "every")
    d.cli("mirror", "add", "br0", "m", "to", s.hosts["c"].port, "rx", s.hosts["a"].port)
    p = Puppet(s.lab, d, "both")
    for ear in s.ears.values():
        ear.drain()

    def look():
        fdb = {k: v["ifname"] for k, v in d.fdb().items()}
        stats = [(r["ifname"], r["stats64"]) for r in d.json("stats")]
        return fdb, stats, d.drops(), d.json("rule", "show"), [r["packets"] for r in d.json("mirror", "show")], pool(d)

    before = look()
    for dst in ("b", BROADCAST, "a", "host", "02:00:00:00:77:77"):
        for src in ("a", "02:00:00:00:99:99"):
            explain(s, frame(s, dst, src))
    explain(s, b"\xff")
    d.json("explain", "br0", "from", s.hosts["a"].port, "len", "65549")
    assert look() == before
    assert p.recv(timeout=0.1) is None
    assert all(ear.recv(0.05) is None for ear in s.ears.values())
    p.end()


def test_explain_words(scene):
    s, d = scene, scene.d
    a, b = s.hosts["a"].port, s.hosts["b"].port
    j = d.json("explain", "br0", "from", a, "src", s.mac["a"], "dst", s.mac["b"], "vlan", "10", "type", "arp", "len", "100")
    assert j["frame"]["len"] == 100 and j["frame"]["vlan"] == 10 and j["frame"]["ethertype"] == "0x0806"
    assert j["end"]["ifnames"] == [b]
    path = s.lab.dir / "x.pcap"
    f, g = frame(s, "b"), frame(s, "a")
    from scapy.utils import wrpcap
    wrpcap(str(path), [f, g], linktype=1)
    assert d.json("explain", "br0", "from", a, "pcap", path)["end"]["ifnames"] == [b]
    assert d.json("explain", "br0", "from", a, "pcap", path, "2")["end"]["reason"] == "same-port"
    assert "frame 3: it has 2" in d.fails("explain", "br0", "from", a, "pcap", path, "3", code=2)
    text = d.cli("explain", "br0", "from", a, f.hex()).stdout
    assert f"= would be sent on {b}\n" in text and " ns" not in text


# ---- adopted bridges ----


def test_adopted(lab, daemon):
    a, b = (h.silent() for h in lab.add_hosts(2))
    ns = lab.switch
    ns.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    ns.ip("link", "add", "k0", "type", "bridge")
    for h in (a, b):
        ns.ip("link", "set", h.port, "master", "k0")
    ns.ip("link", "set", "k0", "up", "arp", "off")
    daemon.cli("adopt", "k0")
    t = Trace(daemon, "for", "1", bridge="k0", form=None)
    assert t.text(1) == "" and "nothing matched in 1 s" in t.err
    p = Puppet(lab, daemon, "both", bridge="k0")
    f = L.frame(b.mac, a.mac, b"through the kernel")
    t = Trace(daemon, "count", "100", "for", "2", bridge="k0")

    def arrives():
        a.raw.send(f)
        return p.recv(timeout=0.2) == f

    L.wait_for(arrives, "it is taken")
    p.pass_on()
    # The daemon's part of it, besides what the kernel has to say.
    j = next(j for j in t.journeys() if {"ring", "return"} <= set(names(j)))
    assert j["ifname"] == a.port and step(j, "ring")["ring"] == "nic0" and step(j, "return")["how"] == "buffer"
    assert step(j, "lookup")["result"] == "kernel" and j["end"]["ifnames"] == [a.port]
    assert f"goes on in the kernel at {a.port}" in j["end"]["text"]
    j = daemon.json("explain", "k0", "from", a.port, f.hex())
    assert step(j, "intercept")["result"] == "taken"
    p.end()
