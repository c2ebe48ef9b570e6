# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures. `lab` is a fresh switch namespace; what a test makes in it is gone afterwards.

--journal FILE: one line for each test that ended, at once (outcome, seconds, name, reason, with tabs
between them), so that a run that was cut short leaves what it found. --passed FILE leaves out what
passed or was skipped according to such a file, where the last line about a test counts.
"""

import os
import time

import pytest

import lab as L


def pytest_addoption(parser):
    parser.addoption("--keep", action="store_true", help="keep run directories of passed tests")
    parser.addoption("--journal", help="write a line for each test that ended to this file")
    parser.addoption("--passed", help="leave out what passed according to this journal")
    parser.addoption("--pause-on-error", action="store_true", help="wait for Enter before cleaning up")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds")
    config.addinivalue_line("markers", "long: left out of whole runs unless VIADUCT_LONG is set")
    if config.getoption("--journal") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Journal(config.getoption("--journal")))


class Journal:
    """Lives in the process that hears of all tests, not in its workers."""

    def __init__(self, path):
        self.path, self.seconds = path, {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid
        self.seconds[name] = self.seconds.get(name, 0) + report.duration
        if report.when == "call" or report.outcome != "passed":
            with open(self.path, "a") as f:
                print(report.outcome, round(self.seconds[name], 1), name, reason_of(report), sep="\t", file=f)


def reason_of(report):
    """One line: why a test was skipped, or what failed."""
    if report.passed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = report.longrepr[2] if report.skipped else crash.message if crash else report.longreprtext
    return " ".join(text.removeprefix("Skipped: ").split())[:500]


def is_rerun(item):
    """Of another module, run again in this one with other fixtures."""
    return item.function.__module__ != item.module.__name__


def leave_out(config, items, gone):
    config.hook.pytest_deselected(items=gone)
    items[:] = [i for i in items if i not in gone]


def pytest_collection_modifyitems(config, items):
    if not os.environ.get("VIADUCT_LONG") and not config.getoption("keyword"):
        leave_out(config, items, [i for i in items if i.get_closest_marker("long") or is_rerun(i)])
    if config.getoption("--passed"):
        with open(config.getoption("--passed")) as f:
            rows = (l.rstrip("\n").split("\t") for l in f)
            last = {r[2]: r[0] for r in rows if len(r) == 4}  # a run that was cut may leave half a line
        leave_out(config, items, [i for i in items if last.get(i.nodeid) in ("passed", "skipped")])
    for i in items:
        if L.KERNEL < (6, 8) and asks_for_xdp(i):
            i.add_marker(pytest.mark.skip(reason=L.NO_XDP))
    if os.geteuid() != 0:
        for i in items:
            i.add_marker(pytest.mark.skip(reason="needs root (or ./dev test netns, which makes a user namespace)"))


def asks_for_xdp(item):
    """Whether one of the test's parameters is the driver xdp."""
    values = getattr(item, "callspec", None) and item.callspec.params.values()
    return any("xdp" in (v if isinstance(v, tuple) else (v,)) for v in values or ())


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture
def lab(request):
    lab = L.Lab(keep=request.config.getoption("--keep"))
    try:
        yield lab
        died = [d for d in lab.daemons if d.proc.poll() not in (None, 0, -9) and not getattr(d, "may_fail", False)]
        assert not died, f"viaductd ended with {died[0].proc.returncode}\n{died[0].log_text()}"
        bad = [d for d in lab.daemons if "Sanitizer" in d.log_text() or "runtime error" in d.log_text()]
        assert not bad, bad[0].log_text()
    finally:
        report = getattr(request.node, "report_call", None)
        if report and report.failed:
            print(f"\nwhat is left of the failed test: {lab.failed()}")
            if request.config.getoption("--pause-on-error"):
                capture = request.config.pluginmanager.getplugin("capturemanager")
                capture.suspend_global_capture(in_=True)
                input(f"namespaces {[n.name for n in lab.spaces]}; Enter cleans up: ")
                capture.resume_global_capture()
        lab.close()


@pytest.fixture
def daemon(lab):
    return lab.daemon()
