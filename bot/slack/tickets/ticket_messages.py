"""One message per ticket, kept as the ledger says, and its thread. Found again after a restart by its `shown` entry.

Nothing is decided here. Whatever happens to a ticket only makes its message due; what it shows is read from the
ledger at that moment, so a burst of happenings costs one update, and a bot that was away catches up by looking.
What has not been delivered is delivered until it is: what Slack refuses is tried again after growing pauses, the message
and its thread each by itself, and whoever must hear the end is told directly where the channel takes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.api.command import Role
from bot.errors import HvopsError, LedgerError, UnreadableEntry
from bot.executor.context import BOT, TicketChange
from bot.ledger import Ledger, TicketRow
from bot.ledger.entries import ReminderShown, Shown, Stopped, TicketMessageShown
from bot.ledger.ticket_state import OPEN, TicketState
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent
from bot.slack.outbound.message import Message
from bot.slack.outbound.outbox import Outbox, Turn
from bot.slack.outbound.shielded_tasks import ShieldedTasks
from bot.slack.render.competing import CompetingTicket
from bot.slack.render.ticket import copy_message, ticket_message
from bot.slack.render.ticket_thread import reminder_message, thread_kinds
from bot.slack.render.ticket_view_model import StopView, TicketView
from bot.slack.roles import RoleResolver
from bot.slack.tickets.competing import CompetingTickets
from bot.slack.tickets.message_state import MessageState, MessageStates
from bot.slack.tickets.message_table import (
    MessageRef,
    button_seal,
    is_delivered,
    is_reminded,
    message_ref,
    message_refs,
    read_card,
    reminder_time,
)
from bot.slack.tickets.thread_delivery import ThreadDelivery, turn_of
from bot.slack.tickets.ticket_locks import turns_on

log = structlog.get_logger()

_OF_THE_CHANNEL = (  # refusals that are about the channel: no other message would be taken there either
    *("channel_not_found", "is_archived", "not_in_channel", "restricted_action", "no_permission", "no_channel"),
    *("account_inactive", "invalid_auth", "not_authed", "token_revoked", "missing_scope", "ekm_access_denied"),
)
_UNCHANGEABLE = ("cant_update_message", "edit_window_closed")
_OFTEN = 5  # refusals in a row after which a message that stands is given up, and posted anew
_LONG = 60  # failures in a row after which it is tried less often
_REMEMBERED = 2_000  # links
_TOLD = 10  # tickets that need the same lock, whose messages are brought up to date at once
_LINKED = 5  # tickets that need the same lock
_LEAVING = 10.0  # seconds for what is posted to be written down as well, when the bot is told to stop
_RECENT = 50  # ended tickets that are looked at again and again; all of them are when the bot begins


@dataclass(frozen=True, slots=True)
class ReminderSchedule:
    """How often, in seconds.

    Attributes:
        progress: between two updates that only tell progress.
        again: after something was not delivered; doubled each time.
        longest: the longest of these pauses.
        glance: between two looks at who is to be reminded.
        sweep: between two looks at what the ledger says was not delivered.
        copies: before a look whether a message of unknown fate came after all.
    """

    progress: float = 3.0
    again: float = 1.0
    longest: float = 20.0
    glance: float = 1.0
    sweep: float = 15.0
    copies: float = 20.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def pause(self, failures: int) -> float:
        """How long to wait after so many failures in a row."""
        longest = self.longest if failures < _LONG else 10 * self.longest
        return min(self.again * 2.0 ** min(failures - 1, 10), longest)


@dataclass(slots=True)
class _Sweeps:
    """The looks at what the ledger says was not delivered.

    Attributes:
        at: when the last one was, by the schedule's clock.
        is_first: none was; what it finds is of an earlier life of this process.
        is_known: whether every ticket was looked at since this process delivers.
        trouble: why the last one failed, which is logged once; "" where it did not.
    """

    at: float
    is_first: bool = True
    is_known: bool = False
    trouble: str = ""


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
        resuming: Role = Role.APPROVER,
        covered: Iterable[str] = (),
        may: Callable[[], bool] = lambda: True,
        is_shown_elsewhere: Callable[[str], bool] = lambda _ticket: False,
    ) -> None:
        """Take the parts; `channel` names the ops channel of the clusters and hosts that a ticket reaches, or "".

        `resuming` is the least role that may type `/hvops go`, and `covered` where it has to hold. `may`: whether this process is the one that looks for what
        people were not told, and reminds; what happens here is shown from here all the same. `is_shown_elsewhere`: whether
        another process runs a ticket, and so shows how far it is.
        """
        self._client = client
        self._outbox = outbox
        self._people = people
        self._ledger = ledger
        self._channel = channel
        self._pace = pace or ReminderSchedule()
        self._resuming, self._covered = resuming, tuple(covered)
        self._may, self._is_shown_elsewhere = may, is_shown_elsewhere
        self._turns = turns_on(ledger)
        self._keeping = MessageStates()
        self._links: dict[MessageRef, str] = {}
        self._competing = CompetingTickets(ledger)
        self._unbroken = ShieldedTasks()
        self._threads = ThreadDelivery(outbox, ledger, lambda: self._unbroken.is_leaving, self._turns.is_mine)

    def notify(self, happening: TicketChange) -> None:
        """Something happened to a ticket: its message is due. Never raises, never waits."""
        kept = self._keeping.get(happening.ticket)
        kept.newest, kept.is_due = happening, True
        if happening.kind != "progress":
            kept.urgent.set()
        if kept.worker is None:
            kept.worker = asyncio.get_running_loop().create_task(self._keep_up(happening.ticket, kept))

    def show_again(self, ticket: str) -> None:
        """Something beside a ticket changed that its message shows, and nothing happened to it. Never raises, never waits."""
        kept = self._keeping.get(ticket)
        self.notify(kept.newest or TicketChange(ticket, "shown"))

    async def stop(self) -> StopView | None:
        """The stop in force, and who can end it; None where changes may start. Raises LedgerError where nothing is proved."""
        newest = await asyncio.to_thread(self._ledger.newest_switch)
        if newest is not None and newest.kind == Stopped.kind:
            return StopView(newest, self.resumed_by())
        return StopView(None, self.resumed_by()) if await asyncio.to_thread(self._ledger.is_stopped) else None

    def resumed_by(self) -> tuple[str, ...]:
        """The ids of the groups and members who may type `/hvops go`."""
        roles = [role for role in Role if role >= self._resuming]
        return tuple(dict.fromkeys(one for role in roles for one in self._people.configured_ids(role, self._covered)))

    async def run(self, stop: asyncio.Event) -> None:
        """Catch up with what was not delivered, again and again, and remind, until `stop` is set."""
        sweeps = _Sweeps(self._pace.clock())
        while not stop.is_set():
            try:
                await self._look_over(sweeps)
            except (
                Exception
            ):  # what goes wrong in one round must not end all: nothing would be shown, and nobody would know
                log.exception("our bug in the delivery of messages; it goes on", bug=secrets.token_hex(4))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._pace.glance)

    async def _look_over(self, sweeps: _Sweeps) -> None:
        may = self._may()
        if may and (not sweeps.is_known or self._pace.clock() - sweeps.at >= self._pace.sweep):
            sweeps.is_known = await self._sweep(sweeps) or sweeps.is_known
            sweeps.at = self._pace.clock()
        # What another process does meanwhile is looked for afterwards.
        sweeps.is_known, sweeps.is_first = sweeps.is_known and may, sweeps.is_first and may
        for ticket in self._keeping.to_remind(self._pace.now()) if may else ():
            if not await self._guarded(ticket, self._unbroken.do(self._reminded(ticket))):
                self._keeping.get(ticket).remind_at = self._pace.now() + timedelta(seconds=self._pace.longest)
        for ticket in self._keeping.to_look_for_copies(self._pace.now()):
            if not await self._guarded(ticket, self._unbroken.do(self._without_copies(ticket))):
                self._keeping.get(ticket).copies_at = self._pace.now() + timedelta(seconds=self._pace.longest)

    async def _sweep(self, sweeps: _Sweeps) -> bool:
        """What happened without a word to this process, through a terminal or another bot, is shown as well. Whether it is known."""
        try:
            behind = await asyncio.to_thread(self._behind, all_of_them=not sweeps.is_known)
        except HvopsError as error:
            if str(error) != sweeps.trouble:
                log.warning("what is not delivered is not known", why=str(error))
            sweeps.trouble = str(error)
            return False
        is_first, sweeps.is_first, sweeps.trouble = sweeps.is_first, False, ""
        for ticket in behind:
            if is_first:  # of an earlier life of this process
                self.notify(TicketChange(ticket, "restart"))
            elif not self._keeping.is_busy(ticket) and not self._is_shown_elsewhere(ticket):
                self._keeping.get(ticket).by_others = True
                self.notify(TicketChange(ticket, "restart"))
        return True

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
        try:
            place, trouble = await self._unbroken.do(self._show(ticket))
        except LedgerError:  # what was posted could not be written down: that is made up for
            self._go_on_trying(ticket)
            raise
        if trouble:
            self._go_on_trying(ticket)
        if place is None:
            raise trouble[0]
        return place

    def _go_on_trying(self, ticket: str) -> None:
        kept = self._keeping.get(ticket)
        kept.is_due = True
        if kept.worker is None and not self._unbroken.is_leaving:
            kept.worker = asyncio.get_running_loop().create_task(self._keep_up(ticket, kept))

    async def _show(self, ticket: str) -> tuple[MessageRef | None, list[NotSent | DeliveryUnknown]]:
        """Show a ticket, each part by itself. Returns where it is, and what went wrong."""
        kept = self._keeping.get(ticket)
        async with self._alone(ticket, kept):
            card = await self._card(ticket)
            kept.has_ended = card.ticket.state is TicketState.ENDED
            self._show_competing(card, kept)
            if card.successor and not card.successor_link:  # nobody else tells of it, and this one links to it
                await self._guarded(card.successor, self.refresh(card.successor))
                card = await self._card(ticket)
            trouble: list[NotSent | DeliveryUnknown] = []
            place = message_ref(card.entries)
            shows_it = False
            try:
                place = await self._post(card) if place is None else await self._update(card, place)
                shows_it = True
                if kept.is_buttonless and card.ticket.state is not TicketState.ENDED:
                    trouble.append(NotSent("later", f"Slack posted {ticket}'s message without its buttons."))
                card = _as_shown(card, await self._card(ticket))
            except (NotSent, DeliveryUnknown) as error:
                trouble.append(error)
            if place is not None:
                trouble += await self._threads.tell(card, place, kept, shows_end=shows_it)
            where = place.channel if place else self.channel_of(card)
            if why := _takes_nothing(trouble):
                trouble += await self._threads.tell_directly(await self._card(ticket), kept, why)
            kept.remind_at = reminder_time(card.entries, is_proposed=card.ticket.state is TicketState.PROPOSED)
            self._note_channel(kept, where, trouble)
            return place, trouble

    def _note_channel(self, kept: MessageState, channel: str, trouble: list[NotSent | DeliveryUnknown]) -> None:
        """Remember a channel that takes nothing; once it takes something, all that waits for it is tried at once."""
        kept.channel = channel if trouble else ""
        if channel and not trouble:
            for other in self._keeping.elsewhere(channel):
                other.urgent.set()

    def _show_competing(self, card: TicketView, kept: MessageState) -> None:
        """Whoever needs the same lock shows how this ticket stands: once for each of its states."""
        state, before = card.ticket.state, kept.state
        kept.state = state
        is_new = message_ref(card.entries) is None or kept.has_ended  # else it was shown by an earlier life
        if state is not before and (before is not None or is_new):
            for other in card.competing[:_TOLD]:  # to them nothing happened: what the runner told last stays
                self.notify(self._keeping.newest(other.ticket) or TicketChange(other.ticket, "shown"))

    @contextlib.asynccontextmanager
    async def _alone(self, ticket: str, kept: MessageState) -> AsyncIterator[None]:
        """Work on a ticket alone; one that has ended is forgotten afterwards."""
        kept.users += 1
        try:
            async with self._turns.of(ticket):
                kept.by_others = kept.by_others or self._turns.had_others(ticket)
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
            story = await asyncio.to_thread(self._ledger.story, ticket)
            place = message_ref(story)
            if place is None:
                await self._write(ticket, TicketMessageShown(channel=at.channel, ts=at.ts))
            elif place != at:
                log.info("a copy of a ticket's message becomes a pointer", ticket=ticket, channel=at.channel)
                pointer = copy_message(ticket, await self.permalink(ticket))
                await self._outbox.update(at.channel, at.ts, pointer, turn=Turn(story[0].actor))

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

    async def post_in_thread(self, ticket: str, message: Message, who: str) -> None:
        """Say something in the thread of a ticket that a person, by id, had asked. Raises NotSent or DeliveryUnknown."""
        place = message_ref(await asyncio.to_thread(self._ledger.story, ticket))
        if place is not None:
            await self._outbox.post(place.channel, message, place.ts, turn=Turn(who))

    async def card(self, ticket: str) -> TicketView:
        """A ticket as it is shown. Raises TicketError where there is none."""
        return await self._card(ticket)

    async def _keep_up(self, ticket: str, kept: MessageState) -> None:
        """Show a ticket as long as something is due; progress waits a little, so that a burst is one update."""
        try:
            while kept.is_due:
                kept.is_due = False
                kept.urgent.clear()
                if await self._guarded(ticket, self._shown(ticket)):
                    kept.failures = 0
                    await self._wait(kept, self._pace.progress)
                else:
                    kept.is_due = True
                    kept.failures += 1
                    await self._wait(kept, self._pace.pause(kept.failures))
        finally:
            kept.worker = None
            self._keeping.evict(ticket)

    async def _shown(self, ticket: str) -> None:
        """Show a ticket. Raises NotSent or DeliveryUnknown where anything of it was not delivered."""
        _, trouble = await self._unbroken.do(self._show(ticket))
        if trouble:
            raise trouble[0]

    async def _wait(self, kept: MessageState, seconds: float) -> None:
        """Wait, or until something more than progress happens."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(kept.urgent.wait(), seconds)

    async def _guarded(self, ticket: str, work: Awaitable[object]) -> bool:
        """Whether it need not be tried again; a message that cannot be shown must never hold up what it tells about."""
        try:
            await work
        except HvopsError as error:
            self._log_once(ticket, str(error))
            if isinstance(error, NotSent) and error.code == "no_channel":
                return True  # whoever sets one starts the bot again
            return isinstance(error, UnreadableEntry)  # only another version can read it
        except Exception:
            log.exception("our bug while showing a ticket", ticket=ticket)
        return True

    def _log_once(self, ticket: str, why: str) -> None:
        kept = self._keeping.get(ticket)
        if kept.trouble != why:
            log.warning("ticket not shown", ticket=ticket, why=why)
        kept.trouble = why

    async def _card(self, ticket: str) -> TicketView:
        card = await asyncio.to_thread(read_card, self._ledger, ticket, self._keeping.newest(ticket))
        card = card.but(stop=await self.stop())
        place = message_ref(card.entries)
        card = card.but(competing=await self._competing_with(card))
        return await self._with_people(self._sealed(card, place.channel if place else self.channel_of(card)))

    async def _competing_with(self, card: TicketView) -> tuple[CompetingTicket, ...]:
        """The open tickets that need the same lock, each with its link."""
        found = await asyncio.to_thread(self._competing.of, card)
        links = await asyncio.gather(*(self.permalink(one.ticket) for one in found[:_LINKED]))
        linked = (replace(one, link=link) for one, link in zip(found, links, strict=False))
        return (*linked, *found[_LINKED:])

    def _sealed(self, card: TicketView, channel: str) -> TicketView:
        """The card for a channel: its buttons count there."""
        seal = button_seal(self._ledger, card.id, card.proposal.digest, channel) if channel else ""
        return card.but(seal=seal)

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
            raise NotSent(
                "no_channel", f"No ops_channel is set in the inventory for {where}, so nobody sees {card.id}."
            )
        message = await asyncio.to_thread(ticket_message, self._sealed(card, channel))  # as long as its plan
        kept, key = self._keeping.get(card.id), _card_key(card)
        is_old = self._threads.may_be_sent(card.entries[0], kept)
        if kept.placed is not None:  # only that could not be written down
            await self._write(card.id, TicketMessageShown(channel=kept.placed[0], ts=kept.placed[1]))
            place, kept.placed = MessageRef(*kept.placed), None
            kept.forget_sent()
            return place
        try:
            ts = await self._outbox.post(
                channel,
                replace(message, files=()),
                key=key,
                looks_first=is_old,
                was_sent=key in kept.unsure,
                turn=turn_of(card),
                since=datetime.fromisoformat(card.entries[0].at),
            )
        except DeliveryUnknown as error:
            kept.note_unknown(key, error)
            raise
        kept.placed = (channel, ts)
        kept.refused = 0
        kept.sent(message, is_buttonless=self._outbox.lost_its_buttons(key))
        await self._write(card.id, TicketMessageShown(channel=channel, ts=ts))
        kept.placed = None
        is_unsure = self._outbox.may_stand_twice(key) or key in kept.unsure
        if is_unsure or is_old:
            kept.copies_at = self._pace.now() + timedelta(seconds=self._pace.copies)
        if self._outbox.was_found(key) or is_unsure:  # what was found may show how it stood then
            kept.is_due = True
            kept.forget_sent()
        return MessageRef(channel, ts)

    async def _update(self, card: TicketView, place: MessageRef) -> MessageRef:
        """Change the message of a ticket, or post it anew where it is gone, or stands but cannot be changed."""
        message = await asyncio.to_thread(ticket_message, card)
        kept = self._keeping.get(card.id)
        if await asyncio.to_thread(kept.was_sent, message):
            return place
        try:
            await self._outbox.update(place.channel, place.ts, message, _card_key(card, -1), turn_of(card))
        except NotSent as refused:
            if not refused.is_refusal or not await self._is_lost(card, place, refused):
                raise
            log.warning("the message of a ticket is posted anew", ticket=card.id, code=refused.code)
            return await self._post(card)
        kept.refused = 0
        kept.sent(message, is_buttonless=self._outbox.lost_its_buttons(_card_key(card, -1)))
        return place

    async def _is_lost(self, card: TicketView, place: MessageRef, refused: NotSent) -> bool:
        """Whether a message that Slack refuses to change is to be posted anew: never beside one that can still be pressed."""
        kept = self._keeping.get(card.id)
        kept.refused += 1
        if refused.code in _OF_THE_CHANNEL:
            return self.channel_of(card) not in ("", place.channel)  # the settings name another one now
        try:
            if not await self._outbox.stands(place.channel, place.ts):
                return True
            if refused.code in _UNCHANGEABLE or kept.refused >= _OFTEN:
                await self._outbox.delete(place.channel, place.ts, turn_of(card))
                return True
        except NotSent as error:
            log.info("whether a message is gone is not known", ticket=card.id, why=str(error))
        return False

    async def _without_copies(self, ticket: str) -> None:
        """Turn every copy of a ticket's message that Slack shows into a pointer. Raises NotSent."""
        card = await self._card(ticket)
        place = message_ref(card.entries)
        if place is None:
            return
        trouble: NotSent | None = None
        for ts in await self._outbox.copies(place.channel, _card_key(card, -1)):
            if ts != place.ts:
                try:
                    await self._found(ticket, MessageRef(place.channel, ts))
                except NotSent as error:  # the others are turned all the same
                    trouble = error
        if trouble is not None:
            raise trouble

    async def _reminded(self, ticket: str) -> None:
        async with self._alone(ticket, self._keeping.get(ticket)):
            card = await self._card(ticket)
            place = message_ref(card.entries)
            told = is_reminded(card.entries)  # by another bot
            if card.ticket.state is TicketState.PROPOSED and place is not None and not told:
                key, kept = f"{ticket} reminder", self._keeping.get(ticket)
                says, old, turn = reminder_message(card), kept.by_others, turn_of(card)
                error = await kept.once(
                    key, lambda: self._outbox.post(place.channel, says, place.ts, key, looks_first=old, turn=turn)
                )
                if error is not None:
                    raise error
                await self._write(ticket, ReminderShown(channel=place.channel))

    def _behind(self, *, all_of_them: bool) -> list[str]:
        """The tickets of which something was not delivered; Slack takes one post a second, so no others.

        Those that wait for a decision and are told are only reminded of, when it is time.

        Args:
            all_of_them: whether to look at every ticket that ever ended, not only at the newest.
        """
        ended = self._ledger.listed(("ended",), limit=_RECENT)
        found = [one.id for one in ended if self._is_behind(one)]
        if all_of_them:
            found += [one for one in self._ledger.untold_ends() if one not in found]
        for one in self._ledger.listed(OPEN, limit=-1, newest_first=False):
            if self._is_behind(one):
                found.append(one.id)
            elif one.state == TicketState.PROPOSED and (all_of_them or one.id not in self._keeping):
                try:
                    self._keeping.get(one.id).remind_at = reminder_time(self._ledger.story(one.id), is_proposed=True)
                except UnreadableEntry as error:
                    log.warning("nobody is reminded of a ticket", ticket=one.id, why=str(error))
        return found

    def _is_behind(self, one: TicketRow) -> bool:
        """Whether something happened that people have not been told; a run that may have moved is shown at the beginning."""
        entries = self._ledger.story(one.id)
        if one.state == TicketState.RUNNING and one.id not in self._keeping:
            return True
        return not is_delivered(entries, thread_kinds(), has_ended=bool(one.ending))

    async def _write(self, ticket: str, shown: Shown) -> None:
        await asyncio.to_thread(self._ledger.append, BOT, shown, ticket)


def _card_key(card: TicketView, back: int = 0) -> str:
    """What the message of a ticket is known by: the next one that is posted, or with -1 the newest that was."""
    return f"{card.id} message {len(message_refs(card.entries)) + back}"


def _as_shown(shown: TicketView, now: TicketView) -> TicketView:
    """The ticket as its message shows it, with what was written down about the message since.

    What happened meanwhile is told by the next round: a thread must not tell an end that the message does not show.
    """
    last = shown.entries[-1].seq
    return replace(now, entries=tuple(one for one in now.entries if one.seq <= last or one.kind == "shown"))


def _takes_nothing(trouble: list[NotSent | DeliveryUnknown]) -> str:
    """Why people have to be told directly, or "" where the channel may still take it."""
    for error in trouble:
        code = error.unreadable if isinstance(error, DeliveryUnknown) else error.code if error.is_refusal else ""
        if code == "no_channel":
            return str(error)
        if code:
            return f"hvops can't post in this ticket's channel ({code})."
    return ""
