/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * struct daemon: the owner of everything in the process. The main thread's; workers see only the
 * bridges and ports that they were given.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "daemon/limit.h"
#include "daemon/worker.h"
#include "mem/bufpool.h"
#include "mem/region.h"

#define DAEMON_VERSION     "0.1.0"
#define DAEMON_WORKERS_MAX 64
#define DAEMON_SPIN_US     20
/* Of netmap programs of one user, unless the configuration says otherwise. */
#define DAEMON_UID_DESCRIPTORS   256
#define DAEMON_UID_PORTS         64
#define DAEMON_UID_EXTRA_BUFFERS 16384
#define DAEMON_SILENT_S          60
#define DAEMON_CONFIG_PATH       "/etc/viaduct/viaduct.yaml"

struct config;
struct endpoints;
struct events;
struct loop;
struct loop_source;
struct netlink;
struct netlink_link;
struct netmap_sock;
struct port_env;
struct server;

/* What the command line says; 0, NULL and -1 leave it to the configuration or the default. */
struct daemon_options {
	const char *run_dir;
	const char *config_path; /* NULL: DAEMON_CONFIG_PATH if it exists */
	const char *check_path;  /* main() only: judge this file and end */
	const char *group;
	int n_workers;
	int spin_us;
	bool seccomp;
	bool daemonize;
};

/* Whose programs adopt a bridge or device of the kernel by opening it. */
enum daemon_adopters {
	DAEMON_ADOPT_ROOT,
	DAEMON_ADOPT_GROUP, /* and those of members of the daemon's group */
	DAEMON_ADOPT_NO,    /* nobody's: only the command and the configuration do */
};

struct daemon {
	struct daemon_options opt;
	char run_dir[108];   /* a socket's path fits an address; this is the shorter */
	char state_dir[128]; /* empty: none; see snapshot.h */
	char *config_path;   /* NULL: none */
	gid_t group;         /* may read */
	struct daemon_limits {
		uint32_t descriptors, ports, extra_buffers;
	} uid_limits; /* of netmap programs of one user other than root */
	uint32_t
		silent_s; /* after which a netmap descriptor that asks for nothing goes; 0: never */
	enum daemon_adopters adopters;
	int lock_fd; /* pid file, locked */
	uint64_t start_ns;
	uint64_t netns; /* inode */

	struct loop *loop;
	struct loop_source *signals[4], *nl_source, *watchdog, *snapshot_timer;
	struct netlink *nl;
	struct region region;
	bool have_region;
	struct bufpool *pool;
	struct bufcache bufs; /* the main thread's stock: for opening and closing ports */
	struct port_env *env;
	struct worker *workers[DAEMON_WORKERS_MAX];
	uint32_t n_workers;
	struct events *events;
	struct server *server;
	struct netmap_sock *netmap_sock;
	struct endpoints *endpoints; /* netmap ports and programs */
	struct list bridges;         /* of struct vbridge */
	struct list mirror_ends;     /* too: daemon/mirror_end.h */
	struct list captures;        /* cmd_capture.c */
	struct config *config;       /* applied last; NULL before */
	json_t *seen;            /* devices that are there: ifindex as text -> name, see ports.c */
	bool planning;           /* plan_apply() is at work: no device joins by itself */
	bool missed_link;        /* one appeared meanwhile */
	struct limit join_limit; /* of complaints about devices that patterns match */
};

/*
 * Starts everything in order. 0, or -1 after one sentence on stderr; daemon_stop() cleans up in
 * both cases.
 */
int daemon_start(struct daemon *d, const struct daemon_options *opt);
void daemon_run(struct daemon *d);
/* Puts all devices back and frees everything; persistent interfaces of bridges stay. */
void daemon_stop(struct daemon *d);
/* Ends daemon_run(). */
void daemon_shutdown(struct daemon *d);
