/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spanning tree in the simulator: BPDUs that travel between bridges, and words to set and check.
 * After each line and each tick, when all is quiet, the ports that forward must not form a loop;
 * that holds for bridges whose spanning tree is on, whatever else a scenario checks.
 */
#include "sim.h"

static void push(struct sim *s, unsigned bridge, const struct bport *p, const uint8_t *data)
{
	struct bpdu_tx *t = &s->bpdus[s->bpdu_head % BPDUS_MAX];

	if (s->bpdu_head++ - s->bpdu_tail == BPDUS_MAX)
		fail(s, "BPDUs do not come to rest");
	t->bridge = bridge;
	t->port = p->no;
	lan_of(p, t->lan);
	memcpy(t->data, data, BPDU_FRAME_SIZE);
}

static void sent(void *ctx, struct bport *p, const uint8_t *data)
{
	struct bridge_sim *b = ctx;

	push(b->s, (unsigned)(b - b->s->bridges), p, data);
}

void stp_watch(struct bridge_sim *b)
{
	b->k->on_own = sent;
	b->k->on_own_ctx = b;
}

/* A BPDU arrives. What a bridge without spanning tree makes of it goes on. */
static void arrive(struct sim *s, unsigned n, struct bport *p, const uint8_t *data, uint32_t len)
{
	struct kit *k = s->bridges[n].k;
	struct frame *f = kit_frame(k, 0, 0, len);

	memcpy(f->data, data, len);
	k->now_ns = s->now_ns;
	run_bridge(&s->bridges[n], p);
	for (uint32_t i = 0; i < k->out->n_used; i++) {
		const struct bport *to = bridge_port(k->br, k->out->used[i]);

		if (!to->host)
			push(s, n, to, k->out->lists[to->no].frames[0]->data);
	}
	kit_sent(k);
}

static void carry(struct sim *s, const struct bpdu_tx *t)
{
	char lan[BPORT_NAME_SIZE];

	if (is_cut(s, t->lan) || s->bridges[t->bridge].dead)
		return;
	for (unsigned n = 0; n < BRIDGES_MAX; n++) {
		struct bport *p = NULL;

		if (!s->bridges[n].k || s->bridges[n].dead)
			continue;
		while ((p = bridge_port_next(s->bridges[n].k->br, p))) {
			lan_of(p, lan);
			if (p->host || !p->link_up || strcmp(lan, t->lan) ||
			    (n == t->bridge && p->no == t->port))
				continue;
			arrive(s, n, p, t->data, BPDU_FRAME_SIZE);
		}
	}
}

/* ---- loops ---- */

/* Bridges are nodes 0 to BRIDGES_MAX - 1, LANs follow. */
struct graph {
	unsigned parent[BRIDGES_MAX + LANS_MAX];
	char lans[LANS_MAX][BPORT_NAME_SIZE];
	unsigned n_lans;
};

static unsigned find(struct graph *g, unsigned node)
{
	while (g->parent[node] != node)
		node = g->parent[node];
	return node;
}

static unsigned lan_node(struct graph *g, const char *lan)
{
	for (unsigned i = 0; i < g->n_lans; i++) {
		if (strcmp(g->lans[i], lan) == 0)
			return BRIDGES_MAX + i;
	}
	kit_check(g->n_lans < LANS_MAX, "too many LANs");
	snprintf(g->lans[g->n_lans], BPORT_NAME_SIZE, "%s", lan);
	return BRIDGES_MAX + g->n_lans++;
}

/* Every port that forwards joins its bridge with its LAN; what is joined already is a loop. */
static void check_loops(struct sim *s)
{
	struct graph g = {.n_lans = 0};

	for (unsigned i = 0; i < array_size(g.parent); i++)
		g.parent[i] = i;
	for (unsigned n = 0; n < BRIDGES_MAX; n++) {
		struct bport *p = NULL;

		if (!s->bridges[n].k || s->bridges[n].dead ||
		    !stp_is_on(bridge_stp(s->bridges[n].k->br)))
			continue;
		while ((p = bridge_port_next(s->bridges[n].k->br, p))) {
			char lan[BPORT_NAME_SIZE];
			unsigned a, b;

			lan_of(p, lan);
			if (p->host || p->state != BPORT_FORWARDING || is_cut(s, lan))
				continue;
			a = find(&g, n);
			b = find(&g, lan_node(&g, lan));
			if (a == b)
				fail(s, "at %.0f s: a loop through %u.%s", (double)s->now_ns / 1e9,
				     n, p->name);
			g.parent[a] = b;
		}
	}
}

