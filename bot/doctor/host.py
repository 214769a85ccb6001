"""One host: login, clock, namespaces, quotas, code page, event channels, writers. Everything is only read."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import Any

from bot.api.queries import Query, Registry, RunReader, WinRMConfig, Wql
from bot.api.rows import CellError, Rows, get_datetime, get_int, get_str
from bot.doctor.check import DoctorCheck, fail, ok, skip, warn
from bot.errors import NotFound, TargetError
from bot.services import Connections

_RIGHTS = "See deploy/rights.md."
KERBEROS_SECONDS = 300  # the largest difference of clocks that a domain accepts by default [doc]
_NOTICEABLE_SECONDS = 60
HYPER_V = ("root/virtualization/v2", "root/virtualization")  # 2012 and later; 2008 R2 [doc]
VMMS_LOG = "Microsoft-Windows-Hyper-V-VMMS-Admin"
INTEGRATION_LOG = "Microsoft-Windows-Hyper-V-Integration-Admin"
FEWEST_SHELLS = 6  # the bot opens up to four at once on a host, and others may be working there
LEAST_MEMORY = 256  # MB per shell; WinRM 2.0 has 150 [doc], and programs then die in the middle


async def check_host(out: Connections, host: str, *, clustered: bool, hypervisor: bool = True) -> list[DoctorCheck]:
    """Everything about one host. Where the login fails, nothing else is tried."""
    login, clock = await _login(out, host)
    if clock is None:
        return [login]
    looks: list[Awaitable[DoctorCheck]] = [_quotas(out, host), _code_page(out, host)]
    if hypervisor:
        looks += [_hyper_v(out, host), _channels(out, host), _writers(out, host)]
    if clustered:
        looks.append(_cluster(out, host))
    return [login, clock, *await asyncio.gather(*looks)]


async def _login(out: Connections, host: str) -> tuple[DoctorCheck, DoctorCheck | None]:
    question = Wql(host, "root/cimv2", "Win32_OperatingSystem", ("Caption", "Version", "LocalDateTime"))
    before = datetime.now(UTC)
    try:
        rows = (await out.reach.answer(question, out.settings.limits.per_host_seconds)).rows
    except TargetError as error:
        return fail("login", f"{error.kind}: {error.message}", error.hint, on=host), None
    halfway = before + (datetime.now(UTC) - before) / 2
    row: Mapping[str, Any] = rows[0] if rows else {}
    system = (
        f"{get_str(row, 'Caption').strip()} {get_str(row, 'Version')}".strip() or "no answer to Win32_OperatingSystem"
    )
    return ok("login", system, on=host), _clock(host, row, halfway)


def _clock(host: str, row: Mapping[str, Any], here: datetime) -> DoctorCheck:
    try:
        there = get_datetime(row, "LocalDateTime")
    except CellError as error:
        return warn("time", f"its clock cannot be read: {error}", on=host)
    if there is None:
        return warn("time", "it does not say its time", on=host)
    seconds = round((there - here).total_seconds())
    if abs(seconds) >= KERBEROS_SECONDS:
        return fail("time", f"{seconds:+d} s; Kerberos fails at {KERBEROS_SECONDS} s", "w32tm /resync there.", on=host)
    if abs(seconds) >= _NOTICEABLE_SECONDS:
        return warn("time", f"{seconds:+d} s; Kerberos fails at {KERBEROS_SECONDS} s", "w32tm /resync there.", on=host)
    return ok("time", "within a minute of ours", on=host)


async def _hyper_v(out: Connections, host: str) -> DoctorCheck:
    """An account without the right sees an empty namespace rather than an error [mem], so rows are counted."""
    for namespace in HYPER_V:
        try:
            rows = await _rows(out, Wql(host, namespace, "Msvm_ComputerSystem", ("Name",)))
        except NotFound:
            continue
        except TargetError as error:
            return fail("hyper-v", f"{namespace}: {error.message}", error.hint or _RIGHTS, on=host)
        if rows:
            return ok("hyper-v", f"{namespace} answers", on=host)
        return fail(
            "hyper-v", f"{namespace} is empty for this account", f"It needs the right to see it. {_RIGHTS}", on=host
        )
    return fail("hyper-v", "no Hyper-V namespace", "Is the Hyper-V role installed there?", on=host)


async def _cluster(out: Connections, host: str) -> DoctorCheck:
    try:
        rows = await _rows(out, Wql(host, "root/MSCluster", "MSCluster_Cluster", ("Name",)))
    except TargetError as error:
        return fail("cluster wmi", error.message, error.hint or _RIGHTS, on=host)
    return ok("cluster wmi", "root/MSCluster answers", on=host) if rows else warn("cluster wmi", "no cluster", on=host)


async def _quotas(out: Connections, host: str) -> DoctorCheck:
    """WinRM 2.0 allows 5 shells and 150 MB for each [doc]: enough to ask, little for others beside."""
    try:
        told = (await _rows(out, WinRMConfig(host)))[0]
    except TargetError as error:
        return skip("quotas", f"winrm/config: {error.message}", on=host)
    winrs, service = told.get("Winrs") or {}, told.get("Service") or {}
    try:
        shells, memory = get_int(winrs, "MaxShellsPerUser"), get_int(winrs, "MaxMemoryPerShellMB")
    except CellError as error:
        return warn("quotas", f"winrm/config cannot be read: {error}", on=host)
    low = [f"MaxShellsPerUser is {shells}"] if shells is not None and shells < FEWEST_SHELLS else []
    low += [f"MaxMemoryPerShellMB is {memory}"] if memory is not None and memory < LEAST_MEMORY else []
    if low:
        return warn("quotas", ", ".join(low), "Raise it with winrm set winrm/config/winrs there.", on=host)
    if get_str(service, "AllowUnencrypted").lower() == "true":
        return warn("quotas", "AllowUnencrypted is on", "Turn it off; the bot never needs it.", on=host)
    return ok("quotas", f"{shells} shells, {memory} MB each", on=host)


async def _code_page(out: Connections, host: str) -> DoctorCheck:
    """Programs print in the OEM code page of the host's language."""
    key = r"SYSTEM\CurrentControlSet\Control\Nls\CodePage"
    try:
        page = get_str((await _rows(out, Registry(host, key, ("OEMCP",))))[0], "OEMCP")
        codecs.lookup(f"cp{page}")
    except TargetError as error:
        return fail("code page", error.message, error.hint or _RIGHTS, on=host)
    except (LookupError, CellError):
        return warn("code page", "its OEM code page is not known here", "Texts of programs may be garbled.", on=host)
    return ok("code page", f"OEM {page}", on=host)


