"""One run: which ticket, how far it is, and how it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypedDict

from bot.api.plan import Step
from bot.api.rows import Rows
from bot.executor.context import BOT, RunContext, TicketChange
from bot.formatting import format_time
from bot.ledger import Entry
from bot.ledger.entries import Approved, Intent, OfRun, Outcome, Resumed, Transition
from bot.ledger.ledger import CHANGES_STOPPED
from bot.tickets.expired_answers import why_answers_expired
from bot.tickets.proposal import Proposal, answers_until, proposal_from
from bot.tickets.run_history import Key, RunHistory, StepInstance, StoryReader, positions, story_of
from bot.tickets.undo import is_half_done, may_have_changed


class Cancelled(Exception):
    """Somebody wants the run to end. Only inside of `run`: waits are abandoned, acts never."""


class Preempted(Exception):
    """Somebody needs the locks while this run only waits. Only inside of `run`."""


class KnownElsewhere(Exception):
    """Nothing may be done now: an external record knows more than the ledger, or none can be read. Only inside of `run`.

    Attributes:
        may_be_sent: the host has a note that this ledger knows nothing of: another copy may have sent the very act.
    """

    def __init__(self, says: str, *, may_be_sent: bool = False) -> None:
        super().__init__(says)
        self.may_be_sent = may_be_sent


class NotAllowedNow(Exception):
    """Who asked or decided has lost the role meanwhile. Only inside of `run`."""


class LeftToPerson(Exception):
    """What a failed group's undo needs is not known, or not so: hvops does not undo it by itself. Only inside of `run`."""


class OutOfTime(Exception):
    """Its deadline has passed: no further step starts. Only inside of `run`."""


def _without_images(entry: Entry) -> Entry:
    """An entry of a step as what it is, without what it says: the story has read that, and keeps what counts."""
    return replace(entry, fields={}) if entry.kind in (Intent.kind, Outcome.kind) else entry


class StepPlace(TypedDict):
    """A step, in a round, in an attempt."""

    step: str
    round: int
    attempt: int


