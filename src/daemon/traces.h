/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who follows frames of a bridge. The worker hands finished journeys (core/trace.h) over in a
 * bounded queue; the main thread makes JSON of them for each watch that chose them. A bridge
 * that nobody watches has none of it.
 *
 * Main thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/msg.h"

struct expression;
struct traces_watch;
struct vbridge;

#define TRACES_COUNT_MAX   1000000
#define TRACES_SECONDS_MAX 86400

/* How a watch ended. */
struct traces_sum {
	uint64_t matched; /* frames that it chose */
	uint64_t missed;  /* of them without a journey: too many were on their way */
	uint64_t lost;    /* journeys that nobody took in time */
};

struct traces_request {
	uint16_t port;             /* number; 0: any */
	uint32_t every;            /* the n-th each */
	uint64_t count;            /* it ends after so many */
	uint32_t seconds;          /* and after so long */
	struct expression *filter; /* taken over, also when it fails; NULL: any frame */
	void *ctx;
	/* Steals the journey. False: it could not be taken. */
	bool (*journey)(void *ctx, json_t *journey);
	/* The last call: the watch is gone. */
	void (*ended)(void *ctx, const struct traces_sum *sum);
};

/* 0 and *ret, or an error code with *err filled. */
int traces_start(struct vbridge *vb, const struct traces_request *req, struct traces_watch **ret,
		 struct ctl_error *err);
/* Ends it now; tell: ended() is called. */
void traces_stop(struct traces_watch *w, bool tell);
/* How many there are on the bridge. */
uint32_t traces_count(const struct vbridge *vb);
/* Ends all of the bridge, before it goes. */
void traces_bridge_gone(struct vbridge *vb);

/*
 * What would become of a frame that came in on the port with that number (core/explain.h): a new
 * object. NULL: no memory.
 */
json_t *traces_explain(struct vbridge *vb, uint16_t port, const uint8_t *data, uint32_t len);
