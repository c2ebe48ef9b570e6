/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of port names, row by row: libnetmap's (nmreq_*_decode, nmport_parse with options)
 * and nm_open's (nm_parse).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NETMAP_WITH_LIBS
#include <libnetmap.h>

#include "fakedev.h"

#define N15 "abcdefghijklmno"
#define N63 "a23456789b23456789c23456789d23456789e23456789f23456789g23456789"

static const char *const devices[] = {"eth0", "br-lan", "br-lan-guest", "veth-a", "a-b",
				      "a",    "wlan-x", "wlan-x-y-z-",  NULL};

static int n_messages;
static void count_message(struct nmctx *ctx, const char *text)
{
	n_messages++;
	assert_true(strlen(text) > 10 && !strchr(text, '\n'));
}
static struct nmctx quiet = {.error = count_message};

struct row {
	const char *spec;
	const char *name; /* NULL = EINVAL */
	uint32_t mode;
	uint16_t ring, mem_id;
	uint64_t flags;
	const char *rest; /* options, NULL = none */
};

static const struct row rows[] = {
	/* prefixes and names */
	{"netmap:eth0", "eth0", NR_REG_ALL_NIC},
	{"netmap:eth0.100", "eth0.100", NR_REG_ALL_NIC},
	{"netmap:e", "e", NR_REG_ALL_NIC},
	{"netmap:vale0", "vale0", NR_REG_ALL_NIC},
	{"netmap:" N63, N63, NR_REG_ALL_NIC},
	{"netmap:" N63 "h", NULL},
	{"vale0:1", "vale0:1", NR_REG_ALL_NIC},
	{"vale:0", "vale:0", NR_REG_ALL_NIC},
	{"valeSW_1:p_2", "valeSW_1:p_2", NR_REG_ALL_NIC},
	{"vale0:eth0.5", "vale0:eth0.5", NR_REG_ALL_NIC},
	{"vale:" N63, NULL},
	{"", NULL},
	{"eth0", NULL},
	{"netmap", NULL},
	{"netma:eth0", NULL},
	{"Netmap:eth0", NULL},
	{"netmapXXX:eth0", NULL},
	{"netmap0:eth0", NULL},
	{"vale", NULL},
	{"vale0", NULL},
	{"vale0:", NULL},
	{"vale0:a:b", NULL},
	{"vale{0:1", NULL},
	{"vale0}:1", NULL},
	{"vale-0:1", NULL},
	{"vale+:1", NULL},
	{"netmap:", NULL},
	{"netmap:^", NULL},
	{"netmap:*", NULL},
	{"netmap:-1", NULL},
	{"netmap:/x", NULL},
	{"netmap:@1", NULL},
	{"netmap:{", NULL},
	{"netmap:{1", NULL},
	{"netmap:eth0&", NULL},
	{"netmap:eth0+", NULL},
	{"netmap:eth 0", NULL},
	{"netmap:eth0\n", NULL},
	{"netmap:eth0\xc3\xa4", NULL},
	{"netmap:vale0:0", NULL},
	{"netmap:eth0:1", NULL},
	/* pipes */
	{"netmap:pipe{1", "pipe{1", NR_REG_ALL_NIC},
	{"netmap:pipe}in_1", "pipe}in_1", NR_REG_ALL_NIC},
	{"netmap:pipe{in-2", "pipe{in", NR_REG_ONE_NIC, 2},
	{"netmap:pipe{in/xT@3", "pipe{in", NR_REG_ALL_NIC, 0, 3, NR_EXCLUSIVE | NR_TX_RINGS_ONLY},
	{"vale0:1{a", "vale0:1{a", NR_REG_ALL_NIC},
	{"netmap:pipe{", NULL},
	{"netmap:pipe}", NULL},
	{"netmap:pipe{/x", NULL},
	{"netmap:pipe{1}2", NULL},
	{"netmap:pipe{1{2", NULL},
	{"netmap:pipe{a.b", NULL},
	{"netmap:pipe{a:b", NULL},
	{"netmap:pipe{&", NULL},
	/* rings */
	{"netmap:eth0^", "eth0", NR_REG_SW},
	{"netmap:eth0^0", "eth0", NR_REG_ONE_SW, 0},
	{"netmap:eth0^3/R", "eth0", NR_REG_ONE_SW, 3, 0, NR_RX_RINGS_ONLY},
	{"netmap:eth0^/x", "eth0", NR_REG_SW, 0, 0, NR_EXCLUSIVE},
	{"netmap:eth0*", "eth0", NR_REG_NIC_SW},
	{"netmap:eth0*/R", "eth0", NR_REG_NIC_SW, 0, 0, NR_RX_RINGS_ONLY},
	{"netmap:eth0-0", "eth0", NR_REG_ONE_NIC, 0},
	{"netmap:eth0-4094", "eth0", NR_REG_ONE_NIC, 4094},
	{"netmap:eth0-007", "eth0", NR_REG_ONE_NIC, 7},
	{"vale0:1-2", "vale0:1", NR_REG_ONE_NIC, 2},
	{"vale0:1^", "vale0:1", NR_REG_SW},
	{"netmap:eth0-4095", NULL},
	{"netmap:eth0^4095", NULL},
	{"netmap:eth0-99999999999999999999", NULL},
	{"netmap:eth0-", NULL},
	{"netmap:eth0--1", NULL},
	{"netmap:eth0-+1", NULL},
	{"netmap:eth0- 1", NULL},
	{"netmap:eth0-x", NULL},
	{"netmap:eth0-0x1", NULL},
	{"netmap:eth0-1-2", NULL},
	{"netmap:eth0^x", NULL},
	{"netmap:eth0^^", NULL},
	{"netmap:eth0^-1", NULL},
	{"netmap:eth0*1", NULL},
	{"netmap:eth0*^", NULL},
	/* flags */
	{"netmap:eth0/x", "eth0", NR_REG_ALL_NIC, 0, 0, NR_EXCLUSIVE},
	{"netmap:eth0/z", "eth0", NR_REG_ALL_NIC, 0, 0, NR_ZCOPY_MON},
	{"netmap:eth0/t", "eth0", NR_REG_ALL_NIC, 0, 0, NR_MONITOR_TX},
	{"netmap:eth0/r", "eth0", NR_REG_ALL_NIC, 0, 0, NR_MONITOR_RX},
	{"netmap:eth0/R", "eth0", NR_REG_ALL_NIC, 0, 0, NR_RX_RINGS_ONLY},
	{"netmap:eth0/T", "eth0", NR_REG_ALL_NIC, 0, 0, NR_TX_RINGS_ONLY},
	{"netmap:eth0-2/xR", "eth0", NR_REG_ONE_NIC, 2, 0, NR_EXCLUSIVE | NR_RX_RINGS_ONLY},
	{"netmap:eth0/xxRR", "eth0", NR_REG_ALL_NIC, 0, 0, NR_EXCLUSIVE | NR_RX_RINGS_ONLY},
	{"netmap:eth0/rt", "eth0", NR_REG_ALL_NIC, 0, 0, NR_MONITOR_RX | NR_MONITOR_TX},
	{"netmap:eth0/", NULL},
	{"netmap:eth0/q", NULL},
	{"netmap:eth0/x-1", NULL},
	{"netmap:eth0/x/R", NULL},
	{"netmap:eth0/X", NULL},
	/* memory ids */
	{"netmap:eth0@2", "eth0", NR_REG_ALL_NIC, 0, 2},
	{"netmap:eth0@2/x@2", "eth0", NR_REG_ALL_NIC, 0, 2, NR_EXCLUSIVE},
	{"netmap:eth0@2@2", "eth0", NR_REG_ALL_NIC, 0, 2},
	{"netmap:eth0/@2", "eth0", NR_REG_ALL_NIC, 0, 2},
	{"netmap:eth0^3@2", "eth0", NR_REG_ONE_SW, 3, 2},
	{"netmap:eth0@65535", "eth0", NR_REG_ALL_NIC, 0, 65535},
	{"netmap:eth0@70000", "eth0", NR_REG_ALL_NIC, 0, 4464},
	{"netmap:eth0@", NULL},
	{"netmap:eth0/x@", NULL},
	{"netmap:eth0@2@", NULL},
	{"netmap:eth0@0", NULL},
	{"netmap:eth0@2@3", NULL},
	{"netmap:eth0@2/x@3", NULL},
	{"netmap:eth0@2-1", NULL},
	{"netmap:eth0@2x", NULL},
	/* options begin */
	{"netmap:eth0@conf:rings=2", "eth0", NR_REG_ALL_NIC, 0, 0, 0, "@conf:rings=2"},
	{"netmap:eth0^0/T@conf:host-rings=4", "eth0", NR_REG_ONE_SW, 0, 0, NR_TX_RINGS_ONLY,
	 "@conf:host-rings=4"},
	{"netmap:eth0@3@share=a@b", "eth0", NR_REG_ALL_NIC, 0, 3, 0, "@share=a@b"},
	{"netmap:eth0@@", "eth0", NR_REG_ALL_NIC, 0, 0, 0, "@@"},
	/* dashes: devices are eth0 br-lan br-lan-guest veth-a a-b a wlan-x */
	{"netmap:br-lan", "br-lan", NR_REG_ALL_NIC},
	{"netmap:br-lan^", "br-lan", NR_REG_SW},
	{"netmap:br-lan*/x", "br-lan", NR_REG_NIC_SW, 0, 0, NR_EXCLUSIVE},
	{"netmap:br-lan-0", "br-lan", NR_REG_ONE_NIC, 0},
	{"netmap:br-lan-guest", "br-lan-guest", NR_REG_ALL_NIC},
	{"netmap:br-lan-guest-5/xR", "br-lan-guest", NR_REG_ONE_NIC, 5, 0,
	 NR_EXCLUSIVE | NR_RX_RINGS_ONLY},
	{"netmap:br-lan-guest^1", "br-lan-guest", NR_REG_ONE_SW, 1},
	{"netmap:veth-a@2", "veth-a", NR_REG_ALL_NIC, 0, 2},
	{"netmap:veth-a{in", "veth-a{in", NR_REG_ALL_NIC},
	{"netmap:veth-a}in-1", "veth-a}in", NR_REG_ONE_NIC, 1},
	{"netmap:wlan-x-y", NULL}, /* "wlan-x" exists, "y" is no ring */
	{"netmap:br-wan", NULL},
	{"netmap:br-", NULL},
	{"netmap:nobr-0", "nobr", NR_REG_ONE_NIC, 0},
	{"netmap:a-b", NULL}, /* "a" exists, so the dash starts a ring */
	{"netmap:a-1", "a", NR_REG_ONE_NIC, 1},
	{"netmap:-lan", NULL},
};

