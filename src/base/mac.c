/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/mac.h"

#include <errno.h>
#include <stdio.h>

#include "base/err.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int mac_parse(const char *text, uint64_t *ret_mac)
{
	char sep = 0;
	uint64_t mac = 0;

	for (int i = 0; i < 6; i++) {
		int d = hex_digit(*text);

		if (d < 0)
			return error_origin(-EINVAL);
		text++;
		mac = mac << 8 | (unsigned)d;
		d = hex_digit(*text);
		if (d >= 0) {
			mac = (mac & ~0xffULL) | (mac & 0xf) << 4 | (unsigned)d;
			text++;
		}
		if (i == 5)
			break;
		if ((*text != ':' && *text != '-') || (sep && *text != sep))
			return error_origin(-EINVAL);
		sep = *text++;
	}
	if (*text)
		return error_origin(-EINVAL);
	*ret_mac = mac;
	return 0;
}

const char *mac_format(uint64_t mac, char buf[MAC_TEXT_SIZE])
{
	uint8_t o[6];

	mac_store(o, mac);
	snprintf(buf, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", o[0], o[1], o[2], o[3], o[4],
		 o[5]);
	return buf;
}
