"""The backup product: its address, the login, and whether jobs can be listed. Nothing is done there."""

from __future__ import annotations

from bot.api.queries import RunReader
from bot.config.inventory_file import COMMVAULT
from bot.doctor.check import DoctorCheck, fail, ok, skip
from bot.errors import TargetError
from bot.services import Connections

_RIGHTS = "See deploy/rights.md#commvault."


async def backup_product(out: Connections) -> list[DoctorCheck]:
    """One look. Whether the account may also resume a job shows only when it does."""
    if out.inventory_file.commvault is None:
        return [skip(COMMVAULT, "not in the inventory", "Write a table [commvault] to see and resume its jobs.")]
    if out.settings.credentials.commvault is None:
        return [fail(COMMVAULT, "no login is set for it", "Write a table [credentials.commvault].")]
    try:
        rows = (await out.target_client.answer(RunReader(COMMVAULT, "commvault active jobs"))).rows
    except TargetError as error:
        return [fail(COMMVAULT, error.message, error.hint or _RIGHTS)]
    return [ok(COMMVAULT, f"login works, active jobs listed: {len(rows)}")]
