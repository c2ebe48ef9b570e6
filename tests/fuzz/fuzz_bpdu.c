/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames to the spanning tree. Input: records of a length byte and so many bytes of a frame, which
 * arrive at two ports in turn, a second apart. What is a BPDU is built again and must read the
 * same.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/stp.h"

static uint8_t states[3];

static void tx(void *ctx, uint16_t port, const uint8_t *frame)
{
	struct bpdu b;

	assert(port >= 1 && port <= 2);
	assert(bpdu_parse(frame, BPDU_FRAME_SIZE, &b) == 0);
}

static void set_state(void *ctx, uint16_t port, enum bport_state state)
{
	assert(state < BPORT_STATE_N);
	states[port] = (uint8_t)state;
}

static void flush(void *ctx, uint16_t port)
{
	assert(port >= 1 && port <= 2);
}

static void event(void *ctx, const struct stp_event *e)
{
	assert(e->port <= 2);
}

static void check_round_trip(const uint8_t *frame, uint32_t len)
{
	uint8_t built[BPDU_FRAME_SIZE];
	struct bpdu a, b;
	int r = bpdu_parse(frame, len, &a);

	if (r == BPDU_E_MALFORMED)
		return;
	bpdu_build(&a, 0x020000000001ULL, built);
	assert(bpdu_parse(built, sizeof(built), &b) == r);
	assert(a.kind == b.kind && a.role == b.role && a.flags == b.flags && a.root == b.root);
	assert(a.cost == b.cost && a.bridge == b.bridge && a.port == b.port);
	assert(memcmp(&a.times, &b.times, sizeof(a.times)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct stp_ops ops = {
		.tx = tx, .set_state = set_state, .flush = flush, .event = event};
	struct stp *s = stp_new(&ops);
	struct stp_settings set;
	uint64_t now_ns = 0;

	stp_settings_default(&set);
	set.enabled = true;
	stp_set_mac(s, 0x020000000001ULL);
	for (uint16_t no = 1; no <= 2; no++) {
		assert(stp_port_add(s, no, 0x020000000001ULL) == 0);
		stp_port_link(s, no, true, 0x020000000001ULL);
	}
	stp_set(s, &set);
	for (uint16_t no = 1; size > 0; no = 3 - no) {
		uint32_t len = data[0] < size - 1 ? data[0] : (uint32_t)size - 1;
		uint8_t *frame = malloc(len ? len : 1);

		memcpy(frame, data + 1, len);
		check_round_trip(frame, len);
		stp_rx_frame(s, no, frame, len);
		free(frame);
		stp_tick(s, now_ns += 1000000000ULL);
		data += len + 1;
		size -= len + 1;
	}
	stp_free(s);
	return 0;
}
