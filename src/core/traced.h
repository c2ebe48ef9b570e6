/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In front of each file of the passes when it is compiled the second time (core/meson.build): this
 * instance writes journeys (core/trace.h), so its functions need names of their own. bridge_input()
 * and the others of bridge_internal.h call it for batches with a frame that was chosen.
 */
#pragma once

#define CORE_TRACED 1

#define bridge_divert            bridge_divert_traced
#define bridge_forward           bridge_forward_traced
#define bridge_forward_one       bridge_forward_one_traced
#define bridge_inject            bridge_inject_traced
#define bridge_inject_host       bridge_inject_host_traced
#define bridge_input             bridge_input_traced
#define bridge_intercept_refused bridge_intercept_refused_traced
#define bridge_leaves            bridge_leaves_traced
#define bridge_origin            bridge_origin_traced
#define bridge_pre_routing       bridge_pre_routing_traced
#define bridge_pre_routing_one   bridge_pre_routing_one_traced
#define bridge_wire_len          bridge_wire_len_traced
#define bridge_withdraw          bridge_withdraw_traced
#define through_decide           through_decide_traced
#define through_forward          through_forward_traced
#define through_input            through_input_traced
