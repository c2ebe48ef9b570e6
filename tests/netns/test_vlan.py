# SPDX-License-Identifier: BSD-2-Clause
"""VLAN filtering, by raw tagged frames: this must work where the kernel has no VLAN devices."""

import json
import struct

import pytest

import lab as L
from lab import frame, sent_by, wait_for
from puppet import Puppet, Scene
from test_netmap import Program

BROADCAST = "ff:ff:ff:ff:ff:ff"
Q, AD = 0x8100, 0x88a8


class Station:
    """A silent device behind a port of any kind."""

    def __init__(self, lab, d, kind):
        self.lab = lab
        if kind != "tap":
            h = lab.host().silent()
            d.addif("br0", h.port, kind)
            self.ns, self.dev, self.port, self.mac = h.ns, "eth0", h.port, h.mac
        else:
            n = len(lab.spaces)
            self.ns, self.dev, self.port = lab.space("tap"), f"vt{n}", f"vt{n}"
            d.cli("addif", "br0", f"tap:{self.dev}")
            d.ns.ip("link", "set", self.dev, "netns", self.ns.name)
            self.ns.sysctl(f"net/ipv6/conf/{self.dev}/disable_ipv6", 1)
            self.mac = f"02:00:00:00:11:{n:02x}"
            self.ns.ip("link", "set", self.dev, "address", self.mac, "arp", "off", "up")
        self.raw = L.Raw(self.ns, self.dev)


def vlan(d, *words):
    d.cli("vlan", *words)


def only(d, port, *vids):
    """The port is in these VLANs and no other."""
    vlan(d, "del", "dev", port, "vid", "1-4094")
    for v in vids:
        vlan(d, "add", "dev", port, "vid", *v.split())


def scene(lab, kinds):
    """a: access 10; b: trunk 10 and 20; c: access 20."""
    d = lab.daemon()
    d.ns.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    d.cli("addbr", "br0")
    a, b, c = (Station(lab, d, k) for k in kinds)
    d.cli("link", "set", "br0", "vlan_filtering", "1")
    only(d, a.port, "10 pvid untagged")
    only(d, b.port, "10", "20")
    only(d, c.port, "20 pvid untagged")
    d.ns.ip("link", "set", "br0", "up")
    for s in (a, b, c):
        wait_for(lambda s=s: d.port(s.port)["operstate"] == "UP", f"{s.port} is up")
    return d, a, b, c


def heard(*stations, src):
    """What each has received from src, in order."""
    got = []
    for s in stations:
        mine = []
        while (f := s.raw.recv(0.3)) is not None:
            if sent_by(src)(f):
                mine.append(f)
        got.append(mine)
    return got


@pytest.mark.parametrize("kinds", [
    ("packet",) * 3, ("tap", "packet", "xdp"),
    *(pytest.param(k, marks=pytest.mark.long) for k in [("xdp",) * 3, ("tap",) * 3, ("xdp", "tap", "packet")]),
], ids="-".join)
def test_vlans_are_apart(lab, kinds):
    d, a, b, c = scene(lab, kinds)

    def f(src, dst=BROADCAST, tags=(), payload=b"x"):
        return frame(dst, src.mac, payload * 60, tags=tags)

    for dst in (BROADCAST, "01:00:5e:00:00:05", "02:00:00:00:ff:01"):
        a.raw.send(f(a, dst))
        assert heard(b, c, src=a) == [[f(a, dst, [(Q, 10)])], []]
        b.raw.send(f(b, dst, [(Q, 10)]))
        b.raw.send(f(b, dst, [(Q, 0x6014)]))  # VLAN 20, priority 3
        assert heard(a, c, src=b) == [[f(b, dst)], [f(b, dst)]]
    assert {(b.mac, 10), (b.mac, 20), (a.mac, 10)} <= set(d.fdb())
    # known now, in both directions, in long frames
    a.raw.send(f(a, b.mac, payload=b"long" * 6))
    assert heard(b, c, src=a) == [[f(a, b.mac, [(Q, 10)], b"long" * 6)], []]
    b.raw.send(f(b, a.mac, [(Q, 10)], b"long" * 6))
    assert heard(a, c, src=b) == [[f(b, a.mac, payload=b"long" * 6)], []]
    # what may not come in
    for s, tags, why in ((a, [(Q, 20)], "vlan-ingress"), (b, [(Q, 30)], "vlan-ingress"), (b, (), "vlan-no-pvid")):
        before = d.drop(why, s.port)
        s.raw.send(f(s, tags=tags))
        wait_for(lambda: d.drop(why, s.port) == before + 1, f"{why} at {s.port}")
    assert heard(a, src=b) == heard(c, src=b) == heard(b, src=a) == [[]]


