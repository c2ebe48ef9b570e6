/* SPDX-License-Identifier: BSD-2-Clause */
/* Expressions in the syntax of pcap-filter(7), compiled for Ethernet frames. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/frame.h"

struct expression;

/* Main thread. NULL with why filled: the sentence fragment of libpcap. */
struct expression *expression_new(const char *text, char *why, size_t size);
/* No worker uses it any more. Returns NULL; NULL is fine. */
struct expression *expression_free(struct expression *e);
const char *expression_text(const struct expression *e);
struct sock_filter; /* linux/filter.h */
/* As classic BPF; the expression's, while it lives. */
const struct sock_filter *expression_program(const struct expression *e, uint32_t *ret_n);
/* For struct intercept_match: ctx is the expression. Any thread. */
bool expression_match(void *ctx, const struct frame *f);
