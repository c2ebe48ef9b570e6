/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/xdp_dev.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/err.h"

#define FEATURES_MAX 256 /* more than any kernel has */

/* One ethtool request; 0 or -errno. */
static int ethtool(int fd, const char *name, void *request)
{
	struct ifreq ifr = {0};

	strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	ifr.ifr_data = request;
	return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

static void read_driver(int fd, const char *name, struct xdp_dev *d)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	if (ethtool(fd, name, &info) == 0)
		memcpy(d->driver, info.driver, sizeof(d->driver) - 1);
}

/* Devices that do not know channels are taken to have one queue. */
static uint32_t read_queues(int fd, const char *name)
{
	struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};
	uint32_t n = 0;

	if (ethtool(fd, name, &ch) == 0)
		n = ch.rx_count + ch.combined_count;
	return n ? n : 1;
}

/* True when any of two features is active; -1 features (not known) count as off. */
static bool strip_features_on(int fd, const char *name, const struct ethtool_gstrings *names,
			      uint32_t n)
{
	uint32_t n_blocks = (n + 31) / 32;
	struct ethtool_gfeatures *f =
		calloc(1, sizeof(*f) + n_blocks * sizeof(struct ethtool_get_features_block));
	bool on = false;

	if (!f)
		return true;
	f->cmd = ETHTOOL_GFEATURES;
	f->size = n_blocks;
	if (ethtool(fd, name, f) == 0) {
		for (uint32_t i = 0; i < n; i++) {
			const char *s = (const char *)names->data + i * ETH_GSTRING_LEN;

			if (strncmp(s, "rx-vlan-hw-parse", ETH_GSTRING_LEN) != 0 &&
			    strncmp(s, "rx-vlan-stag-hw-parse", ETH_GSTRING_LEN) != 0)
				continue;
			on |= f->features[i / 32].active >> (i % 32) & 1;
		}
	}
	free(f);
	return on;
}

static bool read_strips(int fd, const char *name)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t n;
	} set = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}};
	struct ethtool_gstrings *names;
	bool on = false;

	if (ethtool(fd, name, &set) < 0 || set.n == 0 || set.n > FEATURES_MAX)
		return false;
	names = calloc(1, sizeof(*names) + set.n * ETH_GSTRING_LEN);
	if (!names)
		return true;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = set.n;
	if (ethtool(fd, name, names) == 0)
		on = strip_features_on(fd, name, names, set.n);
	free(names);
	return on;
}

static int read_link(int fd, const char *name, struct xdp_dev *d)
{
	struct ifreq ifr = {0};

	strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	if (ioctl(fd, SIOCGIFMTU, &ifr) < 0)
		return -errno;
	d->mtu = (uint32_t)ifr.ifr_mtu;
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	d->loopback = ifr.ifr_flags & IFF_LOOPBACK;
	return 0;
}

int xdp_dev_query(const char *name, struct xdp_dev *ret, const char **ret_why)
{
	struct xdp_dev d = {.ifindex = if_nametoindex(name)};
	int fd, r;

	if (d.ifindex == 0) {
		*ret_why = "no such interface";
		return error_origin(-ENODEV);
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		r = -errno;
		*ret_why = err_text(r);
		return error_origin(r);
	}
	r = read_link(fd, name, &d);
	if (r < 0) {
		*ret_why = err_text(r);
		close(fd);
		return error_origin(r);
	}
	read_driver(fd, name, &d);
	d.n_queues = read_queues(fd, name);
	d.tags_by_feature = read_strips(fd, name);
	/* These hand over what their peer sends, tag beside the frame or not, whatever is set. */
	d.has_peer = strcmp(d.driver, "veth") == 0 || strcmp(d.driver, "netkit") == 0;
	d.tags_by_feature &= !d.has_peer;
	d.may_strip_tags = d.has_peer || d.tags_by_feature;
	close(fd);
	*ret = d;
	return 0;
}

int xdp_dev_promisc(uint32_t ifindex)
{
	struct packet_mreq m = {.mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return error_origin(-errno);
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) < 0) {
		r = -errno;
		close(fd);
		return error_origin(r);
	}
	return fd;
}