static void check_failure(const struct row *w, const char *spec)
{
	struct nmreq_header hdr;
	struct nmreq_register reg;
	const char *at = spec, *was;
	uint8_t before[sizeof(hdr)];
	int r;

	memset(&hdr, 0x5a, sizeof(hdr));
	memset(&reg, 0x5a, sizeof(reg));
	memset(before, 0x5a, sizeof(before));
	n_messages = 0;
	errno = 0;
	was = at;
	r = nmreq_header_decode(&at, &hdr, &quiet);
	if (r == 0) {
		was = at;
		memset(&hdr, 0x5a, sizeof(hdr));
		r = nmreq_register_decode(&at, &reg, &quiet);
	}
	if (r != -1)
		print_error("accepted: %s\n", w->spec);
	assert_int_equal(r, -1);
	assert_int_equal(errno, EINVAL);
	assert_ptr_equal(at, was);
	assert_int_equal(n_messages, 1);
	assert_memory_equal(&hdr, before, sizeof(hdr));
	assert_memory_equal(&reg, before, sizeof(reg));
}

static void check_success(const struct row *w, const char *spec)
{
	struct nmreq_register reg, want;
	struct nmreq_header hdr;
	const char *at = spec;

	nmreq_header_init(&hdr, NETMAP_REQ_REGISTER, &reg);
	memset(&reg, 0x5a, sizeof(reg));
	want = reg;
	want.nr_mode = w->mode;
	want.nr_ringid = w->ring;
	want.nr_mem_id = w->mem_id;
	want.nr_flags = w->flags;
	n_messages = 0;
	if (nmreq_header_decode(&at, &hdr, &quiet) != 0 ||
	    nmreq_register_decode(&at, &reg, &quiet) != 0)
		fail_msg("refused: %s", w->spec);
	assert_string_equal(hdr.nr_name, w->name);
	assert_int_equal(hdr.nr_version, 14);
	assert_int_equal(hdr.nr_reqtype, NETMAP_REQ_REGISTER);
	assert_ptr_equal((void *)(uintptr_t)hdr.nr_body, &reg);
	assert_int_equal(hdr.nr_options, 0);
	if (memcmp(&reg, &want, sizeof(reg)))
		fail_msg("%s: mode %u ring %u mem %u flags %llx", w->spec, reg.nr_mode,
			 reg.nr_ringid, reg.nr_mem_id, (unsigned long long)reg.nr_flags);
	assert_string_equal(at, w->rest ? w->rest : "");
	assert_int_equal(n_messages, 0);
}

