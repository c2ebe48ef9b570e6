# SPDX-License-Identifier: BSD-2-Clause
"""Small programs compile, link and start against our headers and library, as others' do.

    programs.py SOURCE_ROOT DIRECTORY_OF_libnetmap.so CC...

What Suricata's and libpcap's configure scripts try; each header alone, in several standards of C and
C++, without warnings; the ABI test as C++.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HEADERS = ["net/netmap.h", "net/netmap_legacy.h", "net/netmap_user.h", "net/netmap_virt.h", "libnetmap.h"]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]

SURICATA_VERSION = """
#include <sys/types.h>
#include <net/netmap.h>
#if !defined(NETMAP_API) || NETMAP_API < 14
#error too old
#endif
int main(void) { return 0; }
"""
SURICATA_HEADERS = """
#define NETMAP_WITH_LIBS
#define DEBUG_NETMAP_USER
#include <net/netmap_user.h>
#include <libnetmap.h>
int main(void) { struct nmport_d *d = nmport_open("eth0"); nmport_close(d); return d != 0; }
"""
# The classic probe of a function: no header, a prototype that is a lie.
AUTOCONF_LINK = "char nmport_open(); int main(void) { return nmport_open == 0; }"
LIBPCAP = """
#define NETMAP_WITH_LIBS
#include <net/netmap.h>
#include <net/netmap_user.h>
int main(void) { return 0; }
"""
# Members and flags that programs touch, in one C++ program.
CXX = """
#define NETMAP_WITH_LIBS
#include <libnetmap.h>
#include <cstdio>
static void silent(nmctx *, const char *) {}
int main()
{
    nmctx ctx = *nmctx_get();
    ctx.error = silent;
    nmctx_set_default(&ctx);
    nmport_d *d = nmport_prepare("netmap:br0-1/xR@conf:slots=512");
    if (!d || d->reg.nr_mode != NR_REG_ONE_NIC || d->reg.nr_tx_slots != 512)
        return 1;
    d->reg.nr_flags |= NR_NO_TX_POLL;
    nmport_undo_prepare(d);
    if (nmport_prepare("netmap:br0/q") || errno != EINVAL)
        return 2;
    return nm_open("br0", 0, 0, 0) != 0 || errno != 0;
}
"""


class Runner:
    def __init__(self, root, libdir, cc):
        self.include, self.libdir, self.cc = root / "include", libdir, cc
        self.tmp = Path(tempfile.mkdtemp(prefix="compat-"))
        self.n, self.failed = 0, []

    def build(self, what, text, compiler, flags, link=(), run=False):
        """Compiles text; with link, links; with run, runs it and wants status 0."""
        self.n += 1
        suffix = ".cc" if "c++" in flags else ".c"
        source = self.tmp / f"t{self.n}{suffix}"
        program = source.with_suffix("")
        source.write_text(text)
        stage = [*link, "-o", program] if link or run else ["-fsyntax-only"]
        p = subprocess.run([*compiler, *flags, f"-I{self.include}", source, *stage],
                           capture_output=True, text=True)
        if p.returncode == 0 and run:
            p = subprocess.run([program], capture_output=True, text=True, env=self.env())
        if p.returncode:
            self.failed.append(f"{what}: status {p.returncode}\n{(p.stdout + p.stderr)[:2000]}")

    def env(self):
        return dict(os.environ, LD_LIBRARY_PATH=str(self.libdir))


def headers(r, cxx):
    standards = [(r.cc, ["-xc", f"-std={s}", "-D_DEFAULT_SOURCE"]) for s in ("c99", "c11", "gnu11", "gnu17")]
    if cxx:  # flexible arrays are an extension there, and clang insists on saying so
        standards += [(cxx, ["-xc++", f"-std={s}"]) for s in ("c++11", "c++17", "gnu++20")]
    for compiler, flags in standards:
        quiet = ["-Wno-c99-extensions"] if "clang" in Path(compiler[-1]).name else []
        for h in HEADERS:
            for libs in ("", "#define NETMAP_WITH_LIBS\n"):
                text = f"{libs}#include <{h}>\n#include <{h}>\nint main(void) {{ return 0; }}\n"
                r.build(f"{h} {flags[1]}", text, compiler, flags + STRICT + quiet)


def main(root, libdir, cc):
    r = Runner(root, libdir, cc)
    lib = [f"-L{libdir}", "-lnetmap"]
    cxx = next(([c] for c in ("c++", "g++", "clang++") if shutil.which(c)), None)
    headers(r, cxx)
    r.build("NETMAP_API >= 14", SURICATA_VERSION, cc, ["-D_GNU_SOURCE"])
    r.build("Suricata's headers", SURICATA_HEADERS, cc, ["-D_GNU_SOURCE", "-O2"], lib)
    r.build("nmport_open in -lnetmap", AUTOCONF_LINK, cc, ["-w"], lib, run=sanitizers_off(libdir))
    r.build("libpcap's headers", LIBPCAP, cc, ["-O2", "-Wall", "-Werror"])
    if cxx:
        abi = (root / "tests/compat/abi_test.c").read_text()
        r.build("ABI as C++", abi, cxx, ["-xc++", "-DLIBNETMAP_NOTHREADSAFE"], run=True)
        r.build("C++ program", CXX, cxx, ["-xc++", "-std=c++17", "-Wall", "-Werror"],
                ["-xnone", *lib], run=sanitizers_off(libdir))
    shutil.rmtree(r.tmp)
    for f in r.failed:
        print(f)
    print(f"{r.n} programs, {len(r.failed)} failed" + ("" if cxx else "; no C++ compiler"))
    return 1 if r.failed else 0


def sanitizers_off(libdir):
    """A sanitized library only loads into sanitized programs: then link, do not run."""
    return b"__asan_init" not in (libdir / "libnetmap.so").read_bytes()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3:]))
