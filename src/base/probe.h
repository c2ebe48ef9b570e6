/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Places where bpftrace, perf and others can look in: USDT probes of the provider "viaduct". One
 * that nobody watches is a nop; built without them (-Dprobes=disabled) there is nothing.
 *
 * docs/probes.md lists each probe with its arguments and tests/style/probes.py compares. Arguments
 * are numbers and pointers that are at hand: nothing is computed for a probe in the way of frames.
 */
#pragma once

#ifdef VIADUCT_PROBES

#define SDT_USE_VARIADIC /* STAP_PROBEV() */
#include <sys/sdt.h>

#define PROBE(name, ...) STAP_PROBEV(viaduct, name, ##__VA_ARGS__)

#else

/* Arguments are checked, and not evaluated. */
static inline void probe_nothing(int first, ...)
{
}
#define PROBE(name, ...)                                                                           \
	do {                                                                                       \
		if (0)                                                                             \
			probe_nothing(0, ##__VA_ARGS__);                                           \
	} while (0)

#endif