static void test_rows(void **state)
{
	fake.devices = devices;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* In a block of its size, so that sanitizers see reads behind the end. */
		char *spec = strdup(rows[i].spec);

		if (rows[i].name)
			check_success(&rows[i], spec);
		else
			check_failure(&rows[i], spec);
		free(spec);
	}
}

/* ---- options ---- */

struct option_row {
	const char *spec;
	int err; /* 0 = accepted */
	uint16_t tx_rings, rx_rings, host_tx, host_rx;
	uint32_t tx_slots, rx_slots;
	uint16_t mem_id;
};

static const struct option_row option_rows[] = {
	{"netmap:eth0@conf:rings=4", 0, 4, 4},
	{"netmap:eth0@conf:rings=4,tx-rings=2", 0, 2, 4},
	{"netmap:eth0@conf:tx-rings=2,rings=4", 0, 2, 4},
	{"netmap:eth0@conf:tx_rings=2,rx_rings=3", 0, 2, 3},
	{"netmap:eth0@conf:host-rings=5", 0, 0, 0, 5, 5},
	{"netmap:eth0@conf:host-tx-rings=6,host-rx-rings=7", 0, 0, 0, 6, 7},
	{"netmap:eth0@conf:slots=512", 0, 0, 0, 0, 0, 512, 512},
	{"netmap:eth0@conf:tx-slots=1024,rx-slots=256", 0, 0, 0, 0, 0, 1024, 256},
	{"netmap:eth0@conf:rings=1@conf:slots=2", 0, 1, 1, 0, 0, 2, 2},
	{"netmap:eth0@conf:rings=x", 0},
	{"netmap:eth0@conf", EINVAL},
	{"netmap:eth0@conf:", EINVAL},
	{"netmap:eth0@conf=4", EINVAL},
	{"netmap:eth0@conf:rings", EINVAL},
	{"netmap:eth0@conf:rings=", EINVAL},
	{"netmap:eth0@conf:rings=1,", EINVAL},
	{"netmap:eth0@conf:rings=1,rings=2", EINVAL},
	{"netmap:eth0@conf:tx-rings=1,tx_rings=1", EINVAL},
	{"netmap:eth0@conf:colour=1", EINVAL},
	{"netmap:eth0@conf:=1", EINVAL},
	{"netmap:eth0@conf:slots=3@2", EINVAL},
	{"netmap:eth0@colour=1", EINVAL},
	{"netmap:eth0@@", EINVAL},
	{"netmap:eth0@conf:rings=1@", EINVAL},
	{"netmap:eth0@share=vale0:1", 0, .mem_id = 2},
	{"netmap:eth0@share:port=vale0:1", 0, .mem_id = 2},
	{"netmap:eth0@share=netmap:eth1", 0, .mem_id = 1},
	{"netmap:eth0@2@share=vale0:1", 0, .mem_id = 2},
	{"netmap:eth0@share=netmap:eth1@conf:rings=2", 0, 2, 2, .mem_id = 1},
	{"netmap:eth0@1@share=vale0:1", EINVAL},
	{"netmap:eth0@share=netmap:none", ENXIO},
	{"netmap:eth0@share=eth1", EINVAL},
	{"netmap:eth0@share=netmap:eth1^", EINVAL},
	{"netmap:eth0@share=", EINVAL},
	{"netmap:eth0@share", EINVAL},
	{"netmap:eth0@share:", EINVAL},
	{"netmap:eth0@share:port=", EINVAL},
	{"netmap:eth0@extmem=/nonexistent/file", ENOENT},
	{"netmap:eth0@extmem:if-num=3", EINVAL},
	{"netmap:eth0@offset=64", EOPNOTSUPP},
	{"netmap:eth0@offset:initial=64,bits=16", EOPNOTSUPP},
	{"netmap:eth0/x@share=vale0:1@nonsense", EINVAL},
};

