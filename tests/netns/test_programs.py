# SPDX-License-Identifier: BSD-2-Clause
"""Netmap programs through libnetmap: unchanged ones under `viaduct exec`, and the examples."""

import os
import re
import signal
import subprocess

import pytest

import lab as L

SANITIZED = "libasan" in subprocess.run(["ldd", L.BUILD / "libnetmap.so.0"], capture_output=True, text=True).stdout


@pytest.fixture
def net(lab, daemon):
    """Two hosts on br0 by the packet driver."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b, driver="packet")
    return lab, daemon, a, b


def start(lab, daemon, *argv):
    env = dict(os.environ, VIADUCT_RUN_DIR=str(daemon.run_dir))
    return lab.background(daemon.ns, *argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's runtime must be loaded first")
@pytest.mark.parametrize("how", [[], ["epoll"]], ids=["poll", "epoll"])
def test_exec_old_program(net, how):
    """It reads copies, cuts nobody off, and its interface ioctls change nothing."""
    lab, d, a, b = net
    p = start(lab, d, L.BUILD / "viaduct", "exec", L.BUILD / "tests/netns/nmold", "netmap:br0", "br0", "20", *how)
    assert p.stdout.readline() == "flags ok\n"
    assert p.stdout.readline() == "ready\n"
    assert " 0% packet loss" in a.ping(b.addr, 20, "-i", "0.02")
    out, _ = p.communicate(timeout=L.DEADLINE)
    assert int(out) >= 20


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's runtime must be loaded first")
def test_exec_old_program_on_a_mirror(net):
    """There is no such device, but to such programs there is: up, without offloads, never promiscuous."""
    lab, d, a, b = net
    d.cli("mirror", "add", "br0", "m", "to", "netmap:ids", "rx", f"{a.port},{b.port}", "filter", "icmp")
    p = start(lab, d, L.BUILD / "viaduct", "exec", L.BUILD / "tests/netns/nmold", "netmap:ids", "ids", "20")
    assert p.stdout.readline() == "flags ok\n"
    assert p.stdout.readline() == "ready\n"
    assert " 0% packet loss" in a.ping(b.addr, 20, "-i", "0.02")
    out, _ = p.communicate(timeout=L.DEADLINE)
    assert int(out) >= 20
    p = start(lab, d, L.BUILD / "viaduct", "exec", L.BUILD / "tests/netns/nmold", "netmap:ids", "nosuch", "1")
    assert p.stdout.readline() == "ready\n", "a device that nobody has is still nobody's"
    p.kill()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's runtime must be loaded first")
@pytest.mark.parametrize("port,text", [("netmap:nosuch", "No such device or address"),
                                       ("netmap:br0-99", "Invalid argument")])
def test_exec_errors(net, port, text):
    lab, d, _, _ = net
    p = start(lab, d, L.BUILD / "viaduct", "exec", L.BUILD / "tests/netns/nmold", port, "lo", "1")
    out, _ = p.communicate(timeout=L.DEADLINE)
    assert text in out and p.returncode == 1


def test_pass_drops_what_matches(net):
    """`pass -f` drops it, passes the rest, and ends in order."""
    lab, d, a, b = net
    p = start(lab, d, L.BUILD / "examples/pass", "-f", "icmp and greater 1000", "br0")
    L.wait_for(lambda: len([r for r in d.json("rings") if r.get("state") == "live"]) == 4, "it reads")
    assert " 0% packet loss" in a.ping(b.addr, 5)
    assert "100% packet loss" in a.ping(b.addr, 3, "-s", "1200", "-w", "1", check=False)
    p.send_signal(signal.SIGINT)
    out, _ = p.communicate(timeout=L.DEADLINE)
    assert p.returncode == 0
    assert int(re.search(r"dropped (\d+)$", out)[1]) >= 3
    assert " 0% packet loss" in a.ping(b.addr, 3, "-s", "1200")


def test_gen_sends_all(net):
    """What `gen` sends as the host goes out of each port, each frame once."""
    lab, d, a, b = net
    before = d.stats(a.port)["stats64"]["tx"]["packets"]
    p = start(lab, d, L.BUILD / "examples/gen", "-f", "tx", "-i", "netmap:br0", "-n", "2000", "-R", "20000")
    out, _ = p.communicate(timeout=L.DEADLINE)
    assert p.returncode == 0 and "2000 frames" in out, out
    sent = d.stats(a.port)["stats64"]["tx"]["packets"] - before
    assert 2000 <= sent < 2050
