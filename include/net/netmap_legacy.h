/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The older requests of netmap, one structure for all: NIOCREGIF binds a descriptor to a port,
 * NIOCGINFO asks about one. New programs use NIOCCTRL of net/netmap.h, which includes this file.
 * nm_open() of net/netmap_user.h, hence libpcap and QEMU, still speaks this.
 */
#ifndef NET_NETMAP_LEGACY_H_
#define NET_NETMAP_LEGACY_H_

#include <stdint.h>
#include <sys/ioctl.h>

struct nmreq {
	char nr_name[16];     /* port, without "netmap:" */
	uint32_t nr_version;  /* NETMAP_API or more */
	uint32_t nr_offset;   /* out: bytes from the start of the mapping to netmap_if */
	uint32_t nr_memsize;  /* out: bytes to map; a region of 4 GiB or more is out of reach */
	uint32_t nr_tx_slots; /* in/out, per ring */
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings; /* in/out */
	uint16_t nr_rx_rings;
	uint16_t nr_ringid; /* ring number and NETMAP_* flags below */
	uint16_t nr_cmd;    /* 0, or NETMAP_BDG_* and so on */
	uint16_t nr_arg1;   /* argument of nr_cmd */
	uint16_t nr_arg2;   /* in/out: memory id */
	uint32_t nr_arg3;   /* in/out: extra buffers */
	uint32_t nr_flags;  /* NR_REG_* in the low four bits, flags of nmreq_register above */
	uint32_t spare2[1];
};

#define NIOCGINFO _IOWR('i', 145, struct nmreq)
#define NIOCREGIF _IOWR('i', 146, struct nmreq)

/* nr_ringid. The first two choose rings only when nr_flags names no mode. */
#define NETMAP_HW_RING    0x4000 /* one ring pair of the device */
#define NETMAP_SW_RING    0x2000 /* the host rings */
#define NETMAP_RING_MASK  0x0fff /* the number */
#define NETMAP_NO_TX_POLL 0x1000 /* as NR_NO_TX_POLL */
#define NETMAP_DO_RX_POLL 0x8000 /* as NR_DO_RX_POLL */

/* nr_cmd */
#define NETMAP_BDG_ATTACH      1 /* NIOCREGIF: interface into a switch */
#define NETMAP_BDG_DETACH      2
#define NETMAP_BDG_REGOPS      3 /* inside the kernel only */
#define NETMAP_BDG_LIST        4 /* NIOCGINFO: walk through switches and ports */
#define NETMAP_BDG_VNET_HDR    5 /* NIOCREGIF: nr_arg1 = bytes of virtio-net header */
#define NETMAP_BDG_NEWIF       6 /* persistent port */
#define NETMAP_BDG_DELIF       7
#define NETMAP_PT_HOST_CREATE  8
#define NETMAP_PT_HOST_DELETE  9
#define NETMAP_BDG_POLLING_ON  10
#define NETMAP_BDG_POLLING_OFF 11
#define NETMAP_VNET_HDR_GET    12

#define NETMAP_BDG_HOST 1 /* nr_arg1 with NETMAP_BDG_ATTACH: the host rings, too */

#endif
