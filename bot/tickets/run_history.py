"""What the entries of a ticket tell about its run: what has been done, what is in flight, what was so before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.api.plan import Group, Plan, Step
from bot.api.rows import Rows
from bot.ledger import Entry

Key = tuple[str, int]  # step and round

DONE, FAILED, ABANDONED = "done", "failed", "abandoned"  # what an outcome can say


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
class Intent:
    """An act that was begun. `times` counts how often the bot has begun this one."""

    at: datetime
    attempt: int
    before: Rows | None
    times: int


@dataclass(slots=True)
class RunHistory:
    """The run so far.

    Attributes:
        intents: the newest intent of each step.
        outcomes: the data of each outcome.
        images: step -> its before-image, of the first time it was begun.
        hands: how often a person has said that a step by hand is done.
    """

    intents: dict[Key, Intent] = field(default_factory=dict)
    outcomes: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    images: dict[str, Rows] = field(default_factory=dict)
    hands: dict[Key, int] = field(default_factory=dict)

    @property
    def in_flight(self) -> Key | None:
        """The step whose outcome is not known."""
        return next((key for key in self.intents if key not in self.outcomes), None)

    def is_untouched(self, key: Key) -> bool:
        """Whether its outcome says that nothing of it has happened: there is nothing to take back."""
        return bool(self.outcomes.get(key, {}).get("untouched"))

    def result(self, key: Key) -> str:
        """What the outcome of a step says; "" where there is none."""
        return str(self.outcomes.get(key, {}).get("result", ""))


def story_of(entries: Iterable[Entry]) -> RunHistory:
    """Read the entries of one ticket, oldest first."""
    story = RunHistory()
    for entry in entries:
        if entry.kind not in ("intent", "outcome", "step-confirmed"):
            continue
        key = (str(entry.data["step"]), int(entry.data["round"]))
        if entry.kind == "intent":
            _begin(story, key, entry)
        elif entry.kind == "outcome":
            story.outcomes[key] = entry.data
        else:
            story.hands[key] = story.hands.get(key, 0) + 1
    return story


def positions(plan: Plan) -> tuple[StepInstance, ...]:
    """Every step in every round, in the order in which they run."""
    places = [
        (group, turn, step) for group in plan.groups for turn in range(1, group.times + 1) for step in group.steps
    ]
    return tuple(StepInstance(number, *place) for number, place in enumerate(places, 1))


def _begin(story: RunHistory, key: Key, entry: Entry) -> None:
    before = entry.data.get("before")
    earlier = story.intents.get(key)
    story.intents[key] = Intent(
        at=datetime.fromisoformat(entry.at),
        attempt=int(entry.data["attempt"]),
        before=before,
        times=earlier.times + 1 if earlier else 1,
    )
    if before is not None:
        story.images.setdefault(key[0], before)
