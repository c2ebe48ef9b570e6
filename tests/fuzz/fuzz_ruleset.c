/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a listing of iptables-save, or of nft where they begin with '{'. Every drop that is
 * reported must be in a chain that a hook calls.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ruleset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(void *ctx, const struct ruleset_drop *d)
{
	if (d->hook == RULESET_NO_HOOK || d->base->hook != d->hook || !d->chain->name ||
	    strcmp(d->base->table, d->chain->table) != 0)
		abort();
	if (d->rule ? d->rule->match == RULESET_NO || d->rule->verdict != RULESET_DROP
		    : !d->base->policy_drop)
		abort();
	if (d->how == RULESET_DROPS_ALL && d->n_before)
		abort();
}

static void walk(struct ruleset *rs)
{
	ruleset_drops(rs, take, NULL);
	ruleset_deinit(rs);
}

static void try_nft(const uint8_t *data, size_t size)
{
	static const char *const families[] = {"ip", "ip6", "bridge", "netdev"};
	json_t *listing = json_loadb((const char *)data, size, 0, NULL);
	struct ruleset rs;

	for (size_t i = 0; listing && i < 4; i++) {
		ruleset_init(&rs, "br0");
		ruleset_read_nft(&rs, listing, families[i], i % 2);
		walk(&rs);
	}
	json_decref(listing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ruleset rs;
	char *text;

	if (size && *data == '{') {
		try_nft(data, size);
		return 0;
	}
	text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	ruleset_init(&rs, "br0");
	ruleset_read_save(&rs, text);
	walk(&rs);
	free(text);
	return 0;
}
