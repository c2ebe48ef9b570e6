# SPDX-License-Identifier: BSD-2-Clause
"""core/offload against the kernel: the same GSO frames cut by both, compared byte for byte.

    host a | pa == kernel's bridge == pd | host d

a's veth keeps its offloads, so GSO frames reach pa whole; pd has none, so the kernel cuts them there.
No daemon takes part.
"""

import os
import socket
import struct
import subprocess
import threading
import time

import pytest
from scapy.all import Dot1Q, Ether, IP, IPv6, IPv6ExtHdrDestOpt, IPOption_NOP, Raw, TCP, UDP

import lab as L

CUT = L.BUILD / "tests/netns/cut_gso"
VNET = struct.Struct("=BBHHHH")
TCPV4, UDP_L4, TCPV6, ECN = 1, 5, 4, 0x80
PACKET_VNET_HDR = 15
SRC, DST = "02:00:00:00:00:0a", "02:00:00:00:00:0d"


def packet_socket(ns, dev, vnet):
    s = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    s.setsockopt(L.SOL_PACKET, L.PACKET_AUXDATA, 1)
    s.setsockopt(L.SOL_PACKET, L.PACKET_IGNORE_OUTGOING, 1)
    if vnet:
        s.setsockopt(L.SOL_PACKET, PACKET_VNET_HDR, 1)
    s.bind((dev, L.ETH_P_ALL))
    return s


def receive(s, vnet):
    """One frame with its tag back in place and, with vnet, its header in front; None at the end."""
    s.settimeout(0.3)
    try:
        data, anc, _, _ = s.recvmsg(1 << 17, 256)
    except TimeoutError:
        return None
    hdr, data = (data[:VNET.size], data[VNET.size:]) if vnet else (b"", data)
    for level, kind, value in anc:
        status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", value[:20])
        if (level, kind) == (L.SOL_PACKET, L.PACKET_AUXDATA) and status & L.TP_STATUS_VLAN_VALID:
            data = data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
            if vnet:
                v = list(VNET.unpack(hdr))
                v[4] += 4  # csum_start
                hdr = VNET.pack(*v)
    return hdr + data


def receive_all(s, vnet=False):
    return list(iter(lambda: receive(s, vnet), None))


def cut(frames):
    """Our segments of each frame (virtio_net_hdr in front)."""
    stdin = b"".join(struct.pack("=I", len(f) - VNET.size) + f for f in frames)
    out = subprocess.run([CUT], input=stdin, stdout=subprocess.PIPE, check=True).stdout
    result, at = [], 0
    for _ in frames:
        (n,) = struct.unpack_from("=i", out, at)
        at += 4
        assert n > 0, f"dropped with reason {-n}"
        segments = []
        for _ in range(n):
            (size,) = struct.unpack_from("=I", out, at)
            segments.append(out[at + 4 : at + 4 + size])
            at += 4 + size
        result.append(segments)
    return result


@pytest.fixture
def path(lab):
    """Namespaces and devices of the drawing."""
    ns = {n: lab.space(n) for n in ("a", "sw", "d")}
    sw = ns["sw"]
    for near, far in (("a", "pa"), ("d", "pd")):
        sw.ip("link", "add", far, "type", "veth", "peer", "name", "eth0", "netns", ns[near].name)
    sw.ip("link", "add", "brk", "type", "bridge")
    for dev in ("pa", "pd"):
        sw.ip("link", "set", dev, "master", "brk", "up")
    sw.ip("link", "set", "brk", "up")
    sw.run("ethtool", "-K", "pd", "tx", "off", "sg", "off", "tso", "off", "gso", "off")
    for n, mac in (("a", SRC), ("d", DST)):
        ns[n].ip("link", "set", "eth0", "address", mac)
        ns[n].ip("link", "set", "eth0", "up")
    return ns


