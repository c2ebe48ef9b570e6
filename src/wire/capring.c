/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire/capring.h"

#include <errno.h>
#include <string.h>

#include "base/compiler.h"

#define ALIGN 8u

static const char *const points[CAPRING_POINT_N] = {"in", "out", "drop", "before", "after"};

const char *capring_point_name(enum capring_point p)
{
	return points[p];
}

/* ---- producer ---- */

void capring_init(struct capring *r, void *base, uint64_t size)
{
	*r = (struct capring){.shared = base, .data = (uint8_t *)base + CAPRING_DATA, .size = size};
}

/* Bytes that may be written. */
static uint64_t room(struct capring *r)
{
	const uint64_t used = r->head - r->tail;

	return used <= r->size ? r->size - used : 0;
}

static bool has_room(struct capring *r, uint64_t need)
{
	if (room(r) >= need)
		return true;
	r->tail = __atomic_load_n(&r->shared->tail, __ATOMIC_ACQUIRE);
	return room(r) >= need;
}

static struct capring_record *put(struct capring *r, enum capring_type type, uint32_t size)
{
	struct capring_record *rec = (struct capring_record *)(r->data + (r->head & (r->size - 1)));

	rec->size = size;
	rec->type = (uint8_t)type;
	r->head += size;
	return rec;
}

struct capring_record *capring_reserve(struct capring *r, enum capring_type type, uint32_t n)
{
	const uint32_t size =
		((uint32_t)sizeof(struct capring_record) + n + ALIGN - 1) & ~(ALIGN - 1);
	const uint64_t left = r->size - (r->head & (r->size - 1));
	struct capring_record *rec;

	if (!has_room(r, left < size ? left + size : size))
		return NULL;
	if (left < size)
		put(r, CAPRING_SKIP, (uint32_t)left);
	rec = put(r, type, size);
	memset(&rec->point, 0, sizeof(*rec) - offsetof(struct capring_record, point));
	return rec;
}

bool capring_publish(struct capring *r)
{
	uint32_t yes = 1;

	if (r->head == r->published)
		return false;
	r->published = r->head;
	__atomic_store_n(&r->shared->head, r->head, __ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&r->shared->asleep, __ATOMIC_SEQ_CST)))
		return false;
	return __atomic_compare_exchange_n(&r->shared->asleep, &yes, 0, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

void capring_end(struct capring *r, enum capring_end why)
{
	capring_publish(r);
	__atomic_store_n(&r->shared->ended, (uint32_t)why, __ATOMIC_SEQ_CST);
}

/* ---- consumer ---- */

void capring_open(struct capring_reader *r, void *base, uint64_t size)
{
	*r = (struct capring_reader){
		.shared = base, .data = (uint8_t *)base + CAPRING_DATA, .size = size};
	r->tail = __atomic_load_n(&r->shared->tail, __ATOMIC_RELAXED);
}

/* Does a record of that head fit the `left` bytes that are there in one piece? */
static bool is_whole(const struct capring_record *rec, uint64_t left)
{
	const uint64_t header = sizeof(*rec);

	if (rec->size < ALIGN || rec->size % ALIGN || rec->size > left)
		return false;
	switch (rec->type) {
	case CAPRING_SKIP:
		return true;
	case CAPRING_PORT:
		return rec->size >= header + sizeof(struct capring_port) &&
		       rec->port < CAPRING_PORTS;
	case CAPRING_PACKET:
		return rec->size >= header && rec->caplen <= rec->size - header &&
		       rec->caplen <= rec->len && rec->point < CAPRING_POINT_N &&
		       rec->verdict < CAPRING_VERDICT_N && rec->port < CAPRING_PORTS;
	default:
		return false;
	}
}

int capring_next(struct capring_reader *r, const struct capring_record **ret)
{
	const uint64_t head = __atomic_load_n(&r->shared->head, __ATOMIC_ACQUIRE);

	*ret = NULL;
	if (head - r->tail > r->size || head % ALIGN)
		return -EPROTO;
	while (r->tail != head) {
		const uint64_t at = r->tail & (r->size - 1);
		const uint64_t left = min_of(head - r->tail, r->size - at);
		const struct capring_record *rec = (const struct capring_record *)(r->data + at);

		if (!is_whole(rec, left))
			return -EPROTO;
		r->tail += rec->size;
		if (rec->type == CAPRING_SKIP)
			continue;
		*ret = rec;
		return 0;
	}
	return 0;
}

void capring_release(struct capring_reader *r)
{
	__atomic_store_n(&r->shared->tail, r->tail, __ATOMIC_RELEASE);
}

bool capring_sleep(struct capring_reader *r)
{
	capring_release(r); /* SKIPs, too */
	__atomic_store_n(&r->shared->asleep, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&r->shared->head, __ATOMIC_SEQ_CST) == r->tail &&
	    capring_ended(r) == CAPRING_GOES_ON)
		return true;
	__atomic_store_n(&r->shared->asleep, 0, __ATOMIC_SEQ_CST);
	return false;
}

enum capring_end capring_ended(const struct capring_reader *r)
{
	return (enum capring_end)__atomic_load_n(&r->shared->ended, __ATOMIC_SEQ_CST);
}
