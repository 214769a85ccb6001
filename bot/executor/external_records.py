"""External records of this ledger: if one of them knows more than the ledger does, the ledger is a restored copy.

A restored snapshot of the bot's machine brings back ledger, key and anchor file of the same moment: they match each
other, and none of them has what happened since. So before a start, a resumption and each group hvops checks, in this
order: the anchor file; the audit channel; the event logs of the hosts that the run acts on, where it leaves a note before
each act. A record that cannot be read is skipped as long as another one was read lately.

An anchor file on the disk of the ledger is compared like the others, but it alone is not enough: it comes back with
the same snapshot. Notes are sealed with the ledger's key and bound to their host, so nobody can forge one to stop a run,
or move one to another host; a host can only delete its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import structlog

from bot.errors import LedgerError, RecordUnavailable
from bot.ledger import Entry, Ledger, Reader
from bot.ledger.anchors import Anchor, AnchorSeal, is_elsewhere, length_of, newest, recent
from bot.ledger.entries import Intent, Outcome, Proposed, Resumed, Started
from bot.ledger.patience import NoAnswer, PatientThread

log = structlog.get_logger()

NOT_ASKED = "not checked, so a restored copy of the ledger goes unnoticed: [ledger] require_anchor is false"
_FRESH_SECONDS = 2.0  # an answer of the channel that young is used again: Slack takes some fifty such calls a minute
_FILE_SECONDS = 20.0  # for the anchor file just before an act: it may lie on another machine
_WHOLE_FILE_SECONDS = 120.0  # for all of it: others can write so much there that its end tells nothing
_POST_PAUSES = 5  # so much longer than a search of the channel was in vain it is not searched again: Slack counts calls
_SHOWN = 12  # digits of a mac that people compare
_NOTE = re.compile(
    r"\(note of (T-[0-9]{1,15}) plan ([0-9A-Za-z]{0,16}) step ([a-z0-9.-]+) round ([0-9]{1,9}) attempt ([0-9]{1,9}), "
    r"entry ([0-9]{1,16}) mac ([0-9a-f]{64}) ledger ([0-9a-f]{16}) seal ([0-9a-f]{32})\)",
    re.ASCII,
)


class Channel(Protocol):
    """Asks the audit channel for the newest head of this ledger's key."""

    async def __call__(self, *, to_post: bool = False) -> Anchor | None:
        """None where none stands there. Raises RecordUnavailable.

        Args:
            to_post: whether a head is to be posted next: who asks has time for much of the channel.
        """


@dataclass(frozen=True, slots=True)
class RecordCheck:
    """What the external records say about this ledger. Both "": nothing is in the way.

    Attributes:
        more: that one of them knows more, with both heads.
        silent: that none of them could be asked, and why.
    """

    more: str = ""
    silent: str = ""

    @property
    def says(self) -> str:
        """Why nothing begins now, or ""."""
        return self.more or self.silent


@dataclass(frozen=True, slots=True)
class Note:
    """What hvops wrote into the event log of a host before it acted there.

    Attributes:
        anchor: the entry of the intent.
    """

    host: str
    ticket: str
    digest: str
    step: str
    round: int
    attempt: int
    anchor: Anchor

    @property
    def about(self) -> str:
        """What the seal binds beside the anchor."""
        told = f"{self.host.casefold()} {self.ticket} {self.digest} {self.step} {self.round} {self.attempt}"
        return f"note {told}"

    def __str__(self) -> str:
        """As it stands in the log, behind the sentence for people."""
        anchor = self.anchor
        return (
            f"(note of {self.ticket} plan {self.digest} step {self.step} round {self.round} attempt {self.attempt}, "
            f"entry {anchor.seq} mac {anchor.mac.hex()} ledger {anchor.ledger} seal {anchor.seal.hex()})"
        )


@dataclass(frozen=True, slots=True)
class LogPage:
    """The newest events that say they are of hvops, in the log of a host.

    Attributes:
        notes: those of the form of a note, not proved yet.
        read: how many events there are in it.
        is_whole: whether no older ones were left unread.
        since: when the oldest of them was written, by the clock of the host; None where that cannot be read.
        begins: when the oldest event of the whole log was written, whosever it is; None where that cannot be read.
    """

    notes: tuple[Note, ...] = ()
    read: int = 0
    is_whole: bool = True
    since: datetime | None = None
    begins: datetime | None = None

    def reaches(self, moment: datetime) -> bool:
        """Whether everything is in it that was written after that moment.

        Others can write such events too, so many that a note stands behind them; or fill or clear the log until it is gone.
        """
        if self.begins is not None and self.begins >= moment:
            return False
        return self.is_whole or (self.since is not None and self.since < moment)


