"""A ticket from its first entry to its last, in words: every entry, with what was so before and after. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.api.plan import Gate
from bot.audit.rows import NO_NAMES, kind_in_words, name_in, named
from bot.errors import HvopsError, LedgerError
from bot.formatting import format_time
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
    """

    seq: int
    at: str
    kind: str
    by: tuple[str, str]
    says: str
    lines: tuple[tuple[str, str], ...] = ()


def story_of(entries: Iterable[Entry]) -> tuple[HistoryLine, ...]:
    """All entries of a ticket, in their order. Who is named in one of them is named in all."""
    story = tuple(entries)
    names = {entry.actor: name for entry in story if (name := name_in(entry))}
    policy = next((str(entry.fields.get("policy") or "") for entry in story if entry.kind == Proposed.kind), "")
    return tuple(told(entry, names, policy) for entry in story)


def told(entry: Entry, names: Mapping[str, str] = NO_NAMES, policy: str = "") -> HistoryLine:
    """One entry in words; one of a kind that this version does not know, with its data as it is.

    Args:
        entry: it.
        names: the name that is known for an id, for entries that tell none.
        policy: of its proposal: a plan of "confirm" is confirmed, and not approved.
    """
    kind = kind_in_words(entry, policy)
    try:
        says, lines = _says(entry.data, kind, policy), tuple(_lines(entry))
    except LedgerError:
        says, lines = json.dumps(entry.fields, ensure_ascii=False, sort_keys=True), ()
    return HistoryLine(entry.seq, entry.at, kind, named(entry, names), says, lines)


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
    if isinstance(said, Interrupted) and said.known:
        yield "Known", said.known
    if entry.message:
        yield "Says", entry.message
    if isinstance(said, Outcome) and said.event_log_note:
        yield "In the host's own log", said.event_log_note
    if isinstance(said, Voided) and said.difference:
        yield "What is different", "\n".join(said.difference)


def _measured(said: EntryData) -> Iterator[tuple[str, str]]:
    """What was read before and after, never what a plan expects."""
    match said:
        case Started():
            yield "Before", said.measured
        case Intent():
            yield "Before", format_rows(said.before) if said.before is not None else ""
            yield "Before the act", _HELD[said.held_before]
        case Outcome():
            yield "Read", "\n".join(said.measured)
            yield "After", format_rows(said.after) if "after" in said.model_fields_set else ""
        case Done():
            yield "After", "\n".join(said.measured) or NOT_MEASURED
        case Failed() if said.rolled_back:
            yield "After it was taken back", "\n".join(said.measured) or NOT_MEASURED


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
    yield "Checked", "\n".join(f"{gate.description}: {_word(gate)}" for gate in plan.gates)
    yield "Not known", "\n".join(question_line(one) for one in plan.open_questions)
    yield "Steps", "\n".join(f"{number} {step.description}" for number, step in enumerate(steps, 1))
    yield "Deadline (no step starts later)", format_time(proposal.run_until) if proposal.run_until else ""
    yield "Requester's other accounts", ", ".join(entry.read(Proposed).same_person)
    yield "Digest", proposal.digest


def _word(gate: Gate) -> str:
    return "passed" if gate.passed else "NOT KNOWN" if gate.is_open else "NOT passed"


def _in_a_file(entry: Entry, one: HistoryLine) -> str:
    who = one.by[1] if one.by[0] == one.by[1] else f"{one.by[1]} ({one.by[0]})"
    lines = [f"{entry.seq}  {entry.at}  {one.kind}  {who}", one.says]
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
    return ", ".join(f"{name} {value}" for name, value in row.items())


def _says(said: EntryData, kind: str, policy: str) -> str:
    """An entry in a sentence; `kind` as people read it."""
    if isinstance(said, (Intent, Outcome, StepConfirmed)):
        return _about_step(said)
    if isinstance(said, Proposed):
        return f"asked for {said.line}; open until {format_time(said.open_until)}"
    if isinstance(said, Approved):
        return f"{kind}; it may start until {format_time(said.start_by)}"
    if isinstance(said, Started):
        return f"looked again, unchanged; started with the locks {', '.join(said.locks)}"
    if isinstance(said, Resumed):
        return f"lets it go on, attempt {said.attempt}"
    return _SENTENCES.get(said.kind) or _about(said, policy)


def _about_step(said: Intent | Outcome | StepConfirmed) -> str:
    step = said.step if said.round == 1 else f"{said.step}, round {said.round}"
    if isinstance(said, Outcome):
        return f"step {step}: {result_in_words(said)}"
    if isinstance(said, StepConfirmed):
        typed = "; ".join(statement(one) for one in said.answers)
        return f"says that step {step} is done" + (f": {typed}" if typed else "")
    return f"begins step {step}, attempt {said.attempt}" + (f": {said.description}" if said.description else "")


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
            return f"put its message into {said.channel}"
        case ThreadReplyShown():
            without = f", without its {' and '.join(said.missing)} yet" if said.missing else ""
            return f"told entry {said.entry} in its thread{without}"
        case MissingPartShown():
            return f"delivered the {said.part} that belongs to entry {said.entry}"
        case DirectMessageShown():
            return f"told entry {said.entry} to {said.to} directly"
        case ReminderShown():
            return "reminded those who decide"
    return json.dumps(said.fields, ensure_ascii=False, sort_keys=True)


_HELD = {
    "": "",
    "yes": "what it is judged by was so already",
    "no": "what it is judged by was not so",
    "not known": "whether what it is judged by was so already is not known",
}
_SENTENCES = {
    "rejected": "rejected it",
    "withdrawn": "took it back",
    "expired": "nobody decided in time",
    "lapsed": "it could not start in time",
    "voided": "the plan was not the same any more",
    "cancel-asked": "asked it to stop after this step",
    "interrupted": "interrupted: a person must decide",
    "done": "done",
    "failed": "failed",
    "cancelled": "stopped as asked",
    "closed": "closed it as it is",
}
