/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journey of a frame (docs/trace.md) as a picture: one line for each step with the time since
 * the one before, indented like calls, and one that says what became of it.
 */
#pragma once

#include <jansson.h>

struct cli;

/* With -j one JSON object instead. Flushes: others may be watching. */
void journey_print(struct cli *c, const json_t *journey);
