/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/summary.h"

#define MACS "020000000002 020000000001 "
#define PAIR "02:00:00:00:00:01 > 02:00:00:00:00:02"
/* 10.0.0.1 to 10.0.0.2 with that total length, fragment field and protocol. */
#define IPV4(total, fragment, protocol)                                                            \
	"0800 4500 " total " 0001 " fragment " 40 " protocol " 0000 0a000001 0a000002 "
#define IPV6(size, next)                                                                           \
	"86dd 60000000 " size " " next " 40 20010db8000000000000000000000001 "                     \
	"20010db8000000000000000000000002 "

static uint32_t unhex(const char *hex, uint8_t *to)
{
	uint32_t n = 0;

	for (const char *p = hex; *p; p++) {
		unsigned int byte;

		if (isspace((unsigned char)*p))
			continue;
		assert_int_equal(sscanf(p, "%2x", &byte), 1);
		to[n++] = (uint8_t)byte;
		p++;
	}
	return n;
}

/* The summary of the frame, of which the first caplen bytes are known. */
static const char *summary_cut(const char *hex, uint32_t caplen)
{
	static char text[FRAME_SUMMARY_SIZE];
	uint8_t bytes[256], *exact;
	uint32_t len = unhex(hex, bytes);

	assert_true(caplen <= len);
	exact = malloc(caplen + 1);
	memcpy(exact, bytes, caplen);
	assert_ptr_equal(frame_summary(exact, caplen, len, text, sizeof(text)), text);
	free(exact);
	return text;
}

static const char *summary(const char *hex)
{
	uint8_t bytes[256];

	return summary_cut(hex, unhex(hex, bytes));
}

static void test_icmp(void **state)
{
	assert_string_equal(summary(MACS IPV4("001c", "0000", "01") "0800 0000 0007 0003"),
			    PAIR ", IPv4 10.0.0.1 > 10.0.0.2 ICMP echo request seq 3, 42 bytes");
	assert_string_equal(summary(MACS IPV4("001c", "0000", "01") "0304 0000 0000 05dc"),
			    PAIR ", IPv4 10.0.0.1 > 10.0.0.2 ICMP destination unreachable "
				 "(fragmentation needed), 42 bytes");
	assert_string_equal(summary(MACS IPV4("001c", "0000", "01") "2a00 0000 0000 0000"),
			    PAIR ", IPv4 10.0.0.1 > 10.0.0.2 ICMP type 42, 42 bytes");
	assert_string_equal(summary(MACS IPV6("0008", "3a") "8100 0000 0001 0009"), PAIR
			    ", IPv6 2001:db8::1 > 2001:db8::2 ICMPv6 echo reply seq 9, 62 bytes");
	assert_string_equal(summary(MACS IPV6("0018", "3a") "8700 0000 00000000 "
							    "fe800000000000000000000000000005"),
			    PAIR ", IPv6 2001:db8::1 > 2001:db8::2 ICMPv6 neighbour solicitation "
				 "fe80::5, 78 bytes");
}

static void test_ports(void **state)
{
	assert_string_equal(
		summary(MACS IPV4("0028", "4000",
				  "06") "9c40 0050 00000001 00000000 5002 ffff 0000 0000"),
		PAIR ", IPv4 10.0.0.1 > 10.0.0.2 TCP 40000 > 80 SYN, 54 bytes");
	assert_string_equal(
		summary(MACS IPV4("0028", "4000",
				  "06") "0050 9c40 00000001 00000002 5012 ffff 0000 0000"),
		PAIR ", IPv4 10.0.0.1 > 10.0.0.2 TCP 80 > 40000 SYN ACK, 54 bytes");
	assert_string_equal(summary(MACS IPV4("001c", "0000", "11") "0044 0043 0008 0000"),
			    PAIR ", IPv4 10.0.0.1 > 10.0.0.2 UDP 68 > 67 (DHCP), 42 bytes");
	assert_string_equal(summary(MACS IPV6("0008", "11") "d431 0007 0008 0000"),
			    PAIR ", IPv6 2001:db8::1 > 2001:db8::2 UDP 54321 > 7, 62 bytes");
	assert_string_equal(summary(MACS IPV4("0018", "0000", "2f") "0000 0800"),
			    PAIR ", IPv4 10.0.0.1 > 10.0.0.2 GRE, 38 bytes");
	assert_string_equal(summary(MACS IPV4("0018", "0000", "fd") "0000 0800"),
			    PAIR ", IPv4 10.0.0.1 > 10.0.0.2 protocol 253, 38 bytes");
}

