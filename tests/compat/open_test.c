/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening, mapping and closing on a fake device: libnetmap's ports and contexts. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define NETMAP_WITH_LIBS
#include <libnetmap.h>

#include "fakedev.h"

static char last_message[256];
static int n_blocks;

static void remember(struct nmctx *ctx, const char *text)
{
	snprintf(last_message, sizeof(last_message), "%s", text);
	errno = EDOM; /* the library must not let this through */
}

static void *count_malloc(struct nmctx *ctx, size_t size)
{
	n_blocks++;
	return malloc(size);
}

static void count_free(struct nmctx *ctx, void *p)
{
	n_blocks--;
	free(p);
}

static struct nmctx own = {.error = remember, .malloc = count_malloc, .free = count_free};
static struct nmctx *first;

static int setup(void **state)
{
	fake_reset();
	last_message[0] = '\0';
	own.mem_descs = NULL;
	n_blocks = 0;
	first = nmctx_set_default(&own);
	return 0;
}

/* Whatever a test did: nothing is open, mapped or allocated, no call was wrong. */
static int teardown(void **state)
{
	assert_ptr_equal(nmctx_set_default(first), &own);
	assert_int_equal(fake_leaks(), 0);
	assert_int_equal(fake.wrong, 0);
	assert_null(own.mem_descs);
	assert_int_equal(n_blocks, 0);
	return 0;
}

static void test_open_close(void **state)
{
	struct nmport_d *d = nmport_open("netmap:eth0/x@1");

	assert_non_null(d);
	assert_string_equal(fake.name, "eth0");
	assert_int_equal(fake.reg.nr_mode, NR_REG_ALL_NIC);
	assert_int_equal(fake.reg.nr_flags, NR_EXCLUSIVE);
	assert_int_equal(fake.reg.nr_mem_id, 1);
	assert_true(d->fd >= 0 && d->register_done && d->mmap_done);
	assert_ptr_equal(d->ctx, &own);
	assert_int_equal(d->mem->size, FAKE_MEMSIZE);
	assert_ptr_equal(d->nifp, NETMAP_IF(d->mem->mem, d->reg.nr_offset));
	assert_int_equal(d->reg.nr_rx_rings, FAKE_RX);
	nmport_close(d);
	nmport_close(NULL);
}

static void check_rings(const char *name, int first_tx, int last_tx, int first_rx, int last_rx)
{
	struct nmport_d *d = nmport_open(name);

	assert_non_null(d);
	if (d->first_tx_ring != first_tx || d->last_tx_ring != last_tx ||
	    d->first_rx_ring != first_rx || d->last_rx_ring != last_rx)
		fail_msg("%s: tx %u..%u rx %u..%u", name, d->first_tx_ring, d->last_tx_ring,
			 d->first_rx_ring, d->last_rx_ring);
	assert_int_equal(d->cur_tx_ring, first_tx);
	assert_int_equal(d->cur_rx_ring, first_rx);
	nmport_close(d);
}

/* 2 tx, 3 rx, 1 host ring each. None bound: first = number of rings, last one less. */
static void test_rings(void **state)
{
	check_rings("netmap:eth0", 0, 1, 0, 2);
	check_rings("netmap:eth0^", 2, 2, 3, 3);
	check_rings("netmap:eth0*", 0, 2, 0, 3);
	check_rings("netmap:eth0-1", 1, 1, 1, 1);
	check_rings("netmap:eth0-2", 0, 0, 2, 2);
	check_rings("netmap:eth0^0", 2, 2, 3, 3);
	check_rings("netmap:eth0/R", 3, 2, 0, 2);
	check_rings("netmap:eth0/T", 0, 1, 4, 3);
	check_rings("netmap:eth0/RT", 3, 2, 4, 3);
}

static void test_one_mapping(void **state)
{
	struct nmport_d *a = nmport_open("netmap:eth0-0"), *b = nmport_open("netmap:eth0-1"),
			*c = nmport_open("netmap:eth1^"), *v = nmport_open("vale0:1");

	assert_ptr_equal(a->mem, b->mem);
	assert_ptr_equal(a->mem, c->mem);
	assert_ptr_not_equal(a->mem, v->mem);
	assert_int_equal(a->mem->refcount, 3);
	assert_int_equal(v->mem->refcount, 1);
	assert_int_equal(fake.n_mmap, 2);
	nmport_close(a); /* who mapped may go first */
	assert_int_equal(fake.n_munmap, 0);
	assert_int_equal(b->mem->refcount, 2);
	assert_int_equal(NETMAP_TXRING(b->nifp, 1)->num_slots, FAKE_SLOTS);
	nmport_close(b);
	nmport_close(c);
	assert_int_equal(fake.n_munmap, 1);
	a = nmport_open("netmap:eth0");
	assert_int_equal(fake.n_mmap, 3);
	nmport_close(v);
	nmport_close(a);
}

