/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `viaduct doctor`: what is not as one would expect, why, and what cures it.
 *
 * First everything about one bridge is collected into one JSON object, the picture (doctor_look.c);
 * then each check of the table (doctor.c) reads it and says what it found. Checks ask nobody, so
 * they are tested with pictures. Members of a picture:
 *
 *   bridge     the name
 *   kind       "own", "kernel", "adopted"; "device" is adopted, too, but no bridge
 *   row        own, adopted: the row of bridge.show
 *   link       the bridge's interface, a row of links_look(); absent if there is none
 *   ports      [{ifname, row: of port.show, link, tc, program: name of the XDP program, features,
 *              vlans, elsewhere: names of namespaces that have such a device}]
 *   rings      rows of rings.show; state: the bridge's row of status; slot: bytes of a netmap slot;
 *              memory: that of status
 *   grown      what grew while it looked: {seconds, moved, own_source, full, drops: [{port, reason,
 *              text, count}], devices: {NAME: {rx_dropped, …}}}; absent if it did not wait
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/compiler.h"

struct cli;
struct netfilter;

enum doctor_severity {
	DOCTOR_OK,      /* explains something that is as it should be */
	DOCTOR_UNKNOWN, /* something could not be looked at */
	DOCTOR_WARNING,
	DOCTOR_PROBLEM,
	DOCTOR_SEVERITY_N
};

struct doctor {
	const json_t *picture;
	const char *bridge;         /* its name */
	const struct netfilter *nf; /* NULL: not asked */
	const char *check;          /* the one that runs */
	json_t *findings;           /* {bridge, check, severity, object, text, hints} */
	char prefix[128];           /* "ip netns exec NAME ", before commands; or empty */
	char viaduct[256];          /* "viaduct -n NAME": our own command */
};

typedef void doctor_check_fn(struct doctor *d);

/* ---- doctor.c: saying it ---- */

/* Adds a finding: one sentence that begins with "OBJECT: ". */
void doctor_say(struct doctor *d, enum doctor_severity severity, const char *object,
		const char *fmt, ...) _printf_(4, 5);
/* Adds a command (or an advice) to the finding that was said last. */
void doctor_hint(struct doctor *d, const char *fmt, ...) _printf_(2, 3);
/* Runs all checks. */
void doctor_examine(struct doctor *d);
/* "warning" */
const char *doctor_severity_name(enum doctor_severity s);
/* The worst of findings; DOCTOR_OK if there are none. */
enum doctor_severity doctor_worst(const json_t *findings);
/* 0 fine, 1 warning, 2 problem, 3 unknown. */
int doctor_exit(enum doctor_severity worst);

/* Is it of the kernel (adopted or not)? */
bool doctor_is_kernel(const struct doctor *d);
/* Does viaductd have a hand in it (own or adopted)? */
bool doctor_is_ours(const struct doctor *d);

/* ---- the checks ---- */

/* doctor_device.c: the devices */
doctor_check_fn doctor_check_up, doctor_check_carrier, doctor_check_namespace, doctor_check_mtu,
	doctor_check_offloads, doctor_check_programs;
/* doctor_bridge.c: what the bridge knows and does */
doctor_check_fn doctor_check_stp, doctor_check_vlan, doctor_check_flags, doctor_check_fdb,
	doctor_check_moves, doctor_check_drops;
/* doctor_netmap.c: netmap programs */
doctor_check_fn doctor_check_inspection, doctor_check_slots, doctor_check_memory;
/* doctor_filter.c: br_netfilter and the rules of netfilter */
doctor_check_fn doctor_check_filter;

/* ---- doctor_look.c ---- */

/*
 * Pictures of the bridge of that name, or of all (bridge empty). Waits for wait_s seconds in
 * between to see what grows. *ret_pictures is a new array; problems of looking itself are added to
 * findings, as doctor_say() writes them. Returns an exit code of the command: CLI_OK unless it has
 * to end.
 */
int doctor_look(struct cli *c, const char *bridge, int wait_s, struct doctor *d,
		json_t **ret_pictures);
