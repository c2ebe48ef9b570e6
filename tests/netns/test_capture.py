# SPDX-License-Identifier: BSD-2-Clause
"""`viaduct capture`: files as tshark reads them, points, losses, ends."""

import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import time

import pytest

import lab as L
from test_netmap import Program

pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark (apt install tshark)")

FIELDS = ["frame.interface_name", "frame.comment", "frame.packet_flags_direction", "frame.time_epoch", "frame.len",
          "frame.cap_len", "eth.src", "eth.dst"]


class Capture:
    """The command, running."""

    def __init__(self, lab, d, *args, file="x.pcapng", bridge="br0", **kw):
        self.d, self.file = d, file and lab.dir / file
        n = d.log_text().count("capture for pid=")
        self.p = lab.background(d.ns, L.VIADUCT, "--run-dir", d.run_dir, "capture", bridge,
                                *(["-w", self.file] if file else []), *args, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **kw)
        L.wait_for(lambda: d.log_text().count("capture for pid=") > n, "the capture runs")
        L.wait_for(lambda: not file or self.file.exists(), "the file is there")

    def end(self, code=0, sig=signal.SIGINT):
        """What it said, once it has ended. A frame may arrive before the worker has published its record."""
        if sig:
            self.d.cli("stats", check=False)  # the worker answers between batches
            self.p.send_signal(sig)
        self.out, self.err = self.p.communicate(timeout=L.DEADLINE * 2)
        assert self.p.returncode == code, (self.p.returncode, self.err)
        return self.err

    def read(self):
        return read(self.file)

    def comments(self, port=None, src=None):
        return [r["comment"] for r in self.read() if port in (None, r["interface_name"]) and src in (None, r["src"])]


def read(file, *options):
    """Rows of the file, by tshark; it must find nothing wrong."""
    p = subprocess.run(["tshark", "-n", "-r", str(file), "-T", "fields", "-E", "separator=\t", *options] +
                       [x for f in FIELDS for x in ("-e", f)], capture_output=True, text=True)
    assert p.returncode == 0 and "cut short" not in p.stderr and "damaged" not in p.stderr, p.stderr
    names = [f.split(".")[-1] for f in FIELDS]
    return [dict(zip(names, line.split("\t"))) for line in p.stdout.splitlines()]


def interfaces(file):
    """{name: text} of what capinfos says of each interface."""
    out = L.sh("capinfos", "-M", file)
    parts = re.split(r"Interface #\d+ info:\n", out)[1:]
    return {re.search(r"Name = (.*)", p)[1]: p for p in parts}


@pytest.fixture
def net(lab, daemon):
    """Two silent hosts whose addresses the bridge knows; br0 is silent as well."""
    a, b = (h.silent() for h in lab.add_hosts(2))
    daemon.bridge(a, b, up=False)
    daemon.ns.sysctl("net/ipv6/conf/br0/disable_ipv6", 1)
    daemon.ns.ip("link", "set", "br0", "up")
    L.wait_for(lambda: daemon.host_up("br0"), "br0 is up")
    for h in (a, b):
        h.raw.send(L.frame("ff:ff:ff:ff:ff:ff", h.mac))
    L.wait_for(lambda: {(a.mac, 0), (b.mac, 0)} <= daemon.fdb().keys(), "both are known")
    a.raw.drain(), b.raw.drain()
    return lab, daemon, a, b


def send(x, y, n=1, size=60):
    """n frames, and waits for the last."""
    f = L.frame(y.mac, x.mac, b"x" * (size - 14))
    for _ in range(n):
        x.raw.send(f)
        y.raw.expect(f)


