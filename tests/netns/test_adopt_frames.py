# SPDX-License-Identifier: BSD-2-Clause
"""Adopted bridges, frame by frame: what goes in comes out, once, in order, where the kernel says."""

import json
import os
import socket
import struct
import time

import pytest
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw as Payload

import lab as L
from test_adopt import HOW, Pass, kernel_bridge
from test_frames import TAGS, send_long
from test_netmap import Program, lost

BROADCAST, GROUP = "ff:ff:ff:ff:ff:ff", "01:00:5e:01:02:03"
STP, PAUSE, LACP, LLDP = (f"01:80:c2:00:00:{x}" for x in ("00", "01", "02", "0e"))
AGAIN = 0.5  # seconds without a frame after which none is on its way


class Tap:
    """What a device hands to a protocol handler: behind tc programs, so once if inspected or not."""

    def __init__(self, ns, dev, ethertype=0x88b5):
        self.s = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.s.setsockopt(L.SOL_PACKET, L.PACKET_IGNORE_OUTGOING, 1)
        with ns.enter():
            self.s.bind((dev, ethertype))
        self.s.setblocking(False)

    def all(self):
        got = []
        while True:
            try:
                got.append(self.s.recv(70000))
            except BlockingIOError:
                return got


@pytest.fixture
def hosts(lab, daemon, request):
    """Three silent hosts on a bridge of the kernel's with an address; a is known to it, and so are the others."""
    mtu = getattr(request, "param", 1500)
    lab.switch.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    for proto in ("arp", "ip", "ip6"):  # it cuts padding off; test_adopt_kernel.py is about it
        lab.switch.sysctl(f"net/bridge/bridge-nf-call-{proto}tables", 0)
    hs = [h.silent() for h in lab.add_hosts(3, mtu=mtu)]
    kernel_bridge(lab, *hs, mcast_snooping=0)
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", "br0")
    for h in hs:
        learn(h)
    L.wait_for(lambda: all(members(lab).get(h.mac) == h.port for h in hs), "the kernel knows the hosts")
    for h in hs:
        h.raw.drain()
    before = daemon.pool()
    yield lab, daemon, *hs
    L.wait_for(lambda: not daemon.json("rings"), "no program is left")
    L.wait_for(lambda: daemon.pool() == before, f"all buffers are back: {before}, now {daemon.pool()}")


def learn(host):
    host.raw.send(L.frame("02:99:99:99:99:99", host.mac, b"here I am"))


def members(lab, bridge="br0"):
    """{mac: member} as the kernel's bridge learned them."""
    rows = json.loads(lab.switch.run("bridge", "-j", "fdb", "show", "br", bridge))
    return {r["mac"]: r["ifname"] for r in rows if "permanent" != r.get("state") and r.get("master") == bridge}


def received(host, n=None):
    """Frames of ours that arrive: n of them and no more, or all that are on their way."""
    got, end = [], time.monotonic() + L.DEADLINE
    while time.monotonic() < end:
        f = host.raw.recv(AGAIN if n is None or len(got) >= n else end - time.monotonic())
        if f is None:
            return got
        got.append(f)
    return got


def show_difference(sent, got):
    text = [f"sent {len(sent)}, arrived {len(got)}"]
    for i, (s, g) in enumerate(zip(sent, got)):
        if s != g:
            text += [f"frame {i}:", "sent " + s.hex(), "got  " + g.hex()]
            break
    return "\n".join(text)


# ---- unchanged, once, in order ----

