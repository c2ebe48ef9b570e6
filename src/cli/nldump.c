/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/nldump.h"

#include <stdint.h>

#define BUFFER_SIZE 65536

void nldump(struct nlmsghdr *request, mnl_cb_t take, void *ctx)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);
	char buf[BUFFER_SIZE];
	int r = MNL_CB_OK;
	ssize_t n = 1;

	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = 1;
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		r = MNL_CB_STOP;
	while (r > MNL_CB_STOP && n > 0) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n > 0)
			r = mnl_cb_run(buf, (size_t)n, request->nlmsg_seq,
				       mnl_socket_get_portid(nl), take, ctx);
	}
	if (nl)
		mnl_socket_close(nl);
}
