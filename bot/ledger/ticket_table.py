"""The tables of tickets and locks as the entries make them: what the triggers should have kept."""

from __future__ import annotations

from bot.ledger.envelope import Entry
from bot.ledger.proved import move_locks
from bot.ledger.ticket_row import Row, row_after
from bot.ledger.ticket_state import MAY_NAME_A_TICKET


class Derived:
    """The `ticket` and `lock` tables, entry by entry."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.claims: dict[str, tuple[str, ...]] = {}

    def add(self, entry: Entry) -> None:
        """Take in the next entry of any ticket."""
        if entry.ticket is None or entry.kind in MAY_NAME_A_TICKET:
            return
        move_locks(self.claims, entry)
        if (row := row_after(self.rows.get(entry.ticket), entry)) is not None:
            self.rows[entry.ticket] = row
