"""A ticket that has ended: how, who decided, what was done, and what can be done now."""

from __future__ import annotations

from collections.abc import Iterator

from bot.decide import standing
from bot.run.story import DONE
from bot.slack import limits
from bot.slack.fit import preformatted
from bot.slack.message import Block, Message, clip, escape, units
from bot.slack.render.card import Card, at_time, person, seconds_between, what, who
from bot.slack.render.parts import actions, contexts, header, sections
from bot.slack.render.running import can_undo, plan_block
from bot.slack.render.ticket_buttons import again_button, remedy_buttons, story_button, undo_button
from bot.words import duration

WORDS = {
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Stopped",
    "closed": "Closed by a person",
    "declined": "Rejected",
    "withdrawn": "Withdrawn",
    "expired": "Expired, nobody decided",
    "lapsed": "Lapsed, it could not start in time",
    "voided": "Void, the plan changed",
}
_SAYS = 2_000
_DIFFERENCE = 6_000  # characters of a difference before it goes into a file in the thread
_AGAIN = ("failed", "cancelled", "closed", "expired", "lapsed", "voided")


def ended_message(card: Card) -> Message:
    """How it ended."""
    word = _word(card)
    title = f"{word}: {what(card)}"
    ran = card.last("started") is not None
    blocks = (
        header(title),
        *sections("\n".join(_lines(card))),
        *_fields(card),
        *((plan_block(card),) if ran else ()),
        *_difference(card),
        *contexts(f"plan {card.proposal.digest[:8]} · the whole story is in the thread"),
        *actions(_buttons(card)),
    )
    end = card.last(card.ticket.end)
    says = f"{card.id} {word.upper()}: {what(card)}. {_why(card)}" if end else f"{card.id} {word}"
    return Message(clip(escape(says.strip()), limits.MESSAGE_TEXT), blocks)


def end_in_words(card: Card) -> str:
    """The end in one sentence, for the thread. Plain text."""
    return f"{_word(card)}: {what(card)}. {_why(card) or standing(card.id, list(card.entries))}"


def difference_text(card: Card) -> str:
    """What is different now, line by line; "" where nothing is told."""
    end = card.last("voided")
    return "\n".join(str(line) for line in (end.data.get("difference") or ())) if end else ""


def _word(card: Card) -> str:
    word = WORDS.get(card.ticket.end, card.ticket.end)
    end = card.last(card.ticket.end)
    number = end.data.get("number") if end else None
    return f"{word} at step {number}" if number else word


def _why(card: Card) -> str:
    end = card.last(card.ticket.end)
    return str(end.data.get("why") or end.data.get("says") or "") if end else ""


def _lines(card: Card) -> Iterator[str]:
    end = card.last(card.ticket.end)
    yield f"*{card.id}:* {escape(standing(card.id, list(card.entries)))}"
    if end is not None and card.ticket.end in ("failed", "cancelled", "closed") and _why(card):
        yield f"*True at {at_time(end.at)}:* {escape(clip(_why(card), _SAYS))}"
    if card.ticket.end in ("declined", "withdrawn", "expired", "lapsed"):
        yield "Nothing was done."
    if card.ticket.end == "voided":
        begun = bool(card.story.intents)
        yield "What was done before stays as it is; the rest was not begun." if begun else "Nothing was done."
    if card.successor:
        link = f"<{card.successor_link}|{card.successor}>" if card.successor_link else card.successor
        yield f"*The plan as it is now is {link}.* It needs its own decision."


def _fields(card: Card) -> Iterator[Block]:
    proposal, started, end = card.proposal, card.last("started"), card.last(card.ticket.end)
    told = [f"*Asked by:* {person(proposal.requester, proposal.requester_name)}"]
    if (approval := card.last("approved")) is not None:
        told.append(f"*Approved by:* {who(approval)} {at_time(approval.at)}")
    if started is not None:
        done = sum(card.story.result(place.key) == DONE for place in card.places)
        told += [f"*Steps done:* {done} of {len(card.places)}", f"*Took:* {duration(seconds_between(started, end))}"]
    if end is not None and end.data.get("undone"):
        told.append("*Taken back:* what its group had done")
    yield {"type": "section", "fields": [{"type": "mrkdwn", "text": one, "verbatim": True} for one in told]}


def _difference(card: Card) -> Iterator[Block]:
    text = difference_text(card)
    if not text:
        return
    yield from sections("*What is different* (- was approved, + is so now):")
    if units(text) > _DIFFERENCE:
        yield from sections("It is long: all of it is in difference.txt in the thread.")
    else:
        yield from preformatted(text)


def _buttons(card: Card) -> list[Block]:
    made = remedy_buttons(card.id, card.plan.remedies) if card.ticket.end in ("done", "failed") else []
    if card.ticket.end in _AGAIN and not card.successor:
        made.append(again_button(card.id))
    if card.story.intents and can_undo(card):
        made.append(undo_button(card.id))
    return [*made, story_button(card.id)]
