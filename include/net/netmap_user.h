/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Helpers for programs: from a mapping to interfaces, rings and buffers, and the arithmetic of
 * rings. All of it is inline; nothing is to be linked.
 *
 * With NETMAP_WITH_LIBS defined before, also a small library of static functions: nm_open() and
 * what goes with it, on one port by name. It speaks the older requests; libnetmap.h is its
 * successor and knows more names (host rings by number, named pipes, options).
 *
 *	#define NETMAP_WITH_LIBS
 *	#include <net/netmap_user.h>
 *
 *	struct nm_desc *d = nm_open("netmap:br0", NULL, 0, NULL);
 *	struct pollfd p = {.fd = NETMAP_FD(d), .events = POLLIN};
 *	struct nm_pkthdr h;
 *	const u_char *frame;
 *
 *	while (poll(&p, 1, -1) > 0)
 *		while ((frame = nm_nextpkt(d, &h)))
 *			use(frame, h.len);
 */
#ifndef NET_NETMAP_USER_H_
#define NET_NETMAP_USER_H_

#include <net/netmap.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define NETMAP_DEVICE_NAME "/dev/netmap"

#ifndef likely
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

#define NETMAP_UNUSED_ __attribute__((unused))

/*
 * From the mapping inwards. Everything is relative, so that a region may lie anywhere. A ring that
 * is not bound to the descriptor has the offset 0: do not touch what these macros return for it.
 */
#define _NETMAP_OFFSET(_type, _ptr, _offset) ((_type)(void *)((char *)(_ptr) + (_offset)))

/* The netmap_if at _ofs (nr_offset) of the mapping at _base. */
#define NETMAP_IF(_base, _ofs) _NETMAP_OFFSET(struct netmap_if *, _base, _ofs)

/* Ring _index of the direction; host rings follow those of the device. */
#define NETMAP_TXRING(_nifp, _index)                                                               \
	_NETMAP_OFFSET(struct netmap_ring *, _nifp, (_nifp)->ring_ofs[_index])
#define NETMAP_RXRING(_nifp, _index)                                                               \
	_NETMAP_OFFSET(                                                                            \
		struct netmap_ring *, _nifp,                                                       \
		(_nifp)->ring_ofs[(_index) + (_nifp)->ni_tx_rings + (_nifp)->ni_host_tx_rings])

/* The buffer of an index (char *), and the index of an address inside a buffer. */
#define NETMAP_BUF(_ring, _index)                                                                  \
	((char *)(_ring) + (_ring)->buf_ofs + ((size_t)(_index) * (_ring)->nr_buf_size))
#define NETMAP_BUF_IDX(_ring, _buf)                                                                \
	((uint32_t)(((char *)(_buf) - ((char *)(_ring) + (_ring)->buf_ofs)) / (_ring)->nr_buf_size))

/* Ports opened with offsets: where in its buffer a frame starts. Others have offset_mask 0. */
#define NETMAP_ROFFSET(_ring, _slot) ((_slot)->ptr & (_ring)->offset_mask)
#define NETMAP_WOFFSET(_ring, _slot, _offset)                                                      \
	do {                                                                                       \
		(_slot)->ptr = ((_slot)->ptr & ~(_ring)->offset_mask) |                            \
			       ((_offset) & (_ring)->offset_mask);                                 \
	} while (0)
#define NETMAP_BUF_OFFSET(_ring, _slot)                                                            \
	(NETMAP_BUF(_ring, (_slot)->buf_idx) + NETMAP_ROFFSET(_ring, _slot))

/* The slot after slot i. */
static inline uint32_t nm_ring_next(const struct netmap_ring *r, uint32_t i)
{
	return unlikely(i + 1 == r->num_slots) ? 0 : i + 1;
}

/* Slots that the program owns: frames to read, or room to send. */
static inline uint32_t nm_ring_space(const struct netmap_ring *r)
{
	return r->tail >= r->head ? r->tail - r->head : r->tail + r->num_slots - r->head;
}

