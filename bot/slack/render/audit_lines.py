"""One line in the audit channel for each decision, and for each end of a ticket. Pure.

People are named and not mentioned: this channel is read, it does not ring. Each line gives the id that the ledger
has beside the name, for a name is whatever its owner chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.executor.context import BOT
from bot.ledger import Entry
from bot.ledger.entries import Approved, Interrupted, Proposed
from bot.ledger.ticket_state import ENDS
from bot.slack.outbound import limits
from bot.slack.outbound.local_times import local_text
from bot.slack.outbound.message import Message, escape, truncate, without_bold
from bot.slack.render.blocks import sections
from bot.tickets.answers import statement
from bot.tickets.decisions import CONFIRM

TOLD = ENDS | {"approved", "interrupted", "resumed", "stop", "go"}
_NAME, _LINE, _WHY = 60, 150, 300


def decision_line(entry: Entry, proposed: Entry | None, link: str) -> str:
    """What was decided, or how it ended; "" for what nobody decided. mrkdwn.

    Args:
        entry: of a kind in TOLD.
        proposed: the proposal of its ticket; None for what has no ticket.
        link: to the ticket's message, or "".
    """
    if entry.kind == "resumed" and entry.actor == BOT:
        return ""  # after a restart: nobody decided anything
    known = proposed.read_if(Proposed) if proposed is not None else None
    told = [
        f"*{_what(entry, known)}*" + (f": {escape(truncate(known.line, _LINE))}" if known and known.line else ""),
        f"on {escape(truncate(known.target, _NAME))}" if known and known.target else "",
        f"by {_person(entry)}",
        f"requested by {_person(proposed)}" if proposed is not None else "",
        f"“{escape(truncate(entry.reason, _WHY))}”" if entry.reason else "",
        _answered(entry),
        f"plan {known.digest[:8]}" if known else "",
        f"entry {entry.seq:,}",
        *(one.doubt for one in (proposed, entry) if one is not None),
        f"<{link}|message>" if link else "",
    ]
    return local_text(" · ".join(part for part in told if part), datetime.fromisoformat(entry.at), limits.MESSAGE_TEXT)


def beginning_line(after: int) -> str:
    """What a channel is told first where decisions were made before anybody told one. mrkdwn."""
    return f"*The audit channel begins here*, at entry {after:,}; earlier decisions are in the ledger and in /audit."


def audit_message(lines: Sequence[str]) -> Message:
    """Some lines, in one message."""
    whole = "\n".join(lines)
    return Message(without_bold(whole), sections(whole))


def _what(entry: Entry, known: Proposed | None) -> str:
    if entry.ticket is None:
        return f"/hvops {entry.kind}"
    verb = entry.kind
    if verb == "approved" and known and known.policy == CONFIRM:
        verb = "confirmed"
    if entry.kind == Interrupted.kind:
        said = entry.read_if(Interrupted)
        verb = "is waiting and released its locks" if said and said.yields_locks else "interrupted, someone must decide"
    return f"{entry.ticket} {verb}"


def _answered(entry: Entry) -> str:
    """What the approver said of what no source answered; the story has all of it."""
    said = entry.read_if(Approved)
    if said is None or not said.answers:
        return ""
    more = f" and {len(said.answers) - 1:,} more" if len(said.answers) > 1 else ""
    first = escape(truncate(statement(said.answers[0]).rstrip("."), _WHY)).replace("`", "'")
    return f"answered: {first}{more}"


def _person(entry: Entry) -> str:
    """By name and id. Whatever the bot wrote by itself, the bot did."""
    if entry.actor == BOT:
        return "hvops"
    name = without_bold(escape(truncate(entry.name, _NAME)))
    actor = escape(entry.actor)
    return f"{name} ({actor})" if name and name != actor else actor
