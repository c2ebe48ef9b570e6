/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/report.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/text.h"
#include "base/mac.h"
#include "ktrace/devices.h"
#include "ktrace/journey.h"
#include "ktrace/reasons.h"
#include "ktrace/symbols.h"
#include "ktrace/why.h"
#include "wire/summary.h"

#define TEXT 512

/* The daemon's helper devices: what is sent there goes to a netmap program. */
#define TRUNK_PREFIX "vdt-"

static const char *device_name(const struct report *r, const struct journey_step *s, char *buf,
			       size_t size)
{
	const struct device *d =
		s->netns == r->devices->netns ? devices_find(r->devices, s->ifindex) : NULL;

	if (d)
		snprintf(buf, size, "%s", d->name);
	else if (!s->ifindex)
		snprintf(buf, size, "%s", "");
	else if (s->netns == r->devices->netns)
		snprintf(buf, size, "device %u", s->ifindex);
	else
		snprintf(buf, size, "device %u of another namespace", s->ifindex);
	return buf;
}

/* Of a drop, as names. */
struct drop {
	char reason[64], function[64], location[128], ifname[48], why[192];
};

static void name_drop(const struct report *r, const struct journey *j, const struct journey_step *s,
		      struct drop *d)
{
	const struct device *dev =
		s->netns == r->devices->netns ? devices_find(r->devices, s->ifindex) : NULL;
	struct why_device at = {0};
	char rest[64];

	reasons_name(r->reasons, s->reason, d->reason, sizeof(d->reason));
	symbols_find(r->symbols, s->location, d->function, sizeof(d->function), rest, sizeof(rest));
	if (d->function[0])
		snprintf(d->location, sizeof(d->location), "%s%s", d->function, rest);
	else
		snprintf(d->location, sizeof(d->location), "0x%" PRIx64, s->location);
	at.name = device_name(r, s, d->ifname, sizeof(d->ifname));
	if (dev) {
		at.member = dev->role == KTRACE_MEMBER;
		at.state = dev->state;
		at.isolated = dev->isolated;
		at.locked = dev->locked;
		at.mtu = dev->mtu;
	}
	why_text(d->reason, d->function, &at, j->len, d->why, sizeof(d->why));
}

/* "NETFILTER_DROP in nf_hook_slow: a rule …" */
static void drop_text(const struct drop *d, char *buf, size_t size)
{
	text_add(buf, size, "%s in %s",
		 strcmp(d->reason, "NOT_SPECIFIED") ? d->reason : "no reason given",
		 d->function[0] ? d->function : d->location);
	if (d->why[0])
		text_add(buf, size, ": %s", d->why);
}

/* ---- the frame ---- */

static json_t *frame_json(const struct journey *j)
{
	json_t *f = json_pack("{s:i}", "len", (int)j->len);
	char mac[MAC_TEXT_SIZE], type[16], line[FRAME_SUMMARY_SIZE];
	uint32_t at = 12;

	if (!f)
		return f;
	json_object_set_new(
		f, "summary",
		json_string(frame_summary(j->data, j->caplen, j->len, line, sizeof(line))));
	if (j->caplen < 14)
		return f;
	mac_format(mac_load(j->data), mac);
	json_object_set_new(f, "dst", json_string(mac));
	mac_format(mac_load(j->data + 6), mac);
	json_object_set_new(f, "src", json_string(mac));
	if (((j->data[12] == 0x81 && j->data[13] == 0x00) ||
	     (j->data[12] == 0x88 && j->data[13] == 0xa8)) &&
	    j->caplen >= 18) {
		json_object_set_new(f, "vlan",
				    json_integer((j->data[14] & 0x0f) << 8 | j->data[15]));
		at = 16;
	}
	snprintf(type, sizeof(type), "0x%02x%02x", j->data[at], j->data[at + 1]);
	json_object_set_new(f, "ethertype", json_string(type));
	return f;
}

/* ---- steps ---- */

/* The next step is that the driver has it: the queue was empty, and is not worth a step. */
static bool is_in_passing(const struct journey *j, size_t i)
{
	return j->steps[i].what == KTRACE_QUEUE && i + 1 < j->n_steps &&
	       j->steps[i + 1].what == KTRACE_START &&
	       j->steps[i + 1].ifindex == j->steps[i].ifindex;
}

