/* SPDX-License-Identifier: BSD-2-Clause */
#include "viaduct.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/compiler.h"

/* A daemon that says what a test wrote down: the greeting, then one canned answer per request. */
struct fake {
	char dir[64];
	int listener;
	pthread_t thread;
	const char *const *script; /* NULL-terminated; [0] is the greeting */
	char request[4096];        /* all that the client sent */
	unsigned int n_fds;        /* that go with each line */
};

#define GREETING "{\"viaduct\":\"0.1.0\",\"protocol\":1,\"pid\":812,\"netns\":77}\n"

/* Half a line, with the read ends of pipes. */
static ssize_t send_half(const struct fake *f, int fd, const char *line)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control = {0};
	struct iovec iov = {(char *)line, strlen(line) / 2};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[8];
	ssize_t r;

	for (unsigned int i = 0; i < f->n_fds; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	if (f->n_fds) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(f->n_fds * sizeof(int));
		control.h = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
					     .cmsg_type = SCM_RIGHTS,
					     .cmsg_len = CMSG_LEN(f->n_fds * sizeof(int))};
		memcpy(CMSG_DATA(&control.h), fds, f->n_fds * sizeof(int));
	}
	r = sendmsg(fd, &m, MSG_NOSIGNAL);
	for (unsigned int i = 0; i < f->n_fds; i++)
		close(fds[i]);
	return r;
}

static void *fake_main(void *arg)
{
	struct fake *f = arg;
	int fd = accept(f->listener, NULL, NULL);
	size_t have = 0;

	for (const char *const *line = f->script; *line; line++) {
		ssize_t n = 0;

		if (line != f->script)
			n = read(fd, f->request + have, sizeof(f->request) - 1 - have);
		if (n > 0)
			have += (size_t)n;
		/* In two pieces: the client has to put lines together. */
		if (send_half(f, fd, *line) < 0)
			break;
		usleep(1000);
		if (write(fd, *line + strlen(*line) / 2, strlen(*line) - strlen(*line) / 2) < 0)
			break;
	}
	close(fd);
	return NULL;
}

static void fake_start_fds(struct fake *f, const char *const *script, unsigned int n_fds)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	memset(f, 0, sizeof(*f));
	f->script = script;
	f->n_fds = n_fds;
	strcpy(f->dir, "/tmp/viaduct-ctl-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/control.sock", f->dir);
	f->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(f->listener, 1), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
}

static void fake_start(struct fake *f, const char *const *script)
{
	fake_start_fds(f, script, 0);
}

static void fake_stop(struct fake *f)
{
	char path[96];

	pthread_join(f->thread, NULL);
	close(f->listener);
	snprintf(path, sizeof(path), "%s/control.sock", f->dir);
	unlink(path);
	rmdir(f->dir);
}

