"""Prove a ledger: every entry unaltered, none taken out, put in, moved, or cut off the end.

Where it ends, only others can know: it is complete up to the newest entry that an anchor outside names, and no further.

One pass in the order of the numbers, in one snapshot, a few microseconds for each entry, and no more memory for a
million entries than for ten. The first thing that does not hold is named, in words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from bot.errors import LedgerError
from bot.ledger.anchors import Anchor, AnchorSeal, Origin, anchors_in, appended_to, is_elsewhere, length_of
from bot.ledger.envelope import FIRST, decode, entry_mac, ledger_id
from bot.ledger.places import open_store
from bot.ledger.proved import ProvedState, RefusedTransition
from bot.ledger.store import Store, StoreRefuses
from bot.ledger.ticket_row import COLUMNS
from bot.ledger.ticket_table import Derived
from bot.ledger_place import Place
from bot.redaction import clip_line, strip_end

_AT = b'","at":"'  # and the actor before it can hold no quotation mark that is not escaped
_UNDER_WAY = 4  # entries: each is on the disk before its line is in the anchor file, and several processes write there
HEADS_EVERY = 60  # minutes, where no settings say it


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a ledger holds.

    Attributes:
        holds: nothing was found that breaks the proof. It is complete only where there are no notes either.
        entries: how many entries were read and hold.
        broken_at: the number of the first entry that does not hold, or None.
        says: what was found, in sentences.
        head: the newest entry that holds, as an anchor.
        anchors: how many anchors matched, wherever they are kept.
        anchored: the newest entry that holds and that an anchor names; 0 where there is none.
        notes: what does not break the chain, and about which nothing is proved.
        end: why nothing outside shows that it ends where it should, with what that leaves open; "" where something does.
    """

    holds: bool
    entries: int
    says: str
    broken_at: int | None = None
    head: Anchor | None = None
    anchors: int = 0
    notes: tuple[str, ...] = ()
    anchored: int = 0
    end: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether all is proved that can be: it holds, an anchor outside is as new as it must be, and nothing is to note."""
        return self.holds and not self.remarks

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes, and what is to be said of its end."""
        return (*self.notes, *filter(None, [self.end]))

    def beside(self, doubts: Sequence[str]) -> Verification:
        """The same, with what was found beside the ledger: nothing is called complete beside a doubt."""
        if not doubts:
            return self
        says = _not_everything(self.entries) if self.holds else self.says
        return replace(self, notes=(*self.notes, *doubts), says=says)


@dataclass(frozen=True, slots=True)
class AnchorSet:
    """Anchors that are kept in a place beside the anchor file.

    Attributes:
        where: as it follows "an anchor": "in the audit channel C0123".
        is_outside: whether others keep it than who can reach the ledger's disk.
        is_of_each: whether there is to be one for each entry, as in an anchor file; in a channel there is a head from
            time to time.
    """

    where: str
    anchors: tuple[Anchor, ...]
    is_outside: bool = True
    is_of_each: bool = False


class ChainBroken(Exception):
    """Something does not hold. Only inside this file."""

    def __init__(self, seq: int | None, says: str) -> None:
        super().__init__(says)
        self.seq = seq
        self.says = says


