# SPDX-License-Identifier: BSD-2-Clause
"""VLANs, spanning tree, rules and mirrors on one bridge: over a restart, and with a program in the path."""

import time

import pytest

import lab as L
from puppet import BROADCAST, Puppet

SLOW = max(L.DEADLINE, 30)

CONFIG = """
bridges:
  br0:
    stp_state: true
    priority: 8192
    vlan_filtering: true
    vlan_stats_enabled: true
    vlans: [1 pvid untagged, 10]
    ports:
      - {{name: {a}, edge: on, vlans: [10 pvid untagged]}}
      - {{name: {b}, edge: on, vlans: [10, 20-30], isolated: true}}
      - {{name: {m}}}
      - {{name: u1, vlans: [1 pvid untagged, 10]}}
      - {{name: u2, vlans: [1 pvid untagged, 10], cost: 5000}}
    rules:
      pre_routing:
        - {{name: guests, verdict: mark, set: 5, vlan: 10}}
      forward:
        - {{name: x, verdict: drop, mark: 5, filter: "ether[14] = 0x58"}}
        - {{name: y, verdict: mirror, to: odd, in: {a}, filter: "ether[14] = 0x59"}}
      post_routing:
        - {{name: z, verdict: drop, out: {b}, vlan: 10, filter: "ether[14] = 0x5a"}}
    mirrors:
      - {{name: wire, to: {m}, rx: {a}, filter: "ether proto 0x88b5"}}
      - {{name: short, to: "tap:mon0", both: {b}, snap: 64}}
      - {{name: odd, to: "netmap:ids"}}
  br1:
    stp_state: true
    priority: 4096
    ports: [{{name: v1}}, {{name: v2}}, {{name: {c}, edge: on}}]
"""


