# SPDX-License-Identifier: BSD-2-Clause
"""Learning, flooding and port flags, seen from the hosts."""

import json
import time

import pytest

from lab import frame, sent_by, wait_for

BROADCAST = "ff:ff:ff:ff:ff:ff"
UNKNOWN = "02:00:00:00:ff:01"
MULTICAST = "01:00:5e:01:02:03"
DRIVERS = ["packet", "xdp"]


@pytest.fixture(params=DRIVERS)
def net(request, lab):
    """Three silent hosts on one bridge: (daemon, a, b, c)."""
    d = lab.daemon()
    hosts = [h.silent() for h in lab.add_hosts(3)]
    d.bridge(*hosts, driver=request.param)
    for h in hosts:
        h.raw  # opened before anything is sent
    return d, *hosts


def learn(d, *hosts):
    """Each host is known to the bridge."""
    for h in hosts:
        h.raw.send(frame(UNKNOWN, h.mac, b"hello"))
        wait_for(lambda: d.fdb()[(h.mac, 0)]["ifname"] == h.port, f"{h.mac} learned")
    time.sleep(0.05)
    for h in d_hosts(d, hosts):
        h.raw.drain()


def d_hosts(d, hosts):
    return hosts[0].lab.hosts


def test_unknown_unicast_is_flooded_and_learned(net):
    d, a, b, c = net
    f = frame(UNKNOWN, a.mac, b"flood me")
    a.raw.send(f)
    b.raw.expect(f)
    c.raw.expect(f)
    assert a.raw.count(f) == 0, "a frame came back out of its own port"
    assert d.fdb()[(a.mac, 0)]["ifname"] == a.port
    assert (BROADCAST, 0) not in d.fdb()


def test_known_unicast_goes_to_one_port_once(net):
    d, a, b, c = net
    learn(d, a, b)
    f = frame(b.mac, a.mac, b"just you")
    a.raw.send(f)
    assert b.raw.count(f) == 1
    assert c.raw.count(f) == 0


@pytest.mark.parametrize("dst", [BROADCAST, MULTICAST])
def test_group_addresses_are_flooded_once_each(net, dst):
    d, a, b, c = net
    f = frame(dst, a.mac, b"everybody")
    a.raw.send(f)
    assert b.raw.count(f) == 1
    assert c.raw.count(f) == 1
    assert a.raw.count(f) == 0


def test_destination_behind_the_ingress_port_is_dropped(net):
    d, a, b, c = net
    learn(d, a)
    a.raw.send(frame("02:00:00:00:00:aa", "02:00:00:00:00:bb"))
    wait_for(lambda: ("02:00:00:00:00:bb", 0) in d.fdb(), "second address behind a")
    b.raw.drain()
    before = d.drop("same-port")
    a.raw.send(frame("02:00:00:00:00:bb", a.mac, b"local traffic"))
    wait_for(lambda: d.drop("same-port") == before + 1, "counted as same-port")
    assert b.raw.count(sent_by(a)) == 0


def test_hairpin_sends_it_back(net):
    d, a, b, c = net
    d.cli("hairpin", "br0", a.port, "on")
    assert d.port(a.port)["linkinfo"]["info_slave_data"]["hairpin"] is True
    learn(d, a)
    f = frame(a.mac, "02:00:00:00:00:cc", b"back to you")
    a.raw.send(f)
    a.raw.expect(f)
    assert b.raw.count(f) == 0


def test_isolated_ports_reach_only_the_others(net):
    d, a, b, c = net
    for h in (a, b):
        d.cli("link", "set", h.port, "isolated", "on")
    f = frame(BROADCAST, a.mac, b"isolated")
    a.raw.send(f)
    c.raw.expect(f)
    assert b.raw.count(f) == 0
    learn(d, a, b)
    before = d.drop("isolated")
    a.raw.send(frame(b.mac, a.mac, b"isolated unicast"))
    wait_for(lambda: d.drop("isolated") == before + 1, "counted as isolated")
    g = frame(BROADCAST, c.mac, b"from the open port")
    c.raw.send(g)
    a.raw.expect(g)
    b.raw.expect(g)


@pytest.mark.parametrize("flag,dst", [("flood", UNKNOWN), ("mcast_flood", MULTICAST),
                                      ("bcast_flood", BROADCAST)])
