/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A journey (core/trace.h) as the JSON object of docs/control.md, with a phrase for each step and
 * one for what became of the frame. Pure; main thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/trace.h"

/* What the records do not say. */
struct trace_names {
	const char *bridge;
	uint16_t host_port; /* number of the host's port, 0: none */
	bool kernel;        /* a bridge or device of the kernel: it goes on with what is sent */
	bool dry;           /* an explanation: nothing has happened, and nothing has a time */
	double time;        /* when the frame came in, wall clock in seconds */
	void *ctx;
	/* Name of the port with that number now; NULL: there is none any more. */
	const char *(*port)(void *ctx, uint16_t no);
	/* Who reads the ring of that list, "suricata[123]"; false: nobody knows. */
	bool (*program)(void *ctx, uint16_t list, char *buf, size_t size);
};

/* A new object; NULL: no memory. */
json_t *trace_text(const struct journey *j, const struct trace_names *names);
/* "340 ns", "12.3 us", "1.20 ms", "2.0 s". Returns buf. */
const char *trace_text_time(uint64_t ns, char *buf, size_t size);
