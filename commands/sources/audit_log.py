r"""What happens on a host when its Security log is full, and who else sets what it audits.

| Fact | Where | Evidence |
|---|---|---|
| stop when an audit cannot be written: 0 off, 1 on, 2 has stopped it, only administrators may log on | Control\Lsa CrashOnAuditFail | [doc: KB140058, KB823659]; no value is off [doc] |
| a full log: Retention 0 overwrites, else keeps | Services\EventLog\Security | [doc: MS-GPSB, Event Log Policies] |
| AutoBackupLogFiles: a kept log is archived when full, from the next start or clearing on | same | [doc: KB312571] |
| the same by policy, "0" and "1" as text; goes before | Policies\Microsoft\Windows\EventLog\Security | [mem: EventLog.admx] |
| GPOs with an advanced audit policy | Group Policy\History, extension F3CCC681 | GUID [doc: MS-GPAC], layout [mem] |
| the legacy audit policy is passed over | Control\Lsa SCENoApplyLegacyAuditPolicy | [doc: security policy settings] |
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from bot.api.facts import Unknown, value_of, values_of
from bot.api.queries import Registry
from bot.api.query_client import QueryClient
from bot.api.rows import CellError, Rows, get_int, get_str, get_strs
from bot.api.sources import Source

_LSA = r"SYSTEM\CurrentControlSet\Control\Lsa"
_LOG = r"SYSTEM\CurrentControlSet\Services\EventLog\Security"
_POLICY = r"SOFTWARE\Policies\Microsoft\Windows\EventLog\Security"
_HISTORY = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy\History\{F3CCC681-B74C-4060-9F26-CD84525DCA2A}"
_MOST_POLICIES = 20  # GPOs whose names are asked for


class CrashOnAuditFail(IntEnum):
    """Lsa CrashOnAuditFail [doc]."""

    OFF = 0
    ARMED = 1
    TRIPPED = 2


class WhenFull(StrEnum):
    """What a full Security log does with the next event."""

    OVERWRITES = "overwrites its oldest events"
    ARCHIVES = "is archived, and a new one begun"
    KEEPS = "takes no new events"


@dataclass(frozen=True, slots=True)
class SecurityLog:
    """One place that says what a full Security log does; None for what it does not say. `most`: bytes."""

    keeps: bool | None
    archives: bool | None
    most: int | None


@dataclass(frozen=True, slots=True)
class Auditing:
    """What hangs on auditing, beside what is audited.

    Attributes:
        crash: what happens when an audit cannot be written.
        log: as the service has it; `policy`: as a policy sets it, which goes before.
        policies: the names of GPOs that set an advanced audit policy.
        ignores_legacy: whether the legacy audit policy of a GPO is passed over; None where that is left to Windows.
    """

    crash: CrashOnAuditFail | Unknown
    log: SecurityLog | Unknown
    policy: SecurityLog | Unknown
    policies: tuple[str, ...] | Unknown
    ignores_legacy: bool | Unknown | None

    @property
    def when_full(self) -> WhenFull | Unknown | None:
        """What a full log does; None where neither place says it."""
        if isinstance(self.log, Unknown):
            return self.log
        if isinstance(self.policy, Unknown):
            return self.policy
        keeps = self.log.keeps if self.policy.keeps is None else self.policy.keeps
        archives = self.log.archives if self.policy.archives is None else self.policy.archives
        if not keeps:
            return WhenFull.OVERWRITES if keeps is False else None
        return WhenFull.ARCHIVES if archives else WhenFull.KEEPS

    @property
    def most(self) -> int | None:
        """How large the log may grow, in bytes; None where nobody says."""
        told = [part.most for part in (self.policy, self.log) if not isinstance(part, Unknown) and part.most]
        return told[0] if told else None


def crash_on_audit_fail(on: str) -> Source[CrashOnAuditFail]:
    """The question: does the host stop when an audit cannot be written?"""
    return Source(Registry(on, _LSA, ("CrashOnAuditFail",)), _read_crash)


def security_log(on: str) -> Source[SecurityLog]:
    """The question: what does its service do when the Security log is full?"""
    return Source(Registry(on, _LOG, ("Retention", "AutoBackupLogFiles", "MaxSize")), _read_log)


def security_log_policy(on: str) -> Source[SecurityLog]:
    """The question: what does a policy make of it?"""
    return Source(Registry(on, _POLICY, ("Retention", "AutoBackupLogFiles", "MaxSize")), _read_policy)


async def look_at_auditing(on: str, ask: QueryClient) -> Auditing:
    """Ask in one round; the names of GPOs in a second one, where there are any."""
    crash, log, policy, legacy, numbers = await asyncio.gather(
        ask.query(crash_on_audit_fail(on)),
        ask.query(security_log(on)),
        ask.query(security_log_policy(on)),
        ask.query(Source(Registry(on, _LSA, ("SCENoApplyLegacyAuditPolicy",)), _read_legacy)),
        ask.query(Source(Registry(on, _HISTORY), _read_numbers)),
    )
    policies = value_of(numbers)
    if policies and not isinstance(policies, Unknown):
        policies = await _names(on, policies, ask)
    return Auditing(value_of(crash), value_of(log), value_of(policy), policies, value_of(legacy))


async def _names(on: str, numbers: tuple[str, ...], ask: QueryClient) -> tuple[str, ...]:
    """The names of GPOs; where one has none, or did not tell it, its number represents it."""
    few = numbers[:_MOST_POLICIES]
    told: Mapping[str, str | Unknown] = values_of(
        await ask.query_many(
            {one: Source(Registry(on, f"{_HISTORY}\\{one}", ("DisplayName",)), _read_name) for one in few}
        )
    )
    names = [name if isinstance(name, str) and name else f"policy {number}" for number, name in told.items()]
    return (*dict.fromkeys(names), *([f"{len(numbers) - len(few)} more"] if len(numbers) > len(few) else []))


def _read_crash(rows: Rows) -> CrashOnAuditFail:
    """Off where there is no such value. Raises CellError, and ValueError for a number that is not listed."""
    told = get_int(rows[0], "CrashOnAuditFail") if rows else None
    return CrashOnAuditFail(told or 0)


def _read_log(rows: Rows) -> SecurityLog:
    """Any number but 0 keeps events, for a time or for ever. Raises CellError."""
    row = rows[0] if rows else {}
    retention, archives = get_int(row, "Retention"), get_int(row, "AutoBackupLogFiles")
    keeps = None if retention is None else retention != 0
    return SecurityLog(keeps, None if archives is None else archives != 0, get_int(row, "MaxSize"))


def _read_policy(rows: Rows) -> SecurityLog:
    """The same, in kilobytes. Raises CellError."""
    found = _read_log(rows)
    return SecurityLog(found.keeps, found.archives, None if found.most is None else found.most * 1024)


def _read_legacy(rows: Rows) -> bool | None:
    """Whether it is passed over. Raises CellError."""
    told = get_int(rows[0], "SCENoApplyLegacyAuditPolicy") if rows else None
    return None if told is None else told != 0


def _read_numbers(rows: Rows) -> tuple[str, ...]:
    """The keys of the policies that were applied; none where there is no such key. Raises CellError."""
    if not rows:
        raise CellError("subkeys", None)
    return tuple(sorted(get_strs(rows[0], "subkeys")))


def _read_name(rows: Rows) -> str:
    """A policy's name. Raises CellError."""
    return get_str(rows[0], "DisplayName").strip() if rows else ""