/* True when the program owns no slot. */
static inline int nm_ring_empty(const struct netmap_ring *r)
{
	return r->head == r->tail;
}

/* tx: true while something that was handed over has not come back. */
static inline int nm_tx_pending(const struct netmap_ring *r)
{
	return nm_ring_next(r, r->tail) != r->head;
}

/* Copies len bytes of a frame; the two must not overlap. */
static inline void nm_pkt_copy(const void *src, void *dst, int len)
{
	if (likely(len > 0))
		memcpy(dst, src, (size_t)len);
}

/*
 * Messages to stderr with time (seconds since 1970) and place: D(format, ...) always, RD(n, format,
 * ...) at most n in a second, ND(...) never. The short names can be taken by the program: define
 * its own first.
 */
__attribute__((format(printf, 3, 4), unused)) static void
nm_debug_print_(const char *where, int line, const char *fmt, ...)
{
	struct timeval now;
	va_list ap;

	gettimeofday(&now, NULL);
	fprintf(stderr, "%ld.%06ld %s:%d ", (long)now.tv_sec, (long)now.tv_usec, where, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static inline int nm_debug_allowed_(time_t *second, int *n, int limit)
{
	time_t now = time(NULL);

	if (*second != now) {
		*second = now;
		*n = 0;
	}
	return (*n)++ < limit;
}

#ifndef D
#define D(...) nm_debug_print_(__func__, __LINE__, __VA_ARGS__)
#endif
#ifndef RD
#define RD(_limit, ...)                                                                            \
	do {                                                                                       \
		static time_t nm_second_;                                                          \
		static int nm_n_;                                                                  \
		if (nm_debug_allowed_(&nm_second_, &nm_n_, _limit))                                \
			nm_debug_print_(__func__, __LINE__, __VA_ARGS__);                          \
	} while (0)
#endif
#ifndef ND
#define ND(...)                                                                                    \
	do {                                                                                       \
	} while (0)
#endif

#ifdef NETMAP_WITH_LIBS

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct nm_desc;

/* What comes with a frame. The first members are those of struct pcap_pkthdr. */
struct nm_pkthdr {
	struct timeval ts;        /* of the sync that brought the frame */
	uint32_t caplen;          /* bytes at buf */
	uint32_t len;             /* bytes of the frame */
	uint64_t flags;           /* NM_MORE_PKTS */
	struct nm_desc *d;        /* where it came from */
	struct netmap_slot *slot; /* its first slot */
	uint8_t *buf;             /* the frame */
};
#define NM_MORE_PKTS 1 /* another frame follows in this call of nm_dispatch() */

struct nm_stat { /* as struct pcap_stat */
	u_int ps_recv;
	u_int ps_drop;   /* 0: the device does not say */
	u_int ps_ifdrop; /* 0 */
};

#define NM_ERRBUF_SIZE 512
#define MAXERRMSG      80 /* of nm_parse() */

/* An open port: one per thread. Owned by who called nm_open(). */
struct nm_desc {
	struct nm_desc *self; /* this; tells a descriptor from anything else */
	int fd;               /* of "/dev/netmap", -1 = none */
	void *mem;            /* the mapping */
	size_t memsize;       /* bytes */
	int done_mmap;        /* 1 = the mapping is this descriptor's to undo */
	struct netmap_if *nifp;
	uint16_t first_tx_ring, last_tx_ring, cur_tx_ring; /* indexes for NETMAP_TXRING() */
	uint16_t first_rx_ring, last_rx_ring, cur_rx_ring;
	struct nmreq req;              /* as the device answered it */
	struct nm_pkthdr hdr;          /* scratch of nm_dispatch() */
	struct netmap_ring *some_ring; /* any that is bound, for NETMAP_BUF() */
	void *buf_start;               /* buffer 0 */
	void *buf_end;                 /* end of the mapping */
	/* For libpcap's use; not looked at here. */
	int snaplen;
	int promisc;
	int to_ms;
	char *errbuf;
	uint32_t if_flags;
	uint32_t if_reqcap;
	uint32_t if_curcap;
	struct nm_stat st;
	char msg[NM_ERRBUF_SIZE];
};

#define P2NMD(_p)          ((struct nm_desc *)(_p))
#define IS_NETMAP_DESC(_d) ((_d) && P2NMD(_d)->self == P2NMD(_d))
#define NETMAP_FD(_d)      (P2NMD(_d)->fd)

/* Flags of nm_open(): what to take over from the other descriptor. */
enum {
	NM_OPEN_NO_MMAP = 0x040000, /* do not map, unless a parent is given */
	NM_OPEN_IFNAME = 0x080000,  /* name, rings and flags of the parent; ifname is not parsed */
	NM_OPEN_ARG1 = 0x100000,
	NM_OPEN_ARG2 = 0x200000,
	NM_OPEN_ARG3 = 0x400000,
	NM_OPEN_RING_CFG = 0x800000, /* numbers of rings and slots */
};

/* Called with each frame: the argument given, its description, the frame. */
typedef void (*nm_cb_t)(u_char *, const struct nm_pkthdr *, const u_char *);

/* The first n bytes of name are an existing network interface. */
NETMAP_UNUSED_ static int nm_is_device_(const char *name, size_t n)
{
	int saved = errno, there;
	char buf[IFNAMSIZ];

	if (n == 0 || n >= sizeof(buf))
		return 0;
	memcpy(buf, name, n);
	buf[n] = '\0';
	there = if_nametoindex(buf) != 0;
	errno = saved;
	return there;
}

/*
 * Length of the port name at s. A '-' ends it ("eth0-1": ring 1), unless the text before is no
 * interface and a longer one that goes on is: then the longest of them ("br-lan", "br-lan-1").
 */
NETMAP_UNUSED_ static size_t nm_name_len_(const char *s)
{
	size_t end = strcspn(s, "-*^{}/@"), n = end, found = end;

	if (s[end] != '-' || nm_is_device_(s, end))
		return end;
	while (n < IFNAMSIZ && s[n] == '-') {
		n += 1 + strcspn(s + n + 1, "-*^{}/@");
		if (nm_is_device_(s, n))
			found = n;
	}
	return found;
}

/* A decimal number below limit at *s, which moves behind it; -1 if there is none. */
NETMAP_UNUSED_ static long nm_number_(const char **s, long limit)
{
	long n = 0;

	if (**s < '0' || **s > '9')
		return -1;
	for (; **s >= '0' && **s <= '9'; (*s)++)
		if (n < limit)
			n = n * 10 + (**s - '0');
	return n < limit ? n : -1;
}

/* "vale", ident, ':', ident: all of the n bytes at s. */
NETMAP_UNUSED_ static int nm_is_vale_(const char *s, size_t n)
{
	size_t i, colons = 0;

	for (i = 4; i < n; i++) {
		if (s[i] == ':')
			colons++;
		else if (!(s[i] == '_' || (s[i] >= '0' && s[i] <= '9') ||
			   (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z')))
			return 0;
	}
	return colons == 1;
}

/* The part behind the name that chooses rings. Fills mode and ring; NULL or what is wrong. */
NETMAP_UNUSED_ static const char *nm_parse_rings_(const char **s, uint32_t *mode, uint16_t *ring)
{
	long n;
	char c = **s;

	*mode = NR_REG_ALL_NIC;
	*ring = 0;
	if (c == '\0' || c == '/' || c == '@')
		return NULL;
	(*s)++;
	if (c == '^' || c == '*') {
		*mode = c == '^' ? NR_REG_SW : NR_REG_NIC_SW;
		return NULL;
	}
	n = nm_number_(s, 4095);
	if (n < 0)
		return "a number from 0 to 4094 must follow '-', '{' or '}'";
	*ring = (uint16_t)n;
	*mode = c == '-' ? NR_REG_ONE_NIC : c == '{' ? NR_REG_PIPE_MASTER : NR_REG_PIPE_SLAVE;
	return NULL;
}

/* Letters behind '/'; stops at the end or at '@'. */
NETMAP_UNUSED_ static const char *nm_parse_flags_(const char **s, uint32_t *flags)
{
	static const char letters[] = "xztrRT";
	static const uint32_t bits[] = {NR_EXCLUSIVE,  NR_ZCOPY_MON,     NR_MONITOR_TX,
					NR_MONITOR_RX, NR_RX_RINGS_ONLY, NR_TX_RINGS_ONLY};
	const char *at;

	if (**s == '\0')
		return "letters of x z t r R T must follow '/'";
	for (; **s != '\0' && **s != '@'; (*s)++) {
		at = strchr(letters, **s);
		if (!at)
			return "unknown flag behind '/', known are x z t r R T";
		*flags |= bits[at - letters];
	}
	return NULL;
}

NETMAP_UNUSED_ static const char *nm_parse_suffixes_(const char *s, struct nmreq *req)
{
	uint32_t mode, flags = 0;
	uint16_t ring;
	long id, mem_id = -1;
	const char *why = nm_parse_rings_(&s, &mode, &ring);

	while (!why && *s != '\0') {
		if (*s == '/') {
			s++;
			why = nm_parse_flags_(&s, &flags);
		} else if (*s == '@') {
			s++;
			id = nm_number_(&s, 0x10000);
			if (id <= 0 || mem_id >= 0)
				why = "one memory id from 1 to 65535 may follow '@'";
			mem_id = id;
		} else {
			why = "only '/' and '@' may follow the rings";
		}
	}
	if (why)
		return why;
	req->nr_flags = mode | flags;
	req->nr_ringid = ring;
	if (mem_id > 0)
		req->nr_arg2 = (uint16_t)mem_id;
	return NULL;
}

/*
 * Fills name, rings, flags and memory id of d->req from a port name:
 * ("netmap:" NAME | "vale" [SWITCH] ":" PORT) ["^" | "*" | "-"N | "{"N | "}"N] ["/"FLAGS] ["@"ID].
 * 0, or -1 with errno EINVAL, a sentence in err (MAXERRMSG bytes) and d->req as it was.
 */
NETMAP_UNUSED_ static int nm_parse(const char *ifname, struct nm_desc *d, char *err)
{
	int vale = strncmp(ifname, "vale", 4) == 0;
	const char *name, *why = NULL;
	size_t n = 0;

	if (!vale && strncmp(ifname, "netmap:", 7) != 0) {
		why = "the name must start with \"netmap:\" or \"vale\"";
		name = ifname;
	} else {
		name = vale ? ifname : ifname + 7;
		n = vale ? strcspn(name, "-*^{}/@") : nm_name_len_(name);
	}
	if (n >= sizeof(d->req.nr_name))
		why = "the name is longer than 15 characters";
	else if (!why && vale && !nm_is_vale_(name, n))
		why = "a switch port is vale[SWITCH]:PORT, of letters, digits and '_'";
	if (!why)
		why = nm_parse_suffixes_(name + n, &d->req);
	if (why) {
		snprintf(err, MAXERRMSG, "%s", why);
		errno = EINVAL;
		return -1;
	}
	memset(d->req.nr_name, 0, sizeof(d->req.nr_name));
	memcpy(d->req.nr_name, name, n);
	return 0;
}

/* Undoes the mapping, closes and frees. 0, or EINVAL if d is no descriptor. errno is kept. */
NETMAP_UNUSED_ static int nm_close(struct nm_desc *d)
{
	int saved = errno;

	if (!IS_NETMAP_DESC(d))
		return EINVAL;
	if (d->done_mmap && d->mem)
		munmap(d->mem, d->memsize);
	if (d->fd >= 0)
		close(d->fd);
	d->self = NULL;
	free(d);
	errno = saved;
	return 0;
}

/*
 * Maps the region of d, or borrows the mapping of parent (may be NULL) when it is the same one;
 * parent must then be closed after d. 0, or an errno.
 */
NETMAP_UNUSED_ static int nm_mmap(struct nm_desc *d, const struct nm_desc *parent)
{
	uint32_t i, n;
	void *mem;

	if (d->done_mmap)
		return 0;
	if (IS_NETMAP_DESC(parent) && parent->mem && parent->req.nr_arg2 == d->req.nr_arg2) {
		d->mem = parent->mem;
		d->memsize = parent->memsize;
	} else {
		mem = mmap(NULL, d->req.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
		if (mem == MAP_FAILED)
			return errno;
		d->mem = mem;
		d->memsize = d->req.nr_memsize;
		d->done_mmap = 1;
	}
	d->nifp = NETMAP_IF(d->mem, d->req.nr_offset);
	n = d->nifp->ni_tx_rings + d->nifp->ni_host_tx_rings + d->nifp->ni_rx_rings +
	    d->nifp->ni_host_rx_rings;
	for (i = 0; i < n && !d->nifp->ring_ofs[i]; i++)
		;
	if (i < n) {
		d->some_ring = _NETMAP_OFFSET(struct netmap_ring *, d->nifp, d->nifp->ring_ofs[i]);
		d->buf_start = NETMAP_BUF(d->some_ring, 0);
	}
	d->buf_end = (char *)d->mem + d->memsize;
	return 0;
}

NETMAP_UNUSED_ static void nm_inherit_(struct nm_desc *d, uint64_t flags, const struct nm_desc *p)
{
	if (flags & NM_OPEN_IFNAME) {
		memcpy(d->req.nr_name, p->req.nr_name, sizeof(d->req.nr_name));
		d->req.nr_ringid = p->req.nr_ringid & NETMAP_RING_MASK;
		d->req.nr_flags = p->req.nr_flags;
	}
	if (flags & NM_OPEN_ARG1)
		d->req.nr_arg1 = p->req.nr_arg1;
	if (flags & NM_OPEN_ARG2)
		d->req.nr_arg2 = p->req.nr_arg2;
	if (flags & NM_OPEN_ARG3)
		d->req.nr_arg3 = p->req.nr_arg3;
	if (flags & NM_OPEN_RING_CFG) {
		d->req.nr_tx_slots = p->req.nr_tx_slots;
		d->req.nr_rx_slots = p->req.nr_rx_slots;
		d->req.nr_tx_rings = p->req.nr_tx_rings;
		d->req.nr_rx_rings = p->req.nr_rx_rings;
	}
}

/* First and last ring of both directions from the mode that was asked for. */
NETMAP_UNUSED_ static void nm_set_rings_(struct nm_desc *d)
{
	uint16_t tx = d->req.nr_tx_rings, rx = d->req.nr_rx_rings;
	uint16_t ring = d->req.nr_ringid & NETMAP_RING_MASK;

	switch (d->req.nr_flags & NR_REG_MASK) {
	case NR_REG_SW:
		d->first_tx_ring = d->last_tx_ring = tx;
		d->first_rx_ring = d->last_rx_ring = rx;
		break;
	case NR_REG_ALL_NIC:
		d->last_tx_ring = (uint16_t)(tx - 1);
		d->last_rx_ring = (uint16_t)(rx - 1);
		break;
	case NR_REG_NIC_SW:
		d->last_tx_ring = tx;
		d->last_rx_ring = rx;
		break;
	case NR_REG_ONE_NIC:
		d->first_tx_ring = d->last_tx_ring = ring;
		d->first_rx_ring = d->last_rx_ring = ring;
		break;
	default: /* pipes: one ring */
		break;
	}
	d->cur_tx_ring = d->first_tx_ring;
	d->cur_rx_ring = d->first_rx_ring;
}

/*
 * Opens a port by name and maps its region. req (may be NULL) pre-fills the request; flags are
 * NM_OPEN_* and NETMAP_NO_TX_POLL, NETMAP_DO_RX_POLL; parent (may be NULL) lends its mapping and
 * what the flags say. NULL on error: errno 0 = not a name of ours, EINVAL = bad name, others from
 * the device. The result is the caller's, for nm_close().
 */
NETMAP_UNUSED_ static struct nm_desc *nm_open(const char *ifname, const struct nmreq *req,
					      uint64_t flags, const struct nm_desc *parent)
{
	char err[MAXERRMSG];
	struct nm_desc *d;
	int r = 0;

	if (!ifname || (strncmp(ifname, "netmap:", 7) != 0 && strncmp(ifname, "vale", 4) != 0)) {
		errno = 0;
		return NULL;
	}
	d = (struct nm_desc *)calloc(1, sizeof(*d));
	if (!d) {
		errno = ENOMEM;
		return NULL;
	}
	d->self = d;
	d->fd = -1;
	if (req)
		d->req = *req;
	if (!(flags & NM_OPEN_IFNAME) && nm_parse(ifname, d, err) < 0) {
		r = errno;
		D("%s: %s", ifname, err);
	}
	if (!r) {
		d->fd = open(NETMAP_DEVICE_NAME, O_RDWR);
		r = d->fd < 0 ? errno : 0;
	}
	if (!r) {
		d->req.nr_version = NETMAP_API;
		d->req.nr_ringid &= NETMAP_RING_MASK;
		if (IS_NETMAP_DESC(parent))
			nm_inherit_(d, flags, parent);
		d->req.nr_ringid |= flags & (NETMAP_NO_TX_POLL | NETMAP_DO_RX_POLL);
		r = ioctl(d->fd, NIOCREGIF, &d->req) < 0 ? errno : 0;
	}
	if (!r && (!(flags & NM_OPEN_NO_MMAP) || parent))
		r = nm_mmap(d, parent);
	if (r) {
		nm_close(d);
		errno = r;
		return NULL;
	}
	nm_set_rings_(d);
	return d;
}

/* Puts size bytes into n slots of r from head on. The caller has checked that they fit. */
NETMAP_UNUSED_ static void nm_fill_slots_(struct netmap_ring *r, const char *from, size_t size)
{
	uint32_t i = r->head;
	struct netmap_slot *s;
	size_t room, part;

	do {
		s = &r->slot[i];
		room = r->nr_buf_size - NETMAP_ROFFSET(r, s);
		part = size < room ? size : room;
		memcpy(NETMAP_BUF_OFFSET(r, s), from, part);
		s->len = (uint16_t)part;
		s->flags =
			(uint16_t)((s->flags & NS_BUF_CHANGED) | (part < size ? NS_MOREFRAG : 0));
		from += part;
		size -= part;
		i = nm_ring_next(r, i);
	} while (size > 0);
	r->head = r->cur = i;
}

/* True if a frame of size bytes fits into what the program owns of r. */
NETMAP_UNUSED_ static int nm_frame_fits_(const struct netmap_ring *r, size_t size)
{
	uint32_t i = r->head, n = nm_ring_space(r), frags = 0;
	size_t ofs, room = 0;

	for (; n > 0 && room < size && frags < NETMAP_MAX_FRAGS; n--, frags++) {
		ofs = NETMAP_ROFFSET(r, &r->slot[i]);
		if (ofs >= r->nr_buf_size)
			return 0;
		room += r->nr_buf_size - ofs;
		i = nm_ring_next(r, i);
	}
	return size > 0 && room >= size;
}

/*
 * Copies a frame of size bytes into the first tx ring with room, over as many slots as it takes.
 * It leaves with the next sync. size, or 0 when there is no room.
 */
NETMAP_UNUSED_ static int nm_inject(struct nm_desc *d, const void *buf, size_t size)
{
	int n = d->last_tx_ring - d->first_tx_ring + 1, i;
	struct netmap_ring *r;

	for (i = 0; i < n; i++) {
		r = NETMAP_TXRING(d->nifp, d->cur_tx_ring);
		if (d->nifp->ring_ofs[d->cur_tx_ring] && nm_frame_fits_(r, size)) {
			nm_fill_slots_(r, (const char *)buf, size);
			return (int)size;
		}
		d->cur_tx_ring = d->cur_tx_ring >= d->last_tx_ring ? d->first_tx_ring
								   : (uint16_t)(d->cur_tx_ring + 1);
	}
	return 0;
}

/*
 * Describes the frame at head of r, which is not empty, in *h, and moves head behind it. A frame in
 * several slots is shown as far as its buffers are neighbours; len counts all of it.
 */
NETMAP_UNUSED_ static void nm_take_frame_(struct nm_desc *d, struct netmap_ring *r,
					  struct nm_pkthdr *h)
{
	struct netmap_slot *s = &r->slot[r->head];
	uint8_t *end;
	uint32_t i = r->head;
	int together = 1;

	h->ts = r->ts;
	h->flags = 0;
	h->d = d;
	h->slot = s;
	h->buf = (uint8_t *)NETMAP_BUF_OFFSET(r, s);
	h->len = h->caplen = s->len;
	end = h->buf + s->len;
	while ((s->flags & NS_MOREFRAG) && nm_ring_next(r, i) != r->tail) {
		i = nm_ring_next(r, i);
		s = &r->slot[i];
		together = together && (uint8_t *)NETMAP_BUF_OFFSET(r, s) == end;
		end += s->len;
		h->len += s->len;
		h->caplen += together ? s->len : 0;
	}
	r->head = r->cur = nm_ring_next(r, i);
}

/* The next rx ring of d with something in it, from cur_rx_ring on, or NULL. */
NETMAP_UNUSED_ static struct netmap_ring *nm_next_ring_(struct nm_desc *d)
{
	int n = d->last_rx_ring - d->first_rx_ring + 1, i;
	uint32_t base = d->nifp->ni_tx_rings + d->nifp->ni_host_tx_rings;
	struct netmap_ring *r;

	for (i = 0; i < n; i++) {
		r = NETMAP_RXRING(d->nifp, d->cur_rx_ring);
		if (d->nifp->ring_ofs[base + d->cur_rx_ring] && !nm_ring_empty(r))
			return r;
		d->cur_rx_ring = d->cur_rx_ring >= d->last_rx_ring ? d->first_rx_ring
								   : (uint16_t)(d->cur_rx_ring + 1);
	}
	return NULL;
}

/*
 * Calls cb with up to cnt frames that are there (cnt <= 0: all), without a sync. The number of
 * frames. They may be read until the next sync.
 */
NETMAP_UNUSED_ static int nm_dispatch(struct nm_desc *d, int cnt, nm_cb_t cb, u_char *arg)
{
	struct netmap_ring *r = nm_next_ring_(d);
	int got = 0;

	while (r) {
		nm_take_frame_(d, r, &d->hdr);
		got++;
		r = got == cnt ? NULL : nm_next_ring_(d);
		d->hdr.flags = r ? NM_MORE_PKTS : 0;
		cb(arg, &d->hdr, d->hdr.buf);
	}
	return got;
}

/* The next frame that is there, described in *hdr, or NULL. It may be read until the next sync. */
NETMAP_UNUSED_ static u_char *nm_nextpkt(struct nm_desc *d, struct nm_pkthdr *hdr)
{
	struct netmap_ring *r = nm_next_ring_(d);

	if (!r)
		return NULL;
	nm_take_frame_(d, r, hdr);
	return hdr->buf;
}

#endif /* NETMAP_WITH_LIBS */

#endif
