"""What a remediation answers: exactly what will run, and the proof that it worked.

The digest covers everything in `Plan` but `because` and `evidence`: steps, targets, gates' verdicts, locks,
way back. Measurements (times, free bytes, the order of guests) belong into those two, beside the digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.vocabulary.actions import Action
from bot.vocabulary.questions import Operator, Question, Value


@dataclass(frozen=True, slots=True)
class Expect:
    """Rows that match all terms of `where`: between `at_least` and `at_most` of them, `each` true for every one."""

    where: tuple[tuple[str, Operator, Value], ...] = ()
    each: tuple[tuple[str, Operator, Value], ...] = ()
    at_least: int = 1
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Versus:
    """Columns compared with the before-image of a step."""

    step: str
    columns: tuple[str, ...]
    same: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """A question with an expected answer; asked every `every` seconds until it holds or `within` has passed."""

    question: Question
    holds: tuple[Expect | Versus, ...]
    within: int = 0
    every: int = 5
    give_up: Expect | None = None
    silence: Literal["unknown", "wait"] = "unknown"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done, or waited for where `act` is None."""

    key: str
    says: str
    act: Action | None
    done: tuple[Check, ...]
    guard: tuple[Check, ...] = ()
    deadline: int = 60
    before: Question | None = None
    undo: Action | None = None
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Steps between which the plan is not made afresh."""

    key: str
    steps: tuple[Step, ...]
    times: int = 1
    on_failure: Literal["stop", "undo"] = "stop"


@dataclass(frozen=True, slots=True)
class Gate:
    """Something that had to be so before a plan could be made, and whether it was."""

    says: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What people read, what is signed, and what runs."""

    because: str
    impact: str
    way_back: str
    locks: tuple[str, ...]
    gates: tuple[Gate, ...]
    groups: tuple[Group, ...]
    evidence: tuple[str, ...] = ()
