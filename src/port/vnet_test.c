/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "port/afpacket_place.h"
#include "port/afpacket_tx.h"
#include "port/tap.h"
#include "port/vnet.h"

static void plain_frame(void **state)
{
	struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_DATA_VALID}, back;
	struct frame f = {.len = 60, .gso_size = 9, .csum_start = 9};

	assert_int_equal(vnet_to_frame(&h, 0, &f), 0);
	assert_int_equal(f.flags, FRAME_CSUM_VALID);
	assert_int_equal(f.gso_size | f.csum_start | f.gso, 0);
	vnet_from_frame(&f, &back);
	assert_int_equal(back.flags | back.gso_type | back.gso_size | back.csum_start, 0);
}

static void gso_frame_with_restored_tag(void **state)
{
	const struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					 .gso_type =
						 VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
					 .gso_size = 1448,
					 .hdr_len = 66,
					 .csum_start = 34,
					 .csum_offset = 16};
	struct virtio_net_hdr back;
	struct frame f = {.len = 20000};

	assert_int_equal(vnet_to_frame(&h, VNET_TAG_SIZE, &f), 0);
	assert_int_equal(f.gso, FRAME_GSO_TCPV4);
	assert_int_equal(f.flags, FRAME_CSUM_PARTIAL | FRAME_GSO_ECN);
	assert_int_equal(f.gso_size, 1448);
	assert_int_equal(f.csum_start, 38);
	assert_int_equal(f.csum_offset, 16);
	assert_int_equal(f.hdr_len, 70);
	vnet_from_frame(&f, &back);
	assert_int_equal(back.csum_start, 38);
	assert_int_equal(back.csum_offset, 16);
	assert_int_equal(back.gso_type, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
	assert_int_equal(back.gso_size, 1448);
	assert_int_equal(back.hdr_len, 70);
}

static void every_gso_kind_survives(void **state)
{
	static const uint8_t kinds[] = {VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6, 5};

	for (size_t i = 0; i < sizeof(kinds); i++) {
		const struct virtio_net_hdr h = {.gso_type = kinds[i], .gso_size = 100};
		struct virtio_net_hdr back;
		struct frame f = {.len = 1000};

		assert_int_equal(vnet_to_frame(&h, 0, &f), 0);
		vnet_from_frame(&f, &back);
		assert_int_equal(back.gso_type, kinds[i]);
	}
}

static void kinds_without_a_name_are_dropped(void **state)
{
	static const uint8_t kinds[] = {2, VIRTIO_NET_HDR_GSO_UDP, 6, 0x7f, 0x80};

	for (size_t i = 0; i < sizeof(kinds); i++) {
		const struct virtio_net_hdr h = {.gso_type = kinds[i], .gso_size = 100};
		struct frame f = {.len = 1000};

		assert_int_equal(vnet_to_frame(&h, 0, &f), DROP_GSO_KIND);
	}
	assert_int_equal(vnet_to_frame(&(struct virtio_net_hdr){.gso_type = 1}, 0,
				       &(struct frame){.len = 1000}),
			 DROP_GSO_KIND);
}

static void checksum_field_stays_inside(void **state)
{
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
	struct frame f = {.len = 52};

	assert_int_equal(vnet_to_frame(&h, 0, &f), 0);
	f.len = 51;
	assert_int_equal(vnet_to_frame(&h, 0, &f), DROP_CSUM_RANGE);
	f.len = 55;
	assert_int_equal(vnet_to_frame(&h, 4, &f), DROP_CSUM_RANGE);
	h.csum_start = h.csum_offset = 65535;
	f.len = 65549;
	assert_int_equal(vnet_to_frame(&h, 4, &f), DROP_CSUM_RANGE);
}

static void header_hint_never_exceeds_the_frame(void **state)
{
	const struct frame f = {.len = 60, .gso = FRAME_GSO_TCPV4, .gso_size = 8, .hdr_len = 900};
	struct virtio_net_hdr h;

	vnet_from_frame(&f, &h);
	assert_int_equal(h.hdr_len, 60);
}

static void tag_goes_between_addresses_and_type(void **state)
{
	uint8_t buf[] = "....ABCDEFGHIJKL\x08\x00payload";

	vnet_put_tag(buf, buf + 4, 0x88a8, 0x2064);
	assert_memory_equal(buf, "ABCDEFGHIJKL\x88\xa8\x20\x64\x08\x00payload", 25);
	assert_true(vnet_is_tagged(buf));
	buf[12] = 0x81;
	assert_false(vnet_is_tagged(buf));
	buf[13] = 0x00;
	assert_true(vnet_is_tagged(buf));
	assert_false(vnet_is_tagged((const uint8_t *)"ABCDEFGHIJKL\x08\x00"));
}

