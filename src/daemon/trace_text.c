/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One function per kind of step: it adds the members that programs read and writes the phrase that
 * people read. Numbers of ports become names here, at the time of telling.
 */
#include "daemon/trace_text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/mac.h"
#include "core/fdb.h"
#include "core/hook.h"
#include "core/intercept.h"
#include "core/origin.h"
#include "core/vlan.h"
#include "wire/summary.h"

#define NAMES_SHOWN 6u /* ports of a flood that the last line names */

struct teller {
	const struct journey *j;
	const struct trace_names *names;
	const struct trace_record *r; /* the step being told */
	json_t *o;                    /* its object */
	char text[512];
	size_t at;
};

/* ---- small things ---- */

static _printf_(2, 3) void say(struct teller *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->text + t->at, sizeof(t->text) - t->at, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->at = min_of(t->at + (size_t)n, sizeof(t->text) - 1);
}

/* A name from outside may be no UTF-8. */
static json_t *text_value(const char *s)
{
	json_t *v = json_string(s);

	return v ? v : json_string("?");
}

static void put(struct teller *t, const char *key, const char *value)
{
	json_object_set_new(t->o, key, text_value(value));
}

static void put_int(struct teller *t, const char *key, json_int_t n)
{
	json_object_set_new(t->o, key, json_integer(n));
}

const char *trace_text_time(uint64_t ns, char *buf, size_t size)
{
	const double us = (double)ns / 1000;

	if (ns < 1000)
		snprintf(buf, size, "%u ns", (unsigned)ns);
	else if (us < 1000)
		snprintf(buf, size, "%.1f us", us);
	else if (us < 1e6)
		snprintf(buf, size, "%.2f ms", us / 1000);
	else
		snprintf(buf, size, "%.1f s", us / 1e6);
	return buf;
}

static bool timed(const struct teller *t)
{
	return !t->names->dry && t->j->start_ns != 0;
}

static const char *port_name(const struct teller *t, uint16_t no, char *buf, size_t size)
{
	const char *name = t->names->port ? t->names->port(t->names->ctx, no) : NULL;

	if (name)
		snprintf(buf, size, "%s", name);
	else
		snprintf(buf, size, "port %u", no);
	return buf;
}

/* The port of a record whose name is a port's. */
static const char *own_port(const struct trace_record *r)
{
	return r->port && r->name[0] ? r->name : "no port";
}

static const char *choose(const char *const *names, size_t n, unsigned i)
{
	return i < n ? names[i] : "?";
}

/* "ring 0", "host ring 0", and the member "ring": "nic0", "host0". */
static void say_ring(struct teller *t, uint32_t list)
{
	const bool host = EGRESS_SIDE_OF(list) == INTERCEPT_HOST;
	char name[16];

	if (!EGRESS_IS_RING(list))
		return;
	snprintf(name, sizeof(name), "%s%u", host ? "host" : "nic", EGRESS_RING_OF(list));
	put(t, "ring", name);
	say(t, "%sring %u", host ? "host " : "", EGRESS_RING_OF(list));
}

static void say_program(struct teller *t, uint32_t list)
{
	char name[64];

	if (!t->names->program ||
	    !t->names->program(t->names->ctx, (uint16_t)list, name, sizeof(name)))
		return;
	put(t, "program", name);
	say(t, " of the program %s", name);
}

/* "02:00:00:00:00:0a in VLAN 10" */
static void say_mac(struct teller *t)
{
	char mac[MAC_TEXT_SIZE];

	put(t, "mac", mac_format(t->r->mac, mac));
	say(t, "%s", mac);
	if (!t->r->vid)
		return;
	put_int(t, "vlan", t->r->vid);
	say(t, " in VLAN %u", t->r->vid);
}

static void put_port(struct teller *t)
{
	if (t->r->port)
		put(t, "ifname", own_port(t->r));
}

/* ---- steps ---- */

static void tell_rx(struct teller *t)
{
	put_port(t);
	put_int(t, "len", t->r->value);
	say(t, "%s on %s, %u bytes", t->names->dry ? "comes in" : "came in", own_port(t->r),
	    t->r->value);
}