static void test_fragments(void **state)
{
	assert_string_equal(summary(MACS IPV4("001c", "2000", "11") "d431 0007 0008 0000"), PAIR
			    ", IPv4 10.0.0.1 > 10.0.0.2 UDP 54321 > 7, first fragment, 42 bytes");
	assert_string_equal(summary(MACS IPV4("001c", "00b9", "11") "d431 0007 0008 0000"),
			    PAIR ", IPv4 10.0.0.1 > 10.0.0.2 UDP, fragment at 1480, 42 bytes");
	assert_string_equal(
		summary(MACS IPV6("0010", "2c") "1100 05c8 00000001 d431 0007 0008 0000"),
		PAIR ", IPv6 2001:db8::1 > 2001:db8::2 UDP, fragment at 1480, 70 bytes");
}

static void test_ipv6_extensions(void **state)
{
	/* Hop by hop of 8 bytes, a routing header of 16, then UDP. */
	assert_string_equal(summary(MACS IPV6("0020", "00") "2b00 050200000000 1101 000000000000 "
							    "0000000000000000 d431 0007 0008 0000"),
			    PAIR ", IPv6 2001:db8::1 > 2001:db8::2 UDP 54321 > 7, 86 bytes");
	assert_string_equal(summary(MACS IPV6("0008", "00") "1109 050200000000"),
			    PAIR ", IPv6 2001:db8::1 > 2001:db8::2, cut short, 62 bytes");
}

static void test_arp(void **state)
{
	assert_string_equal(summary("ffffffffffff 020000000001 0806 0001 0800 06 04 0001 "
				    "020000000001 0a000001 000000000000 0a000002"),
			    "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ARP who-has 10.0.0.2 "
			    "tell 10.0.0.1, 42 bytes");
	assert_string_equal(summary(MACS "0806 0001 0800 06 04 0002 "
					 "020000000001 0a000001 020000000002 0a000002"),
			    PAIR ", ARP 10.0.0.1 is-at 02:00:00:00:00:01, 42 bytes");
	assert_string_equal(summary(MACS "0806 0001 0800 06 04 0001 "
					 "020000000001 00000000 000000000000 0a000002"),
			    PAIR ", ARP who-has 10.0.0.2 (probe), 42 bytes");
	assert_string_equal(summary(MACS "0806 0001 0800 06 04 0001 "
					 "020000000001 0a000001 000000000000 0a000001"),
			    PAIR ", ARP announces 10.0.0.1 is-at 02:00:00:00:00:01, 42 bytes");
	assert_string_equal(summary_cut(MACS "0806 0001 0800 06 04 0001 "
					     "020000000001 0a000001 000000000000 0a000002",
					41),
			    PAIR ", ARP, cut short, 42 bytes");
}

static void test_tags(void **state)
{
	assert_string_equal(
		summary(MACS "8100 000a " IPV4("001c", "0000", "01") "0800 0000 0007 0003"),
		PAIR ", vlan 10, IPv4 10.0.0.1 > 10.0.0.2 ICMP echo request seq 3, 46 bytes");
	assert_string_equal(summary(MACS "88a8 a064 8100 000a 1234 00"),
			    PAIR ", 802.1ad vlan 100 priority 5, vlan 10, EtherType 0x1234, "
				 "23 bytes");
	assert_string_equal(summary(MACS "8100 000a 08"), PAIR ", cut short, 17 bytes");
	assert_string_equal(summary(MACS "8100 0001 8100 0002 8100 0003 8100 0004 8100 0005"),
			    PAIR ", vlan 1, vlan 2, vlan 3, vlan 4, EtherType 0x8100, 32 bytes");
}

