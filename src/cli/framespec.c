/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/framespec.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "base/compiler.h"
#include "base/mac.h"

#define SOURCE_DEFAULT 0x020000000001ULL
#define LEN_DEFAULT    60u /* the shortest frame on a wire, without FCS */
#define TAGS_MAX       2u
#define VLAN_MAX       4095u
#define IP_NOTHING     59 /* no next header: RFC 8200, 4.7 */

struct spec {
	struct framespec *to;
	char *why;
	size_t size;
};

static _printf_(2, 3) int fail(const struct spec *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, s->size, fmt, ap);
	va_end(ap);
	return -1;
}

/* ---- hexadecimal ---- */

static unsigned digit_of(char c)
{
	return isdigit((unsigned char)c) ? (unsigned)(c - '0')
					 : (unsigned)(tolower((unsigned char)c) - 'a') + 10;
}

/* Appends the bytes of a word; *n counts digits. column: of its first character. */
static int add_hex(const struct spec *s, const char *word, size_t column, size_t *n)
{
	uint8_t *bytes = s->to->bytes;

	for (const char *p = word; *p; p++) {
		if (isspace((unsigned char)*p) || *p == ':')
			continue;
		if (!isxdigit((unsigned char)*p))
			return fail(s, "FRAME: column %zu: \"%c\" is no hexadecimal digit",
				    column + (size_t)(p - word),
				    isprint((unsigned char)*p) ? *p : '?');
		if (*n / 2 == FRAMESPEC_LEN_MAX)
			return fail(s, "FRAME: more than %u bytes, which is the longest frame",
				    FRAMESPEC_LEN_MAX);
		bytes[*n / 2] =
			(uint8_t)(*n % 2 ? bytes[*n / 2] << 4 | digit_of(*p) : digit_of(*p));
		(*n)++;
	}
	return 0;
}

static int finish_hex(const struct spec *s, size_t digits)
{
	if (digits == 0)
		return fail(s, "FRAME: it has no bytes");
	if (digits % 2)
		return fail(s, "FRAME: half a byte at its end: %zu hexadecimal digits", digits);
	s->to->len = s->to->captured = digits / 2;
	return 0;
}

static int parse_hex(const struct spec *s, const char *const *words, size_t n)
{
	size_t digits = 0, column = 1;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		r = add_hex(s, words[i], column, &digits);
		column += strlen(words[i]) + 1;
	}
	return r ? r : finish_hex(s, digits);
}

/* ---- capture files ---- */

static bool parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *ret)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*ret = strtoul(text, &end, 0);
	return !errno && !*end && *ret >= min && *ret <= max;
}

static int take_packet(const struct spec *s, const char *file, pcap_t *p, unsigned long number)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	unsigned long n = 0;
	int r = 1;

	if (pcap_datalink(p) != DLT_EN10MB)
		return fail(s, "%s: its frames are not of Ethernet", file);
	while (n < number && (r = pcap_next_ex(p, &h, &data)) == 1)
		n++;
	if (r == PCAP_ERROR)
		return fail(s, "%s: frame %lu: %s", file, n + 1, pcap_geterr(p));
	if (r != 1)
		return fail(s, "%s: frame %lu: it has %lu", file, number, n);
	if (h->len == 0 || h->len > FRAMESPEC_LEN_MAX)
		return fail(s, "%s: frame %lu: %u bytes, at least 1 and at most %u are possible",
			    file, number, h->len, FRAMESPEC_LEN_MAX);
	s->to->len = h->len;
	s->to->captured = min_of(h->caplen, h->len);
	memset(s->to->bytes, 0, s->to->len);
	memcpy(s->to->bytes, data, s->to->captured);
	return 0;
}

static int parse_file(const struct spec *s, const char *const *words, size_t n)
{
	char err[PCAP_ERRBUF_SIZE];
	unsigned long number = 1;
	pcap_t *p;
	int r;

	if (n < 1)
		return fail(s, "pcap: FILE is missing");
	if (n > 1 && !parse_number(words[1], 1, ULONG_MAX, &number))
		return fail(s, "pcap: \"%s\" is no number of a frame", words[1]);
	if (n > 2)
		return fail(s, "pcap: \"%s\" is one word too many", words[2]);
	p = pcap_open_offline(words[0], err);
	if (!p)
		return fail(s, "%s", err);
	r = take_packet(s, words[0], p, number);
	pcap_close(p);
	return r;
}

/* ---- fields ---- */

struct fields {
	uint64_t dst, src;
	unsigned long vlans[TAGS_MAX], type, len;
	size_t n_vlans, n_payload; /* digits */
	bool has_len;
};

static const struct {
	const char *name;
	uint16_t type;
} types[] = {
	{"ip", 0x0800},   {"ip4", 0x0800},  {"ipv4", 0x0800}, {"arp", 0x0806},  {"ip6", 0x86dd},
	{"ipv6", 0x86dd}, {"lldp", 0x88cc}, {"lacp", 0x8809}, {"mpls", 0x8847},
};

static bool parse_type(const char *text, unsigned long *ret)
{
	for (size_t i = 0; i < array_size(types); i++) {
		if (strcmp(text, types[i].name) != 0)
			continue;
		*ret = types[i].type;
		return true;
	}
	return parse_number(text, 0, 0xffff, ret);
}

