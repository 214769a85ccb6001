"""For all tests: what is skipped and why, in which order they start, the tools they need, and a real MIT KDC."""

from __future__ import annotations

import gc
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest
import structlog

from tests.support import postgresql
from tests.support.kdc import KDC_TOOLS, SEARCH, Kdc, kdc_serving

# No test judges by the clock: a busy machine is no defect.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
# What tests run beside Python: names it may have -> the package that brings it; deploy/system-packages.sh installs them.
TOOLS = {
    ("krb5kdc",): "krb5-kdc",
    ("kdb5_util",): "krb5-kdc",
    ("kadmin.local",): "krb5-admin-server",
    ("chromium", "chromium-browser"): "chromium",
    ("curl",): "curl",
    ("git",): "git",
    ("initdb",): "postgresql",
    ("postgres",): "postgresql",
    ("pgbouncer",): "pgbouncer",
    ("systemd-analyze",): "systemd",
}
# Skips that are no gap: nothing that could be installed for a test run would change them.
FINE_SKIPS = (
    "not a git work tree",
    "ansible-core is for `make bench` only",
    "python-kemptech-api cannot be installed by today's pip",
)

# Files with a test of more than five seconds, the longest first: what starts last must be short, or the other workers
# wait for it. Only the order of magnitude counts; `pytest --durations 30` measures it.
LONGEST: tuple[str, ...] = (
    "lab/page/test_hvops_demo.py",
    "lab/page/test_reset_in_the_page.py",
    "bench/test_bench.py",
    "snapshots/test_terminal.py",
    "snapshots/test_slack.py",
    "bot/slack/changes/test_matrix.py",
    "stories/test_reset_writer.py",
    "stories/test_missing_vm.py",
    "stories/test_drain.py",
    "stories/test_audit_channel.py",
    "stories/test_audit.py",
    "stories/test_a_thousand_hosts.py",
    "stories/test_killed.py",
    "stories/test_remote_browsing.py",
    "bot/slack/changes/test_faults.py",
    "bot/executor/test_kill.py",
    "lab/page/test_demo.py",
    "bot/slack/render/test_ticket.py",
    "stories/test_stuck_writer.py",
    "stories/test_hostile_names.py",
    "lab/page/test_the_demo_ends.py",
    "stories/test_two_bots_killed.py",
    "stories/test_two_bots.py",
    "bot/transport/sites/test_harm.py",
    "stories/test_site.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails; `make test` says so")
    parser.addoption("--long", action="store_true", help="only what is marked as long; `make test-long` says so")


def pytest_configure() -> None:
    """Look for garbage seldom: thousands of tests stay in memory, and looking through them takes a sixth of all time."""
    gc.set_threshold(100_000, 20, 20)


def pytest_collection_finish() -> None:
    """The tests themselves are no garbage."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Clear away what a test leaves at its end: no later test is told of its open sockets, or masks what it called secret."""
    gc.collect(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files first, everything else as it stands; a file's tests stay together. Long ones are for --long."""
    is_wanted = bool(config.getoption("--long"))
    others = [item for item in items if (item.get_closest_marker("long") is not None) is not is_wanted]
    if others and not config.getoption("keyword") and not any("::" in str(one) for one in config.args):
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
    order = {name: place for place, name in enumerate(LONGEST)}
    root = Path(__file__).parent
    items.sort(key=lambda item: order.get(item.path.relative_to(root).as_posix(), len(order)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return fail_where_skipped((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return fail_where_skipped((yield), collector.config)


def fail_where_skipped(report: Report, config: pytest.Config) -> Report:
    """Under --no-skips a skip is a failure, unless nothing could be done about it."""
    if config.getoption("--no-skips") and report.skipped and not hasattr(report, "wasxfail"):
        why = reason(report)
        if not why.startswith(FINE_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"skipped, and a run with --no-skips leaves nothing out: {why}"
    return report


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return said.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Last of all, what a green run left out."""
    skipped = Counter(reason(report) for report in terminalreporter.stats.get("skipped", []))
    if not skipped:
        terminalreporter.write_line("Nothing was skipped.")
    for why, times in skipped.most_common():
        terminalreporter.write_line(f"Skipped {times}: {why}")


@pytest.fixture(scope="session")
def tools() -> dict[tuple[str, ...], str]:
    """All of them."""
    return TOOLS


def needed(name: str) -> str:
    """Where the tool is; without it the test fails, since a run that leaves it out proves less than it says."""
    names, package = next((names, package) for names, package in TOOLS.items() if name in names)
    found = next(
        filter(None, (shutil.which(each, path=f"{SEARCH}{os.pathsep}{postgresql.search_path()}") for each in names)),
        None,
    )
    return found or pytest.fail(f"{name} is missing. Install it: apt-get install {package}", pytrace=False)


@pytest.fixture(scope="session")
def need_tool() -> Callable[[str], str]:
    """Where a tool is that the test runs: `need_tool("curl")`."""
    return needed


@pytest.fixture(scope="session")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """Started once; ended by its own process id."""
    for name in KDC_TOOLS:
        needed(name)
    with kdc_serving(tmp_path_factory.mktemp("kdc")) as serving:
        yield serving


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[postgresql.Cluster]:
    """Started once in each test process; ended by its own process id."""
    for name in postgresql.TOOLS:
        needed(name)
    with postgresql.cluster() as serving:
        yield serving


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """Logging that a command set up in this process goes to a stream which is closed once its test is over."""
    was, root = structlog.is_configured(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    if structlog.is_configured() and not was:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)
