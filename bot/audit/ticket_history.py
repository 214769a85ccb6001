"""A ticket from its first entry to its last, in words: every entry, with what was so before and after. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.audit.rows import named
from bot.errors import HvopsError
from bot.formatting import format_time
from bot.ledger import Entry
from bot.tickets.plan_text import plan_lines
from bot.tickets.proposal import proposal_from


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
    """All of them, in their order."""
    return tuple(told(entry) for entry in entries)


def told(entry: Entry) -> HistoryLine:
    """One entry in words; one of a kind that this version does not know, with its data as it is."""
    says = _SAYS.get(entry.kind, _unknown)(entry.data)
    return HistoryLine(entry.seq, entry.at, entry.kind, named(entry), says, tuple(_lines(entry)))


def story_text(ticket: str, entries: Iterable[Entry]) -> str:
    """The whole of it for a file: in words, the plan line by line, and each entry's data as it stands in the ledger."""
    return f"{ticket}\n\n" + "\n\n".join(_in_a_file(entry) for entry in entries) + "\n"


def format_rows(rows: Any) -> str:
    """What a question about a state answered: "Name hv03, State 2; Name hv04, State 0"."""
    if rows is None:
        return "not known"
    if not isinstance(rows, list):
        return str(rows)
    told_rows = (_pairs(row) if isinstance(row, Mapping) else str(row) for row in rows)
    return "; ".join(told_rows) or "no rows"


def _lines(entry: Entry) -> Iterator[tuple[str, str]]:
    data = entry.data
    if entry.kind == "proposed":
        yield from _proposal(entry)
    if entry.kind == "intent" and data.get("before") is not None:
        yield "Before", format_rows(data["before"])
    if entry.kind == "outcome" and "after" in data:
        yield "After", format_rows(data["after"])
    for label, name in (("Why", "why"), ("Known", "known"), ("Says", "says"), ("In the host's own log", "noted")):
        if data.get(name) and not (entry.kind == "intent" and name == "says"):
            yield label, str(data[name])
    if data.get("difference"):
        yield "What is different", "\n".join(_each(data["difference"]))


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
    yield "Checked", "\n".join(f"{gate.description}: {'yes' if gate.passed else 'NO'}" for gate in plan.gates)
    yield "Steps", "\n".join(f"{number} {step.description}" for number, step in enumerate(steps, 1))
    yield "Digest", proposal.digest


def _in_a_file(entry: Entry) -> str:
    one = told(entry)
    who = one.by[1] if one.by[0] == one.by[1] else f"{one.by[1]} ({one.by[0]})"
    lines = [f"{entry.seq}  {entry.at}  {entry.kind}  {who}", one.says]
    lines += [f"  {label}: {text}".replace("\n", "\n    ") for label, text in one.lines if text]
    if entry.kind == "proposed":
        lines += [f"  {line}" for line in _whole_plan(entry)]
    whole = json.dumps(entry.data, ensure_ascii=False, sort_keys=True)
    return "\n".join([*lines, f"  data: {whole}", f"  mac: {entry.mac.hex()}"])


def _whole_plan(entry: Entry) -> tuple[str, ...]:
    try:
        proposal = proposal_from(entry)
    except (HvopsError, KeyError, TypeError, ValueError):
        return ()  # said already; the data follows as it is
    return ("Plan:", *plan_lines(proposal.plan, proposal.made.risk, proposal.made.version))


def _step(data: Mapping[str, Any]) -> str:
    again = f", round {data['round']}" if data.get("round", 1) != 1 else ""
    return f"{data.get('step')}{again}"


def _intent(data: Mapping[str, Any]) -> str:
    says = f": {data['says']}" if data.get("says") else ""
    return f"begins step {_step(data)}, attempt {data.get('attempt')}{says}"


def _shown(data: Mapping[str, Any]) -> str:
    where = data.get("place") or data.get("channel")
    if data.get("card"):
        return f"put its message into {where}"
    return "reminded those who decide" if data.get("reminder") else f"told entry {data.get('entry')} in its thread"


def _until(name: str, label: str) -> Callable[[Mapping[str, Any]], str]:
    def says(data: Mapping[str, Any]) -> str:
        try:
            return f"{label} until {format_time(str(data[name]))}"
        except (KeyError, ValueError):
            return label

    return says


def _unknown(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True)


def _each(value: Any) -> list[str]:
    """The items of what should be a list."""
    return [str(one) for one in value] if isinstance(value, list) else [] if value is None else [str(value)]


def _pairs(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())


def _just(says: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _: says


_SAYS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "proposed": lambda data: f"asked for {data.get('line')}; " + _until("open_until", "open")(data),
    "approved": _until("start_by", "approved; it may start"),
    "rejected": _just("rejected it"),
    "withdrawn": _just("took it back"),
    "expired": _just("nobody decided in time"),
    "lapsed": _just("it could not start in time"),
    "voided": _just("the plan was not the same any more"),
    "started": lambda data: f"looked again, unchanged; started with the locks {', '.join(_each(data.get('locks')))}",
    "intent": _intent,
    "outcome": lambda data: f"step {_step(data)}: {data.get('result', 'ended')}",
    "step-confirmed": lambda data: f"says that step {_step(data)} is done",
    "cancel-asked": _just("asked it to stop after this step"),
    "interrupted": _just("interrupted: a person must decide"),
    "resumed": lambda data: f"lets it go on, attempt {data.get('attempt')}",
    "done": _just("done"),
    "failed": _just("failed"),
    "cancelled": _just("stopped as asked"),
    "closed": _just("closed it as it is"),
    "clicked": lambda data: f"pressed {str(data.get('button')).removeprefix('t-').removesuffix('-why')}",
    "refused": lambda data: f"was refused: {data.get('line')}",
    "shown": _shown,
}
