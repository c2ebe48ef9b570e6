/* SPDX-License-Identifier: BSD-2-Clause */
/* Expressions in the syntax of pcap-filter(7), and where they are wrong. Main thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct bpf_program; /* libpcap's */

/*
 * Compiles one for Ethernet frames. 0 and *ret, for pcap_freecode(); FILTER_E_WRONG with why
 * filled: "column 5: syntax error at \"prt\"". Columns are characters from 1; without one, nobody
 * can say where it is wrong.
 */
#define FILTER_E_WRONG 1
int filter_compile(const char *text, struct bpf_program *ret, char *why, size_t size);

/*
 * Where an expression is wrong for which libpcap said `message`: the number of the byte, from 1;
 * the one behind the last: it ends too soon; 0: unknown. (filter_column.c)
 */
size_t filter_column(const char *text, const char *message);
/* libpcap's words for what is no expression at all. */
bool filter_is_syntax(const char *message);
/* Characters, not bytes, up to a place in text. */
size_t filter_characters(const char *text, size_t bytes);