/* Another context has its own mapping. */
static void test_contexts(void **state)
{
	struct nmctx other = {.error = remember};
	struct nmport_d *a = nmport_open("netmap:eth0"), *b;

	assert_ptr_equal(nmctx_set_default(&other), &own);
	assert_ptr_equal(nmctx_get(), &other);
	b = nmport_open("netmap:eth0");
	assert_ptr_equal(b->ctx, &other);
	assert_ptr_not_equal(a->mem, b->mem);
	assert_int_equal(fake.n_mmap, 2);
	nmctx_set_threadsafe();
	assert_non_null(other.lock);
	nmctx_set_default(&own);
	nmport_close(a);
	nmport_close(b); /* belongs to its context still */
	assert_null(other.mem_descs);
}

static void fails(const char *name, int err, const char *message_part)
{
	struct nmport_d *d;

	last_message[0] = '\0';
	errno = 0;
	d = nmport_open(name);
	assert_null(d);
	if (errno != err || !strstr(last_message, message_part))
		fail_msg("%s: %s: %s", name, strerror(errno), last_message);
}

static void test_failures(void **state)
{
	fake.close_errno = ENOTTY; /* close() may do that */
	fails("netmap:none", ENXIO,
	      "none: cannot register: No such device or address: there is no such");
	fails("netmap:busy", EBUSY, "busy");
	fails("netmap:eth0@9", EINVAL, "eth0");
	fails("netmap:eth0/q", EINVAL, "unknown letter");
	fake.fail_open = EACCES;
	fails("netmap:eth0", EACCES, "/dev/netmap: Permission denied");
	fake.fail_mmap = ENOMEM;
	fails("netmap:eth0", ENOMEM, "cannot map 1048576 bytes");
	fake.fail_open = EMFILE;
	fails("netmap:eth0@share=netmap:eth1", EMFILE, "/dev/netmap");
}

/* Suricata's way: look at errno behind nmport_close() and try again. */
static void test_errno_survives_close(void **state)
{
	struct nmport_d *d = nmport_prepare("netmap:busy/x");
	struct nmport_d *ok = nmport_open("netmap:eth0");

	fake.close_errno = ENOTTY;
	errno = 0;
	assert_int_equal(nmport_open_desc(d), -1);
	assert_int_equal(d->fd, -1);
	nmport_close(d);
	assert_int_equal(errno, EBUSY);
	errno = ERANGE;
	nmport_close(ok);
	assert_int_equal(errno, ERANGE);
}

