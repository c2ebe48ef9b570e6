/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "cli/batch.h"
#include "cli/commands.h"

#define WORDS_MAX 32

struct words {
	char line[256];
	char *argv[WORDS_MAX];
	int argc;
};

static void split(struct words *w, const char *line)
{
	snprintf(w->line, sizeof(w->line), "%s", line);
	w->argc = batch_split(w->line, w->argv, WORDS_MAX);
	assert_true(w->argc >= 0);
}

/* Parses a line to "NAME {json}", or "! sentence | hint". Static. */
static const char *parsed(const char *line)
{
	static char out[1024];
	const struct command *cmd;
	struct parse_error err;
	struct words w;
	json_t *args;
	char *text;
	int used;

	split(&w, line);
	cmd = parse_command(commands, w.argc, w.argv, &used, &err);
	args = cmd ? parse_args(cmd, w.argc - used, w.argv + used, &err) : NULL;
	if (!args) {
		snprintf(out, sizeof(out), "! %s | %s", err.text, err.hint);
		return out;
	}
	text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
	snprintf(out, sizeof(out), "%s %s", cmd->name, text);
	free(text);
	json_decref(args);
	return out;
}

static void brctl_words(void **state)
{
	assert_string_equal(parsed("addbr br0"), "addbr {\"bridge\":\"br0\"}");
	assert_string_equal(
		parsed("addif br0 a tap:b driver xdp"),
		"addif {\"bridge\":\"br0\",\"driver\":\"xdp\",\"ports\":[\"a\",\"tap:b\"]}");
	assert_string_equal(parsed("hairpin br0 a on"),
			    "hairpin {\"bridge\":\"br0\",\"hairpin\":true,\"port\":\"a\"}");
	assert_string_equal(parsed("setageing br0 60"),
			    "setageing {\"ageing_time\":60,\"bridge\":\"br0\"}");
	assert_string_equal(parsed("show"), "show {}");
	assert_string_equal(parsed("show a b"), "show {\"bridges\":[\"a\",\"b\"]}");
	/* An empty name is the daemon's to judge. */
	assert_string_equal(parsed("addbr ''"), "addbr {\"bridge\":\"\"}");
}

static void iproute2_words(void **state)
{
	assert_string_equal(parsed("link add name br0 type bridge ageing_time 5 mtu 0x10"),
			    "link add {\"ageing_time\":5,\"bridge\":\"br0\",\"mtu\":16,"
			    "\"type\":\"bridge\"}");
	assert_string_equal(parsed("link set dev v master br0"),
			    "link set {\"master\":\"br0\",\"name\":\"v\"}");
	assert_string_equal(parsed("link set v learning off flood yes"),
			    "link set {\"flood\":true,\"learning\":false,\"name\":\"v\"}");
	assert_string_equal(parsed("fdb add 2:0:0:0:0:1 dev v master vlan 7 static"),
			    "fdb add {\"kind\":\"static\",\"mac\":\"2:0:0:0:0:1\",\"master\":true,"
			    "\"port\":\"v\",\"vlan\":7}");
	assert_string_equal(parsed("fdb add dev v 2:0:0:0:0:1"),
			    "fdb add {\"mac\":\"2:0:0:0:0:1\",\"port\":\"v\"}");
	assert_string_equal(parsed("fdb flush dev v all"),
			    "fdb flush {\"all\":true,\"port\":\"v\"}");
	/* A word that may be repeated. */
	assert_string_equal(parsed("capture br0 -w x point in point drop"),
			    "capture {\"bridge\":\"br0\",\"file\":\"x\",\"points\":[\"in\","
			    "\"drop\"]}");
	/* A group without a word shows. */
	assert_string_equal(parsed("fdb"), "fdb show {}");
	assert_string_equal(parsed("link delete br0"), "link del {\"bridge\":\"br0\"}");
}

static void words_as_names(void **state)
{
	assert_string_equal(parsed("addif br0 driver"),
			    "addif {\"bridge\":\"br0\",\"ports\":[\"driver\"]}");
	assert_string_equal(parsed("link del dev"), "link del {\"bridge\":\"dev\"}");
	assert_string_equal(parsed("link set dev dev nomaster"),
			    "link set {\"name\":\"dev\",\"nomaster\":true}");
}

static void short_words(void **state)
{
	assert_string_equal(parsed("f s"), "fdb show {}");
	assert_string_equal(parsed("setag br0 1"),
			    "setageing {\"ageing_time\":1,\"bridge\":\"br0\"}");
	assert_string_equal(parsed("li sh"), "link show {}");
	assert_string_equal(parsed("l"), "! l: ambiguous: link, log | ");
	assert_string_equal(parsed("link s"), "! s: ambiguous: show, set | ");
	/* A whole word is no prefix of another. */
	assert_string_equal(parsed("show"), "show {}");
}

