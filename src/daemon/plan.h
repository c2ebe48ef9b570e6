/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a configuration to commands: what has to be done so that what runs becomes what is written,
 * done all or nothing. Main thread.
 */
#pragma once

#include <jansson.h>

#include "daemon/daemon.h"
#include "wire/msg.h"

struct config;
struct netlink_link;

/*
 * Applies c and keeps it (steals it, also on failure). *ret_changes: array of sentences, new
 * reference; NULL if nobody wants it. 0, or an error code with *err filled; then everything is as
 * it was.
 */
int plan_apply(struct daemon *d, struct config *c, json_t **ret_changes, struct ctl_error *err);
/* Would plan_apply() refuse for reasons that can be known before? */
int plan_check(struct daemon *d, const struct config *c, struct ctl_error *err);
/* A device appeared that is no port: joins it if the applied configuration has a place for it. */
void plan_follow_link(struct daemon *d, const struct netlink_link *l);
