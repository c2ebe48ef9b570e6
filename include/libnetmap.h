/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libnetmap: netmap ports by name. Link with -lnetmap.
 *
 * Names:
 *
 *	netmap:NAME[RINGS][@ID][/FLAGS][OPTIONS]	a network interface, or a bridge
 *	vale[SWITCH]:PORT[...]				a port of a switch
 *	netmap:NAME{ID and netmap:NAME}ID		the two ends of a pipe
 *
 *	RINGS	nothing: all of the device; ^ all host rings; * both; -N pair N of the device;
 *		^N host ring pair N
 *	@ID	memory region, from 1
 *	FLAGS	x exclusive, R only rx, T only tx, r and t monitor what is received and sent,
 *		z monitor without copies
 *	OPTIONS	@share=PORT			the memory region of another port
 *		@conf:KEY=N,KEY=N		rings slots host-rings, each also with tx- and rx-
 *						(host-tx-rings), as wishes
 *		@extmem=FILE			the file's pages as memory region; also
 *		@extmem:file=FILE,KEY=N		if-num if-size ring-num ring-size buf-num buf-size
 *		@offset=N, @offset:initial=N,bits=N	frames start N bytes into their buffers;
 *only after nmport_enable_option("offset")
 *
 * A dash in NAME belongs to the name if the text before it is no interface and a longer one is:
 * "netmap:br-lan", "netmap:br-lan-0".
 *
 * Unless said otherwise functions return 0, or a pointer; and -1, or NULL, with errno set and one
 * sentence given to the context's error callback (stderr by default). Functions on one port are for
 * one thread at a time; different ports may be used by different threads.
 */
#ifndef LIBNETMAP_H_
#define LIBNETMAP_H_

#include <net/netmap.h>
#include <net/netmap_user.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct nmctx;
struct nmem_d;
struct nmport_cleanup_d;

/*
 * A port. Programs read hdr, reg, fd, nifp, mem and the ring numbers, and may change reg between
 * nmport_prepare() and nmport_open_desc(). From nmport_new() or nmport_prepare(), never embedded.
 */
struct nmport_d {
	struct nmreq_header hdr;   /* the request; nr_name is the port's name */
	struct nmreq_register reg; /* its body; after nmport_register() as the device answered */
	struct nmem_d *mem;        /* shared by all ports of a region: compare to know */
	struct nmctx *ctx;         /* borrowed */
	int register_done;         /* 1 = fd is registered */
	int mmap_done;             /* 1 = mem, nifp and the rings are there */
	struct nmreq_opt_extmem *extmem; /* option, or NULL */
	int fd;                          /* for poll() and the syncs, -1 = closed */
	struct netmap_if *nifp;
	/* Indexes for NETMAP_TXRING() and NETMAP_RXRING(): those that are bound. */
	uint16_t first_tx_ring; /* none bound: the number of rings, and last is one less */
	uint16_t last_tx_ring;
	uint16_t first_rx_ring;
	uint16_t last_rx_ring;
	uint16_t cur_tx_ring;           /* where nmport_inject() looks first */
	uint16_t cur_rx_ring;           /* the program's */
	struct nmport_cleanup_d *clist; /* undone when the port is closed */
};

/* Opens a port: nmport_prepare() and nmport_open_desc(). The caller's, for nmport_close(). */
struct nmport_d *nmport_open(const char *portspec);
/* Undoes everything and frees d (may be NULL). errno is kept. */
void nmport_close(struct nmport_d *d);
/*
 * Copies a frame of size bytes into the first tx ring with room, over several slots if need be. It
 * leaves with the next sync. Returns size, or 0 when there is no room (no message, errno kept).
 */
int nmport_inject(struct nmport_d *d, const void *buf, size_t size);

/* The same in two steps, so that d->reg can be changed in between. */
struct nmport_d *nmport_prepare(const char *portspec);
int nmport_open_desc(struct nmport_d *d);
void nmport_undo_prepare(struct nmport_d *d); /* frees d */
void nmport_undo_open_desc(struct nmport_d *d);

