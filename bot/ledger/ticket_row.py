"""A row of the ticket table, as the bare fields of its entries make it: what the triggers should have kept.

By the bare fields, as the triggers take them, so that a row can be compared also beside an entry that this version of hvops
cannot read.
"""

from __future__ import annotations

from typing import Any

from bot.ledger.envelope import Entry
from bot.ledger.ticket_state import ENDS

COLUMNS = (
    "id",
    "number",
    "state",
    "ending",
    "requester",
    "approver",
    "digest",
    "open_until",
    "start_by",
    "attempt",
    "target",
    "line",
    "first_entry",
    "last_entry",
)
Row = tuple[Any, ...]  # a value for each column, in their order


def row_after(row: Row | None, entry: Entry) -> Row | None:
    """The row of a ticket after one more of its entries; None before its proposal."""
    if entry.kind == "proposed":
        return _first_row(entry)
    if row is None:
        return None
    changed = {**dict(zip(COLUMNS, row, strict=True)), **_moved(entry), "last_entry": entry.seq}
    return tuple(changed[name] for name in COLUMNS)


def number_of(ticket: str) -> int:
    """The number in the id of a ticket; 0 where it has none."""
    number = ticket.removeprefix("T-")
    return int(number) if number.isascii() and number.isdigit() else 0


def _moved(entry: Entry) -> dict[str, Any]:
    if entry.kind == "approved":
        return {"state": "approved", "approver": entry.fields.get("by"), "start_by": entry.fields.get("start_by")}
    if entry.kind in ("started", "resumed"):
        return {"state": "running", "attempt": entry.fields.get("attempt")}
    if entry.kind in ENDS:
        return {"state": "ended", "ending": entry.kind}
    return {"state": "interrupted"} if entry.kind == "interrupted" else {}


def _first_row(entry: Entry) -> Row:
    assert entry.ticket is not None
    made = {
        "id": entry.ticket,
        "number": number_of(entry.ticket),
        "state": "proposed",
        "ending": "",
        "requester": entry.actor,
        "approver": "",
        "digest": entry.fields.get("digest"),
        "open_until": entry.fields.get("open_until"),
        "start_by": "",
        "attempt": 0,
        "target": entry.fields.get("target") or "",
        "line": entry.fields.get("line") or "",
        "first_entry": entry.seq,
        "last_entry": entry.seq,
    }
    return tuple(made[name] for name in COLUMNS)
