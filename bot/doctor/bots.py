"""The bots on one ledger in a database: which are there, what each does for all, and whether they go by the same rules."""

from __future__ import annotations

import asyncio

from bot.config.inventory_file import load as load_inventory
from bot.config.settings import Settings
from bot.doctor.check import DoctorCheck, ok, skip, warn
from bot.errors import LedgerError, SettingsError
from bot.ledger.places import open_locks
from bot.ledger.shared_locks import Duty
from bot.ledger_place import Database
from bot.other_bots import describe, differences, marks_of

_BOTS = "bots"


async def bots(settings: Settings) -> list[DoctorCheck]:
    """All that the ledger's database knows of; none where the ledger is a file, which one bot at a time works with."""
    if not isinstance(settings.ledger.place, Database):
        return []
    try:
        locks = open_locks(settings.ledger.place)
        found = await asyncio.to_thread(locks.present) if locks is not None else []
        clock = await asyncio.to_thread(locks.compare_clock) if locks is not None else ""
        own = marks_of(settings, load_inventory(settings.inventory))
    except (LedgerError, SettingsError):  # which the look at the ledger, or at the inventory, says
        return []
    clocks = [warn("clock", *_what_and_do(clock))] if clock else []
    if not found:
        return [skip(_BOTS, "no bot is connected to the ledger's database"), *clocks]
    checks = [*clocks, ok(_BOTS, describe(found))]
    if not any(Duty.RUNS in bot.duties for bot in found):
        do = "Restart the bots. A session of another program may hold their locks: see pg_locks in the database."
        checks.append(warn(_BOTS, "none of them starts what is approved", do))
    do = "Give all bots the same, and restart them one after the other."
    checks += [warn(_BOTS, says, do) for says in differences(found, own)]
    return checks


def _what_and_do(says: str) -> tuple[str, str]:
    """What is wrong with a clock, and what to do, out of the sentences that say both."""
    what, _, do = says.partition(". ")
    return what, f"{do}."