@pytest.mark.parametrize("kinds", [("packet", "packet", "tap"), ("xdp", "xdp", "packet")], ids="-".join)
def test_priority_and_stacked_tags(lab, kinds):
    d, a, b, c = scene(lab, kinds)
    only(d, c.port, "10 pvid untagged")
    a.raw.send(frame(BROADCAST, a.mac, b"urgent" * 10, tags=[(Q, 0xe000)]))
    assert heard(b, c, src=a) == [[frame(BROADCAST, a.mac, b"urgent" * 10, tags=[(Q, 0xe00a)])],
                                  [frame(BROADCAST, a.mac, b"urgent" * 10)]]
    d.cli("link", "set", "br0", "vlan_protocol", "802.1ad")
    a.raw.send(frame(BROADCAST, a.mac, b"mine" * 15, tags=[(Q, 7)]))
    assert heard(b, c, src=a) == [[frame(BROADCAST, a.mac, b"mine" * 15, tags=[(AD, 10), (Q, 7)])],
                                  [frame(BROADCAST, a.mac, b"mine" * 15, tags=[(Q, 7)])]]
    b.raw.send(frame(BROADCAST, b.mac, b"yours" * 12, tags=[(AD, 10), (Q, 8)]))
    assert heard(a, c, src=b) == [[frame(BROADCAST, b.mac, b"yours" * 12, tags=[(Q, 8)])]] * 2


def test_pvid_changes_at_once(lab):
    d, a, b, c = scene(lab, ("packet",) * 3)
    f = frame(BROADCAST, a.mac, b"where am I" * 6)
    a.raw.send(f)
    assert [len(g) for g in heard(b, c, src=a)] == [1, 0]
    vlan(d, "add", "dev", a.port, "vid", "20", "pvid", "untagged")
    a.raw.send(f)
    assert heard(b, c, src=a) == [[frame(BROADCAST, a.mac, b"where am I" * 6, tags=[(Q, 20)])], [f]]
    assert {v for (m, v) in d.fdb() if m == a.mac} == {10, 20}
    vlan(d, "del", "dev", a.port, "vid", "10")
    assert {v for (m, v) in d.fdb() if m == a.mac} == {20}, "learned in a VLAN that it has left"
    d.cli("link", "set", "br0", "vlan_filtering", "0")
    a.raw.send(f)
    assert heard(b, c, src=a) == [[f], [f]]


def test_the_host_is_in_its_vlans(lab):
    d = lab.daemon()
    a, b = lab.add_hosts(2)
    d.bridge(a, b)
    d.ns.ip("addr", "add", "10.77.255.1/16", "dev", "br0")
    d.cli("link", "set", "br0", "vlan_filtering", "1")
    a.ping("10.77.255.1")  # all are in VLAN 1
    only(d, a.port, "10 pvid untagged")
    assert " 0 received" in a.ping("10.77.255.1", 2, "-W", 1, check=False)
    vlan(d, "del", "dev", "br0", "vid", "1", "self")
    vlan(d, "add", "dev", "br0", "vid", "10", "pvid", "untagged", "self")
    a.ns.run("ip", "neigh", "flush", "all")  # it has just given up on the host
    a.ping("10.77.255.1")
    assert " 0 received" in b.ping("10.77.255.1", 2, "-W", 1, check=False)
    L.tcp_transfer(a.ns, d.ns, "10.77.255.1")
    L.tcp_transfer(d.ns, a.ns, a.addr)


def test_the_host_with_tags(lab):
    d, a, b, c = scene(lab, ("packet",) * 3)
    d.ns.ip("link", "set", "br0", "arp", "off")
    host, mac = L.Raw(d.ns, "br0", promisc=False), d.ns.link("br0")["address"]
    vlan(d, "del", "dev", "br0", "vid", "1", "self")
    vlan(d, "add", "dev", "br0", "vid", "10-20", "self")
    a.raw.send(frame(mac, a.mac, b"up"))
    host.expect(lambda f: f[:18] == frame(mac, a.mac, b"up", tags=[(Q, 10)])[:18])
    host.send(frame(BROADCAST, mac, b"down" * 15, tags=[(Q, 20)]))
    c.raw.expect(frame(BROADCAST, mac, b"down" * 15))
    b.raw.expect(frame(BROADCAST, mac, b"down" * 15, tags=[(Q, 20)]))
    assert a.raw.count(lambda f: f[6:12] == bytes.fromhex(mac.replace(":", ""))) == 0
    host.close()


