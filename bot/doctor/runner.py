"""All looks, in order, drawn as they are found. Nothing is queried through the pipeline: the ledger gets no entry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from bot.cli.console import console, styled
from bot.cli.layout import print_rows, print_text
from bot.config.settings import Settings, load
from bot.control_chars import json_text
from bot.doctor.approvers import check_approvers
from bot.doctor.bots import bots
from bot.doctor.check import DoctorCheck, Status, merge_checks, summary
from bot.doctor.clusters import check_clusters
from bot.doctor.commvault import backup_product
from bot.doctor.event_logs import event_logs
from bot.doctor.local import check_local, ledger_connection, settings_unreadable, slack
from bot.doctor.migration import check_migration
from bot.doctor.sites import check_worker, site_keys, sites
from bot.doctor.vmm import databases
from bot.doctor.windows import check_windows
from bot.doctor.write_access import changes
from bot.errors import HvopsError
from bot.redaction import Redactor
from bot.services import open_connections

STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red", Status.SKIP: "dim"}


def examine(path: Path | None, *, as_json: bool = False, migrate: str = "") -> int:
    """Look, and print what was found; of live migration alone, where a guest is named. Returns 1 where something fails, else 0."""
    mask = Redactor()
    try:
        settings = load(path)
    except HvopsError as error:
        checks = [settings_unreadable(error)]
    else:
        # Before anything is looked at: whatever cuts or joins a text masks what any mask of the process knows.
        mask = Redactor(settings.secrets())
        checks = asyncio.run(_migration(settings, migrate) if migrate else _all(settings))
    checks = [_without_secrets(check, mask) for check in checks]
    if as_json:
        for check in checks:
            print(json_text(asdict(check)))  # noqa: T201 - the answer itself
    else:
        _draw(checks)
    return 1 if any(check.status is Status.FAIL for check in checks) else 0


def _without_secrets(check: DoctorCheck, mask: Redactor) -> DoctorCheck:
    says, on, do = map(mask.redact_text, (check.says, check.on, check.do))
    return replace(check, says=says, on=on, do=do)


async def _all(settings: Settings) -> list[DoctorCheck]:
    is_worker = settings.sites is not None and settings.sites.is_workers
    if is_worker:
        found = await check_worker(settings)
    else:
        found = [
            *check_local(settings),
            *await ledger_connection(settings),
            *await bots(settings),
            *await slack(settings),
        ]
        found += await check_approvers(settings)
        if missing := site_keys(settings):
            return [*found, *missing]
    try:
        with open_connections(settings) as out:
            found += await sites(out)
            found += check_windows(out.inventory_file.windows(), datetime.now(UTC))
            found += await check_clusters(out)
            found += [] if is_worker else await event_logs(out)
            found += await databases(out)
            found += await backup_product(out)
            found += await changes(out)
    except HvopsError as error:
        found.append(settings_unreadable(error))
    return found


async def _migration(settings: Settings, vm: str) -> list[DoctorCheck]:
    try:
        with open_connections(settings) as out:
            return await check_migration(out, vm)
    except HvopsError as error:
        return [settings_unreadable(error)]


def _draw(checks: Iterable[DoctorCheck]) -> None:
    out, found = console(), list(merge_checks(checks))
    rows = []
    for check in found:
        says = f"{check.on}: {check.says}" if check.on else check.says
        todo = f" → {check.do}" if check.do else ""
        rows.append((styled(check.status, STYLES[check.status]), styled(check.what), styled(says + todo)))
    print_rows(out, rows)
    print_text(out, styled(summary(found), "bold"))
