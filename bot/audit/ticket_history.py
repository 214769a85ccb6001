"""A ticket from its first entry to its last, in words: every entry, with what was so before and after. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.api.plan import Gate, GateOutcome
from bot.audit.rows import NO_NAMES, kind_in_words, name_in, named
from bot.errors import HvopsError, LedgerError
from bot.formatting import cell_text, column_text, format_locks, format_time
from bot.ledger import Entry
from bot.ledger.entries import (
    Approved,
    Clicked,
    DirectMessageShown,
    Done,
    EntryData,
    Failed,
    Intent,
    Interrupted,
    MissingPartShown,
    Outcome,
    Proposed,
    Refused,
    ReminderShown,
    Resumed,
    Shown,
    Started,
    StepConfirmed,
    ThreadReplyShown,
    TicketMessageShown,
    Voided,
)
from bot.tickets.answers import question_line, statement
from bot.tickets.decisions import CONFIRM
from bot.tickets.plan_text import plan_lines
from bot.tickets.proposal import proposal_from
from bot.tickets.readings import NOT_MEASURED
from bot.tickets.run_history import result_in_words


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One entry.

    Attributes:
        by: id and name of who wrote it; the bot is ("bot", "bot").
        says: what happened, in a sentence. Plain text, with whatever names came from outside.
        lines: label and text: the plan, the reason, what was so before and after.
        is_done: something was decided, done or ended by it; False of what was only looked at, or is plumbing.
    """

    seq: int
    at: str
    kind: str
    by: tuple[str, str]
    says: str
    lines: tuple[tuple[str, str], ...] = ()
    is_done: bool = False


# Labels of what was read.
READ = frozenset({"Checked", "Before", "Check before the step", "Read", "After", "In the host's own log", "Digest"})
_PLUMBING = frozenset({Clicked.kind, Shown.kind})  # which button was pressed, and where a message was put
_ONLY_LOOKED = frozenset({Started.kind, Intent.kind}) | _PLUMBING
_IN_WORDS = {Intent.kind: "step started", Outcome.kind: "step ended", "cancel-asked": "stop asked"}


def is_plumbing(entry: Entry) -> bool:
    """Whether it says only which button was pressed, or where something was shown. What people typed stands in the decision."""
    return entry.kind in _PLUMBING


def story_of(entries: Iterable[Entry], *, whole: bool = True) -> tuple[HistoryLine, ...]:
    """The entries of a ticket, in their order. Who is named in one of them is named in all.

    Args:
        entries: all of them.
        whole: also which buttons were pressed, and where messages were put.
    """
    story = tuple(entries)
    names = {entry.actor: name for entry in story if (name := name_in(entry))}
    proposed = next((entry for entry in story if entry.kind == Proposed.kind), None)
    policy = str(proposed.fields.get("policy") or "") if proposed is not None else ""
    steps = step_words(proposed)
    return tuple(told(entry, names, policy, steps) for entry in story if whole or not is_plumbing(entry))


def step_words(proposed: Entry | None) -> Mapping[str, str]:
    """What each step of a plan is called, by its key: "step 2, Stop the service vmms on hv03"; none where it cannot be read."""
    if proposed is None:
        return NO_NAMES
    try:
        steps = proposal_from(proposed).plan.steps
    except (HvopsError, KeyError, TypeError, ValueError):
        return NO_NAMES
    return {step.key: f"step {number}, {step.description}" for number, step in enumerate(steps, 1)}


def told(
    entry: Entry, names: Mapping[str, str] = NO_NAMES, policy: str = "", steps: Mapping[str, str] = NO_NAMES
) -> HistoryLine:
    """One entry in words; one of a kind that this version does not know, with its data as it is.

    Args:
        entry: it.
        names: the name that is known for an id, for entries that tell none.
        policy: of its proposal: a plan of "confirm" is confirmed, and not approved.
        steps: what its steps are called, by their keys.
    """
    kind = kind_in_words(entry, policy)
    try:
        says, lines = _says(entry.data, kind, policy, steps), tuple(_lines(entry))
    except LedgerError:
        says, lines = json.dumps(entry.fields, ensure_ascii=False, sort_keys=True), ()
    kind = _IN_WORDS.get(kind, kind)
    return HistoryLine(entry.seq, entry.at, kind, named(entry, names), says, lines, entry.kind not in _ONLY_LOOKED)


