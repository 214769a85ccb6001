"""One entry: its canonical bytes, and the mac that chains it to the one before.

The bytes are RFC 8785 JSON and hold everything: number, id, time, kind, actor, ticket and data; the first entry also
the id of the ledger. They are stored as they were hashed, so no reading and writing of numbers or times can ever make
an entry look altered.
"""

from __future__ import annotations

import hmac
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import rfc8785

from bot.errors import LedgerError, UnreadableEntry
from bot.ledger.entries import AnchorPosted, EntryData, Shown, exact, parse

Data = TypeVar("Data", bound=EntryData)
FIRST = bytes(32)  # what stands before the first entry
NEVER = datetime.min.replace(tzinfo=UTC)
_ID_BYTES = 8  # random: no two ledgers of one place have the same


@dataclass(frozen=True, slots=True)
class InForce:
    """What was known of stop and go when a go was given: it ends nothing that came later.

    Attributes:
        head: the number of the newest entry.
        unwritten: how many stops this process had not been able to write down.
        since: when changes were stopped, or that was asked for, last.
        is_known: whether anybody could say; else a go ends nothing.
    """

    head: int = 0
    unwritten: int = 0
    since: datetime = NEVER
    is_known: bool = True

    def as_given(self, moment: datetime, now: datetime) -> InForce:
        """The same for a go that was given at a moment before it was looked up: nothing, where changes were stopped in between.

        What is dated after `now`, by a clock that was ahead, cannot be compared.
        """
        return replace(self, head=0, unwritten=0) if moment < self.since <= now else self


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """What is about to be appended. A proposal without a ticket is given the next number.

    Attributes:
        id: made here, before anything is written: who tries again with the same one cannot append it twice.
        given: of a go, what was in force when it was given; None for one that counts for whatever is in force.
    """

    actor: str
    data: EntryData
    ticket: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    given: InForce | None = None

    @property
    def kind(self) -> str:
        """What kind of entry it becomes."""
        return self.data.kind


@dataclass(frozen=True)
class Entry:
    """What stands in the ledger.

    Attributes:
        seq: its number, from 1, without gaps.
        id: what its writer called it, once and for all.
        at: when it was appended, ISO 8601 in UTC with milliseconds.
        fields: its data as it stands there, for whoever shows it as it is.
        mac: HMAC-SHA256 over the mac before it and its bytes.
    """

    seq: int
    id: str
    at: str
    kind: str
    actor: str
    ticket: str | None
    fields: dict[str, Any]
    mac: bytes

    @cached_property
    def data(self) -> EntryData:
        """What it says. Raises UnreadableEntry where that is nothing that its kind can say."""
        try:
            return parse(self.kind, self.fields)
        except LedgerError as error:
            raise UnreadableEntry(f"E{self._cannot_be_read[1:]}: {error}", self.seq) from None

    def read(self, model: type[Data]) -> Data:
        """The same, as a kind that the caller knows it to be. Raises UnreadableEntry where it is of another one."""
        if not isinstance(self.data, model):
            raise UnreadableEntry(f"Entry {self.seq} is of the kind {self.kind}, not {model.kind}.", self.seq)
        return self.data

    def read_if(self, model: type[Data]) -> Data | None:
        """The same; None where it is of another kind or cannot be read. For whoever shows many, never for who acts."""
        try:
            return self.data if isinstance(self.data, model) else None
        except UnreadableEntry:
            return None

    @property
    def doubt(self) -> str:
        """That it cannot be read, in words; "" for what can."""
        try:
            _ = self.data
        except UnreadableEntry:
            return self._cannot_be_read
        return ""

    @property
    def name(self) -> str:
        """The name that its actor had; "" where it tells none. This and what follows holds for entries of any kind."""
        return self._text("name")

    @property
    def line(self) -> str:
        """The line that it is about, or ""."""
        return self._text("line")

    @property
    def target(self) -> str:
        """The target that it is about, or ""."""
        return self._text("target")

    @property
    def reason(self) -> str:
        """Why, or ""."""
        return self._text("reason")

    @property
    def message(self) -> str:
        """What was seen, or ""."""
        return self._text("message")

    @property
    def description(self) -> str:
        """What the plan calls the step that it begins, or ""."""
        return self._text("description")

    @property
    def places(self) -> tuple[str, ...]:
        """The clusters, and hosts that stand alone, that it is about."""
        found = self.fields.get("places")
        return tuple(map(str, found)) if isinstance(found, (list, tuple)) else ()

    @property
    def click(self) -> int | None:
        """The number of the `clicked` entry that it answers."""
        found = self.fields.get("click")
        return found if isinstance(found, int) else None

    @property
    def is_anchoring(self) -> bool:
        """Whether it is there only because the audit channel was told something."""
        return self.kind == AnchorPosted.kind or (self.kind == Shown.kind and "last_published" in self.fields)

    @property
    def _cannot_be_read(self) -> str:
        return f"entry {self.seq} cannot be read by this version of hvops"

    def _text(self, name: str) -> str:
        return str(self.fields.get(name) or "")


