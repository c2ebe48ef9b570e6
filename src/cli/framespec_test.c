/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/framespec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#define WORDS_MAX 32

static struct framespec spec;
static char why[256];

/* Words divided by '|'. */
static int parse(const char *text)
{
	static char copy[300000];
	const char *words[WORDS_MAX];
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = strtok(copy, "|"); p && n < WORDS_MAX; p = strtok(NULL, "|"))
		words[n++] = p;
	why[0] = '\0';
	return framespec_parse(words, n, &spec, why, sizeof(why));
}

static void expect_bytes(const char *hex)
{
	char got[256] = "";

	for (size_t i = 0; i < spec.len && i < 60; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%02x", spec.bytes[i]);
	assert_string_equal(got, hex);
}

static void hexadecimal(void **state)
{
	assert_int_equal(parse("ffFF:00 1a|2B"), 0);
	expect_bytes("ffff001a2b");
	assert_int_equal(spec.captured, 5);
	assert_int_equal(parse("0"), -1);
	assert_string_equal(why, "FRAME: half a byte at its end: 1 hexadecimal digits");
	assert_int_equal(parse(" : "), -1);
	assert_string_equal(why, "FRAME: it has no bytes");
	assert_int_equal(parse("0011|22x3"), -1);
	assert_string_equal(why, "FRAME: column 8: \"x\" is no hexadecimal digit");
}

static void too_long(void **state)
{
	const size_t n = 2 * (size_t)FRAMESPEC_LEN_MAX;
	char *text = malloc(n + 3);

	memset(text, 'a', n + 2);
	text[n] = '\0';
	assert_int_equal(parse(text), 0);
	assert_int_equal(spec.len, FRAMESPEC_LEN_MAX);
	text[n] = 'a';
	text[n + 2] = '\0';
	assert_int_equal(parse(text), -1);
	assert_string_equal(why, "FRAME: more than 65549 bytes, which is the longest frame");
	free(text);
}

static void defaults_of_fields(void **state)
{
	assert_int_equal(parse("dst|02:00:00:00:00:0a"), 0);
	assert_int_equal(spec.len, 60);
	spec.len = 34;
	expect_bytes("02000000000a0200000000010800"
		     "4500002e0000000040"
		     "3b7a9600000000000000"
		     "00");
	assert_int_equal(parse("src|02:00:00:00:00:0b|len|14"), 0);
	expect_bytes("ffffffffffff02000000000b0800");
	assert_int_equal(parse("len|1"), 0);
	expect_bytes("ff");
}

static void tags_type_and_payload(void **state)
{
	assert_int_equal(parse("vlan|10|type|arp|payload|00:01|len|20"), 0);
	expect_bytes("ffffffffffff0200000000018100000a08060001");
	assert_int_equal(parse("vlan|100|vlan|10|type|0x88b5|payload|ff|len|23"), 0);
	expect_bytes("ffffffffffff02000000000188a800648100000a88b5ff");
	assert_int_equal(parse("payload|aa|len|500"), 0);
	assert_int_equal(spec.len, 500);
	assert_int_equal(spec.bytes[14], 0xaa);
	assert_int_equal(spec.bytes[15], 0);
	assert_int_equal(spec.bytes[499], 0);
}

static void wrong_fields(void **state)
{
	static const char *const cases[][2] = {
		{"src|02:00", "src: \"02:00\" is no MAC address"},
		{"dst", "dst: its value is missing"},
		{"vlan|4096", "vlan: \"4096\" is not one of 0 to 4095"},
		{"vlan|1|vlan|2|vlan|3", "vlan: a frame has at most 2 tags here"},
		{"type|ipx", "type: \"ipx\" is none: 0x0800, ip, ip6, arp"},
		{"len|0", "len: \"0\" is not one of 1 to 65549"},
		{"len|65550", "len: \"65550\" is not one of 1 to 65549"},
		{"payload|abc", "payload: half a byte at its end"},
		{"src|02:00:00:00:00:01|port|80",
		 "\"port\": none of src, dst, vlan, type, len, payload"},
		{"pcap", "pcap: FILE is missing"},
		{"pcap|x|0", "pcap: \"0\" is no number of a frame"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i][0]), -1);
		assert_string_equal(why, cases[i][1]);
	}
}

static void write_file(const char *path, int link_type)
{
	pcap_t *p = pcap_open_dead(link_type, 65535);
	pcap_dumper_t *d = pcap_dump_open(p, path);
	const uint8_t frame[20] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   0,
				   0,    0,    0,    1,    8,    6,    0x77};
	struct pcap_pkthdr h = {.caplen = 20, .len = 20};

	assert_non_null(d);
	pcap_dump((u_char *)d, &h, frame);
	h.caplen = 15;
	h.len = 100;
	pcap_dump((u_char *)d, &h, frame);
	pcap_dump_close(d);
	pcap_close(p);
}

static void capture_files(void **state)
{
	char path[] = "/tmp/framespec-XXXXXX", text[64];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	write_file(path, DLT_EN10MB);
	snprintf(text, sizeof(text), "pcap|%s", path);
	assert_int_equal(parse(text), 0);
	expect_bytes("ffffffffffff0200000000010806770000000000");
	snprintf(text, sizeof(text), "pcap|%s|2", path);
	assert_int_equal(parse(text), 0);
	assert_int_equal(spec.len, 100);
	assert_int_equal(spec.captured, 15);
	assert_int_equal(spec.bytes[14], 0x77);
	assert_int_equal(spec.bytes[99], 0);
	snprintf(text, sizeof(text), "pcap|%s|3", path);
	assert_int_equal(parse(text), -1);
	assert_non_null(strstr(why, "frame 3: it has 2"));
	write_file(path, DLT_RAW);
	snprintf(text, sizeof(text), "pcap|%s", path);
	assert_int_equal(parse(text), -1);
	assert_non_null(strstr(why, "not of Ethernet"));
	unlink(path);
	assert_int_equal(parse(text), -1);
	assert_non_null(strstr(why, "No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hexadecimal),        cmocka_unit_test(too_long),
		cmocka_unit_test(defaults_of_fields), cmocka_unit_test(tags_type_and_payload),
		cmocka_unit_test(wrong_fields),       cmocka_unit_test(capture_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
