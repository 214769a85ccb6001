"""What the ledger says of drills: which ran to their end, and what was measured then. Proved entries alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from bot.api.queries import DoneChanges
from bot.api.rows import Rows, get_datetime, get_str, get_strs
from bot.api.sources import Source

COMMAND = "drill"
_CLEAN = re.compile(r"[^a-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """One drill that is done.

    Attributes:
        ticket: its number.
        target: the service that it was typed for.
        line: as it was typed.
        ended: when, UTC.
        measured: how long it took and how it stood, as its last entry says.
        changed: the keys of the steps that are proved to have changed something.
        undone_by: the ticket that took it back; "".
    """

    ticket: str
    target: str
    line: str
    ended: datetime
    measured: tuple[str, ...]
    changed: tuple[str, ...]
    undone_by: str = ""


def machine_key(name: str) -> str:
    """How the keys of a machine's steps end: its name in few letters. Of two that come to the same, one has part of its id behind it."""
    return _CLEAN.sub("-", name.casefold())[:40].strip("-.") or "vm"


def drills_of(service: str) -> Source[tuple[DrillRecord, ...]]:
    """The question: which drills of a service are done? Oldest first."""
    return Source(DoneChanges(service, COMMAND), _read_drills)


def _read_drills(rows: Rows) -> tuple[DrillRecord, ...]:
    """Raises CellError, and ValueError for one that does not tell when it ended."""
    found = []
    for row in rows:
        ended = get_datetime(row, "ended")
        if ended is None:
            raise ValueError(f"{get_str(row, 'ticket')} does not tell when it ended")
        found.append(
            DrillRecord(
                get_str(row, "ticket"),
                get_str(row, "target"),
                get_str(row, "line"),
                ended,
                get_strs(row, "measured"),
                get_strs(row, "changed"),
                get_str(row, "undone_by"),
            )
        )
    return tuple(found)
