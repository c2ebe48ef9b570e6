/* SPDX-License-Identifier: BSD-2-Clause */
/* Intrusive doubly linked list. A list head and a member are the same struct. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* Adds an unlinked item at the end. */
static inline void list_append(struct list *l, struct list *item)
{
	item->prev = l->prev;
	item->next = l;
	l->prev->next = item;
	l->prev = item;
}

/* Takes the item out; harmless when it is in no list but initialised. */
static inline void list_del(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_for_each(i, l)         for (struct list *i = (l)->next; i != (l); i = i->next)
/* As list_for_each; the body may remove i. */
#define list_for_each_safe(i, l)                                                                   \
	for (struct list *i = (l)->next, *i##_next = i->next; i != (l);                            \
	     i = i##_next, i##_next = i->next)
