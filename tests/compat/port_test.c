/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests and rings of a port of the daemon beyond what compat_observed asks: options and their
 * statuses, requests that are refused, ports without rings, extra buffers, memory that runs out,
 * flags of slots and rings.
 *
 *	compat_port PORT
 *
 * PORT is a bridge with one ring of each kind that nobody has open. Somebody sends frames to it all
 * the time. Sends one broadcast frame with "buffer" behind its header, and prints what is wrong;
 *the exit status is 0 if nothing is.
 */
#include <libnetmap.h>

#include "ctl.h"

#include <sys/time.h>

#define N_IFS 100 /* netmap_if objects of region 1 */

static const char *port;
static unsigned int n_checks, n_wrong;

#define CHECK(x) check(x, #x, __LINE__)

static void check(bool ok, const char *what, int line)
{
	n_checks++;
	n_wrong += !ok;
	if (!ok)
		printf("port_test.c:%d: %s: %s\n", line, what, strerror(errno));
}

static int reg_with(const char *name, void *options)
{
	struct nmreq_register r = {.nr_mode = NR_REG_ALL_NIC};

	return ctl_once(NETMAP_REQ_REGISTER, name, &r, options);
}

/* ---- options ---- */

static void refused_options(void)
{
	struct nmreq_opt_csb csb = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB};
	struct nmreq_opt_extmem mem = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM};
	struct nmreq_port_info_get info = {0};

	mem.nro_info.nr_memsize = 4096;
	CHECK(reg_with(port, &csb) == EOPNOTSUPP && csb.nro_opt.nro_status == EOPNOTSUPP);
	CHECK(reg_with(port, &mem) == EOPNOTSUPP && mem.nro_opt.nro_status == EOPNOTSUPP);
	CHECK(mem.nro_info.nr_memsize == 4096 && mem.nro_info.nr_mem_id == 0);
	csb.nro_opt.nro_next = (uintptr_t)&mem;
	csb.nro_opt.nro_status = mem.nro_opt.nro_status = 0;
	CHECK(reg_with("nosuch", &csb) == ENXIO); /* said first, and the statuses all the same */
	CHECK(csb.nro_opt.nro_status == EOPNOTSUPP && mem.nro_opt.nro_status == EOPNOTSUPP);
	/* Requests that take no options do not mind them. */
	csb.nro_opt.nro_status = 0;
	CHECK(ctl_once(NETMAP_REQ_PORT_INFO_GET, port, &info, &csb) == 0 && info.nr_tx_rings == 1);
	CHECK(csb.nro_opt.nro_status == EOPNOTSUPP);
}

static void wrong_options(void)
{
	struct nmreq_option a = {.nro_reqtype = 77}, b = {.nro_reqtype = 77}, none = {0};
	struct nmreq_opt_offsets o[2] = {{.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS},
					 {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS}};
	struct nmreq_opt_sync_kloop_eventfds big = {
		.nro_opt = {.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS, .nro_size = 8000}};

	CHECK(reg_with(port, &none) == EINVAL && none.nro_status == EINVAL);
	o[0].nro_opt.nro_next = (uintptr_t)&o[1];
	CHECK(reg_with(port, o) == EINVAL);
	CHECK(o[0].nro_opt.nro_status == EINVAL && o[1].nro_opt.nro_status == EINVAL);
	a.nro_next = (uintptr_t)&b;
	b.nro_next = (uintptr_t)&a;
	CHECK(reg_with(port, &a) == EMSGSIZE);
	CHECK(reg_with(port, &big) == EMSGSIZE);
	big.nro_opt.nro_size = 8;
	CHECK(reg_with(port, &big) == EINVAL);
}

/* ---- requests ---- */

static void kernel_loops(void)
{
	const struct nmreq_register nic = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_opt_csb csb = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB};
	struct nmreq_sync_kloop_start start = {.sleep_us = 10};
	struct port p;

	CHECK(ctl_once(NETMAP_REQ_SYNC_KLOOP_START, port, &start, NULL) == ENXIO);
	CHECK(ctl_once(NETMAP_REQ_SYNC_KLOOP_STOP, port, NULL, NULL) == ENXIO);
	CHECK(ctl_once(NETMAP_REQ_CSB_ENABLE, port, NULL, NULL) == EINVAL);
	CHECK(ctl_once(NETMAP_REQ_CSB_ENABLE, port, NULL, &csb) == EOPNOTSUPP);
	CHECK(csb.nro_opt.nro_status == EOPNOTSUPP);
	p = port_open(port, nic, NULL);
	CHECK(p.err == 0);
	CHECK(ctl(p.fd, NETMAP_REQ_SYNC_KLOOP_START, port, &start) == EINVAL); /* without CSB */
	CHECK(ctl(p.fd, NETMAP_REQ_SYNC_KLOOP_STOP, port, NULL) == 0);
	start.sleep_us = 1000001;
	CHECK(ctl(p.fd, NETMAP_REQ_SYNC_KLOOP_START, port, &start) == EINVAL);
	port_close(&p);
}