def pieces(a, b):
    """Frames of all kinds from a to b, as bytes."""
    eth = Ether(src=a.mac, dst=b.mac)
    ip, ip6 = IP(src="10.1.0.1", dst="10.1.0.2"), IPv6(src="fd00::1", dst="fd00::2")
    inner = Ether(src="02:aa:00:00:00:01", dst="02:aa:00:00:00:02") / IP(src="10.2.0.1", dst="10.2.0.2")
    tcp = TCP(sport=4000, dport=80, flags="PA", seq=7)
    out = {
        "arp request": Ether(src=a.mac, dst=BROADCAST) / ARP(hwsrc=a.mac, psrc="10.1.0.1", pdst="10.1.0.2"),
        "arp reply": eth / ARP(op=2, hwsrc=a.mac, psrc="10.1.0.1", hwdst=b.mac, pdst="10.1.0.2"),
        "tcp": eth / ip / tcp / Payload(os.urandom(1400)),
        "tcp6": eth / ip6 / tcp / Payload(os.urandom(1000)),
        "udp": eth / ip / UDP(sport=53, dport=5353) / Payload(os.urandom(33)),
        "udp without checksum": eth / ip / UDP(sport=1, dport=2, chksum=0) / Payload(b"none"),
        "udp with a wrong checksum": eth / ip / UDP(sport=1, dport=2, chksum=0xbad) / Payload(b"wrong"),
        "icmp": eth / ip / ICMP() / Payload(os.urandom(100)),
        "ip options": eth / IP(src="10.1.0.1", dst="10.1.0.2", options=b"\x94\x04\0\0") / UDP() / Payload(b"x" * 40),
        "nd": Ether(src=a.mac, dst="33:33:ff:00:00:02") / IPv6(src="fe80::1", dst="ff02::1:ff00:2")
        / ICMPv6ND_NS(tgt="fd00::2") / ICMPv6NDOptSrcLLAddr(lladdr=a.mac),
        "multicast": Ether(src=a.mac, dst=GROUP) / IP(src="10.1.0.1", dst="239.1.2.3") / UDP() / Payload(b"m" * 60),
        "multicast6": Ether(src=a.mac, dst="33:33:00:01:02:03") / IPv6(src="fd00::1", dst="ff05::1:203") / UDP()
        / Payload(b"m" * 60),
        "sctp": eth / ip / SCTP(sport=9, dport=9) / SCTPChunkData(data=os.urandom(200)),
        "sctp6": eth / ip6 / SCTP(sport=9, dport=9) / SCTPChunkData(data=os.urandom(200)),
        "gre": eth / ip / GRE(proto=0x6558) / inner / tcp / Payload(os.urandom(500)),
        "vxlan": eth / ip / UDP(sport=9, dport=4789) / VXLAN(vni=7) / inner / tcp / Payload(os.urandom(500)),
        "mpls": Ether(src=a.mac, dst=b.mac, type=0x8847) / Payload(b"\0\1\1\xff" + os.urandom(60)),
    }
    frames = {k: bytes(f).ljust(60, b"\0") for k, f in out.items()}
    for i, f in enumerate(fragment(eth / ip / UDP(sport=7, dport=7) / Payload(os.urandom(4000)), 1480)):
        frames[f"fragment {i}"] = bytes(f)
    for name, tags in TAGS.items():
        for kind in ("tcp", "udp", "arp reply"):
            plain = frames[kind][:1300]
            head = b"".join(struct.pack("!HH", tpid, tci) for tpid, tci in tags)
            frames[f"{kind}, {name}"] = plain[:12] + head + plain[12:]
    frames["802.3"] = L.frame(b.mac, a.mac, b"\x42\x42\x03" + os.urandom(97), ethertype=100)
    frames["short"] = L.frame(b.mac, a.mac, b"")[:15]
    frames["full"] = L.frame(b.mac, a.mac, os.urandom(1500))
    return frames


@HOW
def test_all_kinds_unchanged(hosts, how):
    """A long row of all kinds of frames arrives as the same row: no byte, frame or position differs."""
    lab, d, a, b, c = hosts
    p = Pass(lab, d, "br0", *how)
    frames = pieces(a, b)
    for f in frames.values():
        a.raw.send(f)
    sent, got = list(frames.values()), received(b, len(frames))
    names = list(frames)
    missing = [n for n, f in frames.items() if f not in got]
    assert got == sent, f"missing {missing}; {[names[sent.index(g)] if g in sent else g.hex() for g in got]}"
    side = p.side()
    assert side["taken"] == len(sent) and side["origins"]["unknown"] == 0, side
    p.end()


