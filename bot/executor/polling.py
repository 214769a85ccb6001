"""Ask whether a check holds, once or until it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from bot.api.plan import Check
from bot.api.queries import Question
from bot.api.query_client import Unanswered
from bot.api.rows import Rows
from bot.executor.context import Parts
from bot.serialization import Evidence
from bot.tickets.conditions import Images, gives_up, how_far, misses


class Is(IntEnum):
    """How things are; of several checks, the highest counts."""

    SO = 0
    UNKNOWN = 1  # somebody is silent
    NOT_SO = 2
    NEVER = 3  # it says itself that it will not become so


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look saw.

    Attributes:
        says: why it is not so, with what the answers said; "" where it is.
        until: what is still waited for, in a few words; "" where it is so.
    """

    is_: Is
    says: str
    evidence: tuple[Evidence, ...]
    until: str = ""


async def look_at(parts: Parts, checks: Sequence[Check], images: Images) -> Seen:
    """Ask all checks once, at the same time."""
    await parts.planner.meet(*(check.question.on for check in checks))
    look = parts.look(parts.clock(), None)

    async def one(check: Check) -> tuple[Is, str, str]:
        found = await look.one(check.question, lambda rows: _judged(check, rows, images))
        if not isinstance(found, Unanswered):
            return found
        why = f"{found.on}: {found.says}"
        return (Is.NOT_SO if check.silence == "wait" else Is.UNKNOWN), why, why

    found = await asyncio.gather(*(one(check) for check in checks))
    says = "; ".join(why for _, why, _ in found if why)
    until = "; ".join(left for _, _, left in found if left)
    state = max((one for one, _, _ in found), default=Is.SO)
    return Seen(state, says, tuple(look.evidence), until)


async def wait_for(
    parts: Parts,
    checks: Sequence[Check],
    images: Images,
    ends: datetime,
    pause: Callable[[float, str], Awaitable[None]],
) -> Seen:
    """Ask until it is so, until it never will be, or until the time is over.

    Args:
        parts: what a run works with.
        checks: all of them must hold.
        images: before-images.
        ends: when to give up; looked at once more then.
        pause: waits some seconds, and says what is waited for; may raise to abandon the wait.
    """
    every = min((check.every for check in checks), default=5)
    while True:
        seen = await look_at(parts, checks, images)
        left = (ends - parts.clock()).total_seconds()
        if seen.is_ in (Is.SO, Is.NEVER) or left <= 0:
            return seen
        await pause(min(float(every), left), seen.until)


async def image(parts: Parts, question: Question) -> tuple[Rows | None, str]:
    """A before-image, or None and why there is none."""
    await parts.planner.meet(question.on)
    found = await parts.look(parts.clock(), None).one(question, lambda rows: [dict(row) for row in rows])
    return (None, f"{found.on}: {found.says}") if isinstance(found, Unanswered) else (found, "")


def longest(checks: Sequence[Check]) -> int:
    """How many seconds the most patient of them waits."""
    return max((check.within for check in checks), default=0)


def _judged(check: Check, rows: Rows, images: Images) -> tuple[Is, str, str]:
    why = misses(check, rows, images)
    if not why:
        return Is.SO, "", ""
    never = gives_up(check, rows)
    whole = _in_words(check, "; ".join(why), never=never)
    return (Is.NEVER if never else Is.NOT_SO), whole, _until(check, rows, images) or whole


def _until(check: Check, rows: Rows, images: Images) -> str:
    """For whoever watches: what it waits for, without the columns behind it."""
    if not check.says:
        return ""
    far = how_far(check, rows, images)
    return f"until {check.says}{f' ({far})' if far else ''}"


def _in_words(check: Check, why: str, *, never: bool) -> str:
    """What it means first, then what the answer said."""
    means = (never and check.never) or (f"expected that {check.says}" if check.says else "")
    return f"{means} ({why})" if means else why
