"""What a remediation answers: exactly what will run, and the proof that it worked.

The digest covers steps, targets, what the gates say and whether they passed, locks and the way back. Measurements
(times, free bytes, counts, the order of guests) belong into `reason`, `impact`, `evidence` and a gate's `measured`,
which stand beside the digest: a plan whose digest holds a measurement is void the moment anything moves.

A plan without groups does nothing, and `reason` says why. A plan with a blocking gate that did not pass makes no
ticket; `remedies` are then the buttons that help. A gate that only takes time may pass between decision and start.
Where all that is missing are answers that no source gave, the plan is proposed with each of them as an open question:
somebody else than the requester has to approve it, and says of each how they know.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

from bot.api.actions import Action, ManualStep
from bot.api.facts import Unknown
from bot.api.queries import Predicate, Query
from bot.api.report import Remedy, Sample

KEPT = "kept:"  # how a lock begins that a ticket keeps while it gives the others away: nobody takes that one over
UNDO = "undo-"  # how the key of a step that takes another one back begins
_KEY = re.compile(r"[a-z0-9][a-z0-9.-]{0,79}")


@dataclass(frozen=True, slots=True)
class FlagPredicate:
    """Flags of a number: all of `mask` are set, or none of them is."""

    column: str
    mask: int
    are_set: bool = True


@dataclass(frozen=True, slots=True)
class ListPredicate:
    """A list of numbers holds none of `values`. A cell that is no list, or none at all, fulfils nothing."""

    column: str
    values: tuple[int, ...]


Term = Predicate | FlagPredicate | ListPredicate
Terms = tuple[Term, ...]  # a column "Embedded.Name" is one of an embedded instance; there, case does not matter


@dataclass(frozen=True, slots=True)
class Expect:
    """Rows that match all terms of `where`: between `at_least` and `at_most` of them, `each` true for every one."""

    where: Terms = ()
    each: Terms = ()
    at_least: int = 1
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class CompareToBefore:
    """Columns compared with the before-image of a step, which asked the same question.

    Attributes:
        step: the step whose `before` was asked.
        columns: what is compared; () for all of them.
        same: True: the same rows, in any order. False: there are rows, and none of them is as one was before.
        tolerance: seconds by which a time may differ and still be the same; 0 for what is no time. One column then.
        where: which rows are compared, now and before.
        nothing_new: instead of the same rows: each row of now was one before; some of them may have gone since. With `same`
            False: some row is new.
    """

    step: str
    columns: tuple[str, ...] = ()
    same: bool = True
    where: Terms = ()
    nothing_new: bool = False
    tolerance: int = 0


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a number says in words, where it tells why there is nothing to wait for any more.

    Attributes:
        values: the numbers that mean it; () for any other than 0, which is then shown behind the words.
    """

    column: str
    values: tuple[int, ...]
    says: str


