# SPDX-License-Identifier: BSD-2-Clause
"""What goes in comes out: tags, sizes and bytes."""

import itertools
import os

import pytest

from lab import frame, wait_for

BROADCAST = "ff:ff:ff:ff:ff:ff"
Q, AD = 0x8100, 0x88A8
TAGS = {
    "untagged": (),
    "dot1q": ((Q, 10),),
    "priority": ((Q, 0xE000),),
    "dei": ((Q, 0x1FFF & ~0 | 0x1000),),
    "dot1ad": ((AD, 100),),
    "qinq": ((AD, 100), (Q, 10)),
    "q-in-q": ((Q, 20), (Q, 10)),
    "three": ((AD, 1), (Q, 2), (Q, 3)),
}
PAIRS = [("packet", "packet"), ("xdp", "xdp"), ("packet", "xdp"), ("xdp", "packet")]


def pair(lab, drivers, mtu=1500):
    d = lab.daemon()
    a, b = (h.silent() for h in lab.add_hosts(2, mtu=mtu))
    d.cli("addbr", "br0")
    for h, driver in zip((a, b), drivers):
        d.addif("br0", h.port, driver)
    d.ns.ip("link", "set", "br0", "up")
    a.raw, b.raw
    return d, a, b


def send_long(host, f):
    """A packet socket refuses full-sized 802.1ad frames and double tags: more room while sending."""
    mtu = host.ns.link("eth0")["mtu"]
    host.ns.ip("link", "set", "eth0", "mtu", mtu + 8)
    host.raw.send(f)
    host.ns.ip("link", "set", "eth0", "mtu", mtu)


@pytest.mark.parametrize("drivers", PAIRS, ids="-".join)
def test_unchanged_byte_for_byte(lab, drivers):
    """Also full-sized frames with tags, which AF_PACKET alone refuses to send."""
    d, a, b = pair(lab, drivers)
    for (name, tags), size in itertools.product(TAGS.items(), (0, 46, 1000, 1500)):
        inner = max(0, size - 4 * max(0, len(tags) - 1))  # the kernel lets one tag exceed the MTU
        f = frame(BROADCAST, a.mac, os.urandom(inner), tags=tags)
        send_long(a, f)
        got = b.raw.expect(lambda g: g[6:12] == f[6:12], f"{name}, {size}")
        assert got == f, f"{name}\nsent {f[:40].hex()} {len(f)}\ngot  {got[:40].hex()} {len(got)}"
        back = frame(a.mac, b.mac, os.urandom(inner), tags=tags)
        send_long(b, back)
        a.raw.expect(back, f"the way back of {name}, {size}")


@pytest.mark.parametrize("tags", [TAGS["untagged"], TAGS["qinq"]], ids=["untagged", "qinq"])
def test_jumbo(lab, tags):
    d, a, b = pair(lab, ("packet", "packet"), mtu=9000)
    for size in (1779, 1780, 2034, 2048, 4096, 8900, 9000 - 4 * max(0, len(tags) - 1)):
        f = frame(BROADCAST, a.mac, os.urandom(size), tags=tags)
        send_long(a, f)
        b.raw.expect(f, f"payload of {size}")


def test_longer_than_the_egress_mtu_is_dropped_and_counted(lab):
    d = lab.daemon()
    a = lab.host(mtu=9000).silent()
    b = lab.host(mtu=1500).silent()
    d.bridge(a, b)
    b.raw
    f = frame(BROADCAST, a.mac, bytes(3000))
    a.raw.send(f)
    wait_for(lambda: d.drop("egress-mtu"), "counted as egress-mtu")
    assert b.raw.count(f) == 0


@pytest.mark.parametrize("drivers", PAIRS, ids="-".join)
def test_order_and_no_duplicates(lab, drivers):
    d, a, b = pair(lab, drivers)
    n = 2000
    b.raw.drain()
    got = []
    for i in range(n):
        a.raw.send(frame(BROADCAST, a.mac, i.to_bytes(4, "big") + bytes(i % 1000)))
        if i % 100 == 99:  # paced: below capacity
            while len(got) < i + 1:
                f = b.raw.recv(2)
                assert f is not None, f"{len(got)} of {i + 1} arrived; drops {d.drops()}"
                if f[12:14] == b"\x88\xb5":
                    got.append(int.from_bytes(f[14:18], "big"))
    assert got == list(range(n))
