/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the netmap module was seen to answer on an interface, call by call, asked of a port of the
 * daemon. Numbers are rows of that record. Each row is as it was there, or differs on purpose, with
 * the reason in a comment.
 *
 *	compat_observed PORT
 *
 * PORT is a name without "netmap:", with one ring of each kind, that nobody has open. Prints the
 * rows that are not as they should be, then a sum; the exit status is 0 if there are none.
 */
#define NETMAP_WITH_LIBS
#include "ctl.h"

static const char *port;
static unsigned int n_same, n_other, n_wrong;

/* As observed. */
static void row(unsigned int no, bool ok)
{
	n_same += ok;
	n_wrong += !ok;
	if (!ok)
		printf("row %u: not as observed\n", no);
}

static void row_err(unsigned int no, int got, int want)
{
	if (got != want)
		printf("row %u: %s, observed %s\n", no, strerror(got), strerror(want));
	row(no, got == want);
}

/* Otherwise on purpose; ok: as we want it. */
static void other(unsigned int no, bool ok)
{
	n_other += ok;
	n_wrong += !ok;
	if (!ok)
		printf("row %u: not as documented\n", no);
}

/* VALE switches, pipes, monitors: not yet, and said so. */
static void not_yet(unsigned int no, int got)
{
	other(no, got == EOPNOTSUPP);
}

/* ---- 1 to 34: before registering ---- */

