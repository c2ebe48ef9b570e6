# SPDX-License-Identifier: BSD-2-Clause
"""Spanning tree with others: the kernel's bridge (STP), Open vSwitch (RSTP), another viaduct.

Three bridges in a ring, two of them joined twice:

    host a -- ours == peer -- host b
                \\\\     /
                 third            (a viaduct of its own)

Times are printed (pytest -s) and kept in the report, not asserted.
"""

import json
import os
import shutil
import signal
import time

import pytest

import lab as L

SLOW = L.DEADLINE * 6
TIMES = {"forward_delay": 4, "hello_time": 1, "max_age": 6}


class Viaduct:
    """A bridge of a daemon in a namespace of its own."""

    def __init__(self, lab, ns):
        self.d = lab.daemon(ns=ns)
        self.ns = ns
        self.d.cli("addbr", "br0")
        ns.ip("link", "set", "br0", "up")

    def setup(self, priority):
        words = [str(w) for kv in TIMES.items() for w in kv]
        self.d.cli("link", "set", "br0", *words, "priority", priority, "type", "bridge", "stp_state", "on")

    def add(self, dev):
        self.ns.ip("link", "set", dev, "up")
        self.d.cli("addif", "br0", dev)

    def root(self):
        """The root's address, as 12 hexadecimal digits."""
        return self.info()["root_id"].split(".")[1]

    def info(self):
        return self.d.json("show", "br0")[0]["linkinfo"]["info_data"]

    def states(self):
        return {r["ifname"]: r["state"] for r in self.d.json("link", "show")
                if not r.get("host") and "master" in r}

    def kill(self):
        self.d.kill()


class Kernel:
    """The kernel's bridge; it knows only STP."""

    def __init__(self, lab, ns):
        self.ns = ns
        ns.ip("link", "add", "br0", "type", "bridge", "forward_delay", 400, "hello_time", 100, "max_age", 600)
        ns.ip("link", "set", "br0", "up")

    def setup(self, priority):
        self.ns.ip("link", "set", "br0", "type", "bridge", "stp_state", 1, "priority", priority)

    def add(self, dev):
        self.ns.ip("link", "set", dev, "master", "br0", "up")

    def root(self):
        # Not from iproute2: that of Debian 12 prints the bridge's own identifier there.
        return self.ns.run("cat", "/sys/class/net/br0/bridge/root_id").strip().split(".")[1]

    def states(self):
        return {r["ifname"]: r["state"] for r in json.loads(self.ns.run("bridge", "-j", "link", "show"))}


