/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void to_stderr(void *ctx, enum log_level level, const char *line);

/* One log for the process: the only mutable globals besides the daemon object. */
static struct {
	pthread_mutex_t lock;
	int level;
	struct log_module *modules;
	void (*sink)(void *ctx, enum log_level level, const char *line);
	void *ctx;
} g = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.level = LOG_INFO,
	.sink = to_stderr,
};

static const char *const names[] = {"err", "warn", "info", "debug"};
_Static_assert(array_size(names) == LOG_LEVEL_N, "a name for each level");

static void to_stderr(void *ctx, enum log_level level, const char *line)
{
	static const int syslog_level[] = {3, 4, 6, 7};

	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s\n", syslog_level[level], line);
	else
		fprintf(stderr, "%s: %s\n", names[level], line);
}

void log_register(struct log_module *m)
{
	pthread_mutex_lock(&g.lock);
	m->next = g.modules;
	g.modules = m;
	pthread_mutex_unlock(&g.lock);
}

const char *log_module_name(unsigned int i)
{
	const struct log_module *m = g.modules; /* complete before main() */

	while (m && i-- > 0)
		m = m->next;
	return m ? m->name : NULL;
}

void log_write(struct log_module *m, enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	char line[512];
	va_list ap;

	pthread_mutex_lock(&g.lock);
	if ((int)level <= (m->level >= 0 ? m->level : g.level)) {
		va_start(ap, fmt);
		vsnprintf(line, sizeof(line), fmt, ap);
		va_end(ap);
		g.sink(g.ctx, level, line);
	}
	pthread_mutex_unlock(&g.lock);
	errno = saved;
}

int log_set_level(const char *module, enum log_level level)
{
	int r = module ? -ENOENT : 0;

	pthread_mutex_lock(&g.lock);
	if (!module)
		g.level = level;
	for (struct log_module *m = g.modules; m; m = m->next) {
		if (!module)
			m->level = -1;
		else if (!strcmp(m->name, module)) {
			m->level = level;
			r = 0;
		}
	}
	pthread_mutex_unlock(&g.lock);
	return r;
}

void log_set_sink(void (*sink)(void *ctx, enum log_level level, const char *line), void *ctx)
{
	pthread_mutex_lock(&g.lock);
	g.sink = sink ? sink : to_stderr;
	g.ctx = ctx;
	pthread_mutex_unlock(&g.lock);
}

const char *log_level_name(enum log_level level)
{
	return names[level];
}

int log_level_parse(const char *name)
{
	for (int i = 0; i < LOG_LEVEL_N; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}
