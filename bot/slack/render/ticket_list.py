"""Tickets in lists and short answers: `/hvops runs`, where a plan is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.formatting import duration
from bot.ledger import TicketRow, TicketSummary
from bot.slack.outbound.message import Message, escape, truncate
from bot.slack.render.blocks import actions, button, contexts, header, sections
from bot.slack.render.ticket_buttons import SHOW
from bot.slack.render.ticket_view_model import DATE, at_time, person, what_of

_LINE = 300
_WORDS = {
    "proposed": "pending a decision",
    "approved": "approved, starting",
    "confirmed": "confirmed, starting",
    "running": "runs",
}
_STOPPED = {"approved": "approved, waiting for /hvops go", "confirmed": "confirmed, waiting for /hvops go"}


def runs_message(tickets: Sequence[tuple[TicketRow, str, str]], count: int, *, is_stopped: bool = False) -> Message:
    """The open tickets, newest first, each with its last time and a link; `count` is how many there are in all."""
    words = _WORDS | _STOPPED if is_stopped else _WORDS
    title = f"{f'{count:,}' if count else 'No'} open {'ticket' if count == 1 else 'tickets'}"
    lines = [_listed(*one, words) for one in tickets]
    older = count - len(tickets)
    rest = contexts(f"The newest {len(tickets)} are shown; {older:,} are older.") if older > 0 else ()
    text = f"{title}: {', '.join(f'{one.id} {one.state}' for one, *_ in tickets)}" if tickets else f"{title}."
    return Message(truncate(escape(text), 3_000), (header(title), *sections("\n".join(lines)), *rest))


def waiting_line(one: TicketSummary, now: datetime) -> str:
    """A proposal in a line: what, who asked, and how long it stays open. mrkdwn."""
    left = (datetime.fromisoformat(one.open_until) - now).total_seconds()
    open_for = f"{duration(left)} left" if left > 0 else "its time is over"
    asked, does = person(one.requester, one.requester_name), what_of(one.command, one.target, one.undoes, one.title)
    return f"*{one.ticket}* {escape(truncate(does, _LINE))} · requested by {asked} · *{open_for}*"


def proposed_for(ticket: str, channel: str, link: str, *, is_new: bool = True) -> Message:
    """Where the plan is: it is decided there, beside the whole of it."""
    where = f"in <#{channel}>: <{link}|open the plan>" if link else f"in <#{channel}>"
    says = f"is proposed {where}." if is_new else f"already requests this and is waiting for a decision {where}."
    return Message(f"{ticket} {says}", sections(f"*{ticket}* {says}"))


def not_shown(ticket: str, channel: str, code: str, says: str) -> Message:
    """The plan could not be put where it is decided, and what to do about it."""
    if code in ("not_in_channel", "channel_not_found", "no_permission"):
        do = f"hvops is not in <#{channel}>. Type /invite @hvops there, then press Show Plan."
    elif code == "no_channel":
        do = f"{escape(says)} An administrator can set it in inventory.toml; then press Show Plan."
    else:
        do = f"{escape(says)} Press Show Plan to try again."
    text = f"{ticket} is proposed, but its plan is shown nowhere yet. {do}"
    blocks = (*sections(f"*{ticket}* is proposed, but its plan is shown nowhere yet. {do}"),)
    return Message(text, (*blocks, *actions([button("Show Plan", SHOW, ticket, primary=True)])))


def fate_unknown(ticket: str, channel: str, says: str) -> Message:
    """Nobody can know yet whether the plan stands in its channel; hvops goes on looking."""
    told = (
        f"is proposed. hvops can't tell yet whether its plan was posted in <#{channel}>: {escape(says)} "
        "It keeps checking and trying; press Show Plan to check now."
    )
    blocks = sections(f"*{ticket}* {told}")
    return Message(f"{ticket} {told}", (*blocks, *actions([button("Show Plan", SHOW, ticket, primary=True)])))


def decision_message(ticket: str, says: str) -> Message:
    """The answer to whoever pressed a button of a ticket. `says` is plain text."""
    return Message(f"{ticket}: {escape(says)}", sections(f"*{ticket}:* {escape(says)}"))


def _listed(one: TicketRow, last: str, link: str, words: Mapping[str, str]) -> str:
    name = f"<{link}|{one.id}>" if link else one.id
    state = words.get(one.state, "INTERRUPTED: someone must decide")
    until = f", no step starts after {at_time(last, DATE)}" if last else ""
    if one.state == "proposed":
        until = f" until {at_time(one.open_until)}"
    return f"*{name}* {state}{until}: {escape(truncate(one.line, _LINE))} · requested by {person(one.requester, '')}"
