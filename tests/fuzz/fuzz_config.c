/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a configuration file. An error must say where; what parses must be well formed. */
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bridge(const struct config *c, const json_t *b)
{
	const json_t *ports = json_object_get(b, "ports");

	if (!json_string_value(json_object_get(b, "name")) || !json_is_array(ports) ||
	    !json_is_array(json_object_get(b, "fdb")))
		abort();
	for (size_t i = 0; i < json_array_size(ports); i++) {
		const json_t *p = json_array_get(ports, i);
		const char *name = json_string_value(json_object_get(p, "name"));

		if (!name == !json_object_get(p, "match"))
			abort();
		if (name && config_port(b, name) != p)
			abort();
	}
	config_port(b, "eth0");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *c = NULL;
	struct ctl_error err;
	const json_t *list;

	if (config_parse((const char *)data, size, "f", &c, &err)) {
		if (strncmp(err.text, "f:", 2) || strlen(err.text) < 5)
			abort();
		return 0;
	}
	list = json_object_get(c->root, "bridges");
	for (size_t i = 0; i < json_array_size(list); i++)
		check_bridge(c, json_array_get(list, i));
	config_free(c);
	return 0;
}
