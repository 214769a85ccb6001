"""What the entries of a ticket tell about its run: what has been done, what is in flight, what was so before. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from bot.api.command import StepTimes
from bot.api.plan import UNDO, Group, Plan, Step
from bot.api.rows import Rows
from bot.ledger import Entry
from bot.ledger.entries import HeldBefore, Intent, Interrupted, Outcome, Resumed, StepConfirmed
from bot.ledger.ticket_state import MAY_NAME_A_TICKET
from bot.transport.bounds import weigh

Key = tuple[str, int]  # step and round

DONE: Final = "done"  # what an outcome can say
FAILED, ABANDONED = "failed", "abandoned"
NOT_SENT: Final = "not sent"  # likewise; such a step has not begun
# What *Done* carries is another number in each wait of a step, and for the undo of a step: no plan has so many steps.
_ANEW, _BACK = 1_000_000, 500_000
_BOT: Final = "bot"  # by whom is what no person did


@dataclass(frozen=True, slots=True)
class StepInstance:
    """One step in one round. `number` counts all of them from 1."""

    number: int
    group: Group
    round: int
    step: Step

    @property
    def key(self) -> Key:
        """As the ledger names it."""
        return self.step.key, self.round

    @property
    def begins_group(self) -> bool:
        """Whether the plan is made afresh before it."""
        return self.group.revalidate_before and self.round == 1 and self.group.steps[0] is self.step


@dataclass(frozen=True, slots=True)
class BegunStep:
    """An act that was begun.

    Attributes:
        times: how often the bot has begun this one.
        held_before: whether what it is judged by was so before it was begun for the first time. What was held back before it
            was sent was not begun.
        seq: of its entry.
    """

    at: datetime
    attempt: int
    before: Rows | None
    times: int
    held_before: HeldBefore = ""
    seq: int = 0


@dataclass(slots=True)
class RunHistory:
    """The run so far.

    Attributes:
        intents: the newest intent of each step.
        unsettled: the steps of which an intent stands, and no outcome: also one that was held back when it was begun again.
        outcomes: the outcome of each step; of later rounds without the rows as they were then.
        let_go_on: the steps that had failed when a person last let the run go on.
        seen_begun: the steps in flight that were seen to take effect before an interruption, and of which nobody was asked since.
        let_begin_again: step -> when somebody let the run go on who was asked whether it was done and then undone, and the
            number of that entry.
        images: step -> its before-image, of the first time it was begun: what somebody wants back.
        round_images: the same of the newest round that it was begun in, and of the newest time in it: what it is judged by.
        weight: bytes that all rows take which were noted before and after its acts, those of earlier rounds too.
        ended: when the outcome of each step was written.
        confirmations: how often a person has said that a step by hand is done, since it waits without an interruption: what
            was said before is not so any more where others had the locks, or a person decided, in between; nor is it where the
            wait had come to its end, and the step was begun anew.
        confirmed_by: the name of who said so last.
        confirmer: the same person's id.
        interruptions: how often each step was interrupted while it waited, or begun anew.
        began: when each step was begun for the first time.
        failed: the step whose failure has its group taken back, as what takes it back says; None where nothing does.
        failed_why: why it failed.
    """

    intents: dict[Key, BegunStep] = field(default_factory=dict)
    outcomes: dict[Key, Outcome] = field(default_factory=dict)
    images: dict[str, Rows] = field(default_factory=dict)
    round_images: dict[Key, Rows] = field(default_factory=dict)
    weight: int = 0
    ended: dict[Key, datetime] = field(default_factory=dict)
    confirmations: dict[Key, int] = field(default_factory=dict)
    confirmed_by: dict[Key, str] = field(default_factory=dict)
    confirmer: dict[Key, str] = field(default_factory=dict)
    interruptions: Counter[Key] = field(default_factory=Counter)
    let_go_on: set[Key] = field(default_factory=set)
    seen_begun: set[Key] = field(default_factory=set)
    let_begin_again: dict[Key, tuple[datetime, int]] = field(default_factory=dict)
    unsettled: set[Key] = field(default_factory=set)
    began: dict[Key, datetime] = field(default_factory=dict)
    failed: Key | None = None
    failed_why: str = ""

    def images_of(self, at: StepInstance) -> dict[str, Rows]:
        """Step -> its before-image, as a step is judged by it: of its own group those of its round, of others of their first."""
        newest = {step: rows for (step, turn), rows in self.round_images.items() if turn == 1}
        own = {(step.key, at.round) for step in at.group.steps}
        return self.images | newest | {key[0]: self.round_images[key] for key in own if key in self.round_images}

    def times(self) -> dict[str, StepTimes]:
        """Step -> from when it was first begun, in whatever round, to when the last of its rounds was done."""
        found: dict[str, StepTimes] = {}
        for (step, turn), ended in self.ended.items():
            if self.result((step, turn)) == DONE and (step, turn) in self.began:
                began = self.began[step, turn]
                known = found.get(step, StepTimes(began, ended))
                found[step] = StepTimes(min(began, known.began), max(ended, known.ended))
        return found

    def was_begun(self, key: Key) -> bool:
        """Whether an act of that step may have been sent: one that did not show in time may show later."""
        return key in self.intents

    @property
    def has_begun(self) -> bool:
        """Whether any act may have been sent."""
        return bool(self.intents)

    @property
    def in_flight(self) -> Key | None:
        """The step whose outcome is not known."""
        if len(self.unsettled) == 1:  # as ever: a run of thousands of steps is not looked through for each look at it
            (key,) = self.unsettled
            return key if key in self.intents else None
        return next((key for key in self.intents if key in self.unsettled), None) if self.unsettled else None

    def shown_as(self, at: StepInstance) -> int:
        """What *Done* carries for a step: a number that it has until it is interrupted or begun anew, and no other step ever has."""
        return at.number + _ANEW * self.interruptions[at.key] + (_BACK if at.step.key.startswith(UNDO) else 0)

    def is_untouched(self, key: Key) -> bool:
        """Whether its outcome says that nothing of it has happened: there is nothing to take back."""
        return key in self.outcomes and self.outcomes[key].not_executed

    def may_have_sent(self, steps: Collection[str]) -> bool:
        """Whether an action of one of these steps may have been sent, in whatever round."""
        return any(key[0] in steps and not self.is_untouched(key) for key in self.intents)

    def result(self, key: Key) -> str:
        """What the outcome of a step says; "" where there is none."""
        return self.outcomes[key].result if key in self.outcomes else ""


def result_in_words(outcome: Outcome) -> str:
    """How a step ended, with what that rests on: "done" is said only of what was not so before, or was waited for."""
    if outcome.result == ABANDONED:
        return "stopped before it was done"
    if outcome.result != DONE:
        return outcome.result
    if outcome.not_executed:
        return "done, not by hvops"
    return {"statement": "confirmed, not verified", "already so": "was already done"}.get(outcome.basis, DONE)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What stood of a step before it was begun once more."""

    begun: BegunStep | None = None
    outcome: Outcome | None = None


