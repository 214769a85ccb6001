"""What VMM servers answer: whether their databases can be read and were backed up, and how their service is."""

from __future__ import annotations

import asyncio

from bot.api.queries import Read, Term, Wql
from bot.api.rows import text
from bot.config.inventory_file import Vmm
from bot.doctor.check import Check, fail, ok, skip, warn
from bot.errors import TargetError
from bot.services import Outside

SERVICE = "VMMService"
_RIGHTS = "Give the login the rights in deploy/rights.md#vmm, or name another database below [vmm] in the estate."
# What the questions about VMM read; the columns are compared when a command asks.
_TABLES = ("tbl_ADHC_Host", "tbl_TR_TaskTrail", "tbl_WLC_VMInstance", "tbl_WLC_VObject")


async def databases(out: Outside) -> list[Check]:
    """Every VMM server of the estate, all at once."""
    servers = out.estate.vmm.values()
    looks = [look(out, vmm.name) for vmm in servers for look in (_schema, _backup)]
    return list(await asyncio.gather(*looks, *(_service(out, vmm) for vmm in servers)))


async def _service(out: Outside, vmm: Vmm) -> Check:
    """Whether the bot could stop VMM's service, where it changes the database."""
    what = "vmm service"
    if not vmm.host:
        return skip(what, "the estate names no host for it, so a person stops and starts it", on=vmm.name)
    try:
        question = Wql(vmm.host, "root/cimv2", "Win32_Service", ("State",), (Term("Name", "=", SERVICE),))
        rows = (await out.reach.answer(question, out.settings.limits.per_host_seconds)).rows
    except TargetError as error:
        return warn(what, error.says, error.do, on=vmm.host)
    if not rows:
        return fail(
            what, f"there is no service {SERVICE}", "Name the right host below [vmm] in the estate.", on=vmm.host
        )
    return ok(what, f"{SERVICE} is {text(rows[0], 'State').lower()}", on=vmm.host)


async def _schema(out: Outside, name: str) -> Check:
    what = "vmm database"
    try:
        rows = (await out.reach.answer(Read(name, "vmm columns"))).rows
    except TargetError as error:
        return fail(what, error.says, error.do, on=name)
    tables = sorted({text(row, "TABLE_NAME") for row in rows})
    if not tables:
        return fail(what, "it answers, and shows none of VMM's tables", _RIGHTS, on=name)
    if hidden := sorted(set(_TABLES) - set(tables)):
        return warn(
            what, f"it shows no {', '.join(hidden)}: the schema is unknown, or the login sees less", _RIGHTS, on=name
        )
    return ok(what, f"{', '.join(tables)} can be read", on=name)


async def _backup(out: Outside, name: str) -> Check:
    what = "vmm backup"
    try:
        rows = (await out.reach.answer(Read(name, "vmm last full backup"))).rows
    except TargetError as error:
        return warn(what, error.says, error.do, on=name)
    if not rows:
        return warn(what, "no full backup of it was ever made", "Without one nothing will be changed in it.", on=name)
    return ok(what, f"last full backup {text(rows[0], 'backup_finish_date')[:16]}, the server's time", on=name)
