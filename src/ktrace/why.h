/* SPDX-License-Identifier: BSD-2-Clause */
/* What a drop of the kernel means for a bridge, in words: from the reason, and from the function.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The device at which it was dropped, as far as it is known. */
struct why_device {
	const char *name;
	bool member;   /* of the bridge; the next four count */
	uint8_t state; /* BR_STATE_* */
	bool isolated, locked;
	uint32_t mtu; /* 0 = unknown */
};

/*
 * Why, as the end of a sentence ("the queue of veth2 is full"); empty when there is nothing to add
 * to the names. function: "br_flood", or empty; the compiler may have put one that it calls into
 * it. len: of the frame.
 */
const char *why_text(const char *reason, const char *function, const struct why_device *d,
		     uint32_t len, char *buf, size_t size);

/* It is about a copy that some program listens to, which says nothing about the frame itself. */
bool why_is_listener(const char *function);
/* No drop at all: spanning tree read a BPDU. */
bool why_is_bpdu(const char *function);
