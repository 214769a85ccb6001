"""What was so before an act, and what is so once a run has ended: read, written down, and never concluded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bot.api.command import AfterRun
from bot.api.facts import Known, Unknown
from bot.api.plan import Check, CompareToBefore, Step
from bot.api.rows import CellError, Rows
from bot.api.sources import Source
from bot.executor.polling import CheckState, look_at, not_measured
from bot.executor.run import Run
from bot.ledger.entries import HeldBefore
from bot.tickets.conditions import Images
from bot.tickets.readings import MOST_READINGS, describe_reading, short_reading


async def held_before(run: Run, step: Step) -> HeldBefore:
    """Whether what a step is judged by is so already; "" for a step that only waits.

    A check that compares with the step's own before-image is not asked: what has to be new cannot be so yet, and what
    has to stay as it is tells nothing of the act.
    """
    if step.act is None:
        return ""
    own = [(check, _own(check, step.key)) for check in step.done]
    if any(not one.same for _, compared in own for one in compared):
        return "no"
    asked = [check for check, compared in own if not compared]
    if not asked:
        return "not known"
    seen = await look_at(run.parts, asked, run.images)
    if seen.is_ is CheckState.MET:
        return "yes"
    return "not known" if seen.is_ is CheckState.UNKNOWN else "no"


async def measure_after(run: Run, *, fresh: bool) -> tuple[str, ...]:
    """How it stands now that every step is done: what the plan asks for, and what the last step's checks read.

    Args:
        run: the run.
        fresh: the last step has ended just now; else its checks are asked anew, for nobody knows how long ago it was.
    """
    last, checks = run.places[-1], run.proposal.plan.afterwards
    read = run.story.outcomes[last.key].measured if fresh else ()
    answers, told = await _ask(run, (*checks, *(() if fresh else last.step.done)), run.images)
    after = AfterRun(
        run.proposal.made.target,
        run.images,
        answers[: len(checks)],
        run.story.times(),
        run.proposal.plan.promises,
    )
    describe = run.parts.planner.describe_after
    words = await asyncio.to_thread(describe, run.proposal, after) if checks else None
    told = told if words is None else [*words, *told[len(checks) :]]
    return tuple(dict.fromkeys(map(short_reading, (*told, *read))))[:MOST_READINGS]


async def measure_undone(run: Run, checks: Sequence[Check]) -> tuple[str, ...]:
    """What is as it was before a group that was taken back, and what is not."""
    _, told = await _ask(run, checks, run.images)
    return tuple(map(short_reading, told))[:MOST_READINGS]


async def _ask(
    run: Run, checks: Sequence[Check], images: Images
) -> tuple[tuple[Known[Rows] | Unknown, ...], list[str]]:
    """Ask each once, at the same time: the answers, and what each said in words."""
    if not checks:
        return (), []
    await run.parts.planner.resolve_hosts(*(check.question.on for check in checks))
    look = run.parts.look(run.parts.clock(), None)
    answers = await asyncio.gather(*(look.query(Source(check.question, _rows)) for check in checks))

    def words() -> list[str]:
        return [
            not_measured(check, answer) if isinstance(answer, Unknown) else _worded(check, answer.value, images)
            for check, answer in zip(checks, answers, strict=True)
        ]

    return tuple(answers), await asyncio.to_thread(words)  # of as many rows as a host likes to tell


def _rows(rows: Rows) -> Rows:
    return [dict(row) for row in rows]


def _worded(check: Check, rows: Rows, images: Images) -> str:
    try:
        return describe_reading(check, rows, images)
    except CellError as error:
        return not_measured(check, Unknown(check.question.on, "bad reply", str(error)))


def _own(check: Check, key: str) -> list[CompareToBefore]:
    return [one for one in check.holds if isinstance(one, CompareToBefore) and one.step == key]
