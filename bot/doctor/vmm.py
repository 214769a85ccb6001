"""What VMM servers answer: whether their databases can be read and were backed up, and how their service is."""

from __future__ import annotations

import asyncio

from bot.api.queries import Predicate, RunReader, Wql
from bot.api.rows import get_str
from bot.config.inventory_file import Vmm
from bot.doctor.check import DoctorCheck, fail, ok, skip, warn
from bot.errors import TargetError
from bot.services import Connections

SERVICE = "VMMService"
_RIGHTS = "Give the login the rights in deploy/rights.md#vmm, or name another database below [vmm] in the inventory."
# What the questions about VMM read; the columns are compared when a command asks.
_TABLES = ("tbl_ADHC_Host", "tbl_TR_TaskTrail", "tbl_WLC_VMInstance", "tbl_WLC_VObject")


async def databases(out: Connections) -> list[DoctorCheck]:
    """Every VMM server of the inventory, all at once."""
    servers = out.inventory_file.vmm.values()
    looks = [look(out, vmm.name) for vmm in servers for look in (_schema, _backup)]
    return list(await asyncio.gather(*looks, *(_service(out, vmm) for vmm in servers)))


async def _service(out: Connections, vmm: Vmm) -> DoctorCheck:
    """Whether the bot could stop VMM's service, where it changes the database."""
    what = "vmm service"
    if not vmm.host:
        return skip(what, "the inventory names no host for it, so someone must stop and start it by hand", on=vmm.name)
    try:
        question = Wql(vmm.host, "root/cimv2", "Win32_Service", ("State",), (Predicate("Name", "=", SERVICE),))
        rows = (await out.target_client.answer(question, out.settings.limits.per_host_seconds)).rows
    except TargetError as error:
        return warn(what, error.message, error.hint, on=vmm.host)
    if not rows:
        return fail(
            what, f"there is no service {SERVICE}", "Name the right host below [vmm] in the inventory.", on=vmm.host
        )
    return ok(what, f"{SERVICE} is {get_str(rows[0], 'State').lower()}", on=vmm.host)


async def _schema(out: Connections, name: str) -> DoctorCheck:
    what = "vmm database"
    try:
        rows = (await out.target_client.answer(RunReader(name, "vmm columns"))).rows
    except TargetError as error:
        return fail(what, error.message, error.hint, on=name)
    tables = sorted({get_str(row, "TABLE_NAME") for row in rows})
    if not tables:
        return fail(what, "it answers, and shows none of VMM's tables", _RIGHTS, on=name)
    if hidden := sorted(set(_TABLES) - set(tables)):
        return warn(
            what, f"it shows no {', '.join(hidden)}: the schema is unknown, or the login sees less", _RIGHTS, on=name
        )
    return ok(what, f"{', '.join(tables)} can be read", on=name)


async def _backup(out: Connections, name: str) -> DoctorCheck:
    what = "vmm backup"
    try:
        rows = (await out.target_client.answer(RunReader(name, "vmm last full backup"))).rows
    except TargetError as error:
        return warn(what, error.message, error.hint, on=name)
    if not rows:
        return warn(what, "no full backup of it was ever made", "Without one nothing will be changed in it.", on=name)
    return ok(what, f"last full backup {get_str(rows[0], 'backup_finish_date')[:16]}, the server's time", on=name)
