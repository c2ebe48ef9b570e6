/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/env.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "bpf/redirect.skel.h"
#include "port/driver.h"
#include "port/netdev.h"

LOG_MODULE("port/env");

#define STATE_PREFIX  "port-"
#define PLACE_PREFIX  "place-"
#define OUTBOX_SNDBUF (64 << 20)

int port_env_new(const char *run_dir, struct port_env **ret, const char **ret_why)
{
	struct port_env *e = calloc(1, sizeof(*e));

	if (!e || !(e->run_dir = strdup(run_dir))) {
		free(e);
		*ret_why = "no memory";
		return error_origin(-ENOMEM);
	}
	e->outbox = (struct env_outbox){.tap.fd = -1, .fd = -1};
	e->pid = getpid();
	e->sock = netdev_socket();
	if (e->sock < 0) {
		int r = e->sock;

		port_env_free(e);
		*ret_why = "no socket";
		return error_trace(r);
	}
	sys_bpf_init();
	*ret = e;
	return 0;
}

static void outbox_deinit(struct env_outbox *o)
{
	sys_bpf_detach(&o->tc);
	if (o->fd >= 0)
		close(o->fd);
	helper_close(&o->tap);
	*o = (struct env_outbox){.tap.fd = -1, .fd = -1};
}

static void unload(struct port_env *e)
{
	if (e->large)
		munmap((void *)e->large, sizeof(*e->large) * REDIRECT_COUNTERS);
	e->large = NULL;
	redirect_bpf__destroy(e->bpf);
	e->bpf = NULL;
}

struct port_env *port_env_free(struct port_env *e)
{
	if (!e)
		return NULL;
	janitor_stop(&e->janitor);
	outbox_deinit(&e->outbox);
	unload(e);
	if (e->sock >= 0)
		close(e->sock);
	free(e->run_dir);
	free(e);
	return NULL;
}

static int load(struct port_env *e, const char **ret_why)
{
	void *map;

	errno = 0;
	e->bpf = redirect_bpf__open_and_load();
	if (!e->bpf) {
		int r = errno ? -errno : -EINVAL;

		*ret_why = r == -EPERM || r == -EACCES
				   ? "needs CAP_BPF and CAP_NET_ADMIN to load its BPF programs"
				   : "the kernel refuses its BPF programs";
		return error_origin(r);
	}
	map = mmap(NULL, sizeof(*e->large) * REDIRECT_COUNTERS, PROT_READ, MAP_SHARED,
		   bpf_map__fd(e->bpf->maps.vd_large), 0);
	if (map == MAP_FAILED) {
		*ret_why = "cannot map its BPF counters";
		return error_origin(-errno);
	}
	e->large = map;
	e->progs = (struct env_progs){
		.small_only = bpf_program__fd(e->bpf->progs.vd_small_only),
		.large_only = bpf_program__fd(e->bpf->progs.vd_large_only),
		.steal = bpf_program__fd(e->bpf->progs.vd_steal),
	};
	return 0;
}

