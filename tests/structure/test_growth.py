"""No host, cluster, service or database makes the work of a command grow with the square of what it tells.

Each line is asked once in the practice environment; what was told is then made many times as long in several ways, and the lines of
code that run are counted, function by function. Nothing here looks at a clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from grown_answers import Growth, Recorded, grows_too_much, record, small

from bot.cli import lab_plugin
from bot.config.settings import load
from bot.dispatch.registry import Registry
from bot.services import Services, build_services

COPIES = 4, 16
# Four times as long an answer may take five times the lines, for lists are sorted as well; sixteen times is the square.
MOST = 7.0
LEAST = 1_000  # lines: what takes fewer says nothing of how it grows
LINES = {
    "stuck-writer-job-dead": (
        "/check-boot-layout prod",
        "/check-guest-login hv03",
        "/check-host-access hv03",
        "/check-integration-services prod",
        "/check-redirects http://shop.lab/",
        "/check-storvsc-risk prod",
        "/check-time-skew prod",
        "/check-writers prod",
        "/drain-node hv03",
        "/find-full-guests prod",
        "/find-missing-vms vmm",
        "/fix-kb-drift prod kb5016622",
        "/fix-missing-vm erp-01",
        "/fix-remote-browsing hv02",
        "/prove-migration crm-04 --to hv02",
        "/redeploy-uefi hv05",
        "/reset-writer hv03",
        "/restart-service hv03 BITS",
        "/resume-backup 48211",
        "/resume-node hv03",
        "/soak-migrations crm-04 200 --between hv06 hv02",
        "/verify-kb-drift prod",
    ),
    "drill": ("/check-continuity crm", "/drill crm"),
    "host-header-check": (
        "/check-load-balancer lm01",
        "/check-virtual-service lm01",
        "/fix-health-check lm01 ntrip --host ntrip.surveyor.example",
    ),
}
EVERY = [line for lines in LINES.values() for line in lines]
# Of each function that may grow with the square of something: of what, and why that is short.
SHORT = {
    "commands/clocks/compare.py": "nodes of one cluster are compared with each other: 128 at most (MAX_NODES)",
    "bot/transport/bounds.py": "of an answer no more is looked at than some 64,000 characters (is_longer)",
    "commands/patches/levels.py": "nodes of one cluster are compared with each other: 128 at most (MAX_NODES)",
}
# Of each node that is to be fixed all is judged that a drain of it would need, for each is drained: 128 at most. Beside the loop.
FOR_EACH_NODE = {("/fix-kb-drift prod kb5016622", Growth.HOSTS)}


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Iterator[Callable[[str], Recorded]]:
    """What was asked and told for a line, of a small part of the practice environment.

    Each test process starts only the stories of its own lines, and asks only these.
    """
    with contextlib.ExitStack() as stack:

        @functools.cache
        def services(story: str) -> Services:
            running = stack.enter_context(lab_plugin.find().start(story, tmp_path_factory.mktemp(story)))
            return stack.enter_context(build_services(load(running.settings_path)))

        def ask(line: str) -> Recorded:
            story = next(story for story, lines in LINES.items() if line in lines)
            return small(asyncio.run(record(services(story), line)))

        yield ask


def test_commands_work_on_the_threads_of_questions():
    """Python's own are those on which the ledger is written."""
    commands = Path(__file__).parents[2] / "commands"
    sources = {path: path.read_text(encoding="utf-8") for path in commands.rglob("*.py")}
    assert [path.name for path, source in sources.items() if "to_thread" in source] == []


def test_every_command_is_asked():
    assert {line.split()[0].removeprefix("/") for line in EVERY} == {command.name for command in Registry.load()}


@pytest.mark.parametrize("line", EVERY)
def test_work_grows_with_what_is_told_and_not_with_its_square(told, line):
    recorded = told(line)
    found = [
        says
        for growth in Growth
        for says in grows_too_much(recorded, growth, COPIES, MOST, LEAST)
        if not any(name in says for name in SHORT)
        and ((line, growth) not in FOR_EACH_NODE or says.endswith("are kept"))
    ]
    assert found == []
