/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of the reasons for which this kernel drops frames, from its BTF: the numbers differ from
 * version to version.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct reasons;

/* 0 or -errno: -ENOENT: the kernel has no BTF, or (before Linux 5.17) no reasons. */
int reasons_read(struct reasons **ret);
struct reasons *reasons_free(struct reasons *r);
/*
 * "NETFILTER_DROP"; "reason 7 of part 3" where a part of the kernel has reasons of its own; "reason
 * 7" where it has no name, or r is NULL.
 */
const char *reasons_name(const struct reasons *r, uint32_t reason, char *buf, size_t size);