def verify(
    place: Place,
    key: bytes,
    anchor_file: Path | None = None,
    kept: Sequence[AnchorSet] = (),
    *,
    is_outside: bool | None = None,
    minutes: int = HEADS_EVERY,
) -> Verification:
    """Prove a ledger, or a copy of one.

    Args:
        place: the database.
        key: the key it was written with.
        anchor_file: what remembers its heads.
        kept: what else does. Without any anchor the end is unproved, and the verdict says so.
        is_outside: whether others keep the anchor file; None: where it is on another disk, or a pipe.
        minutes: how often a head of a growing ledger is posted to the audit channel.

    Raises:
        LedgerError: there is no such file, or no ledger in it.
    """
    # Before the snapshot: an entry is on the disk before its anchor is, so whatever an anchor names by now is in it. The
    # file goes on growing while the entries are read; what is appended to it then names entries of a later moment.
    known = _known_by_now(anchor_file) if anchor_file else None
    if is_outside is None:
        is_outside = anchor_file is not None and is_kept_elsewhere(place, anchor_file)
    store = open_store(place, read_only=True)
    try:
        # SQLite lets go of Python while it works, so its own check costs no time where there is a second core.
        with ThreadPoolExecutor(1) as beside, store.snapshot():
            seal = AnchorSeal(key, _id_of(store, key))
            expected = []
            if known is not None:
                expected.append(_Expected(AnchorSet("", (), is_outside, is_of_each=True), seal, *known))
            expected += [_Expected(one, seal, iter(sorted(one.anchors, key=_number))) for one in kept]
            return _Proof(store, key, expected, beside.submit(_integrity, store), minutes).run()
    except LedgerError as error:
        if error.__cause__ is None:
            raise
        says = f"It is damaged: {error.__cause__}."
        if not isinstance(error, StoreRefuses):
            says = (
                f"It could not be read to its end, so nothing is proved: {strip_end(clip_line(str(error.__cause__)))}."
            )
        return Verification(holds=False, entries=0, says=says)
    finally:
        store.close()


def prove(store: Store, key: bytes) -> Verification:
    """Prove what a store holds by itself, in the caller's snapshot or transaction: no anchors, nothing beside the bodies."""
    sound: Future[str] = Future()
    sound.set_result("ok")
    return _Proof(store, key, [], sound, HEADS_EVERY).run()


def _id_of(store: Store, key: bytes) -> str:
    """The id of the ledger; "" where its first entry does not hold, which the walk says in its own words."""
    try:
        return ledger_id(key, store.link(1))
    except (LedgerError, ValueError, TypeError):
        return ""


def is_kept_elsewhere(ledger: Place, anchor_file: Path) -> bool:
    """Whether who can reach the ledger's disk does not have the anchors with it: what comes through a pipe was fetched."""
    return length_of(anchor_file) is None or is_elsewhere(ledger, anchor_file)


_Appended = Callable[[], Iterator[Anchor]]


def _known_by_now(anchor_file: Path) -> tuple[Iterator[Anchor], _Appended]:
    """What a file has by now, read as it is needed, and what it has later; what comes through a pipe, whole."""
    length = length_of(anchor_file)
    if length is None:
        return iter(tuple(anchors_in(anchor_file))), _nothing
    return anchors_in(anchor_file, length), lambda: appended_to(anchor_file, length)


def _nothing() -> Iterator[Anchor]:
    return iter(())


def _integrity(store: Store) -> str:
    """What is wrong beside the bodies, looked for on a connection of its own."""
    try:
        other = store.again()
    except LedgerError as error:
        return str(error.__cause__ or error)
    try:
        return other.integrity()
    finally:
        other.close()