static void refusals(void **state)
{
	static const char *const bad[][2] = {
		{"addbrr br1", "! addbrr: unknown command | did you mean addbr?"},
		{"fdb shwo", "! fdb shwo: unknown command | did you mean show?"},
		{"addbr", "! addbr: BR is missing | "},
		{"addbr a b", "! addbr: unexpected word \"b\" | "},
		{"setageing br0 soon", "! SECONDS: \"soon\" is not a whole number | "},
		{"setageing br0 -5", "! SECONDS: \"-5\" is not a whole number | "},
		{"setageing br0 99999999999999999999", NULL},
		{"setageing br0 5x", NULL},
		{"setageing br0 0x", NULL},
		{"link set v hairpin maybe", "! hairpin: \"maybe\" is neither on nor off | "},
		{"link set v hairpin", "! link set: hairpin needs a value | "},
		{"link set v learnin on",
		 "! link set: unexpected word \"learnin\" | did you mean learning?"},
		{"link set v master a nomaster", "! nomaster and master exclude each other | "},
		{"addif br0 a driver warp",
		 "! driver: \"warp\" is none of auto|packet|xdp|tap|pcap | "},
		{"fdb show br a dev b", NULL},
		{"fdb flush all", "! fdb flush: br BR is missing | "},
		{"fdb add 2:0:0:0:0:1", "! fdb add: dev DEV is missing | "},
		{"fdb add 2:0:0:0:0:1 dev a dev b", "! dev is given twice | "},
		{"fdb show static sticky", NULL},
		{"debug", "! debug: which command of it? | "},
		{"addbr '\xff'", "! BR: not valid UTF-8 | "},
	};

	for (size_t i = 0; i < array_size(bad); i++) {
		const char *got = parsed(bad[i][0]);

		assert_int_equal(got[0], '!');
		/* Order of the two names does not matter. */
		if (bad[i][1] && !strstr(got, "exclude"))
			assert_string_equal(got, bad[i][1]);
	}
}

static void usage_lines(void **state)
{
	static const char *const want[] = {
		"addbr BR",
		"addif BR DEV... [driver auto|packet|xdp|tap|pcap]",
		"hairpin BR DEV on|off",
		"show [BR...]",
		"fdb flush br BR|dev DEV [vlan VLAN] [all]",
		"fdb show [br BR|dev DEV|brport DEV] [vlan VLAN] [learned|static|sticky|local]",
		"fdb get MAC br BR [vlan VLAN]",
		"monitor [fdb|link|stp|config|all]",
		"link show [DEV]",
	};
	char buf[1024];

	for (size_t i = 0; i < array_size(want); i++) {
		bool found = false;

		for (const struct command *c = commands; c->name; c++)
			found = found || !strcmp(parse_usage(c, buf, sizeof(buf)), want[i]);
		if (!found)
			fail_msg("no command has the usage \"%s\"", want[i]);
	}
}

/* What the other tests and completion rely on. */
static void table_is_sound(void **state)
{
	for (const struct command *c = commands; c->name; c++) {
		assert_non_null(c->run);
		assert_non_null(c->args);
		assert_true(c->summary[0]);
		for (const struct command *d = c + 1; d->name; d++)
			assert_string_not_equal(c->name, d->name);
		for (const struct arg_spec *a = c->args; a->key; a++) {
			assert_true(a->kind != ARG_CHOICE || a->values);
			assert_true(!(a->flags & ARG_MANY) || a->kind != ARG_FLAG);
			assert_true(a != c->args || !(a->flags & ARG_OR));
		}
	}
}

/* ---- completion ---- */

static char offered[2048];

static void offer(void *ctx, const char *word, size_t len)
{
	size_t n = strlen(offered);

	snprintf(offered + n, sizeof(offered) - n, "%.*s ", (int)len, word);
}

static void offer_kind(void *ctx, enum arg_kind kind)
{
	size_t n = strlen(offered);

	snprintf(offered + n, sizeof(offered) - n, "<%d> ", (int)kind);
}

static const char *completed(const char *line)
{
	const struct complete_ops ops = {.word = offer, .value = offer_kind};
	struct words w;

	split(&w, line);
	offered[0] = '\0';
	parse_complete(commands, w.argc, w.argv, &ops);
	return offered;
}

static void completion(void **state)
{
	char bridge[16], port[16], dev[16];

	snprintf(bridge, sizeof(bridge), "<%d> ", ARG_BRIDGE);
	snprintf(port, sizeof(port), "<%d> ", ARG_PORT);
	snprintf(dev, sizeof(dev), "<%d> ", ARG_DEV);
	assert_string_equal(completed("add"), "addbr addif ");
	assert_string_equal(completed("fd"), "fdb ");
	assert_string_equal(completed("fdb ''"), "show add replace del flush get ");
	assert_string_equal(completed("fdb f"), "flush ");
	assert_string_equal(completed("delbr ''"), bridge);
	assert_string_equal(completed("addif br0 ''"), dev);
	assert_string_equal(completed("addif br0 a dr"), strcat(dev, "driver "));
	assert_string_equal(completed("addif br0 a driver x"), "xdp ");
	assert_string_equal(completed("fdb flush dev ''"), port);
	assert_string_equal(completed("link set v hairpin ''"), "on off ");
	assert_string_equal(completed("link set v master br0 no"), "no_linklocal_learn ");
	assert_string_equal(completed("fdb show s"), "static sticky ");
	assert_string_equal(completed("help fdb g"), "get ");
	assert_string_equal(completed("capture br0 point in p"), "point port ");
	assert_string_equal(completed("nonsense ''"), "");
	assert_string_equal(completed("addbr a b c"), "");
}

static void batch_words(void **state)
{
	char line[] = "  addif 'a b' \"c'd\" e\\ f # rest\n", open[] = "a 'b", many[] = "a b c";
	char *words[8];

	assert_int_equal(batch_split(line, words, 8), 4);
	assert_string_equal(words[1], "a b");
	assert_string_equal(words[2], "c'd");
	assert_string_equal(words[3], "e f");
	assert_int_equal(batch_split(open, words, 8), -1);
	assert_int_equal(batch_split(many, words, 2), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(brctl_words),    cmocka_unit_test(iproute2_words),
		cmocka_unit_test(words_as_names), cmocka_unit_test(short_words),
		cmocka_unit_test(refusals),       cmocka_unit_test(usage_lines),
		cmocka_unit_test(table_is_sound), cmocka_unit_test(completion),
		cmocka_unit_test(batch_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
