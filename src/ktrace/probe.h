/* SPDX-License-Identifier: BSD-2-Clause */
/* The programs of bpf/ktrace.bpf.c: loads and attaches them, reads what they say. One thread. */
#pragma once

#include <stdint.h>

struct ctl_error;
struct devices;
struct ktrace_event;
struct probe;

typedef void probe_fn(void *ctx, const struct ktrace_event *e);

/*
 * Attached, by links: they go with the process. 0, or an error code with *err filled, of which
 * `bridge` is the object. Nothing after this needs a privilege.
 */
int probe_open(const char *bridge, const struct devices *d, probe_fn *fn, void *ctx,
	       struct probe **ret, struct ctl_error *err);
/*
 * From now on there are events. At once in all programs: while they are attached one after the
 * other, frames would be seen to come in whose end would not.
 */
void probe_start(struct probe *p);
struct probe *probe_close(struct probe *p);
/* Hands over the events that wait; nothing says that there are some: at least every 5 ms. 0 or
 * -errno. */
int probe_read(struct probe *p);
/* Events that were lost because they were not read in time. */
uint64_t probe_lost(const struct probe *p);
