# SPDX-License-Identifier: BSD-2-Clause
"""`viaduct drops`: counters, the last frame of each reason, rates."""

import json
import re
import struct
import subprocess
import time

import lab as L


def provoke(d, a, b, n=1):
    """n frames from b to an address behind b itself: same-port."""
    sink = "02:00:00:00:0b:02"
    rb = b.raw
    rb.send(L.frame("ff:ff:ff:ff:ff:ff", sink))
    L.wait_for(lambda: d.fdb().get((sink, 0), {}).get("ifname") == b.port, "the address is learned")
    for _ in range(n):
        rb.send(udp(sink, b.mac))


def udp(dst, src, tags=()):
    ip = bytes.fromhex("4500001c000100004011 0000 0a000001 0a000002".replace(" ", ""))
    return L.frame(dst, src, ip + bytes.fromhex("d431000700080000"), ethertype=0x0800, tags=tags)


def row(d, reason, port, *args):
    rows = [r for r in d.json("drops", *args) if r["reason"] == reason and r["port"] == port]
    assert len(rows) == 1, rows
    return rows[0]


def test_last_frame(lab, daemon):
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    before = time.time()
    provoke(daemon, a, b, 3)
    L.wait_for(lambda: daemon.drop("same-port", b.port) == 3, "three frames are dropped")
    r = row(daemon, "same-port", b.port)
    assert r["count"] == 3 and "behind the port" in r["text"]
    last = r["last"]
    assert last["summary"] == f"{b.mac} > 02:00:00:00:0b:02, IPv4 10.0.0.1 > 10.0.0.2 UDP 54321 > 7, 60 bytes"
    assert before - 1 < last["time"] < time.time() + 1 and 0 <= last["age"] < 60
    assert last["len"] == 60 and bytes.fromhex(last["bytes"]) == udp("02:00:00:00:0b:02", b.mac)
    # By bridge and port, and the port alone.
    for words in (["br0", b.port], [b.port], ["br0"]):
        assert row(daemon, "same-port", b.port, *words)["last"]["summary"] == last["summary"]
    assert {r["port"] for r in daemon.json("drops", "br0", b.port)} == {b.port}
    text = daemon.cli("drops").stdout
    assert "the destination is behind the port" in text and last["summary"] in text and " ago" in text


def test_last_is_where_it_was_dropped(lab, daemon):
    """One frame a reason and bridge is kept: the row of the port where it was dropped has it."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    provoke(daemon, b, a)
    L.wait_for(lambda: daemon.drop("same-port", a.port) == 1, "a frame is dropped")
    provoke(daemon, a, b)
    L.wait_for(lambda: daemon.drop("same-port", b.port) == 1, "another is dropped")
    assert "last" not in row(daemon, "same-port", a.port)
    assert b.mac in row(daemon, "same-port", b.port)["last"]["summary"]
    # A port that has left takes its frame along, also when another comes under its name.
    daemon.cli("delif", "br0", b.port)
    daemon.addif("br0", b.port)
    assert not any("last" in r for r in daemon.json("drops") if r["reason"] == "same-port")


def test_driver_drops_have_a_last_frame(lab, daemon):
    """What a driver cannot take from the kernel: here a record that its file holds only a part of."""
    cut = lab.dir / "cut.pcap"
    whole = L.frame("02:00:00:00:00:99", "02:00:00:00:00:98")
    cut.write_bytes(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) +
                    struct.pack("<IIII", 1, 0, 40, 60) + whole[:40] + struct.pack("<IIII", 1, 0, 60, 60) + whole)
    daemon.bridge()
    daemon.cli("addif", "br0", f"pcap:{cut}")
    r = L.wait_for(lambda: next(r for r in daemon.json("drops") if r["reason"] == "rx-truncated"), "it is dropped")
    assert r["last"]["len"] == 60 and r["last"]["summary"] == "bytes unknown, 60 bytes"


def test_rate_without_watching(lab, daemon):
    """How many a second, in one look: what the daemon saw in the last second."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    provoke(daemon, a, b)
    L.wait_for(lambda: daemon.drop("same-port", b.port) >= 1, "a frame is dropped")
    L.wait_for(lambda: row(daemon, "same-port", b.port)["last"]["rate"] in (0, 1e9 / 2**30), "nothing to speak of")

    def rate():
        for _ in range(20):
            b.raw.send(udp("02:00:00:00:0b:02", b.mac))
        return row(daemon, "same-port", b.port)["last"]["rate"] > 20

    L.wait_for(rate, "a rate")
    r = row(daemon, "same-port", b.port)
    assert r["last"]["rate"] <= r["count"]
    assert "/s" in daemon.cli("drops").stdout
    L.wait_for(lambda: row(daemon, "same-port", b.port)["last"]["rate"] == 0, "that is over")
    assert "/s" not in daemon.cli("drops").stdout


def watch(d, *args):
    return d.ns.popen(L.VIADUCT, "--run-dir", d.run_dir, *args, stdout=subprocess.PIPE)


def test_watch(lab, daemon):
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    provoke(daemon, a, b)
    L.wait_for(lambda: daemon.drop("same-port", b.port) == 1, "a frame is dropped")
    p = watch(daemon, "-j", "drops", "br0", "--watch", "0.2")
    lab.procs.append(p)
    first = json.loads(p.stdout.readline())
    assert all("rate" not in r for r in first) and len(first) >= 1
    provoke(daemon, a, b, 50)
    rates = []
    for _ in range(50):
        rates += [(r["rate"], r["count"]) for r in json.loads(p.stdout.readline())
                  if r["reason"] == "same-port" and r["port"] == b.port]
        if rates[-1][1] == 51 and rates[-1][0] == 0:
            break
    assert rates[-1] == (0, 51) and any(rate > 0 for rate, _ in rates), rates
    # What was counted in between, over the time in between.
    assert sum(rate for rate, _ in rates) * 0.2 <= 50.5
    p.terminate()
    assert p.wait(L.DEADLINE) == 0
    p = watch(daemon, "drops", "--watch=0.2")
    lab.procs.append(p)
    text = ""
    while not re.search(r"same-port +\S+ +0/s", text):
        text += p.stdout.readline()
    assert "drops at " in text and "\033" not in text
    p.terminate()
    assert p.wait(L.DEADLINE) == 0


def test_watch_is_for_drops(daemon):
    assert "only drops can be watched" in daemon.fails("--watch", "2", "stats", code=2)
    assert "no number of seconds" in daemon.fails("drops", "--watch=0", code=2)
