/* SPDX-License-Identifier: BSD-2-Clause */
/* Journeys as JSON, one object each, with names for the numbers. */
#pragma once

#include <jansson.h>
#include <stdint.h>

struct devices;
struct journey;
struct reasons;
struct symbols;

/* What names come from; all borrowed. */
struct report {
	const char *bridge;
	const struct devices *devices;
	const struct reasons *reasons; /* NULL: none has a name */
	const struct symbols *symbols;
	double wall_offset_s; /* of the wall clock, to CLOCK_MONOTONIC */
};

/* A new object; NULL without memory. */
json_t *report_journey(const struct report *r, const struct journey *j);
