"""A scripted `QueryClient`: answers by target and subject, refuses questions that nobody scripted, and counts rounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from repeatable import unshown

from bot.api.actions import InvokeMethod, RunProgram
from bot.api.arguments import Target
from bot.api.facts import Known, Unknown
from bot.api.plan import UNDO, Plan, Step
from bot.api.queries import DoneChanges, GuestRegistry, GuestWql, Query, Registry, SampleHistory, WinRMConfig, Wql
from bot.api.rows import Rows
from bot.api.sources import Source
from bot.tickets.undo import LONGEST_ACT, NOTE_SECONDS

NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def subject(question: Query) -> str:
    """What a question is about: the class, the last part of a key, the program and its channel, the memory."""
    if isinstance(question, Wql | GuestWql):
        return question.cls
    if isinstance(question, Registry | GuestRegistry):
        return question.key.rpartition("\\")[2]
    if isinstance(question, SampleHistory):
        return f"recall {question.what}"
    if isinstance(question, DoneChanges):
        return f"changes {question.command}"
    if isinstance(question, WinRMConfig):
        return "winrm/config"
    channel = dict(question.params).get("channel")
    return f"{question.what} {channel}" if channel else question.what


class ScriptedAsk:
    """Answers from a script: (target, subject) -> rows, or why there are none.

    `silent` targets answer nothing at all. Questions of one round are those asked before any of them is answered.
    """

    def __init__(self, script: Mapping[tuple[str, str], Rows | Unknown], silent: Mapping[str, str] | None = None):
        self.script = {(on.casefold(), what): rows for (on, what), rows in script.items()}
        self.silent = {on.casefold(): kind for on, kind in (silent or {}).items()}
        self.asked: list[Query] = []
        self.strangers: set[str] = set()
        self.rounds = 0
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def now(self) -> datetime:
        return NOW

    async def query(self, source: Source[T]) -> Known[T] | Unknown:
        return (await self.query_many({0: source}))[0]

    async def find_host(self, name: str) -> Target | Unknown:
        """Any name is a host that stands alone, but those of `strangers`."""
        if name in self.strangers:
            return Unknown(name, "not in the inventory", f"There is no cluster or host “{name}” in the inventory.")
        return Target(name.partition(".")[0], "host", backup=())

    async def query_many(self, sources: Mapping[K, Source[T]]) -> dict[K, Known[T] | Unknown]:
        if sources:
            await self._round()
        return {key: self._answer(source.query, source.read) for key, source in sources.items()}

    def _answer(self, question: Query, read: Callable[[Rows], T]) -> Known[T] | Unknown:
        self.asked.append(question)
        on = question.on.casefold()
        if on in self.silent and not isinstance(question, SampleHistory | DoneChanges):
            return Unknown(question.on, self.silent[on], "no answer in 20 s.")
        rows: Any = self.script.get((on, subject(question)), self.script.get(("*", subject(question))))
        assert rows is not None, f"nobody scripted {subject(question)!r} on {question.on!r}"
        if isinstance(rows, Unknown):
            return rows
        try:
            return Known(read(rows), NOW, NOW)
        except ValueError as error:
            return Unknown(question.on, "bad reply", str(error))

    async def _round(self) -> None:
        ours = asyncio.get_running_loop().create_future()
        self._waiting.append(ours)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().create_task(self._release())
        await ours

    async def _release(self) -> None:
        calm, seen = 0, 0
        while calm < 10:  # event loop turns: nested gathers take a few to start their tasks
            calm, seen = (calm + 1, seen) if len(self._waiting) == seen else (0, len(self._waiting))
            await asyncio.sleep(0)
        waiting, self._waiting = self._waiting, []
        self.rounds += 1
        for future in waiting:
            future.set_result(None)


@pytest.fixture(autouse=True)
def repeatable_steps_show_what_they_change(monkeypatch):
    """Whatever a command plans in any of these tests, the image of a repeatable step shows what its act changes."""
    check = Step.__post_init__

    def check_image(step: Step) -> None:
        check(step)
        assert not unshown(step), f"one that is under way may be sent a second time: {unshown(step)}"

    monkeypatch.setattr(Step, "__post_init__", check_image)


@pytest.fixture(autouse=True)
def no_action_takes_longer_than_a_ticket_is_looked_back_at(monkeypatch):
    """Whatever a command plans in any of these tests: what an ended ticket sent longer ago can come no more."""
    check = Step.__post_init__

    def check_time(step: Step) -> None:
        check(step)
        if step.act is not None and not step.is_by_hand:
            within = max((one.within for one in (*step.done, *step.undone)), default=0)
            assert step.deadline + NOTE_SECONDS + within < LONGEST_ACT.total_seconds(), step.key

    monkeypatch.setattr(Step, "__post_init__", check_time)


@pytest.fixture(autouse=True)
def what_runs_on_a_machine_holds_it(monkeypatch):
    """Whatever a command plans in any of these tests, no other change runs on the same host meanwhile: its card says so."""
    check = Plan.__post_init__

    def check_locks(plan: Plan) -> None:
        check(plan)
        assert not unheld(plan), f"another change may run there meanwhile: {unheld(plan)}; the plan holds {plan.locks}"

    monkeypatch.setattr(Plan, "__post_init__", check_locks)


@pytest.fixture(autouse=True)
def what_a_plan_says_to_put_back_it_puts_back(monkeypatch):
    """Whatever a command plans in any of these tests: a plan that says it leaves nothing reverses each act by a step of its own."""
    check = Plan.__post_init__

    def check_left(plan: Plan) -> None:
        check(plan)
        assert not (plan.self_reverting and left_by(plan)), f"no step of the plan reverses {left_by(plan)}"

    monkeypatch.setattr(Plan, "__post_init__", check_left)


@pytest.fixture(autouse=True)
def what_a_step_puts_back_it_names(monkeypatch):
    """Whatever a command plans in any of these tests: an undo of both would do again what the later step has done already."""
    check = Plan.__post_init__

    def check_reverts(plan: Plan) -> None:
        check(plan)
        steps = [step for group in plan.groups for step in group.steps if step.act is not None]
        unnamed = [
            (later.key, step.key)
            for at, later in enumerate(steps)
            for step in steps[:at]
            if step.undo == later.act and step.key not in later.reverts and not later.key.startswith(UNDO)
            # Such two enclose what lies between, and so do their undos; and behind some steps nothing is undone any more.
            if later.undo != step.act and not later.no_undo_after
        ]
        assert not unnamed, f"the first of each does what undoes the second, and does not say so: {unnamed}"

    monkeypatch.setattr(Plan, "__post_init__", check_reverts)


def left_by(plan: Plan) -> list[str]:
    """The acts of hvops that no other step of a plan reverses, once all of it is done.

    An act is reversed by a step that says so, by its own undo, by the same way in the other direction, and by a later act that
    brings the same thing to another place.
    """
    left: dict[str, Step] = {}
    for step in (step for group in plan.groups for step in group.steps):
        if step.act is None or step.is_by_hand or step.key.startswith(UNDO):  # an undo takes the place of its step
            continue
        before = [key for key, earlier in left.items() if key in step.reverts or is_reversed_by(earlier, step)]
        for key in before:
            del left[key]
        if not before:
            left[step.key] = step
    return [*left]


def is_reversed_by(earlier: Step, step: Step) -> bool:
    """Whether what an act changed goes back by a later one."""
    if earlier.undo == step.act or earlier.key.replace("-out-", "-back-", 1) == step.key != earlier.key:
        return True
    one, other = earlier.act, step.act
    if not isinstance(one, InvokeMethod) or not isinstance(other, InvokeMethod) or one.params == other.params:
        return False
    return bool(one.path) and (one.cls, one.path, one.method) == (other.cls, other.path, other.method)


def unheld(plan: Plan) -> set[str]:
    """The hosts and clusters that a plan acts on through Windows and holds neither themselves nor by a cluster."""
    acts = [act for group in plan.groups for step in group.steps for act in (step.act, step.undo)]
    on = {
        act.on.lower() for act in acts if isinstance(act, (InvokeMethod, RunProgram)) and act.on != "commvault"
    }  # by its job
    held = {lock.partition(":")[2] for lock in plan.locks if lock.startswith(("host:", "load-balancer:"))}
    return set() if any(lock.startswith("cluster:") for lock in plan.locks) else {one for one in on if one not in held}


@pytest.fixture
def scripted() -> type[ScriptedAsk]:
    return ScriptedAsk


@pytest.fixture
def now() -> datetime:
    return NOW
