# SPDX-License-Identifier: BSD-2-Clause
"""The probes of docs/probes.md are in the binary, with as many arguments, and no others.

    probes.py READELF VIADUCTD SOURCE_ROOT

Also: scripts in tools/bpftrace use only probes and arguments that there are. 77: built without.
"""

import re
import subprocess
import sys
from pathlib import Path

NOTE = re.compile(r"Provider: (\S+)\s+Name: (\S+)\s+Location: .*\s+Arguments: ?(.*)")


def in_binary(readelf, binary):
    """{name: {numbers of arguments}} of the provider viaduct."""
    out = subprocess.run([readelf, "-n", binary], check=True, capture_output=True, text=True).stdout
    found = {}
    for provider, name, args in NOTE.findall(out):
        if provider == "viaduct":
            found.setdefault(name, set()).add(len(args.split()))
    return found


def documented(page):
    """{name: number of arguments} of the table. Commas in parentheses do not count, "and" does."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", page.read_text(), re.M)
    return {name: len(re.split(r",| and ", re.sub(r"\([^)]*\)", "", args))) for name, args in rows}


def check_scripts(folder, probes):
    errors, used = [], set()
    for f in sorted(folder.glob("*.bt")):
        text = re.sub(r"//.*", "", f.read_text())
        for name, block in re.findall(r"usdt:\*:viaduct:(\w+)(.*?\n?\{.*?\n?\})(?=\s*(?:\n\n|\Z))", text, re.S):
            used.add(name)
            if name not in probes:
                errors.append(f"{f.name}: no probe {name}")
                continue
            for n in map(int, re.findall(r"\barg(\d)\b", block)):
                if n >= probes[name]:
                    errors.append(f"{f.name}: {name} has no arg{n}")
        if len(re.findall("usdt:", text)) != len(re.findall(r"usdt:\*:viaduct:\w+", text)):
            errors.append(f"{f.name}: a probe that is not usdt:*:viaduct:NAME")
    if not used:
        errors.append(f"{folder}: no script uses a probe")
    return errors


def main(readelf, binary, root):
    found, probes = in_binary(readelf, binary), documented(Path(root) / "docs/probes.md")
    if not found:
        print("built without probes")
        return 77
    errors = [f"{name}: not in docs/probes.md" for name in sorted(found.keys() - probes.keys())]
    for name, n in sorted(probes.items()):
        if name not in found:
            errors.append(f"{name}: in docs/probes.md, not in the binary")
        elif found[name] != {n}:
            errors.append(f"{name}: {n} arguments in docs/probes.md, {found[name]} in the binary")
    errors += [f"{name}: bpftrace on x86 reads 6 arguments" for name, n in probes.items() if n > 6]
    errors += check_scripts(Path(root) / "tools/bpftrace", probes)
    for e in errors:
        print(e)
    print(f"{len(probes)} probes documented, {len(found)} in the binary, {len(errors)} errors")
    return 1 if errors or len(probes) < 10 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