def partial(headers, gso, gso_size, payload):
    """An unfinished GSO frame: virtio_net_hdr, headers with the pseudo-header's sum, payload."""
    l4 = headers.lastlayer()
    is_tcp = isinstance(l4, TCP)
    complete = bytes(headers / Raw(payload))
    start = len(bytes(headers)) - len(bytes(l4))
    ofs = start + (16 if is_tcp else 6)
    ip = l4.underlayer
    while not isinstance(ip, (IP, IPv6)):
        ip = ip.underlayer
    family = socket.AF_INET if isinstance(ip, IP) else socket.AF_INET6
    pseudo = b"".join(socket.inet_pton(family, x) for x in (ip.src, ip.dst))
    pseudo += struct.pack("!HH", 6 if is_tcp else 17, len(complete) - start)
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    frame = complete[:ofs] + struct.pack("!H", total) + complete[ofs + 2 :]
    return VNET.pack(1, gso, len(bytes(headers)), gso_size, start, ofs - start) + frame


ETH = Ether(src=SRC, dst=DST)
V4 = IP(src="10.0.0.1", dst="10.0.0.2", id=0xFFFE, flags="DF")
V6 = IPv6(src="fd00::1", dst="fd00::2", tc=3, fl=77)
SEG = TCP(sport=5, dport=6, seq=0xFFFFF000, ack=7, flags="FPA", options=[("Timestamp", (1, 2))])

CASES = {
    "tcp4": (ETH / V4 / SEG, TCPV4, 1448, 64000),
    "tcp4-odd": (ETH / V4 / SEG, TCPV4, 999, 5001),
    "tcp4-exact": (ETH / V4 / SEG, TCPV4, 1000, 3000),
    "tcp4-ecn": (ETH / V4 / TCP(sport=5, dport=6, flags="CEPA"), TCPV4 | ECN, 1000, 3500),
    "tcp4-options": (ETH / IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_NOP()] * 4) / SEG,
                     TCPV4, 1000, 3500),
    "tcp4-tag": (ETH / Dot1Q(vlan=7, prio=3) / V4 / SEG, TCPV4, 1448, 20000),
    "tcp6": (ETH / V6 / SEG, TCPV6, 1428, 64000),
    "tcp6-ext": (ETH / V6 / IPv6ExtHdrDestOpt() / SEG, TCPV6, 1400, 9000),
    "udp4": (ETH / V4 / UDP(sport=1, dport=9), UDP_L4, 1200, 30001),
    "udp6": (ETH / V6 / UDP(sport=1, dport=9), UDP_L4, 1200, 9600),
}


@pytest.mark.parametrize("name", CASES)
def test_like_the_kernel(path, name):
    if CASES[name][1] == UDP_L4 and L.KERNEL < (6, 2):
        pytest.skip("the kernel's reference needs a packet socket that takes UDP segmentation (Linux 6.2)")
    frame = partial(CASES[name][0], *CASES[name][1:3], os.urandom(CASES[name][3]))
    capture = packet_socket(path["d"], "eth0", vnet=False)
    out = packet_socket(path["a"], "eth0", vnet=True)
    L.wait_for(lambda: out.send(frame) and receive(capture, False), "a frame over the bridge")
    receive_all(capture)
    out.send(frame)
    addresses = bytes.fromhex((DST + SRC).replace(":", ""))  # neither MLD nor router solicitations
    got = [f for f in receive_all(capture) if f.startswith(addresses)]
    assert got == cut([frame])[0]


