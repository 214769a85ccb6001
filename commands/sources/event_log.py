"""What a host's event logs name: guests whose snapshot failed, roles that would not drain, VSS access errors.

Read as XML data, never as message text, which is localised. Numbers and GUIDs decide.

Which number means what is one table, `KNOWN_EVENTS`: a number decides only together with the provider that wrote it and
the Windows it was written on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.api.queries import RunReader, make_params
from bot.api.rows import Cell, CellError, Row, Rows, get_datetime, get_int, get_str
from bot.api.sources import Source
from commands.sources.identity import guid

VMMS_LOG = "Microsoft-Windows-Hyper-V-VMMS-Admin"
INTEGRATION_LOG = "Microsoft-Windows-Hyper-V-Integration-Admin"  # perhaps gone from 2016 on [unconfirmed]
VMMS = "Microsoft-Windows-Hyper-V-VMMS"
DRAIN_MOVE_FAILED = 1137
LOCKED_STATUS = 1071
VSS_CALLBACK = 8194
CLUSTERING = "Microsoft-Windows-FailoverClustering"
VSS = "VSS"


class Meaning(StrEnum):
    """What an event says, in words that follow a guest's name where it is about one: "crm-01: no SCSI controller"."""

    GUEST_SNAPSHOT_FAILED = "its shadow copy failed"
    NO_SCSI_CONTROLLER = "it has no SCSI controller, so it cannot be backed up while it runs"
    BACKUP_CHECKPOINT_FAILED = "its backup checkpoint could not be created"
    CHECKPOINT_FAILED = "a checkpoint of it failed"
    DRAIN_MOVE_FAILED = "a role did not move when its node was drained"
    LOCKED_STATUS = "a locked status blocked an operation"
    CALLBACK_FAILED = "VSS could not call a writer back"


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """What a number of one provider means, on which Windows.

    Attributes:
        since: the first build on which it means this; 0 for all.
        until: the first build on which it does not any more; 0 for none.
    """

    provider: str
    event_id: int
    meaning: Meaning
    since: int = 0
    until: int = 0

    def holds_on(self, build: int | None) -> bool:
        """Whether it means this on a build; of an unknown one only what holds on every Windows."""
        if build is None:
            return not self.since and not self.until
        return self.since <= build and not (self.until and build >= self.until)


