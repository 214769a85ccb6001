"""What stands in the thread of a ticket: the whole plan first, then a line for each decision, each step and the end. Pure.

That it was re-checked and started leaves no line: the message of the ticket says that it runs, and the history when it began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.api.plan import CompareToBefore
from bot.api.rows import CellError
from bot.formatting import GUID, cell_text, clauses, column_text, duration, without_stop
from bot.ledger import Entry
from bot.ledger.entries import Intent, Interrupted, Outcome, Resumed, StepConfirmed
from bot.ledger.ticket_state import ENDS
from bot.slack.outbound import limits
from bot.slack.outbound.blockkit_fitting import preformatted
from bot.slack.outbound.local_times import local_message
from bot.slack.outbound.message import File, Message, escape, escape_control, truncate, utf16_length, without_bold
from bot.slack.render.blocks import contexts, sections
from bot.slack.render.closed import difference_text, end_in_words
from bot.slack.render.proposed import plan_file, plan_text
from bot.slack.render.ticket_view_model import (
    TicketView,
    at_time,
    format_approvers,
    has_times_in_names,
    person,
    seconds_between,
    statements,
    who,
)
from bot.tickets.answers import statement
from bot.tickets.conditions import comparable, matches
from bot.tickets.run_history import DONE, NOT_SENT, Key, StepInstance, result_in_words

_INLINE = 7_000  # characters of a plan or a difference that still go into the thread itself
_SPOKEN = 9_000  # characters of an approver's answers
_ROWS = 5
_IMAGE = 700  # characters of a state before or after
_SAYS = 1_500
_NAMES = ("name", "job", "guid")  # columns that say which row it is


def thread_kinds() -> frozenset[str]:
    """The kinds of entries that leave a line in the thread."""
    return frozenset(_LINES) | ENDS | {"proposed"}


def plan_message(card: TicketView) -> Message:
    """The whole plan and its digest: in the thread itself, or as a file where it is long."""
    proposal = card.proposal
    text = plan_text(proposal)
    says = f"The full plan of {card.id}, digest {proposal.digest}"
    if utf16_length(text) > _INLINE:
        return Message(says, sections(f"*{says}*\nSee plan.txt."), (plan_file(proposal),))
    return Message(says, (*sections(f"*{says}*"), *preformatted(text)))


def entry_message(card: TicketView, entry: Entry) -> Message | None:
    """The line of one entry; None where it leaves none."""
    if entry.kind == "proposed":
        return plan_message(card)
    at = datetime.fromisoformat(entry.at)
    keeps = has_times_in_names(card)
    if entry.kind in ENDS:
        return local_message(replace(_end(card, entry), keeps_times=keeps), at)
    line = _LINES.get(entry.kind)
    says = line(card, entry) if line else ""
    if not says:
        return None
    whole = f"{says} (entry {entry.seq:,})"
    told = Message(truncate(without_bold(whole), limits.MESSAGE_TEXT), sections(whole), keeps_times=keeps)
    return local_message(told, at)


def direct_message(card: TicketView, entry: Entry, why: str) -> Message | None:
    """The same for one person, where the channel of the ticket takes nothing; `why` is plain text. None where it leaves no line."""
    message = entry_message(card, entry)
    if message is None:
        return None
    says = f"Sent to you directly: {why}"
    return replace(message, text=f"{message.text}\n{says}", blocks=(*message.blocks, *contexts(escape(says))), files=())


def reminder_message(card: TicketView) -> Message:
    """Half of the time is over."""
    until = at_time(card.proposal.open_until, "{date_short_pretty} {time}")
    whom = format_approvers(card.approver_ids)
    if not card.ticket.second_person:
        whom = person(card.proposal.requester, card.proposal.requester_name)
    says = f"{whom} {card.id} is still pending a decision; it expires at {until}."
    return Message(says, sections(says))


def looked_message(card: TicketView, lines: Sequence[str], by: str) -> Message:
    """What a look at an interrupted step saw; `lines` are plain text, `by` is mrkdwn."""
    told = "\n".join(f"• {escape(truncate(line, _SAYS))}" for line in lines) or "• nothing could be asked"
    says = f"*{card.id}, checked by {by}:*\n{told}"
    return Message(truncate(without_bold(says), limits.MESSAGE_TEXT), sections(says))


def _end(card: TicketView, entry: Entry) -> Message:
    """The end, with both people named: an edited message rings for nobody."""
    proposal, approval = card.proposal, card.last("approved")
    people = [person(proposal.requester, proposal.requester_name)]
    if approval is not None and approval.actor != proposal.requester:
        people.append(who(approval))
    link = f". New plan: <{card.successor_link}|{card.successor}>" if card.successor_link else ""
    says = f"{' '.join(people)} *{card.id}* {escape(truncate(end_in_words(card), _SAYS))}{link} (entry {entry.seq:,})"
    difference = difference_text(card)
    files = (
        (File("difference.txt", "Changes", escape_control(difference, lines=True).encode()),)
        if utf16_length(difference) > _INLINE
        else ()
    )
    return Message(truncate(without_bold(says), limits.MESSAGE_TEXT), sections(says), files)


def _approved(card: TicketView, entry: Entry) -> str:
    verb = "Approved" if card.ticket.second_person else "Confirmed"
    said = statements(card, _SPOKEN)
    return f"{verb} by {who(entry)} {at_time(entry.at)}." + (f"\n{said}" if said else "")


def _resumed(card: TicketView, entry: Entry) -> str:
    why = f": {escape(truncate(entry.reason, _SAYS))}" if entry.reason else ""
    return f"{who(entry)} resumed {card.id} (attempt {entry.read(Resumed).attempt}){why}."


def _hand(card: TicketView, entry: Entry) -> str:
    told = entry.read(StepConfirmed)
    begun = card.story.intents.get((told.step, told.round))
    looks = "hvops now checks it." if begun and begun.held_before == "no" else "hvops cannot verify it."
    place = card.place_of((told.step, told.round))
    if place is not None and not place.step.done:
        looks = "No machine can be queried, so it is recorded as unverified."
    typed = "; ".join(escape(truncate(statement(one), _SAYS)) for one in told.answers)
    return f"{who(entry)} confirmed {_name(card, entry)}. {looks}" + (f"\nRead: {typed}" if typed else "")


def _cancel(card: TicketView, entry: Entry) -> str:
    return f"{who(entry)} asked {card.id} to stop; it stops before its next action."


def _interrupted(card: TicketView, entry: Entry) -> str:
    proposal, approval = card.proposal, card.last("approved")
    people = dict.fromkeys([person(proposal.requester, proposal.requester_name), who(approval)])
    why = escape(truncate(entry.reason, _SAYS))
    if entry.read(Interrupted).yields_locks:
        return f"{card.id} gives way: {why}"
    return f"{' '.join(people)} *{card.id} is interrupted: someone must decide.* {why}"


def _outcome(card: TicketView, entry: Entry) -> str:
    outcome = entry.read(Outcome)
    key = (outcome.step, outcome.round)
    words = result_in_words(outcome)
    result = words if outcome.result == DONE else words.upper()
    place = card.by_key.get(key)
    if place is not None and place.step.is_by_hand and outcome.result == NOT_SENT:
        result = "NOT CONFIRMED"
    if place is not None and outcome.result == DONE and place.round > 1:
        return ""  # of many rounds the first stands for all that go well; the message of the ticket counts them
    begun, before = _intent(card, key)
    name = f"Step {place.number} of {len(card.places)}, {place.step.description}" if place else f"Step {outcome.step}"
    took = f" in {duration(seconds_between(begun, entry))}" if begun is None or begun.seq < entry.seq else ""
    if begun is None and outcome.not_executed:  # it failed before it was begun
        took = ""
    lines = [f"*{escape(truncate(name, _SAYS))}: {escape(result)}*{took}."]
    if outcome.message:
        lines.append(escape(truncate(outcome.message, _SAYS)))
    states = _states(card, place, before, outcome.after)
    if outcome.measured and outcome.result == DONE and not states:
        lines.append(f"Measured: {escape(truncate(clauses(outcome.measured), _SAYS))}")
    lines += states
    if outcome.event_log_note:
        lines.append(escape(truncate(outcome.event_log_note, _SAYS)))
    return "\n".join(lines)


def _intent(card: TicketView, key: Key) -> tuple[Entry | None, Any]:
    """The first entry that began a step, and the rows as they were before."""
    entry = card.first_intents.get(key)
    return (None, None) if entry is None else (entry, entry.read(Intent).before)


def _states(card: TicketView, place: StepInstance | None, before: Any, after: Any) -> list[str]:
    """What was so before and is so now: rows that are in both are only counted."""
    compared = (
        [one for check in place.step.done for one in check.holds if isinstance(one, CompareToBefore)] if place else []
    )
    if before is None and compared:
        before = card.story.images.get(compared[0].step)
        before, after = (_narrowed(rows, compared[0]) for rows in (before, after))
    if before is None:
        return []
    known = {comparable(row, ()) for row in after or ()}
    same = [row for row in before if comparable(row, ()) in known]
    unchanged = "1 row unchanged" if len(same) == 1 else f"{len(same):,} rows unchanged"
    rest = f" ({unchanged})" if same else ""
    found = {comparable(row, ()) for row in same}
    was = [row for row in before if comparable(row, ()) not in found]
    now = [row for row in after if comparable(row, ()) not in found] if after is not None else None
    if now is not None and len(was) == len(now) == 1:
        was, now = _differing(was[0], now[0])
    return (
        [f"Before: {_image(was)}", f"After: {_image(now)}{rest}"]
        if was or now != []
        else [f"Unchanged: {_image(before)}"]
    )


def _narrowed(rows: Any, compared: CompareToBefore) -> Any:
    """The rows that a comparison is about; all of them where they cannot be told apart any more."""
    try:
        return None if rows is None else [row for row in rows if matches(row, compared.where)]
    except CellError:
        return rows


def _differing(was: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """One row that became another: what names it, and what changed."""
    kept = [name for name in was if name.casefold() in _NAMES or was[name] != now.get(name)]
    return [{name: was[name] for name in kept}], [{name: now.get(name) for name in kept}]


def _row(row: Mapping[str, Any], shared: frozenset[str]) -> str:
    """A row without what is the same in all of them."""
    own = {name: value for name, value in row.items() if name not in shared}
    return (
        cell_text(*own.values())
        if shared and len(own) == 1
        else ", ".join(f"{column_text(name)} {without_stop(cell_text(value))}" for name, value in own.items())
    )


def _without_ids(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Rows without cells that hold a GUID, where what is left still tells them apart."""
    told = [{name: value for name, value in row.items() if not GUID.search(str(value))} for row in rows]
    return told if all(told) and len({tuple(sorted(map(str, row.items()))) for row in told}) == len(rows) else rows


