"""One value per command file: `COMMAND = Diagnostic(...)` or `COMMAND = Remediation(...)`.

The name of the file is the name of the command (`check_writers.py` -> `/check-writers`), the first line of its
docstring is its help. Functions and one frozen value, not a base class: nothing to override, and mypy ties what
`collect` finds to what `evaluate` or `plan` reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Generic, TypeVar

from bot.api.facts import Known, Unknown
from bot.api.plan import Gate, Plan, PromisedTime
from bot.api.query_client import QueryClient
from bot.api.report import Report
from bot.api.rows import Rows

A = TypeVar("A")
F = TypeVar("F")


class Role(IntEnum):
    """What a person may do. A higher role may do what a lower one may, except decide for themselves."""

    NOBODY = 0
    VIEWER = 1  # asks
    OPERATOR = 2  # proposes changes
    APPROVER = 3  # decides


class Risk(StrEnum):
    """How much a remediation can hurt; the settings say which risk needs whose decision."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Diagnostic(Generic[A, F]):
    """A command that only looks.

    Attributes:
        examines: whether `hvops doctor` runs it too: on every cluster of the inventory and every host outside of one,
            without an entry in the ledger and without earlier answers. Its one required argument is a target. Doctor
            calls a FAULT a failure and a WARNING a warning; a NOTE decides nothing, so it is skipped; who is `Unknown`
            fails, and what is `Healthy` is well.
    """

    role: Role
    args: type[A]
    collect: Callable[[A, QueryClient], Awaitable[F]]
    evaluate: Callable[[A, F], Report]
    examines: bool = False


@dataclass(frozen=True, slots=True)
class StepTimes:
    """When a step was first begun, and when its outcome was written: the bot's own clock, UTC, from proved entries."""

    began: datetime
    ended: datetime


CHECK_RESULT = (
    "Check: "  # how a sentence of `describe_after` begins that keeps the end from being called done without more
)


@dataclass(frozen=True, slots=True)
class AfterRun:
    """What there is to tell of a run that is done.

    Attributes:
        target: what the plan was for.
        before: step -> its before-image.
        answers: what the checks of `Plan.afterwards` were answered, in their order.
        times: step -> when it was done.
        promises: of the plan that ran.
    """

    target: str
    before: Mapping[str, Rows]
    answers: tuple[Known[Rows] | Unknown, ...]
    times: Mapping[str, StepTimes] = field(default_factory=dict)
    promises: tuple[PromisedTime, ...] = ()


@dataclass(frozen=True, slots=True)
class ProofLine:
    """What a change that has run to its end has proved, or has failed to: "ExecuteResourceControl, proved with crm-01 in T-12"."""

    says: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Remediation(Generic[A, F]):
    """A command that changes something, after a decision.

    Attributes:
        describe_after: puts the answers to `Plan.afterwards` in words, a sentence each: "9 of 11 guests are back". One that
            begins with `CHECK_RESULT` says what the change was meant for and was not seen. Pure;
            it names what did not answer. Without it, or where it raises ValueError, each answer is shown as it was read.
        undo_gates: what has to be so before a person takes back what it did: from new facts, and from the plan that
            takes it back. Those that guard safety block, the others warn. None: the gates of its own plan, made afresh;
            so a command whose gates only make sense on the way there ("hv03 is up", before a drain) says what else. A run
            asks them too before it undoes a group that failed: where one is not known or not met, it leaves that to a person.
        proofs: of a command that is there to prove something: what its tickets on a place, rows of `DoneChanges` in
            every ending, come to; `hvops doctor --migrate` shows them. Pure; raises ValueError for what it cannot read.
        plan_on: makes the plan anew half-way, before the group of that key: for a command whose own steps have changed what
            its facts say by then. It names every safety gate of the approved plan again, and at least that group.
            None: `plan` makes it.
    """

    role: Role
    risk: Risk
    args: type[A]
    collect: Callable[[A, QueryClient], Awaitable[F]]
    plan: Callable[[A, F], Plan]
    undo_gates: Callable[[A, F, Plan], tuple[Gate, ...]] | None = None
    describe_after: Callable[[AfterRun], Sequence[str]] | None = None
    proofs: Callable[[Rows], Sequence[ProofLine]] | None = None
    plan_on: Callable[[A, F, str], Plan] | None = None
