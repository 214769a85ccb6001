"""A ticket that has ended: how, who decided, what was done, and what can be done now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bot.api.command import CHECK_RESULT
from bot.formatting import capital, clauses, duration
from bot.ledger import Entry
from bot.ledger.entries import Cancelled, Failed, Voided
from bot.slack.outbound import limits
from bot.slack.outbound.blockkit_fitting import preformatted
from bot.slack.outbound.message import Block, Message, escape, escape_control_lines, truncate, utf16_length
from bot.slack.render.blocks import actions, contexts, header, sections
from bot.slack.render.rounds import rounds_chart, rounds_line, rounds_text
from bot.slack.render.running import can_undo, collapsed, half_done, plan_block
from bot.slack.render.tables_and_charts import chart_blocks
from bot.slack.render.ticket_buttons import again_button, look_button, remedy_buttons, story_button, undo_button
from bot.slack.render.ticket_view_model import TicketView, at_time, person, seconds_between, statements, what, who
from bot.tickets.decisions import describe_status
from bot.tickets.readings import NOT_MEASURED

WORDS = {
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Stopped",
    "closed": "Closed as it is",
    "rejected": "Rejected",
    "withdrawn": "Withdrawn",
    "expired": "Expired without a decision",
    "lapsed": "Lapsed, it could not start in time",
    "voided": "Void, the plan changed",
}
_SAYS = 2_000
_STATE = 900  # characters of a state before or after; all of it stands in the story
_DIFFERENCE = 6_000  # characters of a difference before it goes into a file in the thread
_BY = {"rejected": "rejected"}
_VERBS = {"done": "finished", "expired": "expired", "lapsed": "lapsed"}
_AGAIN = ("failed", "cancelled", "closed", "expired", "lapsed", "voided")


def ended_message(card: TicketView) -> Message:
    """How it ended."""
    word = _word(card)
    title = f"{word}: {what(card)}"
    ran = card.last("started") is not None
    blocks = (
        header(title),
        *(sections(rounds_line(card)) if ran else ()),
        *sections("\n".join(_lines(card))),
        *_fields(card),
        *(chart_blocks(rounds_chart(card)) if ran else ()),
        *((plan_block(card), *collapsed(card)) if ran else ()),
        *_difference(card),
        *contexts(statements(card)),
        *contexts(" · ".join(_record(card))),
        *actions(_buttons(card)),
    )
    says = f"{card.id} {word.upper()}: {what(card)}. {_why(card)}"
    return Message(truncate(escape(says.strip()), limits.MESSAGE_TEXT), blocks)


def end_in_words(card: TicketView) -> str:
    """The end in one sentence, for the thread. Plain text."""
    why = _why(card) or describe_status(card.id, list(card.entries))
    counted = f" {rounds.rstrip('.')}." if card.last("started") is not None and (rounds := rounds_text(card)) else ""
    return f"{_word(card)}: {what(card)}. {capital(why)}{counted}"


def difference_text(card: TicketView) -> str:
    """What is different now, line by line; "" where nothing is told."""
    end = card.last("voided")
    return escape_control_lines(end.read(Voided).difference) if end else ""


def _word(card: TicketView) -> str:
    word = WORDS.get(card.ticket.end, card.ticket.end)
    if card.ticket.end == "done" and any(one.startswith(CHECK_RESULT) for one in card.after):
        return "Finished, check the result"  # every step ran, and what it was meant for was not seen
    end = card.last(card.ticket.end)
    number = _number(end)
    return f"{word} at step {number}" if number else word


def _why(card: TicketView) -> str:
    """Plain text, without what the title says already."""
    end = card.last(card.ticket.end)
    if end is None:
        return ""
    told = end.reason or end.message
    return told.removeprefix(f"cancelled at step {_number(end)}, ")


def _number(end: Entry | None) -> int | None:
    """The step at which it ended."""
    return end.data.number if end is not None and isinstance(end.data, (Failed, Cancelled)) else None


def _lines(card: TicketView) -> Iterator[str]:
    """How it stands now, most urgent first. mrkdwn."""
    end = card.last(card.ticket.end)
    why = escape(truncate(_why(card), _SAYS))
    at = at_time(end.at) if end else ""
    if card.ticket.end in _VERBS:
        yield f"*{card.id}* {_VERBS[card.ticket.end]} at {at}{f': {why}' if why else ''}."
    elif card.ticket.end == "failed":
        yield f"*{card.id}, as of {at}:* {why}"
    elif card.ticket.end == "cancelled":
        yield f"*{card.id}* was stopped at {at} by {who(card.last('cancel-asked'))}: {why}."
    elif card.ticket.end == "voided":
        yield f"*{card.id}* is void as of {at}: {why}."
    else:
        yield f"*{card.id}* was {_BY.get(card.ticket.end, card.ticket.end)} by {who(end)} at {at}" + (
            f": {why}" if why else "."
        )
    yield from _left(card)
    if card.successor:
        link = f"<{card.successor_link}|{card.successor}>" if card.successor_link else card.successor
        yield f"*The new plan is {link}.* It needs its own approval."


def _left(card: TicketView) -> Iterator[str]:
    """What was done and what not, and the way back from there. mrkdwn."""
    end = card.last(card.ticket.end)
    if card.ticket.end == "done":
        return
    if not card.story.has_begun:
        asked = [card.by_key.get(key) for key in card.first_intents]
        by_hand = any(place is not None and place.step.is_by_hand for place in asked)
        yield "hvops did nothing." if by_hand else "Nothing was done."
        return
    if end is not None and isinstance(end.data, Failed) and (end.data.rolled_back or end.data.not_undone):
        if end.data.rolled_back:
            yield "hvops undid the steps of this group."
        else:
            yield f"*Not undone:* {escape(truncate('; '.join(end.data.not_undone), _SAYS))}"
        if card.after:
            yield f"*Measured after that:* {_state(card.after)}"
        if end.data.rolled_back:
            return
    else:
        yield from half_done(card)
    if card.plan.rollback:
        yield f"*Way back:* {escape(truncate(card.plan.rollback, _SAYS))}"


def _fields(card: TicketView) -> Iterator[Block]:
    """What was measured before and after, each with its time, and how long it took."""
    started, end = card.last("started"), card.last(card.ticket.end)
    if started is None or end is None:
        return
    told = []
    if card.ticket.end == "done":
        before, at = card.before
        told += [f"*Before, {at_time(at)}:* {_state((before,))}"] if before else []
        told.append(f"*After, {at_time(end.at)}:* {_state(card.after)}")
        told += [f"*{name}:* {escape(truncate(says, _STATE))}" for name, says in _arrived(card)]
    told.append(f"*Took:* {duration(seconds_between(started, end))}")
    yield from sections("\n".join(told))


def _state(read: Sequence[str]) -> str:
    """What was read, in a line. mrkdwn."""
    return escape(truncate(clauses(read) or NOT_MEASURED, _STATE))


def _arrived(card: TicketView) -> Iterator[tuple[str, str]]:
    """What is there after a step that only waited, by name, as the ledger has it."""
    for at in card.places:
        outcome = card.story.outcomes.get(at.key)
        if at.step.act is None and at.step.before is not None and outcome is not None:
            known = isinstance(outcome.after, (list, tuple))
            yield at.step.description, (", ".join(_names(outcome.after)) or "none") if known else "not known"


def _names(rows: object) -> list[str]:
    """The names of rows that have one, in order."""
    each = rows if isinstance(rows, (list, tuple)) else ()
    return sorted((str(row["Name"]) for row in each if isinstance(row, Mapping) and row.get("Name")), key=str.casefold)


def _record(card: TicketView) -> Iterator[str]:
    proposal = card.proposal
    yield f"requested by {person(proposal.requester, proposal.requester_name)}"
    if (approval := card.last("approved")) is not None:
        yield f"{card.approved_by} by {who(approval)} {at_time(approval.at)}"
    yield f"plan {proposal.digest[:8]}"
    yield "full history in the thread"


def _difference(card: TicketView) -> Iterator[Block]:
    text = difference_text(card)
    if not text:
        return
    yield from sections(f"*Changes* (- plan as {card.approved_by}, + plan now):")
    if utf16_length(text) > _DIFFERENCE:
        yield from sections("It is long: all of it is in difference.txt in the thread.")
    else:
        yield from preformatted(text)


def _buttons(card: TicketView) -> list[Block]:
    made = [look_button(card.id)] if card.ticket.end in ("failed", "cancelled") else []
    made += remedy_buttons(card.id, card.plan.remedies) if card.ticket.end in ("done", "failed") else []
    if card.ticket.end in _AGAIN and not card.successor:
        made.append(again_button(card.id))
    if card.story.has_begun and can_undo(card):
        made.append(undo_button(card.id))
    return [*made, story_button(card.id)]
