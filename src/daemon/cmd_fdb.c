/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about the FDB: fdb.show, .add, .del, .get, .flush. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/mac.h"
#include "daemon/bridges.h"
#include "daemon/cmd.h"
#include "daemon/events.h"
#include "daemon/ports.h"

#define VLAN_MAX 4094
#define CHUNK    256u /* entries per call of the worker: some microseconds */

static const struct key show_args[] = {
	{"bridge", KEY_STRING, KEY_PLAIN, 0, 0},   {"port", KEY_STRING, KEY_PLAIN, 0, 0},
	{"vlan", KEY_INT, KEY_PLAIN, 0, VLAN_MAX}, {"mac", KEY_STRING, KEY_PLAIN, 0, 0},
	{"kind", KEY_STRING, KEY_PLAIN, 0, 0},
};
static const struct key add_args[] = {
	{"bridge", KEY_STRING, KEY_PLAIN, 0, 0}, {"port", KEY_STRING, KEY_PLAIN, 0, 0},
	{"mac", KEY_STRING, KEY_REQUIRED, 0, 0}, {"vlan", KEY_INT, KEY_PLAIN, 0, VLAN_MAX},
	{"kind", KEY_STRING, KEY_PLAIN, 0, 0},   {"replace", KEY_BOOL, KEY_PLAIN, 0, 0},
};
static const struct key del_args[] = {
	{"bridge", KEY_STRING, KEY_PLAIN, 0, 0},
	{"port", KEY_STRING, KEY_PLAIN, 0, 0},
	{"mac", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"vlan", KEY_INT, KEY_PLAIN, 0, VLAN_MAX},
};
static const struct key get_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"mac", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"vlan", KEY_INT, KEY_PLAIN, 0, VLAN_MAX},
};
static const struct key flush_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"port", KEY_STRING, KEY_PLAIN, 0, 0},
	{"vlan", KEY_INT, KEY_PLAIN, 0, VLAN_MAX},
	{"all", KEY_BOOL, KEY_PLAIN, 0, 0},
};

static const char *const kinds[] = {
	[FDB_DYNAMIC] = "dynamic",
	[FDB_STATIC] = "static",
	[FDB_STICKY] = "sticky",
	[FDB_LOCAL] = "local",
};
_Static_assert(array_size(kinds) == FDB_KIND_N, "a name for each kind");

/* ---- arguments ---- */

static int parse_kind(const char *text, int *ret, struct ctl_error *err)
{
	for (int i = 0; i < FDB_KIND_N; i++)
		if (!strcmp(kinds[i], text)) {
			*ret = i;
			return 0;
		}
	return ctl_fail(err, CTL_E_VALUE, "fdb: no kind %.32s (dynamic, static, sticky, local)",
			text);
}

static int parse_mac(const char *text, uint64_t *ret, struct ctl_error *err)
{
	if (mac_parse(text, ret))
		return ctl_fail(err, CTL_E_MAC, "fdb: %.64s: not a MAC address", text);
	if (*ret == 0)
		return ctl_fail(err, CTL_E_MAC, "fdb: %.64s: the zero address belongs to nobody",
				text);
	if (mac_is_group(*ret))
		return ctl_fail(err, CTL_E_MAC, "fdb: %.64s: a group address has no entry", text);
	return 0;
}

/* Bridge and port that "bridge or port" name; *ret_port NULL: the bridge itself. */
static int parse_place(struct cmd_call *c, struct vbridge **ret, struct vport **ret_port)
{
	const char *bridge = cmd_arg(c, "bridge"), *port = cmd_arg(c, "port");
	int r = 0;

	*ret = NULL;
	*ret_port = NULL;
	if (!bridge && !port)
		return ctl_fail(&c->err, CTL_E_ARGS, "fdb: bridge or port is missing");
	if (bridge)
		r = bridges_need(c->d, bridge, ret, &c->err);
	if (!r && port && !*ret)
		*ret = bridges_find(c->d, port);
	/* Else it is the bridge's own interface. */
	if (!r && port && !(*ret && !strcmp(port, (*ret)->name)))
		r = ports_need(c->d, *ret, port, ret_port, &c->err);
	if (!r && *ret_port)
		*ret = (*ret_port)->vb;
	if (!r && *ret && (*ret)->adopted) {
		ctl_fail(&c->err, CTL_E_KERNEL_BRIDGE, "%s: adopted: its FDB is the kernel's",
			 (*ret)->name);
		r = ctl_hint(&c->err, "bridge fdb show br %s", (*ret)->name);
	}
	return r;
}

/* ---- rows ---- */

struct named_entry {
	struct fdb_entry e;
	char port[BPORT_NAME_SIZE];
};