static void test_option_rows(void **state)
{
	struct nmctx *old = nmctx_set_default(&quiet);

	for (size_t i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
		const struct option_row *w = &option_rows[i];
		struct nmport_d *d = nmport_new();
		struct nmreq_header zero = {0};
		struct nmreq_register zero_reg = {0};
		int r;

		errno = 0;
		r = nmport_parse(d, w->spec);
		if (r != (w->err ? -1 : 0) || (w->err && errno != w->err))
			fail_msg("%s: %d, %s", w->spec, r, strerror(errno));
		if (w->err) {
			assert_memory_equal(&d->hdr, &zero, sizeof(zero));
			assert_memory_equal(&d->reg, &zero_reg, sizeof(zero_reg));
		} else {
			assert_int_equal(d->reg.nr_tx_rings, w->tx_rings);
			assert_int_equal(d->reg.nr_rx_rings, w->rx_rings);
			assert_int_equal(d->reg.nr_host_tx_rings, w->host_tx);
			assert_int_equal(d->reg.nr_host_rx_rings, w->host_rx);
			assert_int_equal(d->reg.nr_tx_slots, w->tx_slots);
			assert_int_equal(d->reg.nr_rx_slots, w->rx_slots);
			assert_int_equal(d->reg.nr_mem_id, w->mem_id);
			assert_string_equal(d->hdr.nr_name, "eth0");
		}
		assert_null(d->clist);
		nmport_undo_parse(d);
		assert_memory_equal(&d->hdr, &zero, sizeof(zero));
		assert_memory_equal(&d->reg, &zero_reg, sizeof(zero_reg));
		nmport_delete(d);
	}
	nmctx_set_default(old);
	assert_int_equal(fake_leaks(), 0);
}