def story_text(ticket: str, entries: Iterable[Entry]) -> str:
    """The whole of it for a file: in words, the plan line by line, and each entry's data as it stands in the ledger."""
    story = tuple(entries)
    told_lines = zip(story, story_of(story), strict=True)
    return f"{ticket}\n\n" + "\n\n".join(_in_a_file(entry, one) for entry, one in told_lines) + "\n"


def format_rows(rows: Any) -> str:
    """What a question about a state answered: "Name hv03, State 2; Name hv04, State 0"."""
    if rows is None:
        return "not known"
    if not isinstance(rows, list):
        return str(rows)
    told_rows = (_pairs(row) if isinstance(row, Mapping) else str(row) for row in rows)
    return "; ".join(told_rows) or "none"


def _lines(entry: Entry) -> Iterator[tuple[str, str]]:
    said = entry.data
    if isinstance(said, Proposed):
        yield from _proposal(entry)
    yield from _measured(said)
    yield from _spoken(entry)
    if entry.reason:
        yield "Why", entry.reason
    if isinstance(said, Intent) and said.failed_why:
        yield "Undone because", said.failed_why
    if isinstance(said, Interrupted) and said.known:
        yield "Known", said.known
    if entry.message:
        yield "Says", entry.message
    if isinstance(said, Outcome) and said.event_log_note:
        yield "In the host's own log", said.event_log_note
    if isinstance(said, Voided) and said.difference:
        yield "Changes", "\n".join(said.difference)


def _measured(said: EntryData) -> Iterator[tuple[str, str]]:
    """What was read before and after, never what a plan expects."""
    match said:
        case Started():
            yield "Before", said.measured
        case Intent():
            yield "Before", format_rows(said.before) if said.before is not None else ""
            yield "Check before the step", _HELD[said.held_before]
        case Outcome():
            yield "Read", "\n".join(said.measured)
            yield "After", format_rows(said.after) if "after" in said.model_fields_set else ""
        case Done():
            yield "After", "\n".join(said.measured) or NOT_MEASURED
        case Failed() if said.rolled_back or said.measured:
            yield "After the undo", "\n".join(said.measured) or NOT_MEASURED


def _spoken(entry: Entry) -> Iterator[tuple[str, str]]:
    """What a person said of what no source answered: typed into the window, and signed with the approval."""
    said = entry.data
    if isinstance(said, Clicked) and said.answers:
        yield "Typed", "; ".join(said.answers)
    if isinstance(said, Approved):
        for one in said.answers:
            yield f"{named(entry)[1]} answered", statement(one)


def _proposal(entry: Entry) -> Iterator[tuple[str, str]]:
    try:
        proposal = proposal_from(entry)
    except (HvopsError, KeyError, TypeError, ValueError) as error:
        yield "Plan", f"cannot be read: {error}"
        return
    plan = proposal.plan
    steps = [step for group in plan.groups for step in group.steps]
    yield "Why", plan.reason
    yield "Impact", plan.impact
    yield "Way back", plan.rollback
    passed, other = len(plan.passed_gates), plan.other_gates
    yield (
        "Checked",
        "\n".join([f"{passed} of {len(plan.gates)} checks passed", *map(_not_passed, other)]) if plan.gates else "",
    )
    yield "Not known", "\n".join(question_line(one) for one in plan.open_questions)
    yield "Steps", "\n".join(f"{number} {step.description}" for number, step in enumerate(steps, 1))
    yield "No step starts after", format_time(proposal.run_until) if proposal.run_until else ""
    yield "Requester's other accounts", ", ".join(entry.read(Proposed).same_person)
    yield "Digest", proposal.digest


def _not_passed(gate: Gate) -> str:
    word = "Pending" if gate.passes_at else "Failed" if gate.outcome is GateOutcome.BLOCKED else "Not known"
    return f"{word}: {gate.finding}"


