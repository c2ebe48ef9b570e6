/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/symbols.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#define SYMBOLS_MAX  4000000u
#define FUNCTION_MAX 0x100000u /* farther behind a name it is something else */

struct symbol {
	uint64_t address;
	uint32_t name, module; /* offsets; module 0 = the kernel itself */
};

struct symbols {
	struct symbol *list;
	size_t n, room;
	char *names; /* the first is empty */
	size_t n_names, names_room;
};

/* The offset of a copy of text, 0 if there is no memory. */
static uint32_t keep(struct symbols *s, const char *text)
{
	const size_t len = strlen(text) + 1;
	size_t at = s->n_names;

	if (at + len > s->names_room) {
		size_t room = max_of(s->names_room * 2, (size_t)1 << 16);
		char *more = room <= UINT32_MAX ? realloc(s->names, room) : NULL;

		if (!more)
			return 0;
		s->names = more;
		s->names_room = room;
	}
	memcpy(s->names + at, text, len);
	s->n_names += len;
	return (uint32_t)at;
}

static bool append(struct symbols *s, uint64_t address, const char *name, const char *module)
{
	if (s->n == s->room) {
		size_t room = max_of(s->room * 2, (size_t)4096);
		struct symbol *more =
			room <= SYMBOLS_MAX ? realloc(s->list, room * sizeof(*more)) : NULL;

		if (!more)
			return false;
		s->list = more;
		s->room = room;
	}
	s->list[s->n].address = address;
	s->list[s->n].name = keep(s, name);
	s->list[s->n].module = module[0] ? keep(s, module) : 0;
	return s->list[s->n++].name != 0;
}

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* "ffffffff81f2af50 t nf_hook_slow", and behind it a tab and "[module]". */
static bool take_line(struct symbols *s, const char *line)
{
	char name[256], module[64] = "", kind;
	uint64_t address;

	if (sscanf(line, "%" SCNx64 " %c %255s [%63[^]]]", &address, &kind, name, module) < 3)
		return true;
	if (address == 0 || !strchr("tTwW", kind))
		return true;
	return append(s, address, name, module);
}

struct symbols *symbols_read(FILE *f)
{
	struct symbols *s = calloc(1, sizeof(*s));
	char line[512];

	if (!s)
		return NULL;
	keep(s, "");
	while (f && fgets(line, sizeof(line), f))
		if (!take_line(s, line))
			return symbols_free(s);
	if (s->n)
		qsort(s->list, s->n, sizeof(*s->list), by_address);
	return s;
}

struct symbols *symbols_free(struct symbols *s)
{
	if (!s)
		return NULL;
	free(s->list);
	free(s->names);
	free(s);
	return NULL;
}

size_t symbols_count(const struct symbols *s)
{
	return s->n;
}

void symbols_find(const struct symbols *s, uint64_t address, char *ret_name, size_t size,
		  char *ret_rest, size_t rest_size)
{
	size_t low = 0, high = s->n;
	const struct symbol *found;

	ret_name[0] = ret_rest[0] = '\0';
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->list[mid].address <= address)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || address - s->list[low - 1].address > FUNCTION_MAX)
		return;
	found = &s->list[low - 1];
	snprintf(ret_name, size, "%s", s->names + found->name);
	snprintf(ret_rest, rest_size, "+0x%" PRIx64 "%s%s%s", address - found->address,
		 found->module ? " [" : "", s->names + found->module, found->module ? "]" : "");
}