@dataclass(slots=True)
class StoryReader:
    """Reads the entries of one ticket, in as many pieces as they come."""

    story: RunHistory = field(default_factory=RunHistory)
    _times: Counter[Key] = field(default_factory=Counter)
    _before: dict[Key, _Standing] = field(default_factory=dict)
    _asked: frozenset[Key] = (
        frozenset()
    )  # of which steps the last interruption asks whether they were done and then undone

    def add(self, entries: Iterable[Entry]) -> None:
        """Take in the next entries, oldest first. Raises UnreadableEntry for one that moves the ticket and cannot be read."""
        for entry in entries:
            if entry.kind not in MAY_NAME_A_TICKET:
                self._add(entry)

    def _add(self, entry: Entry) -> None:
        story, told = self.story, entry.data
        if isinstance(told, Intent):
            key = (told.step, told.round)
            self._times[key] += 1
            if key in story.intents or key in story.outcomes:
                self._before[key] = _Standing(story.intents.get(key), story.outcomes.get(key))
            _begin(story, key, entry, told, self._times[key])
        elif isinstance(told, Outcome) and told.result == NOT_SENT:
            key = (told.step, told.round)
            self._times[key] -= 1
            _hold_back(story, key, self._before.pop(key, _Standing()))
            _unheard(story, key)
        elif isinstance(told, Outcome):
            key = (told.step, told.round)
            story.outcomes[key] = told if told.round == 1 else told.model_copy(update={"after": None})
            story.weight += weigh(told.after) if isinstance(told.after, (list, tuple)) else 0
            story.ended[key] = datetime.fromisoformat(entry.at)
            story.unsettled.discard(key)
            story.let_go_on.discard(key)
            story.seen_begun.discard(key)
            self._before.pop(key, None)
        elif isinstance(told, Resumed) and told.by != _BOT:
            story.let_go_on = {key for key, one in story.outcomes.items() if one.result == FAILED}
            story.let_begin_again |= dict.fromkeys(self._asked, (datetime.fromisoformat(entry.at), entry.seq))
            story.seen_begun -= self._asked
            self._asked = frozenset()
        elif isinstance(told, StepConfirmed):
            key = (told.step, told.round)
            story.confirmations[key] = story.confirmations.get(key, 0) + 1
            story.confirmed_by[key] = entry.name or entry.actor
            story.confirmer[key] = entry.actor
        elif isinstance(told, Interrupted):
            self._asked = frozenset(story.unsettled) if told.effect == "asked" else frozenset()
            story.seen_begun |= story.unsettled if told.effect == "seen" else set()
            for key in story.unsettled:
                _unheard(story, key)
                if told.yields_locks:
                    _prove_no_more(story, key)


