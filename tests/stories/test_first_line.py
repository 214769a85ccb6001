"""What a bot was asked before changes no plan: each remediation as its first line, and again after diagnostics."""

import asyncio
import re

import pytest

from bot.api.command import Role
from bot.config import settings
from bot.dispatch.authorization import Person
from bot.dispatch.command_line import EntryPoint, read_typed
from bot.dispatch.pipeline import Request
from bot.dispatch.registry import Registry
from bot.services import build_services
from lab.environment import PracticeEnvironment

PERSON = Person("T0/U0", "operator", {Role.APPROVER: frozenset({"*"}), Role.OPERATOR: frozenset({"*"})})
PAUSED = 2
# Line -> its scenario, and what is done to its world first.
LINES = {
    "/drain-node hv03": ("healthy", None),
    "/drill crm": ("drill", None),
    "/fix-health-check lm01 ntrip --host ntrip.surveyor.example": ("host-header-check", None),
    "/fix-kb-drift prod blocked-hotfix": ("kb-drift-fix", None),
    "/fix-missing-vm crm-01 --by database": ("missing-vm", None),
    "/fix-remote-browsing hv02": ("remote-browsing", None),
    "/prove-migration crm-04 --to hv02": ("healthy", None),
    "/redeploy-uefi hv05": ("redeploy-uefi", None),
    "/reset-writer hv03": ("stuck-writer-job-dead", None),
    "/restart-service hv03 EventSystem": ("healthy", None),
    "/soak-migrations crm-04 10": ("healthy", None),
    "/resume-backup 48211": ("stuck-writer", None),
    "/resume-node hv03": ("healthy", lambda world: setattr(world.node("hv03"), "state", PAUSED)),
}

ALWAYS = {"/drain-node hv03", "/fix-kb-drift prod blocked-hotfix", "/reset-writer hv03"}  # the others take long


def test_every_remediation_has_a_line_here():
    changes = {command.name for command in Registry.load() if command.changes}
    assert {line.split()[0].strip("/") for line in LINES} == changes


@pytest.mark.parametrize("line", [one if one in ALWAYS else pytest.param(one, marks=pytest.mark.long) for one in LINES])
def test_a_plan_is_the_same_as_the_first_line_and_after_diagnostics(line, tmp_path):
    scenario, prepare = LINES[line]
    with PracticeEnvironment(scenario, tmp_path / "lab", prepare=prepare) as estate:
        first = plan_of(estate, line)
        later = plan_of(estate, line, "/verify-kb-drift prod", "/verify-kb-drift branch")
    assert first == later


def plan_of(estate, line, *before):
    """What a bot that has just started plans, after these lines: all that a plan decides by."""

    async def asked(made):
        for one in before:
            await made.pipeline.answer(request(one))
        return await made.proposals.preview(request(line))

    for file in (*estate.directory.glob("ledger.db*"), *estate.directory.glob("anchors*")):
        file.unlink()  # samples of the plan before are memory, and no names
    with build_services(settings.load(estate.settings_path)) as made:
        shown = asyncio.run(asked(made))
    plan = shown.made.plan
    gates = [(gate.description, gate.outcome, gate.blocks, gate.unknowns) for gate in plan.gates]
    said = re.sub(r"\d+", "#", f"{plan.reason} {plan.impact}")
    return {"digest": shown.made.digest, "places": shown.made.places, "gates": gates, "said": said}


def request(line):
    return Request.of(PERSON, read_typed(line, EntryPoint.TERMINAL), "terminal", "here")