static void unregistered(void)
{
	int fd = dev();
	char c;

	row(1, ioctl(fd, NIOCTXSYNC, NULL) < 0 && errno == ENXIO);
	row(2, ioctl(fd, NIOCRXSYNC, NULL) < 0 && errno == ENXIO);
	row(3, poll_now(fd, POLLIN | POLLOUT) == POLLERR);
	row(4, ioctl(fd, _IO('i', 42), NULL) < 0 && errno == EOPNOTSUPP);
	row(5, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EINVAL);
	row(6, read(fd, &c, 1) < 0 && errno == EINVAL);
	row(7, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
	close(fd);
}

static void versions(void)
{
	static const int wants[] = {EINVAL, EINVAL, EINVAL, EINVAL, 0, 0, EINVAL, EINVAL};
	static const unsigned int old[] = {3, 4, 10, 11, 12, 13, 14, 15, 16, 17};
	struct nmreq_port_info_get info = {0};
	int fd = dev();

	for (unsigned int v = 10; v <= 17; v++)
		row_err(v - 2, ctl_full(fd, v, NETMAP_REQ_PORT_INFO_GET, port, &info, NULL),
			wants[v - 10]);
	close(fd);
	for (unsigned int i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
		struct nmreq r = {.nr_version = old[i]};

		snprintf(r.nr_name, sizeof(r.nr_name), "%s", port);
		row_err(16 + i, legacy(NIOCGINFO, &r), old[i] < NETMAP_API ? EINVAL : 0);
	}
}

static int info_of(const char *name, struct nmreq_port_info_get *ret)
{
	memset(ret, 0, sizeof(*ret));
	return ctl_once(NETMAP_REQ_PORT_INFO_GET, name, ret, NULL);
}

static void infos(void)
{
	struct nmreq_port_info_get i;
	struct nmreq_pools_info p = {0};
	char literally[64];

	row_err(26, info_of(port, &i), 0);
	row(26, i.nr_memsize == 343019520 && i.nr_tx_slots == 1024 && i.nr_rx_slots == 1024 &&
			i.nr_tx_rings == 1 && i.nr_rx_rings == 1 && i.nr_host_tx_rings == 1 &&
			i.nr_host_rx_rings == 1 && i.nr_mem_id == 1);
	row_err(27, info_of("nosuch", &i), ENXIO);
	row_err(28, info_of("", &i), 0);
	row_err(29, ctl_once(NETMAP_REQ_PORT_INFO_GET, port, NULL, NULL), EINVAL);
	snprintf(literally, sizeof(literally), "netmap:%.40s", port);
	row_err(30, info_of(literally, &i), ENXIO);
	not_yet(31, info_of("vale0:x", &i));
	row_err(32, ctl_once(0, port, NULL, NULL), EINVAL);
	row_err(33, ctl_once(99, port, NULL, NULL), EINVAL);
	row_err(34, ctl_once(NETMAP_REQ_POOLS_INFO_GET, port, &p, NULL), 0);
	row(34, p.nr_memsize == 343019520 && p.nr_mem_id == 1 && p.nr_if_pool_offset == 0 &&
			p.nr_if_pool_objtotal == 100 && p.nr_if_pool_objsize == 1024 &&
			p.nr_ring_pool_offset == 102400 && p.nr_ring_pool_objtotal == 200 &&
			p.nr_ring_pool_objsize == 36864 && p.nr_buf_pool_objtotal == 163840 &&
			p.nr_buf_pool_objsize == 2048);
	/* Buffers start 256 bytes into their AF_XDP chunks, where the kernel puts frames. */
	other(34, p.nr_buf_pool_offset == 7475200 + 256);
}

/* ---- 35 to 59: REGISTER ---- */

static void register_modes(void)
{
	static const struct {
		unsigned int no;
		uint32_t mode;
		uint16_t ring;
		uint64_t flags;
		int err;
	} rows[] = {
		{35, NR_REG_DEFAULT, 0, 0, EINVAL},
		{36, NR_REG_ALL_NIC, 0, 0, 0},
		{37, NR_REG_SW, 0, 0, 0},
		{38, NR_REG_NIC_SW, 0, 0, 0},
		{39, NR_REG_ONE_NIC, 0, 0, 0},
		{40, NR_REG_ONE_NIC, 5, 0, EINVAL},
		{41, NR_REG_ONE_SW, 0, 0, 0},
		{42, NR_REG_ONE_SW, 3, 0, EINVAL},
		{43, NR_REG_PIPE_MASTER, 0, 0, EINVAL},
		{44, 9, 0, 0, EINVAL},
		{45, NR_REG_NULL, 0, 0, EINVAL}, /* of no memory */
		{47, NR_REG_ALL_NIC, 0, NR_RX_RINGS_ONLY, 0},
		{48, NR_REG_ALL_NIC, 0, NR_RX_RINGS_ONLY | NR_TX_RINGS_ONLY, 0},
		{49, NR_REG_ALL_NIC, 0, 1ULL << 40, 0},
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nmreq_register r;

		row_err(rows[i].no, reg(port, rows[i].mode, rows[i].ring, rows[i].flags, &r),
			rows[i].err);
		row(rows[i].no, rows[i].err || (r.nr_memsize == 343019520 && r.nr_tx_rings == 1 &&
						r.nr_rx_rings == 1 && r.nr_host_tx_rings == 1 &&
						r.nr_host_rx_rings == 1 && r.nr_tx_slots == 1024 &&
						r.nr_rx_slots == 1024 && r.nr_mem_id == 1 &&
						r.nr_extra_bufs == 0));
		row(rows[i].no, r.nr_mode == rows[i].mode && r.nr_ringid == rows[i].ring &&
					r.nr_flags == rows[i].flags);
	}
	row_err(46, reg("", NR_REG_NULL, 0, 0, NULL), EINVAL);
}

static void register_names(void)
{
	static const struct {
		unsigned int no;
		const char *name;
		uint32_t mode;
	} rows[] = {
		{51, "vale0:a", NR_REG_ALL_NIC}, {52, "vale0:a", NR_REG_SW},
		{53, "vale", NR_REG_ALL_NIC},    {54, "vale0:", NR_REG_ALL_NIC},
		{55, "foo{1", NR_REG_ALL_NIC},   {56, "foo{", NR_REG_ALL_NIC},
		{57, "{1", NR_REG_ALL_NIC},      {58, "foo}1", NR_REG_SW},
	};
	char pipe[64];

	not_yet(50, reg(port, NR_REG_ALL_NIC, 0, NR_MONITOR_RX, NULL));
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		not_yet(rows[i].no, reg(rows[i].name, rows[i].mode, 0, 0, NULL));
	snprintf(pipe, sizeof(pipe), "%.40s{1", port);
	not_yet(59, reg(pipe, NR_REG_ALL_NIC, 0, 0, NULL));
}

/* ---- 60 to 73: a port that is open ---- */

static void check_if(const struct port *p)
{
	const struct netmap_if *i = p->nifp;

	row_err(60, p->err, 0);
	for (int k = 0; k < 4; k++)
		row(60, i->ring_ofs[k] != 0);
	row(60, i->ni_tx_rings == 1 && i->ni_rx_rings == 1 && i->ni_host_tx_rings == 1 &&
			i->ni_host_rx_rings == 1 && i->ni_version == 0 && i->ni_flags == 0 &&
			i->ni_bufs_head >= 2);
	row(60, strncmp(i->ni_name, port, sizeof(i->ni_name) - 1) == 0);
	row(61, p->reg.nr_extra_bufs == 8);
}

static void check_rings(const struct port *p)
{
	const struct netmap_ring *tx = NETMAP_TXRING(p->nifp, 0), *rx = NETMAP_RXRING(p->nifp, 0);

	row(68, tx->head == 0 && tx->cur == 0 && tx->tail == 1023 && tx->num_slots == 1024 &&
			tx->nr_buf_size == 2048);
	row(69, rx->head == 0 && rx->cur == 0 && rx->tail == 0 && rx->num_slots == 1024);
	/* Which they are is the allocator's affair: 2050 and 2 there. */
	other(70, tx->slot[0].buf_idx >= 2 && rx->slot[0].buf_idx >= 2 &&
			  tx->slot[0].buf_idx != rx->slot[0].buf_idx);
	row(71, poll_now(p->fd, 0) == 0);
	row(72, poll_now(p->fd, POLLIN) == 0);
	row(73, poll_now(p->fd, POLLOUT) == POLLOUT);
}

static void opened(void)
{
	const struct nmreq_register both = {.nr_mode = NR_REG_NIC_SW, .nr_extra_bufs = 8};
	struct nmreq_register again = {.nr_mode = NR_REG_ALL_NIC};
	struct port p = port_open(port, both, NULL);

	if (p.fd < 0) {
		row_err(60, p.err, 0);
		return;
	}
	check_if(&p);
	row_err(62, ctl(p.fd, NETMAP_REQ_REGISTER, port, &again), EBUSY);
	row_err(63, reg(port, NR_REG_ALL_NIC, 0, 0, NULL), 0);
	row_err(64, reg(port, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, NULL), EBUSY);
	not_yet(65, reg(port, NR_REG_ALL_NIC, 0, NR_MONITOR_RX, NULL)); /* and 66 */
	not_yet(67, reg(port, NR_REG_ALL_NIC, 0, NR_MONITOR_RX | NR_ZCOPY_MON, NULL));
	check_rings(&p);
	port_close(&p);
}

/* ---- 74 to 80: rings ---- */

/* Until the ring is free again but for its last slot, in time. */
static bool completes(struct port *p, struct netmap_ring *r)
{
	for (int i = 0; i < 2000 && nm_tx_pending(r); i++) {
		ioctl(p->fd, NIOCTXSYNC, NULL);
		usleep(1000);
	}
	return !nm_tx_pending(r);
}

static bool send_slot(struct port *p, struct netmap_ring *r, uint16_t len)
{
	r->slot[r->head].len = len;
	r->head = r->cur = nm_ring_next(r, r->head);
	return ioctl(p->fd, NIOCTXSYNC, NULL) == 0;
}

static void sending(void)
{
	const struct nmreq_register nic = {.nr_mode = NR_REG_ALL_NIC};
	struct port p = port_open(port, nic, NULL);
	struct netmap_ring *r;
	uint32_t first, kept;

	row_err(74, p.err, 0);
	if (p.err)
		return;
	r = NETMAP_TXRING(p.nifp, 0);
	first = r->slot[0].buf_idx;
	memset(NETMAP_BUF(r, first), 0xff, 60); /* a source that is a group: it goes nowhere */
	row(74, send_slot(&p, r, 60) && r->head == 1);
	row(75, completes(&p, r) && r->head == 1 && r->tail == 0);
	/* The buffer has been handed over, not copied: the slot has another, and says so. */
	other(74, r->slot[0].buf_idx != first && r->slot[0].flags == NS_BUF_CHANGED);
	row(76, send_slot(&p, r, 5) && r->head == 2);
	row(76, completes(&p, r));
	row(77, send_slot(&p, r, 60000) && r->head == 3 && completes(&p, r));
	kept = r->slot[3].buf_idx;
	r->slot[3].buf_idx = 4000000;
	row(78, send_slot(&p, r, 60) && r->head == 4 && r->cur == 4 && completes(&p, r));
	r->slot[3].buf_idx = kept; /* cleaned meanwhile, as a ring that is put back is */
	r->head = r->num_slots + 5;
	/* It stayed there, and the ring was dead; netmap's own rule is to put it back, so we do. */
	other(79, ioctl(p.fd, NIOCTXSYNC, NULL) == 0 && r->head == 4 && r->cur == 4);
	other(79, send_slot(&p, r, 60) && completes(&p, r));
	port_close(&p);
}

static void receiving(void)
{
	const struct nmreq_register nic = {.nr_mode = NR_REG_ALL_NIC};
	struct port p = port_open(port, nic, NULL);
	struct netmap_ring *r;

	row_err(80, p.err, 0);
	if (p.err)
		return;
	r = NETMAP_RXRING(p.nifp, 0);
	r->head = r->cur = 10;
	row(80,
	    ioctl(p.fd, NIOCRXSYNC, NULL) == 0 && r->head == 10 && r->cur == 10 && r->tail == 0);
	port_close(&p);
}

/* ---- 81 to 98: options; pipes and switches ---- */

static void options(void)
{
	struct nmreq_opt_offsets o = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS,
				      .nro_max_offset = 128};
	struct nmreq_option unknown = {.nro_reqtype = 77};
	struct nmreq_register r = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_port_hdr hdr = {0};
	struct port p;

	row_err(81, ctl_once(NETMAP_REQ_PORT_HDR_GET, port, &hdr, NULL), 0);
	row_err(82, ctl_once(NETMAP_REQ_REGISTER, port, &r, &unknown), EOPNOTSUPP);
	row(82, unknown.nro_status == EOPNOTSUPP);
	p = port_open(port, r, NULL);
	row_err(83, ctl_once(NETMAP_REQ_REGISTER, port, &r, &o), 0);
	row(83, o.nro_opt.nro_status == 0);
	port_close(&p);
	/* What it saw on a VALE port, on this one. */
	o.nro_initial_offset = 64;
	row_err(84, ctl_once(NETMAP_REQ_REGISTER, port, &r, &o), 0);
	row(84, o.nro_opt.nro_status == 0 && o.nro_offset_bits == 0);
	not_yet(84, ctl_once(NETMAP_REQ_REGISTER, "vale0:o", &r, &o));
	not_yet(85, reg("pp{1", NR_REG_ALL_NIC, 0, 0, NULL));    /* to 94 */
	not_yet(95, reg("vale1:b", NR_REG_ALL_NIC, 0, 0, NULL)); /* to 98 */
}