@dataclass(slots=True)
class Run:
    """A ticket that is being run.

    Attributes:
        answered: what a person said they know, by name, where no source did; what was said too long ago is not among it.
        outdated: what was, and counts no more.
        rests_on: what still counted of it when the plan was last made afresh; None where this life of the bot has not done that.
        attempt: which one this is, 0 before its start; every entry carries it, and an older one is refused.
        places: every step in every round.
        idle: set while no act is under way, from the entry of its intent to its answer.
        preempt_requested: somebody needs its locks.
        heeds_cancel: False while it takes back what failed, also where that failed before a crash.
        failed: the step whose failure has its group taken back; None where nothing is.
        failed_why: why it failed.
        not_before: when it is worth trying again to start it, where only time is missing.
        looked: the newest entry that there was before the plan was made afresh the last time.
        measured: how it stood when the plan was made afresh, in the words of that plan.
        must_lead: raises LedgerError where another process may be the one that runs what was decided.
        locked_at: from when on no other process could send anything of it, by a clock that nobody sets.
        looked_at: when a host was first heard about a step that an earlier life of the bot sent, by the same.
        seen_begun: steps without a known outcome that were seen to have changed something since it was taken up.
        sent: when it began each step itself, by a clock that nobody sets; nothing that an earlier run of it began.
        to_undo: the undos of the group that failed, in their order, those that are done among them.
        is_undo_checked: what has to be so before them was asked, and the run has not been held since.
        decided: the entries in which people approved it, or let it go on.
        unasked: no external record could be read when it was taken up; until one can, nothing is started.
        undoes_half_done: it undoes what another ticket left half done; None where it undoes none, or has not read it yet.
        has_waited: for whatever, since the last look between two acts, or another life of the bot did that look: what it saw
            may be so no more.
    """

    parts: RunContext
    ticket: str
    proposal: Proposal
    approver: str = ""
    answered: frozenset[str] = frozenset()
    outdated: frozenset[str] = frozenset()
    rests_on: frozenset[str] | None = None
    attempt: int = 0
    places: tuple[StepInstance, ...] = ()
    story: RunHistory = field(default_factory=RunHistory)
    older: dict[str, Rows] = field(default_factory=dict)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    preempt_requested: bool = False
    heeds_cancel: bool = True
    failed: StepInstance | None = None
    failed_why: str = ""
    not_before: datetime | None = None
    looked: int = 0
    measured: str = ""
    must_lead: Callable[[], None] = lambda: None
    locked_at: float | None = None
    looked_at: dict[Key, float] = field(default_factory=dict)
    seen_begun: set[Key] = field(default_factory=set)
    sent: dict[Key, float] = field(default_factory=dict)
    unasked: bool = False
    has_waited: bool = True
    now_at: StepInstance | None = None
    to_undo: tuple[Step, ...] = ()
    is_undo_checked: bool = False
    undoes_half_done: bool | None = None
    decided: list[Entry] = field(default_factory=list)
    _said: str = ""
    _approved: Approved | None = None
    _entries: list[Entry] = field(default_factory=list)
    _reader: StoryReader = field(default_factory=StoryReader)
    _by_key: dict[Key, StepInstance] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is under way yet."""
        self.idle.set()

    @property
    def images(self) -> dict[str, Rows]:
        """The before-images, those of the ticket that is taken back among them.

        A step of the plan is judged by how it was before what was sent last, what takes it back by how it was at first.
        """
        at = self.now_at
        return self.older | (self.story.images_of(at) if at and self.is_planned(at) else self.story.images)

    def was_seen_begun(self, key: Key) -> bool:
        """Whether a step without a known outcome was seen to have changed something, in this run or before an interruption."""
        return key in self.seen_begun or key in self.story.seen_begun

    @property
    def is_taking_back(self) -> bool:
        """Whether a group that failed is being taken back: something was begun that is no step of the plan."""
        return not self.story.intents.keys() <= {place.key for place in self.places}

    def refresh(self) -> list[Entry]:
        """Read the ledger again, beside the loop: it is the only state."""
        after = self._entries[-1].seq if self._entries else 0
        new = self.parts.ledger.moves(self.ticket, after)
        self._reader.add(new)
        self._entries += map(_without_images, new)
        self.decided += [
            entry for entry in new if entry.kind == "approved" or (entry.kind == "resumed" and entry.actor != BOT)
        ]
        self.story, entries = self._reader.story, self._entries
        if not self.places:
            self.places = positions(self.proposal.plan)
            self._by_key = {place.key: place for place in self.places}
        approvals = [entry for entry in self.decided if entry.kind == "approved"]
        if approvals:
            self.approver = f"{approvals[-1].name} ({approvals[-1].actor})".strip()
            self._approved = approvals[-1].read(Approved)
            self._take_answers(self._approved)
        if self.proposal.made.undoes:
            moves = self.parts.ledger.moves(self.proposal.made.undoes)
            story = story_of(moves)
            self.older = story.images
            if self.undoes_half_done is None:  # what goes on there voids this one
                self.undoes_half_done = is_half_done(proposal_from(moves[0]).plan, story)
        return entries

    def is_planned(self, at: StepInstance) -> bool:
        """Whether it is a step of the plan, and none that takes another one back."""
        return self._by_key.get(at.key) is at

    def place(self, key: Key | None) -> StepInstance | None:
        """The step of the plan with that key; None where there is none."""
        return None if key is None else self._by_key.get(key)

    def around(self, at: StepInstance) -> list[StepInstance]:
        """The steps of its group, in one of its rounds; a step that takes another one back stands alone."""
        if not self.is_planned(at):
            return [at]
        return [self._by_key[step.key, at.round] for step in at.group.steps]

    def is_late(self) -> bool:
        """Whether its deadline has passed."""
        until = self.proposal.run_until
        return bool(until) and self.parts.now() > datetime.fromisoformat(until)

    @property
    def late_in_words(self) -> str:
        """That its deadline has passed, as a reason."""
        return f"the deadline, {format_time(self.proposal.run_until)}, has passed, so no further step starts"

    def _take_answers(self, said: Approved) -> None:
        names = frozenset(one.what for one in said.answers)
        counts = not names or self.parts.now() <= answers_until(self.proposal, said.start_by)
        self.answered, self.outdated = (names, frozenset()) if counts else (frozenset(), names)

    async def must_be_led_here(self) -> None:
        """Ask again, beside the loop, whether another process may be running it. Raises LedgerError."""
        await asyncio.to_thread(self.must_lead)

    async def write(self, transition: Transition, check: Callable[[], None] | None = None) -> Entry:
        """Append about this ticket, read it back, and tell.

        What became of an act is written down by whoever sent it, unless a later attempt has begun; all else only by whoever
        runs it. Raises LedgerError, TicketError.

        Args:
            transition: what it says.
            check: raises where it may not be written now; asked in its transaction.
        """
        if not isinstance(transition, Outcome):
            await self.must_be_led_here()
        # What ends a run, or interrupts it, has no number of its own: whoever runs it is asked once more in its transaction.
        asked = check or (self.must_lead if isinstance(transition, OfRun) else None)
        how = {"check": asked} if asked is not None else {}
        entry = await self.parts.write(self.ticket, transition, **how)
        await asyncio.to_thread(self.refresh)
        self.tell(entry.kind, entry.message or entry.description or entry.reason)
        return entry

    def place_of(self, at: StepInstance) -> StepPlace:
        """Where a step stands, as its intent and its outcome say."""
        return StepPlace(step=at.key[0], round=at.key[1], attempt=self.attempt)

    async def next_attempt(self, reason: str) -> None:
        """Begin the next attempt: whatever an older one still does is refused from now on."""
        ticket = await asyncio.to_thread(self.parts.ledger.ticket, self.ticket)
        assert ticket is not None
        await self.write(Resumed(attempt=ticket.attempt + 1, by=BOT, reason=reason))
        self.attempt = ticket.attempt + 1

    def tell(self, kind: str, says: str = "") -> None:
        """Tell whoever shows this ticket."""
        self.parts.tell(
            TicketChange(self.ticket, kind, self.now_at.number if self.now_at else 0, len(self.places), says)
        )

    async def pause(self, seconds: float, says: str = "") -> None:
        """Wait, in short pieces. Raises Cancelled, Preempted or OutOfTime where the wait is to be abandoned."""
        self.has_waited = True
        if says != self._said:
            self._said = says
            self.tell("progress", says)
        left = seconds
        while left > 0:
            piece = min(left, self.parts.every)
            await self.parts.sleep(piece)
            left -= piece
            await asyncio.to_thread(self.raise_if_cancelled)

    def raise_if_cancelled(self, *, is_sending: bool = False) -> None:
        """Raise Cancelled or Preempted where somebody asked for it, OutOfTime after its deadline. It reads the ledger: beside the loop.

        What finishes by itself is waited for first; `is_sending`: its act has not gone out yet.
        """
        ticket = self.parts.ledger.ticket(self.ticket)
        waits_for_its_end = self._finishes() and not is_sending
        if self.heeds_cancel and not waits_for_its_end and ticket is not None and ticket.cancel_asked:
            raise Cancelled
        if self.preempt_requested and self._may_give_way():
            raise Preempted
        if self.is_late() and not waits_for_its_end:
            raise OutOfTime

    def _finishes(self) -> bool:
        """Whether a step is in flight whose end is waited for in any case."""
        flying = self._by_key.get(self.story.in_flight or ("", 0))
        return flying is not None and flying.step.finishes

    @property
    def may_be_asked_to_give_way(self) -> bool:
        """Whether it is where it gives way, or among repeated acts between which it does, each only for a moment."""
        at = self.now_at
        if at is None or self.proposal.made.undoes:
            return False
        return at.step.yields_locks or at.group.gives_way_between

    def _may_give_way(self) -> bool:
        """Whether nothing of ours is under way, in a step or between steps that may be left; what is to be undone is undone first.

        An undo has the locks of a ticket that may be half done: nobody else changes anything there before it has ended.
        """
        at = self.now_at
        if at is None or not self.heeds_cancel or self.proposal.made.undoes:
            return False
        return at.step.yields_locks or (at.group.gives_way_between and at.key not in self.story.intents)

    async def wait_until_allowed(self, at: StepInstance) -> bool:
        """Wait while a repeated group may not go on: between its steps nothing is under way. Whether it had to wait.

        Raises Cancelled, Preempted, OutOfTime: whoever needs its locks meanwhile has them.
        """
        has_waited = False
        while why := self.why_it_waits(at):
            await asyncio.to_thread(self.raise_if_cancelled, is_sending=True)
            has_waited = True
            await self.pause(self.parts.every, f"waiting: {why}")
        return has_waited

    def why_it_waits(self, at: StepInstance) -> str:
        """The window in which nothing of a repeated group begins, as a sentence without its full stop; "" where it may."""
        return self.parts.may_start_now(self.proposal, self.parts.now()) if at.group.is_counted else ""

    def why_it_does_not_begin(self, at: StepInstance) -> str:
        """The freeze in which the first act of all does not go out; "" where it may, or something was changed before."""
        if self._has_changed_before(at) or not self.heeds_cancel:
            return ""
        return self.parts.may_begin_now(self.proposal, self.answered, self.parts.now(), bool(self.undoes_half_done))

    def why_answers_expired(self, at: StepInstance) -> str:
        """The approver's answers that an action rests on and that have expired, as a sentence without its full stop; "" for none.

        By the time now, however long ago the ledger was read. What undoes a group that failed restores, and rests on none; nor
        does what was made afresh since without them.
        """
        if self._approved is None or not self.is_planned(at) or self.rests_on == frozenset():
            return ""
        return why_answers_expired(self.proposal, self._approved, self.story, at, self.parts.now())

    def _has_changed_before(self, at: StepInstance) -> bool:
        """Whether another act may have been sent, or a person has changed something by hand; a wait changes nothing.

        Where a person was asked, what counts is that they said so and that it was accepted. What never went out has changed
        nothing, also where its checks are met by now.
        """
        story = self.story
        return any(
            self._changes(self._by_key.get(key))
            for key, begun in story.intents.items()
            if key != at.key or begun.times > 1
        )

    def _changes(self, begun: StepInstance | None) -> bool:
        if begun is None:  # no step of the plan: it takes one back
            return True
        return may_have_changed(begun, self.story)

    async def wait_while_stopped(self) -> bool:
        """Nothing begins while /hvops stop is in force, or was asked for and nobody has answered that yet.

        Returns whether it had to wait. Raises Cancelled, Preempted, OutOfTime.
        """
        told, has_waited = "", False
        while why := await asyncio.to_thread(self.parts.ledger.why_blocked):
            await asyncio.to_thread(self.raise_if_cancelled, is_sending=True)
            is_stopped = why == CHANGES_STOPPED
            # Most requests are answered in a moment, and need no word on the card.
            if why != told and (is_stopped or has_waited):
                waits = (
                    "what failed is not undone" if self.is_taking_back or not self.heeds_cancel else "nothing starts"
                )
                self.tell(
                    "stopped",
                    f"/hvops stop is in force; {waits} until /hvops go."
                    if is_stopped
                    else f"A request to stop changes is pending; {waits} until it is answered.",
                )
                told = why
            has_waited = True
            await self.pause(self.parts.every)
        return has_waited