@HOW
def test_full_size_with_tags(hosts, how):
    lab, d, a, b, c = hosts
    p = Pass(lab, d, "br0", *how)
    for name, tags in TAGS.items():
        f = L.frame(b.mac, a.mac, os.urandom(1500 - 4 * max(0, len(tags) - 1)), tags=tags)
        send_long(a, f)
        b.raw.expect(f, name)
        back = L.frame(BROADCAST, b.mac, os.urandom(1500 - 4 * max(0, len(tags) - 1)), tags=tags)
        send_long(b, back)
        a.raw.expect(back, f"the way back of {name}")
    assert p.side()["taken"] == 2 * len(TAGS)
    p.end()


@HOW
@pytest.mark.parametrize("hosts", [9000], indirect=True)
@pytest.mark.parametrize("oversize", ["pass", "multislot"])
def test_jumbo(hosts, how, oversize):
    """Frames longer than a slot go on uninspected, or are shown in several slots: unchanged either way.
    One at a time: what goes on uninspected may overtake what a program looks at."""
    lab, d, a, b, c = hosts
    d.cli("adopt", "br0")
    d.cli("intercept", "br0", "oversize", oversize)
    p = Pass(lab, d, "br0", *how)
    sent = [L.frame(b.mac, a.mac, os.urandom(n)) for n in (46, 1778, 1779, 2048, 4096, 8986, 9000)]
    got = []
    for f in sent:
        a.raw.send(f)
        got.append(b.raw.recv(L.DEADLINE))
    assert got == sent, show_difference(sent, got)
    assert received(b) == []
    p.end()
    d.cli("release", "br0")


