/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole commands against a daemon that answers from a list, and options. */
#include "cli/cli.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/batch.h"
#include "cli/commands.h"
#include "cli/options.h"

/* What the daemon answers to each request, %d being its id; the first that matches. */
struct answer {
	const char *request, *text;
};

static const struct answer answers[] = {
	{"bridge.show",
	 "{\"id\":%d,\"row\":{\"ifname\":\"br0\",\"kernel\":false,\"ports\":[\"a\",\"b\"],\"mtu\":"
	 "1500,"
	 "\"operstate\":\"UP\",\"address\":\"02:00:00:00:00:01\","
	 "\"linkinfo\":{\"info_data\":{\"bridge_id\":\"8000.02:00:00:00:00:01\"}}}}\n"
	 "{\"id\":%d,\"row\":{\"ifname\":\"k0\",\"kernel\":true,\"ports\":[]}}\n"
	 "{\"id\":%d,\"end\":true,\"rows\":2}\n"},
	{"port.show",
	 "{\"id\":%d,\"row\":{\"ifname\":\"br0\",\"master\":\"br0\",\"port_no\":1,\"host\":true,"
	 "\"driver\":\"tap\"}}\n"
	 "{\"id\":%d,\"row\":{\"ifname\":\"a\",\"master\":\"br0\",\"port_no\":2,\"state\":"
	 "\"forwarding\","
	 "\"operstate\":\"UP\",\"mtu\":1500,"
	 "\"linkinfo\":{\"info_slave_data\":{\"hairpin\":true,\"flood\":false}}}}\n"
	 "{\"id\":%d,\"end\":true,\"rows\":2}\n"},
	{"fdb.show",
	 "{\"id\":%d,\"row\":{\"mac\":\"02:00:00:00:00:0a\",\"ifname\":\"a\",\"master\":\"br0\","
	 "\"flags\":[],\"state\":\"\",\"age\":12}}\n"
	 "{\"id\":%d,\"row\":{\"mac\":\"02:00:00:00:00:02\",\"ifname\":\"a\",\"master\":\"br0\","
	 "\"flags\":[],\"state\":\"permanent\",\"age\":0,\"vlan\":7}}\n"
	 "{\"id\":%d,\"end\":true,\"rows\":2}\n"},
	{"drops", "{\"id\":%d,\"end\":true,\"rows\":0}\n"},
	{"bridge.del", "{\"id\":%d,\"error\":{\"code\":200,\"name\":\"E_BRIDGE_NONE\","
		       "\"text\":\"bridge x: no such bridge\",\"hint\":\"viaduct show\"}}\n"},
	{"", "{\"id\":%d,\"result\":{}}\n"},
};

struct fixture {
	char dir[64], path[96];
	int listener;
	pthread_t thread;
	char requests[4096];
};

static struct fixture fx;

static void serve(FILE *f)
{
	char line[1024];
	int id = 0;

	fputs("{\"viaduct\":\"0.1.0\",\"protocol\":1,\"pid\":1,\"netns\":0}\n", f);
	fflush(f);
	while (fgets(line, sizeof(line), f)) {
		const struct answer *a = answers;

		strncat(fx.requests, line, sizeof(fx.requests) - strlen(fx.requests) - 1);
		while (!strstr(line, a->request))
			a++;
		id++;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		fprintf(f, a->text, id, id, id);
#pragma GCC diagnostic pop
		fflush(f);
	}
}

static void *fake_main(void *arg)
{
	int fd;

	while ((fd = accept(fx.listener, NULL, NULL)) >= 0) {
		FILE *f = fdopen(fd, "r+");

		if (f) {
			serve(f);
			fclose(f);
		}
	}
	return NULL;
}

