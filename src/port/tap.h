/* SPDX-License-Identifier: BSD-2-Clause */
/* The pure part of the tap driver, for its test. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/frame.h"

/*
 * After a scattered read of a frame of size bytes into small[0..room) and large[room..): sets f's
 * data and len. True when the frame is in large (its first part has been moved there).
 */
bool tap_join(struct frame *f, uint32_t size, uint8_t *small, uint32_t room, uint8_t *large);
