/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GAP        2    /* spaces between columns */
#define SETTLE     4096 /* rows after which widths are settled */
#define CELL_MAX   256
#define COLUMN_MAX 16

struct cell {
	char *text;
	enum style style;
};

struct table {
	FILE *out;
	bool color, heading;
	const struct table_column *cols;
	size_t n_cols;
	size_t width[COLUMN_MAX]; /* characters */
	struct cell *cells;       /* those that wait */
	size_t n_cells, cap;
	size_t n_rows; /* printed and waiting */
	bool settled;  /* the heading is out */
};

static const char *const escapes[STYLE_N] = {
	[STYLE_PLAIN] = "",       [STYLE_GOOD] = "\033[32m", [STYLE_WARN] = "\033[33m",
	[STYLE_BAD] = "\033[31m", [STYLE_DIM] = "\033[2m",   [STYLE_BOLD] = "\033[1m",
};

const char *style_on(bool color, enum style style)
{
	return color ? escapes[style] : "";
}

const char *style_off(bool color, enum style style)
{
	return color && style != STYLE_PLAIN ? "\033[0m" : "";
}

const char *text_safe(const char *text, char *buf, size_t size)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++) {
		unsigned char c = (unsigned char)*text;
		/* C0, DEL, and C1 as UTF-8 writes it (0xc2 0x80 to 0xc2 0x9f). */
		bool c1 = c == 0xc2 && (unsigned char)text[1] >= 0x80 &&
			  (unsigned char)text[1] < 0xa0;

		buf[n++] = c < 0x20 || c == 0x7f || c1 ? '?' : *text;
		text += c1;
	}
	buf[n] = '\0';
	return buf;
}

/* Characters, not bytes. */
static size_t text_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

struct table *table_new(FILE *out, bool color, bool heading, const struct table_column *cols,
			size_t n_cols)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t || n_cols > COLUMN_MAX)
		abort();
	t->out = out;
	t->color = color;
	t->heading = heading;
	t->cols = cols;
	t->n_cols = n_cols;
	for (size_t i = 0; i < n_cols; i++)
		t->width[i] = heading ? text_width(cols[i].head) : 0;
	return t;
}

/* Is there anything but blanks from column i to the end of the row? */
static bool rest_is_empty(const struct cell *row, size_t i, size_t n_cols)
{
	for (; i < n_cols; i++)
		if (row[i].text[0])
			return false;
	return true;
}

static void print_row(const struct table *t, const struct cell *row)
{
	for (size_t i = 0; i < t->n_cols; i++) {
		size_t pad = t->width[i] - min_of(t->width[i], text_width(row[i].text));
		bool last = rest_is_empty(row, i + 1, t->n_cols);

		if (t->cols[i].right)
			fprintf(t->out, "%*s", (int)pad, "");
		fprintf(t->out, "%s%s%s", style_on(t->color, row[i].style), row[i].text,
			style_off(t->color, row[i].style));
		if (last)
			break;
		fprintf(t->out, "%*s", (int)((t->cols[i].right ? 0 : pad) + GAP), "");
	}
	fputc('\n', t->out);
}

static void print_heading(const struct table *t)
{
	struct cell row[COLUMN_MAX];

	for (size_t i = 0; i < t->n_cols; i++)
		row[i] = (struct cell){.text = (char *)t->cols[i].head, .style = STYLE_BOLD};
	print_row(t, row);
}

static void print_waiting(struct table *t)
{
	if (!t->settled && t->heading)
		print_heading(t);
	t->settled = true;
	for (size_t i = 0; i + t->n_cols <= t->n_cells; i += t->n_cols)
		print_row(t, &t->cells[i]);
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i].text);
	t->n_cells = 0;
}

static void make_room(struct table *t)
{
	struct cell *p;

	if (t->n_cells < t->cap)
		return;
	t->cap = t->cap ? t->cap * 2 : 64;
	p = realloc(t->cells, t->cap * sizeof(*p));
	if (!p)
		abort();
	t->cells = p;
}

/* The next cell, widths untouched. */
static void append(struct table *t, enum style style, const char *raw)
{
	char safe[CELL_MAX];

	make_room(t);
	t->cells[t->n_cells].style = style;
	t->cells[t->n_cells].text = strdup(text_safe(raw, safe, sizeof(safe)));
	if (!t->cells[t->n_cells].text)
		abort();
	t->n_cells++;
	if (t->n_cells % t->n_cols)
		return;
	t->n_rows++;
	if (t->n_cells >= t->n_cols * (t->settled ? 1 : SETTLE))
		print_waiting(t);
}

void table_cell(struct table *t, enum style style, const char *fmt, ...)
{
	size_t col = t->n_cells % t->n_cols;
	char raw[CELL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	t->width[col] = max_of(t->width[col], text_width(raw));
	append(t, style, raw);
}

void table_line(struct table *t, enum style style, const char *text)
{
	append(t, style, text);
	for (size_t i = 1; i < t->n_cols; i++)
		append(t, STYLE_PLAIN, "");
}

size_t table_rows(const struct table *t)
{
	return t->n_rows;
}

struct table *table_drop(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
	return NULL;
}

struct table *table_end(struct table *t)
{
	print_waiting(t);
	free(t->cells);
	free(t);
	return NULL;
}