/* The same step by step. An undo of what was not done does nothing. */
struct nmport_d *nmport_new(void); /* of the default context */
void nmport_delete(struct nmport_d *d);
/* Fills hdr and reg from a name. EINVAL bad name, EOPNOTSUPP option disabled; then d is as it was.
 */
int nmport_parse(struct nmport_d *d, const char *portspec);
void nmport_undo_parse(struct nmport_d *d);
/* Opens the device and registers. Errors of open() and of the device; EINVAL done before. */
int nmport_register(struct nmport_d *d);
void nmport_undo_register(struct nmport_d *d);
/* Maps the region, once per context and memory id. Errors of mmap(); EINVAL not registered. */
int nmport_mmap(struct nmport_d *d);
void nmport_undo_mmap(struct nmport_d *d);

/*
 * A port with the same name and wishes, neither registered nor mapped; without options. For another
 * ring of the same port: set reg.nr_ringid, then nmport_open_desc().
 */
struct nmport_d *nmport_clone(struct nmport_d *d);

/* Before nmport_register(): use size bytes at base, page-aligned and shared, as memory region. */
int nmport_extmem(struct nmport_d *d, void *base, size_t size);
/* The same with the pages of a file, which is mapped until the port is closed. */
int nmport_extmem_from_file(struct nmport_d *d, const char *path);
/* Sizes and counts of the region: wishes before registering, the truth after. Part of d; or NULL.
 */
struct nmreq_pools_info *nmport_extmem_getinfo(struct nmport_d *d);
/*
 * Before nmport_register(): frames start initial bytes into their buffers, never more than maxoff;
 * bits of slot.ptr hold the offset (0 = all); mingap bytes of room are always left.
 */
int nmport_offset(struct nmport_d *d, uint64_t initial, uint64_t maxoff, uint64_t bits,
		  uint64_t mingap);

/* Whether names may contain an option, for the whole process. -1, EOPNOTSUPP: there is none such.
 */
void nmport_disable_option(const char *opt);
int nmport_enable_option(const char *opt);

/* Undoes what options left in d. nmport_close() does it. */
void nmport_do_cleanup(struct nmport_d *d);
void nmport_extmem_cleanup(struct nmport_cleanup_d *c, struct nmport_d *d);
void nmport_extmem_cleanup_from_file(struct nmport_cleanup_d *c, struct nmport_d *d);

/* Requests. Clears *hdr, then sets version, type and body. */
void nmreq_header_init(struct nmreq_header *hdr, uint16_t reqtype, void *body);
/* Reads prefix and name from *ppspec into hdr->nr_name; *ppspec then is what follows. EINVAL. */
int nmreq_header_decode(const char **ppspec, struct nmreq_header *hdr, struct nmctx *ctx);
/*
 * Reads rings, flags and memory id from *pmspec into mode, ringid, flags and mem_id of reg; *pmspec
 * then is the end or the '@' of the first option. EINVAL: both are as they were.
 */
int nmreq_register_decode(const char **pmspec, struct nmreq_register *reg, struct nmctx *ctx);

#define NMREQ_OPT_MAXKEYS 16

struct nmreq_parse_ctx;
/* 0, or -1 with errno. The keys' values are valid during the call. */
typedef int (*nmreq_opt_parser_cb)(struct nmreq_parse_ctx *);

struct nmreq_opt_key {
	const char *key;    /* with '_'; a name may use '-' */
	int id;             /* index of its value in nmreq_parse_ctx.keys */
	unsigned int flags; /* NMREQ_OPTK_* */
};
#define NMREQ_OPTK_ALLOWEMPTY 1u /* "key" alone will do, its value is then "" */
#define NMREQ_OPTK_MUSTSET    2u /* without it the option is wrong */
#define NMREQ_OPTK_DEFAULT    4u /* "@option=value" means this one */

