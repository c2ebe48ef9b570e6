/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of netmap programs at a bridge: is there one, does it take frames, do they fit. */
#include <string.h>

#include "cli/doctor.h"
#include "cli/fmt.h"
#include "cli/table.h"

#define ETH_HEADER    14
#define BUFFER_OFFSET 256  /* of a netmap buffer that a frame cannot have */
#define BUFFER_MIN    2048 /* buf-size is a power of two from here */
#define TAGS          8

static bool is(const json_t *row, const char *key, const char *value)
{
	return !strcmp(row_text(row, key), value);
}

/* Rings that frames go to: those of the kind "ring" for reception. */
static bool takes_frames(const json_t *ring)
{
	return is(ring, "kind", "ring") && is(ring, "dir", "rx");
}

static size_t count_state(const json_t *rings, const char *state)
{
	size_t n = 0, i;
	json_t *ring;

	json_array_foreach(rings, i, ring) n +=
		takes_frames(ring) && (!state || is(ring, "state", state));
	return n;
}

static void check_ring(struct doctor *d, const json_t *ring, bool closed)
{
	const char *effect = closed ? "what it was to get is dropped, for the bridge fails closed"
				    : "traffic goes round it uninspected";
	char program[64];

	text_safe(row_text(ring, "program"), program, sizeof(program));
	if (is(ring, "state", "stalled") || is(ring, "state", "stopped")) {
		doctor_say(
			d, closed ? DOCTOR_PROBLEM : DOCTOR_WARNING, d->bridge,
			"program %s (pid %lld) takes no frames from ring %s, where %lld wait: %s",
			program, (long long)row_int(ring, "pid"), row_text(ring, "ring"),
			(long long)row_int(ring, "lag"), effect);
		doctor_hint(d, "%s rings %s; if it hangs: kill %lld", d->viaduct, d->bridge,
			    (long long)row_int(ring, "pid"));
	} else if (is(ring, "state", "unread")) {
		doctor_say(d, closed ? DOCTOR_PROBLEM : DOCTOR_OK, d->bridge,
			   "program %s (pid %lld) has ring %s open, but has not synced it yet: %s",
			   program, (long long)row_int(ring, "pid"), row_text(ring, "ring"),
			   effect);
		doctor_hint(d, "%s rings %s", d->viaduct, d->bridge);
	}
	if (row_int(ring, "bad")) {
		doctor_say(d, DOCTOR_WARNING, d->bridge,
			   "program %s (pid %lld) wrote %lld slots into ring %s that make no sense",
			   program, (long long)row_int(ring, "pid"),
			   (long long)row_int(ring, "bad"), row_text(ring, "ring"));
		doctor_hint(d, "%s rings %s", d->viaduct, d->bridge);
	}
}

/* Members that were to be taken by XDP, and are not. */
static void check_via(struct doctor *d)
{
	json_t *a;
	size_t i;

	json_array_foreach(row_at(d->picture, "state.attached"), i, a)
	{
		if (!*row_text(a, "no_xdp"))
			continue;
		doctor_say(d, DOCTOR_OK, row_text(a, "ifname"),
			   "%s is adopted via xdp, but this port's frames are taken by tc: %s",
			   d->bridge, row_text(a, "no_xdp"));
		doctor_hint(d, "%s status", d->viaduct);
	}
}

static void check_state(struct doctor *d)
{
	const char *state = row_text(json_object_get(d->picture, "state"), "state");

	if (strcmp(state, "failed") != 0)
		return;
	doctor_say(d, DOCTOR_PROBLEM, d->bridge,
		   "it is adopted, but nothing could be attached to it: the daemon's log says why");
	doctor_hint(d, "journalctl -u viaduct; %s release %s && %s adopt %s", d->viaduct, d->bridge,
		    d->viaduct, d->bridge);
}

void doctor_check_inspection(struct doctor *d)
{
	const json_t *rings = json_object_get(d->picture, "rings");
	const json_t *settings = json_object_get(d->picture, "intercept");
	const bool closed = is(settings, "fail", "closed");
	json_t *ring;
	size_t i;

	check_state(d);
	check_via(d);
	if (!settings || is(settings, "mode", "none"))
		return;
	if (closed && count_state(rings, NULL) == 0) {
		doctor_say(d, DOCTOR_PROBLEM, d->bridge,
			   "it fails closed, and no netmap program has it open, so every frame is "
			   "dropped");
		doctor_hint(d, "%s exec PROGRAM netmap:%s", d->viaduct, d->bridge);
		doctor_hint(d, "%s intercept %s fail open", d->viaduct, d->bridge);
	}
	json_array_foreach(rings, i, ring)
	{
		if (takes_frames(ring))
			check_ring(d, ring, closed);
	}
}

/* The smallest buf-size whose slots hold a frame. */
static json_int_t buffer_for(json_int_t frame)
{
	json_int_t size = BUFFER_MIN;

	while (size - BUFFER_OFFSET < frame + TAGS && size < 65536)
		size *= 2;
	return size;
}

void doctor_check_slots(struct doctor *d)
{
	const json_t *settings = json_object_get(d->picture, "intercept");
	const json_int_t slot = row_int(json_object_get(d->picture, "memory"), "slot_size");
	const bool used = count_state(json_object_get(d->picture, "rings"), NULL) > 0 ||
			  is(settings, "fail", "closed");
	json_int_t most = 0;
	json_t *port;
	size_t i;

	json_array_foreach(json_object_get(d->picture, "ports"), i, port)
	{
		const json_int_t mtu = row_int(json_object_get(port, "link"), "mtu");

		most = max_of(most, mtu);
	}
	if (!slot || !used || most + ETH_HEADER <= slot || is(settings, "oversize", "multislot"))
		return;
	doctor_say(
		d, DOCTOR_WARNING, d->bridge,
		"frames of its ports may have %lld bytes (MTU %lld), a slot of a netmap ring holds "
		"%lld: longer ones %s",
		(long long)most + ETH_HEADER, (long long)most, (long long)slot,
		is(settings, "oversize", "drop") ? "are dropped" : "go on uninspected");
	doctor_hint(d, "%s intercept %s oversize multislot, if the program knows NS_MOREFRAG",
		    d->viaduct, d->bridge);
	doctor_hint(d, "buf-size: %lld under daemon: in viaduct.yaml, and start viaductd again",
		    (long long)buffer_for(most + ETH_HEADER));
}

void doctor_check_memory(struct doctor *d)
{
	static const char *const kinds[][2] = {{"buffers", "buffers_free"}, {"big", "big_free"}};
	const json_t *memory = json_object_get(d->picture, "memory");

	for (size_t i = 0; i < array_size(kinds); i++) {
		const json_int_t all = row_int(memory, kinds[i][0]);
		const json_int_t left = row_int(memory, kinds[i][1]);

		if (left * 50 >= all)
			continue;
		doctor_say(d, DOCTOR_WARNING, d->bridge,
			   "only %lld of the daemon's %lld %s buffers are free, and without one "
			   "frames are dropped",
			   (long long)left, (long long)all, i ? "large" : "frame");
		doctor_hint(d,
			    "%s rings tells who has them; more: buffers: %lld under daemon: in "
			    "viaduct.yaml",
			    d->viaduct, (long long)row_int(memory, "buffers") * 2);
	}
}
