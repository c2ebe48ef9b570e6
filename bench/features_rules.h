/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of bench_features about rules and mirrors. */
#pragma once

struct bridge;

enum rules_row {
	RULES_FIRST,     /* one rule, which matches */
	RULES_LAST,      /* 16, the last one matches */
	RULES_NONE,      /* 16, none matches */
	RULES_PORTS,     /* 16 for other ports */
	RULES_ALL_HOOKS, /* 4 at each hook, none matches */
};

/* Rules for UDP frames from port 0x2000 to 0x3000; all in FORWARD unless the row says otherwise. */
void rules_set_up(struct bridge *br, enum rules_row row);
/* A mirror that takes nothing of the two ports of the bench. */
void rules_mirror(struct bridge *br);
