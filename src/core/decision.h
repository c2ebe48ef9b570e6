/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of rules as one graph of questions. Rules of a hook ask the same things again and again: is
 * it IPv4, is it UDP, which port. Asked one rule after the other, each program starts from nothing;
 * here what is known on a path is not asked again, and rules that cannot match any more are passed
 * over. The answer is the same, counters included.
 *
 * Made by the main thread; afterwards only port numbers change.
 */
#pragma once

#include <stdbool.h>

struct decision;
struct hook_frame;
struct hook_set;

/*
 * For rules that are complete but for their port numbers. NULL: no memory, or too many questions;
 * then the rules have to be asked one by one.
 */
struct decision *decision_new(const struct hook_set *s);
struct decision *decision_free(struct decision *d);
/* The rules' port numbers have changed. In the worker that runs it. */
void decision_bind(struct decision *d, const struct hook_set *s);
/* As hook_run(). */
bool decision_run(const struct decision *d, struct hook_set *s, struct hook_frame *h);
/* Questions in the graph. */
unsigned decision_size(const struct decision *d);
