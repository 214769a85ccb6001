"""Which open tickets need the same lock, by their proposals. For people: what may start is decided by the ledger's locks."""

from __future__ import annotations

from bot.errors import HvopsError
from bot.ledger import Reader, TicketRow
from bot.ledger.entries import Proposed
from bot.ledger.ticket_state import OPEN
from bot.slack.render.competing import CompetingTicket
from bot.slack.render.ticket_view_model import TicketView

_LOOKED_AT = 200  # the newest open tickets


class CompetingTickets:
    """Remembers what each open ticket locks: a proposal never changes."""

    def __init__(self, ledger: Reader) -> None:
        """Take the ledger."""
        self._ledger = ledger
        self._locks: dict[str, frozenset[str]] = {}

    def of(self, card: TicketView) -> tuple[CompetingTicket, ...]:
        """The others, oldest first; not the one that it takes back, which hands its locks over."""
        wanted = frozenset(card.plan.locks)
        listed = self._ledger.listed(OPEN, limit=_LOOKED_AT)
        self._locks = {one.id: self._locks_of(one) for one in listed}
        others = [one for one in listed if one.id not in (card.id, card.proposal.made.undoes)]
        shared = [(one, wanted & self._locks[one.id]) for one in others]
        return tuple(CompetingTicket(one.id, str(one.state), locks) for one, locks in reversed(shared) if locks)

    def _locks_of(self, one: TicketRow) -> frozenset[str]:
        known = self._locks.get(one.id)
        if known is not None:
            return known
        try:
            entry = self._ledger.entry(one.first_entry)
            proposed = entry.read_if(Proposed) if entry else None
            return frozenset(proposed.plan["locks"]) if proposed else frozenset()
        except (HvopsError, KeyError, TypeError):
            return frozenset()  # it cannot be read, and its own message says so
