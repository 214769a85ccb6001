"""Ask whether a check holds, once or until it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from bot.api.facts import Unknown
from bot.api.plan import Check
from bot.api.queries import Query
from bot.api.rows import Rows
from bot.api.sources import Source
from bot.executor.context import RunContext
from bot.formatting import clauses, without_stop
from bot.serialization import Evidence
from bot.tickets.conditions import Images, is_terminal_failure, meaning, progress_text, unmet
from bot.tickets.readings import NOT_MEASURED, describe_reading
from bot.transport.bounds import weigh

# Bytes of a before-image: the guests on the largest node have some hundred thousand. It stands in an entry, which is read
# with every look at its ticket.
LARGEST_IMAGE = 2**20
# Of all of one ticket: five thousand live migrations, each with how the guest's resource was before it, have some twenty
# million. Whatever reads the ticket whole holds about twice as much. How it is after an act is noted in half of that alone:
# nothing rests on it, and the room is for what the next act needs.
LARGEST_IMAGES = 32 * 2**20


class CheckState(IntEnum):
    """How things are; of several checks, the highest counts."""

    MET = 0
    UNKNOWN = 1  # somebody is silent
    UNMET = 2
    FAILED = 3  # it says itself that it will not become so


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a look saw.

    Attributes:
        says: why it is not so, with what the answers said; "" where it is.
        until: what is still waited for, in a few words; "" where it is so.
        readings: what each check was answered, in words.
    """

    is_: CheckState
    says: str
    evidence: tuple[Evidence, ...]
    until: str = ""
    readings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    """One check, asked once."""

    is_: CheckState
    why: str
    until: str
    reading: str


async def look_at(parts: RunContext, checks: Sequence[Check], images: Images) -> CheckResult:
    """Ask all checks once, at the same time."""
    await parts.planner.resolve_hosts(*(check.question.on for check in checks))
    look = parts.look(parts.clock(), None)

    async def one(check: Check) -> _Judged:
        found = await look.query(Source(check.question, lambda rows: _judged(check, rows, images)))
        if not isinstance(found, Unknown):
            return found.value
        why = f"{found.target}: {found.why}"
        if check.silence == "wait":  # nobody has to be alarmed by what the plan says will happen
            until = f"until {check.description or f'{found.target} answers'}; silence is expected meanwhile"
            return _Judged(CheckState.UNMET, why, until, not_measured(check, found))
        return _Judged(CheckState.UNKNOWN, why, why, not_measured(check, found))

    found = await asyncio.gather(*(one(check) for check in checks))
    state = max((one.is_ for one in found), default=CheckState.MET)
    # Where one says that there is nothing to wait for, others of the same answer only say so again.
    over = {check.question for check, one in zip(checks, found, strict=True) if one.is_ is CheckState.FAILED}
    telling = [
        one
        for check, one in zip(checks, found, strict=True)
        if one.is_ is CheckState.FAILED or check.question not in over
    ]
    says = clauses(one.why for one in telling)
    until = clauses(one.until for one in found)
    return CheckResult(state, says, tuple(look.evidence), until, tuple(dict.fromkeys(one.reading for one in found)))


async def wait_for(
    parts: RunContext,
    checks: Sequence[Check],
    images: Images,
    ends: float,
    pause: Callable[[float, str], Awaitable[None]],
    *,
    settled: float | None = None,
) -> CheckResult:
    """Ask until it is so, until it never will be, or until the time is over.

    Args:
        parts: what a run works with.
        checks: all of them must hold.
        images: before-images.
        ends: when to give up, by the clock that nobody sets; looked at once more then.
        pause: waits some seconds, and says what is waited for; may raise to abandon the wait.
        settled: from when on an answer tells of the change, by that clock: nothing is asked before. None: all the time
            to settle is still to come.
    """
    every = min((check.every for check in checks), default=5)
    settled = parts.monotonic() + time_to_settle(checks) if settled is None else settled
    while time_to_settle(checks) and (left := settled - parts.monotonic()) > 0:
        await pause(min(float(every), left), _settling(checks))
    while True:
        seen = await look_at(parts, checks, images)
        left = ends - parts.monotonic()
        if seen.is_ in (CheckState.MET, CheckState.FAILED) or left <= 0:
            return seen
        await pause(min(float(every), left), seen.until)


async def before_image(parts: RunContext, question: Query, room: int = LARGEST_IMAGE) -> tuple[Rows | None, str]:
    """A before-image, or None and why there is none: one that no ledger should hold is none either.

    Args:
        parts: what a run works with.
        question: what is noted.
        room: bytes that its ticket may still note.
    """
    await parts.planner.resolve_hosts(question.on)
    found = await parts.look(parts.clock(), None).query(Source(question, _weighed))
    if isinstance(found, Unknown):
        return None, f"{found.target}: {found.why}"
    rows, weight = found.value
    if weight > LARGEST_IMAGE:
        return None, f"{question.on}: its answer ({len(rows):,} rows) is too long to record"
    if weight > room:
        return None, f"{question.on}: its answers, {len(rows):,} rows this time, are too long to record all of them"
    return rows, ""


def _weighed(rows: Rows) -> tuple[Rows, int]:
    """Rows of their own, and what they take: read where an answer is read, and not on the loop."""
    return [dict(row) for row in rows], weigh(rows)


def _settling(checks: Sequence[Check]) -> str:
    said = next((check.description for check in checks if check.settle), "")
    return f"before it is checked whether {said}" if said else "for the change to show"


def max_wait(checks: Sequence[Check]) -> int:
    """How many seconds the most patient of them waits."""
    return max((check.within for check in checks), default=0)


def time_to_settle(checks: Sequence[Check]) -> int:
    """How many seconds pass before what they ask about shows a change."""
    return max((check.settle for check in checks), default=0)


def not_measured(check: Check, silent: Unknown) -> str:
    """What stands in place of a reading where nobody answered."""
    what = f", whether {check.description}" if check.description else ""
    return f"{NOT_MEASURED}{what} ({silent.target}: {without_stop(silent.why)})"


def _judged(check: Check, rows: Rows, images: Images) -> _Judged:
    why, reading = unmet(check, rows, images), describe_reading(check, rows, images)
    if not why:
        return _Judged(CheckState.MET, "", "", reading)
    never = is_terminal_failure(check, rows, images)
    whole = _in_words(check, clauses(why), never=never, because=meaning(check, rows) if never else "")
    state = CheckState.FAILED if never else CheckState.UNMET
    return _Judged(state, whole, _until(check, rows, images) or whole, reading)


def _until(check: Check, rows: Rows, images: Images) -> str:
    """For whoever watches: what it waits for, without the columns behind it."""
    if not check.description:
        return ""
    far = progress_text(check, rows, images)
    return f"until {check.description}{f' ({far})' if far else ''}"


def _in_words(check: Check, why: str, *, never: bool, because: str = "") -> str:
    """What it means first, then what the answer said."""
    told = f"{check.never}: {because}" if because else check.never
    means = (never and told) or (f"not met: {check.description}" if check.description else "")
    return f"{means} ({why})" if means else why
