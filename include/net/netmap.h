/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The netmap interface, version 14: what a program and the device share. Packet rings lie in memory
 * that both have mapped; requests go through ioctl() on a descriptor of "/dev/netmap".
 *
 * This text is viaduct's own; names, numbers and layouts are those of netmap, so that programs
 * compile unchanged and programs compiled elsewhere keep working. tests/compat asserts each of
 * them.
 *
 * In order: slots, rings and interfaces (shared memory), then requests of NIOCCTRL, then their
 * options. The older requests are in net/netmap_legacy.h, access macros in net/netmap_user.h.
 */
#ifndef NET_NETMAP_H_
#define NET_NETMAP_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>

#define NETMAP_API     14 /* what a program puts in nr_version */
#define NETMAP_MIN_API 14 /* versions that NIOCCTRL accepts */
#define NETMAP_MAX_API 15

/* Members that different CPUs write are kept this far apart, in bytes. */
#define NM_CACHE_ALIGN 128

/*
 * Slots. A slot names a buffer by its index. The slots from head up to, but without, tail belong to
 * the program, the others to the device. Only the owner may write a slot or its buffer.
 */
struct netmap_slot {
	uint32_t buf_idx; /* buffer, from 2 (0 and 1 are reserved) */
	uint16_t len;     /* bytes of the frame in this buffer */
	uint16_t flags;   /* NS_* */
	uint64_t ptr;     /* NS_INDIRECT: address of the data; with offsets: offset_mask's bits */
};

#define NS_BUF_CHANGED 0x0001 /* program: buf_idx is another than the device put there */
#define NS_REPORT      0x0002 /* program, tx: give this slot back as soon as it is sent */
#define NS_FORWARD     0x0004 /* program, rx: on release pass it on; needs NR_FORWARD */
#define NS_NO_LEARN    0x0008 /* program, tx to a switch: do not learn the source */
#define NS_INDIRECT    0x0010 /* program, tx to a switch: the data lies at ptr */
#define NS_MOREFRAG    0x0020 /* the frame goes on in the next slot */
#define NS_TXMON       0x0040 /* device, rx of a monitor: the frame was sent, not received */

/* Upper byte of flags: on rx from a switch the number of slots of the frame. */
#define NS_PORT_SHIFT 8
#define NS_PORT_MASK  (0xff << NS_PORT_SHIFT)
#define NS_RFRAGS(_s) (((_s)->flags >> NS_PORT_SHIFT) & 0xff)

/* Most slots that one frame may take. */
#define NETMAP_MAX_FRAGS 64

/*
 * A ring, followed by its slots. head, cur and tail are slot numbers, modulo num_slots. The device
 * reads head and cur, and writes tail, only during a sync: NIOCTXSYNC, NIOCRXSYNC or poll() on the
 * descriptor. Between two syncs nothing changes in the program's part.
 */
struct netmap_ring {
	const int64_t buf_ofs;      /* bytes from this structure to buffer 0 */
	const uint32_t num_slots;   /* of slot[] */
	const uint32_t nr_buf_size; /* bytes from one buffer to the next */
	const uint16_t ringid;      /* in its direction; host rings after those of the device */
	const uint16_t dir;         /* 0 = tx, 1 = rx */
	uint32_t head;              /* program: first slot that it owns */
	uint32_t cur;               /* program: wake me when slots after this one arrive */
	uint32_t tail;              /* device: first slot that it owns; for the program read-only */
	uint32_t flags;             /* program: NR_TIMESTAMP, NR_FORWARD */
	struct timeval ts;          /* device: wall clock of the last rx sync */
	const uint64_t offset_mask; /* bits of slot.ptr that are an offset into the buffer */
	const uint64_t buf_align;   /* bytes; what a tx offset must be a multiple of */
	/* Free for the program; the device never touches it. */
	uint8_t sem[128] __attribute__((aligned(NM_CACHE_ALIGN)));
	__extension__ struct netmap_slot slot[];
};

#define NR_TIMESTAMP 0x0002 /* set ts at each rx sync (done in any case here) */
#define NR_FORWARD   0x0004 /* released slots with NS_FORWARD go on to the other side */

/*
 * A registered port, one per descriptor. ring_ofs[] has the distance in bytes from this structure
 * to each ring: tx, host tx, rx, host rx. 0 = not bound to this descriptor. There is at least one
 * entry for the host in each direction, even for ports without host rings.
 */
