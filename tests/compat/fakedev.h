/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A "/dev/netmap" for tests, in the test's process: the linker's --wrap sends open, ioctl, mmap,
 * munmap, close and if_nametoindex here; calls that do not concern it go on to libc.
 *
 * Port names: "none" does not exist (ENXIO), "busy" is busy; "priv" and vale ports have their own
 * region, 2, all others share region 1. Options but OFFSETS are refused. Devices that exist are
 * those of fake.devices.
 */
#pragma once

#include <net/netmap.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_TX       2u /* rings of a port, besides one host ring in each direction */
#define FAKE_RX       3u
#define FAKE_SLOTS    8u
#define FAKE_BUF_SIZE 2048u
#define FAKE_MEMSIZE  (1u << 20)

struct fake {
	const char *const *devices;            /* NULL-terminated, or NULL */
	int n_open, n_close, n_mmap, n_munmap; /* of the device and its regions */
	int fail_open, fail_mmap;              /* errno of the next call, 0 = none */
	int close_errno;                       /* what a close() that succeeds leaves in errno */
	int wrong;                             /* calls that break the contract */
	struct nmreq_register reg;             /* of the last REGISTER, as it came */
	char name[64];
	struct nmreq legacy; /* of the last NIOCREGIF, as it came */
};
extern struct fake fake;

/* Forgets counters and regions; nothing of it may be open. */
void fake_reset(void);
/* How many descriptors and mappings are not closed. */
int fake_leaks(void);