ReadNotes = Callable[[str], Awaitable[LogPage]]
"""Reads the event log of a host. Raises RecordUnavailable."""


class ExternalRecords:
    """The external records of one bot's ledger.

    Attributes:
        more: that one of them knew more, with both heads; nothing acts in this process from then on. "" so far.
        silent: why the last one who asked got no answer from any of them; "" where there was one.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        required: bool,
        minutes: int,
        channel: Channel | None = None,
        no_channel: str = "not configured",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the parts.

        Args:
            ledger: what they are asked about.
            required: False: nobody is asked, and everything goes on.
            minutes: for so long an answer stands for those who cannot be asked now.
            channel: asks the audit channel; None where there is none.
            no_channel: why there is none.
            monotonic: a clock that nobody sets, in seconds.
        """
        self.required = required
        self.more = self.silent = ""
        self._ledger, self._channel, self._no_channel = ledger, channel, no_channel
        self._patience, self._monotonic = minutes * 60.0, monotonic
        self._heard: dict[str, float] = {}
        self._compared: int | None = ledger.anchors_read  # bytes of the anchor file
        self._told: tuple[float, Anchor | None] | None = None
        self._one_call = asyncio.Lock()
        self._not_posted, self._posts_again = "", float("-inf")
        self._asking = PatientThread("anchor file")

    def sentence(self) -> str:
        """For status and Home, what is not as it should be; "" where all is well."""
        if not self.required:
            return NOT_ASKED
        return self.more or self.silent

    async def compare(self, ticket: str, hosts: Sequence[str], notes_on: ReadNotes) -> RecordCheck:
        """Ask all of them, for a ticket that is about to act on these hosts. Raises LedgerError."""
        if not self.required:
            return RecordCheck()
        if self.more:
            return RecordCheck(more=self.more)
        silent: list[str] = []
        heard = False
        for place, asking in self._places(ticket, hosts, notes_on):
            try:
                more = await asking()
            except RecordUnavailable as error:
                silent.append(f"{place}: {error}")
            else:
                if more:
                    return self._knows_more(more)
                self._heard[place] = self._monotonic()
            heard = heard or self._monotonic() - self._heard.get(place, float("-inf")) <= self._patience
        self.silent = (
            "" if heard else f"no external record can show whether this ledger is a restored copy ({'; '.join(silent)})"
        )
        return RecordCheck(silent=self.silent)

    async def may_post(self) -> str:
        """Why no head of this ledger may be posted: the channel knows more, or what it knows is not known. "" where it may.

        A head of ours is the newest one there as soon as it is posted, and is taken for the answer from then on. So it is only
        posted where the time before it was answered for; else a restored copy would answer itself, and the true ledger find
        an entry there that it knows nothing of. Raises LedgerError.
        """
        if not self.required or self._channel is None:
            return ""
        if self.more or self._monotonic() < self._posts_again:
            return self.more or self._not_posted
        begun = self._monotonic()
        try:
            known = await self._channel(to_post=True)
        except RecordUnavailable as error:
            ended = self._monotonic()
            self._posts_again = ended + _POST_PAUSES * (ended - begun)
            self._not_posted = f"what the audit channel holds of this ledger is not known ({error})"
            return self._not_posted
        more = await asyncio.to_thread(self._more, "the audit channel", known) if known is not None else ""
        return self._knows_more(more).more if more else self.more

    def note(self, about: Note) -> Note:
        """The same note, sealed."""
        return replace(about, anchor=self._ledger.seal.sign(about.anchor.seq, about.anchor.mac, about.about))

    async def refuses(self, ticket: str, host: str, notes: Sequence[Note]) -> str:
        """Why a step of this ticket may not be done, by the event log of its host and the anchor file; "" where it may.

        The file also has the head of a second process: what that wrote, a stop perhaps, may have been cut off since.
        """
        if self.more:
            return self.more
        more = await asyncio.to_thread(self._more_on, ticket, host, notes)
        with contextlib.suppress(RecordUnavailable):
            more = more or await self._ask_file(_FILE_SECONDS)
        return self._knows_more(more).more if more else ""

    def knows_more_by(self, ticket: str, host: str, notes: Sequence[Note]) -> bool:
        """Whether notes of a host tell more of a ticket than the ledger."""
        return bool(self._more_on(ticket, host, notes))

    def _places(
        self, ticket: str, hosts: Sequence[str], notes_on: ReadNotes
    ) -> Iterator[tuple[str, Callable[[], Awaitable[str]]]]:
        """Each with its name and how it is asked: answers that it knows more, or "". Raises RecordUnavailable."""
        yield "the anchor file", self._ask_file
        yield "the audit channel", self._ask_channel
        for host in dict.fromkeys(hosts):
            yield f"the event log of {host}", partial(self._ask_log, ticket, host, notes_on)

    async def _ask_log(self, ticket: str, host: str, notes_on: ReadNotes) -> str:
        page = await notes_on(host)
        return await asyncio.to_thread(self._read_log, ticket, host, page)

    def _read_log(self, ticket: str, host: str, page: LogPage) -> str:
        if more := self._more_on(ticket, host, page.notes):
            return more
        if unread := unread_in(page, newest_checked(self._ledger.moves(ticket)) or self._ledger.entry(1)):
            raise RecordUnavailable(unread)
        return ""

    async def _ask_file(self, seconds: float | None = None) -> str:
        """On a thread that nobody waits for: the file may be on a share whose server is away."""
        try:
            return await self._asking.ask(self._read_file, _WHOLE_FILE_SECONDS if seconds is None else seconds)
        except NoAnswer as error:
            raise RecordUnavailable(f"{self._ledger.anchor_file.name}: {error}") from None

    def _read_file(self) -> str:
        trouble = self._ledger.settle_anchors()  # what was just written down as well
        path, written = self._ledger.anchor_file, self._ledger.written
        try:
            known = newest(path, self._ledger.seal)
        except LedgerError as error:
            raise RecordUnavailable(str(error)) from None
        if known is None:
            raise RecordUnavailable(f"no anchor of this ledger in {path.name}")
        more = self._more("the anchor file", known) or self._forks()
        if not more and written is not None and known.seq < written.seq:
            raise RecordUnavailable(
                f"{path.name} does not hold the anchor of entry {written.seq:,}, which hvops wrote there"
            )
        if not more and trouble:
            raise RecordUnavailable(trouble)
        if not more and not is_elsewhere(self._ledger.place, path):
            raise RecordUnavailable("on the same disk as the ledger, so a restored copy would include both")
        return more

    async def _ask_channel(self) -> str:
        if self._channel is None:
            raise RecordUnavailable(self._no_channel)
        async with self._one_call:
            if self._told is None or self._monotonic() - self._told[0] > _FRESH_SECONDS:
                self._told = None
                self._told = self._monotonic(), await self._channel()
            known = self._told[1]
        return await asyncio.to_thread(self._more, "the audit channel", known) if known is not None else ""

    def _forks(self) -> str:
        """That the file has an anchor of something else than stands here at that number; "" for none."""
        length = length_of(self._ledger.anchor_file)
        for one in recent(self._ledger.anchor_file, self._ledger.seal, self._compared):
            found = self._ledger.entry(one.seq)
            if found is None or found.mac != one.mac:
                return self._more("the anchor file", one)
        self._compared = length
        return ""

    def _more(self, place: str, known: Anchor) -> str:
        return knows_more(self._ledger, self._ledger.seal, place, known)

    def _more_on(self, ticket: str, host: str, notes: Sequence[Note]) -> str:
        return notes_know_more(self._ledger, self._ledger.seal, host, notes, ticket)

    def _knows_more(self, says: str) -> RecordCheck:
        if not self.more:
            log.error("an external record knows more than the ledger; nothing runs", says=says)
        self.more = (
            self.more or f"{says.rstrip('.')}. Nothing runs until the newest ledger is put back and hvops is restarted"
        )
        return RecordCheck(more=self.more)


