"""The image of a repeatable step shows what its act changes first: one that is under way never looks as if it had not happened.

Every step that any test of a command makes is looked at besides (`repeatable_steps_show_what_they_change` in conftest).
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from repeatable import unshown

from bot.api.actions import RunProgram
from bot.api.plan import Step, exists
from bot.api.queries import Predicate, RunReader, Wql
from bot.tickets.conditions import unmet
from commands.drain.steps import drain_step, resume_step, roles_query
from commands.migration.proof import Way
from commands.migration.steps import Machine, live_move_step
from commands.patch_fix.steps import Place, _give_back, _hold, _resume
from commands.sources.audit_policy import Audits, Subcategory, toggle_steps
from commands.sources.cluster import Node
from commands.sources.guests import Power
from commands.sources.services import service_state, start_step
from commands.vmm.repair import Repair, database_groups

COMMANDS = Path(__file__).parents[2] / "commands"
GUEST = Machine("prod", "crm-01", "8C5A", "Virtual Machine crm-01", "crm-01")
REPAIR = Repair("vmm", "M1", "8C5A", "H1", "H2", Node("hv02", 9200), Power.RUNNING, 220, 0, "vmm01")
POLICY = (
    Subcategory("0CCE921D-69AE-11D9-BED3-505054503030", "File System", "No Auditing", Audits.NOTHING),
    Subcategory("0CCE921E-69AE-11D9-BED3-505054503030", "Registry", "Failure", Audits.FAILURE),
)
OLD, NEW = Place("prod", "hv02", is_2008=True), Place("prod", "hv02", is_2008=False)
STEPS = {
    "commands/drain/steps.py": (
        drain_step("prod", "hv03", earlier=0),
        drain_step("prod", "hv03", earlier=None, flags=True),
        resume_step("prod", "hv03"),
        resume_step("prod", "hv03", notes_guests=True),
    ),
    "commands/migration/steps.py": tuple(live_move_step(GUEST, "hv01", "hv02", way=way) for way in Way),
    "commands/patch_fix/steps.py": (
        *(step for mode in ("Auto", "Manual") for make in (_hold, _give_back) for step in make(NEW, mode)),
        *_resume(OLD, ()),
        *_resume(NEW, ()),
    ),
    "commands/sources/audit_policy.py": toggle_steps("hv02", POLICY),
    "commands/sources/services.py": (start_step("hv03", "Spooler"), start_step("hv03", "Spooler", can_stop_again=True)),
    "commands/vmm/repair.py": tuple(step for group in database_groups(REPAIR) for step in group.steps),
}


@pytest.fixture(autouse=True)
def repeatable_steps_show_what_they_change():
    """Steps that do not are made here on purpose."""


def test_the_steps_of_every_file_that_makes_a_repeatable_one_are_looked_at():
    made = {
        path.relative_to(COMMANDS.parent).as_posix()
        for path in COMMANDS.rglob("*.py")
        if any(
            isinstance(node, ast.keyword) and node.arg == "repeatable" for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert made == STEPS.keys()
    assert all(any(step.repeatable for step in steps) for steps in STEPS.values())


@pytest.mark.parametrize("path", STEPS)
def test_what_is_judged_afterwards_is_in_the_image(path):
    assert [found for step in STEPS[path] for found in unshown(step)] == []


def test_an_image_of_something_else_is_noticed():
    """As it was of a drain, of a service that is stopped, and of a move that is queued."""
    drain, stop = drain_step("prod", "hv03", earlier=0), next(iter(_hold(NEW, "Auto")))
    move = live_move_step(GUEST, "hv01", "hv02", way=Way.PARAMETERS)
    modes = Wql(
        "hv02", "root/cimv2", "Win32_Service", ("Name", "StartMode"), service_state("hv02", "wuauserv").query.where
    )
    assert len(unshown(replace(drain, untouched=()))) == 4
    assert [found.partition(" of ")[0] for found in unshown(replace(stop, before=modes))] == [
        "stop-updates-hv02: State"
    ]
    assert len(unshown(replace(move, untouched=()))) == 2
    other = exists(RunReader("hv03", "another"), Predicate("a", "=", "1"))
    plain = Step("a", "a", RunProgram("hv03", "x"), (other,), before=roles_query("prod", "hv03"), repeatable=True)
    assert unshown(plain)
    assert not unshown(replace(plain, repeatable=False))


@pytest.mark.parametrize(
    ("state", "drain", "repeats"),
    [("0", "0", True), ("0", "2", True), ("0", "1", False), ("0", None, False), ("2", "1", False), ("2", "0", False)],
)
def test_a_drain_is_tried_again_only_where_the_node_says_that_none_is_under_way(state, drain, repeats):
    check, _ = drain_step("prod", "hv03", earlier=0).untouched
    rows = [{"Name": "hv03", "State": state, "NodeDrainStatus": drain}]
    assert (unmet(check, rows, {}) == ()) is repeats


@pytest.mark.parametrize(("state", "flags", "repeats"), [("0", "0", True), ("0", "4", False), ("4", "0", False)])
def test_a_drain_is_not_tried_again_while_a_role_moves(state, flags, repeats):
    _, check = drain_step("prod", "hv03", earlier=0).untouched
    rows = [{"Name": "SQL Server (CRM)", "State": state, "StatusInformation": flags}]
    assert (unmet(check, rows, {}) == ()) is repeats


@pytest.mark.parametrize(("state", "flags", "repeats"), [("0", "0", True), ("0", "4", False), ("4", "0", False)])
def test_a_move_that_is_queued_or_pending_is_not_started_again(state, flags, repeats):
    (check,) = live_move_step(GUEST, "hv01", "hv02", way=Way.PARAMETERS).untouched
    rows = [{"Name": "crm-01", "State": state, "StatusInformation": flags}]
    assert (unmet(check, rows, {}) == ()) is repeats
