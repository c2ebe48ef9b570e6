/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver "mem": ports without a device. Two of them can be joined: what one end transmits the
 * other receives, by handing the buffer over, no byte is copied. An end on its own is fed and
 * emptied by whoever opened it, a test or a benchmark.
 *
 * Threads: all functions run in the worker of the ports (both ends of a pair have the same); there
 * is no descriptor that would wake it.
 */
#pragma once

#include <stdint.h>

#include "core/frame.h"

struct port;

#define MEM_QUEUE 1024u /* frames that wait in each direction; more are refused by tx() */

/* Joins two ends that are not joined yet and use the same buffer cache. */
void mem_pair(struct port *a, struct port *b);

/*
 * Queues frames for rx() of p and returns how many there was room for. Of those the reference goes
 * to the port; the rest stays the caller's. Used: data, len, buf and the offload fields.
 */
uint32_t mem_inject(struct port *p, const struct frame *frames, uint32_t n);

/* Copies size bytes (at most a large buffer's room) into a buffer and queues it. 0 or -ENOBUFS. */
int mem_inject_bytes(struct port *p, const void *bytes, uint32_t size);

/*
 * Takes up to n frames, oldest first, that tx() of the single end p took. Their references go to
 * the caller. A descriptor is as the bridge left it.
 */
uint32_t mem_collect(struct port *p, struct frame *ret, uint32_t n);