static int start(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	strcpy(fx.dir, "/tmp/viaduct-cli-test-XXXXXX");
	if (!mkdtemp(fx.dir))
		return -1;
	snprintf(fx.path, sizeof(fx.path), "%s/control.sock", fx.dir);
	strcpy(sa.sun_path, fx.path);
	fx.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(fx.listener, (struct sockaddr *)&sa, sizeof(sa)) || listen(fx.listener, 4))
		return -1;
	return pthread_create(&fx.thread, NULL, fake_main, NULL);
}

static int end(void **state)
{
	shutdown(fx.listener, SHUT_RDWR);
	pthread_join(fx.thread, NULL);
	close(fx.listener);
	unlink(fx.path);
	return rmdir(fx.dir);
}

/* Output of a command line, static; the exit code must be as expected. */
static const char *run(const char *line, int expected)
{
	static char *text;
	struct cli c = {.table = commands};
	char copy[256], bad[256], *words[32];
	size_t size;
	int n;

	free(text);
	text = NULL;
	c.out = open_memstream(&text, &size);
	snprintf(copy, sizeof(copy), "%s", line);
	n = batch_split(copy, words, 32);
	assert_int_equal(options_take(&c, &n, words, bad, sizeof(bad)), OPTIONS_OK);
	if (!c.run_dir)
		c.run_dir = fx.dir;
	assert_int_equal(cli_run(&c, n, words), expected);
	viaduct_close(c.conn);
	fclose(c.out);
	return text;
}

static void show(void **state)
{
	assert_string_equal(run("show", CLI_OK),
			    "bridge name  bridge id          STP enabled  interfaces\n"
			    "br0          8000.020000000001  no           a\n"
			    "                                             b\n"
			    "\n"
			    "not adopted (bridges of the kernel):\n"
			    "k0                              no\n");
	assert_non_null(strstr(run("-j show k0", CLI_OK), "[{\"ifname\":\"k0\",\"kernel\":true"));
	run("show nosuch", CLI_FAILED);
}

static void showmacs(void **state)
{
	assert_string_equal(run("showmacs br0", CLI_OK),
			    "port no  mac addr           is local?  ageing timer\n"
			    "      2  02:00:00:00:00:02  yes                0.00\n"
			    "      2  02:00:00:00:00:0a  no                12.00\n");
}

static void fdb(void **state)
{
	assert_string_equal(run("fdb show", CLI_OK),
			    "address            dev  bridge  vlan  state       seen\n"
			    "02:00:00:00:00:0a  a    br0        -  learned  12s ago\n"
			    "02:00:00:00:00:02  a    br0        7  local\n");
	json_t *j = json_loads(run("-j fdb show", CLI_OK), 0, NULL);

	assert_int_equal(json_array_size(j), 2);
	json_decref(j);
	j = json_loads(run("-p fdb show dev a", CLI_OK), 0, NULL);
	assert_int_equal(json_array_size(j), 2);
	json_decref(j);
	assert_non_null(strstr(fx.requests, "\"cmd\":\"fdb.show\",\"args\":{\"port\":\"a\"}"));
}

static void link_show(void **state)
{
	const char *text = run("-d link show a", CLI_OK);
	json_t *j;

	assert_non_null(strstr(text, "a: port 2 of br0, UP"));
	assert_non_null(strstr(text, "    hairpin_mode         1\n"));
	assert_non_null(strstr(text, "    unicast_flood        0\n"));
	/* The bridge and its own port are one link, and the kernel's bridge is not ours. */
	j = json_loads(run("-j link show", CLI_OK), 0, NULL);
	assert_int_equal(json_array_size(j), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(j, 0), "driver")),
			    "tap");
	json_decref(j);
}

static void empty_lists(void **state)
{
	assert_string_equal(run("drops", CLI_OK), "no drops\n");
	assert_string_equal(run("-j drops", CLI_OK), "[]\n");
}

