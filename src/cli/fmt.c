/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/fmt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"

const char *fmt_age(double seconds, char *buf, size_t size)
{
	unsigned long s;

	if (seconds < 0 || seconds > 1e15) {
		snprintf(buf, size, "-");
		return buf;
	}
	s = (unsigned long)seconds;
	if (s < 60)
		snprintf(buf, size, "%lus", s);
	else if (s < 3600)
		snprintf(buf, size, "%lum%02lus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, size, "%luh%02lum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, size, "%lud%02luh", s / 86400, s / 3600 % 24);
	return buf;
}

const char *fmt_bytes(double bytes, char *buf, size_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t u = 0;

	while (bytes >= 1024 && u + 1 < array_size(units)) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, size, u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
	return buf;
}

const char *fmt_count(json_int_t n, char *buf, size_t size)
{
	char digits[24];
	size_t len, o = 0;

	snprintf(digits, sizeof(digits), "%" PRId64, (int64_t)n);
	len = strlen(digits);
	for (size_t i = 0; i < len && o + 2 < size; i++) {
		buf[o++] = digits[i];
		if (digits[i] != '-' && i + 1 < len && (len - i - 1) % 3 == 0)
			buf[o++] = ',';
	}
	buf[o] = '\0';
	return buf;
}

const char *fmt_plural(json_int_t n, const char *one, const char *many, char *buf, size_t size)
{
	snprintf(buf, size, "%" PRId64 " %s", (int64_t)n, n == 1 ? one : many);
	return buf;
}

const char *row_text(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : "";
}

json_int_t row_int(const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_real(v) ? (json_int_t)json_real_value(v) : json_integer_value(v);
}

bool row_bool(const json_t *obj, const char *key)
{
	return json_is_true(json_object_get(obj, key));
}

json_t *row_at(const json_t *obj, const char *path)
{
	char key[64];
	json_t *at = (json_t *)obj;

	while (at && *path) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		at = json_object_get(at, key);
		path += len + (path[len] == '.');
	}
	return at;
}
