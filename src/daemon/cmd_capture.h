/* SPDX-License-Identifier: BSD-2-Clause */
/* Captures, the main thread's side: who may, memory, clients that come and go. */
#pragma once

struct vbridge;

/* The bridge is about to go: its captures end, and their clients hear of it. */
void capture_bridge_gone(struct vbridge *vb);
