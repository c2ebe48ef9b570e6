/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as the name of a port: libnetmap's parser, with options that touch nothing outside, and
 * nm_open's. What is refused must be EINVAL or EOPNOTSUPP and leave everything as it was; what is
 * accepted must be in range.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NETMAP_WITH_LIBS
#include "libnetmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void no_newline(struct nmctx *ctx, const char *text)
{
	must(*text && !strchr(text, '\n'));
}

static struct nmctx ctx = {.error = no_newline};

static int take(struct nmreq_parse_ctx *c)
{
	size_t n = 0;

	for (int i = 0; i < NMREQ_OPT_MAXKEYS; i++)
		n += c->keys[i] ? strlen(c->keys[i]) : 0; /* reads every byte */
	*(size_t *)c->token += n;
	return 0;
}

/* Like conf, share and one without keys. */
static struct nmreq_opt_parser bare = {"bare", take, -1, 0, NMREQ_OPTF_ALLOWEMPTY, NULL, {{0}}};
static struct nmreq_opt_parser off = {"off", take, -1, 0, NMREQ_OPTF_DISABLED, &bare, {{0}}};
static struct nmreq_opt_parser share = {
	"share", take, 2, 1, 0, &off, {{"port", 2, NMREQ_OPTK_DEFAULT | NMREQ_OPTK_MUSTSET}}};
static struct nmreq_opt_parser conf = {
	"conf", take, -1, 2, 0, &share, {{"tx_rings", 0, 0}, {"slots", 15, NMREQ_OPTK_ALLOWEMPTY}}};

static void refused(const char *at, const char *was)
{
	must(at == was && (errno == EINVAL || errno == EOPNOTSUPP));
}

static void parse(const char *spec)
{
	struct nmreq_register reg = {.nr_tx_slots = 0x5a5a}, before = reg;
	struct nmreq_header hdr, clean;
	const char *at = spec, *was;
	size_t n = 0;

	nmreq_header_init(&hdr, NETMAP_REQ_REGISTER, &reg);
	clean = hdr;
	errno = 0;
	if (nmreq_header_decode(&at, &hdr, &ctx) < 0) {
		refused(at, spec);
		must(memcmp(&hdr, &clean, sizeof(hdr)) == 0);
		return;
	}
	must(hdr.nr_name[0] && memchr(hdr.nr_name, 0, sizeof(hdr.nr_name)));
	must(at > spec && strchr("-*^/@", *at)); /* or the end */
	was = at;
	if (nmreq_register_decode(&at, &reg, &ctx) < 0) {
		refused(at, was);
		must(memcmp(&reg, &before, sizeof(reg)) == 0);
		return;
	}
	must(reg.nr_ringid < 4095 && reg.nr_tx_slots == 0x5a5a);
	must(reg.nr_mode >= NR_REG_ALL_NIC && reg.nr_mode <= NR_REG_ONE_SW);
	must(*at == '\0' || (*at == '@' && at[1]));
	if (nmreq_options_decode(at, &conf, &n, &ctx) < 0)
		refused(at, at);
}

static void parse_old(const char *spec)
{
	struct nm_desc d, before;
	char err[MAXERRMSG];

	memset(&d, 0x5a, sizeof(d));
	before = d;
	if (nm_parse(spec, &d, err) < 0) {
		must(errno == EINVAL && memchr(err, 0, sizeof(err)));
		must(memcmp(&d, &before, sizeof(d)) == 0);
		return;
	}
	must(memchr(d.req.nr_name, 0, sizeof(d.req.nr_name)) && d.req.nr_ringid < 4095);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *spec = malloc(size + 1), *options;
	size_t n = 0;

	must(spec != NULL);
	memcpy(spec, data, size);
	spec[size] = '\0';
	parse(spec);
	parse_old(spec);
	options = strchr(spec, '@');
	if (options && nmreq_options_decode(options, &conf, &n, &ctx) < 0)
		refused(options, options);
	free(spec);
	return 0;
}
