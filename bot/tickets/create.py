"""From a line to a proposal: look, plan, and write it down; or say why there is no plan.

A plan without groups, or one that a gate holds, makes no ticket. It is answered with a report, which says why and
carries *Check Again*, exactly as a question is.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial

from bot.api.beside import beside
from bot.api.command import Remediation, Role
from bot.config.settings import Policy
from bot.dispatch.authorization import Accounts, no_hints_for_strangers, require_everywhere
from bot.dispatch.pipeline import AnsweredRequest, Pipeline, Request, RequestContext
from bot.dispatch.query_session import Progress
from bot.errors import NoPlan, TicketError, UnreadableEntry
from bot.formatting import plural
from bot.ledger import Entry, EntryDraft
from bot.ledger.entries import Refused
from bot.ledger.envelope import to_timestamp
from bot.ledger.ticket_state import NOT_STARTED, TicketState
from bot.redaction import clip
from bot.tickets.plan_report import no_plan, would_be
from bot.tickets.planner import Planner
from bot.tickets.proposal import Origin, PlannedChange, Proposal, draft_proposal, proposal_from, proposal_of
from bot.transport.turns import asking_as


@dataclass(frozen=True)
class Proposed:
    """A ticket that waits for its decision.

    Attributes:
        is_new: False where the very same plan waited for its decision already: it is that ticket.
    """

    entry: Entry
    is_new: bool = True

    @property
    def ticket(self) -> str:
        """Its number: "T-12"."""
        assert self.entry.ticket is not None
        return self.entry.ticket

    @property
    def seq(self) -> int:
        """The number of its entry."""
        return self.entry.seq

    @cached_property
    def proposal(self) -> Proposal:
        """What stands in the entry."""
        return proposal_from(self.entry)


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be proposed now, or why nothing. There is no ticket, and nobody can decide about it.

    Attributes:
        decides: who would decide, as a sentence; "" where there is no plan.
        asked_before: the ticket that asks for the very same plan already, whoever proposed it; "" where none does.
    """

    answered: AnsweredRequest
    made: PlannedChange
    decides: str = ""
    asked_before: str = ""