static void receive_text(const struct journey_step *s, const char *name, char *text, size_t size)
{
	if (s->what == KTRACE_START)
		text_add(text, size, "sent by the host on %s", name);
	else if (s->role == KTRACE_BRIDGE)
		text_add(text, size, "up to the host, on %s", name);
	else
		text_add(text, size, "received on %s", name);
}

static void transmit_text(const struct journey_step *s, const char *name, char *text, size_t size)
{
	if (s->what == KTRACE_QUEUE)
		text_add(text, size, "to the queue of %s", name);
	else if (s->role == KTRACE_FOREIGN)
		text_add(text, size, "taken out in front of the bridge, to %s", name);
	else
		text_add(text, size, "sent on %s", name);
}

static const char *step_name(const struct journey_step *s)
{
	if (s->what == KTRACE_DROP)
		return "drop";
	if (s->what == KTRACE_QUEUE)
		return "queue";
	/* The host's frames come in where the bridge's device sends them. */
	return s->what == KTRACE_RECEIVE || s->role == KTRACE_BRIDGE ? "receive" : "transmit";
}

static void drop_step(const struct report *r, const struct journey *j, const struct journey_step *s,
		      json_t *o, char *text, size_t size)
{
	struct drop d;

	name_drop(r, j, s, &d);
	if (why_is_bpdu(d.function)) {
		json_object_set_new(o, "step", json_string("stp"));
		text_add(text, size, "read by the kernel's spanning tree");
		return;
	}
	json_object_set_new(o, "reason", json_string(d.reason));
	json_object_set_new(o, "location", json_string(d.location));
	drop_text(&d, text, size);
}

static json_t *step_json(const struct report *r, const struct journey *j, size_t i,
			 uint64_t before_ns)
{
	const struct journey_step *s = &j->steps[i];
	char name[48], text[TEXT] = "";
	json_t *o = json_pack("{s:s, s:i, s:I, s:I, s:s, s:s}", "step", step_name(s), "depth",
			      i > 0 ? 1 : 0, "at_ns", (json_int_t)(s->time_ns - j->start_ns), "ns",
			      (json_int_t)(s->time_ns - before_ns), "where", "kernel", "ifname",
			      device_name(r, s, name, sizeof(name)));

	if (!o)
		return NULL;
	if (s->what == KTRACE_DROP)
		drop_step(r, j, s, o, text, sizeof(text));
	else if (!strcmp(step_name(s), "receive"))
		receive_text(s, name, text, sizeof(text));
	else
		transmit_text(s, name, text, sizeof(text));
	json_object_set_new(o, "text", json_string(text));
	return o;
}

static json_t *steps_json(const struct report *r, const struct journey *j)
{
	uint64_t before_ns = j->start_ns;
	json_t *steps = json_array();

	for (size_t i = 0; i < j->n_steps; i++) {
		if (is_in_passing(j, i))
			continue;
		json_array_append_new(steps, step_json(r, j, i, before_ns));
		before_ns = j->steps[i].time_ns;
	}
	if (j->n_more)
		json_array_append_new(steps,
				      json_pack("{s:s, s:i, s:s}", "step", "more", "depth", 1,
						"text", "and more than there is room for"));
	return steps;
}

/* ---- the end ---- */

static void after(const struct journey *j, const struct journey_step *s, char *text, size_t size)
{
	const double us = (double)(s->time_ns - j->start_ns) / 1e3;

	if (us < 1000)
		text_add(text, size, ", %.*f us after it came in", us < 10 ? 1 : 0, us);
	else
		text_add(text, size, ", %.1f ms after it came in", us / 1e3);
}

static void dropped_json(const struct report *r, const struct journey *j,
			 const struct journey_step *s, json_t *e, char *text, size_t size)
{
	struct drop d;

	name_drop(r, j, s, &d);
	json_object_set_new(e, "where", json_string("kernel"));
	json_object_set_new(e, "reason", json_string(d.reason));
	json_object_set_new(e, "location", json_string(d.location));
	drop_text(&d, text, size);
}