def story_of(entries: Iterable[Entry]) -> RunHistory:
    """Read the entries of one ticket, oldest first. Raises UnreadableEntry for one that moves it.

    What was held back before it was sent was not begun: it is again as it was before.
    """
    reader = StoryReader()
    reader.add(entries)
    return reader.story


def as_done(story: RunHistory, places: Iterable[StepInstance]) -> RunHistory:
    """The run as if these steps, which were begun, had been seen to be done."""
    seen = {
        place.key: Outcome(
            step=place.key[0], round=place.key[1], attempt=story.intents[place.key].attempt, result=DONE, message=""
        )
        for place in places
    }
    return replace(story, outcomes=story.outcomes | seen, unsettled=story.unsettled - seen.keys())


def positions(plan: Plan) -> tuple[StepInstance, ...]:
    """Every step in every round, in the order in which they run."""
    places = [
        (group, turn, step) for group in plan.groups for turn in range(1, group.times + 1) for step in group.steps
    ]
    return tuple(StepInstance(number, *place) for number, place in enumerate(places, 1))


def _begin(story: RunHistory, key: Key, entry: Entry, told: Intent, times: int) -> None:
    before: Rows | None = told.before
    earlier = story.intents.get(key)
    if earlier is not None or key in story.outcomes:
        _unheard(story, key)
    else:
        _forget_words(story, key)  # a press that was under way while it was held back
    story.intents[key] = BegunStep(
        at=datetime.fromisoformat(entry.at),
        attempt=told.attempt,
        before=before,
        times=times,
        held_before=earlier.held_before if earlier else told.held_before,
        seq=entry.seq,
    )
    story.began.setdefault(key, datetime.fromisoformat(entry.at))
    if told.failed_step:
        story.failed, story.failed_why = (told.failed_step, told.failed_round), told.failed_why
    story.outcomes.pop(key, None)  # an undo that failed, and that a person has let begin again
    story.unsettled = {key}  # the ledger lets nothing begin beside another one in flight
    if before is not None:
        story.weight += weigh(before)
        story.images.setdefault(key[0], before)
        story.round_images[key] = before
        _forget(story, (key[0], key[1] - 1))


def _unheard(story: RunHistory, key: Key) -> None:
    """Let go of who said that a step is done: it is said again, of how things are in the wait that begins now."""
    story.interruptions[key] += 1
    _forget_words(story, key)


def _forget_words(story: RunHistory, key: Key) -> None:
    """Let go of what was said of a step before: it is about another wait, or none."""
    story.confirmations.pop(key, None)
    story.confirmed_by.pop(key, None)
    story.confirmer.pop(key, None)


def _prove_no_more(story: RunHistory, key: Key) -> None:
    """Others had the locks: what its checks told before it does not prove any more that it was its person who did it."""
    if key in story.intents and story.intents[key].held_before == "no":
        story.intents[key] = replace(story.intents[key], held_before="not known")


def _hold_back(story: RunHistory, key: Key, before: _Standing) -> None:
    """Take back that it was begun: how the host was then tells nothing of what is sent hours later.

    What was sent before stands again: in flight, where nobody knows what became of it, and judged by how the host was then.

    Args:
        story: the run.
        key: what was held back before it was sent.
        before: what stood of it before that.
    """
    story.intents.pop(key, None)
    story.unsettled.discard(key)
    story.round_images.pop(key, None)
    if before.begun is not None:
        story.intents[key] = before.begun
        if before.begun.before is not None:
            story.round_images[key] = before.begun.before
        if before.outcome is None:
            story.unsettled.add(key)
        else:
            story.outcomes[key] = before.outcome
        return
    if before.outcome is not None:
        story.outcomes[key] = before.outcome
    story.began.pop(key, None)
    if key[1] == 1:  # a later round leaves that of the first one
        story.images.pop(key[0], None)


def _forget(story: RunHistory, key: Key) -> None:
    """Let go of how it was before a round that is over: thousands of them are more than there is memory for."""
    story.round_images.pop(key, None)
    if key in story.intents:
        story.intents[key] = replace(story.intents[key], before=None)