class _Proof:
    """One run over one snapshot."""

    def __init__(
        self, store: Store, key: bytes, expected: Sequence[_Expected], integrity: Future[str], minutes: int
    ) -> None:
        self._store, self._key, self._integrity, self._minutes = store, key, integrity, minutes
        self._expected = expected
        self._derived, self._state = Derived(), ProvedState()
        self._last = Anchor(0, FIRST)
        self._at = b""
        self._below, self._first_below = 0, 0  # rows whose numbers no append ever gives
        self._set_back, self._first_back = 0, 0  # entries that claim an earlier time than the one before

    def run(self) -> Verification:
        """The entries first, whatever else was altered: whoever edits one removes the triggers that are in the way."""
        schema_says = self._store.altered_definitions()
        try:
            self._chain()
            self._ends()
            self._all_belong()
            self._tables(schema_says)
            dropped = self._blobs()
            self._sound()
        except ChainBroken as broken:
            beside = [schema_says] if schema_says and broken.says != schema_says else []
            if self._below and broken.seq != self._first_below:
                beside.append(f"Entry {self._first_below}: {self._put_in()}")
            return self._verdict(broken.says, broken.seq, beside, holds=False)
        except RefusedTransition as refused:
            beside = [schema_says] if schema_says else []
            says = f"{str(refused)[:1].upper()}{str(refused)[1:]}"
            return self._verdict(says, refused.seq, beside, holds=False)
        except LedgerError:
            if not schema_says:
                raise
            return self._verdict(schema_says, None, holds=False)
        except (TypeError, ValueError, KeyError) as error:  # a row that holds what no append ever wrote
            after = self._last.seq + 1
            return self._verdict(f"something after entry {self._last.seq} cannot be read: {error}.", after, holds=False)
        notes = [f"Not checked, like the rest of its ticket: {one}" for one in self._state.notes]
        if dropped:
            notes.append(
                f"{dropped} {'entry names' if dropped == 1 else 'entries name'} raw answers that were dropped."
            )
        if self._set_back:
            times = "once" if self._set_back == 1 else f"{self._set_back} times"
            notes.append(
                f"The clock was set back {times}: entry {self._first_back} claims an earlier time"
                " than the one before it. Lists by time may lack tickets from around there; their numbers do not."
            )
        notes += [note for one in self._expected for note in one.notes()]
        if self._last.seq and not any(one.matched for one in self._expected):
            notes.append("No anchors: whether newer entries were cut off cannot be known.")
        end, says = self._end()
        return replace(
            self._verdict(_not_everything(self._last.seq) if notes or end else says, None, notes, holds=True), end=end
        )

    def _end(self) -> tuple[str, str]:
        """Why its end rests on nothing outside, "" where it does; and what holds where there is nothing else to say."""
        matched = [one for one in self._expected if one.matched]
        outside = [one for one in matched if one.is_outside]
        if not outside:
            return (_beside(max(one.newest for one in matched)) if matched else ""), _not_everything(self._last.seq)
        newest = max(one.newest for one in outside)
        complete = f"complete up to entry {newest}, the newest in an anchor kept elsewhere."
        after = _after(newest, self._last.seq)
        if all(self._is_late(one) for one in outside):
            why = (
                "Those anchors stop earlier than they should: an anchor file has one for each entry, and the audit "
                f"channel a head at least every {self._minutes} minutes. Find out why, and whether entries are missing."
            )
            return f"{complete[:1].upper()}{complete[1:]} {after} {why}", ""
        return "", f"Holds: {self._last.seq} entries, unaltered; {complete} {after}".rstrip()

    def _is_late(self, place: _Expected) -> bool:
        """Whether a place knows less than hvops has told it by the time of the newest entry, if it told anything."""
        if place.is_of_each:
            return self._last.seq - place.newest > _UNDER_WAY
        rows = self._store.walk(place.newest + 1)
        after = (decode(bytes(body), bytes(mac)) for _, body, _, mac in rows)
        due = next((datetime.fromisoformat(one.at) for one in after if not one.is_anchoring), None)
        if due is None:
            return False
        return datetime.fromisoformat(self._at.decode()) - due > timedelta(minutes=2 * self._minutes)

    def _verdict(self, says: str, at: int | None, notes: list[str] | None = None, *, holds: bool) -> Verification:
        head = self._last if self._last.seq else None
        matched = sum(one.matched for one in self._expected)
        anchored = max((one.newest for one in self._expected), default=0)
        return Verification(holds, self._last.seq, says, at, head, matched, tuple(notes or ()), anchored)

    def _chain(self) -> None:
        key, expected, previous = self._key, 1, FIRST
        for seq, body, before, mac in self._store.walk():
            if seq < 1:
                self._below, self._first_below = self._below + 1, self._first_below if self._below else seq
                continue
            if seq != expected:
                raise self._gap(expected, seq, is_ours=entry_mac(key, before, body) == mac)
            if before != previous or entry_mac(key, before, body) != mac:
                raise self._broken_link(seq, body, before, mac)
            for one in self._expected:
                one.meet(seq, mac)
            if (entry := self._state.take(seq, body, mac)) is not None:
                self._derived.add(entry)
            begins = body.find(_AT) + len(_AT)
            at = body[begins : body.index(b'"', begins)]
            if at < self._at:
                self._set_back, self._first_back = self._set_back + 1, self._first_back or seq
            expected, previous, self._at = seq + 1, mac, at
            self._last = Anchor(seq, mac)

    def _gap(self, expected: int, found: int, *, is_ours: bool) -> ChainBroken:
        missing = f"entry {expected} is" if found == expected + 1 else f"entries {expected} to {found - 1} are"
        if is_ours:
            return ChainBroken(expected, f"{missing} missing: deleted, while entry {found} stands.")
        return ChainBroken(
            expected,
            f"{missing} missing, and entry {found}, the next one there, does not match its mac: entries were deleted, or "
            "that one was put in.",
        )

    def _all_belong(self) -> None:
        if self._below:
            raise ChainBroken(self._first_below, self._put_in())

    def _put_in(self) -> str:
        which = "it was" if self._below == 1 else f"it and {self._below - 1} more below entry 1 were"
        return f"{which} put in, as no entry has a number below 1."

    def _broken_link(self, seq: int, body: bytes, before: bytes, mac: bytes) -> ChainBroken:
        """Say what happened to an entry whose link does not hold."""
        if entry_mac(self._key, before, body) == mac:
            said = _number_in(body)
            if said != seq:
                return ChainBroken(seq, f"entry {said} stands in its place: entries were reordered.")
            return ChainBroken(
                seq, f"it does not follow entry {seq - 1}: the ledger forks here, or that entry was replaced."
            )
        if seq == 1 and not self._is_right_key():
            return ChainBroken(
                seq, "not even the newest entry matches this key: it is the wrong key, or all was rewritten."
            )
        if before != self._last.mac:
            return ChainBroken(
                seq, f"neither its link to entry {seq - 1} nor its mac match: it was put in or replaced."
            )
        return ChainBroken(seq, f"bytes do not match their mac: it was edited. It claims the time {_time_in(body)}.")

    def _is_right_key(self) -> bool:
        """Whether at least the newest entry was written with this key."""
        head = self._store.head()
        return head is not None and head[2] == entry_mac(self._key, head[1], head[0])

    def _ends(self) -> None:
        """Compare what is left of the anchors: those beyond the end, and those out of order; and those that came since."""
        for one in self._expected:
            for anchor in one.rest():
                if anchor.seq > self._last.seq:
                    gone = anchor.seq - self._last.seq
                    raise ChainBroken(
                        self._last.seq + 1,
                        f"cut off: {one.name} knows entry {anchor.seq}, so the newest {gone} or more entries are gone.",
                    )
                one.compare(anchor, self._store.mac_of(anchor.seq) or b"")
            for anchor in one.since():
                if one.newest < anchor.seq <= self._last.seq:
                    one.compare(anchor, self._store.mac_of(anchor.seq) or b"")

    def _tables(self, schema_says: str) -> None:
        """The definitions are those of a ledger, and the derived tables show what the entries say."""
        if schema_says:
            raise ChainBroken(None, schema_says)
        shown = {row[0]: row for row in self._store.shown_tickets(COLUMNS)}
        wrong = sorted(set(shown.items()) ^ set(self._derived.rows.items()))
        if not wrong and self._store.lock_claims() == self._derived.claims:
            return
        what = f"the ticket table shows {wrong[0][0]} otherwise" if wrong else "the lock table shows other locks"
        raise ChainBroken(None, f"All entries hold, but {what} than they say. Run hvops audit rebuild.")

    def _sound(self) -> None:
        says = self._integrity.result()
        if says != "ok":
            raise ChainBroken(None, f"All entries hold, but the file is damaged or was altered beside them: {says}.")

    def _blobs(self) -> int:
        """Raw answers still have their digest. Returns how many entries name one that was dropped.

        One that no entry names is no sign of anything: hvops keeps it just before the entry, and may have ended in between.
        """
        kept = set()
        for sha256, data in self._store.blobs():
            if data is None or hashlib.sha256(data).hexdigest() != sha256:
                seq = self._store.naming_blob(sha256)
                says = f"the raw answer {sha256[:12]}… that belongs to it was altered."
                if seq is None:
                    says = f"A raw answer that no entry names, {sha256[:12]}…, was put in or altered."
                raise ChainBroken(seq, says)
            kept.add(sha256)
        return sum(any(sha256 and sha256 not in kept for sha256 in row) for row in self._store.named_blobs())