static int outbox_socket(struct env_outbox *o, uint32_t ifindex, const char **ret_why)
{
	const struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex};
	const int one = 1, size = OUTBOX_SNDBUF;

	o->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (o->fd < 0 || setsockopt(o->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0 ||
	    bind(o->fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		*ret_why = "needs CAP_NET_RAW for packet sockets";
		return error_origin(-errno);
	}
	setsockopt(o->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return 0;
}

static int outbox_init(struct port_env *e, const char **ret_why)
{
	struct env_outbox *o = &e->outbox;
	int r = helper_open(&o->tap, e->sock, PORT_ENV_OUTBOX "%d", ret_why);

	if (r == 0)
		r = sys_bpf_attach_tc(&o->tc, bpf_program__fd(e->bpf->progs.vd_outbox),
				      o->tap.ifindex, true, ret_why);
	if (r == 0)
		r = outbox_socket(o, o->tap.ifindex, ret_why);
	e->uso = o->tap.uso;
	return error_trace(r);
}

int port_env_load(struct port_env *e, const char **ret_why)
{
	int r = e->bpf ? 0 : load(e, ret_why);

	if (r)
		unload(e);
	return error_trace(r);
}

int port_env_prepare(struct port_env *e, const char **ret_why)
{
	int r = port_env_load(e, ret_why);

	if (r || e->outbox.fd >= 0)
		return error_trace(r);
	r = outbox_init(e, ret_why);
	if (r)
		outbox_deinit(&e->outbox);
	return error_trace(r);
}

/* State of one device: RUN_DIR/port-IFINDEX, one line of fixed length. */
static void state_path(const struct port_env *e, uint32_t ifindex, char *ret, size_t size)
{
	snprintf(ret, size, "%s/" STATE_PREFIX "%u", e->run_dir, ifindex);
}

static int state_write(const struct port_env *e, const struct env_claim *c)
{
	char path[4096], line[64];
	int n, fd, r = 0;

	state_path(e, c->ifindex, path, sizeof(path));
	n = snprintf(line, sizeof(line), "%2d %2d %d\n", c->disable_ipv6, c->keep_addr,
		     c->made_clsact);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_origin(-errno);
	if (write(fd, line, (size_t)n) != n)
		r = error_origin(-EIO);
	close(fd);
	return r;
}

int env_claim(struct port_env *e, struct env_claim *c, const char *name, uint32_t ifindex,
	      const char **ret_why)
{
	int old, r;

	*c = (struct env_claim){.ifindex = ifindex, .disable_ipv6 = -1, .keep_addr = -1};
	if (netdev_ipv6_get(name, "disable_ipv6", &old) == 0 && old == 0) {
		c->disable_ipv6 = old;
		if (netdev_ipv6_get(name, "keep_addr_on_down", &old) == 0 && old != 1)
			c->keep_addr = old;
	}
	r = state_write(e, c);
	if (r) {
		c->ifindex = 0;
		*ret_why = "cannot note its settings in the run directory";
		return error_trace(r);
	}
	if (c->keep_addr >= 0)
		netdev_ipv6_set(name, "keep_addr_on_down", 1);
	r = c->disable_ipv6 >= 0 ? netdev_ipv6_set(name, "disable_ipv6", 1) : 0;
	if (r)
		log_warn("port %s: cannot turn IPv6 off: %s", name, err_text(r));
	return 0;
}

void env_claim_clsact(struct port_env *e, struct env_claim *c)
{
	c->made_clsact = true;
	if (state_write(e, c))
		log_warn("port ifindex %u: cannot note its clsact qdisc", c->ifindex);
}

static void restore(const struct env_claim *c)
{
	char name[IF_NAMESIZE];

	if (!if_indextoname(c->ifindex, name))
		return;
	if (c->disable_ipv6 >= 0)
		netdev_ipv6_set(name, "disable_ipv6", c->disable_ipv6);
	if (c->keep_addr != -1)
		netdev_ipv6_set(name, "keep_addr_on_down", c->keep_addr);
}

void env_release(struct port_env *e, struct env_claim *c)
{
	char path[4096];

	if (c->ifindex == 0)
		return;
	restore(c);
	state_path(e, c->ifindex, path, sizeof(path));
	unlink(path);
	c->ifindex = 0;
}

/* Reads what state_write() wrote. False when it is not that. */
static bool state_read(const char *path, struct env_claim *c)
{
	char line[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), made;
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0 || sscanf(line, "%d %d %d", &c->disable_ipv6, &c->keep_addr, &made) != 3)
		return false;
	c->made_clsact = made;
	return true;
}

/* ---- places with clsact filters: RUN_DIR/place-IFINDEX-0 (ingress) or -1, "made-clsact pid" ----
 */

static void place_path(const struct port_env *e, uint32_t ifindex, bool egress, char *ret,
		       size_t size)
{
	snprintf(ret, size, "%s/" PLACE_PREFIX "%u-%d", e->run_dir, ifindex, egress);
}

/* Cleans up at a noted place; only_pid: if that daemon noted it, 0 = whoever did. */
static void clean_place(const struct port_env *e, const char *file, pid_t only_pid)
{
	char path[4096], line[64] = "";
	int fd, made, egress;
	uint32_t ifindex;
	pid_t pid;

	if (sscanf(file, PLACE_PREFIX "%u-%d", &ifindex, &egress) != 2)
		return;
	place_path(e, ifindex, egress, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || read(fd, line, sizeof(line) - 1) <= 0)
		line[0] = '\0';
	if (fd >= 0)
		close(fd);
	if (sscanf(line, "%d %d", &made, &pid) != 2 || (only_pid && pid != only_pid))
		return;
	sys_bpf_tc_clean(ifindex, egress, egress ? "vd_place_out" : "vd_place_in", made);
	unlink(path);
	log_info("device ifindex %u: cleaned up after a crash", ifindex);
}

static void clean_places(const struct port_env *e, pid_t only_pid)
{
	DIR *d = opendir(e->run_dir);
	struct dirent *f;

	while (d && (f = readdir(d)))
		clean_place(e, f->d_name, only_pid);
	if (d)
		closedir(d);
}

static void clean_after_us(const void *arg)
{
	const struct port_env *e = arg;

	clean_places(e, e->pid);
}

void env_note_place(struct port_env *e, uint32_t ifindex, bool egress, bool made_clsact)
{
	char path[4096], line[64];
	int fd, n, r;

	place_path(e, ifindex, egress, path, sizeof(path));
	n = snprintf(line, sizeof(line), "%d %d\n", made_clsact, e->pid);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		log_warn("device ifindex %u: cannot note its tc filter in the run directory",
			 ifindex);
	if (fd >= 0)
		close(fd);
	r = janitor_start(&e->janitor, clean_after_us, e);
	if (r)
		log_warn("no janitor, a crash would leave tc filters: %s", err_text(r));
}

void env_forget_place(struct port_env *e, uint32_t ifindex, bool egress)
{
	char path[4096];

	place_path(e, ifindex, egress, path, sizeof(path));
	unlink(path);
}

void port_env_recover(struct port_env *e)
{
	DIR *d = opendir(e->run_dir);
	struct dirent *f;

	clean_places(e, 0);
	while (d && (f = readdir(d))) {
		struct env_claim c = {0};
		char path[4096];

		if (sscanf(f->d_name, STATE_PREFIX "%u", &c.ifindex) != 1 || c.ifindex == 0)
			continue;
		state_path(e, c.ifindex, path, sizeof(path));
		if (state_read(path, &c)) {
			sys_bpf_tc_clean(c.ifindex, false, "vd_steal", c.made_clsact);
			restore(&c);
			log_info("port ifindex %u: restored after a crash", c.ifindex);
		}
		unlink(path);
	}
	if (d)
		closedir(d);
}