/* What was refused may be changed and tried again. */
static void test_steps(void **state)
{
	struct nmport_d *d = nmport_prepare("netmap:eth0@9");

	assert_int_equal(nmport_open_desc(d), -1);
	d->reg.nr_mem_id = 2;
	d->reg.nr_flags |= NR_NO_TX_POLL;
	assert_int_equal(nmport_mmap(d), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(nmport_register(d), 0);
	assert_int_equal(fake.reg.nr_flags, NR_NO_TX_POLL);
	assert_int_equal(nmport_register(d), -1);
	assert_int_equal(errno, EINVAL);
	assert_true(d->register_done && d->fd >= 0);
	assert_int_equal(nmport_mmap(d), 0);
	assert_int_equal(nmport_mmap(d), -1);
	assert_int_equal(errno, EINVAL);
	nmport_undo_mmap(d);
	nmport_undo_mmap(d);
	assert_null(d->nifp);
	assert_int_equal(nmport_mmap(d), 0);
	nmport_undo_open_desc(d);
	nmport_undo_open_desc(d);
	assert_int_equal(d->fd, -1);
	assert_int_equal(nmport_open_desc(d), 0);
	nmport_undo_open_desc(d);
	nmport_undo_prepare(d);
}

static void test_clone(void **state)
{
	struct nmport_d *d = nmport_prepare("netmap:eth0@1"), *c;

	d->reg.nr_mode = NR_REG_ONE_NIC;
	assert_int_equal(nmport_offset(d, 64, 128, 16, 1500), 0);
	assert_int_equal(nmport_open_desc(d), 0);
	c = nmport_clone(d);
	assert_string_equal(c->hdr.nr_name, "eth0");
	assert_int_equal(c->hdr.nr_options, 0);
	assert_ptr_equal((void *)(uintptr_t)c->hdr.nr_body, &c->reg);
	assert_true(c->fd == -1 && !c->mem && !c->nifp && !c->register_done && !c->mmap_done);
	c->reg.nr_ringid = 1;
	assert_int_equal(nmport_open_desc(c), 0);
	assert_ptr_equal(c->mem, d->mem);
	assert_int_equal(c->first_rx_ring, 1);
	nmport_close(d);
	nmport_close(c);
}

static void test_options(void **state)
{
	struct nmreq_option csb = {.nro_reqtype = NETMAP_REQ_OPT_CSB}, other = {.nro_reqtype = 77};
	struct nmport_d *d = nmport_prepare("netmap:eth0");
	struct nmreq_opt_offsets *o;

	assert_int_equal(nmport_offset(d, 64, 128, 16, 1500), 0);
	nmreq_push_option(&d->hdr, &csb);
	nmreq_push_option(&d->hdr, &other);
	assert_ptr_equal(nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_CSB), &csb);
	assert_null(nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_EXTMEM));
	assert_int_equal(nmport_open_desc(d), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_string_equal(last_message, "eth0: option csb refused: Operation not supported");
	nmreq_remove_option(&d->hdr, &csb);
	nmreq_remove_option(&d->hdr, &csb);
	nmreq_remove_option(&d->hdr, &other);
	o = (struct nmreq_opt_offsets *)nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS);
	assert_true(o && o->nro_max_offset == 128 && o->nro_min_gap == 1500);
	assert_ptr_equal((void *)(uintptr_t)d->hdr.nr_options, o);
	assert_int_equal(o->nro_opt.nro_next, 0);
	assert_int_equal(nmport_open_desc(d), 0);
	nmport_close(d);
	assert_string_equal(nmreq_option_name(NETMAP_REQ_OPT_EXTMEM), "extmem");
	assert_string_equal(nmreq_option_name(0), "unknown");
	assert_string_equal(nmreq_option_name(NETMAP_REQ_OPT_MAX), "unknown");
}

static void test_free_options(void **state)
{
	struct nmreq_header h = {0};
	struct nmreq_option *o;

	for (int i = 0; i < 3; i++) {
		o = nmctx_malloc(nmctx_get(), sizeof(*o));
		nmreq_push_option(&h, o);
	}
	nmreq_free_options(&h);
	assert_int_equal(h.nr_options, 0);
}

static void test_extmem(void **state)
{
	char path[] = "/tmp/nm-extmem-XXXXXX", spec[128];
	int fd = mkstemp(path);
	struct nmreq_pools_info *p;
	struct nmport_d *d, *c;

	assert_int_equal(ftruncate(fd, 2 * FAKE_MEMSIZE), 0);
	snprintf(spec, sizeof(spec), "netmap:eth0@extmem:file=%s,buf-num=100,ring-size=512", path);
	assert_null(nmport_prepare("netmap:eth0@extmem=/nonexistent"));
	assert_int_equal(errno, ENOENT);
	d = nmport_prepare(spec);
	assert_non_null(d);
	p = nmport_extmem_getinfo(d);
	assert_int_equal(p->nr_memsize, 2 * FAKE_MEMSIZE);
	assert_int_equal(p->nr_buf_pool_objtotal, 100);
	assert_int_equal(p->nr_ring_pool_objsize, 512);
	assert_int_equal(p->nr_if_pool_objtotal, 0);
	assert_ptr_equal(nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_EXTMEM), &d->extmem->nro_opt);
	assert_int_equal(nmport_extmem(d, d, 4096), -1); /* once */
	assert_int_equal(errno, EINVAL);
	assert_int_equal(nmport_open_desc(d), 0);
	assert_int_equal(fake.n_mmap, 0);
	assert_true(d->mem->is_extmem);
	assert_ptr_equal(d->mem->mem, (void *)(uintptr_t)d->extmem->nro_usrptr);
	c = nmport_clone(d);
	assert_null(nmport_extmem_getinfo(c));
	assert_int_equal(nmport_open_desc(c), 0);
	assert_ptr_equal(c->mem, d->mem);
	nmport_close(c);
	nmport_close(d);
	close(fd);
	unlink(path);
	/* A second name on the same port keeps what the program pushed before. */
	d = nmport_new();
	assert_int_equal(nmport_extmem(d, NULL, 4096), 0);
	assert_int_equal(nmport_parse(d, "netmap:eth0"), 0);
	assert_non_null(nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_EXTMEM));
	assert_int_equal(nmport_parse(d, "netmap:eth0/q"), -1);
	assert_string_equal(d->hdr.nr_name, "eth0");
	assert_non_null(d->extmem);
	nmport_do_cleanup(d);
	assert_null(d->extmem);
	assert_int_equal(d->hdr.nr_options, 0);
	nmport_undo_prepare(d);
}

