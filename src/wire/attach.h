/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What libnetmap and the daemon say to each other on netmap.sock, an AF_UNIX SOCK_SEQPACKET socket.
 * Both are on one machine: native byte order, fixed-size structs, every field checked on arrival.
 *
 * The connection is the netmap descriptor that the application sees; processes may share it (dup,
 * fork, SCM_RIGHTS). Two kinds of packets travel on it:
 *
 * - doorbells, one byte (ATTACH_DOORBELL), either way: "look at the rings". They carry no meaning
 *   beyond that and may be lost when the socket buffer is full of them.
 * - requests, from the library: struct attach_request, body, options, and with SCM_RIGHTS one end
 *   of a socket pair, on which the reply comes. So the replies of processes that share the
 *   descriptor never mix, and a reader of the descriptor sees doorbells only.
 *
 * The reply is struct attach_reply, body, options, ring table, in one packet, with up to two
 * descriptors: the region's memory object and the endpoint's shadow object (mem/shadow.h).
 *
 * A request is one NIOCCTRL (netmap(4)): legacy ioctls are translated by the library first. The
 * kernel tells the daemon which process sent it; who sends one on a registered connection shares
 * its buffers from then on.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ATTACH_DOORBELL    0x44
#define ATTACH_MAGIC       0x766e6d31u /* "vnm1" */
#define ATTACH_NAME_SIZE   64
#define ATTACH_BODY_MAX    64u /* largest request body: struct nmreq_pools_info, nmreq_vale_attach */
#define ATTACH_OPTIONS_MAX 4096u /* bytes of all options, NETMAP_REQ_MAXSIZE */
#define ATTACH_RINGS_MAX   512u  /* rings that one descriptor can bind */
/*
 * nr_reqtype of no ioctl: the answer to the REGISTER that this connection had, once more, with the
 * descriptors and struct nmreq_register as body, for a process that got the connection from another
 * (SCM_RIGHTS, exec). No request body. ENXIO: not registered.
 */
#define ATTACH_STATE 0xffffu
#define ATTACH_PACKET_MAX                                                                          \
	(sizeof(struct attach_reply) + ATTACH_BODY_MAX + ATTACH_OPTIONS_MAX +                      \
	 ATTACH_RINGS_MAX * sizeof(struct attach_ring))

struct attach_request {
	uint32_t magic;
	uint16_t nr_version;   /* of the nmreq_header */
	uint16_t nr_reqtype;   /* NETMAP_REQ_* */
	uint32_t body_size;    /* bytes that follow: at most ATTACH_BODY_MAX */
	uint32_t options_size; /* then these: struct attach_option and its bytes, repeated */
	uint64_t netns;        /* inode of the caller's network namespace; 0 = unknown */
	char program[16];      /* short name of the caller, for people; the pid is SO_PEERCRED's */
	char name[ATTACH_NAME_SIZE]; /* nr_name, NUL-terminated */
};

/* One option; its bytes behind the struct nmreq_option header follow, padded to 8. */
struct attach_option {
	uint32_t reqtype; /* NETMAP_REQ_OPT_* */
	uint32_t status;  /* nro_status; in replies */
	uint32_t size;    /* bytes that follow */
	uint32_t pad;
};

struct attach_reply {
	uint32_t magic;
	int32_t error;         /* 0 or a positive errno for the ioctl */
	uint32_t body_size;    /* 0 when error is set: bodies are copied back on success only */
	uint32_t options_size; /* always, with statuses */
	/* REGISTER only, else 0: */
	uint32_t n_rings;  /* struct attach_ring that follow: the rings bound to the descriptor */
	uint32_t n_shadow; /* rings in the shadow object */
	uint64_t region_token; /* same token, same memory: map it once in a process */
	uint64_t region_size;  /* bytes to map: at least nr_memsize */
	uint64_t nifp_ofs;     /* of the struct netmap_if; nr_offset says the same */
};

struct attach_ring {
	uint64_t ofs;    /* of the struct netmap_ring in the region */
	uint32_t shadow; /* index in the shadow object */
	uint32_t n_slots;
	uint16_t ring_id; /* netmap_ring.ringid */
	uint8_t tx;       /* 1: TX ring */
	uint8_t host;     /* 1: host ring */
	uint32_t buf_size;
};

/* ---- the daemon's side: wire/attach.c ---- */

#define ATTACH_OPTIONS_N (ATTACH_OPTIONS_MAX / sizeof(struct attach_option))

struct attach_opt {
	uint32_t reqtype, status, size;
	const uint8_t *data;   /* in the packet */
	const uint8_t *answer; /* what the reply has instead, as long; NULL: data */
};

/* A request, checked. Its pointers are valid as long as the packet. */
struct attach_msg {
	struct attach_request h;                   /* name and program end with NUL */
	_Alignas(8) uint8_t body[ATTACH_BODY_MAX]; /* zeros behind body_size */
	uint32_t n_options;
	struct attach_opt options[ATTACH_OPTIONS_N];
};

/* 0, or -EPROTO when the packet is no request: lengths, magic, names without an end. Any thread. */
int attach_parse(const void *packet, size_t len, struct attach_msg *ret);

/*
 * Writes header, body, options with their statuses, and rings into buf, which has room for
 * ATTACH_PACKET_MAX bytes. h->magic and sizes are filled in here, but for body_size and n_rings.
 * Returns the length.
 */
size_t attach_build(uint8_t *buf, struct attach_reply *h, const void *body,
		    const struct attach_msg *m, const struct attach_ring *rings);