def test_file(net):
    """Interfaces, directions, times, lengths, verdicts."""
    lab, d, a, b = net
    before = time.time()
    c = Capture(lab, d)
    send(a, b, 3, 100)
    a.raw.send(L.frame("ff:ff:ff:ff:ff:ff", a.mac))
    b.raw.expect(lambda f: f[:6] == b"\xff" * 6)
    assert "4 frames, 0 lost" in c.end()
    rows = [r for r in c.read() if r["src"] == a.mac]
    assert [r["interface_name"] for r in rows] == [a.port] * 4
    assert [r["comment"] for r in rows] == ["in: forwarded to p2"] * 3 + ["in: flooded to 2 ports"]
    assert {r["packet_flags_direction"] for r in rows} == {"0x00000001"}
    assert [r["len"] for r in rows] == ["100"] * 3 + ["60"]
    times = [float(r["time_epoch"]) for r in rows]
    assert times == sorted(times) and before - 1 < times[0] < time.time() + 1
    assert all(len(r["time_epoch"].split(".")[1]) == 9 for r in rows)
    ifs = interfaces(c.file)
    assert ifs.keys() == {"p1", "p2", "br0"}
    assert "driver packet" in ifs["p1"] and "host's port" in ifs["br0"]
    assert "Number of packets = 4" in ifs["p1"] and "Number of packets = 0" in ifs["p2"]
    assert "nanoseconds (9)" in ifs["p1"] and "Number of stat entries = 1" in ifs["p1"]
    assert os.stat(c.file).st_mode & 0o777 == 0o600


def test_points(net):
    """out, and all of an own bridge at a time."""
    lab, d, a, b = net
    c = Capture(lab, d, "point", "out")
    every = Capture(lab, d, "point", "in", "point", "out", "point", "drop", file="all.pcapng")
    send(a, b)
    L.wait_for(lambda: len(every.read()) == 2, "the file has them while it grows")
    c.end(), every.end()
    rows = [r for r in c.read() if r["src"] == a.mac]
    assert [(r["interface_name"], r["comment"], r["packet_flags_direction"]) for r in rows] == [
        ("p2", "out: from p1", "0x00000002")]
    assert every.comments(src=a.mac) == ["in: forwarded to p2", "out: from p1"]


def test_drops(net):
    """Under the names of `viaduct drops`, at both points."""
    lab, d, a, b = net
    c = Capture(lab, d, "point", "in", "point", "drop")
    before = d.drops()
    ra = a.raw
    ra.send(L.frame(a.mac, a.mac))                                        # same-port
    ra.send(L.frame(b.mac, "01:00:00:00:00:01"))                          # invalid-source
    ra.send(L.frame("01:80:c2:00:00:01", a.mac))                          # pause
    d.cli("rule", "add", "br0", "forward", "drop", "filter", "ether proto 0x1234")
    ra.send(L.frame(b.mac, a.mac, ethertype=0x1234))                      # rule
    d.cli("link", "set", a.port, "isolated", "on")
    d.cli("link", "set", b.port, "isolated", "on")
    ra.send(L.frame(b.mac, a.mac))                                        # isolated
    L.wait_for(lambda: d.drop("isolated") == 1, "all are dropped")
    d.cli("link", "set", b.port, "isolated", "off")
    d.cli("link", "set", a.port, "isolated", "off")
    d.ns.ip("link", "set", "br0", "down")
    L.wait_for(lambda: not d.host_up("br0"), "br0 is down")
    ra.send(L.frame(d.ns.link("br0")["address"], a.mac))                  # host-down
    L.wait_for(lambda: d.drop("host-down") >= 1, "it is dropped")
    d.cli("link", "set", "br0", "vlan_filtering", "on")
    ra.send(L.frame(b.mac, a.mac, tags=[(0x8100, 77)]))                   # vlan-ingress
    L.wait_for(lambda: d.drop("vlan-ingress") == 1, "it is dropped")
    d.cli("link", "set", "br0", "vlan_filtering", "off")
    d.cli("link", "set", "br0", "monitor", "on")
    ra.send(L.frame(b.mac, a.mac))                                        # monitor
    L.wait_for(lambda: d.drop("monitor") >= 1, "it is dropped")
    counted = {r: n - before.get(("p1", r), 0) for (p, r), n in d.drops().items() if p == "p1"}
    texts = {r["reason"]: r["text"] for r in d.json("drops")}
    c.end()
    want = ["same-port", "invalid-source", "pause", "rule", "isolated", "host-down", "vlan-ingress", "monitor"]
    comments = c.comments(port="p1")
    for reason in want:
        assert counted[reason] > 0, (reason, counted)
        assert comments.count(f"drop: {reason}, {texts[reason]}") == counted[reason], (reason, comments)
        assert comments.count(f"in: dropped: {reason}, {texts[reason]}") == counted[reason], (reason, comments)
    assert len(comments) == 2 * sum(counted.values())


