/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks the kernel for a list, by rtnetlink(7). */
#pragma once

#include <libmnl/libmnl.h>

/* Sends the request, which is complete but for its sequence number, and hands each answer to take()
 * (mnl_cb_run). What fails is no list. */
void nldump(struct nlmsghdr *request, mnl_cb_t take, void *ctx);
