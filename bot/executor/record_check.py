"""Whether a run may act, by what the external records say, and the note that it leaves on a host before it does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from bot.api.facts import Unknown
from bot.api.queries import RunReader, make_params
from bot.api.rows import Rows, get_datetime, readable
from bot.api.sources import Source
from bot.errors import RecordUnavailable
from bot.executor.actions import EVENT_ID, EVENT_LOG, EVENT_SOURCE, log_host, write_event_log_note
from bot.executor.context import RunContext
from bot.executor.external_records import LogPage, Note, RecordCheck, notes_in
from bot.executor.run import KnownElsewhere, Run
from bot.ledger import Entry
from bot.ledger.anchors import Anchor
from bot.tickets.run_history import StepInstance
from bot.tickets.undo import NOTE_SECONDS

log = structlog.get_logger()

AGAIN_SECONDS = 30.0  # between two looks for a start that waits
_MOST = 200  # notes of one log, the newest


async def check_records(run: Run, steps: Sequence[StepInstance]) -> RecordCheck:
    """What the external records say, for a run that is about to do these steps. Raises LedgerError."""
    outside = run.parts.outside
    if outside is None:
        return RecordCheck()
    hosts = (log_host(at.step.act) for at in steps if at.step.act is not None)
    return await outside.compare(run.ticket, [host for host in hosts if host], partial(_log_of, run.parts))


async def leave_note(run: Run, at: StepInstance, intent: Entry) -> None:
    """Leave a note on the host before the act, and look whether another copy has left one.

    Both write before they look, so of two copies that act at the same time at least one sees the other. A host that
    takes no note, or shows none, keeps nothing from being done: the external records were checked before the group.

    Raises:
        KnownElsewhere: one that this ledger knows nothing of is there.
    """
    outside, act = run.parts.outside, at.step.act
    if outside is None or not outside.required:
        return
    host = log_host(act) if act is not None else ""
    notes: Sequence[Note] = ()
    if act is not None and host:
        key, number = at.key
        head = Anchor(intent.seq, intent.mac)
        note = outside.note(Note(host, run.ticket, run.proposal.digest[:16], key, number, run.attempt, head))
        says = f"hvops {run.ticket}: {at.step.description}: starting."
        try:
            async with asyncio.timeout(NOTE_SECONDS):
                noted = await write_event_log_note(run.parts.actor, act, says, str(note))
                log.debug("before an act", ticket=run.ticket, note=noted)
                notes = (await _notes_on(run.parts, host)).notes
        except (RecordUnavailable, TimeoutError) as error:
            log.info("the event log was not asked before an act", host=host, ticket=run.ticket, why=str(error))
    if why := await outside.refuses(run.ticket, host, notes):
        by_note = await asyncio.to_thread(outside.knows_more_by, run.ticket, host, notes)
        raise KnownElsewhere(why, may_be_sent=by_note)


async def _notes_on(parts: RunContext, host: str) -> LogPage:
    """What hvops wrote into the event log of a host, not yet proved. Raises RecordUnavailable."""
    await parts.planner.resolve_hosts(host)
    source = Source(notes_query(host), partial(read_notes, host))
    found = await parts.look(parts.clock(), None).query(source)
    if isinstance(found, Unknown):
        raise RecordUnavailable(found.why.rstrip("."))
    return found.value


async def _log_of(parts: RunContext, host: str) -> LogPage:
    """The same, with when the log begins, if it tells. Raises RecordUnavailable."""
    page = await _notes_on(parts, host)
    found = await parts.look(parts.clock(), None).query(Source(oldest_query(host), read_begin))
    return page if isinstance(found, Unknown) else replace(page, begins=found.value)


def oldest_query(host: str) -> RunReader:
    """The oldest event of the log in which hvops leaves its notes."""
    return RunReader(host, "wevtutil oldest event", make_params(channel=EVENT_LOG))


def read_begin(rows: Rows) -> datetime | None:
    """When the oldest event was written; None for a log without any."""
    return readable(get_datetime, rows[0], "at") if rows else None


def notes_query(host: str) -> RunReader:
    """What hvops wrote into the event log of a host, the newest."""
    asked = make_params(channel=EVENT_LOG, ids=EVENT_ID, most=_MOST, provider=EVENT_SOURCE)
    return RunReader(host, "wevtutil query events", asked)


def read_notes(host: str, rows: Rows) -> LogPage:
    """The notes among the answer of `notes_query`, not yet proved, and how far back it goes."""
    notes = notes_in(host, (text for row in rows for text in _texts(row.get("data"))))
    times = [readable(get_datetime, row, "at") for row in rows]
    known = [at for at in times if at is not None]
    since = min(known) if known and len(known) == len(times) else None
    return LogPage(notes, len(rows), len(rows) < _MOST, since)


def _texts(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for one in data.values():
            yield from _texts(one)
    elif isinstance(data, tuple | list):
        for one in data:
            yield from _texts(one)
