/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's own bridges, asked over rtnetlink: for when no daemon can tell. */
#pragma once

#include <jansson.h>

/*
 * Rows of the bridges in this network namespace, in the form of docs/control.md, *Bridge rows*. A
 * new array, empty when the kernel does not answer.
 */
json_t *kbridge_rows(void);
