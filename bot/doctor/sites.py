"""Sites with workers: the queue in PostgreSQL and every worker, as the bot sees them; and the same as a worker does."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.config.settings import Settings, permission_warnings
from bot.doctor.check import DoctorCheck, fail, ok, warn
from bot.errors import HvopsError, SettingsError
from bot.ledger_place import Database
from bot.redaction import clip
from bot.services import Connections
from bot.transport.sites.keys import read_site_key
from bot.version import code_version

if TYPE_CHECKING:
    from bot.transport.sites.queue import Queue, Site

QUEUE = "queue"
_SECONDS = 8.0  # that a worker has to answer
_SKEW = 300.0  # seconds, as `inbox` allows
_SESSIONS = "Connect to PostgreSQL itself, or set pool_mode = session for this database in PgBouncer."
_LATELY = 15.0  # seconds; a worker tells of itself about every second
_OTHER_KEY = (
    "It may have another key: copy the site's key_file from the bot that made it to every other bot and to each worker, and "
    "restart those. Its log says which tasks it does not do."
)
_NO_KEY = "Start the bot, which makes it, and copy it to the worker; where another bot has it already, copy it from there first."
_START = "Start it (deploy/hvops-worker.service, deploy/kubernetes-worker.yaml), or see its log: docs/sites.md."


def site_keys(settings: Settings) -> list[DoctorCheck]:
    """What is wrong with the keys of sites on a bot's machine. None is made: another bot may have it, and only one counts."""
    found = []
    for name, worker in settings.sites.worker.items() if settings.sites is not None else ():
        try:
            read_site_key(worker.key_file)
        except SettingsError as error:
            is_there = worker.key_file.exists()
            says = str(error).rstrip(".") if is_there else f"{worker.key_file}: the key of the site is missing"
            found.append(fail("site key", says, "" if is_there else _NO_KEY, on=name))
    return found


async def sites(out: Connections) -> list[DoctorCheck]:
    """The queue, then each site's worker, all at once."""
    if out.settings.sites is None:
        return []
    from bot.transport.sites.client import SitedClient  # noqa: PLC0415 - its packages are there only where it is used
    from bot.transport.sites.database import QueueAway, QueueRefuses  # noqa: PLC0415

    client = out.target_client
    assert isinstance(client, SitedClient)
    found: list[DoctorCheck] = []
    try:
        await client.queue.workers()
        found += await _queue(out.settings)
        found += await asyncio.gather(*(_worker(client.queue, site, out) for site in client.queue.sites.values()))
        for site, (count, age) in (await client.queue.waiting()).items():
            if age > _SECONDS:
                says = f"{count} tasks are waiting, the oldest for {age:.0f} s"
                found.append(warn(QUEUE, says, _START, on=site))
    except (QueueAway, QueueRefuses, HvopsError) as error:
        found.append(fail(QUEUE, str(error).rstrip("."), "See docs/sites.md for what it needs."))
    return found


async def _queue(settings: Settings) -> list[DoctorCheck]:
    from bot.transport.sites.database import is_pooled, may_connect  # noqa: PLC0415

    assert settings.sites is not None
    place = settings.sites.place
    if await is_pooled(place):
        return [fail(QUEUE, f"{place} is reached through a pooler that shares sessions", _SESSIONS)]
    found = [ok(QUEUE, f"{place} answers")]
    if isinstance(settings.ledger.place, Database):
        logins = [worker.login for worker in settings.sites.worker.values()]
        if let_in := await may_connect(settings.ledger.place, logins):
            name = settings.ledger.place.url.rpartition("/")[2].partition("?")[0]
            says = f"{', '.join(let_in)} may connect to the ledger's database, and wear it out"
            found.append(warn(QUEUE, says, f"Run there: REVOKE CONNECT ON DATABASE {name} FROM PUBLIC."))
    return found


async def _worker(queue: Queue, site: Site, out: Connections) -> DoctorCheck:
    """What the worker of a site says of itself."""
    from bot.transport.sites.messages import get_list, loads  # noqa: PLC0415

    what, began = "worker", time.monotonic()
    pending = await queue.put(site, "hello", {}, within=_SECONDS, lasts=_SECONDS)
    try:
        while not (answers := pending.take_answers()) and not pending.spoilt and time.monotonic() - began < _SECONDS:
            await pending.news(0.2)
    finally:
        queue.forget(pending)
    if not answers and not pending.spoilt:
        age = await queue.last_heard(site)
        heard = (
            "none was started today, or the last one was ended" if age is None else f"one was heard of {age:.0f} s ago"
        )
        do = _START if age is None or age > _LATELY else _OTHER_KEY
        return fail(what, f"no worker answers with this site's key; {heard}", do, on=site.name)
    try:
        if not answers:
            raise ValueError(pending.spoilt)  # noqa: TRY301
        told = loads(answers[0][1])
        names, version = get_list(told, "names"), clip(str(told["version"]), 80)
        ahead = float(str(told["ahead"])[:20])
        if not math.isfinite(ahead):
            raise ValueError("its clock is no number")  # noqa: TRY301
    except (ValueError, KeyError, TypeError) as error:
        return fail(what, f"its worker's answer cannot be read: {error}", on=site.name)
    known = {name for name, home in out.target_client.worker_sites.items() if home == site.name} & out.router.names
    if missing := sorted(known - {str(name).lower() for name in names}):
        says = f"it does not reach {', '.join(missing)}"
        return fail(what, says, "Write them into the inventory on its machine, too.", on=site.name)
    if abs(ahead) > _SKEW:
        says = f"its clock is {ahead:+.0f} s off the database's, so it runs no action"
        return fail(what, says, "Set the time on its machine.", on=site.name)
    if version != code_version():
        says = f"it runs version {version}, the bot {code_version()}"
        return warn(what, says, "Install the same version on both.", on=site.name)
    return ok(what, f"answers in {(time.monotonic() - began) * 1000:.0f} ms, its clock {ahead:+.1f} s", on=site.name)


async def check_worker(settings: Settings) -> list[DoctorCheck]:
    """On the machine of a worker: what it must not hold, and whether the queue lets it in."""
    from bot.transport.sites.database import QueueAway, QueueRefuses, is_pooled  # noqa: PLC0415
    from bot.worker import hold_no_more_than_needed, open_inbox  # noqa: PLC0415

    found = [ok("settings", f"{settings.file}, of a site's worker"), *_permissions(settings)]
    try:
        hold_no_more_than_needed(settings)
        assert settings.sites is not None
        inbox = open_inbox(settings, next(iter(settings.sites.worker)))
    except HvopsError as error:
        return [*found, fail("worker", str(error))]
    try:
        site, _ = await inbox.hello()
        await inbox.bye()
        is_ours = site == inbox.site
        says = f"{inbox.place} lets this machine in as the worker of {site}"
        found.append(ok(QUEUE, says) if is_ours else fail(QUEUE, f"{says}, and its settings say {inbox.site}"))
        if await is_pooled(inbox.place):
            found.append(fail(QUEUE, "it is reached through a pooler that shares sessions", _SESSIONS))
    except (QueueAway, QueueRefuses) as error:
        found.append(fail(QUEUE, str(error).rstrip("."), "See docs/sites.md for what it needs."))
    finally:
        inbox.close()
    return found


def _permissions(settings: Settings) -> Iterator[DoctorCheck]:
    for warning in permission_warnings(settings):
        yield warn("permissions", *warning.split(" Run: ", 1))
