# SPDX-License-Identifier: BSD-2-Clause
"""The bridge's own interface: local delivery, ARP, tcpdump, addresses that survive."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from lab import Raw, checksum_errors, frame, tcp_transfer, udp_transfer, wait_for

BROADCAST = "ff:ff:ff:ff:ff:ff"


def with_address(lab, n=2, driver=None):
    d = lab.daemon()
    hosts = lab.add_hosts(n)
    d.bridge(*hosts, driver=driver)
    d.ns.ip("addr", "add", "10.77.255.1/16", "dev", "br0")
    d.ns.ip("addr", "add", "fd77::ff/64", "dev", "br0", "nodad")
    return d, *hosts


@pytest.mark.parametrize("driver", ["packet", "xdp"])
def test_ping_the_bridge_itself(lab, driver):
    d, a, b = with_address(lab, driver=driver)
    a.ping("10.77.255.1")
    b.ping("fd77::ff")
    d.ns.run("ping", "-n", "-c", 2, "-i", 0.05, "-w", 5, a.addr)


def test_one_arp_reply_with_the_bridges_mac(lab):
    """Also when the host has an address on another interface of the same namespace."""
    d, a, b = with_address(lab)
    d.ns.ip("link", "add", "other0", "type", "veth", "peer", "name", "other1")
    d.ns.ip("addr", "add", "10.99.0.1/24", "dev", "other0")
    d.ns.ip("link", "set", "other0", "up")
    mac = d.ns.link("br0")["address"]
    for target in ("10.77.255.1", "10.99.0.1"):
        out = a.ns.run("arping", "-c", "3", "-w", "3", "-I", "eth0", target, check=False)
        replies = re.findall(r"\[?([0-9a-fA-F:]{17})\]?", out)
        assert replies and {r.lower() for r in replies} == {mac}, out
        assert len(replies) <= 3, f"more than one reply a request: {out}"


def test_bridge_mac_is_the_lowest_port_mac(lab):
    d, a, b = with_address(lab)
    ports = [d.ns.link(p)["address"] for p in (a.port, b.port)]
    wait_for(lambda: d.ns.link("br0")["address"] == min(ports), "br0 has the lowest address")
    d.cli("delif", "br0", a.port if min(ports) == ports[0] else b.port)
    wait_for(lambda: d.ns.link("br0")["address"] == max(ports), "br0 follows")
    d.ns.ip("link", "set", "br0", "address", "02:00:00:00:aa:aa")
    time.sleep(0.3)
    d.cli("addif", "br0", a.port if min(ports) == ports[0] else b.port)
    time.sleep(0.3)
    assert d.ns.link("br0")["address"] == "02:00:00:00:aa:aa", "an address set by hand stays"
    a.ns.run("ip", "neigh", "flush", "all")
    a.ping("10.77.255.1")


def test_bridge_mtu_is_the_smallest(lab):
    d = lab.daemon()
    a, b = lab.host(mtu=9000), lab.host(mtu=1400)
    d.cli("addbr", "br0")
    d.cli("addif", "br0", a.port)
    wait_for(lambda: d.ns.link("br0")["mtu"] == 9000, "9000")
    d.cli("addif", "br0", b.port)
    wait_for(lambda: d.ns.link("br0")["mtu"] == 1400, "1400")
    d.cli("delif", "br0", b.port)
    wait_for(lambda: d.ns.link("br0")["mtu"] == 9000, "9000 again")


def test_frame_to_the_mac_of_any_port_is_for_the_host(lab):
    d, a, b = with_address(lab)
    a.silent(), b.silent()
    other = d.ns.link(b.port)["address"]
    up = Raw(d.ns, "br0")
    b.raw
    f = frame(other, a.mac, b"to the other port's own address")
    a.raw.send(f)
    up.expect(f)
    assert b.raw.count(f) == 0
    up.close()


def test_host_hears_broadcast_and_not_foreign_unicast(lab):
    d, a, b = with_address(lab)
    a.silent(), b.silent()
    rx = d.ns.link("br0")
    before = int(d.ns.run("cat", "/sys/class/net/br0/statistics/rx_packets"))
    for i in range(10):
        a.raw.send(frame("02:00:00:00:ff:01", a.mac, b"not for the host"))
    b.raw
    time.sleep(0.2)
    after = int(d.ns.run("cat", "/sys/class/net/br0/statistics/rx_packets"))
    assert after == before
    a.raw.send(frame(BROADCAST, a.mac))
    wait_for(lambda: int(d.ns.run("cat", "/sys/class/net/br0/statistics/rx_packets")) == after + 1,
             "the broadcast came up")


def test_tcpdump_on_the_bridge_shows_forwarded_frames_once(lab):
    d, a, b = with_address(lab)
    p = lab.background(d.ns, "tcpdump", "-i", "br0", "-n", "-l", "-U", "icmp", stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL)
    wait_for(lambda: d.bridge_promisc(), "tcpdump made br0 promiscuous") if hasattr(d, "bridge_promisc") else time.sleep(1)
    a.ping(b.addr, 5)
    time.sleep(0.5)
    p.send_signal(signal.SIGINT)
    out = p.communicate()[0]
    requests = re.findall(r"echo request.*?seq (\d+)", out)
    replies = re.findall(r"echo reply.*?seq (\d+)", out)
    assert requests == replies == [str(i) for i in range(1, 6)], out


def test_plain_tcpdump_changes_nothing_for_the_hosts(lab):
    d, a, b = with_address(lab)
    p = lab.background(d.ns, "tcpdump", "-i", "br0", "-n", "-w", "/dev/null", stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    out = a.ping(b.addr, 20)
    assert "20 received" in out and "DUP" not in out


def test_tcp_and_udp_with_the_host(lab):
    d, a, b = with_address(lab)
    tcp_transfer(a.ns, d.ns, "10.77.255.1")
    tcp_transfer(d.ns, a.ns, a.addr)
    udp_transfer(a.ns, d.ns, "10.77.255.1")
    udp_transfer(d.ns, a.ns, a.addr)
    assert checksum_errors(a.ns) == checksum_errors(d.ns) == 0


def test_bridge_down_drops_for_the_host_only(lab):
    d, a, b = with_address(lab)
    d.ns.ip("link", "set", "br0", "down")
    a.ping(b.addr)
    assert "0 received" in a.ping("10.77.255.1", 2, "-w", "2", check=False)


def test_addresses_survive_a_killed_daemon(lab):
    d, a, b = with_address(lab)
    a.ping("10.77.255.1")
    d.kill()
    addrs = d.ns.ip("-j", "addr", "show", "dev", "br0")
    assert any(x["local"] == "10.77.255.1" for x in json.loads(addrs)[0]["addr_info"]), addrs
    d.start()
    d.cli("addbr", "br0")
    for h in (a, b):
        d.cli("addif", "br0", h.port)
    wait_for(lambda: "1 received" in a.ping("10.77.255.1", 1, check=False), "the same address answers")
    a.ping(b.addr)
    d.cli("delbr", "br0")
    assert "br0" not in d.ns.links()


def test_clean_shutdown_puts_devices_back(lab):
    d = lab.daemon()
    a, b = lab.add_hosts(2)

    def state(port):
        l = d.ns.link(port)
        return ({k: l[k] for k in ("flags", "promiscuity", "allmulti", "mtu", "address", "qdisc") if k in l},
                d.ns.sysctl(f"net/ipv6/conf/{port}/disable_ipv6"),
                d.ns.run("tc", "qdisc", "show", "dev", port),
                d.ns.run("ethtool", "-k", port))

    before = {h.port: state(h.port) for h in (a, b)}
    d.bridge(a, b)
    assert d.ns.sysctl(f"net/ipv6/conf/{a.port}/disable_ipv6") == "1"
    a.ping(b.addr)
    assert d.stop() == 0
    assert {h.port: state(h.port) for h in (a, b)} == before


def test_killed_daemon_leaves_ports_working_after_restart(lab):
    d = lab.daemon()
    a, b = lab.add_hosts(2)
    before = d.ns.sysctl(f"net/ipv6/conf/{a.port}/disable_ipv6")
    d.bridge(a, b)
    d.kill()
    d.start()
    wait_for(lambda: d.ns.sysctl(f"net/ipv6/conf/{a.port}/disable_ipv6") == before,
             "the next start restores what the last daemon changed")
