/* SPDX-License-Identifier: BSD-2-Clause */
/* Expressions in the syntax of pcap-filter(7), compiled for Ethernet frames. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/program.h"

struct expression;

/*
 * Main thread. NULL with why filled: "column 5: syntax error at \"prt\"". Columns are characters
 * from 1; without one, nobody can say where it is wrong.
 */
struct expression *expression_new(const char *text, char *why, size_t size);
/* No worker uses it any more. Returns NULL; NULL is fine. */
struct expression *expression_free(struct expression *e);
const char *expression_text(const struct expression *e);
/* The expression's, while it lives. */
const struct program *expression_program(const struct expression *e);
/* The program, which is the caller's from now on; frees the rest. */
struct program *expression_take(struct expression *e);
/* For struct intercept_match: ctx is the expression. Any thread. */
bool expression_match(void *ctx, const struct frame *f);