static void test_mem_id(void **state)
{
	const char *name = "vale0:1@7", *bad = "eth0";

	assert_int_equal(nmreq_get_mem_id(&name, &own), 2);
	assert_string_equal(name, "@7");
	assert_int_equal(nmreq_get_mem_id(&bad, &own), -1);
	assert_string_equal(bad, "eth0");
	bad = "netmap:none";
	assert_int_equal(nmreq_get_mem_id(&bad, &own), -1);
	assert_int_equal(errno, ENXIO);
	assert_string_equal(bad, "netmap:none");
}

static void test_messages(void **state)
{
	errno = ERANGE;
	nmctx_ferror(&own, "port %s: %d\n\033[2J%m", "x", 7);
	assert_int_equal(errno, ERANGE);
	assert_string_equal(last_message, "port x: 7??[2JNumerical result out of range");
	nmctx_ferror(&own, "%01500d", 1);
	assert_int_equal(strlen(last_message), sizeof(last_message) - 1);
	own.error = NULL;
	assert_null(nmport_open("eth0")); /* silence is allowed */
	own.error = remember;
}

/* ---- threads ---- */

static int depth, n_locks;
static void count_lock(struct nmctx *ctx, int lock)
{
	depth += lock ? 1 : -1;
	n_locks += lock;
	assert_in_range(depth, 0, 1);
}

/* The list of regions is only touched under the context's lock. */
static void test_lock(void **state)
{
	struct nmport_d *d;

	own.lock = count_lock;
	n_locks = 0;
	d = nmport_open("netmap:eth0");
	assert_int_equal(n_locks, 1);
	nmport_close(d);
	assert_int_equal(n_locks, 2);
	fake.fail_mmap = ENOMEM;
	assert_null(nmport_open("netmap:eth0"));
	assert_int_equal(n_locks, 3);
	assert_int_equal(depth, 0);
	nmctx_set_threadsafe(); /* keeps the program's own */
	assert_ptr_equal(own.lock, count_lock);
	own.lock = NULL;
}

static void *open_and_close(void *arg)
{
	for (int i = 0; i < 200; i++) {
		struct nmport_d *d = nmport_open(arg);

		if (!d || NETMAP_TXRING(d->nifp, 0)->num_slots != FAKE_SLOTS)
			return arg;
		nmport_undo_mmap(d);
		if (nmport_mmap(d) < 0)
			return arg;
		nmport_close(d);
	}
	return NULL;
}

static void *map_and_unmap(void *arg)
{
	struct nmport_d *d = arg;

	for (int i = 0; i < 2000; i++) {
		if (nmport_mmap(d) < 0)
			return arg;
		if (NETMAP_TXRING(d->nifp, 0)->num_slots != FAKE_SLOTS)
			return arg;
		nmport_undo_mmap(d);
	}
	return NULL;
}

/* The default context locks by itself: the fake device does not, so only mapping is parallel. */
static void test_threads(void **state)
{
	struct nmport_d *d[4];
	pthread_t t[4];
	void *r;

	nmctx_set_default(first);
	assert_int_equal(nmctx_threadsafe, 1);
	assert_null(open_and_close("netmap:eth0"));
	fake_reset();
	for (int i = 0; i < 4; i++) {
		d[i] = nmport_prepare("netmap:eth0");
		assert_int_equal(nmport_register(d[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, map_and_unmap, d[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		assert_null(r);
	}
	for (int i = 0; i < 4; i++)
		nmport_close(d[i]);
	assert_null(first->mem_descs);
	assert_ptr_equal(nmctx_set_default(&own), first);
}

int main(void)
{
#define T(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_open_close),   T(test_rings),    T(test_one_mapping),
		T(test_contexts),     T(test_failures), T(test_errno_survives_close),
		T(test_steps),        T(test_clone),    T(test_options),
		T(test_free_options), T(test_extmem),   T(test_mem_id),
		T(test_messages),     T(test_lock),     T(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