struct netmap_if {
	char ni_name[16];           /* of the port, cut to fit */
	const uint32_t ni_version;  /* 0 */
	const uint32_t ni_flags;    /* NI_* */
	const uint32_t ni_tx_rings; /* without host rings */
	const uint32_t ni_rx_rings;
	uint32_t ni_bufs_head; /* first extra buffer, 0 = none; the list goes on in the first
				  four bytes of each buffer and is freed by close() */
	const uint32_t ni_host_tx_rings; /* at least 1 */
	const uint32_t ni_host_rx_rings; /* at least 1 */
	uint32_t ni_spare1[3];
	__extension__ const ssize_t ring_ofs[];
};

#define NI_PRIV_MEM 0x1 /* the port's memory is not the common region */

/*
 * Requests: ioctl(fd, NIOCCTRL, struct nmreq_header *). Pointers travel as uint64_t. Results come
 * back in the body, if the request succeeds. Errors (errno): EINVAL version, type, name, mode, ring
 * or memory id; EMSGSIZE body and options above NETMAP_REQ_MAXSIZE; ENXIO no such interface; EBUSY
 * ring or port in use; ENOMEM region full; EOPNOTSUPP option or request not served; EFAULT.
 */
#define NETMAP_REQ_IFNAMSIZ 64   /* of nr_name, with its end */
#define NETMAP_REQ_MAXSIZE  4096 /* bytes of body and options */

struct nmreq_header {
	uint16_t nr_version;               /* NETMAP_API */
	uint16_t nr_reqtype;               /* NETMAP_REQ_* */
	uint32_t nr_reserved;              /* 0 */
	char nr_name[NETMAP_REQ_IFNAMSIZ]; /* of the port, without "netmap:" */
	uint64_t nr_options;               /* first struct nmreq_option, 0 = none */
	uint64_t nr_body;                  /* structure of the type, 0 where it has none */
};

#define NIOCCTRL   _IOWR('i', 151, struct nmreq_header)
#define NIOCTXSYNC _IO('i', 148) /* hand over what was sent, take back what is done */
#define NIOCRXSYNC _IO('i', 149) /* release what was read, take in what came */

enum {
	NETMAP_REQ_REGISTER = 1,         /* struct nmreq_register: bind this descriptor to a port */
	NETMAP_REQ_PORT_INFO_GET,        /* struct nmreq_port_info_get */
	NETMAP_REQ_VALE_ATTACH,          /* struct nmreq_vale_attach: interface into a switch */
	NETMAP_REQ_VALE_DETACH,          /* struct nmreq_vale_detach */
	NETMAP_REQ_VALE_LIST,            /* struct nmreq_vale_list */
	NETMAP_REQ_PORT_HDR_SET,         /* struct nmreq_port_hdr */
	NETMAP_REQ_PORT_HDR_GET,         /* struct nmreq_port_hdr */
	NETMAP_REQ_VALE_NEWIF,           /* struct nmreq_vale_newif: persistent port */
	NETMAP_REQ_VALE_DELIF,           /* no body */
	NETMAP_REQ_VALE_POLLING_ENABLE,  /* struct nmreq_vale_polling */
	NETMAP_REQ_VALE_POLLING_DISABLE, /* struct nmreq_vale_polling */
	NETMAP_REQ_POOLS_INFO_GET,       /* struct nmreq_pools_info */
	NETMAP_REQ_SYNC_KLOOP_START,     /* struct nmreq_sync_kloop_start */
	NETMAP_REQ_SYNC_KLOOP_STOP,      /* no body */
	NETMAP_REQ_CSB_ENABLE,           /* no body, option CSB */
};

/* NETMAP_REQ_REGISTER. Values marked "out" are written when it succeeds; "in/out" are wishes. */
struct nmreq_register {
	uint64_t nr_offset;   /* out: bytes from the start of the mapping to netmap_if */
	uint64_t nr_memsize;  /* out: bytes to map */
	uint32_t nr_tx_slots; /* in/out: per ring */
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings; /* in/out */
	uint16_t nr_rx_rings;
	uint16_t nr_host_tx_rings; /* in/out; counts for the first program that opens the port */
	uint16_t nr_host_rx_rings;
	uint16_t nr_mem_id;     /* in/out: region; 0 = the port's own choice */
	uint16_t nr_ringid;     /* for NR_REG_ONE_NIC and NR_REG_ONE_SW */
	uint32_t nr_mode;       /* NR_REG_* */
	uint32_t nr_extra_bufs; /* in/out: fewer may be granted; list in ni_bufs_head */
	uint64_t nr_flags;      /* flags below */
};

