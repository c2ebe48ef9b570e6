/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors. A function that can fail returns int: 0 is success, a negative value is an unexpected
 * error (-errno) that callers forward unchanged, a positive value is one of the module's own
 * documented outcomes (MODULE_E_*), handled by the direct caller.
 *
 * The place where an error is born wraps it in error_origin(), every place that forwards it in
 * error_trace(): with VIADUCT_TRACE_ERRORS set in the environment both print file, line and
 * function to stderr; otherwise they cost one predictable branch.
 */
#pragma once

#include "base/compiler.h"

#define error_origin(r) err_note((r), "origin", __FILE__, __LINE__, __func__)
#define error_trace(r)  err_note((r), "trace", __FILE__, __LINE__, __func__)

/* Returns r. Prints when r is negative and tracing is on. Any thread. */
int err_note(int r, const char *what, const char *file, int line, const char *func);

/* Sentence fragment for a negative errno value ("No such device"). Static or thread-local text. */
const char *err_text(int r);
