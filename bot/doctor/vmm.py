"""What the databases of VMM servers answer: whether they can be read, and whether they were backed up."""

from __future__ import annotations

import asyncio

from bot.doctor.check import Check, fail, ok, warn
from bot.engine import Outside
from bot.errors import TargetError
from bot.vocabulary.questions import Read
from bot.vocabulary.rows import text

_RIGHTS = "Give the login the rights in deploy/rights.md#vmm, or name another database below [vmm] in the estate."


# What the questions about VMM read; the columns are compared when a command asks.
_TABLES = ("tbl_ADHC_Host", "tbl_TR_TaskTrail", "tbl_WLC_VMInstance", "tbl_WLC_VObject")


async def databases(out: Outside) -> list[Check]:
    """Every VMM server of the estate, all at once."""
    looks = (look(out, vmm.name) for vmm in out.estate.vmm.values() for look in (_schema, _backup))
    return list(await asyncio.gather(*looks))


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
