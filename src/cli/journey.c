/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/journey.h"

#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/fmt.h"
#include "cli/table.h"

#define TIME_WIDTH 14 /* of the column of times */
#define STEP_WIDTH 10 /* of the names of steps */
#define INDENT     2
#define DEPTH_MAX  8
#define SLOW_NS    10000     /* steps that get a mark: +, and ! for ten times that */
#define LONG_NS    100000000 /* shown in seconds */
#define TEXT_SIZE  1024

struct picture {
	struct cli *c;
	bool timed;
	json_int_t open; /* braces to be closed: those of depths 0 to open - 1 */
};

static void colored(const struct picture *p, enum style style, const char *text)
{
	char safe[TEXT_SIZE];

	fprintf(p->c->out, "%s%s%s", style_on(p->c->color, style),
		text_safe(text, safe, sizeof(safe)), style_off(p->c->color, style));
}

/* "br0 #3  14:03:07.123456  from veth1", and what the frame is. */
static void print_head(const struct picture *p, const json_t *journey)
{
	const double when = json_number_value(json_object_get(journey, "time"));
	const time_t s = (time_t)when;
	FILE *out = p->c->out;
	char text[16];
	struct tm tm;

	colored(p, STYLE_BOLD, row_text(journey, "bridge"));
	if (json_object_get(journey, "id"))
		fprintf(out, " #%lld", (long long)row_int(journey, "id"));
	if (p->timed && localtime_r(&s, &tm)) {
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
		fprintf(out, "  %s.%06d", text, (int)((when - (double)s) * 1e6));
	}
	fputs("  from ", out);
	colored(p, STYLE_BOLD, row_text(journey, "ifname"));
	fputs("\n  ", out);
	colored(p, STYLE_PLAIN, row_text(json_object_get(journey, "frame"), "summary"));
	fputc('\n', out);
}

/* The column of times, and the line beside it. */
static void print_margin(const struct picture *p, const json_t *step)
{
	const json_int_t ns = row_int(step, "ns");
	const bool has = json_object_get(step, "ns") && ns > 0;
	const bool slow = ns >= SLOW_NS;
	char number[32] = "", text[48] = "";

	if (!p->timed) {
		fputs("  ", p->c->out);
		return;
	}
	if (has && ns >= LONG_NS)
		snprintf(text, sizeof(text), "%.2f s ", (double)ns / 1e9);
	else if (has)
		snprintf(text, sizeof(text), "%s ns", fmt_count(ns, number, sizeof(number)));
	fprintf(p->c->out, "%s%c %*s%s |", style_on(p->c->color, slow ? STYLE_WARN : STYLE_DIM),
		!slow                ? ' '
		: ns >= 10 * SLOW_NS ? '!'
				     : '+',
		TIME_WIDTH - 4, text, style_off(p->c->color, STYLE_DIM));
}

static void print_indent(const struct picture *p, json_int_t depth)
{
	fprintf(p->c->out, "%*s", (int)(1 + INDENT * depth), "");
}

/* Closes the braces of all that is at that depth or deeper. */
static void close_to(struct picture *p, json_int_t depth)
{
	while (p->open > depth) {
		p->open--;
		print_margin(p, NULL);
		print_indent(p, p->open);
		colored(p, STYLE_DIM, "}");
		fputc('\n', p->c->out);
	}
}

static json_int_t depth_of(const json_t *step)
{
	const json_int_t d = row_int(step, "depth");

	return d < 0 ? 0 : d > DEPTH_MAX ? DEPTH_MAX : d;
}

/* Where in the kernel, for those of its steps that say it. */
static void print_place(const struct picture *p, const json_t *step)
{
	const char *location = row_text(step, "location");

	if (!*location || strstr(row_text(step, "text"), location))
		return;
	fputs(" at ", p->c->out);
	colored(p, STYLE_PLAIN, location);
}

static void print_step(struct picture *p, const json_t *step, const json_t *next)
{
	const json_int_t depth = depth_of(step);
	const bool opens = next && depth_of(next) > depth;
	const char *name = row_text(step, "step");
	const enum style style = !strcmp(name, "drop") ? STYLE_BAD : STYLE_PLAIN;
	char padded[STEP_WIDTH + 1], safe[64];

	close_to(p, depth);
	print_margin(p, step);
	print_indent(p, depth);
	snprintf(padded, sizeof(padded), "%-*s", STEP_WIDTH, text_safe(name, safe, sizeof(safe)));
	colored(p, style == STYLE_BAD ? STYLE_BAD : STYLE_DIM, padded);
	fputc(' ', p->c->out);
	colored(p, style, row_text(step, "text"));
	print_place(p, step);
	if (opens) {
		colored(p, STYLE_DIM, " {");
		p->open = depth + 1;
	}
	fputc('\n', p->c->out);
}

static enum style end_style(const char *what)
{
	if (!strcmp(what, "dropped"))
		return STYLE_BAD;
	if (!strcmp(what, "with-program") || !strcmp(what, "lost-sight"))
		return STYLE_WARN;
	return STYLE_GOOD;
}

static void print_end(const struct picture *p, const json_t *end)
{
	const int width = p->timed ? TIME_WIDTH + 2 : 2;
	json_t *cure;
	size_t i;

	fprintf(p->c->out, "%*s%s=%s ", width, "", style_on(p->c->color, STYLE_BOLD),
		style_off(p->c->color, STYLE_BOLD));
	colored(p, end_style(row_text(end, "what")), row_text(end, "text"));
	json_array_foreach(json_object_get(end, "cures"), i, cure)
	{
		fprintf(p->c->out, "\n%*s  %s: ", width, "", i > 0 ? "  or" : "cure");
		colored(p, STYLE_BOLD, json_is_string(cure) ? json_string_value(cure) : "");
	}
	fputs("\n\n", p->c->out);
}

void journey_print(struct cli *c, const json_t *journey)
{
	const json_t *steps = json_object_get(journey, "steps");
	struct picture p = {.c = c};
	json_t *step;
	size_t i;

	if (c->json) {
		cli_json(c, journey);
		fflush(c->out);
		return;
	}
	json_array_foreach(steps, i, step) p.timed = p.timed || json_object_get(step, "at_ns");
	print_head(&p, journey);
	json_array_foreach(steps, i, step) print_step(&p, step, json_array_get(steps, i + 1));
	close_to(&p, 0);
	print_end(&p, json_object_get(journey, "end"));
	fflush(c->out);
}
