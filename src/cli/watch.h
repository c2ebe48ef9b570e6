/* SPDX-License-Identifier: BSD-2-Clause */
/* Events as lines. */
#pragma once

#include <jansson.h>

struct cli;

/* One line for an event: "14:03:07.123  fdb   br0  02:… moved from veth10 to veth30". */
void watch_print(struct cli *c, const json_t *event);
