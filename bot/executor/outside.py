"""Places outside that remember this ledger: one that knows more than it does means that it is an old copy.

Whoever brings back a snapshot of the bot's machine brings back ledger, key and anchor file of the same moment: they fit
each other, and what has happened since is in none of them. So before a start, a resumption and each group these are asked,
in this order: the anchor file; the audit channel; the event logs of the hosts that the run acts on, where hvops leaves a
note before each act. One that cannot be asked is skipped as long as another one has answered lately.

An anchor file on the disk of the ledger is compared like the others, but its word alone is not enough: it comes back with
the same snapshot. Notes are sealed with the ledger's key, and bound to their host, so nobody can put one there that makes
a run stop, or move one; a host can only take its own away.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog

from bot.api.facts import Unknown
from bot.api.queries import RunReader, make_params
from bot.api.rows import Rows
from bot.api.sources import Source
from bot.errors import LedgerError, OutsideSilent
from bot.executor.actions import EVENT_ID, EVENT_LOG, EVENT_SOURCE, log_host, write_event_log_note
from bot.executor.run import KnownElsewhere, Run
from bot.ledger import Entry, Ledger
from bot.ledger.anchors import Anchor, newest
from bot.tickets.run_history import StepInstance

log = structlog.get_logger()

NOT_ASKED = "nobody outside is asked whether this ledger is an old copy: [ledger] require_anchor is false"
AGAIN_SECONDS = 30.0  # between two looks for a start that waits
MARK_SECONDS = 45.0  # for a note before an act and the look behind it, whatever the host does
_FRESH_SECONDS = 2.0  # an answer of the channel that young is used again: Slack takes some fifty such calls a minute
_MOST = 200  # notes of one log, the newest
_SHOWN = 12  # digits of a mac that people compare
_NOTE = re.compile(
    r"\(note of (T-[0-9]{1,15}) plan ([0-9A-Za-z]{0,16}) step ([a-z0-9.-]+) round ([0-9]{1,9}) attempt ([0-9]{1,9}), "
    r"entry ([0-9]{1,16}) mac ([0-9a-f]{64}) ledger ([0-9a-f]{16}) seal ([0-9a-f]{32})\)",
    re.ASCII,
)

Channel = Callable[[], Awaitable[Anchor | None]]
"""Asks the audit channel for the newest head of this ledger's key; None where none stands there. Raises OutsideSilent."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What places outside say of this ledger. Both "": nothing is in the way.

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


