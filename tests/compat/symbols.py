# SPDX-License-Identifier: BSD-2-Clause
"""libnetmap.so exports what programs link against, each with its version, and nothing else.

    symbols.py NM READELF libnetmap.so

The libc calls that the library stands in for must have no version, so that versioned references
find them, too.
"""

import subprocess
import sys

VERSION = "NETMAP_0"

API = """
    nmport_open nmport_close nmport_inject nmport_new nmport_parse nmport_register nmport_mmap
    nmport_delete nmport_undo_parse nmport_undo_register nmport_undo_mmap nmport_prepare
    nmport_open_desc nmport_undo_prepare nmport_undo_open_desc nmport_clone nmport_extmem
    nmport_extmem_from_file nmport_extmem_getinfo nmport_offset nmport_disable_option
    nmport_enable_option nmport_do_cleanup nmport_extmem_cleanup nmport_extmem_cleanup_from_file
    nmreq_header_init nmreq_header_decode nmreq_register_decode nmreq_options_decode
    nmreq_get_mem_id nmreq_push_option nmreq_remove_option nmreq_find_option nmreq_free_options
    nmreq_option_name
    nmctx_get nmctx_set_default nmctx_set_threadsafe nmctx_ferror nmctx_malloc nmctx_free nmctx_lock
    nmctx_unlock nmctx_threadsafe""".split()

LIBC = """
    open open64 openat openat64 __open_2 __open64_2 __openat_2 __openat64_2
    ioctl mmap mmap64 munmap
    poll ppoll __poll_chk __ppoll_chk select pselect
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    close close_range closefrom dup dup2 dup3 fcntl fcntl64 read write lseek
    fork vfork execve recvmsg recvmmsg sendmsg
    stat stat64 lstat lstat64 fstatat fstatat64 statx access faccessat readlink __xstat __xstat64
    __lxstat __lxstat64""".split()


def exported(nm, lib):
    """{name: version or ""} of what is defined."""
    out = subprocess.run([nm, "-D", "--defined-only", "--with-symbol-versions", lib], check=True,
                         capture_output=True, text=True).stdout
    names = {}
    for line in out.splitlines():
        kind, symbol = line.split()[-2:]
        name, _, version = symbol.partition("@")
        if kind != "A" and not name.startswith("__odr_asan."):  # the sanitizer's own
            names[name] = version.lstrip("@")
    return names


def main(nm, readelf, lib):
    names = exported(nm, lib)
    wrong = [f"{n} is missing" for n in API if n not in names]
    wrong += [f"{n} has version {names[n] or 'none'}, not {VERSION}" for n in API
              if n in names and names[n] != VERSION]
    wrong += [f"{n} must not have a version: {v}" for n, v in names.items() if n in LIBC and v]
    wrong += [f"{n} is exported, and should not be" for n in names if n not in API + LIBC]
    dynamic = subprocess.run([readelf, "-d", lib], check=True, capture_output=True, text=True).stdout
    if "[libnetmap.so.0]" not in dynamic:
        wrong.append("the soname is not libnetmap.so.0")
    for w in wrong:
        print(w)
    print(f"{len(names)} symbols, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
