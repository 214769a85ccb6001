"""A plan as lines of text: for the file beside the message, and for the difference between two plans.

Every signed field stands in some line, so that two plans with different digests never read the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from types import MappingProxyType
from typing import Any

from bot.api.actions import (
    Action,
    InvokeMethod,
    ManualStep,
    MethodFields,
    Octets,
    ReadBack,
    RowTransaction,
    RunProgram,
    Update,
)
from bot.api.command import Risk
from bot.api.plan import Check, CompareToBefore, Expect, Gate, GateOutcome, Meaning, Plan, Step
from bot.api.queries import Query
from bot.dispatch.query_session import describe
from bot.tickets.answers import question_line
from bot.tickets.conditions import describe_terms
from bot.tickets.plan_digest import signed_payload
from bot.tickets.read_back import typed_in_words

_COMPARED, _LETTERS = 30_000, 1_000  # characters of two plans, and of a line, up to which lines are compared by letters
TAKEN_BACK = "If one of these steps fails, the completed ones are rolled back:"
STOPS_THERE = "If one of these steps fails, it stops there, and nothing is rolled back automatically:"


def plan_lines(plan: Plan, risk: Risk, version: str, run_until: str = "") -> tuple[str, ...]:
    """The whole signed part, as people read it; `run_until` as its proposal says, "" where there is none yet."""
    return (
        f"Risk: {risk}",
        f"Locks: {', '.join(sorted(plan.locks)) or 'none'}",
        *((f"Touches: {', '.join(plan.touches)}",) if plan.touches else ()),
        *_limit(plan),
        *((f"Title: {plan.title}",) if plan.title else ()),
        *((f"Places: {', '.join(plan.places)}",) if plan.places else ()),
        *(f"Target: {one.name} {one.minutes} min" for one in plan.promises),
        f"Way back: {plan.rollback}",
        *((f"Deadline: no step starts after {run_until}",) if run_until else ()),
        *((f"Soak time beyond its steps: {plan.soak_seconds} s",) if plan.soak_seconds else ()),
        f"Code: {version}",
        *(f"Check {_gate(gate)}" for gate in plan.gates),
        *_groups(plan),
    )


def whole_plan_lines(plan: Plan, risk: Risk, version: str, run_until: str = "") -> tuple[str, ...]:
    """All of a plan: what was measured beside it, evidence under its own heading, and then the signed part."""
    measured = tuple(f"  {gate.finding}" for gate in plan.gates if gate.measured)
    return (
        f"Impact: {plan.impact}",
        f"Why: {plan.reason}",
        *((f"Before: {plan.current_state}",) if plan.current_state else ()),
        *((f"Expected result: {plan.expected_state}",) if plan.expected_state else ()),
        *(f"{'To override' if one.is_override else 'Not known'}: {question_line(one)}" for one in plan.open_questions),
        *(("", "What the checks read (not signed):", *measured) if measured else ()),
        *(("", "Evidence (not signed):", *(f"  {one}" for one in plan.evidence)) if plan.evidence else ()),
        "",
        "What is signed:",
        *plan_lines(plan, risk, version, run_until),
    )


def difference(old: Plan, new: Plan, risk: Risk, versions: tuple[str, str]) -> tuple[str, ...]:
    """What is different, line by line: "- " was approved, "+ " is so now; () where the signed parts are the same."""
    if signed_payload(old, risk, versions[0]) == signed_payload(new, risk, versions[1]):
        return ()
    if not new.groups:
        return tuple(_no_longer(old, new))
    before, after = plan_lines(old, risk, versions[0]), plan_lines(new, risk, versions[1])
    if before == after:  # told apart by something that the lines do not show: show the bytes
        before = tuple(_flat("", signed_payload(old, risk, versions[0])))
        after = tuple(_flat("", signed_payload(new, risk, versions[1])))
    return tuple(_different(before, after))


def _different(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """The lines that only one of two texts has, in order; in short ones a line stands beside the one that is most like it.

    To find that one, all are compared letter by letter, which takes longer than the square of the text, and a host can make
    it a megabyte long.
    """
    if sum(map(len, before)) + sum(map(len, after)) <= _COMPARED and max(map(len, (*before, *after))) <= _LETTERS:
        yield from (line for line in difflib.ndiff(before, after) if line.startswith(("- ", "+ ")))
        return
    for what, start, end, new_start, new_end in difflib.SequenceMatcher(None, before, after).get_opcodes():
        if what != "equal":
            yield from (f"- {line}" for line in before[start:end])
            yield from (f"+ {line}" for line in after[new_start:new_end])


def _no_longer(old: Plan, new: Plan) -> Iterator[str]:
    """Where nothing would be done any more, every step is gone; what counts is which gate turned, and why."""
    before = {gate.description: gate for gate in old.gates}
    for gate in new.gates:
        was = before.get(gate.description)
        if was is not None and verdict_on(was) != verdict_on(gate):
            yield f"- Check {_gate(was)}"
            yield f"+ Check {_gate(gate)}{f' ({gate.measured})' if gate.measured else ''}"
    yield f"- {len(old.steps)} steps"
    yield f"+ no plan: {new.reason}"


def action_in_words(action: Action) -> str:
    """An action as an engineer would write it."""
    if isinstance(action, InvokeMethod):
        path = f"[{_fields(action.path)}]" if action.path else ""
        despite = ", an error reply does not count as failure" if action.may_begin_despite_fault else ""
        accepted = f", success: {', '.join(map(str, action.accept))}" if action.accept != (0,) else ""
        points = [f"{one.name}={one.cls}[{_fields(one.keys)}]" for one in action.references]
        params = ", ".join(filter(None, (*points, _fields(action.params))))
        return f"{action.on}: {action.namespace} {action.cls}{path}.{action.method}({params}){accepted}{despite}"
    if isinstance(action, RunProgram):
        return f"{action.on}: {action.what}({_fields(action.params)})"
    if isinstance(action, RowTransaction):
        return f"{action.on}, database {action.database}: {'; '.join(_row(row) for row in action.rows)}"
    assert isinstance(action, ManualStep)
    typed = f" To confirm, type: {_typed(action)}" if isinstance(action, ReadBack) else ""
    return f"by hand ({action.role}): {action.instruction}{typed}"


def _typed(action: ReadBack) -> str:
    fields = "; ".join(typed_in_words(field) for field in action.typed)
    return f"{fields}. If it differs: {action.mismatch}"


def check_in_words(check: Check, steps: Mapping[str, str] = MappingProxyType({})) -> str:
    """A check: what is asked, what is expected, and for how long; `steps` has the words for a step that it compares with, by key."""
    expected = " and ".join(_holds(one, steps) for one in check.holds)
    wait = f" within {check.within} s, every {check.every} s" if check.within else ""
    wait += f", not before {check.settle} s" if check.settle else ""
    never = f" ({check.never})" if check.never else ""
    until = f", unless {' and '.join(_holds(one, steps) for one in check.gives_up)}{never}" if check.gives_up else never
    until += "".join(f"; {one.column} {_values(one)}: {one.says}" for one in check.meanings)
    silent = ", silence is expected" if check.silence == "wait" else ""
    says = f"{check.description}: " if check.description else ""
    return f"{says}{_question(check.question)} → {expected}{wait}{until}{silent}"


def _values(one: Meaning) -> str:
    return " or ".join(map(str, one.values)) or "otherwise"


def verdict_on(gate: Gate) -> str:
    """Whether a gate has passed, in words that begin a line; of one that is not known also what is missing, by name."""
    if gate.outcome is GateOutcome.PASSED:
        return "passed"
    if not gate.passes_at and (gate.is_open or gate.unknowns):
        missing = "; ".join(one.what for one in gate.questions)
        return f"not known, {missing}{' (the approver must answer)' if gate.is_open else ''}"
    if gate.outcome is GateOutcome.NOT_KNOWN:
        return "not known"
    return "pending, and nothing runs before it passes" if gate.passes_at else "failed"


def _gate(gate: Gate) -> str:
    """The signed sentence, which is that of a gate that passed: so whether it has comes first."""
    return f"{verdict_on(gate)}{'' if gate.blocks or gate.passed else ', does not block'}: {gate.description}"


def _limit(plan: Plan) -> Iterator[str]:
    """The limit of what it may move. Each step that moves anything counts that by itself, in each round: it is no sum of them."""
    if plan.at_most is None:
        return
    counted = sum(group.times for group in plan.groups for step in group.steps if step.moves is not None)
    each = f" in each of {counted} steps" if counted > 1 else ""
    yield f"Limit: moves no more than {plan.at_most} guests and other roles{each}"


def _groups(plan: Plan) -> Iterator[str]:
    words = {step.key: f"step {number} ({step.description})" for number, step in enumerate(plan.steps, 1)}
    numbers = count(1)
    for group in plan.groups:
        rounds = f", {group.times} times" if group.times > 1 else ""
        rounds += f" in {group.seconds} s together" if group.seconds else ""
        rounds += f", counted as {group.unit}" if group.unit else ""
        finishes = "" if group.revalidate_before else ", the plan is not re-checked before it starts"
        title = f": {group.title}" if group.title else ""
        yield f"Group {group.key}{rounds}, on failure: {group.on_failure}{finishes}{title}"
        for step in group.steps:
            yield from _step(next(numbers), step, plan.guards_of(step), words)


def _marks_in_words(step: Step) -> Iterator[str]:
    if step.no_undo_after:
        yield "no earlier step is undone once this one has begun"
    if (unseen := step.undoes) is not None:
        what = f"“{unseen.description}” may still take effect"
        yield f"starts once there is something to undo, or at {unseen.until} (until then, {what})"


def _step(number: int, step: Step, guard: Sequence[Check], words: Mapping[str, str]) -> Iterator[str]:
    marks = [name for name in ("repeatable", "preemptible", "finishes") if getattr(step, name)]
    marks += _marks_in_words(step)
    yield f"{number} {step.description} [{step.key}], timeout {step.deadline} s{''.join(f', {mark}' for mark in marks)}"
    for check in guard:
        yield f"   only if: {check_in_words(check, words)}"
    if step.before is not None:
        yield f"   records first: {_question(step.before)}"
    yield f"   does: {action_in_words(step.act)}" if step.act is not None else "   waits"
    for check in step.done:
        yield f"   done when: {check_in_words(check, words)}"
    if not step.done:
        yield "   done when: someone confirms it; no machine can be queried"
    for check in step.untouched:
        yield f"   repeated only while: {check_in_words(check, words)}"
    if step.undo is not None:
        says = f"{step.undo_says}: " if step.undo_says else ""
        yield f"   undo: {says}{action_in_words(step.undo)}"
    for check in step.undo_guard:
        yield f"   undo only if: {check_in_words(check, words)}"
    for check in step.undone:
        yield f"   undone when: {check_in_words(check, words)}"
    if reverted := [words[key] for key in step.reverts if key in words]:
        yield f"   once done, no longer undone: {'; '.join(reverted)}"


def _question(question: Query) -> str:
    return f"{question.on}: {describe(question)}"


def _holds(expected: Expect | CompareToBefore, steps: Mapping[str, str]) -> str:
    where = f" with {describe_terms(expected.where)}" if expected.where else ""
    if isinstance(expected, CompareToBefore):
        step = steps.get(expected.step, expected.step)  # an undo compares with what a step of another ticket noted
        like = "the same as" if expected.same else "other than"
        if expected.nothing_new:
            like = "nothing new since" if expected.same else "something new since"
            return f"{', '.join(expected.columns) or 'all'}{where}: {like} before {step}"
        if expected.tolerance:
            like = f"{like} (by {expected.tolerance} s)"
        return f"{', '.join(expected.columns) or 'all'}{where} {like} before {step}"
    most = "" if expected.at_most is None else f" to {expected.at_most}"
    each = f", each {describe_terms(expected.each)}" if expected.each else ""
    rows = (
        "exactly 1 row"
        if expected.at_least == expected.at_most == 1
        else f"{expected.at_least}{most or ' or more'} rows"
    )
    return f"{rows}{where}{each}"


def _row(row: Update) -> str:
    return f"{row.table}[{_fields(row.key)}]: {_fields(row.was)} → {_fields(row.becomes)}"


def _fields(pairs: MethodFields) -> str:
    return ", ".join(f"{name}={_octets(value) if isinstance(value, tuple) else repr(value)}" for name, value in pairs)


def _octets(value: Octets) -> str:
    """Bytes in hexadecimal, and behind them what they read as where they are a text in UTF-16: "0x68007600… 'hv02'"."""
    raw = bytes(value)
    text = raw.decode("utf-16-le", "replace").removesuffix("\0")
    shown = f" {text!r}" if text and text.isprintable() and text.isascii() else ""
    return f"0x{raw.hex()}{shown}"


def _flat(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(f"{path}.{name}", part)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _flat(f"{path}[{index}]", part)
    else:
        yield f"{path.lstrip('.')} = {value!r}"
