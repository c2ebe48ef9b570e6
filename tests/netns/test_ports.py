# SPDX-License-Identifier: BSD-2-Clause
"""Ports that come, go, break and change."""

import json
import subprocess
import time

import pytest

from lab import KERNEL, VIADUCT, frame, sh, tcp_transfer, wait_for

BROADCAST = "ff:ff:ff:ff:ff:ff"


def received(out):
    return int(out.split(" received")[0].split()[-1])


@pytest.mark.skipif(KERNEL >= (6, 8), reason="this kernel can have XDP on a veth")
def test_xdp_that_would_lose_tags_is_refused(lab):
    d = lab.daemon()
    a = lab.host()
    d.cli("addbr", "br0")
    assert "would lose VLAN tags" in d.fails("addif", "br0", a.port, "driver", "xdp")
    d.bridge(a, name="br1")
    assert d.port(a.port)["driver"] == "packet"


def test_port_removed_under_traffic(lab):
    d = lab.daemon()
    a, b, c = lab.add_hosts(3)
    d.bridge(a, b, c)
    flood = lab.background(a.ns, "ping", "-n", "-f", "-w", "3", b.addr, stdout=subprocess.DEVNULL)
    for _ in range(10):
        time.sleep(0.1)
        d.cli("delif", "br0", b.port)
        d.cli("addif", "br0", b.port)
    flood.wait(10)
    a.ping(b.addr)
    a.ping(c.addr)


def test_device_deleted_under_traffic(lab):
    d = lab.daemon()
    a, b, c = lab.add_hosts(3)
    d.bridge(a, b, c)
    a.ping(b.addr)
    lab.background(a.ns, "ping", "-n", "-f", "-w", "2", b.addr, stdout=subprocess.DEVNULL)
    time.sleep(0.3)
    d.ns.ip("link", "del", b.port)
    wait_for(lambda: d.port(b.port)["operstate"] == "NOTPRESENT", "shown as not present")
    a.ping(c.addr)
    # a device of that name comes back
    sh("ip", "link", "add", b.port, "netns", d.ns.name, "type", "veth", "peer", "name", "eth0",
       "netns", b.ns.name)
    b.ns.ip("link", "set", "eth0", "address", b.mac, "up")
    b.ns.ip("addr", "add", f"{b.addr}/16", "dev", "eth0")
    d.ns.ip("link", "set", b.port, "up")
    wait_for(lambda: d.port(b.port)["operstate"] == "UP", "taken back")
    wait_for(lambda: received(a.ping(b.addr, 1, check=False)), "traffic again")


@pytest.mark.parametrize("driver", ["packet", "xdp"])
def test_down_and_up_again(lab, driver):
    d = lab.daemon()
    a, b = lab.add_hosts(2)
    d.bridge(a, b, driver=driver)
    a.ping(b.addr)
    d.ns.ip("link", "set", b.port, "down")
    wait_for(lambda: d.port(b.port)["operstate"] == "DOWN", "shown as down")
    wait_for(lambda: not [r for r in d.fdb().values() if r["ifname"] == b.port and r["state"] == ""],
             "its entries are gone")
    d.ns.ip("link", "set", b.port, "up")
    wait_for(lambda: d.port(b.port)["operstate"] == "UP", "up again")
    wait_for(lambda: received(a.ping(b.addr, 1, check=False)), "traffic again")


def test_mtu_change_is_followed(lab):
    d = lab.daemon()
    a, b = lab.host(mtu=9000), lab.host(mtu=9000)
    d.bridge(a, b)
    a.ping(b.addr, 2, "-s", "8000", "-M", "do")
    d.ns.ip("link", "set", b.port, "mtu", 1500)
    wait_for(lambda: d.port(b.port)["mtu"] == 1500, "shown")
    a.ping(b.addr, 1, "-s", "8000", "-M", "do", "-w", "2", check=False)
    wait_for(lambda: d.drop("egress-mtu"), "dropped by name")
    a.ping(b.addr)


def test_rename_is_followed(lab):
    d = lab.daemon()
    a, b = lab.add_hosts(2)
    d.bridge(a, b)
    a.ping(b.addr)
    d.ns.ip("link", "set", b.port, "down")
    d.ns.ip("link", "set", b.port, "name", "renamed0")
    d.ns.ip("link", "set", "renamed0", "up")
    wait_for(lambda: d.port("renamed0")["operstate"] == "UP", "the new name is shown")
    wait_for(lambda: received(a.ping(b.addr, 1, check=False)), "traffic again")


