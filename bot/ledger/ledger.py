"""The ledger: append, read back, prove. One append-only, hash-chained table is the state of everything."""

from __future__ import annotations

import hashlib
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bot.api.queries import DoneChanges
from bot.errors import LedgerError, StopNotWritten, TicketError, UnreadableEntry
from bot.ledger.anchors import Anchor, Anchors, AnchorSeal, beyond, length_of, newest, patiently
from bot.ledger.changes import change_row
from bot.ledger.clock_watch import ClockDoubt, ClockWatch
from bot.ledger.entries import Done, EntryData, Moved, Released, Stopped, parse, restore_references
from bot.ledger.envelope import (
    FIRST,
    NEVER,
    Entry,
    EntryDraft,
    InForce,
    decode,
    encode,
    entry_mac,
    is_written_with,
    ledger_id,
    to_timestamp,
)
from bot.ledger.incremental import BrokenChain, ChainStatus, IncrementalVerifier, walk
from bot.ledger.key import check_places, make_key, read_key, seal
from bot.ledger.places import open_locks, open_store
from bot.ledger.proved import SWITCHES, ProvedState, RefusedTransition, seal_over
from bot.ledger.queries import Reader, TicketRow, samples_since
from bot.ledger.shared_locks import MOST_SKEW_BETWEEN_BOTS
from bot.ledger.store import PAGE, VERIFY, CommitUnknown, Store, StoreName, StoreRefuses
from bot.ledger.story_cache import StoryCache
from bot.ledger.ticket_row import COLUMNS
from bot.ledger.ticket_state import DECIDES, MAY_NAME_A_TICKET, TICKETED, Ticket, TicketState
from bot.ledger.ticket_table import Derived
from bot.ledger.verify import Verification, verify
from bot.ledger_place import Database, Place
from bot.redaction import Redactor

CHANGES_STOPPED = "changes are stopped"
ANSWER_SECONDS = 8.0  # for a database to say a word to what everybody waits for; more than it waits for a lock itself
UNKNOWN_SECONDS = 15.0  # how long to ask what became of a commit whose answer never came
_AGAIN_SECONDS = 0.2
_WHOLE_FILE_SECONDS = 600.0  # for all of an anchor file, before a bot begins: others can write much there
_NOT_ENDED = "No stop was ended: ending one is a decision, and nothing is decided while the ledger cannot be verified."
_THEN_GO = "Put right what that finds, then go again."
_FRESH_SECONDS = 1.0  # that a proof is old, and others may have written much since


class _IsThere(Exception):
    """What was to be appended stands there already. Only inside of an append."""

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self.entry = entry