static const char *protocol_name(uint32_t ethertype)
{
	switch (ethertype) {
	case 0x0800:
		return "IPv4";
	case 0x0806:
		return "ARP";
	case 0x86dd:
		return "IPv6";
	case 0x8809:
		return "slow protocols";
	case 0x88cc:
		return "LLDP";
	case 0x888e:
		return "802.1X";
	default:
		return NULL;
	}
}

static void tell_parse(struct teller *t)
{
	const struct trace_record *r = t->r;
	const char *name = protocol_name(r->value);
	char type[16];

	put_int(t, "tags", r->result);
	if (r->result == 0)
		say(t, "untagged");
	else if (r->vid)
		say(t, "tagged with VLAN %u", r->vid);
	else
		say(t, "tagged with a priority only");
	if (r->result > 0)
		put_int(t, "vlan", r->vid);
	if (r->result > 1)
		say(t, " (%u tags)", r->result);
	snprintf(type, sizeof(type), "0x%04x", r->value);
	put(t, "ethertype", type);
	if (r->value < 1536)
		say(t, ", 802.3 of %u bytes", r->value);
	else if (name)
		say(t, ", %s", name);
	else
		say(t, ", EtherType %s", type);
}

static void tell_state(struct teller *t)
{
	const char *state = bport_state_name((enum bport_state)t->r->result);

	put_port(t);
	put(t, "state", state);
	say(t, "%s is %s", own_port(t->r), state);
}

static void tell_stp(struct teller *t)
{
	put_port(t);
	say(t, "handed to the spanning tree");
}

static void tell_vlan(struct teller *t)
{
	put_port(t);
	put_int(t, "vlan", t->r->vid);
	if (t->r->vid)
		say(t, "belongs to VLAN %u", t->r->vid);
	else
		say(t, "of no VLAN that %s is in", own_port(t->r));
}

static void tell_learn(struct teller *t)
{
	static const char *const results[] = {
		[FDB_KNOWN] = "known", [FDB_NEW] = "new",   [FDB_MOVED] = "moved",
		[FDB_KEPT] = "kept",   [FDB_FULL] = "full", [FDB_DISABLED] = "disabled"};
	const struct trace_record *r = t->r;
	const bool off = r->result == TRACE_LEARN_OFF;
	char old[TRACE_NAME_SIZE];

	put_port(t);
	put(t, "result", off ? "off" : choose(results, array_size(results), r->result));
	if (off) {
		say_mac(t);
		say(t, " not learned: %s does not learn", own_port(r));
		return;
	}
	say_mac(t);
	switch (r->result) {
	case FDB_KNOWN:
		say(t, " is known on %s", own_port(r));
		break;
	case FDB_NEW:
		say(t, " is new, learned on %s", own_port(r));
		break;
	case FDB_MOVED:
		port_name(t, (uint16_t)r->value, old, sizeof(old));
		put(t, "old_ifname", old);
		say(t, " moved from %s to %s", old, own_port(r));
		break;
	case FDB_KEPT:
		say(t, " stays where it is: its entry does not move to %s", own_port(r));
		break;
	case FDB_FULL:
		say(t, " not learned: the table or a limit is full");
		break;
	default:
		say(t, " not learned: ageing_time is 0");
		break;
	}
}

static void say_entry(struct teller *t, const char *kind, bool ages)
{
	put_port(t);
	say_mac(t);
	say(t, " is on %s", own_port(t->r));
	say(t, " (%s", kind);
	if (ages) {
		put_int(t, "age", t->r->value);
		say(t, ", seen %u s ago", t->r->value);
	}
	say(t, ")");
}