def test_drop_of_one_copy(net):
    """A flood of which one port's copy is dropped is no dropped frame."""
    lab, d, a, b = net
    third = lab.host().silent()
    d.addif("br0", third.port)
    d.cli("rule", "add", "br0", "post_routing", "drop", "out", third.port)
    c = Capture(lab, d, "point", "in", "point", "drop")
    f = L.frame("ff:ff:ff:ff:ff:ff", a.mac, b"one of three")
    a.raw.send(f)
    b.raw.expect(f)
    c.end()
    said = c.comments(src=a.mac)
    assert [s.split(",")[0] for s in said] == ["in: flooded to 2 ports; 1 copy dropped at p1: rule", "drop: rule"], said


def test_drop_by_a_driver(lab, daemon):
    """Here a record that its file holds only a part of: no batch has it."""
    cut = lab.dir / "cut.pcap"
    whole = L.frame("02:00:00:00:00:99", "02:00:00:00:00:98")
    cut.write_bytes(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) +
                    struct.pack("<IIII", 1, 0, 40, 60) + whole[:40] + struct.pack("<IIII", 1, 0, 60, 60) + whole)
    daemon.bridge()
    c = Capture(lab, daemon, "point", "drop", "count", "2")
    daemon.cli("addif", "br0", f"pcap:{cut}")
    c.end(sig=None)
    said = [(r["interface_name"], r["comment"].split(",")[0]) for r in c.read()]
    assert ("cut", "drop: rx-truncated") in said, said


def test_filter_snaplen_port_count(net):
    lab, d, a, b = net
    c = Capture(lab, d, "snaplen", "20", "filter", "ether proto 0x1234", "count", "2")
    only = Capture(lab, d, "port", b.port, file="port.pcapng")
    for n in range(3):
        a.raw.send(L.frame(b.mac, a.mac, b"y" * 100, ethertype=0x1234))
        send(a, b)
    send(b, a)
    assert "2 frames" in c.end(sig=None)
    assert [(r["len"], r["cap_len"]) for r in c.read()] == [("114", "20")] * 2
    only.end()
    assert [r["src"] for r in only.read()] == [b.mac]
    assert interfaces(only.file).keys() == {"p2"}


def test_lines(net):
    """Without a file: a line for each frame, or an object."""
    lab, d, a, b = net
    c = Capture(lab, d, "count", "1", file=None)
    send(a, b, size=100)
    c.end(sig=None)
    line = c.out.splitlines()[0]
    assert re.match(r"\d\d:\d\d:\d\d\.\d{9} p1  02:", line), line
    assert line.endswith("100 bytes  in: forwarded to p2"), line
    p = lab.background(d.ns, L.VIADUCT, "--run-dir", d.run_dir, "-j", "capture", "br0", "for", "1", "point", "drop",
                       stdout=subprocess.PIPE)
    L.wait_for(lambda: d.log_text().count("capture for pid=") == 2, "it runs")
    a.raw.send(L.frame(a.mac, a.mac))
    out, _ = p.communicate(timeout=L.DEADLINE)
    row = json.loads(out)
    assert row["reason"] == "same-port" and row["point"] == "drop" and row["ifname"] == "p1", row


def test_nothing_to_see_ends(net):
    """`for` ends by itself, and the file is whole."""
    lab, d, _, _ = net
    c = Capture(lab, d, "for", "1", "point", "drop")
    assert "0 frames, 0 lost" in c.end(sig=None)
    assert c.read() == [] and len(interfaces(c.file)) == 3


