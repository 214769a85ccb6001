"""Why there is no plan: each thing is said once."""

import pytest

from bot.api.command import Risk
from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion, Plan
from bot.tickets.answers import question_line
from bot.tickets.plan_report import no_plan
from bot.tickets.proposal import PlannedChange

TEXT = GateText("No guest is locked", "hv03 is not drained", "It is not known whether guests are locked")
WHY = "the connection was refused: nothing listens on its WinRM port"


def made(*gates, reason="No plan yet for hv03. It holds."):
    plan = Plan(reason, "", "", (), gates, ())
    return PlannedChange("/drain-node hv03", "drain-node", "hv03", ("prod",), Risk.HIGH, plan, "0.1.0")


def unknown(measured, *questions):
    return Gate.of(TEXT, GateOutcome.NOT_KNOWN, measured, unknowns=questions)


@pytest.mark.parametrize(
    ("measured", "says"),
    [
        (f"not known: hv05: {WHY}", "It is not known whether guests are locked."),
        (f"hv05: {WHY}", "It is not known whether guests are locked."),
        (f"hv05: {WHY}; hv06: {WHY}.", "It is not known whether guests are locked."),
        (f"2 of 9 locked; hv05: {WHY}", f"It is not known whether guests are locked (2 of 9 locked; hv05: {WHY})."),
    ],
)
def test_who_did_not_answer_is_said_once_and_what_was_measured_is_never_dropped(measured, says):
    report = no_plan(made(unknown(measured, OpenQuestion("locks of hv05", f"{WHY}."))))
    assert report.title.startswith("No plan yet for hv03: It is not known whether guests are locked")
    (finding,) = report.findings
    assert finding.summary == says
    assert finding.lines == (("Not known", f"locks of hv05: no answer ({WHY})."),)


def test_a_silent_machine_is_named_below_the_gate_or_on_a_row_of_its_own():
    gate = unknown(f"hv05: {WHY}", OpenQuestion("locks of hv05", f"{WHY}.", "Start it."))
    said, other, worse = (
        Unknown("hv05", "unreachable", f"{WHY}.", "Start it."),
        Unknown("hv06", "unreachable", f"{WHY}.", "Start it."),
        Unknown("hv05", "login refused", "the login was refused.", "Start it."),
    )
    assert no_plan(made(gate), (said, other, worse)).unanswered == (other, worse)
    assert no_plan(made(Gate.of(TEXT, GateOutcome.BLOCKED, "11 guests on it")), (said,)).unanswered == (said,)


def test_the_target_is_named_once():
    assert no_plan(made(Gate.of(TEXT, GateOutcome.BLOCKED))).title == "No plan yet: hv03 is not drained"


def test_nothing_to_do_is_said_once():
    report = no_plan(made(reason="Nothing to fix: VMM and hv05 agree."))
    assert (report.title, report.summary) == (
        "Nothing to fix: VMM and hv05 agree",
        "Nothing to fix: VMM and hv05 agree.",
    )


def test_no_answer_is_said_once():
    assert (
        question_line(OpenQuestion("room", "no answer in 20 s.", "Ask."))
        == "room: no answer in 20 s. To find out: Ask."
    )
