"""The event logs of the hosts: do the notes that hvops left there know more than this ledger?"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.doctor.check import DoctorCheck, fail, ok, warn
from bot.errors import HvopsError, LedgerError, TargetError
from bot.executor.external_records import newest_checked, notes_know_more, unread_in
from bot.executor.record_check import notes_query, oldest_query, read_begin, read_notes
from bot.ledger import Entry, Reader
from bot.ledger.anchors import AnchorSeal
from bot.ledger.key import read_key
from bot.services import Connections

_WHAT = "event log"


async def event_logs(out: Connections) -> list[DoctorCheck]:
    """Look at each host that can be acted on; nothing where no ledger is begun, or nobody is to be asked."""
    files = out.settings.ledger
    if not files.require_anchor or not files.may_be_begun:
        return []
    try:
        key = read_key(files.key_file)
        with Reader(files.place) as ledger:
            seal = AnchorSeal(key, ledger.ledger_id(key))
            since = _since(ledger)
            return list(await asyncio.gather(*(_look(out, ledger, seal, since, host) for host in await _hosts(out))))
    except LedgerError:
        return []  # what is wrong with the ledger is said elsewhere


def _since(ledger: Reader) -> Entry | None:
    """From when on a log has to be whole: of the tickets that could be run a second time, the one that is known least."""
    open_tickets = ledger.tickets(("approved", "running", "interrupted"))
    known = (newest_checked(ledger.story(ticket)) for ticket in open_tickets)
    return min((one for one in known if one is not None), key=lambda one: one.seq, default=None) or ledger.head()


async def _hosts(out: Connections) -> list[str]:
    found = [host.name for host in out.inventory_file.hosts.values()]
    for name in out.inventory_file.clusters:
        try:
            found += await out.inventory.nodes(name)
        except HvopsError:  # that is said elsewhere
            continue
    return found


async def _look(out: Connections, ledger: Reader, seal: AnchorSeal, since: Entry | None, host: str) -> DoctorCheck:
    try:
        told = await out.target_client.answer(notes_query(host), out.settings.limits.per_host_seconds)
        page = read_notes(host, told.rows)
        oldest = await out.target_client.answer(oldest_query(host), out.settings.limits.per_host_seconds)
        page = replace(page, begins=read_begin(oldest.rows))
    except (TargetError, ValueError) as error:
        says = f"cannot tell whether this ledger is a restored copy: {error}"
        return warn(_WHAT, says, "Add the reader to Event Log Readers there: deploy/rights.md.", on=host)
    if more := notes_know_more(ledger, seal, host, page.notes):
        return fail(_WHAT, more, "Put the newest ledger back and restart hvops.", on=host)
    if unread := unread_in(page, since):
        says = f"cannot tell whether this ledger is a restored copy: {unread}"
        return warn(_WHAT, says, "Find out who clears that log, or writes there as hvops.", on=host)
    return ok(_WHAT, "has no entry that this ledger lacks", on=host)
