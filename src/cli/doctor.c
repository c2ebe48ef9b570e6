/* SPDX-License-Identifier: BSD-2-Clause */
/* The command, its table of checks, and how findings are written. */
#include "cli/doctor.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/netfilter.h"
#include "cli/table.h"

#define TEXT_SIZE 768

static const struct {
	const char *name;
	doctor_check_fn *check;
} checks[] = {
	{"up", doctor_check_up},
	{"carrier", doctor_check_carrier},
	{"namespace", doctor_check_namespace},
	{"mtu", doctor_check_mtu},
	{"offloads", doctor_check_offloads},
	{"programs", doctor_check_programs},
	{"netfilter", doctor_check_filter},
	{"stp", doctor_check_stp},
	{"vlan", doctor_check_vlan},
	{"flags", doctor_check_flags},
	{"fdb", doctor_check_fdb},
	{"moves", doctor_check_moves},
	{"inspection", doctor_check_inspection},
	{"slots", doctor_check_slots},
	{"memory", doctor_check_memory},
	{"drops", doctor_check_drops},
};

static const char *const severities[DOCTOR_SEVERITY_N] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_UNKNOWN] = "unknown",
	[DOCTOR_WARNING] = "warning",
	[DOCTOR_PROBLEM] = "problem",
};

/* ---- findings ---- */

const char *doctor_severity_name(enum doctor_severity s)
{
	return severities[s];
}

enum doctor_severity doctor_worst(const json_t *findings)
{
	enum doctor_severity worst = DOCTOR_OK;
	json_t *f;
	size_t i;

	json_array_foreach(findings, i, f)
	{
		for (int s = DOCTOR_SEVERITY_N - 1; s > (int)worst; s--)
			if (!strcmp(row_text(f, "severity"), severities[s]))
				worst = (enum doctor_severity)s;
	}
	return worst;
}

int doctor_exit(enum doctor_severity worst)
{
	static const int codes[DOCTOR_SEVERITY_N] = {
		[DOCTOR_OK] = 0,
		[DOCTOR_WARNING] = 1,
		[DOCTOR_PROBLEM] = 2,
		[DOCTOR_UNKNOWN] = 3,
	};

	return codes[worst];
}

/*
 * Names of devices and comments of rules may hold any byte, and a text that was cut may end within
 * a character; JSON and terminals take neither.
 */
static json_t *safe_string(const char *text)
{
	char safe[TEXT_SIZE];
	json_t *s = json_string(text_safe(text, safe, sizeof(safe)));

	if (s)
		return s;
	for (char *p = safe; *p; p++)
		*p = *p & 0x80 ? '?' : *p;
	return json_string(safe);
}

void doctor_say(struct doctor *d, enum doctor_severity severity, const char *object,
		const char *fmt, ...)
{
	char text[TEXT_SIZE];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s: ", object);
	json_t *f = json_object();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	va_end(ap);
	json_object_set_new(f, "bridge", safe_string(d->bridge));
	json_object_set_new(f, "check", json_string(d->check));
	json_object_set_new(f, "severity", json_string(severities[severity]));
	json_object_set_new(f, "object", safe_string(object));
	json_object_set_new(f, "text", safe_string(text));
	json_object_set_new(f, "hints", json_array());
	json_array_append_new(d->findings, f);
}

void doctor_hint(struct doctor *d, const char *fmt, ...)
{
	const size_t n = json_array_size(d->findings);
	char text[TEXT_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n)
		json_array_append_new(json_object_get(json_array_get(d->findings, n - 1), "hints"),
				      safe_string(text));
}

bool doctor_is_kernel(const struct doctor *d)
{
	return strcmp(row_text(d->picture, "kind"), "own") != 0;
}

bool doctor_is_ours(const struct doctor *d)
{
	return strcmp(row_text(d->picture, "kind"), "kernel") != 0;
}

void doctor_examine(struct doctor *d)
{
	for (size_t i = 0; i < array_size(checks); i++) {
		d->check = checks[i].name;
		checks[i].check(d);
	}
}

/* ---- output ---- */

static enum style style_of(const char *severity)
{
	if (!strcmp(severity, "ok"))
		return STYLE_GOOD;
	return !strcmp(severity, "problem") ? STYLE_BAD : STYLE_WARN;
}

static void print_finding(struct cli *c, const json_t *f)
{
	const char *severity = row_text(f, "severity");
	const enum style style = style_of(severity);
	json_t *hint;
	size_t i;

	fprintf(c->out, "  %s%-8s%s %s\n", style_on(c->color, style), severity,
		style_off(c->color, style), row_text(f, "text"));
	json_array_foreach(json_object_get(f, "hints"), i, hint)
		fprintf(c->out, "           hint: %s\n", json_string_value(hint));
}