def test_tap_port(lab):
    """A tap that viaduct made is moved into a namespace and used there."""
    d = lab.daemon()
    a = lab.host()
    d.bridge(a, "tap:vt0")
    other = lab.space("tap")
    d.ns.ip("link", "set", "vt0", "netns", other.name)
    other.ip("addr", "add", "10.77.0.200/16", "dev", "vt0")
    other.ip("link", "set", "vt0", "up")
    wait_for(lambda: received(a.ping("10.77.0.200", 1, "-W", "1", check=False)), "the tap answers")
    tcp_transfer(a.ns, other, "10.77.0.200")
    tcp_transfer(other, a.ns, a.addr)
    d.cli("delif", "br0", "vt0")
    wait_for(lambda: "vt0" not in other.links(), "the tap is gone")


def test_hot_plug_by_pattern(lab):
    d = lab.daemon()
    conf = lab.dir / "v.yaml"
    conf.write_text("bridges:\n  br0:\n    ports:\n      - match: \"p*\"\n")
    d.cli("reload", conf)
    d.ns.ip("link", "set", "br0", "up")
    a, b = lab.add_hosts(2)
    wait_for(lambda: {r["ifname"] for r in d.json("link", "show")} >= {a.port, b.port}, "both joined")
    wait_for(lambda: received(a.ping(b.addr, 1, "-W", "1", check=False)), "traffic")
    other = lab.space("x")
    d.ns.ip("link", "add", "q9", "type", "veth", "peer", "name", "q10")
    time.sleep(0.3)
    assert "q9" not in {r["ifname"] for r in d.json("link", "show")}


def test_patterns_leave_the_helper_device_alone(lab):
    d = lab.daemon()
    a, b = lab.add_hosts(2)
    d.bridge(a)  # makes the helper device
    helpers = [n for n in d.ns.links() if n.startswith("vdo-")]
    assert helpers
    assert "helper" in d.fails("addif", "br0", helpers[0])
    conf = lab.dir / "v.yaml"
    conf.write_text("bridges:\n  br0:\n    ports:\n      - match: \"*\"\n")
    d.cli("reload", conf)
    names = {r["ifname"] for r in d.json("link", "show")}
    assert {a.port, b.port} <= names and not names & {*helpers, "lo"}, names


@pytest.mark.slow
def test_256_ports(lab):
    d = lab.daemon()
    d.cli("addbr", "br0")
    n = 256
    far = lab.space("far")
    batch = "".join(
        f"link add q{i} type veth peer name e{i} netns {far.name}\nlink set q{i} up\n" for i in range(n))
    p = subprocess.run(["ip", "-n", d.ns.name, "-b", "-"], input=batch, text=True, capture_output=True)
    assert p.returncode == 0, p.stderr
    subprocess.run(["ip", "-n", far.name, "-b", "-"], text=True, check=True,
                   input="".join(f"link set e{i} arp off up\n" for i in range(n)))
    d.cli("-b", "-", text="".join(f"addif br0 q{i}\n" for i in range(n)))
    d.ns.ip("link", "set", "br0", "up")
    assert len([r for r in d.json("link", "show") if r.get("master") == "br0" and not r.get("host")]) == n
    assert len({r["port_no"] for r in d.json("link", "show") if r.get("master") == "br0"}) >= n
    from lab import Raw
    first, last, mid = (Raw(far, f"e{i}") for i in (0, n - 1, n // 2))
    f = frame(BROADCAST, "02:00:00:00:00:01", b"to all 255")
    wait_for(lambda: d.port("q255")["operstate"] == "UP", "the last port is up")
    first.send(f)
    last.expect(f)
    mid.expect(f)
    for r in (first, last, mid):
        r.close()
    d.cli("delbr", "br0")
    assert d.json("link", "show") == [] or all(r.get("master") != "br0" for r in d.json("link", "show"))


def test_stats_count_frames_and_bytes(lab):
    d = lab.daemon()
    d.ns.sysctl("net/ipv6/conf/default/disable_ipv6", 1)  # br0 itself says nothing either
    a, b = (h.silent() for h in lab.add_hosts(2))
    d.bridge(a, b)
    b.raw
    f = frame(BROADCAST, a.mac, bytes(100))
    for _ in range(50):
        a.raw.send(f)
    assert b.raw.count(f) == 50
    rx = d.stats(a.port)["stats64"]["rx"]
    tx = d.stats(b.port)["stats64"]["tx"]
    assert (rx["packets"], rx["bytes"], rx["multicast"]) == (50, 50 * len(f), 50)
    assert (tx["packets"], tx["bytes"]) == (50, 50 * len(f))