def _in_a_file(entry: Entry, one: HistoryLine) -> str:
    who = one.by[1] if one.by[0] == one.by[1] else f"{one.by[1]} ({one.by[0]})"
    kind = entry.kind if one.kind in _IN_WORDS.values() else one.kind  # as filters and the ledger have it
    lines = [f"{entry.seq}  {entry.at}  {kind}  {who}", one.says]
    lines += [f"  {label}: {text}".replace("\n", "\n    ") for label, text in one.lines if text]
    if entry.kind == "proposed":
        lines += [f"  {line}" for line in _whole_plan(entry)]
    whole = json.dumps(entry.fields, ensure_ascii=False, sort_keys=True)
    return "\n".join([*lines, f"  data: {whole}", f"  mac: {entry.mac.hex()}"])


def _whole_plan(entry: Entry) -> tuple[str, ...]:
    try:
        proposal = proposal_from(entry)
    except (HvopsError, KeyError, TypeError, ValueError):
        return ()  # said already; the data follows as it is
    return ("Plan:", *plan_lines(proposal.plan, proposal.made.risk, proposal.made.version, proposal.run_until))


def _pairs(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{column_text(name)} {cell_text(value)}" for name, value in row.items())


def _says(said: EntryData, kind: str, policy: str, steps: Mapping[str, str]) -> str:
    """An entry in a sentence; `kind` as people read it."""
    if isinstance(said, (Intent, Outcome, StepConfirmed)):
        return _about_step(said, steps)
    if isinstance(said, Proposed):
        return f"requested {said.line}; decision due by {format_time(said.open_until)}"
    if isinstance(said, Approved):
        return f"{kind}; must start by {format_time(said.start_by)}"
    if isinstance(said, Started):
        return f"re-checked, unchanged; started, and locked {format_locks(said.locks)}"
    if isinstance(said, Resumed):
        return f"resumed it (attempt {said.attempt})"
    return _SENTENCES.get(said.kind) or _about(said, policy)


def _about_step(said: Intent | Outcome | StepConfirmed, steps: Mapping[str, str]) -> str:
    step = steps.get(said.step, f"step {said.step}") + (f", round {said.round}" if said.round > 1 else "")
    if isinstance(said, Outcome):
        return f"{step}: {result_in_words(said)}"
    if isinstance(said, StepConfirmed):
        typed = "; ".join(statement(one) for one in said.answers)
        return f"confirmed {step}" + (f": {typed}" if typed else "")
    attempt = f", attempt {said.attempt}" if said.attempt > 1 else ""
    described = f": {said.description}" if said.description and said.step not in steps else ""
    return f"{step}{attempt}{described}"


def _about(said: EntryData, policy: str) -> str:
    """What does not move a ticket."""
    match said:
        case Clicked():
            pressed = said.button.removeprefix("t-").removesuffix("-why")
            return f"pressed {'confirm' if (pressed, policy) == ('approve', CONFIRM) else pressed}"
        case Refused():
            return f"was refused: {said.line}"
        case Shown():
            return _delivered(said)
    return json.dumps(said.fields, ensure_ascii=False, sort_keys=True)


def _delivered(said: Shown) -> str:
    """What people have been told."""
    match said:
        case TicketMessageShown():
            return f"posted its message in {said.channel}"
        case ThreadReplyShown():
            without = f", without its {' and '.join(said.missing)} yet" if said.missing else ""
            return f"posted entry {said.entry} in its thread{without}"
        case MissingPartShown():
            return f"delivered the {said.part} that belongs to entry {said.entry}"
        case DirectMessageShown():
            return f"sent entry {said.entry} to {said.to} directly"
        case ReminderShown():
            return "reminded those who decide"
    return json.dumps(said.fields, ensure_ascii=False, sort_keys=True)


_HELD = {
    "": "",
    "yes": "already met",
    "no": "not met yet",
    "not known": "not known",
}
_SENTENCES = {
    "rejected": "rejected it",
    "withdrawn": "withdrew it",
    "expired": "expired without a decision",
    "lapsed": "it could not start in time",
    "voided": "the plan had changed",
    "cancel-asked": "asked it to stop after this step",
    "interrupted": "interrupted: someone must decide",
    "done": "done",
    "failed": "failed",
    "cancelled": "stopped as asked",
    "closed": "closed it as it is",
}