static void tell_lookup(struct teller *t)
{
	static const char *const results[] = {"unknown", "group", "dynamic", "static",
					      "sticky",  "local", "link",    "kernel"};
	const uint8_t result = t->r->result;

	_Static_assert(array_size(results) == TRACE_LOOKUP_N, "a name each");
	put(t, "result", choose(results, array_size(results), result));
	switch (result) {
	case TRACE_LOOKUP_DYNAMIC:
	case TRACE_LOOKUP_STATIC:
	case TRACE_LOOKUP_STICKY:
		say_entry(t, results[result], result != TRACE_LOOKUP_STATIC);
		return;
	case TRACE_LOOKUP_KERNEL:
		put_port(t);
		say(t, "the kernel decides where it goes");
		return;
	default:
		break;
	}
	say_mac(t);
	if (result == TRACE_LOOKUP_UNKNOWN)
		say(t, " is not known");
	else if (result == TRACE_LOOKUP_LINK)
		say(t, " is for this link alone: to the host");
	else if (mac_is_group(t->r->mac))
		say(t, result == TRACE_LOOKUP_LOCAL ? " is a group address: the host's share of it"
						    : " is a group address");
	else
		say(t, " is an address of the bridge: to the host");
	if (result <= TRACE_LOOKUP_GROUP)
		say(t, ": flooded");
}

static void tell_intercept(struct teller *t)
{
	static const char *const results[] = {"taken",  "local",    "copied",   "exempt",
					      "nobody", "oversize", "overflow", "withdrawn"};
	static const char *const texts[] = {
		[TRACE_INTERCEPT_TAKEN] = "taken for ",
		[TRACE_INTERCEPT_LOCAL] = "the host's share is taken for ",
		[TRACE_INTERCEPT_COPIED] = "it goes on, a copy is for ",
		[TRACE_INTERCEPT_EXEMPT] = "not for the program: exempt, or not in its filter",
		[TRACE_INTERCEPT_NOBODY] = "no program reads: goes on uninspected",
		[TRACE_INTERCEPT_OVERSIZE] = "longer than a slot: goes on uninspected",
		[TRACE_INTERCEPT_OVERFLOW] = "the ring is full: goes on uninspected",
		[TRACE_INTERCEPT_WITHDRAWN] = "the program did not take it: goes on uninspected",
	};

	_Static_assert(array_size(results) == TRACE_INTERCEPT_N, "a name each");
	_Static_assert(array_size(texts) == TRACE_INTERCEPT_N, "a text each");
	put(t, "result", choose(results, array_size(results), t->r->result));
	say(t, "%s", choose(texts, array_size(texts), t->r->result));
	if (t->r->result <= TRACE_INTERCEPT_COPIED)
		say_ring(t, t->r->value);
}

static void tell_ring(struct teller *t)
{
	const bool copy = t->r->result != 0;

	json_object_set_new(t->o, "copy", json_boolean(copy));
	say(t, copy ? "a copy into " : "into ");
	say_ring(t, t->r->value);
	if (!t->names->dry) {
		put_int(t, "slot", t->r->value2);
		say(t, " slot %u", t->r->value2);
	}
	say_program(t, t->r->value);
}

/* When the program got it; 0: there is no such record. */
static uint64_t lent_ns(const struct teller *t)
{
	for (const struct trace_record *r = t->r; r-- > t->j->records;)
		if (r->step == TRACE_RING && r->result == 0)
			return r->ns;
	return 0;
}

static void tell_return(struct teller *t)
{
	static const char *const how[] = {
		[ORIGIN_PORT] = "taken back from the program",
		[ORIGIN_BUFFER] = "known by its buffer",
		[ORIGIN_DIGEST] = "known by its length and first bytes",
		[ORIGIN_SOURCE] = "known by its source address",
		[ORIGIN_UNKNOWN] = "nobody knows from where",
	};
	static const char *const names[] = {"withdrawn", "buffer", "digest", "source", "unknown"};
	const uint64_t since = lent_ns(t);
	char took[24] = "";

	_Static_assert(array_size(how) == ORIGIN_N, "a text each");
	put_port(t);
	put(t, "how", choose(names, array_size(names), t->r->result));
	if (timed(t) && since) {
		put_int(t, "program_ns", (json_int_t)(t->r->ns - since));
		trace_text_time(t->r->ns - since, took, sizeof(took));
	}
	if (t->r->result != ORIGIN_PORT)
		say(t, t->names->dry ? "taken to come back unchanged" : "came back");
	else
		say(t, "%s", how[ORIGIN_PORT]);
	if (*took)
		say(t, " after %s", took);
	if (t->r->result != ORIGIN_PORT && !t->names->dry)
		say(t, ", %s", choose(how, array_size(how), t->r->result));
}