void stp_settle(struct sim *s)
{
	while (s->bpdu_tail != s->bpdu_head) {
		struct bpdu_tx t = s->bpdus[s->bpdu_tail++ % BPDUS_MAX];

		carry(s, &t);
	}
	check_loops(s);
}

/* ---- settings ---- */

static uint8_t choice(struct sim *s, const char *text)
{
	if (strcmp(text, "auto") == 0)
		return STP_AUTO;
	return on_off(s, text) ? STP_ON : STP_OFF;
}

static void set_bridge(struct sim *s, struct bridge_sim *b)
{
	struct stp *stp = bridge_stp(b->k->br);
	struct stp_settings set = *stp_settings(stp);

	for (unsigned i = 2; i < s->n_words; i += 2) {
		const char *name = s->words[i], *value = word(s, i + 1);

		if (strcmp(name, "enabled") == 0)
			set.enabled = on_off(s, value);
		else if (strcmp(name, "version") == 0)
			set.version = strcmp(value, "stp") ? STP_VERSION_RSTP : STP_VERSION_STP;
		else if (strcmp(name, "priority") == 0)
			set.priority = (uint16_t)number(s, value);
		else if (strcmp(name, "hello") == 0)
			set.hello = (uint8_t)number(s, value);
		else if (strcmp(name, "max_age") == 0)
			set.max_age = (uint8_t)number(s, value);
		else if (strcmp(name, "forward_delay") == 0)
			set.forward_delay = (uint8_t)number(s, value);
		else if (strcmp(name, "hold") == 0)
			set.tx_hold_count = (uint8_t)number(s, value);
		else if (strcmp(name, "short_costs") == 0)
			set.short_costs = on_off(s, value);
		else
			fail(s, "stp: %s: no such setting of a bridge", name);
	}
	if (stp_settings_check(&set))
		fail(s, "%s", stp_settings_check(&set));
	stp_set(stp, &set);
}

static void set_port(struct sim *s, struct bridge_sim *b, const struct bport *p)
{
	struct stp *stp = bridge_stp(b->k->br);
	struct stp_port_settings set = *stp_port_settings(stp, p->no);

	if (is(s, 2, "mcheck") || is(s, 2, "clear")) {
		(is(s, 2, "mcheck") ? stp_port_mcheck : stp_port_guard_clear)(stp, p->no);
		return;
	}
	if (is(s, 2, "speed")) {
		stp_port_speed(stp, p->no, (uint32_t)number(s, word(s, 3)), !is(s, 4, "half"));
		return;
	}
	for (unsigned i = 2; i < s->n_words; i += 2) {
		const char *name = s->words[i], *value = word(s, i + 1);

		if (strcmp(name, "cost") == 0)
			set.cost = (uint32_t)number(s, value);
		else if (strcmp(name, "priority") == 0)
			set.priority = (uint8_t)number(s, value);
		else if (strcmp(name, "edge") == 0)
			set.edge = choice(s, value);
		else if (strcmp(name, "p2p") == 0)
			set.p2p = choice(s, value);
		else if (strcmp(name, "guard") == 0)
			set.bpdu_guard = on_off(s, value);
		else if (strcmp(name, "root_block") == 0)
			set.root_block = on_off(s, value);
		else if (strcmp(name, "filter") == 0)
			set.bpdu_filter = on_off(s, value);
		else
			fail(s, "stp: %s: no such setting of a port", name);
	}
	stp_port_set(stp, p->no, &set);
}

/* stp B NAME VALUE... | stp B.P NAME VALUE... | stp B.P mcheck | clear | speed MBPS [half] */
void cmd_stp(struct sim *s)
{
	struct bridge_sim *b;

	if (is(s, 1, "all")) {
		for (unsigned n = 0; n < BRIDGES_MAX; n++) {
			if (s->bridges[n].k)
				set_bridge(s, &s->bridges[n]);
		}
	} else if (strchr(word(s, 1), '.')) {
		struct bport *p = port_at(s, s->words[1], &b);

		set_port(s, b, p);
	} else {
		set_bridge(s, bridge_at(s, s->words[1]));
	}
}

