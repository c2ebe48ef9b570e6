/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spanning tree's settings and state as commands and configuration have them. Main thread,
 * except for functions marked W (daemon/worker.h).
 */
#pragma once

#include <jansson.h>

#include "core/stp.h"
#include "wire/msg.h"

struct vbridge;
struct vport;

/*
 * Would `now` with the spanning tree's settings among values be in range? now NULL: the defaults.
 * 0, or CTL_E_VALUE with a sentence about object ("bridge br0").
 */
int tree_check(const struct stp_settings *now, const json_t *values, const char *object,
	       struct ctl_error *err);
/* The checked settings among values. W */
void tree_set(struct vbridge *vb, const json_t *values);
void tree_set_port(struct vport *vp, const json_t *values);
/* Adds settings to an object. */
void tree_put(json_t *to, const struct stp_settings *s);
void tree_put_port(json_t *to, const struct stp_port_settings *s);
/* Adds the state, by the names of Linux. */
void tree_show(struct vbridge *vb, json_t *to);
void tree_show_port(struct vport *vp, json_t *to);
/* Asks the port's device for its speed. */
void tree_follow_speed(struct vport *vp);
/* "8000.020000000001" of a bridge identifier; returns buf. */
#define TREE_ID_SIZE 18
const char *tree_id(uint64_t id, char buf[TREE_ID_SIZE]);
