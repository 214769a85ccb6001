"""Whether a run may undo by itself a group of its steps that failed.

A run may have been held for hours between a step and the failure of a later one: by a stop, an interruption, a restart, people
or records that nobody could tell of. Meanwhile somebody may have made use of what its undo discards. So whatever a person's
undo is asked (`Remediation.undo_gates`) is asked here too, just before the first act; where it is not so, or nobody knows, the
group is left as it is, and a person decides. The same where nobody heard whether what is undone was so before the ticket.
"""

from __future__ import annotations

import asyncio
import secrets

import structlog

from bot.api.plan import Gate
from bot.errors import LedgerError
from bot.executor.run import LeftToPerson, Run
from bot.formatting import clauses
from bot.tickets.plan_digest import is_covered
from bot.tickets.run_history import DONE, StepInstance
from bot.tickets.undo import gate_not_met_before

log = structlog.get_logger()


async def must_be_undone_here(run: Run, at: StepInstance) -> None:
    """Ask what has to be so before a failed group is undone: before its first undo, and where the run was held since.

    Raises:
        LeftToPerson: it is not so, or not known; what an approver of this ticket answered for the same check counts.
        LedgerError: the ledger cannot be read.
    """
    if run.is_undo_checked or run.is_planned(at):
        return
    left = [step for step in run.to_undo if run.story.result((step.key, 1)) != DONE]
    try:
        gates = await run.parts.planner.own_undo_gates(run.proposal, left)
        gates += await asyncio.to_thread(gate_not_met_before, run.proposal, run.story, left)
    except LedgerError:
        raise
    except Exception as error:
        bug = secrets.token_hex(4)
        log.exception("our bug while asking what an undo takes", bug=bug, ticket=run.ticket)
        raise LeftToPerson(f"something went wrong inside hvops itself (id {bug})") from error
    if held := [gate for gate in gates if _holds(run, gate)]:
        raise LeftToPerson(clauses([gate.finding for gate in held]))
    run.is_undo_checked = True


def _holds(run: Run, gate: Gate) -> bool:
    before = {one.description: one for one in run.proposal.plan.gates}
    return gate.blocks_plan and not is_covered(gate, before.get(gate.description), run.answered)