static void informing(void)
{
	struct nmreq_port_hdr hdr = {.nr_hdr_len = 12};
	struct nmreq_pools_info pools = {0};

	CHECK(ctl_once(NETMAP_REQ_POOLS_INFO_GET, "nosuch", &pools, NULL) == ENXIO);
	CHECK(ctl_once(NETMAP_REQ_POOLS_INFO_GET, "", &pools, NULL) != 0);
	pools.nr_mem_id = 7;
	CHECK(ctl_once(NETMAP_REQ_POOLS_INFO_GET, port, &pools, NULL) == EINVAL);
	CHECK(pools.nr_memsize == 0); /* copied back on success only */
	CHECK(ctl_once(NETMAP_REQ_PORT_HDR_GET, "nosuch", &hdr, NULL) == ENXIO);
	CHECK(ctl_once(NETMAP_REQ_PORT_HDR_GET, port, &hdr, NULL) == 0 && hdr.nr_hdr_len == 0);
	for (uint32_t len = 0; len < 14; len++) {
		hdr.nr_hdr_len = len;
		CHECK(ctl_once(NETMAP_REQ_PORT_HDR_SET, port, &hdr, NULL) ==
		      (len == 0 || len == 10 || len == 12 ? ENXIO : EINVAL));
	}
}

/* VALE switches: not yet. */
static void switches(void)
{
	char body[64] = {0};

	CHECK(ctl_once(NETMAP_REQ_VALE_ATTACH, "vale0:x", body, NULL) == EOPNOTSUPP);
	CHECK(ctl_once(NETMAP_REQ_VALE_DETACH, "vale0:x", body, NULL) == EOPNOTSUPP);
	CHECK(ctl_once(NETMAP_REQ_VALE_LIST, "", body, NULL) == EOPNOTSUPP);
	CHECK(ctl_once(NETMAP_REQ_VALE_NEWIF, "x", body, NULL) == EOPNOTSUPP);
	CHECK(ctl_once(NETMAP_REQ_VALE_DELIF, "x", NULL, NULL) == EOPNOTSUPP);
	CHECK(ctl_once(NETMAP_REQ_VALE_POLLING_ENABLE, "vale0:x", body, NULL) == EOPNOTSUPP);
}

/* ---- ports without rings, and only some rings ---- */

static void null_ports(void)
{
	struct nmreq_register r = {.nr_mode = NR_REG_NULL, .nr_mem_id = 1, .nr_extra_bufs = 4};
	struct port p[N_IFS + 1];
	int n = 0;

	p[0] = port_open("", r, NULL);
	CHECK(p[0].err == 0 && p[0].reg.nr_tx_rings == 0 && p[0].reg.nr_extra_bufs == 4);
	CHECK(p[0].nifp->ni_host_tx_rings == 1 && p[0].nifp->ni_bufs_head >= 2);
	CHECK(p[0].nifp->ring_ofs[0] == 0 && p[0].nifp->ring_ofs[1] == 0);
	CHECK(ioctl(p[0].fd, NIOCTXSYNC, NULL) == 0 && ioctl(p[0].fd, NIOCRXSYNC, NULL) == 0);
	CHECK(poll_now(p[0].fd, POLLIN | POLLOUT) == 0);
	/* As many as there are netmap_ifs, and one that is closed makes room for another. */
	r.nr_extra_bufs = 0;
	for (n = 1; n <= N_IFS; n++) {
		p[n] = port_open("", r, NULL);
		if (p[n].err)
			break;
	}
	CHECK(n == N_IFS && p[n].err == ENOMEM);
	CHECK(reg(port, NR_REG_ALL_NIC, 0, 0, NULL) == ENOMEM);
	port_close(&p[50]);
	p[50] = port_open("", r, NULL);
	CHECK(p[50].err == 0);
	r.nr_mem_id = 2;
	CHECK(ctl_once(NETMAP_REQ_REGISTER, "", &r, NULL) == EINVAL);
	while (n--)
		port_close(&p[n]);
}

