/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interception of a bridge as commands and the configuration write it (keys_intercept), and the
 * engine's settings that follow. Main thread.
 */
#pragma once

#include <jansson.h>

#include "wire/msg.h"

struct vbridge;

/* The settings, by the names of keys_intercept; "" is no expression. New reference. */
json_t *diversion_get(const struct vbridge *vb);
/* Those that it had when it was new. New reference. */
json_t *diversion_defaults(const struct vbridge *vb);
/*
 * What the key tables cannot check: expressions, users and groups. *ret_key is the name of the
 * value that is wrong. 0, or CTL_E_VALUE with *err filled. object: "bridge br0".
 */
int diversion_check(const json_t *values, const char *object, const char **ret_key,
		    struct ctl_error *err);
/* Applies values that the key tables know; those that are missing stay. All or nothing. */
int diversion_set(struct vbridge *vb, const json_t *values, struct ctl_error *err);
/*
 * A sentence if the number of rings changes only when programs have let go of the bridge, else
 * NULL. New reference.
 */
json_t *diversion_pending(const struct vbridge *vb);