@dataclass(frozen=True, slots=True)
class Check:
    """A question with an expected answer; asked every `every` seconds until it holds or `within` has passed.

    Attributes:
        holds: all of them must hold for one and the same answer.
        within: seconds; 0 looks once.
        settle: seconds of them that pass before it is asked at all: what it asks about shows the change only then.
        give_up: where this holds there is nothing to wait for any more: it has failed. Of several, all of them hold.
        silence: "unknown": no answer at the end is not known. "wait": silence is expected (a reboot), and one that
            lasts is a failure.
        description: what it means that it holds, as people read it: "hv03 is paused and drained".
        never: what it means that `give_up` holds: "the cluster has given up draining hv03".
        meanings: why, behind `never`: the first that fits one of the rows.
    """

    question: Query
    holds: tuple[Expect | CompareToBefore, ...]
    within: int = 0
    every: int = 5
    give_up: Expect | tuple[Expect | CompareToBefore, ...] | None = None
    silence: Literal["unknown", "wait"] = "unknown"
    description: str = ""
    never: str = ""
    settle: int = 0
    meanings: tuple[Meaning, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a check that would never be asked. Raises ValueError."""
        if not 0 <= self.settle <= self.within:
            raise ValueError("a check is asked within its time, or never")

    @property
    def gives_up(self) -> tuple[Expect | CompareToBefore, ...]:
        """What has to hold, all of it, for there to be nothing to wait for; () where it is waited for in any case."""
        if self.give_up is None:
            return ()
        return self.give_up if isinstance(self.give_up, tuple) else (self.give_up,)

    def described_as(self, says: str, never: str = "") -> Check:
        """The same check, with what it means in words."""
        return replace(self, description=says, never=never)


@dataclass(frozen=True, slots=True)
class UnseenAction:
    """An action that was sent and whose end nobody saw: what its host took, it may carry out later.

    Attributes:
        description: of its step, as people read it: "Shut down crm-01 on hv05".
        until: when its whole time is over, that of its checks included. ISO 8601 with an offset.
        within: seconds of these that its checks have; an undo does not start before the others are over.
    """

    description: str
    until: str
    within: int


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done, or waited for where `act` is None.

    Attributes:
        key: unique in the plan: lower-case letters, digits, hyphens, dots.
        description: as people read it: "Pause and drain hv03".
        done: must hold afterwards; how the step is judged, whatever the reply was. A step by hand may have none, where no
            machine can be asked: then the person's word is all there is, and is recorded as that.
        guard: must hold just before; else the step is not begun.
        deadline: seconds that the act itself may take; for a step by hand, how long a person has.
        before: asked just before the act; its answer is the before-image, kept in the ledger.
        undo: takes it back.
        undo_guard: must hold just before the undo; else it is not sent, and a person decides. For what somebody else may have
            changed meanwhile, and for what an address may stand for by then.
        undone: must hold after the undo; where it is empty, `before` must answer as it did.
        repeatable: after a crash it may be done again, if `before` and `untouched` show that nothing has changed yet.
        preemptible: while it waits, another ticket may have the locks. Steps by hand always give way, but for those by which a
            run undoes its own failed group.
        undo_says: what taking it back does, as people read it; else it reads as taking back what `description` says.
        finishes: what it has begun goes on over there by itself, and nothing is won by leaving it: a cancel and the deadline
            wait until it has ended.
        no_undo_after: once it may have been sent, no step before it is undone any more: that would lose what came of it.
        reverts: keys of steps before it that it has put back, or whose undo it has made pointless: once it is done, they are not
            undone any more. Somebody may have done the same on purpose since.
        untouched: of one that is repeatable: must hold as well for it not to have begun. For what its act changes first, where
            `before` is about something else: an act that is under way must never look as if it had not happened.
        moves: the guests and other roles that its act may move, one a row: they are counted just before it, and with more of
            them than the plan's `at_most` it is not begun. Its description ends a sentence: "are on hv03".
        undoes: of an undo: the action that it undoes, where nobody saw the end of that. While nothing of it shows, there may be
            something to undo yet: the step begins once that shows, or the time of the action is over.
    """

    key: str
    description: str
    act: Action | None
    done: tuple[Check, ...]
    guard: tuple[Check, ...] = ()
    deadline: int = 60
    before: Query | None = None
    undo: Action | None = None
    undone: tuple[Check, ...] = ()
    repeatable: bool = False
    preemptible: bool = False
    undo_says: str = ""
    undo_guard: tuple[Check, ...] = ()
    finishes: bool = False
    no_undo_after: bool = False
    reverts: tuple[str, ...] = ()
    untouched: tuple[Check, ...] = ()
    moves: Check | None = None
    undoes: UnseenAction | None = None

    def __post_init__(self) -> None:
        """Refuse a step that nobody could judge. Raises ValueError."""
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"{self.key!r} is no key of a step: lower-case letters, digits, hyphens and dots")
        if not self.done and not self.is_by_hand:
            raise ValueError(f"step {self.key} does not say when it is done")
        if self.undo is not None and self.before is None and not self.undone:
            raise ValueError(f"step {self.key} can be undone, but nothing says when it is")
        if self.repeatable and self.before is None:
            raise ValueError(f"step {self.key} is repeatable, but nothing shows that it has not happened yet")
        if self.untouched and not self.repeatable:
            raise ValueError(f"step {self.key} is never repeated, so nothing shows whether it may be")
        if self.moves is not None and not all(isinstance(one, Expect) for one in self.moves.holds):
            raise ValueError(f"step {self.key} does not count what it moves")
        if self.deadline <= 0:
            raise ValueError(f"step {self.key} has no time to happen in")

    @property
    def is_by_hand(self) -> bool:
        """Whether a person does it."""
        return isinstance(self.act, ManualStep)

    @property
    def yields_locks(self) -> bool:
        """Whether it gives its locks away while it waits: nothing of ours is under way then."""
        return self.is_by_hand or (self.act is None and self.preemptible)


