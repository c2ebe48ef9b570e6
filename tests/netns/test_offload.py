# SPDX-License-Identifier: BSD-2-Clause
"""Real sockets with default offloads over every pair of drivers, tunnels included."""

import socket

import pytest

from lab import KERNEL, checksum_errors, tcp_transfer, udp_transfer, wait_for

KINDS = ["packet", "xdp", "tap"]
PAIRS = [(a, b) for a in KINDS for b in KINDS]


class End:
    """One end of a test: a namespace, its device and addresses."""

    def __init__(self, ns, dev, addr, addr6):
        self.ns, self.dev, self.addr, self.addr6 = ns, dev, addr, addr6


def end(lab, d, kind):
    n = len(lab.hosts) + len(lab.spaces) + 1
    if kind == "tap":
        ns, dev = lab.space("tap"), f"vt{n}"
        d.cli("addif", "br0", f"tap:{dev}")
        d.ns.ip("link", "set", dev, "netns", ns.name)
        e = End(ns, dev, f"10.77.1.{n}", f"fd77::1{n:02x}")
        ns.ip("addr", "add", f"{e.addr}/16", "dev", dev)
        ns.ip("addr", "add", f"{e.addr6}/64", "dev", dev, "nodad")
        ns.ip("link", "set", dev, "up")
        return e
    h = lab.host()
    d.addif("br0", h.port, kind)
    return End(h.ns, "eth0", h.addr, h.addr6)


def ends(lab, kinds):
    d = lab.daemon()
    d.cli("addbr", "br0")
    a, b = (end(lab, d, k) for k in kinds)
    d.ns.ip("link", "set", "br0", "up")
    wait_for(lambda: " 1 received" in a.ns.run("ping", "-n", "-c1", "-W1", b.addr, check=False), "ping")
    return d, a, b


@pytest.mark.parametrize("kinds", PAIRS, ids="-".join)
def test_tcp_and_udp(lab, kinds):
    d, a, b = ends(lab, kinds)
    for x, y in ((a, b), (b, a)):
        tcp_transfer(x.ns, y.ns, y.addr)
        tcp_transfer(x.ns, y.ns, y.addr6, family=socket.AF_INET6)
        udp_transfer(x.ns, y.ns, y.addr)
        udp_transfer(x.ns, y.ns, y.addr6, family=socket.AF_INET6)
        udp_transfer(x.ns, y.ns, y.addr, count=20, size=6000)  # IP fragments
    assert checksum_errors(a.ns) == checksum_errors(b.ns) == 0
    assert not {k: v for k, v in d.drops().items() if k[1].startswith(("gso", "csum", "tx-refused"))}


def udp_segments_pass(kinds):
    """Older kernels do not hand UDP segmentation to a packet socket; see docs/drivers.md."""
    return KERNEL >= (6, 2) or "packet" not in kinds


@pytest.mark.parametrize("kinds", PAIRS, ids="-".join)
def test_udp_segmentation(lab, kinds):
    if not udp_segments_pass(kinds):
        pytest.skip("a packet socket hands over UDP segmentation from Linux 6.2 on")
    d, a, b = ends(lab, kinds)
    for x, y in ((a, b), (b, a)):
        udp_transfer(x.ns, y.ns, y.addr, count=20, size=12000, segment=1200)
        udp_transfer(x.ns, y.ns, y.addr6, count=20, size=12000, segment=1200, family=socket.AF_INET6)
    assert checksum_errors(a.ns) == checksum_errors(b.ns) == 0
    assert not {k: v for k, v in d.drops().items() if k[1].startswith(("gso", "csum", "tx-refused"))}


@pytest.mark.skipif(KERNEL >= (6, 2), reason="this kernel can tell what UDP segmentation needs")
def test_udp_segmentation_that_cannot_be_told_is_a_counted_drop(lab):
    d, a, b = ends(lab, ("packet", "packet"))
    with a.ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_UDP, 103, 1200)  # UDP_SEGMENT
        for n in range(1, 4):
            s.sendto(bytes(12000), (b.addr, 5002))
            wait_for(lambda: d.drop("gso-kind") == n, "counted")
    udp_transfer(a.ns, b.ns, b.addr)
    a.ns.run("ethtool", "-K", a.dev, "tx-udp-segmentation", "off")  # what docs/drivers.md advises
    udp_transfer(a.ns, b.ns, b.addr, count=20, size=12000, segment=1200)


TUNNELS = {
    "vxlan": "vxlan id 7 dstport 4789 {local} {remote} dev {dev}",
    "vxlan-csum": "vxlan id 7 dstport 4789 {local} {remote} dev {dev} udpcsum",
    "gre": "gre {local} {remote}",
    "gretap": "gretap {local} {remote}",
    "gre-csum": "gre {local} {remote} csum",
    "ipip": "ipip {local} {remote}",
}


@pytest.mark.parametrize("kinds", [("packet", "packet"), ("packet", "xdp"), ("tap", "packet"), ("xdp", "xdp")],
                         ids="-".join)
@pytest.mark.parametrize("tunnel", TUNNELS)
def test_inside_a_tunnel(lab, kinds, tunnel):
    d, a, b = ends(lab, kinds)
    for n, (x, y) in enumerate(((a, b), (b, a)), 1):
        spec = TUNNELS[tunnel].format(local=f"local {x.addr}", remote=f"remote {y.addr}", dev=x.dev)
        try:
            x.ns.ip("link", "add", "tun0", "type", *spec.split())
        except AssertionError as e:
            if "not supported" in str(e) or "Unknown device" in str(e):
                pytest.skip(f"this kernel has no {tunnel}")
            raise
        x.ns.ip("addr", "add", f"10.88.0.{n}/24", "dev", "tun0")
        x.ns.ip("link", "set", "tun0", "up")
    wait_for(lambda: " 1 received" in a.ns.run("ping", "-n", "-c1", "-W1", "10.88.0.2", check=False), "ping")
    tcp_transfer(a.ns, b.ns, "10.88.0.2")
    tcp_transfer(b.ns, a.ns, "10.88.0.1")
    udp_transfer(a.ns, b.ns, "10.88.0.2")
    if udp_segments_pass(kinds):
        udp_transfer(a.ns, b.ns, "10.88.0.2", count=20, size=12000, segment=1200)
    assert checksum_errors(a.ns) == checksum_errors(b.ns) == 0


def test_gso_frames_pass_whole(lab):
    """Between two packet ports nothing is cut: the counters say so."""
    d, a, b = ends(lab, ("packet", "packet"))
    tcp_transfer(a.ns, b.ns, b.addr, size=32 << 20)
    port = lab.hosts[1].port
    offload = d.stats(port)["offload"]
    assert offload["gso_passed"] > 0
    assert offload["gso_segmented"] == 0
