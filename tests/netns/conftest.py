# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures. `lab` is a fresh switch namespace; what a test makes in it is gone afterwards."""

import os
import time

import pytest

import lab as L


def pytest_addoption(parser):
    parser.addoption("--keep", action="store_true", help="keep run directories of passed tests")
    parser.addoption("--pause-on-error", action="store_true", help="wait for Enter before cleaning up")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds")


def pytest_collection_modifyitems(config, items):
    if os.geteuid() != 0:
        for i in items:
            i.add_marker(pytest.mark.skip(reason="needs root (or ./dev test netns, which makes a user namespace)"))


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
