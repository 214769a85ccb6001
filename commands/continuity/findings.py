"""The outcomes in words: worst first, each with who has to see to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bot.api.report import Bar, Chart, Column, Finding, Healthy, Severity, Table
from bot.api.texts import clip
from commands.continuity.outcomes import Outcome, Verdict

_SEVERITY = {
    Outcome.BROKEN: Severity.FAULT,
    Outcome.STALE: Severity.WARNING,
    Outcome.UNPROVABLE: Severity.WARNING,
}
_WORDS = {Outcome.BROKEN: "BROKEN", Outcome.STALE: "STALE", Outcome.UNPROVABLE: "NOT PROVED"}

BARS = 20  # of a chart
LABEL = 20  # characters of a bar's label


def count_outcomes(verdicts: Sequence[Verdict]) -> str:
    """The title's end: "1 broken, 1 not proved, 2 proved"."""
    counts = {outcome: sum(one.outcome is outcome for one in verdicts) for outcome in Outcome}
    return ", ".join(f"{count} {outcome.word}" for outcome, count in counts.items() if count)


def findings_of(verdicts: Sequence[Verdict]) -> tuple[Finding, ...]:
    """One for each assumption that is not proved, worst first."""
    worst = sorted((one for one in verdicts if one.outcome is not Outcome.PROVED), key=lambda one: one.outcome)
    return tuple(
        Finding(
            _SEVERITY[one.outcome],
            _WORDS[one.outcome],
            one.subject,
            f"{_capital(one.why)}.",
            _lines(one, names_owner=not one_owner(verdicts)),
        )
        for one in worst
    )


def one_owner(verdicts: Sequence[Verdict]) -> str:
    """Who has to see to all that is not proved; "" where there are several, or nobody is named: each then names its own."""
    owners = {one.assumption.owner if one.assumption else "" for one in verdicts if one.outcome is not Outcome.PROVED}
    return owners.pop() if len(owners) == 1 else ""


def proved_of(verdicts: Sequence[Verdict]) -> tuple[Healthy, ...]:
    """What is proved, each with its proof."""
    return tuple(Healthy("PROVED", (one.subject,), one.why) for one in verdicts if one.outcome is Outcome.PROVED)


def chart_of(verdicts: Sequence[Verdict], promised: timedelta | None) -> Chart | None:
    """Minutes since the last cycle of each machine that replicates, worst first; nothing to compare with one alone.

    Args:
        verdicts: all of them.
        promised: the RPO; None where there is none, as of a cluster.
    """
    worst: dict[str, int] = {}
    for one in verdicts:
        if one.minutes is not None:
            worst[one.subject] = max(one.minutes, worst.get(one.subject, 0))
    if len(worst) < 2:  # noqa: PLR2004 - one bar says no more than its finding
        return None
    ordered = sorted(worst.items(), key=lambda pair: -pair[1])[:BARS]
    labels = _labels([name for name, _ in ordered])
    bars = tuple(Bar(label, 10 * minutes) for label, (_, minutes) in zip(labels, ordered, strict=True))
    thresholds = (("target (RPO)", 10 * (promised // timedelta(minutes=1))),) if promised else ()
    return Chart("Minutes since the last replication", "min", bars, thresholds)


def _labels(names: Sequence[str]) -> list[str]:
    """Names in 20 characters, each once: a chart merges bars of one name."""
    labels: list[str] = []
    for name in names:
        label, number = name if len(name) <= LABEL else clip(name, LABEL, "…"), 2
        while label in labels:
            mark = f"~{number}"
            label, number = f"{clip(name, LABEL - len(mark))}{mark}", number + 1
        labels.append(label)
    return labels


def table_of(verdicts: Sequence[Verdict]) -> Table:
    """Every assumption with its outcome, for CSV and for an auditor; with minutes where something replicates."""
    columns = list(map(Column, ("Outcome", "About", "Assumption", "Seen", "Owner", "Source")))
    rows = [_row(one) for one in sorted(verdicts, key=lambda one: one.outcome)]
    if any(one.minutes is not None for one in verdicts):
        return Table("Assumptions", (*columns, Column("Last cycle", "number", "min")), tuple(rows))
    return Table("Assumptions", tuple(columns), tuple(row[:-1] for row in rows))


def _row(one: Verdict) -> tuple[str, ...]:
    return (
        one.outcome.word,
        one.subject,
        one.assumption.says if one.assumption else "",
        one.why,
        one.assumption.owner if one.assumption else "",
        one.asked,
        "" if one.minutes is None else str(one.minutes),
    )


def _lines(one: Verdict, *, names_owner: bool) -> tuple[tuple[str, str], ...]:
    """What was assumed, with its owner and where it was asked in the same line; the table has each of them by itself."""
    beside = [one.assumption.owner] if names_owner and one.assumption and one.assumption.owner else []
    beside += [f"source: {one.asked}"] if one.asked else []
    told = f" ({', '.join(beside)})" if beside else ""
    if not one.assumption:
        return (*one.lines, *((("Source", one.asked),) if one.asked else ()))
    return (("Assumed", f"{one.assumption.says}{told}"), *one.lines)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