@dataclass(frozen=True, slots=True)
class Group:
    """Steps between which the plan is not made again; where `revalidate_before` is set, it is before the first.

    Where its acts are counted, what the steps right before an act only wait for is looked at once more, with the guard of the act,
    if the run has waited in between: for the end of a window, of a stop, or for another ticket.

    Attributes:
        times: how often the whole group is done, one round after the other.
        seconds: how long all its rounds together may take; 0: as long as each step may, in each round.
        unit: what its acts are called where they are counted: "live migration".
        on_failure: "undo": what the group has done is taken back in reverse, where its steps say how.
        revalidate_before: False: it finishes what the group before has begun, by which the plan's facts no longer hold.
        title: what its steps do together, in words: "To branch: shut down crm-01, crm-02, fail them over". The message of a
            plan of very many steps shows it in their place, where each of its groups has one; what is by hand is named.
    """

    key: str
    steps: tuple[Step, ...]
    times: int = 1
    on_failure: Literal["stop", "undo"] = "stop"
    revalidate_before: bool = True
    seconds: int = 0
    unit: str = ""
    title: str = ""

    @property
    def gives_way_between(self) -> bool:
        """Whether it may be left between its steps, in whatever round: one of them only waits, and gives its locks away."""
        return self.is_counted and any(step.yields_locks for step in self.steps)

    @property
    def is_counted(self) -> bool:
        """Whether it is done many times, or belongs to what is: its acts are counted, and it waits outside of windows."""
        return self.times > 1 or bool(self.unit)


class GateOutcome(StrEnum):
    """What became of a gate. Only what is known passes, and what is not known holds a plan as what is not so does."""

    PASSED = "passed"
    BLOCKED = "blocked"
    NOT_KNOWN = "not known"

    @classmethod
    def of(cls, passed: bool | None) -> GateOutcome:  # noqa: FBT001 - the one thing it is about
        """The outcome of a condition; None where nobody knows whether it holds."""
        if passed is None:
            return cls.NOT_KNOWN
        return cls.PASSED if passed else cls.BLOCKED


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """One thing that a gate needed to know and that no source answered.

    Attributes:
        what: signed, with the name of the thing: "free space of crm-03".
        why: beside the digest: "timed out after 20 s".
        remedy: beside the digest: what would make it known; "" where there is nothing to do but to ask again.
        is_override: it is no missing fact, but a rule of the inventory that an approver may override with a reason.
    """

    what: str
    why: str = ""
    remedy: str = ""
    is_override: bool = False

    def __post_init__(self) -> None:
        """Give a thing whose name is blank words of its own: people answer by it."""
        if not self.what.strip():
            object.__setattr__(self, "what", "something that has no name")


@dataclass(frozen=True, slots=True)
class GateText:
    """What a gate says in each of its three outcomes; people read the one that is true, and no other.

    Attributes:
        passed: signed, as the gate's description: "No guest on hv03 is locked".
        blocked: what is so instead: "Guests on hv03 are locked". It may end with what would unblock it.
        not_known: "It is not known whether guests on hv03 are locked"; who did not answer is in the gate's unknowns.
    """

    passed: str
    blocked: str
    not_known: str


