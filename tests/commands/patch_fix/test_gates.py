"""What holds a fix: files, votes, stuck updates, and what cannot be put back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.api.facts import Unknown
from bot.api.plan import GateOutcome
from bot.api.updates import UpdateRule
from commands.patch_fix import gates
from commands.patch_fix.needs import Told, judge_need
from commands.patch_fix.rules import find_rule
from commands.patches.reboots import RebootFlags
from commands.sources.cluster import Node
from commands.sources.event_log import Event, EventLog
from commands.sources.packages import Package, PackageFile, PackageState
from commands.sources.services import Service
from commands.sources.updates import Build, NodeUpdates

A, B = "KB2607712", "KB2616676"
RULE = find_rule(B, ())
assert isinstance(RULE, UpdateRule)
PASSED, BLOCKED, OPEN = GateOutcome.PASSED, GateOutcome.BLOCKED, GateOutcome.NOT_KNOWN
SILENT = Unknown("hv02", "timed out", "no answer in 20 s.")
TOLD = NodeUpdates(Build(9600, 1), frozenset(), ())


def identity(kb, revision=1):
    return f"Package_for_{kb}~31bf3856ad364e35~amd64~~6.1.{revision}.0"


NEED = judge_need("hv02", RULE, Told(7601, (Package(identity(B), PackageState.INSTALLED),), frozenset()))
GOOD = {A: PackageFile(identity(A), applies=False), B: PackageFile(identity(B), applies=True)}


def outcomes(**over):
    files = {**GOOD, **over}
    return [one.outcome for one in gates.files_are_right(NEED, files, {A, B})]  # in the order of the changes: B, A


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({}, [PASSED, PASSED]),  # that it does not apply yet is what the removal is for
        ({A: PackageFile(identity("KB3021910"), applies=True)}, [PASSED, BLOCKED]),
        ({A: PackageFile(identity("RollupFix"), applies=True)}, [PASSED, BLOCKED]),
        ({A: SILENT}, [PASSED, OPEN]),
        ({B: PackageFile(identity(B, 2), applies=True)}, [BLOCKED, PASSED]),  # it would come back as another version
    ],
)
def test_a_file_that_is_not_that_update_holds_the_plan(over, expected):
    assert outcomes(**over) == expected


def test_a_file_that_the_inventory_does_not_name_is_missing():
    found = list(gates.files_are_right(NEED, {B: GOOD[B]}, {B}))
    assert [one.outcome for one in found] == [PASSED, BLOCKED]
    assert found[1].measured == "the inventory names no file of it"


def test_an_update_that_alone_does_not_apply_is_not_drained_for():
    rule = find_rule("KB2919442", ())
    need = judge_need("hv02", rule, Told(9600, (Package(identity(B), PackageState.INSTALLED),), frozenset()))
    (gate,) = gates.files_are_right(
        need, {"KB2919442": PackageFile(identity("KB2919442"), applies=False)}, {"KB2919442"}
    )
    assert gate.outcome is BLOCKED
    assert "does not apply there" in gate.measured


@pytest.mark.parametrize(
    ("updater", "expected"),
    [
        (Service("wuauserv", "", "Stopped", "Manual", 0, accepts_stop=False), PASSED),
        (Service("wuauserv", "", "Running", "Disabled", 0, accepts_stop=False), PASSED),
        (Service("wuauserv", "", "Running", "", 0, accepts_stop=False), BLOCKED),
        (None, PASSED),
        (SILENT, OPEN),
    ],
)
def test_how_automatic_updates_start_has_to_be_known(updater, expected):
    assert gates.updates_can_be_held("hv02", updater).outcome is expected


def asked(at):
    return {"servicing": EventLog((Event(4, datetime.fromisoformat(at), (), "Microsoft-Windows-Servicing"),))}


STARTED = datetime(2026, 11, 22, 21, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (None, PASSED),
        (RebootFlags(("servicing",), STARTED, asked("2026-11-22T22:00:00Z")), PASSED),
        (RebootFlags(("servicing",), STARTED, asked("2026-11-20T22:00:00Z")), BLOCKED),
        (RebootFlags(("servicing",), SILENT, asked("2026-11-20T22:00:00Z")), GateOutcome.NOT_KNOWN),
    ],
)
def test_a_flag_older_than_the_last_start_is_a_stuck_update_and_silence_tells_nothing(flags, expected):
    assert gates.no_stuck_restart("hv02", flags, TOLD).outcome is expected
    half = gates.no_stuck_restart("hv02", flags, replace(TOLD, failed=(SILENT,)))
    assert half.outcome is (BLOCKED if expected is BLOCKED else OPEN)
    assert half.blocks_plan


def test_a_key_that_nobody_could_read_is_not_taken_for_one_that_asks_for_no_restart():
    gate = gates.no_stuck_restart("hv02", None, replace(TOLD, failed=(SILENT,)))
    assert (gate.outcome, gate.is_open) == (OPEN, False)
    assert [one.what for one in gate.unknowns] == ["reboot flags of hv02"]


def test_a_blocked_program_warns_and_holds_nothing():
    event = Event(1121, STARTED, (("Path", "C:\\Windows\\System32\\Dism.exe"),))
    gate = gates.nothing_was_blocked("hv02", EventLog((event,)))
    assert (gate.outcome, gate.blocks) == (BLOCKED, False)
    assert "Dism.exe" in gate.measured
    absent = Unknown("hv02", "absent", "it has no event channel.")
    assert gates.nothing_was_blocked("hv02", absent).outcome is PASSED
    assert gates.nothing_was_blocked("hv02", SILENT).outcome is OPEN


@pytest.mark.parametrize(
    ("down", "of", "expected"), [(0, 6, OPEN), (1, 6, OPEN), (2, 6, BLOCKED), (0, 3, BLOCKED), (0, 4, OPEN)]
)
def test_votes_of_2008_r2_are_a_persons_answer_or_no_majority(down, of, expected):
    members = [Node(f"hv0{number}", 7601, down=number > of - down) for number in range(1, of + 1)]
    gate = gates.votes_suffice("hv01", members)
    assert gate.outcome is expected
    assert gate.answerable
