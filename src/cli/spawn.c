/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "wire/msg.h"

/* Where programs lie from the directory of this one: build tree, bin/ beside sbin/. */
static const char *const beside[] = {"", "../sbin/", "../libexec/"};

/* Writes the path to try to buf; a bare name when only PATH is left. */
static const char *find_program(const char *name, char *buf, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		for (size_t i = 0; slash && i < array_size(beside); i++) {
			snprintf(buf, size, "%.*s/%s%s", (int)(slash - self), self, beside[i],
				 name);
			if (access(buf, X_OK) == 0)
				return buf;
		}
	}
	snprintf(buf, size, "%s", name);
	return buf;
}

static const char *find_daemon(char *buf, size_t size)
{
	return find_program("viaductd", buf, size);
}

static void reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

/* In the child: becomes viaductd or tells the parent why not. err: its stderr, -1 = ours. */
static _Noreturn void become_daemon(const char *const *argv, const char *log, int err, int report)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && err < 0)
		dup2(fd, STDIN_FILENO);
	fd = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : err;
	if (fd >= 0)
		dup2(fd, STDERR_FILENO);
	/* stdout may be a pipe that somebody reads to its end. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execvp(argv[0], (char *const *)argv);
	fd = errno;
	if (write(report, &fd, sizeof(fd)) < 0)
		_exit(126);
	_exit(127);
}

/*
 * Forks argv. log: it stays in the foreground and writes there. err_fd: it keeps our stdin, and
 * writes errors there; -1 = neither. 0 and *ret_pid, or the errno of fork, pipe or exec.
 */
static int spawn(const char *const *argv, const char *log, int err_fd, pid_t *ret_pid)
{
	pid_t parent = getpid(), pid;
	int report[2], err = 0;

	if (pipe2(report, O_CLOEXEC) < 0)
		return errno;
	pid = fork();
	if (pid == 0) {
		reset_signals();
		if (log) {
			setpgid(0, 0); /* ctrl-C is for the parent, which ends it in order */
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			if (getppid() != parent)
				_exit(127);
		}
		become_daemon(argv, log, err_fd, report[1]);
	}
	if (pid < 0)
		err = errno;
	close(report[1]);
	/* Closed by a successful exec; otherwise the errno comes out. */
	if (pid > 0 && read(report[0], &err, sizeof(err)) != sizeof(err))
		err = 0;
	close(report[0]);
	if (err && pid > 0)
		waitpid(pid, NULL, 0);
	else
		*ret_pid = pid;
	return err;
}

static int not_started(struct cli *c, const char *path, int err)
{
	cli_fail(c, VIADUCT_E_NO_DAEMON, NULL, "viaductd: cannot be started (%s: %s)", path,
		 strerror(err));
	return CLI_NO_DAEMON;
}

int spawn_background(struct cli *c)
{
	char path[PATH_MAX] = "";
	const char *argv[] = {find_daemon(path, sizeof(path)), "--daemonize", "--run-dir",
			      viaduct_run_dir(c->run_dir), NULL};
	int status, err;
	pid_t pid = -1;

	err = spawn(argv, NULL, -1, &pid);
	if (err)
		return not_started(c, path, err);
	/* It goes to the background when it is ready. */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return CLI_OK;
	if (WIFEXITED(status))
		cli_fail(c, VIADUCT_E_NO_DAEMON, NULL, "viaductd: did not start (exit status %d)",
			 WEXITSTATUS(status));
	else
		cli_fail(c, VIADUCT_E_NO_DAEMON, NULL, "viaductd: did not start (signal %d)",
			 WTERMSIG(status));
	return CLI_NO_DAEMON;
}

int spawn_check(struct cli *c, const char *file)
{
	char path[PATH_MAX] = "";
	const char *argv[] = {find_daemon(path, sizeof(path)), "--check",
			      strcmp(file, "-") ? file : "/dev/stdin", NULL};
	int status, err, text[2];
	char said[1024];
	size_t n = 0;
	ssize_t got;
	pid_t pid = -1;

	if (pipe2(text, O_CLOEXEC) < 0)
		return not_started(c, path, errno);
	err = spawn(argv, NULL, text[1], &pid);
	close(text[1]);
	while (!err && n < sizeof(said) - 1 &&
	       (got = read(text[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	close(text[0]);
	if (err)
		return not_started(c, path, err);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	said[n] = '\0';
	said[strcspn(said, "\n")] = '\0';
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return CLI_OK;
	return cli_fail(c, CTL_E_CONFIG, NULL, "%s", n ? said : "viaductd: did not answer");
}

int spawn_foreground(struct cli *c, const char *run_dir, pid_t *ret_pid)
{
	char path[PATH_MAX] = "", log[PATH_MAX + 32];
	const char *argv[] = {find_daemon(path, sizeof(path)), "--run-dir", run_dir, NULL};
	int err;

	snprintf(log, sizeof(log), "%s/viaductd.log", run_dir);
	err = spawn(argv, log, -1, ret_pid);
	return err ? not_started(c, path, err) : CLI_OK;
}

/* In the child. Signals of the terminal come to it as well: it ends in order then. */
static _Noreturn void become_ktrace(const char *const *argv, pid_t parent, int out, int report)
{
	int err = open("/dev/null", O_RDWR | O_CLOEXEC);

	reset_signals();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	if (err >= 0)
		dup2(err, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	execvp(argv[0], (char *const *)argv);
	err = errno;
	if (write(report, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

int spawn_ktrace(struct cli *c, const char **argv, int *ret_fd, pid_t *ret_pid)
{
	char path[PATH_MAX] = "";
	pid_t parent = getpid(), pid = -1;
	int out[2], report[2], err = 0;

	argv[0] = find_program("viaduct-ktrace", path, sizeof(path));
	if (pipe2(out, O_CLOEXEC) < 0)
		return cli_fail(c, VIADUCT_E_INTERNAL, NULL, "viaduct-ktrace: %s", strerror(errno));
	if (pipe2(report, O_CLOEXEC) == 0) {
		pid = fork();
		if (pid == 0)
			become_ktrace(argv, parent, out[1], report[1]);
		err = pid < 0 ? errno : 0;
		close(report[1]);
		/* Closed by a successful exec; otherwise the errno comes out. */
		if (pid > 0 && read(report[0], &err, sizeof(err)) != sizeof(err))
			err = 0;
		close(report[0]);
	} else {
		err = errno;
	}
	close(out[1]);
	if (!err) {
		*ret_fd = out[0];
		*ret_pid = pid;
		return CLI_OK;
	}
	close(out[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return cli_fail(
		c, VIADUCT_E_INTERNAL, NULL,
		"viaduct-ktrace: cannot be started (%s: %s); it follows frames through the kernel",
		argv[0], strerror(err));
}
