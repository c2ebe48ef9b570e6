/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A daemon for tests of the device: a child process that speaks wire/attach.h on a socket in a
 * directory of its own and looks after rings in a small region. What a descriptor sends on a ring
 * comes back on the RX ring of the same number: NIC TX to NIC RX, host TX to host RX.
 *
 * Port names: each but "nosuch" (ENXIO) exists, with one ring of each kind; "sink" brings nothing
 * back; "two" has two NIC ring pairs. Names that are orders, for PORT_INFO_GET: "!die" ends it,
 * "!stop" stops all rings, "!feed" puts one frame into each RX ring after 30 ms; from "!awake" to
 * "!rest" it does not sleep.
 */
#pragma once

#include <sys/types.h>

#define FAKED_SLOTS 64u

/* Starts it and sets VIADUCT_RUN_DIR. 0 or -1. */
int faked_start(void);
/* Ends it and removes the directory. */
void faked_stop(void);
/* How often it was asked ATTACH_STATE, and doorbells that it got, since it was started. */
unsigned int faked_states(void);
unsigned int faked_bells(void);
/* Connections that are open now. */
unsigned int faked_open(void);