def test_ports_join_and_leave(net):
    """A port that joins gets an interface, also under the number of one that has left."""
    lab, d, a, b = net
    c = Capture(lab, d)
    send(a, b)
    d.cli("delif", "br0", a.port)
    other = lab.host().silent()
    d.addif("br0", other.port)
    send(other, b, 2)
    c.end()
    ifs = interfaces(c.file)
    assert list(ifs) == ["p1", "p2", "br0", "p3"]
    assert "Number of packets = 1" in ifs["p1"] and "Number of packets = 2" in ifs["p3"]
    assert [r["interface_name"] for r in c.read() if r["src"] == other.mac] == ["p3"] * 2


def test_vlans(lab, daemon):
    """As received, and as sent: tags come and go in between."""
    a, b = (h.silent() for h in lab.add_hosts(2))
    daemon.bridge(a, b, up=False)
    daemon.cli("link", "set", "br0", "vlan_filtering", "on")
    daemon.cli("vlan", "add", "dev", b.port, "vid", "7")
    daemon.cli("vlan", "add", "dev", a.port, "vid", "7", "pvid", "untagged")
    c = Capture(lab, daemon, "point", "in", "point", "out", "filter", f"ether src {a.mac}")
    b.raw.drain()  # it listens
    a.raw.send(L.frame(b.mac, a.mac))
    got = b.raw.expect(lambda f: f[:12] == L.frame(b.mac, a.mac)[:12])
    assert got[12:16] == bytes.fromhex("81000007")
    c.end()
    assert [(r["interface_name"], r["len"], r["comment"].split(";")[0]) for r in c.read()] == [
        ("p1", "60", "in: flooded to 1 port"), ("p2", "64", "out: from p1")]


def test_queue_full(net):
    """Dropped on the way out: the frame came in and went nowhere."""
    lab, d, a, b = net
    c = Capture(lab, d, "point", "in", "point", "drop")
    b.ns.ip("link", "set", "eth0", "down")
    L.wait_for(lambda: d.port(b.port)["operstate"] != "UP", "no carrier")
    f = L.frame(b.mac, a.mac)
    a.raw.send(f)
    L.wait_for(lambda: sum(n for (p, r), n in d.drops().items() if p in ("p1", "p2")) > 0, "it is dropped")
    c.end()
    said = c.comments(src=a.mac)
    assert len(said) == 2 and said[0].startswith("in: dropped: ") and said[1].startswith("drop: "), said
    assert said[0].split(": ")[2].split(",")[0] == said[1].split(": ")[1].split(",")[0]