/* "4096.42": a bridge identifier; priority and address. */
static uint64_t identifier(struct sim *s, char *text)
{
	char *dot = strchr(text, '.');

	if (!dot)
		fail(s, "%s: not PRIORITY.ADDRESS", text);
	*dot = 0;
	return number(s, text) << 48 | address(s, dot + 1);
}

static uint8_t flags_of(struct sim *s, const char *text)
{
	static const char letters[] = "tplfaT";
	static const uint8_t bits[] = {BPDU_TC,         BPDU_PROPOSAL,  BPDU_LEARNING,
				       BPDU_FORWARDING, BPDU_AGREEMENT, BPDU_TC_ACK};
	uint8_t r = 0;

	for (; *text; text++) {
		const char *at = strchr(letters, *text);

		if (!at)
			fail(s, "flags: %c: none of t, p, l, f, a, T", *text);
		r |= bits[at - letters];
	}
	return r;
}

/*
 * A BPDU from nowhere: bpdu B.P rst|config|tcn [root ID] [cost N] [bridge ID] [port N] [age S]
 * [max_age S] [hello S] [forward_delay S] [role designated|root|alternate] [flags LETTERS]
 * [@AT BYTE]... [cut LEN]: then those bytes of the frame are changed, and it ends after LEN
 */
void cmd_bpdu(struct sim *s)
{
	struct bridge_sim *b;
	struct bport *p = port_at(s, word(s, 1), &b);
	struct bpdu m = {.kind = BPDU_RST, .role = BPDU_ROLE_DESIGNATED, .port = 0x8001};
	uint8_t frame[BPDU_FRAME_SIZE], changed[BPDU_FRAME_SIZE] = {0}, bytes[BPDU_FRAME_SIZE];
	uint32_t len = BPDU_FRAME_SIZE;

	m.times = (struct bpdu_times){0, 20 * BPDU_SECOND, 2 * BPDU_SECOND, 15 * BPDU_SECOND};
	m.kind = is(s, 2, "tcn") ? BPDU_TCN : is(s, 2, "config") ? BPDU_CONFIG : BPDU_RST;
	for (unsigned i = 3; i < s->n_words; i += 2) {
		const char *name = s->words[i];
		char *value = word(s, i + 1);

		if (strcmp(name, "root") == 0)
			m.root = identifier(s, value);
		else if (strcmp(name, "bridge") == 0)
			m.bridge = identifier(s, value);
		else if (strcmp(name, "cost") == 0)
			m.cost = (uint32_t)number(s, value);
		else if (strcmp(name, "port") == 0)
			m.port = (uint16_t)number(s, value);
		else if (strcmp(name, "age") == 0)
			m.times.message_age = (uint16_t)(number(s, value) * BPDU_SECOND);
		else if (strcmp(name, "max_age") == 0)
			m.times.max_age = (uint16_t)(number(s, value) * BPDU_SECOND);
		else if (strcmp(name, "hello") == 0)
			m.times.hello = (uint16_t)(number(s, value) * BPDU_SECOND);
		else if (strcmp(name, "forward_delay") == 0)
			m.times.forward_delay = (uint16_t)(number(s, value) * BPDU_SECOND);
		else if (strcmp(name, "flags") == 0)
			m.flags = flags_of(s, value);
		else if (strcmp(name, "role") == 0)
			m.role = value[0] == 'd'   ? BPDU_ROLE_DESIGNATED
				 : value[0] == 'r' ? BPDU_ROLE_ROOT
						   : BPDU_ROLE_ALTERNATE;
		else if (name[0] == '@' && strtoul(name + 1, NULL, 0) < BPDU_FRAME_SIZE) {
			changed[strtoul(name + 1, NULL, 0)] = 1;
			bytes[strtoul(name + 1, NULL, 0)] = (uint8_t)number(s, value);
		} else if (strcmp(name, "cut") == 0 && number(s, value) <= BPDU_FRAME_SIZE)
			len = (uint32_t)number(s, value);
		else
			fail(s, "bpdu: %s: unknown field", name);
	}
	bpdu_build(&m, STATION_BASE + 0xbbbbbb, frame);
	for (uint32_t i = 0; i < BPDU_FRAME_SIZE; i++)
		if (changed[i])
			frame[i] = bytes[i];
	arrive(s, (unsigned)(b - s->bridges), p, frame, len);
}

