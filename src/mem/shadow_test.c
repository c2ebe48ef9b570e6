/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/shadow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define N_SLOTS 16u
#define N_ITEMS 100000u
#define LOST_MS 10000 /* a doorbell that takes longer does not come */

static uint32_t own_tid(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

static void test_objects(void **state)
{
	struct shadow daemon, program;

	assert_int_equal(shadow_init(&daemon, 0), -EINVAL);
	assert_int_equal(shadow_init(&daemon, SHADOW_RINGS_MAX + 1), -EINVAL);
	shadow_deinit(&daemon);
	assert_int_equal(shadow_init(&daemon, 3), 0);
	assert_int_equal(ftruncate(daemon.fd, 1), -1); /* sealed */
	assert_int_equal(shadow_attach(&program, daemon.fd, 4), -EINVAL);
	assert_int_equal(shadow_attach(&program, -1, 3), -EBADF);
	assert_int_equal(shadow_attach(&program, daemon.fd, 3), 0);
	shadow_reset(&daemon.rings[2], true, N_SLOTS);
	assert_int_equal(shadow_take_tail(&program.rings[2]), N_SLOTS - 1);
	assert_int_equal(shadow_take_tail(&program.rings[1]), 0);
	assert_int_equal((uintptr_t)&daemon.rings[1].daemon % 128, 0);
	shadow_deinit(&daemon);
	shadow_publish_head(&program.rings[2], 5); /* the mapping outlives the daemon's */
	shadow_deinit(&program);
	shadow_deinit(&program);
}

/* One sleep costs one doorbell, and none is owed while the other side is awake. */
static void test_doorbells(void **state)
{
	struct shadow_ring r;

	shadow_reset(&r, false, N_SLOTS);
	assert_false(shadow_publish_head(&r, 0));
	assert_false(shadow_publish_tail(&r, 3, 1));
	assert_int_equal(r.daemon.ts_us, 1);
	assert_false(shadow_want_wakeup(&r)); /* 3 have come */
	assert_int_equal(shadow_show_tail(&r), 3);
	assert_true(shadow_want_wakeup(&r));
	assert_true(shadow_publish_tail(&r, 4, 2));
	assert_false(shadow_publish_tail(&r, 5, 3));
	assert_int_equal(shadow_show_tail(&r), 5);
	assert_true(shadow_want_wakeup(&r));
	shadow_no_wakeup(&r);
	assert_false(shadow_publish_tail(&r, 6, 4));

	assert_true(shadow_daemon_sleep(&r, 0, false));
	assert_true(shadow_publish_head(&r, 2));
	assert_false(shadow_publish_head(&r, 3));
	assert_false(shadow_daemon_sleep(&r, 0, false)); /* 3 have come */
	shadow_daemon_awake(&r);
	assert_false(shadow_publish_head(&r, 4));
	r.prog.n_syncs = 1;
	assert_true(shadow_synced(&r));
	assert_false(shadow_daemon_sleep(&r, 4, false));
	assert_true(shadow_daemon_sleep(&r, 4, true));
}

static void test_state_and_errors_wake(void **state)
{
	struct shadow_ring r;

	shadow_reset(&r, false, N_SLOTS);
	assert_true(shadow_want_wakeup(&r));
	assert_true(shadow_set_state(&r, SHADOW_STOPPED));
	assert_false(shadow_want_wakeup(&r));
	shadow_reset(&r, false, N_SLOTS);
	r.daemon.errors = 1;
	assert_false(shadow_want_wakeup(&r));
}

/* Two processes or threads, a ring between them, both asleep whenever they can be. */
struct pair {
	struct shadow_ring *r;
	uint64_t *slots; /* N_SLOTS, plain memory: ordered by the ring alone */
	int to_daemon, to_program;
	uint64_t n_rung; /* doorbells that the daemon sent */
};

static void ring(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static bool wait_for(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t n;

	if (poll(&p, 1, LOST_MS) != 1)
		return false;
	return read(fd, &n, sizeof(n)) == sizeof(n);
}

/* The program fills slots with 1, 2, 3, ... and waits for the last one to be done. */
static bool produce(struct pair *p)
{
	const uint32_t tid = own_tid();
	uint32_t head = 0, tail = N_SLOTS - 1;

	for (uint64_t item = 1; item <= N_ITEMS;) {
		bool bell = false;

		if (!shadow_trylock(p->r, tid))
			return false;
		for (uint32_t k = (uint32_t)(item % 5); head != tail && k && item <= N_ITEMS; k--) {
			p->slots[head] = item++;
			head = ring_next(head, N_SLOTS);
		}
		bell = shadow_publish_head(p->r, head);
		tail = shadow_take_tail(p->r);
		ring_write(&p->r->prog.shown, tail);
		shadow_unlock(p->r);
		if (bell)
			ring(p->to_daemon);
		if (head == tail && shadow_want_wakeup(p->r) && !wait_for(p->to_program))
			return false;
		tail = shadow_take_tail(p->r);
	}
	return true;
}

static bool consume(struct pair *p)
{
	uint32_t pos = 0, head;
	uint64_t want = 1;

	while (want <= N_ITEMS) {
		head = shadow_take_head(p->r);
		for (; pos != head; pos = ring_next(pos, N_SLOTS))
			if (p->slots[pos] != want++)
				return false;
		if (shadow_publish_tail(p->r, ring_prev(pos, N_SLOTS), want)) {
			p->n_rung++;
			ring(p->to_program);
		}
		if (want <= N_ITEMS && shadow_daemon_sleep(p->r, pos, false) &&
		    !wait_for(p->to_daemon))
			return false;
		shadow_daemon_awake(p->r);
	}
	return true;
}

static void *produce_thread(void *arg)
{
	return produce(arg) ? arg : NULL;
}

static void pair_init(struct pair *p, struct shadow *s)
{
	assert_int_equal(shadow_init(s, 1), 0);
	shadow_reset(&s->rings[0], true, N_SLOTS);
	p->r = &s->rings[0];
	p->slots = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p->to_daemon = eventfd(0, 0);
	p->to_program = eventfd(0, 0);
	p->n_rung = 0;
}

static void pair_deinit(struct pair *p, struct shadow *s)
{
	assert_true(p->n_rung > 0);
	munmap(p->slots, 4096);
	close(p->to_daemon);
	close(p->to_program);
	shadow_deinit(s);
}

static void test_two_threads(void **state)
{
	struct shadow s;
	struct pair p;
	pthread_t t;
	void *ok;

	pair_init(&p, &s);
	assert_int_equal(pthread_create(&t, NULL, produce_thread, &p), 0);
	assert_true(consume(&p));
	pthread_join(t, &ok);
	assert_non_null(ok);
	pair_deinit(&p, &s);
}

static void test_two_processes(void **state)
{
	struct shadow s;
	struct pair p;
	int status;
	pid_t pid;

	pair_init(&p, &s);
	pid = fork();
	if (pid == 0) {
		struct shadow mine;
		bool ok = shadow_attach(&mine, s.fd, 1) == 0;

		shadow_deinit(&s);
		p.r = &mine.rings[0];
		_exit(ok && produce(&p) ? 0 : 1);
	}
	assert_true(consume(&p));
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	pair_deinit(&p, &s);
}

/*
 * Both sides do their half of the handshake in the same instant, again and again: the daemon falls
 * asleep while the program publishes, and the other way round. If neither sees the other, a wake-up
 * is lost.
 */
#define N_MEETINGS 50000u

struct meeting {
	_Alignas(128) struct shadow_ring r;
	_Alignas(128) uint32_t at[2]; /* meeting that each has arrived at */
	_Alignas(128) bool bell[2];   /* the program owes one, the daemon owes one */
	bool asleep[2];               /* daemon, program */
};

static void meet(struct meeting *m, int who, uint32_t no)
{
	__atomic_store_n(&m->at[who], no, __ATOMIC_SEQ_CST);
	for (uint32_t i = 1; __atomic_load_n(&m->at[!who], __ATOMIC_SEQ_CST) < no; i++)
		if (i % 1000 == 0)
			sched_yield();
}

static void *meet_program(void *arg)
{
	struct meeting *m = arg;

	for (uint32_t no = 1; no <= N_MEETINGS; no++) {
		meet(m, 0, 3 * no);
		m->bell[0] = shadow_publish_head(&m->r, no);
		meet(m, 0, 3 * no + 1);
		m->asleep[1] = shadow_want_wakeup(&m->r);
		meet(m, 0, 3 * no + 2);
	}
	return NULL;
}

static void test_no_wakeup_is_lost(void **state)
{
	struct meeting *m = aligned_alloc(128, sizeof(*m));
	uint32_t n_lost = 0;
	pthread_t t;

	memset(m, 0, sizeof(*m));
	assert_int_equal(pthread_create(&t, NULL, meet_program, m), 0);
	for (uint32_t no = 1; no <= N_MEETINGS; no++) {
		meet(m, 1, 3 * no);
		m->asleep[0] = shadow_daemon_sleep(&m->r, no - 1, false);
		meet(m, 1, 3 * no + 1);
		n_lost += m->asleep[0] && !m->bell[0];
		m->bell[1] = shadow_publish_tail(&m->r, no, 0);
		meet(m, 1, 3 * no + 2);
		n_lost += m->asleep[1] && !m->bell[1];
		/* For the next time; the program waits meanwhile. */
		shadow_daemon_awake(&m->r);
		shadow_no_wakeup(&m->r);
		shadow_show_tail(&m->r);
	}
	pthread_join(t, NULL);
	assert_int_equal(n_lost, 0);
	free(m);
}

static void test_lock(void **state)
{
	struct shadow_ring r;

	shadow_reset(&r, true, N_SLOTS);
	assert_true(shadow_trylock(&r, own_tid()));
	errno = 7;
	assert_false(shadow_trylock(&r, own_tid())); /* a signal handler inside a sync */
	assert_false(shadow_trylock(&r, 1));         /* another thread: the owner lives */
	assert_int_equal(errno, 7);
	shadow_unlock(&r);
	assert_true(shadow_trylock(&r, own_tid()));
}

/* Killed inside a sync: the lock is taken over, also before the parent has waited for it. */
static void test_dead_owner(void **state)
{
	struct shadow s;
	siginfo_t info;
	pid_t pid;

	assert_int_equal(shadow_init(&s, 1), 0);
	for (int reaped = 0; reaped < 2; reaped++) {
		pid = fork();
		if (pid == 0) {
			shadow_trylock(&s.rings[0], own_tid());
			kill(getpid(), SIGKILL);
		}
		waitid(P_PID, (id_t)pid, &info, WEXITED | (reaped ? 0 : WNOWAIT));
		assert_int_equal(s.rings[0].prog.lock, pid);
		assert_true(shadow_trylock(&s.rings[0], own_tid()));
		assert_int_equal(s.rings[0].prog.lock, own_tid());
		shadow_unlock(&s.rings[0]);
		waitpid(pid, NULL, 0);
	}
	shadow_deinit(&s);
}

static void *lock_and_end(void *arg)
{
	assert_true(shadow_trylock(arg, own_tid()));
	return NULL;
}

static void test_dead_thread(void **state)
{
	struct shadow_ring r;
	pthread_t t;

	shadow_reset(&r, true, N_SLOTS);
	pthread_create(&t, NULL, lock_and_end, &r);
	pthread_join(t, NULL);
	/* The kernel wakes the joiner a moment before the number is free. */
	for (int i = 0; i < 1000 && !shadow_trylock(&r, own_tid()); i++)
		usleep(1000);
	assert_int_equal(r.prog.lock, own_tid());
	r.prog.lock = UINT32_MAX; /* scribbled on: no thread's number */
	assert_true(shadow_trylock(&r, own_tid()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_doorbells),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_state_and_errors_wake),
		cmocka_unit_test(test_dead_owner),
		cmocka_unit_test(test_dead_thread),
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_two_processes),
		cmocka_unit_test(test_no_wakeup_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
