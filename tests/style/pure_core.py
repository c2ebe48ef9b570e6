# SPDX-License-Identifier: BSD-2-Clause
"""The engine does no I/O: undefined symbols of the core and base archives must be on a short list.

    pure_core.py NM libbase.a libcore.a

A clock, a thread, open() or socket() in core fails here, whoever calls it.
"""

import re
import subprocess
import sys

MEMORY = """memcpy memmove memset memcmp memchr strlen strnlen strcmp strncmp strchr strrchr strstr
    malloc calloc realloc free aligned_alloc posix_memalign qsort bsearch
    abort __assert_fail __assert __stack_chk_fail snprintf vsnprintf __errno_location"""

ALLOWED = {
    "libcore.a": set(MEMORY.split()),
    # base has the log front end and the parsers of numbers
    "libbase.a": set((MEMORY + """ fprintf fputs fputc stderr getenv strerror strtoul strtoull
        strcasecmp pthread_mutex_lock pthread_mutex_unlock""").split()),
}

# What compilers, sanitizers and coverage add by themselves.
TOOLCHAIN = re.compile(r"^(__asan_|__ubsan_|__lsan_|__tsan_|__sanitizer_|__gcov_|__gcc_|__llvm_"
                       r"|_GLOBAL_OFFSET_TABLE_$|__popcount|__tls_get_addr$|__afl_)")
FORTIFIED = re.compile(r"^__(\w+)_chk$")


def symbols(nm, archive):
    """(defined, {undefined: object that needs it}) of an archive."""
    out = subprocess.run([nm, "-A", "-P", archive], check=True, capture_output=True, text=True).stdout
    defined, undefined = set(), {}
    for line in out.splitlines():
        where, rest = line.rsplit("]: ", 1) if "]: " in line else line.split(": ", 1)
        name, kind = rest.split()[:2]
        if kind in "Uvw":
            undefined.setdefault(name, where.split("[")[-1].split("/")[-1])
        else:
            defined.add(name)
    return defined, undefined


def main(nm, archives):
    tables = {a.rsplit("/", 1)[-1]: symbols(nm, a) for a in archives}
    ours = set().union(*(d for d, _ in tables.values()))
    bad = n = 0
    for archive, (_, undefined) in tables.items():
        for name, where in sorted(undefined.items()):
            n += 1
            plain = FORTIFIED.sub(r"\1", name)
            if name in ours or plain in ALLOWED[archive] or TOOLCHAIN.match(name):
                continue
            print(f"{archive}: {where} calls {name}, which is not on the list of what "
                  f"{archive[3:-2]} may use")
            bad += 1
    print(f"{n} undefined symbols checked in {', '.join(tables)}")
    return 1 if bad or not n else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
