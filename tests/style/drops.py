# SPDX-License-Identifier: BSD-2-Clause
"""No drop reason without a test.

    drops.py SOURCE_ROOT

Each reason of core/drop.h must occur in a test: as DROP_NAME in a C test, as the quoted name that
users see in a Python test, or as that name on a line about drops in a simulator scenario.
"""

import re
import sys
from pathlib import Path

REASON = re.compile(r'\bX\((\w+),[\s\\]*"([\w-]+)",[\s\\]*"[^"]+"\)')


def main(root):
    reasons = REASON.findall((root / "src/core/drop.h").read_text())
    if not reasons:
        print("src/core/drop.h: no reasons found")
        return 1
    tests = list((root / "src").rglob("*_test.c"))
    tests += [f for f in (root / "tests").rglob("*")
              if f.suffix in (".c", ".h", ".py", ".sim") and "style" not in f.parts]
    texts = {".c": "", ".py": "", ".sim": ""}
    for f in tests:
        text = f.read_text()
        if f.suffix == ".sim":
            text = "\n".join(l for l in text.splitlines() if "drop" in l)
        texts[".c" if f.suffix == ".h" else f.suffix] += text + "\n"
    missing = [
        (name, shown) for name, shown in reasons
        if not re.search(rf"\bDROP_{name}\b", texts[".c"])
        and not re.search(rf"[\"']{shown}[\"']", texts[".py"])
        and not re.search(rf"(?<![\w-]){shown}(?![\w-])", texts[".sim"])
    ]
    for name, shown in missing:
        print(f"src/core/drop.h: DROP_{name} ({shown}) occurs in no test")
    print(f"{len(reasons)} drop reasons, {len(missing)} without a test")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
