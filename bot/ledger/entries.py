"""One entry: its canonical bytes, and the mac that chains it to the one before.

The bytes are RFC 8785 JSON and hold everything: number, time, kind, actor, ticket and data. They are stored as
they were hashed, so no reading and writing of numbers or times can ever make an entry look altered.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rfc8785

from bot.errors import LedgerError

FIRST = bytes(32)  # what stands before the first entry
_WHOLE = 2**53 - 1  # the largest integer that every JSON reader keeps whole (RFC 8785, 3.2.2.3)


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """What is about to be appended. A `proposed` without a ticket is given the next number."""

    kind: str
    actor: str
    data: Mapping[str, Any]
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in the ledger.

    Attributes:
        seq: its number, from 1, without gaps.
        at: when it was appended, ISO 8601 in UTC with milliseconds.
        mac: HMAC-SHA256 over the mac before it and its bytes.
    """

    seq: int
    at: str
    kind: str
    actor: str
    ticket: str | None
    data: dict[str, Any]
    mac: bytes


def entry_mac(key: bytes, previous: bytes, body: bytes) -> bytes:
    """The mac of an entry: HMAC-SHA256(key, previous mac followed by the bytes)."""
    return hmac.digest(key, previous + body, "sha256")


def to_timestamp(moment: datetime) -> str:
    """A time as the ledger writes it: UTC, milliseconds, Z. Such texts sort as the times do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(seq: int, at: str, draft: EntryDraft, ticket: str | None) -> bytes:
    """The canonical bytes of an entry. Raises LedgerError for what JSON cannot hold exactly."""
    whole = {"seq": seq, "at": at, "kind": draft.kind, "actor": draft.actor, "ticket": ticket, "data": draft.data}
    try:
        return rfc8785.dumps(_exact(whole))
    except rfc8785.CanonicalizationError as error:
        raise LedgerError(f"This entry cannot be written down: {error}.") from None


def decode(body: str | bytes, mac: bytes) -> Entry:
    """The entry out of its bytes."""
    told = json.loads(body)
    return Entry(told["seq"], told["at"], told["kind"], told["actor"], told["ticket"], told["data"], mac)


def _exact(value: Any) -> Any:
    """The value with big integers as text and half characters replaced; a hostile name must not stop the ledger."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_exact(str(name)): _exact(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(one) for one in value]
    if isinstance(value, float):
        raise LedgerError(f"An entry holds {value!r}; fractions are written as whole tenths or as text.")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _WHOLE:
        return str(value)
    return value