static void some_rings(void)
{
	static const struct {
		uint32_t mode;
		uint64_t flags;
		const char *rings; /* tx, host tx, rx, host rx */
	} rows[] = {
		{NR_REG_ALL_NIC, NR_RX_RINGS_ONLY, "00x0"},
		{NR_REG_NIC_SW, NR_TX_RINGS_ONLY, "xx00"},
		{NR_REG_ONE_SW, NR_RX_RINGS_ONLY, "000x"},
		{NR_REG_ALL_NIC, NR_RX_RINGS_ONLY | NR_TX_RINGS_ONLY, "0000"},
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nmreq_register r = {.nr_mode = rows[i].mode, .nr_flags = rows[i].flags};
		struct port p = port_open(port, r, NULL);

		CHECK(p.err == 0);
		for (int k = 0; k < 4 && !p.err; k++)
			CHECK((p.nifp->ring_ofs[k] != 0) == (rows[i].rings[k] == 'x'));
		port_close(&p);
	}
}

/* When close() returns, the port is closed. */
static void closed_at_once(void)
{
	unsigned int n = 0;

	for (int i = 0; i < 100; i++)
		n += reg(port, NR_REG_NIC_SW, 0, NR_EXCLUSIVE, NULL) == 0;
	CHECK(n == 100);
}

/* ---- extra buffers ---- */

/* Entries of the list, none twice. */
static uint32_t list_length(const struct port *p)
{
	static bool seen[163840];
	const struct netmap_ring *r = NETMAP_TXRING(p->nifp, 0);
	uint32_t n = 0, buf;

	memset(seen, 0, sizeof(seen));
	for (buf = p->nifp->ni_bufs_head; buf; n++) {
		if (buf >= 163840 || seen[buf])
			return UINT32_MAX;
		seen[buf] = true;
		memcpy(&buf, NETMAP_BUF(r, buf), sizeof(buf));
	}
	return n;
}

static void extra_buffers(void)
{
	const struct nmreq_register all = {.nr_mode = NR_REG_ALL_NIC, .nr_extra_bufs = UINT32_MAX};
	const struct nmreq_register few = {.nr_mode = NR_REG_ALL_NIC, .nr_extra_bufs = 8};
	struct port keep = port_open(port, few, NULL), p;
	struct netmap_ring *r = NETMAP_TXRING(keep.nifp, 0);
	uint32_t granted, first, tx;

	/* Swapped with a TX slot's and put back: as good as any. */
	first = keep.nifp->ni_bufs_head;
	tx = r->slot[r->head].buf_idx;
	memcpy(NETMAP_BUF(r, tx), NETMAP_BUF(r, first), sizeof(tx));
	keep.nifp->ni_bufs_head = tx;
	r->slot[r->head].buf_idx = first;
	r->slot[r->head].flags = NS_BUF_CHANGED;
	CHECK(list_length(&keep) == 8);

	p = port_open(port, all, NULL);
	granted = p.reg.nr_extra_bufs;
	CHECK(granted > 1000 && granted < 163840 && list_length(&p) == granted);
	port_close(&p);
	for (int i = 0; i < 5; i++) {
		p = port_open(port, few, NULL);
		CHECK(p.reg.nr_extra_bufs == 8);
		switch (i) {
		case 0:
			p.nifp->ni_bufs_head = UINT32_MAX;
			break;
		case 1: /* a circle */
			memcpy(NETMAP_BUF(r, p.nifp->ni_bufs_head), &p.nifp->ni_bufs_head, 4);
			break;
		case 2: /* somebody else's */
			p.nifp->ni_bufs_head = r->slot[1].buf_idx;
			break;
		case 3: /* the daemon's own */
			p.nifp->ni_bufs_head = 1;
			break;
		}
		port_close(&p);
	}
	port_close(&keep);
}

/* What is left when others hold on to all they can get is for the bridge: ENOMEM, not a standstill.
 */
static void no_buffers(void)
{
	const struct nmreq_register hog = {
		.nr_mode = NR_REG_NULL, .nr_mem_id = 1, .nr_extra_bufs = UINT32_MAX};
	struct port p[6];

	for (int i = 0; i < 6; i++)
		p[i] = port_open("", hog, NULL);
	CHECK(p[5].err == 0 && p[5].reg.nr_extra_bufs < p[0].reg.nr_extra_bufs / 16);
	CHECK(reg(port, NR_REG_ALL_NIC, 0, 0, NULL) == ENOMEM);
	for (int i = 0; i < 6; i++)
		port_close(&p[i]);
	CHECK(reg(port, NR_REG_ALL_NIC, 0, 0, NULL) == 0);
}

