# SPDX-License-Identifier: BSD-2-Clause
"""Descriptors that are waited for by epoll, duplicated, inherited, kept over exec, sent to others."""

import os
import signal
import subprocess

import pytest

import lab as L
from puppet import pool, rings, settled, side
from test_netmap import lost


@pytest.mark.parametrize("how", ["poll", "epoll", "edge", "dup", "fork", "exec", "scm", "child", "orphan", "both"])
def test_travels(lab, daemon, how):
    """The last holder passes frames, and with its end the bridge works alone."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b, driver="packet")
    daemon.cli("intercept", "br0", "stall-ms", "60000")
    assert lost(a.ping(b.addr)) == 0
    before = pool(daemon)
    p = lab.background(daemon.ns, L.BUILD / "tests/netns/nmfds", "br0", how, stdout=subprocess.PIPE,
                       env=dict(os.environ, VIADUCT_RUN_DIR=str(daemon.run_dir)))
    pid = int(p.stdout.readline())
    if how in ("fork", "scm", "orphan"):
        assert p.wait(L.DEADLINE) == 0 and pid != p.pid  # the opener is gone
    L.wait_for(lambda: all(r["state"] == "live" for r in rings(daemon) if r["dir"] == "rx"), "it reads")
    early = side(daemon)["uninspected"]  # between the first open and the first sync hosts may say something
    assert lost(a.ping(b.addr, 50, "-i", "0.01")) == 0
    L.tcp_transfer(a.ns, b.ns, b.addr, size=2 << 20)
    rows = rings(daemon)
    assert len({r["domain"] for r in rows}) == 1 and not any(r["bad"] or r["stalls"] for r in rows), rows
    row = side(daemon)
    assert row["taken"] > 100 and row["origins"]["buffer"] > 100 and row["uninspected"] == early, row
    os.kill(pid, signal.SIGKILL)
    settled(daemon, before)
    assert lost(a.ping(b.addr)) == 0
