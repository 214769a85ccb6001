"""What it takes to change something through Slack: proposals, decisions, the board, and the runner to wake."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from bot.api.command import Role
from bot.audit.visibility import can_view, visibility_of
from bot.dispatch import authorization
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import AnsweredRequest, Request
from bot.dispatch.query_session import Progress
from bot.errors import HvopsError, LedgerError, TicketError
from bot.executor.context import RunContext, TicketChange
from bot.executor.permissions import recheck_roles
from bot.executor.polling import CheckState, look_at
from bot.executor.run import Run
from bot.formatting import clauses
from bot.ledger import Entry, Filter, TicketRow, TicketSummary
from bot.ledger.ticket_state import OPEN, TicketState
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent
from bot.slack.outbound.message import Message
from bot.slack.outbound.outbox import Outbox
from bot.slack.render.competing import with_competing
from bot.slack.render.stop import with_stop
from bot.slack.render.ticket_list import fate_unknown, not_shown, proposed_for
from bot.slack.render.ticket_thread import looked_message
from bot.slack.render.ticket_view_model import TicketView
from bot.slack.tickets.ticket_messages import TicketMessages
from bot.tickets.create import ProposalService
from bot.tickets.decisions import CONFIRM, ApprovalService, is_plan_shown
from bot.tickets.proposal import proposal_of
from bot.tickets.run_history import story_of
from bot.transport.turns import asking_about

_LISTED, _LINKED = 50, 20  # tickets that /hvops runs shows, and how many of them with a link
_COUNTED = 10_000  # at most so many for somebody who may not see everything
_FOR_THE_PLAN = 20  # seconds that a press waits for it
_LOOKED_AT = 50  # open tickets of a kind that are looked at for Home


@dataclass(frozen=True, slots=True)
class Changes:
    """The parts, and what is done with them after a line or a click.

    Attributes:
        run: what runs work with; to look at a step that is interrupted.
        wake: tells the runner that something was decided.
    """

    proposals: ProposalService
    decisions: ApprovalService
    board: TicketMessages
    outbox: Outbox
    run: RunContext
    wake: Callable[[], None]

    async def propose(self, request: Request, progress: Callable[[Progress], None] | None) -> Message | AnsweredRequest:
        """Answer the line of a remediation: a report, or what tells the requester where the plan is."""
        found = await self.proposals.propose(request, progress, once=True)
        return found if isinstance(found, AnsweredRequest) else await self.put_up(found.ticket, is_new=found.is_new)

    async def undo(self, request: Request, ticket: str) -> Message:
        """Propose to take a ticket back. Raises PermissionDenied, TicketError."""
        found = await self.proposals.undo(request, ticket)
        return await self.put_up(found.ticket)

    async def put_up(self, ticket: str, *, is_new: bool = True) -> Message:
        """Show a ticket in its channel, and say where that is, or what is missing."""
        try:
            place = await self.board.refresh(ticket)
        except NotSent as refused:
            card = await self.board.card(ticket)
            return await self.beside_a_stop(not_shown(ticket, self.board.channel_of(card), refused.code, str(refused)))
        except DeliveryUnknown as unknown:
            channel = self.board.channel_of(await self.board.card(ticket))
            return await self.beside_a_stop(fate_unknown(ticket, channel, str(unknown)))
        told = proposed_for(ticket, place.channel, await self.board.permalink(ticket), is_new=is_new)
        return await self.beside_a_stop(with_competing(told, (await self.board.card(ticket)).competing))

    async def beside_a_stop(self, message: Message, stopped: Message | None = None) -> Message:
        """The message, and above it that changes are stopped, where they are. What cannot be proved is not said.

        Args:
            message: what is so while changes may start.
            stopped: what is so instead while they are stopped; None where that is the same.
        """
        try:
            stop = await self.board.stop()
        except LedgerError:
            return message
        return message if stop is None else with_stop(stopped or message, stop)

    async def show_plan(self, ticket: str) -> None:
        """Bring the whole plan of a proposal into Slack if it is not there yet: a press may come before its thread is told."""
        story = await asyncio.to_thread(self.run.ledger.story, ticket)
        if not story or is_plan_shown(story):
            return
        with contextlib.suppress(NotSent, DeliveryUnknown, TimeoutError):  # whether it is there then, the ledger says
            await asyncio.wait_for(self.board.refresh(ticket), _FOR_THE_PLAN)

    async def hindered(self, ticket: str) -> str:
        """Why those who asked and approved do not let it go on, or why that is not known now; "" where they do."""
        try:
            proposal = await asyncio.to_thread(proposal_of, self.run.ledger, ticket)
        except TicketError:
            return ""  # there is none, as whoever decides will say
        found = await recheck_roles(Run(self.run, ticket, proposal))
        return found.lost or found.unknown

    def decided(self, entry: Entry) -> None:
        """Something was decided: show it, and let the runner know."""
        if entry.ticket:
            self.board.notify(TicketChange(entry.ticket, entry.kind))
        self.wake()

    async def look(self, person: Person, ticket: str, by: str) -> Message:
        """Ask how the step in flight stands now, and tell the thread. Raises PermissionDenied, TicketError."""
        card = await self.seen_by(person, ticket)
        message = looked_message(card, await self._seen(card), by)
        await self.board.post_in_thread(ticket, message, person.id)
        return message

    async def seen_by(self, person: Person, ticket: str) -> TicketView:
        """The card, for whoever may look at all that it is about. Raises PermissionDenied, TicketError."""
        with authorization.no_hints_for_strangers(person):
            card = await self.board.card(ticket)
        for place in card.proposal.made.places or (authorization.EVERYWHERE,):
            authorization.require_role(person, Role.VIEWER, place)
        return card

    async def _seen(self, card: TicketView) -> list[str]:
        at = card.stopped_at
        if at is None:
            raise TicketError(f"{card.id} has no step that could be checked.")
        images = card.story.images_of(at)
        if undoes := card.proposal.made.undoes:
            older = await asyncio.to_thread(self.run.ledger.story, undoes)
            images = {**story_of(older).images, **images}
        asked = (check.question.on for check in at.step.done)
        # Whoever may see the one place may not see the other.
        if why := await self.run.planner.why_not_there(card.proposal.places, *asked):
            raise TicketError(f"{card.id} cannot be checked: {why}.")
        with asking_about(card.proposal.places):
            seen = await look_at(self.run, at.step.done, images)
        begun = card.story.intents.get(at.key)
        tells = begun is None or begun.held_before in ("", "no")
        words = {
            CheckState.MET: "it is done" if tells else "it is so, and may have been so before",
            CheckState.UNKNOWN: "not known",
            CheckState.UNMET: "not done",
            CheckState.FAILED: "failed",
        }
        says = seen.says or clauses(seen.readings)
        return [f"Step {at.number}, {at.step.description}: {words[seen.is_]}" + (f": {says}" if says else "")]

    async def open_tickets(self, person: Person) -> tuple[list[tuple[TicketRow, str, str]], int]:
        """The newest open tickets that this person may see, each with its last time and where it is shown; and how many.

        Who may not see everything is shown those among the newest only.
        """
        ledger = self.run.ledger
        newest = await asyncio.to_thread(ledger.listed, OPEN, _LISTED)
        listed = await asyncio.to_thread(lambda: list(self._seen_among(newest, person)))
        count = await asyncio.to_thread(self._how_many_open, person)
        links = await asyncio.gather(*(self.board.permalink(one.id) for one, _ in listed[:_LINKED]))
        return [(one, last, links[at] if at < len(links) else "") for at, (one, last) in enumerate(listed)], count

    def _how_many_open(self, person: Person) -> int:
        sight = visibility_of(person, {})
        if sight is None:
            return sum(self.run.ledger.counted().values())
        seen = Filter(kind="proposed", outcome="open", sight=sight)
        return sum(self.run.ledger.count(seen, _COUNTED).values())

    def _seen_among(self, rows: Iterable[TicketRow], person: Person) -> Iterator[tuple[TicketRow, str]]:
        """Those that this person may see, each with its last time as its proposal says."""
        for one in rows:
            proposal = self.run.ledger.entry(one.first_entry)
            if proposal is not None and can_view(person, proposal.places):
                is_confirmed = one.state == TicketState.APPROVED and proposal.fields.get("policy") == CONFIRM
                shown = replace(one, state="confirmed") if is_confirmed else one
                yield shown, str(proposal.fields.get("run_until") or "")

    async def waits_for(
        self, person: Person
    ) -> tuple[list[TicketSummary], list[TicketSummary], list[TicketSummary], dict[TicketState, int]]:
        """The open tickets that wait for this person's decision, that need somebody, and that run.

        Of each state only the newest are looked at, so that none hides behind another one; the last is how many of
        each were not. Their plans are read only where a run may wait for a person's hand.
        """
        ledger = self.run.ledger
        newest = await asyncio.to_thread(lambda: [one for state in OPEN for one in ledger.headings(state, _LOOKED_AT)])
        counted = await asyncio.to_thread(ledger.counted)
        left = {TicketState(state): count - _LOOKED_AT for state, count in counted.items() if count > _LOOKED_AT}
        seen = [one for one in newest if can_view(person, one.places)]
        by_hand = {
            one.ticket for one in seen if one.state == TicketState.RUNNING and await self._waits_for_a_hand(one.ticket)
        }
        waiting = [one for one in seen if one.state == TicketState.PROPOSED and self.decisions.may_approve(person, one)]
        needing = [one for one in seen if one.state == TicketState.INTERRUPTED or one.ticket in by_hand]
        moving = [
            one
            for one in seen
            if one.state in (TicketState.APPROVED, TicketState.RUNNING) and one.ticket not in by_hand
        ]
        return waiting, needing, moving, left

    async def _waits_for_a_hand(self, ticket: str) -> bool:
        try:
            return (await self.board.card(ticket)).waits_for_a_person is not None
        except HvopsError:
            return False  # it ended just now, or cannot be read; the list is only a list