static void name_entry(const struct vbridge *vb, struct named_entry *n)
{
	const struct bport *p = n->e.port ? bridge_port(vb->br, n->e.port) : NULL;

	snprintf(n->port, sizeof(n->port), "%s", p ? p->name : vb->name);
}

static json_t *entry_row(const char *bridge, const struct named_entry *n)
{
	char mac[MAC_TEXT_SIZE];
	const char *state = "";
	json_t *row, *flags = json_array();

	if (n->e.kind == FDB_STATIC || (n->e.kind == FDB_STICKY && n->e.added_by_user))
		state = "static";
	else if (n->e.kind == FDB_LOCAL)
		state = "permanent";
	if (n->e.kind == FDB_STICKY)
		json_array_append_new(flags, json_string("sticky"));
	if (n->e.added_by_user)
		json_array_append_new(flags, json_string("user"));
	row = json_pack("{s:s, s:s, s:s, s:o, s:s, s:i}", "mac", mac_format(n->e.mac, mac),
			"ifname", n->port, "master", bridge, "flags", flags, "state", state, "age",
			(int)n->e.age_s);
	if (n->e.vid)
		json_object_set_new(row, "vlan", json_integer(n->e.vid));
	return row;
}

struct dump {
	struct cmd_stream stream;
	struct cmd_call *c;
	char (*bridges)[BPORT_NAME_SIZE]; /* by name: they may go meanwhile */
	uint32_t n_bridges, at;
	struct vbridge *vb; /* during one call */
	uint32_t cursor, n;
	char port[BPORT_NAME_SIZE]; /* filters; empty, -1 or 0 = any */
	int64_t vlan;
	int kind;
	uint64_t mac;
	struct named_entry chunk[CHUNK];
};

static void dump_chunk(void *arg)
{
	struct dump *d = arg;
	struct fdb_entry e[CHUNK];

	d->n = fdb_dump(bridge_fdb(d->vb->br), &d->cursor, e, CHUNK);
	for (uint32_t i = 0; i < d->n; i++) {
		d->chunk[i].e = e[i];
		name_entry(d->vb, &d->chunk[i]);
	}
}

static bool dump_wants(const struct dump *d, const struct named_entry *n)
{
	return (!d->port[0] || !strcmp(d->port, n->port)) && (d->vlan < 0 || d->vlan == n->e.vid) &&
	       (d->kind < 0 || d->kind == n->e.kind) && (!d->mac || d->mac == n->e.mac);
}

static bool dump_next(struct cmd_stream *s)
{
	struct dump *d = container_of(s, struct dump, stream);

	if (d->at == d->n_bridges)
		return false;
	d->vb = bridges_find(d->c->d, d->bridges[d->at]);
	d->n = 0;
	if (d->vb)
		worker_call(d->vb->w, dump_chunk, d);
	for (uint32_t i = 0; i < d->n; i++)
		if (dump_wants(d, &d->chunk[i]))
			cmd_row(d->c, entry_row(d->vb->name, &d->chunk[i]));
	if (d->n == 0) {
		d->at++;
		d->cursor = 0;
	}
	return true;
}

static void dump_free(struct cmd_stream *s)
{
	struct dump *d = container_of(s, struct dump, stream);

	free(d->bridges);
	free(d);
}

static int dump_filters(struct dump *d, struct cmd_call *c)
{
	const char *kind = cmd_arg(c, "kind"), *mac = cmd_arg(c, "mac");
	struct vbridge *vb = NULL;
	struct vport *vp = NULL;
	int r = 0;

	d->kind = -1;
	d->vlan = cmd_arg_int(c, "vlan", -1);
	if (kind)
		r = parse_kind(kind, &d->kind, &c->err);
	if (!r && mac)
		r = parse_mac(mac, &d->mac, &c->err);
	if (!r && (cmd_arg(c, "bridge") || cmd_arg(c, "port")))
		r = parse_place(c, &vb, &vp);
	if (r)
		return r;
	if (cmd_arg(c, "port"))
		snprintf(d->port, sizeof(d->port), "%s", vp ? vp->name : vb->name);
	for_each_bridge(b, c->d)
	{
		if ((vb && b != vb) || b->adopted)
			continue;
		memcpy(d->bridges[d->n_bridges++], b->name, BPORT_NAME_SIZE);
	}
	return 0;
}

