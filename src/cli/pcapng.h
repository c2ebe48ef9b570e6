/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes pcapng files (draft-ietf-opsawg-pcapng): one section, in the byte order of the machine,
 * Ethernet interfaces, enhanced packet blocks, interface statistics. Blocks gather in memory until
 * pcapng_flush(), or until there are many. A file always ends with a whole block, whatever happens
 * to the disk.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pcapng {
	int fd; /* the caller's */
	uint8_t *buf;
	size_t len, cap;
	uint64_t n_written; /* packets that are in the file */
	uint32_t n_ifs;
	int error; /* 0 or -errno: nothing more is written */
};

struct pcapng_if {
	const char *name, *text; /* UTF-8; NULL: none */
	const char *filter;      /* pcap expression, or NULL */
	const uint8_t *mac;      /* 6 bytes, or NULL */
	uint32_t snaplen;        /* 0: no limit */
};

enum pcapng_direction { PCAPNG_UNKNOWN, PCAPNG_INBOUND, PCAPNG_OUTBOUND };

struct pcapng_packet {
	uint32_t interface;
	uint64_t time_ns; /* since 1970 */
	const uint8_t *data;
	uint32_t caplen, len;
	enum pcapng_direction direction;
	const char *comment; /* UTF-8, or NULL */
};

struct pcapng_stats {
	uint32_t interface;
	uint64_t time_ns, start_ns, end_ns;
	uint64_t received, accepted, lost, delivered;
};

/* 0 or -ENOMEM. */
int pcapng_init(struct pcapng *w, int fd);
void pcapng_deinit(struct pcapng *w);

/* Each returns 0 or the error that ended the file, which pcapng_flush() returns as well. */
int pcapng_section(struct pcapng *w, const char *application);
/* *ret_id: its number for packets. */
int pcapng_interface(struct pcapng *w, const struct pcapng_if *i, uint32_t *ret_id);
int pcapng_packet(struct pcapng *w, const struct pcapng_packet *p);
int pcapng_stats(struct pcapng *w, const struct pcapng_stats *s);
/* Writes what has gathered. After an error a regular file is cut back to its last whole block. */
int pcapng_flush(struct pcapng *w);