static void errors_as_json(void **state)
{
	assert_string_equal(run("-j delbr x", CLI_FAILED),
			    "{\"error\":{\"code\":200,\"name\":\"E_BRIDGE_NONE\","
			    "\"text\":\"bridge x: no such bridge\",\"hint\":\"viaduct show\"}}\n");
	assert_non_null(strstr(run("-j addbrr x", CLI_USAGE), "\"name\":\"E_COMMAND\""));
	assert_non_null(strstr(run("-j addbr", CLI_USAGE), "\"name\":\"E_ARGS\""));
	assert_non_null(strstr(run("-j --run-dir /nonexistent stats", CLI_NO_DAEMON),
			       "\"code\":107,\"name\":\"E_NO_DAEMON\""));
}

static void requests(void **state)
{
	static const char *const want[][2] = {
		{"delif br0 tap:a", "\"port.del\",\"args\":{\"bridge\":\"br0\",\"port\":\"a\"}"},
		{"addif br0 pcap:/x/some.file.pcap",
		 "{\"bridge\":\"br0\",\"port\":\"some\",\"file\":\"/x/some.file.pcap\","
		 "\"driver\":\"pcap\"}"},
		{"addif br0 tap:vm0", "{\"bridge\":\"br0\",\"port\":\"vm0\",\"tap\":true}"},
		{"link set a nomaster", "\"port.del\",\"args\":{\"port\":\"a\"}"},
		{"link set a isolated on",
		 "\"port.set\",\"args\":{\"isolated\":true,\"port\":\"a\"}"},
		{"link set br0 mtu 9000",
		 "\"bridge.set\",\"args\":{\"mtu\":9000,\"bridge\":\"br0\"}"},
		{"link set br0 type bridge group_fwd_mask 0x10",
		 "\"bridge.set\",\"args\":{\"group_fwd_mask\":16,\"bridge\":\"br0\"}"},
		{"fdb add 2:0:0:0:0:1 dev a master", "\"fdb.add\",\"args\":{\"mac\":\"2:0:0:0:0:"
						     "1\",\"port\":\"a\",\"kind\":\"static\"}"},
		{"fdb replace 2:0:0:0:0:1 dev a sticky", "\"kind\":\"sticky\",\"replace\":true}"},
		{"fdb flush dev a", "\"fdb.flush\",\"args\":{\"port\":\"a\",\"bridge\":\"br0\"}"},
		{"rule add br0 forward drop in a vlan 7 filter 'tcp port 23'",
		 "\"rule.add\",\"args\":{\"bridge\":\"br0\",\"hook\":\"forward\",\"verdict\":"
		 "\"drop\","
		 "\"in\":\"a\",\"vlan\":7,\"filter\":\"tcp port 23\"}"},
		{"rule del br0 local_in all", "\"rule.del\",\"args\":{\"bridge\":\"br0\",\"hook\":"
					      "\"local_in\",\"name\":\"all\"}"},
		{"mirror add br0 ids to tap:m rx a,b snap 64 replace",
		 "\"mirror.add\",\"args\":{\"bridge\":\"br0\",\"name\":\"ids\",\"to\":\"tap:m\","
		 "\"rx\":\"a,b\",\"snap\":64,\"replace\":true}"},
		{"log all debug", "\"log.set\",\"args\":{\"level\":\"debug\"}"},
		{"drops br0 all", "\"drops\",\"args\":{\"bridge\":\"br0\",\"all\":true}"},
		{"drops br0 a", "\"drops\",\"args\":{\"bridge\":\"br0\",\"port\":\"a\"}"},
	};

	for (size_t i = 0; i < array_size(want); i++) {
		fx.requests[0] = '\0';
		run(want[i][0], CLI_OK);
		if (!strstr(fx.requests, want[i][1]))
			fail_msg("%s sent %s", want[i][0], fx.requests);
	}
	run("link set a", CLI_USAGE);
}

static int take(struct cli *c, const char *line, int *ret_left, char **words)
{
	static char copy[256], text[256];

	memset(c, 0, sizeof(*c));
	snprintf(copy, sizeof(copy), "%s", line);
	*ret_left = batch_split(copy, words, 16);
	return options_take(c, ret_left, words, text, sizeof(text));
}

