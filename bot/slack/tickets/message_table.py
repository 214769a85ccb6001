"""What the ledger knows about the message of a ticket: where it stands, what its thread tells already, what it shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from bot.errors import NoSuchTicket, UnreadableEntry
from bot.executor.context import TicketChange
from bot.ledger import Entry, Ledger, Reader
from bot.ledger.entries import (
    DirectMessageShown,
    MissingPartShown,
    Proposed,
    ReminderShown,
    ThreadReplyShown,
    TicketMessageShown,
)
from bot.ledger.ticket_state import Ticket
from bot.slack.render.ticket_view_model import TicketView
from bot.tickets.decisions import is_plan_shown
from bot.tickets.proposal import proposal_from


@dataclass(frozen=True, slots=True)
class MessageRef:
    """The message of a ticket."""

    channel: str
    ts: str


def message_ref(entries: Iterable[Entry]) -> MessageRef | None:
    """Where the message of a ticket is, by its newest `shown` entry; None where it was never posted."""
    found = message_refs(entries)
    return found[-1] if found else None


def message_refs(entries: Iterable[Entry]) -> list[MessageRef]:
    """Every place where the message of a ticket was, oldest first."""
    found = [shown for entry in entries if (shown := entry.read_if(TicketMessageShown)) is not None]
    return [MessageRef(one.channel, one.ts) for one in found]


def button_seal(ledger: Ledger, ticket: str, digest: str, channel: str) -> str:
    """What the buttons of a plan's message carry in a channel: with it, a copy there works too."""
    return ledger.sign_text("button", ticket, digest, channel)


def window_seal(ledger: Ledger, ticket: str, digest: str, verb: str, user: str, *, opened: int) -> str:
    """What a window about a plan carries, opened for one person and one thing, and when, in epoch seconds of Slack's clock."""
    return f"{ledger.sign_text('window', ticket, digest, verb, user, str(opened))}.{opened}"


def opened_at(seal: str) -> int:
    """When the window was opened that carries this seal; 0 where it does not say."""
    said = seal.rpartition(".")[2]
    return int(said) if said.isascii() and said.isdecimal() and len(said) <= 11 else 0  # noqa: PLR2004 - digits of a time


def told_entries(entries: Sequence[Entry]) -> frozenset[int]:
    """The numbers of the entries that the thread tells already.

    A message that had to be posted anew has a new thread: the plan must stand there as well.
    """
    told = {shown.entry for entry in entries if (shown := entry.read_if(ThreadReplyShown)) is not None}
    return frozenset(told if is_plan_shown(entries) else told - {entries[0].seq if entries else 0})


def missing_parts(entries: Iterable[Entry]) -> list[tuple[int, str]]:
    """What Slack has not taken of what belongs to entries that the thread tells: the number of the entry, and which part."""
    missing: dict[tuple[int, str], None] = {}
    for entry in entries:
        if (reply := entry.read_if(ThreadReplyShown)) is not None:
            missing |= {(reply.entry, part): None for part in reply.missing}
        elif (since := entry.read_if(MissingPartShown)) is not None:
            missing.pop((since.entry, since.part), None)
    return list(missing)


def told_directly(entries: Iterable[Entry]) -> frozenset[tuple[int, str]]:
    """The entries that were told directly, each with the member."""
    found = (entry.read_if(DirectMessageShown) for entry in entries)
    return frozenset((one.entry, one.to) for one in found if one is not None)


def is_delivered(entries: Sequence[Entry], kinds: Collection[str], *, has_ended: bool) -> bool:
    """Whether people have been told all that these entries say, as far as it is of one of these kinds.

    What has ended without ever having had a message is told once its end was told directly.
    """
    if message_ref(entries) is None:
        return has_ended and bool(told_directly(entries))
    told = told_entries(entries)
    return not missing_parts(entries) and all(one.seq in told for one in entries if one.kind in kinds)


def is_reminded(entries: Iterable[Entry]) -> bool:
    """Whether those who decide have been reminded."""
    return any(entry.read_if(ReminderShown) is not None for entry in entries)


def reminder_time(entries: Sequence[Entry], *, is_proposed: bool) -> datetime | None:
    """When half of its time is over; None where nobody is to be reminded, or has been. Raises UnreadableEntry."""
    if not is_proposed or is_reminded(entries):
        return None
    began = datetime.fromisoformat(entries[0].at)
    return began + (datetime.fromisoformat(entries[0].read(Proposed).open_until) - began) / 2


def read_card(ledger: Reader, ticket: str, happening: TicketChange | None = None) -> TicketView:
    """A ticket as the ledger says it stands. Raises TicketError where there is none, UnreadableEntry."""
    entries, now = _as_of_one_moment(ledger, ticket)
    if not entries or now is None:
        raise NoSuchTicket(f"There is no ticket {ticket}.")
    card = TicketView(proposal_from(entries[0]), now, tuple(entries), happening, successor=_successor(ledger, entries))
    with suppress(UnreadableEntry):  # whoever shows it says so
        _ = card.story, card.places, card.by_key  # here, where nobody waits: of thousands of steps that takes a while
    return card


def _as_of_one_moment(ledger: Reader, ticket: str) -> tuple[list[Entry], Ticket | None]:
    """Its entries and the state that follows from them: an entry between the two reads would end it without an end to show."""
    entries = ledger.story(ticket)
    while True:
        before, now = entries, ledger.ticket(ticket)
        entries = ledger.story(ticket)
        if len(entries) == len(before):
            return entries, now


def _successor(ledger: Reader, entries: list[Entry]) -> str:
    """The proposal that was written together with the end of a void ticket: the very next entry."""
    voided = next((entry for entry in entries if entry.kind == "voided"), None)
    following = ledger.entry(voided.seq + 1) if voided else None
    proposed = following.read_if(Proposed) if following else None
    if following is None or proposed is None or proposed.replaces != entries[0].ticket:
        return ""
    return following.ticket or ""