/* ---- 99 to 123: the older interface ---- */

static int old_register(uint32_t version, uint32_t flags, uint16_t ring, struct nmreq *ret)
{
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->nr_name, sizeof(ret->nr_name), "%s", port);
	ret->nr_version = version;
	ret->nr_flags = flags;
	ret->nr_ringid = ring;
	return legacy(NIOCREGIF, ret);
}

static void old_requests(void)
{
	struct nmreq r;

	row_err(99, old_register(11, NR_REG_ALL_NIC, 0, &r), EINVAL);
	row_err(100, old_register(14, NR_REG_ALL_NIC, 0, &r), 0);
	/* The offset of the netmap_if was 3072; it depends on who else has one. */
	other(100, r.nr_offset % 1024 == 0 && r.nr_offset < 102400);
	row(100, r.nr_memsize == 343019520 && r.nr_tx_rings == 1 && r.nr_rx_rings == 1 &&
			 r.nr_tx_slots == 1024 && r.nr_rx_slots == 1024 && r.nr_arg2 == 1 &&
			 r.nr_version == 14 && r.nr_flags == NR_REG_ALL_NIC);
	row_err(101, old_register(14, 0, 0, &r), 0);
	row(101, r.nr_flags == 0);
	row_err(102, old_register(14, 0, NETMAP_SW_RING, &r), 0);
	row(102, r.nr_flags == 0);
	row_err(103, old_register(14, 0, NETMAP_HW_RING, &r), 0);
	row(103, r.nr_flags == 0);
	r = (struct nmreq){.nr_name = "nosuch", .nr_version = 14};
	row_err(104, legacy(NIOCREGIF, &r), ENXIO);
	r = (struct nmreq){.nr_name = "zz", .nr_version = 14, .nr_ringid = 3};
	r.nr_flags = NR_REG_PIPE_MASTER;
	not_yet(105, legacy(NIOCREGIF, &r));
}

