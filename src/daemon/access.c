/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/access.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_NONE UINT32_MAX /* (uid_t)-1 is nobody's */

struct access {
	char *text;
	uint32_t n;
	struct access_id {
		uint32_t id;
		bool group;
	} ids[ACCESS_MAX];
};

/* A decimal number; numbers need no entry in the system's lists. */
static bool parse_number(const char *text, uint32_t *ret)
{
	unsigned long long v;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end || v >= ID_NONE)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool find_user(const char *name, uint32_t *ret)
{
	const struct passwd *pw = parse_number(name, ret) ? NULL : getpwnam(name);

	if (pw)
		*ret = pw->pw_uid;
	return pw || parse_number(name, ret);
}

static bool find_group(const char *name, uint32_t *ret)
{
	const struct group *g = parse_number(name, ret) ? NULL : getgrnam(name);

	if (g)
		*ret = g->gr_gid;
	return g || parse_number(name, ret);
}

/* One word of the list. */
static bool add(struct access *a, const char *word, char *why, size_t size)
{
	struct access_id *id = &a->ids[a->n];
	const char *name = word + (word[0] == '@');
	bool found;

	if (a->n == ACCESS_MAX) {
		snprintf(why, size, "more than %d users and groups", ACCESS_MAX);
		return false;
	}
	id->group = word[0] == '@';
	found = *name && (id->group ? find_group(name, &id->id) : find_user(name, &id->id));
	if (!found) {
		snprintf(why, size, "no %s \"%.64s\"", id->group ? "group" : "user", name);
		return false;
	}
	a->n++;
	return true;
}

struct access *access_new(const char *text, char *why, size_t size)
{
	struct access *a = calloc(1, sizeof(*a));
	char *copy = strdup(text), *rest = copy, *word;
	bool good = a && copy;

	if (a)
		a->text = strdup(text);
	if (!good || !a->text) {
		snprintf(why, size, "no memory");
		good = false;
	}
	while (good && (word = strsep(&rest, ",")))
		good = add(a, word, why, size);
	free(copy);
	return good ? a : access_free(a);
}

struct access *access_free(struct access *a)
{
	if (!a)
		return NULL;
	free(a->text);
	free(a);
	return NULL;
}

const char *access_text(const struct access *a)
{
	return a->text;
}

bool access_permits(const struct access *a, int fd, const struct sock_peer *p)
{
	if (p->uid == 0)
		return true;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->ids[i].group ? sock_peer_is_in(fd, p, a->ids[i].id) : a->ids[i].id == p->uid)
			return true;
	return false;
}
