# SPDX-License-Identifier: BSD-2-Clause
"""Debian's lldpd on hosts and on the bridge itself: its frames are for the link, whatever the spanning tree does.

Skipped unless it is installed (./dev packages peers).
"""

import json
import os
import shutil
import subprocess
import tempfile

import pytest

import lab as L
from puppet import Puppet

pytestmark = pytest.mark.skipif(not shutil.which("lldpd"), reason="lldpd is not installed")

SLOW = max(L.DEADLINE, 40)
LLDP = 1 << 0xe  # its bit in group_fwd_mask


class Lldpd:
    """One on a device; its neighbours know it by a name of its own."""

    def __init__(self, lab, folder, ns, dev, name):
        self.ns, self.sock = ns, f"{folder}/{name}.sock"
        self.proc = lab.background(ns, "lldpd", "-d", "-u", self.sock, "-I", dev,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        L.wait_for(lambda: self.cli("show", "configuration", check=False), f"lldpd of {name} answers")
        self.cli("configure", "lldp", "tx-interval", 1)
        self.cli("configure", "lldp", "tx-hold", 3)
        self.name(name)

    def cli(self, *args, check=True):
        return self.ns.run("lldpcli", "-u", self.sock, *args, check=check)

    def name(self, name):
        self.cli("configure", "system", "hostname", name)

    def sees(self):
        found = json.loads(self.cli("-f", "json", "show", "neighbors"))["lldp"].get("interface", [])
        return {name for i in ([found] if isinstance(found, dict) else found) for port in i.values()
                for name in port["chassis"]}


@pytest.fixture
def lldpd(lab):
    """Starts one: lldpd(namespace, device, name)."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # its unprivileged half looks at the socket
        yield lambda *args: Lldpd(lab, folder, *args)


def see(why, *pairs):
    for who, what in pairs:
        L.wait_for(lambda: who.sees() == what, f"{why}: {what}, not {who.sees()}", timeout=SLOW)


@pytest.mark.parametrize("stp", ["off", "on"])
def test_neighbours(lab, daemon, lldpd, stp):
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    daemon.cli("stp", "br0", stp)
    L.wait_for(lambda: all(daemon.port(h.port)["state"] == "forwarding" for h in (a, b)), "ports forward", timeout=SLOW)
    host, on_a, on_b = lldpd(daemon.ns, "br0", "host"), lldpd(a.ns, "eth0", "a"), lldpd(b.ns, "eth0", "b")
    see("for the link only", (host, {"a", "b"}), (on_a, {"host"}), (on_b, {"host"}))
    daemon.cli("link", "set", "br0", "type", "bridge", "group_fwd_mask", LLDP)
    see("let through", (on_a, {"host", "b"}), (on_b, {"host", "a"}), (host, {"a", "b"}))
    daemon.cli("link", "set", "br0", "type", "bridge", "group_fwd_mask", 0)
    see("no longer", (on_a, {"host"}), (on_b, {"host"}))
    # One port's own mask: what comes in there.
    daemon.cli("link", "set", a.port, "group_fwd_mask", LLDP)
    see("from a only", (on_b, {"host", "a"}), (on_a, {"host"}), (host, {"a", "b"}))
    daemon.cli("link", "set", a.port, "group_fwd_mask", 0)
    assert daemon.drop("bpdu-malformed") == 0
    # Not bridged, but heard: also through a port that does not forward.
    daemon.cli("stp", "br0", "on")
    daemon.cli("link", "set", a.port, "edge", "off")
    daemon.ns.ip("link", "set", a.port, "down")
    daemon.ns.ip("link", "set", a.port, "up")
    L.wait_for(lambda: daemon.port(a.port)["state"] == "listening", "the port is blocked", timeout=SLOW)
    on_a.name("anew")
    L.wait_for(lambda: "anew" in host.sees(), "heard through it", timeout=SLOW)
    assert daemon.port(a.port)["state"] in ("listening", "learning"), "it is still blocked"


def test_with_a_program_inline(lab, daemon, lldpd):
    """Hidden from it by default, and delivered; with `reserved take` it has them first."""
    a, b = lab.add_hosts(2)
    daemon.bridge(a, b)
    daemon.cli("intercept", "br0", "mode", "all", "stall-ms", "60000")
    p = Puppet(lab, daemon, "both")
    with p.auto("swap"):
        host, on_a = lldpd(daemon.ns, "br0", "host"), lldpd(a.ns, "eth0", "a")
        see("past the program", (host, {"a"}), (on_a, {"host"}))
    daemon.cli("intercept", "br0", "reserved", "take", "filter", "ether proto 0x88cc and ether src " + a.mac)
    with p.auto("free"):
        on_a.name("lost")
        L.wait_for(lambda: host.sees() == set(), "the program keeps them", timeout=SLOW)
    assert p.dealt > 0
    with p.auto("swap"):
        on_a.name("anew")
        L.wait_for(lambda: host.sees() == {"anew"}, "by the program", timeout=SLOW)
    p.end()