@HOW
def test_order_and_no_duplicates(hosts, how):
    """Sequence numbers, paced, of a flow to one host and of a flood to both."""
    lab, d, a, b, c = hosts
    p = Pass(lab, d, "br0", *how)
    n, got = 2000, []
    for i in range(n):
        a.raw.send(L.frame(BROADCAST if i % 2 else b.mac, a.mac, struct.pack("!I", i) + bytes(i % 900)))
        if i % 100 == 99:
            while len(got) < i + 1:
                f = b.raw.recv(L.DEADLINE)
                assert f is not None, f"{len(got)} of {i + 1} arrived; drops {d.drops()}"
                got.append(struct.unpack_from("!I", f, 14)[0])
    assert got == list(range(n))
    flood = [struct.unpack_from("!I", f, 14)[0] for f in received(c, n // 2)]
    assert flood == list(range(1, n, 2))
    assert b.raw.count(lambda f: True) == 0
    p.end()


@HOW
def test_offloads(lab, daemon, how):
    """TCP and UDP with default offloads, inside tunnels too: full-sized segments, no bad checksum."""
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    tunnels = tunnel(a, b)
    p = Pass(lab, daemon, "br0", *how)
    for x, y in ((a, b), (b, a)):
        L.tcp_transfer(x.ns, y.ns, y.addr)
        L.tcp_transfer(x.ns, y.ns, y.addr6, family=socket.AF_INET6)
        L.udp_transfer(x.ns, y.ns, y.addr, size=9000, count=50)
        L.udp_transfer(x.ns, y.ns, y.addr6, size=9000, count=50, family=socket.AF_INET6)
        L.udp_transfer(x.ns, y.ns, y.addr, size=24000, segment=1200, count=20)
        L.udp_transfer(x.ns, y.ns, y.addr6, size=24000, segment=1200, count=20, family=socket.AF_INET6)
    nic = p.side()
    # A program that is kept from running for long gives some back too late to be put together.
    assert nic["gso"]["whole"] > 20 * nic["gso"]["broken"] and nic["uninspected"] == 0, nic
    for addr in tunnels:
        L.tcp_transfer(a.ns, b.ns, addr)
    assert L.checksum_errors(a.ns) == L.checksum_errors(b.ns) == 0
    sizes = segment_size(a, b)
    assert sizes > 1400, f"mean payload of what came in: {sizes}"
    assert p.side()["origins"]["unknown"] == 0
    p.end()


def tunnel(a, b):
    """Tunnels between the hosts, as many kinds as this kernel has; addresses at b."""
    addrs = []
    kinds = "vxlan id 5 dstport 4789", "vxlan id 6 dstport 4790 udpcsum", "gretap", "geneve id 5"
    for i, words in enumerate(k.split() for k in kinds):
        made = 0
        for x, y in ((a, b), (b, a)):
            local = [] if words[0] == "geneve" else ["local", x.addr]
            x.ns.ip("link", "add", f"t{i}", "type", *words, *local, "remote", y.addr, check=False)
            if f"t{i}" in x.ns.links():
                x.ns.ip("addr", "add", f"10.8{i}.0.{x.number}/24", "dev", f"t{i}")
                x.ns.ip("link", "set", f"t{i}", "up")
                made += 1
        if made == 2:
            addrs.append(f"10.8{i}.0.{b.number}")
    assert addrs
    return addrs


def segment_size(a, b):
    """Bytes per segment that TCP at b received in a transfer of 8 MB."""
    before = b.ns.snmp()["Tcp.InSegs"]
    L.tcp_transfer(a.ns, b.ns, b.addr, port=5003)
    return (8 << 20) / (b.ns.snmp()["Tcp.InSegs"] - before)


IPPROTO_SCTP = 132


def sctp_counter(ns, name):
    return next(int(l.split()[1]) for l in ns.run("cat", "/proc/net/sctp/snmp").splitlines() if l.split()[0] == name)


@HOW
def test_sctp(lab, daemon, how):
    """A veth leaves SCTP's checksum unfinished, and vnet headers cannot say so: the kernel finishes it on the way up.
    The checksum is looked at behind the program; there and back again, and from the host."""
    a, b = lab.add_hosts(2)
    try:
        a.ns.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SCTP).close()
    except OSError:
        pytest.skip("this kernel has no SCTP")
    kernel_bridge(lab, a, b)
    lab.switch.ip("addr", "add", "10.77.9.9/16", "dev", "br0")
    p = Pass(lab, daemon, "br0", *how)
    for x, y, addr in ((a.ns, b.ns, b.addr), (b.ns, lab.switch, "10.77.9.9"), (lab.switch, a.ns, a.addr)):
        before = p.side("nic")["taken"] + p.side("host")["taken"]
        watch = L.Raw(y, "br0" if y is lab.switch else "eth0")
        server = y.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SCTP)
        server.bind((addr, 5009))
        server.listen(1)
        server.settimeout(L.DEADLINE)
        client = x.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SCTP)
        client.settimeout(L.DEADLINE)
        client.connect((addr, 5009))
        peer, _ = server.accept()
        peer.settimeout(L.DEADLINE)
        for n in (1, 100, 1400, 4000, 20000):
            data = os.urandom(n)
            client.sendall(data)
            got = b""
            while len(got) < n:
                got += peer.recv(n - len(got))
            assert got == data
        for s in (client, peer, server):
            s.close()
        seen = [f for f in iter(lambda: watch.recv(0.2), None) if f[12:14] == b"\x08\0" and f[23] == IPPROTO_SCTP]
        watch.close()
        wrong = [f.hex() for f in seen if not sctp_checksum_is_right(f)]
        assert len(seen) > 10 and not wrong, (len(seen), len(wrong), wrong[:1])
        assert p.side("nic")["taken"] + p.side("host")["taken"] >= before + 20
        assert sctp_counter(x, "SctpChecksumErrors") == sctp_counter(y, "SctpChecksumErrors") == 0
    p.end()


def sctp_checksum_is_right(f):
    packet = f[14 + (f[14] & 15) * 4:14 + struct.unpack_from("!H", f, 16)[0]]
    crc = 0xffffffff
    for byte in packet[:8] + bytes(4) + packet[12:]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return struct.pack("<I", crc ^ 0xffffffff) == packet[8:12]


# ---- members exact ----

@HOW
def test_same_frame_from_two_members(hosts, how):
    """An address that moves between two members all the time, with the same bytes: never back out of its own."""
    lab, d, a, b, c = hosts
    p = Pass(lab, d, "br0", *how)
    f = L.frame(BROADCAST, "02:77:00:00:00:01", b"always the same")
    for i in range(100):
        (a, b)[i % 2].raw.send(f)
        time.sleep(0.002)
    assert [len(received(h)) for h in (a, b, c)] == [50, 50, 100]
    assert members(lab)["02:77:00:00:00:01"] == b.port
    assert p.side()["origins"]["unknown"] == 0
    p.end()


