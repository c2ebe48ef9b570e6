/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The netmap endpoint of mirrors (`to netmap:NAME`): a port of the bridge whose copies go into the
 * rings of whatever program has netmap:NAME open. Towards programs it is a netmap port like that of
 * a bridge, behind an object that is in no list of bridges; its port has a link while it is open.
 *
 * Main thread.
 */
#pragma once

#include "daemon/bridges.h"

struct mirror_end;

/* Can programs open a netmap port of that name? Its length is right. */
bool mirror_end_can_be_opened(const char *name);
/* Adds the port. 0, or an error code with *err filled; nothing is left behind then. */
int mirror_end_add(struct vbridge *of, const char *name, struct vport **ret, struct ctl_error *err);
/* Its port is gone: programs that have it open keep their memory, and every sync of theirs fails.
 * NULL is fine. */
void mirror_end_free(struct mirror_end *end);
/* What stands for the endpoint of that name among netmap ports, NULL: there is none. */
struct vbridge *mirror_end_find(struct daemon *d, const char *name);
/* It was opened first, or closed by the last program. vb: as mirror_end_find() returns it. */
void mirror_end_follow(struct vbridge *vb, bool open);
