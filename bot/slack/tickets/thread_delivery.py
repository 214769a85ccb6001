"""Telling what a ticket goes through: in its thread, in order; and directly, where its channel takes nothing.

Each part is a duty of its own: the line, its files, the word to those who asked and approved. What Slack refuses of one
stops none of the others, and what was taken is not sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import structlog

from bot.executor.context import BOT
from bot.ledger import Entry, Ledger
from bot.ledger.entries import DirectMessageShown, MissingPartShown, Shown, Started, ThreadReplyShown
from bot.ledger.ticket_state import ENDS
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, PartMissing
from bot.slack.outbound.message import File, Message
from bot.slack.outbound.outbox import Outbox, Turn
from bot.slack.render.blocks import contexts
from bot.slack.render.proposed import plan_file, plan_lines
from bot.slack.render.ticket_thread import direct_message, entry_message, thread_kinds
from bot.slack.render.ticket_view_model import TicketView, slack_id
from bot.slack.tickets.message_state import MessageState
from bot.slack.tickets.message_table import MessageRef, missing_parts, told_directly, told_entries
from bot.slack.tickets.ticket_evidence import evidence_beside

log = structlog.get_logger()

MUST_HEAR = ENDS | {"interrupted"}  # what whoever asked and whoever decided are told whatever becomes of the channel
CARD, FILES = "card", "files"
_AGAIN = "You may have seen this before: Slack did not confirm the first one."


class ThreadDelivery:
    """Tells the threads of tickets. Whoever calls has the turn of the ticket."""

    def __init__(
        self,
        outbox: Outbox,
        ledger: Ledger,
        is_leaving: Callable[[], bool],
        is_mine: Callable[[str], Awaitable[bool]],
    ) -> None:
        """Take the parts; `is_leaving`: the rest is for the next life of the bot; `is_mine`: whether the turn still is ours.

        What was written before this moment may have been told by an earlier life that could not write that down.
        """
        self._outbox, self._ledger, self._is_leaving, self._is_mine = outbox, ledger, is_leaving, is_mine
        head = ledger.head()
        self._first = head.seq if head else 0

    def may_be_sent(self, entry: Entry, kept: MessageState) -> bool:
        """Whether an earlier life of the bot, or another process, may have told of it."""
        return kept.by_others or entry.seq <= self._first

    async def tell(
        self, card: TicketView, place: MessageRef, kept: MessageState, *, shows_end: bool
    ) -> list[NotSent | DeliveryUnknown]:
        """Tell every turn that the thread does not tell yet, in order, and then what was missing of them.

        Args:
            card: the ticket.
            place: its message.
            kept: what was sent already, and could not be written down together with the rest.
            shows_end: whether the message itself shows how the ticket stands.

        Returns:
            What went wrong; each is to be tried again.
        """
        trouble: list[NotSent | DeliveryUnknown] = []
        told, kinds = told_entries(card.entries), thread_kinds()
        for entry in card.entries:
            if entry.kind not in kinds or entry.seq in told:
                continue
            if self._is_leaving():
                return trouble
            if not await self._is_mine(card.id):
                return [*trouble, NotSent("later", f"Another bot may be showing {card.id} now.")]
            error = await self._tell_entry(card, entry, place, kept, shows_end=shows_end)
            if error is not None:
                trouble.append(error)
                break  # what follows would stand before it
        for seq, part in missing_parts(card.entries):
            entry = next(one for one in card.entries if one.seq == seq)
            if part == FILES and (error := await self._attach(card, entry, place, kept)):
                trouble.append(error)
            elif part == FILES or shows_end:
                await self._write(card.id, MissingPartShown(entry=seq, part=part, channel=place.channel))  # type: ignore[arg-type]
        return trouble

    async def _tell_entry(
        self, card: TicketView, entry: Entry, place: MessageRef, kept: MessageState, *, shows_end: bool
    ) -> NotSent | DeliveryUnknown | None:
        """Tell one entry. Returns what kept it from being told; None where it is told."""
        message = await asyncio.to_thread(entry_message, card, entry)  # as long as a plan, or as what a host told
        missing: list[str] = []
        if entry.kind == "proposed" and await self._is_hidden(card, message):
            return NotSent(
                "later", f"Something in the plan of {card.id} looks like a secret, so it cannot be shown whole."
            )
        if entry.kind == "proposed" and (error := await self._attach(card, entry, place, kept)):
            return error  # the line says that all of the plan is here
        if message is not None:
            line = replace(message, files=())
            key = f"{card.id} {place.ts} entry {entry.seq}"
            if error := await self._say(entry, line, place, key, kept, turn=turn_of(card)):
                return error
        if entry.kind == "proposed" and kept.needs_file:
            if error := await self._attach(card, entry, place, kept):
                return error
            kept.needs_file = False
        if entry.kind != "proposed" and await self._attach(card, entry, place, kept) is not None:
            missing.append(FILES)
        if entry.kind in ENDS and not shows_end:
            missing.append(CARD)
        told = ThreadReplyShown(entry=entry.seq, channel=place.channel, thread=place.ts)
        await self._write(card.id, told.model_copy(update={"missing": tuple(missing)}) if missing else told)
        return None

    async def _is_hidden(self, card: TicketView, message: Message | None) -> bool:
        """Whether a part of the plan would be masked: a service may have given it out as its token since it was proposed."""

        def hides() -> bool:
            told = replace(message or Message(""), files=(plan_file(card.proposal),))
            return self._outbox.hides(told, "\n".join(plan_lines(card.proposal)))

        return await asyncio.to_thread(hides)

    async def _say(
        self, entry: Entry, line: Message, place: MessageRef, key: str, kept: MessageState, *, turn: Turn
    ) -> NotSent | DeliveryUnknown | None:
        """Post the line of an entry, once. Where not all of a plan's text was taken, its file says it as well."""
        old, sent, is_plan = self.may_be_sent(entry, kept), key in kept.unsure, entry.kind == "proposed"

        async def send() -> None:
            await self._outbox.post(
                place.channel, line, place.ts, key, looks_first=old, was_sent=sent, whole=is_plan, turn=turn
            )
            if self._outbox.was_found(key):  # how it was taken then, nobody knows
                kept.needs_file = is_plan

        error = await kept.once(key, send)
        if isinstance(error, PartMissing):
            kept.needs_file = is_plan
        return error

    async def _attach(
        self, card: TicketView, entry: Entry, place: MessageRef, kept: MessageState
    ) -> NotSent | DeliveryUnknown | None:
        """Upload the files that belong to an entry; where they are refused, say them."""
        message = await asyncio.to_thread(entry_message, card, entry)
        files = list(message.files) if message is not None else []
        if entry.kind == "proposed" and kept.needs_file and not files:
            files = [await asyncio.to_thread(plan_file, card.proposal)]
        if entry.kind in ENDS and (evidence := await evidence_beside(self._ledger, card.id, card.entries)):
            files.append(evidence)
        for file in files:
            key = f"{card.id} {place.ts} file {entry.seq} {file.name}"
            error = await kept.once(key, self._uploading(entry, file, place, key, kept, turn=turn_of(card)))
            if error is not None:
                return error
        return None

    def _uploading(
        self, entry: Entry, file: File, place: MessageRef, key: str, kept: MessageState, *, turn: Turn
    ) -> Callable[[], Awaitable[object]]:
        first = self.may_be_sent(entry, kept) or key in kept.unsure or key in kept.tried
        is_plan = entry.kind == "proposed"
        return lambda: self._outbox.attach(
            place.channel, [file], place.ts, key, looks_first=first, whole=is_plan, turn=turn
        )

    async def tell_directly(self, card: TicketView, kept: MessageState, why: str) -> list[NotSent | DeliveryUnknown]:
        """Tell those who asked and approved what they must hear and the thread could not say. Returns what went wrong."""
        in_thread, directly = told_entries(card.entries), told_directly(card.entries)
        trouble: list[NotSent | DeliveryUnknown] = []
        for entry in card.entries:
            if entry.kind not in MUST_HEAR or entry.seq in in_thread:
                continue
            for member in self._people(card):
                if (entry.seq, member) in directly:
                    continue
                key = f"{card.id} direct {entry.seq} {member}"
                message = await asyncio.to_thread(direct_message, card, entry, why)
                if message is None:
                    continue
                error = await kept.once(key, self._direct(member, message, key, entry, kept, turn=turn_of(card)))
                if error is None:
                    await self._write(card.id, DirectMessageShown(entry=entry.seq, to=member))
                else:
                    log.warning("nobody could be told directly", ticket=card.id, member=member, why=str(error))
                    trouble.append(error)
        return trouble

    def _direct(
        self, member: str, message: Message, key: str, entry: Entry, kept: MessageState, *, turn: Turn
    ) -> Callable[[], Awaitable[object]]:
        old, sent = self.may_be_sent(entry, kept), key in kept.unsure

        async def send() -> None:
            try:
                await self._outbox.direct(member, message, key, looks_first=old, was_sent=sent, turn=turn)
            except DeliveryUnknown as unknown:
                if not (sent and unknown.unreadable):
                    raise
                # nobody can look, and it must be heard: the second time it says what it is
                await self._outbox.direct(
                    member,
                    replace(message, text=f"{_AGAIN} {message.text}", blocks=(*message.blocks, *contexts(_AGAIN))),
                    turn=turn,
                )

        return send

    @staticmethod
    def _people(card: TicketView) -> Iterator[str]:
        """The members who asked and approved, by Slack's id."""
        approval = card.last("approved")
        actors = dict.fromkeys([card.proposal.requester, *([approval.actor] if approval else [])])
        yield from filter(None, map(slack_id, actors))

    async def _write(self, ticket: str, shown: Shown) -> None:
        await asyncio.to_thread(self._ledger.append, BOT, shown, ticket)


def turn_of(card: TicketView) -> Turn:
    """Whose turn a message about a ticket takes: its requester's. What is said of a run does not wait for plans."""
    return Turn(card.proposal.requester, is_first=card.last(Started.kind) is not None)
