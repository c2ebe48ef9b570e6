# SPDX-License-Identifier: BSD-2-Clause
"""Events: every kind that docs/control.md has occurs, with the members that it names, and no other;
what could not be sent is reported."""

import contextlib
import json
import re
import signal
import struct
import threading
from pathlib import Path

import lab as L
from test_netmap import Program
from test_watchers import Client, flood

PAGE = Path(__file__).resolve().parents[2] / "docs/control.md"
COMMON = {"time", "group", "kind"}
PROGRAM = {"program", "pid", "uid", "ring", "reason", "effect", "fail", "ms", "cause"}


def documented():
    """{(group, kind): (members that must be there, members that may be)}"""
    kinds = {}
    table = PAGE.read_text().split("### Events")[1]
    for group, kind, more in re.findall(r"^\| (\w+) \| ([\w-]+) \| [^|]* \| ?([^|]*)\|$", table, re.M):
        if more.strip() == "see below":
            must, may = {"program", "pid", "uid", "ring"}, PROGRAM
        else:
            words = re.sub(r"`[^`]*`|:[^,]*|\([^)]*\)|, as in.*", "", more)
            may = set(re.findall(r"[a-z_]+", words))
            must = may - set(re.findall(r"[a-z_]+", " ".join(re.findall(r"\[([^\]]*)\]", words))))
        where = {"bridge", "ifname"} if group in ("fdb", "link", "stp") else set()
        if group == "config" and kind in ("bridge", "port", "intercept", "rules", "mirror-add", "mirror-del"):
            where = {"bridge", "ifname"}
        kinds[group, kind] = (COMMON | where | must, COMMON | where | may)
    assert len(kinds) > 40
    return kinds


class Monitor(Client):
    """Collects events and checks each against the page."""

    def __init__(self, d, *groups):
        super().__init__(d)
        self.kinds = documented()
        self.events, self.wrong = [], []
        self.ask("monitor", wait=False, groups=list(groups or ["all"]))
        self.thread = threading.Thread(target=self.collect, daemon=True)
        self.thread.start()
        probe = Client(d)  # answered in order of arrival: the monitor is one by then
        probe.ask("status")
        probe.close()

    def collect(self):
        self.s.settimeout(None)
        with contextlib.suppress(OSError):  # reset, when the daemon had not read all
            while m := self.next():
                self.take(m.get("event") or {"error": m})

    def take(self, e):
        must, may = self.kinds.get((e.get("group"), e.get("kind")), (None, None))
        if must is None or not must <= e.keys() <= may:
            self.wrong.append(e)
        self.events.append(e)

    def wait(self, group, kind, **more):
        """The first event of that kind with these members."""
        want = {"group": group, "kind": kind, **more}
        return L.wait_for(lambda: next((e for e in list(self.events) if want.items() <= e.items()), None),
                          f"{want}: {self.events}")

    def end(self, *groups):
        """All documented kinds of these groups have occurred, and nothing was undocumented."""
        assert not self.wrong, self.wrong
        seen = {(e["group"], e["kind"]) for e in self.events}
        missing = {k for k in self.kinds if k[0] in groups} - seen
        assert not missing, missing

    def has(self, group, kinds):
        """The documented kinds of a group are these."""
        assert {k for g, k in self.kinds if g == group} == set(kinds.split())


def test_fdb(lab, daemon):
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    m = Monitor(daemon, "fdb")
    x, y = "02:00:00:00:0f:01", "02:00:00:00:0f:02"
    a.raw.send(L.frame(y, x))
    m.wait("fdb", "new", mac=x, ifname=a.port)
    b.raw.send(L.frame(y, x))
    m.wait("fdb", "moved", mac=x, ifname=b.port, old_ifname=a.port)
    own = lab.switch.link(a.port)["address"]
    b.raw.send(L.frame(y, own))
    m.wait("fdb", "own-source", mac=own, ifname=b.port)
    daemon.cli("fdb", "add", y, "dev", b.port)
    m.wait("fdb", "new", mac=y)
    daemon.cli("fdb", "del", y, "dev", b.port)
    m.wait("fdb", "gone", mac=y)
    daemon.cli("link", "set", "br0", "fdb_max_learned", "1", "type", "bridge")
    for i in range(5):
        a.raw.send(L.frame(y, f"02:00:00:00:0e:{i:02x}"))
    m.wait("fdb", "full")
    m.end("fdb")


