"""A change that an incident says was made before: proposed, approved and run in its practice environment.

There alone: a terminal decides nothing, and who approves here is nobody real.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from datetime import datetime

from bot.api.command import Role
from bot.dispatch.authorization import EVERYWHERE, SYSTEM, Person
from bot.dispatch.command_line import TypedLine
from bot.dispatch.pipeline import Request
from bot.errors import UsageError
from bot.executor.context import TicketChange
from bot.ledger.entries import Done
from bot.ledger.ticket_state import ENDS
from bot.services import Services, runner
from bot.tickets.create import Proposed
from bot.tickets.decisions import CONFIRM, ApprovalService, UserAction

_AT_MOST = 300  # seconds for the whole of it
_RESTS = ENDS | {"interrupted", "ripening", "locked", "stopped", "roles"}  # nothing to wait for: nobody decides here


async def carry_out(made: Services, person: Person, typed: TypedLine, clock: Callable[[], datetime]) -> None:
    """Run a change to its end. Raises UsageError, which says how it ended, where it is not done then.

    Args:
        made: the engine.
        person: who asks for it.
        typed: its line.
        clock: the time, UTC, by which the engine lives.
    """
    proposed = await made.proposals.propose(Request.of(person, typed, "terminal", socket.gethostname()))
    if not isinstance(proposed, Proposed):
        raise UsageError(f"earlier: {typed.text}: {proposed.report.title}")
    other = Person(f"{SYSTEM}approver", "approver", {Role.APPROVER: frozenset({EVERYWHERE})})
    decides = person if proposed.proposal.policy == CONFIRM else other
    decisions = ApprovalService(made.ledger, made.settings.policy, clock, can_be_read=lambda _: True)
    decisions.approve(UserAction(decides, proposed.ticket, "terminal"))
    stop, heard = asyncio.Event(), ""

    async def who(known: str, _name: str) -> Person:
        return other if known == other.id else person

    def hear(told: TicketChange) -> None:
        nonlocal heard
        if told.ticket == proposed.ticket and told.kind in _RESTS:
            heard = told.says
            stop.set()

    running = asyncio.create_task(runner(made, hear, who, clock=clock).run(stop))
    try:
        await asyncio.wait({running}, timeout=_AT_MOST)
    finally:
        stop.set()
        await running
    last = made.ledger.story(proposed.ticket)[-1]
    if last.kind != Done.kind:
        raise UsageError(f"earlier: {typed.text} was not done, but {last.kind}: {last.reason or heard}")
