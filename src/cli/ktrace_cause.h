/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel says that netfilter dropped a frame, but not where. This looks at sysctls and rules, and
 * names the place in the journey.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct ktrace_cause;
struct netfilter;

/* bridge is copied. NULL: no memory; the others take that. */
struct ktrace_cause *ktrace_cause_new(const char *bridge);
struct ktrace_cause *ktrace_cause_free(struct ktrace_cause *kc);
/*
 * If netfilter dropped the frame, the journey's end gets another "text", and "cures", commands each
 * of which lets such frames pass. Rules are looked at again when a second has passed since the last
 * time.
 */
void ktrace_cause_explain(struct ktrace_cause *kc, json_t *journey);

/* The same with rules that were looked at. For tests. */
void ktrace_cause_name(const struct netfilter *nf, const char *bridge, json_t *journey);