class Outside:
    """The places outside, asked for one bot.

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
        no_channel: str = "none is set",
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
        self._told: tuple[float, Anchor | None] | None = None
        self._one_call = asyncio.Lock()

    def sentence(self) -> str:
        """For status and Home, what is not as it should be; "" where all is well."""
        if not self.required:
            return NOT_ASKED
        return self.more or self.silent

    async def compare(self, run: Run, hosts: Sequence[str]) -> Standing:
        """Ask all of them, for a run that is about to act on these hosts. Raises LedgerError."""
        if not self.required:
            return Standing()
        if self.more:
            return Standing(more=self.more)
        silent: list[str] = []
        heard = False
        for place, asking in self._places(run, hosts):
            try:
                more = await asking()
            except OutsideSilent as error:
                silent.append(f"{place}: {error}")
            else:
                if more:
                    return self._knows_more(more)
                self._heard[place] = self._monotonic()
            heard = heard or self._monotonic() - self._heard.get(place, float("-inf")) <= self._patience
        self.silent = (
            "" if heard else f"no place outside can be asked whether this ledger is an old copy ({'; '.join(silent)})"
        )
        return Standing(silent=self.silent)

    async def may_post(self) -> str:
        """Why no head of this ledger may be posted: the channel knows more. "" where it may."""
        if not self.required or self._channel is None:
            return ""
        try:
            more = await self._ask_channel()
        except OutsideSilent:
            return ""
        return self._knows_more(more).more if more else self.more

    async def mark(self, run: Run, at: StepInstance, intent: Entry) -> None:
        """Leave a note on the host before the act, and look whether another copy has left one.

        Both write before they look, so of two copies that act at the same time at least one sees the other. A host that
        takes no note, or shows none, keeps nothing from being done: the places were asked before the group.

        Raises:
            KnownElsewhere: one that this ledger knows nothing of is there.
        """
        if not self.required:
            return
        if self.more:
            raise KnownElsewhere(self.more)
        act = at.step.act
        host = log_host(act) if act is not None else ""
        if act is None or not host:
            return
        try:
            async with asyncio.timeout(MARK_SECONDS):
                says = f"hvops {run.ticket}: {at.step.description}: begins."
                noted = await write_event_log_note(run.parts.actor, act, says, str(self._note(run, at, intent, host)))
                notes = await _notes_on(run, host)
        except (OutsideSilent, TimeoutError) as error:
            log.info("the event log was not asked before an act", host=host, ticket=run.ticket, why=str(error))
            return
        if not noted.startswith("noted"):
            log.info("no note before an act", host=host, ticket=run.ticket, why=noted)
        if more := await asyncio.to_thread(self._more_on, run, host, notes):
            raise KnownElsewhere(self._knows_more(more).more)

    def _note(self, run: Run, at: StepInstance, intent: Entry, host: str) -> Note:
        key, number = at.key
        plain = Anchor(intent.seq, intent.mac)
        note = Note(host, run.ticket, run.proposal.digest[:16], key, number, run.attempt, plain)
        return replace(note, anchor=self._ledger.seal.sign(intent.seq, intent.mac, note.about))

    def _places(self, run: Run, hosts: Sequence[str]) -> Iterator[tuple[str, Callable[[], Awaitable[str]]]]:
        """Each with its name and how it is asked: answers that it knows more, or "". Raises OutsideSilent."""
        yield "the anchor file", self._ask_file
        yield "the audit channel", self._ask_channel
        for host in dict.fromkeys(hosts):
            yield f"the event log of {host}", partial(self._ask_log, run, host)

    async def _ask_log(self, run: Run, host: str) -> str:
        notes = await _notes_on(run, host)
        return await asyncio.to_thread(self._more_on, run, host, notes)

    async def _ask_file(self) -> str:
        path = self._ledger.anchor_file
        try:
            known = await asyncio.to_thread(newest, path, self._ledger.seal)
        except LedgerError as error:
            raise OutsideSilent(str(error)) from None
        if known is None:
            raise OutsideSilent(f"{path.name} holds no anchor of this ledger")
        more = await asyncio.to_thread(self._more, "the anchor file", known)
        if not more and self._ledger.trouble:
            raise OutsideSilent(self._ledger.trouble)
        if not more and not is_elsewhere(self._ledger.path, path):
            raise OutsideSilent("it lies on the ledger's own disk, and a copy of that has both")
        return more

    async def _ask_channel(self) -> str:
        if self._channel is None:
            raise OutsideSilent(self._no_channel)
        async with self._one_call:
            if self._told is None or self._monotonic() - self._told[0] > _FRESH_SECONDS:
                self._told = None
                self._told = self._monotonic(), await self._channel()
            known = self._told[1]
        return await asyncio.to_thread(self._more, "the audit channel", known) if known is not None else ""

    def _more(self, place: str, known: Anchor) -> str:
        """That a place knows something else than the ledger, with both heads; "" where it does not."""
        ours = self._ledger.seal.ledger
        if known.ledger == ours and self._has(known):
            return ""
        head = self._ledger.head()
        here = f"entry {head.seq:,} (mac {head.mac.hex()[:_SHOWN]}…)" if head else "nothing"
        there = f"entry {known.seq:,} (mac {known.mac.hex()[:_SHOWN]}…)"
        if known.ledger != ours:
            there, here = f"{there} of the ledger {known.ledger}", f"{here}, and is {ours}"
        return f"{place} knows {there}, this ledger ends at {here}: was it restored from a copy?"

    def _more_on(self, run: Run, host: str, notes: Sequence[Note]) -> str:
        """The same for the notes of a host: one beyond our end, or one about this ticket that we know nothing of."""
        seal = self._ledger.seal
        own = [note for note in notes if note.anchor.ledger == seal.ledger and seal.holds(note.anchor, note.about)]
        head = self._ledger.head()
        for note in sorted(own, key=lambda one: -one.anchor.seq):
            beyond = head is None or note.anchor.seq > head.seq
            if (beyond or note.ticket == run.ticket) and not self._has(note.anchor):
                said = self._more(f"the event log of {host}", note.anchor)
                return f"{said} A note there says that {note.ticket} began its step {note.step}"
        return ""

    def _has(self, known: Anchor) -> bool:
        entry = self._ledger.entry(known.seq)  # asked after the place: what that knew by then is on our disk by now
        return entry is not None and entry.mac == known.mac

    def _knows_more(self, says: str) -> Standing:
        if not self.more:
            log.error("a place outside knows more than the ledger; nothing acts", says=says)
        self.more = (
            self.more or f"{says.rstrip('.')}. Nothing acts until the newest ledger is back and hvops is started anew"
        )
        return Standing(more=self.more)


def is_elsewhere(ledger: Path, anchor_file: Path) -> bool:
    """Whether an anchor file is on another file system than the ledger, so that no copy of one disk has both."""
    try:
        return ledger.parent.stat().st_dev != anchor_file.parent.stat().st_dev
    except OSError:
        return False


def hosts_of(steps: Sequence[StepInstance]) -> tuple[str, ...]:
    """Where these steps leave notes, each host once."""
    hosts = (log_host(at.step.act) for at in steps if at.step.act is not None)
    return tuple(dict.fromkeys(host for host in hosts if host))


async def standing_of(run: Run, steps: Sequence[StepInstance]) -> Standing:
    """What places outside say, for a run that is about to do these steps. Raises LedgerError."""
    outside = run.parts.outside
    return Standing() if outside is None else await outside.compare(run, hosts_of(steps))


async def _notes_on(run: Run, host: str) -> Sequence[Note]:
    """The notes in the event log of a host, not yet proved. Raises OutsideSilent."""
    await run.parts.planner.resolve_hosts(host)
    asked = make_params(channel=EVENT_LOG, ids=EVENT_ID, most=_MOST, provider=EVENT_SOURCE)
    found = await run.parts.look(run.parts.clock(), None).query(
        Source(RunReader(host, "wevtutil query events", asked), lambda rows: _read_notes(host, rows))
    )
    if isinstance(found, Unknown):
        raise OutsideSilent(found.why.rstrip("."))
    return found.value


def _read_notes(host: str, rows: Rows) -> tuple[Note, ...]:
    """Out of events: whatever is no note of this form is somebody else's, and says nothing."""
    texts = (text for row in rows for text in _texts(row.get("data")))
    return tuple(_note_of(host, found) for text in texts for found in _NOTE.finditer(text))


def _texts(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for one in data.values():
            yield from _texts(one)
    elif isinstance(data, tuple | list):
        for one in data:
            yield from _texts(one)


def _note_of(host: str, found: re.Match[str]) -> Note:
    ticket, digest, step, number, attempt, seq, mac, ledger, seal = found.groups()
    anchor = Anchor(int(seq), bytes.fromhex(mac), ledger, bytes.fromhex(seal))
    return Note(host, ticket, digest, step, int(number), int(attempt), anchor)
