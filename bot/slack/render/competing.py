"""Other open tickets that need the same lock: only one of them runs at a time, and each names the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.formatting import format_locks
from bot.slack.outbound.message import Block, Message, escape
from bot.slack.render.blocks import sections

_NAMED = 5
_WORDS = {"proposed": "pending a decision", "approved": "approved", "running": "running", "interrupted": "interrupted"}


@dataclass(frozen=True, slots=True)
class CompetingTicket:
    """One of them.

    Attributes:
        locks: those that both need.
        link: where it is shown, or "".
    """

    ticket: str
    state: str
    locks: frozenset[str]
    link: str = ""


def competing_text(competing: Sequence[CompetingTicket]) -> str:
    """Which they are, and how each stands, as mrkdwn; "" where there are none."""
    if not competing:
        return ""
    told = [
        f"{f'<{one.link}|{one.ticket}>' if one.link else one.ticket} ({_WORDS.get(one.state, one.state)})"
        for one in competing[:_NAMED]
    ]
    more = f" and {len(competing) - _NAMED:,} more" if len(competing) > _NAMED else ""
    locks = format_locks(frozenset[str]().union(*(one.locks for one in competing)))
    return f"*Same lock ({escape(locks)}):* {', '.join(told)}{more}. Only one runs at a time."


def competing_blocks(competing: Sequence[CompetingTicket]) -> tuple[Block, ...]:
    """The same for a message."""
    return tuple(sections(competing_text(competing))) if competing else ()


def with_competing(message: Message, competing: Sequence[CompetingTicket]) -> Message:
    """A short answer about a ticket, with what else needs its locks."""
    if not competing:
        return message
    names = ", ".join(one.ticket for one in competing[:_NAMED])
    return replace(
        message, text=f"{message.text} Same lock: {names}.", blocks=(*message.blocks, *competing_blocks(competing))
    )
