/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/options.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define WATCH_MAX_S 3600

/* Scanning argv. */
struct scan {
	struct cli *c;
	int argc, at;
	char **argv;
	char *text;
	size_t size;
	int outcome;
};

static void bad(struct scan *s, const char *fmt, const char *what)
{
	if (s->outcome == OPTIONS_E_BAD)
		return;
	s->outcome = OPTIONS_E_BAD;
	snprintf(s->text, s->size, fmt, what);
}

static bool wants_color(FILE *f)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(fileno(f)) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

static void set_color(struct scan *s, const char *when)
{
	if (!strcmp(when, "auto")) {
		s->c->color = s->c->out && wants_color(s->c->out);
		s->c->color_err = wants_color(stderr);
	} else if (!strcmp(when, "always") || !strcmp(when, "never")) {
		s->c->color = s->c->color_err = *when == 'a';
	} else {
		bad(s, "option -c: \"%s\" is none of auto, always, never", when);
	}
}

static void set_watch(struct scan *s, const char *seconds)
{
	char *end;

	s->c->watch_s = seconds ? strtod(seconds, &end) : 1;
	if (seconds &&
	    (*end || end == seconds || !(s->c->watch_s >= 0.1) || s->c->watch_s > WATCH_MAX_S))
		bad(s, "option --watch: \"%s\" is no number of seconds from 0.1 to 3600", seconds);
}

enum option {
	OPT_JSON,
	OPT_PRETTY,
	OPT_STATS,
	OPT_DETAILS,
	OPT_FORCE,
	OPT_HELP,
	OPT_VERSION,
	OPT_COLOR,
	OPT_WATCH,
	OPT_BATCH, /* from here on with a value */
	OPT_NETNS,
	OPT_RUN_DIR,
	OPT_N
};

static const struct {
	char letter; /* 0 = none */
	const char *word;
} options[OPT_N] = {
	[OPT_JSON] = {'j', "json"},       [OPT_PRETTY] = {'p', "pretty"},
	[OPT_STATS] = {'s', "stats"},     [OPT_DETAILS] = {'d', "details"},
	[OPT_FORCE] = {0, "force"},       [OPT_HELP] = {'h', "help"},
	[OPT_VERSION] = {'V', "version"}, [OPT_COLOR] = {'c', "color"},
	[OPT_BATCH] = {'b', "batch"},     [OPT_NETNS] = {'n', "netns"},
	[OPT_RUN_DIR] = {0, "run-dir"},   [OPT_WATCH] = {0, "watch"},
};

static void apply(struct scan *s, enum option o, const char *value)
{
	struct cli *c = s->c;

	switch (o) {
	case OPT_PRETTY:
		c->pretty = true;
		/* fallthrough */
	case OPT_JSON:
		c->json = true;
		break;
	case OPT_STATS:
		c->stats = true;
		break;
	case OPT_DETAILS:
		c->details = true;
		break;
	case OPT_FORCE:
		c->force = true;
		break;
	case OPT_HELP:
		s->outcome = s->outcome ? s->outcome : OPTIONS_HELP;
		break;
	case OPT_VERSION:
		s->outcome = s->outcome ? s->outcome : OPTIONS_VERSION;
		break;
	case OPT_COLOR:
		set_color(s, value ? value : "always");
		break;
	case OPT_WATCH:
		set_watch(s, value);
		break;
	case OPT_BATCH:
		c->batch = value;
		break;
	case OPT_NETNS:
		c->netns = value;
		break;
	default:
		c->run_dir = value;
	}
}

static int find_letter(char letter)
{
	for (int o = 0; o < OPT_N; o++)
		if (options[o].letter == letter)
			return o;
	return -1;
}

/* A whole word or, as with ip(8), the beginning of one ("-det"). */
static int find_word(const char *word, size_t len)
{
	int found = -1;

	for (int o = 0; o < OPT_N; o++) {
		if (strncmp(options[o].word, word, len) != 0)
			continue;
		if (strlen(options[o].word) == len)
			return o;
		found = found < 0 ? o : -2;
	}
	return found;
}

static void apply_with_value(struct scan *s, enum option o, const char *value)
{
	if (o >= OPT_BATCH && !value) {
		if (s->at + 1 >= s->argc) {
			bad(s, "option -%s needs a value", options[o].word);
			return;
		}
		value = s->argv[++s->at];
	} else if (o < OPT_COLOR && value) {
		bad(s, "option -%s takes no value", options[o].word);
		return;
	}
	/* "--watch 5": a number behind it is its own. */
	if (o == OPT_WATCH && !value && s->at + 1 < s->argc &&
	    isdigit((unsigned char)s->argv[s->at + 1][0]))
		value = s->argv[++s->at];
	apply(s, o, value);
}

/* "-jp": letters without values. */
static bool apply_letters(struct scan *s, const char *letters)
{
	for (const char *p = letters; *p; p++)
		if (find_letter(*p) < 0 || find_letter(*p) >= OPT_COLOR)
			return false;
	for (const char *p = letters; *p; p++)
		apply(s, (enum option)find_letter(*p), NULL);
	return true;
}

static void take_option(struct scan *s, const char *arg)
{
	const char *word = arg + (arg[1] == '-' ? 2 : 1);
	size_t len = strcspn(word, "=");
	const char *value = word[len] ? word + len + 1 : NULL;
	int o = len == 1 && arg[1] != '-' ? find_letter(*word) : find_word(word, len);

	if (o >= 0 && len > 0)
		apply_with_value(s, (enum option)o, value);
	else if (arg[1] == '-' || value || !apply_letters(s, word))
		bad(s, "%s: unknown option", arg);
}

int options_take(struct cli *c, int *argc, char **argv, char *text, size_t size)
{
	struct scan s = {.c = c, .argc = *argc, .argv = argv, .text = text, .size = size};
	bool ended = false;
	int left = 0;

	set_color(&s, "auto");
	for (; s.at < s.argc; s.at++) {
		char *arg = argv[s.at];

		if (!ended && !strcmp(arg, "--")) {
			ended = true;
		} else if (left > 0 && !strcmp(arg, "-w")) { /* capture's, not ours */
			argv[left++] = arg;
		} else if (!ended && arg[0] == '-' && arg[1] && !isdigit((unsigned char)arg[1])) {
			take_option(&s, arg);
		} else {
			argv[left++] = arg;
			/* What follows is the program's. */
			ended |= left == 1 && !strcmp(arg, "exec");
		}
	}
	*argc = left;
	return s.outcome;
}