class _Expected:
    """The anchors of one place, met in the order of the entries; those out of order wait for the end."""

    def __init__(
        self, place: AnchorSet, seal: AnchorSeal, anchors: Iterator[Anchor], appended: _Appended = _nothing
    ) -> None:
        self.name = f"an anchor {place.where}".strip()
        self.is_outside, self.is_of_each = place.is_outside, place.is_of_each
        self.matched = self.newest = 0
        self._appended = appended
        self._where = place.where or "in the anchor file"
        self._seal = seal
        self._strange: dict[Origin, int] = {}
        self._anchors = self._own(anchors)
        self._next = next(self._anchors, None)
        self._late: list[Anchor] = []

    def notes(self) -> Iterator[str]:
        """What was there and says nothing of this ledger."""
        if number := self._strange.get("foreign"):
            yield (
                f"{self._where[0].upper()}{self._where[1:]}, {number} "
                f"{'anchor is' if number == 1 else 'anchors are'} from another ledger and not compared."
            )
        if number := self._strange.get("forged"):
            yield (
                f"{self._where[0].upper()}{self._where[1:]}, {number} {'anchor claims' if number == 1 else 'anchors claim'} to be from this "
                "ledger but not made with its key: forged. Find out who can write there."
            )

    def _own(self, anchors: Iterator[Anchor]) -> Iterator[Anchor]:
        """Those that a holder of the key made; the others are counted."""
        for anchor in anchors:
            origin = self._seal.origin(anchor)
            if origin == "ours":
                yield anchor
            else:
                self._strange[origin] = self._strange.get(origin, 0) + 1

    def meet(self, seq: int, mac: bytes) -> None:
        """Compare every anchor that is due with this entry."""
        while self._next is not None and self._next.seq <= seq:
            if self._next.seq == seq:
                self.compare(self._next, mac)
            else:
                self._late.append(self._next)
            self._next = next(self._anchors, None)

    def compare(self, anchor: Anchor, mac: bytes) -> None:
        """Count a match, or raise Broken."""
        if anchor.mac != mac:
            raise ChainBroken(
                anchor.seq,
                f"it is not the entry that {self.name} remembers: somebody with the key rewrote the ledger.",
            )
        self.matched += 1
        self.newest = max(self.newest, anchor.seq)

    def rest(self) -> Iterator[Anchor]:
        """What no entry has met."""
        yield from self._late
        if self._next is not None:
            yield self._next
        yield from self._anchors

    def since(self) -> Iterator[Anchor]:
        """Its own of what came while the entries were read."""
        return (anchor for anchor in self._appended() if self._seal.origin(anchor) == "ours")


def _number(anchor: Anchor) -> int:
    return anchor.seq


def _not_everything(entries: int) -> str:
    match = "entry matches its mac" if entries == 1 else "entries match their MACs"
    return f"{entries} {match}, but not everything is proved:"


def _after(newest: int, last: int) -> str:
    """What is known of the entries behind the newest anchor, "" where there are none."""
    if newest == last:
        return ""
    those = f"Entry {last} is" if last == newest + 1 else f"Entries {newest + 1} to {last} are"
    return f"{those} unaltered; whether others followed is not known."


def _beside(newest: int) -> str:
    return (
        f"The anchors, the newest of entry {newest}, are on the ledger's own disk: anyone who can truncate one can truncate the other. "
        "So nothing outside shows whether newer entries were removed. Compare with the audit channel (--channel), read the "
        "anchors through a pipe from a place that others control, or set anchor_file to another disk."
    )


def _number_in(body: bytes) -> int | None:
    try:
        return int(json.loads(body)["seq"])
    except (ValueError, KeyError, TypeError):
        return None


def _time_in(body: bytes) -> str:
    try:
        return str(json.loads(body)["at"])
    except (ValueError, KeyError, TypeError):
        return "of nothing readable"
