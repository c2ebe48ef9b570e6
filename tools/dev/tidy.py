# SPDX-License-Identifier: BSD-2-Clause
"""clang-tidy over many files, in parallel: tidy.py -j JOBS -p BUILD FILE..."""

import argparse
import concurrent.futures
import json
import re
import subprocess
import sys
from pathlib import Path

p = argparse.ArgumentParser()
p.add_argument("-j", type=int, default=1)
p.add_argument("-p", default="build")
p.add_argument("files", nargs="+")
a = p.parse_args()

known = {(Path(c["directory"]) / c["file"]).resolve()
         for c in json.loads((Path(a.p) / "compile_commands.json").read_text())}
files = [f for f in a.files if Path(f).resolve() in known]


HEAD = re.compile(r"^(\S+?):\d+:\d+: (warning|error): ")


def tidy(f):
    """Findings in one file, without those in generated headers."""
    r = subprocess.run(["clang-tidy", "-quiet", "-p", a.p, "--extra-arg=-Wno-unknown-warning-option", f],
                       capture_output=True, text=True)
    findings = []
    for line in r.stdout.splitlines():
        m = HEAD.match(line)
        if m:
            findings.append((m.group(1), []))
        if findings:
            findings[-1][1].append(line)
    return ["\n".join(lines) for where, lines in findings if not where.endswith(".skel.h")]


with concurrent.futures.ThreadPoolExecutor(a.j) as pool:
    found = sorted({x for xs in pool.map(tidy, files) for x in xs})
print(*found, sep="\n")
print(f"clang-tidy: {len(files)} files, {len(found)} findings")
sys.exit(1 if found or not files else 0)
