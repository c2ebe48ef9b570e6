/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may open a bridge: a list of users and groups, by name or number, as text "alice,1001,@ids".
 * Root is on every list. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "sys/sock.h"

#define ACCESS_MAX 64 /* users and groups of a list */

struct access;

/* NULL with why filled: the user or group that there is none of, or what else is wrong. */
struct access *access_new(const char *text, char *why, size_t size);
/* Returns NULL; NULL is fine. */
struct access *access_free(struct access *a);
const char *access_text(const struct access *a);
/* Is the peer root, or one of the list, by its groups at the time it connected? fd: its socket. */
bool access_permits(const struct access *a, int fd, const struct sock_peer *p);
