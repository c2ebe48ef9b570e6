/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mirrors of a bridge as commands and the configuration write them: objects with the members of
 * keys_mirror. Lists of ports and VLANs are words with commas. Main thread.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "wire/msg.h"

struct vbridge;

/*
 * What keys_mirror cannot check, also against other mirrors of the bridge (array of objects):
 * names, lists, filter, loops. 0, or an error code with *err filled. bridge: its name.
 */
int mirrors_check(const char *bridge, const json_t *mirror, const json_t *others,
		  struct ctl_error *err);
/*
 * Adds a mirror (borrowed), or with `replace` puts it in place of the one of its name; makes its
 * destination if `to` is tap:NAME or netmap:NAME and there is none.
 */
int mirrors_add(struct vbridge *vb, const json_t *mirror, bool replace, struct ctl_error *err);
/* Removes it, and the TAP or endpoint if it made that and no other mirror has it. */
int mirrors_del(struct vbridge *vb, const char *name, struct ctl_error *err);
/* The mirror called name as it was added, or NULL; borrowed. */
const json_t *mirrors_find(const struct vbridge *vb, const char *name);
/* The mirrors with state (up, down, away), counters, absent: ports that are not there. New. */
json_t *mirrors_show(struct vbridge *vb);
/* A sentence if one of the mirror's ports is not there now, else NULL. New. */
json_t *mirrors_note(const struct vbridge *vb, const json_t *mirror);
/* The bridge goes; its worker does not have it any more. */
void mirrors_drop(struct vbridge *vb);
