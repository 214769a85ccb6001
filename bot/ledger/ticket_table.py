"""The tables of tickets and locks as the entries make them: what the triggers should have kept.

By the bare fields, as the triggers take them, so that they can be compared also beside an entry that this version of
hvops cannot read.
"""

from __future__ import annotations

from typing import Any

from bot.ledger.envelope import Entry
from bot.ledger.proved import move_locks, number_of
from bot.ledger.ticket_state import ENDS, MAY_NAME_A_TICKET


class Derived:
    """The `ticket` and `lock` tables, entry by entry."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.claims: dict[str, tuple[str, ...]] = {}

    def add(self, entry: Entry) -> None:
        """Take in the next entry of any ticket."""
        if entry.ticket is None or entry.kind in MAY_NAME_A_TICKET:
            return
        move_locks(self.claims, entry)
        if entry.kind == "proposed":
            self.rows[entry.ticket] = _first_row(entry)
        elif (row := self.rows.get(entry.ticket)) is not None:
            row |= {**_moved(entry), "last_entry": entry.seq}


def _moved(entry: Entry) -> dict[str, Any]:
    if entry.kind == "approved":
        return {"state": "approved", "approver": entry.fields.get("by"), "start_by": entry.fields.get("start_by")}
    if entry.kind in ("started", "resumed"):
        return {"state": "running", "attempt": entry.fields.get("attempt")}
    if entry.kind in ENDS:
        return {"state": "ended", "ending": entry.kind}
    return {"state": "interrupted"} if entry.kind == "interrupted" else {}


def _first_row(entry: Entry) -> dict[str, Any]:
    assert entry.ticket is not None
    return {
        "id": entry.ticket,
        "number": number_of(entry.ticket),
        "requester": entry.actor,
        "digest": entry.fields.get("digest"),
        "open_until": entry.fields.get("open_until"),
        "target": entry.fields.get("target") or "",
        "line": entry.fields.get("line") or "",
        "first_entry": entry.seq,
        "state": "proposed",
        "ending": "",
        "approver": "",
        "start_by": "",
        "attempt": 0,
        "last_entry": entry.seq,
    }
