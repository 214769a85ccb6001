"""One row of a review, out of the entries themselves: a question, a refusal, a switch, or a ticket. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bot.ledger import Entry
from bot.ledger.entries import Answered, Approved, Asked, Proposed, Refused
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
NOW = {"started": "running", "resumed": "running"}
_SWITCHES = ("stop", "go")
UNREADABLE = "unreadable"
_DECIDED = ("approved", "rejected", "withdrawn", "expired")
_CONFIRM = "confirm"  # of a proposal's policy: its requester confirms it, and nobody approves it
_FRONT_DOOR = "hvops"
_PRESSED = re.compile(r"(button )?(t-)?(?P<verb>[a-z][a-z_-]*?)(-why)?(?P<rest> .*)?", re.DOTALL)
NO_NAMES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Row:
    """What happened.

    Attributes:
        seq: the number of the entry that it begins with.
        at: when that was, ISO 8601 in UTC.
        kind: "change", "refusal", "question" or "switch".
        ticket: its id, or "".
        what: the command as it is typed, without its arguments: "/drain-node", "/hvops stop"; "undo T-1" for a ticket
            that takes another one back, "press approve" for a button. That the entry cannot be read, where that is so.
        line: the whole line, as it was typed; for a button, what it says of itself.
        asked_by, decided_by: id and name; ("", "") where nobody did.
        decision: "approved" by somebody else, "confirmed" by the requester, "rejected", "withdrawn", "expired", or "".
        outcome: one of OUTCOMES, with blanks: "not allowed". "unreadable" where nobody can know.
        why: the verdict, the reason, or how it ended, in its own words.
        decided_at, ended_at: ISO 8601 in UTC; "" where it was not decided, or has not ended.
    """

    seq: int
    at: str
    kind: str
    ticket: str
    what: str
    line: str
    target: str
    asked_by: tuple[str, str]
    decided_by: tuple[str, str]
    decision: str
    outcome: str
    why: str
    decided_at: str = ""
    ended_at: str = ""


def row_of(entry: Entry, turns: Sequence[Entry] = (), names: Mapping[str, str] = NO_NAMES) -> Row:
    """The row that begins with an entry.

    Args:
        entry: it.
        turns: those of its ticket, oldest first.
        names: the name that is known for an id, for entries that tell none.
    """
    decision = None
    if entry.kind == "proposed":
        outcome, why, decision = _ticket(turns or (entry,))
    else:
        outcome, why = _plain(entry)
    decided = ("", "")
    if decision is not None:
        decided = ("", "nobody") if decision.kind == "expired" else named(decision, names)
    return Row(
        seq=entry.seq,
        at=entry.at,
        kind=KINDS[entry.kind],
        ticket=entry.ticket or "",
        what=_what(entry),
        line=entry.line or _what(entry),
        target=entry.target,
        asked_by=named(entry, names),
        decided_by=decided,
        decision=kind_in_words(decision, _policy(turns)) if decision is not None else "",
        outcome=outcome,
        why=why,
        decided_at=decision.at if decision is not None else "",
        ended_at=turns[-1].at if turns and turns[-1].kind in ENDS else "",
    )


def named(entry: Entry, names: Mapping[str, str] = NO_NAMES) -> tuple[str, str]:
    """Who wrote an entry: the id, and the name they had; else one that is known for the id, else the end of the id."""
    return entry.actor, name_in(entry) or names.get(entry.actor, "") or entry.actor.rpartition("/")[2]


def name_in(entry: Entry) -> str:
    """The name that an entry tells; "" where it tells none, or only the id once more."""
    return entry.name if entry.name != entry.actor.rpartition("/")[2] else ""


def kind_in_words(entry: Entry, policy: str) -> str:
    """The kind of an entry, as people read it: a plan that its requester decides about is confirmed, not approved.

    Args:
        entry: it.
        policy: of its proposal: "approval" or "confirm".
    """
    return "confirmed" if entry.kind == Approved.kind and policy == _CONFIRM else entry.kind


def outcome_of(entry: Entry, policy: str = "") -> str:
    """What became of something, by one entry alone: a word of OUTCOMES for what ends a line or a ticket; "" for the rest.

    Args:
        entry: it.
        policy: of its proposal, where it belongs to a ticket.
    """
    if entry.kind in ("answered", "refused"):
        return _plain(entry)[0]
    return kind_in_words(entry, policy) if entry.kind in TURNS | {"approved"} else ""


def _what(entry: Entry) -> str:
    if entry.kind in _SWITCHES:
        return f"/{_FRONT_DOOR} {entry.kind}"
    if entry.doubt:
        return "; ".join(part for part in (entry.line, entry.doubt) if part)
    told = entry.data
    if isinstance(told, Proposed) and told.undoes:
        return f"undo {told.undoes}"
    command = told.command if isinstance(told, (Asked, Answered, Refused, Proposed)) else ""
    if command and command != _FRONT_DOOR:
        return f"/{command}"
    via = told.via if isinstance(told, (Asked, Refused)) else ""
    return spelled(entry.line, via, entry.ticket or "")


def spelled(line: str, via: str, ticket: str) -> str:
    """What was wanted, in the one spelling of this column.

    Args:
        line: what the ledger says of it: "/chek-writers prod", "/hvops stop", "approve T-1", "button csv".
        via: "button", "modal" or "" for what was pressed; typed lines of a terminal need no slash.
        ticket: which stands in a column of its own.
    """
    words = line.split()
    if words and (words[0].startswith("/") or via == "terminal"):
        name = words[0].removeprefix("/").casefold()
        return " ".join([f"/{name}", *(word.casefold() for word in words[1:2] if name == _FRONT_DOOR)])
    pressed = _PRESSED.fullmatch(line)
    if pressed is None:
        return line
    rest = "".join(f" {word}" for word in (pressed["rest"] or "").split() if word != ticket)
    return f"press {pressed['verb'].replace('_', ' ').replace('-', ' ')}{rest}"


def _plain(entry: Entry) -> tuple[str, str]:
    """The outcome of what is no ticket, and why."""
    if entry.doubt:
        return entry.kind if entry.kind in _SWITCHES else UNREADABLE, ""
    told = entry.data
    if isinstance(told, Answered):
        return "no plan" if told.no_plan else "answered", told.verdict or told.title
    if isinstance(told, Refused):
        return told.category, told.reason
    return ("unanswered", "") if isinstance(told, Asked) else (entry.kind, entry.reason)


def _ticket(turns: Sequence[Entry]) -> tuple[str, str, Entry | None]:
    """The outcome of a ticket so far, why, and the entry that decided about it."""
    newest = turns[-1]
    decision = next((turn for turn in turns if turn.kind in _DECIDED), None)
    now = kind_in_words(newest, _policy(turns))
    return NOW.get(now, now), newest.reason or newest.message, decision


def _policy(turns: Sequence[Entry]) -> str:
    return next((str(turn.fields.get("policy") or "") for turn in turns if turn.kind == Proposed.kind), "")
