# SPDX-License-Identifier: BSD-2-Clause
"""netmap's interface, as programs use it, on ports of a real daemon: programs of tests/compat."""

import os
import subprocess

import pytest

import lab as L


def run(daemon, program, *args):
    env = dict(os.environ, VIADUCT_RUN_DIR=str(daemon.run_dir))
    return subprocess.run(daemon.ns.argv(L.BUILD / "tests/compat" / program, *args), env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=L.DEADLINE * 5)


@pytest.fixture
def net(lab, daemon):
    """Two hosts on br0 by the packet driver."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b, driver="packet")
    a.ping(b.addr)
    before = daemon.pool()
    yield lab, daemon, a, b
    L.wait_for(lambda: not daemon.json("rings"), "nothing is left open")
    L.wait_for(lambda: daemon.pool() == before, f"all buffers are back: {before}, now {daemon.pool()}")


def test_observed(net):
    """What the netmap module was seen to answer."""
    lab, d, a, b = net
    p = run(d, "compat_observed", "br0")
    assert p.returncode == 0 and " 0 wrong" in p.stdout, p.stdout


def test_port(net):
    """Options, requests, memory and flags, while frames come in."""
    lab, d, a, b = net
    a.raw.drain()
    pings = lab.background(b.ns, "ping", "-n", "-i", "0.05", "-w", int(L.DEADLINE * 5), a.addr, stdout=subprocess.DEVNULL)
    p = run(d, "compat_port", "br0")
    pings.terminate()
    pings.wait(L.DEADLINE)
    assert p.returncode == 0 and " 0 wrong" in p.stdout, p.stdout
    f = a.raw.expect(lambda f: f[6:12] == bytes.fromhex("020000007777"), "what it sent")
    assert f[14:20] == b"buffer"
