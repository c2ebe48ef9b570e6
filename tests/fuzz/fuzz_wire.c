/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as what a control connection receives, in pieces of any size, read as requests and as
 * replies. The first byte says how large the pieces are. Errors must have a sentence; what parses
 * must survive being written and read again.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/msg.h"

#define LINE_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void as_request(const char *line, size_t len)
{
	struct ctl_request_msg m;
	struct ctl_error err;
	int r = ctl_request_parse(line, len, &m, &err);
	struct ctl_reply_msg reply;
	size_t out_len;
	char *out;

	if (!r) {
		check(m.cmd && m.root);
		out = ctl_encode(ctl_request(m.id, m.cmd, m.args ? json_incref(m.args) : NULL),
				 &out_len);
		json_decref(m.root);
		check(out && out[out_len - 1] == '\n');
		check(ctl_request_parse(out, out_len - 1, &m, &err) == 0);
		json_decref(m.root);
		free(out);
		return;
	}
	check(r == err.code && err.text[0] && !m.root);
	out = ctl_encode(ctl_error_reply(m.id, &err), &out_len);
	check(out && ctl_reply_parse(out, out_len, &reply) == 0 && reply.kind == CTL_ERROR);
	check(reply.id == m.id && reply.err.code == r);
	json_decref(reply.root);
	free(out);
}

static void as_reply(const char *line, size_t len)
{
	struct ctl_reply_msg m;

	if (ctl_reply_parse(line, len, &m) == 0)
		json_decref(m.root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctl_lines lines;
	size_t piece, len, room;
	char *p, *line;

	if (size == 0)
		return 0;
	piece = (size_t)data[0] + 1;
	data++;
	size--;
	ctl_lines_init(&lines, LINE_MAX);
	while (size > 0 && ctl_lines_room(&lines, &p, &room) == 0) {
		size_t n = size < piece ? size : piece;

		n = n < room ? n : room;
		memcpy(p, data, n);
		ctl_lines_filled(&lines, n);
		data += n;
		size -= n;
		while ((line = ctl_lines_next(&lines, &len))) {
			check(len < LINE_MAX && line[len] == '\0');
			as_request(line, len);
			as_reply(line, len);
		}
	}
	ctl_lines_deinit(&lines);
	return 0;
}
