/* SPDX-License-Identifier: BSD-2-Clause */
/* Text in a buffer of fixed size. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"

/* Appends to the text in buf, as printf; what does not fit in size is cut. */
static inline _printf_(3, 4) void text_add(char *buf, size_t size, const char *fmt, ...)
{
	const size_t n = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + n, size - n, fmt, ap);
	va_end(ap);
}
