"""One row of a review, out of the entries themselves: a question, a refusal, a switch, or a ticket. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.ledger import Entry
from bot.ledger.entries import Answered, Asked, Proposed, Refused
from bot.ledger.ticket_state import ENDS

CHANGE, REFUSAL, QUESTION, SWITCH = "change", "refusal", "question", "switch"
KINDS = {
    "proposed": CHANGE,
    "refused": REFUSAL,
    "answered": QUESTION,
    "asked": QUESTION,
    "stop": SWITCH,
    "go": SWITCH,
}
TURNS = ENDS | {"proposed", "approved", "started", "resumed", "interrupted"}  # what a ticket's outcome hangs on
_NOW = {"started": "running", "resumed": "running"}
_SWITCHES = ("stop", "go")
UNREADABLE = "unreadable"
_DECIDED = ("approved", "rejected", "withdrawn", "expired")


@dataclass(frozen=True, slots=True)
class Row:
    """What happened.

    Attributes:
        seq: the number of the entry that it begins with.
        at: when that was, ISO 8601 in UTC.
        kind: "change", "refusal", "question" or "switch".
        ticket: its id, or "".
        what: the command, or what else was wanted; that the entry cannot be read, where that is so.
        asked_by, decided_by: id and name; ("", "") where nobody did.
        outcome: a word of OUTCOMES; of a refusal also why, in a word or two. "unreadable" where nobody can know.
        says: the verdict, the reason, or how it ended, in its own words.
    """

    seq: int
    at: str
    kind: str
    ticket: str
    what: str
    target: str
    asked_by: tuple[str, str]
    decided_by: tuple[str, str]
    outcome: str
    says: str


def row_of(entry: Entry, turns: Sequence[Entry] = ()) -> Row:
    """The row that begins with an entry; `turns` are those of its ticket, oldest first."""
    outcome, says, decided = _plain(entry) if entry.kind != "proposed" else _ticket(turns or (entry,))
    return Row(
        seq=entry.seq,
        at=entry.at,
        kind=KINDS[entry.kind],
        ticket=entry.ticket or "",
        what=_what(entry),
        target=entry.target,
        asked_by=named(entry),
        decided_by=decided,
        outcome=outcome,
        says=says,
    )


def named(entry: Entry) -> tuple[str, str]:
    """Who wrote an entry: the id, and the name they had; the end of the id where it tells no name."""
    return entry.actor, entry.name or entry.actor.rpartition("/")[2]


def _what(entry: Entry) -> str:
    if entry.kind in _SWITCHES:
        return f"hvops {entry.kind}"
    if entry.doubt:
        return "; ".join(part for part in (entry.line, entry.doubt) if part)
    told = entry.data
    if isinstance(told, Proposed) and told.undoes:
        return f"take back {told.undoes}"
    command = told.command if isinstance(told, (Asked, Answered, Refused, Proposed)) else ""
    return command or entry.line


def _plain(entry: Entry) -> tuple[str, str, tuple[str, str]]:
    nobody = ("", "")
    if entry.doubt:
        return entry.kind if entry.kind in _SWITCHES else UNREADABLE, "", nobody
    told = entry.data
    if isinstance(told, Answered):
        return "answered", told.verdict or told.title, nobody
    if isinstance(told, Refused):
        return f"refused: {told.category}", told.reason, nobody
    return ("unanswered", "", nobody) if isinstance(told, Asked) else (entry.kind, entry.reason, nobody)


def _ticket(turns: Sequence[Entry]) -> tuple[str, str, tuple[str, str]]:
    newest = turns[-1]
    decision = next((turn for turn in turns if turn.kind in _DECIDED), None)
    says = newest.reason or newest.message
    decided = named(decision) if decision and decision.kind != "expired" else ("", "nobody" if decision else "")
    return _NOW.get(newest.kind, newest.kind), says, decided
