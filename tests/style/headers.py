# SPDX-License-Identifier: BSD-2-Clause
"""Files are what they should be.

    headers.py SOURCE_ROOT CC

Each header compiles alone and has #pragma once; each source begins with its licence; each module of
the layers that need no privileges has its unit test beside it.
"""

import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

SPDX = re.compile(r"^(/\*|//|#|<!--|\.\\\"|;) ?SPDX-License-Identifier: (\S.*?)( \*/| -->)?$")
BSD = "BSD-2-Clause"
DUAL = "(GPL-2.0-only OR BSD-2-Clause)"
TESTED_LAYERS = ["core", "mem", "wire"]


def sources(root):
    for top in ("src", "include", "tests", "bench", "tools", "examples"):
        for f in sorted((root / top).rglob("*")):
            if f.suffix in (".c", ".h", ".py", ".sh") or f.name == "meson.build":
                yield f


def check_licence(root, f):
    lines = f.read_text().splitlines() or [""]
    first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
    m = SPDX.match(first)
    rel = f.relative_to(root)
    if not m:
        return [f"{rel}:1: no SPDX-License-Identifier in the first line"]
    want = {BSD, DUAL} if f.name.endswith(".bpf.c") or rel.parts[:2] == ("src", "bpf") else {BSD}
    if f.name.endswith(".bpf.c"):
        want = {DUAL}
    return [] if m.group(2) in want else [f"{rel}:1: licence {m.group(2)}, not {' or '.join(want)}"]


def check_header(root, cc, f):
    rel = f.relative_to(root)
    text = f.read_text()
    errors = []
    if not re.search(r"^#pragma once$", text, re.M) and rel.parts[0] != "include":
        errors.append(f"{rel}:1: no #pragma once")
    if rel.parts[0] == "include" and not re.search(r"^#(pragma once|ifndef \w+)$", text, re.M):
        errors.append(f"{rel}:1: neither #pragma once nor an include guard")
    p = subprocess.run([*cc, "-x", "c", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                        "-Wno-unused-parameter", "-Wno-unused-function", "-Wno-unused-const-variable",
                        "-Wno-missing-field-initializers", "-fsyntax-only", "-I", root / "src", "-I", root / "include",
                        "-include", f, os.devnull], capture_output=True, text=True)
    if p.returncode:
        first = [l for l in p.stderr.splitlines() if "error:" in l][:2]
        errors.append("\n  ".join([f"{rel}: does not compile alone", *first]))
    return errors


def check_tests(root):
    """x.c has x_test.c; a file of a larger module (no x.h, includes y_internal.h) has y_test.c."""
    errors = []
    for layer in TESTED_LAYERS:
        for f in sorted((root / "src" / layer).glob("*.c")):
            if f.stem.endswith("_test") or f.with_name(f.stem + "_test.c").exists():
                continue
            owners = re.findall(rf'#include "{layer}/(\w+)_internal\.h"', f.read_text())
            if not f.with_suffix(".h").exists() and any(
                    f.with_name(o + "_test.c").exists() for o in owners):
                continue
            errors.append(f"src/{layer}/{f.name}: no {f.stem}_test.c beside it")
    return errors


def main(root, cc):
    errors = check_tests(root)
    files = list(sources(root))
    for f in files:
        errors += check_licence(root, f)
    headers = [f for f in files if f.suffix == ".h" and f.relative_to(root).parts[0] in ("src", "include")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for e in pool.map(lambda h: check_header(root, cc, h), headers):
            errors += e
    for e in errors:
        print(e)
    print(f"{len(files)} files and {len(headers)} headers checked")
    return 1 if errors or not headers else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