/* ---- host rings, by name ---- */

static int open_name(const char *rest, struct nmport_d **ret)
{
	char name[80];

	snprintf(name, sizeof(name), "netmap:%.30s%s", port, rest);
	errno = 0;
	*ret = nmport_open(name);
	return *ret ? 0 : errno;
}

/* As Suricata opens a port of three threads against its host. */
static void host_rings(void)
{
	struct nmport_d *a, *b, *c, *d;

	nmctx_get()->error = NULL;
	CHECK(open_name("-0/R@conf:host-rings=3", &a) == 0);
	CHECK(a && a->reg.nr_host_tx_rings == 3 && a->first_rx_ring == 0);
	CHECK(open_name("^0/T@conf:host-rings=3", &b) == 0 && b->first_tx_ring == 1);
	CHECK(open_name("^2/T", &c) == 0 && c->first_tx_ring == 3 && c->last_tx_ring == 3);
	CHECK(open_name("^3/T", &d) == EINVAL);
	CHECK(open_name("^1/R@conf:host-rings=9", &d) == 0 && d->reg.nr_host_rx_rings == 3);
	nmport_close(a);
	nmport_close(b);
	nmport_close(c);
	nmport_close(d);
}

/* ---- flags ---- */

/* NS_INDIRECT is VALE's; here the buffer counts. NS_REPORT needs nothing: every slot is reported.
 */
static void slot_flags(void)
{
	static const char where[] = "elsewhere";
	const struct nmreq_register nic = {.nr_mode = NR_REG_ALL_NIC, .nr_flags = NR_NO_TX_POLL};
	struct port p = port_open(port, nic, NULL);
	struct netmap_ring *r = NETMAP_TXRING(p.nifp, 0);
	struct netmap_slot *s = &r->slot[0];
	char *f = NETMAP_BUF(r, s->buf_idx);

	memset(f, 0, 60);
	memset(f, 0xff, 6);
	memcpy(f + 6, "\x02\x00\x00\x00\x77\x77\x88\xb5", 8);
	memcpy(f + 14, "buffer", 6);
	s->len = 60;
	s->flags = NS_INDIRECT | NS_REPORT;
	s->ptr = (uintptr_t)where;
	r->head = r->cur = 1;
	/* NR_NO_TX_POLL: only who waits for room, or asks for it, sends. */
	CHECK(poll_now(p.fd, POLLIN) >= 0);
	usleep(20000);
	CHECK(poll_now(p.fd, 0) == 0 && r->tail == 1023);
	CHECK(poll_now(p.fd, POLLOUT) == POLLOUT);
	for (int i = 0; i < 1000 && nm_tx_pending(r); i++) {
		usleep(1000);
		ioctl(p.fd, NIOCTXSYNC, NULL);
	}
	CHECK(r->tail == 0 && !(s->flags & (NS_INDIRECT | NS_REPORT)));
	CHECK(s->ptr == (uintptr_t)where);
	port_close(&p);
}

static void timestamps(void)
{
	const struct nmreq_register nic = {.nr_mode = NR_REG_ALL_NIC};
	struct port p = port_open(port, nic, NULL);
	struct netmap_ring *r = NETMAP_RXRING(p.nifp, 0);
	struct pollfd pfd = {.fd = p.fd, .events = POLLIN};
	struct timeval now;

	r->flags |= NR_TIMESTAMP;
	CHECK(poll(&pfd, 1, 10000) == 1 && pfd.revents == POLLIN && !nm_ring_empty(r));
	gettimeofday(&now, NULL);
	CHECK(r->ts.tv_sec >= now.tv_sec - 2 && r->ts.tv_sec <= now.tv_sec);
	CHECK(r->ts.tv_usec >= 0 && r->ts.tv_usec < 1000000);
	CHECK(r->flags == NR_TIMESTAMP);
	port_close(&p);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: compat_port PORT\n");
		return 2;
	}
	port = argv[1];
	refused_options();
	wrong_options();
	kernel_loops();
	informing();
	switches();
	null_ports();
	some_rings();
	closed_at_once();
	extra_buffers();
	no_buffers();
	host_rings();
	slot_flags();
	timestamps();
	printf("%u checks, %u wrong\n", n_checks, n_wrong);
	return n_wrong > 0;
}