_2012_R2, _2016 = 9600, 14393
# 10103 meant "failed to revert to VSS snapshot on the virtual hard disk" on 2008 [doc dd582376]; nothing is known of it on
# 2008 R2 and 2012. 18012: raw events of 2022 and 2025 [cap]; that 2016 and 2019 have it is from memory [mem]. 10150:
# Microsoft's tests of Linux guests look for it after a backup that must fail, on 2012 R2 and 2016 [src microsoft/lis-test
# 719]; that its text is "Could not create backup checkpoint for virtual machine" [doc] is from memory [mem].
KNOWN_EVENTS = (
    KnownEvent(VMMS, 10102, Meaning.GUEST_SNAPSHOT_FAILED),  # [note]
    KnownEvent(VMMS, 10103, Meaning.NO_SCSI_CONTROLLER, since=_2012_R2),  # [note workinghardinit, 2012 R2]
    KnownEvent(VMMS, 10150, Meaning.BACKUP_CHECKPOINT_FAILED, since=_2012_R2),
    KnownEvent(VMMS, 18012, Meaning.CHECKPOINT_FAILED, since=_2016),
    KnownEvent(CLUSTERING, DRAIN_MOVE_FAILED, Meaning.DRAIN_MOVE_FAILED),  # [doc]
    KnownEvent(CLUSTERING, LOCKED_STATUS, Meaning.LOCKED_STATUS),  # [doc]
    KnownEvent(VSS, VSS_CALLBACK, Meaning.CALLBACK_FAILED),  # captures in English and German [cap]
)
MOST = 200  # of one log, the newest: as many rows may be all there are, or cut off there
LOCKED_ERROR = 5960  # ERROR_CLUSTER_RESOURCE_LOCKED_STATUS [doc]
ACCESS_DENIED = 5  # ERROR_ACCESS_DENIED; as an HRESULT 0x80070005 [doc]
_CODE_NAMES = ("ErrorCode", "Status")  # of 1137; its error code is the last of its two values [doc: its message]
# A code alone, or with its meaning behind it: "0x80070005, Access is denied."; one capture has "hr = " before it.
_CODE = re.compile(r"(?:hr\s*=\s*)?(?:0x([0-9a-f]{1,16})|(-?[0-9]{1,20}))(?:[.,;].*|\s.*)?", re.IGNORECASE | re.DOTALL)
_FAILED = 0x80000000  # an HRESULT from here on
_FROM_WIN32 = 0x80070000  # HRESULT_FROM_WIN32: the code is in the lower half [doc]


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        data: its own values in the order of the log, each with its name.
        provider: who wrote it.
    """

    event_id: int
    at: datetime
    data: tuple[tuple[str, str], ...]
    provider: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """The values alone."""
        return tuple(value for _, value in self.data)


@dataclass(frozen=True, slots=True)
class EventLog:
    """The events that a log answered, newest first, and whether they are all that was asked for.

    Attributes:
        cut: whether as many came as were asked for at most: older ones may be missing.
        unreadable: how many came without a number or a time.
    """

    events: tuple[Event, ...] = ()
    cut: bool = False
    unreadable: int = 0

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def is_whole(self, since: datetime) -> bool:
        """Whether no event since then can be missing: only then may "there is none" be concluded."""
        reaches = not self.cut or (bool(self.events) and self.events[-1].at < since)
        return reaches and not self.unreadable


def event_channels(on: str) -> Source[frozenset[str]]:
    """The question: which event channels are there? Answers their names in lower case."""
    return Source(RunReader(on, "wevtutil enumerate channels"), _read_channels)


def _read_channels(rows: Rows) -> frozenset[str]:
    """The names. Raises CellError."""
    return frozenset(get_str(row, "name").strip().lower() for row in rows) - {""}


def logged_events(
    on: str, channel: str, ids: tuple[int, ...], since: datetime, provider: str | None = None
) -> Source[EventLog]:
    """The question: the newest events of these ids since then, `MOST` of them. Other providers use the same numbers in System."""
    return Source(
        RunReader(
            on,
            "wevtutil query events",
            make_params(
                channel=channel,
                ids=",".join(map(str, ids)),
                most=MOST,
                provider=provider,
                since=since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            ),
        ),
        _read_events,
    )


def guest_event_ids(build: int | None) -> tuple[int, ...]:
    """The numbers by which VMMS of that Windows says that a guest could not be backed up."""
    return tuple(known.event_id for known in KNOWN_EVENTS if known.provider == VMMS and known.holds_on(build))


def meaning_of(event: Event, build: int | None) -> Meaning | None:
    """What an event says on that Windows; None where nobody knows it."""
    found = (one for one in KNOWN_EVENTS if (one.provider, one.event_id) == (event.provider, event.event_id))
    return next((known.meaning for known in found if known.holds_on(build)), None)


def snapshot_failures(on: str, since: datetime, build: int | None) -> Source[EventLog]:
    """The question: which guests could not be backed up since then, by the log of a host of that Windows?"""
    return logged_events(on, VMMS_LOG, guest_event_ids(build), since, VMMS)


def _read_events(rows: Rows) -> EventLog:
    """Make a log of rows {event_id, at, data, …}. A row without an id or a time is counted; the others stand."""
    found = [event for event in map(_event, rows) if event is not None]
    newest_first = tuple(sorted(found, key=lambda event: event.at, reverse=True))
    return EventLog(newest_first, cut=len(rows) >= MOST, unreadable=len(rows) - len(found))


def _event(row: Row) -> Event | None:
    try:
        event_id, at = get_int(row, "event_id"), get_datetime(row, "at")
    except CellError:
        return None
    if event_id is None or at is None:
        return None
    return Event(event_id, at, tuple(_flat("", row.get("data"))), _provider(row))


def _provider(row: Row) -> str:
    named = row.get("provider")
    return named.strip() if isinstance(named, str) else ""


def _flat(name: str, cell: Cell) -> Iterator[tuple[str, str]]:
    """The values of a nested row: a value that is repeated comes as a tuple."""
    if isinstance(cell, str):
        yield name, cell.strip()
    elif isinstance(cell, tuple | list):
        for one in cell:
            yield from _flat(name, one)
    elif isinstance(cell, Mapping):
        for inner, one in cell.items():
            yield from _flat(inner, one)


def named_guest(event: Event) -> tuple[str, str]:
    """The virtual machine that a VMMS event names: its id ("" where that is no GUID) and its name.

    Older systems call the two Parameter1 and Parameter0, newer ones VmId and VmName [cap].
    """
    named = dict(event.data)
    vm_id = guid(named.get("VmId") or named.get("Parameter1") or "")
    name = named.get("VmName") or named.get("Parameter0") or ""
    if not name:
        name = next((value for value in event.texts if value and not guid(value)), "")
    return vm_id or next(filter(None, map(guid, event.texts)), ""), name


def read_error_code(text: str) -> int | None:
    """The code that a value is, or begins with; None for any other text.

    0x1748, 0x80071748, -2147018936 and 5960 are one: what was made an HRESULT of a Windows error is that error.
    """
    found = _CODE.fullmatch(text.strip())
    if found is None:
        return None
    code = (int(found[1], 16) if found[1] else int(found[2])) & 0xFFFFFFFF
    return code & 0xFFFF if code & 0xFFFF0000 == _FROM_WIN32 else code


def drain_error(event: Event) -> int | None:
    """Why a role did not move when its node was drained (1137); None where its field holds no code."""
    named = dict(event.data)
    field = next((named[name] for name in _CODE_NAMES if name in named), event.texts[-1] if event.data else "")
    return read_error_code(field)


def callback_error(event: Event) -> int | None:
    """Why VSS could not call back (8194): the first of its values that is a code."""
    return next((code for code in map(read_error_code, event.texts) if code is not None), None)


def format_error_code(code: int) -> str:
    """A Windows error in decimal, as people look it up; an HRESULT in hexadecimal."""
    return str(code) if code < _FAILED else f"0x{code:08X}"
