# SPDX-License-Identifier: BSD-2-Clause
"""Clients of the control socket that are too many, or do not read."""

import json
import re
import resource
import socket
import threading
import time
from pathlib import Path

import lab as L


class Client:
    """A connection to the control socket."""

    def __init__(self, d, greeted=True):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(L.DEADLINE)
        self.s.connect(str(d.run_dir / "control.sock"))
        self.lines = self.s.makefile("rb")
        if greeted:
            assert "viaduct" in self.next()

    def next(self):
        line = self.lines.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def ask(self, cmd, wait=True, **args):
        self.s.sendall(json.dumps({"id": 1, "cmd": cmd, "args": args}).encode() + b"\n")
        return self.next() if wait else None

    def close(self):
        self.lines.close()
        self.s.close()


def flood(host, n, base=0x0a):
    """n frames, each from another address."""
    for i in range(n):
        host.raw.send(L.frame("ff:ff:ff:ff:ff:ff", f"02:00:{base:02x}:{i >> 16:02x}:{i >> 8 & 255:02x}:{i & 255:02x}"))


def rss(d):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{d.proc_pid}/status").read_text())[1]) * 1024


def test_a_thousand_watchers(lab, daemon):
    """They do not read. The daemon refuses with a sentence what is too much, answers others, forwards,
    and its memory stays within what 192 monitors may have waiting."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    daemon.proc_pid = daemon.pid
    flood(a, 100)
    before = rss(daemon)
    watchers, refused, full = [], [], 0
    for _ in range(1000):
        c = Client(daemon, greeted=False)
        first = c.next()
        if "error" in first:
            full += 1
            assert first["error"]["name"] == "E_BUSY" and "clients" in first["error"]["text"]
            assert c.next() is None  # closed
            c.close()
            continue
        c.ask("monitor", wait=False, groups=["all"])
        watchers.append(c)
    # Of those that are in, so many monitor; the others were told that they do not, and may ask on.
    daemon_clients = len(watchers)
    assert daemon_clients == 256 and full == 1000 - 256
    for c in watchers[192:]:
        m = c.next()
        assert m["error"]["name"] == "E_BUSY" and "monitors" in m["error"]["text"]
    p = daemon.cli("status", check=False)
    assert p.returncode == 1 and "as many clients as it takes" in p.stderr and "hint" in p.stderr
    for c in watchers[192:]:
        assert "result" in c.ask("status")
        c.close()
    L.wait_for(lambda: daemon.status()["clients"] == 193, "there is room again")
    flood(a, 20000, base=0x0b)
    flood(b, 20000, base=0x0b)
    L.wait_for(lambda: daemon.stats(b.port)["stats64"]["tx"]["packets"] >= 2000, "frames still pass")
    grown = rss(daemon) - before
    # A sanitized daemon keeps what it has freed.
    assert L.VIADUCTD_ARGS or grown < 192 * (512 << 10) + (64 << 20), f"{grown >> 20} MiB"
    print(f"192 monitors that do not read: {grown >> 20} MiB more")
    # One of them wakes up, and learns that it has missed something.
    kinds = []
    while "lost" not in kinds:
        kinds.append(watchers[0].next()["event"]["kind"])
    for c in watchers[:192]:
        c.close()
    L.wait_for(lambda: daemon.status()["clients"] == 1, "they are gone")
    assert "was refused" in daemon.log_text() and daemon.log_text().count("was refused") < 50


def test_requests_without_reading(lab, daemon):
    """Answers that nobody reads stop the requests; nothing is lost once somebody does."""
    daemon.bridge(*lab.add_hosts(2))
    c = Client(daemon)
    line = json.dumps({"id": 5, "cmd": "debug.objects"}).encode() + b"\n"
    c.s.setblocking(False)
    sent = 0
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            n = c.s.send(line * 100)
            sent += n
            if n < len(line) * 100:
                end = min(end, time.monotonic() + 0.3)
        except BlockingIOError:
            time.sleep(0.02)
            end = min(end, time.monotonic() + 0.3)
    assert daemon.status()["clients"] == 2
    c.s.settimeout(L.DEADLINE)
    whole = sent // len(line)
    rest = line[sent % len(line):] if sent % len(line) else b""
    threading.Thread(target=lambda: c.s.sendall(rest), daemon=True).start()
    ends = 0
    while ends < whole + bool(rest):
        ends += "end" in c.next()
    assert whole > 100
    c.close()
