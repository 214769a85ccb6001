"""The command in CONTRIBUTING.md, run as it stands there: whoever copies it begins with one that works."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bot.api.arguments import Target
from bot.api.facts import Known, Unknown
from bot.dispatch.registry import Command, parameters
from lab import scenarios
from lab.tour import Step
from lab.world.world import World
from tests.commands.conftest import ScriptedAsk

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
COMMAND, TEST, STORY, SCENARIO = BLOCKS


@pytest.fixture
def command(monkeypatch):
    module = ModuleType("find_long_uptime")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where a dataclass looks up its annotations
    exec(compile(COMMAND, "CONTRIBUTING.md", "exec"), module.__dict__)
    return module


async def test_its_test_passes(command):
    said = {**vars(command), "Unknown": Unknown}
    exec(TEST, said)
    await said["test_a_host_that_says_nothing_is_unknown"](ScriptedAsk)


def test_its_test_can_fail(command):
    now = datetime(2026, 11, 22, tzinfo=UTC)
    booted = {"hv01": Known(now - timedelta(days=90), now, now), "hv02": Known(now, now, now)}
    report = command.evaluate(command.Args(Target("prod", "cluster", "prod")), command.Facts(booted, now))
    assert report.title == "prod: 1 host up for 90 days or more"
    assert [one.target for one in report.findings] == ["hv01"]
    assert report.fine[0].targets == ("hv02",)


def test_the_bot_takes_it(command):
    made = Command("find-long-uptime", command.__doc__, command.COMMAND, parameters(command.Args))
    assert made.usage == "/find-long-uptime <cluster|host>"


def test_the_scenario_begins():
    said: dict[str, Any] = {"Step": Step, "World": World, "timedelta": timedelta}
    exec(SCENARIO, said)
    world = scenarios.begin("healthy")
    booted = world.node("hv03").booted
    said["begin"](world)
    assert booted - world.node("hv03").booted == timedelta(days=180)
    assert said["TOUR"][0].line == world.prefilled == "/find-long-uptime prod"


def test_the_story_is_written_as_stories_are():
    compile(STORY, "CONTRIBUTING.md", "exec")
    incident = (ROOT / "tests/stories/conftest.py").read_text("utf-8")
    assert all(re.search(rf"(def |self\.){name}\b", incident) for name in re.findall(r"ops\.(\w+)", STORY))