/* "br0, bridge of viaduct, 2 ports" and its findings. */
static void print_bridge(struct cli *c, const json_t *picture, const json_t *findings)
{
	static const char *const kinds[][2] = {{"own", "bridge of viaduct"},
					       {"kernel", "bridge of the kernel"},
					       {"adopted", "bridge of the kernel, adopted"},
					       {"device", "device of the kernel, adopted"}};
	const char *name = row_text(picture, "bridge"), *kind = "";
	const size_t n = json_array_size(json_object_get(picture, "ports"));
	char safe[64], count[32];
	bool any = false;
	json_t *f;
	size_t i;

	for (i = 0; i < array_size(kinds); i++)
		if (!strcmp(row_text(picture, "kind"), kinds[i][0]))
			kind = kinds[i][1];
	text_safe(name, safe, sizeof(safe));
	json_array_foreach(findings, i, f) any |= !strcmp(row_text(f, "bridge"), safe);
	fprintf(c->out, "%s%s%s, %s, %s%s\n", style_on(c->color, STYLE_BOLD), safe,
		style_off(c->color, STYLE_BOLD), kind,
		fmt_plural((json_int_t)n, "port", "ports", count, sizeof(count)),
		any ? ":" : ": nothing found");
	json_array_foreach(findings, i, f)
	{
		if (!strcmp(row_text(f, "bridge"), safe))
			print_finding(c, f);
	}
}

static void print_text(struct cli *c, const json_t *pictures, const json_t *findings)
{
	json_t *one;
	size_t i;

	json_array_foreach(findings, i, one)
	{
		if (!*row_text(one, "bridge"))
			print_finding(c, one);
	}
	json_array_foreach(pictures, i, one) print_bridge(c, one, findings);
	if (c->details) {
		fputs("looked at:", c->out);
		for (i = 0; i < array_size(checks); i++)
			fprintf(c->out, " %s", checks[i].name);
		fputc('\n', c->out);
	}
}

static void print_json(struct cli *c, const json_t *pictures, json_t *findings)
{
	const enum doctor_severity worst = doctor_worst(findings);
	json_t *names = json_array(), *o, *one;
	size_t i;

	json_array_foreach(pictures, i, one)
		json_array_append_new(names, safe_string(row_text(one, "bridge")));
	o = json_pack("{s:s, s:i, s:o, s:O}", "status", severities[worst], "exit",
		      doctor_exit(worst), "bridges", names, "findings", findings);
	cli_json(c, o);
	json_decref(o);
}

/* ---- the command ---- */

/* What goes before commands, so that they act where we look. */
static void set_prefix(struct cli *c, struct doctor *d)
{
	const char *ns = c->netns ? c->netns : "";
	const bool pid = *ns && ns[strspn(ns, "0123456789")] == '\0';

	if (strchr(ns, '/'))
		snprintf(d->prefix, sizeof(d->prefix), "nsenter --net=%s ", ns);
	else if (pid)
		snprintf(d->prefix, sizeof(d->prefix), "nsenter -n -t %s ", ns);
	else if (*ns)
		snprintf(d->prefix, sizeof(d->prefix), "ip netns exec %s ", ns);
	snprintf(d->viaduct, sizeof(d->viaduct), "viaduct%s%s%s%s", *ns ? " -n " : "", ns,
		 c->run_dir ? " --run-dir " : "", c->run_dir ? c->run_dir : "");
}

/* Netfilter's rules are read for each bridge, since they may name it; listings are kept. */
static void examine(struct doctor *d, const json_t *picture, json_t *listings)
{
	struct netfilter nf;

	d->picture = picture;
	d->bridge = row_text(picture, "bridge");
	netfilter_look_again(d->bridge, listings, &nf);
	d->nf = &nf;
	doctor_examine(d);
	d->nf = NULL;
	netfilter_deinit(&nf);
}

int cmd_doctor(struct cli *c, const struct command *cmd, json_t *args)
{
	const json_t *seconds = json_object_get(args, "for");
	const int wait_s = seconds ? (int)min_of(json_integer_value(seconds), 3600) : 1;
	struct doctor d = {.bridge = "", .check = "look", .findings = json_array()};
	json_t *pictures = NULL, *listings = json_object(), *one;
	size_t i;
	int r;

	set_prefix(c, &d);
	r = doctor_look(c, row_text(args, "bridge"), wait_s, &d, &pictures);
	json_array_foreach(pictures, i, one) examine(&d, one, listings);
	if (!r && c->json)
		print_json(c, pictures, d.findings);
	else if (!r)
		print_text(c, pictures, d.findings);
	if (!r)
		r = doctor_exit(doctor_worst(d.findings));
	json_decref(pictures);
	json_decref(listings);
	json_decref(d.findings);
	return r;
}
