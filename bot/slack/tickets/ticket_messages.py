"""One message per ticket, kept as the ledger says, and its thread. Found again after a restart by its `shown` entry.

Nothing is decided here. Whatever happens to a ticket only makes its message due; what it shows is read from the
ledger at that moment, so a burst of happenings costs one update, and a bot that was away catches up by looking.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import HvopsError, UnreadableEntry
from bot.executor.context import BOT, TicketChange
from bot.ledger import Ledger, TicketRow
from bot.ledger.entries import Outcome, ReminderShown, Shown, ThreadReplyShown, TicketMessageShown
from bot.ledger.ticket_state import ENDS, OPEN, TicketState
from bot.serialization import Evidence, evidence_from_bytes
from bot.slack.outbound.api_errors import NotSent
from bot.slack.outbound.message import Message
from bot.slack.outbound.outbox import Outbox
from bot.slack.outbound.shielded_tasks import ShieldedTasks
from bot.slack.render.evidence import evidence_file
from bot.slack.render.rivals import Rival
from bot.slack.render.ticket import copy_message, ticket_message
from bot.slack.render.ticket_thread import entry_message, plan_message, reminder_message, thread_kinds
from bot.slack.render.ticket_view_model import TicketView
from bot.slack.roles import RoleResolver
from bot.slack.tickets.competing import CompetingTickets
from bot.slack.tickets.message_state import MessageState, MessageStates
from bot.slack.tickets.message_table import (
    MessageRef,
    button_seal,
    is_reminded,
    message_ref,
    read_card,
    reminder_time,
    told_entries,
)
from bot.slack.tickets.ticket_locks import TicketLocks

log = structlog.get_logger()

_GONE = ("message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found", "is_archived")
_REMEMBERED = 2_000  # links
_LINKED = 5  # tickets that need the same lock
_LEAVING = 10.0  # seconds for what is posted to be written down as well, when the bot is told to stop
_RECENT = 50  # ended tickets whose end may not have been told when the bot went away


@dataclass(frozen=True, slots=True)
class ReminderSchedule:
    """How often, in seconds.

    Attributes:
        progress: between two updates that only tell progress.
        again: after Slack could not be reached.
        glance: between two looks at who is to be reminded.
    """

    progress: float = 3.0
    again: float = 30.0
    glance: float = 1.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class TicketMessages:
    """Shows tickets."""

    def __init__(
        self,
        client: AsyncWebClient,
        outbox: Outbox,
        people: RoleResolver,
        ledger: Ledger,
        *,
        channel: Callable[[Iterable[str]], str],
        pace: ReminderSchedule | None = None,
    ) -> None:
        """Take the parts; `channel` names the ops channel of the clusters and hosts that a ticket reaches, or ""."""
        self._client = client
        self._outbox = outbox
        self._people = people
        self._ledger = ledger
        self._channel = channel
        self._pace = pace or ReminderSchedule()
        self._turns = TicketLocks(ledger.path)
        self._keeping = MessageStates()
        self._links: dict[MessageRef, str] = {}
        self._competing = CompetingTickets(ledger)
        self._unbroken = ShieldedTasks()

    def notify(self, happening: TicketChange) -> None:
        """Something happened to a ticket: its message is due. Never raises, never waits."""
        kept = self._keeping.get(happening.ticket)
        kept.newest, kept.is_due = happening, True
        if happening.kind != "progress":
            kept.urgent.set()
        if kept.worker is None:
            kept.worker = asyncio.get_running_loop().create_task(self._keep_up(happening.ticket, kept))

    async def run(self, stop: asyncio.Event) -> None:
        """Catch up with what happened while nobody was here, then remind, until `stop` is set."""
        for ticket in await asyncio.to_thread(self._behind):
            self.notify(TicketChange(ticket, "restart"))
        while not stop.is_set():
            for ticket in self._keeping.to_remind(self._pace.now()):
                await self._guarded(ticket, self._unbroken.do(self._reminded(ticket)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._pace.glance)

    async def close(self) -> None:
        """Show nothing more. What is due is shown by the next life; what is being posted is written down first."""
        workers = self._keeping.workers()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await self._unbroken.close(_LEAVING)
        self._turns.close()

    async def refresh(self, ticket: str) -> MessageRef:
        """Bring the message of a ticket up to date, and its thread. Returns where it is.

        Raises:
            NotSent: Slack refuses, or no channel is set; the sentence says what to do.
            DeliveryUnknown: nobody can know whether it arrived.
        """
        return await self._unbroken.do(self._show(ticket))

    async def _show(self, ticket: str) -> MessageRef:
        kept = self._keeping.get(ticket)
        async with self._alone(ticket, kept):
            card = await self._card(ticket)
            kept.has_ended = card.ticket.state is TicketState.ENDED
            self._show_rivals(card, kept)
            if card.successor and not card.successor_link:  # nobody else tells of it, and this one links to it
                await self._guarded(card.successor, self.refresh(card.successor))
                card = await self._card(ticket)
            place = message_ref(card.entries)
            if place is None:
                place = await self._post(card)
            else:
                place = await self._update(card, place)
            await self._tell_thread(card, place)
            kept.remind_at = reminder_time(card.entries, is_proposed=card.ticket.state is TicketState.PROPOSED)
            return place

    def _show_rivals(self, card: TicketView, kept: MessageState) -> None:
        """Whoever needs the same lock shows how this ticket stands: once for each of its states."""
        state, before = card.ticket.state, kept.state
        kept.state = state
        is_new = message_ref(card.entries) is None or kept.has_ended  # else it was shown by an earlier life
        if state is not before and (before is not None or is_new):
            for rival in card.rivals:  # to them nothing happened: what the runner told last stays
                self.notify(self._keeping.newest(rival.ticket) or TicketChange(rival.ticket, "shown"))

    @contextlib.asynccontextmanager
    async def _alone(self, ticket: str, kept: MessageState) -> AsyncIterator[None]:
        """Work on a ticket alone; one that has ended is forgotten afterwards."""
        kept.users += 1
        try:
            async with self._turns.of(ticket):
                yield
        finally:
            kept.users -= 1
            self._keeping.evict(ticket)

    async def reconcile_duplicate(self, ticket: str, at: MessageRef) -> None:
        """A message of this ticket was met there. A copy is turned into a pointer to the real one.

        There is a copy where a bot was killed between posting and writing down where, or where nobody could know
        whether a post had arrived. Its buttons work all the same: they carry the seal of the ticket in that channel.
        Whoever calls has proved that (`is_forged`).

        Raises:
            NotSent: Slack refuses, or cannot be reached.
            TicketError: there is no such ticket.
        """
        if message_ref(await asyncio.to_thread(self._ledger.story, ticket)) != at:
            await self._unbroken.do(self._found(ticket, at))

    async def _found(self, ticket: str, at: MessageRef) -> None:
        async with self._alone(ticket, self._keeping.get(ticket)):
            place = message_ref(await asyncio.to_thread(self._ledger.story, ticket))
            if place is None:
                await self._write(ticket, TicketMessageShown(channel=at.channel, ts=at.ts))
            elif place != at:
                log.info("a copy of a ticket's message becomes a pointer", ticket=ticket, channel=at.channel)
                await self._outbox.update(at.channel, at.ts, copy_message(ticket, await self.permalink(ticket)))

    async def permalink(self, ticket: str) -> str:
        """Where a ticket is shown, as a link; "" where it is not, or Slack does not say."""
        place = message_ref(await asyncio.to_thread(self._ledger.story, ticket))
        if place is None:
            return ""
        if place in self._links:
            return self._links[place]
        try:
            told = await self._client.chat_getPermalink(channel=place.channel, message_ts=place.ts)
        except Exception as error:  # noqa: BLE001 - a link is a convenience: without it the ticket is still named
            log.info("no link", ticket=ticket, why=type(error).__name__)
            return ""
        if len(self._links) >= _REMEMBERED:
            self._links.clear()
        self._links[place] = str(told.get("permalink") or "")  # the link of a message never changes
        return self._links[place]

    async def post_in_thread(self, ticket: str, message: Message) -> None:
        """Say something in the thread of a ticket. Raises NotSent or DeliveryUnknown."""
        place = message_ref(await asyncio.to_thread(self._ledger.story, ticket))
        if place is not None:
            await self._outbox.post(place.channel, message, place.ts)

    async def card(self, ticket: str) -> TicketView:
        """A ticket as it is shown. Raises TicketError where there is none."""
        return await self._card(ticket)

    async def _keep_up(self, ticket: str, kept: MessageState) -> None:
        """Show a ticket as long as something is due; progress waits a little, so that a burst is one update."""
        try:
            while kept.is_due:
                kept.is_due = False
                kept.urgent.clear()
                if not await self._guarded(ticket, self.refresh(ticket)):
                    kept.is_due = True
                    await self._wait(kept, self._pace.again)
                    continue
                await self._wait(kept, self._pace.progress)
        finally:
            kept.worker = None
            self._keeping.evict(ticket)

    async def _wait(self, kept: MessageState, seconds: float) -> None:
        """Wait, or until something more than progress happens."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(kept.urgent.wait(), seconds)

    async def _guarded(self, ticket: str, work: Awaitable[object]) -> bool:
        """Whether it went well; a message that cannot be shown must never hold up what it tells about."""
        try:
            await work
        except NotSent as error:
            log.warning("ticket not shown", ticket=ticket, why=str(error))
            return error.code not in ("gave_up", "later", "closing")  # a refusal stays one: trying again is no use
        except HvopsError as error:
            log.warning("ticket not shown", ticket=ticket, why=str(error))
            return isinstance(error, UnreadableEntry)  # only another version can read it
        except Exception:
            log.exception("our bug while showing a ticket", ticket=ticket)
        return True

    async def _card(self, ticket: str) -> TicketView:
        card = await asyncio.to_thread(read_card, self._ledger, ticket, self._keeping.newest(ticket))
        place = message_ref(card.entries)
        card = replace(card, rivals=await self._rivals_of(card))
        return await self._with_people(self._sealed(card, place.channel if place else self.channel_of(card)))

    async def _rivals_of(self, card: TicketView) -> tuple[Rival, ...]:
        """The open tickets that need the same lock, each with its link."""
        found = await asyncio.to_thread(self._competing.of, card)
        links = await asyncio.gather(*(self.permalink(one.ticket) for one in found[:_LINKED]))
        linked = (replace(one, link=link) for one, link in zip(found, links, strict=False))
        return (*linked, *found[_LINKED:])

    def _sealed(self, card: TicketView, channel: str) -> TicketView:
        """The card for a channel: its buttons count there."""
        seal = button_seal(self._ledger, card.id, card.proposal.digest, channel) if channel else ""
        return replace(card, seal=seal)

    async def _with_people(self, card: TicketView) -> TicketView:
        """Who may decide, and whether there is anybody; only as long as that matters."""
        named, nobody = card.decided_by(self._people.configured_ids), ""
        if card.ticket.state is TicketState.PROPOSED and card.ticket.second_person:
            places = card.proposal.made.places
            nobody = await self._people.only_requester_can_approve(card.proposal.requester, card.role, places)
        link = await self.permalink(card.successor) if card.successor else ""
        return card.with_names(named, nobody, link)

    def channel_of(self, card: TicketView) -> str:
        """The ops channel that a ticket belongs to; "" where none is set."""
        return self._channel(card.proposal.made.places)

    async def _post(self, card: TicketView) -> MessageRef:
        channel = self.channel_of(card)
        if not channel:
            where = ", ".join(card.proposal.made.places) or card.proposal.made.target
            raise NotSent("no_channel", f"No ops_channel is set in the estate for {where}, so nobody sees {card.id}.")
        message = ticket_message(self._sealed(card, channel))
        ts = await self._outbox.post(channel, message)
        self._keeping.get(card.id).sent(message)
        await self._write(card.id, TicketMessageShown(channel=channel, ts=ts))
        return MessageRef(channel, ts)

    async def _update(self, card: TicketView, place: MessageRef) -> MessageRef:
        message = ticket_message(card)
        kept = self._keeping.get(card.id)
        if kept.was_sent(message):
            return place
        try:
            await self._outbox.update(place.channel, place.ts, message)
        except NotSent as refused:
            if refused.code not in _GONE:
                raise
            log.warning("the message of a ticket is gone; posted anew", ticket=card.id, code=refused.code)
            anew = await self._post(card)
            await self._outbox.post(anew.channel, plan_message(card), anew.ts)  # its thread is a new one
            return anew
        kept.sent(message)
        return place

    async def _tell_thread(self, card: TicketView, place: MessageRef) -> None:
        """Every turn that the thread does not tell yet, in order."""
        told, kinds = told_entries(card.entries), thread_kinds()
        for entry in card.entries:
            if entry.kind not in kinds or entry.seq in told:
                continue
            if self._unbroken.is_leaving:
                return
            message = entry_message(card, entry)
            if message is not None:
                await self._outbox.post(place.channel, message, place.ts)
            if entry.kind in ENDS and (evidence := await asyncio.to_thread(self._evidence, card)):
                await self._outbox.files(
                    place.channel, [await asyncio.to_thread(evidence_file, card.id, evidence)], place.ts
                )
            await self._write(card.id, ThreadReplyShown(entry=entry.seq, channel=place.channel))

    def _evidence(self, card: TicketView) -> tuple[Evidence, ...]:
        """The raw answers of every step."""
        outcomes = [outcome for entry in card.entries if (outcome := entry.read_if(Outcome)) is not None]
        digests = dict.fromkeys(outcome.evidence for outcome in outcomes if outcome.evidence)
        blobs = [self._ledger.blob(one) for one in digests]
        return tuple(one for blob in blobs if blob for one in evidence_from_bytes(blob))

    async def _reminded(self, ticket: str) -> None:
        async with self._alone(ticket, self._keeping.get(ticket)):
            card = await self._card(ticket)
            place = message_ref(card.entries)
            told = is_reminded(card.entries)  # by another bot
            if card.ticket.state is TicketState.PROPOSED and place is not None and not told:
                await self._outbox.post(place.channel, reminder_message(card), place.ts)
                await self._write(ticket, ReminderShown(channel=place.channel))

    def _behind(self) -> list[str]:
        """The tickets whose message or thread does not tell all; Slack takes one post a second, so no others.

        Those that wait for a decision and are told are only reminded of, when it is time.
        """
        found = [one.id for one in self._ledger.listed(("ended",), limit=_RECENT) if self._is_behind(one)]
        for one in self._ledger.listed(OPEN, limit=-1, newest_first=False):
            if self._is_behind(one):
                found.append(one.id)
            elif one.state == TicketState.PROPOSED:
                try:
                    self._keeping.get(one.id).remind_at = reminder_time(self._ledger.story(one.id), is_proposed=True)
                except UnreadableEntry as error:
                    log.warning("nobody is reminded of a ticket", ticket=one.id, why=str(error))
        return found

    def _is_behind(self, one: TicketRow) -> bool:
        """Whether something happened that its thread does not tell: the message is brought up to date before that."""
        entries = self._ledger.story(one.id)
        told, kinds = told_entries(entries), ENDS if one.ending else thread_kinds()
        if message_ref(entries) is None:
            return not one.ending
        return one.state == TicketState.RUNNING or any(each.kind in kinds and each.seq not in told for each in entries)

    async def _write(self, ticket: str, shown: Shown) -> None:
        await asyncio.to_thread(self._ledger.append, BOT, shown, ticket)