@dataclass(frozen=True, slots=True)
class Gate:
    """Something that had to be so before a plan could be made, and whether it was.

    Attributes:
        description: signed, true where it passed: "No guest on hv03 is locked".
        outcome: signed as whether it passed.
        measured: beside the digest: "9 of 11 locked".
        blocks: False for a gate that only warns.
        guards: "safety": quorum, locks, a running job, somebody else's change; an undo asks these again. "worth":
            whether the change is needed at all; an undo shows these as warnings.
        unknowns: of a gate that is not known: each thing that is missing, by name.
        answerable: False where no person's word can stand for the missing answer (quorum, locks, another running change).
        passes_at: ISO 8601 with an offset, beside the digest: from when on it may have passed, where all it takes is time.
            Such a plan can be proposed and decided, and nothing of it starts before the gate has passed.
        blocked: beside the digest: the sentence for an outcome of blocked; "" where the measurement says it all.
        not_known: beside the digest: the sentence for one that is not known.
    """

    description: str
    outcome: GateOutcome
    measured: str = ""
    blocks: bool = True
    passes_at: str = ""
    guards: Literal["safety", "worth"] = "safety"
    unknowns: tuple[OpenQuestion, ...] = ()
    answerable: bool = True
    blocked: str = field(default="", compare=False)
    not_known: str = field(default="", compare=False)

    @classmethod
    def of(
        cls,
        text: GateText,
        outcome: GateOutcome,
        measured: str = "",
        blocks: bool = True,  # noqa: FBT001, FBT002 - as the field
        *,
        passes_at: str = "",
        guards: Literal["safety", "worth"] = "safety",
        unknowns: tuple[OpenQuestion, ...] = (),
        answerable: bool = True,
    ) -> Gate:
        """A gate with a sentence for each outcome. Every gate of a command is made so."""
        return cls(
            text.passed,
            outcome,
            measured,
            blocks,
            passes_at,
            guards,
            unknowns,
            answerable,
            text.blocked,
            text.not_known,
        )

    def saying(self, text: GateText) -> Gate:
        """The same gate in other words, for a command that asks it of one thing only."""
        return replace(self, description=text.passed, blocked=text.blocked, not_known=text.not_known)

    @property
    def sentence(self) -> str:
        """What is so: of its three sentences the one that is true, without a full stop and without the measurement."""
        if self.passed:
            return self.description
        if self.outcome is GateOutcome.NOT_KNOWN:
            return self.not_known or f"It is not known whether this check passes: {self.description}"
        return self.blocked or f"This check failed: {self.description}"

    @property
    def finding(self) -> str:
        """The sentence with what was measured: "Guests on hv03 are locked (9 of 11 locked)"."""
        measured = self.measured.strip().rstrip(".")
        if self.outcome is GateOutcome.NOT_KNOWN:
            measured = measured.removeprefix("not known: ").removeprefix("not known")
        return f"{self.sentence} ({measured})" if measured else self.sentence

    @property
    def passed(self) -> bool:
        """Whether it was so, and known to be."""
        return self.outcome is GateOutcome.PASSED

    @property
    def blocks_plan(self) -> bool:
        """Whether it keeps the plan from being proposed, or leaves it open what a person has to answer."""
        return self.blocks and not self.passed and not self.passes_at

    @property
    def is_open(self) -> bool:
        """Whether it blocks, and a person's answer can stand for what is missing."""
        return self.blocks_plan and self.outcome is GateOutcome.NOT_KNOWN and self.answerable

    @property
    def questions(self) -> tuple[OpenQuestion, ...]:
        """What is missing, by name; the gate itself where it names nothing. () where it is known."""
        if self.outcome is not GateOutcome.NOT_KNOWN:
            return ()
        return self.unknowns or (OpenQuestion(self.description, self.measured),)


