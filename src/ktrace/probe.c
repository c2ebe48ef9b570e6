/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <cap-ng.h>

#include "base/err.h"
#include "bpf/ktrace.h"
#include "bpf/ktrace.skel.h"
#include "ktrace/devices.h"
#include "wire/msg.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF     39
#endif

struct probe {
	struct ktrace_bpf *bpf;
	struct ring_buffer *ring;
	probe_fn *fn;
	void *ctx;
};

static bool may_trace(void)
{
	if (capng_get_caps_process())
		return false;
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN))
		return true;
	return capng_have_capability(CAPNG_EFFECTIVE, CAP_BPF) &&
	       capng_have_capability(CAPNG_EFFECTIVE, CAP_PERFMON);
}

static int no_privilege(const char *bridge, struct ctl_error *err)
{
	ctl_fail(err, CTL_E_PRIVILEGE,
		 "bridge %s: following frames through the kernel needs CAP_BPF and CAP_PERFMON "
		 "of the machine",
		 bridge);
	return ctl_hint(err, "sudo viaduct trace %s", bridge);
}

static int cannot(const char *bridge, const char *what, int r, struct ctl_error *err)
{
	if (r == -EPERM) /* EACCES is what the verifier says */
		return no_privilege(bridge, err);
	return ctl_fail(err, CTL_E_INTERNAL, "bridge %s: %s: %s", bridge, what, err_text(r));
}

static int name_devices(struct probe *p, const struct devices *d)
{
	const int map = bpf_map__fd(p->bpf->maps.vd_devs);

	for (size_t i = 0; i < d->n; i++) {
		const struct device *dev = &d->list[i];

		if (dev->role == KTRACE_FOREIGN)
			continue;
		if (bpf_map_update_elem(map, &dev->ifindex, &dev->role, BPF_ANY))
			return error_origin(-errno);
	}
	return 0;
}

static int on_record(void *ctx, void *data, size_t size)
{
	struct probe *p = ctx;

	if (size >= sizeof(struct ktrace_event))
		p->fn(p->ctx, data);
	return 0;
}

static int load(struct probe *p, const char *bridge, const struct devices *d, struct ctl_error *err)
{
	int r;

	p->bpf = ktrace_bpf__open();
	if (!p->bpf)
		return cannot(bridge, "cannot open the programs that follow frames", -errno, err);
	p->bpf->rodata->vd_netns = d->netns;
	r = ktrace_bpf__load(p->bpf);
	if (r)
		return cannot(bridge, "the kernel refuses the programs that follow frames", r, err);
	r = name_devices(p, d);
	if (r)
		return cannot(bridge, "cannot name its devices to the kernel", r, err);
	p->ring = ring_buffer__new(bpf_map__fd(p->bpf->maps.vd_ring), on_record, p, NULL);
	if (!p->ring)
		return cannot(bridge, "cannot map the ring of events", -errno, err);
	r = ktrace_bpf__attach(p->bpf);
	if (r)
		return cannot(bridge, "the kernel refuses to attach to its tracepoints", r, err);
	return 0;
}

int probe_open(const char *bridge, const struct devices *d, probe_fn *fn, void *ctx,
	       struct probe **ret, struct ctl_error *err)
{
	struct probe *p;
	int r;

	if (!may_trace())
		return no_privilege(bridge, err);
	if (access(BTF_PATH, R_OK))
		return ctl_fail(err, CTL_E_NOT_YET,
				"bridge %s: this kernel does not describe itself (" BTF_PATH
				"), so frames cannot be followed through it; "
				"CONFIG_DEBUG_INFO_BTF is off",
				bridge);
	p = calloc(1, sizeof(*p));
	if (!p)
		return ctl_fail(err, CTL_E_INTERNAL, "bridge %s: no memory", bridge);
	p->fn = fn;
	p->ctx = ctx;
	r = load(p, bridge, d, err);
	if (r) {
		probe_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

void probe_start(struct probe *p)
{
	*(volatile uint64_t *)&p->bpf->bss->vd_on = 1;
}

struct probe *probe_close(struct probe *p)
{
	if (!p)
		return NULL;
	ring_buffer__free(p->ring);
	ktrace_bpf__destroy(p->bpf);
	free(p);
	return NULL;
}

int probe_read(struct probe *p)
{
	int r = ring_buffer__consume(p->ring);

	return r < 0 ? error_origin(r) : 0;
}

uint64_t probe_lost(const struct probe *p)
{
	return *(volatile uint64_t *)&p->bpf->bss->vd_lost;
}
