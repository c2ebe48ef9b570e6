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
import struct
import threading
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


@pytest.mark.long
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


class Pair:
    """a -- ours == peer -- b, twice joined; ours comes from a configuration, so it can be started again."""

    def __init__(self, lab, kind, priorities):
        self.a, self.b = lab.add_hosts(2)
        far = lab.space("far")
        for name in ("u1", "u2"):
            lab.switch.ip("link", "add", name, "type", "veth", "peer", "name", name, "netns", far.name)
            lab.switch.ip("link", "set", name, "up")
        lab.switch.ip("link", "set", self.b.port, "netns", far.name)
        self.peer = PEERS[kind](lab, far)
        if kind == "kernel":
            far.ip("link", "set", "br0", "type", "bridge", "hello_time", 200)
        self.peer.setup(priorities[1])
        for dev in (self.b.port, "u1", "u2"):
            self.peer.add(dev)
        conf = lab.dir / "pair.yaml"
        conf.write_text(f"bridges:\n  br0:\n    stp_state: true\n    priority: {priorities[0]}\n    hello_time: 2\n"
                        "    max_age: 6\n    forward_delay: 4\n    ports: "
                        f"[{{name: {self.a.port}}}, {{name: u1}}, {{name: u2}}]\n")
        self.d = lab.daemon("-c", conf)
        self.file = self.d.run_dir / "state/br0.tree"
        for ns in (lab.switch, far):
            ns.run("sh", "-c", "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done")
        L.wait_for(self.reach, "a reaches b", timeout=SLOW)
        L.wait_for(self.settled, "states are final", timeout=SLOW)
        L.wait_for(lambda: self.quiet(kind, far), "nobody tells of a change any longer", timeout=SLOW)

    def quiet(self, kind, far):
        if kind == "kernel" and far.run("cat", "/sys/class/net/br0/bridge/topology_change").strip() != "0":
            return False
        return not self.info()["topology_change"]

    def reach(self):
        return "100% packet loss" not in self.a.ping(self.b.addr, 1, "-W", "1", check=False)

    def roles(self):
        """{device: (role, state)}"""
        return {r["ifname"]: (r["linkinfo"]["info_slave_data"]["role"], r["state"])
                for r in self.d.json("-d", "link", "show") if not r.get("host") and "master" in r}

    def settled(self):
        return {s for _, s in self.roles().values()} <= {"forwarding", "blocking"}

    def info(self):
        return self.d.json("show", "br0")[0]["linkinfo"]["info_data"]

    def went_on(self):
        return self.d.log_text().count("goes on where it was")


class Broadcasts:
    """From a, each its own, as long as the block runs; then none may have come twice or back."""

    def __init__(self, pair):
        self.pair, self.end = pair, threading.Event()
        self.thread = threading.Thread(target=self.send)

    def send(self):
        self.n = 0
        while not self.end.wait(0.02):
            self.n += 1
            self.pair.a.raw.send(self.frame(self.n))

    def frame(self, n):
        return L.frame("ff:ff:ff:ff:ff:ff", self.pair.a.mac, b"number %06d" % n + bytes(40))

    @staticmethod
    def arrived(host):
        seen = []
        host.raw.count(lambda f: b"number " in f and seen.append(f) is None)
        return seen

    def __enter__(self):
        self.pair.a.raw.drain(), self.pair.b.raw.drain()
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.end.set()
        self.thread.join()
        at_a, at_b = (self.arrived(h) for h in (self.pair.a, self.pair.b))
        if not exc[0]:
            assert at_b and len(at_b) == len(set(at_b)), "a broadcast arrives once"
            assert not at_a, "and does not come back"


@pytest.mark.long
@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("kind", sorted(PEERS))
@pytest.mark.timeout(300)
def test_roles_outlive_a_restart(lab, kind, first, record_property):
    """Stopped and started again: the same roles at once, no topology change, no loop, addresses too."""
    pair = Pair(lab, kind, (4096, 32768) if first == "ours" else (32768, 4096))
    d, before, there = pair.d, pair.roles(), pair.peer.states()
    assert sum(s == "forwarding" for _, s in before.values()) == (3 if first == "ours" else 2), before
    assert not pair.file.exists(), "it is written at the end, and read once"
    with Broadcasts(pair):
        d.stop()
        assert pair.file.exists()
        start = time.monotonic()
        d.start()
        L.wait_for(lambda: pair.roles() == before, "roles and states are as before", timeout=3)
        took = time.monotonic() - start
        assert pair.went_on() == 1
        assert pair.b.mac in {mac for mac, _ in d.fdb()}, "its address came back"
        assert pair.reach()
        time.sleep(3)  # longer than a hello: nobody changes his mind
    assert pair.roles() == before and pair.peer.states() == there
    assert pair.info()["n_topology_changes"] == 0
    assert not pair.file.exists()
    record_property("restart", f"{took:.2f} s")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_what_is_old_or_different_begins_anew(lab):
    """By the time in the file, by another priority, by a moved cable, damaged, and after a crash."""
    pair = Pair(lab, "kernel", (32768, 4096))
    d, conf = pair.d, lab.dir / "pair.yaml"
    text = conf.read_text()

    def anew(what, change=lambda: None, end=d.stop):
        L.wait_for(lambda: pair.info()["root_port"] and pair.settled(), f"{what}: it is settled", timeout=SLOW)
        end()
        change()
        d.start()
        L.wait_for(lambda: pair.roles()["u1"][1] in ("listening", "learning"), f"{what}: it begins anew", timeout=8)
        assert pair.went_on() == 0, what
        assert not pair.file.exists()

    def edit(at, size, value):
        data = bytearray(pair.file.read_bytes())
        data[at:at + size] = value(data[at:at + size])
        pair.file.write_bytes(data)

    def back(by):
        return lambda: edit(8, 8, lambda b: struct.pack("=Q", struct.unpack("=Q", b)[0] + by))

    def carrier():
        lab.switch.ip("link", "set", "u2", "down")
        lab.switch.ip("link", "set", "u2", "up")

    anew("6 s old", back(-6000))
    anew("of tomorrow", back(86400000))
    anew("damaged", lambda: edit(0, 1, lambda b: b"x"))
    assert "is damaged or" in d.log_text()
    anew("another cable", carrier)
    anew("another priority", lambda: conf.write_text(text.replace("priority: 32768", "priority: 36864")))
    conf.write_text(text)
    anew("crash", end=d.kill)


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
