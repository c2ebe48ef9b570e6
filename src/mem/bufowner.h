/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs as owners of a region's buffers. Owner = domain: the programs that move buffers among
 * each other without the daemon (they share descriptors or rings) have one number; who they are is
 * the caller's business. Traffic swaps buffers one for one, so how many an owner has changes here
 * only, and what it must give back at the end is known exactly.
 *
 * Main thread. Workers may swap an owner's buffers meanwhile, except where it says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mem/bufpool.h"

#define BUFOWNER_N 1024u /* owner numbers, those of the daemon included */

struct bufowner;

/* NULL when there is no memory. The pool outlives it. */
struct bufowner *bufowner_new(struct bufpool *pool);
struct bufowner *bufowner_free(struct bufowner *o);
struct bufpool *bufowner_pool(const struct bufowner *o);

/* A number for a new domain; 0 when there is none left. */
uint16_t bufowner_add(struct bufowner *o);
/* The domain is gone: whatever it still has is free again. Returns how many buffers that were (0
 * when everything had been given back). No worker uses its rings any more. */
uint32_t bufowner_remove(struct bufowner *o, uint16_t owner);
/* Buffers that the owner has. */
uint32_t bufowner_count(const struct bufowner *o, uint16_t owner);
/* Two domains become one: everything of `from` belongs to `to`, and `from` is gone. Returns how
 * many buffers moved. Workers do not touch rings of either meanwhile. */
uint32_t bufowner_merge(struct bufowner *o, uint16_t from, uint16_t to);

/* n buffers for the owner: all or none. */
bool bufowner_get(struct bufowner *o, uint16_t owner, uint32_t *ret, uint32_t n);
/* Frees buffer buf, any number at all; false if it is not this owner's. */
bool bufowner_put(struct bufowner *o, uint16_t owner, uint32_t buf);
/* Freed buffers go to the pool, where workers find them. After a series of the calls above. */
void bufowner_flush(struct bufowner *o);