def test_gso(lab, daemon):
    """Frames that pass whole say so; out of a port that cuts them they are cut."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b, driver="packet")
    a.ping(b.addr)
    c = Capture(lab, daemon, "filter", "tcp", "snaplen", "100", "point", "in", "point", "out")
    L.tcp_transfer(a.ns, b.ns, b.addr, size=4 << 20)
    c.end()
    big = [r for r in c.read() if r["interface_name"] == "p1" and int(r["len"]) > 1514]
    assert big and all("GSO: TCPv4 segments with 1448 bytes" in r["comment"] for r in big), big[:2]
    assert any("its checksum is not finished yet" in r["comment"] for r in big)
    assert {r["cap_len"] for r in big} == {"100"}


def test_stp(lab, daemon):
    """BPDUs: those of the bridge itself, and those it takes."""
    a, b = (h.silent() for h in lab.add_hosts(2))
    daemon.bridge(a, b)
    c = Capture(lab, daemon, "point", "in", "point", "out", "filter", "ether dst 01:80:c2:00:00:00")
    daemon.cli("link", "set", "br0", "stp_state", "on")
    f = a.raw.expect(lambda f: f[:6] == bytes.fromhex("0180c2000000"))
    b.raw.send(f)
    L.wait_for(lambda: "in: for the spanning tree" in c.comments(port="p2"), "it came")
    a.raw.send(f)
    L.wait_for(lambda: daemon.drop("bpdu-own", "p1") == 1, "it came")
    c.end()
    assert "out: made by the bridge itself" in c.comments(port="p1")
    assert any(s.startswith("in: dropped: bpdu-own") for s in c.comments(port="p1")), c.comments()


# ---- outputs that fail ----

def test_reader_of_pipe_leaves(net):
    """`-w - | head`: the command ends with its reader, without traffic, too."""
    lab, d, a, b = net
    c = lab.background(d.ns, L.VIADUCT, "--run-dir", d.run_dir, "capture", "br0", "-w", "-", stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    assert os.read(c.stdout.fileno(), 4) == b"\x0a\x0d\x0d\x0a"  # at once, before there are frames
    send(a, b)
    c.stdout.close()
    assert c.wait(L.DEADLINE) == 0, c.stderr.read()
    send(a, b)


def test_reader_of_lines_leaves(net):
    """`viaduct capture br0 | head -1` ends without a second frame."""
    lab, d, a, b = net
    c = lab.background(d.ns, L.VIADUCT, "--run-dir", d.run_dir, "capture", "br0", stdout=subprocess.PIPE)
    L.wait_for(lambda: "capture for pid=" in d.log_text(), "it runs")
    send(a, b)
    assert "in: forwarded to p2" in c.stdout.readline()
    c.stdout.close()
    assert c.wait(L.DEADLINE) == 0


def test_live_in_pipe(net):
    """A frame is in the pipe when it has passed the bridge, not later."""
    lab, d, a, b = net
    c = lab.background(d.ns, L.VIADUCT, "--run-dir", d.run_dir, "capture", "br0", "-w", "-", "filter",
                       "ether proto 0x88b5", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    t = subprocess.Popen(["tshark", "-n", "-l", "-i", "-", "-c", "2", "-T", "fields", "-e", "frame.comment"],
                         stdin=c.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    c.stdout.close()
    try:
        L.wait_for(lambda: "capture for pid=" in d.log_text(), "it runs")
        send(a, b)
        assert t.stdout.readline() == "in: forwarded to p2\n"
        send(b, a)
        assert t.stdout.readline() == "in: forwarded to p1\n"
        t.wait(L.DEADLINE)
        send(a, b)
        assert c.wait(L.DEADLINE) == 0
    finally:
        t.kill()
        t.wait()


def test_disk_full(net):
    """The file ends with a whole frame, the command says so, the bridge goes on."""
    lab, d, a, b = net

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50000, resource.RLIM_INFINITY))

    c = Capture(lab, d, preexec_fn=limit)
    f = L.frame(b.mac, a.mac, b"z" * 1000)
    for _ in range(100):
        a.raw.send(f)
    said = c.end(code=1, sig=None)
    n = len(c.read())
    assert f"File too large; the capture ends after {n} frames" in said and 20 < n < 50, (said, n)
    send(a, b)
    full = Capture(lab, d, file="/dev/full")
    send(a, b)
    assert "/dev/full: No space left on device; the capture ends after 0 frames" in full.end(code=1, sig=None)


def test_small_disk(net):
    """ENOSPC of a real file system."""
    lab, d, a, b = net
    script = (f"mount -t tmpfs -o size=64k none {lab.dir}/disk && {L.VIADUCT} --run-dir {d.run_dir} capture br0 "
              f"-w {lab.dir}/disk/x.pcapng; r=$?; cp {lab.dir}/disk/x.pcapng {lab.dir}/x.pcapng; exit $r")
    (lab.dir / "disk").mkdir()
    p = lab.background(d.ns, "unshare", "-m", "sh", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    L.wait_for(lambda: "capture for pid=" in d.log_text(), "it runs")
    f = L.frame(b.mac, a.mac, b"z" * 1000)
    for _ in range(200):
        a.raw.send(f)
    _, err = p.communicate(timeout=L.DEADLINE)
    assert p.returncode == 1 and "No space left on device" in err, err
    n = len(read(lab.dir / "x.pcapng"))
    assert f"after {n} frames" in err and 40 < n < 64, (err, n)


def test_reader_stops(net):
    """A command that does not read costs frames of the capture, and no others."""
    lab, d, a, b = net
    c = Capture(lab, d, "port", a.port)
    c.p.send_signal(signal.SIGSTOP)
    f = L.frame(b.mac, a.mac, b"s" * 1400)
    got = 0
    for _ in range(100):
        for _ in range(50):
            a.raw.send(f)
        got += b.raw.count(f, settle=0.02)
    got += b.raw.count(f, settle=0.3)
    assert got == 5000
    c.p.send_signal(signal.SIGCONT)
    said = c.end()
    n, lost = map(int, re.search(r"(\d+) frames, (\d+) lost", said).groups())
    assert n == len(c.read()) and lost > 500 and n + lost == d.stats("p1")["stats64"]["rx"]["packets"] - 1, said
    assert f"Number of packets = {n}" in interfaces(c.file)["p1"]
    stats = L.sh("tshark", "-n", "-r", c.file, "-q", "-z", "io,stat,0")
    assert stats


# ---- who, and how many ----

def test_sentences(net):
    lab, d, a, b = net
    assert "br9: no such bridge" in d.fails("capture", "br9")
    assert "port p9: not a port of br0" in d.fails("capture", "br0", "port", "p9")
    assert 'filter: column 5: syntax error' in d.fails("capture", "br0", "filter", "tcp prt 5")
    assert "snaplen" in d.fails("capture", "br0", "snaplen", "0")
    assert "No such file or directory" in d.fails("capture", "br0", "-w", "/nonexistent/x")
    assert "point: \"up\" is none of" in d.fails("capture", "br0", "point", "up", code=2)
    assert d.cli("status").returncode == 0


def test_number_is_limited(net):
    lab, d, a, b = net
    cs = [Capture(lab, d, file=f"{n}.pcapng") for n in range(8)]
    assert "bridge br0: 8 captures are running already" in d.fails("capture", "br0")
    send(a, b)
    cs.pop().end()
    assert d.cli("capture", "br0", "for", "1").returncode == 0
    for c in cs:
        c.end()
        assert "in: forwarded to p2" in c.comments()


def test_who_may(lab):
    """Root and the daemon's group, as for netmap programs."""
    d = lab.daemon("--group", "daemon")
    d.bridge()
    lab.dir.chmod(0o755)

    def run(*ids):
        return subprocess.run(d.ns.argv("setpriv", *ids, L.VIADUCT, "--run-dir", d.run_dir, "capture", "br0", "for", 1),
                              capture_output=True, text=True)

    r = run("--reuid", "nobody", "--regid", "daemon", "--clear-groups")
    if "failed to execute" in r.stderr:
        pytest.skip("the build directory is closed to others")
    assert r.returncode == 0, r.stderr
    d.cli("intercept", "br0", "access", "root")
    r = run("--reuid", "nobody", "--regid", "daemon", "--clear-groups")
    assert r.returncode == 1 and "capturing is for root and those who may open it" in r.stderr
    r = run("--reuid", "nobody", "--regid", "nogroup", "--clear-groups")
    assert r.returncode == 1 and "permission denied" in r.stderr


