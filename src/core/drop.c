/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/drop.h"

static const char *const names[] = {
#define X(id, name, text) name,
	DROP_LIST(X)
#undef X
};
_Static_assert(array_size(names) == DROP_N, "a name for each reason");

static const char *const texts[] = {
#define X(id, name, text) text,
	DROP_LIST(X)
#undef X
};

const char *drop_name(enum drop_reason r)
{
	return names[r];
}

const char *drop_text(enum drop_reason r)
{
	return texts[r];
}
