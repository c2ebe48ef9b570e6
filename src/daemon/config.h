/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration file: YAML (docs/viaduct.yaml shows every key), checked key by key against the
 * tables of keys.h, so that each error has a line. Pure; plan.c does what it says.
 *
 * A parsed configuration is a JSON object:
 *   {"daemon": {key: value}, "bridges": [{"name", "line", "values": {…}, "ports": [{"name" or
 *    "match", "tap", "driver", "file", "values": {…}, "line"}], "fdb": [{"mac", "port", "kind",
 *    "vlan", "line"}], "intercept": {"values": {…}, "lines": {key: line}},
 *    "rules": {hook: [{"values": {…}, "line"}]}, "mirrors": [{"values": {…}, "line"}]}],
 *    "adopt": [{"name", "line", "intercept": as above}]}
 * "ports", "fdb", "intercept", "rules" and "mirrors" are always there; "driver", "file", "port",
 * "kind" and "vlan" if written.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "wire/msg.h"

#define CONFIG_SIZE_MAX (1u << 20)

struct config {
	json_t *root;
	char *file; /* for messages */
};

/*
 * Parses text. file: name for messages. 0, or CTL_E_CONFIG with a text that starts with
 * FILE:LINE:.
 */
int config_parse(const char *text, size_t len, const char *file, struct config **ret,
		 struct ctl_error *err);
/* Reads a file and parses it. */
int config_load(const char *path, struct config **ret, struct ctl_error *err);
struct config *config_free(struct config *c);

/* Puts FILE:LINE: in front of an error's text and makes it CTL_E_CONFIG. line 0: FILE: only. */
int config_error_at(const struct config *c, const json_t *item, struct ctl_error *err);
/* The bridge called name, or NULL; borrowed. */
const json_t *config_bridge(const struct config *c, const char *name);
/* The bridge or device of the kernel that is to be adopted, or NULL; borrowed. */
const json_t *config_adopt(const struct config *c, const char *name);
/* The port of a bridge that a device of that name belongs to: by name, else by pattern, or NULL. */
const json_t *config_port(const json_t *bridge, const char *ifname);

/*
 * What has to be set so that an object that is like `now` becomes what a configuration wants: the
 * members of `want` that differ, plus those that the former text (`before`, may be NULL) had and
 * `want` has not, at their defaults. New reference; NULL when there is nothing to do.
 */
json_t *config_difference(const json_t *now, const json_t *before, const json_t *want,
			  const json_t *defaults);