static void test_link_local(void **state)
{
	const char *rstp = "0180c2000000 020000000001 0027 424203 0000 02 02 3d "
			   "8000 020000000009 000007d0 8000 020000000001 8001 "
			   "0100 1400 0200 0f00 00 0000000000000000";

	assert_string_equal(summary(rstp), "02:00:00:00:00:01 > 01:80:c2:00:00:00, BPDU RSTP root "
					   "8000.020000000009 cost 2000 topology change, 61 bytes");
	assert_string_equal(summary("0180c2000000 020000000001 0007 424203 0000 00 80"),
			    "02:00:00:00:00:01 > 01:80:c2:00:00:00, BPDU topology change "
			    "notification, 21 bytes");
	/* The length of the frame's header ends it, whatever lies behind. */
	assert_string_equal(summary("0180c2000000 020000000001 0008 424203 0000 00 00 00 8000 "
				    "020000000009 000007d0 8000 020000000001 8001"),
			    "02:00:00:00:00:01 > 01:80:c2:00:00:00, BPDU STP, cut short, 44 bytes");
	assert_string_equal(summary("0180c200000e 020000000001 88cc 0207"),
			    "02:00:00:00:00:01 > 01:80:c2:00:00:0e, LLDP, 16 bytes");
	assert_string_equal(summary("0180c2000002 020000000001 8809 0101"),
			    "02:00:00:00:00:01 > 01:80:c2:00:00:02, LACP, 16 bytes");
	assert_string_equal(summary("0180c2000001 020000000001 8808 0001 ffff"),
			    "02:00:00:00:00:01 > 01:80:c2:00:00:01, pause 65535, 18 bytes");
	assert_string_equal(summary("0180c2000003 020000000001 888e 0101"),
			    "02:00:00:00:00:01 > 01:80:c2:00:00:03, EAPOL, 16 bytes");
	assert_string_equal(summary("01000ccccccc 020000000001 0008 aaaa03 00000c 2000"),
			    "02:00:00:00:00:01 > 01:00:0c:cc:cc:cc, SNAP 0x00000c 0x2000, "
			    "22 bytes");
	assert_string_equal(summary(MACS "0003 e0f0 03"), PAIR ", LLC 0xf0 > 0xe0, 17 bytes");
}

static void test_malformed(void **state)
{
	assert_string_equal(summary(""), "no whole Ethernet header, 0 bytes");
	assert_string_equal(summary("02"), "no whole Ethernet header, 1 byte");
	assert_string_equal(summary_cut(MACS, 0), "bytes unknown, 12 bytes");
	assert_string_equal(summary(MACS), PAIR ", cut short, 12 bytes");
	assert_string_equal(summary(MACS "0800 6500 001c 0000 0000 4001 0000 0a000001 0a000002"),
			    PAIR ", IPv4 with a malformed header, 34 bytes");
	assert_string_equal(summary(MACS "0800 4400 001c 0000 0000 4001 0000 0a000001 0a000002"),
			    PAIR ", IPv4 with a malformed header, 34 bytes");
	/* Options that the packet has no room for; padding of the frame is not read as UDP. */
	assert_string_equal(summary(MACS "0800 4f00 0014 0000 0000 4011 0000 0a000001 0a000002 "
					 "00000000 00000000 00000000 00000000 00000000 00000000 "
					 "00000000 00000000 00000000 00000000 00000000 00000000"),
			    PAIR ", IPv4 10.0.0.1 > 10.0.0.2 UDP, cut short, 82 bytes");
	assert_string_equal(summary(MACS "86dd 40000000 0000 11 40 "
					 "00000000000000000000000000000001 "
					 "00000000000000000000000000000002"),
			    PAIR ", IPv6 with a malformed header, 54 bytes");
}

/* Each header of a frame cut at each byte: says so until the header is whole, reads no further. */
static void test_cut_anywhere(void **state)
{
	const char *hex = MACS "8100 000a " IPV4(
		"0028", "4000", "06") "9c40 0050 00000001 00000000 5002 ffff 0000 0000";

	for (uint32_t caplen = 12; caplen < 52; caplen++)
		assert_non_null(strstr(summary_cut(hex, caplen), "cut short, 58 bytes"));
	for (uint32_t caplen = 52; caplen <= 58; caplen++)
		assert_string_equal(summary_cut(hex, caplen),
				    PAIR ", vlan 10, IPv4 10.0.0.1 > 10.0.0.2 TCP 40000 > 80 SYN, "
					 "58 bytes");
}

static void test_buffer(void **state)
{
	const uint8_t frame[16] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xcc};
	char text[64] = "xxxxxxxxxxxxxxx";

	frame_summary(frame, sizeof(frame), sizeof(frame), text, 10);
	assert_string_equal(text, "02:00:00:");
	assert_int_equal(text[10], 'x');
	frame_summary(frame, sizeof(frame), sizeof(frame), text, 1);
	assert_string_equal(text, "");
	text[0] = 'x';
	frame_summary(frame, sizeof(frame), sizeof(frame), text, 0);
	assert_int_equal(text[0], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_icmp),         cmocka_unit_test(test_ports),
		cmocka_unit_test(test_fragments),    cmocka_unit_test(test_ipv6_extensions),
		cmocka_unit_test(test_arp),          cmocka_unit_test(test_tags),
		cmocka_unit_test(test_link_local),   cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
