/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/domain.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_BUFS 700u

/* The processes that there are; start 0: none of that number. */
static struct proc_info procs[2000];

static bool look(pid_t pid, struct proc_info *ret)
{
	*ret = procs[pid];
	return procs[pid].start != 0;
}

static void born(pid_t pid, pid_t parent)
{
	static uint64_t now;

	procs[pid] = (struct proc_info){parent, ++now};
}

struct fixture {
	struct region region;
	struct bufpool *pool;
	struct bufowner *owners;
	struct domains *ds;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *why;

	memset(procs, 0, sizeof(procs));
	if (region_init(&f->region, &(struct mem_params){.buf_num = N_BUFS}, 1, &why) < 0)
		return -1;
	f->pool = bufpool_new(&f->region, 1);
	f->owners = bufowner_new(f->pool);
	f->ds = domains_new(f->owners, look);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct bufpool_stats s;

	bufpool_stats(f->pool, &s);
	assert_int_equal(s.n_free, N_BUFS - 3);
	assert_null(domains_free(f->ds));
	bufowner_free(f->owners);
	bufpool_free(f->pool);
	region_deinit(&f->region);
	free(f);
	return 0;
}

static struct domain *enter(struct fixture *f, pid_t pid, uid_t uid)
{
	struct domain *d = NULL;

	assert_int_equal(domain_enter(f->ds, &(struct domain_proc){pid, uid}, &d), 0);
	return d;
}

/* Each has its own, one for all its descriptors; it ends with the last of them. */
static void test_process(void **state)
{
	struct fixture *f = *state;
	struct domain *a, *b;
	uint32_t bufs[5];

	born(10, 1);
	born(20, 1);
	a = enter(f, 10, 0);
	b = enter(f, 20, 0);
	assert_ptr_not_equal(a, b);
	assert_int_not_equal(a->owner, b->owner);
	assert_ptr_equal(enter(f, 10, 0), a);
	assert_ptr_equal(enter(f, 10, 1000), a); /* it is another user now */
	assert_int_equal(a->n_users, 3);
	assert_true(bufowner_get(f->owners, a->owner, bufs, 5));
	assert_int_equal(domain_leave(f->ds, a), 0);
	assert_int_equal(domain_leave(f->ds, a), 0);
	assert_int_equal(domain_leave(f->ds, a), 5);
	assert_null(domains_find(f->ds, &(struct domain_proc){10, 0}));
	assert_int_equal(domain_leave(f->ds, b), 0);
}

/* A number that is used again is not the process that had it. */
static void test_number_again(void **state)
{
	struct fixture *f = *state;
	struct domain *a, *b;

	born(10, 1);
	a = enter(f, 10, 0);
	born(10, 1);
	assert_null(domains_find(f->ds, &(struct domain_proc){10, 0}));
	b = enter(f, 10, 0);
	assert_ptr_not_equal(a, b);
	domain_leave(f->ds, a);
	domain_leave(f->ds, b);
}

/* One that ended before its request is looked at has a domain of its own, and leaves no trace. */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	struct domain *a = enter(f, 10, 0), *b = enter(f, 10, 0);

	assert_ptr_not_equal(a, b);
	assert_int_equal(a->n_procs, 0);
	domain_leave(f->ds, a);
	domain_leave(f->ds, b);
}

static void test_ancestors(void **state)
{
	struct fixture *f = *state;
	struct domain *a, *b;

	born(5, 1);
	born(10, 5);
	born(11, 10);
	born(12, 11);
	born(13, 5); /* a cousin */
	a = enter(f, 10, 7);
	assert_ptr_equal(enter(f, 12, 7), a);
	b = enter(f, 13, 7);
	assert_ptr_not_equal(b, a);
	born(14, 13);
	assert_ptr_equal(domains_find(f->ds, &(struct domain_proc){14, 7}), b);
	/* A child of another user's has descriptors of its parent only if it shows them. */
	assert_null(domains_find(f->ds, &(struct domain_proc){14, 8}));
	/* The parent is gone; its child stays where it was, a grandchild is not known. */
	procs[10].start = 0;
	procs[11].parent = 1;
	born(15, 12);
	born(16, 11);
	assert_ptr_equal(domains_find(f->ds, &(struct domain_proc){15, 7}), a);
	assert_null(domains_find(f->ds, &(struct domain_proc){16, 7}));
	domain_leave(f->ds, a);
	domain_leave(f->ds, a);
	domain_leave(f->ds, b);
}