def knows_more(ledger: Reader, seal: AnchorSeal, place: str, known: Anchor) -> str:
    """That a place knows something else than the ledger, with both heads; "" where it does not.

    Args:
        ledger: read after the place was asked: what that knew by then is on the disk by now.
        seal: of the ledger.
        place: as it begins a sentence: "the audit channel".
        known: an anchor of the ledger's key.
    """
    if known.ledger == seal.ledger and ledger.has(known):
        return ""
    head, ours = ledger.head(), ledger.entry(known.seq)
    here = f"entry {head.seq:,} (mac {head.mac.hex()[:_SHOWN]}…)" if head else "nothing"
    there = f"entry {known.seq:,} (mac {known.mac.hex()[:_SHOWN]}…)"
    if known.ledger != seal.ledger:
        there, here = f"{there} of ledger {known.ledger}", f"{here} and has the id {seal.ledger}"
    elif ours is not None:  # both went on from the same moment
        there += f", here with mac {ours.mac.hex()[:_SHOWN]}…"
    return f"{place} records {there}, but this ledger ends at {here}; it looks like a restored copy"


def notes_know_more(
    ledger: Reader, seal: AnchorSeal, host: str, notes: Sequence[Note], ticket: str | None = None
) -> str:
    """The same for the notes of a host: one beyond our end, or one that the ledger knows nothing of.

    Args:
        ledger: read after the host was asked.
        seal: of the ledger.
        host: whose notes these are.
        notes: not proved yet.
        ticket: within the ledger's length only notes about this one are looked at; None: all are. A copy that has grown
            past a note is known by it all the same.
    """
    own = [note for note in notes if note.anchor.ledger == seal.ledger and seal.holds(note.anchor, note.about)]
    head = ledger.head()
    for note in sorted(own, key=lambda one: -one.anchor.seq):
        beyond = head is None or note.anchor.seq > head.seq
        if (beyond or ticket in (None, note.ticket)) and not ledger.has(note.anchor):
            said = knows_more(ledger, seal, f"the event log of {host}", note.anchor)
            return f"{said}. A note there says that {note.ticket} started its step {note.step}"
    return ""