class Everything:
    """br0 (VLANs, rules, mirrors) with hosts a and b and the analyser m, twice joined to br1, the root, with host c."""

    def __init__(self, lab):
        self.lab = lab
        self.a, self.b, self.c, self.m = (h.silent() for h in lab.add_hosts(4))
        for h in (self.a, self.b, self.c, self.m):
            h.raw.drain()  # it listens from now on
        lab.switch.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        for i in "12":
            lab.switch.ip("link", "add", f"u{i}", "type", "veth", "peer", "name", f"v{i}")
            for dev in (f"u{i}", f"v{i}"):
                lab.switch.ip("link", "set", dev, "up")
        self.conf = lab.dir / "all.yaml"
        self.conf.write_text(CONFIG.format(**{n: getattr(self, n).port for n in "abcm"}))
        self.d = lab.daemon("-c", self.conf)
        self.d.ns.ip("link", "set", "br0", "up", "arp", "off")
        self.n = 0
        L.wait_for(self.converged, "br1 is the root, by one of two links", timeout=SLOW)

    def roles(self):
        return {r["ifname"]: (r["linkinfo"]["info_slave_data"]["role"], r["state"])
                for r in self.d.json("-d", "link", "show") if not r.get("host") and r.get("master") in ("br0", "br1")}

    def converged(self):
        r = self.roles()
        return (r.get("u1"), r.get("u2")) == (("root", "forwarding"), ("alternate", "blocking")) and all(
            r.get(p) == ("designated", "forwarding") for p in (self.a.port, self.b.port, self.c.port, "v1", "v2"))

    def state(self):
        """All that was set and found out, without counters and without what is a matter of the moment."""
        def without(row, *keys):
            return {k: v for k, v in row.items() if k not in keys}

        d = self.d
        ports = {}
        for r in d.json("-d", "link", "show"):
            data = (r.get("linkinfo") or {}).get("info_slave_data", {})
            ports[r["ifname"]] = [r.get(k) for k in ("master", "port_no", "driver", "state", "operstate")] + [
                data.get(k) for k in ("role", "cost", "edge", "isolated", "vlans", "span", "designated_root")]
        return {"ports": ports, "vlans": d.json("vlan", "show"),
                "rules": [without(r, "packets", "bytes") for r in d.json("rule", "show")],
                "mirrors": [without(r, "packets", "bytes", "cut", "lost") for r in d.json("mirror", "show")],
                "settings": {b: {k: v for k, v in d.json("show", b)[0]["linkinfo"]["info_data"].items()
                                 if k.startswith("vlan") or k in ("root_id", "root_port", "root_cost", "priority",
                                                                  "bridge_id", "stp_state", "ageing_time")}
                             for b in ("br0", "br1")},
                "learned": {(m, v): r["ifname"] for (m, v), r in d.fdb().items() if not r["state"]}}

    def use_tap(self):
        """The TAP is made anew with each daemon."""
        self.d.ns.ip("link", "set", "mon0", "up")
        L.wait_for(lambda: self.mirror("short")["state"] == "up", "the TAP is up")

    def mirror(self, name):
        return next(m for m in self.d.json("mirror", "show") if m["name"] == name)

    def frame(self, first, src=None, dst=BROADCAST, tags=()):
        self.n += 1
        src = src or self.a
        return L.frame(dst, src.mac, first + b" %06d " % self.n + bytes(40), tags=tags)

    def tagged(self, f):
        return f[:12] + b"\x81\0\0\x0a" + f[12:]

    def hear(self, *want):
        """[(host, frame)]: each of the four has heard exactly this of ours, in this order."""
        for name in "abcm":
            host = getattr(self, name)
            mine = [f for h, f in want if h is host]
            got, end = [], time.monotonic() + L.DEADLINE
            while (f := host.raw.recv(0.15)) is not None or (len(got) < len(mine) and time.monotonic() < end):
                if f and b"\x88\xb5" in f[:18]:
                    got.append(f)
            assert got == mine, f"{name}: {[f.hex() for f in got]}, not {[f.hex() for f in mine]}"

    def traffic(self):
        """VLANs, rules and mirrors do what they are for; nothing goes round the loop."""
        a, b, c, m, d = self.a, self.b, self.c, self.m, self.d
        f = self.frame(b"ok")
        a.raw.send(f)
        self.hear((b, self.tagged(f)), (c, self.tagged(f)), (m, f))
        f = self.frame(b"ok", b, a.mac, [(0x8100, 10)])
        b.raw.send(f)
        self.hear((a, f[:12] + f[16:]))
        f = self.frame(b"Xdropped by its mark")
        before = d.drop("rule")
        a.raw.send(f)
        self.hear((m, f))
        assert d.drop("rule") >= before + 2
        f = self.frame(b"Zdropped at one port")
        a.raw.send(f)
        self.hear((c, self.tagged(f)), (m, f))
        ids = Puppet(self.lab, d, "nic", bridge="ids")
        f = self.frame(b"Ychosen")
        a.raw.send(f)
        self.hear((b, self.tagged(f)), (c, self.tagged(f)), (m, f))
        ids.take(f)
        ids.end()
        before = d.drop("vlan-ingress", b.port), d.drop("span")
        b.raw.send(self.frame(b"ok", b, tags=[(0x8100, 11)]))
        m.raw.send(self.frame(b"ok", m))
        L.wait_for(lambda: (d.drop("vlan-ingress", b.port), d.drop("span")) == (before[0] + 1, before[1] + 1),
                   "refused and counted")
        self.hear()


@pytest.fixture
def all_of_it(lab):
    e = Everything(lab)
    e.use_tap()
    return e


def test_over_a_restart(all_of_it):
    """The next daemon has the same state at once, roles and addresses too, and does the same."""
    e = all_of_it
    e.traffic()
    before = e.state()
    assert before["learned"][(e.a.mac, 10)] == e.a.port
    assert (len(before["rules"]), len(before["mirrors"])) == (4, 3)
    e.d.stop()
    e.d.start()
    L.wait_for(e.converged, "roles are as before", timeout=3)
    assert e.d.log_text().count("goes on where it was") == 2
    e.use_tap()
    assert e.state() == before
    e.traffic()
    assert all(e.d.json("show", b)[0]["linkinfo"]["info_data"]["n_topology_changes"] == 0 for b in ("br0", "br1"))
    assert e.d.json("reload", e.conf)["changes"] == [], "it is what the file says"


@pytest.mark.parametrize("how", ["swap", "copy"])
def test_with_a_program_inline(all_of_it, how):
    """The same again while a program has every frame of br0 in between."""
    e = all_of_it
    e.d.cli("intercept", "br0", "mode", "all", "stall-ms", "60000")
    p = Puppet(e.lab, e.d, "both")
    with p.auto(how):
        e.traffic()
        assert e.converged(), "BPDUs are none of its business"
    assert p.dealt == 5, "what VLAN ingress and the span port refuse is not shown"
    p.end()
    e.traffic()
