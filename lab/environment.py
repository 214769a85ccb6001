"""The practice estate, running: its machines on loopback, and the settings with which a bot can reach them.

with PracticeEnvironment("stuck-writer", directory) as estate:
    estate.settings_path                  # for `hvops … --settings`
    estate.do(estate.world.facts)         # the world lives in the servers' thread; `do` goes there
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from lab import config_files, scenarios
from lab.commvault import FakeCommVault
from lab.config_files import SlackAccess
from lab.loadmaster import FakeLoadMaster
from lab.sqlserver import SqlServer
from lab.websites import WebServers
from lab.windows import BackgroundServer, CertificateAuthority
from lab.windows.certificates import ServerContext
from lab.world.accounts import backup_account, balancer_account, database_account
from lab.world.model import Guest, Windows
from lab.world.world import Clock, World, utc_now

T = TypeVar("T")
DATABASE_ADDRESS = "127.0.9.1"
TICK = 0.2  # seconds


class PracticeEnvironment:
    """A story's world on the network; a context manager.

    `backup_product.url` is where its backup product listens, to which `backup_account` may log in; `database` is VMM's
    SQL Server, and takes troubles; `web_servers` and `load_balancers` (by name) are those of the world, where it has any.

    Args:
        story: its name; `lab.scenarios.stories()` lists them.
        directory: where settings, estate, certificate, key and ledger go; made private to this user.
        slack: the practice Slack, where there is one.
        prepare: changes the world before anything listens.
        clock: of the world.

    Raises:
        KeyError: there is no such story.
    """

    def __init__(
        self,
        story: str,
        directory: Path,
        slack: SlackAccess | None = None,
        *,
        prepare: Callable[[World], None] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.story = story
        self.directory = directory
        self.world: World = scenarios.begin(story, clock=clock)
        if prepare is not None:
            prepare(self.world)
        self._slack = slack
        self._authority = CertificateAuthority()
        machines = {address: machine for address, machine in self.world.machines.items() if machine.answers}
        self._tls = self._contexts()
        self._servers = BackgroundServer(machines, tls=self._tls)
        self.backup_account = backup_account(seed=1)
        self.backup_product = FakeCommVault(self.world, (self.backup_account,))
        self._database_account = database_account(seed=1)
        self.database = self._sql_server()
        self.web_servers = WebServers(self.world.web_servers, self.world.fronts, self._web_certificate)
        self._balancer_account = balancer_account(seed=1)
        self.load_balancers = self._load_balancers()
        self._opened = ExitStack()
        self._ticking: asyncio.Task[None] | None = None

    @property
    def settings_path(self) -> Path:
        """The bot's settings file."""
        return self.directory / "settings.toml"

    def do(self, work: Callable[[], T]) -> T:
        """Do something with the world in its own thread and wait for it; not from within that thread."""

        async def there() -> T:
            return work()

        return self._servers.call(there())

    def let_expire(self, guest: str) -> None:
        """Let the certificate of a guest have run out yesterday. Raises KeyError where there is no such guest."""
        windows = self.world.guest(guest)
        self._tls[windows.address].show(*_names(windows), expired=True)

    def __enter__(self) -> Self:
        """Put the machines on the network and write the files."""
        with ExitStack() as opened:
            opened.enter_context(self._servers)
            for server in self._beside():
                self._servers.call(server.__aenter__())
                opened.callback(self._stop, server)
            self._servers.call(self._begin_to_tick())
            self._write()
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the machines off the network; the files stay."""
        self._opened.close()

    async def _begin_to_tick(self) -> None:
        """Let time pass where nobody asks: a machine that restarts is asked by nobody who could make it come back."""
        self._ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.world.tick()

    def _beside(self) -> tuple[FakeCommVault | SqlServer | WebServers | FakeLoadMaster, ...]:
        """What listens beside the machines: web servers before the load balancers that check them."""
        return (self.backup_product, self.database, self.web_servers, *self.load_balancers.values())

    def _stop(self, server: FakeCommVault | SqlServer | WebServers | FakeLoadMaster) -> None:
        self._servers.call(server.__aexit__(None, None, None))

    def _sql_server(self) -> SqlServer:
        """VMM's database, which knows what VMM saw when it last looked at its hosts."""
        vmm = self.world.vmm
        assert vmm is not None
        vmm.add_login(self._database_account.user, self._database_account.password)

        def settle() -> None:
            self.world.settle()
            vmm.settle()

        tls = self._authority.server_context(DATABASE_ADDRESS)
        return SqlServer(vmm.instance, DATABASE_ADDRESS, encryption="full", tls=tls, settle=settle)

    def _load_balancers(self) -> dict[str, FakeLoadMaster]:
        """Each over TLS, as the real ones are; they check the web servers of the world."""
        found: dict[str, FakeLoadMaster] = {}
        for name, appliance in self.world.load_balancers.items():
            appliance.reach = self.web_servers.place
            found[name] = FakeLoadMaster(
                appliance,
                lambda: self.world.now,
                (self._balancer_account,),
                asked=lambda what: self.world.is_asked("loadmaster", what),
                tls=self._authority.server_context("127.0.0.1"),
            )
        return found

    def _web_certificate(self, names: tuple[str, ...], expired: bool) -> ssl.SSLContext:  # noqa: FBT001 - a callback
        return self._authority.server_context(*names, expired=expired)

    def _guests(self) -> list[Guest]:
        """The guests that can be asked at all, by the names they report."""
        guests = [guest for cluster in self.world.clusters.values() for guest in cluster.guests]
        return [guest for guest in guests if guest.reports_address and self.world.machines[guest.address].answers]

    def _contexts(self) -> dict[str, ServerContext]:
        """Guests speak HTTPS, each with a certificate on its own name and address."""
        return {guest.address: self._authority.later_server_context(*_names(guest)) for guest in self._guests()}

    def _write(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._authority.write(self.directory / "ca.pem")
        config_files.write_private(self.directory / "ledger.key", secrets.token_hex(32) + "\n")
        text = config_files.settings(
            self.world.accounts,
            self._slack,
            "ca.pem",
            database=self._database_account,
            backup=self.backup_account,
            balancers=dict.fromkeys(self.load_balancers, self._balancer_account),
        )
        config_files.write_private(self.settings_path, text)
        place = (self.database.address, self.database.port)
        assert self.world.vmm is not None
        estate = config_files.estate(
            self.world.clusters,
            self._endpoints(),
            self.world.vmm.host,
            place,
            self.backup_product.url,
            web={f"{name}:{port}": where for name, port, where in self.web_servers.places()},
            balancers={name: (one.url, one.appliance.api) for name, one in self.load_balancers.items()},
            more=self.world.inventory,
        )
        config_files.write_private(self.directory / "inventory.toml", estate)

    def _endpoints(self) -> dict[str, str]:
        """Where each machine is: hosts over HTTP, whose NTLM encrypts the messages, guests over HTTPS."""
        assert self.world.vmm is not None
        hosts: list[Windows] = [
            node for cluster in self.world.clusters.values() for node in (*cluster.nodes, *cluster.evicted)
        ]
        found = {host.name: self._servers.url(host.address) for host in (*hosts, self.world.vmm.host)}
        inside = {guest.name: self._servers.url(guest.address, secure=True) for guest in self._guests()}
        by_fqdn = {guest.fqdn: inside[guest.name] for guest in self._guests()}  # a case may give two of them one name
        return found | inside | by_fqdn


def _names(guest: Guest) -> tuple[str, ...]:
    return guest.fqdn, guest.name, guest.address
