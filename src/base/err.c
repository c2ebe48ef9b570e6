/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool tracing(void)
{
	static _Atomic int state; /* 0 not asked yet, 1 off, 2 on */
	int s = atomic_load_explicit(&state, memory_order_relaxed);

	if (s == 0) {
		s = getenv("VIADUCT_TRACE_ERRORS") ? 2 : 1;
		atomic_store_explicit(&state, s, memory_order_relaxed);
	}
	return s == 2;
}

int err_note(int r, const char *what, const char *file, int line, const char *func)
{
	if (unlikely(r < 0) && unlikely(tracing()))
		fprintf(stderr, "%s %d (%s) %s:%d %s\n", what, r, err_text(r), file, line, func);
	return r;
}

const char *err_text(int r)
{
	return strerror(r < 0 ? -r : r);
}
