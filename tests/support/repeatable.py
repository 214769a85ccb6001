"""Whether the image of a repeatable step shows what its act changes: else one that is under way is sent a second time."""

from __future__ import annotations

from collections.abc import Iterator

from bot.api.plan import Check, CompareToBefore, Expect, Step
from bot.api.queries import Query, Wql


def unshown(step: Step) -> tuple[str, ...]:
    """What its done checks look at and neither its before-image nor `untouched` does; () for a step that is not repeatable."""
    if not step.repeatable:
        return ()
    assert step.before is not None
    shown: dict[object, set[str]] = {_object(step.before): set(_all_columns(step.before))}
    for check in step.untouched:
        shown.setdefault(_object(check.question), set()).update(_columns(check))
    return tuple(
        f"{step.key}: {column} of {_object(check.question)}"
        for check in step.done
        for column in sorted(_columns(check) - shown.get(_object(check.question), set()))
    )


def _object(question: Query) -> object:
    """What a question is about, whichever columns of it."""
    if isinstance(question, Wql):
        where = tuple(sorted((term.column, term.op, str(term.value)) for term in question.where))
        return question.on.casefold(), question.cls, where
    return question


def _all_columns(question: Query) -> Iterator[str]:
    if isinstance(question, Wql):
        yield from question.columns
    else:
        yield "*"


def _columns(check: Check) -> set[str]:
    """The columns that a check looks at; that there is a row at all is one of them."""
    if not isinstance(check.question, Wql):
        return {"*"}
    found: set[str] = set()
    for one in (*check.holds, *check.gives_up):
        if isinstance(one, Expect):
            found |= {term.column.partition(".")[0] for term in (*one.where, *one.each)}
        elif isinstance(one, CompareToBefore):
            found |= {column.partition(".")[0] for column in one.columns or check.question.columns}
    return found or {check.question.columns[0]}
