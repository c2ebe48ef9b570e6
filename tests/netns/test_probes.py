# SPDX-License-Identifier: BSD-2-Clause
"""USDT probes on a running daemon: the scripts of tools/bpftrace see what passes."""

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import lab as L

SCRIPTS = Path(__file__).resolve().parents[2] / "tools/bpftrace"


class Bpftrace:
    """A script on the daemon, ready when its probes are attached. Skips where that is impossible."""

    def __init__(self, lab, d, script):
        self.out = lab.dir / f"{script}.out"
        with open(self.out, "w") as f:
            self.p = subprocess.Popen(["bpftrace", "-p", str(d.pid), str(SCRIPTS / script)], stdout=f,
                                      stderr=subprocess.STDOUT)
        lab.procs.append(self.p)

    def wait(self):
        L.wait_for(lambda: self.waits() or self.p.poll() is not None, "bpftrace has attached its probes", 60)
        if self.p.poll() is not None:
            assert ".bt:" not in self.text(), self.text()
            pytest.skip(f"bpftrace cannot attach here: {self.text()[-300:]}")

    def waits(self):
        """For events: only then everything is attached."""
        return "poll" in Path(f"/proc/{self.p.pid}/wchan").read_text() and "Attaching" in self.text()

    def text(self):
        return self.out.read_text()

    def end(self):
        self.p.send_signal(signal.SIGINT)
        self.p.wait(60)
        return self.text()


@pytest.mark.skipif(not shutil.which("bpftrace"), reason="bpftrace is not installed (./dev packages probes)")
def test_scripts(lab, daemon):
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    t = {n: Bpftrace(lab, daemon, f"{n}.bt") for n in ("drops", "batches", "latency", "workers", "rings")}
    for s in t.values():
        s.wait()
    heard = b.raw
    for _ in range(3):
        a.raw.send(L.frame("02:00:00:00:00:99", "ff:ff:ff:ff:ff:fe"))
        a.raw.send(f := L.frame("02:00:00:00:00:99", a.mac))
        L.wait_for(lambda: heard.recv(0.1) == f, "the other one arrives")
    daemon.status()
    L.wait_for(lambda: re.search(rf"@drops\[{a.port}, invalid-source\]: [123]$", t["drops"].text(), re.M),
               "the drops are seen")
    text = {n: s.end() for n, s in t.items()}
    assert "@length[invalid-source]" in text["drops"]
    assert f"@received[{a.port}]" in text["batches"] and f"@sent[{b.port}]" in text["batches"]
    assert f"@to_driver[{b.port}]" in text["latency"]
    assert "@slept_us[0]" in text["workers"] and "@command_us[status]" in text["workers"]
    assert "ERROR: usdt" not in text["rings"]
