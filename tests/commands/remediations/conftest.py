"""Remediations are planned for hv03 of the small cluster: three nodes; hv03 holds three guests."""

import pytest
from identified_actions import unidentified
from scripted_cluster import SMALL

from bot.api.arguments import Target
from bot.api.plan import Plan


@pytest.fixture
def make():
    return SMALL


@pytest.fixture
def hv03():
    return Target("hv03", "host", "prod", backup=())


@pytest.fixture
def alone():
    return Target("backup01", "host", backup=())


@pytest.fixture
def planned(scripted, hv03):
    """Ask and plan: `plan = await planned(COMMAND, script, writer=("VSS",))`; `planned.ask` is what was asked.

    Arguments by name are fields of the command's `Args` beside its target, which is hv03 where none is given.
    """

    async def run(command, script, target=None, silent=None, **options):
        args = command.args(target or hv03, **options)
        run.ask = scripted(script, silent)
        return command.plan(args, await command.collect(args, run.ask))

    return run


@pytest.fixture(autouse=True)
def every_action_is_identified(monkeypatch):
    """Whatever plan a test of this folder makes: none of its actions goes by a name that may be another one's by then."""
    complete = Plan.__post_init__

    def look_at(plan):
        complete(plan)
        assert not unidentified(plan)

    monkeypatch.setattr(Plan, "__post_init__", look_at)