class ProposalService:
    """Makes proposals."""

    def __init__(
        self,
        pipeline: Pipeline,
        planner: Planner,
        policy: Policy,
        clock: Callable[[], datetime],
        accounts: Accounts | None = None,
    ) -> None:
        """Take the parts; the ledger and the mask are the pipeline's."""
        self._pipeline = pipeline
        self._ledger = pipeline.ledger
        self._planner = planner
        self._policy = policy
        self._clock = clock
        self._accounts = accounts

    async def propose(
        self, request: Request, progress: Callable[[Progress], None] | None = None, *, once: bool = False
    ) -> Proposed | AnsweredRequest:
        """Answer the line of a remediation. Whatever happens stands in the ledger.

        Args:
            request: the line, and who typed it.
            progress: is told how far it is.
            once: who asks for what is still open gets the ticket that there is; sixty alike would bury all others.

        Raises:
            HvopsError: refused, unreadable, no rule for such a risk, or our own bug.
        """
        began = time.monotonic()
        pipeline, turn = self._pipeline, self._pipeline.turns.take(request.person.id)
        async with pipeline.recording_refusals_beside(request) as asking, turn:
            line = await pipeline.begin(request, asking, Remediation)
            look = pipeline.look(self._clock(), progress)
            look.count_from(began)
            made = await self._planner.make(line, look)
            if made.can_run:
                return await beside(self._write_once, request, asking, made, once=once)
            report = no_plan(made, look.unanswered)
            seconds = time.monotonic() - began
            # On a thread: megabytes of evidence are searched for secrets, and acknowledgements must not wait for it. Within
            # the turn: nobody's next line begins while it is still at the last one's.
            store = partial(pipeline.store_answer, no_plan=True)
            return await beside(store, asking, line, report, tuple(look.evidence), seconds)

    async def preview(self, request: Request, progress: Callable[[Progress], None] | None = None) -> Preview:
        """Answer the line of a remediation without proposing it: what a proposal would be, by the very same rules.

        For the terminal, which proposes and decides nothing: there a person is an operating-system user, in Slack
        somebody else, so the same human could approve what they asked for themselves.

        Raises:
            HvopsError: whatever would refuse the proposal.
        """
        began, decides, first = time.monotonic(), "", None
        async with self._pipeline.recording_refusals_beside(request) as asking:
            line = await self._pipeline.begin(request, asking, Remediation)
            look = self._pipeline.look(self._clock(), progress)
            made = await self._planner.make(line, look)
            if made.can_run:
                self._draft(request, made, Origin())
                first = await asyncio.to_thread(self._asked_before, made)
                decides = _decides(self._policy, made)
            report = would_be(made, decides) if made.can_run else no_plan(made, look.unanswered)
        seconds = time.monotonic() - began
        store = partial(self._pipeline.store_answer, no_plan=not made.can_run)
        answered = await beside(store, asking, line, report, tuple(look.evidence), seconds)
        return Preview(answered, made, decides, (first.ticket or "") if first else "")

    async def undo(self, request: Request, ticket: str) -> Proposed:
        """Propose to take a ticket back. An interrupted one hands its locks over.

        Raises:
            PermissionDenied: that takes the role operator where the ticket works.
            TicketError: it still runs, it never began, nothing of it can be taken back, or a gate holds it.
        """
        async with self._pipeline.recording_refusals_beside(request) as asking:
            with no_hints_for_strangers(request.person):
                places = (await asyncio.to_thread(proposal_of, self._ledger, ticket)).places
            require_everywhere(request.person, Role.OPERATOR, places)
            seen = await asyncio.to_thread(self._ledger.last_move, ticket)
            await asyncio.to_thread(self._must_have_ended, ticket)
            with asking_as(request.person.id):
                made = await self._planner.undo(ticket)
            await asyncio.to_thread(self._refuse_undo, ticket, made)
            as_seen = partial(self._must_not_have_moved, ticket, seen)
            draft = await asyncio.to_thread(self._draft, request, made, _origin(request, asking))
            return Proposed((await asyncio.to_thread(self._ledger.append_together, draft, check=as_seen))[0])

    def _must_not_have_moved(self, ticket: str, seen: int) -> None:
        """Asked in the transaction of an undo's proposal: hosts take their time to say what has to be so. Raises TicketError."""
        if self._ledger.last_move(ticket) != seen:
            raise TicketError(
                f"{ticket} has moved on while its undo was planned. Check it, then ask for the undo again."
            )

    def _must_have_ended(self, ticket: str) -> None:
        """Before anything is asked of a host."""
        now = self._ledger.ticket(ticket)
        assert now is not None
        if now.state not in (TicketState.INTERRUPTED, TicketState.ENDED):
            raise TicketError(f"{ticket} is {now.state}; it can be undone once it has ended or is interrupted.")

    def _refuse_undo(self, ticket: str, made: PlannedChange) -> None:
        now = self._ledger.ticket(ticket)
        assert now is not None
        if now.end in NOT_STARTED or not made.plan.groups:
            raise NoPlan(made.plan.reason)
        if made.plan.is_held:
            blocking = made.plan.blocking_gates
            said = ". ".join(gate.finding for gate in blocking)
            raise NoPlan(f"{ticket} cannot be undone now. {said}. Try again when that has changed.")

    def _write_once(self, request: Request, asking: RequestContext, made: PlannedChange, *, once: bool) -> Proposed:
        """Write a proposal; with `once`, none beside the very same plan that waits for its decision, whichever bot wrote that."""
        draft = self._draft(request, made, _origin(request, asking))
        if not once:
            return Proposed(self._ledger.append_together(draft)[0])
        known: dict[str, Entry] = {}
        # Read here, where nobody waits: all writers do for the next look.
        self._asked_before(made, request.person.id, known)
        entry, is_new = self._ledger.append_unless(partial(self._asked_before, made, request.person.id, known), draft)
        if not is_new:
            self._write_repetition(request, asking, entry)
        return Proposed(entry, is_new=is_new)

    def _asked_before(
        self, made: PlannedChange, requester: str = "", known: dict[str, Entry] | None = None
    ) -> Entry | None:
        """The proposal of the very same plan that waits for its decision; of anybody, where somebody else than they decides.

        What its requester confirms waits for nobody but them, so it is no answer to another one.

        Args:
            made: the plan.
            requester: for whom.
            known: proposals by ticket, as they were read before; those that are read are put there. Nothing else of a ticket is:
                anybody can press its buttons ten thousand times.
        """
        known = {} if known is None else known
        now, decision = to_timestamp(self._clock()), made.decision(self._policy)
        requester = requester if decision == "confirm" else ""
        for one in self._ledger.listed((TicketState.PROPOSED,), limit=-1, newest_first=False):
            if one.line != made.line or requester not in ("", one.requester):
                continue
            with contextlib.suppress(UnreadableEntry):  # the list is only a list: what counts is what the entries say
                ticket = self._ledger.ticket(one.id)
                if ticket is None or ticket.state is not TicketState.PROPOSED:
                    continue
                first = known.get(one.id) or self._ledger.proposal(one.id)
                if first is None:
                    continue
                known[one.id] = first
                proposal = proposal_from(first)
                is_open = now <= proposal.open_until
                # Whatever the deadlines of the two are.
                is_same = (proposal.made.digest, proposal.policy) == (
                    made.digest,
                    decision,
                )
                if is_open and is_same and requester in ("", proposal.requester):
                    return first
        return None

    def _write_repetition(self, request: Request, asking: RequestContext, first: Entry) -> None:
        refused = Refused(
            name=request.person.name,
            line=clip(request.line, 200),
            reason=f"{first.ticket} already requests this and is waiting for a decision.",
            category="blocked",
            asked=asking.entry.seq if asking.entry else None,
            via=request.via,
            place=request.place,
            click=request.answers,
        )
        self._ledger.append(request.person.id, refused, first.ticket)

    def _draft(self, request: Request, made: PlannedChange, origin: Origin) -> EntryDraft:
        """The entry of a proposal, or what refuses it. Writes nothing."""
        return draft_proposal(
            made,
            request.person,
            self._policy,
            now=self._ledger.not_behind(self._clock()),
            mask=self._pipeline.mask,
            origin=origin,
            accounts=self._accounts,
        )


def _origin(request: Request, asking: RequestContext) -> Origin:
    asked = asking.entry.seq if asking.entry else None
    return Origin(asked=asked, via=request.via, place=request.place, click=request.answers)


def _decides(policy: Policy, made: PlannedChange) -> str:
    """Who would decide, and until when. Raises PermissionDenied where no rule is set."""
    where = ", ".join(made.places) or "everything"
    open_questions = made.open_questions
    if made.decision(policy) == "confirm":
        who = "the requester must confirm it"
    else:
        who = f"an approver on {where} other than the requester must approve it"
    if open_questions:
        overrides = [one for one in made.plan.open_questions if one.is_override]
        count = plural(len(open_questions) - len(overrides), "unknown") if len(overrides) < len(open_questions) else ""
        open_ = " and ".join(filter(None, (count, "a freeze in force" if overrides else "")))
        says = " and ".join(
            filter(None, ("of each how they know" if count else "", "why it cannot wait" if overrides else ""))
        )
        return f"Decision: {open_}, so {who} within {policy.open_minutes} min, and say {says}."
    return f"Decision: {made.risk} risk. {who[0].upper()}{who[1:]} within {policy.open_minutes} min."
