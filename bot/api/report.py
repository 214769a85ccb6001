"""What a diagnostic answers: a verdict first, then what to do, then the evidence, then what is not known.

Pure data: the Slack renderer, the terminal renderer and `--json` all read the same value, and the ledger keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from bot.api.facts import Unknown
from bot.api.queries import Fields


class Severity(StrEnum):
    """How much a finding matters. FAULT and WARNING make `hvops ask` exit with 1; NOTE does not."""

    FAULT = "fault"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remedy:
    """A button, and the command line it stands for. The label is a verb in Title Case, 20 characters at most."""

    label: str
    line: str  # "/find-full-guests prod"
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is so. It never says more than the facts.

    `word` is the state in one or two capital words (STUCK, LOOKS STUCK, BUSY, FULL, LOW, TRAP, DIFFERS).
    `lines` are labelled sentences in reading order; the labels in use are "Means", "Suspect", "Locked",
    "Do now", "Caution", "By hand", "Next", "First seen", "Because", "Replica".
    """

    severity: Severity
    status: str
    target: str
    summary: str
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Healthy:
    """Targets that answered and are well: "STABLE: hv01 hv02 (11 writers each)"."""

    word: str
    targets: tuple[str, ...]
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Numbers are right-aligned and sort as numbers; they are whole or in tenths."""

    name: str
    kind: Literal["text", "number"] = "text"
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for reading and for CSV. A number cell is its decimal text ("21.4"), "" where unknown."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart: a label of 20 characters at most, and a value in tenths of the chart's unit."""

    label: str
    tenths: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A bar chart, worst first, with its thresholds said in words. 20 bars at most.

    `one` is the unit of the value 1, where it differs: "guest" beside "guests".
    """

    title: str  # 50 characters at most
    unit: str
    bars: tuple[Bar, ...]
    thresholds: tuple[tuple[str, int], ...] = ()  # (label, tenths)
    one: str = ""

    def tenths(self) -> tuple[int, ...]:
        """All that it shows, in tenths of its unit."""
        return (*(bar.tenths for bar in self.bars), *(tenths for _, tenths in self.thresholds))

    def value(self, tenths: int) -> str:
        """A value with its unit: "1 guest", "2.5 GB"."""
        number = f"{tenths / 10:g}"
        return f"{number} {self.one if self.one and number == '1' else self.unit}"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a later answer will want to know about this one. `Recall(on, what)` brings it back."""

    on: str
    what: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of a diagnostic.

    title       the verdict, with the target's name: header of the message, 150 characters at most
    summary     one line that says it all, for a notification or a screen reader
    asked       how many targets were asked; `answered` of them did; `of` is what they are ("nodes", "guests")
    did         what those that count did, in a word: nodes answered, checks passed
    background  what nobody needs at a glance: how far back logs go, rules, checks that passed. Behind *Evidence* in Slack
    """

    title: str
    summary: str
    of: str
    asked: int
    answered: int
    findings: tuple[Finding, ...] = ()
    unanswered: tuple[Unknown, ...] = ()
    fine: tuple[Healthy, ...] = ()
    notes: tuple[str, ...] = ()  # "Not asked: lin-01 Linux; vdi-07 off", sources and limits of what was asked
    chart: Chart | None = None
    table: Table | None = None
    remedies: tuple[Remedy, ...] = ()  # Check Again, Evidence and Share are added by the bot
    samples: tuple[Sample, ...] = field(default=())
    did: str = "answered"
    background: tuple[str, ...] = ()

    @property
    def has_findings(self) -> bool:
        """Whether anything is wrong: the terminal's exit code 1."""
        return any(finding.severity is not Severity.NOTE for finding in self.findings)

    @property
    def has_unknowns(self) -> bool:
        """Whether anything is not known: the terminal's exit code 3 where nothing else is wrong."""
        return bool(self.unanswered)
