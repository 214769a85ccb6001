"""Stops of guests: what their own System log says, and what their host's log says of them.

In a guest: event 1001 of Microsoft-Windows-WER-SystemErrorReporting is a stop [doc]; its events bear the classic source name
"BugCheck", and that is what Win32_NTLogEvent calls it [src: published scripts ask for that name, published events carry it as
EventSourceName]. The same number of "Windows Error Reporting", in the Application log, is an application [seen]. Event 41 of Microsoft-Windows-Kernel-Power comes after any start
without a proper shutdown: its BugcheckCode, the first value, is decimal, and 0 means that power was lost or the machine was
turned off [doc]. On a host: Worker 18590 carries the codes of a guest that stopped [seen], 18560 a triple fault, without one.
The driver at fault is in none of them: only the memory dump tells it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.api.queries import GuestWql, Predicate
from bot.api.rows import CellError, Row, Rows, get_datetime, get_int, get_str, get_strs, readable
from bot.api.sources import Source
from commands.sources.event_log import Event, EventLog, logged_events, named_guest
from commands.sources.guests import HostedGuest

WORKER_LOG = "Microsoft-Windows-Hyper-V-Worker-Admin"
WORKER_PROVIDER = "Microsoft-Windows-Hyper-V-Worker"
_REPORTING = ("BugCheck", "Microsoft-Windows-WER-SystemErrorReporting")  # the source's name, and the provider's
_POWER = "Microsoft-Windows-Kernel-Power"
_STOP, _UNCLEAN = 1001, 41
_STOPPED, _TRIPLE_FAULT = 18590, 18560
_CODE = re.compile(r"0x([0-9a-f]{1,16})\b.*", re.IGNORECASE | re.DOTALL)
_MASK = 0xFFFFFFFF
_OTHER_DUMP = 0x10000000  # 0x100000D1 is 0xD1 whose dump was made another way [doc: stop 0x1000007E]


class How(StrEnum):
    """What an event says."""

    STOP = "stop"
    POWER = "lost power or was turned off, no bugcheck"
    TRIPLE_FAULT = "was reset after a triple fault"


@dataclass(frozen=True, slots=True)
class Stop:
    """One end of a guest that was not meant.

    Attributes:
        code: of the stop: 0xD1 is 209; None where there is none, or it cannot be read.
        dump: the path of its memory dump; "" where it was not told.
    """

    how: How
    at: datetime
    event_id: int
    code: int | None = None
    dump: str = ""


@dataclass(frozen=True, slots=True)
class Stops:
    """What a guest's System log has of them, newest first. `unread`: how many events could not be read."""

    stops: tuple[Stop, ...] = ()
    unread: int = 0


def guest_stops(hosted: HostedGuest, since: datetime) -> Source[Stops]:
    """The question: which stops and unclean ends has the guest's System log since then? By provider, never by number alone."""
    guest = hosted.guest
    where = (
        Predicate("Logfile", "=", "System"),
        Predicate("SourceName", "in", (*_REPORTING, _POWER)),
        Predicate("EventCode", "in", (_STOP, _UNCLEAN)),
        Predicate("TimeGenerated", ">=", since.strftime("%Y%m%d%H%M%S.000000+000")),  # DMTF, UTC [doc]
    )
    columns = ("EventCode", "SourceName", "TimeGenerated", "InsertionStrings")
    return Source(
        GuestWql(guest.name, hosted.told.fqdn, guest.vm_id, "root/cimv2", "Win32_NTLogEvent", columns, where),
        _read_stops,
    )


def host_stops(on: str, since: datetime) -> Source[EventLog]:
    """The question: which guests stopped on a host since then?"""
    return logged_events(on, WORKER_LOG, (_STOPPED, _TRIPLE_FAULT), since, WORKER_PROVIDER)


def read_host_stop(event: Event) -> tuple[str, str, Stop]:
    """VM id ("" where it is none), name and stop of a Worker event. Codes come in hexadecimal or decimal [seen]."""
    vm_id, name = named_guest(event)
    if event.event_id == _TRIPLE_FAULT:
        return vm_id, name, Stop(How.TRIPLE_FAULT, event.at, event.event_id)
    named = dict(event.data)
    code = next((named[word] for word in ("VmErrorCode0", "ErrorCode0", "Parameter2") if word in named), "")
    return vm_id, name, Stop(How.STOP, event.at, event.event_id, read_stop_code(code))


def read_stop_code(text: str) -> int | None:
    """The number of a stop: "0x000000d1 (0x0, …)", "0xd1" and "209" are one; None for any other text."""
    word = text.strip()
    found = _CODE.fullmatch(word)
    if found:
        return int(found[1], 16) & _MASK & ~_OTHER_DUMP
    return int(word) & _MASK & ~_OTHER_DUMP if word.isascii() and word.isdigit() and len(word) < 11 else None  # noqa: PLR2004 - ten digits


def _read_stops(rows: Rows) -> Stops:
    """One that cannot be read is counted, and spoils no other."""
    found = [_stop(row) for row in rows]
    stops = sorted((one for one in found if one is not None), key=lambda one: one.at, reverse=True)
    return Stops(tuple(stops), sum(one is None for one in found))


def _stop(row: Row) -> Stop | None:
    try:
        number, at = get_int(row, "EventCode"), get_datetime(row, "TimeGenerated")
        provider = get_str(row, "SourceName")
    except CellError:
        return None
    values = readable(get_strs, row, "InsertionStrings") or ()
    code = read_stop_code(values[0]) if values else None
    if at is None or code is None:
        return None
    if number == _STOP and provider.casefold() in (one.casefold() for one in _REPORTING):
        return Stop(How.STOP, at, _STOP, code, values[1].strip() if len(values) > 1 else "")
    if number == _UNCLEAN and provider.casefold() == _POWER.casefold():
        return Stop(How.STOP, at, _UNCLEAN, code) if code else Stop(How.POWER, at, _UNCLEAN)
    return None