def test_flood_flags(net, flag, dst):
    d, a, b, c = net
    d.cli("link", "set", b.port, flag, "off")
    f = frame(dst, a.mac, flag.encode())
    a.raw.send(f)
    c.raw.expect(f)
    assert b.raw.count(f) == 0
    d.cli("link", "set", b.port, flag, "on")
    a.raw.send(f)
    b.raw.expect(f)


def test_learning_off(net):
    d, a, b, c = net
    d.cli("link", "set", a.port, "learning", "off")
    f = frame(UNKNOWN, a.mac, b"do not remember me")
    a.raw.send(f)
    b.raw.expect(f)
    assert (a.mac, 0) not in d.fdb()


def test_mac_move_is_followed_counted_and_told(net, lab):
    d, a, b, c = net
    m = lab.background(d.ns, *monitor(d, "fdb"), stdout=-1)
    mac = "02:00:00:00:00:dd"
    time.sleep(0.3)
    a.raw.send(frame(UNKNOWN, mac))
    wait_for(lambda: d.fdb()[(mac, 0)]["ifname"] == a.port, "learned on a")
    b.raw.send(frame(UNKNOWN, mac))
    wait_for(lambda: d.fdb()[(mac, 0)]["ifname"] == b.port, "moved to b")
    time.sleep(0.2)
    m.terminate()
    events = m.communicate()[0]
    assert "moved" in events and mac in events, events


def test_monitor_tells_of_every_entry_that_comes_and_goes(net, lab):
    d, a, b, c = net
    m = lab.background(d.ns, *monitor(d, "fdb"), stdout=-1)
    time.sleep(0.3)
    d.cli("fdb", "add", "02:00:00:00:d0:01", "dev", a.port, "master", "static")
    d.cli("fdb", "del", "02:00:00:00:d0:01", "dev", a.port, "master")
    causes = [("02:00:00:00:d0:02", lambda: d.cli("fdb", "flush", "br", "br0")),
              ("02:00:00:00:d0:03", lambda: a.ns.ip("link", "set", "eth0", "down")),
              ("02:00:00:00:d0:04", lambda: d.cli("delif", "br0", b.port))]
    for (mac, cause), host in zip(causes, (c, a, b)):
        host.raw.send(frame(UNKNOWN, mac))
        wait_for(lambda m=mac: (m, 0) in d.fdb(), f"{mac} learned")
        cause()
        wait_for(lambda m=mac: (m, 0) not in d.fdb(), f"{mac} gone")
    time.sleep(0.2)
    m.terminate()
    events = [(e["kind"], e["mac"], e["ifname"]) for e in map(json.loads, m.communicate()[0].splitlines())]
    for mac, port in ("d0:01", a.port), ("d0:02", c.port), ("d0:03", a.port), ("d0:04", b.port):
        told = [(k, p) for k, m, p in events if m.endswith(mac)]
        assert told == [("new", port), ("gone", port)], (mac, events)


def monitor(d, *groups):
    from lab import VIADUCT
    return [VIADUCT, "--run-dir", d.run_dir, "-j", "monitor", *groups]


def test_static_entries_stay_and_lead(net):
    d, a, b, c = net
    mac = "02:00:00:00:0e:0e"
    d.cli("fdb", "add", mac, "dev", b.port, "master", "static")
    f = frame(mac, a.mac, b"static")
    a.raw.send(f)
    b.raw.expect(f)
    assert c.raw.count(f) == 0
    c.raw.send(frame(UNKNOWN, mac, b"an impostor"))
    time.sleep(0.1)
    assert d.fdb()[(mac, 0)]["ifname"] == b.port
    d.cli("fdb", "flush", "br", "br0")
    assert d.fdb()[(mac, 0)]["state"] == "static"
    d.cli("fdb", "del", mac, "dev", b.port, "master")
    assert (mac, 0) not in d.fdb()


def test_sticky_entries_do_not_move(net):
    d, a, b, c = net
    mac = "02:00:00:00:0e:0f"
    d.cli("fdb", "add", mac, "dev", b.port, "master", "sticky")
    c.raw.send(frame(UNKNOWN, mac, b"no roaming"))
    time.sleep(0.1)
    row = d.fdb()[(mac, 0)]
    assert row["ifname"] == b.port and "sticky" in row["flags"]