@dataclass(frozen=True, slots=True)
class PromisedTime:
    """How long something may take at most, as the inventory promises it: "RTO", 60 minutes."""

    name: str
    minutes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What people read, what is signed, and what runs.

    Attributes:
        reason: why, with what was measured; for a plan without groups, why there is none: "No plan for hv03: …" and
            "Nothing to …" are shown as such.
        impact: what it means for others while it runs, with its measurements.
        rollback: how to get out of it half-way.
        locks: names such as "cluster:prod"; no two running tickets hold the same one.
        remedies: buttons beside the plan, or instead of it.
        title: what it does, and to what, where the command and its target alone do not say that: "Fix health check of ntrip
            on lm01". It heads the plan, and is signed.
        samples: what the next look will want to know about this one, as a report's.
        touches: machines that it is about beside those that its actions name, where an action names a service: a role
            must hold there too, and there it is shown.
        current_state: how it stands, in a few words, as measured: "[5] Unexpected error, 11 guests". Before a run it is
            made afresh, and stands in its entry as what was so before.
        expected_state: how it is meant to stand once all is done. It is never shown as what became of it.
        afterwards: asked once when all steps are done, beside the digest: what they answer decides nothing, and tells
            with the checks of the last step how it stands then. What an earlier step has seen may be over by then.
        at_most: how many guests and other roles each of its steps may move: `bound` of what was counted, the largest count where
            several steps move any; None for a plan that moves none. It is signed: a recalculated plan that counts more is a
            different plan.
        self_reverting: once all is done, its own steps have put back what others of them changed on the way: nothing is left
            that an undo could take back.
        promises: signed: what the run is measured against, by `Remediation.describe_after`.
        soak_seconds: signed: extra time beyond its steps and manual work, for a plan that is meant to last, such as one
            that lets each group run for a day before the next.
        places: signed: the clusters that it turned out to be about, of those that the line left open; () for all of these.
            A role must hold there, and wherever its actions go.
        is_done_already: of a plan without groups: what it would bring about is so already, and nothing is wrong. A script
            goes on then: `hvops ask` ends with 0.
    """

    reason: str
    impact: str
    rollback: str
    locks: tuple[str, ...]
    gates: tuple[Gate, ...]
    groups: tuple[Group, ...]
    evidence: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    samples: tuple[Sample, ...] = ()
    touches: tuple[str, ...] = ()
    current_state: str = ""
    expected_state: str = ""
    self_reverting: bool = False
    afterwards: tuple[Check, ...] = ()
    soak_seconds: int = 0
    title: str = ""
    places: tuple[str, ...] = ()
    promises: tuple[PromisedTime, ...] = ()
    at_most: int | None = field(default=None, compare=False)
    is_done_already: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a plan that could not be run step by step. Raises ValueError."""
        if self.soak_seconds < 0:
            raise ValueError("a plan cannot take less time than its steps")
        _refuse_doubles("group", [group.key for group in self.groups])
        _refuse_doubles("step", [step.key for step in self.steps])
        if any(not group.steps or group.times < 1 or group.seconds < 0 for group in self.groups):
            raise ValueError("a group has no steps, no rounds, or no time")
        if self.groups and not self.locks:
            raise ValueError("a plan that does something names its locks")
        if any("\0" in name for name in self.locks):  # PostgreSQL keeps none: two names could become one
            raise ValueError("the name of a lock has a NUL in it")
        for gate in self.gates:
            if gate.unknowns and gate.outcome is not GateOutcome.NOT_KNOWN:
                raise ValueError(f"{gate.description}: it is {gate.outcome}, so nothing about it is missing")
            if gate.passes_at and (gate.passed or datetime.fromisoformat(gate.passes_at).tzinfo is None):
                raise ValueError(f"{gate.description}: it has passed already, or {gate.passes_at!r} names no time zone")
        _refuse_unlimited(self.at_most, self.steps)
        with_image = {step.key for step in self.steps if step.before is not None}
        for step in self.steps:
            unknown = {versus.step for versus in _comparisons(step)} - with_image
            if unknown and not step.key.startswith(UNDO):  # an undo compares with the images of another ticket
                raise ValueError(f"step {step.key} is compared with {', '.join(sorted(unknown))}, which has no before")

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in order, each once."""
        return tuple(step for group in self.groups for step in group.steps)

    def guards_of(self, step: Step) -> tuple[Check, ...]:
        """What must hold just before a step: its guard, and that there is no more to move than the plan says at most.

        The count of a plan made afresh is another one, so the number stands once, in the plan, and in no step.
        """
        if step.moves is None or self.at_most is None:
            return step.guard
        holds = tuple(replace(one, at_most=self.at_most) for one in step.moves.holds if isinstance(one, Expect))
        says = f"no more than {self.at_most} guests and other roles {step.moves.description}"
        return (*step.guard, replace(step.moves, holds=holds, description=says))

    @property
    def passed_gates(self) -> tuple[Gate, ...]:
        """The gates that have passed."""
        return tuple(gate for gate in self.gates if gate.passed)

    @property
    def other_gates(self) -> tuple[Gate, ...]:
        """The gates that have not passed: they block, they warn, or they take time."""
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def blocking_gates(self) -> tuple[Gate, ...]:
        """The gates that block: those that hold the plan, and those that leave it open what a person has to answer."""
        return tuple(gate for gate in self.gates if gate.blocks_plan)

    @property
    def is_held(self) -> bool:
        """Whether a gate blocks it that no person's answer can lift: such a plan is not proposed."""
        return is_held(self.gates)

    @property
    def open_gates(self) -> tuple[Gate, ...]:
        """The gates that block until a person answers what is missing."""
        return tuple(gate for gate in self.gates if gate.is_open)

    @property
    def open_questions(self) -> tuple[OpenQuestion, ...]:
        """What an approval has to answer, each name once: two gates may miss the same fact."""
        found: dict[str, OpenQuestion] = {}
        for gate in self.open_gates:
            for question in gate.questions:
                found.setdefault(question.what, question)
        return tuple(found.values())

    @property
    def pending_gates(self) -> tuple[Gate, ...]:
        """The gates that keep a plan that was approved from starting, for the time being; the last to ripen is last."""
        found = (gate for gate in self.gates if gate.passes_at)
        return tuple(sorted(found, key=lambda gate: datetime.fromisoformat(gate.passes_at)))