def test_bridge_goes(net):
    lab, d, a, b = net
    c = Capture(lab, d)
    other = Capture(lab, d, file="o.pcapng")
    send(a, b)
    d.cli("delbr", "br0")
    assert "bridge br0: was removed; the capture ends after 1 frame" in c.end(code=1, sig=None)
    assert c.comments() == ["in: forwarded to p2"]
    other.end(code=1, sig=None)


def test_daemon_goes(net):
    lab, d, a, b = net
    c = Capture(lab, d)
    send(a, b)
    d.kill()
    d.may_fail = True
    assert "the daemon has ended" in c.end(code=3, sig=None)
    assert c.comments() == ["in: forwarded to p2"]


def test_killed_client_leaves_nothing(net):
    lab, d, a, b = net
    for _ in range(3):
        c = Capture(lab, d)
        c.p.kill()
        c.p.wait()
    L.wait_for(lambda: d.log_text().count("capture of pid=") == 3, "their captures end")
    send(a, b)


# ---- programs ----

@pytest.mark.parametrize("how", [[], ["copy"]], ids=["swap", "copy"])
def test_before_and_after(net, how):
    """What goes to a program, and what comes back: each once."""
    lab, d, a, b = net
    p = Program(lab, d, *how)
    c = Capture(lab, d, "point", "in", "point", "before", "point", "after", "point", "out", "filter",
                "ether proto 0x88b5")
    send(a, b)
    L.wait_for(lambda: c.read()[-1:] and len(c.read()) == 4, "four records")
    c.end()
    assert [(r["interface_name"], r["comment"]) for r in c.read()] == [
        ("p1", "in: to a program, ring 0"), ("p1", "before: to a program, ring 0"),
        ("p1", "after: forwarded to p2"), ("p2", "out: from p1 by way of a program")]


