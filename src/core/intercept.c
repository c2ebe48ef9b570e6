/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plan of a side:
 *
 *   mode   rings                             open          closed
 *   none   any                               nothing       nothing
 *   copy   none live                         nothing       nothing
 *   copy   some live                         copy          copy
 *   auto   nothing can come back, none live  nothing       take
 *   auto   nothing can come back, some live  copy          take
 *   auto   something can come back           take          take
 *   local  any                               local         local
 *   all    any                               take          take
 *
 * "Take" of a frame whose ring is not live means what `fail` says: it goes on, counted, or is
 * dropped. When nothing can come back, `auto` does not divert; a bridge that fails closed must not
 * let frames by for that, so there it takes from rings that are not live, whatever their state.
 */
#include "core/intercept.h"

#include <string.h>

void intercept_settings_init(struct intercept_settings *s)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < INTERCEPT_SIDE_N; i++)
		s->n_rings[i] = 1;
	s->stall_ms = 1000;
	s->slot_len = 2048;
}

static bool ring_is_live(uint8_t state)
{
	return state & INTERCEPT_BOUND && state & INTERCEPT_SYNCED && !(state & INTERCEPT_STALLED);
}

static uint64_t live_rings(const struct intercept *ic, const struct intercept_side_state *s)
{
	const uint32_t n = ic->set.n_rings[s - ic->sides];
	uint64_t r = 0;

	for (uint32_t i = 0; i < n; i++)
		r |= (uint64_t)ring_is_live(s->rings[i]) << i;
	return r;
}

static void plan(struct intercept *ic, struct intercept_side_state *s)
{
	const bool closed = ic->set.fail == INTERCEPT_CLOSED;
	uint64_t live = live_rings(ic, s);
	enum intercept_action a = live ? INTERCEPT_DO_COPY : INTERCEPT_DO_NOTHING;

	switch (ic->set.mode) {
	case INTERCEPT_NONE:
		a = INTERCEPT_DO_NOTHING;
		break;
	case INTERCEPT_COPY:
		break;
	case INTERCEPT_LOCAL:
		a = INTERCEPT_DO_LOCAL;
		break;
	case INTERCEPT_ALL:
		a = INTERCEPT_DO_TAKE;
		break;
	default:
		if (!s->tx_bound && !closed)
			break;
		a = INTERCEPT_DO_TAKE;
		if (!s->tx_bound)
			live = 0;
	}
	s->action = (uint8_t)a;
	s->live = live;
}

static void plan_all(struct intercept *ic)
{
	for (int i = 0; i < INTERCEPT_SIDE_N; i++)
		plan(ic, &ic->sides[i]);
}

void intercept_init(struct intercept *ic, const uint8_t random[16])
{
	memset(ic, 0, sizeof(*ic));
	intercept_settings_init(&ic->set);
	flowhash_init(&ic->key, random);
	plan_all(ic);
}

void intercept_set(struct intercept *ic, const struct intercept_settings *s)
{
	struct intercept_settings def;

	intercept_settings_init(&def);
	ic->set = *s;
	if (s->mode >= INTERCEPT_MODE_N)
		ic->set.mode = def.mode;
	if (s->fail >= INTERCEPT_FAIL_N)
		ic->set.fail = def.fail;
	if (s->overflow >= INTERCEPT_OVERFLOW_N)
		ic->set.overflow = def.overflow;
	if (s->reserved >= INTERCEPT_RESERVED_N)
		ic->set.reserved = def.reserved;
	if (s->oversize >= INTERCEPT_OVERSIZE_N)
		ic->set.oversize = def.oversize;
	for (int i = 0; i < INTERCEPT_SIDE_N; i++)
		if (s->n_rings[i] < 1 || s->n_rings[i] > RINGS_MAX)
			ic->set.n_rings[i] = def.n_rings[i];
	if (s->stall_ms == 0)
		ic->set.stall_ms = def.stall_ms;
	if (s->slot_len == 0)
		ic->set.slot_len = def.slot_len;
	plan_all(ic);
}

void intercept_set_ring(struct intercept *ic, enum intercept_side side, uint32_t ring,
			uint8_t state)
{
	if (ring >= RINGS_MAX)
		return;
	ic->sides[side].rings[ring] = state;
	plan(ic, &ic->sides[side]);
}

void intercept_set_tx(struct intercept *ic, enum intercept_side side, bool bound)
{
	ic->sides[side].tx_bound = bound;
	plan(ic, &ic->sides[side]);
}

static const char *const mode_names[] = {"auto", "all", "local", "copy", "none"};
_Static_assert(array_size(mode_names) == INTERCEPT_MODE_N, "a name for each mode");

const char *intercept_mode_name(enum intercept_mode m)
{
	return m < INTERCEPT_MODE_N ? mode_names[m] : NULL;
}