static void test_offset_option(void **state)
{
	struct nmctx *old = nmctx_set_default(&quiet);
	struct nmreq_opt_offsets *o;
	struct nmport_d *d;

	assert_int_equal(nmport_enable_option("colour"), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(nmport_enable_option("offset"), 0);
	d = nmport_prepare("netmap:eth0@offset:initial=64,bits=16");
	assert_non_null(d);
	o = (struct nmreq_opt_offsets *)nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS);
	assert_non_null(o);
	assert_int_equal(o->nro_initial_offset, 64);
	assert_int_equal(o->nro_max_offset, 64);
	assert_int_equal(o->nro_offset_bits, 16);
	assert_int_equal(o->nro_min_gap, 0);
	nmport_undo_prepare(d);
	assert_null(nmport_prepare("netmap:eth0@offset:bits=16"));
	assert_int_equal(errno, EINVAL);
	assert_null(nmport_prepare("netmap:eth0@offset=64@colour"));
	nmport_disable_option("offset");
	assert_null(nmport_prepare("netmap:eth0@offset=64"));
	assert_int_equal(errno, EOPNOTSUPP);
	nmport_disable_option("colour");
	nmctx_set_default(old);
}

/* ---- options of a program's own ---- */

static char seen[64];
static int see(struct nmreq_parse_ctx *c)
{
	snprintf(seen, sizeof(seen), "%s|%s|%s", c->keys[0] ? c->keys[0] : "-",
		 c->keys[3] ? c->keys[3] : "-", (const char *)c->token);
	return 0;
}

static void test_own_options(void **state)
{
	struct nmreq_opt_parser second = {"bare", see,           -1, 0, NMREQ_OPTF_ALLOWEMPTY,
					  NULL,   {{NULL, 0, 0}}};
	struct nmreq_opt_parser p = {
		"my_opt",
		see,
		0,
		2,
		0,
		&second,
		{{"a_key", 0, NMREQ_OPTK_DEFAULT}, {"flag", 3, NMREQ_OPTK_ALLOWEMPTY}}};

	assert_int_equal(nmreq_options_decode("", &p, "t", &quiet), 0);
	assert_int_equal(nmreq_options_decode("@my-opt:a-key=x,flag", &p, "t", &quiet), 0);
	assert_string_equal(seen, "x||t");
	assert_int_equal(nmreq_options_decode("@my_opt=x:y,z", &p, "t", &quiet), 0);
	assert_string_equal(seen, "x:y,z|-|t");
	assert_int_equal(nmreq_options_decode("@my_opt:flag=1@bare", &p, "t", &quiet), 0);
	assert_string_equal(seen, "-|-|t");
	assert_int_equal(nmreq_options_decode("my_opt=x", &p, "t", &quiet), -1);
	assert_int_equal(nmreq_options_decode("@my-op=x", &p, "t", &quiet), -1);
	assert_int_equal(nmreq_options_decode("@bare:x=1", &p, "t", &quiet), -1);
	assert_int_equal(errno, EINVAL);
}

