/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables of named, typed values: arguments of commands, settings of bridges and ports, keys of the
 * configuration file. What is checked here is never checked again. Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/msg.h"

enum key_type {
	KEY_BOOL,
	KEY_INT, /* min to max */
	KEY_STRING,
	KEY_STRINGS, /* array of strings */
	KEY_OBJECTS, /* array of objects, which somebody else checks */
};

enum key_rule {
	KEY_PLAIN,
	KEY_REQUIRED,
	KEY_MAC_OR_AUTO, /* string: a usable address or "auto" */
	KEY_MAC,         /* string: any unicast address */
	KEY_MTU,         /* 0, or 68 to 65,521 */
	KEY_MASK_BRIDGE, /* bits 0, 1, 2 cannot be set */
	KEY_MASK_PORT,   /* bit 1 cannot be set */
	KEY_BUF_SIZE,    /* a power of two */
	KEY_VLANS,       /* string: a set as daemon/vlans.h reads it */
	KEY_LABEL,       /* string: a name of ours */
	KEY_NAMED,       /* the same, required */
};

struct key {
	const char *name;
	enum key_type type;
	enum key_rule rule;
	int64_t min, max;
	const char *const *choices; /* string: one of these, NULL at the end; NULL: any */
};

struct key_table {
	const struct key *keys;
	size_t n;
};
#define KEY_TABLE(a) ((struct key_table){(a), array_size(a)})

/* Settings of a bridge that commands and the configuration share; fdb_size is apart. */
extern const struct key_table keys_bridge;
/* Flags and values of a port. */
extern const struct key_table keys_port;
/* Interception and access, per bridge. The choices are in the order of core/intercept.h's enums. */
extern const struct key_table keys_intercept;
/* One rule of a hook, one mirror. Choices in the order of core/hook.h's enum. */
extern const struct key_table keys_rule, keys_mirror;
/* The daemon's own keys of the configuration file. */
extern const struct key_table keys_daemon;

/* The key called name in one of n tables, or NULL. */
const struct key *key_find(const struct key_table *tables, size_t n, const char *name);
/* The key whose name is nearest, or NULL. */
const char *key_nearest(const struct key_table *tables, size_t n, const char *name);

/*
 * Checks one value against its key. object: what the error sentence starts with ("bridge br0").
 * 0, or an error code with *err filled: CTL_E_ARGS (type), CTL_E_VALUE, CTL_E_MAC.
 */
int key_check(const struct key *k, const json_t *value, const char *object, struct ctl_error *err);
/* Checks all members of an object: unknown and missing ones are CTL_E_ARGS. obj may be NULL. */
int keys_check(const struct key_table *tables, size_t n, json_t *obj, const char *object,
	       struct ctl_error *err);
/*
 * The value of a plain scalar of the configuration file, by the key's type:
 * yes/no/on/off/true/false, decimal or 0x integers, strings. NULL if the text is not of that type.
 */
json_t *key_value_parse(const struct key *k, const char *text);

/* Usable as the name of a network device? 0, or CTL_E_NAME with a sentence in *err. */
int key_check_ifname(const char *what, const char *name, struct ctl_error *err);