/* nr_mode: which rings are bound to the descriptor. */
enum {
	NR_REG_DEFAULT = 0,     /* older interface only */
	NR_REG_ALL_NIC = 1,     /* all rings of the device */
	NR_REG_SW = 2,          /* all host rings */
	NR_REG_NIC_SW = 3,      /* both */
	NR_REG_ONE_NIC = 4,     /* pair nr_ringid of the device */
	NR_REG_PIPE_MASTER = 5, /* older interface only: end "{" of pipe nr_ringid */
	NR_REG_PIPE_SLAVE = 6,  /* older interface only: end "}" */
	NR_REG_NULL = 7,        /* no port: a region and rings that lead nowhere */
	NR_REG_ONE_SW = 8,      /* host ring pair nr_ringid */
};
#define NR_REG_MASK 0xf /* the mode in nr_flags of the older interface */

/* nr_flags */
#define NR_MONITOR_TX      0x100 /* watch what others send on the port */
#define NR_MONITOR_RX      0x200 /* watch what others receive */
#define NR_ZCOPY_MON       0x400 /* monitor by swapping buffers, both directions */
#define NR_EXCLUSIVE       0x800 /* nobody else may have these rings */
#define NR_RX_RINGS_ONLY   0x2000
#define NR_TX_RINGS_ONLY   0x4000
#define NR_ACCEPT_VNET_HDR 0x8000  /* the program copes with virtio-net headers */
#define NR_DO_RX_POLL      0x10000 /* accepted, without effect */
#define NR_NO_TX_POLL      0x20000 /* poll() sends only if POLLOUT is asked for */

/* NETMAP_REQ_PORT_INFO_GET: what registering would find. All out, but nr_mem_id in/out. */
struct nmreq_port_info_get {
	uint64_t nr_memsize;  /* bytes */
	uint32_t nr_tx_slots; /* per ring */
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_host_tx_rings;
	uint16_t nr_host_rx_rings;
	uint16_t nr_mem_id;
	uint16_t pad[3];
};

/* NETMAP_REQ_VALE_ATTACH: nr_name is "valeSWITCH:INTERFACE". */
struct nmreq_vale_attach {
	struct nmreq_register reg; /* nr_mode ALL_NIC or NIC_SW */
	uint32_t port_index;       /* out */
	uint32_t pad1;
};

struct nmreq_vale_detach {
	uint32_t port_index; /* out */
	uint32_t pad1;
};

/* NETMAP_REQ_VALE_LIST: with an empty name the next port from here on; ENOENT after the last. */
struct nmreq_vale_list {
	uint16_t nr_bridge_idx; /* in/out */
	uint16_t pad1;
	uint32_t nr_port_idx; /* in/out */
};

/* NETMAP_REQ_PORT_HDR_SET and _GET: bytes of virtio-net header before each frame: 0, 10, 12. */
struct nmreq_port_hdr {
	uint32_t nr_hdr_len;
	uint32_t pad1;
};

/* NETMAP_REQ_VALE_NEWIF: 0 = default. */
struct nmreq_vale_newif {
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_mem_id;
	uint16_t pad1;
};

/* NETMAP_REQ_VALE_POLLING_ENABLE and _DISABLE */
struct nmreq_vale_polling {
	uint32_t nr_mode; /* NETMAP_POLLING_MODE_* */
	uint32_t nr_first_cpu_id;
	uint32_t nr_num_polling_cpus;
	uint32_t pad1;
};
#define NETMAP_POLLING_MODE_SINGLE_CPU 1
#define NETMAP_POLLING_MODE_MULTI_CPU  2

/* NETMAP_REQ_POOLS_INFO_GET: where the pools of a region are, and how large. All out. */
struct nmreq_pools_info {
	uint64_t nr_memsize; /* bytes of the region */
	uint16_t nr_mem_id;  /* in/out */
	uint16_t pad1[3];
	uint64_t nr_if_pool_offset; /* bytes from the start of the region */
	uint32_t nr_if_pool_objtotal;
	uint32_t nr_if_pool_objsize; /* bytes */
	uint64_t nr_ring_pool_offset;
	uint32_t nr_ring_pool_objtotal;
	uint32_t nr_ring_pool_objsize;
	uint64_t nr_buf_pool_offset;
	uint32_t nr_buf_pool_objtotal;
	uint32_t nr_buf_pool_objsize;
};

/* NETMAP_REQ_SYNC_KLOOP_START: the calling thread syncs for the program until told to stop. */
struct nmreq_sync_kloop_start {
	uint32_t sleep_us; /* pause between two rounds, at most 1,000,000 */
	uint32_t pad1;
};

/*
 * Options: a list from nr_options. nro_status comes back for each of them, whether the request
 * succeeded or not: 0, or an errno; EOPNOTSUPP if nothing looked at it.
 */
