/* SPDX-License-Identifier: BSD-2-Clause */
/* Values as people read them, and short ways into JSON rows. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* "7s", "3m12s", "2h05m", "4d03h"; "-" for a negative number. Returns buf. */
const char *fmt_age(double seconds, char *buf, size_t size);
/* "512 B", "33.5 MiB". Returns buf. */
const char *fmt_bytes(double bytes, char *buf, size_t size);
/* "1,234,567". Returns buf. */
const char *fmt_count(json_int_t n, char *buf, size_t size);
/* "1 port", "2 ports" (or the given plural). Returns buf. */
const char *fmt_plural(json_int_t n, const char *one, const char *many, char *buf, size_t size);

/* Member as text: "" when it is missing or of another type. Lives as long as obj. */
const char *row_text(const json_t *obj, const char *key);
json_int_t row_int(const json_t *obj, const char *key);
bool row_bool(const json_t *obj, const char *key);
/* Member of a member, "linkinfo.info_data"; NULL when any is missing. */
json_t *row_at(const json_t *obj, const char *path);