@HOW
def test_moved(hosts, how):
    """The kernel learns a station where it is now, at once, from inspected frames."""
    lab, d, a, b, c = hosts
    p = Pass(lab, d, "br0", *how)
    for i in range(20):
        here, there = ((a, b), (b, a))[i % 2]
        here.raw.send(L.frame(c.mac, "02:77:00:00:00:01", struct.pack("!I", i)))
        L.wait_for(lambda: members(lab).get("02:77:00:00:00:01") == here.port, "it was learned there")
        c.raw.expect(lambda g: g[14:18] == struct.pack("!I", i))
        c.raw.send(L.frame("02:77:00:00:00:01", c.mac, struct.pack("!I", i)))
        here.raw.expect(lambda g: g[14:18] == struct.pack("!I", i))
        assert there.raw.recv(0.01) is None
    p.end()


@HOW
def test_first_frame_of_new_hosts(hosts, how):
    """Sources that nobody has seen, each once: learned at the member where they came in."""
    lab, d, a, b, c = hosts
    p = Pass(lab, d, "br0", *how)
    want, sent = {}, []
    for i in range(120):
        h, src = (a, b)[i % 2], f"02:55:00:00:{i >> 4:02x}:{i & 15:02x}"
        sent.append(L.frame(c.mac, src, b"hello" + bytes(i)))
        want[src] = h.port
        h.raw.send(sent[-1])
    got = received(c, len(sent))
    assert sorted(got) == sorted(sent)
    known = members(lab)
    assert {k: known.get(k) for k in want} == want
    p.end()


@HOW
def test_learning_off(hosts, how):
    """The kernel knows nobody, so all is flooded; the way back into it is still the right member."""
    lab, d, a, b, c = hosts
    for h in (a, b, c):
        lab.switch.run("bridge", "link", "set", "dev", h.port, "learning", "off")
        lab.switch.run("bridge", "fdb", "del", h.mac, "dev", h.port, "master")
    p = Pass(lab, d, "br0", *how)
    for i in range(60):
        x, y = ((a, b), (b, c), (c, a))[i % 3]
        x.raw.send(L.frame(y.mac, x.mac, struct.pack("!I", i)))
    for k, h in enumerate((a, b, c)):
        got = sorted(struct.unpack_from("!I", f, 14)[0] for f in received(h))
        assert got == [i for i in range(60) if i % 3 != k], h.port
    assert not members(lab).keys() & {a.mac, b.mac, c.mac}
    p.end()


# ---- the table of viaduct-adopt(7) ----

# class: (destination, who gets it: the host, b, c)
CLASSES = {
    "to the host": ("br0", 1, 0, 0),
    "to a member's address": ("member", 1, 0, 0),
    "known": ("b", 0, 1, 0),
    "own member": ("mate", 0, 0, 0),
    "unknown": ("02:12:34:56:78:9a", 0, 1, 1),
    "broadcast": (BROADCAST, 1, 1, 1),
    "multicast": (GROUP, 1, 1, 1),
}
MODES = ["all", "local", "copy"]


def destination(lab, b, word):
    if word == "br0":
        return lab.switch.link("br0")["address"]
    if word == "member":
        return lab.switch.link(b.port)["address"]
    return {"b": b.mac, "mate": "02:00:00:00:00:aa"}.get(word, word)


@pytest.mark.parametrize("mode", MODES)
def test_table(hosts, mode):
    lab, d, a, b, c = hosts
    a.raw.send(L.frame("02:99:99:99:99:99", "02:00:00:00:00:aa"))  # somebody else behind a
    L.wait_for(lambda: members(lab).get("02:00:00:00:00:aa") == a.port, "known")
    for kind in CLASSES:
        one_of_the_table(hosts, mode, kind)


