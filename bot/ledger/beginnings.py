"""Where the rows of a review begin: questions, refusals and switches by their own entry, tickets by their first.

SQL as in `store`, which only carries it out.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bot.ledger.entry import Entry, decoded
from bot.ledger.filters import ROWS, Filter
from bot.ledger.store import Store

# By their time, and tickets by whether anything happened to them in that time.
_BEGINNINGS = """SELECT seq AS number FROM entry INDEXED BY entry_kind
        WHERE kind IN (SELECT value FROM json_each(?)) AND at >= ? AND at < ?
    UNION ALL SELECT first_entry FROM ticket WHERE last_entry >= ? AND first_entry < ? AND {}"""


def beginnings(store: Store, wanted: Filter, limit: int, skip: int = 0) -> list[Entry]:
    """Entries that begin a row of a review and match, the newest first."""
    where, parameters = _begun(store, wanted)
    sql = f"SELECT entry.body, entry.mac {where} LIMIT ? OFFSET ?"
    found = [decoded(body, mac) for body, mac in store.rows(sql, (*parameters, limit, skip))]
    return sorted(found, key=lambda entry: -entry.seq)


def kinds_of_beginnings(store: Store, wanted: Filter, limit: int) -> dict[str, int]:
    """How many of each kind there are among the newest so many of them."""
    where, parameters = _begun(store, wanted)
    sql = f"""SELECT kind, count(*) FROM (SELECT kind {where} LIMIT ?)
        GROUP BY kind"""  # noqa: S608 - ours
    return dict(store.rows(sql, (*parameters, limit)))


def _begun(store: Store, wanted: Filter) -> tuple[str, list[Any]]:
    where, parameters = replace(wanted, since=None, until=None).condition()
    told: tuple[str | int, ...]
    if wanted.ticket:
        begins, told = "SELECT seq AS number FROM entry WHERE ticket = ?", (wanted.ticket,)
    else:
        kinds, tickets = wanted.begins
        begins = _BEGINNINGS.format(tickets)
        told = (json.dumps(kinds), *wanted.bounds, *(_first_since(store, at) for at in wanted.bounds))
    # The limit keeps the order inside, so that the join stops at enough of them and sorts no entry.
    sql = f"""FROM (SELECT number FROM ({begins}) ORDER BY number DESC LIMIT -1) CROSS JOIN entry ON entry.seq = number
        WHERE {where} AND ({ROWS})"""  # noqa: S608 - our conditions
    return sql, [*told, *parameters]


def _first_since(store: Store, at: str) -> int:
    """The number of the first entry of that time, or the one that comes next. Halves its way: numbers follow time."""
    low, high = 1, store.rows("SELECT coalesce(max(seq), 0) + 1 FROM entry")[0][0]
    while low < high:
        middle = (low + high) // 2
        found = store.rows("SELECT at FROM entry WHERE seq = ?", (middle,))
        low, high = (middle + 1, high) if found and found[0][0] < at else (low, middle)
    return int(low)
