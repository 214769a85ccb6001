"""A practice environment behind a worker: the bot has no login that holds and no address that answers there."""

from __future__ import annotations

import asyncio
import copy
import os
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bot import worker
from bot.config import settings
from lab import config_files
from lab.environment import PracticeEnvironment
from tests.support.site_queue import QueuePlace

SITE = "campus"
DATABASE = "HVOPS_LEDGER__DATABASE"
NOWHERE = "http://127.0.0.1:9/wsman"  # the discard port, where nobody listens


@asynccontextmanager
async def behind_worker(
    estate: PracticeEnvironment, place: QueuePlace, prepare: Callable[[dict[str, Any]], None] = lambda _inventory: None
) -> AsyncIterator[None]:
    """Rewrite the bot's files, and run a worker of each site with the real ones in a folder of its own.

    `prepare` changes the workers' inventory.
    """
    names = write_files(estate, place, prepare)
    stop = asyncio.Event()
    with without_ledger():
        files = {name: settings.load(folder_of(name, estate.directory) / "settings.toml") for name in names}
    working = asyncio.gather(*(worker.serve(files[name], name, stop) for name in names))
    estate.site = SimpleNamespace(stop=stop, working=working)
    try:
        yield
    finally:
        stop.set()
        await working


@contextmanager
def without_ledger() -> Iterator[None]:
    """A worker's machine, whose environment names no database of a ledger."""
    told = os.environ.pop(DATABASE, None)
    try:
        yield
    finally:
        if told is not None:
            os.environ[DATABASE] = told


def write_files(
    estate: PracticeEnvironment, place: QueuePlace, prepare: Callable[[dict[str, Any]], None] = lambda _inventory: None
) -> list[str]:
    """Take the bot's ways and logins away, and write down what each site's worker needs. Answers the sites."""
    told, inventory = _files(estate)
    if left := members(inventory):
        inventory.setdefault("site", {})[SITE] = {"members": left}
    names = list(inventory["site"])
    for name in names:
        own = copy.deepcopy(inventory)
        prepare(own)
        _write_files_of(name, estate.directory, place, told, own)
    login = {"transport": "ntlm", "username": "CORP\\nobody", "password": "nothing that holds"}
    told["credentials"] = {"reader": login}
    logins = {name: {"key_file": f"{name}.key", "login": place.logins[name]} for name in names}
    told["sites"] = {"database": place.bot.url, "worker": logins}
    inventory["endpoints"] = dict.fromkeys(inventory["endpoints"], NOWHERE)
    inventory["commvault"] = {"url": "http://127.0.0.1:9/webconsole/api"}
    write(estate.settings_path, told)
    write(estate.directory / "inventory.toml", inventory)
    return names


def sites(estate: PracticeEnvironment) -> list[str]:
    """Those that its inventory names, and the one of all that is in none of them."""
    return [*_files(estate)[1].get("site", {}), SITE]


def folder_of(site: str, directory: Path) -> Path:
    """Where its worker has its files."""
    return directory / ("site" if site == SITE else f"site-{site}")


def _files(estate: PracticeEnvironment) -> tuple[dict[str, Any], dict[str, Any]]:
    told, inventory = (
        tomllib.loads((estate.directory / name).read_text()) for name in ("settings.toml", "inventory.toml")
    )
    return told, inventory


def _write_files_of(
    site: str, directory: Path, place: QueuePlace, told: Mapping[str, Any], inventory: Mapping[str, Any]
) -> None:
    folder = folder_of(site, directory)
    folder.mkdir(mode=0o700)
    for where in (directory, folder):
        config_files.write_private(where / f"{site}.key", place.keys[site].hex() + "\n")
    (folder / "ca.pem").write_bytes((directory / "ca.pem").read_bytes())
    theirs = {name: table for name, table in told.items() if name not in ("slack", "ledger", "roles", "policy")}
    theirs["sites"] = {"database": place.worker(site).url, "worker": {site: {"key_file": f"{site}.key"}}}
    write(folder / "settings.toml", theirs)
    write(folder / "inventory.toml", inventory)


def members(inventory: Mapping[str, Any]) -> list[str]:
    """All that is in no site."""
    found = [*inventory["clusters"], *inventory.get("hosts", {}), *inventory.get("vmm", {}), "commvault"]
    found += [one["name"] for one in inventory.get("load_balancer", [])]
    elsewhere = {member for site in inventory.get("site", {}).values() for member in site["members"]}
    return [one for one in found if one not in elsewhere]


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