static int n_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Descriptors come with the answer; what nobody asked for, or is too much, is closed. */
static void descriptors(void **state)
{
	static const char *const script[] = {
		GREETING, "{\"id\":1,\"result\":{\"a\":1}}\n", "{\"id\":2,\"result\":{}}\n",
		"{\"id\":3,\"error\":{\"code\":230,\"name\":\"E_VALUE\","
		"\"text\":\"no\"}}\n",
		NULL};
	const int before = n_open();
	struct viaduct_error err;
	int fds[2] = {-1, -1};
	unsigned int n = 2;
	struct viaduct *v;
	struct fake f;
	json_t *result;

	fake_start_fds(&f, script, 3);
	assert_int_equal(viaduct_open(f.dir, &v, &err), 0);
	assert_int_equal(viaduct_call_fds(v, "x", NULL, &result, fds, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_true(fcntl(fds[0], F_GETFD) == FD_CLOEXEC && fcntl(fds[1], F_GETFD) == FD_CLOEXEC);
	assert_int_equal(json_integer_value(json_object_get(result, "a")), 1);
	json_decref(result);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(viaduct_call(v, "x", NULL, NULL, NULL, NULL, &err), 0);
	n = 2;
	assert_int_equal(viaduct_call_fds(v, "x", NULL, &result, fds, &n, &err), 230);
	assert_int_equal(n, 0);
	viaduct_close(v);
	fake_stop(&f);
	assert_int_equal(n_open(), before);
}

static void no_daemon_is_named(void **state)
{
	struct viaduct_error err;
	struct viaduct *v = NULL;

	assert_int_equal(viaduct_open("/nonexistent/dir", &v, &err), VIADUCT_E_NO_DAEMON);
	assert_null(v);
	assert_string_equal(err.name, "E_NO_DAEMON");
	assert_non_null(strstr(err.text, "/nonexistent/dir/control.sock"));
}

static void too_long_a_run_dir(void **state)
{
	char dir[200];
	struct viaduct_error err;
	struct viaduct *v;

	memset(dir, 'x', sizeof(dir));
	dir[sizeof(dir) - 1] = '\0';
	assert_int_equal(viaduct_open(dir, &v, &err), 230);
	assert_non_null(strstr(err.text, "too long"));
}

static void run_dir_order(void **state)
{
	unsetenv("VIADUCT_RUN_DIR");
	assert_string_equal(viaduct_run_dir(NULL), "/run/viaduct");
	setenv("VIADUCT_RUN_DIR", "/run/other", 1);
	assert_string_equal(viaduct_run_dir(NULL), "/run/other");
	assert_string_equal(viaduct_run_dir(""), "/run/other");
	assert_string_equal(viaduct_run_dir("/x"), "/x");
	unsetenv("VIADUCT_RUN_DIR");
}

static void result_rows_and_error(void **state)
{
	static const char *const script[] = {
		GREETING,
		"{\"id\":1,\"result\":{\"flushed\":3}}\n",
		"{\"id\":2,\"row\":{\"ifname\":\"a\"}}\n{\"id\":2,\"row\":{\"ifname\":\"b\"}}\n"
		"{\"id\":2,\"end\":true,\"rows\":2}\n",
		"{\"id\":3,\"error\":{\"code\":211,\"name\":\"E_PORT_MEMBER\","
		"\"text\":\"port v: already a member of br0\",\"hint\":\"viaduct delif br0 v\"}}\n",
		NULL,
	};
	struct viaduct_error err;
	struct viaduct *v;
	struct fake f;
	json_t *j;

	fake_start(&f, script);
	assert_int_equal(viaduct_open(f.dir, &v, &err), 0);
	assert_int_equal(viaduct_info(v)->pid, 812);
	assert_int_equal(viaduct_info(v)->netns, 77);
	assert_string_equal(viaduct_info(v)->version, "0.1.0");

	assert_int_equal(viaduct_call(v, "fdb.flush", json_pack("{s:s}", "bridge", "br0"), NULL,
				      NULL, &j, &err),
			 0);
	assert_int_equal(json_integer_value(json_object_get(j, "flushed")), 3);
	json_decref(j);

	assert_int_equal(viaduct_rows(v, "port.show", NULL, &j, &err), 0);
	assert_int_equal(json_array_size(j), 2);
	json_decref(j);

	assert_int_equal(viaduct_call(v, "port.add", NULL, NULL, NULL, NULL, &err), 211);
	assert_string_equal(err.name, "E_PORT_MEMBER");
	assert_string_equal(err.text, "port v: already a member of br0");
	assert_string_equal(err.hint, "viaduct delif br0 v");

	/* The script is over: the connection is closed, which is an error and no crash. */
	assert_int_equal(viaduct_call(v, "status", NULL, NULL, NULL, NULL, &err),
			 VIADUCT_E_NO_DAEMON);
	viaduct_close(v);
	fake_stop(&f);
	assert_non_null(strstr(f.request, "{\"id\":1,\"cmd\":\"fdb.flush\","
					  "\"args\":{\"bridge\":\"br0\"}}\n"));
}

static void strangers_are_refused(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 400 Bad Request\n",
		"[]\n",
		"{\"id\":1,\"result\":{}}\n",
		"{\"viaduct\":\"9.0\",\"protocol\":99,\"pid\":1,\"netns\":1}\n",
		"",
	};

	for (size_t i = 0; i < array_size(answers); i++) {
		const char *const script[] = {answers[i], NULL};
		struct viaduct_error err = {0};
		struct viaduct *v = NULL;
		struct fake f;

		fake_start(&f, script);
		assert_int_not_equal(viaduct_open(f.dir, &v, &err), 0);
		assert_null(v);
		assert_true(err.text[0]);
		fake_stop(&f);
	}
}

static void events_and_timeout(void **state)
{
	static const char *const script[] = {
		GREETING,
		"{\"id\":1,\"result\":{}}\n{\"id\":1,\"event\":{\"kind\":\"new\"}}\n",
		NULL,
	};
	static const char *const groups[] = {"fdb", NULL};
	struct viaduct_error err;
	struct viaduct *v;
	struct fake f;
	json_t *e;

	fake_start(&f, script);
	assert_int_equal(viaduct_open(f.dir, &v, &err), 0);
	assert_int_equal(viaduct_event(v, 1, &e, &err), 0);
	assert_null(e);
	assert_int_equal(viaduct_watch(v, groups, &err), 0);
	assert_int_equal(viaduct_event(v, 2000, &e, &err), 0);
	assert_string_equal(json_string_value(json_object_get(e, "kind")), "new");
	json_decref(e);
	assert_int_equal(viaduct_event(v, 2000, &e, &err), VIADUCT_E_NO_DAEMON);
	assert_null(e);
	viaduct_close(v);
	fake_stop(&f);
	assert_non_null(strstr(f.request, "{\"groups\":[\"fdb\"]}"));
}

/* Events of another request are not of this one; the result is the last. */
static void an_answer_that_goes_on(void **state)
{
	static const char *const script[] = {
		GREETING,
		"{\"id\":9,\"event\":{\"x\":0}}\n{\"id\":1,\"event\":{\"x\":1}}\n"
		"{\"id\":1,\"event\":{\"x\":2}}\n{\"id\":1,\"result\":{\"n\":2}}\n",
		"{\"id\":2,\"error\":{\"code\":270,\"name\":\"E_TRACE_BUSY\",\"text\":\"busy\"}}\n",
		NULL};
	struct viaduct_error err;
	struct viaduct *v = NULL;
	json_t *event, *result;
	struct fake f;

	fake_start(&f, script);
	assert_int_equal(viaduct_open(f.dir, &v, &err), 0);
	assert_int_equal(viaduct_start(v, "trace.start", json_pack("{s:i}", "count", 2), &err), 0);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(viaduct_next(v, 2000, &event, &result, &err), 0);
		assert_null(result);
		assert_int_equal(json_integer_value(json_object_get(event, "x")), i);
		json_decref(event);
	}
	assert_int_equal(viaduct_next(v, 2000, &event, &result, &err), 0);
	assert_null(event);
	assert_int_equal(json_integer_value(json_object_get(result, "n")), 2);
	json_decref(result);
	assert_int_equal(viaduct_next(v, 1, &event, &result, &err), 0);
	assert_true(!event && !result);
	assert_int_equal(viaduct_start(v, "trace.start", NULL, &err), 0);
	assert_int_equal(viaduct_next(v, 2000, &event, &result, &err), 270);
	assert_string_equal(err.text, "busy");
	assert_int_equal(viaduct_next(v, 2000, &event, &result, &err), VIADUCT_E_NO_DAEMON);
	viaduct_close(v);
	fake_stop(&f);
	assert_non_null(strstr(f.request, "\"cmd\":\"trace.start\",\"args\":{\"count\":2}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors),           cmocka_unit_test(no_daemon_is_named),
		cmocka_unit_test(too_long_a_run_dir),    cmocka_unit_test(run_dir_order),
		cmocka_unit_test(result_rows_and_error), cmocka_unit_test(strangers_are_refused),
		cmocka_unit_test(events_and_timeout),    cmocka_unit_test(an_answer_that_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