class Ledger(Reader):
    """The ledger of one bot. Safe between threads, and between processes on one machine.

    What decides (tickets, their entries, locks, stop and go) comes from entries that were proved in the same snapshot.
    """

    def __init__(
        self,
        place: Place,
        key_file: Path,
        anchor_file: Path,
        mask: Redactor | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        monotonic: Callable[[], float] = time.monotonic,
        was_moved: bool = False,
    ) -> None:
        """Open, or begin.

        Args:
            place: the SQLite file, made when missing, or a database of PostgreSQL's.
            key_file: the key; made when the ledger is empty and nothing else knows of an older one.
            anchor_file: where every head is remembered, best on another machine.
            mask: takes secrets out of whatever is appended.
            clock: the time, for entries and for the clocks of tickets.
            monotonic: a clock that nobody sets, in seconds.
            was_moved: whether one may be opened that goes on in another store: to let it go on here again.

        Raises:
            LedgerError: it cannot be opened, the key is missing or wrong, anchors know more than the ledger, another
                account could have put these files there, or the ledger goes on in another store.
        """
        patiently(anchor_file, partial(check_places, place, key_file, anchor_file))
        self.place, self.key_file, self.anchor_file = place, key_file, anchor_file
        self._mask, self._clock, self._monotonic = mask or Redactor(), clock, monotonic
        self._seen = 0  # the highest number this process has seen; the ledger can only be longer
        self._order = threading.Lock()
        self._proving = threading.Lock()  # taken before the snapshot, so that what is proved is never newer than that
        self._state = ProvedState()
        self._followed = float("-inf")  # when what is new was proved last
        self._stories = StoryCache()
        self._refused = ""  # what the file did not take although the rules allow it
        self.anchors_read = 0  # bytes of the anchor file that were looked at when it was opened
        self._was_moved = was_moved
        self._owes_a_stop = False  # somebody stopped everything, and that could not be written down
        self._unwritten = 0, NEVER  # how often that was so, and when last
        self._latest = NEVER, 0.0  # of the entries that this process has seen; since when
        self._clocks = ClockWatch(clock, monotonic)
        known = patiently(anchor_file, partial(newest, anchor_file))
        with ExitStack() as failing:
            # What bots on other machines take from each other; None where there can be none.
            self.shared = open_locks(place)
            if self.shared is not None:
                failing.callback(self.shared.close)
            self._store = open_store(place)
            failing.callback(self._store.close)
            self._key = self._store.key = self._open_key(known)
            self.seal = AnchorSeal(self._key)
            self._check_head()
            self._clocks.begin(self._latest[0], self._seen)
            self._anchors = patiently(anchor_file, partial(Anchors, anchor_file, monotonic))
            failing.callback(self._anchors.close)
            self._watch = IncrementalVerifier(place, self._key, anchor_file, clock)
            super().__init__(place)
            failing.pop_all()
        self._reader.key = self._store.key = self._key
        self._reader.patience = self._store.patience = ANSWER_SECONDS

    def close(self) -> None:
        """Close the files. Appending afterwards raises LedgerError."""
        with ExitStack() as closing:
            closing.callback(self._anchors.close)
            closing.callback(self._store.close)
            if self.shared is not None:
                closing.callback(self.shared.close)
            super().close()

    def append(self, actor: str, data: EntryData, ticket: str | None = None) -> Entry:
        """Append one entry in one transaction, on the disk when this returns.

        Raises:
            LedgerError: nothing was written.
            TicketError: the ticket cannot make this transition, or changes are stopped, or not, already; nothing was written.
        """
        return self.append_together(EntryDraft(actor, data, ticket))[0]

    def append_together(self, *drafts: EntryDraft, check: Callable[[], None] = lambda: None) -> tuple[Entry, ...]:
        """Append several entries, all or none: a voided plan and the proposal that replaces it.

        A stop that cannot be written down is in force in this process all the same, until a stop or a go is written.

        Args:
            drafts: the entries.
            check: raises LedgerError where they may not be written now; asked under the lock of all writers.

        Raises:
            StopNotWritten: that is so.
            LedgerError, TicketError: as `append`.
        """
        switches, unwritten = [draft.kind for draft in drafts if draft.kind in SWITCHES], self._unwritten[0]
        try:
            if switches:
                # Here, where nobody waits: within the transaction only what is new is proved.
                with suppress(LedgerError):
                    self.prove()
            entries = self._append(drafts, check)
        except TicketError:  # of a stop: changes are stopped already
            raise
        except Exception as error:
            if Stopped.kind not in switches:
                raise
            # Whatever it was, a bug of ours too: somebody wants everything stopped.
            with self._order:
                self._owes_a_stop, self._unwritten = True, (self._unwritten[0] + 1, self.now())
            if isinstance(error, LedgerError):
                raise StopNotWritten(str(error)) from error
            raise
        with self._order:  # a go whose commit was of unknown fate ends no stop that came meanwhile
            if Stopped.kind in switches or (switches and self._unwritten[0] == unwritten):
                self._owes_a_stop = False
        return entries

    def append_unless(self, there: Callable[[], Entry | None], draft: EntryDraft) -> tuple[Entry, bool]:
        """Append one entry, unless something stands there already: of two bots that look at the same time one finds the other's.

        Args:
            there: looks for it, under the lock of all writers: what it reads is all that there is.
            draft: the entry.

        Returns:
            The entry that was appended, and True; or the one that was there, and False.

        Raises:
            LedgerError, TicketError: as `append`.
        """
        try:
            return self._append((draft,), there)[0], True
        except _IsThere as found:
            return found.entry, False

    def _append(
        self, drafts: Sequence[EntryDraft], there: Callable[[], Entry | None] = lambda: None
    ) -> tuple[Entry, ...]:
        if self._wanted_from(drafts) is not None:
            self._catch_up()
        try:
            entries = self._append_once(drafts, there)
        except CommitUnknown as unknown:
            entries = self._find_or_append(drafts, unknown, there)
        self._know_the_ledger()
        # After the commit: an anchor never knows more than the disk. Nobody waits for it to be written.
        with self._order:
            self._seen = max(self._seen, entries[-1].seq)
            self._anchors.write(self.seal.sign(entries[-1].seq, entries[-1].mac))
        if self.shared is not None:
            self.shared.ring()
        return tuple(entries)

    def _catch_up(self) -> None:
        """Prove what others wrote meanwhile, where nobody waits for it: within the transaction only what is new is proved."""
        with suppress(LedgerError):
            if time.monotonic() - self._followed > _FRESH_SECONDS and self._reader.length() > self._state.head.seq:
                self.prove()

    def _append_once(self, drafts: Sequence[EntryDraft], there: Callable[[], Entry | None]) -> list[Entry]:
        entries: list[Entry] = []
        prepared = [self._prepared(draft) for draft in drafts]  # before the lock, for which others wait
        try:
            with self._store.transaction(self._wanted_from(drafts)):
                if (found := there()) is not None:
                    raise _IsThere(found)
                head = self._sound_head()
                previous, first = (head.mac, head.seq + 1) if head else (FIRST, 1)
                state = self._state_before(drafts)
                for seq, (draft, fields) in enumerate(prepared, first):
                    body, entry = self._entry(seq, previous, draft, fields, state)
                    entries.append(entry)
                    self._store.insert(seq, body, previous, entry.mac)
                    state.add(self._seen_at(entry))
                    previous = entry.mac
        except StoreRefuses as error:
            # Of any kind: a press is written down before it decides anything. A stop is in force all the same.
            if entries and entries[-1].kind not in SWITCHES:
                about = f" of {entries[-1].ticket}" if entries[-1].ticket else ""
                refused = f"{entries[-1].kind}{about}"
                self._refused = (
                    f"the file does not take the entry {refused}, which its entries allow "
                    f"({error.__cause__}), so its lists are not what they were; nothing is decided until it is put right and "
                    "hvops is started anew"
                )
            raise
        return entries

    def _find_or_append(
        self, drafts: Sequence[EntryDraft], unknown: CommitUnknown, there: Callable[[], Entry | None]
    ) -> list[Entry]:
        """After a commit whose answer never came: the entries as they are there by their ids; appended where they are not.

        A transaction of ours that waits for the lock begins after the lost one has ended, so it knows.

        Raises:
            LedgerError: the ledger cannot be asked either, for so long. Then it stays unknown.
        """
        ends = time.monotonic() + UNKNOWN_SECONDS
        while True:
            try:
                with self._store.transaction():
                    found = [self._store.with_id(draft.id) for draft in drafts]
                known = [entry for entry in found if entry is not None]
                return known if len(known) == len(drafts) else self._append_once(drafts, there)
            except CommitUnknown as again:
                unknown = again
            except StoreRefuses:
                raise
            except LedgerError as error:
                if time.monotonic() > ends:
                    raise LedgerError(
                        f"{unknown} Whether entry {' and '.join(draft.id for draft in drafts)} was written is not known: {error}"
                    ) from error
                time.sleep(_AGAIN_SECONDS)

    def _wanted_from(self, drafts: Collection[EntryDraft]) -> int | None:
        """From which entry on the chain is walked before these are appended; None where it need not be."""
        hangs = any(draft.ticket is not None or draft.kind in TICKETED | SWITCHES for draft in drafts)
        return max(1, self._state.head.seq) if hangs else None

    def is_stopped(self) -> bool:
        """Whether `/hvops stop` is in force. Raises LedgerError where nothing is proved."""
        with self._proved() as state:
            return state.is_stopped or self._owes_a_stop

    def why_blocked(self) -> str:
        """Why nothing may begin: changes are stopped, or were asked to be and nobody has answered yet; "" where it may.

        Raises LedgerError where nothing is proved.
        """
        with self._proved() as state:  # one look: a stop that answers its request takes the place of it
            if state.is_stopped or self._owes_a_stop:
                return CHANGES_STOPPED
            return "a request to stop changes is pending" if state.stop_requests else ""

    def in_force(self) -> InForce:
        """What is known of stop and go now, for a go that is given now. Raises LedgerError where nothing is proved."""
        with self._proved() as state:
            unwritten, since = self._unwritten
            last = state.asked_last
            if last is not None:
                since = max(since, datetime.fromisoformat(last.at))
            return InForce(state.head.seq, unwritten, since)

    def newest_switch(self) -> Entry | None:
        """The newest of the entries stop and go; None before the first. Raises LedgerError where nothing is proved."""
        with self._proved() as state:
            return state.switch

    def stop_requests(self) -> list[Entry]:
        """The requests to stop changes that nobody has answered, oldest first. Raises LedgerError where nothing is proved."""
        with self._proved() as state:
            return state.stop_requests

    def locks(self) -> dict[str, str]:
        """Which ticket holds which lock. Raises LedgerError where nothing is proved."""
        with self._proved() as state:
            return state.locks

    def ticket(self, ticket: str) -> Ticket | None:
        """A ticket as its proved entries say. Raises UnreadableEntry, LedgerError where nothing is proved."""
        with self._proved() as state:
            found = state.ticket(ticket)
        return super().ticket(ticket) if found is not None and found.state is TicketState.ENDED else found

    def undos_of(self, ticket: str) -> tuple[str, ...]:
        """The tickets that were proposed to take a ticket back, oldest first. Raises LedgerError where nothing is proved."""
        with self._proved() as state:
            return state.undos_of(ticket)

    def worked_since(self, seq: int, locks: Collection[str], hosts: Collection[str]) -> list[tuple[str, str]]:
        """The tickets that may have acted behind an entry, under one of these locks and on one of these hosts, the newest first.

        Each with its end or state, whatever undos have undone of them. Raises LedgerError where nothing is proved.
        """
        with self._proved() as state:
            return state.worked_since(seq, locks, hosts)

    def left_unseen(self, since: str, locks: Collection[str], hosts: Collection[str]) -> list[str]:
        """The tickets that ended at that time or later, worked under one of these locks on one of these hosts, and may have left an act.

        The newest first. Raises LedgerError where nothing is proved.
        """
        with self._proved() as state:
            return state.left_unseen(since, locks, hosts)

    def moved_since(self, seq: int, locks: Collection[str]) -> list[str]:
        """The tickets that have worked under one of these locks and that an entry has moved behind that one.

        Raises LedgerError where nothing is proved.
        """
        with self._proved() as state:
            return state.moved_since(seq, locks)

    def last_move(self, ticket: str) -> int:
        """The number of the newest entry that moves a ticket; 0 where there is none. Raises LedgerError where nothing is proved."""
        with self._proved() as state:
            return state.last_move(ticket)

    def has_resumed_since_proposed(self, undo: str) -> bool:
        """Whether the ticket that an open undo takes back has resumed behind the undo's proposal; False for other tickets.

        Raises LedgerError where nothing is proved.
        """
        with self._proved() as state:
            return state.has_resumed_since_proposed(undo)

    def proved_up_to(self) -> int:
        """The number of the newest entry: what is read after this was asked knows all up to there. Raises LedgerError."""
        with self._proved() as state:
            return state.head.seq

    def has(self, anchor: Anchor) -> bool:
        """Whether the entry that an anchor names is there, and the chain leads from it to the newest one.

        A row that was taken out of another copy of this ledger has a mac that holds, and is in no chain of this one.

        Raises:
            LedgerError: nothing is proved, or the chain does not lead on from there.
        """
        with self._beside() as (store, head):
            link = store.link(anchor.seq)
            if anchor.seq > head.seq or link is None or link[-1] != anchor.mac:
                return False
            at = Anchor(anchor.seq, anchor.mac)
            for seq, _, mac in walk(store, self._key, at, head.seq - at.seq):
                at = Anchor(seq, mac)
            return at == head

    def story(self, ticket: str) -> list[Entry]:
        """All entries of a ticket, proved, oldest first. Raises LedgerError where the file lists others than there are."""
        with self._proved() as state:
            head, seal = state.head.seq, state.seal_of(ticket)
        # The rest when nobody waits for the proof any more, as whoever appends does, with the lock of all writers: anybody can
        # press the buttons of a ticket ten thousand times. What stands up to that entry stays as it is.
        with self._explained():
            listed = self._listing(ticket, head, seal)
            known = self._stories.known(ticket, listed)
            rows = self._rows(ticket, known[-1].seq if known else 0, head)
            if [bytes(row[-1]) for row in rows] != [mac for _, mac in listed[len(known) :]]:
                raise LedgerError(f"the file does not have the entries of {ticket} as they were written")
            entries = [*known, *map(self._reader.entry_from, rows)]
        self._stories.keep(ticket, entries)
        return entries

    def _listing(
        self, ticket: str, head: int, wanted: bytes, after: int = 0, seal: bytes = FIRST
    ) -> list[tuple[int, bytes]]:
        """Number and mac of the entries of a ticket behind one and up to another, a page at a time: nobody waits for more.

        Args:
            ticket: the ticket.
            head: the newest entry that was proved when `wanted` was.
            wanted: the seal over all of them.
            after: where to begin.
            seal: the seal there.

        Raises:
            LedgerError: the file lists other ones.
        """
        found: list[tuple[int, bytes]] = []
        while page := self._reader.macs_of_ticket(ticket, after, PAGE):
            found += [one for one in page if one[0] <= head]
            after = page[-1][0]
            if len(page) < PAGE or after >= head:
                break
        if seal_over((mac for _, mac in found), seal) != wanted:
            raise LedgerError(f"the file does not list the entries of {ticket} as they are")
        return found

    def _rows(self, ticket: str, after: int, head: int) -> list[tuple[Any, ...]]:
        """The rows of the entries of a ticket behind one and up to another, likewise."""
        found: list[tuple[Any, ...]] = []
        while page := self._reader.rows_of_ticket(ticket, after, PAGE):
            found += [row for row in page if row[0] <= head]
            after = page[-1][0]
            if len(page) < PAGE or after >= head:
                break
        return found

    def moves(self, ticket: str, after: int = 0) -> list[Entry]:
        """The entries that move a ticket, proved, oldest first, and none of what only speaks about it.

        Of an open one no press is read, however many there are: their macs are compared, each once. Its entries are read one by
        one, so nobody waits meanwhile: a run of thousands of steps has tens of thousands. Raises LedgerError.

        Args:
            ticket: the ticket.
            after: the number of the newest one that somebody has read and kept; 0 for none.
        """
        moves = self._moves_of(ticket)
        if not moves:
            story = self.story(ticket)
            return [entry for entry in story if entry.seq > after and entry.kind not in MAY_NAME_A_TICKET]
        wanted = moves[bisect_right(moves, after, key=lambda move: move.seq) :]
        return [self._entry_at(ticket, move) for move in wanted]

    def proposal(self, ticket: str) -> Entry | None:
        """The entry that proposed a ticket, proved; None where there is no such ticket. Raises LedgerError.

        Of an open one it is the first that moves it, and the others are not read.
        """
        if moves := self._moves_of(ticket):
            return self._entry_at(ticket, moves[0])
        return next((entry for entry in self.moves(ticket) if entry.kind == "proposed"), None)

    def _moves_of(self, ticket: str) -> tuple[Anchor, ...]:
        """The entries that move an open ticket, after a look whether the file lists what names it as it is; else ()."""
        with self._proved() as state:
            moves, head, wanted = state.moves_of(ticket), state.head.seq, state.seal_of(ticket)
            last, seal = state.listing_of(ticket)
        if not moves:
            return ()
        try:
            with self._explained():
                found = self._listing(ticket, head, wanted, last, seal)
        except LedgerError:
            with self._proving:
                self._state.forget_listing(ticket)
            raise
        with self._proving:
            self._state.note_listing(ticket, found[-1][0] if found else last, wanted)
        return moves

    def _entry_at(self, ticket: str, move: Anchor) -> Entry:
        """A proved entry, by its number and mac. Raises LedgerError where the file has another one there."""
        with self._explained():
            row = self._reader.row(move.seq)
            if row is None or row[-1] != move.mac:
                raise LedgerError(f"the file does not have the entries of {ticket} as they were written")
            return self._reader.entry_from(row)

    def listed(self, states: Collection[str], limit: int = 100, *, newest_first: bool = True) -> list[TicketRow]:
        """The tickets in those states, the newest first unless told. Raises LedgerError where the table shows others."""
        with self._proved() as state:
            rows = super().listed(states, limit, newest_first=newest_first)
            shown = [(one.id, one.state, one.ending) for one in rows]
            state.check_listed(states, shown, all_of_them=limit < 0)
        return rows

    def following(self, kinds: Collection[str], after: int, limit: int) -> list[Entry]:
        """The next entries of some kinds, as the columns of a file have them whose definitions are right. Raises LedgerError."""
        with self._proved():
            return super().following(kinds, after, limit)

    def recall(self, on: str, what: str, since: datetime) -> list[dict[str, Any]]:
        """The samples that earlier answers and proposals carried about a target, each out of a proved entry, oldest first."""
        with self._beside() as (store, _):
            return samples_since(store, on, what, since)

    def done_changes(self, question: DoneChanges) -> list[dict[str, Any]]:
        """The changes of a command that have run to their end on a target or a place; the question says what a row holds.

        Each out of all the entries of its ticket that were proved in one snapshot. They are read when nobody waits for the
        proof any more: there may be many, and anybody can press the buttons of an old ticket. Raises LedgerError where nothing
        is proved, or the file lists or has other entries of a ticket than there are.
        """
        since = to_timestamp(datetime.fromisoformat(question.since)) if question.since else ""
        ended = []
        with self._proved() as state:
            head = state.head.seq
            for ticket in state.ended_tickets(question.command, question.endings, since):
                undone_by = next((one for one in state.undos_of(ticket) if state.end_of(one) == Done.kind), "")
                ended.append((ticket, state.seal_of(ticket), undone_by))
        if not ended:
            return []
        with self._explained():
            found = [(ticket, self._listing(ticket, head, seal), undone_by) for ticket, seal, undone_by in ended]
        with self._beside() as (store, _):
            told = (change_row(question, _as_listed(store, one, listed), undone_by) for one, listed, undone_by in found)
            return [row for row in told if row is not None]

    def without_secrets(self, data: bytes) -> bytes:
        """Raw bytes as they would be kept."""
        return self._mask.redact_bytes(data)

    def put_blob(self, data: bytes) -> str:
        """Keep raw bytes beside the chain, without their secrets. Returns their SHA-256 in hexadecimal."""
        masked = self.without_secrets(data)
        digest = hashlib.sha256(masked).hexdigest()
        with self._store.transaction():
            self._store.put_blob(digest, masked)
        return digest

    def sign_text(self, label: str, *parts: str) -> str:
        """A short MAC that only this ledger's key makes: what carries it and comes back was made here (see `key.seal`)."""
        return seal(self._key, label, *parts)

    def now(self) -> datetime:
        """The time for whatever is decided: the clock's, and never earlier than that of the newest entry.

        Otherwise setting the clock back would revive what has expired.
        """
        return self.not_behind(self._clock())

    def not_behind(self, moment: datetime) -> datetime:
        """A time that some other clock tells, and never earlier than that of the newest entry.

        Behind that it goes on by the clock that nobody sets: it must not stand still, or nothing would expire until the
        other one, which was ahead once and was put right, has come so far again.
        """
        latest, since = self._latest
        if moment >= latest:
            return moment
        return latest + timedelta(seconds=max(0.0, self._monotonic() - since))

    def clock_doubt(self) -> ClockDoubt:
        """Which times cannot be compared with the clock of this process: it was set, or began behind them. Raises LedgerError."""
        return self._clocks.look(self._reader.length)

    @property
    def clock_skew(self) -> float:
        """By how many seconds the clock of another bot that wrote here may differ from this one's; 0 where there is no other."""
        return MOST_SKEW_BETWEEN_BOTS if self.shared is not None else 0.0

    def elapsed_since(self, moment: float) -> float:
        """Seconds since a moment of the clock that nobody sets."""
        return self._monotonic() - moment

    def verify(self, anchor_file: Path | None = None) -> Verification:
        """Prove the whole ledger, on a connection of its own, while others append."""
        self.settle_anchors()
        return verify(self.place, self._key, anchor_file or self.anchor_file)

    def check_recent(self) -> ChainStatus:
        """A cheap look at the chain, its newest anchor, the definitions, and the tables of what is open. Raises LedgerError."""
        found = self._watch.look()
        if not found.holds:
            return found
        try:
            with self._proved() as state:
                _check_tables(self._reader, state)
        except LedgerError as error:
            cause = error.__cause__
            seq = cause.seq if isinstance(cause, (BrokenChain, RefusedTransition)) else None
            return replace(found, broken_at=seq, says=str(cause or error).removeprefix(f"{self.place}: "))
        return found

    def verify_since(self, seq: int) -> None:
        """Prove the chain from an entry to the newest one, and that the tables show what is open as all entries say.

        Raises:
            LedgerError: anything was altered, taken out, or is shown otherwise than it is.
        """
        self._watch.since(seq)
        with self._proved() as state:
            _check_tables(self._reader, state)

    def prove(self) -> None:
        """Prove what is new, and take it in: at first all of it, for which a long ledger needs seconds. Raises LedgerError."""
        with self._proved():
            pass

    def rebuild(self) -> None:
        """Make the derived tables again from the entries.

        Raises:
            LedgerError: an entry cannot be read by this version, or would be refused by it: its ticket, its locks and its
                number would be left out. Nothing was changed.
        """
        with self._store.transaction():
            self._store.check_definitions()
            state, tables = ProvedState(), Derived()
            for seq, body, mac in walk(self._store, self._key, state.head):
                if (entry := state.take(seq, body, mac)) is not None:
                    tables.add(entry)
            if state.notes:
                raise LedgerError(
                    f"{self.place} was not rebuilt: {state.notes[0]} Use the version of hvops that wrote it."
                )
            rows = [dict(zip(COLUMNS, row, strict=True)) for row in tables.rows.values()]
            self._store.rebuild(rows, tables.claims)

    @property
    def path(self) -> Path:
        """What the locks of this machine lie beside: the file of the ledger, or, where that is a database, its key."""
        return self.key_file if isinstance(self.place, Database) else self.place

    @property
    def store_name(self) -> StoreName:
        """The kind of store that it is in."""
        return self._store.name

    @property
    def trouble(self) -> str:
        """Why the last anchor was not written, or ""."""
        return self._anchors.trouble

    def settle_anchors(self) -> str:
        """Wait until the anchors of what was appended by now are written, for a while at most. Returns why not, or ""."""
        return self._anchors.settle()

    @property
    def written(self) -> Anchor | None:
        """The newest anchor that this process has written into the anchor file; None before the first."""
        return self._anchors.written

    @contextmanager
    def _proved(self) -> Iterator[ProvedState]:
        """What all entries come to, and a snapshot that holds these entries and no other. Raises LedgerError."""
        with self._proving:
            seen = self._seen  # before the snapshot, which then holds at least these
            with self._reader.snapshot(), self._explained():
                self._follow(self._reader, seen)
                yield self._state

    @contextmanager
    def _beside(self) -> Iterator[tuple[Store, Anchor]]:
        """A connection of one's own, and the newest entry that was proved: for what takes long, while others decide.

        Raises:
            LedgerError: nothing is proved.
        """
        with self._proved() as state:
            head = state.head
        store = self._store.again()
        store.key = self._key
        try:
            with store.snapshot(), self._explained():
                yield store, head
        finally:
            store.close()

    def _state_before(self, drafts: Collection[EntryDraft]) -> ProvedState:
        """What a transaction goes by, to be changed by it. Entries that move no ticket hang on nothing, and need none.

        Nothing is decided where the tables show something else than the entries say. What has happened is written all the same.

        A stop or a go hangs on the one before. Where nothing is proved, or a table shows something else, a stop is written
        all the same: nothing hinders it. A go is not: who ends a stop decides.
        """
        moves = any(draft.ticket is not None or draft.kind in TICKETED for draft in drafts)
        switches = [draft.kind for draft in drafts if draft.kind in SWITCHES]
        decides = any(draft.kind in DECIDES for draft in drafts)
        if not moves and not switches:
            return ProvedState()
        try:
            with self._proving, self._explained():
                self._follow(self._store, self._seen)
                if decides:
                    _check_tables(self._store, self._state)
                state = self._state.fork(is_stopped=self._owes_a_stop)
        except LedgerError as error:
            if Released.kind in switches:
                raise LedgerError(f"{_NOT_ENDED} {error} {_THEN_GO}") from error
            if moves:
                raise
            return ProvedState()
        for draft in drafts:
            if draft.kind in SWITCHES:
                state.allow_switch(draft, self._unwritten[0])
        return state

    def _follow(self, store: Store, seen: int) -> None:
        """Prove what is new, and take it in. In a snapshot or a transaction, before anything of it is written."""
        if self._refused:
            raise LedgerError(self._refused)
        store.check_definitions()
        for seq, body, mac in walk(store, self._key, self._state.head):
            self._state.take(seq, body, mac)
        self._followed = time.monotonic()
        if self._state.head.seq < seen:
            raise LedgerError(f"entries {self._state.head.seq + 1} to {seen} have vanished")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say which ledger it is, and what to do, of what does not hold there."""
        try:
            yield
        except UnreadableEntry:
            raise
        except BrokenChain as broken:
            raise LedgerError(f"{self.place}: entry {broken.seq} does not hold: {broken}. {VERIFY}") from broken
        except LedgerError as error:
            if str(self.place) in str(error):
                raise
            raise LedgerError(f"{self.place}: {str(error).rstrip('.')}. {VERIFY}") from error

    def _prepared(self, draft: EntryDraft) -> tuple[EntryDraft, Mapping[str, Any]]:
        """What can be said of an entry before its place is known, and its fields, without secrets. Raises TicketError, LedgerError."""
        if draft.ticket is not None and draft.kind not in TICKETED | MAY_NAME_A_TICKET:
            raise TicketError(f"An entry {draft.kind} belongs to no ticket.")
        given = draft.data.fields
        # Numbers of an entry itself are counts and entries of ours; what others told is further down.
        own = {name: value for name, value in given.items() if isinstance(value, (int, float))}
        fields = restore_references(given, self._mask.redact_data(given)) | own
        return replace(draft, data=parse(draft.kind, fields)), fields

    def _entry(
        self, seq: int, previous: bytes, draft: EntryDraft, fields: Mapping[str, Any], state: ProvedState
    ) -> tuple[bytes, Entry]:
        """The next entry, as bytes and as what they say. Raises TicketError, UnreadableEntry, LedgerError."""
        at, ticket = to_timestamp(self.now()), draft.ticket
        if draft.kind in TICKETED:
            ticket = state.allow(draft, at)
        elif ticket is not None:
            state.must_have_ticket(ticket)
        body = encode(seq, at, draft, fields, ticket)
        return body, decode(body, entry_mac(self._key, previous, body))

    def _sound_head(self) -> Entry | None:
        """The newest entry, if it is what our key wrote and no older than before. Inside a transaction. Raises LedgerError.

        Nothing that it says is read before it is proved: bytes that are none of ours need not be an entry at all.
        """
        head = self._store.head()
        if head and not is_written_with(self._key, head[1], head[0], head[2]):
            raise LedgerError(
                f"{self.place}: entry {self._store.length()} was not written with the key in {self.key_file}: the key is a "
                "wrong one, or the entry was altered. Run hvops audit verify."
            )
        newest = self._seen_at(decode(head[0], bytes(head[2]))) if head else None
        number = newest.seq if newest else 0
        if number < self._seen:
            raise LedgerError(
                f"{self.place}: entries {number + 1} to {self._seen} have vanished. Run hvops audit verify."
            )
        if newest and newest.kind == Moved.kind:
            self._must_go_on_here(newest)
        return newest

    def _must_go_on_here(self, moved: Entry) -> None:
        """A ledger goes on in the store that its newest move names, and in no copy of that in another one."""
        if moved.fields.get("store") != self._store.name and not self._was_moved:
            raise LedgerError(
                f"{self.place} takes no more entries: the ledger was moved to {moved.fields.get('address')} with entry "
                f"{moved.seq}. Set database in [ledger] to that. If that move ended half-way, run hvops ledger move again."
            )

    def _open_key(self, known: Anchor | None) -> bytes:
        """The key; made only for a ledger that is empty, beside anchors of none."""
        with self._store.transaction():
            if self.key_file.exists() or self._store.head() is not None:
                return read_key(self.key_file)
            if known is not None:
                raise LedgerError(
                    f"{self.place} is empty and has no key yet, but {self.anchor_file} records entry {known.seq} of ledger "
                    f"{known.ledger}. If that is this ledger, put it and its key back. If it is another one, set another "
                    "anchor_file."
                )
            return make_key(self.key_file)

    def _check_head(self) -> None:
        # before the entries: these are on the disk before their anchor is
        length, known = patiently(self.anchor_file, self._read_anchors)
        with self._store.transaction():
            head = self._sound_head()
            self._seen = head.seq if head else 0
            self._know_the_ledger()
            for moved in self._store.select("kind = ?", (Moved.kind,), 1, kinds=(Moved.kind,)):
                self._must_go_on_here(moved)
            if self._store.is_export:
                raise LedgerError(
                    f"{self.place} takes no entries: it was written out of a database by hvops audit export, to be read. Set "
                    "database in [ledger] to where the ledger is."
                )
            if known is not None and self.seal.ledger and known.ledger != self.seal.ledger:
                raise LedgerError(
                    f"{self.place} is not the ledger that {self.anchor_file} records up to entry {known.seq}: that one has the "
                    f"id {known.ledger}, this one {self.seal.ledger}. Put the right ledger back. Only if it is lost for "
                    "good, rename the anchor file."
                )
            self._refuse_a_new_beginning(known, self._seen)
        if length is not None:  # where more than the last lines has to be read, nobody waits for it in a transaction
            whole = partial(beyond, self.anchor_file, self.seal, self._seen, length)
            self._refuse_a_new_beginning(patiently(self.anchor_file, whole, _WHOLE_FILE_SECONDS), self._seen)
            self.anchors_read = length

    def _read_anchors(self) -> tuple[int | None, Anchor | None]:
        return length_of(self.anchor_file), newest(self.anchor_file, self.seal)

    def _know_the_ledger(self) -> None:
        """Its id, once there is an entry to say it. Raises LedgerError where that entry was altered."""
        if not self.seal.ledger:
            self.seal.ledger = ledger_id(self._key, self._store.link(1))

    def _seen_at(self, entry: Entry) -> Entry:
        """The same; time does not run back behind it from now on."""
        at = datetime.fromisoformat(entry.at)
        if at > self._latest[0]:
            self._latest = at, self._monotonic()
        return entry

    def _refuse_a_new_beginning(self, known: Anchor | None, length: int) -> None:
        if known is not None and known.seq > length:
            raise LedgerError(
                f"{self.place} ends at entry {length}, but {self.anchor_file} knows entry {known.seq}: newer entries are "
                "gone. Put the right ledger back. Only if it is lost for good: keep the anchor file under another name."
            )


def _check_tables(store: Store, state: ProvedState) -> None:
    """The tables of locks and tickets show what is open as the proved entries say. In their snapshot. Raises LedgerError."""
    state.check_locks(store.lock_claims())
    state.check_open(store.open_shown())


def _as_listed(store: Store, ticket: str, listed: Sequence[tuple[int, bytes]]) -> list[Entry]:
    """The entries of a ticket that were proved, oldest first; what came behind them is left out. Raises LedgerError for others."""
    rows = store.rows_of_ticket(ticket)[: len(listed)]
    if [(int(row[0]), bytes(row[-1])) for row in rows] != [(seq, bytes(mac)) for seq, mac in listed]:
        raise LedgerError(f"the file does not have the entries of {ticket} as they were written")
    return [store.entry_from(row) for row in rows]
