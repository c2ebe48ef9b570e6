/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bridge protocol data units as bytes (IEEE 802.1D-2004, clause 9): the only place that knows their
 * layout. Pure functions, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BPDU_TCN_SIZE    4u
#define BPDU_CONFIG_SIZE 35u
#define BPDU_RST_SIZE    36u
/* A whole frame with addresses, length and LLC, padded to the least that Ethernet carries. */
#define BPDU_FRAME_SIZE 60u

/* Times in BPDUs count in these. */
#define BPDU_SECOND 256u

enum bpdu_kind {
	BPDU_TCN,    /* topology change notification */
	BPDU_CONFIG, /* of spanning trees before RSTP */
	BPDU_RST,    /* RSTP; also the common part of what MSTP sends */
};

/* Of an RST BPDU; a Config BPDU is always of a designated port. */
enum bpdu_role {
	BPDU_ROLE_UNKNOWN,
	BPDU_ROLE_ALTERNATE, /* or backup */
	BPDU_ROLE_ROOT,
	BPDU_ROLE_DESIGNATED,
};

enum bpdu_flags {
	BPDU_TC = 0x01,
	BPDU_PROPOSAL = 0x02,
	BPDU_LEARNING = 0x10,
	BPDU_FORWARDING = 0x20,
	BPDU_AGREEMENT = 0x40,
	BPDU_TC_ACK = 0x80,
};

/* Bridge identifiers: priority in the upper 16 bits, address below. Times in BPDU_SECOND. */
struct bpdu_times {
	uint16_t message_age, max_age, hello, forward_delay;
};

struct bpdu {
	uint8_t kind;  /* enum bpdu_kind */
	uint8_t role;  /* enum bpdu_role; designated in a Config BPDU */
	uint8_t flags; /* enum bpdu_flags; in a Config BPDU only BPDU_TC and BPDU_TC_ACK */
	uint64_t root, bridge;
	uint32_t cost; /* of the sender's path to the root */
	uint16_t port;
	struct bpdu_times times;
};

/* Positive outcomes of bpdu_parse(). */
enum bpdu_error {
	BPDU_E_MALFORMED = 1, /* no BPDU, cut short, or lengths that contradict each other */
	BPDU_E_AGE,           /* as old as it may become: its information is no longer valid */
};

/*
 * Reads a frame that was sent to 01:80:C2:00:00:00, from its first address on. Fields of a TCN are
 * 0. Reserved bits are ignored and versions above 2 read as 2. An RST BPDU that does not know its
 * role counts as a Config BPDU's information. 0, BPDU_E_AGE with *ret filled, or BPDU_E_MALFORMED.
 */
int bpdu_parse(const uint8_t *frame, uint32_t len, struct bpdu *ret);
/* Writes a frame of BPDU_FRAME_SIZE bytes. */
void bpdu_build(const struct bpdu *b, uint64_t source, uint8_t frame[BPDU_FRAME_SIZE]);
