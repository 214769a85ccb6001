"""Remediations are planned for hv03 of the small cluster: three nodes; hv03 holds three guests."""

import pytest
from scripted_cluster import SMALL

from bot.api.arguments import Target


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
