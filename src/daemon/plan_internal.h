/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of plan.h share. Main thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "daemon/daemon.h"
#include "daemon/plan.h"
#include "wire/msg.h"

struct config;

struct plan {
	struct daemon *d;
	const struct config *old, *new;
	json_t *changes; /* sentences */
	json_t *undo;    /* [{"cmd", "args"}] */
	struct ctl_error *err;
};

/* A member that is a string, or NULL; borrowed. */
const char *plan_text(const json_t *o, const char *key);
/* Says what was done. Steals the sentence. */
void plan_note(struct plan *p, json_t *sentence);
/* Runs a command; an error gets the line of the item that asked for it. Steals args. */
int plan_step(struct plan *p, const json_t *item, const char *cmd, json_t *args);
/* Keeps the command that undoes the last step. Steals args. */
void plan_push_undo(struct plan *p, const char *cmd, json_t *args);
/* Interception of a bridge that is there; before: what the former text had of it, or NULL. */
int plan_intercept(struct plan *p, const json_t *b, const json_t *before);

/* Adopts what the new text lists and is there, and sets it up. */
int plan_adopt(struct plan *p);
int plan_adopt_one(struct plan *p, const json_t *a);
/*
 * Releases what only the former text lists: first what the new one has for a port, and when nothing
 * can fail any more all others, for programs that have it open lose it.
 */
void plan_release(struct plan *p, bool moving);

/* Mirrors and rules of all bridges that the new text has (plan_rules.c). */
int plan_rules(struct plan *p);
/* Would they be refused? The error has the line. */
int plan_check_rules(const struct config *c, const json_t *bridge, struct ctl_error *err);