def trunked(lab, kinds):
    """Two bridges, joined by a trunk, with a host each in VLAN 100: the daemon and [(namespace, address)]."""
    d = lab.daemon()
    d.ns.ip("link", "add", "t0", "type", "veth", "peer", "name", "t1")
    for t in ("t0", "t1"):
        d.ns.sysctl(f"net/ipv6/conf/{t}/disable_ipv6", 1)
        d.ns.ip("link", "set", t, "up")
    ends = []
    for i, br in enumerate(("br0", "br1")):
        d.cli("addbr", br)
        d.addif(br, f"t{i}", kinds[1])
        kind = kinds[2 * i]
        if kind == "tap":
            ns, dev, addr = lab.space("tap"), f"vt{i}", f"10.77.1.{i + 1}"
            d.cli("addif", br, f"tap:{dev}")
            d.ns.ip("link", "set", dev, "netns", ns.name)
            ns.ip("addr", "add", f"{addr}/16", "dev", dev)
            ns.ip("link", "set", dev, "up")
            port = dev
        else:
            h = lab.host()
            d.addif(br, h.port, kind)
            ns, addr, port = h.ns, h.addr, h.port
        d.cli("link", "set", br, "vlan_filtering", "1", "vlan_stats_enabled", "1")
        only(d, port, "100 pvid untagged")
        only(d, f"t{i}", "100")
        d.ns.ip("link", "set", br, "up")
        ends.append((ns, addr))
    (a, _), (_, b_addr) = ends
    wait_for(lambda: " 1 received" in a.run("ping", "-n", "-c1", "-W1", b_addr, check=False), "ping")
    return d, ends


def bad(d):
    """Drops that no stream should suffer."""
    return {k: n for k, n in d.drops().items() if k[0] not in ("br0", "br1") and
            k[1].startswith(("gso", "csum", "vlan", "egress-mtu", "tx-refused"))}


@pytest.mark.parametrize("kinds", [("packet", "packet", "packet"), ("packet", "xdp", "packet"), ("tap", "packet", "tap"),
                                   ("xdp", "packet", "tap")], ids="-".join)
def test_tcp_from_access_ports_over_a_trunk(lab, kinds):
    """Each segment, or each GSO frame, gets a tag and loses it."""
    d, ((a, a_addr), (b, b_addr)) = trunked(lab, kinds)
    before = bad(d)  # what came while the ports were set up
    L.tcp_transfer(a, b, b_addr)
    L.tcp_transfer(b, a, a_addr)
    L.udp_transfer(a, b, b_addr)
    L.udp_transfer(b, a, a_addr, count=20, size=6000)
    assert L.checksum_errors(a) == L.checksum_errors(b) == 0
    assert bad(d) == before
    row = next(v for r in d.json("-s", "vlan", "show", "t0") for v in r["vlans"])
    assert row["vlan"] == 100 and row["rx_bytes"] > 8 << 20 and row["tx_bytes"] > 8 << 20
    if set(kinds) == {"packet"}:  # no segment was cut on the way
        assert d.stats("t0")["offload"]["gso_passed"] > 0
        assert d.stats("t0")["offload"]["gso_segmented"] == 0


@pytest.mark.parametrize("how", [[], ["copy"]], ids=["swap", "copy"])
def test_tcp_with_a_program_on_the_bridge(lab, how):
    """The program has segments without tags one way, with them the other; GSO frames go on whole, and get theirs."""
    d, ((a, a_addr), (b, b_addr)) = trunked(lab, ("packet",) * 3)
    before = bad(d)
    p = Program(lab, d, *how)
    L.tcp_transfer(a, b, b_addr)
    L.tcp_transfer(b, a, a_addr)
    L.udp_transfer(a, b, b_addr)
    assert L.checksum_errors(a) == L.checksum_errors(b) == 0
    nic = p.side()
    assert nic["taken"] > 100 and nic["gso"]["whole"] > 0 and nic["origins"]["unknown"] == 0, nic
    assert bad(d) == before
    p.end()


