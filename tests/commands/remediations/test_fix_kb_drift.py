"""`/fix-kb-drift`: what is proposed for which lists, the steps whole, and every way to propose nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from entry_samples import entry_data

from bot.api.actions import InvokeMethod, ManualStep, RunProgram
from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.plan import Check, CompareToBefore, Expect, Gate, GateOutcome, GateText, Plan, Step
from bot.api.queries import Predicate, Registry, RunReader, Wql
from bot.api.updates import UpdatePackage
from bot.tickets.conditions import unmet
from bot.tickets.run_history import ABANDONED, DONE, BegunStep, RunHistory, as_done, positions
from bot.tickets.undo import may_have_restored, remaining_undo
from bot.transport.permitted import why_not_sent
from commands.patch_fix.facts import FixFacts, NodeFacts, OldNode
from commands.patch_fix.needs import Told, judge_need
from commands.patch_fix.rules import find_rule
from commands.remediations import fix_kb_drift
from commands.remediations.fix_kb_drift import COMMAND, Args, Rule
from commands.sources.backup_state import Backup
from commands.sources.cluster import Node
from commands.sources.event_log import EventLog
from commands.sources.packages import Package, PackageFile, PackageState
from commands.sources.services import Service
from commands.sources.updates import Build, NodeUpdates

A, B = "KB2607712", "KB2616676"
NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
PACKAGES = tuple(UpdatePackage(kb, 7601, rf"C:\hvops\{kb}.cab") for kb in (A, B))
TARGET = Target("prod", "cluster", "prod", backup=(), packages=PACKAGES)
ARGS = Args(TARGET, Rule("kb2616676"))
UPDATER = Service("wuauserv", "Windows Update", "Running", "Auto", 900, accepts_stop=True)


def identity(kb):
    return f"Package_for_{kb}~31bf3856ad364e35~amd64~~6.1.1.0"


def package(kb, state=PackageState.INSTALLED):
    return Package(identity(kb), state, state.word)


def facts(*packages, rule="KB2616676", build=7601, **over):
    """Six nodes of 2008 R2; hv02 lists these packages, the others both."""
    members = tuple(Node(f"hv0{number}", build) for number in range(1, 7))
    wanted = find_rule(rule, ())
    lists = {node.name: (package(A), package(B)) for node in members} | {"hv02": packages}
    needs = tuple(judge_need(node.name, wanted, Told(build, lists[node.name], frozenset())) for node in members)
    node = NodeFacts(
        members[1],
        {kb: PackageFile(identity(kb), applies=None) for kb in (A, B)},
        UPDATER,
        NodeUpdates(Build(7601, None), frozenset(), ()),
        None,
        renames=False,
        drain=None,
        old=OldNode((), Backup(runs=False)),
        blocked=EventLog(),
    )
    paths = {(one.kb, one.build): one.path for one in PACKAGES}
    found = {"hv02": replace(node, **over)} if any(one.changes for one in needs) else {}
    return FixFacts(NOW, needs, found, members, paths)


def plan(*packages, **over):
    return COMMAND.plan(ARGS, facts(*packages, **over))


def test_the_steps_of_a_node_in_their_order():
    made = plan(package(B))
    assert [[step.key for step in group.steps] for group in made.groups] == [
        [
            "empty-hv02",
            "stop-updates-hv02",
            "hold-updates-hv02",
            *("1-remove-kb2616676-hv02", "restart-1-hv02", "settled-1-hv02"),
            *("2-add-kb2607712-hv02", "restart-2-hv02", "settled-2-hv02"),
            *("3-add-kb2616676-hv02", "restart-3-hv02", "settled-3-hv02"),
        ],
        ["resume-hv02", "give-updates-hv02", "start-updates-hv02", "proof-hv02"],
    ]
    assert [(group.on_failure, group.revalidate_before) for group in made.groups] == [("undo", True), ("stop", False)]
    assert [group.title for group in made.groups] == [
        (
            "On hv02: people empty it by hand, stop Automatic Updates,"
            " remove KB2616676, add KB2607712, add KB2616676, a restart after each"
        ),
        "Resume hv02, people move its guests back, restore Automatic Updates, check its Setup log",
    ]
    assert made.locks == ("cluster:prod",)
    assert made.touches == ("hv02",)


def test_a_node_that_is_finished_is_not_undone_and_one_that_is_not_is():
    """Somebody may have drained it for maintenance since: its guests would come back by an undo of what is over."""
    made = plan(package(B))
    told, left = RunHistory(), []
    for place in positions(made):
        told.intents[place.key] = BegunStep(NOW, 1, None, 1)
        told.outcomes[place.key] = entry_data("outcome", {"result": DONE})
        left.append(
            [step.key.removeprefix("undo-") for step in remaining_undo(replace(made, self_reverting=False), told)]
        )
    held = ["hold-updates-hv02", "stop-updates-hv02"]
    by_step = dict(zip([place.step.key for place in positions(made)], left, strict=True))
    assert by_step["settled-2-hv02"] == ["1-remove-kb2616676-hv02", *held, "empty-hv02"]
    assert by_step["3-add-kb2616676-hv02"] == [*held, "empty-hv02"]  # it is there again
    assert by_step["settled-3-hv02"] == [*held, "empty-hv02"]
    assert by_step["resume-hv02"] == held
    assert by_step["give-updates-hv02"] == held[1:]
    assert by_step["start-updates-hv02"] == []


@pytest.mark.parametrize("key", ["stop-updates-hv02", "hold-updates-hv02"])
def test_updates_are_held_only_while_they_start_as_they_did_when_it_was_planned(key):
    """Another startup type was set by someone since, and restoring the planned one would undo that."""
    (check,) = next(step for step in plan(package(B)).steps if step.key == key).guard
    assert check.within == 0
    assert not unmet(check, ({"Name": "wuauserv", "StartMode": "Auto"},), {})
    for other in ("Manual", "Disabled", None):
        assert unmet(check, ({"Name": "wuauserv", "StartMode": other},), {})
    assert unmet(check, (), {})


def test_of_a_node_whose_resume_nobody_saw_the_end_of_it_is_found_out_whether_its_package_may_come_back():
    """No package is added to a node that has its guests again, and its guests are not brought back twice."""
    made = plan(package(B))
    places = positions(made)
    resume = next(place for place in places if place.step.key == "resume-hv02")
    told = RunHistory()
    for place in places[: resume.number]:
        told.intents[place.key] = BegunStep(NOW, 1, None, 1)
        told.outcomes[place.key] = entry_data("outcome", {"result": ABANDONED if place is resume else DONE})
    assert may_have_restored(made, told) == [resume]
    undone = [step.key for step in remaining_undo(made, as_done(told, [resume]))]
    assert undone == ["undo-hold-updates-hv02", "undo-stop-updates-hv02"]


def test_only_what_is_missing_is_done():
    keys = [step.key for step in plan(package(A)).steps]
    assert [key for key in keys if key.startswith(("1-", "2-"))] == ["1-add-kb2616676-hv02"]
    assert [key for key in keys if key.startswith("restart")] == ["restart-1-hv02"]


def test_everything_in_it_could_be_sent():
    for step in plan(package(B)).steps:
        for what in (
            step.act,
            step.undo,
            step.before,
            *(one.question for one in (*step.guard, *step.done, *step.undone)),
        ):
            assert what is None or not why_not_sent(what), (step.key, what)


def step_of(key):
    return next(step for step in plan(package(B)).steps if step.key == key)


@pytest.mark.parametrize("state", ["Partially Installed", "Install Pending", "Whatever", "", None, "Installed"])
def test_a_package_in_a_state_that_is_none_of_those_that_are_gone_is_not_gone(state):
    """A removal can be stuck half-way, and nobody knows all the words."""
    other = {"identity": identity(A), "state": "Installed"}
    row = {"identity": identity(B), "state": state}
    (removed,), (settled, *_) = step_of("1-remove-kb2616676-hv02").done, step_of("settled-1-hv02").done
    for check in (removed, settled):
        assert unmet(check, (other, row), {})
        assert not unmet(check, (other,), {})
        assert not unmet(check, (other, row | {"state": "Staged"}), {})
        assert unmet(check, (), {}), "no Windows lists none"
    pending = (other, row | {"state": "Uninstall Pending"})
    assert (bool(unmet(removed, pending, {})), bool(unmet(settled, pending, {}))) == (False, True)


SYSTEM = RunReader(
    "hv02",
    "wevtutil query events",
    (("channel", "System"), ("ids", "12"), ("most", 1), ("provider", "Microsoft-Windows-Kernel-General")),
)


def test_a_restart_whole():
    guards = step_of("1-remove-kb2616676-hv02").guard[:4]
    assert step_of("restart-1-hv02") == Step(
        "restart-1-hv02",
        "Restart hv02: KB2616676 is removed only after that",
        InvokeMethod("hv02", "root/cimv2", (), "Win32_OperatingSystem", "Reboot"),
        done=(
            Check(SYSTEM, (CompareToBefore("restart-1-hv02", ("record_id",), same=False),), 3600, 10, silence="wait", description="hv02 has started Windows again"),
            Check(
                Wql("hv02", "root/cimv2", "Win32_OperatingSystem", ("LastBootUpTime",)),
                (Expect((Predicate("LastBootUpTime", "is not null"),)),),
                3600,
                10,
                silence="wait",
                description="hv02 says when it started",
            ),
        ),
        guard=guards,
        before=SYSTEM,
        finishes=True,
    )  # fmt: skip


STATES = [{"Name": f"hv0{number}", "State": "0"} for number in (1, 3, 4, 5, 6)]


@pytest.mark.parametrize(
    ("others", "may"),
    [
        (STATES, True),
        ([*STATES[1:], {"Name": "hv01", "State": "2"}], True),
        ([*STATES[1:], {"Name": "hv01", "State": "1"}], False),
        ([*STATES[1:], {"Name": "hv01", "State": "3"}], False),
        ([*STATES[1:], {"Name": "hv07", "State": "0"}], False),
        ([*STATES[1:], STATES[1]], False),
        (STATES[1:], False),
    ],
)
def test_nothing_is_changed_or_restarted_while_a_node_is_gone_that_took_part_at_first(others, may):
    """People may have emptied it for hours: by then the quorum may need it."""
    touching = [step for step in plan(package(B)).steps if step.key.startswith(("1-", "2-", "3-", "restart"))]
    assert len(touching) == 6
    for step in touching:
        (check,) = [one for one in step.guard if "take part in prod" in one.description]
        assert (not unmet(check, (*others, {"Name": "hv02", "State": "2"}), {})) is may


def test_another_boot_record_and_nothing_else_proves_a_restart():
    check = step_of("restart-1-hv02").done[0]
    images = {"restart-1-hv02": ({"record_id": "71"},)}
    assert unmet(check, ({"record_id": "71"},), images)
    assert unmet(check, (), images)
    assert not unmet(check, ({"record_id": "90"},), images)
    assert not step_of("restart-1-hv02").repeatable


def test_the_removal_and_its_way_back():
    step = step_of("1-remove-kb2616676-hv02")
    assert step.act == RunProgram("hv02", "dism remove package", (("package", identity(B)),))
    assert step.undo == RunProgram("hv02", "dism add package", (("path", r"C:\hvops\KB2616676.cab"),))
    (file,) = step.undo_guard
    assert not unmet(file, ({"identity": identity(B)},), {})
    for told in (identity(A), None, ""):
        assert unmet(file, ({"identity": told},), {}), "another file may lie there by then"
    asked = {check.question for check in step.guard if isinstance(check.question, RunReader)}
    assert {dict(one.params).get("path") for one in asked} >= {r"C:\hvops\KB2616676.cab", r"C:\hvops\KB2607712.cab"}
    (done,) = step.done
    row = {"identity": identity(B), "state": "Installed"}
    assert unmet(done, (row,), {})
    assert not unmet(done, (row | {"state": "Uninstall Pending"},), {})
    (listed, flag, _) = step_of("settled-1-hv02").done
    assert unmet(listed, (row | {"state": "Uninstall Pending"},), {})
    assert not unmet(listed, (row | {"state": "Staged"},), {})
    assert isinstance(flag.question, Registry)
    assert unmet(flag, ({"subkeys": ()},), {})
    assert not unmet(flag, ({"subkeys": None},), {})


@pytest.mark.parametrize(
    ("event_id", "record_id", "holds"), [("2", "90", True), ("2", "71", False), ("3", "90", False), ("4", "90", False)]
)
def test_only_a_newer_completed_change_is_the_last_word(event_id, record_id, holds):
    (check,) = step_of("proof-hv02").done
    images = {"3-add-kb2616676-hv02": ({"event_id": "2", "record_id": "71"},)}
    assert (not unmet(check, ({"event_id": event_id, "record_id": record_id},), images)) is holds


def test_once_all_is_done_the_nodes_own_list_is_read_for_people():
    checks = plan(package(B)).afterwards
    assert [check.description for check in checks] == [
        "hv02 lists KB2607712 as installed",
        "hv02 lists KB2616676 as installed",
    ]
    row = {"identity": identity(A), "state": "Installed"}
    assert not unmet(checks[0], (row,), {})
    assert unmet(checks[0], (row | {"state": "Install Pending"},), {})


def test_updates_that_people_have_disabled_are_left_so():
    keys = [step.key for step in plan(package(B), updater=replace(UPDATER, start_mode="Disabled")).steps]
    assert not [key for key in keys if "updates" in key]


def test_without_files_people_do_it_and_the_lists_are_read():
    made = plan(package(B), files={})
    assert [type(step.act) for step in made.steps] == [ManualStep] * 3
    assert "In WSUS approve KB2616676 for removal" in made.steps[0].act.instruction
    (check,) = made.steps[1].done
    assert unmet(check, ({"identity": identity(A), "state": "Install Pending"},), {})
    assert unmet(check, ({"identity": identity(f"{A}0"), "state": "Installed"},), {})
    assert not unmet(check, ({"identity": identity(A), "state": "Installed"},), {})


SILENT = Unknown("hv02", "timed out", "no answer in 20 s.")


@pytest.mark.parametrize(
    ("packages", "over", "says"),
    [
        ((package(A), package(B)), {}, "Nothing to fix on prod"),
        ((package(B), package(A, PackageState.SUPERSEDED)), {}, "nothing missing, no drift"),
        ((package(B), package(A, PackageState.INSTALL_PENDING)), {}, "KB2607712 is Install Pending"),
        ((package("RollupFix"),), {"build": 14393}, "refused, there is nothing to do here"),
        ((package(B),), {"files": {A: SILENT, B: SILENT}}, "No plan yet for prod"),
        ((package(B),), {"updater": SILENT}, "The startup type of Automatic Updates on hv02 is not known"),
        ((package(B),), {"updates": SILENT}, "It is not known whether an update is stuck on hv02"),
        ((package(B),), {"old": OldNode(SILENT, Backup(runs=False))}, "The guests on hv02 are not known"),
        ((package(B),), {"old": OldNode((), Backup(runs=True))}, "A backup is running on hv02"),
    ],
)
def test_every_way_to_propose_nothing(packages, over, says):
    made = plan(*packages, **over)
    assert not made.groups
    assert says in made.reason
    assert made.is_done_already is (says in ("Nothing to fix on prod", "nothing missing, no drift"))


def test_a_cluster_that_names_no_nodes_is_no_plan():
    made = COMMAND.plan(ARGS, FixFacts(NOW, unfound=Unknown("prod", "timed out", "no answer in 20 s.")))
    assert made.reason == "No plan: prod: no answer in 20 s."


def test_a_silent_node_is_named_and_left_alone():
    told = facts(package(B))
    needs = (*told.needs[:-1], judge_need("hv06", find_rule(B, ()), Told(7601, SILENT, frozenset())))
    made = COMMAND.plan(ARGS, replace(told, needs=needs))
    assert made.groups
    assert not [step for step in made.steps if "hv06" in step.key]
    assert any(line.startswith("hv06 did not say") for line in made.evidence)


async def test_hostile_names_and_lists_are_refused(scripted):
    ask = scripted(
        {("prod", "MSCluster_Node"): [{"Name": "hv02", "State": "0", "BuildNumber": "7601"}]}, {"hv02": "bad reply"}
    )
    made = COMMAND.plan(ARGS, await COMMAND.collect(ARGS, ask))
    assert not made.groups
    assert "not every node could be checked" in made.reason


@pytest.mark.parametrize("nodes", [None, {}])
def test_nothing_is_taken_back_on_a_node_that_was_not_looked_at_unless_an_approver_answers_for_it(nodes):
    """As after a fix that is done: its node needs nothing any more, so nothing more was asked of it."""
    found = facts(package(B))
    back = plan(package(B))
    (gate,) = COMMAND.undo_gates(ARGS, found if nodes is None else replace(found, nodes=nodes), back)
    assert (gate.description, gate.is_open, gate.guards) == ("No other work is running on hv02", True, "safety")


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_of_equal_gates_on_the_way_back_of_two_nodes_the_one_that_holds_counts(monkeypatch, order):
    says = GateText("No job runs in vmm", "A job runs in vmm", "It is not known whether a job runs in vmm")
    drains = tuple(SimpleNamespace(node=f"hv0{number}", passes=passes) for number, passes in enumerate(order, 2))
    monkeypatch.setattr(fix_kb_drift, "drained_of", lambda _facts: drains)
    monkeypatch.setattr(fix_kb_drift, "gates_back", lambda one: (Gate.of(says, GateOutcome.of(one.passes)),))
    gates = COMMAND.undo_gates(ARGS, facts(package(B)), Plan("", "", "", (), (), ()))
    assert [gate.blocks_plan for gate in gates] == [True]