/* An option that names may contain: "@prefix". */
struct nmreq_opt_parser {
	const char *prefix;
	nmreq_opt_parser_cb parse;
	int default_key; /* id, -1 = none */
	int nr_keys;
	unsigned int flags; /* NMREQ_OPTF_* */
	struct nmreq_opt_parser *next;
	struct nmreq_opt_key keys[NMREQ_OPT_MAXKEYS];
} __attribute__((aligned(16)));
#define NMREQ_OPTF_DISABLED   1u
#define NMREQ_OPTF_ALLOWEMPTY 2u /* "@prefix" alone will do */

struct nmreq_parse_ctx {
	struct nmctx *ctx;
	void *token;                         /* as given to nmreq_options_decode() */
	const char *keys[NMREQ_OPT_MAXKEYS]; /* values by id, NULL = not given */
};

/*
 * Reads options ("" or "@...") and calls the parser of each. EINVAL, EOPNOTSUPP (disabled), or what
 * a parser failed with; those before it have taken effect.
 */
int nmreq_options_decode(const char *opt, struct nmreq_opt_parser *parsers, void *token,
			 struct nmctx *ctx);

/* Asks the device for the memory id of a port; *portname then is what follows its name. -1. */
int32_t nmreq_get_mem_id(const char **portname, struct nmctx *ctx);

/* The list of options of a request. The option is the caller's and must outlive its stay. */
void nmreq_push_option(struct nmreq_header *h, struct nmreq_option *o);
void nmreq_remove_option(struct nmreq_header *h, struct nmreq_option *o);
struct nmreq_option *nmreq_find_option(struct nmreq_header *h, uint32_t type); /* or NULL */
void nmreq_free_options(struct nmreq_header *h); /* free() of each, and an empty list */
const char *nmreq_option_name(uint32_t type);    /* "extmem"; "unknown" */

#define nmreq_foreach_option(_h, _o)                                                               \
	for ((_o) = (struct nmreq_option *)(uintptr_t)(_h)->nr_options; (_o);                      \
	     (_o) = (struct nmreq_option *)(uintptr_t)(_o)->nro_next)

/* Contexts: where messages go, where memory comes from, how threads are kept apart. */
typedef void (*nmctx_error_cb)(struct nmctx *, const char *);
typedef void *(*nmctx_malloc_cb)(struct nmctx *, size_t);
typedef void (*nmctx_free_cb)(struct nmctx *, void *);
typedef void (*nmctx_lock_cb)(struct nmctx *, int); /* 1 = lock, 0 = unlock */

struct nmctx {
	int verbose;              /* not looked at */
	nmctx_error_cb error;     /* one sentence, no newline; NULL = silence */
	nmctx_malloc_cb malloc;   /* NULL = malloc() */
	nmctx_free_cb free;       /* NULL = free() */
	nmctx_lock_cb lock;       /* NULL = none */
	struct nmem_d *mem_descs; /* regions that are mapped */
};

/* A mapped region. Read only. */
struct nmem_d {
	uint16_t mem_id;
	int refcount; /* ports */
	void *mem;
	size_t size;   /* bytes */
	int is_extmem; /* 1 = the program's own memory */
	struct nmem_d *next;
	struct nmem_d *prev;
};

/* The context that new ports get. At the start one that locks and writes to stderr. */
struct nmctx *nmctx_get(void);
/* Makes ctx the default (it must stay) and returns what was. Any thread. */
struct nmctx *nmctx_set_default(struct nmctx *ctx);
/* Gives the default context a lock if it has none. */
void nmctx_set_threadsafe(void);
extern int nmctx_threadsafe; /* 1 */

void nmctx_ferror(struct nmctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *nmctx_malloc(struct nmctx *ctx, size_t size); /* not cleared; NULL */
void nmctx_free(struct nmctx *ctx, void *p);
void nmctx_lock(struct nmctx *ctx);
void nmctx_unlock(struct nmctx *ctx);

#ifndef LIBNETMAP_NOTHREADSAFE
/* Names a symbol of the library, as programs built with other headers of this interface do. */
__attribute__((used)) static inline void libnetmap_init(void)
{
	nmctx_threadsafe = 1;
}
#endif

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
