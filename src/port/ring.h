/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver "ring": what is sent to the port goes to somebody in the same process who puts it
 * into the rings of a netmap program. Nothing is received, and there is no device.
 */
#pragma once

#include "core/drop.h"
#include "core/frame.h"

/* Who takes the frames. Outlives the port. */
struct ring_sink {
	/* Takes n frames in order, one reference of each, whatever becomes of them. In the port's
	 * worker. */
	void (*put)(struct ring_sink *s, struct frame *const *frames, uint32_t n);
	struct drop_counters drops; /* of the port; the worker's */
};