/* "FORWARD" */
static void say_hook_name(struct teller *t, uint32_t hook)
{
	for (const char *p = hook < HOOK_N ? hook_name((enum hook)hook) : "?"; *p; p++)
		say(t, "%c", toupper((unsigned char)*p));
}

static const char *const verdicts[] = {"accept", "drop", "mirror", "mark"};
_Static_assert(array_size(verdicts) == HOOK_VERDICT_N, "a name each");

static void tell_hook(struct teller *t)
{
	const struct trace_record *r = t->r;
	const char *verdict = choose(verdicts, array_size(verdicts), r->result);
	char to[TRACE_NAME_SIZE];

	put(t, "hook", r->value < HOOK_N ? hook_name((enum hook)r->value) : "?");
	say_hook_name(t, r->value);
	if (r->port) {
		put(t, "ifname", port_name(t, r->port, to, sizeof(to)));
		say(t, " to %s", to);
	}
	put(t, "verdict", verdict);
	if (r->value2 == 0) {
		say(t, ": no rule decides, it goes on");
		return;
	}
	put(t, "rule", r->name);
	put_int(t, "pos", r->value2);
	say(t, ": rule '%s' (%u): %s", r->name, r->value2, verdict);
	if (r->result == HOOK_MARK) {
		put_int(t, "mark", (json_int_t)r->mac);
		say(t, " %llu", (unsigned long long)r->mac);
	}
}

static void tell_mirror(struct teller *t)
{
	char to[TRACE_NAME_SIZE];

	put(t, "mirror", t->r->name);
	put(t, "ifname", port_name(t, t->r->port, to, sizeof(to)));
	say(t, "mirror '%s': a copy to %s", t->r->name, to);
}

static void tell_egress(struct teller *t)
{
	put_port(t);
	if (t->names->kernel)
		say(t, "to go on in the kernel at %s", own_port(t->r));
	else
		say(t, "for %s", own_port(t->r));
}

static void tell_tag(struct teller *t)
{
	static const char *const edits[] = {
		[VLAN_KEEP] = "keep", [VLAN_POP] = "pop", [VLAN_PUSH] = "push", [VLAN_SET] = "set"};

	put_port(t);
	put(t, "edit", choose(edits, array_size(edits), t->r->result));
	put_int(t, "vlan", t->r->vid);
	if (t->r->result == VLAN_POP)
		say(t, "for %s without its tag of VLAN %u", own_port(t->r), t->r->vid);
	else if (t->r->result == VLAN_PUSH)
		say(t, "for %s with a tag of VLAN %u", own_port(t->r), t->r->vid);
	else
		say(t, "for %s with VLAN %u in its tag", own_port(t->r), t->r->vid);
}

static void tell_offload(struct teller *t)
{
	const bool segments = t->r->result == TRACE_OFFLOAD_SEGMENT;

	put_port(t);
	put(t, "what", segments ? "segment" : "csum");
	if (!segments) {
		say(t, "checksum finished for %s", own_port(t->r));
		return;
	}
	put_int(t, "segments", t->r->value);
	say(t, "cut into %u segments for %s", t->r->value, own_port(t->r));
}

static void tell_tx(struct teller *t)
{
	put_port(t);
	put_int(t, "len", t->r->value);
	say(t, "sent on %s, %u bytes", own_port(t->r), t->r->value);
}

static enum drop_reason reason_of(const struct trace_record *r)
{
	return r->result < DROP_N ? (enum drop_reason)r->result : DROP_NO_EGRESS;
}

/* Why: the rule by its name, which is among the records before `end`. */
static void say_drop(struct teller *t, enum drop_reason reason, const struct trace_record *end)
{
	for (const struct trace_record *r = end; reason == DROP_RULE && r-- > t->j->records;) {
		if (r->step != TRACE_HOOK || r->result != HOOK_DROP)
			continue;
		say(t, "rule '%s' of ", r->name);
		say_hook_name(t, r->value);
		say(t, " (%s)", drop_name(reason));
		return;
	}
	say(t, "%s (%s)", drop_text(reason), drop_name(reason));
}

static void tell_drop(struct teller *t)
{
	const enum drop_reason reason = reason_of(t->r);

	put_port(t);
	put(t, "reason", drop_name(reason));
	say_drop(t, reason, t->r);
}

