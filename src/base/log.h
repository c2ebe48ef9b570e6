/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log front end: levels per module, one sink. Message form: object first, then the fact, then
 * numbers as key=value ("port veth10: up driver=packet").
 *
 * err: we failed to do what was asked. warn: degraded, continuing. info: state that a human wants
 * to know tomorrow. debug: for developers. The layers base, core, mem, wire and lib use debug only.
 */
#pragma once

#include "base/compiler.h"

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVEL_N };

/* A module of the program that logs; one static object per file, see LOG_MODULE. */
struct log_module {
	const char *name;        /* "daemon/worker" */
	int level;               /* highest level that is printed; -1 = the global level */
	struct log_module *next; /* owned by log.c */
};

/* Known from the program's start, so that a level can be set before the first line. */
#define LOG_MODULE(n)                                                                              \
	static struct log_module log_this = {.name = (n), .level = -1};                            \
	static __attribute__((constructor)) void log_register_this(void)                           \
	{                                                                                          \
		log_register(&log_this);                                                           \
	}                                                                                          \
	_Static_assert(1, "the semicolon of LOG_MODULE()")

/* For LOG_MODULE() alone. */
void log_register(struct log_module *m);

#define log_err(...)   log_write(&log_this, LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_write(&log_this, LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(&log_this, LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(&log_this, LOG_DEBUG, __VA_ARGS__)

/* Writes one line to the sink if the module's level allows it. Any thread; keeps errno. */
void log_write(struct log_module *m, enum log_level level, const char *fmt, ...) _printf_(3, 4);

/* Sets the level of one module by name, or of all with module NULL. -ENOENT: no such module. */
int log_set_level(const char *module, enum log_level level);
/* The name of the i-th module of the program, NULL after the last. */
const char *log_module_name(unsigned int i);

/* Replaces the sink (stderr by default, with a syslog-style "<N>" prefix when systemd reads it). */
void log_set_sink(void (*sink)(void *ctx, enum log_level level, const char *line), void *ctx);

const char *log_level_name(enum log_level level);
/* The level called name, or -1. */
int log_level_parse(const char *name);
