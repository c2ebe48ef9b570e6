/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules of a bridge's hooks as commands and the configuration write them: an array of objects with
 * the members of keys_rule for each hook. The engine gets a new set for every change, made whole
 * here and swapped between two batches. Main thread.
 */
#pragma once

#include <jansson.h>

#include "core/hook.h"
#include "wire/msg.h"

struct vbridge;

/* The hook called name; CTL_E_VALUE with the list of them. */
int rules_hook(const char *name, enum hook *ret, struct ctl_error *err);
/* Gives names to rules without: "r1" and so on. */
void rules_name(json_t *rules);
/*
 * Would they make a set? What keys_rule cannot check: names, what fits together, mirrors (those of
 * `mirrors`, objects with a name), filters. *ret_at: index of the rule that is wrong. 0, or an
 * error code with *err filled. object: "bridge br0".
 */
int rules_check(const char *object, enum hook h, const json_t *rules, const json_t *mirrors,
		size_t *ret_at, struct ctl_error *err);
/* The rules of a hook; borrowed, never NULL. */
const json_t *rules_get(const struct vbridge *vb, enum hook h);
/*
 * Puts rules (named, borrowed) in place of all rules of the hook, at once. Rules that are as they
 * were keep their counters. 0, or an error code with *err filled; then nothing has changed.
 */
int rules_replace(struct vbridge *vb, enum hook h, json_t *rules, struct ctl_error *err);
/* The rules with pos, packets, bytes, and absent: names of ports that are not there. New. */
json_t *rules_show(struct vbridge *vb, enum hook h);
/* The rule that needs a mirror, or NULL: its name, and *ret_hook. */
const char *rules_use_mirror(const struct vbridge *vb, const char *mirror, enum hook *ret_hook);
/* A sentence if one of the rule's ports is not there now, else NULL. New. */
json_t *rules_note(const struct vbridge *vb, const json_t *rule);
/* The bridge goes; its worker does not have it any more. */
void rules_free(struct vbridge *vb);
