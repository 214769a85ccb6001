"""A queue in a database of its own, with a login for the bot and one for each site's worker; and machines that count."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg

from bot.api.actions import InvokeMethod
from bot.api.queries import Query, Wql, make_params
from bot.config.inventory_file import InventoryFile
from bot.config.web_addresses import read_network
from bot.ledger_place import Database
from bot.redaction import Redactor
from bot.transport.client import QueryResult
from bot.transport.errand import Errand
from bot.transport.routing import Credentials, Router
from bot.transport.sites.client import SitedClient
from bot.transport.sites.inbox import Inbox
from bot.transport.sites.queue import Queue, Site
from bot.transport.sites.signing import SiteKey
from bot.transport.turns import last_look
from bot.worker import Machines, Worker
from tests.support.postgresql import Cluster

LOGIN = Credentials("ntlm", "hvops", "secret")


@dataclass
class QueuePlace:
    """Where it is, and who may log in.

    Attributes:
        bot: with the bot's login, which owns the database and is no superuser.
        logins: of each site, its worker's.
    """

    bot: Database
    logins: dict[str, str]
    keys: dict[str, bytes]
    password: str

    def worker(self, site: str, port: int | None = None) -> Database:
        return Database(self._as(self.logins[site], port))

    def through(self, port: int) -> Database:
        """The bot's, by way of another port."""
        return Database(self._as(urlsplit(self.bot.url).username, port))

    def _as(self, login: str, port: int | None) -> str:
        parts = urlsplit(self.bot.url)
        return urlunsplit(parts._replace(netloc=f"{login}:{self.password}@127.0.0.1:{port or parts.port}"))

    def queue(self, port: int | None = None, stale_seconds: float = 1.0) -> Queue:
        sites = {name: Site(name, login, SiteKey.of(name, self.keys[name])) for name, login in self.logins.items()}
        return Queue(self.through(port) if port else self.bot, sites, stale_seconds)

    def inbox(self, site: str, port: int | None = None) -> Inbox:
        key = SiteKey.of(site, self.keys[site])
        return Inbox(self.worker(site, port), key, site, name="test", version="1")


def make_place(cluster: Cluster, *sites: str) -> QueuePlace:
    number, password = secrets.token_hex(4), secrets.token_hex(8)
    bot, name = f"queue_bot_{number}", f"queue{number}"
    logins = {site: f"queue_{site}_{number}" for site in sites}
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        for role in (bot, *logins.values()):
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
        connection.execute(f"CREATE DATABASE {name} OWNER {bot}")
    url = f"postgresql://{bot}:{password}@127.0.0.1:{cluster.port}/{name}"
    return QueuePlace(Database(url), logins, {site: secrets.token_bytes(32) for site in sites}, password)


@dataclass
class CountingMachines:
    """Machines that answer after a while, and write down what was done to them.

    Attributes:
        done: a file with a line for each act; None where they are counted in memory alone.
    """

    seconds: float = 0.0
    act_seconds: float = 0.0
    done: Path | None = None
    acts: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)

    async def answer(self, question: Query, seconds: float) -> QueryResult:
        self.asked[question.on] += 1
        began = datetime.now(UTC)
        await asyncio.sleep(self.seconds)
        return QueryResult(({"Name": question.on},), "raw", question.on, began, datetime.now(UTC))

    async def invoke(self, action: InvokeMethod, seconds: float) -> QueryResult:
        look = last_look(action.on)
        await asyncio.to_thread(look)
        self.acts[action.method] += 1
        if self.done is not None:
            with self.done.open("a") as file:
                file.write(json.dumps({"act": action.method}) + "\n")
        await asyncio.sleep(self.act_seconds)
        return QueryResult(({"ReturnValue": "0"},), "raw", action.on)


class Running:
    """A worker in this process: `async with Running(place, "branch1", machines):`"""

    def __init__(
        self, place: QueuePlace, site: str, client: object, *, port: int | None = None, mask: Iterable[str] = ()
    ):
        async def known(*_: str) -> None:
            return

        self.stop = asyncio.Event()
        machines = Machines(client, known, known, Redactor(mask), ("branch",))
        self.worker = Worker(place.inbox(site, port), machines)

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.worker.run(self.stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        await self.task


def inventory(*sites: str, hosts: int = 3) -> InventoryFile:
    """A cluster for each site, called as it is with -c behind; its nodes are <site>-1 and so on. And a host of the bot's own."""
    return InventoryFile.model_validate(
        {
            "clusters": {
                f"{site}-c": {
                    "domain": "corp.example",
                    "entry_hosts": [f"{site}-1"],
                    "nodes": [f"{site}-{number}" for number in range(1, hosts + 1)],
                }
                for site in sites
            },
            "hosts": {"near": {"domain": "corp.example"}},
            "site": {site: {"members": [f"{site}-c"]} for site in sites},
        }
    )


def client(queue: Queue, file: InventoryFile) -> SitedClient:
    """A bot's. Each site has a load balancer, called as it is with -lb behind, with real servers in 192.168.1.0/24, as that of the bot's own."""
    homes = {f"{name}-{what}": name for name in queue.sites for what in ("c", "lb")}
    networks = {name: (read_network("192.168.1.0/24"),) for name in ("", *queue.sites)}
    router = Router(file, {"reader": LOGIN, "operator": LOGIN})
    return SitedClient(router, queue=queue, homes=homes, networks=networks, reaches_itself=True)


def question(on: str) -> Wql:
    return Wql(on, "root/cimv2", "Win32_OperatingSystem", ("Name",))


def action(on: str, method: str = "Pause") -> InvokeMethod:
    return InvokeMethod(on, "root/MSCluster", make_params(Name=on), "MSCluster_Node", method)


def errand(*permitted: InvokeMethod, intent: str | None = None) -> Errand:
    return Errand("T-1", "pause", "0" * 64, intent or secrets.token_hex(8), permitted)
