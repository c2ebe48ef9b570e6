/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/drop.h"

#include <string.h>

#define SHORTEST 60u /* a frame as devices send it */
#define REST     (DROP_BYTES - SHORTEST)

static const char *const names[] = {
#define X(id, name, text) name,
	DROP_LIST(X)
#undef X
};
_Static_assert(array_size(names) == DROP_N, "a name for each reason");

static const char *const texts[] = {
#define X(id, name, text) text,
	DROP_LIST(X)
#undef X
};

void drop_note(struct drop_log *log, uint32_t port, enum drop_reason r, const uint8_t *data,
	       uint32_t caplen, uint32_t len)
{
	struct drop_last *l;
	uint32_t period;

	if (unlikely(!log))
		return;
	l = &log->last[r];
	l->time_ns = log->now_ns;
	period = (uint32_t)(log->now_ns >> DROP_PERIOD_LOG);
	if (unlikely(period != l->period)) {
		l->n_before = period == l->period + 1 ? l->n : 0;
		l->n = 0;
		l->period = period;
	}
	l->n++;
	l->len = len;
	l->port = port;
	l->caplen = (uint16_t)min_of(caplen, DROP_BYTES);
	/* Fixed sizes need no call: 60 bytes, and the last ones, which may overlap. */
	if (likely(caplen >= SHORTEST)) {
		memcpy(l->data, data, SHORTEST);
		memcpy(l->data + l->caplen - REST, data + l->caplen - REST, REST);
	} else if (caplen > 0) {
		memcpy(l->data, data, caplen);
	}
}

double drop_rate(const struct drop_last *l, uint64_t now_ns)
{
	const uint32_t period = (uint32_t)(now_ns >> DROP_PERIOD_LOG);
	const uint32_t n = period == l->period ? l->n_before : period == l->period + 1 ? l->n : 0;

	return n * 1e9 / (1ULL << DROP_PERIOD_LOG);
}

const char *drop_name(enum drop_reason r)
{
	return names[r];
}

const char *drop_text(enum drop_reason r)
{
	return texts[r];
}

bool drop_is_late(enum drop_reason r)
{
	switch (r) {
	case DROP_TX_FULL:
	case DROP_TX_DOWN:
	case DROP_TX_REFUSED:
	case DROP_OVERSIZE:
	case DROP_CSUM_RANGE:
	case DROP_GSO_KIND:
	case DROP_GSO_MALFORMED:
	case DROP_NO_BUFFER:
		return true;
	default:
		return false;
	}
}