static json_t *sent_json(const struct report *r, const struct journey *j, char *text, size_t size)
{
	const struct journey_step *drop = journey_drop(j), *last = NULL;
	json_t *names = json_array(), *e;
	char name[48];

	for (size_t i = 0; i < j->n_steps; i++) {
		const struct journey_step *s = &j->steps[i];
		const bool left = s->what == KTRACE_START || s->what == KTRACE_QUEUE;

		if (!left || s->role != KTRACE_MEMBER || s->failed)
			continue;
		/* A large frame is cut behind the queue, and its segments are other frames. */
		if (s->what == KTRACE_QUEUE && (!j->consumed || is_in_passing(j, i)))
			continue;
		device_name(r, s, name, sizeof(name));
		text_add(text, size, "%s%s", last ? ", " : "sent on ", name);
		json_array_append_new(names, json_string(name));
		last = s;
	}
	if (j->up)
		text_add(text, size, "%s", " and up to the host");
	if (last)
		after(j, last, text, size);
	e = json_pack("{s:s, s:o}", "what", "sent", "ifnames", names);
	if (drop && drop->role != KTRACE_BRIDGE) {
		text_add(text, size, "%s", "; a copy was dropped: ");
		dropped_json(r, j, drop, e, text, size);
	}
	return e;
}

static json_t *drop_end(const struct report *r, const struct journey *j, char *text, size_t size)
{
	const struct journey_step *s = journey_drop(j);
	json_t *e = json_pack("{s:s, s:[]}", "what", "dropped", "ifnames");
	char function[64], rest[64];

	if (!s) /* its step was one too many */
		text_add(text, size, "dropped in the kernel");
	if (!e || !s)
		return e;
	symbols_find(r->symbols, s->location, function, sizeof(function), rest, sizeof(rest));
	if (why_is_bpdu(function)) {
		json_object_set_new(e, "what", json_string("consumed"));
		text_add(text, size, "a BPDU, read by the kernel's spanning tree");
		return e;
	}
	text_add(text, size, j->up ? "dropped by the host: " : "dropped in the kernel: ");
	dropped_json(r, j, s, e, text, size);
	return e;
}

static json_t *redirected_end(const struct report *r, const struct journey *j, char *text,
			      size_t size)
{
	const struct journey_step *s = &j->steps[j->n_steps - 1];
	char name[48];
	bool ours;

	device_name(r, s, name, sizeof(name));
	ours = strncmp(name, TRUNK_PREFIX, strlen(TRUNK_PREFIX)) == 0;
	if (ours)
		text_add(text, size, "taken out for a netmap program, by viaductd (%s)", name);
	else
		text_add(text, size,
			 "redirected to %s in front of the bridge, by a tc filter or program",
			 name);
	return json_pack("{s:s, s:[s]}", "what", ours ? "with-program" : "sent", "ifnames", name);
}

static json_t *end_json(const struct report *r, const struct journey *j)
{
	char text[TEXT] = "";
	json_t *e = NULL;

	switch (journey_end(j)) {
	case JOURNEY_SENT:
		e = sent_json(r, j, text, sizeof(text));
		break;
	case JOURNEY_DROPPED:
		e = drop_end(r, j, text, sizeof(text));
		break;
	case JOURNEY_REDIRECTED:
		e = redirected_end(r, j, text, sizeof(text));
		break;
	case JOURNEY_DELIVERED:
		e = json_pack("{s:s, s:[s]}", "what", "delivered", "ifnames", r->bridge);
		text_add(text, sizeof(text), "up to the host, on %s", r->bridge);
		break;
	case JOURNEY_CONSUMED:
		e = json_pack("{s:s, s:[]}", "what", "consumed", "ifnames");
		text_add(text, sizeof(text), "the kernel took it for itself");
		break;
	case JOURNEY_QUEUED:
		e = json_pack("{s:s, s:[]}", "what", "lost-sight", "ifnames");
		text_add(text, sizeof(text), "it still waits in a queue");
		break;
	case JOURNEY_LOST_SIGHT:
		e = json_pack("{s:s, s:[]}", "what", "lost-sight", "ifnames");
		text_add(text, sizeof(text),
			 "nothing more was seen of it: something holds it, or took it and does not "
			 "say");
		break;
	}
	json_object_set_new(e, "text", json_string(text));
	return e;
}

json_t *report_journey(const struct report *r, const struct journey *j)
{
	const struct device *d = devices_find(r->devices, j->ifindex);
	char name[48] = "";

	if (d)
		snprintf(name, sizeof(name), "%s", d->name);
	else if (j->n_steps)
		device_name(r, &j->steps[0], name, sizeof(name));
	return json_pack("{s:s, s:I, s:f, s:s, s:o, s:o, s:o}", "bridge", r->bridge, "id",
			 (json_int_t)j->id, "time", r->wall_offset_s + (double)j->start_ns / 1e9,
			 "ifname", name, "frame", frame_json(j), "steps", steps_json(r, j), "end",
			 end_json(r, j));
}