VXLAN = ["type", "vxlan", "id", "42", "dstport", "4789", "dev", "eth0"]
# name: outer addresses, inner addresses, arguments of ip link
V4_NETS, V6_NETS = ("10.0.0.%d", "10.1.0.%d/24"), ("fd00::%d", "fd01::%d/64")
TUNNELS = {
    "vxlan-4-4": (V4_NETS[0], V4_NETS[1], [*VXLAN, "noudpcsum"]),
    "vxlan-4-6": (V4_NETS[0], V6_NETS[1], [*VXLAN, "noudpcsum"]),
    "vxlan-csum-4-4": (V4_NETS[0], V4_NETS[1], [*VXLAN, "udpcsum"]),
    "vxlan-csum-4-6": (V4_NETS[0], V6_NETS[1], [*VXLAN, "udpcsum"]),
    "vxlan-6-4": (V6_NETS[0], V4_NETS[1], [*VXLAN, "udp6zerocsumtx", "udp6zerocsumrx"]),
    "vxlan-csum-6-4": (V6_NETS[0], V4_NETS[1], VXLAN),
    "vxlan-csum-6-6": (V6_NETS[0], V6_NETS[1], VXLAN),
    "geneve-4-4": (V4_NETS[0], V4_NETS[1], ["type", "geneve", "id", "42"]),
    "geneve-6-6": (V6_NETS[0], V6_NETS[1], ["type", "geneve", "id", "42"]),
    "gre-4-4": (V4_NETS[0], V4_NETS[1], ["type", "gre"]),
    "gre-csum-key-4-4": (V4_NETS[0], V4_NETS[1], ["type", "gre", "csum", "key", "9"]),
    "gretap-4-6": (V4_NETS[0], V6_NETS[1], ["type", "gretap"]),
    "gretap-csum-4-4": (V4_NETS[0], V4_NETS[1], ["type", "gretap", "csum"]),
    "ipip-4-4": (V4_NETS[0], V4_NETS[1], ["type", "ipip"]),
    "sit-4-6": (V4_NETS[0], V6_NETS[1], ["type", "sit"]),
}


def tunnel(ns, me, peer, outer, inner, args):
    """One end of a tunnel; skips the test where the kernel has no such device."""
    def nodad(addr):
        return ["nodad"] if ":" in addr else []

    ns.ip("addr", "add", (outer % me) + ("/64" if ":" in outer else "/24"), "dev", "eth0", *nodad(outer))
    ends = ["remote", outer % peer] if "geneve" in args else ["local", outer % me, "remote", outer % peer]
    try:
        ns.ip("link", "add", "tun", *args, *ends)
    except AssertionError as e:
        if "Unknown device type" in str(e) or "not supported" in str(e):
            pytest.skip(f"this kernel has no {args[1]} devices")
        raise
    ns.ip("link", "set", "tun", "up")
    ns.ip("addr", "add", inner % me, "dev", "tun", *nodad(inner))


@pytest.mark.parametrize("name", TUNNELS)
def test_tunnel_like_the_kernel(path, name):
    """A real TCP stream in a tunnel: what arrives whole at pa is what we cut, d sees the kernel's."""
    outer, inner, args = TUNNELS[name]
    tunnel(path["a"], 1, 2, outer, inner, args)
    tunnel(path["d"], 2, 1, outer, inner, args)
    whole = packet_socket(path["sw"], "pa", vnet=True)
    pieces = packet_socket(path["d"], "eth0", vnet=False)
    addr = (inner % 2).split("/")[0]
    family = socket.AF_INET6 if ":" in inner else socket.AF_INET
    listener = path["d"].socket(family, socket.SOCK_STREAM)
    listener.bind((addr, 5001))
    listener.listen()

    def sink():
        conn, _ = listener.accept()
        while conn.recv(1 << 20):
            pass

    thread = threading.Thread(target=sink, daemon=True)
    thread.start()
    sender = path["a"].socket(family, socket.SOCK_STREAM)
    sender.settimeout(20)
    L.wait_for(lambda: sender.connect_ex((addr, 5001)) in (0, 106), "a connection")
    sender.sendall(os.urandom(1 << 19))
    sender.close()
    thread.join(20)
    time.sleep(0.1)
    frames = [f for f in receive_all(whole, True) if VNET.unpack(f[: VNET.size])[1]]
    seen = set(receive_all(pieces))
    assert len(frames) > 5
    missing = [(i, j) for i, segs in enumerate(cut(frames)) for j, s in enumerate(segs) if s not in seen]
    assert not missing