def one_of_the_table(hosts, mode, kind):
    lab, d, a, b, c = hosts
    word, host, to_b, to_c = CLASSES[kind]
    dst = destination(lab, b, word)
    d.cli("adopt", "br0")
    d.cli("intercept", "br0", "mode", mode)
    p = Pass(lab, d)
    for h in (b, c):
        h.raw.drain()
    up = Tap(lab.switch, "br0")
    f = L.frame(dst, a.mac, os.urandom(100))
    a.raw.send(f)
    seen = {"all": 1, "local": host, "copy": 1}[mode]
    count = "copied" if mode == "copy" else "taken"
    L.wait_for(lambda: p.side()[count] == seen, f"{kind}: {count}: {seen}")
    assert [received(h).count(f) for h in (b, c)] == [to_b, to_c], kind
    assert up.all().count(f) == host, kind
    nic = p.side()
    assert (nic["taken"], nic["copied"]) == ((0, 1) if mode == "copy" else (seen, 0)), (kind, nic)
    p.end()
    d.cli("release", "br0")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reserved", ["hide", "copy", "take"])
def test_table_reserved(hosts, mode, reserved):
    """LLDP and LACP reach a daemon at the member once; pause frames and BPDUs are never shown."""
    lab, d, a, b, c = hosts
    d.cli("adopt", "br0")
    d.cli("intercept", "br0", "mode", mode, "reserved", reserved)
    p = Pass(lab, d)
    agent = Tap(lab.switch, a.port)
    frames = {dst: L.frame(dst, a.mac, os.urandom(80)) for dst in (LLDP, LACP, PAUSE, STP)}
    for f in frames.values():
        a.raw.send(f)
    want = 0 if mode == "local" or (reserved == "hide" and mode != "copy") else 2
    L.wait_for(lambda: p.side()["taken"] + p.side()["copied"] == want, f"{want} of them are shown")
    got = {h.port: received(h) for h in (b, c)}
    at_agent = agent.all()
    assert [at_agent.count(frames[x]) for x in (LLDP, LACP, PAUSE)] == [1, 1, 0]
    # Without spanning tree of its own the kernel forwards BPDUs as any group; the others stay.
    assert got == {h.port: [frames[STP]] for h in (b, c)}
    nic = p.side()
    expected = (want, 0) if mode == "all" and reserved == "take" else (0, want)
    assert (nic["taken"], nic["copied"]) == expected, nic
    p.end()
    d.cli("release", "br0")


def test_forwarded_lldp(hosts):
    """Where the administrator has the kernel forward it, it is forwarded, also when it is taken."""
    lab, d, a, b, c = hosts
    lab.switch.ip("link", "set", "br0", "type", "bridge", "group_fwd_mask", "0x4000")
    d.cli("adopt", "br0")
    p = Pass(lab, d)
    for i, reserved in enumerate(("hide", "copy", "take")):
        d.cli("intercept", "br0", "reserved", reserved)
        f = L.frame(LLDP, a.mac, os.urandom(80))
        time.sleep(0.05)
        a.raw.send(f)
        assert [received(h) for h in (b, c)] == [[f], [f]], reserved
    p.end()
    d.cli("release", "br0")


@pytest.mark.parametrize("mode", MODES)
def test_table_member_not_forwarding(hosts, mode):
    """A member that spanning tree blocks is left to the kernel; it is inspected again when it forwards."""
    lab, d, a, b, c = hosts
    d.cli("adopt", "br0")
    d.cli("intercept", "br0", "mode", mode)
    p = Pass(lab, d)
    # "listening"; blocking is what the kernel takes back at once without spanning tree
    lab.switch.run("bridge", "link", "set", "dev", a.port, "state", "1")
    L.wait_for(lambda: "BLOCKING" in json.dumps(d.json("-d", "link", "show", a.port)).upper(), "the daemon knows")
    for dst in (b.mac, BROADCAST):
        a.raw.send(L.frame(dst, a.mac, b"blocked"))
    assert [len(received(h)) for h in (b, c)] == [0, 0]
    assert p.side()["taken"] == p.side()["copied"] == 0
    lab.switch.run("bridge", "link", "set", "dev", a.port, "state", "3")
    L.wait_for(lambda: "FORWARDING" in json.dumps(d.json("-d", "link", "show", a.port)).upper(), "the daemon knows")
    f = L.frame(BROADCAST, a.mac, b"forwarded")
    a.raw.send(f)
    assert [received(h) for h in (b, c)] == [[f], [f]]
    assert p.side()["copied" if mode == "copy" else "taken"] == 1
    p.end()
    d.cli("release", "br0")