static void (*const tellers[TRACE_STEP_N])(struct teller *t) = {
	[TRACE_RX] = tell_rx,           [TRACE_PARSE] = tell_parse,
	[TRACE_STATE] = tell_state,     [TRACE_STP] = tell_stp,
	[TRACE_VLAN] = tell_vlan,       [TRACE_LEARN] = tell_learn,
	[TRACE_LOOKUP] = tell_lookup,   [TRACE_INTERCEPT] = tell_intercept,
	[TRACE_RING] = tell_ring,       [TRACE_RETURN] = tell_return,
	[TRACE_HOOK] = tell_hook,       [TRACE_MIRROR] = tell_mirror,
	[TRACE_EGRESS] = tell_egress,   [TRACE_TAG] = tell_tag,
	[TRACE_OFFLOAD] = tell_offload, [TRACE_TX] = tell_tx,
	[TRACE_DROP] = tell_drop,
};

/* ---- the picture ---- */

/* What is done for a port stands below the line that gives it the frame, if nothing of another port
 * is between them. */
static uint32_t depth_of(const struct trace_record *records, uint32_t i, uint32_t before)
{
	const struct trace_record *r = &records[i], *p = i ? &records[i - 1] : NULL;

	switch (r->step) {
	case TRACE_RX:
		return 0;
	case TRACE_RING:
	case TRACE_RETURN:
		return 2;
	case TRACE_OFFLOAD:
	case TRACE_TX:
	case TRACE_DROP:
		return p && p->port == r->port && (p->step == TRACE_EGRESS || before == 2) ? 2 : 1;
	default:
		return 1;
	}
}

static json_t *steps_of(struct teller *t)
{
	const struct journey *j = t->j;
	json_t *steps = json_array();
	uint64_t last = j->start_ns;
	uint32_t depth = 0;

	for (uint32_t i = 0; i < j->n; i++) {
		const struct trace_record *r = &j->records[i];
		const enum trace_step step = (enum trace_step)r->step;

		depth = depth_of(j->records, i, depth);
		t->r = r;
		t->at = 0;
		t->text[0] = '\0';
		t->o = json_pack("{s:s, s:i}", "step", trace_step_name(step), "depth", (int)depth);
		if (timed(t)) {
			put_int(t, "at_ns", (json_int_t)(r->ns - j->start_ns));
			put_int(t, "ns", (json_int_t)(r->ns - last));
			last = r->ns;
		}
		tellers[step](t);
		put(t, "text", t->text);
		json_array_append_new(steps, t->o);
	}
	return steps;
}

static json_t *frame_of(const struct journey *j)
{
	struct frame f = {.data = (uint8_t *)j->bytes, .len = j->n_bytes};
	char dst[MAC_TEXT_SIZE], src[MAC_TEXT_SIZE], type[16], summary[FRAME_SUMMARY_SIZE];
	json_t *o = json_pack("{s:I}", "len", (json_int_t)j->len);

	frame_summary(j->bytes, j->n_bytes, j->len, summary, sizeof(summary));
	json_object_set_new(o, "summary", text_value(summary));
	if (!frame_parse(&f))
		return o;
	snprintf(type, sizeof(type), "0x%04x", f.ethertype);
	json_object_update_new(o, json_pack("{s:s, s:s, s:s}", "dst", mac_format(f.dst, dst), "src",
					    mac_format(f.src, src), "ethertype", type));
	if (f.n_tags)
		json_object_set_new(o, "vlan", json_integer(frame_tag_vid(&f)));
	return o;
}

/* ---- what became of it ---- */

/* Names of the ports that sent it; *ret_host: the host got it, too. */
static json_t *senders(const struct teller *t, bool *ret_host)
{
	json_t *names = json_array();

	*ret_host = false;
	for (uint32_t i = 0; i < t->j->n; i++) {
		const struct trace_record *r = &t->j->records[i];

		if (!journey_sent(t->j, i))
			continue;
		if (t->names->host_port && r->port == t->names->host_port)
			*ret_host = true;
		else
			json_array_append_new(names, text_value(own_port(r)));
	}
	return names;
}