def test_a_program_in_the_path(lab):
    d = lab.daemon()
    s = Scene(lab, d)
    a, b = s.hosts["a"], s.hosts["b"]
    d.cli("link", "set", "br0", "vlan_filtering", "1")
    vlan(d, "add", "dev", a.port, "vid", "10", "pvid", "untagged")
    vlan(d, "add", "dev", b.port, "vid", "10")
    p = Puppet(lab, d)
    for how in ("swap", "copy"):
        text = s.fresh()
        f = frame(BROADCAST, a.mac, text * 5)
        a.raw.send(f)
        p.take(f)
        p.pass_on(how)
        b.raw.expect(frame(BROADCAST, a.mac, text * 5, tags=[(Q, 10)]))
        g = frame(a.mac, b.mac, text * 5, tags=[(Q, 10)])
        b.raw.send(g)
        p.take(g)
        p.pass_on(how)
        a.raw.expect(frame(a.mac, b.mac, text * 5))
    # refused: never shown, and what comes next is
    before = d.drop("vlan-ingress", a.port)
    a.raw.send(frame(BROADCAST, a.mac, b"refused", tags=[(Q, 11)]))
    wait_for(lambda: d.drop("vlan-ingress", a.port) == before + 1, "counted")
    f = frame(BROADCAST, a.mac, b"next" * 15)
    a.raw.send(f)
    p.take(f)
    # a program that edits a tag is held to the port's VLANs
    vlan(d, "del", "dev", a.port, "vid", "10")
    before = d.drop("vlan-no-pvid", a.port)
    p.pass_on()
    wait_for(lambda: d.drop("vlan-no-pvid", a.port) == before + 1, "decided again")


# ---- commands ----


def simple(lab):
    d = lab.daemon()
    h = lab.host().silent()
    d.bridge(h, up=False)
    return d, h.port


def vlans_of(d, port):
    return next(r for r in d.json("vlan", "show") if r["ifname"] == port)["vlans"]


FIRST = {"vlan": 1, "flags": ["PVID", "Egress Untagged"]}


def test_commands_as_bridge_has_them(lab):
    d, p = simple(lab)
    assert vlans_of(d, p) == vlans_of(d, "br0") == [FIRST]
    vlan(d, "add", "dev", p, "vid", "10-20")
    vlan(d, "add", "dev", p, "vid", "15", "untagged")
    vlan(d, "add", "dev", p, "vid", "4094", "pvid", "master")
    assert vlans_of(d, p) == [{"vlan": 1, "flags": ["Egress Untagged"]}, {"vlan": 10, "vlanEnd": 14},
                              {"vlan": 15, "flags": ["Egress Untagged"]}, {"vlan": 16, "vlanEnd": 20},
                              {"vlan": 4094, "flags": ["PVID"]}]
    out = d.cli("vlan", "show", "dev", p).stdout.splitlines()
    assert out[0].split() == ["port", "vlan-id", "flags"]
    assert out[1].split() == [p, "1", "Egress", "Untagged"]
    assert out[2].split() == ["10-14"]
    assert d.json("vlan", "show", "br", "br0")[0]["master"] == "br0"
    assert [r["ifname"] for r in d.json("vlan", "show", "dev", "br0")] == ["br0"]
    vlan(d, "delete", "dev", p, "vid", "2-4094")
    vlan(d, "del", "dev", p, "vid", "1", "pvid", "untagged")
    vlan(d, "del", "dev", p, "vid", "1")  # as bridge(8): gone already is as good
    assert vlans_of(d, p) == []
    assert "none" in d.cli("vlan", "show", p).stdout
    vlan(d, "add", "dev", "br0", "vid", "7", "self")
    assert vlans_of(d, "br0") == [FIRST, {"vlan": 7}]
    text = d.cli("-d", "link", "show", p).stdout
    assert ["vlans"] == [l.strip() for l in text.splitlines() if l.strip().startswith("vlans")]


@pytest.mark.parametrize("words,sentence", [
    (["add", "dev", "{p}", "vid", "0"], "port {p}: vlan 0 is out of range 1 to 4094"),
    (["add", "dev", "{p}", "vid", "4095"], "port {p}: vlan 4095 is out of range 1 to 4094"),
    (["add", "dev", "{p}", "vid", "20-10"], "port {p}: vlan 20-10: the range is reversed"),
    (["add", "dev", "{p}", "vid", "10-20", "pvid"], "port {p}: vlan 10-20: a PVID is one VLAN, not a range"),
    (["add", "dev", "{p}", "vid", "x"], "port {p}: vlan x: neither a number nor a range"),
    (["del", "dev", "{p}", "vid", "1-4095"], "port {p}: vlan 1-4095 is out of range 1 to 4094"),
    (["add", "dev", "{p}", "vid", "5", "self"], "port {p}: self is for the interface of a bridge, this is a port of br0"),
    (["add", "dev", "br0", "vid", "5"], "br0: a bridge; the VLANs of its own interface need the word self"),
    (["add", "dev", "nobody", "vid", "5"], "port nobody: not a port of any bridge"),
])
def test_bad_input_is_one_sentence_and_changes_nothing(lab, words, sentence):
    d, p = simple(lab)
    before = d.json("vlan", "show")
    said = d.fails("vlan", *[w.format(p=p) for w in words])
    assert sentence.format(p=p) in said
    assert d.json("vlan", "show") == before