async def _channels(out: Connections, host: str) -> DoctorCheck:
    try:
        rows = await _rows(out, RunReader(host, "wevtutil enumerate channels"))
    except TargetError as error:
        return fail("event channels", error.message, error.hint or _RIGHTS, on=host)
    names = {get_str(row, "name").lower() for row in rows}
    if VMMS_LOG.lower() not in names:
        return warn("event channels", f"no {VMMS_LOG}", "Event 10102 cannot be looked for there.", on=host)
    if INTEGRATION_LOG.lower() not in names:  # perhaps gone from 2016 on [unconfirmed]: nothing depends on it
        return ok("event channels", f"{VMMS_LOG} is there; {INTEGRATION_LOG} is not, which is no trouble", on=host)
    return ok("event channels", f"{VMMS_LOG} is there", on=host)


async def _writers(out: Connections, host: str) -> DoctorCheck:
    try:
        rows = await _rows(out, RunReader(host, "vssadmin list writers"))
    except TargetError as error:
        return fail("writers", error.message, error.hint or _RIGHTS, on=host)
    if not rows:
        return warn("writers", "vssadmin lists none", "An empty list is not a healthy one: see KB2009550.", on=host)
    return ok("writers", "vssadmin lists them", on=host)


async def _rows(out: Connections, question: Query) -> Rows:
    return (await out.reach.answer(question, out.settings.limits.per_host_seconds)).rows
