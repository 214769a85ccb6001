"""The store that opens a ledger where it is kept, and the locks of the bots that share it."""

from __future__ import annotations

from bot.errors import LedgerError
from bot.ledger.shared_locks import SharedLocks
from bot.ledger.sqlite_store import SqliteStore
from bot.ledger.store import Store
from bot.ledger_place import Database, Place


def open_store(place: Place, *, read_only: bool = False) -> Store:
    """Open the store of a ledger, and make its tables where it is new. Raises LedgerError."""
    if not isinstance(place, Database):
        return SqliteStore(place, read_only=read_only)
    try:
        from bot.ledger.postgresql_store import PostgresqlStore  # noqa: PLC0415 - psycopg is there for whoever sets it
    except ImportError as error:
        raise LedgerError(
            f"{place} needs psycopg, which is not here: {error}. Run: pip install 'hvops[postgresql]'"
        ) from None
    return PostgresqlStore(place, read_only=read_only)


def open_locks(place: Place) -> SharedLocks | None:
    """The locks of the bots on other machines that have this ledger; None for a file, which is on one. Nothing is connected yet."""
    if not isinstance(place, Database):
        return None
    from bot.ledger.postgresql_locks import PostgresqlLocks  # noqa: PLC0415 - as above

    return PostgresqlLocks(place)


def is_away(place: Place, error: LedgerError) -> bool:
    """Whether a ledger could not be opened because its database is away, or too busy: it may be there a moment later.

    Not where anything is wrong that somebody has to put right; nor of a file, which nobody else brings back. May take long.
    """
    if not isinstance(place, Database):
        return False
    try:
        from bot.ledger import postgresql_connection  # noqa: PLC0415 - as above
    except ImportError:
        return False
    return postgresql_connection.is_away(place, error)
