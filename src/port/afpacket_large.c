/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/afpacket_large.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "port/afpacket_place.h"
#include "port/vnet.h"

void afpacket_large_init(struct afpacket_large *l, int fd, const struct redirect_counter *arrived,
			 bool trunk)
{
	l->fd = fd;
	l->trunk = trunk;
	l->arrived = arrived;
	l->seen = __atomic_load_n(&arrived->n, __ATOMIC_ACQUIRE);
	l->unsure = true;
	for (uint32_t i = 0; i < AFPACKET_LARGE_MAX; i++) {
		l->iovs[i][0] = (struct iovec){&l->hdrs[i], VNET_SIZE};
		l->msgs[i].msg_hdr.msg_iov = l->iovs[i];
		l->msgs[i].msg_hdr.msg_iovlen = 2;
		l->msgs[i].msg_hdr.msg_control = l->control[i];
	}
}

void afpacket_large_deinit(struct afpacket_large *l, struct bufcache *bufs)
{
	for (; l->next < l->n; l->next++)
		buf_put_one(bufs, l->frames[l->next].buf);
}

/* Gives buffers to the first n messages; returns how many got one. */
static uint32_t supply(struct afpacket_large *l, struct bufcache *bufs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct frame *f = &l->frames[i];

		*f = (struct frame){.buf = buf_get_big(bufs)};
		if (!f->buf)
			return i;
		f->data = buf_data(bufs, f->buf);
		l->iovs[i][1] = (struct iovec){f->data, buf_room(bufs, f->buf)};
		l->msgs[i].msg_hdr.msg_controllen = sizeof(l->control[i]);
	}
	return n;
}

/* Tag and time of arrival from the message's control data. */
static const struct tpacket_auxdata *read_control(struct msghdr *m, uint64_t *ret_stamp_ns)
{
	const struct tpacket_auxdata *aux = NULL;
	struct timespec ts;

	*ret_stamp_ns = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
			aux = (const struct tpacket_auxdata *)CMSG_DATA(c);
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			*ret_stamp_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
		}
	}
	return aux;
}

/* Turns message i into a frame: 0, or the reason to drop it, or AFPACKET_NOT_OURS. */
static int finish(struct afpacket_large *l, struct port *p, uint32_t i)
{
	struct msghdr *m = &l->msgs[i].msg_hdr;
	const struct tpacket_auxdata *aux = read_control(m, &l->stamp_ns[i]);
	const bool tagged = aux && aux->tp_status & TP_STATUS_VLAN_VALID;
	struct frame *f = &l->frames[i];
	uint16_t added = 0;

	f->len = l->msgs[i].msg_len - min_of(l->msgs[i].msg_len, VNET_SIZE);
	if (m->msg_flags & MSG_TRUNC || f->len < FRAME_HEADER_SIZE)
		return DROP_RX_TRUNCATED;
	if (l->trunk)
		return afpacket_from_trunk(&l->hdrs[i], tagged, tagged ? aux->tp_vlan_tci : 0, f);
	if (tagged) {
		f->data -= VNET_TAG_SIZE; /* the buffer has headroom */
		vnet_put_tag(f->data, f->data + VNET_TAG_SIZE,
			     aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid
									: 0x8100,
			     aux->tp_vlan_tci);
		f->len += VNET_TAG_SIZE;
		added = VNET_TAG_SIZE;
		p->stats.offload.tags_restored++;
	}
	return vnet_to_frame(&l->hdrs[i], added, f);
}

/* Moves frame i to place to, or drops it. Returns the next free place. */
static uint32_t keep(struct afpacket_large *l, struct port *p, uint32_t i, uint32_t to)
{
	int reason = finish(l, p, i);

	if (reason) {
		if (reason != AFPACKET_NOT_OURS)
			port_drop_frame(p, (enum drop_reason)reason, &l->frames[i]);
		buf_put_one(p->bufs, l->frames[i].buf);
		return to;
	}
	l->frames[to] = l->frames[i];
	l->stamp_ns[to] = l->stamp_ns[i];
	return to + 1;
}

/*
 * EINVAL: the frame was GSO of a kind that the vnet header cannot say; it is lost, the next call
 * goes on behind it. ENETDOWN is reported once when the device goes down.
 */
static void note_error(struct afpacket_large *l, struct port *p, int err)
{
	if (err == EINVAL)
		p->drops.n[DROP_GSO_KIND]++;
	l->unsure = err != EAGAIN;
}

/* No large buffer: the oldest frame is taken from the queue without its bytes. */
static void drop_one(struct afpacket_large *l, struct port *p)
{
	ssize_t n = recv(l->fd, &l->hdrs[0], VNET_SIZE, MSG_DONTWAIT | MSG_TRUNC);

	p->stats.rx_calls++;
	if (n >= 0) {
		p->drops.n[DROP_NO_BUFFER]++;
		l->seen++;
	} else {
		l->seen = __atomic_load_n(&l->arrived->n, __ATOMIC_ACQUIRE);
		note_error(l, p, errno);
	}
}

void afpacket_large_read(struct afpacket_large *l, struct port *p)
{
	uint64_t arrived = __atomic_load_n(&l->arrived->n, __ATOMIC_ACQUIRE);
	uint64_t waiting = arrived - l->seen;
	uint32_t want =
		waiting && waiting < AFPACKET_LARGE_MAX ? (uint32_t)waiting : AFPACKET_LARGE_MAX;
	uint32_t have = supply(l, p->bufs, want);
	int n;

	l->next = l->n = 0;
	if (!have) {
		drop_one(l, p);
		return;
	}
	n = recvmmsg(l->fd, l->msgs, have, MSG_DONTWAIT, NULL);
	p->stats.rx_calls++;
	if (n < (int)have) {
		/* Drained, or an error. The counter may run ahead of the queue: arm() asks again.
		 */
		l->seen = arrived;
		note_error(l, p, n < 0 ? errno : EAGAIN);
		/* An error behind the first n frames comes with the next call. */
		l->unsure |= n > 0;
	} else {
		l->seen += have;
		if ((int64_t)(arrived - l->seen) < 0)
			l->seen = arrived;
	}
	for (uint32_t i = (uint32_t)max_of(n, 0); i < have; i++)
		buf_put_one(p->bufs, l->frames[i].buf);
	for (int i = 0; i < n; i++)
		l->n = keep(l, p, (uint32_t)i, l->n);
}
