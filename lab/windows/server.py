"""Many machines in one process, each at an address of its own in 127.0.0.0/8."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import random
import resource
import socket
import ssl
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from lab.loop_thread import BackgroundLoop
from lab.windows.listener_http import Host
from lab.windows.machine_protocol import Machine

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_BELOW_EPHEMERAL = range(20_000, 32_000)  # Linux gives clients ports from 32768 on
_ENOUGH_FILES = 65_536
_TRIES = 8

Answer = TypeVar("Answer")


def free_port() -> int:
    """A port that nobody listens on at 127.0.0.1 now.

    Raises:
        OSError: none was found.
    """
    for _try in range(200):
        port = random.choice(_BELOW_EPHEMERAL)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(errno.EADDRINUSE, "no free port found on 127.0.0.1")


class WinRMServer:
    """Machines served in the running event loop.

    Args:
        port: of HTTP, the same for every machine; 0 picks a free one.
        tls_port: of HTTPS, likewise.
    """

    def __init__(self, port: int = 0, tls_port: int = 0) -> None:
        self.port = port or free_port()
        self.tls_port = tls_port or free_port()
        self._hosts: dict[str, Host] = {}
        _allow_many_sockets()

    async def add(self, address: str, machine: Machine, tls: ssl.SSLContext | None = None) -> None:
        """Put a machine on the network.

        Args:
            address: in 127.0.0.0/8, not yet taken.
            machine: what is served there.
            tls: serve HTTPS too, with this context's certificate.

        Raises:
            ValueError: the address is not a loopback one, or has a machine.
            OSError: the port is taken there.
        """
        if ipaddress.ip_address(address) not in _LOOPBACK or address in self._hosts:
            raise ValueError(f"{address} is not a free loopback address")
        host = Host(address, machine, self.port, self.tls_port, tls)
        self._hosts[address] = host
        try:
            host.open()
        except OSError:
            await self.remove(address)
            raise

    async def remove(self, address: str) -> None:
        """Take a machine off the network.

        Raises:
            KeyError: there is none at this address.
        """
        await self._hosts.pop(address).close()

    async def stop(self) -> None:
        """Take every machine off the network."""
        await asyncio.gather(*(host.close() for host in self._hosts.values()))
        self._hosts.clear()

    def url(self, address: str, *, secure: bool = False) -> str:
        """Where a machine's service is."""
        return f"https://{address}:{self.tls_port}/wsman" if secure else f"http://{address}:{self.port}/wsman"

    def host(self, address: str) -> Host:
        """The machine's network side, for looking at its shells and enumerations.

        Raises:
            KeyError: there is none at this address.
        """
        return self._hosts[address]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class BackgroundServer:
    """Machines served on a thread with an event loop of its own; a context manager.

    Args:
        machines: by address.
        tls: contexts by address, for the machines that speak HTTPS too.
        port: of HTTP; 0 picks one that is free at every address.
        tls_port: of HTTPS, likewise.
    """

    def __init__(
        self,
        machines: Mapping[str, Machine],
        tls: Mapping[str, ssl.SSLContext] | None = None,
        *,
        port: int = 0,
        tls_port: int = 0,
    ) -> None:
        self._machines = dict(machines)
        self._tls = dict(tls or {})
        self._ports = (port, tls_port)
        self._loop: BackgroundLoop
        self.server: WinRMServer

    def __enter__(self) -> Self:
        self._loop = BackgroundLoop("windows-hosts")
        try:
            self.server = self.call(self._start())
        except BaseException:
            self._loop.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.call(self.server.stop())
        finally:
            self._loop.end()

    def call(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine in the servers' loop and wait for it; not from within that loop."""
        return self._loop.call(work)

    def add(self, address: str, machine: Machine, tls: ssl.SSLContext | None = None) -> None:
        """Put one more machine on the network; see `WinRMServer.add`."""
        self.call(self.server.add(address, machine, tls))

    def remove(self, address: str) -> None:
        """Take a machine off the network; see `WinRMServer.remove`."""
        self.call(self.server.remove(address))

    def url(self, address: str, *, secure: bool = False) -> str:
        """Where a machine's service is."""
        return self.server.url(address, secure=secure)

    async def _start(self) -> WinRMServer:
        """Start all; with ports of our own choice, choose again when one is taken at some address."""
        tries = 1 if all(self._ports) else _TRIES
        for remaining in reversed(range(tries)):
            server = WinRMServer(*self._ports)
            try:
                for address, machine in self._machines.items():
                    await server.add(address, machine, self._tls.get(address))
            except OSError:
                await server.stop()
                if not remaining:
                    raise
            else:
                return server
        raise AssertionError("unreachable: the last try returns or raises")


def _allow_many_sockets() -> None:
    """Raise this process's soft limit on open files: a thousand machines are a thousand sockets before any client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