static int fdb_show(struct cmd_call *c)
{
	struct dump *d = calloc(1, sizeof(*d));
	uint32_t n = 0;
	int r;

	for_each_bridge(vb, c->d) n += vb->br != NULL;
	if (d)
		d->bridges = calloc(n + 1, sizeof(*d->bridges));
	if (!d || !d->bridges) {
		free(d);
		return ctl_fail(&c->err, CTL_E_INTERNAL, "fdb: no memory");
	}
	d->c = c;
	d->stream.next = dump_next;
	d->stream.free = dump_free;
	r = dump_filters(d, c);
	if (r)
		dump_free(&d->stream);
	else
		c->stream = &d->stream;
	return r;
}

/* ---- changes ---- */

struct entry_job {
	struct vbridge *vb;
	const struct vlan_set *vlans; /* the entry is meant in each of these, */
	bool any_vlan;                /* or wherever it is; else in vid alone */
	uint64_t mac;
	uint16_t vid, port;
	enum fdb_kind kind;
	bool replace, found;
	struct fdb_flush flush;
	struct named_entry entry;
	int64_t r;
};

/* The VLANs of a job, in order: the one after vid; VLAN_N: no more. */
static uint32_t next_vid(const struct entry_job *job, uint32_t vid)
{
	if (!job->vlans)
		return job->any_vlan ? vid + 1 : VLAN_N;
	do
		vid++;
	while (vid < VLAN_N && !vlan_has(job->vlans, (uint16_t)vid));
	return vid;
}

static uint32_t first_vid(const struct entry_job *job)
{
	return job->vlans ? next_vid(job, 0) : job->vid;
}

#define for_each_vid(vid, job)                                                                     \
	for (uint32_t vid = first_vid(job); vid < VLAN_N; vid = next_vid(job, vid))

static void add_in_vlan(struct entry_job *job, uint16_t vid)
{
	struct bridge_event e = {
		.kind = BRIDGE_FDB_NEW, .mac = job->mac, .vid = vid, .port = job->port};
	struct fdb *fdb = bridge_fdb(job->vb->br);
	struct fdb_entry old;
	bool found = fdb_get(fdb, job->mac, vid, &old);

	job->r = fdb_add(fdb, job->mac, vid, job->port, job->kind, job->replace);
	if (!job->r && !found && job->kind != FDB_LOCAL)
		events_push(job->vb, &e);
}

/* In all VLANs or in none, unless the table is full. */
static void add_entry(void *arg)
{
	struct entry_job *job = arg;
	struct fdb_entry old;

	for_each_vid(vid, job)
	{
		if (!job->replace &&
		    fdb_get(bridge_fdb(job->vb->br), job->mac, (uint16_t)vid, &old)) {
			job->r = FDB_E_EXISTS;
			return;
		}
	}
	for_each_vid(vid, job)
	{
		add_in_vlan(job, (uint16_t)vid);
		if (job->r)
			return;
	}
}

/* From all VLANs where it is. */
static void del_entry(void *arg)
{
	struct entry_job *job = arg;
	bool found = false;

	for_each_vid(vid, job) found |=
		fdb_del(bridge_fdb(job->vb->br), job->mac, (uint16_t)vid, job->port) == 0;
	job->r = found ? 0 : FDB_E_NOT_FOUND;
}

/* From the first VLAN where it is. */
static void get_entry(void *arg)
{
	struct entry_job *job = arg;

	for_each_vid(vid, job)
	{
		job->found =
			fdb_get(bridge_fdb(job->vb->br), job->mac, (uint16_t)vid, &job->entry.e);
		if (job->found)
			break;
	}
	/* An own address holds in every VLAN. */
	if (!job->found && job->vid)
		job->found = fdb_get(bridge_fdb(job->vb->br), job->mac, 0, &job->entry.e) &&
			     job->entry.e.kind == FDB_LOCAL;
	if (job->found)
		name_entry(job->vb, &job->entry);
}

static void flush_entries(void *arg)
{
	struct entry_job *job = arg;

	job->r = fdb_flush(bridge_fdb(job->vb->br), &job->flush);
}

/* Fills what add, del and get have in common. */
static int parse_entry(struct cmd_call *c, struct entry_job *job, struct vport **ret_port)
{
	int r = parse_mac(cmd_arg(c, "mac"), &job->mac, &c->err);

	if (!r)
		r = parse_place(c, &job->vb, ret_port);
	if (r)
		return r;
	assert(job->vb);
	job->vid = (uint16_t)cmd_arg_int(c, "vlan", 0);
	job->port = *ret_port ? (*ret_port)->wp.bp->no : 0;
	/* What is there may be meant without its VLAN. */
	job->any_vlan = !job->vid && bridge_vlan_settings(job->vb->br)->filtering;
	return 0;
}

/*
 * While VLANs are filtered, a new entry of a port without a VLAN is one in each of the port's, as
 * in Linux; and one that nobody could use is refused. An own address holds in every VLAN by itself.
 */
