/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds the files of a folder to a fuzz target, one after the other, for machines and builds
 * without libFuzzer. Each input lies in a block of exactly its size, so that ASan sees reads past
 * the end. The name of a file that makes it crash is the last one printed with -v.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_INPUT (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	uint8_t *buf = malloc(SIZE_MAX_INPUT), *exact;
	FILE *f = fopen(path, "re");
	size_t n;

	if (!buf || !f) {
		perror(path);
		return 1;
	}
	n = fread(buf, 1, SIZE_MAX_INPUT, f);
	fclose(f);
	exact = malloc(n ? n : 1);
	if (!exact)
		return 1;
	memcpy(exact, buf, n);
	free(buf);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	const char *dir = argv[1 + verbose];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	if (!dir) {
		fprintf(stderr, "usage: %s [-v] FOLDER\n", argv[0]);
		return 2;
	}
	d = opendir(dir);
	if (!d) {
		perror(dir);
		return 1;
	}
	while ((e = readdir(d))) {
		char path[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (verbose)
			fprintf(stderr, "%s\n", path);
		if (replay(path))
			return 1;
		n++;
	}
	closedir(d);
	printf("%u inputs\n", n);
	return n ? 0 : 1; /* an empty corpus tests nothing */
}