/* The errno of nm_open(), 0 if it succeeds, -1 if it says that this is no name of its own. */
static int old_open(const char *before, const char *after)
{
	char name[80];
	struct nm_desc *d;

	snprintf(name, sizeof(name), "%s%s", before, after ? after : "");
	errno = 4711;
	d = nm_open(name, NULL, 0, NULL);
	if (d)
		nm_close(d);
	return d ? 0 : errno ? errno : -1;
}

static void old_names(void)
{
	static const struct {
		unsigned int no;
		const char *rest;
		int err;
	} rows[] = {
		{106, "", 0},
		{107, "^", 0},
		{108, "*", 0},
		{109, "-0", 0},
		{110, "-7", EINVAL},
		{111, "/R", 0},
		{113, "/q", EINVAL},
		{114, "{a", EINVAL},
		{115, "}b", EINVAL},
		{116, "@1", 0},
		{117, "@conf:rings=1", EINVAL},
		{122, "^0", EINVAL},
		{123, "*/R", 0},
	};
	struct nm_desc *d;
	char name[64];

	snprintf(name, sizeof(name), "netmap:%.40s", port);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		row_err(rows[i].no, old_open(name, rows[i].rest), rows[i].err);
	d = nm_open(name, NULL, 0, NULL);
	row_err(112, old_open(name, "/xT"), EBUSY); /* while somebody else has it */
	if (d)
		nm_close(d);
	not_yet(118, old_open("vale5:p", NULL));
	not_yet(119, old_open("vale5:p-0", NULL));
	row_err(120, old_open("netmap:", NULL), ENXIO);
	row(121, old_open(port, NULL) == -1);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: compat_observed PORT\n");
		return 2;
	}
	port = argv[1];
	unregistered();
	versions();
	infos();
	register_modes();
	register_names();
	opened();
	sending();
	receiving();
	options();
	old_requests();
	old_names();
	printf("%u checks as observed, %u otherwise on purpose, %u wrong\n", n_same, n_other,
	       n_wrong);
	return n_wrong > 0;
}