def newest_checked(entries: Iterable[Entry]) -> Entry | None:
    """The newest entry of a ticket that no restored copy has written unasked: what it lacks of that ticket is later.

    A copy goes on writing: questions, presses, an approval that was already given once, the outcome of what was in flight when it
    was made. None of that shows that it knows what was done before. A start and an intent are only written where an external
    record has answered, an outcome where the same life of the bot wrote the intent; and nothing is done before a proposal.

    Args:
        entries: that move one ticket, oldest first.
    """
    newest, is_same_life = None, False
    for entry in entries:
        if entry.kind in (Proposed.kind, Started.kind, Intent.kind):
            newest, is_same_life = entry, True
        elif entry.kind == Resumed.kind:
            is_same_life = False
        elif entry.kind == Outcome.kind and is_same_life:
            newest = entry
    return newest


def unread_in(page: LogPage, since: Entry | None) -> str:
    """Why a log shows nothing although no note in it knows more: not everything was read that was written since an entry.

    Args:
        page: what was read.
        since: see `newest_checked`; None in an empty ledger.
    """
    if since is None:
        return ""
    moment = datetime.fromisoformat(since.at)
    if page.reaches(moment):
        return ""
    about = f"entry {since.seq:,}{f' of {since.ticket}' if since.ticket else ''} ({_minute(moment)})"
    if page.begins is not None and page.begins >= moment:
        return f"its oldest event ({_minute(page.begins)}) is no older than {about}: it was cleared or overwritten"
    return f"its newest {page.read} hvops events do not reach back to {about}, and older ones were not read"


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def notes_in(host: str, texts: Iterable[str]) -> tuple[Note, ...]:
    """Out of what a log says: whatever is no note of this form is somebody else's, and says nothing."""
    return tuple(_note_of(host, found) for text in texts for found in _NOTE.finditer(text))


def _note_of(host: str, found: re.Match[str]) -> Note:
    ticket, digest, step, number, attempt, seq, mac, ledger, seal = found.groups()
    anchor = Anchor(int(seq), bytes.fromhex(mac), ledger, bytes.fromhex(seal))
    return Note(host, ticket, digest, step, int(number), int(attempt), anchor)