def _image(rows: Any) -> str:
    """The rows of a before-image, or of what is so now."""
    if rows is None:
        return "not known"
    several = len(rows) > 1
    if several:
        rows = _without_ids(rows)
    shared = (
        frozenset(name for name in rows[0] if all(row.get(name) == rows[0][name] for row in rows)) if several else ()
    )
    told = [_row(row, frozenset(shared)) for row in rows[:_ROWS]]
    more = f" and {len(rows) - _ROWS:,} more rows" if len(rows) > _ROWS else ""
    each = ", ".join(f"{column_text(name)} {cell_text(rows[0][name])}" for name in sorted(shared))
    told_each = f" (each: {escape(truncate(each, _IMAGE))})" if each else ""  # else before and after could read alike
    return escape(truncate("; ".join(told) or "none", _IMAGE)) + more + told_each


def _name(card: TicketView, entry: Entry) -> str:
    told = entry.read(StepConfirmed)
    place = card.place_of((told.step, told.round))
    back = "the undo of " if place is not None and place.key not in card.by_key else ""
    return f"{back}step {place.number if place else told.step}"


_LINES: Mapping[str, Callable[[TicketView, Entry], str]] = {
    "approved": _approved,
    "resumed": _resumed,
    "step-confirmed": _hand,
    "cancel-asked": _cancel,
    "interrupted": _interrupted,
    "outcome": _outcome,
}