@pytest.mark.parametrize("mode", MODES)
def test_table_locked(hosts, mode):
    """A locked member: taken, and the kernel drops it on return."""
    lab, d, a, b, c = hosts
    lab.switch.run("bridge", "link", "set", "dev", a.port, "locked", "on", "learning", "off")
    d.cli("adopt", "br0")
    d.cli("intercept", "br0", "mode", mode)
    p = Pass(lab, d)
    a.raw.send(L.frame(b.mac, "02:66:00:00:00:01", b"stranger"))
    if mode != "local":
        L.wait_for(lambda: p.side()["copied" if mode == "copy" else "taken"] == 1, "shown")
    assert [len(received(h)) for h in (b, c)] == [0, 0]
    assert p.side()["taken"] + p.side()["copied"] == (mode != "local")
    p.end()
    d.cli("release", "br0")


def test_vlan_filtering(hosts):
    """A frame of a VLAN that its member is not in is shown, and dropped by the kernel when it is back."""
    lab, d, a, b, c = hosts
    lab.switch.ip("link", "set", "br0", "type", "bridge", "vlan_filtering", "1", check=False)
    if not lab.switch.link("br0")["linkinfo"]["info_data"].get("vlan_filtering"):
        pytest.skip("this kernel's bridge does not filter VLANs")
    lab.switch.run("bridge", "vlan", "add", "dev", a.port, "vid", "10")
    lab.switch.run("bridge", "vlan", "add", "dev", b.port, "vid", "10")
    p = Pass(lab, d)
    allowed = L.frame(BROADCAST, a.mac, os.urandom(60), tags=((0x8100, 10),))
    refused = L.frame(BROADCAST, a.mac, os.urandom(60), tags=((0x8100, 11),))
    for f in (refused, allowed):
        a.raw.send(f)
    assert [received(h) for h in (b, c)] == [[allowed], []]
    assert p.side()["taken"] == 2
    p.end()


def vlan_device(lab, host, vid, subnet, *words):
    """On the host's member, and at the host: a network of its own. Returns its address here."""
    if lab.switch.ip("link", "add", "link", host.port, "name", f"v{vid}", "type", "vlan", *words, "id", vid, check=False) \
            or f"v{vid}" not in lab.switch.links():
        pytest.skip("this kernel has no VLAN devices")
    host.ns.ip("link", "add", "link", "eth0", "name", f"v{vid}", "type", "vlan", *words, "id", vid)
    for ns, addr in ((lab.switch, f"{subnet}.1"), (host.ns, f"{subnet}.2")):
        ns.ip("addr", "add", f"{addr}/24", "dev", f"v{vid}")
        ns.ip("link", "set", f"v{vid}", "up")
    return f"{subnet}.1"


def left_alone(p, host, addr):
    """The program sees nothing of a ping over the VLAN."""
    before = p.side()["taken"]
    assert lost(host.ping(addr, 5)) == 0
    assert p.side()["taken"] == before


