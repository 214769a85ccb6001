"""From a line to a proposal: look, plan, and write it down; or say why there is no plan.

A plan without groups, or one that a gate holds, makes no ticket. It is answered with a report, which says why and
carries *Look Again*, exactly as a question is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from bot.api.command import Remediation, Role
from bot.config.settings import Policy
from bot.dispatch import authorization
from bot.dispatch.pipeline import AnsweredRequest, Pipeline, Request, RequestContext
from bot.dispatch.query_session import Progress
from bot.errors import TicketError
from bot.formatting import plural
from bot.ledger import Entry, EntryDraft
from bot.ledger.ticket_state import NOT_STARTED, TicketState
from bot.tickets.plan_report import no_plan, would_be
from bot.tickets.planner import Planner
from bot.tickets.proposal import Origin, PlannedChange, Proposal, draft_proposal, identity, proposal_from, proposal_of
from bot.transport.turns import asking_as


@dataclass(frozen=True)
class Proposed:
    """A ticket that waits for its decision."""

    entry: Entry

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
    """

    answered: AnsweredRequest
    made: PlannedChange
    decides: str = ""


class ProposalService:
    """Makes proposals."""

    def __init__(self, pipeline: Pipeline, planner: Planner, policy: Policy, clock: Callable[[], datetime]) -> None:
        """Take the parts; the ledger and the mask are the pipeline's."""
        self._pipeline = pipeline
        self._ledger = pipeline.ledger
        self._planner = planner
        self._policy = policy
        self._clock = clock

    async def propose(
        self, request: Request, progress: Callable[[Progress], None] | None = None
    ) -> Proposed | AnsweredRequest:
        """Answer the line of a remediation. Whatever happens stands in the ledger.

        Raises:
            HvopsError: refused, unreadable, no rule for such a risk, or our own bug.
        """
        began = time.monotonic()
        with self._pipeline.recording_refusals(request) as asking:
            async with self._pipeline.turns.take(request.person.id):
                line = await self._pipeline.begin(request, asking, Remediation)
                look = self._pipeline.look(self._clock(), progress)
                look.count_from(began)
                made = await self._planner.make(line, look)
            if made.can_run:
                return self._write(request, asking, made)
            report = no_plan(made, look.unanswered)
        return self._pipeline.store_answer(asking, line, report, tuple(look.evidence), time.monotonic() - began)

    async def preview(self, request: Request, progress: Callable[[Progress], None] | None = None) -> Preview:
        """Answer the line of a remediation without proposing it: what a proposal would be, by the very same rules.

        For the terminal, which proposes and decides nothing: there a person is an operating-system user, in Slack
        somebody else, so the same human could approve what they asked for themselves.

        Raises:
            HvopsError: whatever would refuse the proposal.
        """
        began, decides = time.monotonic(), ""
        with self._pipeline.recording_refusals(request) as asking:
            line = await self._pipeline.begin(request, asking, Remediation)
            look = self._pipeline.look(self._clock(), progress)
            made = await self._planner.make(line, look)
            if made.can_run:
                self._draft(request, made, Origin())
                decides = _decides(self._policy, made)
            report = would_be(made, decides) if made.can_run else no_plan(made, look.unanswered)
        seconds = time.monotonic() - began
        return Preview(self._pipeline.store_answer(asking, line, report, tuple(look.evidence), seconds), made, decides)

    async def undo(self, request: Request, ticket: str) -> Proposed:
        """Propose to take a ticket back. An interrupted one hands its locks over.

        Raises:
            PermissionDenied: that takes the role operator where the ticket works.
            TicketError: it still runs, it never began, nothing of it can be taken back, or a gate holds it.
        """
        with self._pipeline.recording_refusals(request) as asking:
            for place in proposal_of(self._ledger, ticket).places:
                authorization.require_role(request.person, Role.OPERATOR, place)
            self._must_have_ended(ticket)
            with asking_as(request.person.id):
                made = await self._planner.undo(ticket)
            self._refuse_undo(ticket, made)
            return self._write(request, asking, made)

    def _must_have_ended(self, ticket: str) -> None:
        """Before anything is asked of a host."""
        now = self._ledger.ticket(ticket)
        assert now is not None
        if now.state not in (TicketState.INTERRUPTED, TicketState.ENDED):
            raise TicketError(f"{ticket} is {now.state}; it can be taken back once it has ended, or is interrupted.")

    def _refuse_undo(self, ticket: str, made: PlannedChange) -> None:
        now = self._ledger.ticket(ticket)
        assert now is not None
        if now.end in NOT_STARTED or not made.plan.groups:
            raise TicketError(made.plan.reason)
        if made.plan.is_held:
            blocking = made.plan.blocking_gates
            said = "; ".join(f"“{gate.description}” is not so: {gate.measured or 'not known'}" for gate in blocking)
            raise TicketError(f"{ticket} cannot be taken back now. {said}. Try again when that has changed.")

    def _write(self, request: Request, asking: RequestContext, made: PlannedChange) -> Proposed:
        origin = Origin(
            asked=asking.entry.seq if asking.entry else None,
            via=request.via,
            place=request.place,
            click=request.answers,
        )
        (entry,) = self._ledger.append_together(self._draft(request, made, origin))
        return Proposed(entry)

    def _draft(self, request: Request, made: PlannedChange, origin: Origin) -> EntryDraft:
        """The entry of a proposal, or what refuses it. Writes nothing."""
        _allow_all(request, made, Role.OPERATOR)
        mask = self._pipeline.mask
        return draft_proposal(made, identity(request.person), self._policy, now=self._clock(), mask=mask, origin=origin)


def _allow_all(request: Request, made: PlannedChange, role: Role) -> None:
    """Everywhere that the plan reaches, not only where the line says."""
    for place in made.places:
        authorization.require_role(request.person, role, place)


def _decides(policy: Policy, made: PlannedChange) -> str:
    """Who would decide, and until when. Raises PermissionDenied where no rule is set."""
    where = ", ".join(made.places) or "everything"
    open_questions = made.open_questions
    if made.decision(policy) == "confirm":
        who = "whoever asks confirms it"
    else:
        who = f"somebody else than who asks, of the role approver on {where}, approves it"
    if open_questions:
        count = plural(len(open_questions), "unknown")
        return f"Decision: {count}, so {who}, within {policy.open_minutes} min, and says of each how they know."
    return f"Decision: risk {made.risk}: {who}, within {policy.open_minutes} min."
