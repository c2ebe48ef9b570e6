# SPDX-License-Identifier: BSD-2-Clause
"""Who may include whom: compares each #include of ours with the table.

    layers.py SOURCE_ROOT
"""

import re
import sys
from pathlib import Path

# layer: layers, directories of include/ and single headers that it may include, besides itself
TABLE = {
    "base": [],
    "core": ["base"],
    "mem": ["base", "include/net"],
    "sys": ["base"],
    "wire": ["base"],
    "port": ["base", "mem", "sys", "bpf/redirect.h", "bpf/trunk.h", "core/frame.h", "core/batch.h", "core/drop.h",
             "core/offload.h"],
    "daemon": ["base", "core", "mem", "sys", "wire", "port"],
    "ktrace": ["base", "sys", "wire", "bpf/ktrace.h"],
    "lib": ["base", "mem", "wire", "include"],
    "cli": ["base", "wire", "lib", "include"],
    "bpf": [],
}
# What a unit test may include beyond its layer: it may build what its module is handed at run time.
TEST_TABLE = {"port": ["core/bridge.h"]}

# A driver is a file of port/ that no other driver may know. All other files there are shared.
DRIVERS = ["mem", "pcap", "packet", "tap", "xdp", "ring", "trunk"]

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def allowed(target, layer, rules, public):
    """May layer include target? public: target is a header of include/."""
    if public:
        return "include" in rules or ("include/net" in rules and target.startswith("net/"))
    top = target.split("/")[0]
    return top == layer or top in rules or target in rules


def driver_of(path_in_port):
    """The driver that a file of port/ belongs to, or None: xdp_ring.c is the xdp driver's."""
    stem = Path(path_in_port).stem.removesuffix("_test").split("_")[0].split(".")[0]
    return stem if stem in DRIVERS else None


def check(root):
    src, include = root / "src", root / "include"
    errors = []
    n = 0
    for f in sorted(p for p in src.rglob("*") if p.suffix in (".c", ".h")):
        rel = f.relative_to(src)
        layer = rel.parts[0]
        if layer not in TABLE:
            errors.append(f"src/{rel}: {layer} is not in the table of layers")
            continue
        rules = TABLE[layer] + (TEST_TABLE.get(layer, []) if f.stem.endswith("_test") else [])
        for m in INCLUDE.finditer(f.read_text()):
            quote, target = m.groups()
            line = f.read_text()[:m.start()].count("\n") + 1
            where = f"src/{rel}:{line}"
            public = (include / target).exists()
            ours = (src / target).exists() or public
            if quote == "<":
                if (src / target).exists():
                    errors.append(f'{where}: <{target}> is ours: write "{target}"')
                continue
            n += 1
            if target.endswith(".skel.h"):  # generated from bpf/, for loaders
                if layer not in ("sys", "port", "ktrace"):
                    errors.append(f"{where}: only sys, port and ktrace load BPF objects")
                continue
            if not ours:
                hint = " (write it from src/)" if (f.parent / target).exists() else ""
                errors.append(f'{where}: "{target}" is not a header of ours{hint}')
                continue
            if not allowed(target, layer, rules, public):
                errors.append(f"{where}: {layer} may not include {target}")
            if layer == "port" and target.startswith("port/"):
                mine, theirs = driver_of(rel.parts[-1]), driver_of(target.split("/")[1])
                if theirs and mine and mine != theirs and not f.stem.endswith("_test"):
                    errors.append(f"{where}: driver {mine} includes driver {theirs}")
    if n == 0:
        errors.append("no include found at all: is this the source root?")
    return n, errors


if __name__ == "__main__":
    count, found = check(Path(sys.argv[1]))
    print(f"{count} includes checked")
    for e in found:
        print(e)
    sys.exit(1 if found else 0)