static void say_names(struct teller *t, const json_t *names)
{
	const size_t n = json_array_size(names);
	const size_t shown = n > NAMES_SHOWN + 1 ? NAMES_SHOWN : n;

	for (size_t i = 0; i < shown; i++)
		say(t, "%s%s",
		    i == 0       ? ""
		    : i + 1 == n ? " and "
				 : ", ",
		    json_string_value(json_array_get(names, i)));
	if (shown < n)
		say(t, " and %zu more", n - shown);
}

static void say_when(struct teller *t)
{
	char took[24];

	if (timed(t) && t->j->n > 0)
		say(t, ", %s after it came in",
		    trace_text_time(t->j->records[t->j->n - 1].ns - t->j->start_ns, took,
				    sizeof(took)));
}

/* Copies of it that were dropped while others were not. */
static void say_other_drops(struct teller *t)
{
	uint32_t n = 0;
	const struct trace_record *last = NULL;

	for (uint32_t i = 0; i < t->j->n; i++) {
		if (t->j->records[i].step != TRACE_DROP)
			continue;
		last = &t->j->records[i];
		n++;
	}
	if (n == 0)
		return;
	say(t, n == 1 ? "; a copy was dropped: " : "; %u copies were dropped, the last: ", n);
	say_drop(t, reason_of(last), last);
}

static void tell_sent(struct teller *t)
{
	bool host;
	json_t *names = senders(t, &host);

	put(t, "what", json_array_size(names) ? "sent" : "delivered");
	if (json_array_size(names)) {
		say(t, t->names->kernel ? "goes on in the kernel at "
					: (t->names->dry ? "would be sent on " : "sent on "));
		say_names(t, names);
	}
	if (host) {
		say(t, json_array_size(names) ? ", and " : t->names->dry ? "would be " : "");
		say(t, "delivered to the host");
		json_object_set_new(t->o, "host", json_true());
	}
	json_object_set_new(t->o, "ifnames", names);
	say_when(t);
	say_other_drops(t);
}

static void tell_nothing(struct teller *t)
{
	const struct trace_record *last = t->j->n ? &t->j->records[t->j->n - 1] : NULL;

	put(t, "what", "lost-sight");
	if (t->j->n_lost)
		say(t, "lost sight of it: %u more steps found no room", t->j->n_lost);
	else if (last && last->step == TRACE_RING && last->result)
		say(t, "only a copy for the program");
	else
		say(t, "no copy of it went anywhere");
}

static json_t *end_of(struct teller *t)
{
	enum drop_reason reason = DROP_NO_EGRESS;

	t->at = 0;
	t->text[0] = '\0';
	t->o = json_object();
	switch (journey_outcome(t->j, t->names->host_port, &reason)) {
	case OUTCOME_SENT:
	case OUTCOME_DELIVERED:
		tell_sent(t);
		break;
	case OUTCOME_DROPPED:
		put(t, "what", "dropped");
		say(t, t->names->dry ? "would be dropped: " : "dropped: ");
		put(t, "reason", drop_name(reason));
		say_drop(t, reason, t->j->records + t->j->n);
		break;
	case OUTCOME_LENT:
		put(t, "what", "with-program");
		say(t, "still with the program");
		break;
	case OUTCOME_CONSUMED:
		put(t, "what", "consumed");
		say(t, t->names->dry ? "would be for the spanning tree"
				     : "consumed by the spanning tree");
		break;
	default:
		tell_nothing(t);
		break;
	}
	if (t->j->n_lost)
		put_int(t, "steps_lost", t->j->n_lost);
	put(t, "text", t->text);
	return t->o;
}

json_t *trace_text(const struct journey *j, const struct trace_names *names)
{
	struct teller t = {.j = j, .names = names};
	json_t *o = json_object();

	json_object_set_new(o, "bridge", text_value(names->bridge));
	if (!names->dry)
		json_object_set_new(o, "id", json_integer((json_int_t)j->id));
	json_object_set_new(o, "time", json_real(names->time));
	json_object_set_new(o, "ifname", text_value(j->in_name));
	json_object_set_new(o, "frame", frame_of(j));
	json_object_set_new(o, "steps", steps_of(&t));
	json_object_set_new(o, "end", end_of(&t));
	return o;
}
