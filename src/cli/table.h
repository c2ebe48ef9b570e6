/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables for people: columns as wide as they need be, colours only where asked for, and nothing
 * from outside (an interface name may hold any byte) reaches the terminal unfiltered.
 *
 * Long tables stream: the widths are settled by the first rows, later ones are printed as they
 * come.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/compiler.h"

struct table;

enum style { STYLE_PLAIN, STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_DIM, STYLE_BOLD, STYLE_N };

struct table_column {
	const char *head;
	bool right; /* numbers */
};

/* cols is borrowed and must outlive the table. heading: print the heads. */
struct table *table_new(FILE *out, bool color, bool heading, const struct table_column *cols,
			size_t n_cols);
/* Adds the next cell, left to right, row by row. */
void table_cell(struct table *t, enum style style, const char *fmt, ...) _printf_(3, 4);
/* A line of its own between rows; it does not widen a column. */
void table_line(struct table *t, enum style style, const char *text);
/* Rows so far. */
size_t table_rows(const struct table *t);
/* Frees without printing what waits. Returns NULL. */
struct table *table_drop(struct table *t);
/* Prints what is left and frees. Returns NULL. */
struct table *table_end(struct table *t);

/* Start and end of a style; empty strings without colour. */
const char *style_on(bool color, enum style style);
const char *style_off(bool color, enum style style);

/* Copies text to buf with every byte that could move a cursor replaced by '?'. Returns buf. */
const char *text_safe(const char *text, char *buf, size_t size);
