"""A practice environment behind a worker: the bot has no login that holds and no address that answers there."""

from __future__ import annotations

import asyncio
import copy
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bot import worker
from bot.config import settings
from lab import config_files
from lab.environment import PracticeEnvironment
from tests.support.site_queue import QueuePlace

SITE = "campus"
NOWHERE = "http://127.0.0.1:9/wsman"  # the discard port, where nobody listens


@asynccontextmanager
async def behind_worker(
    estate: PracticeEnvironment, place: QueuePlace, prepare: Callable[[dict[str, Any]], None] = lambda _inventory: None
) -> AsyncIterator[None]:
    """Rewrite the bot's files, and run the site's worker with the real ones in a folder of its own.

    `prepare` changes the worker's inventory.
    """
    folder = estate.directory / "site"
    folder.mkdir(mode=0o700)
    told, inventory = (
        tomllib.loads((estate.directory / name).read_text()) for name in ("settings.toml", "inventory.toml")
    )
    inventory.setdefault("site", {})[SITE] = {"members": members(inventory)}
    keys = {"key_file": f"{SITE}.key"}
    config_files.write_private(estate.directory / f"{SITE}.key", place.keys[SITE].hex() + "\n")
    config_files.write_private(folder / f"{SITE}.key", place.keys[SITE].hex() + "\n")
    (folder / "ca.pem").write_bytes((estate.directory / "ca.pem").read_bytes())
    theirs = {name: table for name, table in told.items() if name not in ("slack", "ledger", "roles", "policy")}
    theirs["sites"] = {"database": place.worker(SITE).url, "worker": {SITE: keys}}
    write(folder / "settings.toml", theirs)
    own = copy.deepcopy(inventory)
    prepare(own)
    write(folder / "inventory.toml", own)
    login = {"transport": "ntlm", "username": "CORP\\nobody", "password": "nothing that holds"}
    told["credentials"] = {"reader": login}
    told["sites"] = {"database": place.bot.url, "worker": {SITE: {**keys, "login": place.logins[SITE]}}}
    inventory["endpoints"] = dict.fromkeys(inventory["endpoints"], NOWHERE)
    inventory["commvault"] = {"url": "http://127.0.0.1:9/webconsole/api"}
    write(estate.settings_path, told)
    write(estate.directory / "inventory.toml", inventory)
    stop = asyncio.Event()
    working = asyncio.create_task(worker.serve(settings.load(folder / "settings.toml"), SITE, stop))
    estate.site = SimpleNamespace(stop=stop, working=working)
    try:
        yield
    finally:
        stop.set()
        await working


def members(inventory: Mapping[str, Any]) -> list[str]:
    """All that there is."""
    found = [*inventory["clusters"], *inventory.get("hosts", {}), *inventory.get("vmm", {}), "commvault"]
    return found + [one["name"] for one in inventory.get("load_balancer", [])]


def write(path: Path, told: Mapping[str, Any]) -> None:
    """As TOML."""
    config_files.write_private(path, "\n".join(_tables("", told)) + "\n")


def _tables(name: str, told: Mapping[str, Any]) -> Iterator[str]:
    plain = {key: value for key, value in told.items() if not _is_table(value)}
    if plain or not told:
        yield from config_files._lines(name, plain)
    for key, value in told.items():
        below = f"{name}.{key}" if name else key
        if isinstance(value, dict):
            yield from _tables(below, value)
        elif _is_table(value):
            for one in value:
                yield from config_files._lines(f"[{below}]", one)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))
