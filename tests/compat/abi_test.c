/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sizes, offsets, constants and ioctl numbers of netmap's interface, 64 bit, as a program compiled
 * against netmap's own headers prints them. Compiles as C and as C++ (programs.py does the latter).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NETMAP_WITH_LIBS
#include <libnetmap.h>
#include <net/netmap.h>
#include <net/netmap_user.h>
#include <net/netmap_virt.h>

static int n_checked, n_wrong;

static void check(const char *what, unsigned long long is, unsigned long long should)
{
	n_checked++;
	if (is == should)
		return;
	n_wrong++;
	printf("%s is %llu (0x%llx), should be %llu (0x%llx)\n", what, is, is, should, should);
}

/* Value; size of a structure; offset and size of a member. */
#define V(_x, _should)  check(#_x, (unsigned long long)(_x), _should)
#define S(_type, _size) check("sizeof " #_type, sizeof(struct _type), _size)
#define M(_type, _member, _offset, _size)                                                          \
	do {                                                                                       \
		check("offset of " #_type "." #_member, offsetof(struct _type, _member), _offset); \
		check("size of " #_type "." #_member, sizeof(((struct _type *)0)->_member),        \
		      _size);                                                                      \
	} while (0)
/* Offset of a flexible array. */
#define F(_type, _member, _offset)                                                                 \
	check("offset of " #_type "." #_member, offsetof(struct _type, _member), _offset)

static void shared_memory(void)
{
	S(netmap_slot, 16);
	M(netmap_slot, buf_idx, 0, 4);
	M(netmap_slot, len, 4, 2);
	M(netmap_slot, flags, 6, 2);
	M(netmap_slot, ptr, 8, 8);

	S(netmap_ring, 256);
	V(__alignof__(struct netmap_ring), 128);
	M(netmap_ring, buf_ofs, 0, 8);
	M(netmap_ring, num_slots, 8, 4);
	M(netmap_ring, nr_buf_size, 12, 4);
	M(netmap_ring, ringid, 16, 2);
	M(netmap_ring, dir, 18, 2);
	M(netmap_ring, head, 20, 4);
	M(netmap_ring, cur, 24, 4);
	M(netmap_ring, tail, 28, 4);
	M(netmap_ring, flags, 32, 4);
	M(netmap_ring, ts, 40, 16);
	M(netmap_ring, offset_mask, 56, 8);
	M(netmap_ring, buf_align, 64, 8);
	M(netmap_ring, sem, 128, 128);
	F(netmap_ring, slot, 256);

	S(netmap_if, 56);
	V(__alignof__(struct netmap_if), 8);
	M(netmap_if, ni_name, 0, 16);
	M(netmap_if, ni_version, 16, 4);
	M(netmap_if, ni_flags, 20, 4);
	M(netmap_if, ni_tx_rings, 24, 4);
	M(netmap_if, ni_rx_rings, 28, 4);
	M(netmap_if, ni_bufs_head, 32, 4);
	M(netmap_if, ni_host_tx_rings, 36, 4);
	M(netmap_if, ni_host_rx_rings, 40, 4);
	M(netmap_if, ni_spare1, 44, 12);
	F(netmap_if, ring_ofs, 56);
}

static void requests(void)
{
	S(nmreq_option, 24);
	M(nmreq_option, nro_next, 0, 8);
	M(nmreq_option, nro_reqtype, 8, 4);
	M(nmreq_option, nro_status, 12, 4);
	M(nmreq_option, nro_size, 16, 8);

	S(nmreq_header, 88);
	M(nmreq_header, nr_version, 0, 2);
	M(nmreq_header, nr_reqtype, 2, 2);
	M(nmreq_header, nr_reserved, 4, 4);
	M(nmreq_header, nr_name, 8, 64);
	M(nmreq_header, nr_options, 72, 8);
	M(nmreq_header, nr_body, 80, 8);

	S(nmreq_register, 56);
	M(nmreq_register, nr_offset, 0, 8);
	M(nmreq_register, nr_memsize, 8, 8);
	M(nmreq_register, nr_tx_slots, 16, 4);
	M(nmreq_register, nr_rx_slots, 20, 4);
	M(nmreq_register, nr_tx_rings, 24, 2);
	M(nmreq_register, nr_rx_rings, 26, 2);
	M(nmreq_register, nr_host_tx_rings, 28, 2);
	M(nmreq_register, nr_host_rx_rings, 30, 2);
	M(nmreq_register, nr_mem_id, 32, 2);
	M(nmreq_register, nr_ringid, 34, 2);
	M(nmreq_register, nr_mode, 36, 4);
	M(nmreq_register, nr_extra_bufs, 40, 4);
	M(nmreq_register, nr_flags, 48, 8);

	S(nmreq_port_info_get, 32);
	M(nmreq_port_info_get, nr_memsize, 0, 8);
	M(nmreq_port_info_get, nr_tx_slots, 8, 4);
	M(nmreq_port_info_get, nr_rx_slots, 12, 4);
	M(nmreq_port_info_get, nr_tx_rings, 16, 2);
	M(nmreq_port_info_get, nr_rx_rings, 18, 2);
	M(nmreq_port_info_get, nr_host_tx_rings, 20, 2);
	M(nmreq_port_info_get, nr_host_rx_rings, 22, 2);
	M(nmreq_port_info_get, nr_mem_id, 24, 2);
	M(nmreq_port_info_get, pad, 26, 6);

	S(nmreq_port_hdr, 8);
	M(nmreq_port_hdr, nr_hdr_len, 0, 4);
	M(nmreq_port_hdr, pad1, 4, 4);

	S(nmreq_pools_info, 64);
	M(nmreq_pools_info, nr_memsize, 0, 8);
	M(nmreq_pools_info, nr_mem_id, 8, 2);
	M(nmreq_pools_info, pad1, 10, 6);
	M(nmreq_pools_info, nr_if_pool_offset, 16, 8);
	M(nmreq_pools_info, nr_if_pool_objtotal, 24, 4);
	M(nmreq_pools_info, nr_if_pool_objsize, 28, 4);
	M(nmreq_pools_info, nr_ring_pool_offset, 32, 8);
	M(nmreq_pools_info, nr_ring_pool_objtotal, 40, 4);
	M(nmreq_pools_info, nr_ring_pool_objsize, 44, 4);
	M(nmreq_pools_info, nr_buf_pool_offset, 48, 8);
	M(nmreq_pools_info, nr_buf_pool_objtotal, 56, 4);
	M(nmreq_pools_info, nr_buf_pool_objsize, 60, 4);
}

static void switch_requests(void)
{
	S(nmreq_vale_attach, 64);
	M(nmreq_vale_attach, reg, 0, 56);
	M(nmreq_vale_attach, port_index, 56, 4);
	M(nmreq_vale_attach, pad1, 60, 4);
	S(nmreq_vale_detach, 8);
	M(nmreq_vale_detach, port_index, 0, 4);
	M(nmreq_vale_detach, pad1, 4, 4);
	S(nmreq_vale_list, 8);
	M(nmreq_vale_list, nr_bridge_idx, 0, 2);
	M(nmreq_vale_list, pad1, 2, 2);
	M(nmreq_vale_list, nr_port_idx, 4, 4);
	S(nmreq_vale_newif, 16);
	M(nmreq_vale_newif, nr_tx_slots, 0, 4);
	M(nmreq_vale_newif, nr_rx_slots, 4, 4);
	M(nmreq_vale_newif, nr_tx_rings, 8, 2);
	M(nmreq_vale_newif, nr_rx_rings, 10, 2);
	M(nmreq_vale_newif, nr_mem_id, 12, 2);
	M(nmreq_vale_newif, pad1, 14, 2);
	S(nmreq_vale_polling, 16);
	M(nmreq_vale_polling, nr_mode, 0, 4);
	M(nmreq_vale_polling, nr_first_cpu_id, 4, 4);
	M(nmreq_vale_polling, nr_num_polling_cpus, 8, 4);
	M(nmreq_vale_polling, pad1, 12, 4);
}

static void options(void)
{
	S(nmreq_sync_kloop_start, 8);
	M(nmreq_sync_kloop_start, sleep_us, 0, 4);
	M(nmreq_sync_kloop_start, pad1, 4, 4);
	S(nmreq_opt_sync_kloop_eventfds, 24);
	M(nmreq_opt_sync_kloop_eventfds, nro_opt, 0, 24);
	F(nmreq_opt_sync_kloop_eventfds, eventfds, 24);
	V(sizeof(((struct nmreq_opt_sync_kloop_eventfds *)0)->eventfds[0]), 8);
	S(nmreq_opt_sync_kloop_mode, 32);
	M(nmreq_opt_sync_kloop_mode, nro_opt, 0, 24);
	M(nmreq_opt_sync_kloop_mode, mode, 24, 4);
	S(nmreq_opt_extmem, 96);
	M(nmreq_opt_extmem, nro_opt, 0, 24);
	M(nmreq_opt_extmem, nro_usrptr, 24, 8);
	M(nmreq_opt_extmem, nro_info, 32, 64);
	S(nmreq_opt_csb, 40);
	M(nmreq_opt_csb, nro_opt, 0, 24);
	M(nmreq_opt_csb, csb_atok, 24, 8);
	M(nmreq_opt_csb, csb_ktoa, 32, 8);
	S(nmreq_opt_offsets, 56);
	M(nmreq_opt_offsets, nro_opt, 0, 24);
	M(nmreq_opt_offsets, nro_max_offset, 24, 8);
	M(nmreq_opt_offsets, nro_initial_offset, 32, 8);
	M(nmreq_opt_offsets, nro_offset_bits, 40, 4);
	M(nmreq_opt_offsets, nro_tx_align, 44, 4);
	M(nmreq_opt_offsets, nro_min_gap, 48, 8);
	S(nm_csb_atok, 64);
	M(nm_csb_atok, head, 0, 4);
	M(nm_csb_atok, cur, 4, 4);
	M(nm_csb_atok, appl_need_kick, 8, 4);
	M(nm_csb_atok, sync_flags, 12, 4);
	M(nm_csb_atok, pad, 16, 48);
	S(nm_csb_ktoa, 64);
	M(nm_csb_ktoa, hwcur, 0, 4);
	M(nm_csb_ktoa, hwtail, 4, 4);
	M(nm_csb_ktoa, kern_need_kick, 8, 4);
	M(nm_csb_ktoa, pad, 12, 52);
}

static void older(void)
{
	S(nmreq, 60);
	V(__alignof__(struct nmreq), 4);
	M(nmreq, nr_name, 0, 16);
	M(nmreq, nr_version, 16, 4);
	M(nmreq, nr_offset, 20, 4);
	M(nmreq, nr_memsize, 24, 4);
	M(nmreq, nr_tx_slots, 28, 4);
	M(nmreq, nr_rx_slots, 32, 4);
	M(nmreq, nr_tx_rings, 36, 2);
	M(nmreq, nr_rx_rings, 38, 2);
	M(nmreq, nr_ringid, 40, 2);
	M(nmreq, nr_cmd, 42, 2);
	M(nmreq, nr_arg1, 44, 2);
	M(nmreq, nr_arg2, 46, 2);
	M(nmreq, nr_arg3, 48, 4);
	M(nmreq, nr_flags, 52, 4);
	M(nmreq, spare2, 56, 4);
	S(nm_ifreq, 272);
	M(nm_ifreq, nifr_name, 0, 16);
	M(nm_ifreq, data, 16, 256);

	S(nm_pkthdr, 56);
	M(nm_pkthdr, ts, 0, 16);
	M(nm_pkthdr, caplen, 16, 4);
	M(nm_pkthdr, len, 20, 4);
	M(nm_pkthdr, flags, 24, 8);
	M(nm_pkthdr, d, 32, 8);
	M(nm_pkthdr, slot, 40, 8);
	M(nm_pkthdr, buf, 48, 8);
	S(nm_stat, 12);
	M(nm_stat, ps_recv, 0, 4);
	M(nm_stat, ps_drop, 4, 4);
	M(nm_stat, ps_ifdrop, 8, 4);
}

static void descriptor(void)
{
	S(nm_desc, 760);
	M(nm_desc, self, 0, 8);
	M(nm_desc, fd, 8, 4);
	M(nm_desc, mem, 16, 8);
	M(nm_desc, memsize, 24, 8);
	M(nm_desc, done_mmap, 32, 4);
	M(nm_desc, nifp, 40, 8);
	M(nm_desc, first_tx_ring, 48, 2);
	M(nm_desc, last_tx_ring, 50, 2);
	M(nm_desc, cur_tx_ring, 52, 2);
	M(nm_desc, first_rx_ring, 54, 2);
	M(nm_desc, last_rx_ring, 56, 2);
	M(nm_desc, cur_rx_ring, 58, 2);
	M(nm_desc, req, 60, 60);
	M(nm_desc, hdr, 120, 56);
	M(nm_desc, some_ring, 176, 8);
	M(nm_desc, buf_start, 184, 8);
	M(nm_desc, buf_end, 192, 8);
	M(nm_desc, snaplen, 200, 4);
	M(nm_desc, promisc, 204, 4);
	M(nm_desc, to_ms, 208, 4);
	M(nm_desc, errbuf, 216, 8);
	M(nm_desc, if_flags, 224, 4);
	M(nm_desc, if_reqcap, 228, 4);
	M(nm_desc, if_curcap, 232, 4);
	M(nm_desc, st, 236, 12);
	M(nm_desc, msg, 248, 512);
}

static void library(void)
{
	S(nmport_d, 216);
	M(nmport_d, hdr, 0, 88);
	M(nmport_d, reg, 88, 56);
	M(nmport_d, mem, 144, 8);
	M(nmport_d, ctx, 152, 8);
	M(nmport_d, register_done, 160, 4);
	M(nmport_d, mmap_done, 164, 4);
	M(nmport_d, extmem, 168, 8);
	M(nmport_d, fd, 176, 4);
	M(nmport_d, nifp, 184, 8);
	M(nmport_d, first_tx_ring, 192, 2);
	M(nmport_d, last_tx_ring, 194, 2);
	M(nmport_d, first_rx_ring, 196, 2);
	M(nmport_d, last_rx_ring, 198, 2);
	M(nmport_d, cur_tx_ring, 200, 2);
	M(nmport_d, cur_rx_ring, 202, 2);
	M(nmport_d, clist, 208, 8);
	S(nmctx, 48);
	M(nmctx, verbose, 0, 4);
	M(nmctx, error, 8, 8);
	M(nmctx, malloc, 16, 8);
	M(nmctx, free, 24, 8);
	M(nmctx, lock, 32, 8);
	M(nmctx, mem_descs, 40, 8);
	S(nmem_d, 48);
	M(nmem_d, mem_id, 0, 2);
	M(nmem_d, refcount, 4, 4);
	M(nmem_d, mem, 8, 8);
	M(nmem_d, size, 16, 8);
	M(nmem_d, is_extmem, 24, 4);
	M(nmem_d, next, 32, 8);
	M(nmem_d, prev, 40, 8);
	S(nmreq_opt_key, 16);
	M(nmreq_opt_key, key, 0, 8);
	M(nmreq_opt_key, id, 8, 4);
	M(nmreq_opt_key, flags, 12, 4);
	S(nmreq_opt_parser, 304);
	V(__alignof__(struct nmreq_opt_parser), 16);
	M(nmreq_opt_parser, prefix, 0, 8);
	M(nmreq_opt_parser, parse, 8, 8);
	M(nmreq_opt_parser, default_key, 16, 4);
	M(nmreq_opt_parser, nr_keys, 20, 4);
	M(nmreq_opt_parser, flags, 24, 4);
	M(nmreq_opt_parser, next, 32, 8);
	M(nmreq_opt_parser, keys, 40, 256);
	S(nmreq_parse_ctx, 144);
	M(nmreq_parse_ctx, ctx, 0, 8);
	M(nmreq_parse_ctx, token, 8, 8);
	M(nmreq_parse_ctx, keys, 16, 128);
	V(NMREQ_OPT_MAXKEYS, 16);
	V(NMREQ_OPTK_ALLOWEMPTY, 1);
	V(NMREQ_OPTK_MUSTSET, 2);
	V(NMREQ_OPTK_DEFAULT, 4);
	V(NMREQ_OPTF_DISABLED, 1);
	V(NMREQ_OPTF_ALLOWEMPTY, 2);
}

static void numbers(void)
{
	V(NETMAP_API, 14);
	V(NETMAP_MIN_API, 14);
	V(NETMAP_MAX_API, 15);
	V(NM_CACHE_ALIGN, 128);
	V(NIOCGINFO, 0xc03c6991);
	V(NIOCREGIF, 0xc03c6992);
	V(NIOCTXSYNC, 0x6994);
	V(NIOCRXSYNC, 0x6995);
	V(NIOCCONFIG, 0xc1106996);
	V(NIOCCTRL, 0xc0586997);
	V(NM_IFRDATA_LEN, 256);
	V(NETMAP_REQ_MAXSIZE, 4096);
	V(NETMAP_REQ_IFNAMSIZ, 64);
	V(NETMAP_MAX_FRAGS, 64);
	V(NS_BUF_CHANGED, 1);
	V(NS_REPORT, 2);
	V(NS_FORWARD, 4);
	V(NS_NO_LEARN, 8);
	V(NS_INDIRECT, 0x10);
	V(NS_MOREFRAG, 0x20);
	V(NS_TXMON, 0x40);
	V(NS_PORT_SHIFT, 8);
	V(NS_PORT_MASK, 0xff00);
	V(NR_TIMESTAMP, 2);
	V(NR_FORWARD, 4);
	V(NI_PRIV_MEM, 1);
	V(NR_REG_DEFAULT, 0);
	V(NR_REG_ALL_NIC, 1);
	V(NR_REG_SW, 2);
	V(NR_REG_NIC_SW, 3);
	V(NR_REG_ONE_NIC, 4);
	V(NR_REG_PIPE_MASTER, 5);
	V(NR_REG_PIPE_SLAVE, 6);
	V(NR_REG_NULL, 7);
	V(NR_REG_ONE_SW, 8);
	V(NR_REG_MASK, 0xf);
	V(NR_MONITOR_TX, 0x100);
	V(NR_MONITOR_RX, 0x200);
	V(NR_ZCOPY_MON, 0x400);
	V(NR_EXCLUSIVE, 0x800);
	V(NR_RX_RINGS_ONLY, 0x2000);
	V(NR_TX_RINGS_ONLY, 0x4000);
	V(NR_ACCEPT_VNET_HDR, 0x8000);
	V(NR_DO_RX_POLL, 0x10000);
	V(NR_NO_TX_POLL, 0x20000);
	V(NETMAP_POLLING_MODE_SINGLE_CPU, 1);
	V(NETMAP_POLLING_MODE_MULTI_CPU, 2);
	V(NM_OPT_SYNC_KLOOP_DIRECT_TX, 1);
	V(NM_OPT_SYNC_KLOOP_DIRECT_RX, 2);
}

static void types_and_commands(void)
{
	V(NETMAP_REQ_REGISTER, 1);
	V(NETMAP_REQ_PORT_INFO_GET, 2);
	V(NETMAP_REQ_VALE_ATTACH, 3);
	V(NETMAP_REQ_VALE_DETACH, 4);
	V(NETMAP_REQ_VALE_LIST, 5);
	V(NETMAP_REQ_PORT_HDR_SET, 6);
	V(NETMAP_REQ_PORT_HDR_GET, 7);
	V(NETMAP_REQ_VALE_NEWIF, 8);
	V(NETMAP_REQ_VALE_DELIF, 9);
	V(NETMAP_REQ_VALE_POLLING_ENABLE, 10);
	V(NETMAP_REQ_VALE_POLLING_DISABLE, 11);
	V(NETMAP_REQ_POOLS_INFO_GET, 12);
	V(NETMAP_REQ_SYNC_KLOOP_START, 13);
	V(NETMAP_REQ_SYNC_KLOOP_STOP, 14);
	V(NETMAP_REQ_CSB_ENABLE, 15);
	V(NETMAP_REQ_OPT_EXTMEM, 1);
	V(NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS, 2);
	V(NETMAP_REQ_OPT_CSB, 3);
	V(NETMAP_REQ_OPT_SYNC_KLOOP_MODE, 4);
	V(NETMAP_REQ_OPT_OFFSETS, 5);
	V(NETMAP_REQ_OPT_MAX, 6);
	V(NETMAP_HW_RING, 0x4000);
	V(NETMAP_SW_RING, 0x2000);
	V(NETMAP_RING_MASK, 0x0fff);
	V(NETMAP_NO_TX_POLL, 0x1000);
	V(NETMAP_DO_RX_POLL, 0x8000);
	V(NETMAP_BDG_ATTACH, 1);
	V(NETMAP_BDG_DETACH, 2);
	V(NETMAP_BDG_REGOPS, 3);
	V(NETMAP_BDG_LIST, 4);
	V(NETMAP_BDG_VNET_HDR, 5);
	V(NETMAP_BDG_NEWIF, 6);
	V(NETMAP_BDG_DELIF, 7);
	V(NETMAP_PT_HOST_CREATE, 8);
	V(NETMAP_PT_HOST_DELETE, 9);
	V(NETMAP_BDG_POLLING_ON, 10);
	V(NETMAP_BDG_POLLING_OFF, 11);
	V(NETMAP_VNET_HDR_GET, 12);
	V(NETMAP_BDG_HOST, 1);
	V(NM_OPEN_NO_MMAP, 0x40000);
	V(NM_OPEN_IFNAME, 0x80000);
	V(NM_OPEN_ARG1, 0x100000);
	V(NM_OPEN_ARG2, 0x200000);
	V(NM_OPEN_ARG3, 0x400000);
	V(NM_OPEN_RING_CFG, 0x800000);
	V(NM_MORE_PKTS, 1);
	V(NM_ERRBUF_SIZE, 512);
	V(MAXERRMSG, 80);
}

int main(void)
{
	shared_memory();
	requests();
	switch_requests();
	options();
	older();
	descriptor();
	library();
	numbers();
	types_and_commands();
	printf("%d facts checked, %d wrong\n", n_checked, n_wrong);
	return n_wrong != 0;
}