def test_vlan_device_on_a_member(lab, daemon):
    """Its VLAN never leaves the kernel: it belongs to the device on top, not to the bridge."""
    for ns in (lab.switch, *(h.ns for h in lab.add_hosts(3))):
        for conf in ("all", "default"):
            ns.sysctl(f"net/ipv6/conf/{conf}/disable_ipv6", 1)
    a, b, c = lab.hosts
    v5 = vlan_device(lab, a, 5, "10.95.0")
    kernel_bridge(lab, a, b, mcast_snooping=0)
    daemon.cli("adopt", "br0")
    v6 = vlan_device(lab, a, 6, "10.96.0", "protocol", "802.1ad")  # while nothing is attached
    p = Pass(lab, daemon)
    left_alone(p, a, v5)
    left_alone(p, a, v6)
    v7 = vlan_device(lab, b, 7, "10.97.0")  # while it runs
    L.wait_for(lambda: f"port {b.port}: VLAN 7 is left to" in daemon.log_text(), "it is known")
    left_alone(p, b, v7)
    v8 = vlan_device(lab, c, 8, "10.98.0")  # and joins with its member
    lab.switch.ip("link", "set", c.port, "master", "br0")
    L.wait_for(lambda: f"port {c.port}: VLAN 8 is left to" in daemon.log_text(), "it is known")
    left_alone(p, c, v8)

    # Others are inspected: of another id, tag, or member.
    for i, (host, tpid, vid) in enumerate(((a, 0x8100, 4), (a, 0x88a8, 5), (a, 0x8100, 6), (b, 0x8100, 5)), 1):
        before = p.side()["taken"]
        host.raw.send(L.frame(BROADCAST, host.mac, os.urandom(60), tags=((tpid, vid),)))
        L.wait_for(lambda: p.side()["taken"] == before + 1, f"{host.port} {tpid:x} {vid} is inspected")
    lab.switch.ip("link", "del", "v7")
    L.wait_for(lambda: "VLAN 7 is inspected" in daemon.log_text(), "its end is known")
    before = p.side()["taken"]
    b.raw.send(L.frame(BROADCAST, b.mac, os.urandom(60), tags=((0x8100, 7),)))
    L.wait_for(lambda: p.side()["taken"] == before + 1, "it is inspected")

    daemon.cli("intercept", "br0", "fail", "closed")  # gates let it out, too
    left_alone(p, a, v5)
    assert lost(a.ping(b.addr, 5)) == 0
    p.end()
    assert lost(a.ping(v6, 5)) == 0
    daemon.cli("release", "br0")


# ---- spanning tree of the kernel ----

def test_spanning_tree(lab, daemon):
    """Two bridges with two links between them: one is blocked as before, and takes over when the other goes."""
    a, b = lab.add_hosts(2)
    far = lab.space("far")
    opts = {"stp_state": 1, "forward_delay": 200, "hello_time": 100, "max_age": 600}
    kernel_bridge(lab, a, priority=100, **opts)
    far.ip("link", "add", "br0", "type", "bridge", *(str(w) for kv in opts.items() for w in kv))
    for i in (1, 2):
        lab.switch.ip("link", "add", f"u{i}", "type", "veth", "peer", "name", f"u{i}", "netns", far.name)
        for ns in (lab.switch, far):
            ns.ip("link", "set", f"u{i}", "up")
            ns.ip("link", "set", f"u{i}", "master", "br0")
    lab.switch.ip("link", "set", b.port, "netns", far.name)
    far.ip("link", "set", b.port, "master", "br0", "up")
    far.ip("link", "set", "br0", "up")
    p = Pass(lab, daemon)

    def states():
        rows = json.loads(far.run("bridge", "-j", "link", "show"))
        return {r["ifname"]: r["state"] for r in rows if r["ifname"].startswith("u")}

    slow = L.DEADLINE * 3
    L.wait_for(lambda: sorted(states().values()) == ["blocking", "forwarding"], "one link is blocked", timeout=slow)
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "they reach each other", timeout=slow)
    rx = int(b.ns.run("cat", "/sys/class/net/eth0/statistics/rx_packets"))
    assert lost(a.ping(b.addr, 10, "-b")) == 0  # lost() refuses duplicates
    assert int(b.ns.run("cat", "/sys/class/net/eth0/statistics/rx_packets")) - rx < 200, "frames go round"
    used = next(k for k, v in states().items() if v == "forwarding")
    lab.switch.ip("link", "set", used, "down")
    other = next(k for k in states() if k != used)
    L.wait_for(lambda: states()[other] == "forwarding", "the other takes over", timeout=slow)
    L.wait_for(lambda: lost(a.ping(b.addr, 2, check=False)) == 0, "they reach each other again", timeout=slow)
    assert p.side()["taken"] > 20
    p.end()