static void global_options(void **state)
{
	struct cli c;
	char *words[16];
	int n;

	assert_int_equal(take(&c, "-jd link show -s --run-dir /x -n blue", &n, words), OPTIONS_OK);
	assert_true(c.json && c.details && c.stats && !c.pretty);
	assert_string_equal(c.run_dir, "/x");
	assert_string_equal(c.netns, "blue");
	assert_int_equal(n, 2);
	assert_string_equal(words[1], "show");
	assert_int_equal(take(&c, "-details -c=always --run-dir=/y -batch - -force", &n, words),
			 OPTIONS_OK);
	assert_true(c.details && c.color && c.force);
	assert_string_equal(c.batch, "-");
	assert_string_equal(c.run_dir, "/y");
	assert_int_equal(take(&c, "-- addbr -j", &n, words), OPTIONS_OK);
	assert_false(c.json);
	assert_int_equal(n, 2);
	assert_int_equal(take(&c, "setageing br0 -5", &n, words), OPTIONS_OK);
	assert_int_equal(n, 3);
	assert_int_equal(take(&c, "-V", &n, words), OPTIONS_VERSION);
	assert_int_equal(take(&c, "addif --help", &n, words), OPTIONS_HELP);
	assert_int_equal(take(&c, "drops br0 --watch", &n, words), OPTIONS_OK);
	assert_true(c.watch_s == 1 && n == 2);
	assert_int_equal(take(&c, "drops --watch 5 br0", &n, words), OPTIONS_OK);
	assert_true(c.watch_s == 5 && n == 2);
	assert_int_equal(take(&c, "drops --watch=0.5 br0", &n, words), OPTIONS_OK);
	assert_true(c.watch_s == 0.5 && n == 2);
	assert_int_equal(take(&c, "drops --watch=0", &n, words), OPTIONS_E_BAD);
	assert_int_equal(take(&c, "drops --watch 5x", &n, words), OPTIONS_E_BAD);
	assert_int_equal(take(&c, "drops --watch=1e9", &n, words), OPTIONS_E_BAD);
	assert_int_equal(take(&c, "-x", &n, words), OPTIONS_E_BAD);
	assert_int_equal(take(&c, "--nonsense", &n, words), OPTIONS_E_BAD);
	assert_int_equal(take(&c, "-c=pink", &n, words), OPTIONS_E_BAD);
	assert_int_equal(take(&c, "--json=1", &n, words), OPTIONS_E_BAD);
	assert_int_equal(take(&c, "show -n", &n, words), OPTIONS_E_BAD);
}

/* The manual has every command, with the usage line that the parser's table gives. */
static void manual_is_complete(void **state)
{
	char usage[1024], line[1024], *text = NULL;
	FILE *f = fopen(MANUAL, "r");
	size_t size = 0, n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		text = realloc(text, size = n + strlen(line) + 1);
		/* Without scdoc's marks. */
		for (const char *p = line; *p; p++)
			if (*p == '\\')
				text[n++] = *++p;
			else if (*p != '*' && (*p != '_' || (p > line && p[-1] != ' ' &&
							     p[1] >= 'a' && p[1] <= 'z')))
				text[n++] = *p;
	}
	fclose(f);
	text[n] = '\0';
	for (const struct command *c = commands; c->name; c++) {
		parse_usage(c, usage, sizeof(usage));
		if (!c->hidden && !strstr(text, usage))
			fail_msg("%s has not: %s", MANUAL, usage);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(show),
		cmocka_unit_test(showmacs),
		cmocka_unit_test(fdb),
		cmocka_unit_test(link_show),
		cmocka_unit_test(empty_lists),
		cmocka_unit_test(errors_as_json),
		cmocka_unit_test(requests),
		cmocka_unit_test(global_options),
		cmocka_unit_test(manual_is_complete),
	};

	return cmocka_run_group_tests(tests, start, end);
}
