/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of addresses of the kernel's code, from /proc/kallsyms, which is read once. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct symbols;

/* All that are code; none if f is NULL or the kernel hides addresses (CAP_SYSLOG). NULL: no memory.
 */
struct symbols *symbols_read(FILE *f);
struct symbols *symbols_free(struct symbols *s);
size_t symbols_count(const struct symbols *s);
/*
 * Writes the function at an address, "br_flood", and what follows it for people, "+0x9e" or
 * "+0x9e [bridge]"; both are empty when it is unknown.
 */
void symbols_find(const struct symbols *s, uint64_t address, char *ret_name, size_t size,
		  char *ret_rest, size_t rest_size);
