"""Where a ledger is kept, and the store that opens it there."""

from __future__ import annotations

from pathlib import Path

from bot.ledger.sqlite_store import SqliteStore
from bot.ledger.store import Store


def open_store(place: Path, *, read_only: bool = False) -> Store:
    """Open the store of a ledger, and make its tables where it is new. Raises LedgerError."""
    return SqliteStore(place, read_only=read_only)