def test_links(lab, daemon):
    a, b = lab.add_hosts(2)
    sw = lab.switch
    m = Monitor(daemon, "link")
    daemon.bridge(a, "tap:vt0")
    m.wait("link", "bridge-add", bridge="br0", ifname="br0")
    assert m.wait("link", "port-add", ifname=a.port)["driver"] == "packet"
    m.wait("link", "port-add", ifname="vt0", driver="tap")
    sw.ip("link", "set", a.port, "mtu", "1400")
    m.wait("link", "mtu", ifname=a.port, mtu=1400)
    m.wait("link", "mtu", ifname="br0", mtu=1400)
    sw.ip("link", "set", a.port, "address", "02:00:00:00:0d:01")
    m.wait("link", "address", ifname=a.port, address="02:00:00:00:0d:01")
    sw.ip("link", "set", a.port, "down")
    m.wait("link", "down", ifname=a.port)
    sw.ip("link", "set", a.port, "name", "other")
    m.wait("link", "renamed", ifname="other", old_ifname=a.port)
    sw.ip("link", "set", "other", "up")
    m.wait("link", "up", ifname="other")
    sw.ip("link", "set", "vt0", "netns", lab.space("away").name)
    m.wait("link", "netns", ifname="vt0")
    sw.ip("link", "del", "other")
    m.wait("link", "vanished", ifname="other")
    sw.ip("link", "add", "other", "type", "veth", "peer", "name", "another")
    sw.ip("link", "set", "other", "up")
    m.wait("link", "returned", ifname="other")
    daemon.cli("delif", "br0", "other")
    m.wait("link", "port-del", ifname="other")
    daemon.cli("delbr", "br0")
    m.wait("link", "bridge-del", bridge="br0")
    programs = "attach inspect stall return detach"
    m.has("link", "bridge-add bridge-del port-add port-del up down vanished returned renamed netns address mtu adopt "
                  "release " + programs)
    assert not m.wrong, m.wrong
    seen = {e["kind"] for e in m.events}
    assert {k for g, k in m.kinds if g == "link"} - seen == {"adopt", "release", *programs.split()}


def test_adoption(lab, daemon):
    a, b = lab.add_hosts(2)
    sw = lab.switch
    sw.ip("link", "add", "kbr", "type", "bridge")
    for h in (a, b):
        sw.ip("link", "set", h.port, "master", "kbr")
    sw.ip("link", "set", "kbr", "up")
    L.wait_for(lambda: sw.run("cat", f"/sys/class/net/{a.port}/brport/state").strip() == "3", "it forwards")
    m = Monitor(daemon, "link", "stp")
    daemon.cli("adopt", "kbr")
    m.wait("link", "adopt", bridge="kbr")
    m.wait("link", "port-add", bridge="kbr", ifname=a.port)
    sw.run("bridge", "link", "set", "dev", a.port, "state", "1")  # listening
    m.wait("stp", "state", bridge="kbr", ifname=a.port)
    daemon.cli("release", "kbr")
    m.wait("link", "release", bridge="kbr")
    assert not m.wrong, m.wrong


def test_programs(lab, daemon):
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    daemon.cli("intercept", "br0", "stall-ms", "200")
    m = Monitor(daemon)
    p = Program(lab, daemon)
    m.wait("link", "attach", pid=p.pid)
    m.wait("link", "inspect", pid=p.pid)
    p.kill(signal.SIGSTOP)
    for _ in range(20):
        a.raw.send(L.frame("ff:ff:ff:ff:ff:ff", a.mac))
    m.wait("link", "stall", pid=p.pid)
    p.kill(signal.SIGCONT)
    for _ in range(20):
        a.raw.send(L.frame("ff:ff:ff:ff:ff:ff", a.mac))
    m.wait("link", "return", pid=p.pid)
    p.end(signal.SIGKILL)
    m.wait("link", "detach", pid=p.pid)
    assert not m.wrong, m.wrong


def bpdu(mac, root, flags=0):
    """An RST BPDU of a designated port of that root."""
    body = struct.pack("!HBBB8sI8sHHHHHB", 0, 2, 2, 0x0c | flags, root, 0, root, 0x8001, 0, 20 << 8, 2 << 8, 15 << 8, 0)
    return L.frame("01:80:c2:00:00:00", mac, b"\x42\x42\x03" + body, ethertype=3 + len(body))