/* Processes that it cannot see are one for each user. */
static void test_unseen(void **state)
{
	struct fixture *f = *state;
	struct domain *a = enter(f, 0, 7), *b = enter(f, 0, 8);

	assert_ptr_not_equal(a, b);
	assert_ptr_equal(enter(f, 0, 7), a);
	assert_int_equal(a->n_procs, 1);
	domain_leave(f->ds, a);
	domain_leave(f->ds, a);
	domain_leave(f->ds, b);
}

static void test_merge(void **state)
{
	struct fixture *f = *state;
	struct domain *a, *b;
	uint32_t bufs[30];

	born(10, 1);
	born(20, 1);
	a = enter(f, 10, 0);
	b = enter(f, 20, 0);
	assert_true(bufowner_get(f->owners, a->owner, bufs, 20));
	assert_true(bufowner_get(f->owners, b->owner, bufs + 20, 10));
	domains_merge(f->ds, a, b);
	assert_ptr_equal(domains_find(f->ds, &(struct domain_proc){10, 0}), b);
	assert_ptr_equal(enter(f, 20, 0), b);
	assert_int_equal(b->n_procs, 2);
	assert_int_equal(b->n_users, 3);
	for (int i = 0; i < 30; i += 2)
		assert_true(bufowner_put(f->owners, b->owner, bufs[i]));
	bufowner_flush(f->owners);
	assert_int_equal(domain_leave(f->ds, b), 0);
	assert_int_equal(domain_leave(f->ds, b), 0);
	assert_int_equal(domain_leave(f->ds, b), 15);
}

/* Those that are gone make room; more than so many are refused. */
static void test_too_many_processes(void **state)
{
	struct fixture *f = *state;
	struct domain *a;
	pid_t pid = 10;

	born(pid, 1);
	a = enter(f, pid, 0);
	/* The first is born again, and is not what it was. */
	for (; pid < 10 + (pid_t)DOMAIN_PROCS_MAX; pid++) {
		born(pid, 1);
		assert_int_equal(domain_note(f->ds, a, &(struct domain_proc){pid, 0}), 0);
	}
	assert_int_equal(a->n_procs, DOMAIN_PROCS_MAX);
	born(pid, 11);
	assert_int_equal(domain_note(f->ds, a, &(struct domain_proc){pid, 0}), -ENOMEM);
	assert_int_equal(domain_enter(f->ds, &(struct domain_proc){pid, 0}, &a), -ENOMEM);
	assert_int_equal(a->n_users, 1);
	procs[50].start = 0;
	assert_int_equal(domain_note(f->ds, a, &(struct domain_proc){pid, 0}), 0);
	domain_leave(f->ds, a);
}

static void test_too_many_domains(void **state)
{
	struct fixture *f = *state;
	struct domain *all[BUFOWNER_N], *d;
	uint32_t n = 0;
	pid_t pid = 10;

	for (;; n++, pid++) {
		born(pid, 1);
		if (domain_enter(f->ds, &(struct domain_proc){pid, 0}, &d))
			break;
		all[n] = d;
	}
	assert_int_equal(n, BUFOWNER_N - BUF_OWNER_FIRST);
	assert_int_equal(domain_enter(f->ds, &(struct domain_proc){pid, 0}, &d), -ENOMEM);
	assert_ptr_equal(enter(f, 10, 0), all[0]);
	domain_leave(f->ds, all[0]);
	domain_leave(f->ds, all[--n]);
	all[n++] = enter(f, pid, 0);
	while (n)
		domain_leave(f->ds, all[--n]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_process),
		T(test_number_again),
		T(test_gone),
		T(test_ancestors),
		T(test_unseen),
		T(test_merge),
		T(test_too_many_processes),
		T(test_too_many_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
