/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between the worker and a port driver. A driver moves frames between a device and
 * buffers; it knows nothing of bridges, and no driver includes another.
 *
 * Threads: open() and close() run in the main thread while no worker uses the port (they may
 * take milliseconds, load BPF, talk netlink). rx, tx, flush, arm run in the one worker that the
 * port belongs to. stats() runs in that worker too.
 *
 * Buffers: rx() takes buffers from port->bufs and hands each over with one reference. tx() is given
 * one reference per list entry; for the n it takes it puts them back when the bytes are
 * on their way (at once for drivers that copy, on completion for AF_XDP). What it does not take
 * stays with the caller. A frame in tx() may be shared with other ports: its descriptor and bytes
 * are read-only.
 *
 * Time: nothing blocks. Errors of single frames are counted drops with a reason (port->drops).
 * A device that goes away makes rx return 0 and tx refuse with DROP_TX_DOWN until close().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"
#include "core/drop.h"
#include "core/offload.h"
#include "mem/bufpool.h"

struct port;
struct ring_sink;

/* What a driver is asked to open. Strings live until open() returns. */
struct port_config {
	const char *name;      /* device name; for pcap: the port's name */
	const char *arg;       /* driver's own: file of pcap; NULL otherwise */
	struct bufcache *bufs; /* of the calling thread; port->bufs is the worker's while it runs */
	struct bufpool *pool;  /* for UMEM registration */
	struct port_env *env;  /* what ports of a daemon share: outbox, BPF objects; see below */
	struct ring_sink *sink; /* ring: who takes frames; NULL otherwise */
	uint64_t mac;           /* tap: address to give to a created device, 0 = keep */
	uint32_t mtu;           /* tap: MTU to give to a created device, 0 = keep */
	bool create;            /* tap: create the device if it is not there */
	bool persist;           /* tap: the device survives the daemon */
	bool host;              /* this is the bridge's own interface */
};

struct port_stats {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_calls, tx_calls; /* system calls on each side */
	uint64_t wakeups;            /* arm() found work or the fd became readable */
	struct offload_counters offload;
};

/* Common head of every driver's port object. */
struct port {
	const struct port_driver *driver;
	struct bufcache *bufs;
	uint32_t caps;    /* enum offload_caps */
	int fd;           /* readable (level) when rx() has work; -1 = poll by rx() only */
	uint32_t ifindex; /* 0 when there is no device */
	char name[16];
	char mode[24];              /* how it runs, for people: "ring v2", "native", "zero-copy" */
	struct drop_counters drops; /* driver's own drops */
	struct drop_log *drop_log;  /* of the bridge that it is a port of; NULL: none */
	uint32_t drop_port;         /* what it is called there */
	struct port_stats stats;
};

/* Counts a drop of the driver's own. caplen bytes of the frame are still there. */
void port_drop(struct port *p, enum drop_reason r, const uint8_t *data, uint32_t caplen,
	       uint32_t len);
void port_drop_frame(struct port *p, enum drop_reason r, const struct frame *f);

struct port_driver {
	const char *name;
	bool alone; /* what rx() appends is as batch.alone says: buffers fresh from the pool */
	/*
	 * Opens the device. 0, or -errno with *ret_why a sentence fragment for people ("needs
	 * CAP_NET_RAW"), static or valid until the next call. Leaves nothing behind on failure.
	 */
	int (*open)(const struct port_config *cfg, struct port **ret, const char **ret_why);
	/* Undoes everything that open() did to the device and frees the port. Buffers go home. */
	void (*close)(struct port *p);
	/* Appends up to BATCH_MAX - b->n frames; returns how many. */
	uint32_t (*rx)(struct port *p, struct batch *b);
	/*
	 * Takes frames in order from the front and returns how many; all fit p->caps (the worker
	 * saw to it). A frame that can never be sent counts as taken: dropped with a reason.
	 */
	uint32_t (*tx)(struct port *p, struct frame *const *frames, uint32_t n);
	/* End of a round: one system call for everything that tx() queued. NULL if not needed. */
	void (*flush)(struct port *p);
	/*
	 * Before sleeping: make the fd wake us. True when there is work already (do not sleep).
	 * NULL: the fd is always armed.
	 */
	bool (*arm)(struct port *p);
	/* Brings p->stats and p->drops up to date with what the kernel counts. NULL: they are. */
	void (*update_stats)(struct port *p);
};

/*
 * Things that ports of one daemon share, made at its start: port/env.c. The outbox is the helper
 * device through which tagged frames of full size leave (mechanisms: AF_PACKET refuses them on an
 * MTU-1500 device): one large-MTU device per network namespace, frames marked with the port's
 * ifindex, a tc egress program redirects them.
 */
struct port_env;
/* How the outbox is called, with a number behind it. */
#define PORT_ENV_OUTBOX "vdo-"
/* And trunks: port/trunk.h. */
#define PORT_ENV_TRUNK "vdt-"
/* run_dir: for state that outlives a crash (what to restore). 0 or -errno. */
int port_env_new(const char *run_dir, struct port_env **ret, const char **ret_why);
struct port_env *port_env_free(struct port_env *e);
/* Restores devices that a daemon that died left changed (read from run_dir). Start-up only. */
void port_env_recover(struct port_env *e);

extern const struct port_driver port_driver_mem, port_driver_pcap, port_driver_packet,
	port_driver_tap, port_driver_xdp, port_driver_ring;

/* Driver by name, NULL if there is none. */
const struct port_driver *port_driver_find(const char *name);
/*
 * The driver that suits a device: tap for TUN/TAP that we own, packet for virtual devices, xdp for
 * NICs whose driver has native XDP and where nothing would be lost. *ret_reason says why.
 */
const struct port_driver *port_driver_auto(const char *ifname, const char **ret_reason);