/* cut LAN | join LAN: it carries nothing, without a link going down; it carries again. */
void cmd_cut(struct sim *s)
{
	const char *lan = word(s, 1);

	for (unsigned i = 0; i < s->n_cut; i++) {
		if (strcmp(s->cut[i], lan))
			continue;
		memmove(s->cut[i], s->cut[i + 1], (s->n_cut - i - 1) * sizeof(s->cut[0]));
		s->n_cut--;
		break;
	}
	if (is(s, 0, "join"))
		return;
	if (s->n_cut == LANS_MAX)
		fail(s, "cut: too many");
	snprintf(s->cut[s->n_cut++], BPORT_NAME_SIZE, "%s", lan);
}

/* kill B | revive B */
void cmd_kill(struct sim *s)
{
	bridge_at(s, word(s, 1))->dead = is(s, 0, "kill");
}

/* ---- checks ---- */

static void check_root(struct sim *s, const struct bridge_sim *b, const char *want)
{
	const struct bridge_sim *root = bridge_at(s, want);
	struct stp_status st;

	stp_status(bridge_stp(b->k->br), &st);
	if ((st.root & 0xffffffffffffULL) != bridge_mac(root->k->br))
		fail(s, "the root of bridge %s is %016llx", s->words[1],
		     (unsigned long long)st.root);
}

static void check_one_root(struct sim *s)
{
	uint64_t root = 0;

	for (unsigned n = 0; n < BRIDGES_MAX; n++) {
		struct stp_status st;

		if (!s->bridges[n].k || s->bridges[n].dead)
			continue;
		stp_status(bridge_stp(s->bridges[n].k->br), &st);
		if (root && st.root != root)
			fail(s, "bridge %u has another root, %016llx", n,
			     (unsigned long long)st.root);
		root = st.root;
	}
}

static bool check_port(struct sim *s)
{
	struct stp_port_status st;
	struct bridge_sim *b;
	struct bport *p = port_at(s, word(s, 1), &b);
	const char *name = word(s, 2);
	unsigned long is_now;

	stp_port_status(bridge_stp(b->k->br), p->no, &st);
	if (strcmp(name, "role") == 0) {
		if (strcmp(stp_role_name(st.role), word(s, 3)))
			fail(s, "the role is %s", stp_role_name(st.role));
		return true;
	}
	if (strcmp(name, "sends") == 0) {
		if (strcmp(st.rstp ? "rstp" : "stp", word(s, 3)))
			fail(s, "it sends %s", st.rstp ? "rstp" : "stp");
		return true;
	}
	if (strcmp(name, "cost") == 0)
		is_now = st.cost;
	else if (strcmp(name, "edge") == 0)
		is_now = st.edge;
	else if (strcmp(name, "guarded") == 0)
		is_now = st.guarded;
	else if (strcmp(name, "root_blocked") == 0)
		is_now = st.root_blocked;
	else if (strcmp(name, "tx_bpdu") == 0)
		is_now = (unsigned long)st.counters.tx_bpdu;
	else if (strcmp(name, "rx_bpdu") == 0)
		is_now = (unsigned long)st.counters.rx_bpdu;
	else
		return false;
	if (is_now != (word(s, 3)[0] == 'o' ? on_off(s, s->words[3]) : number(s, s->words[3])))
		fail(s, "%s is %lu", name, is_now);
	return true;
}

bool stp_check(struct sim *s)
{
	struct bridge_sim *b;
	struct stp_status st;

	if (is(s, 1, "one-root")) {
		check_one_root(s);
		return true;
	}
	if (strchr(word(s, 1), '.'))
		return check_port(s);
	b = bridge_at(s, s->words[1]);
	stp_status(bridge_stp(b->k->br), &st);
	if (is(s, 2, "root")) {
		check_root(s, b, word(s, 3));
		return true;
	}
	if (is(s, 2, "root_cost")) {
		if (st.root_cost != number(s, word(s, 3)))
			fail(s, "the cost to the root is %u", st.root_cost);
		return true;
	}
	if (is(s, 2, "max_age")) {
		if (st.times.max_age / BPDU_SECOND != number(s, word(s, 3)))
			fail(s, "max_age is %u", st.times.max_age / BPDU_SECOND);
		return true;
	}
	return false;
}