def test_ageing(net):
    d, a, b, c = net
    d.cli("setageing", "br0", "1")
    a.raw.send(frame(UNKNOWN, a.mac))
    wait_for(lambda: (a.mac, 0) in d.fdb(), "learned")
    wait_for(lambda: (a.mac, 0) not in d.fdb(), "aged out", 5)
    d.cli("setageing", "br0", "0")
    a.raw.send(frame(UNKNOWN, a.mac))
    time.sleep(0.1)
    assert (a.mac, 0) not in d.fdb(), "ageing time 0 learns nothing"


def test_limit_of_a_port_leaves_the_others_alone(net):
    d, a, b, c = net
    learn(d, b, c)
    d.cli("link", "set", a.port, "fdb_max_learned", "10")
    for i in range(200):
        a.raw.send(frame(UNKNOWN, f"02:00:00:01:00:{i:02x}"))
    wait_for(lambda: sum(r["ifname"] == a.port and r["state"] == "" for r in d.fdb().values()) == 10,
             "ten entries behind a")
    assert d.fdb()[(b.mac, 0)]["ifname"] == b.port
    assert d.fdb()[(c.mac, 0)]["ifname"] == c.port


def test_limit_of_the_bridge_is_fair(net):
    d, a, b, c = net
    d.cli("link", "set", "br0", "type", "bridge", "fdb_max_learned", "32")
    learn(d, b, c)
    for i in range(256):
        a.raw.send(frame(UNKNOWN, f"02:00:00:01:00:{i:02x}"))
    time.sleep(0.3)
    learned = [r for r in d.fdb().values() if r["state"] == ""]
    assert len(learned) <= 32
    assert d.fdb()[(b.mac, 0)]["ifname"] == b.port
    assert d.fdb()[(c.mac, 0)]["ifname"] == c.port


def test_flush_of_one_port(net):
    d, a, b, c = net
    learn(d, a, b)
    d.cli("fdb", "flush", "dev", a.port)
    assert (a.mac, 0) not in d.fdb()
    assert (b.mac, 0) in d.fdb()


@pytest.mark.parametrize("source", ["00:00:00:00:00:00", "01:00:5e:00:00:01", BROADCAST])
def test_invalid_sources_are_dropped(net, source):
    d, a, b, c = net
    before = d.drop("invalid-source", a.port)
    a.raw.send(frame(BROADCAST, source))
    wait_for(lambda: d.drop("invalid-source", a.port) == before + 1, "counted")
    assert b.raw.count(frame(BROADCAST, source)) == 0


def test_reserved_addresses(net):
    d, a, b, c = net
    pause, lldp, stp = (f"01:80:c2:00:00:{x:02x}" for x in (1, 0x0e, 0))
    before = d.drop("pause", a.port)
    a.raw.send(frame(pause, a.mac, ethertype=0x8808))
    wait_for(lambda: d.drop("pause", a.port) == before + 1, "pause counted")
    a.raw.send(frame(lldp, a.mac, ethertype=0x88cc))
    assert b.raw.count(sent_by(a)) == 0
    f = frame(stp, a.mac, b"\x42\x42\x03", ethertype=0x0026)
    a.raw.send(f)
    b.raw.expect(f, "a BPDU with STP off")
    d.cli("link", "set", "br0", "type", "bridge", "group_fwd_mask", "0x4000")
    f = frame(lldp, a.mac, b"allowed", ethertype=0x88cc)
    a.raw.send(f)
    b.raw.expect(f, "LLDP that the mask lets pass")
    refused = d.fails("link", "set", "br0", "type", "bridge", "group_fwd_mask", "0x2")
    assert "group_fwd_mask" in refused


def test_monitor_mode_forwards_nothing(net):
    d, a, b, c = net
    d.cli("link", "set", "br0", "type", "bridge", "monitor", "on")
    a.raw.send(frame(BROADCAST, a.mac))
    wait_for(lambda: d.drop("monitor", a.port), "counted as monitor")
    assert b.raw.count(sent_by(a)) == 0


def test_runts_and_odd_sizes_do_no_harm(net):
    d, a, b, c = net
    for size in (14, 15, 17, 59, 60, 61, 1513, 1514):
        f = frame(BROADCAST, a.mac)[:12] + b"\x88\xb5" + bytes(i & 255 for i in range(size - 14))
        a.raw.send(f)
        # the kernel may pad short frames on a real device; a veth does not
        b.raw.expect(f, f"{size} bytes")
