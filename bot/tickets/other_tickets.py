"""What other tickets have done about a ticket that is to be undone: earlier undos of it.

Everything comes out of entries that were proved. What an earlier undo has done is put back, and is not undone once more:
somebody may have done the same on purpose since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bot.api.plan import UNDO
from bot.errors import NoSuchTicket
from bot.ledger import Ledger
from bot.ledger.entries import Intent, Outcome
from bot.tickets.proposal import Proposal, proposal_from
from bot.tickets.run_history import DONE, Key, RunHistory, StepInstance, positions, story_of
from bot.tickets.undo import undo_step


@dataclass(frozen=True, slots=True)
class TicketActs:
    """What one ticket may have done.

    Attributes:
        begun: the number of the newest intent of each step.
        undone: the steps that its undos have undone since -> the undo that did.
    """

    proposal: Proposal
    story: RunHistory
    begun: Mapping[Key, int]
    undone: Mapping[Key, str]

    @property
    def ticket(self) -> str:
        """Its number."""
        return self.proposal.ticket


def acts_of(ledger: Ledger, ticket: str, but_for: str = "") -> TicketActs:
    """What a ticket may have done, and which of it its undos have undone. Raises LedgerError, TicketError.

    Args:
        ledger: proves what is read.
        ticket: its number.
        but_for: an undo of it that does not count: the one that is checked again.
    """
    entries = ledger.moves(ticket)
    begun: dict[Key, int] = {}
    for entry in entries:
        if isinstance(entry.data, Intent):
            begun[entry.data.step, entry.data.round] = entry.seq
    if not entries:
        raise NoSuchTicket(f"There is no ticket {ticket}.")
    proposal = proposal_from(entries[0])
    return TicketActs(proposal, story_of(entries), begun, _undone(ledger, proposal, begun, but_for))


def _undone(ledger: Ledger, proposal: Proposal, begun: Mapping[Key, int], but_for: str) -> dict[Key, str]:
    """The steps that undos of a ticket have proved to be undone, unless it has begun them again since."""
    done: dict[str, tuple[int, str]] = {}
    for undo in ledger.undos_of(proposal.ticket):
        if undo != but_for:
            done |= {step: (seq, undo) for step, seq in _undo_steps_done(ledger, undo)}
    if not done:
        return {}
    found: dict[Key, str] = {}
    for place in positions(proposal.plan):
        if place.step.undo is not None and (told := done.get(_key_of_undo(place))) is not None:
            seq, undo = told
            if seq > begun.get(place.key, 0):
                found[place.key] = undo
    return found


def _undo_steps_done(ledger: Ledger, undo: str) -> Iterator[tuple[str, int]]:
    """The steps that an undo has done and has not taken back itself, each with the number of its outcome."""
    entries = ledger.moves(undo)
    story = story_of(entries)
    for entry in entries:
        told = entry.data
        if not isinstance(told, Outcome) or story.result((told.step, told.round)) != DONE:
            continue
        back = (f"{UNDO}{told.step}", 1)
        if not story.was_begun(back) or story.is_untouched(back):
            yield told.step, entry.seq


def _key_of_undo(place: StepInstance) -> str:
    return undo_step(place.step, place.round).key
