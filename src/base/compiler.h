/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiler attributes and small macros that every layer uses. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define likely(x)      __builtin_expect(!!(x), 1)
#define unlikely(x)    __builtin_expect(!!(x), 0)
#define prefetch(p)    __builtin_prefetch(p)
#define _cold_         __attribute__((cold))
#define _pure_         __attribute__((pure))
#define _packed_       __attribute__((packed))
#define _unused_       __attribute__((unused))
#define _must_check_   __attribute__((warn_unused_result))
#define _printf_(f, a) __attribute__((format(printf, f, a)))
#define _cacheline_    __attribute__((aligned(64)))
#define _public_       __attribute__((visibility("default")))

/* Runs fn(&variable) when the variable goes out of scope. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define array_size(a)                 (sizeof(a) / sizeof((a)[0]))
/* These evaluate one argument twice: no calls in them, nothing that others change. */
#define min_of(a, b) ((a) < (b) ? (a) : (b))
#define max_of(a, b) ((a) > (b) ? (a) : (b))