def test_copies_for_a_reader(net):
    """A program that only reads gets copies; the frame goes on."""
    lab, d, a, b = net
    Program(lab, d, "read")
    c = Capture(lab, d, "point", "in", "point", "before", "filter", "ether proto 0x88b5")
    send(a, b)
    c.end()
    assert c.comments() == ["in: forwarded to p2; a copy to a program, ring 0", "before: a copy to a program, ring 0"]


def test_ring_full(net):
    """What finds no room in a program's ring was not shown to it."""
    lab, d, a, b = net
    p = Program(lab, d)
    d.cli("intercept", "br0", "stall-ms", 60000)
    c = Capture(lab, d, "point", "in", "point", "before", "point", "drop", "filter", "ether proto 0x88b5")
    p.kill(signal.SIGSTOP)
    f = L.frame(b.mac, a.mac)
    for _ in range(3000):
        a.raw.send(f)
    L.wait_for(lambda: d.drop("ring-full") > 100, "the ring is full")
    L.wait_for(lambda: d.stats("p1")["stats64"]["rx"]["packets"] >= 3001, "all were received")
    c.end()
    said = c.comments()
    full = sum(s.startswith("drop: ring-full") for s in said)
    assert full == d.drop("ring-full") == sum(s.startswith("in: dropped: ring-full") for s in said)
    assert said.count("before: to a program, ring 0") == said.count("in: to a program, ring 0") == 3000 - full
    p.kill(signal.SIGCONT)


def test_gso_and_a_program(lab, daemon):
    """A GSO frame goes to a program whole, for the capture, and comes back whole."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b, driver="packet")
    a.ping(b.addr)
    Program(lab, daemon)
    c = Capture(lab, daemon, "point", "before", "point", "after", "snaplen", "100", "filter", "tcp and greater 4000")
    L.tcp_transfer(a.ns, b.ns, b.addr, size=4 << 20)
    c.end()
    said = c.comments(port="p1")
    before = sum(s.startswith("before: to a program, ring 0; GSO: TCPv4") for s in said)
    after = sum(s.startswith("after: forwarded to p2; GSO: TCPv4") for s in said)
    assert before > 5 and after > 0.5 * before, (before, after)


def test_adopted(lab, daemon):
    """A bridge of the kernel: what is taken out, while a program is there."""
    from test_adopt import kernel_bridge
    a, b = lab.add_hosts(2)
    kernel_bridge(lab, a, b)
    daemon.cli("adopt", "br0")
    c = Capture(lab, daemon, "point", "in", "point", "out", "filter", "icmp")
    a.ping(b.addr)
    c.end()
    assert c.read() == [] and "while a netmap program has it open" in c.err
    p = Program(lab, daemon)
    c = Capture(lab, daemon, "point", "in", "point", "after", "filter", "icmp", file="y.pcapng")
    a.ping(b.addr, 3)
    c.end()
    rows = c.read()
    assert [r["comment"] for r in rows if r["src"] == a.mac and r["interface_name"] == "p1"] == [
        "in: to a program, ring 0", "after: on to the kernel"] * 3
