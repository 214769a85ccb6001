"""Whether an answer is right: each expectation of a case that it does not meet, in a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.cases.schema import CaseFile, Expect, Said

_LONG = 100  # characters of what is quoted


@dataclass(frozen=True, slots=True)
class Answer:
    """What came out of a line.

    Attributes:
        text: all that people read, on lines as long as they need.
        title: the first line of it.
        exit_code: of `hvops ask`.
        possible: whether a plan is possible; None where no plan was asked for.
        plan: as `hvops ask --json` has it; None where there is none.
    """

    text: str
    title: str
    exit_code: int
    possible: bool | None = None
    plan: Mapping[str, Any] | None = None


def failures(case: CaseFile, answer: Answer) -> list[str]:
    """What is wrong, in the order of the file; nothing where the answer is right."""
    expect = case.expect
    return [*_texts(expect, answer), *_ending(expect, answer), *_plan(expect, answer)]


def _texts(expect: Expect, answer: Answer) -> Iterator[str]:
    if expect.title is not None and not _is_in(expect.title, answer.title):
        yield f"title: is not “{expect.title}”, but “{answer.title}”"
    for says in expect.says:
        if not _is_in(says, answer.text):
            yield f"says: “{says}” is missing"
    for never in expect.never:
        found = _found(never, answer.text)
        if found is not None:
            yield f"never: “{_short(found)}” is said"


def _ending(expect: Expect, answer: Answer) -> Iterator[str]:
    if expect.exit is not None and answer.exit_code != expect.exit:
        yield f"exit: is not {expect.exit}, but {answer.exit_code}"
    if expect.blocked is None:
        return
    if answer.possible is None:
        yield "blocked: this line asks for no plan"
    elif expect.blocked is answer.possible:
        yield "blocked: a plan is possible" if answer.possible else f"blocked: no plan is possible: {answer.title}"


def _plan(expect: Expect, answer: Answer) -> Iterator[str]:
    gates: Sequence[Mapping[str, Any]] = answer.plan["gates"] if answer.plan else ()
    for wanted in expect.gates:
        told = [gate for gate in gates if _is_in(wanted.says, gate["description"])]
        if not told:
            yield f"gates: there is none of “{wanted.says}”"
        elif all(gate["outcome"] != wanted.outcome for gate in told):
            yield f"gates: “{told[0]['description']}” is not {wanted.outcome}, but {told[0]['outcome']}"
    steps = [step["description"] for group in (answer.plan["groups"] if answer.plan else ()) for step in group["steps"]]
    left = iter(steps)
    for says in expect.steps:
        if not any(_is_in(says, step) for step in left):
            yield f"steps: “{says}” is missing, or not in this place"
    if answer.possible is False:
        return  # nothing of it is planned, or only once an approver has answered what is not known
    for never in expect.never_steps:
        found = next((step for step in steps if _is_in(never, step)), None)
        if found is not None:
            yield f"never_steps: “{found}” is planned"


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def _is_in(said: Said, text: str) -> bool:
    return _found(said, text) is not None


def _found(said: Said, text: str) -> str | None:
    """What of the text is meant; white space counts as one blank."""
    flat = " ".join(text.split())
    if isinstance(said, str):
        wanted = " ".join(said.split())
        return wanted if wanted in flat else None
    found = re.search(said.re, flat)
    return None if found is None else found[0]
