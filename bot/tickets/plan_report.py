"""A plan that is not proposed, as a report: why there is none, or what it would be."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.api.facts import Unknown
from bot.api.plan import Gate, Plan
from bot.api.report import Finding, Healthy, Report, Severity
from bot.formatting import capital
from bot.redaction import clip
from bot.tickets.answers import open_in_words, question_line
from bot.tickets.plan_text import plan_lines
from bot.tickets.proposal import PlannedChange

_TITLE = 150
_NOTHING = "Nothing to "  # how a plan says that there is no need of one


def no_plan(made: PlannedChange, unanswered: Sequence[Unknown] = ()) -> Report:
    """Why there is no plan: what holds it, what is not known, or that there is nothing to do."""
    held = made.plan.blocking_gates
    where = made.target or made.line
    said, first = _said(made.plan)
    is_needless = not held and made.plan.reason.startswith(_NOTHING)
    is_said = is_needless or (bool(held) and held[0].sentence.casefold() in made.plan.reason.casefold())
    if said:
        title = said
        lead = (_first(first, where, held=bool(held)),) if first else ()
        findings = (*lead, *(_holds(where, gate) for gate in held))
    elif held:
        holds = _what_holds(held[0])
        title = f"No plan yet: {holds}" if holds.startswith(f"{where} ") else f"No plan yet for {where}: {holds}"
        findings = tuple(_holds(where, gate) for gate in held)
    elif is_needless:  # only said where it is known, whoever else was silent
        title, _, rest = made.plan.reason.partition(". ")
        title, findings = title.rstrip("."), (Finding(Severity.NOTE, "ALSO", where, rest),) if rest else ()
    elif unanswered:
        title = f"No plan for {where}: not everything is known"
        findings = (Finding(Severity.NOTE, "NO PLAN", where, made.plan.reason),)
    else:  # a refusal; the sentence may be long
        title = f"No plan for {where}"
        findings = (Finding(Severity.NOTE, "NO PLAN", where, made.plan.reason),)
    return Report(
        title=_cut(title),
        summary=made.plan.reason if said or is_said else f"{title}. {made.plan.reason}",
        of="checks",
        asked=len(made.plan.gates),
        answered=len(made.plan.passed_gates),
        findings=findings,
        unanswered=tuple(one for one in unanswered if not _is_said(one, held)),
        notes=(*_told(made.plan.gates), *(("Evidence:", *made.plan.evidence) if made.plan.evidence else ())),
        background=_passed(made.plan.gates),
        remedies=made.plan.remedies,
        samples=made.plan.samples,
        did="passed",
    )


def would_be(made: PlannedChange, decides: str) -> Report:
    """The plan as it would be proposed. Nothing waits for anybody.

    Args:
        made: a plan that can run.
        decides: who would decide about it, as a sentence.
    """
    plan, where = made.plan, made.target or made.line
    open_ = plan.open_questions
    title = f"Preview: a plan for {where} is possible"
    if open_:
        title = (
            f"The plan for {where} needs an approver: {open_in_words(open_)} ({'; '.join(one.what for one in open_)})"
        )
    waits = tuple(Finding(Severity.NOTE, "NOT YET", where, gate.finding) for gate in plan.pending_gates)
    opens = tuple(
        Finding(
            Severity.WARNING,
            "NOT KNOWN",
            where,
            f"{capital(question_line(one))} The approver must say {'why it cannot wait' if one.is_override else 'how they know'}.",
        )
        for one in open_
    )
    warnings = tuple(gate for gate in plan.other_gates if not gate.passes_at and not gate.is_open)
    return Report(
        title=_cut(title),
        summary=f"{title}. {plan.reason} {decides}",
        of="checks",
        asked=len(plan.gates),
        answered=len(plan.passed_gates),
        findings=(*opens, *waits, *(Finding(Severity.NOTE, "WARNING", where, gate.finding) for gate in warnings)),
        fine=tuple(Healthy("PASSED", (gate.description,), gate.measured) for gate in plan.passed_gates),
        notes=(
            f"Because: {plan.reason}",
            f"Impact: {plan.impact}",
            decides,
            f"Digest of the plan (SHA-256): {made.digest}",
            *plan_lines(plan, made.risk, made.version),
            *plan.evidence,
        ),
        remedies=plan.remedies,
        samples=plan.samples,
        did="passed",
    )


def _cut(title: str) -> str:
    """A title that fits, cut at a blank: the whole of it stands below."""
    if len(title) <= _TITLE:
        return title
    return f"{clip(title, _TITLE - 1).rsplit(' ', 1)[0].rstrip(' ,;:(')}…"


def _said(plan: Plan) -> tuple[str, str]:
    """What the command itself says why there is no plan, as a title, and what it says beside that; "" where it only lists gates.

    `because` is shown by its beginning: "No plan…: why. What to do first.", "Nothing to …", or any other refusal.
    """
    title, _, first = plan.reason.partition(". ")
    return (title.rstrip("."), first) if title.startswith("No plan") and ": " in title else ("", "")


def _told(gates: Sequence[Gate]) -> tuple[str, ...]:
    waits = (f"Not yet: {gate.finding}" for gate in gates if gate.passes_at)
    warned = (f"Warning: {gate.finding}" for gate in gates if not (gate.passed or gate.blocks or gate.passes_at))
    return (*waits, *warned)


def _passed(gates: Sequence[Gate]) -> tuple[str, ...]:
    return tuple(f"Passed: {gate.finding}" for gate in gates if gate.passed)


def _first(says: str, where: str, *, held: bool) -> Finding:
    """What to do first, or what else there is to say."""
    does = says.removeprefix("First: ")
    word = "DO FIRST" if does != says else "NO PLAN"
    return Finding(Severity.FAULT if held else Severity.NOTE, word, where, capital(does))


def _holds(where: str, gate: Gate) -> Finding:
    """What is so, not what would have to be: that reads, by itself, as if it were so."""
    missing = tuple(("Not known", question_line(one)) for one in gate.unknowns)
    return Finding(Severity.FAULT, "BLOCKED", where, f"{_what_holds(gate)}.", missing)


def _what_holds(gate: Gate) -> str:
    """A gate in a sentence; without its measurement where that only repeats what each unknown below it says."""
    whys = [one.why.rstrip(".") for one in gate.unknowns if not one.is_override]
    left = gate.measured.removeprefix("not known: ")
    for why in filter(None, whys):
        left = left.replace(why, "")
    is_said_below = bool(whys) and all(whys) and re.fullmatch(r"(?:[\w.-]+: ?|[;,. ])*", left) is not None
    return gate.sentence if is_said_below else gate.finding


def _is_said(silent: Unknown, held: Sequence[Gate]) -> bool:
    """Whether a gate that holds the plan names this silence, its reason and what to do about it."""
    return any(
        silent.target in one.what.split() and silent.why == one.why and silent.remedy == one.remedy
        for gate in held
        for one in gate.unknowns
    )
