"""What a newer hvops, which has the key, leaves in a ledger: entries that this one cannot read, in a chain that holds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

import rfc8785

from bot.ledger import Entry, Ledger
from bot.ledger.envelope import FIRST, entry_mac
from bot.ledger.key import read_key
from bot.ledger.schema import TRIGGERS


def write(ledger: Ledger, kind: str, data: Mapping[str, Any], ticket: str | None = None, actor: str = "bot") -> int:
    """Append an entry of whatever kind, with whatever fields. Returns its number."""
    head = ledger.head()
    seq, previous = (head.seq + 1, head.mac) if head else (1, FIRST)
    at = head.at if head else "2026-03-02T14:00:00.000Z"
    whole = {"seq": seq, "id": f"newer-{seq}", "at": at, "kind": kind, "actor": actor, "ticket": ticket, "data": data}
    body = rfc8785.dumps(whole)
    with ledger._store.transaction():
        ledger._store.insert(seq, body, previous, entry_mac(read_key(ledger.key_file), previous, body))
    return seq


def add_field(ledger: Ledger, entry: Entry, name: str = "novel", value: Any = 1) -> None:
    """Let an entry say one thing more than this version knows, as if it had from the first."""
    _rewrite(ledger, lambda seq, fields: fields | {name: value} if seq == entry.seq else fields)


def _rewrite(ledger: Ledger, change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> None:
    ledger.settle_anchors()
    key, previous, anchors = read_key(ledger.key_file), FIRST, []
    database = sqlite3.connect(ledger.path)
    for name in TRIGGERS:
        database.execute(f"DROP TRIGGER {name}")
    for seq, body in database.execute("SELECT seq, body FROM entry ORDER BY seq").fetchall():
        told = json.loads(body)
        new = rfc8785.dumps({**told, "data": change(seq, told["data"])})
        mac = entry_mac(key, previous, new)
        row = (new.decode(), previous, mac, seq)
        database.execute("UPDATE entry SET body = ?, previous = ?, mac = ? WHERE seq = ?", row)
        anchors.append(f"{seq} {mac.hex()}\n")
        previous = mac
    for sql in TRIGGERS.values():
        database.execute(sql.strip())
    database.commit()
    database.close()
    ledger.anchor_file.write_text("".join(anchors))
    ledger._state = type(ledger._state)()  # as a bot has it that begins on this ledger
