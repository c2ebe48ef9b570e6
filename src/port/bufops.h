/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine's struct buf_ops on top of a worker's buffer cache. */
#pragma once

#include "core/batch.h"
#include "mem/bufpool.h"

/* Operations on c's buffers; c outlives them. For the thread that c belongs to. */
struct buf_ops bufops_init(struct bufcache *c);