/* ---- nm_open's grammar ---- */

struct old_row {
	const char *spec;
	const char *name; /* NULL = EINVAL */
	uint32_t flags;
	uint16_t ringid, arg2;
};

static const struct old_row old_rows[] = {
	{"netmap:eth0", "eth0", NR_REG_ALL_NIC},
	{"netmap:", "", NR_REG_ALL_NIC}, /* the device says ENXIO */
	{"netmap:eth0^", "eth0", NR_REG_SW},
	{"netmap:eth0*", "eth0", NR_REG_NIC_SW},
	{"netmap:eth0*/R", "eth0", NR_REG_NIC_SW | NR_RX_RINGS_ONLY},
	{"netmap:eth0-7", "eth0", NR_REG_ONE_NIC, 7},
	{"netmap:eth0{3", "eth0", NR_REG_PIPE_MASTER, 3},
	{"netmap:eth0}4/x", "eth0", NR_REG_PIPE_SLAVE | NR_EXCLUSIVE, 4},
	{"netmap:eth0/xztrRT", "eth0",
	 NR_REG_ALL_NIC | NR_EXCLUSIVE | NR_ZCOPY_MON | NR_MONITOR_TX | NR_MONITOR_RX |
		 NR_RX_RINGS_ONLY | NR_TX_RINGS_ONLY},
	{"netmap:eth0@1", "eth0", NR_REG_ALL_NIC, 0, 1},
	{"netmap:eth0-1@5/r", "eth0", NR_REG_ONE_NIC | NR_MONITOR_RX, 1, 5},
	{"netmap:" N15, N15, NR_REG_ALL_NIC},
	{"netmap:" N15 "p", NULL},
	{"vale5:p", "vale5:p", NR_REG_ALL_NIC},
	{"vale5:p-0", "vale5:p", NR_REG_ONE_NIC, 0},
	{"vale:1", "vale:1", NR_REG_ALL_NIC},
	{"vale5", NULL},
	{"vale5:a:b", NULL},
	{"vale5:a.b", NULL},
	{"vale+:a", NULL},
	{"netmap:eth0^0", NULL},
	{"netmap:eth0{a", NULL},
	{"netmap:eth0}b", NULL},
	{"netmap:eth0{", NULL},
	{"netmap:eth0-", NULL},
	{"netmap:eth0-4095", NULL},
	{"netmap:eth0/q", NULL},
	{"netmap:eth0/", NULL},
	{"netmap:eth0@", NULL},
	{"netmap:eth0@0", NULL},
	{"netmap:eth0@1@1", NULL},
	{"netmap:eth0@conf:rings=1", NULL},
	{"eth0", NULL},
	{"netmap:br-lan", "br-lan", NR_REG_ALL_NIC},
	{"netmap:br-lan-1", "br-lan", NR_REG_ONE_NIC, 1},
	{"netmap:br-lan-guest^", "br-lan-guest", NR_REG_SW},
	{"netmap:br-wan", NULL},
	{"netmap:a-b", NULL},
};

static void test_old_rows(void **state)
{
	fake.devices = devices;
	for (size_t i = 0; i < sizeof(old_rows) / sizeof(old_rows[0]); i++) {
		const struct old_row *w = &old_rows[i];
		char err[MAXERRMSG] = "";
		struct nm_desc d, before;
		int r;

		memset(&d, 0x5a, sizeof(d));
		d.req.nr_arg2 = 0;
		before = d;
		errno = 0;
		r = nm_parse(w->spec, &d, err);
		if (r != (w->name ? 0 : -1))
			fail_msg("%s: %d %s", w->spec, r, err);
		if (!w->name) {
			assert_int_equal(errno, EINVAL);
			assert_true(strlen(err) > 10);
			assert_memory_equal(&d, &before, sizeof(d));
			continue;
		}
		assert_string_equal(d.req.nr_name, w->name);
		assert_int_equal(d.req.nr_flags, w->flags);
		assert_int_equal(d.req.nr_ringid, w->ringid);
		assert_int_equal(d.req.nr_arg2, w->arg2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),          cmocka_unit_test(test_option_rows),
		cmocka_unit_test(test_offset_option), cmocka_unit_test(test_own_options),
		cmocka_unit_test(test_old_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