static int parse_vlans(struct cmd_call *c, struct entry_job *job, const struct vport *vp)
{
	const struct bport *bp = vp ? vp->wp.bp : NULL;

	if (!bp || !bridge_vlan_settings(job->vb->br)->filtering)
		return 0;
	if (job->vid == 0 && job->kind != FDB_LOCAL)
		job->vlans = &bp->vlans;
	if (job->vlans && first_vid(job) == VLAN_N)
		return ctl_fail(&c->err, CTL_E_VALUE, "fdb: port %s is in no VLAN", vp->name);
	if (job->vid && !vlan_has(&bp->vlans, job->vid))
		return ctl_fail(&c->err, CTL_E_VALUE, "fdb: port %s is not in VLAN %u", vp->name,
				job->vid);
	return 0;
}

static int fdb_add_cmd(struct cmd_call *c)
{
	const char *kind = cmd_arg(c, "kind"), *mac = cmd_arg(c, "mac");
	struct entry_job job = {.replace = cmd_arg_bool(c, "replace")};
	int k, r;
	struct vport *vp = NULL;

	r = parse_entry(c, &job, &vp);
	k = vp ? FDB_STATIC : FDB_LOCAL;
	if (!r && kind)
		r = parse_kind(kind, &k, &c->err);
	if (r)
		return r;
	if (!vp && k != FDB_LOCAL)
		return ctl_fail(&c->err, CTL_E_VALUE,
				"fdb: %.64s: an entry of the bridge itself is local, not %s", mac,
				kinds[k]);
	job.kind = (enum fdb_kind)k;
	job.any_vlan = false;
	r = parse_vlans(c, &job, vp);
	if (r)
		return r;
	worker_call(job.vb->w, add_entry, &job);
	if (job.r == FDB_E_EXISTS)
		return ctl_fail(&c->err, CTL_E_FDB_EXISTS, "fdb: %.64s: %s has that entry already",
				mac, job.vb->name);
	if (job.r == FDB_E_FULL)
		return ctl_fail(&c->err, CTL_E_FDB_FULL, "fdb: %.64s: the table of %s is full", mac,
				job.vb->name);
	return 0;
}

static int no_entry(struct cmd_call *c, const struct vbridge *vb, const struct vport *vp)
{
	return ctl_fail(&c->err, CTL_E_FDB_NONE, "fdb: %.64s: no such entry on %s",
			cmd_arg(c, "mac"), vp ? vp->name : vb->name);
}

static int fdb_del_cmd(struct cmd_call *c)
{
	struct entry_job job = {0};
	struct vport *vp;
	int r = parse_entry(c, &job, &vp);

	if (r)
		return r;
	worker_call(job.vb->w, del_entry, &job);
	return job.r ? no_entry(c, job.vb, vp) : 0;
}

static int fdb_get_cmd(struct cmd_call *c)
{
	struct entry_job job = {0};
	struct vport *vp;
	int r = parse_entry(c, &job, &vp);

	if (r)
		return r;
	worker_call(job.vb->w, get_entry, &job);
	if (!job.found)
		return no_entry(c, job.vb, vp);
	c->result = entry_row(job.vb->name, &job.entry);
	return 0;
}

static int fdb_flush_cmd(struct cmd_call *c)
{
	struct entry_job job = {.flush = {.port = -1}};
	const char *port = cmd_arg(c, "port");
	struct vport *vp;
	int r = bridges_need_own(c->d, cmd_arg(c, "bridge"), &job.vb, &c->err);

	if (!r && port)
		r = ports_need(c->d, job.vb, port, &vp, &c->err);
	if (r)
		return r;
	if (port)
		job.flush.port = vp->wp.bp->no;
	job.flush.vid = (int)cmd_arg_int(c, "vlan", -1);
	job.flush.all_kinds = cmd_arg_bool(c, "all");
	worker_call(job.vb->w, flush_entries, &job);
	c->result = json_pack("{s:I}", "flushed", (json_int_t)job.r);
	return 0;
}

static const struct cmd cmds[] = {
	{"fdb.show", fdb_show, CMD_ROWS, KEY_TABLE(show_args), NULL},
	{"fdb.add", fdb_add_cmd, CMD_WRITE, KEY_TABLE(add_args), NULL},
	{"fdb.del", fdb_del_cmd, CMD_WRITE, KEY_TABLE(del_args), NULL},
	{"fdb.get", fdb_get_cmd, 0, KEY_TABLE(get_args), NULL},
	{"fdb.flush", fdb_flush_cmd, CMD_WRITE, KEY_TABLE(flush_args), NULL},
};
const struct cmd_table cmds_fdb = {cmds, array_size(cmds)};
