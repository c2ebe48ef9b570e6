/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/capture_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/fmt.h"
#include "cli/table.h"

struct text {
	char *buf;
	size_t size, len;
};

static _printf_(2, 3) void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len = min_of(t->len + (size_t)n, t->size - 1);
}

const char *capture_verdict(const struct capring_record *r)
{
	static const char *const names[CAPRING_VERDICT_N] = {
		[CAPRING_NONE] = "",           [CAPRING_UNICAST] = "forwarded",
		[CAPRING_FLOOD] = "flooded",   [CAPRING_HOST] = "host",
		[CAPRING_PROGRAM] = "program", [CAPRING_DROPPED] = "dropped",
		[CAPRING_CONSUMED] = "stp",    [CAPRING_KERNEL] = "kernel",
		[CAPRING_COPY] = "copy",
	};

	return r->verdict < CAPRING_VERDICT_N ? names[r->verdict] : "";
}

const char *capture_port(const struct capture_names *n, uint16_t no, char *buf, size_t size)
{
	if (no < CAPRING_PORTS && n->ports[no][0])
		return text_safe(n->ports[no], buf, size);
	if (no == 0)
		snprintf(buf, size, "no port");
	else
		snprintf(buf, size, "port %u", no);
	return buf;
}

static const json_t *reason_of(const struct capture_names *n, const struct capring_record *r)
{
	return json_array_get(n->reasons, r->reason);
}

const char *capture_reason(const struct capture_names *n, const struct capring_record *r)
{
	return r->n_dropped ? row_text(reason_of(n, r), "reason") : NULL;
}

static void add_reason(struct text *t, const struct capture_names *n,
		       const struct capring_record *r)
{
	const json_t *reason = reason_of(n, r);

	add(t, "%s, %s", row_text(reason, "reason"), row_text(reason, "text"));
}

static void add_verdict(struct text *t, const struct capture_names *n,
			const struct capring_record *r)
{
	char name[32];

	switch (r->verdict) {
	case CAPRING_UNICAST:
		add(t, "forwarded to %s", capture_port(n, r->to_port, name, sizeof(name)));
		break;
	case CAPRING_FLOOD:
		add(t, "flooded");
		if (r->n_takers)
			add(t, " to %u port%s", r->n_takers, r->n_takers == 1 ? "" : "s");
		break;
	case CAPRING_HOST:
		add(t, "to the host");
		break;
	case CAPRING_PROGRAM:
		add(t, "to a program, ring %u", r->ring);
		break;
	case CAPRING_DROPPED:
		add(t, "dropped: ");
		add_reason(t, n, r);
		break;
	case CAPRING_CONSUMED:
		add(t, "for the spanning tree");
		break;
	case CAPRING_KERNEL:
		add(t, "on to the kernel");
		break;
	case CAPRING_COPY:
		add(t, "a copy, the frame itself went on");
		break;
	default:
		break;
	}
}

/* Besides the verdict: copies that went elsewhere. */
static void add_copies(struct text *t, const struct capture_names *n,
		       const struct capring_record *r)
{
	char name[32];

	if (r->flags & CAPRING_SHOWN && r->verdict != CAPRING_COPY)
		add(t, "; a copy to a program, ring %u", r->ring);
	if (r->n_dropped == 0 || r->verdict == CAPRING_DROPPED)
		return;
	add(t, "; %u cop%s dropped", r->n_dropped, r->n_dropped == 1 ? "y" : "ies");
	add(t, r->n_dropped == 1 ? " at %s: " : ", the first at %s: ",
	    capture_port(n, r->drop_port, name, sizeof(name)));
	add_reason(t, n, r);
}

static void add_origin(struct text *t, const struct capture_names *n,
		       const struct capring_record *r)
{
	const bool program = r->flags & CAPRING_MADE;
	char name[32];

	if (r->flags & CAPRING_LOCAL)
		add(t, "from the host%s", program ? " by way of a program" : "");
	else if (r->in_port)
		add(t, "from %s%s", capture_port(n, r->in_port, name, sizeof(name)),
		    program ? " by way of a program" : "");
	else
		add(t, "made by %s", program ? "a program" : "the bridge itself");
}

static void add_offload(struct text *t, const struct capring_record *r)
{
	static const char *const kinds[] = {"", "TCPv4", "TCPv6", "UDP"};

	if (r->gso && r->gso < array_size(kinds))
		add(t, "; GSO: %s segments with %u bytes of payload each", kinds[r->gso],
		    r->gso_size);
	if (r->flags & CAPRING_CSUM_PARTIAL)
		add(t, "; its checksum is not finished yet");
}

const char *capture_text(const struct capture_names *n, const struct capring_record *r, char *buf,
			 size_t size)
{
	struct text t = {buf, size, 0};

	add(&t, "%s: ", capring_point_name(r->point));
	switch (r->point) {
	case CAPRING_OUT:
		add_origin(&t, n, r);
		break;
	case CAPRING_DROP:
		add_reason(&t, n, r);
		if (r->flags & CAPRING_EGRESS && r->in_port != r->port) {
			add(&t, "; ");
			add_origin(&t, n, r);
		}
		break;
	case CAPRING_BEFORE:
		add(&t, "%sto a program, ring %u", r->flags & CAPRING_SHOWN ? "a copy " : "",
		    r->ring);
		break;
	case CAPRING_AFTER:
		if (r->flags & CAPRING_MADE)
			add(&t, "made by a program, ");
		/* fallthrough */
	default:
		add_verdict(&t, n, r);
		add_copies(&t, n, r);
		break;
	}
	add_offload(&t, r);
	return buf;
}