class Ovs:
    """Open vSwitch with the datapath in user space, and its RSTP."""

    def __init__(self, lab, ns):
        if not shutil.which("ovs-vswitchd"):
            pytest.skip("Open vSwitch is not installed (apt-get install openvswitch-switch)")
        self.ns, self.dir = ns, lab.dir / "ovs"
        self.dir.mkdir()
        env = {v: str(self.dir) for v in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")}
        self.env = dict(os.environ, **env)
        db, sock = self.dir / "conf.db", f"unix:{self.dir}/db.sock"
        L.sh("ovsdb-tool", "create", db, "/usr/share/openvswitch/vswitch.ovsschema")
        logs = {"stdout": open(self.dir / "log", "w"), "stderr": -2, "env": self.env}
        lab.background(ns, "ovsdb-server", db, f"--remote=p{sock}", f"--unixctl={self.dir}/db.ctl", **logs)
        L.wait_for(lambda: (self.dir / "db.sock").exists(), "ovsdb-server is there")
        self.vsctl("--no-wait", "init")
        lab.background(ns, "ovs-vswitchd", sock, f"--unixctl={self.dir}/ovs.ctl", **logs)
        L.wait_for(lambda: (self.dir / "ovs.ctl").exists(), "ovs-vswitchd is there")
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")

    def vsctl(self, *argv):
        return self.ns.run("ovs-vsctl", f"--db=unix:{self.dir}/db.sock", "-t", 20, *argv)

    def setup(self, priority):
        self.vsctl("set", "bridge", "br0", "rstp_enable=true", f"other_config:rstp-priority={priority}",
                   "other_config:rstp-forward-delay=4", "other_config:rstp-max-age=6")

    def add(self, dev):
        self.ns.ip("link", "set", dev, "up")
        self.vsctl("add-port", "br0", dev)

    def root(self):
        text = self.vsctl("get", "bridge", "br0", "rstp_status:rstp_root_id").strip().strip('"')
        return text.split(".")[-1].replace(":", "")[-12:]

    def states(self):
        out = {}
        for dev in self.vsctl("list-ports", "br0").split():
            state = self.vsctl("get", "port", dev, "rstp_status:rstp_port_state").strip().strip('"')
            out[dev] = state.lower()
        return out


PEERS = {"kernel": Kernel, "ovs": Ovs, "viaduct": Viaduct}


class Ring:
    def __init__(self, lab, kind, priorities):
        self.lab = lab
        self.a, self.b = lab.add_hosts(2)
        far, third = lab.space("far"), lab.space("third")
        for name, x, y in (("u1", lab.switch, far), ("u2", lab.switch, far), ("v1", lab.switch, third),
                           ("w1", far, third)):
            x.ip("link", "add", name, "type", "veth", "peer", "name", name, "netns", y.name)
        lab.switch.ip("link", "set", self.b.port, "netns", far.name)
        self.ours, self.peer, self.third = Viaduct(lab, lab.switch), PEERS[kind](lab, far), Viaduct(lab, third)
        for bridge, priority in zip((self.ours, self.peer, self.third), priorities):
            bridge.setup(priority)
        for bridge, devs in ((self.ours, (self.a.port, "u1", "u2", "v1")),
                             (self.peer, (self.b.port, "u1", "u2", "w1")), (self.third, ("v1", "w1"))):
            for dev in devs:
                bridge.add(dev)
        for ns in (lab.switch, far, third):
            ns.run("sh", "-c", "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done")

    def reach(self):
        return "100% packet loss" not in self.a.ping(self.b.addr, 1, "-W", "1", check=False)

    def wait(self, what, alive):
        """Until all have one root and a and b reach each other; returns the seconds."""
        start = time.monotonic()
        L.wait_for(self.reach, f"{what}: a reaches b", timeout=SLOW)
        reached = time.monotonic() - start
        L.wait_for(lambda: one_of([x.root() for x in alive]), f"{what}: one root", timeout=SLOW)
        return reached

    def broadcasts_arrive_once(self):
        for i, (x, y) in enumerate([(self.a, self.b), (self.b, self.a)] * 3):
            f = L.frame("ff:ff:ff:ff:ff:ff", x.mac, os.urandom(40))
            y.raw.drain()
            x.raw.drain()
            x.raw.send(f)
            assert y.raw.count(f, settle=0.5) == 1, "a broadcast arrives once"
            assert x.raw.count(f, settle=0.01) == 0, "and does not come back"


def one_of(roots):
    assert len(set(roots)) == 1, roots
    return True


def settled(*bridges):
    """No port is on its way to a state any more."""
    return not {"listening", "learning"} & {s for x in bridges for s in x.states().values()}


def address_of(bridge):
    if isinstance(bridge, Viaduct):
        return bridge.info()["bridge_id"].split(".")[1]
    return bridge.ns.link("br0")["address"].replace(":", "")


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("kind", sorted(PEERS))
@pytest.mark.timeout(600)
def test_ring(lab, kind, first, record_property):
    """One root, no loop; again after a cut link, and after a bridge that was killed."""
    ring = Ring(lab, kind, (4096, 61440, 32768) if first == "ours" else (61440, 4096, 32768))
    all_three = [ring.ours, ring.peer, ring.third]
    took = {"start": ring.wait("start", all_three)}
    L.wait_for(lambda: settled(ring.ours, ring.third), "states are final", timeout=SLOW)
    best = ring.ours if first == "ours" else ring.peer
    assert best.root() == address_of(best), "the root is who has the lowest priority"
    ring.broadcasts_arrive_once()

    used = next(d for d in ("u1", "u2") if ring.ours.states()[d] == ring.peer.states()[d] == "forwarding")
    lab.switch.ip("link", "set", used, "down")
    took["cut"] = ring.wait("cut", all_three)
    L.wait_for(lambda: settled(ring.ours, ring.third), "states are final", timeout=SLOW)
    ring.broadcasts_arrive_once()

    # Both direct links are gone: by way of the third. Then it comes back, and the third is killed.
    other = "u2" if used == "u1" else "u1"
    lab.switch.ip("link", "set", other, "down")
    took["detour"] = ring.wait("detour", all_three)
    ring.broadcasts_arrive_once()
    lab.switch.ip("link", "set", used, "up")
    L.wait_for(lambda: ring.ours.states()[used] == ring.peer.states()[used] == "forwarding", "it is used again",
               timeout=SLOW)
    ring.third.kill()
    took["kill"] = ring.wait("kill", all_three[:2])
    L.wait_for(lambda: settled(ring.ours), "states are final", timeout=SLOW)
    ring.broadcasts_arrive_once()
    for what, seconds in took.items():
        record_property(what, f"{seconds:.1f} s")
    print(f"{kind}, {first} first:", ", ".join(f"{k} {v:.1f} s" for k, v in took.items()))


def test_bpdus_and_neighbours(lab):
    """On, BPDUs stay in the bridge; LLDP goes to the host, also through a port that is blocked."""
    a, b = lab.add_hosts(2)
    d = lab.daemon()
    d.bridge(a, b)
    host = L.Raw(lab.switch, "br0")
    a.silent(), b.silent(), b.raw.drain()
    bpdu = L.frame("01:80:c2:00:00:00", a.mac, b"\x42\x42\x03\0\1" + bytes(41), ethertype=38)
    lldp = L.frame("01:80:c2:00:00:0e", a.mac, b"\x02\x07\x04" + os.urandom(40), ethertype=0x88cc)
    a.raw.send(bpdu)
    b.raw.expect(bpdu, "a BPDU with STP off")
    d.cli("stp", "br0", "on")
    assert d.port("p1")["state"] == "listening"
    b.raw.drain()
    host.drain()
    a.raw.send(bpdu)
    a.raw.send(lldp)
    host.expect(lldp, "LLDP on a port that is blocked")
    assert b.raw.count(lambda f: f in (bpdu, lldp)) == 0
    assert host.count(lambda f: f == bpdu, settle=0.05) == 0
    L.wait_for(lambda: d.drop("bpdu-malformed") == 1, "it is counted")
    L.wait_for(lambda: d.port("p1")["state"] == "forwarding", "an edge forwards", timeout=SLOW)
    own = b.raw.expect(lambda f: f[:6] == bytes.fromhex("0180c2000000"), "a BPDU of ours", timeout=SLOW)
    assert own[6:12] == bytes.fromhex(lab.switch.link("p2")["address"].replace(":", "")), "from the port's address"
    host.close()


def test_guard_and_events(lab):
    """BPDU guard shuts a port until it is opened; monitor tells of it; brctl's layout."""
    a, b = lab.add_hosts(2)
    d = lab.daemon()
    d.bridge(a, b)
    mon = lab.background(d.ns, L.VIADUCT, "--run-dir", d.run_dir, "-j", "monitor", "stp", stdout=-1)
    L.wait_for(lambda: d.status()["clients"] >= 2, "monitor is there")
    d.cli("stp", "br0", "on")
    d.cli("link", "set", "p1", "guard", "on")
    tcn = L.frame("01:80:c2:00:00:00", a.mac, b"\x42\x42\x03\0\0\0\x80" + bytes(39), ethertype=7)
    a.raw.send(tcn)
    L.wait_for(lambda: d.port("p1")["state"] == "disabled", "the port is shut")
    data = d.port("p1")["linkinfo"]["info_slave_data"]
    assert data["guarded"] and data["role"] == "disabled"
    text = d.cli("showstp", "br0").stdout
    assert "designated root" in text and "BPDU_GUARD" in text and "p1 (1)" in text
    d.cli("link", "set", "p1", "guard", "on")
    L.wait_for(lambda: d.port("p1")["state"] == "forwarding", "it is open again", timeout=SLOW)
    mon.send_signal(signal.SIGTERM)
    events = [json.loads(l) for l in mon.communicate(timeout=L.DEADLINE)[0].splitlines()]
    kinds = {e["kind"] for e in events}
    assert {"role", "root", "guard"} <= kinds, kinds
    assert any(e["kind"] == "guard" and e["ifname"] == "p1" for e in events)
    assert d.port("p2")["linkinfo"]["info_slave_data"]["cost"] == 2000, "a veth has 10 Gb/s"


def test_configuration(lab):
    """Settings come from the file and go back to their defaults with it; what does not fit is named by its line."""
    lab.add_hosts(1)
    conf = lab.dir / "stp.yaml"
    conf.write_text("bridges:\n  br0:\n    stp_state: true\n    priority: 4096\n    hello_time: 1\n    ports:\n"
                    "      - name: p1\n        cost: 77\n        edge: on\n        root_block: true\n")
    d = lab.daemon("--config", conf)
    info = d.json("show", "br0")[0]["linkinfo"]["info_data"]
    assert (info["stp_state"], info["priority"], info["hello_time"]) == (1, 4096, 1)
    port = d.port("p1")["linkinfo"]["info_slave_data"]
    assert (port["cost"], port["edge"], port["root_block"], port["oper_edge"]) == (77, "on", True, True)
    conf.write_text("bridges:\n  br0:\n    forward_delay: 30\n    max_age: 40\n    ports: [{name: p1}]\n")
    d.cli("reload", conf)
    info = d.json("show", "br0")[0]["linkinfo"]["info_data"]
    assert (info["stp_state"], info["priority"], info["max_age"], info["hello_time"]) == (0, 32768, 40, 2)
    assert d.port("p1")["linkinfo"]["info_slave_data"]["cost"] == 2000
    conf.write_text("bridges:\n  br0:\n    forward_delay: 4\n")
    text = d.fails("check", conf)
    assert "stp.yaml:2: bridge br0: max_age is more than 2 * (forward_delay - 1 s)" in text
    d.fails("reload", conf)
    assert d.json("show", "br0")[0]["linkinfo"]["info_data"]["max_age"] == 40