def missing(about: str, *facts: object) -> tuple[OpenQuestion, ...]:
    """What did not answer among these facts, each once and by name: "free space of crm-03".

    Args:
        about: what was asked of it: "free space".
        facts: any; those that are known say nothing.
    """
    silent = {fact.target: fact for fact in facts if isinstance(fact, Unknown)}
    return tuple(OpenQuestion(f"{about} of {name}", fact.why, fact.remedy) for name, fact in silent.items())


def is_held(gates: Iterable[Gate]) -> bool:
    """Whether one of these gates blocks, and no person's answer can lift it."""
    return any(gate.blocks_plan and not gate.is_open for gate in gates)


def exists(
    question: Query,
    *where: Term,
    within: int = 0,
    every: int = 5,
    at_least: int = 1,
    give_up: Expect | None = None,
    silence: Literal["unknown", "wait"] = "unknown",
) -> Check:
    """Rows that match all the terms are there."""
    return Check(question, (Expect(where, at_least=at_least),), within, every, give_up, silence)


def not_exists(question: Query, *where: Term, within: int = 0, every: int = 5) -> Check:
    """Not one row matches all the terms."""
    return Check(question, (Expect(where, at_least=0, at_most=0),), within, every)


def unchanged(step: str, question: Query, *columns: str, within: int = 0) -> Check:
    """The answer is what the before-image of that step was."""
    return Check(question, (CompareToBefore(step, columns),), within)


def _comparisons(step: Step) -> Iterator[CompareToBefore]:
    for check in (*step.guard, *step.done, *step.undo_guard, *step.undone, *step.untouched):
        yield from (one for one in (*check.holds, *check.gives_up) if isinstance(one, CompareToBefore))


def _refuse_doubles(what: str, keys: list[str]) -> None:
    if double := next((key for key, times in Counter(keys).items() if times > 1), None):
        raise ValueError(f"two {what}s are called {double}")


def _refuse_unlimited(at_most: int | None, steps: Iterable[Step]) -> None:
    if at_most is None and (moving := next((step.key for step in steps if step.moves is not None), "")):
        raise ValueError(f"step {moving} moves guests, and the plan does not say how many at most")


def bound(counted: int) -> int:
    """The limit that an approval covers, given the number counted: a few guests may come and go, a whole cluster may not."""
    return 2 * max(counted, 1)
