"""A remediation typed at the terminal: the plan as it would be proposed now, or why there is none. Nothing comes of it.

Plans are proposed and decided in Slack only. At a terminal a person is an operating-system user, in Slack a member of
a workspace, and nothing ties the two together: the same human could ask as one and approve as the other. So there is
no word here that proposes or approves; this only shows what a proposal would say. `hvops stop` and `hvops go` are commands
of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console

from bot.api.command import Role
from bot.api.plan import Plan
from bot.cli.console import styled
from bot.cli.layout import print_text
from bot.cli.render import head_as_json
from bot.config.settings import Roles
from bot.control_chars import json_text
from bot.dispatch.authorization import EVERYWHERE, Person
from bot.dispatch.builtins import AUDIT, BUILTINS, GO, RUNS, STOP
from bot.dispatch.pipeline import Pipeline, Request
from bot.errors import PermissionDenied, UsageError
from bot.formatting import at_most, duration
from bot.tickets.answers import question_line
from bot.tickets.create import Preview
from bot.tickets.plan_digest import plan_to_json
from bot.tickets.plan_text import STOPS_THERE, TAKEN_BACK, action_in_words, check_in_words, plan_lines
from bot.tickets.proposal import longest_seconds, step_seconds

IN_SLACK = (STOP.name, GO.name, RUNS.name, "approve", "confirm", "reject", "withdraw", "cancel", "undo", "close")


def refuse_decision(pipeline: Pipeline, request: Request) -> None:
    """Refuse a word that decides about something, with where it works; the ledger knows.

    Raises:
        PermissionDenied: it decides.
        UsageError: it reviews the ledger, which a terminal has commands of its own for.
    """
    word = request.reading.name
    if word == AUDIT.name:
        with pipeline.recording_refusals(request):
            raise UsageError("hvops ask does not read the ledger: run hvops audit, or type /audit in Slack.")
    if word not in IN_SLACK:
        return
    with pipeline.recording_refusals(request):
        if (builtin := BUILTINS.get(word)) is not None:
            usage = builtin.usage.removeprefix("/")
            raise PermissionDenied(f"hvops ask only answers questions: run {usage}, or type {builtin.usage} in Slack.")
        raise PermissionDenied("You cannot decide in the terminal: press the button next to the plan in Slack.")


def print_preview(out: Console, shown: Preview, named: str) -> None:
    """Draw a plan that is possible: why, what it means, every step, and who would decide."""
    made, plan = shown.made, shown.made.plan
    print_text(out, styled(shown.answered.report.title, "bold"))
    for name, says in (("Why", plan.reason), ("Impact", plan.impact), ("Way back", plan.rollback)):
        print_text(out, styled(f"{name}: {says}"))
    for gate in plan.gates:
        unpassed = "not yet" if gate.passes_at else "NOT KNOWN" if gate.is_open else "WARNING"
        word, style = ("passed", "green") if gate.passed else (unpassed, "yellow")
        print_text(out, styled(f"{word}: {gate.finding}", style))
    for question in plan.open_questions:
        print_text(
            out,
            styled(
                f"The approver must say {'why it cannot wait' if question.is_override else 'how they know'}: {question_line(question)}",
                "yellow",
            ),
        )
    print_text(out, styled(f"What would run (up to {duration(longest_seconds(plan))}):", "bold"))
    for says, style in _steps(plan):
        print_text(out, styled(says, style), "    ")
    print_text(out, styled("What the approval signs:", "bold"))
    for line in plan_lines(plan, made.risk, made.version):
        if not line.startswith(("Check ", "Way back: ")):
            out.print(styled(line), soft_wrap=True)
    for says in (*plan.evidence, f"Digest of the plan (SHA-256): {made.digest}"):
        out.print(styled(says, "dim"), soft_wrap=True)
    print_text(out, styled(f"{shown.decides} {named}".strip()))
    print_text(out, styled(not_proposed(shown), "bold"))


def _steps(plan: Plan) -> Iterator[tuple[str, str]]:
    """Each step in words: what it does, what proves it, and its way back; the signed text below has them as they are sent."""
    number, is_mixed = 0, any(group.on_failure == "undo" for group in plan.groups)
    for group in plan.groups:
        if group.times > 1:
            yield f"{group.times:,} rounds of:", ""
        if group.on_failure == "undo":
            yield TAKEN_BACK, ""
        elif is_mixed:
            yield STOPS_THERE, ""
        for step in group.steps:
            number += 1
            yield f"{number:3} {step.description} ({at_most(step_seconds(step))})", ""
            proof = "; ".join(check.description or check_in_words(check) for check in step.done)
            yield f"    proof: {proof or 'someone confirms it; no machine can be queried'}", "dim"
            if step.undo is not None:
                yield f"    way back: {step.undo_says or action_in_words(step.undo)}", "dim"


def not_proposed(shown: Preview) -> str:
    """That nothing was proposed, and where to propose it, unless the same plan is already open."""
    if shown.asked_before:
        return f"Nothing was proposed. {shown.asked_before} already requests exactly this plan; it is decided in Slack."
    return f"This is a preview: nothing was proposed. To propose it, type in Slack: {shown.answered.line}"


def approver_names(roles: Roles, shown: Preview) -> str:
    """Whom the settings name for the decision, by their ids in Slack; or that they name nobody."""
    if not shown.decides:
        return ""
    role = Role.OPERATOR if "confirms" in shown.decides else Role.APPROVER
    rule = dict(roles.rules()).get(role)
    places = {place.casefold() for place in shown.made.places}
    ids = (*rule.groups, *rule.users) if rule is not None and _covers(rule.clusters, places) else ()
    who = ", ".join(ids) or "names nobody, so nobody could decide"
    return f"[roles.{role.name.lower()}]: {who}."


def as_json(shown: Preview, person: Person, named: str, exit_code: int, stop: str = "") -> str:
    """The whole of it as JSON."""
    answered, made = shown.answered, shown.made
    told: dict[str, Any] = {
        **head_as_json(answered, person, exit_code),
        "proposed": False,
        "stopped": stop,
        "no_plan": not shown.decides,
        "asked_before": shown.asked_before,
        "says": not_proposed(shown) if shown.decides else answered.report.summary,
        "decides": f"{shown.decides} {named}".strip(),
        "risk": str(made.risk),
        "places": list(made.places),
        "digest": made.digest if shown.decides else "",
        "plan": plan_to_json(made.plan),
    }
    return json_text(told, indent=2)


def _covers(clusters: Iterable[str], places: set[str]) -> bool:
    held = {one.casefold() for one in clusters}
    return EVERYWHERE in held or (bool(places) and places <= held)