static void scattered_frame_is_joined(void **state)
{
	uint8_t small[8] = "abcdefgh", large[16] = "........ijklmnop";
	struct frame f;

	assert_false(tap_join(&f, 8, small, 8, large));
	assert_ptr_equal(f.data, small);
	assert_memory_equal(large, "........", 8);
	assert_true(tap_join(&f, 9, small, 8, large));
	assert_ptr_equal(f.data, large);
	assert_int_equal(f.len, 9);
	assert_memory_equal(large, "abcdefghijklmnop", 16);
}

static void outbox_takes_what_the_port_refuses(void **state)
{
	uint8_t d[64] = {0};
	struct frame f = {.data = d, .len = 1514};

	d[12] = 0x08;
	assert_false(afpacket_tx_wants_outbox(&f, 1500));
	d[12] = 0x81; /* one 802.1Q tag: the kernel allows its 4 bytes */
	f.len = 1518;
	assert_false(afpacket_tx_wants_outbox(&f, 1500));
	f.len = 1522;
	assert_true(afpacket_tx_wants_outbox(&f, 1500));
	d[12] = 0x88;
	d[13] = 0xa8;
	f.len = 1518;
	assert_true(afpacket_tx_wants_outbox(&f, 1500));
	f.len = 1514;
	assert_false(afpacket_tx_wants_outbox(&f, 1500));
	f.gso = FRAME_GSO_TCPV4;
	assert_true(afpacket_tx_wants_outbox(&f, 1500));
}

/* The place of a frame: beside it, or, with an older kernel, in its bytes. */
static void place_is_beside_or_inside(void **state)
{
	uint8_t d[80], want[76];
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 42, .csum_offset = 6};
	struct frame f = {.data = d, .len = 76};

	for (uint32_t i = 0; i < sizeof(d); i++)
		d[i] = (uint8_t)i;
	assert_int_equal(afpacket_from_trunk(&h, true, 0x400 | 17, &f), 0);
	assert_int_equal(f.in_port, 17);
	assert_int_equal(f.flags, FRAME_CSUM_PARTIAL | FRAME_COPY);
	assert_int_equal(f.csum_start, 42);

	memcpy(want, d, 12);
	memcpy(want + 12, d + 16, 64);
	memcpy(d + 12, "\x88\xa8\x00\x12", 4);
	h.csum_start = 46;
	f = (struct frame){.data = d, .len = 80};
	assert_int_equal(afpacket_from_trunk(&h, false, 0, &f), 0);
	assert_int_equal(f.in_port, 18);
	assert_int_equal(f.flags, FRAME_CSUM_PARTIAL);
	assert_int_equal(f.csum_start, 42);
	assert_int_equal(f.len, 76);
	assert_memory_equal(d, want, 76);

	assert_int_equal(afpacket_from_trunk(&h, false, 0, &f), AFPACKET_NOT_OURS);
	assert_int_equal(afpacket_from_trunk(&h, true, 0, &f), AFPACKET_NOT_OURS);
	memcpy(d + 12, "\x88\xa8\x00\x12", 4);
	f.len = 17; /* no frame behind the tag */
	assert_int_equal(afpacket_from_trunk(&h, false, 0, &f), AFPACKET_NOT_OURS);
	f.len = 60;
	h.csum_start = 2; /* in the tag */
	assert_int_equal(afpacket_from_trunk(&h, false, 0, &f), DROP_CSUM_RANGE);
}

static void each_refusal_has_a_reason(void **state)
{
	assert_int_equal(afpacket_tx_reason(ENETDOWN), DROP_TX_DOWN);
	assert_int_equal(afpacket_tx_reason(ENXIO), DROP_TX_DOWN);
	assert_int_equal(afpacket_tx_reason(EMSGSIZE), DROP_EGRESS_MTU);
	assert_int_equal(afpacket_tx_reason(ENOBUFS), DROP_TX_FULL);
	assert_int_equal(afpacket_tx_reason(EAGAIN), DROP_TX_FULL);
	assert_int_equal(afpacket_tx_reason(ENOMEM), DROP_NO_BUFFER);
	assert_int_equal(afpacket_tx_reason(EINVAL), DROP_TX_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_frame),
		cmocka_unit_test(gso_frame_with_restored_tag),
		cmocka_unit_test(every_gso_kind_survives),
		cmocka_unit_test(kinds_without_a_name_are_dropped),
		cmocka_unit_test(checksum_field_stays_inside),
		cmocka_unit_test(header_hint_never_exceeds_the_frame),
		cmocka_unit_test(tag_goes_between_addresses_and_type),
		cmocka_unit_test(scattered_frame_is_joined),
		cmocka_unit_test(outbox_takes_what_the_port_refuses),
		cmocka_unit_test(place_is_beside_or_inside),
		cmocka_unit_test(each_refusal_has_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
