"""The practice estate, running: its machines on loopback, and the settings with which a bot can reach them.

with PracticeEstate("stuck-writer", directory) as estate:
    estate.settings_path                  # for `hvops … --settings`
    estate.do(estate.world.facts)         # the world lives in the servers' thread; `do` goes there
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from lab import files, stories
from lab.commvault import CommVaultStandIn
from lab.files import SlackAccess
from lab.windows import BackgroundServer, CertificateAuthority
from lab.world.accounts import backup_account
from lab.world.model import Guest
from lab.world.world import World

T = TypeVar("T")


class PracticeEstate:
    """A story's world on the network; a context manager.

    `backup_product.url` is where its backup product listens, to which `backup_account` may log in.

    Args:
        story: its name; `lab.stories.stories()` lists them.
        directory: where settings, estate, certificate, key and ledger go; made private to this user.
        slack: the practice Slack, where there is one.

    Raises:
        KeyError: there is no such story.
    """

    def __init__(self, story: str, directory: Path, slack: SlackAccess | None = None) -> None:
        self.story = story
        self.directory = directory
        self.world: World = stories.begin(story)
        self._slack = slack
        self._authority = CertificateAuthority()
        machines = {address: machine for address, machine in self.world.machines.items() if machine.answers}
        self._tls = self._contexts()
        self._servers = BackgroundServer(machines, tls=self._tls)
        self.backup_account = backup_account(seed=1)
        self.backup_product = CommVaultStandIn(self.world, (self.backup_account,))

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
        self._authority.renew(self._tls[windows.address], *_names(windows), expired=True)

    def __enter__(self) -> Self:
        """Put the machines on the network and write the files."""
        self._servers.__enter__()
        try:
            self._servers.call(self.backup_product.__aenter__())
            self._write()
        except BaseException:
            self._servers.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the machines off the network; the files stay."""
        try:
            self._servers.call(self.backup_product.__aexit__(None, None, None))
        finally:
            self._servers.__exit__(kind, error, trace)

    def _guests(self) -> list[Guest]:
        """The guests that can be asked at all, by the names they report."""
        guests = [guest for cluster in self.world.clusters.values() for guest in cluster.guests]
        return [guest for guest in guests if guest.reports_address and self.world.machines[guest.address].answers]

    def _contexts(self) -> dict[str, ssl.SSLContext]:
        """Guests speak HTTPS, each with a certificate on its own name and address."""
        return {guest.address: self._authority.server_context(*_names(guest)) for guest in self._guests()}

    def _write(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._authority.write(self.directory / "ca.pem")
        files.write_private(self.directory / "ledger.key", secrets.token_hex(32) + "\n")
        files.write_private(self.settings_path, files.settings(self.world.accounts, self._slack, "ca.pem"))
        files.write_private(self.directory / "estate.toml", files.estate(self.world.clusters, self._endpoints()))

    def _endpoints(self) -> dict[str, str]:
        """Where each machine is: hosts over HTTP, whose NTLM encrypts the messages, guests over HTTPS."""
        nodes = [node for cluster in self.world.clusters.values() for node in cluster.nodes]
        found = {node.name: self._servers.url(node.address) for node in nodes}
        return found | {guest.name: self._servers.url(guest.address, secure=True) for guest in self._guests()}


def _names(guest: Guest) -> tuple[str, ...]:
    return guest.fqdn, guest.name, guest.address