struct nmreq_option {
	uint64_t nro_next;    /* next struct nmreq_option, 0 = last */
	uint32_t nro_reqtype; /* NETMAP_REQ_OPT_* */
	uint32_t nro_status;  /* out */
	uint64_t nro_size;    /* bytes with what follows, for options without a fixed size */
};

enum {
	NETMAP_REQ_OPT_EXTMEM = 1,          /* with REGISTER */
	NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS, /* with SYNC_KLOOP_START */
	NETMAP_REQ_OPT_CSB,                 /* with REGISTER and CSB_ENABLE */
	NETMAP_REQ_OPT_SYNC_KLOOP_MODE,     /* with SYNC_KLOOP_START */
	NETMAP_REQ_OPT_OFFSETS,             /* with REGISTER */
	NETMAP_REQ_OPT_MAX,                 /* one more than the last */
};

/* Descriptors to wait on, per ring. */
struct nmreq_opt_sync_kloop_eventfds {
	struct nmreq_option nro_opt;
	__extension__ struct {
		int32_t ioeventfd; /* program to device */
		int32_t irqfd;     /* device to program */
	} eventfds[];
};

struct nmreq_opt_sync_kloop_mode {
	struct nmreq_option nro_opt;
	uint32_t mode; /* NM_OPT_SYNC_KLOOP_DIRECT_* */
};
#define NM_OPT_SYNC_KLOOP_DIRECT_TX 1
#define NM_OPT_SYNC_KLOOP_DIRECT_RX 2

/* Memory of the program's instead of a region of the device's. */
struct nmreq_opt_extmem {
	struct nmreq_option nro_opt;
	uint64_t nro_usrptr;              /* page-aligned address */
	struct nmreq_pools_info nro_info; /* nr_memsize in; counts and sizes in/out, 0 = default */
};

/* Indexes in memory of the program's: arrays with one element per ring, tx rings first. */
struct nmreq_opt_csb {
	struct nmreq_option nro_opt;
	uint64_t csb_atok; /* struct nm_csb_atok[] */
	uint64_t csb_ktoa; /* struct nm_csb_ktoa[] */
};

/* Frames that start somewhere inside their buffers. Offsets and gaps in bytes. */
struct nmreq_opt_offsets {
	struct nmreq_option nro_opt;
	uint64_t nro_max_offset;     /* largest that will be used */
	uint64_t nro_initial_offset; /* in slot.ptr at the start */
	uint32_t nro_offset_bits;    /* in/out: low bits of slot.ptr that hold it, 0 = all */
	uint32_t nro_tx_align;       /* out: what a tx offset must be a multiple of */
	uint64_t nro_min_gap;        /* room after the start of a frame that is always there */
};

/* Program to device, one per ring. */
struct nm_csb_atok {
	uint32_t head; /* as in the ring */
	uint32_t cur;
	uint32_t appl_need_kick; /* 1 = wake me */
	uint32_t sync_flags;
	uint32_t pad[12];
};

/* Device to program, one per ring. */
struct nm_csb_ktoa {
	uint32_t hwcur;          /* first slot that the device has not looked at */
	uint32_t hwtail;         /* as tail in the ring */
	uint32_t kern_need_kick; /* 1 = wake me */
	uint32_t pad[13];
};

/*
 * Publishes indexes through a struct nm_csb_atok. The device may read between the two stores: a cur
 * that is behind head never shows, because cur goes first. Any thread that owns the ring.
 */
static inline void nm_sync_kloop_appl_write(struct nm_csb_atok *atok, uint32_t cur, uint32_t head)
{
	__atomic_store_n(&atok->cur, cur, __ATOMIC_RELEASE);
	__atomic_store_n(&atok->head, head, __ATOMIC_RELEASE);
}

/* Takes in what the device published; slots before *hwtail may be read afterwards. */
static inline void nm_sync_kloop_appl_read(struct nm_csb_ktoa *ktoa, uint32_t *hwtail,
					   uint32_t *hwcur)
{
	*hwtail = __atomic_load_n(&ktoa->hwtail, __ATOMIC_ACQUIRE);
	*hwcur = __atomic_load_n(&ktoa->hwcur, __ATOMIC_ACQUIRE);
}

/* NIOCCONFIG: private words to a module that replaces a switch's logic. */
#define NM_IFRDATA_LEN 256
struct nm_ifreq {
	char nifr_name[16];
	char data[NM_IFRDATA_LEN];
};
#define NIOCCONFIG _IOWR('i', 150, struct nm_ifreq)

#include <net/netmap_legacy.h>

#endif
