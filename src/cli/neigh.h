/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses that move between the ports of kernel bridges, heard over rtnetlink. */
#pragma once

#include <jansson.h>

struct neigh;

/* Begins to listen; NULL if it cannot. */
struct neigh *neigh_open(void);
/*
 * What was heard until now: {"IFINDEX of the bridge": moves}. A new object. n may be NULL, and is
 * closed.
 */
json_t *neigh_close(struct neigh *n);