def entry_mac(key: bytes, previous: bytes, body: bytes) -> bytes:
    """The mac of an entry: HMAC-SHA256(key, previous mac followed by the bytes)."""
    return hmac.digest(key, previous + body, "sha256")


def is_written_with(key: bytes, previous: object, body: object, mac: object) -> bool:
    """Whether these are an entry that was written with the key: not where any of them are no bytes, as no entry's are."""
    if not isinstance(previous, bytes) or not isinstance(body, bytes):
        return False
    return entry_mac(key, previous, body) == mac


def to_timestamp(moment: datetime) -> str:
    """A time as the ledger writes it: UTC, milliseconds, Z. Such texts sort as the times do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(seq: int, at: str, draft: EntryDraft, fields: Mapping[str, Any], ticket: str | None) -> bytes:
    """The canonical bytes of an entry; the first one of a ledger names it. Raises LedgerError for what JSON cannot hold."""
    whole = {
        "seq": seq,
        "id": draft.id,
        "at": at,
        "kind": draft.kind,
        "actor": draft.actor,
        "ticket": ticket,
        "data": fields,
    }
    if seq == 1:
        whole["ledger"] = secrets.token_hex(_ID_BYTES)
    try:
        return rfc8785.dumps(exact(whole))
    except rfc8785.CanonicalizationError as error:
        raise LedgerError(f"This entry cannot be written down: {error}.") from None


def decode(body: str | bytes, mac: bytes) -> Entry:
    """The entry out of its bytes. Raises ValueError, KeyError or TypeError for what is no entry."""
    told = json.loads(body if isinstance(body, str) else body.decode("utf-8"))
    entry = Entry(told["seq"], told["id"], told["at"], told["kind"], told["actor"], told["ticket"], told["data"], mac)
    texts = (entry.id, entry.at, entry.kind, entry.actor, entry.ticket or "")
    if not (
        isinstance(entry.seq, int) and isinstance(entry.fields, dict) and all(isinstance(one, str) for one in texts)
    ):
        raise TypeError("a field of it is of another type than an entry's")
    if datetime.fromisoformat(entry.at).tzinfo is None:
        raise ValueError("its time has no zone")
    return entry


def ledger_id(key: bytes, first: tuple[bytes, bytes, bytes] | None) -> str:
    """The id of a ledger, out of body, previous mac and mac of its first entry; "" before there is one.

    Raises:
        LedgerError: the first entry was not written with this key, so it says nothing.
    """
    if first is None:
        return ""
    body, previous, mac = first
    if previous != FIRST or not is_written_with(key, previous, body, mac):
        raise LedgerError("Entry 1 was not written with this key, or it was altered. Run hvops audit verify.")
    return str(json.loads(body).get("ledger") or "")