static int take_mac(const struct spec *s, const char *name, const char *text, uint64_t *ret)
{
	if (!strcmp(text, "broadcast"))
		*ret = MAC_BROADCAST;
	else if (mac_parse(text, ret) != 0)
		return fail(s, "%s: \"%s\" is no MAC address", name, text);
	return 0;
}

static int take_field(const struct spec *s, struct fields *f, const char *name, const char *value)
{
	if (!strcmp(name, "src"))
		return take_mac(s, name, value, &f->src);
	if (!strcmp(name, "dst"))
		return take_mac(s, name, value, &f->dst);
	if (!strcmp(name, "payload"))
		return add_hex(s, value, 1, &f->n_payload);
	if (!strcmp(name, "vlan")) {
		if (f->n_vlans == TAGS_MAX)
			return fail(s, "vlan: a frame has at most %u tags here", TAGS_MAX);
		if (parse_number(value, 0, VLAN_MAX, &f->vlans[f->n_vlans++]))
			return 0;
		return fail(s, "vlan: \"%s\" is not one of 0 to %u", value, VLAN_MAX);
	}
	if (!strcmp(name, "type"))
		return parse_type(value, &f->type)
			       ? 0
			       : fail(s, "type: \"%s\" is none: 0x0800, ip, ip6, arp", value);
	if (!strcmp(name, "len")) {
		f->has_len = true;
		return parse_number(value, 1, FRAMESPEC_LEN_MAX, &f->len)
			       ? 0
			       : fail(s, "len: \"%s\" is not one of 1 to %u", value,
				      FRAMESPEC_LEN_MAX);
	}
	return fail(s, "\"%s\": none of src, dst, vlan, type, len, payload", name);
}

static uint8_t *put_be16(uint8_t *p, unsigned long v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

/* Without a payload IP gets a header that says "nothing behind it", so that rules can look at it.
 */
static void add_ip_header(struct framespec *to, size_t at, unsigned long type)
{
	uint8_t *p = to->bytes + at;
	const size_t left = to->len > at ? to->len - at : 0;
	uint32_t sum = 0;

	if (type == 0x0800 && left >= 20 && left <= UINT16_MAX) {
		p[0] = 0x45;
		put_be16(p + 2, left);
		p[8] = 64; /* time to live */
		p[9] = IP_NOTHING;
		for (size_t i = 0; i < 20; i += 2)
			sum += (uint32_t)(p[i] << 8 | p[i + 1]);
		put_be16(p + 10, ~((sum & 0xffff) + (sum >> 16)) & 0xffff);
	} else if (type == 0x86dd && left >= 40 && left - 40 <= UINT16_MAX) {
		p[0] = 0x60;
		put_be16(p + 4, left - 40);
		p[6] = IP_NOTHING;
		p[7] = 64; /* hop limit */
	}
}

/* The payload, if any, lies at the start of the bytes. */
static int compose(const struct spec *s, const struct fields *f)
{
	uint8_t header[14 + 4 * TAGS_MAX], *p = header;
	const size_t payload = f->n_payload / 2;
	size_t n, whole;

	mac_store(p, f->dst);
	mac_store(p + 6, f->src);
	p += 12;
	for (size_t i = 0; i < f->n_vlans; i++) {
		p = put_be16(p, i + 1 < f->n_vlans ? 0x88a8 : 0x8100);
		p = put_be16(p, f->vlans[i]);
	}
	p = put_be16(p, f->type);
	n = (size_t)(p - header);
	whole = n + payload;
	if (f->n_payload % 2)
		return fail(s, "payload: half a byte at its end");
	if (whole > FRAMESPEC_LEN_MAX)
		return fail(s, "payload: the frame has %zu bytes then, at most %u are possible",
			    whole, FRAMESPEC_LEN_MAX);
	memmove(s->to->bytes + n, s->to->bytes, payload);
	memcpy(s->to->bytes, header, n);
	s->to->len = f->has_len ? f->len : whole > LEN_DEFAULT ? whole : LEN_DEFAULT;
	if (s->to->len > whole)
		memset(s->to->bytes + whole, 0, s->to->len - whole);
	s->to->captured = s->to->len;
	if (payload == 0)
		add_ip_header(s->to, n, f->type);
	return 0;
}

static int parse_fields(const struct spec *s, const char *const *words, size_t n)
{
	struct fields f = {.dst = MAC_BROADCAST, .src = SOURCE_DEFAULT, .type = 0x0800};
	int r = 0;

	for (size_t i = 0; i < n && !r; i += 2) {
		if (i + 1 == n)
			return fail(s, "%s: its value is missing", words[i]);
		r = take_field(s, &f, words[i], words[i + 1]);
	}
	return r ? r : compose(s, &f);
}

static bool is_field(const char *word)
{
	static const char *const names[] = {"src", "dst", "vlan", "type", "len", "payload"};

	for (size_t i = 0; i < array_size(names); i++)
		if (!strcmp(word, names[i]))
			return true;
	return false;
}

int framespec_parse(const char *const *words, size_t n, struct framespec *ret, char *why,
		    size_t size)
{
	const struct spec s = {ret, why, size};

	if (n > 0 && !strcmp(words[0], "pcap"))
		return parse_file(&s, words + 1, n - 1);
	if (n > 0 && is_field(words[0]))
		return parse_fields(&s, words, n);
	return parse_hex(&s, words, n);
}
