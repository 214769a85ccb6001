"""From a line to a proposal: look, plan, and write it down; or say why there is no plan.

A plan without groups, or one that a gate holds, makes no ticket. It is answered with a report, which says why and
carries *Look Again*, exactly as a question is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot import authorize
from bot.errors import TicketError
from bot.ledger import Entry
from bot.look import Progress
from bot.pipeline import Answered, Asking, Pipeline, Request
from bot.planner import Planner
from bot.proposal import Made, Policy, Proposal, draft_proposal, names, proposal_from
from bot.ticket import NOT_STARTED, State
from bot.vocabulary.command import Remediation, Role
from bot.vocabulary.plan import Gate
from bot.vocabulary.report import Finding, Report, Severity


@dataclass(frozen=True, slots=True)
class Proposed:
    """A ticket that waits for its decision. `seq` is its entry."""

    ticket: str
    seq: int
    proposal: Proposal


class Proposals:
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
    ) -> Proposed | Answered:
        """Answer the line of a remediation. Whatever happens stands in the ledger.

        Raises:
            HvopsError: refused, unreadable, no rule for such a risk, or our own bug.
        """
        began = time.monotonic()
        with self._pipeline.writing_refusals(request) as asking:
            line = await self._pipeline.begin(request, asking, Remediation)
            look = self._pipeline.look(self._clock(), progress)
            made = await self._planner.make(line, look)
            if made.can_run:
                return self._write(request, asking, made)
            report = no_plan(made)
        return self._pipeline.keep(asking, line, report, tuple(look.evidence), time.monotonic() - began)

    def undo(self, request: Request, ticket: str) -> Proposed:
        """Propose to take a ticket back. An interrupted one hands its locks over.

        Raises:
            NotAllowed: that takes the role operator where the ticket works.
            TicketError: it still runs, it never began, or nothing of it can be taken back.
        """
        with self._pipeline.writing_refusals(request) as asking:
            made = self._planner.undo(ticket)
            _allow_all(request, made, Role.OPERATOR)
            self._refuse_undo(ticket, made)
            return self._write(request, asking, made)

    def _refuse_undo(self, ticket: str, made: Made) -> None:
        now = self._ledger.ticket(ticket)
        assert now is not None
        if now.state not in (State.INTERRUPTED, State.ENDED):
            raise TicketError(f"{ticket} is {now.state}; it can be taken back once it has ended, or is interrupted.")
        if now.end in NOT_STARTED or not made.plan.groups:
            raise TicketError(made.plan.because)
        for one in self._ledger.with_line(made.line):
            if one.ending not in NOT_STARTED | {"voided", "failed", "cancelled"}:
                raise TicketError(f"{one.id} is already there to take {ticket} back: {one.ending or one.state}.")

    def _write(self, request: Request, asking: Asking, made: Made) -> Proposed:
        _allow_all(request, made, Role.OPERATOR)
        more = {
            "asked": asking.entry.seq if asking.entry else None,
            "via": request.via,
            "place": request.place,
            "click": request.answers,
        }
        draft = draft_proposal(
            made, names(request.person), self._policy, now=self._clock(), mask=self._pipeline.mask, more=more
        )
        return _proposed(self._ledger.append(draft.kind, draft.actor, draft.data))


def no_plan(made: Made) -> Report:
    """Why there is no plan, as a report: nothing to do, or what holds it."""
    held = made.plan.held_by
    where = made.target or made.line
    if held:
        title = f"No plan yet for {where}: {held[0].says[:1].lower()}{held[0].says[1:]} is not so"
        findings = tuple(_holds(where, gate) for gate in held)
    else:
        title = f"Nothing to do for {where}"
        findings = (Finding(Severity.NOTE, "NOTHING TO DO", where, made.plan.because),)
    passed = tuple(f"Passed: {_gate(gate)}" for gate in made.plan.gates if gate.passed)
    warned = tuple(f"Warning: {_gate(gate)}" for gate in made.plan.gates if not gate.passed and not gate.blocks)
    return Report(
        title=title[:150],
        summary=f"{title}. {made.plan.because}",
        of="gates",
        asked=len(made.plan.gates),
        answered=len(made.plan.gates),
        findings=findings,
        notes=(*passed, *warned, *made.plan.evidence),
        remedies=made.plan.remedies,
    )


def _holds(where: str, gate: Gate) -> Finding:
    return Finding(Severity.FAULT, "HELD", where, gate.says, (("Because", gate.measured),) if gate.measured else ())


def _gate(gate: Gate) -> str:
    return f"{gate.says} ({gate.measured})" if gate.measured else gate.says


def _allow_all(request: Request, made: Made, role: Role) -> None:
    """Everywhere that the plan reaches, not only where the line says."""
    for place in made.places:
        authorize.allow(request.person, role, place)


def _proposed(entry: Entry) -> Proposed:
    assert entry.ticket is not None
    return Proposed(entry.ticket, entry.seq, proposal_from(entry))