def test_spanning_tree(lab, daemon):
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    m = Monitor(daemon, "stp")
    daemon.cli("stp", "br0", "on")
    m.wait("stp", "role", ifname=a.port)
    m.wait("stp", "state", ifname=a.port)
    better = bytes.fromhex("1000020000000001")
    # A BPDU is sent until it counts: the port takes none while it has no role.
    L.wait_for(lambda: (a.raw.send(bpdu(a.mac, better, 1)),
                        [e for e in m.events if (e["kind"], e["ifname"]) == ("root", a.port)])[1], "a better root")
    assert m.wait("stp", "root", ifname=a.port)["root_id"] == "1000.020000000001"
    L.wait_for(lambda: (a.raw.send(bpdu(a.mac, better, 1)),
                        [e for e in m.events if e["kind"] == "topology-change"])[1], "a topology change")
    daemon.cli("link", "set", b.port, "root_block", "on")
    b.raw.send(bpdu(b.mac, bytes.fromhex("0000020000000002")))
    m.wait("stp", "root-block", ifname=b.port)
    daemon.cli("link", "set", b.port, "root_block", "off", "guard", "on")
    b.raw.send(bpdu(b.mac, bytes.fromhex("0000020000000002")))
    m.wait("stp", "guard", ifname=b.port)
    m.end("stp")


def test_configuration(lab, daemon):
    a, b = lab.add_hosts(2)
    d = daemon
    d.bridge(a, b)
    m = Monitor(d, "config")
    d.cli("setageing", "br0", "77")
    assert m.wait("config", "bridge", ifname="br0")["changed"] == {"ageing_time": 77}
    d.cli("setageing", "br0", "77")  # no change, no event
    d.cli("link", "set", a.port, "isolated", "on")
    assert m.wait("config", "port", ifname=a.port)["changed"] == {"isolated": True}
    d.cli("vlan", "add", "dev", b.port, "vid", "10")
    assert m.wait("config", "port", ifname=b.port)["changed"] == {"vlans": "1 pvid untagged, 10"}
    d.cli("intercept", "br0", "mode", "copy", "rings", "2")
    assert m.wait("config", "intercept")["changed"] == {"mode": "copy", "rings": 2}
    d.cli("mirror", "add", "br0", "ids", "to", "tap:mon0", "rx", a.port)
    m.wait("config", "mirror-add", name="ids", to="tap:mon0")
    d.cli("rule", "add", "br0", "forward", "drop", "filter", "tcp port 23")
    m.wait("config", "rules", hook="forward", rules=1)
    d.cli("rule", "del", "br0", "forward", "all")
    m.wait("config", "rules", hook="forward", rules=0)
    d.cli("mirror", "del", "br0", "ids")
    m.wait("config", "mirror-del", name="ids")
    d.cli("log", "daemon/ports", "debug")
    m.wait("config", "log", module="daemon/ports", level="debug")
    conf = lab.dir / "c.yaml"
    conf.write_text(f"bridges:\n  br1:\n    ports: [{{name: 'tap:vt1'}}]\n")
    d.cli("reload", conf)
    assert m.wait("config", "reload")["changes"]
    conf.write_text("bridges:\n  br1:\n    ports: [{name: lo}]\n")
    text = d.fails("reload", conf)
    assert m.wait("config", "reload-failed")["text"] in text
    assert len([e for e in m.events if e["kind"] == "bridge"]) == 1
    m.end("config")


def test_stop_is_the_daemons_last_word(lab, daemon):
    daemon.bridge()
    for groups in (["fdb"], ["config"]):
        m = Monitor(daemon, *groups)
        pid = daemon.pid
        assert daemon.stop() == 0
        m.wait("daemon", "stop", pid=pid)
        m.thread.join(L.DEADLINE)
        assert not m.wrong, m.wrong
        daemon.start()


def test_lost_is_told(lab, daemon):
    """A monitor that sleeps: the events it gets and those it is told to have lost are all that were."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    m = Client(daemon)
    m.ask("monitor", wait=False, groups=["fdb"])
    watch = Monitor(daemon, "fdb")
    flood(a, 6000)
    L.wait_for(lambda: daemon.stats(a.port)["stats64"]["rx"]["packets"] >= 6000, "all came in")
    learned = L.wait_for(lambda: len(daemon.fdb()) > 5500 and len(daemon.fdb()), "they are learned")
    assert daemon.status()["clients"] >= 3
    got, lost = 0, 0
    m.s.settimeout(1)  # nothing more comes
    with contextlib.suppress(TimeoutError):
        while e := m.next()["event"]:
            if e["kind"] == "lost":
                assert (e["group"], e["where"]) in (("daemon", "client"), ("daemon", "queue"))
                lost += e["count"]
            else:
                got += 1
    assert lost > 100 and got > 100
    watched = sum(e["count"] for e in watch.events if e["kind"] == "lost")
    new = sum(e["kind"] == "new" for e in watch.events)
    assert new + watched >= learned - 10
    assert got + lost >= learned - 10, (got, lost, learned)
    assert not watch.wrong, watch.wrong
    m.close()
