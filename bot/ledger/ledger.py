"""The ledger: append, read back, prove. One append-only, hash-chained table is the state of everything."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import LedgerError, TicketError
from bot.ledger import ticket_table
from bot.ledger.anchors import Anchor, Anchors, newest
from bot.ledger.entries import EntryData, parse
from bot.ledger.envelope import Entry, EntryDraft, decode, encode, entry_mac, to_timestamp
from bot.ledger.incremental import ChainStatus, IncrementalVerifier
from bot.ledger.key import make_key, read_key
from bot.ledger.queries import Reader
from bot.ledger.store import Store, previous_of
from bot.ledger.ticket_state import MAY_NAME_A_TICKET, TICKETED
from bot.ledger.verify import Verification, verify
from bot.redaction import Redactor


class Ledger(Reader):
    """The ledger of one bot. Safe between threads, and between processes on one machine."""

    def __init__(
        self,
        path: Path,
        key_file: Path,
        anchor_file: Path,
        mask: Redactor | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open, or begin.

        Args:
            path: the SQLite file; made when missing.
            key_file: the key; made when the ledger is empty and nothing else knows of an older one.
            anchor_file: where every head is remembered, best on another machine.
            mask: takes secrets out of whatever is appended.
            clock: the time, for entries and for the clocks of tickets.

        Raises:
            LedgerError: it cannot be opened, the key is missing or wrong, or anchors know more than the ledger.
        """
        self.path, self.key_file, self.anchor_file = path, key_file, anchor_file
        self._mask, self._clock = mask or Redactor(), clock
        self._seen = 0  # the highest number this process has seen; the ledger can only be longer
        self._order = threading.Lock()
        known = newest(anchor_file)
        self._store = Store(path)
        try:
            self._key = self._open_key(known)
            self._check_head(known)
            self._anchors = Anchors(anchor_file)
            self._watch = IncrementalVerifier(path, self._key, anchor_file, clock)
        except BaseException:
            self._store.close()
            raise
        super().__init__(path)

    def close(self) -> None:
        """Close the files. Appending afterwards raises LedgerError."""
        super().close()
        self._store.close()
        self._anchors.close()

    def append(self, actor: str, data: EntryData, ticket: str | None = None) -> Entry:
        """Append one entry in one transaction, on the disk when this returns.

        Raises:
            LedgerError: nothing was written.
            TicketError: the ticket cannot make this transition; nothing was written.
        """
        return self.append_together(EntryDraft(actor, data, ticket))[0]

    def append_together(self, *drafts: EntryDraft) -> tuple[Entry, ...]:
        """Append several entries, all or none: a voided plan and the proposal that replaces it."""
        with self._store.transaction():
            head = self._sound_head()
            entries: list[Entry] = []
            previous = previous_of(head)
            for seq, draft in enumerate(drafts, decode(head[0], head[2]).seq + 1 if head else 1):
                entry = self._insert(seq, previous, draft)
                entries.append(entry)
                previous = entry.mac
        with self._order:  # after the commit: an anchor never knows more than the disk
            self._seen = max(self._seen, entries[-1].seq)
            self._anchors.write(Anchor(entries[-1].seq, entries[-1].mac))
        return tuple(entries)

    def find_answer(self, token: str) -> Entry | None:
        """The `answered` entry of a button's token. Raises LedgerError where somebody without the key wrote it."""
        entry = super().find_answer(token)
        link = self._store.link(entry.seq) if entry else None
        if entry and (link is None or entry_mac(self._key, link[1], link[0]) != link[2]):
            raise LedgerError(f"{self.path}: entry {entry.seq} was altered. Run hvops audit verify.")
        return entry

    def put_blob(self, data: bytes) -> str:
        """Keep raw bytes beside the chain, without their secrets. Returns their SHA-256 in hexadecimal."""
        masked = self._mask.redact_bytes(data)
        digest = hashlib.sha256(masked).hexdigest()
        with self._store.transaction():
            self._store.put_blob(digest, masked)
        return digest

    def now(self) -> datetime:
        """The time for whatever is decided: the clock's, and never earlier than that of the newest entry.

        A clock that is set back would else give life again to what is over.
        """
        return self.not_behind(self._clock())

    def not_behind(self, moment: datetime) -> datetime:
        """A time that some other clock tells, and never earlier than that of the newest entry."""
        head = self.head()
        return moment if head is None else max(moment, datetime.fromisoformat(head.at))

    def verify(self, anchor_file: Path | None = None) -> Verification:
        """Prove the whole ledger, on a connection of its own, while others append."""
        return verify(self.path, self._key, anchor_file or self.anchor_file)

    def check_recent(self) -> ChainStatus:
        """A cheap look at the chain, and at its newest anchor (see `recent`). Raises LedgerError."""
        return self._watch.look()

    def verify_since(self, seq: int) -> None:
        """Prove the chain from an entry to the newest one. Raises LedgerError where anything was altered or taken out."""
        self._watch.since(seq)

    def rebuild(self) -> None:
        """Make the derived tables again from the entries.

        Raises:
            LedgerError: an entry cannot be read by this version, or would be refused by it: its ticket, its locks and its
                number would be left out. Nothing was changed.
        """
        with self._store.transaction():
            tables = ticket_table.derived(self._store)
            if tables.notes:
                raise LedgerError(
                    f"{self.path} was not rebuilt: {tables.notes[0]} Use the version of hvops that wrote it."
                )
            self._store.rebuild(list(tables.rows.values()), tables.locks)

    @property
    def trouble(self) -> str:
        """Why the last anchor was not written, or ""."""
        return self._anchors.trouble

    def _insert(self, seq: int, previous: bytes, draft: EntryDraft) -> Entry:
        if draft.ticket is not None and draft.kind not in TICKETED | MAY_NAME_A_TICKET:
            raise TicketError(f"An entry {draft.kind} belongs to no ticket.")
        fields = self._mask.redact_data(draft.data.fields)
        draft = replace(draft, data=parse(draft.kind, fields))
        at, ticket = to_timestamp(self.now()), draft.ticket
        if draft.kind in TICKETED:
            ticket = ticket_table.check(self._store, draft, at)
        elif ticket is not None:
            ticket_table.must_exist(self._store, ticket)
        body = encode(seq, at, draft, fields, ticket)
        mac = entry_mac(self._key, previous, body)
        self._store.insert(seq, body, previous, mac)
        return decode(body, mac)

    def _sound_head(self) -> tuple[bytes, bytes, bytes] | None:
        """The head, if it is what our key wrote and no shorter than before. Inside a transaction."""
        head = self._store.head()
        number = decode(head[0], head[2]).seq if head else 0
        if number < self._seen:
            raise LedgerError(
                f"{self.path}: entries {number + 1} to {self._seen} have vanished. Run hvops audit verify."
            )
        if head and entry_mac(self._key, head[1], head[0]) != head[2]:
            raise LedgerError(
                f"{self.path}: entry {number} was not written with the key in {self.key_file}: the key is a wrong one, "
                "or the entry was altered. Run hvops audit verify."
            )
        return head

    def _open_key(self, known: Anchor | None) -> bytes:
        """The key; made only for a ledger that is empty and that nobody knows to have been longer."""
        with self._store.transaction():
            if self.key_file.exists() or self._store.head() is not None:
                return read_key(self.key_file)
            self._refuse_a_new_beginning(known, 0)
            return make_key(self.key_file)

    def _check_head(self, known: Anchor | None) -> None:
        with self._store.transaction():
            head = self._sound_head()
            self._seen = decode(head[0], head[2]).seq if head else 0
            self._refuse_a_new_beginning(known, self._seen)

    def _refuse_a_new_beginning(self, known: Anchor | None, length: int) -> None:
        if known is not None and known.seq > length:
            raise LedgerError(
                f"{self.path} ends at entry {length}, but {self.anchor_file} knows entry {known.seq}: newer entries are "
                "gone. Put the right ledger back. Only if it is lost for good: keep the anchor file under another name."
            )
