"""The outcomes in words: worst first, each with who has to see to it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.api.report import Column, Finding, Healthy, Severity, Table
from commands.continuity.outcomes import Outcome, Verdict

_SEVERITY = {
    Outcome.BROKEN: Severity.FAULT,
    Outcome.STALE: Severity.WARNING,
    Outcome.UNPROVABLE: Severity.WARNING,
}
_WORDS = {Outcome.BROKEN: "BROKEN", Outcome.STALE: "STALE", Outcome.UNPROVABLE: "NOT PROVED"}


def count_outcomes(verdicts: Sequence[Verdict]) -> str:
    """The title's end: "1 broken, 1 not proved, 2 proved"."""
    counts = {outcome: sum(one.outcome is outcome for one in verdicts) for outcome in Outcome}
    return ", ".join(f"{count} {outcome.word}" for outcome, count in counts.items() if count)


def findings_of(verdicts: Sequence[Verdict]) -> tuple[Finding, ...]:
    """One for each assumption that is not proved, worst first."""
    worst = sorted((one for one in verdicts if one.outcome is not Outcome.PROVED), key=lambda one: one.outcome)
    return tuple(
        Finding(_SEVERITY[one.outcome], _WORDS[one.outcome], one.subject, f"{_capital(one.why)}.", _lines(one))
        for one in worst
    )


def proved_of(verdicts: Sequence[Verdict]) -> tuple[Healthy, ...]:
    """What is proved, each with its proof."""
    return tuple(Healthy("PROVED", (one.subject,), one.why) for one in verdicts if one.outcome is Outcome.PROVED)


def table_of(verdicts: Sequence[Verdict]) -> Table:
    """Every assumption with its outcome, for CSV and for an auditor."""
    columns = tuple(map(Column, ("Outcome", "About", "Assumption", "Seen", "Owner", "Asked on")))
    rows = tuple(
        (
            one.outcome.word,
            one.subject,
            one.assumption.says if one.assumption else "",
            one.why,
            one.assumption.owner if one.assumption else "",
            one.asked,
        )
        for one in sorted(verdicts, key=lambda one: one.outcome)
    )
    return Table("Assumptions", columns, rows)


def _lines(one: Verdict) -> tuple[tuple[str, str], ...]:
    found = []
    if one.assumption:
        found.append(("Assumed", one.assumption.says))
    found += one.lines
    if one.asked:
        found.append(("Asked on", one.asked))
    if one.assumption and one.assumption.owner:
        found.append(("Owner", one.assumption.owner))
    return tuple(found)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