def test_settings_of_the_bridge(lab):
    d, p = simple(lab)

    def data():
        row = d.json("-d", "link", "show", "br0")[0]["linkinfo"]["info_data"]
        return {k: v for k, v in row.items() if k.startswith("vlan_")}

    assert data() == {"vlan_filtering": False, "vlan_protocol": "802.1Q", "vlan_default_pvid": 1,
                      "vlan_stats_enabled": False, "vlan_stats_per_port": False}
    d.cli("link", "set", "br0", "type", "bridge", "vlan_filtering", "1", "vlan_protocol", "802.1ad",
          "vlan_default_pvid", "5", "vlan_stats_enabled", "on", "vlan_stats_per_port", "on")
    assert data() == {"vlan_filtering": True, "vlan_protocol": "802.1ad", "vlan_default_pvid": 5,
                      "vlan_stats_enabled": True, "vlan_stats_per_port": True}
    assert vlans_of(d, p) == vlans_of(d, "br0") == [{"vlan": 5, "flags": ["PVID", "Egress Untagged"]}]
    assert "4095 is out of range 0 to 4094" in d.fails("link", "set", "br0", "vlan_default_pvid", "4095")
    assert data()["vlan_default_pvid"] == 5
    d.cli("link", "add", "br7", "type", "bridge", "vlan_filtering", "on", "vlan_default_pvid", "0")
    assert vlans_of(d, "br7") == []
    d.cli("delbr", "br7")


def test_entries_by_vlan(lab):
    d, p = simple(lab)
    mac = "02:00:00:00:00:77"
    d.cli("link", "set", "br0", "vlan_filtering", "1")
    vlan(d, "add", "dev", p, "vid", "10")
    d.cli("fdb", "add", mac, "dev", p)
    assert {v for m, v in d.fdb() if m == mac} == {1, 10}
    assert "port " + p + " is not in VLAN 11" in d.fails("fdb", "add", mac, "dev", p, "vlan", "11")
    assert d.json("fdb", "get", mac, "br", "br0")[0]["vlan"] == 1
    d.cli("fdb", "del", mac, "dev", p, "vlan", "1")
    assert d.json("fdb", "get", mac, "br", "br0")[0]["vlan"] == 10
    d.cli("fdb", "del", mac, "dev", p)
    assert mac not in {m for m, v in d.fdb()}
    own = d.ns.link("br0")["address"]
    assert d.json("fdb", "get", own, "br", "br0", "vlan", "10")[0]["state"] == "permanent"


def test_configuration_round_trip(lab):
    conf = lab.dir / "v.yaml"
    h = lab.host().silent()

    def write(ports, extra=""):
        conf.write_text(f"bridges:\n  br0:\n{extra}    ports:\n      - name: {h.port}\n{ports}")

    write("        vlans: [10 pvid untagged, 20-30]\n",
          "    vlan_filtering: true\n    vlan_default_pvid: 5\n    vlans: [10 untagged]\n")
    d = lab.daemon("--config", conf)
    tagged = [{"vlan": 10, "flags": ["PVID", "Egress Untagged"]}, {"vlan": 20, "vlanEnd": 30}]
    assert vlans_of(d, h.port) == tagged
    assert vlans_of(d, "br0") == [{"vlan": 10, "flags": ["Egress Untagged"]}]
    assert d.json("reload", conf)["changes"] == []
    # all or nothing
    write("        vlans: [10 pvid untagged]\n        driver: warp\n", "    vlan_filtering: false\n")
    assert "no driver warp" in d.fails("reload", conf)
    assert vlans_of(d, h.port) == tagged
    # what is no longer written goes back to its default
    write("", "    vlan_filtering: true\n")
    changes = d.json("reload", conf)["changes"]
    assert f'port {h.port}: vlans "1 pvid untagged"' in changes, changes
    assert vlans_of(d, h.port) == vlans_of(d, "br0") == [FIRST]
    assert d.json("reload", conf)["changes"] == []
    # written by hand, and a text that does not say anything of it
    vlan(d, "add", "dev", h.port, "vid", "7")
    assert d.json("reload", conf)["changes"] == []
    assert vlans_of(d, h.port) == [FIRST, {"vlan": 7}]
    write("        vlans: [0]\n")
    assert ":5: port: vlan 0 is out of range 1 to 4094" in d.fails("reload", conf)
