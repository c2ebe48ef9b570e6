/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/adopt_via.h"

#include "base/log.h"
#include "core/program.h"
#include "daemon/adopt.h"
#include "daemon/expression.h"
#include "daemon/ports.h"
#include "port/take.h"
#include "port/trunk.h"
#include "sys/bpf.h"

LOG_MODULE("daemon/adopt_via");

static bool is_device(const struct vbridge *vb, const struct vport *vp)
{
	return !vp->host && (!vp->self || bridge_kind(vb->br) == BRIDGE_NETDEV);
}

static void set_exempt(const struct vbridge *vb, struct port *place)
{
	const struct sock_filter *prog = NULL;
	const char *why = NULL;
	uint32_t n = 0;

	if (vb->exempt)
		prog = program_insns(expression_program(vb->exempt), &n);
	if (trunk_xdp_set_exempt(place, prog, n, &why))
		log_info("%s: taken by tc while frames are exempt: the expression %s", place->name,
			 why);
}

static bool open_xdp(const struct adopted *ad, struct port *place)
{
	const char *why = NULL;

	if (trunk_xdp_open(place, ad->vb->d->pool, &why)) {
		log_info("%s: taken by tc, not by XDP: %s", place->name, why);
		return false;
	}
	set_exempt(ad->vb, place);
	return true;
}

void adopt_via_exempt(struct vbridge *vb)
{
	for_each_port(vp, vb) if (vp->port) set_exempt(vb, vp->port);
}

/* ---- in the worker ---- */

static void drain(void *arg)
{
	struct vport *vp = arg;

	if (vp->wp.port && vp->wp.port->driver->rx)
		worker_port_drain(vp->vb->w, &vp->wp);
}

struct use_job {
	struct vport *vp;
	bool on;
};

static void use(void *arg)
{
	struct use_job *job = arg;
	struct vport *vp = job->vp;
	struct worker *w = vp->vb->w;

	drain(vp);
	worker_port_detach(w, &vp->wp);
	trunk_xdp_use(vp->port, job->on);
	vp->wp.port = vp->port;
	if (worker_port_attach(w, &vp->wp) == 0)
		return;
	/* No memory, or no descriptors. Without its receiving half it needs neither. */
	job->on = false;
	trunk_xdp_use(vp->port, false);
	worker_port_attach(w, &vp->wp);
}

/* ---- stopping and changing ---- */

void adopt_via_stop(struct vbridge *vb, struct vport *only)
{
	bool any = false;

	for_each_port(vp, vb)
	{
		if ((only && vp != only) || !vp->port || !trunk_xdp_mode(vp->port))
			continue;
		trunk_xdp_stop(vp->port);
		any = true;
	}
	if (!any)
		return;
	sys_bpf_synchronize(); /* a program that began before may still take a frame */
	for_each_port(vp, vb) if ((!only || vp == only) && vp->port) worker_call(vb->w, drain, vp);
}

/* Takes by XDP from now on, if it can, or not any more. */
static void set_one(const struct adopted *ad, struct vport *vp, bool on)
{
	struct use_job job = {vp, on};
	const bool now = trunk_xdp_mode(vp->port) != NULL;

	if (on == now) {
		if (!on)
			trunk_xdp_close(vp->port); /* forgets why not */
		return;
	}
	if (on && !open_xdp(ad, vp->port))
		return;
	if (!on)
		trunk_xdp_stop(vp->port);
	worker_call(vp->vb->w, use, &job);
	if (!job.on)
		trunk_xdp_close(vp->port);
}

void adopt_via_open(struct vport *vp)
{
	const struct adopted *ad = vp->vb->adopted;

	if (ad->xdp && is_device(vp->vb, vp))
		set_one(ad, vp, true);
}

void adopt_via_set(struct vbridge *vb, bool xdp)
{
	for_each_port(vp, vb) if (vp->port && is_device(vb, vp)) set_one(vb->adopted, vp, xdp);
}

void adopt_via_follow(struct vport *vp, uint32_t mtu)
{
	const struct adopted *ad = vp->vb->adopted;

	if (!ad->xdp || !vp->port || mtu == vp->mtu || !is_device(vp->vb, vp))
		return;
	if (trunk_xdp_mode(vp->port) && !take_fits(vp->vb->d->pool, mtu))
		set_one(ad, vp, false);
	if (!trunk_xdp_mode(vp->port))
		set_one(ad, vp, true); /* or says why not */
}
