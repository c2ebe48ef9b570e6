/* SPDX-License-Identifier: BSD-2-Clause */
/* The only caller of clock_gettime(). Everything else gets the time as a parameter. */
#pragma once

#include <stdint.h>

#define CLOCK_SECOND_NS 1000000000ULL

/* CLOCK_MONOTONIC in nanoseconds. Any thread. */
uint64_t clock_now_ns(void);
/* CLOCK_BOOTTIME in milliseconds: goes on while the machine sleeps. Any thread. */
uint64_t clock_boot_ms(void);
/* CLOCK_REALTIME in seconds, for people and logs. Any thread. */
double clock_wall_s(void);
/* The same in nanoseconds, for captures. Any thread. */
uint64_t clock_wall_ns(void);
